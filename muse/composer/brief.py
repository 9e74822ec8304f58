"""The brief: what a request leaves open, decided once for all candidates.

Contents: :class:`Brief`, :func:`decide`, :func:`edges_by_name`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from muse.attributes import attribute
from muse.composer.motif import Motif, Statement, develop, key_of, tempo_of
from muse.errors import InputError, unknown
from muse.intent import Intent
from muse.mapping import AttributeTarget, EmotionMapper
from muse.score import DRUMS
from muse.theory import TONIC_NAMES, instrument_name, parse_instrument
from muse.tokens import GENRES, SECTION_BARS, SECTION_CONTROLS, SONG_CONTROLS, Codec, Controls
from muse.tokens.music import fold_shift
from muse.tokens.vocabulary import STEPS_PER_BEAT

__all__ = ["Brief", "decide", "edges_by_name"]

_NEUTRAL_TEMPO_BPM = 100.0  # where neither tempo nor emotion is asked for
_MAJOR_SHARE = 0.6  # of the corpus' windows; where neither key nor emotion is asked for
# The piano writing of the corpus that has real dynamics and modern harmony; other ensembles leave the genre open.
_PIANO_GENRE = "pop"
_EMPTY_TARGET = AttributeTarget((), (), (), (), (), ())


@dataclass(frozen=True)
class Brief:
    """What a request leaves open, decided: the same for all candidates."""

    genre: str | None
    mode: str
    tonic: int
    tempo_bpm: float
    time_signature: tuple[int, int]
    programs: tuple[int, ...]
    song: AttributeTarget
    sections: tuple[AttributeTarget, ...]
    statements: tuple[Statement, ...] = ()
    """Of the motif, at the pitches that sound."""
    melodist: int = -1
    """Program that plays them."""
    remarks: tuple[str, ...] = ()
    """What of the request can only be come near to, a sentence each."""

    @property
    def barred_third(self) -> int:
        """Semitones above the tonic of the other mode's third. Networks hold the mode badly (MI-MIDI, arXiv 2608.06638)
        and listeners notice it most (EMelodyGen), so it is ruled out: no other note decides between major and minor."""
        return 3 if self.mode == "major" else 4

    @property
    def key_name(self) -> str:
        return f"{TONIC_NAMES[self.mode][self.tonic]} {self.mode}"


def decide(intent: Intent, codec: Codec, mapper: EmotionMapper, rng: np.random.Generator) -> Brief:
    """Decide what the request leaves open: the emotion's attributes, key, tempo, genre and where a motif is stated.

    Raises
    ------
    InputError
        A genre or an attribute that there is not, or a value that no music can have.
    """
    overrides, remarks = _overrides(intent, codec.controls)
    tempo = intent.tempo_bpm or (None if intent.motif is None else tempo_of(intent.motif))
    if tempo is not None:
        overrides["Mean Tempo"] = tempo
    song, sections = _targets(intent, codec.controls, mapper, rng, overrides)
    asked = song.values()
    own_key = None if intent.motif is None else key_of(intent.motif)
    if intent.tonic_and_mode is not None:
        tonic, mode = intent.tonic_and_mode
    elif own_key is not None:
        tonic, mode = own_key.tonic, own_key.mode
    else:
        clarity = asked.get("Mode Clarity")
        major = rng.random() < _MAJOR_SHARE if clarity is None else clarity > 0
        mode = "major" if major else "minor"
        tonic = int(rng.integers(-4, 5)) % 12  # near C, so that the register asked for stays in reach
    genre = intent.genre
    if genre is None and intent.programs == (0,):
        genre = _PIANO_GENRE
    elif genre is not None and genre not in GENRES:
        raise unknown("genre", genre, GENRES)
    for program, n in Counter(map(parse_instrument, intent.instruments)).items():
        if n > 1:
            name = instrument_name(program)
            remarks.append(f"{name} is asked for {n} times; the generator writes one part for each kind of instrument")
    tempo = tempo or asked.get("Mean Tempo", _NEUTRAL_TEMPO_BPM)
    brief = Brief(
        genre, mode, tonic, float(tempo), intent.meter, tuple(sorted(intent.programs)), song, sections,
        remarks=tuple(remarks),
    )  # fmt: skip
    if intent.motif is None:
        return brief
    moved = 0 if own_key is None else fold_shift(tonic - own_key.tonic)
    meter = codec.meter(brief.time_signature)
    statements = develop(
        Motif.of(intent.motif, meter[1]).moved(moved).within_range(), n_bars=intent.bars,
        bar_steps=STEPS_PER_BEAT * meter[0], tonic=tonic, mode=mode, rng=rng,
    )  # fmt: skip
    return replace(brief, statements=tuple(statements), melodist=_melodist(intent))


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


def _melodist(intent: Intent) -> int:
    """Program of the instrument that plays the motif: the first pitched one."""
    pitched = [program for program in intent.programs if program != DRUMS]
    if not pitched:
        raise InputError("a motif needs an instrument that can play it: ask for one beside the drums")
    return pitched[0]


def edges_by_name(controls: Controls, scope: str) -> dict[str, list[float]]:
    """Bucket edges of the controls of a scope, ``song`` or ``section``, by attribute."""
    names, edges = (SONG_CONTROLS, controls.song) if scope == "song" else (SECTION_CONTROLS, controls.section)
    return dict(zip(names, edges.tolist(), strict=True))


def _at_tempo(target: AttributeTarget, overrides: Mapping[str, float]) -> dict[str, float]:
    """Overrides, with the notes per beat that keep the target's notes per second at the tempo asked for."""
    tempo, density = overrides.get("Mean Tempo"), target.values().get("Note Density")
    if tempo is None or density is None or {"Note Density", "Note Density per Quarter Note"} & set(overrides):
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
