"""Pictures and notation: what is drawn is what the score holds."""

from __future__ import annotations

import math
import re
import resource
import struct
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from muse.errors import InputError
from muse.mapping import AttributeTarget
from muse.render import (
    asked_against_measured,
    emotion_curves,
    emotion_plane,
    piano_roll,
    signed_bars,
    write_musicxml,
)
from muse.score import NOTE_DTYPE, Score, from_notes, note_array, write_score


def svg_text(data: bytes) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", data.decode())


def test_png_is_a_picture_and_written_whole(song: Score, tmp_path: Path) -> None:
    path = tmp_path / "roll.png"
    data = piano_roll(song, path, title="sad")
    assert path.read_bytes() == data
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", data[16:24])
    assert (width, height) == imread(path).shape[1::-1]
    assert [p.name for p in tmp_path.iterdir()] == ["roll.png"]  # no half-written neighbor stays


def test_heading_axes_and_legend_say_what_the_score_is(song: Score) -> None:
    words = svg_text(piano_roll(song, format="svg", title="sad"))
    heading = next(text for text in words if text.startswith("sad"))
    assert "96 BPM" in heading
    assert "4/4" in heading
    assert "A minor" in heading
    assert [str(bar) for bar in range(1, 9)] == [text for text in words if text.isdigit()]
    assert {"C2", "C3", "C4", "C5"} <= set(words)
    assert {"Acoustic Grand Piano", "Acoustic Bass", "Drums"} <= set(words)


def test_one_box_per_note(song: Score) -> None:
    root = ET.fromstring(piano_roll(song, format="svg"))
    group = next(g for g in root.iter("{http://www.w3.org/2000/svg}g") if g.get("id", "").startswith("PolyCollection"))
    boxes = [path for path in group.iter("{http://www.w3.org/2000/svg}path") if path.get("clip-path")]
    assert len(boxes) == len(note_array(song))


def test_louder_is_darker() -> None:
    def lightness(velocity: int) -> float:
        notes = np.array([(0, 4, 0, 2, 60, velocity, 0, 0)], dtype=NOTE_DTYPE)
        style = re.search(
            r"PolyCollection.*?fill: #([0-9a-f]{6})", piano_roll(from_notes(notes), format="svg").decode(), re.S
        )
        assert style
        return sum(bytes.fromhex(style[1]))

    assert lightness(120) < lightness(80) < lightness(20)


def test_a_title_is_shown_as_it_is_written(song: Score) -> None:
    title = r"$\frac$ 5 $"  # no mathematics, though matplotlib reads dollars as such
    assert any(text.startswith(title) for text in svg_text(piano_roll(song, format="svg", title=title)))
    flat = np.zeros((3, 2))
    assert title in svg_text(emotion_curves(np.arange(3.0), flat, flat, format="svg", title=title))


@pytest.mark.parametrize("format", ["png", "svg"])
def test_same_score_same_bytes(song: Score, format: str) -> None:
    assert piano_roll(song, format=format) == piano_roll(song, format=format)


def test_a_score_without_notes_gives_an_empty_grid() -> None:
    assert "bar" in svg_text(piano_roll(from_notes(np.empty(0, NOTE_DTYPE)), format="svg"))


def test_who_was_asked_and_does_not_play_is_marked_and_chords_stand_above(song: Score) -> None:
    data = piano_roll(song, format="svg", asked=(0, 73), chords=[(0, "Am"), (4, "F#m7"), (400, "G")], key="C major")
    words = svg_text(data)
    assert "Flute (does not play)" in words and "Acoustic Grand Piano" in words
    assert words.index("Am") < words.index("F#m7") and "G" not in words
    assert any(text.endswith("C major") for text in words)


TARGET = AttributeTarget(("tempo", "$density$"), (60.0, 2.0), (50.0, 1.0), (70.0, 3.0), (1, 2), (0.5, 1.0))


def test_asked_stands_beside_measured_the_heaviest_first(tmp_path: Path) -> None:
    path = tmp_path / "asked.svg"
    data = asked_against_measured(TARGET, {"tempo": 75.0, "$density$": math.nan}, path)
    assert path.read_bytes() == data
    words = svg_text(data)
    assert words.index("$density$") < words.index("tempo")
    assert {"50 – 70; measured 75", "1 – 3; measured undefined"} <= set(words)
    assert "tempo" not in svg_text(asked_against_measured(TARGET, {}, format="svg", n_most=1))


def test_points_lie_where_their_numbers_say() -> None:
    points = {"asked": [(-0.5, 0.5)], "heard": [(0.5, -0.5)]}
    data = emotion_plane(points, format="svg").decode()
    assert {"asked", "heard", "valence", "arousal"} <= set(svg_text(data.encode()))
    places = dict(
        zip(
            points,
            re.findall(r'<use [^>]*x="([\d.]+)" y="([\d.]+)" style="[^"]*#(?:0072b2|d55e00)', data),
            strict=False,
        )
    )
    assert float(places["asked"][0]) < float(places["heard"][0])  # valence to the right
    assert float(places["asked"][1]) < float(places["heard"][1])  # arousal upwards


def test_long_scores_number_fewer_bars() -> None:
    notes = np.zeros(200, dtype=NOTE_DTYPE)
    notes["onset_beat"], notes["duration_beat"], notes["pitch"], notes["velocity"] = np.arange(200) * 4, 1, 60, 64
    numbers = [int(text) for text in svg_text(piano_roll(from_notes(notes), format="svg")) if text.isdigit()]
    assert numbers == list(range(1, 200, 8))


