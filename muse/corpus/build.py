"""Building a dataset: folders of MIDI files in, Parquet shards out.

::

    find_songs ─▶ chunks of the sorted list ─▶ worker processes ─▶ one part per chunk ─▶ duplicates, splits ─▶ shards

Of every song (:func:`process_song`): read and clean; find the grid that its notes lie on; cut windows of 16 bars;
encode each; decode it again and measure attributes on *that* music, so that what a row says is true of its tokens.

Conventions
-----------
row
    One window. Columns: :data:`muse.corpus.read.COLUMNS`.
grid
    Where the bars of a song come from: ``"annotated"`` beats, its ``"own"`` bar lines, ``"tracked"`` beats, or
    ``"none"``. Songs without a grid are cut every :data:`OFF_GRID_BAR_SEC` · 16 seconds, have no tokens, and NaN in all
    attributes that need beats or bars.
split
    By song, never by window. The source's own split holds; otherwise a hash of the group decides. Songs of one title
    and composer, and songs that share much of their melody, form one group across corpora.
duplicate
    Same notes on a grid of twelfths of a beat, in any key. The copy with the freest licence stays, then the first.
resuming
    Work is done in chunks of a fixed size. A finished chunk is a part file named after a hash of everything that it
    depends on: the bytes of its files, labels and annotations, the settings, and the code that does the work. Parts are
    written under another name and moved into place, and shards are made from parts alone, in order. So a build that
    was killed at any moment ends, when started again, with the same bytes.
safety
    Files are read in worker processes with a limit on memory and time. One that crashes, hangs or grows is tried once
    more in a fresh process and then listed among the rejects; the build goes on.

Contents: :func:`build_corpus`, :func:`process_song`, :class:`Settings`, :func:`grid_quality`,
:func:`muse.corpus.read.corpus_info`.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import functools
import hashlib
import heapq
import io
import itertools
import json
import math
import multiprocessing as mp
import multiprocessing.connection as mpc
import os
import shutil
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from muse.attributes import ATTRIBUTES, extract
from muse.corpus.importers import (
    LICENCE_CLASSES,
    SPLITS,
    BeatTimes,
    Song,
    find_songs,
    read_beats,
    read_curve,
    read_key,
    work_name,
)
from muse.corpus.read import SCHEMA_VERSION, corpus_info, write_shard
from muse.errors import InputError, MuseError
from muse.harmony import estimate_key
from muse.score import (
    DRUMS,
    BarGrid,
    Notes,
    Score,
    align_to_beats,
    bar_grid,
    beat_to_sec,
    grid_fit,
    mean_tempo_bpm,
    note_array,
    quantize,
    read_score,
    slice_bars,
    tempo_map,
    track_beats,
)
from muse.tokens import SECTION_BARS, SECTION_CONTROLS, SONG_CONTROLS, Codec
from muse.tokens.vocabulary import STEPS_PER_BEAT

__all__ = ["Settings", "build_corpus", "corpus_info", "grid_quality", "process_song"]

CHUNK_SONGS = 64
"""Songs per part and shard: what a killed build may have to do again, and at most some ten thousand rows."""

OFF_GRID_BAR_SEC = 2.0
"""Length of the bars that stand in where a song has none: 4/4 at 120 BPM."""

MEMORY_LIMIT_BYTES = 4 << 30
"""Address space of one worker; the largest real file needs a tenth of it."""

MAX_SKETCH = 48
"""Hashes kept per song to recognise other versions of its melody."""

MIN_SHARED = 0.3
"""Share of a melody's phrases above which two songs are versions of one work. Different works share next to none."""

FRACTIONS = {"train": 0.94, "val": 0.03, "test": 0.03}

Progress: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True)
class Settings:
    """What a dataset depends on besides its sources. Stored in ``dataset.json``."""

    window_bars: int = 16
    """Bars a window; also the hop. A multiple of 8."""
    min_bars: int = 4
    """Shortest window, for short songs and short stretches between two changes of meter."""
    min_onsets: int = 8
    """Windows with fewer notes are left out."""
    max_tokens: int = 2000
    """Longer windows are cut into halves of 8 bars."""
    min_grid_quality: float = 0.4
    """:func:`grid_quality` from which a song's own or annotated bars count as real. Real corpora lie either near 0
    (performances) or above 0.7 (scores); drummers who play to a click lie between."""
    min_beat_confidence: float = 0.7
    """Confidence of :func:`muse.score.track_beats` from which tracked beats count."""
    attributes: str = "controls"
    """``"controls"`` measures what the generator is conditioned on, ``"all"`` the whole catalogue."""
    timeout_sec: float = 120.0
    """Time for one file."""

    def __post_init__(self) -> None:
        faults = []
        if self.window_bars < 8 or self.window_bars % 8:
            faults.append(f"window_bars is {self.window_bars}; give a multiple of 8")
        if not SECTION_BARS <= self.min_bars <= self.window_bars or self.min_bars % SECTION_BARS:
            faults.append(f"min_bars is {self.min_bars}; give a multiple of {SECTION_BARS} up to window_bars")
        if self.attributes not in ("controls", "all"):
            faults.append(f"attributes is {self.attributes!r}; give 'controls' or 'all'")
        if self.timeout_sec <= 0:
            faults.append(f"timeout_sec is {self.timeout_sec}; give seconds above 0")
        if faults:
            raise InputError("; ".join(faults))


