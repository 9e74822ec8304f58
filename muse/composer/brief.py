"""The brief: what a request leaves open, decided once for all candidates.

Contents: :class:`Brief`, :func:`decide`, :func:`fitting_bars`, :func:`edges_by_name`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from muse.attributes import attribute
from muse.composer.perform import Touch
from muse.composer.playing import Playing, Texture
from muse.composer.stages import PLAN_FROM, PieceRequest, controls_for
from muse.errors import InputError, unknown
from muse.intent import MAX_BARS, Intent
from muse.mapping import AttributeTarget, EmotionMapper
from muse.score import REWRITTEN_METERS
from muse.sheets.extract import find_tune
from muse.theory import TONIC_NAMES, Mode
from muse.tokens import GENRES, SECTION_BARS, SECTION_CONTROLS, SONG_CONTROLS, Controls
from muse.tokens.plan import Plan, bar_length, fold_shift

__all__ = ["Brief", "decide", "edges_by_name", "fitting_bars"]

_NEUTRAL_TEMPO_BPM = 100.0  # where neither tempo nor emotion is asked for
_MAJOR_SHARE = 0.6  # of the corpus' windows; where neither key nor emotion is asked for
# The piano writing of the corpus that has real dynamics and modern harmony; other ensembles leave the genre open.
_PIANO_GENRE = "pop"
_MEAN_PITCH = 61.0
"""Of pieces in C. Planner and arranger think in C; where the key is open, the tonic is what brings a piece to the
register that it should have, :data:`_USUAL_PITCH` where none is asked for."""
_USUAL_PITCH = 63.0
_TONICS = (-5, 5)  # lowest and highest, semitones from C
_TONIC_JITTER = 3  # semitones up or down, so that pieces differ
_EMPTY_TARGET = AttributeTarget((), (), (), (), (), ())
_PLANNED = {control: 0.65 for control in PLAN_FROM if control != "mean_pitch"}
"""How far the plan's controls go from the middle of the corpus to the target: the targets of an emotion are extremes
that hardly any music has all at once. Pitch is left open: it tells quadrants least and tunes apart most."""
_WAY_OF_TEMPO = 0.65
"""The same for the tempo, on a scale of ratios, from :data:`_NEUTRAL_TEMPO_BPM`."""
_ARRANGED = {"density": 0.65}
"""The same for the arranger's controls where the emotion stays. The others are left open: register at the extremes
costs more in human-likeness than it gives in judged emotion. Where one instrument plays alone, density and thickness
are people's, in absolute terms."""
_TEXTURES = {  # asked for by name, they are not the emotion's to decide
    "Note Density",
    "Note Density per Quarter Note",
    "Average Number of Simultaneous Pitches",
}
_ARRANGED_ALONG_PATHS = 0.8
"""The same for all of them where the emotion changes on the way."""


@dataclass(frozen=True)
class Brief:
    """What a request leaves open, decided: the same for all candidates."""

    genre: str | None
    mode: Mode
    tonic: int
    tempo_bpm: float
    time_signature: tuple[int, int]
    """As it is written down."""
    programs: tuple[int, ...]
    """One for each player, in the order asked for."""
    song: AttributeTarget
    sections: tuple[AttributeTarget, ...]
    chords: Plan | None = None
    """Chords that were given."""
    melody: Plan | None = None
    """A tune that was given."""
    plan: Plan | None = None
    """A whole plan that was given."""
    form: str = ""
    loudness: tuple[float, ...] = ()
    """Mean velocity of each bar; empty where nothing is asked of it."""
    spread: float | None = None
    """Standard deviation of velocities."""
    texture: tuple[Texture, ...] = ()
    """Of each section; empty where nothing is asked of it."""
    outright: tuple[str, ...] = ()
    """Attributes that were asked for by name."""
    remarks: tuple[str, ...] = ()
    """What of the request can only be come near to, a sentence each."""

    @property
    def key_name(self) -> str:
        return f"{TONIC_NAMES[self.mode][self.tonic]} {self.mode}"

    def request(self, intent: Intent) -> PieceRequest:
        """What planner, arranger and performer are asked for, where `intent` leaves open what this decides."""
        is_arc = intent.emotion is not None and not intent.emotion.is_constant
        plan_controls, section_controls = controls_for(
            self.song, self.sections, plan_share=_PLANNED, outright=self.outright,
            section_share=_ARRANGED_ALONG_PATHS if is_arc else {} if self.texture else _ARRANGED,
        )  # fmt: skip
        touch = Touch(tempo_bpm=self.tempo_bpm, loudness=self.loudness, spread=self.spread)
        return PieceRequest(
            intent.bars, self.time_signature, self.tonic, self.mode, self.tempo_bpm, self.genre, self.programs,
            plan_controls=plan_controls, section_controls=section_controls, chords=self.chords, melody=self.melody,
            form=self.form, plan=self.plan, texture=self.texture, touch=touch, below_melody=len(self.programs) > 1,
        )  # fmt: skip


