"""Humming: a tune that is sung, hummed or whistled becomes the melody that a piece opens with.

The notes of the voice (:mod:`muse.prompts.humming.transcribe`), then their tempo and places in the beat
(:mod:`muse.prompts.humming.grid`).

Contents: :func:`parse_humming`, :class:`NoMelodyError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from muse.audio import as_audio, read_audio
from muse.errors import InputError
from muse.intent import MAX_BARS, Intent
from muse.prompts.humming.grid import on_grid
from muse.prompts.humming.transcribe import SAMPLE_RATE, Note, transcribe
from muse.prompts.parsed import Evidence, Parsed
from muse.score import from_notes
from muse.theory import PITCH_CLASS_NAMES, estimate_key

__all__ = ["NoMelodyError", "parse_humming"]

MAX_SEC: Final = 120.0
MIN_NOTES: Final = 3
BAR_BEATS: Final = 4
LOWEST, HIGHEST = 55, 84
"""Where a melody lies: from the low strings of a violin to two octaves above middle C."""


class NoMelodyError(InputError):
    """It is sound, but no tune is found in it."""


def parse_humming(source: str | Path | NDArray[Any], sample_rate: int | None = None) -> Parsed:
    """Read a hummed, sung or whistled tune.

    Parameters
    ----------
    source
        A sound file, or samples [n] or [channels, n].
    sample_rate
        Of the samples, hertz.

    Returns
    -------
    Parsed
        The intent's melody, key and tempo; as evidence the notes as they were sung, and the tuning. Emotion stays open.

    Raises
    ------
    InputError
        It cannot be read as sound; :class:`NoMelodyError` where it holds no tune.
    """
    if isinstance(source, (str, Path)):
        samples, name = read_audio(source, SAMPLE_RATE, max_sec=MAX_SEC), Path(source).name
    else:
        samples, name = as_audio(source, sample_rate, SAMPLE_RATE), "the recording"
        if len(samples) > MAX_SEC * SAMPLE_RATE:
            raise InputError(f"{name} is longer than {MAX_SEC:g} s: cut out the tune that is meant")
    if not len(samples) or float(np.abs(samples).max()) < 1e-3:
        raise NoMelodyError(f"{name} is silent: no melody was found; record it nearer to the microphone")
    notes, tuning = transcribe(samples)
    if len(notes) < MIN_NOTES or not _is_tune(notes):
        what = f"{len(notes)} notes" if len(notes) != 1 else "one note"
        raise NoMelodyError(f"no melody was found in {name} ({what}): hum or whistle one voice, with little around it")
    rows, tempo, error = on_grid(notes)
    shift = _octaves(rows["pitch"])
    rows["pitch"] += 12 * shift
    key = estimate_key(rows)
    melody = from_notes(rows, tempo_bpm=tempo)
    sure = float(np.mean([note.confidence for note in notes]))
    evidence = [
        Evidence("melody", melody, f"{len(notes)} notes of {name}", sure, "notes"),
        Evidence("tempo_bpm", round(tempo, 1), f"onsets {1000 * error:.0f} ms from the grid", _steady(error), "notes"),
    ]
    if key is not None:
        evidence.append(Evidence("key", str(key), f"notes of {name}", min(max(key.clarity, 0.0), 1.0), "notes"))
    fields: dict[str, Any] = {"melody": melody, "tempo_bpm": round(tempo, 1)}
    tune_bars = int(np.ceil((rows["onset_beat"] + rows["duration_beat"]).max() / BAR_BEATS))
    if 2 * tune_bars > Intent().bars:
        # Room for the tune, for one return of it, and for an ending.
        fields["bars"] = min(4 * -(-(2 * tune_bars + 1) // 4), MAX_BARS)
        evidence.append(Evidence("bars", fields["bars"], f"the tune has {tune_bars} bars of 4/4", 0.4, "notes"))
    evidence.append(Evidence("tuning_cents", round(100 * tuning), name, 1.0, "notes"))
    if shift:
        text = f"the tune was moved by {shift:+d} octave{'s' if abs(shift) > 1 else ''}, into the middle register"
        evidence.append(Evidence("note", "octave", text, 1.0, "note"))
    for note in notes:
        said = {"onset_sec": round(note.onset_sec, 3), "length_sec": round(note.length_sec, 3), "pitch": note.pitch}
        words = f"{PITCH_CLASS_NAMES[note.pitch % 12]}{note.pitch // 12 - 1}"
        evidence.append(Evidence("sung", said, words, note.confidence, "notes"))
    if key is not None:
        fields["key"] = str(key)
    return Parsed(Intent(**fields), tuple(evidence))


def _is_tune(notes: Sequence[Note]) -> bool:
    """Whether it holds still as tunes do: enough of it sung, and sung surely."""
    sung = sum(note.length_sec for note in notes)
    span = notes[-1].onset_sec + notes[-1].length_sec - notes[0].onset_sec
    sure = float(np.mean([note.confidence for note in notes]))
    return sung > 0.25 * span and sure > 0.6 and sung / len(notes) > 0.08


def _steady(error_sec: float) -> float:
    """How sure a tempo is whose onsets lie so far from the grid."""
    return float(np.clip(1 - error_sec / 0.06, 0.1, 0.95))


def _octaves(pitch: NDArray[Any]) -> int:
    """Octaves to move a tune by, so that it lies within :data:`LOWEST` .. :data:`HIGHEST`, the nearest way."""
    if pitch.min() >= LOWEST and pitch.max() <= HIGHEST:
        return 0

    def outside(k: int) -> tuple[float, int]:
        moved = pitch + 12 * k
        return float(np.maximum(LOWEST - moved, 0).sum() + np.maximum(moved - HIGHEST, 0).sum()), abs(k)

    return min(range(-5, 6), key=outside)
