"""The second stage: what each instrument plays to a plan, by a causal model over bars of parts.

Who does what follows from the instruments' natures (``muse/theory/instruments.csv``): one has the tune, the others
are parts below it. Where no music has taught the model so many, instruments beyond :data:`MAX_PARTS` double the part
or the tune that lies nearest, in octaves within their range.

Contents: :class:`ArrangeRequest`, :class:`Casting`, :func:`cast`, :class:`Arrangement`, :class:`Arranger`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from muse.checkpoint import find
from muse.errors import InputError
from muse.files import read_json
from muse.generator.sampler import Sampler, Sampling
from muse.grammar.arrangement import ArrangementRow, ArrangementRules, PartRules
from muse.grammar.rows import RowGrammar
from muse.theory import instruments
from muse.tokens.arrangement import (
    DRUM_KEYS,
    PART_ORDER,
    SECTION_BARS,
    SECTION_CONTROLS,
    TONES,
    VOCABULARY,
    Header,
    PartNote,
    encode_header,
    part_of,
)
from muse.tokens.plan import NULL, Plan, control_block, fold_shift
from muse.tokens.plan_form import Buckets

__all__ = ["DEFAULT_ARRANGER", "ArrangeRequest", "Arrangement", "Arranger", "Casting", "cast"]

_T = TypeVar("_T")

DEFAULT_ARRANGER = "arranger"
MAX_PARTS = 5
"""Parts that the model writes at once; ensembles in the corpora are rarely larger."""
_CONTEXT = 1900
_REST_SHARE = 8  # one bar in eight may lack an instrument
_COPIED = 0.65  # of bars that return, how many accompaniments do (people: 0.54 note for note, 0.8 nearly)
_TUNE_ALONE = 80  # velocity of a tune that nobody accompanies
_POLYPHONIC = 4  # notes at once from which an instrument can have the tune and accompany it


@dataclass(frozen=True)
class Casting:
    """Who does what. Indices count the instruments asked for."""

    programs: tuple[int, ...]
    lead: int
    """Has the tune; -1 where all are drums."""
    written: tuple[int, ...]
    """Have parts of their own, in the order in which they are written. May hold the lead: a piano plays both."""
    doubling: Mapping[int, int]
    """Others -> the instrument that they double."""
    octave: int
    """The tune sounds so many octaves above the plan, to lie well for the lead."""

    @property
    def melody_range(self) -> tuple[int, int]:
        """Lowest and highest pitch of the plan's tune that the lead can play."""
        if self.lead < 0:
            return 48, 84
        lead = instruments()[self.programs[self.lead]]
        return max(lead.usual_low - 12 * self.octave, 36), min(lead.usual_high - 12 * self.octave, 88)


def cast(programs: Sequence[int], lead: int | None = None) -> Casting:
    """Who plays the tune, who has a part, and who doubles whom.

    Parameters
    ----------
    programs
        General MIDI programs (128 = drums), in the order asked for; the same may come again.
    lead
        Index of the one that shall have the tune; by default the one best suited: a melody instrument before others,
        the higher before the lower.

    Raises
    ------
    InputError
        No instrument, or a lead that is none of them.
    """
    if not programs:
        raise InputError("no instrument to arrange for; give one or more")
    table = [instruments()[p] for p in programs]
    melodic = [i for i, p in enumerate(programs) if part_of(p) != "drums"]
    if lead is None:
        singers = [i for i in melodic if "melody" in table[i].roles] or melodic

        def suits(i: int) -> tuple[bool, bool, int, int]:
            low, high = table[i].usual_low, table[i].usual_high
            return table[i].roles[0] == "melody", low <= 67 <= high, min(high, 88), -i

        lead = max(singers, key=suits) if singers else -1
    elif lead not in melodic:
        raise InputError(f"instrument {lead} cannot have the tune; give one of {', '.join(map(str, melodic))}")
    others = [i for i in range(len(programs)) if i != lead]
    if lead >= 0 and table[lead].polyphony >= _POLYPHONIC and not any(table[i].polyphony >= 3 for i in others):
        others.append(lead)
    order = sorted(
        others, key=lambda i: (PART_ORDER.index(part_of(programs[i])), table[i].usual_low + table[i].usual_high)
    )
    # Of too many, one of each part is written before a second of any.
    seen: dict[str, int] = {}
    rank = {}
    for i in others:
        part = part_of(programs[i])
        rank[i] = seen.get(part, 0)
        seen[part] = rank[i] + 1
    written = set(sorted(others, key=lambda i: (rank[i], others.index(i)))[:MAX_PARTS])
    doubling = {i: _nearest(i, [*written, lead], programs) for i in others if i not in written and i != lead}
    octave = 0
    if lead >= 0:
        low, high = table[lead].usual_low, table[lead].usual_high
        octave = min(range(-3, 4), key=lambda k: (max(low - 12 * k - 60, 0) + max(79 - high + 12 * k, 0), abs(k)))
    return Casting(tuple(programs), lead, tuple(i for i in order if i in written), doubling, octave)


