"""The phrase judge: a linear model on what follows what in melody, rhythm, chords, bass and register.

Contents: :func:`tokenize`, :class:`PhraseJudge`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from muse.evaluate.judges.judge import Floats, Judge, Notes
from muse.evaluate.judges.lines import TEMPLATE_FAMILY, TEMPLATE_ROOT, Lines
from muse.evaluate.judges.variants import vary

__all__ = ["PhraseJudge", "tokenize"]


def tokenize(notes: Notes) -> list[str]:
    """The clip as words of six voices, alone and joined to pairs and triples: no averages, only what follows what.

    ``d`` degrees and ``i`` steps of the melody, ``r`` time between attacks with their size, ``c`` chords, ``b`` bass
    degrees, ``t`` register of attacks. Degrees count from the most plausible diatonic collection, so the key does
    not matter; loudness is not read at all, so no judgement depends on it.

    Parameters
    ----------
    notes
        ``note_array`` with at least one pitched note.
    """
    x = Lines(notes)
    gap = np.diff(x.time)
    pace = np.clip(np.round(np.log2(np.clip(gap, 0.06, 4.0)) * 1.5), -6, 3).astype(int)
    melody = x.high[x.melody]
    step = np.clip(np.diff(melody), -9, 9)
    degree = (melody - x.home) % 12
    best, _ = x.chords(2)
    chord = [f"{(TEMPLATE_ROOT[k] - x.home) % 12}{'Mmo'[TEMPLATE_FAMILY[k]]}" for k in best]
    chord = [a for a, b in zip(chord, ["", *chord], strict=False) if a != b]
    bass = (x.low[x.bass] - x.home) % 12
    voices = {
        "d": [str(d) for d in degree],
        "i": [str(s) for s in step],
        "r": [f"{p}/{min(s, 4)}" for p, s in zip(pace, x.size, strict=False)],
        "c": chord,
        "b": [str(a) for a, b in zip(bass, np.r_[-1, bass], strict=False) if a != b],
        "t": [str(h // 6) for h in x.high],
    }
    words: list[str] = []
    for voice, symbols in voices.items():
        for n in (1, 2, 3):
            words += [voice + " ".join(symbols[i : i + n]) for i in range(len(symbols) - n + 1)]
    return words


class PhraseJudge(Judge):
    """Logistic regression on the n-grams of :func:`tokenize`, weighted by rarity; without loudness or averages."""

    name = "phrase judge (logistic regression on n-grams of melody, rhythm, chords, bass and register)"

    def __init__(self, seed: int = 0, *, n_variants: int = 2) -> None:
        self.seed, self.n_variants = seed, n_variants

    def _fit(self, clips: list[Notes], labels: NDArray[np.int64]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        rng = np.random.default_rng(self.seed)
        copies = clips + [vary(clip, rng) for _ in range(self.n_variants) for clip in clips]
        # Words of fewer than eight documents (under three clips with their variants) are memories of single songs.
        words = TfidfVectorizer(analyzer=_as_is, min_df=min(8, len(clips) // 4), sublinear_tf=True)
        self._model = make_pipeline(words, LogisticRegression(C=3.0, max_iter=500, class_weight="balanced"))
        self._model.fit([tokenize(c) for c in copies], np.tile(labels, 1 + self.n_variants))

    def _predict(self, clips: list[Notes]) -> Floats:
        return np.asarray(self._model.predict_proba([tokenize(c) for c in clips]))


def _as_is(words: list[str]) -> list[str]:
    return words
