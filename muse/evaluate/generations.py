"""Many pieces over all kinds of requests: is each what was asked for, and is the same seed the same file?

Contents: :func:`check_generations`, :func:`default_intents`.
"""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from muse.errors import InputError
from muse.evaluate.metrics.check import PieceCheck, check_piece
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
    """Compose many pieces, write each, read it back, and see whether it is what was asked for.

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
        ``n``, ``n_faultless``, ``faults`` (name -> pieces that have it), ``n_repeated``, ``n_same_file``;
        ``instruments``, see below; and ``failures``: seed, request and findings of each piece with a fault.

        ``instruments`` counts separately what is easily confused: ``n_without_foreign``, pieces in which nothing plays
        that was not asked for; ``n_all_play``, pieces in which everything plays that was; and of the pieces that were
        asked for several instruments ``n_ensembles``, ``n_ensembles_all_play`` and ``least_bar_rate``, the mean share
        of bars in which the instrument plays that plays least (None without such pieces).

    Raises
    ------
    InputError
        There is nothing to compose.
    """
    if n < 1 or (intents is not None and not intents):
        raise InputError(f"n={n} pieces of {intents if intents is None else len(intents)} requests: need at least one")
    requests = default_intents() if intents is None else itertools.cycle(intents)
    found: list[_Found] = []
    same, n_repeated = 0, min(n_repeated, n)
    with tempfile.TemporaryDirectory() as folder:
        file, again = Path(folder) / "piece.mid", Path(folder) / "again.mid"
        for seed, intent in zip(range(n), requests, strict=False):
            composer.compose(intent, n_candidates=n_candidates, seed=seed).save(file)
            found.append(_Found.of(file, seed, intent))
            if seed < n_repeated:
                composer.compose(intent, n_candidates=n_candidates, seed=seed).save(again)
                same += file.read_bytes() == again.read_bytes()
            if progress:
                progress(seed + 1, n)
    failures = [one.to_dict() for one in found if one.faults]
    return {
        "n": n,
        "n_faultless": n - len(failures),
        "faults": dict(sorted(Counter(fault for one in found for fault in one.faults).items())),
        "n_repeated": n_repeated,
        "n_same_file": same,
        "instruments": _instruments(found),
        "failures": failures,
    }


@dataclass(frozen=True)
class _Found:
    """What one piece turned out to be."""

    seed: int
    intent: Intent
    check: PieceCheck | None
    """None where the file cannot be read."""
    error: str = ""

    @classmethod
    def of(cls, file: Path, seed: int, intent: Intent) -> _Found:
        try:
            return cls(seed, intent, check_piece(read_score(file), intent))
        except InputError as error:
            return cls(seed, intent, None, str(error))

    @property
    def faults(self) -> tuple[str, ...]:
        return ("unreadable",) if self.check is None else self.check.faults

    def to_dict(self) -> dict[str, Any]:
        finding = {"error": self.error} if self.check is None else self.check.to_dict()
        return {"seed": self.seed, "intent": self.intent.to_dict(), "finding": finding}


def _instruments(found: Sequence[_Found]) -> dict[str, Any]:
    """Which instruments play, as :func:`check_generations` tells it."""
    checks = [one.check for one in found if one.check]
    ensembles = [one.check for one in found if one.check and len(set(one.intent.programs)) > 1]
    rates = [check.least_bar_rate for check in ensembles]
    return {
        "n_without_foreign": sum(not check.foreign_programs for check in checks),
        "n_all_play": sum(not check.missing_programs for check in checks),
        "n_ensembles": len(ensembles),
        "n_ensembles_all_play": sum(not check.missing_programs for check in ensembles),
        "least_bar_rate": round(float(np.mean(rates)), 4) if rates else None,
    }
