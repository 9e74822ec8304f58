"""Plans: lead sheets as values, as text, as JSON and as token ids.

A *plan* is what a piece says before anybody plays it: meter, key, form, and for each bar its chords and its tune.

Conventions
-----------
* **Positions and lengths** are counted in sixteenths of a whole note; positions from the start of their bar. A bar of
  4/4 has 16, of 3/4 and 6/8 has 12; bars have at most :data:`MAX_BAR` of them.
* **Pitches** are MIDI numbers as they sound; **roots, basses and tonics** are pitch classes 0..11 (C = 0).
* **Lag** is a number of bars: a bar with lag 8 follows the bar eight before it; 0 says that it follows none.
* **Ids** are relative to the tonic: a plan is moved to tonic C (by -5..6 semitones) before it is spelled.

Spelling of a plan: ``Bos``, what the piece is (:class:`Prefix`), then a bar after the other: ``Bar_k`` (bars left after
it, at most 8), how its tune follows an earlier one (``New``, ``Like_lag``, ``Same_lag``), which earlier bar's chords
it has (``Chords_lag``), its chords (``ChordAt`` in eighths, ``Chord``, ``Bass`` where it is not the root; the first
stands at 0 and names the chord in force), its tune (``At``, ``Pitch``, ``Length``); at last ``Eos`` where the song
ends.

Contents: :class:`Note`, :class:`Bar`, :class:`Plan`; :class:`Vocabulary`, :data:`PLAN_BLOCKS`, :class:`Prefix`,
:func:`encode_prefix`, :func:`encode_bar`, :func:`encode`, :func:`decode`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from muse.errors import InputError, is_whole
from muse.score.clean import MAX_BPM, MIN_BPM
from muse.theory import TONIC_NAMES, Mode, key_from_weights, key_signature
from muse.theory.chord_symbols import QUALITIES, Chord
from muse.theory.chord_text import parse_chords, write_chords
from muse.tokens.vocabulary import GENRES

__all__ = [
    "LAGS",
    "METERS",
    "PLAN_BLOCKS",
    "PLAN_CONTROLS",
    "Bar",
    "Note",
    "Plan",
    "Prefix",
    "Vocabulary",
    "decode",
    "encode",
    "encode_bar",
    "encode_prefix",
]

METERS: Final = ("2/4", "3/4", "4/4", "5/4", "6/4", "3/8", "6/8", "9/8", "12/8")
"""Meters that have a token. Halves are spelled as the meter of quarters that is as long (2/2 as 4/4)."""

LAGS: Final = (1, 2, 3, 4, 6, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64)
"""Bars between a bar and the earlier one that it follows."""

MAX_BAR: Final = 24
"""Longest bar in sixteenths."""

PITCHES: Final = range(36, 100)
"""Pitches of a tune in tokens, relative to the tonic C; others move by octaves into it."""

LENGTHS: Final = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32)
"""Lengths of a tune's notes in tokens, in sixteenths."""

BARS_LEFT: Final = 8
"""A bar's token says how many bars are left, up to so many."""

N_BUCKETS: Final = 6
"""Buckets of each control."""

PLAN_CONTROLS: Final = (
    "chord_changes",
    "dissonance",
    "borrowed",
    "repetition",
    "note_density",
    "note_length",
    "rests",
    "pitch_range",
    "mean_pitch",
    "leaps",
    "syncopation",
    "chromatic",
)
"""What a plan can be asked for; measured by :func:`muse.tokens.plan_form.measure`."""


@dataclass(frozen=True, slots=True)
class Note:
    """A note of the tune."""

    position: int
    """Sixteenths from the start of the bar."""
    pitch: int
    """MIDI pitch as it sounds."""
    length: int
    """Sixteenths; may reach into later bars."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a plan."""

    chords: tuple[Chord, ...] = ()
    """By position; the first stands at 0. Empty where nothing is said about harmony."""
    melody: tuple[Note, ...] = ()
    """By position; one voice."""
    melody_lag: int = 0
    """The tune follows that of the bar so many bars before; 0: none."""
    melody_exact: bool = False
    """It is the same, not only alike."""
    chords_lag: int = 0
    """The chords are those of the bar so many bars before; 0: of none."""


