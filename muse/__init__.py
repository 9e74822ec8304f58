"""Muse: emotion-controllable symbolic music.

``import muse`` is instant: every name below is loaded when it is first used.

>>> import muse
>>> piece = muse.compose(emotion="sad", bars=16, seed=0)  # doctest: +SKIP
>>> piece.save("sad.mid")  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from muse import (
        attributes,
        checkpoint,
        composer,
        corpus,
        emotion,
        errors,
        evaluate,
        generator,
        harmony,
        intent,
        recognizer,
        render,
        score,
        tokens,
    )
    from muse.composer import Candidate, Composer, Composition, compose
    from muse.emotion import Emotion, EmotionPath
    from muse.errors import MuseError
    from muse.intent import Intent
    from muse.recognizer import Recognizer
    from muse.score import read_score

# public name -> the room that makes it
_NAMES = {
    "Candidate": "composer",
    "Composer": "composer",
    "Composition": "composer",
    "Emotion": "emotion",
    "EmotionPath": "emotion",
    "Intent": "intent",
    "MuseError": "errors",
    "Recognizer": "recognizer",
    "compose": "composer",
    "read_score": "score",
}
_ROOMS = (
    "attributes",
    "checkpoint",
    "composer",
    "corpus",
    "emotion",
    "errors",
    "evaluate",
    "generator",
    "harmony",
    "intent",
    "recognizer",
    "render",
    "score",
    "tokens",
)

__all__ = [
    "Candidate",
    "Composer",
    "Composition",
    "Emotion",
    "EmotionPath",
    "Intent",
    "MuseError",
    "Recognizer",
    "__version__",
    "attributes",
    "checkpoint",
    "compose",
    "composer",
    "corpus",
    "emotion",
    "errors",
    "evaluate",
    "generator",
    "harmony",
    "intent",
    "read_score",
    "recognizer",
    "render",
    "score",
    "tokens",
]


def __getattr__(name: str) -> Any:
    """Load a public name or a room on first use (PEP 562)."""
    if name in _NAMES:
        value = getattr(importlib.import_module(f"muse.{_NAMES[name]}"), name)
        globals()[name] = value
        return value
    if name in _ROOMS:
        return importlib.import_module(f"muse.{name}")
    raise AttributeError(f"module 'muse' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
