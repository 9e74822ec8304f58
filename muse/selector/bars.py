"""Which bar of a window could follow which: numbers for every ordered pair of its bars, whatever their order is.

How two bars join is heard at the bar line: notes that are held over it and meet what is struck there, the step that the
tune, the bass and the other voices take, the change of chord, of loudness and of density. Each of them is measured for
all ordered pairs, so that what stands there can be compared with what might stand there
(:mod:`muse.selector.form`).

Conventions
-----------
step
    A twelfth of a quarter note.
beat
    A quarter of a bar, whatever the meter.
pair
    Arrays [B, B] over the ``B`` bars of a window have what comes first in rows.

Contents: :class:`Bars`, :func:`bars_of`, :func:`pair_measures`, :data:`PAIR_NAMES`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from muse.score import DRUMS
from muse.selector.events import Passage
from muse.theory import CHORD_QUALITIES, chord_scores, estimate_key
from muse.tokens.vocabulary import STEPS_PER_BEAT

__all__ = ["N_CHORDS", "PAIR_NAMES", "Bars", "bars_of", "pair_measures"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BEATS: Final = 4
FARTHEST: Final = 24.0
"""Semitones at which a leap is cut."""
_FAMILIES: Final = {"": 0, "maj7": 0, "m": 1, "m7": 1, "7": 2}
"""Major, minor, dominant; every other quality is a fourth family."""
_N_FAMILIES: Final = 4
N_CHORDS: Final = 12 * _N_FAMILIES + 1
"""Kinds of chord relative to the key, the last one silence."""
_RELATIVE_MINOR: Final = 3
_GRID: Final = 24
"""Places in a bar that rhythms are compared on."""


@dataclass(frozen=True)
class Bars:
    """A window bar by bar; ``n`` notes, ``B`` bars."""

    bar: Ints
    """Bar of every note, [n]."""
    place: Ints
    """Onset in its bar in steps, [n]."""
    length: Ints
    """In steps, [n]."""
    pitch: Ints
    velocity: Floats
    program: Ints
    pitched: NDArray[np.bool_]
    """Notes that are not of drums, [n]."""
    size: int
    """Steps in a bar."""
    count: int
    """``B``."""
    chroma: Floats
    """Sounding time by bar, beat and semitones above the tonic of the major key with the same signature [B, 4, 12]."""
    chords: Ints
    """Chord of each half of each bar, [B, 2], 0..N_CHORDS - 1."""

    def total(self, values: Floats | NDArray[np.bool_] | None = None, at: NDArray[np.bool_] | None = None) -> Floats:
        """Sum of values of notes (or their number) by bar, [B], of all or of those `at`."""
        at = np.ones(len(self.bar), bool) if at is None else at
        weights = None if values is None else np.asarray(values, np.float64)[at]
        return np.bincount(self.bar[at], weights=weights, minlength=self.count).astype(np.float64)

    def mean(self, values: Floats, at: NDArray[np.bool_] | None = None) -> Floats:
        """Mean over each bar's notes, [B]; over all notes where a bar has none."""
        chosen = values if at is None else values[at]
        rest = float(chosen.mean()) if len(chosen) else 0.0
        n = self.total(at=at)
        return np.where(n > 0, self.total(values, at) / np.maximum(n, 1), rest)


