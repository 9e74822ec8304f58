"""Originality: the longest run of notes that a piece has in common with the music that a generator learnt from.

Conventions
-----------
voice
    All notes of one program, by onset, then pitch; a note that doubles another is dropped. So another accompaniment
    does not hide a copied tune, unless one instrument plays both: for that there is the line ``"top"``.
line
    ``"voices"``: every note of each voice. ``"top"``: of each voice, the highest note of each onset (the skyline of
    Uitdenbogerd & Zobel, *Manipulation of Music for Melody Matching*, ACM Multimedia 1998, taken voice by voice), and
    not what is played under a held note: notes for half of whose length or more an earlier, higher one still sounds.
step
    From a note of a line to the next: semitones, and the time between the two onsets. So key, tempo and loudness do
    not matter. Nor does length: it is how a tune is played, not what it is, and a copy with shorter notes is a copy.
time
    Whole 24ths of a quarter note, rounded on the grid on which the corpus is spelt (twelfths of the beat, which is an
    eighth in x/8 meters). Performances that ignore their bars are no input, and none is in the index.
run
    Successive notes of one line within one window of the corpus: n notes are n - 1 steps. None crosses voices, windows
    or songs, so no copy is longer than a window (16 bars by default).
drums
    Left out: a beat is not transposed, and there are few of them, which belong to everybody.
yardstick
    Repeated notes, scales and broken chords stand in much music. A run says something beside the runs that held-out
    music by people shares with the same corpus, and beside :attr:`Copy.n_songs`.

The index is a suffix array of all steps, see :mod:`muse.evaluate.metrics.suffix_array`.

Contents: :class:`CopyIndex`, :class:`Copy`, :func:`copies`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from muse.checkpoint import load_tensors, save_tensors
from muse.dataset.read import Corpus
from muse.errors import InputError
from muse.evaluate.metrics.suffix_array import END, Ints, SuffixArray, Symbols
from muse.files import read_json, write_json
from muse.score import DRUMS, Notes, Score, bar_grid, note_array
from muse.selector.events import Passage, passage
from muse.statistics import bootstrap
from muse.tokens.vocabulary import STEPS_PER_BEAT

__all__ = ["LINES", "Copy", "CopyIndex", "copies"]

Line: TypeAlias = Literal["voices", "top"]

LINES: tuple[Line, ...] = ("voices", "top")
VERSION = 1
"""Of the stored form and of what a step is."""
TIME_UNITS = 2 * STEPS_PER_BEAT
"""Units of time in a quarter note."""


@dataclass(frozen=True)
class Copy:
    """A run of a piece that the corpus has too, and where it stands there first. Without one, all is 0 or empty."""

    n_notes: int = 0
    """At least 2 where there is a run."""
    start_beat: float = 0.0
    """Onset of the first note in the piece, quarter notes."""
    beats: float = 0.0
    """From the first to the last onset, quarter notes."""
    bars: float = 0.0
    """The same in bars of the piece."""
    program: int = 0
    """Of the voice in the piece."""
    corpus: str = ""
    song: str = ""
    bar: int = 0
    """Bar of the song in which the run begins, from 0."""
    n_songs: int = 0
    """Songs that have the run. Many: a figure that belongs to everybody. One says something of long runs alone."""


@dataclass(frozen=True)
class _Piece:
    """Pitched notes of a piece."""

    voice: Ints
    onset: Ints
    """In :data:`TIME_UNITS`."""
    end: Ints
    pitch: Ints
    bar_start: NDArray[np.float64]
    """Quarter notes, and the end of the last bar."""

    @classmethod
    def of(cls, piece: Score | Passage) -> _Piece:
        """The pitched notes of a score, or of a window as the corpus has it."""
        if isinstance(piece, Passage):
            notes, fine = piece.notes, np.full(len(piece.notes), piece.meter[1] >= 8)
            n_bars = int(notes["onset_beat"].max(initial=0) // piece.bar_beats) + 1
            bar_start = np.arange(n_bars + 1.0) * piece.bar_beats
        else:
            notes, bars = note_array(piece), bar_grid(piece)
            fine = bars.denominator[bars.bar_of(notes["onset_beat"])] >= 8
            bar_start = bars.start_beat
        pitched = notes["program"] != DRUMS
        notes, fine = notes[pitched], fine[pitched]
        onset, end = _times(notes, fine)
        return cls(notes["program"].astype(np.int64), onset, end, notes["pitch"].astype(np.int64), bar_start)

    def line(self, line: Line) -> _Run:
        return _spell(self.voice, self.onset, self.end, self.pitch, line)


@dataclass(frozen=True)
class _Run:
    """The notes of a line as symbols: each tells the step to the next note, the last of a voice :data:`END`."""

    symbols: Symbols
    voice: Ints
    onset: Ints


def _times(notes: Notes, fine: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Onset and end in :data:`TIME_UNITS`; on twelfths of a quarter, where `fine` of an eighth. Halves go up."""
    coarse = np.where(fine, 1, 2)

    def units(beat: NDArray[np.float64]) -> Ints:
        return (np.floor(beat * (TIME_UNITS / coarse) + 0.5) * coarse).astype(np.int64)

    onset = units(notes["onset_beat"])
    return onset, onset + np.maximum(units(notes["duration_beat"]), coarse)


