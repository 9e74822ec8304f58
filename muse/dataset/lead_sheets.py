"""Lead sheets and their arrangements, taken from corpora: one row a stretch of bars in one meter.

What a row's tune is depends on the corpus: the melody track (POP909), the voice (Lieder), the staff above the chords
(OpenEWLD), the first violin (quartets), elsewhere the top voice where it can be trusted. Chords are those annotated,
or found (:func:`muse.theory.lead_sheet.find_chords`). All other tracks become *parts*, by what they do in an ensemble
(:data:`muse.tokens.arrangement.PARTS`).

Conventions: as in :mod:`muse.tokens.plan`; notes of parts lie on twelfths of a quarter note, sixteenths and triplets.

Contents: :class:`Sheet`, :func:`read_sheets`, :func:`build`, :func:`load`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from muse.corpora import Song, find_songs, read_chords
from muse.dataset.build import select_songs, work_digest
from muse.dataset.groups import hash_split
from muse.dataset.windows import Settings, find_grid
from muse.engines import Died, Engine, ProcessPool
from muse.engines.processes import TOO_BIG
from muse.errors import InputError, MuseError
from muse.files import replacing
from muse.score import DRUMS, Notes, bar_grid, beat_to_sec, note_array, read_score, tempo_map
from muse.sheets.extract import FoundChord, Stretch, plan_of_stretch, snap, stretches
from muse.theory.lead_sheet import find_melody
from muse.tokens.arrangement import part_of
from muse.tokens.plan import Plan, bar_length, fold_shift

__all__ = ["Sheet", "build", "load", "read_sheets"]

_log = logging.getLogger(__name__)

MIN_BARS: Final = 8
MIN_NOTES: Final = 8
MIN_MELODY_TRUST: Final = 0.6

ROW_GROUP: Final = 256  # sheets that are held in memory while a shard is written
_SOURCES: Final = ".sources"  # folder that archives are unpacked in
_TOLD: Final = "muse"  # entry of a shard's metadata


@dataclass(frozen=True)
class Sheet:
    """A stretch of a song in one meter: its plan and what the instruments play to it."""

    song: str
    """Corpus and id, with the number of the stretch."""
    corpus: str
    genre: str
    split: str
    licence: str
    tempo_bpm: float
    at_start: bool
    """It begins where the music begins."""
    at_end: bool
    plan: Plan
    played: bool
    """Velocities are of a performance."""
    notes: NDArray[np.int16]
    """int16 [n, 6]: part (index in `parts`), bar, position and length in twelfths of a quarter, pitch, velocity."""
    parts: tuple[str, ...]
    """Names of :data:`PARTS`, one an instrument."""
    melody_velocity: NDArray[np.int16]
    """int16 [n_bars]: mean velocity of the tune, 0 where it rests."""
    melody_program: int
    """General MIDI program of the tune, -1 where there is none."""
    shift: int = 0
    """Semitones by which the plan has been moved against the notes of the parts."""

    def in_c(self) -> Sheet:
        """The same sheet with its plan on the tonic C, as tokens spell it."""
        shift = fold_shift(-self.plan.tonic)
        return replace(self, plan=self.plan.transposed(shift), shift=self.shift + shift)


def read_sheets(song: Song) -> list[Sheet]:
    """All sheets of one song; empty where it has no real bars.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    score = read_score(song.path)
    raw = note_array(score)
    if len(raw) < MIN_NOTES:
        return []
    score, kind, _ = find_grid(score, raw, song, Settings(), [])
    if kind == "none":
        return []
    notes, grid, tempos = note_array(score), bar_grid(score), tempo_map(score)
    step = snap(notes["onset_beat"])
    names = [track.name for track in score.tracks]
    melody_track = _melody_track(song.corpus, names, notes)
    if melody_track == -1 and song.corpus != "groove":
        pitched = np.flatnonzero(notes["program"] != DRUMS)
        lead, trust = find_melody(*(notes[name][pitched] for name in ("onset_beat", "duration_beat", "pitch")))
        if trust < MIN_MELODY_TRUST:
            return []
        is_melody = np.zeros(len(notes), bool)
        is_melody[pitched[lead]] = True
    else:
        is_melody = notes["track"] == melody_track
    chord_beats = _annotated(song, float(raw["onset_sec"].min()) - float(notes["onset_sec"].min()), tempos)
    sheets = []
    for number, bars in enumerate(bars for bars in stretches(notes, grid) if len(bars) >= MIN_BARS):
        shape = Stretch(tuple(bars), grid)
        moved = shape.moved(step)
        where = moved >= 0
        if where.sum() >= MIN_NOTES:
            sheet = _sheet(song, notes[where], moved[where], is_melody[where], chord_beats, tempos, shape)
            sheets.append(replace(sheet, song=f"{song.corpus}/{song.song_id}#{number}"))
    if sheets:
        sheets[0] = replace(sheets[0], at_start=True)
        sheets[-1] = replace(sheets[-1], at_end=True)
    return sheets


