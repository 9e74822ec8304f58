"""Fitting of the experts that predict emotion from measured attributes, :mod:`muse.selector.experts`.

Contents: :func:`fit_experts`, :func:`rated_across_folds`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from muse.attributes import extract
from muse.hearing.features import harmony_count, hearings
from muse.hearing.forest import Forest
from muse.hearing.quadrants import pooled
from muse.mapping import EmotionMapper
from muse.score import Score
from muse.selector.experts import AttributeExperts, predict_plane
from muse.training.quadrants import fit_stack

__all__ = ["fit_experts", "rated_across_folds"]

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
    quadrants, opinions = fit_stack(features, labels, np.asarray(songs), harmony=harmony_count(), seed=seed)
    measured = _Measured.of(rated)
    order = np.random.default_rng(seed).permutation(len(rated)) % N_FOLDS
    errors = measured.across_folds(ratings, order, seed) - ratings
    plane, weight, bias = _fit_plane(measured.x, measured.levels, ratings, seed)
    experts = AttributeExperts(
        measured.names,
        measured.median,
        quadrants,
        plane,
        weight,
        bias,
        errors.std(axis=0).astype(np.float32),
        ratings.mean(axis=0).astype(np.float32),
        measured.mapper,
    )
    return experts, pooled(opinions, quadrants.weight)


def rated_across_folds(rated: Sequence[Score], ratings: Floats, fold: NDArray[np.int64], *, seed: int = 0) -> Floats:
    """Valence and arousal of rated pieces [n, 2], each by experts that did not learn from its fold [n]."""
    return _Measured.of(rated).across_folds(ratings, fold, seed)


@dataclass(frozen=True)
class _Measured:
    """Attributes of rated pieces."""

    names: tuple[str, ...]
    x: Floats
    """[n, columns]."""
    median: NDArray[np.float32]
    levels: Floats
    """Of the attributes that the mapping uses, [n, levels]."""
    mapper: EmotionMapper

    @classmethod
    def of(cls, rated: Sequence[Score]) -> _Measured:
        """Measure pieces; attributes that are defined for too few of them are left out, gaps get the median."""
        mapper = EmotionMapper.from_pretrained()
        measured = [extract(score) for score in rated]
        names, values = measured[0].names, np.stack([one.values[0] for one in measured])
        defined = np.flatnonzero(np.isfinite(values).mean(axis=0) >= MIN_DEFINED)
        x = values[:, defined]
        median = np.nanmedian(x, axis=0).astype(np.float32)
        levels = np.stack([mapper.measured_levels(one) for one in measured])
        return cls(tuple(names[i] for i in defined), np.where(np.isfinite(x), x, median), median, levels, mapper)

    def across_folds(self, ratings: Floats, fold: NDArray[np.int64], seed: int) -> Floats:
        """Valence and arousal [n, 2], each predicted by what was fitted without its fold."""
        found = np.zeros_like(ratings)
        for k in np.unique(fold):
            out = fold == k
            fitted = _fit_plane(self.x[~out], self.levels[~out], ratings[~out], seed)
            found[out] = predict_plane(*fitted, self.x[out], self.levels[out])
        return found


def _fit_plane(x: Floats, levels: Floats, ratings: Floats, seed: int) -> tuple[Forest, NDArray[Any], NDArray[Any]]:
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.linear_model import Ridge

    trees = ExtraTreesRegressor(random_state=seed, **TREES).fit(x, ratings).estimators_
    ridge = Ridge(RIDGE).fit(levels, ratings)
    weight, bias = ridge.coef_.T.astype(np.float32), np.asarray(ridge.intercept_, np.float32)
    return Forest.of([tree.tree_ for tree in trees]), weight, bias
