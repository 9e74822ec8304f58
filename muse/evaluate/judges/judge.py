"""What every judge is: music in, probabilities of the quadrants or valence and arousal out.

Conventions
-----------
music
    A score, a MIDI path or ``muse.score.note_array``. Judges read the pitched notes: onset, duration, pitch, velocity.
quadrants
    1..4 as integers; columns of probabilities in that order. Q1 +v+a, Q2 -v+a, Q3 -v-a, Q4 +v-a.
valence, arousal
    In [-1, 1]: ``p1 + p4 - p2 - p3`` and ``p1 + p2 - p3 - p4``.
no notes
    A score without pitched notes has no emotion to judge: all probabilities are 0.25.

Contents: :class:`JudgeLike`, :class:`Judge`, :func:`valence_arousal`, :func:`pitched_notes`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from muse.errors import InputError
from muse.score import DRUMS, Score, note_array, read_score

__all__ = ["Floats", "Judge", "JudgeLike", "Music", "Notes", "pitched_notes", "valence_arousal"]

Notes: TypeAlias = NDArray[np.void]
Floats: TypeAlias = NDArray[np.float64]
Music: TypeAlias = "Score | Notes | str | Path"


class JudgeLike(Protocol):
    """What every judge can do, whatever it learnt from."""

    name: str

    def predict_proba(self, music: Sequence[Music]) -> Floats:
        """Probability of Q1..Q4: float64 [n, 4]."""

    def predict_va(self, music: Sequence[Music]) -> Floats:
        """Valence and arousal in [-1, 1]: float64 [n, 2]."""


class Judge(ABC):
    """What both judges share: music in, probabilities of the quadrants or valence and arousal out."""

    name: str
    """One line for reports."""

    @abstractmethod
    def _fit(self, clips: list[Notes], labels: NDArray[np.int64]) -> None:
        """Learn from clips with notes."""

    @abstractmethod
    def _predict(self, clips: list[Notes]) -> Floats:
        """Probabilities [n, 4] of clips with notes."""

    def fit(self, music: Sequence[Music], labels: Sequence[int] | NDArray[np.int64]) -> Self:
        """Learn from labelled clips.

        Parameters
        ----------
        music
            Scores, note arrays or MIDI paths [n]. Those without pitched notes are left out.
        labels
            Quadrants 1..4 [n]; each of the four at least twice.

        Raises
        ------
        InputError
            Lengths differ, a label is not 1..4, or a quadrant has fewer than two clips.
        """
        quadrant = np.asarray(labels, dtype=np.int64)
        if len(quadrant) != len(music):
            raise InputError(f"{len(music)} clips came with {len(quadrant)} labels; each clip needs one")
        if bad := sorted(set(quadrant.tolist()) - {1, 2, 3, 4}):
            raise InputError(f"labels {bad} are no quadrants; legal are 1, 2, 3, 4")
        clips = [pitched_notes(m) for m in music]
        kept = np.array([len(c) > 0 for c in clips], dtype=bool)
        quadrant = quadrant[kept]
        if few := [q for q in (1, 2, 3, 4) if (quadrant == q).sum() < 2]:
            raise InputError(f"quadrants {few} have fewer than two clips with notes; a judge is trained on all four")
        self._fit([c for c in clips if len(c)], quadrant)
        return self

    def predict_proba(self, music: Sequence[Music]) -> Floats:
        """Probability of Q1..Q4: float64 [n, 4]; 0.25 each where there is no pitched note."""
        clips = [pitched_notes(m) for m in music]
        out = np.full((len(clips), 4), 0.25)
        sounding = [i for i, c in enumerate(clips) if len(c)]
        if sounding:
            out[sounding] = self._predict([clips[i] for i in sounding])
        return out

    def predict(self, music: Sequence[Music]) -> NDArray[np.int64]:
        """Most probable quadrant 1..4: int64 [n]."""
        return np.asarray(self.predict_proba(music).argmax(1) + 1)

    def predict_va(self, music: Sequence[Music]) -> Floats:
        """Valence and arousal in [-1, 1]: float64 [n, 2]."""
        return valence_arousal(self.predict_proba(music))


def valence_arousal(probabilities: Floats) -> Floats:
    """Expected signs of valence and arousal under quadrant probabilities: [n, 4] -> [n, 2] in [-1, 1]."""
    p1, p2, p3, p4 = np.asarray(probabilities, dtype=float).T
    return np.stack([p1 + p4 - p2 - p3, p1 + p2 - p3 - p4], axis=1)


def pitched_notes(music: Music) -> Notes:
    """The notes of a piece without drums."""
    if not isinstance(music, np.ndarray):
        music = note_array(read_score(music) if isinstance(music, (str, Path)) else music)
    return music[music["program"] < DRUMS]
