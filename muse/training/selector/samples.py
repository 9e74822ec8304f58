"""Samples of a generator beside real windows: what the selector learns to tell apart, and is tested on.

Each sample has meter, tempo, genre, instruments and length of a real window, so nothing but the music tells the two
apart, and is drawn at several temperatures: the hotter, the worse, on the whole.

Contents: :func:`write_samples`, :func:`read_samples`, :class:`Sample`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from muse.checkpoint import load_tensors, save_tensors
from muse.composer import Composer, Sampling
from muse.composer.arrange import DEFAULT_ARRANGER
from muse.composer.plan import DEFAULT_PLANNER
from muse.dataset.read import Corpus
from muse.errors import InputError
from muse.intent import Intent
from muse.score import DRUMS
from muse.tokens import Codec

__all__ = ["TEMPERATURES", "Sample", "read_samples", "write_samples"]

TEMPERATURES = (1.0, 1.25, 1.5)
"""Temperatures of the samples; their order is their rank."""

_SAVE_EVERY = 25


@dataclass(frozen=True)
class Sample:
    """One generated window."""

    ids: NDArray[np.uint16]
    """Ids of :class:`muse.tokens.Codec`."""
    rank: int
    """Index into :data:`TEMPERATURES`: 0 is the most careful."""
    row: int
    """Number of the real window whose meter, tempo, genre and instruments it has, among those of its split."""

    @property
    def is_kept(self) -> bool:
        """Whether it is kept from learning, for calibration: those beside every tenth window are."""
        return self.row % 10 == 0


def write_samples(
    corpus: Corpus,
    folder: Path | str,
    *,
    planner: str | Path = DEFAULT_PLANNER,
    arranger: str | Path = DEFAULT_ARRANGER,
    split: str = "train",
    n_windows: int = 200,
    n_each: int = 2,
    seed: int = 0,
    progress: Callable[[float, float], None] | None = None,
) -> int:
    """Compose beside real windows, drawn so that small corpora count, and store the ids.

    Goes on where an earlier, unfinished call stopped.

    Parameters
    ----------
    corpus
        Dataset of the music that the generator learnt from.
    folder
        Where ``model.safetensors`` goes.
    n_windows
        Real windows to compose beside.
    n_each
        Pieces for each window and temperature.
    progress
        Called with the windows done and their number.

    Returns
    -------
    int
        Number of samples in the folder.

    Raises
    ------
    InputError
        The dataset has no such window.
    """
    folder = Path(folder)
    where: dict[str, Any] = {"split": split, "on_grid": True}
    names = ("corpus", "genre", "programs", "time_signature", "tempo_bpm", "n_bars")
    column: dict[str, Any] = {name: corpus.column(name, **where) for name in names}
    usable = np.array([set(row.tolist()) != {DRUMS} for row in column["programs"]], bool)
    if not usable.any():
        raise InputError(f"{corpus.folder} has no {split} window on a grid with pitched notes")
    _, place, sizes = np.unique(column["corpus"], return_inverse=True, return_counts=True)
    weight = np.where(usable, sizes[place].astype(float) ** -0.5, 0)
    rows = np.random.default_rng([seed, 0]).choice(len(weight), n_windows, p=weight / weight.sum())

    done, samples = _stored(folder)
    codec = Codec.default()
    composer = Composer.from_pretrained(planner, arranger, selector=None)  # every candidate is kept
    for at in range(done, n_windows):
        row = int(rows[at])
        rng = np.random.default_rng([seed, 1, at])
        emotion = (float(rng.uniform(-0.8, 0.8)), float(rng.uniform(-0.8, 0.8)))
        intent = Intent(
            emotion=emotion,
            genre=str(column["genre"][row]),
            tempo_bpm=float(np.clip(column["tempo_bpm"][row], 40, 240)),
            time_signature=str(column["time_signature"][row]),
            instruments=[int(program) for program in column["programs"][row]],
            bars=int(column["n_bars"][row]),
        )
        for rank, temperature in enumerate(TEMPERATURES):
            sampling = Sampling(temperature=temperature)
            found = composer.compose(intent, n_candidates=n_each, sampling=sampling, seed=seed * 1_000_000 + at)
            samples += [
                Sample(codec.encode_score(each.score).astype(np.uint16), rank, row) for each in found.candidates
            ]
        if (at + 1) % _SAVE_EVERY == 0 or at + 1 == n_windows:
            _store(folder, at + 1, samples)
        if progress:
            progress(at + 1, n_windows)
    return len(samples)


def read_samples(folder: Path | str) -> list[Sample]:
    """What :func:`write_samples` stored.

    Raises
    ------
    InputError
        There is nothing in the folder.
    """
    samples = _stored(Path(folder), must=True)[1]
    if not samples:
        raise InputError(f"{folder} holds no samples")
    return samples


def _store(folder: Path, done: int, samples: Sequence[Sample]) -> None:
    lengths = [len(sample.ids) for sample in samples]
    tensors = {
        "done": np.array([done]),
        "ids": np.concatenate([sample.ids for sample in samples]),
        "offsets": np.concatenate([[0], np.cumsum(lengths)]),
        "rank": np.array([sample.rank for sample in samples]),
        "row": np.array([sample.row for sample in samples]),
    }
    save_tensors(tensors, folder)


def _stored(folder: Path, must: bool = False) -> tuple[int, list[Sample]]:
    if not must and not (folder / "model.safetensors").exists():
        return 0, []
    tensors = load_tensors(folder, "np")
    if len(ids := tensors["ids"]) and ids.max() >= len(Codec.default().vocabulary):
        raise InputError(f"{folder}: samples of an older Muse, whose ids mean something else: make them again")
    offsets = tensors["offsets"]
    return int(tensors["done"][0]), [
        Sample(ids[first:stop].astype(np.uint16), int(rank), int(row))
        for first, stop, rank, row in zip(offsets, offsets[1:], tensors["rank"], tensors["row"], strict=False)
    ]
