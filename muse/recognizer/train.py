"""Training of the recogniser on several datasets at once.

Every batch has windows of every dataset; a dataset without some label leaves that head alone, so losses are masked by
dataset. Features are made once and kept in a cache folder; a second run, or one that was interrupted, reads them from
there. Clips of a split ``val`` or ``test``, and others of their groups, are never learnt from.

Contents: :class:`RecognizerConfig`, :func:`train_recognizer`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from muse.audio import read_audio
from muse.checkpoint import save_json, save_tensors
from muse.corpus.importers import MIDI_SUFFIXES
from muse.errors import InputError
from muse.recognizer.chords import HarmonyModel
from muse.recognizer.datasets import Clip, EmotionDataset, open_dataset
from muse.recognizer.encoder import Encoder, MusicnnEncoder
from muse.recognizer.features import Features, Window, batch, extract
from muse.recognizer.model import MODEL_TYPE
from muse.recognizer.network import TAGS, Network, NetworkConfig, Windows
from muse.recognizer.signal import SAMPLE_RATE, semitones
from muse.recognizer.train_chords import (
    ChordSong,
    fit_harmony,
    key_points,
    read_pop909,
    split_songs,
    weighted_overlap,
)
from muse.render import render_audio
from muse.score import read_score

__all__ = ["RecognizerConfig", "fit", "train_recognizer"]

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class RecognizerConfig:
    """How it is trained."""

    n_steps: int = 200
    """Of every network."""
    n_networks: int = 3
    """Trained from different seeds; their mean is told."""
    batch: int = 64
    rate: float = 2e-3
    weight_decay: float = 0.05
    noise: float = 0.1
    """Standard deviation of what is added to features, in their own."""
    dropout: float = 0.4
    seed: int = 0


@dataclass(frozen=True)
class Learnt:
    """Windows of a dataset with their labels."""

    windows: Windows
    tags: torch.Tensor | None
    """[W, tags]; of exclusive ones, the share 1 is the label."""
    exclusive: bool
    plane: torch.Tensor | None
    """[W, 2]."""


def train_recognizer(
    folders: Sequence[str | Path],
    chords: str | Path,
    out: str | Path,
    *,
    cache: str | Path,
    config: RecognizerConfig | None = None,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Train on datasets and write a checkpoint.

    Parameters
    ----------
    folders
        Of datasets, see :func:`~muse.recognizer.datasets.open_dataset`.
    chords
        Folder of POP909, from which chords and keys are learnt.
    out
        Folder of the checkpoint.
    cache
        Folder of features; made if need be.
    config
        Settings.
    progress
        Called with the share that is done.

    Returns
    -------
    dict
        Number of clips and windows by dataset; overlap of chords and points of keys on songs not learnt from.

    Raises
    ------
    InputError
        A dataset cannot be read, or two are the same.
    """
    config = config or RecognizerConfig()
    encoder = MusicnnEncoder.from_pretrained()
    datasets = [open_dataset(folder) for folder in folders]
    if len({dataset.name for dataset in datasets}) < len(datasets) or not datasets:
        raise InputError("datasets to learn from must be given, each once")
    harmony, measured = _harmony(Path(chords), Path(cache) / "pop909", config.seed)
    counts: dict[str, Any] = {"harmony": measured}
    parts = []
    for i, dataset in enumerate(datasets):
        held = {clip.group for clip in dataset.clips if clip.split in ("val", "test")}
        clips = [clip for clip in dataset.clips if clip.group not in held]
        part = _learnt(dataset, clips, encoder, harmony, Path(cache) / dataset.name)
        parts.append(part)
        counts[dataset.name] = {"clips": len(clips), "windows": len(part.windows.mode)}
        if progress is not None:
            progress(0.5 * (i + 1) / len(datasets))
    networks = []
    for i in range(config.n_networks):
        networks.append(fit(parts, replace(config, seed=config.seed + i)))
        if progress is not None:
            progress(0.5 + 0.5 * (i + 1) / config.n_networks)
    tensors = {f"harmony.{name}": torch.from_numpy(np.array(value)) for name, value in harmony.tensors().items()}
    for i, network in enumerate(networks):
        tensors |= {f"network{i}.{name}": value for name, value in network.state_dict().items()}
    folder = Path(out)
    save_tensors(tensors, folder)
    save_json(
        {
            "model_type": MODEL_TYPE,
            "encoder": "musicnn",
            "n_networks": config.n_networks,
            "network": asdict(networks[0].config),
        },
        folder / "config.json",
    )
    save_json({"settings": asdict(config), "data": counts}, folder / "training.json")
    return counts


def _harmony(folder: Path, cache: Path, seed: int) -> tuple[HarmonyModel, dict[str, Any]]:
    """The chord recogniser, and what it reaches on songs of its own."""

    def pitches(song: ChordSong) -> Floats:
        return _kept(cache / f"{song.name}.npz", lambda: {"pitches": semitones(_sound(song.path))})["pitches"]

    learnt, held = split_songs(read_pop909(folder))
    model = fit_harmony(learnt, pitches, seed=seed)
    heard = [(song, model.hear(pitches(song))) for song in held]
    overlap = [weighted_overlap(song, harmony) for song, harmony in heard]
    points = [key_points(song.key, harmony.key) for song, harmony in heard if song.key is not None]
    songs = {"learnt": len(learnt), "held_out": len(held)}
    return model, {**songs, "majmin_overlap": float(np.mean(overlap)), "key_points": float(np.mean(points))}


