"""How well a little of a listener's rating adapts the recogniser to the rest of it.

Contents: :func:`evaluate_personal`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from muse.recognizer.heads.personal import Listener, PersonalModel, RecognizedPiece
from muse.statistics import bootstrap
from muse.training.recognizer.affine import Affine, fit_affine
from muse.training.recognizer.personal import N_STEPS, Tasks, fit_personal
from muse.training.recognizer.scores import concordance, correlation
from muse.training.recognizer.teachers import group_folds

__all__ = ["evaluate_personal"]

Floats = NDArray[np.float32]
Scores = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""RMSE, Pearson correlation and concordance, [2, listeners] each."""

SUPPORT: Final = 0.25
"""Share of a listener's curve that is known."""
N_SIMULATED: Final = 5
"""Listeners for each piece."""


def evaluate_personal(
    tasks: Tasks, *, n_folds: int = 5, n_steps: int = N_STEPS, progress: Callable[[float], None] | None = None
) -> dict[str, Any]:
    """Adapt to the first quarter of each listener's curve, compare on the rest, on folds of pieces.

    Returns
    -------
    dict
        ``methods``: by method and axis the means over tasks of RMSE, Pearson correlation and CCC on the rest.
        ``personal_against``: by method how much lower the RMSE of the personal model is, mean over tasks with its 95 %
        interval (bootstrap over pieces) and the p value of Wilcoxon's signed rank test on the pieces' means.
        ``simulated``: listeners of known bias, scale and lag, see :func:`_simulated`.
    """
    from scipy.stats import wilcoxon

    names = sorted(tasks.pieces)
    fold = dict(zip(names, group_folds([tasks.groups[name] for name in names], n_folds).tolist(), strict=True))
    found: dict[str, dict[str, Scores]] = defaultdict(dict)
    simulated: list[_Recovered] = []
    for i in range(n_folds):
        held = [name for name in names if fold[name] == i]
        model = fit_personal(tasks.only([name for name in names if fold[name] != i]), n_steps=n_steps, seed=i)
        for name in held:
            for method, scores in _compared(model, tasks.pieces[name], tasks.ratings[name]).items():
                found[method][name] = scores
        simulated += _simulated(model, tasks.only(held), i)
        if progress is not None:
            progress((i + 1) / n_folds)
    against = {}
    for method in found:
        if method != "personal":
            gains = [(found[method][name][0] - found["personal"][name][0]).mean(axis=0) for name in names]
            pieces = np.array([np.nanmean(gain) for gain in gains])
            against[method] = {
                "lower_by": float(np.nanmean(np.concatenate(gains))),
                "interval": list(_interval(gains)),
                "p": float(wilcoxon(pieces).pvalue),
                "pieces_better": float((pieces > 0).mean()),
            }
    return {
        "pieces": len(names),
        "tasks": int(sum(tasks.ratings[name].shape[2] for name in names)),
        "methods": {method: _summed(pieces) for method, pieces in found.items()},
        "personal_against": against,
        "simulated": _recovery(simulated),
    }


