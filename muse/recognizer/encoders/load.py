"""Encoders by the names or folders of their checkpoints.

Contents: :func:`open_encoder`.
"""

from __future__ import annotations

from pathlib import Path

from muse.checkpoint import Settings, find
from muse.recognizer.encoders.encoder import Encoder
from muse.recognizer.encoders.mert import MertEncoder
from muse.recognizer.encoders.musicnn import MODEL_TYPE, MusicnnEncoder

__all__ = ["open_encoder"]


def open_encoder(name_or_path: str | Path) -> Encoder:
    """An encoder by its checkpoint: MusiCNN's, a folder of MERT, or the name of a MERT on the Hugging Face hub.

    Raises
    ------
    InputError
        There is no such checkpoint.
    """
    if "/" in str(name_or_path) and not Path(name_or_path).is_dir():
        return MertEncoder.from_pretrained(name_or_path)
    folder = find(name_or_path)
    if Settings.read(folder / "config.json").values.get("model_type") == MODEL_TYPE:
        return MusicnnEncoder.from_pretrained(name_or_path)
    return MertEncoder.from_pretrained(folder)
