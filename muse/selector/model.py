"""The selector: how good a piece is, which emotion and which genre it has, from its notes alone.

A bidirectional transformer encoder (about 5M weights) reads the events of a window (:mod:`muse.selector.events`) with
the mode that its notes suggest; each task pools the events with a query of its own. A long piece is the mean over its
windows, and :meth:`Selector.curve` shows them one by one. In a piece's emotion its measured attributes have a say
too (:mod:`muse.selector.experts`).

Shapes: ``B`` rows, ``T`` positions (the header first, then the events), ``D`` width.

Contents: :class:`Selector`, :class:`Ratings`; :class:`Config`, :class:`Network`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from muse.checkpoint import find, load_tensors
from muse.emotion import Emotion
from muse.errors import InputError
from muse.files import read_json
from muse.score import Score
from muse.selector.events import FIELDS, HEADER, Passage, encode, passages
from muse.selector.experts import AttributeExperts
from muse.tokens import GENRES

__all__ = ["DEFAULT_SELECTOR", "Config", "Network", "Ratings", "Selector"]

DEFAULT_SELECTOR = "selector"
TASKS = ("quality", "emotion", "genre")

EXPERTS = "experts."
"""Prefix of the arrays of the experts on attributes in a checkpoint."""
SURPRISE = 1e-2
"""Least probability that trees give a quadrant: where no tree votes for it, it may still be."""
_SPREAD = (-4.0, 1.0)
"""Range of log variance: a spread between 0.14 and 1.6 on axes of length two."""


@dataclass(frozen=True)
class Config:
    """Architecture and calibration; ``config.json``."""

    width: int = 256
    layers: int = 6
    heads: int = 4
    dropout: float = 0.1
    quadrant_temperature: float = 1.0
    attribute_weight: float = 0.0
    """How much attributes have to say in the quadrants; 0 leaves them to the network."""
    genre_temperature: float = 1.0
    quality_scale: float = 1.0
    quality_shift: float = 0.0
    spread_scale: float = 1.0
    """Factor on the network's standard deviations of valence and arousal."""
    network_share: float = 0.2
    """What the network has to say in a piece's valence and arousal; the rest is that of attributes."""

    @classmethod
    def load(cls, folder: Path) -> Config:
        """Read ``config.json``.

        Raises
        ------
        InputError
            It is not the configuration of a selector.
        """
        values = read_json(folder / "config.json")
        if not isinstance(values, dict) or values.get("model_type") != "muse-selector":
            raise InputError(f"{folder} holds no selector: its config.json says {values.get('model_type')!r}")
        known = {entry.name for entry in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})

    def to_json(self) -> dict[str, Any]:
        return {"model_type": "muse-selector", **asdict(self)}


@dataclass(frozen=True)
class Ratings:
    """What the selector thinks of one piece."""

    quality: float
    """Probability in 0..1 that the piece is as people wrote it rather than spoilt or sampled."""
    emotion: Emotion
    """Mean valence and arousal."""
    spread: tuple[float, float]
    """Standard deviation of valence and of arousal."""
    quadrants: tuple[float, float, float, float]
    """Probabilities of Q1..Q4."""
    genres: Mapping[str, float] = field(repr=False)
    """Probability of every genre of :data:`muse.tokens.GENRES`."""

    @property
    def genre(self) -> str:
        """The most probable genre."""
        return max(self.genres, key=lambda name: self.genres[name])

    def to_json(self) -> dict[str, Any]:
        return {
            "quality": self.quality,
            "emotion": {"valence": self.emotion.valence, "arousal": self.emotion.arousal},
            "spread": {"valence": self.spread[0], "arousal": self.spread[1]},
            "quadrants": {f"Q{i + 1}": p for i, p in enumerate(self.quadrants)},
            "genres": dict(self.genres),
        }


