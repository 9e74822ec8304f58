"""Broken sounds, pictures, videos, checkpoints and tables: each is read, or refused in one clear line that names it.

``python benchmarks/broken_files.py [-n 80] [--seed 0] [--kind KIND ...]`` makes intact files of every format, breaks
copies of them in `n` ways for each kind, reads each as a user would, and prints JSON: how many were read and refused,
the slowest (in seconds of the processor), the most memory, and every fault: another exception, more than a line, a file
that is not named, a process that died. Each kind has a process of its own. Ends with 1 if there is a fault or a limit
was passed.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from muse.errors import MuseError

MOST_SEC, MOST_BYTES, MOST_LETTERS = 20.0, 1_500_000_000, 600
RATE = 44_100
SOUNDS = {
    "a.wav": "pcm_s16le", "b.flac": "flac", "c.mp3": "libmp3lame", "d.m4a": "aac", "e.ogg": "flac", "f.mka": "flac",
    "g.aiff": "pcm_s16be", "h.ts": "aac",
}  # fmt: skip
VIDEOS = {
    "a.mp4": "libx264", "b.mkv": "libx264", "c.avi": "mpeg4", "d.ts": "mpeg2video", "e.mov": "mjpeg",
    "f.webm": "libvpx",
}  # fmt: skip
CHECKPOINTS = ("planner", "arranger", "selector", "recognizer")
"""Those that people may bring their own of."""
TABLES = {
    "metadata.csv": "id,file,title,composer,split,licence,licence_class,quadrant\n"
    + "".join(f'{i},midi/{i}.mid,"Prélude, No. {i}",Bach,train,CC0,permissive,{1 + i % 4}\n' for i in range(30)),
    "beat_midi.txt": "".join(f"{i * 0.5} {float(i % 4 == 0)} {float(i % 2 == 0)}\n" for i in range(40)),
    "chord_midi.txt": "".join(f"{i}.0\t{i + 1}.0\t{'C:maj A:min7/b3 F:maj N'.split()[i % 4]}\n" for i in range(20)),
    "key_audio.txt": "0.0\t8.0\tC:maj\n8.0\t16.0\tA:min\n",
    "ratings.csv": "time_s,valence,arousal\n" + "".join(f"{i / 2},{i / 20 - 0.5},0.25\n" for i in range(20)),
    "batch.jsonl": "".join(f'{{"emotion": "sad", "bars": {4 + i}, "seed": {i}, "key": "Am"}}\n' for i in range(12)),
}


def broken(data: bytes, rng: np.random.Generator) -> bytes:
    """A file with one to four of: flipped bits, a hole, a doubled part, its end cut off, a large number in its head,
    noise, zeros, two parts exchanged."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        if not changed:
            break
        first, second = sorted(rng.integers(0, len(changed), 2).tolist())
        size = int(rng.integers(1, 64))
        match int(rng.integers(8)):
            case 0:
                for place in rng.integers(len(changed), size=size):
                    changed[place] ^= 1 << int(rng.integers(8))
            case 1:
                del changed[first : first + size]
            case 2:
                changed[first:first] = changed[first : first + size]
            case 3:
                del changed[max(first, 8) :]
            case 4:
                head = int(rng.integers(min(len(changed), 256)))
                changed[head : head + 4] = int(rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 65535])).to_bytes(4, "big")
            case 5:
                changed[first : first + size] = rng.bytes(size)
            case 6:
                changed[first:second] = bytes(second - first)
            case _:
                changed = changed[:first] + changed[second:] + changed[first:second]
    return bytes(changed)


