"""Sound: a score played by a soundfont, as loud as music on the air, whole or one instrument at a time.

Two synthesizers play SoundFont 2 files. ``midirenderer`` comes with Muse; FluidSynth is used when it is installed and
asked for. Both play pedals, controllers and reverb; the same score, soundfont and synthesizer give the same samples.

Conventions
-----------
samples
    float32 [2, n], left and right, full scale ±1.
loudness
    :data:`LOUDNESS_LUFS`, no true peak above :data:`CEILING_DBTP`; see :mod:`muse.render.loudness`.
end
    What rings on after the last note is kept until it is inaudible, :data:`TAIL_SEC` at most.

Contents: :func:`render_audio`, :func:`render_stems`, :func:`play`, :func:`find_soundfont`.
"""

from __future__ import annotations

import importlib.util
import io
import os
import shutil
import subprocess
import sys
import tempfile
import wave
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

import numpy as np
import symusic
from numpy.typing import NDArray

from muse.audio import MAX_SECONDS, write_audio
from muse.errors import InputError, MissingExtraError
from muse.render.loudness import loudness_lufs, set_loudness, true_peak_db
from muse.score import Score, note_array
from muse.theory import instrument_name

__all__ = ["SAMPLE_RATE", "Synthesizer", "find_soundfont", "play", "render_audio", "render_stems"]

Samples = NDArray[np.float32]
Synthesizer = Literal["midirenderer", "fluidsynth"]

SAMPLE_RATE: Final = 48_000
"""Of rendered sound, samples a second."""
LOUDNESS_LUFS: Final = -16.0
"""What streaming and podcasts are mastered to (AES TD1008)."""
CEILING_DBTP: Final = -1.0
"""Leaves room for what lossy codecs add."""
TAIL_SEC: Final = 4.0
SOUNDFONT_VARIABLE: Final = "MUSE_SOUNDFONT"

_INAUDIBLE: Final = 10 ** (-72 / 20)
_FADE_SEC: Final = 0.05
_CHANNELS: Final = 15
"""Of a MIDI file for instruments with pitch; the sixteenth plays drums."""
_EXPRESSION, _SUSTAIN = 11, 64
_UNDEFINED_CONTROL: Final = 3
"""A control change that does nothing."""
_MAX_RUN_SEC: Final = 600
_RECORD_BYTES: Final = {
    b"phdr": 38, b"pbag": 4, b"pmod": 10, b"pgen": 4, b"inst": 22, b"ibag": 4, b"imod": 10, b"igen": 4, b"shdr": 46,
}  # fmt: skip
"""Tables of a soundfont, with the length of a record."""
_REFERENCES: Final = (
    (b"phdr", 24, b"pbag"), (b"pbag", 0, b"pgen"), (b"pbag", 2, b"pmod"),
    (b"inst", 20, b"ibag"), (b"ibag", 0, b"igen"), (b"ibag", 2, b"imod"),
)  # fmt: skip
"""(table, byte of a record where an index stands, the table that it points into): rising, and within it."""
_SOUNDFONTS: Final = (
    "FluidR3_GM.sf2", "FluidR3_GM2-2.sf2", "GeneralUser-GS.sf2", "GeneralUser GS.sf2", "GeneralUser_GS.sf2",
    "MuseScore_General.sf2", "default-GM.sf2", "default.sf2",
)  # fmt: skip
"""Names that General MIDI soundfonts of good sound and free licence have, in order of preference."""


def render_audio(
    score: Score,
    path: str | Path | None = None,
    *,
    sample_rate: int = SAMPLE_RATE,
    soundfont: str | Path | None = None,
    synthesizer: Synthesizer = "midirenderer",
) -> Samples:
    """Play a score by a soundfont.

    Parameters
    ----------
    score
        Any score.
    path
        Where to write the sound, see :data:`muse.audio.CODECS`; nothing is written when None.
    sample_rate
        Samples a second, hertz.
    soundfont
        An SF2 file; what :func:`find_soundfont` finds when None.
    synthesizer
        ``"fluidsynth"`` needs the program of that name.

    Returns
    -------
    numpy.ndarray
        float32 [2, n]; [2, 0] for a score without notes.

    Raises
    ------
    InputError
        There is no such soundfont or it is broken, the synthesizer is not installed, the score is longer than
        :data:`muse.audio.MAX_SECONDS`, or the ending cannot be written.
    MissingExtraError
        The synthesizer has no package for this kind of machine.
    """
    samples = set_loudness(
        play(score, find_soundfont(soundfont), synthesizer), SAMPLE_RATE,
        target_lufs=LOUDNESS_LUFS, ceiling_db=CEILING_DBTP,
    )  # fmt: skip
    samples = _resampled(samples, sample_rate)
    if path is not None:
        write_audio(samples, sample_rate, path)
    return samples


