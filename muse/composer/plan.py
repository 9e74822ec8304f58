"""The first stage: a lead sheet for a request, by a causal model over plan tokens.

Chords, tune and form that are given are forced tokens; the model fills what is open. Bars that return are copied by
the grammar (:mod:`muse.grammar.plan`), and varied now and then.

Contents: :class:`PlanRequest`, :class:`Planner`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from muse.checkpoint import find
from muse.errors import InputError, is_whole
from muse.files import read_json
from muse.generator.sampler import Sampler, Sampling
from muse.grammar.plan import PlanRow, PlanRules
from muse.grammar.rows import RowGrammar
from muse.theory import Mode
from muse.tokens.plan import (
    N_BUCKETS,
    PITCHES,
    VOCABULARY,
    Bar,
    Note,
    Plan,
    Prefix,
    bar_length,
    encode_prefix,
    fold_shift,
)
from muse.tokens.plan_form import FORM_BARS, Buckets, follow, form_unit, sections_from_text
from muse.tokens.tune import tune_notes

__all__ = ["DEFAULT_PLANNER", "PlanRequest", "Planner"]

DEFAULT_PLANNER = "planner"
_CONTEXT = 2000  # tokens; longer histories were never learnt
_NEAREST = 40  # examples from which open controls are drawn
_TIMING = [i for name in ("At", "Bar", "Length", "New") for i in range(*VOCABULARY.span(name))]
"""Ids that say when and how long; cutting unlikely ones off makes tunes half as dense again as people's."""
_RETURNING = 32  # bars
_DIFFERENT = 0.6
_EXACT = {4: 0.33, 8: 0.75}  # bars of the unit -> share of returning bars that are the same; others are alike
_RETURNED = {4: 0.5, 8: 0.975}  # bars of the unit -> share of its bars that return with it
_KEPT = (0.5, 0.75)  # shares of a bar's beginning that one like it has; people's: at least half in two of three
_VARIED = 0.2  # of sections that return, how many end otherwise than they did


@dataclass(frozen=True)
class PlanRequest:
    """What is asked of a plan. None leaves a thing open."""

    n_bars: int = 16
    time_signature: tuple[int, int] = (4, 4)
    tonic: int = 0
    mode: Mode = "major"
    genre: str | None = "pop"
    controls: Mapping[str, int] = field(default_factory=dict)
    """Names of :data:`muse.tokens.plan.PLAN_CONTROLS` -> buckets, as :attr:`Planner.buckets` gives them for values."""
    complete: bool = True
    """Fill the controls that are left open from a song of people's that is like the rest."""
    chords: Plan | None = None
    """Its chords are kept; as many bars as asked for, or fewer, which are then repeated."""
    melody: Plan | None = None
    """Its tune is kept; its other bars are open."""
    form: str = ""
    """As ``AABA``; see :func:`muse.tokens.plan_form.sections_from_text`. Empty: as songs of people's go."""
    lowest: int = 48
    highest: int = 84
    """Range of the tune, MIDI pitches as they sound."""
    max_empty: int = 10_000
    """Bars that may lack a tune."""
    max_running: int = 1
    """How many of them in a row, where not all may."""
    has_end: bool = True
    from_start: bool = False
    """Begin as songs begin, with an introduction, rather than as their sections do."""


