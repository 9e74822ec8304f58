"""The table of metrics of one piece, and how a value is to be read: against people's range.

Entropy, groove, silence and the rest have no better direction, so a value is never good or bad by itself: see
:func:`share_inside`.

Contents: :data:`METRICS`, :func:`measure`, :func:`share_inside`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from muse.evaluate.metrics.notes import (
    Floats,
    Notes,
    empty_bar_rate,
    groove_consistency,
    n_pitch_classes_used,
    n_pitches_used,
    notes_per_bar,
    notes_per_sec,
    onset_f1,
    pitch_class_entropy,
    pitch_range,
    polyphony,
    polyphony_rate,
    scale_consistency,
)
from muse.evaluate.metrics.structure import (
    SPANS_BARS,
    repeated_bars,
    repeated_phrases,
    self_similarity,
    structureness,
)
from muse.score import BarGrid, Score, bar_grid, note_array

__all__ = ["METRICS", "Metric", "measure", "share_inside"]


@dataclass(frozen=True)
class Metric:
    """A row of the table."""

    function: Callable[[Notes, BarGrid], float]
    meaning: str
    """For people, with unit."""


METRICS: Mapping[str, Metric] = {
    "pitch_class_entropy": Metric(pitch_class_entropy, "entropy of pitch classes (bits)"),
    "scale_consistency": Metric(scale_consistency, "share of notes in the best scale"),
    "groove_consistency": Metric(groove_consistency, "groove consistency, 16 positions a bar"),
    "onset_f1": Metric(onset_f1, "onset F1 of consecutive bars"),
    "empty_bar_rate": Metric(empty_bar_rate, "share of empty bars"),
    "polyphony": Metric(polyphony, "pitches sounding together"),
    "polyphony_rate": Metric(polyphony_rate, "share of time with two pitches or more"),
    "pitch_range": Metric(pitch_range, "pitch range (semitones)"),
    "n_pitches_used": Metric(n_pitches_used, "different pitches"),
    "n_pitch_classes_used": Metric(n_pitch_classes_used, "different pitch classes"),
    "notes_per_bar": Metric(notes_per_bar, "notes a bar"),
    "notes_per_sec": Metric(notes_per_sec, "notes a second"),
    "self_similarity": Metric(self_similarity, "mean similarity of bars"),
    "repeated_bars": Metric(repeated_bars, "share of bars that repeat an earlier one"),
    "repeated_phrases": Metric(repeated_phrases, "share of 4-bar passages that repeat an earlier one"),
    **{
        f"structure_{name}": Metric(
            partial(structureness, least_bars=least, most_bars=most),
            f"structureness, {least} to {most} bars" if most else f"structureness, {least} bars or more",
        )
        for name, (least, most) in SPANS_BARS.items()
    },
}
"""Name -> metric of one piece."""


def measure(score: Score) -> dict[str, float]:
    """All of :data:`METRICS` of one piece; NaN where undefined."""
    notes, bars = note_array(score), bar_grid(score)
    return {name: metric.function(notes, bars) for name, metric in METRICS.items()}


def share_inside(values: Floats, reference: Floats) -> tuple[float, tuple[float, float]]:
    """Share of values inside the 5-95 % range of a reference, and that range; NaN is left out on both sides.

    Of the reference itself 0.9 lies inside; much more is as telling as much less.
    """
    values, reference = values[np.isfinite(values)], reference[np.isfinite(reference)]
    if not len(values) or not len(reference):
        return float("nan"), (float("nan"), float("nan"))
    low, high = (float(x) for x in np.quantile(reference, [0.05, 0.95]))
    return float(((values >= low) & (values <= high)).mean()), (low, high)
