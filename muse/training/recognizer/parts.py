"""Datasets as the training wants them: windows with features, and labels.

Features are made once and written to a cache folder; a second run, or one that was interrupted, reads them from there.

Conventions
-----------
``W`` windows of ``T`` steps, as in :mod:`muse.recognizer.features.windows`.

Contents: :class:`Part`, :func:`read_parts`, :func:`clip_summaries`, :func:`sound_of`, :func:`cached`, :func:`cropped`,
:func:`share_of`.
"""

from __future__ import annotations

import functools
import itertools
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from muse.audio import read_audio
from muse.corpora import MIDI_SUFFIXES, Clip, EmotionDataset, open_dataset
from muse.errors import InputError
from muse.recognizer.encoders.encoder import Encoder
from muse.recognizer.features.chords import HarmonyModel
from muse.recognizer.features.signal import SAMPLE_RATE, summary
from muse.recognizer.features.windows import Features, Window, batch, clip_means, extract, overlap_add, window_starts
from muse.recognizer.heads.network import TAGS, WINDOW_STEPS, Windows
from muse.recognizer.heads.personal import curve_on_steps
from muse.render import render_audio
from muse.score import read_score

__all__ = ["Part", "cached", "clip_summaries", "read_parts", "sound_of"]

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Part:
    """Clips of a dataset with their windows."""

    name: str
    windows: Windows
    owner: NDArray[np.int64]
    """Which clip each window belongs to, [W]."""
    first: NDArray[np.int64]
    """Step of the clip that each begins with, [W]."""
    clips: tuple[Clip, ...]
    tag_set: str
    tags: Floats | None
    """[clips, tags]."""
    plane: Floats | None
    """[clips, 2]."""
    curve: torch.Tensor | None
    """Valence and arousal of every step, [W, T, 2]; NaN where there are no ratings."""

    def only(self, chosen: NDArray[np.bool_]) -> Part:
        """Some of the clips."""
        new = np.cumsum(chosen) - 1
        rows = chosen[self.owner]
        index = torch.from_numpy(np.flatnonzero(rows))
        return Part(
            self.name,
            Windows(*(x[index] for x in self.windows)),
            new[self.owner[rows]],
            self.first[rows],
            tuple(itertools.compress(self.clips, chosen)),
            self.tag_set,
            None if self.tags is None else self.tags[chosen],
            None if self.plane is None else self.plane[chosen],
            None if self.curve is None else self.curve[index],
        )

    @property
    def groups(self) -> list[str]:
        """Of the clips."""
        return [clip.group for clip in self.clips]

    @property
    def lengths(self) -> Floats:
        """Steps of every window."""
        return self.windows.mask.sum(dim=1).numpy().astype(np.float32)

    def of_clips(self, values: Floats) -> Floats:
        """Means over each clip's windows of values [W, ...]."""
        return clip_means(values, self.owner, self.lengths, len(self.clips))

    def over_time(self, values: Floats) -> list[Floats]:
        """By clip, values of windows' steps [W, T, K] as one series [steps, K]; windows fade into each other."""
        lengths = self.windows.mask.sum(dim=1).numpy()
        n_steps = np.zeros(len(self.clips), np.int64)
        np.maximum.at(n_steps, self.owner, self.first + lengths)
        windows: list[list[tuple[int, Floats]]] = [[] for _ in self.clips]
        for clip, first, length, rows in zip(self.owner, self.first, lengths, values, strict=True):
            windows[clip].append((first, rows[:length]))
        return [overlap_add(own, int(n)).astype(np.float32) for own, n in zip(windows, n_steps, strict=True)]

    def in_windows(self, series: Sequence[Floats]) -> Floats:
        """Back from series by clip [steps, K] to windows [W, T, K]; 0 where a window has no step."""
        out = np.zeros((*self.windows.mask.shape, series[0].shape[1]), np.float32)
        for row, clip, first in zip(out, self.owner, self.first, strict=True):
            steps = series[clip][first : first + len(row)]
            row[: len(steps)] = steps
        return out

    def targets(self) -> dict[str, Floats]:
        """Labels of clips by what they are of: a set of tags, or ``plane``."""
        found = {self.tag_set: self.tags, "plane": self.plane}
        return {name: value for name, value in found.items() if value is not None}


