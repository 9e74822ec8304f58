"""Many people use the page at once: ``python benchmarks/page_load.py --people 30 --minutes 10``.

Starts ``muse demo`` on loopback. Every person asks again and again for a piece of their own (a word or a place in the
plane, a length, a seed), as the browser does, and fetches it as MIDI and as sound. Counted are

* pieces, each checked by the seed and the intent inside the MIDI file, and sound that is not silent;
* refusals: "Queue is full" is the only one that is legal;
* waiting, from the click: until the first bars are on the roll, until the piece is there, until its sound is;
* memory of the page's own process and of those that compose, every two seconds, and the processor time that a piece
  takes of them. The mean of the last quarter of the time is compared with that of the second.

With ``--kill`` a process that composes is killed every so many seconds; as many requests may be lost, with the
message that says so. Prints a table (``--json``: one document) and exits with 1 where a promise is not kept. Linux.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from muse.score import read_text
from muse.tasks.request import ComposeRequest

WORDS = ("sad", "happy", "calm", "angry", "tense", "wistful", "triumphant", "serene")
LOST = "this request alone is lost"
MEMORY_GROWTH = 1.05
"""Of the last quarter of the time against the second, at most; the first is warming up."""


@dataclass
class Found:
    """What all people together saw."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    waits: dict[str, list[float]] = field(default_factory=lambda: {"first bar": [], "piece": [], "sound": []})
    memory_mb: list[tuple[float, float]] = field(default_factory=list)
    """Of the page's own process, and of all that compose, while people ask."""
    processor_sec: float = 0.0
    """Of the page and its processes, dead ones too."""

    def say(self, outcome: str, told: str = "") -> None:
        with self.lock:
            self.outcomes[outcome] += 1
            if told:
                self.faults.append(told)

    def waited(self, what: str, seconds: float) -> None:
        with self.lock:
            self.waits[what].append(seconds)


class Page:
    """The addresses of the page that a browser uses."""

    def __init__(self, address: str) -> None:
        self.address = address
        config = json.loads(self.get("config"))
        parts = {one["id"]: one["props"] for one in config["components"]}
        button = next(number for number, props in parts.items() if props.get("elem_id") == "compose")
        job = next(one for one in config["dependencies"] if [button, "click"] in one["targets"])
        self.job = job["id"]
        self.controls = [(parts[number].get("elem_id"), parts[number].get("value")) for number in job["inputs"]]
        self.player = [parts[number].get("elem_id") for number in job["outputs"]].index("player")

    def get(self, path: str, timeout: float = 60) -> bytes:
        with urllib.request.urlopen(f"{self.address}/{path}", timeout=timeout) as answer:
            return bytes(answer.read())

    def join(self, session: str, values: dict[str, Any]) -> None:
        body = {
            "data": [values.get(name, default) for name, default in self.controls],
            "fn_index": self.job, "session_hash": session,
        }  # fmt: skip
        request = urllib.request.Request(
            f"{self.address}/gradio_api/queue/join", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60):
            pass

    def events(self, session: str) -> Any:
        """What the queue says to a session, until its request is done."""
        path = f"{self.address}/gradio_api/queue/data?session_hash={session}"
        with urllib.request.urlopen(path, timeout=300) as stream:
            for line in stream:
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])


def values_of(request: ComposeRequest) -> dict[str, Any]:
    """What a person fills in for a request."""
    values: dict[str, Any] = {
        "bars": str(request.bars), "candidates": request.candidates, "seed": str(request.seed), "word": request.emotion
    }  # fmt: skip
    if request.valence is not None:
        values["plane"] = {"points": [[request.valence, request.arousal]], "heard": None}
    return values


def some_request(rng: random.Random) -> ComposeRequest:
    fixed: dict[str, Any] = {
        "bars": rng.choice((4, 8, 16)), "candidates": rng.choice((1, 2)), "seed": rng.randrange(1 << 30)
    }  # fmt: skip
    if rng.random() < 0.5:
        return ComposeRequest(emotion=rng.choice(WORDS), **fixed)
    return ComposeRequest(valence=round(rng.uniform(-1, 1), 2), arousal=round(rng.uniform(-1, 1), 2), **fixed)


def person(number: int, page: Page, until: float, found: Found) -> None:
    rng = random.Random(number)
    while time.monotonic() < until:
        request = some_request(rng)
        try:
            once(f"person{number}-{rng.randrange(1 << 30)}", page, request, found)
        except urllib.error.HTTPError as error:
            told = error.read().decode(errors="replace")
            full = error.code == 503 and "full" in told
            found.say("refused, queue full" if full else "error", "" if full else f"{error.code}: {told[:200]}")
            time.sleep(rng.uniform(1, 3))
        except Exception as error:
            found.say("error", f"{type(error).__name__}: {error}")


