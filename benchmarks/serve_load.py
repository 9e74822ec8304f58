"""Load on `muse serve`, with every answer checked: throughput, a soak, a thousand at once, and a server that is killed.

    python benchmarks/serve_load.py compare --minutes 9   one request at a time, one a core, a batch a core, in turns
    python benchmarks/serve_load.py steps                 steps of the model for several calls together and apart
    python benchmarks/serve_load.py soak --minutes 30     30 clients; memory by tenths [--rate 100: requests a minute]
    python benchmarks/serve_load.py mixed --requests 1000 all tasks at once, faults among them
    python benchmarks/serve_load.py kill --minutes 1      the server is killed under load and started again
    python benchmarks/serve_load.py first --requests 8    until the first bar of 16 is written, one client

A piece is right when the text in its MIDI file names the seed and the intent that were asked for; an analysis, when it
is that of the file that was sent. A client that is told to come again does, after the seconds that it is told. The last
line is a JSON document of the figures; the exit code is 1 if any answer was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import itertools
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

import muse
from muse.checkpoint import find
from muse.composer.arrange import DEFAULT_ARRANGER
from muse.generator.engines import OnnxEngine
from muse.intent import Intent
from muse.score import read_text
from muse.tasks.limits import N_BATCH

EMOTIONS = ("happy", "angry", "sad", "calm", "tense", "melancholic", "excited", "serene")
GONE = (httpx.TransportError,)
"""What a client sees of a server that is not there."""
Ask = Callable[[httpx.AsyncClient, int], Awaitable[bool]]


class Server:
    """`muse serve` as a process of its own."""

    def __init__(self, port: int, workers: int, waiting: int, batch: int = N_BATCH) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._command = [sys.executable, "-m", "muse", "serve", "--port", str(port)]
        self._command += ["--workers", str(workers), "--waiting", str(waiting)]
        self._command += ["--batch", str(batch)]
        self.process: subprocess.Popen[bytes]

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        for _ in range(600):
            with contextlib.suppress(*GONE):
                if httpx.get(f"{self.url}/health").status_code == 200:
                    return
            time.sleep(0.1)
        raise SystemExit("the server did not start")

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(60)

    def kill(self) -> set[int]:
        """Kill it without a word; gives its processes."""
        workers = set(self.tree()) - {self.process.pid}
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        return workers

    def tree(self) -> list[int]:
        """The server and the processes that it started."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [self.process.pid, *map(int, children)]

    def processor_sec(self) -> float:
        """Processor time of all its processes so far."""
        ticks = 0
        for pid in self.tree():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory_mb(self, kind: str = "Pss") -> float:
        """Memory of all its processes, shared pages counted in proportion; ``Pss_Anon``: without files, whose share
        depends on what else runs on the machine."""
        total = 0
        for pid in self.tree():
            with contextlib.suppress(OSError):
                found = Path(f"/proc/{pid}/smaps_rollup").read_text()
                total += next(int(line.split()[1]) for line in found.splitlines() if line.startswith(f"{kind}:"))
        return total / 1024


@dataclass
class Tally:
    """What became of all requests."""

    seconds: list[float] = field(default_factory=list)
    """Of each answer, from the first try."""
    seen: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def figures(self, wall_sec: float) -> dict[str, Any]:
        waits = np.array(self.seconds or [0.0])
        return {
            "answers": len(self.seconds), "per_minute": round(60 * len(self.seconds) / wall_sec, 1),
            "median_s": round(float(np.median(waits)), 2), "p95_s": round(float(np.quantile(waits, 0.95)), 2),
            "wrong": len(self.wrong), **self.seen,
        }  # fmt: skip


# ------------------------------------------------------------------------------------------- what is asked, and checked


def of_piece(midi: bytes, fields: dict[str, Any]) -> bool:
    """Whether a MIDI file says that it is what was asked for."""
    with tempfile.NamedTemporaryFile(suffix=".mid") as file:
        file.write(midi)
        file.flush()
        origin = json.loads(read_text(file.name)[0])
    asked = Intent(emotion=fields["emotion"], bars=fields["bars"]).to_dict()
    return bool(origin["seed"] == fields["seed"] and origin["intent"] == asked)


def fields_of(number: int, bars: int, candidates: int) -> dict[str, Any]:
    emotion = EMOTIONS[number % len(EMOTIONS)]
    return {"emotion": emotion, "bars": bars, "candidates": candidates, "seed": number}


def composing(bars: int, candidates: int) -> Ask:
    async def ask(client: httpx.AsyncClient, number: int) -> bool:
        fields = fields_of(number, bars, candidates)
        answer = await client.post("/compose?format=mid", json=fields)
        return of_piece(answer.raise_for_status().content, fields)

    return ask


