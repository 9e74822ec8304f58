"""What an engine is: the generator's weights, run forward over rows of ids with a cache of keys and values.

The sampler asks for logits and knows nothing of how they come about. An :class:`Engine` holds weights and no state, so
threads may share it; :meth:`Engine.start` gives a :class:`Cache`, which belongs to one call.

Conventions
-----------
``B`` rows, ``S`` new tokens, ``T`` tokens so far, ``C`` cache slots, ``H`` query heads, ``K`` key/value heads, ``E``
width of a head, ``D`` width, ``V`` vocabulary. Every row has its own length, so rows of any age share a batch. A row's
logits do not depend on the other rows, be they of the same call or of others, nor on how many ids come at once: in int8
on the CPU to the last bit. Ids are integers in ``0..V-1``; logits are float32 and unnormalised.

Contents: :class:`Shape`, :class:`Engine`, :class:`Cache`, :class:`JointEngine`, :class:`Together`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from muse.checkpoint import Settings
from muse.errors import InputError

__all__ = ["GROWTH", "OPTIONAL", "Cache", "Engine", "Ids", "JointEngine", "Logits", "Shape", "Together"]

Ids = NDArray[np.int64]
Logits = NDArray[np.float32]

GROWTH = 256  # cache slots added at a time: growing copies the cache, so not too often, and unused slots cost memory

OPTIONAL = ("lm_head.weight",)
"""Weights that a checkpoint lacks where input and output embeddings are tied."""


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
    feed_forward: int = 0
    """Hidden width of the SwiGLU block."""

    @classmethod
    def read(cls, folder: str | Path) -> Shape:
        """The shape of a checkpoint.

        Raises
        ------
        InputError
            It is another architecture, it uses something that the engines do not have (biases, scaled rotary
            positions, another activation) and their logits would be wrong, or a number is missing or absurd.
        """
        config = Settings.read(Path(folder) / "config.json")
        config.expect("model_type", "llama")
        for name, ours in (("hidden_act", "silu"), ("attention_bias", False), ("mlp_bias", False)):
            config.expect(name, ours, absent=True)
        rope = config.part("rope_parameters", "rope_scaling")
        rope.expect("rope_type", "default", absent=True)
        n_heads, width = config.whole("num_attention_heads", 1, 1024), config.whole("hidden_size", 2, 65536)
        shape = cls(
            n_layers=config.whole("num_hidden_layers", 1, 1024),
            n_heads=n_heads,
            n_key_value_heads=config.whole("num_key_value_heads", 1, n_heads, n_heads),
            head_dim=config.whole("head_dim", 2, 4096, max(width // n_heads, 2)),
            width=width,
            vocab_size=config.whole("vocab_size", 2, 65536),  # ids are uint16
            context=config.whole("max_position_embeddings", 2, 2**20),
            norm_eps=config.real("rms_norm_eps", 0.0, 1.0),
            rope_theta=rope.real("rope_theta", 1.0, 1e12, config.real("rope_theta", 1.0, 1e12, 10_000.0)),
            feed_forward=config.whole("intermediate_size", 1, 2**20),
        )
        if shape.n_heads % shape.n_key_value_heads or shape.head_dim % 2:
            raise InputError(
                f"{config.path}: query heads come in groups of equal size and heads have an even width, not "
                f"{shape.n_heads} heads to {shape.n_key_value_heads} of width {shape.head_dim}"
            )
        return shape

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Shape of every weight by name, as ``LlamaForCausalLM`` stores them."""
        d, f = self.width, self.feed_forward
        query, key = self.n_heads * self.head_dim, self.n_key_value_heads * self.head_dim
        found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (self.vocab_size, d)}
        for index in range(self.n_layers):
            layer = f"model.layers.{index}"
            found |= {
                f"{layer}.input_layernorm.weight": (d,),
                f"{layer}.self_attn.q_proj.weight": (query, d),
                f"{layer}.self_attn.k_proj.weight": (key, d),
                f"{layer}.self_attn.v_proj.weight": (key, d),
                f"{layer}.self_attn.o_proj.weight": (d, query),
                f"{layer}.post_attention_layernorm.weight": (d,),
                f"{layer}.mlp.gate_proj.weight": (f, d),
                f"{layer}.mlp.up_proj.weight": (f, d),
                f"{layer}.mlp.down_proj.weight": (d, f),
            }
        return found | {"model.norm.weight": (d,), "lm_head.weight": (self.vocab_size, d)}

    def rotary(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Cosine and sine of every position's angles, float32 [context, E / 2] each.

        Su et al. 2021, arXiv 2104.09864; float32 throughout, as in the library that trained the weights.
        """
        exponent = np.arange(0, self.head_dim, 2, dtype=np.float32) / np.float32(self.head_dim)
        frequency = np.float32(1) / np.float32(self.rope_theta) ** exponent
        angle = np.arange(self.context, dtype=np.float32)[:, None] * frequency
        return np.cos(angle), np.sin(angle)


class Engine(Protocol):
    """A model; holds nothing of the calls that use it."""

    shape: Shape
    dtype: str
    """Type of the weights: ``"int8"``, ``"float32"``, ``"bfloat16"``, ``"float16"``."""

    def start(self, n_rows: int) -> Cache:
        """`n_rows` empty rows."""
        ...


class Cache(Protocol):
    """Rows of one call, and the model's keys and values of them."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """int64 [B]: tokens that each row holds."""
        ...

    def load(self, row: int, ids: Ids) -> Logits:
        """Make `ids` [S] the whole history of a row; logits [S, V] after each."""
        ...

    def share(self, source: int, rows: Iterable[int]) -> None:
        """Give other rows the history of `source`."""
        ...

    def extend(self, ids: Ids) -> Logits:
        """Append ids [B, S] to the rows; logits [B, V] after the last, valid until the next call."""
        ...

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Go on with these rows alone, in this order."""
        ...

    def close(self) -> None:
        """The call has ended: give the memory back."""
        ...


class JointEngine(Engine, Protocol):
    """An engine that computes rows of several calls in one step."""

    def together(self, caches: Sequence[Any]) -> Together:
        """Steps of some of its caches, two or more, in which each row gets what it gets by itself."""
        ...


class Together(Protocol):
    """Caches of several calls, as long as the same ones go on together."""

    def extend(self, ids: Sequence[Ids]) -> list[Logits]:
        """Append one id a row [B, 1] to each cache; logits [B, V] of each, valid until the next call.

        Where it fails, the caches are as they were.
        """
        ...
