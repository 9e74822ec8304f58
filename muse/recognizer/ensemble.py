"""Networks and teachers together: windows in, emotion out.

Conventions
-----------
share
    Weight of the teachers in tags and plane; the curve moves along with the plane, its course is the networks'.
variance
    What the networks expect of their error, and how far they differ from each other.

Contents: :class:`Ensemble`, :class:`Prediction`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from muse.checkpoint import Settings, under
from muse.recognizer.heads.course import Course
from muse.recognizer.heads.network import Network, NetworkConfig, NetworkOutput, Windows
from muse.recognizer.heads.teachers import Teacher, clip_to_range, statistics

__all__ = ["Ensemble", "Prediction"]

Floats = NDArray[np.float32]
BATCH = 256


@dataclass(frozen=True)
class Prediction:
    """Of ``W`` windows of ``T`` steps."""

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


@dataclass(frozen=True)
class Ensemble:
    """See the module."""

    networks: Sequence[Network]
    teachers: Mapping[str, Sequence[Teacher]] = field(default_factory=dict)
    """By set of tags or ``plane``; of several the mean counts."""
    share: float = 0.5
    course: Course | None = None
    """For whole pieces; what :meth:`predict` says of windows is without it."""

    def __post_init__(self) -> None:
        for network in self.networks:
            network.eval().requires_grad_(False)

    @property
    def tag_sets(self) -> tuple[str, ...]:
        """Sets of tags that are predicted."""
        return tuple(self.networks[0].config.tags)

    @torch.inference_mode()
    def predict(self, windows: Windows) -> Prediction:
        """Emotion of windows."""
        parts = [
            self._predict(Windows(*(x[first : first + BATCH] for x in windows)))
            for first in range(0, len(windows.mask), BATCH)
        ]
        tags = {name: np.concatenate([part.tags[name] for part in parts]) for name in self.tag_sets}
        rest = ("plane", "variance", "curve", "curve_variance")
        return Prediction(tags, *(np.concatenate([getattr(part, name) for part in parts]) for name in rest))

    def _predict(self, windows: Windows) -> Prediction:
        outputs = [network(windows) for network in self.networks]

        def each(take: Callable[[NetworkOutput], torch.Tensor]) -> Floats:
            return np.stack([take(output).numpy() for output in outputs])

        planes, curves = each(lambda output: output.plane), each(lambda output: output.curve)
        means: dict[str, Floats] = {}
        for name in self.tag_sets:
            logits = [output.tags[name] for output in outputs]
            means[name] = (
                torch.stack([x.softmax(1) if name == "quadrants" else x.sigmoid() for x in logits]).mean(0).numpy()
            )
        of_networks = means["plane"] = planes.mean(axis=0)
        rows = statistics(windows)
        for name, teachers in self.teachers.items():
            of_teachers = np.mean([clip_to_range(name, teacher(rows)) for teacher in teachers], axis=0)
            means[name] = (1 - self.share) * means[name] + self.share * of_teachers
        plane = means.pop("plane")
        return Prediction(
            means,
            plane,
            each(lambda output: output.log_variance.exp()).mean(axis=0) + planes.var(axis=0),
            curves.mean(axis=0) + (plane - of_networks)[:, None],
            each(lambda output: output.curve_log_variance.exp()).mean(axis=0) + curves.var(axis=0),
        )

    def tensors(self) -> dict[str, torch.Tensor]:
        """Weights by name."""
        found: dict[str, torch.Tensor] = {}
        for i, network in enumerate(self.networks):
            found |= {f"network{i}.{name}": value for name, value in network.state_dict().items()}
        for target, teachers in self.teachers.items():
            for i, teacher in enumerate(teachers):
                found |= {f"teacher.{target}.{i}.{name}": value for name, value in teacher.tensors().items()}
        if self.course is not None:
            found |= {f"course.{name}": value for name, value in self.course.tensors().items()}
        return found

    def config(self) -> dict[str, Any]:
        """What :meth:`load` needs beside the weights."""
        return {
            "n_networks": len(self.networks),
            "network": asdict(self.networks[0].config),
            "teachers": {name: [asdict(one.shape) for one in teachers] for name, teachers in self.teachers.items()},
            "share": self.share,
            "course": self.course is not None,
        }

    @classmethod
    def load(cls, settings: Settings, tensors: Mapping[str, torch.Tensor]) -> Ensemble:
        """What :meth:`config` and :meth:`tensors` gave.

        Raises
        ------
        InputError, KeyError, TypeError, ValueError
            They do not fit.
        """
        config = NetworkConfig.read(settings.part("network"))
        networks = [
            Network.load(config, under(tensors, f"network{i}."), settings.path.parent)
            for i in range(settings.whole("n_networks", 1, 64))
        ]
        teachers = {
            name: [Teacher.load(shape, under(tensors, f"teacher.{name}.{i}.")) for i, shape in enumerate(shapes)]
            for name, shapes in settings.part("teachers").values.items()
        }
        course = Course.load(under(tensors, "course.")) if settings.flag("course") else None
        return cls(networks, teachers, settings.real("share", 0, 1), course)
