"""One run for everything that trains: reports, the end of a short run, time limits, exact resuming."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from muse.checkpoint import load_tensors, save_tensors
from muse.errors import InputError

lightning = pytest.importorskip("lightning")

from muse.training.loop import Learner, Run, card, cosine, scheduled, settings_from, state_path, train  # noqa: E402


class Line(Learner):
    """A line through points, with dropout, whose measure rises from step `spoilt_from` on."""

    best_by = "error"

    def __init__(self, spoilt_from: int = 10**9) -> None:
        super().__init__(seed=3)
        self.layer = torch.nn.Linear(4, 1)
        self.dropout = torch.nn.Dropout(0.5)
        self.spoilt_from = spoilt_from
        self.n_batches = 0

    def batches(self, first: int) -> Iterator[torch.Tensor]:
        number = first
        while True:
            x = np.random.default_rng([3, number]).normal(size=(8, 4)).astype(np.float32)
            yield torch.from_numpy(x)
            number += 1

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        self.n_batches += 1
        return (self.layer(self.dropout(batch)).squeeze(1) - batch.sum(dim=1)).square().mean()

    def measure(self) -> dict[str, float]:
        error = float((self.layer.weight - 1).square().sum()) + (100.0 if self.global_step >= self.spoilt_from else 0.0)
        return {"error": error, "batches": float(self.n_batches)}

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), lr=0.05)
        return scheduled(optimizer, lambda step: cosine(step, 2, 40))

    def state(self) -> dict[str, Any]:
        return {"n_batches": self.n_batches}

    def take_state(self, state: Mapping[str, Any]) -> None:
        self.n_batches = state["n_batches"]

    def write(self, folder: Path) -> None:
        save_tensors(dict(self.layer.state_dict()), folder)

    def settings_json(self) -> dict[str, Any]:
        return {"spoilt_from": self.spoilt_from}

    def card(self, name: str) -> str:
        facts = {"steps": f"{self.best['step']:.0f}"}
        return card(f"A line, `{name}`", ("line",), "Text.", facts, "Note.", head={"license": "mit"})


class StopAt(lightning.Callback):  # type: ignore[misc, name-defined]
    """What a kill does, in an orderly way."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: Any, *_: object) -> None:
        trainer.should_stop = trainer.global_step >= self.step


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("stop", [4, 5])
def test_a_run_that_was_stopped_goes_on_exactly(tmp_path: Path, accumulate: int, stop: int) -> None:
    run = Run(max_steps=12, report_every=4, seed=3, accumulate=accumulate)
    whole = train(Line, tmp_path / "whole", run)
    train(Line, tmp_path / "parts", run, callbacks=[StopAt(stop)])
    parts = train(Line, tmp_path / "parts", run)
    assert whole.n_batches == parts.n_batches == 12 * accumulate
    assert [row["step"] for row in whole.history] == [4, 8, 12]
    assert [row["step"] for row in parts.history] == sorted({4, stop, 8, 12})
    assert parts.history[-1]["error"] == whole.history[-1]["error"]
    a, b = (load_tensors(tmp_path / name, "np") for name in ("whole", "parts"))
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])


def test_a_run_shorter_than_a_report_is_measured_and_written(tmp_path: Path) -> None:
    learner = train(Line, tmp_path / "short", Run(max_steps=3, report_every=500, seed=3))
    assert [row["step"] for row in learner.history] == [3]
    assert load_tensors(tmp_path / "short", "np")["weight"].shape == (1, 4)
    metrics = json.loads((tmp_path / "short" / "metrics.json").read_text())
    assert metrics["best"] == metrics["history"][0]
    assert metrics["n_parameters"] == 5
    text = (tmp_path / "short" / "README.md").read_text()
    assert text.startswith("---\nlicense: mit\ntags: [line]\n---\n\n# A line, `short`\n")
    assert "| steps | 3 |" in text


def test_the_best_weights_are_kept(tmp_path: Path) -> None:
    run = Run(max_steps=20, report_every=5, seed=3)
    learner = train(lambda: Line(spoilt_from=15), tmp_path / "best", run)
    assert learner.best["step"] == 10
    train(Line, tmp_path / "until", Run(max_steps=10, report_every=5, seed=3))
    a, b = (load_tensors(tmp_path / name, "np") for name in ("best", "until"))
    np.testing.assert_array_equal(a["weight"], b["weight"])
    assert "| steps | 10 |" in (tmp_path / "best" / "README.md").read_text()
    assert len(json.loads((tmp_path / "best" / "metrics.json").read_text())["history"]) == 4


def test_a_time_limit_ends_a_run_and_the_next_call_goes_on(tmp_path: Path) -> None:
    shares: list[float] = []
    late = Run(max_steps=4, report_every=4, seed=3, max_minutes=1e-9)
    steps = [train(Line, tmp_path / "late", late, on_step=shares.append).global_step for _ in range(5)]
    assert steps == [1, 2, 3, 4, 4]  # a finished run stays finished
    assert shares == [0.25, 0.5, 0.75, 1.0]


def test_devices_that_are_not_there_are_refused(tmp_path: Path) -> None:
    for devices in ("two", 0, -1):
        with pytest.raises(InputError, match="give a number from 1 on, or auto"):
            train(Line, tmp_path / "run", Run(max_steps=2, report_every=2, devices=devices))
    with pytest.raises(InputError, match="unknown strategy 'fspd': did you mean 'fsdp'"):
        train(Line, tmp_path / "run", Run(max_steps=2, report_every=2, strategy="fspd"))


def test_restarting_forgets_the_run(tmp_path: Path) -> None:
    run = Run(max_steps=2, report_every=2, seed=3)
    train(Line, tmp_path / "run", run)
    assert len(train(Line, tmp_path / "run", run, resume=False).history) == 1


def test_a_state_that_would_run_code_is_not_opened(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, tuple[str, ...]]:
            return (Path.touch, (Path(tmp_path / "ran"),))  # type: ignore[return-value]

    path = state_path(tmp_path / "run")
    path.parent.mkdir()
    torch.save({"state_dict": {}, "x": Evil()}, path)
    with pytest.raises(InputError, match=r"last\.ckpt is no state of a run"):
        train(Line, tmp_path / "run", Run(max_steps=2, report_every=2, seed=3))
    assert not (tmp_path / "ran").exists()


@dataclass(frozen=True)
class Options:
    learning_rate: float = 0.1


def test_unknown_settings_are_named_with_what_was_meant() -> None:
    assert settings_from(Options, {"learning_rate": 1.0}) == Options(1.0)
    with pytest.raises(InputError, match="unknown training setting 'leraning_rate': did you mean 'learning_rate'"):
        settings_from(Options, {"leraning_rate": 1})
