"""Sung notes on the grid of the tempo that they were sung in.

Conventions
-----------
grid
    Twelfths of a beat, as the tokens have them. Tempo, a steady drift of it and the place of the beat are those under
    which onsets lie nearest to likely places in a beat (log-likelihood, with the spread of people's taps, 35 ms, and a
    prior on tempo: Parncutt 1994, *A perceptual model of pulse salience*, a bell over log tempo around 100).

Contents: :func:`on_grid`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from muse.prompts.humming.transcribe import Note
from muse.score import NOTE_DTYPE, Notes
from muse.tokens.vocabulary import STEPS_PER_BEAT

__all__ = ["on_grid"]

Floats = NDArray[np.float64]

_TEMPI_BPM = np.geomspace(50, 180, 90)
_DRIFTS = np.linspace(-0.06, 0.06, 5)
_PHASES = 24
_TAP_SEC = 0.035
_PLACES: Final = {0: 0.0, 6: -0.7, 3: -1.8, 9: -1.8, 4: -2.6, 8: -2.6}
"""Twelfths of a beat where a note may begin -> log prior: beats, eighths, sixteenths, triplets."""


def on_grid(notes: Sequence[Note]) -> tuple[Notes, float, float]:
    """Notes on the grid of the likeliest tempo.

    Returns
    -------
    tuple
        Notes (NOTE_DTYPE) from beat 0; tempo in quarter notes a minute; mean distance of the onsets from the grid in
        seconds.
    """
    onset = np.array([note.onset_sec for note in notes])
    onset -= onset[0]
    length = np.array([note.length_sec for note in notes])
    whole = max(float(onset[-1]), 1e-6)
    places = np.array(list(_PLACES))
    prior = np.array(list(_PLACES.values()))
    best: tuple[float, Floats, float, float] | None = None
    for tempo in _TEMPI_BPM:
        tempo_prior = -0.5 * (math.log2(tempo / 100) / 0.55) ** 2
        for drift in _DRIFTS if len(notes) > 6 else (0.0,):
            # Beats of the onsets, if the tempo changes steadily by `drift` over the tune.
            beat = (onset + 0.5 * drift * onset**2 / whole) * tempo / 60
            shifted = beat[None] + np.arange(_PHASES)[:, None] / _PHASES  # [phases, notes]
            twelfth = (shifted % 1.0) * STEPS_PER_BEAT
            apart = twelfth[..., None] - places
            apart -= STEPS_PER_BEAT * np.rint(apart / STEPS_PER_BEAT)
            deviation = apart / STEPS_PER_BEAT * 60 / tempo
            fit = prior - 0.5 * (deviation / _TAP_SEC) ** 2
            score = np.maximum(fit.max(-1), -8.0).sum(-1)
            k = int(score.argmax())
            # A finer grid fits anything: what a place costs is the width of the window around it.
            value = float(score[k]) + tempo_prior + len(notes) * math.log(60 / tempo) - 4 * abs(drift) / 0.06
            if best is None or value > best[0]:
                each = np.arange(len(notes))
                choice = fit[k].argmax(-1)
                steps = np.rint((shifted[k] * STEPS_PER_BEAT) - apart[k][each, choice])
                best = value, steps, float(tempo), float(np.abs(deviation[k][each, choice]).mean())
    assert best is not None
    _, steps, tempo, error = best
    steps = (steps - steps[0]).astype(np.int64)
    steps = np.maximum.accumulate(steps)
    for i in range(1, len(steps)):  # two notes never share a place
        steps[i] = max(steps[i], steps[i - 1] + 2)
    next_step = np.append(steps[1:], steps[-1] + STEPS_PER_BEAT * 8)
    sung = np.maximum(np.rint(length * tempo / 60 * STEPS_PER_BEAT / 3) * 3, 2)
    gap = next_step - steps - sung
    # A breath shorter than a sixteenth is no rest.
    steps_long = np.where((gap < 3) | (sung > next_step - steps), next_step - steps, sung)
    steps_long[-1] = max(3, int(np.rint(sung[-1] / 6) * 6))
    rows: Notes = np.zeros(len(notes), NOTE_DTYPE)
    rows["onset_beat"], rows["duration_beat"] = steps / STEPS_PER_BEAT, steps_long / STEPS_PER_BEAT
    rows["pitch"] = [note.pitch for note in notes]
    rows["velocity"] = 80
    rows["onset_sec"], rows["duration_sec"] = rows["onset_beat"] * 60 / tempo, rows["duration_beat"] * 60 / tempo
    return rows, tempo, error
