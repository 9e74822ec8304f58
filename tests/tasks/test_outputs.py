"""Files of a piece: each kind is written where it was asked for, and bad names are refused before composing."""

from __future__ import annotations

from pathlib import Path

import pytest

import muse
from muse.errors import InputError
from muse.tasks.compose import Outputs


def test_sound_stems_sheet_and_roll_lie_beside_the_midi_file(tmp_path: Path) -> None:
    files = {
        "midi": "{emotion}.mid",
        "sheet": "{emotion}.svg",
        "plot": "{emotion}.png",
        "audio": "a.flac",
        "stems": "stems",
    }
    outputs = Outputs.named("sad", {kind: str(tmp_path / name) for kind, name in files.items()}, several=False)
    outputs.write(muse.compose("sad", bars=2, n_candidates=1, seed=1, instruments=["piano"]), title="Sad")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.flac", "sad.mid", "sad.png", "sad.svg", "stems"]
    assert [path.name for path in (tmp_path / "stems").iterdir()] == ["01-acoustic-grand-piano.wav"]
    assert b"Sad" in (tmp_path / "sad.svg").read_bytes()


def test_bad_names_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    midi = str(tmp_path / "a.mid")
    with pytest.raises(InputError, match="file: is a file; give a folder for the stems"):
        Outputs.named("sad", {"midi": midi, "stems": str(tmp_path / "file")}, several=False)
    with pytest.raises(InputError, match=r"sheet must end in \.musicxml or \.xml or \.pdf or \.svg or \.png"):
        Outputs.named("sad", {"midi": midi, "sheet": str(tmp_path / "a.doc")}, several=False)
    with pytest.raises(InputError, match=r"audio must end in \.wav or \.flac or \.ogg"):
        Outputs.named("sad", {"midi": midi, "audio": str(tmp_path / "a.wma")}, several=False)
    with pytest.raises(InputError, match=r"several pieces need \{emotion\}"):
        Outputs.named("sad", {"midi": midi, "stems": str(tmp_path / "stems")}, several=True)
