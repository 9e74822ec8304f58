"""Instruments: programs rise within a chord, and one is named only when it changes."""

from __future__ import annotations

from muse.grammar.state import Frame, Mask, Row

__all__ = ["programs"]


def programs(frame: Frame, row: Row) -> Mask:
    """Programs later in the chord than the last note's, other than the one in force."""
    return (frame.ranks > row.chord_rank) & (frame.ranks != row.program)
