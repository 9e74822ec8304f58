"""What the critic of plans learns: whether people or the planner wrote the bars so far.

The planner's distribution is not quite people's. A classifier that tells the two apart estimates the ratio of both, and
choosing among several plans by it comes nearer to people's (residual energy-based models, Deng et al. 2020, arXiv
2004.11714; discriminator rejection sampling, Azadi et al. 2019, arXiv 1810.06758). It starts as the planner, whose
tokens it reads, and answers after each bar with one of two ids: the planner's loop trains it, the sampler asks it.

Contents: :func:`write_plans`, :func:`read_plans`, :class:`CriticTask`, :func:`train_critic`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from muse.checkpoint import load_tensors, save_tensors
from muse.composer import DEFAULT_SAMPLING, Composer
from muse.composer.brief import decide
from muse.composer.critic import MADE, PEOPLE, WINDOW_BARS, spell
from muse.composer.plan import DEFAULT_PLANNER
from muse.dataset.lead_sheets import Sheet, load
from muse.emotion import QUADRANTS
from muse.errors import InputError
from muse.files import write_json
from muse.intent import Intent
from muse.tokens.plan import VOCABULARY
from muse.training import loop
from muse.training.language_model import IGNORED, Batch, LanguageModel, RunSettings, pad
from muse.training.lead_sheets import window_of
from muse.training.loop import card, settings_from

__all__ = ["CriticSettings", "CriticTask", "read_plans", "train_critic", "write_plans"]

_EACH = 4  # plans of one brief
_SAVE_EVERY = 50  # briefs
_KEPT = 10  # one song and one brief of so many are kept from learning
_BAR = VOCABULARY.span("Bar")


@dataclass(frozen=True)
class CriticSettings:
    """What is read."""

    corpus: str = "pop909"
    """Whose songs are people's."""
    min_notes: int = 24
    """Notes of the tune in a window; emptier ones are introductions."""
    batch_tokens: int = 4000
    """Tokens a batch, padding included."""
    n_validation: int = 400
    """Windows that are held out, half of them people's."""
    seed: int = 0


def write_plans(
    folder: Path | str,
    *,
    planner: str | Path = DEFAULT_PLANNER,
    n_briefs: int = 1300,
    seed: int = 0,
    progress: Callable[[float, float], None] | None = None,
) -> int:
    """Plan pieces as the composer does, of all quadrants and of none, and store what the critic is to read of them.

    Goes on where an earlier, unfinished call stopped.

    Parameters
    ----------
    folder
        Where ``model.safetensors`` goes.
    n_briefs
        Requests; each is planned four times.
    progress
        Called with the requests done and their number.

    Returns
    -------
    int
        Number of plans in the folder.
    """
    folder = Path(folder)
    done, plans = _stored(folder)
    composer = Composer.from_pretrained(planner, selector=None)
    for at in range(done, n_briefs):
        rng = np.random.default_rng([seed, at])
        emotion = (*QUADRANTS, *QUADRANTS, None)[at % 9]
        intent = Intent(emotion=emotion, bars=WINDOW_BARS)
        request = decide(intent, composer.controls, composer.mapper, rng).request(intent)
        found = composer.stages.plan(request, _EACH, sampling=DEFAULT_SAMPLING, rng=rng, of_each=1)
        plans += [(at, np.array(spell(plan), np.uint16)) for plan in found]
        if (at + 1) % _SAVE_EVERY == 0 or at + 1 == n_briefs:
            _store(folder, at + 1, plans)
        if progress:
            progress(at + 1, n_briefs)
    return len(plans)


def read_plans(folder: Path | str) -> list[tuple[int, NDArray[np.uint16]]]:
    """What :func:`write_plans` stored: number of the request and ids of each plan.

    Raises
    ------
    InputError
        There is nothing in the folder.
    """
    if not (plans := _stored(Path(folder), must=True)[1]):
        raise InputError(f"{folder} holds no plans")
    return plans


def _store(folder: Path, done: int, plans: Sequence[tuple[int, NDArray[np.uint16]]]) -> None:
    tensors = {
        "done": np.array([done]),
        "ids": np.concatenate([ids for _, ids in plans]),
        "offsets": np.cumsum([0, *(len(ids) for _, ids in plans)]),
        "request": np.array([request for request, _ in plans]),
    }
    save_tensors(tensors, folder)


def _stored(folder: Path, *, must: bool = False) -> tuple[int, list[tuple[int, NDArray[np.uint16]]]]:
    if not must and not (folder / "model.safetensors").exists():
        return 0, []
    tensors = load_tensors(folder, "np")
    if len(ids := tensors["ids"]) and ids.max() >= len(VOCABULARY):
        raise InputError(f"{folder}: plans of an older Muse, whose ids mean something else: make them again")
    parts = np.split(ids.astype(np.uint16), tensors["offsets"][1:-1])
    return int(tensors["done"][0]), list(zip(tensors["request"].tolist(), parts, strict=True))


