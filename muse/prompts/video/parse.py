"""Videos: shots, the emotion of each, and how fast they move, as an arc that lasts as long as the pictures.

Conventions
-----------
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

Frames come from :mod:`muse.prompts.video.frames`, the boundaries of shots from :mod:`muse.prompts.video.shots`.

Contents: :func:`parse_video`, :class:`Shot`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from muse.emotion import Emotion, EmotionPath
from muse.intent import Intent
from muse.prompts.fusion import lasting
from muse.prompts.image.reader import PictureReader, load_reader
from muse.prompts.parsed import Evidence, Parsed
from muse.prompts.video.frames import duration_of, frames_of
from muse.prompts.video.shots import find_shots, look_at

__all__ = ["Shot", "parse_video"]

Array = np.ndarray[Any, np.dtype[Any]]

MAX_KNOTS: Final = 64
USUAL_SHOT_SEC, USUAL_MOTION = 5.0, 0.03
BASE_TEMPO_BPM, BASE_NOTES_PER_SEC = 96.0, 4.5
TEMPO_OCTAVES, DENSITY_OCTAVES = 0.25, 1.5
"""How much one unit of arousal adds; the mapping asks for 3 to 10 notes a second between arousal -0.5 and 0.5."""
_KEPT_PER_SHOT: Final = 3
_KEEP_EVERY_SEC: Final = 1.0
_CHANGED: Final = 0.4
"""Distance of two looks from which on they are different pictures."""
_BATCH: Final = 8


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
    reader = reader or load_reader()
    seen = _Seen(reader)
    for now, picture in frames_of(path):
        seen.add(now, picture)
    seen.flush()
    duration = duration_of(path, np.array(seen.times))
    shots, spread = _shots(seen, duration)
    arc = _arc(shots, duration)
    tempo, density, rate = _pace(shots, duration, arc.mean.arousal)
    name = Path(path).name
    rows = [
        Evidence("emotion", arc, name, 0.6, "model", spread),
        Evidence("tempo_bpm", round(tempo, 2), rate, 0.5, "model"),
        Evidence("attributes", {"Note Density": round(density, 2)}, rate, 0.4, "model"),
        Evidence("duration_sec", duration, name, 1.0, "file"),
    ]
    for shot in shots:
        place = {"start_sec": round(shot.start_sec, 2), "stop_sec": round(shot.stop_sec, 2), **shot.emotion.to_dict()}
        rows.append(Evidence("shot", place, shot.scene, 0.6, "model"))
    intent = Intent(emotion=arc, tempo_bpm=tempo, attributes={"Note Density": density})
    return lasting(Parsed(intent, tuple(rows)))


@dataclass
class _Seen:
    """What is kept of the frames of a video: a little of every one, features of some."""

    reader: PictureReader
    times: list[float] = field(default_factory=list)
    """Seconds."""
    looks: list[Array] = field(default_factory=list)
    """Colours and layout, see :func:`~muse.prompts.video.shots.look_at`."""
    greys: list[Array] = field(default_factory=list)
    """Brightness on a coarse grid."""
    features: dict[int, Array] = field(default_factory=dict)
    """Of frames that were looked at closely, by number, rising."""
    _waiting: list[tuple[int, Array]] = field(default_factory=list)
    _last: int = -1

    def add(self, now: float, picture: Array) -> None:
        """Look at a frame; closely at one a second and at every one that differs from the last such one."""
        look, grey = look_at(picture)
        if (
            self._last < 0
            or now - self.times[self._last] >= _KEEP_EVERY_SEC
            or np.linalg.norm(look - self.looks[self._last]) > _CHANGED
        ):
            self._last = len(self.times)
            self._waiting.append((self._last, picture))
            if len(self._waiting) == _BATCH:
                self.flush()
        self.looks.append(look)
        self.greys.append(grey)
        self.times.append(now)

    def flush(self) -> None:
        """Compute the features that wait."""
        if self._waiting:
            rows = self.reader.features([picture for _, picture in self._waiting], whole=True)
            self.features |= {i: row for (i, _), row in zip(self._waiting, rows, strict=True)}
            self._waiting.clear()


def _shots(seen: _Seen, duration: float) -> tuple[list[Shot], tuple[float, float]]:
    """The shots in order, and the spread of their emotions."""
    seconds, reader = np.array(seen.times), seen.reader
    starts = find_shots(np.array(seen.looks), seconds)
    close = list(seen.features)
    greys = np.array(seen.greys)
    change = np.abs(np.diff(greys, axis=0)).mean((1, 2)) if len(greys) > 1 else np.zeros(0)
    shots = []
    spread = (0.0, 0.0)
    for start, stop in zip(starts, [*starts[1:], len(seconds)], strict=True):
        inside = [i for i in close if start <= i < stop]
        # Frames at the edges of a shot are often half of another.
        inner = [i for i in inside if start < i < stop - 1] or inside or [close[np.searchsorted(close, start) - 1]]
        chosen = [inner[k] for k in np.unique(np.linspace(0, len(inner) - 1, _KEPT_PER_SHOT).round().astype(int))]
        point = reader.emotion(np.mean([seen.features[i] for i in chosen], axis=0)[None])[0]
        emotion, spread = reader.place(point, "vision")
        scene = reader.scenes(seen.features[chosen[len(chosen) // 2]])[0][0]
        motion = float(change[start : stop - 1].mean()) if stop - start > 1 else 0.0
        end = float(seconds[stop]) if stop < len(seconds) else duration
        shots.append(Shot(float(seconds[start]), end, emotion, motion, scene))
    return shots, spread


def _pace(shots: Sequence[Shot], duration: float, arousal: float) -> tuple[float, float, str]:
    """Tempo in BPM and notes a second that shots and motion ask for, and why."""
    usual = duration / len(shots)
    motion = sum(shot.motion * (shot.stop_sec - shot.start_sec) for shot in shots) / duration
    pace = math.log2(USUAL_SHOT_SEC / usual) + math.log2(max(motion, 1e-3) / USUAL_MOTION)
    pace = max(-3.0, min(3.0, pace))
    # From what music of that arousal usually has, the pace goes up or down.
    tempo = BASE_TEMPO_BPM * 2 ** (pace * math.log2(1.2) + TEMPO_OCTAVES * arousal)
    density = BASE_NOTES_PER_SEC * 2 ** (pace * math.log2(1.4) + DENSITY_OCTAVES * arousal)
    return tempo, density, f"{len(shots)} shots of {usual:.1f} s, motion {motion:.3f}"


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
