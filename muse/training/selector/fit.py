"""Training of the selector: first masked events, then quality, emotion and genre together.

**Masked events** (BERT: Devlin et al., NAACL 2019; on symbolic music MusicBERT, MidiBERT-Piano): spans of events are
blanked in all fields, single fields elsewhere, and the network fills them in. All corpora, no labels.

**Tasks.** Every row of a batch has the labels that it has; the losses of the others are masked. Quality is learnt as
an order (Bradley & Terry 1952; RankNet: Burges et al. 2005): a real window before itself spoilt
(:mod:`muse.training.selector.damage`), a lighter grade before a heavier, a real window before a generator's sample, a
sample drawn at a moderate temperature before one drawn hot, one of the trained generator before one of an early stage.
Beside the order, the network learns which events damage has put there (ELECTRA: Clark et al., ICLR 2020). Emotion:
quadrants by cross-entropy, ratings by Gaussian likelihood with learnt variance; where only the quadrant is known, the
signs of valence and arousal are likely under the same Gaussian. The three losses are weighted by learnt uncertainty
(Kendall et al., CVPR 2018).

The run itself is :func:`muse.training.loop.train`.

Contents: :func:`train`. Settings, batches and losses lie beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor

from muse.checkpoint import find, load_tensors, save_tensors
from muse.dataset.read import Corpus
from muse.errors import InputError
from muse.files import write_json
from muse.selector.config import TASKS, Config
from muse.selector.network import Network
from muse.training import loop
from muse.training.loop import Learner, Run, card, cosine, scheduled, settings_from
from muse.training.selector.data import Batches, Library, Ranked
from muse.training.selector.losses import emotion_loss, genre_loss, masked_loss, misplaced_loss, quality_loss
from muse.training.selector.settings import Settings

__all__ = ["train"]

_HEADS = ("queries", "quality", "misplaced", "blame", "quadrant", "valence_arousal", "genre")
"""Parts of the network that the first stage does not train."""


class _Learner(Learner):
    """The network with the weights of its tasks, and the running mean of it that is written."""

    has_unused_weights = True  # a batch has labels for some tasks only

    def __init__(self, settings: Settings, corpus: Corpus, batches: Batches) -> None:
        super().__init__(settings.seed)
        self.settings, self.corpus, self._batches = settings, corpus, batches
        self.network = Network(Config(settings.width, settings.layers, settings.heads, settings.dropout))
        self.log_weight = torch.nn.Parameter(torch.zeros(len(TASKS)))
        self.fresh: set[str] = set()
        if settings.init:
            folder = find(settings.init, "muse-selector")
            weights = {name: value.float() for name, value in load_tensors(folder).items()}
            missing, _ = self.network.load_state_dict(weights, strict=False)
            self.fresh = set(missing)
        self.mean = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.events_seen = 0
        self._sums: dict[str, list[float]] = {}

    def batches(self, first: int) -> Batches:
        self._batches.first = first
        return self._batches

    def losses(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Loss of every task that the batch has labels for."""
        if self.settings.tasks == ("masked",):
            (chunk,) = batch["chunks"]
            return {"masked": masked_loss(self.network, self.network.encode(*chunk), batch["targets"])}
        hidden = [self.network.encode(*chunk) for chunk in batch["chunks"]]
        parts = [
            self.network.heads(states, lengths) for states, (_, _, lengths) in zip(hidden, batch["chunks"], strict=True)
        ]
        out = {name: torch.cat([part[name] for part in parts]).float() for name in parts[0]}
        doubts = torch.cat([self.network.doubts(states).flatten() for states in hidden])
        order = quality_loss(out["quality"], batch["group"], batch["rank"])
        place = misplaced_loss(doubts, torch.cat([marks.flatten() for marks in batch["misplaced"]]))
        found = {
            "quality": order if order is None or place is None else order + place,
            "emotion": emotion_loss(out, batch),
            "genre": genre_loss(out["genre"], batch["genre"]),
        }
        return {name: loss for name, loss in found.items() if loss is not None and name in self.settings.tasks}

    def loss(self, batch: dict[str, Any]) -> Tensor:
        """Of masked events, or of the tasks, each weighted by its learnt uncertainty."""
        losses = self.losses(batch)
        self.events_seen += batch["n"]
        for name, loss in losses.items():
            self._sums.setdefault(name, []).append(float(loss.detach()))
            self.log(f"{name}_loss", loss, prog_bar=True, batch_size=1)
        if "masked" in losses:
            return losses["masked"]
        weight = dict(zip(TASKS, self.log_weight, strict=True))
        return torch.stack([torch.exp(-weight[n]) * loss + 0.5 * weight[n] for n, loss in losses.items()]).sum()

    def after_step(self) -> None:
        """Take the weights of this step into their running mean."""
        # Early on the mean is young: it must not remember the beginning.
        decay = min(self.settings.averaging, self.global_step / (self.global_step + 9.0))
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                self.mean[name].lerp_(value.to(self.mean[name].device), 1 - decay)

    def measure(self) -> dict[str, float]:
        """Events seen, and mean losses since the last time."""
        means = {name: float(np.mean(values)) for name, values in self._sums.items()}
        self._sums = {}
        return {"events": float(self.events_seen), **means}

    def configure_optimizers(self) -> Any:
        s = self.settings
        groups: dict[tuple[bool, bool], list[torch.nn.Parameter]] = {}
        for name, parameter in self.named_parameters():
            short = name.removeprefix("network.")
            is_head = bool(s.init) and (short.split(".")[0] in _HEADS or short in self.fresh or name == "log_weight")
            groups.setdefault((parameter.ndim >= 2, is_head), []).append(parameter)
        optimizer = torch.optim.AdamW(
            [
                {
                    "params": parameters,
                    "lr": s.learning_rate * (s.head_rate if is_head else 1.0),
                    "weight_decay": s.weight_decay if decays else 0.0,
                }
                for (decays, is_head), parameters in groups.items()
            ],
            lr=s.learning_rate, betas=(0.9, 0.98), foreach=True,
        )  # fmt: skip

        return scheduled(optimizer, lambda step: cosine(step, s.warmup_steps, s.max_steps))

    def state(self) -> dict[str, Any]:
        return {"events_seen": self.events_seen, "sums": self._sums, "mean": self.mean}

    def take_state(self, state: Mapping[str, Any]) -> None:
        self.events_seen, self._sums, self.mean = state["events_seen"], state["sums"], state["mean"]

    @property
    def written(self) -> dict[str, Tensor]:
        """The running mean; the heads of the masked task go along only after the first stage."""
        masked = self.settings.tasks == ("masked",)
        return {name: tensor for name, tensor in self.mean.items() if masked or not name.startswith("masked.")}

    @property
    def n_weights(self) -> int:
        return sum(tensor.numel() for tensor in self.written.values())

    def write(self, folder: Path) -> None:
        """bf16 weights in shards under 16 MB, and the configuration."""
        tensors = {name: tensor.detach().to(torch.bfloat16).contiguous() for name, tensor in self.written.items()}
        save_tensors(tensors, folder)
        write_json(self.network.config.to_json(), folder / "config.json")

    def settings_json(self) -> dict[str, Any]:
        return asdict(self.settings) | {"init": Path(self.settings.init).name}

    def card(self, name: str) -> str:
        """The model card; it names the data whose licences bind users."""
        counts: Mapping[str, Any] = self.corpus.info["by_corpus"]
        classes: dict[str, set[str]] = {}
        for rows in self.corpus.batches(["corpus", "licence_class"], split="train"):
            for corpus, licence in zip(rows["corpus"], rows["licence_class"], strict=True):
                classes.setdefault(str(corpus), set()).add(str(licence))
        bound = sorted(corpus for corpus, found in classes.items() if found & {"nc", "unclear"})
        last = self.history[-1]
        return card(
            f"Muse selector, `{name}`",
            ("music", "symbolic-music", "emotion", "music-quality"),
            f"A bidirectional transformer encoder of {self.n_weights:,} weights that rates symbolic music: quality, "
            "emotion\n(quadrants, valence, arousal with their spread) and genre. "
            "`muse.selector.Selector.from_pretrained` loads\nit. What it can and what it cannot do stands in "
            "`docs/selector.md`.",
            {
                "tasks": ", ".join(self.settings.tasks),
                "begins from": Path(self.settings.init).name or "random weights",
                "data": ", ".join(f"{corpus} ({counts[corpus]['windows']:,} windows)" for corpus in sorted(classes)),
                "steps": f"{last['step']:,.0f}",
                "events": f"{last['events']:,.0f}",
            },
            f"**Data of non-commercial or unclear licence: {', '.join(bound) or 'none'}.** These weights learnt from "
            "it;\nwho may use them commercially is for their user to settle. Music that was only ranked by them is not "
            "bound.",
            head={"license": "other"},
        )


