"""Lead sheets: the same plan after writing and reading, other programs' reading of it, and what is no lead sheet."""

from __future__ import annotations

import contextlib
import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import music21
import numpy as np
import pytest
import symusic
from kit import random_plan

from muse.errors import InputError
from muse.intent import Intent
from muse.score import DRUMS, NOTE_DTYPE, Score, from_notes, note_array, read_score, write_score
from muse.sheets import (
    block_chords,
    extract_plan,
    parse_abc,
    parse_musicxml,
    read_plan,
    read_tune,
    write_abc,
    write_plan,
)
from muse.theory.chord_symbols import Chord
from muse.tokens.plan import Bar, Note, Plan
from muse.tokens.plan_form import follow
from muse.tokens.tune import tune_notes

SONG = Plan(
    (
        Bar((Chord(0, 1), Chord(6, 8, "7", 0)), (Note(0, 68, 3), Note(3, 70, 2), Note(6, 72, 5), Note(12, 73, 10))),
        Bar((Chord(0, None), Chord(8, 6, "m7b5")), (Note(7, 68, 3),)),
        Bar((), (Note(0, 61, 16),)),
        Bar((Chord(0, 1, "maj7"),)),
    ),
    tonic=1,
    sections=(("A", 2), ("Coda", 2)),
    tempo_bpm=96,
)


@pytest.mark.parametrize("ending", [".abc", ".musicxml", ".json"])
def test_files_hold_all_that_a_plan_says(tmp_path: Path, ending: str) -> None:
    for seed in range(30):
        plan = random_plan(seed)
        write_plan(plan, tmp_path / f"a{ending}")
        assert read_plan(tmp_path / f"a{ending}") == plan, seed
    write_plan(plan, tmp_path / f"b{ending}", title="a")
    assert (tmp_path / f"b{ending}").read_bytes() == (tmp_path / f"a{ending}").read_bytes()


def heard(stream: music21.stream.Stream) -> list[tuple[float, int, float]]:
    """(onset, pitch, length) in sixteenths; tied notes joined."""
    out: list[tuple[float, int, float]] = []
    is_tied = False
    for note in stream.flatten().notes:
        if isinstance(note, music21.harmony.Harmony):
            continue
        onset, pitch, length = 4 * float(note.offset), note.pitch.midi, 4 * float(note.quarterLength)
        if is_tied and out[-1][1] == pitch:
            out[-1] = (out[-1][0], pitch, out[-1][2] + length)
        else:
            out.append((onset, pitch, length))
        is_tied = note.tie is not None and note.tie.type in ("start", "continue")
    return out


def symbols(stream: music21.stream.Stream) -> list[tuple[float, set[int]]]:
    """(sixteenth, pitch classes) of the chord symbols."""
    found = stream.flatten().getElementsByClass(music21.harmony.Harmony)
    return [
        (4 * float(c.offset), set() if isinstance(c, music21.harmony.NoChord) else {p.pitchClass for p in c.pitches})
        for c in found
    ]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("format", ["musicxml", "abc"])
def test_music21_reads_the_same(tmp_path: Path, format: str) -> None:
    for seed in range(20):
        plan = random_plan(seed)
        path = tmp_path / f"{seed}.{format}"
        write_plan(plan, path)
        stream = music21.converter.parse(path.read_text(encoding="utf-8"), format=format)
        assert heard(stream) == [(n.position, n.pitch, n.length) for n in tune_notes(plan)]
        size = plan.bar_length
        assert symbols(stream) == [
            (b * size + c.position, {*c.pitch_classes, *([] if c.bass is None else [c.bass])})
            for b, bar in enumerate(plan.bars)
            for c in bar.chords
        ]
        (meter,) = stream.flatten().getElementsByClass(music21.meter.TimeSignature)
        assert (meter.numerator, meter.denominator) == plan.time_signature
        (key,) = stream.flatten().getElementsByClass(music21.key.Key)
        assert (key.tonic.pitchClass, key.mode) == (plan.tonic, plan.mode)


