"""Measures as they stand on a sheet, and the order in which they are played.

Repeats and their endings are written out; so are parts in the order that a heading gives (``P:AABA`` in ABC), and one
jump back: ``D.C.`` or ``D.S.``, to ``Fine``, over to the coda, or else to the end. After the jump repeats are not
taken again, and of endings the last is played, as musicians do.

Contents: :class:`WrittenNote`, :class:`Measure`, :data:`AT_END`, :func:`mark`, :func:`parse_parts`, :func:`in_order`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from muse.errors import InputError
from muse.theory.chord_symbols import Chord

__all__ = ["AT_END", "Measure", "WrittenNote", "in_order", "mark", "parse_parts"]

MAX_BARS: Final = 4000
"""Bars after repeats; the longest piece that we know has under 3000."""
_MAX_PARTS: Final = 400


@dataclass(frozen=True)
class WrittenNote:
    """A note, or a part of one that is tied."""

    onset: Fraction
    pitch: int
    length: Fraction
    is_tied: bool = False
    """To the next note of its pitch."""


@dataclass
class Measure:
    """What is written between two bar lines."""

    where: str
    """In the file, for messages: ``"line 12"``."""
    length: Fraction = Fraction(0)
    notes: list[WrittenNote] = field(default_factory=list)
    chords: list[tuple[Fraction, Chord | None]] = field(default_factory=list)
    """Place and symbol; None leaves the harmony of the bar open."""
    label: str | None = None
    """Of the section that begins here."""
    begins_repeat: bool = False
    ends_repeat: bool = False
    endings: frozenset[int] = frozenset()
    """The times that it is played, where it belongs to an ending; empty: always."""
    marks: frozenset[str] = frozenset()
    """Of ``segno`` and ``coda`` (the sign stands at its beginning), ``segno behind``, ``to coda``, ``fine``, ``D.C.``
    and ``D.S.`` (at its end)."""


AT_END: Final = {"coda": "to coda", "segno": "segno behind"}
"""What signs mean behind notes: there one leaves for the coda, or the next measure begins with them."""
_JUMP: Final = re.compile(r"(?:(d\.?\s?c\.?|da\s?capo)|(?:d\.?\s?s\.?|dal\s?segno))(?:\s+al\s+.*)?")
_NAMES: Final = {
    "segno": "segno",
    "coda": "coda",
    "fine": "fine",
    "end": "fine",
    "to coda": "to coda",
    "dacoda": "to coda",
}


def mark(words: str) -> str | None:
    """The mark that some words mean, as :attr:`Measure.marks` has them: ``D.S. al Fine``, ``To Coda``, ``dacapo``; None
    for other words."""
    text = " ".join(words.lower().split()).strip(" .")
    if found := _JUMP.fullmatch(text):
        return "D.C." if found[1] else "D.S."
    return _NAMES.get(text)


def parse_parts(text: str) -> tuple[str, ...]:
    """Parts in the order in which they are played: ``AABA``, ``A2BA``, ``((AB)3.C)2``.

    Raises
    ------
    InputError
        It is no such order, or has hundreds of parts.
    """
    open_: list[list[str]] = [[]]
    last: list[str] = []
    for token in re.findall(r"\d+|\S", text.replace(".", " ").replace(",", " ")):
        if token.isdigit() and last and 1 <= int(token) <= _MAX_PARTS:
            open_[-1] += last * (int(token) - 1)
            last = []
        elif token == "(":
            open_.append([])
            last = []
        elif token == ")" and len(open_) > 1:
            last = open_.pop()
            open_[-1] += last
        elif token.isascii() and token.isalpha():
            last = [token]
            open_[-1] += last
        else:
            raise InputError(f"P:{text} is no order of parts; write for example P:AABA or P:(AB)2C")
        if len(open_[-1]) > _MAX_PARTS:
            raise InputError(f"P:{text} has more than {_MAX_PARTS} parts")
    if len(open_) > 1:
        raise InputError(f"P:{text} has a parenthesis that is not closed")
    return tuple(open_[0])


def in_order(measures: Sequence[Measure], parts: Sequence[str] = ()) -> list[Measure]:
    """Measures as they are played.

    Parameters
    ----------
    measures
        As they are written.
    parts
        Their labels in the order in which they are played; empty: as they are written.

    Raises
    ------
    InputError
        A part, a sign or an end that is named is missing or there twice, or it takes thousands of bars.
    """
    jumps = [i for i, measure in enumerate(measures) if measure.marks & {"D.C.", "D.S."}]
    if parts:
        if jumps:
            raise InputError(f"{measures[jumps[0]].where}: a jump back beside an order of parts: write out one of them")
        table = _parts(measures)
        if missing := sorted(set(parts) - set(table)):
            raise InputError(f"the order of parts names {missing[0]}: write P:{missing[0]} where it begins")
        played = [measure for part in parts for measure in _repeated(table[part])]
    elif jumps:
        played = _jumped(measures, jumps)
    else:
        played = _repeated(measures)
    if len(played) > MAX_BARS:
        raise InputError(f"with its repeats it has more than {MAX_BARS} bars: cut it into pieces")
    return played


def _parts(measures: Sequence[Measure]) -> dict[str, list[Measure]]:
    """Measures by the letter of their part."""
    table: dict[str, list[Measure]] = {}
    part: list[Measure] = []
    for measure in measures:
        if measure.label:
            letter = measure.label.split()[0]
            if letter in table:
                raise InputError(f"{measure.where}: a second part {letter}; the order of parts needs one of each")
            part = table.setdefault(letter, [])
        elif not table:
            raise InputError(f"{measure.where}: music before the first part, in an order of parts: write P:A before it")
        part.append(measure)
    return table


def _jumped(measures: Sequence[Measure], jumps: Sequence[int]) -> list[Measure]:
    """Measures up to the jump, then from where it leads."""
    where, jump = measures[jumps[0]].where, jumps[0]

    def only(name: str, places: Sequence[int]) -> int:
        if len(places) != 1:
            raise InputError(f"{where}: a jump needs one {name}, and there are {len(places) or 'none'}: write it out")
        return places[0]

    if len(jumps) > 1:
        raise InputError(f"{measures[jumps[1]].where}: a second jump (D.C. or D.S.): write it out")
    at = {name: [i for i, m in enumerate(measures) if name in m.marks] for name in ("segno", "fine", "to coda", "coda")}
    start = 0
    if "D.S." in measures[jump].marks:
        behind = [i + 1 for i, measure in enumerate(measures[:jump]) if "segno behind" in measure.marks]
        start = only("segno before it", [*(i for i in at["segno"] if i <= jump), *behind])
    out = _repeated(measures[: jump + 1])
    codas = [i for i in at["coda"] if i > jump]
    leaves = [i + 1 for i in at["to coda"] if i <= jump] or [i for i in at["coda"] if i <= jump]
    if codas or leaves:
        coda, leave = only("coda behind it", codas), only("place before it to go to the coda from", leaves)
        return [*out, *_once(measures[start:leave]), *_once(measures[coda:])]
    if at["fine"]:
        stop = only("Fine", at["fine"]) + 1
    else:
        stop = len(measures)
        if jump + 1 < stop:
            raise InputError(
                f"{where}: music stands behind the jump, and no Fine or coda says where it leads: write it out"
            )
    if stop <= start:
        raise InputError(f"{where}: Fine stands before the segno: write it out")
    return [*out, *_once(measures[start:stop])]


def _once(measures: Sequence[Measure]) -> list[Measure]:
    """Measures without repeats: of endings that follow each other the last."""
    out: list[Measure] = []
    for i, measure in enumerate(measures):
        last = 0
        for later in measures[i:]:
            if not later.endings:
                break
            last = max(last, *later.endings)
        if not measure.endings or last in measure.endings:
            out.append(measure)
    return out


def _repeated(measures: Sequence[Measure]) -> list[Measure]:
    """Measures with their repeats written out."""
    out: list[Measure] = []
    i = start = 0
    time = 1
    while i < len(measures):
        measure = measures[i]
        after_ending = i > 0 and measures[i - 1].endings and not measure.endings
        if i != start and (measure.begins_repeat or (after_ending and time > 1)):
            start, time = i, 1
        if not measure.endings or time in measure.endings:
            out.append(measure)
            if len(out) > MAX_BARS:
                raise InputError(f"with its repeats it has more than {MAX_BARS} bars: cut it into pieces")
            if measure.ends_repeat and time < _n_times(measures, start, i):
                i, time = start, time + 1
                continue
            if measure.ends_repeat:
                start, time = i + 1, 1
        i += 1
    return out


def _n_times(measures: Sequence[Measure], start: int, stop: int) -> int:
    """How often a repeat is played: twice, or as often as it has endings."""
    last = max((n for m in measures[start : stop + 1] for n in m.endings), default=2)
    for measure in measures[stop + 1 :]:
        if not measure.endings or measure.begins_repeat:
            break
        last = max(last, *measure.endings)
    return max(last, 2)
