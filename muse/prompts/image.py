"""Pictures: the emotion that people feel before them, and what they show.

Conventions
-----------
emotion
    Valence and arousal from features of MobileNetV2 (Sandler et al., CVPR 2018) by support vector regression, fitted on
    OASIS (Kurdi et al. 2017, ratings of some hundred people per picture), ``checkpoints/prompts-image``. Without
    ``onnxruntime`` colours alone decide, much worse, and a note says so.
scale
    People rate pictures within a part of the scale; ``gain`` and ``middle`` in ``config.json`` widen what they said to
    the spread of emotion words (0.55), arousal from its mean over the set, as its scale has no neutral middle.
colours
    Means over the picture of brightness and saturation (value and saturation of HSV, 0..1); contrast, the standard
    deviation of luminance (root-mean-square contrast: Peli 1990, JOSA A 7); colourfulness after Hasler & Süsstrunk
    2003 (*Measuring colourfulness in natural images*, SPIE 5007, eq. 7-9: 0 grey, 33 moderate, 109 extreme); and what
    Valdez & Mehrabian 1994 (*Effects of color on emotions*, J. Exp. Psych. General 123) found people to feel before
    plain colours: pleasure ``0.69 B + 0.22 S``, arousal ``-0.31 B + 0.60 S``.
scenes
    The themes of OASIS whose mean features are nearest, as words.

Contents: :func:`parse_image`, :func:`read_picture`, :func:`colours`, :class:`PictureReader`, :func:`load_reader`.
"""

from __future__ import annotations

import contextlib
import io
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from muse.checkpoint import find, load_tensors
from muse.emotion import Emotion, EmotionPath
from muse.errors import InputError, require
from muse.files import read_json
from muse.intent import Intent
from muse.prompts.parsed import Evidence, Parsed

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["PictureReader", "colours", "load_reader", "parse_image", "read_picture"]

Array = np.ndarray[Any, np.dtype[Any]]

CHECKPOINT: Final = "prompts-image"
MODEL_FILE: Final = "mobilenet_v2.onnx"
COLOUR_NAMES: Final = ("brightness", "saturation", "contrast", "colourfulness", "pleasure", "arousal")
MAX_PIXELS: Final = 300_000_000
"""A larger picture is refused before it is decoded: 900 MB in memory."""
SHORT_SIDE: Final = 256
"""Pictures are read at this size, as MobileNetV2 was trained."""
_CROP: Final = 224
_MEAN: Final = np.array([0.485, 0.456, 0.406], np.float32)
_SCALE: Final = np.array([0.229, 0.224, 0.225], np.float32)
_N_SCENES: Final = 3


def read_picture(source: str | Path | bytes | Array | Image.Image) -> Array:
    """A picture as it is looked at: upright, on white, at least :data:`SHORT_SIDE` pixels on the short side if it has.

    Parameters
    ----------
    source
        File, its bytes, an array ``uint8`` or float 0..1 of shape [height, width, 3 or 4] or [height, width], or a
        picture of Pillow. Of an animation the middle frame is taken.

    Returns
    -------
    numpy.ndarray
        ``uint8 [height, width, 3]``, RGB, short side :data:`SHORT_SIDE` or smaller.

    Raises
    ------
    InputError
        It is no picture, broken, or has more than :data:`MAX_PIXELS` pixels.
    """
    require("PIL", "vision", "A picture as prompt")
    from PIL import Image, ImageOps

    where = str(source) if isinstance(source, (str, Path)) else "the picture"
    if isinstance(source, np.ndarray):
        source = Image.fromarray(_as_bytes(source))
    if isinstance(source, (str, Path)) and Path(source).is_dir():
        raise InputError(f"{source} is a folder: give a picture")
    if isinstance(source, (str, Path)) and not Path(source).exists():
        raise InputError(f"{source}: no such file: give a picture (PNG, JPEG, WebP, GIF ...)")
    try:
        with warnings.catch_warnings(), contextlib.ExitStack() as files:
            warnings.simplefilter("ignore")  # Pillow warns of large pictures and odd metadata; we check the size
            if not isinstance(source, Image.Image):
                stream: Any = source if isinstance(source, bytes) else files.enter_context(Path(source).open("rb"))
                source = Image.open(io.BytesIO(stream) if isinstance(source, bytes) else stream)
            width, height = source.size
            if width * height > MAX_PIXELS:
                raise InputError(f"{where} has {width} x {height} pixels; up to 300 million are read: make it smaller")
            frames = int(getattr(source, "n_frames", 1))
            if frames > 1:
                source.seek(frames // 2)
            # JPEG can be decoded at a fraction of its size, which is many times faster.
            source.draft("RGB", (SHORT_SIDE, SHORT_SIDE))
            source.load()
            picture = ImageOps.exif_transpose(source)
            factor = SHORT_SIDE / min(picture.size)
            if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
                picture = Image.fromarray(_as_bytes(np.asarray(picture, np.float64)))
            if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
                picture = picture.convert("RGBA")
                picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
            picture = picture.convert("RGB")
            if factor < 1:
                size = (max(round(picture.width * factor), 1), max(round(picture.height * factor), 1))
                picture = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    except InputError:
        raise
    except Image.DecompressionBombError:
        raise InputError(f"{where} has too many pixels; up to 300 million are read: make it smaller") from None
    except Exception as error:  # decoders raise whatever they like on broken files
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{where} cannot be read as a picture ({reason}): give a sound PNG, JPEG, WebP, GIF") from None
    return np.asarray(picture)


def _as_bytes(values: Array) -> Array:
    """An array as ``uint8``: floats are 0..1, or 0..65535 (16 bit) where they go beyond 255."""
    values = np.asarray(values)
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] not in (1, 3, 4)) or not values.size:
        raise InputError(f"an array of shape {values.shape} is no picture: give [height, width, 3]")
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.dtype == np.uint8:
        return values
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        raise InputError("the picture has values that are not finite: give 0..255 or 0..1")
    top = values.max()
    factor = 255.0 if top <= 1 else 1.0 if top <= 255 else 255.0 / 65535
    return np.clip(np.rint(values * factor), 0, 255).astype(np.uint8)


