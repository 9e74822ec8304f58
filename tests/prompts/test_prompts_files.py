"""Pictures, videos, hummed tunes and examples: what is read, what is refused, and that nothing is fetched."""

from __future__ import annotations

import io
import socket
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from muse.audio import CODECS, as_audio, mux, read_audio, stream_audio, write_audio
from muse.errors import InputError
from muse.prompts import parse_example, parse_humming, parse_image, parse_prompts, parse_tags, parse_text, parse_video
from muse.prompts.example.parse import HEARD
from muse.prompts.humming.grid import on_grid
from muse.prompts.humming.transcribe import SAMPLE_RATE, Note
from muse.prompts.image.colours import colours
from muse.prompts.image.picture import read_picture
from muse.prompts.image.reader import load_reader
from muse.prompts.video.shots import find_shots
from muse.render import SAMPLE_RATE as RENDER_RATE
from muse.render import render_audio
from muse.score import NOTE_DTYPE, from_notes, note_array, write_score

av = pytest.importorskip("av")
pytest.importorskip("swift_f0")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reaches for the network fails."""

    def refuse(*_: object, **__: object) -> Any:
        raise AssertionError("the network was touched")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)


def scene(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """A smooth picture in colours of its own."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def tune(
    pitches: list[int], beats: list[float], *, tempo: float = 100, rate: int = SAMPLE_RATE, cents: float = 0
) -> np.ndarray:
    """A hummed tune: a few harmonics, a little vibrato, a breath between notes."""
    rng, parts = np.random.default_rng(0), [np.zeros(int(0.3 * rate))]
    for pitch, length in zip(pitches, beats, strict=True):
        n = int(length * 60 / tempo * rate)
        time = np.arange(n) / rate
        bend = 0.2 * np.sin(2 * np.pi * 5.5 * time) * np.clip((time - 0.15) / 0.1, 0, 1)
        phase = 2 * np.pi * np.cumsum(440 * 2 ** ((pitch - 69 + cents / 100 + bend) / 12)) / rate
        voice = sum(np.sin(h * phase) / h**1.5 for h in range(1, 8))
        parts.append(voice * np.clip(time / 0.03, 0, 1) * np.clip((time[-1] - time) / 0.05, 0, 1))
    voice = np.concatenate([*parts, np.zeros(int(0.3 * rate))])
    return (0.4 * voice / np.abs(voice).max() + 0.002 * rng.normal(size=len(voice))).astype(np.float32)


PITCHES, BEATS = [60, 62, 64, 65, 67, 67, 69, 67, 64, 60], [1, 1, 0.5, 0.5, 1, 1, 0.5, 0.5, 1, 2.0]


def video(path: Path, pictures: list[Image.Image], seconds: float, *, rate: int = 12) -> Path:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for picture in pictures:
            for _ in range(int(seconds * rate)):
                container.mux(stream.encode(av.VideoFrame.from_image(picture)))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return video(tmp_path_factory.mktemp("video") / "shots.mp4", [scene(k) for k in range(4)], 2.0)


# ------------------------------------------------------------------------------------------------------------- pictures


def test_a_picture_is_upright_on_white_and_small(tmp_path: Path) -> None:
    picture = Image.new("RGB", (600, 400), "blue")
    picture.paste("red", (0, 0, 300, 400))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter to the right
    picture.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    upright = read_picture(tmp_path / "turned.jpg")
    assert upright.shape[0] > upright.shape[1] and min(upright.shape[:2]) == 256
    assert upright[5, 128, 0] > 200 and upright[-5, 128, 2] > 200  # red came from the left to the top

    clear = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    assert (read_picture(clear) == 255).all()
    palette = clear.convert("P")
    palette.info["transparency"] = 0
    assert read_picture(palette).shape == (64, 64, 3)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "LAB", "HSV", "I;16", "I", "F", "LA", "RGBA", "YCbCr"])
