"""Plans: text, JSON and ids both ways; form; measures."""

from __future__ import annotations

import json

import numpy as np
import pytest

from muse.errors import InputError
from muse.score import NOTE_DTYPE
from muse.theory.chord_symbols import QUALITIES, Chord, parse_chord
from muse.tokens.plan import LAGS, VOCABULARY, Bar, Note, Plan, Prefix, decode, encode, encode_prefix
from muse.tokens.plan_form import Buckets, find_sections, follow, measure, sections_from_text
from muse.tokens.tune import plan_of_tune


def tune(*places: tuple[int, int, int]) -> tuple[Note, ...]:
    return tuple(Note(*place) for place in places)


SONG = Plan(
    (
        Bar((Chord(0, 9, "m"), Chord(8, 5)), tune((0, 72, 4), (4, 71, 4), (8, 69, 8))),
        Bar((Chord(0, 0, "", 4),), tune((2, 67, 2), (6, 64, 10))),
        Bar((Chord(0, 9, "m"), Chord(8, 5)), tune((0, 72, 4), (4, 71, 4), (8, 69, 8))),
        Bar((Chord(0, None), Chord(4, 7, "7"))),
    ),
    tonic=9,
    mode="minor",
)


@pytest.mark.parametrize("quality", list(QUALITIES))
@pytest.mark.parametrize("root", ["C", "F#", "Bb"])
def test_symbols_are_read_as_they_are_written(root: str, quality: str) -> None:
    chord = parse_chord(f"{root}{quality}/D")
    assert parse_chord(chord.symbol) == chord


@pytest.mark.parametrize(
    ("symbol", "pitch_classes"),
    [("Am", {9, 0, 4}), ("G7", {7, 11, 2, 5}), ("Cmaj7", {0, 4, 7, 11}), ("F#°", {6, 9, 0}), ("Bø7", {11, 2, 5, 9})],
)
def test_symbols_have_the_tones_of_textbooks(symbol: str, pitch_classes: set[int]) -> None:
    assert set(parse_chord(symbol).pitch_classes) == pitch_classes


def test_unknown_symbols_name_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean Cmaj7"):
        parse_chord("Cmaj8")
    with pytest.raises(InputError, match="is no chord"):
        parse_chord("H")


def test_text_puts_chords_on_beats() -> None:
    plan = Plan.parse("Am | F | C G | % | C G Am F")
    assert [[c.position for c in bar.chords] for bar in plan.bars] == [[0], [0], [0, 8], [0, 8], [0, 4, 8, 12]]
    assert str(plan) == "Am | F | C G | C G | C G Am F"
    assert Plan.parse("Am F C G") == Plan.parse("Am|F|C|G")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("C F G C", (0, "major")),
        ("Am Dm E7 Am", (9, "minor")),
        ("D G A7 D", (2, "major")),
        ("Fm Bbm C7 Fm", (5, "minor")),
    ],
)
def test_chords_tell_the_key(text: str, key: tuple[int, str]) -> None:
    plan = Plan.parse(text)
    assert (plan.tonic, plan.mode) == key


def test_json_and_ids_both_ways() -> None:
    assert Plan.from_json(json.dumps(SONG.to_json())) == SONG
    followed = follow(SONG)
    ids = encode(followed, Prefix(mode="minor"))
    assert decode(ids, (4, 4), 9, "minor") == followed
    assert max(ids) < len(VOCABULARY)


