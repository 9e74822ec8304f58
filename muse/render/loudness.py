"""Loudness: measured as broadcasters do, and set to a target without clipping.

Conventions
-----------
loudness
    LUFS, integrated and gated: ITU-R BS.1770-5, annex 1. -inf for silence and for less than 0.4 seconds.
true peak
    dBTP: of the signal four times oversampled, BS.1770-5, annex 2. Full scale is 0.

Contents: :func:`loudness_lufs`, :func:`true_peak_db`, :func:`set_loudness`.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["loudness_lufs", "set_loudness", "true_peak_db"]

Samples = NDArray[np.float32]

_WINDOW_SEC, _HOP_SEC = 0.4, 0.1
_SILENT_LUFS, _RELATIVE_LU = -70.0, -10.0
_OVERSAMPLING: Final = 4
_BLOCK, _CONTEXT = 256, 16
"""Samples that are oversampled together, and those on each side that the filter sees as well."""
_NEAR: Final = 0.7
"""Blocks below this share of the level in question are not oversampled: music's peaks lie less than 3 dB above its
samples."""
_LOOK_AHEAD_SEC: Final = 0.005
"""Of the limiter: its gain falls within this time before a peak, which is too short to hear and too long to click."""
_MARGIN_DB: Final = 0.3
"""The limiter aims below the ceiling by this, as its moving gain makes peaks between samples a little higher."""
_ROUNDS: Final = 6
"""Limiting takes loudness away; so often is it made up for. Each round leaves a fraction of the last one's error."""


def loudness_lufs(samples: Samples, sample_rate: int) -> float:
    """Integrated loudness of a sound.

    Parameters
    ----------
    samples
        float32 [n] or [channels, n], full scale ±1. Channels weigh alike (left, right).
    sample_rate
        Hertz.

    Returns
    -------
    float
        LUFS; -inf for silence and for less than 0.4 seconds.
    """
    from scipy.signal import sosfilt

    rows = np.atleast_2d(samples)
    block, hop = round(_WINDOW_SEC * sample_rate), round(_HOP_SEC * sample_rate)
    if rows.shape[1] < block:
        return -math.inf
    squares = np.square(sosfilt(_k_weighting(sample_rate), rows.astype(np.float64), axis=-1)).sum(axis=0)
    sums = np.concatenate([[0.0], np.cumsum(squares)])
    starts = np.arange(0, rows.shape[1] - block + 1, hop)
    power = np.maximum(sums[starts + block] - sums[starts], 0.0) / block

    def lufs(mean: float) -> float:
        return -0.691 + 10 * math.log10(mean) if mean > 0 else -math.inf

    def above(threshold: float) -> NDArray[np.float64]:
        return power[power > 10 ** ((threshold + 0.691) / 10)]

    if not len(loud := above(_SILENT_LUFS)):
        return -math.inf
    return lufs(float(above(max(lufs(float(loud.mean())) + _RELATIVE_LU, _SILENT_LUFS)).mean()))


@lru_cache(maxsize=8)
def _k_weighting(sample_rate: int) -> NDArray[np.float64]:
    """Second-order sections [2, 6]: the shelf of the head, then the high-pass, for any rate.

    The standard gives coefficients for 48 kHz alone; the analog filters behind them are those of De Man 2014,
    "Evaluation of implementations of the EBU R128 loudness measurement".
    """
    k = math.tan(math.pi * 1681.974450955533 / sample_rate)
    q, high = 0.7071752369554196, 10 ** (3.999843853973347 / 20)
    middle = high**0.4996667741545416
    scale = 1 + k / q + k * k
    shelf = [
        (high + middle * k / q + k * k) / scale, 2 * (k * k - high) / scale, (high - middle * k / q + k * k) / scale,
        1.0, 2 * (k * k - 1) / scale, (1 - k / q + k * k) / scale,
    ]  # fmt: skip
    k, q = math.tan(math.pi * 38.13547087602444 / sample_rate), 0.5003270373238773
    scale = 1 + k / q + k * k
    high_pass = [1.0, -2.0, 1.0, 1.0, 2 * (k * k - 1) / scale, (1 - k / q + k * k) / scale]
    return np.array([shelf, high_pass])


