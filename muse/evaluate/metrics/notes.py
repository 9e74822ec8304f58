"""What is a piece like, note by note? Pitch, rhythm, texture and density of one piece.

Conventions
-----------
notes, bars
    ``muse.score.note_array`` and ``muse.score.bar_grid`` of one score. Drums count for bars, onsets and density, never
    for pitch.
undefined
    NaN: no pitched notes, fewer than two bars and so on.
time
    Beats and bars, never steps: shares of time are exact, so that no resolution enters, but for groove, where the
    figure *is* a matter of resolution: independent random eighths give 0.77 at four steps a beat and 0.998 at 480. It
    is fixed at :data:`POSITIONS` a bar here, and onset F1, which does not saturate, stands beside it.
bars
    As many as the music reaches into. muspy counts one more (its issue 73), which makes equal bars look unequal.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from muse.score import DRUMS, BarGrid

Floats: TypeAlias = NDArray[np.float64]
Notes: TypeAlias = NDArray[np.void]

POSITIONS = 16
"""Onset positions in a bar of any meter."""
TOLERANCE_BEAT = 1e-3
_SCALE = np.isin(np.arange(12), [0, 2, 4, 5, 7, 9, 11])


def pitches(notes: Notes) -> NDArray[np.int64]:
    """Pitches of all notes but drums."""
    return np.asarray(notes["pitch"][notes["program"] != DRUMS], dtype=np.int64)


def _entropy(counts: NDArray[Any]) -> float:
    p = counts[counts > 0] / max(counts.sum(), 1)
    return float(-(p * np.log2(p)).sum()) if len(p) else float("nan")


def pitch_class_entropy(notes: Notes, _bars: BarGrid) -> float:
    """Entropy of pitch classes, bits, 0..3.585: ``-sum p log2 p`` over all notes of the piece.

    Wu & Yang, *The Jazz Transformer on the Front Line*, ISMIR 2020, pitch usage entropy, over the whole piece as in
    muspy's ``pitch_class_entropy``.
    """
    return _entropy(np.bincount(pitches(notes) % 12, minlength=12))


def scale_consistency(notes: Notes, _bars: BarGrid) -> float:
    """Largest share of notes in any major or natural minor scale, 0..1.

    Mogren, *C-RNN-GAN*, Constructive Machine Learning Workshop 2016; muspy ``scale_consistency``. A minor scale has the
    notes of its relative major, so twelve collections cover all 24.
    """
    histogram = np.bincount(pitches(notes) % 12, minlength=12)
    if not histogram.any():
        return float("nan")
    return float(max(histogram @ np.roll(_SCALE, root) for root in range(12)) / histogram.sum())


def onset_positions(notes: Notes, bars: BarGrid) -> NDArray[np.bool_]:
    """Whether a note begins at each position: bool [n_bars, POSITIONS]; onsets go to the nearest position."""
    grid = np.zeros(bars.n_bars * POSITIONS, dtype=bool)
    grid[positions(notes, bars)] = True
    return grid.reshape(bars.n_bars, POSITIONS)


def positions(notes: Notes, bars: BarGrid) -> NDArray[np.int64]:
    """Number of the onset position of each note, counted through the piece."""
    place = np.rint(in_bars(notes["onset_beat"], bars) * POSITIONS).astype(np.int64)
    return np.minimum(place, bars.n_bars * POSITIONS - 1)


def in_bars(beat: NDArray[Any], bars: BarGrid) -> Floats:
    """Beats as fractional bar numbers."""
    return np.interp(np.asarray(beat, dtype=np.float64), bars.start_beat, np.arange(bars.n_bars + 1))


def groove_consistency(notes: Notes, bars: BarGrid) -> float:
    """``1 - mean d(G_i, G_i+1)`` of consecutive bars' onset vectors at 16 positions, d the share that differs; 0..1.

    Wu & Yang 2020, grooving similarity, of neighbors alone as in muspy's ``groove_consistency``. Saturates: see the
    module.
    """
    grid = onset_positions(notes, bars)
    return float(1 - (grid[1:] != grid[:-1]).mean()) if len(grid) > 1 else float("nan")


def onset_f1(notes: Notes, bars: BarGrid) -> float:
    """Mean over consecutive bars of ``2 |A & B| / (|A| + |B|)`` of their onset positions, 0..1.

    Bars that agree in silence say nothing: two bars without an onset are left out.
    """
    grid = onset_positions(notes, bars)
    both, either = (grid[1:] & grid[:-1]).sum(1), grid[1:].sum(1) + grid[:-1].sum(1)
    return float((2 * both[either > 0] / either[either > 0]).mean()) if (either > 0).any() else float("nan")


def empty_bar_rate(notes: Notes, bars: BarGrid) -> float:
    """Share of bars in which nothing sounds, 0..1: muspy ``empty_measure_rate`` without its surplus bar."""
    if not bars.n_bars:
        return float("nan")
    first = bars.bar_of(notes["onset_beat"] + TOLERANCE_BEAT)
    last = np.maximum(bars.bar_of(notes["onset_beat"] + notes["duration_beat"] - TOLERANCE_BEAT), first)
    edges = np.zeros(bars.n_bars + 1, np.int64)
    np.add.at(edges, first, 1)
    np.add.at(edges, last + 1, -1)
    return float((np.cumsum(edges)[:-1] == 0).mean())


def _sounding(notes: Notes) -> tuple[Floats, NDArray[np.int64]]:
    """Stretches from beat 0 to the last end: length in beats [m], and how many different pitches sound [m]."""
    notes = notes[notes["program"] != DRUMS]
    start, end = notes["onset_beat"], notes["onset_beat"] + notes["duration_beat"]
    edges = np.unique(np.concatenate([[0.0], start, end]))
    # A pitch sounds once, whoever else plays it: the stretches of each pitch are joined first.
    active = np.zeros(len(edges), np.int64)
    for pitch in np.unique(notes["pitch"]):
        mine = notes["pitch"] == pitch
        change = np.zeros(len(edges), np.int64)
        np.add.at(change, np.searchsorted(edges, start[mine]), 1)
        np.add.at(change, np.searchsorted(edges, end[mine]), -1)
        active += np.cumsum(change) > 0
    return np.diff(edges), active[:-1]


def polyphony(notes: Notes, _bars: BarGrid) -> float:
    """Mean number of pitches that sound together, over the time in which any does: muspy ``polyphony``."""
    length, active = _sounding(notes)
    on = active > 0
    return float(np.average(active[on], weights=length[on])) if on.any() else float("nan")


def polyphony_rate(notes: Notes, _bars: BarGrid) -> float:
    """Share of the time, from the start to the last end, in which two or more pitches sound, 0..1.

    Mogren 2016, polyphony; muspy ``polyphony_rate`` by its documentation (its code asks for more than two).
    """
    length, active = _sounding(notes)
    return float(length[active >= 2].sum() / length.sum()) if len(length) else float("nan")


def pitch_range(notes: Notes, _bars: BarGrid) -> float:
    """Highest minus lowest pitch, semitones: muspy ``pitch_range``."""
    pitch = pitches(notes)
    return float(np.ptp(pitch)) if len(pitch) else float("nan")


def n_pitches_used(notes: Notes, _bars: BarGrid) -> float:
    """Number of different pitches: muspy ``n_pitches_used``."""
    return float(len(np.unique(pitches(notes))))


def n_pitch_classes_used(notes: Notes, _bars: BarGrid) -> float:
    """Number of different pitch classes, 0..12: muspy ``n_pitch_classes_used``."""
    return float(len(np.unique(pitches(notes) % 12)))


def notes_per_bar(notes: Notes, bars: BarGrid) -> float:
    """Note density: notes, drums included, over bars."""
    return len(notes) / bars.n_bars if bars.n_bars else float("nan")


def notes_per_sec(notes: Notes, _bars: BarGrid) -> float:
    """Note density: notes, drums included, over the seconds from the first onset to the last end."""
    if not len(notes):
        return float("nan")
    span = (notes["onset_sec"] + notes["duration_sec"]).max() - notes["onset_sec"].min()
    return float(len(notes) / span) if span > 0 else float("nan")
