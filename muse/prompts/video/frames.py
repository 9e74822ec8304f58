"""Frames of a video, few a second, scaled down while they are decoded: memory stays the same however long it is.

Contents: :func:`frames_of`, :func:`duration_of`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from muse.audio import open_media
from muse.errors import InputError, require
from muse.prompts.image.picture import SHORT_SIDE

__all__ = ["FRAMES_PER_SEC", "MAX_FRAME_PIXELS", "MAX_SEC", "duration_of", "frames_of"]

Array = np.ndarray[Any, np.dtype[Any]]

FRAMES_PER_SEC: Final = 6.0
"""So many are looked at."""
MAX_SEC: Final = 3600.0
"""A longer video is refused."""
MAX_FRAME_PIXELS: Final = 36_000_000
"""Larger frames are refused: 8192 x 4320 is read. A decoder holds some twenty of them."""
_LARGE_FRAME: Final = 2_500_000


def frames_of(path: str | Path) -> Iterator[tuple[float, Array]]:
    """The frames of a video that are looked at, one after another.

    Yields
    ------
    tuple
        Seconds from the first frame, and ``uint8 [height, width, 3]`` with
        :data:`~muse.prompts.image.picture.SHORT_SIDE` pixels on the short side.

    Raises
    ------
    InputError
        It cannot be read, is longer than :data:`MAX_SEC`, or its frames are larger than :data:`MAX_FRAME_PIXELS`.
    """
    av = require("av", "vision", "A video as prompt")
    with open_media(path, "video") as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        _check_frame(path, stream.codec_context.width, stream.codec_context.height)
        # More threads hold more frames in memory.
        is_large = stream.codec_context.width * stream.codec_context.height > _LARGE_FRAME
        stream.codec_context.thread_count = 1 if is_large else 4
        if stream.duration and stream.time_base and float(stream.duration * stream.time_base) > MAX_SEC:
            raise InputError(f"{path} is longer than an hour: cut out the part that is meant")
        # Frames that no other needs are passed over where there are far more of them than are looked at.
        if float(stream.average_rate or 0) > 3 * FRAMES_PER_SEC:
            stream.codec_context.skip_frame = "NONREF"
        wanted, first, n = 0.0, None, 0
        try:
            for frame in container.decode(stream):
                now = float(frame.time or 0.0)
                first = now if first is None else first
                now -= first
                if now > MAX_SEC:
                    raise InputError(f"{path} is longer than an hour: cut out the part that is meant")
                if now + 1e-6 < wanted:
                    continue
                wanted = max(wanted, now) + 1 / FRAMES_PER_SEC
                _check_frame(path, frame.width, frame.height)
                scale = SHORT_SIDE / min(frame.width, frame.height)
                size = {"width": max(round(frame.width * scale), 1), "height": max(round(frame.height * scale), 1)}
                picture = frame.reformat(format="rgb24", interpolation="AREA", **size).to_ndarray()
                turns = round(getattr(frame, "rotation", 0) / 90) % 4
                n += 1
                yield now, np.rot90(picture, turns) if turns else picture
        except av.error.FFmpegError:
            if n < FRAMES_PER_SEC:  # what breaks off later is read up to there
                raise
    if not n:
        raise InputError(f"{path} has no picture in it: give a video")


def _check_frame(path: str | Path, width: int, height: int) -> None:
    if width * height > MAX_FRAME_PIXELS:
        raise InputError(f"{path} has frames of {width} x {height} pixels; up to 8192 x 4320 are read: make it smaller")


def duration_of(path: str | Path, seconds: Array) -> float:
    """Length of the pictures in seconds, above 0: as the file says, or from the frames.

    Parameters
    ----------
    path
        The file.
    seconds
        Of the frames that were looked at, rising.
    """
    from_frames = float(seconds[-1]) + (float(np.median(np.diff(seconds))) if len(seconds) > 1 else 1 / FRAMES_PER_SEC)
    with open_media(path, "video") as container:
        stream = container.streams.video[0]
        said = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
    return said if said > 0 and abs(said - from_frames) < 1.0 else from_frames
