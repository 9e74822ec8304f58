"""Judges of emotion: which quadrant does a piece of music carry?

A judge is fitted on human clips with known quadrants and then reads music that it has never seen, so a generator can
be checked by something that was not part of it. Nothing here is shared with ``muse.attributes``: a composer steers by
those, and a judge that measured with the same ruler would only confirm that the composer obeys itself.

Conventions
-----------
notes
    ``muse.score.note_array`` (structured, sorted by onset). Only ``onset_sec``, ``duration_sec``, ``pitch``,
    ``velocity`` and ``program`` are read: the training clips are performances whose bars mean nothing.
quadrants
    1..4 as integers; columns of probabilities in that order. Q1 +v+a, Q2 -v+a, Q3 -v-a, Q4 +v-a.
valence, arousal
    In [-1, 1]: ``p1 + p4 - p2 - p3`` and ``p1 + p2 - p3 - p4``.
no notes
    A score without pitched notes has no emotion to judge: all probabilities are 0.25.

Contents
--------
``describe``        notes -> feature vector of ``FeatureJudge``
``tokenize``        notes -> words of ``PhraseJudge``
``vary``            a clip as another recording would have it (loudness, timing, pedal, length)
``FeatureJudge``    trees and linear models on features;  ``PhraseJudge``  linear model on n-grams of words
``EmotionJudge``    both, fitted on the training clips of EMOPIA
``SelectorJudge``   the selector, heard in the same way
"""

from __future__ import annotations

import csv
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from muse.errors import InputError
from muse.evaluate.metrics.pieces import CHORD_GAP_SEC, spearman
from muse.score import DRUMS, Score, from_notes, note_array, read_score
from muse.selector import Selector
from muse.selector.events import MIN_NOTES

__all__ = [
    "Clips",
    "EmotionJudge",
    "FeatureJudge",
    "Hearing",
    "Judge",
    "PhraseJudge",
    "Scorecard",
    "SelectorJudge",
    "cross_validate",
    "describe",
    "feature_group",
    "fit_judges",
    "hits",
    "rate",
    "read_emopia",
    "read_vgmidi",
    "share",
    "tokenize",
    "valence_arousal",
    "vary",
]

Notes: TypeAlias = NDArray[np.void]
Floats: TypeAlias = NDArray[np.float64]
Music: TypeAlias = "Score | Notes | str | Path"
_Put: TypeAlias = Callable[[str, ArrayLike], None]

LONGEST_SEC = 2.0
"""A note counts at most this long; beyond it a transcription measures the pedal and a piano string has faded."""
FRAME_SEC = 0.5
"""Harmony is read in frames of this length, about one chord of slow music or half of one beat of fast music."""

LOUDNESS_SD = 18.0
"""Spread of the loudness level between variants of a clip, in MIDI velocity; recordings differ by about as much."""

_DIATONIC = np.array([1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1], float)
# Key profiles of Albrecht & Shanahan (Music Perception 31(1), 2013): means over a corpus of keys at openings and ends.
_MAJOR = np.array([0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081])
_MINOR = np.array([0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052])
_CHORDS = {
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "dom7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "min7": (0, 3, 7, 10),
    "dim": (0, 3, 6),
    "sus": (0, 5, 7),
    "aug": (0, 4, 8),
}
_FAMILY = {"maj": 0, "dom7": 0, "maj7": 0, "min": 1, "min7": 1, "dim": 2, "sus": 2, "aug": 2}


def _rolls(profile: Floats) -> Floats:
    """The twelve transpositions of a pitch-class profile, each standardised: [12, 12]."""
    centred = (profile - profile.mean()) / profile.std()
    return np.stack([np.roll(centred, k) for k in range(12)])


_MAJOR_KEYS, _MINOR_KEYS, _COLLECTIONS = _rolls(_MAJOR), _rolls(_MINOR), _rolls(_DIATONIC)
_TEMPLATES = np.concatenate([_rolls(np.bincount(np.array(c), minlength=12).astype(float)) for c in _CHORDS.values()])
_TEMPLATE_FAMILY = np.repeat([_FAMILY[c] for c in _CHORDS], 12)
_TEMPLATE_ROOT = np.tile(np.arange(12), len(_CHORDS))


