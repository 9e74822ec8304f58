"""The causal language models over music as learners of the one loop: Muon for matrices, AdamW for the rest.

The learning rate warms up, stays, and falls linearly over the last 70 % of the steps or the minutes given, so that a
run ends when it was told to, whatever else the machine does meanwhile. The run itself is
:func:`muse.training.loop.train`. A finished run can be continued from its weights alone, with a short warm-up.

Muon: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks" (orthogonalised momentum).

Contents: :class:`Task`, :class:`RunSettings`, :class:`LanguageModel`, :class:`Muon`, :func:`causal_attention`,
:func:`pad`.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn import functional as F
from transformers import AttentionInterface

from muse.checkpoint import find, load_tensors, save_tensors
from muse.errors import InputError
from muse.files import write_text
from muse.generator.model import build, size_of
from muse.training.loop import Learner, Run
from muse.training.precision import autocast, bf16_is_faster

__all__ = ["IGNORED", "Batch", "LanguageModel", "Muon", "RunSettings", "Task", "causal_attention", "pad"]

IGNORED = -100
"""Label that cross-entropy passes over."""

Batch = tuple[torch.Tensor, torch.Tensor]
"""Ids and labels, int64 [B, T] each; labels are those of the same places (the loss shifts them)."""


class Task(Protocol):
    """What is learnt."""

    @property
    def vocab_size(self) -> int:
        """Number of ids."""
        ...

    def batch(self, number: int) -> Batch:
        """The batch of a number, the same each time it is asked for."""
        ...

    def validation(self) -> Sequence[Batch]:
        """Held-out batches."""
        ...

    def settings_json(self) -> Mapping[str, Any]:
        """What decides the batches."""
        ...

    def write(self, folder: Path) -> None:
        """Write what a user of the weights needs beside them."""
        ...

    def card(self, name: str, metrics: Mapping[str, Any]) -> str:
        """The model card of a checkpoint of that name."""
        ...


@dataclass(frozen=True)
class RunSettings:
    """Everything that decides a run besides its task. Written beside the weights."""

    size: str = ""
    """A name in ``muse.generator.model.SIZES``; empty: that of the weights to start from, or else ``micro``."""
    minutes: float = 60.0
    """Minutes until the learning rate is zero and the run ends."""
    max_steps: int = 0
    """Steps until then, instead of minutes; 0 lets the minutes decide."""
    accumulate: int = 1
    """Batches a step, shared out to the processes."""
    matrix_rate: float = 0.02
    """Peak rate of Muon."""
    other_rate: float = 3e-3
    """Peak rate of AdamW, for embedding and norms."""
    momentum: float = 0.95
    weight_decay: float = 0.01
    warmup_steps: int = 50
    gradient_clip: float = 1.0
    dropout: float = 0.0
    """Share of what each attention and feed-forward block says that is left out at random; for runs that see their
    music many times over."""
    validate_minutes: float = 6.0
    """Minutes between reports; after a kill the run goes on from the last."""
    validate_every: int = 0
    """Steps between them, instead of minutes; 0 lets the minutes decide."""
    seed: int = 0
    start_from: str = ""
    """A checkpoint whose weights the run starts from; empty for random ones."""

    def sized(self) -> RunSettings:
        """The same settings with their size.

        Raises
        ------
        InputError
            There are no such weights to start from, or they have another size than the one given.
        """
        if not self.start_from:
            return replace(self, size=self.size or "micro")
        own = size_of(_weights(self.start_from))
        if self.size not in ("", own):
            raise InputError(
                f"{self.start_from} is of size {own}, not {self.size}: a run from its weights has its size"
            )
        return replace(self, size=own)

    def run(self, *, devices: int | str = "auto", nodes: int = 1, strategy: str = "ddp", threads: int = 0) -> Run:
        """How the loop is to run it.

        Raises
        ------
        InputError
            The run has no length, or a step no batch.
        """
        if self.max_steps <= 0 and self.minutes <= 0:
            raise InputError(
                f"a run of {self.max_steps} steps or {self.minutes:g} minutes trains nothing: give one of them"
            )
        if self.accumulate < 1:
            raise InputError(f"a step of {self.accumulate} batches trains nothing: give 1 or more")
        return Run(
            max_steps=self.max_steps, report_every=self.validate_every, seed=self.seed, accumulate=self.accumulate,
            gradient_clip=self.gradient_clip, threads=threads, devices=devices, nodes=nodes,
            strategy=strategy,
            length_minutes=self.minutes, report_minutes=self.validate_minutes,
        )  # fmt: skip


def _weights(name: str) -> Path:
    """Folder of a checkpoint to start from."""
    return find(name, "llama", with_file="vocabulary.json")


def pad(sequences: Sequence[tuple[Sequence[int], Sequence[int]]]) -> Batch:
    """A batch of (ids, labels) of unequal length, padded on the right with id 0 and ignored labels."""
    longest = max(len(ids) for ids, _ in sequences)
    ids = np.zeros((len(sequences), longest), np.int64)
    labels = np.full((len(sequences), longest), IGNORED, np.int64)
    for row, (x, y) in enumerate(sequences):
        ids[row, : len(x)], labels[row, : len(y)] = x, y
    return torch.from_numpy(ids), torch.from_numpy(labels)


class LanguageModel(Learner):
    """The Hugging Face model with its task."""

    best_by = "val_loss"

    def __init__(self, task: Task, settings: RunSettings) -> None:
        super().__init__(settings.seed)
        settings = settings.sized()
        self.task, self.settings = task, settings
        self.model = build(settings.size, task.vocab_size)
        if not torch.cuda.is_available():
            AttentionInterface.register("shared_keys", causal_attention)
            self.model.set_attn_implementation("shared_keys")
        if settings.start_from:
            self._start_from(settings.start_from)
        if settings.dropout:
            self._drop(settings.dropout)
        self.tokens = 0
        self._new_tokens = 0
        self._losses: list[torch.Tensor] = []
        self._whole: dict[str, torch.Tensor] = {}

    def _start_from(self, name: str) -> None:
        folder = _weights(name)
        mine = self.model.state_dict()
        weights = {n: tensor.float() for n, tensor in load_tensors(folder, "pt").items()}
        misfits = [n for n, tensor in weights.items() if n not in mine or tensor.shape != mine[n].shape]
        if misfits:
            raise InputError(f"{folder}: {misfits[0]} does not fit; its weights are of other tokens than these")
        self.model.load_state_dict(weights, strict=False)  # the head is the embedding

    def _drop(self, share: float) -> None:
        """Dropout on the outputs of the blocks, where Llama's code in ``transformers`` has none: the same channels at
        all places of a row (Gal & Ghahramani 2016, arXiv 1512.05287), since drawing for each takes a CPU longer than
        attention does."""

        def drop(module: torch.nn.Module, _: Any, output: torch.Tensor) -> torch.Tensor:
            kept = F.dropout(torch.ones_like(output[:, :1]), share, training=module.training)
            return output * kept

        for block in self.model.model.layers:
            block.self_attn.o_proj.register_forward_hook(drop)
            block.mlp.down_proj.register_forward_hook(drop)

    def batches(self, first: int) -> Iterable[Batch]:
        return map(self.task.batch, itertools.count(first))

    def loss(self, batch: Batch) -> torch.Tensor:
        """Mean over the labels that count, in nats."""
        total, n = self._summed_loss(batch)
        self._new_tokens += int((batch[0] != 0).sum())
        loss = total / max(n, 1)
        self._losses.append(loss.detach())
        return loss

    def _summed_loss(self, batch: Batch) -> tuple[torch.Tensor, int]:
        """Cross-entropy in nats over the labels that count, and how many these are."""
        ids, labels = batch
        with autocast(self.device.type):
            logits = self.model(ids[:, :-1], use_cache=False).logits
        targets = labels[:, 1:].reshape(-1)
        total = F.cross_entropy(logits.float().flatten(0, 1), targets, ignore_index=IGNORED, reduction="sum")
        return total, int((targets != IGNORED).sum())

    def measure(self) -> dict[str, float]:
        """Tokens seen, mean loss since the last report, held-out loss in nats a token; each process does a share."""
        self.eval()
        held_out = [(ids.to(self.device), labels.to(self.device)) for ids, labels in self._share_of_validation()]
        sums = [self._summed_loss(batch) for batch in held_out]
        self.train()
        mine = [float(total) for total, _ in sums], [n for _, n in sums], [float(loss) for loss in self._losses]
        nll, n, tokens, loss, n_losses = self.summed(
            [sum(mine[0]), sum(mine[1]), self._new_tokens, sum(mine[2]), len(mine[2])]
        )
        self.tokens += round(tokens)
        self._new_tokens, self._losses = 0, []
        return {"tokens": self.tokens, "train_loss": loss / max(n_losses, 1), "val_loss": nll / n}

    def _share_of_validation(self) -> list[Batch]:
        """As many batches in every process, for those that share weights compute together: where there is one too few,
        one without a label that counts."""
        batches, n = self.task.validation(), self.trainer.world_size
        mine = list(batches[self.global_rank :: n])
        if len(mine) < -(-len(batches) // n):
            ids, labels = batches[0]
            mine.append((ids, torch.full_like(labels, IGNORED)))
        return mine

    def shard(self, mesh: Any) -> None:
        for block in self.model.model.layers:
            fully_shard(block, mesh=mesh)
        fully_shard(self.model, mesh=mesh)

    def gather(self) -> None:
        self._whole = {name: _whole(p.detach()).to(torch.bfloat16) for name, p in self.model.named_parameters()}

    def configure_optimizers(self) -> Any:
        s = self.settings
        named = dict(self.model.named_parameters())
        matrices = [p for n, p in named.items() if p.dim() == 2 and "embed" not in n]
        others = [p for n, p in named.items() if p.dim() < 2 or "embed" in n]
        return Muon(
            matrices, others, lr=s.matrix_rate, other_lr=s.other_rate, momentum=s.momentum, weight_decay=s.weight_decay
        )

    @property
    def rate(self) -> float:
        """Share of the peak learning rates, 0..1."""
        warm = min(1.0, (self.global_step + 1) / max(self.settings.warmup_steps, 1))
        return warm * (1.0 if self.done < 0.3 else max(0.02, (1 - self.done) / 0.7))

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * self.rate

    def state(self) -> dict[str, Any]:
        return {"tokens": self.tokens, "size": self.settings.size}

    def take_state(self, state: Mapping[str, Any]) -> None:
        if state.get("size") != self.settings.size:
            raise InputError(
                f"the run that is to go on is of size {state.get('size')}, not {self.settings.size}: restart it, or "
                "write into another folder"
            )
        self.tokens = state["tokens"]

    def write(self, folder: Path) -> None:
        """bf16 weights in shards under 16 MB, configuration, and what the task adds."""
        save_tensors(self._whole, folder)
        config = copy.deepcopy(self.model.config)
        config.architectures, config.dtype = [type(self.model).__name__], torch.bfloat16
        write_text(folder / "config.json", config.to_json_string())
        write_text(folder / "generation_config.json", self.model.generation_config.to_json_string())
        self.task.write(folder)

    def settings_json(self) -> dict[str, Any]:
        run = asdict(self.settings) | {"start_from": Path(self.settings.start_from).name}
        return {"windows": dict(self.task.settings_json()), "run": run}

    def metrics(self) -> dict[str, Any]:
        """The best report's loss, what it took, and the curve."""
        best = self.best
        return {
            "val_loss": best["val_loss"],
            "steps": int(best["step"]),
            "tokens": int(best["tokens"]),
            "minutes": round(best["minutes"], 1),
            "n_parameters": self.n_weights,
            "history": self.history,
        }

    def card(self, name: str) -> str:
        return self.task.card(name, self.metrics())


