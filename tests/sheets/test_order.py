"""The order in which measures are played: parts, jumps and endings, as music21 expands them."""

from __future__ import annotations

from pathlib import Path

import music21
import pytest
from music21 import repeat

from muse.errors import InputError
from muse.sheets import parse_abc, parse_musicxml
from muse.sheets.order import mark, parse_parts

HEAD = "X:1\nM:4/4\nL:1/4\n"
LETTERS = {60: "C", 62: "D", 64: "E", 65: "F", 67: "G", 69: "A", 71: "B", 72: "c"}

# What stands in each measure, marks of the beginning before its note and of the end behind it; what music21 calls them.
SHEETS = {
    "D.C. al Fine": ["C", "D !fine!", "E", "F !D.C.!"],
    "D.S. al Fine": ["C", "!segno! D", "E !fine!", "F", "G !D.S.!"],
    "D.C.": ["C", "D", "E !D.C.!"],
    "D.C. al Coda": ["C", "D !dacoda!", "E", "F !D.C.!", "!coda! G", "A"],
    "D.S. al Coda": ["C", "!segno! D", "E !dacoda!", "F !D.S.!", "!coda! G"],
}
THEIRS = {
    "!fine!": repeat.Fine, "!segno!": repeat.Segno, "!coda!": repeat.Coda, "!dacoda!": repeat.Coda,
    "D.C. al Fine": repeat.DaCapoAlFine, "D.S. al Fine": repeat.DalSegnoAlFine, "D.C.": repeat.DaCapo,
    "D.C. al Coda": repeat.DaCapoAlCoda, "D.S. al Coda": repeat.DalSegnoAlCoda,
}  # fmt: skip


def letters(plan_or_stream: object) -> str:
    if isinstance(plan_or_stream, music21.stream.Stream):
        return "".join(LETTERS[note.pitch.midi] for note in plan_or_stream.flatten().notes)
    return "".join(LETTERS[note.pitch] for bar in plan_or_stream.bars for note in bar.melody)  # type: ignore[attr-defined]


def their_sheet(name: str) -> music21.stream.Part:
    part = music21.stream.Part()
    for number, content in enumerate(SHEETS[name], start=1):
        measure = music21.stream.Measure(number=number)
        if number == 1:
            measure.append(music21.meter.TimeSignature("4/4"))
        words = content.split()
        letter = next(word for word in words if word in LETTERS.values())
        measure.append(music21.note.Note(f"{letter}4", quarterLength=4))
        for word in words:
            if word in ("!D.C.!", "!D.S.!"):
                measure.append(THEIRS[name]())
            elif word.startswith("!"):
                measure.insert(4.0 if words.index(word) > words.index(letter) else 0.0, THEIRS[word]())
        part.append(measure)
    return part


@pytest.mark.parametrize("name", SHEETS)
def test_jumps_lead_where_music21_goes(name: str, tmp_path: Path) -> None:
    part = their_sheet(name)
    expected = letters(part.expandRepeats())
    assert len(expected) > len(SHEETS[name]) or name == "D.C. al Coda"
    abc = " | ".join(content.replace(" !", "4 !").rstrip("!") + "!" * content.endswith("!") for content in SHEETS[name])
    bars = [content if "4" in content else content.rstrip() + "4" for content in abc.split(" | ")]
    assert letters(parse_abc(HEAD + "K:C\n" + " | ".join(bars) + " |]\n")) == expected
    path = part.write("musicxml", tmp_path / "a.musicxml")
    assert letters(parse_musicxml(Path(path).read_bytes())) == expected


def tune(body: str, *heading: str) -> str:
    return letters(parse_abc("\n".join([HEAD.rstrip(), *heading, "K:C", body]) + "\n"))


