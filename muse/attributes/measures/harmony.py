"""Harmony attributes: what sounds together, chords, key and tonal space. Drums are left out.

jSymbolic walks through a file tick by tick; we weigh the stretches between two changes by their length in beats, which
is the same sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from muse.attributes.measures.pitch import ranked
from muse.attributes.measures.stats import (
    entropy_bits,
    mean,
    normalized,
    ratio,
    share,
    std,
    weighted_mean,
    weighted_std,
)
from muse.attributes.notes import FloatArray
from muse.attributes.window import Window

RATIO_CAP = 10.0
_DISSONANT = np.array([1, 2, 6, 10, 11])
_CONSONANT = np.array([0, 3, 4, 5, 7, 8, 9])


def _without_noise(weights: FloatArray) -> FloatArray:
    """Fractions, those under 0.001 set to 0 and the rest normalized again (jSymbolic's noise filter)."""
    fractions = normalized(weights)
    return normalized(np.where(fractions < 0.001, 0.0, fractions))


# ------------------------------------------------------------------------------------------------ vertical intervals


def vertical_histogram(w: Window) -> FloatArray:
    return _without_noise(w.sounding.vertical_weight)


def wrapped_histogram(w: Window) -> FloatArray:
    return _without_noise(w.sounding.wrapped_vertical_weight)


def vertical_share(*semitones: int) -> Callable[[Window], float]:
    """Fraction of vertical intervals, folded into an octave, that have one of these sizes."""
    sizes = np.array(semitones)

    def of_window(w: Window) -> float:
        weight = w.sounding.wrapped_vertical_weight
        return share(float(weight[sizes].sum()), float(weight.sum()))

    return of_window


minor_seconds = vertical_share(1)
vertical_thirds = vertical_share(3, 4)
vertical_tritones = vertical_share(6)
vertical_fourths = vertical_share(5)
vertical_fifths = vertical_share(7)
vertical_sixths = vertical_share(8, 9)
vertical_sevenths = vertical_share(10, 11)
perfect_intervals = vertical_share(0, 5, 7)


def vertical_unisons(w: Window) -> float:
    return share(float(w.sounding.vertical_weight[0]), float(w.sounding.vertical_weight.sum()))


def vertical_octaves(w: Window) -> float:
    return share(float(w.sounding.vertical_weight[12::12].sum()), float(w.sounding.vertical_weight.sum()))


def most_common_vertical(w: Window) -> float:
    first, _ = ranked(w.sounding.wrapped_vertical_weight)
    return float(first) if first >= 0 else math.nan


def second_most_common_vertical(w: Window) -> float:
    _, second = ranked(w.sounding.wrapped_vertical_weight)
    return float(second) if second >= 0 else math.nan


def top_verticals_distance(w: Window) -> float:
    first, second = ranked(w.sounding.wrapped_vertical_weight)
    return float(abs(first - second)) if second >= 0 else math.nan


def most_common_vertical_prevalence(w: Window) -> float:
    weight = w.sounding.wrapped_vertical_weight
    return share(float(weight.max()), float(weight.sum()))


def second_most_common_vertical_prevalence(w: Window) -> float:
    weight = np.sort(w.sounding.wrapped_vertical_weight)
    return share(float(weight[-2]), float(weight.sum()))


def top_verticals_ratio(w: Window) -> float:
    weight = np.sort(w.sounding.wrapped_vertical_weight)
    return share(float(weight[-2]), float(weight[-1]))


def vertical_dissonance_ratio(w: Window) -> float:
    weight = w.sounding.wrapped_vertical_weight
    return ratio(float(weight[_DISSONANT].sum()), float(weight[_CONSONANT].sum()), RATIO_CAP)


def _time_with(w: Window, semitones: int) -> float:
    classes = w.sounding.verticals.classes
    turned = ((classes << semitones) | (classes >> (12 - semitones))) & 0xFFF
    length = w.sounding.verticals.duration_beat
    return share(float(length[(classes & turned) != 0].sum()), float(length.sum()))


def minor_third_prevalence(w: Window) -> float:
    return _time_with(w, 3)


def major_third_prevalence(w: Window) -> float:
    return _time_with(w, 4)


def mean_vertical_range(w: Window) -> float:
    return weighted_mean(w.sounding.verticals.highest - w.sounding.verticals.lowest, w.sounding.verticals.duration_beat)


@lru_cache(maxsize=1)
def _roughness_table() -> FloatArray:
    """Sensory dissonance of two tones of six harmonics (Sethares 1993, equations 2 and 3).

    float64 [128, 128], by lower pitch and interval; amplitudes fall by 0.88 from harmonic to harmonic.
    """
    pitch, interval = np.arange(128)[:, None], np.arange(128)[None, :]
    lower = 440.0 * 2.0 ** ((pitch - 69) / 12.0)
    upper = lower * 2.0 ** (interval / 12.0)
    table = np.zeros((128, 128))
    for i in range(1, 7):
        for j in range(1, 7):
            scale = 0.24 / (0.0207 * np.minimum(lower * i, upper * j) + 18.96)
            gap = scale * np.abs(lower * i - upper * j)
            table += 0.88 ** (i + j - 2) * (np.exp(-3.51 * gap) - np.exp(-5.75 * gap))
    table.setflags(write=False)
    return table


def roughness(w: Window) -> float:
    return share(float((w.sounding.pair_weight * _roughness_table()).sum()), float(w.sounding.pair_weight.sum()))


# ------------------------------------------------------------------------------------------------ simultaneous notes


def mean_simultaneous_classes(w: Window) -> float:
    return weighted_mean(w.sounding.n_classes, w.sounding.verticals.duration_beat)


def std_simultaneous_classes(w: Window) -> float:
    return weighted_std(w.sounding.n_classes, w.sounding.verticals.duration_beat)


def mean_simultaneous_pitches(w: Window) -> float:
    return weighted_mean(w.sounding.verticals.n_pitches, w.sounding.verticals.duration_beat)


def std_simultaneous_pitches(w: Window) -> float:
    return weighted_std(w.sounding.verticals.n_pitches, w.sounding.verticals.duration_beat)


# ------------------------------------------------------------------------------------------------------------ chords


def chord_type_histogram(w: Window) -> FloatArray:
    return _without_noise(w.sounding.chord_type_beat)


def chord_type_share(*types: int) -> Callable[[Window], float]:
    """Fraction of the time with two or more pitch classes that has one of these chord types."""
    wanted = np.array(types)

    def of_window(w: Window) -> float:
        return share(float(w.sounding.chord_type_beat[wanted].sum()), float(w.sounding.chord_type_beat.sum()))

    return of_window


partial_chords = chord_type_share(0)
standard_triads = chord_type_share(1, 2)
diminished_augmented = chord_type_share(3, 4)
dominant_sevenths = chord_type_share(7)
seventh_chords = chord_type_share(6, 7, 8)
non_standard_chords = chord_type_share(3, 4, 5, 9, 10)
complex_chords = chord_type_share(10)


def minor_major_triad_ratio(w: Window) -> float:
    beats = w.sounding.chord_type_beat
    return ratio(float(beats[1]), float(beats[2]), RATIO_CAP)


def minor_triad_share(w: Window) -> float:
    beats = w.sounding.chord_type_beat
    return share(float(beats[1]), float(beats[1] + beats[2]))


def chord_duration(w: Window) -> float:
    classes = w.sounding.verticals.classes
    if not len(classes):
        return math.nan
    return float(w.sounding.verticals.duration_beat.sum()) / (1 + np.count_nonzero(np.diff(classes)))


def chord_change_rate(w: Window) -> float:
    chords = w.beat_chords
    chords = chords[chords >= 0]
    return float(np.count_nonzero(np.diff(chords))) / (len(chords) - 1) if len(chords) > 1 else math.nan


def chord_variety(w: Window) -> float:
    chords = w.beat_chords
    return share(len(np.unique(chords[chords >= 0])), np.count_nonzero(chords >= 0))


def chord_entropy(w: Window) -> float:
    chords = w.beat_chords
    return entropy_bits(np.bincount(chords[chords >= 0], minlength=1))


def _chord_quality_share(*qualities: int) -> Callable[[Window], float]:
    wanted = np.array(qualities)

    def of_window(w: Window) -> float:
        chords = w.beat_chords
        chords = chords[chords >= 0]
        return share(np.count_nonzero(np.isin(chords % 9, wanted)), len(chords))

    return of_window


major_chord_beats = _chord_quality_share(0, 4, 5)
minor_chord_beats = _chord_quality_share(1, 6)
tense_chord_beats = _chord_quality_share(2, 3, 7, 8)


# ---------------------------------------------------------------------------------------------------------- tonality


def mode_clarity(w: Window) -> float:
    strengths = w.key_strengths
    return float(strengths[:12].max() - strengths[12:].max())


def key_strength(w: Window) -> float:
    return float(w.key_strengths.max())


def key_ambiguity(w: Window) -> float:
    """1 minus the lead of the best key over the second best."""
    second, best = np.sort(w.key_strengths)[-2:]
    return 1.0 - float(best - second)


SCALE_DEGREES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10, 11)}
"""Semitones above the tonic; natural and harmonic minor together."""


