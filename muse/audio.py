"""Sound in and out: whatever the decoder knows becomes samples, samples become files.

Conventions
-----------
samples
    float32 in -1..1, ``[n]`` for one channel, ``[channels, n]`` for several.
sample_rate
    Samples a second, hertz.
files
    WAV, FLAC, Ogg, MP3, M4A and the sound of videos (:data:`FORMATS`), through PyAV (FFmpeg's libraries inside its
    wheel; extra ``audio``); nothing is run from outside. Playlists and other lists of files are refused.

Contents: :func:`sound_files`, :func:`open_media`, :func:`read_audio`, :func:`stream_audio`, :func:`stream_rates`,
:func:`as_audio`, :func:`record`; :func:`write_audio`, :func:`mux`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from muse.errors import InputError, require
from muse.files import replacing

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer

__all__ = [
    "AUDIO_SUFFIXES",
    "as_audio",
    "mux",
    "open_media",
    "read_audio",
    "record",
    "sound_files",
    "stream_audio",
    "stream_rates",
    "write_audio",
]

Samples = NDArray[np.float32]

MAX_SECONDS: Final = 3600.0
"""What :func:`read_audio` takes into memory at once; :func:`stream_audio` has no limit."""
AUDIO_SUFFIXES: Final = (".mp3", ".wav", ".flac", ".ogg", ".m4a")
"""Endings by which sound files are found in folders."""
CODECS: Final = {".wav": "pcm_s16le", ".flac": "flac", ".ogg": "libopus", ".mp3": "libmp3lame", ".m4a": "aac"}
"""Endings that are written, and with which codec."""
FORMATS: Final = (
    "wav", "w64", "aiff", "au", "caf", "flac", "ogg", "mp3", "aac", "mov", "matroska", "avi", "mpegts", "mpeg", "asf",
    "flv", "ape", "wv", "tta", "ac3", "eac3", "amr", "dsf", "gif",
)  # fmt: skip
"""Containers that are read, by FFmpeg's names. None of them refers to other files or addresses, as playlists do."""
PLAYLISTS: Final = (b"#extm3u", b"ffconcat", b"[playlist]", b"<?xml", b"<asx", b"<smil", b"<mpd")
"""How files begin that name other files; refused with a message of their own."""
MAX_BYTES: Final = 4 << 30
"""Of a file: the most that WAV can hold, six hours of it in CD quality."""
MOST_WAIT_SEC: Final = 8.0
"""For a file to be opened, and for its next packet: gigabytes without any sound are not searched to their end."""
MAX_LEVEL: Final = 1e6
"""Of a sample, where 1 is full scale; above it float32 spectra would overflow."""
_BLOCK: Final = 1 << 15
_OPUS_RATE: Final = 48_000
"""Hertz, of Opus, whatever goes in."""
_LOWEST_RATE, _HIGHEST_RATE = 1_000, 768_000


def sound_files(folder: str | Path) -> list[Path]:
    """Sound files below a folder, by their endings, in order.

    Raises
    ------
    InputError
        There is none, or the folder cannot be read.
    """
    folder = Path(folder)
    try:
        found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file())
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({error.strerror}): give another folder") from None
    if not found:
        raise InputError(f"{folder} has no sound files ({', '.join(AUDIO_SUFFIXES)}) in it")
    return found


