"""Plans from MusicXML: lead sheets as notation programs write them.

Read is what a plan can hold: of the parts the one with chord symbols, else the first, of it the first staff and voice,
of chords the highest note. Repeats, endings and jumps (D.C., D.S.) are written out, see :mod:`muse.sheets.order`; grace
notes, ornaments and other words are passed over.

A file is read without looking anything up that it names: document types are passed over, entities refused.

Contents: :func:`parse_musicxml`.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final
from xml.etree import ElementTree as ET
from xml.parsers import expat

from muse.errors import InputError
from muse.render.notation import CHORD_KINDS, OPEN
from muse.sheets.follows import REMARK, with_follows
from muse.sheets.measures import Heading, plan_of_measures
from muse.sheets.order import AT_END, Measure, WrittenNote, mark
from muse.theory import NATURALS
from muse.theory.chord_symbols import QUALITIES, Chord
from muse.tokens.plan import Plan

__all__ = ["MAX_BYTES", "parse_musicxml"]

MAX_BYTES: Final = 16_000_000
"""Of the document, after it was unpacked."""
_DEEPEST: Final = 64
_SOUNDS: Final = {
    "segno": "segno", "coda": "coda", "tocoda": "to coda", "fine": "fine", "dacapo": "D.C.", "dalsegno": "D.S.",
}  # fmt: skip
"""Attributes of a sound -> marks of a measure."""
_RICHER: Final = {
    "augmented-seventh": "aug", "major-minor": "m", "minor-major": "m", "dominant-ninth": "7", "major-ninth": "maj7",
    "minor-ninth": "m7",
    "dominant-11th": "7", "major-11th": "maj7", "minor-11th": "m7", "dominant-13th": "7", "major-13th": "maj7",
    "minor-13th": "m7", "power": "", "Neapolitan": "", "Italian": "7", "French": "7", "German": "7", "Tristan": "m7b5",
    "pedal": "", "other": "",
}  # fmt: skip
_QUALITIES: Final = {
    **_RICHER, **{kind: suffix for suffix, kind in CHORD_KINDS.items() if suffix in QUALITIES},
}  # fmt: skip
"""Kind of a chord in MusicXML -> its quality, of richer ones the one that they extend."""


def parse_musicxml(data: bytes) -> Plan:
    """The plan of a MusicXML document, plain or compressed (``.mxl``).

    Raises
    ------
    InputError
        It is no MusicXML, it is too large, or a plan cannot hold it; the message names line or measure.
    """
    root = _read(_unpacked(data) if data.startswith(b"PK") else data)
    if root.tag == "score-timewise":
        raise InputError("it is MusicXML by time: save it by parts (score-partwise), as notation programs do")
    parts = root.findall("part")
    if root.tag != "score-partwise" or not parts:
        raise InputError(f"it is no MusicXML with parts (its outermost element is <{root.tag}>)")
    part = next((one for one in parts if one.find("measure/harmony") is not None), parts[0])
    reader = _PartReader(part)
    for number, measure in enumerate(part.findall("measure"), start=1):
        where = f"measure {measure.get('number', number)}"
        try:
            reader.read(measure, where)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        except (ValueError, KeyError, ZeroDivisionError, OverflowError) as error:
            raise InputError(f"{where}: a number or a name is missing or wrong ({error})") from None
    plan = plan_of_measures(reader.measures, reader.heading)
    remarks = root.iterfind("identification/miscellaneous/miscellaneous-field")
    return with_follows(plan, next((one.text for one in remarks if one.get("name") == REMARK), None))


def _unpacked(data: bytes) -> bytes:
    """The document in a compressed file."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            name = _document_name(archive)
            with archive.open(name) as stream:
                return stream.read(MAX_BYTES + 1)
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, OSError, EOFError, ValueError) as error:
        raise InputError(f"the compressed MusicXML is damaged ({error})") from None
    except Exception as error:
        if type(error).__module__ in ("zlib", "lzma"):
            raise InputError(f"the compressed MusicXML is damaged ({error})") from None
        raise


def _document_name(archive: zipfile.ZipFile) -> str:
    try:
        with archive.open("META-INF/container.xml") as stream:
            rootfile = next(_read(stream.read(100_000)).iter("rootfile"), None)
        if rootfile is not None and rootfile.get("full-path"):
            return rootfile.get("full-path", "")
    except KeyError:
        pass
    names = [name for name in archive.namelist() if name.lower().endswith((".xml", ".musicxml")) and "/" not in name]
    if not names:
        raise InputError("the compressed file holds no MusicXML")
    return names[0]


