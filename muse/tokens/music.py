"""Codec: scores to REMI ids and back, for the windows of datasets.

Contents: :class:`Codec`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import symusic

from muse.errors import InputError
from muse.score import DRUMS, REWRITTEN_METERS, mean_tempo_bpm
from muse.tokens.vocabulary import STEPS_PER_BEAT, Vocabulary

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
        meter = self._meter(score)
        onset, program, pitch, length, velocity = self._steps(score, meter[1])
        bar_steps = STEPS_PER_BEAT * meter[0]
        bar = onset // bar_steps
        bars = n_bars or -(-int((onset + length).max()) // bar_steps)
        if bars <= bar[-1]:
            raise InputError(f"the score has notes in bar {bar[-1] + 1}, past the {bars} bars asked for")
        v = self.vocabulary
        words = np.stack(
            [
                v.position[0] + onset % bar_steps,
                v.program[0] + program,
                np.where(program == DRUMS, v.drum_pitch[0] - self._lowest(DRUMS), v.pitch[0] - self._lowest(0)) + pitch,
                v.velocity[0] + _nearest(v.velocity_values[slice(*v.velocity)], velocity),
                v.duration[0] + _nearest(v.duration_steps, length),
            ],
            axis=1,
        )
        said = np.ones(words.shape, bool)
        said[:, 0] = np.diff(onset, prepend=0) != 0  # the opening says where a piece begins
        said[1:, 1] = np.diff(program) != 0
        before = np.append(0, np.cumsum(said.sum(axis=1)))[np.searchsorted(bar, np.arange(bars))]  # words of each bar
        new_bar = [v.bar, v["TimeSig_{}/{}".format(*meter)]]
        opening = [v.position[0], v.tempo[0] + self._tempo(score)]
        ids = np.insert(words[said], np.repeat(before, 2), np.tile(new_bar, bars))
        return np.insert(ids, 2, opening).astype(np.uint16)

    def decode(self, ids: Sequence[int] | np.ndarray) -> symusic.Score:
        """Music of a sequence; padding is passed over.

        Parameters
        ----------
        ids
            Any ids; a pitch without velocity and duration after it is dropped.
        """
        music = np.asarray(ids, dtype=np.int64)
        return _read(music[music >= self.vocabulary.bar].tolist(), self.vocabulary)

    # ------------------------------------------------------------------ what of a score is spelt

    def _steps(self, score: symusic.Score, denominator: int) -> list[np.ndarray]:
        """Onset and length in steps, program, pitch and velocity of the notes that are spelt: int64 [n] each.

        Returned as onset, program, pitch, length, velocity; sorted by the first three, no two alike in them.
        """
        scale = STEPS_PER_BEAT * denominator / 4 / score.ticks_per_quarter
        found = []
        for track in score.tracks:
            program = DRUMS if track.is_drum else int(track.program)
            first, stop = self.vocabulary.drum_pitch if track.is_drum else self.vocabulary.pitch
            note = track.notes.numpy()
            pitch = note["pitch"].astype(np.int64)
            lowest = self._lowest(program)
            rows = np.stack(
                [
                    np.floor(note["time"] * scale + 0.5).astype(np.int64),
                    np.full(len(pitch), program),
                    pitch,
                    np.maximum(np.floor(note["duration"] * scale + 0.5).astype(np.int64), 1),
                    note["velocity"].astype(np.int64),
                ]
            )
            found.append(rows[:, (pitch >= lowest) & (pitch < lowest + stop - first)])
        notes = np.concatenate(found or [np.zeros((5, 0), np.int64)], axis=1)
        if not notes.size:
            raise InputError("the score has no note that the vocabulary can spell")
        onset, program, pitch, length, _ = notes
        # Longest first among doubled notes, then one note per onset, program and pitch.
        notes = notes[:, np.lexsort((-length, pitch, program, onset))]
        first_of_its_kind = (np.diff(notes[:3], axis=1, prepend=-1) != 0).any(axis=0)
        return list(notes[:, first_of_its_kind])

    def _lowest(self, program: int) -> int:
        """Lowest pitch that the vocabulary has for a program."""
        first = (self.vocabulary.drum_pitch if program == DRUMS else self.vocabulary.pitch)[0]
        return int(self.vocabulary.sounding_pitch[first])

    def _tempo(self, score: symusic.Score) -> int:
        """Index of the tempo nearest to the mean, in microseconds a beat as MIDI has it."""
        legal = 60e6 / self.vocabulary.tempo_values[::-1]
        asked = symusic.Tempo(0, qpm=mean_tempo_bpm(score)).mspq
        return len(legal) - 1 - int(_nearest(legal, np.array([asked]))[0])

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


def _nearest(legal: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Index of the nearest of ascending legal values, of two the higher: int64 [n]."""
    above = np.searchsorted(legal, values).clip(1, len(legal) - 1)
    return above - (values - legal[above - 1] < legal[above] - values)


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
