"""Processes that work for many who ask at once: one that dies, or is killed, takes its own work along and no other.

Conventions
-----------
function
    Stands at the top of a module and is called in a process as ``function(task, tell)``, where a process does several
    tasks at once by several threads. What it needs for every task, models for example, it keeps to itself. Tasks, words
    and results go through a pipe between our own processes.
word
    What `tell` is given: how far the work is, what was understood. `tell` raises there where the work shall stop. Work
    that tells nothing is stopped by killing its process, as soon as nothing else is done there.
listener
    Called in the thread that asked, with each word, and with None where nothing was said for a moment. What it raises
    stops the work.

Contents: :class:`Processes`, :class:`DiedError`.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import multiprocessing as mp
import os
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
"""For work that is stopped to end; then its process is killed, or left to the others that work there."""
_ENDS: Final = ("done", "failed", "stopped", "died")
_DIED: Final = "the process that worked on this request has died: ask again"


class DiedError(MuseError):
    """The process that did the work has died, or all were closed; work in other processes goes on."""


class _Stopped(BaseException):
    """Raised in a process by `tell`, when the work shall stop; no ``except Exception`` may hold it up."""


class _Process:
    """A process, our end of its pipe, and those who wait for what it says."""

    def __init__(self, function: Callable[[Any, Tell], Any], prepare: Callable[[], None] | None) -> None:
        # Not by fork: it would copy whatever locks other threads of this process hold.
        context = mp.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_live, args=(theirs, function, prepare), daemon=True)
        with one_thread_each():
            self._process.start()
        theirs.close()
        self._lock, self._waiting = threading.Lock(), threading.Lock()
        self._said: dict[int, queue.SimpleQueue[tuple[str, Any]]] = {}
        self._numbers = itertools.count()
        self.is_leaving = False
        """It holds work that does not stop: it gets no more, and ends with the rest of what it has."""
        self.is_counted = False
        """Its death is."""
        threading.Thread(target=self._read, name="read", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    @property
    def n_tasks(self) -> int:
        return len(self._said)

    def lives(self) -> bool:
        with self._waiting:
            return self._process.is_alive()

    def end(self) -> None:
        self._process.kill()  # which ends the pipe, and the thread that reads it
        self._join()

    def _join(self) -> None:
        with self._waiting:  # only one thread may hear from the system that it has died
            self._process.join()

    def enter(self) -> int:
        """A number for a task, which counts as one of the process's from here on."""
        with self._lock:
            number = next(self._numbers)
            self._said[number] = queue.SimpleQueue()
        return number

    def leave(self, number: int) -> None:
        """A task is none of the process's any more."""
        with self._lock:
            del self._said[number]

    def send(self, what: str, number: int, task: Any = None) -> None:
        with self._lock, contextlib.suppress(OSError):  # a process that has died is heard of
            self._pipe.send((what, number, task))

    def heard(self, number: int, seconds: float) -> tuple[str, Any]:
        """What is said of a task next; a word of None where nothing is for so long."""
        try:
            return self._said[number].get(timeout=max(seconds, 0.0))
        except queue.Empty:
            return "word", None

    def stop(self, number: int) -> bool:
        """Have a task stopped; whether it was."""
        until = time.monotonic() + _GRACE_SEC
        self.send("stop", number)
        while (left := until - time.monotonic()) > 0:
            if self.heard(number, left)[0] in _ENDS:
                return True
        return False

    def _read(self) -> None:
        """Hand on what the process says, until it has died."""
        with contextlib.suppress(EOFError, OSError):
            while True:
                kind, number, value = self._pipe.recv()
                with self._lock:
                    listening = self._said.get(number)
                if listening is not None:
                    listening.put((kind, value))
        self._join()
        with self._lock:
            self._pipe.close()
            for listening in self._said.values():
                listening.put(("died", None))


