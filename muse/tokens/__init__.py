"""Tokens: lead sheets, arrangements and windows of music as ids, and the buckets of attributes."""

from muse.attributes import SECTION_BARS, SECTION_CONTROLS, SONG_CONTROLS
from muse.tokens.controls import Controls
from muse.tokens.music import Codec
from muse.tokens.plan import Plan
from muse.tokens.vocabulary import GENRES, Vocabulary

__all__ = [
    "GENRES",
    "SECTION_BARS",
    "SECTION_CONTROLS",
    "SONG_CONTROLS",
    "Codec",
    "Controls",
    "Plan",
    "Vocabulary",
]
