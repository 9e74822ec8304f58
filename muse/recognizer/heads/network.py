"""The recogniser's network: features of half a minute in, emotion over time and of the whole out.

Conventions
-----------
``B`` windows, ``T`` steps (at most :data:`WINDOW_STEPS`), ``F`` features of a step, ``C`` chords, ``D`` width.
window
    Up to half a minute of steps; padding is masked.
plane
    Valence and arousal, -1..1, each with the logarithm of its variance.

The parts: steps are joined by self-attention on two scales, half of the heads attending to two and a half seconds to
either side, the others to the whole window (Zhang et al. 2025, "Personalized Dynamic Music Emotion Recognition with
Dual-Scale Attention-Based Meta-Learning", AAAI, section 3); chords, relative to the key, are read by a small
transformer of their own (Kang & Herremans 2025, "Towards Unified Music Emotion Recognition across Dimensional and
Categorical Models", section 3.2), here with a padding mask, beside the profile of the window's harmony; these and the
window's plain statistics meet in one layer, from which every task has its head. The curve is the window's valence and
arousal with a step's own departure from it.

Contents: :class:`NetworkConfig`, :class:`Network`, :class:`Windows`, :class:`NetworkOutput`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch import nn

from muse.checkpoint import Settings, check_tensors
from muse.emotion import GEMS, MOODS, QUADRANTS
from muse.errors import InputError
from muse.recognizer.features.chords import DEGREES, N_PROFILE, QUALITIES

__all__ = ["MAX_CHORDS", "TAGS", "WINDOW_STEPS", "Network", "NetworkConfig", "NetworkOutput", "Windows"]

TAGS: Final[Mapping[str, tuple[str, ...]]] = {"gems": GEMS, "quadrants": QUADRANTS, "moods": MOODS}
"""The sets of tags that are learnt; those of quadrants exclude each other."""
WINDOW_STEPS: Final = 60
"""Half a minute."""
MAX_CHORDS: Final = 100
LOCAL_STEPS: Final = 5
"""How far the heads of the short scale attend, to either side."""
CHORD_HEADS: Final = 4
MIN_LOG_VARIANCE, MAX_LOG_VARIANCE = -5.0, 1.0
MAX_DEVIATION: Final = 5.0
"""Of a profile's numbers from their mean, in standard deviations: rare chords would reach far beyond."""


@dataclass(frozen=True)
class NetworkConfig:
    """Shape of a network."""

    n_features: int
    """Of a step."""
    tags: Mapping[str, int] = field(default_factory=dict)
    """Number of tags of each set of tags, by its name."""
    width: int = 96
    n_layers: int = 2
    n_heads: int = 4
    harmony: bool = True
    """Chords and key are inputs."""
    harmony_width: int = 32
    hidden: int = 128
    dropout: float = 0.3

    @classmethod
    def read(cls, settings: Settings) -> NetworkConfig:
        """From the object ``network`` of a checkpoint's settings.

        Raises
        ------
        InputError
            A value is missing or out of range, or a set of tags is unknown.
        """
        n_heads = settings.whole("n_heads", 1, 64)
        found = cls(
            settings.whole("n_features", 1, 65_536),
            {name: settings.part("tags").whole(name, 1, 1000) for name in settings.part("tags").values},
            settings.whole("width", 1, 4096),
            settings.whole("n_layers", 1, 64),
            n_heads,
            settings.flag("harmony"),
            settings.whole("harmony_width", 4, 4096),
            settings.whole("hidden", 1, 16_384),
            settings.real("dropout", 0, 1),
        )
        wrong = [name for name, n in found.tags.items() if name not in TAGS or n != len(TAGS[name])]
        if wrong or found.width % n_heads or found.harmony_width % CHORD_HEADS:
            raise InputError(f"{settings.path}: 'network' has {wrong or 'widths that its heads do not divide'}")
        return found


class Windows(NamedTuple):
    """A batch of windows."""

    steps: torch.Tensor
    """float [B, T, F]."""
    mask: torch.Tensor
    """bool [B, T]: which steps are sound; the others pad."""
    chords: torch.Tensor
    """int [B, C, 3], see :meth:`muse.recognizer.features.chords.Harmony.codes`; 0 where there is none."""
    profile: torch.Tensor
    """float [B, N_PROFILE], see :attr:`muse.recognizer.features.chords.Harmony.profile`."""


class NetworkOutput(NamedTuple):
    """What a network predicts for windows."""

    tags: dict[str, torch.Tensor]
    """Logits by set of tags, [B, tags]."""
    plane: torch.Tensor
    """Valence and arousal of the window, [B, 2]."""
    log_variance: torch.Tensor
    """[B, 2]."""
    curve: torch.Tensor
    """Valence and arousal of every step, [B, T, 2]."""
    curve_log_variance: torch.Tensor
    """[B, T, 2]."""
    hidden: torch.Tensor
    """Representation of each step, [B, T, width]."""

    def only(self, rows: slice) -> NetworkOutput:
        """Of some of the windows."""
        tags = {name: logits[rows] for name, logits in self.tags.items()}
        return NetworkOutput(tags, *(x[rows] for x in self[1:]))


