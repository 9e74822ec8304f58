"""The network on ONNX Runtime, for the CPU.

It is written down as an ONNX graph, straight from the weights and without compilation, and run in one call per token.
At the generator's sizes a decode step is a few hundred microseconds of arithmetic, less than a framework spends on
dispatching its operators one by one; that is where the speed comes from. Conventions:
:mod:`muse.generator.engines.engine`.

In int8 every product is one of whole numbers, and keys and values are kept as bytes. Scales are constants that follow
from the weights alone (:class:`_Llama`), so nothing is fitted and each row is rounded by itself. Whole numbers add up
the same in any order: ids that are loaded at once give the logits that they give one by one, to the last bit.

Contents: :class:`OnnxEngine`, :class:`OnnxCache`, :class:`OnnxTogether`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from muse.checkpoint import check_tensors, load_tensors
from muse.generator.engines.engine import GROWTH, OPTIONAL, Ids, Logits, Shape
from muse.generator.engines.graph import CONTRIB, Graph

__all__ = ["OnnxCache", "OnnxEngine", "OnnxTogether"]

LARGEST_CODE = 63  # of weights: processors without VNNI add two products of bytes in 16 bits, which 127 would overflow
LARGEST = {"normed": 6.0, "keys": 10.0, "values": 7.0, "gated": 16.0}
"""What is rounded to 8 bits -> the value of the largest code, 127, where the variance is about 1; beyond, it is cut.

