"""The course of a piece: how valence and arousal depart from their mean over time.

Networks see half a minute at a time and learn mostly from what differs between pieces; how a piece moves around its own
mean is predicted better by ridge regression on the features of the last seconds as they depart from the piece's. The
curve is the mean of the networks' predictions, a part of their own departures from it, and these.

Contents: :class:`Course`. :mod:`muse.training.recognizer.course` fits it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from muse.checkpoint import Arrays
from muse.recognizer.features.signal import running_mean

__all__ = ["Course"]

Floats = NDArray[np.float32]

SCALES: Final = (8, 24)
"""Steps of the past that are averaged: listeners answer to what they have heard, seconds later."""
NETWORKS: Final = 0.5
"""Share of the networks' own departures in the curve."""


@dataclass(frozen=True)
class Course(Arrays):
    """The fitted regression. It is linear, so a few numbers of each step are enough while sound streams."""

    mean: Floats
    spread: Floats
    """[features], as the mean."""
    weight: Floats
    """[features, scales, valence and arousal]."""

    def project(self, steps: Floats) -> Floats:
        """Steps [T, features] projected on the weights, float32 [T, scales, 2]."""
        return np.tensordot((steps - self.mean) / self.spread, self.weight, axes=1).astype(np.float32)

    def __call__(self, predicted: Floats, projected: Floats) -> Floats:
        """The curve [T, 2] from the networks' predictions [T, 2] and the projections (:meth:`project`) of a piece."""
        departure = np.sum([running_mean(projected[:, k], n, 0) for k, n in enumerate(SCALES)], axis=0)
        centre = predicted.mean(axis=0)
        curve = centre + NETWORKS * (predicted - centre) + departure - departure.mean(axis=0)
        return np.asarray(curve, np.float32)
