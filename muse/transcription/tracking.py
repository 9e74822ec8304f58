"""Notes from posteriors: where onsets are, and how long each note sounds. Frames come in order, in any portions.

A note begins at an onset and lasts as long as its pitch sounds (:data:`SOUNDING`), gaps of :data:`GAP` frames at most
passed over, or until the pitch is struck again. Only notes that still sound are kept in mind.

Contents: :class:`NoteTracker`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from muse.score import NOTE_DTYPE, Notes
from muse.transcription.onsets import CONTEXT, OnsetNetwork, candidates
from muse.transcription.posteriors import HOP, LOWEST_PITCH, N_PITCHES, SAMPLE_RATE, Posteriors

__all__ = ["ONSET", "NoteTracker"]

ONSET: Final = 0.5
"""Probability from which a candidate is an onset, unless another is asked for."""
SOUNDING: Final = 0.15
"""Posterior from which a note goes on sounding; the paper's 0.3 ends notes early (chosen on the tuning pieces of
``benchmarks/transcription.py``)."""
GAP: Final = 11
"""Frames (0.13 s); the paper's."""
BEATS_PER_SEC: Final = 2.0
"""Of the rows: 120 BPM."""


@dataclass
class _Open:
    """A note that sounds."""

    start: int
    last: int
    """The last frame in which it was heard."""
    velocity: float


class NoteTracker:
    """Collects the notes of one recording.

    Parameters
    ----------
    network
        Tells onsets.
    onset
        Probability from which a candidate is an onset.
    """

    def __init__(self, network: OnsetNetwork, onset: float = ONSET) -> None:
        self._network, self._onset = network, onset
        before = np.zeros((CONTEXT, N_PITCHES), np.float32)
        self._waiting = Posteriors(before, before)
        self._frame = 0
        """Of the recording, that the first of those that wait to be tracked has: CONTEXT behind those at hand."""
        self._open: dict[int, _Open] = {}
        self._done: list[tuple[int, int, int, float]] = []

    @property
    def heard_sec(self) -> float:
        """How far the notes are known."""
        return self._frame * HOP / SAMPLE_RATE

    def push(self, posteriors: Posteriors) -> None:
        """Take in the next frames."""
        onset, note = (np.concatenate(pair) for pair in zip(self._waiting, posteriors, strict=True))
        n = len(onset) - 2 * CONTEXT
        if n > 0:
            found = candidates(Posteriors(onset, note))
            probability, velocity = self._network(found.features)
            struck: dict[int, list[tuple[int, float]]] = defaultdict(list)
            for i in np.flatnonzero(probability >= self._onset):
                struck[int(found.pitch[i])].append((int(found.frame[i]), float(velocity[i])))
            self._track(note[CONTEXT : CONTEXT + n] >= SOUNDING, struck)
            self._frame += n
        kept = max(n, 0)
        self._waiting = Posteriors(onset[kept:], note[kept:])

    def finish(self) -> Notes:
        """All notes, NOTE_DTYPE [n] in order of onset and pitch; beats at 120 BPM."""
        after = np.zeros((CONTEXT, N_PITCHES), np.float32)
        self.push(Posteriors(after, after))
        for pitch in list(self._open):
            self._close(pitch)
        rows: Notes = np.zeros(len(self._done), NOTE_DTYPE)
        if self._done:
            start, stop, pitches, velocity = np.array(sorted(self._done)).T
            frame_sec = HOP / SAMPLE_RATE
            rows["onset_sec"], rows["duration_sec"] = start * frame_sec, (stop - start) * frame_sec
            rows["pitch"], rows["velocity"] = pitches + LOWEST_PITCH, np.rint(velocity)
            for name in ("onset", "duration"):
                rows[f"{name}_beat"] = rows[f"{name}_sec"] * BEATS_PER_SEC
        return rows

    def _track(self, sounds: NDArray[np.bool_], struck: dict[int, list[tuple[int, float]]]) -> None:
        """Carry open notes through frames [n, 88], and begin those that are struck: pitch -> (row, velocity)."""
        n = len(sounds)
        for pitch in sorted({*self._open, *struck}):
            rows = np.flatnonzero(sounds[:, pitch])
            begin = 0
            for row, velocity in struck[pitch]:
                self._sustain(pitch, rows[(rows >= begin) & (rows < row)], row)
                self._close(pitch)
                self._open[pitch] = _Open(self._frame + row, self._frame + row, velocity)
                begin = row
            self._sustain(pitch, rows[rows >= begin], n)

    def _sustain(self, pitch: int, rows: NDArray[np.int64], until: int) -> None:
        """Go on with an open note where its pitch sounds in rows before `until`; close it where it stops."""
        if (note := self._open.get(pitch)) is None:
            return
        heard = np.concatenate([[note.last], self._frame + rows])
        breaks = np.flatnonzero(np.diff(heard) > GAP)
        note.last = int(heard[breaks[0]] if len(breaks) else heard[-1])
        if len(breaks) or self._frame + until - note.last > GAP:
            self._close(pitch)

    def _close(self, pitch: int) -> None:
        if (note := self._open.pop(pitch, None)) is not None:
            self._done.append((note.start, note.last + 1, pitch, note.velocity))
