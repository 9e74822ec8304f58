"""Rules of the grammar, one by one: what each lets pass in a state that is written down."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from muse.grammar import Constraints
from muse.grammar.rules import bars, chord, density, instruments, restrike
from muse.grammar.state import Frame, Row
from muse.score import DRUMS
from muse.tokens.vocabulary import Vocabulary

V = Vocabulary.default()
ASKED = Constraints(8, (4, 4), 100.0, (40, 0, DRUMS), [[V["Section_start"]], [V["Section_end"]]])


def frame(**changes: object) -> Frame:
    return Frame(V, dataclasses.replace(ASKED, **changes))


def row(of: Frame, **changes: object) -> Row:
    return dataclasses.replace(of.row(), **{"bar": 1, "last": "Duration", "program": 0, **changes})


def pitches(mask: np.ndarray | None) -> set[int]:
    assert mask is not None
    return set((V.pitch_values[slice(*V.pitch)][mask]).tolist())


def test_programs_rise_within_a_chord_and_change_when_named() -> None:
    of = frame()
    assert of.programs == [0, 40, DRUMS]
    assert instruments.programs(of, row(of, program=1, chord_rank=0)).tolist() == [False, False, True]
    assert instruments.programs(of, row(of, program=0)).tolist() == [False, True, True]


def test_pitches_rise_within_a_chord() -> None:
    of = frame()
    assert chord.pitches(of, row(of, chord_rank=-1, pitch=V["Pitch_60"])) is None
    assert min(pitches(chord.pitches(of, row(of, chord_rank=0, pitch=V["Pitch_60"])))) == 61
    drums = chord.drum_pitches(of, row(of, program=2, chord_rank=2, pitch=V["PitchDrum_36"]))
    assert np.flatnonzero(drums)[0] == 37 - 27


@pytest.mark.parametrize(("steps", "may"), [(0, False), (1, False), (2, True)])
def test_a_pitch_rests_for_a_sixth_of_a_beat(steps: int, may: bool) -> None:
    of = frame()
    state = row(of, position=10)
    state.struck[0, 60 - 21] = of.bar_steps + 10 - steps
    assert (60 in pitches(restrike.pitches(of, state))) == may
    assert 61 in pitches(restrike.pitches(of, state))


def test_full_bars_take_no_more_and_few_bars_are_silent() -> None:
    of = frame(n_bars=12, section_ids=[[1]] * 3)
    full = row(of, notes_in_bar=density.MAX_NOTES_PER_BAR)
    assert not density.has_room(full)
    assert not density.positions(of, full).any()  # type: ignore[union-attr]
    assert density.positions(of, row(of)) is None
    assert density.bar_end(of, row(of))
    assert not density.bar_end(of, row(of, silent_bars=1))
    assert not density.bar_end(of, row(of, bar=0)) and not density.bar_end(of, row(of, bar=11))
    assert density.bar_end(of, row(of, bar=11, notes_in_bar=1))


def test_positions_lie_in_the_bar_and_lengths_in_the_piece() -> None:
    of = frame(sustained_end=True)
    assert np.flatnonzero(bars.positions(of, row(of, position=10)))[[0, -1]].tolist() == [11, 47]
    assert np.flatnonzero(bars.positions(of, row(of, last="TimeSig")))[0] == 0
    assert np.flatnonzero(bars.positions(of, row(of, bar=7)))[-1] == 24
    assert V.duration_steps[bars.durations(of, row(of, bar=7, position=40))].max() == 8
    assert bars.end_token(of, row(of)) == V.bar
    assert bars.end_token(of, row(of, bar=3)) == V["Section_end"]
    assert bars.end_token(of, row(of, bar=7)) == V.eos
