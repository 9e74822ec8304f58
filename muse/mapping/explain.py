r"""Why a piece sounds as it does: the evidence of every attribute for the emotion that the mapper recognizes.

:meth:`muse.mapping.mapper.EmotionMapper.explain` makes an :class:`Explanation`; here is what it consists of, how
evidence is shared out among attributes, and how it is put in words.

Conventions
-----------
log-odds
    Natural logarithm of the ratio of two probabilities: 0 undecided, 2.2 nine to one, 4.6 a hundred to one.
between
    The two quadrants that an axis decides between, given what the other axis says: for a piece recognized as sad (Q3),
    valence decides between calm and sad (Q4, Q3), arousal between angry and sad (Q2, Q3). The positive side is first.
score
    Per axis the log-odds of these two quadrants, so its sign is the side of the axis on which the piece was recognized.
baseline
    The same for the corpus' middle: every attribute at its median.
contribution
    What an attribute adds to that. ``baseline + sum of contributions = score`` exactly, per axis.
undefined
    NaN in values, None in JSON; such an attribute contributes 0.

Method
------
A score is linear in levels, :math:`w \cdot z` with :math:`w = \Sigma^{-1} \delta` for covariance within classes
:math:`\Sigma` and difference of class centers :math:`\delta`. Summands :math:`w_j z_j` would mislead: where attributes
go together (notes a second, notes a beat, note length), one of them may get a weight against its own nature, to correct
the others, and "sounds calm because it is loud" comes out. So both factors are decorrelated first, by the symmetric
root of the correlation matrix :math:`P`, which keeps every decorrelated attribute as close as can be to the attribute
itself (:math:`V` are the variances):

.. math:: w \cdot z = \sum_j (P^{1/2} V^{1/2} w)_j \, (P^{-1/2} V^{-1/2} z)_j

These are the correlation-adjusted t-scores of linear discriminant analysis (Zuber & Strimmer 2009, "Gene ranking and
biomarker discovery under correlation"; Ahdesmäki & Strimmer 2010, "Feature selection in omics prediction problems using
cat scores"); the sum, and with it the recognition, is the same.

Contents: :class:`Explanation`, :class:`Contribution`, :func:`contributions`, :func:`shares`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from muse.attributes import COLUMNS, Wording
from muse.attributes import attribute as catalogue_row
from muse.emotion import Emotion
from muse.files import plain
from muse.mapping.levels import LEVEL_GRID, Floats, mean_level

__all__ = ["Contribution", "Explanation", "contributions", "shares"]

QUADRANT_WORDS: Final[Mapping[str, str]] = {"Q1": "happy", "Q2": "angry", "Q3": "sad", "Q4": "calm"}


MENTIONED_SHARE: Final = 0.25
"""A theme is worth a word from this share of the strongest theme's contribution."""
MAX_REASONS, MAX_OBJECTIONS = 2, 2
"""Reasons are counted per axis."""
TYPICAL: Final = (0.4, 0.6)
"""An attribute between these percentiles is neither high nor low, and not named."""
BETWEEN_SHARE: Final = 0.6
"""From this share of the first quadrant's probability, the second is named beside it."""


