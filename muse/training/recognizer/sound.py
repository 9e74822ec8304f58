"""Fitting of the experts on sound (:mod:`muse.recognizer.heads.sound`) on the sound matrix.

What matters is sound that nobody learnt from. So kernels are chosen by takes of other songs *and* other soundfonts than
were learnt from, and how far the experts are to be believed is told by such takes as well.

Conventions
-----------
rows
    Statistics of takes, one window each (a take is no longer than one): see :func:`rows_of`.
place
    Fold of a take's song, and number of its soundfont, int [n] each.

Contents: :func:`rows_of`, :func:`fonts_of`, :func:`fit_head`, :func:`head_across`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from muse.recognizer.features.chords import HarmonyModel
from muse.recognizer.features.windows import batch
from muse.recognizer.heads.teachers import KernelShape, Teacher, kernel_matrix, standardised, statistics
from muse.training.quadrants import folds_of
from muse.training.recognizer.takes import Take

__all__ = ["Across", "fit_head", "fonts_of", "head_across", "rows_of"]

Floats = NDArray[np.float64]
Rows = Mapping[str, NDArray[np.float32]]
Whole = NDArray[np.int64]

BLOCKS: Final = (("embedding",), ("embedding", "profile"), ("embedding", "timbre", "profile"))
WIDTHS: Final = (0.1, 0.3, 0.6)
DECAYS: Final = (0.1, 0.3, 1.0, 2.0)
"""What is tried."""
N_FOLDS: Final = 5


class Across(NamedTuple):
    """What heads tell of takes whose songs they did not learn from."""

    told: Floats
    """By heads that know the soundfont, where it is a trained one, [n, targets]."""
    strange: Floats
    """By heads that do not, [n, targets]; the same as `told` where it is none of the trained ones."""
    novelty: Floats
    """Of the sound to heads that know the soundfont [n]."""
    strange_novelty: Floats
    """To heads that do not, [n]."""


def rows_of(takes: Sequence[Take], harmony: HarmonyModel) -> Rows:
    """Statistics of takes, float32 [n, numbers] by block."""
    first = [take.features.windows(harmony)[0] for take in takes]
    return statistics(batch(first))


def fonts_of(takes: Sequence[Take]) -> Whole:
    """A number for each soundfont, by name, int [n]."""
    return np.unique([take.condition.soundfont for take in takes], return_inverse=True)[1]


def fit_head(rows: Rows, targets: Floats, songs: NDArray[np.str_], fonts: Whole, *, seed: int = 0) -> Teacher:
    """Choose a kernel by takes of other songs and soundfonts, fit it on all takes.

    Parameters
    ----------
    rows
        Of takes under known conditions, [n, numbers] by block.
    targets
        What is to be told of each, [n, targets].
    songs, fonts
        Of each, [n].
    seed
        Of the folds.
    """
    return _Head(rows, targets).fitted(_Head(rows, targets).chosen(folds_of(songs, N_FOLDS, seed), fonts))


def head_across(
    rows: Rows,
    targets: Floats,
    songs: NDArray[np.str_],
    fonts: Whole,
    known: NDArray[np.bool_],
    fold: Whole,
    *,
    seed: int = 0,
) -> Across:
    """What heads tell of takes of each fold that were fitted, and whose kernel was chosen, on other folds' takes under
    `known` conditions."""
    n = len(targets)
    told, strange = np.zeros((2, *targets.shape))
    novelty, strange_novelty = np.zeros((2, n))
    for k in sorted(set(fold.tolist())):
        learnt, out = known & (fold != k), fold == k
        head = _Head(_only(rows, learnt), targets[learnt])
        shape = head.chosen(folds_of(songs[learnt], N_FOLDS, seed), fonts[learnt])
        teacher, mine = head.fitted(shape), _only(rows, out)
        told[out], novelty[out] = teacher(mine), teacher.novelty(mine)
        strange[out], strange_novelty[out] = told[out], novelty[out]
        for font in sorted(set(fonts[out & known].tolist())):
            some = out & known & (fonts == font)
            without, here = head.fitted(shape, fonts[learnt] != font), _only(rows, some)
            strange[some], strange_novelty[some] = without(here), without.novelty(here)
    return Across(told, strange, novelty, strange_novelty)


class _Head:
    """Takes to learn from, standardised."""

    def __init__(self, rows: Rows, targets: Floats) -> None:
        self.mean = {name: x.mean(axis=0) for name, x in rows.items()}
        self.spread = {name: x.std(axis=0) + np.float32(1e-3) for name, x in rows.items()}
        self.points = {name: standardised(x, self.mean[name], self.spread[name]) for name, x in rows.items()}
        self.targets = targets

    def fitted(self, shape: KernelShape, some: NDArray[np.bool_] | None = None) -> Teacher:
        """On all takes or on some."""
        some = np.ones(len(self.targets), bool) if some is None else some
        points, targets = _only(self.points, some), self.targets[some]
        weights, bias = _solved(kernel_matrix(points, points, shape), targets, shape.decay)
        as_stored = (weights.astype(np.float32), bias.astype(np.float32))
        return Teacher(shape, self.mean, self.spread, points, *as_stored)

    def chosen(self, fold: Whole, fonts: Whole) -> KernelShape:
        """The shape with the least error on takes of other songs and soundfonts than were learnt from."""
        cells = [
            (out, (fold != k) & (fonts != font))
            for k, font in itertools.product(sorted(set(fold.tolist())), sorted(set(fonts.tolist())))
            if (out := (fold == k) & (fonts == font)).any()
        ]
        cells = [(out, learnt) for out, learnt in cells if learnt.any()]
        best, least = KernelShape(BLOCKS[0], WIDTHS[-1], DECAYS[-1]), np.inf
        for blocks, width in itertools.product(BLOCKS, WIDTHS):
            kernel = kernel_matrix(self.points, self.points, KernelShape(blocks, width, 0))
            errors = np.zeros(len(DECAYS))
            for (out, learnt), (i, decay) in itertools.product(cells, enumerate(DECAYS)):
                weights, bias = _solved(kernel[np.ix_(learnt, learnt)], self.targets[learnt], decay)
                wrong = kernel[np.ix_(out, learnt)] @ weights + bias - self.targets[out]
                errors[i] += np.square(wrong).sum()
            if errors.min() < least:
                best, least = KernelShape(blocks, width, DECAYS[int(errors.argmin())]), float(errors.min())
        return best


def _solved(kernel: Floats, targets: Floats, decay: float) -> tuple[Floats, Floats]:
    """Weights and bias of kernel ridge regression."""
    bias = targets.mean(axis=0)
    return scipy.linalg.solve(kernel + decay * np.eye(len(kernel)), targets - bias, assume_a="pos"), bias


def _only(rows: Rows, some: NDArray[np.bool_]) -> Rows:
    return {name: x[some] for name, x in rows.items()}
