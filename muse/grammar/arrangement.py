"""Grammar of arrangements: what may follow what while an arranger writes the bars of a plan.

By construction: the plan as it is; every instrument has its turn in every bar, may rest now and then but never in two
bars running nor when all others do, stays in its range and strikes no more notes at once than it can; tones belong to
the key or to the chord; where asked for, nothing lies above the tune; bars that return are copied; the last bar is the
tonic, thin, low and on its root.

Contents: :class:`PartRules`, :class:`ArrangementRules`, :class:`ArrangementRow`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from muse.grammar.rows import Row
from muse.theory import Mode
from muse.tokens.arrangement import (
    DRUM_KEYS,
    MAX_POSITION,
    N_VELOCITIES,
    PART_END,
    PARTS,
    SECTION_BARS,
    TONES,
    VELOCITY_STEP,
    VOCABULARY,
    PartNote,
    decode_part,
    encode_controls,
    encode_follow,
)
from muse.tokens.plan import BARS_LEFT, LAGS, Bar, encode_bar

__all__ = ["ArrangementRow", "ArrangementRules", "PartRules"]

_FIRST: Final = VOCABULARY.first
_SIZE: Final = VOCABULARY.size
_NAMES: Final = tuple(name for name, _ in VOCABULARY.blocks)
_SCALES: Final[dict[Mode, tuple[int, ...]]] = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10, 11)}
_FINAL_THICKNESS = 4  # notes of a part in the last chord; people's upper quartile
_PITCH: Final = np.array(TONES)
_PITCH_CLASS: Final = _PITCH % 12
_ON_GRID: Final = (np.arange(MAX_POSITION) % 3 == 0) | (np.arange(MAX_POSITION) % 4 == 0)
"""Positions at which a note may begin: sixteenths and triplets."""
_QUIETEST = 2  # velocity step 16..23; softer notes are not heard


@dataclass(frozen=True)
class PartRules:
    """What an instrument can and must do. Pitches are relative to the tonic C, as tokens are."""

    part: str
    """Of :data:`muse.tokens.arrangement.PARTS`."""
    lowest: int = TONES.start
    highest: int = TONES.stop - 1
    notes_at_once: int = 10
    max_rests: int = 0
    """Bars in which it may be silent; never two running, nor the first or the last, nor where all others are."""


@dataclass(frozen=True)
class ArrangementRules:
    """What holds for an arrangement."""

    bars: Sequence[Bar]
    """The plan's, relative to the tonic C."""
    bar_length: int
    """Sixteenths."""
    parts: tuple[PartRules, ...]
    mode: Mode = "major"
    controls: Sequence[Mapping[str, int]] = ()
    """Buckets of each section of four bars; none where the sequence ends."""
    copied: Mapping[int, int] = field(default_factory=dict)
    """Bar -> lag of the bar whose accompaniment it takes."""
    below_melody: bool = True
    has_end: bool = True
    notes_at_once: Sequence[int] = ()
    """Most notes that a part strikes together, for each section of four bars, drums apart; empty: as many as it can."""


