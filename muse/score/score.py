"""Scores: read, check, clean, cut, put on a grid and write symbolic music.

A *score* in Muse is a :class:`symusic.Score` in ticks. This module adds what symusic leaves open: a door that no
malformed file can break, a cleaning step, note arrays in beats *and* seconds, bar grids, and alignment of performances
to beats.

Conventions
-----------
* **Beat** always means a quarter note, whatever the time signature.
* **Seconds** follow the tempo map from tick 0; before the first tempo event the MIDI default of 120 BPM holds.
* **Bars** are counted from tick 0. A time signature always starts a new bar; a bar that it cuts short simply is
  shorter, which is how a pick-up is written. Without any signature the meter is 4/4.
* **Programs** are General MIDI 0..127; percussion, which has none, is :data:`DRUMS` (128).
* **Nothing is mutated.** Every function returns new arrays or a new score.
* **Sustain pedal.** Durations are key-down times. Pedal events stay in a score, are never folded into durations, and
  are dropped where time is warped (:func:`quantize`, :func:`align_to_beats`).

Contents: :func:`read_score`, :func:`write_score`, :func:`read_text`, :func:`clean`; :func:`note_array`,
:func:`from_notes`; :func:`tempo_map`, :func:`mean_tempo_bpm`, :func:`beat_to_sec`; :func:`bar_grid`,
:func:`slice_bars`; :func:`grid_fit`, :func:`quantize`, :func:`align_to_beats`, :func:`track_beats`.
"""

from __future__ import annotations

import difflib
import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import symusic
from numpy.typing import NDArray

from muse.errors import InputError
from muse.score.midi_bytes import check, insert_text

if TYPE_CHECKING:
    from symusic.core import ScoreTick as Score
else:
    Score = symusic.core.ScoreTick

__all__ = [
    "DRUMS",
    "NOTE_DTYPE",
    "BarGrid",
    "Limits",
    "Score",
    "align_to_beats",
    "bar_grid",
    "beat_to_sec",
    "clean",
    "from_notes",
    "grid_fit",
    "mean_tempo_bpm",
    "note_array",
    "quantize",
    "read_score",
    "read_text",
    "slice_bars",
    "tempo_map",
    "track_beats",
    "write_score",
]

DRUMS = 128
"""The program number that stands for percussion."""

DEFAULT_BPM = 120.0
"""What the MIDI standard prescribes where a file has no tempo."""

TICKS_PER_BEAT = 480
"""Resolution of the scores that this module makes itself."""

MIN_BPM, MAX_BPM = 10.0, 400.0
"""Tempos outside are mistakes of a file, not music."""

STUCK_BEATS, STUCK_CUT_BEATS = 64, 16
"""A note longer than the first is taken for a stuck one and cut to the second."""

MAX_BEATS_AROUND = 10_000
"""So many beats outside of the given ones say that these belong to something else."""

NOTE_DTYPE = np.dtype(
    [
        ("onset_beat", "f8"),
        ("duration_beat", "f8"),
        ("onset_sec", "f8"),
        ("duration_sec", "f8"),
        ("pitch", "i2"),
        ("velocity", "i2"),
        ("program", "i2"),
        ("track", "i2"),
    ]
)
"""One row per note: pitch and velocity 0..127, program 0..127 or :data:`DRUMS`, track = index in ``score.tracks``."""

Floats: TypeAlias = NDArray[np.float64]
Notes: TypeAlias = NDArray[np.void]


@dataclass(frozen=True)
class Limits:
    """What :func:`read_score` accepts. Larger things are refused before they cost memory or time."""

    max_bytes: int = 16_000_000
    """File size."""
    max_notes: int = 500_000
    max_sec: float = 4 * 3600.0
    """Length in seconds; the longest file of real music that we know lasts under two hours."""
    max_tracks: int = 512


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


# --------------------------------------------------------------------------------------------------- tempo, notes


def tempo_map(score: Score) -> Floats:
    """Tempo events of a score.

    Returns
    -------
    float64 [n, 2]
        Columns beat (increasing, the first is 0) and tempo in quarter notes a minute that holds from there on.
    """
    events = score.tempos.numpy()
    tick, mspq = events["time"].astype(np.int64), events["mspq"].astype(np.float64)
    good = (tick >= 0) & (mspq > 0)
    tick, mspq = tick[good], mspq[good]
    order = np.argsort(tick, kind="stable")
    tick, mspq = tick[order], mspq[order]
    if len(tick) == 0 or tick[0] > 0:
        tick, mspq = np.insert(tick, 0, 0), np.insert(mspq, 0, 60e6 / DEFAULT_BPM)
    last = np.append(tick[1:] != tick[:-1], True)  # of several events on one tick the last one holds
    return np.column_stack([tick[last] / score.ticks_per_quarter, 60e6 / mspq[last]])


