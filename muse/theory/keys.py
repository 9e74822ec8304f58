"""Keys: their names, and which one a piece is in.

Conventions
-----------
* Pitch class: 0..11, C = 0. Pitch-class weights: float ``[..., 12]``, not negative, any scale (seconds, beats or
  chroma energy); a row of zeros means "no pitched sound" and yields NaN strengths, never an exception.
* Key: tonic 0..11 and mode ``"major"`` or ``"minor"``; tables of 24 keys list the 12 major keys first.
* Name of a key: tonic and ``m`` for minor, ``"F#m"``. A key that was found is spelled with the fewest accidentals
  (:data:`TONIC_NAMES`); one that was asked for keeps its spelling.

Contents: :data:`PITCH_CLASS_NAMES`, :data:`TONIC_NAMES`, :func:`parse_key`, :func:`key_in_words`, :class:`Key`;
:data:`KEY_PROFILES`, :func:`key_strengths`, :func:`key_from_weights`, :func:`estimate_key`; :func:`key_signature`,
:func:`spell`, :func:`tonic_of_signature`.

References
----------
Krumhansl & Kessler 1982, "Tracing the dynamic changes in perceived tonal organization", Psych. Review 89.
Temperley 1999, "What's key for key?", Music Perception 17. Albrecht & Shanahan 2013, "The use of large corpora to
train a new type of key-finding algorithm", Music Perception 31.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from muse.errors import InputError, unknown

__all__ = [
    "KEY_FINDER",
    "KEY_PROFILES",
    "NATURALS",
    "PITCH_CLASS_NAMES",
    "TONIC_NAMES",
    "Key",
    "Mode",
    "estimate_key",
    "key_from_weights",
    "key_in_words",
    "key_signature",
    "key_strengths",
    "parse_key",
    "spell",
    "tonic_of_signature",
]

FloatArray = NDArray[np.float64]
Mode = Literal["major", "minor"]

PITCH_CLASS_NAMES: Final = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
"""A name of each pitch class where no key says how to spell it."""

TONIC_NAMES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "major": ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"),
        "minor": ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B"),
    }
)
"""Name of each tonic by mode: the spelling whose key signature has the fewer accidentals."""

KEY_PROFILES: Final[dict[str, tuple[tuple[float, ...], tuple[float, ...]]]] = {
    "krumhansl": (
        (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
        (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
    ),
    "temperley": (
        (5.0, 2.0, 3.5, 2.0, 4.5, 4.0, 2.0, 4.5, 2.0, 3.5, 1.5, 4.0),
        (5.0, 2.0, 3.5, 4.5, 2.0, 4.0, 2.0, 4.5, 3.5, 2.0, 1.5, 4.0),
    ),
    "albrecht": (
        (0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081),
        (0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052),
    ),
}
"""Major and minor profile (tonic first) by name of the author."""

LISTENERS: Final = "krumhansl"
"""Profile of strengths: how well each tone fits a key in listeners' ears."""
KEY_FINDER: Final = "albrecht"
"""Profile for naming a key. Keys right on 205 pieces whose title tells it: 0.81 (Krumhansl 0.67, Temperley 0.72); on
150 songs of POP909: 0.89 (0.85, 0.63)."""


@dataclass(frozen=True, slots=True)
class Key:
    """A musical key and how clearly it is heard."""

    tonic: int
    """Pitch class of the tonic, 0..11 (C = 0)."""
    mode: Mode
    """``"major"`` or ``"minor"``."""
    clarity: float
    """Correlation of the weights with the key's profile, -1..1."""

    def __str__(self) -> str:
        """Short name as in lead sheets: ``"C"``, ``"F#m"``."""
        return TONIC_NAMES[self.mode][self.tonic] + ("m" if self.mode == "minor" else "")


_KEY = re.compile(r"^\s*([A-Ga-g])\s*(#|b|♯|♭|sharp|flat)?\s*-?\s*((?i:major|minor|maj|min|dur|moll)|M|m)?\s*$")
NATURALS: Final = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
"""Pitch class of each letter."""
_ACCIDENTALS = {
    "": (0, ""),
    "#": (1, "#"),
    "♯": (1, "#"),
    "sharp": (1, "#"),
    "b": (-1, "b"),
    "♭": (-1, "b"),
    "flat": (-1, "b"),
}
_MINOR = {"minor", "min", "moll"}
_MOST_FIFTHS: Final = 7


def parse_key(text: str) -> tuple[int, Mode, str]:
    """Read a key.

    Returns
    -------
    tuple
        Pitch class of the tonic (0..11, C = 0), ``"major"`` or ``"minor"``, and the short name (``"F#m"``).

    Raises
    ------
    InputError
        No key; the message says how one is written.
    """
    match = _KEY.match(text) if isinstance(text, str) else None
    if match is None:
        slip = "; for H write B" if isinstance(text, str) and text[:1] in "Hh" and text else ""
        raise InputError(f"{text!r} is not a key, write for example C, Am, F#m, Bb or 'E minor'{slip}")
    letter = match[1].upper()
    shift, sign = _ACCIDENTALS[match[2] or ""]
    # A lone M is major, a lone m minor; the words may be written in any case.
    mode: Mode = "minor" if match[3] == "m" or (match[3] or "").casefold() in _MINOR else "major"
    return (NATURALS[letter] + shift) % 12, mode, letter + sign + ("m" if mode == "minor" else "")