class Muon(torch.optim.Optimizer):
    """Matrices by momentum that is orthogonalised in five Newton-Schulz steps, everything else by AdamW.

    One optimiser for both, as in the reference implementation of Jordan et al., so that any loop can run it. PyTorch's
    own Muon works in bfloat16 whatever the machine, which CPUs without the instructions pay for.

    Parameters
    ----------
    matrices
        Weights of two dimensions.
    others
        Embedding, norms.
    lr, other_lr
        Peak rates of the two; in each group of parameters, ``peak`` keeps its own.
    """

    def __init__(
        self,
        matrices: Iterable[torch.nn.Parameter],
        others: Iterable[torch.nn.Parameter],
        *,
        lr: float,
        other_lr: float,
        momentum: float,
        weight_decay: float,
    ) -> None:
        groups: list[dict[str, Any]] = [
            {"params": list(matrices), "lr": lr, "peak": lr, "momentum": momentum},
            {"params": list(others), "lr": other_lr, "peak": other_lr, "betas": (0.9, 0.95), "eps": 1e-8},
        ]
        super().__init__(groups, {"weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One update of all weights that have a gradient."""
        with torch.enable_grad():
            loss = None if closure is None else closure()
        for group in self.param_groups:
            update = self._orthogonalised if "momentum" in group else self._adam
            for p in group["params"]:
                if p.grad is not None:
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                    update(p, group)
        return loss

    def _orthogonalised(self, p: torch.nn.Parameter, group: Mapping[str, Any]) -> None:
        assert p.grad is not None
        mean = self.state[p].setdefault("momentum", torch.zeros_like(p))
        mean.lerp_(p.grad, 1 - group["momentum"])
        update = _like(p, _orthogonal(_whole(p.grad.lerp(mean, group["momentum"]))))
        p.add_(update, alpha=-group["lr"] * max(1.0, p.shape[0] / p.shape[1]) ** 0.5)

    def _adam(self, p: torch.nn.Parameter, group: Mapping[str, Any]) -> None:
        """Loshchilov & Hutter 2019, in the order of operations of PyTorch's own."""
        assert p.grad is not None
        state, (beta1, beta2) = self.state[p], group["betas"]
        mean = state.setdefault("mean", torch.zeros_like(p))
        square = state.setdefault("square", torch.zeros_like(p))
        state["step"] = step = state.get("step", 0) + 1
        mean.lerp_(p.grad, 1 - beta1)
        square.mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
        spread = (square.sqrt() / (1 - beta2**step) ** 0.5).add_(group["eps"])
        p.addcdiv_(mean, spread, value=-group["lr"] / (1 - beta1**step))


def _whole(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor itself, collected where it is shared out: by all processes together."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _like(shared: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    """A whole tensor, of which each process has the same, shared out as another."""
    if not isinstance(shared, DTensor):
        return whole
    return DTensor.from_local(whole, shared.device_mesh, run_check=False).redistribute(placements=shared.placements)


def _orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """Its nearest orthogonal matrix, roughly (singular values 0.7..1.2); coefficients of Jordan et al."""
    a, b, c = 3.4445, -4.7750, 2.0315
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if is_tall else matrix
    x = (x / (x.norm() + 1e-7)).contiguous()
    if bf16_is_faster():
        x = x.bfloat16()
    for _ in range(5):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
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
    """PyTorch's own, told that heads share keys: ``transformers`` copies them for each head, which on a CPU costs more
    than half of the time. Batches are padded on the right, so nothing but the order needs a mask.

    Parameters
    ----------
    query
        [B, heads, T, D]; *key* and *value* have fewer heads, shared by groups of queries.

    Returns
    -------
    tuple
        [B, T, heads, D], and no weights, as ``transformers`` expects them.
    """
    said = F.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling, enable_gqa=True)
    return said.transpose(1, 2).contiguous(), None
