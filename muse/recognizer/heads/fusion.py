"""How far notes and sound are believed: one answer out of both.

Three experts tell the odds of high valence and of high arousal: a kernel machine and trees on the notes that are heard
(:mod:`muse.recognizer.heads.notes`), and networks and teachers on the sound (:mod:`muse.recognizer.ensemble`). They
meet in a log-linear pool (:func:`muse.hearing.quadrants.pooled`) whose weights were learnt on music that was played
under conditions of many kinds. The sound's weight falls with its novelty: how far it lies from all sound that the
teachers learnt from.

Conventions
-----------
odds
    Log odds of high valence and of high arousal, [..., 2].

Contents: :class:`Fusion`, :func:`sound_odds`, :func:`trusted`. :mod:`muse.training.recognizer.fusion` fits it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from muse.checkpoint import under
from muse.hearing.answer import answer
from muse.hearing.quadrants import EXPERTS, SURPRISE, pooled
from muse.recognizer.heads.notes import NoteExpert
from muse.score import Score

__all__ = ["Fusion", "sound_odds", "trusted"]

Floats = NDArray[np.float64]

_SHAPES = {"weight": (len(EXPERTS) + 1, 2), "familiar": (2,), "share": (2,), "spread": (2,)}


@dataclass(frozen=True)
class Fusion:
    """See the module."""

    expert: NoteExpert
    weight: NDArray[Any]
    """Of the kernel machine, the trees and the sound in the odds, [3, 2], at least 0."""
    familiar: NDArray[Any]
    """Novelty at which the sound keeps half of its weight, and how gradually it loses it, [2]."""
    share: NDArray[Any]
    """Of the notes in valence and arousal as listeners rate them, [2]."""
    spread: NDArray[Any]
    """Standard deviation of the error of those, [2]."""

    def __call__(
        self, heard: Score, quadrants: NDArray[np.floating], plane: NDArray[np.floating], novelty: float
    ) -> tuple[Floats, Floats, Floats] | None:
        """Valence and arousal in -1..1 and their standard deviations [2], probabilities of Q1..Q4 [4]; None where
        hardly a note is heard.

        Parameters
        ----------
        heard
            Transcription of the recording.
        quadrants, plane
            What the sound tells: probabilities [4], valence and arousal [2].
        novelty
            Of the sound, see :meth:`muse.recognizer.heads.teachers.Teacher.novelty`.
        """
        notes = self.expert(heard)
        if notes is None:
            return None
        odds, rated = notes
        log_p = self.log_probabilities(odds[:, None], sound_odds(quadrants)[None], np.array([novelty]))[0]
        return answer(np.exp(log_p), self.share * rated + (1 - self.share) * plane, self.spread)

    def log_probabilities(self, notes: Floats, sound: Floats, novelty: Floats) -> Floats:
        """Of Q1..Q4 [n, 4], by odds of the experts on notes [2, n, 2], of the sound [n, 2], and novelty [n]."""
        return pooled(np.concatenate([notes, trusted(sound, novelty, self.familiar)[None]]), self.weight)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Arrays by name, to be stored."""
        found = {name: getattr(self, name) for name in _SHAPES}
        return found | {f"expert.{name}": value for name, value in self.expert.tensors().items()}

    @classmethod
    def load(cls, tensors: Mapping[str, Any]) -> Fusion:
        """What :meth:`tensors` gave.

        Raises
        ------
        KeyError, ValueError
            An array is missing or does not fit.
        """
        arrays = {name: np.asarray(tensors[name]) for name in _SHAPES}
        if any(arrays[name].shape != shape for name, shape in _SHAPES.items()):
            raise ValueError("weights of notes and sound do not fit")
        return cls(NoteExpert.load(under(tensors, "expert.")), **arrays)


def sound_odds(quadrants: NDArray[np.floating]) -> Floats:
    """Odds [..., 2] of probabilities of Q1..Q4 [..., 4]."""
    p = quadrants.astype(np.float64)
    above = np.stack([p[..., 0] + p[..., 3], p[..., 0] + p[..., 1]], axis=-1) / p.sum(axis=-1, keepdims=True)
    return np.asarray(logit(np.clip(above, SURPRISE, 1 - SURPRISE)))


def trusted(odds: Floats, novelty: Floats, familiar: NDArray[Any]) -> Floats:
    """Odds of sounds [n, 2], the less of them the newer they are [n]; see :attr:`Fusion.familiar`."""
    at, width = familiar
    return np.asarray(odds * expit((at - novelty) / width)[:, None])
