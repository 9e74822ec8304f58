"""Importers: what the folders and file names of each data set say about its music.

Nothing is opened here but labels; no MIDI file is read. A folder is recognised by its content, not by its name:

=================  ======================================================================  =============================
convention         recognised by                                                           what it tells
=================  ======================================================================  =============================
``metadata``       ``metadata.csv`` with columns ``id`` and ``file``; it is authoritative  all fields of :class:`Song`
``pop909``         ``NNN/NNN.mid`` beside ``beat_midi.txt``                                beats, chords, key
``emopia``         ``Q1_<song>_<n>.mid``                                                   quadrant, song
``xmidi``          ``XMIDI_<emotion>_<genre>_<id>.midi``                                   emotion word, genre
``vgmidi``         a CSV with the columns of :data:`VGMIDI_COLUMNS`, or the raw JSON       valence, arousal, their curve
``genres``         most of the child folders have names of genres                          genre
``bare``           anything else with MIDI files in it                                     nothing
=================  ======================================================================  =============================

A folder that holds several corpora gives them one after another.

Conventions
-----------
quadrant
    ``"Q1"`` .. ``"Q4"`` as in :mod:`muse.emotion`, empty when unknown.
valence, arousal
    -1..1, NaN when unknown. Scales of the sources (:data:`SCALES`) are mapped linearly.
label_kind
    How much valence and arousal are worth: ``"rating"`` (means of people's ratings), ``"word"`` (the place of an
    emotion word), ``"quadrant"`` (only the signs are known; the numbers are +1 and -1), empty without labels.
group
    What must never be split between training and test: the song, not the clip; the piece, not the performance.
none
    Empty strings, NaN and ``None`` paths stand for what a source does not say.

Contents: :class:`Song`, :func:`find_songs`, :func:`read_beats`, :func:`read_chords`, :func:`read_key`,
:func:`read_curve`, :func:`genre_of`.
"""

from __future__ import annotations

import csv
import functools
import gzip
import json
import math
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from muse.emotion import Emotion
from muse.errors import InputError, MuseError
from muse.tokens.vocabulary import GENRES

__all__ = [
    "SCALES",
    "SPLITS",
    "VGMIDI_COLUMNS",
    "BeatTimes",
    "Song",
    "find_songs",
    "genre_of",
    "read_beats",
    "read_chords",
    "read_curve",
    "read_key",
    "work_name",
]

SPLITS = ("train", "val", "test")

MIDI_SUFFIXES = frozenset({".mid", ".midi", ".kar"})

VGMIDI_COLUMNS = frozenset({"series", "console", "game", "piece", "midi", "valence", "arousal"})
"""Header by which the label tables of VGMIDI are known."""

SCALES: Mapping[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "memomusic": ((-5.0, 5.0), (0.0, 10.0)),
}
"""(low, high) of valence and of arousal where a source does not use -1..1, by the start of the corpus name."""

_LICENCES = {
    "emopia": ("CC BY-NC-SA 4.0", "nc"),
    "pop909": ("MIT", "permissive"),
    "vgmidi": ("not stated", "unclear"),
    "xmidi": ("not stated", "unclear"),
}
"""(licence, class) of a convention, as its source states it. Everything else without metadata is unclear."""

LICENCE_CLASSES = ("permissive", "copyleft", "nc", "unclear")

_QUADRANT_SIGNS = {"Q1": (1.0, 1.0), "Q2": (-1.0, 1.0), "Q3": (-1.0, -1.0), "Q4": (1.0, -1.0)}

_EMOPIA = re.compile(r"^Q([1-4])_(.+)_(\d+)$")
_XMIDI = re.compile(r"^XMIDI_([A-Za-z]+)_([A-Za-z]+)_([A-Za-z0-9]+)$")
_POP909 = re.compile(r"^\d{3}$")