def test_marks_are_read_in_the_ways_that_people_write_them() -> None:
    for text in (
        'C4 | D4 "^Fine" | E4 "^D.C. al Fine" |]',
        "C4 | D4 +fine+ | E4 | !D.C.! |]",
        'C4|D4 "_fine"|E4|!dacapo!',
    ):
        assert tune(text) == "CDECD"
    assert tune('C4 | S D4 | E4 "^To Coda" | F4 "^D.S. al Coda" | O G4 |]') == "CDEFDEG"
    assert tune('C "^Segno" | D4 | E4 "^Segno" "_D.S." |]') == "CDEDE"  # a sign behind notes is the next bar's
    assert [mark(words) for words in ("dal segno al coda", "D. S.", "Da  Capo", "DC", "Fine.", "Dm", "D")] == [
        "D.S.", "D.S.", "D.C.", "D.C.", "fine", None, None,
    ]  # fmt: skip


def test_repeats_are_taken_once_and_the_last_ending_counts_after_a_jump() -> None:
    assert tune("|: C4 |1 D4 :|2 E4 | F4 !fine! | G4 !D.C.! |]") == "CDCEFGCEF"


def test_parts_are_played_in_the_order_of_the_heading() -> None:
    body = "P:A\n|: C4 :|\nP:B\nD4 | E4 |]\nP:C\nF4 |]"
    assert tune(body, "P:ABAC") == "CCDECCF"
    assert tune(body, "P:(AB)2C") == "CCDECCDEF"
    assert tune(body) == "CCDEF"
    plan = parse_abc(HEAD + "P:BA\nK:C\nP:A\nC4|\nP:B\nD4|\n")
    assert plan.sections == (("B", 1), ("A", 1))
    assert parse_parts("A2.((BC)2A)2") == tuple("AABCBCABCBCA")


@pytest.mark.parametrize(
    ("body", "heading", "message"),
    [
        ("C4 | D4 !D.S.! |]", (), "line 5: a jump needs one segno before it, and there are none"),
        ("C4 !fine! | D4 !fine! | E4 !D.C.! |]", (), "needs one Fine, and there are 2"),
        ("C4 !D.C.! | D4 !D.C.! |]", (), "a second jump"),
        ("C4 !dacoda! | D4 !D.C.! |]", (), "needs one coda behind it, and there are none"),
        ("C4 !D.C.! | D4 |]", (), "music stands behind the jump"),
        ("C4 !fine! | S D4 !D.S.! |]", (), "Fine stands before the segno"),
        ("P:A\nC4 |]", ("P:AB",), "names B: write P:B where it begins"),
        ("P:A\nC4 | D4 !D.C.! |]", ("P:AA",), "a jump back beside an order of parts"),
        ("P:A\nC4 |\nP:A\nD4 |]", ("P:AA",), "a second part A"),
        ("C4 |\nP:A\nD4 |]", ("P:A",), "music before the first part"),
        ("C4 |]", ("P:A(B",), "a parenthesis that is not closed"),
        ("C4 |]", ("P:A+B",), "is no order of parts"),
        ("C4 |]", ("P:((((A99)99)99)99)",), "more than 400 parts"),
    ],
)
def test_what_leads_nowhere_is_refused(body: str, heading: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError) as caught:
        tune(body, *heading)
    assert message in str(caught.value)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "bar",
    [
        "(3CDE F2",
        "(3C2D2E2",
        "(3:2:3C2D2E2",
        "(3::2C2E G2",
        "(3CzE F2",
        "(3[CE]DE F2",
        "(6CDECDE G2",
        "(5CDEFG A2",
        "(3C>DE FG",
    ],
)
def test_tuplets_are_as_long_as_music21_says(bar: str) -> None:
    """Onsets on the sixteenths of a plan, of several on one the highest."""
    text = f"X:1\nM:4/4\nL:1/4\nK:C\n{bar} |]\n"
    found = [(note.position, note.pitch) for note in parse_abc(text).bars[0].melody]
    stream = music21.converter.parse(text, format="abc").flatten().notes
    theirs: dict[int, int] = {}
    for note in stream:
        place, pitch = round(4 * float(note.offset)), max(p.midi for p in note.pitches)
        theirs[place] = max(pitch, theirs.get(place, 0))
    assert found == sorted(theirs.items())
