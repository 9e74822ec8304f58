"""The network of the selector in PyTorch: for training, and for rating on other devices than the CPU.

A bidirectional transformer encoder (about 5M weights) over the events of a window with the mode that its notes
suggest; each task pools the events with a query of its own. :mod:`muse.selector.encoder` is the same in numpy.

Shapes: ``B`` rows, ``T`` positions (the header first, then the events), ``D`` width.

Contents: :class:`Network`, :func:`collate`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from muse.selector.config import SPREAD, TASKS, Config
from muse.selector.events import FIELDS, HEADER, Ints
from muse.tokens import GENRES

__all__ = ["Network", "collate"]


class _Block(nn.Module):
    """Pre-norm attention with rotary positions (Su et al. 2021, arXiv 2104.09864) and a feed-forward of four widths."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads, self.dropout = config.heads, config.dropout
        self.norm1, self.norm2 = nn.RMSNorm(config.width), nn.RMSNorm(config.width)
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)
        self.up = nn.Linear(config.width, 4 * config.width)
        self.down = nn.Linear(4 * config.width, config.width)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor | None, rotation: tuple[Tensor, Tensor]) -> Tensor:
        b, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        q, k = _rotate(q, rotation), _rotate(k, rotation)
        if self.training and x.device.type == "cpu":  # a fused kernel's way back takes three times as long there
            weights = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
            mixed = (weights if mask is None else weights.masked_fill(~mask, -1e4)).softmax(-1) @ v
        else:
            mixed = functional.scaled_dot_product_attention(q, k, v, mask)  # [B, H, T, D / H]
        x = x + self.drop(self.out(mixed.transpose(1, 2).reshape(b, t, d)))
        return x + self.drop(self.down(functional.gelu(self.up(self.norm2(x)), approximate="tanh")))


