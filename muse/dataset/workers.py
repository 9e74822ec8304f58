"""Worker processes that may die of a task without taking the others along.

A pool of the standard library ends, or hangs, when one of its processes is killed. Here every process does one task at
a time over its own pipe; one that crashes or takes too long is replaced, and its task tried once more before it is
given up.

Why not pebble (5.2 was tried on crashes, hangs and segmentation faults): it isolates them as well, but counts the start
of a new process against its task, so on a busy machine the song after a crash was given up for the time that imports
took; it draws all tasks at once, does not try again, and a process that hangs outlives a build that was killed.

Conventions
-----------
task, result
    Anything that can be sent through a pipe between our own processes.
limits
    Each process has :data:`MEMORY_LIMIT_BYTES` for its data and one thread for numerics.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing as mp
import multiprocessing.connection as mpc
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from muse.errors import MuseError

__all__ = ["MEMORY_LIMIT_BYTES", "TOO_BIG", "Died", "Workers", "limit_memory", "one_thread_each"]

MEMORY_LIMIT_BYTES = 4 << 30
"""Data of one process; the largest real file that we know needs a tenth of it."""

TOO_BIG = f"needs more than {MEMORY_LIMIT_BYTES >> 30} GB of memory"

_MAX_FAILED_STARTS = 3

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Died:
    """In place of a result: no process survived the task."""

    reason: str


@dataclass
class _Worker:
    process: Any
    pipe: Any
    ready: bool = False
    task: int | None = None
    deadline: float = math.inf


class Workers(Generic[T, R]):
    """Processes that apply a function to tasks. Use it as a context manager.

    Parameters
    ----------
    n
        Number of processes; they start when there is work for them.
    function
        ``function(task) -> result``; defined at the top of a module, so that a new process finds it.
    timeout_sec
        Time for one task.
    """

    def __init__(self, n: int, function: Callable[[T], R], *, timeout_sec: float) -> None:
        # Not by fork: it would copy whatever locks other threads of this process hold.
        self._context = mp.get_context("spawn")
        self._n = n
        self._function = function
        self._timeout_sec = timeout_sec
        self._workers: list[_Worker] = []
        self._failed_starts = 0

    def __enter__(self) -> Workers[T, R]:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in list(self._workers):
            self._end(worker)

    def run(self, tasks: Iterable[tuple[int, T]]) -> Iterator[tuple[int, R | Died]]:
        """Results in the order in which they come, each with the number of its task.

        Tasks are drawn as processes become free, so a long iterable costs no memory.

        Raises
        ------
        MuseError
            Processes cannot be started at all.
        """
        waiting = iter(tasks)
        upcoming = next(waiting, None)
        again: list[tuple[int, T]] = []
        running: dict[int, T] = {}
        tried: set[int] = set()
        while upcoming is not None or again or running:
            while len(self._workers) < min(self._n, len(running) + len(again) + (upcoming is not None)):
                self._start()
            for worker in self._workers:
                if not worker.ready or worker.task is not None:
                    continue
                if again:
                    number, task = again.pop()
                elif upcoming is not None:
                    (number, task), upcoming = upcoming, next(waiting, None)
                else:
                    break
                running[number] = task
                worker.task, worker.deadline = number, time.monotonic() + self._timeout_sec
                with contextlib.suppress(OSError):  # one that died idle is noticed when listening
                    worker.pipe.send(task)
            for worker, message in self._listen():
                if not isinstance(message, Died):
                    if worker.task is not None:  # otherwise it is the word that it is ready
                        running.pop(worker.task)
                        yield worker.task, message
                    worker.ready, worker.task, worker.deadline = True, None, math.inf
                    continue
                self._end(worker)
                if worker.task is None:
                    continue
                task = running.pop(worker.task)
                if worker.task in tried:
                    yield worker.task, message
                else:  # perhaps the machine was short of memory or time just then
                    tried.add(worker.task)
                    again.append((worker.task, task))

    def _start(self) -> None:
        ours, theirs = self._context.Pipe()
        arguments = (theirs, self._function, self._timeout_sec)
        process = self._context.Process(target=_serve, args=arguments, daemon=True)
        with one_thread_each():
            process.start()
        theirs.close()
        self._workers.append(_Worker(process, ours))

    def _listen(self) -> Iterator[tuple[_Worker, Any]]:
        """Messages of the workers; :class:`Died` for those that are gone or late."""
        now = time.monotonic()
        nearest = min(worker.deadline for worker in self._workers)
        ready = mpc.wait([worker.pipe for worker in self._workers], max(0.0, min(nearest - now, 60.0)))
        for worker in list(self._workers):
            if worker.pipe in ready:
                try:
                    message = worker.pipe.recv()
                except (EOFError, OSError):
                    worker.process.join(5)
                    message = Died(f"the reader crashed (exit code {worker.process.exitcode})")
                    self._count_failed_start(worker)
                else:
                    self._failed_starts = 0
                yield worker, message
            elif time.monotonic() > worker.deadline:
                yield worker, Died(f"takes more than {self._timeout_sec:g} s")

    def _count_failed_start(self, worker: _Worker) -> None:
        if not worker.ready:
            self._failed_starts += 1
        if self._failed_starts >= _MAX_FAILED_STARTS:
            raise MuseError(
                f"worker processes do not start (exit code {worker.process.exitcode}); does the calling script keep "
                "its work under: if __name__ == '__main__':"
            )

    def _end(self, worker: _Worker) -> None:
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()
        self._workers.remove(worker)


def _serve(pipe: Any, function: Callable[[Any], Any], timeout_sec: float) -> None:
    """Life of a process: tasks in, results out, until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started us
    limit_memory()
    pipe.send("ready")
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            task = pipe.recv()
            if hasattr(signal, "alarm"):  # so that the hung orphan of a killed build ends as well
                signal.alarm(math.ceil(timeout_sec) + 10)
            pipe.send(function(task))
            if hasattr(signal, "alarm"):
                signal.alarm(0)


def limit_memory() -> None:
    """Bound the data of this process by :data:`MEMORY_LIMIT_BYTES`, where the system can."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    # Data, not address space: libraries map gigabytes that they never touch.
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = MEMORY_LIMIT_BYTES if hard == resource.RLIM_INFINITY else min(MEMORY_LIMIT_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


@contextlib.contextmanager
def one_thread_each() -> Iterator[None]:
    """Numeric libraries of processes that start inside use one thread: there is a process per core already."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
