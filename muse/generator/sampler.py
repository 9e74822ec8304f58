"""The sampler: ids in, ids out.

It knows a model (through :mod:`muse.generator.engines`), ids, masks and a random generator; no music and no text. A
token that the grammar forces is a mask with one entry, so control prefixes, bar lines and endings take no second path.

How a call runs: whatever the grammar forces at the start joins the prefix; the prefix is computed once and its cache
shared out to all rows; then each step asks the grammar for a mask, draws one id a row, and tells the grammar. While
every row's next id is forced nothing is computed; such ids are fed together with the next free one. A row that has
finished leaves the batch. When a row outgrows the model's context, its history is cut: the prefix stays, and of the
music roughly the newest half, from a place where it may be cut.

Conventions
-----------
``B`` rows, ``V`` vocabulary; ids are integers in ``0..V-1`` and come back as uint16; id 0 pads.

Contents: :class:`Sampling`, :class:`Grammar`, :class:`Generated`, :class:`Sampler`, :func:`draw`.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from muse.checkpoint import find
from muse.errors import InputError, is_number
from muse.generator.engines import Cache, Engine, OnnxEngine, SharedEngine, TorchEngine, has_onnx_runtime

__all__ = ["Generated", "Grammar", "Sampler", "Sampling", "draw"]

PAD_ID = 0
DRAWN_AHEAD = 256  # uniform numbers drawn at a time: one call a row and step would cost as much as the rest
TORCH_TYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Sampling:
    """How ids are drawn. Applied in this order: guidance, grammar, temperature, top-k, top-p."""

    temperature: float = 1.0
    """Logits are divided by it; 0 takes the likeliest id, always."""
    top_k: int = 0
    """Only the k likeliest ids; 0 = all."""
    top_p: float = 0.985
    """Only the likeliest ids that together reach this probability (Holtzman et al. 2019, arXiv 1904.09751); 1 = all.
    With less, notes outside the scale, leaps and rare chords go first, and music is plainer than people's."""
    guidance: float = 1.0
    """Classifier-free guidance (Sanchez et al. 2023, arXiv 2306.17806): logits become u + guidance * (c - u), with u
    from the unconditional prefix; 1 = off, above 1 follows the controls more closely."""

    def __post_init__(self) -> None:
        faults = [f"{name} is {value!r}, give a number" for name, value in vars(self).items() if not is_number(value)]
        if faults:
            raise InputError("; ".join(faults))
        if not 0 <= self.temperature < np.inf:
            faults.append(f"temperature is {self.temperature}, legal is 0 or more")
        if not 0 <= self.top_k < np.inf or self.top_k != int(self.top_k):
            faults.append(f"top_k is {self.top_k}, legal are whole numbers from 0")
        if not 0 < self.top_p <= 1:
            faults.append(f"top_p is {self.top_p}, legal is above 0 and up to 1")
        if not 0 <= self.guidance < np.inf:
            faults.append(f"guidance is {self.guidance}, legal is 0 or more")
        if faults:
            raise InputError("; ".join(faults))


