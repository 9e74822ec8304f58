"""Notes as columns, and what they form: attacks, stretches of sound, voices.

Conventions
-----------
* A beat is a quarter note. Times end in ``_beat`` or ``_sec``.
* An *attack* is a set of notes that start together: each within 25 ms of the one before it.
* A *voice* is a track (the channel of jSymbolic), or whatever else notes are grouped by.

Contents: :class:`Notes`; :class:`Groups`, :func:`group_attacks`; :class:`Spans`, :func:`sounding_spans`, :func:`depth`;
:class:`Voices`, :func:`compare_voices`; :func:`weigh`.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

SAME_ATTACK_SEC: Final = 0.025
"""Notes closer than this are one attack: below it, onsets are heard as simultaneous (Hirsh 1959: 20 ms)."""

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def weigh(classes: NDArray[np.integer[Any]], weight: FloatArray, n_classes: int) -> FloatArray:
    """[n_classes] sum of the weights of each class."""
    return np.asarray(np.bincount(classes, weight, minlength=n_classes), dtype=np.float64)


class Notes(NamedTuple):
    """Columns of a note array, contiguous, sorted by onset; all of length n."""

    onset_beat: FloatArray
    duration_beat: FloatArray
    onset_sec: FloatArray
    duration_sec: FloatArray
    pitch: IntArray
    velocity: FloatArray
    program: IntArray
    track: IntArray

    def take(self, rows: slice | BoolArray | IntArray) -> Notes:
        """Notes of a slice, mask or index array."""
        return Notes._make(column[rows] for column in self)

    @property
    def end_beat(self) -> FloatArray:
        return self.onset_beat + self.duration_beat

    @property
    def end_sec(self) -> FloatArray:
        return self.onset_sec + self.duration_sec


class Groups(NamedTuple):
    """Attacks within voices: notes sorted by (voice, onset) and cut where a new attack begins."""

    order: IntArray
    """[n] index of the notes in this order."""
    first: IntArray
    """[g] position (in ``order``) of each attack's first note."""
    of_note: IntArray
    """[n] attack of each note, in this order."""
    voice: IntArray
    """[g] voice of each attack."""
    follows: BoolArray
    """[g] whether the next attack is of the same voice."""


def group_attacks(notes: Notes, voice: IntArray) -> Groups:
    """Attacks of the notes of each voice, [n] whatever a voice is."""
    onset = notes.onset_sec
    if not len(onset):
        none = np.empty(0, dtype=np.int64)
        return Groups(none, none, none, none, none.astype(bool))
    if (voice == voice[0]).all():
        order = np.arange(len(onset))
    else:
        order = np.argsort(voice, kind="stable")
        onset, voice = onset[order], voice[order]
    cut = (np.diff(onset) > SAME_ATTACK_SEC) | (np.diff(voice) != 0)
    first = np.concatenate([[0], np.flatnonzero(cut) + 1])
    of_note = np.concatenate([[0], np.cumsum(cut)])
    group_voice = voice[first]
    follows = np.zeros(len(first), dtype=bool)
    follows[:-1] = group_voice[1:] == group_voice[:-1]
    return Groups(order, first, of_note, group_voice, follows)


class Spans(NamedTuple):
    """Stretches of time in which the notes of a key (a track, a program) sound without a break."""

    key: IntArray
    start: FloatArray
    end: FloatArray


def sounding_spans(key: IntArray, onset: FloatArray, end: FloatArray) -> Spans:
    """Stretches of time in which notes of a key sound without a break, sorted by key, then time. Onsets ascend."""
    if not len(onset):
        return Spans(key, onset, end)
    order = np.argsort(key, kind="stable")
    key, onset, end = key[order], onset[order], end[order]
    # Lay the keys one after another on one axis, so that one running maximum serves them all.
    shift = key * (2.0 * float(np.abs(end).max()) + 1.0)
    reach = np.maximum.accumulate(end + shift)
    opens = np.concatenate([[True], (onset + shift)[1:] > reach[:-1] + 1e-6])
    first = np.flatnonzero(opens)
    last = np.append(first[1:], len(key)) - 1
    return Spans(key[first], onset[first], reach[last] - shift[first])


def depth(spans: Spans) -> tuple[IntArray, FloatArray]:
    """How many spans overlap, stretch by stretch, and how long each stretch is; empty stretches left out."""
    times = np.concatenate([spans.start, spans.end])
    order = np.argsort(times, kind="stable")
    n_open = np.cumsum(np.repeat([1, -1], len(spans.start))[order])[:-1]
    length = np.diff(times[order])
    some = (n_open > 0) & (length > 1e-9)
    return n_open[some], length[some]


class Voices(NamedTuple):
    """Statistics of the tracks that have pitched notes, all [v] but the last."""

    count: IntArray  # type: ignore[assignment]  # hides the method of tuples, which nobody needs here
    """Notes."""
    pitch: FloatArray
    """Mean pitch."""
    velocity: FloatArray
    """Mean velocity."""
    duration_sec: FloatArray
    """Mean duration."""
    sounding_sec: FloatArray
    """Time during which the track sounds."""
    interval: FloatArray
    """Mean absolute melodic interval; NaN for a single attack."""
    lowest: IntArray
    highest: IntArray
    of_note: IntArray
    """[n] voice of each pitched note."""


def compare_voices(notes: Notes, groups: Groups, intervals: IntArray) -> Voices:
    """What jSymbolic compares between channels: one entry per track with pitched notes.

    Parameters
    ----------
    notes
        Pitched notes.
    groups
        Their attacks by track.
    intervals
        Melodic intervals [m], track after track, one per attack that follows another of its track.
    """
    ids, track = np.unique(notes.track, return_inverse=True)
    n = len(ids)
    count = np.bincount(track, minlength=n)
    order = np.argsort(track, kind="stable")
    first = np.searchsorted(track[order], np.arange(n))
    spans = sounding_spans(track, notes.onset_sec, notes.end_sec)
    voice = np.searchsorted(ids, groups.voice[:-1][groups.follows[:-1]]) if n else ids
    n_intervals = np.bincount(voice, minlength=n)
    leap = np.bincount(voice, np.abs(intervals), minlength=n)
    return Voices(
        count=count,
        pitch=np.bincount(track, notes.pitch, minlength=n) / count,
        velocity=np.bincount(track, notes.velocity, minlength=n) / count,
        duration_sec=np.bincount(track, notes.duration_sec, minlength=n) / count,
        sounding_sec=weigh(spans.key, spans.end - spans.start, n),
        interval=np.where(n_intervals > 0, leap / np.maximum(n_intervals, 1), np.nan),
        lowest=np.minimum.reduceat(notes.pitch[order], first) if n else ids,
        highest=np.maximum.reduceat(notes.pitch[order], first) if n else ids,
        of_note=track,
    )
