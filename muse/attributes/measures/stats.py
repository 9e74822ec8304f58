"""Small statistics on short arrays; undefined is NaN, never a warning or an exception."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.floating[Any]] | NDArray[np.integer[Any]]


def mean(values: Numbers) -> float:
    """Arithmetic mean; NaN of nothing."""
    return float(values.sum()) / len(values) if len(values) else math.nan


def std(values: Numbers) -> float:
    """Sample standard deviation (n - 1, as jSymbolic); 0 of one value, NaN of nothing."""
    if len(values) < 2:
        return 0.0 if len(values) else math.nan
    centered = values - values.sum() / len(values)
    return math.sqrt(float(centered @ centered) / (len(values) - 1))


def weighted_mean(values: Numbers, weights: Numbers) -> float:
    """Weighted mean; NaN when nothing weighs."""
    total = float(weights.sum())
    return float(values @ weights) / total if total > 0.0 else math.nan


def weighted_std(values: Numbers, weights: Numbers) -> float:
    """Weighted population standard deviation; NaN when nothing weighs."""
    center = weighted_mean(values, weights)
    return math.sqrt(max(weighted_mean((values - center) ** 2, weights), 0.0)) if center == center else math.nan


def skewness(values: Numbers) -> float:
    """Pearson's second skewness, 3 (mean - median) / sd, -3..3, as jSymbolic; 0 where nothing varies."""
    spread = std(values)
    return 3.0 * (mean(values) - float(np.median(values))) / spread if spread > 1e-9 else 0.0 * spread


def kurtosis(values: Numbers) -> float:
    """Sample excess kurtosis G2 (Joanes & Gill 1998); 0 of fewer than four values or where nothing varies."""
    n, spread = len(values), std(values)
    if n < 4 or spread < 1e-9:
        return 0.0 * spread
    fourth = float((((values - mean(values)) / spread) ** 4).sum())
    scale = (n - 1.0) / ((n - 2.0) * (n - 3.0))
    return n * (n + 1.0) / (n - 1.0) ** 2 * scale * fourth - 3.0 * (n - 1.0) * scale


def share(part: float | np.integer[Any], whole: float | np.integer[Any]) -> float:
    """Part of a whole; NaN of nothing."""
    return float(part) / float(whole) if whole > 0.0 else math.nan


def ratio(over: float, under: float, cap: float) -> float:
    """over / under, at most ``cap``; ``cap`` when only ``under`` is absent, NaN when both are."""
    if under > 0.0:
        return min(float(over) / float(under), cap)
    return cap if over > 0.0 else math.nan


def normalized(weights: Numbers) -> NDArray[np.float64]:
    """Weights as fractions of their sum; NaN when nothing weighs."""
    total = float(weights.sum())
    return np.asarray(weights, dtype=np.float64) / (total if total > 0.0 else math.nan)


def entropy_bits(weights: Numbers) -> float:
    """Shannon entropy of weights in bits; NaN when nothing weighs."""
    total = float(weights.sum())
    if not total > 0.0:
        return math.nan
    p = weights[weights > 0] / total
    return max(float(-(p * np.log2(p)).sum()), 0.0)


def correlation(x: Numbers, y: Numbers) -> float:
    """Pearson correlation; NaN when either does not vary."""
    if len(x) < 2:
        return math.nan
    x, y = x - mean(x), y - mean(y)
    scale = math.sqrt(float(x @ x) * float(y @ y))
    return max(-1.0, min(1.0, float(x @ y) / scale)) if scale > 1e-12 else math.nan


def slope(x: Numbers, y: Numbers) -> float:
    """Least-squares slope of y on x; NaN when x does not vary."""
    if len(x) < 2:
        return math.nan
    x = x - mean(x)
    variance = float(x @ x)
    return float(x @ (y - mean(y))) / variance if variance > 1e-12 else math.nan
