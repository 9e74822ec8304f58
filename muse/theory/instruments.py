"""Instruments: what General MIDI calls them, what people call them, and what each can play.

Two tables lie beside this file. ``instruments.csv`` has a row for each of the 128 programs and one for the drum kit
(program 128); ``families.csv`` has the 16 families of General MIDI, each with the program that stands for it when
only the family is asked for.

Conventions
-----------
program
    General MIDI 0..127; percussion, which has none, is :data:`muse.score.DRUMS` (128).
range
    Sounding MIDI pitches, both ends included: what can be played at all, and what is usually written. For drums they
    are the numbers of the kit's sounds.
polyphony
    Most notes that one player sounds at once: strings that a bow reaches, mallets, fingers; for sections and choirs,
    the parts into which they usually divide.
roles
    ``melody``, ``harmony``, ``bass``, ``drums`` or ``effect``, the most usual first.

Sources: names and families, General MIDI System Level 1 (RP-003); ranges, Adler, *The Study of Orchestration*, 3rd ed.,
and the recommended ranges of General MIDI 2 (RP-024) for what is no acoustic instrument. An electronic sound is
played from a keyboard and has a keyboard's range and ten fingers.

Contents: :class:`Instrument`; :func:`instruments`, :func:`instrument_families`, :func:`instrument_words`;
:func:`parse_instrument`, :func:`instrument_name`, :func:`normalize_name`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from muse.errors import InputError, unknown
from muse.score import DRUMS

__all__ = [
    "Instrument",
    "instrument_families",
    "instrument_name",
    "instrument_words",
    "instruments",
    "normalize_name",
    "parse_instrument",
]


@dataclass(frozen=True, slots=True)
class Instrument:
    """An instrument and what it can play; see the module's conventions."""

    program: int
    """0..127, 128 for drums."""
    name: str
    """Lower case, as in General MIDI; ``"drums"`` for the kit."""
    family: str
    """One of :func:`instrument_families`, or ``"drums"``."""
    low: int
    """Lowest pitch that it can play."""
    high: int
    """Highest pitch that it can play."""
    usual_low: int
    """Lowest pitch that is usually written for it."""
    usual_high: int
    """Highest pitch that is usually written for it."""
    polyphony: int
    """Most notes at once."""
    has_pedal: bool
    """A pedal keeps struck notes sounding."""
    roles: tuple[str, ...]
    """What it does in an ensemble, the most usual first."""
    aliases: tuple[str, ...]
    """Other names. What has no program of its own (pipa, guzheng) is an alias of the nearest of its family."""


def _rows(table: str) -> list[dict[str, str]]:
    text = (files("muse.theory") / table).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@cache
def instruments() -> tuple[Instrument, ...]:
    """All 129 instruments; the index is the program."""
    return tuple(
        Instrument(
            program=int(row["program"]),
            name=row["name"],
            family=row["family"],
            low=int(row["low"]),
            high=int(row["high"]),
            usual_low=int(row["usual_low"]),
            usual_high=int(row["usual_high"]),
            polyphony=int(row["polyphony"]),
            has_pedal=row["pedal"] == "yes",
            roles=tuple(row["roles"].split("|")),
            aliases=tuple(filter(None, row["aliases"].split("|"))),
        )
        for row in _rows("instruments.csv")
    )


@cache
def instrument_families() -> Mapping[str, int]:
    """The 16 families of General MIDI, each with the program that stands for it."""
    return MappingProxyType({row["family"]: int(row["program"]) for row in _rows("families.csv")})


@cache
def instrument_words() -> Mapping[str, int]:
    """Every word that :func:`parse_instrument` knows, with its program.

    Lower case, without brackets, dashes and underscores. Where a word is both (``piano``), the family's or the common
    meaning wins over a longer name.
    """
    words = {normalize_name(one.name): one.program for one in instruments()}
    words |= {normalize_name(family): program for family, program in instrument_families().items()}
    words |= {normalize_name(alias): one.program for one in instruments() for alias in one.aliases}
    return MappingProxyType(words)


def parse_instrument(value: str | int) -> int:
    """Program of an instrument's name, family, common word or number (128 = drums).

    Raises
    ------
    InputError
        Unknown; the message names the nearest known instruments.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InputError(f"instrument {value!r} is neither a name nor a program number")
    if isinstance(value, int) or re.fullmatch(r"\s*[+-]?[0-9]{1,9}\s*", value):
        program = int(value)
        if not 0 <= program <= DRUMS:
            raise InputError(f"program {program} is out of range, legal are 0..127, and 128 for drums")
        return program
    words = instrument_words()
    plain = normalize_name(value)
    for form in (plain, plain.removesuffix("s"), plain + "s"):
        if form in words:
            return words[form]
    raise InputError(f"{unknown('instrument', value, words)} (also legal: program numbers 0..127)")


def instrument_name(program: int) -> str:
    """Name of a program, ``"drums"`` for 128."""
    return instruments()[program].name


def normalize_name(name: str) -> str:
    """A name in the form of :func:`instrument_words`: lower case, brackets, dashes and underscores as blanks."""
    return " ".join(re.sub(r"[()_-]+", " ", name.casefold()).split())
