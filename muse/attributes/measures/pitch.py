"""Pitch attributes: which notes are used, wherever they stand. Drums are no pitches."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from muse.attributes.measures.stats import entropy_bits, kurtosis, mean, normalized, share, skewness, std
from muse.attributes.notes import FloatArray
from muse.attributes.window import Window

_FIFTHS = np.arange(12) * 7 % 12


def ranked(counts: NDArray[np.float64] | NDArray[np.int64]) -> tuple[int, int]:
    """Bins with the highest and second highest count (ties: the lower bin); -1 where there is none."""
    first = int(counts.argmax())
    if counts[first] <= 0:
        return -1, -1
    rest = counts.copy()
    rest[first] = 0
    second = int(rest.argmax())
    return first, second if rest[second] > 0 else -1


def basic_pitch_histogram(w: Window) -> FloatArray:
    return normalized(w.pitch_counts)


def pitch_class_histogram(w: Window) -> FloatArray:
    counts = w.class_counts
    return normalized(np.roll(counts, -int(counts.argmax())))


def folded_fifths_histogram(w: Window) -> FloatArray:
    return normalized(w.class_counts[_FIFTHS])


def n_pitches(w: Window) -> float:
    return float(np.count_nonzero(w.pitch_counts))


def n_pitch_classes(w: Window) -> float:
    return float(np.count_nonzero(w.class_counts))


def n_common_pitches(w: Window) -> float:
    return float(np.count_nonzero(normalized(w.pitch_counts) >= 0.09))


def n_common_pitch_classes(w: Window) -> float:
    return float(np.count_nonzero(normalized(w.class_counts) >= 0.2))


def pitch_range(w: Window) -> float:
    pitch = w.pitched.pitch
    return float(pitch.max() - pitch.min()) if len(pitch) else math.nan


def lowest_pitch(w: Window) -> float:
    return float(w.pitched.pitch.min()) if len(w.pitched.pitch) else math.nan


def highest_pitch(w: Window) -> float:
    return float(w.pitched.pitch.max()) if len(w.pitched.pitch) else math.nan


def bass_register(w: Window) -> float:
    return share(np.count_nonzero(w.pitched.pitch < 55), len(w.pitched.pitch))


def high_register(w: Window) -> float:
    return share(np.count_nonzero(w.pitched.pitch > 72), len(w.pitched.pitch))


def middle_register(w: Window) -> float:
    pitch = w.pitched.pitch
    return share(np.count_nonzero((pitch >= 55) & (pitch <= 72)), len(pitch))


def register_balance(w: Window) -> float:
    return high_register(w) - bass_register(w)


def dominant_spread(w: Window) -> float:
    """Longest run of pitch classes on the circle of fifths that each make up at least 9 % of the notes."""
    if not len(w.pitched.pitch):
        return math.nan
    strong = normalized(w.class_counts[_FIFTHS]) >= 0.09
    if strong.all():
        return 12.0
    # Start behind a weak class, so that no run crosses the end.
    run = longest = 0
    for flag in np.roll(strong, -int(np.argmin(strong))).tolist():
        run = run + 1 if flag else 0
        longest = max(longest, run)
    return float(longest)


def strong_tonal_centers(w: Window) -> float:
    if not len(w.pitched.pitch):
        return math.nan
    bins = normalized(w.class_counts[_FIFTHS])
    peak = (bins >= 0.09) & (bins > np.roll(bins, 1)) & (bins > np.roll(bins, -1))
    return float(np.count_nonzero(peak))


def mean_pitch(w: Window) -> float:
    return mean(w.pitched.pitch)


def mean_pitch_class(w: Window) -> float:
    return mean(w.pitched.pitch % 12)


def most_common_pitch(w: Window) -> float:
    return float(ranked(w.pitch_counts)[0]) if len(w.pitched.pitch) else math.nan


def most_common_pitch_class(w: Window) -> float:
    return float(ranked(w.class_counts)[0]) if len(w.pitched.pitch) else math.nan


def most_common_pitch_prevalence(w: Window) -> float:
    return share(float(w.pitch_counts.max()), len(w.pitched.pitch))


def most_common_pitch_class_prevalence(w: Window) -> float:
    return share(float(w.class_counts.max()), len(w.pitched.pitch))


def _second_to_first(counts: NDArray[np.int64]) -> float:
    first, second = ranked(counts)
    if first < 0:
        return math.nan
    return float(counts[second] / counts[first]) if second >= 0 else 0.0


def top_pitches_ratio(w: Window) -> float:
    return _second_to_first(w.pitch_counts)


def top_pitch_classes_ratio(w: Window) -> float:
    return _second_to_first(w.class_counts)


def top_pitches_interval(w: Window) -> float:
    first, second = ranked(w.pitch_counts)
    return float(abs(first - second)) if second >= 0 else math.nan


def top_pitch_classes_interval(w: Window) -> float:
    first, second = ranked(w.class_counts)
    return float(abs(first - second)) if second >= 0 else math.nan


def pitch_variability(w: Window) -> float:
    return std(w.pitched.pitch)


def pitch_class_variability(w: Window) -> float:
    return std(w.pitched.pitch % 12)


def folded_variability(w: Window) -> float:
    return std(w.pitched.pitch * 7 % 12)


def pitch_skewness(w: Window) -> float:
    return skewness(w.pitched.pitch)


def pitch_class_skewness(w: Window) -> float:
    return skewness(w.pitched.pitch % 12)


def folded_skewness(w: Window) -> float:
    return skewness(w.pitched.pitch * 7 % 12)


def pitch_kurtosis(w: Window) -> float:
    return kurtosis(w.pitched.pitch)


def pitch_class_kurtosis(w: Window) -> float:
    return kurtosis(w.pitched.pitch % 12)


def folded_kurtosis(w: Window) -> float:
    return kurtosis(w.pitched.pitch * 7 % 12)


def first_pitch(w: Window) -> float:
    groups = w.pitched
    if not len(groups.pitch):
        return math.nan
    return float(groups.pitch[groups.onset_sec <= groups.onset_sec[0] + 1e-9].min())


def last_pitch(w: Window) -> float:
    notes = w.pitched
    if not len(notes.pitch):
        return math.nan
    return float(notes.pitch[notes.onset_sec >= notes.onset_sec[-1] - 1e-9].min())


def first_pitch_class(w: Window) -> float:
    return first_pitch(w) % 12.0


def last_pitch_class(w: Window) -> float:
    return last_pitch(w) % 12.0


def pitch_entropy(w: Window) -> float:
    return entropy_bits(w.pitch_counts)


def pitch_class_entropy(w: Window) -> float:
    return entropy_bits(w.class_counts)


_SCALES = np.array([[0, 2, 4, 5, 7, 9, 11], [0, 2, 3, 5, 7, 8, 11]])


def scale_consistency(w: Window) -> float:
    weight = w.class_weight
    tonics = np.arange(12)[:, None, None]
    inside = weight[(tonics + _SCALES) % 12].sum(axis=2)
    return share(float(inside.max()), float(weight.sum()))
