"""Fitting of the gate on how a sound moves: music against noise, machines, animals, crowds and speech.

Every kind of sound is left out of the learning once, so that what is measured is how it takes to what it never heard.
Kinds weigh the same, however many takes they have.

Contents: :func:`fit_steady`, :func:`learn_steady`, :class:`Moves`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.linear_model import LogisticRegression

from muse.audio import sound_files
from muse.corpora import MIDI_SUFFIXES
from muse.recognizer.features.signal import SAMPLE_RATE, semitones
from muse.recognizer.features.steadiness import steadiness
from muse.recognizer.heads.gate import FARTHEST, SteadyGate
from muse.render import render_audio
from muse.score import read_score
from muse.training.recognizer.noise import NOISES, noise
from muse.training.recognizer.parts import sound_of

__all__ = ["Moves", "fit_steady", "learn_steady"]

Floats = NDArray[np.float32]

STRENGTH: Final = 0.03
"""Inverse of the regularisation, a take."""
KEPT: Final = 0.99
"""Share of takes of music, of clips that were not learnt from, that a half probability lets pass."""
N_FOLDS: Final = 5
SHORTEST_SEC, LONGEST_SEC = 3.0, 12.0


@dataclass(frozen=True)
class Moves:
    """Figures of takes and what they are."""

    figures: Floats
    """[n, figures]."""
    kind: NDArray[np.str_]
    """Dataset of music, or kind of other sound, [n]."""
    is_music: NDArray[np.bool_]

    def fitted(self, at: NDArray[np.bool_]) -> SteadyGate:
        """The gate of the takes `at`, its half probability still in the middle."""
        figures, is_music = self.figures[at].astype(np.float64), self.is_music[at]
        _, kind, counts = np.unique(self.kind[at], return_inverse=True, return_counts=True)
        # All takes of music weigh as much as all kinds of other sound, each of which weighs the same.
        weight = np.where(is_music, 1 / is_music.sum(), 1 / counts[kind] / len(set(kind[~is_music].tolist())))
        mean = figures[is_music].mean(axis=0).astype(np.float32)
        spread = (figures[is_music].std(axis=0) + 1e-3).astype(np.float32)
        x = np.clip((figures - mean) / spread, -FARTHEST, FARTHEST)
        regression = LogisticRegression(C=STRENGTH * at.sum() / 2, max_iter=4000)
        regression.fit(x, is_music, sample_weight=weight)
        found = (regression.coef_[0], regression.intercept_)
        return SteadyGate(mean, spread, *(np.asarray(one, np.float32) for one in found))


def fit_steady(moves: Moves) -> tuple[SteadyGate, dict[str, Any]]:
    """The gate, and the shares of takes that pass: of music by folder, of other sound by kind, each kind known and each
    left out of the learning; nothing was learnt from the takes that are measured."""
    fold = np.arange(len(moves.kind)) % N_FOLDS
    unseen = np.zeros(len(fold))
    for k in range(N_FOLDS):
        unseen[fold == k] = _log_odds(moves.fitted(fold != k), moves.figures[fold == k])
    least = float(np.quantile(unseen[moves.is_music], 1 - KEPT))
    names = [str(name) for name in np.unique(moves.kind)]
    music = [name for name in names if moves.is_music[moves.kind == name][0]]
    left_out = {
        name: float((_log_odds(moves.fitted(moves.kind != name), moves.figures[moves.kind == name]) > least).mean())
        for name in names
        if name not in music
    }
    passed = {name: float((unseen[moves.kind == name] > least).mean()) for name in names}
    gate = moves.fitted(np.ones(len(fold), bool))
    measured = {
        "music": {name: passed[name] for name in music},
        "other": {name: passed[name] for name in left_out},
        "left_out": left_out,
    }
    return replace(gate, bias=gate.bias - np.float32(least)), measured


def _log_odds(gate: SteadyGate, figures: Floats) -> NDArray[np.float64]:
    return np.asarray(logit(np.clip(gate(figures).astype(np.float64), 1e-7, 1 - 1e-7)))


def learn_steady(
    music: Sequence[str | Path],
    others: Sequence[str | Path],
    *,
    n_each: int = 240,
    n_noises: int = 40,
    seed: int = 0,
    progress: Callable[[float, float], None] | None = None,
) -> tuple[SteadyGate, dict[str, Any]]:
    """Fit on folders of music, on noise of every kind and on folders of sounds that are no music.

    Parameters
    ----------
    music
        Folders of sound or MIDI files.
    others
        Folders of sound files; the name of a folder is the kind.
    n_each
        At most so many files of a folder.
    n_noises
        Takes of each kind of noise.
    progress
        Called with the takes done and their number.

    Raises
    ------
    InputError
        A folder has no sound.
    """
    wanted: list[tuple[str, bool, Callable[[np.random.Generator], Floats]]] = []
    for folder, is_music in [(Path(one), True) for one in music] + [(Path(one), False) for one in others]:
        paths = _files(folder, with_midi=is_music)
        for i in np.random.default_rng(seed).permutation(len(paths))[:n_each].tolist():
            wanted.append((folder.name, is_music, functools.partial(_take_of, paths[i])))
    for kind in NOISES:
        wanted += [(kind, False, functools.partial(noise, kind, SAMPLE_RATE))] * n_noises
    rows = []
    for i, (_, _, make) in enumerate(wanted):
        random = np.random.default_rng([seed, i])
        rows.append(steadiness(semitones(_take(make(random), random))))
        if progress is not None:
            progress(i + 1, len(wanted))
    kinds, musical = np.array([one[0] for one in wanted]), np.array([one[1] for one in wanted])
    return fit_steady(Moves(np.stack(rows), kinds, musical))


def _files(folder: Path, *, with_midi: bool) -> list[Path]:
    if with_midi and (found := sorted(one for one in folder.rglob("*") if one.suffix.lower() in MIDI_SUFFIXES)):
        return found
    return list(sound_files(folder))


def _take_of(path: Path, random: np.random.Generator) -> Floats:
    """A sound file, or a stretch of a MIDI file as it is played."""
    if path.suffix.lower() not in MIDI_SUFFIXES:
        return sound_of(path)
    score: Any = read_score(path).to("second")
    start = random.uniform(0, max(score.end() - LONGEST_SEC, 0))
    stretch = score.clip(start, start + LONGEST_SEC, clip_end=True).shift_time(-start).to("tick")
    return np.ascontiguousarray(render_audio(stretch, sample_rate=SAMPLE_RATE).mean(axis=0))


def _take(samples: Floats, random: np.random.Generator) -> Floats:
    """Some seconds of a sound, from anywhere."""
    n = int(random.uniform(SHORTEST_SEC, LONGEST_SEC) * SAMPLE_RATE)
    first = int(random.uniform(0, max(len(samples) - n, 1)))
    return samples[first : first + n]
