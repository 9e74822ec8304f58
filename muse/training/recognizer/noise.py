"""Noise, machines, animals and crowds, from which the gate learns what is no music.

Contents: :func:`noise`, :data:`NOISES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from muse.training.recognizer.babble import VOWELS, babble

__all__ = ["NOISES", "noise"]

Floats = NDArray[np.float32]


def _hiss(n: int, rate: int, random: np.random.Generator, least: float, most: float) -> NDArray[np.float64]:
    """Noise whose magnitude falls with a power of frequency between `least` and `most`."""
    hertz = np.maximum(np.fft.rfftfreq(n, 1 / rate), 20)
    shape = np.fft.rfft(random.normal(size=n)) / hertz ** random.uniform(least, most)
    return np.asarray(np.fft.irfft(shape, n))


def _coloured(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    return _hiss(n, rate, random, -0.5, 1.2)


def _band(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    low = random.uniform(60, rate / 4)
    edges = [low, min(low * random.uniform(1.5, 8), 0.49 * rate)]
    sections = scipy.signal.butter(int(random.integers(1, 5)), edges, "bandpass", fs=rate, output="sos")
    return np.asarray(scipy.signal.sosfilt(sections, random.normal(size=n)))


def _wind(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    gusts = random.uniform(0.1, 1, int(n / rate * random.uniform(0.1, 2)) + 2)
    return _hiss(n, rate, random, 0.3, 1.2) * np.interp(np.linspace(0, len(gusts) - 1, n), range(len(gusts)), gusts)


def _machine(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    turns = random.uniform(4, 30) * np.arange(n) / rate
    return _hiss(n, rate, random, 0.3, 1.2) * (0.6 + 0.4 * np.sin(2 * np.pi * turns))


def _struck(n: int, rate: int, random: np.random.Generator, hits: int, lasts_sec: float) -> NDArray[np.float64]:
    """Short bursts of noise at random times."""
    out = np.zeros(n)
    out[random.integers(0, n, hits)] = random.normal(size=hits)
    time = np.arange(int(5 * lasts_sec * rate) + 2) / rate
    return np.asarray(scipy.signal.fftconvolve(out, random.normal(size=len(time)) * np.exp(-time / lasts_sec)))[:n]


def _clicks(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    return _struck(n, rate, random, int(random.integers(2, 60)), random.uniform(3e-4, 8e-3))


def _rain(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    return _struck(n, rate, random, int(n * random.uniform(0.002, 0.05)) + 1, random.uniform(1e-4, 1e-3))


def _mains(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """The hum of a bad cable."""
    turns = random.choice([50, 60]) * np.arange(n) / rate
    parts = [random.uniform() / k * np.sin(2 * np.pi * (k * turns + random.uniform())) for k in range(1, 8)]
    return np.sum(parts, axis=0) + random.uniform(0.01, 0.5) * random.normal(size=n)


# ----------------------------------------------------------------------------- sounds that have a pitch, and crowds


def _placed(n: int, events: Iterable[tuple[int, NDArray[np.float64]]]) -> NDArray[np.float64]:
    """Sounds that begin at these samples, one over another."""
    out = np.zeros(n)
    for first, sound in events:
        stop = min(first + len(sound), n)
        out[first:stop] += sound[: max(stop - first, 0)]
    return out


def _room(sound: NDArray[np.float64], rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """The sound with the tail of a room or of a wood."""
    time = np.arange(int(random.uniform(0.1, 1.2) * rate)) / rate
    tail = random.normal(size=len(time)) * np.exp(-6.9 * time / time[-1])
    tail *= random.uniform(0.05, 0.6) / np.sqrt(np.square(tail).sum())
    tail[0] = 1
    return np.asarray(scipy.signal.fftconvolve(sound, tail)[: len(sound)])


def _backed(sound: NDArray[np.float64], rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """The sound in a room, with the noise of the place 10 to 45 dB below it."""
    sound = _room(sound, rate, random)
    hiss = _hiss(len(sound), rate, random, 0.2, 1.0)
    loud = np.sqrt(np.square(sound).mean()) / max(float(np.sqrt(np.square(hiss).mean())), 1e-12)
    return sound + hiss * loud * 10 ** (-random.uniform(10, 45) / 20)


def _sung(hertz: NDArray[np.float64], rate: int, shares: Sequence[float]) -> NDArray[np.float64]:
    """A tone that follows a pitch, its harmonics in these shares; none above half the sample rate."""
    turns = np.cumsum(hertz) / rate
    parts = [
        share * np.where(k * hertz < 0.48 * rate, np.sin(2 * np.pi * k * turns), 0) for k, share in enumerate(shares, 1)
    ]
    return np.asarray(np.sum(parts, axis=0))


def _swell(n: int, rise: float = 0.2, fall: float = 0.4) -> NDArray[np.float64]:
    place = np.linspace(0, 1, n)
    return np.minimum(np.minimum(place / rise, (1 - place) / fall), 1)


def _throat(sound: NDArray[np.float64], rate: int, formants: Sequence[float]) -> NDArray[np.float64]:
    """The sound through resonances at these hertz."""
    out = np.zeros(len(sound))
    for hertz in formants:
        low, high = hertz * 0.88, min(hertz * 1.13, 0.49 * rate)
        out += scipy.signal.sosfilt(scipy.signal.butter(1, [low, high], "bandpass", fs=rate, output="sos"), sound)
    return out


def _birds(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Songs of one to three birds: phrases of chirps, trills and whistles that glide, repeated after pauses."""
    events = []
    for _ in range(int(random.integers(1, 4))):
        base, at = random.uniform(1500, 5500), random.uniform(0, 0.5)
        phrase = []
        for _ in range(int(random.integers(1, 7))):
            length = int(random.uniform(0.03, 0.3) * rate)
            place = np.linspace(0, 1, length)
            glide = random.uniform(-0.5, 0.5) * place + random.uniform(-0.3, 0.3) * np.sin(np.pi * place)
            trill = random.uniform(0, 0.12) * np.sin(2 * np.pi * random.uniform(15, 60) * place * length / rate)
            hertz = base * np.exp2(random.uniform(-0.4, 0.4) + glide + trill)
            phrase.append(
                (_sung(hertz, rate, (1, random.uniform(0, 0.3))) * _swell(length), random.uniform(0.01, 0.15))
            )
        level = random.uniform(0.2, 1)
        while at < n / rate:
            for chirp, pause in phrase * int(random.integers(1, 4)):
                events.append((int(at * rate), level * chirp))
                at += len(chirp) / rate + pause
            at += random.uniform(0.2, 2)
    return _backed(_placed(n, events), rate, random)


