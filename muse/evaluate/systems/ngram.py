"""An n-gram model over whole textures: its own REMI tokens, the sampler and a grammar, but no plan and no network.

Conventions
-----------
windows
    What it learns from: on a grid, of at most :data:`MAX_TOKENS` tokens, with at least
    :data:`MIN_GRID` of their onsets on sixteenths or triplets; moved to the tonic C.
music tokens
    REMI, the token that opens each section, and the end. A model of these alone has no controls: genre, mode and
    attributes are left out of what it reads, and so are meter and instruments of the header.
scored tokens
    Music tokens but the first of a window, which is given. They are the tokens that the loss of a one-stage generator
    counts, so its ``val_loss`` and :meth:`NGram.nats_per_token` compare; a generator reads its controls besides.
codes
    An n-gram as one integer, :attr:`NGram.bits` bits a token, the newest in the lowest bits.

Contents: :class:`NGram`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import symusic
from numpy.typing import NDArray

from muse.composer import DEFAULT_SAMPLING, Sampling
from muse.dataset.read import Corpus, Ragged
from muse.errors import InputError
from muse.generator.engines import Shape
from muse.generator.sampler import Sampler
from muse.grammar import Constraints, Grammar
from muse.intent import Intent
from muse.score.notes import TICKS_PER_BEAT
from muse.tokens import SECTION_BARS, SECTION_CONTROLS, SONG_CONTROLS, Codec
from muse.tokens.music import Header
from muse.tokens.plan import fold_shift
from muse.tokens.vocabulary import STEPS_PER_BEAT, Vocabulary

__all__ = ["NGram"]

Codes = NDArray[np.uint64]

MAX_TOKENS = 2200
MIN_GRID = 0.8
FREE_SAMPLING = replace(DEFAULT_SAMPLING, guidance=1.0)
"""The composer's sampling; without controls there is nothing to guide by."""

TEMPO_BPM = (66, 140)
"""Where a tempo is drawn from that the request leaves open."""

