"""Which tags of a clip are named, and how sure its quadrants are, from the mean predictions.

Fitted on the teachers' predictions for held-out folds. These stand for those of networks and teachers together: the
networks are trained to give the same.

Contents: :class:`Calibration`. :mod:`muse.training.recognizer.calibration` fits it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from muse.recognizer.heads.network import TAGS

__all__ = ["Calibration"]

Floats = NDArray[np.float32]


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
