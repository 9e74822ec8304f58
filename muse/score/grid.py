"""Grids: how well notes lie on one, moving them onto one, and finding or following the beats of a performance.

Contents: :func:`grid_fit`, :func:`grid_quality`, :func:`quantize`; :func:`track_beats`, :func:`guess_downbeats`,
:func:`align_to_beats`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import symusic
from numpy.typing import NDArray

from muse.errors import InputError
from muse.score.clean import MAX_BPM, MIN_BPM
from muse.score.notes import DRUMS, TICKS_PER_BEAT, Floats, Notes, Score, make_track, note_array

__all__ = ["align_to_beats", "grid_fit", "grid_quality", "guess_downbeats", "quantize", "track_beats"]

MAX_BEATS_AROUND: Final = 10_000
"""So many beats outside of the given ones say that these belong to something else."""

FRAME_RATE: Final = 100.0
"""Frames a second in which beats are tracked."""

TIGHTNESS: Final = 100.0
"""How strictly beats keep their period (Ellis 2007, alpha)."""


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


def grid_quality(onset_beat: Floats) -> float:
    """How much better than chance onsets lie on a grid of musical note values, in -1..1 (1: all of them do).

    The best of sixteenths, eighth triplets and sixteenth triplets within 0.04 beat, and twelfths within 0.01 beat (for
    notated music that mixes duple and triple), each as (share - chance) / (1 - chance).

    Parameters
    ----------
    onset_beat
        float64 [n_notes].
    """
    best = -1.0
    for steps, tolerance in ((4, 0.04), (3, 0.04), (6, 0.04), (12, 0.01)):
        chance = 2 * tolerance * steps
        best = max(best, (grid_fit(onset_beat, steps, tolerance) - chance) / (1 - chance))
    return best


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
            make_track(track.name, program, start * step, duration * step, column["pitch"], column["velocity"])
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
    beats, notes = _checked_beats(beat_times_sec, downbeat, quarters_per_beat), note_array(score)
    beats = _with_whole_bars(_around_notes(beats, notes))
    position = np.concatenate([[0.0], np.cumsum(beats.quarters[:-1])])  # of each beat, in quarter notes

    result = symusic.Score(TICKS_PER_BEAT)
    for index, signature in _signatures(beats):
        result.time_signatures.append(symusic.TimeSignature(round(position[index] * TICKS_PER_BEAT), *signature))
    for index, mspq in _tempos(beats):
        result.tempos.append(symusic.Tempo(round(position[index] * TICKS_PER_BEAT), mspq=mspq))

    onset_tick = np.rint(np.interp(notes["onset_sec"], beats.times, position) * TICKS_PER_BEAT).astype(np.int64)
    end_sec = notes["onset_sec"] + notes["duration_sec"]
    end_tick = np.rint(np.interp(end_sec, beats.times, position) * TICKS_PER_BEAT).astype(np.int64)
    for index, track in enumerate(score.tracks):
        rows = np.flatnonzero(notes["track"] == index)
        result.tracks.append(
            make_track(
                track.name,
                DRUMS if track.is_drum else track.program,
                onset_tick[rows],
                np.maximum(end_tick[rows] - onset_tick[rows], 1),
                notes["pitch"][rows],
                notes["velocity"][rows],
            )
        )
    return result


@dataclass(frozen=True)
class _Beats:
    """Beats that a piece is aligned to."""

    times: Floats
    """float64 [n_beats], seconds."""
    quarters: Floats
    """float64 [n_beats], quarter notes in each."""
    opening: NDArray[np.int64]
    """Indices of the downbeats."""
    period_sec: float
    """Median length of the first beats."""
    n_pickup_bars: int = 0
    """Whole bars before the first of *opening*."""

    @property
    def bar_lengths(self) -> NDArray[np.int64]:
        """Beats between downbeats."""
        return np.diff(self.opening)

    @property
    def usual(self) -> int:
        """The most frequent number of beats in a bar."""
        return int(np.bincount(self.bar_lengths).argmax()) if len(self.opening) > 1 else 4


def _checked_beats(beat_times_sec: Floats, downbeat: NDArray[np.bool_], quarters_per_beat: float | Floats) -> _Beats:
    times = np.asarray(beat_times_sec, dtype=np.float64)
    opens = np.asarray(downbeat, dtype=bool)
    quarters = np.broadcast_to(np.asarray(quarters_per_beat, dtype=np.float64), times.shape)
    if times.ndim != 1 or times.shape != opens.shape:
        raise InputError(f"beat times {times.shape} and downbeats {opens.shape} differ in shape: give one flag a beat")
    if len(times) < 2 or not np.all(np.isfinite(times)) or np.any(np.diff(times) <= 0):
        raise InputError(f"{len(times)} beat times cannot carry an alignment: give two or more, finite and increasing")
    if not np.any(opens):
        opens = np.arange(len(times)) % 4 == 0
    return _Beats(times, quarters, np.flatnonzero(opens), float(np.median(np.diff(times)[:8])))


def _around_notes(beats: _Beats, notes: Notes) -> _Beats:
    """The beats, extended over all notes in the tempo of the nearest ones."""
    times, quarters = beats.times, beats.quarters
    last_sec = float(np.max(notes["onset_sec"] + notes["duration_sec"], initial=times[-1]))
    first_sec = float(np.min(notes["onset_sec"], initial=times[0]))
    last_period = float(np.median(np.diff(times)[-8:]))
    n_before = max(0, math.ceil((times[0] - first_sec) / beats.period_sec - 1e-9))
    n_after = max(0, math.ceil((last_sec - times[-1]) / last_period - 1e-9)) + 1
    if n_before + n_after > MAX_BEATS_AROUND:
        raise InputError(
            f"the beats ({times[0]:.3f} to {times[-1]:.3f} s) cover too little of the music ({first_sec:.3f} to "
            f"{last_sec:.3f} s): give the beats of this very piece, in seconds"
        )
    after = times[-1] + last_period * np.arange(1, n_after + 1)
    later = replace(
        beats,
        times=np.concatenate([times, after]),
        quarters=np.concatenate([quarters, np.full(n_after, quarters[-1])]),
    )
    return _with_beats_before(later, n_before)


def _with_beats_before(beats: _Beats, n_before: int) -> _Beats:
    return replace(
        beats,
        times=np.concatenate([beats.times[0] - beats.period_sec * np.arange(n_before, 0, -1), beats.times]),
        quarters=np.concatenate([np.full(n_before, beats.quarters[0]), beats.quarters]),
        opening=beats.opening + n_before,
    )


def _with_whole_bars(beats: _Beats) -> _Beats:
    """The beats with whole bars before the first downbeat; the bar before it has the usual length."""
    n_before = int(beats.opening[0])
    n_pickup_bars = math.ceil(n_before / beats.usual)
    whole = _with_beats_before(beats, n_pickup_bars * beats.usual - n_before)
    return replace(whole, n_pickup_bars=n_pickup_bars)


def _signatures(beats: _Beats) -> Iterator[tuple[int, tuple[int, int]]]:
    """Time signatures where they change, each with the index of its first beat."""
    usual = beats.usual
    bar_start = np.concatenate([np.arange(beats.n_pickup_bars) * usual, beats.opening])
    bar_beats = np.concatenate([np.full(beats.n_pickup_bars, usual), beats.bar_lengths, [usual]])
    previous = None
    for index, n_beats in zip(bar_start.tolist(), bar_beats.tolist(), strict=True):
        is_gap = n_beats > 16  # downbeats are missing: go on in the usual meter, and start anew behind
        signature = _signature_of(usual if is_gap else n_beats, float(beats.quarters[index]))
        if signature != previous:
            yield index, signature
        previous = None if is_gap else signature


def _tempos(beats: _Beats) -> Iterator[tuple[int, int]]:
    """Tempo changes that keep to the beats: the index of a beat, and microseconds a quarter note from there on.

    One is made where the tempo in force would miss a beat by 2 ms or more: annotations carry rounding noise that is no
    tempo change. Each aims at the next beat anew, so errors never add up.
    """
    times = beats.times
    current, now = 0, float(times[0])
    for index in range(len(times) - 1):
        n_quarters = float(beats.quarters[index])
        if abs(now + current * 1e-6 * n_quarters - times[index + 1]) >= 2e-3:
            exact = (float(times[index + 1]) - now) / n_quarters * 1e6
            current = min(max(round(exact), round(60e6 / MAX_BPM)), round(60e6 / MIN_BPM))
            yield index, current
            if current < exact - 1:  # slower than any tempo, as a long pause is: shorten it rather than catch up
                now = float(times[index + 1]) - current * 1e-6 * n_quarters
        now += current * 1e-6 * n_quarters


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
    origin = float(onset_sec.min()) - 0.5
    envelope = _onset_envelope(onset_sec - origin, weight)
    beats = origin + np.array(_beat_chain(envelope, _beat_period(envelope))) / FRAME_RATE
    if len(beats) < 4:
        return np.zeros(0), 0.0
    position = np.interp(onset_sec, beats, np.arange(len(beats)))
    chance = 2 * 0.04 * 4
    fit = grid_fit(position, 4)
    return beats, float(np.clip((fit - chance) / (1 - chance), 0.0, 1.0))


def guess_downbeats(notes: Notes, beat_sec: Floats) -> NDArray[np.bool_]:
    """Downbeats of tracked beats, taken as 4/4: the phase on which most weight of low and long notes falls.

    Returns
    -------
    bool [n_beats]
        For each of `beat_sec`, the beats in seconds.
    """
    beat = np.interp(notes["onset_sec"], beat_sec, np.arange(len(beat_sec)))
    near = np.abs(beat - np.rint(beat)) < 0.15
    weight = notes["velocity"] / 127 * np.minimum(notes["duration_sec"], 2.0) * np.where(notes["pitch"] < 52, 2.0, 1.0)
    phase = np.bincount(np.rint(beat[near]).astype(np.int64) % 4, weights=weight[near], minlength=4)
    return np.arange(len(beat_sec)) % 4 == int(phase.argmax())


def _onset_envelope(onset_sec: Floats, weight: Floats) -> Floats:
    """Strength of onsets by frame, of unit deviation."""
    n_frames = math.ceil(float(onset_sec.max()) * FRAME_RATE) + 51
    frames = np.rint(onset_sec * FRAME_RATE).astype(np.int64)
    # The root makes a chord one event, rather than as many as it has notes.
    envelope: Floats = np.sqrt(np.bincount(frames, weights=weight, minlength=n_frames))
    kernel = np.exp(-0.5 * (np.arange(-6.0, 7.0) / 2.0) ** 2)
    envelope = np.convolve(envelope, kernel, mode="same")
    envelope /= envelope.std() + 1e-12
    return envelope


def _beat_period(envelope: Floats) -> int:
    """Frames a beat by autocorrelation, preferring moderate tempos (log-normal around 120 BPM, 0.9 octaves)."""
    n_frames = len(envelope)
    n_fft = 1 << (2 * n_frames - 1).bit_length()
    spectrum = np.fft.rfft(envelope - envelope.mean(), n_fft)
    correlation = np.fft.irfft(spectrum * spectrum.conj(), n_fft)[:n_frames]
    lags = np.arange(round(FRAME_RATE * 60 / 240), min(round(FRAME_RATE * 60 / 40), n_frames - 1))
    preference = np.exp(-0.5 * (np.log2(lags / (FRAME_RATE * 0.5)) / 0.9) ** 2)
    return int(lags[np.argmax(correlation[lags] * preference)])


def _beat_chain(envelope: Floats, period: int) -> list[int]:
    """Frames of the best chain of beats.

    The value of a frame is its own onset strength plus the best predecessor about a period ago.
    """
    n_frames = len(envelope)
    furthest, nearest = 2 * period, period // 2 + 1
    steps_back = np.arange(furthest, nearest - 1, -1)
    penalty = -TIGHTNESS * np.log(steps_back / period) ** 2
    value = envelope.copy()
    back = np.full(n_frames, -1)
    for first in range(furthest, n_frames, nearest):  # of so many frames, all predecessors lie before the first
        stop = min(first + nearest, n_frames)
        before = np.lib.stride_tricks.sliding_window_view(value[first - furthest : stop - nearest], len(steps_back))
        candidates = before + penalty
        best = candidates.argmax(axis=1)
        value[first:stop] += candidates[np.arange(stop - first), best]
        back[first:stop] = np.arange(first, stop) - steps_back[best]
    tail = max(0, n_frames - 2 * period)
    frame = tail + int(np.argmax(value[tail:]))
    chain = []
    while frame >= 0:
        chain.append(frame)
        frame = int(back[frame])
    return chain[::-1]
