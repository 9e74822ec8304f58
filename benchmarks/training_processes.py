"""Whether two processes on a CPU learn what one learns: curves of held-out loss, beside that of another seed.

    muse corpus lead-sheets CORPORA/pop909 -o runs/sheets
    python benchmarks/training_processes.py runs/sheets runs/processes

Four runs of one size and length, two batches a step: one process, two processes (gloo), two that share the weights out,
one process from another seed. Wall time is of the whole call, loading included.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CONFIG = {
    "windows": {
        "corpora": {"pop909": 1.0}, "limits": {"pop909": 300}, "bars": {"8": 0.5, "16": 0.5}, "batch_tokens": 600,
        "n_validation": 12,
    },
    "run": {"size": "micro", "accumulate": 2, "warmup_steps": 10},
}  # fmt: skip


def train(sheets: Path, out: Path, n_steps: int, n_processes: int, seed: int, strategy: str) -> dict[str, Any]:
    """Metrics of a run, with the seconds that it took."""
    config = out.with_suffix(".json")
    run = {**CONFIG["run"], "validate_every": max(n_steps // 8, 1)}
    config.write_text(json.dumps({**CONFIG, "run": run}), encoding="utf-8")
    command = [sys.executable, "-m", "muse", "train", "planner", str(sheets), "-o", str(out), "--config", str(config)]
    command += ["--steps", str(n_steps), "--devices", str(n_processes), "--strategy", strategy]
    command += ["--seed", str(seed), "--restart", "--json"]
    start = time.perf_counter()
    ended = subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, check=True)
    metrics: dict[str, Any] = json.loads(ended.stdout)
    return metrics | {"wall_s": time.perf_counter() - start}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sheets", type=Path, help="folder that `muse corpus lead-sheets` made, with POP909")
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=64)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    runs = {
        "one process": (1, 0, "ddp"), "two processes": (2, 0, "ddp"), "two, weights shared out": (2, 0, "fsdp"),
        "another seed": (1, 1, "ddp"),
    }  # fmt: skip
    found = {
        name: train(arguments.sheets, arguments.out / name.replace(" ", "-").replace(",", ""), arguments.steps, *how)
        for name, how in runs.items()
    }
    one = found["one process"]["history"]
    print("| step | " + " | ".join(found) + " |")
    print("|---|" + "---|" * len(found))
    for i, row in enumerate(one):
        losses = " | ".join(f"{metrics['history'][i]['val_loss']:.5f}" for metrics in found.values())
        print(f"| {row['step']:.0f} | {losses} |")
    for name, metrics in found.items():
        apart = max(abs(a["val_loss"] - b["val_loss"]) for a, b in zip(one, metrics["history"], strict=True))
        seconds = f"{metrics['wall_s']:.0f} s of wall time"
        print(f"{name}: at most {apart:.5f} nats from one process; {metrics['tokens']:,} tokens; {seconds}")


if __name__ == "__main__":
    main()
