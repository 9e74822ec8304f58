"""Fitting of the stack that tells quadrants from plain features, and its measure by nested cross-validation.

Contents: :func:`fit_stack`, :func:`nested`, :func:`folds_of`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from muse.errors import InputError
from muse.hearing.forest import Forest
from muse.hearing.quadrants import (
    EXPERTS,
    KernelMachine,
    QuadrantStack,
    gaussian,
    log_odds,
    pooled,
    squared_distances,
    standardised,
)

__all__ = ["fit_stack", "folds_of", "nested"]

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

TREES: Mapping[str, Any] = {"n_estimators": 80, "min_samples_leaf": 4, "max_features": 0.1}
PRECISIONS = (0.7, 1.2)
"""Of the kernel, in inverse medians of the squared distance between clips."""
RIDGES = (0.35, 0.7)
SHARPNESSES = (2.0, 3.0, 5.0)
"""Of the kernel machine's probabilities."""
N_FOLDS = 5
_CONSTANT = 1e-9
"""A feature that varies less is constant."""
_PULL = 1e-4
"""Ridge on the pool's weights."""


def folds_of(groups: NDArray[Any], n_folds: int = N_FOLDS, seed: int = 0) -> NDArray[np.int64]:
    """A fold for every row, the same for all rows of a group: int64 [n].

    Raises
    ------
    InputError
        There are fewer groups than folds.
    """
    names, member = np.unique(groups, return_inverse=True)
    if len(names) < n_folds:
        raise InputError(f"{len(names)} songs are too few for {n_folds} folds: give clips of {n_folds} songs or more")
    return np.asarray((np.random.default_rng(seed).permutation(len(names)) % n_folds)[member])


def fit_stack(
    x: Floats, labels: Labels, groups: NDArray[Any], *, harmony: int = 0, seed: int = 0
) -> tuple[QuadrantStack, Floats]:
    """Fit on labelled clips.

    Every hearing of a clip is a row to learn from. Width, ridge and sharpness of the kernel machines and the weights of
    the pool are chosen by a cross-validation over groups, width and ridge on whole clips by squared error, the others
    by likelihood.

    Parameters
    ----------
    x
        Hearings [n, 3, features], finite.
    labels
        Quadrants 0..3 [n].
    groups
        Songs [n]: clips of one song are never on both sides of a split.
    harmony
        How many features, the first ones, the kernel machine for arousal is not to hear.
    seed
        Of the folds and of the trees.

    Returns
    -------
    stack
        Fitted on all clips.
    opinions
        Of the experts on clips that they did not learn from, [experts, n, 2].

    Raises
    ------
    InputError
        A quadrant has no clip, or there are too few songs.
    """
    missing = [f"Q{k + 1}" for k in range(4) if k not in labels]
    if missing:
        raise InputError(f"no clip is of {', '.join(missing)}: give labelled clips of all four quadrants")
    fold = folds_of(groups, seed=seed)

    parts = [(fold == k, _Rows(x[fold != k], labels[fold != k])) for k in range(N_FOLDS)]
    settings = [(precision, ridge) for precision in PRECISIONS for ridge in RIDGES]

    firsts = (0, harmony)  # the first feature that each kernel machine hears, valence's and arousal's

    def error(setting: tuple[float, float], axis: int) -> float:
        first = firsts[axis]
        found = [
            _scores_of(labels[out]) - rows.whole_clips(*setting, first).scores(rows.scaled(x[out, 0])[:, first:])
            for out, rows in parts
        ]
        wrong = np.concatenate(found)
        return float(((wrong[:, 0] + wrong[:, 1] if axis else wrong) ** 2).sum())

    best = [min(settings, key=lambda setting: error(setting, axis)) for axis in (0, 1)]
    scores, trees = np.zeros((2, len(labels), 3, 4)), np.zeros((len(labels), 3, 4))
    for out, rows in parts:
        outside = rows.scaled(x[out]).reshape(-1, x.shape[-1])
        for axis, first in enumerate(firsts):
            scores[axis, out] = rows.kernel(*best[axis], 1.0, first).scores(outside[:, first:]).reshape(-1, 3, 4)
        trees[out] = rows.trees(seed).mean(outside).reshape(-1, 3, 4)

    def opinions(sharpness: tuple[float, ...]) -> Floats:
        each = [log_odds(softmax(one * own, axis=-1)) for one, own in zip(sharpness, scores, strict=True)]
        return np.stack([np.stack([each[0][:, 0], each[1][:, 1]], axis=1), log_odds(trees)])

    sharpness = min(itertools.product(SHARPNESSES, repeat=2), key=lambda tried: _pool(opinions(tried), labels)[1])
    rows, outside = _Rows(x, labels), opinions(sharpness)
    weight = _pool(outside, labels)[0].astype(np.float32)
    kernel, arousal = (rows.kernel(*best[axis], sharpness[axis], first) for axis, first in enumerate(firsts))
    return QuadrantStack(rows.center, rows.scale, kernel, arousal, rows.trees(seed), weight), outside


