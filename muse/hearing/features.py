"""A piece as some hundred plain numbers that need no bars: what listeners hear of key, chords, register and touch.

Most labelled clips are performances whose bars mean nothing, so nothing here is counted in beats. Harmony is told
relative to the diatonic collection that fits best rather than to a tonic: which of its two keys a piece is in, C major
or A minor, is just what valence hangs on, so it is left to the numbers (the mode, the degree of the bass, the share of
minor chords) instead of being decided beforehand.

Conventions
-----------
degree
    Semitones above the tonic of the major key with the collection, 0..11; its relative minor has its tonic at 9.
frame
    :data:`FRAME_SEC` of music; a note counts at most :data:`LONGEST_SEC`, for pedals make transcribed notes long.

hearing
    One of three: the piece as a whole, its first and its last :data:`PART`. Clips of half a minute are few, and each
    tells as much three times, a little differently.

Contents: :func:`hearings`, :func:`note_features`, :func:`feature_names`, :func:`harmony_count`.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from muse.errors import InputError
from muse.score import DRUMS, NOTE_DTYPE, Notes, Score, note_array
from muse.theory import CHORD_QUALITIES, chord_scores, key_strengths, label_chords

__all__ = ["feature_names", "harmony_count", "hearings", "note_features"]

Floats = NDArray[np.float64]

FRAME_SEC = 0.5
LONGEST_SEC = 2.0
CHORD_GAP_SEC = 0.03
"""Notes that begin within this time of one another are one attack."""
PART = 0.62
"""Share of a piece's time that a hearing of its beginning or of its end takes."""
_MINOR_THIRD = 3


class _Heard:
    """Attacks, lines and frames of a piece's pitched notes, [n] notes and [k] attacks."""

    def __init__(self, notes: Notes) -> None:
        notes = notes[np.argsort(notes["onset_sec"], kind="stable")]
        self.onset = notes["onset_sec"] - notes["onset_sec"][0]
        self.held = notes["duration_sec"]
        self.duration = np.clip(self.held, 0.02, LONGEST_SEC)
        self.pitch = notes["pitch"].astype(np.int64)
        self.velocity = notes["velocity"].astype(float)
        self.span = max(float((self.onset + self.duration).max()), 1.0)
        self.attack = np.cumsum(np.diff(self.onset, prepend=self.onset[:1]) > CHORD_GAP_SEC)  # [n]
        first = np.flatnonzero(np.diff(self.attack, prepend=-1))
        self.time = self.onset[first]  # [k]
        self.size = np.diff(np.append(first, len(notes)))
        self.high, self.low = np.maximum.reduceat(self.pitch, first), np.minimum.reduceat(self.pitch, first)
        self.loud = np.maximum.reduceat(self.velocity, first)
        # An attack belongs to the melody where its top is near the highest of the last and next second, and so below.
        near = np.abs(self.time[:, None] - self.time) <= 1.0
        ceiling = np.where(near, self.high, 0).max(axis=1)
        floor = np.where(near, self.low, 127).min(axis=1)
        self.melody, self.bass = np.flatnonzero(self.high >= ceiling - 5), np.flatnonzero(self.low <= floor + 5)
        self.chroma = self._frames()
        self.home = self._collection()

    def _frames(self) -> Floats:
        """How much each pitch class sounds in each frame, [frames, 12]."""
        start = np.arange(0.0, self.span, FRAME_SEC)
        inside = np.minimum((self.onset + self.duration)[:, None], start + FRAME_SEC) - np.maximum(
            self.onset[:, None], start
        )
        return np.asarray(np.sqrt(np.clip(inside, 0, None)).T @ np.eye(12)[self.pitch % 12])

    def _collection(self) -> int:
        """Tonic of the major key whose collection fits best, by its own profile or by that of its relative minor."""
        strengths = np.nan_to_num(key_strengths(self.chroma.sum(axis=0), profile="albrecht"))
        self.major, self.minor = strengths[:12], np.roll(strengths[12:], _MINOR_THIRD)
        return int(np.maximum(self.major, self.minor).argmax())

    def degrees(self, pitch: NDArray[np.int64], weight: Floats | None = None) -> Floats:
        """Shares of the degrees, [12]."""
        found = np.bincount((pitch - self.home) % 12, weight, 12)
        return np.asarray(found / max(found.sum(), 1e-9))


def hearings(music: Score | Notes) -> Floats:
    """Features of the whole piece, of its beginning and of its end, float64 [3, features]; see :func:`note_features`.

    Raises
    ------
    InputError
        The score has no pitched note.
    """
    notes = _pitched(music)
    onset = notes["onset_sec"]
    length = PART * np.ptp(onset)
    parts = (notes, notes[onset <= onset.min() + length], notes[onset >= onset.max() - length])
    return np.array([list(_features(part).values()) for part in parts])


