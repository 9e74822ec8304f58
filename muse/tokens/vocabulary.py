"""The vocabulary of the codec: the REMI tokens of MidiTok, after the padding that it asks for.

Conventions
-----------
A token is a string ``Type_value``; its id is its place in :attr:`Vocabulary.tokens`, and fits in ``uint16``. Every type
is one block of ids; the block of ``Bar`` comes first after the padding.

Time is counted in twelfths of a quarter note (of an eighth in x/8 meters): sixteenths and triplets are exact.
Drums are program 128 in Muse and ``Program_-1`` in MidiTok.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from muse.score import DRUMS, METERS

__all__ = ["GENRES", "PAD", "REMI_RANGES", "STEPS_PER_BEAT", "Vocabulary"]

STEPS_PER_BEAT = 12  # the least number that holds sixteenths (4) and triplets (3)

GENRES = (
    "pop", "classical", "folk", "game", "rock", "jazz", "hymn", "funk", "latin", "stage",
    "newage", "hiphop", "march", "dance", "blues", "country", "electronic", "reggae", "other",
)  # fmt: skip
PAD = "PAD_None"
"""What stands before all blocks."""

REMI_RANGES: dict[str, Any] = {
    "pitch_range": (21, 109),  # the piano's keys
    "drums_pitch_range": (27, 88),
    # Fine steps for short notes, coarser ones for long notes, where nobody hears a twelfth of a beat.
    "beat_res": {(0, 2): STEPS_PER_BEAT, (2, 4): 6, (4, 8): 4, (8, 16): 2},
    "num_velocities": 24,
    "num_tempos": 33,  # 5.8 % apart: below what listeners tell apart in a new piece
    "tempo_range": (40, 240),
    "time_signature_range": {unit: [beats for beats, other in METERS if other == unit] for unit in (4, 8)},
}
"""What the REMI block can say, under the names that MidiTok's ``TokenizerConfig`` has for it."""


