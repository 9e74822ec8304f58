"""One network for both stages, against one for each.

``python benchmarks/one_model.py SHEETS -o OUT`` trains three networks of one size from scratch, on what ``muse corpus
lead-sheets`` wrote to SHEETS, and measures them; started again, it goes on where it was stopped.

planner, arranger
    As ``muse train`` makes them, by ``checkpoints/planner.json`` and ``checkpoints/arranger.json``.
both
    One network that learns from the very batches of these two, in turn and in proportion. The arranger's ids begin with
    the planner's, so one embedding of the arranger's size spells both, and what stands before the first bar tells the
    tasks apart: only arrangements name their parts there. It is then cut into two ordinary checkpoints,
    ``both-planner`` and ``both-arranger``, the same network with the rows of the embedding that each needs.

Measured of both pairs:

* nats a token of held-out windows, with a 95 % interval of the difference by bootstrap over windows;
* human-likeness of pieces of 16 bars, and of their plans alone, by random forests
  (:mod:`muse.evaluate.metrics.human_likeness`), against windows of POP909's training songs: planner and arranger
  without emotion and choice, as in the ablations of ``muse evaluate``.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM

from muse.checkpoint import data_path, load_tensors, save_tensors
from muse.composer.stages import Stages
from muse.dataset.lead_sheets import load
from muse.errors import InputError, MuseError
from muse.evaluate.kept import Kept
from muse.evaluate.metrics.human_likeness import MIN_GROUP, human_likeness
from muse.evaluate.samples import Sample
from muse.evaluate.systems.maker import fingerprint, from_stages
from muse.evaluate.systems.people import people_windows
from muse.files import read_json, to_json, write_json, write_text
from muse.intent import Intent
from muse.statistics import bootstrap
from muse.training import loop
from muse.training.language_model import IGNORED, Batch, LanguageModel, RunSettings
from muse.training.lead_sheets import ArrangerTask, PlannerTask

EMBEDDING = "model.embed_tokens.weight"
N_REPORTS = 4
"""Of each run; a run that was killed goes on from the last."""
BARS = 16
N_SONGS = 48
"""Of POP909's training songs whose windows stand for people's."""

StageTask: TypeAlias = PlannerTask | ArrangerTask


class BothTasks:
    """The batches of both tasks in turn, each task's share spread evenly over the run.

    Parameters
    ----------
    planner, arranger
        The tasks.
    n_batches
        Batches of each in the whole run: after their sum, each has given its first so many, as if it were alone.
    """

    def __init__(self, planner: PlannerTask, arranger: ArrangerTask, n_batches: tuple[int, int]) -> None:
        self.planner, self.arranger, self.n_batches = planner, arranger, n_batches

    @property
    def vocab_size(self) -> int:
        return self.arranger.vocab_size

    def batch(self, number: int) -> Batch:
        n_plans, n_all = self.n_batches[0], sum(self.n_batches)
        planned, planned_then = (n * n_plans // n_all for n in (number, number + 1))
        return self.planner.batch(planned) if planned_then > planned else self.arranger.batch(number - planned)

    def validation(self) -> Sequence[Batch]:
        return [*self.planner.validation(), *self.arranger.validation()]

    def settings_json(self) -> Mapping[str, Any]:
        return {
            "planner": self.planner.settings_json(),
            "arranger": self.arranger.settings_json(),
            "n_batches": self.n_batches,
        }

    def write(self, folder: Path) -> None:
        """Nothing: a user of the weights takes the folders that they are cut into."""

    def card(self, name: str, metrics: Mapping[str, Any]) -> str:
        loss = f"{metrics['val_loss']:.4f} nats a token"
        return f"# {name}\n\nPlanner and arranger in one network; held-out loss over both {loss}.\n"


def cut(both: Path, task: StageTask, out: Path) -> None:
    """Write the part of a network of both tasks that one of them needs, as a checkpoint of that task's."""
    weights = load_tensors(both, "pt")
    n_ids = task.vocab_size
    save_tensors(weights | {EMBEDDING: weights[EMBEDDING][:n_ids].clone()}, out)
    write_json(read_json(both / "config.json") | {"vocab_size": n_ids}, out / "config.json")
    write_text(out / "README.md", f"# {out.name}\n\nCut out of `{both.name}`, a network of planner and arranger.\n")
    task.write(out)