@dataclass(frozen=True)
class SongResult:
    """What became of one song. Crosses from a worker to the builder."""

    rows: list[dict[str, Any]]
    """Windows; columns of the song itself are added by the builder."""
    rejects: list[tuple[str, str, int]]
    """(stage, reason, number of windows; 0 when the whole file is meant)."""
    note_hash: str = ""
    """Hash of the notes, the same in every key; empty when the file could not be read."""
    sketch: tuple[int, ...] = ()
    """Smallest hashes of the melody's phrases, ascending."""


# ------------------------------------------------------------------------------------------------------------- the path


def build_corpus(
    sources: Sequence[Path | str],
    out: Path | str,
    *,
    licence_classes: Iterable[str] | None = None,
    limit: int | None = None,
    n_processes: int | None = None,
    progress: Progress | None = None,
    settings: Settings | None = None,
    **overrides: Any,
) -> dict[str, Any]:
    """Build a dataset, or finish one that was interrupted.

    Parameters
    ----------
    sources
        MIDI files, corpora or folders of corpora; see :mod:`muse.corpus.importers`.
    out
        Folder of the dataset: new, empty, or a dataset before. An older dataset is replaced at the very end.
    licence_classes
        Take songs of these classes alone: ``permissive``, ``copyleft``, ``nc``, ``unclear``. Default: all.
    limit
        Take at most so many songs of each corpus, the first by id.
    n_processes
        Worker processes; default: one per core.
    progress
        Called with (songs done, songs in all).
    settings, overrides
        :class:`Settings`, and single fields of it by name.

    Returns
    -------
    dict
        What ``dataset.json`` holds.

    Raises
    ------
    InputError
        A source, the folder or a setting cannot be used.
    MuseError
        Another build is at work in the folder, or worker processes cannot be started.
    """
    unknown = set(overrides) - {entry.name for entry in dataclasses.fields(Settings)}
    if unknown:
        legal = ", ".join(entry.name for entry in dataclasses.fields(Settings))
        raise InputError(f"no such setting: {', '.join(sorted(unknown))}; legal are {legal}")
    settings = dataclasses.replace(settings or Settings(), **overrides)
    songs = _select(find_songs([Path(source) for source in sources]), licence_classes, limit)
    if n_processes is not None and n_processes < 1:
        raise InputError(f"{n_processes} processes cannot build anything; give 1 or more")

    folder = _Folder(Path(out))
    with folder.locked():
        chunks = _chunks(songs, settings)
        if (summary := folder.finished(chunks)) is not None:
            return summary
        _make_parts(chunks, folder, settings, n_processes or os.cpu_count() or 1, progress)
        return _finish(chunks, folder, settings)


def _select(songs: list[Song], licence_classes: Iterable[str] | None, limit: int | None) -> list[Song]:
    if licence_classes is not None:
        wanted = set(licence_classes)
        if not wanted <= set(LICENCE_CLASSES):
            unknown = ", ".join(sorted(wanted - set(LICENCE_CLASSES)))
            raise InputError(f"no such licence class: {unknown}; legal are {', '.join(LICENCE_CLASSES)}")
        songs = [song for song in songs if song.licence_class in wanted]
    if limit is not None:
        seen: Counter[str] = Counter()
        kept = []
        for song in songs:
            seen[song.corpus] += 1
            if seen[song.corpus] <= limit:
                kept.append(song)
        songs = kept
    if not songs:
        raise InputError("no song is left to build from; see the licence classes and the limit asked for")
    return songs


# ---------------------------------------------------------------------------------------------------------- one song


def process_song(song: Song, settings: Settings) -> SongResult:
    """Windows of one song, with tokens and attributes; see the module for the steps.

    Raises
    ------
    InputError
        The file cannot be read (other faults become rejects).
    """
    score = read_score(song.path)
    notes = note_array(score)
    if len(notes) < settings.min_onsets:
        return SongResult([], [("read", f"fewer than {settings.min_onsets} notes", 0)])
    note_hash, sketch = _note_hash(notes), _melody_sketch(notes)

    rejects: list[tuple[str, str, int]] = []
    score, grid_kind, quality = _find_grid(score, notes, song, settings, rejects)
    on_grid = grid_kind != "none"
    if not on_grid:
        rejects.append(("grid", f"no bar grid (best fit {quality:.1f}); kept without tokens", 0))

    start_sec = float(notes["onset_sec"].min()) - float(note_array(score)["onset_sec"].min())
    total_sec = float((notes["onset_sec"] + notes["duration_sec"]).max())
    rows: list[dict[str, Any]] = []
    counts: Counter[tuple[str, str]] = Counter()
    grid = bar_grid(score)
    if on_grid:
        # Before cutting, so that a note played a little early falls into the bar that it belongs to.
        score = quantize(score, _steps_per_beat(grid))
        grid = bar_grid(score)
    spans, n_short = _windows(score, grid, settings)
    if n_short:
        counts["window", f"run of fewer than {settings.min_bars} bars between changes of meter"] += n_short
    sounding = _sounding_bars(score, grid)
    todo = [(first, stop) for first, stop in reversed(spans)]
    while todo:
        first, stop = todo.pop()
        try:
            row = _window_row(score, grid, first, stop, on_grid, settings)
        except _TooLongError as error:
            half = settings.window_bars // 2
            if stop - first <= half:
                counts["window", str(error)] += 1
            else:
                todo += [(b, min(b + half, stop)) for b in reversed(range(first, stop - SECTION_BARS + 1, half))]
            continue
        except MuseError as error:
            counts["window", str(error)] += 1
            continue
        moment = start_sec + row.pop("start_sec")
        row |= {
            "window": len(rows),
            "at_start": first - sounding[0] <= int(grid.start_beat[1] < 4 * grid.numerator[0] / grid.denominator[0]),
            "at_end": stop > sounding[1],
            "on_grid": on_grid,
            "grid": grid_kind,
            "grid_fit": quality,
            "start_sec": moment,
        }
        row |= _window_emotion(song, moment / total_sec, (moment + row["duration_sec"]) / total_sec)
        rows.append(row)
    rejects += [(stage, reason, n) for (stage, reason), n in sorted(counts.items())]
    if not rows and not counts:
        rejects.append(("window", f"fewer than {settings.min_bars} bars", 0))
    return SongResult(rows, rejects, note_hash, sketch)


