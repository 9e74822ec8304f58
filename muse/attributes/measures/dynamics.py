"""Dynamics attributes: loudness as MIDI velocity, 1..127; jSymbolic multiplies it by channel volume, we do not."""

from __future__ import annotations

import math

import numpy as np

from muse.attributes.measures.stats import correlation, entropy_bits, mean, std
from muse.attributes.window import Window


def mean_dynamics(w: Window) -> float:
    return mean(w.notes.velocity)


def dynamic_range(w: Window) -> float:
    velocity = w.notes.velocity
    return float(velocity.max() - velocity.min()) if len(velocity) else math.nan


def variation_of_dynamics(w: Window) -> float:
    return std(w.notes.velocity)


def variation_in_each_voice(w: Window) -> float:
    order = np.argsort(w.notes.track, kind="stable")
    voices = np.split(w.notes.velocity[order], np.flatnonzero(np.diff(w.notes.track[order])) + 1)
    return mean(np.array([std(velocity) for velocity in voices])) if len(order) else math.nan


def note_to_note_change(w: Window) -> float:
    order = np.argsort(w.notes.track, kind="stable")
    change = np.abs(np.diff(w.notes.velocity[order]))
    return mean(change[np.diff(w.notes.track[order]) == 0])


def loudness_slope(w: Window) -> float:
    return correlation(w.notes.onset_beat, w.notes.velocity)


def dynamics_entropy(w: Window) -> float:
    return entropy_bits(np.bincount((w.notes.velocity / 8.0).astype(np.int64), minlength=16))


def soft_share(w: Window) -> float:
    return mean((w.notes.velocity < 50.0).astype(np.float64))


def loud_share(w: Window) -> float:
    return mean((w.notes.velocity >= 96.0).astype(np.float64))


def melody_prominence(w: Window) -> float:
    """Mean velocity of the skyline minus mean velocity of everything pitched."""
    return mean(w.skyline.velocity) - mean(w.pitched.velocity) if len(w.skyline.pitch) else math.nan


def beat_accent(w: Window) -> float:
    """Mean velocity on the beats minus mean velocity off them."""
    on = np.abs((w.notes.onset_beat + 0.5) % 1.0 - 0.5) <= 0.07
    return mean(w.notes.velocity[on]) - mean(w.notes.velocity[~on])


def pitch_loudness_correlation(w: Window) -> float:
    return correlation(w.pitched.pitch, w.pitched.velocity)
