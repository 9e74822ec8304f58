"""Music or not: keeps the recogniser from being sure of the emotion of rain, of a siren or of a voice that reads.

A kernel machine (least squares on a Gaussian kernel; Suykens & Vandewalle, Neural Processing Letters 1999) that learnt
from music against sounds that are none. It hears two things at once: the mean embedding of a window, which tells what a
sound is like among those that the encoder knows, and how the sound moves
(:mod:`muse.recognizer.features.steadiness`). Either alone takes what it has never heard for music more often: a siren
is near to synthesizers in the embedding, and a drum moves like a hammer.

The gate lies in a folder of its own in the recogniser's, for it is fitted alone and to one encoder.

Contents: :class:`MusicGate`, fitted by :mod:`muse.training.recognizer.gate`; :data:`GATE_FOLDER`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from muse.checkpoint import Settings, load_tensors, save_tensors
from muse.errors import InputError
from muse.files import write_json
from muse.hearing.quadrants import gaussian
from muse.recognizer.features.steadiness import FIGURES, steadiness

__all__ = ["FARTHEST", "GATE_FOLDER", "MusicGate"]

Floats = NDArray[np.float32]

GATE_FOLDER: Final = "gate"
"""In the folder of a recogniser."""
MODEL_TYPE: Final = "muse-gate"
FARTHEST: Final = 3.0
"""Standard deviations of music at which an input is cut."""
PIECE_STEPS: Final = 20
"""Ten seconds."""


@dataclass(frozen=True)
class MusicGate:
    """The fitted machine; its inputs are the axes of the embedding, then the figures."""

    axes: NDArray[Any]
    """Principal axes of the embedding of music, [numbers, axes]."""
    center: NDArray[Any]
    """Mean of every input over music, [inputs]."""
    spread: NDArray[Any]
    """Its standard deviation, [inputs]."""
    points: NDArray[Any]
    """Inputs of the takes that it learnt from, standardised, [takes, inputs]."""
    weight: NDArray[Any]
    """Of each of them, [takes]."""
    precision: NDArray[Any]
    """Of the kernel, [1]."""
    odds: NDArray[Any]
    """Log odds of music where nothing is near, and what they grow by with the machine's output, [2]."""

    def __call__(self, embedding: Floats, figures: Floats) -> Floats:
        """Probability that it is music, float32 [n], of mean embeddings [n, numbers] and figures [n, figures]."""
        return np.asarray(expit(self.odds[0] + self.odds[1] * self.output(embedding, figures)), np.float32)

    def hear(self, embedding: Floats, pitches: Floats) -> float:
        """Probability that a stretch of sound is music: the mean over pieces as long as those that it learnt from.

        Parameters
        ----------
        embedding
            Of every step, [T, numbers].
        pitches
            The pitch spectrum, see :func:`~muse.recognizer.features.signal.semitones`, [T * frames, pitches].
        """
        n = max(round(len(embedding) / PIECE_STEPS), 1)
        means = np.stack([piece.mean(axis=0) for piece in np.array_split(embedding, n)])
        figures = np.stack([steadiness(piece) for piece in np.array_split(pitches, n)])
        return float(self(means, figures).mean())

    def output(self, embedding: Floats, figures: Floats) -> NDArray[np.float64]:
        """What the machine says, about 0 of other sound to 1 of music, [n]."""
        x = standardised(embedding, figures, self.axes, self.center, self.spread)
        return np.asarray(gaussian(x, self.points.astype(np.float64), float(self.precision[0])) @ self.weight)

    @classmethod
    def read(cls, folder: Path, encoder: str) -> MusicGate | None:
        """The gate in a recogniser's folder; None where there is none.

        Raises
        ------
        InputError
            It is damaged, or was fitted to another encoder or to other figures of a sound.
        """
        folder = folder / GATE_FOLDER
        if not folder.exists():
            return None
        settings = Settings.read(folder / "config.json")
        settings.expect("model_type", MODEL_TYPE)
        if settings.values.get("encoder") != encoder or settings.texts("figures") != FIGURES:
            raise InputError(
                f"{folder / 'config.json'} is of another encoder or of other figures of a sound than this version has: "
                "fit it again with muse train gate"
            )
        tensors = load_tensors(folder, "np")
        names = [field.name for field in fields(cls)]
        if set(tensors) != set(names):
            raise InputError(f"{folder}: the arrays are {', '.join(tensors)}, not {', '.join(names)}: get it again")
        gate = cls(**tensors)
        if not gate._is_sound():
            raise InputError(f"{folder}: the arrays do not fit each other or are no finite numbers: get it again")
        return gate

    def _is_sound(self) -> bool:
        n, inputs = len(self.points), len(self.center)
        n_axes = inputs - len(FIGURES)
        shapes = {
            "center": (inputs,), "spread": (inputs,), "points": (n, inputs),
            "weight": (n,), "precision": (1,), "odds": (2,),
        }  # fmt: skip
        fits = n > 0 and self.axes.ndim == 2 and self.axes.shape[1] == n_axes
        fits = fits and all(getattr(self, name).shape == shape for name, shape in shapes.items())
        return bool(fits and all(np.isfinite(one).all() for one in vars(self).values()) and (self.spread > 0).all())

    def write(self, folder: Path, encoder: str) -> None:
        """Into a recogniser's folder."""
        folder = folder / GATE_FOLDER
        save_tensors(vars(self), folder)
        write_json({"model_type": MODEL_TYPE, "encoder": encoder, "figures": list(FIGURES)}, folder / "config.json")


def standardised(
    embedding: Floats, figures: Floats, axes: NDArray[Any], center: NDArray[Any], spread: NDArray[Any]
) -> NDArray[np.float64]:
    """Inputs [n, inputs] in standard deviations of music from its mean, cut at :data:`FARTHEST`."""
    x = np.hstack([embedding @ axes, figures]).astype(np.float64)
    return np.clip((x - center) / spread, -FARTHEST, FARTHEST)
