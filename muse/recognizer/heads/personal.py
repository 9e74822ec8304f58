"""One listener: a little of what they rated adapts the recogniser to them.

A listener departs from the mean of listeners by a bias, by a scale, by taste, and by a mood that changes slowly while
they listen. The model of that departure is a Gaussian process over half seconds,

    rating(t) = curve(t) + m(t) + sum_k w_k phi_k(t) + drift(t) + noise,

with weights ``w_k ~ N(0, s_k^2)`` that are the listener's own on all music, and a drift (Ornstein-Uhlenbeck) that is
their own within one piece. Conditioning it on a few ratings has a closed form. What all listeners share, the common
correction ``m``, the features ``phi`` on a short and a long scale of time, and all variances, is learnt beforehand on
many listeners: every step conditions on the first part of their curves and asks for the rest.

Conventions
-----------
task
    One listener on one piece (Zhang et al. 2025, "Personalized Dynamic Music Emotion Recognition with Dual-Scale
    Attention-Based Meta-Learning", AAAI, section 3: tasks by annotator).
support, query
    What is known of a task, and what is asked for.
curve
    Valence and arousal of every half second, float32 [T, 2]; NaN where not rated.
curve of a piece
    What the recogniser predicted: :class:`RecognizedPiece`.

Contents: :class:`RecognizedPiece`, :class:`Listener`, :class:`PersonalModel`, :func:`curve_on_steps`.
:mod:`muse.training.recognizer.personal` fits the model.

References
----------
Bertinetto et al. 2019, "Meta-learning with differentiable closed-form solvers", ICLR. Patacchiola et al. 2020,
"Bayesian meta-learning for the few-shot setting via deep kernels", NeurIPS. Rasmussen & Williams 2006, "Gaussian
Processes for Machine Learning", equations 2.22 to 2.24 (conditioning) and 2.31 (Ornstein-Uhlenbeck covariance).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from muse.recognizer.features.signal import STEP_SEC, running_mean

__all__ = ["Listener", "PersonalModel", "RecognizedPiece", "curve_on_steps"]

Floats = NDArray[np.float32]

LONG_STEPS: Final = 15
"""To either side, that the long scale averages over; the short one is the half second itself."""
N_COMPONENTS: Final = 16
N_LEARNT: Final = 8
EVERY: Final = 2
"""Of rated half seconds one in so many is conditioned on: neighbours say the same."""


@dataclass(frozen=True)
class RecognizedPiece:
    """A piece as recognized without a listener."""

    steps: Floats
    """Features of every step, [T, F]."""
    curve: Floats
    """[T, 2]."""


def curve_on_steps(curve: Floats | None, n_steps: int) -> Floats:
    """Valence and arousal in the middle of every step, float32 [n_steps, 2]; NaN where there are no ratings."""
    if curve is None or len(curve) == 0:
        return np.full((n_steps, 2), np.nan, np.float32)
    at = (np.arange(n_steps) + 0.5) * STEP_SEC
    rows = np.stack([np.interp(at, curve[:, 0], curve[:, axis]) for axis in (1, 2)], axis=1)
    outside = (at < curve[0, 0] - STEP_SEC) | (at > curve[-1, 0] + max(STEP_SEC, _gap(curve)))
    rows[outside] = np.nan
    return rows.astype(np.float32)


def _gap(curve: Floats) -> float:
    """Seconds between points: the last one holds as long."""
    return float(np.median(np.diff(curve[:, 0]))) if len(curve) > 1 else 0.0


@dataclass(frozen=True)
class Listener:
    """What one listener rated: pieces with ratings on their steps, [T, 2], NaN where not rated."""

    rated: tuple[tuple[RecognizedPiece, Floats], ...]


class PersonalModel(nn.Module):
    """See the module.

    Parameters
    ----------
    n_features
        Of a step.
    """

    mean: torch.Tensor
    basis: torch.Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("basis", torch.zeros(n_features, N_COMPONENTS))
        n_inputs = 2 * N_COMPONENTS + 2
        self.learnt = nn.Sequential(nn.Linear(n_inputs, 32), nn.Tanh(), nn.Dropout(0.2), nn.Linear(32, 2 * N_LEARNT))
        self.common = nn.Linear(5, 2)
        nn.init.zeros_(self.common.weight)
        nn.init.zeros_(self.common.bias)
        # Per axis: 1, the two curves, the learnt features; logarithms of standard deviations.
        self.log_spread = nn.Parameter(torch.cat([torch.tensor([-1.0, -1.5, -1.5]), torch.full((N_LEARNT,), -2.5)])
                                       .repeat(2, 1))  # fmt: skip
        self.log_drift = nn.Parameter(torch.full((2,), -1.5))
        self.log_span = nn.Parameter(torch.full((2,), 3.0))
        """Of the drift, in logarithms of seconds."""
        self.log_noise = nn.Parameter(torch.full((2,), -2.5))

    def features(self, steps: torch.Tensor, curve: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features [2, T, K] of the two axes, scaled by their prior, and the common correction [2, T]."""
        short = (steps - self.mean) @ self.basis
        smooth = torch.from_numpy(running_mean(short.numpy(), LONG_STEPS, LONG_STEPS)).to(short.dtype)
        inputs = torch.cat([short, smooth, curve], dim=1)
        learnt = self.learnt(inputs).view(len(steps), 2, N_LEARNT).transpose(0, 1)
        plain = torch.cat([torch.ones(len(steps), 1), curve], dim=1).expand(2, -1, -1)
        time = STEP_SEC * torch.arange(len(steps), dtype=curve.dtype)[:, None]
        start = torch.cat([curve, (-time / 4).exp(), (-time / 15).exp(), (-time / 60).exp()], dim=1)
        return torch.cat([plain, learnt], dim=2) * self.log_spread.exp()[:, None], self.common(start).T

    def covariance(
        self, one: torch.Tensor, two: torch.Tensor, time: torch.Tensor, other: torch.Tensor, same: torch.Tensor
    ) -> torch.Tensor:
        """Of steps with features [2, n, K] and [2, m, K], at seconds [n], [m]; `same` piece [n, m]; float [2, n, m]."""
        apart = (time[:, None] - other).abs()
        drift = (2 * self.log_drift).exp()[:, None, None] * (-apart / self.log_span.exp()[:, None, None]).exp()
        return one @ two.transpose(1, 2) + drift * same

    def forward(
        self,
        support: Sequence[tuple[torch.Tensor, torch.Tensor]],
        ratings: Sequence[torch.Tensor],
        query: tuple[torch.Tensor, torch.Tensor],
        known: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What listeners would say of a piece.

        Parameters
        ----------
        support
            Steps and curves of the pieces that were rated.
        ratings
            Of each of them, by listeners who rated the same steps, [T, 2, listeners]; NaN where not rated.
        query
            Steps and curve of the piece that is predicted.
        known
            The query's own ratings [T, 2, listeners], where it is partly rated.

        Returns
        -------
        (float [T, 2, listeners], float [T, 2])
            Mean and variance.
        """
        pieces = [(*piece, rated) for piece, rated in zip(support, ratings, strict=True)]
        if known is not None:
            pieces.append((*query, known))
        ahead, correction = self.features(*query)
        base = query[1].T + correction  # [2, T]
        T = len(query[0])
        clock = STEP_SEC * torch.arange(T, dtype=base.dtype)
        noise = (2 * self.log_noise).exp()
        own = ahead.square().sum(dim=2) + (2 * self.log_drift).exp()[:, None] + noise[:, None]
        rows, left, times, which = [], [], [], []
        for i, (steps, curve, rated) in enumerate(pieces):
            rated_steps = torch.isfinite(rated).all(dim=2).all(dim=1).nonzero()[:, 0][::EVERY]
            found, shift = self.features(steps, curve)
            rows.append(found[:, rated_steps])
            left.append(rated[rated_steps].permute(1, 0, 2) - (curve.T + shift)[:, rated_steps, None])
            times.append(STEP_SEC * rated_steps.to(base.dtype))
            which.append(torch.full((len(rated_steps),), i))
        n = sum(len(time) for time in times)
        if not n:
            listeners = pieces[0][2].shape[2] if pieces else 1
            return base.T[..., None].expand(-1, -1, listeners), own.T
        observed, time, piece = torch.cat(rows, dim=1), torch.cat(times), torch.cat(which)
        inner = self.covariance(observed, observed, time, time, piece[:, None] == piece)
        inner = inner + noise[:, None, None] * torch.eye(n)
        here = piece == (len(pieces) - 1 if known is not None else -1)
        across = self.covariance(ahead, observed, clock, time, here.expand(T, -1))  # [2, T, n]
        root = torch.linalg.cholesky(inner.double())
        solved = torch.cholesky_solve(torch.cat(left, dim=1).double(), root).to(base.dtype)
        half = torch.linalg.solve_triangular(root, across.transpose(1, 2).double(), upper=False).to(base.dtype)
        mean = base[..., None] + across @ solved  # [2, T, listeners]
        return mean.permute(1, 0, 2), (own - half.square().sum(dim=1)).clamp(min=1e-4).T

    @classmethod
    def load(cls, tensors: Mapping[str, torch.Tensor]) -> PersonalModel:
        """From weights.

        Raises
        ------
        KeyError, RuntimeError
            They do not fit.
        """
        model = cls(len(tensors["mean"]))
        model.load_state_dict(dict(tensors))
        return model.eval()

    @torch.inference_mode()
    def adapt(self, support: RecognizedPiece, listener: Listener, known: Floats | None = None) -> tuple[Floats, Floats]:
        """Curve and variance of a piece, [T, 2], as a listener would rate it; `known` are their ratings of itself."""
        mean, variance = self(
            [(torch.from_numpy(piece.steps), torch.from_numpy(piece.curve)) for piece, _ in listener.rated],
            [torch.from_numpy(rated)[..., None] for _, rated in listener.rated],
            (torch.from_numpy(support.steps), torch.from_numpy(support.curve)),
            None if known is None else torch.from_numpy(known)[..., None],
        )
        return mean[..., 0].numpy(), variance.numpy()
