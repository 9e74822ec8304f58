"""What the attribute functions share: a piece read once, and windows of it with lazy intermediates.

Conventions
-----------
* A beat is a quarter note. Times end in ``_beat`` or ``_sec``; windows are half open, ``[start, stop)``.
* A window holds the notes that *start* in it; durations are cut at its end.
* ``w.pitched`` hides the drums (program 128): their pitches are no pitches and their durations have no meaning.
* An *attack* is a set of notes that start together: each within 25 ms of the one before it.
* A *voice* is a track (the channel of jSymbolic).

Every property is computed on first use and then kept, so a subset of attributes pays only for what it needs.

Contents: :class:`Piece`, :class:`Window`; :data:`RHYTHMIC_VALUES_BEAT`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final, cast

import numpy as np

from muse.attributes.beats import beat_histogram, meter_points, syncopations
from muse.attributes.notes import (
    SAME_ATTACK_SEC,
    BoolArray,
    FloatArray,
    Groups,
    IntArray,
    Notes,
    Spans,
    Voices,
    compare_voices,
    depth,
    group_attacks,
    sounding_spans,
    weigh,
)
from muse.attributes.sounding import Sounding
from muse.score import DRUMS, Score, bar_grid, beat_to_sec, note_array, tempo_map
from muse.theory import Key, Mode, key_from_weights, key_strengths, label_chords, tonal_centroid

RHYTHMIC_VALUES_BEAT: Final = np.array([0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0])
"""The 12 values of jSymbolic's Rhythmic Value Histogram, thirty-second to dotted double whole note."""
_VALUE_EDGES: Final = (RHYTHMIC_VALUES_BEAT[1:] + RHYTHMIC_VALUES_BEAT[:-1]) / 2.0


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

    def n_windows(self, bars: int | None) -> int:
        """How many windows :meth:`windows` gives."""
        n_bars = len(self.bar_start_beat) - 1
        return 1 if bars is None or n_bars < 1 else -(-n_bars // bars)

    def windows(self, bars: int | None) -> Iterator[Window]:
        """One window over all that sounds, or one per ``bars`` bars."""
        notes = self.notes
        n_bars = len(self.bar_start_beat) - 1
        if bars is None or n_bars < 1:
            everything, all_bars = slice(0, len(notes.pitch)), (0, max(n_bars, 0))
            if not len(notes.pitch):
                yield Window(self, everything, all_bars, (0.0, 0.0), (0.0, 0.0))
                return
            beats = float(notes.onset_beat[0]), float(notes.end_beat.max())
            secs = float(notes.onset_sec[0]), float(notes.end_sec.max())
            yield Window(self, everything, all_bars, beats, secs)
            return
        for first in range(0, n_bars, bars):
            stop_bar = min(first + bars, n_bars)
            start, stop = float(self.bar_start_beat[first]), float(self.bar_start_beat[stop_bar])
            # Onsets a rounding error before the bar line belong to the bar.
            lo, hi = np.searchsorted(notes.onset_beat, [start - 1e-6, stop - 1e-6])
            start_sec, stop_sec = beat_to_sec(self.tempo, np.array([start, stop]))
            rows = slice(int(lo), int(hi))
            yield Window(self, rows, (first, stop_bar), (start, stop), (float(start_sec), float(stop_sec)))


class Window:
    """Notes of one window and everything derived from them, each computed once when first asked for.

    Parameters
    ----------
    piece
        Where the window is cut out.
    rows
        Its notes.
    bars, beats, secs
        First bar, beat and second of the window, and where it stops.
    """

    def __init__(
        self, piece: Piece, rows: slice, bars: tuple[int, int], beats: tuple[float, float], secs: tuple[float, float]
    ) -> None:
        self.piece = piece
        self._rows = rows
        self.first_bar, self.stop_bar = bars
        self.start_beat, self.stop_beat = beats
        self.start_sec, self.stop_sec = secs
        self.n_beats = self.stop_beat - self.start_beat
        self.n_sec = self.stop_sec - self.start_sec

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
    def attack_loudness(self) -> FloatArray:
        """[a] summed velocity of the notes of each attack."""
        return np.add.reduceat(self.notes.velocity, self.attack_first) if len(self.attack_first) else self.attack_sec

    @cached_property
    def attack_gap_sec(self) -> FloatArray:
        """[a - 1] seconds from each attack to the next."""
        return np.diff(self.attack_sec)

    @cached_property
    def attack_gap_beat(self) -> FloatArray:
        """[a - 1] beats from each attack to the next."""
        return np.diff(self.notes.onset_beat[self.attack_first])

    @cached_property
    def by_track(self) -> Groups:
        """Attacks of the pitched notes of each track."""
        return group_attacks(self.pitched, self.pitched.track)

    @cached_property
    def by_program(self) -> Groups:
        """Attacks of the pitched notes of each program: the same however the instrument is split over tracks."""
        return group_attacks(self.pitched, self.pitched.program)

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

    # ---------------------------------------------------------------------------------------------------- sounding

    @cached_property
    def sounding(self) -> Sounding:
        """What sounds together."""
        return Sounding(self.pitched)

    @cached_property
    def track_spans(self) -> Spans:
        """When each track sounds, drums included."""
        _, track = np.unique(self.notes.track, return_inverse=True)
        return sounding_spans(track, self.notes.onset_beat, self.notes.end_beat)

    @cached_property
    def pitched_spans(self) -> Spans:
        """When anything pitched sounds."""
        return sounding_spans(
            np.zeros(len(self.pitched.pitch), dtype=np.int64), self.pitched.onset_beat, self.pitched.end_beat
        )

    @cached_property
    def program_spans_sec(self) -> Spans:
        """When each program sounds, in seconds, without drums."""
        return sounding_spans(self.pitched.program, self.pitched.onset_sec, self.pitched.end_sec)

    @cached_property
    def n_voices_sounding(self) -> tuple[IntArray, FloatArray]:
        """Number of tracks that sound, drums not, and for how many beats; times of silence left out."""
        _, track = np.unique(self.pitched.track, return_inverse=True)
        return depth(sounding_spans(track, self.pitched.onset_beat, self.pitched.end_beat))

    @cached_property
    def voices(self) -> Voices:
        """What jSymbolic compares between channels: one entry per track with pitched notes."""
        return compare_voices(self.pitched, self.by_track, self.intervals)

    # -------------------------------------------------------------------------------------------------- tonality

    @cached_property
    def class_weight(self) -> FloatArray:
        """[12] beats that each pitch class sounds."""
        return weigh(self.pitched.pitch % 12, self.pitched.duration_beat, 12)

    @cached_property
    def key_strengths(self) -> FloatArray:
        """[24] correlation with the major, then the minor key profiles; NaN without pitched notes."""
        return key_strengths(self.class_weight)

    @cached_property
    def key(self) -> Key | None:
        """The key that the notes tell; None without pitched notes."""
        tonic, mode, strengths = key_from_weights(self.class_weight)
        return Key(int(tonic), cast("Mode", str(mode)), float(strengths.max())) if tonic >= 0 else None

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
        return weigh(cell, np.maximum(share, 0.0), n_steps * 12).reshape(n_steps, 12)

    @cached_property
    def beat_centroids(self) -> FloatArray:
        """[b, 6] tonal centroid of each beat in which something pitched sounds."""
        weights = self.beat_classes
        return tonal_centroid(weights[weights.any(axis=1)])

    @cached_property
    def beat_chords(self) -> IntArray:
        """[ceil(n_beats)] chord label of each beat (:func:`muse.theory.label_chords`)."""
        return label_chords(self.beat_classes)

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

    @cached_property
    def pulses(self) -> FloatArray:
        """[161] beat histogram over 40 to 200 beats per minute."""
        return beat_histogram(self.attack_sec, self.attack_loudness, 60.0)

    @cached_property
    def standard_pulses(self) -> FloatArray:
        """[161] the same as if a quarter note always took half a second."""
        return beat_histogram(self.notes.onset_beat[self.attack_first], self.attack_loudness, 120.0)

    @cached_property
    def syncopations(self) -> FloatArray:
        """[n] metrical levels by which each pitched note anticipates a stronger position; 0 for the straight ones."""
        piece, bars = self.piece, slice(self.first_bar, self.stop_bar)
        lines = piece.bar_start_beat[self.first_bar : self.stop_bar + 1]
        points, levels = meter_points(lines, piece.bar_numerator[bars], piece.bar_denominator[bars])
        return syncopations(self.pitched, self.next_attack_beat, points, levels)
