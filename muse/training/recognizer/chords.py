"""Fitting of the chord and key recogniser to songs with annotated chords (POP909), rendered.

Frames are given relative to all twelve roots, so a song in one key is an example of chords in all of them. The bigram
is counted from the annotations, smoothed and put on the frame's grid; how much the network's word weighs against it is
chosen on songs of its own.

Contents: :func:`learn_harmony`; its steps :class:`ChordSong`, :func:`read_pop909`, :func:`split_songs`,
:func:`fit_harmony`, :func:`weighted_overlap`, :func:`key_points`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from muse.corpora import find_songs, read_chords
from muse.errors import InputError
from muse.recognizer.features.chords import (
    FRAME_SEC,
    N_INPUT,
    NO_CHORD,
    QUALITIES,
    Harmony,
    HarmonyModel,
    from_root,
    key_evidence,
    observations,
    parse_chord,
)
from muse.recognizer.features.signal import semitones
from muse.statistics import bootstrap
from muse.theory import Key
from muse.training.recognizer.parts import cached, sound_of

__all__ = [
    "ChordSong",
    "fit_harmony",
    "key_points",
    "learn_harmony",
    "read_pop909",
    "split_songs",
    "weighted_overlap",
]

Floats = NDArray[np.float32]

UNKNOWN: Final = -1
"""Label of frames that are not learnt from."""
HIDDEN: Final = 64
EPOCHS, BATCH, RATE = 8, 1024, 3e-3
EVERY: Final = 3
"""Frames are alike; of so many one is learnt from."""
WEIGHTS: Final = (0.3, 0.5, 0.8, 1.2)
KEY_DECAY: Final = 1e-3


@dataclass(frozen=True)
class ChordSong:
    """A song with its chords."""

    name: str
    path: Path
    chords: tuple[tuple[float, float, str], ...]
    """Start, end, chord in Harte's notation."""
    key: tuple[int, str] | None
    """Tonic and mode of the key that most of the song is in."""

    def labels(self, n_frames: int) -> NDArray[np.int64]:
        """Label of every frame."""
        labels = np.full(n_frames, UNKNOWN, np.int64)
        for start, end, text in self.chords:
            if text == "X":
                continue
            root, quality = parse_chord(text)
            rows = slice(int(np.ceil(start / FRAME_SEC)), int(np.ceil(end / FRAME_SEC)))
            labels[rows] = NO_CHORD if root < 0 else root * len(QUALITIES) + quality
        return labels


def read_pop909(folder: Path) -> list[ChordSong]:
    """Songs of POP909 with the chords of their MIDI files and the keys of the recordings.

    Raises
    ------
    InputError
        A file is missing or no annotation.
    """
    songs = []
    for song in find_songs([folder]):
        if song.chords_path is None or song.key_path is None:
            raise InputError(f"{song.path}: it has no annotated chords and key: give POP909 with its annotations")
        key = None
        keys = read_chords(song.key_path)  # the same three columns
        if keys:
            _, _, name = max(keys, key=lambda row: row[1] - row[0])
            tonic, _ = parse_chord(name.partition(":")[0])
            key = (tonic, "minor" if name.endswith(":min") else "major")
        songs.append(ChordSong(song.song_id, song.path, tuple(read_chords(song.chords_path)), key))
    return songs


def split_songs(songs: Sequence[ChordSong]) -> tuple[list[ChordSong], list[ChordSong]]:
    """Songs to learn from (a seventh of all) and to test on (a thirteenth), by a hash of their names."""

    def place(song: ChordSong) -> int:
        return int(hashlib.sha1(song.name.encode()).hexdigest(), 16) % 100

    ordered = sorted(songs, key=lambda song: hashlib.sha1(song.name.encode()).hexdigest())
    learnt = [song for song in ordered if 7 <= place(song) < 22]
    return learnt, [song for song in ordered if place(song) < 7 or 22 <= place(song) < 24]


