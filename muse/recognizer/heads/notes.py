"""What the notes heard in a recording tell of its emotion, whatever it was played by.

The sound of an instrument hides mode and harmony, and differs from one synthesizer, room and codec to another more than
emotions do; notes do not. A recording is transcribed (:mod:`muse.transcription`), and learners that were fitted on
scores hear the notes (:mod:`muse.hearing`). A transcription has no dynamics to speak of, its notes end late or early,
and some are missing: each feature is first replaced by what the score is expected to have where so much is heard
(regression calibration; Carroll, Ruppert, Stefanski & Crainiceanu, *Measurement Error in Nonlinear Models*, 2006,
chapter 4). One that is not heard becomes the same for all pieces, and says nothing.

Conventions
-----------
stretch
    :data:`STRETCH_SEC` of a recording or a little more or less; of several, all count by their length. One with fewer
    than :data:`FEWEST` notes says nothing.
opinion
    Log odds of high valence and of high arousal.

Contents: :class:`NoteExpert`, :func:`stretches`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from muse.checkpoint import under
from muse.hearing.features import feature_names, hearings
from muse.hearing.quadrants import HEARINGS, KernelMachine, QuadrantStack, standardised
from muse.score import Notes, Score, note_array

__all__ = ["FEWEST", "STRETCH_SEC", "NoteExpert", "stretches"]

Floats = NDArray[np.float64]

STRETCH_SEC: Final = 25.0
FEWEST: Final = 8
_ALIKE: Final = ("offset", "slope", "rated")


@dataclass(frozen=True)
class NoteExpert:
    """See the module; :mod:`muse.training.recognizer.notes` fits it."""

    offset: NDArray[Any]
    slope: NDArray[Any]
    """Of the line from a feature of a transcription to that of the score, [features] each."""
    quadrants: QuadrantStack
    """Fitted on scores."""
    ratings: KernelMachine
    """Valence and arousal, as they differ from the mean piece's: weights [m, 2]."""
    rated: NDArray[Any]
    """Valence and arousal of the mean piece, [2]."""

    def __call__(self, heard: Score) -> tuple[Floats, Floats] | None:
        """Of a transcription: opinions of :data:`muse.hearing.quadrants.EXPERTS` [experts, 2], and valence and arousal
        as listeners would rate them, [2]; None where hardly a note is heard."""
        parts = stretches(note_array(heard))
        if not parts:
            return None
        x = self.as_written(np.stack([hearings(notes) for _, notes in parts]))
        weight = np.array([length for length, _ in parts])
        weight /= weight.sum()
        opinions = np.einsum("ena,n->ea", self.quadrants.opinions(x), weight)
        return opinions, weight @ self.rate(x)

    def as_written(self, x: Floats) -> Floats:
        """Features of scores, expected by those of their transcriptions: [..., features]."""
        return self.offset + self.slope * x

    def rate(self, x: Floats) -> Floats:
        """Valence and arousal [n, 2] in -1..1 of the features of scores, hearings [n, 3, features]."""
        rows = standardised(x, self.quadrants.center, self.quadrants.scale).reshape(-1, x.shape[-1])
        each = self.ratings.scores(rows).reshape(*x.shape[:2], 2)
        return np.clip(self.rated + np.einsum("nha,h->na", each, HEARINGS), -1, 1)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Arrays by name, to be stored."""
        parts = {"quadrants": self.quadrants.tensors(), "ratings": vars(self.ratings)}
        found = {name: getattr(self, name) for name in _ALIKE}
        return found | {f"{name}.{key}": value for name, part in parts.items() for key, value in part.items()}

    @classmethod
    def load(cls, tensors: Mapping[str, Any]) -> NoteExpert:
        """The expert that was stored.

        Raises
        ------
        KeyError, ValueError
            An array is missing or does not fit.
        """
        arrays = {name: np.asarray(value) for name, value in tensors.items()}
        ratings = under(arrays, "ratings.")
        found = cls(
            arrays["offset"],
            arrays["slope"],
            QuadrantStack.of(under(arrays, "quadrants.")),
            KernelMachine(**{name: ratings[name] for name in KernelMachine.__dataclass_fields__}),
            arrays["rated"],
        )
        n = len(feature_names())
        shapes = {"offset": (n,), "slope": (n,), "rated": (2,)}
        fits = all(arrays[name].shape == shape for name, shape in shapes.items())
        if not (fits and found.quadrants.is_sound(n) and found.ratings.is_sound(n, 2)):
            raise ValueError("the expert on notes is of another version or damaged")
        return found


def stretches(notes: Notes) -> list[tuple[float, Notes]]:
    """Seconds and notes of a recording's stretches, those with hardly a note left out."""
    if not len(notes):
        return []
    onset = notes["onset_sec"]
    last = float(onset.max()) + 1e-3
    n = max(round(last / STRETCH_SEC), 1)
    borders = np.linspace(0, last, n + 1)
    parts = [notes[(onset >= low) & (onset < high)] for low, high in pairwise(borders)]
    return [(last / n, part) for part in parts if len(part) >= FEWEST]