# ------------------------------------------------------------------------------------------------------------- network


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

        Quality is learnt from one order of whole windows; told which events damage has put there, the network learns
        from every one of them what damage looks like (ELECTRA: Clark et al., ICLR 2020).
        """
        return self.misplaced(hidden[:, 1:].float()).squeeze(-1)

    def heads(self, hidden: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        """Raw outputs: ``quality`` [B], ``quadrant`` [B, 4], ``mean`` and ``log_variance`` [B, 2], ``genre`` [B, G]."""
        quality, emotion, genre = self.pool(hidden, lengths).unbind(1)
        point = self.valence_arousal(emotion)
        low, high = _SPREAD
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


# ------------------------------------------------------------------------------------------------------------ selector


class Selector:
    """Rates pieces.

    Parameters
    ----------
    network
        Trained weights.
    experts
        Tell emotion from attributes; None leaves it to the network.

    Examples
    --------
    >>> selector = Selector.from_pretrained()                                              # doctest: +SKIP
    >>> [rating] = selector.rate([muse.read_score("piece.mid")])                           # doctest: +SKIP
    >>> rating.quality, rating.emotion.quadrant, rating.genre                              # doctest: +SKIP
    """

    def __init__(self, network: Network, experts: AttributeExperts | None = None) -> None:
        self.network, self.experts = network.eval(), experts
        self.config = network.config

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path = DEFAULT_SELECTOR, *, device: str = "cpu") -> Selector:
        """Load weights.

        Raises
        ------
        InputError
            There is no such checkpoint, or it is not a selector's.
        """
        folder = find(name_or_path)
        network = Network(Config.load(folder))
        tensors = load_tensors(folder)
        fitted = {
            name.removeprefix(EXPERTS): tensors.pop(name).numpy() for name in list(tensors) if name.startswith(EXPERTS)
        }
        weights = {name: tensor.float() for name, tensor in tensors.items()}
        missing, surplus = network.load_state_dict(weights, strict=False)
        # What fills masked events is for training alone and is not shipped.
        faults = [name for name in missing if not name.startswith("masked.")] + surplus
        if faults:
            raise InputError(f"{folder}: weights and config.json do not fit together, {faults[0]!r} first")
        return cls(network.to(device), AttributeExperts.load(fitted, folder) if fitted else None)

    def rate(self, scores: Sequence[Score]) -> list[Ratings]:
        """Ratings of pieces, each the mean over its windows weighted by their notes.

        Raises
        ------
        InputError
            A score has fewer than four notes.
        """
        told = [None if self.experts is None else self.experts.tell(score) for score in scores]
        read = self._pieces(scores)
        return [self._ratings(part, weight, by) for (part, weight), by in zip(read, told, strict=True)]

    def opinions(self, scores: Sequence[Score]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What network (logits) and experts (log probabilities) say of the quadrants, [n, 4] each; to calibrate by."""
        network = [weight @ part["quadrant"] for part, weight in self._pieces(scores)]
        told = [np.ones(4) / 4 if self.experts is None else self.experts.tell(score)[0] for score in scores]
        return np.stack(network), np.log(np.stack(told) + SURPRISE)

    def _pieces(self, scores: Sequence[Score]) -> Iterator[tuple[dict[str, NDArray[np.float64]], NDArray[np.float64]]]:
        """Outputs of the windows of each piece, and the windows' weights."""
        windows = [passages(score) for score in scores]
        flat = self.outputs([window for piece in windows for window in piece])
        first = 0
        for piece in windows:
            weight = np.array([len(window.notes) for window in piece], float)
            part = {name: values[first : first + len(piece)] for name, values in flat.items()}
            yield part, weight / weight.sum()
            first += len(piece)

    def curve(self, score: Score) -> list[tuple[float, Ratings]]:
        """(second at which a window begins, its ratings) of every window of a piece."""
        windows = passages(score)
        flat = self.outputs(windows)
        one = np.ones(1)
        return [
            (window.start_sec, self._ratings({name: values[i : i + 1] for name, values in flat.items()}, one))
            for i, window in enumerate(windows)
        ]

    def embed(self, scores: Sequence[Score]) -> NDArray[np.float32]:
        """Mean hidden state of each piece, float32 [n, D]: a space to measure distances between sets of music in."""
        windows = [passages(score) for score in scores]
        flat = self.outputs([window for piece in windows for window in piece])["embedding"]
        stops = np.cumsum([len(piece) for piece in windows])
        return np.stack([part.mean(0) for part in np.split(flat, stops[:-1])]).astype(np.float32)

    def outputs(self, windows: Sequence[Passage]) -> dict[str, NDArray[np.float64]]:
        """Raw outputs of windows in order, see :meth:`Network.heads`, and ``embedding`` [n, D].

        Rows of similar length are read together.
        """
        rows = [encode(window) for window in windows]
        order = np.argsort([len(events) for events, _ in rows], kind="stable")
        device = next(self.network.parameters()).device
        found: dict[str, list[NDArray[np.float64]]] = {}
        with torch.inference_mode():
            for first in range(0, len(order), 8):
                batch = collate([rows[i] for i in order[first : first + 8]])
                events, header, lengths = (tensor.to(device) for tensor in batch)
                hidden = self.network.encode(events, header, lengths)
                out = self.network.heads(hidden, lengths)
                inside = (torch.arange(hidden.shape[1], device=device) <= lengths[:, None])[..., None]
                out["embedding"] = (hidden * inside).sum(1) / inside.sum(1)
                for name, values in out.items():
                    found.setdefault(name, []).append(values.double().cpu().numpy())
        back = np.argsort(order)
        return {name: np.concatenate(values)[back] for name, values in found.items()}

    def _ratings(
        self,
        out: Mapping[str, NDArray[np.float64]],
        weight: NDArray[np.float64],
        by_attributes: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
    ) -> Ratings:
        config = self.config
        quality = weight @ (config.quality_scale * out["quality"] + config.quality_shift)
        logits = weight @ out["quadrant"] / config.quadrant_temperature
        if by_attributes is not None:
            logits = logits + config.attribute_weight * np.log(by_attributes[0] + SURPRISE)
        quadrants = _softmax(logits)
        genres = _softmax(weight @ out["genre"] / config.genre_temperature)
        mean = weight @ out["mean"]
        variance = weight @ (np.exp(out["log_variance"]) + out["mean"] ** 2) - mean**2
        spread = config.spread_scale * np.sqrt(np.maximum(variance, 1e-6))
        if by_attributes is not None and self.experts is not None:
            # Their errors go together, so the spread of the mean is the mean of the spreads.
            mean = config.network_share * mean + (1 - config.network_share) * by_attributes[1]
            spread = config.network_share * spread + (1 - config.network_share) * self.experts.spread
        return Ratings(
            quality=float(1 / (1 + np.exp(-quality))),
            emotion=Emotion(float(mean[0]), float(mean[1])),
            spread=(float(spread[0]), float(spread[1])),
            quadrants=(float(quadrants[0]), float(quadrants[1]), float(quadrants[2]), float(quadrants[3])),
            genres=dict(zip(GENRES, genres.tolist(), strict=True)),
        )


def _softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = np.exp(values - values.max())
    return np.asarray(shifted / shifted.sum())
