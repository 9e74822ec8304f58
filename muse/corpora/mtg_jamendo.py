"""MTG-Jamendo (Bogdanov et al. 2019): tracks with 56 tags of mood and theme.

The repository's folder: ``data/splits/split-0/autotagging_moodtheme-*.tsv``; sound in ``audio/`` or ``audio-low/``
beside it, or in the folders that the tables name.

Contents: :func:`read_mtg_jamendo`.
"""

from __future__ import annotations

from pathlib import Path

from muse.corpora.clips import Clip, EmotionDataset
from muse.corpora.song import SPLITS
from muse.corpora.table import inside, read_lines
from muse.emotion import MOODS
from muse.errors import InputError, shown

__all__ = ["read_mtg_jamendo"]

_PREFIX = "mood/theme---"


def read_mtg_jamendo(folder: Path, name: str) -> EmotionDataset:
    """Split 0 of the mood and theme subset; tracks whose sound is not there are an error only if none is.

    Raises
    ------
    InputError
        A table is missing or has a row that cannot be used, or there is no sound.
    """
    clips, absent = [], 0
    for split, word in zip(SPLITS, ("train", "validation", "test"), strict=True):
        table = folder / "data" / "splits" / "split-0" / f"autotagging_moodtheme-{word}.tsv"
        if not table.is_file():
            raise InputError(f"{table}: no such file: give the folder of the repository mtg-jamendo-dataset")
        for number, line in read_lines(table):
            if number == 1 or not line:
                continue
            track, artist, path, tags = _fields(table, number, line)
            sound = _sound(folder, path)
            if sound is None:
                absent += 1
            else:
                clips.append(Clip(track, sound, artist, split, tags=dict.fromkeys(tags, 1.0)))
    if not clips:
        raise InputError(f"{folder}: none of {absent} tracks has sound in audio/ or audio-low/: download it there")
    return EmotionDataset(name, tuple(clips), "moods")


def _fields(table: Path, number: int, line: str) -> tuple[str, str, str, list[str]]:
    """Track, artist, path and moods of a row: track, artist, album, path, length and tags, with tabs between."""
    cells = line.split("\t")
    if len(cells) < 5 or not inside(cells[3]):
        raise InputError(
            f"{table}, line {number}: {shown(line)} is no track (track, artist, album, path, length, tags)"
        )
    moods = [tag.removeprefix(_PREFIX) for tag in cells[5:] if tag.startswith(_PREFIX)]
    if unknown := sorted(set(moods) - set(MOODS)):
        raise InputError(f"{table}, line {number}: {', '.join(unknown)} is no mood or theme of MTG-Jamendo")
    return cells[0], cells[1], cells[3], moods


def _sound(folder: Path, path: str) -> Path | None:
    low = str(Path(path).with_suffix(".low.mp3"))
    tried = (folder / "audio" / path, folder / "audio-low" / low, folder / "audio" / low, folder / path)
    return next((place for place in tried if place.is_file()), None)
