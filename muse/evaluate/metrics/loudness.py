"""Loudness in absolute terms: mean and spread of a piece's velocities, to be held against people's clips by quadrant.

Contents: :func:`measure_loudness`, :func:`people_loudness`, :data:`FIGURES`.
"""

from __future__ import annotations

from typing import TypeAlias

from muse.composer.playing import Playing
from muse.score import Notes

__all__ = ["FIGURES", "measure_loudness", "people_loudness"]

Quartiles: TypeAlias = tuple[float, float, float]
"""Below it lie a quarter, half and three quarters of the clips."""

FIGURES = ("mean", "spread")
"""Of the velocities of all notes of a piece: their mean and standard deviation, MIDI velocity 0..127."""


def measure_loudness(notes: Notes) -> dict[str, float]:
    """:data:`FIGURES` of a piece; NaN without notes."""
    if not len(notes):
        return dict.fromkeys(FIGURES, float("nan"))
    velocity = notes["velocity"].astype(float)
    return {"mean": float(velocity.mean()), "spread": float(velocity.std())}


def people_loudness(quadrant: int, figure: str) -> Quartiles:
    """Quartiles of EMOPIA's training clips of a quadrant 1..4 (:class:`muse.composer.playing.Playing`)."""
    table = Playing.load()
    low, middle, high = (table.mean if figure == "mean" else table.spread)[quadrant - 1].tolist()
    return low, middle, high
