"""Music to attribute values: :func:`extract`.

Conventions
-----------
Values are float32 ``[n_windows, n_columns]``, NaN where an attribute is undefined (no notes, no chords ...); extraction
never fails on a readable score of up to :data:`MOST_WINDOWS` windows. A window without any note has NaN everywhere but
in counts and densities, which are 0.

Contents: :func:`extract`, :class:`Attributes`, :func:`column_names`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from muse.attributes.catalogue import ATTRIBUTES, Attribute, attribute
from muse.attributes.window import Piece, Window
from muse.errors import InputError
from muse.score import Score, read_score

__all__ = ["Attributes", "column_names", "extract"]

MOST_WINDOWS: Final = 20_000
"""Bound on memory and time: 125 MB with all columns. Five hours of bars of a second each have as many."""


@dataclass(frozen=True, eq=False)
class Attributes:
    """Measured attributes of one score, window by window."""

    values: NDArray[np.float32]
    """float32 [n_windows, n_columns]; NaN where undefined."""
    names: tuple[str, ...]
    """Column names."""
    start_bar: NDArray[np.int64]
    """int [n_windows]: first bar of each window."""

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.values)

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        """One attribute over the windows: float32 ``[n_windows]``, or ``[n_windows, size]`` of a whole histogram."""
        if name in self._column_of:
            return np.asarray(self.values[:, self._column_of[name]])
        columns = attribute(name).columns
        if not self._column_of.keys() >= set(columns):
            raise InputError(f"{name!r} was not extracted here: ask for it in names=")
        return np.asarray(self.values[:, [self._column_of[column] for column in columns]])

    @cached_property
    def _column_of(self) -> dict[str, int]:
        return {name: column for column, name in enumerate(self.names)}

    def __iter__(self) -> Iterator[str]:
        """Column names."""
        return iter(self.names)

    def to_dict(self, window: int = 0) -> dict[str, float]:
        """One window as name -> value; undefined values are NaN."""
        return dict(zip(self.names, self.values[window].tolist(), strict=True))


@lru_cache(maxsize=64)
def _plan(names: tuple[str, ...] | None) -> tuple[tuple[str, ...], tuple[tuple[Attribute, slice, int | None], ...]]:
    """Columns asked for, and how to fill them: attribute, where it goes, which of its columns (None: all)."""
    columns: list[str] = []
    steps: list[tuple[Attribute, slice, int | None]] = []
    for name in [row.name for row in ATTRIBUTES] if names is None else names:
        row = attribute(name)
        start = len(columns)
        if name == row.name:
            columns += row.columns
            steps.append((row, slice(start, len(columns)), None))
        else:
            columns.append(name)
            steps.append((row, slice(start, start + 1), row.columns.index(name)))
    return tuple(columns), tuple(steps)


def column_names(names: Sequence[str] | None = None) -> tuple[str, ...]:
    """Names of the columns that :func:`extract` returns for these attributes; all of them when None."""
    return _plan(None if names is None else tuple(names))[0]


def extract(score: Any, *, names: Sequence[str] | None = None, bars: int | None = None) -> Attributes:
    """Measure attributes of a score.

    Parameters
    ----------
    score
        A score, as :func:`muse.read_score` gives it, or what that function reads: a path, MIDI bytes, an object of
        symusic, pretty_midi, miditoolkit or music21.
    names
        Attributes or columns of the catalogue, in the order wanted; all of them when None. Only what these need is
        computed.
    bars
        None: one window from the first onset to the last note's end. Otherwise one window per this many bars; the last
        may be shorter. Windows hold the notes that start in them, cut at their end.

    Returns
    -------
    Attributes
        float32 ``[n_windows, n_columns]``.

    Raises
    ------
    InputError
        Unknown name, ``bars`` below 1, more than :data:`MOST_WINDOWS` windows, or music that cannot be read.

    Examples
    --------
    >>> import symusic
    >>> extract(symusic.Score(480), names=["Mean Pitch"]).values.shape
    (1, 1)
    """
    if bars is not None and bars < 1:
        raise InputError(f"bars={bars}: windows have at least one bar")
    columns, steps = _plan(None if names is None else tuple(names))
    piece = Piece.of(score if isinstance(score, Score) else read_score(score))
    n_windows = piece.n_windows(bars)
    if n_windows > MOST_WINDOWS:
        raise InputError(
            f"bars={bars} makes {n_windows:,} windows of this music, more than {MOST_WINDOWS:,}: ask for longer windows"
        )
    values = np.full((n_windows, len(columns)), np.nan, dtype=np.float32)
    start_bar = np.zeros(n_windows, dtype=np.int64)
    with np.errstate(all="ignore"):
        for i, window in enumerate(piece.windows(bars)):
            start_bar[i] = window.first_bar
            _measure(window, steps, values[i])
    values[~np.isfinite(values)] = np.nan
    return Attributes(values, columns, start_bar)


def _measure(window: Window, steps: tuple[tuple[Attribute, slice, int | None], ...], row: NDArray[np.float32]) -> None:
    """Fill the row of a window, [n_columns]; each histogram is computed once, however many of its bins are wanted."""
    results: dict[str, Any] = {}
    for entry, place, part in steps:
        if part is None:
            row[place] = entry.function(window)
        else:
            if entry.name not in results:
                results[entry.name] = entry.function(window)
            row[place] = results[entry.name][part]
