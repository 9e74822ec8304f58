"""Emotion as a point, and emotion over time as a path.

Conventions
-----------
valence
    How pleasant the emotion is that the music expresses: -1 (unpleasant) .. 1 (pleasant).
arousal
    How activated it is: -1 (asleep) .. 1 (frantic).
quadrant
    Russell's numbering: Q1 ``+v +a`` (happy), Q2 ``-v +a`` (angry), Q3 ``-v -a`` (sad), Q4 ``+v -a`` (calm).
    Points on an axis count as positive.
position
    Place in a piece as a fraction, 0 (start) .. 1 (end).
none
    There is no "no emotion" here: who wants none leaves the field of the request empty.

Words come from ``words.csv`` beside this file: one row per word with its place, the vocabularies
that it belongs to (``quadrant``, ``xmidi``, ``russell``, ``parrott``, ``gems``, ``music``) and where its
place is from. Where sources disagree, the first of these wins:

1. ``quadrant``: Q1..Q4 and the words that name them in EMOPIA and VGMIDI stand at the quadrant's center;
2. ``russell``: the angle on the circle of Russell (1980, *A circumplex model of affect*), read to 5 degrees,
   radius 0.8 (*tense* and *alarmed* excepted: there they lie at 95 degrees, without valence; in music they
   do not);
3. ``own``: placed by us among its neighbors on that circle, as the word is used of music. Norms rate what a
   word means, not how such music sounds (in them *sad* is hardly less aroused than *angry*, and *lazy* is a
   vice), so all words of GEMS and of XMIDI, and those that music uses in a sense of its own, are placed this
   way;
4. ``glasgow``: mean rating of the Glasgow Norms (Scott et al. 2019, doi 10.3758/s13428-018-1099-3, CC BY
   4.0), mapped linearly from 1..9 to -1..1.

Contents: :class:`Emotion`, :class:`EmotionPath`, :func:`emotion_words`.
"""

from __future__ import annotations

import csv
import difflib
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from muse.errors import InputError

__all__ = [
    "QUADRANTS",
    "Emotion",
    "EmotionLike",
    "EmotionPath",
    "EmotionPathLike",
    "EmotionWord",
    "emotion_words",
]

QUADRANTS = ("Q1", "Q2", "Q3", "Q4")

_PAIR = re.compile(r"^[(\[]?\s*([^,;()\[\]]+?)\s*[,;]\s*([^,;()\[\]]+?)\s*[)\]]?$")


@dataclass(frozen=True, slots=True)
class Emotion:
    """One point of the valence-arousal plane.

    Parameters
    ----------
    valence, arousal
        Finite numbers in -1..1.

    Raises
    ------
    InputError
        A coordinate is no number, not finite or out of range.

    Examples
    --------
    >>> Emotion.parse("sad").quadrant
    'Q3'
    >>> Emotion.parse("(-.6, -.4)")
    Emotion(valence=-0.6, arousal=-0.4)
    """

    valence: float
    arousal: float

    def __post_init__(self) -> None:
        for field in ("valence", "arousal"):
            object.__setattr__(self, field, _coordinate(getattr(self, field), field))

    @property
    def quadrant(self) -> str:
        """``"Q1"`` .. ``"Q4"``; an axis counts as its positive side."""
        if self.arousal >= 0:
            return "Q1" if self.valence >= 0 else "Q2"
        return "Q4" if self.valence >= 0 else "Q3"

    @classmethod
    def parse(cls, value: EmotionLike) -> Emotion:
        """Read an emotion from a word, a quadrant, a pair or an emotion.

        Parameters
        ----------
        value
            ``"melancholic"``, ``"Q3"``, ``"(-.6, -.4)"``, ``"-0.6,-0.4"`` (in any case),
            a pair of numbers (valence, arousal), a mapping with these two names, or an :class:`Emotion`.

        Raises
        ------
        InputError
            The word is unknown (the message names the nearest known ones) or a coordinate is not in -1..1.
        """
        if isinstance(value, Emotion):
            return value
        if isinstance(value, str):
            return cls._parse_text(value)
        if isinstance(value, Mapping):
            if set(value) == {"valence", "arousal"}:
                return cls(value["valence"], value["arousal"])
        elif hasattr(value, "__len__") and len(value) == 2:
            return cls(*value)
        raise InputError(f"emotion {value!r} cannot be read; give a word, Q1..Q4 or a pair (valence, arousal) in -1..1")

    @classmethod
    def _parse_text(cls, text: str) -> Emotion:
        if pair := _PAIR.match(text.strip()):
            return cls(_number(pair[1], "valence"), _number(pair[2], "arousal"))
        known = emotion_words()
        word = _normal(text)
        if word in known:
            return known[word].emotion
        near = difflib.get_close_matches(word, known, n=3, cutoff=0.6)
        guess = f"did you mean {' or '.join(near)}?" if near else "for example happy, angry, sad, calm"
        raise InputError(
            f"emotion {text!r} is not among the {len(known)} known words; {guess} "
            "(also legal: Q1..Q4, or a pair such as -0.6,-0.4)"
        )

    def toward(self, other: Emotion, fraction: float) -> Emotion:
        """The point at `fraction` (0..1) of the straight way to another emotion."""
        return Emotion(
            (1 - fraction) * self.valence + fraction * other.valence,
            (1 - fraction) * self.arousal + fraction * other.arousal,
        )

    def to_dict(self) -> dict[str, float]:
        """``{"valence": ..., "arousal": ...}``; :meth:`parse` reads it back."""
        return {"valence": self.valence, "arousal": self.arousal}

    def __str__(self) -> str:
        return f"valence {self.valence:+.2f}, arousal {self.arousal:+.2f} ({self.quadrant})"


