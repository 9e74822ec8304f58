r"""One answer about emotion: quadrant, valence and arousal out of one distribution, so that none contradicts another.

Valence and arousal of a piece are independent and normal. The probability of a quadrant is the mass of the plane that
it covers, so the likeliest one is always that of the means. Two kinds of evidence meet. Clips whose quadrant people
named tell on which side of an axis a piece lies, and how surely: :math:`\Phi(\mu / \sigma)`. Pieces that people rated
tell how far from the axis: :math:`\mu`. The spread :math:`\sigma` is what lets both be true, as far as it can within
:data:`NARROWEST` and :data:`WIDEST`; where they disagree on the side, named quadrants are believed, and the mean lies
close to the axis. Ratings have a small say in the sides, too: by how far they lie from the mean of all rated pieces,
for listeners' scales do not have their middle where the quadrants have theirs.

Contents: :func:`answer`, :func:`quadrant_masses`, :func:`deviates`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

__all__ = ["answer", "deviates", "quadrant_masses"]

Floats = NDArray[np.float64]

NARROWEST, WIDEST = 0.1, 4.0
"""Least and greatest spread, in those of ratings."""
SUREST = 1e-4
"""No side of an axis is less probable than this."""
RATINGS_SAY = 0.2
"""What a standard deviation between a piece's ratings and the mean of all pieces adds to the evidence on its side."""
_ASIDE = 1e-6
"""On an axis itself a mean has no side: from it at least so many standard deviations."""


def answer(
    quadrants: Floats, mean: Floats, spread: Floats, middle: Floats | None = None
) -> tuple[Floats, Floats, Floats]:
    """Means of valence and arousal in -1..1 and their standard deviations, float64 [..., 2], and probabilities of
    Q1..Q4, [..., 4].

    Parameters
    ----------
    quadrants
        Probabilities of Q1..Q4 from labelled clips, [..., 4].
    mean, spread
        Valence and arousal from rated pieces with their standard deviations, [..., 2].
    middle
        Mean of what listeners rate, [2]; None leaves the sides to the quadrants.
    """
    z = deviates(quadrants)
    if middle is not None:
        z = _aside(z + RATINGS_SAY * (mean - middle) / spread)
    sigma = np.clip(mean / z, NARROWEST * spread, WIDEST * spread)
    return np.clip(sigma * z, -1, 1), sigma, quadrant_masses(z)


def deviates(quadrants: Floats) -> Floats:
    """How many standard deviations valence and arousal lie above 0, [..., 2], by probabilities of Q1..Q4, [..., 4]."""
    above = np.stack([quadrants[..., 0] + quadrants[..., 3], quadrants[..., 0] + quadrants[..., 1]], axis=-1)
    return _aside(ndtri(np.clip(above, SUREST, 1 - SUREST)))


def quadrant_masses(z: Floats) -> Floats:
    """Probabilities of Q1..Q4 [..., 4] of independent normal valence and arousal, `z` [..., 2] deviations above 0."""
    glad, excited = np.moveaxis(ndtr(z), -1, 0)
    sad, calm = np.moveaxis(ndtr(-z), -1, 0)
    return np.stack([glad * excited, sad * excited, sad * calm, glad * calm], axis=-1)


def _aside(z: Floats) -> Floats:
    """On one side of 0."""
    return np.where(np.abs(z) < _ASIDE, _ASIDE, z)
