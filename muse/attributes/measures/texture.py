"""Texture attributes: how many lines there are and how they move against each other.

jSymbolic's voices are MIDI channels; ours are tracks. Drums are no voice.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from muse.attributes.measures.stats import mean, share, std, weighted_mean, weighted_std
from muse.attributes.window import Window


def max_voices(w: Window) -> float:
    depth, _ = w.n_voices_sounding
    return float(depth.max(initial=0))


def mean_voices(w: Window) -> float:
    return weighted_mean(*w.n_voices_sounding)


def std_voices(w: Window) -> float:
    return weighted_std(*w.n_voices_sounding)


def equality_notes(w: Window) -> float:
    return std(w.voices.count)


def equality_duration(w: Window) -> float:
    return std(w.voices.sounding_sec)


def equality_dynamics(w: Window) -> float:
    return std(w.voices.velocity)


def equality_leaps(w: Window) -> float:
    interval = w.voices.interval
    return std(interval[interval == interval])


def equality_range(w: Window) -> float:
    return std(w.voices.highest - w.voices.lowest)


def loudest_importance(w: Window) -> float:
    velocity = w.voices.velocity
    if len(velocity) < 2:
        return math.nan
    loudest = float(velocity.max())
    return loudest - (float(velocity.sum()) - loudest) / (len(velocity) - 1)


def _range_share(w: Window, voice: int) -> float:
    voices = w.voices
    return share(float(voices.highest[voice] - voices.lowest[voice]), float(voices.highest.max() - voices.lowest.min()))


def loudest_range(w: Window) -> float:
    return _range_share(w, int(w.voices.velocity.argmax())) if len(w.voices.count) else math.nan


def highest_line_range(w: Window) -> float:
    return _range_share(w, int(w.voices.pitch.argmax())) if len(w.voices.count) else math.nan


def loudest_isolation(w: Window) -> float:
    """Fraction of the loudest voice's notes that lie in no other voice's range."""
    voices = w.voices
    if len(voices.count) < 2:
        return math.nan
    loudest = int(voices.velocity.argmax())
    pitch = w.pitched.pitch[voices.of_note == loudest]
    inside = np.zeros(len(pitch), dtype=bool)
    for voice in range(len(voices.count)):
        if voice != loudest:
            inside |= (pitch >= voices.lowest[voice]) & (pitch <= voices.highest[voice])
    return share(np.count_nonzero(~inside), len(pitch))


def highest_line_density(w: Window) -> float:
    count = w.voices.count
    return share(float(count[w.voices.pitch.argmax()]), mean(count)) if len(count) else math.nan


def lowest_line_durations(w: Window) -> float:
    duration = w.voices.duration_sec
    return share(float(duration[w.voices.pitch.argmin()]), mean(duration)) if len(duration) else math.nan


def lowest_line_intervals(w: Window) -> float:
    if not len(w.voices.count):
        return math.nan
    interval = w.voices.interval
    return share(float(interval[w.voices.pitch.argmin()]), mean(interval[interval == interval]))


def voice_overlap(w: Window) -> float:
    """Fraction of the notes that lie in another voice's range."""
    voices, pitch = w.voices, w.pitched.pitch
    if not len(pitch):
        return math.nan
    inside = np.zeros(len(pitch), dtype=bool)
    for voice in range(len(voices.count)):
        other = voices.of_note != voice
        inside |= other & (pitch >= voices.lowest[voice]) & (pitch <= voices.highest[voice])
    return share(np.count_nonzero(inside), len(pitch))


def voice_separation(w: Window) -> float:
    return mean(np.diff(np.sort(w.voices.pitch)))


def voice_separation_variability(w: Window) -> float:
    return std(np.diff(np.sort(w.voices.pitch)))


# ------------------------------------------------------------------------------------------------------------ motion


def motion_share(kind: int) -> Callable[[Window], float]:
    """Fraction of the movements of two voices that are of one kind."""

    def of_window(w: Window) -> float:
        motions = w.sounding.voice_motions
        return share(float(motions[kind]), float(motions[:4].sum()))

    return of_window


parallel_motion, similar_motion, contrary_motion, oblique_motion, parallel_fifths, parallel_octaves = map(
    motion_share, range(6)
)


# ----------------------------------------------------------------------------------------------------------- density


def mean_attack_size(w: Window) -> float:
    return share(len(w.notes.pitch), len(w.attack_first))


def chord_attacks(w: Window) -> float:
    """Attacks of three notes or more that are no drums."""
    groups = w.by_program
    if not len(groups.order):
        return math.nan
    _, size = np.unique(groups.of_note, return_counts=True)
    return share(np.count_nonzero(size >= 3), len(size))


def polyphony_share(w: Window) -> float:
    length = w.sounding.verticals.duration_beat
    return share(float(length[w.sounding.verticals.n_pitches >= 2].sum()), float(length.sum()))


def skyline_gap(w: Window) -> float:
    """Mean pitch of the skyline minus mean pitch of everything."""
    return mean(w.skyline.pitch) - mean(w.pitched.pitch) if len(w.skyline.pitch) else math.nan
