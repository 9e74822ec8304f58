"""The composer: from an intent to ranked candidates of music. The main path is :mod:`muse.composer.composer`."""

from muse.composer.brief import fitting_bars
from muse.composer.composer import Composer, compose, versions
from muse.composer.composition import Candidate, Composition
from muse.composer.rank import DEFAULT_RANKING, Ranking
from muse.composer.stages import WrittenBar
from muse.generator.sampler import Sampling

__all__ = [
    "DEFAULT_RANKING",
    "Candidate",
    "Composer",
    "Composition",
    "Ranking",
    "Sampling",
    "WrittenBar",
    "compose",
    "fitting_bars",
    "versions",
]
