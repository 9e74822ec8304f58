"""The lead sheet of music that has none written down: its tune, chords, key and form, found in its notes.

Conventions: as in :mod:`muse.tokens.plan`; ``step`` is a note's onset in twelfths of a quarter note, on sixteenths or
triplets.

Contents: :func:`extract_plan`, :func:`find_tune`; the steps, for corpora with annotations: :class:`Stretch`,
:func:`snap`, :func:`stretches`, :func:`plan_of_stretch`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from muse.errors import InputError
from muse.score import (
    DRUMS,
    REWRITTEN_METERS,
    BarGrid,
    Notes,
    Score,
    align_to_beats,
    bar_grid,
    beat_to_sec,
    grid_quality,
    guess_downbeats,
    mean_tempo_bpm,
    note_array,
    tempo_map,
    track_beats,
)
from muse.theory import Mode, key_from_weights, key_strengths, tonic_of_signature
from muse.theory.chord_symbols import Chord
from muse.theory.lead_sheet import find_chords, find_melody
from muse.tokens.plan import MAX_BAR, Bar, Plan, bar_length, beat_length, meter_token
from muse.tokens.plan_form import find_sections, follow
from muse.tokens.tune import plan_of_tune, tune_bars

__all__ = ["FoundChord", "Stretch", "extract_plan", "find_tune", "plan_of_stretch", "snap", "stretches"]

FoundChord = tuple[int, str, int | None] | None
"""Root, quality and bass where it is not the root; None where no chord sounds."""

_ON_GRID: Final = 0.4
"""Quality of a file's own grid from which it is trusted; performances have less."""
_SURE: Final = 0.7
"""Confidence from which tracked beats are followed."""
_WRITTEN: Final = 0.05
"""Twelfths of a quarter by which notes that were put on a grid, not played, lie beside it at most."""
_MELODY: Final = re.compile(r"melod|vocal|voice|\blead\b|sing|solo|tune", re.I)
_OVERLAP_BEATS, _FEW_OVERLAPS = 0.1, 0.05


def extract_plan(score: Score) -> Plan:
    """The lead sheet of a piece, or of its longest stretch in one meter.

    The key is that of the notes, unless the file says another signature than that of C major, which sequencers write
    where nobody said a key. A signature of a minor key is believed as it is. One of a major key stands for its relative
    minor too, as most files never say minor: the notes decide between the two. (Of 600 files of ten corpora, told by
    the bass of the last chord: where notes contradict C major they were right 74 times and wrong 11 times; where they
    take the relative minor of another stated key, right 58 times and wrong 3.)

    The tune is the track that is called a melody, else the top voice; chords by a Viterbi search over note weights and
    bass; form by likeness of phrases (:mod:`muse.theory.lead_sheet`, :mod:`muse.tokens.plan_form`). Performances that
    know no bars are put on tracked beats.

    Parameters
    ----------
    score
        At least one pitched note.

    Raises
    ------
    InputError
        There is no pitched note, or no bar that can be planned.
    """
    score = _on_bars(score)
    notes, grid, tempos = note_array(score), bar_grid(score), tempo_map(score)
    found = max(stretches(notes, grid), key=len, default=None)
    if found is None:
        raise InputError("no bar of it has a meter that can be planned (2/4 to 6/4, 3/8 to 12/8)")
    stretch = Stretch(tuple(found), grid)
    step = stretch.moved(snap(notes["onset_beat"]))
    inside = (step >= 0) & (notes["program"] != DRUMS)
    if not inside.any():
        raise InputError("there is no pitched note to take a lead sheet from")
    is_melody = _is_melody(score, notes)
    plan = plan_of_stretch(notes[inside], step[inside], is_melody[inside], stretch)
    plan = _with_said_key(plan, score, notes[inside], float(grid.start_beat[found[0]]))
    tempo = 60 * stretch.n_quarters / max(stretch.sec(tempos), 1e-3)
    return replace(find_sections(plan), tempo_bpm=round(tempo, 2) if len(score.tempos) else None)


