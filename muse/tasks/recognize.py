"""Recognition of many sound files: files in, a JSON document for each out; and libraries with a table that grows.

Conventions
-----------
document
    ``file`` and what :meth:`muse.recognizer.Recognition.to_dict` says; of a file that cannot be used ``file`` and
    ``error``, one line. Whatever is wrong with a file, the others go on.
table
    JSON Lines: for each file ``file`` (its path below the folder that was given, with slashes), ``folder``, ``size``
    and ``modified`` (nanoseconds), and the rest of its document. Lines are written whole, each as soon as it is known;
    a last line that was torn by a crash is dropped.
known
    A file whose size and time of change are those of its line. Files that could not be read are tried again when they
    have changed. Lines of files that are gone stay.

Contents: :func:`recognize`, :func:`read_ratings`; :class:`Library`, :func:`read_table`.
"""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from muse.audio import sound_files
from muse.engines import Died, Engine, InProcess
from muse.errors import InputError, MuseError
from muse.files import to_json, write_text
from muse.recognizer import Listener, Recognizer

__all__ = ["Library", "read_ratings", "read_table", "recognize"]

log = logging.getLogger(__name__)

Ratings = NDArray[np.float64]
"""Time in seconds, valence, arousal, [n, 3]."""
Row = dict[str, Any]


def recognize(
    files: Iterable[str | Path],
    *,
    recognizer: Recognizer | None = None,
    listener: Listener | None = None,
    ratings: Ratings | None = None,
    dynamic: bool = False,
) -> Iterator[Row]:
    """The document of each sound file, in order, as soon as it is known.

    Parameters
    ----------
    files
        Sound files.
    recognizer
        The one that comes with Muse when None.
    listener, ratings
        See :meth:`muse.recognizer.Recognizer.recognize`.
    dynamic
        With ``curve``, a point every half second.
    """
    recognizer = recognizer or Recognizer.from_pretrained()
    for file in files:
        yield {"file": str(file), **_document(recognizer, file, listener, ratings, dynamic)}


def _document(
    recognizer: Recognizer, file: str | Path, listener: Listener | None, ratings: Ratings | None, dynamic: bool
) -> Row:
    try:
        found = recognizer.recognize(file, listener=listener, ratings=ratings).to_dict()
    except MuseError as error:
        return {"error": " ".join(str(error).split())}
    except Exception as error:  # a fault of ours must not lose the rest of a long run
        log.debug("%s", file, exc_info=True)
        return {"error": f"{file} cannot be recognized ({type(error).__name__}: {' '.join(str(error).split())})"}
    return {name: value for name, value in found.items() if dynamic or name != "curve"}


