"""The main path: an intent in, ranked pieces of music out.

:meth:`Composer.compose` reads like the diagram of the architecture page::

    Intent -> AttributeTarget -> control prefix -> REMI ids -> Score -> attributes, ratings -> ranked candidates

Conventions
-----------
* A *candidate* is one piece written for a request; a *composition* is all of them, best first.
* *Adherence* in 0..1 is how close measured attributes are to those asked for, each compared on its own quantile scale
  (the shares of the corpus below the two values), weighted as the target weights them; 1 is an exact match.
* *Merit* in 0..1 is what candidates are ranked by: the mean, weighted by :class:`Ranking`, of adherence, the selector's
  quality, the overlap of its quadrant probabilities with the quadrants asked for, and its probability of the genre
  asked for. What was not asked for does not count.
* A motif opens the piece note for note and comes back developed (:mod:`muse.composer.motif`); it is written while
  sampling, so
  what accompanies it is chosen knowing it. The first pitched instrument that was asked for plays it. Key and tempo are
  the motif's own where the request leaves them open; a key that was asked for moves it there.
* The same checkpoint, intent, seed, sampling, number of candidates and device give the same file, byte for byte.

Contents: :class:`Composer`, :class:`Composition`, :class:`Candidate`, :class:`Ranking`, :func:`compose`.
"""

from __future__ import annotations

import difflib
import html
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import symusic

import muse
from muse.attributes.extract import extract
from muse.checkpoint import DEFAULT_CHECKPOINT, find
from muse.composer.motif import Motif, Statement, develop, key_of, tempo_of
from muse.emotion import EmotionPath
from muse.errors import InputError
from muse.files import read_json
from muse.generator.sampler import Generated, Sampler, Sampling
from muse.grammar import Grammar, TuneNote
from muse.intent import Intent
from muse.mapping.explain import Explanation
from muse.mapping.mapper import AttributeTarget, EmotionMapper
from muse.score import DRUMS, write_score
from muse.selector import Ratings, Selector
from muse.selector.events import MIN_NOTES
from muse.selector.model import DEFAULT_SELECTOR
from muse.theory import TONIC_NAMES, instrument_name
from muse.tokens import (
    GENRES,
    SECTION_BARS,
    SECTION_CONTROLS,
    SONG_CONTROLS,
    Codec,
    Controls,
    Header,
)
from muse.tokens.music import fold_shift
from muse.tokens.vocabulary import STEPS_PER_BEAT

__all__ = ["DEFAULT_SAMPLING", "Candidate", "Composer", "Composition", "Ranking", "Sampling", "compose"]

DEFAULT_SAMPLING = Sampling(temperature=1.0, top_p=0.95, guidance=1.7)
"""Guidance by measurement: it raised the judged agreement of generated pieces more than any temperature did."""

_TICKS_PER_BEAT = 480  # what sequencers expect
_MAX_CANDIDATES = 256
_PREFIX_ROOM = 80  # header, song controls and the sections' controls of a training window
_NEUTRAL_TEMPO_BPM = 100.0  # where neither tempo nor emotion is asked for
_MAJOR_SHARE = 0.6  # of the corpus' windows; where neither key nor emotion is asked for
# The piano writing of the corpus that has real dynamics and modern harmony; other ensembles leave the genre open.
_PIANO_GENRE = "pop"
_SHARPS = {0: 0, 7: 1, 2: 2, 9: 3, 4: 4, 11: 5, 6: 6, 1: -5, 8: -4, 3: -3, 10: -2, 5: -1}


@dataclass(frozen=True)
class Ranking:
    """Weights of what makes a candidate the better one; 0 leaves a thing out."""

    adherence: float = 1.0
    """Closeness of the measured attributes to those asked for."""
    quality: float = 1.0
    """The selector's probability that people wrote it."""
    emotion: float = 1.0
    """Overlap of the quadrants that the selector hears with those asked for; only where an emotion is asked for."""
    genre: float = 0.5
    """The selector's probability of the genre; only where one is asked for."""

    def __post_init__(self) -> None:
        weights = vars(self)
        faults = [f"{name} is {w}" for name, w in weights.items() if not (math.isfinite(w) and w >= 0)]
        if faults or not any(weights.values()):
            raise InputError(f"ranking weights are 0 or more and not all 0; {'; '.join(faults) or 'all are 0'}")


DEFAULT_RANKING = Ranking()


