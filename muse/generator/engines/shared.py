"""One model for many calls at once: the rows of all that wait are computed in one step.

Each call goes on as if it were alone: it has a cache of its own, asks for the next logits in its own thread, and gets
them to the last bit as it would alone (see :mod:`muse.generator.engines.engine`). Between calls and model stands a
meeting: who asks waits until all other calls that are under way ask as well, and the last to come computes the step for
all. Calls come and go between steps. A call that lets the others wait for :data:`PATIENCE_SEC` is not waited for until
it asks again, so what one does between two steps, or that it has died, costs the others no more than that.

A step that fails is tried again by each of its calls alone, so that only the one whose fault it is hears of it. Memory
is that of the calls' own caches: there is no pool that could grow.

Contents: :class:`SharedEngine`, :class:`SharedCache`.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from muse.generator.engines.engine import Cache, Ids, JointEngine, Logits, Together

__all__ = ["MOST_CALLS", "PATIENCE_SEC", "SharedCache", "SharedEngine"]

PATIENCE_SEC: Final = 0.05
"""Several times what calls do between two steps, so that none is missed that comes."""
MOST_CALLS: Final = 8
"""Whose rows a step takes. More hardly share more, and each number of calls has a session with weights of its own."""


class SharedEngine:
    """An engine whose calls, each in a thread of its own, are computed together.

    Parameters
    ----------
    engine
        What computes.
    """

    def __init__(self, engine: JointEngine) -> None:
        self.shape, self.dtype = engine.shape, engine.dtype
        self._engine = engine
        self._numbers = itertools.count()  # of calls: those of a step stand in the order in which they began
        self._changed = threading.Condition()
        self._under_way: set[SharedCache] = set()  # calls that are waited for
        self._asked: list[_Asked] = []
        self._is_computing = False
        self._last: tuple[list[SharedCache], Together] | None = None  # of the last step, mostly that of the next too
        self._steps: Counter[int] = Counter()

    def start(self, n_rows: int) -> SharedCache:
        """`n_rows` empty rows; see :class:`muse.generator.engines.engine.Engine`."""
        return SharedCache(self, self._engine.start(n_rows), next(self._numbers))

    def taken_steps(self) -> dict[int, int]:
        """Number of calls in a step -> steps since this was last asked."""
        with self._changed:
            steps, self._steps = self._steps, Counter()
        return dict(steps)

    def step(self, cache: SharedCache, ids: Ids) -> Logits:
        """Append ids [B, S] to a call's rows; logits [B, V] after the last, valid until its next step."""
        asked = _Asked(cache, ids)
        with self._changed:
            self._under_way.add(cache)
            self._asked.append(asked)
            try:
                chosen = self._wait(asked)
            except BaseException:
                if asked in self._asked:
                    self._asked.remove(asked)
                raise
        if chosen:
            self._compute(chosen)
        if asked.logits is None:  # the step of all has failed
            return cache.own.extend(asked.ids)
        return asked.logits

    def leave(self, cache: SharedCache) -> None:
        """Wait for this call no more."""
        with self._changed:
            self._under_way.discard(cache)
            if self._last is not None and cache in self._last[0]:
                self._last = None
            self._changed.notify_all()

    def _wait(self, asked: _Asked) -> list[_Asked]:
        """Wait until others have computed the step: nothing; or it is time that this call does: whose rows it takes."""
        patient_until = time.monotonic() + PATIENCE_SEC
        while not asked.is_answered:
            if not self._is_computing:
                if len(self._asked) >= min(len(self._under_way), MOST_CALLS):
                    chosen, self._asked = self._asked[:MOST_CALLS], self._asked[MOST_CALLS:]
                    self._is_computing = True
                    self._steps[len(chosen)] += 1
                    return chosen
                if time.monotonic() >= patient_until:
                    self._under_way = {one.cache for one in self._asked}
                    continue
            self._changed.wait(max(patient_until - time.monotonic(), 0.001))
        return []

    def _compute(self, chosen: list[_Asked]) -> None:
        """Compute a step and give each call its logits; none where it fails."""
        try:
            if len(chosen) == 1:
                chosen[0].logits = chosen[0].cache.own.extend(chosen[0].ids)
                return
            for one in chosen:  # the rows of all go on by one id
                if one.ids.shape[1] > 1:
                    one.cache.own.extend(one.ids[:, :-1])
                    one.ids = one.ids[:, -1:]
            chosen.sort(key=lambda one: one.cache.number)
            found = self._together([one.cache for one in chosen]).extend([one.ids for one in chosen])
            for one, logits in zip(chosen, found, strict=True):
                one.logits = logits.copy()  # whoever is late reads it when others have gone on
        except Exception:
            if len(chosen) == 1:
                raise
        finally:
            with self._changed:
                self._is_computing = False
                for one in chosen:
                    one.is_answered = True
                self._changed.notify_all()

    def _together(self, caches: list[SharedCache]) -> Together:
        last = self._last
        if last is None or last[0] != caches:
            self._last = last = caches, self._engine.together([cache.own for cache in caches])
        return last[1]


class SharedCache:
    """Rows of one call, see :class:`muse.generator.engines.engine.Cache`."""

    def __init__(self, engine: SharedEngine, own: Cache, number: int) -> None:
        self._engine, self.own, self.number = engine, own, number

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens that each row holds, int64 [B]."""
        return self.own.lengths

    def load(self, row: int, ids: Ids) -> Logits:
        """Make `ids` [S] the whole history of a row; logits [S, V] after each."""
        return self.own.load(row, ids)

    def share(self, source: int, rows: Iterable[int]) -> None:
        """Give other rows the history of `source`."""
        self.own.share(source, rows)

    def extend(self, ids: Ids) -> Logits:
        """Append ids [B, S] to the rows; logits [B, V] after the last, valid until the next call."""
        return self._engine.step(self, ids)

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Go on with these rows alone, in this order."""
        self.own.keep(rows)

    def close(self) -> None:
        """The call has ended."""
        self._engine.leave(self)
        self.own.close()


class _Asked:
    """What a call waits for."""

    def __init__(self, cache: SharedCache, ids: Ids) -> None:
        self.cache, self.ids = cache, ids
        self.logits: Logits | None = None
        self.is_answered = False
