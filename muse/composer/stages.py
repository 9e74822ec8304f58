"""Plan, arrange, perform: the three stages in a row, and what each is asked for where an emotion is.

Valence is said mostly to the plan (mode, harmony, contour), arousal mostly to the arrangement (density, register,
texture) and the performance (loudness), after Compose & Embellish (Wu & Yang, arXiv 2209.08212) and EMO-Disentanger
(Huang et al., arXiv 2407.20955).

Contents: :class:`PieceRequest`, :class:`Piece`, :class:`WrittenBar`, :class:`Stages`; :func:`buckets_from_attributes`,
:func:`controls_for`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from muse.attributes import N_BUCKETS as ATTRIBUTE_BUCKETS
from muse.composer.arrange import DEFAULT_ARRANGER, Arrangement, Arranger, ArrangeRequest, cast
from muse.composer.perform import Touch, bar_notes, perform
from muse.composer.plan import DEFAULT_PLANNER, Planner, PlanRequest
from muse.composer.playing import Texture
from muse.generator.sampler import Sampling
from muse.score import Notes
from muse.theory import Mode
from muse.tokens.plan import N_BUCKETS, Plan

if TYPE_CHECKING:
    from symusic.core import ScoreTick as Score

    from muse.mapping import AttributeTarget

__all__ = ["Piece", "PieceRequest", "Stages", "WrittenBar", "buckets_from_attributes", "controls_for"]

_PLANNING = 0.3  # of the time that a piece takes
_PLANS_A_PIECE = 2
# Of bars, how many may lack a tune, and how many in a row. A fifth of people's do; forbidding it makes tunes too dense.
SILENT_SHARE, SILENT_RUNNING = 3, 3
_ALONE_SHARE, _ALONE_RUNNING = 6, 1  # where the tune is all that an instrument has

PLAN_FROM: Final[Mapping[str, tuple[str, int]]] = {
    "chord_changes": ("Chord Change Rate", 1),
    "dissonance": ("Tonal Tension", 1),
    "borrowed": ("Key Strength", -1),
    "note_density": ("Note Density per Quarter Note", 1),
    "note_length": ("Prevalence of Long Rhythmic Values", 1),
    "pitch_range": ("Range", 1),
    "mean_pitch": ("Mean Pitch", 1),
    "leaps": ("Mean Melodic Interval", 1),
    "syncopation": ("Syncopation", 1),
}
"""Control of the planner -> attribute whose quantile it takes over, and whether upwards or downwards."""

SECTION_FROM: Final[Mapping[str, tuple[str, int]]] = {
    "density": ("Note Density per Quarter Note", 1),
    "register": ("Mean Pitch", 1),
    "thickness": ("Average Number of Simultaneous Pitches", 1),
    "articulation": ("Average Note Duration", 1),
    "loudness": ("Mean Dynamics", 1),
}
"""The same for the arranger's."""


def buckets_from_attributes(
    quantiles: Mapping[str, float],
    table: Mapping[str, tuple[str, int]],
    *,
    share: float | Mapping[str, float] = 1.0,
    outright: Collection[str] = (),
) -> dict[str, int]:
    """Buckets of a stage's controls from quantiles of attributes.

    Parameters
    ----------
    quantiles
        Attribute -> its place among the corpus's values, 0..1.
    table
        :data:`PLAN_FROM` or :data:`SECTION_FROM`.
    share
        How far to go from the middle: 1 all the way, less for music nearer to the usual, 0 leaves the control open;
        for all controls, or for those that are named, with the others open.
    outright
        Attributes that are asked for by name: these go all the way.
    """
    out = {}
    for control, (attribute, sign) in table.items():
        way = 1.0 if attribute in outright else share.get(control, 0.0) if isinstance(share, Mapping) else share
        if attribute in quantiles and way:
            place = 0.5 + way * sign * (quantiles[attribute] - 0.5)
            out[control] = int(np.clip(int(place * N_BUCKETS), 0, N_BUCKETS - 1))
    return out


