"""What the selector learns from: windows with what is known of them, drawn into batches.

Every row of a batch has the labels that it has. Windows are varied in key, tempo, loudness and touch; for quality, real
windows stand beside themselves spoilt (:mod:`muse.training.selector.damage`) and beside a generator's samples.
Batches are a pure function of seed and step.

Contents: :class:`Library`, :class:`Labels`, :class:`Batches`; :func:`fold_of`, :func:`is_kept`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from muse.corpora import recording_of
from muse.dataset.read import Corpus, Ragged
from muse.score import DRUMS
from muse.selector.events import MIN_NOTES, Passage, encode, passage
from muse.selector.network import collate
from muse.tokens import GENRES
from muse.training.selector.damage import GRADES, KINDS, corrupt
from muse.training.selector.settings import Settings

__all__ = ["N_FOLDS", "Batches", "Labels", "Library", "fold_of", "is_kept"]

N_FOLDS = 5
"""Parts of the cross-validation on rated pieces."""
N_CALIBRATION_FOLDS = 12
"""One part in so many of the recordings with quadrants is kept for calibration."""

Row = tuple[NDArray[np.int16], NDArray[np.int16]]
Ranked = tuple[tuple[int, int], NDArray[np.uint16]]


def fold_of(song: str, n_folds: int) -> int:
    """Which part of a cross-validation a song belongs to, the same in every run."""
    return int(hashlib.sha256(song.encode()).hexdigest(), 16) % n_folds


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
    """Events that damage has put there; None where unknown."""


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
