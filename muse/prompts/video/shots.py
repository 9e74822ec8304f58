"""Where the shots of a video begin.

Conventions
-----------
boundary
    A boundary is a moment around which colours and coarse layout differ: the distance between the mean of the half
    second before and that of the half second after (a kernel as in Foote 2000 on a self-similarity matrix, narrow
    enough for cuts, wide enough for dissolves), where it peaks above the video's own unrest.

Contents: :func:`find_shots`, :func:`look_at`.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from muse.prompts.video.frames import FRAMES_PER_SEC

__all__ = ["find_shots", "look_at"]

Array = np.ndarray[Any, np.dtype[Any]]

MAX_SHOTS: Final = 2000
SHORTEST_SEC: Final = 0.2
_GRID: Final = (12, 16)
_BINS: Final = 4
_LEAST_NOVELTY: Final = 0.18
_UNREST: Final = 0.6


def look_at(picture: Array) -> tuple[Array, Array]:
    """Colours and layout of a frame, a vector of which distances tell; and its brightness on a coarse grid."""
    height, width = picture.shape[:2]
    rows = (np.arange(4 * _GRID[0]) + 0.5) * height / (4 * _GRID[0])
    columns = (np.arange(4 * _GRID[1]) + 0.5) * width / (4 * _GRID[1])
    small = picture[np.ix_(rows.astype(int), columns.astype(int))]
    bins = (small >> 6).reshape(-1, 3) @ np.array([_BINS**2, _BINS, 1])
    histogram = np.bincount(bins, minlength=_BINS**3) / len(bins)
    grey = small.mean(2).reshape(_GRID[0], 4, _GRID[1], 4).mean((1, 3)) / 255
    return np.concatenate([np.sqrt(histogram), grey.ravel() * (2 / math.sqrt(grey.size))]), grey


def find_shots(looks: Array, times: Array) -> list[int]:
    """Frames that begin a shot.

    Parameters
    ----------
    looks
        Float [frames, features], see the module.
    times
        Seconds of the frames, rising, [frames].

    Returns
    -------
    list of int
        Rising, the first is 0.
    """
    n, half = len(looks), max(round(0.5 * FRAMES_PER_SEC), 1)
    if n < 3:
        return [0]
    total = np.concatenate([np.zeros((1, looks.shape[1])), np.cumsum(looks, axis=0)])
    place = np.arange(1, n)
    before, after = np.maximum(place - half, 0), np.minimum(place + half, n)
    past = (total[place] - total[before]) / (place - before)[:, None]
    coming = (total[after] - total[place]) / (after - place)[:, None]
    novelty = np.linalg.norm(past - coming, axis=1) / math.sqrt(2)
    step = np.linalg.norm(np.diff(looks, axis=0), axis=1) / math.sqrt(2)
    # A pan is unrest that goes on; a boundary stands out from the seconds around it.
    reach = round(3 * FRAMES_PER_SEC)
    unrest = np.array([np.median(step[max(i - reach, 0) : i + reach + 1]) for i in range(n - 1)])
    threshold = _LEAST_NOVELTY + _UNREST * half * unrest
    starts = [0]
    for i in np.argsort(-novelty, kind="stable"):
        if novelty[i] < _LEAST_NOVELTY:
            break
        window = novelty[max(i - half, 0) : i + half + 1]
        if novelty[i] < max(threshold[i], window.max()):
            continue
        # Of a cut the exact frame is known: the largest step nearby.
        near = np.arange(max(i - 1, 0), min(i + 2, n - 1))
        at = int(near[np.argmax(step[near])]) + 1
        if (
            all(abs(times[at] - times[other]) >= SHORTEST_SEC for other in starts if other)
            and times[at] >= SHORTEST_SEC
        ):
            starts.append(at)
    return sorted(starts)[:MAX_SHOTS]
