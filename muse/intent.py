"""Intent: what is asked for, checked as a whole, with JSON both ways.

Conventions
-----------
open fields
    ``None`` (or an empty ``attributes``) leaves a choice to the emotion, the generator or chance.
tempo
    Quarter notes a minute, 20..300.
key
    Tonic letter, accidental, mode: ``C``, ``Am``, ``F#m``, ``Bb``; also ``A minor``, ``c# major``. Stored short.
instruments
    General MIDI names (``violin``), families (``strings``), common words (``sax``), or program numbers 0..127;
    128 and ``drums`` mean the percussion kit. :attr:`Intent.programs` has the numbers.
genre, attribute names
    Free words here; the rooms that know which exist (tokens, attributes) check them.

Contents: :class:`Intent`; :func:`parse_key`, :func:`parse_time_signature`, :func:`parse_instrument`,
:func:`instrument_name`; the tables :data:`GM_PROGRAMS`, :data:`GM_FAMILIES`, :data:`ALIASES`.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from muse.emotion import EmotionPath, EmotionPathLike
from muse.errors import InputError
from muse.score import DRUMS

if TYPE_CHECKING:
    from muse.score import Score

__all__ = [
    "ALIASES",
    "GM_FAMILIES",
    "GM_PROGRAMS",
    "MAX_BARS",
    "Intent",
    "instrument_name",
    "parse_instrument",
    "parse_key",
    "parse_time_signature",
]

MAX_BARS: Final = 512
MIN_TEMPO_BPM: Final = 20.0
MAX_TEMPO_BPM: Final = 300.0

GM_PROGRAMS: Final[tuple[str, ...]] = tuple(
    name.strip()
    for name in """
    acoustic grand piano|bright acoustic piano|electric grand piano|honky-tonk piano|electric piano 1|electric piano 2
    harpsichord|clavinet|celesta|glockenspiel|music box|vibraphone|marimba|xylophone|tubular bells|dulcimer
    drawbar organ|percussive organ|rock organ|church organ|reed organ|accordion|harmonica|tango accordion
    acoustic guitar (nylon)|acoustic guitar (steel)|electric guitar (jazz)|electric guitar (clean)
    electric guitar (muted)|overdriven guitar|distortion guitar|guitar harmonics
    acoustic bass|electric bass (finger)|electric bass (pick)|fretless bass|slap bass 1|slap bass 2|synth bass 1
    synth bass 2|violin|viola|cello|contrabass|tremolo strings|pizzicato strings|orchestral harp|timpani
    string ensemble 1|string ensemble 2|synth strings 1|synth strings 2|choir aahs|voice oohs|synth choir
    orchestra hit|trumpet|trombone|tuba|muted trumpet|french horn|brass section|synth brass 1|synth brass 2
    soprano sax|alto sax|tenor sax|baritone sax|oboe|english horn|bassoon|clarinet
    piccolo|flute|recorder|pan flute|blown bottle|shakuhachi|whistle|ocarina
    lead 1 (square)|lead 2 (sawtooth)|lead 3 (calliope)|lead 4 (chiff)|lead 5 (charang)|lead 6 (voice)
    lead 7 (fifths)|lead 8 (bass and lead)|pad 1 (new age)|pad 2 (warm)|pad 3 (polysynth)|pad 4 (choir)
    pad 5 (bowed)|pad 6 (metallic)|pad 7 (halo)|pad 8 (sweep)|fx 1 (rain)|fx 2 (soundtrack)|fx 3 (crystal)
    fx 4 (atmosphere)|fx 5 (brightness)|fx 6 (goblins)|fx 7 (echoes)|fx 8 (sci-fi)
    sitar|banjo|shamisen|koto|kalimba|bagpipe|fiddle|shanai|tinkle bell|agogo|steel drums|woodblock|taiko drum
    melodic tom|synth drum|reverse cymbal|guitar fret noise|breath noise|seashore|bird tweet|telephone ring
    helicopter|applause|gunshot
    """.strip()
    .replace("\n", "|")
    .split("|")
)
"""Names of the 128 General MIDI 1 programs, lower case, by program number."""

GM_FAMILIES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "piano": 0,
        "chromatic percussion": 11,
        "organ": 19,
        "guitar": 24,
        "bass": 32,
        "strings": 48,
        "ensemble": 48,
        "brass": 61,
        "reed": 71,
        "pipe": 73,
        "synth lead": 80,
        "synth pad": 89,
        "synth effects": 99,
        "ethnic": 104,
        "percussive": 114,
        "sound effects": 122,
    }
)
"""The 16 families of General MIDI, each by the program that stands for it when the family is asked for."""

ALIASES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "grand piano": 0, "keys": 0, "keyboard": 0, "upright piano": 1, "honky tonk": 3, "electric piano": 4,
        "rhodes": 4, "e-piano": 4, "cembalo": 6, "mallets": 12, "bells": 14, "hammond organ": 16, "hammond": 16,
        "pipe organ": 19, "harmonium": 20, "bandoneon": 23, "acoustic guitar": 24, "classical guitar": 24,
        "nylon guitar": 24, "steel guitar": 25, "folk guitar": 25, "jazz guitar": 26, "electric guitar": 27,
        "clean guitar": 27, "muted guitar": 28, "overdrive guitar": 29, "distorted guitar": 30, "double bass": 43,
        "upright bass": 32, "electric bass": 33, "bass guitar": 33, "fretless": 35, "slap bass": 36, "synth bass": 38,
        "violoncello": 42, "pizzicato": 45, "harp": 46, "kettledrum": 47, "string": 48, "string ensemble": 48,
        "string section": 48, "string orchestra": 48, "orchestra": 48, "synth strings": 50, "choir": 52, "vocals": 52,
        "voice": 53, "singer": 53, "horn": 60, "horns": 61, "woodwind": 71, "woodwinds": 71, "sax": 65,
        "saxophone": 65, "alto saxophone": 65, "tenor saxophone": 66, "soprano saxophone": 64,
        "baritone saxophone": 67, "cor anglais": 69, "blockflute": 74, "panpipes": 75, "tin whistle": 78,
        "lead": 80, "synth": 80, "synthesizer": 80, "square lead": 80, "saw lead": 81, "pad": 89, "warm pad": 89,
        "pipa": 106, "guzheng": 107, "zither": 107, "thumb piano": 108, "bagpipes": 109, "steelpan": 114,
        "steel drum": 114, "taiko": 116,
        "drums": DRUMS, "drum": DRUMS, "drum kit": DRUMS, "drum set": DRUMS, "drumkit": DRUMS, "percussion": DRUMS,
    }
)  # fmt: skip
"""Common words for instruments. Those without a General MIDI program (pipa, guzheng) get the nearest of its family."""

_KEY = re.compile(r"^\s*([A-Ga-g])\s*(#|b|♯|♭|sharp|flat)?\s*-?\s*((?i:major|minor|maj|min|dur|moll)|M|m)?\s*$")
_KEY_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ACCIDENTALS = {
    "": (0, ""),
    "#": (1, "#"),
    "♯": (1, "#"),
    "sharp": (1, "#"),
    "b": (-1, "b"),
    "♭": (-1, "b"),
    "flat": (-1, "b"),
}
_MINOR = {"minor", "min", "moll"}


@dataclass(frozen=True)
class Intent:
    """What is asked for. Values are normalized and all faults are reported at once.

    Parameters
    ----------
    emotion
        Anything that :meth:`muse.emotion.EmotionPath.parse` reads: ``"sad"``, ``"calm>tense"``, ``(-.6, -.4)``.
    genre
        A genre word, for example ``"pop"``; the codec knows which it has.
    tempo_bpm
        Quarter notes a minute, 20..300.
    key
        For example ``"Am"``; see the module's conventions.
    time_signature
        ``"4/4"``; numerator 1..32, denominator 1, 2, 4, 8, 16 or 32.
    instruments
        At least one; see the module's conventions. One string may hold several with commas.
    bars
        1..512.
    attributes
        Attribute name -> value: what the emotion's target is overruled by.
    motif
        Music to follow, or None.

    Raises
    ------
    InputError
        One or more fields are illegal; the message has a sentence for each: what came, what is legal, what was
        probably meant.

    Examples
    --------
    >>> intent = Intent(emotion="sad", key="a minor", instruments="piano, cello", bars=8)
    >>> intent.key, intent.programs
    ('Am', (0, 42))
    >>> Intent.from_json(intent.to_json()) == intent
    True
    """

    emotion: EmotionPath | None = None
    genre: str | None = None
    tempo_bpm: float | None = None
    key: str | None = None
    time_signature: str = "4/4"
    instruments: tuple[str, ...] = ("piano",)
    bars: int = 16
    attributes: Mapping[str, float] = field(default_factory=dict)
    motif: Score | None = None

    if TYPE_CHECKING:
        # What may be given is wider than what is stored.
        def __init__(
            self,
            emotion: EmotionPathLike | None = None,
            genre: str | None = None,
            tempo_bpm: float | None = None,
            key: str | None = None,
            time_signature: str | tuple[int, int] = "4/4",
            instruments: str | int | Sequence[str | int] = ("piano",),
            bars: int = 16,
            attributes: Mapping[str, float] | None = None,
            motif: Score | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        faults: list[str] = []
        for name, check in _CHECKS.items():
            try:
                object.__setattr__(self, name, check(getattr(self, name)))
            except InputError as error:
                faults.append(f"{name}: {error}")
        if faults:
            raise InputError("; ".join(faults))

    def __hash__(self) -> int:
        return hash(json.dumps(self.to_dict(), sort_keys=True))

    @property
    def programs(self) -> tuple[int, ...]:
        """General MIDI program of each instrument, :data:`muse.score.DRUMS` (128) for drums; without repeats."""
        return tuple(dict.fromkeys(parse_instrument(name) for name in self.instruments))

    @property
    def tonic_and_mode(self) -> tuple[int, str] | None:
        """Pitch class 0..11 and ``"major"`` or ``"minor"`` of the key; None where it is open."""
        if self.key is None:
            return None
        tonic, mode, _ = parse_key(self.key)
        return tonic, mode

    @property
    def meter(self) -> tuple[int, int]:
        """Numerator and denominator of the time signature."""
        return parse_time_signature(self.time_signature)

    def to_dict(self) -> dict[str, Any]:
        """The request in JSON's types; a motif as base64 of a MIDI file."""
        return {
            "emotion": None if self.emotion is None else self.emotion.to_dict(),
            "genre": self.genre,
            "tempo_bpm": self.tempo_bpm,
            "key": self.key,
            "time_signature": self.time_signature,
            "instruments": list(self.instruments),
            "bars": self.bars,
            "attributes": dict(self.attributes),
            "motif": None if self.motif is None else base64.b64encode(self.motif.dumps_midi()).decode("ascii"),
        }

    def to_json(self) -> str:
        """One line of JSON that :meth:`from_json` reads back."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Intent:
        """Read the form of :meth:`to_dict`; fields that are absent keep their defaults.

        Raises
        ------
        InputError
            An unknown field, or an illegal value.
        """
        if not isinstance(document, Mapping):
            raise InputError(f"an intent is a JSON object with fields such as emotion and bars, not {document!r}")
        known = [f.name for f in fields(cls)]
        unknown = [_guess(repr(name), str(name), known, "field") for name in document if name not in known]
        if unknown:
            raise InputError("; ".join(unknown))
        return cls(**document)

    @classmethod
    def from_json(cls, text: str) -> Intent:
        """Read the form of :meth:`to_json`; see :meth:`from_dict`."""
        try:
            document = json.loads(text)
        except (TypeError, ValueError) as error:
            raise InputError(f"intent is not JSON: {error}") from None
        return cls.from_dict(document)


def parse_key(text: str) -> tuple[int, str, str]:
    """Read a key.

    Returns
    -------
    tuple
        Pitch class of the tonic (0..11, C = 0), ``"major"`` or ``"minor"``, and the short name (``"F#m"``).

    Raises
    ------
    InputError
        No key; the message says how one is written.
    """
    match = _KEY.match(text) if isinstance(text, str) else None
    if match is None:
        slip = "; for H write B" if isinstance(text, str) and text[:1] in "Hh" and text else ""
        raise InputError(f"{text!r} is not a key, write for example C, Am, F#m, Bb or 'E minor'{slip}")
    letter = match[1].upper()
    shift, sign = _ACCIDENTALS[match[2] or ""]
    # A lone M is major, a lone m minor; the words may be written in any case.
    mode = "minor" if match[3] == "m" or (match[3] or "").casefold() in _MINOR else "major"
    return (_KEY_LETTERS[letter] + shift) % 12, mode, letter + sign + ("m" if mode == "minor" else "")


def parse_time_signature(value: str | Sequence[int]) -> tuple[int, int]:
    """Read ``"3/4"`` or ``(3, 4)``: numerator 1..32, denominator a power of two up to 32.

    Raises
    ------
    InputError
        Anything else.
    """
    parts = re.fullmatch(r"\s*(\d{1,3})\s*/\s*(\d{1,3})\s*", value) if isinstance(value, str) else None
    if parts:
        numerator, denominator = int(parts[1]), int(parts[2])
    elif not isinstance(value, str) and isinstance(value, Sequence) and len(value) == 2:
        numerator, denominator = _whole(value[0], "numerator"), _whole(value[1], "denominator")
    else:
        raise InputError(f"{value!r} is not a time signature, write for example 4/4, 3/4 or 6/8")
    if not 1 <= numerator <= 32 or denominator not in (1, 2, 4, 8, 16, 32):
        slip = ""
        if numerator in (4, 8) and 1 <= denominator <= 32:
            slip = f"; did you mean {denominator}/{numerator}?"
        raise InputError(
            f"{numerator}/{denominator} is not a time signature, legal are 1..32 over 1, 2, 4, 8, 16 or 32{slip}"
        )
    return numerator, denominator


def parse_instrument(value: str | int) -> int:
    """General MIDI program of an instrument's name, family, common word or number (128 = drums).

    Raises
    ------
    InputError
        Unknown; the message names the nearest known instruments.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InputError(f"instrument {value!r} is neither a name nor a program number")
    if isinstance(value, int) or value.strip().lstrip("+-").isdecimal():
        program = int(value)
        if not 0 <= program <= DRUMS:
            raise InputError(f"program {program} is out of range, legal are 0..127, and 128 for drums")
        return program
    names = _instruments()
    plain = _plain(value)
    for form in (plain, plain.removesuffix("s"), plain + "s"):
        if form in names:
            return names[form]
    guess = _guess(repr(value), plain, list(names), "instrument", examples=("piano", "violin", "strings", "drums"))
    raise InputError(f"{guess} (also legal: program numbers 0..127)")


