"""Engines: a result for every task, whatever becomes of the place that it was done in."""

from __future__ import annotations

import os
import signal
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest

from muse.engines import Died, ProcessPool
from muse.engines.processes import MEMORY_LIMIT_BYTES
from muse.errors import MuseError


def misbehave(task: str) -> str:
    """What a task may do to its process."""
    if task == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if task == "hang":
        time.sleep(600)
    if task == "exit":
        os._exit(3)
    if task == "grow":
        try:
            return str(np.ones(MEMORY_LIMIT_BYTES, np.uint8).size)
        except MemoryError:
            return "refused"
    return task.upper()


def crash_once(path: str) -> str:
    if not Path(path).exists():
        Path(path).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "survived"


def meet(task: tuple[Path, Path]) -> bool:
    """Whether the other task is at work at the same time."""
    mine, other = task
    mine.touch()
    until = time.monotonic() + 60
    while not other.exists() and time.monotonic() < until:
        time.sleep(0.01)
    return other.exists()


def test_tasks_are_done_at_the_same_time(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    assert dict(ProcessPool(2).map(meet, [(0, (a, b)), (1, (b, a))])) == {0: True, 1: True}


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_crash_or_hang_costs_one_task_alone() -> None:
    tasks = ["a", "crash", "b", "hang", "exit", "c"]
    results = dict(ProcessPool(2).map(misbehave, enumerate(tasks), timeout_sec=1.5))
    assert {i: results[i] for i in (0, 2, 5)} == {0: "A", 2: "B", 5: "C"}
    assert results[1] == Died(f"the reader crashed (exit code {-signal.SIGSEGV})")
    assert results[3] == Died("takes more than 1.5 s")
    assert results[4] == Died("the reader crashed (exit code 3)")


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_task_is_tried_twice(tmp_path: Path) -> None:
    assert list(ProcessPool(1).map(crash_once, [(7, str(tmp_path / "seen"))])) == [(7, "survived")]


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is the system's")
def test_memory_is_limited() -> None:
    assert list(ProcessPool(1).map(misbehave, [(0, "grow"), (1, "a")])) == [(0, "refused"), (1, "A")]


def test_processes_that_cannot_start_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("only_here")
    exec("def work(task): return task", module.__dict__)
    module.work.__module__ = "only_here"
    monkeypatch.setitem(sys.modules, "only_here", module)
    with pytest.raises(MuseError, match="__main__"):
        list(ProcessPool(1).map(module.work, [(0, "x")]))
