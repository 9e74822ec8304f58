"""Tokens: the vocabulary, the codec between scores and ids, and the grammar of what may follow what."""

from muse.tokens.codec import Codec, Header
from muse.tokens.controls import Controls
from muse.tokens.grammar import Grammar, TuneNote
from muse.tokens.vocabulary import GENRES, SECTION_BARS, SECTION_CONTROLS, SONG_CONTROLS, Vocabulary

__all__ = [
    "GENRES",
    "SECTION_BARS",
    "SECTION_CONTROLS",
    "SONG_CONTROLS",
    "Codec",
    "Controls",
    "Grammar",
    "Header",
    "TuneNote",
    "Vocabulary",
]