def instrument_name(program: int) -> str:
    """Name of a program, ``"drums"`` for 128."""
    return "drums" if program == DRUMS else GM_PROGRAMS[program]


@cache
def _instruments() -> dict[str, int]:
    """All names; where a word is both (``piano``), the family's or the common meaning wins over a longer GM name."""
    names = {_plain(name): program for program, name in enumerate(GM_PROGRAMS)}
    return names | {_plain(name): program for name, program in (*GM_FAMILIES.items(), *ALIASES.items())}


def _plain(name: str) -> str:
    return " ".join(re.sub(r"[()_-]+", " ", name.casefold()).split())


def _guess(shown: str, text: str, known: Sequence[str], kind: str, examples: Sequence[str] = ()) -> str:
    near = difflib.get_close_matches(text, known, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(near)}?" if near else f"legal are for example {', '.join(examples or known)}"
    return f"{shown} is not a known {kind}; {hint}"


def _whole(value: object, what: str) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        whole = isinstance(value, float) and value.is_integer()
        slip = f"; did you mean {int(value)}?" if isinstance(value, float) and whole else ""
        raise InputError(f"{what} {value!r} is not a whole number{slip}")
    return int(value.__index__())


def _check_emotion(value: Any) -> EmotionPath | None:
    return None if value is None else EmotionPath.parse(value)


