"""What one file, one piece and one minute of sound cost: processor time, bytes, memory.

``python benchmarks/unit_costs.py [--midi DIR] [--sound DIR] [-n N] [--processes N] [--pieces N] [--ray] [--only X]``
measures on one machine, and prints lines, or JSON with ``--json``:

corpus
    ``muse corpus build`` on the first N files below a folder of MIDI files: processor seconds and bytes a file; peak of
    the memory of all processes together; and by tenths of the files, files a second and processor seconds a file, so
    that a build that grows slower, or larger, is seen. Of it, collecting is what the one process needs that hands out
    files and writes parts. Finishing (duplicates, splits, shards) is counted apart.
engine, ray
    What handing out a task costs the process that hands out, with tasks that do nothing: one over it is the most tasks
    a second, whatever the number of workers. With processes, and with actors of a Ray cluster that is started for it.
compose
    Pieces of 16 bars at default settings: processor seconds and bytes a piece.
recognize
    Processor seconds for a minute of sound.

Processor seconds hardly depend on what else the machine does; seconds of the clock do. ``docs/scale.md`` computes with
these figures.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing as mp
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from muse.audio import sound_files
from muse.dataset import build_corpus
from muse.engines import Engine, ProcessPool, RayEngine
from muse.intent import Intent

PAGE_BYTES, TICKS = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")


def processor_sec() -> float:
    """Processor time so far of this process, of children that ended, and of those that live."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    total = sum(one.ru_utime + one.ru_stime for one in used)
    for child in mp.active_children():
        try:
            fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += (int(fields[11]) + int(fields[12])) / TICKS
    return total


def memory_bytes() -> int:
    """Resident memory of this process and its children, what they share counted in each."""
    total = 0
    for pid in ("self", *(child.pid for child in mp.active_children())):
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
        except OSError:
            continue
    return total


def corpus(folder: Path, n: int | None, n_processes: int) -> dict[str, Any]:
    """See the module."""
    moments: list[tuple[int, float, float]] = []
    own: list[float] = []
    memory: list[int] = []

    def watch(done: int, total: int) -> None:
        if done % max(1, total // 100) == 0 or done == total:
            moments.append((done, time.perf_counter(), processor_sec()))
            memory.append(memory_bytes())
            own.append(time.process_time())

    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as out:
        dataset = Path(out) / "dataset"
        summary = build_corpus([folder], dataset, limit=n, n_processes=n_processes, progress=watch)
        n_bytes = sum(path.stat().st_size for path in (dataset / "shards").iterdir())
        end_sec, end_processor = time.perf_counter(), processor_sec()
        memory.append(memory_bytes())
    total = moments[-1][0]
    tenths = [min(moments, key=lambda one: abs(one[0] - total * k / 10)) for k in range(11)]
    rates = [
        {"files_per_s": (b[0] - a[0]) / (b[1] - a[1]), "processor_s_per_file": (b[2] - a[2]) / (b[0] - a[0])}
        for a, b in itertools.pairwise(tenths)
    ]
    (_, begun_sec, begun_processor), (_, read_sec, read_processor) = moments[0], moments[-1]
    return {
        "files": total, "windows": summary["n_windows"], "tokens": summary["n_tokens"], "processes": n_processes,
        "clock_s": end_sec - begun_sec, "processor_s_per_file": (read_processor - begun_processor) / total,
        "collecting_processor_s_per_file": (own[-1] - own[0]) / total,
        "finishing_processor_s_per_file": (end_processor - read_processor) / total,
        "files_per_s_and_core": total / (read_processor - begun_processor),
        "files_per_clock_s": total / (read_sec - begun_sec), "bytes_per_file": n_bytes / total,
        "memory_gb": {"first_tenth": max(memory[1:11]) / 1e9, "last_tenth": max(memory[-11:-1]) / 1e9,
                      "finishing": memory[-1] / 1e9,
                      "peak_of_this_process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9},
        "first_tenth": rates[0], "last_tenth": rates[-1],
        "last_to_first": rates[0]["processor_s_per_file"] / rates[-1]["processor_s_per_file"],
    }  # fmt: skip


def handing_out(engine: Engine, n: int = 2000) -> dict[str, Any]:
    """See the module."""
    results = engine.map(str, ((i, i) for i in range(n)))
    next(results)
    begun = time.process_time()
    n_results = sum(1 for _ in results)
    return {"tasks": n_results, "processor_s_per_task": (time.process_time() - begun) / n_results}


def compose(n: int) -> dict[str, Any]:
    """See the module."""
    from muse.composer import Composer  # not above: processes of a build would load it too

    composer = Composer.from_pretrained()
    composer.compose(Intent(emotion="Q1", bars=16), seed=0)
    begun, n_bytes = time.process_time(), 0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(n):
            piece = composer.compose(Intent(emotion=f"Q{1 + seed % 4}", bars=16), seed=seed)
            piece.save(Path(folder) / "piece.mid")
            n_bytes += (Path(folder) / "piece.mid").stat().st_size + len(json.dumps(piece.to_json(), default=str))
    return {"pieces": n, "processor_s_per_piece": (time.process_time() - begun) / n, "bytes_per_piece": n_bytes / n}


def recognize(folder: Path, n: int) -> dict[str, Any]:
    """See the module."""
    from muse.recognizer import Recognizer

    recognizer = Recognizer.from_pretrained()
    files = list(itertools.islice(sound_files(folder), n + 1))
    recognizer.recognize(files[0])
    begun, seconds = time.process_time(), 0.0
    for file in files[1:]:
        seconds += recognizer.recognize(file).to_dict()["duration_s"]
    used = time.process_time() - begun
    return {"files": len(files) - 1, "minutes": seconds / 60, "processor_s_per_minute": used / (seconds / 60)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--midi", type=Path)
    parser.add_argument("--sound", type=Path)
    parser.add_argument("-n", type=int, help="MIDI files, the first of each corpus; all when not given")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--pieces", type=int, default=12)
    parser.add_argument("--only", choices=["corpus", "engine", "ray", "compose", "recognize"])
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    measured: dict[str, Callable[[], dict[str, Any]]] = {
        "engine": lambda: handing_out(ProcessPool(1)),
        "compose": lambda: compose(options.pieces),
    }
    if options.ray:
        measured["ray"] = lambda: handing_out(RayEngine(1))
    if options.midi:
        measured["corpus"] = lambda: corpus(options.midi, options.n, options.processes)
    if options.sound:
        measured["recognize"] = lambda: recognize(options.sound, 12)
    found = {name: measure() for name, measure in measured.items() if options.only in (None, name)}
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        for name, row in found.items():
            print(name, *(f"  {key}: {value if isinstance(value, (int, dict)) else f'{value:.4g}'}"
                          for key, value in row.items()), sep="\n")  # fmt: skip


if __name__ == "__main__":
    main()
