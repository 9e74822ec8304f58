"""Rhythm and time attributes: attacks, durations, rests, pulses and tempo.

Densities and attacks count drums; note values, articulation and syncopation do not, for drum hits have no duration of
their own (jSymbolic counts them there too).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from muse.attributes.measures.pitch import ranked
from muse.attributes.measures.stats import correlation, entropy_bits, kurtosis, mean, normalized, share, skewness, std
from muse.attributes.window import RHYTHMIC_VALUES_BEAT, Window
from muse.score import beat_to_sec

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# ----------------------------------------------------------------------------------------------------------- density


def n_notes(w: Window) -> float:
    return float(len(w.notes.pitch))


def duration_sec(w: Window) -> float:
    return w.n_sec


def note_density(w: Window) -> float:
    return share(len(w.notes.pitch), w.n_sec)


def note_density_per_beat(w: Window) -> float:
    return share(len(w.notes.pitch), w.n_beats)


def note_density_per_voice(w: Window) -> float:
    return note_density_per_beat(w) / max(len(np.unique(w.notes.track)), 1)


def attack_density(w: Window) -> float:
    return share(len(w.attack_sec), w.n_sec)


def attack_density_per_beat(w: Window) -> float:
    return share(len(w.attack_sec), w.n_beats)


def drum_density(w: Window) -> float:
    return share(len(w.drums.pitch), w.n_sec)


def _block_density(onset: FloatArray, start: float, length: float, block: float) -> FloatArray:
    """Notes per unit of time in each whole block of the window."""
    n_blocks = int((length + 1e-6) / block)
    if n_blocks < 2:
        return np.empty(0)
    index = ((onset - start + 1e-9) / block).astype(np.int64)
    return np.bincount(index[index < n_blocks], minlength=n_blocks) / block


def note_density_variability(w: Window) -> float:
    return std(_block_density(w.notes.onset_sec, w.start_sec, w.n_sec, 5.0))


def note_density_per_beat_variability(w: Window) -> float:
    return std(_block_density(w.notes.onset_beat, w.start_beat, w.n_beats, 8.0))


def density_slope(w: Window) -> float:
    """Correlation of the number of notes in a beat with the position of the beat."""
    n_beats = int(w.n_beats + 1e-6)
    if n_beats < 2 or not len(w.notes.pitch):
        return math.nan
    index = np.clip((w.notes.onset_beat - w.start_beat + 1e-9).astype(np.int64), 0, n_beats - 1)
    return correlation(np.arange(n_beats), np.bincount(index, minlength=n_beats))


# ------------------------------------------------------------------------------------------------------------- tempo


def mean_tempo(w: Window) -> float:
    return 60.0 * w.n_beats / w.n_sec if w.n_sec > 0.0 else math.nan


def initial_tempo(w: Window) -> float:
    return float(_tempo_at(w, np.array([w.start_beat]))[0])


def tempo_variability(w: Window) -> float:
    """Standard deviation of the tempo in force, weighed by beats."""
    tempo = w.piece.tempo
    inside = (tempo[:, 0] > w.start_beat) & (tempo[:, 0] < w.stop_beat)
    edges = np.concatenate([[w.start_beat], tempo[inside, 0], [w.stop_beat]])
    beats, bpm = np.diff(edges), _tempo_at(w, edges[:-1])
    total = float(beats.sum())
    if total <= 0.0:
        return math.nan
    center = float(bpm @ beats) / total
    return math.sqrt(float(((bpm - center) ** 2) @ beats) / total)


def tempo_trend(w: Window) -> float:
    """Tempo of the second half over that of the first."""
    middle = (w.start_beat + w.stop_beat) / 2.0
    start, half, stop = beat_to_sec(w.piece.tempo, np.array([w.start_beat, middle, w.stop_beat]))
    return float((half - start) / (stop - half)) if stop > half else math.nan


def _tempo_at(w: Window, beat: FloatArray) -> FloatArray:
    index = np.maximum(np.searchsorted(w.piece.tempo[:, 0], beat, side="right") - 1, 0)
    return np.asarray(w.piece.tempo[index, 1])


# ------------------------------------------------------------------------------------------------------------- meter


def _signature(w: Window) -> tuple[int, int]:
    """Time signature at the window's start; 4/4 where there is none."""
    piece = w.piece
    bar = min(w.first_bar, len(piece.bar_numerator) - 1)
    return (int(piece.bar_numerator[bar]), int(piece.bar_denominator[bar])) if bar >= 0 else (4, 4)


