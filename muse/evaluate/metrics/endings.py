"""How does a piece end? The last chord beside the music before it, and whether it rests on the tonic.

Conventions: a piece is a note array (:data:`muse.score.NOTE_DTYPE`) that begins at a bar line; heights are semitones.

Contents: :class:`Ending`, :func:`find_ending`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from muse.score import DRUMS, Notes
from muse.theory.lead_sheet import find_chords

__all__ = ["Ending", "find_ending"]

_TOLERANCE_BEAT = 1e-3
_CONTEXT_BARS = 4  # the chord of a bar is found with what stands before it


@dataclass(frozen=True)
class Ending:
    """The end of a piece."""

    n_notes: int
    """Notes that sound at the last onset, struck there or held."""
    height: float
    """Their mean pitch over that of all notes before, semitones; NaN where nothing stands before."""
    on_tonic: bool
    """The chord that lasts longest in the last bar with a note has the tonic as its root."""


def find_ending(notes: Notes, bar_beats: float, tonic: int) -> Ending | None:
    """The end of a piece; None without pitched notes.

    Parameters
    ----------
    notes
        NOTE_DTYPE [n_notes].
    bar_beats
        Quarter notes a bar.
    tonic
        Pitch class 0..11.
    """
    notes = notes[notes["program"] != DRUMS]
    if not len(notes):
        return None
    onset, end, pitch = notes["onset_beat"], notes["onset_beat"] + notes["duration_beat"], notes["pitch"].astype(float)
    last = float(onset.max())
    in_chord = (onset <= last + _TOLERANCE_BEAT) & (end > last + _TOLERANCE_BEAT)
    before = onset < last - _TOLERANCE_BEAT
    height = float(pitch[in_chord].mean() - pitch[before].mean()) if before.any() else float("nan")
    return Ending(int(in_chord.sum()), height, _last_root(notes, bar_beats) == tonic)


def _last_root(notes: Notes, bar_beats: float) -> int:
    """Root of the chord that lasts longest in the last bar with a note; of equal ones the later."""
    last_bar = int((notes["onset_beat"].max() + _TOLERANCE_BEAT) // bar_beats)
    first = max(last_bar - _CONTEXT_BARS + 1, 0) * bar_beats
    edges = np.append(np.arange(first, (last_bar + 1) * bar_beats - _TOLERANCE_BEAT, 1.0), (last_bar + 1) * bar_beats)
    sounding = notes[notes["onset_beat"] + notes["duration_beat"] > first]
    is_downbeat = np.abs((edges[:-1] + _TOLERANCE_BEAT) % bar_beats) < 2 * _TOLERANCE_BEAT
    chords = find_chords(
        sounding["onset_beat"], sounding["duration_beat"], sounding["pitch"].astype(np.int64), edges, is_downbeat
    )
    beats = int(np.ceil(bar_beats - _TOLERANCE_BEAT))
    roots = [chord[0] for chord in chords[-beats:] if chord is not None]
    return max(reversed(roots), key=roots.count) if roots else -1
