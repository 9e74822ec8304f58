"""Sets of tags that people describe how music feels with, in the order in which networks predict them.

Contents: :data:`GEMS`, :data:`MOODS`.
"""

from __future__ import annotations

from typing import Final

__all__ = ["GEMS", "MOODS"]

GEMS: Final = (
    "amazement", "solemnity", "tenderness", "nostalgia", "calmness", "power", "joyful_activation", "tension", "sadness",
)  # fmt: skip
"""The Geneva Emotional Music Scale's nine factors (Zentner, Grandjean & Scherer 2008)."""

MOODS: Final = (
    "action", "adventure", "advertising", "background", "ballad", "calm", "children", "christmas", "commercial", "cool",
    "corporate", "dark", "deep", "documentary", "drama", "dramatic", "dream", "emotional", "energetic", "epic", "fast",
    "film", "fun", "funny", "game", "groovy", "happy", "heavy", "holiday", "hopeful", "inspiring", "love", "meditative",
    "melancholic", "melodic", "motivational", "movie", "nature", "party", "positive", "powerful", "relaxing", "retro",
    "romantic", "sad", "sexy", "slow", "soft", "soundscape", "space", "sport", "summer", "trailer", "travel", "upbeat",
    "uplifting",
)  # fmt: skip
"""The 56 moods and themes of MTG-Jamendo (Bogdanov et al. 2019)."""
