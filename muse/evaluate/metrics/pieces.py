"""Metrics: scores to numbers, for reports on generated music.

Conventions
-----------
attack
    Notes that begin together; its pitch is the highest of them.
IOI class
    ``round(2 * log2(seconds))`` of the time to the next attack: half octaves of duration, so that human timing does
    not count as variety.
rank correlation
    Spearman's; NaN where one side does not vary or fewer than three pairs are defined.

Contents
--------
``PieceCheck``, ``check_piece``    is a piece what was ordered: bars, instruments, silence, end
``phrases``, ``distinct_phrases``, ``shared_phrases``    variety within a group of pieces
``spread_ratio``                   spread of attributes within a group, beside another group's
``control_correlations``           asked against measured, for every control
``bootstrap``                      confidence interval of a statistic over groups of rows
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from muse.errors import InputError
from muse.intent import Intent
from muse.score import DRUMS, Score, bar_grid, note_array
from muse.statistics import bootstrap

__all__ = [
    "PieceCheck",
    "check_piece",
    "control_correlations",
    "distinct_phrases",
    "phrases",
    "shared_phrases",
    "spearman",
    "spread_ratio",
]

Floats: TypeAlias = NDArray[np.float64]
Notes: TypeAlias = NDArray[np.void]
Phrase: TypeAlias = tuple[tuple[int, int], ...]

CHORD_GAP_SEC = 0.035
"""Onsets closer than this are one attack: transcribed hands spread a chord by 10 to 30 ms."""
TICK_BEAT = 1e-3
"""Tolerance for positions, in beats: less than one tick at any common resolution."""


@dataclass(frozen=True)
class PieceCheck:
    """What a piece has, beside what was asked. ``faults`` is empty for a piece that is what was ordered."""

    bars_asked: int
    bars: int
    """Bars, in the meter asked for, up to the end of the last sounding note."""
    meter_kept: bool
    """Every bar has the time signature asked for."""
    n_notes: int
    n_beyond_end: int
    """Notes that start or still sound after the last bar asked for."""
    foreign_programs: tuple[int, ...]
    """Programs (128 = drums) that nobody asked for."""
    n_silent_bars: int
    """Bars of those asked for in which nothing sounds."""

    @property
    def faults(self) -> tuple[str, ...]:
        """Names of the promises that are broken."""
        found = {
            "bars": self.bars != self.bars_asked,
            "meter": not self.meter_kept,
            "end": self.n_beyond_end > 0,
            "instruments": bool(self.foreign_programs),
            "silence": self.n_silent_bars > 0.1 * self.bars_asked,
        }
        return tuple(name for name, broken in found.items() if broken)

    def to_dict(self) -> dict[str, Any]:
        """The fields and faults in JSON's types."""
        return {**asdict(self), "faults": list(self.faults)}


def check_piece(score: Score, intent: Intent) -> PieceCheck:
    """Compare a piece with the bars, meter and instruments that were asked for."""
    notes = note_array(score)
    numerator, denominator = intent.meter
    bar_beat = 4.0 * numerator / denominator
    end_beat = notes["onset_beat"] + notes["duration_beat"]
    last_beat = float(end_beat.max()) if len(notes) else 0.0
    bars = int(np.ceil((last_beat - TICK_BEAT) / bar_beat)) if len(notes) else 0
    grid = bar_grid(score)
    start = np.arange(intent.bars)[:, None] * bar_beat
    sounds = (notes["onset_beat"] < start + bar_beat - TICK_BEAT) & (end_beat > start + TICK_BEAT)
    foreign = set(np.unique(notes["program"]).tolist()) - set(intent.programs)
    return PieceCheck(
        bars_asked=intent.bars,
        bars=bars,
        meter_kept=bool(np.all((grid.numerator == numerator) & (grid.denominator == denominator))),
        n_notes=len(notes),
        n_beyond_end=int((end_beat > intent.bars * bar_beat + TICK_BEAT).sum()),
        foreign_programs=tuple(sorted(int(p) for p in foreign)),
        n_silent_bars=int((~sounds.any(axis=1)).sum()),
    )


