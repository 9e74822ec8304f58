"""Many requests from one file: a piece and a report for each, and what is finished is not done again.

Conventions
-----------
requests
    A file of JSON objects, one a line (JSON Lines); empty lines are passed over. Fields are those of
    :class:`~muse.tasks.request.ComposeRequest` and ``id``, which names the piece (``line-12`` without one); files are
    looked for beside the request file.
finished
    ``<id>.mid`` and ``<id>.json`` are there, and the JSON holds the fingerprint of this request, of the files it names
    and of the checkpoints. Both are written whole or not at all, the JSON last.

Contents: :func:`read_requests`, :func:`compose_batch`, :class:`BatchLine`, :class:`Outcome`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from muse.engines import Died, Engine, InProcess
from muse.errors import InputError, MuseError
from muse.files import write_json
from muse.tasks.compose import compose
from muse.tasks.request import FILES, ComposeRequest

if TYPE_CHECKING:
    from muse.composer import Composer, Composition

__all__ = ["BatchLine", "Outcome", "compose_batch", "read_requests"]

log = logging.getLogger(__name__)

MAX_LINES: Final = 100_000


@dataclass(frozen=True)
class BatchLine:
    """A line of the file."""

    line: int
    id: str
    request: ComposeRequest | None = None
    """None where it cannot be done."""
    fault: str = ""
    """Why it cannot be done; empty where it can."""


@dataclass(frozen=True)
class Outcome:
    """What became of a line."""

    line: BatchLine
    document: Mapping[str, Any] | None = None
    """The report, None where it failed."""
    fault: str = ""
    was_finished: bool = False


def read_requests(path: str | Path, defaults: ComposeRequest | None = None) -> list[BatchLine]:
    """The requests of a file; faults of single lines are kept with them.

    Parameters
    ----------
    defaults
        ``candidates``, ``seed``, sampling and ranking for lines without them.

    Raises
    ------
    InputError
        The file cannot be read, or holds no request.
    """
    path = Path(path)
    defaults = defaults or ComposeRequest(seed=0)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path} is no text in UTF-8: give a file with one JSON object a line") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}: give a file with one JSON object a line") from None
    requests: list[BatchLine] = []
    seen: dict[str, int] = {}
    # Lines end with LF alone: JSON strings may hold every other separator of Unicode.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        if len(requests) == MAX_LINES:
            raise InputError(f"{path} has more than {MAX_LINES} requests: split it")
        request = _line(number, line, path.parent, defaults)
        if not request.fault and request.id in seen:
            request = BatchLine(
                number, request.id, fault=f"the id {request.id!r} stands in line {seen[request.id]} too"
            )
        seen.setdefault(request.id, number)
        requests.append(request)
    if not requests:
        raise InputError(f'{path} has no request in it: write one JSON object a line, for example {{"text": "sad"}}')
    return requests


def _line(number: int, line: str, folder: Path, defaults: ComposeRequest) -> BatchLine:
    name = f"line-{number}"
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        return BatchLine(number, name, fault=f"no JSON ({error.msg} at column {error.colno})")
    except RecursionError:
        return BatchLine(number, name, fault="no request: it is nested too deeply")
    except ValueError:
        return BatchLine(number, name, fault="no request: a number in it has thousands of digits")
    if not isinstance(fields, dict):
        return BatchLine(number, name, fault="not an object: write {...}")
    identity = str(fields.pop("id", name))
    if not re.fullmatch(r"[\w][\w.+ -]{0,99}", identity):
        shown = identity if len(identity) < 100 else f"{identity[:100]}..."
        return BatchLine(number, name, fault=f"the id {shown!r} is no file name: use letters, digits, - and _")
    try:
        request = ComposeRequest.from_fields(fields, folder=folder)
    except InputError as error:
        return BatchLine(number, identity, fault=str(error))
    absent = {
        field: getattr(defaults, field)
        for field in ("seed", "candidates", "temperature", "top_p", "guidance", "rank")
        if fields.get(field) is None
    }
    return BatchLine(number, identity, replace(request, **absent))


def compose_batch(
    requests: list[BatchLine],
    folder: str | Path,
    composer: Callable[[], Composer],
    versions: Mapping[str, str],
    *,
    engine: Engine | None = None,
    progress: Callable[[float], None] | None = None,
) -> Iterator[Outcome]:
    """Compose a piece for every request that is not finished, in order.

    Parameters
    ----------
    requests
        See :func:`read_requests`.
    folder
        Where pieces and reports go; made if need be.
    composer
        Gives what writes the pieces; called where they are written, when the first has to be.
    versions
        What composes, see :func:`muse.composer.versions`.
    engine
        Where the pieces are composed; default: in this process, one after another. Files are written by this process
        alone, each piece as soon as it is there.
    progress
        Called with the share done, 0..1.

    Yields
    ------
    Outcome
        One for every request; a failed one does not stop the others.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    outcomes: dict[int, Outcome] = {}
    marks: dict[int, str] = {}
    for i, line in enumerate(requests):
        try:
            marks[i] = _fingerprint(line.request, versions) if line.request else ""
        except Exception as error:
            outcomes[i] = Outcome(line, fault=_fault(error))
            continue
        if line.request is None:
            outcomes[i] = Outcome(line, fault=line.fault)
        elif (document := _finished(folder, line.id, marks[i])) is not None:
            outcomes[i] = Outcome(line, document, was_finished=True)
    todo = [(i, line.request) for i, line in enumerate(requests) if i not in outcomes and line.request is not None]
    n_given, n_done = 0, len(outcomes)
    results = (engine or InProcess()).map(_Writer(composer), todo)
    while n_given < len(requests):
        if n_given in outcomes:
            yield outcomes.pop(n_given)
            n_given += 1
            continue
        i, made = next(results)
        outcomes[i] = _written(requests[i], made, folder, marks[i])
        n_done += 1
        if progress is not None:
            progress(n_done / len(requests))