def note_features(score: Score) -> Floats:
    """The features of a piece, float64 [features], in the order of :func:`feature_names`; all finite.

    Raises
    ------
    InputError
        The score has no pitched note.
    """
    return np.array(list(_features(_pitched(score)).values()))


@lru_cache(maxsize=1)
def feature_names() -> tuple[str, ...]:
    """Names of the features, those of key and chords first."""
    return tuple(_features(_two_notes()))


@lru_cache(maxsize=1)
def harmony_count() -> int:
    """How many of the features tell of key and chords."""
    heard = _Heard(_two_notes())
    return len(_flat(_tonality(heard) | _chords(heard)))


def _two_notes() -> Notes:
    notes = np.zeros(2, NOTE_DTYPE)
    notes["onset_sec"], notes["duration_sec"], notes["velocity"], notes["pitch"] = (0, 1), 1, 64, 60
    return notes


def _pitched(music: Score | Notes) -> Notes:
    notes = music if isinstance(music, np.ndarray) else note_array(music)
    pitched = notes[notes["program"] != DRUMS]
    if not len(pitched):
        raise InputError("the music has no pitched note: there is no emotion to tell from it")
    return pitched


def _features(notes: Notes) -> dict[str, float]:
    heard = _Heard(notes)
    return _flat({
        **_tonality(heard), **_chords(heard), **_register(heard), **_texture(heard), **_rhythm(heard), **_touch(heard)
    })  # fmt: skip


def _flat(groups: dict[str, float | Floats]) -> dict[str, float]:
    """A number each, counted where several have one name."""
    found: dict[str, float] = {}
    for name, value in groups.items():
        values = np.atleast_1d(np.asarray(value, float))
        found |= {name if len(values) == 1 else f"{name} {i}": float(one) for i, one in enumerate(values)}
    return found


def _tonality(x: _Heard) -> dict[str, float | Floats]:
    at = x.home
    total = x.chroma.sum(axis=0)
    total = total / max(total.sum(), 1e-9)
    # Magnitudes of the Fourier transform of pitch classes (Quinn 2006; Yust 2016) tell clusters, tritones, augmented,
    # octatonic, diatonic and whole-tone content.
    frames = x.chroma[x.chroma.sum(axis=1) > 0]
    frames = frames / frames.sum(axis=1, keepdims=True)
    apart = np.array([(frames * np.roll(frames, -k, axis=1)).sum(axis=1).mean() for k in range(1, 7)])
    # The mode now and then: key profiles over four seconds, two by two.
    wide = np.stack([x.chroma[i : i + 8].sum(axis=0) for i in range(0, max(len(x.chroma) - 4, 1), 4)])
    local = np.nan_to_num(key_strengths(wide, profile="albrecht"))
    modes = local[:, :12].max(axis=1) - local[:, 12:].max(axis=1)
    same = int(np.maximum(x.major, np.roll(x.minor, -_MINOR_THIRD)).argmax())
    return {
        "mode": x.major[at] - x.minor[at],
        "mode on one tonic": x.major[same] - np.roll(x.minor, -_MINOR_THIRD)[same],
        "clarity of key": max(x.major[at], x.minor[at]),
        "local mode": modes.mean(),
        "local mode, spread": modes.std(),
        "local major": (modes > 0).mean(),
        "degree": x.degrees(x.pitch, np.sqrt(x.duration)),
        "bass degree": x.degrees(x.low[x.bass]),
        "melody degree": x.degrees(x.high[x.melody]),
        "entropy": -(total * np.log2(total + 1e-12)).sum(),
        "fourier": np.abs(np.fft.rfft(total))[1:],
        "fourier of frames": np.abs(np.fft.rfft(frames, axis=1))[:, 1:].mean(axis=0),
        "interval class": apart / max(apart.sum(), 1e-9),
    }


