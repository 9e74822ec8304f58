"""Tokens: the vocabulary, the controls, and the codec between scores and ids."""

from muse.tokens.controls import Controls
from muse.tokens.music import Codec, Header
from muse.tokens.plan import Plan
from muse.tokens.vocabulary import GENRES, SECTION_BARS, SECTION_CONTROLS, SONG_CONTROLS, Vocabulary

__all__ = [
    "GENRES",
    "SECTION_BARS",
    "SECTION_CONTROLS",
    "SONG_CONTROLS",
    "Codec",
    "Controls",
    "Header",
    "Plan",
    "Vocabulary",
]
