"""Chord symbols: what stands above the staff of a lead sheet.

Conventions: roots and basses are pitch classes 0..11 (C = 0); a quality is the suffix of a symbol, a key of
:data:`QUALITIES`.

Contents: :data:`QUALITIES`, :class:`Chord`, :func:`parse_chord`. Whole bars: :mod:`muse.theory.chord_text`.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace
from typing import Final

from muse.errors import InputError
from muse.theory.chords import CHORDS
from muse.theory.keys import NATURALS, PITCH_CLASS_NAMES, spell

__all__ = ["QUALITIES", "Chord", "parse_chord"]

_INTERVALS = {one.suffix: one.intervals for one in CHORDS}
QUALITIES: Final[dict[str, tuple[int, ...]]] = {
    suffix: _INTERVALS[suffix]
    for suffix in ("", "m", "dim", "aug", "sus4", "sus2", "maj7", "m7", "7", "m7b5", "dim7", "6", "m6")
}
"""Suffix of a chord symbol -> intervals above the root in semitones, in the order in which vocabularies have them."""

_OTHER_SUFFIXES: Final = {
    "maj": "", "M": "", "min": "m", "-": "m", "mi": "m", "o": "dim", "°": "dim", "+": "aug", "sus": "sus4",
    "M7": "maj7", "Maj7": "maj7", "ma7": "maj7", "j7": "maj7", "Δ": "maj7", "Δ7": "maj7", "^7": "maj7", "^": "maj7",
    "min7": "m7", "mi7": "m7", "-7": "m7", "dom7": "7", "ø": "m7b5", "ø7": "m7b5", "h7": "m7b5", "min7b5": "m7b5",
    "-7b5": "m7b5", "m7-5": "m7b5", "m7(b5)": "m7b5", "o7": "dim7", "°7": "dim7", "maj6": "6", "M6": "6",
    "min6": "m6", "-6": "m6",
}  # fmt: skip

_EXTENDED: Final = (
    ("maj", "maj7"), ("ma", "maj7"), ("M", "maj7"), ("Δ", "maj7"), ("^", "maj7"), ("mmaj", "m"), ("mM", "m"),
    ("m(maj", "m"), ("m7b5", "m7b5"), ("ø", "m7b5"), ("m6", "m6"), ("madd", "m"), ("m(add", "m"), ("min", "m7"),
    ("-", "m7"), ("dim7", "dim7"), ("dim", "dim"), ("°", "dim7"), ("o", "dim7"), ("m", "m7"), ("aug", "aug"),
    ("+", "aug"), ("7#5", "aug"), ("7+", "aug"), ("7sus", "sus4"), ("9sus", "sus4"), ("13sus", "sus4"),
    ("sus2", "sus2"), ("sus", "sus4"), ("6", "6"), ("7", "7"), ("9", "7"), ("11", "7"), ("13", "7"), ("add", ""),
    ("(add", ""), ("2", ""), ("5", ""),
)  # fmt: skip
"""Beginning of a richer suffix -> the quality that it extends; the first that fits counts."""
_ADDED: Final = re.compile(r"(?:maj|min|dim|aug|sus|add|alt|omit|no|mi|ma|[mMoø°Δ^+\-#b♯♭(),/]|\d)+", re.I)
"""What a richer suffix is made of."""


@dataclass(frozen=True, slots=True)
class Chord:
    """A chord symbol at a place in a bar."""

    position: int
    """Sixteenths from the start of the bar."""
    root: int | None
    """Pitch class 0..11; None where no chord sounds."""
    quality: str = ""
    """A key of :data:`QUALITIES`."""
    bass: int | None = None
    """Pitch class of the lowest tone where it is not the root."""

    @property
    def symbol(self) -> str:
        """As in lead sheets: ``Am7``, ``C/E``; ``N.C.`` for none."""
        if self.root is None:
            return "N.C."
        bass = "" if self.bass is None else "/" + PITCH_CLASS_NAMES[self.bass]
        return PITCH_CLASS_NAMES[self.root] + self.quality + bass

    def spelled(self, fifths: int | None = None) -> str:
        """The symbol with root and bass named as the reader of a key expects them: ``Db`` in a key of five flats.

        Parameters
        ----------
        fifths
            Of the key signature, sharps positive; None: as :attr:`symbol`.
        """
        if self.root is None or fifths is None:
            return self.symbol
        root, bass = (None if tone is None else _name(tone, fifths) for tone in (self.root, self.bass))
        return f"{root}{self.quality}" + (f"/{bass}" if bass else "")

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        """Its tones 0..11, the root first."""
        return () if self.root is None else tuple((self.root + step) % 12 for step in QUALITIES[self.quality])

    def moved(self, semitones: int) -> Chord:
        """The same chord transposed."""
        if self.root is None:
            return self
        bass = None if self.bass is None else (self.bass + semitones) % 12
        return replace(self, root=(self.root + semitones) % 12, bass=bass)


_SYMBOL = re.compile(r"^([A-Ga-g])([#b♯♭]?)([^/]*|6/9)(?:/([A-Ga-g])([#b♯♭]?))?$")


def parse_chord(symbol: str, *, simplify: bool = False) -> Chord:
    """A chord at position 0 from its symbol: ``Am7``, ``F#dim``, ``C/E``, ``N.C.``.

    Parameters
    ----------
    simplify
        Take richer chords for those of :data:`QUALITIES` that they extend (``G13`` for ``G7``, ``Cadd9`` for ``C``),
        as files have them; otherwise they are refused.

    Raises
    ------
    InputError
        No such root or quality; the message names the nearest legal symbol.
    """
    if symbol.upper() in ("N.C.", "N", "NC", "N.C"):
        return Chord(0, None)
    match = _SYMBOL.match(symbol.strip())
    if match is None:
        slip = "for H write B; " if symbol[:1] in ("H", "h") else ""
        raise InputError(
            f"{symbol!r} is no chord; {slip}write a root and a quality, for example Am, F#m7b5, G7, C/E, N.C."
        )
    letter, sign, suffix, bass_letter, bass_sign = match.groups()
    quality = _OTHER_SUFFIXES.get(suffix, suffix)
    if quality not in QUALITIES and simplify:
        quality = _simplest(suffix)
    if quality not in QUALITIES:
        near = difflib.get_close_matches(quality, QUALITIES, n=1, cutoff=0.3) or [""]
        legal = ", ".join(name or "(none)" for name in QUALITIES)
        meant = f"{letter}{sign}{near[0]}"
        raise InputError(f"{symbol!r}: quality {suffix!r} is unknown, did you mean {meant}? Legal: {legal}")
    root = _pitch_class(letter, sign)
    bass = _pitch_class(bass_letter, bass_sign) if bass_letter else None
    return Chord(0, root, quality, None if bass == root else bass)


def _simplest(suffix: str) -> str:
    plain = suffix.replace(" ", "")
    if _ADDED.fullmatch(plain) is None:
        return suffix
    return next((quality for start, quality in _EXTENDED if plain.startswith(start)), suffix)


def _name(tone: int, fifths: int) -> str:
    """A pitch class by the key; as a plain name where the key would ask for a double accidental."""
    letter, alter, _ = spell(60 + tone, fifths)
    return PITCH_CLASS_NAMES[tone] if abs(alter) > 1 else letter + {0: "", 1: "#", -1: "b"}[alter]


def _pitch_class(letter: str, sign: str) -> int:
    return (NATURALS[letter.upper()] + {"#": 1, "♯": 1, "b": -1, "♭": -1}.get(sign, 0)) % 12
