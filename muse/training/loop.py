"""One training run: steps, reports, the state to go on from, and the folder that comes out.

What is trained is a :class:`Learner`: it knows its batches, its loss, what is measured and how its weights are written.
The run does the rest, through Lightning: precision, clipping, accumulation, processes, time limit, resuming.

Conventions
-----------
step
    One change of the weights, over ``accumulate`` batches.
processes
    One, or one for each device of each machine. They share a step's batches out: of every ``n`` batches process ``r``
    takes number ``r``. So a run on several processes is the run on one with the same ``accumulate``, only faster; where
    ``accumulate`` is no multiple of the processes, a step has the next larger number of batches that is.
report
    Every ``report_every`` steps or ``report_minutes``, and at the end: a row of measures into the history, the weights
    into the checkpoint's folder where they are the best so far, and the state of the run into ``<out>.run/last.ckpt``.
folder
    What the learner writes, ``training.json`` (settings), ``metrics.json`` (best row, history, number of weights) and
    ``README.md`` (the card).
resuming
    A run can be killed at any moment and goes on from its last report, exactly: batches and dropout are functions of
    seed and number of the batch. The state is written whole or not at all, and read as tensors and plain values alone.

Contents: :class:`Learner`, :class:`Run`, :data:`STRATEGIES`, :func:`train`, :func:`is_first_process`,
:func:`settings_from`, :func:`state_path`, :func:`card`, :func:`cosine`, :func:`scheduled`.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import pickle
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import lightning
import torch
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy, Strategy
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from muse.errors import InputError, MuseError, unknown
from muse.files import replacing, write_json, write_text
from muse.training.precision import bf16_is_faster

__all__ = [
    "STRATEGIES",
    "Learner",
    "Run",
    "card",
    "cosine",
    "is_first_process",
    "scheduled",
    "settings_from",
    "state_path",
    "train",
]

_log = logging.getLogger(__name__)

STRATEGIES: Final = ("ddp", "fsdp")
"""``ddp``: every process has all weights. ``fsdp``: each keeps a share of weights, gradients and optimiser, and has the
rest of a block only while it computes with it."""

T = TypeVar("T")
Row = dict[str, float]


@dataclass(frozen=True)
class Run:
    """How long and how a learner is trained."""

    max_steps: int = 0
    """Length of the run; 0: ``length_minutes`` decide."""
    report_every: int = 0
    """Steps between reports; 0: ``report_minutes`` decide."""
    seed: int = 0
    accumulate: int = 1
    """Batches a step, over all processes."""
    gradient_clip: float = 1.0
    max_minutes: float = 0.0
    """Stop after so many minutes of wall time, 0 = never; a later call goes on."""
    threads: int = 0
    """CPU threads, 0 = torch's choice."""
    devices: int | str = 1
    """Processes on this machine, each with a device of the accelerator; ``"auto"``: all graphics cards, or one process
    on a CPU."""
    nodes: int = 1
    """Machines; ``torchrun`` or Slurm must have started this call on each."""
    strategy: str = "ddp"
    """One of :data:`STRATEGIES`: what several processes do with the weights."""
    length_minutes: float = 0.0
    """Length of a run without a number of steps, over all calls that it takes."""
    report_minutes: float = 0.0
    """Minutes between reports, where no number of steps is given."""

    def done(self, step: int, minutes: float) -> float:
        """Share of the run that lies behind, 0..1."""
        share = step / self.max_steps if self.max_steps else minutes / max(self.length_minutes, 1e-9)
        return min(share, 1.0)


