"""N-grams in the networks' place: planner and arranger with the sampler and the grammars of the composer.

A baseline of both stages: what the grammars alone make of the commonest turns of plan and arrangement. An n-gram hears
the last few tokens and so neither mode, genre and tempo, which stand before the first bar, nor controls.

Conventions
-----------
sequences
    Ids of whole lead sheets, relative to the tonic C: of the planner, and of the arranger.
chosen tokens
    Those that count in the loss of planner and arranger: :meth:`NGramStages.nats_per_token` and the ``val_loss`` of
    a checkpoint are means over the same kinds of tokens.
codes
    An n-gram as one integer, :attr:`NGram.bits` bits a token, the newest in the lowest bits.

Contents: :class:`NGram`, :class:`NGramStages`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from muse.composer.arrange import Arranger
from muse.composer.plan import Planner
from muse.composer.stages import Stages
from muse.dataset.accompaniment import Accompaniment
from muse.dataset.lead_sheets import Sheet
from muse.errors import InputError
from muse.generator.engines import Shape
from muse.generator.sampler import Sampler
from muse.tokens.arrangement import SECTION_BARS, Header, encode_controls, encode_header
from muse.tokens.arrangement import VOCABULARY as ARRANGEMENT
from muse.tokens.plan import BOS, EOS, Prefix, encode_bar, encode_prefix
from muse.tokens.plan import VOCABULARY as PLAN
from muse.tokens.plan_form import Buckets

__all__ = ["NGram", "NGramStages"]

Codes = NDArray[np.uint64]
Spelled = tuple[list[int], list[bool]]
"""Ids of a sequence, and which of them are chosen."""

_FALLBACK_DISCOUNTS = np.array([0.5, 1.0, 1.5])
_UNBOUNDED = 2**31  # context of a model that forgets all but its last tokens
_NO_END = 10_000  # bars left of a sheet that is not the end of its song


@dataclass(frozen=True)
class _Order:
    """Interpolated probabilities of the k-grams of one k, by code."""

    codes: Codes
    """uint64 [n], ascending."""
    discounted: NDArray[np.float32]
    """float32 [n]: (count - discount) / count of the context."""
    contexts: Codes
    """uint64 [m], ascending: what comes before the newest token."""
    first: NDArray[np.int64]
    """int64 [m + 1]: the k-grams of context *i* are ``codes[first[i]:first[i + 1]]``."""
    backoff: NDArray[np.float32]
    """float32 [m]: probability left to the next shorter context."""

    @classmethod
    def of(cls, codes: Codes, counts: NDArray[np.int64], bits: int) -> _Order:
        """From sorted, distinct codes and their counts."""
        discounts = _discounts(counts)
        discount = discounts[np.minimum(counts, 3)]
        first = _run_starts(codes >> np.uint64(bits))
        total = np.add.reduceat(counts, first)
        sizes = np.diff(np.append(first, len(codes)))
        return cls(
            codes,
            ((counts - discount) / np.repeat(total, sizes)).astype(np.float32),
            codes[first] >> np.uint64(bits),
            np.append(first, len(codes)),
            (np.add.reduceat(discount, first) / total).astype(np.float32),
        )


@dataclass(frozen=True, eq=False)
class NGram:
    """An n-gram model of ids with interpolated modified Kneser-Ney smoothing.

    Chen & Goodman, An empirical study of smoothing techniques for language modeling, Computer Speech & Language 13
    (1999), section 3.2: the highest order counts n-grams, lower orders count the distinct tokens before them (but
    where a sequence begins, nothing comes before, so there n-grams are counted), three discounts for each order (eq.
    26), and below the unigrams all tokens are equal. Where an order has too few counts of counts for eq. 26, discounts
    are 0.5, 1 and 1.5 (Heafield et al. 2013, ACL, and their KenLM).

    Use :meth:`fit`.

    Parameters
    ----------
    vocab_size
        Number of ids; :data:`muse.tokens.plan.BOS`, one of them, stands for what comes before a sequence.
    orders
        Tables of the 1-grams, 2-grams ... n-grams.
    """

    vocab_size: int
    orders: tuple[_Order, ...]

    @classmethod
    def fit(cls, sequences: Iterable[Sequence[int]], vocab_size: int, n: int = 5) -> NGram:
        """Count the n-grams of sequences.

        Parameters
        ----------
        sequences
            Ids in ``0..vocab_size-1``.
        vocab_size
            Number of ids.
        n
            Length of the n-grams; so many tokens fit into 64 bits.

        Raises
        ------
        InputError
            `n` is out of range, or there is nothing to learn from.
        """
        bits = _bits(vocab_size)
        if not 1 <= n <= 64 // bits:
            raise InputError(f"n is {n}; legal are 1..{64 // bits}")
        codes = _pack(sequences, n, bits)
        if len(codes) == 0:
            raise InputError("there is no token to learn from")
        codes.sort()
        first = _run_starts(codes)
        counts = np.diff(np.append(first, len(codes)))
        codes = codes[first]
        orders = [_Order.of(codes, counts, bits)]
        for k in range(n - 1, 0, -1):
            # Every distinct (k+1)-gram is one token more that comes before its last k; at the start of a sequence what
            # comes before is padding, which tells nothing, so there occurrences count.
            codes = codes & _ones(bits * k)
            weight = np.where(codes >> np.uint64(bits * (k - 1)) == BOS, counts, 1)
            order = np.argsort(codes, kind="stable")
            codes = codes[order]
            first = _run_starts(codes)
            counts, codes = np.add.reduceat(weight[order], first), codes[first]
            orders.append(_Order.of(codes, counts, bits))
        return cls(vocab_size, tuple(reversed(orders)))

    @property
    def n(self) -> int:
        """Length of the n-grams."""
        return len(self.orders)

    @property
    def bits(self) -> int:
        """Bits of a token in a code."""
        return _bits(self.vocab_size)

    @cached_property
    def _unigram(self) -> NDArray[np.float64]:
        """Probability of each token without any context, float64 [V]."""
        order = self.orders[0]
        probability = np.full(self.vocab_size, float(order.backoff[0]) / self.vocab_size)
        probability[order.codes.astype(np.int64)] += order.discounted
        return probability

    def probabilities(self, context: Sequence[int]) -> NDArray[np.float64]:
        """Probability of every token after a context, float64 [V]; only the last n - 1 tokens count.

        ``BOS`` stands for what comes before a sequence.
        """
        probability = self._unigram.copy()
        code = 0
        for k, (token, order) in enumerate(zip(reversed(context), self.orders[1:], strict=False)):
            code |= int(token) << self.bits * k
            at = int(np.searchsorted(order.contexts, np.uint64(code)))
            if at == len(order.contexts) or order.contexts[at] != code:
                break  # never seen; nor was any longer context
            span = slice(order.first[at], order.first[at + 1])
            probability *= order.backoff[at]
            probability[(order.codes[span] & _ones(self.bits)).astype(np.int64)] += order.discounted[span]
        return probability

    def log_probabilities(self, sequences: Iterable[Sequence[int]]) -> NDArray[np.float64]:
        """Natural logarithm of the probability of every token of some sequences but ``BOS``, one after another."""
        codes = _pack(sequences, self.n, self.bits)
        probability = self._unigram[(codes & _ones(self.bits)).astype(np.int64)]
        for k, order in enumerate(self.orders[1:], start=2):
            grams = codes & _ones(self.bits * k)
            seen, at = _find(order.contexts, grams >> np.uint64(self.bits))
            probability[seen] *= order.backoff[at]
            seen, at = _find(order.codes, grams)
            probability[seen] += order.discounted[at]
        return np.log(probability)


@dataclass(frozen=True, eq=False)
class NGramStages:
    """N-gram models of plans and of arrangements. Use :meth:`fit`."""

    planner: NGram
    arranger: NGram

    @classmethod
    def fit(cls, sheets: Sequence[Sheet], n: int = 5) -> NGramStages:
        """Count whole lead sheets.

        Raises
        ------
        InputError
            `n` is out of range, or there are no sheets.
        """
        return cls(
            NGram.fit((_plan(sheet)[0] for sheet in sheets), len(PLAN), n),
            NGram.fit((_arrangement(sheet)[0] for sheet in sheets), len(ARRANGEMENT), n),
        )

    def stages(self) -> Stages:
        """What plans, arranges and performs with them; controls, examples and forms of people's it has none."""
        planner, arranger = (Sampler(_Engine(model)) for model in (self.planner, self.arranger))
        return Stages(Planner(planner, Buckets({})), Arranger(arranger, Buckets({})))

    def nats_per_token(self, sheets: Sequence[Sheet]) -> dict[str, float]:
        """Mean negative log probability of the chosen tokens of lead sheets, of ``planner`` and ``arranger``."""
        return {
            "planner": _loss(self.planner, [_plan(sheet) for sheet in sheets]),
            "arranger": _loss(self.arranger, [_arrangement(sheet) for sheet in sheets]),
        }


