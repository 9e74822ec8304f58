"""The tune: its notes are written, each where it belongs and as long as it should be, and while one of them sounds no
other note of its instrument is as high."""

from __future__ import annotations

import numpy as np

from muse.grammar.state import Frame, Mask, Row, TuneNote

__all__ = [
    "bar_end", "durations", "is_due", "is_next", "pitches", "positions", "programs", "required_pitches",
    "required_positions",
]  # fmt: skip


def awaited(frame: Frame, row: Row) -> TuneNote | None:
    """The next note of the tune where it stands in this bar."""
    note = frame.tune[row.tune] if row.tune < len(frame.tune) else None
    return note if note is not None and note.bar == row.bar else None


def is_due(frame: Frame, row: Row) -> bool:
    """Whether the next note of the tune stands at the open position."""
    note = awaited(frame, row)
    return note is not None and row.at_position and note.position == row.position


def is_next(frame: Frame, row: Row, token: int) -> bool:
    """Whether a pitch that is taken is the next note of the tune."""
    note = awaited(frame, row)
    if note is None or row.program != frame.tune_rank:
        return False
    return note.position == row.position and token == frame.tune_ids[row.tune]


def programs(frame: Frame, row: Row) -> Mask | None:
    """No instrument later in the chord than the tune's before a note that is due."""
    return frame.ranks <= frame.tune_rank if is_due(frame, row) else None


def pitches(frame: Frame, row: Row) -> Mask | None:
    """In the tune's instrument, pitches below the note that sounds and below the one that is due."""
    if row.program != frame.tune_rank:
        return None
    below = _sounding(frame, row)
    note = awaited(frame, row)
    if note is not None and note.position == row.position:
        below = min(below, frame.tune_ids[row.tune])
    return frame.pitch_ids < below


def required_pitches(frame: Frame, row: Row) -> Mask | None:
    """The note of the tune that is due."""
    note = awaited(frame, row)
    if note is None or row.program != frame.tune_rank or note.position != row.position:
        return None
    return frame.pitch_ids == frame.tune_ids[row.tune]


def durations(frame: Frame, row: Row) -> Mask | None:
    """For a note of the tune, the nearest to its length; required as well, whatever else is asked for."""
    if not row.in_tune:
        return None
    steps = frame.vocabulary.duration_steps
    nearest = np.abs(steps - frame.tune[row.tune - 1].steps).argmin()
    return np.asarray(np.arange(len(steps)) == nearest)


def positions(frame: Frame, row: Row) -> Mask | None:
    """The place of the next note of the tune and all before it: no instrument writes past that note."""
    note = awaited(frame, row)
    return None if note is None else frame.positions <= note.position


def required_positions(frame: Frame, row: Row) -> Mask | None:
    """Where the next note of the tune stands, unless that is here."""
    note = awaited(frame, row)
    if note is None or is_due(frame, row):
        return None
    return frame.positions == note.position


def bar_end(frame: Frame, row: Row) -> bool:
    """The bar ends after its last note of the tune."""
    return awaited(frame, row) is None


def _sounding(frame: Frame, row: Row) -> int:
    """Id of the pitch of the tune that still sounds; beyond all pitches where none does."""
    if row.tune:
        note = frame.tune[row.tune - 1]
        if row.now(frame) < note.bar * frame.bar_steps + note.position + note.steps:
            return frame.tune_ids[row.tune - 1]
    return frame.vocabulary.pitch[1]