def test_every_mode_of_pixels_is_read(mode: str) -> None:
    grey = np.tile(np.linspace(0, 255, 64), (64, 1))
    if mode in ("I;16", "I"):
        picture = Image.fromarray((grey * 257).astype(np.uint16)).convert(mode) if mode == "I" else Image.fromarray(
            (grey * 257).astype(np.uint16)
        )  # fmt: skip
    elif mode == "F":
        picture = Image.fromarray((grey / 255).astype(np.float32))
    elif mode == "LAB":
        picture = Image.new("LAB", (64, 64), (128, 0, 0))
    else:
        picture = Image.fromarray(grey.astype(np.uint8)).convert("RGB").convert(mode)
    read = read_picture(picture)
    assert read.shape == (64, 64, 3) and read.dtype == np.uint8
    if mode not in ("LAB", "1"):
        assert read[:, -1].mean() > read[:, 0].mean() + 150


def test_arrays_bytes_and_files_are_read_alike(tmp_path: Path) -> None:
    picture = scene(1)
    picture.save(tmp_path / "one.png")
    read = [
        read_picture(source)
        for source in (picture, np.asarray(picture), (tmp_path / "one.png").read_bytes(), tmp_path / "one.png")
    ]
    for other in read[1:]:
        np.testing.assert_array_equal(read[0], other)
    np.testing.assert_allclose(read_picture(np.asarray(picture) / 255.0), read[0], atol=1)


