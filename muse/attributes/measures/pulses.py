"""Attributes of beat histograms: the pulses that attacks make, in time and in beats."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from muse.attributes.measures.stats import mean, share, std
from muse.attributes.notes import FloatArray, IntArray
from muse.attributes.window import Window


class Pulses:
    """Attributes of one beat histogram; ``histogram`` picks which."""

    def __init__(self, histogram: Callable[[Window], FloatArray]) -> None:
        self.histogram = histogram

    def _peaks(self, w: Window, threshold: float, *, relative: bool = False) -> tuple[FloatArray, IntArray]:
        """The histogram, and the bins above the threshold that no neighbor tops (of equal neighbors the first)."""
        bins = self.histogram(w)
        if bins[0] != bins[0]:
            return bins, np.empty(0, dtype=np.int64)
        limit = threshold * bins.max() if relative else threshold
        left, right = np.concatenate([[0.0], bins[:-1]]), np.concatenate([bins[1:], [0.0]])
        return bins, np.flatnonzero((bins >= limit) & (bins > left) & (bins >= right) & (bins > 0.0))

    def _top_two(self, w: Window) -> tuple[FloatArray, int, int]:
        """The histogram, its highest bin and its second highest peak (-1: none)."""
        bins, peaks = self._peaks(w, 0.01)
        if bins[0] != bins[0]:
            return bins, -1, -1
        first = int(bins.argmax())
        peaks = peaks[peaks != first]
        return bins, first, int(peaks[bins[peaks].argmax()]) if len(peaks) else -1

    def n_strong(self, w: Window) -> float:
        bins, peaks = self._peaks(w, 0.1)
        return float(len(peaks)) + 0.0 * bins[0]

    def n_moderate(self, w: Window) -> float:
        bins, peaks = self._peaks(w, 0.01)
        return float(len(peaks)) + 0.0 * bins[0]

    def n_relatively_strong(self, w: Window) -> float:
        bins, peaks = self._peaks(w, 0.3, relative=True)
        return float(len(peaks)) + 0.0 * bins[0]

    def strongest(self, w: Window) -> float:
        _, first, _ = self._top_two(w)
        return first + 40.0 if first >= 0 else math.nan

    def second_strongest(self, w: Window) -> float:
        _, _, second = self._top_two(w)
        return second + 40.0 if second >= 0 else math.nan

    def harmonicity(self, w: Window) -> float:
        _, first, second = self._top_two(w)
        return (max(first, second) + 40.0) / (min(first, second) + 40.0) if second >= 0 else math.nan

    def strength(self, w: Window) -> float:
        return float(self.histogram(w).max())

    def second_strength(self, w: Window) -> float:
        bins, first, second = self._top_two(w)
        return float(bins[second]) if second >= 0 else 0.0 if first >= 0 else math.nan

    def strength_ratio(self, w: Window) -> float:
        bins, first, second = self._top_two(w)
        return float(bins[first] / bins[second]) if second >= 0 else math.nan

    def combined_strength(self, w: Window) -> float:
        return self.strength(w) + self.second_strength(w)

    def variability(self, w: Window) -> float:
        return std(self.histogram(w))

    def looseness(self, w: Window) -> float:
        """Mean width, in bins, of the relatively strong peaks at 30 % of their height."""
        bins, peaks = self._peaks(w, 0.3, relative=True)
        widths = []
        for peak in peaks.tolist():
            low = np.flatnonzero(bins < 0.3 * bins[peak])
            cut = int(np.searchsorted(low, peak))
            left = int(low[cut - 1]) + 1 if cut > 0 else 0
            right = int(low[cut]) - 1 if cut < len(low) else len(bins) - 1
            widths.append(right - left)
        return mean(np.array(widths, dtype=np.float64))

    def polyrhythms(self, w: Window) -> float:
        """Relatively strong peaks that are no multiple or fraction of the highest bin, over bins above the limit."""
        bins, peaks = self._peaks(w, 0.3, relative=True)
        if not len(peaks):
            return math.nan
        top, pulse = float(bins.argmax()) + 40.0, peaks + 40.0
        factors = np.array([1.0, 2.0, 3.0, 4.0, 6.0, 8.0])
        related = np.concatenate([top * factors, top / factors])
        strange = np.abs(pulse[:, None] - related[None, :]).min(axis=1) > 3.0
        return share(np.count_nonzero(strange), np.count_nonzero(bins >= 0.3 * bins.max()))


in_time = Pulses(lambda w: w.pulses)
in_beats = Pulses(lambda w: w.standard_pulses)