def bars_of(music: Passage) -> Bars:
    """The bars of a window on a grid."""
    notes = music.notes
    onset = np.rint(notes["onset_beat"] * STEPS_PER_BEAT).astype(np.int64)
    length = np.maximum(np.rint(notes["duration_beat"] * STEPS_PER_BEAT).astype(np.int64), 1)
    size = max(round(music.bar_beats * STEPS_PER_BEAT), BEATS)
    bar, place = onset // size, onset % size
    pitch, program = notes["pitch"].astype(np.int64), notes["program"].astype(np.int64)
    pitched = program != DRUMS
    count = int(bar.max()) + 1
    key = estimate_key(notes)
    tonic = 0 if key is None else key.tonic + (_RELATIVE_MINOR if key.mode == "minor" else 0)
    chroma = np.zeros((count, BEATS, 12))
    edges = np.arange(BEATS + 1) * size / BEATS
    rows = np.flatnonzero(pitched)
    last = np.minimum(place[rows] + length[rows], size)
    for beat in range(BEATS):
        overlap = np.minimum(last, edges[beat + 1]) - np.maximum(place[rows], edges[beat])
        np.add.at(chroma[:, beat], (bar[rows], (pitch[rows] - tonic) % 12), np.maximum(overlap, 0))
    halves = chroma.reshape(count, 2, BEATS // 2, 12).sum(axis=2)
    velocity = notes["velocity"].astype(np.float64)
    return Bars(bar, place, length, pitch, velocity, program, pitched, size, count, chroma, _chords(halves))


def _chords(halves: Floats) -> Ints:
    families = np.array([_FAMILIES.get(suffix, _N_FAMILIES - 1) for suffix in CHORD_QUALITIES])
    best = chord_scores(halves).argmax(axis=-1)
    root, quality = best // len(families), best % len(families)
    return np.where(halves.any(axis=-1), root * _N_FAMILIES + families[quality], N_CHORDS - 1)


# ------------------------------------------------------------------------------------------------------------ pairs


def pair_measures(bars: Bars, transitions: Floats) -> Floats:
    """What is measured of every ordered pair of bars, [B, B, len(PAIR_NAMES)].

    Parameters
    ----------
    transitions
        Log probability of a chord after another, beyond that of the chord alone, [N_CHORDS, N_CHORDS].
    """
    found = dict(_pairs(bars, transitions))
    plain = np.nan_to_num(np.stack([found[name] for name in _PLAIN], axis=-1))
    return np.concatenate([plain, _beside_others(plain[..., : len(_COMPARED)])], axis=-1)


def _beside_others(x: Floats) -> Floats:
    """Pair measures less the mean of what else might follow the first bar, and come before the second, [B, B, 2 k]."""
    n = len(x)
    if n < 3:
        return np.zeros((*x.shape[:2], 2 * x.shape[2]))
    apart = ~np.eye(n, dtype=bool)[..., None]
    after = (x * apart).sum(axis=1, keepdims=True) / (n - 1)
    before = (x * apart).sum(axis=0, keepdims=True) / (n - 1)
    return np.concatenate([x - after, x - before], axis=-1)


_COMPARED: Final = (
    "top step", "bass step", "voices onward", "voices back", "common tones", "chroma at line", "chroma of halves",
    "chroma of bars", "chord after chord", "chord after chord, bars", "rhythm alike", "notes alike", "density",
    "velocity at line", "velocity", "register", "length", "clash", "collisions", "cover",
)  # fmt: skip
"""Measures that are also set beside what else might follow."""
_PLAIN: Final = (
    *_COMPARED, "top rises", "bass fifths", "silence", "held", "programs alike", "top held back", "top enters",
    "rest before", "polyphony first", "polyphony second", "notes first", "notes second", "struck",
)  # fmt: skip
PAIR_NAMES: Final = (
    *_PLAIN,
    *(f"{name}, to others after" for name in _COMPARED),
    *(f"{name}, to others before" for name in _COMPARED),
)
"""Names of the numbers of a pair."""


def _pairs(bars: Bars, transitions: Floats) -> Iterator[tuple[str, Floats]]:
    yield from _voices(bars)
    yield from _held(bars)
    yield from _harmony(bars, transitions)
    yield from _likeness(bars)
    n, poly = bars.total(), _polyphony(bars)
    log_n = np.log1p(n)
    beat = bars.size / BEATS
    first, last = bars.place < beat, bars.place >= bars.size - beat
    velocity = bars.mean(bars.velocity)
    at_start = np.where(bars.total(at=first) > 0, bars.mean(bars.velocity, first), velocity)
    at_end = np.where(bars.total(at=last) > 0, bars.mean(bars.velocity, last), velocity)
    yield "density", np.abs(log_n[None] - log_n[:, None])
    yield "velocity at line", np.abs(at_start[None] - at_end[:, None]) / 16
    yield "velocity", np.abs(velocity[None] - velocity[:, None]) / 16
    register = bars.mean(bars.pitch.astype(np.float64), bars.pitched)
    yield "register", np.abs(register[None] - register[:, None]) / 12
    length = bars.mean(np.log2(bars.length.astype(np.float64)))
    yield "length", np.abs(length[None] - length[:, None])
    for name, values in (("polyphony", poly), ("notes", log_n)):
        yield f"{name} first", _first(values)
        yield f"{name} second", _second(values)


def _first(x: Floats) -> Floats:
    return np.broadcast_to(x[:, None], (len(x), len(x)))


def _second(x: Floats) -> Floats:
    return np.broadcast_to(x[None], (len(x), len(x)))


def _polyphony(bars: Bars) -> Floats:
    """Mean number of pitches that sound, [B]."""
    return bars.chroma.sum(axis=(1, 2)) / bars.size


def _edge(bars: Bars, *, last: bool, top: bool) -> tuple[Floats, Floats]:
    """Pitch of the highest or lowest of the first or last notes struck in each bar, and when, [B]; NaN without any."""
    rows = np.flatnonzero(bars.pitched)
    height = bars.pitch[rows] if top else -bars.pitch[rows]
    when = bars.place[rows] if last else -bars.place[rows]
    order = np.lexsort((height, when, bars.bar[rows]))  # the wanted note ends its bar
    ends = np.flatnonzero(np.diff(bars.bar[rows][order], append=-1) != 0)
    chosen = rows[order][ends]
    pitch, place = np.full(bars.count, np.nan), np.full(bars.count, np.nan)
    pitch[bars.bar[chosen]], place[bars.bar[chosen]] = bars.pitch[chosen], bars.place[chosen]
    return pitch, place


def _voices(bars: Bars) -> Iterator[tuple[str, Floats]]:
    """Steps over the bar line: of the outer voices, and from every pitch to the nearest one."""
    top_end, when = _edge(bars, last=True, top=True)
    top_start, enters = _edge(bars, last=False, top=True)
    bass_end, _ = _edge(bars, last=True, top=False)
    bass_start, _ = _edge(bars, last=False, top=False)
    rise = top_start[None] - top_end[:, None]
    yield "top step", np.minimum(np.abs(rise), FARTHEST) / 12
    yield "top rises", np.sign(rise)
    bass = bass_start[None] - bass_end[:, None]
    yield "bass step", np.minimum(np.abs(bass), FARTHEST) / 12
    yield "bass fifths", np.abs((7 * bass + 6) % 12 - 6) / 6
    yield "top held back", _first(1 - when / bars.size)
    yield "top enters", _second(enters / bars.size)
    beat = bars.size / BEATS
    starts = _pitches(bars, bars.place < beat)
    ends = _pitches(bars, bars.place + bars.length > bars.size - beat)
    for name, struck, near in (("voices onward", starts, ends), ("voices back", ends, starts)):
        distance = _to_nearest(near)
        n = struck.sum(axis=1)
        way = struck @ distance.T / np.maximum(n, 1)[:, None] / 12
        way = np.where((n[:, None] > 0) & (near.max(axis=1) > 0)[None], way, 0.5)
        yield name, way.T if name == "voices onward" else way
    n = np.minimum(starts.sum(axis=1)[None], ends.sum(axis=1)[:, None])
    yield "common tones", ends @ starts.T / np.maximum(n, 1)


def _pitches(bars: Bars, at: NDArray[np.bool_]) -> Floats:
    """Which pitches some notes of each bar have, [B, 128], 0 or 1."""
    found = np.zeros((bars.count, 128))
    at = at & bars.pitched
    found[bars.bar[at], bars.pitch[at]] = 1
    return found


def _to_nearest(there: Floats) -> Floats:
    """Semitones from every pitch to the nearest that is there, at most an octave, [B, 128]."""
    distance = np.where(there > 0, 0.0, 12.0)
    for _ in range(12):
        distance[:, 1:] = np.minimum(distance[:, 1:], distance[:, :-1] + 1)
        distance[:, :-1] = np.minimum(distance[:, :-1], distance[:, 1:] + 1)
    return distance


def _held(bars: Bars) -> Iterator[tuple[str, Floats]]:
    """Notes held over the bar line, and what they meet."""
    over = bars.place + bars.length - bars.size
    at = (over > 0) & bars.pitched
    rest = np.zeros((bars.count, 128))  # steps that a pitch sounds on
    np.maximum.at(rest, (bars.bar[at], bars.pitch[at]), over[at])
    struck = np.full((bars.count, 128), 1e6)  # where a pitch is struck first
    pitched = bars.pitched
    np.minimum.at(struck, (bars.bar[pitched], bars.pitch[pitched]), bars.place[pitched])
    held = (rest > 0).astype(np.float64)
    n_held = held.sum(axis=1)
    meets = (rest[:, None] > struck[None]).sum(axis=-1)
    yield "collisions", meets / np.maximum(n_held, 1)[:, None]
    beat = bars.size / BEATS
    down = _pitches(bars, bars.place < beat / 2)
    beside = np.zeros_like(down)
    beside[:, 1:] += down[:, :-1]
    beside[:, :-1] += down[:, 1:]
    yield "clash", held @ np.minimum(beside, 1).T / np.maximum(n_held, 1)[:, None]
    n_down = down.sum(axis=1)
    poly = np.maximum(_polyphony(bars), 0.5)
    yield "cover", np.clip((n_held[:, None] - (held @ down.T) + n_down[None]) / poly[None], 0, 4)
    first = np.where(np.isfinite(struck.min(axis=1)), np.minimum(struck.min(axis=1), bars.size), bars.size)
    yield "silence", np.clip(first[None] - rest.max(axis=1)[:, None], 0, None) / bars.size
    yield "held", _first(np.log1p(n_held))
    yield "struck", _second(np.log1p(n_down))
    ends = np.zeros(bars.count)
    np.maximum.at(ends, bars.bar[pitched], np.minimum(bars.place + bars.length, bars.size)[pitched])
    yield "rest before", _first(1 - ends / bars.size)


def _harmony(bars: Bars, transitions: Floats) -> Iterator[tuple[str, Floats]]:
    chroma = bars.chroma
    yield "chroma at line", _cosine(chroma[:, -1], chroma[:, 0])
    yield "chroma of halves", _cosine(chroma[:, 2:].sum(axis=1), chroma[:, :2].sum(axis=1))
    whole = chroma.sum(axis=1)
    yield "chroma of bars", _cosine(whole, whole)
    yield "chord after chord", transitions[bars.chords[:, 1][:, None], bars.chords[:, 0][None]]
    of_bars = _chords(whole[:, None])[:, 0]
    yield "chord after chord, bars", transitions[of_bars[:, None], of_bars[None]]


def _likeness(bars: Bars) -> Iterator[tuple[str, Floats]]:
    rhythm, notes = likeness_sets(bars)
    yield "rhythm alike", jaccard(rhythm)
    yield "notes alike", jaccard(notes)
    programs = np.zeros((bars.count, 130))
    programs[bars.bar, np.clip(bars.program, 0, 129)] = 1
    yield "programs alike", jaccard(programs)


def likeness_sets(bars: Bars) -> tuple[Floats, Floats]:
    """Where each bar is struck [B, 24], and which pitch class where [B, 24 * 13], drums the thirteenth; 0 or 1."""
    grid = np.minimum(bars.place * _GRID // bars.size, _GRID - 1)
    rhythm = np.zeros((bars.count, _GRID))
    rhythm[bars.bar, grid] = 1
    notes = np.zeros((bars.count, _GRID * 13))
    notes[bars.bar, grid * 13 + np.where(bars.pitched, bars.pitch % 12, 12)] = 1
    return rhythm, notes


def jaccard(sets: Floats) -> Floats:
    """Share of two sets that they have in common, [B, B], of rows of 0 and 1; 1 for two empty ones."""
    common = sets @ sets.T
    n = sets.sum(axis=1)
    either = n[:, None] + n[None] - common
    return np.where(either > 0, common / np.maximum(either, 1), 1.0)


def _cosine(x: Floats, y: Floats) -> Floats:
    """Between rows, [B, B]; 0 where one is silent."""
    x, y = (a / np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-9) for a in (x, y))
    return np.asarray(x @ y.T)