def read_parts(
    folders: Sequence[str | Path],
    harmony: HarmonyModel,
    cache: str | Path,
    encoder: Encoder,
    *,
    progress: Callable[[float], None] | None = None,
) -> list[Part]:
    """Features of all clips of datasets, from the cache where they are there.

    Raises
    ------
    InputError
        A dataset cannot be read, two are the same, or there is none.
    """
    datasets = [open_dataset(folder) for folder in folders]
    if len({dataset.name for dataset in datasets}) < len(datasets) or not datasets:
        raise InputError("datasets to learn from must be given, each once")
    folder = encoder_cache(cache, encoder)
    total, done, parts = sum(len(dataset.clips) for dataset in datasets), 0, []
    for dataset in datasets:
        windows: list[Window] = []
        owner: list[int] = []
        starts: list[int] = []
        curves: list[Floats] = []
        for i, clip in enumerate(dataset.clips):
            features = clip_features(clip, encoder, folder / dataset.name)
            found = features.windows(harmony)
            windows += found
            owner += [i] * len(found)
            at = curve_on_steps(clip.curve, len(features.steps))
            begins = window_starts(len(features.steps))
            starts += begins
            curves += [_padded(at[first : first + WINDOW_STEPS]) for first in begins]
            done += 1
            if progress is not None:
                progress(done / total)
        places = np.array([owner, starts], np.int64)
        parts.append(_part(dataset, batch(windows), places, np.stack(curves)))
    return parts


def _part(dataset: EmotionDataset, windows: Windows, places: NDArray[np.int64], curves: Floats) -> Part:
    tags = plane = None
    if dataset.tag_set:
        names = TAGS[dataset.tag_set]
        tags = np.array([[clip.tags.get(name, 0.0) for name in names] for clip in dataset.clips], np.float32)
    rated = [clip.emotion for clip in dataset.clips if clip.emotion is not None]
    if len(rated) == len(dataset.clips):
        plane = np.array(rated, np.float32)
    curve = torch.from_numpy(curves) if np.isfinite(curves).any() else None
    owner, first = places
    return Part(dataset.name, windows, owner, first, dataset.clips, dataset.tag_set, tags, plane, curve)


def _padded(curve: Floats) -> Floats:
    return np.pad(curve, ((0, WINDOW_STEPS - len(curve)), (0, 0)), constant_values=np.nan)


def clip_features(clip: Clip, encoder: Encoder, cache: Path) -> Features:
    """Of a clip, from the cache where it is there."""
    return Features(
        **cached(cache / f"{clip.name}.npz", lambda: vars(extract(sound_of(clip.path, encoder.sample_rate), encoder)))
    )


def clip_summaries(clips: Sequence[Clip], cache: Path) -> Floats:
    """The plain signal features of clips, float32 [clips, 72]."""

    def made(clip: Clip) -> dict[str, Floats]:
        return {"summary": summary(sound_of(clip.path))}

    rows = [cached(cache / "summary" / f"{clip.name}.npz", functools.partial(made, clip)) for clip in clips]
    return np.stack([row["summary"] for row in rows])


def encoder_cache(cache: str | Path, encoder: Encoder) -> Path:
    """Folder of an encoder's features in a cache."""
    return Path(cache) / re.sub(r"[^A-Za-z0-9.-]+", "_", encoder.name)


def sound_of(path: Path, sample_rate: int = SAMPLE_RATE) -> Floats:
    """Samples of a sound file, or of a MIDI file rendered with the General MIDI soundfont."""
    if path.suffix.lower() in MIDI_SUFFIXES:
        return np.ascontiguousarray(render_audio(read_score(path), sample_rate=sample_rate).mean(axis=0))
    return read_audio(path, sample_rate)


def cached(path: Path, make: Callable[[], Mapping[str, Floats]]) -> dict[str, Floats]:
    """Arrays from a file of a cache, in half precision; made and written there where it is not."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.stem}.{os.getpid()}.npz")
        halves: dict[str, Any] = {name: array.astype(np.float16) for name, array in make().items()}
        np.savez(temporary, **halves)
        temporary.replace(path)
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name].astype(np.float32) for name in stored.files}


def cropped(windows: Windows, random: torch.Generator, least: float = 0.5) -> Windows:
    """A stretch of each window at random, the share `least` of it or more."""
    n = windows.mask.sum(dim=1)
    length = (n * (least + (1 - least) * torch.rand(len(n), generator=random))).long().clamp(min=8)
    first = ((n - length).clamp(min=0) * torch.rand(len(n), generator=random)).long()
    place = torch.arange(windows.mask.shape[1])
    inside = (place >= first[:, None]) & (place < (first + length)[:, None])
    return windows._replace(mask=windows.mask & inside)


def share_of(progress: Callable[[float], None] | None, low: float, high: float) -> Callable[[float], None] | None:
    """Progress of a step that goes from `low` to `high` of the whole."""
    return None if progress is None else lambda share: progress(low + (high - low) * share)
