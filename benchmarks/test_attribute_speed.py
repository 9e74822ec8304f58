"""Speed of attribute extraction: ``pytest benchmarks --benchmark-enable``. Not part of the test suite."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from muse.attributes import SECTION_CONTROLS, SONG_CONTROLS, extract
from muse.score import DRUMS, NOTE_DTYPE, Score, from_notes


@pytest.fixture(scope="module")
def piece() -> Score:
    """64 bars of four instruments, 400 notes in 16 bars."""
    rng = np.random.default_rng(0)
    notes = np.zeros(1600, dtype=NOTE_DTYPE)
    notes["onset_beat"] = rng.integers(0, 4 * 252, len(notes)) / 4
    notes["duration_beat"] = rng.choice([0.25, 0.5, 1.0, 2.0, 4.0], len(notes), p=[0.3, 0.3, 0.2, 0.15, 0.05])
    notes["track"] = rng.integers(0, 4, len(notes))
    notes["program"] = np.array([0, 33, 48, DRUMS])[notes["track"]]
    notes["pitch"] = np.clip(rng.normal(62, 12, len(notes)), 24, 100).astype(np.int16)
    notes["velocity"] = rng.integers(40, 110, len(notes))
    return from_notes(notes)


@pytest.mark.parametrize(
    ("names", "bars"),
    [(SONG_CONTROLS, 16), (SECTION_CONTROLS, 4), (None, 16)],
    ids=["song controls", "section controls", "everything"],
)
def test_extract(benchmark: Any, piece: Score, names: tuple[str, ...] | None, bars: int) -> None:
    measured = benchmark(extract, piece, names=names, bars=bars)
    assert len(measured) == 64 // bars