def grid_quality(onset_beat: NDArray[np.float64]) -> float:
    """How much better than chance onsets lie on a grid of musical note values, in -1..1 (1: all of them do).

    The best of sixteenths, eighth triplets and sixteenth triplets within 0.04 beat, and twelfths within 0.01 beat (for
    notated music that mixes duple and triple), each as (share - chance) / (1 - chance).
    """
    best = -1.0
    for steps, tolerance in ((4, 0.04), (3, 0.04), (6, 0.04), (12, 0.01)):
        chance = 2 * tolerance * steps
        best = max(best, (grid_fit(onset_beat, steps, tolerance) - chance) / (1 - chance))
    return best


def _find_grid(
    score: Score, notes: Notes, song: Song, settings: Settings, rejects: list[tuple[str, str, int]]
) -> tuple[Score, str, float]:
    """The score on the best bars there are, the kind of grid, and how well the notes lie on it."""
    own = grid_quality(notes["onset_beat"])
    if song.beats_path is not None:
        try:
            beats = read_beats(song.beats_path, song.beats_in_bar)
            aligned = _aligned(score, beats)
            quality = grid_quality(note_array(aligned)["onset_beat"])
            # Annotated beats know the meter, which a file's own grid often does not: POP909's says 1/4.
            if quality >= max(settings.min_grid_quality, own - 0.15):
                return aligned, "annotated", quality
        except MuseError as error:
            rejects.append(("annotation", str(error), 0))
    if own >= settings.min_grid_quality:
        if np.median(bar_grid(score).numerator) > 1:
            return score, "own", own
        # Bars of one beat say that the beats are right and the meter is unknown.
        beat_sec, confidence = beat_to_sec(tempo_map(score), np.arange(math.ceil(notes["onset_beat"].max()) + 2)), 1.0
    else:
        beat_sec, confidence = track_beats(notes["onset_sec"], notes["velocity"].astype(np.float64))
    if confidence >= settings.min_beat_confidence:
        aligned = _aligned(score, BeatTimes(beat_sec, _guess_downbeats(notes, beat_sec), np.ones(len(beat_sec))))
        quality = grid_quality(note_array(aligned)["onset_beat"])
        if quality >= settings.min_grid_quality:
            return aligned, "tracked", quality
    # No bars: stand-ins of equal length, so that the rest of the path is the same.
    last = float((notes["onset_sec"] + notes["duration_sec"]).max())
    first = float(notes["onset_sec"].min())
    ticks = first + np.arange(0.0, last - first + OFF_GRID_BAR_SEC, OFF_GRID_BAR_SEC / 4)
    return _aligned(score, BeatTimes(ticks, np.arange(len(ticks)) % 4 == 0, np.ones(len(ticks)))), "none", own


def _aligned(score: Score, beats: BeatTimes) -> Score:
    return align_to_beats(score, beats.time_sec, beats.downbeat, quarters_per_beat=beats.quarters)


def _steps_per_beat(grid: BarGrid) -> int:
    """Resolution of the codec in the meter that most bars have: twelfths of a quarter note, or of an eighth."""
    eighths = (grid.denominator == 8) & (grid.numerator % 3 == 0)
    return STEPS_PER_BEAT * (2 if eighths.mean() > 0.5 else 1)


