"""What an encoder is: sound becomes a row of numbers for every half second.

Conventions
-----------
samples
    float32 [n], one channel, at the encoder's ``sample_rate``.
step
    Half a second; step ``i`` of the result is about ``i * 0.5 .. (i + 1) * 0.5`` seconds.

Contents: :class:`Encoder`; :data:`DEFAULT_ENCODER`, :data:`MARGIN_STEPS`. Another encoder is another file here, and a
line in :mod:`muse.recognizer.encoders.load`.
"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["DEFAULT_ENCODER", "MARGIN_STEPS", "Encoder"]

Floats = NDArray[np.float32]

DEFAULT_ENCODER: Final = "musicnn"
MARGIN_STEPS: Final = 8
"""Context on either side of a stretch of sound: four seconds. Of these MusiCNN needs 1.5 s for half a window and 1.3 s
for a frame's convolutions."""


class Encoder(Protocol):
    """What the recogniser asks of an encoder."""

    name: str
    """Where it came from: of the shipped ones the name, else a folder or a repository."""
    sample_rate: int
    width: int

    def encode(self, samples: Floats) -> Floats:
        """Numbers of every step, float32 [ceil(n / (sample_rate / 2)), width]."""
        ...