def _rotate(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    cos, sin = rotation
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


class Network(nn.Module):
    """Encoder and heads."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.fields = nn.ModuleList(nn.Embedding(n, config.width) for n in FIELDS.values())
        self.header = nn.ModuleList(nn.Embedding(n, config.width) for n in HEADER.values())
        self.start = nn.Parameter(torch.zeros(config.width))
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.width)
        self.queries = nn.Parameter(torch.zeros(len(TASKS), config.width))
        self.drop = nn.Dropout(config.dropout)
        pooled = 2 * config.width
        self.quality = nn.Sequential(nn.Linear(pooled, config.width), nn.GELU(), nn.Linear(config.width, 1))
        self.misplaced = nn.Linear(config.width, 1)
        self.blame = nn.Linear(3, 1, bias=False)
        self.quadrant = nn.Linear(pooled, 4)
        self.valence_arousal = nn.Linear(pooled, 4)
        self.genre = nn.Linear(pooled, len(GENRES))
        self.masked = nn.ModuleList(nn.Linear(config.width, n) for n in FIELDS.values())
        half = config.width // config.heads // 2
        self._rates: Tensor
        self.register_buffer("_rates", 10_000.0 ** (-torch.arange(half) / half), persistent=False)
        self.apply(_initialise)

    @classmethod
    def of(cls, config: Config, weights: Mapping[str, NDArray[Any]]) -> Network:
        """A network with the weights of a checkpoint; what fills masked events is for training and may be missing."""
        network = cls(config)
        known = network.state_dict()
        network.load_state_dict({name: torch.tensor(weights[name]) for name in known if name in weights}, strict=False)
        return network.eval()

    def reader(self) -> Callable[[Ints, Ints], dict[str, NDArray[np.float64]]]:
        """Raw outputs of one window and its ``embedding`` [D], as :class:`muse.selector.encoder.Encoder` gives them."""
        self.eval()
        device = self.start.device

        def read(events: Ints, header: Ints) -> dict[str, NDArray[np.float64]]:
            with torch.inference_mode():
                batch, head, lengths = (tensor.to(device) for tensor in collate([(events, header)]))
                hidden = self.encode(batch, head, lengths)
                out = self.heads(hidden, lengths) | {"embedding": hidden.mean(1)}
                return {name: values[0].double().cpu().numpy() for name, values in out.items()}

        return read

    def encode(self, events: Tensor, header: Tensor, lengths: Tensor) -> Tensor:
        """Hidden states.

        Parameters
        ----------
        events
            int64 [B, T - 1, fields], padded on the right.
        header
            int64 [B, header fields].
        lengths
            int64 [B]: events of each row.

        Returns
        -------
        Tensor
            [B, T, D]; what stands on padding means nothing.
        """
        x = torch.stack([table(events[..., i]) for i, table in enumerate(self.fields)]).sum(0)
        first = self.start + torch.stack([table(header[:, i]) for i, table in enumerate(self.header)]).sum(0)
        x = torch.cat([first[:, None], x], dim=1)
        t = x.shape[1]
        mask = None
        if int(lengths.min()) < t - 1:
            mask = (torch.arange(t, device=x.device) <= lengths[:, None])[:, None, None]  # [B, 1, 1, T]
        angle = torch.arange(t, device=x.device)[:, None] * self._rates  # [T, D / H / 2]
        rotation = angle.cos(), angle.sin()
        for block in self.blocks:
            x = block(x, mask, rotation)
        return self.norm(x)

    def pool(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """What each task sees: its attention over the events beside the header's state; [B, tasks, 2 D]."""
        t = hidden.shape[1]
        scores = torch.einsum("btd,kd->bkt", hidden.float(), self.queries.float()) / math.sqrt(hidden.shape[-1])
        inside = torch.arange(t, device=hidden.device) <= lengths[:, None]
        weights = scores.masked_fill(~inside[:, None], -torch.inf).softmax(-1)
        mixed = torch.einsum("bkt,btd->bkd", weights, hidden.float())
        return self.drop(torch.cat([mixed, hidden[:, :1].float().expand_as(mixed)], dim=-1))

    def doubts(self, hidden: Tensor) -> Tensor:
        """Log odds that an event is not where it was written; [B, T - 1].

        Quality is learnt from one order of whole windows; given the events that damage put there, the network learns
        from every one of them what damage looks like (ELECTRA: Clark et al., ICLR 2020).
        """
        return self.misplaced(hidden[:, 1:].float()).squeeze(-1)

    def heads(self, hidden: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        """Raw outputs: ``quality`` [B], ``quadrant`` [B, 4], ``mean`` and ``log_variance`` [B, 2], ``genre`` [B, G]."""
        quality, emotion, genre = self.pool(hidden, lengths).unbind(1)
        point = self.valence_arousal(emotion)
        low, high = SPREAD
        doubts = self.doubts(hidden)
        inside = torch.arange(doubts.shape[1], device=hidden.device) < lengths[:, None]
        share = (doubts.sigmoid() * inside).sum(1) / inside.sum(1)
        mean = (doubts * inside).sum(1) / inside.sum(1)
        worst = doubts.masked_fill(~inside, -torch.inf).logsumexp(1) - inside.sum(1).log()
        blame = self.blame(torch.stack([share, mean / 4, worst / 4], dim=-1)).squeeze(-1)
        return {
            "quality": self.quality(quality).squeeze(-1) + blame,
            "quadrant": self.quadrant(emotion),
            "mean": torch.tanh(point[:, :2]),
            "log_variance": low + (high - low) * torch.sigmoid(point[:, 2:]),
            "genre": self.genre(genre),
        }

    def forward(self, events: Tensor, header: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        """Outputs of all tasks, see :meth:`heads`."""
        return self.heads(self.encode(events, header, lengths), lengths)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


def collate(rows: Sequence[tuple[NDArray[np.int16], NDArray[np.int16]]]) -> tuple[Tensor, Tensor, Tensor]:
    """Events, header and lengths as tensors, padded on the right."""
    lengths = np.array([len(events) for events, _ in rows])
    events = np.zeros((len(rows), int(lengths.max()), len(FIELDS)), np.int64)
    for i, (row, _) in enumerate(rows):
        events[i, : len(row)] = row
    header = np.stack([row for _, row in rows]).astype(np.int64)
    return torch.from_numpy(events), torch.from_numpy(header), torch.from_numpy(lengths)
