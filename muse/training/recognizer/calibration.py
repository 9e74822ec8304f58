"""Fitting of the calibration (:mod:`muse.recognizer.heads.calibration`) to soft targets of clips.

Contents: :func:`calibrate`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from muse.recognizer.heads.calibration import Calibration
from muse.training.recognizer.parts import Part

__all__ = ["calibrate"]

Floats = NDArray[np.float32]

TRUE_SHARE: Final = 1 / 3
"""Of listeners that must have named a tag for it to be true."""


def calibrate(parts: Sequence[Part], soft_targets: Sequence[Mapping[str, torch.Tensor]]) -> Calibration:
    """Thresholds where F1 is best, and the sharpness that makes the true quadrants likeliest.

    Of GEMS a tag is true that a third of the listeners named.
    """
    thresholds, sharpness = {}, 1.0
    for part, soft in zip(parts, soft_targets, strict=False):
        if part.tags is None:
            continue
        predicted = part.of_clips(soft[part.tag_set].numpy())
        if part.tag_set == "quadrants":
            sharpness = _sharpness(predicted, part.tags.argmax(axis=1))
        else:
            true = part.tags >= TRUE_SHARE
            thresholds[part.tag_set] = [_best_threshold(one, two) for one, two in zip(predicted.T, true.T, strict=True)]
    return Calibration(thresholds, sharpness)


def _best_threshold(predicted: Floats, true: NDArray[np.bool_]) -> float:
    order = np.argsort(-predicted)
    hits = np.cumsum(true[order])
    f1 = 2 * hits / (np.arange(1, len(predicted) + 1) + max(int(true.sum()), 1))
    return float(predicted[order[int(np.argmax(f1))]])


def _sharpness(predicted: Floats, quadrant: NDArray[np.int64]) -> float:
    def surprise(sharpness: float) -> float:
        sure = Calibration(sharpness=sharpness).sharpened(predicted)
        return -float(np.log(sure[np.arange(len(sure)), quadrant] + 1e-9).mean())

    return float(minimize_scalar(surprise, bounds=(0.2, 5.0), method="bounded").x)