def once(session: str, page: Page, request: ComposeRequest, found: Found) -> None:
    clicked = time.monotonic()
    page.join(session, values_of(request))
    first_bar = 0.0
    for event in page.events(session):
        if event["msg"] == "process_generating" and not first_bar and '"chords"' in json.dumps(event):
            first_bar = time.monotonic() - clicked
            found.waited("first bar", first_bar)
        if event["msg"] == "process_completed":
            break
    else:
        found.say("error", "the queue went silent")
        return
    shown = event["output"].get("data", [None] * (page.player + 1))[page.player]
    if not isinstance(shown, dict) or "base" not in shown:
        told = json.dumps(event["output"])
        found.say("lost" if LOST in told else "error", "" if LOST in told else told[:300])
        return
    found.waited("piece", time.monotonic() - clicked)
    if not first_bar:  # it was written at once
        found.waited("first bar", time.monotonic() - clicked)
    midi = page.get(f"{shown['base']}/1.mid")
    sound = page.get(f"{shown['base']}/1.wav", timeout=300)
    found.waited("sound", time.monotonic() - clicked)
    with tempfile.NamedTemporaryFile(suffix=".mid") as file:
        file.write(midi)
        file.flush()
        origin = json.loads(read_text(file.name)[0])
    wrong = [
        name
        for name, got, asked in (
            ("seed", origin.get("seed"), request.seed),
            ("intent", origin.get("intent"), request.understood()[1].to_dict()),
            ("candidates", origin.get("candidates"), request.candidates),
        )
        if got != asked
    ]
    if np.abs(np.frombuffer(sound[44 : len(sound) // 2 * 2], np.int16)).max(initial=0) < 1000:
        wrong.append("sound is silent")
    found.say("wrong" if wrong else "right", f"{request}: {', '.join(wrong)}" if wrong else "")


def children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        text = "".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
        return [int(part) for part in text.split()]
    return []


def composing(pid: int) -> list[int]:
    """Processes of the page that compose."""
    kept = []
    for child in children(pid):
        with contextlib.suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                kept.append(child)
    return kept


def resident_mb(pid: int) -> float:
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024
    return 0.0


def memory_by_quarter(rows: list[tuple[float, float]]) -> dict[str, list[int]]:
    """Mean memory of each quarter of the time in MB, by kind of process."""
    quarters = np.array_split(np.array(rows), 4)
    means = [[float(kind) for kind in part.mean(axis=0)] for part in quarters if len(part)]
    return {
        "page": [round(page) for page, _ in means],
        "composing": [round(composing) for _, composing in means],
        "all": [round(page + composing) for page, composing in means],
    }


def processor_sec(pid: int) -> float:
    total = 0
    for one in (pid, *children(pid)):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15] if one == pid else fields[11:13]))
    return total / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def served(log: Any) -> Any:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "muse", "demo", "--port", str(port), "--no-browser"]
    server = subprocess.Popen(command, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                urllib.request.urlopen(f"{address}/health", timeout=5).close()
                break
            if server.poll() is not None:
                raise SystemExit("the page did not start")
            time.sleep(0.5)
        yield address, server.pid
    finally:
        server.terminate()
        server.wait(timeout=30)


def load(people: int, minutes: float, kill_sec: float, log: Any) -> tuple[Found, int]:
    found, n_killed = Found(), 0
    with served(log) as (address, pid):
        page = Page(address)
        until = time.monotonic() + 60 * minutes
        threads = [
            threading.Thread(target=person, args=(number, page, until, found), daemon=True) for number in range(people)
        ]
        for thread in threads:
            thread.start()
        next_kill = time.monotonic() + kill_sec if kill_sec else float("inf")
        while any(thread.is_alive() for thread in threads) and time.monotonic() < until + 300:
            if time.monotonic() < until:
                found.memory_mb.append((resident_mb(pid), sum(map(resident_mb, composing(pid)))))
            if time.monotonic() > next_kill and (victims := composing(pid)):
                os.kill(victims[0], signal.SIGKILL)
                n_killed += 1
                next_kill += kill_sec
            time.sleep(2)
        found.processor_sec = processor_sec(pid)
        if any(thread.is_alive() for thread in threads):
            found.say("error", "people still wait five minutes after the end")
        elif json.loads(page.get("health"))["running"]:
            found.say("error", "the page says that it still works when nobody waits")
    return found, n_killed


def report(found: Found, people: int, minutes: float, n_killed: int) -> dict[str, Any]:
    memory = memory_by_quarter(found.memory_mb)
    is_flat = memory["all"][-1] <= MEMORY_GROWTH * memory["all"][:2][-1]
    waits = {
        name: {f"p{p}": round(float(np.percentile(row, p)), 1) for p in (50, 95, 100)}
        for name, row in found.waits.items()
        if row
    }
    kept = not (set(found.outcomes) - {"right", "refused, queue full", "lost"}) and found.outcomes["right"] > 0
    return {
        "people": people, "minutes": minutes, "processors": os.cpu_count(), "outcomes": dict(found.outcomes),
        "processor_s_a_piece": round(found.processor_sec / max(1, found.outcomes["right"]), 2),
        "killed": n_killed, "waiting_s": waits,
        "memory_mb_by_quarter": memory, "flat": is_flat,
        "faults": found.faults[:20],
        "kept": bool(kept and found.outcomes["lost"] <= n_killed and is_flat),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=30)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--kill", type=float, default=0.0, metavar="SEC", help="kill a process so often")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryFile() as log:
        found, n_killed = load(arguments.people, arguments.minutes, arguments.kill, log)
        log.seek(0)
        said = log.read().decode(errors="replace")
    result = report(found, arguments.people, arguments.minutes, n_killed)
    if arguments.json:
        print(json.dumps(result, indent=2))
    else:
        for name, value in result.items():
            print(f"{name:<22}{value}")
    if not result["kept"]:
        print(said[-3000:], file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