class _Lines:
    """What both judges look at: attacks, top and bottom line, sounding pitch classes in frames, and the key."""

    def __init__(self, notes: Notes) -> None:
        notes = notes[np.argsort(notes["onset_sec"], kind="stable")]
        self.n = len(notes)
        self.onset = notes["onset_sec"] - notes["onset_sec"][0]
        self.duration = np.clip(notes["duration_sec"], 0.03, LONGEST_SEC)
        self.pitch = notes["pitch"].astype(int)
        self.velocity = notes["velocity"].astype(float)
        new = np.r_[True, np.diff(self.onset) > CHORD_GAP_SEC]
        self.attack = np.cumsum(new) - 1  # [n] which attack a note belongs to
        starts = np.flatnonzero(new)
        self.time = self.onset[starts]  # [attacks]
        self.size = np.diff(np.r_[starts, self.n])
        self.high = np.maximum.reduceat(self.pitch, starts)
        self.low = np.minimum.reduceat(self.pitch, starts)
        self.loud = np.maximum.reduceat(self.velocity, starts)
        self.span = float(max((self.onset + self.duration).max(), 1.0))
        # An attack belongs to the melody if nothing clearly higher began just before it (else it accompanies).
        first = np.searchsorted(self.time, self.time - 0.6)
        index = np.arange(len(self.time))
        ceiling = np.array([self.high[a : b + 1].max() for a, b in zip(first, index, strict=True)])
        floor = np.array([self.low[a : b + 1].min() for a, b in zip(first, index, strict=True)])
        self.melody = np.flatnonzero(self.high >= ceiling - 4)
        self.bass = np.flatnonzero(self.low <= floor + 4)
        self._harmony()

    def _harmony(self) -> None:
        edges = np.arange(0.0, self.span, FRAME_SEC)
        end = self.onset + self.duration
        share = np.minimum(end[:, None], edges[None] + FRAME_SEC) - np.maximum(self.onset[:, None], edges[None])
        share = np.clip(share, 0, None) ** 0.5  # [n, frames]; a root tames long pedals
        one_hot = np.eye(12)[self.pitch % 12]
        self.chroma = share.T @ one_hot  # [frames, 12]
        self.chroma = self.chroma[self.chroma.sum(1) > 0]
        weight: Floats = np.bincount(self.pitch % 12, np.sqrt(self.duration), 12).astype(float)
        self.total = weight / weight.sum()
        standard = _standard(self.total)
        self.major, self.minor = _MAJOR_KEYS @ standard / 12, _MINOR_KEYS @ standard / 12  # correlations [12]
        # How plausible each diatonic collection is, by major and relative-minor profile alike. The tonic is left
        # open on purpose: "C or a minor?" is answered by the histograms relative to the collection.
        fit = np.maximum(self.major, np.roll(self.minor, 3))
        self.collection = np.exp((fit - fit.max()) / 0.04)
        self.collection /= self.collection.sum()
        self.home = int(fit.argmax())

    def chords(self, frames: int = 1) -> tuple[NDArray[np.int64], Floats]:
        """Best chord template per group of frames and its fit: index into the templates [m], correlation [m]."""
        chroma = self.chroma
        if frames > 1 and len(chroma) >= frames:
            chroma = np.stack([chroma[i : i + frames].sum(0) for i in range(0, len(chroma) - frames + 1, frames)])
        fit = _standard(chroma) @ _TEMPLATES.T / 12
        fit -= 0.03 * (np.arange(len(_TEMPLATES)) >= 24)  # triads before richer chords
        fit -= 1e-6 * (
            (_TEMPLATE_ROOT - self.home) % 12
        )  # ties (a lone tone, symmetric chords) by degree, not by pitch
        return fit.argmax(1), fit.max(1)

    def relative(self, histogram: Floats) -> Floats:
        """A pitch-class histogram [12] (or [12, k]) turned to its collection, averaged over plausible ones."""
        rolled = np.stack([np.roll(histogram, -k, axis=0) for k in range(12)])
        return np.tensordot(self.collection, rolled, axes=1)


def _standard(x: Floats) -> Floats:
    centred = x - x.mean(-1, keepdims=True)
    return np.asarray(centred / np.maximum(x.std(-1, keepdims=True), 1e-9))


def _soft_histogram(values: Floats, low: float, step: float, bins: int, weight: Floats | None = None) -> Floats:
    """Shares of values over evenly spaced bin centres, each value split between its two neighbours: [bins]."""
    place = np.clip((values - low) / step, 0, bins - 1 - 1e-9)
    left, part = place.astype(int), place - place.astype(int)
    weight = np.ones(len(values)) if weight is None else weight
    out = np.bincount(left, weight * (1 - part), bins) + np.bincount(left + 1, weight * part, bins)[:bins]
    return np.asarray(out / max(out.sum(), 1e-9))


def describe(notes: Notes) -> dict[str, float]:
    """Features of a clip, none of which depends on bars, key signature or how long the clip is.

    Parameters
    ----------
    notes
        ``note_array`` with at least one pitched note.

    Returns
    -------
    dict
        Name -> value, always the same names in the same order.
    """
    x = _Lines(notes)
    out: dict[str, float] = {}

    def put(name: str, values: ArrayLike) -> None:
        array = np.asarray(values, dtype=float)
        if array.ndim == 0:
            out[name] = float(array)
        else:
            out.update({f"{name}_{i}": float(v) for i, v in enumerate(array)})

    _tonality(x, put)
    _lines_and_texture(x, put)
    _rhythm(x, put)
    _loudness(x, put)
    return out