def controls_for(
    song: AttributeTarget,
    sections: Sequence[AttributeTarget],
    *,
    plan_share: float | Mapping[str, float] = 1.0,
    section_share: float | Mapping[str, float] = 1.0,
    outright: Collection[str] = (),
) -> tuple[dict[str, int], list[dict[str, int]]]:
    """Buckets for planner and arranger from what an emotion asks of a piece and of each four bars of it; shares and
    *outright* as in :func:`buckets_from_attributes`."""

    def quantiles(target: AttributeTarget) -> dict[str, float]:
        return {name: (bucket + 0.5) / ATTRIBUTE_BUCKETS for name, bucket in target.buckets().items()}

    whole = quantiles(song)
    plan = buckets_from_attributes(whole, PLAN_FROM, share=plan_share, outright=outright)
    return plan, [
        buckets_from_attributes(whole | quantiles(one), SECTION_FROM, share=section_share, outright=outright)
        for one in sections
    ]


@dataclass(frozen=True)
class PieceRequest:
    """What is asked of a piece. None leaves a thing open."""

    n_bars: int = 16
    time_signature: tuple[int, int] = (4, 4)
    tonic: int = 0
    mode: Mode = "major"
    tempo_bpm: float = 96.0
    genre: str | None = "pop"
    programs: tuple[int, ...] = (0,)
    lead: int | None = None
    plan_controls: Mapping[str, int] = field(default_factory=dict)
    section_controls: Sequence[Mapping[str, int]] = ()
    chords: Plan | None = None
    melody: Plan | None = None
    form: str = ""
    plan: Plan | None = None
    """A whole plan: nothing is planned, only arranged and performed."""
    texture: Sequence[Texture] = ()
    """Of each section: what the section's controls leave open."""
    touch: Touch = field(default_factory=Touch)
    below_melody: bool = True


@dataclass(frozen=True)
class Piece:
    """A piece with what it was made from."""

    plan: Plan
    arrangement: Arrangement
    score: Score


@dataclass(frozen=True)
class WrittenBar:
    """A bar as soon as it is written, long before the piece is finished."""

    candidate: int
    """Which of the pieces that are written together, from 0; see :attr:`muse.composer.Candidate.number`."""
    bar: int
    """From 0."""
    n_bars: int
    """Of the whole piece."""
    seconds: float
    """How long a bar lasts at the tempo of the piece. Bars of the finished one are a few hundredths longer or shorter,
    and its last one slows down."""
    chords: str
    """Its chords as text, spelled by the key: ``C G``; see :mod:`muse.theory.chord_text`."""
    notes: Notes
    """NOTE_DTYPE [n_notes], tune included, from the start of the piece: those of the finished one as they are written.
    There velocities are a hand's, keys are let go a little earlier or later, and what later bars strike may end notes
    that reach beyond the bar."""


