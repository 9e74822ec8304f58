"""Is a piece what was asked for? Bars, meter, instruments, silence and end.

Contents: :class:`PieceCheck`, :func:`check_piece`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from muse.intent import Intent
from muse.score import Score, bar_grid, note_array

__all__ = ["PieceCheck", "check_piece"]

TICK_BEAT = 1e-3
"""Tolerance for positions, in beats: less than one tick at any common resolution."""


@dataclass(frozen=True)
class PieceCheck:
    """What a piece has, beside what was asked. ``faults`` is empty where nothing differs."""

    bars_asked: int
    bars: int
    """Bars, in the meter asked for, up to the end of the last sounding note."""
    meter_kept: bool
    """Every bar has the time signature asked for."""
    n_notes: int
    n_beyond_end: int
    """Notes that start or still sound after the last bar asked for."""
    foreign_programs: tuple[int, ...]
    """Programs (128 = drums) that play and were not asked for."""
    missing_programs: tuple[int, ...]
    """Programs that were asked for and never play."""
    least_bar_rate: float
    """Share of the bars asked for in which that instrument plays which plays least of those asked for, 0..1."""
    n_silent_bars: int
    """Bars of those asked for in which nothing sounds."""

    @property
    def faults(self) -> tuple[str, ...]:
        """Names of the promises that are broken."""
        found = {
            "bars": self.bars != self.bars_asked,
            "meter": not self.meter_kept,
            "end": self.n_beyond_end > 0,
            "foreign instruments": bool(self.foreign_programs),
            "missing instruments": bool(self.missing_programs),
            "silence": self.n_silent_bars > 0.1 * self.bars_asked,
        }
        return tuple(name for name, broken in found.items() if broken)

    def to_dict(self) -> dict[str, Any]:
        """The fields and faults in JSON's types."""
        return {**asdict(self), "faults": list(self.faults)}


def check_piece(score: Score, intent: Intent) -> PieceCheck:
    """Compare a piece with the bars, meter and instruments that were asked for."""
    notes = note_array(score)
    numerator, denominator = intent.meter
    bar_beat = 4.0 * numerator / denominator
    end_beat = notes["onset_beat"] + notes["duration_beat"]
    last_beat = float(end_beat.max()) if len(notes) else 0.0
    bars = int(np.ceil((last_beat - TICK_BEAT) / bar_beat)) if len(notes) else 0
    grid = bar_grid(score)
    start = np.arange(intent.bars)[:, None] * bar_beat
    sounds = (notes["onset_beat"] < start + bar_beat - TICK_BEAT) & (end_beat > start + TICK_BEAT)
    asked = list(dict.fromkeys(intent.programs))
    bar_rate = np.array([sounds[:, notes["program"] == program].any(axis=1).mean() for program in asked])
    return PieceCheck(
        bars_asked=intent.bars,
        bars=bars,
        meter_kept=bool(np.all((grid.numerator == numerator) & (grid.denominator == denominator))),
        n_notes=len(notes),
        n_beyond_end=int((end_beat > intent.bars * bar_beat + TICK_BEAT).sum()),
        foreign_programs=tuple(sorted(set(notes["program"].tolist()) - set(asked))),
        missing_programs=tuple(program for program, rate in zip(asked, bar_rate, strict=True) if rate == 0),
        least_bar_rate=round(float(bar_rate.min()), 4),
        n_silent_bars=int((~sounds.any(axis=1)).sum()),
    )
