"""Attributes: what can be measured of music.

``extract(score)`` measures, ``ATTRIBUTES`` is the catalogue. What needs scikit-learn is loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# Imported here and not on first use, so that ``muse.attributes.extract`` is the function: a submodule that is loaded
# later would take its own name back.
from muse.attributes.catalogue import (
    ATTRIBUTES,
    COLUMNS,
    LEVERS,
    N_BUCKETS,
    RANK_MATCHED,
    SECTION_BARS,
    SECTION_CONTROLS,
    SONG_CONTROLS,
    Attribute,
    Wording,
    attribute,
)
from muse.attributes.extract import Attributes, extract

if TYPE_CHECKING:
    from muse.attributes.transformer import AttributeExtractor

_MODULE_OF = {"AttributeExtractor": "transformer"}

__all__ = [
    "ATTRIBUTES",
    "COLUMNS",
    "LEVERS",
    "N_BUCKETS",
    "RANK_MATCHED",
    "SECTION_BARS",
    "SECTION_CONTROLS",
    "SONG_CONTROLS",
    "Attribute",
    "AttributeExtractor",
    "Attributes",
    "Wording",
    "attribute",
    "extract",
]


def __getattr__(name: str) -> Any:
    """Load a name that needs scikit-learn on first use (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names."""
    return sorted({*globals(), *__all__})
