"""Who plays, what is out of range, what cannot be played, and where the tune lies: scores whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from kit import beats

from muse.evaluate.metrics.ensemble import check_parts, check_tune
from muse.tokens.plan import Bar, Note, Plan

FLUTE, VIOLIN, PIANO, DRUMS = 73, 40, 0, 128


def test_each_instrument_is_counted_in_the_bars_in_which_it_sounds() -> None:
    flute = beats([(0, 1, 72), (7, 2, 74)], FLUTE, 0)  # the second note reaches into the third bar
    piano = beats([(0, 4, 60)], PIANO, 1)
    one, two = check_parts(np.concatenate([flute, piano]), [FLUTE, PIANO], 4.0, 4)
    assert (one.program, one.bar_rate, one.n_notes) == (FLUTE, 0.75, 2)
    assert (two.bar_rate, two.n_out_of_range, two.n_too_many) == (0.25, 0, 0)


def test_two_violins_need_two_tracks() -> None:
    first = beats([(0, 4, 72), (4, 4, 74)], VIOLIN, 0)
    alone = check_parts(first, [VIOLIN, VIOLIN], 4.0, 2)
    assert [part.bar_rate for part in alone] == [1.0, 0.0]
    second = beats([(0, 4, 72), (4, 4, 67)], VIOLIN, 1)
    both = check_parts(np.concatenate([first, second]), [VIOLIN, VIOLIN], 4.0, 2)
    assert [part.bar_rate for part in both] == [1.0, 1.0]
    assert math.isnan(both[0].unison) and both[1].unison == 0.5  # one note of two is the first violin's


def test_range_and_polyphony_are_those_of_the_table() -> None:
    low = beats([(0, 1, 40), (1, 1, 72)], FLUTE)
    assert check_parts(low, [FLUTE], 4.0, 1)[0].n_out_of_range == 1
    overlapping = beats([(0, 2, 72), (1, 1, 74), (2, 1, 76)], FLUTE)
    assert check_parts(overlapping, [FLUTE], 4.0, 1)[0].n_too_many == 1
    chord = beats([(0, 1, pitch) for pitch in (60, 64, 67)], VIOLIN)
    assert check_parts(chord, [VIOLIN], 4.0, 1)[0].n_too_many == 3  # a bow reaches two strings
    assert check_parts(beats([(0, 1, 20), (0, 1, 36)], DRUMS), [DRUMS], 4.0, 1)[0].n_out_of_range == 1


TUNE = Plan((Bar(melody=(Note(0, 72, 8), Note(8, 76, 8))), Bar(melody=(Note(0, 79, 16),))))


def test_a_tune_on_top_is_heard_and_one_that_is_buried_is_not() -> None:
    tune = [(0.0, 2.0, 72), (2.0, 2.0, 76), (4.0, 4.0, 79)]
    below, above = [(0.0, 8.0, 48)], [(0.0, 8.0, 84)]  # the upper C is the tune's first note an octave up
    found = check_tune(beats(tune + below), TUNE)
    assert (found.played, found.on_top, found.alone, found.heard) == (1.0, 1.0, False, True)
    assert not check_tune(beats(tune + above + [(1.0, 1.0, 50)]), TUNE).heard
    assert check_tune(beats(tune + above + [(1.0, 1.0, 50)]), TUNE).on_top == 0.0


def test_a_tune_of_an_instrument_of_its_own_may_lie_below() -> None:
    cello = beats([(0.0, 2.0, 48), (2.0, 2.0, 52), (4.0, 4.0, 55)], 42, 0)  # two octaves down
    piano = beats([(0.0, 4.0, 84), (4.0, 4.0, 86)], PIANO, 1)
    found = check_tune(np.concatenate([cello, piano]), TUNE)
    assert found.alone and found.on_top == 0.0 and found.heard


def test_a_tune_that_is_not_played_is_missed() -> None:
    found = check_tune(beats([(0.0, 2.0, 72), (2.0, 2.0, 75), (4.0, 4.0, 79)]), TUNE)
    assert found.played == pytest.approx(2 / 3) and not found.heard
    assert math.isnan(check_tune(beats([(0, 1, 60)]), Plan((Bar(),))).played)
    assert check_tune(beats([(1.0, 1.0, 61)]), TUNE).played == 0.0