def _with_said_key(plan: Plan, score: Score, notes: Notes, start_beat: float) -> Plan:
    """The plan in the key that its file says at a beat, where it can be believed; see :func:`extract_plan`."""
    said = [key for key in score.key_signatures if key.time <= start_beat * score.ticks_per_quarter]
    if not said or (said[-1].key, said[-1].tonality) == (0, 0):
        return plan
    fifths, mode = said[-1].key, plan.mode
    major, minor = tonic_of_signature(fifths, "major"), tonic_of_signature(fifths, "minor")
    if said[-1].tonality:
        mode = "minor"
    elif (plan.tonic, plan.mode) not in ((major, "major"), (minor, "minor")):
        strengths = key_strengths(_pitch_class_weights(notes))
        mode = "minor" if strengths[12 + minor] > strengths[major] else "major"
    return replace(plan, tonic=minor if mode == "minor" else major, mode=mode)


def find_tune(score: Score, time_signature: tuple[int, int] | None = None) -> Plan:
    """The tune of a score as a plan without chords; see :func:`muse.sheets.read_tune`.

    Raises
    ------
    InputError
        There is no pitched note, the meter changes or cannot be planned.
    """
    score = _on_bars(score)
    every = note_array(score)
    notes = every[_is_melody(score, every)]
    if not len(notes):
        raise InputError("there is no pitched note to take a tune from")
    grid = bar_grid(score)
    meters = {(int(n), int(d)) for n, d in zip(grid.numerator, grid.denominator, strict=True)}
    own = {REWRITTEN_METERS.get(meter, meter) for meter in meters}
    if time_signature is None and len(own) > 1:
        listed = ", ".join(f"{n}/{d}" for n, d in sorted(own))
        raise InputError(f"the meter changes ({listed}): say in which one its tune is to be read, or cut it out")
    meter = next(iter(own)) if time_signature is None else time_signature
    meter_token(meter)  # refuses what cannot be planned
    size = bar_length(meter) / 4
    length = np.diff(grid.start_beat)
    onset = notes["onset_beat"].astype(np.float64)
    first = float(length[0]) if len(length) > 1 else size
    pickup = size - first if 0.01 < first < size - 0.01 else 0.0
    if meters == {meter} and not np.any(length > size + 0.01):
        bar = grid.bar_of(onset)
        onset = bar * size + onset - grid.start_beat[bar] + np.where(bar == 0, pickup, 0.0)
    else:
        onset = onset + pickup
    moved = notes.copy()
    moved["onset_beat"] = onset - size * math.floor(float(np.rint(onset.min() * 4)) / 4 / size)
    plan = plan_of_tune(moved, meter)
    if len(score.key_signatures):
        stated = score.key_signatures[0]
        mode: Mode = "minor" if stated.tonality else "major"
        plan = replace(plan, tonic=tonic_of_signature(stated.key, mode), mode=mode)
    return replace(plan, tempo_bpm=round(mean_tempo_bpm(score), 2) if len(score.tempos) else None)


def _on_bars(score: Score) -> Score:
    """The score itself where its notes lie on its own grid, else on beats that are tracked, where they can be."""
    notes = note_array(score)
    twelfth = notes["onset_beat"] * 12
    is_written = not len(notes) or float(np.mean(np.abs(twelfth - np.rint(twelfth)) < _WRITTEN)) > 0.95
    if is_written or grid_quality(notes["onset_beat"]) >= _ON_GRID:
        return score
    beat_sec, confidence = track_beats(notes["onset_sec"], notes["velocity"].astype(np.float64))
    if confidence < _SURE:
        return score
    aligned = align_to_beats(score, beat_sec, guess_downbeats(notes, beat_sec))
    return aligned if grid_quality(note_array(aligned)["onset_beat"]) >= _ON_GRID else score


