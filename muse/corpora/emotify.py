"""Emotify (Aljanaki, Wiering & Veltkamp 2015): clips with the nine emotions of GEMS, as shares of listeners.

``metadata.csv`` has a row a clip; it names the files.

Contents: :func:`read_emotify`.
"""

from __future__ import annotations

from pathlib import Path

from muse.corpora.clips import Clip, EmotionDataset
from muse.corpora.table import read_rows
from muse.emotion import GEMS

__all__ = ["read_emotify"]


def read_emotify(folder: Path, name: str) -> EmotionDataset:
    """All clips; the group is the artist, or the album.

    Raises
    ------
    InputError
        The table is missing, or a row of it cannot be used.
    """
    clips = [
        Clip(
            row["track_id"],
            row.file("file", folder),
            row["artist"] or row["album"] or row["track_id"],
            tags={tag: row.number(tag) for tag in GEMS},
        )
        for row in read_rows(folder / "metadata.csv")
    ]
    return EmotionDataset(name, tuple(clips), "gems")
