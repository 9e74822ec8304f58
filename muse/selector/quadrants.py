r"""The quadrant of a piece from its plain features: a kernel machine and trees, and how far to trust each.

Eight hundred labelled clips are few for a network. A kernel machine on features that need no bars
(:mod:`muse.selector.features`) is right more often, and errs elsewhere than trees do; their opinions are put together
as a log-linear pool (Genest & Zidek, Statistical Science 1986), :math:`\log p = \sum_k w_k \log p_k + c`, whose
weights are fitted on clips that none of them learnt from, so that the pool's probabilities are true as well.

:mod:`muse.training.selector.quadrants` fits it.

Contents: :class:`KernelMachine`, :class:`QuadrantStack`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from muse.checkpoint import under
from muse.selector.forest import Forest

__all__ = ["EXPERTS", "KernelMachine", "QuadrantStack"]

Floats = NDArray[np.float64]

EXPERTS = ("kernel", "trees")
"""In the order of the weights."""
SURPRISE = 1e-2
"""Least probability that trees give a quadrant: where no tree votes for it, it may still be."""
FARTHEST = 3.0
"""Standard deviations at which a feature is cut."""


@dataclass(frozen=True)
class KernelMachine:
    """Least squares on quadrants with a Gaussian kernel (Suykens & Vandewalle, Neural Processing Letters 1999)."""

    points: NDArray[Any]
    """Clips learnt from, [m, features]."""
    weight: NDArray[Any]
    """Of each clip for each quadrant, [m, 4]."""
    precision: NDArray[Any]
    r"""Of the kernel, [1]: :math:`k(x, y) = \exp(-\gamma |x - y|^2)`."""

    def scores(self, x: Floats) -> Floats:
        """How much speaks for each quadrant, about -0.25..0.75: float64 [n, 4]."""
        return gaussian(x, self.points.astype(np.float64), float(self.precision[0])) @ self.weight

    def is_sound(self, n_columns: int) -> bool:
        """Whether shapes fit and numbers are finite."""
        m = len(self.points)
        fits = self.points.shape == (m, n_columns) and self.weight.shape == (m, 4) and self.precision.shape == (1,)
        return fits and all(np.isfinite(one).all() for one in (self.points, self.weight, self.precision))


@dataclass(frozen=True)
class QuadrantStack:
    """Experts on plain features, pooled."""

    center: NDArray[Any]
    """Median of each feature, [features]."""
    scale: NDArray[Any]
    """Its standard deviation, [features]."""
    kernel: KernelMachine
    trees: Forest
    """Shares of Q1..Q4."""
    weight: NDArray[Any]
    """Of :data:`EXPERTS` in the pool, at least 0."""

    def log_probabilities(self, x: Floats) -> Floats:
        """Log probabilities of Q1..Q4, float64 [n, 4], of rows of features [n, features]."""
        return pooled(self.opinions(x), self.weight)

    def opinions(self, x: Floats) -> Floats:
        """What each expert says, up to a factor and a constant the logarithms of probabilities: [experts, n, 4]."""
        scaled = standardised(x, self.center, self.scale)
        return np.stack([self.kernel.scores(scaled), np.log(self.trees.mean(scaled) + SURPRISE)])

    def is_sound(self, n_columns: int) -> bool:
        """Whether everything fits together, so that :meth:`log_probabilities` works and ends."""
        flat = {"center": n_columns, "scale": n_columns, "weight": len(EXPERTS)}
        fits = all(
            getattr(self, name).shape == (n,) and np.isfinite(getattr(self, name)).all() for name, n in flat.items()
        )
        positive = fits and bool((self.scale > 0).all())
        return positive and self.kernel.is_sound(n_columns) and self.trees.is_sound(n_columns, 4)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Arrays by name, to be stored."""
        parts = {"kernel": self.kernel, "trees": self.trees}
        found = {name: getattr(self, name) for name in ("center", "scale", "weight")}
        return found | {f"{name}.{key}": value for name, part in parts.items() for key, value in vars(part).items()}

    @classmethod
    def of(cls, tensors: Mapping[str, NDArray[Any]]) -> QuadrantStack:
        """The stack that was stored.

        Raises
        ------
        KeyError
            An array is missing.
        """
        kernel, trees = under(tensors, "kernel."), under(tensors, "trees.")
        return cls(
            tensors["center"],
            tensors["scale"],
            KernelMachine(**{name: kernel[name] for name in KernelMachine.__dataclass_fields__}),
            Forest(**{name: trees[name] for name in Forest.__dataclass_fields__}),
            tensors["weight"],
        )


def pooled(opinions: Floats, weight: NDArray[Any]) -> Floats:
    """The pool's log probabilities [n, 4] of opinions [experts, n, 4]."""
    return np.asarray(log_softmax(np.tensordot(weight.astype(np.float64), opinions, axes=1), axis=-1))


def standardised(x: Floats, center: NDArray[Any], scale: NDArray[Any]) -> Floats:
    """Features in standard deviations from their median, cut at :data:`FARTHEST`."""
    return np.clip((x - center) / scale, -FARTHEST, FARTHEST)


def gaussian(x: Floats, y: Floats, precision: float) -> Floats:
    """Gaussian kernel between rows, [n, m]."""
    return np.exp(-precision * squared_distances(x, y))


def squared_distances(x: Floats, y: Floats) -> Floats:
    """Squared Euclidean distances between rows, [n, m]."""
    square = (x * x).sum(axis=1)[:, None] + (y * y).sum(axis=1) - 2 * x @ y.T
    return np.asarray(np.maximum(square, 0.0))
