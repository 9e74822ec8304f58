"""Emotion <-> attributes: one fitted table, read both ways.

:class:`EmotionMapper` learns from labelled windows of music how attributes go with emotion. Read forwards
(:meth:`~EmotionMapper.target`), it says which attributes a piece must have to be heard as sad; backwards
(:meth:`~EmotionMapper.predict`, :meth:`~EmotionMapper.describe`), which emotion measured attributes carry, and why
(:meth:`~EmotionMapper.explain`).

Conventions
-----------
X
    float [n_windows, n_attributes], columns in the order of ``attribute_names``, NaN where undefined.
y
    Quadrants ``"Q1".."Q4"`` (or any class labels, then without a plane and without :meth:`~EmotionMapper.target`), or
    float [n_windows, 2] of valence and arousal in -1..1.
level
    An attribute on the scale on which all attributes can be compared: the normal score of its rank among the windows of
    the *corpus*, the music that is to be composed. 0 is the corpus' median, -1.64 and 1.64 its 5 % and 95 % quantile.
    A target given as a level therefore always lies where the corpus has music.
domain
    Where labelled music comes from. Attributes that mean the same everywhere (notes a second, register, mode) are
    compared with the corpus by value; those whose scale is an artifact of how a dataset was made (velocities of a
    transcriber, tempo of a beat tracker) by rank within their own domain (``rank_matched``).

Method
------
Categorical form, after EmoGen (Kang et al. 2023, arXiv 2307.01229): importance of attributes by a random forest, the k
most important kept (with the levers that listeners are known to hear always among them), class centers, and the real
vector nearest to each. Continuous form: the level of attribute j at valence v and arousal a is

.. math:: z_j(v, a) = n_j + s_v (b_{1j} v + b_{3j} v a) + s_a b_{2j} a

with coefficients by weighted ridge regression over all labelled windows, one intercept per domain. With
:math:`s_v = s_a = 1` it passes (up to the ridge) through the class centers; it is smooth, and monotone in v at fixed a
and in a at fixed v. The intensities :math:`s_v, s_a` carry targets beyond the centers, along the way from the neutral
point to them; under a linear discriminant model with common covariance this is the direction in which a class becomes
clearer at the least loss of plausibility. Valence needs more of it than arousal: it moves every attribute less, and at
low arousal (sad against calm) least. Targets are cut back where they would leave the corpus: per attribute to its
5..95 % range, as a whole to the Mahalanobis distance that 95 % of its windows do not pass.

Composing needs numpy alone: scikit-learn is imported by ``fit`` and ``predict``, never by ``load`` and ``target``.

Contents: :class:`EmotionMapper`, :class:`AttributeTarget`, :data:`LEVERS`.
"""

from __future__ import annotations

import csv
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from muse.emotion import QUADRANTS, Emotion, EmotionLike, EmotionPath, EmotionPathLike
from muse.errors import InputError, MuseError
from muse.mapping.explain import Contribution, Explanation, shares

if TYPE_CHECKING:
    from muse.attributes.extract import Attributes

__all__ = ["LEVERS", "AttributeTarget", "EmotionMapper", "NotFittedError"]

Floats = NDArray[np.float64]

LEVERS: Final = (
    "Mean Tempo",
    "Mode Clarity",
    "Mean Pitch",
    "Pitch Variability",
    "Mean Dynamics",
    "Note Density",
    "Articulation",
)
"""Attributes that are in every target: what listeners were shown to hear (EMelodyGen's ablation), with note density
and articulation."""

N_BUCKETS: Final = 8
SECTION_BARS: Final = 4

LEVEL_GRID: Final[Floats] = np.round(np.arange(-2.4, 2.401, 0.15), 2)
"""Levels at which the quantiles of the corpus are stored."""
_FLAT_DYNAMICS: Final = 0.5
"""Standard deviation of velocity below which a file was not played by anybody."""
REACH_LEVEL: Final = 1.645
"""Targets stay within the 5..95 % range of every attribute."""


def _normal_cdf(level: Floats) -> Floats:
    """Standard normal distribution function (Abramowitz & Stegun 7.1.26; absolute error below 1e-6)."""
    x = np.abs(level) / np.sqrt(2.0)
    t = 1.0 / (1.0 + 0.3275911 * x)
    powers = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    upper = 0.5 * powers * np.exp(-x * x)
    return np.where(level > 0, 1.0 - upper, upper)


_GRID_SHARES: Final[Floats] = _normal_cdf(LEVEL_GRID)


class NotFittedError(MuseError, ValueError, AttributeError):
    """The mapper has neither been fitted nor loaded."""


