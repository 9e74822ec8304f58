"""Colours of a picture, as numbers that people's feelings were measured against.

Conventions
-----------
Means over the picture of brightness and saturation (value and saturation of HSV, 0..1); contrast, the standard
deviation of luminance (root-mean-square contrast: Peli 1990, JOSA A 7); colourfulness after Hasler & Süsstrunk 2003
(*Measuring colourfulness in natural images*, SPIE 5007, eq. 7-9: 0 grey, 33 moderate, 109 extreme); and what Valdez &
Mehrabian 1994 (*Effects of color on emotions*, J. Exp. Psych. General 123) found people to feel before plain colours:
pleasure ``0.69 B + 0.22 S``, arousal ``-0.31 B + 0.60 S``.

Contents: :func:`colours`, :data:`COLOUR_NAMES`.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

__all__ = ["COLOUR_NAMES", "colours"]

Array = np.ndarray[Any, np.dtype[Any]]

COLOUR_NAMES: Final = ("brightness", "saturation", "contrast", "colourfulness")
"""What a picture's own emotion is told from where there is no network."""


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
