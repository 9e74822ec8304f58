"""read_score and attribute extraction on broken MIDI: a result or MuseError, never a crash, in bounded time and memory.

Files are built byte by byte here; a sample of ``benchmarks/fuzz_midi.py`` is run as well.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from muse.errors import InputError, MuseError
from muse.score import note_array, read_score, tempo_map
from muse.score.midi_bytes import check

NOTE_ON = b"\x00\x90\x3c\x40"
NOTE_OFF = b"\x60\x80\x3c\x00"
NOTE = NOTE_ON + NOTE_OFF
END = b"\x00\xff\x2f\x00"


def header(n_tracks: int = 1, *, midi_format: int = 1, division: int = 480, length: int = 6) -> bytes:
    return b"MThd" + struct.pack(">IHHH", length, midi_format, n_tracks, division)


def chunk(body: bytes, *, length: int | None = None, kind: bytes = b"MTrk") -> bytes:
    return kind + struct.pack(">I", len(body) if length is None else length) + body


def midi(body: bytes) -> bytes:
    return header() + chunk(body)


def pitches(data: bytes) -> list[int]:
    return note_array(read_score(data))["pitch"].tolist()


# ---------------------------------------------------------------------------------------------------------- repaired


@pytest.mark.parametrize(
    ("data", "repairs"),
    [
        (midi(NOTE + END), ()),
        (midi(NOTE), ("end of track",)),
        (midi(NOTE + END) + b"junk behind the last chunk", ("bytes outside of tracks",)),
        (midi(NOTE + END) + b"ab", ("bytes outside of tracks",)),
        (midi(NOTE + END + b"\x00\x00"), ("chunk length",)),
        (header() + chunk(NOTE + END, length=4), ("chunk length",)),
        (header() + chunk(NOTE + END, length=0), ("chunk length",)),
        (header() + chunk(NOTE + END, length=9_999_999), ("chunk length",)),
        (header() + chunk(NOTE + b"\x00\x90\x3c", length=900), ("end of track", "chunk length")),
        (header() + chunk(NOTE + b"\x00\xff\x03\x40abc", length=900), ("end of track", "chunk length")),
        (header() + chunk(NOTE + b"\x81", length=900), ("end of track", "chunk length")),
        (header(7) + chunk(NOTE + END), ("number of tracks",)),
        (header(0) + chunk(NOTE + END), ("number of tracks",)),
        (header(1, midi_format=0) + chunk(END) + chunk(NOTE + END), ("number of tracks",)),
        (header(1, length=8) + b"\x00\x00" + chunk(NOTE + END), ("header",)),
        (b"RIFF\x00\x00\x00\x00RMIDdata\x00\x00\x00\x00" + midi(NOTE + END), ("header",)),
        (b"\x00" * 128 + midi(NOTE + END), ("header",)),
        (header(2) + chunk(b"whatever", kind=b"XFIH") + chunk(NOTE + END), None),
        (midi(b"\x00\xf0\x03\x01\x02\xf7" + NOTE + END), ("system exclusive data",)),
        (midi(b"\x00\xf7\x02\x01\x02" + NOTE + END), ("system exclusive data",)),
        (midi(NOTE_ON + b"\x00\xff\x01\x01a" + b"\x60\x3c\x00" + END), ("running status",)),
        (midi(NOTE + b"\x00\xff\x2f\x02ab"), ("end of track",)),
        (midi(b"\x00\xff\x51\x03\x00\x00\x00" + NOTE + END), ("meta event",)),
        (midi(b"\x00\xff\x51\x01\x07" + NOTE + END), ("meta event",)),
        (midi(b"\x00\xff\x58\x04\x00\x02\x18\x08" + NOTE + END), ("meta event",)),
        (midi(b"\x00\xff\x58\x04\x04\xc8\x18\x08" + NOTE + END), ("meta event",)),
        (midi(b"\x00\xff\x58\x00" + NOTE + END), ("meta event",)),
        (midi(b"\x00\xff\x59\x02\x63\x07" + NOTE + END), ("meta event",)),
        (midi(b"\x00\xff\x03\x02\xe4\xf6" + NOTE + END), ("meta event",)),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else str(value),
)
def test_sloppy_files_are_repaired_and_then_sound(data: bytes, repairs: tuple[str, ...] | None) -> None:
    checked = check(data)
    if repairs is not None:
        assert checked.repairs == repairs
    again = check(checked.data)
    assert again.repairs == ()
    assert again.data == checked.data
    assert pitches(data) == [60]


def test_running_status_across_several_meta_events_keeps_all_notes() -> None:
    body = b"\x00\x90\x3c\x40"
    for pitch in range(61, 71):
        body += b"\x00\xff\x06\x01m" + bytes([0x10, pitch, 0x40]) + bytes([0x10, pitch, 0x00])
    assert pitches(midi(body + b"\x00\x80\x3c\x00" + END)) == list(range(60, 71))


def test_running_status_of_a_program_change_has_one_byte() -> None:
    checked = check(midi(b"\x00\xc0\x05\x00\xff\x01\x00\x00\x06" + NOTE + END))
    assert checked.repairs == ("running status",)
    assert read_score(checked.data).tracks[0].program == 6


def test_text_that_is_no_utf8_becomes_readable() -> None:
    assert read_score(midi(b"\x00\xff\x03\x04Fl\xf6t" + NOTE + END)).tracks[0].name == "Flöt"
    checked = check(midi(b"\x00\xff\x01\x02\xe4b" + NOTE + END))
    assert checked.text == ("äb",)
    assert check(checked.data).text == ("äb",)


def test_a_tempo_of_zero_leaves_finite_seconds() -> None:
    score = read_score(midi(b"\x00\xff\x51\x03\x00\x00\x00" + NOTE + END))
    assert np.all(np.isfinite(tempo_map(score)))
    assert np.all(np.isfinite(note_array(score)["duration_sec"]))


def test_a_note_that_never_ends_is_no_note() -> None:
    assert pitches(midi(NOTE_ON + b"\x00\x90\x40\x40\x60\x80\x40\x00" + END)) == [64]


def test_files_cut_anywhere_give_the_notes_so_far_or_a_reason() -> None:
    body = b"".join(bytes([0x10, 0x90, pitch, 0x40, 0x20, 0x80, pitch, 0x00]) for pitch in range(40, 60))
    data = midi(body + END)
    for length in range(len(data)):
        try:
            found = pitches(data[:length])
        except InputError:
            assert length < 22  # shorter than headers
            continue
        assert found == list(range(40, 40 + max(0, (length - 22)) // 8))


# ----------------------------------------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"MTh", "something else, not a MIDI file"),
        (b"MThd\x00\x00", "header is cut off after 6 of 14"),
        (b"OggS" + b"\x00" * 40, "an Ogg recording, not a MIDI file"),
        (b"ID3\x03" + b"\x00" * 40, "an MP3 recording"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "a WAV"),
        (b"<?xml version='1.0'?><score-partwise/>", "MusicXML"),
        (header(), "no track"),
        (header() + b"MTr", "no track"),
        (header() + b"\x00" * 500, "no track"),
        (header(midi_format=2) + chunk(NOTE + END), "format 2"),
        (header(midi_format=9) + chunk(NOTE + END), "format 9 does not exist"),
        (header(division=0) + chunk(NOTE + END), "0 ticks"),
        (header(division=0xE728) + chunk(NOTE + END), "SMPTE"),
        (header(length=3) + chunk(NOTE + END), "header claims 3 bytes"),
        (header(length=0xFFFFFFFF) + chunk(NOTE + END), "header claims"),
        (midi(b"\x00\x3c\x40" + NOTE + END), "no status"),
        (midi(b"\x00\x90\x3c\xf0" + NOTE + END), "data byte above 127"),
        (midi(NOTE + b"\x00\x90\xc8\x40" + NOTE + END), "data byte above 127"),
        (midi(NOTE + b"\x00\xc0\xc8\x40" + NOTE + END), "data byte above 127"),
        (midi(NOTE + b"\x00\xf4\x00" + NOTE + END), "status 0xF4"),
        (midi(NOTE + b"\xff\xff\xff\xff\x7f\x90\x3c\x40" + END), "more than 4 bytes"),
        (midi(b"\x00\xff\x01\xff\xff\xff\xff\x7f" + NOTE + END), "length at byte .* more than 4 bytes"),
        (midi(b"\xff\xff\xff\x7f\x90\x3c\x40" * 9 + END), "more than 2147483647"),
        (header(600) + chunk(NOTE + END) * 600, "more than 512 tracks"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_broken_files_are_refused_in_one_clear_line(data: bytes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=reason):
        read_score(data)
    path = tmp_path / "song.mid"
    path.write_bytes(data)
    with pytest.raises(MuseError, match=reason) as caught:
        read_score(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "song.mid").write_bytes(midi(NOTE + END))
    with pytest.raises(InputError, match=r"sonk.mid: no such file; did you mean song.mid\?"):
        read_score(tmp_path / "sonk.mid")
    with pytest.raises(InputError, match=r"x.mid: no such file: check the path"):
        read_score(tmp_path / "none" / "x.mid")
    with pytest.raises(InputError, match="this is a folder"):
        read_score(tmp_path)
    os.mkfifo(tmp_path / "pipe.mid")  # nobody will ever write into it
    for path in (tmp_path / "pipe.mid", Path("/dev/zero")):
        with pytest.raises(InputError, match="this is a pipe or a device"):
            read_score(path)
    with pytest.raises(InputError, match="cannot be opened"):
        read_score("song\x00.mid")
    with pytest.raises(InputError, match="cannot be opened"):
        read_score(tmp_path / ("x" * 5_000))


def test_the_content_counts_and_not_the_extension(tmp_path: Path) -> None:
    (tmp_path / "song.txt").write_bytes(midi(NOTE + END))
    assert read_score(tmp_path / "song.txt").note_num() == 1


# ------------------------------------------------------------------------------------------------------------- time


@pytest.mark.parametrize(
    "body",
    [
        b"\x00\x90\x3c\x40" * 100_000,  # one pitch, never ended
        b"\x00\x90\x3c\x40" * 50_000 + b"\x01\x80\x3c\x40" * 50_000,
        b"\x00\xff\x06\x01m" * 60_000 + NOTE,
        NOTE * 20_000 + b"\x00\xff\x01\x00\x00\x3c\x00" * 20_000,  # running status across meta events
        b"\x00\xff\x58\x04\x01\x06\x18\x08" * 20_000 + NOTE,
        b"".join(b"\x01\xff\x51\x03" + struct.pack(">I", 300_000 + i)[1:] for i in range(40_000)) + NOTE,
        b"".join(bytes([0, 0xC0 | i % 16, i % 128, 0, 0x90 | i % 16, 60, 1, 1, 60, 0]) for i in range(20_000)),
    ],
    ids=["unended", "piled", "markers", "running", "meters", "tempos", "programs"],
)
def test_adversarial_files_take_little_time(body: bytes) -> None:
    start = time.process_time()
    with contextlib.suppress(InputError):
        read_score(midi(body + END))
    assert time.process_time() - start < 5


# ------------------------------------------------------------------------------------------------------------- fuzz


def long_file(n_events: int) -> bytes:
    rng = np.random.default_rng(0)
    events = [
        bytes([int(delta), 0x90, int(pitch), 0x40, 0x20, pitch, 0x00])
        for delta, pitch in zip(rng.integers(0, 100, n_events), rng.integers(20, 100, n_events).tolist(), strict=True)
    ]
    return midi(b"".join(events) + END)


def test_mutated_files_are_read_or_refused() -> None:
    """A sample of what ``benchmarks/fuzz_midi.py`` does with thousands of files."""
    script = Path(__file__).resolve().parents[2] / "benchmarks" / "fuzz_midi.py"
    result = subprocess.run(
        [sys.executable, str(script), "-n", "40"],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "PYTHONPATH": str(script.parents[1]), "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    n_read, n_refused, n_wrong = map(int, re.findall(r"(\d+) (?:read|refused|wrong)", result.stdout))
    assert (n_read + n_refused, n_wrong) == (40, 0)
    assert min(n_read, n_refused) > 9  # the mutations reach both ways out
