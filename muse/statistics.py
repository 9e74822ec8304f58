"""Statistics that several rooms report with: intervals by bootstrap, means of what is defined, rank correlation.

Contents: :func:`bootstrap`, :func:`mean_of_defined`, :func:`mean_with_interval`, :func:`spearman`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from muse.errors import InputError

__all__ = ["bootstrap", "mean_of_defined", "mean_with_interval", "spearman"]


def bootstrap(
    rows: NDArray[Any],
    statistic: Callable[[Any], float],
    *,
    groups: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    n_draws: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """95 % percentile interval of a statistic (Efron 1979).

    Parameters
    ----------
    rows
        Data [n, ...]; the statistic takes any selection of rows.
    statistic
        Rows to one number; draws where it is NaN are left out.
    groups
        Draw these together (clips of one song are not independent) [n].
    strata
        Draw within each of these, so that each keeps its size [n]. Not together with *groups*.

    Returns
    -------
    tuple
        Lower and upper bound; NaN twice without rows.
    """
    rng = np.random.default_rng(seed)
    n = len(rows)
    if n == 0:
        return float("nan"), float("nan")
    if groups is not None and strata is not None:
        raise InputError("give groups or strata to bootstrap, not both")
    if groups is not None:
        _, member = np.unique(np.asarray(groups), return_inverse=True)
        parts = [np.flatnonzero(member == g) for g in range(member.max() + 1)]
        chosen = _drawn(np.full(len(parts), len(parts)), n_draws, rng)
        values = np.array([statistic(rows[np.concatenate([parts[g] for g in draw])]) for draw in chosen])
    else:
        stratum = np.zeros(n, dtype=int) if strata is None else np.unique(np.asarray(strata), return_inverse=True)[1]
        order, sizes = np.argsort(stratum, kind="stable"), np.bincount(stratum)
        first, size = np.repeat(np.cumsum(sizes) - sizes, sizes), np.repeat(sizes, sizes)
        values = np.array([statistic(rows[order[first + draw]]) for draw in _drawn(size, n_draws, rng)])
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return float("nan"), float("nan")
    return float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975))


def _drawn(sizes: NDArray[np.int64], n_draws: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """For each draw whole numbers below `sizes` [n]: many draws at a time, for one at a time is slow, and not all, for
    those of a million rows do not fit into memory."""
    at_once = max(1, 100_000 // len(sizes))
    for done in range(0, n_draws, at_once):
        yield from rng.integers(sizes, size=(min(at_once, n_draws - done), len(sizes)))


def mean_of_defined(values: NDArray[Any]) -> float:
    """Mean of what is finite; NaN where nothing is."""
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def mean_with_interval(values: NDArray[Any], *, n_draws: int = 1000) -> tuple[float, tuple[float, float]]:
    """Mean of what is finite and its 95 % bootstrap interval; NaN without any."""
    values = values[np.isfinite(values)]
    return mean_of_defined(values), bootstrap(values, mean_of_defined, n_draws=n_draws)


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Spearman's rank correlation of the pairs that are finite on both sides, ties sharing their mean rank.

    NaN where fewer than three pairs are left or one side does not vary.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    both = np.isfinite(x) & np.isfinite(y)
    if both.sum() < 3 or np.ptp(x[both]) == 0 or np.ptp(y[both]) == 0:
        return float("nan")
    return float(np.corrcoef(_ranks(x[both]), _ranks(y[both]))[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1, ties sharing their mean rank: SciPy's ``rankdata``, many times as fast for the small samples that
    are drawn by the thousand for an interval."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]