def _read(data: bytes) -> ET.Element:
    """The tree of a document. Entities are refused: they could grow without bound, or name other files."""
    if len(data) > MAX_BYTES:
        raise InputError(f"it has more than {MAX_BYTES:,} bytes: cut it into pieces")
    builder, parser, depth = ET.TreeBuilder(), expat.ParserCreate(), 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise InputError(f"line {parser.CurrentLineNumber}: elements are nested too deeply for MusicXML")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(*_: Any) -> None:
        raise InputError(f"line {parser.CurrentLineNumber}: it defines an entity, which music needs none of")

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, builder.data
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(data, True)
        return builder.close()
    except expat.ExpatError as error:
        reason = expat.errors.messages[error.code]
        raise InputError(f"line {error.lineno}, column {error.offset + 1}: this is no XML ({reason})") from None
    except (LookupError, ValueError, AssertionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"this is no XML that can be read ({error})") from None


class _PartReader:
    """Reads the measures of a part in order."""

    def __init__(self, part: ET.Element) -> None:
        self.heading = Heading()
        self.measures: list[Measure] = []
        self.divisions = Fraction(1)
        self.shift = 0
        self.ending: frozenset[int] = frozenset()
        self.voice = _first_voice(part)

    def read(self, element: ET.Element, where: str) -> None:
        """Take in a measure."""
        measure = Measure(where)
        at = start = furthest = Fraction(0)
        closes_ending = False
        for child in element:
            if child.tag == "attributes":
                self._attributes(child)
            elif child.tag == "note":
                length = self._span(child) if child.find("grace") is None else Fraction(0)
                if child.find("chord") is None:
                    start = at
                    at += length
                if length and _is_ours(child, self.voice):
                    self._note(measure, child, start, length)
            elif child.tag in ("forward", "backup"):
                at += self._span(child) * (1 if child.tag == "forward" else -1)
                at = max(at, Fraction(0))
            elif child.tag == "harmony":
                measure.chords.append((max(at + self._offset(child), Fraction(0)), _chord(child)))
            elif child.tag in ("direction", "sound"):
                self._direction(measure, child, at)
            elif child.tag == "barline":
                closes_ending = self._barline(measure, child) or closes_ending
            furthest = max(furthest, at)
        numerator, denominator = self.heading.time_signature
        measure.length = furthest or Fraction(16 * numerator, denominator)
        measure.endings = self.ending
        if closes_ending:
            self.ending = frozenset()
        self.measures.append(measure)

    def _attributes(self, element: ET.Element) -> None:
        if (divisions := element.findtext("divisions")) is not None:
            self.divisions = _positive(divisions)
        if (key := element.find("key")) is not None and self.heading.fifths is None and key.find("fifths") is not None:
            self._key(int(key.findtext("fifths", "0")), (key.findtext("mode") or "").strip())
        if (time := element.find("time")) is not None and time.find("beats") is not None:
            beats = sum(int(part) for part in time.findtext("beats", "").split("+"))
            meter = beats, int(time.findtext("beat-type", ""))
            if meter[0] < 1 or meter[1] < 1:
                raise ValueError("a meter")
            if self.measures and meter != self.heading.time_signature:
                before = "/".join(map(str, self.heading.time_signature))
                raise InputError(
                    f"the meter changes from {before} to {meter[0]}/{meter[1]}; a plan has one: cut the piece here"
                )
            self.heading.time_signature = meter
        if (transpose := element.find("transpose")) is not None:
            self.shift = round(float(transpose.findtext("chromatic", "0")))
            self.shift += 12 * int(transpose.findtext("octave-change", "0"))

    def _key(self, fifths: int, mode: str) -> None:
        if not -11 <= fifths <= 11:
            raise ValueError(f"{fifths} fifths")
        self.heading.fifths = fifths
        degree = {"major": 0, "ionian": 0, "minor": 3, "aeolian": 3, "dorian": 2, "mixolydian": 1, "phrygian": 4,
                  "lydian": -1, "locrian": 5}.get(mode.lower())  # fmt: skip
        if degree is not None:
            self.heading.tonic = 7 * (fifths + degree) % 12
            self.heading.mode = "minor" if degree >= 2 else "major"

    def _span(self, element: ET.Element) -> Fraction:
        """A duration in sixteenths."""
        return 4 * _positive(element.findtext("duration", ""), zero=True) / self.divisions

    def _offset(self, element: ET.Element) -> Fraction:
        text = element.findtext("offset", "0").strip()
        return 4 * _positive(text.lstrip("-"), zero=True) / self.divisions * (-1 if text.startswith("-") else 1)

    def _note(self, measure: Measure, element: ET.Element, at: Fraction, length: Fraction) -> None:
        if (pitch := element.find("pitch")) is None:
            return
        alter = round(float(pitch.findtext("alter", "0")))
        number = 12 * (int(pitch.findtext("octave", "")) + 1) + NATURALS[pitch.findtext("step", "").strip()] + alter
        number += self.shift
        if not 0 <= number < 128:
            raise ValueError(f"a pitch of {number}")
        is_tied = any(tie.get("type") == "start" for tie in element.iter("tie"))
        measure.notes.append(WrittenNote(at, number, length, is_tied))

    def _direction(self, measure: Measure, element: ET.Element, at: Fraction) -> None:
        if rehearsal := "".join(element.findtext("direction-type/rehearsal") or "").strip():
            measure.label = rehearsal
        words = (element.findtext("direction-type/words") or "").strip()
        if words == OPEN:
            measure.chords.append((at, None))
        sound = element if element.tag == "sound" else element.find("sound")
        said = {meaning for name, meaning in _SOUNDS.items() if sound is not None and sound.get(name)}
        if not said:
            signs = {name for name in ("segno", "coda") if element.find(f"direction-type/{name}") is not None}
            signs = {AT_END[name] for name in signs} if at else signs
            said = signs or {found for found in [mark(words)] if found is not None}
        measure.marks |= said
        if self.heading.tempo_bpm is None:
            if sound is not None and sound.get("tempo"):
                self.heading.tempo_bpm = float(sound.get("tempo", ""))
            elif (beat := element.find("direction-type/metronome")) is not None and beat.find("per-minute") is not None:
                unit = {"whole": 4.0, "half": 2.0, "quarter": 1.0, "eighth": 0.5}.get(beat.findtext("beat-unit", ""))
                digits = "".join(c for c in beat.findtext("per-minute", "") if c.isdigit() or c == ".")
                if unit is not None and digits:
                    dots = len(beat.findall("beat-unit-dot"))
                    self.heading.tempo_bpm = float(digits) * unit * (2 - 0.5**dots)

    def _barline(self, measure: Measure, element: ET.Element) -> bool:
        """Repeats and endings; whether an ending closes."""
        if (repeat := element.find("repeat")) is not None:
            if repeat.get("direction") == "forward":
                measure.begins_repeat = True
            else:
                measure.ends_repeat = True
        if (ending := element.find("ending")) is None:
            return False
        if ending.get("type") == "start":
            numbers = [int(n) for n in ending.get("number", "").replace(" ", "").split(",") if n]
            self.ending = frozenset(n for n in numbers if 0 < n < 100)
        return ending.get("type") in ("stop", "discontinue")


