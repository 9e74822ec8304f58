"""All runs of a corpus in order, for finding the longest that a piece shares with it.

A suffix array (Manber & Myers 1993): exact for runs of any length, and as quick for runs that stand in half of the
corpus, where a table of n-grams would have to look at every place.

Contents: :class:`SuffixArray`, :func:`sort_suffixes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["END", "SuffixArray", "sort_suffixes"]

Ints: TypeAlias = NDArray[np.int64]
Symbols: TypeAlias = NDArray[np.int32]

END = 0
"""Stands where a voice of the corpus ends; steps are greater."""
STOP = -1
"""The same in a piece: unlike any symbol of the corpus."""
_BLOCK = 16
"""Symbols compared at a time, and the margin after the last one."""


def sort_suffixes(symbols: Symbols) -> Symbols:
    """Start of every suffix in the order of the suffixes, where no two :data:`END` are alike; the last symbol is one.

    By prefix doubling, of which only what is not yet told apart is sorted again (Larsson & Sadakane, *Faster Suffix
    Sorting*, 2007).
    """
    n = len(symbols)
    order = np.argsort(symbols, kind="stable").astype(np.int32)
    rank = np.zeros(n, np.int32)  # of a suffix: where the group that it is in begins
    todo, known = np.arange(n, dtype=np.int32), 0
    key = symbols[order].astype(np.int64)
    key[key == END] = np.arange(-int((key == END).sum()), 0)
    while True:
        new = np.ones(len(todo) + 1, bool)
        new[1:-1] = key[1:] != key[:-1]
        rank[order[todo]] = todo[np.maximum.accumulate(np.where(new[:-1], np.arange(len(todo)), 0))]
        todo = todo[~(new[:-1] & new[1:])]
        known = max(2 * known, 1)
        if not len(todo):
            return order
        suffix = order[todo]
        key = rank[suffix].astype(np.int64) * n + rank[suffix + known]  # a suffix that ended here would be alone
        place = np.argsort(key)
        key, order[todo] = key[place], suffix[place]


@dataclass(frozen=True)
class SuffixArray:
    """All runs of a line of the corpus."""

    symbols: Symbols
    """int32 [n + _BLOCK]: those of all voices, one after another, and a margin."""
    order: Symbols
    """int32 [n]."""
    voice_start: Symbols
    """int32 [n_voices]: index of the first symbol."""
    voice_window: Symbols
    """int32 [n_voices]: index of the window."""
    voice_onset: Symbols
    """int32 [n_voices]: onset of the first note in its window, in :data:`TIME_UNITS`."""

    @classmethod
    def of(cls, symbols: Symbols, voice_window: Symbols, voice_onset: Symbols) -> SuffixArray:
        starts = np.concatenate([[0], np.flatnonzero(symbols == END)[:-1] + 1]) if len(symbols) else np.zeros(0)
        order = sort_suffixes(symbols)
        margin = np.full(_BLOCK, END, np.int32)
        return cls(np.concatenate([symbols, margin]), order, starts.astype(np.int32), voice_window, voice_onset)

    def search(self, query: Symbols, at: Ints) -> tuple[Ints, Ints]:
        """Find the suffixes of `query` that begin `at` among those of the corpus.

        Parameters
        ----------
        query
            int32 [m + _BLOCK]; from every start on there is a symbol that the corpus has not.

        Returns
        -------
        tuple of int64 [len(at)]
            How many suffixes of the corpus come before; how many symbols are shared with that of them which shares
            most.
        """
        low, high = np.zeros(len(at), np.int64), np.full(len(at), len(self.order), np.int64)
        shared_low, shared_high = np.zeros_like(low), np.zeros_like(low)
        while len(open_ := np.flatnonzero(low < high)):
            middle = (low[open_] + high[open_]) // 2
            place = self.order[middle].astype(np.int64)
            # All suffixes between two share at least what those two share with the one sought.
            shared = np.minimum(shared_low[open_], shared_high[open_])
            start = at[open_]
            going = np.arange(len(open_))
            while len(going):
                ours = query[(start[going] + shared[going])[:, None] + np.arange(_BLOCK)]
                theirs = self.symbols[(place[going] + shared[going])[:, None] + np.arange(_BLOCK)]
                same = ours == theirs
                whole = same.all(axis=1)
                shared[going] += np.where(whole, _BLOCK, same.argmin(axis=1))
                going = going[whole]
            before = self.symbols[place + shared] < query[start + shared]
            low[open_[before]], shared_low[open_[before]] = middle[before] + 1, shared[before]
            after = open_[~before]
            high[after], shared_high[after] = middle[~before], shared[~before]
        return low, np.maximum(shared_low, shared_high)

    def shared(self, symbols: Symbols) -> Ints:
        """Steps, from each note of a line on, that stand in the corpus as well: int64 [n_notes]."""
        if not len(self.order):
            return np.zeros(len(symbols), np.int64)
        symbols = np.where(symbols == END, STOP, symbols)
        query = np.concatenate([symbols, np.full(_BLOCK, STOP)]).astype(np.int32)
        return self.search(query, np.arange(len(symbols)))[1]

    def places(self, steps: Symbols) -> Ints:
        """All places of a run that the corpus has, ascending."""
        n = len(steps)
        bounds = [np.full(_BLOCK, bound) for bound in (STOP, np.iinfo(np.int32).max)]
        query = np.concatenate([steps, bounds[0], steps, bounds[1]]).astype(np.int32)
        first, stop = self.search(query, np.array([0, n + _BLOCK]))[0]
        return np.sort(self.order[first:stop].astype(np.int64))
