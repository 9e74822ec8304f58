"""VGMIDI (Ferreira & Whitehead, ISMIR 2019): game music for piano, rated over time by some thirty listeners a piece.

As it is unpacked it has tables of signs by phrase (columns :data:`COLUMNS`) and ``vgmidi_raw_*.json`` with every
annotator's series; in our own layout, ``annotations/valence_arousal.csv.gz`` with columns :data:`CURVE_COLUMNS`.

Contents: :func:`is_vgmidi`, :func:`songs_by_tables`, :func:`vgmidi_pieces`, :func:`read_curve`, :func:`listeners`.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from muse.corpora.clips import ListenerCurve
from muse.corpora.metadata import read_metadata
from muse.corpora.song import Song, files_below, song_of
from muse.corpora.table import Row, header, read_lines, read_rows
from muse.emotion import Emotion
from muse.errors import InputError, shown

__all__ = ["is_vgmidi", "listeners", "read_curve", "songs_by_tables", "vgmidi_pieces"]

FOLDER: Final = "vgmidi-unclear"
"""Its folder in a folder of corpora with ``metadata.csv``."""

COLUMNS: Final = frozenset({"series", "console", "game", "piece", "midi", "valence", "arousal"})
"""Header by which the tables of signs are known."""

CURVE_COLUMNS: Final = ("piece_id", "annotation_id", "measure", "time_s", "valence", "arousal")

_RAW = "vgmidi_raw_*.json"


# --------------------------------------------------------------------------------------------------------------- songs


def is_vgmidi(folder: Path) -> bool:
    """Whether VGMIDI's tables or its raw annotations lie somewhere in a folder."""
    return bool(_tables(folder)) or bool(_raw_files(folder))


def _tables(folder: Path) -> list[Path]:
    return [path for path in files_below(folder) if path.suffix == ".csv" and set(header(path)) >= COLUMNS]


def _raw_files(folder: Path) -> list[Path]:
    return [path for path in files_below(folder) if path.match(_RAW)]


def songs_by_tables(files: Sequence[Path], folder: Path, corpus: str) -> Iterator[Song]:
    """Songs of the corpus as it is unpacked: signs of phrases, means of people's ratings where there are any.

    Raises
    ------
    InputError
        A table or the raw annotations cannot be read.
    """
    rows = {Path(row["midi"]).stem: row for table in _tables(folder) for row in read_rows(table)}
    # Some tables write low as 0, some as -1.
    low = 0.0 if rows and all(row.number("valence") >= 0 for row in rows.values()) else -1.0
    raw: dict[str, Path] = {}
    for path in _raw_files(folder):
        raw |= dict.fromkeys(_raw_pieces(path), path)
    pieces = {_whole(stem) for stem in rows}
    for path in files:
        whole = _whole(path.stem)
        group = whole if whole in pieces or whole in raw else path.stem
        row = rows.get(path.stem) or rows.get(f"{path.stem}_0")
        labels: dict[str, Any] = {"title": row.get("piece") if row else path.stem}
        if row:
            labels |= _signs(row, low)
        if path.stem in raw:
            labels |= _means(raw[path.stem], path.stem, labels)
        yield song_of(path, folder, corpus, "vgmidi", song_id=path.stem, group=group, genre="game", **labels)


def _whole(stem: str) -> str:
    """Piece of a phrase: names end in its number."""
    return re.sub(r"_\d+$", "", stem)


def _signs(row: Row, low: float) -> dict[str, Any]:
    limit = 0.5 if low == 0 else 0.0
    valence, arousal = (1.0 if row.number(name) > limit else -1.0 for name in ("valence", "arousal"))
    quadrant = Emotion(valence, arousal).quadrant
    return {"valence": valence, "arousal": arousal, "quadrant": quadrant, "label_kind": "quadrant"}


def _means(raw: Path, stem: str, labels: Mapping[str, Any]) -> dict[str, Any]:
    """People's ratings say more than the signs of a table."""
    curve = read_curve(raw, stem)
    if not len(curve):
        return {}
    mean = Emotion(*(float(np.clip(curve[:, axis].mean(), -1, 1)) for axis in (1, 2)))
    return {
        "valence": mean.valence, "arousal": mean.arousal, "label_kind": "rating", "curve_path": raw,
        "quadrant": labels.get("quadrant") or mean.quadrant,
    }  # fmt: skip


def vgmidi_pieces(corpora: Path | str) -> list[Song]:
    """The rated pieces, with means of their listeners, in the order of the table.

    Parameters
    ----------
    corpora
        Folder that holds ``vgmidi-unclear`` with its ``metadata.csv``.

    Raises
    ------
    InputError
        The corpus is not there or has no rated piece.
    """
    folder = Path(corpora) / FOLDER
    songs = [song for song in read_metadata(folder) if song.label_kind == "rating" and song.quadrant]
    if not songs:
        raise InputError(f"{folder / 'metadata.csv'}: no row has a quadrant and ratings of valence and arousal")
    return songs


