"""One piece in many sounds: soundfonts, players, rooms, microphones and codecs, drawn by seed.

A recogniser that has heard one synthesizer learns that synthesizer. Here every piece is played under conditions that
training may know (:data:`TRAINED`), and under others whose soundfont, player and codec it never does (:data:`UNSEEN`):
what is measured there is what holds on sound of another kind.

Conventions
-----------
condition
    All that is drawn for one rendering, :class:`Condition`; the same piece, kind and seed give the same.
sound
    One channel, float32 [n], at :data:`SAMPLE_RATE`, after the codec; the first :data:`EXCERPT_SEC` of a piece.

soundfonts
    Lie where Debian's packages put them (:data:`FOLDERS`), or anywhere below folders that a caller names: packages that
    were only unpacked (``dpkg -x``) do, and change nothing else on the machine.

Contents: :class:`Condition`, :func:`draw`, :func:`rendered`, :func:`beginning`, :func:`find_sounds`.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import scipy.fft
import symusic
from numpy.typing import NDArray
from scipy.signal import lfilter

from muse.audio import as_audio, read_audio, write_audio
from muse.errors import InputError
from muse.render.sound import SAMPLE_RATE as PLAYED_RATE
from muse.render.sound import play
from muse.score import Score
from muse.training.transcription import excerpt

__all__ = [
    "EXCERPT_SEC",
    "KINDS",
    "SAMPLE_RATE",
    "TRAINED",
    "UNSEEN",
    "Condition",
    "Kind",
    "beginning",
    "draw",
    "find_sounds",
    "rendered",
]

Floats = NDArray[np.float32]
Kind = Literal["trained", "unseen"]

SAMPLE_RATE: Final = 22_050
EXCERPT_SEC: Final = 25.0
KINDS: Final[tuple[Kind, ...]] = ("trained", "unseen")

TRAINED: Final[Mapping[tuple[str, str], float]] = {
    ("TimGM6mb", "midirenderer"): 0.22,
    ("TimGM6mb", "fluidsynth"): 0.22,
    ("sf_GMbank", "midirenderer"): 0.16,
    ("sf_GMbank", "fluidsynth"): 0.16,
    ("OPL-3_FM_128M", "fluidsynth"): 0.16,
    ("MuseScore_General_Lite", "fluidsynth"): 0.08,
}
"""Soundfont and player -> how often."""
UNSEEN: Final[Mapping[tuple[str, str], float]] = {("FluidR3_GM", "timidity"): 0.5, ("freepats", "timidity"): 0.5}
CODECS: Final[Mapping[str, tuple[str, ...]]] = {"trained": ("", ".mp3", ".m4a"), "unseen": (".ogg",)}
"""Endings of :data:`muse.audio.CODECS`; empty for none. Opus is never trained on."""
BIT_RATES: Final = (24_000, 32_000, 48_000, 64_000, 96_000)
"""Bits a second of one channel at 22 kHz: bits a sample as in 48 to 192 kbit/s at 44 kHz."""
PATCHES: Final = "freepats"
"""Patches that only TiMidity plays (Debian: freepats), listed in a file with the ending ``.cfg``."""
FOLDERS: Final = tuple(Path(name) for name in ("/usr/share/sounds/sf2", "/usr/share/sounds/sf3", "/etc/timidity"))
PATCH_FOLDER: Final = Path("usr/share/midi/freepats")
"""Of the patches, below the folder that ``etc/timidity`` lies in."""
OTHER_PROGRAMS: Final = (1, 2, 3, 4, 5, 6, 11, 16, 24, 46, 48)
"""General MIDI's, from 0: other pianos, harpsichord, vibraphone, organ, guitar, harp, strings."""

_LOUDNESS_DB: Final = -22.0
"""Root mean square before the gain; with +6 dB the loudest peaks clip."""
_LOWEST_BAND: Final = 60.0
"""Hertz; each next one is three times as high."""
_DEFAULT_BPM: Final = 120.0
_RUN_SEC: Final = 300