def _interval(gains: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """Of the mean over listeners where pieces are drawn."""
    pieces = np.array([[np.nansum(x), np.isfinite(x).sum()] for x in gains])
    return bootstrap(pieces, lambda rows: float(rows[:, 0].sum() / rows[:, 1].sum()), n_draws=2000)


def _summed(pieces: Mapping[str, Scores]) -> dict[str, Any]:
    """Means over tasks, by axis."""
    whole = [np.concatenate([scores[k] for scores in pieces.values()], axis=1) for k in range(3)]
    return {
        axis: {name: float(np.nanmean(x[i])) for name, x in zip(("rmse", "pearson", "ccc"), whole, strict=True)}
        for i, axis in enumerate(("valence", "arousal"))
    }


def _compared(model: PersonalModel, piece: RecognizedPiece, rated: Floats) -> dict[str, Scores]:
    """Scores on the rest, by method."""
    first = max(int(len(rated) * SUPPORT), 1)
    known = rated.copy()
    known[first:] = np.nan
    plain = np.repeat(piece.curve[..., None], rated.shape[2], axis=2)
    with torch.inference_mode():
        pair = (torch.from_numpy(piece.steps), torch.from_numpy(piece.curve))
        personal = model((), (), pair, torch.from_numpy(known))[0].numpy()
    affine = [fit_affine([piece.curve], [known[..., k]])(piece.curve) for k in range(rated.shape[2])]
    predicted = {
        "unpersonalised": plain,
        "constant offset": plain + np.nanmean(known[:first] - plain[:first], axis=0),
        "affine, shrunk": np.stack(affine, axis=2),
        "personal": personal,
    }
    return {method: _scores(values[first:], rated[first:]) for method, values in predicted.items()}


def _scores(predicted: Floats, rated: Floats) -> Scores:
    rmse, pearson, ccc = (np.full(rated.shape[1:], np.nan) for _ in range(3))
    for axis, k in np.ndindex(*rated.shape[1:]):
        known = np.isfinite(rated[:, axis, k])
        one, two = predicted[known, axis, k], rated[known, axis, k]
        if len(two) < 4:
            continue
        rmse[axis, k] = np.sqrt(np.square(one - two, dtype=float).mean())
        ccc[axis, k] = concordance(one, two)
        pearson[axis, k] = correlation(one, two)
    return rmse, pearson, ccc


@dataclass(frozen=True)
class _Recovered:
    true: Affine
    found: Affine
    errors: tuple[float, float, float]
    """RMSE on another piece: unpersonalised, with the affine listener, with the personal model."""


def _simulated(model: PersonalModel, tasks: Tasks, seed: int) -> list[_Recovered]:
    """Listeners with a bias, a scale and a lag of our choice rate one piece; they are recovered from that rating alone.

    Their ratings start from the recogniser's curve, with a little noise: this tests the method, not the curve.
    """
    random = np.random.default_rng(seed)
    names = sorted(tasks.pieces)
    found = []
    for k, name in enumerate(names):
        piece, other = tasks.pieces[name], tasks.pieces[names[k - 1]]
        for _ in range(N_SIMULATED):
            bias, scale = random.normal(0, 0.25, 2).tolist(), random.uniform(0.5, 1.5, 2).tolist()
            true = Affine((bias[0], bias[1]), (scale[0], scale[1]), int(random.integers(0, 7)))
            rated = (true(piece.curve) + random.normal(0, 0.03, piece.curve.shape)).astype(np.float32)
            # A simulated listener has no taste beside the affine one, and little noise: a wide prior.
            got = fit_affine([piece.curve], [rated], bias_spread=1.0, scale_spread=1.0, noise=0.05, correlated=1.0)
            personal, _ = model.adapt(other, Listener(((piece, rated),)))
            ways = (other.curve, got(other.curve), personal)
            plain, affine, learnt = (float(np.sqrt(np.square(way - true(other.curve)).mean())) for way in ways)
            found.append(_Recovered(true, got, (plain, affine, learnt)))
    return found


def _recovery(found: Sequence[_Recovered]) -> dict[str, Any]:
    """Correlation and mean absolute error of what was recovered, and errors on another piece."""
    summary: dict[str, Any] = {"listeners": len(found)}
    for name in ("bias", "scale", "lag"):
        true, got = (
            np.array([getattr(listener, name) for listener in side], float).ravel()
            for side in ([one.true for one in found], [one.found for one in found])
        )
        summary[name] = {"r": float(np.corrcoef(true, got)[0, 1]), "mean_error": float(np.abs(true - got).mean())}
    errors = np.array([one.errors for one in found]).mean(axis=0).tolist()
    summary["rmse_on_another_piece"] = dict(zip(("unpersonalised", "affine", "personal"), errors, strict=True))
    return summary
