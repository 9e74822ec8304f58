"""From means of what is told to what is said of a clip: which tags are named, and how sure the quadrants are.

Fitted on what teachers tell of clips on their held-out folds. That stands for what networks and teachers tell together:
the networks learn to give the same.

Contents: :class:`Calibration`, :func:`calibrate`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from muse.recognizer.heads.network import TAGS

if TYPE_CHECKING:
    from muse.training.recognizer.parts import Part

__all__ = ["Calibration", "calibrate"]

Floats = NDArray[np.float32]

TRUE_SHARE: Final = 1 / 3
"""Of listeners that must have named a tag for it to be true."""


@dataclass(frozen=True)
class Calibration:
    """See the module."""

    thresholds: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """By set of tags: from which value on each tag is named."""
    sharpness: float = 1.0
    """Power of the quadrants' probabilities, the inverse of a temperature (Guo et al. 2017, section 4.2)."""

    def sharpened(self, quadrants: Floats) -> Floats:
        """Probabilities [..., 4]."""
        power = quadrants**self.sharpness
        return np.asarray(power / power.sum(axis=-1, keepdims=True), np.float32)

    def named(self, tags: Mapping[str, float]) -> tuple[str, ...]:
        """Which tags are above their thresholds."""
        needed = {tag: at for name, row in self.thresholds.items() for tag, at in zip(TAGS[name], row, strict=True)}
        return tuple(tag for tag, value in tags.items() if value >= needed.get(tag, 0.5))


def calibrate(parts: Sequence[Part], lessons: Sequence[Mapping[str, torch.Tensor]]) -> Calibration:
    """Thresholds where F1 is best, and the sharpness that makes the true quadrants likeliest.

    Of GEMS a tag is true that a third of the listeners named.
    """
    thresholds, sharpness = {}, 1.0
    for part, lesson in zip(parts, lessons, strict=False):
        if part.tags is None:
            continue
        told = part.of_clips(lesson[part.tag_set].numpy())
        if part.tag_set == "quadrants":
            sharpness = _sharpness(told, part.tags.argmax(axis=1))
        else:
            true = part.tags >= TRUE_SHARE
            thresholds[part.tag_set] = [_best_threshold(one, two) for one, two in zip(told.T, true.T, strict=True)]
    return Calibration(thresholds, sharpness)


def _best_threshold(told: Floats, true: NDArray[np.bool_]) -> float:
    order = np.argsort(-told)
    hits = np.cumsum(true[order])
    f1 = 2 * hits / (np.arange(1, len(told) + 1) + max(int(true.sum()), 1))
    return float(told[order[int(np.argmax(f1))]])


def _sharpness(told: Floats, quadrant: NDArray[np.int64]) -> float:
    def surprise(sharpness: float) -> float:
        sure = Calibration(sharpness=sharpness).sharpened(told)
        return -float(np.log(sure[np.arange(len(sure)), quadrant] + 1e-9).mean())

    return float(minimize_scalar(surprise, bounds=(0.2, 5.0), method="bounded").x)
