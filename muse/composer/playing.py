"""How people play in each quadrant, in absolute terms: loudness, attacks a second, notes at once, lengths of notes.

Lively music lies near velocity 78 and has two notes and more an attack, quiet music near 53 and not much more than one:
chords are broken rather than struck. What was measured lies in ``attributes/playing.json``
(:func:`muse.training.touch.fit_playing`), of solo piano.

Contents: :class:`Playing`, :class:`Texture`, :func:`quadrant_shares`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from muse.checkpoint import Settings, data_path
from muse.emotion import QUADRANTS, Emotion, EmotionPath
from muse.errors import InputError

__all__ = ["Playing", "Texture", "quadrant_shares"]

Floats = NDArray[np.float64]

_PURE = 0.6  # distance from an axis beyond which a point is of one side alone; quadrants themselves stand at 0.65
_QUARTILES = (0.25, 0.5, 0.75)
_DRAWN = (0.3, 0.7)  # quantiles between which a piece is drawn, so that two of one emotion differ as people's do
_FEWEST_AT_ONCE = 2  # notes of an accompaniment: a bass and a note of the chord
# POP909's piano songs, 3,448 passages of four bars: the accompaniment's share of the attacks and of their size.
_ATTACKS_BESIDE_TUNE, _SIZE_BESIDE_TUNE = 0.92, 0.88
_USUAL_ONSETS = 2.1  # a quarter note, of accompaniments
_OBEYED = 0.5  # of what is asked beyond the usual, how much the arranger does


def quadrant_shares(emotion: Emotion) -> Floats:
    """Share of each quadrant in a point [4]; one that is near an axis belongs to both of its sides in part."""
    glad, excited = (min(1.0, max(0.0, 0.5 + value / (2 * _PURE))) for value in (emotion.valence, emotion.arousal))
    return np.array([glad * excited, (1 - glad) * excited, (1 - glad) * (1 - excited), glad * (1 - excited)])


@dataclass(frozen=True)
class Texture:
    """How dense the playing is over some bars, tune and accompaniment together."""

    attacks: float
    """A second."""
    size: float
    """Mean notes an attack."""
    full: float
    """Notes of a full attack: nineteen in twenty have no more."""
    length: float
    """Median length of a note, seconds; the mean is that of the pedal."""

    def accompaniment(self, tempo_bpm: float) -> dict[str, float]:
        """What that asks of the accompaniment at a tempo: ``density`` (onsets a quarter note), ``thickness`` (notes an
        onset) and ``articulation`` (length of a note in quarters), as :func:`muse.tokens.arrangement.measure_bars`
        measures them."""
        onsets = self.attacks * 60.0 / tempo_bpm * _ATTACKS_BESIDE_TUNE
        return {
            "density": _USUAL_ONSETS + (onsets - _USUAL_ONSETS) / _OBEYED,
            "thickness": max(self.size * _SIZE_BESIDE_TUNE, 1.0),
            "articulation": self.length * tempo_bpm / 60.0,
        }

    @property
    def notes_at_once(self) -> int:
        """Most notes that an accompaniment strikes at once; the tune may add one."""
        return max(round(self.full), _FEWEST_AT_ONCE)


@dataclass(frozen=True)
class Playing:
    """What was measured of people's playing; each array [4, 3]: quartiles over clips, by quadrant."""

    mean: Floats
    """Of a clip's velocities."""
    spread: Floats
    """Standard deviation of a clip's velocities."""
    attacks: Floats
    """As :class:`Texture` has them, like the next three."""
    size: Floats
    full: Floats
    length: Floats

    @classmethod
    def load(cls, path: Path | None = None) -> Playing:
        """The table that comes with Muse, or another.

        Raises
        ------
        InputError
            A quadrant lacks its quartiles.
        """
        return _load(path or data_path("attributes") / "playing.json")

    def loudness(self, path: EmotionPath, n_bars: int, rng: np.random.Generator) -> tuple[Floats, float]:
        """Mean velocity of each bar [n_bars] along an emotion path, and the spread within the piece."""
        place = float(rng.uniform(*_DRAWN))
        shares = _shares(path, n_bars)
        return shares @ _at(self.mean, place), float((shares @ _at(self.spread, place)).mean())

    def texture(
        self, path: EmotionPath, n_bars: int, section_bars: int, rng: np.random.Generator
    ) -> tuple[Texture, ...]:
        """Texture of each section of so many bars along an emotion path."""
        place = float(rng.uniform(*_DRAWN))
        figures = [_at(getattr(self, one.name), place) for one in fields(Texture)]
        bars = _shares(path, n_bars) @ np.stack(figures, axis=1)
        return tuple(
            Texture(*bars[start : start + section_bars].mean(0).tolist()) for start in range(0, n_bars, section_bars)
        )


def _shares(path: EmotionPath, n_bars: int) -> Floats:
    """[n_bars, 4]."""
    return np.array([quadrant_shares(path.at_bar(bar, n_bars)) for bar in range(n_bars)])


def _at(table: Floats, place: float) -> Floats:
    """Value of each quadrant [4] at a quantile."""
    return np.array([np.interp(place, _QUARTILES, row) for row in table])


@lru_cache(maxsize=4)
def _load(path: Path) -> Playing:
    table = Settings.read(path)
    parts = [table.part(quadrant).values for quadrant in QUADRANTS]
    arrays = []
    for name in (one.name for one in fields(Playing)):
        rows = [part.get(name) for part in parts]
        if not all(isinstance(row, list) and len(row) == len(_QUARTILES) for row in rows):
            raise InputError(f"{path}: {name} needs {len(_QUARTILES)} numbers in every quadrant")
        arrays.append(np.array(rows, np.float64))
    return Playing(*arrays)
