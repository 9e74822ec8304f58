"""Data sets of sound or rendered MIDI with emotions that people gave it, as their users have them on disk.

A folder is known by the beginning of its name:

===============  ===============================================================  ===============================
folder           layout                                                           labels
===============  ===============================================================  ===============================
``emotify``      :mod:`muse.corpora.emotify`                                      GEMS, shares of listeners
``emopia``       MIDI as :mod:`muse.corpora.songs` reads it; rendered             quadrant
``vgmidi``       the same                                                         valence, arousal, over time
``memomusic``    the same                                                         valence, arousal
``mtg-jamendo``  :mod:`muse.corpora.mtg_jamendo`                                  56 mood and theme tags
``deam``         :mod:`muse.corpora.deam`                                         valence, arousal, over time
``pmemo``        :mod:`muse.corpora.pmemo`                                        valence, arousal, over time
``emomusic``     :mod:`muse.corpora.emomusic`                                     valence, arousal, over time
===============  ===============================================================  ===============================

Where a data set has no split of its own, or another is wanted, a file ``split.csv`` (columns ``song_id``, ``split``) in
its folder tells it. Conventions: :mod:`muse.corpora.clips`.

Contents: :func:`open_dataset`, :func:`listener_curves`, :data:`READERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from muse.corpora import deam, emomusic, emotify, mtg_jamendo, pmemo, vgmidi
from muse.corpora.clips import Clip, EmotionDataset, ListenerCurve
from muse.corpora.song import SPLITS, Song
from muse.corpora.songs import find_songs
from muse.corpora.table import read_rows
from muse.errors import InputError, shown

__all__ = ["LISTENERS", "READERS", "listener_curves", "open_dataset"]


def _read_quadrants(folder: Path, name: str) -> EmotionDataset:
    clips = [
        Clip(song.song_id, song.path, song.group, song.split, tags={song.quadrant: 1.0})
        for song in find_songs([folder])
        if song.quadrant
    ]
    return EmotionDataset(name, tuple(clips), "quadrants")


def _read_ratings(folder: Path, name: str) -> EmotionDataset:
    return EmotionDataset(
        name, tuple(_rated(song) for song in find_songs([folder]) if song.label_kind == "rating")
    )  # fmt: skip


def _rated(song: Song) -> Clip:
    curve = None if song.curve_path is None else vgmidi.read_curve(song.curve_path, song.song_id).astype(np.float32)
    emotion = (song.valence, song.arousal)
    return Clip(song.song_id, song.path, song.group, song.split, emotion=emotion, curve=curve)


READERS: Final[Mapping[str, Callable[[Path, str], EmotionDataset]]] = {
    "emotify": emotify.read_emotify,
    "emopia": _read_quadrants,
    "vgmidi": _read_ratings,
    "memomusic": _read_ratings,
    "mtg-jamendo": mtg_jamendo.read_mtg_jamendo,
    "deam": deam.read_deam,
    "pmemo": pmemo.read_pmemo,
    "emomusic": emomusic.read_emomusic,
}
"""By the beginning of a folder's name."""

LISTENERS: Final[Mapping[str, Callable[[Path], list[ListenerCurve]]]] = {
    "vgmidi": vgmidi.listeners,
    "deam": deam.listeners,
    "pmemo": pmemo.listeners,
}
"""Those that say what each listener said."""


def open_dataset(folder: str | Path) -> EmotionDataset:
    """Read a data set by its folder's name, which begins with one of :data:`READERS`.

    Raises
    ------
    InputError
        The name is unknown, or the data set cannot be read.
    """
    folder = Path(folder)
    name = _name_of(folder)
    dataset = READERS[name](folder, name)
    table = folder / "split.csv"
    if not table.is_file():
        return dataset
    splits = {}
    for row in read_rows(table):
        splits[row["song_id"]] = row["split"]
        if row["split"] not in SPLITS:
            raise row.fault(f"split {shown(row['split'])} is none of {', '.join(SPLITS)}: correct the table")
    clips = tuple(replace(clip, split=splits[clip.name]) for clip in dataset.clips if clip.name in splits)
    if not clips:
        raise InputError(f"{table} names none of the songs of {folder}: correct the table")
    return replace(dataset, clips=clips)


def listener_curves(folder: str | Path) -> list[ListenerCurve]:
    """Every listener's own curve, of one of :data:`LISTENERS`.

    Raises
    ------
    InputError
        The data set has none, or they cannot be read.
    """
    folder = Path(folder)
    name = _name_of(folder)
    if name not in LISTENERS:
        raise InputError(f"{folder}: {name} has no curves of single listeners: give {', '.join(LISTENERS)}")
    found = LISTENERS[name](folder)
    if not found:
        raise InputError(f"{folder}: there are no curves of single listeners in it: unpack those annotations too")
    return found


def _name_of(folder: Path) -> str:
    for name in READERS:
        if folder.name.casefold().startswith(name):
            return name
    raise InputError(f"{folder} is none of the datasets {', '.join(READERS)}: name the folder after one of them")