class Planner:
    """Writes plans. Use :meth:`from_pretrained`."""

    def __init__(
        self,
        sampler: Sampler,
        buckets: Buckets,
        examples: Sequence[Mapping[str, Any]] = (),
        forms: Mapping[str, Mapping[str, int]] | None = None,
    ) -> None:
        self.sampler, self.buckets, self.examples, self.forms = sampler, buckets, examples, forms or {}

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path = DEFAULT_PLANNER, *, device: str = "cpu") -> Planner:
        """The planner of a checkpoint folder.

        Raises
        ------
        InputError
            There is no such checkpoint, or it is no planner's.
        """
        folder = find(name_or_path, "llama", with_file="examples.json")
        VOCABULARY.check(read_json(folder / "vocabulary.json"), folder)
        sampler = Sampler.from_pretrained(folder, device=device, context=_CONTEXT)
        forms = _read_forms(folder / "forms.json") if (folder / "forms.json").is_file() else {}
        return cls(sampler, Buckets.read(folder / "controls.json"), _read_examples(folder / "examples.json"), forms)

    def completed(
        self, controls: Mapping[str, int], mode: Mode, rng: np.random.Generator, genre: str | None = None
    ) -> dict[str, int]:
        """Buckets for all controls: what was asked for, and the rest as in a song of people's that is like it.

        One of the :data:`_NEAREST` examples of the mode, and of the genre where there are any, that lie nearest to what
        was asked for is drawn, so that open
        controls fit each other and pieces differ as songs do.
        """
        rows = [row for row in self.examples if row["mode"] == mode]
        rows = [row for row in rows if row.get("genre") == genre] or rows
        if not rows:
            return dict(controls)
        distance = [sum(abs(row.get(name, bucket) - bucket) for name, bucket in controls.items()) for row in rows]
        nearest = np.argsort(np.array(distance) + rng.random(len(rows)) * 0.5)[:_NEAREST]
        drawn = rows[int(rng.choice(nearest))]
        return {name: int(bucket) for name, bucket in drawn.items() if name not in ("mode", "genre")} | dict(controls)

    def form(self, request: PlanRequest, rng: np.random.Generator) -> str:
        """A form of people's for so many bars, as often as they use it; empty where it is left to the model: for
        lengths that are no whole units, for a tune or chords that are given, and where nothing returns.

        From :data:`_RETURNING` bars on at most :data:`_DIFFERENT` of the units are different, as in songs: what is
        counted is less, for whole units are alike only where windows happen to begin with one.
        """
        unit, longest = form_unit(request.n_bars), FORM_BARS[-1]
        known = self.forms.get(str(min(request.n_bars, longest)), {})
        if request.n_bars % unit or request.melody is not None or request.chords is not None:
            return ""
        if request.n_bars >= _RETURNING:
            most = min((len(set(form)) for form in known), default=0)
            known = {f: n for f, n in known.items() if len(set(f)) <= max(_DIFFERENT * len(f), most)}
        if not known:
            return ""
        counts = np.array(list(known.values()), float)
        form = list(known)[int(rng.choice(len(known), p=counts / counts.sum()))]
        if len(set(form)) == len(form):
            return ""
        return "".join(f"{form[i % len(form)]}{unit}" for i in range(request.n_bars // unit))

    def plan(
        self,
        request: PlanRequest,
        n: int = 1,
        *,
        sampling: Sampling = Sampling(),
        rng: np.random.Generator | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> list[Plan]:
        """Write `n` plans for a request.

        Raises
        ------
        InputError
            What is given does not fit the bars, the meter or the range.
        """
        rng = rng or np.random.default_rng()
        shift = fold_shift(-request.tonic)
        rows = [self._rules(request, request.form or self.form(request, rng), shift, rng) for _ in range(n)]
        prefix = Prefix(
            request.time_signature,
            request.mode,
            request.genre,
            from_start=request.from_start,
            melody_first=rows[0][0].melody_first,
            controls=self.completed(request.controls, request.mode, rng, request.genre)
            if request.complete
            else request.controls,
        )
        grammar = RowGrammar(lambda i: PlanRow(rows[i][0]))
        self.sampler.generate(
            encode_prefix(prefix),
            n,
            grammar,
            sampling,
            rng,
            unconditional_prefix=encode_prefix(replace(prefix, controls={}, genre=None)),
            whole_ids=_TIMING,
            progress=None if progress is None else lambda _: progress(grammar.share_written(request.n_bars)),
        )
        plans = []
        for row, (_, sections) in zip(grammar.rows, rows, strict=True):
            if isinstance(row, PlanRow):
                plan = Plan(tuple(row.bars), request.time_signature, 0, request.mode, sections)
                plans.append(_with_given(_one_voice(plan.transposed(-shift)), request))
        return plans

    def _rules(
        self, request: PlanRequest, form: str, shift: int, rng: np.random.Generator
    ) -> tuple[PlanRules, tuple[tuple[str, int], ...]]:
        n, size = request.n_bars, bar_length(request.time_signature)
        chords, melody, lags = {}, {}, {}
        for name, given in (("chords", request.chords), ("melody", request.melody)):
            if given is not None and bar_length(given.time_signature) != size:
                raise InputError(f"the {name} given are in another meter than the piece; ask for the same")
            if given is not None and len(given.bars) > n:
                raise InputError(f"the {name} given have {len(given.bars)} bars, more than the {n} asked for")
        if request.chords is not None:
            bars = request.chords.transposed(shift).bars
            chords = {i: bars[i % len(bars)].chords for i in range(n)}
            chords = {i: c for i, c in chords.items() if c}
        if request.melody is not None:
            melody = {i: bar.melody for i, bar in enumerate(request.melody.transposed(shift).bars)}
        sections = sections_from_text(form, n) if form else ()
        if sections:
            lags = _returns(sections, rng, has_end=request.has_end)
            if not request.form:  # nobody asked for it: as loosely as people's returns are
                unit = form_unit(n)
                lags = {bar: one for bar, one in lags.items() if rng.random() < _RETURNED[unit]}
                lags = {b: replace(one, melody_exact=bool(rng.random() < _EXACT[unit])) for b, one in lags.items()}
        if chords or melody:
            empty = Bar()
            said = Plan(tuple(Bar(chords.get(i, ()), melody.get(i, ())) for i in range(n)), request.time_signature)
            for i, bar in enumerate(follow(said).bars):
                if i in melody or (i in chords and i not in lags):
                    lags[i] = replace(
                        lags.get(i, empty),
                        melody_lag=bar.melody_lag,
                        melody_exact=bar.melody_exact,
                        chords_lag=bar.chords_lag,
                    )
        rules = PlanRules(
            n, size, request.mode, chords, melody, lags,
            lowest=max(request.lowest + shift, PITCHES.start), highest=min(request.highest + shift, PITCHES.stop - 1),
            kept=rng.choice(_KEPT, n).tolist(), max_empty=request.max_empty, max_running=request.max_running,
            has_end=request.has_end, melody_first=bool(melody) and not chords,
        )  # fmt: skip
        return rules, sections


def _read_examples(path: Path) -> list[dict[str, Any]]:
    """What songs of people's are like: for each mode, genre and the buckets of its controls."""

    def fits(row: object) -> bool:
        if not isinstance(row, dict) or row.get("mode") not in ("major", "minor"):
            return False
        buckets = [bucket for name, bucket in row.items() if name not in ("mode", "genre")]
        return all(is_whole(bucket) and 0 <= bucket < N_BUCKETS for bucket in buckets)

    rows = read_json(path)
    if not isinstance(rows, list) or not all(map(fits, rows)):
        raise InputError(
            f"{path}: these are no modes and buckets 0..{N_BUCKETS - 1} of songs: get the checkpoint again"
        )
    return rows


def _read_forms(path: Path) -> dict[str, dict[str, int]]:
    """Number of bars -> form -> how often people use it."""

    def fits(counts: object) -> bool:
        return isinstance(counts, dict) and all(form.isalpha() and is_whole(n) and n > 0 for form, n in counts.items())

    table = read_json(path)
    if not isinstance(table, dict) or not all(map(fits, table.values())):
        raise InputError(f"{path}: these are no forms with their counts by number of bars: get the checkpoint again")
    return table


def _returns(sections: Sequence[tuple[str, int]], rng: np.random.Generator, *, has_end: bool) -> dict[int, Bar]:
    """How the bars of sections that return follow their first time; the last bars of some are left open."""
    first: dict[str, tuple[int, int]] = {}
    lags: dict[int, Bar] = {}
    start = 0
    for label, length in sections:
        if label in first:
            source, source_length = first[label]
            n_copied = min(length, source_length)
            is_end = has_end and start + length == sum(n for _, n in sections)
            if (is_end or rng.random() < _VARIED) and n_copied > 2:
                n_copied -= 2
            lag = start - source
            for i in range(n_copied):
                lags[start + i] = Bar(melody_lag=lag, melody_exact=True, chords_lag=lag)
        else:
            first[label] = (start, length)
        start += length
    return lags


def _one_voice(plan: Plan) -> Plan:
    """The plan with each note of its tune ending where the next begins."""
    size = plan.bar_length
    bars: list[list[Note]] = [[] for _ in plan.bars]
    for note in tune_notes(plan):
        bars[note.position // size].append(replace(note, position=note.position % size))
    return replace(plan, bars=tuple(replace(b, melody=tuple(m)) for b, m in zip(plan.bars, bars, strict=True)))


def _with_given(plan: Plan, request: PlanRequest) -> Plan:
    """The plan with what was given as it was, where tokens are coarser (lengths, pitches far out)."""
    bars = list(plan.bars)
    if request.chords is not None:
        given = request.chords.bars
        bars = [replace(b, chords=given[i % len(given)].chords or b.chords) for i, b in enumerate(bars)]
    if request.melody is not None:
        for i, bar in enumerate(request.melody.bars):
            bars[i] = replace(bars[i], melody=bar.melody)
    return replace(plan, bars=tuple(bars))