# Words of sources -> our genre names; the first that is found in the source's word holds.
_GENRE_WORDS: tuple[tuple[str, str], ...] = (
    ("game", "game"), ("hip hop", "hiphop"), ("hiphop", "hiphop"), ("hip-hop", "hiphop"), ("rap", "hiphop"),
    ("jazz", "jazz"), ("swing", "jazz"), ("bebop", "jazz"), ("ragtime", "jazz"), ("blues", "blues"),
    ("reggae", "reggae"), ("country", "country"), ("funk", "funk"), ("soul", "funk"), ("r&b", "funk"),
    ("disco", "dance"), ("dance", "dance"), ("techno", "electronic"), ("trance", "electronic"), ("house", "electronic"),
    ("electronic", "electronic"), ("edm", "electronic"), ("ambient", "newage"), ("new age", "newage"),
    ("newage", "newage"), ("latin", "latin"), ("salsa", "latin"), ("samba", "latin"), ("bossa", "latin"),
    ("tango", "latin"), ("hymn", "hymn"), ("chorale", "hymn"), ("gospel", "hymn"), ("march", "march"),
    ("military", "march"), ("stage", "stage"), ("musical", "stage"), ("soundtrack", "stage"), ("film", "stage"),
    ("folk", "folk"), ("world", "folk"), ("celtic", "folk"), ("traditional", "folk"), ("nottingham", "folk"),
    ("classic", "classical"), ("baroque", "classical"), ("romantic", "classical"), ("renaissance", "classical"),
    ("opera", "classical"), ("orchestra", "classical"), ("art song", "classical"), ("technique", "classical"),
    ("metal", "rock"), ("punk", "rock"), ("rock", "rock"), ("pop", "pop"), ("song", "pop"), ("other", "other"),
)  # fmt: skip


@dataclass(frozen=True)
class Song:
    """One MIDI file and what its source says about it. Conventions: see the module."""

    path: Path
    corpus: str
    song_id: str
    source: str
    """Path inside the corpus, with slashes."""
    group: str
    """Unique within the corpus; see the module."""
    title: str = ""
    composer: str = ""
    genre: str = ""
    """One of :data:`muse.tokens.vocabulary.GENRES`, or empty."""
    quadrant: str = ""
    valence: float = math.nan
    arousal: float = math.nan
    label_kind: Literal["", "rating", "word", "quadrant"] = ""
    licence: str = ""
    licence_class: str = "unclear"
    split: str = ""
    """The source's own split, when it has one."""
    beats_path: Path | None = None
    chords_path: Path | None = None
    key_path: Path | None = None
    curve_path: Path | None = None
    """Where the emotion over time is written; :func:`read_curve` reads it."""
    to_click: bool = False
    """The source gives the tempo that the players heard (Groove's ``bpm``): the file's bars are real, however freely
    its notes lie about them."""
    beats_in_bar: int = 0
    """Beats a bar of the annotated beats where the source says so (POP909), else 0."""


@dataclass(frozen=True)
class BeatTimes:
    """Annotated beats, ready for :func:`muse.score.align_to_beats`."""

    time_sec: NDArray[np.float64]
    """float64 [n_beats], strictly increasing."""
    downbeat: NDArray[np.bool_]
    """bool [n_beats]."""
    quarters: NDArray[np.float64]
    """float64 [n_beats]: quarter notes that each beat lasts."""


# ---------------------------------------------------------------------------------------------------------------- doors


def find_songs(sources: Iterable[Path | str]) -> list[Song]:
    """All songs under the given files and folders, sorted by corpus and id.

    Parameters
    ----------
    sources
        MIDI files, corpora, or folders of corpora. A file that is reached twice counts once.

    Raises
    ------
    InputError
        A source does not exist, has no MIDI file in it, or its ``metadata.csv`` cannot be used.
    """
    found: dict[Path, Song] = {}
    for source in map(Path, sources):
        if not source.exists():
            raise InputError(f"{source}: no such file or folder; give MIDI files, corpora or folders of corpora")
        songs = list(_songs_of(source))
        if not songs:
            raise InputError(f"{source}: no MIDI file in it (looked for {', '.join(sorted(MIDI_SUFFIXES))})")
        for song in songs:
            found.setdefault(song.path.resolve(), song)
    ordered = sorted(found.values(), key=lambda song: (song.corpus, song.song_id, song.source))
    seen: Counter[tuple[str, str]] = Counter()
    for i, song in enumerate(ordered):
        seen[song.corpus, song.song_id] += 1
        if (n := seen[song.corpus, song.song_id]) > 1:  # two folders of one name, or two files of one stem
            ordered[i] = replace(song, song_id=f"{song.song_id}#{n}")
    return ordered


