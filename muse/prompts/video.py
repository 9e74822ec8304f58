"""Videos: shots, the emotion of each, and how fast they move, as an arc that lasts as long as the pictures.

Conventions
-----------
frames
    :data:`FRAMES_PER_SEC` are looked at, scaled down while they are decoded, so memory stays the same however long or
    large the video is.
shots
    A boundary is a moment around which colours and coarse layout differ: the distance between the mean of the half
    second before and that of the half second after (a kernel as in Foote 2000 on a self-similarity matrix, narrow
    enough for cuts, wide enough for dissolves), where it peaks above the video's own unrest.
emotion
    Of a shot, that of the mean features of up to three of its frames, see :mod:`muse.prompts.image`; the arc has a knot
    in the middle of every shot, at most :data:`MAX_KNOTS`.
pace
    After Adams, Dorai & Venkatesh 2002 (*Toward automatic extraction of expressive elements from motion pictures:
    tempo*, IEEE Trans. Multimedia 4, eq. 1): the sum of how short the shots are and how much moves in them, each
    against a usual value. One more doubles the shots a minute or the motion; tempo rises by a fifth with it, notes a
    second by two fifths, from what music of the arc's arousal has. (The usual values are ours: shots of five seconds,
    as films have them by Cutting et al. 2011, *Quicker, faster, darker*; the motion is the median over clips of slowly
    moved photographs.)

Contents: :func:`parse_video`, :class:`Shot`, :func:`find_shots`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from muse.audio import open_media
from muse.emotion import Emotion, EmotionPath
from muse.errors import InputError, require
from muse.intent import Intent
from muse.prompts.image import SHORT_SIDE, PictureReader, load_reader
from muse.prompts.parsed import Evidence, Parsed, lasting

__all__ = ["Shot", "find_shots", "parse_video"]

Array = np.ndarray[Any, np.dtype[Any]]

FRAMES_PER_SEC: Final = 6.0
MAX_SEC: Final = 3600.0
MAX_KNOTS: Final = 64
MAX_SHOTS: Final = 2000
SHORTEST_SEC: Final = 0.2
USUAL_SHOT_SEC, USUAL_MOTION = 5.0, 0.03
BASE_TEMPO_BPM, BASE_NOTES_PER_SEC = 96.0, 4.5
TEMPO_OCTAVES, DENSITY_OCTAVES = 0.25, 1.5
"""How much one unit of arousal adds; the mapping asks for 3 to 10 notes a second between arousal -0.5 and 0.5."""
_GRID: Final = (12, 16)
_BINS: Final = 4
_LEAST_NOVELTY: Final = 0.18
_UNREST: Final = 0.6
_KEPT_PER_SHOT: Final = 3
_KEEP_EVERY_SEC: Final = 1.0


@dataclass(frozen=True)
class Shot:
    """A shot, in seconds from the beginning of the video."""

    start_sec: float
    stop_sec: float
    emotion: Emotion
    motion: float
    """Mean change of brightness between frames looked at, 0..1."""
    scene: str = ""
    """What it resembles most."""


def _frames(path: str | Path) -> Iterator[tuple[float, Array]]:
    """(second, ``uint8 [height, width, 3]`` with :data:`SHORT_SIDE` on the short side) of the frames looked at."""
    av = require("av", "vision", "A video as prompt")
    with open_media(path, "video") as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = 4  # more hold more frames in memory
        if stream.duration and stream.time_base and float(stream.duration * stream.time_base) > MAX_SEC:
            raise InputError(f"{path} is longer than an hour: cut out the part that is meant")
        # Frames that no other needs are passed over where there are far more of them than are looked at.
        if float(stream.average_rate or 0) > 3 * FRAMES_PER_SEC:
            stream.codec_context.skip_frame = "NONREF"
        wanted, first, n = 0.0, None, 0
        try:
            for frame in container.decode(stream):
                now = float(frame.time or 0.0)
                first = now if first is None else first
                now -= first
                if now > MAX_SEC:
                    raise InputError(f"{path} is longer than an hour: cut out the part that is meant")
                if now + 1e-6 < wanted:
                    continue
                wanted = max(wanted, now) + 1 / FRAMES_PER_SEC
                scale = SHORT_SIDE / min(frame.width, frame.height)
                size = {"width": max(round(frame.width * scale), 1), "height": max(round(frame.height * scale), 1)}
                picture = frame.reformat(format="rgb24", interpolation="AREA", **size).to_ndarray()
                turns = round(getattr(frame, "rotation", 0) / 90) % 4
                n += 1
                yield now, np.rot90(picture, turns) if turns else picture
        except av.error.FFmpegError:
            if n < FRAMES_PER_SEC:  # what breaks off later is read up to there
                raise
    if not n:
        raise InputError(f"{path} has no picture in it: give a video")


def _look(picture: Array) -> tuple[Array, Array]:
    """Colours and layout of a frame, a vector of which distances tell; and its brightness on a coarse grid."""
    height, width = picture.shape[:2]
    rows = (np.arange(4 * _GRID[0]) + 0.5) * height / (4 * _GRID[0])
    columns = (np.arange(4 * _GRID[1]) + 0.5) * width / (4 * _GRID[1])
    small = picture[np.ix_(rows.astype(int), columns.astype(int))]
    bins = (small >> 6).reshape(-1, 3) @ np.array([_BINS**2, _BINS, 1])
    histogram = np.bincount(bins, minlength=_BINS**3) / len(bins)
    grey = small.mean(2).reshape(_GRID[0], 4, _GRID[1], 4).mean((1, 3)) / 255
    return np.concatenate([np.sqrt(histogram), grey.ravel() * (2 / math.sqrt(grey.size))]), grey


def find_shots(looks: Array, times: Array) -> list[int]:
    """Frames that begin a shot.

    Parameters
    ----------
    looks
        Float [frames, features], see the module.
    times
        Seconds of the frames, rising, [frames].

    Returns
    -------
    list of int
        Rising, the first is 0.
    """
    n, half = len(looks), max(round(0.5 * FRAMES_PER_SEC), 1)
    if n < 3:
        return [0]
    total = np.concatenate([np.zeros((1, looks.shape[1])), np.cumsum(looks, axis=0)])
    place = np.arange(1, n)
    before, after = np.maximum(place - half, 0), np.minimum(place + half, n)
    past = (total[place] - total[before]) / (place - before)[:, None]
    coming = (total[after] - total[place]) / (after - place)[:, None]
    novelty = np.linalg.norm(past - coming, axis=1) / math.sqrt(2)
    step = np.linalg.norm(np.diff(looks, axis=0), axis=1) / math.sqrt(2)
    # A pan is unrest that goes on; a boundary stands out from the seconds around it.
    reach = round(3 * FRAMES_PER_SEC)
    unrest = np.array([np.median(step[max(i - reach, 0) : i + reach + 1]) for i in range(n - 1)])
    threshold = _LEAST_NOVELTY + _UNREST * half * unrest
    starts = [0]
    for i in np.argsort(-novelty, kind="stable"):
        if novelty[i] < _LEAST_NOVELTY:
            break
        window = novelty[max(i - half, 0) : i + half + 1]
        if novelty[i] < max(threshold[i], window.max()):
            continue
        # Of a cut the exact frame is known: the largest step nearby.
        near = np.arange(max(i - 1, 0), min(i + 2, n - 1))
        at = int(near[np.argmax(step[near])]) + 1
        if (
            all(abs(times[at] - times[other]) >= SHORTEST_SEC for other in starts if other)
            and times[at] >= SHORTEST_SEC
        ):
            starts.append(at)
    return sorted(starts)[:MAX_SHOTS]


def parse_video(path: str | Path, *, reader: PictureReader | None = None) -> Parsed:
    """Read shots, emotion and pace of a video.

    Parameters
    ----------
    path
        The file; up to an hour.
    reader
        Reads the pictures; the one that comes with Muse when None.

    Returns
    -------
    Parsed
        The intent's emotion is the arc; tempo, note density and bars follow the pace, and the music lasts as long as
        the video (``duration_sec`` in the evidence). A row ``shot`` for every shot.

    Raises
    ------
    InputError
        It cannot be read as a video.
    """
    looks: list[Array] = []
    greys: list[Array] = []
    times: list[float] = []
    kept_at: list[int] = []
    reader = reader or load_reader()
    batch: list[tuple[int, Array]] = []
    features: dict[int, Array] = {}

    def flush() -> None:
        if batch:
            for (i, _), row in zip(batch, reader.features([picture for _, picture in batch], whole=True), strict=True):
                features[i] = row
            batch.clear()

    for now, picture in _frames(path):
        look, grey = _look(picture)
        # A frame a second is looked at closely, and every frame that differs from the last such one.
        if (
            not kept_at
            or now - times[kept_at[-1]] >= _KEEP_EVERY_SEC
            or np.linalg.norm(look - looks[kept_at[-1]]) > 0.4
        ):
            kept_at.append(len(times))
            batch.append((len(times), picture))
            if len(batch) == 8:
                flush()
        looks.append(look)
        greys.append(grey)
        times.append(now)
    flush()

    seconds = np.array(times)
    duration = _duration(path, seconds)
    starts = find_shots(np.array(looks), seconds)
    change = np.abs(np.diff(np.array(greys), axis=0)).mean((1, 2)) if len(greys) > 1 else np.zeros(0)
    shots = []
    for start, stop in zip(starts, [*starts[1:], len(times)], strict=True):
        inside = [i for i in kept_at if start <= i < stop]
        # Frames at the edges of a shot are often half of another.
        inner = [i for i in inside if start < i < stop - 1] or inside or [kept_at[np.searchsorted(kept_at, start) - 1]]
        chosen = [inner[k] for k in np.unique(np.linspace(0, len(inner) - 1, _KEPT_PER_SHOT).round().astype(int))]
        point = reader.emotion(np.mean([features[i] for i in chosen], axis=0)[None])[0]
        emotion, spread = reader.place(point, "vision")
        scene = reader.scenes(features[chosen[len(chosen) // 2]])[0][0]
        motion = float(change[start : stop - 1].mean()) if stop - start > 1 else 0.0
        end = float(seconds[stop]) if stop < len(times) else duration
        shots.append(Shot(float(seconds[start]), end, emotion, motion, scene))

    path_of_emotion = _arc(shots, duration)
    usual = duration / len(shots)
    motion = sum(shot.motion * (shot.stop_sec - shot.start_sec) for shot in shots) / duration
    pace = math.log2(USUAL_SHOT_SEC / usual) + math.log2(max(motion, 1e-3) / USUAL_MOTION)
    pace = max(-3.0, min(3.0, pace))
    # From what music of that arousal usually has, the pace goes up or down.
    arousal = path_of_emotion.mean.arousal
    tempo = BASE_TEMPO_BPM * 2 ** (pace * math.log2(1.2) + TEMPO_OCTAVES * arousal)
    density = BASE_NOTES_PER_SEC * 2 ** (pace * math.log2(1.4) + DENSITY_OCTAVES * arousal)
    name = Path(path).name
    rate = f"{len(shots)} shots of {usual:.1f} s, motion {motion:.3f}"
    rows = [
        Evidence("emotion", path_of_emotion, name, 0.6, "model", spread),
        Evidence("tempo_bpm", round(tempo, 2), rate, 0.5, "model"),
        Evidence("attributes", {"Note Density": round(density, 2)}, rate, 0.4, "model"),
        Evidence("duration_sec", duration, name, 1.0, "file"),
    ]
    rows += [
        Evidence(
            "shot",
            {"start_sec": round(s.start_sec, 2), "stop_sec": round(s.stop_sec, 2), **s.emotion.to_dict()},
            s.scene,
            0.6,
            "model",
        )
        for s in shots
    ]
    intent = Intent(emotion=path_of_emotion, tempo_bpm=tempo, attributes={"Note Density": density})
    return lasting(Parsed(intent, tuple(rows)))


def _duration(path: str | Path, seconds: Array) -> float:
    """Length of the pictures: as the file says, or from the frames."""
    from_frames = float(seconds[-1]) + (float(np.median(np.diff(seconds))) if len(seconds) > 1 else 1 / FRAMES_PER_SEC)
    with open_media(path, "video") as container:
        stream = container.streams.video[0]
        said = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
    return said if abs(said - from_frames) < 1.0 else from_frames


def _arc(shots: list[Shot], duration: float) -> EmotionPath:
    """A knot in the middle of every shot; neighbours are joined, the shortest first, until there are few enough."""
    knots = [
        (
            shot.stop_sec - shot.start_sec,
            0.5 * (shot.start_sec + shot.stop_sec),
            shot.emotion.valence,
            shot.emotion.arousal,
        )
        for shot in shots
    ]
    while len(knots) > MAX_KNOTS:
        i = min(range(len(knots) - 1), key=lambda k: knots[k][0] + knots[k + 1][0])
        a, b = knots[i], knots[i + 1]
        whole = a[0] + b[0]
        mixed = tuple((a[0] * x + b[0] * y) / whole for x, y in zip(a[1:], b[1:], strict=True))
        knots[i : i + 2] = [(whole, *mixed)]  # type: ignore[list-item]
    positions = [min(max(knot[1] / duration, 0.0), 1.0) for knot in knots]
    return EmotionPath(tuple(positions), tuple(Emotion(knot[2], knot[3]) for knot in knots))