def major_or_minor(w: Window) -> float:
    return float(w.key.mode == "minor") if w.key else math.nan


def parallel_mode_clarity(w: Window) -> float:
    if w.key is None:
        return math.nan
    return float(w.key_strengths[w.key.tonic] - w.key_strengths[w.key.tonic + 12])


def chromaticism(w: Window) -> float:
    if w.key is None:
        return math.nan
    degrees = (np.array(SCALE_DEGREES[w.key.mode]) + w.key.tonic) % 12
    return max(1.0 - share(float(w.class_weight[degrees].sum()), float(w.class_weight.sum())), 0.0)


def _degree_share(degree: int) -> Callable[[Window], float]:
    def of_window(w: Window) -> float:
        if w.key is None:
            return math.nan
        return share(float(w.class_weight[(w.key.tonic + degree) % 12]), float(w.class_weight.sum()))

    return of_window


tonic_share = _degree_share(0)
dominant_share = _degree_share(7)
leading_tone_share = _degree_share(11)


def _away(w: Window) -> FloatArray:
    """[b] distance of each sounding beat's tonal centroid from the window's."""
    centroids = w.beat_centroids
    away = centroids - centroids.sum(axis=0) / max(len(centroids), 1)
    return np.asarray(np.sqrt((away * away).sum(axis=1)))


def _motion(w: Window) -> FloatArray:
    """[b - 1] distance from beat to beat."""
    step = np.diff(w.beat_centroids, axis=0)
    return np.asarray(np.sqrt((step * step).sum(axis=1)))


def tonal_tension(w: Window) -> float:
    return mean(_away(w))


def tonal_tension_variability(w: Window) -> float:
    return std(_away(w))


def peak_tonal_tension(w: Window) -> float:
    away = _away(w)
    return float(away.max()) if len(away) else math.nan


def tonal_centroid_motion(w: Window) -> float:
    return mean(_motion(w))


def peak_tonal_centroid_motion(w: Window) -> float:
    motion = _motion(w)
    return float(motion.max()) if len(motion) else math.nan


def beat_dissonance(w: Window) -> float:
    """Pitch classes of a beat against each other, weighed by the product of their lengths."""
    weight = w.beat_classes
    clash = sum(float((weight * np.roll(weight, -k, axis=1)).sum()) for k in (1, 2))
    clash += float((weight[:, :6] * weight[:, 6:]).sum())
    every = (float((weight.sum(axis=1) ** 2).sum()) - float((weight**2).sum())) / 2.0
    return share(clash, every)