def genre_of(words: str) -> str:
    """Our genre for a source's words (``"Funk / Soul"`` -> ``"funk"``); empty when none is known.

    >>> genre_of("video game (rock/metal/ambient)"), genre_of("Hip-Hop"), genre_of("")
    ('game', 'hiphop', '')
    """
    text = words.lower()
    if text in GENRES:
        return text
    return next((genre for word, genre in _GENRE_WORDS if word in text), "")


def work_name(title: str, composer: str) -> str:
    """A name under which the same work meets itself across corpora; empty unless both parts are known.

    Spelling, accents, first names and order of names do not count: ``"Bach, Johann Sebastian"``, ``"J. S. Bach"`` and
    ``"BachJS"`` are one.
    """
    composer = composer.split(",")[0].strip()
    composer = re.sub(r"(?<=[a-z])[A-Z]{1,4}$", "", composer)  # Mutopia's initials behind the name
    family = _plain(composer.split()[-1]) if composer.split() else ""
    name = _plain(title)
    return f"{name}|{family}" if name and family else ""


def _plain(text: str) -> str:
    """Letters and digits of a text, lower case, without accents."""
    text = unicodedata.normalize("NFKD", text).casefold()
    return "".join(letter for letter in text if letter.isalnum())


def _songs_of(source: Path) -> Iterator[Song]:
    if source.is_file():
        yield from _bare([source], source.parent, source.parent.name)
        return
    if _metadata_header(source) is not None:
        yield from _metadata(source)
        return
    children = [child for child in sorted(source.iterdir()) if child.is_dir()]
    if any(_metadata_header(child) is not None for child in children):
        for child in children:
            yield from _songs_of(child)
        return
    files = _midi_files(source)
    if files:
        yield from _by_names(source, files)


def _midi_files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in MIDI_SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def _by_names(folder: Path, files: Sequence[Path]) -> Iterator[Song]:
    """Recognise a folder without ``metadata.csv`` by what lies in it."""
    corpus = folder.resolve().name

    def share(test: Any) -> float:
        return sum(bool(test(path)) for path in files) / len(files)

    if share(lambda path: _EMOPIA.match(path.stem)) > 0.5:
        return _emopia(files, folder, corpus)
    if share(lambda path: _XMIDI.match(path.stem)) > 0.5:
        return _xmidi(files, folder, corpus)
    if any(
        _POP909.match(path.stem) and path.parent.name == path.stem and (path.parent / "beat_midi.txt").exists()
        for path in files
    ):
        return _pop909(files, folder, corpus)
    tables = _vgmidi_tables(folder)
    if tables or list(folder.rglob("vgmidi_raw_*.json")):
        return _vgmidi(files, folder, corpus, tables)
    base = Path(os.path.commonpath([path.parent for path in files]))
    tops = {path.relative_to(base).parts[0] for path in files if path.parent != base}
    if len(tops) > 1 and sum(bool(genre_of(_spaced(top))) for top in tops) * 2 > len(tops):
        return _genres(files, folder, corpus, base)
    return _bare(files, folder, corpus)


def _song(path: Path, folder: Path, corpus: str, convention: str = "", **fields: Any) -> Song:
    """A song with the fields that follow from its place; *fields* overrides them."""
    source = path.relative_to(folder).as_posix()
    song_id = source.rpartition(".")[0]
    licence, licence_class = _LICENCES.get(convention, ("", "unclear"))
    values: dict[str, Any] = {
        "path": path, "corpus": corpus, "song_id": song_id, "source": source, "group": song_id, "title": path.stem,
        "licence": licence, "licence_class": licence_class,
    }  # fmt: skip
    return Song(**{**values, **fields})


