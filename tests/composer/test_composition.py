"""A composition is written in every format that its name may end in, and says in one line what it is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import muse
from muse.audio import read_audio
from muse.composer import Composition
from muse.emotion.verdict import Reading, decide
from muse.errors import InputError
from muse.score import note_array, read_score


@pytest.fixture(scope="module")
def piece() -> Composition:
    return muse.compose("sad", bars=4, n_candidates=1, seed=1)


def test_midi_is_read_back(piece: Composition, tmp_path: Path) -> None:
    piece.save(tmp_path / "a.midi")
    np.testing.assert_array_equal(
        note_array(read_score(tmp_path / "a.midi"))["pitch"], note_array(piece.best.score)["pitch"]
    )


def test_sound_is_sound(piece: Composition, tmp_path: Path) -> None:
    piece.save(tmp_path / "a.wav")
    assert (tmp_path / "a.wav").read_bytes()[:4] == b"RIFF"
    samples = read_audio(tmp_path / "a.wav", 22050)
    assert np.abs(samples).max() > 0.01
    assert len(samples) / 22050 == pytest.approx(piece.to_json()["duration_s"], abs=6)


def test_notation_has_every_note(piece: Composition, tmp_path: Path) -> None:
    import music21

    piece.save(tmp_path / "a.musicxml")
    parsed = music21.converter.parse(tmp_path / "a.musicxml")
    assert {p.midi for note in parsed.flatten().notes for p in note.pitches} == set(
        note_array(piece.best.score)["pitch"].tolist()
    )


@pytest.mark.parametrize(("ending", "start"), [(".pdf", b"%PDF-"), (".svg", b"<svg"), (".png", b"\x89PNG")])
def test_sheet_music_is_engraved(piece: Composition, tmp_path: Path, ending: str, start: bytes) -> None:
    path = tmp_path / f"a{ending}"
    piece.save(path)
    assert path.read_bytes().startswith(start)


def test_the_roll_says_who_does_not_play() -> None:
    asked = muse.compose("sad", bars=2, n_candidates=1, seed=1, instruments=["piano"])
    silent = dataclasses.replace(asked, brief=dataclasses.replace(asked.brief, programs=(0, 73)))
    text = silent.piano_roll(format="svg").decode()
    assert "Flute (does not play)" in text and "Piano (does not play)" not in text
    assert asked.brief.key_name in text


@pytest.mark.parametrize("name", ["a.doc", "a", "a.txt"])
def test_other_endings_are_refused(piece: Composition, tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"there is no format .*legal are \.mid"):
        piece.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_other_libraries_get_the_same_notes(piece: Composition) -> None:
    notes = sorted(note_array(piece.best.score)["pitch"].tolist())
    assert sorted(note.pitch for part in piece.to_pretty_midi().instruments for note in part.notes) == notes
    assert {p.midi for note in piece.to_music21().flatten().notes for p in note.pitches} == set(notes)


def test_repr_is_one_short_line(piece: Composition) -> None:
    text = repr(piece)
    assert "\n" not in text and len(text) < 200
    assert "Q3" in text and "4 bars" in text and "seed 1" in text
    assert repr(piece.best) == (
        f"<Candidate: {piece.best.n_notes} notes, merit {piece.best.merit:.2f}, adherence {piece.best.adherence:.2f}>"
    )


def test_one_verdict() -> None:
    agreed = decide([Reading("the selector", "Q3", 0.7), Reading("its attributes", "Q3", 0.5)])
    assert agreed.agreed and agreed.sentence() == "sad (Q3) by the selector (0.70) and its attributes (0.50)"
    split = decide([Reading("the selector", "Q3", 0.7), Reading("its attributes", "Q1", 0.5)])
    assert not split.agreed and split.quadrant == "Q3"
    assert split.sentence().endswith("but happy (Q1) by its attributes (0.50): they disagree on valence and arousal")
    with pytest.raises(InputError, match="needs readings"):
        decide([])


def test_the_report_has_the_verdict(piece: Composition) -> None:
    found = piece.verdict()
    assert found is not None and found.sentence() in piece.report()
    assert piece.to_json()["verdict"]["quadrant"] == found.quadrant
