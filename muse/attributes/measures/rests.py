"""Attributes of rests: *complete* ones, in which nothing pitched sounds, and *partial* ones, of one track."""

from __future__ import annotations

import math

import numpy as np

from muse.attributes.measures.stats import mean, share, std
from muse.attributes.notes import FloatArray, IntArray
from muse.attributes.window import Window

_SHORTEST_REST_BEAT = 0.1


def _complete_rests(w: Window) -> FloatArray:
    """Beats of each silence of everything pitched, window edges included."""
    spans = w.pitched_spans
    edges_start = np.concatenate([[w.start_beat], spans.end])
    edges_end = np.concatenate([spans.start, [w.stop_beat]])
    return np.maximum(edges_end - edges_start, 0.0)


def _partial_rests(w: Window) -> tuple[IntArray, FloatArray]:
    """Track and beats of each silence within a track, window edges included."""
    spans = w.track_spans
    n_tracks = int(spans.key.max()) + 1 if len(spans.key) else 0
    new = np.concatenate([[True], np.diff(spans.key) != 0]) if n_tracks else np.empty(0, dtype=bool)
    before = spans.start - np.where(new, w.start_beat, np.concatenate([[w.start_beat], spans.end[:-1]])[: len(new)])
    last = np.concatenate([np.flatnonzero(new)[1:], [len(new)]]) - 1 if n_tracks else np.empty(0, dtype=np.int64)
    track = np.concatenate([spans.key, np.arange(n_tracks)])
    return track, np.maximum(np.concatenate([before, w.stop_beat - spans.end[last]]), 0.0)


def complete_rests_fraction(w: Window) -> float:
    return share(float(_complete_rests(w).sum()), w.n_beats)


def partial_rests_fraction(w: Window) -> float:
    """Fraction of the beats during which at least one track is silent."""
    spans = w.track_spans
    if not len(spans.key):
        return math.nan
    times = np.concatenate([spans.start, spans.end])
    order = np.argsort(times, kind="stable")
    depth = np.cumsum(np.repeat([1, -1], len(spans.start))[order])[:-1]
    full = float(np.diff(times[order])[depth == int(spans.key.max()) + 1].sum())
    return max(1.0 - share(full, w.n_beats), 0.0)


def mean_rest_fraction_by_voice(w: Window) -> float:
    track, rest = _partial_rests(w)
    return share(float(rest.sum()), w.n_beats * len(np.unique(track)))


def combined_rest_variability(w: Window) -> float:
    track, rest = _partial_rests(w)
    return std(np.bincount(track, rest)) if len(track) else math.nan


def _long_enough(rests: FloatArray) -> FloatArray:
    return rests[rests >= _SHORTEST_REST_BEAT]


def longest_complete_rest(w: Window) -> float:
    return float(_long_enough(_complete_rests(w)).max(initial=0.0))


def longest_partial_rest(w: Window) -> float:
    return float(_long_enough(_partial_rests(w)[1]).max(initial=0.0))


def mean_complete_rest(w: Window) -> float:
    rests = _long_enough(_complete_rests(w))
    return mean(rests) if len(rests) else 0.0


def mean_partial_rest(w: Window) -> float:
    rests = _long_enough(_partial_rests(w)[1])
    return mean(rests) if len(rests) else 0.0


def median_complete_rest(w: Window) -> float:
    rests = np.sort(_long_enough(_complete_rests(w)))
    return float(rests[len(rests) // 2]) if len(rests) else 0.0


def median_partial_rest(w: Window) -> float:
    rests = np.sort(_long_enough(_partial_rests(w)[1]))
    return float(rests[len(rests) // 2]) if len(rests) else 0.0


def complete_rest_variability(w: Window) -> float:
    rests = _long_enough(_complete_rests(w))
    return std(rests) if len(rests) else 0.0


def partial_rest_variability(w: Window) -> float:
    rests = _long_enough(_partial_rests(w)[1])
    return std(rests) if len(rests) else 0.0
