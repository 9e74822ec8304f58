"""Plans in ABC notation (standard 2.1, abcnotation.com), written and read.

Read is what a plan can hold: the first tune of a file and its first voice; of chords the highest note. Repeats,
endings, orders of parts (``P:AABA`` in the heading) and jumps (``!D.C.!``, ``"^D.S. al Coda"``) are written out, see
:mod:`muse.sheets.order`; grace notes, ornaments, words and layout are passed over; of the church modes those with a
minor third count as minor.

Contents: :func:`write_abc`, :func:`parse_abc`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Final

from muse.errors import InputError
from muse.sheets.follows import REMARK, with_follows, write_follows
from muse.sheets.measures import Heading, plan_of_measures
from muse.sheets.order import AT_END, Measure, WrittenNote, mark, parse_parts
from muse.theory import NATURALS, key_signature, spell
from muse.theory.chord_symbols import parse_chord
from muse.tokens.plan import Plan, beat_length
from muse.tokens.tune import tune_notes

__all__ = ["parse_abc", "write_abc"]

OPEN: Final = "^?"
"""Above a bar that leaves its chords open."""
_BARS_A_LINE: Final = 4
_VALUES: Final = (16, 12, 8, 6, 4, 3, 2, 1)
"""Sixteenths that one note can be written as."""
_SIGNS: Final = {-2: "__", -1: "_", 0: "=", 1: "^", 2: "^^"}
_LINE_OF_FIFTHS: Final = "FCGDAEB"


# ----------------------------------------------------------------------------------------------------------- writing


def write_abc(plan: Plan, *, title: str = "") -> str:
    """A plan as an ABC tune; :func:`parse_abc` reads the same plan from it.

    Notes are split by ties where a chord changes or a bar ends, and where no single value is as long.
    """
    fifths = key_signature(plan.tonic, plan.mode)
    numerator, denominator = plan.time_signature
    lines = ["X:1", f"T:{' '.join(title.split()) or 'Lead sheet'}", f"M:{numerator}/{denominator}", "L:1/16"]
    if plan.tempo_bpm is not None:
        lines.append(f"Q:1/4={plan.tempo_bpm:.6g}")
    if remark := write_follows(plan):
        lines.append(f"%%{REMARK} {remark}")
    lines.append(f"K:{plan.key_name}")
    starts = plan.section_starts
    row: list[str] = []
    for number, bar in enumerate(_written_bars(plan, fifths)):
        if row and (number in starts or len(row) == _BARS_A_LINE):
            lines.append(" | ".join(row) + " |")
            row = []
        if number in starts:
            lines.append(f"P:{' '.join(starts[number].split())}")
        row.append(bar)
    return "\n".join([*lines, " | ".join(row) + " |]"]) + "\n"


def _written_bars(plan: Plan, fifths: int) -> Iterator[str]:
    size, beat = plan.bar_length, beat_length(plan.time_signature)
    notes = tune_notes(plan)
    any_chord, index = False, 0
    for number, bar in enumerate(plan.bars):
        start, end = number * size, (number + 1) * size
        symbols = {chord.position: f'"{chord.spelled(fifths)}"' for chord in bar.chords}
        if any_chord and not bar.chords:
            symbols[0] = f'"{OPEN}"'
        any_chord = any_chord or bool(bar.chords)
        while index < len(notes) and notes[index].position + notes[index].length <= start:
            index += 1
        here = []
        for coming in notes[index:]:
            if coming.position >= end:
                break
            here.append(coming)
        edges = {start, end, *(start + place for place in symbols)}
        edges |= {at for n in here for at in (n.position, n.position + n.length) if start < at < end}
        text, touched = "", set[str]()
        for a, b in pairwise(sorted(edges)):
            note = next((n for n in here if n.position <= a < n.position + n.length), None)
            text += " " if a > start and (a - start) % beat == 0 else ""
            text += symbols.get(a - start, "")
            name = "z" if note is None else _note_name(note.pitch, fifths, touched)
            for place, value in _values(a, b):
                more = note is not None and place + value < note.position + note.length
                text += name + ("" if value == 1 else str(value)) + ("-" if more else "")
                if note is not None:
                    name = _note_name(note.pitch, fifths, touched)
        yield text


def _values(start: int, end: int) -> Iterator[tuple[int, int]]:
    """(place, sixteenths) of the values that fill a span."""
    while start < end:
        value = next(v for v in _VALUES if v <= end - start)
        yield start, value
        start += value


def _note_name(pitch: int, fifths: int, touched: set[str]) -> str:
    """A note; with its accidental where the signature has another, or an earlier one of the bar may still hold."""
    letter, alter, octave = spell(pitch, fifths)
    sign = ""
    if alter != _signature(letter, fifths) or letter in touched:
        sign = _SIGNS[alter]
        touched.add(letter)
    marks = "'" * (octave - 5) if octave >= 5 else "," * (4 - octave)
    return sign + (letter.lower() if octave >= 5 else letter) + marks


def _signature(letter: str, fifths: int) -> int:
    """Semitones by which a signature alters a letter."""
    return (fifths - 1 - _LINE_OF_FIFTHS.index(letter)) // 7 + 1


# ----------------------------------------------------------------------------------------------------------- reading

_FIELDS: Final = frozenset("HIKLMNPQRSTUVWXZmrsw")
"""Letters that begin a field within a tune; A to G are notes there."""
_MODES: Final[Mapping[str, int]] = {
    "": 0, "maj": 0, "ion": 0, "m": -3, "min": -3, "aeo": -3, "mix": -1, "dor": -2, "phr": -4, "lyd": 1, "loc": -5,
}  # fmt: skip
"""First letters of a mode -> sharps against the major key of the same tonic."""
_TUPLETS: Final = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}
"""Notes -> how many they stand for; others as many as the meter's beat divides into."""
_LENGTH: Final = r"(\d*)(/*)(\d*)"
_NOTE: Final = re.compile(r"([_^=]*)([A-Ga-g])([,']*)" + _LENGTH)
_TOKEN: Final = re.compile(
    r"(?P<space>[\s`\\*$;]|y\d*)"
    r'|"(?P<quote>[^"]*)"'
    r"|(?P<sign>[SO]|![A-Za-z.]+!|\+[A-Za-z.]+\+)"
    r"|\[(?P<inline>[A-Za-z]:[^\]]*)\]"
    r"|(?P<bar>\[\|\]?|\.?:*\|+:*\]?|::+)(?:\s?\[?(?P<times>\d+(?:[-,]\d+)*))?"
    r"|\[(?P<ending>\d+(?:[-,]\d+)*)"
    r"|\((?P<tuplet>\d)(?::(?P<into>\d*))?(?::(?P<over>\d*))?"
    r"|(?P<note>[_^=]*[A-Ga-g][,']*\d*/*\d*)"
    r"|(?P<rest>[zx])(?P<rest_length>\d*/*\d*)"
    r"|(?P<bars>[ZX])(?P<n_bars>\d*)"
    r"|\[(?P<chord>(?:[_^=]*[A-Ga-g][,']*\d*/*\d*[-\s]*)+)\](?P<chord_length>\d*/*\d*)"
    r"|(?P<tie>-)|(?P<broken>[<>]+)|(?P<overlay>&)"
    r"|(?P<skipped>\{[^}]*\}|![^!\s]+!|\+[^+\s]+\+|[()]|[.~!H-WYh-w])"
)
_LIKE_A_CHORD: Final = re.compile(r"N\.?C|[A-G][#b♯♭]?(?:$|\d|m|M|dim|aug|sus|add|[-+/°øΔ^(]|o7|h7)")
"""How the words above the staff begin that are a chord, not ``Fine`` or ``D.C.``"""
_LATE: Final = frozenset({"fine", "D.C.", "D.S.", "to coda"})
"""Marks that belong to the measure before where no music follows."""
_MOST_CHARACTERS: Final = 2_000_000
_MOST_BARS_OF_REST: Final = 500


