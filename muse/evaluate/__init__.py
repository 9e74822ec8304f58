"""Evaluation: judges of emotion, metrics, simpler systems, and the report on a composer or on a folder of music.

- ``judges/`` say which emotion a piece carries; ``metrics/`` turn scores into numbers, one question a file;
  ``systems/`` answer the same requests: people, the composer in several settings, EmoGen's mapping, n-grams.
- ``control`` asks a composer for emotions, ``generations`` whether pieces are what was asked for, ``typicality`` how
  they differ within a quadrant, ``musicality`` how far they are from people's music, ``compare`` sets systems side by
  side, ``evaluation`` does all of it.
- ``reports/`` writes it down from templates. ``selector`` measures the selector, ``speed`` how fast everything is.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from muse.evaluate.evaluation import EvaluationSettings, evaluate_composer, evaluate_folder, evaluate_music
    from muse.evaluate.generations import check_generations
    from muse.evaluate.judges import EmotionJudge, FeatureJudge, Judge, PhraseJudge, SelectorJudge
    from muse.evaluate.metrics.check import check_piece
    from muse.evaluate.metrics.control import control_correlations
    from muse.evaluate.musicality import MusicSettings
    from muse.evaluate.reports import write_report

_MODULE_OF = {
    "EmotionJudge": "judges",
    "EvaluationSettings": "evaluation",
    "FeatureJudge": "judges",
    "Judge": "judges",
    "MusicSettings": "musicality",
    "PhraseJudge": "judges",
    "SelectorJudge": "judges",
    "check_generations": "generations",
    "check_piece": "metrics.check",
    "control_correlations": "metrics.control",
    "evaluate_composer": "evaluation",
    "evaluate_folder": "evaluation",
    "evaluate_music": "evaluation",
    "write_report": "reports",
}

__all__ = [
    "EmotionJudge",
    "EvaluationSettings",
    "FeatureJudge",
    "Judge",
    "MusicSettings",
    "PhraseJudge",
    "SelectorJudge",
    "check_generations",
    "check_piece",
    "control_correlations",
    "evaluate_composer",
    "evaluate_folder",
    "evaluate_music",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Load a name on first use (PEP 562): training samples need no judge, judges no composer."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value