class Network(nn.Module):
    """See the module."""

    mean: torch.Tensor
    spread: torch.Tensor
    profile_mean: torch.Tensor
    profile_spread: torch.Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(config.n_features))
        self.register_buffer("spread", torch.ones(config.n_features))
        self.register_buffer("profile_mean", torch.zeros(N_PROFILE))
        self.register_buffer("profile_spread", torch.ones(N_PROFILE))
        self.step = nn.Sequential(nn.Linear(config.n_features, config.width), nn.GELU(), nn.Dropout(config.dropout))
        self.blocks = nn.ModuleList(_DualScaleBlock(config) for _ in range(config.n_layers))
        self.curve = nn.Sequential(nn.LayerNorm(config.width), nn.Dropout(config.dropout), nn.Linear(config.width, 4))
        self.chords = _ChordReader(config) if config.harmony else None
        n_joined = 2 * config.n_features + config.width + (config.harmony_width + N_PROFILE if config.harmony else 0)
        self.join = nn.Sequential(
            nn.Dropout(config.dropout),
            nn.Linear(n_joined, config.hidden),
            nn.GELU(),
            nn.LayerNorm(config.hidden),
            nn.Dropout(config.dropout),
        )
        self.tags = nn.ModuleDict({name: nn.Linear(config.hidden, n) for name, n in config.tags.items()})
        self.plane = nn.Linear(config.hidden, 4)

    @classmethod
    def load(cls, config: NetworkConfig, tensors: Mapping[str, torch.Tensor], folder: Path) -> Network:
        """From weights, which are checked before memory is taken.

        Raises
        ------
        InputError
            They do not fit.
        """
        with torch.device("meta"):
            network = cls(config)
        check_tensors(folder, tensors, {name: tuple(value.shape) for name, value in network.state_dict().items()})
        network.load_state_dict({name: tensors[name] for name in network.state_dict()}, assign=True)
        return network

    def forward(self, windows: Windows) -> NetworkOutput:
        mask = windows.mask
        steps = (windows.steps - self.mean) / self.spread * mask[..., None]
        x = self.step(steps)
        allowed = _attention_mask(mask, self.config.n_heads)
        for block in self.blocks:
            x = block(x, allowed)
        own = self.curve(x)  # [B, T, 4]

        count = mask.sum(dim=1, keepdim=True).clamp(min=1)
        mean = steps.sum(dim=1) / count
        spread = (steps.square().sum(dim=1) / count - mean.square()).clamp(min=1e-6).sqrt()
        joined = [mean, spread, (x * mask[..., None]).sum(dim=1) / count]
        if self.chords is not None:
            profile = (windows.profile - self.profile_mean) / self.profile_spread
            joined += [self.chords(windows.chords), profile.clamp(-MAX_DEVIATION, MAX_DEVIATION)]
        hidden = self.join(torch.cat(joined, dim=1))
        plane = self.plane(hidden)
        return NetworkOutput(
            {name: head(hidden) for name, head in self.tags.items()},
            plane[:, :2],
            plane[:, 2:].clamp(MIN_LOG_VARIANCE, MAX_LOG_VARIANCE),
            plane[:, None, :2] + own[..., :2],
            own[..., 2:].clamp(MIN_LOG_VARIANCE, MAX_LOG_VARIANCE),
            x,
        )


def _attention_mask(mask: torch.Tensor, n_heads: int) -> torch.Tensor:
    """Which steps each head may attend to from each step, bool [B, heads, T, T]."""
    T = mask.shape[1]
    place = torch.arange(T, device=mask.device)
    scale = torch.ones(n_heads, T, T, dtype=torch.bool, device=mask.device)
    scale[: n_heads // 2] = (place[:, None] - place).abs() <= LOCAL_STEPS
    # A step of padding attends to itself, so that no row of the softmax is empty.
    return scale & mask[:, None, None] | torch.eye(T, dtype=torch.bool, device=mask.device)


class _DualScaleBlock(nn.Module):
    """A transformer layer of which half the heads attend to near steps and half to all."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.n_heads = config.n_heads
        self.norm = nn.LayerNorm(config.width)
        self.look = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)
        self.feed = nn.Sequential(
            nn.LayerNorm(config.width),
            nn.Linear(config.width, 2 * config.width),
            nn.GELU(),
            nn.Linear(2 * config.width, config.width),
        )
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
        B, T, D = x.shape
        parts = self.look(self.norm(x)).view(B, T, 3, self.n_heads, D // self.n_heads).permute(2, 0, 3, 1, 4)
        attended = nn.functional.scaled_dot_product_attention(parts[0], parts[1], parts[2], attn_mask=allowed)
        x = x + self.drop(self.out(attended.transpose(1, 2).reshape(B, T, D)))
        return x + self.drop(self.feed(x))


class _ChordReader(nn.Module):
    """A sequence of chords as one vector [B, harmony_width]."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        width = config.harmony_width
        self.root = nn.Embedding(14, width, padding_idx=0)
        self.quality = nn.Embedding(len(QUALITIES) + 2, width, padding_idx=0)
        self.degree = nn.Embedding(len(DEGREES) + 1, width, padding_idx=0)
        self.place = nn.Parameter(torch.randn(MAX_CHORDS + 1, width) * 0.02)
        self.start = nn.Parameter(torch.randn(width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            width, CHORD_HEADS, 2 * width, config.dropout, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)

    def forward(self, chords: torch.Tensor) -> torch.Tensor:
        chords = chords[:, : int((chords[..., 0] > 0).sum(dim=1).max())]  # padding at the end costs time for nothing
        x = self.root(chords[..., 0]) + self.quality(chords[..., 1]) + self.degree(chords[..., 2])
        x = torch.cat([self.start.expand(len(x), 1, -1), x], dim=1) + self.place[: x.shape[1] + 1]
        absent = nn.functional.pad(chords[..., 0] == 0, (1, 0))
        read: torch.Tensor = self.layers(x, src_key_padding_mask=absent)
        return read[:, 0]
