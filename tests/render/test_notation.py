"""Notation: every note is on the page once, at its place, and the page adds up."""

from __future__ import annotations

import re
import warnings
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import music21
import numpy as np
import pytest

from muse.errors import InputError
from muse.render import engrave, musicxml, write_sheet
from muse.render.written import DIVISIONS
from muse.score import DRUMS, NOTE_DTYPE, Score, bar_grid, from_notes, note_array
from muse.theory import spell

Row = tuple[float, float, int]


def piece(rows: list[Row], program: int = 0, meter: tuple[int, int] = (4, 4), velocity: int = 80) -> Score:
    """(onset in beats, duration in beats, pitch) as a score."""
    notes = np.array([(on, dur, on / 2, dur / 2, pitch, velocity, program, 0) for on, dur, pitch in rows], NOTE_DTYPE)
    return from_notes(notes, time_signature=meter)


def random_piece(seed: int) -> Score:
    """Notes anywhere, of any length, up to many at once, for several instruments, in one of several meters."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 150))
    notes = np.zeros(n, NOTE_DTYPE)
    notes["onset_beat"] = rng.uniform(0, 12, n) if seed % 2 else rng.integers(0, 96, n) / 8 + rng.integers(0, 24, n) / 3
    notes["duration_beat"] = rng.choice([0.01, 0.1, 1 / 3, 0.5, 0.7, 1, 1.5, 2.3, 4, 9], n)
    notes["pitch"], notes["velocity"] = rng.integers(20, 109, n), rng.integers(1, 128, n)
    notes["track"] = rng.integers(0, 3, n)
    notes["program"] = np.array([0, 40, DRUMS])[notes["track"]]
    drums = notes["program"] == DRUMS
    notes["pitch"][drums] = rng.choice([36, 38, 42, 46, 49], drums.sum())
    meter = [(4, 4), (3, 4), (6, 8), (7, 8), (5, 16), (2, 2), (12, 8)][seed % 7]
    return from_notes(notes, time_signature=meter)


def read(data: bytes) -> list[tuple[str, int, int, int]]:
    """(id, part, onset in divisions, MIDI pitch or -1) of every note with an id, after checking that all voices of all
    bars are full."""
    found = []
    for number, part in enumerate(ET.fromstring(data).findall("part")):
        bar_start = 0
        for measure in part.findall("measure"):
            place, lengths, last = 0, set(), 0
            for element in measure:
                duration = int(element.findtext("duration", "0"))
                if element.tag == "backup":
                    lengths.add(place)
                    assert duration == place
                    place = 0
                elif element.tag == "note":
                    if element.find("chord") is None:
                        last, place = place, place + duration
                    if name := element.get("id"):
                        found.append((name, number, bar_start + last, midi_pitch(element)))
            lengths.add(place)
            assert len(lengths) == 1
            bar_start += place
    return found


def midi_pitch(note: ET.Element) -> int:
    if (pitch := note.find("pitch")) is None:
        return -1
    steps = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
    return (
        12 * (int(pitch.findtext("octave", "")) + 1)
        + steps[pitch.findtext("step", "")]
        + int(pitch.findtext("alter", "0"))
    )


@pytest.mark.parametrize("seed", range(28))
def test_every_note_stands_once_at_its_place(seed: int) -> None:
    score = random_piece(seed)
    notes = note_array(score)
    found = read(musicxml(score))
    assert sorted(int(name[1:]) for name, *_ in found) == list(range(len(notes)))
    track_of_part = sorted(set(notes["track"].tolist()))
    for name, part, onset, pitch in found:
        note = notes[int(name[1:])]
        assert track_of_part[part] == note["track"]
        assert pitch == (-1 if note["program"] == DRUMS else note["pitch"])
        assert abs(onset / DIVISIONS - note["onset_beat"]) <= 1 / 6 + 1e-3  # half a step of a triplet


@pytest.mark.parametrize("seed", range(4))
def test_music21_reads_the_same_notes_without_a_warning(seed: int, tmp_path: Path) -> None:
    score = random_piece(seed)
    notes = note_array(score)
    write_sheet(score, tmp_path / "a.musicxml")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parsed = music21.converter.parse(tmp_path / "a.musicxml")
    heard: Counter[int] = Counter()
    strokes = 0
    for element in parsed.flatten().notes:
        for one in element.notes if "Chord" in element.classSet or "PercussionChord" in element.classSet else [element]:
            if one.tie is None or one.tie.type == "start":
                if "Unpitched" in one.classSet:
                    strokes += 1
                else:
                    heard[one.pitch.midi] += 1
    tuned = notes["program"] != DRUMS
    assert heard == Counter(notes["pitch"][tuned].tolist())
    assert strokes == (~tuned).sum()


@pytest.mark.parametrize("seed", range(4))
def test_every_note_is_in_the_picture(seed: int) -> None:
    score = random_piece(seed)
    data = engrave(score, "svg")
    drawn = set(re.findall(r'id="n(\d+)" class="note"', data.decode()))
    assert drawn == {str(i) for i in range(len(note_array(score)))}
    assert data == engrave(score, "svg")


def test_a_piano_has_two_staves_and_a_violin_one() -> None:
    rows: list[Row] = [(0, 4, 48), (0, 1, 72), (1, 1, 74), (2, 2, 76)]
    piano = ET.fromstring(musicxml(piece(rows)))
    assert piano.findtext(".//staves") == "2"
    staff = {midi_pitch(note): note.findtext("staff") for note in piano.iter("note") if note.find("pitch") is not None}
    assert staff == {48: "2", 72: "1", 74: "1", 76: "1"}
    assert [clef.findtext("sign") for clef in piano.iter("clef")] == ["G", "F"]
    violin = ET.fromstring(musicxml(piece(rows[1:], program=40)))
    assert violin.find(".//staves") is None and len(list(violin.iter("clef"))) == 1


def values(data: bytes) -> list[tuple[str, int]]:
    """Name and dots of each note value; rests in brackets."""
    return [
        (
            f"({note.findtext('type')})" if note.find("rest") is not None else note.findtext("type", ""),
            len(note.findall("dot")),
        )
        for note in ET.fromstring(data).iter("note")
    ]


def test_values_ties_and_rests() -> None:
    data = musicxml(piece([(0, 1.5, 60), (1.5, 0.5, 62), (3, 3, 64)], program=73))
    assert values(data) == [
        ("quarter", 1), ("eighth", 0), ("(quarter)", 0), ("quarter", 0), ("half", 0), ("(half)", 0),
    ]  # fmt: skip
    ties = [[tie.get("type") for tie in note.findall("tie")] for note in ET.fromstring(data).iter("note")]
    assert ties == [[], [], [], ["start"], ["stop"], []]


def test_triplets_are_triplets_and_sixteenths_are_beamed() -> None:
    data = musicxml(
        piece(
            [(0, 1 / 3, 60), (1 / 3, 1 / 3, 62), (2 / 3, 1 / 3, 64), (1, 0.5, 65), (1.5, 0.25, 67), (1.75, 0.25, 69)],
            73,
        )
    )
    notes = [note for note in ET.fromstring(data).iter("note") if note.find("pitch") is not None]
    assert [note.findtext("time-modification/actual-notes") for note in notes] == ["3", "3", "3", None, None, None]
    assert [tuplet.get("type") for note in notes for tuplet in note.iter("tuplet")] == ["start", "stop"]
    assert [[beam.text for beam in note.findall("beam")] for note in notes] == [
        ["begin"], ["continue"], ["end"], ["begin"], ["continue", "begin"], ["end", "end"],
    ]  # fmt: skip


def test_six_eight_is_beamed_in_threes() -> None:
    data = musicxml(piece([(i / 2, 0.5, 60 + i) for i in range(6)], 73, meter=(6, 8)))
    assert [note.findtext("beam") for note in ET.fromstring(data).iter("note")] == ["begin", "continue", "end"] * 2


def test_overlapping_notes_get_a_voice_each() -> None:
    root = ET.fromstring(musicxml(piece([(0, 4, 72), (1, 1, 76), (2, 2, 77)], 40)))
    voices = {midi_pitch(note): note.findtext("voice") for note in root.iter("note") if note.find("pitch") is not None}
    assert voices[72] != voices[76] == voices[77]
    assert values(musicxml(piece([(0, 4, 72), (1, 1, 76), (2, 2, 77)], 40)))[0] == ("whole", 0)


def test_loudness_becomes_dynamics() -> None:
    rows: list[Row] = [(4 * bar, 4, 60) for bar in range(4)]
    score = piece(rows, 73)
    for bar, velocity in enumerate((50, 52, 110, 110)):
        score.tracks[0].notes[bar].velocity = velocity
    marks = {
        measure.get("number"): [mark.tag for mark in measure.find(".//dynamics") or []]
        for measure in ET.fromstring(musicxml(score)).iter("measure")
    }
    assert marks == {"1": ["p"], "2": [], "3": ["ff"], "4": []}


@pytest.mark.parametrize(
    ("pitch", "fifths", "name"),
    [
        (60, 0, ("C", 0, 4)), (61, 0, ("C", 1, 4)), (63, 0, ("E", -1, 4)), (66, 0, ("F", 1, 4)), (68, 0, ("G", 1, 4)),
        (70, 0, ("B", -1, 4)), (61, -4, ("D", -1, 4)), (71, -6, ("C", -1, 5)), (65, 6, ("E", 1, 4)),
        (66, 6, ("F", 1, 4)), (60, 7, ("B", 1, 3)), (64, -5, ("F", -1, 4)), (0, 0, ("C", 0, -1)),
    ],
)  # fmt: skip
def test_pitches_are_spelled_by_the_key(pitch: int, fifths: int, name: tuple[str, int, int]) -> None:
    assert spell(pitch, fifths) == name


@pytest.mark.parametrize("fifths", range(-7, 8))
def test_spelling_gives_the_pitch_back(fifths: int) -> None:
    steps = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
    for pitch in range(128):
        step, alter, octave = spell(pitch, fifths)
        assert 12 * (octave + 1) + steps[step] + alter == pitch


@pytest.mark.parametrize(
    ("key", "fifths"),
    [("C", 0), ("Am", 0), ("F#", 6), ("Gb", -6), ("D#m", 6), ("Ebm", -6), ("C#", 7), ("Cb", -7), ("G minor", -2)],
)
def test_the_key_that_was_asked_for_is_the_signature(key: str, fifths: int) -> None:
    assert ET.fromstring(musicxml(piece([(0, 1, 60)]), key=key)).findtext(".//fifths") == str(fifths)


def test_accidentals_stand_where_a_reader_needs_them() -> None:
    rows: list[Row] = [(0, 1, 66), (1, 1, 66), (2, 1, 65), (3, 1, 66), (4, 1, 66), (5, 1, 78)]
    notes = [
        note
        for note in ET.fromstring(musicxml(piece(rows, 40), key="C")).iter("note")
        if note.find("pitch") is not None
    ]
    assert [note.findtext("accidental") for note in notes] == ["sharp", None, "natural", "sharp", "sharp", "sharp"]


def test_chord_symbols_stand_at_their_beats() -> None:
    data = musicxml(piece([(0, 8, 60)]), chords=[(0, "Am"), (2, "F#m7"), (4, "C/E")])
    found = [
        (harmony.findtext("root/root-step"), harmony.findtext("root/root-alter"), harmony.findtext("kind"),
         harmony.findtext("bass/bass-step"), harmony.findtext("offset"))
        for harmony in ET.fromstring(data).iter("harmony")
    ]  # fmt: skip
    assert found == [
        ("A", None, "minor", None, None),
        ("F", "1", "minor-seventh", None, "48"),
        ("C", None, "major", "E", None),
    ]
    with pytest.raises(InputError, match="unknown chord 'H7'"):
        musicxml(piece([(0, 8, 60)]), chords=[(0, "H7")])


def test_a_title_is_text_and_no_markup(tmp_path: Path) -> None:
    title = "<script>alert(1)</script> & \x00co"
    score = piece([(0, 1, 60)])
    data = engrave(score, "svg", title=title)
    assert b"<script" not in data
    root = ET.fromstring(musicxml(score, title=title))
    assert root.findtext("work/work-title") == "<script>alert(1)</script> & co"


def test_sheets_on_paper(tmp_path: Path) -> None:
    song = piece([(0, 1, 60), (1, 1, 64)], 40)
    write_sheet(song, tmp_path / "a.pdf", title="Sad")
    write_sheet(song, tmp_path / "b.pdf", title="Sad")
    data = (tmp_path / "a.pdf").read_bytes()
    assert data.startswith(b"%PDF-") and data == (tmp_path / "b.pdf").read_bytes()
    assert re.search(rb"/MediaBox \[ ?0 0 595\.27\d* 841\.8\d* ?\]", data)  # A4 in points
    with pytest.raises(InputError, match=r"a\.doc: a sheet is \.musicxml or .* not '\.doc'"):
        write_sheet(song, tmp_path / "a.doc")
    with pytest.raises(InputError, match="not 'doc'"):
        engrave(song, "doc")


def test_bars_are_those_of_the_score() -> None:
    for seed in range(7):
        score = random_piece(seed)
        grid = bar_grid(score)
        for part in ET.fromstring(musicxml(score)).findall("part"):
            assert len(part.findall("measure")) == grid.n_bars
