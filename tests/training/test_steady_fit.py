"""The gate on how sounds move is fitted, and measured on kinds that it never heard; noise of every kind is sound."""

from __future__ import annotations

import numpy as np
import pytest

from muse.training.recognizer.noise import NOISES, noise
from muse.training.recognizer.steady import KEPT, Moves, fit_steady


@pytest.mark.parametrize("kind", NOISES)
def test_every_kind_makes_sound_of_its_own(kind: str) -> None:
    one, same, other = (noise(kind, 8000, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert one.dtype == np.float32 and 1.4 * 8000 < len(one) < 20.1 * 8000
    assert 0.05 < np.abs(one).max() < 0.9 and np.isfinite(one).all()
    assert len(one) != len(other) or not np.array_equal(one, other)


def test_music_passes_and_kinds_are_refused_unheard(rng: np.random.Generator) -> None:
    n = 100
    music = rng.normal((3, 0, 0, 0), 1, (2 * n, 4))
    hum, crowd = rng.normal((-3, 1, 0, 0), 1, (n, 4)), rng.normal((-3, -1, 0, 0), 1, (20, 4))
    kind = np.repeat(["songs", "tunes", "hum", "crowd"], [n, n, n, 20])
    moves = Moves(np.concatenate([music, hum, crowd]).astype(np.float32), kind, np.isin(kind, ["songs", "tunes"]))
    gate, measured = fit_steady(moves)
    assert np.mean(list(measured["music"].values())) == pytest.approx(KEPT, abs=0.01)
    assert set(measured["left_out"]) == {"hum", "crowd"}
    assert max(measured["other"].values()) < 0.05 and max(measured["left_out"].values()) < 0.2
    assert (gate(moves.figures[moves.is_music]) > 0.5).mean() == pytest.approx(KEPT, abs=0.02)
    assert gate.weight[0] > 0.3
