"""Form on hand-made pieces whose returns are known."""

from __future__ import annotations

import numpy as np
import pytest
from kit import beats

from muse.evaluate.metrics.form import bars_with_a_twin, likeness, section_return, spell_bars, top_line


def bar_of(first: float, pitches: list[int]) -> list[tuple[float, float, int]]:
    return [(first + i, 1.0, pitch) for i, pitch in enumerate(pitches)]


def piece(bars: list[list[int]]) -> np.ndarray:
    return beats([note for b, pitches in enumerate(bars) for note in bar_of(4.0 * b, pitches)])


def random_bars(rng: np.random.Generator, n: int) -> list[list[int]]:
    return [rng.choice(np.arange(48, 84), 4, replace=False).tolist() for _ in range(n)]


def test_a_quarter_of_the_bars_has_a_twin() -> None:
    a, b, c = [60, 62, 64, 65], [67, 69, 71, 72], [48, 50, 52, 53]
    assert bars_with_a_twin(piece([a, b, c, a]), 4.0, 4) == 0.25
    assert bars_with_a_twin(piece([a, b, c, [60, 62, 64, 66]]), 4.0, 4) == 0.0  # three notes of four are no twin
    assert bars_with_a_twin(piece([a, a, a, a]), 4.0, 4) == 0.75


def test_likeness_is_the_f1_of_positions_and_pitches() -> None:
    bars = spell_bars(piece([[60, 62, 64, 65], [60, 62, 64, 67]]), 4.0, 3)
    assert likeness(bars, 1).tolist() == pytest.approx([0.75, 0.0])
    assert likeness(spell_bars(beats([]), 4.0, 2), 1).tolist() == [1.0]  # two silent bars


def test_the_top_line_passes_over_what_a_higher_note_covers() -> None:
    notes = beats([(0, 4, 72), (0, 1, 60), (1, 1, 64), (4, 1, 65), (4, 1, 77)])
    order = np.lexsort((-notes["pitch"].astype(int), notes["onset_beat"]))
    assert top_line(notes[order])["pitch"].tolist() == [72, 77]


def test_a_section_that_comes_back_is_found_and_chance_is_not(rng: np.random.Generator) -> None:
    a, b = random_bars(rng, 8), random_bars(rng, 8)
    assert section_return(piece(a + b + a + random_bars(rng, 4)), 4.0, 28) == 1.0
    assert section_return(piece(a + b + a[:4] + random_bars(rng, 4)), 4.0, 24) == 0.5
    assert section_return(piece(a + b + random_bars(rng, 8)), 4.0, 24) < 0.2
    assert np.isnan(section_return(piece(a), 4.0, 8))


def test_silence_does_not_return(rng: np.random.Generator) -> None:
    assert section_return(beats([(0, 1, 60)]), 4.0, 64) == 0.0
