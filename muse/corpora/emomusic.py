"""emoMusic (Soleymani et al. 2013): clips of 45 seconds with valence and arousal, once (1..9) and over time (-1..1).

``annotations/*.csv``, ``songs_info.csv`` and ``clips_45seconds/*.mp3`` as they are unpacked.

Contents: :func:`read_emomusic`.
"""

from __future__ import annotations

from pathlib import Path

from muse.corpora.clips import AXES, EmotionDataset, rated_clips, rating, sound_files, whole_id, wide_curves
from muse.corpora.sources import SOURCES
from muse.corpora.table import read_rows

__all__ = ["read_emomusic"]


def read_emomusic(folder: Path, name: str) -> EmotionDataset:
    """Clips with their mean ratings and curves; the group is the artist where a table names him.

    Raises
    ------
    InputError
        Annotations or sound are missing, or a row cannot be used.
    """
    notes = folder / "annotations"
    ratings = {
        whole_id(row["song_id"]): rating(row, [f"mean_{axis}" for axis in AXES], SOURCES["emomusic"])
        for row in read_rows(notes / "static_annotations.csv")
    }
    curves = wide_curves([notes / f"{axis}_cont_average.csv" for axis in AXES])
    info = next((path for path in (folder / "songs_info.csv", notes / "songs_info.csv") if path.is_file()), None)
    artists = {whole_id(row["song_id"]): row.get("Artist") for row in read_rows(info)} if info else {}
    sounds = sound_files(folder, "clips_45seconds", "clips_45sec", "audio", "wav")
    return EmotionDataset(name, rated_clips(folder, ratings, sounds, curves, artists))
