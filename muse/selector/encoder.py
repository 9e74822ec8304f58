"""The network of the selector in numpy: what :class:`muse.selector.network.Network` computes, without PyTorch.

Loading PyTorch takes longer than rating a handful of pieces, so on the CPU ratings are computed here; a test compares
the two. Windows are read one at a time, so a rating does not depend on what is rated beside it, and nothing is
padded. Holds weights and no state: threads may share it.

Shapes: ``T`` positions (the header first, then the events), ``D`` width, ``H`` heads, ``E`` width of a head.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf, expit, logsumexp, softmax

from muse.selector.config import SPREAD, Config
from muse.selector.events import Ints

__all__ = ["Encoder"]

Floats = NDArray[np.float32]

_NORM_EPS = float(np.finfo(np.float32).eps)  # what PyTorch's RMSNorm adds where nothing is said


class Encoder:
    """Encoder and heads.

    Parameters
    ----------
    config
        Architecture.
    weights
        float32 arrays under the names of :class:`muse.selector.network.Network`.
    """

    def __init__(self, config: Config, weights: Mapping[str, NDArray[Any]]) -> None:
        self.config = config
        self._w = {name: np.ascontiguousarray(values, np.float32) for name, values in weights.items()}
        half = config.width // config.heads // 2
        self._rates = 10_000.0 ** (-np.arange(half, dtype=np.float32) / half)

    def __call__(self, events: Ints, header: Ints) -> dict[str, NDArray[np.float64]]:
        """Raw outputs of one window, as :meth:`muse.selector.network.Network.heads` of one row; ``embedding`` [D].

        Parameters
        ----------
        events, header
            As :func:`muse.selector.events.encode` gives them.
        """
        hidden = self._encode(events, header)
        queries = self._w["queries"]  # [tasks, D]
        weights = softmax(queries @ hidden.T / math.sqrt(hidden.shape[1]), axis=1)
        mixed = weights @ hidden  # [tasks, D]
        pooled = np.concatenate([mixed, np.broadcast_to(hidden[0], mixed.shape)], axis=1)
        quality, emotion, genre = pooled
        point = self._linear("valence_arousal", emotion)
        low, high = SPREAD
        inner = self._linear("quality.0", quality)
        inner = inner * (0.5 * (1 + erf(inner / math.sqrt(2))))
        out = {
            "quality": self._linear("quality.2", inner)[0] + self._blame(hidden),
            "quadrant": self._linear("quadrant", emotion),
            "mean": np.tanh(point[:2]),
            "log_variance": low + (high - low) * expit(point[2:]),
            "genre": self._linear("genre", genre),
            "embedding": hidden.mean(axis=0),
        }
        return {name: np.asarray(values, np.float64) for name, values in out.items()}

    def _encode(self, events: Ints, header: Ints) -> Floats:
        """Hidden states [T, D]."""
        w, config = self._w, self.config
        rows = sum(w[f"fields.{i}.weight"][column] for i, column in enumerate(events.T))
        first = w["start"] + sum(w[f"header.{i}.weight"][value] for i, value in enumerate(header))
        x: Floats = np.concatenate([first[None], rows])
        angle = np.arange(len(x), dtype=np.float32)[:, None] * self._rates  # [T, E / 2]
        cos, sin = np.cos(angle), np.sin(angle)
        scale = np.float32(1 / math.sqrt(config.width // config.heads))
        for index in range(config.layers):
            block = f"blocks.{index}"
            joined = self._linear(f"{block}.qkv", self._norm(f"{block}.norm1", x))
            q, k, v = joined.reshape(len(x), 3, config.heads, -1).transpose(1, 2, 0, 3)  # [H, T, E] each
            weights = (_rotate(q, cos, sin) * scale) @ _rotate(k, cos, sin).transpose(0, 2, 1)  # [H, T, T]
            weights -= weights.max(axis=-1, keepdims=True)
            np.exp(weights, out=weights)
            mixed = (weights @ v) / weights.sum(axis=-1, keepdims=True)
            x = x + self._linear(f"{block}.out", mixed.transpose(1, 0, 2).reshape(x.shape))
            up = self._linear(f"{block}.up", self._norm(f"{block}.norm2", x))
            x = x + self._linear(f"{block}.down", _gelu(up))
        return self._norm("norm", x)

    def _blame(self, hidden: Floats) -> float:
        """What events that seem misplaced take off the quality, in logits."""
        doubts = self._linear("misplaced", hidden[1:])[:, 0]
        worst = logsumexp(doubts) - math.log(len(doubts))
        evidence = np.array([expit(doubts).mean(), doubts.mean() / 4, worst / 4], np.float32)
        return float((self._w["blame.weight"] @ evidence)[0])

    def _linear(self, name: str, x: Floats) -> Floats:
        y = x @ self._w[f"{name}.weight"].T
        bias = self._w.get(f"{name}.bias")
        if bias is not None:
            y += bias
        return y

    def _norm(self, name: str, x: Floats) -> Floats:
        """RMSNorm (Zhang & Sennrich 2019, arXiv 1910.07467)."""
        power = np.einsum("td,td->t", x, x)[:, None] / np.float32(x.shape[1])
        return x / np.sqrt(power + np.float32(_NORM_EPS)) * self._w[f"{name}.weight"]


def _rotate(x: Floats, cos: Floats, sin: Floats) -> Floats:
    first, second = np.split(x, 2, axis=-1)
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


def _gelu(x: Floats) -> Floats:
    """GELU in its approximation by tanh (Hendrycks & Gimpel 2016, arXiv 1606.08415)."""
    inner = x * x
    inner *= np.float32(0.044715)
    inner += 1
    inner *= x
    inner *= np.float32(math.sqrt(2 / math.pi))
    np.tanh(inner, out=inner)
    inner += 1
    inner *= x
    inner *= np.float32(0.5)
    return inner
