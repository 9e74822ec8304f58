"""What a recogniser measures on a waveform before any network.

Conventions
-----------
samples
    float32 [n], one channel, -1..1, at :data:`SAMPLE_RATE`.
frame
    A column of a short-time spectrum; frame ``i`` is centred on sample ``i * hop``, and what lies outside of the
    signal counts as silence.
step
    Half a second, the grid of emotion over time (:data:`STEP_SEC`); step ``i`` covers
    ``i * 0.5 .. (i + 1) * 0.5`` seconds.
semitone
    Bin of a spectrum in equal temperament, A4 = 440 Hz; bin 0 is :data:`LOWEST_PITCH`.

Contents: :func:`log_mel`, :func:`semitones`, :func:`chroma`, :func:`step_features`, :func:`summary`;
:data:`STEP_FEATURES`, :data:`SUMMARY_FEATURES`.

References
----------
Pons & Serra 2019, "musicnn" (the mel spectrogram). Slaney 1998, "Auditory Toolbox" (mel scale and filters, as librosa
has them). Davis & Mermelstein 1980 (cepstrum). Mauch & Dixon 2010, "Approximate note transcription for the improved
identification of difficult chords", ISMIR (treble and bass chroma, harmonics taken off). Dixon 2006, "Onset detection
revisited", DAFx (spectral flux).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
import scipy.fft
from numpy.typing import NDArray

__all__ = [
    "SAMPLE_RATE",
    "STEP_FEATURES",
    "STEP_SEC",
    "SUMMARY_FEATURES",
    "chroma",
    "log_mel",
    "semitones",
    "step_features",
    "summary",
]

Floats = NDArray[np.float32]

SAMPLE_RATE: Final = 16_000
STEP_SEC: Final = 0.5
STEP: Final = 8_000
"""Samples in a step."""

MEL_WINDOW, MEL_HOP, N_MELS = 512, 256, 96
SEMITONE_WINDOW, SEMITONE_HOP = 8_192, 1_600
"""Half a second, which separates neighbours down to the bass; ten frames a second."""
LOWEST_PITCH, N_SEMITONES = 28, 76
"""E1, 41 Hz, to B7, 3,951 Hz."""
N_HARMONICS: Final = 5
_BASS_CENTRE, _TREBLE_CENTRE, _SPAN = 40.0, 62.0, 12.0
"""Pitch and width of the two regions, as in Mauch & Dixon's profiles: bass and treble overlap."""
N_MFCC: Final = 20
_SHAPE = ("centroid", "bandwidth", "rolloff", "flatness", "flux", "level")
STEP_FEATURES: Final = (*(f"MFCC {i}" for i in range(N_MFCC)), *_SHAPE)
"""Names of the columns of :func:`step_features`; frequencies in octaves over 100 Hz, level in dB / 20."""
SUMMARY_FEATURES: Final = (
    *(f"{name} mean" for name in STEP_FEATURES),
    *(f"{name} SD" for name in STEP_FEATURES),
    *(f"chroma {i}" for i in range(12)),
    "onsets",
    "pulse",
    "tempo",
    "tempo clarity",
    "chroma entropy",
    "chroma flux",
    "level range",
    "crossings",
)
"""Names of the 72 numbers of :func:`summary`."""


