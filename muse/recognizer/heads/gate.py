"""Music or not: keeps the recogniser from being sure of the emotion of rain, or of a voice that reads.

A logistic regression on the mean embedding of a window, learnt from the datasets' music against sounds that are none:
noise of several kinds, made here, and recordings that are given (speech).

Contents: :class:`MusicGate`. :mod:`muse.training.recognizer.gate` fits it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from muse.checkpoint import Arrays

__all__ = ["MusicGate"]

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class MusicGate(Arrays):
    """The fitted regression."""

    mean: Floats
    spread: Floats
    weight: Floats
    """[numbers], as the two before."""
    bias: Floats
    """[1]."""

    def __call__(self, embedding: Floats) -> Floats:
        """Probability that it is music, float32 [n], of mean embeddings [n, numbers]."""
        return np.asarray(expit((embedding - self.mean) / self.spread @ self.weight + self.bias), np.float32)