class CriticTask:
    """Windows of people's songs and plans of the planner, as many of the one as of the other.

    Parameters
    ----------
    sheets
        What :func:`muse.dataset.lead_sheets.build` wrote; its held-out songs are not read.
    plans
        What :func:`write_plans` wrote.
    """

    def __init__(self, sheets: Path | str, plans: Path | str, settings: CriticSettings | None = None) -> None:
        self.settings = settings = settings or CriticSettings()
        songs = [one for one in load(sheets, [settings.corpus], ("train",)) if one.plan.bar_length == 16]
        songs = [one.in_c() for one in songs if len(one.plan.bars) >= WINDOW_BARS]
        made = read_plans(plans)
        self._songs = [one for one in songs if not _is_kept(one)]
        self._made = [ids for request, ids in made if request % _KEPT]
        kept_songs, kept = (
            [one for one in songs if _is_kept(one)],
            [ids for request, ids in made if not request % _KEPT],
        )
        if not self._songs or not self._made or not kept_songs or not kept:
            raise InputError(
                f"{sheets} and {plans}: too few songs of {settings.corpus} or plans to learn from and test on"
            )
        rng, half = np.random.default_rng([settings.seed, 3]), settings.n_validation // 2
        rows = [_answered(self._window(kept_songs, rng), PEOPLE) for _ in range(half)]
        rows += [_answered(kept[i], MADE) for i in rng.permutation(len(kept))[:half]]
        rows.sort(key=lambda row: len(row[0]))
        self._validation = [pad(rows[i : i + 8]) for i in range(0, len(rows), 8)]

    @property
    def vocab_size(self) -> int:
        return len(VOCABULARY)

    def batch(self, number: int) -> Batch:
        rng = np.random.default_rng([self.settings.seed, 1, number])
        rows: list[tuple[list[int], list[int]]] = []
        while len(rows) < 4 or (len(rows) + 2) * max(len(ids) for ids, _ in rows) <= self.settings.batch_tokens:
            rows.append(_answered(self._window(self._songs, rng), PEOPLE))
            rows.append(_answered(self._made[int(rng.integers(len(self._made)))], MADE))
        return pad(rows)

    def validation(self) -> Sequence[Batch]:
        return self._validation

    def settings_json(self) -> Mapping[str, Any]:
        return asdict(self.settings)

    def write(self, folder: Path) -> None:
        """The spelling of the ids."""
        write_json({name: list(values) for name, values in VOCABULARY.blocks}, folder / "vocabulary.json")

    def card(self, name: str, metrics: Mapping[str, Any]) -> str:
        """The model card."""
        licences = sorted({sheet.licence for sheet in self._songs})
        return card(
            f"Muse critic of plans, `{name}`",
            ("music", "symbolic-music"),
            f"A Llama-style causal model of {metrics['n_parameters']:,} weights that tells people's lead sheets from "
            "the planner's:\nthe logit of `Special_eos` less that of `Special_bos` after a bar is the log odds that "
            "people wrote it.",
            {
                "people's windows": f"{self.settings.corpus}, training songs",
                "licences of the music": ", ".join(licences),
                "plans": f"{len(self._made):,} of the planner, of all quadrants and of none",
                "steps": f"{metrics['steps']:,}",
                "tokens": f"{metrics['tokens']:,}",
                "minutes of wall time": f"{metrics['minutes']:.1f}",
                "loss an answer, songs and requests kept from learning": f"{metrics['val_loss']:.4f} nats (0.6931 at first)",
            },
            "`training.json` has every setting, `metrics.json` the curve, `vocabulary.json` the spelling of the ids.",
            head={"license": "apache-2.0", "library_name": "transformers"},
        )

    def _window(self, songs: Sequence[Sheet], rng: np.random.Generator) -> list[int]:
        """Ids of a window of people's that has a tune."""
        while True:
            sheet = songs[int(rng.integers(len(songs)))]
            first = int(rng.integers(len(sheet.plan.bars) - WINDOW_BARS + 1))
            plan = window_of(sheet, first, first + WINDOW_BARS)
            if sum(len(bar.melody) for bar in plan.bars) >= self.settings.min_notes:
                return spell(plan)


def _is_kept(sheet: Sheet) -> bool:
    song = sheet.song.rpartition("#")[0]
    return hashlib.sha256(song.encode()).digest()[0] % _KEPT == 0


def _answered(ids: Sequence[int] | NDArray[np.uint16], answer: int) -> tuple[list[int], list[int]]:
    """Ids with the answer as label of the place after each bar: what the loss holds against the bar's last token."""
    row = [*map(int, ids), answer]
    bars = [i for i, token in enumerate(row[:-1]) if _BAR[0] <= token < _BAR[1]]
    labels = [IGNORED] * len(row)
    for place in [*bars[1:], len(row) - 1]:
        labels[place] = answer
    return row, labels


def train_critic(
    sheets: Path | str,
    plans: Path | str,
    out: Path | str,
    *,
    windows: Mapping[str, Any] | None = None,
    run: Mapping[str, Any] | None = None,
    devices: int | str = "auto",
    **call: Any,
) -> dict[str, Any]:
    """Train a critic and write its checkpoint folder.

    Parameters
    ----------
    sheets, plans
        As :class:`CriticTask` takes them.
    out
        Checkpoint folder. The state that a resumed run needs lies beside it in ``<out>.run/``.
    windows
        Fields of :class:`CriticSettings`.
    run
        Fields of :class:`~muse.training.language_model.RunSettings`.
    call
        ``resume``, ``progress``, ``callbacks`` of :func:`muse.training.loop.train`.

    Returns
    -------
    dict
        ``metrics.json``'s content.

    Raises
    ------
    InputError
        A setting is unknown, or there is too little to learn from.
    """
    settings = settings_from(RunSettings, run or {}).sized()
    task = CriticTask(sheets, plans, settings_from(CriticSettings, windows or {}))
    return loop.train(lambda: LanguageModel(task, settings), out, settings.run(devices=devices), **call).metrics()