def render_stems(
    score: Score,
    folder: str | Path | None = None,
    *,
    sample_rate: int = SAMPLE_RATE,
    soundfont: str | Path | None = None,
    synthesizer: Synthesizer = "midirenderer",
) -> dict[str, Samples]:
    """Play each instrument of a score alone, all in the balance and at the times that they have in the whole.

    Parameters
    ----------
    score, sample_rate, soundfont, synthesizer
        As for :func:`render_audio`.
    folder
        Where to write ``01-acoustic-grand-piano.wav`` and so on; it is made if need be. Nothing is written when None.

    Returns
    -------
    dict
        Name of each instrument that plays -> float32 [2, n], all of one length. Their sum has the whole's loudness
        where no peak has to be limited; it is turned down where one would pass the ceiling.

    Raises
    ------
    InputError, MissingExtraError
        As for :func:`render_audio`; or the folder cannot be written.
    """
    font = find_soundfont(soundfont)
    groups: dict[str, list[int]] = {}
    for i, track in enumerate(score.tracks):
        if len(track.notes):
            groups.setdefault("drums" if track.is_drum else instrument_name(track.program), []).append(i)
    played = {name: play(score, font, synthesizer, tracks) for name, tracks in groups.items()}
    length = max((one.shape[1] for one in played.values()), default=0)
    played = {name: np.pad(one, ((0, 0), (0, length - one.shape[1]))) for name, one in played.items()}
    gain = _common_gain(list(played.values()))
    stems = {name: _resampled(one * gain, sample_rate) for name, one in played.items()}
    if folder is not None:
        _write_stems(stems, Path(folder), sample_rate)
    return stems


def _common_gain(played: Sequence[Samples]) -> np.float32:
    """The one gain that brings the sum to its loudness, as far as neither it nor a part passes the ceiling."""
    if not played:
        return np.float32(1)
    whole: Samples = np.sum(np.stack(played), axis=0, dtype=np.float32)
    peak = max(true_peak_db(one) for one in (whole, *played))
    loudness = loudness_lufs(whole, SAMPLE_RATE)
    gain_db = CEILING_DBTP - peak
    if np.isfinite(loudness):
        gain_db = min(gain_db, LOUDNESS_LUFS - loudness)
    return np.float32(10 ** (gain_db / 20)) if np.isfinite(gain_db) else np.float32(1)


def _write_stems(stems: dict[str, Samples], folder: Path, sample_rate: int) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error.strerror}): give another folder") from None
    for i, (name, samples) in enumerate(stems.items(), 1):
        write_audio(samples, sample_rate, folder / f"{i:02d}-{name.replace(' ', '-')}.wav")


def find_soundfont(path: str | Path | None = None) -> Path:
    """The soundfont to play with.

    Parameters
    ----------
    path
        An SF2 file. When None: the one named by the environment variable ``MUSE_SOUNDFONT``; else the first of the
        well-known free ones in the folders where systems keep them; else the small one that comes with ``pretty_midi``.

    Raises
    ------
    InputError
        The file named is not there.
    """
    named = path or os.environ.get(SOUNDFONT_VARIABLE)
    if named:
        found = Path(named).expanduser()
        if not found.is_file():
            source = "" if path else f" (from {SOUNDFONT_VARIABLE})"
            raise InputError(
                f"{found}{source}: no such soundfont: give an SF2 file, or install one "
                "(Debian: apt install fluid-soundfont-gm; macOS: brew install fluid-synth)"
            )
        return found
    for folder in _folders():
        for name in _SOUNDFONTS:
            if (folder / name).is_file():
                return folder / name
    package = importlib.util.find_spec("pretty_midi")
    assert package is not None and package.origin is not None  # a core dependency
    return Path(package.origin).parent / "TimGM6mb.sf2"


