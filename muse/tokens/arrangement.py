"""Arrangements as token ids: a bar's plan, then what each instrument plays to it.

The layout is that of REMI-z (Xu et al. 2024, arXiv 2408.15176): bar by bar, and within a bar instrument by instrument.

Spelling: ``Bos``, what the piece is, its parts; then for each bar, every :data:`SECTION_BARS` bars after five section
controls: the bar of the plan without its lags (see :mod:`muse.tokens.plan`), how loud the tune is (``Lead``), whether
the accompaniment takes up an earlier bar (``AccNew``, ``AccRhythm_lag``, ``AccSame_lag``), and for each part in order
``Part``, how loud it is in this bar (``Velocity``, absent where it rests), then for each onset ``Pos``, then ``Tone``
and ``Span`` (or ``Drum``) of each note from low to high, and ``PartEnd``. What is louder or softer within a bar is the
performer's.

Conventions
-----------
* Positions and spans are twelfths of a quarter note; positions lie on sixteenths and triplets.
* A *part* is what an instrument does in an ensemble, see :data:`PARTS`; several instruments may have the same.
* Velocities have 16 steps of 8; ``Velocity_null`` stands where the source has no dynamics and is never drawn.
* Pitches are relative to the tonic C, as in the plan.

Contents: :data:`PARTS`, :func:`part_of`, :data:`SECTION_CONTROLS`, :data:`VOCABULARY`, :class:`PartNote`,
:class:`Header`, :func:`encode_header`, :func:`encode_controls`, :func:`encode_part`, :func:`decode_part`,
:func:`measure_bars`, :func:`follow_bars`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from muse.theory import Mode
from muse.tokens.plan import BOS, LAGS, MAX_BAR, N_BUCKETS, NULL, PLAN_BLOCKS, Vocabulary, control_block, meter_token

__all__ = [
    "PARTS",
    "SECTION_BARS",
    "SECTION_CONTROLS",
    "VOCABULARY",
    "Header",
    "PartNote",
    "decode_part",
    "encode_controls",
    "encode_follow",
    "encode_header",
    "encode_lead",
    "encode_part",
    "follow_bars",
    "measure_bars",
    "part_of",
]

PARTS: Final = ("keys", "plucked", "ensemble", "high", "middle", "low", "bass", "drums")
"""What an instrument does: plays chords and lines on keys, plucks, sounds in chords, or is one voice of a register."""

_PART_OF_PROGRAMS: Final = (
    (0, 24, "keys"), (24, 32, "plucked"), (32, 40, "bass"), (40, 41, "high"), (41, 42, "middle"), (42, 43, "low"),
    (43, 44, "bass"), (44, 46, "ensemble"), (46, 47, "plucked"), (47, 48, "bass"), (48, 56, "ensemble"),
    (56, 57, "high"), (57, 58, "low"), (58, 59, "bass"), (59, 60, "high"), (60, 61, "middle"), (61, 64, "ensemble"),
    (64, 65, "high"), (65, 66, "middle"), (66, 68, "low"), (68, 69, "high"), (69, 70, "middle"), (70, 71, "low"),
    (71, 72, "middle"), (72, 80, "high"), (80, 88, "high"), (88, 104, "ensemble"), (104, 109, "plucked"),
    (109, 112, "high"), (112, 128, "drums"), (128, 129, "drums"),
)  # fmt: skip
"""First program, one past the last, and what these do."""

PART_ORDER: Final = ("drums", "bass", "low", "middle", "high", "ensemble", "plucked", "keys")
"""The order in which parts are written: foundations first."""

SECTION_BARS: Final = 4
SECTION_CONTROLS: Final = ("density", "register", "thickness", "articulation", "loudness")
"""What the accompaniment of four bars can be asked for; see :func:`measure_bars`."""

TEMPO_EDGES: Final = (60, 70, 80, 90, 100, 112, 126, 144, 170)
"""Quarter notes a minute between the tempo tokens."""

TONES: Final = range(21, 109)
DRUM_KEYS: Final = range(27, 88)
SPANS: Final = (1, 2, 3, 4, 6, 8, 9, 12, 15, 18, 21, 24, 30, 36, 42, 48, 60, 72, 96)
"""Lengths of notes in tokens, in twelfths of a quarter."""
VELOCITY_STEP: Final = 8
N_VELOCITIES: Final = 128 // VELOCITY_STEP
MAX_POSITION: Final = MAX_BAR * 3


def _numbers(values: Any) -> tuple[str, ...]:
    return tuple(str(value) for value in values)


VOCABULARY: Final = Vocabulary(
    (
        *PLAN_BLOCKS,
        ("Tempo", _numbers(range(len(TEMPO_EDGES) + 1))),
        *((control_block(name), _numbers(range(N_BUCKETS))) for name in SECTION_CONTROLS),
        ("Lead", ("none", *_numbers(range(N_VELOCITIES)))),
        ("AccNew", ("bar",)),
        ("AccRhythm", _numbers(LAGS)),
        ("AccSame", _numbers(LAGS)),
        ("Part", PARTS),
        ("PartEnd", ("bar",)),
        ("Pos", _numbers(range(MAX_POSITION))),
        ("Velocity", (*_numbers(range(N_VELOCITIES)), "null")),
        ("Tone", _numbers(TONES)),
        ("Span", _numbers(SPANS)),
        ("Drum", _numbers(DRUM_KEYS)),
    )
)
"""The planner's vocabulary, then the blocks of arrangements."""

