"""Restriking: no instrument repeats a pitch at once."""

from __future__ import annotations

from muse.grammar.state import Frame, Mask, Row

__all__ = ["pitches"]

MIN_RESTRIKE_STEPS = 2  # a sixth of a beat: faster repeats of one key are tokenisation noise, not music


def pitches(frame: Frame, row: Row) -> Mask:
    """Pitches that the instrument in force has not struck just before."""
    return row.now(frame) - row.struck[row.program] >= MIN_RESTRIKE_STEPS
