"""Our own layout of a corpus: ``metadata.csv``, the files that it names, and ``annotations/`` where there are any.

Columns ``id`` and ``file`` (a path inside the folder) are needed; what each other column fills stands in :func:`_song`.

=====================================================  ================================================================
``annotations/<number>_beat_midi.txt`` or ``<id>.txt``  beats, :func:`muse.corpora.beats.read_beats`
``annotations/<number>_chord_midi.txt``                chords, :func:`muse.corpora.pop909.read_chords`
``annotations/<number>_key_audio.txt``                 key, :func:`muse.corpora.pop909.read_key`
``annotations/valence_arousal.csv.gz``                 ratings over time, :func:`muse.corpora.vgmidi.read_curve`
=====================================================  ================================================================

Contents: :func:`has_metadata`, :func:`read_metadata`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

from muse.corpora.song import QUADRANT_SIGNS, SPLITS, Song, genre_of, song_of
from muse.corpora.sources import LICENCE_CLASSES, Source, source_of
from muse.corpora.table import Row, header, inside, read_lines, read_rows
from muse.errors import InputError, shown

__all__ = ["has_metadata", "read_metadata"]

TABLE: Final = "metadata.csv"

_MOST_BEATS = 32
"""Beats a bar that a table may claim."""


def has_metadata(folder: Path) -> bool:
    """Whether a folder has a ``metadata.csv`` of ours: one with the columns ``id`` and ``file``.

    Raises
    ------
    InputError
        Its first line is no UTF-8.
    """
    table = folder / TABLE
    if not table.is_file():
        return False
    for _, line in read_lines(table):
        if "\0" in line:
            raise InputError(f"{table}, line 1: this is no text in UTF-8: save the table in UTF-8")
        break
    return {"id", "file"} <= set(header(table))


def read_metadata(folder: Path | str) -> list[Song]:
    """Songs of a corpus, in the order of its table.

    Raises
    ------
    InputError
        There is no table, or a row of it cannot be used: the message names the row.
    """
    folder = Path(folder)
    table = folder / TABLE
    if not table.is_file():
        raise InputError(f"{table}: no such file; give the folder that holds {folder.name}")
    source = source_of(folder.resolve().name)
    return [_song(row, folder, source) for row in read_rows(table, exact=True)]


def _song(row: Row, folder: Path, source: Source) -> Song:
    path = row.file("file", folder)
    if not path.is_file():
        raise row.fault(f"there is no file {shown(row['file'])} in {folder}")
    song_id, number = row["id"], row["id"].rpartition("_")[2]
    if not inside(song_id):  # it names annotations too
        raise row.fault(f"id {shown(song_id)} must not be empty, begin with a slash or hold '..'")
    notes = folder / "annotations"
    split = {"validation": "val"}.get(row.get("split"), row.get("split"))
    labels = _labels(row, source)
    curves = _existing(notes / "valence_arousal.csv.gz") if labels["label_kind"] == "rating" else None
    return song_of(
        path,
        folder,
        folder.resolve().name,
        song_id=song_id,
        group=row.get("song_id") or row.get("piece") or song_id,
        title=row.get("title"),
        composer=row.get("composer") or row.get("artist"),
        genre=genre_of(row.get("genre_group")) or genre_of(row.get("genre")),
        licence=row.get("licence"),
        licence_class=_licence_class(row),
        split=split if split in SPLITS else "",  # VGMIDI's "labelled" is a split of another kind
        beats_path=_existing(notes / f"{number}_beat_midi.txt") or _existing(notes / f"{song_id}.txt"),
        chords_path=_existing(notes / f"{number}_chord_midi.txt"),
        key_path=_existing(notes / f"{number}_key_audio.txt"),
        curve_path=curves,
        to_click=bool(row.get("bpm")),
        beats_in_bar=_beats_in_bar(row),
        game=row.get("game"),
        series=row.get("series"),
        programs=row.get("programs"),
        **labels,
    )


def _labels(row: Row, source: Source) -> dict[str, Any]:
    """Quadrant, valence and arousal of a row."""
    quadrant = f"Q{row.get('quadrant')}" if row.get("quadrant") else ""
    try:
        given = [float(row.get(name) or "nan") for name in ("valence", "arousal")]
    except ValueError as error:
        raise row.fault(f"valence and arousal must be numbers ({error})") from None
    point = source.scaled(*given)
    if quadrant not in ("", *QUADRANT_SIGNS) or any(abs(value) > 1 + 1e-6 for value in point):
        found = {name: shown(row.get(name)) for name in ("quadrant", "valence", "arousal")}
        raise row.fault(
            f"quadrant {found['quadrant']} (legal 1..4), valence {found['valence']} and arousal {found['arousal']} "
            f"(legal {source.valence} and {source.arousal}) do not fit the scales of this corpus"
        )
    kind = ""
    if not math.isnan(point[0] + point[1]):
        # +1 and -1 exactly, along with a quadrant, are its signs and no rating.
        kind = "quadrant" if quadrant and point == QUADRANT_SIGNS[quadrant] else "rating"
    elif quadrant:
        point, kind = QUADRANT_SIGNS[quadrant], "quadrant"
    return {"quadrant": quadrant, "valence": point[0], "arousal": point[1], "label_kind": kind}


def _licence_class(row: Row) -> str:
    value = row.get("licence_class")
    if value and value not in LICENCE_CLASSES:
        raise row.fault(f"licence_class {shown(value)} is none of {', '.join(LICENCE_CLASSES)}")
    return value or "unclear"


def _beats_in_bar(row: Row) -> int:
    text = row.get("num_beats_per_measure") or "0"
    if not text.isascii() or not text.isdigit() or len(text) > 2 or int(text) > _MOST_BEATS:
        raise row.fault(f"num_beats_per_measure {shown(text)} is no number of beats (0..{_MOST_BEATS})")
    return int(text)


def _existing(path: Path) -> Path | None:
    return path if path.is_file() else None
