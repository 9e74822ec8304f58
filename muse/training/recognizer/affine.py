"""The plain listener that the personal model is compared with: a bias, a scale and a lag.

Contents: :class:`Affine`, :func:`fit_affine`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Affine", "fit_affine"]

Floats = NDArray[np.float32]

LAGS: Final = tuple(range(9))
"""Steps that a listener may be late: up to four seconds."""


@dataclass(frozen=True)
class Affine:
    """A listener who rates ``bias + scale * curve``, late by ``lag`` steps."""

    bias: tuple[float, float]
    """Of valence and arousal."""
    scale: tuple[float, float]
    lag: int

    def __call__(self, curve: Floats) -> Floats:
        """What they would rate, [T, 2]."""
        late = _late(curve, self.lag)
        return (np.array(self.bias) + np.array(self.scale) * late).astype(np.float32)


def _late(curve: Floats, lag: int) -> Floats:
    return curve[np.maximum(np.arange(len(curve)) - lag, 0)]


def fit_affine(
    curves: Sequence[Floats],
    ratings: Sequence[Floats],
    *,
    bias_spread: float = 0.3,
    scale_spread: float = 0.3,
    noise: float = 0.25,
    correlated: float = 8.0,
    lags: Sequence[int] = LAGS,
) -> Affine:
    """The most probable affine listener: ridge regression towards a bias of 0 and a scale of 1.

    Parameters
    ----------
    curves
        Predictions of the recogniser, for each piece [T, 2].
    ratings
        What the listener said, for each piece [T, 2]; NaN where nothing.
    bias_spread, scale_spread
        Standard deviations of the prior.
    noise
        Standard deviation of a rating.
    correlated
        Steps that count as one: errors of neighbours are alike.
    lags
        Of which the one with the least penalised error is chosen.
    """
    best, least = Affine((0.0, 0.0), (1.0, 1.0), 0), np.inf
    weight = correlated * noise**2
    prior = np.diag([weight / bias_spread**2, weight / scale_spread**2])
    for lag in lags:
        total, found = 0.0, []
        for axis in range(2):
            x = np.concatenate([_late(curve, lag)[:, axis] for curve in curves])
            y = np.concatenate([rated[:, axis] for rated in ratings])
            known = np.isfinite(y)
            rows = np.column_stack([np.ones(known.sum()), x[known]])
            left = y[known] - x[known]
            solved = np.linalg.solve(rows.T @ rows + prior, rows.T @ left)
            total += float(np.square(left - rows @ solved).sum() + solved @ prior @ solved)
            found.append(solved)
        if total < least - 1e-9:
            least = total
            (b0, s0), (b1, s1) = found
            best = Affine((float(b0), float(b1)), (1 + float(s0), 1 + float(s1)), lag)
    return best
