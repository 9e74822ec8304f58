"""Chords and tune of a lead sheet, by the figures that the field uses for harmonized melodies.

Definitions and names: Yeh, Hsiao, Fukayama, Kitahara, Genchel, Liu, Dong, Chen, Leong & Yang, *Automatic Melody
Harmonization with Triad Chords: A Comparative Study*, Journal of New Music Research 50(1), 2021 (arXiv 2001.02360);
rests, lengths and density are those that the planner is asked for (:func:`muse.tokens.plan_form.measure`).

Conventions: NaN where there is nothing to measure; chords last until the next one, ``N.C.`` counts as none.

Contents: :data:`FIGURES`, :func:`measure_lead_sheet`.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from muse.theory.chord_symbols import Chord
from muse.theory.chords import tonal_centroid
from muse.tokens.plan import Plan
from muse.tokens.plan_form import measure

__all__ = ["FIGURES", "measure_lead_sheet"]

Floats: TypeAlias = NDArray[np.float64]

FIGURES: Final[Mapping[str, str]] = {
    "chord_histogram_entropy": "entropy of chords (nats)",
    "chord_coverage": "different chords",
    "chord_tonal_distance": "tonal distance of neighbouring chords",
    "chord_tone_ratio": "chord tones and passing notes among notes of the tune",
    "pitch_consonance": "consonance of tune and chord, -1..1",
    "melody_chord_distance": "tonal distance of tune and chord",
    "chord_changes": "chord changes a bar",
    "rests": "share of time without a note of the tune",
    "long_notes": "notes of two beats or more",
    "note_density": "notes of the tune a beat",
    "leaps": "mean interval of the tune (semitones)",
    "repetition": "share of bars whose tune follows an earlier one",
}
"""Name -> meaning for people, with unit."""

_CONSONANT, _DISSONANT = (0, 3, 4, 7, 8, 9), (1, 2, 6, 10, 11)  # semitones; a fourth is neither
_NEIGHBOUR = 2  # semitones to the next note from which one that is no chord tone counts as passing


def measure_lead_sheet(plan: Plan) -> dict[str, float]:
    """All of :data:`FIGURES` of a plan."""
    size = plan.bar_length
    chords = [(b * size + c.position, c) for b, bar in enumerate(plan.bars) for c in bar.chords]
    ends = [start for start, _ in chords[1:]] + [size * len(plan.bars)]
    sounding = [(start, end, c) for (start, c), end in zip(chords, ends, strict=True) if c.root is not None]
    tune = [(b * size + n.position, n.pitch, n.length) for b, bar in enumerate(plan.bars) for n in bar.melody]
    asked = measure(plan)
    long_notes = float(np.mean([length >= 8 for *_, length in tune])) if tune else float("nan")
    return (
        _of_chords([c for *_, c in sounding])
        | _of_both(sounding, tune)
        | {name: asked[name] for name in ("chord_changes", "rests")}
        | {"long_notes": long_notes}
        | {name: asked[name] for name in ("note_density", "leaps", "repetition")}
    )


def _of_chords(chords: list[Chord]) -> dict[str, float]:
    names = [(c.root, c.quality) for c in chords]
    counts = np.array([names.count(name) for name in dict.fromkeys(names)], float)
    share = counts / max(counts.sum(), 1)
    changes = [(a, b) for a, b in pairwise(chords) if (a.root, a.quality) != (b.root, b.quality)]
    steps = [float(np.linalg.norm(_centroid(a) - _centroid(b))) for a, b in changes]
    return {
        "chord_histogram_entropy": float(-(share * np.log(share)).sum()) if len(counts) else float("nan"),
        "chord_coverage": float(len(counts)),
        "chord_tonal_distance": float(np.mean(steps)) if steps else float("nan"),
    }


def _of_both(chords: list[tuple[int, int, Chord]], tune: list[tuple[int, int, int]]) -> dict[str, float]:
    """Every note of the tune beside the chord at its onset, weighted by length but for the ratio of chord tones."""
    names = ("chord_tone_ratio", "pitch_consonance", "melody_chord_distance")
    starts = np.array([start for start, *_ in chords])
    rows = []
    for i, (onset, pitch, length) in enumerate(tune):
        at = int(np.searchsorted(starts, onset, side="right")) - 1
        if at < 0 or chords[at][1] <= onset:
            continue
        chord = chords[at][2]
        tones = set(chord.pitch_classes)
        following = tune[i + 1][1] if i + 1 < len(tune) else None
        fits = pitch % 12 in tones or (following is not None and abs(following - pitch) <= _NEIGHBOUR)
        steps = [(pitch - tone) % 12 for tone in tones]
        consonance = np.mean([(s in _CONSONANT) - (s in _DISSONANT) for s in steps])
        one = np.zeros(12)
        one[pitch % 12] = 1
        distance = np.linalg.norm(tonal_centroid(one) - _centroid(chord))
        rows.append((float(fits), float(consonance), float(distance), float(length)))
    if not rows:
        return dict.fromkeys(names, float("nan"))
    fits_, consonance_, distance_, length_ = np.array(rows).T
    values = (fits_.mean(), np.average(consonance_, weights=length_), np.average(distance_, weights=length_))
    return {name: float(value) for name, value in zip(names, values, strict=True)}


def _centroid(chord: Chord) -> Floats:
    weights = np.zeros(12)
    weights[list(chord.pitch_classes)] = 1
    return tonal_centroid(weights)
