"""What stands on the page: a score's notes as bars, staves, voices and written values, with ties, tuplets and beams.

Conventions
-----------
division
    1/24 of a quarter note, :data:`DIVISIONS`; a sixteenth has 6, an eighth of a triplet 8.
grid
    Each beat of a part is straight (sixteenths) or a triplet, whichever its onsets are nearer to; compound meters are
    straight.
staff
    Keyboards and harps that reach both sides of C4 have two, the others one.
voice
    Chords that follow one another; a note that overlaps them gets another voice, :data:`MAX_VOICES` a staff. Every
    note of the score is in one voice, from its onset.
length
    As played, to the grid; small gaps before the next onset are closed and small overlaps taken away, as writers do.

Contents: :class:`WrittenPart`, :class:`Symbol`, :func:`written_parts`, :func:`written_voice`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

import numpy as np
from numpy.typing import NDArray

from muse.score import DRUMS, BarGrid, Notes, Score, bar_grid, note_array
from muse.theory import instruments

__all__ = ["DIVISIONS", "Symbol", "WrittenPart", "written_parts", "written_voice"]

DIVISIONS: Final = 24
"""Of a quarter note."""
MAX_VOICES: Final = 4
STRAIGHT, TRIPLET = 6, 8
PLAIN_VALUES: Final = {
    192: ("breve", 0), 144: ("whole", 1), 96: ("whole", 0), 72: ("half", 1), 48: ("half", 0), 36: ("quarter", 1),
    24: ("quarter", 0), 18: ("eighth", 1), 12: ("eighth", 0), 6: ("16th", 0), 3: ("32nd", 0), 1: ("128th", 0),
}  # fmt: skip
"""Divisions -> name and dots, the longest first."""
TRIPLET_VALUES: Final = {16: ("quarter", 0), 8: ("eighth", 0)}
_N_BEAMS: Final = {"eighth": 1, "16th": 2, "32nd": 3, "128th": 5}
_SMALL_GAP: Final = 6
_TWO_STAVES: Final = ("piano", "organ")
_HARP, _CELESTA = 46, 8
_MIDDLE_C, _NEAR_MIDDLE = 60, range(55, 66)


@dataclass
class Symbol:
    """One note, chord or rest on the page."""

    start: int
    """Division in its bar."""
    length: int
    value: str
    """``"quarter"``, ``"eighth"`` and so on."""
    dots: int
    notes: tuple[int, ...] = ()
    """Indices into the part's notes, from low to high; none for a rest."""
    triplet: bool = False
    tied_from: bool = False
    tied_to: bool = False
    beams: tuple[str, ...] = ()
    """State of each beam, the outermost first: ``"begin"``, ``"continue"``, ``"end"``, ``"forward hook"`` ..."""
    tuplet: str = ""
    """``"start"`` or ``"stop"`` at the ends of a triplet."""


@dataclass
class WrittenPart:
    """One instrument of the page."""

    program: int
    notes: Notes
    n_staves: int
    name: str | None = None
    """Printed at the left; None: the instrument's."""
    bars: list[dict[tuple[int, int], list[Symbol]]] = field(default_factory=list)
    """For each bar: (staff, voice), both from 0 -> symbols from its start to its end. A voice without notes is left
    out; a staff without notes has one voice of rests."""


@dataclass
class _Chord:
    start: int
    end: int
    notes: list[int]


def written_parts(score: Score) -> tuple[list[WrittenPart], BarGrid]:
    """Lay out every part of a score.

    Parameters
    ----------
    score
        Any score; tracks without notes give no part.

    Returns
    -------
    tuple
        Parts in the order of the tracks, and the bars in which they lie.
    """
    notes, grid = note_array(score), bar_grid(score)
    parts = []
    for track in dict.fromkeys(notes["track"].tolist()):
        own = notes[notes["track"] == track]
        program = int(own["program"][0])
        meter = _Meter(grid)
        start, end = meter.snap(own)
        if program == DRUMS:
            end = _until_next(start, meter)
        staff = _staves(own["pitch"], np.searchsorted(meter.edges, start, side="right") - 1, program)
        part = WrittenPart(program, own, int(staff.max(initial=0)) + 1)
        voices = {
            (number, voice): chords
            for number in range(part.n_staves)
            for voice, chords in enumerate(_voices(own["pitch"], start, end, np.flatnonzero(staff == number)))
        }
        part.bars = [_bar(meter, bar, voices, part.n_staves) for bar in range(grid.n_bars)]
        parts.append(part)
    return sorted(parts, key=lambda part: int(part.notes["track"][0])), grid


