"""From sound to what the network looks at.

Conventions
-----------
feature
    A column of a step (half a second): the encoder's embedding, then :data:`~muse.recognizer.signal.STEP_FEATURES`.
window
    :data:`~muse.recognizer.network.WINDOW_STEPS` steps; windows overlap by half, the last one ends with the sound.

Contents: :class:`Features`, :class:`Window`, :func:`hear`, :func:`stream_features`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from muse.audio import read_audio
from muse.recognizer.chords import Harmony, HarmonyModel
from muse.recognizer.encoder import Encoder
from muse.recognizer.network import MAX_CHORDS, WINDOW_STEPS, Windows
from muse.recognizer.signal import SAMPLE_RATE, SEMITONE_HOP, STEP, semitones, step_features
from muse.render import render_audio
from muse.score import read_score

__all__ = ["Features", "Window", "batch", "hear", "stream_features"]

Floats = NDArray[np.float32]

HOP_STEPS = WINDOW_STEPS // 2
FRAMES = STEP // SEMITONE_HOP
"""Frames of the pitch spectrum in a step."""
MARGIN_STEPS = 8
"""Sound to either side of a block that only lends its context, as in :mod:`muse.recognizer.encoder`."""
MIDI_SUFFIXES = (".mid", ".midi")


@dataclass(frozen=True)
class Features:
    """Of a stretch of sound, on the grid of steps."""

    steps: Floats
    """[T, features]."""
    pitches: Floats
    """[T * 5, 76], see :func:`~muse.recognizer.signal.semitones`."""

    def windows(self, harmony: HarmonyModel) -> list[Window]:
        """The sound in overlapping windows."""
        n = len(self.steps)
        starts = [0] if n <= WINDOW_STEPS else [*range(0, n - WINDOW_STEPS, HOP_STEPS), n - WINDOW_STEPS]
        found = []
        for first in starts:
            rows = slice(first, first + WINDOW_STEPS)
            heard = harmony.hear(self.pitches[first * FRAMES : (first + WINDOW_STEPS) * FRAMES], first * 0.5)
            found.append(Window(first, self.steps[rows], heard))
        return found


@dataclass(frozen=True)
class Window:
    """A window of sound."""

    first: int
    """Step that it begins with."""
    steps: Floats
    harmony: Harmony


def _of_samples(samples: Floats, encoder: Encoder) -> Features:
    n_steps = max(-(-len(samples) // STEP), 1)
    steps = np.concatenate([encoder.encode(samples)[:n_steps], step_features(samples)[:n_steps]], axis=1)
    pitches = semitones(samples)
    return Features(steps, np.pad(pitches, ((0, max(n_steps * FRAMES - len(pitches), 0)), (0, 0)))[: n_steps * FRAMES])


def hear(path: str | Path, encoder: Encoder) -> Features:
    """Features of a sound file, or of a MIDI file rendered with the General MIDI soundfont.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    if Path(path).suffix.lower() in MIDI_SUFFIXES:
        samples = np.ascontiguousarray(render_audio(read_score(path), sample_rate=SAMPLE_RATE).mean(axis=0))
    else:
        samples = read_audio(path, SAMPLE_RATE)
    return _of_samples(samples, encoder)


def stream_features(blocks: Iterable[Floats], encoder: Encoder) -> Iterator[Features]:
    """Features block by block, in memory that does not grow.

    Parameters
    ----------
    blocks
        Samples at 16 kHz in blocks of a multiple of four steps, eight or more; the last may be any length.
    encoder
        Gives the embedding.
    """
    margin = MARGIN_STEPS * STEP
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
    whole = _of_samples(np.concatenate([before, block, after]), encoder)
    first, n = len(before) // STEP, max(-(-len(block) // STEP), 1)
    return Features(whole.steps[first : first + n], whole.pitches[first * FRAMES : (first + n) * FRAMES])


def batch(windows: Sequence[Window]) -> Windows:
    """Windows as the network takes them."""
    n = len(windows)
    steps = torch.zeros(n, WINDOW_STEPS, windows[0].steps.shape[1])
    there = torch.zeros(n, WINDOW_STEPS, dtype=torch.bool)
    chords = torch.zeros(n, MAX_CHORDS, 3, dtype=torch.long)
    mode = torch.zeros(n, dtype=torch.long)
    for i, window in enumerate(windows):
        codes, key = window.harmony.codes(MAX_CHORDS), window.harmony.key
        steps[i, : len(window.steps)] = torch.from_numpy(np.asarray(window.steps, np.float32))
        there[i, : len(window.steps)] = True
        chords[i, : len(codes)] = torch.from_numpy(codes)
        mode[i] = 0 if key is None else 1 if key.mode == "major" else 2
    return Windows(steps, there, chords, mode)