@dataclass(frozen=True)
class AttributeTarget:
    """What a piece (or a section) is asked to measure, for a subset of the attributes. All tuples have one length.

    Adherence is judged by ``value`` and the range; the generator is told ``bucket``.
    """

    names: tuple[str, ...]
    value: tuple[float, ...]
    """In the attribute's own unit."""
    low: tuple[float, ...]
    """Lower bound of the range that the bucket stands for."""
    high: tuple[float, ...]
    bucket: tuple[int, ...]
    """0 (least) .. 7 (most), by the octiles of the corpus."""
    weight: tuple[float, ...]
    """0..1, how much the attribute matters for the emotion; the largest is 1."""

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, name: str) -> float:
        """Value asked of an attribute; KeyError where it is left open."""
        try:
            return self.value[self.names.index(name)]
        except ValueError:
            raise KeyError(name) from None

    def values(self) -> dict[str, float]:
        """Value by attribute name."""
        return dict(zip(self.names, self.value, strict=True))

    def buckets(self) -> dict[str, int]:
        """Bucket by attribute name."""
        return dict(zip(self.names, self.bucket, strict=True))

    def select(self, names: Sequence[str]) -> AttributeTarget:
        """The part of the target that concerns `names`; the others are left open."""
        rows = [i for i, name in enumerate(self.names) if name in set(names)]
        columns = (self.names, self.value, self.low, self.high, self.bucket, self.weight)
        return AttributeTarget(*(tuple(column[i] for i in rows) for column in columns))  # type: ignore[arg-type]

    def to_dict(self) -> dict[str, dict[str, float]]:
        """``{name: {"value", "low", "high", "bucket", "weight"}}``."""
        rows = zip(self.names, self.value, self.low, self.high, self.bucket, self.weight, strict=True)
        return {n: {"value": v, "low": lo, "high": hi, "bucket": b, "weight": w} for n, v, lo, hi, b, w in rows}


