"""Attacks against time: pulses, metrical positions and syncopation.

Contents: :func:`beat_histogram`, :func:`meter_points`, :func:`syncopations`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from muse.attributes.notes import FloatArray, IntArray, Notes

ON_POSITION_BEAT: Final = 0.07
"""Beats by which an onset may miss a metrical position and still stand on it."""
MOST_ATTACKS_APART: Final = 400
"""Pairs of attacks with more attacks between them make no pulse that anyone hears; bounds the work on odd files."""


def beat_histogram(time: FloatArray, loudness: FloatArray, unit: float) -> FloatArray:
    """[161] beat histogram of attacks [a]: summed products of loudness of all pairs that lie one pulse apart.

    Bin b holds the pulses in (b + 39, b + 40] beats per minute, where a lag of ``unit`` is 1 beat per minute.
    """
    longest = unit / 39.0
    histogram = np.zeros(161)
    for back in range(1, min(len(time), MOST_ATTACKS_APART)):
        lag = time[back:] - time[:-back]
        near = lag < longest - 1e-9
        if not near.any():
            break
        bin_ = np.ceil(unit / np.maximum(lag[near], 1e-6) - 1e-6).astype(np.int64) - 40
        strength = (loudness[back:] * loudness[:-back])[near]
        inside = (bin_ >= 0) & (bin_ <= 160)
        histogram += np.bincount(bin_[inside], strength[inside], minlength=161)
    total = histogram.sum()
    return histogram / total if total > 0.0 else histogram * np.nan


def meter_points(bar_start_beat: FloatArray, numerator: IntArray, denominator: IntArray) -> tuple[FloatArray, IntArray]:
    """Beat [k] and metrical level [k] of the bar lines (0), half bars (-1) and beats of bars, the last line included.

    Parameters
    ----------
    bar_start_beat
        float [n_bars + 1], or empty.
    numerator, denominator
        int [n_bars].
    """
    start, stop = bar_start_beat[:-1], bar_start_beat[1:]
    beats, levels = [bar_start_beat[-1:]], [np.zeros(1, dtype=np.int64)]
    for signature in sorted(set(zip(numerator.tolist(), denominator.tolist(), strict=True))):
        step, level = _bar_levels(*signature)
        rows = np.flatnonzero((numerator == signature[0]) & (denominator == signature[1]))
        points = start[rows, None] + step * np.arange(len(level))
        inside = points < stop[rows, None] - 1e-6
        beats.append(points[inside])
        levels.append(np.broadcast_to(level, points.shape)[inside])
    points = np.concatenate(beats)
    order = np.argsort(points, kind="stable")
    return points[order], np.concatenate(levels)[order]


def syncopations(notes: Notes, next_attack_beat: FloatArray, points: FloatArray, levels: IntArray) -> FloatArray:
    """[n] metrical levels by which each pitched note anticipates a stronger position; 0 for the straight ones.

    After Longuet-Higgins & Lee 1984: a note is syncopated when it lasts, or is followed by silence in its
    instrument, over a position stronger than its own; its value is the difference of the two levels (bar line 0,
    half bar -1, beat -2, half beat -3, anything else -4; without half bars one less from the beats on). Only
    beats and stronger positions are looked at, so that triplets and unsteady playing do not count.

    Parameters
    ----------
    notes
        Pitched notes.
    next_attack_beat
        float [n], beat of the next attack of the same instrument; NaN where there is none.
    points, levels
        What :func:`meter_points` gives.
    """
    onset = notes.onset_beat
    end = np.fmax(notes.end_beat, next_attack_beat)
    at = np.searchsorted(points, onset - ON_POSITION_BEAT)
    stop = np.maximum(np.searchsorted(points, end - ON_POSITION_BEAT), at)
    here = np.minimum(at, len(points) - 1)
    on_point = np.abs(points[here] - onset) <= ON_POSITION_BEAT
    # Notes between beats: the half beat of the beat before, else a weak position.
    before = np.maximum(at - 1, 0)
    after = np.minimum(before + 1, len(points) - 1)
    half = np.abs(onset - (points[before] + points[after]) / 2.0) <= ON_POSITION_BEAT
    weakest = int(levels.min()) if len(levels) else 0
    own = np.where(on_point, levels[here], np.where(half, weakest - 1, weakest - 2))
    start = at + on_point
    strongest = np.full(len(onset), -9, dtype=np.int64)
    for level in (-2, -1, 0):
        passed = np.concatenate([[0], np.cumsum(levels == level)])
        crosses = passed[stop] > passed[np.minimum(start, stop)]
        strongest[crosses] = level
    return np.maximum(strongest - own, 0).astype(np.float64)


def _bar_levels(numerator: int, denominator: int) -> tuple[float, IntArray]:
    """Length of the counted beat in quarter notes and level of each counted beat of a bar.

    Compound meters (6, 9, 12 over 8 or 16) count in threes. Level 0 is the bar line, -1 the half bar (or any beat of a
    bar without one), -2 the other beats.
    """
    unit = 4.0 / max(denominator, 1)
    if denominator >= 8 and numerator > 3 and numerator % 3 == 0:
        unit, numerator = 3.0 * unit, numerator // 3
    numerator = max(numerator, 1)
    level = np.full(numerator, -1, dtype=np.int64)
    if numerator >= 4 and numerator % 2 == 0:
        level[:] = -2
        level[numerator // 2] = -1
    level[0] = 0
    return unit, level