def _nearest(i: int, among: Sequence[int], programs: Sequence[int]) -> int:
    """The instrument whose part another doubles: one of its own kind first, then the nearest range."""
    table = instruments()
    me = table[programs[i]]
    drums = part_of(programs[i]) == "drums"
    candidates = [j for j in among if j >= 0 and (part_of(programs[j]) == "drums") == drums] or [
        j for j in among if j >= 0
    ]

    def distance(j: int) -> tuple[bool, int]:
        other = table[programs[j]]
        return part_of(programs[j]) != part_of(programs[i]), abs(
            other.usual_low + other.usual_high - me.usual_low - me.usual_high
        )

    return min(candidates, key=distance)


@dataclass(frozen=True)
class ArrangeRequest:
    """What is asked of an arrangement. None leaves a thing open."""

    programs: tuple[int, ...] = (0,)
    lead: int | None = None
    genre: str | None = "pop"
    tempo_bpm: float | None = None
    controls: Sequence[Mapping[str, int]] = ()
    """For each section of four bars, names of :data:`muse.tokens.arrangement.SECTION_CONTROLS` -> buckets, as
    :attr:`Arranger.buckets` gives them for values; the last holds for all that follow."""
    below_melody: bool = True
    """Nothing sounds above the tune."""
    notes_at_once: Sequence[int] = ()
    """For each section, the most notes that a part strikes together; the last holds for all that follow."""
    copied: float = _COPIED
    """Of bars whose tune and chords return, the share whose accompaniment does."""
    has_end: bool = True
    from_start: bool = False


@dataclass(frozen=True)
class Arrangement:
    """A plan with what each instrument plays to it."""

    plan: Plan
    casting: Casting
    notes: tuple[tuple[tuple[PartNote, ...], ...], ...]
    """For each instrument, for each bar; the tune is not among them."""
    lead: tuple[int, ...]
    """Velocity of the tune in each bar, 0 where it rests."""


class _Piece:
    """What is fixed for a row, and what its instruments play, bar by bar: no bar depends on later ones."""

    def __init__(self, plan: Plan, casting: Casting, shift: int, rules: ArrangementRules) -> None:
        self.plan, self.casting, self.shift, self.rules = plan, casting, shift, rules
        self._bars: list[tuple[tuple[PartNote, ...], ...]] = []  # of each bar, for each instrument
        self._lead: list[int] = []
        self._octaves: dict[int, int] = {}  # semitones between an instrument and the part that it doubles
        has_tune_alone = [casting.lead, *(i for i, source in casting.doubling.items() if source == casting.lead)]
        n_silent = sum(not bar.melody for bar in plan.bars)
        self._resting = (
            [i for i in has_tune_alone if i >= 0]
            if casting.lead not in casting.written and n_silent > len(plan.bars) // _REST_SHARE
            else []
        )
        """Instruments that would rest too long; those with parts of their own may not, by their grammar."""

    @property
    def n_bars(self) -> int:
        """Bars so far."""
        return len(self._bars)

    def arrangement(self) -> Arrangement:
        """The bars so far."""
        return Arrangement(self.plan, self.casting, tuple(zip(*self._bars, strict=True)), tuple(self._lead))

    def add(self, parts: Sequence[Sequence[PartNote]], velocity: int) -> None:
        """Take a bar that is finished: the notes of each part as the row has them, and the velocity of the tune."""
        casting, programs = self.casting, self.casting.programs
        tune = tuple(
            PartNote(n.position * 3, n.pitch + 12 * casting.octave, n.length * 3, max(velocity, 1))
            for n in self.plan.bars[self.n_bars].melody
        )
        notes: dict[int, tuple[PartNote, ...]] = {}
        for i, part in zip(casting.written, parts, strict=True):
            move = 0 if part_of(programs[i]) == "drums" else -self.shift
            notes[i] = tuple(replace(note, pitch=note.pitch + move) for note in part)
        written = dict(notes)
        for i, source in casting.doubling.items():
            notes[i] = self._doubling(i, written.get(source, tune))
        if not tune:
            for i in self._resting:
                notes[i] = _filling(i, written, programs)
        self._bars.append(tuple(notes.get(i, ()) for i in range(len(programs))))
        self._lead.append(velocity)

    def _doubling(self, i: int, bar: Sequence[PartNote]) -> tuple[PartNote, ...]:
        """What an instrument plays that doubles another, always in the octaves of the first bar with notes."""
        if bar:
            self._octaves.setdefault(i, _octaves_to(self.casting.programs[i], bar))
        return _doubled(bar, self.casting.programs[i], self._octaves.get(i, 0))


