"""Cleaning: a score without what cannot be music.

Contents: :func:`clean`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import symusic

from muse.errors import InputError
from muse.score.bars import signatures_of
from muse.score.notes import DEFAULT_BPM, Score, end_tick

__all__ = ["MAX_BPM", "MIN_BPM", "clean"]

MIN_BPM, MAX_BPM = 10.0, 400.0
"""Tempos outside are mistakes of a file, not music."""

STUCK_BEATS, STUCK_CUT_BEATS = 64, 16
"""A note longer than the first is taken for a stuck one and cut to the second."""


def clean(score: Score) -> Score:
    """A new score without what cannot be music. Positions in time stay as they are.

    * Notes: those before tick 0, without velocity or outside 0..127 go, and so do pitched notes of no length
      (percussion gets a 32nd note). Of notes with one pitch and onset in a track the longest stays; a note that
      overlaps the next of its pitch ends there. A note of more than 64 beats is a stuck one and ends after 16.
    * Tempos: brought into 10..400 BPM; zeros and repetitions go. If there are any, there is one at tick 0; a score that
      says none is heard at :data:`~muse.score.notes.DEFAULT_BPM`, but does not ask for it.
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

    end = end_tick(result)
    for track in result.tracks:
        _keep(track.controls, end, ("number", "value"), 127)
        _keep(track.pitch_bends, end)
        _keep(track.pedals, end)
        track.lyrics.filter(lambda line: 0 <= line.time <= end, inplace=True)
    for tick, mspq in _clean_tempos(score.tempos.numpy()):
        if tick == 0 or tick < end:
            result.tempos.append(symusic.Tempo(tick, mspq=mspq))
    previous = (0, 0, 0)
    for tick, numerator, denominator in signatures_of(score):
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
    """(tick, microseconds a quarter note), increasing, the first at tick 0, without repetitions; empty if none is."""
    found: dict[int, int] = {}
    for tick, mspq in zip(column["time"].tolist(), column["mspq"].tolist(), strict=True):
        if tick >= 0 and mspq > 0:
            found[tick] = min(max(mspq, round(60e6 / MAX_BPM)), round(60e6 / MIN_BPM))
    if not found:
        return []
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
