"""Density: a bar has so many notes at most, and few bars have none."""

from __future__ import annotations

import numpy as np

from muse.grammar.state import Frame, Mask, Row

__all__ = ["MAX_NOTES_PER_BAR", "bar_end", "has_room", "positions"]

MAX_NOTES_PER_BAR = 128  # beyond the densest bar of the corpus; bounds the length of any output
SILENT_BARS_SHARE = 10  # one bar in ten may lack an onset, never the first or the last


def has_room(row: Row) -> bool:
    """Whether another note goes into the bar."""
    return row.notes_in_bar < MAX_NOTES_PER_BAR


def positions(frame: Frame, row: Row) -> Mask | None:
    """None in a full bar."""
    return None if has_room(row) else np.zeros(len(frame.positions), bool)


def bar_end(frame: Frame, row: Row) -> bool:
    """Whether the bar may end: it has notes, or may be silent."""
    if row.notes_in_bar:
        return True
    return 0 < row.bar < frame.n_bars - 1 and row.silent_bars < frame.n_bars // SILENT_BARS_SHARE
