"""The third stage: from an arrangement to a score that sounds played.

The loudness of each bar comes from the arranger in absolute terms; here it gets the accents and the unevenness of a
hand (:class:`Hand`, seeded), a swell over each phrase and a tune above its accompaniment. The tempo lives and gives way
at the end, keys are let go and the pedal is used as people do (:class:`~muse.composer.expression.Expression`). Onsets
stay on the grid, so what is written can be read; a setting leaves all of it out.

Contents: :data:`PLACES`, :func:`place_of`, :class:`Hand`, :class:`Touch`, :func:`perform`, :func:`bar_notes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import symusic
from numpy.typing import NDArray

from muse.composer.arrange import Arrangement
from muse.composer.expression import Expression
from muse.score import NOTE_DTYPE, Notes, from_notes
from muse.score.notes import TICKS_PER_BEAT
from muse.theory import instrument_name, instruments, key_signature
from muse.tokens.arrangement import part_of
from muse.tokens.plan import Plan, beat_length
from muse.tokens.plan_form import PHRASE_BARS

if TYPE_CHECKING:
    from symusic.core import ScoreTick as Score

__all__ = ["PLACES", "Hand", "Touch", "bar_notes", "perform", "place_of"]

_STEPS = 12  # a quarter note
_SWELL = 3.0  # velocity at the middle of a phrase over its ends
_TUNE_OVER = 2.0  # velocity of the tune over the loudest accompaniment that it sounds with
_SUSTAIN = 64  # number of the control
_TICKS = TICKS_PER_BEAT // _STEPS
_SLOWING = (0.97, 0.92, 0.84, 0.72)  # of the tempo, over the quarters of the last bar


PLACES = ("one", "middle", "beat", "eighth", "other")
"""Where in a bar an onset lies: on its first beat, in its middle, on another beat, between beats, elsewhere."""


def place_of(position: NDArray[np.int64], bar: int) -> NDArray[np.int64]:
    """Index in :data:`PLACES` of positions in twelfths of a quarter; `bar` is the length of the bar."""
    out = np.full(len(position), 4)
    out[position % 6 == 0] = 3
    out[position % 12 == 0] = 2
    out[(position * 2 == bar) & (bar % 24 == 0)] = 1
    out[position == 0] = 0
    return out


@dataclass(frozen=True)
class Hand:
    """What a hand adds to a bar's loudness, in MIDI velocity.

    The defaults are those of POP909's players, as :func:`muse.training.touch.fit_touch` measures them on 150 songs.
    """

    accent: tuple[float, ...] = (2.63, 2.23, 4.06, -2.56, -1.70)
    """By :data:`PLACES`."""
    spread: float = 10.55
    """Standard deviation from onset to onset; it does not drift (correlation of neighbours -0.12)."""
    chord_spread: float = 8.73
    """Standard deviation within a chord."""
    top: float = 2.69
    """The highest note of a chord against its mean."""


@dataclass(frozen=True)
class Touch:
    """How an arrangement is played."""

    tempo_bpm: float = 96.0
    deadpan: bool = False
    """Velocities as the arranger says, lengths as written, one tempo, no pedal."""
    loudness: tuple[float, ...] = ()
    """Mean velocity of each bar, 1..127: loudness in absolute terms, as listeners hear it; empty: the arranger's."""
    spread: float | None = None
    """Standard deviation of the velocities; None: what arranger and hand give."""
    slows_down: bool = True
    hand: Hand = field(default_factory=Hand)