class ArrangementRow(Row):
    """One arrangement as it is written.

    Attributes
    ----------
    notes
        For each bar, for each part, its notes relative to the tonic C.
    lead
        For each bar the velocity of its tune, 0 where it rests.
    """

    def __init__(self, rules: ArrangementRules) -> None:
        super().__init__(len(VOCABULARY))
        self.rules = rules
        self.notes: list[list[list[PartNote]]] = []
        self.lead: list[int] = []
        self.rests = [0] * len(rules.parts)
        self._ids: list[list[list[int]]] = []  # of each bar and part, with Part and PartEnd
        self._stage = "lead"
        self._part = -1
        self._position = self._tone = -1
        self._struck = 0
        self._ceiling = _ceilings(rules) if rules.below_melody else None
        self._in_key = [_pitch_classes(bar, rules) for bar in rules.bars]
        self._tones = self._starts = np.empty(0, bool)  # of the part that is being written
        self._open_bar()

    @property
    def bar(self) -> int:
        """Number of the bar that is being written: so many are finished."""
        return len(self.notes) - (not self.done)

    def _open_bar(self) -> None:
        self.notes.append([])
        self._ids.append([])
        self._part, self._stage = -1, "plan"
        bar = self.bar
        if bar % SECTION_BARS == 0:
            section = bar // SECTION_BARS
            self.forced.extend(
                encode_controls(self.rules.controls[section] if section < len(self.rules.controls) else {})
            )
        left = len(self.rules.bars) - 1 - bar if self.rules.has_end else BARS_LEFT
        self.forced.extend(encode_bar(self.rules.bars[bar], left, lags=False))
        if not self.rules.bars[bar].melody:
            self.forced.append(_FIRST["Lead"])
        self._n_given = len(self.forced)

    # -------------------------------------------------------------------------------------------------- what may come

    def allowed(self) -> NDArray[np.bool_]:
        """bool [V]; see the module."""
        mask = self.nothing()
        stage = self._stage
        if stage == "lead":
            mask[_FIRST["Lead"] + 1 + _QUIETEST : _FIRST["Lead"] + 1 + N_VELOCITIES] = True
        elif stage == "follow":
            mask[_FIRST["AccNew"]] = True
            for i, lag in enumerate(LAGS):
                if lag <= self.bar:
                    mask[_FIRST["AccRhythm"] + i] = True
                    mask[_FIRST["AccSame"] + i] = self._can_copy(lag)
        elif stage == "velocity":
            mask[_FIRST["Velocity"] + _QUIETEST : _FIRST["Velocity"] + N_VELOCITIES] = True
            mask[PART_END] = not self._must_play(self._part, self.notes[self.bar])
        elif stage == "tone":
            self._allow_tones(mask)
        elif stage == "span":
            mask[_FIRST["Span"] : _FIRST["Span"] + _SIZE["Span"]] = True
        else:  # between notes of a part
            if stage == "more":
                self._allow_tones(mask)
            self._allow_positions(mask)
            mask[PART_END] = stage == "more"
        if not mask.any():
            mask[PART_END] = True
        return mask

    @property
    def _rules(self) -> PartRules:
        return self.rules.parts[self._part]

    @property
    def _is_last(self) -> bool:
        return self.rules.has_end and self.bar == len(self.rules.bars) - 1

    @property
    def _carries(self) -> bool:
        """The part carries the harmony: it strikes chords, or nothing goes lower. The last chord stands on its root
        there, or it is no end."""
        pitched = [rules for rules in self.rules.parts if rules.part != "drums"]
        is_lowest = self._rules.lowest == min((rules.lowest for rules in pitched), default=0)
        return self._rules.part != "drums" and (self._rules.notes_at_once > 1 or is_lowest)

    def _must_play(self, part: int, before: Sequence[Sequence[PartNote]]) -> bool:
        """The part may not rest in this bar, in which the parts before it play that."""
        if self.bar == 0 or self._is_last or self.rests[part] >= self.rules.parts[part].max_rests:
            return True
        is_silent = not self.rules.bars[self.bar].melody and not any(before)
        if is_silent and part + 1 == len(self.rules.parts):
            return True
        return not self.notes[self.bar - 1][part]

    def _allow_positions(self, mask: NDArray[np.bool_]) -> None:
        stop = 1 if self._is_last and self._rules.part != "drums" else self.rules.bar_length * 3
        stop = min(stop, MAX_POSITION)
        if self._position + 1 < stop:
            mask[_FIRST["Pos"] + self._position + 1 : _FIRST["Pos"] + stop] = self._starts[self._position + 1 : stop]

    def _tones_at(self, position: int) -> NDArray[np.bool_]:
        """Tones (or drums) of the current part that fit at a position, bool over its block; not to be written to."""
        return self._tones[position // 3]

    def _fitting_tones(self) -> NDArray[np.bool_]:
        """Tones (or drums) of the current part that fit at each sixteenth of the bar, bool [bar_length, block]."""
        rules = self._rules
        if rules.part == "drums":
            return np.ones((self.rules.bar_length, len(DRUM_KEYS)), bool)
        fits = self._in_key[self.bar][:, _PITCH_CLASS] & (rules.lowest <= _PITCH) & (rules.highest >= _PITCH)
        if self._ceiling is not None:
            below = fits & (self._ceiling[self.bar][:, None] > _PITCH)
            has_room = below.any(axis=1, keepdims=True)  # one that lies above the tune altogether stays where it can
            fits = np.where(has_room, below, fits)
        return fits

    def _allow_tones(self, mask: NDArray[np.bool_]) -> None:
        rules = self._rules
        limit = rules.notes_at_once
        if self._is_last:
            limit = min(limit, _FINAL_THICKNESS)
        elif self.rules.notes_at_once and rules.part != "drums":
            limit = min(limit, self.rules.notes_at_once[self.bar // SECTION_BARS])
        if self._struck >= limit:
            return
        fits = self._tones_at(self._position).copy()
        keys = DRUM_KEYS if rules.part == "drums" else TONES
        if self._tone >= 0:
            fits[: self._tone - keys.start + 1] = False
        elif self._is_last and self._carries:
            on_root = fits & (np.array(keys) % 12 == _root(self.rules.bars[-1]))
            fits = on_root if on_root.any() else fits
        first = _FIRST["Drum" if rules.part == "drums" else "Tone"]
        mask[first : first + len(fits)] = fits

    def _can_copy(self, lag: int) -> bool:
        """The accompaniment of an earlier bar fits this one: same chords, and nothing above the tune."""
        source = self.bar - lag
        bars = self.rules.bars
        if source < 0 or self._is_last or bars[source].chords != bars[self.bar].chords:
            return False
        parts = self.notes[source]
        if any(not notes and self._must_play(part, parts[:part]) for part, notes in enumerate(parts)):
            return False
        if self._ceiling is None or bars[source].melody == bars[self.bar].melody:
            return True
        ceiling = self._ceiling[self.bar]
        return all(
            note.pitch < ceiling[note.position // 3]
            for rules, part in zip(self.rules.parts, self.notes[source], strict=True)
            if rules.part != "drums"
            for note in part
        )

    # --------------------------------------------------------------------------------------------------- what has come

    def take(self, token: int) -> None:
        """Note an id."""
        if self._n_given:
            self._n_given -= 1
            if self._n_given == 0:
                self._after_plan()
            return
        name = _NAMES[VOCABULARY.block_of[token]]
        value = token - _FIRST[name]
        if name == "Lead":
            self.lead.append((value - 1) * VELOCITY_STEP + VELOCITY_STEP // 2)
            self._ask_follow()
        elif name in ("AccNew", "AccRhythm", "AccSame"):
            self._begin_parts(LAGS[value] if name == "AccSame" else 0)
        else:
            self._ids[self.bar][-1].append(token)
            if name == "Pos":
                self._position, self._tone, self._struck, self._stage = value, -1, 0, "tone"
            elif name == "Velocity":
                self._stage = "part"
            elif name == "Tone":
                self._tone, self._stage = TONES.start + value, "span"
                self._struck += 1
            elif name == "Drum":
                self._tone, self._stage = DRUM_KEYS.start + value, "more"
                self._struck += 1
            elif name == "Span":
                self._stage = "more"
            elif name == "PartEnd":
                self._end_part()

    def _after_plan(self) -> None:
        if self.rules.bars[self.bar].melody:
            self._stage = "lead"
        else:
            self.lead.append(0)
            self._ask_follow()

    def _ask_follow(self) -> None:
        self._stage = "follow"
        lag = self.rules.copied.get(self.bar, 0)
        if lag and self._can_copy(lag):
            self.forced.append(encode_follow(lag, exact=True))

    def _begin_parts(self, copied_lag: int) -> None:
        if copied_lag:
            for row in self._ids[self.bar - copied_lag]:
                self.forced.extend(row)
        self._next_part(copied=bool(copied_lag))

    def _next_part(self, *, copied: bool = False) -> None:
        self._part += 1
        if self._part == len(self.rules.parts):
            if self.bar + 1 == len(self.rules.bars):
                self.done = True
            else:
                self._open_bar()
            return
        self._ids[self.bar].append([])
        self._position, self._tone, self._struck, self._stage = -1, -1, 0, "velocity"
        self._tones = self._fitting_tones()
        self._starts = self._tones.any(axis=1).repeat(3)[:MAX_POSITION] & _ON_GRID[: self.rules.bar_length * 3]
        if not copied and not self.forced:
            self.forced.append(_FIRST["Part"] + PARTS.index(self._rules.part))

    def _end_part(self) -> None:
        notes = decode_part(self._ids[self.bar][-1])
        self.notes[self.bar].append(notes)
        self.rests[self._part] += not notes
        self._next_part()


def _root(bar: Bar) -> int:
    """Pitch class of the root of a bar's first chord; -1 where nothing is said."""
    root = bar.chords[0].root if bar.chords else None
    return -1 if root is None else root


def _pitch_classes(bar: Bar, rules: ArrangementRules) -> NDArray[np.bool_]:
    """Pitch classes that fit at each sixteenth of a bar, bool [bar_length, 12]: the key's and the chord's."""
    out = np.zeros((rules.bar_length, 12), bool)
    out[:, list(_SCALES[rules.mode])] = True
    last = rules.has_end and bar is rules.bars[-1]
    for index, chord in enumerate(bar.chords):
        stop = bar.chords[index + 1].position if index + 1 < len(bar.chords) else rules.bar_length
        tones = list(chord.pitch_classes)
        if not tones:
            continue
        if last:
            out[chord.position : stop] = False
        elif chord.root is not None:
            # A tone of the scale a semitone from a chord tone that is borrowed would clash with it.
            borrowed = [t for t in tones if t not in _SCALES[rules.mode]]
            for t in borrowed:
                for near in ((t + 1) % 12, (t - 1) % 12):
                    if near not in tones:
                        out[chord.position : stop, near] = False
        out[chord.position : stop, tones] = True
    return out


def _ceilings(rules: ArrangementRules) -> list[NDArray[np.int64]]:
    """Pitch of the tune that sounds at each sixteenth of each bar, int64 [bar_length]; far up where none does."""
    size = rules.bar_length
    flat = np.full(len(rules.bars) * size, 999, np.int64)
    for number, bar in enumerate(rules.bars):
        for note in bar.melody:
            start = number * size + note.position
            flat[start : start + note.length] = note.pitch
    return list(flat.reshape(-1, size))