@dataclass(frozen=True)
class Candidate:
    """One piece that was written for a request."""

    score: symusic.Score
    ids: np.ndarray
    """uint16 [n], the music's ids without prefix."""
    measured: Mapping[str, float]
    """Attributes of the whole piece by name; NaN where undefined."""
    adherence: float
    """0..1, see the module's conventions."""
    log_likelihood: float
    """Mean over the tokens that were free to choose, nats, of the model without guidance."""
    ratings: Ratings | None = None
    """What the selector thinks of it; None without a selector, or where there are too few notes to rate."""
    merit: float = 0.0
    """0..1, what candidates are ranked by; see the module's conventions."""

    @property
    def n_notes(self) -> int:
        """Number of notes."""
        return int(sum(len(track.notes) for track in self.score.tracks))


@dataclass(frozen=True)
class Composition:
    """All candidates of a request, best first, with what was asked beside what was measured."""

    candidates: tuple[Candidate, ...]
    intent: Intent
    target: AttributeTarget
    plan: _Plan
    seed: int
    sampling: Sampling
    timing: Mapping[str, float]
    versions: Mapping[str, str]
    ranking: Ranking = Ranking()
    explanation: Explanation | None = None
    """Why the best candidate sounds as it does, by its measured attributes."""

    @property
    def best(self) -> Candidate:
        """The candidate of the greatest merit."""
        return self.candidates[0]

    def save(self, path: str | Path) -> None:
        """Write the best candidate as MIDI; intent and seed ride along in a text event."""
        write_score(self.best.score, path, text=json.dumps(self.origin(), ensure_ascii=False, sort_keys=True))

    def origin(self) -> dict[str, Any]:
        """What makes this piece again: intent, seed, sampling, candidates, versions."""
        return {
            "muse": dict(self.versions),
            "intent": self.intent.to_dict(),
            "seed": self.seed,
            "sampling": vars(self.sampling),
            "ranking": vars(self.ranking),
            "candidates": len(self.candidates),
        }

    def asked_and_measured(self) -> list[tuple[str, float, float, float]]:
        """(attribute, asked, measured, weight), the heaviest first."""
        rows = [
            (name, asked, self.best.measured.get(name, math.nan), weight)
            for name, asked, weight in zip(self.target.names, self.target.value, self.target.weight, strict=True)
        ]
        return sorted(rows, key=lambda row: -row[3])

    def report(self) -> str:
        """What was asked and what was measured, as text."""
        plan, best = self.plan, self.best
        lines = [
            f"{self.intent.bars} bars, {plan.time_signature[0]}/{plan.time_signature[1]}, {plan.key_name}, "
            f"{plan.tempo_bpm:.0f} bpm, {', '.join(instrument_name(p) for p in plan.programs)}; "
            f"{best.n_notes} notes; seed {self.seed}",
            *self._motif_line(),
            f"merit {best.merit:.2f} (candidates: {', '.join(f'{c.merit:.2f}' for c in self.candidates)}); "
            f"adherence {best.adherence:.2f}",
        ]
        if best.ratings:
            heard = best.ratings
            lines[-1] += f", quality {heard.quality:.2f}"
            lines.append(
                f"heard as valence {heard.emotion.valence:+.2f}, arousal {heard.emotion.arousal:+.2f} ("
                + ", ".join(f"Q{i + 1} {p:.2f}" for i, p in enumerate(heard.quadrants))
                + f"), {heard.genre}"
            )
        if self.explanation:
            lines.append(self.explanation.sentence())
        if self.target.names:
            lines.append(f"{'attribute':<40}{'asked':>10}{'measured':>10}")
            lines += [f"{name:<40}{asked:>10.3g}{got:>10.3g}" for name, asked, got, _ in self.asked_and_measured()]
        return "\n".join(lines)

    def _motif_line(self) -> list[str]:
        if not self.plan.statements:
            return []
        return ["motif: " + ", ".join(f"{one.how} in bar {one.bar + 1}" for one in self.plan.statements)]

    def to_json(self) -> dict[str, Any]:
        """The document of ``muse compose --json``, without ``output``."""
        best, end = self.best, float(self.best.score.to("Second").end())
        return {
            "seed": self.seed,
            "intent": self.intent.to_dict(),
            "target": self.target.to_dict(),
            "measured": {name: _finite(value) for name, value in best.measured.items()},
            "adherence": round(best.adherence, 4),
            "scores": _scores(best),
            "ratings": best.ratings.to_json() if best.ratings else None,
            "candidates": [{**_scores(c), "n_notes": c.n_notes} for c in self.candidates],
            **(self.explanation.to_json() if self.explanation else {}),
            "n_notes": best.n_notes,
            "bars": self.intent.bars,
            "motif": [one.to_json() for one in self.plan.statements],
            "duration_s": round(end, 3),
            "key": self.plan.key_name,
            "tempo_bpm": round(self.plan.tempo_bpm, 2),
            "timing": dict(self.timing),
            "versions": dict(self.versions),
        }

    def _repr_html_(self) -> str:
        """Piano roll and table, for notebooks."""
        from muse.render import piano_roll

        picture = piano_roll(self.best.score, format="svg")
        body = picture.decode("utf-8") if isinstance(picture, bytes) else ""
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{asked:.3g}</td><td>{got:.3g}</td></tr>"
            for name, asked, got, _ in self.asked_and_measured()
        )
        head = html.escape(self.report().splitlines()[0])
        return (
            f"<p>{head}</p>{body[body.find('<svg') :]}"
            f"<table><tr><th>attribute</th><th>asked</th><th>measured</th></tr>{rows}</table>"
        )