@dataclass(frozen=True)
class Condition:
    """What a piece is played by and through."""

    soundfont: str
    player: str
    program: int | None
    """Played in place of the score's; None leaves it."""
    tempo: float
    """Factor."""
    cents: float
    """How far out of tune."""
    gain_db: float
    bands_db: tuple[float, ...]
    """Of an equaliser, at 60, 180, 540, 1,620 and 4,860 Hz."""
    room_sec: float
    """Reverberation time (60 dB); 0 for none."""
    wet: float
    """Share of the room's sound in the amplitude."""
    noise_db: float
    """Below the music."""
    codec: str
    """Ending; empty for none."""
    bit_rate: int
    """Bits a second."""


def draw(piece: str, kind: Kind, seed: int = 0) -> Condition:
    """The condition of a piece."""
    digest = hashlib.sha256(f"{piece}/{kind}/{seed}".encode()).digest()
    random = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    table = TRAINED if kind == "trained" else UNSEEN
    names = list(table)
    soundfont, player = names[int(random.choice(len(names), p=list(table.values())))]
    has_room, has_noise = random.random() < 0.6, random.random() < 0.6
    other = kind == "trained" and random.random() < 0.25
    return Condition(
        soundfont,
        player,
        int(random.choice(OTHER_PROGRAMS)) if other else None,
        float(random.uniform(0.94, 1.06)),
        float(random.uniform(-30, 30)),
        float(random.uniform(-18, 6)),
        tuple(float(x) for x in random.normal(0, 3.5, 5)),
        float(np.exp(random.uniform(np.log(0.2), np.log(2.0)))) if has_room else 0.0,
        float(random.uniform(0.05, 0.5)),
        float(random.uniform(20, 50)) if has_noise else 90.0,
        str(random.choice(CODECS[kind])),
        int(random.choice(BIT_RATES)),
    )


def rendered(score: Score, condition: Condition, *, seed: int = 0, soundfonts: Sequence[str | Path] = ()) -> Floats:
    """The beginning of a score in a condition; `seed` is of noise and of the room.

    Raises
    ------
    InputError
        A soundfont or a player is not installed, or the score cannot be played.
    """
    random = np.random.default_rng(seed)
    font = find_sounds(condition.soundfont, soundfonts)
    samples = _played(beginning(score, condition), condition.player, font).mean(axis=0)
    # Samples that are said to have been taken faster or slower sound out of tune, and last a little longer or less.
    samples = as_audio(samples, round(PLAYED_RATE * 2 ** (condition.cents / 1200)), SAMPLE_RATE)
    samples = _through_room(samples, condition, random)
    level = max(float(np.sqrt(np.mean(np.square(samples)))), 1e-9)
    samples = samples * np.float32(10 ** (_LOUDNESS_DB / 20) / level)
    samples += np.float32(10 ** ((_LOUDNESS_DB - condition.noise_db) / 20)) * _noise(len(samples), random)
    samples = np.clip(samples * np.float32(10 ** (condition.gain_db / 20)), -1, 1)
    if not condition.codec:
        return samples
    with tempfile.TemporaryDirectory(prefix="muse-") as folder:
        path = Path(folder) / f"sound{condition.codec}"
        write_audio(samples, SAMPLE_RATE, path, bit_rate=condition.bit_rate)
        return read_audio(path, SAMPLE_RATE)


def find_sounds(soundfont: str, soundfonts: Sequence[str | Path] = ()) -> Path:
    """Where a soundfont of the tables lies, or the list of TiMidity's patches.

    Parameters
    ----------
    soundfonts
        Folders that are looked through first, with all below them; then :data:`FOLDERS`.

    Raises
    ------
    InputError
        A folder is not there, or none has it.
    """
    return _find(soundfont, tuple(Path(folder) for folder in soundfonts), FOLDERS)


@functools.lru_cache(maxsize=64)
def _find(soundfont: str, given: tuple[Path, ...], installed: tuple[Path, ...]) -> Path:
    endings = (".cfg",) if soundfont == PATCHES else (".sf2", ".sf3")
    names = {f"{soundfont}{ending}" for ending in endings}
    for folder in given:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder: give one that soundfonts lie in or below")
        for inner, _, files in os.walk(folder):
            # Examples of a list of patches lie among the documents.
            if (there := names.intersection(files)) and "doc" not in Path(inner).parts:
                return (Path(inner) / sorted(there)[0]).resolve()
    for folder in installed:
        for name in sorted(names):
            if (folder / name).is_file():
                return folder / name
    raise InputError(
        f"the soundfont {soundfont} is not installed (Debian: timgm6mb-soundfont csound-soundfont opl3-soundfont "
        "musescore-general-soundfont-small fluid-soundfont-gm freepats): install it, or name a folder that it lies in"
    )


