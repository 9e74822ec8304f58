"""Killed at any moment, started again: is the result the one of an undisturbed run?

``python benchmarks/killed.py OUT [-n 50] [--seed 0] [--midi DIR] [--sound DIR] [--corpora DIR --dataset DIR]`` runs
``muse compose --batch`` and, where there is something to run them on, ``muse corpus build``, ``muse recognize --table``
and ``muse evaluate``: once in peace, then `n` times in all (shared out evenly) with ``kill -9`` to the whole process
group at random moments of the time that a run takes. After every three kills the command is run to its end in the
folder that the kills left behind, and what is there is compared with the undisturbed run.

``--engine ray`` sends the work to a Ray cluster of two nodes on this machine and kills a node instead, once in every
run, so that the command itself survives; results are compared with the undisturbed run without Ray.

Prints JSON: for each command the kills, how many chains ended like the undisturbed run, which did not, and hidden
temporary files that kills left behind. Times of composing and of files are no part of a result. Ends with 1 if a result
differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PER_CHAIN = 3
REQUESTS = (
    {"emotion": "sad", "bars": 8}, {"text": "a happy waltz for flute and piano", "bars": 8},
    {"emotion": "Q2", "bars": 4}, {"arc": "calm>tense", "bars": 8, "instruments": "piano,violin"},
    {"tags": "epic:0.8, tense", "bars": 4},
    {"valence": 0.6, "arousal": -0.4, "bars": 8, "key": "D"},
)  # fmt: skip


@dataclass(frozen=True)
class Job:
    """A command whose last argument is where its result goes."""

    command: list[str]
    out: str
    """Name of its result in the folder of a run."""
    content: Callable[[Path], Any]
    """What of a result has to be the same."""


def jobs(options: argparse.Namespace) -> dict[str, Job]:
    """The commands that there is something for."""
    requests = options.out / "requests.jsonl"
    lines = [json.dumps({"id": f"p{i}", "candidates": 2, **row}) for i, row in enumerate(REQUESTS)]
    requests.write_text("\n".join(lines), encoding="utf-8")
    found = {"compose": Job(["compose", "--batch", str(requests), "-o"], "pieces", pieces)}
    if options.midi:
        found["corpus"] = Job(["corpus", "build", str(options.midi), "-o"], "dataset", files)
    if options.sound:
        found["recognize"] = Job(["recognize", str(options.sound), "--table"], "table.jsonl", table)
    if options.corpora and options.dataset and options.midi:
        found["evaluate"] = Job(
            ["evaluate", str(options.midi), "--corpora", str(options.corpora), "--dataset", str(options.dataset), "-o"],
            "report", report,
        )  # fmt: skip
    return {name: job for name, job in found.items() if not options.job or name in options.job}


def files(folder: Path) -> dict[str, str]:
    """Every file by the hash of its bytes."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def pieces(folder: Path) -> dict[str, Any]:
    """MIDI files by their bytes, reports without their times."""
    found: dict[str, Any] = {name: digest for name, digest in files(folder).items() if name.endswith(".mid")}
    for path in sorted(folder.glob("[!.]*.json")):
        found[path.name] = {k: v for k, v in json.loads(path.read_text(encoding="utf-8")).items() if k != "timing"}
    return found


def table(path: Path) -> list[str]:
    """Lines of a library's table, in the order of files."""
    return sorted(path.read_text(encoding="utf-8").splitlines())


def report(folder: Path) -> Any:
    """What was measured, without how long it took."""
    return json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))


class Command:
    """A run of a command in a process group of its own."""

    def __init__(self, job: Job, folder: Path, *more: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._log = (folder / "log").open("a")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "muse", *job.command, str(folder / job.out), *more],
            stdout=self._log, stderr=self._log, start_new_session=True,
        )  # fmt: skip

    def ends(self, within_sec: float | None = None) -> bool:
        """Whether it comes to its end, within that time."""
        try:
            code = self._process.wait(within_sec)
        except subprocess.TimeoutExpired:
            return False
        if code != 0:
            raise SystemExit(f"exit code {code}, see {self._log.name}")
        return True

    def kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def killed(job: Job, folder: Path, run_sec: float, n: int, rng: random.Random) -> tuple[int, float]:
    """A chain: up to `n` times started and killed, then run to its end. How many kills came before the end, and the
    time of a run as far as it is known by now."""
    for kills in range(n):
        begun = time.perf_counter()
        command = Command(job, folder)
        if command.ends(rng.uniform(0, run_sec)):
            return kills, min(run_sec, time.perf_counter() - begun)
        command.kill()
    Command(job, folder).ends()
    return n, run_sec


def node_killed(job: Job, folder: Path, run_sec: float, rng: random.Random) -> tuple[int, float]:
    """Run on a Ray cluster of which a node is killed on the way: 1 if the command still ran then, and its time."""
    from ray.cluster_utils import Cluster

    small = {"num_cpus": 1, "object_store_memory": 100_000_000}
    cluster = Cluster(initialize_head=True, head_node_args=small | {"include_dashboard": False})
    try:
        node = cluster.add_node(**small)
        begun = time.perf_counter()
        command = Command(job, folder, "--engine", "ray", "--address", cluster.address)
        if command.ends(rng.uniform(0.3 * run_sec, run_sec)):
            return 0, min(run_sec, time.perf_counter() - begun)
        cluster.remove_node(node, allow_graceful=False)
        command.ends()
        return 1, run_sec
    finally:
        cluster.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path, help="new folder for all that is made")
    parser.add_argument("-n", type=int, default=50, help="kills in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", choices=["local", "ray"], default="local")
    parser.add_argument("--job", action="append", help="only this command; repeatable")
    for name in ("--midi", "--sound", "--corpora", "--dataset"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    options.out.mkdir(parents=True)
    rng = random.Random(options.seed)
    found = {}
    several = jobs(options)
    for name, job in several.items():
        begun = time.perf_counter()
        Command(job, options.out / name / "whole").ends()
        run_sec = time.perf_counter() - begun
        whole = job.content(options.out / name / "whole" / job.out)
        wanted, kills, chains, differ = options.n // len(several), 0, 0, []
        typical_sec = run_sec
        while kills < wanted and chains < 2 * wanted:
            folder = options.out / name / f"chain-{chains}"
            if options.engine == "ray":
                more, typical_sec = node_killed(job, folder, typical_sec, rng)
            else:
                more, typical_sec = killed(job, folder, typical_sec, min(PER_CHAIN, wanted - kills), rng)
            kills += more
            chains += 1
            if job.content(folder / job.out) != whole:
                differ.append(folder.name)
        hidden = sum(1 for path in (options.out / name).rglob(".*.part*"))
        found[name] = {
            "undisturbed_s": round(run_sec, 1), "kills": kills, "chains": chains,
            "like_undisturbed": chains - len(differ), "differ": differ, "temporary_files_left": hidden,
        }  # fmt: skip
        print(json.dumps({name: found[name]}), file=sys.stderr, flush=True)
    print(json.dumps(found, indent=2))
    raise SystemExit(any(row["differ"] for row in found.values()))


if __name__ == "__main__":
    main()
