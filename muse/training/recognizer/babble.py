"""Voices that say nothing, in no language: syllables drawn at random, spoken or whispered by a source and a filter.

A larynx (pulses that glide along a contour that falls through each phrase, with accents) or breath goes through a
mouth whose resonances move from vowel to vowel; consonants stop it, hiss or hum; between phrases it rests. What is
made is speech in all but the words, so that the gate learns from formulas how a voice moves that does not sing.

References
----------
Peterson & Barney 1952, "Control methods used in a study of the vowels", JASA 24 (formants and pitch of men, women and
children). Klatt 1980, "Software for a cascade/parallel formant synthesizer", JASA 67 (bandwidths, tilt of the source).
Pellegrino, Coupé & Marsico 2011, "A cross-language perspective on speech information rate", Language 87 (five to eight
syllables a second of read text; slow speakers and accents take them down to four).

Contents: :func:`babble`, :data:`VOWELS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import scipy.ndimage
import scipy.signal
from numpy.typing import NDArray

__all__ = ["VOWELS", "babble"]

Floats = NDArray[np.float64]

FRAME_SEC: Final = 0.01
VOWELS: Final = np.array([
    (270, 2290, 3010), (390, 1990, 2550), (530, 1840, 2480), (660, 1720, 2410), (730, 1090, 2440),
    (570, 840, 2410), (440, 1020, 2240), (300, 870, 2240), (640, 1190, 2390), (490, 1350, 1690),
], np.float64)  # fmt: skip
"""First three formants of men's vowels in heed, hid, head, had, hod, hawed, hood, who'd, hud and heard, hertz."""
HIGHER_FORMANTS: Final = (3300.0, 3850.0, 4900.0)
BANDWIDTHS: Final = (60.0, 90.0, 150.0, 250.0, 300.0, 1000.0)
"""Of all formants, hertz."""
SPEAKERS: Final = ((80, 180, 1.0), (150, 280, 1.17), (210, 380, 1.35))
"""Of men, women and children: lowest and highest middle pitch in hertz, and formants in those of men."""
CONSONANTS: Final[dict[str, tuple[tuple[float, float, float, float], ...]]] = {
    "stop": ((0.04, 0.09, 0.0, 0.0), (0.01, 0.03, 0.0, 1.0)),
    "voiced stop": ((0.03, 0.07, 0.1, 0.0), (0.01, 0.02, 0.3, 0.7)),
    "fricative": ((0.06, 0.14, 0.0, 0.8),),
    "voiced fricative": ((0.05, 0.1, 0.3, 0.4),),
    "sonorant": ((0.04, 0.1, 0.4, 0.0),),
    "none": (),
}
"""Their parts: shortest and longest seconds, shares of voice and of hiss."""


def babble(n: int, rate: int, random: np.random.Generator, *, whispered: bool = False) -> Floats:
    """Samples [n] of one speaker, of about root mean square 1 while there is voice."""
    n_frames = n // int(FRAME_SEC * rate) + 2
    lowest, highest, size = SPEAKERS[int(random.integers(len(SPEAKERS)))]
    middle = np.log2(random.uniform(lowest, highest))
    frames = np.array(list(_frames(n_frames, random)))[:n_frames]
    octaves, voice, hiss, centre = (scipy.ndimage.gaussian_filter1d(frames[:, i], 1) for i in range(4))
    formants = scipy.ndimage.gaussian_filter1d(frames[:, 4:], 3, axis=0) * size
    at = np.arange(n) / (FRAME_SEC * rate)
    wander = scipy.ndimage.gaussian_filter1d(random.normal(0, 0.06, n_frames), 4)
    hertz = np.exp2(np.interp(at, np.arange(n_frames), middle + octaves + wander))
    breath = random.normal(size=n)
    source = breath if whispered else _pulses(hertz, rate) + breath * random.uniform(0, 0.03)
    resonant = _filtered(source, rate, lambda f: _mouth(f, formants, size) * voice[:, None])
    noise = _filtered(
        random.normal(size=n), rate, lambda f: np.exp(-2 * np.square(np.log2(f / centre[:, None]))) * hiss[:, None]
    )
    return _level(resonant) + _level(noise) * random.uniform(0.1, 0.5)


def _frames(n: int, random: np.random.Generator) -> Iterator[tuple[float, ...]]:
    """Octaves above the middle pitch, shares of voice and of hiss, the hiss's hertz, and three formants, n or more."""
    pace, lively, made = random.uniform(4, 7), random.uniform(0.05, 0.5), 0
    while made < n:
        n_syllables = int(random.integers(2, 16))
        start, end = random.uniform(0.1, 0.5) * lively, random.uniform(-1.0, -0.2) * lively
        if random.random() < 0.2:
            end = random.uniform(0.2, 1) * lively  # a question
        for i in range(n_syllables):
            fall = start + (end - start) * i / n_syllables
            accent = lively * random.uniform(0.3, 1) if random.random() < 0.35 else 0.0
            seconds = random.uniform(0.6, 1.5) / pace * (1.5 if i == n_syllables - 1 else 1)
            for row in _syllable(seconds, fall, accent, random):
                made += 1
                yield row
        rest = int(random.uniform(0.15, 1.0) / FRAME_SEC)
        made += rest
        yield from [(end, 0.0, 0.0, 3000.0, *VOWELS[8])] * rest