def written_voice(notes: Notes, grid: BarGrid, name: str) -> WrittenPart:
    """Lay out one voice exactly as it is: every note from its onset to its end, which lie on sixteenths.

    Parameters
    ----------
    notes
        NOTE_DTYPE [n_notes] of one program by onset, no two of which overlap.
    grid
        The bars, also those in which nothing sounds.
    name
        As :attr:`WrittenPart.name`.
    """
    start = np.rint(notes["onset_beat"] * DIVISIONS).astype(np.int64).tolist()
    end = np.rint((notes["onset_beat"] + notes["duration_beat"]) * DIVISIONS).astype(np.int64).tolist()
    chords = [_Chord(a, b, [i]) for i, (a, b) in enumerate(zip(start, end, strict=True))]
    meter = _Meter(grid)
    part = WrittenPart(int(notes["program"][0]) if len(notes) else 0, notes, 1, name)
    part.bars = [_bar(meter, bar, {(0, 0): chords}, 1) for bar in range(grid.n_bars)]
    return part


class _Meter:
    """Bars and beats of one part in divisions, and which beats are triplets."""

    def __init__(self, grid: BarGrid) -> None:
        self.edges = np.rint(grid.start_beat * DIVISIONS).astype(np.int64)  # [n_bars + 1]
        compound = (grid.denominator >= 8) & (grid.numerator % 3 == 0)
        self.beat = np.where(compound, 36, 24)  # divisions, [n_bars]
        self.triplets: set[tuple[int, int]] = set()
        """(bar, beat)."""

    def _bar(self, place: NDArray[np.float64]) -> NDArray[np.int64]:
        found = np.searchsorted(self.edges, place + 1e-6, side="right") - 1
        return np.clip(found, 0, len(self.edges) - 2)

    def snap(self, notes: Notes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Onset and end of each note on the grid, in divisions from the first bar."""
        onset = notes["onset_beat"].astype(np.float64) * DIVISIONS
        end = onset + notes["duration_beat"] * DIVISIONS
        bar = self._bar(onset)
        inside = onset - self.edges[bar]
        beat = inside // self.beat[bar]
        for key in set(zip(bar.tolist(), beat.astype(int).tolist(), strict=True)):
            if self.beat[key[0]] == 24:
                places = inside[(bar == key[0]) & (beat == key[1])] - 24 * key[1]
                off = [np.abs(places - np.rint(places / step) * step).sum() for step in (STRAIGHT, TRIPLET)]
                if off[1] + 0.5 < off[0]:
                    self.triplets.add(key)
        start = self._on_grid(onset)
        stop = self._on_grid(end)
        return start, np.where(stop > start, stop, self._next(start))

    def _step(self, bar: NDArray[np.int64], beat: NDArray[np.int64]) -> NDArray[np.int64]:
        keys = zip(bar.tolist(), beat.tolist(), strict=True)
        return np.array([TRIPLET if key in self.triplets else STRAIGHT for key in keys], np.int64).reshape(len(bar))

    def _on_grid(self, place: NDArray[np.float64]) -> NDArray[np.int64]:
        bar = self._bar(place)
        inside = place - self.edges[bar]
        beat = (inside // self.beat[bar]).astype(np.int64)
        step = self._step(bar, beat)
        within = inside - beat * self.beat[bar]
        snapped = self.edges[bar] + beat * self.beat[bar] + np.rint(within / step).astype(np.int64) * step
        return np.minimum(snapped, self.edges[bar + 1])

    def _next(self, place: NDArray[np.int64]) -> NDArray[np.int64]:
        """The place on the grid after each place."""
        bar = self._bar(place.astype(np.float64))
        beat = (place - self.edges[bar]) // self.beat[bar]
        return np.maximum(np.minimum(place + self._step(bar, beat), self.edges[bar + 1]), place + 1)

    def next_beat(self, place: int) -> int:
        """Where the beat after a place begins."""
        bar = int(self._bar(np.array([float(place)]))[0])
        beat = int(self.beat[bar])
        inside = place - int(self.edges[bar])
        return min(int(self.edges[bar]) + (inside // beat + 1) * beat, int(self.edges[bar + 1]))


def _until_next(start: NDArray[np.int64], meter: _Meter) -> NDArray[np.int64]:
    """Ends of drum strokes, which have no length of their own: the next stroke or the next beat."""
    places = np.unique(start)
    following = dict(zip(places[:-1].tolist(), places[1:].tolist(), strict=True))
    ends = {at: min(meter.next_beat(at), following.get(at, 1 << 60)) for at in places.tolist()}
    return np.array([ends[at] for at in start.tolist()], dtype=np.int64)


def _staves(pitch: NDArray[np.int64], bar: NDArray[np.int64], program: int) -> NDArray[np.int64]:
    """Staff of each note, 0 above 1: in each bar the hands part where there is the most room near middle C."""
    staff = np.zeros(len(pitch), np.int64)
    if program == DRUMS:
        return staff
    keyboard = instruments()[program].family in _TWO_STAVES or program in (_HARP, _CELESTA)
    if not keyboard or pitch.min() >= _NEAR_MIDDLE[0] or pitch.max() < _MIDDLE_C:
        return staff
    for number in np.unique(bar):
        here = bar == number
        heights = np.sort(pitch[here]).astype(int)

        def room(split: int, heights: NDArray[np.int64] = heights) -> tuple[int, int]:
            below, above = heights[heights < split], heights[heights >= split]
            gap = int(above[0] - below[-1]) if len(below) and len(above) else 12
            return gap, -abs(split - _MIDDLE_C)

        staff[here] = pitch[here] < max(_NEAR_MIDDLE, key=room)
    return staff


def _voices(
    pitch: NDArray[np.int64], start: NDArray[np.int64], end: NDArray[np.int64], chosen: NDArray[np.intp]
) -> list[list[_Chord]]:
    """Share a staff's notes out to voices in which nothing overlaps."""
    onsets = np.unique(start[chosen])
    order = sorted(chosen.tolist(), key=lambda i: (start[i], -end[i], -pitch[i]))
    voices: list[list[_Chord]] = []
    for (onset, stop), group in groupby(order, key=lambda i: (int(start[i]), int(end[i]))):
        following = onsets[np.searchsorted(onsets, stop - _SMALL_GAP, side="right") :]
        # A gap or an overlap of up to a sixteenth before an onset is the player's, not the writer's.
        if len(following) and onset < following[0] <= stop + _SMALL_GAP:
            near = following[following <= stop + _SMALL_GAP]
            stop = int(near[np.abs(near - stop).argmin()])
        rows = list(group)
        for chord in _without_unisons(onset, stop, rows, pitch):
            _place(voices, chord, pitch)
    return voices


def _without_unisons(start: int, end: int, rows: Sequence[int], pitch: NDArray[np.int64]) -> Iterator[_Chord]:
    """Chords that hold each pitch once."""
    left = list(rows)
    while left:
        seen: dict[int, int] = {}
        for i in left:
            seen.setdefault(int(pitch[i]), i)
        yield _Chord(start, end, sorted(seen.values(), key=lambda i: pitch[i]))
        left = [i for i in left if i not in seen.values()]


def _place(voices: list[list[_Chord]], chord: _Chord, pitch: NDArray[np.int64]) -> None:
    """Put a chord into the first voice that is free; where all are taken, into the one that it disturbs least."""
    for voice in voices:
        last = voice[-1]
        same = {int(pitch[i]) for i in last.notes} & {int(pitch[i]) for i in chord.notes}
        if last.start == chord.start and abs(last.end - chord.end) <= _SMALL_GAP and not same:
            last.notes = sorted(last.notes + chord.notes, key=lambda i: pitch[i])
            return
        if last.end <= chord.start:
            voice.append(chord)
            return
    if len(voices) < MAX_VOICES:
        voices.append([chord])
        return
    earlier = [voice for voice in voices if voice[-1].start < chord.start]
    if earlier:
        voice = min(earlier, key=lambda one: one[-1].end)
        voice[-1].end = chord.start
        voice.append(chord)
        return
    together = [
        voice for voice in voices if not {int(pitch[i]) for i in voice[-1].notes} & {int(pitch[i]) for i in chord.notes}
    ]
    if together:
        last = min((voice[-1] for voice in together), key=lambda one: abs(one.end - chord.end))
        last.notes = sorted(last.notes + chord.notes, key=lambda i: pitch[i])
    else:  # the same pitch for the fifth time at once
        voices.append([chord])


def _bar(
    meter: _Meter, bar: int, voices: dict[tuple[int, int], list[_Chord]], n_staves: int
) -> dict[tuple[int, int], list[Symbol]]:
    """The symbols of one bar."""
    left, right = int(meter.edges[bar]), int(meter.edges[bar + 1])
    written = {}
    for key, chords in voices.items():
        symbols: list[Symbol] = []
        place = left
        for chord in chords:
            if chord.end <= left or chord.start >= right:
                continue
            start, end = max(chord.start, left), min(chord.end, right)
            symbols += _values(meter, bar, place - left, start - left)
            values = _values(meter, bar, start - left, end - left, tuple(chord.notes))
            for symbol in values:
                symbol.tied_from = left + symbol.start > chord.start
                symbol.tied_to = left + symbol.start + symbol.length < chord.end
            symbols += values
            place = end
        if not symbols:
            continue
        symbols += _values(meter, bar, place - left, right - left)
        _bracket(symbols, int(meter.beat[bar]))
        _beam(symbols, int(meter.beat[bar]))
        written[key] = symbols
    for staff in range(n_staves):
        if not any(key[0] == staff for key in written):
            written[staff, 0] = _values(meter, bar, 0, right - left)
    return dict(sorted(written.items()))


def _values(meter: _Meter, bar: int, start: int, end: int, notes: tuple[int, ...] = ()) -> list[Symbol]:
    """Written values from a place in the bar to another: none hides a beat that must be seen."""
    beat, found = int(meter.beat[bar]), []
    bar_length = int(meter.edges[bar + 1] - meter.edges[bar])
    while start < end:
        number, inside = divmod(start, beat)
        edge = min((number + 1) * beat, bar_length)
        left = end - start
        triplet = (bar, number) in meter.triplets and not (inside == 0 and left >= edge - start)
        if triplet and min(left, edge - start) in TRIPLET_VALUES:
            length = min(left, edge - start)
            value, dots = TRIPLET_VALUES[length]
        else:
            triplet = False
            syncopated = bool(notes) and beat == 24 and inside == 12 and left >= 24 and start + 24 <= bar_length
            if syncopated and (bar, number + 1) not in meter.triplets:
                most = 24
            else:
                most = left if inside == 0 else min(left, edge - start)
            length = next(
                length for length in PLAIN_VALUES if length <= most and _readable(meter, bar, start, length, beat)
            )
            value, dots = PLAIN_VALUES[length]
        found.append(Symbol(start, length, value, dots, notes, triplet))
        start += length
    return found


def _readable(meter: _Meter, bar: int, start: int, length: int, beat: int) -> bool:
    """Whether a value from a place does not end within a triplet, nor across the beats of a compound meter."""
    number, inside = divmod(start + length, beat)
    if beat == 36 and length > 36 and length % 36:
        return False
    return inside == 0 or number == start // beat or (bar, number) not in meter.triplets


def _bracket(symbols: Sequence[Symbol], beat: int) -> None:
    for _, group in groupby((one for one in symbols if one.triplet), key=lambda one: one.start // beat):
        members = list(group)
        if len(members) > 1:
            members[0].tuplet, members[-1].tuplet = "start", "stop"


def _beam(symbols: Sequence[Symbol], beat: int) -> None:
    """Join what is shorter than a quarter within each beat."""
    for (short, _), members in groupby(
        symbols, key=lambda one: (bool(one.notes) and one.value in _N_BEAMS, one.start // beat)
    ):
        group = list(members)
        if not short or len(group) < 2:
            continue
        depth = [_N_BEAMS[one.value] for one in group]
        for i, symbol in enumerate(group):
            states = []
            for level in range(1, depth[i] + 1):
                before = i > 0 and depth[i - 1] >= level
                after = i + 1 < len(group) and depth[i + 1] >= level
                alone = "backward hook" if i > 0 else "forward hook"
                states.append(("continue" if after else "end") if before else ("begin" if after else alone))
            symbol.beams = tuple(states)
