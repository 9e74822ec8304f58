"""The third stage: from an arrangement to a score that sounds played.

Loudness comes from the arranger in absolute terms; here it gets the grain of a hand (seeded), a swell over each phrase
and a tune above its accompaniment; the tempo gives way at the end. Onsets stay on the grid, so what is written can be
read; a setting leaves all of it out.

Contents: :class:`Touch`, :func:`perform`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import symusic

from muse.composer.arrange import Arrangement
from muse.score import DRUMS, NOTE_DTYPE, from_notes
from muse.theory import instrument_name, instruments
from muse.tokens.arrangement import part_of

if TYPE_CHECKING:
    from symusic.core import ScoreTick as Score

__all__ = ["Touch", "perform"]

_STEPS = 12  # a quarter note
_PHRASE_BARS = 4
_SWELL = 3.0  # velocity at the middle of a phrase over its ends
_GRAIN = 3.0  # standard deviation of a hand's velocity, of people's pop piano within an eighth-step bin
_TUNE_OVER = 6.0  # velocity of the tune over the loudest accompaniment that it sounds with
_SLOWING = (0.97, 0.92, 0.84, 0.72)  # of the tempo, over the quarters of the last bar


@dataclass(frozen=True)
class Touch:
    """How an arrangement is played."""

    tempo_bpm: float = 96.0
    deadpan: bool = False
    """Velocities as the arranger says, and one tempo."""
    loudness: float = 0.0
    """Added to all velocities, so that a piece has the loudness that was asked for."""
    slows_down: bool = True


def perform(arrangement: Arrangement, touch: Touch = Touch(), rng: np.random.Generator | None = None) -> Score:
    """The score of an arrangement: one track an instrument, in the order asked for.

    Parameters
    ----------
    arrangement
        What is played.
    touch
        How.
    rng
        For the grain of the velocities.
    """
    rng = rng or np.random.default_rng(0)
    plan, casting = arrangement.plan, arrangement.casting
    size = plan.bar_length * 3
    total = size * len(plan.bars)
    rows = []
    for i, program in enumerate(casting.programs):
        notes = [
            (b * size + n.position, n.pitch, n.span, float(n.velocity))
            for b, bar in enumerate(arrangement.notes[i])
            for n in bar
        ]
        if i == casting.lead:
            notes += _tune(arrangement, size)
        table = _playable(sorted(notes), program, total)
        rows += [(onset, pitch, span, velocity, program, i) for onset, pitch, span, velocity in table]
    out = np.zeros(len(rows), NOTE_DTYPE)
    if rows:
        onset, pitch, span, velocity, program_, track = (np.array(column) for column in zip(*rows, strict=True))
        if not touch.deadpan:
            velocity = velocity + _swell(onset, size) + rng.normal(0, _GRAIN, len(velocity))
        out["onset_beat"], out["duration_beat"] = onset / _STEPS, span / _STEPS
        out["pitch"], out["program"], out["track"] = pitch, program_, track
        out["velocity"] = np.clip(np.rint(velocity + touch.loudness), 8, 127)
    names = [instrument_name(p) if p != DRUMS else "drums" for p in casting.programs]
    score = from_notes(out, tempo_bpm=touch.tempo_bpm, time_signature=plan.time_signature, names=names)
    if touch.slows_down and not touch.deadpan and len(plan.bars) > 1:
        _slow_down(score, plan.bar_length, len(plan.bars), touch.tempo_bpm)
    return score


def _tune(arrangement: Arrangement, size: int) -> list[tuple[int, int, int, float]]:
    """The tune as (onset, pitch, span, velocity), above what it sounds with."""
    octave = 12 * arrangement.casting.octave
    out = []
    for b, (bar, velocity) in enumerate(zip(arrangement.plan.bars, arrangement.lead, strict=True)):
        loudest = max((n.velocity for part in arrangement.notes for n in part[b]), default=0)
        level = max(float(velocity), min(loudest + _TUNE_OVER, 118.0) if loudest else 0.0)
        out += [(b * size + n.position * 3, n.pitch + octave, n.length * 3, level or 72.0) for n in bar.melody]
    return out


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
        for note in [s for s in sounding if s[1] in kept]:
            note[2] = onset
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


def _swell(onset: np.ndarray, size: int) -> np.ndarray:
    """Velocity over each phrase, 0 on average: softer at both ends."""
    place = (onset % (size * _PHRASE_BARS)) / (size * _PHRASE_BARS)
    return np.asarray(_SWELL * (np.sin(np.pi * place) - 2 / np.pi))


def _slow_down(score: Score, bar_length: int, n_bars: int, tempo_bpm: float) -> None:
    """Tempo events over the last bar."""
    ticks = score.ticks_per_quarter * bar_length // 4
    start = ticks * (n_bars - 1)
    for k, share in enumerate(_SLOWING):
        score.tempos.append(symusic.Tempo(start + ticks * k // len(_SLOWING), tempo_bpm * share))