_FIRST = VOCABULARY.first
_NEAREST_SPAN = np.array([int(np.argmin([abs(n - m) for m in SPANS])) for n in range(SPANS[-1] + 1)])
_LAG_INDEX = {lag: i for i, lag in enumerate(LAGS)}
VELOCITY_NULL: Final = _FIRST["Velocity"] + N_VELOCITIES
PART_END: Final = _FIRST["PartEnd"]

SAME = 0.85
"""F1 of (part, position, pitch) from which a bar's accompaniment counts as another's."""
SAME_RHYTHM = 0.8
"""F1 of (part, position) from which its rhythm does."""


@dataclass(frozen=True, slots=True)
class PartNote:
    """A note of a part within a bar."""

    position: int
    """Twelfths of a quarter from the start of the bar."""
    pitch: int
    """MIDI pitch, or General MIDI percussion key."""
    span: int
    """Twelfths of a quarter."""
    velocity: int
    """1..127."""


def part_of(program: int) -> str:
    """The part that a General MIDI program (128 = drums) plays in an ensemble."""
    return next(part for first, stop, part in _PART_OF_PROGRAMS if first <= program < stop)


@dataclass(frozen=True)
class Header:
    """What is said before the first bar. None leaves a thing open."""

    parts: tuple[str, ...]
    """Of :data:`PARTS`, in the order in which they are written."""
    time_signature: tuple[int, int] = (4, 4)
    mode: Mode | None = None
    genre: str | None = None
    tempo_bpm: float | None = None
    from_start: bool = True


def encode_header(header: Header) -> list[int]:
    """Ids before the first bar."""
    ids = VOCABULARY.ids
    tempo = header.tempo_bpm
    return [
        BOS,
        ids["Start_song" if header.from_start else "Start_within"],
        NULL if not header.genre else ids[f"Genre_{header.genre}"],
        NULL if header.mode is None else ids[f"Mode_{header.mode}"],
        ids[meter_token(header.time_signature)],
        NULL if tempo is None else _FIRST["Tempo"] + int(np.searchsorted(TEMPO_EDGES, tempo, side="right")),
        *(ids[f"Part_{part}"] for part in header.parts),
    ]


def encode_controls(buckets: Mapping[str, int]) -> list[int]:
    """Ids of the section controls; open ones are null."""
    return [_FIRST[control_block(name)] + buckets[name] if name in buckets else NULL for name in SECTION_CONTROLS]


def encode_lead(velocity: int, played: bool) -> int:
    """How loud the tune is in a bar: mean velocity, 0 where it rests; null where the source has no dynamics."""
    if velocity <= 0:
        return _FIRST["Lead"]
    return _FIRST["Lead"] + 1 + velocity // VELOCITY_STEP if played else NULL


def encode_follow(lag: int, exact: bool) -> int:
    """How the accompaniment of a bar follows an earlier one."""
    if lag not in _LAG_INDEX:
        return _FIRST["AccNew"]
    return _FIRST["AccSame" if exact else "AccRhythm"] + _LAG_INDEX[lag]


