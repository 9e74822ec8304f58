"""Fitting of teachers (:mod:`muse.recognizer.heads.teachers`): a kernel machine for each dataset.

Soft targets of clips that a teacher was fitted on come from another that was fitted without their groups.

Contents: :func:`fit_teacher`, :func:`distil`, :func:`group_folds`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray

from muse.recognizer.heads.teachers import (
    KernelShape,
    Statistics,
    Teacher,
    clip_to_range,
    kernel_matrix,
    standardised,
    statistics,
)
from muse.training.recognizer.config import RecognizerConfig
from muse.training.recognizer.parts import Part

__all__ = ["SoftTargets", "Teachers", "distil", "fit_teacher", "group_folds"]

Floats = NDArray[np.float32]
Teachers = Mapping[str, Sequence[Teacher]]
"""By set of tags or ``plane``; several where several datasets have such labels."""
SoftTargets = Mapping[str, torch.Tensor]
"""Predictions of teachers for a part's windows, by set of tags (probabilities) or ``plane``, [W, targets]."""

BLOCKS: Final = (("embedding",), ("embedding", "profile"), ("embedding", "timbre", "profile"))
WIDTHS: Final = (0.3, 0.6)
DECAYS: Final = (0.1, 0.3, 1.0, 2.0)
"""What is tried, on folds of the training clips."""
N_FOLDS: Final = 5
MOST_WINDOWS: Final = 4000
"""More than these are thinned out: the kernel's matrix has their square."""


def group_folds(groups: Sequence[str], n_folds: int, seed: int = 0) -> NDArray[np.int64]:
    """A fold for every clip, int [n]; a group is never in two. The same groups are always cut in the same way."""
    names = sorted(set(groups))
    order = np.random.default_rng(seed).permutation(len(names)) % n_folds
    fold = dict(zip(names, order.tolist(), strict=True))
    return np.array([fold[group] for group in groups], np.int64)


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
        The second are out-of-fold predictions: of teachers that were fitted without the windows' groups.
    """
    sample = np.sort(np.random.default_rng(seed).permutation(len(owner))[:MOST_WINDOWS])
    folds = group_folds(groups, N_FOLDS, seed)[owner]
    mean = {name: x[sample].mean(axis=0) for name, x in windows.items()}
    spread = {name: x[sample].std(axis=0) + np.float32(1e-3) for name, x in windows.items()}
    points = {name: standardised(x[sample], mean[name], spread[name]) for name, x in windows.items()}
    whole = _Problem(points, labels[owner[sample]].astype(np.float64), owner[sample])
    shape = _chosen(whole, folds[sample], harmony)

    def fitted(part: _Problem) -> Teacher:
        kernel = kernel_matrix(part.points, part.points, shape)
        weights, bias = part.solved(kernel, shape.decay)
        return Teacher(shape, mean, spread, part.points, weights.astype(np.float32), bias.astype(np.float32))

    out_of_fold = np.zeros((len(owner), labels.shape[1]), np.float32)
    for i in set(folds.tolist()):
        learnt, mine = folds[sample] != i, folds == i
        teacher = fitted(whole.only(learnt) if learnt.any() else whole)
        out_of_fold[mine] = teacher({name: x[mine] for name, x in windows.items()})
    return fitted(whole), out_of_fold


def _chosen(whole: _Problem, fold: NDArray[np.int64], harmony: bool) -> KernelShape:
    """The shape with the least error over folds."""
    best, least = KernelShape(BLOCKS[0], WIDTHS[0], DECAYS[-1]), np.inf
    for blocks, width in itertools.product(BLOCKS, WIDTHS):
        if "profile" in blocks and not harmony:
            continue
        kernel = kernel_matrix(whole.points, whole.points, KernelShape(blocks, width, 0))
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


def distil(parts: Sequence[Part], config: RecognizerConfig) -> tuple[Teachers, list[SoftTargets]]:
    """Fit teachers to all parts' labels; return them and their soft targets for each part, out of fold.

    Targets that a part has no labels for are means of the others' teachers.
    """
    windows = [statistics(part.windows) for part in parts]
    predicted: list[dict[str, list[Floats]]] = [{} for _ in parts]
    teachers: dict[str, list[Teacher]] = {}
    for k, part in enumerate(parts):
        for name, labels in part.targets().items():
            teacher, out_of_fold = fit_teacher(windows[k], part.owner, labels, part.groups, harmony=config.harmony)
            teachers.setdefault(name, []).append(teacher)
            for i, other in enumerate(parts):
                if i == k or name not in other.targets():
                    answer = out_of_fold if i == k else teacher(windows[i])
                    predicted[i].setdefault(name, []).append(clip_to_range(name, answer))
    return teachers, [
        {name: torch.from_numpy(np.mean(answers, axis=0)) for name, answers in one.items()} for one in predicted
    ]
