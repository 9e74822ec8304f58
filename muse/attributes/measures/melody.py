"""Melody attributes: intervals from note to note.

jSymbolic takes every track as a melody; of notes that start together it keeps the first in the file, we the highest
(the order in a file says nothing). Attributes named *Skyline* follow the line on top of all tracks instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from muse.attributes.measures.harmony import SCALE_DEGREES
from muse.attributes.measures.pitch import ranked
from muse.attributes.measures.stats import correlation, entropy_bits, mean, normalized, ratio, share, slope, std
from muse.attributes.notes import FloatArray, IntArray
from muse.attributes.window import Window

RATIO_CAP = 10.0


def interval_histogram(w: Window) -> FloatArray:
    return normalized(w.interval_counts)


def interval_share(*semitones: int) -> Callable[[Window], float]:
    """Fraction of melodic intervals that have one of these sizes."""
    sizes = np.array(semitones)

    def of_window(w: Window) -> float:
        return share(float(w.interval_counts[sizes].sum()), len(w.intervals))

    return of_window


amount_of_arpeggiation = interval_share(0, 3, 4, 7, 10, 11, 12, 15, 16)
repeated_notes = interval_share(0)
chromatic_motion = interval_share(1)
stepwise_motion = interval_share(1, 2)
thirds = interval_share(3, 4)
fourths = interval_share(5)
tritones = interval_share(6)
fifths = interval_share(7)
sixths = interval_share(8, 9)
sevenths = interval_share(10, 11)
octaves = interval_share(12)
large_intervals = interval_share(*range(13, 128))


def mean_interval(w: Window) -> float:
    return mean(np.abs(w.intervals))


def interval_variability(w: Window) -> float:
    return std(np.abs(w.intervals))


def interval_entropy(w: Window) -> float:
    return entropy_bits(w.interval_counts)


def most_common_interval(w: Window) -> float:
    return float(ranked(w.interval_counts)[0]) if len(w.intervals) else math.nan


def n_common_intervals(w: Window) -> float:
    return float(np.count_nonzero(normalized(w.interval_counts) >= 0.09)) if len(w.intervals) else math.nan


def top_intervals_distance(w: Window) -> float:
    first, second = ranked(w.interval_counts)
    return float(abs(first - second)) if second >= 0 else math.nan


def most_common_interval_prevalence(w: Window) -> float:
    return share(float(w.interval_counts.max()), len(w.intervals))


def top_intervals_ratio(w: Window) -> float:
    first, second = ranked(w.interval_counts)
    if first < 0:
        return math.nan
    return float(w.interval_counts[second] / w.interval_counts[first]) if second >= 0 else 0.0


def minor_major_third_ratio(w: Window) -> float:
    counts = w.interval_counts
    return ratio(float(counts[3]), float(counts[4]), RATIO_CAP)


def direction(w: Window) -> float:
    return share(np.count_nonzero(w.intervals > 0), np.count_nonzero(w.intervals))


def embellishments(w: Window) -> float:
    """Short notes between two that are three times as long, note by note within each track."""
    order = w.by_track.order
    if not len(order):
        return math.nan
    track, length = w.pitched.track[order], w.pitched.duration_beat[order]
    inner = (track[:-2] == track[2:]) & (length[:-2] >= 3.0 * length[1:-1]) & (length[2:] >= 3.0 * length[1:-1])
    return share(np.count_nonzero(inner), len(order))


def _arcs(w: Window) -> tuple[IntArray, IntArray]:
    """Moving intervals (no repetitions) track after track, and where the direction turns within a track."""
    groups = w.by_track
    if not len(groups.order):
        return groups.order, groups.order
    voice = groups.voice[:-1][groups.follows[:-1]]
    moving = w.intervals != 0
    step, voice = w.intervals[moving], voice[moving]
    turns = np.flatnonzero((np.sign(step[1:]) != np.sign(step[:-1])) & (voice[1:] == voice[:-1])) + 1
    return step, turns


def arc_length(w: Window) -> float:
    step, turns = _arcs(w)
    return share(len(step), len(turns))


def arc_span(w: Window) -> float:
    """Mean size of the finished arcs: those that a change of direction ends."""
    groups = w.by_track
    if not len(groups.order):
        return math.nan
    step, turns = _arcs(w)
    if not len(turns):
        return math.nan
    moving = w.intervals != 0
    voice = groups.voice[:-1][groups.follows[:-1]][moving]
    begins = np.concatenate([[0], np.flatnonzero(np.diff(voice)) + 1, turns])
    begins.sort()
    size = np.add.reduceat(np.abs(step), begins)
    return mean(size[np.searchsorted(begins, turns) - 1])


def pitch_variety(w: Window) -> float:
    """Attacks until a pitch comes back in its track, if it does within 16."""
    groups = w.by_track
    if not len(groups.order):
        return math.nan
    pitch, track = w.pitched.pitch[groups.order], w.pitched.track[groups.order]
    same = np.lexsort((groups.of_note, pitch, track))
    gap = np.diff(groups.of_note[same])
    returns = (np.diff(pitch[same]) == 0) & (np.diff(track[same]) == 0) & (gap > 0) & (gap <= 16)
    return mean(gap[returns])


# --------------------------------------------------------------------------------------------------------- skyline


def skyline_mean_pitch(w: Window) -> float:
    return mean(w.skyline.pitch)


def skyline_range(w: Window) -> float:
    pitch = w.skyline.pitch
    return float(pitch.max() - pitch.min()) if len(pitch) else math.nan


def skyline_mean_interval(w: Window) -> float:
    return mean(np.abs(np.diff(w.skyline.pitch)))


def skyline_stepwise(w: Window) -> float:
    size = np.abs(np.diff(w.skyline.pitch))
    return share(np.count_nonzero((size == 1) | (size == 2)), len(size))


def skyline_repetition(w: Window) -> float:
    step = np.diff(w.skyline.pitch)
    return share(np.count_nonzero(step == 0), len(step))


def skyline_leaps(w: Window) -> float:
    size = np.abs(np.diff(w.skyline.pitch))
    return share(np.count_nonzero(size > 4), len(size))


def skyline_direction(w: Window) -> float:
    step = np.diff(w.skyline.pitch)
    return share(np.count_nonzero(step > 0), np.count_nonzero(step))


def skyline_slope(w: Window) -> float:
    return slope(w.skyline.onset_beat, w.skyline.pitch)


def skyline_arch(w: Window) -> float:
    """Correlation of the line's pitch with an arch over the window: 1 rises and falls, -1 the other way round."""
    line = w.skyline
    if len(line.pitch) < 3:
        return math.nan
    position = (line.onset_beat - line.onset_beat[0]) / max(float(line.onset_beat[-1] - line.onset_beat[0]), 1e-9)
    return correlation(line.pitch, 4.0 * position * (1.0 - position))


def skyline_density(w: Window) -> float:
    return share(len(w.skyline.pitch), w.n_beats)


def skyline_class_entropy(w: Window) -> float:
    return entropy_bits(np.bincount(w.skyline.pitch % 12, minlength=12))


def skyline_interval_entropy(w: Window) -> float:
    return entropy_bits(np.bincount(np.diff(w.skyline.pitch) + 127, minlength=1))


def skyline_chromaticism(w: Window) -> float:
    if w.key is None:
        return math.nan
    degrees = SCALE_DEGREES[w.key.mode]
    return share(np.count_nonzero(~np.isin((w.skyline.pitch - w.key.tonic) % 12, degrees)), len(w.skyline.pitch))
