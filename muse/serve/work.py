"""What the processes of the service do: a task in, an answer out that only has to be sent.

Conventions
-----------
upload
    Bytes that came with a request. They are written into a folder of their own for as long as the task lasts, under
    names of ours; no request can name a file of this machine.
word
    The words of :mod:`muse.tasks.telling` as JSON: ``{"event": "understood", ...}`` with the intent and the evidence,
    ``{"event": "progress", "share": 0..1}``, ``{"event": "bar", ...}``; None where there is nothing to say.

Contents: :class:`Answer`, :class:`Compose`, :class:`Understand`, :class:`Analyze`, :class:`Recognize`,
:class:`Transcribe`; :func:`work`.
"""

from __future__ import annotations

import base64
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from muse.errors import InputError
from muse.files import to_json
from muse.tasks.analyze import Analyzer
from muse.tasks.formats import ENDINGS
from muse.tasks.processes import Tell
from muse.tasks.request import ComposeRequest
from muse.tasks.telling import Understood, compose_telling, taken_steps
from muse.tasks.transcribe import TranscribeRequest, transcribe
from muse.tasks.uploads import FIELD_KINDS, take

if TYPE_CHECKING:
    from muse.composer import Composition, WrittenBar
    from muse.intent import Intent
    from muse.prompts import Parsed
    from muse.recognizer import Recognizer
    from muse.transcription import Transcriber

__all__ = ["Analyze", "Answer", "Compose", "Recognize", "Task", "Transcribe", "Understand", "work"]

_DIGITS: Final = 4
"""Of beats and seconds in events."""


@dataclass(frozen=True)
class Answer:
    """What is sent back."""

    body: bytes
    media_type: str = "application/json"
    seed: int | None = None
    """Of a piece."""
    steps: Mapping[int, int] = field(default_factory=dict)
    """Of a piece: see :func:`muse.tasks.telling.taken_steps`."""

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
        """Compose, telling what was understood, how far it is, and the bars."""
        parsed: Parsed | None = None

        def say(word: Understood | WrittenBar | float | None) -> None:
            nonlocal parsed
            if isinstance(word, Understood):
                parsed = word.parsed
                tell({"event": "understood", **_understood(parsed, word.intent)})
            elif isinstance(word, float):
                tell({"event": "progress", "share": round(word, _DIGITS)})
            else:
                tell(None if word is None else _bar(word))

        with _placed(self.uploads) as files:
            piece = compose_telling(replace(self.request, **files), say)
        return replace(self._answer(piece, parsed), steps=taken_steps())

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
        order = [candidate.number for candidate in piece.candidates]
        return Answer.of({**piece.to_json(), "order": order, "evidence": evidence, "midi": midi}, piece.seed)


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


@dataclass(frozen=True)
class Transcribe:
    """The notes of sound: a MIDI file, or a document that holds it as base64."""

    data: bytes
    ending: str = "json"

    def do(self, tell: Tell) -> Answer:
        """Write down what is heard."""
        with _upload(self.data, ("sound",)) as (_, sound):
            midi = sound.with_suffix(".mid")
            request = TranscribeRequest(files=(str(sound),), output=str(midi))
            (found,) = transcribe(request, transcriber=_transcriber())
            if "error" in found:
                raise InputError(found["error"])
            notes = midi.read_bytes()
        if self.ending == "mid":
            return Answer(notes, ENDINGS["mid"])
        document = {name: value for name, value in found.items() if name not in ("file", "output")}
        return Answer.of({**document, "midi": base64.b64encode(notes).decode("ascii")})


def work(task: Task, tell: Tell) -> Answer:
    """What the processes run, see :mod:`muse.tasks.processes`."""
    return task.do(tell)


# --------------------------------------------------------------------------------------------------------------- steps


@cache
def _analyzer() -> Analyzer:
    return Analyzer()


@cache
def _recognizer() -> Recognizer:
    from muse.recognizer import Recognizer

    return Recognizer.from_pretrained()


@cache
def _transcriber() -> Transcriber:
    from muse.transcription import Transcriber

    return Transcriber.from_pretrained()


def _recognized(path: Path, *, dynamic: bool) -> dict[str, Any]:
    found = _recognizer().recognize(path).to_dict()
    return {name: value for name, value in found.items() if dynamic or name != "curve"}


def _understood(parsed: Parsed | None, intent: Intent) -> dict[str, Any]:
    evidence = parsed.to_dict()["evidence"] if parsed else []
    return {"intent": intent.to_dict(), "words": intent.in_words(), "evidence": evidence}


def _bar(word: WrittenBar) -> dict[str, Any]:
    notes = [[round(value, _DIGITS) for value in row] for row in word.notes.tolist()]
    return {
        "event": "bar", "candidate": word.candidate, "bar": word.bar, "n_bars": word.n_bars,
        "seconds": round(word.seconds, _DIGITS), "chords": word.chords, "notes": notes,
    }  # fmt: skip


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
