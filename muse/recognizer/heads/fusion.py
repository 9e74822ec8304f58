"""How far notes and sound are believed: one answer out of both, and how sure it is.

Three experts tell the odds of high valence and of high arousal: a kernel machine and trees on the notes that are heard
(:mod:`muse.recognizer.heads.notes`), and a kernel machine on the sound (:mod:`muse.recognizer.heads.sound`). They meet
in a log-linear pool (:func:`muse.hearing.quadrants.pooled`) whose weights were learnt on music that was played under
conditions of many kinds, by experts that knew neither the song nor, half of the time, the soundfont. The sound's weight
falls with its novelty: how far it lies from all sound that its expert learnt from.

The whole answer is made less sure with novelty, too. Up to the novelty of nearly all takes whose soundfont the experts
did not know, the pool's probabilities were true, but for one sharpness; farther off nothing was measured, and the odds
shrink as the inverse of the novelty.

Conventions
-----------
odds
    Log odds of high valence and of high arousal, [..., 2].

Contents: :class:`Fusion`, :class:`Told`, :func:`trusted`, :func:`certain`. :mod:`muse.training.recognizer.fusion` fits
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from muse.checkpoint import under
from muse.hearing.answer import answer
from muse.hearing.quadrants import EXPERTS, pooled
from muse.recognizer.heads.notes import NoteExpert
from muse.recognizer.heads.sound import SoundExpert, sound_odds
from muse.score import Score

__all__ = ["Fusion", "Told", "certain", "trusted"]

Floats = NDArray[np.float64]

_SHAPES = {
    "weight": (len(EXPERTS) + 1, 2),
    "familiar": (2,),
    "sure": (2,),
    "share": (2, 2),
    "middle": (2,),
    "spread": (2,),
}


class Told(NamedTuple):
    """What the expert on sound tells of a recording."""

    quadrants: Floats
    """Probabilities of Q1..Q4 [4]."""
    plane: Floats
    """Valence and arousal [2]."""
    novelty: float


@dataclass(frozen=True)
class Fusion:
    """See the module."""

    expert: NoteExpert
    sound: SoundExpert
    weight: NDArray[Any]
    """Of the kernel machine, the trees and the sound in the odds, [3, 2], at least 0."""
    familiar: NDArray[Any]
    """Novelty at which the sound keeps half of its weight, and how gradually it loses it, [2]."""
    sure: NDArray[Any]
    """Factor on the odds, and the novelty from which on they shrink, [2]; both above 0."""
    share: NDArray[Any]
    """Of notes and sound in valence and arousal as listeners rate them, [2 experts, 2]: of how far each of them departs
    from the middle."""
    middle: NDArray[Any]
    """Mean ratings, [2]."""
    spread: NDArray[Any]
    """Standard deviation of the error of ratings, [2]."""

    def __call__(self, heard: Score, told: Told) -> tuple[Floats, Floats, Floats] | None:
        """Valence and arousal in -1..1 and their standard deviations [2], probabilities of Q1..Q4 [4]; None where
        hardly a note is heard.

        Parameters
        ----------
        heard
            Transcription of the recording.
        told
            By :attr:`sound`.
        """
        notes = self.expert(heard)
        if notes is None:
            return None
        odds, rated = notes
        novelty = np.array([told.novelty])
        log_p = self.log_probabilities(odds[:, None], sound_odds(told.quadrants)[None], novelty)[0]
        return answer(np.exp(log_p), self.rated(rated, told.plane), self.spread)

    def log_probabilities(self, notes: Floats, sound: Floats, novelty: Floats) -> Floats:
        """Of Q1..Q4 [n, 4], by odds of the experts on notes [2, n, 2], of the sound [n, 2], and novelty [n]."""
        parts = np.concatenate([notes, trusted(sound, novelty, self.familiar)[None]])
        return pooled(certain(parts, novelty, self.sure), self.weight)

    def rated(self, notes: Floats, sound: Floats) -> Floats:
        """Valence and arousal in -1..1 [..., 2], by those of notes and sound [..., 2]."""
        away = self.share[0] * (notes - self.middle) + self.share[1] * (sound - self.middle)
        return np.clip(self.middle + away, -1, 1)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Arrays by name, to be stored."""
        found = {name: getattr(self, name) for name in _SHAPES}
        for part in ("expert", "sound"):
            found |= {f"{part}.{name}": value for name, value in getattr(self, part).tensors().items()}
        return found

    @classmethod
    def load(cls, tensors: Mapping[str, Any]) -> Fusion:
        """What :meth:`tensors` gave.

        Raises
        ------
        KeyError, ValueError
            An array is missing or does not fit.
        """
        arrays = {name: np.asarray(tensors[name]) for name in _SHAPES}
        fits = all(arrays[name].shape == shape for name, shape in _SHAPES.items())
        if not fits or arrays["familiar"][1] <= 0 or arrays["sure"].min() <= 0:
            raise ValueError("weights of notes and sound do not fit")
        return cls(NoteExpert.load(under(tensors, "expert.")), SoundExpert.load(under(tensors, "sound.")), **arrays)


def trusted(odds: Floats, novelty: Floats, familiar: NDArray[Any]) -> Floats:
    """Odds of sounds [n, 2], the less of them the newer they are [n]; see :attr:`Fusion.familiar`."""
    at, width = familiar
    return np.asarray(odds * expit((at - novelty) / width)[:, None])


def certain(odds: Floats, novelty: Floats, sure: NDArray[Any]) -> Floats:
    """Odds [..., n, 2] sharpened, and shrunk where sound is farther off [n] than any measured; see
    :attr:`Fusion.sure`."""
    sharpness, at = sure
    return np.asarray(odds * (sharpness * at / np.maximum(novelty, at))[:, None])
