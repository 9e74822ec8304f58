"""Collections of music with emotions that people gave it, as their users have them on disk.

=============  ======================================================================  ===============================
folder         layout, as it is unpacked                                               labels
=============  ======================================================================  ===============================
``emotify``    ``metadata.csv`` (a row a clip) and the files that it names             GEMS, shares of listeners
``emopia``     MIDI as :mod:`muse.corpora.songs` reads it; rendered                 quadrant
``vgmidi``     the same                                                                valence, arousal, over time
``memomusic``  the same                                                                valence, arousal
``mtg-jamendo``  ``data/splits/split-0/autotagging_moodtheme-*.tsv``; ``audio/`` or     56 mood and theme tags
               ``audio-low/`` beside it, or named by the tables' own folder numbers
``deam``       ``DEAM_Annotations/annotations/...``, ``DEAM_audio/MEMD_audio/*.mp3``   valence, arousal, over time
``pmemo``      ``annotations/*.csv``, ``chorus/*.mp3`` (PMEmo2019)                     valence, arousal, over time
``emomusic``   ``annotations/*.csv``, ``songs_info.csv``, ``clips_45seconds/*.mp3``    valence, arousal, over time
=============  ======================================================================  ===============================

A folder is known by the beginning of its name. Where a collection has no split of its own, or another is wanted, a file
``split.csv`` (columns ``song_id``, ``split``) in its folder tells it.

Conventions
-----------
valence, arousal
    -1..1; the sources' scales are mapped linearly (1..9 of DEAM and emoMusic, 0..1 of PMEmo).
tags
    0..1 by name: the share of listeners who felt it, or 0 and 1.
group
    What must not be on both sides of a split: artist, album or song.
split
    ``"train"``, ``"val"``, ``"test"``, or empty where the collection has none.
curve
    float32 [n, 3]: time in seconds, valence, arousal.

Contents: :class:`Clip`, :class:`EmotionDataset`, :class:`ListenerCurve`, :func:`open_dataset`, :func:`listener_curves`.

References
----------
Emotify: Aljanaki, Wiering & Veltkamp 2015. EMOPIA: Hung et al. 2021. VGMIDI: Ferreira & Whitehead 2019. MemoMusic: Luo
et al. 2020. MTG-Jamendo: Bogdanov et al. 2019. DEAM: Aljanaki, Yang & Soleymani 2017. PMEmo: Zhang et al. 2018.
emoMusic: Soleymani et al. 2013.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from muse.corpora.songs import SPLITS, Song, find_songs, read_curve
from muse.errors import InputError

__all__ = ["READERS", "Clip", "EmotionDataset", "ListenerCurve", "listener_curves", "open_dataset"]

GEMS: Final = (
    "amazement", "solemnity", "tenderness", "nostalgia", "calmness", "power", "joyful_activation", "tension", "sadness",
)  # fmt: skip
"""The Geneva Emotional Music Scale's nine factors (Zentner, Grandjean & Scherer 2008)."""
MOODS: Final = (
    "action", "adventure", "advertising", "background", "ballad", "calm", "children", "christmas", "commercial", "cool",
    "corporate", "dark", "deep", "documentary", "drama", "dramatic", "dream", "emotional", "energetic", "epic", "fast",
    "film", "fun", "funny", "game", "groovy", "happy", "heavy", "holiday", "hopeful", "inspiring", "love", "meditative",
    "melancholic", "melodic", "motivational", "movie", "nature", "party", "positive", "powerful", "relaxing", "retro",
    "romantic", "sad", "sexy", "slow", "soft", "soundscape", "space", "sport", "summer", "trailer", "travel", "upbeat",
    "uplifting",
)  # fmt: skip
"""Moods and themes of MTG-Jamendo (Bogdanov et al. 2019)."""

Floats = NDArray[np.float32]
AUDIO_SUFFIXES: Final = (".mp3", ".wav", ".flac", ".ogg", ".m4a")
VALENCE_FIRST: Final = ("valence", "arousal")


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
    curve: Floats | None = field(default=None, compare=False)
    """Mean over listeners, see the module."""


