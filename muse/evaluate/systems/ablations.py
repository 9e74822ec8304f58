"""The three stages with one lever pulled in each: what do plan, form, arranger and performer give?

Contents: :class:`Ablation`, :func:`ablations`, :data:`N_ABLATIONS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from muse.composer.perform import Touch, perform
from muse.composer.stages import PieceRequest, Stages
from muse.dataset.lead_sheets import Sheet
from muse.evaluate.kept import Piece
from muse.evaluate.systems.maker import Maker, from_stages, without_form
from muse.evaluate.systems.people import as_loud
from muse.evaluate.systems.retrieval import Library
from muse.intent import Intent
from muse.tokens.plan import Plan

__all__ = ["N_ABLATIONS", "Ablation", "ablations"]

N_ABLATIONS = 7
_SIMPLE = "5-grams in place of both networks, no emotion, no choice"
_AS_PEOPLE = Touch(slows_down=False)


@dataclass(frozen=True)
class Ablation:
    """A system of the report."""

    name: str
    maker: Maker
    on_their_plans: bool = False
    """The seed is the number of the plan of people's that it is made on."""
    plans_too: bool = False
    """Its plans are told from people's by themselves too."""


def ablations(
    stages: Stages, plans: Sequence[Plan | None], library: Iterable[Sheet], baseline: Stages | None = None
) -> tuple[Ablation, ...]:
    """All of them, :data:`N_ABLATIONS` where there is a baseline.

    Parameters
    ----------
    stages
        Planner and arranger.
    plans
        Of people's windows.
    library
        Lead sheets whose accompaniments are retrieved, none of them of the songs of `plans`.
    baseline
        Stages with something simple in the networks' place; see :class:`muse.evaluate.systems.ngram.NGramStages`.
    """
    phrases = Library(library)

    def on(number: int) -> Plan:
        plan = plans[number]
        if plan is None:
            raise ValueError("people's windows have plans")
        return plan

    def touch(number: int) -> Touch:
        return as_loud(_AS_PEOPLE, len(on(number).bars), number, np.random.default_rng(number))

    def arranged(_: Intent, seed: int) -> Piece:
        plan = on(seed)
        request = PieceRequest(
            n_bars=len(plan.bars), time_signature=plan.time_signature, mode=plan.mode, plan=plan, touch=touch(seed)
        )
        return Piece((stages.write(request, rng=np.random.default_rng(seed))[0].score,), plan, 0.0)

    def retrieved(_: Intent, seed: int) -> Piece:
        score = perform(phrases.arrange(on(seed)), touch(seed), np.random.default_rng(seed))
        return Piece((score,), on(seed), 0.0)

    simple = () if baseline is None else (Ablation(_SIMPLE, from_stages(baseline), plans_too=True),)
    formless = Stages(without_form(stages.planner), stages.arranger)
    return (
        Ablation("people's plans, our arranger", arranged, on_their_plans=True),
        Ablation("people's plans, phrases of people's fitted to them", retrieved, on_their_plans=True),
        Ablation("planner and arranger, no emotion, no choice", from_stages(stages), plans_too=True),
        Ablation("the same without form", from_stages(formless), plans_too=True),
        Ablation("the same, deadpan", from_stages(stages, touch=Touch(deadpan=True))),
        Ablation("our plans, phrases of people's fitted to them", from_stages(stages, arrange=phrases.arrange)),
        *simple,
    )
