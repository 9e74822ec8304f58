"""A corpus of any size for builds at scale: real pieces, transposed, in other tempos, and cut.

``python benchmarks/synthetic_corpus.py SOURCE OUT -n 120000 [--seed 0] [--bars 16 48]`` writes `n` MIDI files, a
thousand to a folder, from the MIDI files below SOURCE. File *i* depends on the seed, on *i*, on the length of cuts and
on the sources alone, so a corpus can be made again, made larger, or made in parts; what is there already is left.
Prints JSON: files, notes, bytes, seconds.

Each is a cut of so many bars (16 to 48 when not given) of one piece, moved by up to six semitones, at 0.8 to 1.25 times
its tempo. So a build meets real music in its variety, and few notes-for-notes copies (transposed copies count as
duplicates).
"""

from __future__ import annotations

import argparse
import functools
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from muse.errors import MuseError
from muse.files import replacing
from muse.score import DRUMS, NOTE_DTYPE, Notes, from_notes, note_array, read_score, write_score

PER_FOLDER = 1000
LEAST_NOTES = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("-n", type=int, default=120_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first file, to make a corpus in parts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--bars", type=int, nargs=2, default=(16, 48), metavar=("LEAST", "MOST"), help="length of a cut"
    )
    options = parser.parse_args()
    sources = sorted(path for path in options.source.rglob("*.mid") if path.is_file())
    if not sources:
        raise SystemExit(f"{options.source} has no .mid files")
    begun, n_notes, n_bytes = time.perf_counter(), 0, 0
    for i in range(options.first, options.first + options.n):
        file = options.out / f"{i // PER_FOLDER:04d}" / f"{i:07d}.mid"
        if file.exists():
            continue
        notes, tempo_bpm = piece(sources, options.bars, np.random.default_rng([options.seed, i]))
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary:
            write_score(from_notes(notes, tempo_bpm=tempo_bpm), temporary)
        n_notes, n_bytes = n_notes + len(notes), n_bytes + file.stat().st_size
    print(
        json.dumps(
            {"files": options.n, "notes": n_notes, "bytes": n_bytes, "seconds": round(time.perf_counter() - begun, 1)}
        )
    )


def piece(sources: list[Path], bars: Sequence[int], rng: np.random.Generator) -> tuple[Notes, float]:
    """A cut of one of the sources and its tempo."""
    while True:
        try:
            whole, tempo_bpm = _read(sources[rng.integers(len(sources))])
        except MuseError:
            continue
        n_bars = int(rng.integers(bars[0], bars[1] + 1))
        last_bar = int(whole["onset_beat"].max() // 4) if len(whole) else 0
        first_beat = 4.0 * int(rng.integers(0, max(1, last_bar - n_bars + 1)))
        inside = (whole["onset_beat"] >= first_beat) & (whole["onset_beat"] < first_beat + 4 * n_bars)
        notes = np.array(whole[inside], NOTE_DTYPE)
        if len(notes) < LEAST_NOTES:
            continue
        notes["onset_beat"] -= first_beat
        pitched = notes["program"] != DRUMS
        low, high = (int(edge(notes["pitch"][pitched], initial=64)) for edge in (np.min, np.max))
        notes["pitch"][pitched] += int(rng.integers(max(-6, -low), min(6, 127 - high) + 1))
        return notes, float(np.clip(tempo_bpm * rng.uniform(0.8, 1.25), 30, 250))


@functools.lru_cache(maxsize=2000)
def _read(path: Path) -> tuple[Notes, float]:
    score = read_score(path)
    tempo_bpm = float(score.tempos[0].qpm) if len(score.tempos) else 120.0
    return note_array(score), tempo_bpm


if __name__ == "__main__":
    main()
