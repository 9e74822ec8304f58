"""Processes of this machine that may die of a task without taking the others along.

A pool of the standard library ends, or hangs, when one of its processes is killed. Here every process does one task at
a time over its own pipe; one that crashes or takes too long is replaced, and its task tried once more before it is
given up.

Why not pebble (5.2 was tried on crashes, hangs and segmentation faults): it isolates them as well, but counts the start
of a new process against its task, so on a busy machine the song after a crash was given up for the time that imports
took; it draws all tasks at once, does not try again, and a process that hangs outlives a build that was killed.

Conventions
-----------
limits
    Each process has :data:`MEMORY_LIMIT_BYTES` for its data and one thread for numerics.

Contents: :class:`ProcessPool`, :func:`limit_memory`, :func:`one_thread_each`, :func:`return_large_blocks`.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import multiprocessing as mp
import multiprocessing.connection as mpc
import os
import signal
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from muse.engines.pool import Died, spread

__all__ = ["MEMORY_LIMIT_BYTES", "TOO_BIG", "ProcessPool", "limit_memory", "one_thread_each", "return_large_blocks"]

MEMORY_LIMIT_BYTES = 4 << 30
"""Data of one process; the largest real file that we know needs a tenth of it."""

TOO_BIG = f"needs more than {MEMORY_LIMIT_BYTES >> 30} GB of memory"

_M_MMAP_THRESHOLD = -3  # of malloc.h
_LARGE_BYTES = 256 << 10

K = TypeVar("K")
T = TypeVar("T")
R = TypeVar("R")


class ProcessPool:
    """An engine: worker processes on this machine, see :class:`muse.engines.Engine`.

    Parameters
    ----------
    n
        Processes; default: one for each core.
    """

    def __init__(self, n: int | None = None) -> None:
        self.n = n or os.cpu_count() or 1

    def map(
        self, function: Callable[[T], R], tasks: Iterable[tuple[K, T]], *, timeout_sec: float = math.inf
    ) -> Generator[tuple[K, R | Died], None, None]:
        """See :meth:`muse.engines.Engine.map`; `function` is defined at the top of a module, so that a new process
        finds it."""
        return spread(tasks, _Pipes(function, timeout_sec), n=self.n, timeout_sec=timeout_sec)


@dataclass(eq=False)
class _Process:
    process: Any
    pipe: Any


class _Pipes:
    """Processes as places of work."""

    def __init__(self, function: Callable[[Any], Any], timeout_sec: float) -> None:
        # Not by fork: it would copy whatever locks other threads of this process hold.
        self._context = mp.get_context("spawn")
        self._arguments = (function, timeout_sec)

    def start(self) -> _Process:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, *self._arguments), daemon=True)
        with one_thread_each():
            process.start()
        theirs.close()
        return _Process(process, ours)

    def send(self, place: _Process, task: Any) -> None:
        with contextlib.suppress(OSError):  # one that died idle is noticed when listening
            place.pipe.send(task)

    def listen(self, places: Sequence[_Process], timeout_sec: float) -> Iterator[tuple[_Process, Any]]:
        """Answers of the processes, :class:`~muse.engines.pool.Died` for those whose pipe has closed."""
        ready = mpc.wait([place.pipe for place in places], timeout_sec)
        for place in places:
            if place.pipe not in ready:
                continue
            try:
                word = place.pipe.recv()
            except (EOFError, OSError):
                place.process.join(5)
                word = Died(f"the reader crashed (exit code {place.process.exitcode}){_hint(place.process.exitcode)}")
            yield place, word

    def end(self, place: _Process) -> None:
        place.process.kill()
        place.process.join()
        place.pipe.close()


def _hint(exit_code: int | None) -> str:
    """What is likely wrong where a process ends with an ordinary error."""
    return "; does the calling script keep its work under: if __name__ == '__main__':" if exit_code == 1 else ""


def _serve(pipe: Any, function: Callable[[Any], Any], timeout_sec: float) -> None:
    """Life of a process: tasks in, results out, until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started us
    limit_memory()
    alarm = getattr(signal, "alarm", None) if math.isfinite(timeout_sec) else None
    pipe.send("ready")
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            task = pipe.recv()
            if alarm:  # so that the hung orphan of a killed build ends as well
                alarm(math.ceil(timeout_sec) + 10)
            pipe.send(function(task))
            if alarm:
                alarm(0)


def limit_memory() -> None:
    """Hold the data of this process under :data:`MEMORY_LIMIT_BYTES`, where the system can."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    # Data, not address space: libraries map gigabytes that they never touch.
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = MEMORY_LIMIT_BYTES if hard == resource.RLIM_INFINITY else min(MEMORY_LIMIT_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def return_large_blocks() -> None:
    """Have this process give large blocks of memory back to the system as soon as they are free, where it can.

    The GNU C library raises the size from which it does so up to 32 MB as it goes along, and what is below then stays
    with each thread; see mallopt(3).
    """
    if sys.platform != "linux":
        return
    with contextlib.suppress(AttributeError):  # other C libraries have no such parameter
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


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
