"""One song: from a MIDI file to windows with tokens and attributes.

Read and clean; find the grid that the notes lie on; cut windows of 16 bars; encode each; decode it again and measure
attributes on *that* music, so that what a row says is true of its tokens.

Conventions
-----------
row
    One window, as a dictionary. Columns: :data:`muse.dataset.read.COLUMNS`.
grid
    Where the bars of a song come from: ``"annotated"`` beats, its ``"own"`` bar lines, ``"tracked"`` beats, or
    ``"none"``. Songs without a grid are cut and spelt as if they had bars of :data:`OFF_GRID_BAR_SEC`: their tokens
    tell when notes sound (to 42 ms), not where in a bar; attributes that need beats or bars are NaN.
none
    NaN, empty strings and -1 stand for what is unknown.

Contents: :func:`process_song`, :class:`Settings`, :class:`SongResult`, :func:`attribute_names`.
"""

from __future__ import annotations

import functools
import hashlib
import heapq
import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from muse.attributes import ATTRIBUTES, extract
from muse.corpora import BeatTimes, Song, read_beats, read_chords, read_curve
from muse.errors import InputError, MuseError
from muse.score import (
    DRUMS,
    BarGrid,
    Notes,
    Score,
    align_to_beats,
    bar_grid,
    beat_to_sec,
    grid_quality,
    guess_downbeats,
    mean_tempo_bpm,
    note_array,
    quantize,
    read_score,
    slice_bars,
    tempo_map,
    track_beats,
)
from muse.theory import estimate_key
from muse.tokens import SECTION_BARS, SECTION_CONTROLS, SONG_CONTROLS, Codec
from muse.tokens.vocabulary import STEPS_PER_BEAT

__all__ = ["Settings", "SongResult", "attribute_names", "process_song"]

OFF_GRID_BAR_SEC = 2.0
"""Length of the bars that stand in where a song has none: 4/4 at 120 BPM."""

MAX_SKETCH = 48
"""Hashes kept per song to recognise other versions of its melody."""


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
    """:func:`muse.score.grid_quality` from which a song's own or annotated bars count as real. Real corpora lie either
    near 0 (performances) or above 0.7 (scores); drummers who play to a click lie between."""
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


# ------------------------------------------------------------------------------------------------------------- one song


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
    score, grid_kind, quality = find_grid(score, notes, song, settings, rejects)
    on_grid = grid_kind != "none"
    if not on_grid:
        rejects.append(("grid", f"no bar grid (best fit {quality:.1f}); kept with stand-in bars", 0))

    start_sec = float(notes["onset_sec"].min()) - float(note_array(score)["onset_sec"].min())
    total_sec = float((notes["onset_sec"] + notes["duration_sec"]).max())
    rows: list[dict[str, Any]] = []
    counts: Counter[tuple[str, str]] = Counter()
    # Before cutting, so that a note played a little early falls into the bar that it belongs to.
    played, score = score, quantize(score, _steps_per_beat(bar_grid(score)))
    grid = bar_grid(score)
    tempos = tempo_map(score)
    spans, n_short = _windows(score, grid, settings)
    if n_short:
        counts["window", f"fewer than {settings.min_bars} bars in one meter"] += n_short
    sounding = _sounding_bars(score, grid)
    chords = _chords(song, rejects)
    todo = [(first, stop) for first, stop in reversed(spans)]
    while todo:
        first, stop = todo.pop()
        try:
            row = _window_row(score, grid, first, stop, settings, None if on_grid else played)
        except _TooLongError as error:
            half = settings.window_bars // 2
            if stop - first <= half:
                counts["window", str(error)] += 1
            else:
                todo += [(b, min(b + half, stop)) for b in reversed(range(first, stop - SECTION_BARS + 1, half))]
            continue
        except MuseError as error:
            counts["window", str(error).partition(" (")[0]] += 1
            continue
        moment = start_sec + row.pop("start_sec")
        quarters = np.arange(grid.start_beat[first], grid.start_beat[stop] - 1e-6) + 0.5
        row |= {
            "labelled_chords": _chords_at(chords, start_sec + beat_to_sec(tempos, quarters)) if on_grid else [],
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
        rejects.append(("window", f"fewer than {settings.min_bars} bars in one meter", 0))
    return SongResult(rows, rejects, note_hash, sketch)


def find_grid(
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
    if song.to_click or own >= settings.min_grid_quality:
        if np.median(bar_grid(score).numerator) > 1:
            return score, "own", own
        # Bars of one beat say that the beats are right and the meter is unknown.
        beat_sec, confidence = beat_to_sec(tempo_map(score), np.arange(math.ceil(notes["onset_beat"].max()) + 2)), 1.0
    else:
        beat_sec, confidence = track_beats(notes["onset_sec"], notes["velocity"].astype(np.float64))
    if confidence >= settings.min_beat_confidence:
        aligned = _aligned(score, BeatTimes(beat_sec, guess_downbeats(notes, beat_sec), np.ones(len(beat_sec))))
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


# -------------------------------------------------------------------------------------------------------------- windows


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
    score: Score, grid: BarGrid, first: int, stop: int, settings: Settings, played: Score | None
) -> dict[str, Any]:
    """Tokens, attributes and measures of one window; where bars are stand-ins, attributes are measured as *played*.

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

    codec = Codec.default()
    # The codec gives a window one tempo: the mean weighted by time.
    tokens = codec.encode_score(piece, n_bars)
    if len(tokens) > settings.max_tokens:
        raise _TooLongError(f"more than {settings.max_tokens} tokens in {settings.window_bars // 2} bars or less")
    on_grid = played is None
    piece = codec.decode(tokens) if played is None else slice_bars(played, first, stop, grid=grid)
    notes = note_array(piece)
    names, needy = attribute_names(settings.attributes)
    values = _measured(piece, names, 1, None)[0]
    sections = _measured(piece, SECTION_CONTROLS, n_bars // SECTION_BARS, SECTION_BARS)
    if not on_grid:
        values[needy] = np.nan
        sections[:, attribute_names("sections")[1]] = np.nan
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
def attribute_names(which: str) -> tuple[tuple[str, ...], NDArray[np.bool_]]:
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


def _chords(song: Song, rejects: list[tuple[str, str, int]]) -> list[tuple[float, float, str]]:
    """Annotated chords of a song; none when there are none, or none that can be read."""
    if song.chords_path is None:
        return []
    try:
        return sorted(read_chords(song.chords_path))
    except MuseError as error:
        rejects.append(("annotation", str(error), 0))
        return []


def _chords_at(chords: Sequence[tuple[float, float, str]], moment_sec: NDArray[np.float64]) -> list[str]:
    """Chord symbol at each moment, ``N`` where no chord is; empty without annotation."""
    if not chords:
        return []
    starts = np.array([start for start, _, _ in chords])
    found = np.searchsorted(starts, moment_sec, side="right") - 1
    return [
        chords[i][2] if i >= 0 and moment < chords[i][1] else "N"
        for i, moment in zip(found.tolist(), moment_sec.tolist(), strict=True)
    ]


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
    """Hash of onset, pitch and length of all notes in twelfths of a beat; the same in every key and tempo."""
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
