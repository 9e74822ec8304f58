"""Which rises are onsets: the network's onset posterior peaks at echoes too, and a second, tiny network sorts them out.

When a note is struck, the posterior of notes that still sound rises with it, and so does that of octaves and twelfths
that are only overtones. A fixed threshold (0.5 in the paper) takes many of these for notes. Here every peak above
:data:`LEAST_POSTERIOR` is a *candidate*, described by posteriors around it in time and at harmonic distances in pitch,
and a network of one hidden layer gives the probability that a note begins, and its velocity.

Conventions
-----------
features
    Log-odds, float32 [n, N_FEATURES]; those of pitches beyond the keyboard are as of posterior 0.
velocity
    The posteriors are scaled to the loudest of two seconds, so only differences within a piece can be told: velocities
    lie around :data:`MEAN_VELOCITY`.

Contents: :func:`candidates`, :class:`Candidates`, :class:`OnsetNetwork`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from muse.checkpoint import Arrays
from muse.transcription.posteriors import N_PITCHES, Posteriors

__all__ = ["CONTEXT", "MEAN_VELOCITY", "N_FEATURES", "Candidates", "OnsetNetwork", "candidates"]

Floats = NDArray[np.float32]

LEAST_POSTERIOR: Final = 0.25
CONTEXT: Final = 24
"""Frames before and after a candidate that it is judged by: 0.28 s."""
MEAN_VELOCITY: Final = 64.0
VELOCITY_SCALE: Final = 16.0
_AROUND: Final = (-28, -24, -19, -12, -1, 1, 12, 19)
"""Semitones: where the candidate would be an overtone (2nd to 5th harmonic), its neighbours, and its own overtones."""
N_FEATURES: Final = 7 + 2 * len(_AROUND) + 3
_BOUNDS: Final = (0.01, 0.99)


@dataclass(frozen=True)
class Candidates:
    """Peaks of the onset posterior, in order of frames, then pitch."""

    frame: NDArray[np.int64]
    """[n], from the first frame that can have one."""
    pitch: NDArray[np.int64]
    """[n], 0..87."""
    features: Floats
    """[n, N_FEATURES]."""


def candidates(posteriors: Posteriors) -> Candidates:
    """Candidates in the middle of some frames: :data:`CONTEXT` frames at either end only serve as surroundings."""
    onset, note = posteriors
    n = len(onset) - 2 * CONTEXT

    def moved(values: Floats, by: int) -> Floats:
        return values[CONTEXT + by : CONTEXT + by + n]

    def over(values: Floats, first: int, last: int, how: np.ufunc) -> Floats:
        found = moved(values, first).copy()
        for by in range(first + 1, last + 1):
            how(found, moved(values, by), out=found)
        return found / np.float32(last - first + 1) if how is np.add else found

    now = moved(onset, 0)
    is_peak = (now > moved(onset, -1)) & (now >= moved(onset, 1)) & (now >= LEAST_POSTERIOR)
    frame, pitch = np.nonzero(is_peak)
    struck, sounding = over(onset, -2, 2, np.maximum), over(note, 2, 10, np.add)
    own = (
        now, sounding, over(note, -8, -3, np.add), over(note, 2, 22, np.add), moved(note, 0),
        over(onset, -12, -3, np.maximum), over(onset, 3, 12, np.maximum),
    )  # fmt: skip
    columns = [_log_odds(values[frame, pitch]) for values in own]
    edge = -min(_AROUND), max(_AROUND)
    for values in (struck, sounding):
        wide = np.pad(values, ((0, 0), edge))
        columns += [_log_odds(wide[frame, pitch + edge[0] + distance]) for distance in _AROUND]
    height = (pitch / (N_PITCHES - 1) - 0.5).astype(np.float32)
    columns += [_log_odds(struck.max(axis=1)[frame]), height, height**2]
    return Candidates(frame, pitch, np.stack(columns, axis=1))


def _log_odds(posterior: Floats) -> Floats:
    p = np.clip(posterior, *_BOUNDS)
    return np.log(p / (1 - p)).astype(np.float32)


@dataclass(frozen=True)
class OnsetNetwork(Arrays):
    """Features to the probability of an onset and a velocity; fitted by :mod:`muse.training.transcription`."""

    mean: Floats
    """[N_FEATURES]."""
    scale: Floats
    """[N_FEATURES]."""
    hidden_weight: Floats
    """[N_FEATURES, H]."""
    hidden_bias: Floats
    """[H]."""
    weight: Floats
    """[H, 2]."""
    bias: Floats
    """[2]."""

    def __call__(self, features: Floats) -> tuple[Floats, Floats]:
        """Probability that a note begins, and MIDI velocity 1..127, [n] each."""
        hidden = np.maximum((features - self.mean) / self.scale @ self.hidden_weight + self.hidden_bias, 0)
        onset, velocity = (hidden @ self.weight + self.bias).T
        return 1 / (1 + np.exp(-np.clip(onset, -30, 30))), np.clip(MEAN_VELOCITY + VELOCITY_SCALE * velocity, 1, 127)