class Learner(lightning.LightningModule):
    """What a run trains. Subclasses give the methods below and ``configure_optimizers``."""

    best_by: str = ""
    """The measure that must fall for the weights to be written; empty: the last weights are the best."""
    has_unused_weights: bool = False
    """Some batches do not reach all weights."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self.history: list[Row] = []
        self.run = Run()
        """The run that trains it."""
        self.minutes = 0.0
        """Of training, over all calls, until the last step."""
        self._number = 0  # of the next batch of this process

    def batches(self, first: int) -> Iterable[Any]:
        """Endless batches from number *first* on, a function of seed and number."""
        raise NotImplementedError

    def loss(self, batch: Any) -> torch.Tensor:
        """What is to fall."""
        raise NotImplementedError

    def measure(self) -> Row:
        """A row of the history; step and minutes are added to it."""
        raise NotImplementedError

    def shard(self, mesh: Any) -> None:
        """Share the weights out to the processes of a mesh, under the strategy ``fsdp``."""
        raise InputError("strategy 'fsdp': this model is not shared out; give ddp")

    def gather(self) -> None:
        """Called in all processes together before the first of them writes."""

    def write(self, folder: Path) -> None:
        """Write weights and configuration."""
        raise NotImplementedError

    def settings_json(self) -> Mapping[str, Any]:
        """What ``training.json`` holds."""
        raise NotImplementedError

    def card(self, name: str) -> str:
        """The model card of a checkpoint of that name; see :func:`card`."""
        raise NotImplementedError

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Called when the gradients are known; a schedule by time sets its rates here."""

    def after_step(self) -> None:
        """Called when the weights have changed."""

    def state(self) -> dict[str, Any]:
        """What a resumed run needs beside weights, optimiser and history: tensors and plain values."""
        return {}

    def take_state(self, state: Mapping[str, Any]) -> None:
        """What :meth:`state` gave."""

    @property
    def n_weights(self) -> int:
        """Number of weights that are written."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def best(self) -> Row:
        """The row of the history whose weights are written."""
        return min(self.history, key=lambda row: row[self.best_by]) if self.best_by else self.history[-1]

    def metrics(self) -> dict[str, Any]:
        """What ``metrics.json`` holds."""
        return {"best": self.best, "history": self.history, "n_parameters": self.n_weights}

    @property
    def done(self) -> float:
        """Share of the run that lies behind, 0..1; the same in all processes."""
        return self.run.done(self.global_step, self.minutes)

    def summed(self, values: Sequence[float]) -> list[float]:
        """Each of some numbers, summed over all processes."""
        row = torch.tensor(values, dtype=torch.float64, device=self.device)
        total: torch.Tensor = self.trainer.strategy.reduce(row, reduce_op="sum")
        return total.tolist()

    # ------------------------------------------------------------------------------------------- called by Lightning

    def configure_model(self) -> None:
        if isinstance(self.trainer.strategy, ModelParallelStrategy):
            self.shard(self.device_mesh["data_parallel"])

    def training_step(self, batch: Any, _index: int) -> torch.Tensor:
        number = self._number * self.trainer.world_size + self.global_rank
        self._number += 1
        torch.manual_seed(1_000_003 * self.seed + number)  # of dropout
        loss = self.loss(batch)
        self.log("train_loss", loss, prog_bar=True, batch_size=1)
        return loss

    def train_dataloader(self) -> Iterable[Any]:
        self._number = self.global_step * self.trainer.accumulate_grad_batches
        n = self.trainer.world_size
        if n == 1:
            return self.batches(self._number)
        return _Share(self.batches(self._number * n), self.global_rank, n)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        self.before_step(optimizer)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["muse"] = {"history": self.history, "minutes": self.minutes, **self.state()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        state = checkpoint.get("muse", {})
        if not {"history", "minutes"} <= state.keys():
            raise InputError("the state of the run is of another version: restart the run")
        self.history, self.minutes = list(state["history"]), state["minutes"]
        self.take_state(state)

    def report(self) -> bool:
        """Measure into the history; whether the weights are to be written."""
        before = [row[self.best_by] for row in self.history] if self.best_by else []
        with torch.no_grad():
            row = {"step": float(self.global_step), **self.measure()}
        self.history.append(row | {"minutes": self.minutes})
        _log.info("%s", self.history[-1])
        if self.best_by and not math.isfinite(row[self.best_by]):
            raise MuseError(f"{self.best_by} is no number after {self.global_step} steps: try lower learning rates")
        return not before or row[self.best_by] < min(before)


class _Share:
    """One process's share of the batches: number *rank* of every *n*."""

    def __init__(self, batches: Iterable[Any], rank: int, n: int) -> None:
        self.batches, self.rank, self.n = batches, rank, n

    def __iter__(self) -> Iterator[Any]:
        return itertools.islice(iter(self.batches), self.rank, None, self.n)