def encode_part(part: str, notes: Sequence[PartNote], *, played: bool = True) -> list[int]:
    """Ids of one part in one bar, with ``Part`` before and ``PartEnd`` behind; one velocity, the mean."""
    out = [_FIRST["Part"] + PARTS.index(part)]
    onsets: dict[int, list[PartNote]] = {}
    for note in notes:
        onsets.setdefault(note.position, []).append(note)
    keys = DRUM_KEYS if part == "drums" else TONES
    for position in sorted(onsets):
        chord = {note.pitch: note for note in onsets[position] if note.pitch in keys}
        if not chord or position >= MAX_POSITION:
            continue
        if len(out) == 1:
            velocity = int(np.mean([note.velocity for note in notes]))
            out.append(_FIRST["Velocity"] + velocity // VELOCITY_STEP if played else VELOCITY_NULL)
        out.append(_FIRST["Pos"] + position)
        for pitch in sorted(chord):
            if part == "drums":
                out.append(_FIRST["Drum"] + pitch - keys.start)
            else:
                span = int(_NEAREST_SPAN[min(chord[pitch].span, SPANS[-1])])
                out += [_FIRST["Tone"] + pitch - keys.start, _FIRST["Span"] + span]
    return [*out, PART_END]


def decode_part(ids: Sequence[int] | NDArray[Any]) -> list[PartNote]:
    """The notes that ids of one part in one bar spell; a velocity is the middle of its step."""
    notes: list[PartNote] = []
    position = velocity = pitch = 0
    names = [name for name, _ in VOCABULARY.blocks]
    for token in map(int, ids):
        name = names[VOCABULARY.block_of[token]]
        value = token - _FIRST[name]
        if name == "Pos":
            position = value
        elif name == "Velocity":
            velocity = value * VELOCITY_STEP + VELOCITY_STEP // 2
        elif name == "Tone":
            pitch = TONES.start + value
        elif name == "Span":
            notes.append(PartNote(position, pitch, SPANS[value], velocity))
        elif name == "Drum":
            notes.append(PartNote(position, DRUM_KEYS.start + value, 3, velocity))
    return notes


def measure_bars(notes: NDArray[Any], n_quarters: float) -> dict[str, float]:
    """What the accompaniment of some bars is like; NaN where it cannot be said.

    ================= ===================================================================
    ``density``       onsets a quarter note, all parts together
    ``register``      mean pitch, relative to the tonic C
    ``thickness``     notes an onset
    ``articulation``  mean length of notes in quarters
    ``loudness``      mean velocity
    ================= ===================================================================

    Parameters
    ----------
    notes
        [n, 5]: onset in twelfths of a quarter, span, pitch, velocity, 1 for drums.
    n_quarters
        Length of the bars.
    """
    out = dict.fromkeys(SECTION_CONTROLS, math.nan)
    if not len(notes):
        return out | {"density": 0.0}
    onset, span, pitch, velocity, drum = notes.T
    onsets = len(np.unique(onset))
    out["density"] = onsets / n_quarters
    out["loudness"] = float(velocity.mean())
    if (drum == 0).any():
        out["register"] = float(pitch[drum == 0].mean())
        out["thickness"] = float((drum == 0).sum() / len(np.unique(onset[drum == 0])))
        out["articulation"] = float(span[drum == 0].mean()) / 12
    return out


def follow_bars(bars: Sequence[Sequence[tuple[int, int, int]]]) -> list[tuple[int, bool]]:
    """Which earlier bar each bar's accompaniment takes up: (lag, whether its pitches too); (0, False) for none.

    Parameters
    ----------
    bars
        For each bar its notes as (part, position, pitch).
    """
    full = [frozenset(bar) for bar in bars]
    rhythm = [frozenset((part, position) for part, position, _ in bar) for bar in bars]

    def f1(a: frozenset[Any], b: frozenset[Any]) -> float:
        return 2 * len(a & b) / (len(a) + len(b)) if a and b else 0.0

    out = []
    for i in range(len(bars)):
        lags = [lag for lag in LAGS if lag <= i]
        same = next((lag for lag in lags if f1(full[i], full[i - lag]) >= SAME), 0)
        alike = 0 if same else next((lag for lag in lags if f1(rhythm[i], rhythm[i - lag]) >= SAME_RHYTHM), 0)
        out.append((same or alike, bool(same)))
    return out
