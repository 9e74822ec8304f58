"""Chords and key of a recording.

Conventions
-----------
quality
    One of :data:`QUALITIES` in the notation of Harte et al. 2005; an inversion is named by the bass's degree.
no chord
    ``N``: silence, noise, or nothing that the vocabulary knows.
label
    Index of root and quality, ``root * len(QUALITIES) + quality``; :data:`NO_CHORD` is the last one.
frame
    A tenth of a second, see :func:`muse.recognizer.features.signal.semitones`.
key
    0..11 the major keys from C, 12..23 the minor keys.

How it works: one small network reads the bass and treble chroma around a frame relative to each of the
twelve roots in turn, so that it learns qualities, not keys; a Viterbi search over a bigram of chords, equally relative,
makes a path of its answers (Sheh & Ellis 2003, "Chord segmentation and recognition using EM-trained HMMs", ISMIR). The
key is predicted by one linear map per mode of the chroma and of the chords' durations, relative to each tonic.

Contents: :class:`Harmony`, :class:`Chord`, :class:`HarmonyModel`, :func:`parse_chord`; :data:`N_PROFILE`.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from muse.checkpoint import Arrays
from muse.errors import InputError
from muse.recognizer.features.signal import SAMPLE_RATE, SEMITONE_HOP, chroma, running_mean
from muse.theory import CHORDS, NATURALS, PITCH_CLASS_NAMES, Key, viterbi

__all__ = ["DEGREES", "NO_CHORD", "N_PROFILE", "QUALITIES", "Chord", "Harmony", "HarmonyModel", "parse_chord"]

Floats = NDArray[np.float32]

QUALITIES: Final[dict[str, tuple[int, ...]]] = {
    one.harte: one.intervals for one in CHORDS if one.harte not in ("dim7", "maj6", "min6")
}
"""Semitones over the root. A diminished seventh, which has four roots alike, counts as diminished; sixths, which are
sevenths of another root, as triads."""
_NAMES: Final = tuple(QUALITIES)
NO_CHORD: Final = 12 * len(QUALITIES)
DEGREES: Final = ("root", "third", "fifth", "seventh")
"""What may be in the bass."""
_DEGREE_NAMES: Final = {3: "b3", 4: "3", 6: "b5", 7: "5", 8: "#5", 10: "b7", 11: "7", 2: "2", 5: "4"}
_LIKE: Final = {"maj6": "maj", "min6": "min", "minmaj7": "min", "dim7": "dim", "9": "7", "maj9": "maj7", "min9": "min7",
                "11": "7", "13": "7", "maj13": "maj7", "min11": "min7", "1": "maj", "5": "maj", "": "maj"}  # fmt: skip
_HARTE: Final = re.compile(r"([A-G])([b#]*)(?::([a-z0-9]*))?(\([^)]*\))?(?:/([b#]*)(\d+))?$")
FRAME_SEC: Final = SEMITONE_HOP / SAMPLE_RATE
CONTEXT: Final = 4
"""Frames to either side that an observation is averaged over, beside the frame itself."""
N_INPUT: Final = 48
N_PROFILE: Final = N_INPUT + NO_CHORD + 3
"""Numbers of :attr:`Harmony.profile`."""
BASS_MARGIN: Final = 1.15
"""How much stronger than the root another chord tone must be in the bass to be an inversion."""


def parse_chord(text: str) -> tuple[int, int]:
    """Root (0..11) and quality (index) of a chord in Harte's notation; ``N`` and ``X`` are (-1, -1).

    Raises
    ------
    InputError
        It is no chord.
    """
    if text in ("N", "X"):
        return -1, -1
    match = _HARTE.match(text)
    if match is None:
        raise InputError(f"{text!r} is no chord: write it as in 'C:min7/b3'")
    letter, accidentals, quality, _, _, _ = match.groups()
    root = (NATURALS[letter] + accidentals.count("#") - accidentals.count("b")) % 12
    quality = "maj" if quality is None else quality
    quality = _LIKE.get(quality, quality)
    if quality not in QUALITIES:
        raise InputError(f"{text!r}: quality {quality!r} is not one of {', '.join([*QUALITIES, *_LIKE])}")
    return root, _NAMES.index(quality)


@dataclass(frozen=True)
class Chord:
    """A stretch of one chord."""

    start_sec: float
    end_sec: float
    root: int
    """0..11; -1 for no chord."""
    quality: str
    """One of :data:`QUALITIES`; empty for no chord."""
    degree: int = 0
    """What is in the bass: index into :data:`DEGREES`."""

    def __str__(self) -> str:
        """As in Harte et al.: ``C:min7/b3``."""
        if self.root < 0:
            return "N"
        steps = QUALITIES[self.quality]
        bass = f"/{_DEGREE_NAMES[steps[self.degree]]}" if self.degree else ""
        return f"{PITCH_CLASS_NAMES[self.root]}:{self.quality}{bass}"


@dataclass(frozen=True)
class Harmony:
    """Chords and key of a stretch of sound."""

    chords: tuple[Chord, ...]
    key: Key | None
    """None where nothing with a pitch sounds; ``clarity`` is the key's probability."""
    profile: Floats = field(default_factory=lambda: np.zeros(N_PROFILE, np.float32), compare=False)
    """The whole stretch relative to its tonic, float32 [:data:`N_PROFILE`]: mean bass and treble chroma and shares of
    major and minor chords by root (48), share of time of each chord (roots times qualities), how far major is ahead of
    minor (log odds), changes of chord a frame, the key's probability. Zeros where nothing with a pitch sounds."""

    def codes(self, limit: int) -> NDArray[np.int64]:
        """Chords relative to the key's tonic, int [n, 3]: root 1..12, or 13 for no chord; quality 1..; degree 1..4.

        0 is left for padding. `limit` chords at most: of more, the longest, in their order.
        """
        tonic = self.key.tonic if self.key else 0
        chords = self.chords
        if len(chords) > limit:
            longest = sorted(range(len(chords)), key=lambda i: chords[i].start_sec - chords[i].end_sec)[:limit]
            chords = tuple(chords[i] for i in sorted(longest))
        rows = [
            ((chord.root - tonic) % 12 + 1, _NAMES.index(chord.quality) + 1, chord.degree + 1)
            if chord.root >= 0
            else (13, len(_NAMES) + 1, 1)
            for chord in chords
        ]
        return np.array(rows, np.int64).reshape(-1, 3)