def _spaced(name: str) -> str:
    return name.replace("_", " ")


# ---------------------------------------------------------------------------------------------------------- conventions


def _bare(files: Sequence[Path], folder: Path, corpus: str) -> Iterator[Song]:
    for path in files:
        yield _song(path, folder, corpus)


def _genres(files: Sequence[Path], folder: Path, corpus: str, base: Path) -> Iterator[Song]:
    for path in files:
        genre = "" if path.parent == base else genre_of(_spaced(path.relative_to(base).parts[0]))
        yield _song(path, folder, corpus, genre=genre)


def _emopia(files: Sequence[Path], folder: Path, corpus: str) -> Iterator[Song]:
    for path in files:
        if match := _EMOPIA.match(path.stem):
            quadrant = f"Q{match[1]}"
            valence, arousal = _QUADRANT_SIGNS[quadrant]
            yield _song(
                path, folder, corpus, "emopia", group=match[2], title=match[2], genre="pop", quadrant=quadrant,
                valence=valence, arousal=arousal, label_kind="quadrant",
            )  # fmt: skip
        else:
            yield _song(path, folder, corpus, "emopia")


def _xmidi(files: Sequence[Path], folder: Path, corpus: str) -> Iterator[Song]:
    for path in files:
        match = _XMIDI.match(path.stem)
        if match is None:
            yield _song(path, folder, corpus, "xmidi")
            continue
        emotion = _emotion(match[1])
        labels: dict[str, Any] = {}
        if emotion is not None:
            labels = {
                "valence": emotion.valence, "arousal": emotion.arousal, "quadrant": emotion.quadrant,
                "label_kind": "word",
            }  # fmt: skip
        yield _song(path, folder, corpus, "xmidi", title=match[3], genre=genre_of(match[2]), **labels)


def _emotion(word: str) -> Emotion | None:
    try:
        return Emotion.parse(word)
    except MuseError:
        return None


def _pop909(files: Sequence[Path], folder: Path, corpus: str) -> Iterator[Song]:
    for path in files:
        number = next(
            (part for part in reversed(path.relative_to(folder).parts[:-1]) if _POP909.match(part)), path.stem
        )
        if path.stem != number:  # versions/: other arrangements, whose beats nobody annotated
            yield _song(path, folder, corpus, "pop909", group=number, title=number, genre="pop")
            continue
        beside = {name: _existing(path.parent / f"{name}.txt") for name in ("beat_midi", "chord_midi", "key_audio")}
        yield _song(
            path, folder, corpus, "pop909", song_id=number, group=number, title=number, genre="pop",
            beats_path=beside["beat_midi"], chords_path=beside["chord_midi"], key_path=beside["key_audio"],
        )  # fmt: skip


