"""The main path: an intent in, ranked pieces of music out.

:meth:`Composer.compose` reads like the diagram of the architecture page::

    Intent -> Brief (AttributeTarget) -> plan -> arrangement -> Score -> attributes, ratings -> ranked candidates

Conventions
-----------
* A *candidate* is one piece written for a request; a *composition* is all of them, best first.
* A tune that is given stands in the plan note for note, from its first bar; what is written around it is chosen
  knowing it. Key and tempo are the tune's own where the request leaves them open; a key that was asked for moves it.
* The same checkpoints, intent, seed, sampling, number of candidates and device give the same file, byte for byte.
* A composer may be shared by threads: what belongs to a call lives in the call.

Contents: :class:`Composer`, :func:`compose`, :func:`versions`.
"""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

import muse
from muse.attributes import SECTION_BARS, SECTION_CONTROLS, SONG_CONTROLS, extract
from muse.checkpoint import find
from muse.composer.arrange import DEFAULT_ARRANGER
from muse.composer.brief import Brief, decide, fitting_bars
from muse.composer.composition import Candidate, Composition
from muse.composer.plan import DEFAULT_PLANNER
from muse.composer.rank import DEFAULT_RANKING, Ranking, adherence, merit
from muse.composer.stages import Piece, Stages, WrittenBar
from muse.emotion import Emotion, EmotionPath
from muse.errors import InputError, is_whole, unknown
from muse.generator.sampler import Sampling
from muse.intent import Intent
from muse.mapping import EmotionMapper
from muse.selector import Ratings, Selector
from muse.selector.events import MIN_NOTES
from muse.selector.model import DEFAULT_SELECTOR
from muse.tokens import Controls
from muse.tokens.plan import Plan

__all__ = ["N_CANDIDATES", "Composer", "compose", "versions"]

N_CANDIDATES = 8
"""Pieces written for a request that does not say how many."""
_MAX_CANDIDATES = 256


