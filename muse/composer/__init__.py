"""The composer: from an intent to ranked candidates of music."""

from muse.composer.composer import (
    DEFAULT_RANKING,
    DEFAULT_SAMPLING,
    Candidate,
    Composer,
    Composition,
    Ranking,
    Sampling,
    compose,
)

__all__ = [
    "DEFAULT_RANKING",
    "DEFAULT_SAMPLING",
    "Candidate",
    "Composer",
    "Composition",
    "Ranking",
    "Sampling",
    "compose",
]
