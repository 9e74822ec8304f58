"""Many requests from one file: a piece and a report for each, and what is finished is not done again.

Conventions
-----------
requests
    A file of JSON objects, one a line (JSON Lines); empty lines are passed over. Fields are those of
    :data:`FIELDS`; files are looked for beside the request file. ``id`` names the piece, ``line-12`` without one.
finished
    ``<id>.mid`` and ``<id>.json`` are there, and the JSON holds the fingerprint of this line, of the files it names
    and of the checkpoints. Both are written whole or not at all, the JSON last.

Contents: :func:`read_requests`, :func:`compose_batch`, :class:`Request`, :class:`Outcome`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from muse.errors import InputError, MuseError
from muse.files import write_json
from muse.intent import Intent
from muse.prompts import KINDS, lasting, parse_prompts

if TYPE_CHECKING:
    from muse.composer import Composer

__all__ = ["FIELDS", "Outcome", "Request", "compose_batch", "read_requests"]

_FILES: Final = ("image", "video", "hum", "like")
_INTENT: Final = {
    "genre": "genre", "instruments": "instruments", "key": "key", "tempo": "tempo_bpm",
    "time_signature": "time_signature", "bars": "bars", "attributes": "attributes",
}  # fmt: skip
FIELDS: Final = ("id", *KINDS, "emotion", "arc", "valence", "arousal", *_INTENT, "seed", "candidates")
"""What a line may hold."""
MAX_LINES: Final = 100_000


@dataclass(frozen=True)
class Request:
    """A line of the file."""

    line: int
    id: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""
    """Why it cannot be done; empty where it can."""


@dataclass(frozen=True)
class Outcome:
    """What became of a request."""

    request: Request
    document: Mapping[str, Any] | None = None
    """The report, None where it failed."""
    fault: str = ""
    was_finished: bool = False


def read_requests(path: str | Path) -> list[Request]:
    """The requests of a file; faults of single lines are kept with them.

    Raises
    ------
    InputError
        The file cannot be read, or holds no request.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{path} is no text in UTF-8: give a file with one JSON object a line") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}: give a file with one JSON object a line") from None
    requests: list[Request] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if len(requests) == MAX_LINES:
            raise InputError(f"{path} has more than {MAX_LINES} requests: split it")
        request = _request(number, line, path.parent)
        if not request.fault and request.id in seen:
            fault = f"the id {request.id!r} stands in line {seen[request.id]} too"
            request = Request(number, request.id, fault=fault)
        seen.setdefault(request.id, number)
        requests.append(request)
    if not requests:
        raise InputError(f'{path} has no request in it: write one JSON object a line, for example {{"text": "sad"}}')
    return requests


def _request(number: int, line: str, folder: Path) -> Request:
    name = f"line-{number}"
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        return Request(number, name, fault=f"no JSON ({error.msg} at column {error.colno})")
    if not isinstance(fields, dict):
        return Request(number, name, fault="not an object: write {...}")
    unknown = [key for key in fields if key not in FIELDS]
    if unknown:
        return Request(number, name, fault=f"unknown field {', '.join(unknown)}; known are {', '.join(FIELDS)}")
    name = str(fields.pop("id", name))
    if not re.fullmatch(r"[\w][\w.+ -]{0,99}", name):
        return Request(number, f"line-{number}", fault=f"the id {name!r} is no file name: use letters, digits, - and _")
    fields = {key: value for key, value in fields.items() if value is not None}
    for kind in KINDS:
        if kind in fields and not isinstance(fields[kind], str):
            return Request(number, name, fault=f"{kind} is {fields[kind]!r}: give a string")
    for kind in _FILES:
        if kind in fields:
            fields[kind] = str(folder / fields[kind])
    for key in ("seed", "candidates"):
        if key in fields and (not isinstance(fields[key], int) or isinstance(fields[key], bool) or fields[key] < 0):
            return Request(number, name, fault=f"{key} is {fields[key]!r}: give a whole number")
    ways = [way for way in ("emotion", "arc") if way in fields] + ["valence"] * ("valence" in fields)
    if len(ways) > 1 or ("valence" in fields) != ("arousal" in fields):
        fault = "give the emotion in one way: emotion, arc, or valence and arousal together"
        return Request(number, name, fault=fault)
    return Request(number, name, fields)


def compose_batch(
    requests: list[Request],
    folder: str | Path,
    composer: Composer,
    *,
    defaults: Mapping[str, Any] | None = None,
    progress: Callable[[float], None] | None = None,
    **options: Any,
) -> Iterator[Outcome]:
    """Compose a piece for every request that is not finished, in order.

    Parameters
    ----------
    requests
        See :func:`read_requests`.
    folder
        Where pieces and reports go; made if need be.
    composer
        Writes the pieces.
    defaults
        ``seed`` and ``candidates`` for lines without them.
    progress
        Called with the share done, 0..1.
    **options
        Of :meth:`muse.composer.Composer.compose`: ``sampling``, ``ranking``.

    Yields
    ------
    Outcome
        One for every request; a failed one does not stop the others.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for i, request in enumerate(requests):
        if request.fault:
            yield Outcome(request, fault=request.fault)
        else:
            fields = {**(defaults or {}), **request.fields}
            try:
                yield _one(request, fields, folder, composer, options)
            except (MuseError, OSError) as error:
                yield Outcome(request, fault=str(error))
        if progress is not None:
            progress((i + 1) / len(requests))


def _one(
    request: Request, fields: Mapping[str, Any], folder: Path, composer: Composer, options: Mapping[str, Any]
) -> Outcome:
    midi, report = folder / f"{request.id}.mid", folder / f"{request.id}.json"
    mark = _fingerprint(fields, composer, options)
    if midi.is_file() and report.is_file():
        try:
            document = json.loads(report.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            document = None
        if isinstance(document, dict) and document.get("fingerprint") == mark:
            return Outcome(request, document, was_finished=True)
    parsed, intent = _intent(fields)
    piece = composer.compose(intent, n_candidates=fields.get("candidates", 4), seed=fields.get("seed", 0), **options)
    piece.save(midi)
    document = {
        "id": request.id, "line": request.line, "fingerprint": mark, "output": midi.name,
        "evidence": parsed.to_dict()["evidence"] if parsed else [], **piece.to_json(),
    }  # fmt: skip
    write_json(document, report)
    return Outcome(request, document)


def _intent(fields: Mapping[str, Any]) -> tuple[Any, Intent]:
    """The prompts as they were understood (None without one), and the request; what is said outright rules."""
    parsed = parse_prompts(**{kind: fields.get(kind) for kind in KINDS})
    given = {own: fields[name] for name, own in _INTENT.items() if name in fields}
    if "valence" in fields:
        given["emotion"] = (fields["valence"], fields["arousal"])
    elif "arc" in fields or "emotion" in fields:
        given["emotion"] = fields.get("arc", fields.get("emotion"))
    if parsed is None:
        return None, Intent(**given)
    parsed = parsed.corrected(**given)
    return parsed, (parsed if {"bars"} & set(given) else lasting(parsed)).intent


def _fingerprint(fields: Mapping[str, Any], composer: Composer, options: Mapping[str, Any]) -> str:
    """SHA-256 of all that decides a piece."""
    digest = hashlib.sha256(json.dumps([fields, dict(composer.versions)], sort_keys=True, default=str).encode())
    digest.update(repr(sorted(options.items(), key=lambda entry: entry[0])).encode())
    for kind in _FILES:
        if kind in fields and Path(fields[kind]).is_file():
            with Path(fields[kind]).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
