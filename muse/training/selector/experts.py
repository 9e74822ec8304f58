"""Fitting of the experts that predict emotion from measured attributes, :mod:`muse.selector.experts`.

Contents: :func:`fit_experts`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from muse.attributes import extract
from muse.errors import InputError
from muse.mapping import EmotionMapper
from muse.score import Score
from muse.selector.experts import AttributeExperts, Forest, predict_plane

__all__ = ["fit_experts"]

Floats = NDArray[np.float64]

TREES: Mapping[str, Any] = {"n_estimators": 200, "min_samples_leaf": 2, "max_features": 0.3}
RIDGE = 30.0
MIN_DEFINED = 0.5
"""Attributes that are defined for fewer of the clips are left out."""
N_FOLDS = 5
"""Parts of the rated music, each predicted by experts that did not learn from it."""


def fit_experts(
    clips: Sequence[Score],
    labels: NDArray[np.int64],
    rated: Sequence[Score],
    ratings: Floats,
    *,
    seed: int = 0,
) -> AttributeExperts:
    """Fit on labelled and on rated music.

    Parameters
    ----------
    clips, labels
        Music with quadrants, 0..3.
    rated, ratings
        Music with listeners' mean valence and arousal in -1..1, [n, 2].
    seed
        Of the trees and of the parts.

    Raises
    ------
    InputError
        A quadrant has no clip.
    """
    missing = [f"Q{k + 1}" for k in range(4) if k not in labels]
    if missing:
        raise InputError(f"no clip is of {', '.join(missing)}: give labelled clips of all four quadrants")
    mapper = EmotionMapper.from_pretrained()
    measured = [extract(score) for score in (*clips, *rated)]
    names, values = measured[0].names, np.stack([one.values[0] for one in measured])
    defined = np.flatnonzero(np.isfinite(values[: len(clips)]).mean(axis=0) >= MIN_DEFINED)
    x = values[:, defined]
    median = np.nanmedian(x[: len(clips)], axis=0).astype(np.float32)
    x = np.where(np.isfinite(x), x, median)
    levels = np.stack([mapper.measured_levels(one) for one in measured[len(clips) :]])
    of_rated = x[len(clips) :]

    order = np.random.default_rng(seed).permutation(len(rated)) % N_FOLDS
    errors = []
    for k in range(N_FOLDS):
        out = order == k
        fitted = _fit_plane(of_rated[~out], levels[~out], ratings[~out], seed)
        errors.append(predict_plane(*fitted, of_rated[out], levels[out]) - ratings[out])

    from sklearn.ensemble import ExtraTreesClassifier

    trees = ExtraTreesClassifier(random_state=seed, **TREES).fit(x[: len(clips)], labels).estimators_
    plane, weight, bias = _fit_plane(of_rated, levels, ratings, seed)
    return AttributeExperts(
        tuple(names[i] for i in defined),
        median,
        Forest.of([tree.tree_ for tree in trees]),
        plane,
        weight,
        bias,
        np.concatenate(errors).std(axis=0).astype(np.float32),
        mapper,
    )


def _fit_plane(x: Floats, levels: Floats, ratings: Floats, seed: int) -> tuple[Forest, NDArray[Any], NDArray[Any]]:
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.linear_model import Ridge

    trees = ExtraTreesRegressor(random_state=seed, **TREES).fit(x, ratings).estimators_
    ridge = Ridge(RIDGE).fit(levels, ratings)
    weight, bias = ridge.coef_.T.astype(np.float32), np.asarray(ridge.intercept_, np.float32)
    return Forest.of([tree.tree_ for tree in trees]), weight, bias
