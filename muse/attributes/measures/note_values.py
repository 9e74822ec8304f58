"""Attributes of rhythmic values: each pitched note has the one of the twelve that is nearest to its duration."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from muse.attributes.measures.pitch import ranked
from muse.attributes.measures.stats import kurtosis, mean, normalized, share, skewness, std
from muse.attributes.notes import FloatArray, IntArray
from muse.attributes.window import RHYTHMIC_VALUES_BEAT, Window


def value_histogram(w: Window) -> FloatArray:
    return normalized(w.value_counts)


def value_share(*values: int) -> Callable[[Window], float]:
    """Fraction of pitched notes whose rhythmic value (bin of the histogram) is one of these."""
    wanted = np.array(values)

    def of_window(w: Window) -> float:
        return share(float(w.value_counts[wanted].sum()), len(w.value_index))

    return of_window


very_short_values = value_share(0, 1)
short_values = value_share(0, 1, 2)
medium_values = value_share(2, 3, 4, 5, 6)
long_values = value_share(6, 7, 8, 9, 10, 11)
very_long_values = value_share(9, 10, 11)
dotted_values = value_share(3, 5, 7, 9, 11)


def value_range(w: Window) -> float:
    used = np.flatnonzero(w.value_counts)
    return float(used[-1] - used[0]) if len(used) else math.nan


def n_values(w: Window) -> float:
    return float(np.count_nonzero(w.value_counts))


def n_common_values(w: Window) -> float:
    return float(np.count_nonzero(normalized(w.value_counts) >= 0.15))


def shortest_value(w: Window) -> float:
    return float(RHYTHMIC_VALUES_BEAT[w.value_index.min()]) if len(w.value_index) else math.nan


def longest_value(w: Window) -> float:
    return float(RHYTHMIC_VALUES_BEAT[w.value_index.max()]) if len(w.value_index) else math.nan


def mean_value(w: Window) -> float:
    return mean(RHYTHMIC_VALUES_BEAT[w.value_index])


def most_common_value(w: Window) -> float:
    return float(RHYTHMIC_VALUES_BEAT[ranked(w.value_counts)[0]]) if len(w.value_index) else math.nan


def most_common_value_prevalence(w: Window) -> float:
    return share(float(w.value_counts.max()), len(w.value_index))


def top_values_ratio(w: Window) -> float:
    first, second = ranked(w.value_counts)
    if first < 0:
        return math.nan
    return float(w.value_counts[second] / w.value_counts[first]) if second >= 0 else 0.0


def top_values_difference(w: Window) -> float:
    first, second = ranked(w.value_counts)
    return float(abs(first - second)) if second >= 0 else math.nan


def value_std(w: Window) -> float:
    return std(RHYTHMIC_VALUES_BEAT[w.value_index])


def value_skewness(w: Window) -> float:
    return skewness(RHYTHMIC_VALUES_BEAT[w.value_index])


def value_kurtosis(w: Window) -> float:
    return kurtosis(RHYTHMIC_VALUES_BEAT[w.value_index])


def _runs_histogram(w: Window, statistic: Callable[[IntArray], float]) -> FloatArray:
    value, length = w.value_runs
    if not len(value):
        return np.full(12, np.nan)
    out = np.zeros(12)
    for index in np.flatnonzero(w.value_counts):
        out[index] = statistic(length[value == index])
    total = out.sum()
    return out / total if total > 0.0 else out


def _upper_median(length: IntArray) -> float:
    return float(np.sort(length)[len(length) // 2])


def median_runs_histogram(w: Window) -> FloatArray:
    return _runs_histogram(w, _upper_median)


def run_variability_histogram(w: Window) -> FloatArray:
    return _runs_histogram(w, std)


def mean_run(w: Window) -> float:
    return mean(w.value_runs[1])


def median_run(w: Window) -> float:
    length = w.value_runs[1]
    return _upper_median(length) if len(length) else math.nan


def run_variability(w: Window) -> float:
    return std(w.value_runs[1])


def _offsets(w: Window) -> FloatArray:
    """[n] beats by which each duration misses its rhythmic value."""
    return np.asarray(np.abs(w.pitched.duration_beat - RHYTHMIC_VALUES_BEAT[w.value_index]))


def mean_offset(w: Window) -> float:
    return mean(_offsets(w))


def median_offset(w: Window) -> float:
    offset = np.sort(_offsets(w))
    return float(offset[len(offset) // 2]) if len(offset) else math.nan


def offset_variability(w: Window) -> float:
    return std(_offsets(w))
