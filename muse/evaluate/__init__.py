"""Evaluation: judges of emotion, metrics, and the report on how well a composer follows what it is asked for.

``judge.py`` hears emotion in music, ``metrics.py`` turns scores into numbers, ``control.py`` asks a composer for
pieces and gathers the figures, ``report.py`` writes them down.
"""

from __future__ import annotations

from muse.evaluate.control import check_generations, emotion_control_report
from muse.evaluate.judge import EmotionJudge, FeatureJudge, Judge, PhraseJudge
from muse.evaluate.metrics import check_piece, control_correlations
from muse.evaluate.report import write_report

__all__ = [
    "EmotionJudge",
    "FeatureJudge",
    "Judge",
    "PhraseJudge",
    "check_generations",
    "check_piece",
    "control_correlations",
    "emotion_control_report",
    "write_report",
]
