"""Notation: a score as MusicXML, which notation programs open.

music21 is loaded by the function that needs it.

Contents: :func:`write_musicxml`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from muse.errors import InputError
from muse.files import write_bytes
from muse.score import Score, note_array
from muse.theory import TONIC_NAMES, Key, estimate_key

if TYPE_CHECKING:
    from music21.stream import Score as Sheet

__all__ = ["SHEET_SUFFIXES", "write_musicxml"]

SHEET_SUFFIXES = (".musicxml", ".xml")

_ENCODING_DATE = re.compile(rb"\s*<encoding-date>[^<]*</encoding-date>")


def write_musicxml(score: Score, path: str | Path, *, title: str | None = None) -> None:
    """Write a score as MusicXML, which notation programs open.

    Notes are put on sixteenths and triplets, the finest that notation keeps readable; tempo, meter and instruments are
    kept, and the estimated key becomes the key signature. The same score and title give the same bytes.

    Parameters
    ----------
    score
        Any score with notes.
    path
        Ends in .musicxml or .xml.
    title
        Heading of the sheet; the file name without ending when None.

    Raises
    ------
    InputError
        The ending is another one, the score has no notes, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in SHEET_SUFFIXES:
        raise InputError(f"{path}: a sheet is {' or '.join(SHEET_SUFFIXES)}, not {path.suffix!r}")
    notes = note_array(score)
    if not len(notes):
        raise InputError(f"{path}: a score without notes gives no sheet")
    from music21.metadata import Metadata
    from music21.midi import MidiFile
    from music21.midi.translate import midiFileToStream
    from music21.musicxml.m21ToXml import GeneralObjectExporter

    midi = MidiFile()
    midi.readstr(score.dumps_midi())
    sheet = midiFileToStream(midi, quarterLengthDivisors=(4, 3))
    sheet.metadata = Metadata(title=title or path.stem, composer="Muse")
    _set_key(sheet, estimate_key(notes))
    _number_parts(sheet)
    write_bytes(path, _ENCODING_DATE.sub(b"", GeneralObjectExporter(sheet).parse(), count=1))


def _set_key(sheet: Sheet, found: Key | None) -> None:
    """Put the key found in the place of all key signatures."""
    from music21 import key

    for part in sheet.parts:
        for old in list(part.recurse().getElementsByClass(key.KeySignature)):
            part.remove(old, recurse=True)
        if found is not None:
            first = part.getElementsByClass("Measure").first() or part
            tonic = TONIC_NAMES[found.mode][found.tonic].replace("b", "-")  # as music21 writes a flat
            first.insert(0, key.Key(tonic, found.mode))


def _number_parts(sheet: Sheet) -> None:
    """Give parts and their instruments numbers for names, as music21 takes random ones."""
    from music21.instrument import Instrument

    for n, part in enumerate(sheet.parts, 1):
        part.id = f"P{n}"
        for k, instrument in enumerate(part.recurse().getElementsByClass(Instrument), 1):
            instrument.partId = f"P{n}"
            instrument.instrumentId = f"P{n}-I{k}"