class Processes(Generic[T, R]):
    """Processes that apply a function to tasks; safe to share by threads. Close them, or use them as a context manager.

    Parameters
    ----------
    n
        Processes.
    function
        ``function(task, tell) -> result``, see the module's conventions.
    prepare
        Called once in each process before its first task, to load what every task needs.
    n_each
        Tasks that a process works on at once, by a thread each; with as many in every process, further ones wait.
    """

    def __init__(
        self,
        n: int,
        function: Callable[[T, Tell], R],
        *,
        prepare: Callable[[], None] | None = None,
        n_each: int = 1,
    ) -> None:
        self._n, self._n_each, self._function, self._prepare = n, n_each, function, prepare
        self._lock = threading.Lock()
        self._closed = False
        self._processes: list[_Process] = []
        self._places = threading.Semaphore(n * n_each)
        self.n_died = 0
        """Processes that died over their work so far."""

    def __enter__(self) -> Processes[T, R]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start all processes now, so that the first tasks need not wait for the models."""
        with self._lock:
            self._fill(self._n)

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
        while not self._places.acquire(timeout=_TICK_SEC):
            listener(None)
        try:
            process, number = self._entered()
            try:
                return self._followed(process, number, task, listener)
            finally:
                process.leave(number)
                self._settle(process)
        finally:
            self._places.release()

    def _entered(self) -> tuple[_Process, int]:
        """The process that shall do a task: one that is idle, a new one, or the one that does least."""
        with self._lock:
            if self._closed:
                raise DiedError("this is being closed: ask again in a while")
            working = self._working()
            if not any(process.n_tasks == 0 for process in working):
                self._fill(min(len(working) + 1, self._n))
            process = min(self._working(), key=lambda one: one.n_tasks)
            return process, process.enter()

    def _working(self) -> list[_Process]:
        return [process for process in self._processes if process.lives() and not process.is_leaving]

    def _fill(self, n: int) -> None:
        """Have at least so many processes that take tasks."""
        self._processes = [process for process in self._processes if process.lives()]
        while len(self._working()) < n:
            self._processes.append(_Process(self._function, self._prepare))

    def _settle(self, process: _Process) -> None:
        """End a process that is leaving and has nothing else to do; and have another in the place of one that died: the
        next task need not wait for its start."""
        if process.is_leaving and process.n_tasks == 0:
            process.end()
        if process.lives():
            return
        with self._lock, contextlib.suppress(OSError):
            if not (process.is_counted or self._closed):  # by another of its tasks
                process.is_counted = True
                self.n_died += 1
                self._fill(min(len(self._working()) + 1, self._n))

    def _followed(self, process: _Process, number: int, task: T, listener: Listener) -> R:
        has_ended = False
        try:
            process.send("do", number, task)
            while True:
                kind, value = process.heard(number, _TICK_SEC)
                has_ended = kind in _ENDS
                if kind == "done":
                    return value
                if kind == "failed":
                    raise value
                if kind == "died":
                    raise DiedError(_DIED)
                listener(value)
        except BaseException:
            if not has_ended and not process.stop(number):
                process.is_leaving = True
            raise


# ------------------------------------------------------------------------------------------------------ in the process


def _live(pipe: Connection, function: Callable[[Any, Tell], Any], prepare: Callable[[], None] | None) -> None:
    """Life of a process: tasks in, words and results out, until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started us
    limit_memory()
    if prepare is not None:
        with contextlib.suppress(MuseError):  # told to those who ask
            prepare()
    work: dict[int, _Work] = {}
    sending = threading.Lock()

    def say(kind: str, number: int, value: Any) -> None:
        with sending, contextlib.suppress(OSError):  # whoever asked has gone, which ends this process
            pipe.send((kind, number, value))

    def do(number: int, task: Any) -> None:
        kind, value = work[number].answer(function, task)
        try:
            say(kind, number, value)
        except Exception as fault:  # it cannot be pickled
            log.exception("an answer was lost")
            say("failed", number, RuntimeError(f"{type(fault).__name__}: {fault}"))
        finally:
            del work[number]

    with contextlib.suppress(EOFError, OSError):
        while True:
            what, number, task = pipe.recv()
            if what == "do":
                work[number] = _Work(number, say)
                threading.Thread(target=do, args=(number, task), name=f"task {number}").start()
            elif number in work:  # else a stop that came too late
                work[number].is_stopped = True
    for one in list(work.values()):
        one.is_stopped = True
    until = time.monotonic() + _GRACE_SEC
    while work and time.monotonic() < until:
        time.sleep(0.01)
    os._exit(0)  # whatever threads still do, nobody waits for it


class _Work:
    """A task in its process."""

    def __init__(self, number: int, say: Callable[[str, int, Any], None]) -> None:
        self._number, self._say = number, say
        self.is_stopped = False

    def _tell(self, word: Any) -> None:
        if self.is_stopped:
            raise _Stopped
        if word is not None:
            self._say("word", self._number, word)

    def answer(self, function: Callable[[Any, Tell], Any], task: Any) -> tuple[str, Any]:
        """How it ended, and with what."""
        try:
            return "done", function(task, self._tell)
        except _Stopped:
            return "stopped", None
        except MuseError as fault:
            return "failed", fault
        except BaseException as fault:  # whatever it is, somebody waits
            log.exception("a task failed")
            return "failed", RuntimeError(f"{type(fault).__name__}: {fault}")
