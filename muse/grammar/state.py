"""What rules look at: what a piece must keep to, the same as ids and tables, and what a row has written so far.

Contents: :class:`Constraints`, :class:`Frame`, :class:`Row`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from muse.errors import InputError
from muse.score import DRUMS
from muse.tokens.vocabulary import SECTION_BARS, STEPS_PER_BEAT, Vocabulary

__all__ = ["Constraints", "Frame", "Mask", "Row"]

Mask = NDArray[np.bool_]

NEVER = -(10**6)
"""Step of what has not happened yet."""


@dataclass(frozen=True)
class Constraints:
    """What a piece keeps to."""

    n_bars: int
    """Bars to write, at least 1."""
    time_signature: tuple[int, int]
    """Meter of the whole piece; must be in the vocabulary."""
    tempo_bpm: float
    """Quarter notes per minute; rounded to the nearest Tempo token."""
    programs: Sequence[int]
    """General MIDI programs that may sound, 128 = drums."""
    section_ids: Sequence[Sequence[int]]
    """The control block that opens each section, ``ceil(n_bars / 4)`` lists of ids of one length."""
    sustained_end: bool = False
    """The last bar begins its notes in its first half, so that an ending can ring."""


class Frame:
    """Constraints as ids and tables; never changes.

    Raises
    ------
    InputError
        The meter is not in the vocabulary, or sections do not match the bars.
    """

    def __init__(self, vocabulary: Vocabulary, constraints: Constraints) -> None:
        v, asked = vocabulary, constraints
        meter = "TimeSig_{}/{}".format(*asked.time_signature)
        if meter not in v.ids:
            raise InputError("time signature {}/{} is not in the vocabulary".format(*asked.time_signature))
        n_sections = -(-asked.n_bars // SECTION_BARS)
        if asked.n_bars < 1 or len(asked.section_ids) != n_sections:
            raise InputError(f"{asked.n_bars} bars need {n_sections} sections, not {len(asked.section_ids)}")
        self.vocabulary = v
        self.n_bars = asked.n_bars
        # One step is a twelfth of the notated beat, so a bar has 12 x numerator steps in any meter.
        self.bar_steps = STEPS_PER_BEAT * asked.time_signature[0]
        self.last_onset = self.bar_steps // 2 if asked.sustained_end else self.bar_steps - 1
        """Last position of the last bar where a note may begin."""
        self.section_ids = [[int(i) for i in block] for block in asked.section_ids]
        self.meter = v[meter]
        self.tempo = v.tempo[0] + int(np.abs(np.log(v.tempo_values) - np.log(asked.tempo_bpm)).argmin())
        self.programs = sorted(set(asked.programs))
        """Ascending; a program's place in the list is its *rank*."""
        self.program_ids = np.array([v.program_id(p) for p in self.programs], np.int64)
        self.ranks = np.arange(len(self.programs))
        self.drums_rank = self.programs.index(DRUMS) if DRUMS in self.programs else -1
        first, stop = v.pitch
        self.pitch_ids = np.arange(first, stop)
        self.positions = np.arange(v.position[1] - v.position[0])

    def row(self) -> Row:
        """A row that has written nothing, right after the header of the prefix."""
        shape = max(len(self.programs), 1), len(self.pitch_ids)
        return Row([*self.section_ids[0], self.vocabulary.bar], np.full(shape, NEVER, np.int64))


@dataclass
class Row:
    """What one row has written so far."""

    forced: list[int]
    """Ids that come next, whatever they are."""
    struck: NDArray[np.int64] = field(repr=False)
    """Step of the last onset, int64 [programs, pitches]."""
    bar: int = -1
    position: int = 0
    program: int = -1
    """Rank of the program in force, -1 before the first."""
    chord_rank: int = -1
    """Rank of the program of the last note at this position, -1 when there is none."""
    pitch: int = -1
    """Id of the last pitch at this position and program."""
    last: str = "Start"
    """Type of the last token."""
    notes_in_bar: int = 0
    silent_bars: int = 0
    done: bool = False

    @property
    def at_position(self) -> bool:
        """Whether a position of the bar is open, so that notes may follow."""
        return self.last != "TimeSig"

    def now(self, frame: Frame) -> int:
        """Steps since the beginning."""
        return self.bar * frame.bar_steps + self.position
