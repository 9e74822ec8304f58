"""Short takes of music and of other sound, as the gate hears them.

Music is recordings, scores as the player sounds them, and their topmost lines alone
(:mod:`muse.training.recognizer.tunes`); other sound is noise of every kind (:mod:`muse.training.recognizer.noise`) and
recordings that are given. Each take is some seconds from anywhere, and of every seventh there is a second one that is
shorter. What is heard of it is written to a cache folder, so an interrupted run goes on.

Conventions
-----------
kind
    Of music ``recordings``, ``scores``, ``drums`` (scores of nothing else), ``solo`` and ``plain`` tunes and single
    ``chords``; of other sound the kind of noise or the name of the folder.
source
    The file that a take is of; of other sound in a folder within the given one that folder, such as one of a voice;
    of noise and chords the take itself. Takes of one source are never learnt from and measured at once.

Contents: :class:`Takes`, :func:`hear_takes`.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from muse.audio import sound_files
from muse.corpora import MIDI_SUFFIXES
from muse.errors import InputError
from muse.recognizer.encoders.encoder import Encoder
from muse.recognizer.features.signal import N_SEMITONES
from muse.recognizer.features.steadiness import steadiness
from muse.recognizer.features.windows import extract
from muse.render import render_audio
from muse.score import read_score
from muse.training.recognizer.noise import NOISES, noise
from muse.training.recognizer.parts import cached, encoder_cache, sound_of
from muse.training.recognizer.tunes import a_chord, line_of, played_alone, played_plainly

__all__ = ["MUSIC", "Takes", "hear_takes"]

Floats = NDArray[np.float32]
Make = Callable[[np.random.Generator, int], Floats]
"""Samples [n] of a generator and a sample rate in hertz."""

MUSIC: Final = ("recordings", "scores", "drums", "solo", "plain", "chords")
SHORTEST_SEC, LONGEST_SEC = 3.0, 12.0
SHORT_SEC: Final = (1.0, SHORTEST_SEC)
SHORT_EACH: Final = 7
"""Of so many takes one is heard shortly as well; no number of kinds or folders may be a multiple of it."""
CHORDS_EACH: Final = 4
"""One chord for so many recordings."""
FEWEST_NOTES: Final = 4
"""Of a stretch of a score that is a take of music."""
TRIES: Final = 8
SILENCE: Final = 1e-4
"""Root mean square below which nothing sounds."""


@dataclass(frozen=True)
class Takes:
    """What is heard of takes, and what they are."""

    embedding: Floats
    """Mean of the encoder's, [n, numbers]."""
    figures: Floats
    """:data:`~muse.recognizer.features.steadiness.FIGURES`, [n, figures]."""
    kind: NDArray[np.str_]
    source: NDArray[np.str_]

    @property
    def is_music(self) -> NDArray[np.bool_]:
        """Of every take, [n]."""
        return np.isin(self.kind, MUSIC)


@dataclass(frozen=True)
class _Wanted:
    kind: str
    file: Path | None
    """None of noise and of chords."""
    make: Make
    seed: tuple[int, ...]
    source: str = ""
    """If it is not the file."""
    seconds: tuple[float, float] = (SHORTEST_SEC, LONGEST_SEC)


def hear_takes(
    music: Sequence[str | Path],
    others: Sequence[str | Path],
    encoder: Encoder,
    cache: str | Path,
    *,
    n_music: int = 200,
    n_noises: int = 27,
    seed: int = 0,
    progress: Callable[[float, float], None] | None = None,
) -> Takes:
    """Hear takes of folders of music and of other sound, and of noise of every kind.

    Parameters
    ----------
    music
        Folders of sound or MIDI files.
    others
        Folders of sound files; the name of a folder is the kind.
    cache
        Folder of what is heard.
    n_music
        Takes of recordings, as many of scores and as many of tunes, spread evenly over the folders; a few chords.
    n_noises
        Takes of each kind of noise.
    progress
        Called with the takes done and their number.

    Raises
    ------
    InputError
        A folder has no sound, or no music is given.
    """
    wanted = [*_of_music([Path(one) for one in music], n_music, seed), *_of_others(others, n_noises, seed)]
    wanted += [replace(one, seconds=SHORT_SEC, seed=(*one.seed, 5)) for one in wanted[::SHORT_EACH]]
    rows, found = [], []
    for i, one in enumerate(wanted):
        heard = cached(
            encoder_cache(cache, encoder) / "takes" / f"{_name(one)}.npz", functools.partial(_heard, one, encoder)
        )
        if len(heard["pitches"]):
            rows.append((heard["embedding"], steadiness(heard["pitches"])))
            found.append(one)
        if progress is not None:
            progress(i + 1, len(wanted))
    kind, source = np.array([one.kind for one in found]), np.array([one.source or str(one.file) for one in found])
    embedding, figures = (np.stack(column) for column in zip(*rows, strict=True))
    return Takes(embedding, figures, kind, source)