def beginning(score: Score, condition: Condition | None = None) -> Score:
    """The first :data:`EXCERPT_SEC` of a score; under a condition in its tempo and by its program."""
    cut = excerpt(score, 0.0, EXCERPT_SEC)
    if condition is None:
        return cut
    tempos = [(tempo.time, tempo.qpm) for tempo in cut.tempos] or [(0, _DEFAULT_BPM)]
    cut.tempos = symusic.core.TempoTickList([symusic.Tempo(time, bpm * condition.tempo) for time, bpm in tempos])
    for track in cut.tracks:
        if condition.program is not None and not track.is_drum:
            track.program = condition.program
    return cut


def _played(score: Score, player: str, font: Path) -> Floats:
    if player != "timidity":
        return play(score, font, player)  # type: ignore[arg-type]
    program = shutil.which("timidity")
    if program is None:
        raise InputError("TiMidity++ is not installed (Debian: apt install timidity): install it")
    with tempfile.TemporaryDirectory(prefix="muse-") as folder:
        midi, wav, config = (Path(folder) / name for name in ("score.mid", "sound.wav", "timidity.cfg"))
        midi.write_bytes(score.dumps_midi())
        config.write_text(_sounds_of(font), encoding="utf-8")
        command = [program, "-c", str(config), str(midi), "-Ow", "-s", str(PLAYED_RATE), "-o", str(wav)]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=_RUN_SEC, cwd=folder)
        except (subprocess.SubprocessError, OSError) as error:
            raise InputError(f"TiMidity could not play this score with {font} ({error})") from None
        return read_audio(wav, PLAYED_RATE)[None]


def _sounds_of(font: Path) -> str:
    """A configuration of TiMidity. A list of patches names the folder that they are installed in; where the package was
    unpacked elsewhere, they lie as deep below its root."""
    if font.suffix != ".cfg":
        return f'soundfont "{font}"\n'
    root = font.parent.parent.parent
    return f'dir "{root / PATCH_FOLDER}"\nsource "{font}"\n'


def _through_room(samples: Floats, condition: Condition, random: np.random.Generator) -> Floats:
    """Equalised (a hump of 1.6 octaves around each band), with reverberation: noise that decays by 60 dB in the room's
    time, after 10 ms."""
    time = np.arange(int(SAMPLE_RATE * condition.room_sec), dtype=np.float32) / SAMPLE_RATE
    size = scipy.fft.next_fast_len(len(samples) + len(time), real=True)
    octave = np.log2(np.maximum(scipy.fft.rfftfreq(size, 1 / SAMPLE_RATE), 20.0)).astype(np.float32)
    gain_db = sum(
        band * np.exp(-0.5 * ((octave - np.log2(_LOWEST_BAND * 3.0**i)) / 0.8) ** 2)
        for i, band in enumerate(condition.bands_db)
    )
    response = 10 ** (gain_db / 20)
    if len(time):
        tail = random.standard_normal(len(time), np.float32) * 10 ** (-3 * time / condition.room_sec) * (time > 0.01)
        tail /= np.sqrt(np.square(tail).sum())
        response = response * (1 - condition.wet + condition.wet * scipy.fft.rfft(tail, size))
    heard = scipy.fft.irfft(scipy.fft.rfft(samples, size) * response, size)[: len(samples)]
    return np.asarray(heard, np.float32)


def _noise(n: int, random: np.random.Generator) -> Floats:
    """Noise of unit power that falls by 6 dB an octave above 180 Hz, as in rooms."""
    made = lfilter([1.0], [1.0, -0.95], random.standard_normal(n, np.float32))
    return np.asarray(made / max(made.std(), 1e-9), np.float32)
