"""Objective metrics of music: what a piece is like, and how far a set of pieces lies from another.

Conventions
-----------
notes, bars
    ``muse.score.note_array`` and ``muse.score.bar_grid`` of one score. Drums count for bars, onsets and density, never
    for pitch.
undefined
    NaN: no pitched notes, fewer than two bars and so on. Sets leave NaN out.
time
    Beats and bars, never steps: shares of time are swept exactly, so that no resolution enters, but for groove, where
    the figure *is* a matter of resolution: independent random eighths give 0.77 at four steps a beat and 0.998 at 480.
    It is fixed at :data:`POSITIONS` a bar here, and onset F1, which does not saturate, stands beside it.
bars
    As many as the music reaches into. muspy counts one more (its issue 73), which makes equal bars look unequal.
direction
    Entropy, groove, silence and the rest have no better direction: read them against people's range
    (:func:`share_inside`), never as a contest.

Contents
--------
``METRICS``, ``measure``             the table of metrics of one piece, and all of them
``fitness_scape_plot``               how well each passage explains the rest of its piece by repetition
``set_features``, ``compare_sets``   Yang & Lerch's features; overlapping area and KL of distances
``frechet_distance``, ``frechet``    Fréchet distance of two sets in an embedding; with interval and extrapolation
``share_inside``                     share of pieces inside the 5-95 % range of a reference
``mean_with_interval``               mean of a metric over a set
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from muse.errors import InputError
from muse.score import DRUMS, BarGrid, Score, bar_grid, note_array
from muse.statistics import bootstrap

__all__ = [
    "METRICS",
    "POSITIONS",
    "Metric",
    "compare_sets",
    "fitness_scape_plot",
    "frechet",
    "frechet_distance",
    "mean_with_interval",
    "measure",
    "set_features",
    "share_inside",
]

Floats: TypeAlias = NDArray[np.float64]
Notes: TypeAlias = NDArray[np.void]

POSITIONS = 16
"""Onset positions in a bar of any meter."""
PHRASE_BARS = 4
FRAMES = 4
"""Parts of a bar whose pitch classes are compared."""
SPANS_BARS = {"short": (2, 4), "mid": (4, 8), "long": (8, None)}
"""Lengths of the passages that structureness looks at, both ends included. Wu & Yang's 3-8 s, 8-15 s and 15 s or more,
at the two seconds that a bar of 4/4 lasts at 120 BPM, rounded to whole phrases: in bars, since a score has them and
tempo changes none."""
RELATIVE_THRESHOLD, PENALTY = 0.2, -2.0
"""Share of a self-similarity matrix that counts as similar, and the price of what does not (Müller et al. 2013)."""
_TOLERANCE_BEAT = 1e-3
_SCALE = np.isin(np.arange(12), [0, 2, 4, 5, 7, 9, 11])
_NOTE_VALUES = np.array([4, 2, 1, 0.5, 0.25, 3, 1.5, 0.75, 0.375, 4 / 3, 2 / 3, 1 / 3])
"""Yang & Lerch's twelve note lengths in beats: whole to sixteenth, four dotted ones, three triplets."""


# ------------------------------------------------------------------------------------------------ metrics of one piece


def _pitches(notes: Notes) -> NDArray[np.int64]:
    return np.asarray(notes["pitch"][notes["program"] != DRUMS], dtype=np.int64)


def _entropy(counts: NDArray[Any]) -> float:
    p = counts[counts > 0] / max(counts.sum(), 1)
    return float(-(p * np.log2(p)).sum()) if len(p) else float("nan")


def pitch_class_entropy(notes: Notes, _bars: BarGrid) -> float:
    """Entropy of pitch classes, bits, 0..3.585: ``-sum p log2 p`` over all notes of the piece.

    Wu & Yang, *The Jazz Transformer on the Front Line*, ISMIR 2020, pitch usage entropy, over the whole piece as in
    muspy's ``pitch_class_entropy``.
    """
    return _entropy(np.bincount(_pitches(notes) % 12, minlength=12))