def test_which_bar_follows_which_is_kept_until_bars_are_edited() -> None:
    bar = Bar((Chord(0, 0),), (Note(0, 60, 8), Note(8, 64, 8)))
    plan = Plan((bar, bar, replace(bar, melody_lag=1, melody_exact=False, chords_lag=2)))
    text = write_abc(plan)
    assert parse_abc(text) == plan
    edited = parse_abc(text.replace("C8", "D8", 1))
    assert edited == follow(edited)
    assert (edited.bars[2].melody_lag, edited.bars[2].melody_exact) == (1, True)


def test_an_engraved_lead_sheet_shows_chords_and_sections(tmp_path: Path) -> None:
    write_plan(SONG, tmp_path / "song.svg")
    text = (tmp_path / "song.svg").read_text(encoding="utf-8")
    words = [re.sub(r"\s+", " ", word).strip() for word in re.findall(r">([^<>]+)</", text)]
    for word in ("song", "Db", "Ab7/C", "N.C.", "Gbm7b5", "Dbmaj7", "A", "Coda", "?"):
        assert word in words, words
    for number in range(len(tune_notes(SONG))):
        assert text.count(f'id="n{number}"') == 1
    write_plan(SONG, tmp_path / "song.pdf")
    assert (tmp_path / "song.pdf").read_bytes().startswith(b"%PDF-")


def test_a_plan_can_be_heard(tmp_path: Path) -> None:
    write_plan(SONG, tmp_path / "song.mid")
    notes = note_array(read_score(tmp_path / "song.mid"))
    tune = notes[notes["velocity"] == 80]
    assert [(4 * n["onset_beat"], n["pitch"], 4 * n["duration_beat"]) for n in tune] == [
        (n.position, n.pitch, n.length) for n in tune_notes(SONG)
    ]
    first = notes[(notes["velocity"] == 60) & (notes["onset_beat"] == 0)]
    assert {int(p) % 12 for p in first["pitch"]} == {1, 5, 8}
    assert read_tune(tmp_path / "song.mid").bars[0].melody == SONG.bars[0].melody


HEAD = "X:1\nT:t\nM:4/4\nL:1/8\nK:{}\n"


def tune(plan: Plan) -> list[tuple[int, int, int]]:
    return [(n.position, n.pitch, n.length) for n in tune_notes(plan)]


@pytest.mark.parametrize(
    ("key", "music", "notes"),
    [
        ("C", "C2 D2 E2 F2 | G,4 c'4 |]", "0 60 4, 4 62 4, 8 64 4, 12 65 4, 16 55 8, 24 84 8"),
        ("D", "F2 =F2 f2 F2 | F8", "0 66 4, 4 65 4, 8 77 4, 12 65 4, 16 66 16"),  # until the bar line, in all octaves
        ("Eb dor", "A B c G z4", "0 68 2, 2 70 2, 4 72 2, 6 66 2"),
        ("C", "(3C3D3E3 z2|F>G A<B c/2d3/2 e/f/z|", "0 60 4, 4 62 4, 8 64 4, 16 65 3, 19 67 1, 20 69 1, 21 71 3, "
         "24 72 1, 25 74 3, 28 76 1, 29 77 1"),
        ("C", "C8- | C4 [CEG]4 |", "0 60 24, 24 67 8"),
        ("C", '{g}!f!.C4 (vD4) | "^rit." "Fine" E8 |', "0 60 8, 8 62 8, 16 64 16"),
        ("C", "[V:1] C8 & E4 F4 | [V:2] G8 | [V:1] D8 |", "0 60 16, 16 62 16"),
        ("C", "Z | C8 | % c8\nw: la\nD8 |", "16 60 16, 32 62 16"),
        ("C treble-8", "C8 |", "0 48 16"),
        ("C", "G2 | C8 | D8 |", "12 67 4, 16 60 16, 32 62 16"),  # pick-up
        ("C", "|: C8 |1 D8 :|2 E8 || F8 |", "0 60 16, 16 62 16, 32 60 16, 48 64 16, 64 65 16"),
        ("C", "G2 |: C8 | D6 :| E2 |", "12 67 4, 16 60 16, 32 62 12, 48 60 16, 64 62 12, 76 64 4"),
        ("C", "C8 :: D8 :|", "0 60 16, 16 60 16, 32 62 16, 48 62 16"),
    ],
)  # fmt: skip
def test_abc_as_people_write_it(key: str, music: str, notes: str) -> None:
    wanted = [tuple(map(int, note.split())) for note in notes.split(", ")]
    assert tune(parse_abc(HEAD.format(key) + music)) == wanted


