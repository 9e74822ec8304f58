"""Pictures: the emotion that people feel before them, and what they show.

A picture is read (:mod:`muse.prompts.image.picture`), looked at by fitted heads (:mod:`muse.prompts.image.reader`), and
its colours (:mod:`muse.prompts.image.colours`) stand beside as evidence. Without ``onnxruntime`` colours alone decide,
much worse, and a note says so.

Contents: :func:`parse_image`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from muse.emotion import EmotionPath
from muse.prompts.image.colours import COLOUR_NAMES, colours
from muse.prompts.image.picture import read_picture
from muse.prompts.image.reader import PictureReader, load_reader
from muse.prompts.parsed import Evidence, Parsed

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["parse_image"]

Array = np.ndarray[Any, np.dtype[Any]]


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
    rows = [Evidence(key, round(found[key], 3), name, 1.0, "colours") for key in COLOUR_NAMES]
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
    return Parsed.of([decides, *rows])