def _first_voice(part: ET.Element) -> str | None:
    """The voice that the tune is in: of the first staff, the first that sounds in most of the measures that sound."""
    count: Counter[str] = Counter()
    for measure in part.findall("measure"):
        count.update({_voice(note) for note in _sounding(measure)})
    if not count:
        return None
    most = max(count.values())
    return min(voice for voice, n in count.items() if n >= 0.5 * most)


def _sounding(measure: ET.Element) -> Iterator[ET.Element]:
    return (
        note for note in measure.findall("note")
        if note.find("pitch") is not None and note.findtext("staff", "1").strip() == "1"
    )  # fmt: skip


def _voice(note: ET.Element) -> str:
    return note.findtext("voice", "1").strip()


def _is_ours(note: ET.Element, voice: str | None) -> bool:
    return note.findtext("staff", "1").strip() == "1" and _voice(note) == voice


def _chord(element: ET.Element) -> Chord | None:
    """A chord symbol; degrees that are added or altered are passed over."""
    kind = element.find("kind")
    name = (kind.text or "").strip() if kind is not None else ""
    if name == "none":
        return Chord(0, None)
    root = element.find("root")
    if root is None:
        raise InputError("a chord symbol has no root (numerals and functions are not read)")
    tone = _tone(root, "root")
    if name not in _QUALITIES:
        raise InputError(f"{name!r} is no kind of chord in MusicXML")
    bass = element.find("bass")
    lowest = None if bass is None else _tone(bass, "bass")
    return Chord(0, tone, _QUALITIES[name], None if lowest == tone else lowest)


def _tone(element: ET.Element, name: str) -> int:
    alter = round(float(element.findtext(f"{name}-alter", "0")))
    return (NATURALS[element.findtext(f"{name}-step", "").strip()] + alter) % 12


def _positive(text: str, *, zero: bool = False) -> Fraction:
    if re.fullmatch(r"\s*\d{1,9}(\.\d{0,9})?\s*", text) is None:  # Fraction would also take 1e999999999
        raise ValueError(f"{text.strip()[:20]!r}")
    number = Fraction(text.strip())
    if number == 0 and not zero:
        raise ValueError("0")
    return number