def _spell(voice: Ints, onset: Ints, end: Ints, pitch: Ints, line: Line) -> _Run:
    """Notes in any order as the symbols of a line."""
    order = np.lexsort((-end, pitch, onset, voice))  # of doubled notes the longest comes first
    voice, onset, end, pitch = voice[order], onset[order], end[order], pitch[order]
    keep = np.ones(len(order), bool)
    keep[1:] = (np.diff(voice) != 0) | (np.diff(onset) != 0) | (np.diff(pitch) != 0)
    voice, onset, end, pitch = voice[keep], onset[keep], end[keep], pitch[keep]
    if line == "top":
        top = _is_top(voice, onset, end, pitch)
        voice, onset, pitch = voice[top], onset[top], pitch[top]
    symbols = np.full(len(voice), END, np.int32)
    symbols[:-1] = np.where(np.diff(voice) == 0, np.diff(onset) * 256 + np.diff(pitch) + 128, END)
    return _Run(symbols, voice, onset)


def _is_top(voice: Ints, onset: Ints, end: Ints, pitch: Ints) -> NDArray[np.bool_]:
    """Whether each note is of the top line of its voice; notes by voice, onset, pitch, none doubled."""
    apart = voice * int(end.max(initial=0) + 1)  # one voice after another on one axis of time
    onset, end = onset + apart, end + apart
    top = np.ones(len(onset), bool)
    top[:-1] = np.diff(onset) != 0
    ends, latest = np.zeros_like(end), np.zeros_like(end)  # of the notes above a pitch
    for p in np.unique(pitch)[::-1]:
        mine = pitch == p
        top[mine] &= 2 * (latest[mine] - onset[mine]) < end[mine] - onset[mine]
        ends[mine] = end[mine]
        latest = np.maximum.accumulate(ends)  # of those that began before
    return top


