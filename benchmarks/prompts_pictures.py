"""How well pictures and videos are read, and how fast.

``python benchmarks/prompts_pictures.py PROMPTS`` prints JSON; `PROMPTS` is the folder with ``oasis``. Videos are made
here: photographs one after another, still or slowly moved, with cuts or dissolves, with and without noise, in
640 x 360; and one of three minutes in 1920 x 1080. The settings of :mod:`muse.prompts.video.shots` were chosen on clips
of seeds 0 and 1; those measured here have others.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from muse.corpora.table import read_rows
from muse.errors import MuseError
from muse.prompts.image import parse_image
from muse.prompts.video import parse_video
from muse.training.prompts.image import fit_reader

KINDS: tuple[dict[str, Any], ...] = (
    {"moved": False}, {"moved": True}, {"moved": True, "noise": 8}, {"moved": True, "dissolve_sec": 0.4},
    {"moved": True, "dissolve_sec": 0.8}, {"moved": False, "noise": 15},
    {"moved": True, "dissolve_sec": 0.5, "noise": 5},
)  # fmt: skip
SHOTS = 12


def make_video(
    path: Path,
    pictures: Sequence[Path],
    seconds: Sequence[float],
    *,
    size: tuple[int, int] = (640, 360),
    moved: bool = True,
    dissolve_sec: float = 0.0,
    noise: float = 0.0,
    seed: int = 0,
    rate: int = 25,
) -> list[float]:
    """Write a video of photographs and tell the seconds of its boundaries."""
    rng = np.random.default_rng(seed)
    width, height = size
    large = []
    for file in pictures:
        picture = Image.open(file).convert("RGB")
        k = 1.25 * max(width / picture.width, height / picture.height)
        large.append(picture.resize((int(picture.width * k) + 1, int(picture.height * k) + 1)))

    def frame(i: int, share: float) -> np.ndarray:
        share = share if moved else 0.5
        zoom = 1.25 - 0.25 * share if i % 2 else 1.0
        w, h = int(width * zoom), int(height * zoom)
        x = int((large[i].width - w) * (share if i % 3 else 0.5))
        y = int((large[i].height - h) * (0.5 if i % 3 else share))
        return np.asarray(large[i].crop((x, y, x + w, y + h)).resize(size), np.float32)

    boundaries, n = [], 0
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"preset": "ultrafast"}
        for i, length in enumerate(seconds):
            count, mixed = int(length * rate), int(dissolve_sec * rate)
            if i:
                boundaries.append((n + mixed / 2) / rate)
            for k in range(count):
                image = frame(i, k / count)
                if i and k < mixed:
                    image = image * (k / mixed) + frame(i - 1, 1.0) * (1 - k / mixed)
                if noise:
                    image = image + rng.normal(0, noise, image.shape)
                container.mux(
                    stream.encode(av.VideoFrame.from_ndarray(np.clip(image, 0, 255).astype(np.uint8), "rgb24"))
                )
            n += count
        container.mux(stream.encode(None))
    return boundaries


def hits(found: Sequence[float], true: Sequence[float], tolerance: float) -> int:
    """Boundaries that were found, each by one of those found."""
    left, n = list(found), 0
    for moment in true:
        near = min(left, key=lambda other: abs(other - moment), default=None)
        if near is not None and abs(near - moment) <= tolerance:
            left.remove(near)
            n += 1
    return n


def measure(prompts: Path) -> dict[str, Any]:
    """All figures."""
    folder = prompts / "oasis"
    rows = [row for row in read_rows(folder / "ratings.csv") if row["thumb"]]
    ratings = np.array([[float(row["valence_mean"]), float(row["arousal_mean"])] for row in rows])
    files = [folder / "thumbs" / row["thumb"] for row in rows]

    true_n = found_n = hit = 0
    single, arc, rated = [], [], []
    with tempfile.TemporaryDirectory() as temporary:
        clip = Path(temporary) / "clip.mp4"
        themes = np.array([row["theme"] for row in rows])
        part = dict(
            zip(np.unique(themes), np.random.default_rng(0).permutation(len(np.unique(themes))) % 3, strict=True)
        )
        for seed in (10, 11, 12):
            rng = np.random.default_rng(seed)
            # The reader knows no theme that it sees here.
            unseen = np.flatnonzero([part[theme] == seed - 10 for theme in themes])
            reader = fit_reader(prompts, frozenset(themes[unseen].tolist()))
            for kind in KINDS:
                chosen = rng.choice(unseen, SHOTS, replace=False)
                lengths = rng.uniform(1.2, 5, SHOTS).tolist()
                true = make_video(clip, [files[i] for i in chosen], lengths, seed=seed, **kind)
                shots = parse_video(clip, reader=reader).found("shot")
                found = [shot["start_sec"] for shot in shots][1:]
                hit += hits(found, true, 0.3 + kind.get("dissolve_sec", 0) / 2)
                true_n, found_n = true_n + len(true), found_n + len(found)
                middles = np.array([0.5 * (shot["start_sec"] + shot["stop_sec"]) for shot in shots])
                edges = [0.0, *true, sum(lengths)]
                for k, i in enumerate(chosen):
                    at = shots[int(np.argmin(np.abs(middles - 0.5 * (edges[k] + edges[k + 1]))))]
                    alone = parse_image(files[i], reader=reader).intent.emotion
                    assert alone is not None
                    arc.append((at["valence"], at["arousal"]))
                    single.append((alone.mean.valence, alone.mean.arousal))
                    rated.append(ratings[i])

        long = Path(temporary) / "long.mp4"
        rng = np.random.default_rng(3)
        lengths = rng.uniform(2, 6, 44).tolist()
        lengths[-1] += 180 - sum(lengths)
        make_video(long, [files[i] for i in rng.choice(len(rows), 44)], lengths, size=(1920, 1080))
        # In a process of its own, whose peak of memory is that of reading alone.
        code = (
            "import json, resource, sys, time; from muse.prompts import parse_video; t = time.perf_counter(); "
            "p = parse_video(sys.argv[1]); print(json.dumps({'seconds': round(time.perf_counter() - t, 1), "
            "'shots': len(p.found('shot')), "
            "'peak_memory_mb': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))"
        )
        ran = subprocess.run([sys.executable, "-c", code, str(long)], capture_output=True, text=True, check=True)
        three_minutes = json.loads(ran.stdout)

    photograph = files[0]
    parse_image(photograph)
    started = time.perf_counter()
    for file in files[:100]:
        parse_image(file)
    precision, recall = hit / max(found_n, 1), hit / max(true_n, 1)

    def r(read: list[tuple[float, float]]) -> dict[str, float]:
        pairs = zip(("valence", "arousal"), np.array(read).T, np.array(rated).T, strict=True)
        return {axis: round(float(np.corrcoef(a, b)[0, 1]), 3) for axis, a, b in pairs}

    return {
        "boundaries": {
            "clips": 3 * len(KINDS), "true": true_n, "precision": round(precision, 3), "recall": round(recall, 3),
            "f1": round(2 * precision * recall / (precision + recall), 3),
        },
        "r_with_ratings": {"arc": r(arc), "single pictures": r(single)},
        "three_minutes_1080p": three_minutes,
        "picture_ms": round((time.perf_counter() - started) * 10, 1),
    }  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompts", type=Path)
    try:
        document = measure(parser.parse_args().prompts)
    except MuseError as error:
        parser.error(str(error))
    print(json.dumps(document, indent=2))