class EmotionMapper:
    """Emotion <-> attributes. A scikit-learn classifier that also says what to compose.

    Parameters
    ----------
    attribute_names
        Names of the columns of X; numbered where None.
    rank_matched
        Names of attributes that are compared with the corpus by rank within their domain instead of by value.
    n_attributes
        How many attributes a target holds, levers included; None = all.
    intensity
        How far targets go from the neutral point with valence and with arousal: (1, 1) = to the class centers.
    spread
        Size of the random variation of targets, in units of the spread within a class.
    alpha
        Ridge penalty of the continuous form, in windows.
    shrinkage
        0..1, how much of the covariance within classes is taken from its diagonal.
    n_trees
        Trees of the random forest that measures importance.
    random_state
        Seed of the forest.

    Attributes
    ----------
    classes_ : [n_classes]
    n_features_in_ : int
    quantiles_ : float [n_attributes, 33]
        Corpus values at the levels -2.4, -2.25 .. 2.4.
    domain_quantiles_ : float [n_attributes, 33]
        The same of the first domain.
    neutral_ : float [n_attributes]
        Level where there is neither valence nor arousal.
    slopes_ : float [n_attributes, 3]
        Change of level with valence, arousal and their product.
    centers_ : float [n_classes, n_attributes]
        Mean level of each class.
    prototypes_ : float [n_classes, n_attributes]
        Levels of the real window nearest to each center.
    within_ : float [n_attributes, n_attributes]
        Covariance of levels within classes (shrunk).
    corpus_correlation_ : float [n_attributes, n_attributes]
        Correlation of levels in the corpus (shrunk).
    reach_ : float
        Mahalanobis distance that 95 % of the corpus' windows do not pass.
    told_ : bool [n_attributes]
        Whether the first domain has the attribute at all.
    importances_ : float [n_attributes]
        Random-forest importance, sum 1.
    chosen_ : bool [n_attributes]
        Whether targets hold the attribute.

    Examples
    --------
    >>> mapper = EmotionMapper.load()
    >>> target = mapper.target("sad", np.random.default_rng(0))
    >>> target["Mode Clarity"] < 0
    True
    """

    n_features_in_: int

    def __init__(
        self,
        *,
        attribute_names: Sequence[str] | None = None,
        rank_matched: Sequence[str] = (),
        n_attributes: int | None = None,
        intensity: tuple[float, float] = (5.0, 2.0),
        spread: float = 0.5,
        alpha: float = 1.0,
        shrinkage: float = 0.1,
        n_trees: int = 100,
        random_state: int = 0,
    ) -> None:
        self.attribute_names = attribute_names
        self.rank_matched = rank_matched
        self.n_attributes = n_attributes
        self.intensity = intensity
        self.spread = spread
        self.alpha = alpha
        self.shrinkage = shrinkage
        self.n_trees = n_trees
        self.random_state = random_state

    # ------------------------------------------------------------------------------------------------------- fitting

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        domain: Sequence[str] | None = None,
        corpus: ArrayLike | None = None,
    ) -> EmotionMapper:
        """Learn from labelled windows.

        Parameters
        ----------
        X
            float [n, n_attributes].
        y
            Class labels [n], or float [n, 2] valence and arousal in -1..1.
        sample_weight
            float [n] >= 0.
        domain
            Name of each window's domain [n]; the first one's neutral point is the mapper's. None: all one domain.
        corpus
            float [m, n_attributes], windows of the music that is to be composed. None: X itself.

        Raises
        ------
        ValueError
            Shapes that do not fit, infinities, fewer than two classes.
        """
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.utils.multiclass import check_classification_targets
        from sklearn.utils.validation import _check_sample_weight, check_array, check_consistent_length, validate_data

        is_plane = isinstance(y, (np.ndarray, list, tuple)) and np.ndim(y) == 2 and np.shape(y)[1] == 2
        plane = np.asarray(y) if is_plane else None
        values = validate_data(self, X, ensure_all_finite="allow-nan", dtype=np.float64)
        if plane is None:
            if y is None:
                raise ValueError("this EmotionMapper estimator requires y to be passed, but the target y is None")
            from sklearn.utils.validation import column_or_1d

            labels = column_or_1d(y, warn=True)
            check_classification_targets(labels)
            if labels.dtype.kind == "f":
                check_array(labels.reshape(1, -1))
        else:
            plane = check_array(plane, dtype=np.float64)
            labels = np.array([Emotion(*point).quadrant for point in plane])
        check_consistent_length(values, labels)
        weight = _check_sample_weight(sample_weight, values, dtype=np.float64, ensure_non_negative=True)
        used = weight > 0
        values, labels, weight = values[used], labels[used], weight[used]
        domains = np.zeros(len(labels), dtype=int)
        if domain is not None:
            names = list(dict.fromkeys(domain))
            domains = np.array([names.index(d) for d in domain])[used]
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"need windows of at least two classes, got one class: {self.classes_.tolist()}")
        if plane is None and set(self.classes_.tolist()) <= set(QUADRANTS):
            plane = np.array([_point(label) for label in labels])
        elif plane is not None:
            plane = plane[used]

        music = values if corpus is None else check_array(corpus, dtype=np.float64, ensure_all_finite="allow-nan")
        self.quantiles_ = _quantiles(music, weight if corpus is None else None)
        self.domain_quantiles_ = _quantiles(values[domains == 0], weight[domains == 0])
        levels = self._levels(values, domains, weight)
        self._fit_plane(levels, plane, codes, domains, weight)
        levels = levels - self.domain_offsets_[domains]
        self._fit_classes(levels, codes, weight, domains)
        self._fit_corpus(np.nan_to_num(_to_levels(music, self.quantiles_)))

        forest = RandomForestClassifier(self.n_trees, min_samples_leaf=2, random_state=self.random_state)
        # Undefined values become neutral; anything that depends on the class would give it away.
        forest.fit(np.where(np.isnan(levels), self.neutral_, levels), codes, sample_weight=weight)
        self.importances_ = forest.feature_importances_
        self.chosen_ = self._choose()
        return self

    def _levels(self, values: Floats, domains: NDArray[np.int64], weight: Floats) -> Floats:
        """Levels [n, n_attributes] of labelled windows: by value, or by rank within the domain; NaN stays."""
        levels = _to_levels(values, self.quantiles_)
        by_rank = [i for i, name in enumerate(self._names) if name in set(self.rank_matched)]
        for one in np.unique(domains) if by_rank else ():
            rows = np.ix_(domains == one, by_rank)
            levels[rows] = _to_levels(values[rows], _quantiles(values[rows], weight[domains == one]))
        return levels

    def _fit_plane(
        self,
        levels: Floats,
        plane: Floats | None,
        codes: NDArray[np.int64],
        domains: NDArray[np.int64],
        weight: Floats,
    ) -> None:
        """Continuous form: weighted ridge on valence, arousal and their product, an intercept per domain.

        Without a plane, the neutral point is the mean of the classes and there are no slopes.
        """
        n_attributes, n_domains = levels.shape[1], int(domains.max()) + 1
        self.slopes_ = np.zeros((n_attributes, 3))
        self.domain_offsets_ = np.zeros((n_domains, n_attributes))
        if plane is None:
            means = [_mean(levels[codes == k], weight[codes == k]) for k in np.unique(codes)]
            self.neutral_ = np.mean(means, axis=0)
            return
        self.neutral_ = np.zeros(n_attributes)
        design = np.column_stack([np.eye(n_domains)[domains], plane, plane.prod(axis=1)])
        penalty = np.diag([1e-6] * n_domains + [self.alpha] * 3)
        for j in range(n_attributes):
            mass = np.where(np.isnan(levels[:, j]), 0.0, weight)  # an undefined value says nothing
            gram = design.T @ (mass[:, None] * design) + penalty
            solution = np.linalg.solve(gram, design.T @ (mass * np.nan_to_num(levels[:, j])))
            self.neutral_[j] = solution[0]
            self.slopes_[j] = solution[n_domains:]
            self.domain_offsets_[:, j] = solution[:n_domains] - solution[0]

    def _fit_classes(
        self, levels: Floats, codes: NDArray[np.int64], weight: Floats, domains: NDArray[np.int64]
    ) -> None:
        """Categorical form: centers, nearest real vectors, common covariance within classes.

        Of the first domain alone, whose labels are classes, except for attributes that it cannot tell.
        """
        first = domains == 0
        self.told_ = np.isfinite(levels[first]).any(axis=0)
        if len(np.unique(codes[first])) == len(self.classes_):
            levels = np.where(~first[:, None] & self.told_, np.nan, levels)
        rows = [codes == k for k in range(len(self.classes_))]
        self.centers_ = np.array([_mean(levels[row], weight[row]) for row in rows])
        defined = ~np.isnan(levels)
        residual = np.where(defined, levels - self.centers_[codes], 0.0)
        mass = weight[:, None] * defined
        together = np.maximum(mass.T @ defined, 1e-12)
        covariance = (weight[:, None] * residual).T @ residual / together
        # Pairs of attributes that were seen on different windows can make the matrix indefinite.
        size, axes = np.linalg.eigh(covariance)
        covariance = (axes * np.maximum(size, 0.0)) @ axes.T
        diagonal = np.diag(np.maximum(np.diag(covariance), 1e-3))
        self.within_ = (1 - self.shrinkage) * covariance + self.shrinkage * diagonal + 1e-6 * np.eye(len(covariance))
        # Root mean square over what is defined; a window counts as real only with most of its attributes.
        spans = (residual**2).sum(axis=1) / np.maximum(defined.sum(axis=1), 1)
        spans[defined.mean(axis=1) < 0.5] = np.inf
        nearest = [np.flatnonzero(row)[spans[row].argmin()] for row in rows]
        self.prototypes_ = np.where(defined[nearest], levels[nearest], self.centers_)

    def _fit_corpus(self, levels: Floats) -> None:
        """How attributes go together in the corpus, and how far its windows lie from its middle."""
        correlation = _covariance(levels)
        scale = np.sqrt(np.maximum(np.diag(correlation), 1e-12))
        self.corpus_correlation_ = 0.9 * correlation / np.outer(scale, scale) + 0.1 * np.eye(len(scale))
        distance = np.einsum("ni,ij,nj->n", levels, np.linalg.inv(self.corpus_correlation_), levels)
        self.reach_ = float(np.sqrt(np.quantile(distance, 0.95)))

    def _choose(self) -> NDArray[np.bool_]:
        """Levers, then attributes by importance, leaving out what says the same as a chosen one (|r| > 0.9)."""
        n = self.n_features_in_
        wanted = n if self.n_attributes is None else min(self.n_attributes, n)
        levers = [i for i, name in enumerate(self._names) if name in LEVERS]
        order = [*levers, *(i for i in np.argsort(-self.importances_, kind="stable") if i not in levers)]
        chosen: list[int] = []
        for i in order:
            if len(chosen) >= max(wanted, len(levers)):
                break
            if i in levers or wanted == n or all(abs(self.corpus_correlation_[i, j]) <= 0.9 for j in chosen):
                chosen.append(int(i))
        return np.isin(np.arange(n), chosen)

    # --------------------------------------------------------------------------------------- attributes -> emotion

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Most probable class of each window, [n]."""
        winner = self.predict_proba(X).argmax(axis=1)
        return self.classes_[winner]

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Probability of each class, float [n, n_classes]: linear discriminant analysis of levels, equal priors."""
        logits = self.decision_function(X)
        if logits.ndim == 1:
            logits = np.column_stack([np.zeros(len(logits)), logits])
        return _softmax(logits)

    def decision_function(self, X: ArrayLike) -> Floats:
        """Discriminant scores, float [n, n_classes]; [n] (second against first class) where there are two."""
        from sklearn.utils.validation import check_is_fitted, validate_data

        check_is_fitted(self, "centers_")
        values = validate_data(self, X, ensure_all_finite="allow-nan", dtype=np.float64, reset=False)
        scores = self._scores(_to_levels(values, self.quantiles_))
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def levels(self, X: ArrayLike) -> Floats:
        """Levels of windows of the corpus' kind, float [n, n_attributes]; undefined ones are neutral."""
        levels = _to_levels(np.asarray(X, dtype=np.float64), self.quantiles_)
        return np.where(np.isnan(levels), self.neutral_, levels)

    def _place(self, scores: Floats) -> Floats:
        """Valence and arousal [n, 2] of discriminant scores [n, n_classes]."""
        return _softmax(scores) @ np.array([_point(label) for label in self.classes_])

    def _scores(self, levels: Floats) -> Floats:
        levels = np.where(np.isnan(levels), self.neutral_, levels)
        directions = np.linalg.solve(self.within_, self.centers_.T)  # [n_attributes, n_classes]
        offsets = 0.5 * np.einsum("kj,jk->k", self.centers_, directions)
        return levels @ directions - offsets

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Share of windows whose class is predicted right (scikit-learn's ``score``; no piece of music)."""
        right = self.predict(X) == np.asarray(y)
        return float(np.average(right, weights=None if sample_weight is None else np.asarray(sample_weight)))

    def predict_plane(self, X: ArrayLike) -> Floats:
        """Valence and arousal of each window, float [n, 2]: the mean of the quadrants' centers by probability."""
        self._check_plane()
        return self._place(self.decision_function(X))

    def describe(self, attributes: Attributes | Mapping[str, float], window: int | None = None) -> dict[str, Any]:
        """Emotion of measured attributes, as ``muse analyze`` reports it.

        Parameters
        ----------
        attributes
            What :func:`muse.attributes.extract` measured, or values by name; what is absent counts as neutral.
        window
            Which window; None = the mean over all.

        Notes
        -----
        Music that looks like the first domain rather than like the corpus (a performance: pedal in its note lengths,
        a transcriber's velocities) is measured on that domain's scale, without what needs beats.

        Returns
        -------
        dict
            ``valence``, ``arousal`` (-1..1), ``quadrant``, ``probabilities`` by quadrant.
        """
        levels = self._read(attributes, window)[1]
        probabilities, emotion, quadrant = self._emotion(levels)
        return {
            "valence": round(emotion.valence, 4),
            "arousal": round(emotion.arousal, 4),
            "quadrant": quadrant,
            "probabilities": {name: round(p, 4) for name, p in probabilities.items()},
        }

    def measured_levels(self, attributes: Attributes | Mapping[str, float]) -> Floats:
        """Levels of measured attributes, float [n_attributes], mean over windows, on the scale of the music's kind (see
        :meth:`describe`); neutral where undefined."""
        levels = self._read(attributes, None)[1]
        return np.where(np.isnan(levels), self.neutral_, levels).mean(axis=0)

    def explain(self, attributes: Attributes | Mapping[str, float], window: int | None = None) -> Explanation:
        """Why measured attributes carry the emotion that :meth:`describe` reports: the evidence of each of them.

        Parameters
        ----------
        attributes, window
            As :meth:`describe` takes them.

        Returns
        -------
        Explanation
            Its scores are log-odds: for valence of the glad against the sad quadrant on that side of arousal where the
            piece was recognized, for arousal of the excited against the calm one on its side of valence. Each is the
            baseline plus the contributions of all attributes, up to rounding of floats (1e-9). Levels, their scale for
            performances and undefined attributes are :meth:`describe`'s.

        Raises
        ------
        InputError
            The mapper was fitted on other labels, or on fewer than all four quadrants.

        Notes
        -----
        Of one window, the scores are the logarithms of ratios of the reported probabilities, so their signs are the
        sides of the recognized quadrant. Over several windows, `describe` averages probabilities, and here their
        logarithms' ratios are averaged, as only these add up: the scores then explain the typical window, and where
        windows disagree, a sign may be another than the quadrant's.
        """
        X, levels, own_scale = self._read(attributes, window)
        if len(self.classes_) < len(QUADRANTS):
            raise InputError(f"only {', '.join(self.classes_)} were fitted; an explanation compares all four quadrants")
        probabilities, emotion, quadrant = self._emotion(levels)
        glad, excited = quadrant in ("Q1", "Q4"), quadrant in ("Q1", "Q2")
        between = (("Q1", "Q2") if excited else ("Q4", "Q3"), ("Q1", "Q4") if glad else ("Q2", "Q3"))

        place = self.classes_.tolist().index
        middle = self._scores(np.where(np.isnan(levels), np.nan, 0.0)).mean(axis=0)
        reached = self._scores(levels).mean(axis=0)
        score, baseline, parts, alone = [], [], [], []
        level = _mean(levels, np.ones(len(levels)))
        for high, low in between:
            contrast = self.centers_[place(high)] - self.centers_[place(low)]
            score.append(float(reached[place(high)] - reached[place(low)]))
            baseline.append(float(middle[place(high)] - middle[place(low)]))
            parts.append(shares(levels, contrast, self.within_).mean(axis=0))
            alone.append(contrast * level / np.diag(self.within_))

        defined, compared = np.isfinite(X).any(axis=0), np.isfinite(levels).any(axis=0)
        value = np.where(defined, _mean(X, np.ones(len(X))), np.nan)
        quantiles = np.where(own_scale[:, None], self.domain_quantiles_, self.quantiles_)
        median = np.where(compared, quantiles[:, len(LEVEL_GRID) // 2], np.nan)
        percentile = np.where(compared, _normal_cdf(level), np.nan)
        order = np.argsort(-np.abs(parts).sum(axis=0), kind="stable")
        contributions = tuple(
            Contribution(
                attribute=self._names[i],
                value=float(value[i]),
                unit=self._unit(i),
                corpus_median=float(median[i]),
                percentile=float(percentile[i]),
                compared_with="performances" if own_scale[i] else "corpus",
                valence=float(parts[0][i]),
                arousal=float(parts[1][i]),
                alone=(float(alone[0][i]), float(alone[1][i])),
            )
            for i in order
        )
        return Explanation(
            emotion, quadrant, probabilities, between, (score[0], score[1]), (baseline[0], baseline[1]), contributions
        )

    def _read(
        self, attributes: Attributes | Mapping[str, float], window: int | None
    ) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """X and levels [n_windows, n_attributes] of measured attributes, and which of them are on the first domain's
        scale [n_attributes]."""
        self._check_plane()
        X = self._columns(attributes)
        X = X if window is None else X[window : window + 1]
        levels = _to_levels(X, self.quantiles_)
        own_scale = np.zeros(len(self._names), dtype=bool)
        if self._is_of_first_domain(X):
            own_scale = np.isin(self._names, self.rank_matched)
            levels[:, own_scale] = _to_levels(X, self.domain_quantiles_)[:, own_scale]
            levels[:, [i for i in np.flatnonzero(own_scale) if self._needs_beats(int(i))]] = np.nan
        if "Variation of Dynamics" in self._names:
            # One velocity throughout is a notation program's default and says nothing of how loud the music is.
            flat = X[:, self._names.index("Variation of Dynamics")] < _FLAT_DYNAMICS
            loudness = np.isin(self._names, ("Mean Dynamics", "Variation of Dynamics"))
            levels[np.ix_(flat, loudness)] = np.nan
        return X, levels, own_scale

    def _emotion(self, levels: Floats) -> tuple[dict[str, float], Emotion, str]:
        """Probabilities by class, their mean point, and the most probable class, over all windows."""
        mean = _softmax(self._scores(levels)).mean(axis=0)
        valence, arousal = mean @ np.array([_point(label) for label in self.classes_])
        probabilities = {str(label): float(p) for label, p in zip(self.classes_, mean, strict=True)}
        return probabilities, Emotion(float(valence), float(arousal)), str(self.classes_[mean.argmax()])

    def _unit(self, i: int) -> str:
        from muse.attributes.catalogue import COLUMNS, attribute

        return attribute(self._names[i]).unit if self._names[i] in COLUMNS else ""

    def _needs_beats(self, i: int) -> bool:
        from muse.attributes.catalogue import COLUMNS, attribute

        return self._names[i] in COLUMNS and attribute(self._names[i]).needs != "notes"

    def _is_of_first_domain(self, X: Floats) -> bool:
        """Whether rank-matched attributes are likelier in the first domain than in the corpus (as normal variables)."""
        fits = np.zeros(2)
        for i, name in enumerate(self._names):
            if name in set(self.rank_matched) and not self._needs_beats(i) and self.told_[i]:
                value = np.nanmean(X[:, i]) if np.isfinite(X[:, i]).any() else np.nan
                for k, quantiles in enumerate((self.quantiles_[i], self.domain_quantiles_[i])):
                    low, middle, high = np.interp((-1.0, 0.0, 1.0), LEVEL_GRID, quantiles)
                    width = max((high - low) / 2, 1e-9)
                    # Bounded, so that one odd attribute does not decide.
                    fits[k] += 0.0 if np.isnan(value) else -min(abs(value - middle) / width, 3.0) - np.log(width)
        return bool(fits[1] > fits[0])

    def _columns(self, attributes: Attributes | Mapping[str, float]) -> Floats:
        """X [n_windows, n_attributes] with NaN for what was not measured."""
        if isinstance(attributes, Mapping):
            return np.array([[attributes.get(name, np.nan) for name in self._names]], dtype=np.float64)
        where = {name: i for i, name in enumerate(attributes.names)}
        measured = np.asarray(attributes.values, dtype=np.float64)
        X = np.full((len(measured), len(self._names)), np.nan)
        for j, name in enumerate(self._names):
            if name in where:
                X[:, j] = measured[:, where[name]]
        return X

    # --------------------------------------------------------------------------------------- emotion -> attributes

    def target(
        self,
        emotion: EmotionPathLike,
        rng: np.random.Generator | None = None,
        *,
        edges: Mapping[str, Sequence[float]] | None = None,
        intensity: tuple[float, float] | None = None,
        spread: float | None = None,
    ) -> AttributeTarget:
        """What to ask of a piece that shall carry an emotion.

        Parameters
        ----------
        emotion
            Anything that :meth:`muse.emotion.EmotionPath.parse` reads; of a path its mean.
        rng
            Draws the variation around the center of the emotion; None = the center itself.
        edges
            Attribute name -> its seven inner octiles, where buckets are cut; only attributes with edges are asked
            for. None: all, with the octiles of the corpus that the mapper was fitted with.
        intensity, spread
            Instead of the mapper's own.

        Raises
        ------
        NotFittedError
            Before ``fit`` or ``load``.
        InputError
            The emotion cannot be read, or the mapper was fitted on other labels than quadrants or valence and arousal.
        """
        return self._target(self._draw(spread, rng), EmotionPath.parse(emotion).mean, edges, intensity)

    def section_targets(
        self,
        emotion: EmotionPathLike,
        n_bars: int,
        rng: np.random.Generator | None = None,
        *,
        edges: Mapping[str, Sequence[float]] | None = None,
        intensity: tuple[float, float] | None = None,
        spread: float | None = None,
        section_bars: int = SECTION_BARS,
    ) -> list[AttributeTarget]:
        """One target per section of `section_bars` bars, each for the emotion in the section's middle.

        All sections share one variation and the tempo of the whole, so that a piece stays the same piece while its
        emotion moves. Pass the edges
        of the section controls as `edges`. Called with a generator in the state in which :meth:`target` found it, the
        variation is the same as the song's.
        """
        if n_bars < 1 or section_bars < 1:
            raise InputError(f"{n_bars} bars in sections of {section_bars} cannot be planned, both must be at least 1")
        path = EmotionPath.parse(emotion)
        noise = self._draw(spread, rng)
        tempo = self._values(self._varied(path.mean, intensity, noise)).get("Mean Tempo")
        middles = [min(first + section_bars / 2, n_bars) / n_bars for first in range(0, n_bars, section_bars)]
        return [self._target(noise, path.at(middle), edges, intensity, tempo) for middle in middles]

    def _draw(self, spread: float | None, rng: np.random.Generator | None) -> Floats:
        """Variation of levels [n_attributes] along the covariance within classes, each at most 1.5 spreads."""
        self._check_plane()
        size = self.spread if spread is None else spread
        if rng is None or size == 0:
            return np.zeros(self.n_features_in_)
        root = np.linalg.cholesky(self.within_)
        noise = root @ rng.standard_normal(self.n_features_in_)
        limit = 1.5 * np.sqrt(np.diag(self.within_))
        return size * np.clip(noise, -limit, limit)

    def _varied(self, emotion: Emotion, intensity: tuple[float, float] | None, noise: Floats) -> Floats:
        return np.clip(self.levels_at(emotion, intensity) + noise, -REACH_LEVEL, REACH_LEVEL)

    def _values(self, levels: Floats, tempo_bpm: float | None = None) -> dict[str, float]:
        """Values at levels, by name, with `tempo_bpm` for the tempo where given.

        Notes a beat are notes a second times seconds a beat. Tempo and notes a second are what listeners hear, so
        where all three are asked for, notes a beat follow from them, within the corpus' range.
        """
        values = {
            name: float(np.interp(level, LEVEL_GRID, quantiles))
            for name, level, quantiles in zip(self._names, levels, self.quantiles_, strict=True)
        }
        tempo = values.get("Mean Tempo", 0.0) if tempo_bpm is None else tempo_bpm
        if "Note Density" in values and "Note Density per Quarter Note" in values and tempo > 0:
            quantiles = self.quantiles_[self._names.index("Note Density per Quarter Note")]
            low, high = np.interp((-REACH_LEVEL, REACH_LEVEL), LEVEL_GRID, quantiles)
            per_beat = values["Note Density"] * 60.0 / tempo
            values["Note Density per Quarter Note"] = float(np.clip(per_beat, low, high))
        return values

    def _target(
        self,
        noise: Floats,
        emotion: Emotion,
        edges: Mapping[str, Sequence[float]] | None,
        intensity: tuple[float, float] | None,
        tempo_bpm: float | None = None,
    ) -> AttributeTarget:
        values = self._values(self._varied(emotion, intensity, noise), tempo_bpm)
        rows: list[tuple[str, float, float, float, int, float]] = []
        top = max(float(self.importances_[self.chosen_].max()), 1e-12)
        shares = np.arange(1, N_BUCKETS) / N_BUCKETS
        for j in np.flatnonzero(self.chosen_):
            name, quantiles = self._names[j], self.quantiles_[j]
            if edges is not None and name not in edges:
                continue
            cuts = np.interp(shares, _GRID_SHARES, quantiles) if edges is None else np.asarray(edges[name], float)
            bucket = int(np.searchsorted(cuts, values[name], side="right"))
            bounds = np.concatenate([[min(quantiles[0], cuts[0])], cuts, [max(quantiles[-1], cuts[-1])]])
            # Forests see how attributes tell the labelled music apart; what listeners hear counts at least half.
            weight = max(0.5 if name in LEVERS else 0.0, float(self.importances_[j]) / top)
            rows.append((name, values[name], float(bounds[bucket]), float(bounds[bucket + 1]), bucket, weight))
        return AttributeTarget(*zip(*rows, strict=True)) if rows else AttributeTarget((), (), (), (), (), ())

    def levels_at(self, emotion: EmotionLike, intensity: tuple[float, float] | None = None) -> Floats:
        """Levels [n_attributes] of an emotion without variation, held inside the corpus."""
        self._check_plane()
        point = Emotion.parse(emotion)
        valence, arousal = self.intensity if intensity is None else intensity
        # Nothing is exaggerated along valence on the evidence of other domains than the first.
        along = np.where(self.told_, valence, min(valence, 1.0))
        way = self.slopes_ @ np.array([point.valence, 0.0, point.valence * point.arousal]) * along
        way += self.slopes_[:, 1] * point.arousal * arousal
        inverse = np.linalg.inv(self.corpus_correlation_)
        for share in np.arange(1.0, 0.2, -0.05):
            levels = np.clip(self.neutral_ + share * way, -REACH_LEVEL, REACH_LEVEL)
            if levels @ inverse @ levels <= self.reach_**2:
                break
        return levels

    def _check_plane(self) -> None:
        if not hasattr(self, "centers_"):
            raise NotFittedError("this EmotionMapper is not fitted yet: call fit or EmotionMapper.load first")
        if not set(self.classes_.tolist()) <= set(QUADRANTS):
            raise InputError(
                f"classes {self.classes_.tolist()} have no place in the plane; fit on Q1..Q4 or on valence and arousal"
            )

    # -------------------------------------------------------------------------------------------------- persistence

    def save(self, folder: str | Path) -> None:
        """Write the fitted table as readable ``mapping.json``, ``mapping.csv`` and two covariance tables."""
        self._check_plane()
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        parameters = {n: list(v) if isinstance(v, tuple) else v for n, v in self.get_params().items()}
        parameters.pop("attribute_names")
        document = {"parameters": parameters, "classes": self.classes_.tolist(), "reach": round(self.reach_, 6)}
        (folder / "mapping.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        columns: dict[str, Floats] = {"chosen": self.chosen_.astype(float), "told": self.told_.astype(float)}
        columns |= {"importance": self.importances_, "neutral": self.neutral_}
        columns |= {f"slope_{n}": self.slopes_[:, i] for i, n in enumerate(("valence", "arousal", "product"))}
        columns |= {f"center_{k}": self.centers_[i] for i, k in enumerate(self.classes_)}
        columns |= {f"prototype_{k}": self.prototypes_[i] for i, k in enumerate(self.classes_)}
        columns |= {f"corpus_at_{level:+.2f}": self.quantiles_[:, i] for i, level in enumerate(LEVEL_GRID)}
        columns |= {f"domain_at_{level:+.2f}": self.domain_quantiles_[:, i] for i, level in enumerate(LEVEL_GRID)}
        _write_table(folder / "mapping.csv", self._names, columns)
        for name, matrix in (("within", self.within_), ("corpus_correlation", self.corpus_correlation_)):
            _write_table(folder / f"mapping_{name}.csv", self._names, dict(zip(self._names, matrix, strict=True)))

    @classmethod
    def load(cls, folder: str | Path | None = None) -> EmotionMapper:
        """Read a fitted mapper (default: the one that comes with Muse). Needs numpy alone.

        Raises
        ------
        InputError
            A file is missing or is not what :meth:`save` writes.
        """
        if folder is None:
            from muse.checkpoint import data_path

            folder = data_path("attributes")
        folder = Path(folder)
        try:
            document = json.loads((folder / "mapping.json").read_text(encoding="utf-8"))
            names, columns = _read_table(folder / "mapping.csv")
            mapper = cls(attribute_names=tuple(names), **document["parameters"])
            mapper.rank_matched = tuple(mapper.rank_matched)
            valence, arousal = mapper.intensity
            mapper.intensity = (float(valence), float(arousal))
            mapper.classes_ = np.array(document["classes"])
            mapper.n_features_in_ = len(names)
            mapper.reach_ = float(document["reach"])
            mapper.chosen_, mapper.told_ = columns["chosen"] > 0, columns["told"] > 0
            mapper.importances_, mapper.neutral_ = columns["importance"], columns["neutral"]
            mapper.slopes_ = np.column_stack([columns[f"slope_{n}"] for n in ("valence", "arousal", "product")])
            mapper.centers_ = np.array([columns[f"center_{k}"] for k in document["classes"]])
            mapper.prototypes_ = np.array([columns[f"prototype_{k}"] for k in document["classes"]])
            mapper.quantiles_, mapper.domain_quantiles_ = (
                np.column_stack([columns[f"{source}_at_{level:+.2f}"] for level in LEVEL_GRID])
                for source in ("corpus", "domain")
            )
            mapper.within_, mapper.corpus_correlation_ = (
                np.column_stack([table[name] for name in names])
                for table in (_read_table(folder / f"mapping_{n}.csv")[1] for n in ("within", "corpus_correlation"))
            )
        except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
            raise InputError(
                f"{folder}: holds no fitted emotion mapping ({type(error).__name__}: {error}); "
                "make one with 'muse train mapping' or EmotionMapper.save"
            ) from error
        return mapper

    # --------------------------------------------------------------------- scikit-learn's protocol, without its import

    @property
    def _names(self) -> tuple[str, ...]:
        if self.attribute_names is not None:
            return tuple(self.attribute_names)
        return tuple(f"attribute {i}" for i in range(self.n_features_in_))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **params: Any) -> EmotionMapper:
        """Set parameters by name."""
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator EmotionMapper. Valid parameters: {sorted(known)}"
                )
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self)).parameters
        changed = {
            n: v for n, v in self.get_params().items() if v is not defaults[n].default and v != defaults[n].default
        }
        return f"EmotionMapper({', '.join(f'{name}={value!r}' for name, value in changed.items())})"

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "centers_")

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(),
            input_tags=InputTags(allow_nan=True),
        )