def initial_time_signature(w: Window) -> FloatArray:
    return np.array(_signature(w), dtype=np.float64)


def initial_meter(*numerators: int) -> Callable[[Window], float]:
    """1 where the first time signature has one of these numerators."""

    def of_window(w: Window) -> float:
        return float(_signature(w)[0] in numerators)

    return of_window


simple_meter = initial_meter(2, 3, 4)
compound_meter = initial_meter(6, 9, 12, 15, 18, 24)
complex_meter = initial_meter(5, 7, 9, 11, 13, 15, 22, 25)
duple_meter = initial_meter(2, 6)
triple_meter = initial_meter(3, 9)
quadruple_meter = initial_meter(4, 12)


def metrical_diversity(w: Window) -> float:
    bars = slice(w.first_bar, w.stop_bar)
    pairs = w.piece.bar_numerator[bars] * 1000 + w.piece.bar_denominator[bars]
    return float(max(len(np.unique(pairs)), 1))


def syncopation(w: Window) -> float:
    return mean(w.syncopations)


def syncopated_share(w: Window) -> float:
    return share(np.count_nonzero(w.syncopations), len(w.syncopations))


def _beat_offset(w: Window) -> FloatArray:
    """[n] signed distance of each note's onset from the nearest quarter-note beat."""
    return np.asarray((w.notes.onset_beat + 0.5) % 1.0 - 0.5)


def on_beat_share(w: Window) -> float:
    offset = np.abs(_beat_offset(w))
    return share(np.count_nonzero(offset <= 0.07), len(offset))


def off_beat_share(w: Window) -> float:
    offset = np.abs(_beat_offset(w))
    return share(np.count_nonzero(np.abs(offset - 0.5) <= 0.07), len(offset))


def triplet_share(w: Window) -> float:
    offset = np.abs(_beat_offset(w))
    return share(np.count_nonzero(np.abs(offset - 1.0 / 3.0) <= 0.03), len(offset))


def note_to_beat_distance(w: Window) -> float:
    """Weighted note-to-beat distance (Gomez, Melvin, Rappaport & Toussaint 2005), distances kept above 1/12 beat."""
    notes = w.pitched
    if not len(notes.pitch):
        return math.nan
    distance = np.abs((notes.onset_beat + 0.5) % 1.0 - 0.5)
    next_beat = np.floor(notes.onset_beat + 1e-6) + 1.0
    end = notes.end_beat
    crosses_one = (end > next_beat + 1e-6) & (end <= next_beat + 1.0 + 1e-6)
    weight = np.where(crosses_one, 2.0, 1.0) / np.maximum(distance, 1.0 / 12.0)
    return mean(np.where(distance <= 0.02, 0.0, weight))


def downbeat_share(w: Window) -> float:
    bars = w.piece.bar_start_beat[w.first_bar : w.stop_bar]
    if not len(w.notes.pitch) or not len(bars):
        return math.nan
    near = np.clip(np.searchsorted(bars, w.notes.onset_beat + 0.07, side="right") - 1, 0, len(bars) - 1)
    return share(np.count_nonzero(np.abs(w.notes.onset_beat - bars[near]) <= 0.07), len(w.notes.pitch))


def bar_similarity(w: Window) -> float:
    """Mean Jaccard similarity of the sixteenths on which successive bars have attacks."""
    starts = w.piece.bar_start_beat[w.first_bar : w.stop_bar + 1]
    if len(starts) < 3 or not len(w.notes.pitch):
        return math.nan
    onset = w.notes.onset_beat[w.attack_first]
    bar = np.clip(np.searchsorted(starts, onset + 0.06, side="right") - 1, 0, len(starts) - 2)
    step = np.clip(np.rint((onset - starts[bar]) * 4.0).astype(np.int64), 0, None)
    width = int(step.max()) + 1
    if width > 4096:
        return math.nan
    grid = np.zeros((len(starts) - 1, width), dtype=bool)
    grid[bar, step] = True
    both = np.count_nonzero(grid[1:] & grid[:-1], axis=1)
    either = np.count_nonzero(grid[1:] | grid[:-1], axis=1)
    return mean(both[either > 0] / either[either > 0])