Chosen on held-out windows of planner and arranger, of which hardly a value lies beyond.
"""
TINY = 1e-12  # so that zeros have a size
LOADED_AT_ONCE = 512  # ids of a long history: attention holds a score for each of them and each slot of the cache


class OnnxEngine:
    """The network as an ONNX graph on the CPU.

    Parameters
    ----------
    folder
        A checkpoint.
    quantized
        Products of 8-bit integers, keys and values as int8 (the default); or all as float32. The caller can measure
        what that changes with ``muse bench``.
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
        return OnnxCache(self._sessions[1], self.shape, n_rows, self._llama.cached)

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
    """Rows of one call, see :class:`muse.generator.engines.engine.Cache`."""

    def __init__(self, session: Any, shape: Shape, n_rows: int, dtype: type) -> None:
        self._session, self._shape = session, shape
        self.lengths = np.zeros(n_rows, np.int64)
        self.memory = self._empty(n_rows, GROWTH, dtype)
        """Keys (even) and values (odd) of the layers, int8 or float32 [2 x layers, B, K, C, E]."""
        self._steps: dict[int, _Binding] = {}  # by the number of tokens

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
        n_new = ids.shape[1]
        if n_new not in self._steps:
            self._steps[n_new] = _Binding(self._session, [self.memory], n_new, self._shape.vocab_size)
        lengths = self.lengths + n_new
        logits = self._steps[n_new].run([ids], [lengths])[0][:, -1]
        self.lengths = lengths  # not before the step has succeeded
        return logits

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Go on with these rows alone, in this order."""
        self.lengths = self.lengths[rows]
        self.memory = self.memory.take(rows, 1)  # contiguous, which indexing is not
        self._steps = {}

    def close(self) -> None:
        """Give the memory back; the rows are of no use any more."""
        self.memory, self._steps = self.memory[:, :0], {}

    def reserve(self, n_tokens: int) -> None:
        """Have room for rows of so many tokens."""
        slots = self.memory.shape[3]
        if n_tokens > slots:
            old, used = self.memory, int(self.lengths.max())
            self.memory = self._empty(old.shape[1], -(-n_tokens // GROWTH) * GROWTH, old.dtype)
            self.memory[:, :, :, :used] = old[:, :, :, :used]
            self._steps = {}

    def _empty(self, n_rows: int, slots: int, dtype: Any) -> NDArray[Any]:
        s = self._shape
        return np.zeros((2 * s.n_layers, n_rows, s.n_key_value_heads, slots, s.head_dim), dtype)


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
            cache.lengths = counted  # not before all have theirs
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

    def __init__(self, session: Any, memory: Sequence[NDArray[Any]], n_new: int, vocab_size: int) -> None:
        sizes = [of.shape[1] for of in memory]
        self._session, self._memory = session, memory  # the memory must outlive the binding
        self._ids = np.zeros((sum(sizes), n_new), np.int64)
        self._logits = np.zeros((sum(sizes), n_new, vocab_size), np.float32)
        self._firsts = np.cumsum([0, *sizes[:-1]]).tolist()
        self._last = [np.zeros(size, np.int32) for size in sizes]
        self._total = [np.zeros(1, np.int32) for _ in sizes]
        self._new = [np.full(size, n_new, np.int32) for size in sizes]
        self._binding = session.io_binding()
        inputs = {"ids": self._ids}
        if len(memory) > 1:
            inputs["sizes"] = self._sizes = np.array(sizes, np.int64)
        for call, (last, total, new) in enumerate(zip(self._last, self._total, self._new, strict=True)):
            inputs |= {f"last_{call}": last, f"total_{call}": total, f"new_{call}": new}
        for name, array in inputs.items():
            self._binding.bind_input(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        for call, layers in enumerate(memory):
            for index, layer in enumerate(layers):  # one memory for past and present: written in place
                name, place = _cache_name(call, index), (layer.dtype.type, layer.shape, layer.ctypes.data)
                self._binding.bind_input(f"past_{name}", "cpu", 0, *place)
                self._binding.bind_output(f"present_{name}", "cpu", 0, *place)
        self._binding.bind_output("logits", "cpu", 0, np.float32, self._logits.shape, self._logits.ctypes.data)

    def is_of(self, memory: Sequence[NDArray[Any]]) -> bool:
        """Whether it is tied to this memory."""
        return all(ours is theirs for ours, theirs in zip(self._memory, memory, strict=True))

    def run(self, ids: Sequence[Ids], lengths: Sequence[NDArray[np.int64]]) -> list[Logits]:
        """Logits [B, S, V] of each call, in memory that the next run overwrites.

        `ids` [B, S] and `lengths` [B] of each call; lengths count the new tokens in.
        """
        found = []
        for new, counted, first, last, total in zip(ids, lengths, self._firsts, self._last, self._total, strict=True):
            stop = first + len(new)
            self._ids[first:stop] = new
            last[:] = counted - 1
            total[0] = counted.max()
            found.append(self._logits[first:stop])
        self._session.run_with_iobinding(self._binding)
        return found


def _cache_name(call: int, index: int) -> str:
    return f"{'value' if index % 2 else 'key'}_{call}_{index // 2}"


class _Llama:
    """The decoder as an ONNX model, its weights ready for any number of calls.

    The same function with other weights, so that one scale does for all channels: gains of norms are in the matrices
    that follow, whose inputs then have variance 1. Keys, values and gated activations are divided by what their weights
    make of independent inputs of that variance, and what follows is multiplied by it; keys by twos, as they rotate.
    """

    def __init__(self, shape: Shape, tensors: Mapping[str, NDArray[np.float32]], *, quantized: bool) -> None:
        self._shape, self._quantized = shape, quantized
        self.cached = np.int8 if quantized else np.float32
        """Type of keys and values."""
        self._weights = weights = Graph()

        def weight(name: str) -> NDArray[np.float32]:
            return np.asarray(tensors[name], np.float32)

        for name, table in zip(("cos", "sin"), shape.rotary(), strict=True):
            weights.constant(name, table)
        weights.constant("embedding", weight("model.embed_tokens.weight"))
        weights.constant("no_gain", np.ones(shape.width, np.float32))
        if quantized:
            weights.constant("no_gated_gain", np.ones(shape.feed_forward, np.float32))
            weights.constant("zero", np.array(128, np.uint8))
            for name, largest in LARGEST.items():
                weights.constant(name, np.array([largest / 127], np.float32))
        n, k, e = shape.n_heads, shape.n_key_value_heads, shape.head_dim
        for index in range(shape.n_layers):
            layer = f"model.layers.{index}"
            gain = weight(f"{layer}.input_layernorm.weight")
            query, key, value = (weight(f"{layer}.self_attn.{part}_proj.weight") * gain for part in "qkv")
            key_sizes = np.tile(_sizes(key).reshape(k, 2, e // 2).max(1), 2)  # [K, E]
            value_sizes = _sizes(value).reshape(k, e)
            query = (query.reshape(k, n // k, e, -1) * key_sizes[:, None, :, None]).reshape(query.shape)
            key, value = key / key_sizes.reshape(-1, 1), value / value_sizes.reshape(-1, 1)
            self._matrix(f"{layer}.qkv", np.concatenate([query, key, value]))
            out = weight(f"{layer}.self_attn.o_proj.weight")
            self._matrix(f"{layer}.o", (out.reshape(-1, k, n // k, e) * value_sizes[:, None]).reshape(out.shape))
            gain = weight(f"{layer}.post_attention_layernorm.weight")
            gate, up = (weight(f"{layer}.mlp.{part}_proj.weight") * gain for part in ("gate", "up"))
            gated_sizes = _sizes(gate) * _sizes(up)
            self._matrix(f"{layer}.gate", gate)
            self._matrix(f"{layer}.up", up / gated_sizes[:, None])
            self._matrix(f"{layer}.down", weight(f"{layer}.mlp.down_proj.weight") * gated_sizes)
        head = tensors.get("lm_head.weight", tensors["model.embed_tokens.weight"])  # absent where tied
        self._matrix("logits", np.asarray(head, np.float32) * weight("model.norm.weight"))

    def _matrix(self, name: str, matrix: NDArray[np.float32]) -> None:
        if not self._quantized:
            self._weights.constant(f"{name}.weight", matrix.T)
            return
        scales = np.abs(matrix).max(1) / np.float32(LARGEST_CODE)
        scales[scales == 0] = 1  # a row of zeros
        self._weights.constant(f"{name}.codes", np.rint(matrix / scales[:, None]).astype(np.int8).T)
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
            graph.input(f"new_{call}", np.int32, [f"B{call}"])
            dims: list[int | str] = [f"B{call}", shape.n_key_value_heads, f"C{call}", shape.head_dim]
            for index in range(2 * shape.n_layers):
                graph.input(f"past_{_cache_name(call, index)}", self.cached, dims)
                graph.output(f"present_{_cache_name(call, index)}", self.cached, dims)

    def graph(self, n_calls: int) -> bytes:
        """The model that computes the rows of so many calls, serialised.

        Inputs: ``ids`` int64 [B, S], the rows of all calls one after another; for several calls ``sizes`` int64
        [calls], rows of each, and S is 1. For each call ``last`` int32 [B], index of each row's last token; ``total``
        int32 [1], the longest row; ``new`` int32 [B], S for each row; ``past_*`` [B, K, C, E]. Outputs: ``logits``
        [B, S, V] and ``present_*`` of each call, meant to share memory with the past.
        """
        shape, graph = self._shape, Graph(self._weights)
        calls = range(n_calls)
        self._name_ends(graph, calls)
        stream, update = "", ""  # the residual stream, and what the last block adds to it

        def norm(name: str) -> str:
            """Add the update to the stream, then RMSNorm: one operator."""
            nonlocal stream, update
            y = f"{name}.out"
            if not update:
                graph.node("SimplifiedLayerNormalization", [stream, "no_gain"], y, epsilon=shape.norm_eps, axis=-1)
            else:
                outputs = [y, "", "", f"{name}.stream"]
                add_norm = "SkipSimplifiedLayerNormalization"
                graph.node(add_norm, [stream, update, "no_gain"], *outputs, domain=CONTRIB, epsilon=shape.norm_eps)
                stream = outputs[-1]
            return self._rounded(graph, y, "normed")

        stream = graph.node("Gather", ["embedding", "ids"], "embedded")
        for index in range(shape.n_layers):
            layer = f"model.layers.{index}"
            x = self._product(graph, f"{layer}.qkv", norm(f"{layer}.input_layernorm"))
            parts = [x]
            if n_calls > 1:
                parts = [f"{layer}.qkv_{call}" for call in calls]
                graph.node("Split", [x, "sizes"], *parts, axis=0)
            parts = [self._attention(graph, index, call, part) for call, part in enumerate(parts)]
            x = parts[0] if n_calls == 1 else graph.node("Concat", parts, f"{layer}.attention", axis=0)
            update = self._product(graph, f"{layer}.o", self._rounded(graph, x, "values"), "values")
            x = norm(f"{layer}.post_attention_layernorm")
            gate, up = self._product(graph, f"{layer}.gate", x), self._product(graph, f"{layer}.up", x)
            gate = graph.node("QuickGelu", [gate], f"{layer}.silu", domain=CONTRIB, alpha=1.0)  # x * sigmoid(x)
            x = graph.node("Mul", [gate, up], f"{layer}.gated")
            update = self._down(graph, layer, x)
        self._product(graph, "logits", norm("model.norm"))
        return graph.serialize()

    def _rounded(self, graph: Graph, x: str, scale: str) -> str:
        """As it goes into products."""
        return graph.node("QuantizeLinear", [x, scale, "zero"], f"{x}.codes") if self._quantized else x

    def _product(self, graph: Graph, name: str, x: str, scale: str = "normed") -> str:
        """Of a matrix and what was rounded with a scale."""
        if not self._quantized:
            return graph.node("MatMul", [x, f"{name}.weight"], name)
        inputs = [x, f"{name}.codes", scale, f"{name}.scales", "zero"]
        return graph.node("MatMulIntegerToFloat", inputs, name, domain=CONTRIB)

    def _attention(self, graph: Graph, index: int, call: int, x: str) -> str:
        """The rows of one call in a layer, each over its own past."""
        key, value = (_cache_name(call, 2 * index + part) for part in (0, 1))
        scales, attributes = ["", ""], dict[str, float | str]()
        if self._quantized:
            scales = ["keys", "values"]
            attributes = {"kv_cache_bit_width": 8, "k_quant_type": "PER_TENSOR", "v_quant_type": "PER_TENSOR"}
        return graph.node(
            "GroupQueryAttention",
            [x, "", "", f"past_{key}", f"past_{value}", f"last_{call}", f"total_{call}", "cos", "sin", "", "", "",
             *scales, "", "", f"new_{call}"],
            f"model.layers.{index}.attention_{call}",
            f"present_{key}",
            f"present_{value}",
            domain=CONTRIB,
            num_heads=self._shape.n_heads,
            kv_num_heads=self._shape.n_key_value_heads,
            do_rotary=1,
            **attributes,
        )  # fmt: skip

    def _down(self, graph: Graph, layer: str, x: str) -> str:
        """Inputs are large for a few tokens: each token's are brought to variance 1, and back after the product."""
        name = f"{layer}.down"
        if not self._quantized:
            return self._product(graph, name, x)
        y, factor = f"{layer}.leveled", f"{layer}.factor"
        graph.node("SimplifiedLayerNormalization", [x, "no_gated_gain"], y, factor, epsilon=TINY, axis=-1)
        found = self._product(graph, name, self._rounded(graph, y, "gated"), "gated")
        return graph.node("Div", [found, factor], f"{name}.out")


def _sizes(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Standard deviation of each output for independent inputs of variance 1: norms of the rows, 1 for zeros."""
    sizes = np.sqrt((matrix**2).sum(1))
    sizes[sizes == 0] = 1
    return sizes
