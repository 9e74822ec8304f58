"""Humming: a tune that somebody sings, hums or whistles becomes the motif that a piece opens with.

Conventions
-----------
pitch curve
    SwiftF0 (Nieradzik 2025, arXiv 2508.18440; an ONNX model in the wheel ``swift-f0``), a value every 16 ms, in
    semitones of MIDI with fractions.
tuning
    People hum where they like: the curve's own tuning is its circular mean within a semitone, and is taken out.
notes
    The likeliest path through a hidden Markov model whose states are silence and the semitones (as Ryynänen & Klapuri
    2006 have it, *Transcription of the singing melody in polyphonic music*): a note is left only where that explains
    more frames than a change costs, so vibrato and glides stay inside. A dip of loudness inside a note is a second one.
grid
    Twelfths of a beat, as the tokens have them. Tempo, a steady drift of it and the place of the beat are those under
    which onsets lie nearest to likely places in a beat (log-likelihood, with the spread of people's taps, 35 ms, and a
    prior on tempo: Parncutt 1994, *A perceptual model of pulse salience*, a bell over log tempo around 100).

Contents: :func:`parse_humming`, :func:`transcribe`, :class:`Note`, :func:`on_grid`, :class:`NoMelodyError`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from muse.audio import as_audio, read_audio
from muse.errors import InputError, require
from muse.intent import MAX_BARS, Intent
from muse.prompts.parsed import Evidence, Parsed
from muse.score import NOTE_DTYPE, Notes, from_notes
from muse.theory import PITCH_CLASS_NAMES, estimate_key
from muse.tokens.vocabulary import STEPS_PER_BEAT

__all__ = ["NoMelodyError", "Note", "on_grid", "parse_humming", "transcribe"]

Floats = NDArray[np.float64]

SAMPLE_RATE: Final = 16_000
MAX_SEC: Final = 120.0
MIN_NOTES: Final = 3
BAR_BEATS: Final = 4
LOWEST, HIGHEST = 55, 84
"""Where a motif lies: from the low strings of a violin to two octaves above middle C."""

_VOICED = 0.5
_CHANGE_COST = 8.0
_SILENCE_COST = 3.5
_SPREAD_SEMITONES = 0.6
_SHORTEST_SEC = 0.07
_GLIDE_SHARE = 0.15
_DIP_DB = 6.0

_TEMPI_BPM = np.geomspace(50, 180, 90)
_DRIFTS = np.linspace(-0.06, 0.06, 5)
_PHASES = 24
_TAP_SEC = 0.035
_PLACES: Final = {0: 0.0, 6: -0.7, 3: -1.8, 9: -1.8, 4: -2.6, 8: -2.6}
"""Twelfths of a beat where a note may begin -> log prior: beats, eighths, sixteenths, triplets."""


class NoMelodyError(InputError):
    """It is sound, but no tune is heard in it."""


@dataclass(frozen=True)
class Note:
    """A note as it was sung."""

    onset_sec: float
    length_sec: float
    pitch: int
    """MIDI number, the singer's tuning taken out."""
    confidence: float
    """0..1."""


@cache
def _detector() -> Any:
    return require("swift_f0", "audio", "A hummed tune").SwiftF0(threads=1)


def transcribe(samples: NDArray[np.float32]) -> tuple[list[Note], float]:
    """Notes of one voice.

    Parameters
    ----------
    samples
        float32 [n] at :data:`SAMPLE_RATE`.

    Returns
    -------
    tuple
        The notes in order, and the tuning in semitones, -0.5..0.5.
    """
    found = _detector().detect(samples, SAMPLE_RATE)
    confidence = np.asarray(found.confidence, np.float64)
    voiced = (confidence >= _VOICED) & (found.pitch_hz > 0)
    if voiced.sum() < 6:
        return [], 0.0
    pitch = np.where(voiced, 69 + 12 * np.log2(np.maximum(found.pitch_hz, 1.0) / 440), np.nan)
    loudness = np.asarray(found.loudness_db, np.float64)
    times = np.asarray(found.timestamps, np.float64)
    step = float(np.median(np.diff(times)))

    tuning = _tuning(pitch, step)
    states = _path(pitch - tuning, voiced, confidence)

    notes = []
    edges = np.flatnonzero(np.diff(states)) + 1
    for start, stop in zip([0, *edges.tolist()], [*edges.tolist(), len(states)], strict=True):
        if states[start] < 0:
            continue
        parts = _split(loudness, start, stop, step)
        if start and states[start - 1] >= 0:
            parts[0] = (_leaves(pitch - tuning, start, int(states[start - 1]), int(states[start]), step), parts[0][1])
        for first, last in parts:
            inside = pitch[first:last][voiced[first:last]]
            if (last - first) * step < _SHORTEST_SEC or not len(inside):
                continue
            # The middle of a note is sung most surely; its edges are on the way from and to others.
            cut = len(inside) // 5
            middle = float(np.median(inside[cut : len(inside) - cut])) - tuning
            notes.append(
                Note(
                    float(times[first] - step / 2),
                    (last - first) * step,
                    round(middle),
                    float(confidence[first:last].mean()),
                )
            )
    return notes, tuning


