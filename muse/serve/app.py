"""The service as a web application: an address for each task.

What every request passes is in :mod:`muse.serve.door`, who waits in :mod:`muse.serve.jobs`, the work itself in
:mod:`muse.serve.work`. Requests and their descriptions come from :mod:`muse.tasks.request` alone.

Conventions
-----------
faults
    ``{"error": one line, "request_id": id}``: 400 no text, 401 without a key, 413 too large, 422 what was asked for is
    not legal, 501 a format that needs an extra, 503 with ``Retry-After`` when too many wait or a process died, 504 too
    long.
events
    ``POST /compose/stream`` answers with server-sent events: ``understood`` (intent, evidence), ``progress`` (share,
    0..1), ``bar`` (a bar of a candidate, with its chords and notes) as soon as it is written, then ``piece`` (the
    document of ``/compose``) or ``fault``.

Contents: :func:`create_app`, :func:`serve`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final

import uvicorn
from fastapi import Body, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from muse import __version__
from muse.errors import InputError, MissingExtraError, MuseError, unknown
from muse.serve.door import Door, fault
from muse.serve.jobs import Jobs, OverdueError
from muse.serve.keys import Keys
from muse.serve.metrics import Metrics
from muse.serve.schemas import Fault, body_of, request_of
from muse.serve.work import Analyze, Answer, Compose, Recognize, Task, Transcribe, Understand
from muse.tasks.formats import ENDINGS, formats
from muse.tasks.limits import MAX_SECONDS, MAX_UPLOAD_BYTES, MAX_WAITING, N_BATCH, check_request
from muse.tasks.processes import DiedError
from muse.tasks.request import PROMPTS, ComposeRequest

__all__ = ["create_app", "serve"]

log = logging.getLogger(__name__)

_HEARTBEAT_SEC: Final = 10.0
"""Between two signs of life in a stream, at most."""
_GRACE_SEC: Final = 30
"""For requests to end when the service is stopped."""
_LEFT: Final = 499
"""Status in the log of a request whose client did not wait; nobody receives it."""

_FORMAT: Final = Query(
    description="What to send back; json holds the MIDI file as base64.", json_schema_extra={"enum": list(ENDINGS)}
)
_Composition = body_of(ComposeRequest, "ComposeRequest")
_Prompts = body_of(ComposeRequest, "PromptsRequest", only=PROMPTS)
_FAULTS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": Fault, "description": text}
    for status, text in {
        400: "No JSON.", 401: "No key.", 408: "The body did not come.", 413: "Too large.", 422: "Not legal.",
        503: "Too many wait, or the process died.", 504: "Took too long.",
    }.items()
}  # fmt: skip
_PIECE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {media: {} for media in ENDINGS.values()}, "description": "The piece, in the format asked for."},
    501: {"model": Fault, "description": "A format that needs an extra."},
}
_NOTES_FORMATS: Final = ("json", "mid")
_NOTES_FORMAT: Final = Query(
    description="What to send back; json holds the MIDI file as base64.", json_schema_extra={"enum": [*_NOTES_FORMATS]}
)
_NOTES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "content": {ENDINGS[name]: {} for name in _NOTES_FORMATS},
        "description": "The notes, as asked for.",
    }
}
_FILE: Final = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


def create_app(
    *,
    n_workers: int | None = None,
    n_batch: int = N_BATCH,
    max_waiting: int = MAX_WAITING,
    seconds: float = MAX_SECONDS,
    keys: Keys | None = None,
) -> FastAPI:
    """The service, ready to be served.

    Parameters
    ----------
    n_workers
        Processes that do the work; default: one for each core.
    n_batch
        Requests that each of them works on at once.
    max_waiting
        Further ones that may wait; those after them are answered with 503.
    seconds
        Work that takes longer is stopped.
    keys
        Who may ask; None lets everybody.
    """
    jobs = Jobs(n_workers or os.cpu_count() or 1, n_batch, max_waiting, seconds)
    metrics = Metrics(jobs)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        jobs.start()
        yield
        jobs.close()

    app = FastAPI(
        title="Muse", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None, responses=_FAULTS,
        description="Music for an emotion, and the emotion of music.",
    )  # fmt: skip
    app.state.jobs = jobs
    _add_tasks(app, jobs)
    _add_signs(app, jobs, metrics)
    _add_faults(app)
    paths = [path for route in app.routes if (path := getattr(route, "path", None))]
    app.add_middleware(Door, jobs=jobs, metrics=metrics, keys=keys, paths=paths)
    return app


def _add_tasks(app: FastAPI, jobs: Jobs) -> None:
    """The addresses that do something."""

    @app.post("/compose", responses=_PIECE)
    async def compose(
        request: Request,
        body: Annotated[_Composition, Body()],  # type: ignore[valid-type]
        format: Annotated[str, _FORMAT] = "json",
    ) -> Response:
        """A piece for an emotion or for prompts."""
        if format not in ENDINGS:
            raise unknown("format", format, ENDINGS)
        if format not in formats():
            raise MissingExtraError(f"{format} cannot be written here: ask for {', '.join(formats())}")
        return await _answered(request, jobs, _composing(body, format))

    @app.post(
        "/compose/stream",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}, "description": "Server-sent events."}},
    )
    async def stream(body: Annotated[_Composition, Body()]) -> StreamingResponse:  # type: ignore[valid-type]
        """The same with every bar as it is written: `understood`, `progress`, `bar`, then `piece` or `fault`."""
        return StreamingResponse(_events(jobs, _composing(body, "json")), media_type="text/event-stream")

    @app.post("/intent")
    async def intent(request: Request, body: Annotated[_Prompts, Body()]) -> Response:  # type: ignore[valid-type]
        """What is understood of prompts, and by what evidence; composes nothing."""
        wanted, uploads = _request_of(body)
        if not wanted.prompts and not uploads:
            raise InputError(f"there is no prompt; give {', '.join(PROMPTS)}")
        return await _answered(request, jobs, Understand(wanted, uploads))

    @app.post("/analyze", openapi_extra=_FILE)
    async def analyze(request: Request) -> Response:
        """What is measured of a MIDI file, which emotion it carries, and why; of sound, what /recognize says."""
        return await _answered(request, jobs, Analyze(await _upload(request)))

    @app.post("/recognize", openapi_extra=_FILE)
    async def recognize(
        request: Request,
        dynamic: Annotated[bool, Query(description="Valence and arousal every half second too.")] = False,
    ) -> Response:
        """The emotion of sound: valence, arousal, quadrant, what listeners feel, and the key."""
        return await _answered(request, jobs, Recognize(await _upload(request), dynamic))

    @app.post("/transcribe", openapi_extra=_FILE, responses=_NOTES)
    async def transcribe(request: Request, format: Annotated[str, _NOTES_FORMAT] = "json") -> Response:
        """The notes of sound."""
        if format not in _NOTES_FORMATS:
            raise unknown("format", format, _NOTES_FORMATS)
        return await _answered(request, jobs, Transcribe(await _upload(request), format))


def _add_signs(app: FastAPI, jobs: Jobs, metrics: Metrics) -> None:
    """The addresses that tell how the service is."""

    @app.get("/health")
    async def health() -> dict[str, Any]:
        """Whether it works, and who waits."""
        alive = len(jobs.pids)
        return {
            "status": "ok" if alive else "starting", "muse": __version__, "workers": jobs.n_workers, "alive": alive,
            "batch": jobs.n_batch,
            "running": jobs.n_running, "waiting": jobs.n_waiting, "formats": formats(),
        }  # fmt: skip

    @app.get("/metrics", response_class=PlainTextResponse)
    async def counted() -> Response:
        """Counters for Prometheus."""
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)


def _add_faults(app: FastAPI) -> None:
    """Every fault has one form."""

    @app.exception_handler(RequestValidationError)
    async def illegal(request: Request, error: RequestValidationError) -> JSONResponse:
        return fault(_said(error), 422, request.state.request_id)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        return fault(str(error.detail), error.status_code, request.state.request_id, dict(error.headers or {}))

    @app.exception_handler(MuseError)
    async def wrong(request: Request, error: MuseError) -> JSONResponse:
        status = _status(error)
        headers = {"Retry-After": "1"} if status == 503 else None
        return fault(str(error), status, request.state.request_id, headers)


def _status(error: MuseError) -> int:
    """The HTTP status of an error."""
    for kind, status in ((DiedError, 503), (OverdueError, 504), (MissingExtraError, 501)):
        if isinstance(error, kind):
            return status
    return 422


def _said(error: RequestValidationError) -> str:
    """All that is wrong with a body or a query, in one line."""
    faults = []
    for one in error.errors():
        place = [str(part) for part in one["loc"] if part not in ("body", "query")]
        if one["type"] == "json_invalid":
            faults.append("the body is no JSON")
        elif one["type"] == "model_attributes_type":
            faults.append("the body is no JSON object: send one, with the header Content-Type: application/json")
        elif one["type"] == "extra_forbidden" and len(place) == 1:
            faults.append(str(unknown("field", place[0], ComposeRequest.__dataclass_fields__)))
        else:
            faults.append(f"{'.'.join(place) or 'the body'}: {one['msg']}")
    return "; ".join(faults)


def _request_of(body: Any) -> tuple[ComposeRequest, dict[str, bytes]]:
    wanted, uploads = request_of(body)
    check_request(wanted)
    return wanted, uploads


def _composing(body: Any, ending: str) -> Compose:
    return Compose(*_request_of(body), ending)


async def _upload(request: Request) -> bytes:
    data = await request.body()
    if len(data) > MAX_UPLOAD_BYTES:
        most = MAX_UPLOAD_BYTES / 1e6
        raise HTTPException(413, f"the file has {len(data) / 1e6:.0f} MB, at most {most:.0f} are taken")
    return data


async def _answered(request: Request, jobs: Jobs, task: Task) -> Response:
    """The answer to a task; the work is stopped when the client leaves."""
    work, left = asyncio.create_task(jobs.run(task)), asyncio.create_task(_left(request))
    try:
        await asyncio.wait({work, left}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            return Response(status_code=_LEFT)
        answer = work.result()
    finally:
        work.cancel()
        left.cancel()
    headers = {} if answer.seed is None else {"X-Muse-Seed": str(answer.seed)}
    return Response(answer.body, media_type=answer.media_type, headers=headers)


async def _left(request: Request) -> None:
    """Returns when the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _events(jobs: Jobs, task: Task) -> AsyncIterator[bytes]:
    """Server-sent events of a task."""
    words: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
    work: asyncio.Task[Answer] = asyncio.create_task(jobs.run(task, words.put_nowait))
    work.add_done_callback(lambda _: words.put_nowait(None))
    try:
        while True:
            try:
                word = await asyncio.wait_for(words.get(), _HEARTBEAT_SEC)
            except TimeoutError:
                yield b": waiting\n\n"
                continue
            if word is None:
                break
            yield _event(word["event"], json.dumps({name: value for name, value in word.items() if name != "event"}))
        try:
            yield _event("piece", work.result().body.decode())
        except MuseError as error:
            yield _event("fault", json.dumps({"error": " ".join(str(error).split()), "status": _status(error)}))
        except Exception as error:
            log.error("a stream failed", exc_info=error)
            yield _event("fault", json.dumps({"error": "this failed, and it is our fault", "status": 500}))
    finally:
        work.cancel()


def _event(name: str, data: str) -> bytes:
    return f"event: {name}\ndata: {data}\n\n".encode()


def serve(
    host: str,
    port: int,
    *,
    n_workers: int | None = None,
    n_batch: int = N_BATCH,
    max_waiting: int = MAX_WAITING,
    keys: Keys | None = None,
) -> None:
    """Serve until it is interrupted; requests are logged on stderr.

    Parameters
    ----------
    host, port
        Where to listen; ``127.0.0.1`` is this machine alone.
    n_workers, n_batch, max_waiting, keys
        As in :func:`create_app`.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    app = create_app(n_workers=n_workers, n_batch=n_batch, max_waiting=max_waiting, keys=keys)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.run(
            app, host=host, port=port, log_config=None, access_log=False, server_header=False,
            timeout_graceful_shutdown=_GRACE_SEC,
        )  # fmt: skip
