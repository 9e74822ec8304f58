"""Controls: attribute values to quantile buckets and back.

The edges are the octiles of each control over the windows that the generator learns from, apart for whole windows
(``song``) and for sections; they live in ``attributes/controls.json``. A bucket is thus a statement of rank ("denser
than five eighths of the corpus"), and every bucket has music behind it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from muse.checkpoint import data_path
from muse.files import read_json, write_json
from muse.tokens.vocabulary import N_BUCKETS, SECTION_CONTROLS, SONG_CONTROLS

__all__ = ["Controls"]


@dataclass(frozen=True)
class Controls:
    """Bucket edges of the controls.

    Parameters
    ----------
    song
        float64 [28, 7], ascending along the last axis, in the order of ``SONG_CONTROLS``.
    section
        float64 [10, 7], in the order of ``SECTION_CONTROLS``.
    """

    song: np.ndarray
    section: np.ndarray

    @classmethod
    def fit(cls, song_values: np.ndarray, section_values: np.ndarray) -> Controls:
        """Octiles of values, float [n, 28] and [m, 10]; NaN is left out."""
        shares = np.arange(1, N_BUCKETS) / N_BUCKETS
        return cls(
            np.nanquantile(song_values, shares, axis=0).T.astype(np.float64),
            np.nanquantile(section_values, shares, axis=0).T.astype(np.float64),
        )

    @classmethod
    def load(cls, path: Path | None = None) -> Controls:
        """Read ``controls.json`` (default: the one that comes with Muse)."""
        table = read_json(path or data_path("attributes") / "controls.json")
        return cls(
            np.array([table["song"][name] for name in SONG_CONTROLS], dtype=np.float64),
            np.array([table["section"][name] for name in SECTION_CONTROLS], dtype=np.float64),
        )

    def save(self, path: Path) -> None:
        """Write the edges as readable JSON."""
        table = {
            "song": dict(zip(SONG_CONTROLS, np.round(self.song, 6).tolist(), strict=True)),
            "section": dict(zip(SECTION_CONTROLS, np.round(self.section, 6).tolist(), strict=True)),
        }
        write_json(table, path)

    def buckets(self, values: np.ndarray, scope: str) -> np.ndarray:
        """Bucket of each value, int64 of the same shape, -1 where the value is NaN.

        Parameters
        ----------
        values
            float [..., n_controls] in the order of the scope's controls.
        scope
            ``"song"`` or ``"section"``.
        """
        edges = self.song if scope == "song" else self.section
        buckets = (values[..., None] >= edges).sum(-1)
        return np.where(np.isnan(values), -1, buckets)

    def encode(self, values: Mapping[str, float], scope: str) -> np.ndarray:
        """Buckets of named values, int64 [n_controls]; -1 for what is not named."""
        names: Sequence[str] = SONG_CONTROLS if scope == "song" else SECTION_CONTROLS
        return self.buckets(np.array([values.get(name, np.nan) for name in names], dtype=np.float64), scope)