def parse_abc(text: str) -> Plan:
    """The plan of the first tune in a text.

    Raises
    ------
    InputError
        It is no ABC, or a plan cannot hold it; the message names the line.
    """
    if len(text) > _MOST_CHARACTERS:
        raise InputError(f"it has {len(text):,} characters, more than {_MOST_CHARACTERS:,}: keep one tune")
    reader = _Reader()
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            if not reader.read_line(number, line):
                break
        except InputError as error:
            raise InputError(f"line {number}: {error}") from None
    if not reader.in_tune:
        raise InputError("there is no line K: with the key, so this is no ABC tune: write for example K:Am")
    reader.close_measure()
    return with_follows(plan_of_measures(reader.measures, reader.heading), reader.follows)


@dataclass
class _Reader:
    """Reads line after line; what has been read lies in its fields."""

    heading: Heading = field(default_factory=Heading)
    measures: list[Measure] = field(default_factory=list)
    follows: str | None = None
    in_tune: bool = False
    _has_number: bool = False
    _unit: Fraction | None = None
    """Sixteenths of a note without a length; None: what the meter implies."""
    _fifths: int = 0
    _extra: dict[str, int] = field(default_factory=dict)
    """Letters that the key alters besides its signature."""
    _shift: int = 0
    _voice: str | None = None
    _is_first_voice: bool = True
    _altered: dict[str, int] = field(default_factory=dict)
    """Accidentals that hold until the bar line."""
    _measure: Measure = field(default_factory=lambda: Measure("line 1"))
    _at: Fraction = Fraction(0)
    _ending: frozenset[int] = frozenset()
    _factor: Fraction = Fraction(1)
    """Of the next note, after a broken rhythm."""
    _tuplet: tuple[int, Fraction] = (0, Fraction(1))
    """Notes left of it, and their factor."""
    _overlaid: bool = False
    _last: list[int] = field(default_factory=list)
    """Indices of the notes written last, which a tie or a broken rhythm changes."""
    _last_span: tuple[Fraction, Fraction] = (Fraction(0), Fraction(0))

    def read_line(self, number: int, line: str) -> bool:
        """Take in a line; False where another tune begins."""
        if line.startswith(f"%%{REMARK} "):
            self.follows = line.removeprefix(f"%%{REMARK} ")
            return True
        line = _without_comment(line)
        name, colon, value = line[:1], line[1:2], line[2:].strip()
        if colon == ":" and name.isalpha() and (name in _FIELDS or not self.in_tune):
            if name == "X":
                if self._has_number or self.in_tune:
                    return False
                self._has_number = True
                return True
            self._field(name, value)
        elif self.in_tune and not (colon == ":" and name == "+"):
            self._measure.where = self._measure.where if self._at else f"line {number}"
            self._music(number, line)
            numerator, denominator = self.heading.time_signature
            if self._at * denominator == 16 * numerator:
                self.close_measure()  # the end of a line is as good as a bar line where the bar is full
            self._settle()
        return True

    # ------------------------------------------------------------------------------------------------------- fields

    def _field(self, name: str, value: str) -> None:
        if name == "V":
            voice = value.split()[0] if value else ""
            self._voice = self._voice or voice
            self._is_first_voice = voice == self._voice or not self.in_tune
        elif not self._is_first_voice:
            return
        elif name == "M":
            self._meter(value)
        elif name == "L":
            self._unit = 16 * _fraction(value, "L:1/8")
        elif name == "Q":
            self._tempo(value)
        elif name == "P" and self.in_tune:
            self._measure.label = value or None
        elif name == "P":
            self.heading.parts = parse_parts(value)
        elif name == "K":
            self._key(value)

    def _meter(self, value: str) -> None:
        plain = {"C": "4/4", "C|": "2/2"}.get(value, value)
        match = re.fullmatch(r"\(?(\d+(?:\s*\+\s*\d+)*)\)?/(\d+)", plain)
        if match is None:
            raise InputError(f"M:{value} is no meter that a plan can have; write for example M:4/4")
        meter = sum(int(n) for n in match[1].split("+")), int(match[2])
        if (self.measures or self._at) and meter != self.heading.time_signature:
            before = "/".join(map(str, self.heading.time_signature))
            raise InputError(f"the meter changes from {before} to {plain}; a plan has one: cut the tune here")
        self.heading.time_signature = meter

    def _tempo(self, value: str) -> None:
        value = re.sub(r'"[^"]*"', "", value).strip()
        match = re.fullmatch(r"((?:\d+/\d+\s*)+)=\s*(\d+(?:\.\d+)?)", value)
        if match:
            beat = sum(_fraction(part, "Q:1/4=120") for part in match[1].split())
            tempo = float(match[2]) * float(beat) * 4
        elif re.fullmatch(r"\d+(?:\.\d+)?", value):
            tempo = float(value) * float(self._unit_length()) / 4
        elif not value:
            return
        else:
            raise InputError(f"Q:{value} is no tempo; write for example Q:1/4=120")
        if self.heading.tempo_bpm is None:
            self.heading.tempo_bpm = tempo

    def _key(self, value: str) -> None:
        match = re.match(r"([A-G])([#b]?)\s*([A-Za-z]*)", value)
        rest = value
        is_first = not self.in_tune
        self.in_tune = True
        if match:
            letter, sign, word = match.groups()
            word = word.lower()
            mode = word if word in _MODES else word[:3]
            offset = _MODES.get(mode, 0)
            self._fifths = _LINE_OF_FIFTHS.index(letter) - 1 + 7 * ((sign == "#") - (sign == "b")) + offset
            if mode == "exp":
                self._fifths = 0
            rest = value[match.end() if mode in _MODES or mode == "exp" else match.end(2) :]
            if is_first:
                self.heading.tonic = (NATURALS[letter] + (sign == "#") - (sign == "b")) % 12
                self.heading.mode = "minor" if offset <= -2 else "major"
        elif value[:2] in ("HP", "Hp"):
            self._fifths, rest = (2 if value[1] == "p" else 0), ""
        elif value and not re.match(r"none\b|[_^=][a-gA-G]|clef|\w+=", value):
            raise InputError(f"K:{value} is no key; write for example K:Am, K:F#m, K:Bb or K:D dor")
        elif value:
            self._fifths = 0 if value.startswith("none") else self._fifths
        semitones = {"__": -2, "_": -1, "=": 0, "^": 1, "^^": 2}
        self._extra = {letter.upper(): semitones[s] for s, letter in re.findall(r"(__?|\^\^?|=)([a-gA-G])", rest)}
        octave, transpose, clef = (
            re.search(pattern, rest) for pattern in (r"octave=(-?\d)", r"transpose=(-?\d{1,2})", r"\w([+-])8")
        )
        self._shift = (12 * int(octave[1]) if octave else 0) + (int(transpose[1]) if transpose else 0)
        self._shift += 12 if clef and clef[1] == "+" else -12 if clef else 0

    def _unit_length(self) -> Fraction:
        if self._unit is not None:
            return self._unit
        numerator, denominator = self.heading.time_signature
        return Fraction(1) if 4 * numerator < 3 * denominator else Fraction(2)

    # -------------------------------------------------------------------------------------------------------- music

    def _music(self, number: int, line: str) -> None:
        place = 0
        while place < len(line):
            match = _TOKEN.match(line, place)
            if match is None:
                raise InputError(f"column {place + 1}: {line[place : place + 8]!r} is no music in ABC")
            place = match.end()
            if match["inline"]:
                name, _, value = match["inline"].partition(":")
                self._field(name, value.strip())
            elif self._is_first_voice:
                self._token(number, match)

    def _token(self, number: int, match: re.Match[str]) -> None:
        if match["bar"]:
            self._bar_line(number, match["bar"], match["times"])
        elif match["ending"]:
            self._ending = self._measure.endings = _times(match["ending"])
        elif self._overlaid or match["space"] or match["skipped"]:
            return
        elif match["overlay"]:
            self._overlaid = True
        elif match["sign"]:
            self._mark({"S": "segno", "O": "coda"}.get(match["sign"], match["sign"].strip("!+")))
        elif match["quote"] is not None:
            self._quote(match["quote"])
        elif match["tuplet"]:
            n = int(match["tuplet"])
            numerator, denominator = self.heading.time_signature
            usual = _TUPLETS.get(n, 3 if denominator == 8 and numerator % 3 == 0 else 2)
            self._tuplet = int(match["over"] or n), Fraction(int(match["into"] or usual), max(n, 1))
        elif match["note"]:
            self._sound([match["note"]], "")
        elif match["chord"]:
            self._sound(re.findall(r"[_^=]*[A-Ga-g][,']*\d*/*\d*", match["chord"]), match["chord_length"])
        elif match["rest"]:
            self._advance(_length(*_parts(match["rest_length"])) * self._unit_length(), [])
        elif match["bars"]:
            n = int(match["n_bars"] or 1)
            if n > _MOST_BARS_OF_REST:
                raise InputError(f"{n} bars of rest; at most {_MOST_BARS_OF_REST} are read")
            for i in range(n):
                self._advance(Fraction(16 * self.heading.time_signature[0], self.heading.time_signature[1]), [])
                if i < n - 1:
                    self.close_measure()
        elif match["tie"]:
            for i in self._last:
                note = self._measure.notes[i]
                self._measure.notes[i] = WrittenNote(note.onset, note.pitch, note.length, is_tied=True)
        elif match["broken"]:
            self._break(match["broken"])

    def _mark(self, words: str) -> bool:
        """Take in words that say where to go on; False for others."""
        found = mark(words)
        if self._at:
            found = AT_END.get(found or "", found)
        if found is not None:
            self._measure.marks |= {found}
        return found is not None

    def _quote(self, text: str) -> None:
        if text == OPEN:
            self._measure.chords.append((self._at, None))
        elif self._mark(text.lstrip("^_<>@")):
            return
        elif text and text[0] not in "^_<>@":
            symbol = re.sub(r"\(.*", "", text).strip() if not text.startswith("(") else text.strip("()")
            if _LIKE_A_CHORD.match(symbol):
                self._measure.chords.append((self._at, parse_chord(symbol, simplify=True)))

    def _sound(self, names: list[str], common: str) -> None:
        notes = []
        for name in names:
            found = _NOTE.fullmatch(name)
            assert found is not None  # the token's own pattern
            signs, letter, marks, *length = found.groups()
            notes.append((self._pitch(signs, letter, marks), _length(*length)))
        span = notes[0][1] * _length(*_parts(common)) * self._unit_length()
        self._advance(span, [pitch for pitch, _ in notes])

    def _pitch(self, signs: str, letter: str, marks: str) -> int:
        name = letter.upper()
        if signs:
            self._altered[name] = signs.count("^") - signs.count("_")
        alter = self._altered.get(name, self._extra.get(name, _signature(name, self._fifths)))
        octave = (5 if letter.islower() else 4) + marks.count("'") - marks.count(",")
        pitch = 12 * (octave + 1) + NATURALS[name] + alter + self._shift
        if not 0 <= pitch < 128:
            raise InputError(f"{letter}{marks} is out of the range of MIDI, 0 to 127")
        return pitch

    def _advance(self, length: Fraction, pitches: list[int]) -> None:
        length *= self._factor
        self._factor = Fraction(1)
        left, factor = self._tuplet
        if left > 0:
            length *= factor
            self._tuplet = left - 1, factor
        first = len(self._measure.notes)
        self._measure.notes += [WrittenNote(self._at, pitch, length) for pitch in pitches]
        self._last = list(range(first, len(self._measure.notes)))
        self._last_span = self._at, length
        self._at += length

    def _break(self, signs: str) -> None:
        """``a>b``: the first longer, the second as much shorter; ``<`` the other way round."""
        small = Fraction(1, 2 ** min(len(signs), 4))
        first, second = (2 - small, small) if signs[0] == ">" else (small, 2 - small)
        start, length = self._last_span
        for i in self._last:
            note = self._measure.notes[i]
            self._measure.notes[i] = WrittenNote(note.onset, note.pitch, note.length * first, note.is_tied)
        self._at = start + length * first
        self._factor = second

    def _bar_line(self, number: int, sign: str, times: str | None) -> None:
        if sign.lstrip(".").startswith(":"):
            (self._measure if self._at else self.measures[-1] if self.measures else self._measure).ends_repeat = True
        self.close_measure()
        if sign.rstrip("]").endswith(":") or sign == "::":
            self._measure.begins_repeat = True
        if ":" in sign or "||" in sign or "]" in sign:
            self._ending = frozenset()
        if times:
            self._ending = _times(times)
        self._measure.endings = self._ending
        self._measure.where = f"line {number}"

    def _settle(self) -> None:
        """Marks of an end that stand behind its bar line, with no music behind them, go to the measure before."""
        if not self._at and self.measures and (late := self._measure.marks & _LATE):
            self.measures[-1].marks |= late
            self._measure.marks -= late

    def close_measure(self) -> None:
        """A bar line: what was read is a measure, and accidentals hold no longer."""
        if self._at:
            self._measure.length = self._at
            self.measures.append(self._measure)
            self._measure = Measure(self._measure.where, endings=self._ending)
        self._settle()
        self._at, self._altered, self._last, self._overlaid = Fraction(0), {}, [], False
        self._factor, self._tuplet = Fraction(1), (0, Fraction(1))


