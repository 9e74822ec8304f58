"""Key and chord from pitch-class weights, the common ground of scores and audio.

Conventions
-----------
* Pitch class: 0..11, C = 0. Pitch-class weights: float ``[..., 12]``, not negative, any scale (seconds, beats or
  chroma energy); a row of zeros means "no pitched sound" and yields NaN strengths, never an exception.
* Key: tonic 0..11 and mode ``"major"`` or ``"minor"``; tables of 24 keys list the 12 major keys first.
* Chord label: index into :data:`CHORD_NAMES` (root-major order: all qualities of C, then of C sharp ...);
  -1 means "no chord".

Contents
--------
Keys: :data:`KEY_PROFILES`, :func:`key_strengths`, :func:`key_from_weights`, :func:`estimate_key`, :class:`Key`.
Chords: :data:`CHORD_QUALITIES`, :func:`chord_scores`, :func:`label_chords`, :func:`pitch_class_set_type`.
Tonal space: :func:`tonal_centroid`.

References
----------
Krumhansl & Kessler 1982, "Tracing the dynamic changes in perceived tonal organization", Psych. Review 89.
Temperley 1999, "What's key for key?", Music Perception 17. Albrecht & Shanahan 2013, "The use of large corpora to
train a new type of key-finding algorithm", Music Perception 31. Harte, Sandler & Gasser 2006, "Detecting harmonic
change in musical audio", AMCMM. Fujishima 1999, "Realtime chord recognition of musical sound", ICMC.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from muse.errors import InputError

__all__ = [
    "CHORD_NAMES",
    "CHORD_QUALITIES",
    "KEY_PROFILES",
    "PITCH_CLASS_NAMES",
    "Key",
    "chord_scores",
    "estimate_key",
    "key_from_weights",
    "key_strengths",
    "label_chords",
    "pitch_class_set_type",
    "tonal_centroid",
]

FloatArray = NDArray[np.float64]
Mode = Literal["major", "minor"]

PITCH_CLASS_NAMES: Final = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")

KEY_PROFILES: Final[dict[str, tuple[tuple[float, ...], tuple[float, ...]]]] = {
    "krumhansl": (
        (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
        (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
    ),
    "temperley": (
        (5.0, 2.0, 3.5, 2.0, 4.5, 4.0, 2.0, 4.5, 2.0, 3.5, 1.5, 4.0),
        (5.0, 2.0, 3.5, 4.5, 2.0, 4.0, 2.0, 4.5, 3.5, 2.0, 1.5, 4.0),
    ),
    "albrecht": (
        (0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081),
        (0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052),
    ),
}
"""Major and minor profile (tonic first) by name of the author."""

LISTENERS: Final = "krumhansl"
"""Profile of strengths: how well each tone fits a key in listeners' ears."""
KEY_FINDER: Final = "albrecht"
"""Profile for naming a key. Keys right on 205 pieces whose title tells it: 0.81 (Krumhansl 0.67, Temperley 0.72); on
150 songs of POP909: 0.89 (0.85, 0.63)."""


@dataclass(frozen=True, slots=True)
class Key:
    """A musical key and how clearly it is heard."""

    tonic: int
    """Pitch class of the tonic, 0..11 (C = 0)."""
    mode: Mode
    """``"major"`` or ``"minor"``."""
    clarity: float
    """Correlation of the weights with the key's profile, -1..1."""

    def __str__(self) -> str:
        """Short name as in lead sheets: ``"C"``, ``"F#m"``."""
        return PITCH_CLASS_NAMES[self.tonic] + ("m" if self.mode == "minor" else "")


@lru_cache(maxsize=len(KEY_PROFILES))
def _profile_matrix(profile: str) -> FloatArray:
    """All 24 rotated profiles, centered and of unit length: float64 ``[24, 12]``."""
    if profile not in KEY_PROFILES:
        raise InputError(f"key profile {profile!r} is not one of {sorted(KEY_PROFILES)}")
    rows = np.array([np.roll(base, tonic) for base in KEY_PROFILES[profile] for tonic in range(12)])
    rows -= rows.mean(axis=1, keepdims=True)
    matrix: FloatArray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    matrix.setflags(write=False)
    return matrix


