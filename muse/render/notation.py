"""Notation: a score as MusicXML 4.0, which notation programs open.

The same score, title, key and chords give the same bytes. Every note of the score is there: the first written value of
a note has the id ``n`` and its number in :func:`muse.score.note_array`, counted from 0.

Contents: :func:`musicxml`, :func:`write_musicxml`; :class:`Page`, :func:`write_page`, :data:`CHORD_KINDS`.
"""

from __future__ import annotations

import csv
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np

from muse.errors import InputError
from muse.files import write_bytes
from muse.render.written import DIVISIONS, Symbol, WrittenPart, written_parts
from muse.score import DRUMS, BarGrid, Score, beat_to_sec, note_array, tempo_map
from muse.theory import estimate_key, instruments, key_signature, parse_key, spell

__all__ = ["CHORD_KINDS", "MUSICXML_SUFFIXES", "OPEN", "Page", "musicxml", "write_musicxml", "write_page"]

MUSICXML_SUFFIXES = (".musicxml", ".xml")

_DOCTYPE: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE score-partwise PUBLIC '
    '"-//Recordare//DTD MusicXML 4.0 Partwise//EN" "http://www.musicxml.org/dtds/partwise.dtd">\n'
)
_DYNAMICS: Final = (("pp", 40), ("p", 56), ("mp", 72), ("mf", 88), ("f", 104), ("ff", 128))
"""Marks and the velocity below which each holds; as notation programs play them, in steps of 16."""
_STEADY: Final = 4
"""Velocity by which a bar must leave the range of the mark in force before another is written."""
_TEMPO_STEP: Final = 0.08
"""Least change of tempo that is written, as a share."""
_LASTING_BARS: Final = 4
"""Over so many bars, or as many as are left, must it hold."""
CHORD_KINDS: Final = {
    "": "major", "m": "minor", "7": "dominant", "maj7": "major-seventh", "m7": "minor-seventh", "dim": "diminished",
    "dim7": "diminished-seventh", "m7b5": "half-diminished", "aug": "augmented", "6": "major-sixth",
    "m6": "minor-sixth", "sus2": "suspended-second", "sus4": "suspended-fourth", "mmaj7": "major-minor",
    "9": "dominant-ninth",
}  # fmt: skip
"""Suffix of a chord symbol -> its kind in MusicXML."""
NO_CHORD: Final = "N.C."
OPEN: Final = "?"
"""In the place of a chord: the bar leaves its harmony open."""
_CHORD: Final = re.compile(r"([A-G])([#b]?)([^/]*)(?:/([A-G])([#b]?))?")
_GUITAR: Final = "guitar"
_SOUNDS_HIGH: Final = 72
"""An instrument whose lowest note is this or higher is read an octave lower, as the piccolo is."""


def write_musicxml(
    score: Score,
    path: str | Path,
    *,
    title: str | None = None,
    key: str | None = None,
    chords: Sequence[tuple[float, str]] = (),
) -> None:
    """Write a score as MusicXML, which notation programs open.

    Parameters
    ----------
    path
        Ends in .musicxml or .xml.
    title
        Heading of the sheet; the file name without ending when None.
    score, key, chords
        As :func:`musicxml` takes them.

    Raises
    ------
    InputError
        The ending is another one, or the file cannot be written; and as :func:`musicxml`.
    """
    path = Path(path)
    if path.suffix.lower() not in MUSICXML_SUFFIXES:
        raise InputError(f"{path}: a sheet is {' or '.join(MUSICXML_SUFFIXES)}, not {path.suffix!r}")
    write_bytes(path, musicxml(score, title=path.stem if title is None else title, key=key, chords=chords))


def musicxml(
    score: Score, *, title: str = "", key: str | None = None, chords: Sequence[tuple[float, str]] = ()
) -> bytes:
    """A score as MusicXML.

    Notes are put on sixteenths and triplets, the finest that notation keeps readable: keyboards on two staves,
    overlapping notes in several voices, tied over bars and beats, beamed by beats, spelled by the key. Tempo, meters,
    instruments and loudness (as dynamics) are kept.

    Parameters
    ----------
    score
        Any score with notes.
    title
        Heading of the sheet.
    key
        As :func:`muse.theory.parse_key` reads it; the key found in the notes when None.
    chords
        (beat, name) of chord symbols above the first part, for example ``(4.0, "F#m7")``.

    Returns
    -------
    bytes
        The same score and arguments give the same bytes.

    Raises
    ------
    InputError
        The score has no notes, or there is no such key or chord.
    """
    if not len(note_array(score)):
        raise InputError("a score without notes gives no sheet")
    parts, grid = written_parts(score)
    fifths, mode = _signature(score, key)
    page = Page(grid, fifths, mode, title, _tempos(score, grid), _harmonies(chords, grid))
    return write_page(page, parts, [_dynamics(part, grid) for part in parts])