def true_peak_db(samples: Samples) -> float:
    """Highest level between the samples as well as on them.

    Parameters
    ----------
    samples
        float32 [n] or [channels, n].

    Returns
    -------
    float
        dBTP; -inf for silence.
    """
    rows = np.atleast_2d(samples)
    peak = float(_envelope(rows, _NEAR * float(np.abs(rows).max(initial=0.0))).max(initial=0.0))
    return 20 * math.log10(peak) if peak > 0 else -math.inf


def _envelope(rows: Samples, floor: float) -> Samples:
    """The greatest absolute value around each sample over channels, [n]; where a block is louder than the floor, four
    times oversampled."""
    from scipy.signal import resample_poly

    n = rows.shape[1]
    n_blocks = -(-n // _BLOCK)
    padded = np.pad(rows, ((0, 0), (_CONTEXT, n_blocks * _BLOCK - n + _CONTEXT)))
    peaks = np.abs(padded[:, _CONTEXT : _CONTEXT + n_blocks * _BLOCK]).max(axis=0).reshape(n_blocks, _BLOCK)
    loud = np.flatnonzero(peaks.max(axis=1) > floor) if n_blocks else np.zeros(0, np.intp)
    if len(loud):
        windows = np.lib.stride_tricks.sliding_window_view(padded, _BLOCK + 2 * _CONTEXT, axis=1)[:, loud * _BLOCK]
        fine = np.abs(resample_poly(windows, _OVERSAMPLING, 1, axis=-1)).max(axis=0)
        fine = fine[:, (_CONTEXT - 1) * _OVERSAMPLING + 1 : (_CONTEXT + _BLOCK) * _OVERSAMPLING]
        # What lies between two samples belongs to both: a gain moves between them.
        around = np.lib.stride_tricks.sliding_window_view(fine, 2 * _OVERSAMPLING - 1, axis=-1)[:, ::_OVERSAMPLING]
        peaks[loud] = np.maximum(peaks[loud], around.max(axis=-1))
    return np.asarray(peaks.reshape(-1)[:n], dtype=np.float32)


def set_loudness(samples: Samples, sample_rate: int, *, target_lufs: float, ceiling_db: float) -> Samples:
    """Bring a sound to a loudness; peaks that would pass the ceiling are turned down for a moment by a limiter.

    Parameters
    ----------
    samples
        float32 [channels, n].
    target_lufs
        Loudness to reach.
    ceiling_db
        dBTP, what no peak passes.

    Returns
    -------
    numpy.ndarray
        float32 [channels, n]. Silence stays silence; a sound too short for a loudness gets the ceiling as its peak.
    """
    peak = true_peak_db(samples)
    if not math.isfinite(peak):
        return samples
    found = loudness_lufs(samples, sample_rate)
    if not math.isfinite(found):
        return samples * np.float32(10 ** ((ceiling_db - peak) / 20))
    gain_db = target_lufs - found
    if peak + gain_db <= ceiling_db:
        return samples * np.float32(10 ** (gain_db / 20))
    ceiling = 10 ** ((ceiling_db - _MARGIN_DB) / 20)
    envelope = _envelope(samples, _NEAR * ceiling / 10 ** (gain_db / 20))
    for _ in range(_ROUNDS):
        limited = samples * _limiter_gain(envelope, sample_rate, 10 ** (gain_db / 20), ceiling)
        missing = target_lufs - loudness_lufs(limited, sample_rate)
        if missing < 0.1:
            break
        gain_db += missing
    over = true_peak_db(limited) - ceiling_db
    return limited * np.float32(10 ** (-over / 20)) if over > 0 else limited


def _limiter_gain(envelope: Samples, sample_rate: int, gain: float, ceiling: float) -> Samples:
    """Gain for each sample, [n]: the given one, less around peaks, moving smoothly."""
    from scipy.ndimage import minimum_filter1d, uniform_filter1d

    wanted = np.minimum(gain, ceiling / np.maximum(envelope, 1e-9))
    reach = max(1, round(_LOOK_AHEAD_SEC * sample_rate))
    # The lowest gain within reach, averaged over the same reach: at a peak every value averaged is low enough.
    lowest = minimum_filter1d(wanted.astype(np.float64), 2 * reach + 1, mode="nearest")
    smooth = uniform_filter1d(uniform_filter1d(lowest, reach | 1, mode="nearest"), reach | 1, mode="nearest")
    return smooth.astype(np.float32)
