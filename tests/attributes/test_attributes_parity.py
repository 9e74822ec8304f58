"""Attributes agree with ``music21.features.jSymbolic`` on pieces of music21's corpus; the long run is the report."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from repository import script

from muse.attributes import attribute, extract

PIECES = ("bach/bwv66.6", "bach/bwv253", "ciconia/quod_jactatur", "johnson_j_r/lift_every_voice")


@pytest.fixture(scope="module")
def parity() -> ModuleType:
    """The benchmark that writes the report."""
    return script("benchmarks/attribute_parity.py")


@pytest.mark.filterwarnings("ignore")  # music21 warns about its own files
def test_attributes_agree_with_music21(parity: ModuleType) -> None:
    found = parity.compare(PIECES, repeats=1)
    compared = [comparison for comparison in found.comparisons.values() if comparison.n_pieces]
    assert len(compared) >= 40
    assert [(c.pair.name, c.largest) for c in compared if not c.agrees] == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PIECES)
@pytest.mark.parametrize("bars", [None, 4])
def test_real_pieces_lie_in_the_stated_ranges(parity: ModuleType, name: str, bars: int | None) -> None:
    _, score = parity.prepare(name)
    measured = extract(score, bars=bars)
    low = np.array([attribute(column).low for column in measured.names])
    high = np.array([attribute(column).high for column in measured.names])
    wrong = (measured.values < low - 1e-5) | (measured.values > high * (1 + 1e-5) + 1e-5)
    assert [measured.names[column] for column in np.flatnonzero(wrong.any(axis=0))] == []
    assert np.isnan(measured.values[0]).mean() < 0.15  # a single line has no vertical intervals


def test_tolerances_above_rounding_are_explained(parity: ModuleType) -> None:
    assert [pair.name for pair in parity.PAIRS if pair.tolerance > 1e-4 and not pair.why] == []
    assert len({pair.name for pair in parity.PAIRS}) == len(parity.PAIRS) >= 40


def test_report_is_committed_and_good(parity: ModuleType) -> None:
    text = parity.REPORT.read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert [pair.name for pair in parity.PAIRS if not any(row.startswith(f"| {pair.name} |") for row in rows)] == []
    assert "**differs**" not in text
    assert len(parity.LINES) + len(parity.CHORDS) >= 20
    total = next(row for row in rows if row.startswith("| all |"))
    assert float(total.split("|")[-2]) >= 100
