"""What broken pictures and videos do: each must be read, or refused in one clear line, within time and memory.

``python benchmarks/prompts_broken.py -n 100`` makes intact files of all formats, breaks them in `n` ways each kind, and
prints JSON: how many were read and refused, the slowest, the most memory, and every fault. Ends with 1 if there is one.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from muse.errors import InputError
from muse.prompts import parse_image, parse_video

MOST_SECONDS, MOST_BYTES = 20.0, 1_500_000_000


def pictures() -> dict[str, bytes]:
    """An intact picture of every format and kind of pixel."""
    rng = np.random.default_rng(0)
    base = Image.fromarray(rng.integers(0, 255, (12, 16, 4), dtype=np.uint8)).resize((640, 480))
    deep = Image.fromarray((np.asarray(base.convert("L")).astype(np.uint16)) * 257)
    made: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
        "rgb.png": (base.convert("RGB"), "PNG", {}),
        "rgba.png": (base, "PNG", {}),
        "deep.png": (deep, "PNG", {}),
        "palette.png": (base.convert("RGB").convert("P"), "PNG", {}),
        "plain.jpg": (base.convert("RGB"), "JPEG", {}),
        "progressive.jpg": (base.convert("RGB"), "JPEG", {"progressive": True}),
        "cmyk.jpg": (base.convert("CMYK"), "JPEG", {}),
        "one.webp": (base, "WEBP", {}),
        "moving.webp": (base, "WEBP", {"save_all": True, "append_images": [base.rotate(90 * k) for k in range(1, 4)]}),
        "moving.gif": (
            base.convert("P"),
            "GIF",
            {"save_all": True, "append_images": [base.rotate(90).convert("P")] * 3},
        ),
        "one.bmp": (base.convert("RGB"), "BMP", {}),
        "lzw.tiff": (base, "TIFF", {"compression": "tiff_lzw"}),
        "jpeg.tiff": (base.convert("RGB"), "TIFF", {"compression": "jpeg"}),
    }
    files = {}
    for name, (picture, kind, options) in made.items():
        stream = io.BytesIO()
        picture.save(stream, kind, **options)
        files[name] = stream.getvalue()
    return files


def videos(folder: Path) -> dict[str, bytes]:
    """A sound video of two seconds for every container and codec."""
    rng = np.random.default_rng(0)
    files = {}
    for name, codec in (("a.mp4", "libx264"), ("b.mkv", "libx264"), ("c.avi", "mpeg4"), ("d.ts", "mpeg2video"),
                        ("e.mov", "mjpeg"), ("f.webm", "libvpx")):  # fmt: skip
        with av.open(str(folder / name), "w") as container:
            stream: Any = container.add_stream(codec, rate=12)
            stream.width, stream.height = 160, 120
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            for k in range(24):
                if k % 12 == 0:
                    picture = Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)).resize((160, 120))
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(picture.rotate(k)), format="rgb24")))
            container.mux(stream.encode(None))
        files[name] = (folder / name).read_bytes()
    return files


def broken(data: bytes, rng: np.random.Generator) -> bytes:
    """The file with one to four of: flipped bytes, a hole, a doubled part, an end cut off, large numbers in its
    head."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        at, size = int(rng.integers(len(changed))), int(rng.integers(1, 64))
        match int(rng.integers(6)):
            case 0:
                for place in rng.integers(len(changed), size=size):
                    changed[place] ^= 1 << int(rng.integers(8))
            case 1:
                del changed[at : at + size]
            case 2:
                changed[at:at] = changed[at : at + size]
            case 3:
                del changed[max(at, 8) :]
            case 4:
                head = int(rng.integers(min(len(changed), 256)))
                changed[head : head + 4] = int(rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 65535])).to_bytes(4, "big")
            case _:
                changed[at : at + size] = rng.bytes(size)
        if not changed:
            return b"\0"
    return bytes(changed)


def try_all(parse: Callable[[Path], Any], files: dict[str, bytes], n: int, folder: Path) -> dict[str, Any]:
    """Figures of one kind."""
    counts, faults, slowest = {"read": 0, "refused": 0}, [], 0.0
    for k in range(n):
        name = list(files)[k % len(files)]
        path = folder / f"{k:04d}-{name}"
        path.write_bytes(broken(files[name], np.random.default_rng(k)))
        begin = time.perf_counter()
        try:
            parse(path)
            counts["read"] += 1
        except InputError as error:
            counts["refused"] += 1
            if "\n" in str(error) or path.name not in str(error) or len(str(error)) > 400:
                faults.append(f"{path.name}: {error!s}")
        except Exception as error:
            faults.append(f"{path.name}: {type(error).__name__}: {error}")
        seconds = time.perf_counter() - begin
        slowest = max(slowest, seconds)
        if seconds > MOST_SECONDS:
            faults.append(f"{path.name}: {seconds:.1f} s")
        path.unlink()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if peak > MOST_BYTES:
        faults.append(f"{peak / 1e6:.0f} MB of memory")
    return {"n": n, **counts, "slowest_sec": round(slowest, 2), "most_memory_mb": round(peak / 1e6), "faults": faults}


def main() -> None:
    """Break files and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=100)
    n = parser.parse_args().n
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = {
            "pictures": try_all(parse_image, pictures(), n, folder),
            "videos": try_all(parse_video, videos(folder), n, folder),
        }
    print(json.dumps(found, indent=2))
    sys.exit(any(one["faults"] for one in found.values()))


if __name__ == "__main__":
    main()
