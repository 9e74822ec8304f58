"""Rhythm and time attributes: attacks, durations, rests, pulses and tempo.

Densities count drums; note values, articulation and syncopation do not, for drum hits have no duration of their own
(jSymbolic counts them there too).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from muse.attributes._stats import mean, normalized, share, std
from muse.attributes._window import RHYTHMIC_VALUES_BEAT, Window

FloatArray = NDArray[np.float64]


def note_density(w: Window) -> float:
    return share(len(w.notes.pitch), w.n_sec)


def note_density_per_beat(w: Window) -> float:
    return share(len(w.notes.pitch), w.n_beats)


def mean_tempo(w: Window) -> float:
    return 60.0 * w.n_beats / w.n_sec if w.n_sec > 0.0 else math.nan


def mean_note_duration(w: Window) -> float:
    return mean(w.pitched.duration_sec)


def articulation(w: Window) -> float:
    notes = w.pitched
    gap = w.next_attack_beat - notes.onset_beat
    some = gap == gap
    return mean(np.minimum(notes.duration_beat[some] / gap[some], 2.0))


def attack_gap_std(w: Window) -> float:
    return std(w.attack_gap_sec)


def value_share(low: int, high: int) -> Callable[[Window], float]:
    """Fraction of pitched notes whose rhythmic value is one of ``low .. high - 1``."""

    def of_window(w: Window) -> float:
        return share(float(w.value_counts[low:high].sum()), len(w.value_index))

    return of_window


long_values = value_share(6, 12)


def value_std(w: Window) -> float:
    return std(RHYTHMIC_VALUES_BEAT[w.value_index])


def syncopation(w: Window) -> float:
    return mean(w.syncopations)
