"""Fitting of the course (:mod:`muse.recognizer.heads.course`) to clips that were rated over time.

Contents: :func:`fit_course`, :func:`apply_course`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from muse.recognizer.features.signal import running_mean
from muse.recognizer.heads.course import SCALES, Course
from muse.training.recognizer.parts import Part

__all__ = ["apply_course", "fit_course"]

Floats = NDArray[np.float32]

DECAY: Final = 1.0
"""Of the ridge, for each step that is learnt from."""


def fit_course(parts: Sequence[Part]) -> Course | None:
    """Fit on the clips that have a curve; None where there are none."""
    pieces = []
    for part in parts:
        if part.curve is not None:
            steps, curves = part.over_time(part.windows.steps.numpy()), part.over_time(part.curve.numpy())
            pieces += [(x, y) for x, y in zip(steps, curves, strict=True) if np.isfinite(y).all(axis=1).sum() > 1]
    if not pieces:
        return None
    everything = np.concatenate([x for x, _ in pieces])
    mean, spread = everything.mean(axis=0), everything.std(axis=0) + np.float32(1e-3)
    n = everything.shape[1] * len(SCALES)
    products, answers, n_rows = np.zeros((n, n)), np.zeros((n, 2)), 0
    for features, curve in pieces:
        scaled = (features - mean) / spread
        past = np.stack([running_mean(scaled, n_past, 0) for n_past in SCALES], axis=2).reshape(-1, n)
        rated = np.isfinite(curve).all(axis=1)
        x, y = (past - past.mean(axis=0))[rated], (curve[rated] - curve[rated].mean(axis=0)).astype(np.float64)
        products += x.T @ x
        answers += x.T @ y
        n_rows += len(x)
    weight = np.linalg.solve(products + DECAY * n_rows * np.eye(n), answers)
    return Course(mean, spread, weight.reshape(-1, len(SCALES), 2).astype(np.float32))


def apply_course(course: Course | None, part: Part, predicted: Floats) -> Floats:
    """Curves of windows, [W, T, 2], as the course has them, from the networks' [W, T, 2]."""
    if course is None:
        return predicted
    steps = part.over_time(part.windows.steps.numpy())
    lines = [course(line, course.project(x)) for line, x in zip(part.over_time(predicted), steps, strict=True)]
    return part.in_windows(lines)
