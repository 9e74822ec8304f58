"""Composing in processes of their own: one that dies, or has to be killed, takes its request along and nothing else.

Conventions
-----------
process
    Loads the models once, then does one request at a time. One that has died is replaced when the next request comes.
callback
    Called in the thread that asked; what it raises stops the request. `progress` is called several times a second,
    also while nothing has moved.

Contents: :class:`Workers`, :class:`DiedError`.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing as mp
import queue
import signal
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from muse.errors import MuseError
from muse.tasks.compose import compose

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from muse.composer import Composer, Composition
    from muse.intent import Intent
    from muse.prompts import Parsed
    from muse.tasks.request import ComposeRequest

__all__ = ["DiedError", "Workers"]

log = logging.getLogger(__name__)

_TICK_SEC: Final = 0.1
"""Between two calls of `progress`, at most."""
_GRACE_SEC: Final = 5.0
"""For a process to end a request that is stopped; then it is killed."""
_SHARE_SEC: Final = 0.05
"""Between two words on how far a request is."""


class DiedError(MuseError):
    """The process that worked on a request has died; no other request is lost."""


class _Stopped(Exception):  # noqa: N818  (no error: somebody asked for it)
    """Raised within a process, from note to note, when its request is stopped."""


class _Process:
    """A process and our end of its pipe."""

    def __init__(self) -> None:
        # Not by fork: it would copy whatever locks other threads of this process hold.
        context = mp.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True, name="muse-compose")
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    def lives(self) -> bool:
        return self._process.is_alive()

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self.pipe.close()

    def stop(self) -> None:
        """End its request, or the process where that does not help."""
        until = time.monotonic() + _GRACE_SEC
        with contextlib.suppress(EOFError, OSError):
            self.pipe.send(None)
            while self.pipe.poll(max(0.0, until - time.monotonic())):
                if self.pipe.recv()[0] in ("made", "failed", "stopped"):
                    return
        self.end()


class Workers:
    """Processes that compose; safe to share by threads. Close them, or use it as a context manager.

    Parameters
    ----------
    n
        Requests that are worked on at once; further ones wait.
    """

    def __init__(self, n: int = 1) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self._processes: list[_Process] = []
        # Last in, first out, so that a process which lives is taken before one has to be started.
        self._idle: queue.LifoQueue[_Process | None] = queue.LifoQueue()
        for _ in range(n):
            self._idle.put(None)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start all processes now, so that the first requests need not wait for the models."""
        taken = []
        with contextlib.suppress(queue.Empty):
            while True:
                taken.append(self._idle.get_nowait())
        for process in taken:
            self._idle.put(process or self._started())

    def close(self) -> None:
        """End all processes; requests that are worked on end with :class:`DiedError`."""
        with self._lock:
            self._closed = True
            processes, self._processes = self._processes, []
        for process in processes:
            process.end()

    @property
    def pids(self) -> list[int]:
        """Numbers of the processes that live."""
        with self._lock:
            return [process.pid for process in self._processes if process.lives()]

    def compose(
        self,
        request: ComposeRequest,
        *,
        understood: Callable[[Parsed | None, Intent], None] = lambda *_: None,
        progress: Callable[[float], None] = lambda _: None,
    ) -> Composition:
        """Compose what a request asks for, as :func:`muse.tasks.compose` does.

        Parameters
        ----------
        understood
            Called with what :meth:`~muse.tasks.request.ComposeRequest.understood` gave, before a note is written.
        progress
            Called with the share done, 0..1.

        Raises
        ------
        DiedError
            The process has died.
        MuseError
            As :func:`muse.tasks.compose`.
        """
        process = self._taken(progress)
        try:
            if process is None or not process.lives():
                process = self._started()
            return self._followed(process, request, understood, progress)
        finally:
            self._idle.put(process)

    def _taken(self, progress: Callable[[float], None]) -> _Process | None:
        while True:
            with contextlib.suppress(queue.Empty):
                return self._idle.get(timeout=_TICK_SEC)
            progress(0.0)

    def _started(self) -> _Process:
        with self._lock:
            if self._closed:
                raise DiedError("the processes that compose were closed")
            self._processes = [process for process in self._processes if process.lives()]
            self._processes.append(_Process())
            return self._processes[-1]

    def _followed(
        self,
        process: _Process,
        request: ComposeRequest,
        understood: Callable[[Parsed | None, Intent], None],
        progress: Callable[[float], None],
    ) -> Composition:
        share = 0.0
        process_answers = False
        try:
            _told(process, request)
            while True:
                kind, value = _heard(process)
                if kind == "understood":
                    understood(*value)
                elif kind == "share":
                    share = value
                process_answers = kind in ("made", "failed")
                if kind == "made":
                    return value
                if kind == "failed":
                    raise value
                progress(share)
        except DiedError:
            process.end()
            raise
        except BaseException:
            if not process_answers:
                process.stop()
            raise


_DIED: Final = "the process that wrote this piece has died; this piece alone is lost: ask for it again"


def _told(process: _Process, request: ComposeRequest) -> None:
    try:
        process.pipe.send(request)
    except OSError:
        raise DiedError(_DIED) from None


def _heard(process: _Process) -> tuple[str, Any]:
    """The next word of a process; ``waiting`` where there is none for a moment."""
    try:
        return process.pipe.recv() if process.pipe.poll(_TICK_SEC) else ("waiting", None)
    except (EOFError, OSError):
        raise DiedError(_DIED) from None


# ------------------------------------------------------------------------------------------------------ in the process


def _serve(pipe: Connection) -> None:
    """Life of a process: requests in, words on them out, until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started us
    with contextlib.suppress(MuseError):  # told to those who ask for music
        _composer()
    with contextlib.suppress(EOFError, OSError):
        while True:
            request = pipe.recv()
            if request is not None:  # None is a stop that came too late
                pipe.send(_answer(request, pipe))


@cache
def _composer() -> Composer:
    from muse.composer import Composer

    return Composer.from_pretrained()


def _answer(request: ComposeRequest, pipe: Connection) -> tuple[str, Any]:
    spoke = 0.0

    def progress(share: float) -> None:
        nonlocal spoke
        if pipe.poll():
            pipe.recv()
            raise _Stopped
        if (now := time.monotonic()) - spoke > _SHARE_SEC:
            pipe.send(("share", share))
            spoke = now

    try:
        parsed, intent = request.understood()
        pipe.send(("understood", (parsed, intent)))
        return "made", compose(request, _composer(), intent=intent, progress=progress)
    except _Stopped:
        return "stopped", None
    except MuseError as fault:
        return "failed", fault
    except (EOFError, OSError):
        raise  # whoever asked has gone
    except Exception as fault:
        log.exception("a composition failed")
        return "failed", RuntimeError(f"{type(fault).__name__}: {fault}")