def test_abc_says_more_than_notes() -> None:
    plan = parse_abc('X:1\nM:6/8\nQ:3/8=60\nK:F#m\n"F#m"C2|[P:A]"G13"C6|"D"C2"^x"D4|\nP:B\nE6|')
    assert plan.time_signature == (6, 8)
    assert plan.tempo_bpm == 90
    assert (plan.tonic, plan.mode) == (6, "minor")
    assert plan.sections == (("I", 1), ("A", 2), ("B", 1))
    assert str(plan).replace("\n", " | ") == "[I] N.C. / / / F#m / | | [A] G7 | D | [B] D |"
    assert parse_abc("X:1\nK:C\nC8|\nX:2\nK:D\nD8|").tonic == 0  # the first tune


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no line K:"),
        ("hello", "no line K:"),
        ("X:1\nK:C\n", "no bar of music"),
        ("X:1\nK:Q\nC", "line 2: K:Q is no key"),
        ("X:1\nM:none\nK:C\nC", "line 2: M:none is no meter"),
        ("X:1\nM:6/2\nK:C\nC", "6/2 cannot be planned"),
        ("X:1\nK:C\nC8|C@", "line 3: column 5: '@' is no music"),
        ("X:1\nK:C\nC8|C12|", "line 3: the bar holds 24 sixteenths and the meter 4/4 has 16"),
        ("X:1\nK:C\nC8|[M:3/4]C6|", "line 3: the meter changes from 4/4 to 3/4"),
        ("X:1\nQ:fast\nK:C\nC", "line 2: Q:fast is no tempo"),
        ('X:1\nK:C\n"Cmaj7x"C', "line 3: 'Cmaj7x': quality 'maj7x' is unknown, did you mean Cmaj7"),
        ("X:1\nK:C\nC/0", "no length"),
        ("X:1\nQ:1/4=9000\nK:C\nC8|", "tempo 9000"),
        ("X:1\nK:C\n" + "|: C8 :|\n" * 2500, "more than 4000 bars"),
        ("X:1\nK:C\nZ9999|", "bars of rest"),
    ],
)
def test_broken_abc_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.abc"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=re.escape(message)) as error:
        read_plan(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def xml(measures: str, before: str = "") -> bytes:
    return (
        f'<?xml version="1.0"?><!DOCTYPE score-partwise{before}><score-partwise><part-list/><part id="P1">{measures}'
        "</part></score-partwise>"
    ).encode()


def note(step: str, duration: int, *more: str) -> str:
    pitch = f"<pitch><step>{step}</step><octave>4</octave></pitch>"
    return f"<note>{''.join(more)}{pitch}<duration>{duration}</duration></note>"


ATTRIBUTES = (
    "<attributes><divisions>2</divisions><key><fifths>-1</fifths></key><time><beats>3</beats><beat-type>4</beat-type>"
    "</time></attributes>"
)


def test_musicxml_as_other_programs_write_it() -> None:
    data = xml(
        f'<measure number="0">{ATTRIBUTES}<direction><sound tempo="80"/></direction>{note("C", 2)}</measure>'
        '<measure number="1"><barline location="left"><repeat direction="forward"/></barline>'
        "<harmony><root><root-step>F</root-step></root><kind>major-ninth</kind><bass><bass-step>A</bass-step></bass>"
        f"</harmony>{note('A', 6)}{note('F', 6, '<chord/>')}<backup><duration>6</duration></backup>"
        f"<note><pitch><step>C</step><octave>3</octave></pitch><duration>1</duration><voice>2</voice></note></measure>"
        '<measure number="2"><barline location="left"><ending number="1" type="start"/></barline>'
        f"{note('D', 4)}<forward><duration>2</duration></forward><barline location='right'>"
        '<ending number="1" type="stop"/><repeat direction="backward"/></barline></measure>'
        '<measure number="3"><barline location="left"><ending number="2" type="start"/></barline>'
        f"{note('F', 6)}</measure>"
    )
    plan = parse_musicxml(data)
    assert tune(plan) == [(8, 60, 4), (12, 69, 12), (24, 62, 8), (36, 69, 12), (48, 65, 12)]
    assert str(plan) == "? | Fmaj7/A | Fmaj7/A | Fmaj7/A | Fmaj7/A"
    assert (plan.tonic, plan.mode, plan.tempo_bpm) == (5, "major", 80)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/container.xml", '<c><rootfiles><rootfile full-path="s.xml"/></rootfiles></c>')
        archive.writestr("s.xml", data)
    assert parse_musicxml(packed.getvalue()) == plan


BOMB = ' [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]'


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "this is no XML"),
        (b"<a>", "line 1, column 4: this is no XML"),
        (b"<html/>", "outermost element is <html>"),
        (b"<score-timewise/>", "by time"),
        (b"<a>" * 100, "nested too deeply"),
        (xml("<measure>&b;</measure>", BOMB), "defines an entity"),
        (xml("", ' [<!ENTITY e SYSTEM "file:///etc/passwd">]'), "defines an entity"),
        (xml(""), "no bar of music"),
        (xml(f'<measure number="7">{ATTRIBUTES}{note("C", 99)}</measure>'), "measure 7: the bar holds"),
        (xml(f'<measure number="7">{ATTRIBUTES}{note("H", 2)}</measure>'), "measure 7: a number or a name"),
        (xml(f'<measure number="7">{note("C", 2).replace(">2<", ">1e99999999<")}</measure>'), "measure 7: a number"),
        (xml("<measure><attributes><divisions>0</divisions></attributes></measure>"), "measure 1: a number"),
        (xml("<measure><harmony><kind>major</kind></harmony></measure>"), "has no root"),
        (xml(f"<measure>{ATTRIBUTES}</measure><measure>{ATTRIBUTES.replace('>3<', '>2<')}</measure>"), "meter changes"),
        (b"PK\x03\x04", "damaged"),
        (b"<a>" + b" " * 16_000_001, "more than 16,000,000 bytes"),
    ],
)
def test_broken_musicxml_is_one_clear_line(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as error:
        parse_musicxml(data)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("parse", [parse_abc, parse_musicxml])
def test_damaged_files_are_read_or_refused(tmp_path: Path, parse: Callable[..., Plan]) -> None:
    """Nothing but an :class:`InputError` comes of any damage."""
    rng = np.random.default_rng(5)
    n_read = 0
    for seed in range(50):
        write_plan(random_plan(seed % 20), tmp_path / "a.musicxml")
        text = (
            write_abc(random_plan(seed % 20)).encode() if parse is parse_abc else (tmp_path / "a.musicxml").read_bytes()
        )
        broken = bytearray(text)
        for _ in range(int(rng.integers(1, 6))):
            at = int(rng.integers(0, len(broken)))
            broken[at : at + int(rng.integers(0, 6))] = bytes(rng.integers(32, 127, int(rng.integers(0, 4))).tolist())
        with contextlib.suppress(InputError):
            parse(broken.decode() if parse is parse_abc else bytes(broken))
            n_read += 1
    assert 0 < n_read < 40


def test_files_of_other_kinds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"read from \.abc.* not '\.doc'"):
        read_plan(tmp_path / "a.doc")
    with pytest.raises(InputError, match=r"written as \.abc.* not '\.doc'"):
        write_plan(SONG, tmp_path / "a.doc")
    with pytest.raises(InputError, match=r"none\.abc: no such file"):
        read_plan(tmp_path / "none.abc")
    with pytest.raises(InputError, match="no ordinary file"):
        read_plan(_folder(tmp_path / "b.abc"))
    with pytest.raises(InputError, match="has no bars"):
        write_plan(Plan(()), tmp_path / "a.abc")
    (tmp_path / "c.json").write_text(json.dumps({"bars": [{"melody": [{"position": 0.5, "pitch": 60, "length": 1}]}]}))
    with pytest.raises(InputError, match=r"c\.json: .*0\.5 is no whole number"):
        read_plan(tmp_path / "c.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.abc", "c.json"]  # nothing half-written


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