@dataclass
class _Made:
    """A piece that nobody has written down yet."""

    evidence: list[Any]
    piece: Composition


@dataclass
class _Writer:
    """What an engine applies to requests; loads the composer where it works, once. A fault is told as its text."""

    load: Callable[[], Composer]

    @cached_property
    def composer(self) -> Composer:
        return self.load()

    def __call__(self, request: ComposeRequest) -> _Made | str:
        try:
            parsed, intent = request.understood()
            piece = compose(request, self.composer, intent=intent)
            return _Made(parsed.to_dict()["evidence"] if parsed else [], piece)
        except Exception as error:  # must not lose the rest of a long run
            return _fault(error)


def _fault(error: Exception) -> str:
    """One line; says so where the fault is ours."""
    log.debug("a line failed", exc_info=error)
    text = " ".join(str(error).split())
    return text if isinstance(error, (MuseError, OSError)) else f"internal error, {type(error).__name__}: {text}"


def _finished(folder: Path, name: str, mark: str) -> Mapping[str, Any] | None:
    """The report of a piece that is there whole and is the one asked for."""
    report = folder / f"{name}.json"
    if not (report.is_file() and (folder / f"{name}.mid").is_file()):
        return None
    try:
        document = json.loads(report.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and document.get("fingerprint") == mark else None


def _written(line: BatchLine, made: _Made | str | Died, folder: Path, mark: str) -> Outcome:
    """What became of a line, its files written: the piece first, then the report that makes it a finished one."""
    if isinstance(made, Died):
        return Outcome(line, fault=made.reason)
    if isinstance(made, str):
        return Outcome(line, fault=made)
    midi = folder / f"{line.id}.mid"
    document = {
        "id": line.id, "line": line.line, "fingerprint": mark, "output": midi.name, "evidence": made.evidence,
        **made.piece.to_json(),
    }  # fmt: skip
    try:
        made.piece.save(midi)
        write_json(document, folder / f"{line.id}.json")
    except Exception as error:
        return Outcome(line, fault=_fault(error))
    return Outcome(line, document)


def _fingerprint(request: ComposeRequest, versions: Mapping[str, str]) -> str:
    """SHA-256 of all that decides a piece."""
    decided = [request.to_fields(), vars(request.sampling()), vars(request.ranking()), dict(versions)]
    digest = hashlib.sha256(json.dumps(decided, sort_keys=True, default=str).encode())
    for kind in FILES:
        file = getattr(request, kind)
        if file is not None and Path(file).is_file():
            with Path(file).open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
