"""The second two-sample test: can a small network tell pieces from people's by their notes alone?

Trees read figures that somebody thought of (:mod:`muse.evaluate.metrics.human_likeness`); this network reads the roll
itself, so it sees what no figure names. It is small, as people's windows are few: two layers of convolution over time,
the mean over the piece, and moved keys as augmentation. Folds by song, as there.

Conventions: AUC 0.5: it cannot tell; 1: it always can. Loudness is not in the roll.

Contents: :func:`roll`, :func:`network_test`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from muse.errors import InputError
from muse.score import DRUMS, Notes

if TYPE_CHECKING:
    import torch

__all__ = ["network_test", "roll"]

Floats: TypeAlias = NDArray[np.float32]

STEPS = 4
"""Of the roll a beat."""
LOW, HIGH = 28, 100
"""Pitches of the roll; others move by octaves into it."""
N_EPOCHS, BATCH = 25, 32
MAX_SHIFT = 5
"""Semitones by which pieces are moved while it learns."""
MIN_GROUP = 10


def roll(notes: Notes, bar_beats: float, n_bars: int) -> Floats:
    """A piece as float32 [2 * (HIGH - LOW), steps]: where each pitch begins, and below where it sounds; 0 or 1."""
    n, size = round(bar_beats * n_bars * STEPS), HIGH - LOW
    out = np.zeros((2 * size, n), np.float32)
    pitched = notes[notes["program"] != DRUMS]
    first = np.rint(pitched["onset_beat"] * STEPS).astype(int)
    last = np.maximum(np.rint((pitched["onset_beat"] + pitched["duration_beat"]) * STEPS).astype(int), first + 1)
    for pitch, a, b in zip(pitched["pitch"].tolist(), first.tolist(), last.tolist(), strict=True):
        row = pitch
        while row < LOW:
            row += 12
        while row >= HIGH:
            row -= 12
        if a < n:
            out[row - LOW, a] = 1
            out[size + row - LOW, a:b] = 1
    return out


def network_test(
    people: Sequence[Floats],
    songs: Sequence[str],
    pieces: Sequence[Floats],
    *,
    groups: Sequence[str] | None = None,
    n_epochs: int = N_EPOCHS,
    seed: int = 0,
) -> float:
    """AUC of telling pieces from people's windows, 0..1.

    Parameters
    ----------
    people, pieces
        :func:`roll` of each, all of one shape.
    songs
        The song of each window of people's, so that none is in two folds.
    groups
        Of each piece, those that belong in one fold; by default each stands alone.
    n_epochs
        Times that the network sees every piece.
    seed
        Of folds, weights and batches.

    Raises
    ------
    InputError
        Fewer than ten of either.
    """
    import torch
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold

    if min(len(people), len(pieces)) < MIN_GROUP:
        raise InputError(f"{len(people)} of people's and {len(pieces)} pieces are too few; give {MIN_GROUP} of each")
    x = torch.from_numpy(np.stack([*people, *pieces]))  # [n, 2 pitches, steps]
    y = np.repeat([1.0, 0.0], [len(people), len(pieces)]).astype(np.float32)
    folds = np.array([*songs, *(groups or [f"piece {i}" for i in range(len(pieces))])])
    chance = np.zeros(len(y))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for train, test in StratifiedGroupKFold(3, shuffle=True, random_state=seed).split(y, y, folds):
            network = _fitted(x[train], torch.from_numpy(y[train]), n_epochs, np.random.default_rng(seed))
            with torch.no_grad():
                chance[test] = network(x[test]).squeeze(1).numpy()
    return float(roc_auc_score(y, chance))


def _fitted(x: torch.Tensor, y: torch.Tensor, n_epochs: int, rng: np.random.Generator) -> torch.nn.Module:
    """A network that has learnt to tell people's (1) from others (0)."""
    import torch
    from torch import nn

    network = nn.Sequential(
        nn.Conv1d(x.shape[1], 24, 2 * STEPS, stride=STEPS // 2), nn.ReLU(), nn.Dropout(0.3),
        nn.Conv1d(24, 32, 8, stride=4), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Dropout(0.3),
        nn.Linear(32, 1),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.02)
    # Both groups weigh the same, whatever their sizes.
    loss = nn.BCEWithLogitsLoss(pos_weight=(1 - y).sum() / y.sum())
    for _ in range(n_epochs):
        order = rng.permutation(len(x))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            shift = int(rng.integers(-MAX_SHIFT, MAX_SHIFT + 1))
            optimizer.zero_grad()
            # One shift a batch; what leaves the roll at one end of a half would enter the other, so ends are cleared.
            moved = torch.roll(x[rows].view(len(rows), 2, HIGH - LOW, -1), shift, dims=2)
            if shift > 0:
                moved[:, :, :shift] = 0
            elif shift < 0:
                moved[:, :, shift:] = 0
            loss(network(moved.reshape(x[rows].shape)).squeeze(1), y[rows]).backward()
            optimizer.step()
    network.eval()
    return network