def scale_consistency(notes: Notes, _bars: BarGrid) -> float:
    """Largest share of notes in any major or natural minor scale, 0..1.

    Mogren, *C-RNN-GAN*, Constructive Machine Learning Workshop 2016; muspy ``scale_consistency``. A minor scale has the
    notes of its relative major, so twelve collections cover all 24.
    """
    histogram = np.bincount(_pitches(notes) % 12, minlength=12)
    if not histogram.any():
        return float("nan")
    return float(max(histogram @ np.roll(_SCALE, root) for root in range(12)) / histogram.sum())


def onset_positions(notes: Notes, bars: BarGrid) -> NDArray[np.bool_]:
    """Whether a note begins at each position: bool [n_bars, POSITIONS]; onsets go to the nearest position."""
    grid = np.zeros(bars.n_bars * POSITIONS, dtype=bool)
    grid[_positions(notes, bars)] = True
    return grid.reshape(bars.n_bars, POSITIONS)


def _positions(notes: Notes, bars: BarGrid) -> NDArray[np.int64]:
    """Number of the onset position of each note, counted through the piece."""
    place = np.rint(_in_bars(notes["onset_beat"], bars) * POSITIONS).astype(np.int64)
    return np.minimum(place, bars.n_bars * POSITIONS - 1)


def _in_bars(beat: NDArray[Any], bars: BarGrid) -> Floats:
    """Beats as fractional bar numbers."""
    return np.interp(np.asarray(beat, dtype=np.float64), bars.start_beat, np.arange(bars.n_bars + 1))


def groove_consistency(notes: Notes, bars: BarGrid) -> float:
    """``1 - mean d(G_i, G_i+1)`` of consecutive bars' onset vectors at 16 positions, d the share that differs; 0..1.

    Wu & Yang 2020, grooving similarity, of neighbors alone as in muspy's ``groove_consistency``. Saturates: see the
    module.
    """
    grid = onset_positions(notes, bars)
    return float(1 - (grid[1:] != grid[:-1]).mean()) if len(grid) > 1 else float("nan")


def onset_f1(notes: Notes, bars: BarGrid) -> float:
    """Mean over consecutive bars of ``2 |A & B| / (|A| + |B|)`` of their onset positions, 0..1.

    Bars that agree in silence say nothing: two bars without an onset are left out.
    """
    grid = onset_positions(notes, bars)
    both, either = (grid[1:] & grid[:-1]).sum(1), grid[1:].sum(1) + grid[:-1].sum(1)
    return float((2 * both[either > 0] / either[either > 0]).mean()) if (either > 0).any() else float("nan")


def empty_bar_rate(notes: Notes, bars: BarGrid) -> float:
    """Share of bars in which nothing sounds, 0..1: muspy ``empty_measure_rate`` without its surplus bar."""
    if not bars.n_bars:
        return float("nan")
    first = bars.bar_of(notes["onset_beat"] + _TOLERANCE_BEAT)
    last = np.maximum(bars.bar_of(notes["onset_beat"] + notes["duration_beat"] - _TOLERANCE_BEAT), first)
    edges = np.zeros(bars.n_bars + 1, np.int64)
    np.add.at(edges, first, 1)
    np.add.at(edges, last + 1, -1)
    return float((np.cumsum(edges)[:-1] == 0).mean())


def _sounding(notes: Notes) -> tuple[Floats, NDArray[np.int64]]:
    """Stretches from beat 0 to the last end: length in beats [m], and how many different pitches sound [m]."""
    notes = notes[notes["program"] != DRUMS]
    start, end = notes["onset_beat"], notes["onset_beat"] + notes["duration_beat"]
    edges = np.unique(np.concatenate([[0.0], start, end]))
    # A pitch sounds once, whoever else plays it: the stretches of each pitch are joined first.
    active = np.zeros(len(edges), np.int64)
    for pitch in np.unique(notes["pitch"]):
        mine = notes["pitch"] == pitch
        change = np.zeros(len(edges), np.int64)
        np.add.at(change, np.searchsorted(edges, start[mine]), 1)
        np.add.at(change, np.searchsorted(edges, end[mine]), -1)
        active += np.cumsum(change) > 0
    return np.diff(edges), active[:-1]


def polyphony(notes: Notes, _bars: BarGrid) -> float:
    """Mean number of pitches that sound together, over the time in which any does: muspy ``polyphony``."""
    length, active = _sounding(notes)
    on = active > 0
    return float(np.average(active[on], weights=length[on])) if on.any() else float("nan")


