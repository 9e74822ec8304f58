"""Evaluation: judges of emotion, metrics, baselines, and the report on a composer or on a folder of music.

``judge.py`` hears emotion in music, ``metrics.py`` and ``music.py`` turn scores into numbers, ``originality.py`` finds
what was copied, ``baselines.py`` makes simpler systems, ``control.py`` asks a composer for pieces, ``ratings.py``
measures the selector, ``evaluation.py`` sets all of it side by side, ``report.py`` writes it down.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from muse.evaluate.control import check_generations
    from muse.evaluate.evaluation import evaluate_composer, evaluate_folder
    from muse.evaluate.judges import EmotionJudge, FeatureJudge, Judge, PhraseJudge, SelectorJudge
    from muse.evaluate.metrics.pieces import check_piece, control_correlations
    from muse.evaluate.reports.report import write_report

_MODULE_OF = {
    "EmotionJudge": "judges",
    "FeatureJudge": "judges",
    "Judge": "judges",
    "PhraseJudge": "judges",
    "SelectorJudge": "judges",
    "check_generations": "control",
    "check_piece": "metrics.pieces",
    "control_correlations": "metrics.pieces",
    "evaluate_composer": "evaluation",
    "evaluate_folder": "evaluation",
    "write_report": "reports.report",
}

__all__ = [
    "EmotionJudge",
    "FeatureJudge",
    "Judge",
    "PhraseJudge",
    "SelectorJudge",
    "check_generations",
    "check_piece",
    "control_correlations",
    "evaluate_composer",
    "evaluate_folder",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Load a name on first use (PEP 562): training samples need no judge, judges no composer."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value