def phrases(notes: Notes, n: int = 4, limit: int | None = None) -> list[Phrase]:
    """The n-grams of (pitch interval, IOI class) over successive attacks of pitched notes.

    Parameters
    ----------
    notes
        ``note_array``.
    n
        Pairs in a phrase.
    limit
        Look at this many attacks from the start only, so that groups with pieces of unlike length compare.
    """
    notes = notes[notes["program"] < DRUMS]
    notes = notes[np.argsort(notes["onset_sec"], kind="stable")]
    if len(notes) < 2:
        return []
    starts = np.flatnonzero(np.r_[True, np.diff(notes["onset_sec"]) > CHORD_GAP_SEC])
    top = np.maximum.reduceat(notes["pitch"].astype(int), starts)[:limit]
    time = notes["onset_sec"][starts][:limit]
    pace = np.round(2 * np.log2(np.diff(time))).astype(int)
    pairs = list(zip(np.diff(top).tolist(), pace.tolist(), strict=True))
    return [tuple(pairs[i : i + n]) for i in range(len(pairs) - n + 1)]


def distinct_phrases(pieces: Sequence[Sequence[Phrase]]) -> float:
    """Different phrases over all phrases of a group (distinct-n; Li et al., NAACL 2016): 0..1, NaN without phrases."""
    pool = [phrase for piece in pieces for phrase in piece]
    return len(set(pool)) / len(pool) if pool else float("nan")


def shared_phrases(pieces: Sequence[Sequence[Phrase]]) -> float:
    """Mean share of a piece's phrases that its nearest fellow in the group has too: 0..1; high means near copies."""
    sets = [set(piece) for piece in pieces if piece]
    if len(sets) < 2:
        return float("nan")
    nearest = [max(len(a & b) / len(a) for j, b in enumerate(sets) if j != i) for i, a in enumerate(sets)]
    return float(np.mean(nearest))


def spread_ratio(values: Floats, reference: Floats) -> Floats:
    """Standard deviation of each column over that of a reference group: [n, k], [m, k] -> [k]; NaN if that is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.nanstd(values, axis=0) / np.nanstd(reference, axis=0)
    return np.where(np.isfinite(ratio), ratio, np.nan)


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Rank correlation of the pairs that are defined on both sides, ties sharing their mean rank."""
    from scipy.stats import rankdata

    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    both = np.isfinite(x) & np.isfinite(y)
    if both.sum() < 3 or np.ptp(x[both]) == 0 or np.ptp(y[both]) == 0:
        return float("nan")
    return float(np.corrcoef(rankdata(x[both]), rankdata(y[both]))[0, 1])


def control_correlations(asked: ArrayLike, measured: ArrayLike, names: Sequence[str]) -> list[dict[str, Any]]:
    """Rank correlation of asked with measured, for every control, over generated pieces.

    Parameters
    ----------
    asked, measured
        Values or buckets [n_pieces, n_controls]; NaN where a control was not asked for or is undefined.
    names
        Of the controls [n_controls].

    Returns
    -------
    list of dict
        Per control, best first: ``name``, ``n`` pairs, ``rho``, and its 95 % interval ``low``, ``high`` from a
        bootstrap over pieces. None instead of NaN.

    Raises
    ------
    InputError
        Shapes do not fit.
    """
    a, m = np.asarray(asked, dtype=float), np.asarray(measured, dtype=float)
    if a.ndim != 2 or a.shape != m.shape or a.shape[1] != len(names):
        raise InputError(
            f"asked {a.shape}, measured {m.shape} and {len(names)} names do not fit; "
            "give two arrays [n_pieces, n_controls] and a name per control"
        )
    rows = []
    for k, name in enumerate(names):
        pair = np.stack([a[:, k], m[:, k]], axis=1)
        pair = pair[np.isfinite(pair).all(axis=1)]
        rho = spearman(pair[:, 0], pair[:, 1])
        low, high = bootstrap(pair, lambda p: spearman(p[:, 0], p[:, 1])) if np.isfinite(rho) else (np.nan, np.nan)
        rows.append({"name": name, "n": len(pair), "rho": _number(rho), "low": _number(low), "high": _number(high)})
    return sorted(rows, key=lambda row: (row["rho"] is None, -(row["rho"] or 0.0)))


def _number(value: float) -> float | None:
    return None if not np.isfinite(value) else round(float(value), 4)