class Stages:
    """Planner, arranger and performer."""

    def __init__(self, planner: Planner, arranger: Arranger) -> None:
        self.planner, self.arranger = planner, arranger

    @classmethod
    def from_pretrained(
        cls, planner: str | Path = DEFAULT_PLANNER, arranger: str | Path = DEFAULT_ARRANGER, *, device: str = "cpu"
    ) -> Stages:
        """Both models, by the names of checkpoints that come with Muse or by path.

        Raises
        ------
        InputError
            There is no such checkpoint.
        """
        return cls(Planner.from_pretrained(planner, device=device), Arranger.from_pretrained(arranger, device=device))

    def write(
        self,
        request: PieceRequest,
        n: int = 1,
        *,
        sampling: Sampling = Sampling(),
        rng: np.random.Generator | None = None,
        progress: Callable[[float], None] | None = None,
        on_bar: Callable[[WrittenBar], None] | None = None,
    ) -> list[Piece]:
        """Write `n` pieces: the same request, seed and checkpoints give the same pieces.

        Parameters
        ----------
        on_bar
            Called with each bar as soon as it is written; those of a piece come in order, the pieces side by side.

        Raises
        ------
        InputError
            What is given does not fit the request.
        """
        rng = rng or np.random.default_rng()
        plans = self._plans(request, n, sampling, rng, _part_of(progress, 0.0, _PLANNING))
        arranged = self.arranger.arrange(
            plans,
            ArrangeRequest(
                request.programs, request.lead, request.genre, request.tempo_bpm, self._section_controls(request),
                request.below_melody, [texture.notes_at_once for texture in request.texture],
            ),
            sampling=sampling,
            rng=rng,
            progress=_part_of(progress, _PLANNING, 1.0),
            on_bar=None if on_bar is None else lambda number, so_far: on_bar(_last_bar(number, so_far, request)),
        )  # fmt: skip
        touch = replace(request.touch, tempo_bpm=request.tempo_bpm)
        return [Piece(one.plan, one, perform(one, touch, rng)) for one in arranged]

    def taken_steps(self) -> dict[int, int]:
        """Pieces whose rows the models computed together -> steps in which they did, since this was last asked."""
        planner, arranger = self.planner.sampler.taken_steps(), self.arranger.sampler.taken_steps()
        return {n: planner.get(n, 0) + arranger.get(n, 0) for n in sorted({*planner, *arranger})}

    def _section_controls(self, request: PieceRequest) -> Sequence[Mapping[str, int]]:
        """The arranger's: those asked for, and what the texture asks of the accompaniment in what they leave open."""
        textures = [self.arranger.buckets.of(one.accompaniment(request.tempo_bpm)) for one in request.texture]
        nothing: Mapping[str, int] = {}
        pairs = zip_longest(textures, request.section_controls, fillvalue=nothing)
        return [{**texture, **controls} for texture, controls in pairs]

    def _plans(
        self,
        request: PieceRequest,
        n: int,
        sampling: Sampling,
        rng: np.random.Generator,
        progress: Callable[[float], None] | None,
    ) -> list[Plan]:
        if request.plan is not None:
            return [request.plan] * n
        casting = cast(request.programs, request.lead)
        low, high = casting.melody_range
        tune_alone = casting.lead not in casting.written
        wanted = PlanRequest(
            request.n_bars, request.time_signature, request.tonic, request.mode, request.genre, request.plan_controls,
            chords=request.chords, melody=request.melody, form=request.form, lowest=low, highest=high,
            max_empty=request.n_bars // (_ALONE_SHARE if tune_alone else SILENT_SHARE),
            max_running=_ALONE_RUNNING if tune_alone else SILENT_RUNNING,
        )  # fmt: skip
        plans = self.planner.plan(wanted, n * _PLANS_A_PIECE, sampling=sampling, rng=rng, progress=progress)
        return _clearest(plans, n) if len(plans) > n else plans


def _clearest(plans: Sequence[Plan], n: int) -> list[Plan]:
    """Of the plans of each piece the one whose key is heard most surely: small models lose hold of the mode, and
    listeners notice nothing else so much."""
    each = len(plans) // n
    groups = [plans[i * each : (i + 1) * each] for i in range(n)]
    return [max(group, key=lambda plan: plan.key_margin()) for group in groups]


def _last_bar(number: int, so_far: Arrangement, request: PieceRequest) -> WrittenBar:
    plan, bar, tempo_bpm = so_far.plan, len(so_far.lead) - 1, request.tempo_bpm
    seconds = plan.bar_length / 4 * 60.0 / tempo_bpm  # a bar's length is in sixteenths
    notes = bar_notes(so_far, bar, tempo_bpm)
    chords = str(replace(plan, bars=plan.bars[bar : bar + 1], sections=())).strip("| ")
    return WrittenBar(number, bar, len(plan.bars), seconds, chords, notes)


def _part_of(progress: Callable[[float], None] | None, start: float, stop: float) -> Callable[[float], None] | None:
    """A stage's progress as a part of the whole."""
    return None if progress is None else lambda share: progress(start + (stop - start) * share)