def _tonality(x: _Lines, put: _Put) -> None:
    put("major_key", x.major.max())
    put("minor_key", x.minor.max())
    put("mode", x.major.max() - x.minor.max())
    put("mode_same_tonic", _same_tonic(x.major, x.minor))
    put("degree", x.relative(x.total))
    low, high = np.zeros(12), np.zeros(12)
    np.add.at(low, x.low[x.bass] % 12, 1.0 / len(x.bass))
    np.add.at(high, x.high[x.melody] % 12, 1.0 / len(x.melody))
    put("bass_degree", x.relative(low))
    put("melody_degree", x.relative(high))
    put("collection_fit", (_COLLECTIONS @ _standard(x.total)).max() / 12)
    entropy = -(x.total * np.log2(x.total + 1e-12)).sum()
    put("pitch_class_entropy", entropy)
    # Magnitudes of the Fourier transform of pitch classes (Quinn 2006; Yust 2016): chromatic cluster, tritones,
    # augmented triads, octatonic, diatonic, whole-tone content, of the whole and of the average frame.
    put("fourier", np.abs(np.fft.rfft(x.total))[1:])
    frames = x.chroma / x.chroma.sum(1, keepdims=True)
    put("frame_fourier", np.abs(np.fft.rfft(frames, axis=1))[:, 1:].mean(0))
    put("frame_pitch_classes", np.exp(-(frames * np.log(frames + 1e-12)).sum(1)).mean())
    interval_class = np.array([(frames * np.roll(frames, -k, axis=1)).sum(1).mean() for k in range(1, 7)])
    put("interval_class", interval_class / max(interval_class.sum(), 1e-9))
    for frames_each in (1, 2, 4):
        best, fit = x.chords(frames_each)
        family, root = _TEMPLATE_FAMILY[best], _TEMPLATE_ROOT[best]
        tag = f"chord{frames_each}"
        put(f"{tag}_family", np.bincount(family, minlength=3) / len(best))
        put(f"{tag}_fit", fit.mean())
        put(f"{tag}_change", float((best[1:] != best[:-1]).mean()) if len(best) > 1 else 0.0)
        table = np.zeros((12, 3))
        np.add.at(table, (root, family), 1.0 / len(best))
        put(f"{tag}_degree", x.relative(table).T.ravel())
        move = np.bincount((root[1:] - root[:-1]) % 12, minlength=12)[1:]
        put(f"{tag}_move", move / max(move.sum(), 1))
        kind = np.zeros(len(_CHORDS))
        np.add.at(kind, best // 12, 1.0 / len(best))
        put(f"{tag}_kind", kind)
    wide = _standard(np.stack([x.chroma[i : i + 8].sum(0) for i in range(0, max(len(x.chroma) - 4, 1), 4)]))
    local = (wide @ _MAJOR_KEYS.T).max(1) / 12 - (wide @ _MINOR_KEYS.T).max(1) / 12
    put("local_mode_mean", local.mean())
    put("local_mode_sd", local.std())
    put("local_major_share", (local > 0).mean())


def _same_tonic(major: Floats, minor: Floats) -> float:
    tonic = int(np.maximum(major, minor).argmax())
    return float(major[tonic] - minor[tonic])


def _lines_and_texture(x: _Lines, put: _Put) -> None:
    put("pitch_mean", x.pitch.mean())
    put("pitch_sd", x.pitch.std())
    put("pitch_percentile", np.percentile(x.pitch, [5, 25, 50, 75, 95]))
    put("register", _soft_histogram(x.pitch.astype(float), 30, 6, 12))
    put("register_time", _soft_histogram(x.pitch.astype(float), 30, 6, 12, np.sqrt(x.duration)))
    melody, bass = x.high[x.melody], x.low[x.bass]
    put("melody_pitch", [melody.mean(), melody.std(), np.ptp(melody)])
    put("bass_pitch", [bass.mean(), bass.std()])
    put("spread", (x.high - x.low).mean())
    put("hands_gap", melody.mean() - bass.mean())
    put("melody_interval", _interval_histogram(melody, 12))
    put("bass_interval", _interval_histogram(bass, 12))
    put("attack_interval", _interval_histogram(x.high, 12))
    put("melody_attacks", len(melody) / len(x.time))
    put("bass_attacks", len(bass) / len(x.time))
    put("attack_size", np.bincount(np.clip(x.size, 1, 6), minlength=7)[1:] / len(x.size))
    put("attack_size_mean", x.size.mean())
    ends = np.sort(x.onset + x.duration)
    sounding = np.searchsorted(x.onset, x.time, "right") - np.searchsorted(ends, x.time + 1e-3, "right")
    put("sounding", [sounding.mean(), sounding.std()])
    held = np.zeros((len(x.time), 128), dtype=bool)
    held[x.attack, x.pitch] = True
    put("octaves", (held[:, 12:] & held[:, :-12]).any(1).mean())


def _interval_histogram(line: NDArray[np.int64], limit: int) -> Floats:
    """Shares of signed steps of a line, wider ones in the outermost bins: [2 * limit + 1]."""
    steps = np.clip(np.diff(line), -limit, limit) + limit
    return np.bincount(steps, minlength=2 * limit + 1) / max(len(steps), 1)


def _rhythm(x: _Lines, put: _Put) -> None:
    put("notes_per_sec", x.n / x.span)
    put("attacks_per_sec", len(x.time) / x.span)
    for name, times in (("ioi", x.time), ("melody_ioi", x.time[x.melody]), ("bass_ioi", x.time[x.bass])):
        gap = np.diff(times) if len(times) > 2 else np.full(2, 2.0)
        log = np.log2(np.clip(gap, 0.03, 6.0))
        put(name, _soft_histogram(log, -4.5, 0.5, 14))
        put(f"{name}_weighted", _soft_histogram(log, -4.5, 0.5, 14, gap))
        put(f"{name}_log", [log.mean(), log.std(), *np.percentile(log, [10, 50, 90])])
        put(f"{name}_npvi", (np.abs(np.diff(gap)) / (gap[1:] + gap[:-1])).mean() if len(gap) > 1 else 0.0)
        put(f"{name}_same", (np.abs(np.diff(log)) < 0.2).mean() if len(gap) > 1 else 0.0)
    put("duration", _soft_histogram(np.log2(x.duration), -4, 0.5, 11))
    put("duration_log", [np.log2(x.duration).mean(), np.log2(x.duration).std()])
    following = np.r_[x.time[1:], x.time[-1] + 1.0][x.attack]
    overlap = np.clip(x.duration / np.maximum(following - x.onset, 0.03), 0, 8)
    put("articulation", np.percentile(overlap, [10, 50, 90]))
    step = 2.0
    per_window = np.bincount((x.time / step).astype(int))[: max(int(x.span / step), 1)]
    put("busy_sd", per_window.std() / max(per_window.mean(), 1e-9))
    put("longest_gap", np.percentile(np.diff(x.time), 98) if len(x.time) > 2 else 2.0)
    # Pulse: autocorrelation of blurred attack strength (40 ms, so that human and quantised timing look alike).
    rate = 25
    attacks = np.bincount((x.time * rate).astype(int), x.loud * np.sqrt(x.size), minlength=int(x.span * rate) + 1)
    strength = np.convolve(attacks, [0.25, 0.5, 0.25], "same")
    strength = strength - strength.mean()
    spectrum = np.abs(np.fft.rfft(strength, 2 * len(strength))) ** 2
    correlation = np.fft.irfft(spectrum)[: 3 * rate + 1]
    correlation = np.pad(correlation, (0, 3 * rate + 1 - len(correlation))) / max(correlation[0], 1e-9)
    lags = np.arange(4, 3 * rate)
    put("pulse", correlation[[5, 7, 10, 14, 20, 28, 40, 56]])
    put("pulse_best", correlation[lags].max())
    put("pulse_lag", np.log2(lags[correlation[lags].argmax()] / rate))


def _loudness(x: _Lines, put: _Put) -> None:
    v = x.velocity
    put("velocity_mean", v.mean())
    put("velocity_sd", v.std())
    put("velocity_percentile", np.percentile(v, [5, 25, 50, 75, 95]))
    put("velocity_step", np.abs(np.diff(x.loud)).mean() if len(x.loud) > 1 else 0.0)
    put("velocity_melody", x.loud[x.melody].mean() - v.mean())
    at = np.clip((x.pitch - 36) // 12, 0, 4)
    put("velocity_register", [v[at == k].mean() - v.mean() if (at == k).any() else 0.0 for k in range(5)])
    energy = np.bincount((x.onset / 2).astype(int), v)[: max(int(x.span / 2), 1)]
    put("energy", np.log(max(energy.mean(), 1.0)))
    put("energy_sd", energy.std() / max(energy.mean(), 1e-9))


def vary(notes: Notes, rng: np.random.Generator) -> Notes:
    """The same music as another recording or score might hold it; what a listener would not change their mind about.

    Loudness level and range, length of notes (pedal or none), exactness of timing, key, and which 20 to 40 seconds.
    Trained on EMOPIA as it is, a judge takes the recording for the emotion: its loud clips are the excited ones to
    nine in ten, and every score with one written velocity would be angry.
    """
    notes = notes.copy()
    start = notes["onset_sec"].min()
    end = (notes["onset_sec"] + notes["duration_sec"]).max()
    length = rng.uniform(20.0, 40.0)
    if end - start > length:
        first = rng.uniform(start, end - length)
        part = notes[(notes["onset_sec"] >= first) & (notes["onset_sec"] < first + length)]
        notes = part if len(part) >= 20 else notes
    velocity = notes["velocity"].astype(float)
    level = velocity.mean()
    velocity = level + rng.normal(0, LOUDNESS_SD) + rng.uniform(0.2, 1.2) * (velocity - level)
    notes["velocity"] = np.clip(np.round(velocity), 1, 127)
    if rng.random() < 0.5:
        step = rng.uniform(0.08, 0.16)
        stop = notes["onset_sec"] + notes["duration_sec"]
        notes["onset_sec"] = np.round(notes["onset_sec"] / step) * step
        notes["duration_sec"] = np.maximum(np.round((stop - notes["onset_sec"]) / step), 1) * step
    if rng.random() < 0.6:
        notes["duration_sec"] = np.maximum(notes["duration_sec"] * rng.uniform(0.35, 1.0), 0.05)
    notes["pitch"] = np.clip(notes["pitch"] + rng.integers(-4, 5), 21, 108)
    return notes[np.lexsort((notes["pitch"], notes["onset_sec"]))]


def tokenize(notes: Notes) -> list[str]:
    """The clip as words of six voices, alone and joined to pairs and triples: no averages, only what follows what.

    ``d`` degrees and ``i`` steps of the melody, ``r`` time between attacks with their size, ``c`` chords, ``b`` bass
    degrees, ``t`` register of attacks. Degrees count from the most plausible diatonic collection, so no key is heard;
    loudness is not heard at all, so this judge cannot be won by it.

    Parameters
    ----------
    notes
        ``note_array`` with at least one pitched note.
    """
    x = _Lines(notes)
    gap = np.diff(x.time)
    pace = np.clip(np.round(np.log2(np.clip(gap, 0.06, 4.0)) * 1.5), -6, 3).astype(int)
    melody = x.high[x.melody]
    step = np.clip(np.diff(melody), -9, 9)
    degree = (melody - x.home) % 12
    best, _ = x.chords(2)
    chord = [f"{(_TEMPLATE_ROOT[k] - x.home) % 12}{'Mmo'[_TEMPLATE_FAMILY[k]]}" for k in best]
    chord = [a for a, b in zip(chord, ["", *chord], strict=False) if a != b]
    bass = (x.low[x.bass] - x.home) % 12
    voices = {
        "d": [str(d) for d in degree],
        "i": [str(s) for s in step],
        "r": [f"{p}/{min(s, 4)}" for p, s in zip(pace, x.size, strict=False)],
        "c": chord,
        "b": [str(a) for a, b in zip(bass, np.r_[-1, bass], strict=False) if a != b],
        "t": [str(h // 6) for h in x.high],
    }
    words: list[str] = []
    for voice, symbols in voices.items():
        for n in (1, 2, 3):
            words += [voice + " ".join(symbols[i : i + n]) for i in range(len(symbols) - n + 1)]
    return words


class Hearing(Protocol):
    """What every judge can do, whatever it learnt from."""

    name: str

    def predict_proba(self, music: Sequence[Music]) -> Floats:
        """Probability of Q1..Q4: float64 [n, 4]."""

    def predict_va(self, music: Sequence[Music]) -> Floats:
        """Valence and arousal in [-1, 1]: float64 [n, 2]."""


class Judge(ABC):
    """What both judges share: music in, probabilities of the quadrants or valence and arousal out."""

    name: str
    """One line for reports."""

    @abstractmethod
    def _fit(self, clips: list[Notes], labels: NDArray[np.int64]) -> None:
        """Learn from clips with notes."""

    @abstractmethod
    def _predict(self, clips: list[Notes]) -> Floats:
        """Probabilities [n, 4] of clips with notes."""

    def fit(self, music: Sequence[Music], labels: Sequence[int] | NDArray[np.int64]) -> Self:
        """Learn from labelled clips.

        Parameters
        ----------
        music
            Scores, note arrays or MIDI paths [n]. Those without pitched notes are left out.
        labels
            Quadrants 1..4 [n]; each of the four at least twice.

        Raises
        ------
        InputError
            Lengths differ, a label is not 1..4, or a quadrant has fewer than two clips.
        """
        quadrant = np.asarray(labels, dtype=np.int64)
        if len(quadrant) != len(music):
            raise InputError(f"{len(music)} clips came with {len(quadrant)} labels; each clip needs one")
        if bad := sorted(set(quadrant.tolist()) - {1, 2, 3, 4}):
            raise InputError(f"labels {bad} are no quadrants; legal are 1, 2, 3, 4")
        clips = [_pitched(m) for m in music]
        kept = np.array([len(c) > 0 for c in clips], dtype=bool)
        quadrant = quadrant[kept]
        if few := [q for q in (1, 2, 3, 4) if (quadrant == q).sum() < 2]:
            raise InputError(f"quadrants {few} have fewer than two clips with notes; a judge must hear all four")
        self._fit([c for c in clips if len(c)], quadrant)
        return self

    def predict_proba(self, music: Sequence[Music]) -> Floats:
        """Probability of Q1..Q4: float64 [n, 4]; 0.25 each where there is no pitched note."""
        clips = [_pitched(m) for m in music]
        out = np.full((len(clips), 4), 0.25)
        sounding = [i for i, c in enumerate(clips) if len(c)]
        if sounding:
            out[sounding] = self._predict([clips[i] for i in sounding])
        return out

    def predict(self, music: Sequence[Music]) -> NDArray[np.int64]:
        """Most probable quadrant 1..4: int64 [n]."""
        return np.asarray(self.predict_proba(music).argmax(1) + 1)

    def predict_va(self, music: Sequence[Music]) -> Floats:
        """Valence and arousal in [-1, 1]: float64 [n, 2]."""
        return valence_arousal(self.predict_proba(music))


def valence_arousal(probabilities: Floats) -> Floats:
    """Expected signs of valence and arousal under quadrant probabilities: [n, 4] -> [n, 2] in [-1, 1]."""
    p1, p2, p3, p4 = np.asarray(probabilities, dtype=float).T
    return np.stack([p1 + p4 - p2 - p3, p1 + p2 - p3 - p4], axis=1)


def _pitched(music: Music) -> Notes:
    if not isinstance(music, np.ndarray):
        music = note_array(read_score(music) if isinstance(music, (str, Path)) else music)
    return music[music["program"] < DRUMS]


class FeatureJudge(Judge):
    """Averaged extremely randomised trees on :func:`describe`, fitted on each clip as it is and in three variants.

    Two readings are averaged. One is of the four quadrants at once. The other is of the two axes apart, where valence
    is heard half from harmony and key alone: what distinguishes glad from sad recordings otherwise (loudness,
    register, pedal) belongs to the corpus and misleads on other piano music.

    Parameters
    ----------
    seed
        Of the variants and the trees.
    n_variants
        Varied copies of each training clip, see :func:`vary`.
    n_trees
        Of each of the four forests.

    Attributes
    ----------
    feature_names_
        Names of the features [n_features].
    importances_
        Mean decrease in impurity [n_features] of the four-quadrant forest.
    """

    name = "feature judge (extremely randomised trees on tonality, lines, texture, rhythm, loudness)"

    def __init__(self, seed: int = 0, *, n_variants: int = 3, n_trees: int = 250) -> None:
        self.seed, self.n_variants, self.n_trees = seed, n_variants, n_trees

    def _fit(self, clips: list[Notes], labels: NDArray[np.int64]) -> None:
        rng = np.random.default_rng(self.seed)
        copies = clips + [vary(clip, rng) for _ in range(self.n_variants) for clip in clips]
        X, self.feature_names_ = _matrix(copies)
        y = np.tile(labels, 1 + self.n_variants)
        self._harmonic = np.array([feature_group(name) == "tonality" for name in self.feature_names_])
        arousal, valence = y <= 2, (y == 1) | (y == 4)
        self._quadrant = self._forest(X, y)
        self._arousal = self._forest(X, arousal)
        self._valence = self._forest(X, valence)
        self._valence_harmonic = self._forest(X[:, self._harmonic], valence)
        self.importances_ = np.asarray(self._quadrant.feature_importances_)

    def _forest(self, X: Floats, y: NDArray[Any]) -> Any:
        from sklearn.ensemble import ExtraTreesClassifier

        # A leaf holds at least a whole clip with its three variants.
        return ExtraTreesClassifier(
            self.n_trees, max_features=0.2, min_samples_leaf=4, class_weight="balanced", random_state=self.seed
        ).fit(X, y)

    def _predict(self, clips: list[Notes]) -> Floats:
        X, _ = _matrix(clips)
        a = self._arousal.predict_proba(X)[:, 1]
        v = self._valence.predict_proba(X)[:, 1] + self._valence_harmonic.predict_proba(X[:, self._harmonic])[:, 1]
        v /= 2
        axes = np.stack([a * v, a * (1 - v), (1 - a) * (1 - v), (1 - a) * v], axis=1)
        return np.asarray((self._quadrant.predict_proba(X) + axes) / 2)


class PhraseJudge(Judge):
    """Logistic regression on the n-grams of :func:`tokenize`, weighted by rarity; deaf to loudness and to averages."""

    name = "phrase judge (logistic regression on n-grams of melody, rhythm, chords, bass and register)"

    def __init__(self, seed: int = 0, *, n_variants: int = 2) -> None:
        self.seed, self.n_variants = seed, n_variants

    def _fit(self, clips: list[Notes], labels: NDArray[np.int64]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        rng = np.random.default_rng(self.seed)
        copies = clips + [vary(clip, rng) for _ in range(self.n_variants) for clip in clips]
        # Words of fewer than eight documents (under three clips with their variants) are memories of single songs.
        words = TfidfVectorizer(analyzer=_as_is, min_df=min(8, len(clips) // 4), sublinear_tf=True)
        self._model = make_pipeline(words, LogisticRegression(C=3.0, max_iter=500, class_weight="balanced"))
        self._model.fit([tokenize(c) for c in copies], np.tile(labels, 1 + self.n_variants))

    def _predict(self, clips: list[Notes]) -> Floats:
        return np.asarray(self._model.predict_proba([tokenize(c) for c in clips]))


class SelectorJudge:
    """The selector heard as a judge; it reads bars where there are any, and has taken part in choosing."""

    name = "selector (transformer encoder on events)"

    def __init__(self, selector: Selector) -> None:
        self.selector = selector

    def predict_proba(self, music: Sequence[Music]) -> Floats:
        """Probability of Q1..Q4: float64 [n, 4]; 0.25 each where there are fewer than four notes."""
        return self._heard(music)[:, :4]

    def predict_va(self, music: Sequence[Music]) -> Floats:
        """Valence and arousal in [-1, 1]: float64 [n, 2], by the selector's regression."""
        return self._heard(music)[:, 4:]

    def _heard(self, music: Sequence[Music]) -> Floats:
        scores = [_score(one) for one in music]
        out = np.tile([0.25] * 4 + [0.0] * 2, (len(scores), 1))
        told = [i for i, score in enumerate(scores) if len(note_array(score)) >= MIN_NOTES]
        for i, rating in zip(told, self.selector.rate([scores[i] for i in told]), strict=True):
            out[i] = [*rating.quadrants, rating.emotion.valence, rating.emotion.arousal]
        return out


def fit_judges(corpora: str | Path, selector: Selector | None = None) -> dict[str, Hearing]:
    """Everybody who hears the pieces of a report: ``primary`` decides, ``second`` and ``selector`` stand beside it."""
    judge = EmotionJudge.from_corpora(corpora)
    judges: dict[str, Hearing] = {"primary": judge.primary, "second": judge.second}
    return judges | ({"selector": SelectorJudge(selector)} if selector else {})


def _score(music: Music) -> Score:
    if isinstance(music, np.ndarray):
        return from_notes(music)
    return read_score(music) if isinstance(music, (str, Path)) else music


def _as_is(words: list[str]) -> list[str]:
    return words


def _matrix(clips: Sequence[Notes]) -> tuple[Floats, tuple[str, ...]]:
    rows = [describe(clip) for clip in clips]
    return np.array([list(row.values()) for row in rows]), tuple(rows[0])


def feature_group(name: str) -> str:
    """What a feature of :func:`describe` is about: ``tonality``, ``rhythm``, ``loudness`` or ``lines``."""
    for group, starts in _GROUPS.items():
        if name.startswith(starts):
            return group
    return "lines"


_GROUPS = {
    "tonality": (
        "major_key", "minor_key", "mode", "degree", "bass_degree", "melody_degree", "collection", "pitch_class",
        "fourier", "frame", "interval_class", "chord", "local",
    ),
    "rhythm": (
        "notes_per", "attacks_per", "ioi", "melody_ioi", "bass_ioi", "duration", "articulation", "busy", "longest",
        "pulse",
    ),
    "loudness": ("velocity", "energy"),
}  # fmt: skip


@dataclass(frozen=True)
class Clips:
    """Labelled music."""

    music: list[Notes]
    """Note arrays [n]."""
    quadrant: NDArray[np.int64]
    """1..4 [n]."""
    song: NDArray[np.str_]
    """Which song (or game series) a clip is from [n]; never split a song between training and testing."""
    rating: Floats
    """Listeners' valence and arousal in -1..1, ``[n, 2]``; NaN where a corpus has only quadrants."""
    source: list[Music]
    """What the note arrays were read from [n], for judges that read bars too."""

    @classmethod
    def of(cls, music: Sequence[Music], quadrant: Sequence[int]) -> Clips:
        """Pieces that stand alone, without ratings."""
        n = len(music)
        song = np.array([str(i) for i in range(n)], dtype=np.str_)
        notes = [_pitched(m) for m in music]
        return cls(notes, np.asarray(quadrant, dtype=np.int64), song, np.full((n, 2), np.nan), list(music))

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.music)

    def __add__(self, other: Clips) -> Clips:
        """Both sets, one after the other."""
        return Clips(
            self.music + other.music,
            np.concatenate([self.quadrant, other.quadrant]),
            np.concatenate([self.song, other.song]),
            np.concatenate([self.rating, other.rating]),
            self.source + other.source,
        )

    def take(self, rows: NDArray[np.int64]) -> Clips:
        """The clips of these indices, repeats included."""
        source = [self.source[i] for i in rows]
        return Clips([self.music[i] for i in rows], self.quadrant[rows], self.song[rows], self.rating[rows], source)


def read_emopia(corpora: str | Path, split: str) -> Clips:
    """Clips of EMOPIA (Hung et al., ISMIR 2021): ``split`` is ``"train"`` or ``"val"`` of the official lists.

    Raises
    ------
    InputError
        The folder or its table is missing or has no such clips.
    """
    return _read(Path(corpora) / "emopia-nc", "split", split, "song_id", rated=False)


def read_vgmidi(corpora: str | Path) -> Clips:
    """The labelled pieces of VGMIDI (Ferreira & Whitehead, ISMIR 2019), with the means of about 30 listeners each."""
    return _read(Path(corpora) / "vgmidi-unclear", "split", "labelled", "series", rated=True)


def _read(folder: Path, column: str, value: str, song: str, *, rated: bool) -> Clips:
    table = folder / "metadata.csv"
    if not table.is_file():
        raise InputError(f"{table}: no such file; give the folder that holds {folder.name}")
    with table.open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row[column] == value]
    if not rows:
        raise InputError(f"{table}: no row has {column} = {value}")
    source: list[Music] = [folder / row["file"] for row in rows]
    return Clips(
        [_pitched(path) for path in source],
        np.array([int(row["quadrant"]) for row in rows]),
        np.array([row[song] for row in rows]),
        np.array([[float(row["valence"]), float(row["arousal"])] if rated else [np.nan, np.nan] for row in rows]),
        source,
    )


@dataclass(frozen=True)
class Scorecard:
    """How often a judge agrees with the people who labelled the clips."""

    n: int
    accuracy: float
    """Share of clips in the labelled quadrant."""
    valence: float
    """Share on the right side of valence; likewise ``arousal``."""
    arousal: float
    sad_calm: float
    """Share of clips of Q3 and Q4 for which the right one of these two is the more probable."""
    happy_angry: float
    """The same for Q1 and Q2."""
    confusion: list[list[int]]
    """Counts, ``[labelled][judged]``."""
    rank_valence: float | None = None
    """Spearman correlation with listeners' ratings, where there are any; likewise ``rank_arousal``."""
    rank_arousal: float | None = None


def hits(probabilities: Floats, clips: Clips) -> dict[str, Floats]:
    """Right (1) or wrong (0) per clip [n] for each share of a :class:`Scorecard`; NaN where a clip does not count."""
    y, p = clips.quadrant, probabilities
    va = valence_arousal(p)
    glad, excited = (y == 1) | (y == 4), y <= 2
    return {
        "accuracy": (p.argmax(1) + 1 == y).astype(float),
        "valence": ((va[:, 0] > 0) == glad).astype(float),
        "arousal": ((va[:, 1] > 0) == excited).astype(float),
        "sad_calm": np.where(excited, np.nan, (p[:, 3] > p[:, 2]) == glad),
        "happy_angry": np.where(excited, (p[:, 0] > p[:, 1]) == glad, np.nan),
    }


def rate(probabilities: Floats, clips: Clips) -> Scorecard:
    """Compare judgements [n, 4] with labels."""
    confusion = np.zeros((4, 4), int)
    np.add.at(confusion, (clips.quadrant - 1, probabilities.argmax(1)), 1)
    ranks: list[float | None] = [None, None]
    if np.isfinite(clips.rating).all():
        va = valence_arousal(probabilities)
        ranks = [spearman(va[:, k], clips.rating[:, k]) for k in (0, 1)]
    shares = {name: share(right) for name, right in hits(probabilities, clips).items()}
    return Scorecard(n=len(clips), **shares, confusion=confusion.tolist(), rank_valence=ranks[0], rank_arousal=ranks[1])


def share(right: Floats) -> float:
    """Mean of what is defined; NaN where nothing is."""
    defined = right[np.isfinite(right)]
    return float(defined.mean()) if len(defined) else float("nan")


def cross_validate(judge: Callable[[], Judge], clips: Clips, *, n_folds: int = 5, seed: int = 0) -> Floats:
    """Judgements of each clip by a judge that was fitted on other songs only: [n, 4]."""
    from sklearn.model_selection import StratifiedGroupKFold

    out = np.zeros((len(clips), 4))
    folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    for train, test in folds.split(np.zeros(len(out)), clips.quadrant, clips.song):
        known = clips.take(train)
        out[test] = judge().fit(known.music, known.quadrant).predict_proba(clips.take(test).music)
    return out


class EmotionJudge(Judge):
    """The judge of reports: the feature judge decides, the phrase judge stands beside it.

    The feature judge was named the deciding one by cross-validation by song on EMOPIA's training clips and by its
    agreement with VGMIDI's listeners, before any generated music existed.
    """

    name = FeatureJudge.name

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.primary: Judge = FeatureJudge(seed)
        self.second: Judge = PhraseJudge(seed)

    @classmethod
    def from_corpora(cls, corpora: str | Path, *, seed: int = 0) -> EmotionJudge:
        """Fit both judges on EMOPIA's training clips (about half a minute).

        Parameters
        ----------
        corpora
            Folder that holds ``emopia-nc`` with its ``metadata.csv``.
        seed
            Same seed, same judge.
        """
        train = read_emopia(corpora, "train")
        return cls(seed).fit(train.music, train.quadrant)

    def _fit(self, clips: list[Notes], labels: NDArray[np.int64]) -> None:
        self.primary._fit(clips, labels)
        self.second._fit(clips, labels)

    def _predict(self, clips: list[Notes]) -> Floats:
        return self.primary._predict(clips)
