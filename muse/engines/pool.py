"""Who gets which task: one scheduler for places of work that may die, be they processes or actors on other machines.

Conventions
-----------
place
    Does one task at a time: a process with a pipe, an actor of Ray. Its first word says that it is ready, each
    further one is the result of its task.
once
    A result counts only from the place that has the task now; of a place that died or was late nothing is heard again.
    So every task has exactly one result, however often it was begun.

Contents: :func:`spread`, :class:`Places`, :class:`Died`.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from muse.errors import MuseError

__all__ = ["Died", "Places", "spread"]

MAX_FAILED_STARTS: Final = 3
"""Places in a row, for each that is wanted, that may die before they are ready."""
LONGEST_WAIT_SEC: Final = 60.0

K = TypeVar("K")
T = TypeVar("T")
P = TypeVar("P")


@dataclass(frozen=True)
class Died:
    """In place of a result: no place of work survived the task."""

    reason: str


class Places(Protocol[P]):
    """How places of one kind are started, told, heard and ended."""

    def start(self) -> P:
        """A new place, which will say that it is ready."""

    def send(self, place: P, task: Any) -> None:
        """Give a task to a place that is ready and has none."""

    def listen(self, places: Sequence[P], timeout_sec: float) -> Iterator[tuple[P, Any]]:
        """Words of the places, :class:`Died` for those that are gone; waits for one, but no longer than that."""

    def end(self, place: P) -> None:
        """End it, whatever it does."""


@dataclass(eq=False)
class _Desk:
    """A place and what it works on."""

    place: Any
    ready: bool = False
    busy: bool = False
    task: Any = None
    deadline: float = math.inf


def spread(
    tasks: Iterable[tuple[K, T]], places: Places[P], *, n: int, timeout_sec: float = math.inf, tries: int = 2
) -> Generator[tuple[K, Any], None, None]:
    """Results in the order in which they come, each with the name of its task.

    Tasks are drawn as places become free, one ahead for each, so a long iterable costs no memory.

    Parameters
    ----------
    n
        Places at most; they start when there is work for them, and end with the iterator.
    timeout_sec
        Time for one task, from when a place that is ready gets it.
    tries
        Places that may die of a task, or be late with it, before its result is :class:`Died`.

    Raises
    ------
    MuseError
        No place can be started at all.
    """
    coming = iter(tasks)
    queue = deque(itertools.islice(coming, n))
    losses: dict[K, int] = {}
    failed_starts = 0
    desks: list[_Desk] = []
    try:
        while queue or any(desk.busy for desk in desks):
            n_todo = len(queue) + sum(desk.busy for desk in desks)
            desks += [_Desk(places.start()) for _ in range(min(n, n_todo) - len(desks))]
            for desk in desks:
                if desk.ready and not desk.busy and queue:
                    desk.task = queue.popleft()
                    queue.extend(itertools.islice(coming, 1))
                    desk.busy, desk.deadline = True, time.monotonic() + timeout_sec
                    places.send(desk.place, desk.task[1])
            for desk, word in _heard(desks, places, timeout_sec):
                if not isinstance(word, Died):
                    failed_starts = 0
                    done, desk.ready, desk.busy, desk.deadline = desk.busy, True, False, math.inf
                    if done:  # otherwise it is the word that it is ready
                        losses.pop(desk.task[0], None)
                        yield desk.task[0], word
                    continue
                desks.remove(desk)
                places.end(desk.place)
                failed_starts += not desk.ready
                if failed_starts >= MAX_FAILED_STARTS * n:
                    raise MuseError(f"nothing can be started to work on the tasks: {word.reason}")
                if desk.busy:
                    name = desk.task[0]
                    losses[name] = losses.get(name, 0) + 1
                    if losses[name] < tries:  # perhaps the machine was short of memory or time just then, or is gone
                        queue.appendleft(desk.task)
                    else:
                        yield name, word
    finally:
        for desk in desks:
            with contextlib.suppress(OSError):
                places.end(desk.place)


def _heard(desks: Sequence[_Desk], places: Places[P], timeout_sec: float) -> Iterator[tuple[_Desk, Any]]:
    """Words of the places; :class:`Died` for those that are gone or late."""
    by_place = {id(desk.place): desk for desk in desks}
    nearest = min(desk.deadline for desk in desks)
    wait_sec = max(0.0, min(nearest - time.monotonic(), LONGEST_WAIT_SEC))
    spoke = set()
    for place, word in places.listen([desk.place for desk in desks if desk.busy or not desk.ready], wait_sec):
        spoke.add(id(place))
        yield by_place[id(place)], word
    for desk in list(desks):
        if id(desk.place) not in spoke and time.monotonic() > desk.deadline:
            yield desk, Died(f"takes more than {timeout_sec:g} s")
