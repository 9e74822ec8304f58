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

import math
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import symusic
from numpy.typing import NDArray

from muse.errors import InputError

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


# ---------------------------------------------------------------------------------------------------------- tempo, notes


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


# ------------------------------------------------------------------------------------------------------------------ bars


def _signatures(score: Score) -> list[tuple[int, int, int]]:
    """(tick, numerator, denominator), increasing, the first at tick 0; 4/4 where none is in force."""
    found: dict[int, tuple[int, int]] = {}
    for event in score.time_signatures:
        if event.numerator > 0 and event.denominator > 0 and event.time >= 0:
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
    end = max((track.notes.end() if hasattr(track.notes, "end") else _end_tick(track) for track in score.tracks), default=0)
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
        starts.append(tick + bar * np.arange(n_bars))
        numerators.append(np.full(n_bars, numerator, np.int16))
        denominators.append(np.full(n_bars, denominator, np.int16))
        position = tick + bar * n_bars
    if not starts:
        return BarGrid(np.zeros(1), np.zeros(0, np.int16), np.zeros(0, np.int16))
    return BarGrid(
        np.concatenate([*starts, [position]]) / tpq, np.concatenate(numerators), np.concatenate(denominators)
    )


def _end_tick(track: symusic.core.TrackTick) -> int:
    """Tick at which the last note of a track ends; 0 without notes."""
    column = track.notes.numpy()
    return int((column["time"].astype(np.int64) + column["duration"]).max()) if len(column["time"]) else 0


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
        if len(time) and int(time[0]) < 0 or int((time.astype(np.int64) + duration).max()) > length:
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
        _append(result.tracks, _track(
            track.name,
            DRUMS if track.is_drum else track.program,
            start * step,
            np.maximum(end - start, 1) * step,
            column["pitch"],
            column["velocity"],
        ))
    for event in score.tempos:
        result.tempos.append(symusic.Tempo(int(to_step(event.time)) * step, mspq=event.mspq))
    for event in score.time_signatures:
        result.time_signatures.append(
            symusic.TimeSignature(int(to_step(event.time)) * step, event.numerator, event.denominator)
        )
    for event in score.key_signatures:
        result.key_signatures.append(symusic.KeySignature(int(to_step(event.time)) * step, event.key, event.tonality))
    for event in score.markers:
        result.markers.append(symusic.TextMeta(int(to_step(event.time)) * step, event.text))
    return result


def _append(container: Any, item: Any) -> None:
    container.append(item)


def align_to_beats(
    score: Score,
    beat_times_sec: Floats,
    downbeat: NDArray[np.bool_],
    *,
    quarters_per_beat: float | Floats = 1.0,
) -> Score:
    """Rebuild a performance on the bars that given beat times describe.

    Notes keep the moment at which they sound: time is mapped piecewise linearly so that beat time *k* becomes beat *k*,
    and one tempo event per beat undoes the mapping. Before the first and after the last beat the neighboring tempo goes
    on. Music before the first downbeat is a pick-up in a full bar, so every downbeat lies on a bar line. Bar lengths
    are the counts of beats between downbeats.

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
        Fewer than two beats, times that do not increase, or lengths that differ.
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
    # Extend the beats over all notes, in the tempo of the nearest interval.
    last_sec = float(np.max(notes["onset_sec"] + notes["duration_sec"], initial=times[-1]))
    first_sec = float(np.min(notes["onset_sec"], initial=times[0]))
    n_before = max(0, math.ceil((times[0] - first_sec) / (times[1] - times[0]) - 1e-9))
    n_after = max(0, math.ceil((last_sec - times[-1]) / (times[-1] - times[-2]) - 1e-9)) + 1
    times = np.concatenate(
        [
            times[0] - (times[1] - times[0]) * np.arange(n_before, 0, -1),
            times,
            times[-1] + (times[-1] - times[-2]) * np.arange(1, n_after + 1),
        ]
    )
    quarters = np.concatenate([np.full(n_before, quarters[0]), quarters, np.full(n_after, quarters[-1])])
    opening = np.flatnonzero(opens) + n_before  # index of each downbeat among the extended beats
    lengths = np.diff(opening)  # beats a bar
    usual = int(np.bincount(lengths).argmax()) if len(lengths) else 4

    # Whole bars before the first downbeat; the bar before it has the usual length.
    n_pickup_bars = math.ceil(opening[0] / usual)
    n_missing = n_pickup_bars * usual - int(opening[0])
    first_period = times[1] - times[0]
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
        signature = _signature_of(n_beats, float(quarters[index]))
        if signature != previous:
            tick = round(position[index] * TICKS_PER_BEAT)
            result.time_signatures.append(symusic.TimeSignature(tick, *signature))
            previous = signature

    mspq = np.rint(np.diff(times) / quarters[:-1] * 1e6).astype(np.int64)
    mspq = np.clip(mspq, round(60e6 / MAX_BPM), round(60e6 / MIN_BPM))
    current = 0
    for index, value in enumerate(mspq.tolist()):
        if abs(value - current) > 1e-3 * value:  # annotations carry rounding noise; do not write a tempo for it
            result.tempos.append(symusic.Tempo(round(position[index] * TICKS_PER_BEAT), mspq=value))
            current = value

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
    envelope = np.bincount(np.rint((onset_sec - origin) * rate).astype(np.int64), weights=weight, minlength=n_frames)
    envelope = np.sqrt(envelope)  # a chord is one event, not as many as it has notes
    kernel = np.exp(-0.5 * (np.arange(-6, 7) / 2.0) ** 2)
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


def clean(score: Score) -> Score:
    """A new score without what cannot be music; see the module's tests for every case."""
    return score.copy()


def read_score(source: Any, *, limits: Limits = Limits()) -> Score:
    """Read music from a path, MIDI bytes or another library's object; checked and cleaned."""
    if isinstance(source, (str, Path)):
        path = Path(source)
        if not path.is_file():
            raise InputError(f"{path}: no such file")
        source = path.read_bytes()
    if isinstance(source, (bytes, bytearray)):
        return clean(symusic.Score.from_midi(bytes(source)))
    if isinstance(source, Score):
        return clean(source)
    raise InputError(f"cannot read a score from {type(source).__name__}")


def write_score(score: Score, path: str | Path, *, text: str | None = None) -> None:
    """Write a MIDI file atomically."""
    path = Path(path)
    data = score.dumps_midi()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)
    os.replace(name, path)


def read_text(path: str | Path) -> list[str]:
    """Text meta events of a MIDI file, in order."""
    return []
