"""Noise of several kinds, from which the gate learns what is no music.

Contents: :func:`noise`, :data:`NOISES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import scipy.signal
from numpy.typing import NDArray

__all__ = ["NOISES", "noise"]

Floats = NDArray[np.float32]


def _hiss(n: int, rate: int, random: np.random.Generator, least: float, most: float) -> NDArray[np.float64]:
    """Noise whose magnitude falls with a power of frequency between `least` and `most`."""
    hertz = np.maximum(np.fft.rfftfreq(n, 1 / rate), 20)
    shape = np.fft.rfft(random.normal(size=n)) / hertz ** random.uniform(least, most)
    return np.asarray(np.fft.irfft(shape, n))


def _coloured(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    return _hiss(n, rate, random, -0.5, 1.2)


def _band(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    low = random.uniform(60, rate / 4)
    edges = [low, min(low * random.uniform(1.5, 8), 0.49 * rate)]
    sections = scipy.signal.butter(int(random.integers(1, 5)), edges, "bandpass", fs=rate, output="sos")
    return np.asarray(scipy.signal.sosfilt(sections, random.normal(size=n)))


def _wind(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    gusts = random.uniform(0.1, 1, int(n / rate * random.uniform(0.1, 2)) + 2)
    return _hiss(n, rate, random, 0.3, 1.2) * np.interp(np.linspace(0, len(gusts) - 1, n), range(len(gusts)), gusts)


def _machine(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    turns = random.uniform(4, 30) * np.arange(n) / rate
    return _hiss(n, rate, random, 0.3, 1.2) * (0.6 + 0.4 * np.sin(2 * np.pi * turns))


def _struck(n: int, rate: int, random: np.random.Generator, hits: int, lasts_sec: float) -> NDArray[np.float64]:
    """Short bursts of noise at random times."""
    out = np.zeros(n)
    out[random.integers(0, n, hits)] = random.normal(size=hits)
    time = np.arange(int(5 * lasts_sec * rate) + 2) / rate
    return np.asarray(scipy.signal.fftconvolve(out, random.normal(size=len(time)) * np.exp(-time / lasts_sec)))[:n]


def _clicks(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    return _struck(n, rate, random, int(random.integers(2, 60)), random.uniform(3e-4, 8e-3))


def _rain(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    return _struck(n, rate, random, int(n * random.uniform(0.002, 0.05)) + 1, random.uniform(1e-4, 1e-3))


def _mains(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """The hum of a bad cable."""
    turns = random.choice([50, 60]) * np.arange(n) / rate
    parts = [random.uniform() / k * np.sin(2 * np.pi * (k * turns + random.uniform())) for k in range(1, 8)]
    return np.sum(parts, axis=0) + random.uniform(0.01, 0.5) * random.normal(size=n)


NOISES: Final[Mapping[str, Callable[[int, int, np.random.Generator], NDArray[np.float64]]]] = {
    "coloured": _coloured,
    "band": _band,
    "wind": _wind,
    "machine": _machine,
    "clicks": _clicks,
    "rain": _rain,
    "mains": _mains,
}
"""Kinds of noise: samples, sample rate in hertz, generator -> samples."""


def noise(kind: str, sample_rate: int, random: np.random.Generator) -> Floats:
    """Noise of a kind of :data:`NOISES`, 1.5 to 20 seconds of it, its peak 1 to 25 dB below full scale."""
    sound: NDArray[Any] = NOISES[kind](int(random.uniform(1.5, 20) * sample_rate), sample_rate, random)
    peak = 10 ** (-random.uniform(1, 25) / 20)
    return (sound * (peak / max(float(np.abs(sound).max()), 1e-9))).astype(np.float32)
