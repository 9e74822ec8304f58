"""Makers: what answers a request with a piece.

A maker is a function of request and seed. The composer is one; its three stages are others, with one lever pulled in
each (:func:`from_stages`), for ablations.

Contents: :data:`Maker`, :func:`from_composer`, :func:`from_stages`, :func:`without_form`, :func:`fingerprint`.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

import muse
from muse.checkpoint import contents, data_path, find
from muse.composer.arrange import Arrangement
from muse.composer.perform import Touch, perform
from muse.composer.plan import Planner, PlanRequest
from muse.composer.stages import SILENT_RUNNING, SILENT_SHARE, PieceRequest, Stages
from muse.evaluate.kept import Piece
from muse.evaluate.systems.people import as_loud
from muse.grammar.plan import PlanRules
from muse.intent import Intent
from muse.theory import Mode
from muse.tokens.plan import Bar, Plan

if TYPE_CHECKING:
    from muse.composer import Composer

__all__ = ["Maker", "fingerprint", "from_composer", "from_stages", "without_form"]

MAJOR_SHARE = 0.6
"""Of the pieces for which no quadrant says the mode; POP909's songs."""
TEMPO_BPM = (66, 116)
"""Tempo of the stages' pieces is drawn from here."""
_ABOVE = (b"cli/", b"evaluate/", b"serve/", b"tasks/", b"training/")
"""Rooms above the composer, whose code cannot change a piece."""
_MAKERS = b"evaluate/systems/"


Maker: TypeAlias = Callable[[Intent, int], Piece]
"""A request and a seed to a piece."""


def from_composer(composer: Composer, known: Mapping[tuple[Intent, int], Piece] | None = None, **options: Any) -> Maker:
    """The composer with its default settings.

    Parameters
    ----------
    composer
        Asked.
    known
        What it has already written, by request and seed.
    options
        Of :meth:`muse.composer.Composer.compose`, where they are not to be the defaults.
    """

    def make(intent: Intent, seed: int) -> Piece:
        started = time.perf_counter()
        if (piece := (known or {}).get((intent, seed))) is not None:
            return piece
        found = composer.compose(intent, seed=seed, **options)
        return Piece(
            tuple(one.score for one in found.candidates),
            found.plan,
            time.perf_counter() - started,
            tuple(dict(one.measured) for one in found.candidates),
            found.target.values(),
        )

    return make


def from_stages(
    stages: Stages, *, touch: Touch | None = None, arrange: Callable[[Plan], Arrangement] | None = None
) -> Maker:
    """The three stages without emotion or selection: a quadrant says the mode and no more.

    Parameters
    ----------
    stages
        Planner and arranger.
    touch
        How it is performed; as usual when None.
    arrange
        Takes the arranger's place.
    """

    def make(intent: Intent, seed: int) -> Piece:
        started = time.perf_counter()
        quadrant = int(intent.emotion.emotions[0].quadrant[1]) if intent.emotion is not None else 0
        rng = np.random.default_rng([seed, quadrant])
        request = replace(_piece_request(intent, rng), touch=as_loud(touch or Touch(), intent.bars, seed, rng))
        if arrange is None:
            piece = stages.write(request, rng=rng)[0]
            return Piece((piece.score,), piece.plan, time.perf_counter() - started)
        asked = PlanRequest(
            request.n_bars, request.time_signature, request.tonic, request.mode, request.genre,
            max_empty=request.n_bars // SILENT_SHARE, max_running=SILENT_RUNNING,
        )  # fmt: skip
        (plan,) = stages.planner.plan(asked, rng=rng)
        score = perform(arrange(plan), replace(request.touch, tempo_bpm=request.tempo_bpm), rng)
        return Piece((score,), plan, time.perf_counter() - started)

    return make


def _piece_request(intent: Intent, rng: np.random.Generator) -> PieceRequest:
    """The request for the stages; what is open is drawn."""
    key, emotion = intent.tonic_and_mode, intent.emotion
    mode: Mode = "major" if rng.random() < MAJOR_SHARE else "minor"
    if emotion is not None:
        mode = "major" if emotion.emotions[0].valence >= 0 else "minor"
    if key is not None:
        mode = "minor" if key[1] == "minor" else "major"
    return PieceRequest(
        n_bars=intent.bars,
        time_signature=intent.meter,
        tonic=int(rng.integers(12)) if key is None else key[0],
        mode=mode,
        tempo_bpm=intent.tempo_bpm or float(rng.integers(*TEMPO_BPM)),
        genre=intent.genre or "pop",
        programs=intent.players,
    )


def without_form(planner: Planner) -> Planner:
    """The same planner, but no bar may say that it follows an earlier one."""
    return _Formless(planner.sampler, planner.buckets, planner.examples)


class _Formless(Planner):
    def _rules(
        self, request: PlanRequest, form: str, shift: int, rng: np.random.Generator
    ) -> tuple[PlanRules, tuple[tuple[str, int], ...]]:
        rules, sections = super()._rules(request, form, shift, rng)
        return replace(rules, lags=dict.fromkeys(range(request.n_bars), Bar())), sections


def fingerprint(checkpoints: Iterable[str | Path]) -> str:
    """What a piece depends on: SHA-256, first 16 digits, of weights, fitted tables and the code that composes.

    Raises
    ------
    InputError
        There is no such checkpoint.
    """
    code = contents([Path(muse.__file__).parent]).splitlines()
    composing = (line for line in code if line.startswith(_MAKERS) or not line.startswith(_ABOVE))
    files = contents((*map(find, checkpoints), data_path("attributes")))
    return hashlib.sha256(files + b"\n".join(composing)).hexdigest()[:16]
