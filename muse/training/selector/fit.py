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

A run can be killed at any step and resumed exactly: batches are a pure function of seed and step.

Contents: :class:`Settings`, :func:`train`, :class:`Library`, :class:`Batches`.
"""

from __future__ import annotations

import hashlib
import logging
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.loggers import CSVLogger
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from muse.checkpoint import find, load_tensors, save_tensors
from muse.dataset.read import Corpus, Ragged
from muse.errors import InputError
from muse.files import write_bytes, write_json
from muse.score import DRUMS
from muse.selector.events import MIN_NOTES, Passage, encode, passage
from muse.selector.model import TASKS, Config, Network, collate
from muse.tokens import GENRES
from muse.training.selector.damage import GRADES, KINDS, corrupt

__all__ = ["Batches", "Library", "Settings", "train"]

_log = logging.getLogger(__name__)

N_FOLDS = 5
"""Parts of the cross-validation on rated pieces."""
N_CALIBRATION_FOLDS = 12
"""One part in so many of the recordings with quadrants is kept for calibration."""

Row = tuple[NDArray[np.int16], NDArray[np.int16]]
Ranked = tuple[tuple[int, int], NDArray[np.uint16]]


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run. Written beside the weights."""

    tasks: tuple[str, ...] = TASKS
    """``("masked",)``, or any of quality, emotion, genre."""
    init: str = ""
    """Checkpoint to begin from; empty for random weights."""
    width: int = 256
    layers: int = 6
    heads: int = 4
    dropout: float = 0.1
    max_steps: int = 800
    learning_rate: float = 4e-4
    """Peak, after warm-up; cosine to a tenth of it."""
    head_rate: float = 4.0
    """Factor on the learning rate of what the first stage has not trained."""
    warmup_steps: int = 60
    weight_decay: float = 0.05
    gradient_clip: float = 1.0
    batch_events: int = 4000
    """Masked events: about so many events a step."""
    mask_share: float = 0.25
    emotion_rows: int = 12
    genre_rows: int = 6
    spoilt_groups: int = 3
    """Quality: groups of a real window and two grades of one kind of damage."""
    damage_weights: Mapping[str, float] = field(default_factory=dict)
    """Quality: how often a kind of damage is drawn, against 1 for those that are not named."""
    sample_groups: int = 3
    """Quality: groups of a real window and samples of a generator."""
    rating_share: float = 0.45
    """Share of the emotion rows that have ratings; the others have quadrants."""
    corpus_weights: Mapping[str, float] = field(default_factory=dict)
    """Masked events: share of a corpus's windows that an epoch takes; default 1."""
    exclude_fold: int = -1
    """Leave out this fifth of the rated pieces (by song), for cross-validation; -1 leaves out none."""
    max_events: int = 384
    """Longer windows are cut at random in training."""
    validate_every: int = 200
    seed: int = 0
    threads: int = 0
    """CPU threads, 0 = torch's choice."""
    averaging: float = 0.99
    """Decay of the running mean of the weights, which is what is written (Polyak & Juditsky 1992); 0 for the last."""
    max_minutes: float = 0.0
    """Stop after so many minutes of wall time, 0 = never; the run can be resumed."""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.tasks) - {"masked", *TASKS})
        if unknown or not self.tasks:
            raise InputError(f"unknown task {', '.join(unknown) or 'none'}; legal are masked, {', '.join(TASKS)}")


def fold_of(song: str, n_folds: int) -> int:
    """Which part of a cross-validation a song belongs to, the same in every run."""
    return int(hashlib.sha256(song.encode()).hexdigest(), 16) % n_folds


def recording_of(song: str) -> str:
    """Id of the recording that a clip is from: EMOPIA's ``Q1_<recording>_2``; other songs are their own."""
    return re.sub(r"^Q[1-4]_(.{11})_\d+$", r"\1", song)


def is_kept(clip: str) -> bool:
    """Whether a clip of EMOPIA is kept for calibration, with all of its recording: its label is never trained on."""
    return fold_of(recording_of(clip), N_CALIBRATION_FOLDS) == 0


