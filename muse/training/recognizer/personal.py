"""What all listeners share, learnt from many single ones; and how well a little of a rating adapts to the rest.

Conventions
-----------
task
    One listener on one piece; see :mod:`muse.recognizer.heads.personal`.
told
    Curves of recognisers that did not learn from the piece, as it will be with new music.

Contents: :class:`Tasks`, :func:`tasks_of`, :func:`fit_personal`, :func:`evaluate_personal`, :func:`concordance`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from muse.corpora.recordings import ListenerCurve
from muse.recognizer.heads.personal import (
    N_COMPONENTS,
    Affine,
    Heard,
    Listener,
    PersonalModel,
    curve_on_steps,
    fit_affine,
)
from muse.recognizer.heads.teachers import group_folds
from muse.training.recognizer.parts import Part

__all__ = ["Tasks", "concordance", "correlation", "evaluate_personal", "fit_personal", "tasks_of"]

Floats = NDArray[np.float32]
Scores = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""RMSE, Pearson correlation and concordance, [2, listeners] each."""

SUPPORT: Final = 0.25
"""Share of a listener's curve that is known."""
N_STEPS: Final = 600
N_SIMULATED: Final = 5
"""Listeners for each piece."""


@dataclass(frozen=True)
class Tasks:
    """Pieces with what was told of them and what each listener said."""

    heard: Mapping[str, Heard]
    ratings: Mapping[str, Floats]
    """[T, 2, listeners]; NaN where not rated."""
    groups: Mapping[str, str]

    def only(self, names: Sequence[str]) -> Tasks:
        """Some of the pieces."""
        return Tasks(
            {name: self.heard[name] for name in names},
            {name: self.ratings[name] for name in names},
            {name: self.groups[name] for name in names},
        )


def tasks_of(part: Part, told: Floats, curves: Sequence[ListenerCurve]) -> Tasks:
    """Tasks of a dataset.

    Parameters
    ----------
    part
        Its clips.
    told
        Curves of windows, [W, T, 2].
    curves
        Of single listeners.
    """
    steps, lines = part.over_time(part.windows.steps.numpy()), part.over_time(told)
    by_clip: dict[str, list[Floats]] = defaultdict(list)
    for one in curves:
        by_clip[one.clip].append(one.curve)
    heard, ratings, groups = {}, {}, {}
    for clip, features, line in zip(part.clips, steps, lines, strict=True):
        if clip.name in by_clip:
            heard[clip.name] = Heard(features, line)
            ratings[clip.name] = np.stack([curve_on_steps(curve, len(line)) for curve in by_clip[clip.name]], axis=2)
            groups[clip.name] = clip.group
    return Tasks(heard, ratings, groups)


def fit_personal(
    tasks: Tasks,
    *,
    n_steps: int = N_STEPS,
    rate: float = 3e-3,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> PersonalModel:
    """Learn what all listeners share.

    Parameters
    ----------
    tasks
        Listeners on pieces.
    n_steps
        Of the optimiser; each takes four pieces with all their listeners.
    rate
        Of learning.
    seed
        Of order and weights.
    progress
        Called with the share that is done.
    """
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    heard, ratings = tasks.heard, tasks.ratings
    names = sorted(heard)
    model = PersonalModel(heard[names[0]].steps.shape[1])
    _fit_basis(model, [heard[name].steps for name in names])
    pieces = {name: (torch.from_numpy(heard[name].steps), torch.from_numpy(heard[name].curve)) for name in names}
    truth = {name: torch.from_numpy(ratings[name]) for name in names}
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=n_steps, pct_start=0.1)
    model.train()
    for step in range(n_steps):
        losses = []
        for name in random.choice(names, size=min(4, len(names)), replace=False):
            rated = truth[name]
            first = int(len(rated) * random.uniform(0.1, 0.5))
            known = rated.clone()
            known[first:] = torch.nan
            told, variance = model((), (), pieces[name], known)
            query = rated[first:]
            there = torch.isfinite(query)
            error = (told[first:] - query)[there].square()
            spread = variance[first:, :, None].expand_as(query)[there]
            losses.append(error.mean() + 0.02 * (error.detach() / spread + spread.log()).mean())
        optimizer.zero_grad()
        torch.stack(losses).mean().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if progress is not None:
            progress((step + 1) / n_steps)
    return model.eval()


