"""Chords as musicians type them: ``Am | F G | C``, ``Am F C G``, ``| C / / G7 | % | ? |``.

Conventions
-----------
mark
    A chord symbol, or ``/`` for a beat more of the chord in force. Marks of a bar share it evenly; where that does not
    come out in beats (of compound meters dotted quarters, else quarters) the first ones last a beat longer, and where
    there are more marks than beats they are eighths.
bars
    Parted by ``|``, ``||`` or the end of a line. Without any bar line each symbol has a bar; where there are slashes
    each mark is a beat. ``%`` or an empty bar repeats the bar before, ``?`` is a bar that says nothing; ``|:`` and
    ``:|`` enclose what is played twice.
sections
    ``[A]`` or ``[Chorus]`` before a bar begins a section.
between symbols
    Spaces, commas, dashes or arrows: ``Am - F - C - G``, ``Am-F-C-G``, ``Am, F``.

Positions are counted in sixteenths, as in :mod:`muse.theory.chord_symbols`.

Contents: :func:`parse_chords`, :func:`write_chords`, :class:`ChordBars`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from muse.errors import InputError
from muse.theory.chord_symbols import Chord, parse_chord

__all__ = ["ChordBars", "parse_chords", "write_chords"]

REPEAT, OPEN, BEAT = "%", "?", "/"
_EXAMPLE: Final = "write for example Am | F | C G | Am"
_LONGEST: Final = 100_000
"""Characters, far more than a song needs."""
_MOST_BARS: Final = 4000
_TOKEN: Final = re.compile(r"\[([^\]\[|\n]*)\]|:\|+:|::|:\|+|\|+:|\|+\]?|\n|[^\s|\[\]:]+|[\[\]:]")
_BETWEEN: Final = re.compile(r"[,;]|->|[–—−→]|(?<=\s)-(?=\s)|(?<=[^\s|/-])-(?=[A-G])")


@dataclass(frozen=True)
class ChordBars:
    """Chords by bars, and the sections that they were in."""

    bars: tuple[tuple[Chord, ...], ...]
    """By position; the first stands at 0. Empty where a bar says nothing."""
    sections: tuple[tuple[str, int], ...]
    """Label and number of bars, in order; empty where no label was written. What stands before the first label is
    section ``I``, the introduction."""


@dataclass
class _Cell:
    """What is written between two bar lines."""

    marks: list[str]
    label: str | None = None


def parse_chords(text: str, size: int, beat: int) -> ChordBars:
    """Read chords as they are typed.

    Parameters
    ----------
    text
        See the module's conventions.
    size
        Sixteenths a bar.
    beat
        Sixteenths a beat.

    Raises
    ------
    InputError
        No chord, a symbol that is none (the message names the nearest), or more marks than a bar has eighths.
    """
    if len(text) > _LONGEST:
        raise InputError(f"the chords have {len(text):,} characters, more than {_LONGEST:,}: cut them into pieces")
    cells = _cells(text, size, beat)
    if not cells:
        raise InputError(f"no chord; {_EXAMPLE}")
    if len(cells) > _MOST_BARS:
        raise InputError(f"the chords have {len(cells):,} bars, more than {_MOST_BARS:,}: cut them into pieces")
    bars: list[tuple[Chord, ...]] = []
    for number, cell in enumerate(cells, start=1):
        try:
            bars.append(_bar(cell.marks, bars, size, beat))
        except InputError as error:
            raise InputError(f"bar {number}: {error}") from None
    starts = {i: cell.label for i, cell in enumerate(cells) if cell.label}
    if starts:
        starts.setdefault(0, "I")
    edges = [*sorted(starts), len(cells)]
    return ChordBars(tuple(bars), tuple((str(starts[a]), b - a) for a, b in pairwise(edges)))


def _cells(text: str, size: int, beat: int) -> list[_Cell]:
    has_lines = "|" in text
    cells: list[_Cell] = []
    marks: list[str] = []
    label: str | None = None
    again, after_line = 0, False
    for token in _TOKEN.finditer(_BETWEEN.sub(" ", text)):
        word = token.group()
        if word.startswith("[") and token.group(1) is not None:
            if marks and has_lines:
                raise InputError(f"{word} stands within bar {len(cells) + 1}; put it before a bar")
            label = token.group(1).strip() or None
            marks += [] if has_lines else [word]
        elif word == "\n" or "|" in word or word == "::":
            if not has_lines:
                continue
            is_sign = word != "\n"
            if marks or (is_sign and after_line and ":" not in word and label is None):
                cells.append(_Cell(marks, label))
                marks, label = [], None
            if word.startswith(":"):
                cells += cells[again:]
            if ":" in word:
                again = len(cells)
            after_line = is_sign and ":" not in word
            continue
        else:
            marks.append(word)
        after_line = False
    if has_lines:
        return [*cells, _Cell(marks, label)] if marks else cells
    return _without_lines(marks, max(size // beat, 1))


def _without_lines(words: Sequence[str], n_beats: int) -> list[_Cell]:
    """Cells where nobody drew bar lines: of a symbol each, or of as many marks as a bar has beats."""
    each = n_beats if BEAT in words else 1
    cells: list[_Cell] = []
    label: str | None = None
    for word in words:
        if word.startswith("["):
            label = word[1:-1].strip() or None
        elif label is None and cells and len(cells[-1].marks) < each:
            cells[-1].marks.append(word)
        else:
            cells.append(_Cell([word], label))
            label = None
    for number, cell in enumerate(cells, start=1):
        if len(cell.marks) < each:
            raise InputError(
                f"bar {number} has {len(cell.marks)} beats written out and the meter {each}: add slashes, or draw bar "
                "lines |"
            )
    return cells


def _bar(marks: Sequence[str], before: Sequence[tuple[Chord, ...]], size: int, beat: int) -> tuple[Chord, ...]:
    if not marks or list(marks) == [REPEAT]:
        if not before:
            raise InputError(f"there is no chord to repeat; {_EXAMPLE}")
        return before[-1]
    if list(marks) == [OPEN]:
        return ()
    finest = size // _finest(size)
    if len(marks) > finest:
        raise InputError(f"it has {len(marks)} chords; a bar of this meter holds {finest}")
    places = _places(len(marks), size, beat)
    if BEAT in marks and len({b - a for a, b in zip(places, [*places[1:], size], strict=True)}) > 1:
        beats = " or ".join(dict.fromkeys((str(size // beat), str(finest))))
        raise InputError(f"{' '.join(marks)}: {len(marks)} marks do not fill the bar evenly; write {beats}")
    chords = [replace(parse_chord(m), position=p) for m, p in zip(marks, places, strict=True) if m != BEAT]
    if marks[0] == BEAT:
        held = next((bar[-1] for bar in reversed(before) if bar), None)
        if held is None:
            raise InputError(f"a slash holds the chord before it, and there is none; {_EXAMPLE}")
        chords.insert(0, replace(held, position=0))
    return tuple(chords)


def _finest(size: int) -> int:
    """Sixteenths of the shortest mark: an eighth, in bars that eighths do not fill a sixteenth."""
    return 1 if size % 2 else 2


def _places(n: int, size: int, beat: int) -> list[int]:
    """Where `n` marks of a bar stand."""
    step = beat if size % beat == 0 and n <= size // beat else _finest(size)
    each, more = divmod(size // step, n)
    lengths = [(each + (i < more)) * step for i in range(n)]
    return [sum(lengths[:i]) for i in range(n)]


def write_chords(
    bars: Sequence[Sequence[Chord]],
    size: int,
    beat: int,
    *,
    sections: Sequence[tuple[str, int]] = (),
    fifths: int | None = None,
) -> str:
    """Chords as text that :func:`parse_chords` reads back, where they stand on eighths; others are put there.

    Parameters
    ----------
    bars, size, beat, sections
        As :func:`parse_chords` has them.
    fifths
        Key signature by which roots are spelled; see :meth:`muse.theory.chord_symbols.Chord.spelled`.
    """
    cells = [_cell(bar, size, beat, fifths) for bar in bars]
    if len(cells) == 1 and " " in cells[0]:
        cells[0] = f"| {cells[0]} |"
    if not sections:
        return " | ".join(cells)
    lines, start = [], 0
    for label, n in sections:
        plain = re.sub(r"[^\w .'-]", "", label) or "I"
        lines.append(f"[{plain}] " + " | ".join(cells[start : start + n]))
        start += n
    return "\n".join(line if "|" in line else line + " |" for line in lines)


def _cell(bar: Sequence[Chord], size: int, beat: int, fifths: int | None) -> str:
    if not bar:
        return OPEN
    names = [chord.spelled(fifths) for chord in bar]
    places = [chord.position for chord in bar]
    if _places(len(bar), size, beat) == places:
        return " ".join(names)
    step = beat if size % beat == 0 and all(place % beat == 0 for place in places) else _finest(size)
    marks = [BEAT] * (size // step)
    for name, place in zip(names, places, strict=True):
        marks[min(place // step, len(marks) - 1)] = name
    return " ".join(marks)
