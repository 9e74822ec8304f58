"""Does music follow its controls? Rank correlation of values asked for with values measured.

Contents: :func:`control_correlations`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from muse.errors import InputError
from muse.statistics import bootstrap, spearman

__all__ = ["control_correlations"]


def control_correlations(asked: ArrayLike, measured: ArrayLike, names: Sequence[str]) -> list[dict[str, Any]]:
    """Rank correlation of asked with measured, for every control, over generated pieces.

    Parameters
    ----------
    asked, measured
        Values or buckets [n_pieces, n_controls]; NaN where a control was not asked for or is undefined.
    names
        Of the controls [n_controls].

    Returns
    -------
    list of dict
        Per control, best first: ``name``, ``n`` pairs, ``rho``, and its 95 % interval ``low``, ``high`` from a
        bootstrap over pieces. None instead of NaN.

    Raises
    ------
    InputError
        Shapes do not fit.
    """
    a, m = np.asarray(asked, dtype=float), np.asarray(measured, dtype=float)
    if a.ndim != 2 or a.shape != m.shape or a.shape[1] != len(names):
        raise InputError(
            f"asked {a.shape}, measured {m.shape} and {len(names)} names do not fit; "
            "give two arrays [n_pieces, n_controls] and a name per control"
        )
    rows = []
    for k, name in enumerate(names):
        pair = np.stack([a[:, k], m[:, k]], axis=1)
        pair = pair[np.isfinite(pair).all(axis=1)]
        rho = spearman(pair[:, 0], pair[:, 1])
        low, high = bootstrap(pair, lambda p: spearman(p[:, 0], p[:, 1])) if np.isfinite(rho) else (np.nan, np.nan)
        rows.append({"name": name, "n": len(pair), "rho": _number(rho), "low": _number(low), "high": _number(high)})
    return sorted(rows, key=lambda row: (row["rho"] is None, -(row["rho"] or 0.0)))


def _number(value: float) -> float | None:
    return None if not np.isfinite(value) else round(float(value), 4)
