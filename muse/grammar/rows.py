"""Rows of a grammar that each know what may follow: from one row's rules to the masks that the sampler asks for.

Contents: :class:`Row`, :class:`RowGrammar`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import NDArray

__all__ = ["Row", "RowGrammar"]

Mask = NDArray[np.bool_]


class Row:
    """One row: ids that are forced come first, then whatever :meth:`allowed` says.

    Parameters
    ----------
    vocab_size
        Number of ids.
    """

    def __init__(self, vocab_size: int) -> None:
        self.vocab_size = vocab_size
        self.forced: deque[int] = deque()
        """What must come next, in order."""
        self.done = False

    @property
    def bar(self) -> int:
        """Number of the bar that is being written, from 0: so many are finished."""
        raise NotImplementedError

    def allowed(self) -> Mask:
        """bool [V]: what may come where nothing is forced; at least one id."""
        raise NotImplementedError

    def take(self, token: int) -> None:
        """Note that an id was written; may force more, or finish the row."""
        raise NotImplementedError

    def nothing(self) -> Mask:
        """bool [V], all False."""
        return np.zeros(self.vocab_size, bool)

    def mask(self) -> Mask:
        """bool [V] of the next id."""
        if self.forced:
            mask = self.nothing()
            mask[self.forced[0]] = True
            return mask
        return self.allowed()

    def advance(self, token: int) -> None:
        """Take an id, forced or free."""
        if self.forced:
            self.forced.popleft()
        self.take(token)


class RowGrammar:
    """What the sampler asks: masks for all rows of a call.

    Parameters
    ----------
    make
        Makes the row of a number, right after the prefix.
    controls
        Ids that guidance takes out.
    null
        What stands in their place.
    """

    def __init__(self, make: Callable[[int], Row], *, controls: Collection[int] = (), null: int = 0) -> None:
        self._make, self._null = make, null
        self._controls = np.array(sorted(controls), np.int64)
        self.rows: list[Row] = []

    def begin(self, n_rows: int) -> None:
        """Start `n_rows` rows."""
        self.rows = [self._make(number) for number in range(n_rows)]

    def mask(self) -> Mask:
        """bool [B, V]; a finished row may only pad."""
        rows = []
        for row in self.rows:
            if row.done:
                mask = row.nothing()
                mask[0] = True
                rows.append(mask)
            else:
                rows.append(row.mask())
        return np.stack(rows)

    def advance(self, ids: NDArray[np.int64]) -> None:
        """Take one id a row [B]."""
        for row, token in zip(self.rows, ids.tolist(), strict=True):
            if not row.done:
                row.advance(token)

    def finished(self) -> Mask:
        """bool [B]."""
        return np.array([row.done for row in self.rows])

    def share_written(self, n_bars: int) -> float:
        """Share of the bars of all rows that are written, 0..1."""
        return float(np.mean([min(row.bar, n_bars) / n_bars for row in self.rows]))

    def unconditional(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The same ids with controls taken out [B]."""
        return np.where(np.isin(ids, self._controls), self._null, ids)