def _folders() -> list[Path]:
    """Where soundfonts lie on Linux, macOS and Windows, the user's own first."""
    home = Path.home()
    if sys.platform == "darwin":
        brew = [root / "share" for root in (Path("/opt/homebrew"), Path("/usr/local"))]
        folders = [
            home / "Library/Audio/Sounds/Banks", Path("/Library/Audio/Sounds/Banks"),
            *(share / name for share in brew for name in ("soundfonts", "sounds/sf2", "fluid-synth/sf2")),
        ]  # fmt: skip
    elif sys.platform == "win32":
        program_data = Path(os.environ.get("PROGRAMDATA", "C:/ProgramData"))
        folders = [
            home / "soundfonts",
            home / "Documents/soundfonts",
            program_data / "soundfonts",
            Path("C:/soundfonts"),
        ]
    else:
        folders = [
            home / ".local/share/soundfonts", home / ".local/share/sounds/sf2", Path("/usr/local/share/soundfonts"),
            Path("/usr/share/soundfonts"), Path("/usr/share/sounds/sf2"),
        ]  # fmt: skip
    return folders


def play(score: Score, soundfont: Path, synthesizer: Synthesizer, tracks: Sequence[int] | None = None) -> Samples:
    """Samples of some or all tracks, without a change of loudness, cut where they are inaudible."""
    chosen = [score.tracks[i] for i in (range(len(score.tracks)) if tracks is None else tracks)]
    chosen = [track for track in chosen if len(track.notes)]
    if not chosen:
        return np.zeros((2, 0), np.float32)
    if (length := _length_sec(score)) > MAX_SECONDS:
        raise InputError(f"the score lasts {length:.0f} s, {MAX_SECONDS:.0f} s are played: cut it into parts")
    drums = [track for track in chosen if track.is_drum]
    tuned = [track for track in chosen if not track.is_drum]
    groups = [tuned[i : i + _CHANNELS] for i in range(0, len(tuned), _CHANNELS)] or [[]]
    groups[0] = groups[0] + drums
    play = _play_midirenderer if synthesizer == "midirenderer" else _play_fluidsynth
    parts = [play(_with_tail(score, group), soundfont) for group in groups]
    samples = np.zeros((2, max(part.shape[1] for part in parts)), np.float32)
    for part in parts:
        samples[:, : part.shape[1]] += part
    return _cut_tail(samples)


def _length_sec(score: Score) -> float:
    notes = note_array(score)
    return float((notes["onset_sec"] + notes["duration_sec"]).max(initial=0.0))


def _with_tail(score: Score, tracks: Sequence[symusic.core.TrackTick]) -> Score:
    """A score of these tracks that goes on in silence, pedals up, until nothing rings any longer."""
    alone = symusic.Score(score.ticks_per_quarter)
    alone.tempos, alone.time_signatures = score.tempos, score.time_signatures
    end = int(score.end())
    last_qpm = float(score.tempos[-1].qpm) if len(score.tempos) else 120.0
    silence = int(np.ceil(TAIL_SEC * last_qpm / 60 * score.ticks_per_quarter))
    for track in tracks:
        track = track.copy()
        track.controls.append(symusic.ControlChange(end, _SUSTAIN, 0))
        track.controls.append(symusic.ControlChange(end + silence, _UNDEFINED_CONTROL, 0))
        alone.tracks.append(track)
    return alone


def _cut_tail(samples: Samples) -> Samples:
    """Cut inaudible sound off the end, with a short fade."""
    audible = np.flatnonzero(np.abs(samples).max(axis=0) > _INAUDIBLE * float(np.abs(samples).max(initial=0.0)))
    if not len(audible):
        return samples
    fade = round(_FADE_SEC * SAMPLE_RATE)
    samples = samples[:, : audible[-1] + 1 + fade].copy()
    samples[:, -fade:] *= np.linspace(1, 0, min(fade, samples.shape[1]), dtype=np.float32)
    return samples


def _play_midirenderer(score: Score, soundfont: Path) -> Samples:
    """Play with midirenderer, whose 16-bit samples clip where many notes are loud: then again with less expression."""
    try:
        import midirenderer
    except ImportError as error:
        raise MissingExtraError(
            "midirenderer, which plays scores, has no package for this kind of machine: install FluidSynth "
            "(Debian: apt install fluidsynth) and choose the synthesizer 'fluidsynth'"
        ) from error
    _check_soundfont(soundfont)
    data = _font_bytes(soundfont, soundfont.stat().st_mtime_ns)
    for quieter in (1.0, 0.5, 0.25, 0.125):
        try:
            sound = midirenderer.render_wave_from(data, _expressed(score, quieter).dumps_midi())
        except BaseException as error:
            # A panic of the library derives from BaseException and has no public name.
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            raise InputError(f"{soundfont} is no soundfont that can be played ({error}): give an SF2 file") from None
        with wave.open(io.BytesIO(sound)) as stream:
            assert (stream.getframerate(), stream.getsampwidth(), stream.getnchannels()) == (SAMPLE_RATE, 2, 2)
            samples = np.frombuffer(stream.readframes(stream.getnframes()), "<i2").reshape(-1, 2).T
        if not len(samples.T) or (samples.min() > -32768 and samples.max() < 32767):
            break
    return np.ascontiguousarray(samples, dtype=np.float32) / np.float32(32768)


