"""A library of sound files, told into one table that grows: what is in it is not listened to again.

Conventions
-----------
table
    JSON Lines: for each file ``file`` (its path below the folder that was given, with slashes), ``folder``, ``size``
    and ``modified`` (nanoseconds), and what was heard (:meth:`muse.recognizer.Recognition.to_dict`) or ``error``. Lines
    are written whole, each as soon as it is known; a last line that was torn by a crash is dropped.
known
    A file whose size and time of change are those of its line. Files that could not be read are tried again when they
    have changed. Lines of files that are gone stay.

Contents: :func:`sound_files`, :func:`recognize_library`, :func:`read_table`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from muse.corpora.recordings import AUDIO_SUFFIXES
from muse.errors import InputError, MuseError
from muse.files import write_bytes
from muse.recognizer.model import Recognizer

__all__ = ["Told", "read_table", "recognize_library", "sound_files"]


@dataclass(frozen=True)
class Told:
    """What became of a library."""

    n_new: int
    n_known: int
    errors: tuple[str, ...]


def sound_files(folder: str | Path) -> list[Path]:
    """Sound files below a folder, in order.

    Raises
    ------
    InputError
        There is none.
    """
    folder = Path(folder)
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file())
    if not found:
        raise InputError(f"{folder} has no sound files ({', '.join(AUDIO_SUFFIXES)}) in it")
    return found


def read_table(path: str | Path) -> list[dict[str, Any]]:
    """Rows of a table; none where there is no file.

    Raises
    ------
    InputError
        It is no such table.
    """
    path = Path(path)
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            row = json.loads(line)
            if not isinstance(row, dict) or "file" not in row:
                raise ValueError
        except ValueError:
            if number == len(lines):  # torn
                continue
            raise InputError(f"{path}, line {number}: no line of a library's table: give another file") from None
        rows.append(row)
    return rows


def recognize_library(
    recognizer: Callable[[], Recognizer],
    folders: Sequence[str | Path],
    table: str | Path,
    *,
    dynamic: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Told:
    """Listen to all sound files of folders that the table does not know yet.

    Parameters
    ----------
    recognizer
        Makes the recogniser; not called where everything is known.
    folders
        With sound files.
    table
        File that lines are added to; made if need be.
    dynamic
        Curves are written too.
    progress
        Called with the share that is done.

    Raises
    ------
    InputError
        A folder has no sound files, or the table is none.
    """
    table = Path(table)
    rows = read_table(table)
    last = {(row["folder"], row["file"]): row for row in rows}
    jobs = [job for folder in folders for job in _jobs(Path(folder))]
    waiting = [job for job in jobs if not _known(last.get((job["folder"], job["file"])), job, dynamic)]
    errors = []
    if waiting:
        # Whole lines only, and of files that have changed the old line no more.
        again = {(job["folder"], job["file"]) for job in waiting}
        kept = [row for key, row in last.items() if key not in again]
        write_bytes(table, "".join(_line(row) for row in kept).encode())
        listener = recognizer()
        with table.open("a", encoding="utf-8") as stream:
            for i, job in enumerate(waiting):
                path = Path(job["folder"]) / job["file"]
                try:
                    heard = listener.recognize(path).to_dict()
                    if not dynamic:
                        del heard["curve"]
                    stream.write(_line({**job, **heard}))
                except MuseError as error:
                    text = " ".join(str(error).split())
                    errors.append(text)
                    stream.write(_line({**job, "error": text}))
                stream.flush()
                if progress is not None:
                    progress((i + 1) / len(waiting))
    return Told(len(waiting) - len(errors), len(jobs) - len(waiting), tuple(errors))


def _jobs(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sound_files(folder):
        facts = path.stat()
        name = path.relative_to(folder).as_posix()
        yield {"folder": str(folder.resolve()), "file": name, "size": facts.st_size, "modified": facts.st_mtime_ns}


def _known(row: dict[str, Any] | None, job: dict[str, Any], dynamic: bool) -> bool:
    if row is None or any(row.get(name) != job[name] for name in ("size", "modified")):
        return False
    return "error" in row or not dynamic or "curve" in row


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"
