"""Fitting of the gate (:mod:`muse.recognizer.heads.gate`): the datasets' music against noise and other recordings.

Contents: :func:`fit_gate`, :func:`learn_gate`.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from muse.recognizer.encoders.encoder import MARGIN_STEPS, Encoder
from muse.recognizer.heads.gate import MusicGate
from muse.recognizer.heads.network import WINDOW_STEPS
from muse.recognizer.heads.teachers import statistics
from muse.training.recognizer.config import RecognizerConfig
from muse.training.recognizer.noise import NOISES, noise
from muse.training.recognizer.parts import Part, cached, cropped, encoder_cache, sound_of
from muse.training.recognizer.teachers import group_folds

__all__ = ["fit_gate", "learn_gate"]

Floats = NDArray[np.float32]

STRENGTH: Final = 16.0
"""Inverse of the regularisation, where the weights of all rows add up to one."""


def fit_gate(music: Sequence[Floats], other: Floats) -> MusicGate:
    """Fit on mean embeddings [n, numbers]; every dataset of music weighs the same, all of them as much as the rest."""
    rows = np.concatenate([*music, other]).astype(np.float64)
    weights = np.concatenate([np.full(len(x), 0.5 / len(music) / len(x)) for x in music])
    weights = np.concatenate([weights, np.full(len(other), 0.5 / len(other))])
    mean = weights @ rows
    spread = np.sqrt(weights @ np.square(rows - mean)) + 1e-3
    regression = LogisticRegression(C=STRENGTH, max_iter=2000)
    regression.fit((rows - mean) / spread, np.arange(len(rows)) < len(rows) - len(other), sample_weight=weights)
    found = (mean, spread, regression.coef_[0], regression.intercept_)
    return MusicGate(*(np.asarray(value, np.float32) for value in found))


def learn_gate(
    parts: Sequence[Part], others: Sequence[Path], cache: str | Path, encoder: Encoder, config: RecognizerConfig
) -> tuple[MusicGate, dict[str, Any]]:
    """A gate for music among other sounds, and how well it does on groups of clips and kinds of sound held out.

    Of each window of music a stretch of random length is taken, for the others are short.
    """
    other, kinds = _other_sounds(others, encoder_cache(cache, encoder), encoder, config)
    random = torch.Generator().manual_seed(config.seed)
    music = [statistics(cropped(part.windows, random, least=0.05))["embedding"] for part in parts]
    names = sorted(set(kinds.tolist()))
    passed: list[list[float]] = [[] for _ in parts]
    let_through = {}
    folds = [group_folds(part.groups, len(names), config.seed)[part.owner] for part in parts]
    for i, name in enumerate(names):
        fitted = fit_gate([x[fold != i] for x, fold in zip(music, folds, strict=True)], other[kinds != name])
        let_through[name] = float((fitted(other[kinds == name]) >= 0.5).mean())
        for x, fold, found in zip(music, folds, passed, strict=True):
            found += fitted(x[fold == i]).tolist()
    shares = {part.name: float((np.array(found) >= 0.5).mean()) for part, found in zip(parts, passed, strict=True)}
    return fit_gate(music, other), {"music": shares, "other": let_through}


def _other_sounds(
    others: Sequence[Path], cache: Path, encoder: Encoder, config: RecognizerConfig
) -> tuple[Floats, NDArray[np.str_]]:
    """Mean embeddings of noise and of the first window of sound files, [n, numbers], and of which kind each is."""
    longest = (WINDOW_STEPS + MARGIN_STEPS) * encoder.sample_rate // 2

    def embedded(make: Callable[[], Floats]) -> dict[str, Floats]:
        return {"embedding": encoder.encode(make()[:longest])[:WINDOW_STEPS].mean(axis=0, keepdims=True)}

    rows, kinds = [], []
    for kind, i in itertools.product(NOISES, range(config.n_noises)):
        generator = np.random.default_rng([config.seed, i, *kind.encode()])
        made = functools.partial(noise, kind, encoder.sample_rate, generator)
        rows.append(cached(cache / "noise" / f"{kind}{i}.{config.seed}.npz", functools.partial(embedded, made)))
        kinds.append(kind)
    for path in others:
        read = functools.partial(sound_of, path, encoder.sample_rate)
        rows.append(cached(cache / "other" / f"{_identity(path)}.npz", functools.partial(embedded, read)))
        kinds.append(path.parent.name)
    return np.concatenate([row["embedding"] for row in rows]), np.array(kinds)


def _identity(path: Path) -> str:
    """Name for a file's place in the cache: no two files share one, and a file that has changed gets another."""
    facts = path.stat()
    text = f"{path.resolve()} {facts.st_size} {facts.st_mtime_ns}"
    return f"{path.stem}-{hashlib.sha256(text.encode(errors='surrogateescape')).hexdigest()[:16]}"