def _melody_track(corpus: str, names: list[str], notes: Notes) -> int:
    """Index of the track with the tune; -1 where the corpus does not say."""
    count = np.bincount(notes["track"], minlength=len(names))
    program = {int(t): int(notes["program"][notes["track"] == t][0]) for t in np.flatnonzero(count)}
    if corpus == "pop909":
        found = [t for t in program if names[t] == "MELODY"]
    elif corpus == "openewld":
        found = [t for t in program if names[t] != "CHORDS"]
    elif corpus == "openscore-lieder":
        found = [t for t, p in program.items() if p >= 24 and p != 46 and p != DRUMS]
    elif corpus == "openscore-quartets":
        found = [min(program)]
    else:
        found = []
    return max(found, key=lambda t: int(count[t])) if found else -1


_DEGREES = {"1": 0, "b2": 1, "2": 2, "b3": 3, "3": 4, "4": 5, "b5": 6, "#4": 6, "5": 7, "#5": 8, "b6": 8, "6": 9,
            "b7": 10, "7": 11, "9": 2, "b9": 1, "11": 5, "13": 9}  # fmt: skip
_NAMES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ANNOTATED_QUALITIES = (
    ("maj7", "maj7"), ("maj9", "maj7"), ("min7", "m7"), ("min9", "m7"), ("min11", "m7"), ("minmaj7", "m"),
    ("hdim7", "m7b5"), ("dim7", "dim7"), ("dim", "dim"), ("aug", "aug"), ("maj6", "6"), ("min6", "m6"),
    ("sus2", "sus2"), ("sus", "sus4"), ("maj", ""), ("min", "m"), ("7", "7"), ("9", "7"), ("11", "7"), ("13", "7"),
)  # fmt: skip


def chord_of_annotation(symbol: str) -> FoundChord:
    """(root, quality, bass) of a symbol in Harte's notation (``G#:min7/b3``); None for ``N``."""
    if symbol in ("N", "X", ""):
        return None
    head, _, degree = symbol.partition("/")
    name, _, quality = head.partition(":")
    root = (_NAMES[name[0]] + name.count("#") - name[1:].count("b")) % 12
    word = next((mine for start, mine in _ANNOTATED_QUALITIES if quality.startswith(start)), "")
    bass = (root + _DEGREES[degree]) % 12 if degree in _DEGREES else root
    return root, word, None if bass == root else bass


def _annotated(song: Song, offset_sec: float, tempos: NDArray[np.float64]) -> list[tuple[float, FoundChord]] | None:
    """(beat, chord) of annotated changes, or None where there are none. `offset_sec`: source minus score."""
    if song.chords_path is None:
        return None
    chords = read_chords(song.chords_path)
    last = max((end for _, end, _ in chords), default=0.0)
    beats = np.arange(-64.0, 64 + last * 5, 0.25)
    moments = beat_to_sec(tempos, beats)
    return [
        (float(np.rint(np.interp(start - offset_sec, moments, beats))), chord_of_annotation(symbol))
        for start, _, symbol in chords
    ]


def _sheet(
    song: Song,
    notes: Notes,
    step: NDArray[np.int64],
    is_melody: NDArray[np.bool_],
    chord_beats: list[tuple[float, FoundChord]] | None,
    tempos: NDArray[np.float64],
    shape: Stretch,
) -> Sheet:
    size = bar_length(shape.meter)
    changes = None
    if chord_beats is not None:
        beats = np.array([beat for beat, _ in chord_beats])
        places = shape.moved(np.rint(beats * 12).astype(np.int64)) // 3
        changes = [(int(p), c) for p, (_, c) in zip(places, chord_beats, strict=True) if p >= 0]
    plan = plan_of_stretch(notes, step, is_melody, shape, changes)
    place = np.rint(step[is_melody] / 3).astype(np.int64)
    velocity = _mean_velocities(notes[is_melody], place, size, shape.n_bars)
    rest = ~is_melody
    programs = notes["program"][rest]
    # POP909's bridge and piano are two hands' worth of one instrument.
    tracks = np.zeros(rest.sum(), np.int64) if song.corpus == "pop909" else notes["track"][rest].astype(np.int64)
    numbers = {t: i for i, t in enumerate(np.unique(tracks).tolist())}
    parts = tuple(part_of(int(programs[tracks == t][0])) for t in numbers)
    length = np.maximum(np.rint(notes["duration_beat"][rest] * 12), 1)
    columns = (
        [numbers[int(t)] for t in tracks], step[rest] // (size * 3), step[rest] % (size * 3),
        np.minimum(length, 1000), notes["pitch"][rest], notes["velocity"][rest],
    )  # fmt: skip
    velocities = notes["velocity"][rest] if rest.any() else notes["velocity"]
    program = int(notes["program"][is_melody][0]) if is_melody.any() else -1
    return Sheet(
        song=song.song_id,
        corpus=song.corpus,
        genre=song.genre,
        split=song.split or hash_split(f"{song.corpus}/{song.group}"),
        licence=song.licence,
        tempo_bpm=60 * shape.n_quarters / max(shape.sec(tempos), 1e-3),
        at_start=False,
        at_end=False,
        plan=plan,
        played=len(np.unique(velocities)) > 12,
        notes=np.stack([np.asarray(c, np.int16) for c in columns], axis=1).reshape(-1, 6),
        parts=parts,
        melody_velocity=velocity,
        melody_program=program,
    )


