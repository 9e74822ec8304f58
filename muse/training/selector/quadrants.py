"""Fitting of the stack that tells quadrants from plain features, and its measure by nested cross-validation.

Contents: :func:`fit_stack`, :func:`nested`, :func:`folds_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from muse.errors import InputError
from muse.selector.forest import Forest
from muse.selector.quadrants import (
    EXPERTS,
    SURPRISE,
    KernelMachine,
    QuadrantStack,
    gaussian,
    pooled,
    squared_distances,
    standardised,
)

__all__ = ["fit_stack", "folds_of", "nested"]

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

TREES: Mapping[str, Any] = {"n_estimators": 100, "min_samples_leaf": 2, "max_features": 0.1}
PRECISIONS = (0.7, 1.2)
"""Of the kernel, in inverse medians of the squared distance between clips."""
RIDGES = (0.35, 0.7)
N_FOLDS = 5
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


def fit_stack(x: Floats, labels: Labels, groups: NDArray[Any], *, seed: int = 0) -> tuple[QuadrantStack, Floats]:
    """Fit on labelled clips.

    Width and ridge of the kernel machine, and the weights of the pool, are those of the greatest likelihood in a
    cross-validation by groups.

    Parameters
    ----------
    x
        Features [n, features], finite.
    labels
        Quadrants 0..3 [n].
    groups
        Songs [n]: clips of one song are never on both sides of a split.
    seed
        Of the folds and of the trees.

    Returns
    -------
    stack
        Fitted on all clips.
    opinions
        Of the experts on clips that they did not learn from, [experts, n, 4].

    Raises
    ------
    InputError
        A quadrant has no clip, or there are too few songs.
    """
    missing = [f"Q{k + 1}" for k in range(4) if k not in labels]
    if missing:
        raise InputError(f"no clip is of {', '.join(missing)}: give labelled clips of all four quadrants")
    fold = folds_of(groups, seed=seed)

    def held_out(predict: Callable[[Floats, Labels, Floats], Floats]) -> Floats:
        found = np.zeros((len(labels), 4))
        for k in range(N_FOLDS):
            out = fold == k
            center, scale = _scaling(x[~out])
            inside, outside = (standardised(part, center, scale) for part in (x[~out], x[out]))
            found[out] = predict(inside, labels[~out], outside)
        return found

    settings = [(precision, ridge) for precision in PRECISIONS for ridge in RIDGES]
    tried = [held_out(lambda a, y, b, s=one: _kernel(a, y, *s).scores(b)) for one in settings]  # type: ignore[misc]
    best = int(np.argmin([_pool(scores[None], labels)[1] for scores in tried]))
    trees = held_out(lambda a, y, b: _trees(a, y, seed).mean(b))
    opinions = np.stack([tried[best], np.log(trees + SURPRISE)])
    center, scale = _scaling(x)
    scaled = standardised(x, center, scale)
    weight = _pool(opinions, labels)[0].astype(np.float32)
    stack = QuadrantStack(center, scale, _kernel(scaled, labels, *settings[best]), _trees(scaled, labels, seed), weight)
    return stack, opinions


def nested(
    x: Floats, labels: Labels, groups: NDArray[Any], *, seed: int = 0,
    progress: Callable[[float, float], None] | None = None,
) -> dict[str, Floats]:  # fmt: skip
    """Log probabilities of clips, each by a stack that never saw its song and chose everything without it.

    Returns
    -------
    dict
        ``stack`` and every one of the experts alone: float64 [n, 4].
    """
    fold = folds_of(groups, seed=seed)
    found = {name: np.zeros((len(labels), 4)) for name in ("stack", *EXPERTS)}
    for k in range(N_FOLDS):
        out = fold == k
        stack, inner = fit_stack(x[~out], labels[~out], groups[~out], seed=seed + 1 + k)
        opinions = stack.opinions(x[out])
        found["stack"][out] = pooled(opinions, stack.weight)
        for i, name in enumerate(EXPERTS):
            alone = _pool(inner[i : i + 1], labels[~out])[0]
            found[name][out] = pooled(opinions[i : i + 1], alone)
        if progress:
            progress(k + 1, N_FOLDS)
    return found


def _scaling(x: Floats) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    center, scale = np.median(x, axis=0), x.std(axis=0)
    return center.astype(np.float32), np.where(scale > 1e-9, scale, 1.0).astype(np.float32)


def _kernel(x: Floats, labels: Labels, precision: float, ridge: float) -> KernelMachine:
    from scipy.linalg import solve

    gamma = np.float32(precision / np.median(squared_distances(x, x)))
    gram = gaussian(x, x, float(gamma))
    gram[np.diag_indices_from(gram)] += ridge
    weight = solve(gram, np.eye(4)[labels] - 0.25, assume_a="pos")
    return KernelMachine(x.astype(np.float32), weight.astype(np.float32), np.array([gamma]))


def _trees(x: Floats, labels: Labels, seed: int) -> Forest:
    from sklearn.ensemble import ExtraTreesClassifier

    return Forest.of(
        [tree.tree_ for tree in ExtraTreesClassifier(random_state=seed, **TREES).fit(x, labels).estimators_]
    )


def _pool(opinions: Floats, labels: Labels) -> tuple[Floats, float]:
    """Weights of the greatest likelihood, and what a clip costs with them (mean negative log likelihood)."""
    from scipy.optimize import minimize

    def loss(weight: Floats) -> float:
        likelihood = pooled(opinions, weight)[np.arange(len(labels)), labels].mean()
        return float(_PULL * (weight**2).sum() - likelihood)

    found = minimize(loss, np.ones(len(opinions)), bounds=[(0, 50)] * len(opinions))
    return np.asarray(found.x), float(found.fun)