def write_page(page: Page, parts: Sequence[WrittenPart], dynamics: Sequence[Mapping[int, str]]) -> bytes:
    """Parts that are laid out, as MusicXML.

    Parameters
    ----------
    page
        What they share.
    parts
        One or more.
    dynamics
        For each part: bar -> mark of loudness at its start.
    """
    root = ET.Element("score-partwise", version="4.0")
    _add(_add(root, "work"), "work-title", page.title)
    identification = _add(root, "identification")
    _add(identification, "creator", "Muse", type="composer")
    _add(_add(identification, "encoding"), "software", "Muse")
    if page.remarks:
        listed = _add(identification, "miscellaneous")
        for name, remark in page.remarks.items():
            _add(listed, "miscellaneous-field", remark, name=name)
    _part_list(root, parts)
    numbers = _numbers(parts)
    for i, part in enumerate(parts):
        element = _add(root, "part", id=f"P{i + 1}")
        for bar in range(page.grid.n_bars):
            _PartWriter(page, part, i + 1, numbers[i]).write_bar(element, bar, dynamics[i].get(bar))
    ET.indent(root)
    return (_DOCTYPE + ET.tostring(root, encoding="unicode") + "\n").encode("utf-8")


@dataclass(frozen=True)
class Page:
    """What all parts share."""

    grid: BarGrid
    fifths: int
    mode: str
    title: str
    tempos: Mapping[int, float]
    """Bar -> quarter notes a minute, where a tempo is written."""
    harmonies: Mapping[int, Sequence[tuple[int, str]]]
    """Bar -> (division, chord name, or :data:`OPEN`)."""
    rehearsals: Mapping[int, str] = field(default_factory=dict)
    """Bar -> letter or name of the section that begins there."""
    remarks: Mapping[str, str] = field(default_factory=dict)
    """Name -> text in the file that is not printed."""


def _add(parent: ET.Element, tag: str, text: object = None, **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, tag, attributes)
    if text is not None:
        # Control characters have no place in XML.
        element.text = re.sub(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]", "", str(text))
    return element


def _signature(score: Score, key: str | None) -> tuple[int, str]:
    """Sharps (negative: flats) and mode."""
    if key is not None:
        tonic, mode, name = parse_key(key)
    elif found := estimate_key(note_array(score)):
        tonic, mode, name = found.tonic, found.mode, str(found)
    else:
        return 0, "major"
    return key_signature(tonic, mode, name), mode


def _tempos(score: Score, grid: BarGrid) -> dict[int, float]:
    """Bars with a new tempo, and what it is on the whole until the next: how players bend it is not written, nor that
    the last bar gives way."""
    beats = np.diff(grid.start_beat)
    seconds = np.diff(beat_to_sec(tempo_map(score), grid.start_beat))

    def mean(start: int, stop: int) -> float:
        return float(60 * beats[start:stop].sum() / seconds[start:stop].sum())

    starts = [0]
    for bar in range(1, grid.n_bars - 1):
        last, stop = mean(starts[-1], bar), min(bar + _LASTING_BARS, grid.n_bars)
        if all(abs(now - last) > _TEMPO_STEP * now for now in (mean(bar, bar + 1), mean(bar, stop))):
            starts.append(bar)
    ends = [*starts[1:], max(grid.n_bars - 1, starts[-1] + 1)]
    return {start: mean(start, end) for start, end in zip(starts, ends, strict=True)}


def _harmonies(chords: Sequence[tuple[float, str]], grid: BarGrid) -> dict[int, list[tuple[int, str]]]:
    found: dict[int, list[tuple[int, str]]] = {}
    for beat, name in sorted(chords):
        if _CHORD.fullmatch(name.strip()) is None and name != NO_CHORD:
            raise InputError(f"unknown chord {name!r}: give a root and a kind, for example Am, F#m7 or C/E")
        if 0 <= beat < grid.start_beat[-1]:
            bar = int(grid.bar_of(np.array([beat]))[0])
            found.setdefault(bar, []).append((round((beat - grid.start_beat[bar]) * DIVISIONS), name.strip()))
    return found


