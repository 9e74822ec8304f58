"""read_score and attribute extraction on broken MIDI: a result or MuseError, never a crash, in bounded time and memory.

Files are built byte by byte here. ``MUSE_FUZZ_N`` sets the number of mutated files (150 when unset), ``MUSE_FUZZ_SEED``
the seed, ``MUSE_FUZZ_SEEDS`` a folder of MIDI files to mutate beside those made here.
"""

from __future__ import annotations

import contextlib
import os
import random
import struct
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from symusic import Note, Pedal, Score, Tempo, TextMeta, TimeSignature, Track

from muse.errors import InputError, MuseError
from muse.score import note_array, read_score, tempo_map, write_score
from muse.score.midi_bytes import check, insert_text

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


def seed_files() -> list[bytes]:
    """Sound files of several kinds: one and several tracks, drums, text, pedals, meters, running status."""
    rng = np.random.default_rng(2024)
    files = [midi(NOTE + END), long_file(300)]
    for n_tracks in (1, 2, 5):
        score = Score([96, 480, 960][n_tracks % 3])
        for index in range(n_tracks):
            track = Track(f"Stimme {index} ä", int(rng.integers(128)), index == 4)
            tick = 0
            for _ in range(int(rng.integers(20, 300))):
                tick += int(rng.choice([0, 30, 60, 120, 240]))
                track.notes.append(Note(tick, int(rng.integers(10, 400)), int(rng.integers(30, 90)), 80))
            track.pedals.append(Pedal(0, 100))
            score.tracks.append(track)
        for step in range(n_tracks):
            score.tempos.append(Tempo(step * 1000, float(rng.integers(50, 200))))
            score.time_signatures.append(TimeSignature(step * 3840, int(rng.integers(2, 7)), 4))
        score.markers.append(TextMeta(0, "Anfang"))
        files.append(insert_text(score.dumps_midi(), '{"seed": 1}'))
    folder = os.environ.get("MUSE_FUZZ_SEEDS")
    if folder:
        paths = sorted(path for path in Path(folder).rglob("*.mid*") if path.stat().st_size < 200_000)
        files += [path.read_bytes() for path in random.Random(0).sample(paths, min(100, len(paths)))]
    return files


def mutate(rng: random.Random, seeds: list[bytes]) -> bytes:
    """One seed file, broken in one of several ways; the last two keep its structure and change its content."""
    data = bytearray(rng.choice(seeds))
    place, kind = rng.randrange(len(data)), rng.randrange(9)
    if kind == 0:
        return bytes(data[:place])
    if kind == 1:
        for _ in range(rng.choice([1, 3, 100])):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == 2:
        data[place : place + 300] = rng.randbytes(rng.randint(1, 300))
    elif kind == 3:
        other = rng.choice(seeds)
        data[place:] = other[rng.randrange(len(other)) :]
    elif kind == 4:
        data[place:place] = rng.randbytes(rng.randint(1, 40))
    elif kind == 5:
        del data[place : place + rng.randint(1, 40)]
    elif kind == 6:
        data[rng.randrange(min(30, len(data)))] = rng.randrange(256)
    elif kind == 7:
        for _ in range(rng.choice([3, 30, 300])):
            index = rng.randrange(14, len(data))
            if data[index] < 0x80:
                data[index] = rng.randrange(0x80)
    else:
        data[12:14] = rng.choice(
            [b"\x00\x01", b"\x00\x03", b"\x7f\xff", bytes([rng.randrange(128), rng.randrange(256)])]
        )
        for _ in range(rng.randint(1, 8)):
            index = data.find(rng.choice([b"\xff\x51\x03", b"\xff\x58\x04"]), place)
            if index >= 0:
                data[index + 3 + rng.randrange(3)] = rng.randrange(256)
    return bytes(data)


WORKER = textwrap.dedent(
    """
    import resource, sys, time, warnings
    from pathlib import Path
    from muse.errors import MuseError
    from muse.score import read_score
    try:
        from muse.attributes import extract
    except ImportError:
        extract = None
    warnings.simplefilter("error")

    def use(path):
        score = read_score(path)
        if extract is not None:
            extract(score)
            extract(score, bars=16)

    folder = Path(sys.argv[1])
    use(folder / "sound.mid")  # all imports and caches
    # 1 GB on top of what the libraries take.
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    if pages:
        limit = pages * resource.getpagesize() + 1_000_000_000
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for path in sorted(folder.glob("mutant*.mid")):
        print(path.name, end=" ", flush=True)
        start = time.process_time()
        try:
            use(path)
            answer = "read"
        except MuseError as error:
            answer = "refused" if str(error) and "\\n" not in str(error) else f"BAD message {error!r}"
        except BaseException as error:
            answer = f"BAD {type(error).__name__}: {error}"
        seconds = time.process_time() - start
        print(answer if seconds < 10 else f"BAD {seconds:.1f} s", flush=True)
    print("done", flush=True)
    """
)


def test_mutated_files_are_read_or_refused(tmp_path: Path) -> None:
    n_files = int(os.environ.get("MUSE_FUZZ_N", "150"))
    rng = random.Random(int(os.environ.get("MUSE_FUZZ_SEED", "0")))
    seeds = seed_files()
    (tmp_path / "sound.mid").write_bytes(seeds[-1])
    for index in range(n_files):
        (tmp_path / f"mutant{index:06d}.mid").write_bytes(mutate(rng, seeds))
    (tmp_path / "worker.py").write_text(WORKER)
    # A process of its own, for a native crash would end this one.
    result = subprocess.run(
        [sys.executable, str(tmp_path / "worker.py"), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120 + 10 * n_files,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2]), "OMP_NUM_THREADS": "1"},
        check=False,
    )
    lines = result.stdout.splitlines()
    tail = f"{lines[-1:]} (exit {result.returncode}) {result.stderr[-2000:]}"
    assert lines[-1:] == ["done"], f"the process died on {tail}"
    assert [line for line in lines if " BAD " in line] == []
    answers = [line.split()[1] for line in lines[:-1]]
    assert len(answers) == n_files
    # The mutations reach both ways out.
    assert min(answers.count("read"), answers.count("refused")) > n_files // 10


def test_seeds_are_sound(tmp_path: Path) -> None:
    for data in seed_files()[:5]:
        assert check(data).repairs == ()
        score = read_score(data)
        write_score(score, tmp_path / "a.mid")
        assert len(note_array(read_score(tmp_path / "a.mid"))) == len(note_array(score)) > 0
