"""Composing in processes of their own: the same music, faults that come back, and a death that costs one request."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from muse.composer import Composer, Composition
from muse.errors import InputError
from muse.tasks.compose import compose
from muse.tasks.request import ComposeRequest
from muse.tasks.workers import DiedError, Workers

SHORT = ComposeRequest(emotion="sad", bars=2, candidates=1, seed=5)
LONG = ComposeRequest(emotion="happy", bars=64, candidates=2, seed=5)


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(2) as several:
        yield several


class Watched:
    """A request in a thread; :attr:`begun` is set when its first notes are written."""

    def __init__(self, workers: Workers, request: ComposeRequest) -> None:
        self.begun = threading.Event()
        self.piece: Future[Composition] = ThreadPoolExecutor(1).submit(
            workers.compose, request, progress=lambda share: self.begun.set() if share else None
        )


def test_the_music_is_that_of_the_composer_itself(workers: Workers) -> None:
    understood: list[Any] = []
    shares: list[float] = []
    piece = workers.compose(SHORT, understood=lambda *what: understood.extend(what), progress=shares.append)
    there = compose(SHORT, Composer.from_pretrained())
    assert piece.best.score.dumps_midi() == there.best.score.dumps_midi()
    assert piece.origin() == there.origin()
    assert [understood[0], understood[1].to_dict()] == [None, there.intent.to_dict()]
    assert shares == sorted(shares)


def test_faults_come_back_and_the_process_goes_on(workers: Workers) -> None:
    workers.compose(SHORT)
    before = workers.pids
    with pytest.raises(InputError, match="unknown genre 'polka'"):
        workers.compose(ComposeRequest(genre="polka", seed=1))
    with pytest.raises(InputError, match="no such file"):
        workers.compose(ComposeRequest(like="nowhere.mid", seed=1))

    class Enough(Exception):  # noqa: N818
        pass

    def stop(share: float) -> None:
        if share:
            raise Enough

    with pytest.raises(Enough):
        workers.compose(LONG, progress=stop)
    assert workers.compose(SHORT).seed == 5
    assert workers.pids == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_a_process_that_is_killed_loses_its_own_request_alone() -> None:
    with Workers(2) as two:
        first = Watched(two, LONG)
        assert first.begun.wait(60)
        (victim,) = two.pids
        second = Watched(two, ComposeRequest(emotion="calm", bars=8, candidates=1, seed=6))
        assert second.begun.wait(60)
        os.kill(victim, signal.SIGKILL)
        with pytest.raises(DiedError, match="this piece alone is lost: ask for it again"):
            first.piece.result(60)
        assert second.piece.result(60).intent.bars == 8
        assert two.compose(SHORT).seed == 5
        assert victim not in two.pids


def test_closing_ends_every_process() -> None:
    several = Workers(1)
    running = Watched(several, LONG)
    assert running.begun.wait(60)
    several.close()
    with pytest.raises(DiedError):
        running.piece.result(60)
    assert not several.pids
    with pytest.raises(DiedError, match="closed"):
        several.compose(SHORT)