def _guess_downbeats(notes: Notes, beat_sec: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Downbeats of tracked beats, taken as 4/4: the phase on which most weight of low and long notes falls."""
    beat = np.interp(notes["onset_sec"], beat_sec, np.arange(len(beat_sec)))
    near = np.abs(beat - np.rint(beat)) < 0.15
    weight = notes["velocity"] / 127 * np.minimum(notes["duration_sec"], 2.0) * np.where(notes["pitch"] < 52, 2.0, 1.0)
    phase = np.bincount(np.rint(beat[near]).astype(np.int64) % 4, weights=weight[near], minlength=4)
    return np.arange(len(beat_sec)) % 4 == int(phase.argmax())


# ------------------------------------------------------------------------------------------------------------- windows


class _TooLongError(MuseError):
    """A window has more tokens than a sequence may have."""


def _windows(score: Score, grid: BarGrid, settings: Settings) -> tuple[list[tuple[int, int]], int]:
    """Bar ranges of the windows, and how many stretches between changes of meter were too short for one.

    Within a stretch of regular bars of one meter: windows one after another, the last of which ends where the stretch
    ends; when that would cost half a window or more, there is one window more, which overlaps. A stretch shorter than
    a window gives one of as many whole sections as fit.
    """
    filled = np.bincount(grid.bar_of(note_array(score)["onset_beat"]), minlength=grid.n_bars) > 0
    if not filled.any():
        return [], 0
    begin, end = int(np.flatnonzero(filled)[0]), int(np.flatnonzero(filled)[-1]) + 1
    length = np.diff(grid.start_beat)
    regular = np.isclose(length, 4 * grid.numerator / grid.denominator, atol=1e-3)
    changes = [begin]
    for bar in range(begin + 1, end):
        same = grid.numerator[bar] == grid.numerator[bar - 1] and grid.denominator[bar] == grid.denominator[bar - 1]
        if not (same and regular[bar] and regular[bar - 1]):
            changes.append(bar)
    changes.append(end)

    spans: list[tuple[int, int]] = []
    n_short, size = 0, settings.window_bars
    for first, stop in itertools.pairwise(changes):
        n_bars = stop - first
        if n_bars < settings.min_bars:
            n_short += stop - begin > 1 and n_bars > 1  # a pick-up alone is no loss
            continue
        if n_bars < size:
            spans.append((first, first + n_bars // SECTION_BARS * SECTION_BARS))
            continue
        starts = list(range(first, stop - size + 1, size))
        tail = stop - (starts[-1] + size)
        if tail >= size // 2 or (len(starts) == 1 and tail >= SECTION_BARS):
            starts.append(stop - size)
        elif len(starts) > 1:  # lose a few bars between two windows rather than the ending
            starts[-1] = stop - size
        spans += [(start, start + size) for start in starts]
    return spans, n_short


def _sounding_bars(score: Score, grid: BarGrid) -> tuple[int, int]:
    """First and last bar in which a note starts."""
    bars = grid.bar_of(note_array(score)["onset_beat"])
    return int(bars.min()), int(bars.max())


def _window_row(
    score: Score, grid: BarGrid, first: int, stop: int, on_grid: bool, settings: Settings
) -> dict[str, Any]:
    """Tokens, attributes and measures of one window.

    Raises
    ------
    MuseError
        The window is not worth a row, or its music cannot be spelt.
    """
    n_bars = stop - first
    piece = slice_bars(score, first, stop, grid=grid)
    notes = note_array(piece)
    if len(notes) < settings.min_onsets:
        raise InputError(f"fewer than {settings.min_onsets} notes")
    bar_beats = 4 * int(grid.numerator[first]) / int(grid.denominator[first])
    filled = len(np.unique(np.floor(notes["onset_beat"] / bar_beats + 1e-6)))
    if filled * 2 < n_bars:
        raise InputError("more than half of the bars are empty")

    tokens = np.zeros(0, np.uint16)
    if on_grid:
        codec = Codec.default()
        # The codec gives a window one tempo: the mean weighted by time.
        tokens = codec.encode_score(piece, n_bars)
        if len(tokens) > settings.max_tokens:
            raise _TooLongError(f"more than {settings.max_tokens} tokens in {settings.window_bars // 2} bars or less")
        piece = codec.decode(tokens)
        notes = note_array(piece)
    names, needy = _attribute_names(settings.attributes)
    values = _measured(piece, names, 1, None)[0]
    sections = _measured(piece, SECTION_CONTROLS, n_bars // SECTION_BARS, SECTION_BARS)
    if not on_grid:
        values[needy] = np.nan
        sections[:, _attribute_names("sections")[1]] = np.nan
    key = estimate_key(notes)
    origin = _bar_sec(score, grid, first)
    return {
        "first_bar": first,
        "n_bars": n_bars,
        "programs": np.unique(notes["program"]).astype(np.uint8),
        "time_signature": "{}/{}".format(*_meter(piece)) if on_grid else "",
        "tempo_bpm": mean_tempo_bpm(piece) if on_grid else math.nan,
        "tonic": key.tonic if key else -1,
        "mode": key.mode if key else "",
        "key_clarity": key.clarity if key else math.nan,
        "note_count": len(notes),
        "start_sec": origin,
        "duration_sec": _bar_sec(score, grid, stop) - origin,
        "tokens": tokens,
        "attributes": values,
        "section_attributes": sections.ravel(),
    }


def _meter(score: Score) -> tuple[int, int]:
    first = score.time_signatures[0]
    return first.numerator, first.denominator


def _bar_sec(score: Score, grid: BarGrid, bar: int) -> float:
    """Second at which a bar of a score begins (the end of the last bar for ``bar == n_bars``)."""
    return float(beat_to_sec(tempo_map(score), grid.start_beat[min(bar, grid.n_bars)]))


@functools.cache
def _attribute_names(which: str) -> tuple[tuple[str, ...], NDArray[np.bool_]]:
    """Names of the attributes to measure, and which of them need beats or bars (bool of the same length)."""
    needs = {column: attribute.needs for attribute in ATTRIBUTES for column in attribute.columns}
    if which == "sections":
        names: tuple[str, ...] = tuple(SECTION_CONTROLS)
    else:
        rest = [name for name in needs if name not in SONG_CONTROLS] if which == "all" else []
        names = (*SONG_CONTROLS, *rest)  # controls first, so that their columns are the same in every dataset
    return names, np.array([needs[name] != "notes" for name in names])


def _measured(piece: Score, names: Sequence[str], n_rows: int, bars: int | None) -> NDArray[np.float32]:
    """Attributes float32 [n_rows, n_names]; NaN in sections past the last note."""
    values = np.full((n_rows, len(names)), np.nan, np.float32)
    found = extract(piece, names=list(names), bars=bars).values[:n_rows]
    values[: len(found)] = found
    return values


def _window_emotion(song: Song, start: float, stop: float) -> dict[str, float]:
    """Valence and arousal of a part of a song (fractions of its length) where people rated it over time."""
    point = {"window_valence": math.nan, "window_arousal": math.nan}
    if song.curve_path is None:
        return point
    curve = read_curve(song.curve_path, song.song_id)
    if len(curve) == 0:
        return point
    place = np.arange(len(curve)) / len(curve)
    inside = (place >= start) & (place < stop)
    if inside.any():
        mean = curve[inside, 1:].mean(axis=0)
        point = {"window_valence": float(mean[0]), "window_arousal": float(mean[1])}
    return point


# ----------------------------------------------------------------------------------------------------- same music again


def _note_hash(notes: Notes) -> str:
    """Hash of onset, pitch and length of all notes in twelfths of a beat from the first onset, the same in every key."""
    drums = notes["program"] == DRUMS
    onset = np.rint((notes["onset_beat"] - notes["onset_beat"].min()) * 12).astype(np.int64)
    length = np.maximum(np.rint(notes["duration_beat"] * 12), 1).astype(np.int64)
    pitch = notes["pitch"].astype(np.int64)
    lowest = int(pitch[~drums].min()) if (~drums).any() else 0
    pitch = np.where(drums, pitch + 1000, pitch - lowest)
    rows = np.unique(np.column_stack([onset, pitch, length]), axis=0)
    return hashlib.sha256(np.ascontiguousarray(rows, dtype="<i8").tobytes()).hexdigest()[:32]


def _melody_sketch(notes: Notes) -> tuple[int, ...]:
    """The smallest hashes among all runs of ten steps of the upper voice: a fingerprint that survives other
    tempos, keys, accompaniments and small slips (bottom-k sketch, Broder 1997)."""
    pitched = notes[notes["program"] != DRUMS]
    if len(pitched) < 24:
        return ()
    order = np.lexsort((-pitched["pitch"], np.rint(pitched["onset_sec"] / 0.04)))
    moment = np.rint(pitched["onset_sec"][order] / 0.04)
    top = np.concatenate([[True], np.diff(moment) > 1])
    melody = pitched["pitch"][order][top].astype(np.int64)
    steps = np.clip(np.diff(melody), -24, 24) + 24
    steps = steps[steps != 24]  # repeated notes come and go between versions
    if len(steps) < 20:
        return ()
    code = np.zeros(len(steps) - 9, np.uint64)
    with np.errstate(over="ignore"):
        for offset in range(10):
            code = code * np.uint64(49) + steps[offset : len(code) + offset].astype(np.uint64)
        code = np.unique(code)
        mixed = (code ^ (code >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return tuple(int(value) for value in heapq.nsmallest(MAX_SKETCH, (mixed >> np.uint64(1)).tolist()))


# ------------------------------------------------------------------------------------------------------------- workers


@dataclass
class _Worker:
    process: Any
    pipe: Any
    ready: bool = False
    task: int = -1
    deadline: float = math.inf


class _Workers:
    """Processes that each do one song at a time, and may die of it."""

    def __init__(self, n: int, settings: Settings) -> None:
        self._context = mp.get_context("spawn")  # a fork would copy the locks of our threads
        self._settings = settings
        self._all: list[_Worker] = []
        self._n = n
        self._failed_starts = 0

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._all:
            worker.process.kill()
            worker.process.join()
            worker.pipe.close()

    def run(self, songs: Iterable[tuple[int, Song]]) -> Iterator[tuple[int, SongResult]]:
        """Results as they come, with the index of their song."""
        waiting = iter(songs)
        again: list[tuple[int, Song]] = []
        current: dict[int, Song] = {}
        tried: set[int] = set()
        pending = next(waiting, None)
        while pending is not None or again or current:
            while len(self._all) < min(self._n, len(current) + len(again) + (pending is not None)):
                self._start()
            for worker in self._all:
                if worker.ready and worker.task < 0 and (again or pending is not None):
                    if again:
                        index, song = again.pop()
                    elif pending is not None:
                        (index, song), pending = pending, next(waiting, None)
                    current[index] = song
                    worker.task, worker.deadline = index, time.monotonic() + self._settings.timeout_sec
                    with contextlib.suppress(OSError):  # one that died idle is noticed when listening
                        worker.pipe.send((index, song))
            for worker, message in self._listen():
                if message == "ready":
                    worker.ready, self._failed_starts = True, 0
                elif isinstance(message, SongResult):
                    yield worker.task, message
                    del current[worker.task]
                    worker.task, worker.deadline = -1, math.inf
                else:
                    self._drop(worker)
                    if worker.task < 0:
                        continue
                    song = current.pop(worker.task)
                    if worker.task in tried:
                        yield worker.task, SongResult([], [("read", str(message), 0)])
                    else:
                        tried.add(worker.task)
                        again.append((worker.task, song))

    def _start(self) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._settings), daemon=True)
        with _one_thread_each():
            process.start()
        theirs.close()
        self._all.append(_Worker(process, ours))

    def _listen(self) -> Iterator[tuple[_Worker, object]]:
        """Messages of the workers; a text says what a worker died of."""
        now = time.monotonic()
        nearest = min((worker.deadline for worker in self._all), default=now)
        timeout = max(0.0, min(nearest - now, 1.0))
        heard = mpc.wait([worker.pipe for worker in self._all], timeout)
        for worker in list(self._all):
            if worker.pipe in heard:
                try:
                    yield worker, worker.pipe.recv()
                except (EOFError, OSError):
                    worker.process.join(5)
                    code = worker.process.exitcode
                    if not worker.ready:
                        self._failed_starts += 1
                        if self._failed_starts >= 3:
                            raise MuseError(
                                f"worker processes do not start (exit code {code}); a script that builds a corpus needs "
                                "its call under: if __name__ == '__main__':"
                            ) from None
                    yield worker, f"the reader crashed (exit code {code})"
            elif time.monotonic() > worker.deadline:
                yield worker, f"took more than {self._settings.timeout_sec:g} s"

    def _drop(self, worker: _Worker) -> None:
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()
        self._all.remove(worker)


def _serve(pipe: Any, settings: Settings) -> None:
    """Life of a worker: songs in, results out, until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the builder's to handle
    _limit_memory()
    Codec.default()
    pipe.send("ready")
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            _, song = pipe.recv()
            if hasattr(signal, "alarm"):  # so that a hung orphan of a killed build ends as well
                signal.alarm(math.ceil(settings.timeout_sec) + 10)
            pipe.send(_attempt(song, settings))
            if hasattr(signal, "alarm"):
                signal.alarm(0)


def _attempt(song: Song, settings: Settings) -> SongResult:
    try:
        return process_song(song, settings)
    except MuseError as error:
        reason = str(error).replace(f"{song.path}: ", "").replace(str(song.path), song.source)
    except MemoryError:
        reason = f"needs more than {MEMORY_LIMIT_BYTES >> 30} GB of memory"
    except Exception as error:
        # One bad file must not end a build of a million; the reason stands in the table of rejects.
        reason = f"{type(error).__name__}: {error}"
    return SongResult([], [("read", " ".join(reason.split())[:300], 0)])


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = MEMORY_LIMIT_BYTES if hard == resource.RLIM_INFINITY else min(MEMORY_LIMIT_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Numeric libraries of processes started inside use one thread: there is a process per core already."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


# ------------------------------------------------------------------------------------------------------ parts and shards


@dataclass(frozen=True)
class _Chunk:
    index: int
    songs: tuple[Song, ...]
    digest: str
    """Hash of all that the part depends on."""

    @property
    def name(self) -> str:
        return f"{self.index:05d}-{self.digest[:12]}"


def _chunks(songs: Sequence[Song], settings: Settings) -> list[_Chunk]:
    """Fixed runs of the song list, each with the hash of its content, labels, settings and the code."""
    base = hashlib.sha256(json.dumps([dataclasses.asdict(settings), _code_digest()]).encode())
    curves = functools.cache(_file_digest)  # one table of ratings serves many songs
    chunks = []
    for start in range(0, len(songs), CHUNK_SONGS):
        part = tuple(songs[start : start + CHUNK_SONGS])
        digest = base.copy()
        for song in part:
            names = [entry.name for entry in dataclasses.fields(song) if not entry.name.endswith("path")]
            record = [str(getattr(song, name)) for name in names]
            digest.update(json.dumps(record).encode())
            for path in (song.path, song.beats_path, song.chords_path, song.key_path):
                digest.update(_file_digest(path) if path else b"-")
            digest.update(curves(song.curve_path) if song.curve_path else b"-")
        chunks.append(_Chunk(start // CHUNK_SONGS, part, digest.hexdigest()))
    return chunks


def _file_digest(path: Path) -> bytes:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


@functools.cache
def _code_digest() -> str:
    """Hash of the code that rows depend on, and of the libraries that it stands on."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    rooms = (
        "emotion*",
        "harmony.py",
        "midi_check.py",
        "score.py",
        "attributes/*.py",
        "tokens/*.py",
        "corpus/*.py",
    )
    for room in rooms:
        for path in sorted(root.glob(room)):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    for package in ("numpy", "symusic", "miditok", "pyarrow"):
        digest.update(f"{package} {version(package)}".encode())
    return digest.hexdigest()


class _Folder:
    """The dataset's folder: ``dataset.json``, ``rejects.csv``, ``shards/`` and, while building, ``parts/``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.parts = root / "parts"
        self.shards = root / "shards"
        self.description = root / "dataset.json"
        self.rejects = root / "rejects.csv"
        if root.exists() and not root.is_dir():
            raise InputError(f"{root} is a file; give a folder for the dataset")
        ours = {"dataset.json", "rejects.csv", "shards", "parts", ".lock"}
        if root.is_dir() and not (self.description.exists() or self.parts.exists()):
            strangers = sorted({path.name for path in root.iterdir()} - ours)
            if strangers:
                raise InputError(f"{root} holds other things ({', '.join(strangers[:3])}); give a new or empty folder")

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second build out; the lock falls with the process that holds it."""
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            import fcntl
        except ImportError:  # Windows
            yield
            return
        with (self.root / ".lock").open("w") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise MuseError(f"another build is at work in {self.root}; wait for it or end it") from None
            yield

    def finished(self, chunks: Sequence[_Chunk]) -> dict[str, Any] | None:
        """Description of the dataset when it is the one asked for, whole; then what a kill left behind is removed."""
        try:
            summary = json.loads(self.description.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if summary.get("digest") != _dataset_digest(chunks):
            return None
        if not all((self.root / shard).is_file() for shard in summary["shards"]):
            return None
        self.tidy(summary["shards"])
        return dict(summary)

    def tidy(self, shards: Sequence[str]) -> None:
        """Remove parts, temporary files, and shards of an older dataset."""
        shutil.rmtree(self.parts, ignore_errors=True)
        keep = {self.root / shard for shard in shards}
        for path in self.shards.iterdir():
            if path not in keep:
                path.unlink()
        for path in self.root.glob("*.tmp"):
            path.unlink()


def _dataset_digest(chunks: Sequence[_Chunk]) -> str:
    return hashlib.sha256("".join(chunk.digest for chunk in chunks).encode()).hexdigest()


def _write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(data)
    temporary.replace(path)


def _make_parts(
    chunks: Sequence[_Chunk], folder: _Folder, settings: Settings, n_processes: int, progress: Progress | None
) -> None:
    """Do the chunks that have no part yet."""
    folder.parts.mkdir(exist_ok=True)
    folder.shards.mkdir(exist_ok=True)
    wanted = {f"{chunk.name}.json" for chunk in chunks} | {f"{chunk.name}.parquet" for chunk in chunks}
    for path in folder.parts.iterdir():
        if path.name not in wanted:
            path.unlink()
    todo = [chunk for chunk in chunks if not (folder.parts / f"{chunk.name}.json").exists()]
    total = sum(len(chunk.songs) for chunk in chunks)
    done = total - sum(len(chunk.songs) for chunk in todo)
    if progress:
        progress(done, total)

    where: dict[int, tuple[_Chunk, int]] = {}
    results: dict[int, list[SongResult | None]] = {}

    def tasks() -> Iterator[tuple[int, Song]]:
        for chunk in todo:
            results[chunk.index] = [None] * len(chunk.songs)
            for place, song in enumerate(chunk.songs):
                number = len(where)
                where[number] = (chunk, place)
                yield number, song

    with _Workers(n_processes, settings) as workers:
        for number, result in workers.run(tasks()):
            chunk, place = where[number]
            results[chunk.index][place] = result
            if all(entry is not None for entry in results[chunk.index]):
                _write_part(chunk, [entry for entry in results.pop(chunk.index) if entry is not None], folder)
            done += 1
            if progress:
                progress(done, total)


def _write_part(chunk: _Chunk, results: Sequence[SongResult], folder: _Folder) -> None:
    """Rows as Parquet, then the rest as JSON: a part is done when its JSON is there."""
    rows = []
    for song, result in zip(chunk.songs, results, strict=True):
        columns = _song_columns(song)
        rows += [columns | row for row in result.rows]
    path = folder.parts / f"{chunk.name}.parquet"
    temporary = path.with_name(path.name + ".tmp")
    write_shard(rows, temporary)
    temporary.replace(path)
    record = [
        {"hash": r.note_hash, "sketch": r.sketch, "rejects": r.rejects, "windows": len(r.rows)} for r in results
    ]  # fmt: skip
    _write(folder.parts / f"{chunk.name}.json", json.dumps(record).encode())


def _song_columns(song: Song) -> dict[str, Any]:
    key = None
    if song.key_path is not None:
        with contextlib.suppress(MuseError):
            key = read_key(song.key_path)
    return {
        "corpus": song.corpus, "song": song.song_id, "title": song.title, "composer": song.composer,
        "source": song.source, "genre": song.genre or "other", "quadrant": song.quadrant, "valence": song.valence,
        "arousal": song.arousal, "label_kind": song.label_kind, "licence": song.licence,
        "licence_class": song.licence_class, "labelled_tonic": key[0] if key else -1, "labelled_mode": key[1] if key else "",
        "split": "",
    }  # fmt: skip


def _finish(chunks: Sequence[_Chunk], folder: _Folder, settings: Settings) -> dict[str, Any]:
    """Duplicates and splits over the whole, then shards, rejects and description."""
    from muse.corpus.read import read_rows

    records: list[dict[str, Any]] = []
    for chunk in chunks:
        records += json.loads((folder.parts / f"{chunk.name}.json").read_text())
    songs = [song for chunk in chunks for song in chunk.songs]
    original = _duplicates(songs, records)
    splits = _splits(songs, records, original)

    digest = _dataset_digest(chunks)
    shards: list[str] = []
    tally = _Tally()
    first = 0
    for chunk in chunks:
        table = read_rows(folder.parts / f"{chunk.name}.parquet")
        numbers = range(first, first + len(chunk.songs))
        first += len(chunk.songs)
        by_name = {(songs[i].corpus, songs[i].song_id): splits[i] for i in numbers if i not in original}
        keep = [(corpus, song) in by_name for corpus, song in zip(table["corpus"], table["song"], strict=True)]
        table = table.select(keep)
        if len(table) == 0:
            continue
        table["split"] = [by_name[corpus, song] for corpus, song in zip(table["corpus"], table["song"], strict=True)]
        name = f"shards/{chunk.index:05d}-{digest[:8]}.parquet"
        temporary = folder.root / f"{name}.tmp"
        table.write(temporary)
        temporary.replace(folder.root / name)
        shards.append(name)
        tally.add(table)

    rejects = _rejects(songs, records, original)
    _write(folder.rejects, _csv(("corpus", "source", "stage", "reason", "windows"), rejects))
    summary = {
        "format": "muse corpus",
        "schema": SCHEMA_VERSION,
        "digest": digest,
        "code": _code_digest(),
        "settings": dataclasses.asdict(settings),
        "tokenizer": _tokenizer_digest(),
        "attribute_names": list(_attribute_names(settings.attributes)[0]),
        "section_attribute_names": list(SECTION_CONTROLS),
        "section_bars": SECTION_BARS,
        "n_songs_read": len(songs),
        **tally.summary(),
        "rejects": _reject_counts(rejects),
        "shards": shards,
    }
    _write(folder.description, (json.dumps(summary, indent=1, ensure_ascii=False) + "\n").encode())
    folder.tidy(shards)
    return summary


@dataclass
class _Tally:
    """Counts of a dataset, shard by shard."""

    windows: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    songs: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    n_windows: int = 0
    n_notes: int = 0
    seconds: float = 0.0

    def add(self, table: Any) -> None:
        lengths = table.lengths("tokens")
        for name in ("corpus", "licence_class", "split", "genre", "quadrant", "grid", "time_signature"):
            for value, length in zip(table[name], lengths, strict=True):
                self.windows[f"{name}={value}"] += 1
                self.tokens[f"{name}={value}"] += int(length)
        for name in ("corpus", "licence_class", "split", "grid"):
            for value, corpus, song in zip(table[name], table["corpus"], table["song"], strict=True):
                self.songs[f"{name}={value}"].add(f"{corpus}/{song}")
        self.n_windows += len(table)
        self.n_notes += int(np.sum(table["note_count"]))
        self.seconds += float(np.sum(table["duration_sec"]))

    def summary(self) -> dict[str, Any]:
        counts: dict[str, dict[str, dict[str, int]]] = {}
        for name in sorted(self.windows):
            column, _, value = name.partition("=")
            entry = {"windows": self.windows[name], "tokens": self.tokens[name]}
            if name in self.songs:
                entry["songs"] = len(self.songs[name])
            counts.setdefault(f"by_{column}", {})[value] = entry
        n_songs = sum(len(names) for name, names in self.songs.items() if name.startswith("corpus="))
        total = {
            "n_songs": n_songs, "n_windows": self.n_windows, "n_notes": self.n_notes, "hours": round(self.seconds / 3600, 3),
            "n_tokens": sum(n for name, n in self.tokens.items() if name.startswith("corpus=")),
        }  # fmt: skip
        return total | counts


def _duplicates(songs: Sequence[Song], records: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    """Index of each song that repeats another's notes -> index of the one that stays."""
    first: dict[str, int] = {}
    found: dict[int, int] = {}
    rank = {name: i for i, name in enumerate(LICENCE_CLASSES)}
    for i in sorted(range(len(songs)), key=lambda i: (rank[songs[i].licence_class], i)):
        note_hash = records[i]["hash"]
        if note_hash and first.setdefault(note_hash, i) != i:
            found[i] = first[note_hash]
    return found


def _splits(songs: Sequence[Song], records: Sequence[Mapping[str, Any]], original: Mapping[int, int]) -> list[str]:
    """Split of every song; groups that are one work fall together."""
    parent = list(range(len(songs)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    def join(i: int, j: int) -> None:
        a, b = sorted((root(i), root(j)))
        parent[b] = a

    seen: dict[str, int] = {}
    for i, song in enumerate(songs):
        names = [f"group {song.corpus}/{song.group}"]
        if work := work_name(song.title, song.composer):
            names.append(f"work {work}")
        for name in names:
            join(i, seen.setdefault(name, i))
    for i, j in original.items():
        join(i, j)
    for i, j in _same_melody([record["sketch"] for record in records]):
        join(i, j)

    members: dict[int, list[int]] = defaultdict(list)
    for i in range(len(songs)):
        members[root(i)].append(i)
    splits = [""] * len(songs)
    for group in members.values():
        given = {songs[i].split for i in group} - {""}
        # What one source holds out, no other may bring back into training.
        held_out = "test" if "test" in given else "val" if "val" in given else ""
        choice = held_out or (
            "train" if given else _hash_split(min(f"{songs[i].corpus}/{songs[i].group}" for i in group))
        )
        for i in group:
            splits[i] = songs[i].split or choice
    return splits


def _hash_split(group: str) -> str:
    share = int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") / 2**64
    for name in SPLITS[1:]:
        if share < FRACTIONS[name]:
            return name
        share -= FRACTIONS[name]
    return "train"


def _same_melody(sketches: Sequence[Sequence[int]]) -> Iterator[tuple[int, int]]:
    """Pairs of songs whose sketches agree in at least :data:`MIN_SHARED` of the smaller one."""
    where: dict[int, list[int]] = defaultdict(list)
    for i, sketch in enumerate(sketches):
        shared: Counter[int] = Counter()
        for value in sketch:
            holders = where[value]
            if len(holders) < 50:  # a figure that fifty songs share (a scale) tells nothing
                shared.update(holders)
                holders.append(i)
        for j, n in sorted(shared.items()):
            if n >= max(4, MIN_SHARED * min(len(sketch), len(sketches[j]))):
                yield j, i


def _rejects(
    songs: Sequence[Song], records: Sequence[Mapping[str, Any]], original: Mapping[int, int]
) -> list[tuple[str, str, str, str, int]]:
    table = []
    for i, (song, record) in enumerate(zip(songs, records, strict=True)):
        for stage, reason, n in record["rejects"]:
            table.append((song.corpus, song.source, stage, reason, n))
        if i in original:
            kept = songs[original[i]]
            reason = f"same notes as {kept.corpus}/{kept.source}"
            table.append((song.corpus, song.source, "duplicate", reason, record["windows"]))
    return table


def _reject_counts(rejects: Sequence[tuple[str, str, str, str, int]]) -> dict[str, dict[str, int]]:
    """Files and windows per stage and reason; reasons that name files or numbers are counted by stage alone."""
    files: Counter[str] = Counter()
    windows: Counter[str] = Counter()
    for _, _, stage, reason, n in rejects:
        name = stage if stage in ("duplicate", "read", "grid", "annotation") else f"{stage}: {reason}"
        files[name] += 1
        windows[name] += n
    return {name: {"files": files[name], "windows": windows[name]} for name in sorted(files)}


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue().encode()


def _tokenizer_digest() -> str:
    """Hash of the vocabulary: shards and weights that agree in it speak the same tokens."""
    return hashlib.sha256("\n".join(Codec.default().vocabulary.tokens).encode()).hexdigest()