@dataclass(frozen=True)
class CopyIndex:
    """All runs of notes in one split of a dataset; see :meth:`build` and :meth:`cached`."""

    dataset: str
    """Digest of the dataset."""
    split: str
    songs: tuple[tuple[str, str], ...]
    """(corpus, id) of each song."""
    lines: Mapping[Line, SuffixArray]
    window_song: Symbols
    """int32 [n_windows]: index into :attr:`songs`."""
    window_bar: Symbols
    """int32 [n_windows]: first bar of the window in its song."""
    window_bar_units: Symbols
    """int32 [n_windows]: length of its bars in :data:`TIME_UNITS`."""

    @classmethod
    def build(cls, corpus: Corpus, split: str = "train") -> CopyIndex:
        """Read all windows of a split that lie on a grid.

        Raises
        ------
        InputError
            There is none.
        """
        songs: dict[tuple[str, str], int] = {}
        windows: list[tuple[int, int, int]] = []
        spelt: dict[Line, list[tuple[Symbols, Symbols, Symbols]]] = {line: [] for line in LINES}
        columns = ["corpus", "song", "first_bar", "tokens"]
        for batch in corpus.batches(columns, split=split, on_grid=True):
            music: list[Passage] = []
            numbers: list[Ints] = []
            for name, song, first_bar, ids in zip(*(batch[column] for column in columns), strict=True):
                music.append(passage(ids))
                numbers.append(np.full(len(music[-1].notes), len(windows)))
                bar_units = round(music[-1].bar_beats * TIME_UNITS)
                windows.append((songs.setdefault((str(name), str(song)), len(songs)), int(first_bar), bar_units))
            notes = np.concatenate([window.notes for window in music])
            pitched = notes["program"] != DRUMS
            notes, number = notes[pitched], np.concatenate(numbers)[pitched]
            onset, end = _times(notes, np.ones(len(notes), bool))  # on the grid already
            voice, pitch = number * (DRUMS + 1) + notes["program"], notes["pitch"].astype(np.int64)
            for line in LINES:
                run = _spell(voice, onset, end, pitch, line)
                first = np.append(True, run.symbols[:-1] == END)[: len(run.symbols)]
                window = run.voice[first] // (DRUMS + 1)
                spelt[line].append((run.symbols, window.astype(np.int32), run.onset[first].astype(np.int32)))
        if not windows:
            raise InputError(f"{corpus.folder} has no {split} window on a grid: choose another split or dataset")
        lines = {}
        for line in LINES:
            lines[line] = SuffixArray.of(*(np.concatenate(parts) for parts in zip(*spelt.pop(line), strict=True)))
        song, bar, units = np.array(windows, np.int32).T
        return cls(str(corpus.info["digest"]), split, tuple(songs), lines, song, bar, units)

    def save(self, folder: str | Path) -> None:
        """Write ``index.json`` and safetensors."""
        folder = Path(folder)
        tensors = {f"{line}.{name}": array for line in LINES for name, array in vars(self.lines[line]).items()}
        tensors |= {name: array for name, array in vars(self).items() if name.startswith("window_")}
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "index.json").unlink(missing_ok=True)  # no old description may stand beside new arrays
        save_tensors(tensors, folder)
        about = {"format": "muse copy index", "version": VERSION, "dataset": self.dataset, "split": self.split}
        write_json({**about, "songs": self.songs}, folder / "index.json")

    @classmethod
    def load(cls, folder: str | Path, corpus: Corpus | None = None, split: str = "train") -> CopyIndex:
        """Read what :meth:`save` wrote.

        Parameters
        ----------
        corpus, split
            What the index must be of; without a corpus, any will do.

        Raises
        ------
        InputError
            There is no index, it is damaged, of another version, dataset or split.
        """
        path = Path(folder) / "index.json"
        about = read_json(path)
        if not isinstance(about, dict) or about.get("format") != "muse copy index" or about.get("version") != VERSION:
            raise InputError(f"{path} is no copy index of this version: build it again")
        if corpus is not None and (about["dataset"], about["split"]) != (corpus.info["digest"], split):
            raise InputError(
                f"{path} is stale: it is not of the {split} split of {corpus.folder} as it is now; build it again"
            )
        tensors = load_tensors(folder, "np")
        try:
            lines = {
                line: SuffixArray(**{n: tensors[f"{line}.{n}"] for n in SuffixArray.__dataclass_fields__})
                for line in LINES
            }
            windows = {name: tensors[name] for name in cls.__dataclass_fields__ if name.startswith("window_")}
        except KeyError as error:
            raise InputError(f"{folder} lacks the array {error}: build the index again") from None
        songs = tuple((str(name), str(song)) for name, song in about["songs"])
        return cls(about["dataset"], about["split"], songs, lines, **windows)

    @classmethod
    def cached(cls, corpus: Corpus, split: str = "train", folder: str | Path | None = None) -> CopyIndex:
        """The index in a folder where it is of this very dataset; else it is built and written there.

        Parameters
        ----------
        folder
            Default: ``copies-<split>`` in the dataset's folder.
        """
        folder = corpus.folder / f"copies-{split}" if folder is None else Path(folder)
        try:
            return cls.load(folder, corpus, split)
        except InputError:
            index = cls.build(corpus, split)
            index.save(folder)
            return index

    def longest(self, piece: Score | Passage, line: Line = "voices") -> Copy:
        """The longest run of a piece that stands in the corpus, by notes; of several the first.

        Parameters
        ----------
        piece
            A score whose bars are real, or a window as the corpus has it.
        line
            ``"voices"`` or ``"top"``.
        """
        music = _Piece.of(piece)
        run = music.line(line)
        return self._copy(music, run, self.lines[line].shared(run.symbols), line)

    def share(self, piece: Score | Passage, n: int = 7, line: Line = "voices") -> float:
        """Share of the runs of `n` notes of a piece that stand in the corpus, 0..1; NaN where it has none.

        Raises
        ------
        InputError
            `n` is less than 2.
        """
        run = _Piece.of(piece).line(line)
        found, n_runs = _count(run, self.lines[line].shared(run.symbols), n)
        return found / n_runs if n_runs else float("nan")

    def _copy(self, music: _Piece, run: _Run, shared: Ints, line: Line) -> Copy:
        if not shared.any():
            return Copy()
        first = int(shared.argmax())
        last = first + int(shared[first])
        array = self.lines[line]
        places = array.places(run.symbols[first:last])
        voices = np.searchsorted(array.voice_start, places, side="right") - 1
        window = array.voice_window[voices]
        # The steps up to the run tell when it begins.
        steps = array.symbols[array.voice_start[voices[0]] : places[0]]
        onset = int(array.voice_onset[voices[0]]) + int((steps >> 8).sum())
        corpus, song = self.songs[self.window_song[window[0]]]
        beats = run.onset[[first, last]] / TIME_UNITS
        bars = np.interp(beats, music.bar_start, np.arange(len(music.bar_start)))
        return Copy(
            n_notes=last - first + 1,
            start_beat=float(beats[0]),
            beats=float(beats[1] - beats[0]),
            bars=float(bars[1] - bars[0]),
            program=int(run.voice[first]),
            corpus=corpus,
            song=song,
            bar=int(self.window_bar[window[0]]) + onset // int(self.window_bar_units[window[0]]),
            n_songs=len(np.unique(self.window_song[window])),
        )


