"""The catalogue of attributes: complete, the same as ever, and true where it can be measured."""

from __future__ import annotations

import json
import math
import runpy
from pathlib import Path

import numpy as np
import symusic

from muse.attributes import (
    ATTRIBUTES,
    COLUMNS,
    LEVERS,
    RANK_MATCHED,
    SECTION_CONTROLS,
    SONG_CONTROLS,
    attribute,
    extract,
)
from muse.score import DRUMS, NOTE_DTYPE, Score, from_notes

TESTS = Path(__file__).parents[1]

EMOGEN = {
    "Pitch Class Histogram": (2, 3, 4, 5, 8, 9),
    "Melodic Interval Histogram": (0, 2, 4, 12, 16, 36, 43, 48),
    "Vertical Interval Histogram": (1, 7, 9, 13, 16, 22, 31, 34, 36, 38, 39, 40, 43, 44, 48, 51),
    "Wrapped Vertical Interval Histogram": (0, 9),
    "Chord Type Histogram": (1, 2, 6),
    "Rhythmic Value Histogram": tuple(range(1, 12)),
    "Rhythmic Value Median Run Lengths Histogram": (10,),
    "Rhythmic Value Variability in Run Lengths Histogram": (1, 2, 6),
    "Beat Histogram Tempo Standardized": (32,),
}
"""Columns of histograms among the 100 attributes of EmoGen (Kang et al. 2023)."""
EMOGEN_SCALARS = (
    "Number of Pitches",
    "Range",
    "Importance of Bass Register",
    "Importance of Middle Register",
    "Importance of High Register",
    "Mean Pitch",
    "Mean Pitch Class",
    "Most Common Pitch",
    "Pitch Variability",
    "Pitch Skewness",
    "Prevalence of Most Common Melodic Interval",
    "Amount of Arpeggiation",
    "Melodic Sixths",
    "Melodic Embellishments",
    "Average Length of Melodic Arcs",
    "Melodic Pitch Variety",
    "Average Number of Simultaneous Pitches",
    "Prevalence of Most Common Vertical Interval",
    "Perfect Vertical Intervals",
    "Vertical Dissonance Ratio",
    "Chord Duration",
    "Seventh Chords",
    "Minor Major Triad Ratio",
    "Total Number of Notes",
    "Note Density per Quarter Note",
    "Note Density per Quarter Note Variability",
    "Prevalence of Very Short Rhythmic Values",
    "Prevalence of Short Rhythmic Values",
    "Prevalence of Medium Rhythmic Values",
    "Prevalence of Long Rhythmic Values",
    "Prevalence of Very Long Rhythmic Values",
    "Most Common Rhythmic Value",
    "Prevalence of Most Common Rhythmic Value",
    "Rhythmic Value Variability",
    "Rhythmic Value Kurtosis",
    "Mean Rhythmic Value Run Length",
    "Variability in Rhythmic Value Run Lengths",
    "Variability of Rhythmic Value Offsets",
    "Number of Relatively Strong Rhythmic Pulses - Tempo Standardized",
    "Harmonicity of Two Strongest Rhythmic Pulses - Tempo Standardized",
    "Strength of Strongest Rhythmic Pulse - Tempo Standardized",
    "Strength of Second Strongest Rhythmic Pulse - Tempo Standardized",
    "Rhythmic Looseness - Tempo Standardized",
    "Duration in Seconds",
    "Variability of Time Between Attacks",
    "Relative Note Density of Highest Line",
    "Contrary Motion",
    "Variation of Dynamics",
    "Average Note to Note Change in Dynamics",
)


def test_catalogue_is_complete_and_consistent() -> None:
    names = [row.name for row in ATTRIBUTES]
    assert len(names) >= 150
    assert len(set(names)) == len(names)
    assert len(set(COLUMNS)) == len(COLUMNS) == sum(row.size for row in ATTRIBUTES)
    groups = {"pitch", "melody", "harmony", "rhythm", "texture", "dynamics", "instrumentation"}
    assert {row.group for row in ATTRIBUTES} == groups
    for row in ATTRIBUTES:
        assert row.low < row.high, row.name
        assert row.unit, row.name
        assert row.definition.endswith((".", ")")), row.name
        assert row.source, row.name
        assert row.needs in {"notes", "beats", "bars"}, row.name