def _without_comment(line: str) -> str:
    found = re.match(r'(?:[^"%\\]|\\.|"[^"]*"|["\\])*?(?=%|$)', line)
    return (found.group() if found else line).rstrip()


def _fraction(text: str, example: str) -> Fraction:
    match = re.fullmatch(r"\s*(\d{1,4})(?:/(\d{1,4}))?\s*", text)
    if match is None or int(match[2] or 1) == 0 or int(match[1]) == 0:
        raise InputError(f"{text!r} is no length; write for example {example}")
    return Fraction(int(match[1]), int(match[2] or 1))


def _parts(length: str) -> tuple[str, str, str]:
    found = re.fullmatch(_LENGTH, length)
    return (found[1], found[2], found[3]) if found else ("", "", "")


def _length(number: str, slashes: str, divisor: str) -> Fraction:
    """``3``, ``3/2``, ``/``, ``//``."""
    sane = len(number) <= 4 and len(divisor) <= 4 and len(slashes) <= 6
    if not sane or int(number or 1) == 0 or int(divisor or 1) == 0:
        raise InputError(f"{number}{slashes}{divisor} is no length of a note")
    return Fraction(int(number or 1), int(divisor) if divisor else 2 ** len(slashes))


def _times(text: str) -> frozenset[int]:
    """``1``, ``1,3``, ``1-3``."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not first or len(first) > 2 or len(last) > 2:
            raise InputError(f"{text!r} says no times of a repeat; write for example |1 or |1,3")
        found |= set(range(int(first), int(last or first) + 1))
    return frozenset(found)
