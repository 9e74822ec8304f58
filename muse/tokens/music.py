"""Codec: scores to ids and back, and what opens a sequence.

A sequence reads::

    BOS Genre Mode Tonic TimeSig Program…
    Section_start (10 section controls)  Bar TimeSig Position_0 Tempo … three more bars
    Section_middle …                     Bar TimeSig …
    EOS

``NULL`` stands for what is left open. The shards of a dataset hold the music alone, from ``Bar`` on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
import symusic

from muse.errors import InputError
from muse.score import DRUMS, REWRITTEN_METERS, mean_tempo_bpm
from muse.tokens.vocabulary import (
    GENRES,
    MODES,
    SECTION_BARS,
    SECTION_CONTROLS,
    SONG_CONTROLS,
    STEPS_PER_BEAT,
    Vocabulary,
    build_tokenizer,
)

if TYPE_CHECKING:
    from miditok import REMI

__all__ = ["Codec", "Header"]


_TICKS_PER_QUARTER = 2 * STEPS_PER_BEAT  # an eighth is divided by twelve as well
_TEMPO_BPM = 122.58  # where no tempo is written: the token nearest to 120


@dataclass(frozen=True)
class Header:
    """What opens a sequence besides attributes. ``None`` leaves a field open."""

    genre: str | None
    mode: str | None
    tonic: int | None
    """0..11; only where pitch is absolute."""
    time_signature: tuple[int, int]
    programs: tuple[int, ...]
    """General MIDI programs, 128 = drums, ascending."""


class Codec:
    """Scores <-> ids.

    Parameters
    ----------
    vocabulary
        Tokens by id; default: those of this version.
    key_relative
        Whether sequences are moved to the tonic C (by -5 to +6 semitones), which shows scale degrees and mode directly
        (functional representation; Huang et al., EMO-Disentanger, ISMIR 2024).
    """

    def __init__(self, vocabulary: Vocabulary | None = None, *, key_relative: bool = True) -> None:
        self.vocabulary = vocabulary or Vocabulary.default()
        self.key_relative = key_relative

    @classmethod
    @lru_cache(maxsize=1)
    def default(cls) -> Codec:
        """The codec of this version of Muse, without a checkpoint."""
        return cls()

    @cached_property
    def tokenizer(self) -> REMI:
        """MidiTok's tokenizer, which encodes scores. Importing it imports PyTorch, so nothing else uses it."""
        return build_tokenizer()

    # ------------------------------------------------------------------ music

    def encode_score(self, score: symusic.Score, n_bars: int | None = None) -> np.ndarray:
        """REMI ids of a score, uint16 [n], without prefix.

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

    def decode(self, ids: Sequence[int] | np.ndarray, *, shift: int = 0) -> symusic.Score:
        """Music of a sequence; special and control tokens are passed over.

        Parameters
        ----------
        ids
            Any ids; a pitch without velocity and duration after it is dropped.
        shift
            Semitones added to every pitched note (the asked tonic where pitch is relative).
        """
        music = np.asarray(ids, dtype=np.int64)
        music = music[music >= self.vocabulary.n_control]
        if shift:
            music = self.transpose(music, shift)
        return _read(music.tolist(), self.vocabulary)

    def transpose(self, ids: np.ndarray, semitones: int) -> np.ndarray:
        """Move pitched notes; those that would leave the keyboard stay in it by an octave."""
        first, stop = self.vocabulary.pitch
        ids = np.asarray(ids)
        pitched = (ids >= first) & (ids < stop)
        moved = ids.astype(np.int64) + np.where(pitched, semitones, 0)
        moved = np.where(pitched & (moved < first), moved + 12, moved)
        moved = np.where(pitched & (moved >= stop), moved - 12, moved)
        return moved.astype(ids.dtype)

    def bar_starts(self, ids: np.ndarray) -> np.ndarray:
        """Index of every Bar token, int64 [n_bars]."""
        return np.flatnonzero(np.asarray(ids) == self.vocabulary.bar)

    # ------------------------------------------------------------------ openings

    def header_ids(self, header: Header) -> list[int]:
        """``BOS Genre Mode Tonic TimeSig Program…``."""
        v = self.vocabulary
        genre = v.null if header.genre is None else v[f"Genre_{header.genre if header.genre in GENRES else 'other'}"]
        mode = v.null if header.mode not in MODES else v[f"Mode_{header.mode}"]
        tonic = v.null if header.tonic is None or self.key_relative else v[f"Tonic_{header.tonic}"]
        meter = v["TimeSig_{}/{}".format(*header.time_signature)]
        return [v.bos, genre, mode, tonic, meter, *(v.program_id(p) for p in header.programs)]

    def section_ids(self, kind: str, buckets: np.ndarray) -> np.ndarray:
        """``Section_kind`` and its control tokens, int64 [11]."""
        controls = np.where(buckets < 0, self.vocabulary.null, self.vocabulary.section_bucket_base + buckets)
        return np.concatenate([[self.vocabulary[f"Section_{kind}"]], controls])

    def sections(self, n_bars: int, *, at_start: bool = True, at_end: bool = True) -> Iterator[str]:
        """Kind of every section of `n_bars` bars: where it lies in its piece."""
        n_sections = -(-n_bars // SECTION_BARS)
        for i in range(n_sections):
            first, last = at_start and i == 0, at_end and i == n_sections - 1
            yield "whole" if first and last else "start" if first else "end" if last else "middle"

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
        return self.meter(meter)

    def meter(self, meter: tuple[int, int]) -> tuple[int, int]:
        """The time signature as the vocabulary spells it (2/2 as 4/4); InputError where it has none."""
        meter = REWRITTEN_METERS.get(meter, meter)
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


def control_values(names: Sequence[str], values: np.ndarray, wanted: Sequence[str]) -> np.ndarray:
    """Columns `wanted` of an attribute matrix float [..., A]; NaN columns for names that it lacks."""
    index = {name: i for i, name in enumerate(names)}
    columns = [values[..., index[name]] if name in index else np.full(values.shape[:-1], np.nan) for name in wanted]
    return np.stack(columns, axis=-1)


__all__ += ["SECTION_CONTROLS", "SONG_CONTROLS", "control_values"]
