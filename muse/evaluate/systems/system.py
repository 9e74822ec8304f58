"""The pieces of one system: a composer, people, a folder of files.

Contents: :class:`System`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from muse.intent import Intent
from muse.score import Score

__all__ = ["System"]


@dataclass
class System:
    """Pieces of one maker, and what was asked for."""

    scores: list[Score] = field(default_factory=list)
    quadrants: list[int] = field(default_factory=list)
    """Quadrant 1..4 asked for, of each piece, 0 where it was asked for none; empty where there were no requests."""
    intents: list[Intent] = field(default_factory=list)
    """Requests; empty where there were none."""
    seconds: list[float] = field(default_factory=list)
    """Time that each piece took; empty where it is not known."""

    def add(self, score: Score, quadrant: int, intent: Intent, seconds: float) -> None:
        """One piece more."""
        self.scores.append(score)
        self.quadrants.append(quadrant)
        self.intents.append(intent)
        self.seconds.append(seconds)
