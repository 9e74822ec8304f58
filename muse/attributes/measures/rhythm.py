"""Rhythm and time attributes: density, tempo, attacks and durations.

Densities and attacks count drums; durations and articulation do not, for drum hits have no duration of their own
(jSymbolic counts them there too).
"""

from __future__ import annotations

import math

import numpy as np

from muse.attributes.measures.stats import correlation, entropy_bits, mean, share, std
from muse.attributes.notes import FloatArray
from muse.attributes.window import Window
from muse.score import beat_to_sec

# -------------------------------------------------------------------------------------------------------------- density


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


# ---------------------------------------------------------------------------------------------------------------- tempo


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


# -------------------------------------------------------------------------------------------------------------- attacks


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


# ------------------------------------------------------------------------------------------------------------ durations


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
