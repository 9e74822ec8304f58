"""What a piece is asked to measure: :class:`AttributeTarget`, and the buckets of the generator's controls.

Contents: :class:`AttributeTarget`, :func:`bucket_of`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from muse.attributes import N_BUCKETS
from muse.mapping.levels import GRID_SHARES, Floats


@dataclass(frozen=True)
class AttributeTarget:
    """What a piece (or a section) is asked to measure, for a subset of the attributes. All tuples have one length.

    Adherence is judged by ``value`` and the range; the generator gets ``bucket``.
    """

    names: tuple[str, ...]
    value: tuple[float, ...]
    """In the attribute's own unit."""
    low: tuple[float, ...]
    """Lower bound of the range that the bucket stands for."""
    high: tuple[float, ...]
    bucket: tuple[int, ...]
    """0 (least) .. 7 (most), by the octiles of the corpus."""
    weight: tuple[float, ...]
    """0..1, how much the attribute matters for the emotion; the largest is 1."""

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, name: str) -> float:
        """Value asked of an attribute; KeyError where it is left open."""
        try:
            return self.value[self.names.index(name)]
        except ValueError:
            raise KeyError(name) from None

    def values(self) -> dict[str, float]:
        """Value by attribute name."""
        return dict(zip(self.names, self.value, strict=True))

    def buckets(self) -> dict[str, int]:
        """Bucket by attribute name."""
        return dict(zip(self.names, self.bucket, strict=True))

    def select(self, names: Sequence[str]) -> AttributeTarget:
        """The part of the target that concerns `names`; the others are left open."""
        rows = [i for i, name in enumerate(self.names) if name in set(names)]
        columns = (self.names, self.value, self.low, self.high, self.bucket, self.weight)
        return AttributeTarget(*(tuple(column[i] for i in rows) for column in columns))  # type: ignore[arg-type]

    def to_dict(self) -> dict[str, dict[str, float]]:
        """``{name: {"value", "low", "high", "bucket", "weight"}}``."""
        rows = zip(self.names, self.value, self.low, self.high, self.bucket, self.weight, strict=True)
        return {n: {"value": v, "low": lo, "high": hi, "bucket": b, "weight": w} for n, v, lo, hi, b, w in rows}


def bucket_of(value: float, quantiles: Floats, edges: Sequence[float] | None) -> tuple[float, float, int]:
    """Lower and upper bound of the bucket that a value falls in, and its number.

    Parameters
    ----------
    value
        In the attribute's own unit.
    quantiles
        float [33], values of the corpus at the levels of the grid.
    edges
        The seven inner octiles; None: those of the corpus.
    """
    shares = np.arange(1, N_BUCKETS) / N_BUCKETS
    cuts = np.interp(shares, GRID_SHARES, quantiles) if edges is None else np.asarray(edges, dtype=np.float64)
    bucket = int(np.searchsorted(cuts, value, side="right"))
    bounds = np.concatenate([[min(quantiles[0], cuts[0])], cuts, [max(quantiles[-1], cuts[-1])]])
    return float(bounds[bucket]), float(bounds[bucket + 1]), bucket