def fit_harmony(
    songs: Sequence[ChordSong],
    pitches_of: Callable[[ChordSong], Floats],
    *,
    seed: int = 0,
) -> HarmonyModel:
    """Fit on songs; a tenth of them chooses the weight of the network beside the bigram.

    Parameters
    ----------
    songs
        Songs to learn from.
    pitches_of
        Gives the :func:`~muse.recognizer.features.signal.semitones` of a song.
    seed
        Of order and weights.
    """
    observed = [observations(pitches_of(song)) for song in songs]
    labels = [song.labels(len(rows)) for song, rows in zip(songs, observed, strict=True)]
    held = np.random.default_rng(seed).permutation(len(songs)) % 10 == 0
    chosen = [i for i in range(len(songs)) if not held[i]]
    x = np.concatenate([observed[i][::EVERY] for i in chosen])
    y = np.concatenate([labels[i][::EVERY] for i in chosen])
    network = _fit_network(x[y != UNKNOWN], y[y != UNKNOWN], seed)
    bigram = _bigram([labels[i] for i in chosen])
    key, key_bias = np.zeros((2, 48), np.float32), np.zeros(2, np.float32)
    tried = [HarmonyModel(*network, bigram, key, key_bias, np.array([weight], np.float32)) for weight in WEIGHTS]
    judges = [(songs[i], observed[i]) for i in range(len(songs)) if held[i]]
    best = max(tried, key=lambda model: np.mean([weighted_overlap(song, model.decode(rows)) for song, rows in judges]))
    known = [(rows, song.key) for rows, song in zip(observed, songs, strict=True) if song.key is not None]
    evidence = np.stack([key_evidence(rows, best.label(rows)) for rows, _ in known])
    key, key_bias = _fit_key(evidence, [truth for _, truth in known])
    return replace(best, key=key, key_bias=key_bias)


