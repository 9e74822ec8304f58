"""Notes of one voice in a recording.

Conventions
-----------
pitch curve
    SwiftF0 (Nieradzik 2025, arXiv 2508.18440; an ONNX model in the wheel ``swift-f0``), a value every 16 ms, in
    semitones of MIDI with fractions.
tuning
    People hum where they like: the curve's own tuning is its circular mean within a semitone, and is taken out.
notes
    The likeliest path through a hidden Markov model whose states are silence and the semitones (as Ryynänen & Klapuri
    2006 have it, *Transcription of the singing melody in polyphonic music*): a note is left only where that explains
    more frames than a change costs, so vibrato and glides stay inside. A dip of loudness inside a note is a second one.

Contents: :func:`transcribe`, :class:`Note`.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from muse.errors import require
from muse.theory import viterbi

__all__ = ["SAMPLE_RATE", "Note", "transcribe"]

Floats = NDArray[np.float64]

SAMPLE_RATE: Final = 16_000
"""Of the samples that are transcribed, hertz."""

_VOICED = 0.5
_CHANGE_COST = 8.0
_SILENCE_COST = 3.5
_SPREAD_SEMITONES = 0.6
_SHORTEST_SEC = 0.07
_GLIDE_SHARE = 0.15
_DIP_DB = 6.0


@dataclass(frozen=True)
class Note:
    """A note as it was sung."""

    onset_sec: float
    length_sec: float
    pitch: int
    """MIDI number, the singer's tuning taken out."""
    confidence: float
    """0..1."""


@cache
def _detector() -> Any:
    return require("swift_f0", "audio", "A hummed tune").SwiftF0(threads=1)


def transcribe(samples: NDArray[np.float32]) -> tuple[list[Note], float]:
    """Notes of one voice.

    Parameters
    ----------
    samples
        float32 [n] at :data:`SAMPLE_RATE`.

    Returns
    -------
    tuple
        The notes in order, and the tuning in semitones, -0.5..0.5.
    """
    found = _detector().detect(samples, SAMPLE_RATE)
    confidence = np.asarray(found.confidence, np.float64)
    voiced = (confidence >= _VOICED) & (found.pitch_hz > 0)
    if voiced.sum() < 6:
        return [], 0.0
    pitch = np.where(voiced, 69 + 12 * np.log2(np.maximum(found.pitch_hz, 1.0) / 440), np.nan)
    loudness = np.asarray(found.loudness_db, np.float64)
    times = np.asarray(found.timestamps, np.float64)
    step = float(np.median(np.diff(times)))

    tuning = _tuning(pitch, step)
    states = _path(pitch - tuning, voiced, confidence)

    notes = []
    edges = np.flatnonzero(np.diff(states)) + 1
    for start, stop in zip([0, *edges.tolist()], [*edges.tolist(), len(states)], strict=True):
        if states[start] < 0:
            continue
        parts = _split(loudness, start, stop, step)
        if start and states[start - 1] >= 0:
            parts[0] = (_leaves(pitch - tuning, start, int(states[start - 1]), int(states[start]), step), parts[0][1])
        for first, last in parts:
            inside = pitch[first:last][voiced[first:last]]
            if (last - first) * step < _SHORTEST_SEC or not len(inside):
                continue
            # The middle of a note is sung most surely; its edges are on the way from and to others.
            cut = len(inside) // 5
            middle = float(np.median(inside[cut : len(inside) - cut])) - tuning
            notes.append(
                Note(
                    float(times[first] - step / 2),
                    (last - first) * step,
                    round(middle),
                    float(confidence[first:last].mean()),
                )
            )
    return notes, tuning


def _tuning(pitch: Floats, step: float) -> float:
    """Circular mean of the curve within a semitone, where it holds still for about a turn of vibrato."""
    width = max(round(0.2 / step), 1)
    windows = np.lib.stride_tricks.sliding_window_view(pitch, width) if len(pitch) >= width else pitch[None]
    whole = np.isfinite(windows).all(axis=1)
    windows = windows[whole] if whole.any() else pitch[np.isfinite(pitch)][None]
    means = windows.mean(axis=1)
    moving = np.abs(windows[:, -1] - windows[:, 0]) + np.abs(np.gradient(means) if len(means) > 1 else 0)
    means = means[moving <= np.quantile(moving, 0.6)]
    return float(np.angle(np.exp(2j * np.pi * means).mean()) / (2 * np.pi))


def _leaves(pitch: Floats, start: int, before: int, after: int, step: float) -> int:
    """Frame where a glide from one note to the next begins; the path through the states changes in its middle."""
    first = start
    for i in range(start - 1, max(start - round(0.1 / step), 0), -1):
        if not np.isfinite(pitch[i]) or abs(pitch[i] - before) < _GLIDE_SHARE * abs(after - before):
            break
        first = i
    return first


def _path(pitch: Floats, voiced: NDArray[np.bool_], confidence: Floats) -> NDArray[np.int64]:
    """Likeliest state of every frame: a MIDI number, or -1 for silence."""
    low, high = math.floor(np.nanmin(pitch)) - 1, math.ceil(np.nanmax(pitch)) + 1
    semitones = np.arange(low, high + 1)
    k = len(semitones)
    distance = np.abs(pitch[:, None] - semitones) / _SPREAD_SEMITONES
    # Large errors count linearly (Laplace), for a slip of the tracker by an octave must not end a note.
    fit = np.where(distance < 1.5, 0.5 * distance**2, 1.5 * distance - 1.125)
    sung = np.where(voiced[:, None], np.minimum(fit, 6.0), 1.5)
    silent = np.where(voiced, 1.0 + 4.0 * confidence, 0.1)
    cost = np.concatenate([sung, silent[:, None]], axis=1)  # [frames, semitones and silence]
    change = np.full((k + 1, k + 1), _CHANGE_COST)
    change[k, :] = change[:, k] = _SILENCE_COST
    np.fill_diagonal(change, 0.0)
    states = viterbi(-cost, -change)
    return np.where(states == k, -1, semitones[np.minimum(states, k - 1)])


def _split(loudness: Floats, start: int, stop: int, step: float) -> list[tuple[int, int]]:
    """Parts of a note between dips of loudness of :data:`_DIP_DB` on both sides; a part begins where it rises again."""
    reach = max(round(0.15 / step), 1)
    level = loudness[start:stop]
    cuts: list[int] = []
    for i in range(2, len(level) - 2):
        left, right = level[max(i - reach, 0) : i], level[i + 1 : i + 1 + reach]
        if level[i] > level[max(i - reach // 2, 0) : i + reach // 2 + 1].min():
            continue
        if left.max() - level[i] >= _DIP_DB and right.max() - level[i] >= _DIP_DB:
            half = level[i] + 0.5 * (right.max() - level[i])
            rise = i + 1 + int(np.argmax(right >= half))
            if not cuts or rise - cuts[-1] > round(_SHORTEST_SEC / step):
                cuts.append(rise)
    edges = [0, *cuts, len(level)]
    return [(start + a, start + b) for a, b in itertools.pairwise(edges) if b > a]
