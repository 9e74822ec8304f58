"""Instrumentation attributes: which General MIDI programs play, how much and how long.

Programs count from 0 here (0 = acoustic grand piano); jSymbolic's manual counts the same patches from 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from muse.attributes.measures.stats import share, std
from muse.attributes.notes import FloatArray, IntArray
from muse.attributes.window import Window


def _programs(w: Window) -> IntArray:
    """[128] notes of each program."""
    return np.bincount(w.pitched.program, minlength=128)


def _drums(w: Window) -> IntArray:
    """[47] notes of each instrument of the percussion key map (pitches 35 to 81)."""
    pitch = w.drums.pitch
    return np.bincount(pitch[(pitch >= 35) & (pitch <= 81)] - 35, minlength=47)


def pitched_present(w: Window) -> FloatArray:
    return (_programs(w) > 0).astype(np.float64)


def unpitched_present(w: Window) -> FloatArray:
    return (_drums(w) > 0).astype(np.float64)


def pitched_notes(w: Window) -> FloatArray:
    return _programs(w) / (len(w.notes.pitch) or math.nan)


def unpitched_notes(w: Window) -> FloatArray:
    return _drums(w) / (len(w.notes.pitch) or math.nan)


def pitched_time(w: Window) -> FloatArray:
    spans = w.program_spans_sec
    return np.minimum(np.bincount(spans.key, spans.end - spans.start, minlength=128) / (w.n_sec or math.nan), 1.0)


def pitched_variability(w: Window) -> float:
    counts = _programs(w)
    return std(counts[counts > 0] / max(len(w.notes.pitch), 1))


def unpitched_variability(w: Window) -> float:
    counts = _drums(w)
    return std(counts[counts > 0] / max(len(w.notes.pitch), 1))


def n_pitched(w: Window) -> float:
    return float(np.count_nonzero(_programs(w)))


def n_unpitched(w: Window) -> float:
    return float(np.count_nonzero(_drums(w)))


def unpitched_prevalence(w: Window) -> float:
    return share(float(_drums(w).sum()), len(w.notes.pitch))


def program_share(*programs: int) -> Callable[[Window], float]:
    """Fraction of all notes played by one of these programs."""
    wanted = np.array(programs)

    def of_window(w: Window) -> float:
        return share(float(_programs(w)[wanted].sum()), len(w.notes.pitch))

    return of_window


string_keyboard = program_share(*range(8))
acoustic_guitar = program_share(24, 25)
electric_guitar = program_share(*range(26, 32))
violin = program_share(40, 110)
saxophone = program_share(*range(64, 68))
brass = program_share(*range(56, 68))
woodwinds = program_share(*range(68, 76))
orchestral_strings = program_share(*range(40, 47))
string_ensemble = program_share(*range(48, 52))
electric = program_share(4, 5, 16, 18, *range(26, 32), *range(33, 40))


def instrument_balance(w: Window) -> float:
    """Entropy of the shares of programs, over the entropy of equal shares; 0 of one instrument."""
    counts = _programs(w)
    counts = counts[counts > 0]
    if not len(counts):
        return math.nan
    p = counts / counts.sum()
    return float(-(p * np.log(p)).sum() / math.log(len(p))) if len(p) > 1 else 0.0