def _check_genre(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{value!r} is not a genre word, for example pop or classical")
    return value.strip().casefold()


def _check_tempo(value: Any) -> float | None:
    if value is None:
        return None
    tempo = _finite(value, "BPM")
    if not MIN_TEMPO_BPM <= tempo <= MAX_TEMPO_BPM:
        slip = f"; as beats a second that would be {tempo * 60:g} BPM" if 0.4 <= tempo <= 5 else ""
        raise InputError(f"{tempo:g} BPM is out of range, legal is {MIN_TEMPO_BPM:g}..{MAX_TEMPO_BPM:g}{slip}")
    return tempo


def _check_key(value: Any) -> str | None:
    return None if value is None else parse_key(value)[2]


def _check_time_signature(value: Any) -> str:
    numerator, denominator = parse_time_signature(value)
    return f"{numerator}/{denominator}"


def _check_instruments(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [part for part in value.split(",") if part.strip()]
    elif isinstance(value, int):
        value = [value]
    if not isinstance(value, Sequence) or not len(value):
        raise InputError(f"{value!r} names no instrument, give at least one, for example piano")
    stored, faults = [], []
    for item in value:
        try:
            program = parse_instrument(item)
            # A name is kept as it was said; a number is spelled out, so that people can read what was asked.
            is_number = isinstance(item, int) or item.strip().isdecimal()
            stored.append(instrument_name(program) if is_number else _plain(item))
        except InputError as error:
            faults.append(str(error))
    if faults:
        raise InputError("; ".join(faults))
    return tuple(stored)


def _check_bars(value: Any) -> int:
    bars = _whole(value, "bars")
    if not 1 <= bars <= MAX_BARS:
        raise InputError(f"{bars} is out of range, legal is 1..{MAX_BARS}")
    return bars


def _check_attributes(value: Any) -> Mapping[str, float]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InputError(f"{value!r} is not a mapping of attribute name to number")
    checked, faults = {}, []
    for name, number in value.items():
        if not isinstance(name, str) or not name.strip():
            faults.append(f"{name!r} is not an attribute's name, for example 'Mean Pitch'")
            continue
        try:
            checked[name.strip()] = _finite(number, f"value of {name!r}")
        except InputError as error:
            faults.append(str(error))
    if faults:
        raise InputError("; ".join(faults))
    return checked


def _check_motif(value: Any) -> Any:
    if value is None:
        return None
    from muse.score import note_array, read_score

    if isinstance(value, str):  # the form of to_dict
        try:
            value = base64.b64decode(value, validate=True)
        except binascii.Error as error:
            raise InputError(f"not base64 of a MIDI file: {error}") from None
    elif not hasattr(value, "tracks"):
        raise InputError(f"{type(value).__name__} is not a score, read it with muse.read_score")
    score = read_score(value)  # cleaned once here, so that it is the same after a trip through JSON
    if not len(note_array(score)):
        raise InputError("has no notes to follow")
    return score


def _finite(value: object, what: str) -> float:
    try:
        if isinstance(value, bool):
            raise TypeError
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{what} {value!r} is not a number") from None
    if not math.isfinite(number):
        raise InputError(f"{what} {value!r} is not a finite number")
    return number


_CHECKS: Final = {
    "emotion": _check_emotion,
    "genre": _check_genre,
    "tempo_bpm": _check_tempo,
    "key": _check_key,
    "time_signature": _check_time_signature,
    "instruments": _check_instruments,
    "bars": _check_bars,
    "attributes": _check_attributes,
    "motif": _check_motif,
}