def polyphony_rate(notes: Notes, _bars: BarGrid) -> float:
    """Share of the time, from the start to the last end, in which two or more pitches sound, 0..1.

    Mogren 2016, polyphony; muspy ``polyphony_rate`` by its documentation (its code asks for more than two).
    """
    length, active = _sounding(notes)
    return float(length[active >= 2].sum() / length.sum()) if len(length) else float("nan")


def pitch_range(notes: Notes, _bars: BarGrid) -> float:
    """Highest minus lowest pitch, semitones: muspy ``pitch_range``."""
    pitch = _pitches(notes)
    return float(np.ptp(pitch)) if len(pitch) else float("nan")


def n_pitches_used(notes: Notes, _bars: BarGrid) -> float:
    """Number of different pitches: muspy ``n_pitches_used``."""
    return float(len(np.unique(_pitches(notes))))


def n_pitch_classes_used(notes: Notes, _bars: BarGrid) -> float:
    """Number of different pitch classes, 0..12: muspy ``n_pitch_classes_used``."""
    return float(len(np.unique(_pitches(notes) % 12)))


def notes_per_bar(notes: Notes, bars: BarGrid) -> float:
    """Note density: notes, drums included, over bars."""
    return len(notes) / bars.n_bars if bars.n_bars else float("nan")


def notes_per_sec(notes: Notes, _bars: BarGrid) -> float:
    """Note density: notes, drums included, over the seconds from the first onset to the last end."""
    if not len(notes):
        return float("nan")
    span = (notes["onset_sec"] + notes["duration_sec"]).max() - notes["onset_sec"].min()
    return float(len(notes) / span) if span > 0 else float("nan")


# --------------------------------------------------------------------------------------------- structure of one piece


def self_similarity(notes: Notes, bars: BarGrid) -> float:
    """Mean cosine of all pairs of sounding bars, each a table of pitch class by onset position; 0..1.

    The mean, off its diagonal, of the similarity matrix of Foote, *Visualizing Music and Audio Using Self-Similarity*,
    ACM Multimedia 1999, on a score instead of audio.
    """
    pitched = notes[notes["program"] != DRUMS]
    if not bars.n_bars or not len(pitched):
        return float("nan")
    table = np.zeros((bars.n_bars * POSITIONS, 12))
    table[_positions(pitched, bars), pitched["pitch"] % 12] = 1
    rows = table.reshape(bars.n_bars, -1)
    rows = rows[rows.any(axis=1)]
    if len(rows) < 2:
        return float("nan")
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    n = len(rows)
    return float(((rows @ rows.T).sum() - n) / (n * (n - 1)))


def _spelt_bars(notes: Notes, bars: BarGrid) -> list[tuple[tuple[int, int, int], ...]]:
    """Each bar as (onset in 24ths of a beat, pitch, program) of its notes, drums moved out of pitch's way."""
    bar = bars.bar_of(notes["onset_beat"] + _TOLERANCE_BEAT)
    onset = np.rint((notes["onset_beat"] - bars.start_beat[bar]) * 24).astype(np.int64)
    rows = np.column_stack([onset, notes["pitch"].astype(np.int64), notes["program"].astype(np.int64)])
    spelt: list[list[tuple[int, int, int]]] = [[] for _ in range(bars.n_bars)]
    for index, row in zip(bar.tolist(), rows.tolist(), strict=True):
        spelt[index].append((row[0], row[1], row[2]))
    return [tuple(sorted(entries)) for entries in spelt]


def _repetition(notes: Notes, bars: BarGrid, n: int) -> float:
    """Share of the passages of `n` bars that could repeat an earlier one, and do, transposed or not."""
    if not bars.n_bars:
        return float("nan")
    spelt = _spelt_bars(notes, bars)
    seen: dict[Any, int] = {}  # where each passage stood first
    repeats, chances = 0, 0
    for first in range(len(spelt) - n + 1):
        passage = spelt[first : first + n]
        pitched = [pitch for bar in passage for _, pitch, program in bar if program != DRUMS]
        if not any(passage):
            continue
        low = min(pitched, default=0)
        name = tuple(tuple((o, p if g == DRUMS else p - low, g) for o, p, g in bar) for bar in passage)
        if first >= n:
            chances += 1
            repeats += seen.get(name, first) <= first - n
        seen.setdefault(name, first)
    return repeats / chances if chances else float("nan")