def _expressed(score: Score, share: float) -> Score:
    """The score with all expression multiplied by a share, 0..1."""
    if share == 1.0:
        return score
    score = score.copy()
    for track in score.tracks:
        for control in track.controls:
            if control.number == _EXPRESSION:
                control.value = round(control.value * share)
        if not any(control.number == _EXPRESSION and control.time == 0 for control in track.controls):
            track.controls.append(symusic.ControlChange(0, _EXPRESSION, round(127 * share)))
            track.controls.sort()
    return score


def _play_fluidsynth(score: Score, soundfont: Path) -> Samples:
    program = shutil.which("fluidsynth")
    if program is None:
        raise InputError(
            "FluidSynth is not installed (Debian: apt install fluidsynth; macOS: brew install fluid-synth): "
            "install it, or choose the synthesizer 'midirenderer'"
        )
    _check_soundfont(soundfont)
    with tempfile.TemporaryDirectory(prefix="muse-") as folder:
        midi, raw = Path(folder) / "score.mid", Path(folder) / "sound.raw"
        midi.write_bytes(score.dumps_midi())
        command = [
            program, "-n", "-i", "-q", "-r", str(SAMPLE_RATE), "-g", "0.4", "-T", "raw", "-O", "float", "-E", "little",
            # Only the samples that are played are read: the same sound in half the time where they are compressed.
            "-o", "synth.dynamic-sample-loading=1",
            "-F", str(raw), str(soundfont.resolve()), str(midi),
        ]  # fmt: skip
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=_MAX_RUN_SEC, cwd=folder)
            samples = np.fromfile(raw, "<f4").reshape(-1, 2).T
        except (subprocess.SubprocessError, OSError, ValueError) as error:
            raise InputError(f"FluidSynth could not play this score with {soundfont} ({error})") from None
    return np.ascontiguousarray(samples)


def _check_soundfont(path: Path) -> None:
    """Refuse a file that does not begin as a soundfont does."""
    try:
        with path.open("rb") as stream:
            head = stream.read(12)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): give an SF2 file") from None
    if head[:4] != b"RIFF" or head[8:] != b"sfbk":
        raise InputError(f"{path} is no soundfont: give an SF2 file")


@lru_cache(maxsize=1)
def _font_bytes(path: Path, modified: int) -> bytes:
    """Content of a soundfont, kept for the next piece; *modified* tells versions of a file apart."""
    data = path.read_bytes()
    if not _indices_hold(data):
        raise InputError(f"{path} is no soundfont that can be played (damaged): give an SF2 file")
    return data


def _indices_hold(data: bytes) -> bool:
    """Whether presets, instruments and zones refer to what is there, *SoundFont Technical Specification 2.04*,
    section 7; the synthesizer would break off where they do not."""
    tables: dict[bytes, NDArray[np.uint8]] = {}
    place = data.rfind(b"pdta") + 4
    while 4 <= place <= len(data) - 8 and len(tables) < len(_RECORD_BYTES):
        name, size = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
        record = _RECORD_BYTES.get(name)
        if record is None or size % record or place + 8 + size > len(data):
            return False
        tables[name] = np.frombuffer(data, np.uint8, size, place + 8).reshape(-1, record)
        place += 8 + size
    if len(tables) < len(_RECORD_BYTES):
        return False
    for owner, offset, owned in _REFERENCES:
        index = tables[owner][:, offset : offset + 2].copy().view("<u2")[:, 0].astype(np.int64)
        if not len(index) or (np.diff(index) < 0).any() or index[-1] >= len(tables[owned]):
            return False
    return True


def _resampled(samples: Samples, sample_rate: int) -> Samples:
    if sample_rate == SAMPLE_RATE or not samples.shape[1]:
        return samples
    from scipy.signal import resample_poly

    common = int(np.gcd(sample_rate, SAMPLE_RATE))
    return np.asarray(resample_poly(samples, sample_rate // common, SAMPLE_RATE // common, axis=-1), dtype=np.float32)
