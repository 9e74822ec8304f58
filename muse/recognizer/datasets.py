"""Collections of music with emotions that people gave it, as their users have them on disk.

Conventions
-----------
valence, arousal
    -1..1.
tags
    0..1 by name: the share of listeners who felt it, or 0 and 1.
group
    What must not be on both sides of a split: artist, album or song.
split
    ``"train"``, ``"val"``, ``"test"``, or empty where the collection has none.

Contents: :class:`Clip`, :class:`EmotionDataset`, :func:`open_dataset`.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from muse.corpus.importers import find_songs
from muse.emotion import QUADRANTS
from muse.errors import InputError
from muse.recognizer.network import GEMS

__all__ = ["READERS", "Clip", "EmotionDataset", "open_dataset"]


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


@dataclass(frozen=True)
class EmotionDataset:
    """Clips of one collection, and what its labels mean."""

    name: str
    clips: tuple[Clip, ...]
    tags: tuple[str, ...] = ()
    """All tags, in a fixed order; a tag that a clip does not name is 0 there."""
    exclusive: bool = False
    """Exactly one of the tags is true for a clip (quadrants)."""


def _number(row: Mapping[str, str], name: str, table: Path) -> float:
    try:
        value = float(row[name])
    except (KeyError, ValueError):
        value = float("nan")
    if not np.isfinite(value):
        raise InputError(f"{table}: {name} of {row.get('track_id')} is no number")
    return value


def _read_emotify(folder: Path, name: str) -> EmotionDataset:
    """Emotify (Aljanaki, Wiering & Veltkamp 2015): shares of listeners that felt each of GEMS; by artist."""
    table = folder / "metadata.csv"
    if not table.is_file():
        raise InputError(f"{table}: no such file: give the folder that the dataset was unpacked to")
    with table.open(encoding="utf-8", newline="") as stream:
        clips = [
            Clip(
                row["track_id"],
                folder / row["file"],
                row["artist"] or row["album"] or row["track_id"],
                tags={tag: _number(row, tag, table) for tag in GEMS},
            )
            for row in csv.DictReader(stream)
        ]
    return EmotionDataset(name, tuple(clips), GEMS)


def _read_quadrants(folder: Path, name: str) -> EmotionDataset:
    """Music in MIDI with a quadrant for each clip."""
    clips = [
        Clip(song.song_id, song.path, song.group, song.split, tags={song.quadrant: 1.0})
        for song in find_songs([folder])
        if song.quadrant
    ]
    return EmotionDataset(name, tuple(clips), QUADRANTS, exclusive=True)


def _read_ratings(folder: Path, name: str) -> EmotionDataset:
    """Music in MIDI with listeners' mean valence and arousal."""
    clips = [
        Clip(song.song_id, song.path, song.group, song.split, emotion=(song.valence, song.arousal))
        for song in find_songs([folder])
        if song.label_kind == "rating"
    ]
    return EmotionDataset(name, tuple(clips))


READERS: Final[Mapping[str, Callable[[Path, str], EmotionDataset]]] = {
    "emotify": _read_emotify,
    "emopia": _read_quadrants,  # Hung et al. 2021
    "vgmidi": _read_ratings,  # Ferreira & Whitehead 2019, some thirty annotators
}
"""By the beginning of a folder's name."""


def open_dataset(folder: str | Path) -> EmotionDataset:
    """Read a dataset by its folder's name, which begins with one of :data:`READERS`.

    Raises
    ------
    InputError
        The name is unknown, or the dataset cannot be read.
    """
    folder = Path(folder)
    for name, read in READERS.items():
        if folder.name.casefold().startswith(name):
            return read(folder, name)
    raise InputError(f"{folder} is none of the datasets {', '.join(READERS)}: name the folder after one of them")
