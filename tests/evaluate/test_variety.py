"""How alike pieces are: phrases and spread against small cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from muse.evaluate.metrics.variety import distinct_phrases, phrases, shared_phrases, spread_ratio
from muse.score import NOTE_DTYPE


def line(pitches: list[int], step_sec: float = 0.5) -> np.ndarray:
    notes = np.zeros(len(pitches), NOTE_DTYPE)
    notes["pitch"], notes["onset_sec"], notes["duration_sec"] = pitches, np.arange(len(pitches)) * step_sec, step_sec
    return notes


def test_phrases_are_intervals_with_time_classes() -> None:
    assert phrases(line([60, 62, 64, 65, 67])) == [((2, -2), (2, -2), (1, -2), (2, -2))]
    assert phrases(line([60, 62, 64, 65, 67], 1.0)) == [((2, 0), (2, 0), (1, 0), (2, 0))]
    assert phrases(line([60])) == phrases(line([])) == []
    chord = line([60, 62, 64, 65, 67])
    under = chord.copy()
    under["pitch"] -= 12
    both = np.concatenate([chord, under])
    assert phrases(both) == phrases(chord)  # chords count by their highest note
    assert len(phrases(line(list(range(40, 80))), limit=10)) == 6


def test_variety_within_a_group() -> None:
    trill = phrases(line([60, 62] * 10))
    scale = phrases(line([60, 62, 64, 65, 67, 69, 71, 72]))
    assert distinct_phrases([trill]) == pytest.approx(2 / 16)
    assert distinct_phrases([scale, scale]) == pytest.approx(0.5)
    assert shared_phrases([scale, scale]) == 1.0
    assert shared_phrases([scale, trill]) == 0.0
    assert np.isnan(distinct_phrases([]))
    assert np.isnan(shared_phrases([scale]))


def test_spread_is_relative_to_the_reference() -> None:
    reference = np.array([[0.0, 5.0], [2.0, 5.0]])
    np.testing.assert_allclose(spread_ratio(np.array([[0.0, 1.0], [1.0, 2.0]]), reference), [0.5, np.nan])