@dataclass(frozen=True)
class Contribution:
    """What one attribute does to the recognized emotion."""

    attribute: str
    value: float
    """As measured, in `unit`; the mean over windows. NaN where undefined."""
    unit: str
    corpus_median: float
    """The typical value of the music that it is compared with; NaN where it is not compared."""
    percentile: float
    """0..1, the share of that music below the value (of equal values the half)."""
    compared_with: str
    """``"corpus"``, or ``"performances"`` for attributes of a performance that can only be compared among these."""
    valence: float
    """Log-odds added to the score of valence; positive toward the glad side."""
    arousal: float
    alone: tuple[float, float]
    """Evidence of the attribute alone for valence and arousal, as if there were no others: class difference times
    level over variance. What words may say: a contribution against it is a correction of other attributes."""

    @property
    def by_axis(self) -> tuple[float, float]:
        """Contribution to valence and to arousal."""
        return self.valence, self.arousal

    @property
    def is_high(self) -> bool:
        """Whether the words for high apply."""
        middle = _wording(self.attribute).middle
        return self.percentile >= 0.5 if middle is None else self.value >= middle

    @property
    def words(self) -> str:
        """Predicate of "it": ``"is slow"``."""
        wording = _wording(self.attribute)
        return wording.high if self.is_high else wording.low

    @property
    def measure(self) -> str:
        """Value and rank: ``"62 bpm, more so than 81 % of the corpus"``."""
        value = _formatted(self)
        share = self.percentile if self.is_high else 1.0 - self.percentile
        whom = "the corpus" if self.compared_with == "corpus" else self.compared_with
        return f"{value}, more so than {100 * share:.0f} % of {whom}".removeprefix(", ")

    def to_json(self) -> dict[str, Any]:
        """``{attribute, value, unit, corpus_median, percentile, compared_with, contribution: {valence, arousal}}``."""
        return {
            "attribute": self.attribute,
            "value": plain(self.value),
            "unit": self.unit,
            "corpus_median": plain(self.corpus_median),
            "percentile": plain(self.percentile),
            "compared_with": self.compared_with,
            "contribution": {"valence": self.valence, "arousal": self.arousal},
        }