def repeated_bars(notes: Notes, bars: BarGrid) -> float:
    """Share of sounding bars, from the second on, that are an earlier one again: onsets, pitches up to transposition,
    instruments; not lengths or loudness. 0..1."""
    return _repetition(notes, bars, 1)


def repeated_phrases(notes: Notes, bars: BarGrid) -> float:
    """The same for passages of four bars, beginning at any bar from the fifth on; the two may not overlap. 0..1."""
    return _repetition(notes, bars, PHRASE_BARS)


def _bar_similarity(notes: Notes, bars: BarGrid) -> Floats:
    """Similarity of every two bars, [n_bars, n_bars] in 0..1.

    Mean cosine of pitch classes (weighted by time, best of 12 transpositions) and of onset positions, over the frames
    of the two bars, first with first and so on.
    """
    pitched = notes[notes["program"] != DRUMS]
    n = bars.n_bars * FRAMES
    frame = np.arange(n)
    start = _in_bars(pitched["onset_beat"], bars) * FRAMES
    end = _in_bars(pitched["onset_beat"] + pitched["duration_beat"], bars) * FRAMES
    share = np.clip(np.minimum(end[:, None], frame + 1) - np.maximum(start[:, None], frame), 0, None)
    chroma = (share.T @ np.eye(12)[pitched["pitch"] % 12]).reshape(-1, FRAMES, 12)
    onsets = onset_positions(notes, bars).reshape(-1, FRAMES, POSITIONS // FRAMES).astype(float)
    tonal = np.max([_cosine(chroma, np.roll(chroma, k, axis=2)).mean(axis=0) for k in range(12)], axis=0)
    return (tonal + _cosine(onsets, onsets).mean(axis=0)) / 2


def _cosine(a: Floats, b: Floats) -> Floats:
    """Cosines per frame of all bars, [n, F, k], [m, F, k] -> [F, n, m]; two silent frames are alike, one is not."""
    a, b = a.transpose(1, 0, 2), b.transpose(1, 0, 2)
    length_a, length_b = np.linalg.norm(a, axis=2)[:, :, None], np.linalg.norm(b, axis=2)[:, None]
    cosine = (a @ b.transpose(0, 2, 1)) / np.maximum(length_a * length_b, 1e-12)
    return np.where((length_a == 0) & (length_b == 0), 1.0, cosine)


def fitness_scape_plot(
    notes: Notes, bars: BarGrid, *, shortest_bars: int = 1, longest_bars: int | None = None
) -> Floats:
    """Fitness of every passage of whole bars: how much of the piece it explains by repetition, and how well; 0..1.

    Müller, Jiang & Grosche, *A Robust Fitness Measure for Capturing Repetitions in Music Recordings*, IEEE TASLP
    21(3), 531-543, 2013; Müller, *Fundamentals of Music Processing*, 2015, section 4.3: a self-similarity matrix,
    invariant to transposition, with relative threshold and penalty; the best family of paths over a passage that do not
    overlap, by dynamic programming; fitness is the harmonic mean of normalised score (similarity per cell of the paths)
    and normalised coverage (share of the piece), both less what the passage owes to itself.

    Theirs is for recordings. In a score bars are known and do not stretch: so bars take the place of frames, and of the
    path steps (1, 1), (2, 1), (1, 2) only the first is left.

    Parameters
    ----------
    shortest_bars, longest_bars
        Other passages are not looked at; by default up to half the piece, as longer ones cannot recur.

    Returns
    -------
    float64 [n_bars + 1, n_bars]
        By length and first bar; 0 for passages that do not recur or were not looked at.
    """
    n = bars.n_bars
    fitness = np.zeros((n + 1, n))
    if not len(_pitches(notes)):
        return fitness
    similarity = _bar_similarity(notes, bars)
    threshold = np.quantile(similarity, 1 - RELATIVE_THRESHOLD)
    scaled = np.ones_like(similarity) if threshold >= 1 - 1e-9 else (similarity - threshold) / (1 - threshold)
    score = np.where(similarity >= threshold - 1e-9, scaled, PENALTY)
    np.fill_diagonal(score, 1.0)
    along = np.zeros((n + 1, n + 1))  # sums along diagonals
    for i in range(n):
        along[i + 1, 1:] = along[i, :-1] + score[i]
    longest = n // 2 if longest_bars is None else min(n // 2, longest_bars)
    for length in range(shortest_bars, longest + 1):
        path = along[length:, length:] - along[: n - length + 1, : n - length + 1]  # [where it recurs, first bar]
        best, n_paths = np.zeros((n + 1, len(path))), np.zeros((n + 1, len(path)))
        for stop in range(length, n + 1):
            taken = best[stop - length] + path[stop - length]
            better = taken > best[stop - 1]
            best[stop] = np.where(better, taken, best[stop - 1])
            n_paths[stop] = np.where(better, n_paths[stop - length] + 1, n_paths[stop - 1])
        gain = np.clip((best[n] - length) / np.maximum(n_paths[n] * length, 1), 0, None)
        coverage = np.clip((n_paths[n] - 1) * length / n, 0, None)
        fitness[length, : len(path)] = 2 * gain * coverage / np.maximum(gain + coverage, 1e-12)
    return fitness


def structureness(notes: Notes, bars: BarGrid, least_bars: int, most_bars: int | None) -> float:
    """Structureness indicator, 0..1: the largest fitness of any passage of so many bars.

    Wu & Yang 2020, structureness indicator: the maximum of the fitness scape plot over durations in a span. NaN where
    the piece is shorter than twice the shortest passage.
    """
    if bars.n_bars < 2 * least_bars or not len(_pitches(notes)):
        return float("nan")
    return float(fitness_scape_plot(notes, bars, shortest_bars=least_bars, longest_bars=most_bars).max())


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


# --------------------------------------------------------------------------------------- sets: Yang & Lerch's MGEval


def set_features(score: Score) -> dict[str, Floats]:
    """The nine features of MGEval of one piece, each a vector; all 0 without pitched notes.

    Yang & Lerch, *On the evaluation of generative models in music*, Neural Computing and Applications 32, 2020: pitch
    count [1], pitch-class histogram [12] and transitions [144], pitch range [1], mean interval [1], note count [1],
    mean time between onsets in seconds [1], note-length histogram [12] and transitions [144]. Histograms and transition
    tables are shares here, so that long pieces do not differ by being long, and the nearest of the note lengths is the
    nearest by ratio. Notes in the order of onset, then pitch, without drums.
    """
    notes = note_array(score)
    notes = notes[notes["program"] != DRUMS]
    pitch = notes["pitch"].astype(np.int64)
    ratio = np.log(np.maximum(notes["duration_beat"], 1e-3)[:, None] / _NOTE_VALUES)
    length = np.abs(ratio).argmin(axis=1)
    between = np.diff(notes["onset_sec"])
    return {
        "pitch_count": np.array([float(len(np.unique(pitch)))]),
        "pitch_class_histogram": _shares(pitch % 12, 12),
        "pitch_class_transitions": _shares(pitch[:-1] % 12 * 12 + pitch[1:] % 12, 144),
        "pitch_range": np.array([float(np.ptp(pitch)) if len(pitch) else 0.0]),
        "mean_interval": np.array([float(np.abs(np.diff(pitch)).mean()) if len(pitch) > 1 else 0.0]),
        "note_count": np.array([float(len(pitch))]),
        "mean_onset_interval": np.array([float(between.mean()) if len(between) else 0.0]),
        "note_length_histogram": _shares(length, 12),
        "note_length_transitions": _shares(length[:-1] * 12 + length[1:], 144),
    }


def _shares(index: NDArray[np.int64], size: int) -> Floats:
    counts = np.bincount(index, minlength=size).astype(float)
    return counts / max(counts.sum(), 1.0)


def compare_sets(
    pieces: Sequence[Mapping[str, Floats]], reference: Sequence[Mapping[str, Floats]]
) -> dict[str, dict[str, float]]:
    """Overlapping area and KL divergence between distances within sets and across them, per feature.

    Yang & Lerch 2020, relative measurement: Euclidean distances of all pairs within a set and of all pairs across the
    two sets, a Gaussian kernel density of each, and ``integral min(p, q)`` and ``KL(p || q)`` in nats, p within and q
    across. Unlike the authors' code, both densities are read on one grid (on two it is no divergence) and have one
    bandwidth, the wider of Scott's two: there are more pairs across than within, and sharper peaks are no difference
    of the music.

    Parameters
    ----------
    pieces, reference
        What :func:`set_features` gave of each piece. One that is in both sets is not compared with itself.

    Returns
    -------
    dict
        Feature -> ``overlapping_area`` and ``kl`` of the distances within the set: 1 and 0 where it differs from the
        reference no more than from itself, worse where it lies elsewhere, and where it is narrower or wider;
        ``reference_overlapping_area`` and ``reference_kl`` of those within the reference, which a narrow set in the
        midst of the reference passes; and the mean distances ``within``, ``within_reference``, ``across``.

    Raises
    ------
    InputError
        A set has fewer than three pieces.
    """
    if min(len(pieces), len(reference)) < 3:
        raise InputError(f"{len(pieces)} pieces against {len(reference)}: comparing sets needs at least three of each")
    found = {}
    others = np.array([id(p) for p in pieces])[:, None] != [id(r) for r in reference]
    for name in pieces[0]:
        ours, theirs = np.stack([p[name] for p in pieces]), np.stack([p[name] for p in reference])
        across = _distances(ours, theirs)[others]
        own, other = (_distances(x, x)[np.triu_indices(len(x), 1)] for x in (ours, theirs))
        area, kl = _overlap(own, across)
        reference_area, reference_kl = _overlap(other, across)
        found[name] = {
            "overlapping_area": area,
            "kl": kl,
            "reference_overlapping_area": reference_area,
            "reference_kl": reference_kl,
            "within": float(own.mean()),
            "within_reference": float(other.mean()),
            "across": float(across.mean()),
        }
    return found


def _distances(a: Floats, b: Floats) -> Floats:
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(a, b))


