"""How a sound moves: what music has that speech, animals and machines have not, whatever it sounds like.

Music holds its pitches and then leaves them at once, at semitones of one scale and often together with others; a voice
that speaks, a bird or a siren glides, and noise has no pitch to hold. So figures are taken of the pitch spectrum alone
(:func:`~muse.recognizer.features.signal.semitones`), which every recogniser has at hand: of how its peaks last, move,
stand together and fold into a scale, and of how the loudness goes. Beeps, hums and sirens hold pitches as well: they
have few, always come back to the same, slide for long from one to another, and are of one loudness while they last.
None of the figures depends on how loud the sound is.

References
----------
Friedman & Dieng 2023, "The Vendi score: a diversity evaluation metric for machine learning", TMLR (how many kinds of
frames there are). Hermes 1988, "Measurement of pitch by subharmonic summation", JASA 83 (the voice).

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
CLEAR: Final = 0.15
"""How far a peak must stand out for its way to be followed."""
HELD_WITHIN, FARTHEST_SLIDE = 0.08, 1.6
"""Semitones in a tenth of a second: a pitch that moves less is held, one that moves more is another."""
STILL_DB: Final = 0.25
"""What the loudness of a still tone moves in a tenth of a second at most."""
ATTACK: Final = 0.06
"""Share of the spectrum that is new where a note begins."""
_HARMONICS: Final = np.array([0, 12, 19, 24, 28, 31, 34, 36])
"""Semitones from a tone to its first eight harmonics."""
_MAJOR: Final = np.array([1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1], np.float64)

FIGURES: Final = (
    "peaks", "peaks spread", "peaks at once", "peaks lasting 0.3 s", "peaks lasting 0.6 s", "peaks lasting 1.2 s",
    "like 0.1 s before", "like 0.2 s before", "like 0.4 s before", "like 0.8 s before", "like 0.1 s before, least",
    "glide", "glide most", "begin at once", "change", "change spread",
    "chroma lasting", "chroma entropy", "scale", "scale of lasting", "chroma at once",
    "height", "height spread", "height moves", "low", "high", "highest",
    "silence", "loudness spread", "loudness falls", "beat", "swings slowly", "swings", "swings fast", "seconds",
    "kinds of frames", "kinds of frames, share", "kinds of chroma", "kinds of spectra", "commonest frames",
    "alike", "comes back", "comes back evenly", "comes back once",
    "held", "slides", "slides on", "jumps", "in tune", "shifts in 0.2 s", "shifts in 0.4 s",
    "still", "loudness moves", "rises more than falls",
    "one voice", "voice stays", "voice steps", "voice leaps", "voice entropy", "voice held", "voice longest",
    "voice pitches", "voice notes a second", "attacks a second", "attacks uneven", "kinds of attacks", "peaks entropy",
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
    yield from _of_variety(level, peaks, sounding)
    yield from _of_slides(level, peaks, sounding)
    yield from _of_stillness(loudness, sounding)
    yield from _of_voice(peaks)
    yield from _of_attacks(level, peaks)


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


def _entropy(share: Floats) -> float:
    share = share[share > 0] / max(float(share.sum()), 1e-9)
    return float(-(share * np.log(share)).sum())


def _kinds(unit: Floats) -> float:
    """Logarithm of the Vendi score of rows of length 1: how many different ones there are."""
    if len(unit) < 2:
        return 0.0
    return _entropy(np.maximum(np.linalg.eigvalsh(unit @ unit.T / len(unit)), 0))


def _of_variety(level: Floats, peaks: Floats, sounding: NDArray[np.bool_]) -> Iterator[tuple[str, float]]:
    """How many kinds of frames there are, and how the sound comes back to what it was."""
    has_peaks = peaks.sum(axis=1) > 0
    unit = _unit(peaks)
    kinds = _kinds(unit[has_peaks])
    yield "kinds of frames", kinds
    yield "kinds of frames, share", kinds / float(np.log(max(has_peaks.sum(), 2)))
    yield "kinds of chroma", _kinds(_unit(_folded(peaks[has_peaks])))
    yield "kinds of spectra", _kinds(_unit(level[sounding]))
    alike = unit @ unit.T
    some = alike[np.ix_(has_peaks, has_peaks)]
    weight = np.linalg.eigvalsh(some) if len(some) else np.ones(1)
    yield "commonest frames", float(weight[-1] / max(float(weight.sum()), 1e-9))
    mean = float(some.mean()) if len(some) else 0.0
    yield "alike", mean
    n = len(alike)
    at_lag = [float(np.diagonal(alike, lag).mean()) for lag in range(4, min(41, n - 10))]
    yield "comes back", max(at_lag, default=mean)
    yield "comes back evenly", max(at_lag, default=mean) - mean
    earlier = [alike[t, : t - 14].max() for t in np.flatnonzero(has_peaks) if t > 14]
    yield "comes back once", float(np.mean(earlier)) if earlier else mean


def _of_slides(level: Floats, peaks: Floats, sounding: NDArray[np.bool_]) -> Iterator[tuple[str, float]]:
    """How peaks go on from one frame to the next: held, sliding (also three times in one direction) or elsewhere."""
    left, here, right = level[:, :-2], level[:, 1:-1], level[:, 2:]
    bend = np.minimum(left - 2 * here + right, -1e-9)
    beside = np.pad(np.clip(0.5 * (left - right) / bend, -0.5, 0.5), ((0, 0), (1, 1)))  # of the parabola's top
    clear = peaks > CLEAR
    # For each peak the nearest one before it, not more than two bins away.
    padded = np.pad(np.where(clear, beside, np.inf)[:-1], ((0, 0), (2, 2)), constant_values=np.inf)
    bins = peaks.shape[1]
    moves = np.stack([beside[1:] - (padded[:, 2 + d : 2 + d + bins] + d) for d in range(-2, 3)])
    from_bin = np.abs(moves).argmin(axis=0)
    move = np.take_along_axis(moves, from_bin[None], axis=0)[0]
    weight = np.where(clear[1:], peaks[1:], 0)
    total = max(float(weight.sum()), 1e-9)
    goes_on = np.abs(move) < FARTHEST_SLIDE
    slides = goes_on & (np.abs(move) > HELD_WITHIN)
    direction = np.where(slides, np.sign(move), 0)
    source = np.clip(np.arange(bins) + from_bin - 2, 0, bins - 1)
    same = direction.copy()
    for _ in range(2):  # the two moves that led here
        before = np.vstack([np.zeros((1, bins)), np.take_along_axis(same[:-1], source[1:], axis=1)])
        same = np.where(before == direction, direction, 0)
    yield "held", float(weight[goes_on & ~slides].sum()) / total
    yield "slides", float(weight[slides].sum()) / total
    yield "slides on", float(weight[same != 0].sum()) / total
    yield "jumps", float(weight[~goes_on].sum()) / total
    yield "in tune", float(np.abs((np.exp(2j * np.pi * beside) * peaks).sum())) / max(float(peaks.sum()), 1e-9)
    for seconds, lag in ((0.2, 2), (0.4, 4)):
        both = sounding[lag:] & sounding[:-lag]
        before, after = _unit(peaks[:-lag])[both], _unit(peaks[lag:])[both]
        stays = (before * after).sum(axis=1)
        moved = stays
        for shift in range(1, 8):
            up = (after[:, shift:] * before[:, :-shift]).sum(axis=1)
            down = (after[:, :-shift] * before[:, shift:]).sum(axis=1)
            moved = np.maximum(moved, np.maximum(up, down))
        yield f"shifts in {seconds} s", float((moved - stays).mean()) if len(stays) else 0.0


def _of_stillness(loudness: Floats, sounding: NDArray[np.bool_]) -> Iterator[tuple[str, float]]:
    both = sounding[1:] & sounding[:-1]
    step = np.diff(20 * np.log10(np.maximum(loudness, 1e-6)))[both]
    if not len(step):
        step = np.zeros(1)
    yield "still", float((np.abs(step) < STILL_DB).mean())
    yield "loudness moves", float(np.minimum(np.abs(step), 10).mean())
    yield "rises more than falls", float((step > 1).mean() - (step < -1).mean())


def _of_voice(peaks: Floats) -> Iterator[tuple[str, float]]:
    """The pitch whose harmonics stand out most: how much they explain, and the notes that it makes."""
    bins = peaks.shape[1]
    strength = np.zeros_like(peaks)
    for k, interval in enumerate(_HARMONICS):
        strength[:, : bins - interval] += 0.9**k * peaks[:, interval:]
    has_peaks = peaks.sum(axis=1) > 0
    pitch = strength.argmax(axis=1)[has_peaks]
    places = pitch[:, None] + np.add.outer(_HARMONICS, (-1, 0, 1)).ravel()
    rows = np.pad(peaks[has_peaks], ((0, 0), (1, max(_HARMONICS) + 2)))
    explained = np.take_along_axis(rows, places + 1, axis=1).sum(axis=1)
    yield "one voice", _share(explained, peaks[has_peaks])
    moves = np.abs(np.diff(pitch))
    for name, moved in (("stays", moves == 0), ("steps", moves == 1), ("leaps", moves > 1)):
        yield f"voice {name}", float(moved.mean()) if len(moves) else 0.0
    yield "voice entropy", _entropy(np.bincount(pitch, minlength=1).astype(np.float64))
    first = np.flatnonzero(np.diff(pitch, prepend=-1))
    lengths = np.diff(np.append(first, len(pitch)))
    held = lengths >= 2
    n = max(len(pitch), 1)
    yield "voice held", float(lengths[held].sum()) / n
    yield "voice longest", float(lengths.max(initial=0)) / n
    yield "voice pitches", float(np.log1p(len(np.unique(pitch[first[held]]))))
    yield "voice notes a second", FRAMES_A_SEC * float(held.sum()) / n


def _of_attacks(level: Floats, peaks: Floats) -> Iterator[tuple[str, float]]:
    rise = np.maximum(np.diff(level, axis=0), 0).sum(axis=1) / np.maximum(level[1:].sum(axis=1), 1e-9)
    around = np.pad(rise, 1)
    attacks = np.flatnonzero((rise > around[:-2]) & (rise >= around[2:]) & (rise > ATTACK))
    yield "attacks a second", FRAMES_A_SEC * len(attacks) / len(level)
    gaps = np.diff(attacks)
    yield "attacks uneven", float(gaps.std() / gaps.mean()) if len(gaps) > 1 else 0.0
    struck = peaks[np.minimum(attacks + 3, len(peaks) - 1)]
    yield "kinds of attacks", _kinds(_unit(struck[struck.sum(axis=1) > 0]))
    yield "peaks entropy", _entropy(peaks.sum(axis=0))
