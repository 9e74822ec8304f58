"""MusiCNN, the encoder that comes with Muse: two small convolutional taggers.

Pons & Serra 2019, "musicnn: Pre-trained convolutional neural networks for music audio tagging", ISMIR late-breaking;
ISC licence.

Contents: :class:`Musicnn`, :class:`MusicnnEncoder`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from muse.checkpoint import Settings, check_tensors, find, load_tensors, under
from muse.errors import InputError
from muse.recognizer.encoders.encoder import DEFAULT_ENCODER, MARGIN_STEPS
from muse.recognizer.features.signal import MEL_HOP, N_MELS, STEP, log_mel
from muse.recognizer.features.signal import SAMPLE_RATE as MEL_RATE

__all__ = ["Musicnn", "MusicnnEncoder"]

Floats = NDArray[np.float32]

MODEL_TYPE: Final = "musicnn"
MAX_TAGS: Final = 10_000
WINDOW_STEPS: Final = 6
"""Steps that MusiCNN was trained on: three seconds."""
CHUNK_STEPS: Final = 120
"""Sound is worked through a minute at a time, with :data:`~muse.recognizer.encoders.encoder.MARGIN_STEPS` on either
side. Four steps are 125 frames, so multiples of four keep frames where they were."""


class Musicnn(nn.Module):
    """The network of Pons & Serra 2019, as its convolutions left it: no patch borders within a chunk."""

    FRONT: Final = ((204, 7, 38), (204, 7, 67), (51, 128, 1), (51, 64, 1), (51, 32, 1))
    """Filters of the front end: number, frames, bands. Two are for timbre, three for the course of energy."""
    WIDTH: Final = 64
    N_FRAME: Final = 561 + 3 * WIDTH
    N_PENULTIMATE: Final = 200

    def __init__(self, n_tags: int = 50) -> None:
        super().__init__()
        self.input = _Affine(1)
        self.front = nn.ModuleList(_Front(n, frames, bands) for n, frames, bands in self.FRONT)
        self.middle = nn.ModuleList(_Middle(n, self.WIDTH) for n in (561, self.WIDTH, self.WIDTH))
        self.pool = _Affine(2 * self.N_FRAME)
        self.dense = _Dense(2 * self.N_FRAME, self.N_PENULTIMATE)
        self.tags = nn.Linear(self.N_PENULTIMATE, n_tags)

    def frames(self, mel: torch.Tensor) -> torch.Tensor:
        """Features of every frame, [B, 753, T], of mel spectrograms [B, T, 96]."""
        x = self.input(mel[:, None])
        front = torch.cat([layer(x) for layer in self.front], dim=1)  # [B, 561, T]
        first = self.middle[0](front)
        second = self.middle[1](first) + first
        third = self.middle[2](second) + second
        return torch.cat([front, first, second, third], dim=1)

    def embed(self, largest: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        """The penultimate layer [..., 200] of frames pooled over a window, [..., 753] each."""
        return self.dense(self.pool(torch.stack([largest, mean], dim=-1).flatten(-2)))


class _Affine(nn.Module):
    """A batch normalisation at inference."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(n)), nn.Parameter(torch.zeros(n))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale + self.shift


class _Front(nn.Conv2d):
    """A filter slid over time and bands; of all places on the bands the strongest answer counts."""

    def __init__(self, n: int, frames: int, bands: int) -> None:
        super().__init__(1, n, (frames, bands))
        self.scale, self.shift = nn.Parameter(torch.ones(n)), nn.Parameter(torch.zeros(n))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        frames, bands = self.kernel_size
        x = nn.functional.pad(x, (0, 0, (frames - 1) // 2, frames // 2))
        if bands == 1:
            response = super().forward(x)
            most, least = response.amax(dim=3), response.amin(dim=3)
        else:  # the same convolution with bands for channels, a place at a time: three times as fast
            by_band, weight = x[:, 0].transpose(1, 2).contiguous(), self.weight[:, 0].transpose(1, 2)
            most = least = nn.functional.conv1d(by_band[:, :bands], weight, self.bias)
            for place in range(1, N_MELS - bands + 1):
                response = nn.functional.conv1d(by_band[:, place : place + bands], weight, self.bias)
                most, least = torch.maximum(most, response), torch.minimum(least, response)
        # An affine map before a maximum: the maximum where it rises, the minimum where it falls.
        scale = self.scale[:, None]
        return torch.where(scale >= 0, most, least).relu() * scale + self.shift[:, None]


class _Middle(nn.Conv1d):
    def __init__(self, n_in: int, n: int) -> None:
        super().__init__(n_in, n, 7, padding=3)
        self.scale, self.shift = nn.Parameter(torch.ones(n)), nn.Parameter(torch.zeros(n))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).relu() * self.scale[:, None] + self.shift[:, None]


class _Dense(nn.Linear):
    def __init__(self, n_in: int, n: int) -> None:
        super().__init__(n_in, n)
        self.scale, self.shift = nn.Parameter(torch.ones(n)), nn.Parameter(torch.zeros(n))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).relu() * self.scale + self.shift


