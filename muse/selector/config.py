"""Architecture and calibration of a selector, as ``config.json`` has them; the weights' shapes follow from it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from muse.checkpoint import Settings
from muse.errors import InputError
from muse.selector.events import FIELDS, HEADER
from muse.tokens import GENRES

__all__ = ["SPREAD", "TASKS", "Config"]

TASKS = ("quality", "emotion", "genre")
SPREAD = (-4.0, 1.0)
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
    """How much the experts have to say in the quadrants; 0 leaves them to the network."""
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
        read = Settings.read(folder / "config.json")
        read.expect("model_type", "muse-selector")
        plain, scale = cls(), (1e-6, 1e6)
        config = cls(
            width=read.whole("width", 4, 4096, plain.width),
            layers=read.whole("layers", 1, 256, plain.layers),
            heads=read.whole("heads", 1, 256, plain.heads),
            dropout=read.real("dropout", 0.0, 1.0, plain.dropout),
            quadrant_temperature=read.real("quadrant_temperature", *scale, plain.quadrant_temperature),
            attribute_weight=read.real("attribute_weight", 0.0, 1e6, plain.attribute_weight),
            genre_temperature=read.real("genre_temperature", *scale, plain.genre_temperature),
            quality_scale=read.real("quality_scale", -1e6, 1e6, plain.quality_scale),
            quality_shift=read.real("quality_shift", -1e6, 1e6, plain.quality_shift),
            spread_scale=read.real("spread_scale", *scale, plain.spread_scale),
            network_share=read.real("network_share", 0.0, 1.0, plain.network_share),
        )
        if config.width % (2 * config.heads):
            raise InputError(f"{read.path}: width is {config.width}, no even multiple of {config.heads} heads")
        return config

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Shape of every weight that ratings need, by name."""
        d = self.width
        found: dict[str, tuple[int, ...]] = {"start": (d,), "norm.weight": (d,), "queries": (len(TASKS), d)}
        found |= {f"fields.{i}.weight": (n, d) for i, n in enumerate(FIELDS.values())}
        found |= {f"header.{i}.weight": (n, d) for i, n in enumerate(HEADER.values())}
        linear = {
            **{f"blocks.{i}.up": (4 * d, d) for i in range(self.layers)},
            **{f"blocks.{i}.down": (d, 4 * d) for i in range(self.layers)},
            "quality.0": (d, 2 * d),
            "quality.2": (1, d),
            "misplaced": (1, d),
            "quadrant": (4, 2 * d),
            "valence_arousal": (4, 2 * d),
            "genre": (len(GENRES), 2 * d),
        }
        for name, shape in linear.items():
            found |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
        for i in range(self.layers):
            block = f"blocks.{i}"
            found |= {f"{block}.norm1.weight": (d,), f"{block}.norm2.weight": (d,)}
            found |= {f"{block}.qkv.weight": (3 * d, d), f"{block}.out.weight": (d, d)}
        return found | {"blame.weight": (1, 3)}

    def to_json(self) -> dict[str, Any]:
        """What ``config.json`` holds."""
        return {"model_type": "muse-selector", **asdict(self)}
