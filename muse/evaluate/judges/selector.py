"""The selector as a judge: beside the fitted judges, because it took part in choosing the pieces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from muse.evaluate.judges.judge import Floats, Music
from muse.score import Score, from_notes, note_array, read_score
from muse.selector import Selector
from muse.selector.events import MIN_NOTES

__all__ = ["SelectorJudge"]


class SelectorJudge:
    """The selector as a judge. It reads bars where there are any, and has taken part in choosing."""

    name = "selector (transformer encoder on events)"

    def __init__(self, selector: Selector) -> None:
        self.selector = selector

    def predict_proba(self, music: Sequence[Music]) -> Floats:
        """Probability of Q1..Q4: float64 [n, 4]; 0.25 each where there are fewer than four notes."""
        return self._rated(music)[:, :4]

    def predict_va(self, music: Sequence[Music]) -> Floats:
        """Valence and arousal in [-1, 1]: float64 [n, 2], by the selector's regression."""
        return self._rated(music)[:, 4:]

    def _rated(self, music: Sequence[Music]) -> Floats:
        scores = [_score(one) for one in music]
        out = np.tile([0.25] * 4 + [0.0] * 2, (len(scores), 1))
        enough = [i for i, score in enumerate(scores) if len(note_array(score)) >= MIN_NOTES]
        for i, rating in zip(enough, self.selector.rate([scores[i] for i in enough]), strict=True):
            out[i] = [*rating.quadrants, rating.emotion.valence, rating.emotion.arousal]
        return out


def _score(music: Music) -> Score:
    if isinstance(music, np.ndarray):
        return from_notes(music)
    return read_score(music) if isinstance(music, (str, Path)) else music