def _overlap(a: Floats, b: Floats) -> tuple[float, float]:
    """``integral min(p, q)`` and ``KL(p || q)`` of the kernel densities p, q of two samples of distances."""
    reach = max(float(a.max()), float(b.max()), 1e-9)
    # Samples that do not vary at all still have a density.
    width = max(2e-3 * reach, *(float(d.std(ddof=1)) * len(d) ** -0.2 for d in (a, b)))
    grid = np.linspace(-4 * width, reach + 4 * width, 2000)
    step = grid[1] - grid[0]
    p, q = _density(a, width, grid), _density(b, width, grid)
    kl = (p * np.log(np.maximum(p, 1e-12) / np.maximum(q, 1e-12))).sum() * step
    return float(np.minimum(p, q).sum() * step), float(max(kl, 0.0))


def _density(values: Floats, width: float, grid: Floats) -> Floats:
    """Gaussian kernel density on a grid that holds it all; values are gathered in its bins, finer than the kernel."""
    n, step = len(grid), grid[1] - grid[0]
    counts = np.bincount(np.rint((values - grid[0]) / step).astype(np.int64), minlength=n)
    kernel = np.exp(-((np.arange(1 - n, n) * step / width) ** 2) / 2)
    density = np.convolve(counts, kernel, mode="valid")  # [n]: the kernel reaches over the whole grid
    return density / (density.sum() * step)