@pytest.mark.parametrize("name", ["roll.jpg", "roll", "roll.mid"])
def test_other_formats_are_refused(song: Score, tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"is \.png or \.svg"):
        piano_roll(song, tmp_path / name)


def test_missing_folder_is_named(song: Score, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere.*cannot be written"):
        piano_roll(song, tmp_path / "nowhere" / "roll.png")


BARS = (["tempo: 62 bpm", "50 % of $5", "all"], {"sad < > calm": [-1.25, 0.5, -0.75], "low < > high": [0.0, 2.0, 2.0]})


def test_signed_bars_show_every_number_beside_its_label(tmp_path: Path) -> None:
    path = tmp_path / "bars.svg"
    data = signed_bars(*BARS, path, title="song.mid")
    assert path.read_bytes() == data == signed_bars(*BARS, format="svg", title="song.mid")
    words = svg_text(data)
    assert {"song.mid", "sad &lt; &gt; calm", "low &lt; &gt; high", *BARS[0]} <= set(words)
    assert [word for word in words if re.fullmatch(r"[+-]\d\.\d\d", word)] == [
        "-1.25", "+0.50", "-0.75", "+0.00", "+2.00", "+2.00",
    ]  # fmt: skip
    places = [data.decode().index(label) for label in BARS[0]]
    assert places == sorted(places)


def test_bars_have_the_length_and_side_of_their_numbers() -> None:
    figure = ET.fromstring(signed_bars(["a", "b"], {"x": [-1.0, 0.5]}, format="svg"))
    boxes = {}
    for path in figure.iter("{http://www.w3.org/2000/svg}path"):
        color = re.search(r"fill: (#0072b2|#d55e00)", path.get("style", ""))
        if color:
            corners = np.array(re.findall(r"[ML] ([\d.]+) [\d.]+", path.get("d", "")), dtype=float)
            boxes[color[1]] = (corners.min(), corners.max())
    (left, zero), (zero_too, right) = boxes["#d55e00"], boxes["#0072b2"]
    assert zero == pytest.approx(zero_too)
    assert zero - left == pytest.approx(2 * (right - zero), rel=1e-3)


def test_signed_bars_of_nothing_and_in_png(tmp_path: Path) -> None:
    assert signed_bars([], {"x": []}, tmp_path / "none.png")[:8] == b"\x89PNG\r\n\x1a\n"
    assert signed_bars(["a"], {"x": [0.0]})[:4] == b"\x89PNG"
    with pytest.raises(InputError, match=r"is \.png or \.svg"):
        signed_bars(*BARS, tmp_path / "bars.pdf")


def test_musicxml_holds_the_same_music(song: Score, tmp_path: Path) -> None:
    path = tmp_path / "song.musicxml"
    write_musicxml(song, path, title="Sad song")
    root = ET.parse(path).getroot()
    assert root.findtext("work/work-title") == "Sad song"
    assert len(root.findall("part")) == 3
    assert {part.findtext("measure/attributes/key/fifths") for part in root.findall("part")} <= {"0", None}
    piano = root.findall("part")[0]
    assert len(piano.findall("measure")) == 8
    assert piano.findtext("measure/attributes/time/beats") == "4"
    assert float(root.find(".//sound[@tempo]").get("tempo")) == pytest.approx(96)
    steps = {step.text for note in piano.iter("note") for step in note.iter("step")}
    assert steps == set("ABCDEFG")


def test_a_sheet_needs_notes_and_the_right_ending(song: Score, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is \.musicxml or \.xml"):
        write_musicxml(song, tmp_path / "song.pdf")
    with pytest.raises(InputError, match="without notes"):
        write_musicxml(from_notes(np.empty(0, NOTE_DTYPE)), tmp_path / "song.musicxml")


def test_same_score_same_sheet(song: Score, tmp_path: Path) -> None:
    write_musicxml(song, tmp_path / "a.musicxml", title="Sad song")
    write_musicxml(song, tmp_path / "b.musicxml", title="Sad song")
    data = (tmp_path / "a.musicxml").read_bytes()
    assert data == (tmp_path / "b.musicxml").read_bytes()
    root = ET.fromstring(data)
    parts = [part.get("id") for part in root.findall("part")]
    assert parts == [part.get("id") for part in root.findall("part-list/score-part")] == ["P1", "P2", "P3"]
    instruments = [one.get("id") for one in root.iter("score-instrument")]
    assert len(instruments) == len(set(instruments))
    assert {one.get("id") for one in root.iter("midi-instrument")} == set(instruments)
    assert b"encoding-date" not in data


@pytest.mark.parametrize("write", [write_score, write_musicxml, piano_roll])
def test_a_full_disk_is_told_with_the_name_of_the_file(
    write: Callable[[Score, Path], object], song: Score, tmp_path: Path
) -> None:
    path = tmp_path / {write_score: "full.mid", write_musicxml: "full.musicxml"}.get(write, "full.png")
    write(song, path)
    old = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))  # stands for a disk with 200 bytes left
    try:
        with pytest.raises(InputError, match=rf"{re.escape(str(path))}: cannot be written \(File too large\)"):
            write(song, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]