# ------------------------------------------------------------------------------------------------------- from scores


def score(
    rows: list[tuple[float, float, int]], meter: tuple[int, int] = (4, 4), track: int = 0, program: int = 0
) -> Score:
    notes = np.zeros(len(rows), NOTE_DTYPE)
    notes["onset_beat"], notes["duration_beat"], notes["pitch"] = zip(*rows, strict=True)
    notes["velocity"], notes["program"], notes["track"] = 80, program, track
    return from_notes(notes, tempo_bpm=100, time_signature=meter)


def test_a_tune_is_read_from_a_score() -> None:
    rows = [(0.02, 0.9, 60), (1.0, 0.5, 64), (1.49, 2.4, 67), (4.0, 4.0, 72)]
    plan = read_tune(score(rows))
    assert tune(plan) == [(0, 60, 4), (4, 64, 2), (6, 67, 10), (16, 72, 16)]
    assert (plan.tempo_bpm, plan.key_name, plan.time_signature) == (100, "C", (4, 4))
    assert all(not bar.chords for bar in plan.bars)
    # Silent bars before it are left out, a rest within its first bar is not.
    assert tune(read_tune(score([(9, 1, 60), (10, 2, 62)]))) == [(4, 60, 4), (8, 62, 8)]
    # In another meter from the same first bar line.
    assert tune(read_tune(score(rows), time_signature=(3, 4)))[-1] == (16, 72, 8)
    with pytest.raises(InputError, match="no pitched note"):
        read_tune(score(rows, program=DRUMS))
    with pytest.raises(InputError, match="cannot be planned"):
        read_tune(score(rows, (7, 8)))