def _remi_tokens() -> list[str]:
    """The REMI block in MidiTok's order. Spelled here because importing MidiTok imports PyTorch, a matter of seconds;
    a test compares the two."""
    (low, high), (low_drum, high_drum) = REMI_RANGES["pitch_range"], REMI_RANGES["drums_pitch_range"]
    numerators: dict[int, list[int]] = REMI_RANGES["time_signature_range"]
    lengths = [
        f"{beat}.{part}.{steps}"
        for (first, stop), steps in REMI_RANGES["beat_res"].items()
        for beat in range(first, stop)
        for part in range(steps)
    ][1:]  # no note is empty
    (_, longest), coarsest = list(REMI_RANGES["beat_res"].items())[-1]
    velocities = np.linspace(0, 127, REMI_RANGES["num_velocities"] + 1)[1:].astype(int)
    slowest, fastest = map(float, REMI_RANGES["tempo_range"])
    return [
        "Bar_None",
        *(f"Pitch_{pitch}" for pitch in range(low, high + 1)),
        *(f"Velocity_{velocity}" for velocity in velocities),
        *(f"Duration_{length}" for length in [*lengths, f"{longest}.0.{coarsest}"]),
        *(f"Position_{step}" for step in range(STEPS_PER_BEAT * max(map(max, numerators.values())))),
        *(f"PitchDrum_{pitch}" for pitch in range(low_drum, high_drum + 1)),
        *(f"Tempo_{tempo}" for tempo in np.geomspace(slowest, fastest, int(REMI_RANGES["num_tempos"])).round(2)),
        *(f"Program_{program}" for program in (*range(128), -1)),
        *(f"TimeSig_{upper}/{lower}" for lower, uppers in numerators.items() for upper in uppers),
    ]


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by id, and their blocks and values as arrays.

    Parameters
    ----------
    tokens
        Token strings in the order of their ids.
    """

    tokens: tuple[str, ...]
    ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", {token: i for i, token in enumerate(self.tokens)})

    @classmethod
    @lru_cache(maxsize=1)
    def default(cls) -> Vocabulary:
        """The vocabulary of this version of Muse."""
        return cls((PAD, *_remi_tokens()))

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, token: str) -> int:
        return self.ids[token]

    def block(self, type_: str) -> tuple[int, int]:
        """First id and one past the last id of a token type; every type is contiguous."""
        first = next(i for i, token in enumerate(self.tokens) if token.startswith(type_ + "_"))
        stop = first
        while stop < len(self.tokens) and self.tokens[stop].rpartition("_")[0] == type_:
            stop += 1
        return first, stop

    @cached_property
    def bar(self) -> int:
        """Id of a bar line; the first of the REMI block."""
        return self["Bar_None"]

    @cached_property
    def pitch(self) -> tuple[int, int]:
        """First id of the block and one past the last."""
        return self.block("Pitch")

    @cached_property
    def drum_pitch(self) -> tuple[int, int]:
        """First id of the block and one past the last."""
        return self.block("PitchDrum")

    @cached_property
    def velocity(self) -> tuple[int, int]:
        """First id of the block and one past the last."""
        return self.block("Velocity")

    @cached_property
    def duration(self) -> tuple[int, int]:
        """First id of the block and one past the last."""
        return self.block("Duration")

    @cached_property
    def position(self) -> tuple[int, int]:
        """First id of the block and one past the last."""
        return self.block("Position")

    @cached_property
    def program(self) -> tuple[int, int]:
        """First id of the block and one past the last."""
        return self.block("Program")

    @cached_property
    def tempo(self) -> tuple[int, int]:
        """First id of the block and one past the last."""
        return self.block("Tempo")

    @cached_property
    def time_signature(self) -> tuple[int, int]:
        """First id of the block and one past the last."""
        return self.block("TimeSig")

    @cached_property
    def pitch_values(self) -> np.ndarray:
        """MIDI pitch per id, int16 [V], -1 where the id is no (pitched) Pitch token."""
        return self._numbers("Pitch")

    @cached_property
    def sounding_pitch(self) -> np.ndarray:
        """MIDI pitch of notes and drums per id, int16 [V], -1 where the id is neither."""
        return np.maximum(self.pitch_values, self._numbers("PitchDrum"))

    @cached_property
    def velocity_values(self) -> np.ndarray:
        """MIDI velocity per id, int16 [V], -1 elsewhere."""
        return self._numbers("Velocity")

    @cached_property
    def tempo_values(self) -> np.ndarray:
        """Quarter notes per minute of each Tempo token, float64 [n_tempos]."""
        first, stop = self.tempo
        return np.array([float(token.partition("_")[2]) for token in self.tokens[first:stop]])

    @cached_property
    def duration_steps(self) -> np.ndarray:
        """Length of each Duration token in twelfths of a beat, int64 [n_durations]."""
        first, stop = self.duration
        return np.array([_steps(token.partition("_")[2]) for token in self.tokens[first:stop]])

    def program_of(self, token_id: int) -> int:
        """General MIDI program (128 = drums) of a Program token."""
        value = int(self.tokens[token_id].partition("_")[2])
        return DRUMS if value < 0 else value

    def meter_of(self, token_id: int) -> tuple[int, int]:
        """Numerator and denominator of a TimeSig token."""
        numerator, _, denominator = self.tokens[token_id].partition("_")[2].partition("/")
        return int(numerator), int(denominator)

    def _numbers(self, type_: str) -> np.ndarray:
        values = np.full(len(self), -1, np.int16)
        first, stop = self.block(type_)
        values[first:stop] = [int(token.partition("_")[2]) for token in self.tokens[first:stop]]
        return values


def _steps(value: str) -> int:
    """``beats.positions.resolution`` of MidiTok in twelfths of a beat."""
    beats, positions, resolution = (int(part) for part in value.split("."))
    return beats * STEPS_PER_BEAT + positions * STEPS_PER_BEAT // resolution
