"""One run loop for the causal language models over music: Muon for matrices, AdamW for the rest, bf16, wall time.

The learning rate warms up, stays, and falls linearly over the last 70 % of the time (or the steps) given, so that a run
ends when it was told to, whatever else the machine does meanwhile. A run can be killed and resumed: its state (weights,
optimisers, step, active minutes) is written to a folder as safetensors and JSON; batches are a pure function of seed
and step. A finished run can be continued from its weights alone, with a short warm-up.

Muon: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks" (orthogonalised momentum).

Contents: :class:`Task`, :class:`RunSettings`, :func:`run`, :func:`pad`.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch.nn import functional as F
from transformers import AttentionInterface

from muse.checkpoint import load_tensors
from muse.errors import InputError
from muse.files import read_json, write_json
from muse.generator.model import build
from muse.training.precision import autocast, bf16_is_faster

__all__ = ["IGNORED", "Batch", "RunSettings", "Task", "pad", "run"]

_log = logging.getLogger(__name__)

_ATTENTION_BLOCKS = 4

IGNORED = -100
"""Label that cross-entropy passes over."""

Batch = tuple[torch.Tensor, torch.Tensor]
"""Ids and labels, int64 [B, T] each; labels are those of the same places (the loop shifts them)."""


class Task(Protocol):
    """What is learnt."""

    @property
    def vocab_size(self) -> int:
        """Number of ids."""
        ...

    def batch(self, step: int) -> Batch:
        """The batch of a step, the same each time it is asked for."""
        ...

    def validation(self) -> Sequence[Batch]:
        """Held-out batches."""
        ...


@dataclass(frozen=True)
class RunSettings:
    """Everything that decides a run besides its task. Written beside the weights."""

    size: str = "micro"
    """A name in ``muse.generator.model.SIZES``."""
    minutes: float = 60.0
    """Active minutes until the learning rate is zero."""
    max_steps: int = 0
    """Steps until then, instead of minutes; 0 lets the minutes decide."""
    matrix_rate: float = 0.02
    """Peak rate of Muon."""
    other_rate: float = 3e-3
    """Peak rate of AdamW, for embedding and norms."""
    momentum: float = 0.95
    weight_decay: float = 0.01
    warmup_steps: int = 50
    gradient_clip: float = 1.0
    validate_minutes: float = 6.0
    save_minutes: float = 3.0
    seed: int = 0
    start_from: str = ""
    """A checkpoint folder whose weights the run starts from; empty for random ones."""


def pad(sequences: Sequence[tuple[Sequence[int], Sequence[int]]]) -> Batch:
    """A batch of (ids, labels) of unequal length, padded on the right with id 0 and ignored labels."""
    longest = max(len(ids) for ids, _ in sequences)
    ids = np.zeros((len(sequences), longest), np.int64)
    labels = np.full((len(sequences), longest), IGNORED, np.int64)
    for row, (x, y) in enumerate(sequences):
        ids[row, : len(x)], labels[row, : len(y)] = x, y
    return torch.from_numpy(ids), torch.from_numpy(labels)


def loss_of(model: Any, batch: Batch) -> tuple[torch.Tensor, int]:
    """Summed cross-entropy in nats over the labels that count, and how many these are."""
    ids, labels = batch
    with autocast("cpu"):
        logits = model(ids[:, :-1]).logits
    targets = labels[:, 1:].reshape(-1)
    total = F.cross_entropy(logits.float().flatten(0, 1), targets, ignore_index=IGNORED, reduction="sum")
    return total, int((targets != IGNORED).sum())


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised by five Newton-Schulz steps, in bfloat16 only where that is faster.

    PyTorch's own works in bfloat16 whatever the machine, which CPUs without the instructions pay for.
    """

    def __init__(self, matrices: Iterable[torch.nn.Parameter], *, lr: float, momentum: float, weight_decay: float):
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update of all matrices that have a gradient."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                mean = self.state[p].setdefault("momentum", torch.zeros_like(p))
                mean.lerp_(p.grad, 1 - group["momentum"])
                update = _orthogonal(p.grad.lerp(mean, group["momentum"]))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update, alpha=-group["lr"] * max(1.0, p.shape[0] / p.shape[1]) ** 0.5)


