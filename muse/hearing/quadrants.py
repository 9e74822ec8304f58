r"""The quadrant of a piece from its plain features: a kernel machine and trees, and how far to trust each.

Eight hundred labelled clips are few for a network. A kernel machine on features that need no bars
(:mod:`muse.hearing.features`) is right more often, and errs elsewhere than trees do. Both hear a piece three times: as
a whole, its beginning and its end. Their opinions meet in a log-linear pool for each axis (Genest & Zidek, Statistical
Science 1986): the log odds of valence, and those of arousal, are a weighted sum of the experts' own, with weights
fitted on clips that none of them learnt from, so that the pool's probabilities are true as well. Arousal has a
kernel machine of its own, which may be deaf to key and chords: they are half of the features and tell valence, so to a
kernel that is to tell arousal they are noise in what it takes for likeness.

:mod:`muse.training.quadrants` fits it.

Contents: :class:`KernelMachine`, :class:`QuadrantStack`; :func:`log_odds`, :func:`pooled`, :func:`standardised`,
:func:`gaussian`, :func:`squared_distances`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit, logit, softmax

from muse.checkpoint import under
from muse.hearing.forest import Forest

__all__ = [
    "EXPERTS",
    "KernelMachine",
    "QuadrantStack",
    "gaussian",
    "log_odds",
    "pooled",
    "squared_distances",
    "standardised",
]

Floats = NDArray[np.float64]

EXPERTS = ("kernel", "trees")
"""In the order of the weights."""
HEARINGS = np.array([0.5, 0.25, 0.25])
"""What the whole piece, its beginning and its end have to say."""
SURPRISE = 1e-2
"""Least probability that an expert gives one side of an axis."""
FARTHEST = 3.0
"""Standard deviations at which a feature is cut."""


@dataclass(frozen=True)
class KernelMachine:
    """Least squares on quadrants with a Gaussian kernel (Suykens & Vandewalle, Neural Processing Letters 1999)."""

    points: NDArray[Any]
    """Hearings learnt from, float16 [m, features]."""
    weight: NDArray[Any]
    """Of each of them for each quadrant, [m, 4], or for something else that is to be told, [m, outputs]."""
    precision: NDArray[Any]
    r"""Of the kernel, [1]: :math:`k(x, y) = \exp(-\gamma |x - y|^2)`."""
    sharpness: NDArray[Any]
    """Factor on scores in the exponent of probabilities, [1]."""

    def probabilities(self, x: Floats) -> Floats:
        """Of Q1..Q4, float64 [n, 4], of standardised features [n, features]."""
        return np.asarray(softmax(float(self.sharpness[0]) * self.scores(x), axis=-1))

    def scores(self, x: Floats) -> Floats:
        """How much speaks for each quadrant, about -0.25..0.75: float64 [n, 4]; of other outputs, their values."""
        return gaussian(x, self.points.astype(np.float64), float(self.precision[0])) @ self.weight

    def is_sound(self, n_columns: int, n_outputs: int = 4) -> bool:
        """Whether shapes fit and numbers are finite."""
        m = len(np.atleast_1d(self.points))
        shapes = {"points": (m, n_columns), "weight": (m, n_outputs), "precision": (1,), "sharpness": (1,)}
        return m > 0 and _fit(self, shapes)

    @classmethod
    def of(cls, tensors: Mapping[str, NDArray[Any]]) -> KernelMachine:
        """The machine whose arrays these are, by name.

        Raises
        ------
        KeyError
            An array is missing.
        """
        return cls(**{name: tensors[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class QuadrantStack:
    """Experts on plain features, pooled."""

    center: NDArray[Any]
    """Median of each feature, [features]."""
    scale: NDArray[Any]
    """Its standard deviation, [features]."""
    kernel: KernelMachine
    """Has the kernels' say in valence."""
    arousal: KernelMachine
    """Has it in arousal; hears the last of the features alone, or all."""
    trees: Forest
    """Shares of Q1..Q4."""
    weight: NDArray[Any]
    """Of :data:`EXPERTS` in the log odds of valence and of arousal, [experts, 2], at least 0."""

    def log_probabilities(self, x: Floats) -> Floats:
        """Log probabilities of Q1..Q4, float64 [n, 4], of hearings [n, 3, features]."""
        return pooled(self.opinions(x), self.weight)

    def opinions(self, x: Floats) -> Floats:
        """Log odds of valence and arousal by each expert, [experts, n, 2], of hearings [n, 3, features]."""
        rows = standardised(x, self.center, self.scale).reshape(-1, x.shape[-1])

        def odds(probabilities: Floats) -> Floats:
            return log_odds(probabilities.reshape(*x.shape[:2], 4))

        found = np.stack([odds(self.kernel.probabilities(rows)), odds(self.trees.mean(rows))])
        found[0, :, 1] = odds(self.arousal.probabilities(rows[:, -self.arousal.points.shape[1] :]))[:, 1]
        return found

    def is_sound(self, n_columns: int) -> bool:
        """Whether everything fits together, so that :meth:`log_probabilities` works and ends."""
        shapes = {"center": (n_columns,), "scale": (n_columns,), "weight": (len(EXPERTS), 2)}
        n_heard = np.atleast_1d(self.arousal.points).shape[-1]
        fits = _fit(self, shapes) and bool((self.scale > 0).all())
        fits = fits and 0 < n_heard <= n_columns and self.arousal.is_sound(n_heard)
        return fits and self.kernel.is_sound(n_columns) and self.trees.is_sound(n_columns, 4)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Arrays by name, to be stored."""
        parts = {"kernel": self.kernel, "arousal": self.arousal, "trees": self.trees}
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
        trees = under(tensors, "trees.")
        return cls(
            tensors["center"],
            tensors["scale"],
            KernelMachine.of(under(tensors, "kernel.")),
            KernelMachine.of(under(tensors, "arousal.")),
            Forest(**{name: trees[name] for name in Forest.__dataclass_fields__}),
            tensors["weight"],
        )


def log_odds(quadrants: Floats) -> Floats:
    """Log odds of valence and of arousal [n, 2] of what an expert says of each hearing, probabilities [n, 3, 4]."""
    p = np.einsum("nhq,h->nq", quadrants, HEARINGS)
    above = np.stack([p[:, 0] + p[:, 3], p[:, 0] + p[:, 1]], axis=1)
    return np.asarray(logit(np.clip(above, SURPRISE, 1 - SURPRISE)))


def pooled(opinions: Floats, weight: NDArray[Any]) -> Floats:
    """The pool's log probabilities of Q1..Q4 [n, 4] of log odds [experts, n, 2] and weights [experts, 2]."""
    odds = np.einsum("kna,ka->an", opinions, weight.astype(np.float64))
    (glad, excited), (sad, calm) = log_expit(odds), log_expit(-odds)
    return np.stack([glad + excited, sad + excited, sad + calm, glad + calm], axis=1)


def standardised(x: Floats, center: NDArray[Any], scale: NDArray[Any]) -> Floats:
    """Features [..., features] in standard deviations from their median, cut at :data:`FARTHEST`."""
    return np.clip((x - center) / scale, -FARTHEST, FARTHEST)


def gaussian(x: Floats, y: Floats, precision: float) -> Floats:
    """Gaussian kernel between rows, [n, m]."""
    return np.exp(-precision * squared_distances(x, y))


def squared_distances(x: Floats, y: Floats) -> Floats:
    """Squared Euclidean distances between rows, [n, m]."""
    square = (x * x).sum(axis=1)[:, None] + (y * y).sum(axis=1) - 2 * x @ y.T
    return np.asarray(np.maximum(square, 0.0))


def _fit(part: object, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether the arrays of a part have these shapes and are finite."""
    arrays = {name: getattr(part, name) for name in shapes}
    return all(arrays[name].shape == shape and np.isfinite(arrays[name]).all() for name, shape in shapes.items())