def _vgmidi_tables(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*.csv")) if set(_header(path)) >= VGMIDI_COLUMNS]


def _vgmidi(files: Sequence[Path], folder: Path, corpus: str, tables: Sequence[Path]) -> Iterator[Song]:
    rows: dict[str, dict[str, str]] = {}
    for table in tables:
        for row in _rows(table):
            rows[Path(row["midi"]).stem] = row
    # Some tables write low as 0, some as -1.
    low = 0.0 if rows and all(float(row["valence"]) >= 0 for row in rows.values()) else -1.0
    raw: dict[str, Path] = {}
    for path in sorted(folder.rglob("vgmidi_raw_*.json")):
        for piece in _json(path).get("pieces", {}).values():
            raw[Path(piece["midi"]).stem] = path
    pieces = {re.sub(r"_\d+$", "", stem) for stem in rows}
    for path in files:
        whole = re.sub(r"_\d+$", "", path.stem)
        group = whole if whole in pieces or whole in raw else path.stem
        row = rows.get(path.stem) or rows.get(f"{path.stem}_0") or {}
        labels: dict[str, Any] = {"title": row.get("piece", path.stem)}
        if row:
            signs = [1.0 if float(row[name]) > (0.5 if low == 0 else 0.0) else -1.0 for name in ("valence", "arousal")]
            labels |= {
                "valence": signs[0], "arousal": signs[1], "quadrant": Emotion(*signs).quadrant,
                "label_kind": "quadrant",
            }  # fmt: skip
        if path.stem in raw:
            # People's ratings say more than the signs of a table.
            curve = read_curve(raw[path.stem], path.stem)
            if len(curve):
                mean = Emotion(*(float(np.clip(curve[:, axis].mean(), -1, 1)) for axis in (1, 2)))
                labels |= {"valence": mean.valence, "arousal": mean.arousal, "label_kind": "rating"}
                labels.setdefault("quadrant", mean.quadrant)
                labels["curve_path"] = raw[path.stem]
        yield _song(path, folder, corpus, "vgmidi", song_id=path.stem, group=group, genre="game", **labels)


def _metadata(folder: Path) -> Iterator[Song]:
    """Our own layout: ``metadata.csv``, ``midi/``, and ``annotations/`` where there are any."""
    corpus = folder.resolve().name
    table = folder / "metadata.csv"
    scale = next((value for name, value in SCALES.items() if corpus.startswith(name)), ((-1.0, 1.0), (-1.0, 1.0)))
    notes = folder / "annotations"
    curves = _existing(notes / "valence_arousal.csv.gz")
    for line, row in enumerate(_rows(table), start=2):
        path = folder / row["file"]
        if not path.is_file():
            raise InputError(f"{table}, line {line}: there is no file {row['file']!r} in {folder}")
        song_id, number = row["id"], row["id"].rpartition("_")[2]
        fields: dict[str, Any] = {
            "song_id": song_id,
            "group": row.get("song_id") or row.get("piece") or song_id,
            "title": row.get("title", ""),
            "composer": row.get("composer") or row.get("artist") or "",
            "genre": genre_of(row.get("genre_group") or "") or genre_of(row.get("genre") or ""),
            "licence": row.get("licence", ""),
            "licence_class": _licence_class(row.get("licence_class", ""), table, line),
            "split": {"validation": "val"}.get(row.get("split", ""), row.get("split", "")),
            "beats_path": _existing(notes / f"{number}_beat_midi.txt") or _existing(notes / f"{song_id}.txt"),
            "chords_path": _existing(notes / f"{number}_chord_midi.txt"),
            "key_path": _existing(notes / f"{number}_key_audio.txt"),
            "to_click": bool(row.get("bpm")),
            "beats_in_bar": int(row.get("num_beats_per_measure") or 0),
        }
        if fields["split"] not in SPLITS:  # VGMIDI's "labelled" is a split of another kind
            fields["split"] = ""
        fields |= _labels(row, scale, table, line)
        if curves is not None and fields["label_kind"] == "rating":
            fields["curve_path"] = curves
        yield _song(path, folder, corpus, **fields)


def _labels(
    row: Mapping[str, str], scale: tuple[tuple[float, float], tuple[float, float]], table: Path, line: int
) -> dict[str, Any]:
    """Quadrant, valence and arousal of a row of ``metadata.csv``."""
    quadrant = f"Q{row['quadrant']}" if row.get("quadrant") else ""
    try:
        point = [
            (float(row[name]) - low) / (high - low) * 2 - 1 if row.get(name) else math.nan
            for name, (low, high) in zip(("valence", "arousal"), scale, strict=True)
        ]
    except ValueError as error:
        raise InputError(f"{table}, line {line}: valence and arousal must be numbers ({error})") from error
    if quadrant not in ("", *_QUADRANT_SIGNS) or any(abs(value) > 1 + 1e-6 for value in point):
        raise InputError(
            f"{table}, line {line}: quadrant {row.get('quadrant')!r} (legal 1..4), valence {row.get('valence')!r} and "
            f"arousal {row.get('arousal')!r} (legal {scale[0]} and {scale[1]}) do not fit the scales of this corpus"
        )
    kind = ""
    if not math.isnan(point[0] + point[1]):
        # +1 and -1 exactly, along with a quadrant, are its signs and nobody's rating.
        kind = "quadrant" if quadrant and tuple(point) == _QUADRANT_SIGNS[quadrant] else "rating"
    elif quadrant:
        point, kind = list(_QUADRANT_SIGNS[quadrant]), "quadrant"
    return {"quadrant": quadrant, "valence": point[0], "arousal": point[1], "label_kind": kind}


def _licence_class(value: str, table: Path, line: int) -> str:
    if value and value not in LICENCE_CLASSES:
        raise InputError(f"{table}, line {line}: licence_class {value!r} is none of {', '.join(LICENCE_CLASSES)}")
    return value or "unclear"


# ---------------------------------------------------------------------------------------------------------- annotations


def read_beats(path: Path, beats_in_bar: int = 0) -> BeatTimes:
    """Annotated beats of POP909 (``beat_midi.txt``) or ASAP.

    POP909 writes time and two flags, separated by blanks: the first marks bars of two (in triple meters three) beats,
    the second bars of twice as many. We take the second for duple meters (4/4) and the first for triple ones (3/4).
    ASAP writes time, time and ``b``, ``db`` or ``bR`` with tabs, and at a downbeat the time signature when it changes;
    its beats are those that one would conduct, so in 6/8 one lasts a dotted quarter.

    Parameters
    ----------
    path
        The text file.
    beats_in_bar
        3 when POP909's table says so; 0 or 2 lets the flags decide.

    Raises
    ------
    InputError
        A line cannot be read, or fewer than two beats are in the file.
    """
    time: list[float] = []
    quarters: list[float] = []
    flags: list[tuple[bool, bool]] = []
    beat = 1.0
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        parts = line.split()
        if not parts:
            continue
        try:
            moment = float(parts[0])
            if len(parts) >= 3 and not parts[2][0].isdigit():  # ASAP
                word, _, rest = parts[2].partition(",")
                signature = rest.split(",")[0]
                if "/" in signature:
                    beat = _conducted_beat(*map(int, signature.split("/")))
                flag = (word == "db", word == "db")
            else:
                flag = (float(parts[1]) > 0, float(parts[2]) > 0 if len(parts) > 2 else float(parts[1]) > 0)
        except (ValueError, IndexError) as error:
            raise InputError(f"{path}, line {number}: {line!r} is no beat ({error})") from error
        if time and moment <= time[-1] + 1e-3:
            # The same instant twice (a repeat written out): one beat, which opens a bar if either does.
            flags[-1] = (flags[-1][0] or flag[0], flags[-1][1] or flag[1])
            continue
        time.append(moment)
        flags.append(flag)
        quarters.append(beat)
    if len(time) < 2:
        raise InputError(f"{path}: {len(time)} beats; two or more are needed")
    short, long = np.array(flags, dtype=bool).T
    # 3/4 shows in the short bars: two of them (6 beats) are no bar that anybody counts.
    spacing = np.diff(np.flatnonzero(short))
    triple = beats_in_bar == 3 or (len(spacing) > 0 and int(np.bincount(spacing).argmax()) == 3)
    down_flags = short if triple else long
    return BeatTimes(np.array(time), down_flags, np.array(quarters))


def _conducted_beat(numerator: int, denominator: int) -> float:
    """Quarter notes of one beat: three units in compound meters (6/8, 12/16, 6/4), one elsewhere."""
    compound = numerator > 3 and numerator % 3 == 0
    return (3 if compound else 1) * 4 / denominator


def read_chords(path: Path) -> list[tuple[float, float, str]]:
    """Chords of POP909 (``chord_midi.txt``): start and end in seconds and the symbol (``B:maj7``, ``N`` for none)."""
    chords = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        parts = line.split()
        if not parts:
            continue
        try:
            chords.append((float(parts[0]), float(parts[1]), parts[2]))
        except (ValueError, IndexError) as error:
            raise InputError(f"{path}, line {number}: {line!r} is no chord (start, end, symbol)") from error
    return chords


_TONICS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def read_key(path: Path) -> tuple[int, str] | None:
    """Key of POP909 (``key_audio.txt``) as (tonic 0..11, mode); ``None`` when the song has several."""
    symbols = {parts[2] for line in path.read_text(encoding="utf-8").splitlines() if len(parts := line.split()) >= 3}
    if len(symbols) != 1:
        return None
    name, _, quality = symbols.pop().partition(":")
    if not name or name[0] not in _TONICS or quality[:3] not in ("maj", "min"):
        return None
    tonic = (_TONICS[name[0]] + name.count("#") - name[1:].count("b")) % 12
    return tonic, "major" if quality.startswith("maj") else "minor"


def read_curve(path: Path, song_id: str) -> NDArray[np.float64]:
    """Emotion over time: the mean of all annotators of a VGMIDI piece.

    Parameters
    ----------
    path
        Raw JSON of VGMIDI (``vgmidi_raw_1.json``), or a table ``piece_id, annotation_id, measure, time_s, valence,
        arousal`` (CSV, may be gzipped).
    song_id
        Id of the piece in the table, or its MIDI file's stem in the JSON.

    Returns
    -------
    float64 [n_points, 3]
        Time in seconds (of the recording that was judged), valence, arousal; empty when the piece is not there.
    """
    return (_curves_json if path.suffix == ".json" else _curves_table)(path).get(song_id, np.zeros((0, 3)))


@functools.lru_cache(maxsize=4)
def _curves_table(path: Path) -> dict[str, NDArray[np.float64]]:
    points: dict[str, dict[int, list[tuple[float, float, float]]]] = defaultdict(lambda: defaultdict(list))
    for row in _rows(path):
        point = (float(row["time_s"]), float(row["valence"]), float(row["arousal"]))
        points[row["piece_id"]][int(row["measure"])].append(point)
    return {
        piece: np.array([np.mean(measures[index], axis=0) for index in sorted(measures)])
        for piece, measures in points.items()
    }


@functools.lru_cache(maxsize=4)
def _curves_json(path: Path) -> dict[str, NDArray[np.float64]]:
    table = _json(path)
    by_piece: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    for name, annotation in table.get("annotations", {}).items():
        by_piece[name.rpartition("_")[0]].append(np.array([annotation["valence"], annotation["arousal"]], dtype=float))
    curves = {}
    for name, piece in table.get("pieces", {}).items():
        series = by_piece.get(name, [])
        n_points = int(np.median([s.shape[1] for s in series])) if series else 0
        series = [s for s in series if s.shape[1] == n_points]  # an annotator who stopped early heard another piece
        if n_points:
            seconds = np.arange(n_points) * float(piece["duration"]) / n_points
            curves[Path(piece["midi"]).stem] = np.column_stack([seconds, *np.mean(series, axis=0)])
    return curves


# ---------------------------------------------------------------------------------------------------------------- files


def _existing(path: Path) -> Path | None:
    return path if path.is_file() else None


@functools.lru_cache(maxsize=4)
def _json(path: Path) -> dict[str, Any]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(table, dict):
        raise InputError(f"{path}: a JSON object is needed, this is a {type(table).__name__}")
    return table


def _header(path: Path) -> list[str]:
    """Column names of a CSV; empty when it has none that can be read."""
    try:
        with _open(path) as stream:
            return next(csv.reader(stream), [])
    except (OSError, ValueError, csv.Error):
        return []


def _metadata_header(folder: Path) -> list[str] | None:
    header = _header(folder / "metadata.csv") if (folder / "metadata.csv").is_file() else []
    return header if {"id", "file"} <= set(header) else None


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with _open(path) as stream:
        for row in csv.DictReader(stream):
            yield {name: (value or "").strip() for name, value in row.items() if isinstance(name, str)}


def _open(path: Path) -> Any:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")