@dataclass(frozen=True)
class Plan:
    """A lead sheet: meter, key, form, and what each bar says."""

    bars: tuple[Bar, ...]
    time_signature: tuple[int, int] = (4, 4)
    tonic: int = 0
    """Pitch class 0..11."""
    mode: Mode = "major"
    sections: tuple[tuple[str, int], ...] = ()
    """The form: label and number of bars of each section, in order; empty where nobody said."""
    tempo_bpm: float | None = None
    """Quarter notes a minute; None where nobody said."""

    def __post_init__(self) -> None:
        faults = []
        size = bar_length(self.time_signature)
        if not 1 <= size <= MAX_BAR:
            faults.append(f"time signature {self.time_signature}; bars have at most {MAX_BAR} sixteenths")
        if self.mode not in ("major", "minor") or not 0 <= self.tonic < 12:
            faults.append(f"key {self.tonic} {self.mode!r}; legal are tonic 0..11 and 'major' or 'minor'")
        if self.tempo_bpm is not None and not MIN_BPM <= self.tempo_bpm <= MAX_BPM:
            faults.append(f"tempo {self.tempo_bpm}; legal are {MIN_BPM:g} to {MAX_BPM:g} quarter notes a minute")
        if self.sections and sum(n for _, n in self.sections) != len(self.bars):
            faults.append(f"sections of {sum(n for _, n in self.sections)} bars in a plan of {len(self.bars)}")
        for number, bar in enumerate(self.bars, start=1):
            places = [chord.position for chord in bar.chords]
            if places and (places[0] != 0 or places != sorted(set(places)) or places[-1] >= size):
                faults.append(f"bar {number}: chords at {places}; legal are increasing places from 0 below {size}")
            if any(chord.quality not in QUALITIES for chord in bar.chords):
                faults.append(f"bar {number}: an unknown chord quality; legal are {', '.join(map(repr, QUALITIES))}")
            places = [note.position for note in bar.melody]
            if places != sorted(set(places)) or any(not 0 <= place < size for place in places):
                faults.append(f"bar {number}: notes at {places}; legal are increasing places from 0 below {size}")
            if any(not 0 <= note.pitch < 128 or note.length < 1 for note in bar.melody):
                faults.append(f"bar {number}: legal are pitches 0..127 and lengths of a sixteenth or more")
        if faults:
            raise InputError("; ".join(faults[:4]))

    @property
    def bar_length(self) -> int:
        """Sixteenths a bar."""
        return bar_length(self.time_signature)

    @property
    def key_name(self) -> str:
        """As in ``F#m``."""
        return TONIC_NAMES[self.mode][self.tonic] + ("m" if self.mode == "minor" else "")

    @property
    def form(self) -> str:
        """Labels of the sections, as in ``AABA``."""
        return "".join(label for label, _ in self.sections)

    @property
    def section_starts(self) -> dict[int, str]:
        """First bar of each section, from 0 -> its label."""
        starts = accumulate((n for _, n in self.sections), initial=0)
        return dict(zip(starts, (label for label, _ in self.sections), strict=False))

    def transposed(self, semitones: int) -> Plan:
        """The same plan in another key."""
        bars = tuple(
            replace(
                bar,
                chords=tuple(chord.moved(semitones) for chord in bar.chords),
                melody=tuple(replace(note, pitch=note.pitch + semitones) for note in bar.melody),
            )
            for bar in self.bars
        )
        return replace(self, bars=bars, tonic=(self.tonic + semitones) % 12)

    # ------------------------------------------------------------------------------------------------ text and JSON

    @classmethod
    def parse(
        cls,
        text: str,
        *,
        time_signature: tuple[int, int] = (4, 4),
        tonic: int | None = None,
        mode: Mode | None = None,
    ) -> Plan:
        """A plan of chords from their symbols as musicians type them: ``Am | F | C G | Am``, ``Am F C G``.

        What may be written says :mod:`muse.theory.chord_text`. The key is what the chords say unless given.

        Raises
        ------
        InputError
            No chord, a symbol that is none, or more chords than a bar has eighths.
        """
        size = bar_length(time_signature)
        if not 1 <= size <= MAX_BAR:
            raise InputError(f"time signature {time_signature}; bars have at most {MAX_BAR} sixteenths")
        read = parse_chords(text, size, beat_length(time_signature))
        plan = cls(tuple(Bar(chords) for chords in read.bars), time_signature, sections=read.sections)
        guess = plan.key_of_chords()
        return replace(plan, tonic=guess[0] if tonic is None else tonic, mode=mode or guess[1])

    def key_of_chords(self) -> tuple[int, Mode]:
        """Tonic and mode that the chords suggest: their tones by length, the first and last roots doubled."""
        weights = np.zeros(12)
        chords = [
            (chord, length) for bar in self.bars for chord, length in zip(bar.chords, self._spans(bar), strict=True)
        ]
        for index, (chord, length) in enumerate(chords):
            for tone in chord.pitch_classes:
                weights[tone] += length
            if chord.root is not None:
                weights[chord.root] += length * (2 if index in (0, len(chords) - 1) else 0.5)
        tonic, mode, _ = key_from_weights(weights)
        return max(int(tonic), 0), "minor" if str(mode) == "minor" else "major"

    def key_margin(self) -> float:
        """How much more surely the plan's own key is heard than any other, difference of correlations: negative where
        another is heard."""
        weights = np.zeros(12)
        for bar in self.bars:
            for chord, length in zip(bar.chords, self._spans(bar), strict=True):
                for tone in chord.pitch_classes:
                    weights[tone] += length
            for note in bar.melody:
                weights[note.pitch % 12] += 2 * note.length
        strengths = key_from_weights(weights)[2]
        own = self.tonic + 12 * (self.mode == "minor")
        return float(strengths[own] - np.delete(strengths, own).max())

    def _spans(self, bar: Bar) -> list[int]:
        edges = [chord.position for chord in bar.chords] + [self.bar_length]
        return [b - a for a, b in pairwise(edges)]

    def chord_changes(self) -> list[tuple[float, str]]:
        """(beat, symbol) of each change of chord, beats in quarter notes from the start."""
        size, fifths = self.bar_length, key_signature(self.tonic, self.mode)
        found: list[tuple[float, str]] = []
        for number, bar in enumerate(self.bars):
            for chord in bar.chords:
                symbol = chord.spelled(fifths)
                if not found or found[-1][1] != symbol:
                    found.append(((number * size + chord.position) / 4, symbol))
        return found

    def __str__(self) -> str:
        """Chord symbols by bar, spelled by the key: ``Am | F | C G | Am``; :meth:`parse` reads them back."""
        return write_chords(
            [bar.chords for bar in self.bars], self.bar_length, beat_length(self.time_signature),
            sections=self.sections, fifths=key_signature(self.tonic, self.mode),
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Plain lists, numbers and strings; :meth:`from_json` reads them back."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | str) -> Plan:
        """The reverse of :meth:`to_json`, from the value or its text.

        Raises
        ------
        InputError
            A field is missing or of another kind.
        """
        try:
            row = json.loads(value) if isinstance(value, str) else value
            bars = tuple(
                Bar(
                    tuple(Chord(**chord) for chord in bar.get("chords", ())),
                    tuple(Note(**note) for note in bar.get("melody", ())),
                    **{name: bar[name] for name in ("melody_lag", "melody_exact", "chords_lag") if name in bar},
                )
                for bar in row["bars"]
            )
            numerator, denominator = row.get("time_signature", (4, 4))
            sections = tuple((str(label), int(n)) for label, n in row.get("sections", ()))
            places = [part for bar in bars for part in (*bar.chords, *bar.melody, bar)]
            for number in (getattr(part, name) for part in places for name in _WHOLE if hasattr(part, name)):
                if number is not None and not is_whole(number):
                    raise TypeError(f"{number!r} is no whole number")
            tempo = row.get("tempo_bpm")
            return cls(
                bars, (int(numerator), int(denominator)), row.get("tonic", 0), row.get("mode", "major"), sections,
                None if tempo is None else float(tempo),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"this is no plan in JSON ({type(error).__name__}: {error})") from error


_WHOLE: Final = ("position", "pitch", "length", "root", "bass", "melody_lag", "chords_lag")
"""Fields of chords, notes and bars that are whole numbers."""


def beat_length(time_signature: tuple[int, int]) -> int:
    """Sixteenths that musicians count as one: a dotted quarter in 3/8, 6/8, 9/8 and 12/8, else a quarter."""
    numerator, denominator = time_signature
    return 6 if denominator == 8 and numerator % 3 == 0 else 4


def bar_length(time_signature: tuple[int, int]) -> int:
    """Sixteenths in a bar of a meter; 0 where the meter does not come out in sixteenths."""
    numerator, denominator = time_signature
    return numerator * 16 // denominator if denominator > 0 and numerator * 16 % denominator == 0 else 0


# ------------------------------------------------------------------------------------------------------------ tokens


@dataclass(frozen=True)
class Vocabulary:
    """Blocks of tokens, one after another; a token is ``Block_value`` and its id the place in the whole.

    Parameters
    ----------
    blocks
        (name, values) in the order of their ids.
    """

    blocks: tuple[tuple[str, tuple[str, ...]], ...]
    first: dict[str, int] = field(init=False, repr=False, compare=False)
    """Name of a block -> its first id."""

    def __post_init__(self) -> None:
        first, offset = {}, 0
        for name, values in self.blocks:
            first[name], offset = offset, offset + len(values)
        object.__setattr__(self, "first", first)

    def __len__(self) -> int:
        return sum(len(values) for _, values in self.blocks)

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """Spelling by id."""
        return tuple(f"{name}_{value}" for name, values in self.blocks for value in values)

    @cached_property
    def ids(self) -> dict[str, int]:
        """Id by spelling."""
        return {token: i for i, token in enumerate(self.tokens)}

    @cached_property
    def size(self) -> dict[str, int]:
        """Name of a block -> number of its values."""
        return {name: len(values) for name, values in self.blocks}

    def span(self, name: str) -> tuple[int, int]:
        """First id and one past the last id of a block."""
        return self.first[name], self.first[name] + self.size[name]

    @cached_property
    def block_of(self) -> NDArray[np.int16]:
        """Index of each id's block, int16 [V]."""
        return np.repeat(np.arange(len(self.blocks), dtype=np.int16), [len(values) for _, values in self.blocks])

    def check(self, blocks: object, source: object) -> None:
        """Refuse a checkpoint whose ids mean something else.

        Raises
        ------
        InputError
            `blocks` (as stored in ``vocabulary.json``) differ from these.
        """
        mine = {name: list(values) for name, values in self.blocks}
        if blocks != mine or list(blocks) != list(mine):
            raise InputError(
                f"{source} was trained with another vocabulary; train it anew or use the Muse that made it"
            )

    def spell(self, ids: Iterable[int]) -> list[str]:
        """Token strings of ids, for people."""
        return [self.tokens[int(i)] for i in ids]


def control_block(name: str) -> str:
    """Block of a control: ``chord_changes`` -> ``ChordChanges``."""
    return "".join(word.capitalize() for word in name.split("_"))


def _numbers(values: Iterable[int]) -> tuple[str, ...]:
    return tuple(str(value) for value in values)


PLAN_BLOCKS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("Special", ("pad", "bos", "eos", "null")),
    ("Start", ("song", "within")),
    ("Order", ("chords", "melody")),
    ("Genre", GENRES),
    ("Mode", ("major", "minor")),
    ("Meter", METERS),
    *((control_block(name), _numbers(range(N_BUCKETS))) for name in PLAN_CONTROLS),
    ("Bar", _numbers(range(BARS_LEFT + 1))),
    ("New", ("bar",)),
    ("Like", _numbers(LAGS)),
    ("Same", _numbers(LAGS)),
    ("Chords", _numbers((0, *LAGS))),
    ("ChordAt", _numbers(range(MAX_BAR // 2))),
    ("Chord", ("none", *(f"{root}:{quality or 'maj'}" for root in range(12) for quality in QUALITIES))),
    ("Bass", _numbers(range(12))),
    ("At", _numbers(range(MAX_BAR))),
    ("Pitch", _numbers(PITCHES)),
    ("Length", _numbers(LENGTHS)),
)
"""Blocks of the planner's vocabulary."""

VOCABULARY: Final = Vocabulary(PLAN_BLOCKS)
PAD, BOS, EOS, NULL = (VOCABULARY.ids[f"Special_{name}"] for name in ("pad", "bos", "eos", "null"))
_FIRST = VOCABULARY.first
_QUALITY_INDEX = {quality: i for i, quality in enumerate(QUALITIES)}
_QUALITY_NAMES = tuple(QUALITIES)
_NEAREST_LENGTH = np.array([int(np.argmin([abs(n - m) for m in LENGTHS])) for n in range(LENGTHS[-1] + 1)])
_LAG_INDEX = {lag: i for i, lag in enumerate(LAGS)}


@dataclass(frozen=True)
class Prefix:
    """What is said before the first bar. None leaves a thing open."""

    time_signature: tuple[int, int] = (4, 4)
    mode: Mode | None = None
    genre: str | None = None
    from_start: bool = True
    """The first bar is the first of the song."""
    melody_first: bool = False
    """Each bar's tune stands before its chords: to find chords for a given tune."""
    controls: Mapping[str, int] = field(default_factory=dict)
    """Control of :data:`PLAN_CONTROLS` -> bucket."""


def meter_token(time_signature: tuple[int, int]) -> str:
    """Spelling of a meter; one of halves or sixteenths as the nearest of quarters or eighths that is as long.

    Raises
    ------
    InputError
        No bar of that length has a token.
    """
    numerator, denominator = time_signature
    for d in (denominator, 4, 8):
        if numerator * d % denominator == 0 and f"{numerator * d // denominator}/{d}" in METERS:
            return f"Meter_{numerator * d // denominator}/{d}"
    raise InputError(f"time signature {numerator}/{denominator} cannot be planned; the meters are {', '.join(METERS)}")


def fold_shift(semitones: int) -> int:
    """The same transposition within -5..6."""
    return (semitones + 5) % 12 - 5


def encode_prefix(prefix: Prefix) -> list[int]:
    """Ids before the first bar, always equally many."""
    ids = VOCABULARY.ids
    return [
        BOS,
        ids["Start_song" if prefix.from_start else "Start_within"],
        ids["Order_melody" if prefix.melody_first else "Order_chords"],
        NULL if not prefix.genre else ids[f"Genre_{prefix.genre}"],
        NULL if prefix.mode is None else ids[f"Mode_{prefix.mode}"],
        ids[meter_token(prefix.time_signature)],
        *(
            _FIRST[control_block(name)] + prefix.controls[name] if name in prefix.controls else NULL
            for name in PLAN_CONTROLS
        ),
    ]


def encode_chord(chord: Chord) -> list[int]:
    """``ChordAt``, ``Chord`` and, where it is not the root, ``Bass``."""
    if chord.root is None:
        return [_FIRST["ChordAt"] + chord.position // 2, _FIRST["Chord"]]
    index = 1 + chord.root * len(QUALITIES) + _QUALITY_INDEX[chord.quality]
    out = [_FIRST["ChordAt"] + chord.position // 2, _FIRST["Chord"] + index]
    return out if chord.bass is None else [*out, _FIRST["Bass"] + chord.bass]


def encode_note(note: Note) -> list[int]:
    """``At``, ``Pitch``, ``Length``."""
    pitch = note.pitch
    while pitch < PITCHES.start:
        pitch += 12
    while pitch >= PITCHES.stop:
        pitch -= 12
    length = int(_NEAREST_LENGTH[min(note.length, LENGTHS[-1])])
    return [_FIRST["At"] + note.position, _FIRST["Pitch"] + pitch - PITCHES.start, _FIRST["Length"] + length]


def encode_lags(bar: Bar) -> list[int]:
    """How the bar follows earlier ones: two ids. A lag without a token is left out."""
    tune = _FIRST["New"]
    if bar.melody_lag in _LAG_INDEX:
        tune = _FIRST["Same" if bar.melody_exact else "Like"] + _LAG_INDEX[bar.melody_lag]
    return [tune, _FIRST["Chords"] + (1 + _LAG_INDEX[bar.chords_lag] if bar.chords_lag in _LAG_INDEX else 0)]


def encode_bar(bar: Bar, bars_left: int, *, lags: bool = True, melody_first: bool = False) -> list[int]:
    """Ids of one bar, already relative to the tonic C.

    Parameters
    ----------
    bar
        The bar.
    bars_left
        Bars of the song after it.
    lags
        Say how it follows earlier bars, as the planner does.
    melody_first
        The tune before the chords.
    """
    out = [_FIRST["Bar"] + min(bars_left, BARS_LEFT)]
    if lags:
        out += encode_lags(bar)
    chords = [i for chord in bar.chords for i in encode_chord(chord)]
    tune = [i for note in bar.melody for i in encode_note(note)]
    return out + (tune + chords if melody_first else chords + tune)


def encode(plan: Plan, prefix: Prefix) -> list[int]:
    """Ids of a whole plan, moved to tonic C."""
    moved = plan.transposed(fold_shift(-plan.tonic))
    n = len(moved.bars)
    bars = (encode_bar(bar, n - 1 - i, melody_first=prefix.melody_first) for i, bar in enumerate(moved.bars))
    return [*encode_prefix(prefix), *(i for bar in bars for i in bar), EOS]


def decode(ids: Sequence[int] | NDArray[Any], time_signature: tuple[int, int], tonic: int, mode: Mode) -> Plan:
    """The plan that ids spell, moved from C to `tonic`; what stands before the first bar is passed over."""
    bars: list[Bar] = []
    chords: list[Chord] = []
    notes: list[Note] = []
    lags: tuple[int, bool, int] = (0, False, 0)
    place = pitch = -1

    def close() -> None:
        bars.append(Bar(tuple(chords), tuple(notes), *lags))
        chords.clear()
        notes.clear()

    names = [name for name, _ in VOCABULARY.blocks]
    is_open = False
    for token in map(int, ids):
        if token >= len(VOCABULARY):
            continue
        name = names[VOCABULARY.block_of[token]]
        value = token - _FIRST[name]
        if name == "Bar":
            if is_open:
                close()
            is_open, lags = True, (0, False, 0)
        elif name in ("Like", "Same"):
            lags = (LAGS[value], name == "Same", 0)
        elif name == "Chords":
            lags = (*lags[:2], (0, *LAGS)[value])
        elif name == "ChordAt":
            place = 2 * value
        elif name == "Chord":
            root, quality = divmod(value - 1, len(QUALITIES))
            chords.append(Chord(place, None) if value == 0 else Chord(place, root, _QUALITY_NAMES[quality]))
        elif name == "Bass":
            chords[-1] = replace(chords[-1], bass=value)
        elif name == "At":
            place = value
        elif name == "Pitch":
            pitch = PITCHES.start + value
        elif name == "Length":
            notes.append(Note(place, pitch, LENGTHS[value]))
    if is_open:
        close()
    return Plan(tuple(bars), time_signature, 0, mode).transposed(-fold_shift(-tonic))
