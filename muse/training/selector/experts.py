"""Fitting of the experts that predict emotion from measured attributes, :mod:`muse.selector.experts`.

Contents: :func:`fit_experts`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from muse.attributes import extract
from muse.hearing.features import hearings
from muse.hearing.forest import Forest
from muse.hearing.quadrants import pooled
from muse.mapping import EmotionMapper
from muse.score import Score
from muse.selector.experts import AttributeExperts, predict_plane
from muse.training.quadrants import fit_stack

__all__ = ["fit_experts"]

Floats = NDArray[np.float64]

TREES: Mapping[str, Any] = {"n_estimators": 200, "min_samples_leaf": 2, "max_features": 0.3}
RIDGE = 30.0
MIN_DEFINED = 0.5
"""Attributes that are defined for fewer of the rated pieces are left out."""
N_FOLDS = 5
"""Parts of the rated music, each predicted by experts that did not learn from it."""


def fit_experts(
    clips: Sequence[Score],
    labels: NDArray[np.int64],
    songs: Sequence[str],
    rated: Sequence[Score],
    ratings: Floats,
    *,
    seed: int = 0,
) -> tuple[AttributeExperts, Floats]:
    """Fit on labelled and on rated music.

    Parameters
    ----------
    clips, labels, songs
        Music with quadrants, 0..3, and the song that each clip is from.
    rated, ratings
        Music with listeners' mean valence and arousal in -1..1, [n, 2].
    seed
        Of the trees and of the parts.

    Returns
    -------
    experts
        Fitted on everything.
    log_quadrants
        Log probabilities of the quadrants of each clip, by experts that did not learn from its song: [n_clips, 4].

    Raises
    ------
    InputError
        A quadrant has no clip, or there are too few songs.
    """
    features = np.stack([hearings(clip) for clip in clips])
    quadrants, opinions = fit_stack(features, labels, np.asarray(songs), seed=seed)
    mapper = EmotionMapper.from_pretrained()
    measured = [extract(score) for score in rated]
    names, values = measured[0].names, np.stack([one.values[0] for one in measured])
    defined = np.flatnonzero(np.isfinite(values).mean(axis=0) >= MIN_DEFINED)
    x = values[:, defined]
    median = np.nanmedian(x, axis=0).astype(np.float32)
    x = np.where(np.isfinite(x), x, median)
    levels = np.stack([mapper.measured_levels(one) for one in measured])

    order = np.random.default_rng(seed).permutation(len(rated)) % N_FOLDS
    errors = []
    for k in range(N_FOLDS):
        out = order == k
        fitted = _fit_plane(x[~out], levels[~out], ratings[~out], seed)
        errors.append(predict_plane(*fitted, x[out], levels[out]) - ratings[out])
    plane, weight, bias = _fit_plane(x, levels, ratings, seed)
    experts = AttributeExperts(
        tuple(names[i] for i in defined),
        median,
        quadrants,
        plane,
        weight,
        bias,
        np.concatenate(errors).std(axis=0).astype(np.float32),
        mapper,
    )
    return experts, pooled(opinions, quadrants.weight)


def _fit_plane(x: Floats, levels: Floats, ratings: Floats, seed: int) -> tuple[Forest, NDArray[Any], NDArray[Any]]:
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.linear_model import Ridge

    trees = ExtraTreesRegressor(random_state=seed, **TREES).fit(x, ratings).estimators_
    ridge = Ridge(RIDGE).fit(levels, ratings)
    weight, bias = ridge.coef_.T.astype(np.float32), np.asarray(ridge.intercept_, np.float32)
    return Forest.of([tree.tree_ for tree in trees]), weight, bias
