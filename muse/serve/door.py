"""The door of the service: what every request passes, whatever it asks for.

In this order: a request id is given, the key is looked at, a place is taken, and the body is let in up to its
limit. All but the last happens before any of the body is read; of a request that is refused, a small body is read.

Conventions
-----------
request id
    ``X-Request-ID`` of the request where it is short and plain, else one of ours; it comes back with the answer and
    stands in the log and in every fault.
fault
    ``{"error": one line, "request_id": id}``.

Contents: :class:`Door`, :func:`fault`, :data:`OPEN_PATHS`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
import uuid
from collections.abc import Collection
from typing import Any, Final

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from muse.serve.jobs import Jobs
from muse.serve.keys import Keys
from muse.serve.metrics import Metrics

__all__ = ["MAX_BODY_BYTES", "OPEN_PATHS", "Door", "fault"]

log = logging.getLogger(__name__)

OPEN_PATHS: Final = ("/health",)
"""Paths that need no key."""
MAX_BODY_BYTES: Final = 28_000_000
"""A file of 20 MB as base64, and the rest of the request."""
_BODY_SEC: Final = 60.0
"""For the whole of a body to arrive: a place is not for those who send a byte now and then."""
_DRAINED_BYTES, _DRAINED_SEC = 65_536, 5.0
_ID: Final = re.compile(r"[\w.-]{1,64}", re.ASCII)


def fault(text: str, status: int, request_id: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """An answer that says what went wrong."""
    return JSONResponse({"error": " ".join(text.split()), "request_id": request_id}, status, headers)


class Door:
    """ASGI middleware; see the module.

    Parameters
    ----------
    app
        What is behind it.
    jobs
        Whose places are taken.
    metrics
        Where requests are counted.
    keys
        Who may ask; None lets everybody in.
    paths
        Those that the service has.
    """

    def __init__(
        self, app: ASGIApp, *, jobs: Jobs, metrics: Metrics, keys: Keys | None, paths: Collection[str]
    ) -> None:
        self._app, self._jobs, self._metrics, self._keys, self._paths = app, jobs, metrics, keys, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or send it away."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, headers = time.monotonic(), Headers(scope=scope)
        asked = headers.get("x-request-id", "")
        request_id = asked if _ID.fullmatch(asked) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                extra = MutableHeaders(scope=message)
                extra["X-Request-ID"] = request_id
                extra["X-Content-Type-Options"] = "nosniff"
                extra["Cache-Control"] = "no-store"
            await send(message)

        try:
            await self._pass(scope, receive, answer, headers, request_id)
        except Exception:
            log.exception("%s failed", request_id)
            if status:  # the answer has begun: all that is left is to break it off
                raise
            await fault("this failed, and it is our fault", 500, request_id)(scope, receive, answer)
        finally:
            seconds = time.monotonic() - started
            path = scope["path"] if scope["path"] in self._paths else "other"
            self._metrics.answered(path, status, seconds)
            if path not in OPEN_PATHS:
                log.info("%s %s %s %d %.3f s", request_id, scope["method"], path, status, seconds)

    async def _pass(self, scope: Scope, receive: Receive, send: Send, headers: Headers, request_id: str) -> None:
        if self._keys and scope["path"] not in OPEN_PATHS and not self._keys.allow(headers.get("authorization", "")):
            wrong = fault(
                "this service needs a key: send the header Authorization: Bearer KEY", 401, request_id,
                {"WWW-Authenticate": "Bearer"},
            )  # fmt: skip
            await _drain(receive, headers)
            await wrong(scope, receive, send)
            return
        if scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > MAX_BODY_BYTES:
            await _too_large(request_id)(scope, receive, send)
            return
        if self._jobs.is_full:
            seconds = self._jobs.retry_after_sec
            full = fault(
                f"too many requests are waiting: ask again in {seconds} s", 503, request_id,
                {"Retry-After": str(seconds)},
            )  # fmt: skip
            await _drain(receive, headers)
            await full(scope, receive, send)
            return
        self._jobs.n_places_taken += 1
        try:
            await self._app(scope, _bounded(receive), send)
        finally:
            self._jobs.n_places_taken -= 1


async def _drain(receive: Receive, headers: Headers) -> None:
    """Read the body of a small request that is refused: were the connection closed on it, the answer could be lost."""
    length = headers.get("content-length", "")
    if length.isdecimal() and 0 < int(length) <= _DRAINED_BYTES:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAINED_SEC):
                while (await receive()).get("more_body", False):
                    pass


def _too_large(request_id: str) -> JSONResponse:
    return fault(_TOO_LARGE, 413, request_id)


_TOO_LARGE: Final = f"the request has more than {MAX_BODY_BYTES / 1e6:.0f} MB: send less"


def _bounded(receive: Receive) -> Receive:
    """The same body, up to its limit in bytes and in time."""
    n_bytes, is_whole, until = 0, False, time.monotonic() + _BODY_SEC

    async def bounded() -> dict[str, Any]:
        nonlocal n_bytes, is_whole
        if is_whole:  # what comes now is that the client has left
            return dict(await receive())
        try:
            message = await asyncio.wait_for(receive(), max(until - time.monotonic(), 0.0))
        except TimeoutError:
            raise HTTPException(408, f"the request did not come within {_BODY_SEC:g} s") from None
        n_bytes += len(message.get("body", b""))
        if n_bytes > MAX_BODY_BYTES:
            raise HTTPException(413, _TOO_LARGE)
        is_whole = not message.get("more_body", False)
        return dict(message)

    return bounded