def _spectrum(samples: Floats, window: int, hop: int) -> Floats:
    """Magnitudes, float32 [n // hop + 1, window // 2 + 1], Hann window."""
    padded = np.pad(samples, window // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    taper = np.hanning(window + 1)[:-1].astype(np.float32)
    out = np.empty((len(frames), window // 2 + 1), np.float32)
    for first in range(0, len(frames), 512):  # bounded memory
        out[first : first + 512] = np.abs(scipy.fft.rfft(frames[first : first + 512] * taper, axis=1))
    return out


@lru_cache(maxsize=1)
def _mel_filters() -> Floats:
    """[257, 96]: Slaney's scale, linear to 1 kHz and logarithmic above, each filter of unit area."""

    def to_hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))

    top = 15 + np.log(SAMPLE_RATE / 2 / 1000) / (np.log(6.4) / 27)
    edges = to_hertz(np.linspace(0, top, N_MELS + 2))
    bins = np.arange(MEL_WINDOW // 2 + 1) * SAMPLE_RATE / MEL_WINDOW
    rise = (bins[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    fall = (edges[2:] - bins[:, None]) / np.diff(edges)[1:]
    return (np.maximum(np.minimum(rise, fall), 0) * 2 / (edges[2:] - edges[:-2])).astype(np.float32)


def log_mel(samples: Floats) -> Floats:
    """Input of MusiCNN: ``log10(1 + 10000 S)`` of a mel power spectrum, float32 [n // 256 + 1, 96]."""
    power = _spectrum(samples, MEL_WINDOW, MEL_HOP) ** 2
    return np.log10(1 + 10_000 * (power @ _mel_filters()))


@lru_cache(maxsize=1)
def _semitone_filters() -> Floats:
    """[4097, 76]: a raised cosine a semitone to either side of each pitch, at least a bin wide."""
    bins = np.arange(SEMITONE_WINDOW // 2 + 1) * SAMPLE_RATE / SEMITONE_WINDOW
    pitch = LOWEST_PITCH + np.arange(N_SEMITONES)
    centre = 440 * 2 ** ((pitch - 69) / 12)
    width = np.maximum(centre * (2 ** (1 / 12) - 1), 1.5 * SAMPLE_RATE / SEMITONE_WINDOW)
    away = np.clip(np.abs(bins[:, None] - centre) / width, 0, 1)
    filters = 0.5 * (1 + np.cos(np.pi * away))
    return (filters / filters.sum(axis=0)).astype(np.float32)


def semitones(samples: Floats) -> Floats:
    """Magnitude at each pitch, ten times a second, float32 [n // 1600 + 1, 76], not negative.

    A window as long for all pitches does for the constant-Q transform here: from E1 up it separates semitones, and
    chords do not change faster.
    """
    return np.maximum(_spectrum(samples, SEMITONE_WINDOW, SEMITONE_HOP) @ _semitone_filters(), np.float32(0))


def chroma(pitches: Floats) -> Floats:
    """Bass and treble chroma of :func:`semitones`, float32 [T, 24], each half of a frame scaled to a maximum of 1.

    Loudness is compressed and evened over frequency, and from each pitch is taken what lower pitches' harmonics
    explain.
    """
    level = np.log1p(pitches * 20)
    left = level.astype(np.float32)
    for harmonic in range(2, N_HARMONICS + 1):
        shift = round(12 * np.log2(harmonic))
        left[:, shift:] -= 0.6 ** (harmonic - 1) * level[:, :-shift]
    left = np.maximum(left, 0)
    pitch = LOWEST_PITCH + np.arange(N_SEMITONES)
    parts = []
    for centre in (_BASS_CENTRE, _TREBLE_CENTRE):
        weight = np.exp(-0.5 * ((pitch - centre) / _SPAN) ** 2)
        folded = np.zeros((len(left), 12), np.float32)
        np.add.at(folded.T, pitch % 12, (left * weight).T.astype(np.float32))
        parts.append(folded / np.maximum(folded.max(axis=1, keepdims=True), 0.1))
    return np.concatenate(parts, axis=1)


def running_mean(x: Floats, before: int, after: int) -> NDArray[np.float64]:
    """Mean over each row of `x` [T, ...], so many before it and so many after it; fewer at the ends."""
    total = np.concatenate([np.zeros((1, *x.shape[1:])), np.cumsum(x, axis=0, dtype=np.float64)])
    place = np.arange(len(x))
    low, high = np.maximum(place - before, 0), np.minimum(place + after + 1, len(x))
    return np.asarray((total[high] - total[low]) / (high - low).reshape(-1, *[1] * (x.ndim - 1)))


def step_features(samples: Floats) -> Floats:
    """Timbre and loudness of every step, float32 [ceil(n / 8000), 26], see :data:`STEP_FEATURES`."""
    return _per_step(_frame_features(samples), len(samples))


def _frame_features(samples: Floats) -> Floats:
    """The same of every frame of the mel spectrogram."""
    power = _spectrum(samples, MEL_WINDOW, MEL_HOP) ** 2
    mel = 10 * np.log10(np.maximum(power @ _mel_filters(), 1e-10))
    cepstrum = scipy.fft.dct(mel, axis=1, norm="ortho")[:, :N_MFCC] / 20
    hertz = np.arange(power.shape[1]) * SAMPLE_RATE / MEL_WINDOW
    total = np.maximum(power.sum(axis=1), 1e-10)
    centroid = power @ hertz / total
    bandwidth = np.sqrt(np.maximum(power @ hertz**2 / total - centroid**2, 0))
    rolloff = hertz[(np.cumsum(power, axis=1) < 0.85 * total[:, None]).sum(axis=1).clip(max=len(hertz) - 1)]
    flatness = np.exp(np.log(power + 1e-10).mean(axis=1)) / (power.mean(axis=1) + 1e-10)
    level = 10 * np.log10(total / MEL_WINDOW**2 + 1e-10)
    columns = [
        *cepstrum.T,
        *(np.log2(np.maximum(values, 100) / 100) for values in (centroid, bandwidth, rolloff)),
        flatness,
        _flux(mel),
        level / 20,
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def _flux(mel_db: Floats) -> Floats:
    """Rise of level over all bands, dB / 10, float32 [T]."""
    rise = np.maximum(np.diff(np.maximum(mel_db, -60), axis=0, prepend=mel_db[:1]), 0)
    return (rise.mean(axis=1) / 10).astype(np.float32)


def _per_step(frames: Floats, n_samples: int) -> Floats:
    """Means over the frames whose centre lies in each step."""
    n_steps = max(-(-n_samples // STEP), 1)
    step = np.minimum(np.arange(len(frames)) * MEL_HOP // STEP, n_steps - 1)
    sums = np.zeros((n_steps, frames.shape[1]), np.float32)
    np.add.at(sums, step, frames)
    counts = np.maximum(np.bincount(step, minlength=n_steps), 1).astype(np.float32)
    mean: Floats = sums / counts[:, None]
    return mean


def summary(samples: Floats) -> Floats:
    """72 plain numbers of a clip, float32, see :data:`SUMMARY_FEATURES`: the base line of the reports."""
    frames = _frame_features(samples)
    steps = _per_step(frames, len(samples))
    harmonic = chroma(semitones(samples))[:, 12:]
    mean = harmonic.mean(axis=0)
    share = mean / max(float(mean.sum()), 1e-6)
    flux = frames[:, STEP_FEATURES.index("flux")]
    tempo, clarity = _tempo(flux)
    crossings = np.count_nonzero(np.diff(np.signbit(samples))) / max(len(samples), 1)
    more = (
        float((flux > flux.mean() + flux.std()).mean()),
        float(flux.std()),
        tempo,
        clarity,
        float(-(share * np.log(share + 1e-9)).sum()),
        float(np.abs(np.diff(harmonic, axis=0)).mean()) if len(harmonic) > 1 else 0.0,
        float(np.ptp(np.percentile(steps[:, -1], [5, 95]))),
        crossings,
    )
    return np.concatenate([steps.mean(axis=0), steps.std(axis=0), share, np.array(more, np.float32)]).astype(np.float32)


def _tempo(flux: Floats) -> tuple[float, float]:
    """Octaves over 60 beats a minute of the strongest period (0.25 to 1.5 s), and how clear it is, 0..1."""
    rate = SAMPLE_RATE / MEL_HOP
    centred = flux - flux.mean()
    if len(flux) < 2 * rate or not centred.any():
        return 1.0, 0.0
    spectrum = np.abs(scipy.fft.rfft(centred, 2 * len(centred))) ** 2
    echo = scipy.fft.irfft(spectrum)[: int(1.5 * rate) + 1]
    lags = np.arange(int(0.25 * rate), len(echo))
    preferred = np.exp(-0.5 * np.log2(lags / rate / 0.5) ** 2)
    best = int(lags[np.argmax(echo[lags] * preferred)])
    return float(np.log2(rate / best)), float(np.clip(echo[best] / echo[0], 0, 1))
