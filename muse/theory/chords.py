"""Chords and tonal space from pitch-class weights, the common ground of scores and audio.

Conventions
-----------
* Pitch-class weights as in :mod:`muse.theory.keys`.
* Chord label: index into :data:`CHORD_NAMES` (root-major order: all qualities of C, then of C sharp ...);
  -1 means "no chord".

Contents: :data:`CHORDS`, :data:`CHORD_QUALITIES`, :data:`CHORD_NAMES`; :func:`chord_scores`, :func:`label_chords`,
:func:`viterbi`; :func:`pitch_class_set_type`; :func:`tonal_centroid`.

References
----------
Fujishima 1999, "Realtime chord recognition of musical sound", ICMC. Harte, Sandler, Abdallah & Gomez 2005, "Symbolic
representation of musical chords", ISMIR. Harte, Sandler & Gasser 2006, "Detecting harmonic change in musical audio",
AMCMM. Viterbi 1967, "Error bounds for convolutional codes", IEEE Trans. Inf. Theory 13.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from muse.theory.keys import PITCH_CLASS_NAMES

__all__ = [
    "CHORDS",
    "CHORD_NAMES",
    "CHORD_QUALITIES",
    "ChordQuality",
    "chord_scores",
    "label_chords",
    "pitch_class_set_type",
    "tonal_centroid",
    "viterbi",
]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ChordQuality:
    """A kind of chord."""

    suffix: str
    """What follows the root in a lead sheet: ``"m7b5"``."""
    harte: str
    """What follows the root and a colon in the syntax of Harte et al.: ``"hdim7"``."""
    intervals: tuple[int, ...]
    """Semitones above the root, the root first."""


CHORDS: Final = (
    ChordQuality("", "maj", (0, 4, 7)),
    ChordQuality("m", "min", (0, 3, 7)),
    ChordQuality("dim", "dim", (0, 3, 6)),
    ChordQuality("aug", "aug", (0, 4, 8)),
    ChordQuality("sus2", "sus2", (0, 2, 7)),
    ChordQuality("sus4", "sus4", (0, 5, 7)),
    ChordQuality("7", "7", (0, 4, 7, 10)),
    ChordQuality("maj7", "maj7", (0, 4, 7, 11)),
    ChordQuality("m7", "min7", (0, 3, 7, 10)),
    ChordQuality("m7b5", "hdim7", (0, 3, 6, 10)),
    ChordQuality("dim7", "dim7", (0, 3, 6, 9)),
    ChordQuality("6", "maj6", (0, 4, 7, 9)),
    ChordQuality("m6", "min6", (0, 3, 7, 9)),
)
"""All kinds of chord that Muse has a name for."""

CHORD_QUALITIES: Final[dict[str, tuple[int, ...]]] = {
    one.suffix: one.intervals for one in CHORDS if one.suffix not in ("sus2", "sus4", "6", "m6")
}
"""Intervals above the root, by suffix of the chord's name, of the chords that scores are labelled with. Suspended
and sixth chords are not among them: they are inversions of one another and of sevenths, which pitch-class weights
cannot tell apart."""

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
    labels = np.full(len(scores), -1, dtype=np.int64)
    sounding = np.flatnonzero(scores.any(axis=1))
    if len(sounding):
        labels[sounding[0] :] = viterbi(scores[sounding[0] :], switch_cost)
    return labels


def viterbi(scores: NDArray[Any], transitions: NDArray[Any] | float) -> NDArray[np.int64]:
    """The path through states whose scores and transitions add up to the most (Viterbi 1967).

    Parameters
    ----------
    scores
        float ``[n_steps, n_states]``, of each state at each step; for example log probabilities. At least one step.
    transitions
        float ``[n_states, n_states]``, score of going from the row's state to the column's; or one cost for every
        change of state, of all steps or of each ``[n_steps]``, which is faster by a factor of ``n_states``.

    Returns
    -------
    int ``[n_steps]``. Of equal paths the one that changes later under a single cost, otherwise the one that comes from
    the first state.
    """
    n_steps, n_states = scores.shape
    matrix = np.ndim(transitions) == 2
    costs = np.zeros(n_steps) if matrix else np.broadcast_to(transitions, n_steps)
    states = np.arange(n_states)
    total = scores[0].copy()
    back = np.empty((n_steps, n_states), np.int16)
    for step in range(1, n_steps):
        if matrix:
            candidates = total[:, None] + transitions
            back[step] = candidates.argmax(axis=0)
            total = candidates[back[step], states]
        else:
            best = int(total.argmax())
            jumped = total[best] - costs[step]
            back[step] = np.where(total <= jumped, best, states)
            total = np.maximum(total, jumped)
        total = total + scores[step]
    path = np.empty(n_steps, np.int64)
    path[-1] = int(total.argmax())
    for step in range(n_steps - 1, 0, -1):
        path[step - 1] = back[step, path[step]]
    return path


_SET_TYPES: Final = {"m": 1, "": 2, "dim": 3, "aug": 4, "m7": 6, "7": 7, "maj7": 8}


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
    for suffix, chord_type in _SET_TYPES.items():
        for root in range(12):
            table[sum(1 << ((root + step) % 12) for step in CHORD_QUALITIES[suffix])] = chord_type
    table.setflags(write=False)
    return table


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
