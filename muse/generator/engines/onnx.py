"""The network on ONNX Runtime, for the CPU.

It is written down as an ONNX graph, straight from the weights and without compilation, and run in one call per token.
At the generator's sizes a decode step is a few hundred microseconds of arithmetic, less than a framework spends on
dispatching its operators one by one; that is where the speed comes from. Weights are float32, or int8 with a float32
scale for every :data:`BLOCKS` inputs of an output. Conventions: :mod:`muse.generator.engines.engine`.

Contents: :class:`OnnxEngine`, :class:`OnnxCache`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from muse.checkpoint import check_tensors, load_tensors
from muse.errors import InputError
from muse.generator.engines.engine import GROWTH, OPTIONAL, Ids, Logits, Shape
from muse.generator.engines.graph import CONTRIB, Graph

__all__ = ["OnnxCache", "OnnxEngine"]

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
        import onnxruntime

        self.shape, self.dtype = Shape.read(folder), "int8" if quantized else "float32"
        tensors = load_tensors(folder, "np")
        check_tensors(folder, tensors, self.shape.tensors(), optional=OPTIONAL)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors
        graph = _llama_graph(self.shape, tensors, quantized=quantized)
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def start(self, n_rows: int) -> OnnxCache:
        """`n_rows` empty rows; see :class:`muse.generator.engines.engine.Engine`."""
        return OnnxCache(self._session, self.shape, n_rows)


class OnnxCache:
    """Rows of one call, see :class:`muse.generator.engines.engine.Cache`.

    Quantised products take rows by twos and round an odd one otherwise. So of two rows or more an odd number has one
    more, of which nobody asks anything, and what a row gets does not depend on how many others there are or remain.
    """

    def __init__(self, session: Any, shape: Shape, n_rows: int) -> None:
        self._session, self._shape = session, shape
        self.lengths = np.zeros(n_rows, np.int64)
        self._is_alone = n_rows == 1
        self._cache = self._empty(n_rows + self._n_idle(), GROWTH)
        self._step: _Binding | None = None

    def load(self, row: int, ids: Ids) -> Logits:
        """Make `ids` [S] the whole history of a row; logits [S, V] after each."""
        self._reserve(len(ids))
        place = self._cache[:, row : row + 1]
        parts = []
        for first in range(0, len(ids), LOADED_AT_ONCE):
            part = ids[None, first : first + LOADED_AT_ONCE]
            self.lengths[row] = first + part.shape[1]
            binding = _Binding(self._session, place, part.shape[1], self._shape.vocab_size)
            parts.append(binding.run(part, self.lengths[row : row + 1], int(self.lengths[row]))[0])
        return np.concatenate(parts)

    def share(self, source: int, rows: Iterable[int]) -> None:
        """Give other rows the history of `source`."""
        n = self.lengths[source]
        for row in rows:
            self._cache[:, row, :, :n] = self._cache[:, source, :, :n]
            self.lengths[row] = n

    def extend(self, ids: Ids) -> Logits:
        """Append ids [B, S] to the rows; logits [B, V] after the last, in memory that the next step overwrites."""
        longest = int(self.lengths.max())
        self._reserve(longest + ids.shape[1])
        if self._step is None:
            self._step = _Binding(self._session, self._cache, 1, self._shape.vocab_size)
        # One at a time: the attention operator appends several tokens to a single row only, and rounds otherwise then.
        for n_new, column in enumerate(ids.T, 1):
            self.lengths += 1
            logits = self._step.run(column[:, None], self.lengths, longest + n_new)
        return logits[:, 0]

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Go on with these rows alone, in this order."""
        self.lengths = self.lengths[rows]
        self._cache = self._cache.take(np.append(rows, rows[: self._n_idle()]), 1)  # contiguous, which indexing is not
        self._step = None

    def _n_idle(self) -> int:
        """Rows of the cache beyond those asked for."""
        return 0 if self._is_alone else len(self.lengths) % 2

    def _empty(self, n_rows: int, slots: int) -> NDArray[np.float32]:
        """Keys (even) and values (odd) of the layers, float32 [2 x layers, B, K, C, E]."""
        s = self._shape
        return np.zeros((2 * s.n_layers, n_rows, s.n_key_value_heads, slots, s.head_dim), np.float32)

    def _reserve(self, n_tokens: int) -> None:
        slots = self._cache.shape[3]
        if n_tokens > slots:
            old, used = self._cache, int(self.lengths.max())
            self._cache = self._empty(old.shape[1], -(-n_tokens // GROWTH) * GROWTH)
            self._cache[:, :, :, :used] = old[:, :, :, :used]
            self._step = None


class _Binding:
    """Inputs and outputs of a session tied to fixed memory, so that a step passes no arrays."""

    def __init__(self, session: Any, cache: NDArray[np.float32], n_new: int, vocab_size: int) -> None:
        n_rows = cache.shape[1]
        self._session, self._cache = session, cache  # the memory must outlive the binding
        self._ids = np.zeros((n_rows, n_new), np.int64)
        self._last = np.zeros(n_rows, np.int32)
        self._total = np.zeros(1, np.int32)
        self._logits = np.zeros((n_rows, n_new, vocab_size), np.float32)
        self._binding = session.io_binding()
        for name, array in (("ids", self._ids), ("last", self._last), ("total", self._total)):
            self._binding.bind_input(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        for index, layer in enumerate(cache):  # one memory for past and present: written in place
            name, place = _cache_name(index), (np.float32, layer.shape, layer.ctypes.data)
            self._binding.bind_input(f"past_{name}", "cpu", 0, *place)
            self._binding.bind_output(f"present_{name}", "cpu", 0, *place)
        self._binding.bind_output("logits", "cpu", 0, np.float32, self._logits.shape, self._logits.ctypes.data)

    def run(self, ids: Ids, lengths: NDArray[np.int64], longest: int) -> Logits:
        """Logits [B, S, V], in memory that the next run overwrites; `lengths` [B] count the new tokens in, `longest` is
        the greatest."""
        n_rows = len(ids)  # an idle row stays at id and place 0
        self._ids[:n_rows] = ids
        self._last[:n_rows] = lengths - 1
        self._total[0] = longest
        self._session.run_with_iobinding(self._binding)
        return self._logits[:n_rows]


def _cache_name(index: int) -> str:
    return f"{'value' if index % 2 else 'key'}_{index // 2}"


def _llama_graph(shape: Shape, tensors: Mapping[str, NDArray[np.float32]], *, quantized: bool) -> bytes:
    """The decoder as a serialised ONNX model.

    Inputs: ``ids`` int64 [B, S]; ``last`` int32 [B], index of each row's last token; ``total`` int32 [1], the longest
    row; ``past_*`` float32 [B, K, C, E]. Outputs: ``logits`` [B, S, V] and ``present_*``, meant to share memory.
    """
    graph = Graph()
    graph.input("ids", np.int64, ["B", "S"])
    graph.input("last", np.int32, ["B"])
    graph.input("total", np.int32, [1])
    graph.output("logits", np.float32, ["B", "S", shape.vocab_size])
    cache_dims: list[int | str] = ["B", shape.n_key_value_heads, "C", shape.head_dim]
    for index in range(2 * shape.n_layers):
        graph.input(f"past_{_cache_name(index)}", np.float32, cache_dims)
        graph.output(f"present_{_cache_name(index)}", np.float32, cache_dims)
    for name, table in zip(("cos", "sin"), shape.rotary(), strict=True):
        graph.constant(name, table)

    def weight(name: str) -> NDArray[np.float32]:
        return np.asarray(tensors[name], np.float32)

    def linear(name: str, x: str, matrix: NDArray[np.float32]) -> str:
        if not quantized:
            return graph.node("MatMul", [x, graph.constant(f"{name}.weight", matrix.T)], name)
        n_out, n_in = matrix.shape
        block = next((size for size in BLOCKS if n_in % size == 0), None)
        if block is None:
            raise InputError(f"int8 needs widths that are multiples of {BLOCKS[-1]}, not {n_in}: load with float32")
        codes, scales = _quantize(matrix, block)
        inputs = [x, graph.constant(f"{name}.codes", codes), graph.constant(f"{name}.scales", scales)]
        # accuracy_level 4: the product itself runs on 8-bit integers
        attributes = {"N": n_out, "K": n_in, "bits": 8, "block_size": block, "accuracy_level": 4}
        return graph.node("MatMulNBits", inputs, name, domain=CONTRIB, **attributes)

    no_sink = graph.constant("no_sink", np.full(shape.n_heads, NO_SINK, np.float32))
    scale = np.float32(shape.head_dim**-0.5)
    stream, update = "", ""  # the residual stream, and what the last block adds to it

    def norm(name: str) -> str:
        """Add the update to the stream, then RMSNorm: one operator."""
        nonlocal stream, update
        gain, y = graph.constant(f"{name}.gain", weight(f"{name}.weight")), f"{name}.out"
        if not update:
            return graph.node("SimplifiedLayerNormalization", [stream, gain], y, epsilon=shape.norm_eps, axis=-1)
        outputs = [y, "", "", f"{name}.stream"]
        add_norm = "SkipSimplifiedLayerNormalization"
        graph.node(add_norm, [stream, update, gain], *outputs, domain=CONTRIB, epsilon=shape.norm_eps)
        stream = outputs[-1]
        return y

    stream = graph.node("Gather", [graph.constant("embedding", weight("model.embed_tokens.weight")), "ids"], "embedded")
    for index in range(shape.n_layers):
        layer = f"model.layers.{index}"
        x = norm(f"{layer}.input_layernorm")
        query, *others = (weight(f"{layer}.self_attn.{part}_proj.weight") for part in "qkv")
        x = linear(f"{layer}.qkv", x, np.concatenate([query * scale, *others]))
        key, value = _cache_name(2 * index), _cache_name(2 * index + 1)
        x = graph.node(
            "GroupQueryAttention",
            [x, "", "", f"past_{key}", f"past_{value}", "last", "total", "cos", "sin", "", "", no_sink],
            f"{layer}.attention",
            f"present_{key}",
            f"present_{value}",
            domain=CONTRIB,
            num_heads=shape.n_heads,
            kv_num_heads=shape.n_key_value_heads,
            do_rotary=1,
            scale=1.0,
        )
        update = linear(f"{layer}.o", x, weight(f"{layer}.self_attn.o_proj.weight"))
        x = norm(f"{layer}.post_attention_layernorm")
        gate = linear(f"{layer}.gate", x, weight(f"{layer}.mlp.gate_proj.weight"))
        up = linear(f"{layer}.up", x, weight(f"{layer}.mlp.up_proj.weight"))
        gate = graph.node("QuickGelu", [gate], f"{layer}.silu", domain=CONTRIB, alpha=1.0)  # x * sigmoid(x)
        x = graph.node("Mul", [gate, up], f"{layer}.gated")
        update = linear(f"{layer}.down", x, weight(f"{layer}.mlp.down_proj.weight"))
    head = tensors.get("lm_head.weight", tensors.get("model.embed_tokens.weight"))  # absent where tied
    linear("logits", norm("model.norm"), np.asarray(head, np.float32))
    return graph.serialize()


def _quantize(matrix: NDArray[np.float32], block: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Symmetric 8-bit codes uint8 [out, blocks, block] around 128, and scales float32 [out, blocks]."""
    blocks = matrix.reshape(len(matrix), -1, block)
    scales = np.abs(blocks).max(-1) / np.float32(127)
    scales[scales == 0] = 1  # a block of zeros
    return (np.rint(blocks / scales[..., None]) + 128).astype(np.uint8), scales
