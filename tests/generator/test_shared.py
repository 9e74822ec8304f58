"""One model for many calls: each gets what it gets alone, and none has to wait for long, or to suffer, for another."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from muse.generator.engines import Cache, OnnxEngine, SharedEngine
from muse.generator.engines.engine import Shape
from muse.generator.sampler import Sampler, Sampling

VOCAB = 50


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    made = LlamaConfig(
        vocab_size=VOCAB, hidden_size=64, intermediate_size=128, num_hidden_layers=2, max_position_embeddings=128,
        num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True,
    )  # fmt: skip
    model = LlamaForCausalLM(made)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(0, 0.12)
    model.save_pretrained(path)
    return path


@pytest.fixture(scope="module", params=["int8", "float32"])
def engine(folder: Path, request: pytest.FixtureRequest) -> OnnxEngine:
    return OnnxEngine(folder, quantized=request.param == "int8")


class Until:
    """A grammar: anything, and each row ends after a length of its own."""

    def __init__(
        self, lengths: Sequence[int], fails_at: int = -1, stands_at: int = -1, until: threading.Event | None = None
    ) -> None:
        self.lengths, self.fails_at, self.stands_at, self.until = np.array(lengths), fails_at, stands_at, until
        self.n_taken = 0

    def begin(self, n_rows: int) -> None:
        pass

    def mask(self) -> None:
        return None

    def advance(self, ids: np.ndarray) -> None:
        self.n_taken += 1
        if self.n_taken == self.fails_at:
            raise RuntimeError("a grammar fails")
        if self.n_taken == self.stands_at and self.until is not None:
            assert self.until.wait(60)

    def finished(self) -> np.ndarray:
        return self.n_taken >= self.lengths

    def unconditional(self, ids: np.ndarray) -> np.ndarray:
        return ids


CALLS: list[tuple[list[int], list[int], float]] = [  # prefix, length of each row, guidance
    ([5, 6, 7], [30, 20, 40], 1.0),
    ([9] * 25, [35], 1.0),
    ([3, 1], [110, 150], 1.0),  # beyond the context: histories are cut
    ([8, 2, 4, 4], [10, 30, 20, 25], 2.0),
    ([5], [45, 45], 1.0),
]


def write(sampler: Sampler, number: int, **grammar: Any) -> list[list[int]]:
    prefix, lengths, guidance = CALLS[number]
    rows = sampler.generate(
        prefix, len(lengths), Until(lengths, **grammar), Sampling(guidance=guidance), np.random.default_rng(number),
        unconditional_prefix=prefix[::-1],
    )  # fmt: skip
    return [row.ids.tolist() for row in rows]


def test_every_call_gets_what_it_gets_alone(engine: OnnxEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = [write(Sampler(engine), number) for number in range(len(CALLS))]
    shared, met = SharedEngine(engine), threading.Barrier(len(CALLS))
    monkeypatch.setattr(Until, "begin", lambda self, n_rows: met.wait(30) and None)
    with ThreadPoolExecutor(len(CALLS)) as threads:
        together = list(threads.map(lambda number: write(Sampler(shared), number), range(len(CALLS))))
    assert together == alone
    steps = shared.taken_steps()
    n_drawn = sum(max(lengths) - 1 for _, lengths, _ in CALLS)  # the first come with the prefix
    assert max(steps) > 1 and sum(n * times for n, times in steps.items()) == n_drawn
    assert shared.taken_steps() == {}


def test_rows_of_several_calls_are_computed_to_the_last_bit(engine: OnnxEngine) -> None:
    """With lengths, rows and memory of their own, and after some have left."""
    ids = np.random.default_rng(1).integers(0, VOCAB, (5, 90))
    pairs = [(engine.start(n), engine.start(n)) for n in (1, 3, 4)]
    for i, pair in enumerate(pairs):
        for cache in pair:
            for row in range(len(cache.lengths)):
                cache.load(row, ids[row, : 5 + 9 * i + 4 * row])
    together = engine.together([ours for ours, _ in pairs])
    for step in range(8):
        if step == 4:
            for cache in pairs[2]:
                cache.keep(np.array([3, 0, 1]))
        new = [ids[: len(ours.lengths), step : step + 1] for ours, _ in pairs]
        for found, (_, theirs), one in zip(together.extend(new), pairs, new, strict=True):
            np.testing.assert_array_equal(found, theirs.extend(one))
    assert all((ours.lengths == theirs.lengths).all() for ours, theirs in pairs)


def test_ids_that_were_forced_go_together(folder: Path, patience: None) -> None:
    """Whether a call is computed alone or with others, of which each has as many as it has."""
    engine = OnnxEngine(folder)
    ids = np.random.default_rng(3).integers(0, VOCAB, (2, 2, 8))
    shared, alone = SharedEngine(engine), [engine.start(2) for _ in range(2)]
    calls = [shared.start(2) for _ in range(2)]
    shared._under_way |= set(calls)  # so that the first step is one of both already
    for first, stop in ((0, (3, 1)), (4, (7, 8))):
        new = [of[:, first:end] for of, end in zip(ids, stop, strict=True)]
        with ThreadPoolExecutor(2) as threads:
            found = list(threads.map(lambda call, of: call.extend(of), calls, new))
        for logits, cache, of in zip(found, alone, new, strict=True):
            np.testing.assert_array_equal(logits, cache.extend(of))
    assert shared.taken_steps() == {2: 2}


def test_a_call_that_fails_or_stands_still_holds_nobody_up(engine: OnnxEngine) -> None:
    expected = [write(Sampler(engine), number) for number in (0, 4)]
    shared, go_on = Sampler(SharedEngine(engine)), threading.Event()
    with ThreadPoolExecutor(3) as threads:
        standing = threads.submit(write, shared, 0, stands_at=5, until=go_on)
        failing = threads.submit(write, shared, 4, fails_at=5)
        found = threads.submit(write, shared, 4).result(60)
        assert not standing.done() and found == expected[1]
        with pytest.raises(RuntimeError, match="a grammar fails"):
            failing.result(60)
        go_on.set()
    assert standing.result() == expected[0]


def test_a_late_call_reads_its_own_logits(engine: OnnxEngine) -> None:
    """Even when others have gone on meanwhile."""
    ids = np.random.default_rng(2).integers(0, VOCAB, (2, 20))
    shared = SharedEngine(engine)
    calls, alone = [shared.start(2), shared.start(2)], [engine.start(2), engine.start(2)]
    everyone: list[Cache] = [*calls, *alone]
    for cache in everyone:
        cache.load(0, ids[0, :4])
        cache.share(0, [1])
    met = threading.Barrier(2)
    late: list[np.ndarray] = []

    def wait_and_read() -> None:
        met.wait()
        late.append(calls[0].extend(ids[:, 4:5]))
        met.wait()  # until the other has taken more steps

    beside = threading.Thread(target=wait_and_read)
    beside.start()
    met.wait()
    for step in range(4, 8):
        found = calls[1].extend(ids[:, step : step + 1])
        np.testing.assert_array_equal(found, alone[1].extend(ids[:, step : step + 1]))
    met.wait()
    beside.join()
    np.testing.assert_array_equal(late[0], alone[0].extend(ids[:, 4:5]))


class Frail:
    """An engine whose steps for several calls fail, and those of one call with the id 1."""

    dtype, shape = "float32", Shape(1, 1, 1, 2, 2, VOCAB, 100, 1e-5, 1e4)

    def start(self, n_rows: int) -> Frail:
        return self

    def together(self, caches: Sequence[Any]) -> Frail:
        raise MemoryError

    def extend(self, ids: np.ndarray) -> np.ndarray:
        if (ids == 1).any():
            raise ValueError("this call fails")
        return np.zeros((len(ids), VOCAB), np.float32)

    def close(self) -> None:
        pass


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """So much that calls meet for certain."""
    monkeypatch.setattr("muse.generator.engines.shared.PATIENCE_SEC", 60.0)


def test_a_step_that_fails_is_the_fault_of_one_call_alone(patience: None) -> None:
    shared = SharedEngine(Frail())  # type: ignore[arg-type]
    good, bad = shared.start(1), shared.start(1)
    shared._under_way |= {good, bad}  # so that the first step is one of both already
    with ThreadPoolExecutor(2) as threads:
        steps = [threads.submit(good.extend, np.array([[0]])), threads.submit(bad.extend, np.array([[1]]))]
        assert steps[0].result(30).shape == (1, VOCAB)
        with pytest.raises(ValueError, match="this call fails"):
            steps[1].result(30)
        bad.close()
        assert threads.submit(good.extend, np.array([[0]])).result(30).shape == (1, VOCAB)
    assert shared.taken_steps() == {1: 1, 2: 1}


def test_who_leaves_is_not_waited_for(patience: None) -> None:
    shared = SharedEngine(Frail())  # type: ignore[arg-type]
    waiting, leaving = shared.start(1), shared.start(1)
    shared._under_way |= {waiting, leaving}
    with ThreadPoolExecutor(1) as threads:
        step = threads.submit(waiting.extend, np.array([[0]]))
        time.sleep(0.05)
        assert not step.done()
        leaving.close()
        assert step.result(30).shape == (1, VOCAB)


def test_memory_is_given_back_when_a_call_ends(engine: OnnxEngine) -> None:
    shared = SharedEngine(engine)
    caches = [shared.start(2) for _ in range(2)]
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda cache: cache.extend(np.zeros((2, 3), np.int64)), caches))
    for cache in caches:
        cache.close()
    assert not shared._under_way and not shared._asked and shared._last is None
    assert all(cache.own.memory.size == 0 for cache in caches)  # type: ignore[attr-defined]
