"""The causal language models: killed runs go on exactly, several processes learn what one learns, the optimiser."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from muse.checkpoint import load_tensors
from muse.errors import InputError
from muse.training.language_model import IGNORED, Muon, RunSettings, causal_attention, pad

# What the processes of the tests below run: a task of counting upwards, in its own file as several of them read it.
COUNTING = """
import json, os, random, signal, sys, time
from pathlib import Path
import numpy as np
from muse.training import loop
from muse.training.language_model import IGNORED, LanguageModel, RunSettings, pad

class Counting:
    vocab_size = 24
    def batch(self, number):
        rng = np.random.default_rng([7, number])
        return pad([self.row(rng) for _ in range(2)])
    def row(self, rng):
        first, n = int(rng.integers(1, 12)), int(rng.integers(6, 12))
        ids = [1 + (first + i) % 23 for i in range(n)]
        return ids, [IGNORED, *ids[1:]]
    def validation(self):
        rng = np.random.default_rng(5)
        return [pad([self.row(rng)]) for _ in range(3)]
    def settings_json(self):
        return {}
    def write(self, folder):
        pass
    def card(self, name, metrics):
        return name

def run(out, steps, accumulate=1, devices=1, strategy="ddp", pause=0.0, **more):
    length = {"max_steps": steps, "warmup_steps": 2, "validate_every": 2}
    settings = RunSettings(**length, accumulate=accumulate, seed=3)
    how = settings.run(devices=devices, strategy=strategy, threads=1)
    wait = (lambda share: time.sleep(pause)) if pause else None
    return loop.train(lambda: LanguageModel(Counting(), settings), out, how, on_step=wait, **more)
"""
KILLED = (
    COUNTING
    + """
out, n_kills = Path(sys.argv[1]), 4
state, rng, seen = loop.state_path(out / "killed"), random.Random(11), []
for _ in range(n_kills):  # PyTorch is loaded once, and each run is a fork of this process
    child = os.fork()
    if child == 0:
        run(out / "killed", 14, pause=0.05)
        os._exit(0)
    before = state.stat().st_mtime_ns if state.exists() else 0
    while not state.exists() or state.stat().st_mtime_ns == before:  # some steps farther than the last time
        time.sleep(0.002)
    time.sleep(rng.uniform(0, 0.12))
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
if os.fork() == 0:
    learner = run(out / "killed", 14)
    print(json.dumps(learner.history), flush=True)
    os._exit(0)
os.wait()
"""
)
SEVERAL = (
    COUNTING
    + """
import lightning

class StopAt(lightning.Callback):
    def on_train_batch_end(self, trainer, *_):
        trainer.should_stop = trainer.global_step >= STOP

if STOP:
    run(Path(sys.argv[1]), 8, accumulate=2, devices=2, strategy=STRATEGY, callbacks=[StopAt()])
learner = run(Path(sys.argv[1]), 8, accumulate=2, devices=2, strategy=STRATEGY)
if loop.is_first_process():
    print(json.dumps(learner.history))
