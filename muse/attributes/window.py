"""What the attribute functions share: a piece read once, and windows of it with lazy intermediates.

Conventions
-----------
* A beat is a quarter note. Times end in ``_beat`` or ``_sec``; windows are half open, ``[start, stop)``.
* A window holds the notes that *start* in it; durations are cut at its end.
* ``w.pitched`` hides the drums (program 128): their pitches are no pitches and their durations have no meaning.
* An *attack* is a set of notes that start together: each within 25 ms of the one before it.
* A *voice* is a track (the channel of jSymbolic).

Every property is computed on first use and then kept, so a subset of attributes pays only for what it needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

import muse.theory as harmony
from muse.score import DRUMS, Score, bar_grid, beat_to_sec, note_array, tempo_map

SAME_ATTACK_SEC: Final = 0.025
"""Notes closer than this are one attack: below it, onsets are heard as simultaneous (Hirsh 1959: 20 ms)."""
RHYTHMIC_VALUES_BEAT: Final = np.array([0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0])
"""The 12 values of jSymbolic's Rhythmic Value Histogram, thirty-second to dotted double whole note."""
ON_POSITION_BEAT: Final = 0.07
"""Beats by which an onset may miss a metrical position and still stand on it."""
MOST_ATTACKS_APART: Final = 400
"""Pairs of attacks with more attacks between them make no pulse that anyone hears; bounds the work on odd files."""
SMALL_PRODUCT: Final = 65536 * 4
"""Multiplications up to which OpenBLAS multiplies matrices on one thread."""
BLOCK_ROWS: Final = 8192
"""Stretches of time that are held as a matrix at once."""
_CLASS_BITS: Final = 1 << np.arange(12)
_N_CLASSES: Final = np.array([mask.bit_count() for mask in range(4096)])
_VALUE_EDGES: Final = (RHYTHMIC_VALUES_BEAT[1:] + RHYTHMIC_VALUES_BEAT[:-1]) / 2.0

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def _weigh(classes: NDArray[np.integer[Any]], weight: FloatArray, n_classes: int) -> FloatArray:
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


@dataclass(frozen=True, eq=False)
class Piece:
    """A score read once: columns of its notes, bar grid and tempo map."""

    notes: Notes
    bar_start_beat: FloatArray
    """[n_bars + 1]; empty when the score has no notes."""
    bar_numerator: IntArray
    bar_denominator: IntArray
    tempo: FloatArray
    """[n, 2]: beat, bpm (quarter notes per minute)."""

    @classmethod
    def of(cls, score: Score) -> Piece:
        """Read a score."""
        array, grid = note_array(score), bar_grid(score)
        notes = Notes._make(
            np.ascontiguousarray(array[name], dtype=np.int64 if name in ("pitch", "program", "track") else np.float64)
            for name in Notes._fields
        )
        return cls(
            notes, grid.start_beat, grid.numerator.astype(np.int64), grid.denominator.astype(np.int64), tempo_map(score)
        )

    def windows(self, bars: int | None) -> Iterator[Window]:
        """One window over all that sounds, or one per ``bars`` bars."""
        notes = self.notes
        n_bars = len(self.bar_start_beat) - 1
        if bars is None or n_bars < 1:
            if not len(notes.pitch):
                yield Window(self, 0, 0, 0, max(n_bars, 0), 0.0, 0.0, 0.0, 0.0)
                return
            start, stop = float(notes.onset_beat[0]), float(notes.end_beat.max())
            start_sec, stop_sec = float(notes.onset_sec[0]), float(notes.end_sec.max())
            yield Window(self, 0, len(notes.pitch), 0, max(n_bars, 0), start, stop, start_sec, stop_sec)
            return
        for first in range(0, n_bars, bars):
            stop_bar = min(first + bars, n_bars)
            start, stop = float(self.bar_start_beat[first]), float(self.bar_start_beat[stop_bar])
            # Onsets a rounding error before the bar line belong to the bar.
            lo, hi = np.searchsorted(notes.onset_beat, [start - 1e-6, stop - 1e-6])
            start_sec, stop_sec = beat_to_sec(self.tempo, np.array([start, stop]))
            yield Window(self, int(lo), int(hi), first, stop_bar, start, stop, float(start_sec), float(stop_sec))


