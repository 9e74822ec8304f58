"""Does a piece come back to itself? Similarity and repetition of its bars and passages.

Conventions: those of :mod:`muse.evaluate.metrics.notes`.

Contents: :func:`self_similarity`, :func:`repeated_bars`, :func:`repeated_phrases`, :func:`fitness_scape_plot`,
:func:`structureness`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from muse.evaluate.metrics.notes import (
    POSITIONS,
    TOLERANCE_BEAT,
    Floats,
    Notes,
    in_bars,
    onset_positions,
    pitches,
    positions,
)
from muse.score import DRUMS, BarGrid
from muse.tokens.plan_form import PHRASE_BARS

__all__ = [
    "SPANS_BARS",
    "fitness_scape_plot",
    "repeated_bars",
    "repeated_phrases",
    "self_similarity",
    "structureness",
]

FRAMES = 4
"""Parts of a bar whose pitch classes are compared."""
SPANS_BARS = {"short": (2, 4), "mid": (4, 8), "long": (8, None)}
"""Lengths of the passages that structureness looks at, both ends included. Wu & Yang's 3-8 s, 8-15 s and 15 s or more,
at the two seconds that a bar of 4/4 lasts at 120 BPM, rounded to whole phrases: in bars, since a score has them and
tempo changes none."""
RELATIVE_THRESHOLD, PENALTY = 0.2, -2.0
"""Share of a self-similarity matrix that counts as similar, and the price of what does not (Müller et al. 2013)."""


def self_similarity(notes: Notes, bars: BarGrid) -> float:
    """Mean cosine of all pairs of sounding bars, each a table of pitch class by onset position; 0..1.

    The mean, off its diagonal, of the similarity matrix of Foote, *Visualizing Music and Audio Using Self-Similarity*,
    ACM Multimedia 1999, on a score instead of audio.
    """
    pitched = notes[notes["program"] != DRUMS]
    if not bars.n_bars or not len(pitched):
        return float("nan")
    table = np.zeros((bars.n_bars * POSITIONS, 12))
    table[positions(pitched, bars), pitched["pitch"] % 12] = 1
    rows = table.reshape(bars.n_bars, -1)
    rows = rows[rows.any(axis=1)]
    if len(rows) < 2:
        return float("nan")
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    n = len(rows)
    return float(((rows @ rows.T).sum() - n) / (n * (n - 1)))


def _spelt_bars(notes: Notes, bars: BarGrid) -> list[tuple[tuple[int, int, int], ...]]:
    """Each bar as (onset in 24ths of a beat, pitch, program) of its notes, drums moved out of pitch's way."""
    bar = bars.bar_of(notes["onset_beat"] + TOLERANCE_BEAT)
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
    start = in_bars(pitched["onset_beat"], bars) * FRAMES
    end = in_bars(pitched["onset_beat"] + pitched["duration_beat"], bars) * FRAMES
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
    if not len(pitches(notes)):
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
    if bars.n_bars < 2 * least_bars or not len(pitches(notes)):
        return float("nan")
    return float(fitness_scape_plot(notes, bars, shortest_bars=least_bars, longest_bars=most_bars).max())
