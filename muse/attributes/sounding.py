"""What sounds together: pitches, chords, intervals and the motion of voices, stretch by stretch.

A *stretch* is a time in which no pitched note starts or ends.

Contents: :class:`Sounding`, :class:`Verticals`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from muse.attributes.notes import FloatArray, IntArray, Notes, group_attacks, weigh
from muse.theory import pitch_class_set_type

SMALL_PRODUCT: Final = 65536 * 4
"""Multiplications up to which OpenBLAS multiplies matrices on one thread."""
BLOCK_ROWS: Final = 8192
"""Stretches of time that are held as a matrix at once."""
_CLASS_BITS: Final = 1 << np.arange(12)
_N_CLASSES: Final = np.array([mask.bit_count() for mask in range(4096)])


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


class Sounding:
    """What the notes of a window sound together; every property is computed on first use and then kept."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes
        """Pitched notes."""

    @cached_property
    def _changes(self) -> tuple[FloatArray, IntArray, IntArray, IntArray]:
        """Times at which something starts or ends [c]; pitches used [p]; row and column of each start and end [2n]."""
        notes = self.notes
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
        loud = np.bincount(cell, sign * np.tile(self.notes.velocity, 2), shape[0] * shape[1])
        return np.diff(change), count, loud.reshape(shape).cumsum(axis=0)[:-1]

    def _sounding_blocks(self, n_rows: int) -> Iterator[tuple[FloatArray, FloatArray, FloatArray]]:
        """The same in blocks of so many stretches."""
        change, pitch, row, column = self._changes
        width, length = len(pitch), np.diff(change)
        order = np.argsort(row, kind="stable")
        sign = np.repeat([1.0, -1.0], len(row) // 2)[order]
        loud = sign * np.tile(self.notes.velocity, 2)[order]
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
        kind = pitch_class_set_type()[self.verticals.classes]
        return weigh(kind[kind >= 0], self.verticals.duration_beat[kind >= 0], 11)

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
        return weigh(np.arange(128) % 12, self.vertical_weight, 12)

    @cached_property
    def slices(self) -> tuple[IntArray, IntArray]:
        """Pitches that sound at each attack: how many [r], and the pitches, ascending, slice after slice."""
        change, pitch = self._changes[0], self._changes[1]
        groups = group_attacks(self.notes, np.zeros(len(self.notes.pitch), dtype=np.int64))
        if not len(groups.order):
            return groups.order, groups.order
        last = np.append(groups.first[1:], len(groups.order)) - 1
        wanted = np.unique(np.searchsorted(change, np.rint(self.notes.onset_beat[last] * 1e4) / 1e4 - 1e-9))
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