@contextlib.contextmanager
def open_media(path: str | Path, kind: str) -> Iterator[InputContainer]:
    """A file opened by PyAV; faults of its content while it is read become :class:`~muse.errors.InputError`.

    Text tags in another encoding than UTF-8 are read with replacement characters; nothing here depends on them.

    Parameters
    ----------
    path
        The file.
    kind
        ``"audio"`` or ``"video"``: what must be in it.

    Raises
    ------
    InputError
        It is no ordinary file, missing, empty, larger than :data:`MAX_BYTES`, none of :data:`FORMATS`, a playlist,
        without such a stream, of an unknown codec, or broken.
    """
    av = require("av", "audio" if kind == "audio" else "vision", f"Reading {kind}")
    path = Path(path)
    _checked_file(path, kind)
    av.logging.set_level(None)  # we report faults ourselves, in one line
    options = {"protocol_whitelist": "file", "format_whitelist": ",".join(FORMATS)}
    try:
        with av.open(str(path), options=options, metadata_errors="replace", timeout=MOST_WAIT_SEC) as container:
            streams = getattr(container.streams, kind)
            if not streams:
                raise InputError(f"{path} has no {kind} in it: give a file with {kind}")
            if streams[0].codec_context is None:
                raise InputError(f"{path} has {kind} in a format that is not known: convert it to another")
            yield container
    except av.error.ExitError:
        raise InputError(
            f"{path} has no {kind} within {MOST_WAIT_SEC:g} s of reading: give a file with {kind}"
        ) from None
    except av.error.FFmpegError as error:
        reason = str(error.strerror or error).lower()
        raise InputError(f"{path} cannot be read as {kind} ({reason}): give a file with {kind}") from None


