"""The fitted heads: the emotion that people feel at a picture, and the themes that it resembles.

Conventions
-----------
emotion
    Valence and arousal from features of MobileNetV2 (Sandler et al., CVPR 2018) by support vector regression, fitted on
    OASIS (Kurdi et al. 2017, ratings of some hundred people per picture), ``checkpoints/prompts-image``.
scale
    People rate pictures within a part of the scale; ``gain`` and ``middle`` in ``config.json`` widen what they said to
    the spread of emotion words (0.55), arousal from its mean over the set, as its scale has no neutral middle.
scenes
    The themes of OASIS whose mean features are nearest, as words.

Contents: :class:`PictureReader`, :func:`load_reader`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy.special import softmax

from muse.checkpoint import Settings, find, load_tensors
from muse.emotion import Emotion
from muse.errors import InputError, require
from muse.prompts.image.colours import COLOUR_NAMES
from muse.prompts.image.picture import SHORT_SIDE

__all__ = ["MODEL_FILE", "PictureReader", "load_reader"]

Array = np.ndarray[Any, np.dtype[Any]]

CHECKPOINT: Final = "prompts-image"
MODEL_FILE: Final = "mobilenet_v2.onnx"
_CROP: Final = 224
_MEAN: Final = np.array([0.485, 0.456, 0.406], np.float32)
_SCALE: Final = np.array([0.229, 0.224, 0.225], np.float32)
_N_SCENES: Final = 3


@dataclass(frozen=True)
class PictureReader:
    """Fitted heads, see the module. Arrays are named as in the checkpoint."""

    tensors: Mapping[str, Array]
    config: Mapping[str, Any]
    model: Path

    def features(self, pictures: Sequence[Array], *, whole: bool = False) -> Array:
        """Features of MobileNetV2, float32 [n, 1280].

        Parameters
        ----------
        pictures
            Each ``uint8 [height, width, 3]``, see :func:`read_picture`.
        whole
            All of a picture, squeezed into a square, instead of its middle: for the wide frames of videos.
        """
        session = _session(self.model)
        batch = np.stack([_input(picture, whole=whole) for picture in pictures])
        return np.asarray(session.run(["embedding"], {"image": batch})[0], np.float32)

    def project(self, features: Array) -> Array:
        """Whitened principal components of the features' square roots, float64 [n, components]."""
        t = self.tensors
        return (np.sqrt(np.maximum(features, 0)) - t["mean"]) / t["scale"] @ t["components"]

    def emotion(self, features: Array) -> Array:
        """Valence and arousal in -1..1, float64 [n, 2]."""
        t, x = self.tensors, self.project(features)
        predicted = []
        for axis in ("valence", "arousal"):
            support = t[f"{axis}.support"].astype(np.float64)
            distance = (x**2).sum(1)[:, None] - 2 * x @ support.T + (support**2).sum(1)
            predicted.append(np.exp(-self.config[f"{axis}_gamma"] * distance) @ t[f"{axis}.dual"] + t[f"{axis}.bias"])
        return np.clip(np.stack(predicted, axis=1), -1, 1)

    def emotion_by_colours(self, found: Mapping[str, float]) -> Array:
        """Valence and arousal in -1..1 [2] from colours alone."""
        x = np.array([found[name] for name in COLOUR_NAMES])
        return np.clip(x @ self.tensors["colours.weight"] + self.tensors["colours.bias"], -1, 1)

    def scenes(self, features: Array) -> list[tuple[str, float]]:
        """The nearest themes of one picture's features [1280] with their shares of closeness, nearest first."""
        x, themes = self.project(features[None])[0], self.tensors["themes"].astype(np.float64)
        closeness = (themes @ x) / (np.linalg.norm(themes, axis=1) * np.linalg.norm(x) + 1e-9)
        share = softmax(closeness / 0.08)
        nearest = np.argsort(-share)[:_N_SCENES]
        return [(self.config["themes"][i], float(share[i])) for k, i in enumerate(nearest) if k == 0 or share[i] > 0.05]

    def place(self, point: Array, by: str) -> tuple[Emotion, tuple[float, float]]:
        """A point on the scale of OASIS [2] as an emotion with its spread, see the module's conventions."""
        gain, middle = self.config["gain"], self.config["middle"]
        valence, arousal = (
            max(-1.0, min(1.0, g * (float(x) - m))) for g, x, m in zip(gain, point, middle, strict=True)
        )
        spread = [float(g * s) for g, s in zip(gain, self.config["spread"][by], strict=True)]
        return Emotion(valence, arousal), (spread[0], spread[1])


def _input(picture: Array, *, whole: bool = False) -> Array:
    """The middle of a picture or all of it, float32 [3, 224, 224]."""
    from PIL import Image

    height, width = picture.shape[:2]
    side = min(height, width) * _CROP / SHORT_SIDE
    left, top = (width - side) / 2, (height - side) / 2
    box = (0.0, 0.0, width, height) if whole else (left, top, left + side, top + side)
    crop = Image.fromarray(picture).resize((_CROP, _CROP), Image.Resampling.BILINEAR, box=box)
    return ((np.asarray(crop, np.float32) / 255 - _MEAN) / _SCALE).transpose(2, 0, 1)


@cache
def _session(model: Path) -> Any:
    runtime = require("onnxruntime", "vision", "A picture as prompt")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return runtime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


@cache
def load_reader(name_or_path: str | Path = CHECKPOINT) -> PictureReader:
    """The fitted heads, loaded once.

    Raises
    ------
    InputError
        There is no such checkpoint, or it is incomplete.
    """
    folder = find(name_or_path)
    model = folder / MODEL_FILE
    if not model.is_file():
        raise InputError(f"{model}: no such file: get the checkpoint again")
    tensors, config = load_tensors(folder, "np"), _config(Settings.read(folder / "config.json"))
    if len(config["themes"]) != len(tensors.get("themes", ())):
        raise InputError(f"{folder}: config.json has {len(config['themes'])} themes and the weights another number")
    return PictureReader(tensors, config, model)


def _config(read: Settings) -> dict[str, Any]:
    """Settings of the heads, checked."""
    spread = read.part("spread")
    return {
        "themes": read.texts("themes"),
        "spread": {name: spread.reals(name, 2) for name in ("vision", "colours")},
        "gain": read.reals("gain", 2),
        "middle": read.reals("middle", 2),
        **{f"{axis}_gamma": read.real(f"{axis}_gamma", 0.0, 1e6) for axis in ("valence", "arousal")},
    }
