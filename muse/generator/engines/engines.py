"""Engines: the generator's weights, run forward over rows of ids with a key/value cache.

The sampler asks an engine for logits and knows nothing of how they come about. There are two, of one interface
(:class:`Engine`), reading the same safetensors:

* :class:`OnnxEngine` for the CPU. The network is written down as an ONNX graph, straight from the weights and without
  compilation, and run by ONNX Runtime in one call per token. At the generator's sizes a decode step is a few hundred
  microseconds of arithmetic, less than a framework spends on dispatching its operators one by one; that is where
  the speed comes from. Weights are float32, or int8 with a float32 scale for every :data:`BLOCKS` inputs of an output.
* :class:`TorchEngine` for everything else that PyTorch runs on, and as the plain form of the same arithmetic.

Conventions
-----------
``B`` rows, ``S`` new tokens, ``T`` tokens so far, ``C`` cache slots, ``H`` query heads, ``K`` key/value heads, ``E``
width of a head, ``D`` width, ``V`` vocabulary. Every row has its own length, so rows of any age share a batch. A row's
logits do not depend on the other rows, on the CPU to the last bit (with int8: among batches of two or more). Ids are
integers in ``0..V-1``; logits are float32 and unnormalised.
"""

from __future__ import annotations

import importlib.util
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from muse.checkpoint import load_tensors
from muse.errors import InputError
from muse.files import read_json

if TYPE_CHECKING:
    import torch

__all__ = ["Engine", "OnnxEngine", "Shape", "TorchEngine", "has_onnx_runtime"]

Ids = NDArray[np.int64]
Logits = NDArray[np.float32]

GROWTH = 256  # cache slots added at a time: growing copies the cache, so not too often, and unused slots cost memory
BLOCKS = (128, 64, 32, 16)  # inputs that share a scale: the largest that divides a matrix's width; 128 is the fastest