# --------------------------------------------------------------------------------------------- sets: Fréchet distance


def frechet_distance(x: NDArray[Any], y: NDArray[Any]) -> float:
    """Squared Fréchet distance of Gaussians fitted to two sets, as FID and FAD report it.

    ``|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^0.5)``: Dowson & Landau, J. Multivariate Analysis 12, 1982; Heusel et al.,
    NeurIPS 2017; Kilgour et al., *Fréchet Audio Distance*, Interspeech 2019.

    Parameters
    ----------
    x, y
        Embeddings [n, width] and [m, width], at least two rows each. Small sets are biased upwards: see
        :func:`frechet`.

    Raises
    ------
    InputError
        The shapes do not fit, or a set has fewer than two rows.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise InputError(f"embeddings {x.shape} and {y.shape} do not fit: give [n, width] of one width, n from 2")
    return _between(_gaussian(x), _gaussian(y))


def _gaussian(x: Floats) -> tuple[Floats, Floats]:
    """Mean [width] and a factor A [min(n, width), width] of the covariance ``A' A``."""
    mean = x.mean(axis=0)
    factor = (x - mean) / np.sqrt(len(x) - 1)
    if len(x) > x.shape[1]:
        values, vectors = np.linalg.eigh(factor.T @ factor)
        factor = np.sqrt(np.clip(values, 0, None))[:, None] * vectors.T
    return mean, factor


