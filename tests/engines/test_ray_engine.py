"""A Ray cluster of two nodes on this machine: the same corpus as without it, though one of the nodes dies."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kit import clip

from muse.dataset import build_corpus
from muse.engines import Died, ProcessPool, RayEngine, find_engine
from muse.engines import ray as engine_of_ray
from muse.errors import InputError, MuseError
from muse.score import from_notes, write_score

cluster_utils = pytest.importorskip("ray.cluster_utils", reason="Ray is not installed (extra `scale`)")

SMALL = {"num_cpus": 1, "object_store_memory": 100_000_000}


class Nodes:
    """Two nodes of one processor each; the second may die."""

    def __init__(self) -> None:
        self._cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=SMALL | {"include_dashboard": False})
        self._second = self._cluster.add_node(**SMALL)
        self.address: str = self._cluster.address

    def kill_one(self) -> None:
        self._cluster.remove_node(self._second, allow_graceful=False)

    def close(self) -> None:
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    two = Nodes()
    yield two
    two.close()


def content(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


@pytest.mark.slow
def test_a_task_that_kills_its_actor_is_given_up_alone(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_of_ray, "TRIES", 2)

    def misbehave(task: str) -> str:
        if task == "exit":
            os._exit(3)
        return task.upper()

    results: dict[int, Any] = dict(RayEngine(address=nodes.address).map(misbehave, enumerate(["a", "exit", "b"])))
    died = results.pop(1)
    assert results == {0: "A", 2: "B"} and isinstance(died, Died) and "actor was lost" in died.reason
    monkeypatch.setattr(engine_of_ray, "_code", lambda: "another")
    with pytest.raises(MuseError, match="another version of Muse"):
        list(RayEngine(1, nodes.address).map(str.upper, [(0, "a")]))


@pytest.mark.slow
def test_a_node_dies_in_a_build_and_nothing_is_lost_or_twice(nodes: Nodes, tmp_path: Path) -> None:
    for i in range(12):
        notes = clip(1 + i % 4, np.random.default_rng(i))
        (tmp_path / "tunes").mkdir(exist_ok=True)
        write_score(from_notes(notes), tmp_path / f"tunes/{i}.mid")
    seen = []

    def progress(done: int, total: int) -> None:
        seen.append(done)
        if done == 4:
            nodes.kill_one()

    engine = RayEngine(address=nodes.address)
    there = build_corpus([tmp_path / "tunes"], tmp_path / "there", engine=engine, progress=progress)
    assert seen == list(range(13))
    here = build_corpus([tmp_path / "tunes"], tmp_path / "here", engine=ProcessPool(1))
    assert here["n_windows"] == there["n_windows"] > 0
    assert content(tmp_path / "there") == content(tmp_path / "here")


def test_engines_are_found_by_name() -> None:
    here = ProcessPool(1)
    assert find_engine("local", local=here) is here
    with pytest.raises(InputError, match=r"unknown engine 'dask': .*local, ray"):
        find_engine("dask", local=here)
    with pytest.raises(InputError, match="--engine ray"):
        find_engine("local", local=here, address="host:6379")
    with pytest.raises(InputError, match="no Ray cluster at localhost:1"):
        list(RayEngine(address="localhost:1").map(str.upper, [(0, "a")]))