def _loss(model: NGram, spelled: Sequence[Spelled]) -> float:
    chosen = np.array([own for ids, is_chosen in spelled for i, own in zip(ids, is_chosen, strict=True) if i != BOS])
    return -float(np.mean(model.log_probabilities(ids for ids, _ in spelled)[chosen]))


def _bars_left(sheet: Sheet, bar: int) -> int:
    return len(sheet.plan.bars) - 1 - bar if sheet.at_end else _NO_END


def _plan(sheet: Sheet) -> Spelled:
    """A sheet as the planner writes it, without controls."""
    sheet = sheet.in_c()
    ids = encode_prefix(Prefix(sheet.plan.time_signature, sheet.plan.mode, sheet.genre, sheet.at_start))
    n_given = len(ids)
    ids += [i for number, bar in enumerate(sheet.plan.bars) for i in encode_bar(bar, _bars_left(sheet, number))]
    ids += [EOS] * sheet.at_end
    return ids, [place >= n_given for place in range(len(ids))]


def _arrangement(sheet: Sheet) -> Spelled:
    """A sheet as the arranger writes it, without controls."""
    sheet = sheet.in_c()
    music, plan = Accompaniment(sheet), sheet.plan
    parts = tuple(sheet.parts[p] for p in music.order)
    ids = encode_header(Header(parts, plan.time_signature, plan.mode, sheet.genre, sheet.tempo_bpm, sheet.at_start))
    is_chosen = [False] * len(ids)
    for number, bar in enumerate(plan.bars):
        prompt = [] if number % SECTION_BARS else encode_controls({})
        prompt += encode_bar(bar, _bars_left(sheet, number), lags=False)
        said, own = music.spell(number, 0, music.order)
        ids += prompt + said
        is_chosen += [False] * len(prompt) + own
    return ids, is_chosen


