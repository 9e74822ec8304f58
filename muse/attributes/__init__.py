"""Attributes: what can be measured of music, and how it follows from emotion.

``extract(score)`` measures, ``ATTRIBUTES`` is the catalogue, ``EmotionMapper`` ties attributes to emotions. Names are
loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from muse.attributes.catalogue import ATTRIBUTES, SECTION_CONTROLS, SONG_CONTROLS, Attribute, attribute
    from muse.attributes.extract import AttributeExtractor, Attributes, extract
    from muse.attributes.mapping import AttributeTarget, EmotionMapper

_MODULE_OF = {
    "ATTRIBUTES": "catalogue",
    "SECTION_CONTROLS": "catalogue",
    "SONG_CONTROLS": "catalogue",
    "Attribute": "catalogue",
    "attribute": "catalogue",
    "AttributeExtractor": "extract",
    "Attributes": "extract",
    "extract": "extract",
    "AttributeTarget": "mapping",
    "EmotionMapper": "mapping",
}

__all__ = [
    "ATTRIBUTES",
    "SECTION_CONTROLS",
    "SONG_CONTROLS",
    "Attribute",
    "AttributeExtractor",
    "AttributeTarget",
    "Attributes",
    "EmotionMapper",
    "attribute",
    "extract",
]


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    # Also replaces the submodule ``extract``, which the import above has bound here, by the function.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names."""
    return sorted({*globals(), *__all__})
