"""Many pieces over all kinds of requests: is each what was asked for, and is the same seed the same file?

Contents: :func:`check_generations`, :func:`default_intents`.
"""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from muse.errors import InputError
from muse.evaluate.metrics.check import check_piece
from muse.evaluate.progress import Progress
from muse.intent import Intent
from muse.score import read_score

if TYPE_CHECKING:
    from muse.composer import Composer

__all__ = ["check_generations", "default_intents"]


def default_intents() -> Iterator[Intent]:
    """Requests without end that go round emotions, lengths, meters, instruments and keys, each in its own rhythm."""
    emotions = itertools.cycle(["Q1", "Q2", "Q3", "Q4", "sad", "joyful", "calm>tense", (0.3, -0.2), None])
    bars = itertools.cycle([16, 8, 4, 12, 17, 32, 1])
    meters = itertools.cycle(["4/4", "4/4", "3/4", "4/4", "2/4"])
    ensembles = itertools.cycle(
        [("piano",), ("violin", "cello"), ("piano",), ("piano", "voice"), ("guitar",), ("flute", "piano")]
    )
    keys = itertools.cycle([None, "Am", "C", None, "F#m", "Eb", None, None])
    for emotion, n, meter, instruments, key in zip(emotions, bars, meters, ensembles, keys, strict=False):
        yield Intent(emotion=emotion, bars=n, time_signature=meter, instruments=instruments, key=key)


def check_generations(
    composer: Composer,
    n: int = 200,
    *,
    intents: Sequence[Intent] | None = None,
    n_candidates: int = 1,
    n_repeated: int = 10,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Compose many pieces, write each, read it back, and see whether it is what was ordered.

    Parameters
    ----------
    composer
        Asked with seeds 0, 1, ...
    n
        Pieces.
    intents
        Requests, gone round as often as needed; :func:`default_intents` when None.
    n_candidates
        Per piece. One, so that no choice among several hides a bad one.
    n_repeated
        So many of the pieces, from the first on, are composed twice and their files compared byte for byte.
    progress
        Called with (done, n).

    Returns
    -------
    dict
        ``n``, ``n_faultless``, ``faults`` (name -> pieces that have it), ``n_repeated``, ``n_same_file``, and
        ``failures``: seed, request and findings of each piece with a fault.
    """
    if n < 1 or (intents is not None and not intents):
        raise InputError(f"n={n} pieces of {intents if intents is None else len(intents)} requests: need at least one")
    requests = default_intents() if intents is None else itertools.cycle(intents)
    faults: Counter[str] = Counter()
    failures: list[dict[str, Any]] = []
    same = 0
    n_repeated = min(n_repeated, n)
    with tempfile.TemporaryDirectory() as folder:
        file, again = Path(folder) / "piece.mid", Path(folder) / "again.mid"
        for seed, intent in zip(range(n), requests, strict=False):
            composer.compose(intent, n_candidates=n_candidates, seed=seed).save(file)
            try:
                check = check_piece(read_score(file), intent)
                found, finding = check.faults, check.to_dict()
            except InputError as error:
                found, finding = ("unreadable",), {"error": str(error)}
            if seed < n_repeated:
                composer.compose(intent, n_candidates=n_candidates, seed=seed).save(again)
                same += file.read_bytes() == again.read_bytes()
            faults.update(found)
            if found:
                failures.append({"seed": seed, "intent": intent.to_dict(), "finding": finding})
            if progress:
                progress(seed + 1, n)
    return {
        "n": n,
        "n_faultless": n - len(failures),
        "faults": dict(sorted(faults.items())),
        "n_repeated": n_repeated,
        "n_same_file": same,
        "failures": failures,
    }