class _Reports(lightning.Callback):
    """The clock, reports when they are due, the ends of the run and of the call, and word of how far the run is."""

    def __init__(self, out: Path, run: Run, on_step: Callable[[float], None] | None) -> None:
        self.out, self.run, self.on_step = out, run, on_step
        self._seen = self._reported = -1
        self._reported_minutes = self._end_minutes = self._started = 0.0

    def on_train_start(self, trainer: lightning.Trainer, learner: lightning.LightningModule) -> None:
        assert isinstance(learner, Learner)
        self._seen = self._reported = learner.global_step
        self._reported_minutes = learner.minutes
        self._end_minutes = learner.minutes + (self.run.max_minutes or math.inf)
        self._started = time.monotonic() - 60 * learner.minutes
        trainer.should_stop = learner.done >= 1

    def on_train_batch_end(self, trainer: lightning.Trainer, learner: lightning.LightningModule, *_: Any) -> None:
        assert isinstance(learner, Learner)
        if learner.global_step == self._seen:  # the step needs more batches
            return
        self._seen = learner.global_step
        # All processes go by the clock of the first: who stops or reports alone is waited for in vain.
        learner.minutes = trainer.strategy.broadcast((time.monotonic() - self._started) / 60)
        learner.after_step()
        if self.on_step is not None:
            self.on_step(learner.done)
        trainer.should_stop |= learner.done >= 1 or learner.minutes >= self._end_minutes
        if self.run.report_every:
            is_due = learner.global_step % self.run.report_every == 0
        else:
            is_due = learner.minutes - self._reported_minutes >= self.run.report_minutes
        if is_due:
            self._report(trainer, learner)

    def on_train_end(self, trainer: lightning.Trainer, learner: lightning.LightningModule) -> None:
        assert isinstance(learner, Learner)
        if learner.global_step != self._reported:
            self._report(trainer, learner)

    def _report(self, trainer: lightning.Trainer, learner: Learner) -> None:
        self._reported, self._reported_minutes = learner.global_step, learner.minutes
        is_best = learner.report()
        if is_best:
            learner.gather()
        if trainer.is_global_zero:
            self.out.mkdir(parents=True, exist_ok=True)
            if is_best:
                learner.write(self.out)
                write_json(learner.settings_json(), self.out / "training.json")
                write_text(self.out / "README.md", learner.card(self.out.name))
            write_json(learner.metrics(), self.out / "metrics.json")
        last = state_path(self.out)
        with replacing(last) if trainer.is_global_zero else contextlib.nullcontext(last) as part:
            trainer.save_checkpoint(part)  # by all processes together


def state_path(out: Path | str) -> Path:
    """Where the state of a run lies that writes into *out*."""
    out = Path(out)
    return out.with_name(f"{out.name}.run") / "last.ckpt"


def train(
    make: Callable[[], Learner],
    out: Path | str,
    run: Run,
    *,
    resume: bool = True,
    progress: bool = False,
    on_step: Callable[[float], None] | None = None,
    callbacks: Sequence[lightning.Callback] = (),
) -> Learner:
    """Train a learner and write its checkpoint folder.

    Parameters
    ----------
    make
        Makes the learner, after the seed is set.
    out
        Checkpoint folder. The state that a resumed run needs lies beside it in ``<out>.run/``.
    run
        How long and how.
    resume
        Go on from the state if it is there.
    progress
        Show Lightning's progress bar.
    on_step
        Called with the share of the steps that is done.
    callbacks
        More of Lightning's callbacks.

    Returns
    -------
    Learner
        After its last step.

    Raises
    ------
    InputError
        The state is none that this version wrote, or there are not so many devices.
    """
    if run.strategy not in STRATEGIES:
        raise unknown("strategy", run.strategy, STRATEGIES)
    last = state_path(out)
    if run.threads:
        torch.set_num_threads(run.threads)
    lightning.seed_everything(run.seed, verbose=False)
    learner = make()
    learner.run = run
    devices = _devices(run)
    try:
        trainer = _trainer(
            learner, run, devices, last.parent, progress, [_Reports(Path(out), run, on_step), *callbacks]
        )
    except MisconfigurationException as error:
        raise InputError(f"{run.nodes} machines with {devices} devices each: {error}") from None
    n = trainer.num_devices * trainer.num_nodes
    trainer.accumulate_grad_batches = -(-run.accumulate // n)
    if run.accumulate % n:
        _log.warning("%d processes: a step has %d batches", n, n * trainer.accumulate_grad_batches)
    if is_first_process():
        for stale in last.parent.glob(f".{last.stem}.*.part{last.suffix}"):  # of a run that was killed
            stale.unlink(missing_ok=True)
    state = str(last) if resume and last.exists() else None
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)  # between Lightning and PyTorch
            trainer.fit(learner, ckpt_path=state, weights_only=True)
    except pickle.UnpicklingError:
        raise InputError(f"{last} is no state of a run of this version: delete it or restart the run") from None
    return learner


