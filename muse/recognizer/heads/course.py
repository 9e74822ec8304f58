"""The course of a piece: how valence and arousal depart from their mean over time.

Networks see half a minute at a time and learn mostly from what differs between pieces; how a piece moves around its own
mean is told better by ridge regression on the features of the last seconds as they depart from the piece's. The curve
is the mean of what the networks tell, a part of their own departures from it, and these.

Contents: :class:`Course`, :func:`fit_course`, :func:`followed`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from muse.checkpoint import Arrays
from muse.recognizer.features.signal import running_mean

if TYPE_CHECKING:
    from muse.training.recognizer.parts import Part

__all__ = ["Course", "fit_course", "followed"]

Floats = NDArray[np.float32]

SCALES: Final = (8, 24)
"""Steps of the past that are averaged: listeners answer to what they have heard, seconds later."""
DECAY: Final = 1.0
"""Of the ridge, for each step that is learnt from."""
NETWORKS: Final = 0.5
"""Share of the networks' own departures that is kept."""


@dataclass(frozen=True)
class Course(Arrays):
    """The fitted regression. It is linear, so what is kept of each step while sound streams by are a few numbers."""

    mean: Floats
    spread: Floats
    """[features], as the mean."""
    weight: Floats
    """[features, scales, valence and arousal]."""

    def seen(self, steps: Floats) -> Floats:
        """What is kept of steps [T, features], float32 [T, scales, 2]."""
        return np.tensordot((steps - self.mean) / self.spread, self.weight, axes=1).astype(np.float32)

    def __call__(self, told: Floats, seen: Floats) -> Floats:
        """The curve [T, 2] from what the networks tell of a piece's steps [T, 2] and what was :meth:`seen` of them."""
        departure = np.sum([running_mean(seen[:, k], n, 0) for k, n in enumerate(SCALES)], axis=0)
        centre = told.mean(axis=0)
        curve = centre + NETWORKS * (told - centre) + departure - departure.mean(axis=0)
        return np.asarray(curve, np.float32)


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


def followed(course: Course | None, part: Part, told: Floats) -> Floats:
    """Curves of windows, [W, T, 2], as the course has them, from the networks' [W, T, 2]."""
    if course is None:
        return told
    steps = part.over_time(part.windows.steps.numpy())
    lines = [course(line, course.seen(x)) for line, x in zip(part.over_time(told), steps, strict=True)]
    return part.in_windows(lines)
