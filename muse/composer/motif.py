"""Motifs: a tune that a piece opens with and develops.

Conventions
-----------
step
    A twelfth of the notated beat (of an eighth in x/8), as the tokens count.
motif
    One voice: where several notes begin together the highest counts, a note ends where the next begins, and all begin
    within the first bar.
development
    A statement is the motif, or what composers have always made of it: its *sequence* (moved within the scale), its
    *inversion* (upside down within the scale), its *augmentation* (twice as slow) or *diminution* (twice as fast).

Contents: :class:`Motif`, :class:`Statement`, :func:`develop`, :func:`find_statement`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from muse.errors import InputError
from muse.score import DRUMS, Score, mean_tempo_bpm, note_array
from muse.theory import Key, estimate_key
from muse.tokens.vocabulary import SECTION_BARS, STEPS_PER_BEAT

__all__ = ["Motif", "Statement", "develop", "find_statement"]

Ints = NDArray[np.int64]

SURE_BARS: Final = 8
"""At least one statement begins in so many bars, as far as it fits in."""
LOWEST, HIGHEST = 24, 105
_SCALES: Final[Mapping[str, tuple[int, ...]]] = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}


@dataclass(frozen=True)
class Motif:
    """A tune on the grid."""

    step: Ints
    """Onsets, rising, [n]."""
    length: Ints
    """Steps, [n]."""
    pitch: Ints
    """MIDI numbers, [n]."""

    @classmethod
    def of(cls, score: Score, denominator: int = 4) -> Motif:
        """The tune of a score, see the module's conventions.

        Parameters
        ----------
        denominator
            Of the meter that it is to stand in: what a notated beat is.

        Raises
        ------
        InputError
            There is no pitched note.
        """
        notes = note_array(score)
        notes = notes[notes["program"] != DRUMS]
        if not len(notes):
            raise InputError("the motif has no pitched note: give one with a tune")
        per_beat = STEPS_PER_BEAT * denominator / 4
        step = np.rint(notes["onset_beat"] * per_beat).astype(np.int64)
        stop = np.rint((notes["onset_beat"] + notes["duration_beat"]) * per_beat).astype(np.int64)
        order = np.lexsort((-notes["pitch"], step))
        first = np.unique(step[order], return_index=True)[1]  # the highest of those that begin together
        step, stop, pitch = step[order][first], stop[order][first], notes["pitch"][order][first].astype(np.int64)
        length = np.maximum(np.minimum(stop, np.append(step[1:], 1 << 30)) - step, 1)
        return cls(step - step[0], length, pitch)

    @property
    def n_steps(self) -> int:
        """From the first onset to the end of the last note."""
        return int(self.step[-1] + self.length[-1])

    def moved(self, semitones: int) -> Motif:
        """In another key or octave."""
        return Motif(self.step, self.length, self.pitch + semitones)

    def within_range(self) -> Motif:
        """The same, moved by octaves to where instruments play."""
        down, up = self.pitch.max() - HIGHEST, LOWEST - self.pitch.min()
        octaves = -int(np.ceil(down / 12)) if down > 0 else int(np.ceil(up / 12)) if up > 0 else 0
        moved = self.moved(12 * octaves)
        if moved.pitch.min() < LOWEST or moved.pitch.max() > HIGHEST:
            raise InputError("the motif spans more than six octaves: give a narrower tune")
        return moved


@dataclass(frozen=True)
class Statement:
    """Where the motif stands, and how it was changed."""

    bar: int
    """From 0."""
    how: str
    """``"opening"``, ``"restatement"``, ``"sequence"``, ``"inversion"``, ``"augmentation"`` or ``"diminution"``."""
    motif: Motif

    def to_json(self) -> dict[str, int | str]:
        """Bars from 1, as musicians count them."""
        return {"bar": self.bar + 1, "how": self.how}


def key_of(score: Score) -> Key | None:
    """Key of a motif: that of its notes."""
    return estimate_key(note_array(score))


def tempo_of(score: Score) -> float | None:
    """Tempo of a motif where its score has one."""
    return float(mean_tempo_bpm(score)) if len(score.tempos) else None


def develop(
    motif: Motif, *, n_bars: int, bar_steps: int, tonic: int, mode: str, rng: np.random.Generator
) -> list[Statement]:
    """Statements of a motif over a piece: the opening, and later ones at the beginnings of sections.

    Parameters
    ----------
    n_bars, bar_steps
        Of the piece; a statement ends before the middle of the last bar, which belongs to the ending.
    tonic, mode
        The scale that it moves in.
    rng
        Draws what is made of it.

    Raises
    ------
    InputError
        The motif is longer than the piece.
    """
    end = n_bars * bar_steps - bar_steps // 2
    if motif.n_steps > end:
        needed = -(-(motif.n_steps + bar_steps // 2) // bar_steps)
        raise InputError(
            f"the motif needs {needed} bars and the piece has {n_bars}: ask for more bars or give less of it"
        )
    ways: dict[str, Callable[[], Motif | None]] = {
        "sequence": lambda: _sequence(motif, tonic, mode, int(rng.choice([-2, -1, 1, 2, 3]))),
        "inversion": lambda: _inversion(motif, tonic, mode),
        "augmentation": lambda: Motif(2 * motif.step, 2 * motif.length, motif.pitch),
        "diminution": lambda: _diminution(motif),
        "restatement": lambda: motif,
    }
    statements = [Statement(0, "opening", motif)]
    free = motif.n_steps
    since = 0
    for bar in range(SECTION_BARS, n_bars, SECTION_BARS):
        start = bar * bar_steps
        due = bar - since >= SURE_BARS
        if start < free or (not due and rng.random() < 0.5):
            continue
        for name in (
            ("restatement",) if bar + SURE_BARS >= n_bars and len(statements) > 1 else rng.permutation(list(ways))
        ):
            varied = ways[str(name)]()
            # Longer than a section's eight bars, or beyond the end: something shorter, in the end the motif itself.
            if varied is not None and start + varied.n_steps <= min(end, start + SURE_BARS * bar_steps + motif.n_steps):
                statements.append(Statement(bar, str(name), varied))
                free, since = start + varied.n_steps, bar
                break
    return statements


def _degrees(pitch: Ints, tonic: int, mode: str) -> tuple[Ints, Ints]:
    """Steps of the scale above C-1's tonic, and semitones that a note stands above its step."""
    scale = np.array(_SCALES[mode])
    above = pitch - tonic
    step = np.searchsorted(scale, above % 12, side="right") - 1
    return 7 * (above // 12) + step, above % 12 - scale[step]


def _pitches(degree: Ints, altered: Ints, tonic: int, mode: str) -> Ints:
    scale = np.array(_SCALES[mode])
    return np.asarray(tonic + 12 * (degree // 7) + scale[degree % 7] + altered)


def _fits(pitch: Ints) -> bool:
    return bool(pitch.min() >= LOWEST and pitch.max() <= HIGHEST)


def _sequence(motif: Motif, tonic: int, mode: str, steps: int) -> Motif | None:
    degree, altered = _degrees(motif.pitch, tonic, mode)
    pitch = _pitches(degree + steps, altered, tonic, mode)
    return Motif(motif.step, motif.length, pitch) if _fits(pitch) else None


def _inversion(motif: Motif, tonic: int, mode: str) -> Motif | None:
    degree, _ = _degrees(motif.pitch, tonic, mode)
    pitch = _pitches(2 * degree[0] - degree, np.zeros_like(degree), tonic, mode)
    return Motif(motif.step, motif.length, pitch) if _fits(pitch) and len(set(pitch.tolist())) > 1 else None


def _diminution(motif: Motif) -> Motif | None:
    if (motif.step % 2).any() or motif.length.min() < 6 or np.diff(motif.step).min(initial=12) < 6:
        return None  # too fast to be played, or off the grid
    return Motif(motif.step // 2, motif.length // 2, motif.pitch)


def find_statement(score: Score, statement: Statement, *, bar_steps: int, denominator: int) -> int:
    """How many notes of a statement stand in a score, onset and pitch exact.

    Parameters
    ----------
    bar_steps, denominator
        Of the score's meter.
    """
    notes = note_array(score)
    step = np.rint(notes["onset_beat"] * STEPS_PER_BEAT * denominator / 4).astype(np.int64)
    there = set(zip(step.tolist(), notes["pitch"].tolist(), strict=True))
    wanted = statement.motif.step + statement.bar * bar_steps
    return sum(one in there for one in zip(wanted.tolist(), statement.motif.pitch.tolist(), strict=True))
