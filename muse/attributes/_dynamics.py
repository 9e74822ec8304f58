"""Dynamics attributes: loudness as MIDI velocity, 1..127 (channel volume is not looked at)."""

from __future__ import annotations

from muse.attributes._stats import mean, std
from muse.attributes._window import Window


def mean_dynamics(w: Window) -> float:
    return mean(w.notes.velocity)


def variation_of_dynamics(w: Window) -> float:
    return std(w.notes.velocity)
