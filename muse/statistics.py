"""Statistics that several rooms report with: intervals by bootstrap.

Contents: :func:`bootstrap`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from muse.errors import InputError

__all__ = ["bootstrap"]


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
        draws = (np.concatenate([parts[g] for g in rng.integers(len(parts), size=len(parts))]) for _ in range(n_draws))
    else:
        stratum = np.zeros(n, dtype=int) if strata is None else np.unique(np.asarray(strata), return_inverse=True)[1]
        cells = [np.flatnonzero(stratum == s) for s in range(stratum.max() + 1)]
        draws = (np.concatenate([c[rng.integers(len(c), size=len(c))] for c in cells]) for _ in range(n_draws))
    values = np.array([statistic(rows[draw]) for draw in draws])
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return float("nan"), float("nan")
    return float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975))
