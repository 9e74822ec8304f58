"""Engines: where independent tasks are done: one after another here, in processes, or on a Ray cluster.

A task is anything that can be pickled, has a name, and depends on nothing but itself and the function that is applied
to it. So it does not matter where it is done, in which order, or how often it was begun before it came to an end.

Contents: :class:`Engine`, :class:`InProcess`, :class:`ProcessPool`, :class:`RayEngine`, :func:`find_engine`,
:class:`Died`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable
from typing import Final, Protocol, TypeVar

from muse.engines.pool import Died
from muse.engines.processes import ProcessPool
from muse.engines.ray import RayEngine
from muse.errors import InputError, unknown

__all__ = ["ENGINES", "Died", "Engine", "InProcess", "ProcessPool", "RayEngine", "find_engine"]

ENGINES: Final = ("local", "ray")

K = TypeVar("K")
T = TypeVar("T")
R = TypeVar("R")


class Engine(Protocol):
    """Where tasks are done."""

    def map(
        self, function: Callable[[T], R], tasks: Iterable[tuple[K, T]], *, timeout_sec: float = math.inf
    ) -> Generator[tuple[K, R | Died], None, None]:
        """The result of every task once, each with the name of its task, as soon as it is known.

        Parameters
        ----------
        function
            ``function(task) -> result``; says faults of a task in its result, for an error that it raises counts as a
            death of the place that it ran in.
        tasks
            (name, task); names are unlike. Drawn as places become free.
        timeout_sec
            Time for one task, where the engine can end it.

        Yields
        ------
        (name, result or Died)
        """


class InProcess:
    """An engine: this process, one task after another, in order; errors of the function are raised."""

    def map(
        self, function: Callable[[T], R], tasks: Iterable[tuple[K, T]], *, timeout_sec: float = math.inf
    ) -> Generator[tuple[K, R | Died], None, None]:
        """See :meth:`Engine.map`; no time limit is kept."""
        for name, task in tasks:
            yield name, function(task)


def find_engine(name: str, *, local: Engine, address: str | None = None, n: int | None = None) -> Engine:
    """The engine of a name.

    Parameters
    ----------
    name
        One of :data:`ENGINES`.
    local
        What ``local`` stands for.
    address, n
        See :class:`RayEngine`.

    Raises
    ------
    InputError
        There is no such engine, or an address beside ``local``.
    MissingExtraError
        Ray is not installed.
    """
    if name == "ray":
        return RayEngine(n, address)
    if name != "local":
        raise unknown("engine", name, ENGINES)
    if address is not None:
        raise InputError(f"--address {address}: that of a Ray cluster; give --engine ray with it")
    return local