def _siren(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """A siren that wails or yelps."""
    low, span = random.uniform(350, 900), random.uniform(0.4, 1.6)
    turn = np.arange(n) / rate / random.choice([random.uniform(0.2, 0.5), random.uniform(2, 8)]) % 1
    return _passing(low * np.exp2(span * np.minimum(turn / 0.4, (1 - turn) / 0.6)), rate, random)


def _two_tones(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """A siren of two tones in turn, of about a fourth in Germany (DIN 14610), of other intervals elsewhere."""
    turn = np.arange(n) / rate / random.uniform(0.25, 1.5) % 2
    interval = random.normal(5, 0.3) if random.random() < 0.4 else random.uniform(2, 10)  # semitones
    return _passing(random.uniform(300, 900) * np.exp2((turn < 1) * interval / 12), rate, random)


def _passing(hertz: NDArray[np.float64], rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """A loud tone that passes by."""
    time = np.arange(len(hertz)) / rate
    nearest = random.uniform(0, time[-1])
    falls = 1 + random.uniform(0, 0.04) * np.tanh((time - nearest) * -random.uniform(0.5, 3))
    shares = [random.uniform(0.3, 1) / k**0.7 for k in range(1, 9)]
    return _backed(_sung(hertz * falls, rate, shares), rate, random)


def _engine(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """A motor: pulses of gas through a pipe, turning faster and slower, never evenly; a saw or drill at its fastest."""
    knots = random.uniform(-0.4, 0.4, int(n / rate * random.uniform(0.2, 1.5)) + 2)
    speed = np.interp(np.linspace(0, len(knots) - 1, n), range(len(knots)), knots)
    jitter = scipy.signal.lfilter([0.02], [1, -0.98], random.normal(size=n)) * random.uniform(0.02, 0.3)
    hertz = np.exp2(random.uniform(np.log2(18), np.log2(300))) * np.exp2(speed * random.uniform(0, 1) + jitter)
    pulses = np.diff(np.floor(np.cumsum(hertz) / rate), prepend=0) * random.uniform(0.6, 1, n)
    time = np.arange(int(0.05 * rate)) / rate
    pipe = np.sum([
        np.exp(-time * random.uniform(40, 300)) * np.sin(2 * np.pi * random.uniform(60, 2500) * time) for _ in range(4)
    ], axis=0)  # fmt: skip
    gas = scipy.signal.fftconvolve(pulses, pipe)[:n]
    return _backed(gas / max(float(np.abs(gas).max()), 1e-9), rate, random)


def _applause(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Two hands to a hall that claps, each at a pace of its own."""
    events = []
    for _ in range(int(np.exp2(random.uniform(1, 7)))):
        pace, at = random.uniform(2.2, 5.5), random.uniform(0, 0.6)
        time = np.arange(int(0.02 * rate)) / rate
        low = random.uniform(500, 1500)
        sections = scipy.signal.butter(
            1, [low, min(low * random.uniform(1.5, 3), 0.45 * rate)], "bandpass", fs=rate, output="sos"
        )
        level = random.uniform(0.1, 1)
        while at < n / rate:
            clap = random.normal(size=len(time)) * np.exp(-time / random.uniform(1e-3, 5e-3))
            events.append((int(at * rate), level * random.uniform(0.5, 1) * scipy.signal.sosfilt(sections, clap)))
            at += random.normal(1, 0.06) / pace
    return _backed(_placed(n, events), rate, random)


def _heartbeat(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Two thumps a beat, as a stethoscope has them."""
    events, at, period = [], 0.0, 60 / random.uniform(45, 140)
    time = np.arange(int(0.15 * rate)) / rate
    tones = random.uniform(35, 90, 2)
    while at < n / rate:
        for tone, after, level in ((tones[0], 0, 1), (tones[1], random.normal(0.32, 0.01) * period**0.5, 0.7)):
            thump = np.exp(-time / 0.03) * np.sin(2 * np.pi * tone * time) * level * random.uniform(0.8, 1)
            events.append((int((at + after) * rate), thump))
        at += period * random.normal(1, 0.04)
    return _backed(_placed(n, events), rate, random)


def _typing(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Keys of a keyboard, in words."""
    events, at = [], 0.0
    time = np.arange(int(0.03 * rate)) / rate
    pace = random.uniform(0.07, 0.25)
    while at < n / rate:
        for _ in range(int(random.integers(1, 9))):
            body = np.sin(2 * np.pi * random.uniform(200, 3500) * time) * random.uniform(0, 0.7)
            key = (random.normal(size=len(time)) + body) * np.exp(-time / random.uniform(1e-3, 8e-3))
            events.append((int(max(at, 0) * rate), key * random.uniform(0.3, 1)))
            at += pace * random.lognormal(0, 0.4)
        at += random.uniform(0, 4 * pace)
    return _backed(_placed(n, events), rate, random)


def _animals(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """A dog, a cow, a cat or a sheep calls again and again; or insects chirp."""
    kind = str(random.choice(["dog", "cow", "cat", "sheep", "cricket"]))
    base, length, rise = {
        "dog": (random.uniform(250, 800), 0.2, 0.5), "cow": (random.uniform(80, 180), 1.4, 0.3),
        "cat": (random.uniform(350, 700), 0.7, 0.6), "sheep": (random.uniform(180, 400), 0.8, 0.1),
        "cricket": (random.uniform(2500, 5500), 0.03, 0.0),
    }[kind]  # fmt: skip
    events, at = [], random.uniform(0, 0.3)
    formants = [random.uniform(500, 1100), random.uniform(1200, 2200), random.uniform(2300, 3500)]
    while at < n / rate:
        size = int(length * random.uniform(0.7, 1.4) * rate)
        place = np.linspace(0, 1, size)
        shake = 0.04 * np.sin(2 * np.pi * random.uniform(6, 11) * place * size / rate) * (kind == "sheep")
        hertz = base * np.exp2(
            rise * np.sin(np.pi * place ** random.uniform(0.5, 1.2)) * random.uniform(0.5, 1) + shake
        )
        if kind == "cricket":
            call = _sung(hertz, rate, (1,)) * _swell(size)
        else:
            voice = _sung(hertz, rate, [1 / k**0.5 for k in range(1, 16)])
            breath = random.normal(size=size) * random.uniform(0.05, 1.0)
            call = _throat(voice + breath, rate, formants) * _swell(size, 0.1, 0.5)
        events.append((int(at * rate), call * random.uniform(0.6, 1)))
        at += size / rate + (random.uniform(0.01, 0.03) if kind == "cricket" and random.random() < 0.75
                             else random.uniform(0.15, 1.5))  # fmt: skip
    return _backed(_placed(n, events), rate, random)


def _tones(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Hum, whine and beeps of devices: tones that stand still, of no tuning, or come and go evenly."""
    time = np.arange(n) / rate
    sound = np.zeros(n)
    for _ in range(int(random.integers(1, 4))):
        hertz = np.exp2(random.uniform(np.log2(45), np.log2(4000)))
        tone = _sung(np.full(n, hertz), rate, [random.uniform(0, 1) / k for k in range(1, int(random.integers(2, 12)))])
        if random.random() < 0.5:
            period, share = random.uniform(0.15, 2), random.uniform(0.2, 0.8)
            tone = tone * (time / period % 1 < share)
        sound += tone * random.uniform(0.2, 1)
    return _backed(sound, rate, random)


def _glides(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Sweeps and whistles that rise, fall and waver, of one voice or two."""
    sound = np.zeros(n)
    for _ in range(int(random.integers(1, 3))):
        knots = random.uniform(np.log2(150), np.log2(3000), int(n / rate * random.uniform(0.3, 4)) + 2)
        course = np.interp(np.linspace(0, len(knots) - 1, n), range(len(knots)), knots)
        shares = [random.uniform(0.2, 1) / k for k in range(1, int(random.integers(2, 9)))]
        sound += _sung(np.exp2(course), rate, shares) * random.uniform(0.3, 1)
    return _backed(sound, rate, random)


def _thumps(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Steps, knocks, hammering: dull strokes, even or not."""
    events, at = [], random.uniform(0, 0.4)
    period, unevenness = random.uniform(0.15, 1.2), random.uniform(0, 0.3)
    low, lasts = random.uniform(40, 500), random.uniform(0.01, 0.08)
    time = np.arange(int(0.3 * rate)) / rate
    while at < n / rate:
        body = np.sin(2 * np.pi * low * random.uniform(0.9, 1.1) * time) + random.normal(
            size=len(time)
        ) * random.uniform(0, 0.6)
        events.append((int(max(at, 0) * rate), body * np.exp(-time / lasts) * random.uniform(0.5, 1)))
        at += period * max(random.normal(1, unevenness), 0.2)
    return _backed(_placed(n, events), rate, random)


def _alarm(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """A device, a lorry that backs up, a detector of fire: one to four beeps of one or two pitches, again and again.

    Sounders of buildings also change between two pitches without a pause (BS 5839-1), telephones ring so.
    """
    warbles = random.random() < 0.4
    lasts, pause = random.uniform(0.05, 0.6), 0.0 if warbles else random.uniform(0.03, 0.4)
    pitches = np.exp2(random.uniform(np.log2(350), np.log2(3600), 2 if warbles else int(random.integers(1, 3))))
    shares = [1.0, *(random.uniform(0, 0.6) / k for k in range(2, 6))]
    at_once = not warbles and random.random() < 0.4
    pattern = [0, 1] if warbles else random.integers(0, len(pitches), int(random.integers(1, 5)))
    rest = 0.0 if warbles else random.uniform(0.0, 1.5)
    size = int(lasts * rate)
    beeps = [_sung(np.full(size, hertz), rate, shares) * _swell(size, 0.03, 0.05) for hertz in pitches]
    events, at = [], random.uniform(0, 0.5)
    while at < n / rate:
        for which in pattern:
            events.append((int(at * rate), np.sum(beeps, axis=0) if at_once else beeps[which]))
            at += lasts + pause
        at += rest
    return _backed(_placed(n, events), rate, random)


def _horn(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Horns of cars, trains and ships: one to three rough tones at once, blown shortly or long."""
    base = np.exp2(random.uniform(np.log2(80), np.log2(520)))
    tones = base * np.exp2(np.append(0, random.uniform(0.15, 0.9, int(random.integers(0, 3)))))
    shares = [random.uniform(0.3, 1) / k ** random.uniform(0.3, 1) for k in range(1, 16)]
    events, at = [], random.uniform(0, 1)
    longest = random.uniform(0.3, 4)
    while at < n / rate:
        size = int(longest * random.uniform(0.3, 1) * rate)
        place = np.arange(size) / rate
        sag = np.exp2(-random.uniform(0, 0.1) * np.exp(-place / 0.08) - random.uniform(0, 0.02) * place)
        blown = np.sum([_sung(hertz * sag, rate, shares) for hertz in tones], axis=0)
        events.append((int(at * rate), blown * _swell(size, 0.05, 0.1)))
        at += size / rate + random.uniform(0.1, 2.5)
    return _backed(_placed(n, events), rate, random)


def _bell(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """A bell of a door, of a telephone or of a crossing: one inharmonic clang, struck evenly, or fast and in bursts."""
    time = np.arange(int(1.5 * rate)) / rate
    base, lasts = np.exp2(random.uniform(np.log2(350), np.log2(2200))), random.uniform(0.1, 0.6)
    clang = np.sum([
        random.uniform(0.1, 1) * np.exp(-time / lasts * random.uniform(0.7, 3))
        * np.sin(2 * np.pi * min(base * ratio, 0.45 * rate) * time)
        for ratio in np.append(1, random.uniform(1.3, 6, 6))
    ], axis=0)  # fmt: skip
    fast = random.random() < 0.5
    period = 1 / random.uniform(10, 25) if fast else random.uniform(0.3, 1.6)
    on, off = (random.uniform(0.6, 2.5), random.uniform(0.3, 3)) if fast else (np.inf, 0.0)
    events, at, until = [], random.uniform(0, 0.5), on
    while at < n / rate:
        events.append((int(at * rate), clang * random.uniform(0.85, 1)))
        at += period
        if at > until:
            at, until = at + off, at + off + on
    return _backed(_placed(n, events), rate, random)


def _knocks(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Somebody knocks, hammers or drops things: strokes on wood, metal or stone, in groups or none."""
    time = np.arange(int(0.4 * rate)) / rate
    modes = [(random.uniform(90, 2500), random.uniform(0.004, 0.06)) for _ in range(int(random.integers(2, 5)))]
    pace, spread = random.uniform(0.1, 0.5), random.uniform(0.02, 0.4)
    events, at = [], random.uniform(0, 0.6)
    while at < n / rate:
        for _ in range(int(random.integers(1, 6))):
            loud = random.uniform(0.3, 1)
            ring = [
                random.uniform(0.4, 1) * np.exp(-time / lasts) * np.sin(2 * np.pi * hertz * time)
                for hertz, lasts in modes
            ]
            stroke = np.sum(ring, axis=0) + random.normal(size=len(time)) * np.exp(-time / 0.003)
            events.append((int(max(at, 0) * rate), loud * stroke))
            at += pace * random.lognormal(0, spread)
        at += random.uniform(0.2, 2)
    return _backed(_placed(n, events), rate, random)


def _steps(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Somebody walks or runs on a floor, gravel or snow: heel and toe, one foot a little louder."""
    pace, limp = random.uniform(0.28, 0.75), random.uniform(0.6, 1)
    low = random.uniform(60, 1500)
    edges = [low, min(low * random.uniform(2, 10), 0.49 * rate)]
    ground = scipy.signal.butter(2, edges, "bandpass", fs=rate, output="sos")
    heel, grain = random.uniform(0.02, 0.12), random.uniform(0, 1)
    events, at, left = [], random.uniform(0, 0.5), False
    while at < n / rate:
        left = not left
        for delay, share in ((0.0, 1.0), (heel, random.uniform(0.2, 0.8))):
            size = int(random.uniform(0.06, 0.2) * rate)
            crunch = random.normal(size=size) * np.where(random.random(size) < 0.02, 1 + 5 * grain, 1 - 0.8 * grain)
            foot = scipy.signal.sosfilt(ground, crunch) * np.exp(-np.arange(size) / rate / 0.03)
            events.append((int((at + delay) * rate), foot * share * (limp if left else 1)))
        at += pace * random.normal(1, 0.05)
    return _backed(_placed(n, events), rate, random)


def _water(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Drops and bubbles, few or many: each a short tone that rises and dies away."""
    events, at = [], 0.0
    pace, low = np.exp(random.uniform(np.log(0.01), np.log(0.4))), random.uniform(200, 900)
    while at < n / rate:
        time = np.arange(int(0.12 * rate)) / rate
        hertz = low * np.exp2(random.uniform(0, 2)) * (1 + random.uniform(0, 4) * time)
        drop = _sung(hertz, rate, (1,)) * np.exp(-time / random.uniform(0.005, 0.03))
        events.append((int(at * rate), drop * random.uniform(0.1, 1)))
        at += random.exponential(pace)
    return _backed(_placed(n, events), rate, random)


def _sweeps(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """A sounder, a test generator, a toy that shoots: a tone that sweeps evenly up, down or both, again and again."""
    low = np.log2(random.uniform(100, 2000))
    high = min(low + random.uniform(0.5, 4), np.log2(0.4 * rate))
    size = int(np.exp(random.uniform(np.log(0.08), np.log(5))) * rate)
    place = np.linspace(0, 1, size)
    way = {"up": place, "down": 1 - place, "both": 1 - np.abs(2 * place - 1)}[
        str(random.choice(["up", "down", "both"]))
    ]
    hertz = np.exp2(low + (high - low) * way)
    if random.random() < 0.4:
        hertz = np.exp2(low) + (np.exp2(high) - np.exp2(low)) * way
    sweep = _sung(hertz, rate, [random.uniform(0.2, 1) / k for k in range(1, int(random.integers(2, 9)))])
    sweep *= _swell(size, 0.02, 0.02) * np.exp(-random.choice([0, 0, 3]) * place)
    rest = size / rate * random.choice([0, random.uniform(0, 0.5), random.uniform(0.5, 2)])
    starts = np.arange(random.uniform(0, 0.5), n / rate, size / rate + rest + 1 / rate)
    return _backed(_placed(n, [(int(at * rate), sweep) for at in starts]), rate, random)


def _buzzer(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """A buzzer of a door, of a game, of a machine: one harsh tone of many harmonics, long or short, as pressed."""
    low, tilt = np.exp2(random.uniform(np.log2(50), np.log2(700))), random.uniform(0, 0.8)
    shares = [random.uniform(0.2, 1) / k**tilt * (k % 2 or random.random() < 0.6) for k in range(1, 30)]
    rattle = random.uniform(0, 0.5) * np.sin(2 * np.pi * random.uniform(15, 60) * np.arange(n) / rate)
    tone = _sung(low * np.exp2(random.uniform(0, 0.01) * random.normal(size=n)), rate, shares) * (1 + rattle)
    pressed = np.zeros(n)
    at, longest = random.uniform(0, 0.6), random.uniform(0.15, 3)
    while at < n / rate:
        lasts = longest * random.uniform(0.3, 1)
        pressed[int(at * rate) : int((at + lasts) * rate)] = 1
        at += lasts + random.uniform(0.05, 1.5)
    return _backed(tone * pressed, rate, random)


# Hertz of the rows and columns of a telephone's keys (ITU-T Q.23), and cadences (ITU-T E.180): tones, seconds on, off.
_ROWS, _COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
_CADENCES = (
    ((425,), 60.0, 0.0), ((350, 440), 60.0, 0.0), ((425,), 0.5, 0.5), ((480, 620), 0.5, 0.5), ((425,), 1.0, 4.0),
    ((440, 480), 2.0, 4.0), ((400, 450), 0.4, 0.2), ((425,), 0.25, 0.25), ((480, 620), 0.25, 0.25),
)  # fmt: skip


def _telephone(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """What a line says: it is free, rings or is busy; numbers are dialled on its keys."""
    events: list[tuple[int, NDArray[np.float64]]] = []
    tones, on, off = _CADENCES[int(random.integers(len(_CADENCES)))]
    dials, at = random.random() < 0.4, random.uniform(0, 0.4)
    pressed, between = random.uniform(0.05, 0.3), random.uniform(0.05, 0.4)
    detuned = random.uniform(0.97, 1.03)
    while at < n / rate:
        if dials:
            tones, on = (int(random.choice(_ROWS)), int(random.choice(_COLUMNS))), pressed
            off = between * random.uniform(0.6, 1.5) if random.random() < 0.9 else random.uniform(0.5, 2)
        size = min(int(on * rate), n)
        beep = np.sum([_sung(np.full(size, detuned * hertz), rate, (1, 0.05, 0.1)) for hertz in tones], axis=0)
        events.append((int(at * rate), beep * np.minimum(_swell(size, 0.01, 0.01), 1)))
        at += on + off
    return _backed(_placed(n, events), rate, random)


# ----------------------------------------------------------------------------- voices that say nothing


def _babble(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Somebody speaks, in a room or on the telephone."""
    return _backed(_on_the_line(babble(n, rate, random), rate, random), rate, random)


def _whisper(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Somebody whispers."""
    return _backed(babble(n, rate, random, whispered=True), rate, random)


def _murmur(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Some or many speak at once, near and far: two to four speakers, each heard up to eight times at other moments."""
    crowd = np.zeros(n)
    for _ in range(int(random.integers(2, 5))):
        voice = babble(n, rate, random)
        for _ in range(int(random.integers(1, 9))):
            crowd += np.roll(voice, int(random.integers(n))) * random.uniform(0.1, 1)
    return _backed(_room(crowd, rate, random), rate, random)


def _cheers(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Some or many shout, cheer or wail: long open vowels that rise and fall, each voice for itself."""
    events = []
    for _ in range(int(np.exp2(random.uniform(1, 4)))):
        base, near, at = random.uniform(150, 600), random.uniform(0.1, 1), random.uniform(0, 3)
        formants = VOWELS[int(random.integers(3, 6))] * random.uniform(1, 1.4)
        while at < n / rate:
            size = int(random.uniform(0.3, 2.5) * rate)
            place = np.linspace(0, 1, size)
            hertz = base * np.exp2(random.uniform(0.1, 0.8) * np.sin(np.pi * place ** random.uniform(0.5, 1.5)))
            voice = _sung(hertz, rate, [1 / k**0.7 for k in range(1, 10)])
            call = _throat(voice + random.normal(size=size) * random.uniform(0.05, 0.6), rate, formants.tolist())
            events.append((int(at * rate), call * _swell(size, 0.1, 0.3) * near))
            at += size / rate + random.uniform(0.1, 3)
    return _backed(_placed(n, events), rate, random)


def _on_the_line(sound: NDArray[np.float64], rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Now and then, what a telephone lets through of it."""
    if random.random() < 0.6:
        return sound
    sections = scipy.signal.butter(2, (300, min(3400, 0.45 * rate)), "bandpass", fs=rate, output="sos")
    return np.asarray(scipy.signal.sosfilt(sections, sound))


NOISES: Final[Mapping[str, Callable[[int, int, np.random.Generator], NDArray[np.float64]]]] = {
    "coloured": _coloured,
    "band": _band,
    "wind": _wind,
    "machine": _machine,
    "clicks": _clicks,
    "rain": _rain,
    "mains": _mains,
    "birds": _birds,
    "siren": _siren,
    "two tones": _two_tones,
    "engine": _engine,
    "applause": _applause,
    "heartbeat": _heartbeat,
    "typing": _typing,
    "animals": _animals,
    "tones": _tones,
    "glides": _glides,
    "thumps": _thumps,
    "alarm": _alarm,
    "horn": _horn,
    "bell": _bell,
    "knocks": _knocks,
    "steps": _steps,
    "water": _water,
    "sweeps": _sweeps,
    "buzzer": _buzzer,
    "telephone": _telephone,
    "babble": _babble,
    "whisper": _whisper,
    "murmur": _murmur,
    "cheers": _cheers,
}
"""Kinds of noise and of other sound that is no music: number of samples, sample rate in hertz, generator -> samples."""


def noise(kind: str, sample_rate: int, random: np.random.Generator) -> Floats:
    """Noise of a kind of :data:`NOISES`, 1.5 to 20 seconds of it, its peak 1 to 25 dB below full scale."""
    sound: NDArray[Any] = NOISES[kind](int(random.uniform(1.5, 20) * sample_rate), sample_rate, random)
    peak = 10 ** (-random.uniform(1, 25) / 20)
    return (sound * (peak / max(float(np.abs(sound).max()), 1e-9))).astype(np.float32)
