"""Tunes of one voice and single chords, so that the gate learns that they are music however plain or short.

The line on top of a score is played alone: by an instrument of the soundfont that plays one note at a time, or by a
plain tone as whistles, toys and old computers have it, with or without vibrato, portamento and breath.

Conventions
-----------
line
    float64 [n, 4]: onset and duration in seconds, pitch, velocity; no note sounds into the next.

Contents: :func:`line_of`, :func:`played_alone`, :func:`played_plainly`, :func:`a_chord`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import symusic
from numpy.typing import NDArray

from muse.render import render_audio

__all__ = ["a_chord", "line_of", "played_alone", "played_plainly"]

Floats = NDArray[np.float32]
Line = NDArray[np.float64]

SAME_ATTACK_SEC: Final = 0.05
SHORTEST_SEC: Final = 0.05
SOLOISTS: Final = (
    73, 74, 72, 75, 79, 40, 42, 41, 68, 71, 70, 65, 66, 56, 57, 60, 52, 53, 0, 24, 11, 12, 21, 80, 81, 82, 22,
)  # fmt: skip
"""General MIDI programs of winds, bowed strings, voices, piano, guitar, mallets, reeds and leads."""
TONES: Final = {
    "sine": (1.0,), "triangle": (1.0, 0.0, 1 / 9, 0.0, 1 / 25), "square": (1.0, 0.0, 1 / 3, 0.0, 1 / 5, 0.0, 1 / 7),
    "whistle": (1.0, 0.25, 0.08), "reed": (1.0, 0.5, 0.33, 0.25, 0.2, 0.17),
}  # fmt: skip
"""Strength of the harmonics of plain tones."""
LOWEST, HIGHEST = 30, 104
CHORDS: Final = ((4, 7), (3, 7), (4, 7, 10), (4, 7, 11), (3, 7, 10), (5, 7), (3, 6), (4, 8))
"""Semitones above the root."""
HARMONY_PROGRAMS: Final = (0, 1, 4, 6, 11, 12, 16, 19, 21, 24, 25, 27, 46, 48, 50, 52, 61, 80, 81, 88)
"""General MIDI programs of keys, mallets, organs, guitars, harp, strings, choir, brass and synthesizers."""


def line_of(score: Any) -> Line:
    """The highest note of each attack that no higher one covers, of a score whose time is in seconds."""
    notes = sorted(
        (note.time, -note.pitch, note.duration, note.velocity)
        for track in score.tracks
        if not track.is_drum
        for note in track.notes
    )
    line: list[list[float]] = []
    for onset, below, duration, velocity in notes:
        pitch = -below
        if line:
            last = line[-1]
            if onset - last[0] < SAME_ATTACK_SEC or (last[2] > pitch and last[0] + last[1] > onset + 0.5 * duration):
                continue
            last[1] = min(last[1], onset - last[0])
        line.append([onset, duration, pitch, velocity])
    return np.array(line, np.float64).reshape(-1, 4)


def _placed(line: Line, middle: float) -> Line:
    """The line in the octave in which its middle pitch is nearest to `middle`."""
    line = line.copy()
    if len(line):
        line[:, 2] = np.clip(line[:, 2] + 12 * np.round((middle - np.median(line[:, 2])) / 12), LOWEST, HIGHEST)
    return line


def played_alone(line: Line, random: np.random.Generator, sample_rate: int) -> Floats:
    """The line by a solo instrument of the soundfont, samples [n]."""
    score = symusic.Score(480).to("second")
    track = symusic.Track("solo", int(random.choice(SOLOISTS)), False, ttype="second")
    for onset, duration, pitch, velocity in _placed(line, random.uniform(58, 80)):
        track.notes.append(symusic.Note(onset, max(duration, SHORTEST_SEC), int(pitch), int(velocity), ttype="second"))
    score.tracks.append(track)
    return np.ascontiguousarray(render_audio(score.to("tick"), sample_rate=sample_rate).mean(axis=0))


def played_plainly(line: Line, random: np.random.Generator, sample_rate: int) -> Floats:
    """The line by a plain tone of some tuning, samples [n]."""
    line = _placed(line, random.uniform(58, 84))
    kind = str(random.choice(list(TONES)))
    vibrato = random.uniform(0.05, 0.4) * (random.random() < 0.4)  # semitones
    portamento_sec = random.uniform(0.01, 0.05) * (random.random() < 0.3)
    decay, tuning = random.choice([0, 0, 1, 3]), random.uniform(-0.5, 0.5)
    ends = (line[:, 0] + line[:, 1]).max(initial=0.0)
    sound = np.zeros(int((ends + 0.2) * sample_rate))
    before = None
    for onset, duration, pitch, velocity in line:
        time = np.arange(int(max(duration, SHORTEST_SEC) * sample_rate)) / sample_rate
        course = pitch + tuning + vibrato * np.sin(2 * np.pi * 5.5 * time) * np.minimum(time / 0.3, 1)
        if portamento_sec and before is not None:
            course += (before - pitch) * np.exp(-time / portamento_sec)
        before = pitch
        hertz = 440 * np.exp2((course - 69) / 12)
        turns = 2 * np.pi * np.cumsum(hertz) / sample_rate
        tone = np.sum([
            share * np.where(k * hertz < 0.48 * sample_rate, np.sin(k * turns), 0)
            for k, share in enumerate(TONES[kind], 1)
        ], axis=0)  # fmt: skip
        tone *= np.minimum(np.minimum(time / 0.01, (time[-1] - time) / 0.02), 1) * np.exp(-decay * time)
        first = int(onset * sample_rate)
        stop = min(first + len(tone), len(sound))
        sound[first:stop] += (0.4 + 0.6 * velocity / 127) * tone[: stop - first]
    if kind == "whistle":
        sound += random.uniform(0, 0.03) * random.normal(size=len(sound))
    peak = 10 ** (-random.uniform(1, 15) / 20)
    return (sound * (peak / max(float(np.abs(sound).max(initial=0.0)), 1e-9))).astype(np.float32)


def a_chord(random: np.random.Generator, sample_rate: int) -> Floats:
    """One chord of three to six notes, held for 0.4 to 4 s by one instrument and let ring, samples [n]."""
    root, above = int(random.integers(43, 68)), CHORDS[int(random.integers(len(CHORDS)))]
    pitches = [root, *(root + interval + 12 * int(random.integers(2)) for interval in above)]
    if random.random() < 0.5:
        pitches.append(root - 12)
    held, spread = random.uniform(0.4, 4), random.uniform(0, 0.06) * (random.random() < 0.4)
    score = symusic.Score(480).to("second")
    track = symusic.Track("chord", int(random.choice(HARMONY_PROGRAMS)), False, ttype="second")
    velocity = int(random.integers(40, 120))
    for i, pitch in enumerate(sorted(pitches)):
        track.notes.append(symusic.Note(i * spread, held, pitch, velocity, ttype="second"))
    score.tracks.append(track)
    return np.ascontiguousarray(render_audio(score.to("tick"), sample_rate=sample_rate).mean(axis=0))