def sounds(folder: Path) -> tuple[dict[str, bytes], Callable[[Path], Any]]:
    """Two voices and a beat, in stereo, in every container; recognized."""
    import av

    from muse.recognizer import Recognizer

    time_sec = np.arange(3 * RATE) / RATE
    tone = 0.3 * np.sin(2 * np.pi * 220 * time_sec) + 0.2 * np.sin(2 * np.pi * 277.2 * time_sec)
    sound = (tone * (0.5 + 0.5 * np.sign(np.sin(4 * np.pi * time_sec)))).astype(np.float32)
    for name, codec in SOUNDS.items():
        with av.open(str(folder / name), "w") as container:
            stream: Any = container.add_stream(codec, rate=RATE, layout="stereo")
            for first in range(0, len(sound), 1024):
                frame = av.AudioFrame.from_ndarray(np.stack([sound[first : first + 1024]] * 2), "fltp", "stereo")
                frame.sample_rate, frame.pts = RATE, first
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    recognizer = Recognizer.from_pretrained()

    def use(path: Path) -> None:
        if not np.isfinite(recognizer.recognize(path).curve).all():
            raise ValueError("the curve is not finite")

    return {name: (folder / name).read_bytes() for name in SOUNDS}, use


def pictures(_: Path) -> tuple[dict[str, bytes], Callable[[Path], Any]]:
    """A picture of every format and kind of pixel; read as a prompt."""
    from PIL import Image

    from muse.prompts import parse_image

    rng = np.random.default_rng(0)
    base = Image.fromarray(rng.integers(0, 255, (12, 16, 4), dtype=np.uint8)).resize((640, 480))
    deep = Image.fromarray((np.asarray(base.convert("L")).astype(np.uint16)) * 257)
    turned = [base.rotate(90 * k) for k in range(1, 4)]
    paletted = [picture.convert("P") for picture in (base, *turned)]
    made: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
        "rgb.png": (base.convert("RGB"), "PNG", {}),
        "rgba.png": (base, "PNG", {}),
        "deep.png": (deep, "PNG", {}),
        "palette.png": (base.convert("RGB").convert("P"), "PNG", {}),
        "plain.jpg": (base.convert("RGB"), "JPEG", {}),
        "progressive.jpg": (base.convert("RGB"), "JPEG", {"progressive": True}),
        "cmyk.jpg": (base.convert("CMYK"), "JPEG", {}),
        "one.webp": (base, "WEBP", {}),
        "moving.webp": (base, "WEBP", {"save_all": True, "append_images": turned}),
        "moving.gif": (paletted[0], "GIF", {"save_all": True, "append_images": paletted[1:]}),
        "one.bmp": (base.convert("RGB"), "BMP", {}),
        "lzw.tiff": (base, "TIFF", {"compression": "tiff_lzw"}),
        "jpeg.tiff": (base.convert("RGB"), "TIFF", {"compression": "jpeg"}),
    }
    files = {}
    for name, (picture, kind, options) in made.items():
        stream = io.BytesIO()
        picture.save(stream, kind, **options)
        files[name] = stream.getvalue()
    return files, parse_image


def videos(folder: Path) -> tuple[dict[str, bytes], Callable[[Path], Any]]:
    """Two seconds in every container and codec; read as a prompt."""
    import av
    from PIL import Image

    from muse.prompts import parse_video

    rng = np.random.default_rng(0)
    for name, codec in VIDEOS.items():
        with av.open(str(folder / name), "w") as container:
            stream: Any = container.add_stream(codec, rate=12)
            stream.width, stream.height = 160, 120
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            for k in range(24):
                if k % 12 == 0:
                    picture = Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)).resize((160, 120))
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(picture.rotate(k)), format="rgb24")))
            container.mux(stream.encode(None))
    return {name: (folder / name).read_bytes() for name in VIDEOS}, parse_video


def checkpoints(_: Path) -> tuple[dict[str, bytes], Callable[[Path], Any]]:
    """Every file that is read of a planner, an arranger, a selector and a recogniser; loaded beside the intact rest."""
    from muse.checkpoint import find
    from muse.composer.stages import Stages
    from muse.recognizer import Recognizer
    from muse.selector import Selector

    load: dict[str, Callable[[Path], Any]] = {
        "planner": lambda folder: Stages.from_pretrained(planner=folder),
        "arranger": lambda folder: Stages.from_pretrained(arranger=folder),
        "selector": Selector.from_pretrained,
        "recognizer": Recognizer.from_pretrained,
    }
    files = {
        f"{name}/{path.name}": path.read_bytes()
        for name in CHECKPOINTS
        for path in sorted(find(name).iterdir())
        if path.suffix != ".md" and path.name != "metrics.json"
    }

    def use(path: Path) -> None:
        folder = path.parent
        for other in find(folder.name).iterdir():
            if other.name != path.name:
                shutil.copyfile(other, folder / other.name)
        load[folder.name](folder)

    return files, use


