"""One verdict from several readings of the emotion of a piece, and whether they agree.

A *reading* is one way of telling the quadrant (a model, or a rule on attributes). The first reading decides; the
verdict says which others contradict it, and on which axis.

Contents: :class:`Reading`, :class:`Verdict`, :func:`decide`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from muse.emotion.emotion import QUADRANTS
from muse.errors import InputError

__all__ = ["Reading", "Verdict", "decide"]

_WORDS = dict(zip(QUADRANTS, ("happy", "angry", "sad", "calm"), strict=True))


@dataclass(frozen=True)
class Reading:
    """The quadrant that one way of reading a piece gives."""

    by: str
    """What gives it, as it stands in a sentence, for example ``"the selector"``."""
    quadrant: str
    """``"Q1"`` .. ``"Q4"``."""
    probability: float | None = None
    """Of that quadrant, 0..1; None where the reading has none."""


@dataclass(frozen=True)
class Verdict:
    """The deciding reading, and whether the others agree with it."""

    quadrant: str
    readings: tuple[Reading, ...]

    @property
    def agreed(self) -> bool:
        """Whether all readings name one quadrant."""
        return all(reading.quadrant == self.quadrant for reading in self.readings)

    def sentence(self) -> str:
        """The verdict in words, with the axis on which readings differ."""
        first, *others = self.readings
        if self.agreed:
            sources = " and ".join([_source(first), *(_source(one) for one in others)])
            return f"{_WORDS[self.quadrant]} ({self.quadrant}) by {sources}"
        against = [one for one in others if one.quadrant != self.quadrant]
        other = ", ".join(f"{_WORDS[one.quadrant]} ({one.quadrant}) by {_source(one)}" for one in against)
        axes = sorted({axis for one in against for axis in _axes(self.quadrant, one.quadrant)}, reverse=True)
        verdict = f"{_WORDS[self.quadrant]} ({self.quadrant}) by {_source(first)}"
        return f"{verdict}, but {other}: they disagree on {' and '.join(axes)}"

    def to_json(self) -> dict[str, Any]:
        """``quadrant``, ``agreed``, ``text`` and the single readings."""
        return {
            "quadrant": self.quadrant,
            "agreed": self.agreed,
            "text": self.sentence(),
            "readings": [vars(reading) for reading in self.readings],
        }


def decide(readings: Sequence[Reading]) -> Verdict:
    """The verdict of readings, the deciding one first.

    Raises
    ------
    InputError
        There is no reading, or one names no quadrant.
    """
    if not readings or any(reading.quadrant not in QUADRANTS for reading in readings):
        raise InputError(f"a verdict needs readings of a quadrant, {', '.join(QUADRANTS)}: got {list(readings)}")
    return Verdict(readings[0].quadrant, tuple(readings))


def _source(reading: Reading) -> str:
    return reading.by if reading.probability is None else f"{reading.by} ({reading.probability:.2f})"


def _axes(one: str, other: str) -> list[str]:
    """Axes on which two quadrants lie on different sides."""
    glad, excited = ("Q1", "Q4"), ("Q1", "Q2")
    return [axis for axis, side in (("valence", glad), ("arousal", excited)) if (one in side) != (other in side)]
