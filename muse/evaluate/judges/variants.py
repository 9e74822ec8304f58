"""Variants of a clip as other recordings would have it, from which judges learn what is not emotion."""

from __future__ import annotations

import numpy as np

from muse.evaluate.judges.judge import Notes

__all__ = ["vary"]

LOUDNESS_SD = 18.0
"""Spread of the loudness level between variants of a clip, in MIDI velocity; recordings differ by about as much."""


def vary(notes: Notes, rng: np.random.Generator) -> Notes:
    """The same music as another recording or score might hold it; what a listener would not change their mind about.

    Loudness level and range, length of notes (pedal or none), exactness of timing, key, and which 20 to 40 seconds.
    Trained on EMOPIA as it is, a judge takes the recording for the emotion: its loud clips are the excited ones to
    nine in ten, and every score with one written velocity would be angry.
    """
    notes = notes.copy()
    start = notes["onset_sec"].min()
    end = (notes["onset_sec"] + notes["duration_sec"]).max()
    length = rng.uniform(20.0, 40.0)
    if end - start > length:
        first = rng.uniform(start, end - length)
        part = notes[(notes["onset_sec"] >= first) & (notes["onset_sec"] < first + length)]
        notes = part if len(part) >= 20 else notes
    velocity = notes["velocity"].astype(float)
    level = velocity.mean()
    velocity = level + rng.normal(0, LOUDNESS_SD) + rng.uniform(0.2, 1.2) * (velocity - level)
    notes["velocity"] = np.clip(np.round(velocity), 1, 127)
    if rng.random() < 0.5:
        step = rng.uniform(0.08, 0.16)
        stop = notes["onset_sec"] + notes["duration_sec"]
        notes["onset_sec"] = np.round(notes["onset_sec"] / step) * step
        notes["duration_sec"] = np.maximum(np.round((stop - notes["onset_sec"]) / step), 1) * step
    if rng.random() < 0.6:
        notes["duration_sec"] = np.maximum(notes["duration_sec"] * rng.uniform(0.35, 1.0), 0.05)
    notes["pitch"] = np.clip(notes["pitch"] + rng.integers(-4, 5), 21, 108)
    return notes[np.lexsort((notes["pitch"], notes["onset_sec"]))]