def _fit_basis(model: PersonalModel, steps: Sequence[Floats]) -> None:
    """Principal components of the standardised features, scaled to unit variance."""
    x = np.concatenate([rows[::4] for rows in steps]).astype(np.float64)
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-3
    _, size, axes = np.linalg.svd((x - mean) / spread, full_matrices=False)
    n = min(N_COMPONENTS, int((size > 1e-6 * size[0]).sum()))
    basis = axes[:n].T / (size[:n] / np.sqrt(len(x))) / spread[:, None]
    model.mean.copy_(torch.from_numpy(mean))
    model.basis[:, :n] = torch.from_numpy(basis)


# ----------------------------------------------------------------------------------------------------------- evaluation


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

    names = sorted(tasks.heard)
    fold = dict(zip(names, group_folds([tasks.groups[name] for name in names], n_folds).tolist(), strict=True))
    found: dict[str, dict[str, Scores]] = defaultdict(dict)
    simulated: list[_Recovered] = []
    for i in range(n_folds):
        held = [name for name in names if fold[name] == i]
        model = fit_personal(tasks.only([name for name in names if fold[name] != i]), n_steps=n_steps, seed=i)
        for name in held:
            for method, scores in _compared(model, tasks.heard[name], tasks.ratings[name]).items():
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
                "interval": _interval(gains),
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


def _interval(gains: Sequence[NDArray[np.float64]], n_draws: int = 2000) -> list[float]:
    sums, counts = np.array([np.nansum(x) for x in gains]), np.array([np.isfinite(x).sum() for x in gains])
    rows = np.random.default_rng(0).integers(len(gains), size=(n_draws, len(gains)))
    drawn = sums[rows].sum(axis=1) / counts[rows].sum(axis=1)
    return [float(value) for value in np.percentile(drawn, [2.5, 97.5])]


def _summed(pieces: Mapping[str, Scores]) -> dict[str, Any]:
    """Means over tasks, by axis."""
    whole = [np.concatenate([scores[k] for scores in pieces.values()], axis=1) for k in range(3)]
    return {
        axis: {name: float(np.nanmean(x[i])) for name, x in zip(("rmse", "pearson", "ccc"), whole, strict=True)}
        for i, axis in enumerate(("valence", "arousal"))
    }


def _compared(model: PersonalModel, heard: Heard, rated: Floats) -> dict[str, Scores]:
    """Scores on the rest, by method."""
    first = max(int(len(rated) * SUPPORT), 1)
    known = rated.copy()
    known[first:] = np.nan
    plain = np.repeat(heard.curve[..., None], rated.shape[2], axis=2)
    with torch.inference_mode():
        pair = (torch.from_numpy(heard.steps), torch.from_numpy(heard.curve))
        personal = model((), (), pair, torch.from_numpy(known))[0].numpy()
    affine = [fit_affine([heard.curve], [known[..., k]])(heard.curve) for k in range(rated.shape[2])]
    told = {
        "unpersonalised": plain,
        "constant offset": plain + np.nanmean(known[:first] - plain[:first], axis=0),
        "affine, shrunk": np.stack(affine, axis=2),
        "personal": personal,
    }
    return {method: _scores(values[first:], rated[first:]) for method, values in told.items()}


def _scores(told: Floats, rated: Floats) -> Scores:
    rmse, pearson, ccc = (np.full(rated.shape[1:], np.nan) for _ in range(3))
    for axis, k in np.ndindex(*rated.shape[1:]):
        known = np.isfinite(rated[:, axis, k])
        one, two = told[known, axis, k], rated[known, axis, k]
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

    What they hear is the recogniser's curve with a little noise: this tests the method, not the curve.
    """
    random = np.random.default_rng(seed)
    names = sorted(tasks.heard)
    found = []
    for k, name in enumerate(names):
        heard, other = tasks.heard[name], tasks.heard[names[k - 1]]
        for _ in range(N_SIMULATED):
            bias, scale = random.normal(0, 0.25, 2).tolist(), random.uniform(0.5, 1.5, 2).tolist()
            true = Affine((bias[0], bias[1]), (scale[0], scale[1]), int(random.integers(0, 7)))
            rated = (true(heard.curve) + random.normal(0, 0.03, heard.curve.shape)).astype(np.float32)
            # A simulated listener has no taste beside the affine one, and little noise: a wide prior.
            got = fit_affine([heard.curve], [rated], bias_spread=1.0, scale_spread=1.0, noise=0.05, correlated=1.0)
            personal, _ = model.adapted(other, Listener(((heard, rated),)))
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
