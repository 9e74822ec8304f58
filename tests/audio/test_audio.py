"""Sound files as they lie on people's disks: odd tags, names, containers, and files that are none."""

from __future__ import annotations

import itertools
import os
import struct
import time
from pathlib import Path

import numpy as np
import pytest

from muse.audio import MAX_BYTES, as_audio, mux, open_media, read_audio, stream_audio, stream_rates, write_audio
from muse.errors import InputError

RATE = 16_000


def tone(seconds: float = 2.0, rate: int = RATE) -> np.ndarray:
    return (0.3 * np.sin(np.arange(int(seconds * rate)) * 2 * np.pi * 330 / rate)).astype(np.float32)


def written(path: Path, seconds: float = 2.0) -> bytes:
    write_audio(tone(seconds), RATE, path)
    return path.read_bytes()


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WAVE" + b"".join(
        name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def float_wav(samples: np.ndarray) -> bytes:
    head = struct.pack("<HHIIHH", 3, 1, RATE, 4 * RATE, 4, 32)
    return riff((b"fmt ", head), (b"data", samples.astype("<f4").tobytes()))


def test_text_tags_need_not_be_utf8(tmp_path: Path) -> None:
    info = b"INFO" + b"IART" + struct.pack("<I", 6) + b"Andr\xe9\0"
    wav = written(tmp_path / "plain.wav")
    (tmp_path / "info.wav").write_bytes(riff((b"LIST", info), (b"fmt ", wav[20:36]), (b"data", wav[-64_000:])))
    mp3 = written(tmp_path / "plain.mp3")
    start = 10 + int.from_bytes(bytes(mp3[6:10])) if mp3.startswith(b"ID3") else 0
    tag = (
        b"TAG"
        + b"Caf\xe9".ljust(30, b"\0")
        + b"Andr\xe9".ljust(30, b"\0")
        + b"\0" * 30
        + b"1999"
        + b"\0" * 30
        + b"\x0c"
    )
    (tmp_path / "id3v1.mp3").write_bytes(mp3[start:] + tag)
    flac = written(tmp_path / "plain.flac")
    comment = struct.pack("<I", 4) + b"muse" + struct.pack("<II", 1, 12) + b"ARTIST=Andr\xe9"
    block = bytes([4]) + len(comment).to_bytes(3) + comment
    (tmp_path / "vorbis.flac").write_bytes(flac[:4] + bytes([flac[4] & 0x7F]) + flac[5:42] + block + flac[42:])
    for name in ("info.wav", "id3v1.mp3", "vorbis.flac"):
        assert len(read_audio(tmp_path / name, RATE)) == pytest.approx(2 * RATE, rel=0.05), name


def test_file_names_need_not_be_utf8(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav"))
    try:
        path.write_bytes(written(tmp_path / "plain.wav"))
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    assert len(read_audio(path, RATE)) == 2 * RATE


def test_what_is_no_ordinary_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")  # opening it would wait for a writer
    with pytest.raises(InputError, match="is a pipe or a device"):
        read_audio(tmp_path / "pipe.wav", RATE)
    with pytest.raises(InputError, match="is a folder"):
        read_audio(tmp_path, RATE)
    with pytest.raises(InputError, match="no such file"):
        read_audio(tmp_path / "absent.wav", RATE)
    with pytest.raises(InputError, match="cannot be read"):
        read_audio("a\0b.wav", RATE)
    (tmp_path / "empty.wav").touch()
    with pytest.raises(InputError, match="is empty"):
        read_audio(tmp_path / "empty.wav", RATE)
    with (tmp_path / "sparse.wav").open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    with pytest.raises(InputError, match="cut it into parts"):
        read_audio(tmp_path / "sparse.wav", RATE)


def test_gigabytes_without_sound_are_not_searched_to_their_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muse.audio.MOST_WAIT_SEC", 0.2)
    with (tmp_path / "sparse.mp3").open("wb") as stream:
        stream.write(b"ID3\x04\0\0\0\0\0\0")
        stream.truncate(1 << 30)
    started = time.monotonic()
    with pytest.raises(InputError, match=r"sparse\.mp3"):
        read_audio(tmp_path / "sparse.mp3", RATE)
    assert time.monotonic() - started < 15  # a minute where all of it is read


@pytest.mark.parametrize(
    "text", ["ffconcat version 1.0\nfile plain.wav\n", "\ufeff#EXTM3U\nplain.wav\n", "[playlist]\nFile1=plain.wav\n"]
)
def test_lists_of_other_files_are_refused(tmp_path: Path, text: str) -> None:
    written(tmp_path / "plain.wav")
    (tmp_path / "list.wav").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="is a playlist"):
        read_audio(tmp_path / "list.wav", RATE)


def test_only_known_containers_are_opened(tmp_path: Path) -> None:
    for name, text in (
        ("a.mp3", "# a comment first\nffconcat version 1.0\nfile plain.wav\n"),
        ("b.wav", "v=0\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n"),
    ):
        written(tmp_path / "plain.wav")
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match="cannot be read as audio"):
            read_audio(tmp_path / name, RATE)


