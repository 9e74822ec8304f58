"""What all listeners share, learnt from many single ones: fits :class:`muse.recognizer.heads.personal.PersonalModel`.

Conventions
-----------
task
    One listener on one piece; see :mod:`muse.recognizer.heads.personal`.
predicted
    Curves of recognisers that did not learn from the piece, as it will be with new music.

Contents: :class:`Tasks`, :func:`tasks_of`, :func:`fit_personal`, :func:`learn_listeners`.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from muse.corpora import ListenerCurve, listener_curves
from muse.errors import InputError
from muse.recognizer.ensemble import Ensemble
from muse.recognizer.heads.personal import N_COMPONENTS, PersonalModel, RecognizedPiece, curve_on_steps
from muse.training.recognizer.config import RecognizerConfig
from muse.training.recognizer.course import apply_course, fit_course
from muse.training.recognizer.network import fit_network
from muse.training.recognizer.parts import Part
from muse.training.recognizer.teachers import distil, group_folds

__all__ = ["Tasks", "fit_personal", "learn_listeners", "tasks_of"]

Floats = NDArray[np.float32]

N_STEPS: Final = 600


@dataclass(frozen=True)
class Tasks:
    """Pieces with what was predicted for them and what each listener rated."""

    pieces: Mapping[str, RecognizedPiece]
    ratings: Mapping[str, Floats]
    """[T, 2, listeners]; NaN where not rated."""
    groups: Mapping[str, str]

    def only(self, names: Sequence[str]) -> Tasks:
        """Some of the pieces."""
        return Tasks(
            {name: self.pieces[name] for name in names},
            {name: self.ratings[name] for name in names},
            {name: self.groups[name] for name in names},
        )


def tasks_of(part: Part, predicted: Floats, curves: Sequence[ListenerCurve]) -> Tasks:
    """Tasks of a dataset.

    Parameters
    ----------
    part
        Its clips.
    predicted
        Curves of windows, [W, T, 2].
    curves
        Of single listeners.
    """
    steps, lines = part.over_time(part.windows.steps.numpy()), part.over_time(predicted)
    by_clip: dict[str, list[Floats]] = defaultdict(list)
    for one in curves:
        by_clip[one.clip].append(one.curve)
    pieces, ratings, groups = {}, {}, {}
    for clip, features, line in zip(part.clips, steps, lines, strict=True):
        if clip.name in by_clip:
            pieces[clip.name] = RecognizedPiece(features, line)
            ratings[clip.name] = np.stack([curve_on_steps(curve, len(line)) for curve in by_clip[clip.name]], axis=2)
            groups[clip.name] = clip.group
    return Tasks(pieces, ratings, groups)


def fit_personal(
    tasks: Tasks,
    *,
    n_steps: int = N_STEPS,
    rate: float = 3e-3,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> PersonalModel:
    """Learn what all listeners share.

    Parameters
    ----------
    tasks
        Listeners on pieces.
    n_steps
        Of the optimiser; each takes four pieces with all their listeners.
    rate
        Of learning.
    seed
        Of order and weights.
    progress
        Called with the share that is done.
    """
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    pieces, ratings = tasks.pieces, tasks.ratings
    names = sorted(pieces)
    model = PersonalModel(pieces[names[0]].steps.shape[1])
    _fit_basis(model, [pieces[name].steps for name in names])
    tensors = {name: (torch.from_numpy(pieces[name].steps), torch.from_numpy(pieces[name].curve)) for name in names}
    truth = {name: torch.from_numpy(ratings[name]) for name in names}
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=n_steps, pct_start=0.1)
    model.train()
    for step in range(n_steps):
        losses = []
        for name in random.choice(names, size=min(4, len(names)), replace=False):
            rated = truth[name]
            first = int(len(rated) * random.uniform(0.1, 0.5))
            known = rated.clone()
            known[first:] = torch.nan
            predicted, variance = model((), (), tensors[name], known)
            query = rated[first:]
            is_rated = torch.isfinite(query)
            error = (predicted[first:] - query)[is_rated].square()
            spread = variance[first:, :, None].expand_as(query)[is_rated]
            losses.append(error.mean() + 0.02 * (error.detach() / spread + spread.log()).mean())
        optimizer.zero_grad()
        torch.stack(losses).mean().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if progress is not None:
            progress((step + 1) / n_steps)
    return model.eval()


def _fit_basis(model: PersonalModel, steps: Sequence[Floats]) -> None:
    """Principal components of the standardised features, scaled to unit variance."""
    x = np.concatenate([rows[::4] for rows in steps]).astype(np.float64)
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-3
    _, size, axes = np.linalg.svd((x - mean) / spread, full_matrices=False)
    n = min(N_COMPONENTS, int((size > 1e-6 * size[0]).sum()))
    basis = axes[:n].T / (size[:n] / np.sqrt(len(x))) / spread[:, None]
    model.mean.copy_(torch.from_numpy(mean))
    model.basis[:, :n] = torch.from_numpy(basis)


def learn_listeners(
    parts: Sequence[Part], folders: Sequence[str | Path], config: RecognizerConfig, n_folds: int = 3
) -> tuple[PersonalModel | None, int]:
    """What all listeners share, from the datasets that have single listeners' curves; None where none has.

    What they are compared with is predicted by networks and teachers that did not learn from the piece.
    Returns the number of curves too.
    """
    curves = {}
    for part, folder in zip(parts, folders, strict=True):
        with contextlib.suppress(InputError):  # those annotations are not everybody's
            curves[part.name] = listener_curves(folder)
    if not curves:
        return None, 0
    folds = {part.name: group_folds(part.groups, n_folds) for part in parts}
    rated = [part for part in parts if part.name in curves]
    predicted = {part.name: np.zeros((*part.windows.mask.shape, 2), np.float32) for part in rated}
    for i in range(n_folds):
        learnt = [part.only(folds[part.name] != i) for part in parts]
        teachers, soft_targets = distil(learnt, config) if config.distilled else ({}, [])
        ensemble = Ensemble([fit_network(learnt, config, soft_targets)], teachers, config.taught)
        course = fit_course(learnt) if config.course else None
        for part in rated:
            out = folds[part.name] == i
            some = part.only(out)
            predicted[part.name][out[part.owner]] = apply_course(course, some, ensemble.predict(some.windows).curve)
    tasks = [tasks_of(part, predicted[part.name], curves[part.name]) for part in rated]
    merged = Tasks(
        {name: value for one in tasks for name, value in one.pieces.items()},
        {name: value for one in tasks for name, value in one.ratings.items()},
        {name: value for one in tasks for name, value in one.groups.items()},
    )
    if not merged.pieces:
        return None, 0
    return fit_personal(merged, seed=config.seed), int(sum(x.shape[2] for x in merged.ratings.values()))