def test_of_an_animation_the_middle_is_seen(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(tmp_path / "three.gif", save_all=True, append_images=frames[1:])
    assert read_picture(tmp_path / "three.gif").reshape(-1, 3).mean(0).argmax() == 1


def test_colours_follow_the_published_equations() -> None:
    found = colours(np.full((10, 10, 3), (255, 0, 0), np.uint8))
    assert found["brightness"] == found["saturation"] == 1 and found["contrast"] == 0
    assert found["pleasure"] == pytest.approx(0.91) and found["arousal"] == pytest.approx(0.29)
    grey = colours(np.full((10, 10, 3), 128, np.uint8))
    assert grey["saturation"] == grey["colourfulness"] == 0 and grey["brightness"] == pytest.approx(128 / 255)
    # Half red, half blue: by hand from equations 7 to 9 of Hasler & Süsstrunk.
    halves = np.zeros((10, 10, 3), np.uint8)
    halves[:5, :, 0] = halves[5:, :, 2] = 255
    spread = np.hypot(127.5, 191.25) + 0.3 * np.hypot(127.5, -63.75)
    assert colours(halves)["colourfulness"] == pytest.approx(spread)


def test_a_picture_becomes_an_emotion_with_evidence(tmp_path: Path) -> None:
    scene(2).save(tmp_path / "two.png")
    parsed = parse_image(tmp_path / "two.png")
    assert parsed.stated.keys() == {"emotion"} and parsed.found("scene")
    assert 0.2 < parsed.spread[0] < 0.7 and 0.2 < parsed.spread[1] < 0.7
    again = parse_image(tmp_path / "two.png")
    assert parsed.to_dict() == again.to_dict()


def test_without_the_encoder_colours_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    import muse.prompts.image.reader as module

    def absent(name: str, *rest: Any) -> Any:
        if name == "onnxruntime":
            raise ImportError(name)
        return real(name, *rest)

    real = module.require
    module._session.cache_clear()
    monkeypatch.setattr(module, "require", absent)
    parsed = parse_image(scene(2))
    assert any("colours alone" in note for note in parsed.notes) and parsed.intent.emotion is not None
    assert not parsed.found("scene")


# --------------------------------------------------------------------------------------------------------------- videos


def test_shots_are_found_and_the_music_lasts_as_long(shots: Path) -> None:
    parsed = parse_video(shots)
    found = parsed.found("shot")
    assert [round(one["start_sec"]) for one in found] == [0, 2, 4, 6]
    intent = parsed.intent
    assert intent.tempo_bpm is not None and intent.emotion is not None
    assert intent.bars * 4 * 60 / intent.tempo_bpm == pytest.approx(8.0, abs=0.05)
    assert len(intent.emotion.positions) == 4
    # In a shot's middle, its frames' emotion is heard, near to the picture's own.
    for k, one in enumerate(found):
        alone = parse_image(scene(k)).intent.emotion
        assert alone is not None and abs(alone.mean.valence - one["valence"]) < 0.4


def test_slow_motion_is_no_boundary_and_a_dissolve_is_one() -> None:
    rng = np.random.default_rng(0)
    a, b, c = rng.random((3, 60))
    drift = np.linspace(0, 1, 60)[:, None] * 0.1
    looks = np.concatenate(
        [a + drift, a * np.linspace(1, 0, 4)[:, None] + b * np.linspace(0, 1, 4)[:, None], b + drift]
    )
    times = np.arange(len(looks)) / 6
    assert len(find_shots(looks, times)) == 2
    assert find_shots(a + drift, times[:60]) == [0]
    assert len(find_shots(np.repeat([a, b, c, a], 9, axis=0), times[:36])) == 4


def test_busier_videos_are_faster(tmp_path: Path) -> None:
    pictures = [scene(k) for k in range(6)]
    calm = parse_video(video(tmp_path / "calm.mp4", pictures[:1], 6.0))
    busy = parse_video(video(tmp_path / "busy.mp4", pictures * 2, 0.5))
    assert calm.intent.tempo_bpm is not None and busy.intent.tempo_bpm is not None
    assert busy.intent.tempo_bpm > calm.intent.tempo_bpm
    assert busy.intent.attributes["Note Density"] > calm.intent.attributes["Note Density"]


def test_a_video_gets_the_music_as_its_sound(shots: Path, tmp_path: Path) -> None:
    sound = 0.5 * np.sin(2 * np.pi * 440 * np.arange(20 * 44100) / 44100)
    mux(shots, np.stack([sound, sound]), 44100, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert len(container.streams.video) == len(container.streams.audio) == 1
        frames = sum(1 for _ in container.decode(video=0))
    assert frames == 96
    heard = read_audio(tmp_path / "out.mp4", 16000)
    assert len(heard) / 16000 == pytest.approx(8.0, abs=0.1)
    assert np.abs(heard[16000:32000]).max() > 0.3 and np.abs(heard[-1000:]).max() < 0.1
    with pytest.raises(InputError, match="written over"):
        mux(shots, sound, 44100, shots)
    with pytest.raises(InputError):
        mux(shots, sound, 44100, tmp_path / "out.wav")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4"]


# ---------------------------------------------------------------------------------------------------------------- sound


@pytest.mark.parametrize("ending", sorted(CODECS))
def test_sound_comes_back_as_it_was_written(ending: str, tmp_path: Path) -> None:
    samples = tune([60, 64, 67], [1, 1, 1], rate=44100)
    write_audio(samples, 44100, tmp_path / f"x{ending}")
    read = read_audio(tmp_path / f"x{ending}", 44100)
    assert abs(len(read) - len(samples)) < 2000
    n = min(len(read), len(samples))
    assert np.corrcoef(read[:n], samples[:n])[0, 1] > 0.98
    blocks = list(stream_audio(tmp_path / f"x{ending}", 44100, 0.25))
    np.testing.assert_array_equal(np.concatenate(blocks), read)
    assert {len(block) for block in blocks[:-1]} == {11025}


def test_vorbis_and_other_rates_and_channels_are_read(tmp_path: Path) -> None:
    samples = tune([60, 64, 67], [1, 1, 1], rate=48000)
    with av.open(str(tmp_path / "x.ogg"), "w") as container:
        stream: Any = container.add_stream("libopus", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.stack([samples, samples]), "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert len(read_audio(tmp_path / "x.ogg", 16000)) == pytest.approx(len(samples) / 3, rel=0.02)
    for shape in ((8, 19200), (19200, 8)):
        assert as_audio(np.ones(shape, np.float32) * 0.5, 192000, 24000).shape == (2400,)
    np.testing.assert_allclose(as_audio(np.full(100, 16384, np.int16), 16000, 16000), 0.5)
    np.testing.assert_allclose(as_audio(np.full(100, 192, np.uint8), 16000, 16000), 0.5)


def test_a_score_is_played(tmp_path: Path) -> None:
    notes = np.zeros(4, NOTE_DTYPE)
    notes["onset_beat"], notes["duration_beat"], notes["pitch"], notes["velocity"] = range(4), 1, [60, 64, 67, 72], 90
    samples = render_audio(from_notes(notes, tempo_bpm=120), tmp_path / "x.wav")
    rate, half_sec = RENDER_RATE, RENDER_RATE // 2
    assert samples.shape[0] == 2 and 2 * rate <= samples.shape[1] < 6 * rate and 0.05 < np.abs(samples).max() <= 0.9
    for k, hertz in enumerate((261.6, 329.6, 392.0, 523.3)):
        spectrum = np.abs(np.fft.rfft(samples[0, k * half_sec : (k + 1) * half_sec]))  # a bin is 2 Hz
        strongest = np.argmax(spectrum[:600]) * 2
        assert abs(strongest - hertz) < 4 or abs(strongest - 2 * hertz) < 4  # the octave above may be the louder
    assert (tmp_path / "x.wav").stat().st_size > 100_000
    (tmp_path / "no.sf2").write_bytes(b"no soundfont")
    with pytest.raises(InputError, match="no soundfont"):
        render_audio(from_notes(notes), soundfont=tmp_path / "no.sf2")


# -------------------------------------------------------------------------------------------------------------- humming


@pytest.mark.parametrize("cents", [-35, 0, 30])
def test_a_hummed_tune_becomes_the_melody(cents: float) -> None:
    parsed = parse_humming(tune(PITCHES, BEATS, cents=cents), SAMPLE_RATE)
    melody = note_array(parsed.intent.melody)  # type: ignore[arg-type]
    assert melody["pitch"].tolist() == PITCHES
    assert parsed.intent.tempo_bpm is not None
    ratio = parsed.intent.tempo_bpm / 100
    factor = min((0.5, 1.0, 2.0), key=lambda k: abs(ratio / k - 1))
    assert ratio / factor == pytest.approx(1, abs=0.05)
    np.testing.assert_allclose(melody["onset_beat"] / factor, np.cumsum([0, *BEATS[:-1]]), atol=0.02)
    assert abs(parsed.found("tuning_cents")[0] - cents) < 12
    assert parsed.intent.key == "C" and len(parsed.found("sung")) == len(PITCHES)
    assert parsed.intent.emotion is None


def test_low_voices_are_moved_up_by_octaves() -> None:
    parsed = parse_humming(tune([p - 24 for p in PITCHES], BEATS), SAMPLE_RATE)
    melody = note_array(parsed.intent.melody)  # type: ignore[arg-type]
    assert ((melody["pitch"] - np.array(PITCHES)) % 12 == 0).all() and melody["pitch"].min() >= 55
    assert any("octave" in note for note in parsed.notes)


def test_a_drifting_singer_stays_on_the_grid() -> None:
    beat = np.cumsum([0, *BEATS[:-1]])
    second = (beat + 0.5 * 0.04 * beat**2 / beat[-1]) * 60 / 90
    notes = [Note(float(s), 0.3, p, 0.9) for s, p in zip(second, PITCHES, strict=True)]
    rows, tempo, error = on_grid(notes)
    factor = min((0.5, 1.0, 2.0), key=lambda k: abs(tempo / 90 / k - 1))
    np.testing.assert_allclose(rows["onset_beat"] / factor, beat, atol=0.02)
    assert error < 0.03


# ------------------------------------------------------------------------------------------------------------- examples


def test_an_example_asks_for_music_like_it(tmp_path: Path, rng: np.random.Generator) -> None:
    notes = np.zeros(64, NOTE_DTYPE)
    notes["onset_beat"], notes["duration_beat"] = np.arange(64) / 2, 0.5
    notes["pitch"], notes["velocity"], notes["program"] = rng.choice([57, 60, 62, 64, 65, 69], 64), 80, 40
    write_score(from_notes(notes, tempo_bpm=72, time_signature=(3, 4)), tmp_path / "like.mid")
    parsed = parse_example(tmp_path / "like.mid")
    intent = parsed.intent
    assert intent.tempo_bpm == pytest.approx(72, abs=0.1) and intent.time_signature == "3/4"
    assert intent.instruments == ("violin",) and intent.bars == 11
    assert intent.attributes["Mean Pitch"] == pytest.approx(notes["pitch"].mean(), abs=0.01)
    assert "Mean Tempo" not in intent.attributes and intent.emotion is not None
    both = parse_prompts(like=tmp_path / "like.mid", text="joyful, at 120 bpm")
    assert both is not None and both.intent.tempo_bpm == 120 and both.intent.time_signature == "3/4"


def test_a_recording_of_one_voice_is_an_example_of_its_tune(tmp_path: Path) -> None:
    write_audio(tune(PITCHES, BEATS), SAMPLE_RATE, tmp_path / "hum.wav")
    parsed = parse_example(tmp_path / "hum.wav")
    assert note_array(parsed.intent.melody)["pitch"].tolist() == PITCHES  # type: ignore[arg-type]
    assert any("one voice" in note for note in parsed.notes)


def test_a_recording_of_several_voices_is_an_example_of_its_notes(tmp_path: Path) -> None:
    bars = [(48, 64, 67), (45, 60, 64), (41, 60, 65), (43, 59, 62)]
    rows = [(2.0 * i, 1.9, pitch) for i, chord in enumerate(bars * 2) for pitch in chord]
    rows += [(0.5 * i, 0.45, 72 + step) for i, step in enumerate([0, 4, 7, 4, 0, 4, 9, 4, 0, 5, 9, 5, 2, 7, 11, 7] * 2)]
    notes = np.zeros(len(rows), NOTE_DTYPE)
    for name, column in zip(("onset_beat", "duration_beat", "pitch"), zip(*rows, strict=True), strict=True):
        notes[name] = column
    notes["velocity"] = 80
    score = from_notes(notes, tempo_bpm=100)
    render_audio(score, tmp_path / "band.wav")
    heard, written = parse_example(tmp_path / "band.wav").intent, parse_example(score).intent
    assert heard.melody is None and heard.key == "C" and heard.emotion is not None
    assert set(heard.attributes) <= set(HEARD) < set(written.attributes)
    for name, near in (("Mean Pitch", 1.5), ("Range", 3), ("Note Density", 0.6), ("Stepwise Motion", 0.15)):
        assert heard.attributes[name] == pytest.approx(written.attributes[name], abs=near)
    assert heard.tempo_bpm is None


# ------------------------------------------------------------------------------------------------------------ all kinds


def test_every_kind_together_touches_no_network(shots: Path, tmp_path: Path) -> None:
    scene(3).save(tmp_path / "p.png")
    write_audio(tune(PITCHES, BEATS), SAMPLE_RATE, tmp_path / "hum.wav")
    parsed = parse_prompts(
        text="a bittersweet farewell, slow strings", tags="epic:0.3, sad", image=tmp_path / "p.png", video=shots,
        hum=tmp_path / "hum.wav",
    )  # fmt: skip
    assert parsed is not None
    intent = parsed.intent
    assert intent.melody is not None and intent.emotion is not None and intent.instruments == ("strings",)
    assert intent.tempo_bpm is not None
    assert intent.bars * 4 * 60 / intent.tempo_bpm == pytest.approx(8.0, abs=0.05)  # the video rules the length
    assert parse_prompts(text=None) is None
    assert parse_tags("sad").intent.emotion is not None and parse_text("sad").intent.emotion is not None


def test_the_reader_is_complete() -> None:
    reader = load_reader()
    assert len(reader.config["themes"]) == len(reader.tensors["themes"])
    with pytest.raises(InputError, match="unknown checkpoint"):
        load_reader("prompts-nothing")


# -------------------------------------------------------------------------------------------------------- broken inputs

PNG = io.BytesIO()
scene(0, (64, 48)).save(PNG, "PNG")
JPEG = io.BytesIO()
scene(0, (64, 48)).save(JPEG, "JPEG")
GIF = io.BytesIO()
scene(0, (64, 48)).save(GIF, "GIF")
WEBP = io.BytesIO()
scene(0, (64, 48)).save(WEBP, "WEBP")


def huge_png(width: int, height: int) -> bytes:
    """A file that says it is enormous."""
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def wav(samples: bytes, *, rate: int = 16000, channels: int = 1, bits: int = 16, said: int | None = None) -> bytes:
    size = len(samples) if said is None else said
    head = struct.pack("<IHHIIHH", 16, 1, channels, rate, rate * channels * bits // 8, channels * bits // 8, bits)
    return b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + head + b"data" + struct.pack("<I", size) + samples


NOISE = np.random.default_rng(0)
RUBBISH = NOISE.bytes(4000)
PICTURES: dict[str, bytes] = {
    "empty.png": b"", "text.png": b"this is no picture at all", "rubbish.png": RUBBISH, "rubbish.jpg": RUBBISH,
    "head.png": PNG.getvalue()[:8], "half.png": PNG.getvalue()[: len(PNG.getvalue()) // 2],
    "head.jpg": JPEG.getvalue()[:20], "start.jpg": JPEG.getvalue()[:3], "head.gif": GIF.getvalue()[:10],
    "start.gif": GIF.getvalue()[:6], "head.webp": WEBP.getvalue()[:16], "half.webp": WEBP.getvalue()[:40],
    "zero.png": huge_png(0, 0), "bomb.png": huge_png(100_000, 100_000), "wide.png": huge_png(2**31 - 1, 1000),
    "hollow.png": huge_png(50, 50), "page.html": b"<html><body>no picture</body></html>", "a.svg": b"<svg></svg>",
    "pickle.png": b"\x80\x04\x95\x10\x00\x00\x00", "zip.png": b"PK\x03\x04" + RUBBISH, "pdf.jpg": b"%PDF-1.7\n",
    "midi.png": b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x01\xe0", "sound.png": wav(RUBBISH), "bmp.bmp": b"BM" + RUBBISH,
    "tiff.tif": b"II*\x00" + RUBBISH, "ico.ico": b"\x00\x00\x01\x00\x01\x00" + RUBBISH[:30], "nul.png": bytes(1000),
}  # fmt: skip
VIDEOS: dict[str, bytes] = {
    "empty.mp4": b"", "text.mp4": b"this is no video", "rubbish.mp4": RUBBISH, "rubbish.mkv": RUBBISH,
    "rubbish.avi": RUBBISH, "rubbish.webm": RUBBISH, "head.mp4": b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom",
    "sound.mp4": wav(NOISE.integers(-9000, 9000, 16000).astype("<i2").tobytes()), "nul.mp4": bytes(5000),
    "riff.avi": b"RIFF\x00\x00\x00\x00AVI " + RUBBISH[:200], "ebml.mkv": b"\x1aE\xdf\xa3" + RUBBISH[:200],
    "page.mp4": b"<html></html>", "list.m3u8": b"#EXTM3U\nhttp://127.0.0.1:9/x.ts\n",
    "list.mp4": b"#EXTM3U\n/etc/hosts\n",
    "concat.mp4": b"ffconcat version 1.0\nfile /etc/hosts\n", "midi.mp4": b"MThd\x00\x00\x00\x06" + bytes(6),
}  # fmt: skip
SOUNDS: dict[str, bytes] = {
    "empty.wav": b"", "text.wav": b"this is no sound", "rubbish.mp3": RUBBISH[:300], "rubbish.flac": RUBBISH,
    "rubbish.ogg": RUBBISH, "rubbish.m4a": RUBBISH, "head.wav": wav(b"")[:20], "hollow.wav": wav(b""),
    "silent.wav": wav(bytes(64000)), "still.wav": wav(np.full(32000, 9000, "<i2").tobytes()),
    "noise.wav": wav(NOISE.integers(-9000, 9000, 48000).astype("<i2").tobytes()),
    "click.wav": wav(np.r_[np.zeros(8000), 20000, np.zeros(8000)].astype("<i2").tobytes()),
    "short.wav": wav(NOISE.integers(-9000, 9000, 800).astype("<i2").tobytes()), "rate.wav": wav(bytes(2000), rate=10),
    "norate.wav": wav(bytes(2000), rate=0), "nochannel.wav": wav(bytes(2000), channels=0), "nul.wav": bytes(4000),
    "flac.flac": b"fLaC" + RUBBISH[:100], "ogg.ogg": b"OggS" + RUBBISH[:100], "id3.mp3": b"ID3\x04" + bytes(60),
    "page.mp3": b"<html></html>", "picture.wav": PNG.getvalue(), "midi.wav": b"MThd\x00\x00\x00\x06" + bytes(6),
    "list.wav": b"#EXTM3U\nhttp://127.0.0.1:9/x.ts\n",
    "onenote.wav": wav((9000 * np.sin(np.arange(32000) * 0.1)).astype("<i2").tobytes()),
    "squeak.wav": wav((9000 * np.sin(np.arange(32000) * 2.9)).astype("<i2").tobytes()),
}  # fmt: skip
EXAMPLES: dict[str, bytes] = {
    "empty.mid": b"", "text.mid": b"this is no music", "rubbish.mid": RUBBISH, "head.mid": b"MThd\x00\x00\x00\x06",
    "notrack.mid": b"MThd\x00\x00\x00\x06\x00\x01\x00\x00\x01\xe0", "nul.midi": bytes(300), "text.kar": b"la la",
    "hollow.mid": b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x01\xe0MTrk\x00\x00\x00\x04\x00\xff/\x00",
    "cut.mid": b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x01\xe0MTrk\x00\x00\xff\xff\x00\x90", "text.txt": b"la la la",
    "picture.png": PNG.getvalue(), "noise.wav": SOUNDS["noise.wav"], "silent.wav": SOUNDS["silent.wav"],
    "rubbish.mp3": RUBBISH[:300], "empty.wav": b"", "pickle.mid": b"\x80\x04\x95", "riff.rmi": b"RIFF" + RUBBISH[:40],
}  # fmt: skip
BROKEN: list[tuple[Callable[..., Any], str, bytes]] = [
    (parse, name, data)
    for parse, files in (
        (parse_image, PICTURES), (parse_video, VIDEOS), (parse_humming, SOUNDS), (parse_example, EXAMPLES),
    )
    for name, data in files.items()
]  # fmt: skip
ARRAYS: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (parse_image, (np.zeros((4, 4, 7), np.uint8),)), (parse_image, (np.zeros(4, np.uint8),)),
    (parse_image, (np.zeros((0, 4, 3), np.uint8),)), (parse_image, (np.full((4, 4, 3), np.nan),)),
    (parse_image, (np.full((4, 4, 3), np.inf),)), (parse_image, (b"",)), (parse_image, (b"abc",)),
    (parse_humming, (np.zeros(0, np.float32), 16000)), (parse_humming, (np.full(16000, np.nan), 16000)),
    (parse_humming, (np.full(16000, np.inf), 16000)), (parse_humming, (np.zeros((2, 2, 2)), 16000)),
    (parse_humming, (np.zeros(16000), None)), (parse_humming, (np.zeros(16000), 3)),
    (parse_humming, (np.zeros(16000), 10**9)), (parse_humming, (np.zeros(16000, complex), 16000)),
    (parse_humming, (np.array(["a", "b"]), 16000)), (parse_humming, (np.zeros(16000), 16000)),
    (parse_humming, (np.ones(16000 * 200, np.float32), 16000)), (parse_text, ("",)), (parse_text, ("   ",)),
    (parse_tags, ("",)), (parse_tags, (",,,",)), (parse_tags, ("sad:2",)), (parse_tags, ("sad:-1",)),
]  # fmt: skip


def test_there_are_a_hundred_of_them() -> None:
    assert len(BROKEN) + len(ARRAYS) >= 100


@pytest.mark.parametrize(("parse", "name", "data"), BROKEN, ids=[f"{p.__name__}-{n}" for p, n, _ in BROKEN])
def test_broken_files_are_refused_in_one_line(
    parse: Callable[..., Any], name: str, data: bytes, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError) as caught:
        parse(tmp_path / name)
    assert name in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 400
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(("parse", "given"), ARRAYS, ids=[f"{p.__name__}-{k}" for k, (p, _) in enumerate(ARRAYS)])
def test_broken_values_are_refused_in_one_line(parse: Callable[..., Any], given: tuple[Any, ...]) -> None:
    with pytest.raises(InputError) as caught:
        parse(*given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("parse", [parse_image, parse_video, parse_humming, parse_example])
def test_folders_and_missing_files_are_named(parse: Callable[..., Any], tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing.mid"):
        with pytest.raises(InputError, match=str(path.name)):
            parse(path)


def test_a_video_that_breaks_off_is_read_up_to_there(shots: Path, tmp_path: Path) -> None:
    """MP4 keeps its index at the end: without it there is nothing to read; in a stream there is."""
    with av.open(str(shots)) as source, av.open(str(tmp_path / "whole.ts"), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
    data = (tmp_path / "whole.ts").read_bytes()
    (tmp_path / "half.ts").write_bytes(data[: len(data) * 6 // 10])
    assert 2.5 < parse_video(tmp_path / "half.ts").found("duration_sec")[0] < 8.0
    (tmp_path / "half.mp4").write_bytes(shots.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"half\.mp4"):
        parse_video(tmp_path / "half.mp4")


@pytest.mark.parametrize(
    ("option", "name", "data"),
    [
        ("--image", "rubbish.png", RUBBISH), ("--image", "bomb.png", PICTURES["bomb.png"]),
        ("--video", "text.mp4", b"this is no video"), ("--video", "sound.mp4", VIDEOS["sound.mp4"]),
        ("--hum", "silent.wav", SOUNDS["silent.wav"]), ("--hum", "empty.wav", b""),
        ("--like", "rubbish.mid", RUBBISH), ("--like", "noise.wav", SOUNDS["noise.wav"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["intent", "compose"])
def test_the_command_line_refuses_them_with_one_line_and_code_2(
    command: str, option: str, name: str, data: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import muse.cli as cli

    (tmp_path / name).write_bytes(data)
    rest = ["-o", str(tmp_path / "out.mid")] if command == "compose" else []
    with pytest.raises(SystemExit) as end:
        cli.main([command, option, str(tmp_path / name), *rest])
    out, err = capsys.readouterr()
    assert end.value.code == 2 and out == ""
    assert err.startswith("muse: ") and err.count("\n") == 1 and name in err
    assert [path.name for path in tmp_path.iterdir()] == [name]