def _is_melody(score: Score, notes: Notes) -> NDArray[np.bool_]:
    """Which notes are the tune's: those of the track that is called so, all where hardly two sound at once, else the
    top voice."""
    pitched = notes["program"] != DRUMS
    for index in np.unique(notes["track"][pitched]).tolist():
        if _MELODY.search(score.tracks[index].name):
            return pitched & (notes["track"] == index)
    rows = np.flatnonzero(pitched)
    onset, duration = notes["onset_beat"][rows], notes["duration_beat"][rows]
    n_overlaps = int((onset[1:] < (onset + duration)[:-1] - _OVERLAP_BEATS).sum())
    if n_overlaps > _FEW_OVERLAPS * len(rows):
        lead, _ = find_melody(onset, duration, notes["pitch"][rows])
        rows = rows[lead]
    out = np.zeros(len(notes), bool)
    out[rows] = True
    return out


# ------------------------------------------------------------------------------------------------------- the steps


@dataclass(frozen=True)
class Stretch:
    """Bars of one meter, in order; odd bars between them are left out."""

    bars: tuple[int, ...]
    grid: BarGrid

    @property
    def meter(self) -> tuple[int, int]:
        """Of all its bars."""
        return int(self.grid.numerator[self.bars[0]]), int(self.grid.denominator[self.bars[0]])

    @property
    def n_bars(self) -> int:
        """Number of its bars."""
        return len(self.bars)

    @property
    def n_quarters(self) -> float:
        """Quarter notes of time that its bars last."""
        return self.n_bars * bar_length(self.meter) / 4

    def moved(self, step: NDArray[np.int64]) -> NDArray[np.int64]:
        """Twelfths of a quarter from the start of the stretch, -1 outside of its bars."""
        start = np.rint(self.grid.start_beat * 12).astype(np.int64)
        bar = np.clip(np.searchsorted(start, step, side="right") - 1, 0, self.grid.n_bars - 1)
        number = np.full(self.grid.n_bars, -1)
        number[list(self.bars)] = np.arange(self.n_bars)
        inside = (number[bar] >= 0) & (step >= start[0]) & (step < start[-1])
        return np.where(inside, number[bar] * bar_length(self.meter) * 3 + step - start[bar], -1)

    def sec(self, tempos: NDArray[np.float64]) -> float:
        """Seconds that its bars last."""
        edges = beat_to_sec(tempos, self.grid.start_beat)
        return float(np.diff(edges)[list(self.bars)].sum())


def snap(onset_beat: NDArray[np.float64]) -> NDArray[np.int64]:
    """Onsets in twelfths of a quarter: on sixteenths, or on triplets in quarters where these fit much better."""
    quarter = np.floor(onset_beat + 0.125).astype(np.int64)
    duple, triple = np.rint(onset_beat * 4) * 3, np.rint(onset_beat * 3) * 4
    first = quarter.min() if len(quarter) else 0
    size = int(quarter.max() - first + 1) if len(quarter) else 0
    error = [
        np.bincount(quarter - first, weights=np.abs(grid / 12 - onset_beat), minlength=size) for grid in (duple, triple)
    ]
    is_triple = (error[0] > 0.05) & (error[1] < 0.4 * error[0])
    return np.where(is_triple[quarter - first], triple, duple).astype(np.int64)


def stretches(notes: Notes, grid: BarGrid) -> Iterator[list[int]]:
    """Bars of one meter that can be planned, in order, without silence at either end.

    A single bar of another length (as pop songs put before a chorus) is passed over.
    """
    filled = np.bincount(grid.bar_of(notes["onset_beat"]), minlength=grid.n_bars) > 0
    regular = np.isclose(np.diff(grid.start_beat), 4 * grid.numerator / grid.denominator, atol=1e-3)
    meters = [
        (int(n), int(d)) if r else None for n, d, r in zip(grid.numerator, grid.denominator, regular, strict=True)
    ]
    bar = 0
    while bar < grid.n_bars:
        meter, bars = meters[bar], [bar]
        bar += 1
        while bar < grid.n_bars:
            if meters[bar] == meter:
                bars.append(bar)
                bar += 1
            elif bar + 1 < grid.n_bars and meters[bar + 1] == meter:
                bar += 1
            else:
                break
        sounding = np.flatnonzero(filled[bars])
        if len(sounding) and meter is not None and _plannable(meter):
            yield bars[int(sounding[0]) : int(sounding[-1]) + 1]


