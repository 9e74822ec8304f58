"""How alike are the pieces of a group? Phrases that they share, and the spread of their features.

Conventions
-----------
attack
    Notes that begin together; its pitch is the highest of them.
IOI class
    ``round(2 * log2(seconds))`` of the time to the next attack: half octaves of duration, so that human timing does
    not count as variety.

Contents: :func:`phrases`, :func:`distinct_phrases`, :func:`shared_phrases`, :func:`spread_ratio`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from muse.score import DRUMS

__all__ = ["CHORD_GAP_SEC", "distinct_phrases", "phrases", "shared_phrases", "spread_ratio"]

Floats: TypeAlias = NDArray[np.float64]
Notes: TypeAlias = NDArray[np.void]
Phrase: TypeAlias = tuple[tuple[int, int], ...]

CHORD_GAP_SEC = 0.035
"""Onsets closer than this are one attack: transcribed hands spread a chord by 10 to 30 ms."""


def phrases(notes: Notes, n: int = 4, limit: int | None = None) -> list[Phrase]:
    """The n-grams of (pitch interval, IOI class) over successive attacks of pitched notes.

    Parameters
    ----------
    notes
        ``note_array``.
    n
        Pairs in a phrase.
    limit
        Look at this many attacks from the start only, so that groups with pieces of unlike length compare.
    """
    notes = notes[notes["program"] < DRUMS]
    notes = notes[np.argsort(notes["onset_sec"], kind="stable")]
    if len(notes) < 2:
        return []
    starts = np.flatnonzero(np.r_[True, np.diff(notes["onset_sec"]) > CHORD_GAP_SEC])
    top = np.maximum.reduceat(notes["pitch"].astype(int), starts)[:limit]
    time = notes["onset_sec"][starts][:limit]
    pace = np.round(2 * np.log2(np.diff(time))).astype(int)
    pairs = list(zip(np.diff(top).tolist(), pace.tolist(), strict=True))
    return [tuple(pairs[i : i + n]) for i in range(len(pairs) - n + 1)]


def distinct_phrases(pieces: Sequence[Sequence[Phrase]]) -> float:
    """Different phrases over all phrases of a group (distinct-n; Li et al., NAACL 2016): 0..1, NaN without phrases."""
    pool = [phrase for piece in pieces for phrase in piece]
    return len(set(pool)) / len(pool) if pool else float("nan")


def shared_phrases(pieces: Sequence[Sequence[Phrase]]) -> float:
    """Mean share of a piece's phrases that the nearest other piece of the group has too: 0..1, 1 for copies."""
    sets = [set(piece) for piece in pieces if piece]
    if len(sets) < 2:
        return float("nan")
    nearest = [max(len(a & b) / len(a) for j, b in enumerate(sets) if j != i) for i, a in enumerate(sets)]
    return float(np.mean(nearest))


def spread_ratio(values: Floats, reference: Floats) -> Floats:
    """Standard deviation of each column over that of a reference group: [n, k], [m, k] -> [k]; NaN if that is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.nanstd(values, axis=0) / np.nanstd(reference, axis=0)
    return np.where(np.isfinite(ratio), ratio, np.nan)
