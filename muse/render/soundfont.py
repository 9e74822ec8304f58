"""A player of SoundFont 2 files: notes in, stereo samples out.

After the *SoundFont Technical Specification 2.04* (E-mu 2006): presets and instruments with their zones (section 7),
generators (8.1), volume envelope in dB (9.1.7), the default curve of velocity (8.4.1), a fixed low-pass filter per
zone (8.1.2, generator 8). Left out, as General MIDI pieces hardly show it: low-frequency oscillators, the modulation
envelope, chorus and reverb.

Conventions
-----------
timecents, centibels
    ``2 ** (x / 1200)`` seconds; ``10 ** (-x / 200)`` of the amplitude.
attenuation
    A zone's initial attenuation counts 0.4 times, as the cards did for which most files were made and players since.

Contents: :class:`SoundFont`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from muse.errors import InputError
from muse.score import DRUMS, Notes

__all__ = ["SoundFont"]

Samples = NDArray[np.float32]
Generators = Mapping[int, int]

DRUM_BANK: Final = 128
SILENCE_CENTIBELS: Final = 960.0
LONGEST_RELEASE_SEC: Final = 3.0
SHORTEST_RELEASE_SEC: Final = 0.02
"""A note that stops at once clicks."""
AUDIBLE_SHARE: Final = 0.65
"""Of a release, which falls straight to -96 dB: beyond -62 dB nobody hears it."""
_ATTENUATION_FACTOR: Final = 0.4
# Generators by number (section 8.1.3).
(_START, _END, _LOOP_START, _LOOP_END, _START_COARSE, _FILTER, _PAN) = (0, 1, 2, 3, 4, 8, 17)
(_END_COARSE, _DELAY, _ATTACK, _HOLD, _DECAY, _SUSTAIN, _RELEASE) = (12, 33, 34, 35, 36, 37, 38)
(_INSTRUMENT, _KEYS, _VELOCITIES, _LOOP_START_COARSE, _ATTENUATION) = (41, 43, 44, 45, 48)
(_LOOP_END_COARSE, _COARSE, _FINE, _SAMPLE, _MODES, _SCALE, _ROOT) = (50, 51, 52, 53, 54, 56, 58)
_DEFAULTS: Final = {
    _FILTER: 13500, _DELAY: -12000, _ATTACK: -12000, _HOLD: -12000, _DECAY: -12000, _RELEASE: -12000, _SCALE: 100,
    _ROOT: -1, _KEYS: 127 << 8, _VELOCITIES: 127 << 8,
}  # fmt: skip
_NOT_ADDED: Final = (_KEYS, _VELOCITIES, _INSTRUMENT, _SAMPLE, _MODES, _ROOT, _START, _END, _LOOP_START, _LOOP_END)


@dataclass(frozen=True)
class _Zone:
    """A sample and how it is played."""

    generators: Generators
    data: NDArray[np.int16]
    loop: tuple[int, int] | None
    rate: int
    root: float
    """Key at which the sample sounds as it was recorded, with its correction."""


class SoundFont:
    """A file of instruments.

    Parameters
    ----------
    path
        An SF2 file with 16-bit samples.

    Raises
    ------
    InputError
        The file is missing, or no sound SF2 file.
    """

    def __init__(self, path: str | Path) -> None:
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}: give an SF2 soundfont") from None
        try:
            chunks = dict(_chunks(data))
            self._wave = np.frombuffer(chunks[b"smpl"], "<i2")
            self._presets = _presets(chunks)
            self._instruments = _bags(chunks, b"inst", b"ibag", b"igen", 22, 20)
            self._headers = [struct.unpack_from("<20sIIIIIBbHH", chunks[b"shdr"], 46 * i) for i in
                             range(len(chunks[b"shdr"]) // 46 - 1)]  # fmt: skip
        except (KeyError, struct.error, IndexError, ValueError):
            raise InputError(f"{path} is no soundfont that can be read: give an SF2 file") from None
        self._zones = lru_cache(maxsize=512)(self._find_zones)

    def play(self, notes: Notes, sample_rate: int) -> Samples:
        """Samples of a piece, float32 [2, n], left and right.

        Parameters
        ----------
        notes
            NOTE_DTYPE [n_notes]; seconds, pitch, velocity and program are used.
        sample_rate
            Samples a second, hertz.
        """
        end = float((notes["onset_sec"] + notes["duration_sec"]).max(initial=0.0)) + LONGEST_RELEASE_SEC
        out = np.zeros((2, int(end * sample_rate) + 1), np.float32)
        for note in notes:
            drums = int(note["program"]) == DRUMS
            preset = (DRUM_BANK, 0) if drums else (0, int(note["program"]))
            first = int(float(note["onset_sec"]) * sample_rate)
            for zone in self._zones(preset, int(note["pitch"]), int(note["velocity"])):
                voice = _voice(
                    zone, int(note["pitch"]), int(note["velocity"]), float(note["duration_sec"]), sample_rate
                )
                angle = (np.clip(zone.generators.get(_PAN, 0), -500, 500) / 1000 + 0.5) * math.pi / 2
                stop = min(first + len(voice), out.shape[1])
                part = voice[: stop - first]
                out[0, first:stop] += np.float32(math.cos(angle)) * part
                out[1, first:stop] += np.float32(math.sin(angle)) * part
        loud = np.flatnonzero(np.abs(out).max(axis=0) > 1e-4)
        return out[:, : int(loud[-1]) + 1 if len(loud) else 0]

    def _find_zones(self, preset: tuple[int, int], key: int, velocity: int) -> list[_Zone]:
        """All zones that sound for a key; another preset stands in for one that is not there."""
        stand_ins = (preset, (preset[0], 0), (0, 0), *self._presets)
        bags = next(self._presets[one] for one in stand_ins if one in self._presets)
        found = []
        for outer in _local(bags, _INSTRUMENT):
            if not (_within(outer, _KEYS, key) and _within(outer, _VELOCITIES, velocity)):
                continue
            for inner in _local(self._instruments[outer[_INSTRUMENT]], _SAMPLE):
                if _within(inner, _KEYS, key) and _within(inner, _VELOCITIES, velocity):
                    added = {k: v for k, v in outer.items() if k not in _NOT_ADDED}
                    whole = {**_DEFAULTS, **inner}
                    for k, v in added.items():
                        whole[k] = whole.get(k, 0) + v
                    found.append(self._zone(whole))
        return found

    def _zone(self, g: Mapping[int, int]) -> _Zone:
        _, start, end, loop_start, loop_end, rate, pitch, correction, _, _ = self._headers[g[_SAMPLE]]
        first = start + g.get(_START, 0) + 32768 * g.get(_START_COARSE, 0)
        last = end + g.get(_END, 0) + 32768 * g.get(_END_COARSE, 0)
        a = loop_start + g.get(_LOOP_START, 0) + 32768 * g.get(_LOOP_START_COARSE, 0) - first
        b = loop_end + g.get(_LOOP_END, 0) + 32768 * g.get(_LOOP_END_COARSE, 0) - first
        data = self._wave[first:last]
        looped = g.get(_MODES, 0) & 1 and 0 <= a < b <= len(data)
        root = g[_ROOT] if g[_ROOT] >= 0 else (pitch if pitch <= 127 else 60)
        return _Zone(g, data, (a, b) if looped else None, max(rate, 400), root - correction / 100)


def _voice(zone: _Zone, key: int, velocity: int, length_sec: float, sample_rate: int) -> Samples:
    """One note of one zone, float32 [n]."""
    g = zone.generators
    cents = g[_SCALE] * (key - zone.root) + 100 * g.get(_COARSE, 0) + g.get(_FINE, 0)
    step = 2 ** (cents / 1200) * zone.rate / sample_rate
    release = min(max(_seconds(g[_RELEASE]), SHORTEST_RELEASE_SEC), LONGEST_RELEASE_SEC)
    n = int((length_sec + AUDIBLE_SHARE * release) * sample_rate) + 1
    if zone.loop is None:
        n = min(n, int((len(zone.data) - 2) / step))
    if n <= 0 or len(zone.data) < 4:
        return np.zeros(0, np.float32)
    place = np.arange(n) * step
    data = zone.data
    if zone.loop is not None:
        a, b = zone.loop
        place = np.where(place < b, place, a + (place - a) % (b - a))
    whole = place.astype(np.int64)
    share = (place - whole).astype(np.float32)
    after = whole + 1
    if zone.loop is not None:
        after = np.where(after >= zone.loop[1], zone.loop[0], after)
    limit = len(data) - 1
    wave = data[np.minimum(whole, limit)] * (1 - share) + data[np.minimum(after, limit)] * share
    wave = wave.astype(np.float32) / 32768
    cutoff = 8.176 * 2 ** (g[_FILTER] / 1200)
    if cutoff < 0.45 * sample_rate and g[_FILTER] < 13500:
        from scipy.signal import butter, sosfilt

        wave = sosfilt(butter(2, cutoff, fs=sample_rate, output="sos"), wave).astype(np.float32)
    quieter = _ATTENUATION_FACTOR * max(g.get(_ATTENUATION, 0), 0) + 400 * math.log10(127 / max(velocity, 1))
    return np.asarray(wave * _envelope(g, n, length_sec, release, sample_rate) * 10 ** (-quieter / 200), np.float32)


def _envelope(g: Generators, n: int, length_sec: float, release: float, sample_rate: int) -> Samples:
    """The volume envelope, 0..1, [n]: linear attack, decay and release straight in dB."""
    time = np.arange(n, dtype=np.float32) / np.float32(sample_rate)
    start = _seconds(g[_DELAY]) if g[_DELAY] > -12000 else 0.0
    attack, hold = _seconds(g[_ATTACK]), _seconds(g[_HOLD])
    decay, sustain = max(_seconds(g[_DECAY]), 1e-3), float(np.clip(g.get(_SUSTAIN, 0), 0, SILENCE_CENTIBELS))
    falling = np.clip((time - start - attack - hold) / decay, 0, None) * SILENCE_CENTIBELS
    centibels = np.minimum(falling, sustain)
    off = np.clip((time - length_sec) / release, 0, None) * SILENCE_CENTIBELS
    level = np.exp((centibels + off) * np.float32(-math.log(10) / 200))
    return np.asarray(level * np.clip((time - start) / np.float32(max(attack, 1e-3)), 0, 1), np.float32)


def _seconds(timecents: int) -> float:
    return float(2 ** (max(timecents, -12000) / 1200))


def _within(g: Generators, kind: int, value: int) -> bool:
    return kind not in g or (g[kind] & 255) <= value <= (g[kind] >> 8) & 255


def _local(bags: list[dict[int, int]], needed: int) -> Iterator[dict[int, int]]:
    """Zones with what a first zone without `needed` says for all (section 7.3)."""
    everywhere: dict[int, int] = {}
    for i, bag in enumerate(bags):
        if needed in bag:
            yield {**everywhere, **bag}
        elif i == 0:
            everywhere = bag


def _chunks(data: bytes, first: int = 0, stop: int | None = None) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of all chunks, those inside lists too."""
    stop = len(data) if stop is None else min(stop, len(data))
    while first + 8 <= stop:
        name, size = data[first : first + 4], struct.unpack_from("<I", data, first + 4)[0]
        if name in (b"RIFF", b"LIST"):
            yield from _chunks(data, first + 12, first + 8 + size)
        else:
            yield name, data[first + 8 : first + 8 + size]
        first += 8 + size + size % 2