def _mean_velocities(notes: Notes, place: NDArray[np.int64], size: int, n_bars: int) -> NDArray[np.int16]:
    """Mean velocity of the tune in each bar, 0 where it rests."""
    bar = np.clip(place // size, 0, n_bars - 1)
    count = np.bincount(bar, minlength=n_bars)
    total = np.bincount(bar, weights=notes["velocity"], minlength=n_bars)
    return np.rint(total / np.maximum(count, 1)).astype(np.int16)


# ------------------------------------------------------------------------------------------------------------ shards


def build(
    sources: Iterable[Path | str],
    out: Path | str,
    *,
    licence_classes: Iterable[str] = ("permissive",),
    n_processes: int | None = None,
    engine: Engine | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Read all songs of some corpora and write a Parquet shard for each corpus, whole or not at all.

    A shard that was made from the same files by the same code is kept, so a build that was killed goes on with the
    corpus that it was at. Shards of other corpora in the folder stay.

    Parameters
    ----------
    sources
        MIDI files, corpora or folders of corpora, see :mod:`muse.corpora.songs`; archives and URLs of them, see
        :mod:`muse.corpora.archives`, which are unpacked in `out` for as long as the shards are not finished.
    out
        Folder of the shards.
    licence_classes
        Songs of these classes are read: ``permissive``, ``copyleft``, ``nc``, ``unclear``.
    n_processes
        Worker processes; default: one per core. A file that makes one crash, hang or grow is left out.
    engine
        Where files are read; default: :class:`~muse.engines.ProcessPool`, so many.
    progress
        Called with (songs done, songs in all).

    Returns
    -------
    dict
        ``songs`` that were read, those ``without`` a sheet, ``sheets`` and ``bars``, in all and ``by_corpus``, and
        ``rejects``: what was wrong with files, by song.

    Raises
    ------
    InputError
        A source cannot be used, no song is left, or none of them has a lead sheet.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; give a folder for the lead sheets")
    by_corpus: dict[str, list[Song]] = {}
    for song in select_songs(find_songs(sources, unpack_in=out / _SOURCES), licence_classes):
        by_corpus.setdefault(song.corpus, []).append(song)
    out.mkdir(parents=True, exist_ok=True)
    total = sum(map(len, by_corpus.values()))
    made: dict[str, dict[str, Any]] = {}
    where = engine or ProcessPool(n_processes)
    for corpus, songs in by_corpus.items():
        done = sum(row["songs"] for row in made.values())

        def step(n: int, done: int = done) -> None:
            if progress is not None:
                progress(done + n, total)

        made[corpus] = _shard(out / f"{corpus}.parquet", songs, where, step)
        step(len(songs))
        _log.info("%s: %d songs, %d sheets", corpus, len(songs), made[corpus]["sheets"])
    shutil.rmtree(out / _SOURCES, ignore_errors=True)
    counts = {name: sum(row[name] for row in made.values()) for name in ("songs", "without", "sheets", "bars")}
    rejects = {song: reason for row in made.values() for song, reason in row.pop("rejects").items()}
    if not counts["sheets"]:
        raise InputError(
            f"no lead sheet in {total} songs, {len(rejects)} of which cannot be read: songs need a meter on their own "
            f"grid, {MIN_BARS} bars and a tune that can be told from the rest"
        )
    return {"folder": str(out), **counts, "by_corpus": made, "rejects": rejects}


def _attempt(song: Song) -> list[dict[str, Any]] | str:
    """What a worker does: the rows of a song, or what is wrong with its file."""
    try:
        return [_row(sheet) for sheet in read_sheets(song)]
    except MemoryError:
        return TOO_BIG
    except Exception as error:  # one bad file must not end a build
        reason = str(error) if isinstance(error, MuseError) else f"{type(error).__name__}: {error}"
        return " ".join(reason.replace(str(song.path), song.source).split())[:300]


def _shard(path: Path, songs: Sequence[Song], engine: Engine, step: Callable[[int], None]) -> dict[str, Any]:
    """Write a corpus's shard, unless it is there already; what it counts stands in its metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    digest = work_digest(songs, {"min_bars": MIN_BARS})
    if path.is_file() and (known := _told(path)).get("digest") == digest:
        return dict(known["counts"])
    for stale in path.parent.glob(f".{path.stem}.*.part{path.suffix}"):  # of a build that was killed
        stale.unlink()
    schema = _schema()
    counts: dict[str, Any] = {"songs": len(songs), "without": 0, "sheets": 0, "bars": 0, "rejects": {}}
    waiting: dict[int, Any] = {}
    rows: list[dict[str, Any]] = []
    results = engine.map(_attempt, enumerate(songs), timeout_sec=Settings().timeout_sec)
    with (
        contextlib.closing(results),
        replacing(path) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):
        for done, (number, result) in enumerate(results, start=1):
            waiting[number] = result
            while (ready := done - len(waiting)) in waiting:  # in the order of the songs, whoever was first
                found, song = waiting.pop(ready), songs[ready]
                if not isinstance(found, list):
                    reason = found.reason if isinstance(found, Died) else found
                    counts["rejects"][f"{song.corpus}/{song.song_id}"] = reason
                    _log.warning("%s/%s: %s", song.corpus, song.song_id, reason)
                    found = []
                counts["without"] += not found
                counts["sheets"] += len(found)
                counts["bars"] += sum(len(row["melody_velocity"]) for row in found)
                rows += found
            if len(rows) >= ROW_GROUP:
                writer.write_table(pa.Table.from_pylist(rows, schema))
                rows.clear()
            step(done)
        writer.write_table(pa.Table.from_pylist(rows, schema))
        writer.add_key_value_metadata({_TOLD: json.dumps({"digest": digest, "counts": counts})})
    return counts


def _told(path: Path) -> dict[str, Any]:
    """What a shard says of itself; empty for files that are none of ours."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return dict(json.loads((pq.read_metadata(path).metadata or {}).get(_TOLD.encode(), b"{}")))
    except (pa.ArrowException, OSError, ValueError):
        return {}


def _schema() -> Any:
    """Columns of a shard, those of :class:`Sheet`."""
    import pyarrow as pa

    text, whole = pa.string(), pa.int16()
    kinds = {
        "song": text, "corpus": text, "genre": text, "split": text, "licence": text, "tempo_bpm": pa.float64(),
        "at_start": pa.bool_(), "at_end": pa.bool_(), "plan": text, "played": pa.bool_(), "notes": pa.list_(whole),
        "parts": pa.list_(text), "melody_velocity": pa.list_(whole), "melody_program": whole, "shift": whole,
    }  # fmt: skip
    return pa.schema([(name, kinds[name]) for name in Sheet.__dataclass_fields__])


def _row(sheet: Sheet) -> dict[str, Any]:
    row = {name: getattr(sheet, name) for name in Sheet.__dataclass_fields__}
    row["plan"] = json.dumps(sheet.plan.to_json(), separators=(",", ":"))
    row["notes"] = sheet.notes.ravel().tolist()
    row["melody_velocity"] = sheet.melody_velocity.tolist()
    row["parts"] = list(sheet.parts)
    return row


def load(
    folder: Path | str, corpora: Iterable[str] = (), splits: Iterable[str] = (), limits: Mapping[str, int] | None = None
) -> list[Sheet]:
    """Sheets of a folder that :func:`build` wrote, all or those of some corpora and splits, in order.

    `limits` says for a corpus how many of its sheets to read, evenly spaced; all where it is silent.
    """
    import pyarrow.parquet as pq

    paths = sorted(path for path in Path(folder).glob("*.parquet") if not path.name.startswith("."))  # half-written
    if not paths:
        raise InputError(f"{folder} holds no lead sheets; make them: muse corpus lead-sheets")
    chosen, wanted = set(corpora), set(splits)
    sheets = []
    for path in paths:
        if chosen and path.stem not in chosen:
            continue
        table = pq.read_table(path)
        if wanted:
            table = table.filter([split in wanted for split in table["split"].to_pylist()])
        limit = (limits or {}).get(path.stem, table.num_rows)
        if limit < table.num_rows:
            table = table.take(np.linspace(0, table.num_rows - 1, limit).astype(np.int64))
        for row in table.to_pylist():
            row["plan"] = Plan.from_json(row["plan"])
            row["notes"] = np.array(row["notes"], np.int16).reshape(-1, 6)
            row["melody_velocity"] = np.array(row["melody_velocity"], np.int16)
            row["parts"] = tuple(row["parts"])
            sheets.append(Sheet(**row))
    return sheets
