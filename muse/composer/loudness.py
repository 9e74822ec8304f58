"""How loud a piece is asked to be, in absolute terms: people play lively music near velocity 78, quiet music near 53.

What was measured lies in ``attributes/loudness.json`` (:func:`muse.training.touch.fit_loudness`).

Contents: :class:`Loudness`, :func:`quadrant_shares`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from muse.checkpoint import Settings, data_path
from muse.emotion import QUADRANTS, Emotion, EmotionPath
from muse.errors import InputError

__all__ = ["Loudness", "quadrant_shares"]

Floats = NDArray[np.float64]

_QUARTILES = (0.25, 0.5, 0.75)
_DRAWN = (0.3, 0.7)  # quantiles between which a piece is drawn, so that two of one emotion differ as people's do


def quadrant_shares(emotion: Emotion) -> Floats:
    """Share of each quadrant in a point [4]; one within 0.2 of an axis belongs to both of its sides in part."""
    glad, excited = (min(1.0, max(0.0, 0.5 + 2.5 * value)) for value in (emotion.valence, emotion.arousal))
    return np.array([glad * excited, (1 - glad) * excited, (1 - glad) * (1 - excited), glad * (1 - excited)])


@dataclass(frozen=True)
class Loudness:
    """Velocities of people by quadrant.

    Parameters
    ----------
    mean, spread
        [4, 3]: quartiles over clips of the mean and of the standard deviation of velocities, by quadrant.
    """

    mean: Floats
    spread: Floats

    @classmethod
    def load(cls, path: Path | None = None) -> Loudness:
        """The table that comes with Muse, or another.

        Raises
        ------
        InputError
            A quadrant lacks its quartiles.
        """
        return _load(path or data_path("attributes") / "loudness.json")

    def course(self, path: EmotionPath, n_bars: int, rng: np.random.Generator) -> tuple[Floats, float]:
        """Mean velocity of each bar [n_bars] along an emotion path, and the spread within the piece."""
        place = float(rng.uniform(*_DRAWN))
        mean, spread = (
            np.array([np.interp(place, _QUARTILES, row) for row in table]) for table in (self.mean, self.spread)
        )
        shares = np.array([quadrant_shares(path.at_bar(bar, n_bars)) for bar in range(n_bars)])
        return shares @ mean, float((shares @ spread).mean())


@lru_cache(maxsize=4)
def _load(path: Path) -> Loudness:
    table = Settings.read(path)
    parts = [table.part(quadrant).values for quadrant in QUADRANTS]
    arrays = []
    for name in ("mean", "spread"):
        rows = [part.get(name) for part in parts]
        if not all(isinstance(row, list) and len(row) == len(_QUARTILES) for row in rows):
            raise InputError(f"{path}: {name} needs {len(_QUARTILES)} numbers in every quadrant")
        arrays.append(np.array(rows, np.float64))
    return Loudness(*arrays)
