"""Figures of harmonized melodies, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from muse.evaluate.metrics.lead_sheet import FIGURES, measure_lead_sheet
from muse.tokens.plan import Bar, Note, Plan


def sheet(chords: str, *bars: tuple[tuple[int, int, int], ...]) -> Plan:
    plan = Plan.parse(chords, tonic=0, mode="major")
    return Plan(
        tuple(Bar(bar.chords, tuple(Note(*n) for n in notes)) for bar, notes in zip(plan.bars, bars, strict=True))
    )


def test_entropy_and_coverage_of_chords() -> None:
    found = measure_lead_sheet(sheet("C | F | C | G", (), (), (), ()))
    assert set(found) == set(FIGURES)
    assert found["chord_coverage"] == 3
    assert found["chord_histogram_entropy"] == pytest.approx(-(0.5 * np.log(0.5) + 0.5 * np.log(0.25)))
    assert found["chord_changes"] == 0.75
    assert math.isnan(found["chord_tone_ratio"]) and found["rests"] != 0.0


def test_chord_tones_passing_notes_and_others() -> None:
    # C and E belong to the chord, D passes to E; F leaps to C and is wrong.
    found = measure_lead_sheet(sheet("C | C", ((0, 60, 4), (4, 62, 4), (8, 64, 8)), ((0, 65, 8), (8, 60, 8))))
    assert found["chord_tone_ratio"] == pytest.approx(4 / 5)
    assert found["long_notes"] == pytest.approx(3 / 5)


def test_consonance_of_a_held_root_and_of_a_tritone() -> None:
    # C over C: unison 1, E below: C - E = 8 semitones, 1; C - G = 5, a fourth, 0.
    root = measure_lead_sheet(sheet("C", ((0, 60, 16),)))["pitch_consonance"]
    # F sharp over C: 6, 2 and 11 semitones, all dissonant.
    tritone = measure_lead_sheet(sheet("C", ((0, 66, 16),)))["pitch_consonance"]
    assert (root, tritone) == (pytest.approx(2 / 3), pytest.approx(-1.0))


def test_far_chords_are_farther_apart_than_near_ones() -> None:
    near, far = (measure_lead_sheet(sheet(c, (), ()))["chord_tonal_distance"] for c in ("C | Am", "C | F#"))
    assert near < far
    inside, outside = (measure_lead_sheet(sheet("C", ((0, p, 16),)))["melody_chord_distance"] for p in (64, 66))
    assert inside < outside
    assert math.isnan(measure_lead_sheet(sheet("C | C", (), ()))["chord_tonal_distance"])
