"""The upper half of the sentence encoder, fine-tuned for emotion.

The three upper layers of all-MiniLM-L6-v2 (BERT's, post-norm: Devlin et al. 2019) read the lower ones' states of every
token; on the mean of their output and on a mean that attention weights stand three affine heads. All lie in the
checkpoint ``prompts-text`` as ``tuned.*``; :mod:`muse.training.prompts.finetune` trains them. The forward pass is
numpy, for a sentence takes few milliseconds.

Contents: :class:`Tuned`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.special import erf, softmax

__all__ = ["HEADS", "HIDDEN", "LAYER_PARTS", "Tuned"]

Array = np.ndarray[Any, np.dtype[Any]]

HIDDEN: Final = "layer_norm_6"
"""Output of the graph that the layers read: that of the third layer."""
N_LAYERS, N_HEADS, WIDTH = 3, 12, 384
HEADS: Final = {"views": 6, "categories": 28, "words": 2}
"""Heads and their outputs; views as in :mod:`muse.training.prompts.text`, standardised."""
LAYER_PARTS: Final = ("query", "key", "value", "attention", "norm1", "up", "down", "norm2")


@dataclass(frozen=True)
class Tuned:
    """Fine-tuned layers and heads.

    Parameters
    ----------
    tensors
        ``<layer>.<part>.weight`` [out, in] and ``.bias``, ``pool.weight``, ``<head>.weight``, ``<head>.bias``,
        ``views.mean``, ``views.scale``; float32.
    """

    tensors: Mapping[str, Array]

    def pool(self, states: Array) -> Array:
        """What the heads see of one text, float32 [2 * 384].

        Parameters
        ----------
        states
            Of the tokens after the third layer, float32 [tokens, 384].
        """
        x = states.astype(np.float32)
        for layer in range(N_LAYERS):
            x = self._layer(x, f"{layer}.")
        weight = softmax(x @ self.tensors["pool.weight"][0])
        return np.concatenate([x.mean(0), weight @ x])

    def tell(self, pooled: Array, head: str) -> Array:
        """Output of a head: views in -1..1 of the rating scales, logits of categories, valence and arousal of words."""
        out = pooled @ self.tensors[f"{head}.weight"].T + self.tensors[f"{head}.bias"]
        if head == "categories":
            return np.asarray(out)
        return np.asarray(out * self.tensors[f"{head}.scale"] + self.tensors[f"{head}.mean"])

    def _layer(self, x: Array, at: str) -> Array:
        def linear(part: str, y: Array) -> Array:
            return np.asarray(y @ self.tensors[f"{at}{part}.weight"].T + self.tensors[f"{at}{part}.bias"])

        def norm(part: str, y: Array) -> Array:
            centred = y - y.mean(-1, keepdims=True)
            scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
            return np.asarray(scaled * self.tensors[f"{at}{part}.weight"] + self.tensors[f"{at}{part}.bias"])

        def split(y: Array) -> Array:
            return y.reshape(len(y), N_HEADS, WIDTH // N_HEADS).transpose(1, 0, 2)

        q, k, v = (split(linear(part, x)) for part in ("query", "key", "value"))
        weights = softmax(q @ k.transpose(0, 2, 1) / np.float32((WIDTH // N_HEADS) ** 0.5), axis=-1)
        mixed = (weights @ v).transpose(1, 0, 2).reshape(len(x), WIDTH)
        x = norm("norm1", x + linear("attention", mixed))
        return norm("norm2", x + linear("down", _gelu(linear("up", x))))


def _gelu(x: Array) -> Array:
    return np.asarray(0.5 * x * (1 + erf(x * np.float32(0.5**0.5))))
