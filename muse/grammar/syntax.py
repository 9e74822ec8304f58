"""Grammar: what may follow what, as masks over the vocabulary.

The sampler asks for a mask, picks one id per row and tells the grammar; bar lines, section prefixes, tempo and
endings are masks with one entry, so nothing needs a second path through the sampler. What holds by construction:

* every output decodes, and decoded and encoded again it is the same (positions rise within a bar, programs and
  pitches rise within a position, a program is named only when it changes);
* exactly the bars asked for, in the meter and tempo asked for;
* only the instruments asked for;
* no note beyond the end;
* at most one bar in ten without an onset, never the first or the last;
* no pitch class that was ruled out (drums excepted);
* no note struck again within :data:`MIN_RESTRIKE_STEPS` (no machine-gun repeats; drums excepted);
* the notes of a tune that was given, each where it belongs and as long as it should be, and while one of them sounds,
  no other note of its instrument that is as high.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from muse.errors import InputError
from muse.score import DRUMS
from muse.tokens.vocabulary import SECTION_BARS, STEPS_PER_BEAT, Vocabulary

__all__ = ["Grammar", "TuneNote"]

MIN_RESTRIKE_STEPS = 2  # a sixth of a beat: faster repeats of one key are tokenisation noise, not music
MAX_NOTES_PER_BAR = 128  # beyond the densest bar of the corpus; bounds the length of any output
SILENT_BARS_SHARE = 10  # one bar in ten may lack an onset


@dataclass(frozen=True)
class TuneNote:
    """A note that must be written."""

    bar: int
    position: int
    pitch: int
    """As written, MIDI number."""
    steps: int
    """Length; the nearest Duration token is taken."""


@dataclass
class _Row:
    """What one row has written so far."""

    queue: list[int]
    bar: int = -1
    position: int = 0
    program: int = -1
    """Program in force, -1 before the first."""
    chord_rank: int = -1
    """Rank of the program of the last note at this position, -1 when there is none."""
    pitch: int = -1
    """Id of the last pitch at this position and program."""
    last: str = "Start"
    notes_in_bar: int = 0
    silent_bars: int = 0
    tune: int = 0
    """Notes of the tune that are written."""
    in_tune: bool = False
    """The last pitch was one of the tune's."""
    done: bool = False


