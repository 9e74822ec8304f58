"""What the selector's training makes small: a loss for each task, over the rows that have its labels.

Contents: :func:`masked_loss`, :func:`quality_loss`, :func:`misplaced_loss`, :func:`emotion_loss`, :func:`genre_loss`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from muse.selector.network import Network

__all__ = ["emotion_loss", "genre_loss", "masked_loss", "misplaced_loss", "quality_loss"]


def masked_loss(network: Network, hidden: Tensor, targets: Tensor) -> Tensor:
    """Mean over fields of the cross-entropy of what was blanked; targets [B, T - 1, fields], 0 where nothing was."""
    losses = []
    states = hidden[:, 1:]
    for i, head in enumerate(network.masked):
        wanted = targets[..., i]
        at = wanted > 0
        if at.any():
            losses.append(functional.cross_entropy(head(states[at]).float(), wanted[at]))
    return torch.stack(losses).mean()


def quality_loss(quality: Tensor, group: Tensor, rank: Tensor) -> Tensor | None:
    """Mean logistic loss over ordered pairs within groups; None without a pair. Ranks are int64 [B, 2]."""
    ordered = (rank[:, None] <= rank[None]).all(-1) & (rank[:, None] < rank[None]).any(-1)
    better = ordered & (group[:, None] == group[None]) & (group[:, None] >= 0)
    if not better.any():
        return None
    return functional.softplus(-(quality[:, None] - quality[None]))[better].mean()


def misplaced_loss(doubts: Tensor, misplaced: Tensor) -> Tensor | None:
    """Cross-entropy of which events damage has put there, of one shape; NaN where unknown."""
    known = torch.isfinite(misplaced)
    if not known.any():
        return None
    return functional.binary_cross_entropy_with_logits(doubts[known], misplaced[known])


def emotion_loss(out: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor | None:
    """Quadrants by cross-entropy, ratings by Gaussian likelihood, lone signs by the Gaussian's mass on their side."""
    losses = []
    quadrant, rating = batch["quadrant"], batch["rating"]
    known = quadrant >= 0
    if known.any():
        losses.append(functional.cross_entropy(out["quadrant"][known], quadrant[known], label_smoothing=0.1))
    rated = torch.isfinite(rating).all(-1)
    variance = out["log_variance"].exp()
    if rated.any():
        error = (rating[rated] - out["mean"][rated]) ** 2
        losses.append(0.5 * (error / variance[rated] + out["log_variance"][rated]).sum(-1).mean())
    signs = known & batch["signs_only"]
    if signs.any():
        q = quadrant[signs]
        side = torch.stack([torch.where((q == 0) | (q == 3), 1.0, -1.0), torch.where(q < 2, 1.0, -1.0)], dim=-1)
        z = side * out["mean"][signs] / variance[signs].sqrt()
        losses.append(-0.5 * torch.special.log_ndtr(z).sum(-1).mean())
    return torch.stack(losses).sum() if losses else None


def genre_loss(genre: Tensor, wanted: Tensor) -> Tensor | None:
    """Cross-entropy where the genre is known."""
    known = wanted >= 0
    return functional.cross_entropy(genre[known], wanted[known], label_smoothing=0.05) if known.any() else None