def _of_music(folders: Sequence[Path], n_each: int, seed: int) -> list[_Wanted]:
    if not folders:
        raise InputError("the gate learns what music is: give folders of sound or MIDI files")
    scores: dict[Path, list[Path]] = {}
    recordings: dict[Path, list[Path]] = {}
    for folder in folders:
        found = sorted(one for one in folder.rglob("*") if one.suffix.lower() in MIDI_SUFFIXES)
        (scores if found else recordings)[folder] = found or list(sound_files(folder))
    wanted = [
        _Wanted("recordings", path, functools.partial(_recording, path), (seed, 0, i))
        for i, path in enumerate(_spread(recordings, n_each, seed))
    ]
    for i, path in enumerate(_spread(scores, 2 * n_each, seed)):
        round_, place = divmod(i, len(scores))
        if (round_ + place) % 2 == 0:
            wanted.append(
                _Wanted("drums" if _is_drums(path) else "scores", path, functools.partial(_played, path), (seed, 1, i))
            )
        elif not _is_drums(path):
            make, kind = ((_solo, "solo"), (_plain, "plain"))[round_ // 2 % 2]
            wanted.append(_Wanted(kind, path, functools.partial(make, path), (seed, 2, i)))
    wanted += [_Wanted("chords", None, a_chord, (seed, 6, i), f"chord {i}") for i in range(n_each // CHORDS_EACH)]
    return wanted


def _spread(folders: dict[Path, list[Path]], n: int, seed: int) -> list[Path]:
    """So many files, one of each folder after another, each folder's in an order drawn by the seed."""
    random = np.random.default_rng(seed)
    shuffled = [[paths[i] for i in random.permutation(len(paths))] for paths in folders.values()]
    longest = max((len(paths) for paths in shuffled), default=0)
    return [paths[i] for i in range(longest) for paths in shuffled if i < len(paths)][:n]


def _of_others(folders: Sequence[str | Path], n_noises: int, seed: int) -> list[_Wanted]:
    wanted = []
    for i, kind in [(i, kind) for i in range(n_noises) for kind in NOISES]:
        make = functools.partial(_noise, kind)
        wanted.append(_Wanted(kind, None, make, (seed, 3, i, *kind.encode()), f"{kind} {i}"))
    for folder in folders:
        for i, path in enumerate(sound_files(Path(folder))):
            make = functools.partial(_recording, path)
            voice = "" if path.parent == Path(folder) else str(path.parent)
            wanted.append(_Wanted(Path(folder).name, path, make, (seed, 4, i), voice))
    return wanted


def _recording(path: Path, random: np.random.Generator, sample_rate: int) -> Floats:
    return sound_of(path, sample_rate)


def _noise(kind: str, random: np.random.Generator, sample_rate: int) -> Floats:
    return noise(kind, sample_rate, random)


def _played(path: Path, random: np.random.Generator, sample_rate: int) -> Floats:
    score = _stretch(path, random)
    return np.ascontiguousarray(render_audio(score.to("tick"), sample_rate=sample_rate).mean(axis=0))


def _solo(path: Path, random: np.random.Generator, sample_rate: int) -> Floats:
    return played_alone(line_of(_stretch(path, random)), random, sample_rate)


def _plain(path: Path, random: np.random.Generator, sample_rate: int) -> Floats:
    return played_plainly(line_of(_stretch(path, random)), random, sample_rate)


def _stretch(path: Path, random: np.random.Generator) -> Any:
    """Some seconds of a score, from where there are notes; its time is in seconds."""
    score: Any = read_score(path).to("second")
    for _ in range(TRIES):
        start = random.uniform(0, max(score.end() - LONGEST_SEC, 0))
        stretch = score.clip(start, start + LONGEST_SEC, clip_end=True).shift_time(-start)
        if stretch.note_num() >= FEWEST_NOTES:
            break
    return stretch


def _is_drums(path: Path) -> bool:
    try:
        return all(track.is_drum for track in read_score(path).tracks)
    except InputError:
        return False


def _heard(wanted: _Wanted, encoder: Encoder) -> dict[str, Floats]:
    """Mean embedding [numbers] and pitch spectrum [T, pitches] of a take; no frames where nothing sounds."""
    random = np.random.default_rng(wanted.seed)
    try:
        samples = wanted.make(random, encoder.sample_rate)
    except InputError:  # a file that cannot be read is left out
        samples = np.zeros(0, np.float32)
    n = int(random.uniform(*wanted.seconds) * encoder.sample_rate)
    first = int(random.uniform(0, max(len(samples) - n, 1)))
    samples = samples[first : first + n]
    if len(samples) < encoder.sample_rate or np.sqrt(np.square(samples).mean()) < SILENCE:
        return {"embedding": np.zeros(encoder.width, np.float32), "pitches": np.zeros((0, N_SEMITONES), np.float32)}
    heard = extract(samples, encoder)
    return {"embedding": heard.steps[:, : encoder.width].mean(axis=0), "pitches": heard.pitches}


def _name(wanted: _Wanted) -> str:
    """For the cache: no two takes share one, and a file that has changed gets another."""
    facts: tuple[object, ...] = ()
    if wanted.file is not None:
        stat = wanted.file.stat()
        facts = (wanted.file.resolve(), stat.st_size, stat.st_mtime_ns)
    text = f"{wanted.kind} {facts} {wanted.seed}"
    return f"{wanted.kind}-{hashlib.sha256(text.encode(errors='surrogateescape')).hexdigest()[:16]}"
