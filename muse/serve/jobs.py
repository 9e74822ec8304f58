"""Who waits, who is worked for, and who is sent away.

Conventions
-----------
place
    What a request has from its arrival to the end of its answer. There are as many as requests that are worked on or
    wait together; who finds none is sent away at once, before a byte of the body is read, so memory has a bound.

Contents: :class:`Jobs`, :class:`OverdueError`.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from muse.errors import MuseError
from muse.serve.work import Answer, Task, work
from muse.tasks.processes import Processes
from muse.tasks.telling import load

__all__ = ["Jobs", "OverdueError"]

_SMOOTHING: Final = 0.2
"""Weight of the latest task in the mean duration."""
_LONGEST_RETRY_SEC: Final = 15
"""Not longer, for the first tasks, that load models, make the mean too long, and processes would be idle."""


class OverdueError(MuseError):
    """A task took longer than a task may."""


class _LeftError(MuseError):
    """Nobody waits for the answer any more."""


class Jobs:
    """Processes with a queue of bounded length before them; used from one event loop.

    Parameters
    ----------
    n_workers
        Processes.
    n_batch
        Requests that each of them works on at once: pieces among them are written in one batch.
    max_waiting
        Further ones that may wait.
    seconds
        A task that takes longer is stopped.
    """

    def __init__(self, n_workers: int, n_batch: int, max_waiting: int, seconds: float) -> None:
        self.n_workers, self.n_batch, self.max_waiting = n_workers, n_batch, max_waiting
        self.n_running = 0
        """Requests that are worked on."""
        self.n_places_taken = 0
        self.steps: Counter[int] = Counter()
        """Pieces in a batch -> steps that the models have computed for so many."""
        self._seconds = seconds
        self._mean_sec = 1.0
        self._free = asyncio.Semaphore(self.n_at_once)  # first come, first served
        self._processes: Processes[Task, Answer] = Processes(n_workers, work, prepare=load, n_each=n_batch)
        self._threads = ThreadPoolExecutor(self.n_at_once, "job")

    def start(self) -> None:
        """Start the processes; they load the models while the first requests come in."""
        self._processes.start()

    def close(self) -> None:
        """End the processes."""
        self._processes.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    @property
    def pids(self) -> list[int]:
        """Numbers of the processes that live."""
        return self._processes.pids

    @property
    def n_died(self) -> int:
        """Processes that died over a task so far."""
        return self._processes.n_died

    @property
    def n_at_once(self) -> int:
        """Requests that are worked on at once, at most."""
        return self.n_workers * self.n_batch

    @property
    def n_waiting(self) -> int:
        """Requests that have a place and are not worked on."""
        return self.n_places_taken - self.n_running

    @property
    def is_full(self) -> bool:
        """Whether there is no place left."""
        return self.n_places_taken >= self.n_at_once + self.max_waiting

    @property
    def retry_after_sec(self) -> int:
        """When to come again: when half of those who are here now will have been served, or sooner."""
        return min(max(math.ceil(self._mean_sec * self.n_places_taken / self.n_at_once / 2), 1), _LONGEST_RETRY_SEC)

    async def run(self, task: Task, heard: Callable[[dict[str, Any]], None] = lambda _: None) -> Answer:
        """The answer to a task. When this is cancelled, the work is stopped.

        Parameters
        ----------
        heard
            Called in the event loop with every word of the process.

        Raises
        ------
        OverdueError
            It took too long.
        DiedError
            Its process has died.
        MuseError
            What the task is wrong about.
        """
        loop, left = asyncio.get_running_loop(), threading.Event()
        async with self._free:
            started = time.monotonic()

            def listen(word: dict[str, Any] | None) -> None:
                if left.is_set():
                    raise _LeftError
                if time.monotonic() - started > self._seconds:
                    raise OverdueError(f"this took more than {self._seconds:g} s and was stopped: ask for less")
                if word is not None:
                    loop.call_soon_threadsafe(heard, word)

            self.n_running += 1
            try:
                answer = await loop.run_in_executor(self._threads, self._processes.run, task, listen)
                self.steps.update(answer.steps)
                return answer
            finally:
                left.set()
                self.n_running -= 1
                self._mean_sec += _SMOOTHING * (time.monotonic() - started - self._mean_sec)
