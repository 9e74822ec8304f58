"""The composer in several settings, and what knows no emotion, asked for the same quadrants with the same seeds.

Contents: :class:`Requests`, :func:`composed`, :func:`free_pieces`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from muse.evaluate.kept import Kept
from muse.evaluate.progress import Steps
from muse.evaluate.systems.maker import Maker, from_composer
from muse.evaluate.systems.system import System
from muse.intent import Intent

if TYPE_CHECKING:
    from muse.composer import Composer

__all__ = ["Requests", "composed", "free_pieces"]


@dataclass(frozen=True)
class Requests:
    """What every system is asked for: each quadrant with each seed."""

    n_pieces: int
    """Pieces per quadrant; seeds are 0, 1, ..."""
    bars: int
    """Of each piece."""

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Quadrant 1..4 and seed."""
        return ((quadrant, seed) for seed in range(self.n_pieces) for quadrant in (1, 2, 3, 4))

    def quadrant(self, quadrant: int) -> Intent:
        """The request for a quadrant and nothing else."""
        return Intent(emotion=f"Q{quadrant}", bars=self.bars)

    def free(self, _quadrant: int) -> Intent:
        """The request for bars alone."""
        return Intent(bars=self.bars)


def composed(
    name: str,
    composer: Composer,
    requests: Requests,
    intent_of: Callable[[int], Intent],
    n_candidates: int,
    kept: Kept,
    steps: Steps,
) -> System:
    """The composer's pieces.

    Parameters
    ----------
    name
        Of the system, under which its pieces are kept.
    composer
        Asked with its default settings but for the candidates.
    requests
        Quadrants and seeds.
    intent_of
        Quadrant 1..4 to the request that stands for it.
    n_candidates
        Of each piece; the best is taken.
    kept
        What an earlier run has finished.
    steps
        Counts each piece.
    """
    make, system = from_composer(composer, n_candidates=n_candidates), System()
    for quadrant, seed in requests:
        intent = intent_of(quadrant)
        # Where nothing is asked for, the quadrants would all get the same piece.
        own_seed = seed if intent.emotion or intent.attributes else 4 * seed + quadrant
        piece = kept.piece(f"{name}-{quadrant}-{seed}", partial(make, intent, own_seed))
        system.add(piece.score, quadrant, intent, piece.seconds)
        steps.tick()
    return system


def free_pieces(name: str, maker: Maker, requests: Requests, kept: Kept, steps: Steps) -> System:
    """The pieces of a maker that is asked for bars alone."""
    system = System()
    for quadrant, seed in requests:
        intent = requests.free(quadrant)
        piece = kept.piece(f"{name}-{quadrant}-{seed}", partial(maker, intent, 4 * seed + quadrant))
        system.add(piece.score, quadrant, intent, piece.seconds)
        steps.tick()
    return system