def key_strengths(pc_weights: ArrayLike, *, profile: str = LISTENERS) -> FloatArray:
    """Pearson correlation of pitch-class weights with the 24 key profiles (Krumhansl & Schmuckler).

    Parameters
    ----------
    pc_weights
        float ``[..., 12]``, weight of each pitch class.
    profile
        Name of a pair in :data:`KEY_PROFILES`.

    Returns
    -------
    float64 ``[..., 24]`` in -1..1: the 12 major keys, then the 12 minor ones. NaN for rows without variance.
    """
    weights = np.asarray(pc_weights, dtype=np.float64)
    if weights.shape[-1:] != (12,):
        raise InputError(f"pitch-class weights have shape {weights.shape}, the last axis must be 12")
    centered = weights - weights.mean(axis=-1, keepdims=True)
    norm = np.sqrt((centered * centered).sum(axis=-1, keepdims=True))
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = np.where(norm > 1e-12 * (1.0 + np.abs(weights).max(axis=-1, keepdims=True)), centered / norm, np.nan)
    return np.asarray(unit @ _profile_matrix(profile).T)


def key_from_weights(
    pc_weights: ArrayLike, *, profile: str = KEY_FINDER
) -> tuple[NDArray[np.int64], NDArray[np.str_], FloatArray]:
    """Best key of each row of pitch-class weights.

    Parameters
    ----------
    pc_weights
        float ``[..., 12]``.
    profile
        Name of a pair in :data:`KEY_PROFILES`.

    Returns
    -------
    tonic
        int ``[...]``, 0..11; -1 where the row has no pitched sound.
    mode
        str ``[...]``, ``"major"`` or ``"minor"``; ``""`` where the row has no pitched sound.
    strengths
        float64 ``[..., 24]``, see :func:`key_strengths`.
    """
    strengths = key_strengths(pc_weights, profile=profile)
    known = ~np.isnan(strengths[..., 0])
    best = np.where(known, np.argmax(np.nan_to_num(strengths, nan=-2.0), axis=-1), -1)
    mode = np.where(known, np.where(best >= 12, "minor", "major"), "")
    return np.where(known, best % 12, -1), mode, strengths


def estimate_key(notes: NDArray[np.void], *, profile: str = KEY_FINDER) -> Key | None:
    """Key of a note array (fields ``pitch``, ``duration_beat``, ``program``), weighted by duration.

    Returns None where no pitched note sounds or all pitch classes weigh the same.
    """
    pitched = notes[notes["program"] < 128]
    weights = np.bincount(pitched["pitch"].astype(np.int64) % 12, weights=pitched["duration_beat"], minlength=12)
    strengths = key_strengths(weights, profile=profile)
    if np.isnan(strengths[0]):
        return None
    best = int(np.argmax(strengths))
    return Key(best % 12, "minor" if best >= 12 else "major", float(strengths[best]))


# ---------------------------------------------------------------------------------------------------------- chords

CHORD_QUALITIES: Final[dict[str, tuple[int, ...]]] = {
    "": (0, 4, 7),
    "m": (0, 3, 7),
    "dim": (0, 3, 6),
    "aug": (0, 4, 8),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "m7": (0, 3, 7, 10),
    "m7b5": (0, 3, 6, 10),
    "dim7": (0, 3, 6, 9),
}
"""Intervals above the root, by suffix of the chord's name."""

CHORD_NAMES: Final = tuple(root + suffix for root in PITCH_CLASS_NAMES for suffix in CHORD_QUALITIES)
"""108 chord names; a chord label indexes this table."""


@lru_cache(maxsize=1)
def _chord_matrix() -> FloatArray:
    """Binary chord templates of unit length: float64 ``[108, 12]``."""
    rows = np.zeros((len(CHORD_NAMES), 12))
    for root in range(12):
        for quality, intervals in enumerate(CHORD_QUALITIES.values()):
            rows[root * len(CHORD_QUALITIES) + quality, [(root + step) % 12 for step in intervals]] = 1.0
    matrix: FloatArray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    matrix.setflags(write=False)
    return matrix


def chord_scores(pc_weights: ArrayLike) -> FloatArray:
    """Cosine of pitch-class weights with every chord template (Fujishima 1999).

    Parameters
    ----------
    pc_weights
        float ``[..., 12]``.

    Returns
    -------
    float64 ``[..., 108]`` in 0..1 in the order of :data:`CHORD_NAMES`; zeros for rows without sound.
    """
    weights = np.asarray(pc_weights, dtype=np.float64)
    norm = np.sqrt((weights * weights).sum(axis=-1, keepdims=True))
    return np.asarray((weights / np.where(norm > 0.0, norm, 1.0)) @ _chord_matrix().T)


