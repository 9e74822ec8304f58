r"""What :meth:`muse.mapping.mapper.EmotionMapper.fit` learns from labelled windows.

Conventions
-----------
levels
    float [n, n_attributes], NaN where undefined.
codes, domains
    int [n], the class and the domain of each window, counted from 0; domain 0 is the first.
weight
    float [n] > 0.

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

Contents: :func:`read_labels`, :func:`fit_plane`, :func:`fit_classes`, :func:`fit_corpus`, :func:`choose`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from muse.attributes import LEVERS
from muse.emotion import QUADRANTS, Emotion
from muse.mapping.levels import Floats, covariance, mean_level

Codes = NDArray[np.int64]


class Plane(NamedTuple):
    """The continuous form."""

    neutral: Floats
    """[n_attributes] level where there is neither valence nor arousal."""
    slopes: Floats
    """[n_attributes, 3] change of level with valence, arousal and their product."""
    domain_offsets: Floats
    """[n_domains, n_attributes] neutral level of each domain minus that of the first."""


class Classes(NamedTuple):
    """The categorical form."""

    in_domain: NDArray[np.bool_]
    """[n_attributes] whether the first domain has the attribute at all."""
    centers: Floats
    """[n_classes, n_attributes]"""
    within: Floats
    """[n_attributes, n_attributes] covariance within classes, shrunk."""
    prototypes: Floats
    """[n_classes, n_attributes] the real window nearest to each center."""


def point_of(quadrant: str) -> tuple[float, float]:
    """Valence and arousal of a quadrant's center."""
    emotion = Emotion.parse(str(quadrant))
    return emotion.valence, emotion.arousal


def read_labels(y: ArrayLike) -> tuple[NDArray[Any], Floats | None]:
    """Class of each window [n] and its valence and arousal [n, 2]; no points for classes other than quadrants.

    Parameters
    ----------
    y
        Class labels [n], or float [n, 2] valence and arousal in -1..1.

    Raises
    ------
    ValueError
        None, infinities, points outside the plane, or continuous labels.
    """
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_array, column_or_1d

    if isinstance(y, (np.ndarray, list, tuple)) and np.ndim(y) == 2 and np.shape(y)[1] == 2:
        plane: Floats = check_array(np.asarray(y), dtype=np.float64)
        return np.array([Emotion(*point).quadrant for point in plane]), plane
    if y is None:
        raise ValueError("this EmotionMapper estimator requires y to be passed, but the target y is None")
    labels = column_or_1d(y, warn=True)
    check_classification_targets(labels)
    if labels.dtype.kind == "f":
        check_array(labels.reshape(1, -1))
    if not set(labels.tolist()) <= set(QUADRANTS):
        return labels, None
    return labels, np.array([point_of(label) for label in labels])


def fit_plane(
    levels: Floats, plane: Floats | None, codes: Codes, domains: Codes, weight: Floats, alpha: float
) -> Plane:
    """Continuous form: weighted ridge on valence, arousal and their product, an intercept per domain.

    Without a plane, the neutral point is the mean of the classes and there are no slopes.
    """
    n_attributes, n_domains = levels.shape[1], int(domains.max()) + 1
    found = Plane(np.zeros(n_attributes), np.zeros((n_attributes, 3)), np.zeros((n_domains, n_attributes)))
    if plane is None:
        means = [mean_level(levels[codes == k], weight[codes == k]) for k in np.unique(codes)]
        return found._replace(neutral=np.mean(means, axis=0))
    design = np.column_stack([np.eye(n_domains)[domains], plane, plane.prod(axis=1)])
    penalty = np.diag([1e-6] * n_domains + [alpha] * 3)
    for j in range(n_attributes):
        mass = np.where(np.isnan(levels[:, j]), 0.0, weight)  # an undefined value says nothing
        gram = design.T @ (mass[:, None] * design) + penalty
        solution = np.linalg.solve(gram, design.T @ (mass * np.nan_to_num(levels[:, j])))
        found.neutral[j] = solution[0]
        found.slopes[j] = solution[n_domains:]
        found.domain_offsets[:, j] = solution[:n_domains] - solution[0]
    return found


def fit_classes(levels: Floats, codes: Codes, weight: Floats, domains: Codes, shrinkage: float) -> Classes:
    """Categorical form: centers, nearest real vectors, common covariance within classes.

    Of the first domain alone, whose labels are classes, except for attributes that it cannot tell.
    """
    first, n_classes = domains == 0, int(codes.max()) + 1
    in_domain = np.isfinite(levels[first]).any(axis=0)
    if len(np.unique(codes[first])) == n_classes:
        levels = np.where(~first[:, None] & in_domain, np.nan, levels)
    rows = [codes == k for k in range(n_classes)]
    centers = np.array([mean_level(levels[row], weight[row]) for row in rows])
    defined = ~np.isnan(levels)
    residual = np.where(defined, levels - centers[codes], 0.0)
    mass = weight[:, None] * defined
    together = np.maximum(mass.T @ defined, 1e-12)
    covariance = (weight[:, None] * residual).T @ residual / together
    # Pairs of attributes that were seen on different windows can make the matrix indefinite.
    size, axes = np.linalg.eigh(covariance)
    covariance = (axes * np.maximum(size, 0.0)) @ axes.T
    diagonal = np.diag(np.maximum(np.diag(covariance), 1e-3))
    within = (1 - shrinkage) * covariance + shrinkage * diagonal + 1e-6 * np.eye(len(covariance))
    # Root mean square over what is defined; a window counts as real only with most of its attributes.
    spans = (residual**2).sum(axis=1) / np.maximum(defined.sum(axis=1), 1)
    spans[defined.mean(axis=1) < 0.5] = np.inf
    nearest = [np.flatnonzero(row)[spans[row].argmin()] for row in rows]
    return Classes(in_domain, centers, within, np.where(defined[nearest], levels[nearest], centers))


def fit_corpus(levels: Floats) -> tuple[Floats, float]:
    """How attributes go together in the corpus, and how far its windows lie from its middle.

    Returns
    -------
    correlation
        float [n_attributes, n_attributes], shrunk by a tenth.
    reach
        Mahalanobis distance that 95 % of the windows do not pass.
    """
    correlation = covariance(levels)
    scale = np.sqrt(np.maximum(np.diag(correlation), 1e-12))
    correlation = 0.9 * correlation / np.outer(scale, scale) + 0.1 * np.eye(len(scale))
    distance = np.einsum("ni,ij,nj->n", levels, np.linalg.inv(correlation), levels)
    return correlation, float(np.sqrt(np.quantile(distance, 0.95)))


def choose(names: Sequence[str], importances: Floats, correlation: Floats, wanted: int | None) -> NDArray[np.bool_]:
    r"""Which attributes targets hold, [n_attributes].

    The levers, then others by importance, leaving out what says the same as a chosen one (\|r\| > 0.9).

    Parameters
    ----------
    names, importances
        Of the attributes [n_attributes].
    correlation
        Of the corpus, float [n_attributes, n_attributes].
    wanted
        How many; None: all.
    """
    n = len(names)
    wanted = n if wanted is None else min(wanted, n)
    levers = [i for i, name in enumerate(names) if name in LEVERS]
    order = [*levers, *(i for i in np.argsort(-importances, kind="stable") if i not in levers)]
    chosen: list[int] = []
    for i in order:
        if len(chosen) >= max(wanted, len(levers)):
            break
        if i in levers or wanted == n or all(abs(correlation[i, j]) <= 0.9 for j in chosen):
            chosen.append(int(i))
    return np.isin(np.arange(n), chosen)