class Grammar:
    """Masks for rows of one request.

    Parameters
    ----------
    vocabulary
        The vocabulary.
    n_bars
        Bars to write, at least 1.
    time_signature
        Meter of the whole piece; must be in the vocabulary.
    tempo_bpm
        Quarter notes per minute; rounded to the nearest Tempo token.
    programs
        General MIDI programs that may sound, 128 = drums.
    section_ids
        The control block that opens each section, ``ceil(n_bars / 4)`` lists of ids of one length.
    barred_pitch_classes
        Pitch classes 0..11, as written, that no pitched note may have.
    sustained_end
        Let the last bar begin its notes in its first half, so that an ending can ring.
    tune
        Notes that must be written, one after another.
    tune_program
        Who plays them, one of `programs`.

    Raises
    ------
    InputError
        The meter is not in the vocabulary, or sections do not match the bars.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        n_bars: int,
        time_signature: tuple[int, int],
        tempo_bpm: float,
        programs: Sequence[int],
        section_ids: Sequence[Sequence[int]],
        barred_pitch_classes: Collection[int] = (),
        sustained_end: bool = False,
        tune: Sequence[TuneNote] = (),
        tune_program: int = -1,
    ) -> None:
        meter = "TimeSig_{}/{}".format(*time_signature)
        if meter not in vocabulary.ids:
            raise InputError(f"time signature {time_signature[0]}/{time_signature[1]} is not in the vocabulary")
        if n_bars < 1 or len(section_ids) != -(-n_bars // SECTION_BARS):
            raise InputError(f"{n_bars} bars need {-(-n_bars // SECTION_BARS)} sections, not {len(section_ids)}")
        self.vocabulary = vocabulary
        self.n_bars = n_bars
        # One step is a twelfth of the notated beat, so a bar has 12 x numerator steps in any meter.
        self.bar_steps = STEPS_PER_BEAT * time_signature[0]
        self._last_onset = self.bar_steps // 2 if sustained_end else self.bar_steps - 1
        self.section_ids = [[int(i) for i in block] for block in section_ids]
        self.max_silent_bars = n_bars // SILENT_BARS_SHARE
        self._meter = vocabulary[meter]
        self._tempo = vocabulary.tempo[0] + int(np.abs(np.log(vocabulary.tempo_values) - np.log(tempo_bpm)).argmin())
        self._programs = sorted(set(programs))
        self._program_ids = [vocabulary.program_id(p) for p in self._programs]
        self._drums_rank = self._programs.index(DRUMS) if DRUMS in self._programs else -1
        first, stop = vocabulary.pitch
        self._in_scale = ~np.isin(vocabulary.pitch_values[first:stop] % 12, list(barred_pitch_classes))
        self._duration_steps = vocabulary.duration_steps
        self._tune = sorted(tune, key=lambda note: (note.bar, note.position))
        self._tune_rank = self._programs.index(tune_program) if tune else -1
        self._tune_ids = [first + note.pitch - int(vocabulary.pitch_values[first]) for note in self._tune]
        if not all(first <= i < stop for i in self._tune_ids):
            raise InputError("the tune leaves the range of pitches that can be written: move it by an octave")
        self._kind = np.array([token.rpartition("_")[0] for token in vocabulary.tokens])
        self._rows: list[_Row] = []
        self._struck = np.zeros((0, 0), np.int64)

    @property
    def max_tokens(self) -> int:
        """No output is longer than this."""
        section = len(self.section_ids[0]) * len(self.section_ids)
        return section + self.n_bars * (4 + self.bar_steps + 4 * MAX_NOTES_PER_BAR) + 1

    @property
    def tempo_bpm(self) -> float:
        """Tempo that the sequence spells."""
        return float(self.vocabulary.tempo_values[self._tempo - self.vocabulary.tempo[0]])

    @property
    def share_done(self) -> float:
        """Share of the bars written so far by all rows, 0..1."""
        bars = [self.n_bars if row.done else max(row.bar, 0) for row in self._rows]
        return sum(bars) / (self.n_bars * len(bars)) if bars else 0.0

    def begin(self, n_rows: int) -> None:
        """Start `n_rows` rows, each right after the header of the prefix."""
        self._rows = [_Row(queue=[*self.section_ids[0], self.vocabulary.bar]) for _ in range(n_rows)]
        # Step of the last onset per row, program rank and pitch id; far in the past at first.
        first, stop = self.vocabulary.pitch
        self._struck = np.full((n_rows, max(len(self._programs), 1), stop - first), -(10**6), np.int64)

    def finished(self) -> np.ndarray:
        """bool [B]: rows that have written their end."""
        return np.array([row.done for row in self._rows])

    def unconditional(self, ids: np.ndarray) -> np.ndarray:
        """The same ids [B] with every attribute token replaced by ``NULL``, for guidance."""
        first = self.vocabulary.song_bucket_base.min()
        is_attribute = (ids >= first) & (ids < self.vocabulary.n_control)
        return np.where(is_attribute, self.vocabulary.null, ids)

    def mask(self) -> np.ndarray:
        """bool [B, V]: True for what may come next; a finished row may only pad."""
        mask = np.zeros((len(self._rows), len(self.vocabulary)), dtype=bool)
        for index, row in enumerate(self._rows):
            self._allow(index, row, mask[index])
        return mask

    def advance(self, ids: np.ndarray) -> None:
        """Tell which id each row took, int [B]."""
        for index, row in enumerate(self._rows):
            if not row.done:
                self._take(index, row, int(ids[index]))

    # ------------------------------------------------------------------ one row

    def _allow(self, index: int, row: _Row, mask: np.ndarray) -> None:
        v = self.vocabulary
        if row.done:
            mask[v.pad] = True
        elif row.queue:
            mask[row.queue[0]] = True
        elif row.last == "Pitch":
            mask[slice(*v.velocity)] = True
        elif row.last == "Velocity" and row.in_tune:
            wanted = self._tune[row.tune - 1].steps
            mask[v.duration[0] + int(np.abs(self._duration_steps - wanted).argmin())] = True
        elif row.last == "Velocity":
            steps_left = (self.n_bars - row.bar) * self.bar_steps - row.position
            mask[slice(*v.duration)] = self._duration_steps <= steps_left
        elif row.last == "Program":
            self._allow_pitches(index, row, mask)
        else:  # after a position, a finished note, the tempo, or the time signature
            at_position = row.last != "TimeSig"
            room = row.notes_in_bar < MAX_NOTES_PER_BAR
            tune = self._awaited(row)
            if tune is not None and at_position and tune.position == row.position:
                self._allow_notes(index, row, mask, due=True)
                return
            if at_position and room:
                self._allow_notes(index, row, mask)
            if row.last != "Position":
                first = v.position[0] + (row.position + 1 if at_position else 0)
                stop = self.bar_steps if row.bar < self.n_bars - 1 else self._last_onset + 1
                if tune is not None:  # nobody passes by the next note of the tune
                    mask[v.position[0] + tune.position] = True
                    stop = min(stop, tune.position + 1)
                if room:
                    mask[first : v.position[0] + stop] = True
                if tune is None and self._may_end_bar(row):
                    mask[self._bar_end(row)] = True
            if not mask.any():  # nothing fits here any more: leave the bar, silent or not
                mask[self._bar_end(row)] = True

    def _allow_notes(self, index: int, row: _Row, mask: np.ndarray, *, due: bool = False) -> None:
        """Pitches of the program in force, and programs that come later in the chord; not past a note that is due."""
        last = self._tune_rank if due else len(self._programs) - 1
        if 0 <= row.program <= last and row.chord_rank <= row.program:
            self._allow_pitches(index, row, mask)
        for rank, program_id in enumerate(self._program_ids[: last + 1]):
            if rank > row.chord_rank and rank != row.program:
                mask[program_id] = True

    def _allow_pitches(self, index: int, row: _Row, mask: np.ndarray) -> None:
        v = self.vocabulary
        same_chord = row.chord_rank == row.program
        if row.program == self._drums_rank:
            first, stop = v.drum_pitch
            mask[max(first, row.pitch + 1 if same_chord else first) : stop] = True
            return
        first, stop = v.pitch
        now = row.bar * self.bar_steps + row.position
        free = self._in_scale & (now - self._struck[index, row.program] >= MIN_RESTRIKE_STEPS)
        if same_chord:
            free = free & (np.arange(first, stop) > row.pitch)
        if row.program == self._tune_rank:
            free = free & (np.arange(first, stop) < self._sounding(row))
            tune = self._awaited(row)
            if tune is not None and tune.position == row.position:
                free = free & (np.arange(first, stop) < self._tune_ids[row.tune])
                free[self._tune_ids[row.tune] - first] = True
        mask[first:stop] = free

    def _awaited(self, row: _Row) -> TuneNote | None:
        """The next note of the tune where it stands in this bar."""
        note = self._tune[row.tune] if row.tune < len(self._tune) else None
        return note if note is not None and note.bar == row.bar else None

    def _sounding(self, row: _Row) -> int:
        """Id of the pitch of the tune that still sounds; beyond all pitches where none does."""
        if row.tune:
            note = self._tune[row.tune - 1]
            now = row.bar * self.bar_steps + row.position
            if now < note.bar * self.bar_steps + note.position + note.steps:
                return self._tune_ids[row.tune - 1]
        return self.vocabulary.pitch[1]

    def _is_tune(self, row: _Row, token: int) -> bool:
        """Whether a pitch that was taken is the next note of the tune."""
        note = self._awaited(row)
        if note is None or row.program != self._tune_rank:
            return False
        return note.position == row.position and token == self._tune_ids[row.tune]

    def _may_end_bar(self, row: _Row) -> bool:
        if row.notes_in_bar:
            return True
        return 0 < row.bar < self.n_bars - 1 and row.silent_bars < self.max_silent_bars

    def _bar_end(self, row: _Row) -> int:
        """The one token that ends the bar: the next bar line, the next section, or the end."""
        if row.bar == self.n_bars - 1:
            return self.vocabulary.eos
        if (row.bar + 1) % SECTION_BARS == 0:
            return self.section_ids[(row.bar + 1) // SECTION_BARS][0]
        return self.vocabulary.bar

    def _take(self, index: int, row: _Row, token: int) -> None:
        v = self.vocabulary
        kind = str(self._kind[token])
        if row.queue:
            row.queue.pop(0)
        elif kind == "Section":
            row.queue = [*self.section_ids[(row.bar + 1) // SECTION_BARS][1:], v.bar]
        if kind == "Bar":
            if row.bar >= 0 and row.notes_in_bar == 0:
                row.silent_bars += 1
            row.bar += 1
            row.position, row.chord_rank, row.pitch, row.notes_in_bar = 0, -1, -1, 0
            row.queue = [self._meter]
            if row.bar == 0:
                row.queue += [v.position[0], self._tempo]
        elif kind == "Position":
            row.position, row.chord_rank, row.pitch = token - v.position[0], -1, -1
        elif kind == "Program":
            row.program = self._program_ids.index(token)
        elif kind in ("Pitch", "PitchDrum"):
            row.pitch, row.chord_rank = token, row.program
            row.notes_in_bar += 1
            row.in_tune = self._is_tune(row, token)
            row.tune += row.in_tune
            if kind == "Pitch":
                now = row.bar * self.bar_steps + row.position
                self._struck[index, row.program, token - v.pitch[0]] = now
            kind = "Pitch"
        elif token == v.eos:
            row.done = True
        row.last = kind
