"""Chords and tunes found in music whose lead sheet is known."""

from __future__ import annotations

import numpy as np
import pytest

from muse.theory.chord_symbols import QUALITIES, parse_chord
from muse.theory.lead_sheet import find_chords, find_melody


def block_chords(symbols: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each chord for four quarters, its bass an octave below: onset, duration, pitch."""
    rows = []
    for bar, symbol in enumerate(symbols):
        chord = parse_chord(symbol)
        assert chord.root is not None
        bass = chord.root if chord.bass is None else chord.bass
        rows += [(4.0 * bar, 4.0, 36 + bass)]
        rows += [(4.0 * bar, 4.0, 60 + chord.root + step) for step in QUALITIES[chord.quality]]
    onset, duration, pitch = (np.array(column) for column in zip(*rows, strict=True))
    return onset, duration, pitch.astype(np.int64)


@pytest.mark.parametrize(
    "symbols",
    [
        ["C", "Am", "F", "G7"],
        ["Dm7", "G7", "Cmaj7", "Am"],
        ["Bdim", "Em", "C/E", "D"],
        ["F#m7b5", "B7", "Em", "C#dim7"],
    ],
)
def test_block_chords_are_named(symbols: list[str]) -> None:
    onset, duration, pitch = block_chords(symbols)
    edges = np.arange(0.0, 4 * len(symbols) + 1)
    found = find_chords(onset, duration, pitch, edges, (np.arange(len(edges) - 1) % 4) == 0)
    for beat, got in enumerate(found):
        wanted = parse_chord(symbols[beat // 4])
        assert got == (wanted.root, wanted.quality, wanted.bass)


def test_silence_has_no_chord_before_and_the_last_one_behind() -> None:
    found = find_chords(np.array([2.0] * 3), np.ones(3), np.array([60, 64, 67]), np.arange(5.0), np.zeros(4, bool))
    assert found == [None, None, (0, "", None), (0, "", None)]
    assert find_chords(np.zeros(0), np.zeros(0), np.zeros(0, int), np.arange(3.0), np.zeros(2, bool)) == [None, None]


def test_a_tune_over_chords_is_found() -> None:
    onset = np.concatenate([np.arange(16) * 1.0, np.repeat(np.arange(4) * 4.0, 3)])
    pitch = np.concatenate([72 + np.array([0, 2, 4, 5] * 4), np.tile([48, 52, 55], 4)])
    duration = np.concatenate([np.ones(16), np.full(12, 4.0)])
    order = np.argsort(onset, kind="stable")
    is_melody, trust = find_melody(onset[order], duration[order], pitch[order])
    assert set(pitch[order][is_melody]) == {72, 74, 76, 77}
    assert is_melody.sum() == 16
    assert trust == 1
    assert find_melody(np.zeros(0), np.zeros(0), np.zeros(0, int))[1] == 0