class Verticals(NamedTuple):
    """What sounds together: one row per stretch of time in which no pitched note starts or ends; silence left out."""

    duration_beat: FloatArray
    """[s] length of each stretch."""
    n_pitches: IntArray
    """[s] distinct pitches."""
    classes: IntArray
    """[s] bit mask of the pitch classes, bit 0 = C."""
    lowest: IntArray
    """[s] lowest pitch."""
    highest: IntArray
    """[s] highest pitch."""


class Spans(NamedTuple):
    """Stretches of time in which the notes of a key (a track, a program) sound without a break."""

    key: IntArray
    start: FloatArray
    end: FloatArray


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


def _depth(spans: Spans) -> tuple[IntArray, FloatArray]:
    """How many spans overlap, stretch by stretch, and how long each stretch is; empty stretches left out."""
    times = np.concatenate([spans.start, spans.end])
    order = np.argsort(times, kind="stable")
    depth = np.cumsum(np.repeat([1, -1], len(spans.start))[order])[:-1]
    length = np.diff(times[order])
    some = (depth > 0) & (length > 1e-9)
    return depth[some], length[some]


class Window:
    """Notes of one window and everything derived from them, each computed once when first asked for."""

    def __init__(
        self,
        piece: Piece,
        lo: int,
        hi: int,
        first_bar: int,
        stop_bar: int,
        start_beat: float,
        stop_beat: float,
        start_sec: float,
        stop_sec: float,
    ) -> None:
        self.piece = piece
        self.first_bar, self.stop_bar = first_bar, stop_bar
        self.start_beat, self.stop_beat = start_beat, stop_beat
        self.start_sec, self.stop_sec = start_sec, stop_sec
        self.n_beats = stop_beat - start_beat
        self.n_sec = stop_sec - start_sec
        self._rows = slice(lo, hi)

    @cached_property
    def notes(self) -> Notes:
        """All notes, drums included, durations cut at the window's end."""
        notes = self.piece.notes.take(self._rows)
        return notes._replace(
            duration_beat=np.minimum(notes.duration_beat, self.stop_beat - notes.onset_beat),
            duration_sec=np.minimum(notes.duration_sec, self.stop_sec - notes.onset_sec),
        )

    @cached_property
    def pitched(self) -> Notes:
        """Notes that are no drums."""
        keep = self.notes.program < DRUMS
        return self.notes if keep.all() else self.notes.take(keep)

    @cached_property
    def drums(self) -> Notes:
        """Notes of the drum kit."""
        return self.notes.take(self.notes.program >= DRUMS)

    # --------------------------------------------------------------------------------------------------- pitches

    @cached_property
    def pitch_counts(self) -> IntArray:
        """[128] pitched notes on each pitch."""
        return np.bincount(self.pitched.pitch, minlength=128)

    @cached_property
    def class_counts(self) -> IntArray:
        """[12] pitched notes of each pitch class."""
        return np.bincount(self.pitched.pitch % 12, minlength=12)

    # -------------------------------------------------------------------------------------------------- attacks

    @cached_property
    def attack_first(self) -> IntArray:
        """[a] index (in ``notes``) of the first note of each attack, drums included."""
        onset = self.notes.onset_sec
        if not len(onset):
            return np.empty(0, dtype=np.int64)
        return np.concatenate([[0], np.flatnonzero(np.diff(onset) > SAME_ATTACK_SEC) + 1])

    @cached_property
    def attack_sec(self) -> FloatArray:
        """[a] time of each attack."""
        return self.notes.onset_sec[self.attack_first]

    @cached_property
    def attack_gap_sec(self) -> FloatArray:
        """[a - 1] seconds from each attack to the next."""
        return np.diff(self.attack_sec)

    @cached_property
    def attack_gap_beat(self) -> FloatArray:
        """[a - 1] beats from each attack to the next."""
        return np.diff(self.notes.onset_beat[self.attack_first])

    def _group(self, voice: IntArray) -> Groups:
        onset = self.pitched.onset_sec
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

    @cached_property
    def by_track(self) -> Groups:
        """Attacks of the pitched notes of each track."""
        return self._group(self.pitched.track)

    @cached_property
    def by_program(self) -> Groups:
        """Attacks of the pitched notes of each program: the same however the instrument is split over tracks."""
        return self._group(self.pitched.program)

    @cached_property
    def next_attack_beat(self) -> FloatArray:
        """[n] beat of the next attack of the same program after each pitched note; NaN where there is none."""
        groups = self.by_program
        start = self.pitched.onset_beat[groups.order[groups.first]]
        following = np.full(len(start), np.nan)
        following[:-1] = np.where(groups.follows[:-1], start[1:], np.nan)
        out = np.empty(len(groups.order))
        out[groups.order] = following[groups.of_note]
        return out

    # --------------------------------------------------------------------------------------------------- melody

    @cached_property
    def track_melody(self) -> tuple[IntArray, IntArray, BoolArray]:
        """Top note of each attack of each track: pitch [g], note index in ``pitched`` [g], has a successor [g]."""
        groups = self.by_track
        if not len(groups.order):
            return groups.order, groups.order, groups.follows
        pitch = self.pitched.pitch[groups.order]
        top = np.maximum.reduceat(pitch, groups.first)
        hits = np.flatnonzero(pitch == top[groups.of_note])
        _, at = np.unique(groups.of_note[hits], return_index=True)
        return top, groups.order[hits[at]], groups.follows

    @cached_property
    def intervals(self) -> IntArray:
        """[m] signed melodic intervals in semitones, track after track."""
        groups = self.by_track
        if not len(groups.order):
            return np.empty(0, dtype=np.int64)
        top = np.maximum.reduceat(self.pitched.pitch[groups.order], groups.first)
        return np.diff(top)[groups.follows[:-1]]

    @cached_property
    def interval_counts(self) -> IntArray:
        """[128] number of melodic intervals of each size."""
        return np.bincount(np.abs(self.intervals), minlength=128)

    @cached_property
    def skyline(self) -> Notes:
        """The highest note of each attack that no higher sounding note covers: what is heard as the melody."""
        notes = self.pitched
        if not len(notes.pitch):
            return notes
        cut = np.diff(notes.onset_sec) > SAME_ATTACK_SEC
        of_note = np.concatenate([[0], np.cumsum(cut)])
        order = np.lexsort((-notes.pitch, of_note))
        top = order[np.concatenate([[0], np.flatnonzero(np.diff(of_note)) + 1])]
        line = notes.take(top)
        # A note is covered when an earlier, higher top note still sounds beyond half of it.
        middle = line.onset_beat + 0.5 * line.duration_beat
        n = len(line.pitch)
        covered = np.zeros(n, dtype=bool)
        end = line.end_beat
        for back in range(1, min(n, 9)):
            covered[back:] |= (line.pitch[:-back] > line.pitch[back:]) & (end[:-back] > middle[back:])
        return line.take(~covered)

    # ------------------------------------------------------------------------------------------------- verticals

    @cached_property
    def _changes(self) -> tuple[FloatArray, IntArray, IntArray, IntArray]:
        """Times at which something starts or ends [c]; pitches used [p]; row and column of each start and end [2n]."""
        notes = self.pitched
        pitch, column = np.unique(notes.pitch, return_inverse=True)
        times = np.concatenate([notes.onset_beat, notes.end_beat])
        # Ticks are at least a thousandth of a beat apart: what lies closer is one instant.
        change, row = np.unique(np.rint(times * 1e4).astype(np.int64), return_inverse=True)
        return change / 1e4, pitch, row, np.tile(column, 2)

    def _sounding(self) -> Iterator[tuple[FloatArray, FloatArray, FloatArray]]:
        """Length [s] of each stretch, number [s, p] and summed velocity [s, p] of the notes on each pitch.

        Comes in blocks, so that the longest piece needs little more memory than its notes.
        """
        if 0 < len(self._changes[0]) <= BLOCK_ROWS:
            yield self._sounding_whole
        elif len(self._changes[0]):
            yield from self._sounding_blocks(BLOCK_ROWS)

    @cached_property
    def _sounding_whole(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The single block of a piece of usual length, kept for all who need it."""
        change, pitch, row, column = self._changes
        n_notes, shape = len(row) // 2, (len(change), len(pitch))
        cell = row * shape[1] + column
        sign = np.repeat([1.0, -1.0], n_notes)
        # What starts minus what ends, summed up row by row; the last row is the silence after everything.
        count = np.bincount(cell, sign, shape[0] * shape[1]).reshape(shape).cumsum(axis=0)[:-1]
        loud = np.bincount(cell, sign * np.tile(self.pitched.velocity, 2), shape[0] * shape[1])
        return np.diff(change), count, loud.reshape(shape).cumsum(axis=0)[:-1]

    def _sounding_blocks(self, n_rows: int) -> Iterator[tuple[FloatArray, FloatArray, FloatArray]]:
        """The same in blocks of so many stretches."""
        change, pitch, row, column = self._changes
        width, length = len(pitch), np.diff(change)
        order = np.argsort(row, kind="stable")
        sign = np.repeat([1.0, -1.0], len(row) // 2)[order]
        loud = sign * np.tile(self.pitched.velocity, 2)[order]
        row, column = row[order], column[order]
        count_before, loud_before = np.zeros(width), np.zeros(width)
        for start in range(0, len(length), n_rows):
            stop = min(start + n_rows, len(length))
            part = slice(*np.searchsorted(row, [start, stop]))
            cell = (row[part] - start) * width + column[part]
            shape, size = (stop - start, width), (stop - start) * width
            count = count_before + np.bincount(cell, sign[part], size).reshape(shape).cumsum(axis=0)
            velocity = loud_before + np.bincount(cell, loud[part], size).reshape(shape).cumsum(axis=0)
            count_before, loud_before = count[-1].copy(), velocity[-1].copy()
            yield length[start:stop], count, velocity

    @cached_property
    def verticals(self) -> Verticals:
        """Summary of what sounds together, stretch by stretch."""
        pitch = self._changes[1]
        in_class = pitch[:, None] % 12 == np.arange(12)
        blocks = []
        for length, count, _ in self._sounding():
            on = count > 0.5
            n_pitches = np.count_nonzero(on, axis=1)
            some = n_pitches > 0
            on = on[some]
            classes = ((on @ in_class) > 0) @ _CLASS_BITS
            lowest, highest = pitch[on.argmax(axis=1)], pitch[::-1][on[:, ::-1].argmax(axis=1)]
            blocks.append(Verticals(length[some], n_pitches[some], classes, lowest, highest))
        if not blocks:
            none = np.empty(0, dtype=np.int64)
            return Verticals(np.empty(0), none, none, none, none)
        return blocks[0] if len(blocks) == 1 else Verticals(*map(np.concatenate, zip(*blocks, strict=True)))

    @cached_property
    def n_classes(self) -> IntArray:
        """[s] distinct pitch classes in each stretch of :attr:`verticals`."""
        return _N_CLASSES[self.verticals.classes]

    @cached_property
    def chord_type_beat(self) -> FloatArray:
        """[11] beats during which each chord type of jSymbolic sounds."""
        kind = harmony.pitch_class_set_type()[self.verticals.classes]
        return _weigh(kind[kind >= 0], self.verticals.duration_beat[kind >= 0], 11)

    @cached_property
    def pair_weight(self) -> FloatArray:
        """[128, 128] weight of each pair of notes that sound together, by lower pitch and interval.

        The weight is the number of beats that the two sound together times the mean of their velocities.
        """
        pitch = self._changes[1]
        n_pitches = len(pitch)
        pairs, unisons = np.zeros((n_pitches, n_pitches)), np.zeros(n_pitches)
        # Products this small stay on one thread; more threads cost more than they bring here.
        n_rows = max(SMALL_PRODUCT // max(n_pitches**2, 1), 1)
        for length, count, velocity in self._sounding():
            timed = count * length[:, None]
            for start in range(0, len(length), n_rows):
                part = slice(start, start + n_rows)
                pairs += timed[part].T @ velocity[part]
            # Two notes on one pitch: n (n - 1) / 2 pairs, each as loud as the mean of the notes there.
            unisons += (np.maximum(count - 1.0, 0.0) * velocity * length[:, None]).sum(axis=0) / 2.0
        weight = np.zeros((128, 128))
        weight[pitch, 0] = unisons
        low, high = np.triu_indices(n_pitches, 1)
        weight[pitch[low], pitch[high] - pitch[low]] = (pairs[low, high] + pairs[high, low]) / 2.0
        return np.maximum(weight, 0.0)

    @cached_property
    def vertical_weight(self) -> FloatArray:
        """[128] weight of each vertical interval, see :attr:`pair_weight`."""
        return np.asarray(self.pair_weight.sum(axis=0))

    @cached_property
    def wrapped_vertical_weight(self) -> FloatArray:
        """[12] the same with intervals folded into an octave."""
        return _weigh(np.arange(128) % 12, self.vertical_weight, 12)

    @cached_property
    def slices(self) -> tuple[IntArray, IntArray]:
        """Pitches that sound at each attack: how many [r], and the pitches, ascending, slice after slice."""
        change, pitch = self._changes[0], self._changes[1]
        groups = self._group(np.zeros(len(self.pitched.pitch), dtype=np.int64))
        if not len(groups.order):
            return groups.order, groups.order
        last = np.append(groups.first[1:], len(groups.order)) - 1
        wanted = np.unique(np.searchsorted(change, np.rint(self.pitched.onset_beat[last] * 1e4) / 1e4 - 1e-9))
        sizes, pitches, start = [], [], 0
        for length, count, _ in self._sounding():
            inside = wanted[(wanted >= start) & (wanted < start + len(length))] - start
            rows, columns = np.nonzero(count[inside] > 0.5)
            sizes.append(np.bincount(rows, minlength=len(inside)))
            pitches.append(pitch[columns])
            start += len(length)
        return np.concatenate(sizes), np.concatenate(pitches)

    @cached_property
    def voice_motions(self) -> FloatArray:
        """[6] pairs of voices in parallel, similar, contrary, oblique motion; in parallel fifths; in parallel octaves.

        As jSymbolic: only steps between slices of the same number of pitches count; the lowest pitch goes to the
        lowest, and so on up. Slices of more than 12 pitches are clusters, not voices.
        """
        size, pitch = self.slices
        total = np.zeros(6)
        start = np.cumsum(size) - size
        steady = np.flatnonzero(size[1:] == size[:-1])
        for n in range(2, 13):
            step = steady[size[steady] == n]
            if not len(step):
                continue
            before = pitch[start[step][:, None] + np.arange(n)]
            motion = pitch[start[step + 1][:, None] + np.arange(n)] - before
            low, high = np.triu_indices(n, 1)
            one, two = motion[:, low], motion[:, high]
            parallel = (one == two) & (one != 0)
            product = np.sign(one) * np.sign(two)
            interval = (before[:, high] - before[:, low])[parallel] % 12
            counts = [
                len(interval),
                np.count_nonzero(product > 0) - len(interval),
                np.count_nonzero(product < 0),
                np.count_nonzero((product == 0) & (one != two)),
                np.count_nonzero(interval == 7),
                np.count_nonzero(interval == 0),
            ]
            total += np.array(counts, dtype=np.float64)
        return total

    def _spans(self, key: IntArray, notes: Notes, *, in_seconds: bool = False) -> Spans:
        """Stretches of time in which notes of a key sound without a break, sorted by key, then time."""
        onset, end = (notes.onset_sec, notes.end_sec) if in_seconds else (notes.onset_beat, notes.end_beat)
        if not len(onset):
            return Spans(key, onset, end)
        order = np.argsort(key, kind="stable")
        key, onset, end = key[order], onset[order], end[order]
        # Lay the keys one after another on one axis, so that one running maximum serves them all.
        shift = key * (2.0 * (abs(self.stop_beat) + abs(self.stop_sec)) + 1.0)
        reach = np.maximum.accumulate(end + shift)
        opens = np.concatenate([[True], (onset + shift)[1:] > reach[:-1] + 1e-6])
        first = np.flatnonzero(opens)
        last = np.append(first[1:], len(key)) - 1
        return Spans(key[first], onset[first], reach[last] - shift[first])

    @cached_property
    def track_spans(self) -> Spans:
        """When each track sounds, drums included."""
        _, track = np.unique(self.notes.track, return_inverse=True)
        return self._spans(track, self.notes)

    @cached_property
    def pitched_spans(self) -> Spans:
        """When anything pitched sounds."""
        return self._spans(np.zeros(len(self.pitched.pitch), dtype=np.int64), self.pitched)

    @cached_property
    def program_spans_sec(self) -> Spans:
        """When each program sounds, in seconds, without drums."""
        return self._spans(self.pitched.program, self.pitched, in_seconds=True)

    @cached_property
    def n_voices_sounding(self) -> tuple[IntArray, FloatArray]:
        """Number of tracks that sound, drums not, and for how many beats; times of silence left out."""
        _, track = np.unique(self.pitched.track, return_inverse=True)
        return _depth(self._spans(track, self.pitched))

    @cached_property
    def voices(self) -> Voices:
        """What jSymbolic compares between channels: one entry per track with pitched notes."""
        notes = self.pitched
        ids, track = np.unique(notes.track, return_inverse=True)
        n = len(ids)
        count = np.bincount(track, minlength=n)
        order = np.argsort(track, kind="stable")
        first = np.searchsorted(track[order], np.arange(n))
        spans = self._spans(track, notes, in_seconds=True)
        groups = self.by_track
        voice = np.searchsorted(ids, groups.voice[:-1][groups.follows[:-1]]) if n else ids
        n_intervals = np.bincount(voice, minlength=n)
        leap = np.bincount(voice, np.abs(self.intervals), minlength=n)
        return Voices(
            count=count,
            pitch=np.bincount(track, notes.pitch, minlength=n) / count,
            velocity=np.bincount(track, notes.velocity, minlength=n) / count,
            duration_sec=np.bincount(track, notes.duration_sec, minlength=n) / count,
            sounding_sec=_weigh(spans.key, spans.end - spans.start, n),
            interval=np.where(n_intervals > 0, leap / np.maximum(n_intervals, 1), np.nan),
            lowest=np.minimum.reduceat(notes.pitch[order], first) if n else ids,
            highest=np.maximum.reduceat(notes.pitch[order], first) if n else ids,
            of_note=track,
        )

    # -------------------------------------------------------------------------------------------------- tonality

    @cached_property
    def class_weight(self) -> FloatArray:
        """[12] beats that each pitch class sounds."""
        return _weigh(self.pitched.pitch % 12, self.pitched.duration_beat, 12)

    @cached_property
    def key_strengths(self) -> FloatArray:
        """[24] correlation with the major, then the minor key profiles; NaN without pitched notes."""
        return harmony.key_strengths(self.class_weight)

    @cached_property
    def key(self) -> harmony.Key | None:
        """The key that the notes tell; None without pitched notes."""
        strengths = harmony.key_strengths(self.class_weight, profile=harmony.KEY_FINDER)
        if np.isnan(strengths[0]):
            return None
        best = int(strengths.argmax())
        return harmony.Key(best % 12, "minor" if best >= 12 else "major", float(strengths[best]))

    @cached_property
    def beat_classes(self) -> FloatArray:
        """[ceil(n_beats), 12] beats that each pitch class sounds in each beat."""
        notes = self.pitched
        n_steps = max(int(np.ceil(self.n_beats - 1e-6)), 1)
        start = np.clip(notes.onset_beat - self.start_beat, 0.0, None)
        end = start + notes.duration_beat
        first = np.minimum((start + 1e-6).astype(np.int64), n_steps - 1)
        n_cells = np.clip(np.ceil(end - 1e-6).astype(np.int64) - first, 1, n_steps - first)
        note = np.repeat(np.arange(len(first)), n_cells)
        step = np.arange(len(note)) - np.repeat(np.cumsum(n_cells) - n_cells, n_cells) + first[note]
        share = np.minimum(end[note], step + 1.0) - np.maximum(start[note], step)
        cell = step * 12 + notes.pitch[note] % 12
        return _weigh(cell, np.maximum(share, 0.0), n_steps * 12).reshape(n_steps, 12)

    @cached_property
    def beat_centroids(self) -> FloatArray:
        """[b, 6] tonal centroid of each beat in which something pitched sounds."""
        weights = self.beat_classes
        return harmony.tonal_centroid(weights[weights.any(axis=1)])

    @cached_property
    def beat_chords(self) -> IntArray:
        """[ceil(n_beats)] chord label of each beat (:func:`muse.theory.label_chords`)."""
        return harmony.label_chords(self.beat_classes)

    # ---------------------------------------------------------------------------------------------------- rhythm

    @cached_property
    def value_index(self) -> IntArray:
        """[n] rhythmic value (0..11) nearest to the duration of each pitched note."""
        return np.searchsorted(_VALUE_EDGES, self.pitched.duration_beat)

    @cached_property
    def value_counts(self) -> IntArray:
        """[12] pitched notes of each rhythmic value."""
        return np.bincount(self.value_index, minlength=12)

    @cached_property
    def value_runs(self) -> tuple[IntArray, IntArray]:
        """Runs of notes of the same rhythmic value within a track: the value [r] and the number of notes [r]."""
        if not len(self.value_index):
            return self.value_index, self.value_index
        order = np.argsort(self.pitched.track, kind="stable")
        value, track = self.value_index[order], self.pitched.track[order]
        first = np.concatenate([[0], np.flatnonzero((np.diff(value) != 0) | (np.diff(track) != 0)) + 1])
        return value[first], np.diff(np.append(first, len(value)))

    def _pulses(self, time: FloatArray, unit: float) -> FloatArray:
        """[161] beat histogram of attacks: summed products of loudness of all pairs that lie one pulse apart.

        Bin b holds the pulses in (b + 39, b + 40] beats per minute, where a lag of ``unit`` is 1 beat per minute.
        """
        loud = np.add.reduceat(self.notes.velocity, self.attack_first) if len(time) else time
        longest = unit / 39.0
        histogram = np.zeros(161)
        for back in range(1, min(len(time), MOST_ATTACKS_APART)):
            lag = time[back:] - time[:-back]
            near = lag < longest - 1e-9
            if not near.any():
                break
            bin_ = np.ceil(unit / np.maximum(lag[near], 1e-6) - 1e-6).astype(np.int64) - 40
            strength = (loud[back:] * loud[:-back])[near]
            inside = (bin_ >= 0) & (bin_ <= 160)
            histogram += np.bincount(bin_[inside], strength[inside], minlength=161)
        total = histogram.sum()
        return histogram / total if total > 0.0 else histogram * np.nan

    @cached_property
    def pulses(self) -> FloatArray:
        """[161] beat histogram over 40 to 200 beats per minute."""
        return self._pulses(self.attack_sec, 60.0)

    @cached_property
    def standard_pulses(self) -> FloatArray:
        """[161] the same as if a quarter note always took half a second."""
        return self._pulses(self.notes.onset_beat[self.attack_first], 120.0)

    @cached_property
    def meter_points(self) -> tuple[FloatArray, IntArray]:
        """Beat [k] and metrical level [k] of bar lines (0), half bars (-1) and beats of the window's bars."""
        piece = self.piece
        bars = slice(self.first_bar, self.stop_bar)
        numerator, denominator = piece.bar_numerator[bars], piece.bar_denominator[bars]
        start, stop = piece.bar_start_beat[bars], piece.bar_start_beat[self.first_bar + 1 : self.stop_bar + 1]
        beats, levels = [piece.bar_start_beat[self.stop_bar : self.stop_bar + 1]], [np.zeros(1, dtype=np.int64)]
        for signature in sorted(set(zip(numerator.tolist(), denominator.tolist(), strict=True))):
            step, level = _bar_levels(*signature)
            rows = np.flatnonzero((numerator == signature[0]) & (denominator == signature[1]))
            points = start[rows, None] + step * np.arange(len(level))
            inside = points < stop[rows, None] - 1e-6
            beats.append(points[inside])
            levels.append(np.broadcast_to(level, points.shape)[inside])
        points = np.concatenate(beats)
        order = np.argsort(points, kind="stable")
        return points[order], np.concatenate(levels)[order]

    @cached_property
    def syncopations(self) -> FloatArray:
        """[n] metrical levels by which each pitched note anticipates a stronger position; 0 for the straight ones.

        After Longuet-Higgins & Lee 1984: a note is syncopated when it lasts, or is followed by silence in its
        instrument, over a position stronger than its own; its value is the difference of the two levels (bar line 0,
        half bar -1, beat -2, half beat -3, anything else -4; without half bars one less from the beats on). Only
        beats and stronger positions are looked at, so that triplets and unsteady playing do not count.
        """
        notes = self.pitched
        points, levels = self.meter_points
        onset = notes.onset_beat
        end = np.fmax(notes.end_beat, self.next_attack_beat)
        at = np.searchsorted(points, onset - ON_POSITION_BEAT)
        stop = np.maximum(np.searchsorted(points, end - ON_POSITION_BEAT), at)
        here = np.minimum(at, len(points) - 1)
        on_point = np.abs(points[here] - onset) <= ON_POSITION_BEAT
        # Notes between beats: the half beat of the beat before, else a weak position.
        before = np.maximum(at - 1, 0)
        after = np.minimum(before + 1, len(points) - 1)
        half = np.abs(onset - (points[before] + points[after]) / 2.0) <= ON_POSITION_BEAT
        weakest = int(levels.min()) if len(levels) else 0
        own = np.where(on_point, levels[here], np.where(half, weakest - 1, weakest - 2))
        start = at + on_point
        strongest = np.full(len(onset), -9, dtype=np.int64)
        for level in (-2, -1, 0):
            passed = np.concatenate([[0], np.cumsum(levels == level)])
            crosses = passed[stop] > passed[np.minimum(start, stop)]
            strongest[crosses] = level
        return np.maximum(strongest - own, 0).astype(np.float64)


def _bar_levels(numerator: int, denominator: int) -> tuple[float, IntArray]:
    """Length of the counted beat in quarter notes and level of each counted beat of a bar.

    Compound meters (6, 9, 12 over 8 or 16) count in threes. Level 0 is the bar line, -1 the half bar (or any beat of a
    bar without one), -2 the other beats.
    """
    unit = 4.0 / max(denominator, 1)
    if denominator >= 8 and numerator > 3 and numerator % 3 == 0:
        unit, numerator = 3.0 * unit, numerator // 3
    numerator = max(numerator, 1)
    level = np.full(numerator, -1, dtype=np.int64)
    if numerator >= 4 and numerator % 2 == 0:
        level[:] = -2
        level[numerator // 2] = -1
    level[0] = 0
    return unit, level