def perform(arrangement: Arrangement, touch: Touch = Touch(), rng: np.random.Generator | None = None) -> Score:
    """The score of an arrangement: one track an instrument, in the order asked for.

    Parameters
    ----------
    arrangement
        What is played.
    touch
        How.
    rng
        Of the hand, the tempo and the pedal.
    """
    rng = rng or np.random.default_rng(0)
    plan, casting = arrangement.plan, arrangement.casting
    free = rng.spawn(1)[0]  # what is timed otherwise leaves the velocities as they were
    size = plan.bar_length * 3
    onset, pitch, span, velocity, program, track = _sounding(arrangement, range(len(plan.bars)))
    if len(onset):
        if not touch.deadpan:
            velocity = velocity + _swell(onset, plan) + _unevenness(onset, pitch, track, size, touch.hand, rng)
        if touch.loudness:
            asked = np.array(touch.loudness)
            at = asked[np.minimum(onset // size, len(asked) - 1)]
            velocity = velocity - velocity.mean()
            if touch.spread is not None and len(velocity) > 1:
                velocity *= touch.spread / max(float(velocity.std()), 1.0)
            velocity = velocity + at
    held = span if touch.deadpan else _held(arrangement, onset, pitch, span, track, touch.tempo_bpm, free)
    out = _table(onset, pitch, held, velocity, program, track)
    names = [instrument_name(p).title() for p in casting.programs]
    score = from_notes(out, tempo_bpm=touch.tempo_bpm, time_signature=plan.time_signature, names=names)
    sharps = key_signature(plan.tonic, plan.mode)
    score.key_signatures.append(symusic.KeySignature(0, sharps, int(plan.mode == "minor")))
    if not touch.deadpan and len(onset):
        _shape_tempo(score, plan, np.array(touch.loudness or [velocity.mean()]), touch, free)
        for i, played in zip(np.unique(track).tolist(), score.tracks, strict=True):
            if instruments()[casting.programs[i]].has_pedal:
                _press_pedal(played, plan, onset[track == i], held[track == i], touch.tempo_bpm, free)
    return score


def bar_notes(arrangement: Arrangement, bar: int, tempo_bpm: float) -> Notes:
    """The notes of one bar as they are written: those of :func:`perform`, but for what players add.

    Velocities are the arranger's, and all notes are as long as they are written; hands let go a little earlier
    or later, and what later bars strike may end those that reach beyond the bar.

    Parameters
    ----------
    arrangement
        Holds the bar; later ones may be missing.
    bar
        Its number, from 0.
    tempo_bpm
        For the seconds, at one tempo; :func:`perform` keeps to it on the whole, but for the last bar.

    Returns
    -------
    NOTE_DTYPE [n_notes]
        Beats and seconds from the start of the piece, sorted by onset, pitch and track.
    """
    out = _table(*_sounding(arrangement, range(bar, bar + 1)))
    for name in ("onset", "duration"):
        out[f"{name}_sec"] = out[f"{name}_beat"] * 60.0 / tempo_bpm
    return out[np.lexsort((out["track"], out["pitch"], out["onset_beat"]))]


Columns = tuple[
    NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]
]
"""Onset and pitch, span and velocity, program and track of notes; times in twelfths of a quarter."""


def _sounding(arrangement: Arrangement, bars: range) -> Columns:
    """What sounds of some bars, instrument by instrument."""
    casting, size = arrangement.casting, arrangement.plan.bar_length * 3
    total = size * len(arrangement.plan.bars)
    rows = []
    for i, program in enumerate(casting.programs):
        notes = [
            (b * size + n.position, n.pitch, n.span, float(n.velocity)) for b in bars for n in arrangement.notes[i][b]
        ]
        if i == casting.lead:
            notes += [note for b in bars for note in _tune(arrangement, b, b * size)]
        rows += [(*note, program, i) for note in _playable(sorted(notes), program, total)]
    table = np.array(rows, np.float64).reshape(-1, 6).T
    onset, pitch, span, program_, track = table[[0, 1, 2, 4, 5]].astype(np.int64)
    return onset, pitch, span, table[3], program_, track


def _table(*columns: NDArray[Any]) -> Notes:
    """The same as notes, in beats; velocities are rounded."""
    onset, pitch, span, velocity, program, track = columns
    out = np.zeros(len(onset), NOTE_DTYPE)
    out["onset_beat"], out["duration_beat"] = onset / _STEPS, span / _STEPS
    out["pitch"], out["program"], out["track"] = pitch, program, track
    out["velocity"] = np.clip(np.rint(velocity), 8, 127)
    return out


def _tune(arrangement: Arrangement, bar: int, start: int) -> list[tuple[int, int, int, float]]:
    """The tune of a bar that begins at `start`, as (onset, pitch, span, velocity), above what it sounds with."""
    octave = 12 * arrangement.casting.octave
    loudest = max((n.velocity for part in arrangement.notes for n in part[bar]), default=0)
    level = max(float(arrangement.lead[bar]), min(loudest + _TUNE_OVER, 118.0) if loudest else 0.0) or 72.0
    return [(start + n.position * 3, n.pitch + octave, n.length * 3, level) for n in arrangement.plan.bars[bar].melody]


def _playable(
    notes: Sequence[tuple[int, int, int, float]], program: int, total: int
) -> list[tuple[int, int, int, float]]:
    """Notes within the range, one at a time on each key, and no more at once than the instrument can sound."""
    one = instruments()[program]
    is_drum = part_of(program) == "drums"
    by_onset: dict[int, dict[int, tuple[int, float]]] = {}
    for onset, pitch, span, velocity in notes:
        if is_drum or one.low <= pitch <= one.high:
            chord = by_onset.setdefault(onset, {})
            if pitch not in chord or velocity > chord[pitch][1]:
                chord[pitch] = (max(span, chord.get(pitch, (0, 0.0))[0]), velocity)
    sounding: list[list[float]] = []  # [onset, pitch, end, velocity]
    out: list[list[float]] = []
    for onset in sorted(by_onset):
        chord = by_onset[onset]
        kept = sorted(chord, reverse=True)[: one.polyphony] if not is_drum else sorted(chord)
        if not is_drum and len(chord) > len(kept) and one.polyphony > 1:
            kept = [*kept[:-1], min(chord)]  # the outer notes carry the harmony
        sounding = [s for s in sounding if s[2] > onset]
        for struck in [s for s in sounding if s[1] in kept]:
            struck[2] = onset
        sounding = [s for s in sounding if s[2] > onset]
        while sounding and len(sounding) + len(kept) > one.polyphony and not is_drum:
            first = min(sounding, key=lambda s: s[0])
            first[2] = onset
            sounding.remove(first)
        for pitch in kept:
            span, velocity = chord[pitch]
            note = [onset, pitch, min(onset + span, total), velocity]
            sounding.append(note)
            out.append(note)
    return [(int(a), int(p), max(int(end - a), 1), v) for a, p, end, v in out]


def _unevenness(
    onset: NDArray[np.int64],
    pitch: NDArray[np.int64],
    track: NDArray[np.int64],
    size: int,
    hand: Hand,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Accents of the meter, and a hand's own differences from onset to onset and within a chord."""
    out = np.array(hand.accent)[place_of(onset % size, size)]
    chords, which = np.unique(np.stack([track, onset]), axis=1, return_inverse=True)
    out += rng.normal(0, hand.spread, (chords.shape[1],))[which]
    n_notes = np.bincount(which)[which]
    highest = np.full(chords.shape[1], -1)
    np.maximum.at(highest, which, pitch)
    inside = rng.normal(0, hand.chord_spread, len(onset)) + hand.top * np.where(pitch == highest[which], 1.0, -0.5)
    return out + np.where(n_notes > 1, inside, 0.0)


def _phrase_place(at: NDArray[np.int64], plan: Plan) -> NDArray[np.float64]:
    """Where in its phrase each moment (twelfths of a quarter) lies, 0..1: four bars of a section, or what is left."""
    bounds = {0, len(plan.bars)}
    for start, stop in pairwise(sorted({0, len(plan.bars), *plan.section_starts})):
        bounds |= set(range(start, stop, PHRASE_BARS))
    edges = np.array(sorted(bounds)) * plan.bar_length * 3
    phrase = np.clip(np.searchsorted(edges, at, side="right") - 1, 0, len(edges) - 2)
    return (at - edges[phrase]) / (edges[phrase + 1] - edges[phrase])


def _swell(onset: NDArray[np.int64], plan: Plan) -> NDArray[np.float64]:
    """Velocity over each phrase, 0 on average: softer at both ends."""
    return np.asarray(_SWELL * (np.sin(np.pi * _phrase_place(onset, plan)) - 2 / np.pi))


def _held(
    arrangement: Arrangement,
    onset: NDArray[np.int64],
    pitch: NDArray[np.int64],
    span: NDArray[np.int64],
    track: NDArray[np.int64],
    tempo_bpm: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """How long keys are held, instrument by instrument; drums are as they are."""
    casting, size = arrangement.casting, arrangement.plan.bar_length * 3
    tune = {
        (b * size + n.position * 3, n.pitch + 12 * casting.octave)
        for b, bar in enumerate(arrangement.plan.bars[: len(arrangement.lead)])
        for n in bar.melody
    }
    out = span.astype(np.float64)
    for i in np.unique(track).tolist():
        mine = track == i
        if part_of(casting.programs[i]) != "drums":
            notes = zip(onset[mine].tolist(), pitch[mine].tolist(), strict=True)
            is_tune = np.array([i == casting.lead and note in tune for note in notes])
            out[mine] = Expression.load().held(onset[mine], pitch[mine], span[mine], is_tune, tempo_bpm, rng)
    return out


def _shape_tempo(
    score: Score, plan: Plan, velocity: NDArray[np.float64], touch: Touch, rng: np.random.Generator
) -> None:
    """A tempo for each beat; the last bar slows down. `velocity`: mean of each bar, or one."""
    n_bars, size = len(plan.bars), plan.bar_length * 3
    beat = beat_length(plan.time_signature) * 3
    slows_down = touch.slows_down and n_bars > 1
    n_shaped = n_bars - slows_down
    start = np.concatenate([np.arange(bar * size, (bar + 1) * size, beat) for bar in range(n_shaped)])
    length = np.diff(np.append(start, n_shaped * size))
    level = velocity[np.minimum(start // size, len(velocity) - 1)]
    middle = _phrase_place(start + length // 2, plan)
    curve = Expression.load().tempo_curve(middle, level, length.astype(np.float64), rng)
    score.tempos.clear()
    for at, share in zip((start * _TICKS).tolist(), curve.tolist(), strict=True):
        score.tempos.append(symusic.Tempo(at, touch.tempo_bpm * share))
    if slows_down:
        for k, share in enumerate(_SLOWING):
            at = (n_shaped * size + size * k // len(_SLOWING)) * _TICKS
            score.tempos.append(symusic.Tempo(at, touch.tempo_bpm * share))


def _press_pedal(
    track: symusic.core.TrackTick,
    plan: Plan,
    onset: NDArray[np.int64],
    held: NDArray[np.float64],
    tempo_bpm: float,
    rng: np.random.Generator,
) -> None:
    """Sustain pedal of an instrument, changed with the chords of the plan."""
    changes = np.array([round(at * _STEPS) for at, _ in plan.chord_changes()], np.int64)
    end = int(np.ceil((onset + held).max()))
    beat, bar = beat_length(plan.time_signature) * 3, plan.bar_length * 3
    for pressed, lifted in Expression.load().pedal(onset, held, changes, bar, beat, end, tempo_bpm, rng).tolist():
        at, until = (round(moment * _TICKS) for moment in (pressed, lifted))
        track.controls.append(symusic.ControlChange(at, _SUSTAIN, 127))
        track.controls.append(symusic.ControlChange(until, _SUSTAIN, 0))
        track.pedals.append(symusic.Pedal(at, until - at))