class Library:
    """Windows of one split in memory as integers, with what is known of them.

    Parameters
    ----------
    corpus
        A dataset made by ``muse corpus build``, all licences.
    split
        ``"train"``, ``"val"`` or ``"test"``.
    """

    def __init__(self, corpus: Corpus, split: str) -> None:
        def column(name: str) -> Any:
            return corpus.column(name, split=split)

        self.tokens: Ragged = column("tokens")
        self.note_count = column("note_count").astype(np.int64)
        self.on_grid = column("on_grid")
        self.corpus_name = column("corpus")
        self.song = column("song")
        self.permissive = column("licence_class") == "permissive"
        genre = column("genre")
        self.genre = np.array([GENRES.index(name) if name in GENRES else -1 for name in genre], np.int64)
        # "other" says only that nobody named a genre.
        self.genre[self.genre == GENRES.index("other")] = -1
        self.label_kind = column("label_kind")
        quadrant = column("quadrant")
        self.quadrant = np.array([int(name[1]) - 1 if name else -1 for name in quadrant], np.int64)
        window = np.stack([column("window_valence"), column("window_arousal")], axis=1)
        song = np.stack([column("valence"), column("arousal")], axis=1)
        rated = (self.label_kind == "rating")[:, None]
        # People's curve tells this very window; the song's mean steadies it.
        both = np.where(np.isfinite(window), 0.5 * (window + song), song)
        self.rating = np.where(rated, both, np.nan).astype(np.float32)
        self.quadrant[(self.label_kind == "rating") & (np.abs(self.rating).min(axis=1) < 0.1)] = -1
        programs = column("programs")
        drums_only = np.array([set(row.tolist()) == {DRUMS} for row in programs])
        usable = (self.tokens.lengths > 0) & (self.note_count >= MIN_NOTES)
        self.usable = np.flatnonzero(usable)
        kept = np.array([is_kept(str(song)) for song in self.song], bool)
        self.calibration = (self.label_kind == "quadrant") & kept
        """Windows of labelled clips whose labels are never trained on."""
        self.pitched = np.flatnonzero(usable & ~drums_only)

    def __len__(self) -> int:
        return len(self.tokens)

    def passage(self, row: int) -> Passage:
        """Music of one window."""
        return passage(self.tokens[row], on_grid=bool(self.on_grid[row]))


@dataclass(frozen=True)
class Labels:
    """What is known of one row of a batch."""

    quadrant: int = -1
    rating: tuple[float, float] = (math.nan, math.nan)
    genre: int = -1
    signs_only: bool = False
    """The quadrant is all that people said."""
    group: int = -1
    """Rows of one group are ordered in quality."""
    rank: tuple[int, int] = (0, 0)
    """(0, 0) best. A row is better than another where it is no worse in either number and better in one."""
    misplaced: NDArray[np.bool_] | None = None
    """Events that damage has put there; None where nobody knows."""


