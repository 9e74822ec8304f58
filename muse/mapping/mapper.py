"""Emotion <-> attributes: one fitted table, read both ways.

:class:`EmotionMapper` learns from labelled windows of music how attributes go with emotion. Read forwards
(:meth:`~EmotionMapper.target`), it says which attributes a piece must have to be perceived as sad; backwards
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

How the table is fitted is described in :mod:`muse.mapping.learning`. scikit-learn is imported by ``fit`` and
``predict``, never by ``from_pretrained`` and ``target``, so that composing does not load it.

Contents: :class:`EmotionMapper`, :class:`NotFittedError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax

from muse.attributes import LEVERS, SECTION_BARS, Attributes
from muse.checkpoint import data_path
from muse.emotion import QUADRANTS, Emotion, EmotionLike, EmotionPath, EmotionPathLike
from muse.errors import InputError, MuseError
from muse.files import read_json, write_json
from muse.mapping.estimator import Classifier
from muse.mapping.explain import Explanation, contributions, shares
from muse.mapping.learning import choose, fit_classes, fit_corpus, fit_plane, point_of, read_labels
from muse.mapping.levels import LEVEL_GRID, REACH_LEVEL, Floats, mean_level, quantiles_of, to_levels
from muse.mapping.reading import Scales, columns_of, read_levels
from muse.mapping.tables import read_table, write_table
from muse.mapping.target import AttributeTarget, bucket_of

__all__ = ["EmotionMapper", "NotFittedError"]


class NotFittedError(MuseError, ValueError, AttributeError):
    """The mapper has neither been fitted nor read."""


class EmotionMapper(Classifier):
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
    in_domain_ : bool [n_attributes]
        Whether the first domain has the attribute at all.
    importances_ : float [n_attributes]
        Random-forest importance, sum 1.
    chosen_ : bool [n_attributes]
        Whether targets hold the attribute.

    Examples
    --------
    >>> mapper = EmotionMapper.from_pretrained()
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

    @property
    def _names(self) -> tuple[str, ...]:
        if self.attribute_names is not None:
            return tuple(self.attribute_names)
        return tuple(f"attribute {i}" for i in range(self.n_features_in_))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "centers_")

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
        from sklearn.utils.validation import _check_sample_weight, check_array, check_consistent_length, validate_data

        values = validate_data(self, X, ensure_all_finite="allow-nan", dtype=np.float64)
        labels, plane = read_labels(y)
        check_consistent_length(values, labels)
        weight = _check_sample_weight(sample_weight, values, dtype=np.float64, ensure_non_negative=True)
        used = weight > 0
        values, labels, weight = values[used], labels[used], weight[used]
        plane = None if plane is None else plane[used]
        domains = np.zeros(len(labels), dtype=int)
        if domain is not None:
            names = list(dict.fromkeys(domain))
            domains = np.array([names.index(d) for d in domain])[used]
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"need windows of at least two classes, got one class: {self.classes_.tolist()}")

        music = values if corpus is None else check_array(corpus, dtype=np.float64, ensure_all_finite="allow-nan")
        self.quantiles_ = quantiles_of(music, weight if corpus is None else None)
        self.domain_quantiles_ = quantiles_of(values[domains == 0], weight[domains == 0])
        levels = self.labelled_levels(values, domains, weight)
        self.neutral_, self.slopes_, self.domain_offsets_ = fit_plane(levels, plane, codes, domains, weight, self.alpha)
        levels = levels - self.domain_offsets_[domains]
        self.in_domain_, self.centers_, self.within_, self.prototypes_ = fit_classes(
            levels, codes, weight, domains, self.shrinkage
        )
        self.corpus_correlation_, self.reach_ = fit_corpus(np.nan_to_num(to_levels(music, self.quantiles_)))

        forest = RandomForestClassifier(self.n_trees, min_samples_leaf=2, random_state=self.random_state)
        # Undefined values become neutral; anything that depends on the class would give it away.
        forest.fit(np.where(np.isnan(levels), self.neutral_, levels), codes, sample_weight=weight)
        self.importances_ = forest.feature_importances_
        self.chosen_ = choose(self._names, self.importances_, self.corpus_correlation_, self.n_attributes)
        return self

    def labelled_levels(self, values: Floats, domains: NDArray[np.int64], weight: Floats) -> Floats:
        """Levels [n, n_attributes] of labelled windows: by value, or by rank within the domain; NaN stays."""
        levels = to_levels(values, self.quantiles_)
        by_rank = [i for i, name in enumerate(self._names) if name in set(self.rank_matched)]
        for one in np.unique(domains) if by_rank else ():
            rows = np.ix_(domains == one, by_rank)
            levels[rows] = to_levels(values[rows], quantiles_of(values[rows], weight[domains == one]))
        return levels

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
        return softmax(logits, axis=1)

    def decision_function(self, X: ArrayLike) -> Floats:
        """Discriminant scores, float [n, n_classes]; [n] (second against first class) where there are two."""
        from sklearn.utils.validation import check_is_fitted, validate_data

        check_is_fitted(self, "centers_")
        values = validate_data(self, X, ensure_all_finite="allow-nan", dtype=np.float64, reset=False)
        scores = self.discriminants(to_levels(values, self.quantiles_))
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def levels(self, X: ArrayLike) -> Floats:
        """Levels of windows of the corpus' kind, float [n, n_attributes]; undefined ones are neutral."""
        levels = to_levels(np.asarray(X, dtype=np.float64), self.quantiles_)
        return np.where(np.isnan(levels), self.neutral_, levels)

    def mean_points(self, probabilities: Floats) -> Floats:
        """Valence and arousal [..., 2]: the mean of the classes' points by probability [..., n_classes]."""
        return probabilities @ np.array([point_of(label) for label in self.classes_])

    def discriminants(self, levels: Floats) -> Floats:
        """Discriminant scores of levels [n, n_attributes], float [n, n_classes]; undefined levels count as neutral."""
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
        return self.mean_points(self.predict_proba(X))

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
        middle = self.discriminants(np.where(np.isnan(levels), np.nan, 0.0)).mean(axis=0)
        reached = self.discriminants(levels).mean(axis=0)
        score, baseline, parts, alone = [], [], [], []
        level = mean_level(levels, np.ones(len(levels)))
        for high, low in between:
            contrast = self.centers_[place(high)] - self.centers_[place(low)]
            score.append(float(reached[place(high)] - reached[place(low)]))
            baseline.append(float(middle[place(high)] - middle[place(low)]))
            parts.append(shares(levels, contrast, self.within_).mean(axis=0))
            alone.append(contrast * level / np.diag(self.within_))

        quantiles = np.where(own_scale[:, None], self.domain_quantiles_, self.quantiles_)
        found = contributions(self._names, X, levels, own_scale, quantiles, np.array(parts), np.array(alone))
        return Explanation(
            emotion, quadrant, probabilities, between, (score[0], score[1]), (baseline[0], baseline[1]), found
        )

    def _read(
        self, attributes: Attributes | Mapping[str, float], window: int | None
    ) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """X and levels [n_windows, n_attributes] of measured attributes, and which of them are on the first domain's
        scale [n_attributes]."""
        self._check_plane()
        X = columns_of(attributes, self._names)
        X = X if window is None else X[window : window + 1]
        scales = Scales(
            self._names, frozenset(self.rank_matched), self.quantiles_, self.domain_quantiles_, self.in_domain_
        )
        return X, *read_levels(X, scales)

    def _emotion(self, levels: Floats) -> tuple[dict[str, float], Emotion, str]:
        """Probabilities by class, their mean point, and the most probable class, over all windows."""
        mean = softmax(self.discriminants(levels), axis=1).mean(axis=0)
        valence, arousal = self.mean_points(mean)
        probabilities = {str(label): float(p) for label, p in zip(self.classes_, mean, strict=True)}
        return probabilities, Emotion(float(valence), float(arousal)), str(self.classes_[mean.argmax()])

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
            Before ``fit``, of a mapper that was not read either.
        InputError
            The emotion cannot be read, or the mapper was fitted on other labels than quadrants or valence and arousal.
        """
        return self._target(self.variation(spread, rng), EmotionPath.parse(emotion).mean, edges, intensity)

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
        noise = self.variation(spread, rng)
        tempo = self._values(self._varied(path.mean, intensity, noise)).get("Mean Tempo")
        middles = [min(first + section_bars / 2, n_bars) / n_bars for first in range(0, n_bars, section_bars)]
        return [self._target(noise, path.at(middle), edges, intensity, tempo) for middle in middles]

    def variation(self, spread: float | None, rng: np.random.Generator | None) -> Floats:
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

        Notes a beat are notes a second times seconds a beat. Tempo and notes a second are what listeners perceive, so
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
        for j in np.flatnonzero(self.chosen_):
            name, quantiles = self._names[j], self.quantiles_[j]
            if edges is not None and name not in edges:
                continue
            low, high, bucket = bucket_of(values[name], quantiles, None if edges is None else edges[name])
            # Forests see how attributes tell the labelled music apart; what listeners perceive counts at least half.
            weight = max(0.5 if name in LEVERS else 0.0, float(self.importances_[j]) / top)
            rows.append((name, values[name], low, high, bucket, weight))
        return AttributeTarget(*zip(*rows, strict=True)) if rows else AttributeTarget((), (), (), (), (), ())

    def levels_at(self, emotion: EmotionLike, intensity: tuple[float, float] | None = None) -> Floats:
        """Levels [n_attributes] of an emotion without variation, held inside the corpus."""
        self._check_plane()
        point = Emotion.parse(emotion)
        valence, arousal = self.intensity if intensity is None else intensity
        # Nothing is exaggerated along valence on the evidence of other domains than the first.
        along = np.where(self.in_domain_, valence, min(valence, 1.0))
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
            raise NotFittedError(
                "this EmotionMapper is not fitted yet: call fit or EmotionMapper.from_pretrained first"
            )
        if not set(self.classes_.tolist()) <= set(QUADRANTS):
            raise InputError(
                f"classes {self.classes_.tolist()} have no place in the plane; fit on Q1..Q4 or on valence and arousal"
            )

    # -------------------------------------------------------------------------------------------------- persistence

    def save(self, folder: str | Path) -> None:
        """Write the fitted table as readable ``mapping.json``, ``mapping.csv`` and two covariance tables.

        Raises
        ------
        InputError
            A file cannot be written.
        """
        self._check_plane()
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        parameters = self.get_params()
        parameters.pop("attribute_names")
        document = {"parameters": parameters, "classes": self.classes_, "reach": round(self.reach_, 6)}
        write_json(document, folder / "mapping.json")
        columns: dict[str, Floats] = {"chosen": self.chosen_.astype(float), "in_domain": self.in_domain_.astype(float)}
        columns |= {"importance": self.importances_, "neutral": self.neutral_}
        columns |= {f"slope_{n}": self.slopes_[:, i] for i, n in enumerate(("valence", "arousal", "product"))}
        columns |= {f"center_{k}": self.centers_[i] for i, k in enumerate(self.classes_)}
        columns |= {f"prototype_{k}": self.prototypes_[i] for i, k in enumerate(self.classes_)}
        columns |= {f"corpus_at_{level:+.2f}": self.quantiles_[:, i] for i, level in enumerate(LEVEL_GRID)}
        columns |= {f"domain_at_{level:+.2f}": self.domain_quantiles_[:, i] for i, level in enumerate(LEVEL_GRID)}
        write_table(folder / "mapping.csv", self._names, columns)
        for name, matrix in (("within", self.within_), ("corpus_correlation", self.corpus_correlation_)):
            write_table(folder / f"mapping_{name}.csv", self._names, dict(zip(self._names, matrix, strict=True)))

    @classmethod
    def from_pretrained(cls, folder: str | Path | None = None) -> EmotionMapper:
        """Read a fitted mapper: the one that comes with Muse (None), or a folder that :meth:`save` wrote.

        Raises
        ------
        InputError
            A file is missing or is not what :meth:`save` writes.
        """
        folder = data_path("attributes") if folder is None else Path(folder)
        try:
            document = read_json(folder / "mapping.json")
            names, columns = read_table(folder / "mapping.csv")
            mapper = cls(attribute_names=tuple(names), **document["parameters"])
            mapper.rank_matched = tuple(mapper.rank_matched)
            valence, arousal = mapper.intensity
            mapper.intensity, mapper.spread = (float(valence), float(arousal)), float(mapper.spread)
            mapper.classes_ = np.array(document["classes"])
            mapper.n_features_in_ = len(names)
            mapper.reach_ = float(document["reach"])
            mapper.chosen_, mapper.in_domain_ = columns["chosen"] > 0, columns["in_domain"] > 0
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
                for table in (read_table(folder / f"mapping_{n}.csv")[1] for n in ("within", "corpus_correlation"))
            )
            # Distances in these need them positive definite; LinAlgError is a ValueError.
            np.linalg.cholesky(mapper.within_), np.linalg.cholesky(mapper.corpus_correlation_)
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise InputError(
                f"{folder}: holds no fitted emotion mapping ({type(error).__name__}: {error}); "
                "make one with 'muse train mapping' or EmotionMapper.save"
            ) from error
        return mapper
