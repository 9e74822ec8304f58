"""Ranking: how near a candidate comes to what was asked for, and which is the best.

Conventions
-----------
adherence
    0..1, how close measured attributes are to those asked for, each compared on its own quantile scale (the shares of
    the corpus below the two values), weighted as the target weights them; 1 is an exact match, NaN where nothing was
    asked for.
merit
    0..1, what candidates are ranked by: the mean, weighted by :class:`Ranking`, of adherence, the selector's quality,
    the overlap of its quadrant probabilities with the quadrants asked for, and its probability of the genre asked for.
    What was not asked for does not count.

Contents: :class:`Ranking`, :func:`adherence`, :func:`merit`, :func:`quadrants_asked`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from muse.composer.brief import Brief, edges_by_name
from muse.composer.playing import quadrant_shares
from muse.emotion import EmotionPath
from muse.errors import InputError, is_number
from muse.intent import Intent
from muse.mapping import AttributeTarget
from muse.selector import Ratings
from muse.tokens import SECTION_CONTROLS, Controls

__all__ = ["DEFAULT_RANKING", "Ranking", "adherence", "merit", "quadrants_asked"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ranking:
    """Weights of what makes a candidate the better one; 0 leaves a thing out."""

    adherence: float = 0.5
    """Closeness of the measured attributes to those asked for."""
    quality: float = 0.5
    """The selector's probability that people wrote it."""
    emotion: float = 1.5
    """Overlap of the quadrants that the selector gives with those asked for; only where an emotion is asked for."""
    genre: float = 0.5
    """The selector's probability of the genre; only where one is asked for."""

    def __post_init__(self) -> None:
        weights = vars(self)
        faults = [
            f"{name} is {weight!r}"
            for name, weight in weights.items()
            if not (is_number(weight) and 0 <= weight < math.inf)
        ]
        if faults or not any(weights.values()):
            raise InputError(f"ranking weights are 0 or more and not all 0; {'; '.join(faults) or 'all are 0'}")


DEFAULT_RANKING = Ranking()


def merit(closeness: float, ratings: Ratings | None, intent: Intent, ranking: Ranking) -> float:
    """Weighted mean of what was asked for and can be measured, 0..1.

    Parameters
    ----------
    closeness
        Adherence, NaN where no attribute was asked for.
    ratings
        The selector's; None leaves adherence alone.
    """
    terms = [] if math.isnan(closeness) else [(ranking.adherence, closeness)]
    if ratings is not None:
        terms.append((ranking.quality, ratings.quality))
        if intent.emotion is not None:
            asked = quadrants_asked(intent.emotion, intent.bars)
            terms.append((ranking.emotion, float(np.minimum(asked, ratings.quadrants).sum())))
        if intent.genre is not None:
            terms.append((ranking.genre, ratings.genres.get(intent.genre, 0.0)))
    total = sum(weight for weight, _ in terms)
    if total:
        return sum(weight * value for weight, value in terms) / total
    return 0.0 if math.isnan(closeness) else closeness


def quadrants_asked(path: EmotionPath, bars: int) -> Floats:
    """Share of each quadrant along a path [4]; see :func:`muse.composer.playing.quadrant_shares`."""
    return np.mean([quadrant_shares(path.at_bar(bar, bars)) for bar in range(bars)], axis=0)


def adherence(brief: Brief, measured: Mapping[str, float], parts: NDArray[np.floating], controls: Controls) -> float:
    """Weighted mean closeness over the song's controls and, with the same total weight, over its sections'.

    Parameters
    ----------
    measured
        Attributes of the whole piece by name.
    parts
        Those of the sections [n_sections, n_section_controls].

    Returns
    -------
    float
        0..1; NaN where nothing was asked for.
    """
    song = _closeness(brief.song, measured, edges_by_name(controls, "song"))
    edges = edges_by_name(controls, "section")
    sections = [
        _closeness(target, dict(zip(SECTION_CONTROLS, row.tolist(), strict=True)), edges)
        for target, row in zip(brief.sections, parts, strict=False)
    ]
    defined = [value for value in sections if not math.isnan(value)]
    scopes = [*([] if math.isnan(song) else [song]), *([float(np.mean(defined))] if defined else [])]
    return float(np.mean(scopes)) if scopes else math.nan


def _closeness(target: AttributeTarget, measured: Mapping[str, float], edges: Mapping[str, Sequence[float]]) -> float:
    """1 - twice the weighted mean distance in shares of the corpus, at least 0; NaN where nothing is asked."""
    total = weight_sum = 0.0
    for name, asked, weight in zip(target.names, target.value, target.weight, strict=True):
        got = measured.get(name, math.nan)
        distance = 0.5 if math.isnan(got) else abs(_share(got, edges[name]) - _share(asked, edges[name]))
        total += weight * max(0.0, 1.0 - 2.0 * distance)
        weight_sum += weight
    return total / weight_sum if weight_sum else math.nan


def _share(value: float, edges: Sequence[float]) -> float:
    """Share of the corpus below a value, linear between octiles, and beyond the outer ones at their slope."""
    cuts = np.maximum.accumulate(np.asarray(edges, dtype=np.float64))
    shares = np.arange(1, len(cuts) + 1) / (len(cuts) + 1)
    spread = max(float(cuts[-1] - cuts[0]) / (len(cuts) - 1), 1e-9)
    ends = np.concatenate([[cuts[0] - 2 * spread], cuts, [cuts[-1] + 2 * spread]])
    return float(np.interp(value, ends, np.concatenate([[0.0], shares, [1.0]])))