def decide(
    intent: Intent, controls: Controls, mapper: EmotionMapper, rng: np.random.Generator, plan: Plan | None = None
) -> Brief:
    """Decide what the request leaves open: the emotion's attributes, key, tempo, genre, loudness.

    Parameters
    ----------
    plan
        A whole plan that is to be arranged; key and meter are its own.

    Raises
    ------
    InputError
        A genre or an attribute that there is not, a value that no music can have, or chords, tune or form that do not
        fit the bars and the meter.
    """
    overrides, remarks = _overrides(intent, controls)
    outright = (*overrides, *(["Note Density per Quarter Note"] if "Note Density" in overrides else []))
    meter = plan.time_signature if plan else intent.meter
    if meter in REWRITTEN_METERS and bar_length(meter) != bar_length(REWRITTEN_METERS[meter]):
        meter = REWRITTEN_METERS[meter]
    melody, chords = _tune(intent, meter), _chords(intent, meter)
    tempo = intent.tempo_bpm or (None if melody is None else melody.tempo_bpm)
    if tempo is not None:
        overrides["Mean Tempo"] = tempo
    loudness: tuple[float, ...] = ()
    spread: float | None = None
    if "Mean Dynamics" in overrides:
        loudness = (overrides["Mean Dynamics"],) * intent.bars
        spread = overrides.get("Variation of Dynamics")
    elif intent.emotion is not None:
        course, spread = Playing.load().loudness(intent.emotion, intent.bars, rng)
        loudness = tuple(course.round(3).tolist())
        overrides |= {"Mean Dynamics": float(course.mean()), "Variation of Dynamics": spread, **overrides}
        spread = overrides["Variation of Dynamics"]
    texture: tuple[Texture, ...] = ()
    if intent.emotion is not None and len(intent.players) == 1 and not overrides.keys() & _TEXTURES:
        texture = Playing.load().texture(intent.emotion, intent.bars, SECTION_BARS, rng)
    song, sections = _targets(intent, controls, mapper, rng, overrides)
    asked = song.values()
    tonic, mode = _key(intent, asked, plan or melody or chords, rng)
    genre = intent.genre
    if genre is None and intent.programs == (0,):
        genre = _PIANO_GENRE
    elif genre is not None and genre not in GENRES:
        raise unknown("genre", genre, GENRES)
    if melody is not None and intent.tonic_and_mode is not None:
        melody = melody.transposed(fold_shift(tonic - melody.tonic))
    tempo = tempo or asked.get("Mean Tempo", _NEUTRAL_TEMPO_BPM)
    return Brief(
        genre, mode, tonic, float(tempo), meter, intent.players, song, sections, chords, melody, plan,
        intent.form or "", loudness, spread, texture, outright, tuple(remarks),
    )  # fmt: skip


def _key(intent: Intent, asked: Mapping[str, float], given: Plan | None, rng: np.random.Generator) -> tuple[int, Mode]:
    """Tonic and mode: those asked for, else those of what was given, else what the emotion's mode asks for."""
    if intent.tonic_and_mode is not None:
        tonic, name = intent.tonic_and_mode
        return tonic, "minor" if name == "minor" else "major"
    if given is not None:
        return given.tonic, given.mode
    clarity = asked.get("Mode Clarity")
    major = rng.random() < _MAJOR_SHARE if clarity is None else clarity > 0
    pitch = asked.get("Mean Pitch", _USUAL_PITCH)
    tonic = round(pitch - _MEAN_PITCH) + int(rng.integers(-_TONIC_JITTER, _TONIC_JITTER + 1))
    return min(max(tonic, _TONICS[0]), _TONICS[1]) % 12, "major" if major else "minor"


def _chords(intent: Intent, meter: tuple[int, int]) -> Plan | None:
    """The chords that are given."""
    return None if intent.chords is None else Plan.parse(intent.chords, time_signature=meter)


def _tune(intent: Intent, meter: tuple[int, int]) -> Plan | None:
    """The tune that is given."""
    return None if intent.melody is None else find_tune(intent.melody, meter)


def fitting_bars(intent: Intent) -> int:
    """Bars that hold the chords, the tune and the form that an intent gives: the bars it asks for, or more."""
    needed = intent.bars
    for given in (_tune(intent, intent.meter), _chords(intent, intent.meter)):
        needed = needed if given is None else max(needed, len(given.bars))
    if intent.form is not None and (lengths := [int(n) for n in re.findall(r"\d+", intent.form)]):
        needed = max(needed, sum(lengths))
    return min(needed, MAX_BARS)


