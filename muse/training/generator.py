"""Training of the generator: corpus windows with the attributes measured on them, next-token prediction, Lightning.

A sequence is a window with its controls (see :mod:`muse.tokens.music`). The prefix never lies: what augmentation
changes (key, tempo, loudness) is measured again before it is bucketed. Controls are dropped at random, so that any
subset may be given later and classifier-free guidance (Ho & Salimans 2022, arXiv 2207.12598) has its unconditional
model. Loss is taken on music alone; control tokens are given, never predicted.

The run itself is :func:`muse.training.loop.train`; batches are a pure function of seed and step.

Contents: :class:`Settings`, :class:`Windows`, :class:`Batches`, :func:`train`.
"""

from __future__ import annotations

import copy
import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch

from muse.attributes import attribute
from muse.dataset.read import Corpus, Ragged
from muse.errors import InputError
from muse.generator.model import build
from muse.tokens import SECTION_BARS, SECTION_CONTROLS, SONG_CONTROLS, Codec, Controls, Header
from muse.tokens.music import control_values, fold_shift
from muse.tokens.vocabulary import STEPS_PER_BEAT
from muse.training import loop
from muse.training.loop import Learner, Run, card, cosine, scheduled, settings_from
from muse.training.precision import autocast

__all__ = ["Batches", "Settings", "Windows", "train"]

_log = logging.getLogger(__name__)

HELD_OUT_SHARE = 0.1
"""Share of the songs to validate on where a dataset has no validation split."""

_IGNORED = -100  # label that torch's cross-entropy passes over


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run. Written beside the weights."""

    size: str = "small"
    """A name in ``muse.generator.model.SIZES``."""
    max_steps: int = 6000
    batch_sequences: int = 4
    accumulate: int = 1
    """Batches per optimiser step."""
    learning_rate: float = 1.2e-3
    """Peak, after warm-up; cosine to a tenth of it."""
    warmup_steps: int = 200
    weight_decay: float = 0.05
    gradient_clip: float = 1.0
    key_relative: bool = True
    tempo_steps: int = 2
    """Tempo augmentation, up to so many Tempo tokens (5.8 % each) slower or faster."""
    velocity_steps: int = 4
    """Loudness augmentation, up to so many velocity bins (5.3 each)."""
    drop_all: float = 0.1
    """Share of windows without any attribute: the unconditional model of guidance."""
    corpus_weights: Mapping[str, float] = field(default_factory=dict)
    """Share of a corpus's windows that an epoch takes (may exceed 1); default 1."""
    licence_classes: tuple[str, ...] = ("permissive",)
    max_tokens: int = 2200
    min_grid: float = 0.8
    """Leave out windows with a smaller share of onsets on sixteenths or triplets: misaligned performances."""
    validate_every: int = 500
    n_validation: int = 96
    seed: int = 0
    threads: int = 0
    """CPU threads, 0 = torch's choice."""
    max_minutes: float = 0.0
    """Stop after so many minutes of wall time, 0 = never; the run can be resumed."""


