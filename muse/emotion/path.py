"""Emotion over time: a path through the valence-arousal plane.

Conventions
-----------
position
    Place in a piece as a fraction, 0 (start) .. 1 (end).

Contents: :class:`EmotionPath`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from muse.emotion.emotion import Emotion, EmotionLike, finite_number
from muse.errors import InputError

__all__ = ["EmotionPath", "EmotionPathLike"]


@dataclass(frozen=True, slots=True)
class EmotionPath:
    """How emotion moves through a piece: emotions at positions, straight lines between, constant outside.

    Parameters
    ----------
    positions
        Fractions of the piece, 0..1, strictly rising, at least one.
    emotions
        One emotion per position (anything that :meth:`Emotion.parse` reads).

    Raises
    ------
    InputError
        The two differ in length, or positions are not rising fractions.

    Examples
    --------
    >>> EmotionPath.parse("calm>tense>triumphant").at(1.0) == Emotion.parse("triumphant")
    True
    >>> EmotionPath.parse("sad").is_constant
    True
    """

    positions: tuple[float, ...]
    emotions: tuple[Emotion, ...]

    def __post_init__(self) -> None:
        positions = tuple(finite_number(p, "position") for p in self.positions)
        object.__setattr__(self, "positions", positions)
        object.__setattr__(self, "emotions", tuple(Emotion.parse(e) for e in self.emotions))
        if not positions or len(positions) != len(self.emotions):
            raise InputError(
                f"an emotion path needs one position per emotion, at least one; "
                f"got {len(positions)} positions and {len(self.emotions)} emotions"
            )
        inside = all(0 <= p <= 1 for p in positions)
        if not inside or any(b <= a for a, b in itertools.pairwise(positions)):
            raise InputError(
                f"positions {list(positions)} of an emotion path must rise within 0..1 "
                "(they are fractions of the piece, not bars)"
            )

    @classmethod
    def parse(cls, value: EmotionPathLike) -> EmotionPath:
        """Read a path from an arc, a list of emotions, a single emotion, its dictionary form or a path.

        An arc gives each of its emotions an equal share of the piece, placed in the share's middle: the first
        half share and the last hold one emotion, between neighbors the path is linear. ``@`` sets positions by
        hand, then for every emotion: ``"calm@0 > tense@0.6 > triumphant@1"``.

        Raises
        ------
        InputError
            As :meth:`Emotion.parse`; or only some emotions of an arc have a position.
        """
        if isinstance(value, EmotionPath):
            return value
        if isinstance(value, Mapping) and set(value) == {"positions", "emotions"}:
            positions, emotions = (value[name] for name in ("positions", "emotions"))
            if not isinstance(positions, (list, tuple)) or not isinstance(emotions, (list, tuple)):
                raise InputError(f"positions {positions!r} and emotions {emotions!r} of a path must be lists")
            return cls(tuple(positions), tuple(emotions))
        stops: list[object]
        if isinstance(value, str):
            stops = list(re.split(r"\s*(?:>|→|->)\s*", value.strip()))
            if not all(stops):
                raise InputError(f"arc {value!r} has an empty place; write for example 'calm>tense'")
        elif isinstance(value, (Emotion, Mapping)) or _is_pair(value):
            stops = [value]
        elif isinstance(value, Sequence) and len(value):
            stops = list(value)
        else:
            raise InputError(f"emotion path {value!r} cannot be read; give an emotion or an arc such as 'calm>tense'")
        placed: list[list[Any]] = [
            list(stop.rsplit("@", 1)) if isinstance(stop, str) and "@" in stop else [stop] for stop in stops
        ]
        with_position = sum(len(stop) == 2 for stop in placed)
        if with_position not in (0, len(placed)):
            raise InputError(
                f"arc {value!r} places {with_position} of {len(placed)} emotions; place all of them or none"
            )
        if with_position:
            positions = tuple(finite_number(stop[1], "position") for stop in placed)
        else:
            positions = tuple((i + 0.5) / len(placed) for i in range(len(placed)))
        return cls(positions, tuple(Emotion.parse(stop[0]) for stop in placed))

    @property
    def is_constant(self) -> bool:
        """True when the emotion is the same throughout."""
        return len(set(self.emotions)) == 1

    def at(self, fraction: float) -> Emotion:
        """The emotion at a fraction of the piece (values outside 0..1 give the ends)."""
        where = finite_number(fraction, "fraction")
        pairs = zip(itertools.pairwise(self.positions), itertools.pairwise(self.emotions), strict=True)
        for (left, right), (a, b) in pairs:
            if left <= where <= right:
                return a.toward(b, (where - left) / (right - left))
        return self.emotions[0] if where < self.positions[0] else self.emotions[-1]

    def at_bar(self, bar: float, n_bars: int) -> Emotion:
        """The emotion in the middle of bar `bar` (counted from 0) of a piece of `n_bars`."""
        if n_bars < 1 or not 0 <= bar < n_bars:
            raise InputError(f"bar {bar} is not in a piece of {n_bars} bars (bars count from 0)")
        return self.at((bar + 0.5) / n_bars)

    @property
    def mean(self) -> Emotion:
        """Mean over the piece (exact integral of the straight pieces)."""
        knots = sorted({0.0, 1.0, *self.positions})
        points = [self.at(k) for k in knots]
        valence = arousal = 0.0
        for (left, right), (a, b) in zip(itertools.pairwise(knots), itertools.pairwise(points), strict=True):
            valence += (right - left) * (a.valence + b.valence) / 2
            arousal += (right - left) * (a.arousal + b.arousal) / 2
        # Rounding takes off the error of the sum, so that the mean of a constant path is that constant.
        return Emotion(round(min(1.0, max(-1.0, valence)), 12), round(min(1.0, max(-1.0, arousal)), 12))

    def to_dict(self) -> dict[str, list[object]]:
        """``{"positions": [...], "emotions": [{"valence": ...}, ...]}``; :meth:`parse` reads it back."""
        return {"positions": list(self.positions), "emotions": [e.to_dict() for e in self.emotions]}

    def __str__(self) -> str:
        if len(self.emotions) == 1:
            return str(self.emotions[0])
        return " > ".join(f"{e} at {p:.0%}" for p, e in zip(self.positions, self.emotions, strict=True))


EmotionPathLike: TypeAlias = EmotionPath | EmotionLike | Sequence[EmotionLike] | Mapping[str, Sequence[object]]


def _is_pair(value: object) -> bool:
    if isinstance(value, str) or not hasattr(value, "__len__") or len(value) != 2:
        return False
    # Numbers in text form are no pair here: ["-1", "1"] is more likely two misread words.
    return all(isinstance(x, (int, float)) or hasattr(x, "__float__") for x in value)  # type: ignore[attr-defined]