@dataclass(frozen=True)
class _Plan:
    """What a request leaves open, decided: the same for all candidates."""

    genre: str | None
    mode: str
    tonic: int
    tempo_bpm: float
    time_signature: tuple[int, int]
    programs: tuple[int, ...]
    song: AttributeTarget
    sections: tuple[AttributeTarget, ...]
    statements: tuple[Statement, ...] = ()
    """Of the motif, at the pitches that sound."""
    melodist: int = -1
    """Program that plays them."""

    @property
    def barred_third(self) -> int:
        """Semitones above the tonic of the other mode's third. Networks hold the mode badly (MI-MIDI, arXiv 2608.06638)
        and listeners hear it first (EMelodyGen), so it is ruled out: no other note decides between major and minor."""
        return 3 if self.mode == "major" else 4

    @property
    def key_name(self) -> str:
        return f"{TONIC_NAMES[self.mode][self.tonic]} {self.mode}"


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
        folder = find(name_or_path)
        settings = read_json(folder / "training.json")
        codec = Codec.load(folder, key_relative=bool(settings["key_relative"]))
        # Positions that training never reached are no context.
        longest = int(settings["max_tokens"]) + _PREFIX_ROOM
        sampler = Sampler.from_pretrained(folder, device=device, context=longest)
        versions = {"muse": muse.__version__, "checkpoint": folder.name}
        rater = None if selector is None else Selector.from_pretrained(selector, device=device)
        if selector is not None:
            versions["selector"] = find(selector).name
        return cls(sampler, codec, EmotionMapper.load(), rater, versions, time.perf_counter() - started)

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
        if not 1 <= n_candidates <= _MAX_CANDIDATES:
            raise InputError(f"n_candidates is {n_candidates}; legal are 1..{_MAX_CANDIDATES}")
        if seed is not None and seed < 0:
            raise InputError(f"seed is {seed}; legal are whole numbers from 0")
        seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else int(seed)
        rng = np.random.default_rng(seed)

        plan = self._plan(intent, rng)  # what was left open; emotion -> attributes
        prefix, unconditional = self._prefixes(plan)  # attributes -> ids
        grammar = self._grammar(plan, intent)  # what may follow what
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
        candidates = [self._candidate(row, plan, intent) for row in rows]
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
            tuple(candidates), intent, plan.song, plan, seed, sampling, timing, self.versions, ranking,
            self.mapper.explain(candidates[0].measured),
        )  # fmt: skip

    # ------------------------------------------------------------------ steps

    def _plan(self, intent: Intent, rng: np.random.Generator) -> _Plan:
        controls = self.codec.controls
        overrides = self._overrides(intent)
        n_sections = -(-intent.bars // SECTION_BARS)
        if intent.emotion is None:
            song, sections = _EMPTY_TARGET, [_EMPTY_TARGET] * n_sections
        else:
            state = rng.bit_generator.state
            song = self.mapper.target(intent.emotion, rng, edges=_edges(controls, "song"))
            # The sections vary with the song, not apart from it: the same draw again.
            again = np.random.default_rng()
            again.bit_generator.state = state
            sections = self.mapper.section_targets(
                intent.emotion, intent.bars, again, edges=_edges(controls, "section"), section_bars=SECTION_BARS
            )
        tempo = intent.tempo_bpm or (None if intent.motif is None else tempo_of(intent.motif))
        if tempo is not None:
            overrides["Mean Tempo"] = tempo
        song, *sections = (
            _overrule(target, _at_tempo(target, overrides), controls, scope)
            for target, scope in [(song, "song"), *((section, "section") for section in sections)]
        )

        asked = song.values()
        own_key = None if intent.motif is None else key_of(intent.motif)
        if intent.tonic_and_mode is not None:
            tonic, mode = intent.tonic_and_mode
        elif own_key is not None:
            tonic, mode = own_key.tonic, own_key.mode
        else:
            clarity = asked.get("Mode Clarity")
            major = rng.random() < _MAJOR_SHARE if clarity is None else clarity > 0
            mode = "major" if major else "minor"
            tonic = int(rng.integers(-4, 5)) % 12  # near C, so that the register asked for stays in reach
        genre = intent.genre
        if genre is None and intent.programs == (0,):
            genre = _PIANO_GENRE
        elif genre is not None and genre not in GENRES:
            near = difflib.get_close_matches(genre, GENRES, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise InputError(f"unknown genre {genre!r}; known are {', '.join(GENRES)}{hint}")
        tempo = tempo or asked.get("Mean Tempo", _NEUTRAL_TEMPO_BPM)
        plan = _Plan(
            genre, mode, tonic, float(tempo), intent.meter, tuple(sorted(intent.programs)), song, tuple(sections)
        )
        if intent.motif is None:
            return plan
        melodist = _melodist(intent)
        moved = 0 if own_key is None else fold_shift(tonic - own_key.tonic)
        meter = self._written_meter(plan)
        statements = develop(
            Motif.of(intent.motif, meter[1]).moved(moved).within_range(), n_bars=intent.bars,
            bar_steps=STEPS_PER_BEAT * meter[0], tonic=tonic, mode=mode, rng=rng,
        )  # fmt: skip
        return replace(plan, statements=tuple(statements), melodist=melodist)

    def _overrides(self, intent: Intent) -> dict[str, float]:
        unknown = [name for name in intent.attributes if name not in SONG_CONTROLS]
        if unknown:
            near = difflib.get_close_matches(unknown[0], SONG_CONTROLS, 3, cutoff=0.3)
            raise InputError(
                f"attribute {unknown[0]!r} cannot be asked for; did you mean {' or '.join(near) or SONG_CONTROLS[0]}? "
                f"All {len(SONG_CONTROLS)}: {', '.join(SONG_CONTROLS)}"
            )
        return dict(intent.attributes)

    def _prefixes(self, plan: _Plan) -> tuple[list[int], list[int]]:
        """Conditional and unconditional prefix, of one length."""
        header = self.codec.header_ids(
            Header(plan.genre, plan.mode, plan.tonic, self._written_meter(plan), plan.programs)
        )
        song = self.codec.song_control_ids(self._buckets(plan.song, "song", plan))
        unconditional = [self.codec.vocabulary.null] * len(SONG_CONTROLS)
        return [*header, *song.tolist()], [*header, *unconditional]

    def _grammar(self, plan: _Plan, intent: Intent) -> Grammar:
        kinds = self.codec.sections(intent.bars)
        blocks = [
            self.codec.section_ids(kind, self._buckets(target, "section", plan)).tolist()
            for kind, target in zip(kinds, plan.sections, strict=True)
        ]
        return Grammar(
            self.codec.vocabulary,
            n_bars=intent.bars,
            time_signature=self._written_meter(plan),
            tempo_bpm=plan.tempo_bpm,
            programs=plan.programs,
            section_ids=blocks,
            barred_pitch_classes=[(plan.barred_third + (0 if self.codec.key_relative else plan.tonic)) % 12],
            sustained_end=True,
            tune=self._tune(plan),
            tune_program=plan.melodist,
        )

    def _tune(self, plan: _Plan) -> list[TuneNote]:
        """Notes of all statements as the model writes them."""
        shift = fold_shift(plan.tonic) if self.codec.key_relative else 0
        bar_steps = STEPS_PER_BEAT * self._written_meter(plan)[0]
        return [
            TuneNote(one.bar + step // bar_steps, step % bar_steps, pitch - shift, length)
            for one in plan.statements
            for step, length, pitch in zip(
                one.motif.step.tolist(), one.motif.length.tolist(), one.motif.pitch.tolist(), strict=True
            )
        ]

    def _written_meter(self, plan: _Plan) -> tuple[int, int]:
        return self.codec.meter(plan.time_signature)

    def _buckets(self, target: AttributeTarget, scope: str, plan: _Plan) -> np.ndarray:
        """Buckets in the order of the scope's controls; pitch is asked for where the model writes, around C."""
        values = target.values()
        if self.codec.key_relative and "Mean Pitch" in values:
            values["Mean Pitch"] -= fold_shift(plan.tonic)
        return self.codec.controls.encode(values, scope)

    def _candidate(self, row: Generated, plan: _Plan, intent: Intent) -> Candidate:
        shift = fold_shift(plan.tonic) if self.codec.key_relative else 0
        score = _finish(self.codec.decode(row.ids, shift=shift), plan, intent)
        measured = extract(score, names=SONG_CONTROLS).to_dict()
        parts = extract(score, names=SECTION_CONTROLS, bars=SECTION_BARS)
        adherence = _adherence(plan, measured, parts.values, self.codec.controls)
        return Candidate(score, row.ids, measured, adherence, row.log_likelihood / max(row.n_sampled, 1))

    def _rated(self, candidates: list[Candidate], intent: Intent, ranking: Ranking) -> list[Candidate]:
        """The candidates with ratings and merit."""
        ratings: list[Ratings | None] = [None] * len(candidates)
        if self.selector is not None:
            told = [i for i, candidate in enumerate(candidates) if candidate.n_notes >= MIN_NOTES]
            for i, rating in zip(told, self.selector.rate([candidates[i].score for i in told]), strict=True):
                ratings[i] = rating
        return [
            replace(candidate, ratings=rating, merit=_merit(candidate.adherence, rating, intent, ranking))
            for candidate, rating in zip(candidates, ratings, strict=True)
        ]


def compose(
    emotion: Any = None, *, checkpoint: str | Path = DEFAULT_CHECKPOINT, seed: int | None = None, **fields: Any
) -> Composition:
    """Compose a piece: ``muse.compose(emotion="sad", bars=16, seed=0).save("sad.mid")``.

    Keywords are those of :class:`muse.Intent` and :meth:`Composer.compose`. The composer is loaded once.
    """
    options = {name: fields.pop(name) for name in ("n_candidates", "sampling", "ranking", "progress") if name in fields}
    return _loaded(str(checkpoint)).compose(Intent(emotion=emotion, **fields), seed=seed, **options)


@lru_cache(maxsize=2)
def _loaded(checkpoint: str) -> Composer:
    return Composer.from_pretrained(checkpoint)


# ---------------------------------------------------------------------- targets and adherence

_EMPTY_TARGET = AttributeTarget((), (), (), (), (), ())


def _melodist(intent: Intent) -> int:
    """Program of the instrument that plays the motif: the first pitched one."""
    pitched = [program for program in intent.programs if program != DRUMS]
    if not pitched:
        raise InputError("a motif needs an instrument that can play it: ask for one beside the drums")
    return pitched[0]


def _edges(controls: Controls, scope: str) -> dict[str, list[float]]:
    names, edges = (SONG_CONTROLS, controls.song) if scope == "song" else (SECTION_CONTROLS, controls.section)
    return dict(zip(names, edges.tolist(), strict=True))


def _at_tempo(target: AttributeTarget, overrides: Mapping[str, float]) -> dict[str, float]:
    """Overrides, with the notes per beat that keep the target's notes per second at the tempo asked for."""
    tempo, density = overrides.get("Mean Tempo"), target.values().get("Note Density")
    if tempo is None or density is None or {"Note Density", "Note Density per Quarter Note"} & set(overrides):
        return dict(overrides)
    return {**overrides, "Note Density per Quarter Note": density * 60.0 / tempo}


def _overrule(target: AttributeTarget, values: Mapping[str, float], controls: Controls, scope: str) -> AttributeTarget:
    """The target with attributes that the user asked for outright, at full weight."""
    edges = _edges(controls, scope)
    values = {name: value for name, value in values.items() if name in edges}
    if not values:
        return target
    kept = target.select([name for name in target.names if name not in values])
    buckets = {name: int(np.searchsorted(edges[name], value, side="right")) for name, value in values.items()}
    bounds = {name: [edges[name][0], *edges[name], edges[name][-1]] for name in values}
    return AttributeTarget(
        (*kept.names, *values),
        (*kept.value, *values.values()),
        (*kept.low, *(min(v, bounds[n][buckets[n]]) for n, v in values.items())),
        (*kept.high, *(max(v, bounds[n][buckets[n] + 1]) for n, v in values.items())),
        (*kept.bucket, *buckets.values()),
        (*kept.weight, *(1.0 for _ in values)),
    )


def _adherence(plan: _Plan, measured: Mapping[str, float], parts: np.ndarray, controls: Controls) -> float:
    """Weighted mean closeness over the song's controls and, with the same total weight, over its sections'."""
    song = _closeness(plan.song, measured, _edges(controls, "song"))
    edges = _edges(controls, "section")
    sections = [
        _closeness(target, dict(zip(SECTION_CONTROLS, row.tolist(), strict=True)), edges)
        for target, row in zip(plan.sections, parts, strict=False)
    ]
    defined = [value for value in sections if not math.isnan(value)]
    scopes = [*([] if math.isnan(song) else [song]), *([float(np.mean(defined))] if defined else [])]
    return float(np.mean(scopes)) if scopes else 1.0


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


# ---------------------------------------------------------------------- the score that leaves the house


def _finish(score: symusic.Score, plan: _Plan, intent: Intent) -> symusic.Score:
    """Tempo, meter, key and names as asked; what sounds with the last onset rings to the end."""
    written = score.resample(_TICKS_PER_BEAT, min_dur=1)
    written.tempos = symusic.core.TempoTickList([symusic.Tempo(0, qpm=plan.tempo_bpm)])
    numerator, denominator = plan.time_signature
    written.time_signatures = symusic.core.TimeSignatureTickList([symusic.TimeSignature(0, numerator, denominator)])
    sharps = _SHARPS[plan.tonic if plan.mode == "major" else (plan.tonic + 3) % 12]
    written.key_signatures = symusic.core.KeySignatureTickList(
        [symusic.KeySignature(0, sharps, 0 if plan.mode == "major" else 1)]
    )
    end = intent.bars * numerator * 4 * _TICKS_PER_BEAT // denominator
    last = max((note.time for track in written.tracks for note in track.notes), default=0)
    for track in written.tracks:
        program = DRUMS if track.is_drum else int(track.program)
        track.name = instrument_name(program).title()
        note = track.notes.numpy()
        onset, length = note["time"], note["duration"]
        if program != DRUMS:
            length = np.where(onset + length > last, end - onset, length)
        # A key that is struck again ends the note before: two notes of one pitch cannot sound together in MIDI.
        order = np.lexsort((onset, note["pitch"]))
        again = note["pitch"][order][1:] == note["pitch"][order][:-1]
        until = np.full(len(onset), end)
        until[order[:-1][again]] = onset[order[1:][again]]
        length = np.minimum(length, until - onset)
        track.notes = symusic.Note.from_numpy(onset, length.astype(np.int32), note["pitch"], note["velocity"])
    return written


def _merit(adherence: float, ratings: Ratings | None, intent: Intent, ranking: Ranking) -> float:
    """Weighted mean of what was asked for and can be told; adherence alone without ratings."""
    terms = [(ranking.adherence, adherence)]
    if ratings is not None:
        terms.append((ranking.quality, ratings.quality))
        if intent.emotion is not None:
            asked = _quadrants_asked(intent.emotion, intent.bars)
            terms.append((ranking.emotion, float(np.minimum(asked, ratings.quadrants).sum())))
        if intent.genre is not None:
            terms.append((ranking.genre, ratings.genres.get(intent.genre, 0.0)))
    total = sum(weight for weight, _ in terms)
    return sum(weight * value for weight, value in terms) / total if total else adherence


def _quadrants_asked(path: EmotionPath, bars: int) -> np.ndarray:
    """Share of each quadrant along a path [4]; a point within 0.2 of an axis belongs to both of its sides in part."""
    points = [path.at_bar(bar, bars) for bar in range(bars)]
    glad = np.clip(0.5 + 2.5 * np.array([point.valence for point in points]), 0, 1)
    excited = np.clip(0.5 + 2.5 * np.array([point.arousal for point in points]), 0, 1)
    shares = [glad * excited, (1 - glad) * excited, (1 - glad) * (1 - excited), glad * (1 - excited)]
    return np.array([share.mean() for share in shares])


def _scores(candidate: Candidate) -> dict[str, float]:
    scores = {
        "merit": candidate.merit,
        "adherence": candidate.adherence,
        "log_likelihood": candidate.log_likelihood,
    }
    if candidate.ratings:
        scores["quality"] = candidate.ratings.quality
    return {name: round(value, 4) for name, value in scores.items()}


def _finite(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 5)