def test_catalogue_covers_emogens_hundred() -> None:
    names = [f"{name}_{index}" for name, indices in EMOGEN.items() for index in indices] + list(EMOGEN_SCALARS)
    assert len(names) == 100
    assert [name for name in names if name not in COLUMNS] == []


def test_rows_are_the_stored_ones() -> None:
    stored = json.loads((TESTS / "goldens" / "catalogue.json").read_text(encoding="utf-8"))
    assert [row.name for row in ATTRIBUTES] == [row["name"] for row in stored["rows"]]
    for row, was in zip(ATTRIBUTES, stored["rows"], strict=True):
        now = {name: getattr(row, name) for name in was}
        assert now == was | {"high": math.inf if was["high"] is None else was["high"]}
    assert list(SONG_CONTROLS) == stored["song_controls"]
    assert list(SECTION_CONTROLS) == stored["section_controls"]
    assert list(LEVERS) == stored["levers"]
    assert set(RANK_MATCHED) == set(stored["rank_matched"])
    powers = {name: attribute(name).tempo_power for name in SONG_CONTROLS}
    assert {name: power for name, power in powers.items() if power} == stored["tempo_power"]
    wordings = {row.name: row.wording._asdict() for row in ATTRIBUTES if row.wording}
    assert wordings == stored["words"]


def test_every_row_has_a_function_of_its_own() -> None:
    assert len({row.function for row in ATTRIBUTES}) == len(ATTRIBUTES)


def test_facts_of_controls_are_told_of_all_of_them() -> None:
    assert {*LEVERS, *SECTION_CONTROLS} <= set(SONG_CONTROLS)
    assert {row.name for row in ATTRIBUTES if row.wording} == set(SONG_CONTROLS)
    assert all(attribute(name).tempo_power is not None for name in SONG_CONTROLS)


def played(seed: int, faster: float) -> Score:
    """The same four tracks with a change of tempo, played so many times as fast; no two attacks within 25 ms."""
    rng = np.random.default_rng(seed)
    notes = np.zeros(300, dtype=NOTE_DTYPE)
    notes["onset_beat"] = np.sort(rng.integers(0, 192, 300)) / 4
    notes["duration_beat"] = rng.choice([0.25, 0.5, 1.0, 1.5, 2.0, 4.0], 300) * rng.uniform(0.7, 1.0, 300)
    notes["pitch"], notes["velocity"] = rng.integers(30, 100, 300), rng.integers(20, 120, 300)
    notes["track"] = rng.integers(0, 4, 300)
    notes["program"] = np.array([0, 40, 33, DRUMS])[notes["track"]]
    score = from_notes(notes, tempo_bpm=60 * faster)
    score.tempos.append(symusic.Tempo(24 * 480, 90 * faster))
    return score


def test_values_follow_the_tempo_by_the_power_that_the_table_tells() -> None:
    other: set[str] = set()
    for seed, faster in enumerate((1.25, 2.0, 0.8)):
        slow, fast = extract(played(seed, 1.0)), extract(played(seed, faster))
        for row in ATTRIBUTES:
            if row.tempo_power is None:
                other |= {row.name} if not np.allclose(slow[row.name], fast[row.name], equal_nan=True) else set()
            else:
                wanted = slow[row.name] * faster**row.tempo_power
                np.testing.assert_allclose(fast[row.name], wanted, rtol=2e-3, atol=1e-5, err_msg=row.name)
    assert other == {row.name for row in ATTRIBUTES if row.tempo_power is None}


def test_documentation_is_current() -> None:
    docs = TESTS.parent / "docs"
    page = runpy.run_path(str(docs / "attribute_catalogue.py"))["page"]()
    assert (docs / "attributes.md").read_text(encoding="utf-8") == page, "run python docs/attribute_catalogue.py"
