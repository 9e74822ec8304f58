"""Objective metrics of music: what a piece is like, and how far a set of pieces lies from another.

Conventions
-----------
notes, bars
    ``muse.score.note_array`` and ``muse.score.bar_grid`` of one score. Drums count for bars and onsets, never for pitch.
undefined
    NaN: no pitched notes, fewer than two bars and so on. Sets leave NaN out.
time
    Beats and bars, never steps: shares of time are swept exactly, so that no resolution enters, but for groove, where
    the figure *is* a matter of resolution: independent random onsets give 0.77 at four steps a beat and 0.998 at 480.
    It is fixed at :data:`POSITIONS` a bar here, and onset F1, which does not saturate, stands beside it.
bars
    As many as the music reaches into. muspy counts one more (its issue 73), which makes equal bars look unequal.
direction
    Entropy, groove, silence and the rest have no better direction: read them against people's range
    (:func:`share_inside`), never as a contest.

Contents
--------
``METRICS``, ``measure``             the table of metrics of one piece, and all of them
``fitness_scape_plot``               how well each passage of a piece explains the rest by repetition
``set_features``, ``compare_sets``   Yang & Lerch's features; overlapping area and KL of distances
``frechet_distance``, ``frechet``    Fréchet distance of two sets in an embedding; with interval and extrapolation
``share_inside``                     share of pieces inside the 5-95 % range of a reference
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from muse.errors import InputError
from muse.evaluate.metrics import bootstrap
from muse.score import DRUMS, BarGrid, Score, bar_grid, note_array

__all__ = [
    "METRICS",
    "POSITIONS",
    "Metric",
    "compare_sets",
    "fitness_scape_plot",
    "frechet",
    "frechet_distance",
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
"""Frames in a bar for structure: finer ones cost much and say the same."""
SPANS_BARS = {"short": (2, 4), "mid": (4, 8), "long": (8, None)}
"""Lengths of the passages that structureness looks at. Wu & Yang's 3-8 s, 8-15 s and 15 s or more, at the two seconds
that a bar of 4/4 lasts at 120 BPM, rounded to whole phrases: in bars, since a score has them and tempo changes none."""
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

    Wu & Yang, *The Jazz Transformer on the Front Line*, ISMIR 2020, section 4, H; muspy ``pitch_class_entropy``.
    """
    return _entropy(np.bincount(_pitches(notes) % 12, minlength=12))


def scale_consistency(notes: Notes, _bars: BarGrid) -> float:
    """Largest share of notes in any major or natural minor scale, 0..1.

    Mogren, *C-RNN-GAN*, 2016, section 4; muspy ``scale_consistency``. A minor scale has the notes of its relative
    major, so twelve collections cover all 24.
    """
    histogram = np.bincount(_pitches(notes) % 12, minlength=12)
    if not histogram.any():
        return float("nan")
    return float(max(histogram @ np.roll(_SCALE, root) for root in range(12)) / histogram.sum())


def onset_positions(notes: Notes, bars: BarGrid) -> NDArray[np.bool_]:
    """Whether a note begins at each position: bool [n_bars, POSITIONS]; onsets go to the nearest position."""
    grid = np.zeros(bars.n_bars * POSITIONS, dtype=bool)
    if bars.n_bars:
        place = np.rint(_in_bars(notes["onset_beat"], bars) * POSITIONS).astype(np.int64)
        grid[np.minimum(place, len(grid) - 1)] = True
    return grid.reshape(bars.n_bars, POSITIONS)


def _in_bars(beat: NDArray[Any], bars: BarGrid) -> Floats:
    """Beats as fractional bar numbers."""
    return np.interp(np.asarray(beat, dtype=np.float64), bars.start_beat, np.arange(bars.n_bars + 1))