class MusicnnEncoder:
    """MusiCNN's embedding of the three seconds around every step, from one or both of its trainings.

    Parameters
    ----------
    networks
        By name: ``mtt`` was trained on MagnaTagATune, ``msd`` on the Million Song Dataset.
    """

    sample_rate = MEL_RATE

    def __init__(self, networks: Mapping[str, Musicnn], name: str = DEFAULT_ENCODER) -> None:
        self.name = name
        self.networks = {name: network.eval().requires_grad_(False) for name, network in networks.items()}
        self.width = Musicnn.N_PENULTIMATE * len(self.networks)

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path = DEFAULT_ENCODER) -> MusicnnEncoder:
        """Load both networks.

        Raises
        ------
        InputError
            There is no such checkpoint, or it is another architecture.
        """
        folder = find(name_or_path, MODEL_TYPE)
        settings = Settings.read(folder / "config.json")
        settings.expect("model_type", MODEL_TYPE)
        tensors = load_tensors(folder)
        networks = {}
        for name in settings.part("networks").values:
            tags = settings.part("networks").part(name).values.get("tags")
            if not isinstance(tags, list) or not 0 < len(tags) <= MAX_TAGS:
                raise InputError(f"{settings.path}: network {name!r} has no list of at most {MAX_TAGS} tags")
            own = under(tensors, f"{name}.")
            network = Musicnn(len(tags))
            check_tensors(folder, own, {name: tuple(value.shape) for name, value in network.state_dict().items()})
            network.load_state_dict(own)
            networks[name] = network
        if not networks:
            raise InputError(f"{settings.path}: 'networks' has none")
        return cls(networks, str(name_or_path))

    @torch.inference_mode()
    def encode(self, samples: Floats) -> Floats:
        """Embeddings, float32 [steps, 200 for each network]; see :class:`Encoder`."""
        n_steps = max(-(-len(samples) // STEP), 1)
        mel = log_mel(samples)
        parts = []
        for first in range(0, n_steps, CHUNK_STEPS):
            last = min(first + CHUNK_STEPS, n_steps)
            low, high = max(first - MARGIN_STEPS, 0), min(last + MARGIN_STEPS, n_steps)
            chunk = mel[low * STEP // MEL_HOP : -(-high * STEP // MEL_HOP) + 1]
            x = torch.from_numpy(chunk)[None]
            rows = [_pooled(network, network.frames(x)[0], high - low) for network in self.networks.values()]
            parts.append(torch.cat(rows, dim=1)[first - low : last - low])
        return torch.cat(parts).numpy()


def _pooled(network: Musicnn, frames: torch.Tensor, n_steps: int) -> torch.Tensor:
    """Embeddings [steps, 200] of frames [753, T]: the window around each step, whole at the borders."""
    n = frames.shape[1]
    per_step = STEP / MEL_HOP
    size = min(round(WINDOW_STEPS * per_step), n)
    centre = (torch.arange(n_steps) + 0.5) * per_step
    first = (centre - size / 2).round().long().clamp(0, n - size)
    windows = frames.unfold(1, size, 1)[:, first]  # [753, steps, size]
    return network.embed(windows.amax(dim=2).T, windows.mean(dim=2).T)
