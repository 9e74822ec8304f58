"""Tables and text files that other people wrote, read row by row; a fault is one line that names file and row.

Conventions
-----------
text
    UTF-8, with or without a byte order mark; gzipped where the name ends in ``.gz``.
values
    Text without blanks around it. A value that is absent is empty.

Contents: :class:`Row`, :func:`read_rows`, :func:`header`, :func:`read_lines`, :func:`inside`.
"""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import IO

from muse.errors import InputError, shown

__all__ = ["Row", "header", "inside", "read_lines", "read_rows"]


@dataclass(frozen=True)
class Row:
    """A row of a table, and where it stands."""

    path: Path
    line: int
    """Line of the file in which the row ends, from 1."""
    values: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        """Value of a column that must be there."""
        if name not in self.values:
            raise self.fault(f"there is no column {name!r}; the table has {', '.join(self.values)}")
        return self.values[name]

    def get(self, name: str, default: str = "") -> str:
        """Value of a column, or the default."""
        return self.values.get(name, default)

    def number(self, name: str) -> float:
        """Value of a column as a finite number."""
        text = self[name]
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.fault(f"{name} {shown(text)} is no number")
        return value

    def file(self, name: str, folder: Path) -> Path:
        """The file inside *folder* that a column names; it may be missing.

        Raises
        ------
        InputError
            The path is empty, absolute or leads out of the folder.
        """
        text = self[name]
        if not inside(text):
            raise self.fault(f"{name} {shown(text)} must be a path inside {folder}, without '..'")
        return folder / text

    def fault(self, problem: str) -> InputError:
        """The error for something that is wrong in this row."""
        return InputError(f"{self.path}, line {self.line}: {problem}")


def inside(text: str) -> bool:
    """Whether a path from a table stays inside the folder that it is meant for, on any system."""
    leads_out = text.startswith(("/", "\\")) or Path(text).is_absolute() or ".." in PureWindowsPath(text).parts
    return bool(text) and "\0" not in text and not leads_out


def read_rows(path: Path, *, delimiter: str = ",", exact: bool = False) -> Iterator[Row]:
    """Rows of a table with a header.

    Parameters
    ----------
    path
        The table.
    delimiter
        What stands between values.
    exact
        Refuse a row that has more values than the header has names: a comma without quotes moves all labels behind it.

    Raises
    ------
    InputError
        The file is missing, no UTF-8, or a row cannot be read.
    """
    number = 1
    with _faults(path), _open(path) as stream:
        reader = csv.reader(stream, delimiter=delimiter, skipinitialspace=True)
        try:
            names = [name.strip() for name in next(reader, [])]
            for cells in reader:
                number = reader.line_num
                if not cells:
                    continue
                if exact and len(cells) > len(names):
                    raise InputError(
                        f"{path}, line {number}: {len(cells)} values under {len(names)} names: put quotes around "
                        "values that hold a comma"
                    )
                values = [cell.strip() for cell in cells] + [""] * (len(names) - len(cells))
                yield Row(path, number, dict(zip(names, values, strict=False)))
        except csv.Error as error:
            raise InputError(f"{path}, line {reader.line_num}: this is no row of a table ({error})") from None


def header(path: Path) -> list[str]:
    """Column names of any CSV file; empty where it has none that can be read."""
    try:
        with _open(path, errors="replace") as stream:
            return [name.strip() for name in next(csv.reader(stream), [])]
    except (OSError, EOFError, zlib.error, csv.Error):
        return []


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines of a text file with their numbers, from 1.

    Raises
    ------
    InputError
        The file is missing or no UTF-8.
    """
    with _faults(path), _open(path) as stream:
        for number, line in enumerate(stream, start=1):
            yield number, line.rstrip("\r\n")


def _open(path: Path, errors: str = "strict") -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", errors=errors, newline="")
    return path.open(encoding="utf-8-sig", errors=errors, newline="")


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    """Turn what can go wrong with a file into one line about it."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise InputError(
            f"{path}, line {_line_without_utf8(path)}: byte 0x{byte:02x} is no UTF-8: save the file in UTF-8"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None


def _line_without_utf8(path: Path) -> int:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 0  # it has been changed meanwhile