class Arranger:
    """Writes arrangements. Use :meth:`from_pretrained`."""

    def __init__(self, sampler: Sampler, buckets: Buckets) -> None:
        self.sampler, self.buckets = sampler, buckets

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path = DEFAULT_ARRANGER, *, device: str = "cpu") -> Arranger:
        """The arranger of a checkpoint folder.

        Raises
        ------
        InputError
            There is no such checkpoint, or it is no arranger's.
        """
        folder = find(name_or_path, "llama", with_file="controls.json")
        VOCABULARY.check(read_json(folder / "vocabulary.json"), folder)
        return cls(
            Sampler.from_pretrained(folder, device=device, context=_CONTEXT), Buckets.read(folder / "controls.json")
        )

    def arrange(
        self,
        plans: Sequence[Plan],
        request: ArrangeRequest,
        *,
        sampling: Sampling = Sampling(),
        rng: np.random.Generator | None = None,
        progress: Callable[[float], None] | None = None,
        on_bar: Callable[[int, Arrangement], None] | None = None,
    ) -> list[Arrangement]:
        """One arrangement of each plan, all in one batch; the plans have one meter and mode.

        Parameters
        ----------
        on_bar
            Called when a bar is finished, with the number of its plan and the arrangement up to that bar.

        Raises
        ------
        InputError
            No plan, plans of several meters or modes, or no instruments.
        """
        rng = rng or np.random.default_rng()
        if not plans or len({(plan.time_signature, plan.mode) for plan in plans}) > 1:
            raise InputError("give one plan or more, all in one meter and mode")
        casting = cast(request.programs, request.lead)
        pieces = [self._piece(plan, casting, request, rng) for plan in plans]

        def collect(number: int, parts: Sequence[Sequence[PartNote]], velocity: int) -> None:
            pieces[number].add(parts, velocity)
            if on_bar is not None:
                on_bar(number, pieces[number].arrangement())

        if casting.written:
            self._write(pieces, request, sampling, rng, progress, collect)
        else:
            for number, plan in enumerate(plans):
                for bar in plan.bars:
                    collect(number, (), _TUNE_ALONE if bar.melody else 0)
        return [piece.arrangement() for piece in pieces]

    def _write(
        self,
        pieces: Sequence[_Piece],
        request: ArrangeRequest,
        sampling: Sampling,
        rng: np.random.Generator,
        progress: Callable[[float], None] | None,
        collect: Callable[[int, Sequence[Sequence[PartNote]], int], None],
    ) -> None:
        """Have the model write the parts; `collect` gets the bars as they are finished."""
        plan, casting = pieces[0].plan, pieces[0].casting
        header = Header(
            tuple(part_of(casting.programs[i]) for i in casting.written),
            plan.time_signature,
            plan.mode,
            request.genre,
            request.tempo_bpm,
            request.from_start,
        )
        controls = [i for name in SECTION_CONTROLS for i in range(*VOCABULARY.span(control_block(name)))]
        rows = [ArrangementRow(piece.rules) for piece in pieces]
        grammar = RowGrammar(rows.__getitem__, controls=controls, null=NULL)

        def step(_: int) -> None:
            for number, (piece, row) in enumerate(zip(pieces, rows, strict=True)):
                for bar in range(piece.n_bars, row.bar):
                    collect(number, row.notes[bar], row.lead[bar])
            if progress is not None:
                progress(grammar.share_written(len(plan.bars)))

        self.sampler.generate(
            encode_header(header),
            len(pieces),
            grammar,
            sampling,
            rng,
            unconditional_prefix=encode_header(replace(header, genre=None, tempo_bpm=None)),
            cut_ids=range(*VOCABULARY.span("Bar")),
            progress=step,
        )

    def _piece(self, plan: Plan, casting: Casting, request: ArrangeRequest, rng: np.random.Generator) -> _Piece:
        shift = fold_shift(-plan.tonic)
        moved = plan.transposed(shift)
        max_rests = len(plan.bars) // _REST_SHARE
        parts = tuple(_part_rules(casting.programs[i], shift, max_rests) for i in casting.written)
        copied = {
            i: bar.melody_lag
            for i, bar in enumerate(moved.bars)
            if bar.melody_exact and bar.chords_lag == bar.melody_lag and rng.random() < request.copied
        }
        n_sections = -(-len(plan.bars) // SECTION_BARS)
        asked, at_once = _filled(request.controls, n_sections), _filled(request.notes_at_once, n_sections)
        rules = ArrangementRules(
            moved.bars, plan.bar_length, parts, plan.mode, asked, copied,
            request.below_melody, request.has_end, at_once,
        )  # fmt: skip
        return _Piece(plan, casting, shift, rules)


def _filled(values: Sequence[_T], n: int) -> list[_T]:
    """So many values, the last again where there are fewer."""
    given = list(values)[:n]
    return given + given[-1:] * (n - len(given))


def _part_rules(program: int, shift: int, max_rests: int) -> PartRules:
    part, one = part_of(program), instruments()[program]
    if part == "drums":
        return PartRules(part, DRUM_KEYS.start, DRUM_KEYS.stop - 1, min(one.polyphony, 4), max_rests)
    low = min(max(one.usual_low + shift, one.low + shift, TONES.start), TONES.stop - 13)
    high = max(min(one.usual_high + shift, one.high + shift, TONES.stop - 1), low + 12)
    return PartRules(part, low, high, one.polyphony, max_rests)


def _filling(i: int, written: Mapping[int, Sequence[PartNote]], programs: Sequence[int]) -> tuple[PartNote, ...]:
    """What an instrument doubles in a bar in which it would rest: whoever plays and lies nearest."""
    drums = part_of(programs[i]) == "drums"
    playing = [j for j, bar in written.items() if bar and (part_of(programs[j]) == "drums") == drums]
    if not playing:
        return ()
    bar = written[_nearest(i, playing, programs)]
    return _doubled(bar, programs[i], _octaves_to(programs[i], bar))


def _octaves_to(program: int, bar: Sequence[PartNote]) -> int:
    """Semitones, whole octaves, that bring notes nearest to the middle of an instrument's range."""
    one = instruments()[program]
    centre = (one.usual_low + one.usual_high) / 2
    return 12 * round((centre - float(np.mean([note.pitch for note in bar]))) / 12)


def _doubled(bar: Sequence[PartNote], program: int, octaves: int) -> tuple[PartNote, ...]:
    """A bar in octaves within the range of another instrument, its top notes where it has fewer at once."""
    one = instruments()[program]
    if part_of(program) == "drums":
        return tuple(bar)
    moved = []
    for note in bar:
        pitch = note.pitch + octaves
        while pitch > one.usual_high:
            pitch -= 12
        while pitch < one.usual_low:
            pitch += 12
        if pitch <= one.high:
            moved.append(replace(note, pitch=pitch))
    kept: dict[int, list[PartNote]] = {}
    for note in sorted(moved, key=lambda n: -n.pitch):
        chord = kept.setdefault(note.position, [])
        if len(chord) < one.polyphony and all(n.pitch != note.pitch for n in chord):
            chord.append(note)
    return tuple(sorted((n for chord in kept.values() for n in chord), key=lambda n: (n.position, n.pitch)))
