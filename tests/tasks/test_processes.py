"""Processes for many who ask at once: words and results come back, a death costs one task, work can be stopped."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from muse.errors import InputError
from muse.tasks.processes import DiedError, Processes, Tell


def work(task: Any, tell: Tell) -> Any:
    if task == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "unspeakable":
        return lambda: None
    if task == "exit":
        raise SystemExit(1)
    if task == "illegal":
        raise InputError("this is not legal")
    if task == "end of file":  # as libraries raise it of files; it does not mean that our pipe is closed
        raise EOFError("no more")
    if task == "long":
        while True:
            tell(os.getpid())
            time.sleep(0.01)
    if task == "deaf":
        tell(os.getpid())
        time.sleep(600)
    return os.getpid(), task


class EnoughError(Exception):
    pass


def enough(word: Any) -> None:
    if word is not None:
        raise EnoughError


@pytest.fixture(scope="module")
def two() -> Iterator[Processes[Any, Any]]:
    with Processes(2, work) as several:
        several.start()
        yield several


def test_results_and_faults_come_back_and_the_processes_go_on(two: Processes[Any, Any]) -> None:
    before = set(two.pids)
    with pytest.raises(InputError, match="this is not legal"):
        two.run("illegal")
    with pytest.raises(RuntimeError, match="EOFError: no more"):
        two.run("end of file")
    with pytest.raises(EnoughError):
        two.run("long", enough)
    with ThreadPoolExecutor(6) as asking:
        found = list(asking.map(two.run, range(6)))
    assert [task for _, task in found] == list(range(6))
    assert {pid for pid, _ in found} <= before == set(two.pids)


def test_work_that_hears_nothing_is_stopped_by_a_kill(two: Processes[Any, Any], monkeypatch: Any) -> None:
    monkeypatch.setattr("muse.tasks.processes._GRACE_SEC", 0.1)
    before = set(two.pids)
    with pytest.raises(EnoughError):
        two.run("deaf", enough)
    assert len(two.pids) == 2 and len(before & set(two.pids)) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_a_death_costs_one_task_and_the_process_is_replaced(two: Processes[Any, Any]) -> None:
    begun, died = threading.Event(), two.n_died
    other: list[int] = []

    def listen(word: int | None) -> None:
        if word is not None:
            other.append(word)
            begun.set()
            if two.n_died > died:
                raise EnoughError

    with ThreadPoolExecutor(1) as asking:
        beside = asking.submit(two.run, "long", listen)
        assert begun.wait(60)
        with pytest.raises(DiedError, match="has died: ask again"):
            two.run("die")
        assert two.n_died == died + 1 and len(two.pids) == 2
        assert two.run("next")[1] == "next"
        with pytest.raises(EnoughError):
            beside.result(60)
    assert len(set(other)) == 1


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[Processes[Any, Any]]:
    monkeypatch.setattr("muse.tasks.processes._GRACE_SEC", 0.2)
    with Processes(1, work, n_each=3) as one:
        yield one


def begin(processes: Processes[Any, Any], task: str, asking: ThreadPoolExecutor) -> tuple[Any, threading.Event]:
    """A task that has begun, and what ends it when it next says something."""
    begun, ends = threading.Event(), threading.Event()

    def listen(word: Any) -> None:
        if word is not None:
            begun.set()
        if ends.is_set():
            raise EnoughError

    result = asking.submit(processes.run, task, listen)
    assert begun.wait(60)
    return result, ends


def test_a_process_does_several_tasks_at_once(shared: Processes[Any, Any]) -> None:
    with ThreadPoolExecutor(4) as asking:
        (first, end_first), (second, end_second) = (begin(shared, "long", asking) for _ in range(2))
        (pid,) = shared.pids
        assert shared.run("more") == (pid, "more")
        end_first.set()
        with pytest.raises(EnoughError):
            first.result(60)
        assert not second.done() and shared.run("more") == (pid, "more")
        end_second.set()
        with pytest.raises(EnoughError):
            second.result(60)
    assert shared.pids == [pid] and shared.n_died == 0


def test_work_that_hears_nothing_leaves_the_others_their_process(shared: Processes[Any, Any]) -> None:
    """It gets no more work, and ends with the last of what it has."""
    with ThreadPoolExecutor(4) as asking:
        (deaf, end_deaf), (beside, end_beside) = begin(shared, "deaf", asking), begin(shared, "long", asking)
        (old,) = shared.pids
        end_deaf.set()
        with pytest.raises(EnoughError):
            deaf.result(60)
        new, _ = shared.run("more")
        assert new != old and not beside.done()
        end_beside.set()
        with pytest.raises(EnoughError):
            beside.result(60)
    assert shared.pids == [new]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_a_death_costs_the_tasks_of_its_process_and_counts_once(shared: Processes[Any, Any]) -> None:
    with ThreadPoolExecutor(4) as asking:
        beside = [begin(shared, "long", asking)[0] for _ in range(2)]
        with pytest.raises(DiedError):
            shared.run("die")
        for one in beside:
            with pytest.raises(DiedError, match="ask again"):
                one.result(60)
    assert shared.n_died == 1 and shared.run("more")[1] == "more" and len(shared.pids) == 1


def test_an_answer_that_cannot_be_sent_is_a_fault(shared: Processes[Any, Any]) -> None:
    with pytest.raises(RuntimeError, match="pickle"):
        shared.run("unspeakable")
    with pytest.raises(RuntimeError, match="SystemExit"):
        shared.run("exit")
    assert shared.run("more")[1] == "more"


def test_closing_ends_what_is_worked_on() -> None:
    one = Processes(1, work)
    with ThreadPoolExecutor(1) as asking:
        begun = threading.Event()
        beside = asking.submit(one.run, "long", lambda word: begun.set() if word else None)
        assert begun.wait(60)
        one.close()
        with pytest.raises(DiedError):
            beside.result(60)
    assert not one.pids
    with pytest.raises(DiedError, match="closed"):
        one.run("more")