_FALLBACK_DISCOUNTS = np.array([0.5, 1.0, 1.5])
_UNBOUNDED = 2**31  # context of a model that forgets all but its last tokens


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
    """An n-gram model of music tokens with interpolated modified Kneser-Ney smoothing.

    Chen & Goodman, An empirical study of smoothing techniques for language modeling, Computer Speech & Language 13
    (1999), section 3.2: the highest order counts n-grams, lower orders count the distinct tokens before them (but
    where a window begins, nothing comes before, so there n-grams are counted), three discounts for each order (eq. 26),
    and below the unigrams all tokens are equal. Where an order has too few counts of counts for eq. 26, discounts
    are 0.5, 1 and 1.5 (Heafield et al. 2013, ACL, and their KenLM).

    Use :meth:`fit`.

    Parameters
    ----------
    codec
        What tokens mean.
    orders
        Tables of the 1-grams, 2-grams ... n-grams.
    """

    codec: Codec
    orders: tuple[_Order, ...]

    @classmethod
    def fit(cls, corpus: Corpus, n: int = 5, split: str = "train", codec: Codec | None = None) -> NGram:
        """Count the windows of a split.

        Parameters
        ----------
        corpus
            A dataset made by ``muse corpus build``.
        n
            Length of the n-grams, 1 to 6: so many tokens fit into 64 bits.
        split
            ``"train"``, ``"val"`` or ``"test"``.
        codec
            Default: that of this version of Muse.

        Raises
        ------
        InputError
            `n` is out of range, or the split has no window to learn from.
        """
        codec = codec or Codec.default()
        return cls._of(_windows(corpus, split, codec), n, codec)

    @classmethod
    def _of(cls, windows: Iterable[NDArray[np.int64]], n: int, codec: Codec) -> NGram:
        """Fit windows of music tokens."""
        v = codec.vocabulary
        longest = 64 // _bits(v)
        if not 1 <= n <= longest:
            raise InputError(f"n is {n}; legal are 1..{longest}")
        bits = _bits(v)
        codes = _pack(windows, n, v)
        if len(codes) == 0:
            raise InputError("there is no token to learn from")
        codes.sort()
        first = _run_starts(codes)
        counts = np.diff(np.append(first, len(codes)))
        codes = codes[first]
        orders = [_Order.of(codes, counts, bits)]
        for k in range(n - 1, 0, -1):
            # Every distinct (k+1)-gram is one token more that comes before its last k; at the start of a window what
            # comes before is padding, which tells nothing, so there occurrences count.
            codes = codes & _ones(bits * k)
            weight = np.where(codes >> np.uint64(bits * (k - 1)) == v.bos, counts, 1)
            order = np.argsort(codes, kind="stable")
            codes = codes[order]
            first = _run_starts(codes)
            counts, codes = np.add.reduceat(weight[order], first), codes[first]
            orders.append(_Order.of(codes, counts, bits))
        return cls(codec, tuple(reversed(orders)))

    @property
    def n(self) -> int:
        """Length of the n-grams."""
        return len(self.orders)

    @property
    def bits(self) -> int:
        """Bits of a token in a code."""
        return _bits(self.codec.vocabulary)

    @cached_property
    def _unigram(self) -> NDArray[np.float64]:
        """Probability of each token without any context, float64 [V]."""
        order = self.orders[0]
        size = len(self.codec.vocabulary)
        probability = np.full(size, float(order.backoff[0]) / size)
        probability[order.codes.astype(np.int64)] += order.discounted
        return probability

    def probabilities(self, context: Sequence[int]) -> NDArray[np.float64]:
        """Probability of every token after a context, float64 [V]; only the last n - 1 tokens count.

        `BOS` stands for what comes before a window.
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

    def nats_per_token(self, corpus: Corpus, split: str = "val") -> float:
        """Mean negative log probability of the scored tokens of a split, natural logarithm; its exp is the perplexity.

        Raises
        ------
        InputError
            The split has no window.
        """
        return -float(np.mean(self._log_probabilities(_windows(corpus, split, self.codec))))

    def _log_probabilities(self, windows: Iterable[NDArray[np.int64]]) -> NDArray[np.float64]:
        """Of the scored tokens of some windows, one after another."""
        v = self.codec.vocabulary
        codes = _pack(windows, max(self.n, 2), v)
        start = sum(v.bos << self.bits * k for k in range(max(self.n, 2) - 1))
        codes = codes[codes >> np.uint64(self.bits) != start]  # a window's first token is given
        probability = self._unigram[(codes & _ones(self.bits)).astype(np.int64)]
        for k, order in enumerate(self.orders[1:], start=2):
            grams = codes & _ones(self.bits * k)
            seen, at = _find(order.contexts, grams >> np.uint64(self.bits))
            probability[seen] *= order.backoff[at]
            seen, at = _find(order.codes, grams)
            probability[seen] += order.discounted[at]
        return np.log(probability)

    def compose(self, intent: Intent, seed: int, *, sampling: Sampling = FREE_SAMPLING) -> symusic.Score:
        """Write a piece by the generator's sampler and grammar, with this model in the network's place.

        Bars, time signature, tempo, key and instruments are as asked; emotion and attributes are not read.

        Parameters
        ----------
        intent
            The request.
        seed
            The same seed gives the same piece.
        sampling
            Temperature and truncation.

        Raises
        ------
        InputError
            The request asks for a meter that does not exist.
        """
        rng, codec, v = np.random.default_rng(seed), self.codec, self.codec.vocabulary
        tonic, mode = intent.tonic_and_mode or (int(rng.integers(12)), "major")
        tempo = intent.tempo_bpm or float(rng.integers(*TEMPO_BPM))
        meter, open_ = codec.meter(intent.meter), np.full(len(SECTION_CONTROLS), -1)
        sections = [codec.section_ids(kind, open_).tolist() for kind in codec.sections(intent.bars)]
        grammar = Grammar(v, Constraints(intent.bars, meter, tempo, intent.programs, sections, sustained_end=True))
        header = codec.header_ids(Header(intent.genre, mode, tonic, meter, tuple(sorted(intent.programs))))
        (row,) = Sampler(_NGramEngine(self)).generate(
            [*header, *[v.null] * len(SONG_CONTROLS)], 1, grammar, sampling, rng,
            max_tokens=grammar.max_tokens, cut_ids=range(*v.section),
        )  # fmt: skip
        score = codec.decode(row.ids, shift=fold_shift(tonic) if codec.key_relative else 0)
        return _finished(score.resample(TICKS_PER_BEAT, min_dur=1), intent, tempo)


def _finished(score: symusic.Score, intent: Intent, tempo_bpm: float) -> symusic.Score:
    """Tempo and meter as asked, and nothing that sounds beyond the end."""
    numerator, denominator = intent.meter
    score.tempos = symusic.core.TempoTickList([symusic.Tempo(0, qpm=tempo_bpm)])
    score.time_signatures = symusic.core.TimeSignatureTickList([symusic.TimeSignature(0, numerator, denominator)])
    end = intent.bars * numerator * 4 * TICKS_PER_BEAT // denominator
    for track in score.tracks:
        note = track.notes.numpy()
        length = np.minimum(note["duration"], end - note["time"]).astype(np.int32)
        track.notes = symusic.Note.from_numpy(note["time"], length, note["pitch"], note["velocity"])
    return score


class _NGramEngine:
    """The model as the sampler wants it: rows of histories, of which only the last n - 1 music tokens are kept."""

    dtype = "float32"

    def __init__(self, model: NGram) -> None:
        self._model = model
        v = model.codec.vocabulary
        # No layers: the sampler reads the size of the vocabulary and the context.
        self.shape = Shape(0, 0, 0, 0, 0, len(v), _UNBOUNDED, 0.0, 0.0)
        self._is_music = _music(v)
        self._opens_section = np.zeros(len(v), bool)
        self._opens_section[slice(*v.section)] = True
        self.lengths = np.zeros(0, np.int64)
        self._histories: list[list[int]] = []

    def start(self, n_rows: int) -> _NGramEngine:
        """Rows of one call: a copy of their own state."""
        rows = copy.copy(self)
        rows.lengths = np.zeros(n_rows, np.int64)
        rows._histories = [self._empty() for _ in range(n_rows)]
        return rows

    def load(self, row: int, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Begin a row with these ids: logits after each of them, float32 [n, V]."""
        self.lengths[row] = len(ids)
        self._histories[row] = self._empty()
        # Meter and instruments of the header are spelt like music; the music begins with the first section.
        opening = np.flatnonzero(self._opens_section[ids])
        n_header = int(opening[0]) if len(opening) else len(ids)
        before = self._logits(row)
        after = [self._read(row, int(token)) for token in ids[n_header:]]
        return np.stack([*[before] * n_header, *after])

    def share(self, source: int, rows: Iterable[int]) -> None:
        for row in rows:
            self.lengths[row] = self.lengths[source]
            self._histories[row] = list(self._histories[source])

    def extend(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        self.lengths += ids.shape[1]
        for row, new in enumerate(ids):
            music = new[self._is_music[new]].tolist()
            self._histories[row] = [*self._histories[row], *music][-self._model.n :]
        return np.stack([self._logits(row) for row in range(len(ids))])

    def keep(self, rows: NDArray[np.int64]) -> None:
        self.lengths = self.lengths[rows]
        self._histories = [self._histories[row] for row in rows]

    def _empty(self) -> list[int]:
        return [self._model.codec.vocabulary.bos] * self._model.n

    def _read(self, row: int, token: int) -> NDArray[np.float32]:
        if self._is_music[token]:
            self._histories[row] = [*self._histories[row], token][-self._model.n :]
        return self._logits(row)

    def _logits(self, row: int) -> NDArray[np.float32]:
        return np.log(self._model.probabilities(self._histories[row])).astype(np.float32)


def _bits(v: Vocabulary) -> int:
    return (len(v) - 1).bit_length()


def _ones(n_bits: int) -> np.uint64:
    return np.uint64((1 << n_bits) - 1)


def _music(v: Vocabulary) -> NDArray[np.bool_]:
    """bool [V]: music tokens."""
    is_music = np.arange(len(v)) >= v.n_control
    is_music[slice(*v.section)] = True
    is_music[v.eos] = True
    return is_music


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


def _pack(windows: Iterable[NDArray[np.int64]], n: int, v: Vocabulary) -> Codes:
    """Codes of all n-grams that end in a window; before a window comes ``BOS``, n - 1 times."""
    padding = np.full(n - 1, v.bos, np.uint16)
    parts = [part for window in windows for part in (padding, window.astype(np.uint16))]
    ids = np.concatenate(parts) if parts else padding[:0]
    n_codes = max(len(ids) - n + 1, 0)
    codes = np.zeros(n_codes, np.uint64)
    for k in range(n):
        codes <<= np.uint64(_bits(v))
        codes |= ids[k : k + n_codes]
    return codes[(codes & _ones(_bits(v))) != v.bos]  # those that end in the padding of the next window


def _windows(corpus: Corpus, split: str, codec: Codec) -> list[NDArray[np.int64]]:
    """Music tokens of the windows of a split: ``Section_… Bar … Section_… Bar … EOS``."""
    where: dict[str, Any] = {"split": split, "on_grid": True}
    names = ("tokens", "tonic", "n_bars", "at_start", "at_end")
    column: dict[str, Any] = {name: corpus.column(name, **where) for name in names}
    v = codec.vocabulary
    windows = []
    for row in np.flatnonzero(_is_usable(column["tokens"], v)):
        ids, tonic = column["tokens"][row], int(column["tonic"][row])
        if codec.key_relative and tonic >= 0:
            ids = codec.transpose(ids, fold_shift(-tonic))
        kinds = codec.sections(
            int(column["n_bars"][row]), at_start=bool(column["at_start"][row]), at_end=bool(column["at_end"][row])
        )
        starts = codec.bar_starts(ids)[::SECTION_BARS]
        ids = np.insert(ids, starts, [v[f"Section_{kind}"] for kind in kinds])
        windows.append(np.append(ids, np.uint16(v.eos)))
    if not windows:
        raise InputError(f"{corpus.folder} has no {split} window that lies on a grid")
    return windows


def _is_usable(tokens: Ragged, v: Vocabulary) -> NDArray[np.bool_]:
    """bool [n_rows]: windows that the generator learns from, see the module's conventions."""
    first, stop = v.position
    is_position = (tokens.values >= first) & (tokens.values < stop)
    step = (tokens.values - np.uint16(first)) % STEPS_PER_BEAT
    on_grid = is_position & ((step % 3 == 0) | (step % 4 == 0))
    n_on_grid, n_positions = (np.diff(np.append(0, np.cumsum(x))[tokens.offsets]) for x in (on_grid, is_position))
    return (tokens.lengths <= MAX_TOKENS) & (n_on_grid / np.maximum(n_positions, 1) >= MIN_GRID)