def beat_to_sec(tempos: Floats, beat: Floats | float) -> Floats:
    """Seconds of beat positions under a tempo map as :func:`tempo_map` gives it. Negative beats extrapolate."""
    start, sec_per_beat = tempos[:, 0], 60.0 / tempos[:, 1]
    start_sec = np.concatenate([[0.0], np.cumsum(np.diff(start) * sec_per_beat[:-1])])
    beat = np.asarray(beat, dtype=np.float64)
    index = np.maximum(np.searchsorted(start, beat, side="right") - 1, 0)
    return np.asarray(start_sec[index] + (beat - start[index]) * sec_per_beat[index])


def note_array(score: Score) -> Notes:
    """All notes of a score as one structured array.

    Returns
    -------
    NOTE_DTYPE [n_notes]
        Sorted by onset, then pitch (then track). Empty for a score without notes.
    """
    columns = [track.notes.numpy() for track in score.tracks]
    sizes = [len(column["time"]) for column in columns]
    notes = np.empty(sum(sizes), dtype=NOTE_DTYPE)
    if len(notes) == 0:
        return notes
    tick = np.concatenate([column["time"] for column in columns]).astype(np.int64)
    duration = np.concatenate([column["duration"] for column in columns]).astype(np.int64)
    notes["pitch"] = np.concatenate([column["pitch"] for column in columns])
    notes["velocity"] = np.concatenate([column["velocity"] for column in columns])
    notes["program"] = np.repeat([DRUMS if track.is_drum else track.program for track in score.tracks], sizes)
    notes["track"] = np.repeat(np.arange(len(sizes)), sizes)
    notes["onset_beat"] = tick / score.ticks_per_quarter
    notes["duration_beat"] = duration / score.ticks_per_quarter
    tempos = tempo_map(score)
    notes["onset_sec"] = beat_to_sec(tempos, notes["onset_beat"])
    notes["duration_sec"] = beat_to_sec(tempos, (tick + duration) / score.ticks_per_quarter) - notes["onset_sec"]
    # One integer sort key is several times faster than a lexicographic sort.
    return notes[np.argsort(tick * 128 + notes["pitch"], kind="stable")]


def _track(name: str, program: int, tick: Any, duration: Any, pitch: Any, velocity: Any) -> symusic.core.TrackTick:
    """A track from columns; *program* may be :data:`DRUMS`."""
    track = symusic.Track(name, 0 if program == DRUMS else int(program), program == DRUMS)
    track.notes = symusic.Note.from_numpy(
        np.ascontiguousarray(tick, dtype=np.int32),
        np.ascontiguousarray(duration, dtype=np.int32),
        np.ascontiguousarray(pitch, dtype=np.int8),
        np.ascontiguousarray(velocity, dtype=np.int8),
    )
    return track


def from_notes(
    notes: Notes,
    *,
    tempo_bpm: float = DEFAULT_BPM,
    time_signature: tuple[int, int] = (4, 4),
    ticks_per_beat: int = TICKS_PER_BEAT,
    names: Sequence[str] | None = None,
) -> Score:
    """Build a score from a note array; the inverse of :func:`note_array` for a constant tempo and meter.

    Parameters
    ----------
    notes
        NOTE_DTYPE [n_notes], any order. ``onset_beat``, ``duration_beat``, ``pitch``, ``velocity``, ``program`` and
        ``track`` are used; the seconds follow from *tempo_bpm*.
    tempo_bpm
        Quarter notes a minute.
    time_signature
        (numerator, denominator).
    ticks_per_beat
        Resolution; onsets are rounded to it, and durations are at least one tick.
    names
        Track names by track index; empty names when absent.
    """
    score = symusic.Score(ticks_per_beat)
    score.tempos.append(symusic.Tempo(0, tempo_bpm))
    score.time_signatures.append(symusic.TimeSignature(0, *time_signature))
    tick = np.rint(notes["onset_beat"] * ticks_per_beat).astype(np.int64)
    end = np.rint((notes["onset_beat"] + notes["duration_beat"]) * ticks_per_beat).astype(np.int64)
    order = np.lexsort((notes["pitch"], tick))
    for index in np.unique(notes["track"]):
        rows = order[notes["track"][order] == index]
        name = names[index] if names is not None and index < len(names) else ""
        score.tracks.append(
            _track(
                name,
                int(notes["program"][rows[0]]),
                tick[rows],
                np.maximum(end[rows] - tick[rows], 1),
                notes["pitch"][rows],
                notes["velocity"][rows],
            )
        )
    return score


