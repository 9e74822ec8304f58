r"""One answer about emotion: quadrant, valence and arousal out of one distribution, so that none contradicts another.

Valence and arousal of a piece are independent and normal,
:math:`\mathcal N(s_v z_v, s_v^2)` and :math:`\mathcal N(s_a z_a, s_a^2)`; the probability of a quadrant is the mass of
the plane that it covers, and the likeliest one is always that of the means. Two kinds of evidence meet in :math:`z`,
both as normal deviates: probabilities of quadrants, learnt from clips whose quadrant people named, and a mean in its
standard deviations, learnt from pieces that people rated.

Contents: :func:`answer`, :func:`deviates`, :func:`quadrant_masses`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

__all__ = ["answer", "deviates", "quadrant_masses"]

Floats = NDArray[np.float64]

SUREST = 1e-4
"""No side of an axis is less probable than this."""
_ASIDE = 1e-6
"""On an axis itself a mean has no side: from it at least so many standard deviations."""


def answer(quadrants: Floats, mean: Floats, spread: Floats, share: float) -> tuple[Floats, Floats]:
    """Means of valence and arousal in -1..1, float64 [..., 2], and probabilities of Q1..Q4, [..., 4].

    Parameters
    ----------
    quadrants
        Probabilities of Q1..Q4 from labelled clips, [..., 4].
    mean, spread
        Valence and arousal from rated pieces with their standard deviations, [..., 2].
    share
        What the ratings have to say, 0..1.
    """
    z = deviates(quadrants, mean / spread, share)
    return np.clip(spread * z, -1, 1), quadrant_masses(z)


def deviates(quadrants: Floats, rated: Floats, share: float) -> Floats:
    """How many standard deviations valence and arousal lie above 0, [..., 2].

    Parameters
    ----------
    quadrants
        Probabilities of Q1..Q4, [..., 4].
    rated
        The same by ratings, [..., 2].
    share
        What the ratings have to say, 0..1.
    """
    above = np.stack([quadrants[..., 0] + quadrants[..., 3], quadrants[..., 0] + quadrants[..., 1]], axis=-1)
    z = (1 - share) * ndtri(np.clip(above, SUREST, 1 - SUREST)) + share * rated
    return np.where(np.abs(z) < _ASIDE, _ASIDE, z)


def quadrant_masses(z: Floats) -> Floats:
    """Probabilities of Q1..Q4 [..., 4] of independent normal valence and arousal, `z` [..., 2] deviations above 0."""
    glad, excited = np.moveaxis(ndtr(z), -1, 0)
    sad, calm = np.moveaxis(ndtr(-z), -1, 0)
    return np.stack([glad * excited, sad * excited, sad * calm, glad * calm], axis=-1)
