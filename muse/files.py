"""Files: written whole or not at all, and JSON both ways.

Conventions
-----------
atomic
    A file is written under a hidden name beside its place (``.name.PID-THREAD.part``) and moved there when it is
    complete; after an error nothing is left. Threads and processes never share a temporary name.
JSON
    UTF-8, two spaces, no NaN: a number that is not finite is null.

Contents: :func:`replacing`, :func:`write_bytes`, :func:`write_text`, :func:`read_json`, :func:`write_json`,
:func:`to_json`, :func:`plain`.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from muse.errors import InputError

__all__ = ["plain", "read_json", "replacing", "to_json", "write_bytes", "write_json", "write_text"]


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside *path*, which takes its place when the block ends well and is removed otherwise.

    The temporary name keeps the ending of *path*, for writers that choose a format by it.

    Raises
    ------
    InputError
        The file cannot be written; names *path*, not the temporary file.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}-{threading.get_ident()}.part{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{path}: cannot be written ({reason}): check folder, permissions and free space") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: str | Path, data: bytes) -> Path:
    """Write a file whole or not at all, see :func:`replacing`."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)
    return Path(path)


def write_text(path: str | Path, text: str) -> Path:
    """Write UTF-8 text whole or not at all, line ends as they are in *text*."""
    return write_bytes(path, text.encode("utf-8"))


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    InputError
        The file is missing, no ordinary file, or no JSON: with line and column.
    """
    path = Path(path)
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise InputError(f"{path} is no ordinary file: give a JSON file")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}:{error.colno}: this is no JSON ({error.msg})") from None
    except (OSError, ValueError, RecursionError) as error:  # ValueError: not UTF-8, a number of thousands of digits
        raise InputError(f"{path}: cannot be read as JSON ({error})") from None


def write_json(value: Any, path: str | Path) -> Path:
    """Write JSON that people can read and compare, see :func:`to_json`."""
    try:
        return write_text(path, to_json(value) + "\n")
    except TypeError as error:
        raise InputError(f"{path}: this has no JSON form ({error})") from None


def to_json(value: Any, *, indent: int | None = 2) -> str:
    """JSON text of a value cleaned by :func:`plain`.

    Where a text cannot be written as UTF-8 (a file name in another encoding), everything beyond ASCII is escaped.

    Raises
    ------
    TypeError
        Something has no form in JSON.
    """
    value = plain(value)
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=indent, allow_nan=False)
    return text


def plain(value: Any) -> Any:
    """The same in JSON's types: numpy numbers and arrays by their Python values, NaN and infinity as None, paths as
    text, sets and tuples as lists, names of mappings as text."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return value
