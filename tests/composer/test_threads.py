"""Objects that people share are safe to share: threads get the music that one call after another gives."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import muse
from muse.composer import Composer, Composition
from muse.generator.engines import OnnxEngine, TorchEngine
from muse.generator.sampler import Sampler, Sampling

N_CALLS, N_THREADS = 48, 4


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer.from_pretrained()


def written(piece: Composition, path: Path) -> bytes:
    piece.save(path)
    return path.read_bytes()


def test_48_calls_from_4_threads_write_what_one_thread_writes(composer: Composer, tmp_path: Path) -> None:
    requests = [{"emotion": f"Q{1 + seed % 4}", "bars": 1 + seed % 2, "seed": seed} for seed in range(12)]

    def call(number: int) -> bytes:
        piece = composer.compose(n_candidates=1, **requests[number % len(requests)])
        return written(piece, tmp_path / f"{number}.mid")

    alone = [call(number) for number in range(len(requests))]
    with ThreadPoolExecutor(N_THREADS) as pool:
        together = list(pool.map(call, range(N_CALLS)))
    assert together == alone * (N_CALLS // len(requests))
    assert len(set(alone)) == len(requests)


def test_the_shared_composer_of_muse_compose_is_safe(tmp_path: Path) -> None:
    def call(seed: int) -> bytes:
        return written(muse.compose("sad", bars=1, n_candidates=2, seed=seed % 2), tmp_path / f"{seed}.mid")

    with ThreadPoolExecutor(N_THREADS) as pool:
        together = list(pool.map(call, range(8)))
    assert together == [call(0), call(1)] * 4


@pytest.mark.parametrize("kind", [OnnxEngine, TorchEngine])
def test_a_sampler_may_be_asked_while_it_draws(composer: Composer, kind: type[OnnxEngine | TorchEngine]) -> None:
    """Rows of other lengths and numbers at the same time, and logits between them."""
    sampler = Sampler(kind(muse.checkpoint.find("arranger")))

    class Free:
        def begin(self, n_rows: int) -> None:
            self.n_rows, self.step = n_rows, 0

        def mask(self) -> None:
            return None

        def advance(self, ids: np.ndarray) -> None:
            self.step += 1

        def finished(self) -> np.ndarray:
            return np.full(self.n_rows, self.step >= 12)

        def unconditional(self, ids: np.ndarray) -> np.ndarray:
            return ids

    def call(number: int) -> list[float]:
        if number % 3 == 0:
            return sampler.logits(np.arange(1, 5 + number)).sum(axis=1).tolist()
        prefix = np.arange(1, 4 + number)
        rows = sampler.generate(prefix, 1 + number % 3, Free(), Sampling(), np.random.default_rng(number))
        return [float(i) for row in rows for i in row.ids]

    alone = [call(number) for number in range(12)]
    with ThreadPoolExecutor(N_THREADS) as pool:
        assert list(pool.map(call, range(12))) == alone
