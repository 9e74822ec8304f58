"""Grammar of plans: what may follow what while a planner writes bars, and what the user has fixed.

By construction: exactly the bars asked for; chords and tunes that were given, each in its place; bars that follow
another as the form says, copied; a piece that ends on its tonic; a tune within a range, and with no more empty bars
than allowed.

Contents: :class:`PlanRules`, :class:`PlanRow`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from muse.grammar.rows import Row
from muse.theory import Mode
from muse.theory.chord_symbols import QUALITIES, Chord
from muse.tokens.plan import (
    BARS_LEFT,
    EOS,
    LAGS,
    LENGTHS,
    PITCHES,
    VOCABULARY,
    Bar,
    Note,
    encode_chord,
    encode_lags,
    encode_note,
)

__all__ = ["PlanRow", "PlanRules"]

_FIRST: Final = VOCABULARY.first
_SIZE: Final = VOCABULARY.size
_NAMES: Final = tuple(name for name, _ in VOCABULARY.blocks)
_BLOCK_OF: Final = VOCABULARY.block_of
_QUALITY_NAMES: Final = tuple(QUALITIES)


@dataclass(frozen=True)
class PlanRules:
    """What holds for a plan, relative to the tonic C."""

    n_bars: int
    bar_length: int
    """Sixteenths."""
    mode: Mode = "major"
    chords: Mapping[int, tuple[Chord, ...]] = field(default_factory=dict)
    """Bar -> its chords, where they are given."""
    melody: Mapping[int, tuple[Note, ...]] = field(default_factory=dict)
    """Bar -> its tune, where it is given."""
    lags: Mapping[int, Bar] = field(default_factory=dict)
    """Bar -> how it follows earlier ones, where that is given. Chords, and a tune that is exact, are copied."""
    kept: Sequence[float] = ()
    """Of each bar whose tune is like an earlier one but not the same, the share from its start that is copied; nothing
    where that is left out."""
    lowest: int = PITCHES.start
    highest: int = PITCHES.stop - 1
    """Range of the tune."""
    max_empty: int = 10_000
    """Bars that may lack a tune."""
    max_running: int = 1
    """How many of them in a row, where not all may."""
    has_end: bool = True
    """The last bar is the end of the piece: on the tonic, and ``Eos`` behind it."""
    melody_first: bool = False


class PlanRow(Row):
    """One plan as it is written. :attr:`bars` are its bars so far."""

    def __init__(self, rules: PlanRules, vocab_size: int = len(VOCABULARY)) -> None:
        super().__init__(vocab_size)
        self.rules = rules
        self.bars: list[Bar] = []
        self.empty = 0
        """Bars without a tune so far."""
        self._halves = ("melody", "chords") if rules.melody_first else ("chords", "melody")
        self._half = -1  # index in _halves of what is being written, -1 before the first
        self._stage = "bar"
        self._scripted = False  # the half that is being written is given or copied
        self._chords: list[Chord] = []
        self._notes: list[Note] = []
        self._lags = Bar()
        self._place = self._pitch = -1
        self._is_open = False
        self.forced.append(self._bar_token(0))

    @property
    def bar(self) -> int:
        """Number of the bar that is being written: so many are finished."""
        return len(self.bars)

    def _bar_token(self, bar: int) -> int:
        """What opens a bar, or closes the last one."""
        left = self.rules.n_bars - 1 - bar
        if left < 0 and self.rules.has_end:
            return EOS
        return _FIRST["Bar"] + (min(left, BARS_LEFT) if self.rules.has_end else BARS_LEFT)

    @property
    def _is_last(self) -> bool:
        return self.rules.has_end and self.bar == self.rules.n_bars - 1

    @property
    def _tonic_chord(self) -> Chord:
        return Chord(0, 0, "m" if self.rules.mode == "minor" else "")

    def _source(self, lag: int) -> Bar | None:
        return self.bars[self.bar - lag] if 0 < lag <= self.bar else None

    def _script(self, half: str) -> list[int] | None:
        """Ids of a half of this bar that is given or copied, or of its beginning; None where it is free."""
        if half == "chords":
            chords = self.rules.chords.get(self.bar)
            source = self._source(self._lags.chords_lag)
            if chords is None and source is not None:
                chords = source.chords
            if chords is None and self._is_last:
                chords = (self._tonic_chord,)
            return None if chords is None else [i for chord in chords for i in encode_chord(chord)]
        melody = self.rules.melody.get(self.bar)
        source = self._source(self._lags.melody_lag)
        if melody is None and source is not None and self._lags.melody_exact:
            melody = source.melody
        elif melody is None and source is not None and self._begins_alike:
            stop = self.rules.kept[self.bar] * self.rules.bar_length
            melody = tuple(note for note in source.melody if note.position < stop) or None
        return None if melody is None else [i for note in melody for i in encode_note(note)]

    @property
    def _begins_alike(self) -> bool:
        """The beginning of the bar's tune is copied, and the rest of it is free."""
        is_given = self.bar in self.rules.melody or self._lags.melody_exact or self._is_last
        return bool(self._lags.melody_lag) and not is_given and self.bar < len(self.rules.kept)

    # -------------------------------------------------------------------------------------------------- what may come

    def allowed(self) -> NDArray[np.bool_]:
        """bool [V]; see the module."""
        mask = self.nothing()
        stage = self._stage
        if stage == "tune_lag":
            self._allow_tune_lags(mask)
        elif stage == "chords_lag":
            self._allow_chords_lags(mask)
        elif stage == "chord":
            mask[_FIRST["Chord"] : _FIRST["Chord"] + _SIZE["Chord"]] = True
            if self._chords:  # the same chord again is no change
                mask[encode_chord(self._chords[-1])[1]] = False
        elif stage == "pitch":
            self._allow_pitches(mask)
        elif stage == "length":
            room = self.rules.bar_length - self._place + (0 if self._is_last else self.rules.bar_length)
            mask[_FIRST["Length"] : _FIRST["Length"] + _SIZE["Length"]] = np.array(LENGTHS) <= max(room, 1)
        else:
            if self._half >= 0 and not self._scripted:
                self._allow_more(mask)
            self._allow_leaving(mask, self._half + 1)
        return mask

    def _allow_tune_lags(self, mask: NDArray[np.bool_]) -> None:
        mask[_FIRST["New"]] = True
        for i, lag in enumerate(LAGS):
            source = self._source(lag)
            if source is not None and source.melody:
                mask[_FIRST["Like"] + i] = True
                mask[_FIRST["Same"] + i] = not self._is_last

    def _allow_chords_lags(self, mask: NDArray[np.bool_]) -> None:
        mask[_FIRST["Chords"]] = True
        for i, lag in enumerate(LAGS):
            source = self._source(lag)
            if source is not None and source.chords:
                mask[_FIRST["Chords"] + 1 + i] = not self._is_last

    def _allow_pitches(self, mask: NDArray[np.bool_]) -> None:
        pitches = np.array(PITCHES)
        legal = (pitches >= self.rules.lowest) & (pitches <= self.rules.highest)
        if self._is_last:
            legal &= np.isin(pitches % 12, self._tonic_chord.pitch_classes)
        mask[_FIRST["Pitch"] : _FIRST["Pitch"] + len(pitches)] = legal

    def _allow_more(self, mask: NDArray[np.bool_]) -> None:
        """Another chord or note of the half that is being written, or the bass of the last chord."""
        if self._halves[self._half] == "melody":
            mask[_FIRST["At"] + self._notes[-1].position + 1 : _FIRST["At"] + self.rules.bar_length] = True
            return
        last = self._chords[-1]
        mask[_FIRST["ChordAt"] + last.position // 2 + 1 : _FIRST["ChordAt"] + (self.rules.bar_length + 1) // 2] = True
        if self._stage == "chord_done" and last.root is not None:
            mask[_FIRST["Bass"] : _FIRST["Bass"] + 12] = True
            mask[_FIRST["Bass"] + last.root] = False

    def _allow_leaving(self, mask: NDArray[np.bool_], half: int) -> None:
        """What opens a half of the bar, or what stands behind it where the half may be left out."""
        if half == len(self._halves):
            mask[self._bar_token(self.bar + 1)] = True
            return
        name = self._halves[half]
        script = self._script(name)
        if script:
            mask[script[0]] = True
        elif script is not None:
            self._allow_leaving(mask, half + 1)
        elif name == "chords":
            mask[_FIRST["ChordAt"]] = True
        else:
            mask[_FIRST["At"] : _FIRST["At"] + self.rules.bar_length] = True
            if not self._must_sound():
                self._allow_leaving(mask, half + 1)

    def _must_sound(self) -> bool:
        """The bar may not go without a note: too many have, or those before did."""
        limit, running = self.rules.max_empty, self.bars[-self.rules.max_running :]
        is_long = len(running) == self.rules.max_running and not any(bar.melody for bar in running)
        return self.empty >= limit or (limit < self.rules.n_bars and is_long)

    # --------------------------------------------------------------------------------------------------- what has come

    def take(self, token: int) -> None:
        """Note an id."""
        name = _NAMES[_BLOCK_OF[token]]
        value = token - _FIRST[name]
        if name in ("Bar", "Special"):
            self._turn_bar()
        elif name in ("New", "Like", "Same"):
            lag = LAGS[value] if name != "New" else 0
            self._lags, self._stage = Bar(melody_lag=lag, melody_exact=name == "Same"), "chords_lag"
        elif name == "Chords":
            lags = replace(self._lags, chords_lag=(0, *LAGS)[value])
            # A lag that is given holds even where no token says it.
            self._lags, self._stage = self.rules.lags.get(self.bar, lags), "body"
        elif name == "ChordAt":
            self._enter("chords", token)
            self._place, self._stage = 2 * value, "chord"
        elif name == "Chord":
            root, quality = divmod(value - 1, len(QUALITIES))
            chord = Chord(self._place, None) if value == 0 else Chord(self._place, root, _QUALITY_NAMES[quality])
            self._chords.append(chord)
            self._stage = "chord_done"
        elif name == "Bass":
            self._chords[-1] = replace(self._chords[-1], bass=value)
            self._stage = "body"
        elif name == "At":
            self._enter("melody", token)
            self._place, self._stage = value, "pitch"
        elif name == "Pitch":
            self._pitch, self._stage = PITCHES.start + value, "length"
        elif name == "Length":
            self._notes.append(Note(self._place, self._pitch, LENGTHS[value]))
            self._stage = "body"

    def _enter(self, half: str, token: int) -> None:
        """The first id of a half: what is given or copied of it is forced from here on."""
        number = self._halves.index(half)
        if number == self._half:
            return
        self._half = number
        script = self._script(half)
        self._scripted = script is not None and not (half == "melody" and self._begins_alike)
        if script is not None and not self.forced and script[0] == token:
            self.forced.extend(script[1:])

    def _turn_bar(self) -> None:
        if self._is_open:
            self.bars.append(replace(self._lags, chords=tuple(self._chords), melody=tuple(self._notes)))
            self.empty += not self._notes
            if self.bar == self.rules.n_bars:
                self.done = True
                return
        self._is_open, self._half, self._scripted, self._stage = True, -1, False, "tune_lag"
        self._chords, self._notes, self._lags = [], [], Bar()
        given = self.rules.lags.get(self.bar)
        if given is not None:
            self.forced.extend(encode_lags(given))
