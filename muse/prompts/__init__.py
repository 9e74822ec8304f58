"""Prompts: what people give to ask for music, each kind read into an intent with evidence.

One module per kind, one signature: :func:`~muse.prompts.text.parse_text`, :func:`~muse.prompts.tags.parse_tags`, each
``-> Parsed(intent, evidence)``; :func:`~muse.prompts.parsed.fuse` joins several. Names are loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from muse.prompts.parsed import Evidence, Parsed, fuse
    from muse.prompts.tags import parse_tags
    from muse.prompts.text import parse_text

__all__ = ["Evidence", "Parsed", "fuse", "parse_tags", "parse_text"]

_NAMES = {"Evidence": "parsed", "Parsed": "parsed", "fuse": "parsed", "parse_tags": "tags", "parse_text": "text"}


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
