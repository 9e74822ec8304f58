"""Renders generated pieces and measures the sound and the sheet music: ``python benchmarks/sound_and_score.py``.

Composes ``--pieces`` short pieces (kept in ``--folder`` and not composed again), then

* plays each: loudness within 1 LU of the target, no true peak above the ceiling, no clipping, no silence, speed;
* engraves the first ``--sheets`` to SVG: every note of the MIDI file drawn once;
* reads the MusicXML of the first ``--parsed`` with music21: the same notes, and twice the same bytes.

Prints a table and exits with 1 where a promise is not kept.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

import muse
from muse.render import SAMPLE_RATE, engrave, find_soundfont, musicxml, render_audio
from muse.render.loudness import loudness_lufs, true_peak_db
from muse.render.sound import CEILING_DBTP, LOUDNESS_LUFS
from muse.score import DRUMS, Score, note_array, read_score

INSTRUMENTS = (
    ["piano"],
    ["piano", "bass", "drums"],
    ["violin", "cello", "flute"],
    ["guitar", "bass", "drums", "organ"],
)
EMOTIONS = ("happy", "angry", "sad", "calm")


def compose(folder: Path, n_pieces: int, bars: int) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    composer = None
    paths = [folder / f"{i:03d}.mid" for i in range(n_pieces)]
    for i, path in enumerate(paths):
        if not path.exists():
            composer = composer or muse.Composer.from_pretrained()
            intent = muse.Intent(emotion=EMOTIONS[i // 4 % 4], bars=bars, instruments=INSTRUMENTS[i % len(INSTRUMENTS)])
            composer.compose(intent, n_candidates=1, seed=i).save(path)
    return paths


def play(path: Path, soundfont: Path) -> dict[str, float]:
    """What one piece sounds like, and how long it took."""
    score = read_score(path)
    wall, cpu = time.perf_counter(), time.process_time()
    samples = render_audio(score, soundfont=soundfont)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = float(np.abs(samples).max())
    in_seconds: Any = score.to("Second")
    silent = samples.shape[1] < 0.5 * float(in_seconds.end()) * SAMPLE_RATE
    return {
        "seconds": samples.shape[1] / SAMPLE_RATE,
        "wall": wall,
        "cpu": cpu,
        "lufs": loudness_lufs(samples, SAMPLE_RATE),
        "peak_db": true_peak_db(samples),
        "clipped": float(_flat_tops(samples) > 0 or peak >= 1),
        "silent": float(silent or peak < 0.01),
    }


def _flat_tops(samples: np.ndarray) -> int:
    """How often three samples in a row lie on the peak, as in clipped sound."""
    top = np.abs(samples) >= 0.9999 * np.abs(samples).max()
    return int((top[:, 2:] & top[:, 1:-1] & top[:, :-2]).sum())


def sound(paths: list[Path], soundfont: Path, workers: int) -> bool:
    start = time.perf_counter()
    with ProcessPoolExecutor(workers) as pool:
        rows = list(pool.map(play, paths, [soundfont] * len(paths), chunksize=5))
    wall = time.perf_counter() - start
    seconds, cpu = sum(row["seconds"] for row in rows), sum(row["cpu"] for row in rows)
    lufs, peaks = np.array([row["lufs"] for row in rows]), np.array([row["peak_db"] for row in rows])
    clipped, silent = sum(row["clipped"] for row in rows), sum(row["silent"] for row in rows)
    print(f"sound, {soundfont.name}: {len(rows)} pieces, {seconds:.0f} s of music")
    print(f"  loudness {lufs.min():.2f} to {lufs.max():.2f} LUFS; highest true peak {peaks.max():.2f} dBTP")
    print(f"  clipped {clipped:.0f}, silent {silent:.0f}")
    print(
        f"  speed: {seconds / wall:.0f} times real time on {workers} processes by the clock, "
        f"{seconds / cpu:.0f} a core by processor time (x {workers} = {workers * seconds / cpu:.0f})"
    )
    kept = np.abs(lufs - LOUDNESS_LUFS).max() <= 1 and peaks.max() <= CEILING_DBTP + 0.01
    return bool(kept and not clipped and not silent and workers * seconds / cpu >= 50)


def sheets(paths: list[Path]) -> bool:
    missing, n_notes, start = 0, 0, time.perf_counter()
    for path in paths:
        score = read_score(path)
        drawn = Counter(re.findall(r'id="n(\d+)" class="note"', engrave(score, "svg").decode("utf-8")))
        n = len(note_array(score))
        n_notes += n
        missing += sum(drawn[str(i)] != 1 for i in range(n))
    seconds = time.perf_counter() - start
    print(f"engraved: {len(paths)} pieces, {n_notes} notes, {missing} missing or twice, {seconds:.1f} s")
    return not missing


def parsed(paths: list[Path]) -> bool:
    wrong = 0
    for path in paths:
        score = read_score(path)
        data = musicxml(score)
        wrong += data != musicxml(score) or not _same_in_music21(score, data)
    print(f"MusicXML: {len(paths)} files, {wrong} not the same in music21 or not the same bytes twice")
    return not wrong


def _same_in_music21(score: Score, data: bytes) -> bool:
    from music21 import converter

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*does not map to a valid instrument")  # music21 lacks some drums
        path = Path(folder) / "a.musicxml"
        path.write_bytes(data)
        stream = converter.parse(path)
    heard: Counter[int] = Counter()
    for element in stream.flatten().notes:
        for one in element.notes if hasattr(element, "notes") else [element]:
            if one.tie is None or one.tie.type == "start":
                heard[-1 if "Unpitched" in one.classSet else one.pitch.midi] += 1
    notes = note_array(score)
    return heard == Counter(np.where(notes["program"] == DRUMS, -1, notes["pitch"]).tolist())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pieces", type=int, default=100)
    parser.add_argument("--sheets", type=int, default=50)
    parser.add_argument("--parsed", type=int, default=20)
    parser.add_argument("--bars", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("out/rendered"))
    parser.add_argument("--soundfont", type=Path, default=None)
    asked = parser.parse_args()
    paths = compose(asked.folder, asked.pieces, asked.bars)
    kept = [
        sound(paths, find_soundfont(asked.soundfont), asked.workers),
        sheets(paths[: asked.sheets]),
        parsed(paths[: asked.parsed]),
    ]
    print("all kept" if all(kept) else "NOT KEPT")
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