def label_chords(pc_weights: ArrayLike, *, switch_cost: float = 0.35) -> NDArray[np.int64]:
    """Most plausible chord of each time step, changing chord only where the notes insist.

    The path maximizes the summed template cosines minus ``switch_cost`` per change of chord (a Viterbi search with
    one transition cost), so that passing notes and bare melody beats keep the chord that they lie in.

    Parameters
    ----------
    pc_weights
        float ``[n_steps, 12]``, one row per step (for scores: per beat, weighted by duration).
    switch_cost
        Cost of a change, in units of cosine.

    Returns
    -------
    int ``[n_steps]``, index into :data:`CHORD_NAMES`. Silent steps keep the chord before them; -1 before the first
    sounding step.
    """
    scores = chord_scores(pc_weights)
    n_steps = len(scores)
    labels = np.full(n_steps, -1, dtype=np.int64)
    sounding = np.flatnonzero(scores.any(axis=1))
    if not len(sounding):
        return labels
    first = int(sounding[0])
    total = scores[first].copy()
    jumped = np.zeros((n_steps, scores.shape[1]), dtype=bool)
    leader = np.zeros(n_steps, dtype=np.int64)
    for step in range(first + 1, n_steps):
        best = int(total.argmax())
        floor = total[best] - switch_cost
        np.less_equal(total, floor, out=jumped[step])  # of equal paths the one that changes later
        leader[step] = best
        np.maximum(total, floor, out=total)
        total += scores[step]
    chord = int(total.argmax())
    for step in range(n_steps - 1, first - 1, -1):
        labels[step] = chord
        if jumped[step, chord]:
            chord = int(leader[step])
    return labels


_SET_TYPES: Final[tuple[tuple[int, tuple[int, ...]], ...]] = (
    (1, (0, 3, 7)),
    (2, (0, 4, 7)),
    (3, (0, 3, 6)),
    (4, (0, 4, 8)),
    (6, (0, 3, 7, 10)),
    (7, (0, 4, 7, 10)),
    (8, (0, 4, 7, 11)),
)


@lru_cache(maxsize=1)
def pitch_class_set_type() -> NDArray[np.int8]:
    """Chord type of every pitch-class set, in the order of jSymbolic's Chord Type Histogram.

    Returns
    -------
    int8 ``[4096]``, indexed by the set's bit mask (bit k = pitch class k): 0 two pitch classes, 1 minor triad, 2 major
    triad, 3 diminished, 4 augmented, 5 other triad, 6 minor seventh, 7 dominant seventh, 8 major seventh, 9 other
    four pitch classes, 10 five and more; -1 for none or one.
    """
    n_classes = np.array([mask.bit_count() for mask in range(4096)])
    sizes = [n_classes < 2, n_classes == 2, n_classes == 3, n_classes == 4]
    table = np.select(sizes, [-1, 0, 5, 9], 10).astype(np.int8)
    for chord_type, intervals in _SET_TYPES:
        for root in range(12):
            table[sum(1 << ((root + step) % 12) for step in intervals)] = chord_type
    table.setflags(write=False)
    return table


# ------------------------------------------------------------------------------------------------------ tonal space


@lru_cache(maxsize=1)
def _centroid_matrix() -> FloatArray:
    """Harte's transformation: fifths, minor thirds (radius 1) and major thirds (radius 0.5), float64 ``[12, 6]``."""
    pitch_class = np.arange(12)
    circles = ((1.0, 7.0 / 6.0), (1.0, 3.0 / 2.0), (0.5, 2.0 / 3.0))
    columns = [radius * turn(pitch_class * step * np.pi) for radius, step in circles for turn in (np.sin, np.cos)]
    matrix: FloatArray = np.stack(columns, axis=1)
    matrix.setflags(write=False)
    return matrix


def tonal_centroid(pc_weights: ArrayLike) -> FloatArray:
    """Tonal centroid of pitch-class weights (Harte, Sandler & Gasser 2006, equation 1).

    Parameters
    ----------
    pc_weights
        float ``[..., 12]``.

    Returns
    -------
    float64 ``[..., 6]``: coordinates on the circles of fifths, minor thirds and major thirds; NaN for silent rows. Two
    centroids are at most 3 apart (diameters 2, 2 and 1).
    """
    weights = np.asarray(pc_weights, dtype=np.float64)
    total = weights.sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((weights @ _centroid_matrix()) / np.where(total > 0.0, total, np.nan))