def observations(pitches: Floats) -> Floats:
    """What the network sees of every frame, float32 [T, 48]: bass and treble chroma now and around."""
    now = chroma(np.asarray(pitches, np.float32))
    return np.concatenate([now, running_mean(now, CONTEXT, CONTEXT).astype(np.float32)], axis=1)


def from_root(x: NDArray[Any]) -> NDArray[Any]:
    """Chroma relative to each root: [..., 12 k] becomes [..., 12 roots, 12 k]."""
    blocks = x.reshape(*x.shape[:-1], -1, 12)
    turns = (np.arange(12)[:, None] + np.arange(12)) % 12  # [root, degree]
    turned = blocks[..., turns]  # [..., k, root, degree]
    return np.moveaxis(turned, -2, -3).reshape(*x.shape[:-1], 12, -1)


@dataclass(frozen=True)
class HarmonyModel(Arrays):
    """Fitted weights; :mod:`muse.training.recognizer.chords` makes them."""

    hidden: Floats
    """[48, hidden]."""
    hidden_bias: Floats
    """[hidden]."""
    quality: Floats
    """[hidden, qualities]."""
    quality_bias: Floats
    """[qualities]."""
    none: Floats
    """Of no chord: [hidden + 1], the last is its bias."""
    bigram: Floats
    """Log probability of the next frame's chord, [qualities + 1, 12, qualities + 1]: from, interval of roots, to; the
    last of either axis is no chord (interval 0)."""
    key: Floats
    """[2 modes, 48]."""
    key_bias: Floats
    """[2]."""
    chord_weight: Floats
    """Of the network's log probabilities beside the bigram's, [1]: frames next to each other say the same."""

    @classmethod
    def load(cls, tensors: Mapping[str, Any]) -> Self:
        """What :meth:`tensors` gave.

        Raises
        ------
        InputError
            Something is missing.
        """
        try:
            return super().load(tensors)
        except KeyError as error:
            raise InputError(f"the weights of chords and keys lack {error}: get the checkpoint again") from None

    def log_probabilities(self, observed: Floats) -> Floats:
        """Of every label, float32 [T, 121], for :func:`observations` [T, 48]."""
        inner = np.maximum(from_root(observed) @ self.hidden + self.hidden_bias, 0)  # [T, 12, hidden]
        chords = (inner @ self.quality + self.quality_bias).reshape(len(observed), -1)
        none = inner.mean(axis=1) @ self.none[:-1] + self.none[-1]
        return np.asarray(log_softmax(np.concatenate([chords, none[:, None]], axis=1), axis=1), np.float32)

    def label(self, observed: Floats) -> NDArray[np.int64]:
        """The most plausible path of labels, int [T]."""
        return viterbi(self.log_probabilities(observed) * self.chord_weight[0], self._transitions)

    @functools.cached_property
    def _transitions(self) -> Floats:
        """Log probabilities between all labels, [121, 121]."""
        n = len(QUALITIES)
        table = np.empty((NO_CHORD + 1, NO_CHORD + 1), np.float32)
        for root in range(12):
            rows = slice(root * n, root * n + n)
            for interval in range(12):
                other = (root + interval) % 12
                table[rows, other * n : other * n + n] = self.bigram[:n, interval, :n]
            table[rows, NO_CHORD] = self.bigram[:n, 0, n]
            table[NO_CHORD, rows] = self.bigram[n, root, :n]
        table[NO_CHORD, NO_CHORD] = self.bigram[n, 0, n]
        return table

    def predict(self, pitches: Floats) -> Harmony:
        """Chords and key of :func:`~muse.recognizer.features.signal.semitones` [T, 76]."""
        return self.decode(observations(pitches))

    def decode(self, observed: Floats) -> Harmony:
        """Chords and key of :func:`observations` [T, 48]."""
        labels = self.label(observed)
        edges = np.flatnonzero(np.diff(labels, prepend=-1, append=-1))
        chords = []
        for first, last in itertools.pairwise(edges):
            times = (first * FRAME_SEC, last * FRAME_SEC)
            if labels[first] == NO_CHORD:
                chords.append(Chord(*times, -1, ""))
                continue
            root, quality = divmod(int(labels[first]), len(_NAMES))
            degree = _degree(observed[first:last, :12].mean(axis=0), root, QUALITIES[_NAMES[quality]])
            chords.append(Chord(*times, root, _NAMES[quality], degree))
        evidence = key_evidence(observed, labels)
        return Harmony(tuple(chords), self.key_of(evidence), self._profile(evidence, labels))

    def key_of(self, evidence: Floats) -> Key | None:
        """The key by :func:`key_evidence` [48]."""
        if not evidence.any():
            return None
        logits = self._key_logits(evidence).reshape(-1)  # 12 major, 12 minor
        best = int(np.argmax(logits))
        return Key(best % 12, "minor" if best >= 12 else "major", float(softmax(logits)[best]))

    def _key_logits(self, evidence: Floats) -> Floats:
        """Of every key, float32 [2 modes, 12 tonics]."""
        return np.asarray((from_root(evidence) @ self.key.T + self.key_bias).T, np.float32)

    def _profile(self, evidence: Floats, labels: NDArray[np.int64]) -> Floats:
        """See :attr:`Harmony.profile`."""
        if not evidence.any():
            return np.zeros(N_PROFILE, np.float32)
        logits = self._key_logits(evidence)
        tonic = int(np.argmax(logits)) % 12
        major, minor = logits[:, tonic]
        shares = np.bincount(labels, minlength=NO_CHORD + 1)[:NO_CHORD].reshape(12, -1) / len(labels)
        more = (major - minor, np.mean(np.diff(labels) != 0) if len(labels) > 1 else 0.0, softmax(logits).max())
        from_tonic = np.roll(shares, -tonic, axis=0)
        return np.concatenate([from_root(evidence)[tonic], from_tonic.ravel(), more]).astype(np.float32)


def key_evidence(observed: Floats, labels: NDArray[np.int64]) -> Floats:
    """Mean bass and treble chroma, and shares of time of chords with major and minor third by root, float32 [48]."""
    sounding = labels != NO_CHORD
    if not sounding.any():
        return np.zeros(48, np.float32)
    root, quality = np.divmod(labels[sounding], len(QUALITIES))
    minor = np.array([3 in steps for steps in QUALITIES.values()])[quality]
    shares = [np.bincount(root[kind], minlength=12) / len(labels) for kind in (~minor, minor)]
    return np.concatenate([observed[sounding, :24].mean(axis=0), *shares]).astype(np.float32)


def _degree(bass: Floats, root: int, steps: Sequence[int]) -> int:
    """Which chord tone is in the bass."""
    strength = bass[[(root + step) % 12 for step in steps]]
    best = int(np.argmax(strength))
    return best if strength[best] > BASS_MARGIN * strength[0] else 0
