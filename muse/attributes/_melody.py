"""Melody attributes: intervals from note to note.

jSymbolic takes every track as a melody; of notes that start together it keeps the first in the file, we the highest
(the order in a file says nothing). Attributes named *Skyline* follow the line on top of all tracks instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from muse.attributes._pitch import ranked
from muse.attributes._stats import mean, normalized, ratio, share, std
from muse.attributes._window import Window

FloatArray = NDArray[np.float64]


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