def _checked_file(path: Path, kind: str) -> None:
    """Refuse before a decoder sees it what is no file of bounded size, or names other files."""
    wanted = f"give a file with {kind}"
    try:
        facts = path.stat()
        if stat.S_ISDIR(facts.st_mode):
            raise InputError(f"{path} is a folder: {wanted}")
        if not stat.S_ISREG(facts.st_mode):  # opening a pipe or a device can wait for ever
            raise InputError(f"{path} is a pipe or a device: {wanted}")
        if not facts.st_size:
            raise InputError(f"{path} is empty: {wanted}")
        if facts.st_size > MAX_BYTES:
            raise InputError(
                f"{path} has {facts.st_size / 2**30:.1f} GB, at most {MAX_BYTES >> 30} are read: cut it into parts"
            )
        with path.open("rb") as stream:
            start = stream.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file: {wanted}") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read ({getattr(error, 'strerror', None) or error}): {wanted}") from None
    if start.startswith(PLAYLISTS):
        raise InputError(f"{path} is a playlist, which names other files: give those")


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
        The file cannot be read; the decoder found nothing in it; samples are not finite or beyond :data:`MAX_LEVEL`.
    """
    return (block for _, block in stream_rates(path, None, (sample_rate,), block_sec))


def stream_rates(
    source: str | Path | NDArray[Any], sample_rate: int | None, target_rates: Sequence[int], block_sec: float = 30.0
) -> Iterator[tuple[int, Samples]]:
    """One channel of a sound at several rates, in blocks: the index of the rate, and the block.

    A file is decoded once, and its memory is bounded however long it is; the blocks of all rates keep pace with each
    other. Of an array those of each rate come together.

    Parameters
    ----------
    source
        A file, or what :func:`as_audio` takes.
    sample_rate
        Of an array, hertz.
    target_rates
        What the samples are resampled to.
    block_sec
        Length of a block; the last of each rate may be shorter.

    Raises
    ------
    InputError
        As :func:`stream_audio` or :func:`as_audio`.
    """
    sizes = [max(int(block_sec * rate), 1) for rate in target_rates]
    if not isinstance(source, (str, Path)):
        for i, rate in enumerate(target_rates):
            samples = as_audio(source, sample_rate, rate)
            yield from ((i, samples[first : first + sizes[i]]) for first in range(0, len(samples), sizes[i]))
        return
    waiting: list[list[Samples]] = [[] for _ in target_rates]
    count, total = [0] * len(sizes), 0
    with open_media(source, "audio") as container:
        for i, frame in _mono(_decoded(container), target_rates, source):
            part = frame.to_ndarray().reshape(-1)
            waiting[i].append(part)
            count[i] += len(part)
            total += len(part)
            while count[i] >= sizes[i]:
                whole = np.concatenate(waiting[i])
                yield i, _checked(whole[: sizes[i]], str(source))
                waiting[i], count[i] = [whole[sizes[i] :]], count[i] - sizes[i]
    if not total:
        raise InputError(f"{source} has no sound in it: give a file with audio")
    for i, parts in enumerate(waiting):
        if count[i]:
            yield i, _checked(np.concatenate(parts), str(source))


def _decoded(container: InputContainer) -> Iterator[Any]:
    """Frames of sound; a file that breaks off is read up to there, if there was a second or so."""
    av = require("av", "audio", "Reading audio")
    n = 0
    try:
        for frame in container.decode(audio=0):
            n += frame.samples
            yield frame
    except av.error.FFmpegError:
        if n < (container.streams.audio[0].codec_context.sample_rate or _HIGHEST_RATE):
            raise


def _mono(frames: Iterator[Any], sample_rates: Sequence[int], path: str | Path) -> Iterator[tuple[int, Any]]:
    """Frames as float in one channel, with the index of their rate; broken and joined files change their own rate and
    channels midway."""
    av = require("av", "audio", "Reading audio")
    resamplers: list[Any] = []
    last = None
    for frame in frames:
        found = (frame.sample_rate, frame.layout.name, frame.format.name)
        if found != last:
            if not _LOWEST_RATE <= (frame.sample_rate or 0) <= _HIGHEST_RATE:
                rates = f"{_LOWEST_RATE}..{_HIGHEST_RATE} are legal"
                raise InputError(f"{path} says it has {frame.sample_rate} samples a second; {rates}")
            yield from _resampled(resamplers, None)
            resamplers = [av.AudioResampler(format="flt", layout="mono", rate=rate) for rate in sample_rates]
            last = found
        yield from _resampled(resamplers, frame)
    yield from _resampled(resamplers, None)


def _resampled(resamplers: Sequence[Any], frame: Any) -> Iterator[tuple[int, Any]]:
    """What each makes of a frame, or still holds where there is none any more."""
    return ((i, out) for i, one in enumerate(resamplers) for out in one.resample(frame))


def _checked(samples: NDArray[Any], what: str) -> NDArray[Any]:
    """The same, refused where a spectrum of it would not be finite."""
    if not np.isfinite(samples).all():
        raise InputError(f"{what} has samples that are not finite: export it again")
    if (peak := float(np.abs(samples).max(initial=0.0))) > MAX_LEVEL:
        raise InputError(f"{what} has samples of {peak:.3g}, where full scale is 1: export it again")
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
    _checked(values, "the array")
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
    with replacing(path) as temporary:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Without marks of the time and of versions, the same sound gives the same bytes.
            with av.open(str(temporary), "w", container_options={"fflags": "+bitexact"}) as container:
                yield container
        except InputError:
            raise
        except (av.error.FFmpegError, ValueError) as error:
            code = getattr(error, "errno", None)
            if code is not None and code in errno.errorcode and code != errno.EINVAL:  # a full disk, no permission
                raise OSError(code, os.strerror(code)) from None
            raise InputError(f"{path} cannot be written ({error}): choose another ending, for example .mp4") from None


def write_audio(
    samples: NDArray[np.floating], sample_rate: int, path: str | Path, *, bit_rate: int | None = None
) -> None:
    """Write samples [n] or [2, n] in the format of the path's ending, see :data:`CODECS`.

    Parameters
    ----------
    bit_rate
        Bits a second, where the format loses anything at all; the encoder's own choice when None.

    Raises
    ------
    InputError
        The ending is unknown.
    """
    ending = Path(path).suffix.lower()
    if ending not in CODECS:
        raise InputError(f"{path}: sound is written as {', '.join(CODECS)}; choose one of these endings")
    with _written(path) as container:
        rate = _OPUS_RATE if CODECS[ending] == "libopus" else sample_rate
        stream: Any = container.add_stream(CODECS[ending], rate=rate)
        stream.layout = "stereo" if np.ndim(samples) == 2 else "mono"
        if bit_rate is not None:
            stream.bit_rate = bit_rate
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
        cut = np.array(np.atleast_2d(samples)[:, :n], np.float32)
        if n < np.shape(samples)[-1]:
            fade = min(n, sample_rate // 2)
            cut[:, n - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
        _encode(container, sound, cut if np.ndim(samples) == 2 else cut[0], sample_rate)
