"""Sound files to MIDI files: one bad file is one line, and the others go on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from muse import cli
from muse.audio import write_audio
from muse.errors import InputError
from muse.score import note_array, read_score
from muse.tasks.transcribe import TranscribeRequest

RATE = 22_050


def ring(pitch: int, seconds: float = 1.0) -> np.ndarray:
    """A plucked string."""
    time = np.arange(int(seconds * RATE)) / RATE
    hertz = 440 * 2 ** ((pitch - 69) / 12)
    partials = [np.sin(2 * np.pi * hertz * h * time) / h * np.exp(-1.5 * h * time) for h in range(1, 7)]
    return 0.3 * np.sum(partials, axis=0) * np.minimum(time / 0.005, 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, tune in (("scale", (60, 64, 67, 72)), ("other", (57, 60, 64))):
        write_audio(np.concatenate([ring(pitch) for pitch in tune]).astype(np.float32), RATE, tmp_path / f"{name}.wav")
    write_audio(np.zeros(RATE, np.float32), RATE, tmp_path / "silent.wav")
    (tmp_path / "broken.wav").write_bytes(b"RIFF....")
    return tmp_path


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main([str(argument) for argument in arguments])
    return int(end.value.code or 0)


def test_files_become_midi_and_one_bad_file_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder / "notes"
    names = ("scale", "broken", "silent", "other")
    code = run("transcribe", *(folder / f"{name}.wav" for name in names), "-o", out, "--json")
    shown = capsys.readouterr()
    assert code == 2 and shown.err.count("\n") == 2 and "Traceback" not in shown.err
    scale, broken, silent, other = json.loads(shown.out)
    assert "broken.wav" in broken["error"] and "no notes are heard" in silent["error"]
    assert sorted(path.name for path in out.iterdir()) == ["other.mid", "scale.mid"]
    notes = note_array(read_score(out / "scale.mid"))
    assert notes["pitch"].tolist() == [60, 64, 67, 72] and scale["n_notes"] == 4
    np.testing.assert_allclose(notes["onset_sec"], np.arange(4), atol=0.05)
    assert (scale["lowest"], scale["highest"], other["lowest"]) == (60, 72, 57)
    assert scale["duration_s"] == pytest.approx(float((notes["onset_sec"] + notes["duration_sec"]).max()), abs=0.01)


def test_one_file_to_one_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("transcribe", folder / "scale.wav", "-o", folder / "new" / "tune.mid") == 0
    assert "4 notes" in capsys.readouterr().out
    first = (folder / "new" / "tune.mid").read_bytes()
    assert run("transcribe", folder / "scale.wav", "-o", folder / "new" / "tune.mid") == 0
    assert (folder / "new" / "tune.mid").read_bytes() == first
    assert run("transcribe", folder / "missing.wav", "-o", folder / "x.mid") == 2
    assert not (folder / "x.mid").exists()


def test_requests_that_cannot_be_met(folder: Path) -> None:
    files = (str(folder / "scale.wav"), str(folder / "other.wav"))
    with pytest.raises(InputError, match="is one file, and there are 2 sound files"):
        TranscribeRequest(files=files, output="x.mid")
    with pytest.raises(InputError, match="is a file: give a folder"):
        TranscribeRequest(files=files, output=files[0])
    with pytest.raises(InputError, match="several files are called scale"):
        TranscribeRequest(files=(files[0], "elsewhere/scale.mp3"), output="out")
    with pytest.raises(InputError, match="there is no file"):
        TranscribeRequest(files=(), output="out")
    assert len(TranscribeRequest(files=(str(folder),), output="out").sounds) == 4
