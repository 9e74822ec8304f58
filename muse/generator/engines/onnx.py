"""The network on ONNX Runtime, for the CPU.

It is written down as an ONNX graph, straight from the weights and without compilation, and run in one call per token.
At the generator's sizes a decode step is a few hundred microseconds of arithmetic, less than a framework spends on
dispatching its operators one by one; that is where the speed comes from. Weights are float32, or int8 with a float32
scale for every :data:`BLOCKS` inputs of an output. Conventions: :mod:`muse.generator.engines.engine`.

Contents: :class:`OnnxEngine`, :class:`OnnxCache`, :class:`OnnxTogether`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from muse.checkpoint import check_tensors, load_tensors
from muse.errors import InputError
from muse.generator.engines.engine import GROWTH, OPTIONAL, Ids, Logits, Shape
from muse.generator.engines.graph import CONTRIB, Graph

__all__ = ["OnnxCache", "OnnxEngine", "OnnxTogether"]

BLOCKS = (256, 128, 64, 32, 16)  # inputs that share a scale: the largest that divides a width; large ones are fast
# Attention with a sink, even one that takes nothing, goes by ONNX Runtime's matrix products, which for one token go
# in 256-bit instructions. The tiled attention that it prefers is for the baseline of x86, and takes half as long again.
# Those products are the quick ones with a scale of 1, so the scale is in the weights of the queries.
NO_SINK = -1e30
LOADED_AT_ONCE = 512  # ids of a long history: attention holds a score for each of them and each slot of the cache


class OnnxEngine:
    """The network as an ONNX graph on the CPU.

    Parameters
    ----------
    folder
        A checkpoint.
    quantized
        int8 matrices (the default), or the weights as float32. Inputs of a quantised product are rounded to 8 bits
        per block as well; the caller can measure what that changes with ``muse bench``.
    threads
        CPU threads within a step. Results do not depend on it.

    Raises
    ------
    InputError
        The checkpoint is damaged or of another architecture.
    """

    def __init__(self, folder: str | Path, *, quantized: bool = True, threads: int = 1) -> None:
        self.shape, self.dtype = Shape.read(folder), "int8" if quantized else "float32"
        tensors = load_tensors(folder, "np")
        check_tensors(folder, tensors, self.shape.tensors(), optional=OPTIONAL)
        self._llama = _Llama(self.shape, tensors, quantized=quantized)
        self._threads = threads
        self._sessions = {1: self._session_for(1)}
        """By the number of calls whose rows a step takes; each holds the weights once more."""

    def start(self, n_rows: int) -> OnnxCache:
        """`n_rows` empty rows; see :class:`muse.generator.engines.engine.Engine`."""
        return OnnxCache(self._sessions[1], self.shape, n_rows)

    def together(self, caches: Sequence[OnnxCache]) -> OnnxTogether:
        """Steps of the rows of several calls; see :class:`muse.generator.engines.engine.JointEngine`."""
        n = len(caches)
        if n not in self._sessions:
            self._sessions[n] = self._session_for(n)
        return OnnxTogether(self._sessions[n], self.shape, caches)

    def _session_for(self, n_calls: int) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors
        return onnxruntime.InferenceSession(self._llama.graph(n_calls), options, providers=["CPUExecutionProvider"])


class OnnxCache:
    """Rows of one call, see :class:`muse.generator.engines.engine.Cache`.

    Quantised products take rows by twos and round an odd one otherwise. So an odd number of rows has one more, of which
    nobody asks anything, and what a row gets does not depend on how many others there are or remain.
    """

    def __init__(self, session: Any, shape: Shape, n_rows: int) -> None:
        self._session, self._shape = session, shape
        self.lengths = np.zeros(n_rows, np.int64)
        self.memory = self._empty(n_rows + n_rows % 2, GROWTH)
        """Keys (even) and values (odd) of the layers, float32 [2 x layers, B, K, C, E]; B is even."""
        self._step: _Binding | None = None

    def load(self, row: int, ids: Ids) -> Logits:
        """Make `ids` [S] the whole history of a row; logits [S, V] after each."""
        self.reserve(len(ids))
        place = self.memory[:, row : row + 1]
        parts = []
        for first in range(0, len(ids), LOADED_AT_ONCE):
            part = ids[None, first : first + LOADED_AT_ONCE]
            self.lengths[row] = first + part.shape[1]
            binding = _Binding(self._session, [place], part.shape[1], self._shape.vocab_size)
            parts.append(binding.run([part], [self.lengths[row : row + 1]])[0][0])
        return np.concatenate(parts)

    def share(self, source: int, rows: Iterable[int]) -> None:
        """Give other rows the history of `source`."""
        n = self.lengths[source]
        for row in rows:
            self.memory[:, row, :, :n] = self.memory[:, source, :, :n]
            self.lengths[row] = n

    def extend(self, ids: Ids) -> Logits:
        """Append ids [B, S] to the rows; logits [B, V] after the last, in memory that the next step overwrites."""
        self.reserve(int(self.lengths.max()) + ids.shape[1])
        if self._step is None:
            self._step = _Binding(self._session, [self.memory], 1, self._shape.vocab_size)
        # One at a time: the attention operator appends several tokens to a single row only, and rounds otherwise then.
        for column in ids.T:
            self.lengths += 1
            logits = self._step.run([column[:, None]], [self.lengths])[0]
        return logits[:, 0]

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Go on with these rows alone, in this order."""
        self.lengths = self.lengths[rows]
        self.memory = self.memory.take(np.append(rows, rows[: len(rows) % 2]), 1)  # contiguous, which indexing is not
        self._step = None

    def close(self) -> None:
        """Give the memory back; the rows are of no use any more."""
        self.memory, self._step = self.memory[:, :0], None

    def reserve(self, n_tokens: int) -> None:
        """Have room for rows of so many tokens."""
        slots = self.memory.shape[3]
        if n_tokens > slots:
            old, used = self.memory, int(self.lengths.max())
            self.memory = self._empty(old.shape[1], -(-n_tokens // GROWTH) * GROWTH)
            self.memory[:, :, :, :used] = old[:, :, :, :used]
            self._step = None

    def _empty(self, n_rows: int, slots: int) -> NDArray[np.float32]:
        s = self._shape
        return np.zeros((2 * s.n_layers, n_rows, s.n_key_value_heads, slots, s.head_dim), np.float32)


class OnnxTogether:
    """Rows of several calls that are computed in one run: products take the rows of all of them, attention looks at the
    memory of each call where it lies. So calls come and go without a copy, and each row gets what it gets alone."""

    def __init__(self, session: Any, shape: Shape, caches: Sequence[OnnxCache]) -> None:
        self._session, self._shape, self._caches = session, shape, caches
        self._step: _Binding | None = None

    def extend(self, ids: Sequence[Ids]) -> list[Logits]:
        """Append one id a row [B, 1] to each cache; logits [B, V] of each, in memory that the next step overwrites."""
        for cache in self._caches:
            cache.reserve(int(cache.lengths.max()) + 1)
        memory = [cache.memory for cache in self._caches]
        if self._step is None or not self._step.is_of(memory):
            self._step = _Binding(self._session, memory, 1, self._shape.vocab_size)
        lengths = [cache.lengths + 1 for cache in self._caches]
        found = self._step.run(ids, lengths)
        for cache, counted in zip(self._caches, lengths, strict=True):
            cache.lengths = counted  # not before the step has succeeded
        return [logits[:, 0] for logits in found]


class _Binding:
    """Inputs and outputs of a session tied to fixed memory, so that a step passes no arrays.

    Parameters
    ----------
    memory
        Keys and values of each call.
    n_new
        Tokens that a run appends to each row.
    """

    def __init__(self, session: Any, memory: Sequence[NDArray[np.float32]], n_new: int, vocab_size: int) -> None:
        sizes = [of.shape[1] for of in memory]
        self._session, self._memory = session, memory  # the memory must outlive the binding
        self._ids = np.zeros((sum(sizes), n_new), np.int64)
        self._logits = np.zeros((sum(sizes), n_new, vocab_size), np.float32)
        self._firsts = np.cumsum([0, *sizes[:-1]]).tolist()
        self._last = [np.zeros(size, np.int32) for size in sizes]
        self._total = [np.zeros(1, np.int32) for _ in sizes]
        self._binding = session.io_binding()
        inputs = {"ids": self._ids}
        if len(memory) > 1:
            inputs["sizes"] = self._sizes = np.array(sizes, np.int64)
        for call, (last, total) in enumerate(zip(self._last, self._total, strict=True)):
            inputs |= {f"last_{call}": last, f"total_{call}": total}
        for name, array in inputs.items():
            self._binding.bind_input(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        for call, layers in enumerate(memory):
            for index, layer in enumerate(layers):  # one memory for past and present: written in place
                name, place = _cache_name(call, index), (np.float32, layer.shape, layer.ctypes.data)
                self._binding.bind_input(f"past_{name}", "cpu", 0, *place)
                self._binding.bind_output(f"present_{name}", "cpu", 0, *place)
        self._binding.bind_output("logits", "cpu", 0, np.float32, self._logits.shape, self._logits.ctypes.data)

    def is_of(self, memory: Sequence[NDArray[np.float32]]) -> bool:
        """Whether it is tied to this memory."""
        return all(ours is theirs for ours, theirs in zip(self._memory, memory, strict=True))

    def run(self, ids: Sequence[Ids], lengths: Sequence[NDArray[np.int64]]) -> list[Logits]:
        """Logits [B, S, V] of each call, in memory that the next run overwrites.

        `ids` [B, S] and `lengths` [B] of each call; lengths count the new tokens in.
        """
        found = []
        for new, counted, first, last, total in zip(ids, lengths, self._firsts, self._last, self._total, strict=True):
            stop = first + len(new)  # an idle row stays at id and place 0
            self._ids[first:stop] = new
            last[: len(new)] = counted - 1
            total[0] = counted.max()
            found.append(self._logits[first:stop])
        self._session.run_with_iobinding(self._binding)
        return found


def _cache_name(call: int, index: int) -> str:
    return f"{'value' if index % 2 else 'key'}_{call}_{index // 2}"


class _Llama:
    """The decoder as an ONNX model, its weights ready for any number of calls."""

    def __init__(self, shape: Shape, tensors: Mapping[str, NDArray[np.float32]], *, quantized: bool) -> None:
        self._shape, self._quantized = shape, quantized
        self._blocks: dict[str, int] = {}  # product -> inputs that share a scale
        self._weights = weights = Graph()

        def weight(name: str) -> NDArray[np.float32]:
            return np.asarray(tensors[name], np.float32)

        for name, table in zip(("cos", "sin"), shape.rotary(), strict=True):
            weights.constant(name, table)
        weights.constant("no_sink", np.full(shape.n_heads, NO_SINK, np.float32))
        weights.constant("embedding", weight("model.embed_tokens.weight"))
        scale = np.float32(shape.head_dim**-0.5)
        for index in range(shape.n_layers):
            layer = f"model.layers.{index}"
            query, *others = (weight(f"{layer}.self_attn.{part}_proj.weight") for part in "qkv")
            self._matrix(f"{layer}.qkv", np.concatenate([query * scale, *others]))
            self._matrix(f"{layer}.o", weight(f"{layer}.self_attn.o_proj.weight"))
            for part in ("gate", "up", "down"):
                self._matrix(f"{layer}.{part}", weight(f"{layer}.mlp.{part}_proj.weight"))
            for norm in ("input_layernorm", "post_attention_layernorm"):
                weights.constant(f"{layer}.{norm}.gain", weight(f"{layer}.{norm}.weight"))
        weights.constant("model.norm.gain", weight("model.norm.weight"))
        head = tensors.get("lm_head.weight", tensors.get("model.embed_tokens.weight"))  # absent where tied
        self._matrix("logits", np.asarray(head, np.float32))

    def _matrix(self, name: str, matrix: NDArray[np.float32]) -> None:
        if not self._quantized:
            self._weights.constant(f"{name}.weight", matrix.T)
            return
        n_in = matrix.shape[1]
        block = next((size for size in BLOCKS if n_in % size == 0), None)
        if block is None:
            raise InputError(f"int8 needs widths that are multiples of {BLOCKS[-1]}, not {n_in}: load with float32")
        self._blocks[name] = block
        codes, scales = _quantize(matrix, block)
        self._weights.constant(f"{name}.codes", codes)
        self._weights.constant(f"{name}.scales", scales)

    def _name_ends(self, graph: Graph, calls: range) -> None:
        """Inputs and outputs of :meth:`graph`."""
        shape = self._shape
        graph.input("ids", np.int64, ["B", "S"])
        if len(calls) > 1:
            graph.input("sizes", np.int64, [len(calls)])
        graph.output("logits", np.float32, ["B", "S", shape.vocab_size])
        for call in calls:
            graph.input(f"last_{call}", np.int32, [f"B{call}"])
            graph.input(f"total_{call}", np.int32, [1])
            dims: list[int | str] = [f"B{call}", shape.n_key_value_heads, f"C{call}", shape.head_dim]
            for index in range(2 * shape.n_layers):
                graph.input(f"past_{_cache_name(call, index)}", np.float32, dims)
                graph.output(f"present_{_cache_name(call, index)}", np.float32, dims)

    def graph(self, n_calls: int) -> bytes:
        """The model that computes the rows of so many calls, serialised.

        Inputs: ``ids`` int64 [B, S], the rows of all calls one after another; for several calls ``sizes`` int64
        [calls], rows of each, and S is 1. For each call ``last`` int32 [B], index of each row's last token; ``total``
        int32 [1], the longest row; ``past_*`` float32 [B, K, C, E]. Outputs: ``logits`` [B, S, V] and ``present_*`` of
        each call, meant to share memory with the past.
        """
        shape, graph = self._shape, Graph(self._weights)
        calls = range(n_calls)
        self._name_ends(graph, calls)
        stream, update = "", ""  # the residual stream, and what the last block adds to it

        def linear(name: str, x: str, n_in: int, n_out: int) -> str:
            if not self._quantized:
                return graph.node("MatMul", [x, f"{name}.weight"], name)
            # accuracy_level 4: the product itself runs on 8-bit integers
            attributes = {"N": n_out, "K": n_in, "bits": 8, "block_size": self._blocks[name], "accuracy_level": 4}
            inputs = [x, f"{name}.codes", f"{name}.scales"]
            return graph.node("MatMulNBits", inputs, name, domain=CONTRIB, **attributes)

        def norm(name: str) -> str:
            """Add the update to the stream, then RMSNorm: one operator."""
            nonlocal stream, update
            gain, y = f"{name}.gain", f"{name}.out"
            if not update:
                return graph.node("SimplifiedLayerNormalization", [stream, gain], y, epsilon=shape.norm_eps, axis=-1)
            outputs = [y, "", "", f"{name}.stream"]
            add_norm = "SkipSimplifiedLayerNormalization"
            graph.node(add_norm, [stream, update, gain], *outputs, domain=CONTRIB, epsilon=shape.norm_eps)
            stream = outputs[-1]
            return y

        def attention(layer: str, call: int, x: str, key: str, value: str) -> str:
            """The rows of one call, each over its own past."""
            return graph.node(
                "GroupQueryAttention",
                [x, "", "", f"past_{key}", f"past_{value}", f"last_{call}", f"total_{call}", "cos", "sin", "", "",
                 "no_sink"],
                f"{layer}.attention_{call}",
                f"present_{key}",
                f"present_{value}",
                domain=CONTRIB,
                num_heads=shape.n_heads,
                kv_num_heads=shape.n_key_value_heads,
                do_rotary=1,
                scale=1.0,
            )  # fmt: skip

        d, f = shape.width, shape.feed_forward
        query, both = shape.n_heads * shape.head_dim, (shape.n_heads + 2 * shape.n_key_value_heads) * shape.head_dim
        stream = graph.node("Gather", ["embedding", "ids"], "embedded")
        for index in range(shape.n_layers):
            layer = f"model.layers.{index}"
            x = linear(f"{layer}.qkv", norm(f"{layer}.input_layernorm"), d, both)
            parts = [x]
            if n_calls > 1:
                parts = [f"{layer}.qkv_{call}" for call in calls]
                graph.node("Split", [x, "sizes"], *parts, axis=0)
            parts = [
                attention(layer, call, part, _cache_name(call, 2 * index), _cache_name(call, 2 * index + 1))
                for call, part in enumerate(parts)
            ]
            x = parts[0] if n_calls == 1 else graph.node("Concat", parts, f"{layer}.attention", axis=0)
            update = linear(f"{layer}.o", x, query, d)
            x = norm(f"{layer}.post_attention_layernorm")
            gate, up = linear(f"{layer}.gate", x, d, f), linear(f"{layer}.up", x, d, f)
            gate = graph.node("QuickGelu", [gate], f"{layer}.silu", domain=CONTRIB, alpha=1.0)  # x * sigmoid(x)
            x = graph.node("Mul", [gate, up], f"{layer}.gated")
            update = linear(f"{layer}.down", x, f, d)
        linear("logits", norm("model.norm"), d, shape.vocab_size)
        return graph.serialize()


def _quantize(matrix: NDArray[np.float32], block: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Symmetric 8-bit codes uint8 [out, blocks, block] around 128, and scales float32 [out, blocks]."""
    blocks = matrix.reshape(len(matrix), -1, block)
    scales = np.abs(blocks).max(-1) / np.float32(127)
    scales[scales == 0] = 1  # a block of zeros
    return (np.rint(blocks / scales[..., None]) + 128).astype(np.uint8), scales
