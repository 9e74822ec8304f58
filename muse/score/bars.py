"""Bars: where they lie in a score, which meters there are, and cutting bars out.

Contents: :data:`METERS`, :data:`REWRITTEN_METERS`; :class:`BarGrid`, :func:`bar_grid`, :func:`slice_bars`,
:func:`signatures_of`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import symusic
from numpy.typing import NDArray

from muse.errors import InputError
from muse.score.notes import DEFAULT_BPM, Floats, Score, end_tick

__all__ = ["METERS", "REWRITTEN_METERS", "BarGrid", "bar_grid", "signatures_of", "slice_bars"]

METERS: Final = ((2, 4), (3, 4), (4, 4), (5, 4), (6, 4), (3, 8), (6, 8), (9, 8), (12, 8))
"""The meters that Muse writes."""

REWRITTEN_METERS: Final[Mapping[tuple[int, int], tuple[int, int]]] = MappingProxyType(
    {(2, 2): (4, 4), (3, 2): (6, 4), (1, 2): (2, 4), (8, 8): (4, 4), (4, 8): (2, 4), (1, 4): (4, 4)}
)
"""Meters that are written as another one of :data:`METERS`, whose bars hold the same notes: a half note as the beat
would be too coarse, as positions are counted per beat."""


@dataclass(frozen=True)
class BarGrid:
    """Where bars lie. ``n_bars`` = ``len(numerator)``."""

    start_beat: Floats
    """float64 [n_bars + 1]: first beat of each bar, and the end of the last bar."""
    numerator: NDArray[np.int16]
    """int16 [n_bars]."""
    denominator: NDArray[np.int16]
    """int16 [n_bars]."""

    @property
    def n_bars(self) -> int:
        """Number of bars."""
        return len(self.numerator)

    def bar_of(self, beat: Floats) -> NDArray[np.int64]:
        """Index of the bar that holds each beat position; clipped to the grid."""
        index = np.searchsorted(self.start_beat, np.asarray(beat) + 1e-6, side="right") - 1
        return np.clip(index, 0, max(self.n_bars - 1, 0))


def signatures_of(score: Score) -> list[tuple[int, int, int]]:
    """(tick, numerator, denominator), increasing, the first at tick 0; 4/4 where none is in force."""
    found: dict[int, tuple[int, int]] = {}
    for event in score.time_signatures:
        if event.time >= 0 and 1 <= event.numerator <= 64 and event.denominator in (1, 2, 4, 8, 16, 32, 64):
            found[event.time] = (event.numerator, event.denominator)
    found.setdefault(0, (4, 4))
    return [(tick, *found[tick]) for tick in sorted(found)]


def bar_grid(score: Score) -> BarGrid:
    """Bars from tick 0 up to the bar in which the last note ends.

    A bar that a time signature cuts short is shorter than its signature says; so pick-ups need no special case.

    Returns
    -------
    BarGrid
        At least one bar when the score has notes, none when it has not.
    """
    tpq = score.ticks_per_quarter
    end = end_tick(score)
    starts: list[Floats] = []
    numerators: list[NDArray[np.int16]] = []
    denominators: list[NDArray[np.int16]] = []
    position = 0.0
    signatures = signatures_of(score)
    for index, (tick, numerator, denominator) in enumerate(signatures):
        if tick >= end:
            break
        stop = min(end, signatures[index + 1][0] if index + 1 < len(signatures) else end)
        bar = 4 * numerator / denominator * tpq
        n_bars = max(1, math.ceil((stop - tick) / bar - 1e-6))
        starts.append(tick + bar * np.arange(n_bars, dtype=np.float64))
        numerators.append(np.full(n_bars, numerator, np.int16))
        denominators.append(np.full(n_bars, denominator, np.int16))
        position = tick + bar * n_bars
    if not starts:
        return BarGrid(np.zeros(1), np.zeros(0, np.int16), np.zeros(0, np.int16))
    return BarGrid(
        np.concatenate([*starts, [position]]) / tpq, np.concatenate(numerators), np.concatenate(denominators)
    )


def slice_bars(score: Score, first: int, stop: int, *, grid: BarGrid | None = None) -> Score:
    """Cut out bars ``first`` to ``stop - 1`` and move them to tick 0.

    Notes that *start* inside are kept and end with the slice at the latest. Tempo, time signature and key signature in
    force at the slice's start stand at tick 0. Tracks without notes in the slice are dropped.

    Parameters
    ----------
    score
        The whole piece.
    first, stop
        Bar range, ``0 <= first < stop``. Bars past the end of the music are empty.
    grid
        ``bar_grid(score)``, when it is at hand already; many slices of one score are then much faster.

    Raises
    ------
    InputError
        The range is empty or negative.
    """
    if not 0 <= first < stop:
        raise InputError(f"bars {first} to {stop} are no range: give 0 <= first < stop")
    if grid is None:
        grid = bar_grid(score)
    start_tick, stop_tick = _bar_tick(score, grid, first), _bar_tick(score, grid, stop)
    result = score.clip(start_tick, stop_tick, False).shift_time(-start_tick)
    length = stop_tick - start_tick

    tracks = []
    for track in result.tracks:
        if len(track.notes) == 0:
            continue
        tracks.append(track)
        column = track.notes.numpy()
        time, duration = column["time"], column["duration"]
        if int((time.astype(np.int64) + duration).max()) > length:
            track.notes = symusic.Note.from_numpy(
                time, np.minimum(duration, length - time), column["pitch"], column["velocity"]
            )
    result.tracks = symusic.core.TrackTickList(tracks)

    tempos = score.tempos.numpy()
    before = np.flatnonzero(tempos["time"] <= start_tick)
    mspq = int(tempos["mspq"][before[-1]]) if len(before) else round(60e6 / DEFAULT_BPM)
    _put_first(result.tempos, symusic.Tempo(0, mspq=mspq))
    bar = min(first, grid.n_bars - 1)
    signature = (int(grid.numerator[bar]), int(grid.denominator[bar])) if grid.n_bars else (4, 4)
    _put_first(result.time_signatures, symusic.TimeSignature(0, *signature))
    keys = [event for event in score.key_signatures if event.time <= start_tick]
    if keys:
        _put_first(result.key_signatures, symusic.KeySignature(0, keys[-1].key, keys[-1].tonality))
    return result


def _put_first(events: Any, event: Any) -> None:
    """Insert an event at tick 0 unless one stands there."""
    if len(events) == 0 or events[0].time > 0:
        events.insert(0, event)


def _bar_tick(score: Score, grid: BarGrid, bar: int) -> int:
    """First tick of a bar, also of bars past the end of the grid."""
    if bar <= grid.n_bars:
        beat = float(grid.start_beat[bar])
    else:
        length = 4 * int(grid.numerator[-1]) / int(grid.denominator[-1]) if grid.n_bars else 4.0
        beat = float(grid.start_beat[-1]) + (bar - grid.n_bars) * length
    return round(beat * score.ticks_per_quarter)
