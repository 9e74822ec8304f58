"""Composing in processes of their own: the same music, its bars, faults that come back, a death that costs one."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from muse.composer import Composer, Composition, WrittenBar
from muse.errors import InputError
from muse.score import note_array
from muse.tasks.compose import compose
from muse.tasks.processes import DiedError, Processes
from muse.tasks.request import ComposeRequest
from muse.tasks.telling import Understood, compose_telling, load

SHORT = ComposeRequest(emotion="sad", bars=2, candidates=2, seed=5)
LONG = ComposeRequest(emotion="happy", bars=64, candidates=2, seed=5)

Pool = Processes[ComposeRequest, Composition]


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Processes(2, compose_telling, prepare=load) as several:
        yield several


class Watched:
    """A request in a thread; :attr:`begun` is set when its first notes are written."""

    def __init__(self, pool: Pool, request: ComposeRequest) -> None:
        self.begun = threading.Event()
        self.piece: Future[Composition] = ThreadPoolExecutor(1).submit(
            pool.run, request, lambda word: self.begun.set() if isinstance(word, float) and word else None
        )


def test_the_music_is_that_of_the_composer_itself_and_its_bars_are_told(pool: Pool) -> None:
    words: list[Any] = []
    piece = pool.run(SHORT, words.append)
    there = compose(SHORT, Composer.from_pretrained())
    assert piece.best.score.dumps_midi() == there.best.score.dumps_midi()
    assert piece.origin() == there.origin()
    understood, *rest = [word for word in words if word is not None]
    assert isinstance(understood, Understood)
    assert (understood.parsed, understood.intent.to_dict()) == (None, there.intent.to_dict())
    shares = [word for word in rest if isinstance(word, float)]
    assert shares == sorted(shares)
    bars = [word for word in rest if isinstance(word, WrittenBar)]
    assert len(bars) == 4
    for candidate in piece.candidates:
        mine = [bar for bar in bars if bar.candidate == candidate.number]
        assert [bar.bar for bar in mine] == [0, 1]
        told, made = np.concatenate([bar.notes for bar in mine]), note_array(candidate.score)
        assert told[["onset_beat", "pitch"]].tolist() == made[["onset_beat", "pitch"]].tolist()


def test_faults_come_back_and_the_process_goes_on(pool: Pool) -> None:
    pool.run(SHORT)
    before = pool.pids
    with pytest.raises(InputError, match="unknown genre 'polka'"):
        pool.run(ComposeRequest(genre="polka", seed=1))
    with pytest.raises(InputError, match="no such file"):
        pool.run(ComposeRequest(like="nowhere.mid", seed=1))
    with pytest.raises(InputError, match=r"bars is 200; legal here are 1\.\.64"):
        pool.run(ComposeRequest(text="a sad song, 200 bars", candidates=1))

    class Enough(Exception):  # noqa: N818
        pass

    def stop(word: Any) -> None:
        if isinstance(word, WrittenBar):
            raise Enough

    with pytest.raises(Enough):
        pool.run(LONG, stop)
    assert pool.run(SHORT).seed == 5
    assert pool.pids == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_a_process_that_is_killed_loses_its_own_request_alone() -> None:
    with Processes(2, compose_telling, prepare=load) as two:
        first = Watched(two, LONG)
        assert first.begun.wait(60)
        (victim,) = two.pids
        second = Watched(two, ComposeRequest(emotion="calm", bars=8, candidates=1, seed=6))
        assert second.begun.wait(60)
        os.kill(victim, signal.SIGKILL)
        with pytest.raises(DiedError, match="has died: ask again"):
            first.piece.result(60)
        assert second.piece.result(60).intent.bars == 8
        assert two.run(SHORT).seed == 5
        assert victim not in two.pids