@dataclass(frozen=True)
class Composer:
    """Planner, arranger and performer with the emotion mapping; see :meth:`from_pretrained`."""

    stages: Stages
    mapper: EmotionMapper
    selector: Selector | None = None
    controls: Controls = field(default_factory=Controls.load)
    versions: Mapping[str, str] = field(default_factory=dict)
    load_s: float = 0.0

    @classmethod
    def from_pretrained(
        cls,
        planner: str | Path = DEFAULT_PLANNER,
        arranger: str | Path = DEFAULT_ARRANGER,
        *,
        selector: str | Path | None = DEFAULT_SELECTOR,
        device: str = "cpu",
    ) -> Composer:
        """Load checkpoint folders, by the names of those that come with Muse or by path.

        Parameters
        ----------
        planner
            Checkpoint that writes lead sheets.
        arranger
            Checkpoint that writes what the instruments play to them.
        selector
            Checkpoint that rates candidates; None ranks by adherence alone.

        Raises
        ------
        InputError
            There is no such checkpoint, or it is incomplete.
        """
        started = time.perf_counter()
        stages = Stages.from_pretrained(planner, arranger, device=device)
        rater = None if selector is None else Selector.from_pretrained(selector, device=device)
        made_by = versions(planner, arranger, selector=selector)
        mapper = EmotionMapper.from_pretrained()
        return cls(stages, mapper, rater, versions=made_by, load_s=time.perf_counter() - started)

    def compose(
        self,
        intent: Intent | None = None,
        *,
        n_candidates: int = N_CANDIDATES,
        sampling: Sampling = Sampling(),
        ranking: Ranking = DEFAULT_RANKING,
        seed: int | None = None,
        plan: Plan | None = None,
        progress: Callable[[float], None] | None = None,
        on_bar: Callable[[WrittenBar], None] | None = None,
        **fields: Any,
    ) -> Composition:
        """Write `n_candidates` pieces for a request and rank them.

        Parameters
        ----------
        intent
            The request; or give its fields as keywords (``emotion="sad", bars=16``).
        n_candidates
            1..256, written in one batch.
        ranking
            Weights of what decides between them.
        seed
            Makes the result repeatable; drawn and reported when None.
        plan
            A lead sheet to arrange, as :attr:`Composition.plan` is one; see :meth:`arrange`.
        progress
            Called with the share done, 0..1.
        on_bar
            Called with each bar of each candidate as soon as it is written, in order.

        Raises
        ------
        InputError
            The request asks for something that does not exist: genre, attribute, meter; or what it gives does not fit.
        """
        started = time.perf_counter()
        intent = intent if intent is not None else Intent(**fields)
        if not is_whole(n_candidates) or not 1 <= n_candidates <= _MAX_CANDIDATES:
            raise InputError(f"n_candidates is {n_candidates!r}; legal are 1..{_MAX_CANDIDATES}")
        if seed is not None and (not is_whole(seed) or seed < 0):
            raise InputError(f"seed is {seed!r}; legal are whole numbers from 0")
        seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else int(seed)
        rng = np.random.default_rng(seed)

        brief = decide(intent, self.controls, self.mapper, rng, plan)  # what was left open; emotion -> attributes
        pieces = self.stages.write(
            brief.request(intent), n_candidates, sampling=sampling, rng=rng, progress=progress, on_bar=on_bar
        )
        written = time.perf_counter()
        made = [self._candidate(number, piece, brief) for number, piece in enumerate(pieces)]
        candidates = self._rated(made, intent, ranking)
        candidates.sort(key=lambda candidate: -candidate.merit)  # stable: ties stay in the order of writing
        finished = time.perf_counter()
        timing = {
            "load_s": round(self.load_s, 3),
            "generate_s": round(written - started, 3),
            "total_s": round(finished - started + self.load_s, 3),
        }
        return Composition(
            tuple(candidates), intent, brief.song, brief, seed, sampling, timing, self.versions, ranking,
            self.mapper.explain(candidates[0].measured),
        )  # fmt: skip

    def arrange(self, plan: Plan, *, intent: Intent | None = None, **options: Any) -> Composition:
        """Arrange and perform a lead sheet as it is, chords, tune and form.

        Parameters
        ----------
        plan
            For example :attr:`Composition.plan`, edited; key, meter and bars are its own.
        intent
            For whom and how: instruments, emotion, genre, tempo, attributes. Its fields may be given as keywords.
        **options
            Fields of the intent, or what :meth:`compose` takes.

        Raises
        ------
        InputError
            As :meth:`compose`.

        Examples
        --------
        ``composer.arrange(piece.plan, instruments="violin, viola, cello", emotion="calm", seed=1)``
        """
        keywords = inspect.signature(self.compose).parameters
        ours = {name: options.pop(name) for name in list(options) if name in keywords}
        intent = intent or Intent(**options)
        numerator, denominator = plan.time_signature
        intent = replace(intent, bars=len(plan.bars), time_signature=f"{numerator}/{denominator}", key=None)
        return self.compose(intent, plan=plan, **ours)

    # ------------------------------------------------------------------ steps

    def _candidate(self, number: int, piece: Piece, brief: Brief) -> Candidate:
        measured = extract(piece.score, names=SONG_CONTROLS).to_dict()
        parts = extract(piece.score, names=SECTION_CONTROLS, bars=SECTION_BARS)
        closeness = adherence(brief, measured, parts.values, self.controls)
        return Candidate(piece.score, piece.plan, measured, closeness, number=number)

    def _rated(self, candidates: list[Candidate], intent: Intent, ranking: Ranking) -> list[Candidate]:
        """The candidates with ratings and merit."""
        ratings: list[Ratings | None] = [None] * len(candidates)
        if self.selector is not None:
            rateable = [i for i, candidate in enumerate(candidates) if candidate.n_notes >= MIN_NOTES]
            for i, rating in zip(rateable, self.selector.rate([candidates[i].score for i in rateable]), strict=True):
                ratings[i] = rating
        return [
            replace(candidate, ratings=rating, merit=merit(candidate.adherence, rating, intent, ranking))
            for candidate, rating in zip(candidates, ratings, strict=True)
        ]