def _chords(x: _Heard) -> dict[str, float | Floats]:
    """Of a chord a frame, and of two frames together."""
    found: dict[str, float | Floats] = {}
    n_kinds = len(CHORD_QUALITIES)
    minor = np.array([3 in steps for steps in CHORD_QUALITIES.values()])
    for frames_each in (1, 2):
        n = -(-len(x.chroma) // frames_each)
        padded = np.zeros((n * frames_each, 12))
        padded[: len(x.chroma)] = x.chroma
        chroma = padded.reshape(n, frames_each, 12).sum(axis=1)
        label = label_chords(chroma, switch_cost=0.15)
        label = label[label >= 0]
        root, kind = np.divmod(label, n_kinds)
        tag = f"chords of {frames_each}"
        found |= {
            f"{tag}, kind": np.bincount(kind, minlength=n_kinds) / len(label),
            f"{tag}, minor third": minor[kind].mean(),
            f"{tag}, changes": float((np.diff(label) != 0).mean()) if len(label) > 1 else 0.0,
            f"{tag}, major on": x.degrees(root[~minor[kind]]) * (~minor[kind]).mean(),
            f"{tag}, minor on": x.degrees(root[minor[kind]]) * minor[kind].mean(),
            f"{tag}, root moves": _shares((np.diff(root) % 12)[np.diff(root) % 12 > 0], 1, 11),
            f"{tag}, fit": chord_scores(chroma).max(axis=1).mean(),
        }
    return found


def _register(x: _Heard) -> dict[str, float | Floats]:
    melody, bass = x.high[x.melody], x.low[x.bass]
    return {
        "pitch": np.percentile(x.pitch, [5, 25, 50, 75, 95]),
        "pitch, mean": x.pitch.mean(),
        "pitch, spread": x.pitch.std(),
        "register": _shares(x.pitch // 6, 4, 17),
        "melody, mean": melody.mean(),
        "melody, spread": melody.std(),
        "bass, mean": bass.mean(),
        "bass, spread": bass.std(),
        "hands apart": melody.mean() - bass.mean(),
    }


def _texture(x: _Heard) -> dict[str, float | Floats]:
    ends = np.sort(x.onset + x.duration)
    sounding = np.searchsorted(x.onset, x.time, "right") - np.searchsorted(ends, x.time + 1e-3, "right")
    struck = np.zeros((len(x.time), 128), bool)
    struck[x.attack, x.pitch] = True
    melody = np.diff(x.high[x.melody])
    return {
        "notes at once": _shares(x.size, 1, 6),
        "notes at once, mean": x.size.mean(),
        "sounding, mean": sounding.mean(),
        "sounding, spread": sounding.std(),
        "octaves": (struck[:, 12:] & struck[:, :-12]).any(axis=1).mean(),
        "melody's share": len(x.melody) / len(x.time),
        "bass's share": len(x.bass) / len(x.time),
        "melody's steps": _shares(melody, -12, 12),
        "bass's steps": _shares(np.abs(np.diff(x.low[x.bass])), 0, 12),
    }


def _rhythm(x: _Heard) -> dict[str, float | Floats]:
    found: dict[str, float | Floats] = {
        "notes a second": len(x.pitch) / x.span,
        "attacks a second": len(x.time) / x.span,
        "length": _shares(np.floor(2 * np.log2(x.duration)).astype(np.int64), -8, 2),
        "length, mean of logs": np.log2(x.duration).mean(),
        "length, spread of logs": np.log2(x.duration).std(),
    }
    for name, times in (("attacks", x.time), ("melody", x.time[x.melody]), ("bass", x.time[x.bass])):
        gap = np.clip(np.diff(times), CHORD_GAP_SEC, 6.0) if len(times) > 2 else np.full(2, 2.0)
        log = np.log2(gap)
        found |= {
            f"{name}, gap": np.percentile(log, [10, 50, 90]),
            f"{name}, mean gap": log.mean(),
            f"{name}, spread of gaps": log.std(),
            # Normalised pairwise variability (Grabe & Low 2002).
            f"{name}, uneven": (np.abs(np.diff(gap)) / (gap[1:] + gap[:-1])).mean(),
            f"{name}, gaps": _shares(np.floor(2 * log).astype(np.int64), -10, 4),
        }
    following = np.append(x.time[1:], x.time[-1] + 1.0)[x.attack]
    found["held into the next attack"] = np.percentile(
        np.clip(x.held / np.maximum(following - x.onset, CHORD_GAP_SEC), 0, 8), [10, 50, 90]
    )
    busy = np.bincount((x.time / 2).astype(np.int64))[: max(int(x.span / 2), 1)]
    found["busy, spread"] = busy.std() / busy.mean()
    return found


def _touch(x: _Heard) -> dict[str, float | Floats]:
    middle = x.pitch >= np.median(x.pitch)
    return {
        "velocity": np.percentile(x.velocity, [10, 50, 90]),
        "velocity, mean": x.velocity.mean(),
        "velocity, spread": x.velocity.std(),
        "velocity, steps": np.abs(np.diff(x.loud)).mean() if len(x.loud) > 1 else 0.0,
        "velocity, high above low": x.velocity[middle].mean() - x.velocity[~middle].mean() if (~middle).any() else 0.0,
        "loudness": np.log2((x.velocity**2 * np.sqrt(x.duration)).sum() / x.span + 1),
    }


def _shares(values: NDArray[np.int64], low: int, high: int) -> Floats:
    """Shares of whole numbers, those beyond the ends in the outermost: [high - low + 1]."""
    found = np.bincount(np.clip(values, low, high) - low, minlength=high - low + 1)
    return np.asarray(found / max(found.sum(), 1))
