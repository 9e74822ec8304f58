"""Scores: MIDI and other libraries' objects read into one form, cleaned, measured on their bars, and written.

A *score* in Muse is a :class:`symusic.Score` in ticks. This room adds what symusic leaves open: a door that no
malformed file can break, a cleaning step, note arrays in beats *and* seconds, bars, and alignment of performances to
beats.

Conventions
-----------
* **Beat** always means a quarter note, whatever the time signature.
* **Seconds** follow the tempo map from tick 0; before the first tempo event the MIDI default of 120 BPM holds.
* **Bars** are counted from tick 0. A time signature always starts a new bar; a bar that it cuts short simply is
  shorter, which is how a pick-up is written. Without any signature the meter is 4/4.
* **Programs** are General MIDI 0..127; percussion, which has none, is :data:`DRUMS` (128).
* **Nothing is mutated.** Every function returns new arrays or a new score.
* **Sustain pedal.** Durations are key-down times. Pedal events stay in a score, are never folded into durations, and
  are dropped where time is warped (:func:`quantize`, :func:`align_to_beats`).
"""

from muse.score.bars import METERS, REWRITTEN_METERS, BarGrid, bar_grid, slice_bars
from muse.score.clean import clean
from muse.score.grid import align_to_beats, grid_fit, grid_quality, guess_downbeats, quantize, track_beats
from muse.score.notes import (
    DRUMS,
    NOTE_DTYPE,
    Notes,
    Score,
    beat_to_sec,
    from_notes,
    mean_tempo_bpm,
    note_array,
    tempo_map,
)
from muse.score.read import Limits, read_score, read_text
from muse.score.write import write_score

__all__ = [
    "DRUMS",
    "METERS",
    "NOTE_DTYPE",
    "REWRITTEN_METERS",
    "BarGrid",
    "Limits",
    "Notes",
    "Score",
    "align_to_beats",
    "bar_grid",
    "beat_to_sec",
    "clean",
    "from_notes",
    "grid_fit",
    "grid_quality",
    "guess_downbeats",
    "mean_tempo_bpm",
    "note_array",
    "quantize",
    "read_score",
    "read_text",
    "slice_bars",
    "tempo_map",
    "track_beats",
    "write_score",
]
