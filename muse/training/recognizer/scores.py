"""Scores of what a recogniser tells of clips, by the kind of their labels.

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

__all__ = ["Answers", "concordance", "correlation", "curve_scores", "ranked", "scores"]

Floats = NDArray[np.float32]
Answers = dict[str, Floats]
"""What is told of clips by what it is of: a set of tags, ``plane``, or ``curve`` (of windows' steps)."""


def scores(part: Part, told: Answers, weights: NDArray[np.float64] | None = None) -> dict[str, float]:
    """Scores of what is told of a part's clips, which count as often as their `weights` say [clips]."""
    weights = np.ones(len(part.clips)) if weights is None else weights
    some = weights > 0
    weights = weights[some] / weights.sum()
    found: dict[str, float] = {}
    if part.tags is not None and part.tag_set in told:
        found |= _tag_scores(part.tag_set, told[part.tag_set][some], part.tags[some], weights)
    if part.plane is not None and "plane" in told:
        asked, got = part.plane[some].astype(np.float64), told["plane"][some]
        left, all_ = (weights @ np.square(asked - x) for x in (got, weights @ asked))
        found |= dict(zip(("r2_valence", "r2_arousal"), (1 - left / np.maximum(all_, 1e-12)).tolist(), strict=True))
    return found


def _tag_scores(tag_set: str, told: Floats, true: Floats, weights: NDArray[np.float64]) -> dict[str, float]:
    if tag_set == "quadrants":
        asked = true.argmax(axis=1)
        found = {"accuracy": float(weights @ (told.argmax(axis=1) == asked))}
        for name, rows in (("arousal", (0, 1)), ("valence", (0, 3))):
            high = np.isin(np.arange(4), rows)
            found[f"{name}_accuracy"] = float(weights @ ((told @ high > 0.5) == high[asked]))
        return found
    if tag_set == "gems":
        one, two = (x - weights @ x for x in (told.astype(np.float64), true.astype(np.float64)))
        size = np.sqrt((weights @ one**2) * (weights @ two**2))
        return {"r": float(((weights @ (one * two)) / np.maximum(size, 1e-12)).mean())}
    pairs = [ranked(told[:, k], true[:, k] > 0, weights) for k in range(true.shape[1])]
    known = [pair for pair in pairs if np.isfinite(pair).all()]
    precision, area = np.mean(known, axis=0).tolist() if known else (float("nan"), float("nan"))
    return {"pr_auc": precision, "roc_auc": area}


def ranked(told: Floats, true: NDArray[np.bool_], weights: NDArray[np.float64]) -> tuple[float, float]:
    """Average precision and area under the ROC curve; NaN where all or none are true.

    As scikit-learn's ``average_precision_score`` and ``roc_auc_score`` with weights, fast enough for a bootstrap.
    """
    order = np.argsort(-told, kind="stable")
    hits, misses = np.cumsum(weights[order] * true[order]), np.cumsum(weights[order] * ~true[order])
    last = np.append(np.flatnonzero(np.diff(told[order])), len(order) - 1)  # of each group of equal values
    hits, misses = hits[last], misses[last]
    if hits[-1] <= 0 or misses[-1] <= 0:
        return float("nan"), float("nan")
    recall, wrong = hits / hits[-1], misses / misses[-1]
    precision = float((np.diff(recall, prepend=0) * hits / (hits + misses)).sum())
    between = (recall + np.append(0, recall[:-1])) / 2
    return precision, float((np.diff(wrong, prepend=0) * between).sum())


def curve_scores(part: Part, told: Floats) -> dict[str, float]:
    """Of curves told of windows [W, T, 2]; steps that several windows tell count as often."""
    if part.curve is None:
        return {}
    rated = part.curve.numpy()
    known = np.isfinite(rated).all(axis=2) & part.windows.there.numpy()
    found = {}
    for i, axis in enumerate(("valence", "arousal")):
        one, two = told[..., i][known], rated[..., i][known]
        found[f"ccc_{axis}"] = concordance(one, two)
        found[f"rmse_{axis}"] = float(np.sqrt(np.square(one - two).mean()))
        clips = np.broadcast_to(part.owner[:, None], known.shape)[known]
        moving = [clips == k for k in sorted(set(clips.tolist())) if np.ptp(two[clips == k]) > 0]
        for measure, score in (("ccc", concordance), ("r", correlation)):
            within = [score(one[k], two[k]) for k in moving]
            found[f"{measure}_{axis}_within"] = float(np.mean(within)) if within else float("nan")
    return found


def concordance(told: NDArray[Any], rated: NDArray[Any]) -> float:
    """Concordance correlation coefficient of two series [n]; 0 where both are constant.

    Lin 1989, "A concordance correlation coefficient to evaluate reproducibility", equation 1.
    """
    told, rated = np.asarray(told, float), np.asarray(rated, float)
    mean, other = told.mean(), rated.mean()
    covariance = ((told - mean) * (rated - other)).mean()
    total = told.var() + rated.var() + (mean - other) ** 2
    return float(2 * covariance / total) if total > 0 else 0.0


def correlation(told: NDArray[Any], rated: NDArray[Any]) -> float:
    """Pearson's correlation of two series [n]; 0 where one is constant."""
    told, rated = np.asarray(told, float), np.asarray(rated, float)
    return float(np.corrcoef(told, rated)[0, 1]) if min(told.std(), rated.std()) > 1e-6 else 0.0
