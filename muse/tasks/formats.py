"""Formats that a piece can be given in, over a network as in a file.

Contents: :data:`ENDINGS`, :func:`formats`.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

__all__ = ["ENDINGS", "formats"]

ENDINGS: Final = {
    "mid": "audio/midi",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "musicxml": "application/vnd.recordare.musicxml+xml",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "json": "application/json",
}
"""Formats of a piece and their media types; ``svg`` and ``pdf`` are sheet music."""
_NEEDED: Final = {"mp3": ("av",), "svg": ("verovio",), "pdf": ("verovio", "svglib", "reportlab")}
"""Optional packages that formats need."""


def formats() -> list[str]:
    """Endings of the formats that can be written with what is installed."""
    return [ending for ending in ENDINGS if all(find_spec(package) for package in _NEEDED.get(ending, ()))]