class Grammar(Protocol):
    """What may follow, for the rows of one call. Rows keep their numbers; a finished row may only pad."""

    def begin(self, n_rows: int) -> None:
        """Start `n_rows` rows, each right after the prefix."""
        ...

    def mask(self) -> NDArray[np.bool_] | None:
        """bool [B, V], True for what may come next; None where anything may."""
        ...

    def advance(self, ids: NDArray[np.int64]) -> None:
        """Take one id a row, int64 [B]; :data:`PAD_ID` for a finished row."""
        ...

    def finished(self) -> NDArray[np.bool_]:
        """bool [B]: rows that are complete."""
        ...

    def unconditional(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The same ids [B] with control tokens replaced by their "not given"; called with guidance only."""
        ...


@dataclass(frozen=True)
class Generated:
    """One row."""

    ids: NDArray[np.uint16]
    """uint16 [n]: without the prefix, without padding."""

    @property
    def n_tokens(self) -> int:
        """Number of ids."""
        return len(self.ids)


class Sampler:
    """Draws rows of ids from a model. May be shared by threads: what a call needs lives in the call.

    Use :meth:`from_pretrained`; the constructor takes an engine.

    Parameters
    ----------
    engine
        The model.
    context
        Longest history in tokens; default and limit: what the model was built for.
    """

    def __init__(self, engine: Engine, *, context: int | None = None) -> None:
        limit = engine.shape.context
        if context is not None and not 2 <= context <= limit:
            raise InputError(f"context is {context}, legal are 2 to {limit}, the positions of this model")
        self.engine = engine
        self.context = context or limit

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        device: str = "cpu",
        dtype: str | None = None,
        *,
        threads: int = 1,
        context: int | None = None,
    ) -> Sampler:
        """The sampler of a checkpoint.

        Parameters
        ----------
        name_or_path
            A checkpoint that comes with Muse, or a folder in Hugging Face format.
        device
            ``"cpu"``, or what PyTorch calls another.
        dtype
            ``"int8"`` (CPU), ``"float32"``, ``"bfloat16"`` or ``"float16"``. By default int8 on a CPU that has ONNX
            Runtime, bfloat16 on a GPU, else float32.
        threads
            CPU threads of a step. More than one pays from about four rows on, and only where cores are idle: a step
            is so short that waiting for another core takes as long, and the waiting keeps that core busy.
        context
            Longest history in tokens, where training saw less than the model was built for.

        Raises
        ------
        InputError
            Nothing there, or something that cannot be decoded this way.
        """
        folder = find(name_or_path, "llama")
        on_cpu = device.partition(":")[0] == "cpu"
        with_onnx = on_cpu and has_onnx_runtime()
        if dtype is None:
            dtype = "int8" if with_onnx else "float32" if on_cpu else "bfloat16"
        legal = ("int8", *TORCH_TYPES) if with_onnx else TORCH_TYPES
        if dtype not in legal:
            raise InputError(f"dtype {dtype!r} does not run here on {device!r}: choose from {', '.join(legal)}")
        if threads < 1:
            raise InputError(f"threads is {threads}, legal is 1 or more")
        if with_onnx and dtype in ("int8", "float32"):
            engine = OnnxEngine(folder, quantized=dtype == "int8", threads=threads)
            return cls(SharedEngine(engine), context=context)
        return cls(TorchEngine(folder, device=device, dtype=dtype), context=context)

    def generate(
        self,
        prefix: Sequence[int] | NDArray[Any],
        n_rows: int,
        grammar: Grammar,
        sampling: Sampling,
        rng: np.random.Generator,
        *,
        unconditional_prefix: Sequence[int] | NDArray[Any] | None = None,
        max_tokens: int | None = None,
        cut_ids: Collection[int] = (),
        whole_ids: Collection[int] = (),
        progress: Callable[[int], None] | None = None,
    ) -> list[Generated]:
        """Draw rows until the grammar calls each finished.

        A row depends on the seed, its number and the model, and on no other row, so the first four rows of eight
        are the four rows of four. The same call gives the same rows, whatever the number of threads, and whatever
        other threads generate at the same time: on the CPU, their rows are computed in the same steps (see
        :mod:`muse.generator.engines.shared`).

        Parameters
        ----------
        prefix
            What comes first in every row, at least one id. Not part of the result.
        n_rows
            Rows to draw, at least 1.
        grammar
            What may follow what; see :class:`Grammar`.
        sampling
            How ids are drawn.
        rng
            Random generator; advanced by one draw a row.
        unconditional_prefix
            The prefix with its controls taken out, for guidance; as long as `prefix`.
        max_tokens
            Stop a row here even if it is not finished; no limit by default.
        cut_ids
            Ids that a shortened history may begin with (bar lines, or better: starts of sections).
        whole_ids
            Where the grammar allows one of these, top-k and top-p leave all that it allows: choices that are spread
            thinly over many ids (when to strike) would be bent by them towards what is likeliest.
        progress
            Called after each step with the number of tokens in the longest row.

        Returns
        -------
        list of Generated
            One per row, in order.

        Raises
        ------
        InputError
            The prefix is empty, too long or of foreign ids, or the other arguments do not fit each other.
        """
        rows = _Rows(self, prefix, unconditional_prefix, n_rows, sampling, cut_ids)
        grammar.begin(n_rows)
        uniform = _Uniform(rng, n_rows)
        whole = np.isin(np.arange(self.engine.shape.vocab_size), list(whole_ids)) if len(whole_ids) else None
        open_rows = np.arange(n_rows)
        with contextlib.closing(rows):
            while True:
                is_done = grammar.finished()
                if np.count_nonzero(is_done) > n_rows - len(open_rows):
                    open_rows = np.flatnonzero(~is_done)
                if len(open_rows) == 0 or (max_tokens is not None and rows.n_written >= max_tokens):
                    return [rows.result(row) for row in range(n_rows)]
                ids = _next(rows, open_rows, grammar.mask(), whole, sampling, uniform)
                if len(open_rows) == n_rows:
                    taken = ids
                else:
                    taken = np.full(n_rows, PAD_ID, np.int64)
                    taken[open_rows] = ids
                grammar.advance(taken)
                rows.write(taken, open_rows, grammar)
                if progress is not None:
                    progress(rows.n_written)

    def logits(self, ids: Sequence[int] | NDArray[Any]) -> NDArray[np.float32]:
        """What the model says after each id of one sequence, float32 [n, V]; at most ``context`` ids."""
        checked = _checked("sequence", ids, self.engine.shape.vocab_size, self.context)
        return self.engine.start(1).load(0, checked).copy()

    def taken_steps(self) -> dict[int, int]:
        """Calls whose rows were computed together -> steps in which they were, since this was last asked; nothing where
        each call is computed by itself."""
        return self.engine.taken_steps() if isinstance(self.engine, SharedEngine) else {}


def _next(
    rows: _Rows,
    open_rows: NDArray[np.int64],
    mask: NDArray[np.bool_] | None,
    whole: NDArray[np.bool_] | None,
    sampling: Sampling,
    uniform: _Uniform,
) -> NDArray[np.int64]:
    """The next id of each open row: computed where any of them has a choice."""
    is_whole: NDArray[np.bool_] | None = None
    if mask is not None:
        mask = mask[open_rows]
        if (np.count_nonzero(mask, axis=1) == 1).all():
            return np.asarray(mask.argmax(1))
        is_whole = None if whole is None else np.asarray((mask & whole).any(axis=1))
    logits = rows.logits(open_rows)
    return draw(logits, mask, sampling, uniform.at(rows.n_written)[:, open_rows], is_whole)


class _Uniform:
    """Pairs of uniform numbers in [0, 1), a stream of its own for each row."""

    def __init__(self, rng: np.random.Generator, n_rows: int) -> None:
        # One integer a row, so that a row's stream does not depend on how many rows follow.
        self._streams = [np.random.default_rng(int(seed)) for seed in rng.integers(2**63, size=n_rows)]
        self._first, self._ahead = 0, np.empty((0, 2, n_rows))

    def at(self, step: int) -> NDArray[np.float64]:
        """The numbers of a step, float64 [2, B]. Steps only rise; some may be passed over."""
        while step >= self._first + len(self._ahead):
            self._first += len(self._ahead)
            self._ahead = np.stack([stream.random((DRAWN_AHEAD, 2)) for stream in self._streams], axis=2)
        return self._ahead[step - self._first]


class _Rows:
    """The rows' ids, and how far the model's cache has been fed with them.

    With guidance the cache holds every open row twice: as written, then with its controls taken out.
    """

    def __init__(
        self,
        sampler: Sampler,
        prefix: Sequence[int] | NDArray[Any],
        unconditional_prefix: Sequence[int] | NDArray[Any] | None,
        n_rows: int,
        sampling: Sampling,
        cut_ids: Collection[int],
    ) -> None:
        if n_rows < 1:
            raise InputError(f"n_rows is {n_rows}, legal is 1 or more")
        self._engine, self._context = sampler.engine, sampler.context
        self._guidance = sampling.guidance
        self._cut_ids = np.array(sorted(cut_ids), np.int64)
        vocab_size = sampler.engine.shape.vocab_size
        given = [("prefix", prefix)]
        if sampling.guidance != 1:
            if unconditional_prefix is None:
                raise InputError(f"guidance {sampling.guidance} needs an unconditional prefix")
            given.append(("unconditional prefix", unconditional_prefix))
        self._prefixes = [_checked(name, ids, vocab_size, self._context - 2) for name, ids in given]
        if len({len(ids) for ids in self._prefixes}) > 1:
            sizes = " and ".join(str(len(ids)) for ids in self._prefixes)
            raise InputError(f"prefix and unconditional prefix must be equally long, not {sizes} ids")
        # Of a history that is cut, at most half of what the prefix leaves stays, so that cuts are rare.
        self._kept = (self._context - len(self._prefixes[0])) // 2
        self._texts = [np.zeros((256, n_rows), np.int64) for _ in given]  # grown as needed
        self.lengths = np.zeros(n_rows, np.int64)
        """Ids written, [B]."""
        self.n_written = 0
        """Ids in the longest row; rows that are still open have as many."""
        self._n_fed = 0
        self._held = np.arange(n_rows)  # rows in the cache
        self._cache: Cache | None = None  # None before the first logits

    @property
    def text(self) -> NDArray[np.int64]:
        """Ids as drawn, int64 [at least n_written, B]."""
        return self._texts[0]

    def close(self) -> None:
        """Give the model's cache back."""
        if self._cache is not None:
            self._cache.close()

    def result(self, row: int) -> Generated:
        """What a row has written."""
        return Generated(self.text[: self.lengths[row], row].astype(np.uint16))

    def write(self, ids: NDArray[np.int64], open_rows: NDArray[np.int64], grammar: Grammar) -> None:
        """Append one id a row [B]; it counts for the open ones."""
        if self.n_written == len(self.text):
            self._texts = [np.concatenate([text, np.zeros_like(text)]) for text in self._texts]
        self._texts[0][self.n_written] = ids
        if len(self._texts) > 1:
            self._texts[1][self.n_written] = grammar.unconditional(ids)
        self.n_written += 1
        self.lengths[open_rows] = self.n_written

    def logits(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The logits after everything written, guided if that is asked for, float32 [len(rows), V]."""
        logits = self._first(rows) if self._cache is None else self._further(self._cache, rows)
        self._n_fed = self.n_written
        if len(self._texts) == 1:
            return logits
        given, unconditional = logits[: len(rows)], logits[len(rows) :]
        return unconditional + np.float32(self._guidance) * (given - unconditional)

    def _first(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Compute the shared beginning once and share it out."""
        self._held = rows
        cache = self._cache = self._engine.start(len(rows) * len(self._texts))
        logits = []
        for half, text in enumerate(self._texts):
            first = half * len(rows)
            written = text[: self.n_written, rows]
            if (written == written[:, :1]).all():
                logits += [self._load(cache, first, self.n_written)] * len(rows)
                cache.share(first, range(first + 1, first + len(rows)))
            else:
                logits += [self._load(cache, first + index, self.n_written) for index in range(len(rows))]
        return np.stack(logits)

    def _further(self, cache: Cache, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Feed what was written since, of these rows alone."""
        if len(rows) < len(self._held):
            cache.keep(np.flatnonzero(np.isin(np.tile(self._held, len(self._texts)), rows)))
            self._held = rows
        new = self.n_written - self._n_fed
        fits = len(self._prefixes[0]) + self.n_written <= self._context  # even uncut; looking at each row costs more
        too_long = np.empty(0, np.int64) if fits else np.flatnonzero(cache.lengths + new > self._context)
        if len(too_long) and new > self._kept:  # so much was forced that the cut history has no room for it
            return np.stack([self._load(cache, place, self.n_written) for place in range(len(cache.lengths))])
        for place in too_long:
            self._load(cache, int(place), self._n_fed)
        unfed = [text[self._n_fed : self.n_written, rows].T for text in self._texts]
        return cache.extend(unfed[0] if len(unfed) == 1 else np.concatenate(unfed))

    def _load(self, cache: Cache, place: int, stop: int) -> NDArray[np.float32]:
        """Fill a place of the cache with its row's prefix and first `stop` ids, cut if need be; logits [V]."""
        half, index = divmod(place, len(self._held))
        row, prefix = self._held[index], self._prefixes[half]
        first = 0
        if stop > self._context - len(prefix) or self._n_fed:
            first = max(stop - self._kept, 0)
            cuts = np.flatnonzero(np.isin(self.text[first:stop, row], self._cut_ids))
            first += int(cuts[0]) if len(cuts) else 0
        return cache.load(place, np.concatenate([prefix, self._texts[half][first:stop, row]]))[-1].copy()


def _checked(name: str, ids: Sequence[int] | NDArray[Any], vocab_size: int, longest: int) -> NDArray[np.int64]:
    array = np.asarray(ids)
    if array.ndim != 1 or len(array) == 0 or array.dtype.kind not in "iu":
        raise InputError(f"the {name} is {array.dtype} of shape {list(array.shape)}, legal is at least one integer id")
    if len(array) > longest:
        raise InputError(f"the {name} has {len(array)} ids, and the model's context leaves room for {longest}")
    if (low := int(array.min())) < 0 or (high := int(array.max())) >= vocab_size:
        raise InputError(f"the {name} has the id {low if low < 0 else high}, legal are 0 to {vocab_size - 1}")
    return array.astype(np.int64)


def draw(
    logits: NDArray[np.float32],
    mask: NDArray[np.bool_] | None,
    sampling: Sampling,
    uniform: NDArray[np.float64],
    is_whole: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """Draw one id a row by inverting the distribution function. Pure; guidance has been applied.

    Ids as likely as the last one that top-k or top-p keeps are kept with it.

    Parameters
    ----------
    logits
        float32 [B, V].
    mask
        bool [B, V], True = allowed, at least one entry a row; None = everything.
    sampling
        Temperature, top-k and top-p.
    uniform
        float64 [2, B] in [0, 1): where in its distribution each row is drawn, and where once more if what was drawn
        first is not among what top-k and top-p keep.
    is_whole
        bool [B]: rows that top-k and top-p leave alone; None = none of them.

    Returns
    -------
    ndarray
        int64 [B].
    """
    if mask is not None:
        logits = np.where(mask, logits, np.float32(-np.inf))
    if sampling.temperature == 0:
        return logits.argmax(1)
    weights = logits - logits.max(1, keepdims=True)
    if sampling.temperature != 1:
        weights /= np.float32(sampling.temperature)
    np.exp(weights, out=weights)  # [B, V], the likeliest has 1
    totals = weights.sum(1, dtype=np.float64)
    ids = weights.argmax(1)  # which come first in the sum that is inverted: most rows need nothing else
    for row in (uniform[0] * totals >= 1).nonzero()[0].tolist():
        is_cut = is_whole is None or not is_whole[row]
        cut = (sampling.top_k, sampling.top_p) if is_cut else (0, 1.0)
        ids[row] = _draw_other(weights[row], int(ids[row]), float(totals[row]), *cut, uniform[:, row].tolist())
    return ids


def _draw_other(
    weights: NDArray[np.float32], likeliest: int, total: float, top_k: int, top_p: float, uniform: Sequence[float]
) -> int:
    """Draw one id with probabilities proportional to its weight [V], of those that top-k and top-p keep, where the
    first uniform number lies beyond the likeliest.

    Drawn from all, and again from those kept if it is not one of them: the same distribution as drawing from those
    kept at once, and most rows need not be sorted to find them.
    """
    others = weights.copy()
    others[likeliest] = 0
    rest = others.cumsum(dtype=np.float64)
    drawn = _invert(rest, uniform[0] * total - 1)
    weight = float(weights[drawn])
    # All that are at most as likely weigh more than what top-p leaves out, so not all of them lie in it.
    if not top_k and weight > total * (1 - top_p):
        return drawn
    least = _least_kept(weights, total, top_k, top_p)
    if weight >= least:
        return drawn
    kept = np.where(weights < least, 0, weights).cumsum(dtype=np.float64)
    return _invert(kept, uniform[1] * float(kept[-1]))


def _invert(cumulative: NDArray[np.float64], share: float) -> int:
    """The first index at which a rising sum exceeds a share of it; what weighs nothing is never met."""
    return int(cumulative.searchsorted(min(share, math.nextafter(float(cumulative[-1]), 0)), side="right"))


def _least_kept(weights: NDArray[np.float32], total: float, top_k: int, top_p: float) -> float:
    """Weight of the least likely id that top-k and then top-p keep."""
    # All ids up to this weight together cannot fill the tail that top-p leaves out, so all of them lie in it.
    negligible = 0 if top_k else total * (1 - top_p) / len(weights)
    likeliest = np.sort(weights[weights > negligible])[::-1]
    if top_k:
        likeliest = likeliest[:top_k]
    if top_p == 1:
        return float(likeliest[-1])
    cumulative = likeliest.cumsum(dtype=np.float64)
    if top_k:
        total = float(cumulative[-1])
    return float(likeliest[min(int(cumulative.searchsorted(top_p * total)), len(likeliest) - 1)])
