"""Emotion as a point of the valence-arousal plane.

Conventions
-----------
valence
    How pleasant the emotion is that the music expresses: -1 (unpleasant) .. 1 (pleasant).
arousal
    How activated it is: -1 (asleep) .. 1 (frantic).
quadrant
    Russell's numbering: Q1 ``+v +a`` (happy), Q2 ``-v +a`` (angry), Q3 ``-v -a`` (sad), Q4 ``+v -a`` (calm).
    Points on an axis count as positive.
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

Contents: :class:`Emotion`, :func:`emotion_words`.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from muse.errors import InputError, nearest

__all__ = [
    "QUADRANTS",
    "Emotion",
    "EmotionLike",
    "EmotionWord",
    "emotion_words",
    "finite_number",
]

QUADRANTS = ("Q1", "Q2", "Q3", "Q4")

_PAIR = re.compile(r"^[(\[]?\s*([^,;()\[\]]+?)\s*[,;]\s*([^,;()\[\]]+?)\s*[)\]]?$")


@dataclass(frozen=True, slots=True, init=False)
class Emotion:
    """One point of the valence-arousal plane.

    Parameters
    ----------
    valence
        A finite number in -1..1; or, alone, anything that :meth:`parse` reads: ``Emotion("sad")``.
    arousal
        A finite number in -1..1.

    Raises
    ------
    InputError
        A coordinate is no number, not finite or out of range; or a word is unknown.

    Examples
    --------
    >>> Emotion("sad") == Emotion.parse("sad")
    True
    >>> Emotion.parse("sad").quadrant
    'Q3'
    >>> Emotion.parse("(-.6, -.4)")
    Emotion(valence=-0.6, arousal=-0.4)
    """

    valence: float
    arousal: float

    def __init__(self, valence: float | EmotionLike, arousal: float | None = None) -> None:
        if arousal is None:
            point = Emotion.parse(valence)  # type: ignore[arg-type]  # parse refuses a lone number
            valence, arousal = point.valence, point.arousal
        object.__setattr__(self, "valence", _coordinate(valence, "valence"))
        object.__setattr__(self, "arousal", _coordinate(arousal, "arousal"))

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
            return cls(finite_number(pair[1], "valence"), finite_number(pair[2], "arousal"))
        known = emotion_words()
        word = _normal(text)
        if word in known:
            return known[word].emotion
        near = nearest(word, known)
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


def finite_number(value: object, name: str) -> float:
    """A number from anything that holds one; *name* says in the error what it is of.

    Raises
    ------
    InputError
        No number (True and False are none), or not finite.
    """
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
    number = finite_number(value, name)
    if not -1 <= number <= 1:
        slip = f"; if its scale is 1..9, give (x - 5) / 4 = {(number - 5) / 4:.2f}" if 1 < number <= 9 else ""
        raise InputError(f"{name} {number:g} is out of range, legal is -1..1{slip}")
    return number