def test_the_key_of_a_tune_is_the_one_that_its_file_states(tmp_path: Path) -> None:
    rows = [(0, 1, 60), (1, 1, 64), (2, 1, 67), (3, 1, 72)]
    song = score(rows)
    assert read_tune(song).key_name == "C"  # that of the notes
    for fifths, tonality, name in ((-1, 0, "F"), (0, 1, "Am"), (3, 1, "F#m"), (-6, 0, "F#"), (7, 0, "Db")):
        stated = score(rows)
        stated.key_signatures.append(symusic.KeySignature(0, fifths, tonality))
        stated.key_signatures.append(symusic.KeySignature(960, 0, 0))  # it may change later
        write_score(stated, tmp_path / "a.mid")
        assert read_tune(tmp_path / "a.mid").key_name == name
    (tmp_path / "a.abc").write_text("X:1\nM:4/4\nL:1/4\nK:Em\nCEGc|")
    plan = read_tune(tmp_path / "a.abc")
    assert plan.key_name == "Em"
    assert replace(read_tune(block_chords(plan)), tempo_bpm=None) == plan  # as it goes through a request
    assert read_tune(tmp_path / "a.abc", time_signature=(2, 4)).key_name == "Em"


def test_c_major_and_no_tempo_in_a_midi_file_say_nothing(tmp_path: Path) -> None:
    tune = [(i, 1, pitch) for i, pitch in enumerate((62, 66, 69, 74, 73, 71, 69, 67, 66, 64, 61, 62))]
    default = score(tune)
    default.key_signatures.append(symusic.KeySignature(0, 0, 0))
    assert read_tune(default).key_name == "C"  # said by whoever made the score
    default.tempos.clear()
    write_score(default, tmp_path / "a.mid")
    plan = read_tune(tmp_path / "a.mid")
    assert (plan.key_name, plan.tempo_bpm) == ("D", None)
    (asked := block_chords(plan)).tempos.clear()  # as requests have it
    assert read_tune(Intent(melody=asked).melody) == plan


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ([], "Am"),
        ([(0, 0, 0)], "Am"),  # written by default
        ([(0, 3, 1)], "F#m"),  # minor is believed
        ([(0, 1, 0)], "Em"),  # nearer to the notes than G
        ([(0, -1, 0)], "F"),
        ([(0, 2, 1), (5, -3, 1)], "Bm"),  # at the start
    ],
)
def test_the_key_of_a_file_counts_where_it_can_be_believed(said: list[tuple[int, int, int]], found: str) -> None:
    pitches = (57, 60, 64, 69, 52, 56, 59, 64) * 4
    music = score([*((i, 1, pitch) for i, pitch in enumerate(pitches)), (32, 4, 57), (32, 4, 60), (32, 4, 64)])
    for beat, fifths, tonality in said:
        music.key_signatures.append(symusic.KeySignature(beat * music.ticks_per_quarter, fifths, tonality))
    assert extract_plan(music).key_name == found