def _learnt(
    dataset: EmotionDataset, clips: Sequence[Clip], encoder: Encoder, harmony: HarmonyModel, cache: Path
) -> Learnt:
    windows: list[Window] = []
    owner: list[int] = []
    for i, clip in enumerate(clips):
        found = _features(clip, encoder, cache).windows(harmony)
        windows += found
        owner += [i] * len(found)
    tags = None
    if dataset.tags:
        table = torch.tensor([[clip.tags.get(name, 0.0) for name in dataset.tags] for clip in clips])
        tags = table[owner]
    rated = [clip.emotion for clip in clips if clip.emotion is not None]
    plane = torch.tensor(rated)[owner] if len(rated) == len(clips) else None
    return Learnt(batch(windows), tags, dataset.exclusive, plane)


def _features(clip: Clip, encoder: Encoder, cache: Path) -> Features:
    return Features(**_kept(cache / f"{clip.name}.npz", lambda: vars(extract(_sound(clip.path), encoder))))


def _sound(path: Path) -> Floats:
    """Samples of a sound file, or of a MIDI file rendered with the General MIDI soundfont."""
    if path.suffix.lower() in MIDI_SUFFIXES:
        return np.ascontiguousarray(render_audio(read_score(path), sample_rate=SAMPLE_RATE).mean(axis=0))
    return read_audio(path, SAMPLE_RATE)


def _kept(path: Path, make: Callable[[], Mapping[str, Floats]]) -> dict[str, Floats]:
    """Arrays from a file of the cache, in half precision; made and written there where it is not."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.stem}.{os.getpid()}.npz")
        halves: dict[str, Any] = {name: array.astype(np.float16) for name, array in make().items()}
        np.savez(temporary, **halves)
        temporary.replace(path)
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name].astype(np.float32) for name in stored.files}


def fit(parts: Sequence[Learnt], config: RecognizerConfig) -> Network:
    """Train one network on windows with their labels."""
    torch.manual_seed(config.seed)
    random = torch.Generator().manual_seed(config.seed)
    shape = NetworkConfig(
        parts[0].windows.steps.shape[2], {name: len(tags) for name, tags in TAGS.items()}, dropout=config.dropout
    )
    network = Network(shape)
    # Every dataset weighs the same in the scale of features.
    heard = [part.windows.steps[part.windows.there] for part in parts]
    mean = torch.stack([x.mean(dim=0) for x in heard]).mean(dim=0)
    square = torch.stack([x.square().mean(dim=0) for x in heard]).mean(dim=0)
    network.mean.copy_(mean)
    network.spread.copy_((square - mean**2).clamp(min=1e-4).sqrt())
    optimizer = torch.optim.AdamW(network.parameters(), config.rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.rate, total_steps=config.n_steps, pct_start=0.1)
    share = max(config.batch // len(parts), 1)
    network.train()
    for _ in range(config.n_steps):
        rows = [torch.randint(len(part.windows.mode), (share,), generator=random) for part in parts]
        drawn = [_cropped(Windows(*(x[k] for x in part.windows)), random) for part, k in zip(parts, rows, strict=True)]
        x = Windows(*(torch.cat(column) for column in zip(*drawn, strict=True)))
        blur = config.noise * network.spread * torch.randn(x.steps.shape, generator=random)
        told = network(x._replace(steps=x.steps + blur))
        loss = torch.zeros(())
        for i, (part, k) in enumerate(zip(parts, rows, strict=True)):
            mine = slice(i * share, (i + 1) * share)
            if part.tags is not None and part.exclusive:
                label = part.tags[k].argmax(dim=1)
                loss = loss + functional.cross_entropy(told.tags["quadrants"][mine], label, label_smoothing=0.1)
            elif part.tags is not None:
                loss = loss + 4 * functional.binary_cross_entropy_with_logits(told.tags["gems"][mine], part.tags[k])
            if part.plane is not None:
                loss = loss + _rating_loss(told.plane[mine], told.log_variance[mine], part.plane[k])
                there = x.there[mine]
                target = part.plane[k][:, None].expand(-1, there.shape[1], -1)
                loss = loss + 0.5 * _rating_loss(
                    told.curve[mine][there], told.curve_log_variance[mine][there], target[there]
                )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return network.eval()


def _rating_loss(told: torch.Tensor, log_variance: torch.Tensor, rated: torch.Tensor) -> torch.Tensor:
    """Squared error, and the likelihood of the expected error."""
    error = (told - rated).square()
    return 4 * error.mean() + 0.3 * (error.detach() * (-log_variance).exp() + log_variance).mean()


def _cropped(windows: Windows, random: torch.Generator) -> Windows:
    """Half of each window or more."""
    n = windows.there.sum(dim=1)
    kept = (n * (0.5 + 0.5 * torch.rand(len(n), generator=random))).long().clamp(min=8)
    first = ((n - kept).clamp(min=0) * torch.rand(len(n), generator=random)).long()
    place = torch.arange(windows.there.shape[1])
    inside = (place >= first[:, None]) & (place < (first + kept)[:, None])
    return windows._replace(there=windows.there & inside)