def _plannable(meter: tuple[int, int]) -> bool:
    try:
        meter_token(meter)
    except InputError:
        return False
    return bar_length(meter) <= MAX_BAR


def plan_of_stretch(
    notes: Notes,
    step: NDArray[np.int64],
    is_melody: NDArray[np.bool_],
    stretch: Stretch,
    changes: Sequence[tuple[int, FoundChord]] | None = None,
) -> Plan:
    """The plan of a stretch, its bars said to follow one another.

    Parameters
    ----------
    notes
        NOTE_DTYPE [n_notes], those in the stretch.
    step
        int64 [n_notes], twelfths of a quarter from the start of the stretch.
    is_melody
        bool [n_notes].
    changes
        (sixteenth from the start, chord) where chords are known; None: they are found.
    """
    size, n_bars = bar_length(stretch.meter), stretch.n_bars
    pitched = notes["program"] != DRUMS
    tonic, mode_name, _ = key_from_weights(_pitch_class_weights(notes))
    mode: Mode = "minor" if str(mode_name) == "minor" else "major"
    tune, place = notes[is_melody], np.rint(step[is_melody] / 3).astype(np.int64)
    melody = tune_bars(place, tune["pitch"].astype(np.int64), tune["duration_beat"] * 4, size, n_bars)
    if changes is None:
        changes = _found_chords(notes[pitched], step[pitched], size, stretch)
    chords = _chord_bars(changes, size, n_bars)
    bars = tuple(Bar(c, m) for c, m in zip(chords, melody, strict=True))
    return follow(Plan(bars, stretch.meter, max(int(tonic), 0), mode))


def _pitch_class_weights(notes: Notes) -> NDArray[np.float64]:
    """Quarter notes that each pitch class sounds, float64 [12]."""
    pitched = notes[notes["program"] != DRUMS]
    return np.bincount(pitched["pitch"] % 12, weights=pitched["duration_beat"], minlength=12).astype(np.float64)


def _found_chords(notes: Notes, step: NDArray[np.int64], size: int, stretch: Stretch) -> list[tuple[int, FoundChord]]:
    beat = beat_length(stretch.meter)
    edges = np.arange(0, stretch.n_bars * size + 1, beat) / 4
    chords = find_chords(
        step / 12, notes["duration_beat"], notes["pitch"], edges, (np.arange(len(edges) - 1) * beat) % size == 0
    )
    out: list[tuple[int, FoundChord]] = []
    for i, chord in enumerate(chords):
        # A bass that moves under one chord is accompaniment, no new symbol.
        if out and chord and out[-1][1] and chord[:2] == out[-1][1][:2]:
            continue
        out.append((i * beat, chord))
    return out


def _chord_bars(changes: Sequence[tuple[int, FoundChord]], size: int, n_bars: int) -> list[tuple[Chord, ...]]:
    """Chords by bars from (sixteenth, chord): each bar names the chord in force, then every change."""
    at = {max(place, 0): chord for place, chord in changes if place < n_bars * size}  # the last of several holds
    places = sorted(at)
    bars: list[tuple[Chord, ...]] = []
    current: FoundChord = None
    index = 0
    for b in range(n_bars):
        out: list[Chord] = []
        while index < len(places) and places[index] < (b + 1) * size:
            place = places[index] - b * size
            place -= place % 2
            changed = at[places[index]]
            if place > 0 and not out:
                out.append(_chord(0, current))
            if not out or changed != current:
                out = [c for c in out if c.position != place]
                out.append(_chord(place, changed))
            current = changed
            index += 1
        bars.append(tuple(out) or (_chord(0, current),))
    return bars


def _chord(position: int, chord: FoundChord) -> Chord:
    return Chord(position, None) if chord is None else Chord(position, *chord)