def read_ratings(table: str | Path) -> tuple[Ratings | None, list[tuple[Path, Ratings]]]:
    """A listener's ratings from a CSV table with columns ``time_s``, ``valence``, ``arousal`` and perhaps ``file``.

    Returns
    -------
    (ratings or None, list of (Path, ratings))
        Of the file that is asked for (rows without a file), and of others, whose paths start at the table's folder.

    Raises
    ------
    InputError
        It is missing, no such table, or empty.
    """
    path = Path(table)
    if not path.is_file():
        raise InputError(f"{path}: no such file: give a table of ratings")
    rows: dict[str, list[list[float]]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            for line, row in enumerate(csv.DictReader(stream), start=2):
                try:
                    point = [float(row[name]) for name in ("time_s", "valence", "arousal")]
                except (KeyError, TypeError, ValueError):
                    raise InputError(f"{path}, line {line}: time_s, valence and arousal must be numbers") from None
                rows.setdefault(row.get("file") or "", []).append(point)
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise InputError(f"{path} cannot be read as a table ({error}): save it as CSV in UTF-8") from None
    if not rows:
        raise InputError(f"{path} has no ratings: give rows of time_s, valence, arousal")
    arrays = {name: np.array(sorted(points)) for name, points in rows.items()}
    return arrays.pop("", None), [(path.parent / name, points) for name, points in arrays.items()]


# ------------------------------------------------------------------------------------------------------------ libraries


def read_table(path: str | Path) -> list[Row]:
    """Rows of a library's table; none where there is no file.

    Raises
    ------
    InputError
        It is no such table.
    """
    path = Path(path)
    if not path.is_file():
        return []
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a library's table ({error}): give another file") from None
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            row = json.loads(line)
            if not isinstance(row, dict) or "file" not in row:
                raise ValueError
        except (ValueError, RecursionError):
            if number == len(lines):  # torn
                continue
            raise InputError(f"{path}, line {number}: no line of a library's table: give another file") from None
        rows.append(row)
    return rows


@dataclass(frozen=True)
class Library:
    """Folders of sound files and the table of what is known of them; made by :meth:`open`."""

    table: Path
    waiting: tuple[Row, ...]
    """Files that the table does not know yet: ``folder``, ``file``, ``size``, ``modified``."""
    n_known: int
    """Files that are left alone, because the table knows them."""
    known: tuple[Row, ...]
    """Rows of the table that stay."""
    dynamic: bool

    @classmethod
    def open(cls, folders: Sequence[str | Path], table: str | Path, *, dynamic: bool = False) -> Self:
        """Compare folders with a table, which need not exist yet.

        Parameters
        ----------
        folders
            Folders of sound files, searched to the bottom.
        table
            Where the rows are.
        dynamic
            Rows have ``curve``; files whose rows have none are done again.

        Raises
        ------
        InputError
            A folder is none or has no sound, or the table is none.
        """
        for folder in folders:
            if not Path(folder).is_dir():
                raise InputError(f"{folder} is no folder: a table is of folders")
        last = {_place(row): row for row in read_table(table)}
        files = {_place(job): job for folder in folders for job in _jobs(Path(folder))}
        waiting = {place: job for place, job in files.items() if not _is_known(last.get(place), job, dynamic)}
        known = tuple(row for place, row in last.items() if place not in waiting)
        return cls(Path(table), tuple(waiting.values()), len(files) - len(waiting), known, dynamic)

    def recognize(
        self, load: Callable[[], Recognizer] = Recognizer.from_pretrained, *, engine: Engine | None = None
    ) -> Iterator[Row]:
        """Recognize the files that are waiting; each row is in the table before it is given.

        Parameters
        ----------
        load
            Gives the recogniser; called where files are analyzed, and only if one is waiting.
        engine
            Where that is; default: in this process, one after another. This process alone writes the table.

        Raises
        ------
        InputError
            The table cannot be written.
        """
        if not self.waiting:
            return
        write_text(self.table, "".join(map(_line, self.known)))  # whole lines only, and none of changed files
        jobs = ((i, Path(job["folder"]) / job["file"]) for i, job in enumerate(self.waiting))
        try:
            with self.table.open("a", encoding="utf-8") as stream:
                for i, found in (engine or InProcess()).map(_Listening(load, self.dynamic), jobs):
                    job = self.waiting[i]
                    row = {**job, **({"error": f"{job['file']}: {found.reason}"} if isinstance(found, Died) else found)}
                    stream.write(_line(row))
                    stream.flush()
                    yield row
        except OSError as error:
            raise InputError(f"{self.table}: cannot be written ({error.strerror or error}): check free space") from None


@dataclass
class _Listening:
    """What an engine applies to sound files; loads the recogniser where it works, once."""

    load: Callable[[], Recognizer]
    dynamic: bool

    @cached_property
    def recognizer(self) -> Recognizer:
        return self.load()

    def __call__(self, file: Path) -> Row:
        return _document(self.recognizer, file, None, None, self.dynamic)


def _place(row: Mapping[str, Any]) -> tuple[Any, Any]:
    return row.get("folder"), row["file"]


def _jobs(folder: Path) -> Iterator[Row]:
    for path in sound_files(folder):
        name = path.relative_to(folder).as_posix()
        try:
            facts = path.stat()
        except OSError:  # gone since it was listed
            continue
        yield {"folder": str(folder.resolve()), "file": name, "size": facts.st_size, "modified": facts.st_mtime_ns}


def _is_known(row: Mapping[str, Any] | None, job: Mapping[str, Any], dynamic: bool) -> bool:
    if row is None or any(row.get(name) != job[name] for name in ("size", "modified")):
        return False
    return "error" in row or not dynamic or "curve" in row


def _line(row: Mapping[str, Any]) -> str:
    return to_json(row, indent=None) + "\n"