def colours(picture: Array) -> dict[str, float]:
    """Colour statistics of a picture ``uint8 [height, width, 3]`` by name, see the module's conventions."""
    rgb = picture.reshape(-1, 3).astype(np.float64) / 255
    high, low = rgb.max(1), rgb.min(1)
    brightness, saturation = high.mean(), np.where(high > 0, (high - low) / np.maximum(high, 1e-9), 0).mean()
    red_green, yellow_blue = rgb[:, 0] - rgb[:, 1], 0.5 * (rgb[:, 0] + rgb[:, 1]) - rgb[:, 2]
    spread = math.hypot(red_green.std(), yellow_blue.std())
    return {
        "brightness": float(brightness),
        "saturation": float(saturation),
        "contrast": float((rgb @ [0.2126, 0.7152, 0.0722]).std()),
        "colourfulness": 255 * (spread + 0.3 * math.hypot(red_green.mean(), yellow_blue.mean())),
        "pleasure": float(0.69 * brightness + 0.22 * saturation),
        "arousal": float(-0.31 * brightness + 0.60 * saturation),
    }


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
        told = []
        for axis in ("valence", "arousal"):
            support = t[f"{axis}.support"].astype(np.float64)
            distance = (x**2).sum(1)[:, None] - 2 * x @ support.T + (support**2).sum(1)
            told.append(np.exp(-self.config[f"{axis}_gamma"] * distance) @ t[f"{axis}.dual"] + t[f"{axis}.bias"])
        return np.clip(np.stack(told, axis=1), -1, 1)

    def emotion_by_colours(self, found: Mapping[str, float]) -> Array:
        """Valence and arousal in -1..1 [2] from colours alone."""
        x = np.array([found[name] for name in COLOUR_NAMES[:4]])
        return np.clip(x @ self.tensors["colours.weight"] + self.tensors["colours.bias"], -1, 1)

    def scenes(self, features: Array) -> list[tuple[str, float]]:
        """The nearest themes of one picture's features [1280] with their shares of closeness, nearest first."""
        x, themes = self.project(features[None])[0], self.tensors["themes"].astype(np.float64)
        closeness = (themes @ x) / (np.linalg.norm(themes, axis=1) * np.linalg.norm(x) + 1e-9)
        share = np.exp((closeness - closeness.max()) / 0.08)
        share /= share.sum()
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
    return PictureReader(load_tensors(folder, "np"), read_json(folder / "config.json"), model)


def parse_image(source: str | Path | bytes | Array | Image.Image, *, reader: PictureReader | None = None) -> Parsed:
    """Read the emotion of a picture.

    Parameters
    ----------
    source
        See :func:`read_picture`.
    reader
        Fitted heads; those that come with Muse when None.

    Returns
    -------
    Parsed
        The intent's emotion; as evidence the colours, and the scenes that the picture resembles.

    Raises
    ------
    InputError
        It cannot be read as a picture.
    """
    picture = read_picture(source)
    name = Path(source).name if isinstance(source, (str, Path)) else "the picture"
    reader, found = reader or load_reader(), colours(picture)
    rows = [Evidence(key, round(found[key], 3), name, 1.0, "colours") for key in COLOUR_NAMES[:4]]
    felt = {"valence": round(found["pleasure"], 3), "arousal": round(found["arousal"], 3)}
    rows.append(Evidence("plain_colour", felt, "felt before plain colours (Valdez & Mehrabian 1994)", 0.2, "colours"))
    try:
        features = reader.features([picture])
        point, by = reader.emotion(features)[0], "vision"
        rows += [Evidence("scene", theme, name, share, "model") for theme, share in reader.scenes(features[0])]
    except ImportError:
        point, by = reader.emotion_by_colours(found), "colours"
        text = "colours alone were read: pip install onnxruntime to have the picture itself looked at"
        rows.append(Evidence("note", "colours", text, 1.0, "note"))
    placed, spread = reader.place(point, by)
    emotion = EmotionPath.parse(placed)
    confidence = 0.6 if by == "vision" else 0.3
    decides = Evidence("emotion", emotion, name, confidence, "model", spread)
    return Parsed(Intent(emotion=emotion), (decides, *rows))
