"""Chords and tune of music that says neither: what a musician writes down as a lead sheet.

Conventions: times in quarter notes from the start of the excerpt, pitches MIDI. Chord qualities are those of
:data:`muse.theory.chord_symbols.QUALITIES`.

Contents: :func:`find_chords`, :func:`find_melody`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from muse.theory.chord_symbols import QUALITIES
from muse.theory.chords import viterbi

__all__ = ["find_chords", "find_melody"]

Floats = NDArray[np.float64]

_PRIOR: Final[dict[str, float]] = {
    "": 0.0, "m": 0.0, "7": -0.03, "m7": -0.03, "maj7": -0.04, "sus4": -0.10, "dim": -0.08, "dim7": -0.08,
    "m7b5": -0.08, "aug": -0.14,
}  # fmt: skip
"""Qualities that are looked for, and what each costs against a plain triad, in units of cosine."""

_BASS_IS_ROOT, _BASS_IN_CHORD = 0.18, 0.04
_CHANGE, _CHANGE_ON_DOWNBEAT = 0.42, 0.22


@lru_cache(maxsize=1)
def _templates() -> tuple[Floats, Floats, Floats]:
    """Unit templates [n, 12], priors [n], and the bonus for each bass [n, 12]; n = 12 roots times the qualities."""
    names = list(_PRIOR)
    tones = np.zeros((12 * len(names), 12))
    bass = np.zeros_like(tones)
    for root in range(12):
        for i, name in enumerate(names):
            for step in QUALITIES[name]:
                tones[root * len(names) + i, (root + step) % 12] = 1.0
                bass[root * len(names) + i, (root + step) % 12] = _BASS_IN_CHORD
            bass[root * len(names) + i, root] = _BASS_IS_ROOT
    prior = np.tile(list(_PRIOR.values()), 12)
    return tones / np.linalg.norm(tones, axis=1, keepdims=True), prior, bass


def find_chords(
    onset: Floats, duration: Floats, pitch: NDArray[Any], edges: Floats, is_downbeat: NDArray[np.bool_]
) -> list[tuple[int, str, int | None] | None]:
    """The most plausible chord of each step, by a Viterbi search over note weights and bass.

    A step scores the cosine of its pitch-class weights (time that each sounds, at most a step) with a chord's tones
    (Fujishima 1999), more where the lowest note is the root; changes cost, less so on downbeats.

    Parameters
    ----------
    onset, duration, pitch
        [n_notes] each: quarter notes, quarter notes, MIDI.
    edges
        float64 [n_steps + 1]: where the steps begin, and the end.
    is_downbeat
        bool [n_steps].

    Returns
    -------
    list
        (root, quality, bass where it is another tone of the chord) a step; None before anything sounds. Silent steps
        keep the chord before them.
    """
    n_steps = len(edges) - 1
    weights = np.zeros((n_steps, 12))
    lowest = np.full(n_steps, -1)
    low_pitch = np.full(n_steps, 999)
    first = np.clip(np.searchsorted(edges, onset + 1e-6, side="right") - 1, 0, n_steps - 1)
    for i in range(len(onset)):
        step, end = int(first[i]), onset[i] + duration[i]
        while step < n_steps and edges[step] < end - 1e-6:
            overlap = min(end, edges[step + 1]) - max(onset[i], edges[step])
            weights[step, int(pitch[i]) % 12] += overlap
            if pitch[i] < low_pitch[step] and overlap > 0.2 * (edges[step + 1] - edges[step]):
                low_pitch[step], lowest[step] = int(pitch[i]), int(pitch[i]) % 12
            step += 1
    tones, prior, bass = _templates()
    norm = np.linalg.norm(weights, axis=1, keepdims=True)
    sounding = norm[:, 0] > 0
    score = weights / np.where(norm > 0, norm, 1) @ tones.T + prior  # [n_steps, n]
    has_bass = lowest >= 0
    score[has_bass] += bass[:, lowest[has_bass]].T
    score[~sounding] = 0.0
    out: list[tuple[int, str, int | None] | None] = [None] * n_steps
    if not sounding.any():
        return out
    names = list(_PRIOR)
    path = viterbi(score, np.where(is_downbeat, _CHANGE_ON_DOWNBEAT, _CHANGE))
    for step in range(int(np.flatnonzero(sounding)[0]), n_steps):
        chord = int(path[step])
        root, index = divmod(chord, len(names))
        in_chord = lowest[step] >= 0 and bass[chord, lowest[step]] > 0
        out[step] = (root, names[index], int(lowest[step]) if in_chord and lowest[step] != root else None)
    return out


def find_melody(onset: Floats, duration: Floats, pitch: NDArray[Any]) -> tuple[NDArray[np.bool_], float]:
    """The top voice: which notes belong to the tune, and how far to trust it.

    At each onset the highest note leads, unless a higher one that led before still sounds; a leader a tenth or more
    below the running mean of the tune is taken for accompaniment under a rest.

    Parameters
    ----------
    onset, duration, pitch
        [n_notes] each, sorted by onset.

    Returns
    -------
    is_melody
        bool [n_notes].
    confidence
        0..1: how far the tune lies above the rest, and how rarely two notes of it sound together.
    """
    is_melody = np.zeros(len(onset), bool)
    if not len(onset):
        return is_melody, 0.0
    sounding_to, sounding_pitch, mean = -1.0, -1, float(np.quantile(pitch, 0.8))
    starts = np.flatnonzero(np.diff(onset, prepend=onset[0] - 1) > 1e-6)
    for start, stop in zip(starts, [*starts[1:], len(onset)], strict=True):
        top = start + int(np.argmax(pitch[start:stop]))
        if onset[top] < sounding_to - 0.1 and pitch[top] < sounding_pitch:
            continue
        if pitch[top] < mean - 15:
            continue
        is_melody[top] = True
        sounding_to, sounding_pitch = onset[top] + duration[top], int(pitch[top])
        mean += 0.05 * (float(pitch[top]) - mean)
    if is_melody.all() or not is_melody.any():
        return is_melody, 1.0 if is_melody.any() else 0.0
    gap = float(np.mean(pitch[is_melody]) - np.mean(pitch[~is_melody]))
    return is_melody, float(np.clip(gap / 16, 0, 1))
