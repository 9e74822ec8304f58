"""The critic of plans: would people have written these bars, or only the planner?

A causal model over the planner's own tokens that answers after each bar with one of two ids; the difference of their
logits is the log odds that people wrote what it has read (see :mod:`muse.training.critic`). It reads a plan without
what was asked of it, so it says nothing about the emotion.

Contents: :class:`Critic`, :func:`spell`; :data:`PEOPLE`, :data:`MADE`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from muse.checkpoint import find
from muse.errors import InputError
from muse.files import read_json
from muse.generator.sampler import Sampler
from muse.tokens.plan import BOS, EOS, VOCABULARY, Plan, Prefix, encode_bar, encode_prefix, fold_shift
from muse.tokens.plan_form import follow

__all__ = ["DEFAULT_CRITIC", "MADE", "PEOPLE", "WINDOW_BARS", "Critic", "spell"]

DEFAULT_CRITIC = "plan-critic"
PEOPLE: Final = EOS
"""Its answer where it takes the bars so far for people's."""
MADE: Final = BOS
"""And where it does not."""
WINDOW_BARS: Final = 16
"""What it has learnt to judge; longer plans are judged in windows."""
_FAR: Final = 10_000  # bars left: it is not told where the end is


def spell(plan: Plan) -> list[int]:
    """Ids of a plan for the critic: key and controls untold, what returns found anew, and without its last bar, which
    would tell a whole piece from a part of a song."""
    moved = follow(plan.transposed(fold_shift(-plan.tonic)))
    prefix = encode_prefix(Prefix(plan.time_signature, plan.mode, None, from_start=False))
    return prefix + [i for bar in moved.bars[:-1] for i in encode_bar(bar, _FAR)]


class Critic:
    """Tells how likely people are to have written a plan. Use :meth:`from_pretrained`."""

    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path = DEFAULT_CRITIC, *, device: str = "cpu") -> Critic:
        """The critic of a checkpoint folder.

        Raises
        ------
        InputError
            There is no such checkpoint, or it is of other tokens.
        """
        folder = find(name_or_path, "llama", with_file="vocabulary.json")
        VOCABULARY.check(read_json(folder / "vocabulary.json"), folder)
        return cls(Sampler.from_pretrained(folder, device=device))

    def score(self, plan: Plan) -> float:
        """Log odds that people wrote the plan, the mean over windows of :data:`WINDOW_BARS` bars.

        Raises
        ------
        InputError
            The plan has fewer than two bars.
        """
        n = len(plan.bars)
        if n < 2:
            raise InputError(f"a plan of {n} bars is too short to be judged; give two or more")
        firsts = range(0, max(n - WINDOW_BARS // 2, 1), WINDOW_BARS) if n > WINDOW_BARS else range(1)
        windows = [replace(plan, bars=plan.bars[i : i + WINDOW_BARS], sections=()) for i in firsts]
        return float(np.mean([self._of(spell(window)) for window in windows]))

    def _of(self, ids: list[int]) -> float:
        logits = self.sampler.logits(ids)[-1]
        return float(logits[PEOPLE] - logits[MADE])