def mean_tempo_bpm(score: Score) -> float:
    """Mean tempo over the sounding span, weighted by time: beats that pass from first onset to last offset, per minute.

    Returns
    -------
    float
        Quarter notes a minute. Without notes, the tempo at the start.
    """
    tempos = tempo_map(score)
    first, last = math.inf, -math.inf
    for track in score.tracks:
        column = track.notes.numpy()
        if len(column["time"]):
            first = min(first, int(column["time"].min()))
            last = max(last, int((column["time"].astype(np.int64) + column["duration"]).max()))
    if last <= first:
        return float(tempos[0, 1])
    span_beat = np.array([first, last]) / score.ticks_per_quarter
    span_sec = beat_to_sec(tempos, span_beat)
    return float(60.0 * (span_beat[1] - span_beat[0]) / (span_sec[1] - span_sec[0]))


# ----------------------------------------------------------------------------------------------------------- bars


def _signatures(score: Score) -> list[tuple[int, int, int]]:
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
    end = _end_tick(score)
    starts: list[Floats] = []
    numerators: list[NDArray[np.int16]] = []
    denominators: list[NDArray[np.int16]] = []
    position = 0.0
    signatures = _signatures(score)
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


def _end_tick(score: Score) -> int:
    """Tick at which the last note ends; 0 without notes."""
    columns = [track.notes.numpy() for track in score.tracks if len(track.notes)]
    return max((int((column["time"].astype(np.int64) + column["duration"]).max()) for column in columns), default=0)


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


# ------------------------------------------------------------------------------------------------------------ the grid


def grid_fit(onset_beat: Floats, steps_per_beat: int = 4, tolerance_beat: float = 0.04) -> float:
    """Share of onsets that lie on a regular grid.

    A performance that knows nothing of the grid scores ``2 * tolerance_beat * steps_per_beat``: 0.32 with the defaults,
    so a high number means something only with a coarse grid (or a small tolerance).

    Parameters
    ----------
    onset_beat
        float64 [n_notes].
    steps_per_beat
        Grid lines a quarter note; 4 = sixteenths, 3 = eighth triplets.
    tolerance_beat
        Largest distance that counts as on the line, in beats.

    Returns
    -------
    float
        0..1; 0 without onsets.
    """
    onset_beat = np.asarray(onset_beat, dtype=np.float64)
    if len(onset_beat) == 0:
        return 0.0
    distance = np.abs(onset_beat - np.rint(onset_beat * steps_per_beat) / steps_per_beat)
    return float(np.mean(distance <= tolerance_beat))