def groove_consistency(notes: Notes, bars: BarGrid) -> float:
    """``1 - mean d(G_i, G_i+1)`` of consecutive bars' onset vectors at 16 positions, d the share that differs; 0..1.

    Wu & Yang 2020, section 4, GS, for neighbours; muspy ``groove_consistency``. Saturates: see the module.
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
    first = _in_bars(notes["onset_beat"] + _TOLERANCE_BEAT, bars).astype(np.int64)
    end = notes["onset_beat"] + np.maximum(notes["duration_beat"] - _TOLERANCE_BEAT, 0)
    last = np.maximum(np.minimum(_in_bars(end, bars).astype(np.int64), bars.n_bars - 1), first)
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

    Mogren 2016, section 4; muspy ``polyphony_rate`` by its documentation (its code asks for more than two).
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
    """Note density: notes over bars."""
    return len(notes) / bars.n_bars if bars.n_bars else float("nan")


def notes_per_sec(notes: Notes, _bars: BarGrid) -> float:
    """Note density: notes over the seconds from the first onset to the last end."""
    if not len(notes):
        return float("nan")
    span = (notes["onset_sec"] + notes["duration_sec"]).max() - notes["onset_sec"].min()
    return float(len(notes) / span) if span > 0 else float("nan")


# --------------------------------------------------------------------------------------------- structure of one piece


def self_similarity(notes: Notes, bars: BarGrid) -> float:
    """Mean cosine of all pairs of sounding bars, each a table of pitch class by onset position; 0..1.

    The mean of Foote's similarity matrix (ACM Multimedia 1999, section 3) off its diagonal, on a score instead of audio.
    """
    pitched = notes[notes["program"] != DRUMS]
    if not bars.n_bars or not len(pitched):
        return float("nan")
    table = np.zeros((bars.n_bars * POSITIONS, 12))
    place = np.rint(_in_bars(pitched["onset_beat"], bars) * POSITIONS).astype(np.int64)
    table[np.minimum(place, len(table) - 1), pitched["pitch"] % 12] = 1
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


def _self_similarity_matrix(notes: Notes, bars: BarGrid) -> Floats:
    """Similarity of every two frames, [F, F] in 0..1, smoothed along diagonals over a bar, best of 12 transpositions."""
    pitched = notes[notes["program"] != DRUMS]
    n = bars.n_bars * FRAMES
    start = _in_bars(pitched["onset_beat"], bars) * FRAMES
    end = _in_bars(pitched["onset_beat"] + pitched["duration_beat"], bars) * FRAMES
    frame = np.arange(n)
    share = np.clip(np.minimum(end[:, None], frame + 1) - np.maximum(start[:, None], frame), 0, None)
    chroma = share.T @ np.eye(12)[pitched["pitch"] % 12]  # [F, 12]
    onsets = onset_positions(notes, bars).reshape(n, POSITIONS // FRAMES).astype(float)
    rhythm = _cosine(onsets, onsets)
    return np.max([_smooth((_cosine(chroma, np.roll(chroma, k, axis=1)) + rhythm) / 2) for k in range(12)], axis=0)


def _cosine(a: Floats, b: Floats) -> Floats:
    """Cosines of rows [n, k], [m, k] -> [n, m]; two silent rows are alike, a silent and a sounding one are not."""
    length_a, length_b = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    cosine = (a @ b.T) / np.maximum(np.outer(length_a, length_b), 1e-12)
    return np.where((length_a[:, None] == 0) & (length_b[None] == 0), 1.0, cosine)


def _smooth(matrix: Floats) -> Floats:
    """The better of the means over the next and over the last FRAMES cells of each diagonal, shorter at the edges."""
    n = len(matrix)
    ahead, behind = np.zeros_like(matrix), np.zeros_like(matrix)
    count = np.zeros_like(matrix)
    for k in range(min(FRAMES, n)):
        ahead[: n - k, : n - k] += matrix[k:, k:]
        behind[k:, k:] += matrix[: n - k, : n - k]
        count[: n - k, : n - k] += 1
    return np.maximum(ahead / count, behind / count[::-1, ::-1])


def fitness_scape_plot(notes: Notes, bars: BarGrid, *, shortest_bars: int = 2) -> Floats:
    """Fitness of every passage: how much of the piece it explains by repetition, and how well; 0..1.

    Müller, Jiang & Grosche, *A Robust Fitness Measure for Capturing Repetitions in Music Recordings*, IEEE TASLP
    21(3), 2013, sections III-V: self-similarity with smoothing, transposition invariance, relative threshold and
    penalty; the best family of non-overlapping paths over a passage by dynamic programming; fitness is the harmonic
    mean of normalised score (eq. 6) and normalised coverage (eq. 8), both less what the passage owes to itself.
    Bars do not stretch as recordings do, so of the path steps (1, 1), (2, 1), (1, 2) only the first is left.

    Parameters
    ----------
    shortest_bars
        Shorter passages are not looked at.

    Returns
    -------
    float64 [F + 1, F]
        By length and first frame, F = 4 frames a bar; 0 for passages shorter than `shortest_bars` and longer than
        half the piece, which cannot come twice.
    """
    n = bars.n_bars * FRAMES
    fitness = np.zeros((n + 1, n))
    if not len(_pitches(notes)):
        return fitness
    similarity = _self_similarity_matrix(notes, bars)
    threshold = np.quantile(similarity, 1 - RELATIVE_THRESHOLD)
    scaled = np.ones_like(similarity) if threshold >= 1 - 1e-9 else (similarity - threshold) / (1 - threshold)
    score = np.where(similarity >= threshold - 1e-9, scaled, PENALTY)
    np.fill_diagonal(score, 1.0)
    along = np.zeros((n + 1, n + 1))  # sums along diagonals
    for i in range(n):
        along[i + 1, 1:] = along[i, :-1] + score[i]
    for length in range(shortest_bars * FRAMES, n // 2 + 1):
        path = along[length:, length:] - along[: n - length + 1, : n - length + 1]  # [first frame, where it recurs]
        n_starts = n - length + 1
        best, n_paths = np.zeros((n + 1, n_starts)), np.zeros((n + 1, n_starts))
        for stop in range(1, n + 1):
            best[stop], n_paths[stop] = best[stop - 1], n_paths[stop - 1]
            if stop >= length:
                taken = best[stop - length] + path[:, stop - length]
                better = taken > best[stop]
                best[stop] = np.where(better, taken, best[stop])
                n_paths[stop] = np.where(better, n_paths[stop - length] + 1, n_paths[stop])
        gain = np.clip((best[n] - length) / np.maximum(n_paths[n] * length, 1), 0, None)
        coverage = np.clip((n_paths[n] - 1) * length / n, 0, None)
        fitness[length, :n_starts] = 2 * gain * coverage / np.maximum(gain + coverage, 1e-12)
    return fitness


def structureness(notes: Notes, bars: BarGrid) -> dict[str, float]:
    """Structureness indicators, 0..1: the largest fitness of any passage of each of :data:`SPANS_BARS`.

    Wu & Yang 2020, section 4, SI: ``max fitness(i, j)`` over durations in the span. NaN where the piece is shorter
    than twice the span's shortest passage.
    """
    plot = fitness_scape_plot(notes, bars)
    found = {}
    for name, (least, most) in SPANS_BARS.items():
        rows = plot[least * FRAMES : None if most is None else most * FRAMES + 1]
        found[name] = float(rows.max()) if bars.n_bars >= 2 * least else float("nan")
    return found


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
            lambda notes, bars, name=name: structureness(notes, bars)[name],  # type: ignore[misc]
            f"structureness, {least} to {most} bars" if most else f"structureness, {least} bars or more",
        )
        for name, (least, most) in SPANS_BARS.items()
    },
}
"""Name -> metric of one piece."""


def measure(score: Score) -> dict[str, float]:
    """All of :data:`METRICS` of one piece; NaN where undefined."""
    notes, bars = note_array(score), bar_grid(score)
    structure = {f"structure_{name}": value for name, value in structureness(notes, bars).items()}
    return {name: structure[name] if name in structure else m.function(notes, bars) for name, m in METRICS.items()}


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
    """The nine features of MGEval of one piece, each a vector.

    Yang & Lerch, *On the evaluation of generative models in music*, Neural Computing and Applications 32, 2020,
    section 3.2: pitch count [1], pitch-class histogram [12] and transitions [144], pitch range [1], mean interval [1],
    note count [1], mean time between onsets in seconds [1], note-length histogram [12] and transitions [144].
    Histograms and transition tables are shares here, so that long pieces do not differ by being long. Notes in the
    order of onset, then pitch, without drums.
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
    """Overlapping area and KL divergence between distances within a set and distances to a reference, per feature.

    Yang & Lerch 2020, section 3.3: Euclidean distances of all pairs within the set and of all pairs across the two
    sets, a Gaussian kernel density of each (Scott's bandwidth), and ``integral min(p, q)`` (1 = the set differs from
    the reference no more than from itself) and ``KL(p || q)`` in nats. Both densities are read on one grid; the
    authors' code reads each on its own, which is no divergence.

    Returns
    -------
    dict
        Feature -> ``overlapping_area``, ``kl``, ``within`` and ``across`` (mean distances).

    Raises
    ------
    InputError
        A set has fewer than three pieces.
    """
    if min(len(pieces), len(reference)) < 3:
        raise InputError(f"{len(pieces)} pieces against {len(reference)}: comparing sets needs at least three of each")
    found = {}
    for name in pieces[0]:
        ours, theirs = np.stack([p[name] for p in pieces]), np.stack([p[name] for p in reference])
        within = _distances(ours, ours)[np.triu_indices(len(ours), 1)]
        across = _distances(ours, theirs).ravel()
        reach = max(float(within.max()), float(across.max()), 1e-9)
        # A set that does not vary at all still has a density.
        widths = [max(float(d.std(ddof=1)) * len(d) ** -0.2, 1e-3 * reach) for d in (within, across)]
        grid = np.linspace(-3 * max(widths), reach + 3 * max(widths), 1000)
        p, q = (_density(d, w, grid) for d, w in zip((within, across), widths, strict=True))
        step = grid[1] - grid[0]
        p, q = p / (p.sum() * step), q / (q.sum() * step)
        ratio = np.log(np.maximum(p, 1e-12) / np.maximum(q, 1e-12))
        found[name] = {
            "overlapping_area": float(np.minimum(p, q).sum() * step),
            "kl": float(max((p * ratio).sum() * step, 0.0)),
            "within": float(within.mean()),
            "across": float(across.mean()),
        }
    return found