def _softmax(scores: Floats) -> Floats:
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def _point(quadrant: str) -> tuple[float, float]:
    emotion = Emotion.parse(str(quadrant))
    return emotion.valence, emotion.arousal


def _quantiles(values: Floats, weight: Floats | None = None) -> Floats:
    """Values at the levels of the grid, [n_attributes, 33]; 0 for an attribute that is never defined."""
    weight = np.ones(len(values)) if weight is None else weight
    result = np.zeros((values.shape[1], len(LEVEL_GRID)))
    for j, column in enumerate(values.T):
        defined = np.isfinite(column) & (weight > 0)
        if defined.any():
            # The inverted distribution function is the one definition under which a weight of 2 is a window twice.
            result[j] = np.quantile(column[defined], _GRID_SHARES, method="inverted_cdf", weights=weight[defined])
    return result


def _to_levels(values: Floats, quantiles: Floats) -> Floats:
    """Levels of values, [n, n_attributes]; NaN stays. A value that many windows share gets the middle of its levels."""
    levels = np.full(values.shape, np.nan)
    for j in range(values.shape[1]):
        knots, place, counts = np.unique(quantiles[j], return_inverse=True, return_counts=True)
        middle = np.bincount(place, weights=LEVEL_GRID) / counts
        defined = np.isfinite(values[:, j])
        levels[defined, j] = np.interp(values[defined, j], knots, middle)
    return levels


def _mean(levels: Floats, weight: Floats) -> Floats:
    """Weighted mean over windows, [n_attributes]; 0 for an attribute without a defined value."""
    mass = weight[:, None] * np.isfinite(levels)
    return (np.nan_to_num(levels) * mass).sum(axis=0) / np.maximum(mass.sum(axis=0), 1e-12)


def _covariance(levels: Floats) -> Floats:
    centered = levels - levels.mean(axis=0)
    return centered.T @ centered / max(len(levels), 1)


def _write_table(path: Path, names: Sequence[str], columns: Mapping[str, Floats]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["attribute", *columns])
        for i, name in enumerate(names):
            writer.writerow([name, *(f"{column[i]:.6g}" for column in columns.values())])


def _read_table(path: Path) -> tuple[list[str], dict[str, Floats]]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    names = [row[0] for row in rows[1:]]
    numbers = np.array([[float(cell) for cell in row[1:]] for row in rows[1:]])
    return names, {name: numbers[:, i] for i, name in enumerate(rows[0][1:])}
