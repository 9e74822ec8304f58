"""Chords as musicians type them, read and written."""

from __future__ import annotations

import re

import pytest
from kit import random_plan

from muse.errors import InputError
from muse.theory.chord_symbols import QUALITIES, Chord, parse_chord
from muse.theory.chord_text import parse_chords, write_chords


def read(text: str, size: int = 16, beat: int = 4) -> list[str]:
    """Each bar as ``symbol@place`` words."""
    return [" ".join(f"{c.symbol}@{c.position}" for c in bar) for bar in parse_chords(text, size, beat).bars]


@pytest.mark.parametrize(
    ("text", "bars"),
    [
        ("Am F C G", ["Am@0", "F@0", "C@0", "G@0"]),
        ("Am | F G | C", ["Am@0", "F@0 G@8", "C@0"]),
        ("| Dm7 G7 | Cmaj7 |", ["Dm7@0 G7@8", "Cmaj7@0"]),
        ("Am/C | %", ["Am/C@0", "Am/C@0"]),
        ("| C | | G |", ["C@0", "C@0", "G@0"]),
        ("C || G |]", ["C@0", "G@0"]),
        ("C |\nF |\n\nG", ["C@0", "F@0", "G@0"]),
        ("C / / G | F", ["C@0 G@12", "F@0"]),
        ("C | / / G /", ["C@0", "C@0 G@8"]),
        ("Am / / / F / C /", ["Am@0", "F@0 C@8"]),
        ("C F G | G", ["C@0 F@8 G@12", "G@0"]),
        ("Am - F - C", ["Am@0", "F@0", "C@0"]),
        ("Am-F-C-7", ["Am@0", "F@0", "Cm7@0"]),
        ("Am, F → C", ["Am@0", "F@0", "C@0"]),
        ("|: Am | F :| C", ["Am@0", "F@0", "Am@0", "F@0", "C@0"]),
        ("C | ? | N.C.", ["C@0", "", "N.C.@0"]),
        ("am f#dim", ["Am@0", "F#dim@0"]),
    ],
)
def test_what_is_typed_is_what_is_meant(text: str, bars: list[str]) -> None:
    assert read(text) == bars


def test_compound_meters_count_dotted_quarters() -> None:
    assert read("C G | C F G", 12, 6) == ["C@0 G@6", "C@0 F@4 G@8"]
    assert read("C G | C", 12, 4) == ["C@0 G@8", "C@0"]  # 3/4: the first lasts longer


def test_sections_have_labels() -> None:
    found = parse_chords("C | [A] Am | F\n[Chorus] C | G |", 16, 4)
    assert found.sections == (("I", 1), ("A", 2), ("Chorus", 2))
    assert parse_chords("[A] C F [B] G", 16, 4).sections == (("A", 2), ("B", 1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no chord; write for example"),
        ("| |", "no chord to repeat"),
        ("C | Fx | G", "bar 2: 'Fx': quality 'x' is unknown, did you mean F?"),
        ("Cmaj8", "bar 1: .* did you mean Cmaj7?"),
        ("H7", "for H write B"),
        ("% | C", "bar 1: there is no chord to repeat"),
        ("/ / C / | G", "holds the chord before it, and there is none"),
        ("C D E F G A B C D | C", "it has 9 chords; a bar of this meter holds 8"),
        ("C / G | C", "3 marks do not fill the bar evenly; write 4 or 8"),
        ("C / / G C /", "bar 2 has 2 beats written out and the meter 4"),
        ("C [A] F | G", "stands within bar 1"),
        ("C ] F", "is no chord"),
        ("C | " * 5000, "5,000 bars, more than 4,000"),
        ("C" * 200_000, "characters"),
    ],
)
def test_what_is_no_chord_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=re.compile(message)) as error:
        parse_chords(text, 16, 4)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 250 or len(text) > 250


def test_chords_are_read_back_as_they_were() -> None:
    n_chords = 0
    for seed in range(150):
        plan = random_plan(seed)
        if not any(bar.chords for bar in plan.bars):
            continue
        size, beat = plan.bar_length, 6 if plan.time_signature[1] == 8 and plan.time_signature[0] % 3 == 0 else 4
        bars = [bar.chords for bar in plan.bars]
        for fifths in (None, -5, 6):
            again = parse_chords(write_chords(bars, size, beat, sections=plan.sections, fifths=fifths), size, beat)
            assert list(again.bars) == bars
            assert again.sections == plan.sections
        n_chords += sum(map(len, bars))
    assert n_chords > 500


def test_roots_are_spelled_by_the_key() -> None:
    assert Chord(0, 1, "maj7", 8).spelled(-5) == "Dbmaj7/Ab"
    assert Chord(0, 1, "m").spelled(4) == "C#m"
    assert Chord(0, 1).spelled() == "C#"
    for fifths in range(-7, 8):
        for root in range(12):
            assert parse_chord(Chord(0, root, "m7").spelled(fifths)).root == root


@pytest.mark.parametrize(
    ("symbol", "plain"),
    [("G13", "G7"), ("Cadd9", "C"), ("Dm9", "Dm7"), ("Fmaj9", "Fmaj7"), ("G7sus4", "Gsus4"), ("C6/9", "C6"),
     ("Bm7b5", "Bm7b5"), ("E7#9", "E7"), ("AmMaj7", "Am"), ("C5", "C"), ("G9/B", "G7/B")],
)  # fmt: skip
def test_richer_chords_are_simplified_where_that_is_wanted(symbol: str, plain: str) -> None:
    assert parse_chord(symbol, simplify=True) == parse_chord(plain)
    assert plain == symbol or parse_chord(plain).quality in QUALITIES
    with pytest.raises(InputError, match="Gfoo"):
        parse_chord("Gfoo", simplify=True)
