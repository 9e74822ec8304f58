"""What is held against what: pieces and windows of people's songs, ready to be measured.

Contents: :class:`Sample`, :class:`People`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from muse.dataset.lead_sheets import Sheet
from muse.evaluate.metrics.human_likeness import figures
from muse.evaluate.metrics.roll_test import roll
from muse.evaluate.systems.people import people_windows
from muse.score import Score, bar_grid, note_array
from muse.sheets import block_chords
from muse.theory import key_from_weights
from muse.tokens.plan import Plan

__all__ = ["LONG_BARS", "People", "Sample"]

LONG_BARS = 64
"""Bars of the windows whose sections return."""


@dataclass(frozen=True)
class Sample:
    """A piece or a window of people's, ready to be measured."""

    score: Score
    plan: Plan | None
    song: str
    n_bars: int
    quadrant: int = 0

    @cached_property
    def notes(self) -> Any:
        return note_array(self.score)

    @cached_property
    def bar_beats(self) -> float:
        grid = bar_grid(self.score)
        return float(4 * grid.numerator[0] / grid.denominator[0])

    @cached_property
    def figures(self) -> dict[str, float]:
        return figures(self._inner, self.bar_beats, self.n_bars - 1)

    @cached_property
    def roll(self) -> NDArray[np.float32]:
        return roll(self._inner, self.bar_beats, self.n_bars - 1)

    @property
    def _inner(self) -> Any:
        """The notes but for the last bar: pieces end there, windows of songs do not; endings are measured apart."""
        return self.notes[self.notes["onset_beat"] < (self.n_bars - 1) * self.bar_beats]

    @property
    def tonic(self) -> int:
        """What the plan says, or what the notes do."""
        if self.plan is not None:
            return self.plan.tonic
        weights = np.bincount(self.notes["pitch"] % 12, weights=self.notes["duration_beat"], minlength=12)
        return int(key_from_weights(weights)[0])

    def as_plan(self) -> Sample | None:
        """Its plan alone, as tune and block chords."""
        return None if self.plan is None else replace(self, score=block_chords(self.plan))


@dataclass(frozen=True)
class People:
    """Held-out songs of people's, in windows of common time."""

    windows: list[Sample]
    long: list[Sample]
    ends: list[Sample]

    @classmethod
    def of(cls, sheets: Mapping[str, list[Sheet]], bars: int) -> People:
        """Of the songs that :func:`muse.evaluate.systems.people.read_pop909` read; short windows have so many bars."""

        def windows(n_bars: int, *, at_end: bool = False) -> list[Sample]:
            found = people_windows(sheets["held_out"], n_bars, at_end=at_end)
            return [Sample(score, plan, song, n_bars) for song, plan, score in found if plan.bar_length == 16]

        return cls(windows(bars), windows(LONG_BARS), windows(bars, at_end=True))
