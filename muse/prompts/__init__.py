"""Prompts: what people give to ask for music, each kind read into an intent with evidence.

One folder per kind, one signature, ``parse_x(given) -> Parsed(intent, evidence)``:
:func:`~muse.prompts.text.parse.parse_text`, :func:`~muse.prompts.tags.parse.parse_tags`,
:func:`~muse.prompts.image.parse.parse_image`, :func:`~muse.prompts.video.parse.parse_video`,
:func:`~muse.prompts.humming.parse.parse_humming`, :func:`~muse.prompts.example.parse.parse_example`;
:func:`~muse.prompts.fusion.fuse` joins several, and :func:`parse_prompts` does it all. Names are loaded when first
used. A new kind of prompt is a folder, and a row in :data:`KINDS`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from muse.prompts.example import parse_example
    from muse.prompts.fusion import fuse, lasting
    from muse.prompts.humming import parse_humming
    from muse.prompts.image import parse_image
    from muse.prompts.parsed import Evidence, Parsed
    from muse.prompts.tags import parse_tags
    from muse.prompts.text import parse_text
    from muse.prompts.video import parse_video

__all__ = [
    "KINDS",
    "Evidence",
    "Parsed",
    "fuse",
    "lasting",
    "parse_example",
    "parse_humming",
    "parse_image",
    "parse_prompts",
    "parse_tags",
    "parse_text",
    "parse_video",
]

KINDS: Final[Mapping[str, str]] = {
    "text": "parse_text",
    "tags": "parse_tags",
    "image": "parse_image",
    "video": "parse_video",
    "hum": "parse_humming",
    "like": "parse_example",
}
"""Kind of prompt -> what reads it; the last four are files."""

_NAMES = {
    "Evidence": "parsed", "Parsed": "parsed", "fuse": "fusion", "lasting": "fusion", "parse_example": "example",
    "parse_humming": "humming", "parse_image": "image", "parse_tags": "tags", "parse_text": "text",
    "parse_video": "video",
}  # fmt: skip


def parse_prompts(**prompts: str | Path | None) -> Parsed | None:
    """Read prompts of any kinds together.

    Parameters
    ----------
    **prompts
        By the names of :data:`KINDS`; None is no prompt.

    Returns
    -------
    Parsed or None
        All of them joined, see :func:`~muse.prompts.fusion.fuse`; with a video, as long as that. None without one.

    Raises
    ------
    InputError
        One of them cannot be read.
    """
    from muse.prompts.fusion import fuse, lasting

    readers = importlib.import_module(__name__)
    found = [getattr(readers, KINDS[kind])(given) for kind, given in prompts.items() if given is not None]
    return lasting(fuse(found)) if found else None


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
