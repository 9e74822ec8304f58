"""Notes as columns: a score's notes in beats and seconds, its tempo, and scores made of notes.

Contents: :data:`DRUMS`, :data:`NOTE_DTYPE`, :data:`Score`, :data:`Notes`; :func:`note_array`, :func:`from_notes`,
:func:`make_track`, :func:`end_tick`; :func:`tempo_map`, :func:`beat_to_sec`, :func:`mean_tempo_bpm`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import symusic
from numpy.typing import NDArray

if TYPE_CHECKING:
    from symusic.core import ScoreTick as Score
else:
    Score = symusic.core.ScoreTick

__all__ = [
    "DEFAULT_BPM",
    "DRUMS",
    "NOTE_DTYPE",
    "TICKS_PER_BEAT",
    "Floats",
    "Notes",
    "Score",
    "beat_to_sec",
    "end_tick",
    "from_notes",
    "make_track",
    "mean_tempo_bpm",
    "note_array",
    "tempo_map",
]

DRUMS = 128
"""The program number that stands for percussion."""

DEFAULT_BPM = 120.0
"""What the MIDI standard prescribes where a file has no tempo."""

TICKS_PER_BEAT = 480
"""Resolution of the scores that this room makes itself."""

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


def make_track(name: str, program: int, tick: Any, duration: Any, pitch: Any, velocity: Any) -> symusic.core.TrackTick:
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
            make_track(
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


def end_tick(score: Score) -> int:
    """Tick at which the last note ends; 0 without notes."""
    columns = [track.notes.numpy() for track in score.tracks if len(track.notes)]
    return max((int((column["time"].astype(np.int64) + column["duration"]).max()) for column in columns), default=0)