@dataclass(frozen=True)
class Explanation:
    """The recognized emotion and the evidence for it; see the module's conventions."""

    emotion: Emotion
    quadrant: str
    """The recognized one, ``"Q1"`` .. ``"Q4"``."""
    probabilities: Mapping[str, float]
    """By quadrant, as :meth:`~muse.mapping.mapper.EmotionMapper.describe` reports them, but not rounded."""
    between: tuple[tuple[str, str], tuple[str, str]]
    """The quadrants that valence and arousal decide between, the positive side first."""
    score: tuple[float, float]
    """Log-odds of `between`, for valence and arousal."""
    baseline: tuple[float, float]
    contributions: tuple[Contribution, ...]
    """Of every attribute, the weightiest first (by absolute contribution to both axes)."""

    def sentence(self) -> str:
        """The emotion and, for each axis, its main reasons in words, with what speaks against them.

        Attributes that say much the same are weighed together and named once; one whose contribution only corrects
        others is not named.
        """
        point = self.emotion
        head = f"Sounds {self._name()} (valence {point.valence:+.2f}, arousal {point.arousal:+.2f})"
        reasons, objections = self._reasons()
        clauses, measured = [], set()
        for (high, low), rows in zip(self.between, reasons, strict=True):
            if rows:
                this, other = (QUADRANT_WORDS[k] for k in ((high, low) if high == self.quadrant else (low, high)))
                words = [row.words for row in rows]
                if rows[0].attribute not in measured:
                    words[0] += f" ({rows[0].measure})"
                measured.add(rows[0].attribute)
                clauses.append(f"{this} rather than {other} mostly because it {_listed(words)}")
        sentence = f"{head}: {'; '.join(clauses) or 'no attribute speaks clearly for it'}"
        if objections:
            sentence += f". Against it speaks that it {_listed([row.words for row in objections])}"
        return f"{sentence}."

    def _name(self) -> str:
        first, second = sorted(self.probabilities, key=lambda name: -self.probabilities[name])[:2]
        if self.probabilities[second] >= BETWEEN_SHARE * self.probabilities[first]:
            return f"between {QUADRANT_WORDS[first]} and {QUADRANT_WORDS[second]}"
        return QUADRANT_WORDS[self.quadrant]

    def _reasons(self) -> tuple[list[list[Contribution]], list[Contribution]]:
        """Attributes to name for the emotion, by axis, and against it; the weightiest first."""
        evidence = [self._evidence(axis) for axis in range(2)]
        least = [MENTIONED_SHARE * max((abs(weight) for weight, _ in rows), default=0.0) for rows in evidence]
        reasons = [
            [row for weight, row in rows if weight > 0 and weight >= enough][:MAX_REASONS]
            for rows, enough in zip(evidence, least, strict=True)
        ]
        named = {row.attribute for rows in reasons for row in rows}
        against = [
            (weight, row)
            for rows, enough in zip(evidence, least, strict=True)
            for weight, row in rows
            if weight < 0 and -weight >= enough and row.attribute not in named
        ]
        against.sort(key=lambda pair: pair[0])
        objections = list({row.attribute: row for _, row in against}.values())
        return reasons, objections[:MAX_OBJECTIONS]

    def _evidence(self, axis: int) -> list[tuple[float, Contribution]]:
        """Per theme, its contribution toward the recognized side of an axis, and its weightiest attribute."""
        side = 1.0 if self.quadrant == self.between[axis][0] else -1.0
        themes: dict[str, list[Contribution]] = {}
        for row in self.contributions:
            themes.setdefault(_wording(row.attribute).theme, []).append(row)
        found = []
        for rows in themes.values():
            weight = side * sum(row.by_axis[axis] for row in rows)
            sign = math.copysign(1.0, weight * side)
            row = max(rows, key=lambda row: sign * row.by_axis[axis])
            # Words follow the attribute's own place in the corpus, so they must pull the same way.
            in_place = row.percentile >= TYPICAL[1] if row.is_high else row.percentile <= TYPICAL[0]
            if in_place and sign * row.by_axis[axis] > 0 and sign * row.alone[axis] > 0:
                found.append((weight, row))
        return sorted(found, key=lambda pair: -pair[0])

    def bars(self, n: int = 12) -> tuple[list[str], dict[str, list[float]]]:
        """Rows of a chart, top first: the `n` weightiest attributes, the others together, the corpus; and their total.

        Returns
        -------
        labels
            ``"Mean Tempo: 62 bpm (19 %)"``: value, and percentile.
        values
            Axis with its two sides (``"valence: sad < > calm"``) -> signed bar of each row; but for the total, the
            last, they add up to the score, which is the total.
        """
        shown, rest = self.contributions[:n], self.contributions[n:]
        labels = [_label(row) for row in shown]
        columns = [[row.valence for row in shown], [row.arousal for row in shown]]
        if rest:
            labels.append(f"{len(rest)} others")
            columns[0].append(sum(row.valence for row in rest))
            columns[1].append(sum(row.arousal for row in rest))
        labels += ["middle of the corpus", "all together"]
        values = {}
        for axis, (high, low), column, baseline, score in zip(
            ("valence", "arousal"), self.between, columns, self.baseline, self.score, strict=True
        ):
            heading = f"{axis}: {QUADRANT_WORDS[low]} < > {QUADRANT_WORDS[high]}"
            values[heading] = [*column, baseline, score]
        return labels, values

    def to_json(self) -> dict[str, Any]:
        """``summary`` (the sentence), ``explanation`` (a row per attribute) and ``score``.

        ``score`` holds ``valence`` and ``arousal``, the ``baseline`` of each, and what each lies ``between``:
        ``score.valence = score.baseline.valence + sum of explanation[].contribution.valence``, and likewise arousal.
        """
        axes = ("valence", "arousal")
        return {
            "summary": self.sentence(),
            "explanation": [row.to_json() for row in self.contributions],
            "score": {
                **dict(zip(axes, self.score, strict=True)),
                "baseline": dict(zip(axes, self.baseline, strict=True)),
                "between": {axis: list(pair) for axis, pair in zip(axes, self.between, strict=True)},
            },
        }


