"""Harmony attributes: what sounds together, chords, key and tonal space. Drums are left out.

jSymbolic walks through a file tick by tick; we weigh the stretches between two changes by their length in beats, which
is the same sum.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from muse.attributes._stats import entropy_bits, mean, normalized, ratio, share, weighted_mean, weighted_std
from muse.attributes._window import Window

FloatArray = NDArray[np.float64]

RATIO_CAP = 10.0
_DISSONANT = np.array([1, 2, 6, 10, 11])
_CONSONANT = np.array([0, 3, 4, 5, 7, 8, 9])


def mean_simultaneous_pitches(w: Window) -> float:
    return weighted_mean(w.verticals.n_pitches, w.verticals.duration_beat)


def vertical_dissonance_ratio(w: Window) -> float:
    weight = w.wrapped_vertical_weight
    return ratio(float(weight[_DISSONANT].sum()), float(weight[_CONSONANT].sum()), RATIO_CAP)


def minor_major_triad_ratio(w: Window) -> float:
    beats = w.chord_type_beat
    return ratio(float(beats[1]), float(beats[2]), RATIO_CAP)


def mode_clarity(w: Window) -> float:
    strengths = w.key_strengths
    return float(strengths[:12].max() - strengths[12:].max())


def key_strength(w: Window) -> float:
    return float(w.key_strengths.max())


def chord_change_rate(w: Window) -> float:
    chords = w.beat_chords
    chords = chords[chords >= 0]
    return float(np.count_nonzero(np.diff(chords))) / (len(chords) - 1) if len(chords) > 1 else math.nan


def tonal_tension(w: Window) -> float:
    centroids = w.beat_centroids
    if not len(centroids):
        return math.nan
    away = centroids - centroids.sum(axis=0) / len(centroids)
    return mean(np.sqrt((away * away).sum(axis=1)))


def tonal_centroid_motion(w: Window) -> float:
    step = np.diff(w.beat_centroids, axis=0)
    return mean(np.sqrt((step * step).sum(axis=1)))
