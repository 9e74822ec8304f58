"""Phrase retrieval, the baseline of the arranger: accompaniments that people played, fitted to a plan.

After AccoMontage (Zhao & Xia, ISMIR 2021, arXiv 2108.11213): the library holds people's phrases with their chords, tune
and accompaniment. For each phrase of a plan the best is found by dynamic programming over fitness (are the chords the
same, moved to one key, and is the tune as busy) and transition (does it follow, in its song, the one chosen before,
or begin as dense as that ends). Notes are then moved to the plan's key; where a chord differs, its tones go to the
nearest tones of the chord that the plan has. (AccoMontage re-harmonizes with a variational autoencoder.)

Conventions: piano in 4/4, phrases of four bars; the library is made of lead sheets that a user has.

Contents: :class:`Library`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from muse.composer.arrange import Arrangement, cast
from muse.dataset.lead_sheets import Sheet
from muse.errors import InputError
from muse.theory.chord_symbols import Chord
from muse.tokens.arrangement import PartNote
from muse.tokens.plan import Bar, Plan, fold_shift
from muse.tokens.plan_form import PHRASE_BARS

__all__ = ["Library"]

Floats: TypeAlias = NDArray[np.float64]

METER = (4, 4)
HALVES = 2
"""Parts of a bar whose chords are compared."""
W_CHORDS, W_TUNE, W_FOLLOWS, W_TEXTURE = 1.0, 0.2, 0.5, 0.3
"""What chords, the tune's density, following in the same song, and like density at the seam are worth."""
N_BEST = 60
"""Candidates a phrase that enter the search."""


@dataclass(frozen=True)
class _Phrase:
    """Bars of one song, all in its tonic C."""

    song: str
    first: int
    bars: tuple[Bar, ...]
    notes: tuple[tuple[PartNote, ...], ...]
    """Accompaniment, by bar."""
    lead: tuple[int, ...]
    """Velocity of the tune, by bar."""
    mode: str


class Library:
    """Phrases to arrange with.

    Parameters
    ----------
    sheets
        Lead sheets with one accompaniment of keys in 4/4; others are passed over.

    Raises
    ------
    InputError
        None of the sheets has a phrase.
    """

    def __init__(self, sheets: Iterable[Sheet]) -> None:
        self.phrases = [phrase for sheet in sheets for phrase in _phrases(sheet)]
        if not self.phrases:
            raise InputError("no piano phrase in 4/4 to arrange with; give lead sheets of piano songs, as POP909's")
        self._tones = np.stack([_tones(phrase.bars) for phrase in self.phrases])  # [n, halves, 12]
        self._n_tune = np.array([_n_tune(phrase.bars) for phrase in self.phrases], float)
        density = np.array([[len(bar) for bar in phrase.notes] for phrase in self.phrases], float)
        self._starts, self._ends = density[:, 0], density[:, -1]
        self._place = {(phrase.song, phrase.first): i for i, phrase in enumerate(self.phrases)}
        self._minor = np.array([phrase.mode == "minor" for phrase in self.phrases])

    def arrange(self, plan: Plan, *, without: str = "") -> Arrangement:
        """The plan with accompaniments of people's, for piano.

        Parameters
        ----------
        plan
            In 4/4.
        without
            A song that is not to be used: the plan's own.

        Raises
        ------
        InputError
            The plan is in another meter.
        """
        if plan.bar_length != 16:
            raise InputError(f"phrases are in 4/4, the plan in {plan.time_signature[0]}/{plan.time_signature[1]}")
        shift = fold_shift(-plan.tonic)
        bars = plan.transposed(shift).bars
        notes: list[tuple[PartNote, ...]] = []
        lead: list[int] = []
        chosen = self._choose(bars, plan.mode == "minor", without)
        for start, index in zip(range(0, len(bars), PHRASE_BARS), chosen, strict=True):
            phrase = self.phrases[index]
            for k, bar in enumerate(bars[start : start + PHRASE_BARS]):
                fitted = (_fitted(note, phrase.bars[k], bar, -shift) for note in phrase.notes[k])
                notes.append(tuple(sorted(fitted, key=lambda n: (n.position, n.pitch))))
                lead.append((phrase.lead[k] or max(phrase.lead) or 72) if bar.melody else 0)
        return Arrangement(plan, cast((0,)), (tuple(notes),), tuple(lead))

    def _choose(self, bars: Sequence[Bar], minor: bool, without: str) -> list[int]:
        """The best phrase for every four bars, by Viterbi."""
        barred = np.array([phrase.song == without for phrase in self.phrases])
        total, back, previous = np.zeros(0), [], np.zeros(0, int)
        layers = []
        for start in range(0, len(bars), PHRASE_BARS):
            fitness = self._fitness(bars[start : start + PHRASE_BARS])
            fitness = np.where(barred, -np.inf, fitness - 0.1 * (self._minor != minor))
            best = np.argsort(-fitness)[:N_BEST]
            if not start:
                total = fitness[best]
            else:
                joint = total[:, None] + self._transition(previous, best)
                back.append(joint.argmax(axis=0))
                total = joint.max(axis=0) + fitness[best]
            layers.append(best)
            previous = best
        at = int(total.argmax())
        path = [int(layers[-1][at])]
        for layer, origin in zip(reversed(layers[:-1]), reversed(back), strict=True):
            at = int(origin[at])
            path.append(int(layer[at]))
        return path[::-1]

    def _fitness(self, bars: Sequence[Bar]) -> Floats:
        tones = _tones(bars)
        shared = np.minimum(self._tones[:, : len(tones)], tones).sum(-1)
        most = np.maximum(self._tones[:, : len(tones)], tones).sum(-1)
        chords = (shared / np.maximum(most, 1)).mean(-1)
        tune = 1 - np.minimum(np.abs(self._n_tune - _n_tune(bars)) / 16, 1)
        return W_CHORDS * chords + W_TUNE * tune

    def _transition(self, before: NDArray[np.int64], after: NDArray[np.int64]) -> Floats:
        places = [(self.phrases[i].song, self.phrases[i].first + PHRASE_BARS) for i in before]
        follows = np.array([self._place.get(place, -1) for place in places])[:, None] == after
        seam = np.abs(self._ends[before][:, None] - self._starts[after])
        return W_FOLLOWS * follows - W_TEXTURE * np.minimum(seam / 16, 1)


