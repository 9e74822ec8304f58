"""Controls: attribute values to quantile buckets and back.

The edges are the octiles of each control over the windows that the generator learns from, apart for whole windows
(``song``) and for sections; they live in ``attributes/controls.json``. A bucket is thus a statement of rank ("denser
than five eighths of the corpus"), and every bucket has music behind it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from muse.attributes import N_BUCKETS, SECTION_CONTROLS, SONG_CONTROLS
from muse.checkpoint import Settings, data_path
from muse.errors import InputError
from muse.files import write_json

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
        """Octiles of values, float [n, 28] and [m, 10]; NaN is left out.

        A control that none of the music defines (in a small folder, say) has the octiles that come with Muse.
        """
        return cls(_octiles(song_values, "song"), _octiles(section_values, "section"))

    @classmethod
    def load(cls, path: Path | None = None) -> Controls:
        """Read ``controls.json`` (default: the one that comes with Muse).

        Raises
        ------
        InputError
            Edges are missing, or are not seven ascending numbers for every control.
        """
        path = path or data_path("attributes") / "controls.json"
        table = Settings.read(path)
        return cls(
            _edges(table.part("song"), SONG_CONTROLS, path), _edges(table.part("section"), SECTION_CONTROLS, path)
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


def _edges(table: Settings, names: Sequence[str], path: Path) -> np.ndarray:
    """float64 [names, 7]."""
    rows = []
    for name in names:
        row = table.values.get(name)
        numbers = row if isinstance(row, list) and all(type(x) in (int, float) for x in row) else []
        ascending = all(low <= high for low, high in itertools.pairwise([-1e300, *numbers, 1e300]))
        if len(numbers) != N_BUCKETS - 1 or not ascending:
            raise InputError(f"{path}: {name!r} needs {N_BUCKETS - 1} ascending numbers")
        rows.append(numbers)
    return np.array(rows, dtype=np.float64)


def _octiles(values: np.ndarray, scope: str) -> np.ndarray:
    """Octiles of each column, float64 [n_controls, 7]."""
    shares = np.arange(1, N_BUCKETS) / N_BUCKETS
    defined = np.isfinite(values).any(axis=0)
    edges = np.empty((values.shape[1], len(shares)))
    edges[defined] = np.nanquantile(values[:, defined], shares, axis=0).T
    if not defined.all():
        edges[~defined] = getattr(Controls.load(), scope)[~defined]
    return edges
