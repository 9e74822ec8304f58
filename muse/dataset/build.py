"""Building a dataset: folders of MIDI files in, Parquet shards out.

::

    find_songs ─▶ chunks of the sorted list ─▶ an engine ─▶ one part per chunk ─▶ duplicates, splits ─▶ shards

What is done with one song is in :mod:`muse.dataset.windows`, where it is done in :mod:`muse.engines`, and which songs
repeat each other or fall together into a split in :mod:`muse.dataset.groups`.

Conventions
-----------
row
    One window. Columns: :data:`muse.dataset.read.COLUMNS`.
resuming
    Work is done in chunks of a fixed size. A finished chunk is a part file named after a hash of everything that it
    depends on: the bytes of its files, labels and annotations, the settings, and the code that does the work. Parts are
    written under another name and moved into place, and shards are made from parts alone, in order. So a build that
    was killed at any moment ends, when started again, with the same bytes, whatever the engine.
safety
    Files are read in other processes with a limit on memory and time. One that crashes, hangs or grows is tried once
    more in a fresh process and then listed among the rejects; the build goes on.

Contents: :func:`build_corpus`; :func:`corpus_info` is in :mod:`muse.dataset.read`.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import functools
import hashlib
import io
import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from muse.corpora import LICENCE_CLASSES, Song, find_songs, is_packed, read_key
from muse.dataset.groups import duplicates, splits
from muse.dataset.read import SCHEMA_VERSION, corpus_info, read_rows, write_shard
from muse.dataset.windows import Settings, SongResult, attribute_names, process_song
from muse.engines import Died, Engine, ProcessPool
from muse.engines.processes import TOO_BIG
from muse.errors import InputError, MuseError, unknown
from muse.files import replacing, to_json, write_bytes, write_text
from muse.tokens import SECTION_BARS, SECTION_CONTROLS, Codec

__all__ = ["Settings", "build_corpus", "corpus_info"]

CHUNK_SONGS = 64
"""Songs per part and shard: what a killed build may have to do again, and at most some ten thousand rows."""

Progress: TypeAlias = Callable[[int, int], None]


# ------------------------------------------------------------------------------------------------------------- the path


def build_corpus(
    sources: Sequence[Path | str],
    out: Path | str,
    *,
    licence_classes: Iterable[str] | None = None,
    limit: int | None = None,
    n_processes: int | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
    settings: Settings | None = None,
    **overrides: Any,
) -> dict[str, Any]:
    """Build a dataset, or finish one that was interrupted.

    Parameters
    ----------
    sources
        MIDI files, corpora or folders of corpora, see :mod:`muse.corpora.songs`; archives and URLs of them, see
        :mod:`muse.corpora.archives`, which are unpacked in `out` for as long as the build is not finished.
    out
        Folder of the dataset: new, empty, or a dataset before. An older dataset is replaced at the very end.
    licence_classes
        Take songs of these classes alone: ``permissive``, ``copyleft``, ``nc``, ``unclear``. Default: all.
    limit
        Take at most so many songs of each corpus, the first by id.
    n_processes
        Worker processes; default: one per core.
    engine
        Where files are read; default: :class:`~muse.engines.ProcessPool`, so many.
    progress
        Called with (songs done, songs in all).
    settings, overrides
        :class:`Settings`, and single fields of it by name.

    Returns
    -------
    dict
        What ``dataset.json`` holds.

    Raises
    ------
    InputError
        A source, the folder or a setting cannot be used.
    MuseError
        Another build is at work in the folder, or worker processes cannot be started.
    """
    legal = [entry.name for entry in dataclasses.fields(Settings)]
    for name in overrides:
        if name not in legal:
            raise unknown("setting", name, legal)
    settings = dataclasses.replace(settings or Settings(), **overrides)
    folder = _Folder(Path(out))
    packed = any(map(is_packed, sources))
    songs = [] if packed else select_songs(find_songs(sources), licence_classes, limit)
    if n_processes is not None and n_processes < 1:
        raise InputError(f"{n_processes} processes cannot build anything; give 1 or more")

    with folder.locked():
        if packed:
            songs = select_songs(find_songs(sources, unpack_in=folder.sources), licence_classes, limit)
        chunks = _chunks(songs, settings)
        if (summary := folder.finished(chunks)) is not None:
            return summary
        _make_parts(chunks, folder, settings, engine or ProcessPool(n_processes), progress)
        return _finish(chunks, folder, settings)


def select_songs(songs: list[Song], licence_classes: Iterable[str] | None, limit: int | None = None) -> list[Song]:
    """Songs of some licence classes, the first few of each corpus.

    Raises
    ------
    InputError
        A class is unknown, or no song is left.
    """
    if licence_classes is not None:
        wanted = set(licence_classes)
        for name in sorted(wanted - set(LICENCE_CLASSES)):
            raise unknown("licence class", name, LICENCE_CLASSES)
        songs = [song for song in songs if song.licence_class in wanted]
    if limit is not None:
        seen: Counter[str] = Counter()
        kept = []
        for song in songs:
            seen[song.corpus] += 1
            if seen[song.corpus] <= limit:
                kept.append(song)
        songs = kept
    if not songs:
        raise InputError("no song is left to build from; see the licence classes and the limit asked for")
    return songs


def _attempt(song: Song, *, settings: Settings) -> SongResult:
    """What a worker does: :func:`process_song`, with every fault as a reject."""
    try:
        return process_song(song, settings)
    except MuseError as error:
        reason = str(error).replace(f"{song.path}: ", "").replace(str(song.path), song.source)
    except MemoryError:
        reason = TOO_BIG
    except Exception as error:
        # One bad file must not end a build of a million; the reason stands in the table of rejects.
        reason = f"{type(error).__name__}: {error}"
    return _refused(reason)


def _refused(reason: str) -> SongResult:
    return SongResult([], [("read", " ".join(reason.split())[:300], 0)])


# ----------------------------------------------------------------------------------------------------- parts and shards


@dataclass(frozen=True)
class _Chunk:
    index: int
    songs: tuple[Song, ...]
    digest: str
    """Hash of all that the part depends on."""

    @property
    def name(self) -> str:
        return f"{self.index:05d}-{self.digest[:12]}"


def _chunks(songs: Sequence[Song], settings: Settings) -> list[_Chunk]:
    """Fixed runs of the song list, each with the hash of its content, labels, settings and the code."""
    record = functools.cache(_file_digest)  # one table of ratings serves many songs
    chunks = []
    for start in range(0, len(songs), CHUNK_SONGS):
        part = tuple(songs[start : start + CHUNK_SONGS])
        chunks.append(_Chunk(start // CHUNK_SONGS, part, work_digest(part, dataclasses.asdict(settings), record)))
    return chunks


def work_digest(
    songs: Iterable[Song], settings: Mapping[str, Any], shared: Callable[[Path], bytes] | None = None
) -> str:
    """Hash of all that the work on songs depends on: the bytes of their files, what is known of them, settings, code.

    Parameters
    ----------
    shared
        Digest of a file that several songs may have in common; may remember them.
    """
    digest = hashlib.sha256(json.dumps([settings, _code_digest()]).encode())
    for song in songs:
        names = [entry.name for entry in dataclasses.fields(song) if not entry.name.endswith("path")]
        digest.update(json.dumps([str(getattr(song, name)) for name in names]).encode())
        for path in (song.path, song.beats_path, song.chords_path, song.key_path):
            digest.update(_file_digest(path) if path else b"-")
        digest.update((shared or _file_digest)(song.curve_path) if song.curve_path else b"-")
    return digest.hexdigest()


def _file_digest(path: Path) -> bytes:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


@functools.cache
def _code_digest() -> str:
    """Hash of the code that rows depend on, and of the libraries that it stands on."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    rooms = ("emotion", "theory", "score", "attributes", "tokens", "sheets", "corpora", "dataset")
    for room in rooms:
        for path in sorted((root / room).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    for package in ("numpy", "symusic", "pyarrow"):
        digest.update(f"{package} {version(package)}".encode())
    return digest.hexdigest()


class _Folder:
    """The dataset's folder: ``dataset.json``, ``rejects.csv``, ``shards``; while building ``parts``, ``.sources``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.parts = root / "parts"
        self.shards = root / "shards"
        self.sources = root / ".sources"
        self.description = root / "dataset.json"
        self.rejects = root / "rejects.csv"
        if root.exists() and not root.is_dir():
            raise InputError(f"{root} is a file; give a folder for the dataset")
        ours = {"dataset.json", "rejects.csv", "shards", "parts", ".lock", ".sources"}
        if root.is_dir() and not (self.description.exists() or self.parts.exists()):
            strangers = sorted({path.name for path in root.iterdir()} - ours)
            if strangers:
                raise InputError(f"{root} holds other things ({', '.join(strangers[:3])}); give a new or empty folder")

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second build out; the lock falls with the process that holds it."""
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            import fcntl
        except ImportError:  # Windows
            yield
            return
        with (self.root / ".lock").open("w") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise MuseError(f"another build is at work in {self.root}; wait for it or end it") from None
            yield

    def finished(self, chunks: Sequence[_Chunk]) -> dict[str, Any] | None:
        """Description of the dataset when it is the one asked for, whole; then what a kill left behind is removed."""
        try:
            summary = json.loads(self.description.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if summary.get("digest") != _dataset_digest(chunks):
            return None
        if not all((self.root / shard).is_file() for shard in summary["shards"]):
            return None
        self.tidy(summary["shards"])
        return dict(summary)

    def tidy(self, shards: Sequence[str]) -> None:
        """Remove parts, temporary files, and shards of an older dataset."""
        shutil.rmtree(self.parts, ignore_errors=True)
        shutil.rmtree(self.sources, ignore_errors=True)
        keep = {self.root / shard for shard in shards}
        for path in self.shards.iterdir():
            if path not in keep:
                path.unlink()
        for path in self.root.glob(".*.part.*"):  # of a build that was killed while it wrote
            path.unlink()


def _dataset_digest(chunks: Sequence[_Chunk]) -> str:
    return hashlib.sha256("".join(chunk.digest for chunk in chunks).encode()).hexdigest()


def _make_parts(
    chunks: Sequence[_Chunk], folder: _Folder, settings: Settings, engine: Engine, progress: Progress | None
) -> None:
    """Do the chunks that have no part yet."""
    folder.parts.mkdir(exist_ok=True)
    folder.shards.mkdir(exist_ok=True)
    wanted = {f"{chunk.name}.json" for chunk in chunks} | {f"{chunk.name}.parquet" for chunk in chunks}
    for path in folder.parts.iterdir():
        if path.name not in wanted:
            path.unlink()
    todo = [chunk for chunk in chunks if not (folder.parts / f"{chunk.name}.json").exists()]
    total = sum(len(chunk.songs) for chunk in chunks)
    done = total - sum(len(chunk.songs) for chunk in todo)
    if progress:
        progress(done, total)

    results: dict[int, list[SongResult | None]] = {}

    def tasks() -> Iterator[tuple[tuple[_Chunk, int], Song]]:
        for chunk in todo:
            results[chunk.index] = [None] * len(chunk.songs)
            for place, song in enumerate(chunk.songs):
                yield (chunk, place), song

    work = functools.partial(_attempt, settings=settings)
    with contextlib.closing(engine.map(work, tasks(), timeout_sec=settings.timeout_sec)) as done_songs:
        for (chunk, place), result in done_songs:
            results[chunk.index][place] = _refused(result.reason) if isinstance(result, Died) else result
            if all(entry is not None for entry in results[chunk.index]):
                _write_part(chunk, [entry for entry in results.pop(chunk.index) if entry is not None], folder)
            done += 1
            if progress:
                progress(done, total)


def _write_part(chunk: _Chunk, results: Sequence[SongResult], folder: _Folder) -> None:
    """Rows as Parquet, then the rest as JSON: a part is done when its JSON is there."""
    rows = []
    for song, result in zip(chunk.songs, results, strict=True):
        columns = _song_columns(song)
        rows += [columns | row for row in result.rows]
    with replacing(folder.parts / f"{chunk.name}.parquet") as temporary:
        write_shard(rows, temporary)
    record = [
        {"hash": r.note_hash, "sketch": r.sketch, "rejects": r.rejects, "windows": len(r.rows)} for r in results
    ]  # fmt: skip
    write_bytes(folder.parts / f"{chunk.name}.json", json.dumps(record).encode())


def _song_columns(song: Song) -> dict[str, Any]:
    key = None
    if song.key_path is not None:
        with contextlib.suppress(MuseError):
            key = read_key(song.key_path)
    return {
        "corpus": song.corpus, "song": song.song_id, "title": song.title, "composer": song.composer,
        "source": song.source, "genre": song.genre or "other", "quadrant": song.quadrant, "valence": song.valence,
        "arousal": song.arousal, "label_kind": song.label_kind, "licence": song.licence,
        "licence_class": song.licence_class, "labelled_tonic": key[0] if key else -1,
        "labelled_mode": key[1] if key else "", "split": "",
    }  # fmt: skip


def _finish(chunks: Sequence[_Chunk], folder: _Folder, settings: Settings) -> dict[str, Any]:
    """Duplicates and splits over the whole, then shards, rejects and description."""
    records: list[dict[str, Any]] = []
    for chunk in chunks:
        for record in json.loads((folder.parts / f"{chunk.name}.json").read_text()):
            record["sketch"] = np.array(record["sketch"], np.uint64)  # a tenth of the size of a list
            records.append(record)
    songs = [song for chunk in chunks for song in chunk.songs]
    original = duplicates(songs, records)
    split = splits(songs, records, original)

    digest = _dataset_digest(chunks)
    shards: list[str] = []
    tally = _Tally()
    first = 0
    for chunk in chunks:
        table = read_rows(folder.parts / f"{chunk.name}.parquet")
        numbers = range(first, first + len(chunk.songs))
        first += len(chunk.songs)
        by_name = {(songs[i].corpus, songs[i].song_id): split[i] for i in numbers if i not in original}
        keep = [(corpus, song) in by_name for corpus, song in zip(table["corpus"], table["song"], strict=True)]
        table = table.select(keep)
        if len(table) == 0:
            continue
        table["split"] = [by_name[corpus, song] for corpus, song in zip(table["corpus"], table["song"], strict=True)]
        name = f"shards/{chunk.index:05d}-{digest[:8]}.parquet"
        with replacing(folder.root / name) as temporary:
            table.write(temporary)
        shards.append(name)
        tally.add(table)

    rejects = _rejects(songs, records, original)
    write_bytes(folder.rejects, _csv(("corpus", "source", "stage", "reason", "windows"), rejects))
    summary = {
        "format": "muse corpus",
        "schema": SCHEMA_VERSION,
        "digest": digest,
        "code": _code_digest(),
        "settings": dataclasses.asdict(settings),
        "tokenizer": _tokenizer_digest(),
        "attribute_names": list(attribute_names(settings.attributes)[0]),
        "section_attribute_names": list(SECTION_CONTROLS),
        "section_bars": SECTION_BARS,
        "n_songs_read": len(songs),
        **tally.summary(),
        "rejects": _reject_counts(rejects),
        "shards": shards,
    }
    write_text(folder.description, to_json(summary, indent=1) + "\n")
    folder.tidy(shards)
    return summary


@dataclass
class _Tally:
    """Counts of a dataset, shard by shard."""

    windows: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    songs: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    n_windows: int = 0
    n_notes: int = 0
    seconds: float = 0.0

    def add(self, table: Any) -> None:
        """Count the rows of a shard."""
        lengths = table.lengths("tokens")
        for name in ("corpus", "licence_class", "split", "genre", "quadrant", "grid", "time_signature"):
            for value, length in zip(table[name], lengths, strict=True):
                self.windows[f"{name}={value}"] += 1
                self.tokens[f"{name}={value}"] += int(length)
        for name in ("corpus", "licence_class", "split", "grid"):
            for value, corpus, song in zip(table[name], table["corpus"], table["song"], strict=True):
                self.songs[f"{name}={value}"].add(f"{corpus}/{song}")
        self.n_windows += len(table)
        self.n_notes += sum(table["note_count"])
        self.seconds += sum(table["duration_sec"])

    def summary(self) -> dict[str, Any]:
        """The counts as `dataset.json` has them: in all, and by column and value."""
        counts: dict[str, dict[str, dict[str, int]]] = {}
        for name in sorted(self.windows):
            column, _, value = name.partition("=")
            entry = {"windows": self.windows[name], "tokens": self.tokens[name]}
            if name in self.songs:
                entry["songs"] = len(self.songs[name])
            counts.setdefault(f"by_{column}", {})[value] = entry
        n_songs = sum(len(names) for name, names in self.songs.items() if name.startswith("corpus="))
        total = {
            "n_songs": n_songs, "n_windows": self.n_windows, "n_notes": self.n_notes,
            "hours": round(self.seconds / 3600, 3),
            "n_tokens": sum(n for name, n in self.tokens.items() if name.startswith("corpus=")),
        }  # fmt: skip
        return total | counts


def _rejects(
    songs: Sequence[Song], records: Sequence[Mapping[str, Any]], original: Mapping[int, int]
) -> list[tuple[str, str, str, str, int]]:
    table = []
    for i, (song, record) in enumerate(zip(songs, records, strict=True)):
        for stage, reason, n in record["rejects"]:
            table.append((song.corpus, song.source, stage, reason, n))
        if i in original:
            kept = songs[original[i]]
            reason = f"same notes as {kept.corpus}/{kept.source}"
            table.append((song.corpus, song.source, "duplicate", reason, record["windows"]))
    return table


def _reject_counts(rejects: Sequence[tuple[str, str, str, str, int]]) -> dict[str, dict[str, int]]:
    """Files and windows per stage and reason; reasons that name files or numbers are counted by stage alone."""
    files: Counter[str] = Counter()
    windows: Counter[str] = Counter()
    for _, _, stage, reason, n in rejects:
        name = stage if stage in ("duplicate", "read", "grid", "annotation") else f"{stage}: {reason}"
        files[name] += 1
        windows[name] += n
    return {name: {"files": files[name], "windows": windows[name]} for name in sorted(files)}


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue().encode()


def _tokenizer_digest() -> str:
    """Hash of the vocabulary: shards and weights that agree in it speak the same tokens."""
    return hashlib.sha256("\n".join(Codec.default().vocabulary.tokens).encode()).hexdigest()
