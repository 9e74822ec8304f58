"""Codec: scores to REMI ids and back, for the windows of datasets.

Contents: :class:`Codec`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
import symusic

from muse.errors import InputError
from muse.score import DRUMS, REWRITTEN_METERS, mean_tempo_bpm
from muse.tokens.vocabulary import STEPS_PER_BEAT, Vocabulary, build_tokenizer

if TYPE_CHECKING:
    from miditok import REMI

__all__ = ["Codec"]


_TICKS_PER_QUARTER = 2 * STEPS_PER_BEAT  # an eighth is divided by twelve as well
_TEMPO_BPM = 122.58  # where no tempo is written: the token nearest to 120


class Codec:
    """Scores <-> ids. Use :meth:`default`."""

    def __init__(self) -> None:
        self.vocabulary = Vocabulary.default()

    @classmethod
    @lru_cache(maxsize=1)
    def default(cls) -> Codec:
        """The codec of this version of Muse, shared."""
        return cls()

    @cached_property
    def tokenizer(self) -> REMI:
        """MidiTok's tokenizer, which encodes scores. Importing it imports PyTorch, so nothing else uses it."""
        return build_tokenizer()

    # ------------------------------------------------------------------ music

    def encode_score(self, score: symusic.Score, n_bars: int | None = None) -> np.ndarray:
        """REMI ids of a score, uint16 [n].

        Onsets and lengths are rounded to twelfths of the beat, tracks of one program are merged, notes that double
        another are dropped, and the tempo is one: the mean over the sounding span.

        Parameters
        ----------
        score
            Music with one time signature.
        n_bars
            Length; default up to the end of the last note. Later notes are an error, empty bars at the end are kept.

        Raises
        ------
        InputError
            The time signature changes or is not in the vocabulary, or there is no note left.
        """
        canonical = self._canonical(score)
        ids = np.asarray(self.tokenizer.encode(canonical, no_preprocess_score=False).ids, dtype=np.uint16)
        vocabulary = self.vocabulary
        bars_written = int((ids == vocabulary.bar).sum())
        meter = canonical.time_signatures[0]
        ticks_per_bar = canonical.ticks_per_quarter * 4 * meter.numerator // meter.denominator
        bars = n_bars or -(-canonical.end() // ticks_per_bar)
        if bars < bars_written:
            raise InputError(f"the score has notes in bar {bars_written}, past the {bars} bars asked for")
        tail = [vocabulary.bar, vocabulary[f"TimeSig_{meter.numerator}/{meter.denominator}"]]
        return np.concatenate([ids, np.array(tail * (bars - bars_written), dtype=np.uint16)])

    def decode(self, ids: Sequence[int] | np.ndarray) -> symusic.Score:
        """Music of a sequence; padding is passed over.

        Parameters
        ----------
        ids
            Any ids; a pitch without velocity and duration after it is dropped.
        """
        music = np.asarray(ids, dtype=np.int64)
        return _read(music[music >= self.vocabulary.bar].tolist(), self.vocabulary)

    # ------------------------------------------------------------------ canonical form

    def _canonical(self, score: symusic.Score) -> symusic.Score:
        """A new score that MidiTok encodes and decodes without loss."""
        meter = self._meter(score)
        denominator = meter[1]
        tpq = STEPS_PER_BEAT * denominator // 4
        scale = tpq / score.ticks_per_quarter
        by_program: dict[int, list[np.ndarray]] = {}
        pitched, drums = self.vocabulary.pitch, self.vocabulary.drum_pitch
        for track in score.tracks:
            program = DRUMS if track.is_drum else int(track.program)
            block = drums if program == DRUMS else pitched
            lowest = int(self.vocabulary.tokens[block[0]].partition("_")[2])
            note = track.notes.numpy()
            keep = (note["pitch"] >= lowest) & (note["pitch"] < lowest + block[1] - block[0])
            onset = np.floor(note["time"] * scale + 0.5).astype(np.int64)
            length = np.maximum(np.floor(note["duration"] * scale + 0.5).astype(np.int64), 1)
            rows = np.stack([onset, note["pitch"], length, note["velocity"]], axis=1)[keep]
            by_program.setdefault(program, []).append(rows)
        canonical = symusic.Score(tpq)
        canonical.time_signatures.append(symusic.TimeSignature(0, *meter))
        canonical.tempos.append(symusic.Tempo(0, qpm=mean_tempo_bpm(score)))
        for program in sorted(by_program):
            rows = np.concatenate(by_program[program])
            if len(rows) == 0:
                continue
            # Longest first among doubled notes, then one note per onset and pitch.
            rows = rows[np.lexsort((-rows[:, 2], rows[:, 1], rows[:, 0]))]
            rows = rows[np.concatenate([[True], (np.diff(rows[:, :2], axis=0) != 0).any(axis=1)])]
            track = _track(program)
            time, pitch, length, velocity = (np.ascontiguousarray(rows[:, i]) for i in range(4))
            track.notes = symusic.Note.from_numpy(
                time.astype(np.int32), length.astype(np.int32), pitch.astype(np.int8), velocity.astype(np.int8)
            )
            canonical.tracks.append(track)
        if not canonical.tracks:
            raise InputError("the score has no note that the vocabulary can spell")
        return canonical

    def _meter(self, score: symusic.Score) -> tuple[int, int]:
        meters = {(t.numerator, t.denominator) for t in score.time_signatures} or {(4, 4)}
        if len(meters) > 1:
            raise InputError(f"the time signature changes within the score: {sorted(meters)}")
        (meter,) = meters
        meter = REWRITTEN_METERS.get(meter, meter)  # 2/2 is spelled as 4/4
        if "TimeSig_{}/{}".format(*meter) not in self.vocabulary.ids:
            first, stop = self.vocabulary.time_signature
            known = ", ".join(token.partition("_")[2] for token in self.vocabulary.tokens[first:stop])
            raise InputError(f"time signature {meter[0]}/{meter[1]} is not in the vocabulary ({known})")
        return meter


def _read(ids: list[int], v: Vocabulary) -> symusic.Score:
    """Music of REMI ids, as MidiTok reads them (a test compares); no other ids."""
    score = symusic.Score(_TICKS_PER_QUARTER)
    numerator, denominator = 4, 4
    for token in ids:
        if v.time_signature[0] <= token < v.time_signature[1]:
            numerator, denominator = v.meter_of(token)
            break
        if v.pitch[0] <= token < v.duration[1] or v.drum_pitch[0] <= token < v.drum_pitch[1]:
            break
    score.time_signatures.append(symusic.TimeSignature(0, numerator, denominator))
    tracks: dict[int, symusic.core.TrackTick] = {}
    now = bar_tick = program = 0
    bar = -1
    for i, token in enumerate(ids):
        step = _TICKS_PER_QUARTER * 4 // denominator // STEPS_PER_BEAT  # ticks
        if token == v.bar:
            bar += 1
            bar_tick += STEPS_PER_BEAT * numerator * step if bar > 0 else 0
            now = bar_tick
        elif v.position[0] <= token < v.position[1]:
            bar = max(bar, 0)
            now = bar_tick + (token - v.position[0]) * step
        elif v.program[0] <= token < v.program[1]:
            program = v.program_of(token)
        elif v.tempo[0] <= token < v.tempo[1]:
            score.tempos.append(symusic.Tempo(now, qpm=float(v.tempo_values[token - v.tempo[0]])))
        elif v.time_signature[0] <= token < v.time_signature[1]:
            if v.meter_of(token) != (numerator, denominator):
                numerator, denominator = v.meter_of(token)
                score.time_signatures.append(symusic.TimeSignature(now, numerator, denominator))
        elif (pitch := int(v.sounding_pitch[token])) >= 0 and i + 2 < len(ids):
            velocity, length = int(v.velocity_values[ids[i + 1]]), ids[i + 2] - v.duration[0]
            if velocity >= 0 and 0 <= length < len(v.duration_steps):
                note = symusic.Note(now, int(v.duration_steps[length]) * step, pitch, velocity)
                if program not in tracks:
                    tracks[program] = _track(program)
                tracks[program].notes.append(note)
    if not len(score.tempos) or score.tempos[0].time:
        score.tempos.insert(0, symusic.Tempo(0, qpm=_TEMPO_BPM))
    for track in tracks.values():
        score.tracks.append(track)
    return score


def _track(program: int) -> symusic.core.TrackTick:
    drums = program == DRUMS
    return symusic.Track(name="Drums" if drums else "", program=program % DRUMS, is_drum=drums)
