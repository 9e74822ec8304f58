"""Sizes of the generator: an ordinary Llama-style causal language model over one token stream.

Conventions
-----------
A size is a row of :data:`SIZES`. Whatever is not in the row is the same for all: two key/value heads (grouped-query
attention keeps the cache of many rows small), input and output embeddings tied, RMSNorm, SwiGLU, rotary positions,
no biases, 4,096 positions, id 0 is padding. There is no model code here: :func:`build` returns the class of
``transformers``, so ``model.save_pretrained(folder)`` writes a folder that
``AutoModelForCausalLM.from_pretrained(folder)``, PEFT, TRL and vLLM load, and that
:class:`muse.generator.sampler.Sampler` decodes without ``transformers``.

Contents: :class:`Size`, :data:`SIZES`, :func:`config`, :func:`build`,
:func:`size_of`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from muse.errors import InputError
from muse.generator.engines.engine import Shape

if TYPE_CHECKING:
    from transformers import LlamaConfig, LlamaForCausalLM

__all__ = ["MAX_POSITIONS", "N_KEY_VALUE_HEADS", "PAD_ID", "SIZES", "Size", "build", "config", "size_of"]

MAX_POSITIONS = 4096  # tokens; some 64 dense bars. Longer pieces slide, see the sampler
N_KEY_VALUE_HEADS = 2
PAD_ID = 0
ROPE_THETA = 10_000.0  # the usual base; wavelengths up to ~60,000 positions cover 4,096 with room
NORM_EPS = 1e-5


@dataclass(frozen=True)
class Size:
    """The free numbers of one size."""

    width: int
    """Width D of the residual stream."""
    n_layers: int
    """Transformer blocks."""
    n_heads: int
    """Query heads; a multiple of :data:`N_KEY_VALUE_HEADS`."""
    feed_forward: int
    """Hidden width of the SwiGLU block; a multiple of 64."""
    purpose: str
    """What this size is for."""

    @property
    def head_dim(self) -> int:
        """Width of one head."""
        return self.width // self.n_heads

    def n_parameters(self, vocab_size: int) -> int:
        """Number of weights with tied embeddings of `vocab_size` rows, norms included."""
        attention = self.width * self.head_dim * (2 * self.n_heads + 2 * N_KEY_VALUE_HEADS)
        block = attention + 3 * self.width * self.feed_forward + 2 * self.width
        return vocab_size * self.width + self.n_layers * block + self.width


SIZES: dict[str, Size] = {
    "micro": Size(width=128, n_layers=4, n_heads=4, feed_forward=384, purpose="an hour's share of a busy CPU"),
    "tiny": Size(width=192, n_layers=4, n_heads=6, feed_forward=512, purpose="tests; trains in minutes on a CPU"),
    "mini": Size(width=256, n_layers=4, n_heads=4, feed_forward=704, purpose="best for an hour or two on a CPU"),
    "small": Size(width=384, n_layers=5, n_heads=6, feed_forward=1024, purpose="the default; trains in hours on a CPU"),
    "base": Size(width=512, n_layers=10, n_heads=8, feed_forward=1344, purpose="for a GPU; bf16 shards under 16 MB"),
}
"""name -> :class:`Size`: about 0.9, 1.8, 3.2, 8.2 and 28 million weights."""


def config(size: str, vocab_size: int) -> LlamaConfig:
    """The ``LlamaConfig`` of a size.

    Parameters
    ----------
    size
        A name in :data:`SIZES`.
    vocab_size
        Number of ids; under 1,000 keeps the head cheap, but any positive number works.

    Raises
    ------
    InputError
        Unknown size, or a vocabulary without a single music token.
    """
    from transformers import LlamaConfig

    if size not in SIZES:
        raise InputError(f"unknown model size {size!r}; the sizes are {', '.join(SIZES)}")
    if vocab_size < 2:
        raise InputError(f"vocab_size is {vocab_size}; it must be at least 2 (id {PAD_ID} is padding)")
    shape = SIZES[size]
    return LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=shape.width,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.n_layers,
        num_attention_heads=shape.n_heads,
        num_key_value_heads=N_KEY_VALUE_HEADS,
        head_dim=shape.head_dim,
        max_position_embeddings=MAX_POSITIONS,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
        rms_norm_eps=NORM_EPS,
        tie_word_embeddings=True,
        pad_token_id=PAD_ID,
        # The vocabulary, not the model, knows where a piece begins and ends; training may set these.
        bos_token_id=None,
        eos_token_id=None,
    )


def build(size: str, vocab_size: int) -> LlamaForCausalLM:
    """A randomly initialised model of a size, float32, drawn from torch's current random state.

    Parameters and errors as for :func:`config`. The training loop seeds torch; nothing is seeded here.
    """
    from transformers import LlamaForCausalLM

    return LlamaForCausalLM(config(size, vocab_size))


def size_of(folder: str | Path) -> str:
    """Name of a checkpoint's size.

    Raises
    ------
    InputError
        ``config.json`` is damaged, or says none of :data:`SIZES`.
    """
    shape = Shape.read(folder)
    mine = shape.width, shape.n_layers, shape.n_heads, shape.feed_forward
    for name, size in SIZES.items():
        if (size.width, size.n_layers, size.n_heads, size.feed_forward) == mine:
            return name
    raise InputError(
        f"{Path(folder) / 'config.json'}: {shape.n_layers} layers of width {shape.width} are none of the sizes that "
        f"can be trained: {', '.join(SIZES)}"
    )
