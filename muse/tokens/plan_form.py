"""Form and measures of plans: which bar follows which, sections, and what the planner can be asked for.

Conventions as in :mod:`muse.tokens.plan`. Every measure is a pure function of a plan, so what is asked for and what
was written pass through the same code.

Contents: :func:`follow`, :func:`find_sections`, :func:`form_unit`, :func:`sections_from_text`, :func:`measure`,
:class:`Buckets`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from muse.errors import InputError, is_number
from muse.files import read_json
from muse.theory.chord_symbols import QUALITIES
from muse.tokens.plan import LAGS, N_BUCKETS, PLAN_CONTROLS, Bar, Plan

__all__ = [
    "FORM_BARS",
    "PERIOD_BARS",
    "PHRASE_BARS",
    "Buckets",
    "find_sections",
    "follow",
    "form_unit",
    "measure",
    "sections_from_text",
]

PHRASE_BARS = 4
"""Bars of a phrase."""

PERIOD_BARS = 2 * PHRASE_BARS
"""Bars of a period, two phrases: the unit of form, but in short pieces, where it is the phrase."""

FORM_BARS = (*range(8, 25, 4), *range(32, 65, 8))
"""Lengths of pieces for which forms are known."""

LIKE = 0.6
"""F1 of (position, pitch) from which a bar's tune is like another's."""

EXACT = 0.95
"""F1 of (position, pitch, length) from which it counts as the same."""

_PREFERRED = sorted(LAGS, key=lambda lag: (lag % 4 != 0, lag == 1, lag))  # whole phrases first, near before far


def _likeness(a: frozenset[Any], b: frozenset[Any]) -> float:
    """F1 of two sets; 0 where one is empty."""
    return 2 * len(a & b) / (len(a) + len(b)) if a and b else 0.0


def follow(plan: Plan) -> Plan:
    """The plan with the lags of each bar found: the earlier bar whose tune is most like it, and whose chords it has.

    Of equally good ones whole phrases (4, 8, 12 ... bars back) come first, then the nearer. A bar without a tune or
    without chords follows none.
    """
    onsets = [frozenset((n.position, n.pitch) for n in bar.melody) for bar in plan.bars]
    notes = [frozenset((n.position, n.pitch, n.length) for n in bar.melody) for bar in plan.bars]
    harmony = [tuple((c.position, c.root, c.quality, c.bass) for c in bar.chords) for bar in plan.bars]
    bars = []
    for i, bar in enumerate(plan.bars):
        best, lag = LIKE, 0
        for k in _PREFERRED:
            if k <= i and (f1 := _likeness(onsets[i], onsets[i - k])) > best + (0.02 if lag else 0.0):
                best, lag = f1, k
        exact = lag > 0 and _likeness(notes[i], notes[i - lag]) >= EXACT
        order = [lag, *_PREFERRED] if lag else _PREFERRED
        same = (k for k in order if k <= i and harmony[i] and harmony[i] == harmony[i - k])
        bars.append(replace(bar, melody_lag=lag, melody_exact=exact, chords_lag=next(same, 0)))
    return replace(plan, bars=tuple(bars))


def find_sections(plan: Plan, unit: int = PERIOD_BARS) -> Plan:
    """The plan with its form: units of so many bars, alike ones with the same letter.

    Two units are alike where tune (by onset and pitch) or, where neither has one, chords agree in half of the bars.
    """
    unit = unit if len(plan.bars) >= 2 * unit else PHRASE_BARS
    units = [plan.bars[start : start + unit] for start in range(0, len(plan.bars), unit)]
    labels: list[int] = []
    for i, bars in enumerate(units):
        scores = [_unit_likeness(bars, units[j]) for j in range(i)]
        best = int(np.argmax(scores)) if scores else -1
        labels.append(labels[best] if best >= 0 and scores[best] >= 0.5 else max(labels, default=-1) + 1)
    sections = [(chr(ord("A") + label % 26), len(bars)) for label, bars in zip(labels, units, strict=True)]
    return replace(plan, sections=tuple(sections))


def _unit_likeness(a: Sequence[Bar], b: Sequence[Bar]) -> float:
    shares = []
    for x, y in zip(a, b, strict=False):
        if x.melody or y.melody:
            p, q = (frozenset((n.position, n.pitch) for n in bar.melody) for bar in (x, y))
            shares.append(float(_likeness(p, q) > LIKE))
        else:
            shares.append(float(bool(x.chords) and x.chords == y.chords))
    return float(np.mean(shares)) * len(shares) / max(len(a), len(b)) if shares else 0.0


def form_unit(n_bars: int) -> int:
    """Bars of the unit of form in a piece of so many."""
    return PHRASE_BARS if n_bars <= 3 * PERIOD_BARS else PERIOD_BARS


def sections_from_text(form: str, n_bars: int) -> tuple[tuple[str, int], ...]:
    """Sections of a form such as ``AABA`` or ``A8 B16 A8`` over so many bars.

    Without lengths, the bars are shared out in whole phrases as evenly as they go, the rest to the last.

    Raises
    ------
    InputError
        No letters, lengths that do not add up, or fewer bars than sections.
    """
    parts: list[tuple[str, int]] = []
    for char in form.replace(" ", "").replace("-", ""):
        if char.isalpha():
            parts.append((char.upper(), 0))
        elif char.isdigit() and parts:
            label, n = parts[-1]
            parts[-1] = (label, n * 10 + int(char))
        else:
            raise InputError(f"form {form!r}: {char!r} is unexpected; write letters, with bars if need be: A8 B8 A16")
    if not parts or len(parts) > n_bars:
        raise InputError(f"form {form!r} has {len(parts)} sections for {n_bars} bars; give one or more bars to each")
    if all(n for _, n in parts):
        if sum(n for _, n in parts) != n_bars:
            raise InputError(f"form {form!r} has {sum(n for _, n in parts)} bars, the piece {n_bars}; make them equal")
        return tuple(parts)
    if any(n for _, n in parts):
        raise InputError(f"form {form!r}: give the number of bars to every section or to none")
    unit = PHRASE_BARS if n_bars >= PHRASE_BARS * len(parts) else 1
    each = n_bars // len(parts) // unit * unit
    lengths = [each] * len(parts)
    for i in range((n_bars - each * len(parts)) // unit):
        lengths[i] += unit
    lengths[-1] += n_bars - sum(lengths)
    return tuple((label, n) for (label, _), n in zip(parts, lengths, strict=True))


# ---------------------------------------------------------------------------------------------------------- measures

_SCALE = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10, 11)}
_TENSION = {"": 0.0, "m": 0.0, "sus4": 0.3, "sus2": 0.2, "6": 0.2, "m6": 0.4, "7": 0.5, "m7": 0.3, "maj7": 0.4,
            "dim": 1.0, "aug": 1.0, "m7b5": 1.0, "dim7": 1.0}  # fmt: skip


def measure(plan: Plan) -> dict[str, float]:
    """What a plan is like, by the names of :data:`muse.tokens.plan.PLAN_CONTROLS`. NaN where it cannot be said.

    ========================= ==================================================================================
    ``chord_changes``         changes of chord a bar
    ``dissonance``            mean tension of chords by time, 0 (triads) .. 1 (diminished, augmented)
    ``borrowed``              share of chord time with a tone outside the scale (minor: natural and leading note)
    ``repetition``            share of bars with a tune that follow an earlier one
    ``note_density``          notes a quarter note of time
    ``note_length``           mean length of notes in quarters
    ``rests``                 share of time without a note of the tune, 0..1
    ``pitch_range``           highest minus lowest pitch, semitones
    ``mean_pitch``            mean pitch by number of notes, relative to the tonic C (-5..6 semitones away)
    ``leaps``                 mean absolute interval between neighbours, semitones
    ``syncopation``           share of onsets off the eighths
    ``chromatic``             share of notes outside the scale
    ========================= ==================================================================================
    """
    size, n_bars = plan.bar_length, len(plan.bars)
    out = dict.fromkeys(PLAN_CONTROLS, math.nan)
    scale = {(plan.tonic + step) % 12 for step in _SCALE[plan.mode]}
    spans = [(b * size + c.position, c) for b, bar in enumerate(plan.bars) for c in bar.chords if c.root is not None]
    if spans:
        ends = [start for start, _ in spans[1:]] + [n_bars * size]
        length = np.array([end - start for (start, _), end in zip(spans, ends, strict=True)], float)
        symbols = [(c.root, c.quality) for _, c in spans]
        out["chord_changes"] = sum(a != b for a, b in pairwise(symbols)) / n_bars
        out["dissonance"] = float(np.average([_TENSION[c.quality] for _, c in spans], weights=length))
        outside = [any(tone not in scale for tone in c.pitch_classes) for _, c in spans]
        out["borrowed"] = float(np.average(outside, weights=length))
    notes = [(b * size + n.position, n.pitch, n.length) for b, bar in enumerate(plan.bars) for n in bar.melody]
    if notes:
        onset, pitch, lengths = np.array(notes).T
        with_tune = [bar for bar in plan.bars if bar.melody]
        stop = np.minimum(onset + lengths, np.append(onset[1:], n_bars * size))
        out["repetition"] = sum(bar.melody_lag > 0 for bar in with_tune) / len(with_tune)
        out["note_density"] = len(notes) / (n_bars * size / 4)
        out["note_length"] = float(lengths.mean()) / 4
        out["rests"] = 1 - float((stop - onset).sum()) / (n_bars * size)
        out["pitch_range"] = float(pitch.max() - pitch.min())
        shift = (-plan.tonic + 5) % 12 - 5
        out["mean_pitch"] = float(pitch.mean()) + shift
        out["leaps"] = float(np.abs(np.diff(pitch)).mean()) if len(pitch) > 1 else math.nan
        out["syncopation"] = float((onset % 2 != 0).mean())
        out["chromatic"] = float(np.mean([p % 12 not in scale for p in pitch.tolist()]))
    return out


@dataclass(frozen=True)
class Buckets:
    """Edges that turn measured values into buckets 0..:data:`N_BUCKETS` - 1, by name."""

    edges: Mapping[str, tuple[float, ...]]
    """Name -> ascending inner edges, ``N_BUCKETS - 1`` of them."""

    @classmethod
    def fit(cls, rows: Iterable[Mapping[str, float]]) -> Buckets:
        """Edges at equal quantiles of the values of many pieces; NaN is left out."""
        table: dict[str, list[float]] = {}
        for row in rows:
            for name, value in row.items():
                if not math.isnan(value):
                    table.setdefault(name, []).append(value)
        steps = np.arange(1, N_BUCKETS) / N_BUCKETS
        return cls({name: tuple(np.quantile(values, steps).round(5).tolist()) for name, values in table.items()})

    @classmethod
    def read(cls, path: Path) -> Buckets:
        """Edges from a checkpoint's ``controls.json``.

        Raises
        ------
        InputError
            It is missing, or has other than ascending numbers, so many for each name.
        """
        document = read_json(path)
        if not isinstance(document, dict) or not document:
            raise InputError(f"{path}: it has no edges of controls: get the checkpoint again")
        for name, edges in document.items():
            are_numbers = isinstance(edges, list) and all(map(is_number, edges)) and np.isfinite(edges).all()
            if not are_numbers or len(edges) != N_BUCKETS - 1 or edges != sorted(edges):
                raise InputError(f"{path}: {name!r} needs {N_BUCKETS - 1} ascending numbers: get the checkpoint again")
        return cls({name: tuple(edges) for name, edges in document.items()})

    def of(self, values: Mapping[str, float]) -> dict[str, int]:
        """Bucket of each value that has edges and is a number."""
        return {
            name: int(np.searchsorted(self.edges[name], value, side="right"))
            for name, value in values.items()
            if name in self.edges and not math.isnan(value)
        }


if set(_TENSION) != set(QUALITIES):
    raise RuntimeError("every chord quality needs a tension")