def _tuning(pitch: Floats, step: float) -> float:
    """Circular mean of the curve within a semitone, where it holds still for about a turn of vibrato."""
    width = max(round(0.2 / step), 1)
    windows = np.lib.stride_tricks.sliding_window_view(pitch, width) if len(pitch) >= width else pitch[None]
    whole = np.isfinite(windows).all(axis=1)
    windows = windows[whole] if whole.any() else pitch[np.isfinite(pitch)][None]
    means = windows.mean(axis=1)
    moving = np.abs(windows[:, -1] - windows[:, 0]) + np.abs(np.gradient(means) if len(means) > 1 else 0)
    means = means[moving <= np.quantile(moving, 0.6)]
    return float(np.angle(np.exp(2j * np.pi * means).mean()) / (2 * np.pi))


def _leaves(pitch: Floats, start: int, before: int, after: int, step: float) -> int:
    """Frame where a glide from one note to the next begins; the path through the states changes in its middle."""
    first = start
    for i in range(start - 1, max(start - round(0.1 / step), 0), -1):
        if not np.isfinite(pitch[i]) or abs(pitch[i] - before) < _GLIDE_SHARE * abs(after - before):
            break
        first = i
    return first


def _path(pitch: Floats, voiced: NDArray[np.bool_], confidence: Floats) -> NDArray[np.int64]:
    """Likeliest state of every frame: a MIDI number, or -1 for silence (Viterbi 1967)."""
    low, high = math.floor(np.nanmin(pitch)) - 1, math.ceil(np.nanmax(pitch)) + 1
    semitones = np.arange(low, high + 1)
    n, k = len(pitch), len(semitones)
    distance = np.abs(pitch[:, None] - semitones) / _SPREAD_SEMITONES
    # Large errors count linearly (Laplace), for a slip of the tracker by an octave must not end a note.
    fit = np.where(distance < 1.5, 0.5 * distance**2, 1.5 * distance - 1.125)
    sung = np.where(voiced[:, None], np.minimum(fit, 6.0), 1.5)
    silent = np.where(voiced, 1.0 + 4.0 * confidence, 0.1)
    cost = np.concatenate([sung, silent[:, None]], axis=1)  # [frames, semitones and silence]
    change = np.full(k + 1, _CHANGE_COST)
    change[k] = _SILENCE_COST
    best = cost[0].copy()
    back = np.zeros((n, k + 1), np.int64)
    own = np.arange(k + 1)
    for i in range(1, n):
        cheapest = int(best.argmin())
        leave = best[cheapest] + (change if cheapest != k else np.full(k + 1, _SILENCE_COST))
        stay = best <= leave
        back[i] = np.where(stay, own, cheapest)
        best = np.where(stay, best, leave) + cost[i]
    states = np.empty(n, np.int64)
    states[-1] = int(best.argmin())
    for i in range(n - 1, 0, -1):
        states[i - 1] = back[i, states[i]]
    return np.where(states == k, -1, semitones[np.minimum(states, k - 1)])


def _split(loudness: Floats, start: int, stop: int, step: float) -> list[tuple[int, int]]:
    """Parts of a note between dips of loudness of :data:`_DIP_DB` on both sides; a part begins where it rises again."""
    reach = max(round(0.15 / step), 1)
    level = loudness[start:stop]
    cuts: list[int] = []
    for i in range(2, len(level) - 2):
        left, right = level[max(i - reach, 0) : i], level[i + 1 : i + 1 + reach]
        if level[i] > level[max(i - reach // 2, 0) : i + reach // 2 + 1].min():
            continue
        if left.max() - level[i] >= _DIP_DB and right.max() - level[i] >= _DIP_DB:
            half = level[i] + 0.5 * (right.max() - level[i])
            rise = i + 1 + int(np.argmax(right >= half))
            if not cuts or rise - cuts[-1] > round(_SHORTEST_SEC / step):
                cuts.append(rise)
    edges = [0, *cuts, len(level)]
    return [(start + a, start + b) for a, b in itertools.pairwise(edges) if b > a]


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
        The intent's motif, key and tempo; as evidence the notes as they were sung, and the tuning. Emotion stays open.

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
    motif = from_notes(rows, tempo_bpm=tempo)
    sure = float(np.mean([note.confidence for note in notes]))
    evidence = [
        Evidence("motif", motif, f"{len(notes)} notes of {name}", sure, "notes"),
        Evidence("tempo_bpm", round(tempo, 1), f"onsets {1000 * error:.0f} ms from the grid", _steady(error), "notes"),
    ]
    if key is not None:
        evidence.append(Evidence("key", str(key), f"notes of {name}", min(max(key.clarity, 0.0), 1.0), "notes"))
    fields: dict[str, Any] = {"motif": motif, "tempo_bpm": round(tempo, 1)}
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
