"""How often a judge agrees with the people who labelled the clips.

Contents: :class:`Scorecard`, :func:`rate`, :func:`scorecard`, :func:`hits`, :func:`cross_validate`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from muse.emotion import QUADRANTS
from muse.evaluate.judges.judge import Floats, Judge, valence_arousal
from muse.evaluate.judges.labels import Clips
from muse.statistics import bootstrap, mean_of_defined, spearman

__all__ = ["Scorecard", "cross_validate", "hits", "rate", "scorecard"]


@dataclass(frozen=True)
class Scorecard:
    """How often a judge agrees with the people who labelled the clips."""

    n: int
    accuracy: float
    """Share of clips in the labelled quadrant."""
    valence: float
    """Share on the right side of valence; likewise ``arousal``."""
    arousal: float
    sad_calm: float
    """Share of clips of Q3 and Q4 for which the right one of these two is the more probable."""
    happy_angry: float
    """The same for Q1 and Q2."""
    confusion: list[list[int]]
    """Counts, ``[labelled][judged]``."""
    rank_valence: float | None = None
    """Spearman correlation with listeners' ratings, where there are any; likewise ``rank_arousal``."""
    rank_arousal: float | None = None


def hits(probabilities: Floats, clips: Clips) -> dict[str, Floats]:
    """Right (1) or wrong (0) per clip [n] for each share of a :class:`Scorecard`; NaN where a clip does not count."""
    y, p = clips.quadrant, probabilities
    va = valence_arousal(p)
    glad, excited = (y == 1) | (y == 4), y <= 2
    return {
        "accuracy": (p.argmax(1) + 1 == y).astype(float),
        "valence": ((va[:, 0] > 0) == glad).astype(float),
        "arousal": ((va[:, 1] > 0) == excited).astype(float),
        "sad_calm": np.where(excited, np.nan, (p[:, 3] > p[:, 2]) == glad),
        "happy_angry": np.where(excited, (p[:, 0] > p[:, 1]) == glad, np.nan),
    }


def rate(probabilities: Floats, clips: Clips) -> Scorecard:
    """Compare judgements [n, 4] with labels."""
    confusion = np.zeros((4, 4), int)
    np.add.at(confusion, (clips.quadrant - 1, probabilities.argmax(1)), 1)
    ranks: list[float | None] = [None, None]
    if np.isfinite(clips.rating).all():
        va = valence_arousal(probabilities)
        ranks = [spearman(va[:, k], clips.rating[:, k]) for k in (0, 1)]
    shares = {name: mean_of_defined(right) for name, right in hits(probabilities, clips).items()}
    return Scorecard(n=len(clips), **shares, confusion=confusion.tolist(), rank_valence=ranks[0], rank_arousal=ranks[1])


def scorecard(p: Floats, clips: Clips) -> dict[str, Any]:
    """A scorecard as JSON, with 95 % intervals of the shares and the accuracy of each quadrant.

    Human clips are drawn song by song, because clips of one song are not independent; pieces within their quadrant.
    """
    card = asdict(rate(p, clips))
    lone = len(set(clips.song)) == len(clips.song)
    how: dict[str, Any] = {"strata": clips.quadrant} if lone else {"groups": clips.song}
    card["interval"] = {
        name: [round(x, 4) for x in bootstrap(right, mean_of_defined, **how)] for name, right in hits(p, clips).items()
    }
    confusion = np.array(card["confusion"])
    card["per_quadrant"] = {
        q: round(float(confusion[i, i] / max(confusion[i].sum(), 1)), 4) for i, q in enumerate(QUADRANTS)
    }
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in card.items()}


def cross_validate(judge: Callable[[], Judge], clips: Clips, *, n_folds: int = 5, seed: int = 0) -> Floats:
    """Judgements of each clip by a judge that was fitted on other songs only: [n, 4]."""
    from sklearn.model_selection import StratifiedGroupKFold

    out = np.zeros((len(clips), 4))
    folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    for train, test in folds.split(np.zeros(len(out)), clips.quadrant, clips.song):
        known = clips.take(train)
        out[test] = judge().fit(known.music, known.quadrant).predict_proba(clips.take(test).music)
    return out