def key_in_words(name: str) -> str:
    """The name of a key as sentences have it: ``"F#m"`` is ``"F# minor"``.

    Raises
    ------
    InputError
        It is no key.
    """
    _, mode, short = parse_key(name)
    return f"{short.removesuffix('m')} {mode}"


@lru_cache(maxsize=len(KEY_PROFILES))
def _profile_matrix(profile: str) -> FloatArray:
    """All 24 rotated profiles, centered and of unit length: float64 ``[24, 12]``."""
    if profile not in KEY_PROFILES:
        raise unknown("key profile", profile, KEY_PROFILES)
    rows = np.array([np.roll(base, tonic) for base in KEY_PROFILES[profile] for tonic in range(12)])
    rows -= rows.mean(axis=1, keepdims=True)
    matrix: FloatArray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    matrix.setflags(write=False)
    return matrix


def key_strengths(pc_weights: ArrayLike, *, profile: str = LISTENERS) -> FloatArray:
    """Pearson correlation of pitch-class weights with the 24 key profiles (Krumhansl & Schmuckler).

    Parameters
    ----------
    pc_weights
        float ``[..., 12]``, weight of each pitch class.
    profile
        Name of a pair in :data:`KEY_PROFILES`.

    Returns
    -------
    float64 ``[..., 24]`` in -1..1: the 12 major keys, then the 12 minor ones. NaN for rows without variance.
    """
    weights = np.asarray(pc_weights, dtype=np.float64)
    if weights.shape[-1:] != (12,):
        raise InputError(f"pitch-class weights have shape {weights.shape}, the last axis must be 12")
    centered = weights - weights.mean(axis=-1, keepdims=True)
    norm = np.sqrt((centered * centered).sum(axis=-1, keepdims=True))
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = np.where(norm > 1e-12 * (1.0 + np.abs(weights).max(axis=-1, keepdims=True)), centered / norm, np.nan)
    return np.asarray(unit @ _profile_matrix(profile).T)


def key_from_weights(
    pc_weights: ArrayLike, *, profile: str = KEY_FINDER
) -> tuple[NDArray[np.int64], NDArray[np.str_], FloatArray]:
    """Best key of each row of pitch-class weights.

    Parameters
    ----------
    pc_weights
        float ``[..., 12]``.
    profile
        Name of a pair in :data:`KEY_PROFILES`.

    Returns
    -------
    tonic
        int ``[...]``, 0..11; -1 where the row has no pitched sound.
    mode
        str ``[...]``, ``"major"`` or ``"minor"``; ``""`` where the row has no pitched sound.
    strengths
        float64 ``[..., 24]``, see :func:`key_strengths`.
    """
    strengths = key_strengths(pc_weights, profile=profile)
    known = ~np.isnan(strengths[..., 0])
    best = np.where(known, np.argmax(np.nan_to_num(strengths, nan=-2.0), axis=-1), -1)
    mode = np.where(known, np.where(best >= 12, "minor", "major"), "")
    return np.where(known, best % 12, -1), mode, strengths


def estimate_key(notes: NDArray[np.void], *, profile: str = KEY_FINDER) -> Key | None:
    """Key of a note array (fields ``pitch``, ``duration_beat``, ``program``), weighted by duration.

    Returns None where no pitched note sounds or all pitch classes weigh the same.
    """
    pitched = notes[notes["program"] < 128]
    weights = np.bincount(pitched["pitch"].astype(np.int64) % 12, weights=pitched["duration_beat"], minlength=12)
    strengths = key_strengths(weights, profile=profile)
    if np.isnan(strengths[0]):
        return None
    best = int(np.argmax(strengths))
    return Key(best % 12, "minor" if best >= 12 else "major", float(strengths[best]))


def key_signature(tonic: int, mode: Mode, name: str = "") -> int:
    """Sharps of a key's signature, flats negative, -7..7.

    Parameters
    ----------
    tonic, mode
        The key.
    name
        Its name, which decides between C sharp and D flat; as :data:`TONIC_NAMES` has it when empty.
    """
    name = name or TONIC_NAMES[mode][tonic]
    fifths = (7 * tonic - (3 if mode == "minor" else 0) + 5) % 12 - 5  # -5..6
    if "b" in name[1:2] and fifths > 0:
        fifths -= 12
    elif "#" in name[1:2] and fifths < 0:
        fifths += 12
    return fifths if abs(fifths) <= _MOST_FIFTHS else (fifths + 5) % 12 - 5


def tonic_of_signature(fifths: int, mode: Mode) -> int:
    """Tonic 0..11 of the key of a mode with so many sharps, flats negative: the reverse of :func:`key_signature`."""
    return (7 * fifths + (9 if mode == "minor" else 0)) % 12


def spell(pitch: int, fifths: int) -> tuple[str, int, int]:
    """Name a pitch as a key's reader expects it.

    On the line of fifths, a key's own tones and their chromatic neighbors in use reach from three steps below the
    major tonic to eight above: in C from E flat to G sharp (Temperley 2001, *The Cognition of Basic Musical
    Structures*, chapter 5).

    Parameters
    ----------
    pitch
        MIDI number.
    fifths
        Of the key signature, sharps positive, -7..7.

    Returns
    -------
    tuple
        Letter; alteration in semitones, sharps positive; octave, 4 for that of middle C.
    """
    place = next(p for p in range(fifths - 3, fifths + 9) if (7 * p - pitch) % 12 == 0)
    alter, letter = divmod(place + 1, 7)
    return "FCGDAEB"[letter], alter, (pitch - alter) // 12 - 1