def _count(run: _Run, shared: Ints, n: int) -> tuple[int, int]:
    """How many of the runs of `n` notes are in the corpus, and how many there are."""
    if n < 2:
        raise InputError(f"a run of n={n} notes has no step: n is at least 2")
    # Steps that are left in the voice, from each note on.
    ends = np.flatnonzero(run.symbols == END)
    left = ends[np.searchsorted(ends, np.arange(len(run.symbols)))] - np.arange(len(run.symbols))
    return int((shared >= n - 1).sum()), int((left >= n - 1).sum())


def copies(
    index: CopyIndex, pieces: Sequence[Score | Passage], *, n: int = 7, groups: ArrayLike | None = None
) -> dict[str, Any]:
    """Longest runs and shared runs of `n` notes of many pieces, with 95 % intervals by bootstrap over pieces.

    Parameters
    ----------
    n
        Notes of the runs that are counted.
    groups
        Pieces that are drawn together, such as windows of one song [n_pieces].

    Returns
    -------
    dict
        Per line (``"voices"``, ``"top"``): ``n_pieces``; ``notes`` and ``beats`` of the longest run of each piece, as
        ``median``, ``interval`` of the median, and ``max``; ``share`` of the runs of `n` notes of all pieces that stand
        in the corpus, as ``n``, ``value``, ``interval``; ``longest``, the longest run of all as :class:`Copy`'s fields
        and the number of its ``piece``. NaN where undefined.

    Raises
    ------
    InputError
        There is no piece, or `n` is less than 2.
    """
    if not len(pieces):
        raise InputError("there are no pieces to look for copies in: give at least one")
    read = [_Piece.of(piece) for piece in pieces]
    result: dict[str, Any] = {"n_pieces": len(read)}
    for line in LINES:
        found, counts = [], []
        for music in read:
            run = music.line(line)
            shared = index.lines[line].shared(run.symbols)
            found.append(index._copy(music, run, shared, line))
            counts.append(_count(run, shared, n))
        notes, beats = np.array([copy.n_notes for copy in found]), np.array([copy.beats for copy in found])
        worst = int(notes.argmax())
        rows = np.array(counts, dtype=float)
        result[line] = {
            "notes": _spread(notes, groups),
            "beats": _spread(beats, groups),
            "share": {"n": n, "value": _pooled(rows), "interval": list(bootstrap(rows, _pooled, groups=groups))},
            "longest": {"piece": worst, **asdict(found[worst])},
        }
    return result


def _spread(values: NDArray[Any], groups: ArrayLike | None) -> dict[str, Any]:
    interval = bootstrap(values, lambda rows: float(np.median(rows)), groups=groups)
    return {"median": float(np.median(values)), "interval": list(interval), "max": values.max().item()}


def _pooled(rows: NDArray[Any]) -> float:
    """Of all runs, those found; [n_pieces, 2]."""
    found, n_runs = rows.sum(axis=0)
    return float(found / n_runs) if n_runs else float("nan")
