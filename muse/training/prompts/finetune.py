"""Fine-tunes the upper half of the sentence encoder on sentences with emotion, see :mod:`muse.prompts.text.tuned`.

EmoBank's six ratings (squared error, standardised), GoEmotions' 28 categories (binary cross-entropy) and the words of
Glasgow's norms together, a batch of each a step; the lower half stays as it is, so its states are computed once. AdamW,
lower rates for lower layers, a running mean of the weights is kept. The step of the best development split counts.

Contents: :func:`finetune`, :func:`read_layers`, :class:`Network`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from muse.errors import InputError, require
from muse.prompts.text.tuned import HEADS

__all__ = ["Labelled", "Network", "finetune", "read_layers"]

Array = np.ndarray[Any, np.dtype[Any]]

N_LAYERS, N_HEADS, WIDTH = 3, 12, 384
LAYER_PARTS: Final = ("query", "key", "value", "attention", "norm1", "up", "down", "norm2")
BATCH: Final = 32
RATE, HEAD_RATE = 2e-4, 2e-3
CATEGORY_WEIGHT, WORD_WEIGHT = 6.0, 0.5
EVALUATE_EVERY: Final = 100
_MATRICES: Final = ("query", "key", "value", "attention", "up", "down")
_NAMES: Final = {
    "query": "attention.self.query", "key": "attention.self.key", "value": "attention.self.value",
    "attention": "attention.output.dense", "norm1": "attention.output.LayerNorm", "up": "intermediate.dense",
    "down": "output.dense", "norm2": "output.LayerNorm",
}  # fmt: skip


def read_layers(model: Path | str) -> dict[str, Array]:
    """Weights of the upper three layers from the encoder's 8-bit ONNX file, as floats.

    Parameters
    ----------
    model
        The file of the encoder's package.

    Returns
    -------
    dict
        ``<layer>.<part>.weight`` [out, in] and ``.bias`` by the names of :data:`LAYER_PARTS`, float32.

    Raises
    ------
    InputError
        The file is not the encoder that is meant.
    MissingExtraError
        The package ``onnx`` is not installed.
    """
    onnx = require("onnx", "train", "Training from the encoder's weights")
    broken = require("google.protobuf.message", "train", "Training from the encoder's weights").DecodeError
    try:
        stored = onnx.load(str(model)).graph.initializer
        tensors = {one.name: onnx.numpy_helper.to_array(one) for one in stored}
        matrices = sorted(
            int(name.split("_")[1]) for name in tensors if name.startswith("val_") and name.endswith("_q")
        )
        found = {}
        for layer in range(N_LAYERS):
            source = f"inner.encoder.layer.{layer + N_LAYERS}."
            for k, part in enumerate(_MATRICES):
                matrix = f"val_{matrices[6 * (layer + N_LAYERS) + k]}"
                scaled = tensors[f"{matrix}_q"].astype(np.float32) * tensors[f"{matrix}_scale"]
                found[f"{layer}.{part}.weight"] = scaled.T
            for part in LAYER_PARTS:
                found[f"{layer}.{part}.bias"] = tensors[f"{source}{_NAMES[part]}.bias"]
                if part.startswith("norm"):
                    found[f"{layer}.{part}.weight"] = tensors[f"{source}{_NAMES[part]}.weight"]
    except (KeyError, IndexError, ValueError, broken):
        raise InputError(f"{model} is not all-MiniLM-L6-v2 in 8 bits: install the extra 'text' again") from None
    return {name: np.ascontiguousarray(values, np.float32) for name, values in found.items()}


class _Layer(nn.Module):
    def __init__(self, weights: Mapping[str, Array], at: str) -> None:
        super().__init__()
        for part in LAYER_PARTS:
            weight, bias = torch.tensor(weights[f"{at}{part}.weight"]), torch.tensor(weights[f"{at}{part}.bias"])
            module: nn.Module
            if part.startswith("norm"):
                module = nn.LayerNorm(WIDTH, eps=1e-12)
            else:
                module = nn.Linear(weight.shape[1], weight.shape[0])
            module.load_state_dict({"weight": weight, "bias": bias})
            self.add_module(part, module)
        self.drop = nn.Dropout(0.1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        part = dict(self.named_children())
        b, t, d = x.shape

        def split(y: Tensor) -> Tensor:
            return y.view(b, t, N_HEADS, d // N_HEADS).transpose(1, 2)

        q, k, v = (split(part[name](x)) for name in ("query", "key", "value"))
        weights = (q @ k.transpose(-1, -2) / math.sqrt(d // N_HEADS)).masked_fill(~mask[:, None, None], -1e4)
        mixed = (self.drop(weights.softmax(-1)) @ v).transpose(1, 2).reshape(b, t, d)
        x = part["norm1"](x + self.drop(part["attention"](mixed)))
        out: Tensor = part["norm2"](x + self.drop(part["down"](functional.gelu(part["up"](x)))))
        return out


class Network(nn.Module):
    """What :class:`muse.prompts.text.tuned.Tuned` computes, to be trained."""

    def __init__(self, weights: Mapping[str, Array]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(weights, f"{k}.") for k in range(N_LAYERS))
        self.attend = nn.Linear(WIDTH, 1, bias=False)
        nn.init.zeros_(self.attend.weight)
        self.heads = nn.ModuleDict({name: nn.Linear(2 * WIDTH, n) for name, n in HEADS.items()})
        for head in self.heads.values():
            nn.init.normal_(head.weight, std=0.02)  # type: ignore[arg-type]
            nn.init.zeros_(head.bias)  # type: ignore[arg-type]
        self.drop = nn.Dropout(0.2)

    def forward(self, states: Tensor, mask: Tensor, head: str) -> Tensor:
        """Output of a head [B, n] for states [B, T, 384] and mask bool [B, T]."""
        x = states
        for layer in self.layers:
            x = layer(x, mask)
        weight = self.attend(x).squeeze(-1).masked_fill(~mask, -1e4).softmax(-1)
        mean = (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        out: Tensor = self.heads[head](self.drop(torch.cat([mean, (weight[..., None] * x).sum(1)], -1)))
        return out

    def tensors(self) -> dict[str, Array]:
        """Weights by name, as :func:`muse.training.prompts.graph.sentence_graph` takes them."""
        found = {}
        for name, value in self.state_dict().items():
            short = name.removeprefix("layers.").removeprefix("heads.").replace("attend.", "pool.")
            found[short] = value.detach().numpy().astype(np.float32)
        return found


@dataclass(frozen=True)
class Labelled:
    """States of texts after the third layer, and what people said of them."""

    states: Sequence[Array]
    """Each [tokens, 384]."""
    labels: Array
    """Float [n, outputs of the head]."""
    train: Array
    """Rows to learn from."""
    dev: Array

    def batch(self, rows: Array) -> tuple[Tensor, Tensor]:
        """States [B, T, 384] and mask [B, T]."""
        longest = max(len(self.states[i]) for i in rows)
        x = np.zeros((len(rows), longest, WIDTH), np.float32)
        mask = np.zeros((len(rows), longest), bool)
        for k, i in enumerate(rows):
            x[k, : len(self.states[i])], mask[k, : len(self.states[i])] = self.states[i], True
        return torch.from_numpy(x), torch.from_numpy(mask)


def finetune(
    weights: Mapping[str, Array], data: Mapping[str, Labelled], *, steps: int = 700, seed: int = 0
) -> dict[str, Array]:
    """Train, and give the weights of the best step on EmoBank's development split (mean correlation of the reader's).

    Parameters
    ----------
    weights
        See :func:`read_layers`.
    data
        ``views``, ``categories`` and ``words``.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = Network(weights)
    scales = {}
    for name in ("views", "words"):
        known = data[name].labels[data[name].train]
        scales[name] = known.mean(0).astype(np.float32), known.std(0).astype(np.float32)
    share = torch.tensor(data["categories"].labels[data["categories"].train].mean(0)).clamp(0.001).float()
    with torch.no_grad():
        network.heads["categories"].bias.copy_(torch.logit(share))  # type: ignore[operator]
    own = [
        {"params": list(layer.parameters()), "lr": RATE * f}
        for layer, f in zip(network.layers, (0.5, 0.75, 1.0), strict=True)
    ]
    rest = [parameter for name, parameter in network.named_parameters() if not name.startswith("layers.")]
    optimizer = torch.optim.AdamW([*own, {"params": rest, "lr": HEAD_RATE}], weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda i: min((i + 1) / 50, 1) * (0.05 + 0.475 * (1 + math.cos(math.pi * i / steps)))
    )
    streams = {name: _endless(one.train, rng) for name, one in data.items()}
    mean = {name: value.clone() for name, value in network.state_dict().items()}
    best, kept = -1.0, network.tensors()

    def loss_of(name: str) -> Tensor:
        rows = next(streams[name])
        out = network(*data[name].batch(rows), name)
        wanted = torch.from_numpy(data[name].labels[rows]).float()
        if name == "categories":
            return functional.binary_cross_entropy_with_logits(out, wanted)
        centre, scale = (torch.from_numpy(x) for x in scales[name])
        return functional.mse_loss(out, (wanted - centre) / scale)

    for step in range(steps):
        loss = loss_of("views") + CATEGORY_WEIGHT * loss_of("categories")
        if step % 2 == 0:
            loss = loss + WORD_WEIGHT * loss_of("words")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        decay = min(0.995, step / (step + 9))
        with torch.no_grad():
            for name, value in network.state_dict().items():
                mean[name].lerp_(value, 1 - decay)
        if (step + 1) % EVALUATE_EVERY == 0 or step + 1 == steps:
            now = {name: value.clone() for name, value in network.state_dict().items()}
            network.load_state_dict(mean)
            value = _reader_r(network, data["views"])
            if value > best:
                best, kept = value, network.tensors()
            network.load_state_dict(now)
    for name, (centre, scale) in scales.items():
        kept |= {f"{name}.mean": centre, f"{name}.scale": scale}
    return kept


def _endless(rows: Array, rng: np.random.Generator) -> Iterator[Array]:
    while True:
        order = rng.permutation(rows)
        for first in range(0, len(order) - BATCH + 1, BATCH):
            yield order[first : first + BATCH]


def _reader_r(network: Network, data: Labelled) -> float:
    """Mean Pearson r of the first two views on the development rows."""
    network.eval()
    out = []
    with torch.no_grad():
        for first in range(0, len(data.dev), 64):
            out.append(network(*data.batch(data.dev[first : first + 64]), "views").numpy())
    network.train()
    predicted, wanted = np.concatenate(out), data.labels[data.dev]
    return float(np.mean([np.corrcoef(predicted[:, k], wanted[:, k])[0, 1] for k in range(2)]))
