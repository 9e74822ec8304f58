"""Beats that people annotated: POP909's and ASAP's text files.

POP909 writes time and two flags, separated by blanks: the first marks bars of two (in triple meters three) beats, the
second bars of twice as many. We take the second for duple meters (4/4) and the first for triple ones (3/4).

ASAP (Foscarin et al., ISMIR 2020) writes time, time and ``b``, ``db`` or ``bR`` with tabs, and at a downbeat the time
signature when it changes; its beats are those that one would conduct, so in 6/8 one lasts a dotted quarter.

Contents: :class:`BeatTimes`, :func:`read_beats`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from muse.corpora.table import read_lines
from muse.errors import InputError, shown

__all__ = ["BeatTimes", "read_beats"]


@dataclass(frozen=True)
class BeatTimes:
    """Annotated beats, ready for :func:`muse.score.align_to_beats`."""

    time_sec: NDArray[np.float64]
    """float64 [n_beats], strictly increasing."""
    downbeat: NDArray[np.bool_]
    """bool [n_beats]."""
    quarters: NDArray[np.float64]
    """float64 [n_beats]: quarter notes that each beat lasts."""


def read_beats(path: Path, beats_in_bar: int = 0) -> BeatTimes:
    """Annotated beats of POP909 (``beat_midi.txt``) or ASAP.

    Parameters
    ----------
    path
        The text file.
    beats_in_bar
        3 when POP909's table says so; 0 or 2 lets the flags decide.

    Raises
    ------
    InputError
        A line cannot be read, or fewer than two beats are in the file.
    """
    time: list[float] = []
    quarters: list[float] = []
    flags: list[tuple[bool, bool]] = []
    beat = 1.0
    for number, line in read_lines(path):
        parts = line.split()
        if not parts:
            continue
        try:
            moment, flag, beat = _beat(parts, beat)
        except (ValueError, IndexError, ZeroDivisionError) as error:
            raise InputError(f"{path}, line {number}: {shown(line)} is no beat ({shown(str(error))})") from None
        if time and moment <= time[-1] + 1e-3:
            # The same instant twice (a repeat written out): one beat, which opens a bar if either does.
            flags[-1] = (flags[-1][0] or flag[0], flags[-1][1] or flag[1])
            continue
        time.append(moment)
        flags.append(flag)
        quarters.append(beat)
    if len(time) < 2:
        raise InputError(f"{path}: {len(time)} beats; two or more are needed")
    short, long = np.array(flags, dtype=bool).T
    # 3/4 shows in the short bars: two of them (6 beats) are no bar that anybody counts.
    spacing = np.diff(np.flatnonzero(short))
    triple = beats_in_bar == 3 or (len(spacing) > 0 and int(np.bincount(spacing).argmax()) == 3)
    return BeatTimes(np.array(time), short if triple else long, np.array(quarters))


def _beat(parts: list[str], beat: float) -> tuple[float, tuple[bool, bool], float]:
    """Time, flags of short and long bars, and quarter notes of a line; *beat* is the length until now."""
    moment = float(parts[0])
    if not math.isfinite(moment):
        raise ValueError("the time is not finite")
    if len(parts) >= 3 and not parts[2][0].isdigit():  # ASAP
        word, _, rest = parts[2].partition(",")
        signature = rest.split(",")[0]
        if "/" in signature:
            numerator, denominator = map(int, signature.split("/"))
            beat = _conducted_beat(numerator, denominator)
        return moment, (word == "db", word == "db"), beat
    short = float(parts[1]) > 0
    return moment, (short, float(parts[2]) > 0 if len(parts) > 2 else short), beat


def _conducted_beat(numerator: int, denominator: int) -> float:
    """Quarter notes of one beat: three units in compound meters (6/8, 12/16, 6/4), one elsewhere."""
    if numerator < 1 or denominator < 1:
        raise ValueError(f"{numerator}/{denominator} is no time signature")
    compound = numerator > 3 and numerator % 3 == 0
    return (3 if compound else 1) * 4 / denominator