def _targets(
    intent: Intent, controls: Controls, mapper: EmotionMapper, rng: np.random.Generator, overrides: Mapping[str, float]
) -> tuple[AttributeTarget, tuple[AttributeTarget, ...]]:
    """Targets of the whole piece and of each section: the emotion's, overruled by what was asked for outright."""
    if intent.emotion is None:
        song, sections = _EMPTY_TARGET, [_EMPTY_TARGET] * -(-intent.bars // SECTION_BARS)
    else:
        state = rng.bit_generator.state
        song = mapper.target(intent.emotion, rng, edges=edges_by_name(controls, "song"))
        # The sections vary with the song, not apart from it: the same draw again.
        again = np.random.default_rng()
        again.bit_generator.state = state
        sections = mapper.section_targets(
            intent.emotion, intent.bars, again, edges=edges_by_name(controls, "section"), section_bars=SECTION_BARS
        )
        if "Mean Tempo" not in overrides and (tempo := song.values().get("Mean Tempo")) is not None:
            # Written for such tempi, songs have fewer notes a beat than the planner's and the arranger's have.
            usual = _NEUTRAL_TEMPO_BPM * (tempo / _NEUTRAL_TEMPO_BPM) ** _WAY_OF_TEMPO
            overrides = {**overrides, "Mean Tempo": round(usual, 1)}
    return (
        _overrule(song, _at_tempo(song, overrides), controls, "song"),
        tuple(_overrule(section, _at_tempo(section, overrides), controls, "section") for section in sections),
    )


def _overrides(intent: Intent, controls: Controls) -> tuple[dict[str, float], list[str]]:
    """Attributes that are asked for outright, and a remark for each that lies beyond what the generator has seen.

    Raises
    ------
    InputError
        Not an attribute that can be asked for, or a value that no music can have.
    """
    edges, remarks = edges_by_name(controls, "song"), []
    for name, value in intent.attributes.items():
        if name not in SONG_CONTROLS:
            raise unknown("attribute to ask for", name, SONG_CONTROLS)
        entry = attribute(name)
        low, high = edges[name][0], edges[name][-1]
        if not entry.low <= value <= entry.high:
            legal = f"{entry.low:g} to {entry.high:g} ({entry.unit})"
            raise InputError(
                f"{name} is asked to be {value:g}; legal is {legal}, and music mostly has {low:.3g} to {high:.3g}"
            )
        reach = high - low
        if not low - reach <= value <= high + reach:
            remarks.append(
                f"{name} {value:g} is far from the music that was learnt from (most of it lies between {low:.3g} and "
                f"{high:.3g}): the piece comes as near as it can"
            )
    return dict(intent.attributes), remarks


def edges_by_name(controls: Controls, scope: str) -> dict[str, list[float]]:
    """Bucket edges of the controls of a scope, ``song`` or ``section``, by attribute."""
    names, edges = (SONG_CONTROLS, controls.song) if scope == "song" else (SECTION_CONTROLS, controls.section)
    return dict(zip(names, edges.tolist(), strict=True))


def _at_tempo(target: AttributeTarget, overrides: Mapping[str, float]) -> dict[str, float]:
    """Overrides, with the notes per beat that keep the target's notes per second at the tempo asked for."""
    values = target.values()
    tempo = overrides.get("Mean Tempo", values.get("Mean Tempo", _NEUTRAL_TEMPO_BPM))
    density = overrides.get("Note Density", values.get("Note Density") if "Mean Tempo" in overrides else None)
    if density is None or "Note Density per Quarter Note" in overrides:
        return dict(overrides)
    return {**overrides, "Note Density per Quarter Note": density * 60.0 / tempo}


def _overrule(target: AttributeTarget, values: Mapping[str, float], controls: Controls, scope: str) -> AttributeTarget:
    """The target with attributes that the user asked for outright, at full weight."""
    edges = edges_by_name(controls, scope)
    values = {name: value for name, value in values.items() if name in edges}
    if not values:
        return target
    kept = target.select([name for name in target.names if name not in values])
    buckets = {name: int(np.searchsorted(edges[name], value, side="right")) for name, value in values.items()}
    bounds = {name: [edges[name][0], *edges[name], edges[name][-1]] for name in values}
    return AttributeTarget(
        (*kept.names, *values),
        (*kept.value, *values.values()),
        (*kept.low, *(min(v, bounds[n][buckets[n]]) for n, v in values.items())),
        (*kept.high, *(max(v, bounds[n][buckets[n] + 1]) for n, v in values.items())),
        (*kept.bucket, *buckets.values()),
        (*kept.weight, *(1.0 for _ in values)),
    )