def train(
    corpus: Path | str,
    out: Path | str,
    *,
    samples: Sequence[Ranked] = (),
    resume: bool = True,
    progress: bool = True,
    callbacks: Sequence[lightning.Callback] = (),
    **settings: Any,
) -> dict[str, Any]:
    """Train a selector and write its checkpoint folder.

    Parameters
    ----------
    corpus
        A dataset made by ``muse corpus build`` of all corpora.
    out
        Checkpoint folder. The state that a resumed run needs lies beside it in ``<out>.run/``.
    samples
        Pieces of generators as ids, each with its rank (stage of training, temperature), (0, 0) the best.
    resume
        Go on with a run that was stopped.
    progress
        Show Lightning's progress bar.
    callbacks
        More of Lightning's callbacks.
    settings
        Fields of :class:`Settings`.

    Returns
    -------
    dict
        The last row of the history: step, events, mean losses, minutes.

    Raises
    ------
    InputError
        An unknown setting, or no window to learn from.
    """
    if "tasks" in settings:
        settings["tasks"] = tuple(settings["tasks"])
    chosen = settings_from(Settings, settings)
    dataset = Corpus(corpus)
    library = Library(dataset, "train")
    if not len(library.usable):
        raise InputError(f"{corpus} has no training window with notes")
    run = Run(
        chosen.max_steps, chosen.validate_every, chosen.seed, gradient_clip=chosen.gradient_clip,
        max_minutes=chosen.max_minutes, threads=chosen.threads,
    )  # fmt: skip
    learner = loop.train(
        lambda: _Learner(chosen, dataset, Batches(library, samples, chosen)), out, run, resume=resume,
        progress=progress, callbacks=callbacks,
    )  # fmt: skip
    return dict(learner.history[-1])
