"""What the fitted judges look at in a clip: attacks, melody, bass, sounding pitch classes, chords and key.

Nothing here depends on bars or on a key signature: the clips that judges learn from are performances whose bars mean
nothing. Chord templates and harmony are read in the judges' own way, so that a judge never measures with the attributes
that steer a composer.

Contents: :class:`Lines`; :data:`CHORDS` and the templates :data:`MAJOR_KEYS`, :data:`MINOR_KEYS`, :data:`COLLECTIONS`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from muse.evaluate.judges.judge import Floats, Notes
from muse.evaluate.metrics.variety import CHORD_GAP_SEC
from muse.theory import KEY_PROFILES

__all__ = [
    "CHORDS",
    "COLLECTIONS",
    "MAJOR_KEYS",
    "MINOR_KEYS",
    "TEMPLATE_FAMILY",
    "TEMPLATE_ROOT",
    "Lines",
    "standardise",
]

LONGEST_SEC = 2.0
"""A note counts at most this long; beyond it a transcription measures the pedal and a piano string has faded."""
FRAME_SEC = 0.5
"""Harmony is read in frames of this length, about one chord of slow music or half of one beat of fast music."""

_DIATONIC = np.array([1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1], float)
CHORDS = {
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


def _transpositions(profile: Floats) -> Floats:
    """The twelve transpositions of a pitch-class profile, each standardised: [12, 12]."""
    centred = (profile - profile.mean()) / profile.std()
    return np.stack([np.roll(centred, k) for k in range(12)])


MAJOR_KEYS, MINOR_KEYS = (_transpositions(np.array(profile)) for profile in KEY_PROFILES["albrecht"])
"""Key profiles, float64 [12, 12]: means over a corpus of keys at openings and ends of pieces."""
COLLECTIONS = _transpositions(_DIATONIC)
_TEMPLATES = np.concatenate(
    [_transpositions(np.bincount(np.array(c), minlength=12).astype(float)) for c in CHORDS.values()]
)
TEMPLATE_FAMILY = np.repeat([_FAMILY[c] for c in CHORDS], 12)
"""Of each chord template: 0 major, 1 minor, 2 other."""
TEMPLATE_ROOT = np.tile(np.arange(12), len(CHORDS))


class Lines:
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
        standard = standardise(self.total)
        self.major, self.minor = MAJOR_KEYS @ standard / 12, MINOR_KEYS @ standard / 12  # correlations [12]
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
        fit = standardise(chroma) @ _TEMPLATES.T / 12
        fit -= 0.03 * (np.arange(len(_TEMPLATES)) >= 24)  # triads before richer chords
        fit -= 1e-6 * ((TEMPLATE_ROOT - self.home) % 12)  # ties (a lone tone, symmetric chords) by degree, not by pitch
        return fit.argmax(1), fit.max(1)

    def relative(self, histogram: Floats) -> Floats:
        """A pitch-class histogram [12] (or [12, k]) turned to its collection, averaged over plausible ones."""
        rolled = np.stack([np.roll(histogram, -k, axis=0) for k in range(12)])
        return np.tensordot(self.collection, rolled, axes=1)


def standardise(x: Floats) -> Floats:
    """Mean 0 and standard deviation 1 along the last axis; rows that do not vary become 0."""
    centred = x - x.mean(-1, keepdims=True)
    return np.asarray(centred / np.maximum(x.std(-1, keepdims=True), 1e-9))
