"""Grammar of bare music, which has no plan before it: what may follow what, as masks over the vocabulary.

The sampler asks for a mask, picks one id per row and tells the grammar; bar lines, section prefixes, tempo and
endings are masks with one entry, so nothing needs a second path through the sampler. This module knows the order of
tokens; what is allowed among tokens of a kind is a conjunction of :mod:`muse.grammar.rules`. What holds by
construction:

* every output decodes, and decoded and encoded again it is the same (positions rise within a bar, programs and
  pitches rise within a position, a program is named only when it changes);
* exactly the bars asked for, in the meter and tempo asked for;
* only the instruments asked for;
* no note beyond the end;
* at most one bar in ten without an onset, never the first or the last;
* no note struck again within a sixth of a beat (no machine-gun repeats; drums excepted).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from muse.grammar.rules import bars, chord, density, instruments, restrike
from muse.grammar.state import Constraints, Frame, Mask, Row
from muse.tokens.vocabulary import SECTION_BARS, Vocabulary

__all__ = ["Grammar"]

Rule = Callable[[Frame, Row], Mask | None]

# What each rule lets pass, of one kind of token.
PITCHES: Sequence[Rule] = (restrike.pitches, chord.pitches)
PROGRAMS: Sequence[Rule] = (instruments.programs,)
DURATIONS: Sequence[Rule] = (bars.durations,)
POSITIONS: Sequence[Rule] = (bars.positions, density.positions)
BAR_END: Sequence[Callable[[Frame, Row], bool]] = (density.bar_end,)


class Grammar:
    """Masks for the rows of one call.

    Parameters
    ----------
    vocabulary
        The vocabulary.
    constraints
        What the piece keeps to.

    Raises
    ------
    InputError
        The meter is not in the vocabulary, or sections do not match the bars.
    """

    def __init__(self, vocabulary: Vocabulary, constraints: Constraints) -> None:
        self._frame = Frame(vocabulary, constraints)
        self._rows: list[Row] = []

    @property
    def max_tokens(self) -> int:
        """No output is longer than this."""
        frame = self._frame
        section = len(frame.section_ids[0]) * len(frame.section_ids)
        return section + frame.n_bars * (4 + frame.bar_steps + 4 * density.MAX_NOTES_PER_BAR) + 1

    @property
    def tempo_bpm(self) -> float:
        """Tempo that the sequence spells."""
        v = self._frame.vocabulary
        return float(v.tempo_values[self._frame.tempo - v.tempo[0]])

    @property
    def share_done(self) -> float:
        """Share of the bars written so far by all rows, 0..1."""
        n_bars = self._frame.n_bars
        written = [n_bars if row.done else max(row.bar, 0) for row in self._rows]
        return sum(written) / (n_bars * len(written)) if written else 0.0

    def begin(self, n_rows: int) -> None:
        """Start `n_rows` rows, each right after the header of the prefix."""
        self._rows = [self._frame.row() for _ in range(n_rows)]

    def finished(self) -> NDArray[np.bool_]:
        """bool [B]: rows that have written their end."""
        return np.array([row.done for row in self._rows])

    def unconditional(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The same ids [B] with every attribute token replaced by ``NULL``, for guidance."""
        v = self._frame.vocabulary
        is_attribute = (ids > v["Tonic_11"]) & (ids < v.n_control)
        return np.where(is_attribute, v.null, ids)

    def mask(self) -> Mask:
        """bool [B, V]: True for what may come next; a finished row may only pad."""
        mask = np.zeros((len(self._rows), len(self._frame.vocabulary)), dtype=bool)
        for row, allowed in zip(self._rows, mask, strict=True):
            _allow(self._frame, row, allowed)
        return mask

    def advance(self, ids: NDArray[np.int64]) -> None:
        """Tell which id each row took, int [B]."""
        for row, token in zip(self._rows, ids.tolist(), strict=True):
            if not row.done:
                _take(self._frame, row, token)


def _joined(frame: Frame, row: Row, rules: Sequence[Rule]) -> Mask | bool:
    """What all rules let pass."""
    allowed: Mask | None = None
    for rule in rules:
        if (mask := rule(frame, row)) is not None:
            allowed = mask if allowed is None else allowed & mask
    return True if allowed is None else allowed


def _allow(frame: Frame, row: Row, mask: Mask) -> None:
    """Set in `mask` [V], all False, what the row may write next."""
    v = frame.vocabulary
    if row.done:
        mask[v.pad] = True
    elif row.forced:
        mask[row.forced[0]] = True
    elif row.last == "Pitch":
        mask[slice(*v.velocity)] = True
    elif row.last == "Velocity":
        mask[slice(*v.duration)] = _joined(frame, row, DURATIONS)
    elif row.last == "Program":
        _allow_pitches(frame, row, mask)
    else:  # after a position, a finished note, the tempo, or the time signature
        if row.at_position and density.has_room(row):
            _allow_notes(frame, row, mask)
        if row.last != "Position":
            mask[slice(*v.position)] = _joined(frame, row, POSITIONS)
            mask[bars.end_token(frame, row)] = all(rule(frame, row) for rule in BAR_END)
        if not mask.any():  # nothing fits here any more: leave the bar, silent or not
            mask[bars.end_token(frame, row)] = True


def _allow_notes(frame: Frame, row: Row, mask: Mask) -> None:
    """Pitches of the program in force, and other programs."""
    if row.program >= 0 and row.chord_rank <= row.program:
        _allow_pitches(frame, row, mask)
    if len(frame.programs) > 1 or row.program < 0:
        mask[frame.program_ids] = _joined(frame, row, PROGRAMS)


def _allow_pitches(frame: Frame, row: Row, mask: Mask) -> None:
    v = frame.vocabulary
    if row.program == frame.drums_rank:
        mask[slice(*v.drum_pitch)] = chord.drum_pitches(frame, row)
    else:
        mask[slice(*v.pitch)] = _joined(frame, row, PITCHES)


def _take(frame: Frame, row: Row, token: int) -> None:
    """Change the row by an id that it took."""
    v = frame.vocabulary
    kind = v.kinds[token]
    if row.forced:
        row.forced.pop(0)
    elif kind == "Section":
        row.forced = [*frame.section_ids[(row.bar + 1) // SECTION_BARS][1:], v.bar]
    if kind == "Bar":
        row.silent_bars += row.bar >= 0 and row.notes_in_bar == 0
        row.bar += 1
        row.position, row.chord_rank, row.pitch, row.notes_in_bar = 0, -1, -1, 0
        row.forced = [frame.meter]
        if row.bar == 0:
            row.forced += [v.position[0], frame.tempo]
    elif kind == "Position":
        row.position, row.chord_rank, row.pitch = token - v.position[0], -1, -1
    elif kind == "Program":
        row.program = int(np.flatnonzero(frame.program_ids == token)[0])
    elif kind in ("Pitch", "PitchDrum"):
        row.pitch, row.chord_rank = token, row.program
        row.notes_in_bar += 1
        if kind == "Pitch":
            row.struck[row.program, token - v.pitch[0]] = row.now(frame)
        kind = "Pitch"
    elif token == v.eos:
        row.done = True
    row.last = kind