async def streaming(client: httpx.AsyncClient, number: int) -> bool:
    fields = fields_of(number, 2, 1)
    answer = await client.post("/compose/stream", json=fields)
    last = answer.raise_for_status().text.strip().split("\n\n")[-1].split("\n")
    return last[0] == "event: piece" and of_piece(
        base64.b64decode(json.loads(last[1].removeprefix("data: "))["midi"]), fields
    )


async def understanding(client: httpx.AsyncClient, number: int) -> bool:
    bars, tempo = 4 + number % 60, 60 + number % 100
    answer = await client.post("/intent", json={"text": f"a sad piano piece, {bars} bars at {tempo} bpm"})
    intent = answer.raise_for_status().json()["intent"]
    return (intent["bars"], intent["tempo_bpm"]) == (bars, tempo)


async def illegal(client: httpx.AsyncClient, number: int) -> bool:
    answer = await client.post("/compose", json={"emotion": "sad", "bars": 1000 + number})
    if answer.status_code == 503:
        answer.raise_for_status()
    return answer.status_code == 422 and "bars" in answer.json()["error"]


def analyzing(folder: Path) -> Ask:
    """Files of several lengths, of which it is known what an analysis says."""
    files = []
    for number in range(8):
        piece = muse.compose(EMOTIONS[number], bars=2 + number, n_candidates=1, seed=number)
        piece.save(folder / f"{number}.mid")
        files.append(((folder / f"{number}.mid").read_bytes(), 2 + number, piece.best.n_notes))

    async def ask(client: httpx.AsyncClient, number: int) -> bool:
        data, bars, n_notes = files[number % len(files)]
        found = (await client.post("/analyze", content=data)).raise_for_status().json()
        return (found["bars"], found["n_notes"]) == (bars, n_notes)

    return ask


# ---------------------------------------------------------------------------------------------------------- the clients


async def asked_until_answered(client: httpx.AsyncClient, ask: Ask, number: int, tally: Tally) -> None:
    """Ask, and ask again when told to, or when the server was gone."""
    started = time.monotonic()
    while True:
        try:
            is_right = await ask(client, number)
        except httpx.HTTPStatusError as error:
            tally.seen[f"status_{error.response.status_code}"] += 1
            if error.response.status_code != 503:
                tally.wrong.append(f"{number}: {error.response.status_code} {error.response.text[:200]}")
                return
            # Not all at the same moment.
            await asyncio.sleep(int(error.response.headers["Retry-After"]) * random.uniform(0.5, 1.5))
        except GONE as error:
            tally.seen[type(error).__name__] += 1
            await asyncio.sleep(random.uniform(0.2, 1.0))
        except Exception as error:
            tally.wrong.append(f"{number}: {type(error).__name__}: {error}")
            return
        else:
            tally.seconds.append(time.monotonic() - started)
            if not is_right:
                tally.wrong.append(f"{number}: the answer is not that of the request")
            return


