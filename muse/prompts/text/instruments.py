"""The instruments that a text names: one by one, several of a kind, or as an ensemble.

Conventions
-----------
ensembles
    *String quartet*, *jazz trio*, *orchestra* stand for their players (:data:`~muse.prompts.text.tables.ENSEMBLES`), a
    violin twice where two play; where the text goes on to name the players itself (*jazz trio with piano, bass and
    drums*), those are meant.
numbers
    *Two violins* are two.

Contents: :func:`find_phrases`, :func:`find_instruments`; :class:`Phrase`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Final

from muse.errors import InputError
from muse.prompts.parsed import Evidence
from muse.prompts.text.language import is_negated, whole_words
from muse.prompts.text.tables import ENSEMBLES, MORE_INSTRUMENTS
from muse.theory import instrument_name, instrument_words, parse_instrument

__all__ = ["NOT_INSTRUMENTS", "Phrase", "find_instruments", "find_phrases"]

_EVERYDAY: Final = frozenset(
    "voice lead ensemble reed pipe ethnic percussive string keys helicopter applause gunshot seashore".split()
) | {"telephone ring", "bird tweet", "sound effects", "synth effects", "breath noise"}
"""Names of instruments that prose uses in another sense."""

NOT_INSTRUMENTS: Final = re.compile(
    r"no strings attached|heart ?strings|pull\w* (?:some |the )?strings|(?:guitar|shoe) ?strings|"
    r"(?:car|fog|train) ?horns?|"
    r"train whistle|whistle of|tape recorder|singer songwriter|beats? per|drum rolls of|key ?board shortcuts|"
    r"organ (?:donor|transplant)|brass (?:tacks|handle|plate)|rubber band|note ?pad|launch pad|"
    r"alarm bells?|bass fishing"
)
"""Idioms and things with the name of an instrument in them."""

_GENRES_OF_INSTRUMENTS = whole_words([r"drum (?:and|n|'n'|&) bass", r"synth ?(?:pop|wave)", r"(?:12|twelve) bar blues"])
_COUNT = re.compile(r"(?<![\w/.])(two|three|four|2|3|4) $")
_COUNTS: Final = {"two": 2, "three": 3, "four": 4, "2": 2, "3": 3, "4": 4}
_MEMBERS = re.compile(r"\s*(?:with|of|:|\()")


@dataclass(frozen=True)
class Phrase:
    """Words of a text that name an instrument or an ensemble."""

    start: int
    end: int
    name: str
    """As the tables have it."""
    count: int
    """How many of it."""

    @property
    def is_ensemble(self) -> bool:
        """Whether it names several players."""
        return (self.name, "") in ENSEMBLES


@cache
def _names() -> Mapping[str, int]:
    """Words for single instruments -> program."""
    names = {
        name: program
        for name, program in instrument_words().items()
        if name not in _EVERYDAY and not name.startswith("fx ")
    }
    return MappingProxyType(names | dict(MORE_INSTRUMENTS))


@cache
def _pattern() -> re.Pattern[str]:
    phrases = {*_names(), *(name for name, _ in ENSEMBLES)}
    return whole_words(re.escape(name).replace(r"\ ", r"\s+") + "(?:s|es)?" for name in phrases)


def find_phrases(flat: str) -> list[Phrase]:
    """Instruments and ensembles in a flattened text, in order."""

    def blank(match: re.Match[str]) -> str:
        return " " * len(match[0])

    known = {*_names(), *(name for name, _ in ENSEMBLES)}
    found = []
    for match in _pattern().finditer(_GENRES_OF_INSTRUMENTS.sub(blank, NOT_INSTRUMENTS.sub(blank, flat))):
        phrase = " ".join(match[0].split())
        name = next(f for f in (phrase, phrase.removesuffix("s"), phrase.removesuffix("es")) if f in known)
        several = _COUNT.search(flat, 0, match.start()) if name != phrase else None
        found.append(Phrase(match.start(), match.end(), name, _COUNTS[several[1]] if several else 1))
    return found


def find_instruments(
    text: str, flat: str, phrases: Sequence[Phrase], genre: str
) -> tuple[list[Evidence], list[Evidence]]:
    """Instruments that are asked for, and those that are not wanted.

    Parameters
    ----------
    text
        What was written.
    flat
        The same, see :func:`~muse.prompts.text.language.flatten`.
    phrases
        See :func:`find_phrases`.
    genre
        That the text names, or nothing; a piano trio of jazz has other players.

    Returns
    -------
    tuple
        A row ``instruments`` with a name for every player and a row ``instrument`` for every kind; and rows
        ``without``.
    """
    players: dict[int, tuple[str, int, str]] = {}  # program -> name, how many, words
    without = []
    wanted = []
    for phrase in phrases:
        words = text[phrase.start : phrase.end]
        if is_negated(flat, phrase.start):
            name = words.lower() if phrase.is_ensemble else instrument_name(_names()[phrase.name])
            without.append(Evidence("without", name, words))
        else:
            wanted.append(phrase)
    for phrase in wanted:
        names = _players(phrase, wanted, flat, genre)
        for name in dict.fromkeys(names):
            program, count = parse_instrument(name), names.count(name) * phrase.count
            first = players.get(program, (name, 0, text[phrase.start : phrase.end]))
            players[program] = first[0], max(first[1], count), first[2]
    if not players:
        return [], without
    words = ", ".join(dict.fromkeys(words for _, _, words in players.values()))
    named = tuple(name for name, count, _ in players.values() for _ in range(count))
    rows = [Evidence("instruments", named, words)]
    rows += [Evidence("instrument", instrument_name(p), words) for p, (_, _, words) in players.items()]
    return rows, without


def _players(phrase: Phrase, wanted: Sequence[Phrase], flat: str, genre: str) -> tuple[str, ...]:
    """Names of the instruments of a phrase; none for an ensemble whose players the text names itself."""
    if phrase.is_ensemble:
        names = ENSEMBLES.get((phrase.name, genre), ENSEMBLES[phrase.name, ""])
        named = {one.name for one in wanted if one.start > phrase.end and not one.is_ensemble}
        is_listed = _MEMBERS.match(flat, phrase.end) is not None and len(named) >= len(set(names))
        return () if is_listed else names
    program = _names()[phrase.name]
    try:
        is_own_name = parse_instrument(phrase.name) == program
    except InputError:
        is_own_name = False
    return (phrase.name,) if is_own_name else (instrument_name(program),)