# ----------------------------------------------------------------------------------------------------------- attacks


def attack_gap_mean(w: Window) -> float:
    return mean(w.attack_gap_sec)


def attack_gap_std(w: Window) -> float:
    return std(w.attack_gap_sec)


def _gaps_by_track(w: Window) -> list[FloatArray]:
    """Seconds between attacks, one array per track (drums included) with two attacks or more."""
    order = np.argsort(w.notes.track, kind="stable")
    tracks = np.split(w.notes.onset_sec[order], np.flatnonzero(np.diff(w.notes.track[order])) + 1)
    gaps = [np.diff(onset) for onset in tracks]
    return [gap[gap > 0.025] for gap in gaps if (gap > 0.025).any()]


def attack_gap_mean_by_voice(w: Window) -> float:
    return mean(np.array([mean(gap) for gap in _gaps_by_track(w)]))


def attack_gap_std_by_voice(w: Window) -> float:
    return mean(np.array([std(gap) for gap in _gaps_by_track(w)]))


def attack_gap_entropy(w: Window) -> float:
    """Entropy of the gaps between attacks, rounded to a twelfth of a beat, at most four beats."""
    gaps = np.clip(np.rint(w.attack_gap_beat * 12.0), 0.0, 48.0).astype(np.int64)
    return entropy_bits(np.bincount(gaps, minlength=1))


def attack_gap_npvi(w: Window) -> float:
    """Normalized pairwise variability index of the gaps between attacks (Grabe & Low 2002)."""
    gap = w.attack_gap_sec
    return 100.0 * mean(np.abs(np.diff(gap)) / ((gap[1:] + gap[:-1]) / 2.0))


# --------------------------------------------------------------------------------------------------------- durations


def mean_note_duration(w: Window) -> float:
    return mean(w.pitched.duration_sec)


def min_note_duration(w: Window) -> float:
    return float(w.pitched.duration_sec.min()) if len(w.pitched.pitch) else math.nan


def max_note_duration(w: Window) -> float:
    return float(w.pitched.duration_sec.max()) if len(w.pitched.pitch) else math.nan


def std_note_duration(w: Window) -> float:
    return std(w.pitched.duration_sec)


def staccato(w: Window) -> float:
    return share(np.count_nonzero(w.pitched.duration_sec < 0.1), len(w.pitched.pitch))


def _length_over_gap(w: Window) -> FloatArray:
    notes = w.pitched
    gap = w.next_attack_beat - notes.onset_beat
    some = gap == gap
    return np.asarray(np.minimum(notes.duration_beat[some] / gap[some], 2.0))


def articulation(w: Window) -> float:
    return mean(_length_over_gap(w))


def articulation_variability(w: Window) -> float:
    return std(_length_over_gap(w))


def legato_share(w: Window) -> float:
    played = _length_over_gap(w)
    return share(np.count_nonzero(played >= 0.95), len(played))


def detached_share(w: Window) -> float:
    played = _length_over_gap(w)
    return share(np.count_nonzero(played < 0.5), len(played))


# ---------------------------------------------------------------------------------------------------- rhythmic values


def value_histogram(w: Window) -> FloatArray:
    return normalized(w.value_counts)


def value_share(*values: int) -> Callable[[Window], float]:
    """Fraction of pitched notes whose rhythmic value (bin of the histogram) is one of these."""
    wanted = np.array(values)

    def of_window(w: Window) -> float:
        return share(float(w.value_counts[wanted].sum()), len(w.value_index))

    return of_window


very_short_values = value_share(0, 1)
short_values = value_share(0, 1, 2)
medium_values = value_share(2, 3, 4, 5, 6)
long_values = value_share(6, 7, 8, 9, 10, 11)
very_long_values = value_share(9, 10, 11)
dotted_values = value_share(3, 5, 7, 9, 11)


