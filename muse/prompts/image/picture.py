"""Reading a picture: upright, on white, small; broken and huge ones are refused.

Conventions
-----------
formats
    PNG, JPEG, WebP, GIF, BMP and TIFF, by the bytes and not by the name. Others are refused, above all those that
    other programs would be started for (PostScript) or that refer to other files.
memory
    At most :data:`MAX_BYTES` while a picture is decoded, by what its header says and what the format's decoder takes a
    pixel (:data:`BYTES_PER_PIXEL`). What is done to it afterwards is done strip by strip, so sixteen bits, transparency
    and palettes take no more.

Contents: :func:`read_picture`.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from muse.errors import InputError, require

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["MAX_BYTES", "SHORT_SIDE", "read_picture"]

Array = np.ndarray[Any, np.dtype[Any]]

BYTES_PER_PIXEL: Final = {"PNG": 4, "JPEG": 1, "WEBP": 16, "GIF": 12, "BMP": 4, "TIFF": 8}
"""What a decoder takes at most for a pixel: JPEG is decoded at a fraction, WebP and GIF on several canvases."""
PROGRESSIVE_BYTES: Final = 6
"""The same for JPEG in several passes, whose coefficients are kept."""
MAX_BYTES: Final = 600_000_000
"""A picture that takes more memory is refused before it is decoded: 150 million pixels as PNG, 600 as plain JPEG."""
MAX_FRAME_PIXELS: Final = 200_000_000
"""So many pixels of an animation are decoded at most, on the way to its middle frame."""
SHORT_SIDE: Final = 256
"""Pictures are read at this size, as MobileNetV2 was trained."""
_REDUCING_GAP: Final = 2.0
"""Means of whole pixels make the picture smaller down to so many times its size, interpolation does the rest."""
_STRIP_PIXELS: Final = 4_000_000
_ORIENTATION: Final = 0x0112


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
        It is no picture, broken, in another format, or would take more than :data:`MAX_BYTES`.
    """
    require("PIL", "vision", "A picture as prompt")
    from PIL import Image, ImageOps, UnidentifiedImageError

    where = str(source) if isinstance(source, (str, Path)) else "the picture"
    if isinstance(source, np.ndarray):
        source = Image.fromarray(_as_bytes(source))
    if isinstance(source, (str, Path)):
        _check_file(Path(source))
    try:
        with warnings.catch_warnings(), contextlib.ExitStack() as files:
            warnings.simplefilter("ignore")  # Pillow warns of large pictures and odd metadata; we check the size
            if not isinstance(source, Image.Image):
                stream: Any = (
                    io.BytesIO(source) if isinstance(source, bytes) else files.enter_context(Path(source).open("rb"))
                )
                source = Image.open(stream, formats=tuple(BYTES_PER_PIXEL))
            _check_size(source, where)
            _seek_middle(source)
            # JPEG can be decoded at a fraction of its size, which is many times faster.
            source.draft("RGB", (SHORT_SIDE, SHORT_SIDE))
            source.load()
            small = _small(source)
            small.info = {"exif": _turn(source).tobytes()}
            return np.asarray(ImageOps.exif_transpose(small))
    except InputError:
        raise
    except Image.DecompressionBombError:
        raise InputError(f"{where} has too many pixels: make it smaller") from None
    except Exception as error:  # decoders raise whatever they like on broken files
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        reason = reason.replace(repr(where), "the file")
        if isinstance(error, UnidentifiedImageError):  # its text is about a Python object
            reason = "it is none, or damaged"
        known = "give an intact PNG, JPEG, WebP, GIF, BMP or TIFF"
        raise InputError(f"{where} cannot be read as a picture ({reason}): {known}") from None


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{path} is a folder: give a picture")
    if not path.exists():
        raise InputError(f"{path}: no such file: give a picture (PNG, JPEG, WebP, GIF ...)")
    if not path.is_file():  # a pipe or a device could be waited for without end
        raise InputError(f"{path} is no ordinary file: give a picture (PNG, JPEG, WebP, GIF ...)")


