"""From the measures of a sheet to the plan that it is.

A plan has whole bars of one meter, each played once. So measures are put in order (:mod:`muse.sheets.order`); a first
measure that is short is a pick-up and stands at the end of its bar; two short measures that fill a bar, as around a
repeat sign, are one bar; another short measure has rests at its end.

Conventions: times are exact fractions in sixteenths from the start of the measure, pitches MIDI.

Contents: :class:`Heading`, :func:`plan_of_measures`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Final

import numpy as np

from muse.errors import InputError
from muse.sheets.order import Measure, WrittenNote, in_order
from muse.theory import Mode, key_signature, key_strengths
from muse.theory.chord_symbols import Chord
from muse.tokens.plan import MAX_BAR, Bar, Plan, bar_length
from muse.tokens.tune import tune_bars

__all__ = ["Heading", "plan_of_measures"]

INTRODUCTION: Final = "I"
"""Section of what stands before the first mark."""


@dataclass
class Heading:
    """What is said before the first note. None: nothing was said."""

    time_signature: tuple[int, int] = (4, 4)
    tonic: int | None = None
    mode: Mode | None = None
    fifths: int | None = None
    """Key signature, where tonic and mode are not said."""
    tempo_bpm: float | None = None
    parts: tuple[str, ...] = ()
    """Labels of the sections in the order in which they are played; empty: as they are written."""


def plan_of_measures(measures: Sequence[Measure], heading: Heading) -> Plan:
    """The plan that is written, without saying which bars follow which.

    Raises
    ------
    InputError
        There is nothing, bars of this meter cannot be planned, or a measure is longer than the meter says.
    """
    size = bar_length(heading.time_signature)
    meter = "/".join(map(str, heading.time_signature))
    if not 1 <= size <= MAX_BAR:
        raise InputError(f"the meter {meter} cannot be planned: bars have at most {MAX_BAR} sixteenths, and whole ones")
    for measure in measures:
        if measure.length > size:
            raise InputError(
                f"{measure.where}: the bar holds {_shown(measure.length)} sixteenths and the meter {meter} has {size}: "
                "mend its notes or its bar lines"
            )
    played = in_order([m for m in measures if m.length > 0], heading.parts)
    if not played:
        raise InputError("there is no bar of music")
    starts = _starts(played, size)
    n_bars = int(starts[-1] + played[-1].length + size - 1) // size
    notes = _joined(
        replace(note, onset=start + note.onset) for m, start in zip(played, starts, strict=True) for note in m.notes
    )
    place = np.array([round(note.onset) for note in notes], np.int64)
    stop = np.array([round(note.onset + note.length) for note in notes], np.int64)
    pitch = np.array([note.pitch for note in notes], np.int64)
    tune = tune_bars(place, pitch, (stop - place).astype(np.float64), size, n_bars)
    chords = _chord_bars(played, starts, size, n_bars)
    plan = Plan(
        tuple(Bar(c, m) for c, m in zip(chords, tune, strict=True)),
        heading.time_signature,
        sections=_sections(played, starts, size, n_bars),
        tempo_bpm=heading.tempo_bpm,
    )
    tonic, mode = _key(plan, heading, notes)
    return replace(plan, tonic=tonic, mode=mode)


def _shown(number: Fraction) -> str:
    return f"{float(number):g}"


def _starts(played: Sequence[Measure], size: int) -> list[Fraction]:
    """Sixteenths from the first bar line at which each measure begins."""
    starts: list[Fraction] = []
    at = Fraction(size) - played[0].length if len(played) > 1 else Fraction(0)
    for measure in played:
        inside = at % size
        if inside and inside + measure.length > size:
            at += size - inside
        starts.append(at)
        at += measure.length
    return starts


def _joined(notes: Iterable[WrittenNote]) -> list[WrittenNote]:
    """Tied notes as one."""
    out: list[WrittenNote] = []
    held: dict[int, int] = {}
    for note in sorted(notes, key=lambda one: one.onset):
        index = held.pop(note.pitch, None)
        if index is not None and abs(out[index].onset + out[index].length - note.onset) < Fraction(1, 100):
            out[index] = replace(out[index], length=note.onset + note.length - out[index].onset)
        else:
            index = len(out)
            out.append(note)
        if note.is_tied:
            held[note.pitch] = index
    return out


def _chord_bars(
    played: Sequence[Measure], starts: Sequence[Fraction], size: int, n_bars: int
) -> list[tuple[Chord, ...]]:
    """Chords by bars; one without a symbol has the chord in force."""
    written: list[dict[int, Chord | None]] = [{} for _ in range(n_bars)]
    for measure, start in zip(played, starts, strict=True):
        for place, chord in measure.chords:
            at = round(start + place)
            if at < n_bars * size:
                written[at // size][at % size] = chord
    bars: list[tuple[Chord, ...]] = []
    held: Chord | None = None
    for symbols in written:
        if None in symbols.values():
            bars.append(())
            continue
        chords = [replace(chord, position=at) for at, chord in sorted(symbols.items()) if chord is not None]
        if held is not None and 0 not in symbols:
            chords.insert(0, replace(held, position=0))
        elif chords and chords[0].position > 0:
            chords.insert(0, Chord(0, None))
        bars.append(tuple(chords))
        held = chords[-1] if chords else None
    return bars


def _sections(
    played: Sequence[Measure], starts: Sequence[Fraction], size: int, n_bars: int
) -> tuple[tuple[str, int], ...]:
    """A section begins with the bar at whose line, or after whose line, its mark stands."""
    marks: dict[int, str] = {}
    for i, (measure, start) in enumerate(zip(played, starts, strict=True)):
        if measure.label:
            bar = int(start) // size if i == 0 or start % size == 0 else int(start) // size + 1
            marks[min(bar, n_bars - 1)] = measure.label
    if not marks:
        return ()
    marks.setdefault(0, INTRODUCTION)
    edges = [*sorted(marks), n_bars]
    return tuple((marks[a], b - a) for a, b in pairwise(edges))


def _key(plan: Plan, heading: Heading, notes: Sequence[WrittenNote]) -> tuple[int, Mode]:
    """The key that was said; where only its signature was, the one of the two that the music is nearer to."""
    if heading.tonic is not None and heading.mode is not None:
        return heading.tonic, heading.mode
    if not notes:
        guess = plan.key_of_chords()
        if heading.fifths is None or key_signature(*guess) == heading.fifths:
            return guess
    weights = np.zeros(12)
    for note in notes:
        weights[note.pitch % 12] += float(note.length)
    strengths = np.nan_to_num(key_strengths(weights), nan=-1.0)
    keys: list[tuple[int, Mode]] = [(tonic, mode) for mode in ("major", "minor") for tonic in range(12)]
    if heading.fifths is not None:
        allowed = [i for i, key in enumerate(keys) if (key_signature(*key) - heading.fifths) % 12 == 0]
    else:
        allowed = list(range(24))
    return keys[max(allowed, key=lambda i: float(strengths[i]))]