def _devices(run: Run) -> int | str:
    """Devices of this machine: a number, or "auto" where there are graphics cards."""
    if run.devices == "auto":
        return "auto" if torch.cuda.is_available() else 1
    if not str(run.devices).isdecimal() or int(run.devices) < 1:
        raise InputError(f"devices are {run.devices!r}: give a number from 1 on, or auto")
    return int(run.devices)


def _trainer(
    learner: Learner,
    run: Run,
    devices: int | str,
    folder: Path,
    progress: bool,
    callbacks: list[lightning.Callback],
) -> lightning.Trainer:
    several = run.nodes > 1 or devices != 1
    return lightning.Trainer(
        default_root_dir=folder,
        accelerator="auto",
        devices=devices,
        num_nodes=run.nodes,
        strategy=_strategy(learner, run, devices) if several else "auto",
        precision="bf16-mixed" if bf16_is_faster() else "32-true",
        max_steps=run.max_steps or -1,
        max_epochs=-1,
        gradient_clip_val=run.gradient_clip,
        limit_val_batches=0,
        log_every_n_steps=20,
        enable_progress_bar=progress,
        enable_model_summary=False,
        enable_checkpointing=False,  # ours come after a report, so that the history is in them
        logger=CSVLogger(folder, name="logs", flush_logs_every_n_steps=20),
        callbacks=callbacks,
    )


def _strategy(learner: Learner, run: Run, devices: int | str) -> Strategy:
    """How several processes share the work."""
    if run.strategy == "ddp":
        return DDPStrategy(find_unused_parameters=learner.has_unused_weights)
    here = torch.cuda.device_count() if devices == "auto" else int(devices)
    # One file, written by the first process: a run may go on with another number of them, or with ddp.
    return ModelParallelStrategy(
        data_parallel_size=run.nodes * here, tensor_parallel_size=1, save_distributed_checkpoint=False
    )


def is_first_process() -> bool:
    """Whether this process speaks for the run: only the first does, where there are several."""
    return bool(rank_zero_only.rank == 0)


def settings_from(kind: type[T], given: Mapping[str, Any]) -> T:
    """Settings, a dataclass, from values by name.

    Raises
    ------
    InputError
        A name is none of its fields.
    """
    legal = list(kind.__dataclass_fields__)  # type: ignore[attr-defined]
    for name in given:
        if name not in legal:
            raise unknown("training setting", name, legal)
    return kind(**given)


def cosine(step: int, warmup_steps: int, max_steps: int) -> float:
    """Factor on the learning rate: linear warm-up, then half a cosine down to a tenth."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    share = min((step - warmup_steps) / max(max_steps - warmup_steps, 1), 1.0)
    return 0.1 + 0.45 * (1 + math.cos(math.pi * share))


def scheduled(optimizer: torch.optim.Optimizer, factor: Callable[[int], float]) -> Any:
    """What ``configure_optimizers`` returns: the optimiser, its rate multiplied by a function of the step."""
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def card(
    title: str, tags: Iterable[str], text: str, facts: Mapping[str, str], note: str, *, head: Mapping[str, str]
) -> str:
    """A model card in Hugging Face's form.

    Parameters
    ----------
    title
        Kind of model and name.
    tags
        For a search.
    text
        What it is and what loads it.
    facts
        Rows of the table: data, licences, steps, losses.
    note
        What stands under the table.
    head
        More entries of the head: ``license``, ``library_name``.
    """
    entries = "".join(f"{name}: {value}\n" for name, value in head.items())
    table = "".join(f"| {name} | {value} |\n" for name, value in facts.items())
    return f"---\n{entries}tags: [{', '.join(tags)}]\n---\n\n# {title}\n\n{text}\n\n| | |\n|---|---|\n{table}\n{note}\n"
