"""Teachers: a kernel machine for each dataset, from which the networks learn and which is heard beside them.

On a few hundred clips, kernel ridge regression on a window's plain statistics is hard to beat. The networks are taught
to answer as it does, for its own dataset and for the others' clips, which have no such labels (Hinton, Vinyals & Dean
2015, "Distilling the knowledge in a neural network"; one teacher a dataset as in Kang & Herremans 2025, section 3.4).
What a teacher tells of clips that it was fitted on is always told by another that was fitted without their groups.

Conventions
-----------
statistics
    By block, float32 [n, numbers]: ``embedding`` and ``timbre`` (means over a window's steps) and ``profile`` (of its
    harmony).
kernel
    Mean over blocks of ``exp(-width * |x - y|^2 / numbers)`` on standardised numbers; all blocks weigh the same.

Contents: :class:`Teacher`, :func:`statistics`, :func:`fit_teacher`, :func:`possible`, :func:`group_folds`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray

from muse.recognizer.features.signal import STEP_FEATURES
from muse.recognizer.heads.network import MAX_DEVIATION, Windows

__all__ = ["KernelShape", "Statistics", "Teacher", "fit_teacher", "group_folds", "possible", "statistics"]

Floats = NDArray[np.float32]
Statistics = Mapping[str, Floats]

BLOCKS: Final = (("embedding",), ("embedding", "profile"), ("embedding", "timbre", "profile"))
WIDTHS: Final = (0.3, 0.6)
DECAYS: Final = (0.1, 0.3, 1.0, 2.0)
"""What is tried, on folds of the training clips."""
N_FOLDS: Final = 5
MOST_WINDOWS: Final = 4000
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
class KernelShape:
    """What is chosen for a dataset."""

    blocks: tuple[str, ...]
    width: float
    decay: float


@dataclass(frozen=True)
class Teacher:
    """A fitted kernel machine."""

    shape: KernelShape
    mean: Statistics
    spread: Statistics
    points: Statistics
    """Of the windows that it was fitted on, standardised."""
    weights: Floats
    """[windows, targets]."""
    bias: Floats
    """[targets]."""

    def __call__(self, rows: Statistics) -> Floats:
        """What it tells, float32 [n, targets]."""
        scaled = {name: _scaled(rows[name], self.mean[name], self.spread[name]) for name in self.shape.blocks}
        told = _kernel(scaled, self.points, self.shape) @ self.weights.astype(np.float64) + self.bias
        return np.asarray(told, np.float32)

    def tensors(self) -> dict[str, torch.Tensor]:
        """Arrays by name, points in half precision."""
        found = {"weights": torch.from_numpy(self.weights), "bias": torch.from_numpy(self.bias)}
        for name in self.shape.blocks:
            found[f"{name}.points"] = torch.from_numpy(self.points[name]).half()
            found[f"{name}.mean"] = torch.from_numpy(self.mean[name])
            found[f"{name}.spread"] = torch.from_numpy(self.spread[name])
        return found

    @classmethod
    def load(cls, shape: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> Teacher:
        """What :meth:`tensors` gave, with its shape.

        Raises
        ------
        KeyError
            Something is missing.
        """
        blocks = tuple(shape["blocks"])
        mean, spread, points = (
            {name: tensors[f"{name}.{kind}"].float().numpy() for name in blocks}
            for kind in ("mean", "spread", "points")
        )
        found = KernelShape(blocks, float(shape["width"]), float(shape["decay"]))
        weights, bias = (tensors[name].numpy() for name in ("weights", "bias"))
        return cls(found, mean, spread, points, weights, bias)


def _scaled(x: Floats, mean: Floats, spread: Floats) -> Floats:
    return np.clip((x - mean) / spread, -MAX_DEVIATION, MAX_DEVIATION).astype(np.float32)


def _kernel(x: Statistics, y: Statistics, shape: KernelShape) -> NDArray[np.float64]:
    total = np.zeros((len(x[shape.blocks[0]]), len(y[shape.blocks[0]])))
    for name in shape.blocks:
        one, two = x[name].astype(np.float64), y[name].astype(np.float64)
        squares = (one**2).sum(axis=1)[:, None] + (two**2).sum(axis=1) - 2 * one @ two.T
        total += np.exp(-shape.width * np.maximum(squares, 0) / one.shape[1])
    return total / len(shape.blocks)


@dataclass(frozen=True)
class _Problem:
    """Windows with labels; those of a clip share its weight."""

    points: Statistics
    targets: NDArray[np.float64]
    """[windows, targets]."""
    owner: NDArray[np.int64]
    """Clip of each, [windows]."""

    @property
    def share(self) -> NDArray[np.float64]:
        """Windows of the clip that each belongs to, [windows]."""
        return np.bincount(self.owner)[self.owner].astype(np.float64)

    def only(self, chosen: NDArray[np.bool_]) -> _Problem:
        return _Problem({k: x[chosen] for k, x in self.points.items()}, self.targets[chosen], self.owner[chosen])

    def solved(self, kernel: NDArray[np.float64], decay: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weights and bias of ridge regression in which clips weigh the same."""
        bias = np.average(self.targets, axis=0, weights=1 / self.share)
        weights: NDArray[np.float64] = scipy.linalg.solve(
            kernel + decay * np.diag(self.share), self.targets - bias, assume_a="pos"
        )
        return weights, bias


