"""Fitting of the gate (:mod:`muse.recognizer.heads.gate`), and how it takes to what it has never heard.

Every kind of other sound is left out of the learning once, with its axes, scales and threshold, and so is every family
of kinds that are like each other; what then is refused of it is what can be expected of sounds that nobody thought of.
Kinds of music are left out in the same way. What is said of known kinds and of music is of sources (files; voices of
speech) that were left out.

Contents: :func:`fit_gate`, :func:`learn_gate`, :data:`FAMILIES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from muse.errors import InputError
from muse.hearing.quadrants import gaussian
from muse.recognizer.encoders.encoder import Encoder
from muse.recognizer.heads.gate import MusicGate, standardised
from muse.training.recognizer.takes import Takes, hear_takes
from muse.training.recognizer.teachers import group_folds

__all__ = ["FAMILIES", "fit_gate", "learn_gate"]

Mask = NDArray[np.bool_]
Log = Callable[[float, float], None]

N_AXES: Final = 40
WIDTH: Final = 0.25
"""Precision of the kernel times the number of inputs."""
DECAY: Final = 0.03
"""Ridge of the least squares, for a take of mean weight."""
KEPT: Final = 0.983
"""Share of takes of music, of files that were not learnt from, that a half probability lets pass."""
N_FOLDS: Final = 5
FAMILIES: Final[Mapping[str, tuple[str, ...]]] = {
    "tones": ("siren", "glides", "tones", "mains", "alarm", "horn"),
    "strokes": ("thumps", "knocks", "steps", "heartbeat", "clicks", "typing", "bell"),
    "voices": ("speech", "animals", "birds"),
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
    other = [kind for kind in kinds if not music[takes.kind == kind][0]]
    families = {name: at for name, family in FAMILIES.items() if (at := np.isin(takes.kind, family)).any()}
    left_out = {kind: takes.kind == kind for kind in kinds} | {f"family of {name}": at for name, at in families.items()}
    left_out = {name: out for name, out in left_out.items() if music[~out].any() and not music[~out].all()}
    everything = np.ones(len(music), bool)
    unseen, least = _across_folds(takes, everything)
    passed: dict[str, float] = {}
    without_family: dict[str, float] = {}
    for i, (name, out) in enumerate(left_out.items()):
        threshold = _across_folds(takes, ~out)[1]
        passes = _outputs(_fitted(takes, ~out), takes, out) > threshold
        if name in kinds:
            passed[name] = float(passes.mean())
        else:
            without_family |= {
                kind: 1 - float(passes[takes.kind[out] == kind].mean()) for kind in _names(takes.kind[out])
            }
        if progress is not None:
            progress(i + 1, len(left_out))
    share = {kind: float((unseen[takes.kind == kind] > least).mean()) for kind in kinds}
    measured = {
        "takes": {kind: int((takes.kind == kind).sum()) for kind in kinds},
        "kept": {"all": float((unseen[music] > least).mean())}
        | {kind: share[kind] for kind in kinds if kind not in other},
        "kept_left_out": {kind: passed[kind] for kind in passed if kind not in other},
        "refused": {kind: 1 - share[kind] for kind in other},
        "refused_left_out": {kind: 1 - passed[kind] for kind in passed if kind in other},
        "refused_without_family": without_family,
    }
    slope = LogisticRegression(class_weight="balanced").fit(unseen[:, None], music).coef_[0, 0]
    odds = np.array([-slope * least, slope], np.float32)
    return replace(_fitted(takes, everything), odds=odds), measured


def learn_gate(
    music: Sequence[str | Path],
    others: Sequence[str | Path],
    encoder: Encoder,
    cache: str | Path,
    *,
    n_music: int = 110,
    n_noises: int = 16,
    seed: int = 0,
    progress: Log | None = None,
) -> tuple[MusicGate, dict[str, Any]]:
    """Hear takes and fit on them; see :func:`~muse.training.recognizer.takes.hear_takes` and :func:`fit_gate`.

    Raises
    ------
    InputError
        A folder has no sound, or no music is given.
    """
    takes = hear_takes(
        music, others, encoder, cache, n_music=n_music, n_noises=n_noises, seed=seed, progress=progress
    )  # fmt: skip
    return fit_gate(takes, progress)


def _names(kinds: NDArray[np.str_]) -> list[str]:
    return [str(kind) for kind in np.unique(kinds)]


def _across_folds(takes: Takes, at: Mask) -> tuple[NDArray[np.float64], float]:
    """Outputs for the takes `at` by machines that did not learn from their sources (NaN elsewhere), and the output that
    lets :data:`KEPT` of music pass."""
    fold = np.full(len(at), -1)
    fold[at] = group_folds(takes.source[at].tolist(), N_FOLDS)
    unseen = np.full(len(at), np.nan)
    for k in range(N_FOLDS):
        unseen[fold == k] = _outputs(_fitted(takes, at & (fold != k)), takes, fold == k)
    return unseen, float(np.quantile(unseen[at & takes.is_music], 1 - KEPT))


def _outputs(gate: MusicGate, takes: Takes, at: Mask) -> NDArray[np.float64]:
    return gate.output(takes.embedding[at], takes.figures[at])


def _fitted(takes: Takes, at: Mask) -> MusicGate:
    """The machine of the takes `at`, still without its odds.

    All takes of music weigh as much as all kinds of other sound, each of which weighs the same. The output is 0 far
    from everything: what is like nothing known is no music.
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
    weight = np.linalg.solve(kernel, music.astype(np.float64))
    return MusicGate(
        axes, center, spread, points, weight.astype(np.float32),
        np.array([precision], np.float32), np.zeros(2, np.float32),
    )  # fmt: skip


def _principal_axes(embedding: NDArray[np.float32]) -> NDArray[np.float32]:
    """Directions in which embeddings of music differ most, each number by its own spread, [numbers, axes]."""
    spread = embedding.std(axis=0) + 1e-2
    scaled = (embedding - embedding.mean(axis=0)) / spread
    _, vectors = np.linalg.eigh(scaled.T.astype(np.float64) @ scaled)
    return np.asarray(vectors[:, ::-1][:, :N_AXES] / spread[:, None], np.float32)