def _dynamics(part: WrittenPart, grid: BarGrid) -> dict[int, str]:
    """Bar -> mark, where the loudness becomes another."""
    bars = grid.bar_of(part.notes["onset_beat"])
    marks: dict[int, str] = {}
    low, high = 0, 0
    for bar in np.unique(bars).tolist():
        velocity = float(part.notes["velocity"][bars == bar].mean())
        if not low - _STEADY <= velocity < high + _STEADY:
            index = next(i for i, (_, limit) in enumerate(_DYNAMICS) if velocity < limit)
            low, high = (_DYNAMICS[index - 1][1] if index else 0), _DYNAMICS[index][1]
            marks[bar] = _DYNAMICS[index][0]
    return marks


def _numbers(parts: Sequence[WrittenPart]) -> list[list[int]]:
    """For each part, the number in the score's note array of each of its notes."""
    tracks = np.concatenate([part.notes for part in parts])
    # note_array sorts by onset, pitch and track; each part holds its rows in that order.
    order = np.lexsort((np.arange(len(tracks)), tracks["track"], tracks["pitch"], tracks["onset_beat"]))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    edges = np.cumsum([0, *(len(part.notes) for part in parts)])
    return [rank[a:b].tolist() for a, b in pairwise(edges.tolist())]


@cache
def _percussion() -> Mapping[int, tuple[str, str, str, str]]:
    """Pitch -> name, step and octave on the staff, notehead; after the Percussive Arts Society's drum set notation
    (Weinberg 1998), extended to General MIDI's other percussion."""
    text = resources.files("muse.render").joinpath("percussion.csv").read_text(encoding="utf-8")
    return {
        int(row["pitch"]): (row["name"], row["step"], row["octave"], row["notehead"])
        for row in csv.DictReader(text.splitlines())
    }


def _stroke(pitch: int) -> tuple[str, str, str, str]:
    return _percussion().get(pitch, (f"Percussion {pitch}", "B", "4", "normal"))


def _part_list(root: ET.Element, parts: Sequence[WrittenPart]) -> None:
    listed = _add(root, "part-list")
    titles = ["Drums" if part.program == DRUMS else instruments()[part.program].name.title() for part in parts]
    n_tuned = 0
    for i, part in enumerate(parts, 1):
        title = titles[i - 1]
        if titles.count(title) > 1:
            title += f" {titles[:i].count(title)}"
        element = _add(listed, "score-part", id=f"P{i}")
        _add(element, "part-name", title if part.name is None else part.name)
        if part.program == DRUMS:
            pitches = np.unique(part.notes["pitch"]).tolist()
            names = [(f"P{i}-I{pitch}", _stroke(pitch)[0]) for pitch in pitches]
            channel = 10
        else:
            names, pitches = [(f"P{i}-I1", title)], [None]
            channel = (*range(1, 10), *range(11, 17))[n_tuned % 15]
            n_tuned += 1
        for name, label in names:
            _add(_add(element, "score-instrument", id=name), "instrument-name", label)
        for (name, _), pitch in zip(names, pitches, strict=True):
            midi = _add(element, "midi-instrument", id=name)
            _add(midi, "midi-channel", channel)
            _add(midi, "midi-program", 1 if part.program == DRUMS else part.program + 1)
            if pitch is not None:
                _add(midi, "midi-unpitched", pitch + 1)


