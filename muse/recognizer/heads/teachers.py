"""Teachers: a kernel machine for each dataset, from which the networks are distilled and which predicts beside them.

On a few hundred clips, kernel ridge regression on a window's plain statistics is hard to beat. The networks are trained
to predict the same, for its own dataset and for the others' clips, which have no such labels (Hinton, Vinyals & Dean
2015, "Distilling the knowledge in a neural network"; one teacher a dataset as in Kang & Herremans 2025, section 3.4).
Soft targets of clips that a teacher was fitted on come from another that was fitted without their groups.

Conventions
-----------
statistics
    By block, float32 [n, numbers]: ``embedding`` and ``timbre`` (means over a window's steps) and ``profile`` (of its
    harmony).
kernel
    Mean over blocks of ``exp(-width * |x - y|^2 / numbers)`` on standardised numbers; all blocks weigh the same.

Contents: :class:`Teacher`, :class:`KernelShape`, :func:`statistics`, :func:`standardised`, :func:`kernel_matrix`,
:func:`clip_to_range`. :mod:`muse.training.recognizer.teachers` fits them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from muse.recognizer.features.signal import STEP_FEATURES
from muse.recognizer.heads.network import MAX_DEVIATION, Windows

__all__ = ["KernelShape", "Statistics", "Teacher", "clip_to_range", "kernel_matrix", "standardised", "statistics"]

Floats = NDArray[np.float32]
Statistics = Mapping[str, Floats]


def statistics(windows: Windows) -> dict[str, Floats]:
    """Of every window."""
    mask = windows.mask[..., None].float()
    mean = ((windows.steps * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)).numpy()
    n = mean.shape[1] - len(STEP_FEATURES)
    return {"embedding": mean[:, :n], "timbre": mean[:, n:], "profile": windows.profile.numpy()}


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
        """Predictions, float32 [n, targets]."""
        scaled = {name: standardised(rows[name], self.mean[name], self.spread[name]) for name in self.shape.blocks}
        predicted = kernel_matrix(scaled, self.points, self.shape) @ self.weights.astype(np.float64) + self.bias
        return np.asarray(predicted, np.float32)

    def novelty(self, rows: Statistics) -> Floats:
        """Mean squared difference of the embedding from that of the most similar sound that it was fitted on, in the
        variances of that sound: float32 [n]."""
        scaled = standardised(rows["embedding"], self.mean["embedding"], self.spread["embedding"])
        return np.asarray(_squares(scaled, self.points["embedding"]).min(axis=1) / scaled.shape[1], np.float32)

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


def standardised(x: Floats, mean: Floats, spread: Floats) -> Floats:
    """In standard deviations from the mean, at most :data:`~muse.recognizer.heads.network.MAX_DEVIATION`."""
    return np.clip((x - mean) / spread, -MAX_DEVIATION, MAX_DEVIATION).astype(np.float32)


def kernel_matrix(x: Statistics, y: Statistics, shape: KernelShape) -> NDArray[np.float64]:
    """Float [n, m] of standardised statistics of n and m windows."""
    total = np.zeros((len(x[shape.blocks[0]]), len(y[shape.blocks[0]])))
    for name in shape.blocks:
        total += np.exp(-shape.width * _squares(x[name], y[name]) / x[name].shape[1])
    return total / len(shape.blocks)


def _squares(x: Floats, y: Floats) -> NDArray[np.float64]:
    """Squared distances between rows, [n, m]."""
    one, two = x.astype(np.float64), y.astype(np.float64)
    return np.asarray(np.maximum((one**2).sum(axis=1)[:, None] + (two**2).sum(axis=1) - 2 * one @ two.T, 0))


def clip_to_range(name: str, predicted: Floats) -> Floats:
    """Predictions brought into their range: probabilities, or -1..1."""
    if name == "plane":
        return np.clip(predicted, -1, 1)
    predicted = np.clip(predicted, 0.01, 0.99)
    return predicted / predicted.sum(axis=1, keepdims=True) if name == "quadrants" else predicted
