"""Music made worse on purpose, by grades: what the selector learns quality from.

A real window and the same window spoilt form pairs whose better half is known without asking anyone, and a heavier
grade contains the lighter one, so the order within a kind is known too.

Conventions
-----------
share
    How much of the window is spoilt, 0..1; :data:`GRADES` are the shares in use.
nested
    For one seed, what a small share spoils a larger share spoils too.

Contents: :data:`KINDS`, :data:`GRADES`, :func:`corrupt`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from muse.score import DRUMS, Notes
from muse.selector.events import Passage
from muse.tokens.vocabulary import STEPS_PER_BEAT

__all__ = ["GRADES", "KINDS", "corrupt"]

GRADES = (0.1, 0.25, 0.5, 1.0)
"""Shares of a window that are spoilt, lightest first."""

LOWEST, HIGHEST = 21, 108
SECTION = 2
"""Bars that are pasted together."""


def corrupt(music: Passage, kind: str, share: float, other: Passage, seed: int) -> Passage:
    """A window of which a share is spoilt; its ``misplaced`` tells which notes did not stand there before.

    Parameters
    ----------
    music
        A real window.
    kind
        A name in :data:`KINDS`.
    share
        In 0..1.
    other
        Another piece of music, from which ``pasted_sections`` takes bars.
    seed
        Decides which notes or bars are spoilt, and how.
    """
    notes = KINDS[kind](music, share, other, np.random.default_rng(seed))
    return music.with_notes(notes, ~np.isin(_places(notes), _places(music.notes)))


def _places(notes: Notes) -> NDArray[np.int64]:
    """One number for what a note is and where it stands: onset, length, pitch, instrument."""
    onset, length = (np.rint(notes[name] * STEPS_PER_BEAT).astype(np.int64) for name in ("onset_beat", "duration_beat"))
    return ((onset * 4096 + np.minimum(length, 4095)) * 128 + notes["pitch"]) * 256 + notes["program"]


def _first(share: float, n: int, rng: np.random.Generator, at_least: int = 1) -> NDArray[np.int64]:
    """A share of 0..n-1, the beginning of one random order."""
    return rng.permutation(n)[: max(at_least, round(share * n))]


def _bars(music: Passage) -> tuple[NDArray[np.int64], int]:
    """Bar of every note, and the number of bars."""
    bar = np.floor(music.notes["onset_beat"] / music.bar_beats + 1e-6).astype(np.int64)
    return bar, int(bar.max()) + 1


def _folded(pitch: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pitches outside the keyboard, moved in by octaves."""
    pitch = np.where(pitch < LOWEST, pitch + 12 * -(-(LOWEST - pitch) // 12), pitch)
    return np.where(pitch > HIGHEST, pitch - 12 * -(-(pitch - HIGHEST) // 12), pitch)


def _wrong_notes(music: Passage, share: float, _other: Passage, rng: np.random.Generator) -> Notes:
    """Pitches moved by one to six semitones up or down; drums become other drums."""
    notes = music.notes.copy()
    chosen = _first(share, len(notes), rng)
    steps = rng.integers(1, 7, len(notes)) * rng.choice([-1, 1], len(notes))
    notes["pitch"][chosen] = _folded(notes["pitch"][chosen].astype(np.int64) + steps[chosen])
    return notes


def _shuffled_bars(music: Passage, share: float, _other: Passage, rng: np.random.Generator) -> Notes:
    """Bars that change places in a ring."""
    notes = music.notes.copy()
    bar, n_bars = _bars(music)
    ring = _first(share, n_bars, rng, at_least=2)
    place = np.arange(n_bars)
    place[ring] = np.roll(ring, 1)
    notes["onset_beat"] += (place[bar] - bar) * music.bar_beats
    return notes


def _broken_rhythm(music: Passage, share: float, _other: Passage, rng: np.random.Generator) -> Notes:
    """Onsets moved by up to five twelfths of a beat, lengths drawn anew."""
    notes = music.notes.copy()
    chosen = _first(share, len(notes), rng)
    steps = rng.integers(1, 6, len(notes)) * rng.choice([-1, 1], len(notes))
    lengths = np.exp2(rng.uniform(-2, 2, len(notes)))
    notes["onset_beat"][chosen] = np.abs(notes["onset_beat"][chosen] + steps[chosen] / STEPS_PER_BEAT)
    notes["duration_beat"][chosen] = (
        np.maximum(np.rint(notes["duration_beat"][chosen] * lengths[chosen] * STEPS_PER_BEAT), 1) / STEPS_PER_BEAT
    )
    return notes


def _pasted_sections(music: Passage, share: float, other: Passage, rng: np.random.Generator) -> Notes:
    """Sections of :data:`SECTION` bars replaced by those of another piece, each from a place and in a key of its own.

    (From one place and in one key, a window that is pasted over as a whole would be a piece like any other.)
    """
    (bar, n_bars), (other_bar, n_other) = _bars(music), _bars(other)
    n_sections = -(-n_bars // SECTION)
    chosen = _first(share, n_sections, rng)
    semitones = rng.integers(1, 7, n_sections) * rng.choice([-1, 1], n_sections)
    source = rng.integers(max(n_other - SECTION + 1, 1), size=n_sections)
    programs = np.unique(music.notes["program"])
    parts = [music.notes[~np.isin(bar // SECTION, chosen)]]
    for section in chosen.tolist():
        for k in range(min(SECTION, n_bars - section * SECTION)):
            pasted = other.notes[other_bar == source[section] + k].copy()
            pasted["onset_beat"] %= other.bar_beats
            pasted = pasted[pasted["onset_beat"] < music.bar_beats]
            pasted["onset_beat"] += (section * SECTION + k) * music.bar_beats
            pitched = pasted["program"] != DRUMS
            pasted["pitch"][pitched] = _folded(pasted["pitch"][pitched].astype(np.int64) + semitones[section])
            pasted["program"] = np.where(np.isin(pasted["program"], programs), pasted["program"], programs[0])
            parts.append(pasted)
    kept = np.concatenate(parts)
    return kept if len(kept) else music.notes.copy()


def _stuck_loop(music: Passage, share: float, _other: Passage, rng: np.random.Generator) -> Notes:
    """From some bar on, one bar again and again."""
    bar, n_bars = _bars(music)
    filled = np.unique(bar)
    n_stuck = max(2, round(share * (n_bars - 1)))
    loop = int(filled[np.argmin(np.abs(filled - (n_bars - 1 - n_stuck)))])
    phrase = music.notes[bar == loop]
    copies = []
    for step in range(1, n_bars - loop):
        copy = phrase.copy()
        copy["onset_beat"] += step * music.bar_beats
        copies.append(copy)
    return np.concatenate([music.notes[bar <= loop], *copies])


def _random_register(music: Passage, share: float, _other: Passage, rng: np.random.Generator) -> Notes:
    """Notes thrown up or down by one to three octaves."""
    notes = music.notes.copy()
    chosen = _first(share, len(notes), rng)
    octaves = rng.integers(1, 4, len(notes)) * rng.choice([-12, 12], len(notes))
    chosen = chosen[notes["program"][chosen] != DRUMS]
    notes["pitch"][chosen] = _folded(notes["pitch"][chosen].astype(np.int64) + octaves[chosen])
    return notes


KINDS: Mapping[str, Callable[[Passage, float, Passage, np.random.Generator], Notes]] = {
    "wrong_notes": _wrong_notes,
    "shuffled_bars": _shuffled_bars,
    "broken_rhythm": _broken_rhythm,
    "pasted_sections": _pasted_sections,
    "stuck_loop": _stuck_loop,
    "random_register": _random_register,
}
"""Ways to spoil a window."""
