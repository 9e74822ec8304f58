"""What the processes of the service do: a task in, an answer out that only has to be sent.

Conventions
-----------
upload
    Bytes that came with a request. They are written into a folder of their own for as long as the task lasts, under
    names of ours; no request can name a file of this machine.
word
    ``{"event": "understood", ...}`` with the intent and the evidence, ``{"event": "progress", "share": 0..1}``;
    None where there is nothing to say, so that work can be stopped.

Contents: :class:`Answer`, :class:`Compose`, :class:`Understand`, :class:`Analyze`, :class:`Recognize`; :func:`work`,
:func:`load`.
"""

from __future__ import annotations

import base64
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from muse.errors import InputError
from muse.files import to_json
from muse.tasks.analyze import Analyzer
from muse.tasks.compose import compose
from muse.tasks.formats import ENDINGS
from muse.tasks.limits import check_work
from muse.tasks.processes import Tell
from muse.tasks.request import ComposeRequest
from muse.tasks.uploads import FIELD_KINDS, take

if TYPE_CHECKING:
    from muse.composer import Composer, Composition
    from muse.intent import Intent
    from muse.prompts import Parsed
    from muse.recognizer import Recognizer

__all__ = ["Analyze", "Answer", "Compose", "Recognize", "Task", "Understand", "load", "work"]

_WORD_SEC: Final = 0.05
"""Between two words on how far a piece is."""


@dataclass(frozen=True)
class Answer:
    """What is sent back."""

    body: bytes
    media_type: str = "application/json"
    seed: int | None = None
    """Of a piece."""

    @classmethod
    def of(cls, document: Mapping[str, Any], seed: int | None = None) -> Answer:
        """A JSON document."""
        return cls(to_json(document, indent=None).encode(), seed=seed)


class Task(Protocol):
    """Something to do in a process."""

    def do(self, tell: Tell) -> Answer:
        """Do it.

        Raises
        ------
        InputError
            What came cannot be used.
        """
        ...


@dataclass(frozen=True)
class Compose:
    """A piece, in a format of :data:`muse.tasks.formats.ENDINGS`; ``json`` holds the MIDI file too, as base64."""

    request: ComposeRequest
    uploads: Mapping[str, bytes]
    """Files by the field that they are for."""
    ending: str = "json"

    def do(self, tell: Tell) -> Answer:
        """Compose, telling what was understood and how far it is."""
        spoke, told = 0.0, -1.0

        def progress(share: float) -> None:
            nonlocal spoke, told
            if (now := time.monotonic()) - spoke >= _WORD_SEC:
                tell({"event": "progress", "share": round(share, 4)} if share > told else None)
                spoke, told = now, share

        with _placed(self.uploads) as files:
            request = replace(self.request, **files)
            parsed, intent = request.understood()
            check_work(request, intent)
            tell({"event": "understood", **_understood(parsed, intent)})
            piece = compose(request, _composer(), intent=intent, progress=progress)
        return self._answer(piece, parsed)

    def _answer(self, piece: Composition, parsed: Parsed | None) -> Answer:
        document = self.ending == "json"
        with tempfile.TemporaryDirectory(prefix="muse-serve-") as folder:
            path = Path(folder) / f"piece.{'mid' if document else self.ending}"
            piece.save(path)
            data = path.read_bytes()
        if not document:
            return Answer(data, ENDINGS[self.ending], piece.seed)
        evidence = parsed.to_dict()["evidence"] if parsed else []
        midi = base64.b64encode(data).decode("ascii")
        return Answer.of({**piece.to_json(), "evidence": evidence, "midi": midi}, piece.seed)


@dataclass(frozen=True)
class Understand:
    """What is understood of prompts."""

    request: ComposeRequest
    uploads: Mapping[str, bytes]

    def do(self, tell: Tell) -> Answer:
        """Read the prompts."""
        with _placed(self.uploads) as files:
            parsed, intent = replace(self.request, **files).understood()
        return Answer.of(_understood(parsed, intent))


@dataclass(frozen=True)
class Analyze:
    """A piece of MIDI, or sound, of which it is said what :class:`Recognize` says."""

    data: bytes

    def do(self, tell: Tell) -> Answer:
        """Tell by the content what it is, and analyze it."""
        with _upload(self.data, ("midi", "sound")) as (kind, path):
            return Answer.of(_analyzer().analyze(path) if kind == "midi" else _recognized(path, dynamic=False))


@dataclass(frozen=True)
class Recognize:
    """The emotion of sound."""

    data: bytes
    dynamic: bool = False
    """With its curve over time."""

    def do(self, tell: Tell) -> Answer:
        """Listen."""
        with _upload(self.data, ("sound",)) as (_, path):
            return Answer.of(_recognized(path, dynamic=self.dynamic))


def work(task: Task, tell: Tell) -> Answer:
    """What the processes run, see :mod:`muse.tasks.processes`."""
    return task.do(tell)


def load() -> None:
    """What is loaded before the first task: all that composing needs. The rest is loaded by whoever asks first."""
    _composer()


# --------------------------------------------------------------------------------------------------------------- steps


@cache
def _composer() -> Composer:
    from muse.composer import Composer

    return Composer.from_pretrained()


@cache
def _analyzer() -> Analyzer:
    return Analyzer()


@cache
def _recognizer() -> Recognizer:
    from muse.recognizer import Recognizer

    return Recognizer.from_pretrained()


def _recognized(path: Path, *, dynamic: bool) -> dict[str, Any]:
    found = _recognizer().recognize(path).to_dict()
    return {name: value for name, value in found.items() if dynamic or name != "curve"}


def _understood(parsed: Parsed | None, intent: Intent) -> dict[str, Any]:
    evidence = parsed.to_dict()["evidence"] if parsed else []
    return {"intent": intent.to_dict(), "words": intent.in_words(), "evidence": evidence}


@contextmanager
def _placed(uploads: Mapping[str, bytes]) -> Iterator[dict[str, Any]]:
    """Where the files of prompts lie, by field, for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="muse-serve-") as folder:
        try:
            yield {name: str(_taken(data, Path(folder), FIELD_KINDS[name])[1]) for name, data in uploads.items()}
        except InputError as error:
            raise _without_paths(error, folder) from None


@contextmanager
def _upload(data: bytes, kinds: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    """The kind of an upload and where it lies, for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="muse-serve-") as folder:
        try:
            yield _taken(data, Path(folder), kinds)
        except InputError as error:
            raise _without_paths(error, folder) from None


def _taken(data: bytes, folder: Path, kinds: tuple[str, ...]) -> tuple[str, Path]:
    raw = folder / f"raw-{len(list(folder.iterdir()))}"
    raw.write_bytes(data)
    upload = take(raw, folder, kinds)
    return upload.kind, upload.path


def _without_paths(error: InputError, folder: str) -> InputError:
    """The same, with "the file" for every path of ours."""
    return InputError(re.sub(rf"{re.escape(folder)}/[\w.-]+", "the file", str(error)))