def quantize(score: Score, steps_per_beat: int = 12) -> Score:
    """Move onsets and ends of notes to the nearest of *steps_per_beat* lines a beat.

    Every note keeps at least one step. Tempo, meter and key events move to the grid as well; pedals, controls and pitch
    bends are dropped, for they would no longer belong to the moved notes. The result has *steps_per_beat* times
    ``max(1, 480 // steps_per_beat)`` ticks a beat.
    """
    step = max(1, TICKS_PER_BEAT // steps_per_beat)
    scale = steps_per_beat / score.ticks_per_quarter

    def to_step(tick: Any) -> NDArray[np.int64]:
        # Halves go up always: np.rint's round-to-even would treat equal offsets differently from beat to beat.
        return np.floor(np.asarray(tick, dtype=np.float64) * scale + 0.5).astype(np.int64)

    result = symusic.Score(steps_per_beat * step)
    for track in score.tracks:
        column = track.notes.numpy()
        start = to_step(column["time"])
        end = to_step(column["time"].astype(np.int64) + column["duration"])
        program = DRUMS if track.is_drum else track.program
        duration = np.maximum(end - start, 1)
        result.tracks.append(
            _track(track.name, program, start * step, duration * step, column["pitch"], column["velocity"])
        )
    for name in ("tempos", "time_signatures", "key_signatures", "markers"):
        moved = getattr(score, name).copy()
        for event in moved:
            event.time = int(to_step(event.time)) * step
        setattr(result, name, moved)
    return result


def align_to_beats(
    score: Score,
    beat_times_sec: Floats,
    downbeat: NDArray[np.bool_],
    *,
    quarters_per_beat: float | Floats = 1.0,
) -> Score:
    """Rebuild a performance on the bars that given beat times describe.

    Notes keep the moment at which they sound: time is mapped piecewise linearly so that beat time *k* becomes beat *k*,
    and tempo events undo the mapping (a beat slower than 10 BPM is shortened). Before the first and after the last
    beats their median tempo goes on. Music before the first downbeat is a pick-up in a full bar, so every downbeat lies
    on a bar line. Bar lengths are the counts of beats between downbeats; across a gap of more than 16 beats the usual
    length goes on.

    Parameters
    ----------
    score
        The performance.
    beat_times_sec
        float64 [n_beats], increasing, in the score's own seconds; at least two.
    downbeat
        bool [n_beats]: the beat opens a bar. Without any, bars have four beats from the first beat on.
    quarters_per_beat
        Quarter notes in one beat: 1.5 for beats of dotted quarters (6/8), 0.5 for eighths. One number, or one a beat.

    Returns
    -------
    Score
        480 ticks a quarter note, without pedals and controls.

    Raises
    ------
    InputError
        Fewer than two beats, times that do not increase, lengths that differ, or beats of another piece.
    """
    times = np.asarray(beat_times_sec, dtype=np.float64)
    opens = np.asarray(downbeat, dtype=bool)
    quarters = np.broadcast_to(np.asarray(quarters_per_beat, dtype=np.float64), times.shape)
    if times.ndim != 1 or times.shape != opens.shape:
        raise InputError(f"beat times {times.shape} and downbeats {opens.shape} differ in shape: give one flag a beat")
    if len(times) < 2 or not np.all(np.isfinite(times)) or np.any(np.diff(times) <= 0):
        raise InputError(f"{len(times)} beat times cannot carry an alignment: give two or more, finite and increasing")
    if not np.any(opens):
        opens = np.arange(len(times)) % 4 == 0

    notes = note_array(score)
    # Extend the beats over all notes, in the tempo of the nearest ones.
    last_sec = float(np.max(notes["onset_sec"] + notes["duration_sec"], initial=times[-1]))
    first_sec = float(np.min(notes["onset_sec"], initial=times[0]))
    first_period, last_period = float(np.median(np.diff(times)[:8])), float(np.median(np.diff(times)[-8:]))
    n_before = max(0, math.ceil((times[0] - first_sec) / first_period - 1e-9))
    n_after = max(0, math.ceil((last_sec - times[-1]) / last_period - 1e-9)) + 1
    if n_before + n_after > MAX_BEATS_AROUND:
        raise InputError(
            f"the beats ({times[0]:.3f} to {times[-1]:.3f} s) cover too little of the music ({first_sec:.3f} to "
            f"{last_sec:.3f} s): give the beats of this very piece, in seconds"
        )
    times = np.concatenate(
        [
            times[0] - first_period * np.arange(n_before, 0, -1),
            times,
            times[-1] + last_period * np.arange(1, n_after + 1),
        ]
    )
    quarters = np.concatenate([np.full(n_before, quarters[0]), quarters, np.full(n_after, quarters[-1])])
    opening = np.flatnonzero(opens) + n_before  # index of each downbeat among the extended beats
    lengths = np.diff(opening)  # beats a bar
    usual = int(np.bincount(lengths).argmax()) if len(lengths) else 4

    # Whole bars before the first downbeat; the bar before it has the usual length.
    n_pickup_bars = math.ceil(opening[0] / usual)
    n_missing = n_pickup_bars * usual - int(opening[0])
    if n_missing:
        times = np.concatenate([times[0] - first_period * np.arange(n_missing, 0, -1), times])
        quarters = np.concatenate([np.full(n_missing, quarters[0]), quarters])
        opening = opening + n_missing
    position = np.concatenate([[0.0], np.cumsum(quarters[:-1])])  # of each beat, in quarter notes

    result = symusic.Score(TICKS_PER_BEAT)
    bar_start = np.concatenate([np.arange(n_pickup_bars) * usual, opening])
    bar_beats = np.concatenate([np.full(n_pickup_bars, usual), lengths, [usual]])
    previous = None
    for index, n_beats in zip(bar_start.tolist(), bar_beats.tolist(), strict=True):
        is_gap = n_beats > 16  # downbeats are missing: go on in the usual meter, and start anew behind
        signature = _signature_of(usual if is_gap else n_beats, float(quarters[index]))
        if signature != previous:
            tick = round(position[index] * TICKS_PER_BEAT)
            result.time_signatures.append(symusic.TimeSignature(tick, *signature))
        previous = None if is_gap else signature

    # A tempo event is written where the tempo in force would miss a beat by 2 ms or more: annotations carry rounding
    # noise that is no tempo change. Each event aims at the next beat anew, so errors never add up.
    current, now = 0, float(times[0])
    for index in range(len(times) - 1):
        n_quarters = float(quarters[index])
        if abs(now + current * 1e-6 * n_quarters - times[index + 1]) >= 2e-3:
            exact = (float(times[index + 1]) - now) / n_quarters * 1e6
            current = min(max(round(exact), round(60e6 / MAX_BPM)), round(60e6 / MIN_BPM))
            result.tempos.append(symusic.Tempo(round(position[index] * TICKS_PER_BEAT), mspq=current))
            if current < exact - 1:  # slower than any tempo, as a long pause is: shorten it rather than catch up
                now = float(times[index + 1]) - current * 1e-6 * n_quarters
        now += current * 1e-6 * n_quarters

    onset_tick = np.rint(np.interp(notes["onset_sec"], times, position) * TICKS_PER_BEAT).astype(np.int64)
    end_sec = notes["onset_sec"] + notes["duration_sec"]
    end_tick = np.rint(np.interp(end_sec, times, position) * TICKS_PER_BEAT).astype(np.int64)
    for index, track in enumerate(score.tracks):
        rows = np.flatnonzero(notes["track"] == index)
        result.tracks.append(
            _track(
                track.name,
                DRUMS if track.is_drum else track.program,
                onset_tick[rows],
                np.maximum(end_tick[rows] - onset_tick[rows], 1),
                notes["pitch"][rows],
                notes["velocity"][rows],
            )
        )
    return result


def _signature_of(n_beats: int, quarters: float) -> tuple[int, int]:
    """Time signature of a bar of *n_beats* beats, each *quarters* quarter notes long."""
    for denominator in (4, 8, 16, 32, 2):
        numerator = n_beats * quarters * denominator / 4
        if abs(numerator - round(numerator)) < 1e-6 and 1 <= numerator <= 255:
            # A beat of dotted quarters is a compound meter: 6/8 rather than 3/4.
            if denominator == 4 and abs(quarters - 1.5) < 1e-6:
                continue
            return round(numerator), denominator
    return min(max(n_beats, 1), 255), 4


def track_beats(onset_sec: Floats, weight: Floats | None = None) -> tuple[Floats, float]:
    """Find beats in onsets without a grid, by dynamic programming (Ellis 2007, "Beat Tracking by Dynamic Programming").

    Parameters
    ----------
    onset_sec
        float64 [n_notes], any order.
    weight
        float64 [n_notes], how much each onset counts (velocity, for example); all alike when absent.

    Returns
    -------
    beat_times_sec : float64 [n_beats]
        Empty when there is too little to track (fewer than 8 onsets or under 2 s).
    confidence : float
        0..1: how much better than chance the onsets lie on the sixteenths of the beats found.
    """
    onset_sec = np.asarray(onset_sec, dtype=np.float64)
    if len(onset_sec) < 8 or float(np.ptp(onset_sec)) < 2.0:
        return np.zeros(0), 0.0
    weight = np.ones(len(onset_sec)) if weight is None else np.asarray(weight, dtype=np.float64)
    rate = 100.0  # frames a second
    origin = float(onset_sec.min()) - 0.5
    n_frames = math.ceil((float(onset_sec.max()) - origin) * rate) + 51
    frames = np.rint((onset_sec - origin) * rate).astype(np.int64)
    # The root makes a chord one event, rather than as many as it has notes.
    envelope: Floats = np.sqrt(np.bincount(frames, weights=weight, minlength=n_frames))
    kernel = np.exp(-0.5 * (np.arange(-6.0, 7.0) / 2.0) ** 2)
    envelope = np.convolve(envelope, kernel, mode="same")
    envelope /= envelope.std() + 1e-12

    # Period: autocorrelation, with a preference for moderate tempos (log-normal around 120 BPM, 0.9 octaves).
    n_fft = 1 << (2 * n_frames - 1).bit_length()
    spectrum = np.fft.rfft(envelope - envelope.mean(), n_fft)
    correlation = np.fft.irfft(spectrum * spectrum.conj(), n_fft)[:n_frames]
    lags = np.arange(round(rate * 60 / 240), min(round(rate * 60 / 40), n_frames - 1))
    preference = np.exp(-0.5 * (np.log2(lags / (rate * 0.5)) / 0.9) ** 2)
    period = int(lags[np.argmax(correlation[lags] * preference)])

    # Best chain of beats: each frame's score is its own onset strength plus the best predecessor about a period ago.
    tightness = 100.0
    offsets = np.arange(-2 * period, -(period // 2))
    penalty = -tightness * np.log(-offsets / period) ** 2
    score = envelope.copy()
    back = np.full(n_frames, -1)
    for frame in range(2 * period, n_frames):
        candidates = score[frame + offsets] + penalty
        best = int(np.argmax(candidates))
        score[frame] += candidates[best]
        back[frame] = frame + offsets[best]
    tail = max(0, n_frames - 2 * period)
    frame = tail + int(np.argmax(score[tail:]))
    chain = []
    while frame >= 0:
        chain.append(frame)
        frame = int(back[frame])
    beats = origin + np.array(chain[::-1]) / rate
    if len(beats) < 4:
        return np.zeros(0), 0.0
    position = np.interp(onset_sec, beats, np.arange(len(beats)))
    chance = 2 * 0.04 * 4
    fit = grid_fit(position, 4)
    return beats, float(np.clip((fit - chance) / (1 - chance), 0.0, 1.0))


# --------------------------------------------------------------------------------------------------------- files, bytes


def read_score(source: Any, *, limits: Limits = Limits()) -> Score:
    """Read music, check it and clean it.

    Parameters
    ----------
    source
        Path of a MIDI file, bytes of one, or an object of symusic (``Score``), pretty_midi (``PrettyMIDI``),
        miditoolkit (``MidiFile``) or music21 (any ``Stream``).
    limits
        What is too large to be taken.

    Returns
    -------
    Score
        A new score, as :func:`clean` leaves it; without notes if the source has none.

    Raises
    ------
    InputError
        The source is missing, no MIDI file, damaged or beyond the limits; the message names file, reason and remedy.

    Examples
    --------
    >>> score = read_score(from_notes(np.zeros(0, NOTE_DTYPE)))
    >>> score.note_num()
    0
    """
    name = str(source) if isinstance(source, (str, os.PathLike)) else f"the {type(source).__name__} given"
    try:
        if isinstance(source, (str, os.PathLike)):
            score = _parse(_read_file(Path(source), limits), limits)
        elif isinstance(source, (bytes, bytearray, memoryview)):
            score = _parse(bytes(source), limits)
        elif isinstance(source, Score):
            score = source
        else:
            score = _from_object(source, limits)
        if len(score.tracks) > limits.max_tracks:
            raise InputError(f"it has {len(score.tracks)} tracks, more than {limits.max_tracks}: split it")
        if score.note_num() > limits.max_notes:
            raise InputError(f"it has {score.note_num():,} notes, more than {limits.max_notes:,}: cut it into pieces")
        score = clean(score)
        end_beat = _end_tick(score) / score.ticks_per_quarter
        length_sec = float(beat_to_sec(tempo_map(score), end_beat))
        if length_sec > limits.max_sec:
            raise InputError(
                f"it lasts {length_sec / 3600:,.1f} hours, more than {limits.max_sec / 3600:g}: cut it, "
                "or remove stray notes far behind the end"
            )
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    return score


def _read_file(path: Path, limits: Limits) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(limits.max_bytes + 1)  # no more, whatever the file system says of its size
    except FileNotFoundError:
        near = difflib.get_close_matches(path.name, _names_in(path.parent), n=1)
        raise InputError(f"no such file{f'; did you mean {near[0]}?' if near else ': check the path'}") from None
    except IsADirectoryError:
        raise InputError("this is a folder: give one MIDI file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"cannot be opened ({reason}): check path and permissions") from None
    return data


def _names_in(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(folder)]
    except OSError:
        return []


def _parse(data: bytes, limits: Limits) -> Score:
    """A raw score of MIDI bytes, whose structure is checked before native code sees them."""
    if len(data) > limits.max_bytes:
        raise InputError(f"it has more than {limits.max_bytes:,} bytes: split it")
    if not data:
        raise InputError("it is empty: give a MIDI file with music in it")
    checked = check(data, max_tracks=limits.max_tracks)
    try:
        return symusic.Score.from_midi(checked.data)
    except Exception as error:  # the parser raises bare RuntimeError and others
        raise InputError(f"the MIDI parser refuses it ({error}): the file is damaged") from None


def _from_object(source: Any, limits: Limits) -> Score:
    """A raw score of another library's object, by way of MIDI bytes. The library is there if its object is."""
    library = {module.__module__.partition(".")[0] for module in type(source).__mro__}
    try:
        if "pretty_midi" in library:
            buffer = io.BytesIO()
            source.write(buffer)
            data = buffer.getvalue()
        elif "miditoolkit" in library:
            buffer = io.BytesIO()
            source.dump(file=buffer)
            data = buffer.getvalue()
        elif "music21" in library:
            from music21.midi.translate import streamToMidiFile  # floor 0 knows music21 only if its object comes

            data = streamToMidiFile(source).writestr()
        elif "symusic" in library and hasattr(source, "to"):
            score: Score = source.to("tick")
            return score
        else:
            raise InputError(
                "is nothing that holds a score: give a path, MIDI bytes, or an object of symusic, pretty_midi, "
                "miditoolkit or music21"
            )
    except InputError:
        raise
    except Exception as error:  # foreign writers fail in all ways on odd content
        raise InputError(f"cannot be turned into MIDI ({type(error).__name__}: {error}): check its content") from error
    return _parse(data, limits)


def clean(score: Score) -> Score:
    """A new score without what cannot be music. Positions in time stay as they are.

    * Notes: those before tick 0, without velocity or outside 0..127 go, and so do pitched notes of no length
      (percussion gets a 32nd note). Of notes with one pitch and onset in a track the longest stays; a note that
      overlaps the next of its pitch ends there. A note of more than 64 beats is a stuck one and ends after 16.
    * Tempos: brought into 10..400 BPM; zeros and repetitions go. There is one at tick 0.
    * Time signatures: only sensible ones; repetitions on a bar line go. There is one at tick 0.
    * Key signatures outside -7..7, tracks without notes, and events behind the last note go.

    Raises
    ------
    InputError
        The score has no resolution of 1..32767 ticks a quarter note.
    """
    tpq = score.ticks_per_quarter
    if not 1 <= tpq <= 32767:
        raise InputError(f"{tpq} ticks a quarter note cannot be: resample it to 480")
    result = symusic.Score(tpq)
    for track in score.tracks:
        column = _clean_notes(track.notes.numpy(), tpq, track.is_drum)
        if len(column["time"]) == 0:
            continue
        track = track.copy()
        track.notes = symusic.Note.from_numpy(**column)
        result.tracks.append(track)

    end = _end_tick(result)
    for track in result.tracks:
        _keep(track.controls, end, ("number", "value"), 127)
        _keep(track.pitch_bends, end)
        _keep(track.pedals, end)
        track.lyrics.filter(lambda line: 0 <= line.time <= end, inplace=True)
    for tick, mspq in _clean_tempos(score.tempos.numpy()):
        if tick == 0 or tick < end:
            result.tempos.append(symusic.Tempo(tick, mspq=mspq))
    previous = (0, 0, 0)
    for tick, numerator, denominator in _signatures(score):
        if tick and tick >= end:
            continue
        bar_beat = 4 * previous[1] / max(previous[2], 1)
        if previous[1:] == (numerator, denominator) and (tick - previous[0]) / tpq % bar_beat < 1e-6:
            continue
        result.time_signatures.append(symusic.TimeSignature(tick, numerator, denominator))
        previous = (tick, numerator, denominator)
    for key in score.key_signatures:
        if -7 <= key.key <= 7 and key.tonality in (0, 1) and (key.time == 0 or 0 < key.time < end):
            result.key_signatures.append(symusic.KeySignature(key.time, key.key, key.tonality))
    for marker in score.markers:
        if 0 <= marker.time <= end:
            result.markers.append(symusic.TextMeta(marker.time, marker.text))
    return result


def _clean_notes(column: dict[str, Any], tpq: int, is_drum: bool) -> dict[str, Any]:
    """Columns for ``Note.from_numpy``, sorted by onset and pitch; the rules stand at :func:`clean`."""
    time, duration = column["time"].astype(np.int64), column["duration"].astype(np.int64)
    pitch, velocity = column["pitch"], column["velocity"]
    if is_drum:
        duration = np.where(duration == 0, max(1, tpq // 8), duration)
    good = (time >= 0) & (duration > 0) & (pitch >= 0) & (velocity > 0)
    duration = np.where(duration > STUCK_BEATS * tpq, STUCK_CUT_BEATS * tpq, duration)

    order = np.flatnonzero(good)
    order = order[np.lexsort((-duration[order], time[order], pitch[order]))]
    same_pitch = pitch[order][1:] == pitch[order][:-1]
    gap = np.diff(time[order])
    # The longest of a pitch and onset comes first in this order; the others follow with no gap.
    order = order[np.append(True, ~same_pitch | (gap > 0))[: len(order)]]
    same_pitch = pitch[order][1:] == pitch[order][:-1]
    gap = np.where(same_pitch, np.diff(time[order]), np.iinfo(np.int32).max)
    duration = np.minimum(duration[order], np.append(gap, np.iinfo(np.int32).max)[: len(order)])
    # Nothing ends behind the last tick that symusic can count.
    duration = np.minimum(duration, np.iinfo(np.int32).max - time[order])

    by_time = np.lexsort((pitch[order], time[order]))
    order = order[by_time]
    return {
        "time": time[order].astype(np.int32),
        "duration": duration[by_time].astype(np.int32),
        "pitch": pitch[order],
        "velocity": velocity[order],
    }


def _clean_tempos(column: dict[str, Any]) -> list[tuple[int, int]]:
    """(tick, microseconds a quarter note), increasing, the first at tick 0, without repetitions."""
    found: dict[int, int] = {}
    for tick, mspq in zip(column["time"].tolist(), column["mspq"].tolist(), strict=True):
        if tick >= 0 and mspq > 0:
            found[tick] = min(max(mspq, round(60e6 / MAX_BPM)), round(60e6 / MIN_BPM))
    found.setdefault(0, round(60e6 / DEFAULT_BPM))
    tempos = sorted(found.items())
    return [tempos[0]] + [now for last, now in pairwise(tempos) if now[1] != last[1]]


def _keep(events: Any, end: int, fields: Sequence[str] = (), largest: int = 0) -> None:
    """Remove from a list what lies outside of 0..end or has a field outside 0..largest."""
    column = events.numpy()
    good = (column["time"] >= 0) & (column["time"] <= end)
    for field in fields:
        good &= column[field] <= largest
    if not good.all():
        marks = iter(good.tolist())
        events.filter(lambda _: next(marks), inplace=True)


def write_score(score: Score, path: str | Path, *, text: str | None = None) -> None:
    """Write a MIDI file; equal scores and texts give equal bytes, and no half-written file is ever seen.

    Parameters
    ----------
    score
        What to write. Pedals are written where the controls (number 64) have them, as symusic reads them.
    path
        Where; a file there is replaced. Its folder must exist.
    text
        Stored as a text meta event at the start; :func:`read_text` gives it back.

    Raises
    ------
    InputError
        The score has notes that MIDI cannot hold (see :func:`clean`), or the file cannot be written.
    """
    path = Path(path)
    for index, track in enumerate(score.tracks):
        column = track.notes.numpy()
        if any(len(values) and values.min() < 0 for values in column.values()):
            raise InputError(
                f"{path}: track {index} has notes with negative time, duration, pitch or velocity: clean the score"
            )
    data = score.dumps_midi()
    if text is not None:
        data = insert_text(data, text)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{path}: cannot be written ({reason}): check folder and permissions") from None
    finally:
        temporary.unlink(missing_ok=True)


def read_text(path: str | Path, *, limits: Limits = Limits()) -> list[str]:
    """Text meta events (type 1) of a MIDI file, in the order of the file.

    Raises
    ------
    InputError
        As in :func:`read_score`.
    """
    try:
        return list(check(_read_file(Path(path), limits), max_tracks=limits.max_tracks).text)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
