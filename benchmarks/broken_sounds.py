"""Broken sound files: each gives a result or one clear line, in bounded time and memory.

``python benchmarks/broken_sounds.py [--n 100] [--seed 0]`` makes a short file in each container, breaks copies of it
(cut off, bytes changed in the header or anywhere, blocks swapped, doubled or zeroed), recognizes them one after the
other in a process of its own for each container, and prints JSON: how many were recognized and refused, what went wrong
(another exception, more than a line, the file not named, a process that died), the slowest file and the peak of memory.
Exits 1 if anything went wrong or a limit was passed.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import av
import numpy as np

from muse.errors import MuseError
from muse.recognizer import Recognizer

CONTAINERS = {
    "wav": "pcm_s16le", "flac": "flac", "mp3": "libmp3lame", "m4a": "aac", "ogg": "flac", "mka": "flac",
    "aiff": "pcm_s16be", "ts": "aac",
}  # fmt: skip
MOST_SEC, MOST_GB = 20.0, 1.5
RATE = 44_100


def write(path: Path, codec: str, seconds: float = 3.0) -> bytes:
    """Two voices and a beat, in stereo."""
    time_sec = np.arange(int(seconds * RATE)) / RATE
    tone = 0.3 * np.sin(2 * np.pi * 220 * time_sec) + 0.2 * np.sin(2 * np.pi * 277.2 * time_sec)
    sound = (tone * (0.5 + 0.5 * np.sign(np.sin(4 * np.pi * time_sec)))).astype(np.float32)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=RATE, layout="stereo")
        for first in range(0, len(sound), 1024):
            frame = av.AudioFrame.from_ndarray(np.stack([sound[first : first + 1024]] * 2), "fltp", "stereo")
            frame.sample_rate, frame.pts = RATE, first
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path.read_bytes()


def broken(whole: bytes, rng: np.random.Generator) -> bytes:
    """One of six ways to break a file."""
    data = bytearray(whole)
    n = len(data)
    first, second = sorted(rng.integers(0, n, 2).tolist())
    way = rng.integers(6)
    if way == 0:
        return bytes(data[: max(first, 1)])
    if way in (1, 2):  # in the header, or anywhere
        for place in rng.integers(0, min(n, 256) if way == 1 else n, int(rng.integers(1, 32))):
            data[place] = int(rng.integers(256))
    elif way == 3:
        data[first:second] = bytes(second - first)
    elif way == 4:
        data = data[:first] + data[second:] + data[first:second]
    else:
        data = data[:second] + data[first:]
    return bytes(data)


def recognize(container: str, n: int, seed: int) -> dict[str, Any]:
    """Break and recognize `n` files of a container."""
    recognizer = Recognizer.from_pretrained()
    rng = np.random.default_rng([seed, *container.encode()])
    found: dict[str, Any] = {"recognized": 0, "refused": 0, "wrong": [], "slowest_s": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        whole = write(Path(folder) / f"whole.{container}", CONTAINERS[container])
        for i in range(n):
            path = Path(folder) / f"{i}.{container}"
            path.write_bytes(broken(whole, rng))
            started = time.perf_counter()
            try:
                result = recognizer.recognize(path)
                found["recognized"] += 1
                if not np.isfinite(result.curve).all():
                    found["wrong"].append(f"{i}: the curve is not finite")
            except MuseError as error:
                found["refused"] += 1
                if "\n" in str(error) or path.name not in str(error):
                    found["wrong"].append(f"{i}: {error!r}")
            except Exception as error:
                found["wrong"].append(f"{i}: {error!r}")
            found["slowest_s"] = round(max(found["slowest_s"], time.perf_counter() - started), 2)
            path.unlink()
    found["peak_gb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
    return found


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=100, help="broken files in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--container", choices=CONTAINERS, help="only this one, in this process")
    given = parser.parse_args()
    each = -(-given.n // len(CONTAINERS))
    if given.container:
        sys.stdout.write(json.dumps(recognize(given.container, given.n, given.seed)))
        return
    report: dict[str, Any] = {}
    for container in CONTAINERS:
        command = [sys.executable, __file__, "--container", container, "--n", str(each), "--seed", str(given.seed)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=each * MOST_SEC + 120, check=False)
        died = {"wrong": [f"exit code {done.returncode}: {done.stderr.strip()[-300:]}"], "slowest_s": 0, "peak_gb": 0}
        report[container] = died if done.returncode else json.loads(done.stdout)
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    bad = [r for r in report.values() if r["wrong"] or r["slowest_s"] > MOST_SEC or r["peak_gb"] > MOST_GB]
    raise SystemExit(1 if bad else 0)


if __name__ == "__main__":
    main()
