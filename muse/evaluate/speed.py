"""Speed: our sampler beside ``transformers.generate``, the recogniser, and what a user waits for.

Both sides of the comparison decode the same weights in the same process with the same number of threads and the same
sampling parameters, from the same prefix, to the same number of new tokens, with a key/value cache and without a
grammar. Repetitions alternate between them, so that other work on the machine meets both alike, and the ratio is the
median of the ratios within repetitions.

Our side may use int8 weights (its default on the CPU). What that changes is measured as well: the divergence of the
next-token distribution from that of the float32 weights, on text that the model wrote itself.
"""

from __future__ import annotations

import itertools
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from muse.checkpoint import find
from muse.composer.arrange import DEFAULT_ARRANGER
from muse.errors import InputError
from muse.generator.model import SIZES, build
from muse.generator.sampler import Sampler, Sampling

__all__ = ["run_bench"]

N_PREFIX = 32  # ids in front; a typical control prefix
SOUND_SEC = 60
RANDOM_VOCAB = 640  # of the stand-in for a checkpoint that is not there
PACKAGES = ("torch", "transformers", "onnxruntime", "numpy", "muse-music")

Progress = Callable[[float], None]

_T = TypeVar("_T")


def run_bench(
    checkpoint: str | Path = DEFAULT_ARRANGER,
    *,
    batches: Sequence[int] = (1, 4, 16),
    n_new: int = 256,
    repetitions: int = 5,
    threads: int | None = None,
    dtype: str | None = None,
    command: bool = True,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure, and return a document that JSON can hold.

    Parameters
    ----------
    checkpoint
        A name or folder. The name of a size without a checkpoint is measured with random weights, which changes
        nothing about the speed of the sampler; what needs a trained one is left out.
    batches
        Rows decoded at once.
    n_new
        Tokens that each row gets.
    repetitions
        Of every measurement; medians are reported.
    threads
        CPU threads of both sides. Default: one or all cores, whichever our side is faster with just now; several help
        it from a few rows on, if nothing else runs.
    dtype
        Of our sampler; see :meth:`muse.generator.sampler.Sampler.from_pretrained`.
    command
        Also time the whole ``muse compose``, attribute extraction on what it wrote, and the recogniser.
    progress
        Called with the share done, 0..1.

    Returns
    -------
    dict
        ``generation``: per batch, tokens per second of both sides and their ``ratio``; ``fidelity``: divergence in
        nats per token and share of equal likeliest tokens, of our weights and float32; ``load_s``; ``startup_s``:
        seconds of the shortest commands from start to exit, median of three, by their arguments; ``command``:
        seconds of one ``muse compose --bars 16 --candidates 4`` from start to exit; ``extraction``: milliseconds per
        window of 16 bars; ``recognition``: seconds of sound that the recogniser reads in a second; settings and
        versions. ``None`` for what could not be measured here.

    Raises
    ------
    InputError
        There is neither such a checkpoint nor such a size, or a number is not positive.
    """
    import torch

    _check(n_new=n_new, repetitions=repetitions, threads=1 if threads is None else threads, batches=batches)
    n_done, n_steps = itertools.count(1), len(batches) * repetitions + (4 if command else 1)

    def tick() -> None:
        if progress is not None:
            progress(next(n_done) / n_steps)

    n_cores = threads or torch.get_num_threads()
    with (
        torch.random.fork_rng(devices=[]),
        _weights(checkpoint) as (folder, trained),
        _torch_threads(threads or _faster_threads(folder, dtype)) as n_threads,
    ):
        decoding = _decoding(folder, dtype, n_threads, batches, n_new, repetitions, tick)
        whole = _command(tick) if command and trained else None
        return {
            "checkpoint": str(checkpoint),
            "weights": "trained" if trained else "random",
            **decoding,
            "startup_s": _startup(tick) if command and trained else None,
            "command": whole and whole["command"],
            "extraction": whole and whole["extraction"],
            "recognition": _recognition(n_cores, repetitions, tick) if command else None,
            "versions": {"python": platform.python_version(), **_versions()},
            "machine": platform.platform(),
        }


def _check(*, batches: Sequence[int], **numbers: int) -> None:
    """All numbers are 1 or more."""
    named = [*numbers.items(), *(("a batch", size) for size in batches)]
    if faults := [f"{name} is {value}, legal is 1 or more" for name, value in named if value < 1]:
        raise InputError("; ".join(faults))


def _timed(work: Callable[[], _T]) -> tuple[_T, float]:
    """What a function gives, and the seconds that it takes."""
    started = time.perf_counter()
    return work(), time.perf_counter() - started


def _decoding(
    folder: Path,
    dtype: str | None,
    n_threads: int,
    batches: Sequence[int],
    n_new: int,
    repetitions: int,
    tick: Callable[[], None],
) -> dict[str, Any]:
    """Both sides' decoding of the same weights: what they are, how fast, how faithful, how long they load."""
    sampler, our_load_s = _timed(lambda: Sampler.from_pretrained(folder, dtype=dtype, threads=n_threads))
    theirs, their_load_s = _timed(lambda: _transformers(folder))
    generation = [
        _compare(sampler, theirs, n_rows, n_new=n_new, repetitions=repetitions, tick=tick) for n_rows in batches
    ]
    fidelity = _fidelity(sampler, folder, n_new)
    tick()
    shape = sampler.engine.shape
    return {
        "n_parameters": sum(parameter.numel() for parameter in theirs.parameters()),
        "dtype": sampler.engine.dtype,
        "layers": shape.n_layers,
        "width": shape.width,
        "threads": n_threads,
        "prefix_tokens": N_PREFIX,
        "new_tokens": n_new,
        "repetitions": repetitions,
        "generation": generation,
        "fidelity": fidelity,
        "load_s": {"ours": round(our_load_s, 3), "transformers": round(their_load_s, 3)},
    }


class _Free:
    """A grammar that allows everything until every row has `n_new` ids."""

    def __init__(self, n_new: int) -> None:
        self._n_new = n_new

    def begin(self, n_rows: int) -> None:
        self._n_rows, self._step = n_rows, 0

    def mask(self) -> NDArray[np.bool_] | None:
        return None

    def advance(self, ids: NDArray[np.int64]) -> None:
        self._step += 1

    def finished(self) -> NDArray[np.bool_]:
        return np.full(self._n_rows, self._step >= self._n_new)

    def unconditional(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        return ids


def _prefix(vocab_size: int) -> NDArray[np.int64]:
    return np.arange(1, N_PREFIX + 1) % vocab_size


def _compare(
    sampler: Sampler, theirs: Any, n_rows: int, *, n_new: int, repetitions: int, tick: Callable[[], None]
) -> dict[str, Any]:
    """Tokens per second of both sides for one batch size."""
    import torch

    sampling = Sampling()
    prefix = _prefix(sampler.engine.shape.vocab_size)
    ids = torch.from_numpy(prefix).repeat(n_rows, 1)

    def ours(n_tokens: int, seed: int) -> None:
        rows = sampler.generate(prefix, n_rows, _Free(n_tokens), sampling, np.random.default_rng(seed))
        if sum(row.n_tokens for row in rows) != n_rows * n_tokens:
            raise RuntimeError("our sampler wrote another number of tokens")

    def transformers(n_tokens: int, seed: int) -> None:
        torch.manual_seed(seed)
        with torch.inference_mode():
            rows = theirs.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=True,
                temperature=sampling.temperature,
                top_k=sampling.top_k,
                top_p=sampling.top_p,
                min_new_tokens=n_tokens,
                max_new_tokens=n_tokens,
                use_cache=True,
                pad_token_id=0,
            )
        if rows.shape[1] != ids.shape[1] + n_tokens:
            raise RuntimeError("transformers wrote another number of tokens")

    seconds: dict[str, list[float]] = {"ours": [], "transformers": []}
    for seed in range(-1, repetitions):  # the first is a short one to warm up
        for name, run in (("ours", ours), ("transformers", transformers)):
            started = time.perf_counter()
            run(min(n_new, 16) if seed < 0 else n_new, max(seed, 0))
            if seed >= 0:
                seconds[name].append(time.perf_counter() - started)
        if seed >= 0:
            tick()
    speed = {name: n_rows * n_new / statistics.median(times) for name, times in seconds.items()}
    ratios = [theirs_s / ours_s for ours_s, theirs_s in zip(*seconds.values(), strict=True)]
    return {
        "batch": n_rows,
        "tokens_per_s": round(speed["ours"], 1),
        "transformers_tokens_per_s": round(speed["transformers"], 1),
        "ratio": round(statistics.median(ratios), 2),
        "ratio_low": round(min(ratios), 2),
        "ratio_high": round(max(ratios), 2),
        "ms_per_step": round(1000 * n_rows / speed["ours"], 3),
    }


def _fidelity(sampler: Sampler, folder: Path, n_new: int) -> dict[str, Any]:
    """Divergence of the sampler's next-token distribution from float32's, on a row that it wrote."""
    from scipy.special import log_softmax

    prefix = _prefix(sampler.engine.shape.vocab_size)
    n_tokens = min(n_new, sampler.context - len(prefix))
    (row,) = sampler.generate(prefix, 1, _Free(n_tokens), Sampling(), np.random.default_rng(0))
    ids = np.concatenate([prefix, row.ids])
    ours, exact = (
        log_softmax(model.logits(ids).astype(np.float64), axis=-1)
        for model in (sampler, Sampler.from_pretrained(folder, dtype="float32"))
    )
    divergence = (np.exp(exact) * (exact - ours)).sum(-1)  # Kullback-Leibler, from float32 to ours
    return {
        "divergence_nats": float(f"{divergence.mean():.3g}"),
        "divergence_nats_max": float(f"{divergence.max():.3g}"),
        "same_likeliest": round(float((exact.argmax(-1) == ours.argmax(-1)).mean()), 4),
        "n_tokens": len(ids),
    }


def _muse(*arguments: str) -> tuple[str, float]:
    """What a command of Muse prints as a process of its own, and its seconds from start to exit."""
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "muse", *arguments], capture_output=True, text=True, check=False)
    total_s = time.perf_counter() - started
    if done.returncode:
        raise InputError(f"muse {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout, total_s


def _startup(tick: Callable[[], None], repetitions: int = 3) -> dict[str, float]:
    """Seconds of commands in which starting is most of the work, the median of some."""
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        output = ["--output", str(Path(scratch) / "piece.mid")]
        for arguments, rest in (("info", []), ("compose --emotion sad --bars 8", output)):
            times = [_muse(*arguments.split(), *rest)[1] for _ in range(repetitions)]
            found[arguments] = round(statistics.median(times), 2)
    tick()
    return found


def _command(tick: Callable[[], None]) -> dict[str, Any]:
    """The whole ``muse compose`` as a process of its own, and attribute extraction on its piece."""
    from muse.attributes import extract
    from muse.score import read_score

    with tempfile.TemporaryDirectory() as scratch:
        piece = Path(scratch) / "piece.mid"
        arguments = ["compose", "--emotion", "happy", "--bars", "16", "--candidates", "4", "--seed", "0", "--json"]
        printed, total_s = _muse(*arguments, "--output", str(piece))
        timing = json.loads(printed)["timing"]
        score = read_score(piece)
        times = []
        for _ in range(11):
            started = time.perf_counter()
            extract(score)
            times.append(time.perf_counter() - started)
    tick()
    return {
        "command": {"arguments": " ".join(arguments), "total_s": round(total_s, 2), **timing},
        "extraction": {"ms_per_window": round(1000 * statistics.median(times), 2), "n_notes": score.note_num()},
    }


def _recognition(n_threads: int, repetitions: int, tick: Callable[[], None]) -> dict[str, Any]:
    """A minute of sound, all of whose features are looked at, whatever it is like."""
    from muse.recognizer import Recognizer

    recognizer, rate = Recognizer.from_pretrained(), 16_000
    sound = np.random.default_rng(0).normal(0, 0.1, SOUND_SEC * rate).astype(np.float32)
    times = []
    with _torch_threads(n_threads):
        recognizer.recognize(sound[: 10 * rate], rate)
        for _ in range(repetitions):
            started = time.perf_counter()
            recognizer.recognize(sound, rate)
            times.append(time.perf_counter() - started)
    tick()
    return {
        "sound_s": SOUND_SEC,
        "threads": n_threads,
        "times_real_time": round(SOUND_SEC / statistics.median(times), 1),
        "times_real_time_low": round(SOUND_SEC / max(times), 1),
    }


def _faster_threads(folder: Path, dtype: str | None) -> int:
    """One, or PyTorch's choice (the machine's cores): what decodes four rows faster, by the median of short runs."""
    import torch

    seconds = {}
    for n_threads in {1, torch.get_num_threads()}:
        sampler = Sampler.from_pretrained(folder, dtype=dtype, threads=n_threads)
        prefix, times = _prefix(sampler.engine.shape.vocab_size), []
        for _ in range(7):
            started = time.perf_counter()
            sampler.generate(prefix, 4, _Free(48), Sampling(), np.random.default_rng(0))
            times.append(time.perf_counter() - started)
        seconds[n_threads] = statistics.median(times)
    return min(seconds, key=lambda n_threads: seconds[n_threads])


@contextmanager
def _weights(checkpoint: str | Path) -> Iterator[tuple[Path, bool]]:
    """Folder of the weights, and whether they are trained: random ones stand in for a size without a checkpoint."""
    try:
        yield find(checkpoint, "llama"), True
        return
    except InputError:
        if str(checkpoint) not in SIZES:
            raise
    with tempfile.TemporaryDirectory() as scratch:
        build(str(checkpoint), RANDOM_VOCAB).save_pretrained(scratch)
        yield Path(scratch), False


@contextmanager
def _torch_threads(n_threads: int) -> Iterator[int]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield n_threads
    finally:
        torch.set_num_threads(before)


def _transformers(folder: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue  # run from a checkout, or without the optional runtime
    return found