# -------------------------------------------------------------------------------------------------------------- curves


def read_curve(path: Path, song_id: str) -> NDArray[np.float64]:
    """Emotion over time: the mean of all annotators of a piece.

    Parameters
    ----------
    path
        Raw JSON of VGMIDI (``vgmidi_raw_1.json``), or a table with :data:`CURVE_COLUMNS` (CSV, may be gzipped).
    song_id
        Id of the piece in the table, or its MIDI file's stem in the JSON.

    Returns
    -------
    float64 [n_points, 3]
        Time in seconds (of the recording that was judged), valence, arousal; empty when the piece is not there.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    return (_curves_json if path.suffix == ".json" else _curves_table)(path).get(song_id, np.zeros((0, 3)))


@functools.lru_cache(maxsize=4)
def _curves_table(path: Path) -> dict[str, NDArray[np.float64]]:
    points: dict[str, dict[float, list[tuple[float, float, float]]]] = defaultdict(lambda: defaultdict(list))
    for row in read_rows(path):
        point = (row.number("time_s"), row.number("valence"), row.number("arousal"))
        points[row["piece_id"]][row.number("measure")].append(point)
    return {
        piece: np.array([np.mean(measures[index], axis=0) for index in sorted(measures)])
        for piece, measures in points.items()
    }


@functools.lru_cache(maxsize=4)
def _curves_json(path: Path) -> dict[str, NDArray[np.float64]]:
    by_piece: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    for name, annotation in _raw(path)["annotations"].items():
        by_piece[name.rpartition("_")[0]].append(_series(path, name, annotation))
    curves = {}
    for stem, (name, duration) in _raw_pieces(path).items():
        series = by_piece.get(name, [])
        n_points = int(np.median([s.shape[1] for s in series])) if series else 0
        series = [s for s in series if s.shape[1] == n_points]  # an annotator who stopped early heard another piece
        if n_points and series:
            seconds = np.arange(n_points) * duration / n_points
            curves[stem] = np.column_stack([seconds, *np.mean(series, axis=0)])
    return curves


def _series(path: Path, name: str, annotation: Any) -> NDArray[np.float64]:
    """Valence and arousal of one annotator, [2, n_points]."""
    try:
        series = np.array([annotation["valence"], annotation["arousal"]], dtype=float)
    except (KeyError, TypeError, ValueError):
        series = np.zeros(0)
    if series.ndim != 2 or not np.isfinite(series).all():
        raise InputError(
            f"{path}: annotation {shown(name)} has no two lists of numbers, valence and arousal, of one length"
        )
    return series


@functools.lru_cache(maxsize=4)
def _raw_pieces(path: Path) -> dict[str, tuple[str, float]]:
    """Stem of each piece's MIDI file -> name of the piece and its length in seconds."""
    found = {}
    for name, piece in _raw(path)["pieces"].items():
        try:
            stem, duration = Path(piece["midi"]).stem, float(piece["duration"])
        except (KeyError, TypeError, ValueError):
            stem, duration = "", math.nan
        if not math.isfinite(duration):
            raise InputError(f"{path}: piece {shown(name)} has no 'midi' and no 'duration' in seconds")
        found[stem] = (name, duration)
    return found


@functools.lru_cache(maxsize=4)
def _raw(path: Path) -> dict[str, dict[str, Any]]:
    try:
        table = json.loads("\n".join(line for _, line in read_lines(path)))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not readable as JSON ({error})") from None
    if not isinstance(table, dict):
        raise InputError(f"{path}: a JSON object is needed, this is a {type(table).__name__}")
    parts = {name: table.get(name, {}) for name in ("annotations", "pieces")}
    if wrong := [name for name, part in parts.items() if not isinstance(part, dict)]:
        raise InputError(f"{path}: {shown(wrong[0])} must be a JSON object")
    return parts


def listeners(folder: Path) -> list[ListenerCurve]:
    """Every annotation by itself; who it is by cannot be followed from piece to piece.

    Raises
    ------
    InputError
        There is no table of annotations, or it cannot be read.
    """
    table = folder / "annotations" / "valence_arousal.csv.gz"
    if not table.is_file():
        raise InputError(f"{table}: no such file: give VGMIDI with its annotations")
    points: dict[tuple[str, str], list[tuple[float, float, float]]] = defaultdict(list)
    for row in read_rows(table):
        point = (row.number("time_s"), row.number("valence"), row.number("arousal"))
        points[row["piece_id"], row["annotation_id"]].append(point)
    return [ListenerCurve(*key, np.array(sorted(rows), np.float32)) for key, rows in points.items()]
