"""A Ray cluster as an engine: actors on all its machines do what processes do on one.

Conventions
-----------
function
    Travels to every actor once and stays there; what it loads (a model) is loaded once in each. Actors that work for
    different copies or versions of Muse than the caller's are refused: results would depend on where a task ran.
files
    Only this process writes. Files that tasks read have to be seen by all machines under the same path.
lost
    An actor whose machine is gone is replaced wherever there is room, and its task done again, up to :data:`TRIES`
    times. Results that were lost with a machine before they were fetched count as lost tasks.

Contents: :class:`RayEngine`.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import re
import socket
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeVar

from muse.engines.pool import Died, spread
from muse.engines.processes import limit_memory
from muse.errors import InputError, MuseError, require

__all__ = ["RayEngine"]

TRIES: Final = 4
"""Machines that may be lost under one task; a task that itself kills an actor is given up after as many."""
OBJECT_STORE_BYTES: Final = 200_000_000
"""Of a cluster that is started here: results are fetched as they come, so few lie there at once."""

CONNECT_SEC: Final = 10.0

K = TypeVar("K")
T = TypeVar("T")
R = TypeVar("R")


class RayEngine:
    """An engine: actors of a Ray cluster, see :class:`muse.engines.Engine`.

    Parameters
    ----------
    n
        Actors, of one processor each; default: one for each processor that the cluster has.
    address
        Of a cluster, ``HOST:PORT`` or ``auto``; default: that of ``RAY_ADDRESS``, or one that is started on this
        machine and ends with the work.

    Raises
    ------
    MissingExtraError
        Ray is not installed.
    """

    def __init__(self, n: int | None = None, address: str | None = None) -> None:
        self.n, self.address = n, address
        self._ray = require("ray", "scale", "The engine 'ray'")

    def map(
        self, function: Callable[[T], R], tasks: Iterable[tuple[K, T]], *, timeout_sec: float = math.inf
    ) -> Generator[tuple[K, R | Died], None, None]:
        """See :meth:`muse.engines.Engine.map`.

        Raises
        ------
        InputError
            The cluster does not answer.
        MuseError
            Machines of the cluster have another version of Muse.
        """
        with self._connected():
            n = self.n or max(1, int(self._ray.cluster_resources().get("CPU", 1)))
            yield from spread(tasks, _Actors(self._ray, function), n=n, timeout_sec=timeout_sec, tries=TRIES)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[None]:
        """Joined to the cluster, unless this process has joined one already."""
        if self._ray.is_initialized():
            yield
            return
        address = self.address or os.environ.get("RAY_ADDRESS")
        options: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
        if address is None:
            options |= {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
        try:
            if host := re.fullmatch(r"([^/]+):(\d{1,5})", address or ""):  # Ray itself would try for minutes
                socket.create_connection((host[1], int(host[2])), CONNECT_SEC).close()
            self._ray.init(address or "local", **options)
        except (OSError, OverflowError, ValueError, RuntimeError) as error:
            reason = str(error).split("\n")[0][:200]
            raise InputError(f"no Ray cluster at {address or 'this machine'} ({reason}): see `ray status`") from None
        try:
            yield
        finally:
            self._ray.shutdown()


@dataclass(eq=False)
class _Place:
    actor: Any
    answer: Any
    """Reference to its next word."""
    is_new: bool = True


class _Actors:
    """Actors as places of work."""

    def __init__(self, ray: ModuleType, function: Callable[[Any], Any]) -> None:
        self._ray = ray
        # A machine that is gone is not waited for: its actors are replaced here.
        self._kind = ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(_Worker)
        self._function = function

    def start(self) -> _Place:
        actor = self._kind.remote(self._function)
        return _Place(actor, actor.code.remote())

    def send(self, place: _Place, task: Any) -> None:
        place.answer = place.actor.run.remote(task)

    def listen(self, places: Sequence[_Place], timeout_sec: float) -> Iterator[tuple[_Place, Any]]:
        """Answers of the actors, :class:`~muse.engines.pool.Died` for those that are lost; all that have come at once.

        Raises
        ------
        MuseError
            A machine has other code than this one.
        """
        by_answer = {place.answer: place for place in places}
        ready, _ = self._ray.wait(list(by_answer), num_returns=1, timeout=timeout_sec)
        if ready:  # those that have come with it
            ready, _ = self._ray.wait(list(by_answer), num_returns=len(by_answer), timeout=0)
        for answer in ready:
            place = by_answer[answer]
            try:
                word = self._ray.get(answer)
            except self._ray.exceptions.RayError as error:
                word = Died(f"the actor was lost ({type(error).__name__}: {str(error).strip().splitlines()[-1]})")
            else:
                if place.is_new and word != _code():
                    raise MuseError("a machine of the cluster has another version of Muse: install the same on all")
                place.is_new = False
            yield place, word

    def end(self, place: _Place) -> None:
        self._ray.kill(place.actor, no_restart=True)


class _Worker:
    """What runs on the cluster."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        limit_memory()
        self._function = function

    def code(self) -> str:
        return _code()

    def run(self, task: Any) -> Any:
        return self._function(task)


@cache
def _code() -> str:
    """SHA-256 of all modules of Muse."""
    root, digest = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
