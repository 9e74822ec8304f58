"""Sound in and out: whatever the decoder knows becomes samples, samples become files.

Conventions
-----------
samples
    float32 in -1..1, ``[n]`` for one channel, ``[channels, n]`` for several.
sample_rate
    Samples a second, hertz.
files
    WAV, FLAC, Ogg, MP3, M4A and the sound of videos, through PyAV (FFmpeg's libraries inside its wheel; extra
    ``audio``); nothing is run from outside.

Contents: :func:`read_audio`, :func:`stream_audio`, :func:`as_audio`, :func:`record`, :func:`write_audio`, :func:`mux`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from muse.errors import InputError, require

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer

__all__ = ["as_audio", "mux", "open_media", "read_audio", "record", "stream_audio", "write_audio"]

Samples = NDArray[np.float32]

MAX_SECONDS: Final = 3600.0
"""What :func:`read_audio` takes into memory at once; :func:`stream_audio` has no limit."""
CODECS: Final = {".wav": "pcm_s16le", ".flac": "flac", ".mp3": "libmp3lame", ".m4a": "aac"}
"""Endings that are written, and with which codec."""
_BLOCK: Final = 1 << 15
_LOWEST_RATE, _HIGHEST_RATE = 1_000, 768_000


@contextlib.contextmanager
def open_media(path: str | Path, kind: str) -> Iterator[InputContainer]:
    """A file opened by PyAV; faults of its content while it is read become :class:`~muse.errors.InputError`.

    Parameters
    ----------
    path
        The file.
    kind
        ``"audio"`` or ``"video"``: what must be in it.

    Raises
    ------
    InputError
        The file is missing, empty, no such media or broken.
    """
    av = require("av", "audio" if kind == "audio" else "vision", f"Reading {kind}")
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder: give an {kind} file" if kind == "audio" else f"{path} is a folder")
    if not path.exists():
        raise InputError(f"{path}: no such file: give a file with {kind}")
    if not path.stat().st_size:
        raise InputError(f"{path} is empty: give a file with {kind}")
    av.logging.set_level(None)  # faults are told by us, in one line
    try:
        with av.open(str(path), options={"protocol_whitelist": "file"}) as container:
            if not getattr(container.streams, kind):
                raise InputError(f"{path} has no {kind} in it: give a file with {kind}")
            yield container
    except av.error.FFmpegError as error:
        reason = str(error.strerror or error).lower()
        raise InputError(f"{path} cannot be read as {kind} ({reason}): give a sound file") from None


def stream_audio(path: str | Path, sample_rate: int, block_sec: float = 30.0) -> Iterator[Samples]:
    """One channel of a file in blocks, in bounded memory however long the file is.

    Parameters
    ----------
    path
        The file; several channels are mixed.
    sample_rate
        What the samples are resampled to.
    block_sec
        Length of a block; the last may be shorter.

    Raises
    ------
    InputError
        The file cannot be read; or the decoder found nothing in it.
    """
    av = require("av", "audio", "Reading audio")
    size, kept, count, total = max(int(block_sec * sample_rate), 1), [], 0, 0
    with open_media(path, "audio") as container:
        stream = container.streams.audio[0]
        rate = stream.codec_context.sample_rate
        if not _LOWEST_RATE <= (rate or 0) <= _HIGHEST_RATE:
            raise InputError(f"{path} says it has {rate} samples a second; {_LOWEST_RATE}..{_HIGHEST_RATE} are legal")
        resampler = av.AudioResampler(format="flt", layout="mono", rate=sample_rate)
        frames = (out for frame in _decoded(container, path) for out in resampler.resample(frame))
        for frame in _and_rest(frames, resampler):
            part = frame.to_ndarray().reshape(-1)
            kept.append(part)
            count += len(part)
            while count >= size:
                whole = np.concatenate(kept)
                yield _checked(whole[:size], path)
                kept, count, total = [whole[size:]], count - size, total + size
    if count:
        yield _checked(np.concatenate(kept), path)
    elif not total:
        raise InputError(f"{path} has no sound in it: give a sound file")


def _decoded(container: InputContainer, path: str | Path) -> Iterator[Any]:
    """Frames of sound; a file that breaks off is read up to there, if there was a second or so."""
    av = require("av", "audio", "Reading audio")
    n = 0
    try:
        for frame in container.decode(audio=0):
            n += frame.samples
            yield frame
    except av.error.FFmpegError:
        if n < container.streams.audio[0].codec_context.sample_rate:
            raise


def _and_rest(frames: Iterator[Any], resampler: Any) -> Iterator[Any]:
    any_came = False
    for frame in frames:
        any_came = True
        yield frame
    if any_came:
        yield from resampler.resample(None)


def _checked(samples: Samples, path: str | Path) -> Samples:
    if not np.isfinite(samples).all():
        raise InputError(f"{path} has samples that are not finite: export it again")
    return samples


def read_audio(path: str | Path, sample_rate: int, *, max_sec: float = MAX_SECONDS) -> Samples:
    """One channel of a whole file, float32 [n].

    Raises
    ------
    InputError
        The file cannot be read, or is longer than `max_sec`.
    """
    blocks, n = [], 0
    for block in stream_audio(path, sample_rate):
        blocks.append(block)
        n += len(block)
        if n > max_sec * sample_rate:
            raise InputError(f"{path} is longer than {max_sec:g} s: cut out the part that is meant")
    return np.concatenate(blocks)


def as_audio(samples: Any, sample_rate: int | None, target_rate: int) -> Samples:
    """An array as one channel at another rate, float32 [n].

    Parameters
    ----------
    samples
        Float in -1..1 or integers of 8 (unsigned), 16 or 32 bit; [n], [channels, n] or [n, channels].
    sample_rate
        Of the array.
    target_rate
        Of the result.

    Raises
    ------
    InputError
        It is no sound: empty, not finite, too many dimensions, no rate.
    """
    array = np.asarray(samples)
    if sample_rate is None or not _LOWEST_RATE <= sample_rate <= _HIGHEST_RATE:
        raise InputError(f"sample_rate is {sample_rate}; {_LOWEST_RATE}..{_HIGHEST_RATE} are legal beside an array")
    if array.ndim not in (1, 2) or not array.size or array.dtype.kind not in "fiu":
        raise InputError(
            f"an array of shape {array.shape} and type {array.dtype} is no sound: give [n] or [channels, n]"
        )
    kind = array.dtype
    if array.ndim == 2:
        array = array.mean(axis=int(np.argmin(array.shape)))
    values = array.astype(np.float64)
    if kind.kind in "iu":
        bits = 8 * kind.itemsize
        values = (values - (2.0 ** (bits - 1) if kind.kind == "u" else 0.0)) / 2.0 ** (bits - 1)
    if not np.isfinite(values).all():
        raise InputError("the samples are not finite: replace NaN and infinity")
    if sample_rate != target_rate:
        from scipy.signal import resample_poly

        ratio = Fraction(target_rate, sample_rate).limit_denominator(1000)
        values = resample_poly(values, ratio.numerator, ratio.denominator)
    return values.astype(np.float32)


def record(seconds: float, sample_rate: int) -> Samples:
    """Record one channel from the microphone, float32 [n].

    Raises
    ------
    MissingExtraError
        The package ``sounddevice`` is not installed.
    InputError
        There is no microphone.
    """
    try:
        device = require("sounddevice", "microphone", "Recording")
        samples = device.rec(int(seconds * sample_rate), sample_rate, channels=1, dtype="float32", blocking=True)
    except OSError as error:  # PortAudio is absent, or has no device
        raise InputError(f"nothing can be recorded here ({error}): give a file") from None
    return np.asarray(samples[:, 0], np.float32)


# ----------------------------------------------------------------------------------------------------------------- out


@contextlib.contextmanager
def _written(path: str | Path) -> Iterator[OutputContainer]:
    """A file that appears whole or not at all."""
    av = require("av", "audio", "Writing audio")
    path = Path(path)
    av.logging.set_level(None)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        try:
            with av.open(str(temporary), "w") as container:
                yield container
        except (av.error.FFmpegError, ValueError) as error:
            raise InputError(f"{path} cannot be written ({error}): choose another ending, for example .mp4") from None
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_audio(samples: NDArray[np.floating], sample_rate: int, path: str | Path) -> None:
    """Write samples [n] or [2, n] in the format of the path's ending, see :data:`CODECS`.

    Raises
    ------
    InputError
        The ending is unknown.
    """
    ending = Path(path).suffix.lower()
    if ending not in CODECS:
        raise InputError(f"{path}: sound is written as {', '.join(CODECS)}; choose one of these endings")
    with _written(path) as container:
        stream: Any = container.add_stream(CODECS[ending], rate=sample_rate)
        stream.layout = "stereo" if np.ndim(samples) == 2 else "mono"
        _encode(container, stream, samples, sample_rate)


def _encode(container: OutputContainer, stream: Any, samples: NDArray[np.floating], sample_rate: int) -> None:
    av = require("av", "audio", "Writing audio")
    planar = np.atleast_2d(np.clip(samples, -1, 1)).astype(np.float32)
    layout = "stereo" if len(planar) == 2 else "mono"
    for first in range(0, planar.shape[1], _BLOCK):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(planar[:, first : first + _BLOCK]), "fltp", layout)
        frame.sample_rate, frame.pts = sample_rate, first
        frame.time_base = Fraction(1, sample_rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def mux(video: str | Path, samples: NDArray[np.floating], sample_rate: int, path: str | Path) -> None:
    """Write a video with other sound: its pictures are copied as they are, the sound is cut to their length.

    Parameters
    ----------
    video
        The pictures.
    samples
        The sound, [n] or [2, n]; it fades out over the last half second if it is longer than the pictures.
    path
        What is written, ``.mp4`` or another container that takes the video's codec and AAC.

    Raises
    ------
    InputError
        The video cannot be read, or not be put into such a container.
    """
    if Path(video).resolve() == Path(path).resolve():
        raise InputError(f"{path} would be written over the video: choose another name")
    with open_media(video, "video") as source, _written(path) as container:
        pictures = source.streams.video[0]
        copied: Any = container.add_stream_from_template(pictures)
        sound: Any = container.add_stream("aac", rate=sample_rate)
        sound.layout = "stereo" if np.ndim(samples) == 2 else "mono"
        end = Fraction(0)
        for packet in source.demux(pictures):
            if packet.dts is None:
                continue
            if packet.pts is not None and packet.time_base is not None:
                end = max(end, (packet.pts + (packet.duration or 0)) * packet.time_base)
            packet.stream = copied
            container.mux(packet)
        n = min(int(end * sample_rate), np.shape(samples)[-1])
        kept = np.array(np.atleast_2d(samples)[:, :n], np.float32)
        if n < np.shape(samples)[-1]:
            fade = min(n, sample_rate // 2)
            kept[:, n - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
        _encode(container, sound, kept if np.ndim(samples) == 2 else kept[0], sample_rate)
