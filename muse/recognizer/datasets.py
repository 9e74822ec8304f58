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
    ``"train"``, ``"validation"``, ``"test"``, or empty where the collection has none.

Contents: :class:`Clip`, :class:`EmotionDataset`, :func:`open_dataset`.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from muse.errors import InputError

__all__ = ["GEMS", "QUADRANTS", "READERS", "Clip", "EmotionDataset", "open_dataset"]


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
    licence: str = ""


GEMS: Final = (
    "amazement", "solemnity", "tenderness", "nostalgia", "calmness", "power", "joyful_activation", "tension", "sadness",
)  # fmt: skip
"""The Geneva Emotional Music Scale's nine factors (Zentner, Grandjean & Scherer 2008)."""
QUADRANTS: Final = ("Q1", "Q2", "Q3", "Q4")


def _table(folder: Path) -> list[dict[str, str]]:
    path = folder / "metadata.csv"
    if not path.is_file():
        raise InputError(f"{path}: no such file: give the folder that the dataset was unpacked to")
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _number(row: Mapping[str, str], name: str, folder: Path) -> float:
    try:
        value = float(row[name])
    except (KeyError, ValueError):
        value = float("nan")
    if not np.isfinite(value):
        raise InputError(f"{folder / 'metadata.csv'}: {name} of {row.get('id') or row.get('track_id')} is no number")
    return value


def read_emotify(folder: Path) -> EmotionDataset:
    """Emotify (Aljanaki, Wiering & Veltkamp 2015): shares of listeners that felt each of :data:`GEMS`; by artist.

    Raises
    ------
    InputError
        The table is missing or broken.
    """
    clips = [
        Clip(
            row["track_id"],
            folder / row["file"],
            row["artist"] or row["album"] or row["track_id"],
            tags={name: _number(row, name, folder) for name in GEMS},
        )
        for row in _table(folder)
    ]
    return EmotionDataset("emotify", tuple(clips), GEMS, licence="research, non-commercial")


def read_emopia(folder: Path) -> EmotionDataset:
    """EMOPIA (Hung et al. 2021) as MIDI: a quadrant for each clip; by song.

    Raises
    ------
    InputError
        The table is missing or broken.
    """
    clips = [
        Clip(
            row["id"],
            folder / row["file"],
            row["song_id"],
            {"val": "validation"}.get(row["split"], row["split"]),
            tags={f"Q{row['quadrant']}": 1.0},
        )
        for row in _table(folder)
    ]
    return EmotionDataset("emopia", tuple(clips), QUADRANTS, exclusive=True, licence="CC BY-NC-SA 4.0")


def read_vgmidi(folder: Path) -> EmotionDataset:
    """VGMIDI (Ferreira & Whitehead 2019), rated pieces: means over some thirty annotators; a piece is a group.

    Raises
    ------
    InputError
        The table is missing or broken.
    """
    clips = [
        Clip(
            row["id"],
            folder / row["file"],
            row["id"],
            emotion=(_number(row, "valence", folder), _number(row, "arousal", folder)),
        )
        for row in _table(folder)
        if row["valence"]
    ]
    return EmotionDataset("vgmidi", tuple(clips), licence="not stated")


READERS: Final[Mapping[str, Callable[[Path], EmotionDataset]]] = {
    "emotify": read_emotify,
    "emopia": read_emopia,
    "vgmidi": read_vgmidi,
}


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
            return read(folder)
    raise InputError(f"{folder} is none of the datasets {', '.join(READERS)}: name the folder after one of them")
