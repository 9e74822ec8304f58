"""PMEmo (Zhang et al. 2018): choruses of pop songs with valence and arousal, once and over time, all in 0..1.

``annotations/*.csv`` and ``chorus/*.mp3`` of PMEmo2019; single listeners in ``Annotations/`` of PMEmo of 2018.

Contents: :func:`read_pmemo`, :func:`listeners`.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Final

import numpy as np

from muse.corpora.clips import AXES, EmotionDataset, ListenerCurve, rated_clips, rating, sound_files, whole_id
from muse.corpora.sources import SOURCES
from muse.corpora.table import Row, read_rows

__all__ = ["listeners", "read_pmemo"]

START_SEC: Final = 15.0
"""The first fifteen seconds of single listeners were left out by PMEmo's makers."""

_STEP_SEC: Final = 0.5
_MEANS: Final = [f"{axis.title()}(mean)" for axis in AXES]
_SOURCE = SOURCES["pmemo"]


def read_pmemo(folder: Path, name: str) -> EmotionDataset:
    """Songs with their mean ratings and curves; the group is the artist where a table names him.

    Raises
    ------
    InputError
        Annotations or sound are missing, or a row cannot be used.
    """
    notes = folder / "annotations"
    ratings = {
        whole_id(row["musicId"]): rating(row, _MEANS, _SOURCE) for row in read_rows(notes / "static_annotations.csv")
    }
    points: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for row in _rows(notes / "dynamic_annotations.csv"):
        points[whole_id(row["musicId"])].append((row.number("frameTime"), *rating(row, _MEANS, _SOURCE)))
    curves = {song: np.array(sorted(found), np.float32) for song, found in points.items()}
    artists = {whole_id(row["musicId"]): row.get("artist") for row in _rows(folder / "metadata.csv")}
    return EmotionDataset(name, rated_clips(folder, ratings, sound_files(folder, "chorus", "audio"), curves, artists))


def listeners(folder: Path) -> list[ListenerCurve]:
    """Every listener's curve: ``Annotations/{Arousal,Valence}/<song>-{A,V}.csv`` has a column for each of a song's
    listeners and a row for every half second."""
    notes = folder / "Annotations"
    curves = []
    for path in sorted((notes / "Valence").glob("*-V.csv")):
        song = path.stem.removesuffix("-V")
        other = notes / "Arousal" / f"{song}-A.csv"
        valence, arousal = list(read_rows(path)), list(_rows(other))
        if not valence or not arousal:
            continue
        names = [name for name in valence[0].values if name.casefold() not in ("", "frametime", "time")]
        for listener in names:
            if listener not in arousal[0].values:
                continue
            scaled = [
                _SOURCE.scaled(one.number(listener), two.number(listener))
                for one, two in zip(valence, arousal, strict=False)
            ]
            time = START_SEC + _STEP_SEC * np.arange(len(scaled))
            curve = np.column_stack([time, np.clip(scaled, -1, 1)]).astype(np.float32)
            curves.append(ListenerCurve(song, listener, curve))
    return curves


def _rows(path: Path) -> list[Row]:
    """Rows of a table that need not be there."""
    return list(read_rows(path)) if path.is_file() else []
