"""DEAM (Aljanaki, Yang & Soleymani 2017): songs with valence and arousal, once (1..9) and over time (-1..1).

``DEAM_Annotations/annotations/...`` and ``DEAM_audio/MEMD_audio/*.mp3`` as they are unpacked.

Contents: :func:`read_deam`, :func:`listeners`.
"""

from __future__ import annotations

from pathlib import Path

from muse.corpora.clips import (
    AXES,
    EmotionDataset,
    ListenerCurve,
    both_axes,
    rated_clips,
    rating,
    samples_of,
    sound_files,
    whole_id,
    wide_curves,
)
from muse.corpora.sources import SOURCES
from muse.corpora.table import read_rows
from muse.errors import InputError

__all__ = ["listeners", "read_deam"]


def read_deam(folder: Path, name: str) -> EmotionDataset:
    """Songs with their mean ratings and curves; the group is the song.

    Raises
    ------
    InputError
        Annotations or sound are missing, or a row cannot be used.
    """
    notes = _annotations(folder) / "annotations averaged per song"
    ratings = {
        whole_id(row["song_id"]): rating(row, [f"{axis}_mean" for axis in AXES], SOURCES["deam"])
        for table in sorted((notes / "song_level").glob("static_annotations_averaged_songs_*.csv"))
        for row in read_rows(table)
    }
    dynamic = notes / "dynamic (per second annotations)"
    curves = wide_curves([dynamic / f"{axis}.csv" for axis in AXES])
    sounds = sound_files(folder, "DEAM_audio/MEMD_audio", "DEAM_audio", "MEMD_audio", "audio")
    return EmotionDataset(name, rated_clips(folder, ratings, sounds, curves))


def listeners(folder: Path) -> list[ListenerCurve]:
    """Every rater's curves: ``annotations per each rater`` has a table a song and a row a rater."""
    notes = _annotations(folder) / "annotations per each rater" / "dynamic (per second annotations)"
    curves = []
    for path in sorted((notes / "valence").glob("*.csv")):
        other = notes / "arousal" / path.name
        if not other.is_file():
            continue
        for i, (one, two) in enumerate(zip(read_rows(path), read_rows(other), strict=False)):
            curve = both_axes(samples_of(one), samples_of(two))
            if len(curve):
                curves.append(ListenerCurve(path.stem, one.get("WorkerId") or f"{path.stem}-{i}", curve))
    return curves


def _annotations(folder: Path) -> Path:
    for notes in (folder / "DEAM_Annotations" / "annotations", folder / "annotations"):
        if notes.is_dir():
            return notes
    raise InputError(f"{folder} has no DEAM_Annotations/annotations: unpack DEAM's annotations into it")
