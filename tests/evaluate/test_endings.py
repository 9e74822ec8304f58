"""How pieces end, and how loud they are, where it is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from kit import beats

from muse.evaluate.metrics.endings import find_ending
from muse.evaluate.metrics.loudness import measure_loudness, people_loudness

C, G, AM = [48, 52, 55, 60], [43, 55, 59, 62], [45, 52, 57, 60]


def chords(*bars: list[int], length: float = 4.0) -> np.ndarray:
    return beats([(4.0 * b, length, pitch) for b, bar in enumerate(bars) for pitch in bar])


def test_a_piece_that_comes_home() -> None:
    ending = find_ending(chords(C, G, C), 4.0, tonic=0)
    assert ending is not None and ending.n_notes == 4 and ending.on_tonic
    assert ending.height == pytest.approx(np.mean(C) - np.mean(C + G))
    assert find_ending(chords(C, G, C), 4.0, tonic=7) is not None


def test_half_closes_and_deceptive_ones_are_not_on_the_tonic() -> None:
    for last in (G, AM):
        ending = find_ending(chords(C, G, C, last), 4.0, tonic=0)
        assert ending is not None and not ending.on_tonic


def test_a_cluster_over_the_music_is_seen() -> None:
    cluster = beats([(8.0, 4.0, pitch) for pitch in range(84, 91)])
    ending = find_ending(np.concatenate([chords(C, G), cluster]), 4.0, tonic=0)
    assert ending is not None and ending.n_notes == 7
    assert ending.height == pytest.approx(87 - np.mean(C + G))


def test_what_is_held_belongs_to_the_last_chord_and_what_has_ended_does_not() -> None:
    held = beats([(0.0, 8.0, 36), (4.0, 1.0, 60), (6.0, 2.0, 64)])
    ending = find_ending(held, 4.0, tonic=0)
    assert ending is not None and ending.n_notes == 2


def test_drums_alone_have_no_ending_and_one_note_no_height() -> None:
    assert find_ending(beats([(0, 1, 36)], program=128), 4.0, 0) is None
    ending = find_ending(beats([(0, 1, 36)]), 4.0, 0)
    assert ending is not None and math.isnan(ending.height)


def test_loudness_is_mean_and_spread() -> None:
    notes = np.concatenate([beats([(0, 1, 60)], velocity=50), beats([(1, 1, 60)], velocity=70)])
    assert measure_loudness(notes) == {"mean": 60.0, "spread": 10.0}
    assert all(math.isnan(value) for value in measure_loudness(notes[:0]).values())


def test_people_play_lively_music_louder() -> None:
    """The means of all clips are 77, 79, 54 and 53, the spread about 12."""
    mean, spread = ([people_loudness(q, figure) for q in (1, 2, 3, 4)] for figure in ("mean", "spread"))
    assert all(low < middle < high for low, middle, high in (*mean, *spread))
    assert min(low for low, *_ in mean[:2]) > max(high for *_, high in mean[2:])
    assert all(8 < middle < 16 for _, middle, _ in spread)
