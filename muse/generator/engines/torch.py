"""The network in plain PyTorch: for every device that PyTorch runs on, and as the plain form of the same arithmetic.

Conventions: :mod:`muse.generator.engines.engine`. Contents: :class:`TorchEngine`, :class:`TorchCache`,
:func:`device_of`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from muse.checkpoint import check_tensors, load_tensors
from muse.errors import InputError
from muse.generator.engines.engine import GROWTH, OPTIONAL, Ids, Logits, Shape

if TYPE_CHECKING:
    import torch

__all__ = ["TorchCache", "TorchEngine", "device_of"]


def device_of(name: str) -> torch.device:
    """A device by PyTorch's name.

    Raises
    ------
    InputError
        There is no such device here.
    """
    import torch

    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"device {name!r} cannot be used here: {str(error).splitlines()[0]}") from None
    return device


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

    Raises
    ------
    InputError
        The checkpoint is damaged or of another architecture, or there is no such device.
    """

    def __init__(self, folder: str | Path, *, device: str = "cpu", dtype: str = "float32") -> None:
        import torch

        self.shape, self.dtype = Shape.read(folder), dtype
        self._device, self._dtype = device_of(device), getattr(torch, dtype)
        tensors = load_tensors(folder, "pt")
        check_tensors(folder, tensors, self.shape.tensors(), optional=OPTIONAL)
        w = {name: tensor.to(self._device, self._dtype) for name, tensor in tensors.items()}
        w.setdefault("lm_head.weight", w["model.embed_tokens.weight"])
        for index in range(self.shape.n_layers):  # one product each for q, k, v and for gate, up
            layer = f"model.layers.{index}"
            w[f"{layer}.qkv"] = torch.cat([w.pop(f"{layer}.self_attn.{part}_proj.weight") for part in "qkv"])
            w[f"{layer}.gate_up"] = torch.cat([w.pop(f"{layer}.mlp.{part}_proj.weight") for part in ("gate", "up")])
        self._weights = w
        self._cos, self._sin = (torch.from_numpy(table).to(self._device) for table in self.shape.rotary())

    def start(self, n_rows: int) -> TorchCache:
        """`n_rows` empty rows; see :class:`muse.generator.engines.engine.Engine`."""
        return TorchCache(self, n_rows)

    def empty_cache(self, n_rows: int, slots: int) -> torch.Tensor:
        """Keys (even) and values (odd) of the layers [2 x layers, B, K, C, E]."""
        import torch

        s = self.shape
        dims = (2 * s.n_layers, n_rows, s.n_key_value_heads, slots, s.head_dim)
        return torch.zeros(dims, dtype=self._dtype, device=self._device)

    def forward(
        self, ids: Ids, rows: NDArray[np.int64], lengths: NDArray[np.int64], cache: torch.Tensor, *, last: bool = False
    ) -> Logits:
        """Logits [B, S, V] after the newest S tokens of some rows of a cache; with `last` [B, 1, V] after the last.

        `lengths` [B] of these rows count the new tokens in. Writes their keys and values into the cache.
        """
        import torch
        from torch.nn import functional as F  # noqa: N812 - the name that PyTorch code uses

        s, w = self.shape, self._weights
        n_rows, n_new = ids.shape
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
                keys, values = cache[2 * index], cache[2 * index + 1]  # [B, K, C, E]
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
            if last:
                x = x[:, -1:]
            logits = F.linear(norm(x, "model.norm"), w["lm_head.weight"])
            return np.asarray(logits.float().cpu().numpy())


class TorchCache:
    """Rows of one call, see :class:`muse.generator.engines.engine.Cache`."""

    def __init__(self, engine: TorchEngine, n_rows: int) -> None:
        self._engine = engine
        self.lengths = np.zeros(n_rows, np.int64)
        self._cache = engine.empty_cache(n_rows, GROWTH)

    def load(self, row: int, ids: Ids) -> Logits:
        """Make `ids` [S] the whole history of a row; logits [S, V] after each."""
        self._reserve(len(ids))
        self.lengths[row] = len(ids)
        return self._engine.forward(ids[None], np.array([row]), self.lengths[[row]], self._cache)[0]

    def share(self, source: int, rows: Iterable[int]) -> None:
        """Give other rows the history of `source`."""
        n = int(self.lengths[source])
        for row in rows:
            self._cache[:, row, :, :n] = self._cache[:, source, :, :n]
            self.lengths[row] = n

    def extend(self, ids: Ids) -> Logits:
        """Append ids [B, S] to the rows; logits [B, V] after the last."""
        self._reserve(int(self.lengths.max()) + ids.shape[1])
        self.lengths += ids.shape[1]
        return self._engine.forward(ids, np.arange(len(ids)), self.lengths, self._cache, last=True)[:, -1]

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Go on with these rows alone, in this order."""
        self.lengths = self.lengths[rows]
        self._cache = self._cache[:, rows]

    def close(self) -> None:
        """Give the memory back; the rows are of no use any more."""
        self._cache = self._cache[:, :0]

    def _reserve(self, n_tokens: int) -> None:
        if n_tokens > self._cache.shape[3]:
            old, used = self._cache, int(self.lengths.max())
            self._cache = self._engine.empty_cache(len(self.lengths), -(-n_tokens // GROWTH) * GROWTH)
            self._cache[:, :, :, :used] = old[:, :, :, :used]
