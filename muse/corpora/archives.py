"""Corpora that are packed or lie elsewhere: tar, zip and Parquet archives, and URLs of any file system of fsspec.

Conventions
-----------
unpacked
    What an archive or a URL holds of music and tables becomes a folder of the same name, which readers then read as
    any other; everything else in it is passed over. A folder is there whole or not at all.
Parquet
    A row is a file: the first column of bytes (or of ``{bytes, path}``, as Hugging Face writes files) is its content;
    columns of text and numbers become a ``metadata.csv`` beside the files. ``id`` and ``file`` are the row's number
    where it has no such columns.
limits
    Members go to disk piece by piece. A MIDI file is cut off behind the largest that is read, so that its reader
    refuses it by name. An archive that unpacks to more than :data:`MOST_TIMES` its size is refused as a bomb, and one
    with a name that leads out of it, too; links and devices are passed over.

Contents: :func:`is_packed`, :func:`unpacked`.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import lzma
import re
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, TypeAlias

from muse.corpora.song import MIDI_SUFFIXES
from muse.errors import InputError
from muse.score.read import Limits

__all__ = ["is_packed", "unpacked"]

ARCHIVES: Final = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".parquet")
TABLES: Final = frozenset({".csv", ".tsv", ".json", ".txt", ".gz"})
"""Endings of labels and annotations."""
MOST_TIMES: Final = 100
"""Times its own size that an archive may unpack to; MIDI files shrink to a tenth at best."""
ALWAYS_BYTES: Final = 64_000_000
"""Bytes that even a small archive may unpack to."""
MOST_MIDI_BYTES: Final = Limits().max_bytes
PIECE_BYTES: Final = 1 << 20
ROWS: Final = 16
"""Rows of Parquet in memory at a time."""

_FAULTS: Final = (
    OSError, EOFError, RuntimeError, ValueError, NotImplementedError, zipfile.BadZipFile, tarfile.TarError, zlib.error,
    lzma.LZMAError,
)  # fmt: skip
"""What damaged or encrypted archives raise."""

Member: TypeAlias = tuple[str, Callable[[], AbstractContextManager[IO[bytes]]]]
"""Name inside the archive, and what opens it."""


def is_packed(source: str | Path) -> bool:
    """Whether a source is an archive or a URL, not a folder or a MIDI file of this machine."""
    text = str(source)
    return "://" in text or (text.lower().endswith(ARCHIVES) and not Path(text).is_dir())


def unpacked(source: str | Path, folder: Path) -> Path:
    """A local folder with the music and the tables of a source; the source itself where it is none to unpack.

    Parameters
    ----------
    source
        Archive, URL (``s3://bucket/corpus``, ``https://host/corpus.zip``, ``zip://inner::file:///a.zip``), or anything
        local.
    folder
        Where it is unpacked to. What lies there of the same source is taken as it is.

    Raises
    ------
    InputError
        It is not there, damaged, a bomb, or names files outside itself; the message names archive and member.
    """
    if not is_packed(source):
        return Path(source)
    text = str(source)
    try:
        system, path = _system(text)
        state = str(system.ukey(path)) if "://" in text else str(_state(Path(text)))
        name = _stem(path or text.partition("::")[2])
        place = folder / hashlib.sha256(f"{text} {state}".encode()).hexdigest()[:12] / name
        if place.is_dir():
            return place
        part = place.with_name(f".{place.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        if path.partition("?")[0].lower().endswith(ARCHIVES):
            with _local(system, path, part) as archive:
                _unpack(archive, text, part)
        else:
            _write(_files(system, path), text, part, None)
        part.replace(place)
    except InputError:
        raise
    except (*_FAULTS, ImportError) as error:
        raise InputError(f"{text}: cannot be read ({_reason(error)}): check the address and the file") from None
    return place


def _state(path: Path) -> tuple[int, int]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; give an archive, a folder or a URL")
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns


def _system(text: str) -> tuple[Any, str]:
    """fsspec's file system of a source, and the path in it."""
    import fsspec

    if "://" not in text:
        return fsspec.filesystem("file"), text
    system, path = fsspec.core.url_to_fs(text)
    return system, str(path)


def _stem(path: str) -> str:
    """A folder's name for a source: that of the archive without its ending."""
    name = PurePosixPath(path.partition("?")[0].rstrip("/")).name or "corpus"
    ending = next((end for end in sorted(ARCHIVES, key=len, reverse=True) if name.lower().endswith(end)), "")
    return re.sub(r"[^\w.-]", "_", name[: len(name) - len(ending)]).lstrip(".") or "corpus"


@contextlib.contextmanager
def _local(system: Any, path: str, folder: Path) -> Iterator[Path]:
    """An archive as a file of this machine, fetched if it is none."""
    if "file" in (system.protocol if isinstance(system.protocol, tuple) else (system.protocol,)):
        yield Path(path)
        return
    fetched = folder.with_name(f".{folder.name}.fetched")
    try:
        with system.open(path, "rb") as source, fetched.open("wb") as target:
            shutil.copyfileobj(source, target, PIECE_BYTES)
        yield fetched
    finally:
        fetched.unlink(missing_ok=True)


def _files(system: Any, path: str) -> Iterator[Member]:
    """One file, or the files of a folder and those below it."""
    if system.isfile(path):
        yield PurePosixPath(path).name, partial(system.open, path, "rb")
        return
    root = path.rstrip("/")
    for found in sorted(system.find(path)):
        yield found.removeprefix(root).lstrip("/"), partial(system.open, found, "rb")


# ------------------------------------------------------------------------------------------------------------- archives


def _unpack(archive: Path, name: str, folder: Path) -> None:
    most = max(ALWAYS_BYTES, MOST_TIMES * archive.stat().st_size)
    kind = name.partition("?")[0].lower() if "://" in name else name.lower()
    if kind.endswith(".parquet"):
        _write_rows(archive, name, folder, most)
    elif kind.endswith(".zip"):
        with zipfile.ZipFile(archive) as packed:
            _write(_zipped(packed), name, folder, most)
    else:
        with tarfile.open(archive, "r|*") as tar:
            _write(_tarred(tar), name, folder, most)


def _zipped(archive: zipfile.ZipFile) -> Iterator[Member]:
    for info in archive.infolist():
        is_link = info.external_attr >> 28 == 0xA
        if not info.is_dir() and not is_link:
            yield info.filename, partial(archive.open, info)


def _tarred(archive: tarfile.TarFile) -> Iterator[Member]:
    for info in archive:
        archive.members = []  # type: ignore[attr-defined]  # a stream needs no list of what has been
        if info.isfile():
            stream = archive.extractfile(info)
            if stream is not None:
                yield info.name, partial(_itself, stream)


@contextlib.contextmanager
def _itself(stream: IO[bytes]) -> Iterator[IO[bytes]]:
    yield stream


def _write(members: Iterator[Member], name: str, folder: Path, most_bytes: int | None) -> None:
    """Music and tables among the members, as files."""
    written = 0
    for member, open_member in members:
        place = PurePosixPath(member.replace("\\", "/"))
        if place.is_absolute() or ".." in place.parts or re.match(r"[A-Za-z]:", member):
            raise InputError(f"{name}:{member}: leads out of the archive; such archives are not unpacked")
        suffix = place.suffix.lower()
        if suffix not in MIDI_SUFFIXES and suffix not in TABLES:
            continue
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open_member() as source, target.open("wb") as stream:
                left = MOST_MIDI_BYTES + 1 if suffix in MIDI_SUFFIXES else None
                while piece := source.read(PIECE_BYTES if left is None else min(PIECE_BYTES, left)):
                    stream.write(piece)
                    written += len(piece)
                    left = None if left is None else left - len(piece)
                    if most_bytes is not None and written > most_bytes:
                        raise InputError(
                            f"{name}:{member}: the archive unpacks to more than {MOST_TIMES} times its size; "
                            "unpack it yourself if you trust it"
                        )
        except InputError:
            raise
        except _FAULTS as error:
            raise InputError(f"{name}:{member}: cannot be unpacked ({_reason(error)}): fetch it anew") from None


def _reason(error: BaseException) -> str:
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return text.split("\n")[0][:200]


# -------------------------------------------------------------------------------------------------------------- Parquet


def _write_rows(archive: Path, name: str, folder: Path, most_bytes: int) -> None:
    """Rows as files, their other columns as ``metadata.csv``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(archive) as table:
        schema = table.schema_arrow
        content = next((column for column in schema if _is_content(column.type)), None)
        if content is None:
            raise InputError(f"{name}: no column holds bytes of files (it has {', '.join(schema.names)})")
        told = [c.name for c in schema if pa.types.is_string(c.type) or pa.types.is_primitive(c.type)]
        groups = [table.metadata.row_group(i).total_byte_size for i in range(table.num_row_groups)]
        if sum(groups) > most_bytes:
            raise InputError(f"{name}: unpacks to more than {MOST_TIMES} times its size; unpack it yourself")
        names = dict.fromkeys(["id", "file", *told])
        number = 0
        with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, names)
            writer.writeheader()
            for batch in table.iter_batches(ROWS, columns=[content.name, *told], use_threads=False):
                for row in batch.to_pylist():
                    value = row[content.name]
                    data = value["bytes"] if isinstance(value, dict) else value
                    file = f"{number:08d}.mid"
                    (folder / file).write_bytes((data or b"")[: MOST_MIDI_BYTES + 1])
                    kept = {column: "" if row[column] is None else row[column] for column in told}
                    writer.writerow({"id": f"{number:08d}", **kept, "file": file})
                    number += 1


def _is_content(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return any(kind.field(i).name == "bytes" for i in range(kind.num_fields))
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
