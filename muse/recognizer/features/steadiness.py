"""How a sound moves: what music has that speech, animals and machines have not, whatever it sounds like.

Music holds its pitches and then leaves them at once, at semitones of one scale and often together with others; a voice
that speaks, a bird or a siren glides, and noise has no pitch to hold. So figures are taken of the pitch spectrum alone
(:func:`~muse.recognizer.features.signal.semitones`), which every recogniser has at hand: of how its peaks last, move,
stand together and fold into a scale, and of how the loudness goes. None depends on how loud the sound is.

Contents: :func:`steadiness`, :data:`FIGURES`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import scipy.fft
from numpy.typing import NDArray

__all__ = ["FIGURES", "steadiness"]

Floats = NDArray[np.float64]

LOUD_SHARE: Final = 0.05
"""Frames below this share of the loud ones count as silence."""
FRAMES_A_SEC: Final = 10
_MAJOR: Final = np.array([1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1], np.float64)

FIGURES: Final = (
    "peaks", "peaks spread", "peaks at once", "peaks lasting 0.3 s", "peaks lasting 0.6 s", "peaks lasting 1.2 s",
    "like 0.1 s before", "like 0.2 s before", "like 0.4 s before", "like 0.8 s before", "like 0.1 s before, least",
    "glide", "glide most", "begin at once", "change", "change spread",
    "chroma lasting", "chroma entropy", "scale", "scale of lasting", "chroma at once",
    "height", "height spread", "height moves", "low", "high", "highest",
    "silence", "loudness spread", "loudness falls", "beat", "swings slowly", "swings", "swings fast", "seconds",
)  # fmt: skip
"""Names of the figures."""


def steadiness(pitches: NDArray[np.floating]) -> NDArray[np.float32]:
    """Figures of a stretch of sound, float32 [len(FIGURES)], of its pitch spectrum [T, pitches], ten frames a second.

    Zeros where nothing sounds.
    """
    spectrum = np.asarray(pitches, np.float64)
    loudness = spectrum.max(axis=1, initial=0.0)
    loud = float(np.percentile(loudness, 90)) if len(loudness) else 0.0
    if loud <= 0:
        return np.zeros(len(FIGURES), np.float32)
    level = np.log1p(50 * spectrum / loud)
    found = dict(_figures(level, loudness / loud))
    return np.nan_to_num(np.array([found[name] for name in FIGURES], np.float32))


def _figures(level: Floats, loudness: Floats) -> Iterator[tuple[str, float]]:
    sounding = loudness > LOUD_SHARE
    total = np.maximum(level.sum(axis=1), 1e-9)
    peaks = _peaks(level) * sounding[:, None]
    yield from _of_peaks(peaks, total, sounding)
    yield from _of_moves(level, peaks, sounding)
    yield from _of_scale(peaks)
    yield from _of_height(level, total, sounding)
    yield from _of_loudness(level, sounding)
    yield "seconds", min(len(level) / FRAMES_A_SEC, 10.0)


def _peaks(level: Floats) -> Floats:
    """How far each pitch stands out from those two semitones beside it, where it is the highest around; else 0."""
    around = np.pad(level, ((0, 0), (2, 2)), mode="edge")
    here = around[:, 2:-2]
    top = (here >= around[:, 1:-3]) & (here > around[:, 3:-1])
    return np.where(top, np.maximum(here - 0.5 * (around[:, :-4] + around[:, 4:]), 0), 0)


def _lasting(peaks: Floats, frames: int) -> Floats:
    """The part of each peak that has stood there for so many frames, [T - frames + 1, pitches]."""
    n = len(peaks) - frames + 1
    if n < 1:
        return np.zeros((0, peaks.shape[1]))
    return np.asarray(np.min([peaks[i : i + n] for i in range(frames)], axis=0))


def _share(part: Floats, whole: Floats) -> float:
    return float(part.sum() / max(float(whole.sum()), 1e-9))


def _of_peaks(peaks: Floats, total: Floats, sounding: NDArray[np.bool_]) -> Iterator[tuple[str, float]]:
    share = (peaks.sum(axis=1) / total)[sounding]
    yield "peaks", float(share.mean())
    yield "peaks spread", float(share.std())
    power = np.square(peaks).sum(axis=1)
    at_once = (np.square(peaks.sum(axis=1)) / np.maximum(power, 1e-9))[sounding & (power > 0)]
    yield "peaks at once", float(at_once.mean()) if len(at_once) else 0.0
    for seconds, frames in ((0.3, 3), (0.6, 6), (1.2, 12)):
        yield f"peaks lasting {seconds} s", _share(_lasting(peaks, frames), peaks)


def _unit(x: Floats) -> Floats:
    return np.asarray(x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9))


def _of_moves(level: Floats, peaks: Floats, sounding: NDArray[np.bool_]) -> Iterator[tuple[str, float]]:
    unit = _unit(peaks)
    for seconds, lag in ((0.1, 1), (0.2, 2), (0.4, 4), (0.8, 8)):
        both = sounding[lag:] & sounding[:-lag]
        like = (unit[lag:] * unit[:-lag]).sum(axis=1)[both]
        yield f"like {seconds} s before", float(like.mean()) if len(like) else 0.0
        if lag == 1:
            yield "like 0.1 s before, least", float(np.percentile(like, 20)) if len(like) else 0.0
    both = sounding[1:] & sounding[:-1]
    stays = (unit[1:] * unit[:-1]).sum(axis=1)[both]
    up = (unit[1:, 1:] * unit[:-1, :-1]).sum(axis=1)[both]
    down = (unit[1:, :-1] * unit[:-1, 1:]).sum(axis=1)[both]
    glide = np.maximum(np.maximum(up, down) - stays, 0)
    yield "glide", float(glide.mean()) if len(glide) else 0.0
    yield "glide most", float(np.percentile(glide, 90)) if len(glide) else 0.0
    rise = np.maximum(np.diff(level, axis=0), 0).sum(axis=1) / np.maximum(level[1:].sum(axis=1), 1e-9)
    rise = rise[both]
    yield "begin at once", float((rise > 0.3).mean()) if len(rise) else 0.0
    change = (np.abs(np.diff(level, axis=0)).sum(axis=1) / np.maximum(level[1:].sum(axis=1), 1e-9))[both]
    change = np.minimum(change, 3)
    yield "change", float(change.mean()) if len(change) else 0.0
    yield "change spread", float(change.std()) if len(change) else 0.0


def _folded(peaks: Floats) -> Floats:
    """Sums of peaks by pitch class, [..., 12]."""
    n = -(-peaks.shape[-1] // 12) * 12
    padded = np.pad(peaks, [(0, 0)] * (peaks.ndim - 1) + [(0, n - peaks.shape[-1])])
    return np.asarray(padded.reshape(*peaks.shape[:-1], n // 12, 12).sum(axis=-2))


def _in_scale(chroma: Floats) -> float:
    """Largest share of a chroma [12] in one major scale."""
    inside = max(float(np.roll(_MAJOR, k) @ chroma) for k in range(12))
    return inside / max(float(chroma.sum()), 1e-9)


def _of_scale(peaks: Floats) -> Iterator[tuple[str, float]]:
    chroma = _folded(peaks)
    lasting = _lasting(chroma, 5)
    yield "chroma lasting", _share(lasting, chroma)
    whole = chroma.sum(axis=0)
    share = whole / max(float(whole.sum()), 1e-9)
    yield "chroma entropy", float(-(share * np.log(share + 1e-9)).sum())
    yield "scale", _in_scale(whole)
    yield "scale of lasting", _in_scale(_folded(_lasting(peaks, 4)).sum(axis=0))
    frames = chroma[chroma.sum(axis=1) > 0]
    parts = frames / np.maximum(frames.sum(axis=1, keepdims=True), 1e-9)
    yield "chroma at once", float(-(parts * np.log(parts + 1e-9)).sum(axis=1).mean()) if len(parts) else 0.0


def _of_height(level: Floats, total: Floats, sounding: NDArray[np.bool_]) -> Iterator[tuple[str, float]]:
    height = (level @ np.arange(level.shape[1]) / total)[sounding]
    yield "height", float(height.mean()) / 12
    yield "height spread", float(height.std()) / 12
    yield "height moves", float(np.abs(np.diff(height)).mean()) / 12 if len(height) > 1 else 0.0
    third = level.shape[1] // 3
    mean = level.mean(axis=0)
    for name, part in (("low", mean[:third]), ("high", mean[2 * third :]), ("highest", mean[-6:])):
        yield name, _share(part, mean)


def _of_loudness(level: Floats, sounding: NDArray[np.bool_]) -> Iterator[tuple[str, float]]:
    yield "silence", float(1 - sounding.mean())
    course = level.mean(axis=1)
    course = course / max(float(course.mean()), 1e-9)
    yield "loudness spread", float(course.std())
    steps = np.diff(course)
    yield "loudness falls", float((steps < 0).mean()) if len(steps) else 0.0
    centred = course - course.mean()
    power = np.square(np.abs(scipy.fft.rfft(centred, 2 * len(centred))))
    echo = scipy.fft.irfft(power)[:16]
    yield "beat", float(echo[3:].max() / max(float(echo[0]), 1e-9)) if len(echo) > 3 else 0.0
    hertz = scipy.fft.rfftfreq(2 * len(centred), 1 / FRAMES_A_SEC)
    for name, low, high in (("swings slowly", 0.2, 1.2), ("swings", 1.2, 2.6), ("swings fast", 2.6, 5.1)):
        yield name, _share(power[(hertz >= low) & (hertz < high)], power)
