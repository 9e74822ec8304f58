"""What an evaluation has finished: kept in hidden folders of its report, so that one that was killed goes on there.

Conventions
-----------
section
    A part of the document, in JSON's types but with NaN. What is measured now and what was kept are the same thing:
    both come through the file's text.
piece
    What the measures need of music that was made. It is what a MIDI file holds, whether it was just written or kept.
of
    Says all that sections and pieces depend on (:func:`depends_on`); what was kept of another is thrown away.

Contents: :class:`Kept`, :class:`Piece`, :func:`depends_on`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import muse
from muse.checkpoint import contents, data_path, find
from muse.files import plain, read_json, write_text
from muse.score import Score, read_score
from muse.tokens.plan import Plan

__all__ = ["Kept", "Piece", "depends_on"]

FOLDER: Final = ".evaluation"
"""In the folder of the report, while it is not finished."""
PIECES_FOLDER: Final = ".pieces"
"""In the same folder: pieces that outlive the report, because measuring anew need not compose anew."""


@dataclass(frozen=True)
class Piece:
    """What is measured of a piece."""

    candidates: tuple[Score, ...]
    """Best first."""
    plan: Plan | None
    """Of the best candidate; None where it was made otherwise."""
    seconds: float
    """Time that it took."""
    measured: tuple[Mapping[str, float], ...] = ()
    """Attributes of each candidate by name, where the maker tells them."""
    target: Mapping[str, float] = field(default_factory=dict)
    """Attributes asked for."""

    @property
    def score(self) -> Score:
        """The best candidate."""
        return self.candidates[0]

    def to_dict(self) -> dict[str, Any]:
        """In JSON's types; music as MIDI files in base64."""
        return {
            "candidates": [base64.b64encode(score.dumps_midi()).decode() for score in self.candidates],
            "plan": None if self.plan is None else self.plan.to_json(),
            "seconds": self.seconds,
            "measured": [dict(one) for one in self.measured],
            "target": dict(self.target),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """What :meth:`to_dict` gave."""
        return cls(
            tuple(read_score(base64.b64decode(midi)) for midi in value["candidates"]),
            None if value["plan"] is None else Plan.from_json(value["plan"]),
            value["seconds"],
            tuple(value["measured"]),
            value["target"],
        )


class Kept:
    """Finished sections and pieces.

    Parameters
    ----------
    root
        Folder that is this object's alone; nothing is kept when None.
    of
        See the module.
    """

    def __init__(self, root: str | Path | None = None, of: str = "") -> None:
        self._root = None if root is None else Path(root)
        self._folder = None if self._root is None else self._root / of
        if self._root is not None and self._root.is_dir():
            for other in self._root.iterdir():
                if other != self._folder:
                    shutil.rmtree(other, ignore_errors=True)

    def section(self, name: str, measure: Callable[[], Any]) -> Any:
        """The section of a name: as it was kept, or measured now."""
        path = None if self._folder is None else self._folder / f"{name}.json"
        if path is not None and path.is_file():
            return read_json(path)
        text = json.dumps(_plain(measure()))
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, text)
        return json.loads(text)

    def piece(self, name: str, make: Callable[[], Piece]) -> Piece:
        """The piece of a name: as it was kept, or made now."""
        return Piece.from_dict(self.section(f"pieces/{name}", lambda: make().to_dict()))

    def forget(self) -> None:
        """The report is written: nothing of this is needed any more."""
        if self._root is not None:
            shutil.rmtree(self._root, ignore_errors=True)


def _plain(value: Any) -> Any:
    """As :func:`muse.files.plain`, but NaN stays."""
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return _plain(value.tolist()) if hasattr(value, "tolist") else plain(value)


def depends_on(
    settings: Any, *, weights: Iterable[str | Path] = (), folders: Iterable[str | Path] = (), others: Iterable[str] = ()
) -> str:
    """SHA-256, first 16 digits, of all that a report depends on: settings, Muse with its tables, weights, and files.

    Parameters
    ----------
    settings
        Anything whose ``repr`` tells it.
    weights
        Checkpoints, by name or folder: their bytes count.
    folders
        Corpora: name, size and time of every file count.
    others
        Further hashes.

    Raises
    ------
    InputError
        There is no such checkpoint.
    """
    digest = hashlib.sha256(repr(settings).encode())
    digest.update(contents((*map(find, weights), Path(muse.__file__).parent, data_path("attributes"))))
    for folder in map(Path, folders):
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            inner = path.relative_to(folder)
            if path.is_file() and not any(part.startswith(".") for part in inner.parts):
                facts = path.stat()
                digest.update(f"{inner.as_posix()} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    for other in others:
        digest.update(other.encode() + b"\0")
    return digest.hexdigest()[:16]
