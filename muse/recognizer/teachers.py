"""Teachers: one kernel machine for each dataset, from which the network learns beside the labels.

On a few hundred clips, kernel ridge regression on a window's plain statistics is hard to beat; the network is taught to
answer as it does, for its own dataset and for the others' clips, which have no such labels (Hinton, Vinyals & Dean
2015, "Distilling the knowledge in a neural network"; one teacher a dataset as in Kang & Herremans 2025, section 3.4).
What a teacher tells of clips that it was fitted on is always told by another that was fitted without their groups.

Conventions
-----------
statistics
    By block, float32 [n, numbers]: ``embedding`` and ``timbre`` (means over a window's steps) and ``profile`` (of its
    harmony).
kernel
    Mean over blocks of ``exp(-width * |x - y|^2 / numbers)`` on standardised numbers; all blocks weigh the same.

Contents: :class:`Teacher`, :func:`statistics`, :func:`fit_teacher`, :func:`group_folds`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from muse.recognizer.network import MAX_DEVIATION, Windows
from muse.recognizer.signal import STEP_FEATURES

__all__ = ["Statistics", "Teacher", "fit_teacher", "group_folds", "statistics"]

Floats = NDArray[np.float32]
Statistics = Mapping[str, Floats]

BLOCKS: Final = (("embedding",), ("embedding", "profile"), ("embedding", "timbre", "profile"))
WIDTHS: Final = (0.1, 0.3, 0.6)
DECAYS: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
"""What is tried, on folds of the training clips."""
N_FOLDS: Final = 5
MOST_CLIPS: Final = 4000
"""More than these are thinned out: the kernel's matrix has their square."""


def statistics(windows: Windows) -> dict[str, Floats]:
    """Of every window."""
    there = windows.there[..., None].float()
    mean = ((windows.steps * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)).numpy()
    n = mean.shape[1] - len(STEP_FEATURES)
    return {"embedding": mean[:, :n], "timbre": mean[:, n:], "profile": windows.profile.numpy()}


def group_folds(groups: Sequence[str], n_folds: int, seed: int = 0) -> NDArray[np.int64]:
    """A fold for every clip, int [n]; a group is never in two. The same groups are always cut in the same way."""
    names = sorted(set(groups))
    order = np.random.default_rng(seed).permutation(len(names)) % n_folds
    fold = dict(zip(names, order.tolist(), strict=True))
    return np.array([fold[group] for group in groups], np.int64)


@dataclass(frozen=True)
class _Shape:
    blocks: tuple[str, ...]
    width: float
    decay: float


@dataclass(frozen=True)
class Teacher:
    """A fitted kernel machine."""

    shape: _Shape
    mean: Statistics
    spread: Statistics
    points: Statistics
    """Of the clips that it was fitted on, standardised."""
    weights: NDArray[np.float64]
    """[clips, targets]."""
    bias: NDArray[np.float64]
    """[targets]."""

    def __call__(self, rows: Statistics) -> Floats:
        """What it tells, float32 [n, targets]."""
        scaled = {name: _scaled(rows[name], self.mean[name], self.spread[name]) for name in self.shape.blocks}
        told = _kernel(scaled, self.points, self.shape) @ self.weights + self.bias
        return np.asarray(told, np.float32)


def _scaled(x: Floats, mean: Floats, spread: Floats) -> Floats:
    return np.clip((x - mean) / spread, -MAX_DEVIATION, MAX_DEVIATION).astype(np.float32)


def _kernel(x: Statistics, y: Statistics, shape: _Shape) -> NDArray[np.float64]:
    total = np.zeros((len(x[shape.blocks[0]]), len(y[shape.blocks[0]])))
    for name in shape.blocks:
        one, two = x[name].astype(np.float64), y[name].astype(np.float64)
        squares = (one**2).sum(axis=1)[:, None] + (two**2).sum(axis=1) - 2 * one @ two.T
        total += np.exp(-shape.width * np.maximum(squares, 0) / one.shape[1])
    return total / len(shape.blocks)


def _solved(kernel: NDArray[np.float64], targets: NDArray[np.float64], decay: float) -> NDArray[np.float64]:
    solved: NDArray[np.float64] = scipy.linalg.solve(
        kernel + decay * np.eye(len(kernel)), targets, assume_a="pos", overwrite_a=True
    )
    return solved


def fit_teacher(
    rows: Statistics,
    targets: Floats,
    groups: Sequence[str],
    windows: Statistics,
    owner: NDArray[np.int64],
    *,
    harmony: bool = True,
    seed: int = 0,
) -> tuple[Teacher, Floats]:
    """Choose a kernel on folds, fit it on all clips.

    Parameters
    ----------
    rows
        Statistics of clips.
    targets
        Labels, [clips, targets].
    groups
        Of the clips.
    windows, owner
        Statistics of the same clips' windows, and which clip each belongs to.
    harmony
        The profile may be used.
    seed
        Of the folds.

    Returns
    -------
    (Teacher, float32 [windows, targets])
        The second is what is told of the windows by those that were fitted without their groups.
    """
    kept = np.sort(np.random.default_rng(seed).permutation(len(targets))[:MOST_CLIPS])
    folds = group_folds(groups, N_FOLDS, seed)
    mean = {name: x[kept].mean(axis=0) for name, x in rows.items()}
    spread = {name: x[kept].std(axis=0) + 1e-3 for name, x in rows.items()}
    points = {name: _scaled(x[kept], mean[name], spread[name]) for name, x in rows.items()}
    y, fold = targets[kept].astype(np.float64), folds[kept]
    best, least = _Shape(BLOCKS[0], WIDTHS[0], DECAYS[-1]), np.inf
    for blocks, width in itertools.product(BLOCKS, WIDTHS):
        if "profile" in blocks and not harmony:
            continue
        kernel = _kernel(points, points, _Shape(blocks, width, 0))
        for decay in DECAYS:
            error = 0.0
            for i in set(fold.tolist()):
                out = fold == i
                if out.all():  # a single group: nothing to choose by
                    continue
                bias = y[~out].mean(axis=0)
                weights = _solved(kernel[np.ix_(~out, ~out)], y[~out] - bias, decay)
                error += float(np.square(kernel[np.ix_(out, ~out)] @ weights + bias - y[out]).sum())
            if error < least:
                best, least = _Shape(blocks, width, decay), error

    def fitted(chosen: NDArray[np.bool_]) -> Teacher:
        inner = {name: points[name][chosen] for name in best.blocks}
        bias = y[chosen].mean(axis=0)
        weights = _solved(_kernel(inner, inner, best), y[chosen] - bias, best.decay)
        return Teacher(best, mean, spread, inner, weights, bias)

    apart = np.zeros((len(owner), targets.shape[1]), np.float32)
    for i in set(folds.tolist()):
        chosen, mine = fold != i, folds[owner] == i
        teacher = fitted(chosen if chosen.any() else np.ones(len(kept), bool))
        apart[mine] = teacher({name: x[mine] for name, x in windows.items()})
    return fitted(np.ones(len(kept), bool)), apart