@contextlib.asynccontextmanager
async def connected(url: str, n: int) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Clients with so many connections in all; few each, for httpx looks at all of a client's at every step."""
    each = 20
    limits = httpx.Limits(max_connections=each, max_keepalive_connections=each)
    async with contextlib.AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                httpx.AsyncClient(base_url=url, timeout=httpx.Timeout(900, connect=60), limits=limits, verify=False)
            )
            for _ in range(-(-n // each))
        ]


async def clients(
    url: str, n: int, seconds: float, ask: Ask, first: int, per_minute: float = np.inf
) -> tuple[Tally, float]:
    """So many clients, each of whom asks again as soon as it has its answer, at most so often in all."""
    tally, numbers, started = Tally(), iter(range(first, 10**9)), time.monotonic()

    async def one(client: httpx.AsyncClient) -> None:
        for number in numbers:
            due = (number - first) * 60 / per_minute
            if max(due, time.monotonic() - started) >= seconds:
                return
            await asyncio.sleep(started + due - time.monotonic())
            await asked_until_answered(client, ask, number, tally)

    async with connected(url, n) as several:
        await asyncio.gather(*(one(several[i % len(several)]) for i in range(n)))
    return tally, time.monotonic() - started


def told(what: str, figures: dict[str, Any]) -> dict[str, Any]:
    print(what, json.dumps(figures), flush=True)
    return figures


# --------------------------------------------------------------------------------------------------------------- checks


def compare(options: argparse.Namespace) -> Iterator[tuple[str, Tally, dict[str, Any]]]:
    """One request at a time, a request for each core, and a batch of them for each core, in turns, so that all see the
    same machine."""
    turns, cores = options.turns, os.cpu_count() or 1
    kinds = {"one": (1, 1), "one_each_core": (cores, 1), "batch_each_core": (cores, options.batch)}
    per_minute: dict[str, list[float]] = {kind: [] for kind in kinds}
    processor: dict[str, list[float]] = {kind: [] for kind in kinds}
    for turn in range(turns):
        for kind, (workers, batch) in kinds.items():
            server = Server(options.port, workers, options.clients, batch)
            server.start()
            seconds = options.minutes * 60 / (turns * len(kinds))
            ask = composing(options.bars, options.candidates)
            asyncio.run(clients(server.url, 4 * workers * batch, 0.1, composing(2, 1), 0))  # the models are loaded
            before = server.processor_sec()
            tally, wall = asyncio.run(clients(server.url, options.clients, seconds, ask, 1000 * turn))
            figures = tally.figures(wall)
            figures["processor_s_a_piece"] = round((server.processor_sec() - before) / len(tally.seconds), 2)
            figures["pieces_a_step"] = pieces_a_step(httpx.get(f"{server.url}/metrics").text)
            server.end()
            per_minute[kind].append(figures["per_minute"])
            processor[kind].append(figures["processor_s_a_piece"])
            yield f"{kind}_turn_{turn + 1}", tally, figures
    means = {kind: round(float(np.mean(values)), 1) for kind, values in per_minute.items()}
    ratios = {kind: [round(a / b, 2) for a, b in zip(values, per_minute["one"], strict=True)]
              for kind, values in per_minute.items()}  # fmt: skip
    used = {kind: round(float(np.mean(values)), 2) for kind, values in processor.items()}
    yield "compared", Tally(), {"per_minute": means, "times_one": ratios, "processor_s_a_piece": used}


def steps(options: argparse.Namespace) -> Iterator[tuple[str, Tally, dict[str, Any]]]:
    """Steps of the arranger for calls of six rows: all calls in one step against one call after another, in turns;
    processor time."""
    rng, folder, n_rows = np.random.default_rng(0), find(DEFAULT_ARRANGER, "llama"), 6
    for dtype in ("int8", "float32"):
        engine = OnnxEngine(folder, quantized=dtype == "int8")
        for n_tokens, n_calls in itertools.product((60, 400, 1000), (2, 4, 6)):
            sets = [[engine.start(n_rows) for _ in range(n_calls)] for _ in range(2)]
            for cache in (cache for several in sets for cache in several):
                cache.load(0, rng.integers(1, engine.shape.vocab_size, n_tokens))
                cache.share(0, range(1, n_rows))
            together, times = engine.together(sets[0]), np.zeros((options.steps, 2))
            ids = rng.integers(1, engine.shape.vocab_size, (n_calls, n_rows, 1))
            for step in range(options.steps):
                started = time.process_time()
                together.extend(list(ids))
                middle = time.process_time()
                for cache, new in zip(sets[1], ids, strict=True):
                    cache.extend(new)
                times[step] = middle - started, time.process_time() - middle
            shared, alone = np.median(times[1:], axis=0) / (n_calls * n_rows) * 1e6
            figures = {"together_us_a_row": round(shared), "alone_us_a_row": round(alone)}
            ratio = float(np.median(times[1:, 1] / times[1:, 0]))
            yield f"{dtype}_{n_tokens}_tokens_{n_calls}_calls", Tally(), {**figures, "ratio": round(ratio, 2)}


def pieces_a_step(metrics: str) -> float:
    """Mean number of pieces whose rows a step of the models computed."""
    steps = {int(n): float(times) for n, times in re.findall(r'muse_steps_total{pieces="(\d+)"} (\S+)', metrics)}
    return round(sum(n * times for n, times in steps.items()) / max(sum(steps.values()), 1.0), 2)


def soak(options: argparse.Namespace) -> Iterator[tuple[str, Tally, dict[str, Any]]]:
    server = Server(options.port, os.cpu_count() or 1, options.clients)
    server.start()
    ask, memory = composing(options.bars, options.candidates), []
    for part in range(10):
        before = server.processor_sec()
        seconds = options.minutes * 6
        tally, wall = asyncio.run(clients(server.url, options.clients, seconds, ask, 100_000 * part, options.rate))
        memory.append(round(server.memory_mb(), 1))
        used = {
            "processor_s": round(server.processor_sec() - before, 1),
            "own_mb": round(server.memory_mb("Pss_Anon"), 1),
        }
        yield f"part_{part + 1}", tally, {**tally.figures(wall), **used, "memory_mb": memory[-1]}
    server.end()
    yield "memory", Tally(), {"memory_mb": memory}


def mixed(options: argparse.Namespace) -> Iterator[tuple[str, Tally, dict[str, Any]]]:
    """All tasks in one crowd, every request in the air at once."""
    server = Server(options.port, os.cpu_count() or 1, 64)
    with tempfile.TemporaryDirectory() as folder:
        kinds = [composing(2, 1)] * 4 + [streaming] + [understanding] * 2 + [analyzing(Path(folder))] * 2 + [illegal]
    server.start()
    tally = Tally()

    async def all_at_once() -> None:
        async with connected(server.url, options.requests) as several:
            asking = (
                asked_until_answered(several[number % len(several)], kinds[number % len(kinds)], number, tally)
                for number in range(options.requests)
            )
            await asyncio.gather(*asking)

    started = time.monotonic()
    asyncio.run(all_at_once())
    figures = {**tally.figures(time.monotonic() - started), "memory_mb": round(server.memory_mb(), 1)}
    server.end()
    yield "mixed", tally, figures


def kill(options: argparse.Namespace) -> Iterator[tuple[str, Tally, dict[str, Any]]]:
    """The server is killed in the middle and started again; whoever lost its answer asks again."""
    server = Server(options.port, os.cpu_count() or 1, options.clients)
    server.start()
    left: set[int] = set()

    async def killed() -> tuple[Tally, float]:
        work = asyncio.create_task(
            clients(server.url, options.clients, options.minutes * 60, composing(options.bars, options.candidates), 0)
        )
        await asyncio.sleep(options.minutes * 30)
        left.update(await asyncio.to_thread(server.kill))
        await asyncio.sleep(1)
        await asyncio.to_thread(server.start)
        return await work

    tally, wall = asyncio.run(killed())
    server.end()
    if orphans := sorted(pid for pid in left if Path(f"/proc/{pid}").exists()):
        tally.wrong.append(f"processes outlived the server: {orphans}")
    yield "killed", tally, tally.figures(wall)


def first(options: argparse.Namespace) -> Iterator[tuple[str, Tally, dict[str, Any]]]:
    """Until the first bar of a piece of 16 bars is there, and until the piece is: seconds, and processor time."""
    server = Server(options.port, 1, 1)
    server.start()
    httpx.post(f"{server.url}/compose", json=fields_of(0, 2, 1), timeout=300)  # the models are loaded
    for candidates in (1, 4):
        names = ("first_bar", "first_bar_processor", "piece", "piece_processor")
        tally, spent = Tally(), {name: list[float]() for name in names}
        for number in range(options.requests):
            started, before = time.monotonic(), server.processor_sec()
            fields, events = fields_of(number, 16, candidates), []
            with httpx.stream("POST", f"{server.url}/compose/stream", json=fields, timeout=300) as answer:
                for line in answer.iter_lines():
                    if line.startswith("event: "):
                        events.append(line)
                    if line in ("event: bar", "event: piece"):
                        what = "piece" if line == "event: piece" else "first_bar"
                        if what == "piece" or events.count(line) == 1:
                            spent[what].append(time.monotonic() - started)
                            spent[f"{what}_processor"].append(server.processor_sec() - before)
            tally.seconds.append(time.monotonic() - started)
            if events.count("event: bar") != 16 * candidates:
                tally.wrong.append(f"{fields}: {events.count('event: bar')} bars were told")
        figures = {f"{name}_s": round(float(np.median(values)), 2) for name, values in spent.items()}
        worst = {f"{name}_worst_s": round(max(values), 2) for name, values in spent.items() if "first" in name}
        yield f"{candidates} candidates", tally, {**figures, **worst}
    server.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("check", choices=["compare", "steps", "soak", "mixed", "kill", "first"])
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--clients", type=int, default=30)
    parser.add_argument("--rate", type=float, default=np.inf, help="requests a minute of all clients, for soak")
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--bars", type=int, default=8)
    parser.add_argument("--candidates", type=int, default=1)
    parser.add_argument("--batch", type=int, default=4, help="requests at once in a process, for compare")
    parser.add_argument("--steps", type=int, default=20, help="of the model at each length, for steps")
    parser.add_argument("--turns", type=int, default=3, help="of compare")
    parser.add_argument("--port", type=int, default=8765)
    options = parser.parse_args()
    document, wrong = {}, []
    for name, tally, figures in globals()[options.check](options):
        document[name] = told(name, figures)
        wrong += tally.wrong
    for line in wrong[:20]:
        print("wrong:", line)
    print(json.dumps(document))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
