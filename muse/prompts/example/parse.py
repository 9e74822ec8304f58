"""Music by example: how a piece that is given sounds becomes what is asked for.

Conventions
-----------
target
    The attributes of the example that the composer can ask for become the intent's attributes, but for tempo, which has
    a field of its own; key, meter, instruments and, where the selector is sure of it, genre are taken over.
emotion
    As the selector rates it (valence, arousal, with their spread); it weighs in when prompts are joined.
sound
    A recording of one voice is read as a tune (:mod:`muse.prompts.humming`) and becomes the melody; of a recording of
    several, the recogniser (:mod:`muse.recognizer`) gives emotion and key, and what was heard of its notes
    (:mod:`muse.transcription`) the attributes that need neither beats nor loudness (:data:`HEARD`).

Contents: :func:`parse_example`, :data:`HEARD`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from muse.attributes import SONG_CONTROLS, attribute
from muse.emotion import EmotionPath
from muse.errors import InputError
from muse.intent import MAX_BARS, MAX_TEMPO_BPM, MIN_TEMPO_BPM, Intent
from muse.prompts.parsed import Evidence, Parsed
from muse.score import METERS, Notes, Score, bar_grid, mean_tempo_bpm, note_array, read_score
from muse.theory import estimate_key, instrument_name

if TYPE_CHECKING:
    from muse.recognizer import Recognizer
    from muse.selector import Selector
    from muse.transcription import Transcriber

__all__ = ["HEARD", "parse_example"]

MIDI_SUFFIXES: Final = (".mid", ".midi", ".kar", ".smf", ".rmi")
LONGEST_BARS: Final = 32
"""A longer example asks for so many bars; ask for more outright."""
SURE_GENRE: Final = 0.6
LEAST_MUSIC: Final = 0.15
"""Below this probability of being music, a recording is refused."""
_UNHEARD: Final = ("Mean Dynamics", "Variation of Dynamics", "Articulation")
HEARD: Final = tuple(name for name in SONG_CONTROLS if attribute(name).needs == "notes" and name not in _UNHEARD)
"""Attributes that are taken from recordings: a transcription has no beats, of loudness only what is relative, and under
a pedal no moment at which keys are let go."""
SEVERAL_VOICES: Final = 0.35
"""Share of the time in which pitches sound together that are not each other's overtones; synthesised tunes of one voice
have at most 0.16 as they are heard, rendered piano pieces at least 0.59."""
_OVERTONES: Final = (12, 19, 24, 28, 31, 34, 36)
_STEP_SEC: Final = 0.02


@cache
def _recognizer() -> Recognizer:
    from muse.recognizer import Recognizer

    return Recognizer.from_pretrained()


@cache
def _selector() -> Selector:
    from muse.selector import Selector

    return Selector.from_pretrained()


@cache
def _transcriber() -> Transcriber:
    from muse.transcription import Transcriber

    return Transcriber.from_pretrained()


def parse_example(source: str | Path | Score) -> Parsed:
    """Read a piece as an example of what is wanted.

    Parameters
    ----------
    source
        A MIDI file or a score; or a recording.

    Returns
    -------
    Parsed
        The intent with the example's attributes, emotion, key, tempo, meter, instruments and length.

    Raises
    ------
    InputError
        It cannot be read, or is a recording in which the recogniser finds no music.
    """
    if isinstance(source, (str, Path)):
        if Path(source).suffix.lower() not in MIDI_SUFFIXES and Path(source).is_file():
            return _of_sound(Path(source))
        score, name = read_score(source), Path(source).name
    else:
        score, name = source, "the example"
    return _of_score(score, name)


def _of_sound(path: Path) -> Parsed:
    from muse.prompts.humming import NoMelodyError, parse_humming

    score = _transcriber().transcribe(path)
    if _together(note_array(score)) > SEVERAL_VOICES:
        return _of_recording(path, score)
    try:
        tune = parse_humming(path)
    except NoMelodyError:
        return _of_recording(path, score)
    text = "a recording of one voice: its tune is the melody; for how it sounds, give the music as MIDI"
    return replace(tune, evidence=(*tune.evidence, Evidence("note", "example", text, 1.0, "note")))


def _together(notes: Notes) -> float:
    """Share of the sounding time in which pitches sound together that are not each other's overtones."""
    if not len(notes):
        return 0.0
    first = np.floor(notes["onset_sec"] / _STEP_SEC).astype(int)
    last = np.ceil((notes["onset_sec"] + notes["duration_sec"]) / _STEP_SEC).astype(int)
    roll = np.zeros((last.max(), 128), bool)
    for start, stop, pitch in zip(first, last, notes["pitch"], strict=True):
        roll[start:stop, pitch] = True
    several = np.zeros(len(roll), bool)
    for distance in set(range(3, _OVERTONES[-1])) - set(_OVERTONES):
        several |= (roll[:, distance:] & roll[:, :-distance]).any(axis=1)
    return float(several.sum() / roll.any(axis=1).sum())


