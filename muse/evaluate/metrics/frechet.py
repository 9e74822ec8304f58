"""How far apart are two sets of pieces in an embedding? Fréchet distance, with interval and extrapolation.

Contents: :func:`frechet_distance`, :func:`frechet`.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from muse.errors import InputError

__all__ = ["frechet", "frechet_distance"]

Floats: TypeAlias = NDArray[np.float64]


def frechet_distance(x: NDArray[Any], y: NDArray[Any]) -> float:
    """Squared Fréchet distance of Gaussians fitted to two sets, as FID and FAD report it.

    ``|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^0.5)``: Dowson & Landau, J. Multivariate Analysis 12, 1982; Heusel et al.,
    NeurIPS 2017; Kilgour et al., *Fréchet Audio Distance*, Interspeech 2019.

    Parameters
    ----------
    x, y
        Embeddings [n, width] and [m, width], at least two rows each. Small sets are biased upwards: see
        :func:`frechet`.

    Raises
    ------
    InputError
        The shapes do not fit, or a set has fewer than two rows.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise InputError(f"embeddings {x.shape} and {y.shape} do not fit: give [n, width] of one width, n from 2")
    return _between(_gaussian(x), _gaussian(y))


def _gaussian(x: Floats) -> tuple[Floats, Floats]:
    """Mean [width] and a factor A [min(n, width), width] of the covariance ``A' A``."""
    mean = x.mean(axis=0)
    factor = (x - mean) / np.sqrt(len(x) - 1)
    if len(x) > x.shape[1]:
        values, vectors = np.linalg.eigh(factor.T @ factor)
        factor = np.sqrt(np.clip(values, 0, None))[:, None] * vectors.T
    return mean, factor


def _between(a: tuple[Floats, Floats], b: tuple[Floats, Floats]) -> float:
    (mean_a, factor_a), (mean_b, factor_b) = a, b
    shift = mean_a - mean_b
    # tr((A'A B'B)^0.5) is the sum of the singular values of A B': no root of a matrix that is not symmetric.
    shared = np.linalg.svd(factor_a @ factor_b.T, compute_uv=False).sum()
    return float(max(shift @ shift + (factor_a**2).sum() + (factor_b**2).sum() - 2 * shared, 0.0))


def frechet(
    x: NDArray[Any], reference: NDArray[Any], *, n_groups: int = 10, n_halvings: int = 10, seed: int = 0
) -> dict[str, Any]:
    """Fréchet distance of a set to a reference, and what it would be for a set without end; with intervals.

    Bias falls as 1 / n, so distances lie on a line over 1 / n that meets 0 at the unbiased distance (Chong & Forsyth,
    *Effectively Unbiased FID*, CVPR 2020; for music: Gui et al., *Adapting Fréchet Audio Distance for Generative Music
    Evaluation*, ICASSP 2024). Here the line goes through two points, the whole sets and the mean of their halves, so
    the bias of the reference goes as well: ``2 d(n, m) - d(n / 2, m / 2)``. It takes sets of several times the width:
    where half a set is no larger than the width, too much is taken off.

    Intervals are 95 %, by the jackknife over groups of pieces (Student's t): a bootstrap repeats pieces, which makes a
    set look smaller and its distance larger.

    Parameters
    ----------
    x, reference
        Embeddings [n, width] and [m, width].
    n_groups
        Parts of the set that are left out in turn; fewer where they would have less than four pieces.
    n_halvings
        Ways to halve the sets.

    Returns
    -------
    dict
        ``n``; ``distance`` and ``interval``; ``extrapolated`` and ``extrapolated_interval``. The extrapolated distance
        of equal distributions is around 0 and may be negative. NaN where there are too few: below four pieces
        for the extrapolation, below eight for the intervals.

    Raises
    ------
    InputError
        The shapes do not fit, or a set has fewer than two rows.
    """
    from scipy.stats import t

    x, reference = np.asarray(x, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    distance = frechet_distance(x, reference)
    n = len(x)
    n_groups = min(n_groups, n // 4)
    rng = np.random.default_rng(seed)
    target = _gaussian(reference)

    def halves(rows: Floats) -> list[tuple[Floats, Floats]]:
        order = [rng.permutation(len(rows)) for _ in range(n_halvings)]
        return [_gaussian(rows[half]) for each in order for half in np.array_split(each, 2)]

    their_halves = halves(reference) if len(reference) >= 4 else []

    def both(rows: Floats) -> Floats:
        whole = _between(_gaussian(rows), target)
        if len(rows) < 4 or not their_halves:
            return np.array([whole, np.nan])
        half = np.mean([_between(a, b) for a, b in zip(halves(rows), their_halves, strict=True)])
        return np.array([whole, 2 * whole - half])

    extrapolated, error = float(both(x)[1]), np.full(2, np.nan)
    if n_groups >= 2:
        groups = np.array_split(rng.permutation(n), n_groups)
        without = np.array([both(np.delete(x, group, axis=0)) for group in groups])
        error = np.sqrt((n_groups - 1) * without.var(axis=0)) * float(t.ppf(0.975, n_groups - 1))
    return {
        "n": n,
        "distance": distance,
        "interval": [float(np.maximum(distance - error[0], 0)), float(distance + error[0])],
        "extrapolated": extrapolated,
        "extrapolated_interval": [float(extrapolated - error[1]), float(extrapolated + error[1])],
    }
