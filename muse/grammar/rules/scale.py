"""Scale: no pitch class that was ruled out."""

from __future__ import annotations

from muse.grammar.state import Frame, Mask, Row

__all__ = ["pitches"]


def pitches(frame: Frame, row: Row) -> Mask | None:
    """Pitches of the classes that are left; drums have none."""
    return frame.in_scale