class _PartWriter:
    """Writes the bars of one part."""

    def __init__(self, page: Page, part: WrittenPart, number: int, rows: Sequence[int]) -> None:
        self.page, self.part, self.number, self.rows = page, part, number, rows
        self.drums = part.program == DRUMS

    def write_bar(self, parent: ET.Element, bar: int, dynamic: str | None) -> None:
        """Add one bar to the part's element, with a dynamic mark at its start where there is one."""
        grid = self.page.grid
        length = int(np.rint(grid.start_beat[bar + 1] * DIVISIONS) - np.rint(grid.start_beat[bar] * DIVISIONS))
        full = round(4 * DIVISIONS * int(grid.numerator[bar]) / int(grid.denominator[bar]))
        measure = _add(parent, "measure", number=str(bar + 1), **({} if length == full else {"implicit": "yes"}))
        self._attributes(measure, bar)
        if self.number == 1:
            if bar in self.page.rehearsals:
                direction = _add(measure, "direction", placement="above")
                _add(_add(direction, "direction-type"), "rehearsal", self.page.rehearsals[bar])
            if bar in self.page.tempos:
                self._tempo(measure, self.page.tempos[bar])
            for place, chord in self.page.harmonies.get(bar, ()):
                self._harmony(measure, place, chord)
        if dynamic is not None:
            direction = _add(measure, "direction", placement="below")
            _add(_add(_add(direction, "direction-type"), "dynamics"), dynamic)
            if self.part.n_staves > 1:
                _add(direction, "staff", 1)
        voices = self.part.bars[bar]
        shown = self._accidentals(voices)
        first = {staff: min(voice for other, voice in voices if other == staff) for staff, _ in voices}
        for i, ((staff, voice), symbols) in enumerate(voices.items()):
            if i:
                _add(_add(measure, "backup"), "duration", length)
            name = 4 * staff + voice + 1
            if not any(one.notes for one in symbols):
                self._bar_rest(measure, length, name, staff)
                continue
            for symbol in symbols:
                self._symbol(measure, symbol, staff, name, shown, hidden=voice != first[staff])
        if bar == grid.n_bars - 1:
            _add(_add(measure, "barline", location="right"), "bar-style", "light-heavy")

    def _attributes(self, measure: ET.Element, bar: int) -> None:
        grid = self.page.grid
        meter = (int(grid.numerator[bar]), int(grid.denominator[bar]))
        changed = bar == 0 or meter != (int(grid.numerator[bar - 1]), int(grid.denominator[bar - 1]))
        if not changed:
            return
        attributes = _add(measure, "attributes")
        if bar == 0:
            _add(attributes, "divisions", DIVISIONS)
            if not self.drums:
                signature = _add(attributes, "key")
                _add(signature, "fifths", self.page.fifths)
                _add(signature, "mode", self.page.mode)
        time = _add(attributes, "time")
        _add(time, "beats", meter[0])
        _add(time, "beat-type", meter[1])
        if bar == 0:
            if self.part.n_staves > 1:
                _add(attributes, "staves", self.part.n_staves)
            for staff, (sign, line, octaves) in enumerate(self._clefs(), 1):
                clef = _add(attributes, "clef", **({"number": str(staff)} if self.part.n_staves > 1 else {}))
                _add(clef, "sign", sign)
                if line:
                    _add(clef, "line", line)
                if octaves:
                    _add(clef, "clef-octave-change", octaves)

    def _clefs(self) -> list[tuple[str, int, int]]:
        """Sign, line and octaves of each staff's clef."""
        if self.drums:
            return [("percussion", 0, 0)]
        if self.part.n_staves > 1:
            return [("G", 2, 0), ("F", 4, 0)]
        if not len(self.part.notes):
            return [("G", 2, 0)]
        middle = float(np.median(self.part.notes["pitch"]))
        if instruments()[self.part.program].family == _GUITAR:
            return [("G", 2, -1)]
        if middle < 43:
            return [("F", 4, -1)]
        if middle < 58:
            return [("F", 4, 0)]
        return [("G", 2, 1 if instruments()[self.part.program].low >= _SOUNDS_HIGH else 0)]

    def _tempo(self, measure: ET.Element, bpm: float) -> None:
        direction = _add(measure, "direction", placement="above")
        metronome = _add(_add(direction, "direction-type"), "metronome")
        _add(metronome, "beat-unit", "quarter")
        _add(metronome, "per-minute", round(bpm))
        _add(direction, "sound", tempo=f"{bpm:.6g}")

    def _harmony(self, measure: ET.Element, place: int, name: str) -> None:
        if name == OPEN:
            direction = _add(measure, "direction", placement="above")
            _add(_add(direction, "direction-type"), "words", OPEN)
            return
        match = _CHORD.fullmatch(name)
        step, accidental, kind, bass, bass_accidental = match.groups() if match else ("C", "", NO_CHORD, "", "")
        harmony = _add(measure, "harmony")
        root = _add(harmony, "root")
        note = _add(root, "root-step", step)
        if match is None:
            note.set("text", "")
        _alter(root, "root-alter", accidental)
        _add(harmony, "kind", CHORD_KINDS.get(kind, "other") if match else "none").set("text", kind)
        if bass:
            lowest = _add(harmony, "bass")
            _add(lowest, "bass-step", bass)
            _alter(lowest, "bass-alter", bass_accidental)
        if place:
            _add(harmony, "offset", place)

    def _accidentals(self, voices: Mapping[tuple[int, int], Sequence[Symbol]]) -> set[tuple[int, int]]:
        """(first division, note) of the notes in a bar that need an accidental, in the order in which they are read."""
        if self.drums:
            return set()
        sharpened = "FCGDAEB"[: max(self.page.fifths, 0)]
        flattened = "BEADGCF"[: max(-self.page.fifths, 0)]
        in_force: dict[tuple[int, str, int], int] = {}
        shown = set()
        read = sorted(
            ((symbol.start, staff, symbol) for (staff, _), symbols in voices.items() for symbol in symbols),
            key=lambda one: one[:2],
        )
        for start, staff, symbol in read:
            for note in symbol.notes:
                step, alter, octave = spell(int(self.part.notes["pitch"][note]), self.page.fifths)
                usual = (step in sharpened) - (step in flattened)
                if in_force.get((staff, step, octave), usual) != alter and not symbol.tied_from:
                    shown.add((start, note))
                    in_force[staff, step, octave] = alter
        return shown

    def _bar_rest(self, measure: ET.Element, length: int, voice: int, staff: int) -> None:
        note = _add(measure, "note")
        _add(note, "rest", measure="yes")
        _add(note, "duration", length)
        _add(note, "voice", voice)
        if self.part.n_staves > 1:
            _add(note, "staff", staff + 1)

    def _symbol(
        self, measure: ET.Element, symbol: Symbol, staff: int, voice: int, shown: set[tuple[int, int]], *, hidden: bool
    ) -> None:
        """Write a note, a chord or a rest; rests of other voices than the first are not printed."""
        for i, row in enumerate(symbol.notes or (None,)):
            note = _add(measure, "note")
            if row is None:
                if hidden:
                    note.set("print-object", "no")
                _add(note, "rest")
            else:
                if not symbol.tied_from:
                    note.set("id", f"n{self.rows[row]}")
                if i:
                    _add(note, "chord")
                self._pitch(note, int(self.part.notes["pitch"][row]))
            _add(note, "duration", symbol.length)
            for kind, there in (("stop", symbol.tied_from), ("start", symbol.tied_to)):
                if there:
                    _add(note, "tie", type=kind)
            if row is not None:
                name = int(self.part.notes["pitch"][row]) if self.drums else 1
                _add(note, "instrument", id=f"P{self.number}-I{name}")
            _add(note, "voice", voice)
            _add(note, "type", symbol.value)
            for _ in range(symbol.dots):
                _add(note, "dot")
            if row is not None and (symbol.start, row) in shown:
                alter = spell(int(self.part.notes["pitch"][row]), self.page.fifths)[1]
                names = {-2: "flat-flat", -1: "flat", 0: "natural", 1: "sharp", 2: "double-sharp"}
                _add(note, "accidental", names[alter])
            if symbol.triplet:
                changed = _add(note, "time-modification")
                _add(changed, "actual-notes", 3)
                _add(changed, "normal-notes", 2)
            if row is not None and self.drums:
                head = _stroke(int(self.part.notes["pitch"][row]))[3]
                if head != "normal":
                    _add(note, "notehead", head)
            if self.part.n_staves > 1:
                _add(note, "staff", staff + 1)
            if not i:
                for level, state in enumerate(symbol.beams, 1):
                    _add(note, "beam", state, number=str(level))
            self._notations(note, symbol, first=not i)

    def _pitch(self, note: ET.Element, pitch: int) -> None:
        if self.drums:
            _, step, octave, _ = _stroke(pitch)
            place = _add(note, "unpitched")
            _add(place, "display-step", step)
            _add(place, "display-octave", octave)
            return
        step, alter, height = spell(pitch, self.page.fifths)
        place = _add(note, "pitch")
        _add(place, "step", step)
        if alter:
            _add(place, "alter", alter)
        _add(place, "octave", height)

    def _notations(self, note: ET.Element, symbol: Symbol, *, first: bool) -> None:
        if not (symbol.tied_from or symbol.tied_to or (symbol.tuplet and first)):
            return
        notations = _add(note, "notations")
        for kind, there in (("stop", symbol.tied_from), ("start", symbol.tied_to)):
            if there:
                _add(notations, "tied", type=kind)
        if symbol.tuplet and first:
            _add(notations, "tuplet", type=symbol.tuplet)


def _alter(parent: ET.Element, tag: str, accidental: str | None) -> None:
    if accidental:
        _add(parent, tag, 1 if accidental == "#" else -1)
