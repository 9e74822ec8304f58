"""The speed comparison: complete, consistent, and without lasting effects."""

from __future__ import annotations

import json

import pytest
import torch

from muse.composer.arrange import DEFAULT_ARRANGER
from muse.errors import InputError
from muse.evaluate import speed
from muse.evaluate.speed import run_bench


def test_the_document_is_complete_and_consistent() -> None:
    before, state = torch.get_num_threads(), torch.get_rng_state()
    told: list[float] = []
    found = run_bench("tiny", batches=(1, 3), n_new=12, repetitions=3, threads=1, command=False, progress=told.append)
    assert json.loads(json.dumps(found)) == found
    assert [row["batch"] for row in found["generation"]] == [1, 3]
    for row in found["generation"]:
        assert row["ratio_low"] <= row["ratio"] <= row["ratio_high"]
        quotient = row["tokens_per_s"] / row["transformers_tokens_per_s"]
        assert row["ratio_low"] * 0.99 <= quotient <= row["ratio_high"] * 1.01
        assert row["ms_per_step"] == pytest.approx(1000 * row["batch"] / row["tokens_per_s"], rel=0.01)
    assert found["threads"] == 1
    assert found["dtype"] == "int8"
    assert 0 < found["fidelity"]["divergence_nats"] < 0.02
    assert found["command"] is None
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1)
    assert torch.get_num_threads() == before
    assert torch.equal(torch.get_rng_state(), state)


def test_float32_diverges_from_itself_by_nothing() -> None:
    found = run_bench("tiny", batches=(), n_new=8, repetitions=1, dtype="float32", command=False)
    assert found["dtype"] == "float32"
    assert found["threads"] in (1, torch.get_num_threads())
    assert found["fidelity"]["divergence_nats"] == 0
    assert found["fidelity"]["same_likeliest"] == 1


def test_what_is_measured_without_being_named_is_a_trained_checkpoint() -> None:
    found = run_bench(batches=(), n_new=4, repetitions=1, threads=1, command=False)
    assert found["weights"] == "trained"
    assert found["checkpoint"] == DEFAULT_ARRANGER


def test_start_up_of_commands_is_measured() -> None:
    ticks: list[None] = []
    found = speed._startup(lambda: ticks.append(None), repetitions=1)
    assert list(found) == ["info", "compose --emotion sad --bars 8"]
    assert 0 < found["info"] < found["compose --emotion sad --bars 8"]
    assert len(ticks) == 1


def test_wrong_requests_are_named() -> None:
    with pytest.raises(InputError, match="n_new is 0, legal is 1 or more; a batch is -2"):
        run_bench("tiny", batches=(1, -2), n_new=0)
    with pytest.raises(InputError, match="unknown checkpoint 'nowhere'"):
        run_bench("nowhere")
    with pytest.raises(InputError, match="threads is 0"):
        run_bench("tiny", threads=0)