def test_an_unknown_codec_is_named_as_the_fault(tmp_path: Path) -> None:
    head = struct.pack("<HHIIHH", 0xFFAA, 1, RATE, 2 * RATE, 2, 16)
    (tmp_path / "odd.wav").write_bytes(riff((b"fmt ", head), (b"data", b"\0" * 8000)))
    with pytest.raises(InputError, match=r"format that is not known|cannot be read"):
        read_audio(tmp_path / "odd.wav", RATE)


def test_samples_beyond_all_measure_are_refused(tmp_path: Path) -> None:
    loud = tone()
    loud[1000:1100] = 1e20
    (tmp_path / "loud.wav").write_bytes(float_wav(loud))
    with pytest.raises(InputError, match=r"samples of 1e\+20"):
        read_audio(tmp_path / "loud.wav", RATE)
    with pytest.raises(InputError, match=r"samples of 1e\+20"):
        as_audio(loud, RATE, RATE)
    loud[1000] = np.nan
    (tmp_path / "nan.wav").write_bytes(float_wav(loud))
    with pytest.raises(InputError, match="not finite"):
        read_audio(tmp_path / "nan.wav", RATE)


def test_a_file_whose_rate_changes_midway_is_read_whole(tmp_path: Path) -> None:
    import av

    data = b""
    for rate, layout in ((16_000, "mono"), (48_000, "stereo")):
        with av.open(str(tmp_path / "part.aac"), "w", format="adts") as container:
            stream = container.add_stream("aac", rate=rate)
            stream.layout = layout
            planar = np.stack([tone(2.0, rate)] * (1 if layout == "mono" else 2))
            frame = av.AudioFrame.from_ndarray(planar, "fltp", layout)
            frame.sample_rate = rate
            container.mux([*stream.encode(frame), *stream.encode(None)])
        data += (tmp_path / "part.aac").read_bytes()
    (tmp_path / "both.aac").write_bytes(data)
    assert len(read_audio(tmp_path / "both.aac", RATE)) == pytest.approx(4 * RATE, rel=0.1)


def test_a_failed_write_leaves_nothing_and_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"a\.wav: cannot be written"):
        write_audio(tone(), RATE, tmp_path / "file" / "a.wav")
    written(tmp_path / "a.wav")
    with pytest.raises(InputError, match="has no video in it"):
        mux(tmp_path / "a.wav", tone(), RATE, tmp_path / "b.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "file"]


@pytest.mark.parametrize("ending", [".wav", ".flac", ".mp3", ".m4a"])
def test_a_full_disk_is_no_fault_of_the_ending(tmp_path: Path, ending: str) -> None:
    resource = pytest.importorskip("resource")
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, RATE * 4).astype(np.float32)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, before[1]))  # the system refuses all beyond, as a full disk does
    try:
        with pytest.raises(InputError) as caught:
            write_audio(samples, RATE, tmp_path / f"a{ending}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'a'}{ending}: cannot be written (") and "free space" in message
    assert ".part" not in message and not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", [".wav", ".flac", ".mp3", ".m4a"])
def test_broken_sound_is_one_line_or_a_result(tmp_path: Path, ending: str, rng: np.random.Generator) -> None:
    whole = written(tmp_path / f"whole{ending}", 1.0)
    for k in range(12):
        data = bytearray(whole)
        if k % 3 == 0:
            data = data[: rng.integers(1, len(data))]
        else:
            for place in rng.integers(0, min(len(data), 200) if k % 3 == 1 else len(data), 8):
                data[place] = rng.integers(256)
        path = tmp_path / f"{k}{ending}"
        path.write_bytes(data)
        fault = path.name
        try:
            for block in itertools.islice(stream_audio(path, RATE), 4):
                assert np.isfinite(block).all()
        except InputError as error:
            fault = str(error)
        assert "\n" not in fault and path.name in fault


@pytest.mark.parametrize("ending", [".wav", ".mp3"])
def test_a_file_is_the_same_at_each_of_several_rates_as_alone(tmp_path: Path, ending: str) -> None:
    written(path := tmp_path / f"a{ending}", 1.7)
    rates = (RATE, 22_050)
    blocks: dict[int, list[np.ndarray]] = {0: [], 1: []}
    order = []
    for which, block in stream_rates(path, None, rates, 0.5):
        blocks[which].append(block)
        order.append(which)
    assert order[:6] == [0, 1, 0, 1, 0, 1]  # they keep pace
    for which, rate in enumerate(rates):
        np.testing.assert_array_equal(np.concatenate(blocks[which]), read_audio(path, rate))
        assert [len(block) for block in blocks[which][:-1]] == [rate // 2] * 3
    given = tone(1.0)
    parts = list(stream_rates(given, RATE, rates, 0.5))
    assert [which for which, _ in parts] == [0, 0, 1, 1]
    faster = np.concatenate([part for which, part in parts if which])
    np.testing.assert_array_equal(faster, as_audio(given, RATE, rates[1]))


def test_media_are_opened_by_kind(tmp_path: Path) -> None:
    written(tmp_path / "a.wav")
    with open_media(tmp_path / "a.wav", "audio") as container:
        assert container.streams.audio[0].codec_context.sample_rate == RATE