def _bags(
    chunks: Mapping[bytes, bytes], heads: bytes, bags: bytes, generators: bytes, size: int, at: int
) -> list[list[dict[int, int]]]:
    """Zones of every head as generator -> amount."""
    index = [struct.unpack_from("<H", chunks[heads], i + at)[0] for i in range(0, len(chunks[heads]), size)]
    edges = [struct.unpack_from("<H", chunks[bags], i)[0] for i in range(0, len(chunks[bags]), 4)]
    amounts = list(struct.iter_unpack("<HH", chunks[generators]))
    zones = [
        {kind: _signed(kind, amount) for kind, amount in amounts[edges[i] : edges[i + 1]]}
        for i in range(len(edges) - 1)
    ]
    return [zones[index[i] : index[i + 1]] for i in range(len(index) - 1)]


def _signed(kind: int, amount: int) -> int:
    plain = kind in (_KEYS, _VELOCITIES, _INSTRUMENT, _SAMPLE, _MODES)
    return amount if plain or amount < 32768 else amount - 65536


def _presets(chunks: Mapping[bytes, bytes]) -> dict[tuple[int, int], list[dict[int, int]]]:
    """(bank, program) -> zones."""
    heads = chunks[b"phdr"]
    names = [struct.unpack_from("<HH", heads, i + 20) for i in range(0, len(heads) - 38, 38)]
    bags = _bags(chunks, b"phdr", b"pbag", b"pgen", 38, 24)
    return {(bank, program): bags[i] for i, (program, bank) in enumerate(names)}
