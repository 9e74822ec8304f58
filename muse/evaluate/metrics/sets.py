"""How far does a set of pieces lie from another? Distances within sets and across them, feature by feature.

Yang & Lerch, *On the evaluation of generative models in music*, Neural Computing and Applications 32, 2020 (MGEval).

Contents: :func:`set_features`, :func:`compare_sets`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from muse.errors import InputError
from muse.score import DRUMS, Score, note_array

__all__ = ["compare_sets", "set_features"]

Floats: TypeAlias = NDArray[np.float64]

_NOTE_VALUES = np.array([4, 2, 1, 0.5, 0.25, 3, 1.5, 0.75, 0.375, 4 / 3, 2 / 3, 1 / 3])
"""Yang & Lerch's twelve note lengths in beats: whole to sixteenth, four dotted ones, three triplets."""


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