class _Engine:
    """A model as the sampler wants it: rows of histories, of which only the last tokens are kept."""

    dtype = "float32"

    def __init__(self, model: NGram) -> None:
        self._model = model
        # No layers: the sampler reads the size of the vocabulary and the context.
        self.shape = Shape(0, 0, 0, 0, 0, model.vocab_size, _UNBOUNDED, 0.0, 0.0)
        self.lengths = np.zeros(0, np.int64)
        self._histories: list[list[int]] = []

    def start(self, n_rows: int) -> _Engine:
        """Rows of one call: a copy of their own state."""
        rows = copy.copy(self)
        rows.lengths = np.zeros(n_rows, np.int64)
        rows._histories = [[] for _ in range(n_rows)]
        return rows

    def load(self, row: int, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Begin a row with these ids: logits after each of them, float32 [n, V]."""
        self.lengths[row] = len(ids)
        self._histories[row] = [BOS] * self._model.n
        return np.stack([self._read(row, [token]) for token in ids.tolist()])

    def share(self, source: int, rows: Iterable[int]) -> None:
        for row in rows:
            self.lengths[row] = self.lengths[source]
            self._histories[row] = list(self._histories[source])

    def extend(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        self.lengths += ids.shape[1]
        return np.stack([self._read(row, new) for row, new in enumerate(ids.tolist())])

    def keep(self, rows: NDArray[np.int64]) -> None:
        self.lengths = self.lengths[rows]
        self._histories = [self._histories[row] for row in rows]

    def close(self) -> None:
        """The call has ended."""
        self._histories = []

    def _read(self, row: int, ids: Sequence[int]) -> NDArray[np.float32]:
        """Logits of a row after further ids, float32 [V]."""
        self._histories[row] = [*self._histories[row], *ids][-self._model.n :]
        return np.log(self._model.probabilities(self._histories[row])).astype(np.float32)


def _bits(vocab_size: int) -> int:
    return (vocab_size - 1).bit_length()


def _ones(n_bits: int) -> np.uint64:
    return np.uint64((1 << n_bits) - 1)


def _discounts(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """What is taken off counts of 0, 1, 2 and of 3 or more, float64 [4] (Chen & Goodman 1999, eq. 26)."""
    n1, n2, n3, n4 = (int(np.count_nonzero(counts == i)) for i in (1, 2, 3, 4))
    found = _FALLBACK_DISCOUNTS
    if n1 and n2 and n3:
        y = n1 / (n1 + 2 * n2)
        exact = np.array([1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
        if ((exact > 0) & (exact < [1, 2, 3])).all():
            found = exact
    return np.concatenate([[0.0], found])


def _run_starts(ascending: Codes) -> NDArray[np.int64]:
    """Where each distinct value begins."""
    return np.flatnonzero(np.concatenate([[True], ascending[1:] != ascending[:-1]]))


def _find(table: Codes, wanted: Codes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which of `wanted` are in an ascending table, and where."""
    at = np.searchsorted(table, wanted)
    seen = np.flatnonzero(table[np.minimum(at, len(table) - 1)] == wanted)
    return seen, at[seen]


def _pack(sequences: Iterable[Sequence[int]], n: int, bits: int) -> Codes:
    """Codes of all n-grams that end in a sequence, on no ``BOS``; before a sequence comes ``BOS``, n - 1 times."""
    padding = np.full(n - 1, BOS, np.uint16)
    parts = [part for ids in sequences for part in (padding, np.asarray(ids, np.uint16))]
    ids = np.concatenate(parts) if parts else padding[:0]
    n_codes = max(len(ids) - n + 1, 0)
    codes = np.zeros(n_codes, np.uint64)
    for k in range(n):
        codes <<= np.uint64(bits)
        codes |= ids[k : k + n_codes]
    return codes[(codes & _ones(bits)) != BOS]