def _check_size(picture: Image.Image, where: str) -> None:
    width, height = picture.size
    each = BYTES_PER_PIXEL.get("JPEG" if picture.format == "MPO" else picture.format or "", 4)
    if "progressive" in picture.info:
        each = PROGRESSIVE_BYTES
    if width * height * each > MAX_BYTES:
        most = MAX_BYTES // each // 1_000_000
        kind = f" as {picture.format}" if picture.format else ""
        raise InputError(f"{where} has {width} x {height} pixels; up to {most} million are read{kind}: make it smaller")


def _seek_middle(picture: Image.Image) -> None:
    """Go to the middle frame of an animation, or as near as :data:`MAX_FRAME_PIXELS` allows."""
    frames = int(getattr(picture, "n_frames", 1))
    if frames > 1 and picture.format != "MPO":  # which holds one picture in several versions, the main one first
        reach = MAX_FRAME_PIXELS // max(picture.width * picture.height, 1)
        picture.seek(min(frames // 2, reach))


def _small(picture: Image.Image) -> Image.Image:
    """On white, RGB, short side :data:`SHORT_SIDE` or smaller."""
    from PIL import Image

    width, height = picture.size
    scale = SHORT_SIDE / min(width, height)
    if scale >= 1:
        return _on_white(picture, _top(picture))
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    steps = [max(int(long / short / _REDUCING_GAP), 1) for long, short in zip((width, height), size, strict=True)]
    reduced = Image.new("RGB", (-(-width // steps[0]), -(-height // steps[1])))
    top = _top(picture)
    for y, strip in _strips(picture, steps[1]):
        reduced.paste(_on_white(strip, top).reduce((steps[0], steps[1])), (0, y // steps[1]))
    box = (0.0, 0.0, width / steps[0], height / steps[1])
    return reduced.resize(size, Image.Resampling.BILINEAR, box=box)


def _turn(picture: Image.Image) -> Image.Exif:
    """How the camera was held, and no more of the picture's own data."""
    from PIL import Image

    exif, turn = Image.Exif(), picture.getexif().get(_ORIENTATION)
    exif[_ORIENTATION] = turn if isinstance(turn, int) and 1 <= turn <= 8 else 1
    return exif


def _strips(picture: Image.Image, multiple: int) -> Iterator[tuple[int, Image.Image]]:
    """Rows of a picture, a few million pixels at a time, with the row that they begin at, a multiple of *multiple*."""
    rows = max(_STRIP_PIXELS // picture.width // multiple, 1) * multiple
    for y in range(0, picture.height, rows):
        yield y, picture.crop((0, y, picture.width, min(y + rows, picture.height)))


def _is_deep(picture: Image.Image) -> bool:
    """Whether its values have more than eight bits."""
    return picture.mode in ("I", "F") or picture.mode.startswith("I;16")


def _top(picture: Image.Image) -> float:
    """The largest value of a picture with more than eight bits, which tells its scale."""
    return max(float(np.asarray(strip).max()) for _, strip in _strips(picture, 1)) if _is_deep(picture) else 255.0


def _on_white(picture: Image.Image, top: float) -> Image.Image:
    """The same as RGB, what is transparent white."""
    from PIL import Image

    if _is_deep(picture):
        picture = Image.fromarray(_as_bytes(np.asarray(picture, np.float64), top))
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")


def _as_bytes(values: Array, top: float | None = None) -> Array:
    """An array as ``uint8``: floats are 0..1, or 0..65535 (16 bit) where they go beyond 255; *top* is the largest."""
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
    top = float(values.max()) if top is None else top
    factor = 255.0 if top <= 1 else 1.0 if top <= 255 else 255.0 / 65535
    return np.clip(np.rint(values * factor), 0, 255).astype(np.uint8)
