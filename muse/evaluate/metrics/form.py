"""Form: which bars return, and does a long piece have sections that do?

Conventions
-----------
* A piece is a note array (:data:`muse.score.NOTE_DTYPE`) that begins at a bar line, its bars of one length in beats.
* Bars are compared by F1 of (position, pitch) of the notes that begin in them; two silent bars are alike.
* Structureness over passages of 2 to 4, 4 to 8 and 8 bars or more: :mod:`muse.evaluate.metrics.structure`.

Contents: :func:`pitched_by_onset`, :func:`top_line`, :func:`spell_bars`, :func:`likeness`,
:func:`bars_with_a_twin`, :func:`section_return`.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from muse.score import DRUMS, Notes

__all__ = ["bars_with_a_twin", "likeness", "pitched_by_onset", "section_return", "spell_bars", "top_line"]

Floats: TypeAlias = NDArray[np.float64]
Spelling: TypeAlias = frozenset[tuple[int, int]]
"""Position in twelfths of a beat and pitch of the notes of a bar."""

TWIN = 0.9
"""F1 from which two bars are twins."""
LIKE = 0.6
"""F1 from which the tunes of two bars are alike, as in :mod:`muse.tokens.plan_form`."""
SECTION_BARS = 8


def top_line(notes: Notes) -> Notes:
    """The highest note of each onset, where no higher one sounds on; notes by onset, the highest of each first."""
    keep, end, pitch = [], -1.0, -1
    onset = notes["onset_beat"]
    for i in np.flatnonzero(np.diff(onset, prepend=-1.0) > 1e-3):
        if onset[i] < end - 0.1 and notes["pitch"][i] < pitch:
            continue
        keep.append(int(i))
        end, pitch = onset[i] + notes["duration_beat"][i], int(notes["pitch"][i])
    return notes[keep]


def pitched_by_onset(notes: Notes) -> Notes:
    """Notes without drums, by onset, the highest of each first."""
    pitched = notes[notes["program"] != DRUMS]
    return pitched[np.lexsort((-pitched["pitch"].astype(int), pitched["onset_beat"]))]


def spell_bars(notes: Notes, bar_beats: float, n_bars: int, *, with_pitch: bool = True) -> list[Spelling]:
    """What begins in each bar; without pitch, its rhythm."""
    out: list[set[tuple[int, int]]] = [set() for _ in range(n_bars)]
    for onset, pitch in zip(notes["onset_beat"].tolist(), notes["pitch"].tolist(), strict=True):
        bar = int((onset + 1e-6) // bar_beats)
        if bar < n_bars:
            out[bar].add((round((onset - bar * bar_beats) * 12), pitch if with_pitch else 0))
    return [frozenset(bar) for bar in out]


def likeness(bars: list[Spelling], lag: int) -> Floats:
    """F1 of each bar with the one so many bars before, from the first that has one: float64 [n_bars - lag]."""
    pairs = zip(bars[lag:], bars[:-lag], strict=True)
    return np.array([2 * len(a & b) / (len(a) + len(b)) if a or b else 1.0 for a, b in pairs])


def bars_with_a_twin(notes: Notes, bar_beats: float, n_bars: int) -> float:
    """Share of all bars whose notes are an earlier bar's, by F1 over :data:`TWIN`; 0..1."""
    bars = spell_bars(pitched_by_onset(notes), bar_beats, n_bars)
    twin = np.zeros(n_bars, bool)
    for lag in range(1, n_bars):
        twin[lag:] |= likeness(bars, lag) > TWIN
    return float(twin.mean())


def section_return(notes: Notes, bar_beats: float, n_bars: int) -> float:
    """How much of the best section that returns does: 0..1; from 0.5 on a listener hears the section again.

    Of all pairs of passages of :data:`SECTION_BARS` bars that do not overlap, the largest share of bars whose top
    lines are alike (F1 over :data:`LIKE`) and not silent: what :func:`muse.tokens.plan_form.find_sections` gives one
    letter to at one half. NaN for pieces shorter than two sections.
    """
    if n_bars < 2 * SECTION_BARS:
        return float("nan")
    bars = spell_bars(top_line(pitched_by_onset(notes)), bar_beats, n_bars)
    best = 0.0
    for lag in range(SECTION_BARS, n_bars - SECTION_BARS + 1):
        alike = (likeness(bars, lag) > LIKE) & np.array([bool(bar) for bar in bars[lag:]])
        best = max(best, float(np.convolve(alike, np.ones(SECTION_BARS), "valid").max()) / SECTION_BARS)
    return best
