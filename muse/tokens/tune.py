"""Tunes to the bars of a plan: one voice on sixteenths.

Contents: :func:`tune_bars`, :func:`plan_of_tune`; :func:`tune_notes`, back again.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from muse.errors import InputError
from muse.score import DRUMS, Notes
from muse.theory import key_from_weights
from muse.tokens.plan import Bar, Note, Plan, bar_length, meter_token

__all__ = ["plan_of_tune", "tune_bars", "tune_notes"]


def tune_bars(
    place: NDArray[np.int64], pitch: NDArray[np.int64], length: NDArray[np.float64], size: int, n_bars: int
) -> list[tuple[Note, ...]]:
    """Notes by bars: of several on one sixteenth the highest, each until the next at the latest.

    Parameters
    ----------
    place, pitch, length
        [n_notes] each: sixteenths from the first bar line, MIDI pitch, sixteenths.
    size
        Sixteenths a bar.
    n_bars
        Bars; notes outside are left out.
    """
    found: dict[int, tuple[int, float]] = {}
    for at, p, n in zip(place.tolist(), pitch.tolist(), length.tolist(), strict=True):
        if 0 <= at < n_bars * size and (at not in found or p > found[at][0]):
            found[at] = (p, n)
    bars: list[list[Note]] = [[] for _ in range(n_bars)]
    for at, following in pairwise([*sorted(found), n_bars * size]):
        p, n = found[at]
        bars[at // size].append(Note(at % size, p, max(1, min(round(n), following - at))))
    return [tuple(bar) for bar in bars]


def plan_of_tune(notes: Notes, time_signature: tuple[int, int] = (4, 4)) -> Plan:
    """The plan of a tune, with no chords: for a melody that is given or was hummed.

    Parameters
    ----------
    notes
        NOTE_DTYPE [n_notes]; drums are passed over, of several notes at once the highest counts. Beat 0 is a bar line.
    time_signature
        Of the plan.

    Raises
    ------
    InputError
        No pitched note, or a meter that cannot be planned.
    """
    meter_token(time_signature)
    pitched = notes[notes["program"] != DRUMS]
    if not len(pitched):
        raise InputError("there is no pitched note to take a tune from")
    size = bar_length(time_signature)
    place = np.rint(pitched["onset_beat"] * 4).astype(np.int64)
    n_bars = max(math.ceil((int(place.max()) + 1) / size), 1)
    bars = tune_bars(place, pitched["pitch"].astype(np.int64), pitched["duration_beat"] * 4, size, n_bars)
    weights = np.bincount(pitched["pitch"] % 12, weights=pitched["duration_beat"], minlength=12)
    tonic, mode, _ = key_from_weights(weights)
    return Plan(
        tuple(Bar(melody=bar) for bar in bars),
        time_signature,
        max(int(tonic), 0),
        "minor" if str(mode) == "minor" else "major",
    )


def tune_notes(plan: Plan) -> list[Note]:
    """The tune of a plan as one voice, positions from the start of the plan: a note ends where the next begins, and
    none is longer than the plan."""
    size = plan.bar_length
    notes = [replace(n, position=b * size + n.position) for b, bar in enumerate(plan.bars) for n in bar.melody]
    edges = pairwise([*(note.position for note in notes), size * len(plan.bars)])
    return [replace(n, length=min(n.length, end - start)) for n, (start, end) in zip(notes, edges, strict=True)]
