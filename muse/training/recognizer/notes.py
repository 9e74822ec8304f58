"""Fitting of the rater on notes (:mod:`muse.recognizer.heads.notes`); :mod:`muse.training.quadrants` fits quadrants.

Contents: :func:`fit_rater`.
"""

from __future__ import annotations

import itertools
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve

from muse.hearing.quadrants import KernelMachine, gaussian, squared_distances, standardised
from muse.recognizer.heads.notes import NoteRater
from muse.training.quadrants import folds_of

__all__ = ["fit_rater"]

Floats = NDArray[np.float64]

PRECISIONS: Final = (0.3, 0.7, 1.5)
"""Of the kernel that tells ratings, in inverse medians of the squared distance between pieces."""
RIDGES: Final = (0.5, 1.0, 2.0, 4.0)
N_FOLDS: Final = 5
_CONSTANT: Final = 1e-9


def fit_rater(x: Floats, ratings: Floats, groups: NDArray[Any], *, seed: int = 0) -> tuple[NoteRater, Floats]:
    """Fit on rated scores, and the standard deviation of the error on pieces not learnt from [2].

    Parameters
    ----------
    x
        Hearings [pieces, 3, features].
    ratings
        Valence and arousal, [pieces, 2].
    groups
        Which pieces go together; width and ridge of the kernel are chosen on folds of them.
    """
    fold = folds_of(groups, N_FOLDS, seed)

    def fitted(chosen: NDArray[np.bool_], precision: float, ridge: float) -> NoteRater:
        whole = x[chosen, 0]
        spread = whole.std(axis=0)
        center = np.median(whole, axis=0).astype(np.float32)
        scale = np.where(spread > _CONSTANT, spread, 1.0).astype(np.float32)
        rows = standardised(x[chosen], center, scale)
        median = float(np.median(squared_distances(rows[:, 0], rows[:, 0])))
        gamma, mean = np.float32(precision / max(median, _CONSTANT)), ratings[chosen].mean(axis=0)
        points = rows.reshape(-1, x.shape[-1]).astype(np.float16)
        stored = points.astype(np.float64)
        gram = gaussian(stored, stored, float(gamma))
        gram[np.diag_indices_from(gram)] += ridge
        weight = solve(gram, np.repeat(ratings[chosen] - mean, x.shape[1], axis=0), assume_a="pos")
        kernel = KernelMachine(points, weight.astype(np.float32), np.array([gamma]), np.ones(1, np.float32))
        return NoteRater(center, scale, kernel, mean.astype(np.float32))

    def errors(setting: tuple[float, float]) -> Floats:
        wrong = np.zeros_like(ratings)
        for k in range(N_FOLDS):
            out = fold == k
            wrong[out] = fitted(~out, *setting)(x[out]) - ratings[out]
        return wrong

    best = min(itertools.product(PRECISIONS, RIDGES), key=lambda setting: float((errors(setting) ** 2).sum()))
    return fitted(np.ones(len(x), bool), *best), np.asarray(errors(best).std(axis=0))
