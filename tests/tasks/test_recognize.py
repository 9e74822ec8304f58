"""Many sound files: a document for each, libraries that resume, and files that nobody should have called sound."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from muse.audio import sound_files, write_audio
from muse.cli import app
from muse.errors import InputError
from muse.recognizer import Recognizer
from muse.tasks.recognize import Library, read_ratings, read_table, recognize

RATE = 16_000


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.from_pretrained()


def chord(seconds: float = 2.0) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    return (0.1 * sum(np.sin(2 * np.pi * f * time) for f in (261.6, 329.6, 392.0))).astype(np.float32)


def unreadable(folder: Path) -> set[str]:
    """Files with the endings of sound that cannot be recognized; their names."""
    (folder / "text.mp3").write_text("no sound")
    (folder / "empty.wav").touch()
    (folder / "list.wav").write_text("ffconcat version 1.0\nfile good.wav\n")
    loud = np.full(RATE, 1e20, "<f4").tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(loud), b"WAVE", b"fmt ", 16, 3, 1, RATE, 4 * RATE, 4,
                       32, b"data", len(loud))  # fmt: skip
    (folder / "loud.wav").write_bytes(head + loud)
    with (folder / "sparse.wav").open("wb") as stream:
        stream.truncate(5 << 30)
    return {"text.mp3", "empty.wav", "list.wav", "loud.wav", "sparse.wav"}


def test_one_bad_file_does_not_stop_the_others(recognizer: Recognizer, tmp_path: Path) -> None:
    bad = unreadable(tmp_path)
    os.mkfifo(tmp_path / "pipe.wav")
    write_audio(chord(), RATE, tmp_path / "good.wav")
    files = [*(tmp_path / name for name in sorted(bad)), tmp_path / "pipe.wav", tmp_path / "good.wav"]
    documents = list(recognize(files, recognizer=recognizer))
    assert [document["file"] for document in documents] == [str(path) for path in files]
    assert ["error" in document for document in documents] == [True] * 6 + [False]
    assert all("\n" not in document["error"] and document["file"] in document["error"] for document in documents[:-1])
    assert "curve" not in documents[-1]
    (dynamic,) = recognize(files[-1:], recognizer=recognizer, dynamic=True)
    assert len(dynamic["curve"]) == 4


def test_a_fault_of_ours_costs_one_file(
    recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.wav", "b.wav"):
        write_audio(chord(), RATE, tmp_path / name)
    whole = Recognizer.recognize

    def faulty(self: Recognizer, source: Path, *rest: object, **more: object) -> object:
        if Path(source).name == "a.wav":
            raise ZeroDivisionError("division by zero")
        return whole(self, source, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Recognizer, "recognize", faulty)
    library = Library.open([tmp_path], tmp_path / "t.jsonl")
    first, second = library.recognize(lambda: recognizer)
    assert "ZeroDivisionError" in first["error"] and "emotion" in second
    assert not Library.open([tmp_path], tmp_path / "t.jsonl").waiting


def test_a_library_is_recognized_once(recognizer: Recognizer, tmp_path: Path) -> None:
    music, table = tmp_path / "music", tmp_path / "t.jsonl"
    for name in ("b/two.wav", "one.flac"):
        (music / name).parent.mkdir(parents=True, exist_ok=True)
        write_audio(chord(), RATE, music / name)
    bad = unreadable(music)
    first = Library.open([music, music], table)
    rows = list(first.recognize(lambda: recognizer))
    assert (len(rows), first.n_known, sum("error" in row for row in rows)) == (7, 0, 5)
    stored = {row["file"]: row for row in read_table(table)}
    assert set(stored) == {"b/two.wav", "one.flac", *bad}
    assert "curve" not in stored["one.flac"]

    def not_again() -> Recognizer:
        raise AssertionError("everything is known")

    again = Library.open([music], table)
    assert (list(again.recognize(not_again)), again.n_known) == ([], 7)
    with table.open("a") as stream:
        stream.write('{"file": "torn')
    write_audio(chord(4.0), RATE, music / "one.flac")
    changed = Library.open([music], table)
    assert [row["file"] for row in changed.recognize(lambda: recognizer)] == ["one.flac"]
    stored = {row["file"]: row for row in read_table(table)}
    assert stored["one.flac"]["duration_s"] == pytest.approx(4.0)
    assert len(read_table(table)) == 7


def test_a_library_goes_on_after_an_interruption(recognizer: Recognizer, tmp_path: Path) -> None:
    for i in range(3):
        write_audio(chord(1.0), RATE, tmp_path / f"{i}.wav")
    table = tmp_path / "t.jsonl"
    next(Library.open([tmp_path], table).recognize(lambda: recognizer))  # stopped after the first
    rest = Library.open([tmp_path], table)
    assert (rest.n_known, [job["file"] for job in rest.waiting]) == (1, ["1.wav", "2.wav"])


def test_names_that_are_not_utf8_are_kept(recognizer: Recognizer, tmp_path: Path) -> None:
    music = tmp_path / "music"
    music.mkdir()
    name = os.fsdecode(b"caf\xe9.wav")
    try:
        write_audio(chord(1.0), RATE, tmp_path / "plain.wav")
        (tmp_path / "plain.wav").rename(music / name)
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    (row,) = Library.open([music], tmp_path / "t.jsonl").recognize(lambda: recognizer)
    assert row["file"] == name and "emotion" in row
    assert Library.open([music], tmp_path / "t.jsonl").n_known == 1
    done = CliRunner().invoke(app, ["recognize", str(music / name), "--json"])
    assert json.loads(done.stdout)[0]["file"] == str(music / name)


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    write_audio(chord(0.5), RATE, tmp_path / "a.wav")
    table = tmp_path / "t.jsonl"
    for content in (b"[]\n", b"caf\xe9\n", b"[" * 100_000 + b"\n", b'{"name": 1}\n'):
        table.write_bytes(content)
        with pytest.raises(InputError, match=r"t\.jsonl"):
            Library.open([tmp_path], table)
    with pytest.raises(InputError, match="is no folder"):
        Library.open([tmp_path / "a.wav"], table)
    with pytest.raises(InputError, match="has no sound files"):
        sound_files(tmp_path / "absent")
    library = Library.open([tmp_path], tmp_path / "absent" / "t.jsonl")
    with pytest.raises(InputError, match="cannot be written"):
        list(library.recognize())


def test_ratings_are_read_by_file(tmp_path: Path) -> None:
    table = tmp_path / "me.csv"
    table.write_text("time_s,valence,arousal,file\n1,0.5,0,\n0,0.25,0,\n0,1,1,other.wav\n")
    own, others = read_ratings(table)
    assert own is not None and own.tolist() == [[0, 0.25, 0], [1, 0.5, 0]]
    assert [(path, rows.tolist()) for path, rows in others] == [(tmp_path / "other.wav", [[0, 1, 1]])]
    for content, fault in (
        (b"time_s,valence,arousal\n0,x,0\n", "line 2"),
        (b"time_s,valence,arousal\n", "has no ratings"),
        (b"time_s,valence,arousal,file\n0,0,0,caf\xe9.wav\n", "UTF-8"),
    ):
        table.write_bytes(content)
        with pytest.raises(InputError, match=fault):
            read_ratings(table)
    with pytest.raises(InputError, match="no such file"):
        read_ratings(tmp_path / "absent.csv")
