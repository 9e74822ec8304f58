"""Training of the recogniser's network (:mod:`muse.recognizer.heads.network`).

Every batch has windows of every dataset; a dataset without some label leaves that head to the other datasets' teachers,
so losses are masked by dataset.

Contents: :func:`fit_network`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from muse.recognizer.heads.network import TAGS, Network, NetworkConfig, NetworkOutput, Windows
from muse.training.recognizer.config import RecognizerConfig
from muse.training.recognizer.parts import Part, cropped
from muse.training.recognizer.teachers import SoftTargets

__all__ = ["fit_network"]


def fit_network(parts: Sequence[Part], config: RecognizerConfig, soft_targets: Sequence[SoftTargets] = ()) -> Network:
    """Train one network on windows with their labels, and on the teachers' soft targets."""
    torch.manual_seed(config.seed)
    random = torch.Generator().manual_seed(config.seed)
    sets = [name for name in TAGS if any(part.tag_set == name for part in parts)]
    shape = NetworkConfig(
        parts[0].windows.steps.shape[2],
        {name: len(TAGS[name]) for name in sets},
        harmony=config.harmony,
        dropout=config.dropout,
    )
    network = Network(shape)
    # Every dataset weighs the same in the scale of features.
    _scale([part.windows.steps[part.windows.mask] for part in parts], network.mean, network.spread)
    _scale([part.windows.profile for part in parts], network.profile_mean, network.profile_spread)
    learners = [_Learner(part, config, soft_targets[i] if soft_targets else {}) for i, part in enumerate(parts)]
    optimizer = torch.optim.AdamW(network.parameters(), config.rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.rate, total_steps=config.n_steps, pct_start=0.1)
    share = max(config.batch // len(parts), 1)
    network.train()
    for _ in range(config.n_steps):
        rows = [torch.randint(len(part.owner), (share,), generator=random) for part in parts]
        drawn = [cropped(Windows(*(x[k] for x in part.windows)), random) for part, k in zip(parts, rows, strict=True)]
        x = Windows(*(torch.cat(column) for column in zip(*drawn, strict=True)))
        blur = config.noise * network.spread * torch.randn(x.steps.shape, generator=random)
        output = network(x._replace(steps=x.steps + blur))
        losses = [
            learner.loss(output.only(slice(i * share, (i + 1) * share)), k, drawn[i].mask)
            for i, (learner, k) in enumerate(zip(learners, rows, strict=True))
        ]
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return network.eval()


def _scale(values: Sequence[torch.Tensor], mean: torch.Tensor, spread: torch.Tensor) -> None:
    """Write mean and standard deviation over datasets' rows."""
    first = torch.stack([x.mean(dim=0) for x in values]).mean(dim=0)
    square = torch.stack([x.square().mean(dim=0) for x in values]).mean(dim=0)
    mean.copy_(first)
    spread.copy_((square - first**2).clamp(min=1e-4).sqrt())


RATING_WEIGHT, TAG_WEIGHT, CURVE_WEIGHT, SPREAD_WEIGHT = 4.0, 4.0, 0.5, 0.3
"""What brings the losses to about one size; tags here are those that do not exclude each other."""


class _Learner:
    """Labels of a part's windows, and the losses that they ask for."""

    def __init__(self, part: Part, config: RecognizerConfig, soft: SoftTargets) -> None:
        self.part, self.config, self.soft = part, config, soft
        self.tags = None if part.tags is None else torch.from_numpy(part.tags[part.owner])
        self.plane = None if part.plane is None else torch.from_numpy(part.plane[part.owner])
        self.hard = {part.tag_set} if part.tags is not None else set()
        self.hard |= {"plane"} if part.plane is not None else set()
        self.class_weight = self.positive_weight = None
        if self.tags is not None and part.tag_set != "quadrants" and bool(((self.tags == 0) | (self.tags == 1)).all()):
            # Rare tags count for more (Kang & Herremans 2025, section 3.3; a tag of share p: 1/p and 2 / (1 + 1/p)).
            inverse = 1 / self.tags.mean(dim=0).clamp(min=1e-3)
            self.positive_weight, self.class_weight = inverse, 2 / (1 + inverse)

    def loss(self, output: NetworkOutput, rows: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Of the windows `rows`, whose steps in `mask` were inputs."""
        config = self.config
        share = config.distilled if self.soft else 0.0
        total = torch.zeros(())
        if self.tags is not None:
            total = total + (1 - share) * self._tag_loss(output.tags[self.part.tag_set], self.tags[rows])
        if self.plane is not None:
            target = self.plane[rows]
            error = (output.plane - target).square()
            total = total + (1 - share) * RATING_WEIGHT * error.mean()
            total = total + SPREAD_WEIGHT * _likelihood(error, output.log_variance)
            curve = target[:, None].expand(-1, mask.shape[1], -1)
            rated = mask
            if self.part.curve is not None:
                curve = self.part.curve[rows]
                rated = mask & curve.isfinite().all(dim=2)
            if rated.any():
                error = (output.curve[rated] - curve[rated]).square()
                spread = _likelihood(error, output.curve_log_variance[rated])
                total = total + CURVE_WEIGHT * (RATING_WEIGHT * error.mean() + SPREAD_WEIGHT * spread)
        for name, soft in self.soft.items():
            weight = share if name in self.hard else config.borrowed
            total = total + weight * self._distillation_loss(name, output, soft[rows])
        return total

    def _tag_loss(self, logits: torch.Tensor, tags: torch.Tensor) -> torch.Tensor:
        if self.part.tag_set == "quadrants":
            return functional.cross_entropy(logits, tags.argmax(dim=1), label_smoothing=0.1)
        return TAG_WEIGHT * functional.binary_cross_entropy_with_logits(
            logits, tags, weight=self.class_weight, pos_weight=self.positive_weight
        )

    def _distillation_loss(self, name: str, output: NetworkOutput, soft: torch.Tensor) -> torch.Tensor:
        """Tags softened on both sides by the temperature, which its square makes up for (Hinton et al., section 2)."""
        if name == "plane":
            return RATING_WEIGHT * (output.plane - soft).square().mean()
        heat = self.config.temperature
        logits = output.tags[name] / heat
        if name == "quadrants":
            return heat**2 * functional.cross_entropy(logits, (soft.log() / heat).softmax(dim=1))
        soft = (soft.logit() / heat).sigmoid()
        return TAG_WEIGHT * heat**2 * functional.binary_cross_entropy_with_logits(logits, soft)


def _likelihood(error: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Negative log likelihood of the expected error; the error itself is not moved by it."""
    return (error.detach() * (-log_variance).exp() + log_variance).mean()