"""
)


def learnt(script: str, tmp_path: Path, out: str) -> list[dict[str, float]]:
    """History that a script of its own prints."""
    (tmp_path / "script.py").write_text(script, encoding="utf-8")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        [sys.executable, str(tmp_path / "script.py"), str(tmp_path / out)], env=environment, capture_output=True,
        text=True, timeout=300,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def run_here(out: Path, steps: int, **options: int) -> list[dict[str, float]]:
    names: dict[str, object] = {}
    exec(COUNTING, names)
    return names["run"](out, steps, **options).history  # type: ignore[operator]


def same_weights(a: Path, b: Path) -> None:
    a_tensors, b_tensors = load_tensors(a, "pt"), load_tensors(b, "pt")
    assert a_tensors.keys() == b_tensors.keys()
    for name, tensor in a_tensors.items():
        assert torch.equal(tensor, b_tensors[name]), name


def test_a_run_that_is_killed_again_and_again_ends_as_one_that_is_not(tmp_path: Path) -> None:
    history = learnt(KILLED, tmp_path, ".")
    whole = run_here(tmp_path / "whole", 14)
    assert [row["step"] for row in whole] == [2, 4, 6, 8, 10, 12, 14]
    assert whole[-1]["val_loss"] < whole[0]["val_loss"]
    for row, other in zip(history, whole, strict=True):
        for name in ("step", "tokens", "val_loss", "train_loss"):
            assert row[name] == other[name]
    same_weights(tmp_path / "killed", tmp_path / "whole")
    last = [torch.load(tmp_path / f"{name}.run" / "last.ckpt", weights_only=True) for name in ("killed", "whole")]
    for name, tensor in last[1]["state_dict"].items():
        assert torch.equal(last[0]["state_dict"][name], tensor)
    assert not [path for path in (tmp_path / "killed.run").iterdir() if ".part" in path.name]


@pytest.mark.parametrize(("strategy", "stop"), [("ddp", 0), pytest.param("fsdp", 4, marks=pytest.mark.slow)])
def test_two_processes_learn_what_one_learns(tmp_path: Path, strategy: str, stop: int) -> None:
    """Both take half of the batches of a step; only the order of additions differs. Weights that are shared out are
    written whole, and a run of theirs that was stopped goes on."""
    two = learnt(f"STRATEGY, STOP = {strategy!r}, {stop}\n{SEVERAL}", tmp_path, "two")
    one = run_here(tmp_path / "one", 8, accumulate=2)
    assert [row["step"] for row in two] == [row["step"] for row in one] == [2, 4, 6, 8]
    for row, other in zip(two, one, strict=True):
        assert row["tokens"] == other["tokens"]
        # Products in bfloat16 round by the shape of the batch, on some processors more than on others.
        assert row["train_loss"] == pytest.approx(other["train_loss"], abs=5e-3)
        assert row["val_loss"] == pytest.approx(other["val_loss"], abs=5e-3)
    weights, wanted = load_tensors(tmp_path / "two", "pt"), load_tensors(tmp_path / "one", "pt")
    assert weights.keys() == wanted.keys()
    for name, tensor in weights.items():
        assert torch.allclose(tensor.float(), wanted[name].float(), atol=0.02), name
    half = run_here(tmp_path / "half", 8, accumulate=1)
    assert abs(half[-1]["val_loss"] - one[-1]["val_loss"]) > 0.01  # so the test can tell


def test_minutes_are_a_length_too(tmp_path: Path) -> None:
    names: dict[str, object] = {}
    exec(COUNTING, names)
    settings = RunSettings(minutes=1e-4, warmup_steps=1, validate_minutes=1.0, seed=3)
    model, train = names["LanguageModel"], names["loop"].train  # type: ignore[attr-defined]
    rates = []

    class Watched(model):  # type: ignore[misc, valid-type]
        def before_step(self, optimizer: torch.optim.Optimizer) -> None:
            super().before_step(optimizer)
            rates.append(optimizer.param_groups[0]["lr"])

    def make() -> Watched:
        return Watched(names["Counting"](), settings)  # type: ignore[operator]

    learner = train(make, tmp_path / "short", settings.run())
    assert learner.done == 1
    assert rates[0] == 0.02
    again = train(make, tmp_path / "short", settings.run())
    assert (again.global_step, len(again.history)) == (learner.global_step, 1)  # a finished run stays finished
    assert len(rates) == learner.global_step
    with pytest.raises(InputError, match="of size micro, not tiny"):
        train(lambda: model(names["Counting"](), RunSettings(size="tiny")), tmp_path / "short", settings.run())  # type: ignore[operator]


def test_runs_without_length_or_batches_are_refused() -> None:
    with pytest.raises(InputError, match="0 steps or 0 minutes trains nothing"):
        RunSettings(minutes=0).run()
    with pytest.raises(InputError, match="0 batches"):
        RunSettings(accumulate=0).run()


def test_attention_shares_keys_and_is_causal() -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(2, 4, 37, 8), torch.randn(2, 2, 37, 8), torch.randn(2, 2, 37, 8)
    found, _ = causal_attention(torch.nn.Module(), query, key, value, None, 8**-0.5)
    key, value = key.repeat_interleave(2, 1), value.repeat_interleave(2, 1)  # heads 0 and 1 share the first
    hidden = torch.ones(37, 37, dtype=torch.bool).triu(1)
    weights = (query @ key.mT * 8**-0.5).masked_fill(hidden, float("-inf")).softmax(-1)
    torch.testing.assert_close(found, (weights @ value).transpose(1, 2))


def test_dropout_leaves_channels_out_in_training_alone() -> None:
    names: dict[str, object] = {}
    exec(COUNTING, names)
    learner = names["LanguageModel"](names["Counting"](), RunSettings(size="tiny", dropout=0.5))  # type: ignore[operator]
    ids = torch.arange(12)[None] % 5 + 1

    def logits() -> torch.Tensor:
        with torch.no_grad():
            return learner.model(ids).logits

    learner.eval()
    torch.testing.assert_close(logits(), logits())
    learner.train()
    assert (logits() - logits()).abs().max() > 0.01


def test_the_optimiser_is_adamw_beside_orthogonal_steps() -> None:
    torch.manual_seed(0)
    matrix, norm = torch.nn.Parameter(torch.randn(6, 4)), torch.nn.Parameter(torch.randn(5))
    ours = Muon([matrix], [norm], lr=0.1, other_lr=0.01, momentum=0.95, weight_decay=0.1)
    twin = torch.nn.Parameter(norm.detach().clone())
    theirs = torch.optim.AdamW([twin], lr=0.01, betas=(0.9, 0.95), weight_decay=0.1)
    for _ in range(5):
        matrix.grad, norm.grad = torch.randn(6, 4), torch.randn(5)
        twin.grad = norm.grad.clone()
        before = matrix.detach().clone()
        ours.step()
        theirs.step()
        assert torch.equal(norm, twin)
        step = (before * (1 - 0.1 * 0.1) - matrix.detach()) / 0.1 / (6 / 4) ** 0.5
        spread = torch.linalg.svdvals(step.float())
        assert 0.5 < float(spread.min()) <= float(spread.max()) < 1.4


def test_sequences_are_padded_on_the_right() -> None:
    ids, labels = pad([([1, 2, 3], [IGNORED, 2, 3]), ([4], [4])])
    np.testing.assert_array_equal(ids, [[1, 2, 3], [4, 0, 0]])
    np.testing.assert_array_equal(labels, [[IGNORED, 2, 3], [4, IGNORED, IGNORED]])
