"""Mutated MIDI files: each is read or refused in one clear line, in bounded memory and time.

``python benchmarks/fuzz_midi.py`` breaks intact MIDI files in many ways and does with each what a user may do: it is
read, written and read again, measured whole and in windows of four bars, and its bars are counted. It prints a summary
and exits with 1 if a file ended the process, took more than 20 s of the processor or the process more than 1.5 GB,
raised anything but a MuseError of one line, or changed when it was written; ``--keep`` stores such files.
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import resource
import struct
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from symusic import Note, Pedal, Score, Tempo, TextMeta, TimeSignature, Track

from muse.attributes import extract
from muse.errors import MuseError
from muse.score import bar_grid, note_array, read_score, read_text, write_score
from muse.score.midi_bytes import insert_text

MAX_SEC = 20
MAX_BYTES = 1_500_000_000


def seed_files(folder: Path | None = None) -> list[bytes]:
    """Sound files of several kinds: one and several tracks, drums, text, pedals, meters, running status; and up to a
    hundred of a folder."""
    rng = np.random.default_rng(2024)
    events = b"".join(
        bytes([int(delta), 0x90, int(pitch), 0x40, 0x20, int(pitch), 0x00])
        for delta, pitch in zip(rng.integers(0, 100, 300), rng.integers(20, 100, 300), strict=True)
    )
    files = []
    for body in (b"\x00\x90\x3c\x40\x60\x80\x3c\x00", events):
        body += b"\x00\xff\x2f\x00"
        files.append(b"MThd" + struct.pack(">IHHH", 6, 1, 1, 480) + b"MTrk" + struct.pack(">I", len(body)) + body)
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
    if folder is not None:
        paths = sorted(path for path in folder.rglob("*.mid*") if path.stat().st_size < 200_000)
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


def use(path: Path) -> str:
    """Do with a file what a user may do; says how it ended: ``read``, ``refused: ...`` or ``BAD ...``."""
    start = time.process_time()
    try:
        score = read_score(path)
        read_text(path)
        bar_grid(score)
        again = path.with_name("again.mid")
        write_score(score, again)
        notes, notes_again = (note_array(one)[["pitch", "onset_beat", "program"]] for one in (score, read_score(again)))
        extract(score)
        extract(score, bars=4)
        same = np.array_equal(np.sort(notes), np.sort(notes_again))
        answer = "read" if same else "BAD: other notes when it is written and read"
    except MuseError as error:
        text = str(error)
        answer = f"refused: {text}" if text and len(text.splitlines()) == 1 else f"BAD message {text!r}"
    except BaseException as error:
        answer = f"BAD {type(error).__name__}: {error}".replace("\n", " ")
    seconds = time.process_time() - start
    return answer if seconds < MAX_SEC else f"BAD: {seconds:.1f} s"


def work(folder: Path) -> None:
    """Use all mutants of a folder, a line each on the standard output."""
    warnings.simplefilter("error")
    use(folder / "sound.mid")  # all imports and caches
    resource.setrlimit(resource.RLIMIT_AS, (4 * MAX_BYTES, 4 * MAX_BYTES))  # a runaway ends itself, not the machine
    for path in sorted(folder.glob("mutant*.mid")):
        print(path.name, end=" ", flush=True)
        faulthandler.dump_traceback_later(20 * MAX_SEC, exit=True)  # by the clock, on a busy machine
        print(use(path), flush=True)
        if (peak := resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024) > MAX_BYTES:
            print(f"{path.name} BAD: {peak:,} bytes", flush=True)
            break
    print("done", flush=True)


def fuzz(n: int, seed: int, seeds: Path | None = None, keep: Path | None = None) -> tuple[list[str], list[str]]:
    """Mutate and use *n* files in a process of their own, for a native crash would end this one.

    Returns
    -------
    tuple
        A line for each file, and those among them that are wrong.
    """
    rng, sound = random.Random(seed), seed_files(seeds)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sound.mid").write_bytes(sound[-1])
        for index in range(n):
            (folder / f"mutant{index:06d}.mid").write_bytes(mutate(rng, sound))
        command = [sys.executable, str(Path(__file__).resolve()), "--work", name]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = result.stdout.splitlines()
        if lines[-1:] != ["done"]:
            last = (lines or ["sound.mid"]).pop().split()[0]
            lines.append(f"{last} BAD: the process ended ({result.returncode}) {result.stderr[-2000:]}")
        wrong = [line for line in lines if line.split()[1:2] and line.split()[1].startswith("BAD")]
        if keep is not None and wrong:
            keep.mkdir(parents=True, exist_ok=True)
            for line in wrong:
                mutant = line.split()[0]
                (keep / mutant).write_bytes((folder / mutant).read_bytes())
    return lines[:-1] if lines[-1] == "done" else lines, wrong


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the fuzz as the command line says; 1 if a file went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=3000, help="mutated files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=Path, help="a folder of MIDI files to mutate beside those made here")
    parser.add_argument("--keep", type=Path, help="where to store files that went wrong")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.work is not None:
        work(options.work)
        return 0
    start = time.monotonic()
    lines, wrong = fuzz(options.n, options.seed, options.seeds, options.keep)
    n_read, n_refused = (sum(line.split()[1:2] == [answer] for line in lines) for answer in ("read", "refused:"))
    seconds = time.monotonic() - start
    print(f"{n_read} read, {n_refused} refused, {len(wrong)} wrong in {seconds:.0f} s", *wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
