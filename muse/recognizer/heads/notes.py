"""What the notes heard in a recording tell of its emotion, whatever it was played by.

The sound of an instrument hides mode and harmony, and differs from one synthesizer, room and codec to another more than
emotions do; notes do not. A recording is transcribed (:mod:`muse.transcription`), and learners that were fitted on
scores, and on what is heard of them under many conditions, hear the notes (:mod:`muse.hearing`). A transcription has
no dynamics to speak of, its notes end late or early, and some are missing: learners that have met transcriptions lean
on what survives.

Conventions
-----------
stretch
    :data:`STRETCH_SEC` of a recording or a little more or less; of several, all count by their length. One with fewer
    than :data:`FEWEST` notes says nothing.
opinion
    Log odds of high valence and of high arousal.

Contents: :class:`NoteExpert`, :class:`NoteRater`, :func:`stretches`.
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

__all__ = ["FEWEST", "ONSET", "STRETCH_SEC", "NoteExpert", "NoteRater", "stretches"]

Floats = NDArray[np.float64]

STRETCH_SEC: Final = 25.0
FEWEST: Final = 8
ONSET: Final = 0.2
"""Probability from which the transcriber is to take a note for one. At its own 0.5 a fifth of the notes is missed in
worn sound, most of them where many are played, which is just what arousal hangs on (chosen among 0.5, 0.35 and 0.2 on
44 takes of the sound matrix)."""


@dataclass(frozen=True)
class NoteRater:
    """Valence and arousal as listeners rate them, by a kernel machine on the features of scores."""

    center: NDArray[Any]
    """Median of each feature, [features]."""
    scale: NDArray[Any]
    """Its standard deviation, [features]."""
    kernel: KernelMachine
    """How much a piece differs from the mean one: weights [m, 2]."""
    mean: NDArray[Any]
    """Valence and arousal of the mean piece, [2]."""

    def __call__(self, x: Floats) -> Floats:
        """Valence and arousal in -1..1 [n, 2] of hearings [n, 3, features]."""
        rows = standardised(x, self.center, self.scale).reshape(-1, x.shape[-1])
        each = self.kernel.scores(rows).reshape(*x.shape[:2], 2)
        return np.clip(self.mean + np.einsum("nha,h->na", each, HEARINGS), -1, 1)

    def is_sound(self, n_columns: int) -> bool:
        """Whether everything fits together."""
        shapes = {"center": (n_columns,), "scale": (n_columns,), "mean": (2,)}
        fits = all(getattr(self, name).shape == shape for name, shape in shapes.items())
        return fits and bool((self.scale > 0).all()) and self.kernel.is_sound(n_columns, 2)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Arrays by name, to be stored."""
        found = {name: getattr(self, name) for name in ("center", "scale", "mean")}
        return found | {f"kernel.{name}": value for name, value in vars(self.kernel).items()}

    @classmethod
    def of(cls, tensors: Mapping[str, NDArray[Any]]) -> NoteRater:
        """What was stored; KeyError where an array is missing."""
        machine = KernelMachine.of(under(tensors, "kernel."))
        return cls(tensors["center"], tensors["scale"], machine, tensors["mean"])


@dataclass(frozen=True)
class NoteExpert:
    """See the module; :mod:`muse.training.recognizer.notes` fits it."""

    quadrants: QuadrantStack
    rater: NoteRater

    def __call__(self, heard: Score) -> tuple[Floats, Floats] | None:
        """Of a transcription: opinions of :data:`muse.hearing.quadrants.EXPERTS` [experts, 2], and valence and arousal
        as listeners would rate them, [2]; None where hardly a note is heard."""
        parts = stretches(note_array(heard))
        if not parts:
            return None
        x = np.stack([hearings(notes) for _, notes in parts])
        weight = np.array([length for length, _ in parts])
        weight /= weight.sum()
        return np.einsum("ena,n->ea", self.quadrants.opinions(x), weight), weight @ self.rater(x)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Arrays by name, to be stored."""
        parts = {"quadrants": self.quadrants.tensors(), "rater": self.rater.tensors()}
        return {f"{name}.{key}": value for name, part in parts.items() for key, value in part.items()}

    @classmethod
    def load(cls, tensors: Mapping[str, Any]) -> NoteExpert:
        """The expert that was stored.

        Raises
        ------
        KeyError, ValueError
            An array is missing or does not fit.
        """
        arrays = {name: np.asarray(value) for name, value in tensors.items()}
        stack, rater = QuadrantStack.of(under(arrays, "quadrants.")), NoteRater.of(under(arrays, "rater."))
        n = len(feature_names())
        if not (stack.is_sound(n) and rater.is_sound(n)):
            raise ValueError("the experts on notes are of another version or damaged")
        return cls(stack, rater)


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
