"""Networks and teachers together: windows in, emotion out.

Conventions
-----------
share
    Weight of the teachers in tags and plane; the curve moves along with the plane, its course is the networks'.
variance
    What the networks expect of their error, and how far they differ from each other.

Contents: :class:`Ensemble`, :class:`Answer`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from muse.checkpoint import under
from muse.recognizer.heads.course import Course
from muse.recognizer.heads.gate import MusicGate
from muse.recognizer.heads.network import Network, NetworkConfig, Told, Windows
from muse.recognizer.heads.teachers import Teacher, possible, statistics

__all__ = ["Answer", "Ensemble"]

Floats = NDArray[np.float32]
BATCH = 256


@dataclass(frozen=True)
class Answer:
    """What is told of ``W`` windows of ``T`` steps."""

    tags: dict[str, Floats]
    """Probabilities by set of tags, [W, tags]."""
    plane: Floats
    """Valence and arousal, [W, 2]."""
    variance: Floats
    """[W, 2]."""
    curve: Floats
    """[W, T, 2]."""
    curve_variance: Floats
    """[W, T, 2]."""
    music: Floats
    """Probability that it is music at all, [W]; 1 without a gate."""


@dataclass(frozen=True)
class Ensemble:
    """See the module."""

    networks: Sequence[Network]
    teachers: Mapping[str, Sequence[Teacher]] = field(default_factory=dict)
    """By set of tags or ``plane``; the mean of several is told."""
    share: float = 0.5
    gate: MusicGate | None = None
    course: Course | None = None
    """For whole pieces; what :meth:`tell` says of windows is without it."""

    def __post_init__(self) -> None:
        for network in self.networks:
            network.eval().requires_grad_(False)

    @property
    def tag_sets(self) -> tuple[str, ...]:
        """Sets of tags that are told."""
        return tuple(self.networks[0].config.tags)

    @torch.inference_mode()
    def tell(self, windows: Windows) -> Answer:
        """Of windows."""
        parts = [
            self._tell(Windows(*(x[first : first + BATCH] for x in windows)))
            for first in range(0, len(windows.there), BATCH)
        ]
        tags = {name: np.concatenate([part.tags[name] for part in parts]) for name in self.tag_sets}
        rest = ("plane", "variance", "curve", "curve_variance", "music")
        return Answer(tags, *(np.concatenate([getattr(part, name) for part in parts]) for name in rest))

    def _tell(self, windows: Windows) -> Answer:
        heard = [network(windows) for network in self.networks]

        def each(take: Callable[[Told], torch.Tensor]) -> Floats:
            return np.stack([take(told).numpy() for told in heard])

        planes, curves = each(lambda told: told.plane), each(lambda told: told.curve)
        tags: dict[str, Floats] = {}
        for name in self.tag_sets:
            logits = [told.tags[name] for told in heard]
            tags[name] = (
                torch.stack([x.softmax(1) if name == "quadrants" else x.sigmoid() for x in logits]).mean(0).numpy()
            )
        told = {**tags, "plane": planes.mean(axis=0)}
        plain = told["plane"]
        rows = statistics(windows)
        for name, teachers in self.teachers.items():
            taught = np.mean([possible(name, teacher(rows)) for teacher in teachers], axis=0)
            told[name] = (1 - self.share) * told[name] + self.share * taught
        plane = told.pop("plane")
        return Answer(
            told,
            plane,
            each(lambda one: one.log_variance.exp()).mean(axis=0) + planes.var(axis=0),
            curves.mean(axis=0) + (plane - plain)[:, None],
            each(lambda one: one.curve_log_variance.exp()).mean(axis=0) + curves.var(axis=0),
            np.ones(len(plain), np.float32) if self.gate is None else self.gate(rows["embedding"]),
        )

    def tensors(self) -> dict[str, torch.Tensor]:
        """Weights by name."""
        found: dict[str, torch.Tensor] = {}
        for i, network in enumerate(self.networks):
            found |= {f"network{i}.{name}": value for name, value in network.state_dict().items()}
        for target, teachers in self.teachers.items():
            for i, teacher in enumerate(teachers):
                found |= {f"teacher.{target}.{i}.{name}": value for name, value in teacher.tensors().items()}
        for kind, part in (("gate", self.gate), ("course", self.course)):
            if part is not None:
                found |= {f"{kind}.{name}": value for name, value in part.tensors().items()}
        return found

    def config(self) -> dict[str, Any]:
        """What :meth:`load` needs beside the weights."""
        return {
            "n_networks": len(self.networks),
            "network": asdict(self.networks[0].config),
            "teachers": {name: [asdict(one.shape) for one in teachers] for name, teachers in self.teachers.items()},
            "share": self.share,
            "gate": self.gate is not None,
            "course": self.course is not None,
        }

    @classmethod
    def load(cls, config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> Ensemble:
        """What :meth:`config` and :meth:`tensors` gave.

        Raises
        ------
        KeyError, TypeError, RuntimeError
            They do not fit.
        """
        networks = []
        for i in range(config["n_networks"]):
            network = Network(NetworkConfig(**config["network"]))
            network.load_state_dict(under(tensors, f"network{i}."))
            networks.append(network)
        teachers = {
            name: [Teacher.load(shape, under(tensors, f"teacher.{name}.{i}.")) for i, shape in enumerate(shapes)]
            for name, shapes in config["teachers"].items()
        }
        gate = MusicGate.load(under(tensors, "gate.")) if config["gate"] else None
        course = Course.load(under(tensors, "course.")) if config["course"] else None
        return cls(networks, teachers, config["share"], gate, course)