def _syllable(seconds: float, fall: float, accent: float, random: np.random.Generator) -> Iterator[tuple[float, ...]]:
    """A consonant, a vowel and now and then another consonant."""
    names = list(CONSONANTS)
    onset, coda = CONSONANTS[str(random.choice(names))], CONSONANTS[str(random.choice(names))]
    parts = [(random.uniform(low, high), voice, hiss) for low, high, voice, hiss in onset]
    parts.append((max(seconds - sum(part[0] for part in parts), 0.05), 1.0, 0.0))
    if random.random() < 0.3:
        parts += [(random.uniform(low, high), voice, hiss) for low, high, voice, hiss in coda]
    vowel = VOWELS[int(random.integers(len(VOWELS)))] * random.uniform(0.93, 1.07, 3)
    loud = random.uniform(0.5, 1)
    lengths = [max(round(part[0] / FRAME_SEC), 1) for part in parts]
    total, at = sum(lengths), 0
    for (_, voice, hiss), length in zip(parts, lengths, strict=True):
        centre = np.exp2(random.uniform(np.log2(1200), np.log2(7000)))
        heard = vowel if voice == 1 else vowel * (0.6, 1, 1)  # a mouth that closes lowers its first resonance
        for _ in range(length):
            bend = accent * np.sin(np.pi * at / total)
            at += 1
            yield (fall + bend, voice * loud, hiss * loud, centre, *heard)


def _pulses(hertz: Floats, rate: int) -> Floats:
    """Of a larynx, whose spectrum falls by 6 dB an octave when it has left the lips; each between two samples."""
    turns = np.cumsum(hertz / rate)
    first = np.flatnonzero(np.diff(np.floor(turns), prepend=0.0))
    late = (turns[first] % 1) / (hertz[first] / rate)
    out = np.zeros(len(hertz) + 1)
    out[first + 1] += 1 - late
    out[first] += late
    return np.asarray(scipy.signal.lfilter([1.0], [1.0, -np.exp(-2 * np.pi * 100 / rate)], out)[:-1])


def _mouth(hertz: Floats, formants: Floats, size: float) -> Floats:
    """How much a cascade of resonances lets through, [frames, hertz]."""
    higher = np.broadcast_to(np.array(HIGHER_FORMANTS) * size, (len(formants), len(HIGHER_FORMANTS)))
    gain = np.ones((len(formants), len(hertz)))
    for resonance, bandwidth in zip(np.hstack([formants, higher]).T, BANDWIDTHS, strict=True):
        ratio = hertz / resonance[:, None]
        gain /= np.hypot(1 - np.square(ratio), ratio * bandwidth / resonance[:, None])
    return gain


def _filtered(sound: Floats, rate: int, gains: Callable[[Floats], Floats]) -> Floats:
    """The sound through a filter that changes from frame to frame: gains [frames, hertz] at these hertz."""
    step = int(FRAME_SEC * rate)
    facts = {"fs": rate, "nperseg": 3 * step, "noverlap": 2 * step}
    hertz, _, spectrum = scipy.signal.stft(sound, **facts)
    gain = gains(np.maximum(hertz, 20.0)).T  # [hertz, frames]
    n = min(gain.shape[1], spectrum.shape[1])
    _, out = scipy.signal.istft(spectrum[:, :n] * gain[:, :n], **facts)
    return np.pad(out, (0, max(len(sound) - len(out), 0)))[: len(sound)]


def _level(sound: Floats) -> Floats:
    return np.asarray(sound / max(float(np.sqrt(np.square(sound).mean())), 1e-9))
