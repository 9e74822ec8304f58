"""Does every instrument that was asked for play, within its range, what one player can, and is the tune heard?

Conventions
-----------
* An instrument asked for twice is two instruments: each needs a track of its own. Tracks of one program go to the
  instruments of that program in their order; tracks left over belong to the last of them.
* An instrument *plays* in a bar in which a note of it sounds.
* Ranges and polyphony: ``muse/theory/instruments.csv``; what can be played at all counts, not what is usual.

Contents: :class:`PartCheck`, :class:`TuneCheck`, :func:`check_parts`, :func:`check_tune`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from muse.score import DRUMS, Notes
from muse.theory import instruments
from muse.tokens.plan import Plan

__all__ = ["PartCheck", "TuneCheck", "check_parts", "check_tune"]

Bools: TypeAlias = NDArray[np.bool_]

_TOLERANCE_BEAT = 1e-3
_OCTAVES = (0, -1, 1, -2, 2, -3, 3)  # in which the tune may be played, all of it in one


@dataclass(frozen=True)
class PartCheck:
    """What one instrument does in a piece."""

    program: int
    bar_rate: float
    """Share of the bars in which it plays, 0..1."""
    n_notes: int
    n_out_of_range: int
    n_too_many: int
    """Notes that begin while more sound than the instrument has room for."""
    unison: float
    """Share of its notes that one of the same program asked for earlier strikes too, 0..1; NaN for the first of a
    program, and without notes."""


@dataclass(frozen=True)
class TuneCheck:
    """Whether the tune of a plan is heard in the score. NaN where there is no tune."""

    played: float
    """Share of its notes that one instrument strikes where the plan says, all in one octave, 0..1."""
    on_top: float
    """Share of those above which no other note sounds when they are struck, 0..1."""
    alone: bool
    """The instrument that plays the tune plays nothing else, or nearly (nine tenths of its notes)."""

    @property
    def heard(self) -> bool:
        """All of it is played, and it lies on top nine times in ten or has an instrument for itself."""
        return self.played > 0.99 and (self.alone or self.on_top >= 0.9)


def check_parts(notes: Notes, programs: Sequence[int], bar_beats: float, n_bars: int) -> list[PartCheck]:
    """Check a piece, instrument by instrument.

    Parameters
    ----------
    notes
        NOTE_DTYPE [n_notes] of the whole score.
    programs
        Asked for, 128 = drums, in any order; the same may come again.
    bar_beats, n_bars
        Length of a bar in quarter notes, and bars asked for.

    Returns
    -------
    list
        A row for each of `programs`.
    """
    found = []
    parts = _parts(notes, programs)
    for i, program in enumerate(programs):
        mine, one = parts[i], instruments()[program]
        start, end = mine["onset_beat"], mine["onset_beat"] + mine["duration_beat"]
        bar = np.arange(n_bars)[:, None] * bar_beats
        plays = ((start < bar + bar_beats - _TOLERANCE_BEAT) & (end > bar + _TOLERANCE_BEAT)).any(axis=1)
        outside = (mine["pitch"] < one.low) | (mine["pitch"] > one.high)
        earlier = [parts[j] for j in range(i) if programs[j] == program]
        found.append(
            PartCheck(
                program, float(plays.mean()), len(mine), int(outside.sum()),
                int((_n_sounding(mine) > one.polyphony).sum()), _unison(mine, earlier),
            )
        )  # fmt: skip
    return found


def _parts(notes: Notes, programs: Sequence[int]) -> list[Notes]:
    """The notes of each instrument asked for."""
    out = []
    for i, program in enumerate(programs):
        mine = notes[notes["program"] == program]
        tracks = np.unique(mine["track"])
        nth, of = list(programs[:i]).count(program), list(programs).count(program)
        own = tracks[nth:] if nth == of - 1 else tracks[nth : nth + 1]
        out.append(mine[np.isin(mine["track"], own)])
    return out


def _n_sounding(notes: Notes) -> NDArray[np.int64]:
    """Notes that sound when each begins, itself among them: int64 [n_notes]."""
    start, end = np.sort(notes["onset_beat"]), np.sort(notes["onset_beat"] + notes["duration_beat"])
    begun = np.searchsorted(start, notes["onset_beat"] + _TOLERANCE_BEAT, side="right")
    ended = np.searchsorted(end, notes["onset_beat"] + _TOLERANCE_BEAT, side="right")
    return np.asarray(begun - ended, np.int64)


def _struck(notes: Notes) -> list[tuple[int, int]]:
    return list(zip(np.rint(notes["onset_beat"] * 24).astype(int).tolist(), notes["pitch"].tolist(), strict=True))


def _unison(notes: Notes, earlier: Sequence[Notes]) -> float:
    theirs = {place for part in earlier for place in _struck(part)}
    return float(np.mean([place in theirs for place in _struck(notes)])) if earlier and len(notes) else float("nan")


def check_tune(notes: Notes, plan: Plan) -> TuneCheck:
    """Look for the tune of a plan in the score that was made from it.

    Parameters
    ----------
    notes
        NOTE_DTYPE [n_notes] of the whole score.
    plan
        Its bars begin with the score.
    """
    size = plan.bar_length
    tune = [((b * size + n.position) / 4, n.pitch) for b, bar in enumerate(plan.bars) for n in bar.melody]
    pitched = notes[notes["program"] != DRUMS]
    if not tune or not len(pitched):
        return TuneCheck(float("nan"), float("nan"), False)
    onset, pitch = (np.array(column) for column in zip(*tune, strict=True))
    tracks = [pitched[pitched["track"] == track] for track in np.unique(pitched["track"])]
    found = [(notes, _places(notes, onset, pitch + 12 * octave)) for notes in tracks for octave in _OCTAVES]
    mine, which = max(found, key=lambda pair: int((pair[1] >= 0).sum()))
    played = which >= 0
    if not played.any():
        return TuneCheck(0.0, float("nan"), False)
    struck = mine[which[played]]
    start, end = pitched["onset_beat"], pitched["onset_beat"] + pitched["duration_beat"]
    moments = struck["onset_beat"][:, None]
    over = (pitched["pitch"] > struck["pitch"][:, None]) & (start <= moments + _TOLERANCE_BEAT)
    over &= end > moments + _TOLERANCE_BEAT
    alone = len(np.unique(which[played])) >= 0.9 * len(mine)
    return TuneCheck(float(played.mean()), float(1 - over.any(axis=1).mean()), bool(alone))


def _places(notes: Notes, onset: NDArray[np.float64], pitch: NDArray[np.int64]) -> NDArray[np.int64]:
    """Index of the note that is struck at each onset with that pitch, -1 for none: int64 [n_tune]."""
    same = (np.abs(notes["onset_beat"] - onset[:, None]) < 1 / 24) & (notes["pitch"] == pitch[:, None])
    return np.where(same.any(axis=1), same.argmax(axis=1), -1)
