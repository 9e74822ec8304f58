"""Meter attributes: time signatures, syncopation (without drums), and where in beats and bars notes stand."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from muse.attributes.measures.stats import mean, share
from muse.attributes.notes import FloatArray
from muse.attributes.window import Window


def _signature(w: Window) -> tuple[int, int]:
    """Time signature at the window's start; 4/4 where there is none."""
    piece = w.piece
    bar = min(w.first_bar, len(piece.bar_numerator) - 1)
    return (int(piece.bar_numerator[bar]), int(piece.bar_denominator[bar])) if bar >= 0 else (4, 4)


def initial_time_signature(w: Window) -> FloatArray:
    return np.array(_signature(w), dtype=np.float64)


def initial_meter(*numerators: int) -> Callable[[Window], float]:
    """1 where the first time signature has one of these numerators."""

    def of_window(w: Window) -> float:
        return float(_signature(w)[0] in numerators)

    return of_window


simple_meter = initial_meter(2, 3, 4)
compound_meter = initial_meter(6, 9, 12, 15, 18, 24)
complex_meter = initial_meter(5, 7, 9, 11, 13, 15, 22, 25)
duple_meter = initial_meter(2, 6)
triple_meter = initial_meter(3, 9)
quadruple_meter = initial_meter(4, 12)


def metrical_diversity(w: Window) -> float:
    bars = slice(w.first_bar, w.stop_bar)
    pairs = w.piece.bar_numerator[bars] * 1000 + w.piece.bar_denominator[bars]
    return float(max(len(np.unique(pairs)), 1))


def syncopation(w: Window) -> float:
    return mean(w.syncopations)


def syncopated_share(w: Window) -> float:
    return share(np.count_nonzero(w.syncopations), len(w.syncopations))


def _beat_offset(w: Window) -> FloatArray:
    """[n] signed distance of each note's onset from the nearest quarter-note beat."""
    return np.asarray((w.notes.onset_beat + 0.5) % 1.0 - 0.5)


def on_beat_share(w: Window) -> float:
    offset = np.abs(_beat_offset(w))
    return share(np.count_nonzero(offset <= 0.07), len(offset))


def off_beat_share(w: Window) -> float:
    offset = np.abs(_beat_offset(w))
    return share(np.count_nonzero(np.abs(offset - 0.5) <= 0.07), len(offset))


def triplet_share(w: Window) -> float:
    offset = np.abs(_beat_offset(w))
    return share(np.count_nonzero(np.abs(offset - 1.0 / 3.0) <= 0.03), len(offset))


def note_to_beat_distance(w: Window) -> float:
    """Weighted note-to-beat distance (Gomez, Melvin, Rappaport & Toussaint 2005), distances kept above 1/12 beat."""
    notes = w.pitched
    if not len(notes.pitch):
        return math.nan
    distance = np.abs((notes.onset_beat + 0.5) % 1.0 - 0.5)
    next_beat = np.floor(notes.onset_beat + 1e-6) + 1.0
    end = notes.end_beat
    crosses_one = (end > next_beat + 1e-6) & (end <= next_beat + 1.0 + 1e-6)
    weight = np.where(crosses_one, 2.0, 1.0) / np.maximum(distance, 1.0 / 12.0)
    return mean(np.where(distance <= 0.02, 0.0, weight))


def downbeat_share(w: Window) -> float:
    bars = w.piece.bar_start_beat[w.first_bar : w.stop_bar]
    if not len(w.notes.pitch) or not len(bars):
        return math.nan
    near = np.clip(np.searchsorted(bars, w.notes.onset_beat + 0.07, side="right") - 1, 0, len(bars) - 1)
    return share(np.count_nonzero(np.abs(w.notes.onset_beat - bars[near]) <= 0.07), len(w.notes.pitch))


def bar_similarity(w: Window) -> float:
    """Mean Jaccard similarity of the sixteenths on which successive bars have attacks."""
    starts = w.piece.bar_start_beat[w.first_bar : w.stop_bar + 1]
    if len(starts) < 3 or not len(w.notes.pitch):
        return math.nan
    onset = w.notes.onset_beat[w.attack_first]
    bar = np.clip(np.searchsorted(starts, onset + 0.06, side="right") - 1, 0, len(starts) - 2)
    step = np.clip(np.rint((onset - starts[bar]) * 4.0).astype(np.int64), 0, None)
    width = int(step.max()) + 1
    if width > 4096:
        return math.nan
    grid = np.zeros((len(starts) - 1, width), dtype=bool)
    grid[bar, step] = True
    both = np.count_nonzero(grid[1:] & grid[:-1], axis=1)
    either = np.count_nonzero(grid[1:] | grid[:-1], axis=1)
    return mean(both[either > 0] / either[either > 0])
