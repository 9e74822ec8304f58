"""Fixtures that several test modules share. Everything is made here: no test needs a corpus or the network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from muse.score import DRUMS, NOTE_DTYPE, Score, from_notes, write_score


@pytest.fixture
def rng() -> np.random.Generator:
    """The one source of randomness in tests."""
    return np.random.default_rng(20261123)


@pytest.fixture
def song() -> Score:
    """Eight bars of 4/4 at 96 BPM in A minor: a piano with chords and tune, a bass, and drums."""
    notes = []

    def add(beat: float, length: float, pitch: int, velocity: int, program: int, track: int) -> None:
        notes.append((beat, length, beat * 60 / 96, length * 60 / 96, pitch, velocity, program, track))

    chords = [(57, 60, 64), (53, 57, 60), (55, 59, 62), (52, 56, 59)]  # Am F G E
    tune = [69, 72, 76, 74, 72, 71, 69, 67]
    for bar in range(8):
        start = 4.0 * bar
        for pitch in chords[bar % 4]:
            add(start, 3.5, pitch, 60 + bar, 0, 0)
        for step in range(4):
            add(start + step, 0.9, tune[(bar + step) % 8], 80 + 3 * step, 0, 0)
            add(start + step, 0.1, 36 if step % 2 == 0 else 38, 100, DRUMS, 2)
        add(start, 4.0, chords[bar % 4][0] - 24, 75, 32, 1)
    return from_notes(np.array(notes, dtype=NOTE_DTYPE), tempo_bpm=96, names=("Piano", "Bass", "Drums"))


@pytest.fixture
def song_path(song: Score, tmp_path: Path) -> Path:
    """The song as a MIDI file."""
    path = tmp_path / "song.mid"
    write_score(song, path)
    return path