def _fit_network(x: Floats, y: NDArray[np.int64], seed: int) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    torch.manual_seed(seed)
    n_qualities = len(QUALITIES)
    hidden = torch.nn.Linear(N_INPUT, HIDDEN)
    quality = torch.nn.Linear(HIDDEN, n_qualities)
    none = torch.nn.Linear(HIDDEN, 1)
    weights = [*hidden.parameters(), *quality.parameters(), *none.parameters()]
    rooted, target = torch.from_numpy(from_root(x)), torch.from_numpy(y)
    n_steps = EPOCHS * (len(x) // BATCH + 1)
    optimizer = torch.optim.AdamW(weights, RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=n_steps)
    random = torch.Generator().manual_seed(seed)
    for _ in range(n_steps):
        rows = torch.randint(len(x), (BATCH,), generator=random)
        inner = hidden(rooted[rows]).relu()
        logits = torch.cat([quality(inner).flatten(1), none(inner.mean(dim=1))], dim=1)
        loss = torch.nn.functional.cross_entropy(logits, target[rows], label_smoothing=0.02)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    arrays: list[Floats] = [layer.detach().numpy() for layer in weights]
    return (
        arrays[0].T.copy(), arrays[1], arrays[2].T.copy(), arrays[3],
        np.concatenate([arrays[4][0], arrays[5]]),
    )  # fmt: skip


def _bigram(labels: Sequence[NDArray[np.int64]]) -> Floats:
    """Log probabilities from frame to frame, see :attr:`HarmonyModel.bigram`."""
    n = len(QUALITIES)
    counts = np.full((n + 1, 12, n + 1), 0.05)
    for row in labels:
        before, after = row[:-1], row[1:]
        known = (before != UNKNOWN) & (after != UNKNOWN)
        before, after = before[known], after[known]
        (root, quality), (next_root, next_quality) = np.divmod(before, n), np.divmod(after, n)
        chord, next_chord = before != NO_CHORD, after != NO_CHORD
        both = chord & next_chord
        np.add.at(counts, (quality[both], (next_root - root)[both] % 12, next_quality[both]), 1)
        ends, begins = chord & ~next_chord, ~chord & next_chord
        np.add.at(counts, (quality[ends], 0, n), 1)
        counts[n, :, :n] += np.bincount(next_quality[begins], minlength=n)[:n] / 12  # from silence to any root
        counts[n, 0, n] += np.count_nonzero(~chord & ~next_chord)
    # Of chords, [interval, quality] of what follows sums to 1 with no chord; the unused cells of no chord do not count.
    counts[:n, 1:, n] = counts[n, 1:, n] = 0
    total = counts.sum(axis=(1, 2), keepdims=True)
    return np.log(np.maximum(counts / total, 1e-9)).astype(np.float32)


def _fit_key(evidence: Floats, keys: Sequence[tuple[int, str]]) -> tuple[Floats, Floats]:
    """Maximum likelihood with a penalty on weights, by L-BFGS."""
    target = torch.tensor([tonic + 12 * (mode == "minor") for tonic, mode in keys])
    rooted = torch.from_numpy(from_root(evidence)).double()
    weight = torch.zeros(2, evidence.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        logits = (rooted @ weight.T + bias).transpose(1, 2).flatten(1)
        loss = torch.nn.functional.cross_entropy(logits, target) + KEY_DECAY * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return weight.detach().float().numpy(), bias.detach().float().numpy()


def _triad(root: int, quality: str) -> int:
    """0..11 major, 12..23 minor, 24 no chord, -1 out of the vocabulary of majmin."""
    if root < 0:
        return 24
    steps = QUALITIES[quality]
    if 7 not in steps:
        return -1
    return root if 4 in steps else root + 12 if 3 in steps else -1


def weighted_overlap(song: ChordSong, harmony: Harmony) -> float:
    """Weighted chord symbol recall in the vocabulary of major and minor triads (``majmin`` of mir_eval).

    Share of the time with a major or minor chord, or none, in which the estimate is the same; augmented, diminished and
    suspended chords of the annotation do not count (Pauwels & Peeters 2013; MIREX audio chord estimation).
    """
    grid = np.arange(0, song.chords[-1][1], 0.01) + 0.005

    def sampled(rows: Sequence[tuple[float, float, int]]) -> NDArray[np.int64]:
        out = np.full(len(grid), 24, np.int64)
        for start, end, value in rows:
            out[round(start * 100) : round(end * 100)] = value
        return out

    names = list(QUALITIES)
    truth = []
    for start, end, text in song.chords:
        root, quality = parse_chord(text)
        truth.append((start, end, -1 if text == "X" else _triad(root, names[quality] if root >= 0 else "")))
    expected = sampled(truth)
    estimated = sampled([(c.start_sec, c.end_sec, _triad(c.root, c.quality)) for c in harmony.chords])
    counted = expected >= 0
    return float((expected == estimated)[counted].mean()) if counted.any() else 1.0


def key_points(truth: tuple[int, str], key: Key | None) -> float:
    """MIREX's weighted score of a key: 1 right, 0.5 a fifth off, 0.3 relative, 0.2 parallel mode."""
    if key is None:
        return 0.0
    tonic, mode = truth
    if key.tonic == tonic:
        return 1.0 if key.mode == mode else 0.2
    if key.mode == mode:
        return 0.5 if (key.tonic - tonic) % 12 == 7 else 0.0
    relative = (tonic + 9) % 12 if mode == "major" else (tonic + 3) % 12
    return 0.3 if key.tonic == relative else 0.0


def learn_harmony(chords: str | Path, cache: str | Path, seed: int = 0) -> tuple[HarmonyModel, dict[str, Any]]:
    """The chord recogniser, fitted to POP909, and its scores on songs held out."""
    folder = Path(cache) / "pop909"

    def pitches(song: ChordSong) -> Floats:
        return cached(folder / f"{song.name}.npz", lambda: {"pitches": semitones(sound_of(song.path))})["pitches"]

    learnt, held = split_songs(read_pop909(Path(chords)))
    model = fit_harmony(learnt, pitches, seed=seed)
    recognized = [(song, model.predict(pitches(song))) for song in held]
    overlap = [weighted_overlap(song, harmony) for song, harmony in recognized]
    points = [key_points(song.key, harmony.key) for song, harmony in recognized if song.key is not None]
    songs = {"learnt": len(learnt), "held_out": len(held)}
    measured = {"majmin_overlap": _mean_interval(overlap), "key_points": _mean_interval(points)}
    return model, {**songs, **measured}


def _mean_interval(values: Sequence[float]) -> list[float]:
    """Mean, and its 95 % interval."""
    return [float(np.mean(values)), *bootstrap(np.asarray(values, float), lambda x: float(x.mean()), n_draws=2000)]
