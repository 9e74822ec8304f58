"""Processes that work for many who ask at once: one that dies, or is killed, takes its own work along and no other.

Conventions
-----------
function
    Stands at the top of a module and is called in a process as ``function(task, tell)``. What it needs for every task,
    models for example, it keeps to itself. Tasks, words and results go through a pipe between our own processes.
word
    What `tell` is given: how far the work is, what was understood. `tell` raises there where the work shall stop, so a
    function that tells nothing is stopped by killing its process.
listener
    Called in the thread that asked, with each word, and with None where nothing was said for a moment. What it raises
    stops the work.

Contents: :class:`Processes`, :class:`DiedError`.
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
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from muse.engines.processes import limit_memory, one_thread_each
from muse.errors import MuseError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

__all__ = ["DiedError", "Listener", "Processes", "Tell"]

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")
Tell = Callable[[Any], None]
Listener = Callable[[Any], None]

_TICK_SEC: Final = 0.1
"""A listener is called at least so often."""
_GRACE_SEC: Final = 3.0
"""For a process to end work that is stopped; then it is killed."""
_DIED: Final = "the process that worked on this request has died; this request alone is lost: ask again"


class DiedError(MuseError):
    """The process that did the work has died, or all were closed; no other work is lost."""


class _Stopped(BaseException):
    """Raised in a process by `tell`, when the work shall stop; no ``except Exception`` may hold it up."""


class _Process:
    """A process and our end of its pipe."""

    def __init__(self, function: Callable[[Any, Tell], Any], prepare: Callable[[], None] | None) -> None:
        # Not by fork: it would copy whatever locks other threads of this process hold.
        context = mp.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_live, args=(theirs, function, prepare), daemon=True)
        with one_thread_each():
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
        """End its work, or the process where that does not help."""
        until = time.monotonic() + _GRACE_SEC
        with contextlib.suppress(EOFError, OSError):
            self.pipe.send(None)
            while self.pipe.poll(max(0.0, until - time.monotonic())):
                if self.pipe.recv()[0] != "word":
                    return
        self.end()


class Processes(Generic[T, R]):
    """Processes that apply a function to tasks; safe to share by threads. Close them, or use them as a context manager.

    Parameters
    ----------
    n
        Tasks that are worked on at once; further ones wait.
    function
        ``function(task, tell) -> result``, see the module's conventions.
    prepare
        Called once in each process before its first task, to load what every task needs.
    """

    def __init__(self, n: int, function: Callable[[T, Tell], R], *, prepare: Callable[[], None] | None = None) -> None:
        self._function, self._prepare = function, prepare
        self._lock = threading.Lock()
        self._closed = False
        self._processes: list[_Process] = []
        # Last in, first out, so that a process which lives is taken before one has to be started.
        self._idle: queue.LifoQueue[_Process | None] = queue.LifoQueue()
        for _ in range(n):
            self._idle.put(None)
        self.n_died = 0
        """Processes that died over their work so far."""

    def __enter__(self) -> Processes[T, R]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start all processes now, so that the first tasks need not wait for the models."""
        taken = []
        with contextlib.suppress(queue.Empty):
            while True:
                taken.append(self._idle.get_nowait())
        for process in taken:
            self._idle.put(process or self._started())

    def close(self) -> None:
        """End all processes; what is worked on ends with :class:`DiedError`."""
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

    def run(self, task: T, listener: Listener = lambda _: None) -> R:
        """What the function makes of a task.

        Raises
        ------
        DiedError
            The process has died.
        Exception
            What the function raised, where it is Muse's own; ``RuntimeError`` for any other. Or what `listener` raised.
        """
        process = self._taken(listener)
        try:
            if process is None or not process.lives():
                process = self._started()
            return self._followed(process, task, listener)
        finally:
            self._idle.put(self._renewed(process))

    def _taken(self, listener: Listener) -> _Process | None:
        while True:
            with contextlib.suppress(queue.Empty):
                return self._idle.get(timeout=_TICK_SEC)
            listener(None)

    def _started(self) -> _Process:
        with self._lock:
            if self._closed:
                raise DiedError("this is being closed: ask again in a while")
            self._processes = [process for process in self._processes if process.lives()]
            self._processes.append(_Process(self._function, self._prepare))
            return self._processes[-1]

    def _renewed(self, process: _Process | None) -> _Process | None:
        """The process, or another in the place of one that died: the next task need not wait for its start."""
        if process is None or process.lives():
            return process
        self.n_died += 1
        with contextlib.suppress(DiedError, OSError):
            return self._started()
        return None

    def _followed(self, process: _Process, task: T, listener: Listener) -> R:
        has_answered = False
        try:
            try:
                process.pipe.send(task)
            except OSError:
                raise DiedError(_DIED) from None
            while True:
                kind, value = _heard(process)
                has_answered = kind in ("done", "failed")
                if kind == "done":
                    return value
                if kind == "failed":
                    raise value
                listener(value)
        except DiedError:
            process.end()
            raise
        except BaseException:
            if not has_answered:
                process.stop()
            raise


def _heard(process: _Process) -> tuple[str, Any]:
    """What a process says next; a word of None where it says nothing for a moment."""
    try:
        return process.pipe.recv() if process.pipe.poll(_TICK_SEC) else ("word", None)
    except (EOFError, OSError):
        raise DiedError(_DIED) from None


# ------------------------------------------------------------------------------------------------------ in the process


def _live(pipe: Connection, function: Callable[[Any, Tell], Any], prepare: Callable[[], None] | None) -> None:
    """Life of a process: tasks in, words and results out, until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started us
    limit_memory()
    if prepare is not None:
        with contextlib.suppress(MuseError):  # told to those who ask
            prepare()
    with contextlib.suppress(EOFError, OSError):
        while True:
            task = pipe.recv()
            if task is not None:  # None is a stop that came too late
                pipe.send(_answer(pipe, function, task))


def _answer(pipe: Connection, function: Callable[[Any, Tell], Any], task: Any) -> tuple[str, Any]:
    def tell(word: Any) -> None:
        try:
            if pipe.poll():
                pipe.recv()
                raise _Stopped
            pipe.send(("word", word))
        except (EOFError, OSError):  # whoever asked has gone
            raise SystemExit from None

    try:
        return "done", function(task, tell)
    except _Stopped:
        return "stopped", None
    except MuseError as fault:
        return "failed", fault
    except Exception as fault:
        log.exception("a task failed")
        return "failed", RuntimeError(f"{type(fault).__name__}: {fault}")