@dataclass(frozen=True)
class EmotionDataset:
    """Clips of one collection, and what its labels mean."""

    name: str
    clips: tuple[Clip, ...]
    tag_set: str = ""
    """Which of :data:`~muse.recognizer.heads.network.TAGS` its clips have; a tag that a clip does not name is 0
    there."""


@dataclass(frozen=True)
class ListenerCurve:
    """What one listener said of one clip."""

    clip: str
    """Name of the :class:`Clip`."""
    listener: str
    """Unique in the dataset; who it is, where the source tells (DEAM), else one for each annotation."""
    curve: Floats


# ------------------------------------------------------------------------------------------------------------- tables


def _table(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    """Rows of a table, names and values without blanks around them."""
    if not path.is_file():
        raise InputError(f"{path}: no such file: give the folder that the dataset was unpacked to")
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = csv.DictReader(stream, delimiter=delimiter, skipinitialspace=True)
        return [{(k or "").strip(): (v or "").strip() for k, v in row.items() if isinstance(v, str)} for row in rows]


def _number(row: Mapping[str, str], name: str, path: Path) -> float:
    try:
        value = float(row[name])
    except (KeyError, ValueError):
        value = float("nan")
    if not np.isfinite(value):
        raise InputError(f"{path}: {name} of {next(iter(row.values()), '?')} is no number")
    return value


def _scaled(value: float, low: float, high: float) -> float:
    return float(np.clip((value - low) / (high - low) * 2 - 1, -1, 1))


def _wide_curves(paths: Sequence[Path], low: float, high: float) -> dict[str, Floats]:
    """Curves of tables that have a row a song and a column ``sample_<time>ms`` a point: valence's, arousal's table."""
    series: list[dict[str, dict[float, float]]] = []
    for path in paths:
        songs: dict[str, dict[float, float]] = {}
        for row in _table(path) if path.is_file() else ():
            song, *_ = row.values()
            songs[_whole(song)] = dict(_samples(row))
        series.append(songs)
    curves = {}
    for song in series[0].keys() & series[1].keys():
        times = sorted(series[0][song].keys() & series[1][song].keys())
        if times:
            rows = [[t, *(_scaled(one[song][t], low, high) for one in series)] for t in times]
            curves[song] = np.array(rows, np.float32)
    return curves


def _samples(row: Mapping[str, str]) -> Iterator[tuple[float, float]]:
    """Time in seconds and value of the columns ``sample_<time>ms`` that have one."""
    for name, value in row.items():
        if match := re.fullmatch(r"sample_(\d+)\s*ms", name):
            number = float(value) if value and value.casefold() != "nan" else np.nan
            if np.isfinite(number):
                yield int(match[1]) / 1000, number


def _whole(song: str) -> str:
    """Id of a song that some tables write as a float (``2.0``)."""
    return song.removesuffix(".0")


def _sound_files(folder: Path, *places: str) -> dict[str, Path]:
    """Sound files by their stems, in the first of the places that is there."""
    for place in places:
        found = {path.stem: path for path in sorted((folder / place).rglob("*")) if path.suffix in AUDIO_SUFFIXES}
        if found:
            return found
    raise InputError(f"{folder} has no sound in {' or '.join(places)}: the dataset's audio is to be put there")


def _rated(
    folder: Path, rows: Mapping[str, tuple[float, float]], sounds: Mapping[str, Path], curves: Mapping[str, Floats],
    groups: Mapping[str, str] | None = None,
) -> tuple[Clip, ...]:  # fmt: skip
    """Clips of songs with both ratings and sound; 70, 15 and 15 percent of the groups in the splits, by a hash."""
    clips = []
    for song, emotion in rows.items():
        if song in sounds:
            group = (groups or {}).get(song) or song
            clips.append(Clip(song, sounds[song], group, _drawn(group), emotion=emotion, curve=curves.get(song)))
    if not clips:
        raise InputError(f"{folder}: no song has both ratings and sound: unpack both into it")
    return tuple(clips)


def _drawn(group: str) -> str:
    place = int(hashlib.sha1(group.casefold().encode()).hexdigest(), 16) % 100
    return "train" if place < 70 else "val" if place < 85 else "test"


# ------------------------------------------------------------------------------------------------------------ readers


def _read_emotify(folder: Path, name: str) -> EmotionDataset:
    table = folder / "metadata.csv"
    clips = [
        Clip(
            row["track_id"],
            folder / row["file"],
            row["artist"] or row["album"] or row["track_id"],
            tags={tag: _number(row, tag, table) for tag in GEMS},
        )
        for row in _table(table)
    ]
    return EmotionDataset(name, tuple(clips), "gems")


def _read_quadrants(folder: Path, name: str) -> EmotionDataset:
    clips = [
        Clip(song.song_id, song.path, song.group, song.split, tags={song.quadrant: 1.0})
        for song in find_songs([folder])
        if song.quadrant
    ]
    return EmotionDataset(name, tuple(clips), "quadrants")


def _read_ratings(folder: Path, name: str) -> EmotionDataset:
    clips = [
        Clip(song.song_id, song.path, song.group, song.split, emotion=(song.valence, song.arousal), curve=_mean(song))
        for song in find_songs([folder])
        if song.label_kind == "rating"
    ]
    return EmotionDataset(name, tuple(clips))


def _mean(song: Song) -> Floats | None:
    return None if song.curve_path is None else read_curve(song.curve_path, song.song_id).astype(np.float32)


def _read_jamendo(folder: Path, name: str) -> EmotionDataset:
    """Split 0 of the mood and theme subset; tracks whose sound is not there are an error only if none is."""
    clips, absent = [], 0
    for split, word in zip(SPLITS, ("train", "validation", "test"), strict=True):
        table = folder / "data" / "splits" / "split-0" / f"autotagging_moodtheme-{word}.tsv"
        if not table.is_file():
            raise InputError(f"{table}: no such file: give the folder of the repository mtg-jamendo-dataset")
        for line in table.read_text(encoding="utf-8").splitlines()[1:]:
            track, artist, _, path, _, *tags = line.split("\t")
            sound = _jamendo_sound(folder, path)
            if sound is None:
                absent += 1
                continue
            moods = [tag.removeprefix("mood/theme---") for tag in tags if tag.startswith("mood/theme---")]
            if unknown := set(moods) - set(MOODS):
                raise InputError(f"{table}: {', '.join(sorted(unknown))} is no mood or theme of MTG-Jamendo")
            clips.append(Clip(track, sound, artist, split, tags=dict.fromkeys(moods, 1.0)))
    if not clips:
        raise InputError(f"{folder}: none of {absent} tracks has sound in audio/ or audio-low/: download it there")
    return EmotionDataset(name, tuple(clips), "moods")


def _jamendo_sound(folder: Path, path: str) -> Path | None:
    low = str(Path(path).with_suffix(".low.mp3"))
    tried = (folder / "audio" / path, folder / "audio-low" / low, folder / "audio" / low, folder / path)
    return next((place for place in tried if place.is_file()), None)


def _deam_notes(folder: Path) -> Path:
    for notes in (folder / "DEAM_Annotations" / "annotations", folder / "annotations"):
        if notes.is_dir():
            return notes
    raise InputError(f"{folder} has no DEAM_Annotations/annotations: unpack DEAM's annotations into it")


def _read_deam(folder: Path, name: str) -> EmotionDataset:
    notes = _deam_notes(folder) / "annotations averaged per song"
    rows = {}
    for table in sorted((notes / "song_level").glob("static_annotations_averaged_songs_*.csv")):
        for row in _table(table):
            values = (_number(row, f"{axis}_mean", table) for axis in VALENCE_FIRST)
            valence, arousal = (_scaled(value, 1, 9) for value in values)
            rows[_whole(row["song_id"])] = (valence, arousal)
    dynamic = notes / "dynamic (per second annotations)"
    curves = _wide_curves([dynamic / f"{axis}.csv" for axis in VALENCE_FIRST], -1, 1)
    sounds = _sound_files(folder, "DEAM_audio/MEMD_audio", "DEAM_audio", "MEMD_audio", "audio")
    return EmotionDataset(name, _rated(folder, rows, sounds, curves))


def _read_pmemo(folder: Path, name: str) -> EmotionDataset:
    table = folder / "annotations" / "static_annotations.csv"
    rows = {}
    for row in _table(table):
        values = (_number(row, f"{axis.title()}(mean)", table) for axis in VALENCE_FIRST)
        valence, arousal = (_scaled(value, 0, 1) for value in values)
        rows[_whole(row["musicId"])] = (valence, arousal)
    dynamic = folder / "annotations" / "dynamic_annotations.csv"
    points: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for row in _table(dynamic) if dynamic.is_file() else ():
        values = (_number(row, f"{axis.title()}(mean)", dynamic) for axis in VALENCE_FIRST)
        valence, arousal = (_scaled(value, 0, 1) for value in values)
        points[_whole(row["musicId"])].append((_number(row, "frameTime", dynamic), valence, arousal))
    curves = {song: np.array(sorted(found), np.float32) for song, found in points.items()}
    songs = folder / "metadata.csv"
    artists = {_whole(row["musicId"]): row.get("artist", "") for row in _table(songs)} if songs.is_file() else {}
    return EmotionDataset(name, _rated(folder, rows, _sound_files(folder, "chorus", "audio"), curves, artists))


def _read_emomusic(folder: Path, name: str) -> EmotionDataset:
    notes = folder / "annotations"
    table = notes / "static_annotations.csv"
    rows = {}
    for row in _table(table):
        valence, arousal = (_scaled(_number(row, f"mean_{axis}", table), 1, 9) for axis in VALENCE_FIRST)
        rows[_whole(row["song_id"])] = (valence, arousal)
    curves = _wide_curves([notes / f"{axis}_cont_average.csv" for axis in VALENCE_FIRST], -1, 1)
    info = next((path for path in (folder / "songs_info.csv", notes / "songs_info.csv") if path.is_file()), None)
    artists = {_whole(row["song_id"]): row.get("Artist", "") for row in _table(info)} if info else {}
    sounds = _sound_files(folder, "clips_45seconds", "clips_45sec", "audio", "wav")
    return EmotionDataset(name, _rated(folder, rows, sounds, curves, artists))


READERS: Final[Mapping[str, Callable[[Path, str], EmotionDataset]]] = {
    "emotify": _read_emotify,
    "emopia": _read_quadrants,
    "vgmidi": _read_ratings,
    "memomusic": _read_ratings,
    "mtg-jamendo": _read_jamendo,
    "deam": _read_deam,
    "pmemo": _read_pmemo,
    "emomusic": _read_emomusic,
}
"""By the beginning of a folder's name."""


def open_dataset(folder: str | Path) -> EmotionDataset:
    """Read a dataset by its folder's name, which begins with one of :data:`READERS`.

    Raises
    ------
    InputError
        The name is unknown, or the dataset cannot be read.
    """
    folder = Path(folder)
    name = _reader_of(folder)
    dataset = READERS[name](folder, name)
    table = folder / "split.csv"
    if not table.is_file():
        return dataset
    splits = {row["song_id"]: row["split"] for row in _table(table) if "split" in row and "song_id" in row}
    if not splits or (wrong := set(splits.values()) - set(SPLITS)):
        problem = f"split {sorted(wrong)[0]!r} is none of {', '.join(SPLITS)}" if splits else "no song_id and split"
        raise InputError(f"{table}: {problem}: correct the table")
    clips = tuple(replace(clip, split=splits[clip.name]) for clip in dataset.clips if clip.name in splits)
    if not clips:
        raise InputError(f"{table} names none of the songs of {folder}: correct the table")
    return replace(dataset, clips=clips)


def _reader_of(folder: Path) -> str:
    for name in READERS:
        if folder.name.casefold().startswith(name):
            return name
    raise InputError(f"{folder} is none of the datasets {', '.join(READERS)}: name the folder after one of them")


# ---------------------------------------------------------------------------------------------------------- listeners


def listener_curves(folder: str | Path) -> list[ListenerCurve]:
    """Every listener's own curve: of VGMIDI, DEAM or PMEmo.

    VGMIDI's annotators cannot be followed from piece to piece. DEAM has ``annotations per each rater``, a table for
    each song and a row for each rater. PMEmo of 2018 has ``Annotations/{Arousal,Valence}/<song>-{A,V}.csv``, a
    column for each of a song's listeners and a row for every half second.

    Raises
    ------
    InputError
        The dataset has none, or they cannot be read.
    """
    folder = Path(folder)
    name = _reader_of(folder)
    readers = {"vgmidi": _vgmidi_listeners, "deam": _deam_listeners, "pmemo": _pmemo_listeners}
    if name not in readers:
        raise InputError(f"{folder}: {name} has no curves of single listeners: give {', '.join(readers)}")
    found = readers[name](folder)
    if not found:
        raise InputError(f"{folder}: there are no curves of single listeners in it: unpack those annotations too")
    return found


def _vgmidi_listeners(folder: Path) -> list[ListenerCurve]:
    table = folder / "annotations" / "valence_arousal.csv.gz"
    if not table.is_file():
        raise InputError(f"{table}: no such file: give VGMIDI with its annotations")
    points: dict[tuple[str, str], list[tuple[float, float, float]]] = defaultdict(list)
    with gzip.open(table, "rt", encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            time, valence, arousal = (_number(row, name, table) for name in ("time_s", *VALENCE_FIRST))
            points[row["piece_id"], row["annotation_id"]].append((time, valence, arousal))
    return [ListenerCurve(*key, np.array(sorted(rows), np.float32)) for key, rows in points.items()]


def _deam_listeners(folder: Path) -> list[ListenerCurve]:
    notes = _deam_notes(folder) / "annotations per each rater" / "dynamic (per second annotations)"
    curves = []
    for path in sorted((notes / "valence").glob("*.csv")):
        other = notes / "arousal" / path.name
        if not other.is_file():
            continue
        valence, arousal = _table(path), _table(other)
        for i, (one, two) in enumerate(zip(valence, arousal, strict=False)):
            listener = one.get("WorkerId", "") or f"{path.stem}-{i}"
            at, same = dict(_samples(one)), dict(_samples(two))
            rows = [(t, at[t], same[t]) for t in sorted(at.keys() & same.keys())]
            if rows:
                curves.append(ListenerCurve(path.stem, listener, np.array(rows, np.float32)))
    return curves


def _pmemo_listeners(folder: Path) -> list[ListenerCurve]:
    notes = folder / "Annotations"
    curves = []
    for path in sorted((notes / "Valence").glob("*-V.csv")):
        song = path.stem.removesuffix("-V")
        other = notes / "Arousal" / f"{song}-A.csv"
        if not other.is_file():
            continue
        valence, arousal = _table(path), _table(other)
        names = [name for name in (valence[0] if valence else {}) if name.casefold() not in ("", "frametime", "time")]
        for listener in names:
            if not arousal or listener not in arousal[0]:
                continue
            values = [
                (_scaled(_number(one, listener, path), 0, 1), _scaled(_number(two, listener, other), 0, 1))
                for one, two in zip(valence, arousal, strict=False)
            ]
            time = PMEMO_START_SEC + 0.5 * np.arange(len(values))
            curves.append(ListenerCurve(song, listener, np.column_stack([time, values]).astype(np.float32)))
    return curves


PMEMO_START_SEC: Final = 15.0
"""PMEmo's listeners' first fifteen seconds were left out by its makers."""