def test_a_tune_in_triplets_stays_on_its_own_beats() -> None:
    """As a hummed one, whose beats are known: they are not looked for again."""
    rows = [(i / 3, 1 / 3, 60 + i % 5) for i in range(24)]
    plan = read_tune(score(rows))
    assert [note.position for note in plan.bars[0].melody] == [round(4 * i / 3) for i in range(12)]
    assert (len(plan.bars), plan.tempo_bpm) == (2, 100)


def test_a_pickup_stands_at_the_end_of_its_bar(tmp_path: Path) -> None:
    midi = score([(0, 1, 67), (1, 4, 60), (5, 4, 62)])
    midi.time_signatures[0].numerator = 1
    midi.time_signatures.append(type(midi.time_signatures[0])(480, 4, 4))
    with pytest.raises(InputError, match="meter changes"):
        read_tune(_changing())
    write_score(midi, tmp_path / "pickup.mid")
    assert tune(read_tune(tmp_path / "pickup.mid", time_signature=(4, 4)))[0] == (12, 67, 4)
    (tmp_path / "pickup.abc").write_text("X:1\nM:4/4\nL:1/4\nK:C\nG|C4|D4|")
    assert tune(read_tune(tmp_path / "pickup.abc"))[:2] == [(12, 67, 4), (16, 60, 16)]


def _changing() -> Score:
    midi = score([(0, 4, 60), (4, 3, 62), (7, 3, 64)])
    midi.time_signatures.append(type(midi.time_signatures[0])(4 * 480, 3, 4))
    return midi


def test_the_lead_sheet_of_a_piece_is_found() -> None:
    plan = replace(SONG, bars=tuple(Bar((Chord(0, root, q),), (Note(0, 72 + i, 8), Note(8, 76, 8)))
                   for i, (root, q) in enumerate([(0, ""), (9, "m"), (5, ""), (7, "7")] * 2)),
                   sections=(), tonic=0, tempo_bpm=120)  # fmt: skip
    found = extract_plan(block_chords(plan))
    assert [str(found).replace("\n", " | ").replace("[A] ", "").replace("[B] ", "")] == [str(plan)]
    assert tune(found) == tune(plan)
    assert (found.key_name, found.tempo_bpm, found.time_signature) == ("C", 120, (4, 4))
    unnamed = block_chords(plan)
    for track in unnamed.tracks:
        track.name = ""
    assert tune(extract_plan(unnamed)) == tune(plan)  # the top voice
    with pytest.raises(InputError, match="no pitched note"):
        extract_plan(score([(0, 1, 36)], program=DRUMS))
    with pytest.raises(InputError, match="meter that can be planned"):
        extract_plan(score([(0, 1, 60)], (7, 8)))