def versions(
    planner: str | Path = DEFAULT_PLANNER,
    arranger: str | Path = DEFAULT_ARRANGER,
    *,
    selector: str | Path | None = DEFAULT_SELECTOR,
) -> dict[str, str]:
    """Names of what composes: Muse's version, planner, arranger and selector; loads none of them.

    Raises
    ------
    InputError
        There is no such checkpoint.
    """
    made_by = {
        "muse": muse.__version__,
        "planner": find(planner, "llama", with_file="examples.json").name,
        "arranger": find(arranger, "llama", with_file="controls.json").name,
    }
    return made_by if selector is None else {**made_by, "selector": find(selector, "muse-selector").name}


def compose(
    emotion: str | Emotion | EmotionPath | tuple[float, float] | None = None,
    *,
    valence: float | None = None,
    arousal: float | None = None,
    bars: int | None = None,
    genre: str | None = None,
    tempo: float | None = None,
    tempo_bpm: float | None = None,
    key: str | None = None,
    time_signature: str | None = None,
    instruments: str | list[str] | tuple[str, ...] | None = None,
    attributes: Mapping[str, float] | None = None,
    melody: Any = None,
    chords: str | None = None,
    form: str | None = None,
    seed: int | None = None,
    n_candidates: int = N_CANDIDATES,
    sampling: Sampling = Sampling(),
    ranking: Ranking = DEFAULT_RANKING,
    planner: str | Path = DEFAULT_PLANNER,
    arranger: str | Path = DEFAULT_ARRANGER,
    progress: Callable[[float], None] | None = None,
    on_bar: Callable[[WrittenBar], None] | None = None,
    **others: Any,
) -> Composition:
    """Compose a piece: ``muse.compose(emotion="sad", bars=16, seed=0).save("sad.mid")``.

    The composer is loaded once and shared; the function may be called from several threads.

    Parameters
    ----------
    emotion
        A word, a quadrant (``"Q3"``), an arc (``"calm>tense"``) or a point (valence, arousal), each in -1..1.
    valence, arousal
        The point, in place of *emotion*.
    bars, genre, tempo, key, time_signature, instruments, attributes, melody, chords, form
        As in :class:`muse.Intent`; *tempo* and *tempo_bpm* are the same, quarter notes a minute. Without *bars* a piece
        has 16, or as many as the chords, the tune or the form that are given.
    seed, n_candidates, sampling, ranking, progress, on_bar
        As in :meth:`Composer.compose`.
    planner, arranger
        Names or folders of checkpoints.

    Raises
    ------
    InputError
        Something asked for does not exist, contradicts itself, or is no keyword of this function.
    """
    if others:
        keywords = [name for name in inspect.signature(compose).parameters if name != "others"]
        raise unknown("keyword of compose", next(iter(others)), keywords)
    if tempo is not None and tempo_bpm is not None and tempo != tempo_bpm:
        raise InputError(f"tempo is {tempo:g} and tempo_bpm {tempo_bpm:g}: give one of them")
    if (valence is None) != (arousal is None):
        raise InputError("valence and arousal belong together: give both, each in -1..1")
    if valence is not None and arousal is not None:
        if emotion is not None:
            raise InputError("emotion and valence with arousal contradict one another: give the emotion in one way")
        emotion = (valence, arousal)
    given = {
        "bars": bars, "genre": genre, "tempo_bpm": tempo if tempo_bpm is None else tempo_bpm, "key": key,
        "time_signature": time_signature, "instruments": instruments, "attributes": attributes, "melody": melody,
        "chords": chords, "form": form,
    }  # fmt: skip
    intent = Intent(emotion=emotion, **{name: value for name, value in given.items() if value is not None})
    if bars is None:
        intent = replace(intent, bars=fitting_bars(intent))
    composer = _loaded(str(planner), str(arranger))
    return composer.compose(
        intent, n_candidates=n_candidates, sampling=sampling, ranking=ranking, seed=seed, progress=progress,
        on_bar=on_bar,
    )  # fmt: skip


_loading = threading.Lock()


def _loaded(planner: str, arranger: str) -> Composer:
    """The composer of two checkpoints, loaded by the first thread that asks."""
    with _loading:
        return _load(planner, arranger)


@lru_cache(maxsize=2)
def _load(planner: str, arranger: str) -> Composer:
    return Composer.from_pretrained(planner, arranger)
