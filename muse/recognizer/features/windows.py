"""From sound to the input of the network.

Conventions
-----------
feature
    A column of a step (half a second): the encoder's embedding, then
    :data:`~muse.recognizer.features.signal.STEP_FEATURES`.
window
    :data:`~muse.recognizer.heads.network.WINDOW_STEPS` steps; windows overlap by half, the last
    one ends with the sound.

Contents: :class:`Features`, :class:`Window`, :func:`extract`, :func:`stream_features`, :func:`window_starts`,
:func:`batch`, :func:`clip_means`, :func:`overlap_add`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import resample_poly

from muse.recognizer.encoders.encoder import MARGIN_STEPS, Encoder
from muse.recognizer.features.chords import Harmony, HarmonyModel
from muse.recognizer.features.signal import SAMPLE_RATE, SEMITONE_HOP, STEP, semitones, step_features
from muse.recognizer.heads.network import MAX_CHORDS, WINDOW_STEPS, Windows

__all__ = ["Features", "Window", "batch", "clip_means", "extract", "overlap_add", "stream_features", "window_starts"]

Floats = NDArray[np.float32]

HOP_STEPS = WINDOW_STEPS // 2
FRAMES = STEP // SEMITONE_HOP
"""Frames of the pitch spectrum in a step."""


@dataclass(frozen=True)
class Features:
    """Of a stretch of sound, on the grid of steps."""

    steps: Floats
    """[T, features]."""
    pitches: Floats
    """[T * 5, 76], see :func:`~muse.recognizer.features.signal.semitones`."""

    def cut(self, first: int, last: int | None = None) -> Features:
        """Steps `first` to `last`, or to the end."""
        frames = None if last is None else last * FRAMES
        return Features(self.steps[first:last], self.pitches[first * FRAMES : frames])

    def join(self, after: Features) -> Features:
        """This sound and what comes after it."""
        return Features(
            np.concatenate([self.steps, after.steps]),
            np.concatenate([self.pitches, after.pitches]),
        )

    def window(self, harmony: HarmonyModel) -> Window:
        """All of it, which must not be longer than a window."""
        return Window(self.steps, harmony.predict(self.pitches))

    def windows(self, harmony: HarmonyModel) -> list[Window]:
        """The sound in overlapping windows."""
        return [self.cut(first, first + WINDOW_STEPS).window(harmony) for first in window_starts(len(self.steps))]


@dataclass(frozen=True)
class Window:
    """A window of sound."""

    steps: Floats
    """[T, features]."""
    harmony: Harmony


def window_starts(n_steps: int) -> list[int]:
    """First steps of the windows of a sound."""
    if n_steps <= WINDOW_STEPS:
        return [0]
    return [*range(0, n_steps - WINDOW_STEPS, HOP_STEPS), n_steps - WINDOW_STEPS]


def overlap_add(windows: Sequence[tuple[int, Floats]], n_steps: int) -> NDArray[np.float64]:
    """One series [n_steps, K] of values of windows' steps: each window's first step, and its rows [T, K].

    Where windows overlap one fades into the next, so that no border is audible.
    """
    total, count = np.zeros((n_steps, windows[0][1].shape[1])), np.zeros((n_steps, 1))
    for first, rows in windows:
        place = np.arange(len(rows))[:, None]
        weight = np.minimum(place + 1, len(rows) - place)
        total[first : first + len(rows)] += weight * rows
        count[first : first + len(rows)] += weight
    return total / count


def extract(samples: Floats, encoder: Encoder) -> Features:
    """Features of samples at the encoder's rate."""
    step = encoder.sample_rate // 2
    n_steps = max(-(-len(samples) // step), 1)
    plain = samples if encoder.sample_rate == SAMPLE_RATE else _resampled(samples, encoder.sample_rate)
    steps = np.concatenate([encoder.encode(samples)[:n_steps], step_features(plain)[:n_steps]], axis=1)
    pitches = semitones(plain)
    return Features(steps, np.pad(pitches, ((0, max(n_steps * FRAMES - len(pitches), 0)), (0, 0)))[: n_steps * FRAMES])


def _resampled(samples: Floats, rate: int) -> Floats:
    """At the rate of :mod:`muse.recognizer.features.signal`, whole steps of it."""
    n = -(-len(samples) // (rate // 2)) * STEP
    ratio = Fraction(SAMPLE_RATE, rate)
    down = resample_poly(samples, ratio.numerator, ratio.denominator)[:n]
    return np.pad(down, (0, n - len(down))).astype(np.float32)


def stream_features(blocks: Iterable[Floats], encoder: Encoder) -> Iterator[Features]:
    """Features block by block, in memory that does not grow.

    Parameters
    ----------
    blocks
        Samples at the encoder's rate in blocks of a multiple of four steps, eight or more; the last may be any length.
    encoder
        Gives the embedding.
    """
    margin = MARGIN_STEPS * (encoder.sample_rate // 2)
    before, block = np.zeros(0, np.float32), None
    for after in blocks:
        if block is not None:
            yield _inner(before, block, after[:margin], encoder)
            before = block[-margin:]
        block = after
    if block is not None:
        yield _inner(before, block, np.zeros(0, np.float32), encoder)


def _inner(before: Floats, block: Floats, after: Floats, encoder: Encoder) -> Features:
    """Features of a block with its context."""
    step = encoder.sample_rate // 2
    first, n = len(before) // step, max(-(-len(block) // step), 1)
    return extract(np.concatenate([before, block, after]), encoder).cut(first, first + n)


def batch(windows: Sequence[Window]) -> Windows:
    """Windows as the network takes them."""
    n = len(windows)
    steps = torch.zeros(n, WINDOW_STEPS, windows[0].steps.shape[1])
    mask = torch.zeros(n, WINDOW_STEPS, dtype=torch.bool)
    chords = torch.zeros(n, MAX_CHORDS, 3, dtype=torch.long)
    profile = torch.from_numpy(np.stack([window.harmony.profile for window in windows]))
    for i, window in enumerate(windows):
        codes = window.harmony.codes(MAX_CHORDS)
        steps[i, : len(window.steps)] = torch.from_numpy(np.asarray(window.steps, np.float32))
        mask[i, : len(window.steps)] = True
        chords[i, : len(codes)] = torch.from_numpy(codes)
    return Windows(steps, mask, chords, profile)


def clip_means(values: Floats, owner: NDArray[np.int64], weights: Floats, n_clips: int) -> Floats:
    """Means over each clip's windows, float32 [n_clips, ...], by the windows' weights (their lengths)."""
    total = np.zeros((n_clips, *values.shape[1:]), np.float64)
    count = np.zeros(n_clips)
    np.add.at(total, owner, values * weights.reshape(-1, *[1] * (values.ndim - 1)))
    np.add.at(count, owner, weights)
    return (total / np.maximum(count, 1e-9).reshape(-1, *[1] * (values.ndim - 1))).astype(np.float32)
