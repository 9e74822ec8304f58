"""Fitting of the gate (:mod:`muse.recognizer.heads.gate`), and how it takes to what it has never heard.

Every kind of other sound is left out of the learning once, and of the choice of the threshold, and so is every family
of kinds that are like each other; what then is refused of it is what can be expected of sounds that nobody thought of.
Kinds of music are left out in the same way. What is said of known kinds and of music is of sources (files; voices of
speech) that were left out; only the axes and scales, which are of all music, have seen them.

Contents: :func:`fit_gate`, :data:`FAMILIES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from muse.errors import InputError
from muse.hearing.quadrants import gaussian
from muse.recognizer.heads.gate import MusicGate, standardised
from muse.training.recognizer.gate_takes import Takes
from muse.training.recognizer.teachers import group_folds

__all__ = ["FAMILIES", "fit_gate"]

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
Log = Callable[[float, float], None]

N_AXES: Final = 25
WIDTH: Final = 0.1
"""Precision of the kernel times the number of inputs."""
DECAY: Final = 0.003
"""Ridge of the least squares, for a take of mean weight."""
KEPT: Final = 0.982
"""Share of takes of music, of files that were not learnt from, that a half probability lets pass."""
N_FOLDS: Final = 5
FAMILIES: Final[Mapping[str, tuple[str, ...]]] = {
    "tones": ("siren", "two tones", "sweeps", "glides", "tones", "mains", "alarm", "horn", "buzzer", "telephone"),
    "strokes": ("thumps", "knocks", "steps", "heartbeat", "clicks", "typing", "bell"),
    "voices": ("speech", "babble", "whisper", "murmur", "cheers", "animals", "birds"),
}
"""Kinds of other sound that are like each other."""


def fit_gate(takes: Takes, progress: Log | None = None) -> tuple[MusicGate, dict[str, Any]]:
    """The gate, and what was measured: by kind the number of ``takes``, the shares of music ``kept`` (also ``all`` of
    it), of other sound ``refused``, ``refused_left_out`` and ``refused_without_family``, and of music
    ``kept_left_out``.

    Raises
    ------
    InputError
        There are too few files.
    """
    music, kinds = takes.is_music, _names(takes.kind)
    for name, at in (("music", music), ("other sound", ~music)):
        if (n := len(set(takes.source[at].tolist()))) < N_FOLDS:
            raise InputError(
                f"the gate is measured in {N_FOLDS} parts, but only {n} files of {name} can be heard: give more"
            )
    target, fold = music.astype(np.float64), group_folds(takes.source.tolist(), N_FOLDS)
    gate, inverse = _fitted(takes, np.ones(len(music), bool))
    unseen = _left_out_folds(inverse, target, fold)
    least = _least(unseen[music])
    other = [kind for kind in kinds if not music[takes.kind == kind][0]]
    left_out = {kind: takes.kind == kind for kind in kinds}
    left_out |= {f"family of {name}": np.isin(takes.kind, family) for name, family in FAMILIES.items()}
    left_out = {name: out for name, out in left_out.items() if out.any() and len(set(target[~out].tolist())) == 2}
    passed: dict[str, float] = {}
    without_family: dict[str, float] = {}
    for i, (name, out) in enumerate(left_out.items()):
        if music[out].any():  # which the axes and scales are of, so that they are made anew
            machine, rest = _fitted(takes, ~out)
            outputs = machine.output(takes.embedding[out], takes.figures[out])
        else:
            rest, outputs = _left_out(inverse, target, out)
        passes = outputs > _least(_left_out_folds(rest, target[~out], fold[~out])[music[~out]])
        if name in kinds:
            passed[name] = float(passes.mean())
        else:
            kind_of = takes.kind[out]
            without_family |= {kind: 1 - float(passes[kind_of == kind].mean()) for kind in _names(kind_of)}
        if progress is not None:
            progress(i + 1, len(left_out))
    share = {kind: float((unseen[takes.kind == kind] > least).mean()) for kind in kinds}
    measured = {
        "takes": {kind: int((takes.kind == kind).sum()) for kind in kinds},
        "kept": {"all": float((unseen[music] > least).mean())} | {one: share[one] for one in kinds if one not in other},
        "kept_left_out": {kind: passed[kind] for kind in passed if kind not in other},
        "refused": {kind: 1 - share[kind] for kind in other},
        "refused_left_out": {kind: 1 - passed[kind] for kind in passed if kind in other},
        "refused_without_family": without_family,
    }
    slope = LogisticRegression(class_weight="balanced").fit(unseen[:, None], music).coef_[0, 0]
    return replace(gate, odds=np.array([-slope * least, slope], np.float32)), measured


def _names(kinds: NDArray[np.str_]) -> list[str]:
    return [str(kind) for kind in np.unique(kinds)]


def _least(music: Floats) -> float:
    """The output that lets :data:`KEPT` of takes of music pass."""
    return float(np.quantile(music, 1 - KEPT))


def _left_out(inverse: Floats, target: Floats, out: Mask) -> tuple[Floats, Floats]:
    """Without some takes: the inverse of the rest's matrix, and what is then said of those takes.

    Both follow from the inverse of all by blocks, without solving anew (Pahikkala, Boberg & Salakoski 2006, "Fast
    n-fold cross-validation for regularized least-squares", SCAI).
    """
    block, beside = inverse[np.ix_(out, out)], inverse[np.ix_(out, ~out)]
    rest = inverse[np.ix_(~out, ~out)] - beside.T @ scipy.linalg.solve(block, beside, assume_a="pos")
    said = target[out] - scipy.linalg.solve(block, inverse[out] @ target, assume_a="pos")
    return rest, np.asarray(said)


def _left_out_folds(inverse: Floats, target: Floats, fold: NDArray[np.int64]) -> Floats:
    """What is said of each take without its fold."""
    weight, said = inverse @ target, target.copy()
    for k in np.unique(fold):
        out = fold == k
        said[out] -= scipy.linalg.solve(inverse[np.ix_(out, out)], weight[out], assume_a="pos")
    return said


def _fitted(takes: Takes, at: Mask) -> tuple[MusicGate, Floats]:
    """The machine of the takes `at`, still without its odds, and the inverse of the matrix that gave its weights.

    All takes of music weigh as much as all kinds of other sound, each of which weighs the same. Without any
    take near it the output would be 0, no music.
    """
    embedding, figures, music = takes.embedding[at], takes.figures[at], takes.is_music[at]
    axes = _principal_axes(embedding[music])
    inputs = np.hstack([embedding @ axes, figures])
    center = inputs[music].mean(axis=0).astype(np.float32)
    spread = (inputs[music].std(axis=0) + 1e-3).astype(np.float32)
    points = standardised(embedding, figures, axes, center, spread).astype(np.float16)
    _, kind, counts = np.unique(takes.kind[at], return_inverse=True, return_counts=True)
    n_other = len(np.unique(kind[~music]))
    share = np.where(music, 0.5 / music.sum(), 0.5 / counts[kind] / max(n_other, 1))
    x = points.astype(np.float64)
    precision = WIDTH / x.shape[1]
    kernel = gaussian(x, x, precision)
    kernel[np.diag_indices_from(kernel)] += DECAY / (share * len(share))
    inverse = scipy.linalg.inv(kernel)
    weight = inverse @ music
    gate = MusicGate(
        axes, center, spread, points, weight.astype(np.float32),
        np.array([precision], np.float32), np.zeros(2, np.float32),
    )  # fmt: skip
    return gate, inverse


def _principal_axes(embedding: NDArray[np.float32]) -> NDArray[np.float32]:
    """Directions in which embeddings of music differ most, each number by its own spread, [numbers, axes]."""
    spread = embedding.std(axis=0) + 1e-2
    _, _, axes = np.linalg.svd((embedding - embedding.mean(axis=0)) / spread, full_matrices=False)
    return np.asarray(axes[:N_AXES].T / spread[:, None], np.float32)
