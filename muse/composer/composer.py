"""The main path: an intent in, ranked pieces of music out.

:meth:`Composer.compose` reads like the diagram of the architecture page::

    Intent -> Brief (AttributeTarget) -> control prefix -> REMI ids -> Score -> attributes, ratings -> ranked candidates

Conventions
-----------
* A *candidate* is one piece written for a request; a *composition* is all of them, best first.
* A motif opens the piece note for note and comes back developed (:mod:`muse.composer.motif`); it is written while
  sampling, so what accompanies it is chosen knowing it. The first pitched instrument that was asked for plays it. Key
  and tempo are the motif's own where the request leaves them open; a key that was asked for moves it there.
* The same checkpoint, intent, seed, sampling, number of candidates and device give the same file, byte for byte.
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
from muse.attributes import extract
from muse.checkpoint import DEFAULT_CHECKPOINT, Settings, find, find_generator
from muse.composer.brief import Brief, decide
from muse.composer.composition import Candidate, Composition
from muse.composer.finish import finish
from muse.composer.rank import DEFAULT_RANKING, Ranking, adherence, merit
from muse.emotion import Emotion, EmotionPath
from muse.errors import InputError, is_whole, unknown
from muse.generator.sampler import Generated, Sampler, Sampling
from muse.grammar import Constraints, Grammar, TuneNote
from muse.intent import Intent
from muse.mapping import AttributeTarget, EmotionMapper
from muse.selector import Ratings, Selector
from muse.selector.events import MIN_NOTES
from muse.selector.model import DEFAULT_SELECTOR
from muse.tokens import SECTION_BARS, SECTION_CONTROLS, SONG_CONTROLS, Codec, Header
from muse.tokens.music import fold_shift
from muse.tokens.vocabulary import STEPS_PER_BEAT

__all__ = ["DEFAULT_SAMPLING", "Composer", "compose", "versions"]

DEFAULT_SAMPLING = Sampling(temperature=1.0, top_p=0.95, guidance=1.7)
"""Guidance by measurement: it raised the judged agreement of generated pieces more than any temperature did."""

_MAX_CANDIDATES = 256
_PREFIX_ROOM = 80  # header, song controls and the sections' controls of a training window


@dataclass(frozen=True)
class Composer:
    """A generator with its codec and the emotion mapping; see :meth:`from_pretrained`."""

    sampler: Sampler
    codec: Codec
    mapper: EmotionMapper
    selector: Selector | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    load_s: float = 0.0

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path = DEFAULT_CHECKPOINT,
        *,
        selector: str | Path | None = DEFAULT_SELECTOR,
        device: str = "cpu",
    ) -> Composer:
        """Load a checkpoint folder, by the name of one that comes with Muse or by path.

        Parameters
        ----------
        selector
            Checkpoint that rates candidates; None ranks by adherence alone.

        Raises
        ------
        InputError
            There is no such checkpoint, or it is incomplete.
        """
        started = time.perf_counter()
        folder = find_generator(name_or_path)
        settings = Settings.read(folder / "training.json")
        codec = Codec.load(folder, key_relative=settings.flag("key_relative"))
        Settings.read(folder / "config.json").expect("vocab_size", len(codec.vocabulary))
        # Positions that training never reached are no context.
        longest = settings.whole("max_tokens", 1, 2**20) + _PREFIX_ROOM
        sampler = Sampler.from_pretrained(folder, device=device, context=longest)
        rater = None if selector is None else Selector.from_pretrained(selector, device=device)
        made_by = versions(name_or_path, selector=selector)
        return cls(sampler, codec, EmotionMapper.from_pretrained(), rater, made_by, time.perf_counter() - started)

    def compose(
        self,
        intent: Intent | None = None,
        *,
        n_candidates: int = 4,
        sampling: Sampling = DEFAULT_SAMPLING,
        ranking: Ranking = DEFAULT_RANKING,
        seed: int | None = None,
        progress: Callable[[float], None] | None = None,
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
        progress
            Called with the share done, 0..1.

        Raises
        ------
        InputError
            The request asks for something that does not exist: genre, attribute, meter.
        """
        started = time.perf_counter()
        intent = intent if intent is not None else Intent(**fields)
        if not is_whole(n_candidates) or not 1 <= n_candidates <= _MAX_CANDIDATES:
            raise InputError(f"n_candidates is {n_candidates!r}; legal are 1..{_MAX_CANDIDATES}")
        if seed is not None and (not is_whole(seed) or seed < 0):
            raise InputError(f"seed is {seed!r}; legal are whole numbers from 0")
        seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else int(seed)
        rng = np.random.default_rng(seed)

        brief = decide(intent, self.codec, self.mapper, rng)  # what was left open; emotion -> attributes
        prefix, unconditional = self._prefixes(brief)  # attributes -> ids
        grammar = self._grammar(brief, intent)  # what may follow what
        rows = self.sampler.generate(
            prefix,
            n_candidates,
            grammar,
            sampling,
            rng,
            unconditional_prefix=unconditional,
            max_tokens=grammar.max_tokens,
            cut_ids=range(*self.codec.vocabulary.section),
            progress=None if progress is None else lambda _n: progress(grammar.share_done),
        )
        generated = time.perf_counter()
        candidates = [self._candidate(row, brief, intent) for row in rows]
        candidates = self._rated(candidates, intent, ranking)
        candidates.sort(key=lambda candidate: -candidate.merit)  # stable: ties stay in the order of writing
        finished = time.perf_counter()
        n_tokens = sum(len(row.ids) for row in rows)
        timing = {
            "load_s": round(self.load_s, 3),
            "generate_s": round(generated - started, 3),
            "total_s": round(finished - started + self.load_s, 3),
            "tokens": n_tokens,
            "tokens_per_s": round(n_tokens / max(generated - started, 1e-9), 1),
        }
        return Composition(
            tuple(candidates), intent, brief.song, brief, seed, sampling, timing, self.versions, ranking,
            self.mapper.explain(candidates[0].measured),
        )  # fmt: skip

    # ------------------------------------------------------------------ steps

    def _prefixes(self, brief: Brief) -> tuple[list[int], list[int]]:
        """Conditional and unconditional prefix, of one length."""
        header = self.codec.header_ids(
            Header(brief.genre, brief.mode, brief.tonic, self._written_meter(brief), brief.programs)
        )
        song = self.codec.song_control_ids(self._buckets(brief.song, "song", brief))
        unconditional = [self.codec.vocabulary.null] * len(SONG_CONTROLS)
        return [*header, *song.tolist()], [*header, *unconditional]

    def _grammar(self, brief: Brief, intent: Intent) -> Grammar:
        kinds = self.codec.sections(intent.bars)
        blocks = [
            self.codec.section_ids(kind, self._buckets(target, "section", brief)).tolist()
            for kind, target in zip(kinds, brief.sections, strict=True)
        ]
        constraints = Constraints(
            n_bars=intent.bars,
            time_signature=self._written_meter(brief),
            tempo_bpm=brief.tempo_bpm,
            programs=brief.programs,
            section_ids=blocks,
            barred_pitch_classes=[(brief.barred_third + (0 if self.codec.key_relative else brief.tonic)) % 12],
            sustained_end=True,
            tune=self._tune(brief),
            tune_program=brief.melodist,
        )
        return Grammar(self.codec.vocabulary, constraints)

    def _tune(self, brief: Brief) -> list[TuneNote]:
        """Notes of all statements as the model writes them."""
        shift = fold_shift(brief.tonic) if self.codec.key_relative else 0
        bar_steps = STEPS_PER_BEAT * self._written_meter(brief)[0]
        return [
            TuneNote(one.bar + step // bar_steps, step % bar_steps, pitch - shift, length)
            for one in brief.statements
            for step, length, pitch in zip(
                one.motif.step.tolist(), one.motif.length.tolist(), one.motif.pitch.tolist(), strict=True
            )
        ]

    def _written_meter(self, brief: Brief) -> tuple[int, int]:
        return self.codec.meter(brief.time_signature)

    def _buckets(self, target: AttributeTarget, scope: str, brief: Brief) -> np.ndarray:
        """Buckets in the order of the scope's controls; pitch is asked for where the model writes, around C."""
        values = target.values()
        if self.codec.key_relative and "Mean Pitch" in values:
            values["Mean Pitch"] -= fold_shift(brief.tonic)
        return self.codec.controls.encode(values, scope)

    def _candidate(self, row: Generated, brief: Brief, intent: Intent) -> Candidate:
        shift = fold_shift(brief.tonic) if self.codec.key_relative else 0
        score = finish(self.codec.decode(row.ids, shift=shift), brief, intent)
        measured = extract(score, names=SONG_CONTROLS).to_dict()
        parts = extract(score, names=SECTION_CONTROLS, bars=SECTION_BARS)
        closeness = adherence(brief, measured, parts.values, self.codec.controls)
        return Candidate(score, row.ids, measured, closeness, row.log_likelihood / max(row.n_sampled, 1))

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
    checkpoint: str | Path = DEFAULT_CHECKPOINT, *, selector: str | Path | None = DEFAULT_SELECTOR
) -> dict[str, str]:
    """Names of what composes: Muse's version, the generator and the selector; loads none of them.

    Raises
    ------
    InputError
        There is no such checkpoint.
    """
    made_by = {"muse": muse.__version__, "checkpoint": find_generator(checkpoint).name}
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
    motif: Any = None,
    seed: int | None = None,
    n_candidates: int = 4,
    sampling: Sampling = DEFAULT_SAMPLING,
    ranking: Ranking = DEFAULT_RANKING,
    checkpoint: str | Path = DEFAULT_CHECKPOINT,
    progress: Callable[[float], None] | None = None,
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
    bars, genre, tempo, key, time_signature, instruments, attributes, motif
        As in :class:`muse.Intent`; *tempo* and *tempo_bpm* are the same, quarter notes a minute.
    seed, n_candidates, sampling, ranking, progress
        As in :meth:`Composer.compose`.
    checkpoint
        Name or folder of the generator.

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
        "time_signature": time_signature, "instruments": instruments, "attributes": attributes, "motif": motif,
    }  # fmt: skip
    intent = Intent(emotion=emotion, **{name: value for name, value in given.items() if value is not None})
    composer = _loaded(str(checkpoint))
    return composer.compose(
        intent, n_candidates=n_candidates, sampling=sampling, ranking=ranking, seed=seed, progress=progress
    )


_loading = threading.Lock()


def _loaded(checkpoint: str) -> Composer:
    """The composer of a checkpoint, loaded by the first thread that asks."""
    with _loading:
        return _load(checkpoint)


@lru_cache(maxsize=2)
def _load(checkpoint: str) -> Composer:
    return Composer.from_pretrained(checkpoint)
