"""Emotion control and controls of composers of known behavior."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from kit import Musician, few_trees_and_draws, judged_corpora

from muse.errors import InputError
from muse.evaluate import control_correlations
from muse.evaluate.control import ControlSettings, _controls_alone, measure_control
from muse.evaluate.judges import fit_judges
from muse.evaluate.progress import Steps
from muse.intent import Intent
from muse.tokens import SONG_CONTROLS


def test_controls_are_correlated_one_by_one(rng: np.random.Generator) -> None:
    asked = rng.normal(size=(60, 4))
    measured = np.stack(
        [np.exp(asked[:, 0]), -asked[:, 1], asked[:, 2] + rng.normal(0, 1, 60), np.full(60, 3.0)], axis=1
    )
    asked[:5, 0] = np.nan
    rows = control_correlations(asked, measured, ["up", "down", "noisy", "stuck"])
    by_name = {row["name"]: row for row in rows}
    assert [row["name"] for row in rows] == ["up", "noisy", "down", "stuck"]
    assert (by_name["up"]["rho"], by_name["up"]["n"], by_name["down"]["rho"]) == (1.0, 55, -1.0)
    assert by_name["stuck"]["rho"] is None
    noisy = by_name["noisy"]
    assert noisy["low"] < noisy["rho"] < noisy["high"]
    with pytest.raises(InputError, match="do not fit"):
        control_correlations(asked, measured[:, :2], ["up", "down"])


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return judged_corpora(tmp_path_factory.mktemp("corpora"))


@pytest.mark.slow
def test_obedience_is_told_from_chance(corpora: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few_trees_and_draws(monkeypatch)
    seen: list[tuple[float, float]] = []
    musician: Any = Musician()
    judges = fit_judges(corpora)
    good, pieces = measure_control(
        musician,
        corpora,
        ControlSettings(n_pieces=4, bars=8, n_grid=4, n_checked=0, n_folds=2, alone=False),
        judges=judges,
        more_steps=5,
        steps=Steps(lambda done, total: seen.append((done, total))),
    )
    stubborn: Any = Musician(obeys=False)
    few = ControlSettings(n_pieces=4, bars=8, n_grid=0, n_checked=0, n_folds=0, alone=False)
    bad, _ = measure_control(stubborn, corpora, few, judges=judges)
    assert good["quadrants"]["primary"]["accuracy"] >= 0.8
    assert bad["quadrants"]["primary"]["accuracy"] <= 0.5
    assert good["grid"]["primary"]["arousal"]["rho"] > 0.6
    assert 0 < good["grid"]["primary"]["arousal"]["mean_error"] < 0.9
    assert [g["met"] for g in bad["goals"]] == [False]
    assert seen[-1] == (4 * 4 + 16 + 10, 4 * 4 + 16 + 10 + 5)
    low, high = good["quadrants"]["primary"]["interval"]["accuracy"]
    assert low <= good["quadrants"]["primary"]["accuracy"] <= high
    assert good["controls"][0]["rho"] == 1.0
    assert good["unranked"]["primary"]["n"] == len(pieces) == 16


def test_controls_are_also_asked_for_one_by_one() -> None:
    """A composer that obeys one control and ignores the others is found out."""

    class OneTrick:
        controls = SimpleNamespace(song=np.tile(np.arange(1.0, 8.0), (len(SONG_CONTROLS), 1)) * 10)

        def compose(self, intent: Intent, *, seed: int) -> Any:
            rng = np.random.default_rng(seed)
            measured = [
                {name: value if name == "Mean Pitch" else rng.normal() for name, value in intent.attributes.items()}
                for _ in range(4)
            ]
            return SimpleNamespace(candidates=[SimpleNamespace(measured=row) for row in measured])

    steps = Steps()
    rows = _controls_alone(OneTrick(), steps)  # type: ignore[arg-type]
    assert rows[0]["name"] == "Mean Pitch" and rows[0]["rho"] == 1.0 and rows[0]["n"] == 20
    assert len(rows) == len(SONG_CONTROLS) and steps.done == 5 * len(SONG_CONTROLS)
    assert abs(rows[1]["rho"]) < 0.9


def test_impossible_requests_are_refused_before_any_work(tmp_path: Path) -> None:
    musician: Any = Musician()
    with pytest.raises(InputError, match=r"n_pieces=1: at least 2; n_grid=1: 0, or at least 2"):
        ControlSettings(n_pieces=1, n_grid=1)
    with pytest.raises(InputError, match="emopia-nc"):
        measure_control(musician, tmp_path)
    assert musician.calls == 0
