"""Fitting of teachers (:mod:`muse.recognizer.heads.teachers`): a kernel machine for each dataset.

What a teacher tells of clips that it was fitted on is always told by another that was fitted without their groups.

Contents: :func:`fit_teacher`, :func:`teach`, :func:`group_folds`.
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
    kernel_matrix,
    possible,
    standardised,
    statistics,
)
from muse.training.recognizer.config import RecognizerConfig
from muse.training.recognizer.parts import Part

__all__ = ["Lesson", "Teachers", "fit_teacher", "group_folds", "teach"]

Floats = NDArray[np.float32]
Teachers = Mapping[str, Sequence[Teacher]]
"""By set of tags or ``plane``; several where several datasets have such labels."""
Lesson = Mapping[str, torch.Tensor]
"""What teachers tell of a part's windows, by set of tags (probabilities) or ``plane``, [W, targets]."""

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
        The second is what is told of the windows by those that were fitted without their groups.
    """
    kept = np.sort(np.random.default_rng(seed).permutation(len(owner))[:MOST_WINDOWS])
    folds = group_folds(groups, N_FOLDS, seed)[owner]
    mean = {name: x[kept].mean(axis=0) for name, x in windows.items()}
    spread = {name: x[kept].std(axis=0) + np.float32(1e-3) for name, x in windows.items()}
    points = {name: standardised(x[kept], mean[name], spread[name]) for name, x in windows.items()}
    whole = _Problem(points, labels[owner[kept]].astype(np.float64), owner[kept])
    shape = _chosen(whole, folds[kept], harmony)

    def fitted(part: _Problem) -> Teacher:
        kernel = kernel_matrix(part.points, part.points, shape)
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


def teach(parts: Sequence[Part], config: RecognizerConfig) -> tuple[Teachers, list[Lesson]]:
    """Teachers of all parts' labels, and what they tell of each part; of clips that one was fitted on, another does.

    Of what a part has no labels for, the mean of the others' teachers.
    """
    windows = [statistics(part.windows) for part in parts]
    told: list[dict[str, list[Floats]]] = [{} for _ in parts]
    teachers: dict[str, list[Teacher]] = {}
    for k, part in enumerate(parts):
        for name, labels in part.targets().items():
            teacher, apart = fit_teacher(windows[k], part.owner, labels, part.groups, harmony=config.harmony)
            teachers.setdefault(name, []).append(teacher)
            for i, other in enumerate(parts):
                if i == k or name not in other.targets():
                    answer = apart if i == k else teacher(windows[i])
                    told[i].setdefault(name, []).append(possible(name, answer))
    return teachers, [
        {name: torch.from_numpy(np.mean(answers, axis=0)) for name, answers in one.items()} for one in told
    ]
