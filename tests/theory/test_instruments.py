"""The table of instruments and their names."""

from __future__ import annotations

import pytest

from muse.errors import InputError
from muse.theory import (
    instrument_families,
    instrument_name,
    instrument_words,
    instruments,
    parse_instrument,
)

NAMES = [one.name for one in instruments()[:128]]
ROLES = {"melody", "harmony", "bass", "drums", "effect"}


def test_every_general_midi_name_is_its_program() -> None:
    assert len(NAMES) == len(set(NAMES)) == 128
    assert [parse_instrument(name) for name in NAMES] == list(range(128))
    assert [parse_instrument(instrument_name(program)) for program in range(129)] == list(range(129))


def test_general_midi_landmarks() -> None:
    """Oracle: pretty_midi's table."""
    from pretty_midi import program_to_instrument_class, program_to_instrument_name

    for program, word in [(0, "piano"), (24, "nylon"), (40, "violin"), (56, "trumpet"), (73, "flute"), (104, "sitar")]:
        assert word in NAMES[program]
        assert word in program_to_instrument_name(program).casefold()
    classes = {program_to_instrument_class(p).casefold() for p in range(128)}
    assert len(instrument_families()) == len(classes) == 16


def test_families_and_common_words() -> None:
    xmidi = [
        "piano",
        "xylophone",
        "organ",
        "guitar",
        "bass",
        "violin",
        "harp",
        "string",
        "trumpet",
        "tuba",
        "sax",
        "flute",
        "lead",
        "pad",
        "pipa",
        "guzheng",
        "drum",
    ]
    assert all(0 <= parse_instrument(word) <= 128 for word in (*xmidi, *instrument_words()))
    assert parse_instrument("violins") == 40
    assert parse_instrument("Electric Guitar (Clean)") == parse_instrument("electric guitar") == 27


@pytest.mark.parametrize("bad", ["129", -1, 129, "", "zzz", None, 1.5, True])
def test_what_is_no_instrument(bad: object) -> None:
    with pytest.raises(InputError, match=r"instrument|program"):
        parse_instrument(bad)  # type: ignore[arg-type]


def test_every_row_of_the_table_is_whole() -> None:
    assert [one.program for one in instruments()] == list(range(129))
    families = list(instrument_families())
    for one in instruments():
        assert 0 <= one.low <= one.usual_low < one.usual_high <= one.high <= 127, one.name
        assert 1 <= one.polyphony <= 12, one.name
        assert one.roles and set(one.roles) <= ROLES, one.name
        assert one.family == ("drums" if one.program == 128 else families[one.program // 8]), one.name
    for family, program in instrument_families().items():
        # Who asks for strings means a section, which General MIDI counts among the ensembles.
        assert instruments()[program].family == ("ensemble" if family == "strings" else family)


def test_no_word_means_two_instruments() -> None:
    words = [word for one in instruments() for word in one.aliases]
    assert len(words) == len(set(words))


@pytest.mark.parametrize(
    ("name", "low", "high", "polyphony"),
    [
        ("acoustic grand piano", 21, 108, 10),  # A0 to C8, ten fingers
        ("violin", 55, 103, 2),  # from the open G string, G3
        ("viola", 48, 91, 2),
        ("cello", 36, 84, 2),
        ("acoustic guitar (nylon)", 40, 83, 6),  # six strings from E2
        ("flute", 59, 98, 1),
        ("bassoon", 34, 77, 1),
        ("orchestral harp", 24, 103, 8),  # both hands without little fingers
    ],
)
def test_ranges_of_well_known_instruments(name: str, low: int, high: int, polyphony: int) -> None:
    one = instruments()[parse_instrument(name)]
    assert (one.low, one.high, one.polyphony) == (low, high, polyphony)


@pytest.mark.parametrize("bad", ["+-5", "9" * 5000, "²"])
def test_odd_numbers_are_refused_in_words(bad: str) -> None:
    with pytest.raises(InputError, match="instrument"):
        parse_instrument(bad)
