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
    128 and ``drums`` mean the percussion kit. One may be asked for twice (``violin, violin, cello``) and is
    then kept twice. :attr:`Intent.programs` has the numbers, each once.
meter
    One of :data:`muse.score.METERS`, or of :data:`muse.score.REWRITTEN_METERS`, which are written with other beats.
genre, attribute names
    Free words here; the rooms that know which exist (tokens, attributes) check them.

Contents: :class:`Intent`; :func:`parse_time_signature`.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from muse.emotion import Emotion, EmotionPath, EmotionPathLike, EmotionWord, emotion_words
from muse.errors import InputError, unknown
from muse.score import METERS, REWRITTEN_METERS, Score, note_array, read_score
from muse.theory import instrument_name, key_in_words, normalize_name, parse_instrument, parse_key
from muse.theory.chord_text import parse_chords

__all__ = ["MAX_BARS", "Intent", "parse_time_signature"]

MAX_BARS: Final = 512
_SIXTEENTHS, _BEAT = 16, 4  # of a bar of 4/4
MIN_TEMPO_BPM: Final = 20.0
MAX_TEMPO_BPM: Final = 300.0


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
        ``"4/4"``; see the module's conventions.
    instruments
        At least one; see the module's conventions. One string may hold several with commas.
    bars
        1..512.
    attributes
        Attribute name -> value: what the emotion's target is overruled by.
    melody
        A tune that the piece has, note for note, from its first bar on; the bars after it are written to it.
    chords
        Their symbols, bars parted by ``|``: ``"Am | F | C G"``; without any, each has a bar. Repeated to the end.
    form
        Letters of the sections, as in ``"AABA"``, or with their bars, ``"A8 B16 A8"``.

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
    melody: Score | None = None
    chords: str | None = None
    form: str | None = None

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
            melody: Score | None = None,
            chords: str | None = None,
            form: str | None = None,
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
        """General MIDI program of each instrument asked for, :data:`muse.score.DRUMS` (128) for drums; each once."""
        return tuple(dict.fromkeys(parse_instrument(name) for name in self.instruments))

    @property
    def players(self) -> tuple[int, ...]:
        """The same for every player: as many as asked for, in that order."""
        return tuple(parse_instrument(name) for name in self.instruments)

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

    def in_words(self) -> str:
        """The request as a sentence of plain English: what is asked for, and that the rest is open.

        Examples
        --------
        >>> print(Intent(emotion="sad", key="Am", instruments="violin, violin, cello", time_signature="3/4").in_words())
        16 bars of 3/4 for violin (2), cello; sad (valence -0.60, arousal -0.60); in A minor; tempo and genre are open
        """
        players = [
            name if (n := self.instruments.count(name)) == 1 else f"{name} ({n})"
            for name in dict.fromkeys(self.instruments)
        ]
        said = [f"{self.bars} bar{'s' * (self.bars > 1)} of {self.time_signature} for {', '.join(players)}"]
        is_open = [name for name in ("emotion", "key", "tempo_bpm", "genre") if getattr(self, name) is None]
        if self.emotion is not None:
            said.append(_emotion_in_words(self.emotion))
        if self.key is not None:
            said.append(f"in {key_in_words(self.key)}")
        if self.tempo_bpm is not None:
            said.append(f"at {self.tempo_bpm:g} BPM")
        if self.genre is not None:
            said.append(f"genre {self.genre}")
        if self.attributes:
            said.append("with " + ", ".join(f"{name} {value:g}" for name, value in self.attributes.items()))
        if self.melody is not None:
            said.append(f"with a given tune of {len(note_array(self.melody))} notes")
        if self.chords is not None:
            said.append(f"over the chords {self.chords}")
        if self.form is not None:
            said.append(f"in the form {self.form}")
        if is_open:
            *first, last = [name.removesuffix("_bpm") for name in is_open]
            said.append(f"{', '.join(first)} and {last} are open" if first else f"{last} is open")
        return "; ".join(said)

    def to_dict(self) -> dict[str, Any]:
        """The request in JSON's types; a melody as base64 of a MIDI file."""
        return {
            "emotion": None if self.emotion is None else self.emotion.to_dict(),
            "genre": self.genre,
            "tempo_bpm": self.tempo_bpm,
            "key": self.key,
            "time_signature": self.time_signature,
            "instruments": list(self.instruments),
            "bars": self.bars,
            "attributes": dict(self.attributes),
            "melody": None if self.melody is None else base64.b64encode(self.melody.dumps_midi()).decode("ascii"),
            "chords": self.chords,
            "form": self.form,
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
        faults = [str(unknown("field", str(name), known)) for name in document if name not in known]
        if faults:
            raise InputError("; ".join(faults))
        return cls(**document)

    @classmethod
    def from_json(cls, text: str) -> Intent:
        """Read the form of :meth:`to_json`; see :meth:`from_dict`."""
        try:
            document = json.loads(text)
        except (TypeError, ValueError) as error:
            raise InputError(f"intent is not JSON: {error}") from None
        return cls.from_dict(document)


def _emotion_in_words(path: EmotionPath) -> str:
    """Nearest words of music psychology, with the place of a single one."""
    known = [word for word in emotion_words().values() if {"music", "russell"} & set(word.sets)]

    def name(emotion: Emotion) -> str:
        def distance(word: EmotionWord) -> tuple[float, int]:
            return round(math.dist(_place(word.emotion), _place(emotion)), 6), len(word.word)

        return min(known, key=distance).word

    if not path.is_constant:
        return "from " + " to ".join(name for name, _ in itertools.groupby(map(name, path.emotions)))
    valence, arousal = _place(path.mean)
    return f"{name(path.mean)} (valence {valence:+.2f}, arousal {arousal:+.2f})"


def _place(emotion: Emotion) -> tuple[float, float]:
    return emotion.valence, emotion.arousal


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
    if (numerator, denominator) not in METERS and (numerator, denominator) not in REWRITTEN_METERS:
        known = ", ".join(f"{beats}/{unit}" for beats, unit in METERS)
        raise InputError(f"music in {numerator}/{denominator} cannot be written, choose one of {known}")
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
            is_number = isinstance(item, int) or not any(map(str.isalpha, item))
            stored.append(instrument_name(program) if is_number else normalize_name(item))
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


def _check_melody(value: Any) -> Any:
    if value is None:
        return None
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


def _check_chords(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{value!r} names no chord, give for example 'Am | F | C G'")
    parse_chords(value, _SIXTEENTHS, _BEAT)  # whatever the meter, what is no chord is refused here
    return value.strip()


def _check_form(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not re.fullmatch(r"([A-Za-z]\d*[\s-]*)+", value.strip()):
        raise InputError(f"{value!r} is no form, give letters, with bars if need be: AABA, or A8 B8 A16")
    return value.strip().upper()


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
    "melody": _check_melody,
    "chords": _check_chords,
    "form": _check_form,
}
