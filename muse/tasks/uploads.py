"""Uploads, told by what is in them: names and types that a browser or a client gives are not believed.

Contents: :class:`Upload`, :func:`take`, :data:`FIELD_KINDS`.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from muse.errors import InputError
from muse.tasks.limits import MAX_SOUND_SEC, MAX_UPLOAD_BYTES

__all__ = ["FIELD_KINDS", "Upload", "take"]

# First bytes of a file, where they stand, and what it then is: kind and ending.
_SIGNATURES: Final = (
    (0, b"MThd", "midi", ".mid"),
    (8, b"RMID", "midi", ".mid"),
    (0, b"PK\x03\x04", "sheet", ".mxl"),
    (0, b"\x89PNG\r\n\x1a\n", "image", ".png"),
    (0, b"\xff\xd8\xff", "image", ".jpg"),
    (0, b"GIF87a", "image", ".gif"),
    (0, b"GIF89a", "image", ".gif"),
    (8, b"WEBP", "image", ".webp"),
    (0, b"BM", "image", ".bmp"),
    (8, b"WAVE", "sound", ".wav"),
    (8, b"AIFF", "sound", ".aiff"),
    (0, b"fLaC", "sound", ".flac"),
    (0, b"OggS", "sound", ".ogg"),
    (0, b"ID3", "sound", ".mp3"),
    (0, b"\xff\xfb", "sound", ".mp3"),
    (0, b"\xff\xf3", "sound", ".mp3"),
    (0, b"\xff\xf2", "sound", ".mp3"),
    (4, b"ftypM4A", "sound", ".m4a"),
    (4, b"ftyp", "video", ".mp4"),
    (0, b"\x1a\x45\xdf\xa3", "video", ".webm"),
)
# The same for text, after white space.
_TEXTS: Final = (
    (b"X:", ".abc"),
    (b"%abc", ".abc"),
    (b"<?xml", ".musicxml"),
    (b"<score-partwise", ".musicxml"),
    (b"{", ".json"),
)
FIELD_KINDS: Final = {
    "image": ("image",), "video": ("video",), "hum": ("sound",), "like": ("midi", "sound"), "melody": ("midi", "sheet"),
    "plan": ("midi", "sheet"),
}  # fmt: skip
"""What each of :data:`muse.tasks.request.FILES` may be."""
_NAMES: Final = {
    "midi": "MIDI",
    "image": "a picture",
    "video": "a video",
    "sound": "a recording",
    "sheet": "a lead sheet (ABC, MusicXML, JSON)",
}


@dataclass(frozen=True)
class Upload:
    """A file of a visitor, under a name of ours."""

    kind: str
    """``midi``, ``image``, ``video``, ``sound`` or ``sheet``."""
    path: Path


def take(file: str | Path, folder: Path, kinds: tuple[str, ...] = tuple(_NAMES)) -> Upload:
    """Copy an upload into a folder, under a name that holds nothing of the visitor's.

    Parameters
    ----------
    file
        Where the upload was put.
    folder
        Where the copy goes.
    kinds
        What it may be. A container that can hold pictures counts as sound where no video is wanted.

    Raises
    ------
    InputError
        It is empty, too large, too long, or none of these.
    """
    file = Path(file)
    size = file.stat().st_size
    if size == 0:
        raise InputError("the file is empty: give another one")
    if size > MAX_UPLOAD_BYTES:
        raise InputError(f"the file has {size / 1e6:.0f} MB, at most {MAX_UPLOAD_BYTES / 1e6:.0f} are taken")
    with file.open("rb") as stream:
        found = _told(stream.read(64))
    if found is not None and found[0] == "video" and "video" not in kinds:
        found = ("sound", found[1])
    if found is None or found[0] not in kinds:
        raise InputError(f"the file is none that is taken here: give {' or '.join(_NAMES[kind] for kind in kinds)}")
    kind, ending = found
    if kind in ("sound", "video"):
        _check_length(file, "audio" if kind == "sound" else "video")
    path = folder / f"upload-{len(list(folder.iterdir()))}{ending}"
    shutil.copyfile(file, path)
    return Upload(kind, path)


def _told(head: bytes) -> tuple[str, str] | None:
    """Kind and ending by the first bytes; None where they are of nothing that is taken."""
    for at, mark, kind, ending in _SIGNATURES:
        if head[at : at + len(mark)] == mark:
            return kind, ending
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return next((("sheet", ending) for mark, ending in _TEXTS if text.startswith(mark)), None)


def _check_length(file: Path, kind: str) -> None:
    """Refuse long recordings by what their header says; what lies is cut off by the limits of :mod:`muse.audio`."""
    from muse.audio import open_media

    try:
        with open_media(file, kind) as container:
            length = (container.duration or 0) / 1e6  # FFmpeg counts microseconds
    except InputError as error:
        # The library names the file; a visitor knows none of our paths.
        raise InputError(str(error).replace(str(file), "the file")) from None
    if length > MAX_SOUND_SEC:
        raise InputError(f"the file lasts {length / 60:.0f} minutes, at most {MAX_SOUND_SEC / 60:.0f} are taken")
