"""Pieces of sound with emotions that people gave them, and how tables of such ratings are read.

Conventions
-----------
valence, arousal
    -1..1; the sources' scales are mapped linearly (:mod:`muse.corpora.sources`) and clipped.
tags
    0..1 by name: the share of listeners who felt it, or 0 and 1.
group
    What must not be on both sides of a split: artist, album or song.
split
    ``"train"``, ``"val"``, ``"test"``, or empty where the data set has none.
curve
    float32 [n, 3]: time in seconds, valence, arousal.

Contents: :class:`Clip`, :class:`EmotionDataset`, :class:`ListenerCurve`; for readers :func:`rating`,
:func:`rated_clips`, :func:`sound_files`, :func:`wide_curves`, :func:`samples_of`, :func:`whole_id`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from muse.audio import AUDIO_SUFFIXES
from muse.corpora.sources import Source
from muse.corpora.table import Row, read_rows
from muse.errors import InputError

__all__ = ["Clip", "EmotionDataset", "ListenerCurve"]

Floats = NDArray[np.float32]


AXES: Final = ("valence", "arousal")


@dataclass(frozen=True)
class Clip:
    """A piece of sound with what people said of it."""

    name: str
    """Unique in its dataset."""
    path: Path
    """Sound, or a MIDI file that is to be rendered."""
    group: str
    split: str = ""
    tags: Mapping[str, float] = field(default_factory=dict)
    emotion: tuple[float, float] | None = None
    """Valence and arousal of the whole clip."""
    curve: Floats | None = field(default=None, compare=False)
    """Mean over listeners, see the module."""


@dataclass(frozen=True)
class EmotionDataset:
    """Clips of one data set, and what its labels mean."""

    name: str
    clips: tuple[Clip, ...]
    tag_set: str = ""
    """Which of :data:`~muse.recognizer.heads.network.TAGS` its clips have; a tag that a clip does not name is 0
    there."""


@dataclass(frozen=True)
class ListenerCurve:
    """What one listener said of one clip."""

    clip: str
    """Name of the :class:`Clip`."""
    listener: str
    """Unique in the dataset; who it is, where the source tells (DEAM), else one for each annotation."""
    curve: Floats


# ------------------------------------------------------------------------------------------------------------- readers


def rating(row: Row, columns: Sequence[str], source: Source) -> tuple[float, float]:
    """Valence and arousal in -1..1 of a row's columns, in that order.

    Raises
    ------
    InputError
        One of them is no number.
    """
    valence, arousal = (row.number(name) for name in columns)
    valence, arousal = (float(np.clip(value, -1, 1)) for value in source.scaled(valence, arousal))
    return valence, arousal


def whole_id(song: str) -> str:
    """Id of a song that some tables write as a float (``2.0``)."""
    return song.removesuffix(".0")


def sound_files(folder: Path, *places: str) -> dict[str, Path]:
    """Sound files by their stems, in the first of the places that is there.

    Raises
    ------
    InputError
        No place has any.
    """
    for place in places:
        found = {path.stem: path for path in sorted((folder / place).rglob("*")) if path.suffix in AUDIO_SUFFIXES}
        if found:
            return found
    raise InputError(f"{folder} has no sound in {' or '.join(places)}: the dataset's audio is to be put there")


def rated_clips(
    folder: Path, ratings: Mapping[str, tuple[float, float]], sounds: Mapping[str, Path], curves: Mapping[str, Floats],
    groups: Mapping[str, str] | None = None,
) -> tuple[Clip, ...]:  # fmt: skip
    """Clips of songs with both ratings and sound; 70, 15 and 15 percent of the groups in the splits, by a hash.

    Raises
    ------
    InputError
        No song has both.
    """
    clips = []
    for song, emotion in ratings.items():
        if song in sounds:
            group = (groups or {}).get(song) or song
            clips.append(Clip(song, sounds[song], group, _split_of(group), emotion=emotion, curve=curves.get(song)))
    if not clips:
        raise InputError(f"{folder}: no song has both ratings and sound: unpack both into it")
    return tuple(clips)


def _split_of(group: str) -> str:
    place = int(hashlib.sha1(group.casefold().encode()).hexdigest(), 16) % 100
    return "train" if place < 70 else "val" if place < 85 else "test"


def wide_curves(paths: Iterable[Path]) -> dict[str, Floats]:
    """Curves of two tables, of valence and of arousal in -1..1, with a row a song and columns ``sample_<time>ms``."""
    valence, arousal = (
        {whole_id(next(iter(row.values.values()), "")): samples_of(row) for row in read_rows(path)}
        if path.is_file()
        else {}
        for path in paths
    )
    found = {song: both_axes(valence[song], arousal[song]) for song in valence.keys() & arousal.keys()}
    return {song: curve for song, curve in found.items() if len(curve)}


def both_axes(valence: Mapping[float, float], arousal: Mapping[float, float]) -> Floats:
    """A curve of the times at which both have a value."""
    times = sorted(valence.keys() & arousal.keys())
    points = [[time, valence[time], arousal[time]] for time in times]
    return np.array(points, np.float32).reshape(-1, 3)


def samples_of(row: Row) -> dict[float, float]:
    """Time in seconds -> value of the columns ``sample_<time>ms`` that have one."""
    return dict(_samples(row))


def _samples(row: Row) -> Iterator[tuple[float, float]]:
    for name, value in row.values.items():
        if (match := re.fullmatch(r"sample_(\d+)\s*ms", name)) and value and value.casefold() != "nan":
            yield int(match[1]) / 1000, row.number(name)
