"""EMOPIA (Hung et al., ISMIR 2021): clips of pop piano, ``Q1_<recording>_<n>.mid``, with the quadrant in the name.

Contents: :func:`matches`, :func:`songs_by_name`, :func:`emopia_clips`, :func:`recording_of`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from muse.corpora.metadata import read_metadata
from muse.corpora.song import QUADRANT_SIGNS, Song, song_of
from muse.errors import InputError

__all__ = ["emopia_clips", "matches", "recording_of", "songs_by_name"]

FOLDER = "emopia-nc"
"""Its folder in a folder of corpora with ``metadata.csv``."""

_NAME = re.compile(r"^Q([1-4])_(.+)_(\d+)$")
_VIDEO = re.compile(r"^Q[1-4]_(.{11})_\d+$")


def matches(path: Path) -> bool:
    """Whether a file is named as EMOPIA names its clips."""
    return _NAME.match(path.stem) is not None


def songs_by_name(files: Sequence[Path], folder: Path, corpus: str) -> Iterator[Song]:
    """Songs of the corpus as it is unpacked: quadrant and recording from the names."""
    for path in files:
        if match := _NAME.match(path.stem):
            quadrant = f"Q{match[1]}"
            valence, arousal = QUADRANT_SIGNS[quadrant]
            yield song_of(
                path, folder, corpus, "emopia", group=match[2], title=match[2], genre="pop", quadrant=quadrant,
                valence=valence, arousal=arousal, label_kind="quadrant",
            )  # fmt: skip
        else:
            yield song_of(path, folder, corpus, "emopia")


def emopia_clips(corpora: Path | str, split: str) -> list[Song]:
    """Labelled clips of one of the official lists, in the order of the table.

    Parameters
    ----------
    corpora
        Folder that holds ``emopia-nc`` with its ``metadata.csv``.
    split
        ``"train"`` or ``"val"``.

    Raises
    ------
    InputError
        The corpus is not there or has no such clip.
    """
    folder = Path(corpora) / FOLDER
    songs = [song for song in read_metadata(folder) if song.split == split and song.quadrant]
    if not songs:
        raise InputError(f"{folder / 'metadata.csv'}: no row has split = {split} and a quadrant")
    return songs


def recording_of(clip: str) -> str:
    """Id of the recording that a clip is from, eleven letters between quadrant and number; other ids are their own."""
    return _VIDEO.sub(r"\1", clip)
