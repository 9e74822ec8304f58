"""What the sound itself tells of its emotion, by heads that learnt from many soundfonts, players, rooms and codecs.

Teachers (:mod:`muse.recognizer.heads.teachers`) know one rendering of each piece, and fail on every other sound. The
same kernel machines, fitted on the embeddings of pieces as the sound matrix plays them
(:mod:`muse.training.recognizer.sound_matrix`), cannot lean on one synthesizer.

Conventions
-----------
rows
    Statistics of windows, :func:`muse.recognizer.heads.teachers.statistics`.
novelty
    How far a sound lies from all that the head for quadrants learnt from, see
    :meth:`muse.recognizer.heads.teachers.Teacher.novelty`.

Contents: :class:`SoundExpert`. :mod:`muse.training.recognizer.sound` fits it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logit

from muse.checkpoint import under
from muse.hearing.quadrants import SURPRISE
from muse.recognizer.heads.teachers import KernelShape, Statistics, Teacher, clip_to_range

__all__ = ["SoundExpert", "sound_odds"]

Floats = NDArray[np.float64]

BLOCKS: Final = ("embedding", "timbre", "profile")
"""Of statistics, in the order in which kernels have them."""


@dataclass(frozen=True)
class SoundExpert:
    """See the module."""

    quadrants: Teacher
    plane: Teacher

    def __call__(self, rows: Statistics) -> tuple[Floats, Floats, Floats]:
        """Of windows: probabilities of Q1..Q4 [n, 4], valence and arousal in -1..1 [n, 2], and novelty [n]."""
        quadrants = clip_to_range("quadrants", self.quadrants(rows)).astype(float)
        plane = clip_to_range("plane", self.plane(rows)).astype(float)
        return quadrants, plane, self.quadrants.novelty(rows).astype(float)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Arrays by name, to be stored."""
        found: dict[str, NDArray[Any]] = {}
        for name in ("quadrants", "plane"):
            teacher: Teacher = getattr(self, name)
            found |= {f"{name}.{key}": value.numpy() for key, value in teacher.tensors().items()}
            found[f"{name}.width"] = np.array([teacher.shape.width], np.float32)
        return found

    @classmethod
    def load(cls, tensors: Mapping[str, Any]) -> SoundExpert:
        """What :meth:`tensors` gave.

        Raises
        ------
        KeyError, ValueError
            An array is missing or does not fit.
        """
        return cls(*(_teacher(under(tensors, f"{name}."), n) for name, n in (("quadrants", 4), ("plane", 2))))


def sound_odds(quadrants: NDArray[np.floating]) -> Floats:
    """Log odds of high valence and of high arousal [..., 2] by probabilities of Q1..Q4 [..., 4]."""
    p = quadrants.astype(np.float64)
    above = np.stack([p[..., 0] + p[..., 3], p[..., 0] + p[..., 1]], axis=-1) / p.sum(axis=-1, keepdims=True)
    return np.asarray(logit(np.clip(above, SURPRISE, 1 - SURPRISE)))


def _teacher(arrays: Mapping[str, Any], n_targets: int) -> Teacher:
    tensors = {name: torch.as_tensor(np.asarray(value)) for name, value in arrays.items()}
    blocks = tuple(name for name in BLOCKS if f"{name}.points" in tensors)
    shape = KernelShape(blocks, float(tensors["width"]), 0.0)
    teacher = Teacher.load({"blocks": blocks, "width": shape.width, "decay": 0.0}, tensors)
    n = len(teacher.weights)
    fits = "embedding" in blocks and teacher.weights.shape == (n, n_targets) and teacher.bias.shape == (n_targets,)
    for name in blocks:
        points, mean, spread = teacher.points[name], teacher.mean[name], teacher.spread[name]
        fits = fits and points.ndim == 2 and len(points) == n and bool((spread > 0).all())
        fits = fits and mean.shape == spread.shape == points.shape[1:]
    if not fits:
        raise ValueError("the experts on sound are of another version or damaged")
    return teacher