def tables(folder: Path) -> tuple[dict[str, bytes], Callable[[Path], Any]]:
    """Tables of corpora, annotations, ratings, lines of a batch, and the fitted mapping; read by what reads them."""
    from muse.checkpoint import data_path
    from muse.corpora import read_beats, read_chords, read_key
    from muse.corpora.songs import find_songs
    from muse.mapping import EmotionMapper
    from muse.tasks.batch import read_requests
    from muse.tasks.recognize import read_ratings

    mapping = {name: data_path("attributes") / name for name in ("mapping.csv", "mapping.json")}

    def corpus(path: Path) -> None:
        (path.parent / "midi").mkdir()
        for i in range(30):
            (path.parent / "midi" / f"{i}.mid").touch()
        find_songs([path.parent])

    def mapper(path: Path) -> None:
        for name, intact in mapping.items():
            if name != path.name:
                shutil.copyfile(intact, path.parent / name)
        EmotionMapper.from_pretrained(path.parent).target("sad")

    read: dict[str, Callable[[Path], Any]] = {
        "metadata.csv": corpus,
        "beat_midi.txt": read_beats,
        "chord_midi.txt": read_chords,
        "key_audio.txt": read_key,
        "ratings.csv": read_ratings,
        "batch.jsonl": read_requests,
        **dict.fromkeys(mapping, mapper),
    }
    files = {name: text.encode() for name, text in TABLES.items()}
    return files | {name: path.read_bytes() for name, path in mapping.items()}, lambda path: read[path.name](path)


KINDS = {make.__name__: make for make in (sounds, pictures, videos, checkpoints, tables)}


def try_all(files: Mapping[str, bytes], use: Callable[[Path], Any], n: int, seed: int, folder: Path) -> dict[str, Any]:
    """Break and use `n` files, one after the other, each alone in a folder."""
    counts, faults, slowest = {"read": 0, "refused": 0}, [], 0.0
    names = list(files)
    for k in range(n):
        name = names[k % len(names)]
        path = folder / f"{k:04d}" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(broken(files[name], np.random.default_rng([seed, k])))
        started = time.process_time()
        try:
            use(path)
            counts["read"] += 1
        except MuseError as error:
            counts["refused"] += 1
            said = str(error)
            if (
                len(said.splitlines()) != 1
                or len(said) > MOST_LETTERS
                or not (path.name in said or str(path.parent) in said)
            ):
                faults.append(f"{path}: {said}")
        except Exception as error:
            faults.append(f"{path}: {type(error).__name__}: {error}")
        seconds = time.process_time() - started
        slowest = max(slowest, seconds)
        if seconds > MOST_SEC:
            faults.append(f"{path}: {seconds:.1f} s")
        shutil.rmtree(folder / f"{k:04d}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if peak > MOST_BYTES:
        faults.append(f"{peak / 1e6:.0f} MB of memory")
    return {"n": n, **counts, "slowest_sec": round(slowest, 2), "most_memory_mb": round(peak / 1e6), "faults": faults}


def main() -> int:
    """Break files and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=80, help="broken files of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=KINDS, action="append", help="only these")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        with tempfile.TemporaryDirectory() as name:
            (intact := Path(name) / "intact").mkdir()
            files, use = KINDS[options.kind[0]](intact)
            print(json.dumps(try_all(files, use, options.n, options.seed, Path(name))))
        return 0
    report = {}
    for kind in options.kind or KINDS:
        command = [
            sys.executable,
            __file__,
            "--here",
            "--kind",
            kind,
            "-n",
            str(options.n),
            "--seed",
            str(options.seed),
        ]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
        died = {"faults": [f"the process ended with {done.returncode}: {done.stderr.strip()[-300:]}"]}
        report[kind] = died if done.returncode else json.loads(done.stdout.splitlines()[-1])
    print(json.dumps(report, indent=2))
    return int(any(one["faults"] for one in report.values()))


if __name__ == "__main__":
    sys.exit(main())