@pytest.mark.parametrize("tonic", range(12))
def test_ids_do_not_know_the_key(tonic: int) -> None:
    here = encode(SONG, Prefix())
    # Octaves fold where the key moves by more than a tritone; the pitch classes never differ.
    there = encode(SONG.transposed(tonic - 9), Prefix())
    names = [VOCABULARY.spell(ids) for ids in (here, there)]
    chords = [[t for t in spelled if t.startswith(("Chord", "Bass"))] for spelled in names]
    assert chords[0] == chords[1]
    pitches = [[int(t[6:]) % 12 for t in spelled if t.startswith("Pitch_")] for spelled in names]
    assert pitches[0] == pitches[1]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"bars": [{"chords": [{"position": 4, "root": 0}]}]}, "increasing places from 0"),
        ({"bars": [{"melody": [{"position": 0, "pitch": 200, "length": 1}]}]}, "pitches 0..127"),
        ({"bars": [{"chords": [{"position": 0, "root": 0, "quality": "x"}]}]}, "unknown chord quality"),
        ({"bars": [], "tonic": 12}, "tonic 0..11"),
        ({"bars": [], "time_signature": [13, 4]}, "at most 24"),
        ({}, "no plan in JSON"),
        ("[", "no plan in JSON"),
    ],
)
def test_faulty_plans_are_refused(value: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Plan.from_json(value)  # type: ignore[arg-type]


def test_a_prefix_is_always_as_long() -> None:
    lengths = {len(encode_prefix(p)) for p in (Prefix(), Prefix(mode="major", genre="pop", controls={"rests": 3}))}
    assert len(lengths) == 1


def test_bars_follow_what_they_repeat() -> None:
    bars = follow(SONG).bars
    assert (bars[2].melody_lag, bars[2].melody_exact, bars[2].chords_lag) == (2, True, 2)
    assert all(bar.melody_lag == 0 for bar in (bars[0], bars[1], bars[3]))
    assert {bar.melody_lag for bar in bars} <= {0, *LAGS}


def test_sections_get_letters() -> None:
    a = tuple(Bar((Chord(0, 0),), tune((0, 60 + i, 4), (8, 62, 4))) for i in range(8))
    b = tuple(Bar((Chord(0, 5),), tune((2, 70 - i, 2), (6, 65, 4))) for i in range(8))
    assert find_sections(Plan((*a, *a, *b, *a))).form == "AABA"


def test_forms_share_out_the_bars() -> None:
    assert sections_from_text("AABA", 32) == (("A", 8), ("A", 8), ("B", 8), ("A", 8))
    assert sections_from_text("A8 B16", 24) == (("A", 8), ("B", 16))
    assert sum(n for _, n in sections_from_text("ABAC", 30)) == 30
    for form, n_bars in (("A4B4", 12), ("A?", 8), ("ABCD", 3), ("A4B", 8)):
        with pytest.raises(InputError, match="form"):
            sections_from_text(form, n_bars)


def test_measures_of_a_tune_that_can_be_counted() -> None:
    got = measure(SONG)
    assert got["note_density"] == pytest.approx(8 / 16)
    assert got["pitch_range"] == 72 - 64
    assert got["rests"] == pytest.approx(1 - (16 + 12 + 16) / 64)
    assert got["chord_changes"] == pytest.approx(6 / 4 - 1 / 4)  # seven symbols, six of them another than before
    assert got["chromatic"] == 0


def test_buckets_split_evenly() -> None:
    buckets = Buckets.fit([{"a": float(i)} for i in range(600)])
    counts = [0] * 6
    for i in range(600):
        counts[buckets.of({"a": float(i)})["a"]] += 1
    assert max(counts) - min(counts) <= 2
    assert buckets.of({"a": float("nan"), "b": 1.0}) == {}


def test_a_tune_becomes_bars() -> None:
    notes = np.zeros(4, NOTE_DTYPE)
    notes["onset_beat"], notes["duration_beat"] = [0, 0, 1.02, 4.5], [1, 2, 4, 1]
    notes["pitch"], notes["velocity"] = [60, 64, 67, 72], 80
    plan = plan_of_tune(notes)
    # Of two at once the higher leads; a note ends where the next begins.
    assert [bar.melody for bar in plan.bars] == [tune((0, 64, 4), (4, 67, 14)), tune((2, 72, 4))]
    with pytest.raises(InputError, match="no pitched note"):
        plan_of_tune(notes[:0])
    with pytest.raises(InputError, match="cannot be planned"):
        plan_of_tune(notes, (7, 16))