def _between(a: tuple[Floats, Floats], b: tuple[Floats, Floats]) -> float:
    (mean_a, factor_a), (mean_b, factor_b) = a, b
    shift = mean_a - mean_b
    # tr((A'A B'B)^0.5) is the sum of the singular values of A B': no root of a matrix that is not symmetric.
    shared = np.linalg.svd(factor_a @ factor_b.T, compute_uv=False).sum()
    return float(max(shift @ shift + (factor_a**2).sum() + (factor_b**2).sum() - 2 * shared, 0.0))


def frechet(
    x: NDArray[Any], reference: NDArray[Any], *, n_groups: int = 10, n_halvings: int = 10, seed: int = 0
) -> dict[str, Any]:
    """Fréchet distance of a set to a reference, and what it would be for a set without end; with intervals.

    Bias falls as 1 / n, so distances lie on a line over 1 / n that meets 0 at the unbiased distance (Chong & Forsyth,
    *Effectively Unbiased FID*, CVPR 2020; for music: Gui et al., *Adapting Fréchet Audio Distance for Generative Music
    Evaluation*, ICASSP 2024). Here the line goes through two points, the whole sets and the mean of their halves, so
    the bias of the reference goes as well: ``2 d(n, m) - d(n / 2, m / 2)``. It takes sets of several times the width:
    where half a set is no larger than the width, too much is taken off.

    Intervals are 95 %, by the jackknife over groups of pieces (Student's t): a bootstrap repeats pieces, which makes a
    set look smaller and its distance larger.

    Parameters
    ----------
    x, reference
        Embeddings [n, width] and [m, width].
    n_groups
        Parts of the set that are left out in turn; fewer where they would have less than four pieces.
    n_halvings
        Ways to halve the sets.

    Returns
    -------
    dict
        ``n``; ``distance`` and ``interval``; ``extrapolated`` and ``extrapolated_interval``. The extrapolated distance
        of equal distributions is around 0 and may be negative. NaN where there are too few: below four pieces
        for the extrapolation, below eight for the intervals.

    Raises
    ------
    InputError
        The shapes do not fit, or a set has fewer than two rows.
    """
    from scipy.stats import t

    x, reference = np.asarray(x, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    distance = frechet_distance(x, reference)
    n = len(x)
    n_groups = min(n_groups, n // 4)
    rng = np.random.default_rng(seed)
    target = _gaussian(reference)

    def halves(rows: Floats) -> list[tuple[Floats, Floats]]:
        order = [rng.permutation(len(rows)) for _ in range(n_halvings)]
        return [_gaussian(rows[half]) for each in order for half in np.array_split(each, 2)]

    their_halves = halves(reference) if len(reference) >= 4 else []

    def both(rows: Floats) -> Floats:
        whole = _between(_gaussian(rows), target)
        if len(rows) < 4 or not their_halves:
            return np.array([whole, np.nan])
        half = np.mean([_between(a, b) for a, b in zip(halves(rows), their_halves, strict=True)])
        return np.array([whole, 2 * whole - half])

    extrapolated, error = float(both(x)[1]), np.full(2, np.nan)
    if n_groups >= 2:
        groups = np.array_split(rng.permutation(n), n_groups)
        without = np.array([both(np.delete(x, group, axis=0)) for group in groups])
        error = np.sqrt((n_groups - 1) * without.var(axis=0)) * float(t.ppf(0.975, n_groups - 1))
    return {
        "n": n,
        "distance": distance,
        "interval": [float(np.maximum(distance - error[0], 0)), float(distance + error[0])],
        "extrapolated": extrapolated,
        "extrapolated_interval": [float(extrapolated - error[1]), float(extrapolated + error[1])],
    }


def mean_with_interval(values: Floats) -> tuple[float, tuple[float, float]]:
    """Mean of what is defined and its 95 % bootstrap interval over pieces; NaN without any."""
    values = values[np.isfinite(values)]
    mean = float(values.mean()) if len(values) else float("nan")
    return mean, bootstrap(values, lambda rows: float(rows.mean()))