def nested(
    x: Floats,
    labels: Labels,
    groups: NDArray[Any],
    *,
    harmony: int = 0,
    seed: int = 0,
    progress: Callable[[float, float], None] | None = None,
) -> dict[str, Floats]:
    """Log probabilities of clips, each by a stack that never saw its song and chose everything without it.

    `harmony` is that of :func:`fit_stack`; `progress` is called with what is done and what is to do.

    Returns
    -------
    dict
        ``stack`` and every one of the experts alone: float64 [n, 4].
    """
    fold = folds_of(groups, seed=seed)
    found = {name: np.zeros((len(labels), 4)) for name in ("stack", *EXPERTS)}
    for k in range(N_FOLDS):
        out = fold == k
        stack, inner = fit_stack(x[~out], labels[~out], groups[~out], harmony=harmony, seed=seed + 1 + k)
        opinions = stack.opinions(x[out])
        found["stack"][out] = pooled(opinions, stack.weight)
        for i, name in enumerate(EXPERTS):
            alone = _pool(inner[i : i + 1], labels[~out])[0]
            found[name][out] = pooled(opinions[i : i + 1], alone)
        if progress:
            progress(k + 1, N_FOLDS)
    return found


class _Rows:
    """Hearings [n, 3, features] of labelled clips, standardised: what an expert learns from."""

    def __init__(self, x: Floats, labels: Labels) -> None:
        whole = x[:, 0]
        spread = whole.std(axis=0)
        self.center = np.median(whole, axis=0).astype(np.float32)
        self.scale = np.where(spread > _CONSTANT, spread, 1.0).astype(np.float32)
        self.labels, self.x = labels, self.scaled(x)
        self._median_distances: dict[int, float] = {}

    def scaled(self, x: Floats) -> Floats:
        return standardised(x, self.center, self.scale)

    def whole_clips(self, precision: float, ridge: float, first: int) -> KernelMachine:
        """A kernel machine that has heard whole clips alone, of their features those from the `first` on."""
        return self._kernel(self.x[:, 0], self.labels, first, precision, ridge, 1.0)

    def kernel(self, precision: float, ridge: float, sharpness: float, first: int) -> KernelMachine:
        # Each clip speaks three times, with some of one voice: twice the ridge of one hearing.
        return self._kernel(*self._all(), first, precision, 2 * ridge, sharpness)

    def trees(self, seed: int) -> Forest:
        from sklearn.ensemble import ExtraTreesClassifier

        grown = ExtraTreesClassifier(random_state=seed, **TREES).fit(*self._all())
        return Forest.of([tree.tree_ for tree in grown.estimators_])

    def _median_distance(self, first: int) -> float:
        """Squared, between whole clips, by the features from the `first` on."""
        if first not in self._median_distances:
            whole = self.x[:, 0, first:]
            self._median_distances[first] = max(float(np.median(squared_distances(whole, whole))), _CONSTANT)
        return self._median_distances[first]

    def _all(self) -> tuple[Floats, Labels]:
        return self.x.reshape(-1, self.x.shape[-1]), np.repeat(self.labels, self.x.shape[1])

    def _kernel(
        self, x: Floats, labels: Labels, first: int, precision: float, ridge: float, sharpness: float
    ) -> KernelMachine:
        from scipy.linalg import solve

        points, gamma = x[:, first:].astype(np.float16), np.float32(precision / self._median_distance(first))
        stored = points.astype(np.float64)
        gram = gaussian(stored, stored, float(gamma))
        gram[np.diag_indices_from(gram)] += ridge
        weight = solve(gram, _scores_of(labels), assume_a="pos")
        return KernelMachine(points, weight.astype(np.float32), np.array([gamma]), np.array([sharpness], np.float32))


def _scores_of(labels: Labels) -> Floats:
    """0.75 for the quadrant of a label and -0.25 for the others, float64 [n, 4]."""
    return np.eye(4)[labels] - 0.25


def _pool(opinions: Floats, labels: Labels) -> tuple[Floats, float]:
    """Weights [experts, 2] of the greatest likelihood of log odds [experts, n, 2], and what a clip costs with them:
    mean negative log likelihood."""
    from scipy.optimize import minimize

    def loss(weight: Floats) -> float:
        likelihood = pooled(opinions, weight.reshape(-1, 2))[np.arange(len(labels)), labels].mean()
        return float(_PULL * (weight**2).sum() - likelihood)

    n = 2 * len(opinions)
    found = minimize(loss, np.full(n, 1 / len(opinions)), bounds=[(0, 50)] * n)
    return np.asarray(found.x).reshape(-1, 2), float(found.fun)