def _distances(a: Floats, b: Floats) -> Floats:
    return np.sqrt(np.clip((a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T, 0, None))


def _density(values: Floats, width: float, grid: Floats) -> Floats:
    """Gaussian kernel density on a grid; values are gathered in its bins first, which are far finer than the kernel."""
    step = grid[1] - grid[0]
    counts = np.bincount(np.rint((values - grid[0]) / step).astype(np.int64), minlength=len(grid))[: len(grid)]
    reach = np.arange(-(len(grid) - 1), len(grid)) * step / width
    kernel = np.exp(-(reach**2) / 2) / (width * np.sqrt(2 * np.pi))
    return np.convolve(counts / len(values), kernel, mode="valid" if len(kernel) < len(grid) else "same")[
        : len(grid)
    ]


# --------------------------------------------------------------------------------------------- sets: Fréchet distance


def frechet_distance(x: NDArray[Any], y: NDArray[Any]) -> float:
    """Squared Fréchet distance of Gaussians fitted to two sets, as FID and FAD report it.

    ``|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^0.5)``: Dowson & Landau 1982, eq. 4; Heusel et al., NeurIPS 2017, section 4;
    Kilgour et al., *Fréchet Audio Distance*, Interspeech 2019, eq. 1.

    Parameters
    ----------
    x, y
        Embeddings [n, width] and [m, width], at least two rows each. Small sets are biased upwards: see
        :func:`frechet`.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise InputError(f"embeddings {x.shape} and {y.shape} do not fit: give [n, width] of one width, n from 2")
    shift = x.mean(0) - y.mean(0)
    # tr((S1 S2)^0.5) is the sum of the singular values of X1 X2' (X centred and scaled): no roots of matrices needed.
    a, b = (x - x.mean(0)) / np.sqrt(len(x) - 1), (y - y.mean(0)) / np.sqrt(len(y) - 1)
    shared = np.linalg.svd(a @ b.T if min(len(a), len(b)) < a.shape[1] else _root(a) @ _root(b), compute_uv=False).sum()
    return float(max(shift @ shift + (a**2).sum() + (b**2).sum() - 2 * shared, 0.0))


def _root(a: Floats) -> Floats:
    """The symmetric root of ``a' a`` [width, width]."""
    values, vectors = np.linalg.eigh(a.T @ a)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


def frechet(
    x: NDArray[Any], reference: NDArray[Any], *, n_draws: int = 200, n_sizes: int = 12, seed: int = 0
) -> dict[str, Any]:
    """Fréchet distance of a set to a reference, with its interval and extrapolated to sets without end.

    Bias falls as 1 / n, so the distances of subsets lie on a line over 1 / n, which meets 0 at the unbiased distance:
    Chong & Forsyth, *Effectively Unbiased FID*, CVPR 2020, section 4; Gui et al., *Adapting Fréchet Audio Distance*,
    ICASSP 2024 (arXiv 2311.01616), section 3.3, whose way of growing the evaluated set against a fixed reference is
    the one here. Sizes go from half the set to all of it, four subsets each.

    Returns
    -------
    dict
        ``n``, ``distance``; ``interval``, 95 % by bootstrap over pieces (a resampled set is a smaller one, so it lies
        high; compare it with other intervals of the same n); ``extrapolated`` and ``extrapolated_interval``, 95 % by
        the line's standard error (of the extrapolation alone).
    """
    x = np.asarray(x, dtype=np.float64)
    rng = np.random.default_rng(seed)
    n = len(x)
    sizes = np.unique(np.linspace(max(n // 2, 2), n, n_sizes).astype(int))
    points = [(1 / size, frechet_distance(x[rng.permutation(n)[:size]], reference)) for size in sizes for _ in range(4)]
    inverse, distance = np.array(points).T
    if len(sizes) > 2:
        (_, intercept), covariance = np.polyfit(inverse, distance, 1, cov=True)
        error = 1.96 * float(np.sqrt(covariance[1, 1]))
    else:
        intercept, error = float("nan"), float("nan")
    draws = [frechet_distance(x[rng.integers(n, size=n)], reference) for _ in range(n_draws)]
    return {
        "n": n,
        "distance": frechet_distance(x, reference),
        "interval": [float(q) for q in np.quantile(draws, [0.025, 0.975])] if draws else [float("nan")] * 2,
        "extrapolated": float(intercept),
        "extrapolated_interval": [float(intercept - error), float(intercept + error)],
    }


def mean_with_interval(values: Floats) -> tuple[float, tuple[float, float]]:
    """Mean of what is defined and its 95 % bootstrap interval over pieces."""
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), (float("nan"), float("nan"))
    return float(values.mean()), bootstrap(values, lambda rows: float(rows.mean()), n_draws=500)
