"""Music or not: keeps the recogniser from being sure of the emotion of rain, or of a voice that reads.

Two logistic regressions, both learnt from music against sounds that are none: noise, machines, animals and crowds, made
here, and recordings that are given (speech). One reads the mean embedding of a window, which tells what it has learnt.
The other reads how the sound moves (:mod:`muse.recognizer.features.steadiness`), which tells apart what it has never
heard, too; it is no part of the networks' weights, but a file of its own. What either refuses is no music.

Contents: :class:`MusicGate`, fitted by :mod:`muse.training.recognizer.gate`; :class:`SteadyGate`, fitted by
:mod:`muse.training.recognizer.steady`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from muse.checkpoint import Arrays
from muse.errors import InputError
from muse.files import read_json, write_json
from muse.recognizer.features.steadiness import FIGURES

__all__ = ["FARTHEST", "STEADY_FILE", "MusicGate", "SteadyGate"]

Floats = NDArray[np.float32]

STEADY_FILE: Final = "steady_gate.json"
"""In the folder of a recogniser."""
FARTHEST: Final = 4.0
"""Standard deviations at which a figure is cut."""


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


@dataclass(frozen=True)
class SteadyGate(MusicGate):
    """The regression on :data:`~muse.recognizer.features.steadiness.FIGURES`, each cut where it is far from music's."""

    def __call__(self, figures: Floats) -> Floats:
        """Probability that it is music, float32 [n], of figures [n, numbers]."""
        x = np.clip((figures - self.mean) / self.spread, -FARTHEST, FARTHEST)
        return np.asarray(expit(x @ self.weight + self.bias), np.float32)

    @classmethod
    def read(cls, folder: Path) -> SteadyGate | None:
        """The gate in a folder; None where there is none.

        Raises
        ------
        InputError
            It is damaged or asks for other figures.
        """
        path = folder / STEADY_FILE
        if not path.exists():
            return None
        document = read_json(path)
        if not isinstance(document, dict) or document.get("figures") != list(FIGURES):
            raise InputError(f"{path} asks for other figures of a sound than this version has: fit it again")
        try:
            parts = [np.array(document[name], np.float32) for name in cls.__dataclass_fields__]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path} is damaged ({type(error).__name__}: {error}): get the checkpoint again") from None
        shapes = [(len(FIGURES),)] * 3 + [(1,)]
        sound = [part.shape for part in parts] == shapes and all(np.isfinite(part).all() for part in parts)
        if not sound or (parts[1] <= 0).any():
            raise InputError(f"{path} is damaged: get the checkpoint again")
        return cls(*parts)

    def write(self, folder: Path) -> None:
        """Into a folder."""
        values = {name: [round(float(x), 6) for x in getattr(self, name)] for name in self.__dataclass_fields__}
        write_json({"figures": list(FIGURES), **values}, folder / STEADY_FILE)
