"""Bars: positions rise within a bar and lie in it; no note lasts beyond the end of the piece."""

from __future__ import annotations

from muse.grammar.state import Frame, Mask, Row
from muse.tokens.vocabulary import SECTION_BARS

__all__ = ["durations", "end_token", "positions"]


def positions(frame: Frame, row: Row) -> Mask:
    """Positions after the open one; in the last bar, those where a note may still begin."""
    last = frame.last_onset if row.bar == frame.n_bars - 1 else frame.bar_steps - 1
    first = row.position + 1 if row.at_position else 0
    return (frame.positions >= first) & (frame.positions <= last)


def durations(frame: Frame, row: Row) -> Mask:
    """Lengths that the piece has room for."""
    return frame.vocabulary.duration_steps <= frame.n_bars * frame.bar_steps - row.now(frame)


def end_token(frame: Frame, row: Row) -> int:
    """The one token that ends the bar: the next bar line, the next section, or the end."""
    if row.bar == frame.n_bars - 1:
        return frame.vocabulary.eos
    if (row.bar + 1) % SECTION_BARS == 0:
        return frame.section_ids[(row.bar + 1) // SECTION_BARS][0]
    return frame.vocabulary.bar