EmotionLike: TypeAlias = Emotion | str | Sequence[float] | Mapping[str, float]


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
        positions = tuple(_number(p, "position") for p in self.positions)
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
        half share and the last are heard pure, the way between neighbors is straight. ``@`` sets positions by
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
            positions = tuple(_number(stop[1], "position") for stop in placed)
        else:
            positions = tuple((i + 0.5) / len(placed) for i in range(len(placed)))
        return cls(positions, tuple(Emotion.parse(stop[0]) for stop in placed))

    @property
    def is_constant(self) -> bool:
        """True when the emotion is the same throughout."""
        return len(set(self.emotions)) == 1

    def at(self, fraction: float) -> Emotion:
        """The emotion at a fraction of the piece (values outside 0..1 give the ends)."""
        where = _number(fraction, "fraction")
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
        # Rounding takes off the dust of the summation, so that the mean of a constant path is that constant.
        return Emotion(round(min(1.0, max(-1.0, valence)), 12), round(min(1.0, max(-1.0, arousal)), 12))

    def to_dict(self) -> dict[str, list[object]]:
        """``{"positions": [...], "emotions": [{"valence": ...}, ...]}``; :meth:`parse` reads it back."""
        return {"positions": list(self.positions), "emotions": [e.to_dict() for e in self.emotions]}

    def __str__(self) -> str:
        if len(self.emotions) == 1:
            return str(self.emotions[0])
        return " > ".join(f"{e} at {p:.0%}" for p, e in zip(self.positions, self.emotions, strict=True))


EmotionPathLike: TypeAlias = EmotionPath | EmotionLike | Sequence[EmotionLike] | Mapping[str, Sequence[object]]


class EmotionWord(NamedTuple):
    """A row of the word table."""

    word: str
    emotion: Emotion
    sets: tuple[str, ...]
    """Vocabularies with the word: ``quadrant``, ``xmidi``, ``russell``, ``parrott``, ``gems``, ``music``."""
    source: str
    """Where its place is from: ``quadrant``, ``russell``, ``own`` or ``glasgow`` (see the module's text)."""
    note: str


@cache
def emotion_words() -> Mapping[str, EmotionWord]:
    """The word table by lower-case word, alphabetical; read-only."""
    text = (files("muse.emotion") / "words.csv").read_text(encoding="utf-8")
    return MappingProxyType(
        {
            row["word"]: EmotionWord(
                row["word"],
                Emotion(float(row["valence"]), float(row["arousal"])),
                tuple(row["sets"].split("|")),
                row["source"],
                row["note"],
            )
            for row in csv.DictReader(text.splitlines())
        }
    )


def _normal(text: str) -> str:
    """Lower case, single blanks; the hyphen of compounds stays only where the table has it."""
    word = " ".join(text.casefold().replace("_", " ").split())
    known = emotion_words()
    forms = (word, word.replace("-", " "), word.replace(" ", "-"))
    return next((form for form in forms if form in known), word)


def _is_pair(value: object) -> bool:
    if isinstance(value, str) or not hasattr(value, "__len__") or len(value) != 2:
        return False
    # Numbers in text form are no pair here: ["-1", "1"] is more likely two misread words.
    return all(isinstance(x, (int, float)) or hasattr(x, "__float__") for x in value)  # type: ignore[attr-defined]


def _number(value: object, name: str) -> float:
    try:
        if isinstance(value, bool):
            raise TypeError
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{name} {value!r} is not a number") from None
    if not math.isfinite(number):
        raise InputError(f"{name} {value!r} is not a finite number")
    return number


def _coordinate(value: object, name: str) -> float:
    number = _number(value, name)
    if not -1 <= number <= 1:
        slip = f"; if its scale is 1..9, give (x - 5) / 4 = {(number - 5) / 4:.2f}" if 1 < number <= 9 else ""
        raise InputError(f"{name} {number:g} is out of range, legal is -1..1{slip}")
    return number