def _orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """Its nearest orthogonal matrix, roughly (singular values 0.7..1.2); coefficients of Jordan et al."""
    a, b, c = 3.4445, -4.7750, 2.0315
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if is_tall else matrix
    x = x / (x.norm() + 1e-7)
    if bf16_is_faster():
        x = x.bfloat16()
    for _ in range(5):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if is_tall else x).to(matrix.dtype)


def causal_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention in blocks of queries, each with the keys that it may see: on a CPU half as long again as fast as
    PyTorch's own in bfloat16. Batches are padded on the right, so nothing else needs a mask.

    Parameters
    ----------
    query
        [B, heads, T, D]; *key* and *value* have fewer heads, shared by groups of queries.

    Returns
    -------
    tuple
        [B, T, heads, D], and no weights, as ``transformers`` expects them.
    """
    n_tokens = query.shape[2]
    groups = query.shape[1] // key.shape[1]
    key, value = (x.repeat_interleave(groups, dim=1) for x in (key, value))
    blocks = []
    step = -(-n_tokens // _ATTENTION_BLOCKS)
    for start in range(0, n_tokens, step):
        stop = min(start + step, n_tokens)
        weights = query[:, :, start:stop] @ key[:, :, :stop].transpose(-1, -2) * scaling
        hidden = torch.ones(stop - start, stop, dtype=torch.bool).triu(start + 1)
        weights = weights.masked_fill(hidden, float("-inf")).softmax(-1).to(value.dtype)
        blocks.append(weights @ value[:, :, :stop])
    return torch.cat(blocks, dim=2).transpose(1, 2).contiguous(), None


class _Run:
    """The state of a run: weights, optimisers, and where it stands."""

    def __init__(self, task: Task, settings: RunSettings, folder: Path) -> None:
        self.task, self.settings, self.folder = task, settings, folder
        torch.manual_seed(settings.seed)
        self.model = build(settings.size, task.vocab_size)
        if not torch.cuda.is_available():
            AttentionInterface.register("causal_blocks", causal_attention)
            self.model.set_attn_implementation("causal_blocks")
        if settings.start_from:
            self.model.load_state_dict(_full(load_tensors(settings.start_from, "pt")), strict=False)
        named = dict(self.model.named_parameters())
        matrices = [p for n, p in named.items() if p.dim() == 2 and "embed" not in n]
        others = [p for n, p in named.items() if p.dim() < 2 or "embed" in n]
        decay = settings.weight_decay
        self.optimizers: list[torch.optim.Optimizer] = [
            Muon(matrices, lr=settings.matrix_rate, momentum=settings.momentum, weight_decay=decay),
            torch.optim.AdamW(others, lr=settings.other_rate, betas=(0.9, 0.95), weight_decay=decay),
        ]
        self.rates = (settings.matrix_rate, settings.other_rate)
        self.step, self.tokens, self.minutes = 0, 0, 0.0
        self.history: list[dict[str, float]] = []

    @property
    def done(self) -> float:
        """Share of the run that lies behind, 0..1."""
        s = self.settings
        return self.step / s.max_steps if s.max_steps else self.minutes / s.minutes

    @property
    def rate(self) -> float:
        """Share of the peak learning rates, 0..1."""
        done = self.done
        warm = min(1.0, (self.step + 1) / self.settings.warmup_steps)
        return warm * (1.0 if done < 0.3 else max(0.02, (1 - done) / 0.7))

    def advance(self) -> float:
        """One step; the batch's loss in nats a token."""
        for optimizer, rate in zip(self.optimizers, self.rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * self.rate
        batch = self.task.batch(self.step)
        total, n = loss_of(self.model, batch)
        loss = total / max(n, 1)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.gradient_clip)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.tokens += int((batch[0] != 0).sum())
        return loss.item()

    def validate(self) -> float:
        """Held-out loss in nats a token."""
        self.model.eval()
        with torch.no_grad():
            sums = [loss_of(self.model, batch) for batch in self.task.validation()]
        self.model.train()
        return sum(total.item() for total, _ in sums) / sum(n for _, n in sums)

    def save(self) -> None:
        """Write weights and optimizer state into the run's folder, to go on from."""
        from safetensors.torch import save_file

        tensors = {f"model.{n}": p.detach().contiguous() for n, p in self.model.named_parameters()}
        for i, optimizer in enumerate(self.optimizers):
            for j, state in optimizer.state_dict()["state"].items():
                for name, value in state.items():
                    tensors[f"optimizer.{i}.{j}.{name}"] = torch.as_tensor(value).contiguous()
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / "state.tmp"
        save_file({name: tensor.clone() for name, tensor in tensors.items()}, str(partial))
        partial.replace(self.folder / "state.safetensors")
        where = {"step": self.step, "tokens": self.tokens, "minutes": self.minutes, "history": self.history}
        write_json(where | {"settings": asdict(self.settings)}, self.folder / "state.json")

    def resume(self) -> bool:
        """Take the state of the folder up; False where there is none."""
        from safetensors.torch import load_file

        path = self.folder / "state.safetensors"
        if not path.exists():
            return False
        told = read_json(self.folder / "state.json")["settings"]
        if told["size"] != self.settings.size:
            raise InputError(f"{path} is of size {told['size']}, the run is of {self.settings.size}; remove the state")
        tensors = load_file(str(path))
        weights = {n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")}
        self.model.load_state_dict(weights, strict=False)
        for i, optimizer in enumerate(self.optimizers):
            state = optimizer.state_dict()
            slots: dict[int, dict[str, torch.Tensor]] = {}
            for name, tensor in tensors.items():
                kind, _, rest = name.partition(".")
                if kind == "optimizer" and rest.startswith(f"{i}."):
                    _, number, key = rest.split(".")
                    slots.setdefault(int(number), {})[key] = tensor
            optimizer.load_state_dict({**state, "state": slots})
        where = read_json(self.folder / "state.json")
        self.step, self.tokens, self.minutes = where["step"], where["tokens"], where["minutes"]
        self.history = where["history"]
        return True


def _full(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.float() for name, tensor in tensors.items()}


def run(task: Task, folder: Path | str, settings: RunSettings) -> tuple[Any, dict[str, Any]]:
    """Train until the time given is used up, resuming from `folder` where it holds a state.

    Returns
    -------
    model, metrics
        The ``LlamaForCausalLM``; its held-out loss in nats a token, steps, tokens, minutes and the curve.
    """
    state = _Run(task, settings, Path(folder))
    if state.resume():
        _log.info("resumed at step %d, %.1f minutes", state.step, state.minutes)
    state.model.train()
    saved = validated = state.minutes
    recent: list[float] = []
    while state.done < 1:
        start = time.perf_counter()
        recent.append(state.advance())
        if math.isnan(recent[-1]):
            raise FloatingPointError(f"the loss is not a number at step {state.step}")
        state.minutes += (time.perf_counter() - start) / 60
        if state.minutes - validated >= settings.validate_minutes:
            validated = state.minutes
            _note(state, recent)
        if state.minutes - saved >= settings.save_minutes:
            saved = state.minutes
            state.save()
    _note(state, recent)
    state.save()
    metrics = {
        "val_loss": state.history[-1]["val_loss"],
        "steps": state.step,
        "tokens": state.tokens,
        "minutes": round(state.minutes, 1),
        "n_parameters": sum(p.numel() for p in state.model.parameters()),
        "history": state.history,
    }
    return state.model, metrics


def _note(state: _Run, recent: list[float]) -> None:
    row = {
        "step": state.step,
        "tokens": state.tokens,
        "minutes": round(state.minutes, 1),
        "train_loss": round(float(np.mean(recent)), 4) if recent else math.nan,
        "val_loss": round(state.validate(), 4),
    }
    recent.clear()
    state.history.append(row)
    _log.info("%s", row)