def contributions(
    names: Sequence[str],
    X: Floats,
    levels: Floats,
    own_scale: NDArray[np.bool_],
    quantiles: Floats,
    parts: Floats,
    alone: Floats,
) -> tuple[Contribution, ...]:
    """One row per attribute, the weightiest first.

    Parameters
    ----------
    names
        Of the attributes.
    X, levels
        float [n_windows, n_attributes], NaN where undefined.
    own_scale
        bool [n_attributes], whether compared with performances.
    quantiles
        float [n_attributes, 33], values at the levels of the grid of the music that each is compared with.
    parts, alone
        float [2, n_attributes], contribution to valence and arousal, and what it were without the other attributes.
    """
    defined, compared = np.isfinite(X).any(axis=0), np.isfinite(levels).any(axis=0)
    value = np.where(defined, mean_level(X, np.ones(len(X))), np.nan)
    level = mean_level(levels, np.ones(len(levels)))
    median = np.where(compared, quantiles[:, len(LEVEL_GRID) // 2], np.nan)
    percentile = np.where(compared, ndtr(level), np.nan)
    return tuple(
        Contribution(
            attribute=names[i],
            value=float(value[i]),
            unit=catalogue_row(names[i]).unit if names[i] in COLUMNS else "",
            corpus_median=float(median[i]),
            percentile=float(percentile[i]),
            compared_with="performances" if own_scale[i] else "corpus",
            valence=float(parts[0, i]),
            arousal=float(parts[1, i]),
            alone=(float(alone[0, i]), float(alone[1, i])),
        )
        for i in np.argsort(-np.abs(parts).sum(axis=0), kind="stable")
    )


def shares(levels: Floats, contrast: Floats, within: Floats) -> Floats:
    """Summands of a discriminant, decorrelated: float [n_windows, n_attributes], 0 where a level is undefined.

    Parameters
    ----------
    levels
        float [n_windows, n_attributes], NaN where undefined.
    contrast
        float [n_attributes], difference of two class centers.
    within
        float [n_attributes, n_attributes], covariance within classes, positive definite.

    Returns
    -------
    ndarray
        Row sums are ``levels @ inv(within) @ contrast`` with undefined levels at 0; see the module's method. Where
        levels are undefined, the others are decorrelated among themselves.
    """
    scale = np.sqrt(np.diag(within))
    correlation = within / np.outer(scale, scale)
    weight = np.linalg.solve(within, contrast) * scale
    result = np.zeros_like(levels)
    for row, place in zip(levels, result, strict=True):
        known = np.isfinite(row)
        size, axes = np.linalg.eigh(correlation[np.ix_(known, known)])
        root = np.sqrt(np.maximum(size, 1e-12))
        adjusted_weight = (axes * root) @ axes.T @ weight[known]
        adjusted_level = (axes / root) @ axes.T @ (row[known] / scale[known])
        place[known] = adjusted_weight * adjusted_level
    return result


def _wording(attribute: str) -> Wording:
    """Words of the catalogue; plain ones for attributes of another mapping."""
    known = catalogue_row(attribute).wording if attribute in COLUMNS else None
    return known or Wording(attribute, f"is low in {attribute}", f"is high in {attribute}", "{:.3g}")


def _formatted(row: Contribution) -> str:
    """Value with its unit; empty where a musician would make nothing of it."""
    return _wording(row.attribute).value.format(row.value).replace("%", " %")


def _label(row: Contribution) -> str:
    if math.isnan(row.value):
        return f"{row.attribute}: undefined"
    # What a performance is not compared in has no percentile.
    place = "" if math.isnan(row.percentile) else f" ({100 * row.percentile:.0f} %)"
    return f"{row.attribute}: {_formatted(row) or f'{row.value:.2g}'}{place}"


def _listed(words: Sequence[str]) -> str:
    """``["is slow", "is quiet", "lies low"]`` -> ``"is slow, quiet and lies low"``."""
    verbs = [word.partition(" ")[0] for word in words]
    parts = [
        word.removeprefix(f"{verb} ") if i and verb == verbs[i - 1] and verb in ("is", "has") else word
        for i, (verb, word) in enumerate(zip(verbs, words, strict=True))
    ]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