def value_range(w: Window) -> float:
    used = np.flatnonzero(w.value_counts)
    return float(used[-1] - used[0]) if len(used) else math.nan


def n_values(w: Window) -> float:
    return float(np.count_nonzero(w.value_counts))


def n_common_values(w: Window) -> float:
    return float(np.count_nonzero(normalized(w.value_counts) >= 0.15))


def shortest_value(w: Window) -> float:
    return float(RHYTHMIC_VALUES_BEAT[w.value_index.min()]) if len(w.value_index) else math.nan


def longest_value(w: Window) -> float:
    return float(RHYTHMIC_VALUES_BEAT[w.value_index.max()]) if len(w.value_index) else math.nan


def mean_value(w: Window) -> float:
    return mean(RHYTHMIC_VALUES_BEAT[w.value_index])


def most_common_value(w: Window) -> float:
    return float(RHYTHMIC_VALUES_BEAT[ranked(w.value_counts)[0]]) if len(w.value_index) else math.nan


def most_common_value_prevalence(w: Window) -> float:
    return share(float(w.value_counts.max()), len(w.value_index))


def top_values_ratio(w: Window) -> float:
    first, second = ranked(w.value_counts)
    if first < 0:
        return math.nan
    return float(w.value_counts[second] / w.value_counts[first]) if second >= 0 else 0.0


def top_values_difference(w: Window) -> float:
    first, second = ranked(w.value_counts)
    return float(abs(first - second)) if second >= 0 else math.nan


def value_std(w: Window) -> float:
    return std(RHYTHMIC_VALUES_BEAT[w.value_index])


def value_skewness(w: Window) -> float:
    return skewness(RHYTHMIC_VALUES_BEAT[w.value_index])


def value_kurtosis(w: Window) -> float:
    return kurtosis(RHYTHMIC_VALUES_BEAT[w.value_index])


def _runs_histogram(w: Window, statistic: Callable[[IntArray], float]) -> FloatArray:
    value, length = w.value_runs
    if not len(value):
        return np.full(12, np.nan)
    out = np.zeros(12)
    for index in np.flatnonzero(w.value_counts):
        out[index] = statistic(length[value == index])
    total = out.sum()
    return out / total if total > 0.0 else out


def _upper_median(length: IntArray) -> float:
    return float(np.sort(length)[len(length) // 2])


def median_runs_histogram(w: Window) -> FloatArray:
    return _runs_histogram(w, _upper_median)


def run_variability_histogram(w: Window) -> FloatArray:
    return _runs_histogram(w, std)


def mean_run(w: Window) -> float:
    return mean(w.value_runs[1])


def median_run(w: Window) -> float:
    length = w.value_runs[1]
    return _upper_median(length) if len(length) else math.nan


def run_variability(w: Window) -> float:
    return std(w.value_runs[1])


def _offsets(w: Window) -> FloatArray:
    """[n] beats by which each duration misses its rhythmic value."""
    return np.asarray(np.abs(w.pitched.duration_beat - RHYTHMIC_VALUES_BEAT[w.value_index]))


def mean_offset(w: Window) -> float:
    return mean(_offsets(w))


def median_offset(w: Window) -> float:
    offset = np.sort(_offsets(w))
    return float(offset[len(offset) // 2]) if len(offset) else math.nan


def offset_variability(w: Window) -> float:
    return std(_offsets(w))


# ------------------------------------------------------------------------------------------------------------- rests

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


# ------------------------------------------------------------------------------------------------------------ pulses


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
        bins, peaks = self._peaks(w, 0.3, relative=True)
        if not len(peaks):
            return math.nan
        top, pulse = float(bins.argmax()) + 40.0, peaks + 40.0
        factors = np.array([1.0, 2.0, 3.0, 4.0, 6.0, 8.0])
        related = np.concatenate([top * factors, top / factors])
        strange = np.abs(pulse[:, None] - related[None, :]).min(axis=1) > 3.0
        return share(np.count_nonzero(strange), np.count_nonzero(bins >= 0.3 * bins.max()))


pulses = Pulses(lambda w: w.pulses)
standard_pulses = Pulses(lambda w: w.standard_pulses)