@dataclass(frozen=True)
class Shape:
    """What the decode loop needs of a ``config.json`` of ``LlamaForCausalLM``."""

    n_layers: int
    n_heads: int
    n_key_value_heads: int
    head_dim: int
    width: int
    vocab_size: int
    context: int
    """Positions that the model was built for."""
    norm_eps: float
    rope_theta: float

    @classmethod
    def read(cls, folder: str | Path) -> Shape:
        """The shape of a checkpoint.

        Raises
        ------
        InputError
            It is another architecture, or it uses something that the engines do not have (biases, scaled rotary
            positions, another activation): their logits would be wrong.
        """
        path = Path(folder) / "config.json"
        config: Mapping[str, Any] = read_json(path)
        rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
        # name -> what the engines compute; an absent entry means the same
        fixed = {
            "model_type": "llama",
            "hidden_act": "silu",
            "attention_bias": False,
            "mlp_bias": False,
        }
        odd = [name for name, ours in fixed.items() if config.get(name, ours) != ours]
        faults = [f"{name} is {config[name]!r}, not {fixed[name]!r}" for name in odd]
        if (kind := rope.get("rope_type", "default")) != "default":
            faults.append(f"rope_type is {kind!r}, not 'default'")
        if faults:
            raise InputError(f"{path}: this sampler cannot decode it: {'; '.join(faults)}")
        try:
            n_heads, width = int(config["num_attention_heads"]), int(config["hidden_size"])
            return cls(
                n_layers=int(config["num_hidden_layers"]),
                n_heads=n_heads,
                n_key_value_heads=int(config.get("num_key_value_heads") or n_heads),
                head_dim=int(config.get("head_dim") or width // n_heads),
                width=width,
                vocab_size=int(config["vocab_size"]),
                context=int(config["max_position_embeddings"]),
                norm_eps=float(config["rms_norm_eps"]),
                rope_theta=float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0),
            )
        except KeyError as error:
            raise InputError(f"{path}: {error.args[0]!r} is missing") from None

    def rotary(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Cosine and sine of every position's angles, float32 [context, E / 2] each.

        Su et al. 2021, arXiv 2104.09864; float32 throughout, as in the library that trained the weights.
        """
        exponent = np.arange(0, self.head_dim, 2, dtype=np.float32) / np.float32(self.head_dim)
        frequency = np.float32(1) / np.float32(self.rope_theta) ** exponent
        angle = np.arange(self.context, dtype=np.float32)[:, None] * frequency
        return np.cos(angle), np.sin(angle)


class Engine(Protocol):
    """A model with a cache of rows."""

    shape: Shape
    dtype: str
    """Type of the weights: ``"int8"``, ``"float32"``, ``"bfloat16"``, ``"float16"``."""
    lengths: NDArray[np.int64]
    """int64 [B]: tokens that each row holds."""

    def start(self, n_rows: int) -> None:
        """Forget everything and hold `n_rows` empty rows."""
        ...

    def load(self, row: int, ids: Ids) -> Logits:
        """Make `ids` [S] the whole history of a row; logits [S, V] after each."""
        ...

    def share(self, source: int, rows: Iterable[int]) -> None:
        """Give other rows the history of `source`."""
        ...

    def extend(self, ids: Ids) -> Logits:
        """Append ids [B, S] to the rows; logits [B, V] after the last."""
        ...

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Go on with these rows alone, in this order."""
        ...


def has_onnx_runtime() -> bool:
    """Whether :class:`OnnxEngine` can run here."""
    return importlib.util.find_spec("onnxruntime") is not None


# ------------------------------------------------------------------------------------------------------ ONNX Runtime


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
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors
        graph = _llama_graph(self.shape, load_tensors(folder, "np"), quantized=quantized)
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self.start(1)

    def start(self, n_rows: int) -> None:
        self.lengths = np.zeros(n_rows, np.int64)
        self._cache = self._empty(n_rows, GROWTH)
        self._step: _Binding | None = None

    def load(self, row: int, ids: Ids) -> Logits:
        self._reserve(len(ids))
        binding = _Binding(self._session, self._cache[:, row : row + 1], len(ids), self.shape.vocab_size)
        self.lengths[row] = len(ids)
        return binding.run(ids[None], self.lengths[row : row + 1])[0]

    def share(self, source: int, rows: Iterable[int]) -> None:
        n = self.lengths[source]
        for row in rows:
            self._cache[:, row, :, :n] = self._cache[:, source, :, :n]
            self.lengths[row] = n

    def extend(self, ids: Ids) -> Logits:
        self._reserve(int(self.lengths.max()) + ids.shape[1])
        if self._step is None:
            self._step = _Binding(self._session, self._cache, 1, self.shape.vocab_size)
        # One at a time: the attention operator appends several tokens to a single row only, and rounds otherwise then.
        for column in ids.T:
            self.lengths += 1
            logits = self._step.run(column[:, None], self.lengths)
        return logits[:, 0]

    def keep(self, rows: NDArray[np.int64]) -> None:
        self.lengths = self.lengths[rows]
        self._cache = self._cache.take(rows, 1)  # contiguous, which indexing is not
        self._step = None

    def _empty(self, n_rows: int, slots: int) -> NDArray[np.float32]:
        """Keys (even) and values (odd) of the layers, float32 [2 x layers, B, K, C, E]."""
        s = self.shape
        return np.zeros((2 * s.n_layers, n_rows, s.n_key_value_heads, slots, s.head_dim), np.float32)

    def _reserve(self, n_tokens: int) -> None:
        slots = self._cache.shape[3]
        if n_tokens > slots:
            old, used = self._cache, int(self.lengths.max())
            self._cache = self._empty(len(self.lengths), -(-n_tokens // GROWTH) * GROWTH)
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

    def run(self, ids: Ids, lengths: NDArray[np.int64]) -> Logits:
        """Logits [B, S, V], in memory that the next run overwrites; `lengths` [B] count the new tokens in."""
        self._ids[:] = ids
        self._last[:] = lengths - 1
        self._total[0] = self._last.max() + 1
        self._session.run_with_iobinding(self._binding)
        return self._logits


def _cache_name(index: int) -> str:
    return f"{'value' if index % 2 else 'key'}_{index // 2}"


def _llama_graph(shape: Shape, tensors: Mapping[str, NDArray[np.float32]], *, quantized: bool) -> bytes:
    """The decoder as a serialised ONNX model.

    Inputs: ``ids`` int64 [B, S]; ``last`` int32 [B], index of each row's last token; ``total`` int32 [1], the longest
    row; ``past_*`` float32 [B, K, C, E]. Outputs: ``logits`` [B, S, V] and ``present_*``, meant to share memory.
    """
    graph = _Graph()
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
        try:
            return np.asarray(tensors[name], np.float32)
        except KeyError:
            raise InputError(f"the checkpoint has no tensor {name!r}") from None

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
        return graph.node("MatMulNBits", inputs, name, domain=_CONTRIB, **attributes)

    stream, update = "", ""  # the residual stream, and what the last block adds to it

    def norm(name: str) -> str:
        """Add the update to the stream, then RMSNorm: one operator."""
        nonlocal stream, update
        gain, y = graph.constant(f"{name}.gain", weight(f"{name}.weight")), f"{name}.out"
        if not update:
            return graph.node("SimplifiedLayerNormalization", [stream, gain], y, epsilon=shape.norm_eps, axis=-1)
        outputs = [y, "", "", f"{name}.stream"]
        add_norm = "SkipSimplifiedLayerNormalization"
        graph.node(add_norm, [stream, update, gain], *outputs, domain=_CONTRIB, epsilon=shape.norm_eps)
        stream = outputs[-1]
        return y

    stream = graph.node("Gather", [graph.constant("embedding", weight("model.embed_tokens.weight")), "ids"], "embedded")
    for index in range(shape.n_layers):
        layer = f"model.layers.{index}"
        x = norm(f"{layer}.input_layernorm")
        joined = np.concatenate([weight(f"{layer}.self_attn.{part}_proj.weight") for part in "qkv"])
        x = linear(f"{layer}.qkv", x, joined)
        key, value = _cache_name(2 * index), _cache_name(2 * index + 1)
        x = graph.node(
            "GroupQueryAttention",
            [x, "", "", f"past_{key}", f"past_{value}", "last", "total", "cos", "sin"],
            f"{layer}.attention",
            f"present_{key}",
            f"present_{value}",
            domain=_CONTRIB,
            num_heads=shape.n_heads,
            kv_num_heads=shape.n_key_value_heads,
            do_rotary=1,
        )
        update = linear(f"{layer}.o", x, weight(f"{layer}.self_attn.o_proj.weight"))
        x = norm(f"{layer}.post_attention_layernorm")
        gate = linear(f"{layer}.gate", x, weight(f"{layer}.mlp.gate_proj.weight"))
        up = linear(f"{layer}.up", x, weight(f"{layer}.mlp.up_proj.weight"))
        gate = graph.node("QuickGelu", [gate], f"{layer}.silu", domain=_CONTRIB, alpha=1.0)  # x * sigmoid(x)
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


_CONTRIB = "com.microsoft"
_OPSETS = {"": 17, _CONTRIB: 1}
_IR_VERSION = 8  # of opset 17
_ONNX_TYPES: dict[type, int] = {np.float32: 1, np.uint8: 2, np.int32: 6, np.int64: 7}  # TensorProto.DataType


class _Graph:
    """Just enough of ONNX's protobuf format (onnx.proto, field numbers beside each use) to write one model."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def constant(self, name: str, array: NDArray[Any]) -> str:
        array = np.ascontiguousarray(array)
        dims = [_message(1, size) for size in array.shape]
        kind = _message(2, _ONNX_TYPES[array.dtype.type])
        raw = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        self._parts.append(_message(5, *dims, kind, _message(8, name), _message(9, raw)))  # GraphProto.initializer
        return name

    def node(self, op_type: str, inputs: Sequence[str], *outputs: str, domain: str = "", **attributes: float) -> str:
        """Add an operator; returns the name of its first output."""
        fields = [_message(1, name) for name in inputs] + [_message(2, name) for name in outputs]
        fields += [_message(4, op_type), _message(7, domain)]
        for name, value in attributes.items():  # AttributeProto: name 1; float 2 or integer 3; type 20
            number, kind = (2, 1) if isinstance(value, float) else (3, 2)
            fields.append(_message(5, _message(1, name), _message(number, value), _message(20, kind)))
        self._parts.append(_message(1, *fields))  # GraphProto.node
        return outputs[0]

    def input(self, name: str, dtype: type, dims: Sequence[int | str]) -> None:
        self._parts.append(self._value(11, name, dtype, dims))

    def output(self, name: str, dtype: type, dims: Sequence[int | str]) -> None:
        self._parts.append(self._value(12, name, dtype, dims))

    @staticmethod
    def _value(number: int, name: str, dtype: type, dims: Sequence[int | str]) -> bytes:
        sizes = [_message(1, _message(1 if isinstance(size, int) else 2, size)) for size in dims]
        tensor_type = _message(1, _message(1, _ONNX_TYPES[dtype]), _message(2, *sizes))
        return _message(number, _message(1, name), _message(2, tensor_type))

    def serialize(self) -> bytes:
        opsets = [_message(8, _message(1, domain), _message(2, version)) for domain, version in _OPSETS.items()]
        return _message(1, _IR_VERSION) + _message(7, _message(2, "muse"), *self._parts) + b"".join(opsets)


def _message(number: int, *values: int | float | str | bytes) -> bytes:
    """One protobuf field: an integer, a float, or anything of bytes (several values are joined)."""
    if len(values) == 1 and isinstance(values[0], int):
        return _varint(number << 3) + _varint(values[0] & (2**64 - 1))
    if len(values) == 1 and isinstance(values[0], float):
        return _varint(number << 3 | 5) + struct.pack("<f", values[0])
    data = b"".join(value.encode() if isinstance(value, str) else value for value in values)  # type: ignore[misc]
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


# ----------------------------------------------------------------------------------------------------------- PyTorch


class TorchEngine:
    """The network in plain PyTorch, for any of its devices.

    Parameters
    ----------
    folder
        A checkpoint.
    device
        As PyTorch names it: ``"cuda"``, ``"cuda:1"``, ``"mps"``, ``"cpu"``.
    dtype
        ``"float32"``, ``"bfloat16"`` or ``"float16"``, of weights and cache.
    """

    def __init__(self, folder: str | Path, *, device: str = "cpu", dtype: str = "float32") -> None:
        import torch

        self.shape, self.dtype = Shape.read(folder), dtype
        self._device, self._dtype = torch.device(device), getattr(torch, dtype)
        tensors = load_tensors(folder, "pt")
        w = {name: tensor.to(self._device, self._dtype) for name, tensor in tensors.items()}
        w.setdefault("lm_head.weight", w["model.embed_tokens.weight"])
        for index in range(self.shape.n_layers):  # one product each for q, k, v and for gate, up
            layer = f"model.layers.{index}"
            w[f"{layer}.qkv"] = torch.cat([w.pop(f"{layer}.self_attn.{part}_proj.weight") for part in "qkv"])
            w[f"{layer}.gate_up"] = torch.cat([w.pop(f"{layer}.mlp.{part}_proj.weight") for part in ("gate", "up")])
        self._weights = w
        self._cos, self._sin = (torch.from_numpy(table).to(self._device) for table in self.shape.rotary())
        self.start(1)

    def start(self, n_rows: int) -> None:
        self.lengths = np.zeros(n_rows, np.int64)
        self._cache = self._empty(n_rows, GROWTH)

    def load(self, row: int, ids: Ids) -> Logits:
        self._reserve(len(ids))
        self.lengths[row] = len(ids)
        return self._forward(ids[None], np.array([row]))[0]

    def share(self, source: int, rows: Iterable[int]) -> None:
        n = int(self.lengths[source])
        for row in rows:
            self._cache[:, row, :, :n] = self._cache[:, source, :, :n]
            self.lengths[row] = n

    def extend(self, ids: Ids) -> Logits:
        self._reserve(int(self.lengths.max()) + ids.shape[1])
        self.lengths += ids.shape[1]
        return self._forward(ids, np.arange(len(ids)), last_only=True)[:, -1]

    def keep(self, rows: NDArray[np.int64]) -> None:
        import torch

        self.lengths = self.lengths[rows]
        self._cache = self._cache[:, torch.from_numpy(rows).to(self._device)]

    def _empty(self, n_rows: int, slots: int) -> torch.Tensor:
        import torch

        s = self.shape
        dims = (2 * s.n_layers, n_rows, s.n_key_value_heads, slots, s.head_dim)
        return torch.zeros(dims, dtype=self._dtype, device=self._device)

    def _reserve(self, n_tokens: int) -> None:
        if n_tokens > self._cache.shape[3]:
            old, used = self._cache, int(self.lengths.max())
            self._cache = self._empty(len(self.lengths), -(-n_tokens // GROWTH) * GROWTH)
            self._cache[:, :, :, :used] = old[:, :, :, :used]

    def _forward(self, ids: Ids, rows: NDArray[np.int64], *, last_only: bool = False) -> Logits:
        """Logits [B, S, V] of the last S tokens of some rows, whose lengths count these tokens in."""
        import torch
        from torch.nn import functional as F  # noqa: N812 - the name that PyTorch code uses

        s, w = self.shape, self._weights
        n_rows, n_new = ids.shape
        lengths = self.lengths[rows]
        total = int(lengths.max())

        def norm(x: torch.Tensor, name: str) -> torch.Tensor:
            return F.rms_norm(x, (s.width,), w[f"{name}.weight"], s.norm_eps)

        with torch.inference_mode():
            row = torch.from_numpy(rows).to(self._device)[:, None]  # [B, 1]
            place = torch.from_numpy(lengths[:, None] - n_new + np.arange(n_new)).to(self._device)  # [B, S]
            cos, sin = self._cos[place][:, :, None], self._sin[place][:, :, None]  # [B, S, 1, E / 2]
            visible = torch.arange(total, device=self._device) <= place[:, None, :, None]  # [B, 1, S, T]
            n_rotated = s.n_heads + s.n_key_value_heads
            x = w["model.embed_tokens.weight"][torch.from_numpy(ids).to(self._device)]  # [B, S, D]
            for index in range(s.n_layers):
                layer = f"model.layers.{index}"
                qkv = F.linear(norm(x, f"{layer}.input_layernorm"), w[f"{layer}.qkv"])
                qkv = qkv.view(n_rows, n_new, -1, s.head_dim)  # heads of q, k, v in turn
                first, second = qkv[:, :, :n_rotated].float().chunk(2, -1)
                rotated = torch.cat([first * cos - second * sin, second * cos + first * sin], -1).to(self._dtype)
                keys, values = self._cache[2 * index], self._cache[2 * index + 1]  # [B, K, C, E]
                keys[row, :, place] = rotated[:, :, s.n_heads :]
                values[row, :, place] = qkv[:, :, n_rotated:]
                attended = F.scaled_dot_product_attention(
                    rotated[:, :, : s.n_heads].transpose(1, 2),
                    keys[rows, :, :total],
                    values[rows, :, :total],
                    attn_mask=visible,
                    enable_gqa=True,
                )
                attended = attended.transpose(1, 2).reshape(n_rows, n_new, -1)
                x = x + F.linear(attended, w[f"{layer}.self_attn.o_proj.weight"])
                hidden = F.linear(norm(x, f"{layer}.post_attention_layernorm"), w[f"{layer}.gate_up"])
                gate, up = hidden.chunk(2, -1)
                x = x + F.linear(F.silu(gate) * up, w[f"{layer}.mlp.down_proj.weight"])
            if last_only:
                x = x[:, -1:]
            logits = F.linear(norm(x, "model.norm"), w["lm_head.weight"])
            return logits.float().cpu().numpy()
