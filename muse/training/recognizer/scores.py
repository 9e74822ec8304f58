"""Scores of predictions for clips, by the kind of their labels.

Conventions
-----------
score
    ``r`` (mean Pearson correlation over the nine of GEMS), ``accuracy`` (four quadrants, and the halves of the plane),
    ``pr_auc`` and ``roc_auc`` (mean over tags), ``r2_valence`` and ``r2_arousal`` (coefficient of determination),
    ``ccc_valence`` and ``ccc_arousal`` (Lin 1989, over all half seconds of all clips), and the same within clips (mean
    over clips).

Contents: :func:`scores`, :func:`curve_scores`, :func:`ranked`, :func:`concordance`, :func:`correlation`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from muse.training.recognizer.parts import Part

__all__ = ["Predictions", "concordance", "correlation", "curve_scores", "ranked", "scores"]

Floats = NDArray[np.float32]
Predictions = dict[str, Floats]
"""Predictions for clips by what they are of: a set of tags, ``plane``, or ``curve`` (of windows' steps)."""


def scores(part: Part, predicted: Predictions, weights: NDArray[np.float64] | None = None) -> dict[str, float]:
    """Scores of predictions for a part's clips, which count as often as their `weights` say [clips]."""
    weights = np.ones(len(part.clips)) if weights is None else weights
    some = weights > 0
    weights = weights[some] / weights.sum()
    found: dict[str, float] = {}
    if part.tags is not None and part.tag_set in predicted:
        found |= _tag_scores(part.tag_set, predicted[part.tag_set][some], part.tags[some], weights)
    if part.plane is not None and "plane" in predicted:
        expected, got = part.plane[some].astype(np.float64), predicted["plane"][some]
        left, all_ = (weights @ np.square(expected - x) for x in (got, weights @ expected))
        found |= dict(zip(("r2_valence", "r2_arousal"), (1 - left / np.maximum(all_, 1e-12)).tolist(), strict=True))
    return found


def _tag_scores(tag_set: str, predicted: Floats, true: Floats, weights: NDArray[np.float64]) -> dict[str, float]:
    if tag_set == "quadrants":
        expected = true.argmax(axis=1)
        found = {"accuracy": float(weights @ (predicted.argmax(axis=1) == expected))}
        for name, rows in (("arousal", (0, 1)), ("valence", (0, 3))):
            high = np.isin(np.arange(4), rows)
            found[f"{name}_accuracy"] = float(weights @ ((predicted @ high > 0.5) == high[expected]))
        return found
    if tag_set == "gems":
        one, two = (x - weights @ x for x in (predicted.astype(np.float64), true.astype(np.float64)))
        size = np.sqrt((weights @ one**2) * (weights @ two**2))
        return {"r": float(((weights @ (one * two)) / np.maximum(size, 1e-12)).mean())}
    pairs = [ranked(predicted[:, k], true[:, k] > 0, weights) for k in range(true.shape[1])]
    known = [pair for pair in pairs if np.isfinite(pair).all()]
    precision, area = np.mean(known, axis=0).tolist() if known else (float("nan"), float("nan"))
    return {"pr_auc": precision, "roc_auc": area}


def ranked(predicted: Floats, true: NDArray[np.bool_], weights: NDArray[np.float64]) -> tuple[float, float]:
    """Average precision and area under the ROC curve; NaN where all or none are true.

    As scikit-learn's ``average_precision_score`` and ``roc_auc_score`` with weights, fast enough for a bootstrap.
    """
    order = np.argsort(-predicted, kind="stable")
    hits, misses = np.cumsum(weights[order] * true[order]), np.cumsum(weights[order] * ~true[order])
    last = np.append(np.flatnonzero(np.diff(predicted[order])), len(order) - 1)  # of each group of equal values
    hits, misses = hits[last], misses[last]
    if hits[-1] <= 0 or misses[-1] <= 0:
        return float("nan"), float("nan")
    recall, wrong = hits / hits[-1], misses / misses[-1]
    precision = float((np.diff(recall, prepend=0) * hits / (hits + misses)).sum())
    between = (recall + np.append(0, recall[:-1])) / 2
    return precision, float((np.diff(wrong, prepend=0) * between).sum())


def curve_scores(part: Part, predicted: Floats) -> dict[str, float]:
    """Of curves of windows [W, T, 2]; steps in several windows count as often."""
    if part.curve is None:
        return {}
    rated = part.curve.numpy()
    known = np.isfinite(rated).all(axis=2) & part.windows.mask.numpy()
    found = {}
    for i, axis in enumerate(("valence", "arousal")):
        one, two = predicted[..., i][known], rated[..., i][known]
        found[f"ccc_{axis}"] = concordance(one, two)
        found[f"rmse_{axis}"] = float(np.sqrt(np.square(one - two).mean()))
        clips = np.broadcast_to(part.owner[:, None], known.shape)[known]
        moving = [clips == k for k in sorted(set(clips.tolist())) if np.ptp(two[clips == k]) > 0]
        for measure, score in (("ccc", concordance), ("r", correlation)):
            within = [score(one[k], two[k]) for k in moving]
            found[f"{measure}_{axis}_within"] = float(np.mean(within)) if within else float("nan")
    return found


def concordance(predicted: NDArray[Any], rated: NDArray[Any]) -> float:
    """Concordance correlation coefficient of two series [n]; 0 where both are constant.

    Lin 1989, "A concordance correlation coefficient to evaluate reproducibility", equation 1.
    """
    predicted, rated = np.asarray(predicted, float), np.asarray(rated, float)
    mean, other = predicted.mean(), rated.mean()
    covariance = ((predicted - mean) * (rated - other)).mean()
    total = predicted.var() + rated.var() + (mean - other) ** 2
    return float(2 * covariance / total) if total > 0 else 0.0


def correlation(predicted: NDArray[Any], rated: NDArray[Any]) -> float:
    """Pearson's correlation of two series [n]; 0 where one is constant."""
    predicted, rated = np.asarray(predicted, float), np.asarray(rated, float)
    return float(np.corrcoef(predicted, rated)[0, 1]) if min(predicted.std(), rated.std()) > 1e-6 else 0.0
