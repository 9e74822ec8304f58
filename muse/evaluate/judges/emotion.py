"""The judges of reports: both fitted judges on EMOPIA's training clips, and all judges of a report by name.

Contents: :class:`EmotionJudge`, :func:`fit_judges`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from muse.evaluate.judges.feature import FeatureJudge
from muse.evaluate.judges.judge import Floats, Judge, JudgeLike, Notes
from muse.evaluate.judges.labels import read_emopia
from muse.evaluate.judges.phrase import PhraseJudge
from muse.evaluate.judges.selector import SelectorJudge
from muse.selector import Selector

__all__ = ["EmotionJudge", "fit_judges"]


class EmotionJudge(Judge):
    """The judge of reports: the feature judge decides, the phrase judge stands beside it.

    The feature judge was named the deciding one by cross-validation by song on EMOPIA's training clips and by its
    agreement with VGMIDI's listeners, before any generated music existed.
    """

    name = FeatureJudge.name

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.primary: Judge = FeatureJudge(seed)
        self.second: Judge = PhraseJudge(seed)

    @classmethod
    def from_corpora(cls, corpora: str | Path, *, seed: int = 0) -> EmotionJudge:
        """Fit both judges on EMOPIA's training clips (about half a minute).

        Parameters
        ----------
        corpora
            Folder that holds ``emopia-nc`` with its ``metadata.csv``.
        seed
            Same seed, same judge.
        """
        train = read_emopia(corpora, "train")
        return cls(seed).fit(train.music, train.quadrant)

    def _fit(self, clips: list[Notes], labels: NDArray[np.int64]) -> None:
        self.primary._fit(clips, labels)
        self.second._fit(clips, labels)

    def _predict(self, clips: list[Notes]) -> Floats:
        return self.primary._predict(clips)


def fit_judges(corpora: str | Path, selector: Selector | None = None) -> dict[str, JudgeLike]:
    """The judges of a report by name: ``primary`` decides, ``second`` and ``selector`` stand beside it."""
    judge = EmotionJudge.from_corpora(corpora)
    judges: dict[str, JudgeLike] = {"primary": judge.primary, "second": judge.second}
    return judges | ({"selector": SelectorJudge(selector)} if selector else {})
