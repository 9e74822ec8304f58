"""Phrases of people's fitted to a plan: kept where the harmony is theirs, moved onto the plan's chords where not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from muse.dataset.lead_sheets import Sheet
from muse.errors import InputError
from muse.evaluate.systems.retrieval import Library
from muse.tokens.plan import Bar, Note, Plan

TUNE = (Note(0, 72, 8), Note(8, 74, 8))


def sheet(song: str, chords: str, pattern: list[int], tonic: int = 0) -> Sheet:
    """Eight bars: the chords twice, each with notes on its beats, `pattern` semitones above its root."""
    plan = Plan.parse(chords, tonic=tonic, mode="major")
    bars = tuple(replace(bar, melody=TUNE) for bar in plan.bars * 2)
    rows = [
        (0, b, 12 * beat, 12, 48 + int(bar.chords[0].root or 0) + step, 60)
        for b, bar in enumerate(bars)
        for beat, step in enumerate(pattern)
    ]
    return Sheet(
        f"pop909/{song}#0", "pop909", "pop", "train", "MIT", 90.0, True, True, replace(plan, bars=bars), True,
        np.array(rows, np.int16), ("keys",), np.full(8, 80, np.int16), 0,
    )  # fmt: skip


ARPEGGIO = sheet("a", "C | F | G | C", [0, 4, 7, 12])
REPEATED = sheet("b", "Dm | Dm | Am | Am", [0, 0, 0, 0])


def pitches(library: Library, plan: Plan, **options: str) -> list[list[int]]:
    return [[note.pitch for note in bar] for bar in library.arrange(plan, **options).notes[0]]


def planned(chords: str, tonic: int) -> Plan:
    plan = Plan.parse(chords, tonic=tonic, mode="major")
    return replace(plan, bars=tuple(replace(bar, melody=TUNE) for bar in plan.bars))


def test_the_phrase_of_the_same_chords_is_found_and_moved_to_the_key() -> None:
    library = Library([REPEATED, ARPEGGIO])
    found = pitches(library, planned("D | G | A | D", 2))
    assert found[0] == [50, 54, 57, 62] and found[1] == [55, 59, 62, 67]
    arrangement = library.arrange(planned("D | G | A | D", 2))
    assert arrangement.lead == (80, 80, 80, 80)
    assert [note.position for note in arrangement.notes[0][0]] == [0, 12, 24, 36]


def test_notes_go_to_the_plans_chord_where_it_differs() -> None:
    found = pitches(Library([ARPEGGIO]), planned("C | F | G | Am", 0))
    assert {pitch % 12 for pitch in found[3]} <= {9, 0, 4}
    assert found[:3] == [[48, 52, 55, 60], [53, 57, 60, 65], [55, 59, 62, 67]]


def test_a_song_can_be_left_out() -> None:
    library = Library([REPEATED, ARPEGGIO])
    assert all(len(set(bar)) == 1 for bar in pitches(library, planned("C | F | G | C", 0), without="pop909/a"))


def test_the_last_phrase_may_be_shorter() -> None:
    assert len(pitches(Library([ARPEGGIO]), planned("C | F | G | C | C | F", 0))) == 6


def test_other_meters_and_empty_libraries_are_refused() -> None:
    with pytest.raises(InputError, match="in 4/4, the plan in 3/4"):
        Library([ARPEGGIO]).arrange(Plan((Bar(),), (3, 4)))
    with pytest.raises(InputError, match="no piano phrase"):
        Library([replace(ARPEGGIO, parts=("plucked",))])
