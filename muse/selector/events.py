"""What the selector reads: the notes of a window as events, one row of small integers each.

REMI spells a note in four tokens or more; put together into one event, a window is a quarter as long and attention
sixteen times cheaper (compound words: Hsiao et al., AAAI 2021; OctupleMIDI: Zeng et al., MusicBERT, ACL 2021). Time is
given twice, because emotion lies in seconds and good rhythm in beats: performances without real bars leave the fields
of meter open, and training leaves them open at random, so the same network reads both.

Conventions
-----------
passage
    Up to :data:`WINDOW_BARS` bars (off the grid: :data:`WINDOW_SEC` seconds) of music, as :class:`Passage`.
events
    int16 [n, len(FIELDS)], by onset, then pitch. 0 stands for unknown in every field.
header
    int16 [len(HEADER)]: mode, tempo, meter; 0 unknown.

Contents: :class:`Passage`, :func:`passage`, :func:`passages`, :func:`encode`; :data:`FIELDS`, :data:`HEADER`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from muse.errors import InputError
from muse.score import (
    DRUMS,
    METERS,
    NOTE_DTYPE,
    Notes,
    Score,
    bar_grid,
    beat_to_sec,
    grid_quality,
    mean_tempo_bpm,
    note_array,
    slice_bars,
    tempo_map,
)
from muse.theory import estimate_key
from muse.tokens import Codec
from muse.tokens.vocabulary import STEPS_PER_BEAT

__all__ = ["FIELDS", "HEADER", "MAX_EVENTS", "Passage", "encode", "passage", "passages"]

Ints = NDArray[np.int16]

WINDOW_BARS = 16
WINDOW_SEC = 32.0
MAX_EVENTS = 512
"""Longest sequence; a denser window is read up to here."""
MIN_GRID_QUALITY = 0.4
"""As :class:`muse.dataset.windows.Settings` has it: from here on the bars of a file count as real."""
MIN_NOTES = 4
STAND_IN_BPM = 120.0
"""Tempo of the bars that stand in where there are none: 4/4 of two seconds, as the corpus has them."""

_SECONDS = (0.03, 8.0, 24)
_BEATS = (1 / STEPS_PER_BEAT, 16.0, 22)
_TEMPO = (40.0, 240.0, 24)
_POSITIONS = 72
"""Twelfths of a quarter note in the longest bar (12/8, 6/4)."""

FIELDS: Mapping[str, int] = {
    "degree": 14,  # 1..12 semitones above the tonic, 13 drums
    "pitch": 257,  # 1..128 MIDI pitch, 129..256 drums
    "velocity": 25,
    "duration_sec": _SECONDS[2] + 1,
    "gap_sec": _SECONDS[2] + 2,  # since the event before; 1 = together with it
    "program": 18,  # families of General MIDI, 17 drums
    "position": _POSITIONS + 1,  # in the bar
    "bar_step": 4,  # bars since the event before: none, one, more
    "duration_beat": _BEATS[2] + 1,
    "lead": 16,  # semitones to the nearest note of the onset before: 1 = none, 14 = more than twelve, 15 = no such note
    "echo": 18,  # bars since this note stood at this place in a bar: 1..16, 17 = never before
}
"""Fields of an event and the number of their values, 0 included."""
METRIC = ("position", "bar_step", "duration_beat", "echo")
"""Fields that need real bars."""
HEADER: Mapping[str, int] = {"mode": 3, "tempo": _TEMPO[2] + 1, "meter": len(METERS) + 1}


@dataclass(frozen=True)
class Passage:
    """Music of one window. Beats count from its first bar line, in quarter notes; the tempo is one."""

    notes: Notes
    """By onset, then pitch."""
    tempo_bpm: float
    """Quarter notes a minute."""
    meter: tuple[int, int]
    on_grid: bool
    """Bars are real."""
    start_sec: float = 0.0
    """Where in its piece the window begins."""
    misplaced: NDArray[np.bool_] | None = None
    """Notes that damage has put there, bool [n], where that is known."""

    @property
    def bar_beats(self) -> float:
        """Length of a bar in quarter notes."""
        return 4 * self.meter[0] / self.meter[1]

    def with_notes(self, notes: Notes, misplaced: NDArray[np.bool_] | None = None) -> Passage:
        """The same bars with other notes; seconds follow from beats."""
        step = np.rint(notes["onset_beat"] * 4 * STEPS_PER_BEAT)
        order = np.lexsort((notes["program"], notes["pitch"], step))
        notes = notes[order]
        misplaced = None if misplaced is None else misplaced[order]
        notes["onset_sec"] = notes["onset_beat"] * (60 / self.tempo_bpm)
        notes["duration_sec"] = notes["duration_beat"] * (60 / self.tempo_bpm)
        return replace(self, notes=notes, misplaced=misplaced)

    def off_grid(self) -> Passage:
        """The same music as a performance whose bars are unknown."""
        return replace(self, on_grid=False)


@lru_cache(maxsize=1)
def _tables() -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """MIDI pitch (drums too) and program by id, int16 [V]; -1 elsewhere."""
    v = Codec.default().vocabulary
    program = np.full(len(v), -1, np.int16)
    first, stop = v.program
    program[first:stop] = [v.program_of(i) for i in range(first, stop)]
    return v.sounding_pitch, program


def passage(ids: NDArray[np.integer], *, on_grid: bool = True) -> Passage:
    """Music of REMI ids with one tempo and one meter (a window of the corpus), eight times as fast as MidiTok.

    Raises
    ------
    InputError
        There is no note, tempo or meter in the ids.
    """
    v = Codec.default().vocabulary
    ids = np.asarray(ids, np.int64)
    ids = ids[ids >= v.bar]
    pitches, programs = _tables()
    tempo_first, tempo_stop = v.tempo
    tempos = ids[(ids >= tempo_first) & (ids < tempo_stop)]
    meter_first, meter_stop = v.time_signature
    meters = ids[(ids >= meter_first) & (ids < meter_stop)]
    at = np.flatnonzero(pitches[ids] >= 0)
    at = at[at + 2 < len(ids)]
    if not len(tempos) or not len(meters) or not len(at):
        raise InputError("the ids hold no note with tempo and meter")
    numerator, denominator = (int(part) for part in v.tokens[int(meters[0])].partition("_")[2].split("/"))
    # Stand-in bars last two seconds, whatever tempo token was nearest.
    tempo = float(v.tempo_values[int(tempos[0]) - tempo_first]) if on_grid else STAND_IN_BPM
    step = 4 / denominator / STEPS_PER_BEAT  # quarter notes a step

    first, stop = v.position
    is_bar = ids == v.bar
    is_place = is_bar | ((ids >= first) & (ids < stop))
    place = np.maximum.accumulate(np.where(is_place, np.arange(len(ids)), 0))[at]
    position = np.where(is_bar[place], 0, ids[place] - first)
    bar = np.cumsum(is_bar)[at] - 1
    # A Program token holds until the next one.
    program = np.maximum.accumulate(np.where(programs[ids] >= 0, np.arange(len(ids)), 0))[at]
    length = v.duration_steps[np.clip(ids[at + 2] - v.duration[0], 0, len(v.duration_steps) - 1)]

    notes = np.zeros(len(at), NOTE_DTYPE)
    notes["onset_beat"] = bar * (4 * numerator / denominator) + position * step
    notes["duration_beat"] = length * step
    notes["pitch"] = pitches[ids[at]]
    notes["velocity"] = np.maximum(v.velocity_values[ids[at + 1]], 1)
    notes["program"] = np.maximum(programs[ids[program]], 0)
    return Passage(notes, tempo, (numerator, denominator), on_grid).with_notes(notes)


def passages(score: Score) -> list[Passage]:
    """Windows of a score, one after another; the last is as long as the others where the music allows it.

    Off its own bar grid (a performance) a score is read in seconds alone.

    Raises
    ------
    InputError
        The score has fewer than four notes.
    """
    notes = note_array(score)
    if len(notes) < MIN_NOTES:
        raise InputError(f"the score has {len(notes)} notes; the selector reads {MIN_NOTES} or more")
    if grid_quality(notes["onset_beat"]) >= MIN_GRID_QUALITY:
        found = _windows_on_grid(score)
        if found:
            return found
    onset = notes["onset_sec"] - notes["onset_sec"].min()
    n_windows = max(1, math.ceil((onset.max() - 0.25 * WINDOW_SEC) / WINDOW_SEC))
    length = min(WINDOW_SEC, float(onset.max()) + 1e-3)
    found = []
    for start in np.linspace(0, max(float(onset.max()) - length, 0.0), n_windows).tolist():
        inside = (onset >= start - 1e-6) & (onset <= start + length)
        part = notes[inside].copy()
        if len(part) < MIN_NOTES and n_windows > 1:
            continue
        part["onset_beat"] = np.maximum(onset[inside] - start, 0) * STAND_IN_BPM / 60
        part["duration_beat"] = part["duration_sec"] * STAND_IN_BPM / 60
        moment = start + float(notes["onset_sec"].min())
        found.append(Passage(part, STAND_IN_BPM, (4, 4), False, moment).with_notes(part))
    return found


def _windows_on_grid(score: Score) -> list[Passage]:
    """Windows of whole bars; empty where none has notes enough."""
    grid = bar_grid(score)
    filled = np.flatnonzero(np.bincount(grid.bar_of(note_array(score)["onset_beat"]), minlength=grid.n_bars))
    first, stop = int(filled[0]), int(filled[-1]) + 1
    n_windows = max(1, math.ceil((stop - first - WINDOW_BARS // 4) / WINDOW_BARS))
    starts = np.linspace(first, max(stop - WINDOW_BARS, first), n_windows).round().astype(int)
    tempos = tempo_map(score)
    found = []
    for start in starts.tolist():
        piece = slice_bars(score, start, min(start + WINDOW_BARS, stop), grid=grid)
        notes = note_array(piece)
        if len(notes) < MIN_NOTES:
            continue
        meter = (int(grid.numerator[start]), int(grid.denominator[start]))
        moment = float(beat_to_sec(tempos, grid.start_beat[start]))
        found.append(Passage(notes, mean_tempo_bpm(piece), meter, True, moment).with_notes(notes))
    return found


def encode(music: Passage) -> tuple[Ints, Ints]:
    """Events int16 [n <= MAX_EVENTS, len(FIELDS)] and header int16 [len(HEADER)] of a passage.

    The key is estimated from the notes, so degrees are what a listener without the score would hear.
    """
    notes = music.notes[:MAX_EVENTS]
    key = estimate_key(music.notes)
    drums = notes["program"] == DRUMS
    pitch = notes["pitch"].astype(np.int64)
    onset_step = np.rint(notes["onset_beat"] * STEPS_PER_BEAT).astype(np.int64)
    bar_steps = round(music.bar_beats * STEPS_PER_BEAT)
    bar = onset_step // bar_steps
    columns = {
        "degree": np.where(drums, 13, (pitch - key.tonic) % 12 + 1 if key else 0),
        "pitch": pitch + 1 + 128 * drums,
        "velocity": np.clip(notes["velocity"].astype(np.int64) * 24 // 128, 0, 23) + 1,
        "duration_sec": _bin(notes["duration_sec"], *_SECONDS),
        "gap_sec": _gap(notes["onset_sec"]),
        "program": np.where(drums, 17, notes["program"].astype(np.int64) // 8 + 1),
        "position": np.minimum(onset_step % bar_steps, _POSITIONS - 1) + 1,
        "bar_step": np.clip(np.diff(bar, prepend=bar[:1]), 0, 2) + 1,
        "duration_beat": _bin(notes["duration_beat"], *_BEATS),
        "lead": _lead(onset_step, pitch + 128 * drums),
        "echo": _echo(bar, onset_step % bar_steps, pitch + 128 * drums, notes["program"].astype(np.int64)),
    }
    events = np.stack([columns[name] for name in FIELDS], axis=1).astype(np.int16)
    mode = (1 if key.mode == "major" else 2) if key else 0
    header = np.array([mode, 0, 0], np.int16)
    if music.on_grid:
        header[1] = _bin(np.array([music.tempo_bpm]), *_TEMPO)[0]
        header[2] = METERS.index(music.meter) + 1 if music.meter in METERS else 0
    else:
        events[:, [list(FIELDS).index(name) for name in METRIC]] = 0
    return events, header


def _bin(values: NDArray[np.floating], low: float, high: float, n_bins: int) -> NDArray[np.int64]:
    """Number 1..n_bins of the logarithmic bin of each value."""
    place = np.log(np.maximum(values, 1e-6) / low) / math.log(high / low)
    return np.clip(np.floor(place * n_bins).astype(np.int64), 0, n_bins - 1) + 1


def _gap(onset_sec: NDArray[np.float64]) -> NDArray[np.int64]:
    """Time since the event before as 1 (together with it) or 2.. (bins of seconds)."""
    gap = np.diff(onset_sec, prepend=onset_sec[:1])
    return np.where(gap < _SECONDS[0], 1, _bin(gap, *_SECONDS) + 1)


def _lead(onset_step: NDArray[np.int64], pitch: NDArray[np.int64]) -> NDArray[np.int64]:
    """Voice leading: semitones to the nearest note of the onset before, plus 1; by onset, then pitch."""
    group = np.cumsum(np.diff(onset_step, prepend=onset_step[:1]) != 0)
    place = 1024 * group + pitch  # ascending
    wanted = place - 1024
    at = np.searchsorted(place, wanted)
    distance = np.full(len(pitch), 14)
    for near in (np.maximum(at - 1, 0), np.minimum(at, len(place) - 1)):
        apart = np.abs(place[near] - wanted)
        distance = np.where(group[near] == group - 1, np.minimum(distance, np.minimum(apart, 13)), distance)
    return distance + 1


def _echo(
    bar: NDArray[np.int64], position: NDArray[np.int64], pitch: NDArray[np.int64], program: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Bars since the same note stood at the same place in a bar, 1..16; 17 where it never did."""
    name = (program * 512 + pitch) * 512 + position
    order = np.lexsort((bar, name))
    gap = np.diff(bar[order], prepend=-1)
    again = np.diff(name[order], prepend=-1) == 0
    # A note that is doubled in its bar echoes what the first of the two does.
    doubled = again & (gap == 0)
    found = np.where(again & (gap > 0), np.minimum(gap, 16), 17)
    first = np.maximum.accumulate(np.where(doubled, 0, np.arange(len(found))))
    echo = np.empty(len(found), np.int64)
    echo[order] = found[first]
    return echo