def train(task: StageTask | BothTasks, out: Path, run: RunSettings) -> dict[str, Any]:
    """Train a network, or go on with it; what its run came to."""
    print(f"{out.name}: {run.max_steps} steps", file=sys.stderr)
    with contextlib.redirect_stdout(sys.stderr):  # Lightning's bar and tables
        learner = loop.train(lambda: LanguageModel(task, run), out, run.run(), progress=sys.stderr.isatty())
    return {name: value for name, value in learner.metrics().items() if name != "history"}


def held_out(folder: Path, task: StageTask) -> NDArray[np.float64]:
    """Summed loss in nats, and number of tokens that count, of each held-out window: [n_windows, 2]."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    rows = []
    with torch.inference_mode():
        for ids, labels in task.validation():
            logits = model(ids[:, :-1], use_cache=False).logits.transpose(1, 2)  # [B, V, T]
            targets = labels[:, 1:]
            loss = cross_entropy(logits, targets, ignore_index=IGNORED, reduction="none")
            rows.append(torch.stack([loss.sum(1), (targets != IGNORED).sum(1)], dim=1).double().numpy())
    return np.concatenate(rows)


def compare_losses(two: NDArray[np.float64], one: NDArray[np.float64]) -> dict[str, Any]:
    """Nats a token of a network of its own and of the one for both, over the same windows."""

    def more(rows: NDArray[np.float64]) -> float:
        return float((rows[:, 2] - rows[:, 0]).sum() / rows[:, 1].sum())

    rows = np.column_stack([two, one])
    return {
        "two": float(two[:, 0].sum() / two[:, 1].sum()),
        "one": float(one[:, 0].sum() / one[:, 1].sum()),
        "one_minus_two": more(rows),
        "interval": list(bootstrap(rows, more, n_draws=1000, seed=0)),
        "windows": len(rows),
    }


def people(sheets: Path) -> list[Sample]:
    """Windows of training songs, in common time."""
    songs = load(sheets, ("pop909",), ("train",), {"pop909": N_SONGS})
    windows = [Sample(score, plan, song, BARS) for song, plan, score in people_windows(songs, BARS)]
    return [window for window in windows if window.plan is not None and window.plan.bar_length == 16]


def write_pieces(planner: Path, arranger: Path, n: int, folder: Path) -> list[Sample]:
    """Pieces of a pair, of seeds 0, 1, ...; those that the folder holds already are not written again."""
    maker = from_stages(Stages.from_pretrained(planner, arranger))
    pieces, found = Kept(folder / planner.name, fingerprint([planner, arranger])), []
    for seed in range(n):
        made = pieces.piece(f"{seed}", partial(maker, Intent(bars=BARS), seed))
        found.append(Sample(made.score, made.plan, f"{seed}", BARS))
        if (seed + 1) % 16 == 0 or seed + 1 == n:
            print(f"{planner.name}: {seed + 1} of {n} pieces", file=sys.stderr)
    return found


def compare_pieces(theirs: list[Sample], ours: list[Sample]) -> dict[str, dict[str, float]]:
    """Human-likeness of pieces, and of their plans alone."""

    def told(people: list[Sample], pieces: list[Sample]) -> dict[str, float]:
        found = human_likeness([p.figures for p in people], [p.song for p in people], [p.figures for p in pieces])
        return {"auc": found.auc, "taken_for_people": found.taken_for_people, "inside": found.inside}

    def plans(samples: list[Sample]) -> list[Sample]:
        return [plan for sample in samples if (plan := sample.as_plan()) is not None]

    return {"pieces": told(theirs, ours), "plans": told(plans(theirs), plans(ours))}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Train, cut and compare."""
    out: Path = options.out
    configs = {kind: read_json(data_path("checkpoints") / f"{kind}.json") for kind in ("planner", "arranger")}
    windows = [
        config["windows"] | {"batch_tokens": n_tokens, "seed": options.seed}
        for config, n_tokens in zip(configs.values(), options.batch_tokens, strict=True)
    ]
    planner = PlannerTask.configured(options.sheets, windows[0])
    arranger = ArrangerTask.configured(options.sheets, windows[1])

    def run(kind: str, steps: int) -> RunSettings:
        length = {"max_steps": steps, "validate_every": -(-steps // N_REPORTS)}
        return loop.settings_from(
            RunSettings, {**configs[kind]["run"], **length, "size": options.size, "seed": options.seed}
        )

    n_plans, n_arrangements = options.steps
    both = BothTasks(planner, arranger, (n_plans, n_arrangements))
    networks = {
        "planner": train(planner, out / "planner", run("planner", n_plans)),
        "arranger": train(arranger, out / "arranger", run("arranger", n_arrangements)),
        "both": train(both, out / "both", run("planner", n_plans + n_arrangements)),
    }
    nats = {}
    for task in (planner, arranger):
        cut(out / "both", task, out / f"both-{task.kind}")
        nats[task.kind] = compare_losses(*(held_out(out / f"{of}{task.kind}", task) for of in ("", "both-")))
    theirs = people(options.sheets)
    likeness = {}
    for name, of in (("two", ""), ("one", "both-")):
        ours = write_pieces(out / f"{of}planner", out / f"{of}arranger", options.pieces, out / "pieces")
        likeness[name] = compare_pieces(theirs, ours)
    settings = {name: getattr(options, name) for name in ("size", "steps", "batch_tokens", "pieces", "seed")}
    return {
        "settings": settings | {"windows_of_people": len(theirs)},
        "networks": networks,
        "nats": nats,
        "human_likeness": likeness,
    }


def table(document: Mapping[str, Any]) -> str:
    """What was measured, as a table of Markdown."""
    networks, likeness = document["networks"], document["human_likeness"]
    rows: list[tuple[str, ...]] = [("", "a network for each", "one for both"), ("---", "---", "---")]
    for name, unit in (("n_parameters", "weights"), ("tokens", "tokens")):
        planner, arranger, both = (f"{networks[kind][name] / 1e6:.2f} M" for kind in ("planner", "arranger", "both"))
        rows.append((unit, f"{planner} and {arranger}", both))
    for kind, nats in document["nats"].items():
        low, high = nats["interval"]
        more = f"{nats['one_minus_two']:+.3f}, {low:+.3f} to {high:+.3f}"
        rows.append((f"nats a token, {kind}", f"{nats['two']:.3f}", f"{nats['one']:.3f} ({more})"))
    for of in ("pieces", "plans"):
        for name in ("auc", "taken_for_people"):
            rows.append((f"{of}: {name}", *(f"{likeness[pair][of][name]:.3f}" for pair in ("two", "one"))))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sheets", type=Path, help="folder that `muse corpus lead-sheets` made, with POP909")
    parser.add_argument("-o", "--out", type=Path, required=True, help="networks, runs and pieces")
    parser.add_argument("--size", default="micro")
    parser.add_argument("--steps", type=int, nargs=2, default=[700, 600], metavar=("PLANS", "ARRANGEMENTS"))
    parser.add_argument("--batch-tokens", type=int, nargs=2, default=[1000, 1200], metavar=("PLANS", "ARRANGEMENTS"))
    parser.add_argument("--pieces", type=int, default=64, help="of each pair")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("muse.training.loop").setLevel(logging.INFO)  # each report
    try:
        if min(options.steps) < 1:
            raise InputError(f"{min(options.steps)} steps train nothing: give 1 or more")
        if options.pieces < MIN_GROUP:
            raise InputError(f"{options.pieces} pieces are too few to be told from people's: give {MIN_GROUP} or more")
        document = measure(options)
    except MuseError as error:
        parser.error(str(error))
    print(to_json(document) if options.json else table(document))


if __name__ == "__main__":
    main()