class Batches:
    """Endless batches, a pure function of (seed, step).

    Parameters
    ----------
    library
        Windows to learn from.
    samples
        Pieces of generators as ids, each with its rank (stage of training, temperature), (0, 0) the best.
    """

    def __init__(self, library: Library, samples: Sequence[Ranked], settings: Settings, first: int = 0) -> None:
        self.library, self.settings, self.first = library, settings, first
        lib = library
        self._samples = samples
        fold = np.array([fold_of(str(song), N_FOLDS) for song in lib.song])
        rated = np.isfinite(lib.rating).all(axis=1) & (fold != settings.exclude_fold)
        self._rated = np.intersect1d(np.flatnonzero(rated), lib.usable)
        labelled = (lib.label_kind == "quadrant") & (lib.quadrant >= 0) & ~lib.calibration
        self._labelled = np.intersect1d(np.flatnonzero(labelled), lib.usable)
        named = lib.pitched[lib.genre[lib.pitched] >= 0]
        counts = np.bincount(lib.genre[named], minlength=len(GENRES))
        weight = counts[lib.genre[named]].astype(float) ** -0.5
        self._named, self._named_weight = named, weight / weight.sum()
        real = lib.pitched[lib.on_grid[lib.pitched]]
        _, place, sizes = np.unique(lib.corpus_name[real], return_inverse=True, return_counts=True)
        weight = sizes[place].astype(float) ** -0.5
        self._real, self._real_weight = real, weight / weight.sum()
        weight = np.array([settings.damage_weights.get(kind, 1.0) for kind in KINDS])
        self._kind_weight = weight / weight.sum()
        # Beside samples stands the music that the generator learnt from, lest the corpus give the answer away.
        self._kin = real[lib.permissive[real]] if lib.permissive[real].any() else real

    def __iter__(self) -> Iterator[dict[str, Any]]:
        masked = self.settings.tasks == ("masked",)
        source = self._masked() if masked else self._tasks()
        for step, batch in enumerate(source):
            if step >= self.first:
                yield batch()

    # ------------------------------------------------------------------ masked events

    def _masked(self) -> Iterator[Any]:
        s, lib = self.settings, self.library
        step, epoch = 0, 0
        while True:
            rng = np.random.default_rng([s.seed, 1, epoch])
            weight = np.array([s.corpus_weights.get(str(name), 1.0) for name in lib.corpus_name[lib.usable]])
            copies = np.floor(weight + rng.random(len(weight))).astype(np.int64)
            rows = rng.permutation(np.repeat(lib.usable, copies))
            lengths = np.minimum(lib.note_count[rows], s.max_events)
            batches: list[NDArray[np.int64]] = []
            for first in range(0, len(rows), 1024):
                chunk = rows[first : first + 1024][np.argsort(lengths[first : first + 1024], kind="stable")]
                total = np.cumsum(np.minimum(lib.note_count[chunk], s.max_events))
                batches += np.split(chunk, np.flatnonzero(np.diff(total // s.batch_events)) + 1)
            for i in rng.permutation(len(batches)):
                yield lambda batch=batches[i], at=step: self._masked_batch(batch, at)
                step += 1
            epoch += 1

    def _masked_batch(self, rows: NDArray[np.int64], step: int) -> dict[str, Any]:
        s = self.settings
        rng = np.random.default_rng([s.seed, 2, step])
        inputs, targets = [], []
        for row in rows:
            music = _varied([self.library.passage(int(row))], rng, hide_bars=0.4)[0]
            events, header = encode(music)
            events = events[_cut(len(events), s.max_events, rng)]
            hidden = _spans(len(events), s.mask_share, rng)[:, None] | (rng.random(events.shape) < 0.05)
            inputs.append((np.where(hidden, 0, events).astype(np.int16), header))
            targets.append((np.where(hidden, events, 0).astype(np.int16), header))
        chunk = collate(inputs)
        return {"chunks": [chunk], "targets": collate(targets)[0], "n": int(chunk[2].sum())}

    # ------------------------------------------------------------------ tasks

    def _tasks(self) -> Iterator[Any]:
        step = 0
        while True:
            yield lambda at=step: self._task_batch(at)
            step += 1

    def _task_batch(self, step: int) -> dict[str, Any]:
        s, lib = self.settings, self.library
        rng = np.random.default_rng([s.seed, 2, step])
        found: list[tuple[Row, Labels]] = []

        def add(music: Sequence[Passage], labels: Sequence[Labels], *, hide_bars: float = 0.3) -> None:
            for varied, label in zip(_varied(music, rng, hide_bars=hide_bars), labels, strict=True):
                events, header = encode(varied)
                part = _cut(len(events), s.max_events, rng)
                marks = None if varied.misplaced is None else varied.misplaced[: len(events)][part]
                found.append(((events[part], header), replace(label, misplaced=marks)))

        if "emotion" in s.tasks:
            n_rated = min(round(s.rating_share * s.emotion_rows), s.emotion_rows) if len(self._rated) else 0
            for pool, n in ((self._rated, n_rated), (self._labelled, s.emotion_rows - n_rated)):
                for row in rng.choice(pool, n) if len(pool) else ():
                    # Most labelled clips are performances; their bars, where tracked, are no help at the door.
                    add([lib.passage(int(row))], [self._labels(int(row))], hide_bars=0.6)
        if "genre" in s.tasks:
            for row in rng.choice(self._named, s.genre_rows, p=self._named_weight) if len(self._named) else ():
                add([lib.passage(int(row))], [self._labels(int(row))])
        if "quality" in s.tasks:
            for group in range(s.spoilt_groups):
                row, other = rng.choice(self._real, 2, p=self._real_weight)
                music, donor = lib.passage(int(row)), lib.passage(int(other))
                kind = list(KINDS)[int(rng.choice(len(KINDS), p=self._kind_weight))]
                grades = np.sort(rng.choice(len(GRADES), 2, replace=False))
                seed = int(rng.integers(2**31))
                spoilt = [corrupt(music, kind, GRADES[g], donor, seed) for g in grades]
                ranks = [self._labels(int(row), group), *(Labels(group=group, rank=(1, k)) for k in range(2))]
                add([replace(music, misplaced=np.zeros(len(music.notes), bool)), *spoilt], ranks, hide_bars=0.2)
            for group in range(s.spoilt_groups, s.spoilt_groups + s.sample_groups * bool(len(self._samples))):
                row = int(rng.choice(self._kin))
                picked = [self._samples[int(i)] for i in rng.choice(len(self._samples), 2, replace=False)]
                labels = [self._labels(row, group)]
                labels += [Labels(group=group, rank=(1 + stage, heat)) for (stage, heat), _ in picked]
                add([lib.passage(row), *(passage(ids) for _, ids in picked)], labels, hide_bars=0.2)
        return _batched(found)

    def _labels(self, row: int, group: int = -1) -> Labels:
        lib, s = self.library, self.settings
        left_out = fold_of(str(lib.song[row]), N_FOLDS) == s.exclude_fold and lib.label_kind[row] == "rating"
        held_out = left_out or bool(lib.calibration[row])
        quadrant, rating = int(lib.quadrant[row]), tuple(lib.rating[row].tolist())
        return Labels(
            quadrant=-1 if held_out else quadrant,
            rating=(math.nan, math.nan) if held_out else (rating[0], rating[1]),
            genre=int(lib.genre[row]),
            signs_only=lib.label_kind[row] == "quadrant",
            group=group,
        )


def _batched(found: Sequence[tuple[Row, Labels]], rows_each: int = 10) -> dict[str, Any]:
    """Rows of similar length in chunks that are padded apart, and their labels in that order."""
    order = np.argsort([len(events) for (events, _), _ in found], kind="stable")
    labels = [found[i][1] for i in order]
    chunks = [collate([found[i][0] for i in order[k : k + rows_each]]) for k in range(0, len(order), rows_each)]
    marks = []
    for k, (events, _, _) in enumerate(chunks):
        known = torch.full(events.shape[:2], math.nan)
        for i, label in enumerate(labels[k * rows_each : (k + 1) * rows_each]):
            if label.misplaced is not None:
                known[i, : len(label.misplaced)] = torch.from_numpy(label.misplaced.astype(np.float32))
        marks.append(known)
    return {
        "chunks": chunks,
        "misplaced": marks,
        "quadrant": torch.tensor([row.quadrant for row in labels]),
        "rating": torch.tensor([row.rating for row in labels], dtype=torch.float32),
        "genre": torch.tensor([row.genre for row in labels]),
        "signs_only": torch.tensor([row.signs_only for row in labels]),
        "group": torch.tensor([row.group for row in labels]),
        "rank": torch.tensor([row.rank for row in labels]),
        "n": sum(int(lengths.sum()) for _, _, lengths in chunks),
    }


def _spans(n: int, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Events to blank: spans of one to eight until the share is reached."""
    hidden = np.zeros(n, bool)
    while hidden.sum() < share * n:
        start = int(rng.integers(n))
        hidden[start : start + int(rng.integers(1, 9))] = True
    return hidden


def _cut(n: int, longest: int, rng: np.random.Generator) -> slice:
    """At most so many of `n` events, from a random place."""
    start = int(rng.integers(n - longest + 1)) if n > longest else 0
    return slice(start, start + longest)


def _varied(music: Sequence[Passage], rng: np.random.Generator, *, hide_bars: float) -> list[Passage]:
    """The same windows in another key, tempo, loudness and touch, all in the same way; bars hidden now and then."""
    semitones = int(rng.integers(-5, 7))
    pace = float(np.exp(rng.normal(0, 0.07)))
    level, swing = rng.normal(0, 8), rng.uniform(0.6, 1.1)
    release = rng.uniform(0.4, 1.0) if rng.random() < 0.3 else 1.0
    hidden = rng.random() < hide_bars
    jitter = rng.uniform(0, 0.02)
    varied = []
    for one in music:
        notes = one.notes.copy()
        pitched = notes["program"] != DRUMS
        pitch = notes["pitch"].astype(np.int64)
        moved = pitch + semitones
        notes["pitch"] = np.where(pitched & (moved >= 21) & (moved <= 108), moved, pitch)
        velocity = notes["velocity"].astype(float)
        velocity = velocity.mean() + level + swing * (velocity - velocity.mean())
        notes["velocity"] = np.clip(np.rint(velocity), 1, 127)
        if one.on_grid and not hidden:
            if release < 1:
                notes["duration_beat"] = np.maximum(notes["duration_beat"] * release, 1 / 12)
            varied.append(replace(one, tempo_bpm=one.tempo_bpm * pace).with_notes(notes, one.misplaced))
            continue
        notes["onset_sec"] += rng.normal(0, jitter, len(notes))
        notes["onset_sec"] *= 1 / pace
        notes["duration_sec"] *= release / pace
        order = np.argsort(notes["onset_sec"], kind="stable")
        misplaced = None if one.misplaced is None else one.misplaced[order]
        varied.append(replace(one, notes=notes[order], misplaced=misplaced, on_grid=False))
    return varied


# -------------------------------------------------------------------------------------------------------------- losses


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
    """Cross-entropy of which events damage has put there, of one shape; NaN where nobody knows."""
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


class _Module(lightning.LightningModule):
    def __init__(self, settings: Settings, batches: Batches) -> None:
        super().__init__()
        self.settings, self.batches = settings, batches
        config = Config(settings.width, settings.layers, settings.heads, settings.dropout)
        self.network = Network(config)
        self.log_weight = torch.nn.Parameter(torch.zeros(len(TASKS)))
        self.fresh: set[str] = set()
        if settings.init:
            weights = {name: value.float() for name, value in load_tensors(find(settings.init)).items()}
            missing, _ = self.network.load_state_dict(weights, strict=False)
            self.fresh = set(missing)
        self.mean = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.events_seen = 0
        self.history: list[dict[str, float]] = []
        self._sums: dict[str, list[float]] = {}
        self._started = time.monotonic()

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

    def training_step(self, batch: dict[str, Any], _index: int) -> Tensor:
        # Dropout too depends on seed and step alone, so that a resumed run goes on exactly.
        torch.manual_seed(1_000_003 * self.settings.seed + self.global_step)
        losses = self.losses(batch)
        self.events_seen += batch["n"]
        for name, loss in losses.items():
            self._sums.setdefault(name, []).append(float(loss.detach()))
            self.log(f"{name}_loss", loss, prog_bar=True, batch_size=1)
        if "masked" in losses:
            return losses["masked"]
        weight = dict(zip(TASKS, self.log_weight, strict=True))
        return torch.stack([torch.exp(-weight[n]) * loss + 0.5 * weight[n] for n, loss in losses.items()]).sum()

    def average(self) -> None:
        """Take the weights of this step into their running mean."""
        # Early on the mean is young: it must not remember the beginning.
        decay = min(self.settings.averaging, self.global_step / (self.global_step + 9.0))
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                self.mean[name].lerp_(value.to(self.mean[name].device), 1 - decay)

    def note(self) -> None:
        """Mean losses since the last time, into the history."""
        row = {"step": float(self.global_step), "events": float(self.events_seen)}
        row |= {name: float(np.mean(values)) for name, values in self._sums.items()}
        self.history.append(row | {"minutes": (time.monotonic() - self._started) / 60})
        self._sums = {}
        _log.info("%s", self.history[-1])

    def configure_optimizers(self) -> Any:
        s = self.settings
        groups: dict[tuple[bool, bool], list[torch.nn.Parameter]] = {}
        head = ("queries", "quality", "misplaced", "blame", "quadrant", "valence_arousal", "genre")
        for name, parameter in self.named_parameters():
            short = name.removeprefix("network.")
            is_head = bool(s.init) and (short.split(".")[0] in head or short in self.fresh or name == "log_weight")
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

        def rate(step: int) -> float:
            if step < s.warmup_steps:
                return (step + 1) / s.warmup_steps
            progress = min((step - s.warmup_steps) / max(s.max_steps - s.warmup_steps, 1), 1.0)
            return 0.1 + 0.45 * (1 + math.cos(math.pi * progress))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def train_dataloader(self) -> Batches:
        self.batches.first = self.global_step
        return self.batches

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["muse"] = {
            "events_seen": self.events_seen, "history": self.history, "sums": self._sums, "mean": self.mean,
        }  # fmt: skip

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        state = checkpoint["muse"]
        self.events_seen, self.history, self._sums = state["events_seen"], list(state["history"]), state["sums"]
        self.mean = state["mean"]
        self._started = time.monotonic() - 60 * (self.history[-1]["minutes"] if self.history else 0)


class _Export(lightning.Callback):
    """Now and then: the state to resume from, and the weights."""

    def __init__(self, folder: Path, last: Path, corpus: Corpus) -> None:
        self.folder, self.last, self.corpus = folder, last, corpus
        self._noted = -1

    def on_train_batch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule, *_: Any) -> None:
        assert isinstance(module, _Module)
        module.average()  # here and not in a hook of the module, which would come after this one
        if module.global_step % module.settings.validate_every == 0:
            self.on_train_end(trainer, module)

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        assert isinstance(module, _Module)
        if module.global_step == self._noted:
            return
        self._noted = module.global_step
        module.note()
        export(module.mean, module.network.config, module.settings, module.history, self.corpus, self.folder)
        trainer.save_checkpoint(self.last)


def export(
    weights: Mapping[str, Tensor],
    config: Config,
    settings: Settings,
    history: Sequence[Mapping[str, float]],
    corpus: Corpus,
    folder: Path,
) -> None:
    """Write weights (bf16, shards under 16 MB), configuration, history and card.

    The heads of the masked task go along only after the first stage.
    """
    folder.mkdir(parents=True, exist_ok=True)
    masked = settings.tasks == ("masked",)
    kept = {
        name: tensor.detach().to(torch.bfloat16).contiguous()
        for name, tensor in weights.items()
        if masked or not name.startswith("masked.")
    }
    save_tensors(kept, folder)
    write_json(config.to_json(), folder / "config.json")
    write_json(asdict(settings) | {"init": Path(settings.init).name}, folder / "training.json")
    n_weights = sum(tensor.numel() for tensor in kept.values())
    write_json({"n_parameters": n_weights, "history": list(history)}, folder / "metrics.json")
    write_bytes(folder / "README.md", _card(folder.name, n_weights, settings, history[-1], corpus).encode())


def _card(name: str, n_weights: int, settings: Settings, last: Mapping[str, float], corpus: Corpus) -> str:
    """The model card; it names the data whose licences bind users."""
    counts: Mapping[str, Any] = corpus.info["by_corpus"]
    classes: dict[str, set[str]] = {}
    for rows in corpus.batches(["corpus", "licence_class"], split="train"):
        for corpus_name, licence in zip(rows["corpus"], rows["licence_class"], strict=True):
            classes.setdefault(str(corpus_name), set()).add(str(licence))
    bound = sorted(entry for entry, found in classes.items() if found & {"nc", "unclear"})
    data = ", ".join(f"{entry} ({counts[entry]['windows']:,} windows)" for entry in sorted(classes))
    return (
        "---\nlicense: other\ntags: [music, symbolic-music, emotion, music-quality]\n---\n\n"
        f"# Muse selector, `{name}`\n\n"
        f"A bidirectional transformer encoder of {n_weights:,} weights that rates symbolic music: quality, emotion\n"
        "(quadrants, valence, arousal with their spread) and genre. `muse.selector.Selector.from_pretrained` loads\n"
        "it. What it can and what it cannot do stands in `docs/selector.md`.\n\n"
        "| | |\n|---|---|\n"
        f"| tasks | {', '.join(settings.tasks)} |\n| begins from | {Path(settings.init).name or 'random weights'} |\n"
        f"| data | {data} |\n| steps | {int(last['step']):,} |\n| events | {int(last['events']):,} |\n\n"
        f"**Data of non-commercial or unclear licence: {', '.join(bound) or 'none'}.** These weights learnt from it;\n"
        "who may use them commercially is for their user to settle. Music that was only ranked by them is not bound.\n"
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
        Go on from ``<out>.run/last.ckpt`` if it is there.
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
    unknown = sorted(set(settings) - set(Settings.__dataclass_fields__))
    if unknown:
        legal = ", ".join(Settings.__dataclass_fields__)
        raise InputError(f"unknown training setting {', '.join(unknown)}; legal are {legal}")
    if "tasks" in settings:
        settings["tasks"] = tuple(settings["tasks"])
    chosen = Settings(**settings)
    out = Path(out)
    run = out.with_name(out.name + ".run")
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    lightning.seed_everything(chosen.seed, verbose=False)
    dataset = Corpus(corpus)
    library = Library(dataset, "train")
    if not len(library.usable):
        raise InputError(f"{corpus} has no training window with notes")
    module = _Module(chosen, Batches(library, samples, chosen))
    last = run / "last.ckpt"
    trainer = lightning.Trainer(
        default_root_dir=run,
        accelerator="auto",
        devices=1,
        precision="bf16-mixed",
        max_steps=chosen.max_steps,
        max_time={"minutes": chosen.max_minutes} if chosen.max_minutes else None,
        gradient_clip_val=chosen.gradient_clip,
        log_every_n_steps=20,
        enable_progress_bar=progress,
        enable_model_summary=False,
        enable_checkpointing=False,  # ours has the history in it
        logger=CSVLogger(run, name="logs", flush_logs_every_n_steps=20),
        callbacks=[_Export(out, last, dataset), *callbacks],
    )
    trainer.fit(module, ckpt_path=str(last) if resume and last.exists() else None, weights_only=False)
    return dict(module.history[-1])
