"""Judges of emotion: which quadrant does a piece of music carry?

A judge is fitted on human clips with known quadrants and then judges music that it has never seen, so a generator can
be checked by something that was not part of it. Nothing here is shared with ``muse.attributes``: a composer steers by
those, and a judge that measured with the same attributes would only confirm that the composer obeys itself.

``judge`` says what a judge is, ``labels`` reads labelled clips, ``scorecard`` compares judgements with labels; one
module a judge: ``feature``, ``phrase``, ``selector``, and ``emotion`` for the judges of reports.
"""

from muse.evaluate.judges.emotion import EmotionJudge, fit_judges
from muse.evaluate.judges.feature import FeatureJudge, describe, feature_group
from muse.evaluate.judges.judge import Judge, JudgeLike, valence_arousal
from muse.evaluate.judges.labels import Clips, read_emopia, read_vgmidi
from muse.evaluate.judges.phrase import PhraseJudge, tokenize
from muse.evaluate.judges.scorecard import Scorecard, cross_validate, hits, rate, scorecard
from muse.evaluate.judges.selector import SelectorJudge
from muse.evaluate.judges.variants import vary

__all__ = [
    "Clips",
    "EmotionJudge",
    "FeatureJudge",
    "Judge",
    "JudgeLike",
    "PhraseJudge",
    "Scorecard",
    "SelectorJudge",
    "cross_validate",
    "describe",
    "feature_group",
    "fit_judges",
    "hits",
    "rate",
    "read_emopia",
    "read_vgmidi",
    "scorecard",
    "tokenize",
    "valence_arousal",
    "vary",
]