def fit_teacher(
    windows: Statistics,
    owner: NDArray[np.int64],
    labels: Floats,
    groups: Sequence[str],
    *,
    harmony: bool = True,
    seed: int = 0,
) -> tuple[Teacher, Floats]:
    """Choose a kernel on folds, fit it on all clips.

    Parameters
    ----------
    windows, owner
        Statistics of windows, and which clip each belongs to.
    labels
        Of clips, [clips, targets].
    groups
        Of clips.
    harmony
        The profile may be used.
    seed
        Of the folds.

    Returns
    -------
    (Teacher, float32 [windows, targets])
        The second is what is told of the windows by those that were fitted without their groups.
    """
    kept = np.sort(np.random.default_rng(seed).permutation(len(owner))[:MOST_WINDOWS])
    folds = group_folds(groups, N_FOLDS, seed)[owner]
    mean = {name: x[kept].mean(axis=0) for name, x in windows.items()}
    spread = {name: x[kept].std(axis=0) + np.float32(1e-3) for name, x in windows.items()}
    points = {name: _scaled(x[kept], mean[name], spread[name]) for name, x in windows.items()}
    whole = _Problem(points, labels[owner[kept]].astype(np.float64), owner[kept])
    shape = _chosen(whole, folds[kept], harmony)

    def fitted(part: _Problem) -> Teacher:
        kernel = _kernel(part.points, part.points, shape)
        weights, bias = part.solved(kernel, shape.decay)
        return Teacher(shape, mean, spread, part.points, weights.astype(np.float32), bias.astype(np.float32))

    apart = np.zeros((len(owner), labels.shape[1]), np.float32)
    for i in set(folds.tolist()):
        learnt, mine = folds[kept] != i, folds == i
        teacher = fitted(whole.only(learnt) if learnt.any() else whole)
        apart[mine] = teacher({name: x[mine] for name, x in windows.items()})
    return fitted(whole), apart


def _chosen(whole: _Problem, fold: NDArray[np.int64], harmony: bool) -> KernelShape:
    """The shape with the least error over folds."""
    best, least = KernelShape(BLOCKS[0], WIDTHS[0], DECAYS[-1]), np.inf
    for blocks, width in itertools.product(BLOCKS, WIDTHS):
        if "profile" in blocks and not harmony:
            continue
        kernel = _kernel(whole.points, whole.points, KernelShape(blocks, width, 0))
        errors = np.zeros(len(DECAYS))
        for i in set(fold.tolist()):
            out = fold == i
            if out.all():  # a single group: nothing to choose by
                continue
            learnt = whole.only(~out)
            for k, decay in enumerate(DECAYS):
                weights, bias = learnt.solved(kernel[np.ix_(~out, ~out)], decay)
                wrong = np.square(kernel[np.ix_(out, ~out)] @ weights + bias - whole.targets[out]).sum(axis=1)
                errors[k] += (wrong / whole.share[out]).sum()
        if errors.min() < least:
            best, least = KernelShape(blocks, width, DECAYS[int(errors.argmin())]), float(errors.min())
    return best


def possible(name: str, told: Floats) -> Floats:
    """Into the range of what is told: a probability, or -1..1."""
    if name == "plane":
        return np.clip(told, -1, 1)
    told = np.clip(told, 0.01, 0.99)
    return told / told.sum(axis=1, keepdims=True) if name == "quadrants" else told
