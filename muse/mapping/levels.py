"""Levels: the scale on which all attributes can be compared, the normal score of a rank among the windows of a corpus.

0 is the corpus' median, -1.64 and 1.64 are its 5 % and 95 % quantiles.

Contents: :data:`LEVEL_GRID`, :data:`GRID_SHARES`, :data:`REACH_LEVEL`; :func:`quantiles_of`, :func:`to_levels`,
:func:`mean_level`, :func:`covariance`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]

LEVEL_GRID: Final[Floats] = np.round(np.arange(-2.4, 2.401, 0.15), 2)
"""Levels at which the quantiles of the corpus are stored."""
GRID_SHARES: Final[Floats] = ndtr(LEVEL_GRID)
"""Share of the corpus below each of them."""
REACH_LEVEL: Final = 1.645
"""Targets stay within the 5..95 % range of every attribute."""


def quantiles_of(values: Floats, weight: Floats | None = None) -> Floats:
    """Values at the levels of the grid, [n_attributes, 33]; 0 for an attribute that is never defined."""
    weight = np.ones(len(values)) if weight is None else weight
    result = np.zeros((values.shape[1], len(LEVEL_GRID)))
    for j, column in enumerate(values.T):
        defined = np.isfinite(column) & (weight > 0)
        if defined.any():
            # The inverted distribution function is the one definition under which a weight of 2 is a window twice.
            result[j] = np.quantile(column[defined], GRID_SHARES, method="inverted_cdf", weights=weight[defined])
    return result


def to_levels(values: Floats, quantiles: Floats) -> Floats:
    """Levels of values, [n, n_attributes]; NaN stays. A value that many windows share gets the middle of its levels."""
    levels = np.full(values.shape, np.nan)
    for j in range(values.shape[1]):
        knots, place, counts = np.unique(quantiles[j], return_inverse=True, return_counts=True)
        middle = np.bincount(place, weights=LEVEL_GRID) / counts
        defined = np.isfinite(values[:, j])
        levels[defined, j] = np.interp(values[defined, j], knots, middle)
    return levels


def mean_level(levels: Floats, weight: Floats) -> Floats:
    """Weighted mean over windows, [n_attributes]; 0 for an attribute without a defined value."""
    mass = weight[:, None] * np.isfinite(levels)
    return (np.nan_to_num(levels) * mass).sum(axis=0) / np.maximum(mass.sum(axis=0), 1e-12)


def covariance(levels: Floats) -> Floats:
    """Of the windows' levels [n, n_attributes], float [n_attributes, n_attributes]; without windows 0."""
    centered = levels - levels.mean(axis=0)
    return centered.T @ centered / max(len(levels), 1)