def _phrases(sheet: Sheet) -> Iterable[_Phrase]:
    if sheet.parts != ("keys",) or sheet.plan.bar_length != 16:
        return
    shift = fold_shift(-sheet.plan.tonic)
    moved = sheet.plan.transposed(shift)
    by_bar: list[list[PartNote]] = [[] for _ in moved.bars]
    for _, bar, position, span, pitch, velocity in sheet.notes.tolist():
        by_bar[bar].append(PartNote(position, pitch + shift, span, velocity))
    for first in range(0, len(moved.bars) - PHRASE_BARS + 1, PHRASE_BARS):
        span = slice(first, first + PHRASE_BARS)
        notes = tuple(tuple(bar) for bar in by_bar[span])
        if all(notes) and all(bar.chords for bar in moved.bars[span]):
            lead = tuple(int(v) for v in sheet.melody_velocity[span])
            yield _Phrase(sheet.song.split("#")[0], first, moved.bars[span], notes, lead, moved.mode)


def _chord_at(bar: Bar, sixteenth: float) -> Chord | None:
    held = [chord for chord in bar.chords if chord.position <= sixteenth and chord.root is not None]
    return held[-1] if held else None


def _tones(bars: Sequence[Bar]) -> Floats:
    """Chord tones of each half bar, the root twice as heavy: float64 [halves, 12]."""
    out = np.zeros((len(bars) * HALVES, 12))
    for i, half in enumerate(out):
        chord = _chord_at(bars[i // HALVES], 16 / HALVES * (i % HALVES))
        if chord is not None and chord.root is not None:
            half[list(chord.pitch_classes)] = 1
            half[chord.root] = 2
    return out


def _n_tune(bars: Sequence[Bar]) -> int:
    return sum(len(bar.melody) for bar in bars)


def _fitted(note: PartNote, source: Bar, target: Bar, shift: int) -> PartNote:
    """A note of the library in the plan's key, and on the plan's chord where it was on its own."""
    theirs, ours = (_chord_at(bar, note.position / 3) for bar in (source, target))
    pitch = note.pitch
    if theirs is not None and ours is not None and pitch % 12 in theirs.pitch_classes:
        tones = [ours.root] if pitch % 12 == theirs.root and pitch < 55 else ours.pitch_classes
        steps = [(int(tone or 0) - pitch + 6) % 12 - 6 for tone in tones]
        pitch += min(steps, key=lambda step: (abs(step), step))
    return PartNote(note.position, min(max(pitch + shift, 21), 108), note.span, note.velocity)
