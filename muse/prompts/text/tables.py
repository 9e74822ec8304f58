"""Tables of words beside this file, one CSV each, read once.

Contents: :data:`EMOJI`, :data:`SYNONYMS`, :data:`TEMPO_WORDS`, :data:`MORE_INSTRUMENTS`, :data:`ENSEMBLES`.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from muse.theory import parse_instrument

__all__ = ["EMOJI", "ENSEMBLES", "MORE_INSTRUMENTS", "SYNONYMS", "TEMPO_WORDS"]


def _rows(name: str) -> list[list[str]]:
    """Rows of a table without its head."""
    text = (files("muse.prompts.text") / name).read_text(encoding="utf-8")
    return list(csv.reader(text.splitlines()))[1:]


EMOJI: Final[Mapping[str, str]] = MappingProxyType(dict(_rows("emoji.csv")))
"""Emoji (without variation signs) -> word of the emotion table; placed by us by their Unicode names."""

SYNONYMS: Final[Mapping[str, str]] = MappingProxyType(dict(_rows("synonyms.csv")))
"""Words of prompts -> the word of the emotion table that they stand near; chosen by us."""

TEMPO_WORDS: Final[Mapping[str, float]] = MappingProxyType({word: float(bpm) for word, bpm in _rows("tempos.csv")})
"""Tempo words -> BPM: the Italian ones as on common metronomes, the English ones placed among them by us."""

MORE_INSTRUMENTS: Final[Mapping[str, int]] = MappingProxyType(
    {words: parse_instrument(name) for words, name in _rows("instruments.csv")}
)
"""Words beside those of :mod:`muse.theory` -> program; without a General MIDI program they get the nearest sound."""

ENSEMBLES: Final[Mapping[tuple[str, str], tuple[str, ...]]] = MappingProxyType(
    {(words, genre): tuple(names.split("|")) for words, genre, names in _rows("ensembles.csv")}
)
"""(ensemble, genre) -> names of its instruments, one for every player; the genre is empty where it plays no part."""