def _of_recording(path: Path, score: Score) -> Parsed:
    """A recording of several voices: emotion and key as the recogniser finds them, attributes of the notes in it."""
    from muse.attributes import extract
    from muse.selector.events import MIN_NOTES

    found = _recognizer().recognize(path)
    if found.music < LEAST_MUSIC:
        raise InputError(f"{path}: there is no music in it (probability {found.music:.2f}): give another recording")
    rows = [
        Evidence(
            "emotion", EmotionPath.parse(found.emotion), path.name, round(0.6 * found.confidence, 4), "sound",
            spread=found.spread,
        )
    ]  # fmt: skip
    fields: dict[str, Any] = {"emotion": rows[0].value}
    if found.key is not None:
        fields["key"] = str(found.key)
        rows.append(Evidence("key", str(found.key), path.name, min(max(found.key.clarity, 0.0), 1.0), "sound"))
    n_notes = len(note_array(score))
    if n_notes >= MIN_NOTES:
        fields["attributes"] = _rounded(extract(score, names=HEARD).to_dict())
        words = f"measured on {n_notes} notes heard in {path.name}"
        rows.append(Evidence("attributes", fields["attributes"], words, 0.7, "sound"))
    text = (
        "a recording of several voices: its emotion, key and what its notes tell without beats are taken; for tempo, "
        "meter, loudness and instruments, give the music as MIDI"
    )
    return Parsed(Intent(**fields), (*rows, Evidence("note", "example", text, 1.0, "note")))


def _rounded(measured: Mapping[str, Any]) -> dict[str, float]:
    """Those that are defined."""
    return {name: round(float(value), 4) for name, value in measured.items() if np.isfinite(value)}


def _of_score(score: Score, name: str) -> Parsed:
    from muse.attributes import extract
    from muse.selector.events import MIN_NOTES

    notes = note_array(score)
    if len(notes) < MIN_NOTES:
        raise InputError(f"{name} has {len(notes)} notes: an example needs {MIN_NOTES} or more")
    fields: dict[str, Any] = {}
    rows: list[Evidence] = []

    def add(field: str, value: Any, words: str, confidence: float, **more: Any) -> None:
        fields[field] = value
        rows.append(Evidence(field, value, words, confidence, "notes", **more))

    found = _selector().rate([score])[0]
    add("emotion", EmotionPath.parse(found.emotion), name, 0.6, spread=found.spread)
    measured = extract(score, names=SONG_CONTROLS).to_dict()
    tempo = float(mean_tempo_bpm(score))
    attributes = _rounded({name: value for name, value in measured.items() if name != "Mean Tempo"})
    add("attributes", attributes, f"measured on {len(notes)} notes of {name}", 0.9)
    if MIN_TEMPO_BPM <= tempo <= MAX_TEMPO_BPM:
        add("tempo_bpm", round(tempo, 2), name, 0.8)
    if (key := estimate_key(notes)) is not None:
        add("key", str(key), name, min(max(key.clarity, 0.0), 1.0))
    grid = bar_grid(score)
    meters = list(zip(grid.numerator.tolist(), grid.denominator.tolist(), strict=True))
    meter = max(set(meters), key=meters.count)
    if meter in METERS:
        add("time_signature", "{}/{}".format(*meter), name, 0.8)
    programs, counts = np.unique(notes["program"], return_counts=True)
    order = programs[np.argsort(-counts, kind="stable")]
    add("instruments", tuple(instrument_name(int(program)) for program in order), name, 0.9)
    bars = min(max(int(grid.n_bars), 1), MAX_BARS)
    add("bars", min(bars, LONGEST_BARS), f"{name} has {bars} bars", 0.4)
    if found.genres[found.genre] >= SURE_GENRE and found.genre != "other":
        add("genre", found.genre, name, found.genres[found.genre])
    return Parsed(Intent(**fields), tuple(rows))