class Windows:
    """Windows of one split, in memory as integers, with their controls.

    Parameters
    ----------
    corpus
        A dataset made by ``muse corpus build``.
    split
        ``"train"``, ``"val"`` or ``"test"``.
    """

    def __init__(self, corpus: Corpus, split: str, settings: Settings, codec: Codec | None = None) -> None:
        def column(name: str) -> Any:
            return corpus.column(name, split=split, **_usable(settings))

        self.tokens: Ragged = column("tokens")
        if len(self.tokens) == 0:
            raise InputError(
                f"{corpus.folder} has no {split} windows on a grid with licence class "
                f"{' or '.join(settings.licence_classes)}; its songs are {', '.join(corpus.info['by_licence_class'])}"
            )
        self.programs: Ragged = column("programs")
        self.corpus_name = column("corpus")
        self.song_name = self.corpus_name + "/" + column("song")
        self.genre = column("genre")
        self.mode = column("mode")
        self.tonic = column("tonic").astype(np.int64)
        self.n_bars = column("n_bars").astype(np.int64)
        self.at_start = column("at_start")
        self.at_end = column("at_end")
        self.note_count = column("note_count").astype(np.int64)
        self.song = control_values(corpus.attribute_names, column("attributes"), SONG_CONTROLS).astype(np.float64)
        raw = column("section_attributes")
        width = len(corpus.section_attribute_names)
        sections = control_values(
            corpus.section_attribute_names, raw.values.reshape(-1, width), SECTION_CONTROLS
        ).astype(np.float64)
        self.section = Ragged(sections, raw.offsets // width)
        self.settings = settings
        self.codec = codec or Codec(None, self._controls(), key_relative=settings.key_relative)
        v = self.codec.vocabulary
        self._song_tempo_power = np.array([attribute(name).tempo_power or 0 for name in SONG_CONTROLS])
        self._section_tempo_power = np.array([attribute(name).tempo_power or 0 for name in SECTION_CONTROLS])
        self._pitched = v.pitch_values >= 0
        fits = (self.tokens.lengths <= settings.max_tokens) & (self._grid_share() >= settings.min_grid)
        self.rows = np.flatnonzero(fits)
        """Those that are used, int64 [n]."""

    def __len__(self) -> int:
        return len(self.rows)

    def parted(self, share: float) -> tuple[Windows, Windows]:
        """The same windows in two: most songs, and some others, drawn by a hash of their names."""
        songs = sorted({str(name) for name in self.song_name[self.rows]}, key=_hash)
        others = set(songs[: max(1, round(share * len(songs)))])
        apart = np.array([name in others for name in self.song_name[self.rows]], bool)
        both = copy.copy(self), copy.copy(self)
        for part, rows in zip(both, (self.rows[~apart], self.rows[apart]), strict=True):
            part.rows = rows
        return both

    def _grid_share(self) -> np.ndarray:
        """Share of each row's Position tokens on sixteenths or triplets, float64 [n_rows]."""
        first, stop = self.codec.vocabulary.position
        ids, offsets = self.tokens.values, self.tokens.offsets
        is_position = (ids >= first) & (ids < stop)
        step = (ids.astype(np.int64) - first) % STEPS_PER_BEAT
        on_grid = is_position & ((step % 3 == 0) | (step % 4 == 0))
        counts = [np.concatenate([[0], np.cumsum(flags)])[offsets] for flags in (on_grid, is_position)]
        return np.diff(counts[0]) / np.maximum(np.diff(counts[1]), 1)

    def _controls(self) -> Controls:
        return Controls.fit(self.song, self.section.values)

    def epoch(self, epoch: int) -> list[np.ndarray]:
        """Batches of row numbers for one pass: shuffled, of similar length within a batch."""
        s = self.settings
        rng = np.random.default_rng([s.seed, 1, epoch])
        weight = np.array([s.corpus_weights.get(str(name), 1.0) for name in self.corpus_name[self.rows]])
        copies = np.floor(weight + rng.random(len(weight))).astype(np.int64)
        rows = rng.permutation(np.repeat(self.rows, copies))
        lengths = self.tokens.lengths
        pool = s.batch_sequences * 32
        batches: list[np.ndarray] = []
        for first in range(0, len(rows), pool):
            chunk = rows[first : first + pool]
            chunk = chunk[np.argsort(lengths[chunk], kind="stable")]
            batches += [chunk[i : i + s.batch_sequences] for i in range(0, len(chunk), s.batch_sequences)]
        return [batches[i] for i in rng.permutation(len(batches))]

    def sequence(self, row: int, rng: np.random.Generator, *, augment: bool) -> tuple[np.ndarray, np.ndarray]:
        """Ids and labels of one window, int64 [n] each; labels are -100 on controls.

        Key, tempo and loudness are changed first (where `augment`), then the controls are measured on the result.
        """
        codec, v, s = self.codec, self.codec.vocabulary, self.settings
        ids = self.tokens[row].astype(np.int64)
        song, section = self.song[row].copy(), self.section[row].copy()
        tonic = int(self.tonic[row])
        if codec.key_relative:
            shift = fold_shift(-tonic) if tonic >= 0 else 0
        else:
            shift = int(rng.integers(-5, 7)) if augment else 0
        ids = codec.transpose(ids, shift)
        if augment:
            ids, factor = self._change_tempo(ids, int(rng.integers(-s.tempo_steps, s.tempo_steps + 1)))
            song *= factor**self._song_tempo_power
            section *= factor**self._section_tempo_power
            first, stop = v.velocity
            step = int(rng.integers(-s.velocity_steps, s.velocity_steps + 1))
            is_velocity = (ids >= first) & (ids < stop)
            ids = np.where(is_velocity, np.clip(ids + step, first, stop - 1), ids)
        self._measure_again(ids, song, section)
        song_buckets = codec.controls.buckets(song, "song")
        section_buckets = codec.controls.buckets(section, "section")
        genre: str | None = str(self.genre[row])
        mode: str | None = str(self.mode[row])
        if augment:
            song_buckets, section_buckets = self._drop(song_buckets, section_buckets, rng)
            genre = None if rng.random() < 0.1 else genre
            mode = None if rng.random() < 0.15 else mode
        first_ts, stop_ts = v.time_signature
        meter = v.tokens[int(ids[(ids >= first_ts) & (ids < stop_ts)][0])].partition("_")[2]
        numerator, denominator = (int(part) for part in meter.split("/"))
        header = Header(
            genre=genre,
            mode=mode,
            tonic=(tonic + shift) % 12 if tonic >= 0 else None,
            time_signature=(numerator, denominator),
            programs=tuple(int(p) for p in self.programs[row]),
        )
        return self._assemble(row, ids, codec.header_ids(header), song_buckets, section_buckets)

    def _assemble(
        self, row: int, ids: np.ndarray, header: list[int], song: np.ndarray, section: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        codec, v = self.codec, self.codec.vocabulary
        starts = codec.bar_starts(ids)[::SECTION_BARS]
        kinds = codec.sections(int(self.n_bars[row]), at_start=bool(self.at_start[row]), at_end=bool(self.at_end[row]))
        prefix = np.concatenate([header, codec.song_control_ids(song)])
        parts, given = [prefix], [np.ones(len(prefix), bool)]
        for kind, buckets, music in zip(kinds, section, np.split(ids, starts[1:]), strict=False):
            block = codec.section_ids(kind, buckets)
            parts += [block, music]
            # The first control token of a later section is how a bar ends there, yet which it is was given: the
            # grammar forces it, except that the row must learn to leave the bar.
            mask = np.ones(len(block), bool)
            mask[0] = len(parts) <= 3
            given += [mask, np.zeros(len(music), bool)]
        parts.append(np.array([v.eos]))
        given.append(np.zeros(1, bool))
        sequence = np.concatenate(parts).astype(np.int64)
        return sequence, np.where(np.concatenate(given), _IGNORED, sequence)

    def _change_tempo(self, ids: np.ndarray, steps: int) -> tuple[np.ndarray, float]:
        first, stop = self.codec.vocabulary.tempo
        is_tempo = (ids >= first) & (ids < stop)
        old = int(ids[is_tempo][0])
        new = min(max(old + steps, first), stop - 1)
        values = self.codec.vocabulary.tempo_values
        return np.where(is_tempo, new, ids), float(values[new - first] / values[old - first])

    def _measure_again(self, ids: np.ndarray, song: np.ndarray, section: np.ndarray) -> None:
        """Overwrite what transposition and loudness change: register and mean velocity, from the ids themselves."""
        v = self.codec.vocabulary
        section_of = (np.cumsum(ids == v.bar) - 1) // SECTION_BARS
        velocity = v.velocity_values[ids]
        self._set(song, SONG_CONTROLS, "Mean Dynamics", velocity, velocity >= 0, None)
        self._set(section, SECTION_CONTROLS, "Mean Dynamics", velocity, velocity >= 0, section_of)
        pitch = v.pitch_values[ids]
        is_note = pitch >= 0
        for values, names, where in ((song, SONG_CONTROLS, None), (section, SECTION_CONTROLS, section_of)):
            self._set(values, names, "Mean Pitch", pitch, is_note, where)
            self._set(values, names, "Importance of Bass Register", pitch <= 54, is_note, where)
            self._set(values, names, "Importance of High Register", pitch >= 73, is_note, where)

    @staticmethod
    def _set(
        values: np.ndarray,
        names: tuple[str, ...],
        name: str,
        measured: np.ndarray,
        counts: np.ndarray,
        section_of: np.ndarray | None,
    ) -> None:
        if name not in names:
            return
        column = names.index(name)
        if section_of is None:
            values[column] = measured[counts].mean() if counts.any() else np.nan
            return
        n = np.bincount(section_of[counts], minlength=len(values))[: len(values)]
        total = np.bincount(section_of[counts], measured[counts], minlength=len(values))[: len(values)]
        values[:, column] = np.where(n > 0, total / np.maximum(n, 1), np.nan)

    def _drop(self, song: np.ndarray, section: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Leave controls open: all of them now and then, else a random share, in both scopes apart."""
        everything = rng.random() < self.settings.drop_all
        song_share = 1.0 if everything else 0.6 * rng.random()
        section_share = 1.0 if everything or rng.random() < 0.2 else 0.6 * rng.random()
        song = np.where(rng.random(len(song)) < song_share, -1, song)
        section = np.where(rng.random(section.shape[1]) < section_share, -1, section)
        return song, section


class Batches:
    """Endless batches, a pure function of (seed, step), so that a resumed run goes on exactly."""

    def __init__(self, windows: Windows, first_batch: int) -> None:
        self.windows = windows
        self.first_batch = first_batch

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        step, epoch = 0, 0
        while True:
            for rows in self.windows.epoch(epoch):
                if step >= self.first_batch:
                    rng = np.random.default_rng([self.windows.settings.seed, 2, step])
                    yield collate([self.windows.sequence(int(row), rng, augment=True) for row in rows])
                step += 1
            epoch += 1


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def collate(sequences: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, torch.Tensor]:
    """Pad on the right to one length: ids with 0, labels with -100."""
    width = max(len(ids) for ids, _ in sequences)
    ids = np.zeros((len(sequences), width), np.int64)
    labels = np.full((len(sequences), width), _IGNORED, np.int64)
    for i, (row_ids, row_labels) in enumerate(sequences):
        ids[i, : len(row_ids)] = row_ids
        labels[i, : len(row_labels)] = row_labels
    return {"ids": torch.from_numpy(ids), "labels": torch.from_numpy(labels)}


class _Learner(Learner):
    """The Hugging Face model with its windows."""

    best_by = "val_loss"

    def __init__(self, settings: Settings, corpus: Corpus, train_windows: Windows, val_windows: Windows) -> None:
        super().__init__(settings.seed)
        self.settings, self.corpus = settings, corpus
        self.windows, self.val_windows = train_windows, val_windows
        self.model = build(settings.size, len(train_windows.codec.vocabulary))
        self.tokens_seen = 0
        self.validation = _validation(settings, val_windows)

    def batches(self, first: int) -> Batches:
        return Batches(self.windows, first)

    def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        self.tokens_seen += int((batch["ids"] != 0).sum())
        return self._loss(batch, "mean")

    def _loss(self, batch: dict[str, torch.Tensor], reduction: str) -> torch.Tensor:
        logits = self.model(input_ids=batch["ids"], use_cache=False).logits[:, :-1]
        return torch.nn.functional.cross_entropy(
            logits.flatten(0, 1).float(), batch["labels"][:, 1:].flatten(), ignore_index=_IGNORED, reduction=reduction
        )

    def measure(self) -> dict[str, float]:
        """Loss on windows that are not learnt from, per token and per note."""
        self.eval()
        nll = n_tokens = n_notes = 0.0
        with autocast(self.device.type):
            for batch in self.validation:
                nll += float(self._loss({name: value.to(self.device) for name, value in batch.items()}, "sum"))
                n_tokens += int((batch["labels"] != _IGNORED).sum())
                n_notes += int(batch["notes"].sum())
        self.train()
        return {"tokens": float(self.tokens_seen), "val_loss": nll / n_tokens, "val_loss_per_note": nll / n_notes}

    def configure_optimizers(self) -> Any:
        s = self.settings
        decayed = [p for p in self.parameters() if p.ndim >= 2]
        plain = [p for p in self.parameters() if p.ndim < 2]
        optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": s.weight_decay}, {"params": plain, "weight_decay": 0.0}],
            lr=s.learning_rate,
            betas=(0.9, 0.95),
            foreach=True,
        )
        return scheduled(optimizer, lambda step: cosine(step, s.warmup_steps, s.max_steps))

    def state(self) -> dict[str, Any]:
        return {"tokens_seen": self.tokens_seen}

    def take_state(self, state: Mapping[str, Any]) -> None:
        self.tokens_seen = state["tokens_seen"]

    def write(self, folder: Path) -> None:
        """bf16 weights in shards under 16 MB, tokenizer and controls."""
        copy.deepcopy(self.model).to(torch.bfloat16).save_pretrained(folder, max_shard_size="15MB")
        self.windows.codec.save(folder)

    def settings_json(self) -> dict[str, Any]:
        return asdict(self.settings)

    def card(self, name: str) -> str:
        """The model card."""
        s, best = self.settings, self.best
        licence = "apache-2.0" if set(s.licence_classes) == {"permissive"} else "other"
        data = ", ".join(
            f"{corpus} ({row['songs']} songs, {row['windows']} windows)"
            for corpus, row in sorted(self.corpus.info["by_corpus"].items())
        )
        return card(
            f"Muse generator, `{name}`",
            ("music", "symbolic-music", "emotion"),
            f"A Llama-style causal language model of {self.n_weights:,} weights over REMI tokens with attribute "
            "controls.\n`AutoModelForCausalLM.from_pretrained` loads it; `muse.Composer.from_pretrained` composes with "
            "it.",
            {
                "data": data,
                "licence classes": ", ".join(s.licence_classes),
                "steps": f"{best['step']:,.0f}",
                "tokens": f"{best['tokens']:,.0f}",
                "validation loss per token": f"{best['val_loss']:.4f} nats",
                "validation loss per note": f"{best['val_loss_per_note']:.4f} nats",
                "pitch": "relative to the tonic" if s.key_relative else "absolute",
            },
            "Splits are by song. `training.json` has every setting, `metrics.json` the curve, `controls.json` the "
            "bucket\nedges of the controls, `tokenizer.json` MidiTok's configuration.",
            head={"license": licence, "library_name": "transformers"},
        )


def _validation(settings: Settings, windows: Windows) -> list[dict[str, torch.Tensor]]:
    """The same windows at every report, of similar length within a batch."""
    rng = np.random.default_rng([settings.seed, 3])
    rows = np.sort(rng.permutation(windows.rows)[: settings.n_validation])
    rows = rows[np.argsort(windows.tokens.lengths[rows], kind="stable")]
    batches = []
    for first in range(0, len(rows), 8):
        chunk = rows[first : first + 8]
        batch = collate([windows.sequence(int(row), rng, augment=False) for row in chunk])
        batch["notes"] = torch.from_numpy(windows.note_count[chunk])
        batches.append(batch)
    return batches


def _both_splits(corpus: Corpus, settings: Settings) -> tuple[Windows, Windows]:
    """Windows to learn from and to validate on.

    A small folder may have no song in the validation split, which a hash draws; then some of the training songs are
    kept out of training instead.
    """
    known = Windows(corpus, "train", settings)
    held_out = Windows(corpus, "val", settings, known.codec) if _has(corpus, "val", settings) else None
    if held_out is None or not len(held_out):
        known, held_out = known.parted(HELD_OUT_SHARE)
    if not len(known) or not len(held_out):
        raise InputError(
            f"{corpus.folder} has {len(known)} windows to learn from and {len(held_out)} to validate on, of "
            f"{settings.max_tokens} tokens at most and {settings.min_grid:.0%} of their notes on the grid: give more "
            "music (two songs or more), or allow more by max_tokens and min_grid"
        )
    return known, held_out


def _has(corpus: Corpus, split: str, settings: Settings) -> bool:
    return len(corpus.column("n_bars", split=split, **_usable(settings))) > 0


def _usable(settings: Settings) -> dict[str, Any]:
    return {"on_grid": True, "licence_class": list(settings.licence_classes)}


def train(
    corpus: Path | str,
    out: Path | str,
    *,
    resume: bool = True,
    progress: bool = True,
    callbacks: Sequence[L.Callback] = (),
    **settings: Any,
) -> dict[str, Any]:
    """Train a generator and write its checkpoint folder.

    Parameters
    ----------
    corpus
        A dataset made by ``muse corpus build``.
    out
        Checkpoint folder. The state that a resumed run needs lies beside it in ``<out>.run/``.
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
        ``metrics.json``'s content: best validation loss per token and note, history.

    Raises
    ------
    InputError
        An unknown setting, or no window to learn from.
    """
    if "licence_classes" in settings:
        settings["licence_classes"] = tuple(settings["licence_classes"])
    chosen = settings_from(Settings, settings)
    dataset = Corpus(corpus)
    known, held_out = _both_splits(dataset, chosen)
    _log.info("%d training windows, %d validation windows", len(known), len(held_out))
    run = Run(
        chosen.max_steps, chosen.validate_every, chosen.seed, chosen.accumulate, chosen.gradient_clip,
        chosen.max_minutes, chosen.threads, devices="auto",
    )  # fmt: skip
    learner = loop.train(
        lambda: _Learner(chosen, dataset, known, held_out), out, run, resume=resume, progress=progress,
        callbacks=callbacks,
    )  # fmt: skip
    return learner.metrics()
