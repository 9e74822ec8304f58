"""Fitting of the expert on form (:mod:`muse.selector.form`): real windows beside themselves spoilt and beside samples.

First the perceptron learns which bar follows which, from pairs of bars of real windows (those that follow one another
against others of the same window) and from pasted ones. It is fitted on each half of the songs and measures the other,
so the trees learn from figures of windows that no perceptron has learnt from; what is kept is fitted on all of them.
Then trees are grown one after another, each on what the ones before leave undecided between the real window and the
spoilt one or the sample.

Contents: :func:`fit_form`; its steps :func:`drawn_windows`,
:func:`spoilt`, :func:`chord_transitions`, :func:`boosted`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.tree import DecisionTreeRegressor

from muse.errors import InputError
from muse.hearing.forest import Forest
from muse.selector.bars import N_CHORDS, Bars, bars_of, jaccard, likeness_sets, pair_measures
from muse.selector.events import Passage
from muse.selector.form import FormExpert
from muse.training.selector.damage import GRADES, corrupt
from muse.training.selector.data import Library, fold_of

__all__ = ["boosted", "chord_transitions", "drawn_windows", "fit_form", "spoilt"]

Floats = NDArray[np.float64]

N_HALVES: Final = 2
OTHERS: Final = 3
"""Pairs that do not follow one another, for each that does."""
HIDDEN: Final = 64
N_EPOCHS: Final = 12
ROWS_A_STEP: Final = 512
DRAWN: Final = {
    "shuffled_bars": (0, 1, 2, 3), "pasted_sections": (0, 1, 2), "stuck_loop": (0, 1, 3), "wrong_notes": (0, 2),
    "broken_rhythm": (0,), "random_register": (0,),
}  # fmt: skip
"""Grades of each kind of damage that a window is spoilt by."""
WEIGHTS: Final = {"shuffled_bars": 1.5, "pasted_sections": 1.5, "sample": 2.0}
"""What pairs of a kind count, against 1 for those that are not named."""
BESIDE_A_SAMPLE: Final = 4
"""Real windows that a sample is set beside."""
NO_TREES: Final = Forest(*(np.zeros(shape, np.int32) for shape in (0, 0, 0, (0, 2), (0, 1))))


@dataclass(frozen=True)
class Pairs:
    """A real window, and what it is better than."""

    real: Passage
    worse: tuple[Passage, ...]
    kinds: tuple[str, ...]
    """Of what is worse: a kind of damage, or ``sample``."""


def drawn_windows(library: Library, n: int, seed: int) -> Iterator[tuple[int, int]]:
    """Rows of windows on a grid, small corpora counting more than their size, each with one to paste from."""
    rng = np.random.default_rng([seed, 5])
    pool = library.pitched[library.on_grid[library.pitched]]
    _, place, sizes = np.unique(library.corpus_name[pool], return_inverse=True, return_counts=True)
    weight = sizes[place].astype(float) ** -0.5
    rows = rng.choice(pool, min(n, len(pool)), replace=False, p=weight / weight.sum())
    yield from zip(rows.tolist(), rng.choice(pool, len(rows)).tolist(), strict=True)


def spoilt(library: Library, row: int, donor: int, grades: Mapping[str, Sequence[int]] = DRAWN) -> Pairs:
    """A window beside itself spoilt by some grades of each kind of damage."""
    real, other = library.passage(row), library.passage(donor)
    kinds = [(kind, GRADES[g]) for kind, some in grades.items() for g in some]
    worse = tuple(corrupt(real, kind, share, other, row) for kind, share in kinds)
    return Pairs(real, worse, tuple(kind for kind, _ in kinds))


# ---------------------------------------------------------------------------------------------- which follows which


def chord_transitions(windows: Sequence[Bars], prior: float = 4.0) -> Floats:
    """Log probability of a chord after another, less that of the chord, over the halves of the bars of windows.

    Counts are smoothed towards how often roots move by an interval between chords of two families.
    """
    counts = np.zeros((N_CHORDS, N_CHORDS))
    for bars in windows:
        row = bars.chords.ravel()
        np.add.at(counts, (row[:-1], row[1:]), 1)
    n_families = (N_CHORDS - 1) // 12
    root, family = np.divmod(np.arange(N_CHORDS - 1), n_families)
    move = (root[None] - root[:, None]) % 12
    kind = (family[:, None] * n_families + family[None]) * 12 + move
    inner = counts[:-1, :-1]
    by_move = np.bincount(kind.ravel(), weights=inner.ravel(), minlength=12 * n_families**2) / 12
    alone = counts.sum(axis=0) + 1
    alone = alone / alone.sum()
    expected = np.tile(alone, (N_CHORDS, 1))
    backed = by_move[kind] + 0.1
    expected[:-1, :-1] = 0.5 * alone[None, :-1] + 0.5 * backed / backed.sum(axis=1, keepdims=True)
    expected /= expected.sum(axis=1, keepdims=True)
    given = (counts + prior * N_CHORDS * expected / 4) / (counts.sum(axis=1, keepdims=True) + prior * N_CHORDS / 4)
    return np.asarray(np.log(given / alone[None]))


def _bar_pairs(bars: Bars, measures: Floats, rng: np.random.Generator) -> Iterator[tuple[Floats, float]]:
    """Measures of pairs of a real window, and 1 where they follow one another."""
    n = bars.count
    if n < 3:
        return
    _, notes = likeness_sets(bars)
    alike = jaccard(notes)
    for a in range(n - 1):
        yield measures[a, a + 1], 1.0
        others = [b for b in range(n) if b not in (a, a + 1) and alike[b, a + 1] < 1]
        for b in rng.permutation(others)[:OTHERS].tolist():
            yield measures[a, b], 0.0


def _perceptron(x: Floats, y: NDArray[np.float32], seed: int) -> dict[str, Any]:
    """Arrays of a perceptron of two hidden layers that tells the odds of `y`, and of how measures are scaled."""
    center, scale = x.mean(axis=0), x.std(axis=0) + 1e-3
    torch.manual_seed(seed)
    rows = torch.from_numpy(np.clip((x - center) / scale, -5, 5).astype(np.float32))
    wanted = torch.from_numpy(y)
    layers = [torch.nn.Linear(x.shape[1], HIDDEN), torch.nn.Linear(HIDDEN, HIDDEN), torch.nn.Linear(HIDDEN, 1)]
    network = torch.nn.Sequential(
        layers[0], torch.nn.ReLU(), torch.nn.Dropout(0.1), layers[1], torch.nn.ReLU(), torch.nn.Dropout(0.1), layers[2]
    )
    n_steps = N_EPOCHS * (len(rows) // ROWS_A_STEP + 1)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=n_steps)
    for _ in range(n_steps):
        chosen = torch.randint(len(rows), (ROWS_A_STEP,))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network(rows[chosen])[:, 0], wanted[chosen])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    found: dict[str, Any] = {"center": center.astype(np.float32), "scale": scale.astype(np.float32)}
    for i, layer in enumerate(layers, 1):
        found[f"weight{i}"] = layer.weight.detach().numpy().T.copy()
        found[f"bias{i}"] = layer.bias.detach().numpy().copy()
    return found


# ------------------------------------------------------------------------------------------------------------ trees


def boosted(
    x: Floats,
    better: NDArray[np.int64],
    worse: NDArray[np.int64],
    weight: Floats,
    *,
    n_trees: int = 300,
    rate: float = 0.08,
    depth: int = 4,
    seed: int = 0,
) -> Forest:
    """Trees whose sum puts rows of `x` in order: `better` [pairs] above `worse` [pairs], each pair with its weight."""
    rng = np.random.default_rng(seed)
    total = np.zeros(len(x))
    x = x.astype(np.float32)
    grown = []
    for i in range(n_trees):
        doubt = expit(total[worse] - total[better])
        pull, curve = weight * doubt, weight * doubt * (1 - doubt)
        gradient = np.bincount(better, pull, len(x)) - np.bincount(worse, pull, len(x))
        hessian = np.bincount(better, curve, len(x)) + np.bincount(worse, curve, len(x)) + 1e-9
        taken = rng.random(len(x)) < 0.5
        tree = DecisionTreeRegressor(
            max_depth=depth, min_samples_leaf=40, max_features=0.3, random_state=int(rng.integers(2**31)) + i
        ).fit(x[taken], gradient[taken] / hessian[taken], sample_weight=hessian[taken])
        tree.tree_.value[:, 0, 0] *= rate
        total += tree.tree_.predict(x)[:, 0]
        grown.append(tree.tree_)
    return Forest.of(grown)


# ---------------------------------------------------------------------------------------------------- all together


def fit_form(
    library: Library,
    samples: Sequence[Passage],
    *,
    n_windows: int = 1600,
    n_spoilt: int = 500,
    n_trees: int = 250,
    seed: int = 0,
) -> FormExpert:
    """Fit the expert; its ``mix`` leaves the network out.

    Parameters
    ----------
    library
        Windows of the training songs.
    samples
        Of generators.
    n_windows
        Real windows that the perceptron learns from.
    n_spoilt
        So many of them the trees learn from.

    Raises
    ------
    InputError
        There are too few windows on a grid.
    """
    rng = np.random.default_rng([seed, 6])
    drawn = list(drawn_windows(library, n_windows, seed))
    windows = [bars_of(library.passage(row)) for row, _ in drawn]
    transitions = chord_transitions(windows)
    pairs = [list(_bar_pairs(bars, pair_measures(bars, transitions), rng)) for bars in windows]
    half = np.array([fold_of(str(library.song[row]), N_HALVES) for row, _ in drawn])

    def expert(chosen: NDArray[np.bool_]) -> FormExpert:
        found = [pair for taken, some in zip(chosen, pairs, strict=True) if taken for pair in some]
        if not found:
            raise InputError(
                "form is learnt from windows of three bars or more of several songs, and there are too few"
            )
        x, y = (np.array(part) for part in zip(*found, strict=True))
        network = _perceptron(x, y.astype(np.float32), seed)
        return FormExpert(
            transitions.astype(np.float32), **network, trees=NO_TREES, mix=np.array([0, 1, 0], np.float32)
        )

    halves = [expert(half != k) for k in range(N_HALVES)]
    trees = _Judged()
    for (row, donor), k in zip(drawn[:n_spoilt], half, strict=False):
        pair = spoilt(library, row, donor)
        trees.add(halves[k].figures(pair.real), zip(pair.kinds, map(halves[k].figures, pair.worse), strict=True))
    for i, sample in enumerate(samples):
        trees.add_beside(rng.integers(len(trees.real), size=BESIDE_A_SAMPLE), halves[i % N_HALVES].figures(sample))
    return replace(expert(np.ones(len(drawn), bool)), trees=trees.grown(n_trees, seed))


class _Judged:
    """Figures of real windows and of what they are better than."""

    def __init__(self) -> None:
        self.figures: list[Floats] = []
        self.real: list[int] = []
        self.pairs: list[tuple[int, int, str]] = []

    def add(self, real: Floats, worse: Iterable[tuple[str, Floats]]) -> None:
        """A real window, and what is spoilt of it, of which kind."""
        self.real.append(len(self.figures))
        self.figures.append(real)
        for kind, figures in worse:
            self.pairs.append((self.real[-1], len(self.figures), kind))
            self.figures.append(figures)

    def add_beside(self, real: NDArray[np.int64], sample: Floats) -> None:
        """A sample, set beside some of the real windows so far."""
        self.pairs += [(self.real[i], len(self.figures), "sample") for i in real.tolist()]
        self.figures.append(sample)

    def grown(self, n_trees: int, seed: int) -> Forest:
        better, worse, kinds = zip(*self.pairs, strict=True)
        return boosted(
            np.array(self.figures), np.array(better), np.array(worse), _evened(kinds), n_trees=n_trees, seed=seed
        )


def _evened(kinds: Sequence[str]) -> Floats:
    """Weights of pairs, mean 1: every kind as much as another, times :data:`WEIGHTS`."""
    names, place, counts = np.unique(np.array(kinds), return_inverse=True, return_counts=True)
    wanted = np.array([WEIGHTS.get(str(name), 1.0) for name in names])
    weight = (wanted / counts)[place]
    return np.asarray(weight / weight.mean())
