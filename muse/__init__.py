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
        audio,
        checkpoint,
        composer,
        corpora,
        dataset,
        emotion,
        engines,
        errors,
        evaluate,
        generator,
        grammar,
        hearing,
        intent,
        mapping,
        prompts,
        recognizer,
        render,
        score,
        selector,
        sheets,
        tasks,
        theory,
        tokens,
        training,
        transcription,
    )
    from muse.attributes import AttributeExtractor
    from muse.composer import Candidate, Composer, Composition, compose
    from muse.emotion import Emotion, EmotionPath
    from muse.errors import MuseError
    from muse.intent import Intent
    from muse.mapping import EmotionMapper
    from muse.recognizer import Recognizer
    from muse.score import read_score
    from muse.tokens import Plan

_HOMES = {
    "AttributeExtractor": "attributes",
    "Candidate": "composer",
    "Composer": "composer",
    "Composition": "composer",
    "Emotion": "emotion",
    "EmotionMapper": "mapping",
    "EmotionPath": "emotion",
    "Intent": "intent",
    "MuseError": "errors",
    "Plan": "tokens",
    "Recognizer": "recognizer",
    "compose": "composer",
    "read_score": "score",
}
"""Public name -> the room that makes it."""

_ROOMS = (
    "attributes",
    "audio",
    "checkpoint",
    "composer",
    "corpora",
    "dataset",
    "emotion",
    "engines",
    "errors",
    "evaluate",
    "generator",
    "grammar",
    "hearing",
    "intent",
    "mapping",
    "prompts",
    "recognizer",
    "render",
    "score",
    "selector",
    "sheets",
    "tasks",
    "theory",
    "tokens",
    "training",
    "transcription",
)
"""Rooms that can be reached as ``muse.<room>`` after ``import muse``."""

__all__ = [
    "AttributeExtractor",
    "Candidate",
    "Composer",
    "Composition",
    "Emotion",
    "EmotionMapper",
    "EmotionPath",
    "Intent",
    "MuseError",
    "Plan",
    "Recognizer",
    "__version__",
    "attributes",
    "audio",
    "checkpoint",
    "compose",
    "composer",
    "corpora",
    "dataset",
    "emotion",
    "engines",
    "errors",
    "evaluate",
    "generator",
    "grammar",
    "hearing",
    "intent",
    "mapping",
    "prompts",
    "read_score",
    "recognizer",
    "render",
    "score",
    "selector",
    "sheets",
    "tasks",
    "theory",
    "tokens",
    "training",
    "transcription",
]


def __getattr__(name: str) -> Any:
    """Load a public name or a room on first use (PEP 562)."""
    if name in _HOMES:
        value = getattr(importlib.import_module(f"muse.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    if name in _ROOMS:
        return importlib.import_module(f"muse.{name}")
    raise AttributeError(f"module 'muse' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
