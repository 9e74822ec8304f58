"""Pictures and videos that are hostile, huge or broken: refused in one line, within memory, starting nothing."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from broken_files import broken
from PIL import EpsImagePlugin, Image

import muse.prompts.image.picture as picture_module
import muse.prompts.video.frames as frames_module
from muse.errors import InputError
from muse.prompts import parse_image, parse_video
from muse.prompts.image.picture import read_picture

av = pytest.importorskip("av")


def scene(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """A smooth picture in colours of its own."""
    small = np.random.default_rng(seed).integers(0, 255, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def video(path: Path, n_frames: int, codec: str = "mpeg4") -> Path:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=12)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for k in range(n_frames):
            container.mux(stream.encode(av.VideoFrame.from_image(scene(k // 8).rotate(k))))
        container.mux(stream.encode(None))
    return path


# ------------------------------------------------------------------------------------------------------------- pictures


@pytest.mark.parametrize("kind", ["EPS", "PPM", "ICO", "TGA", "PCX"])
def test_other_formats_are_refused_and_nothing_is_started(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostScript is run by Ghostscript, which Pillow would start."""

    def started(*_: object, **__: object) -> Any:
        raise AssertionError("Ghostscript was started")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", started)
    path = tmp_path / "innocent.png"
    path.write_bytes(saved(scene(0), kind))
    with pytest.raises(
        InputError,
        match=r"innocent\.png cannot be read as a picture \(it is none, or damaged\): .*PNG, JPEG, WebP, GIF, BMP",
    ):
        read_picture(path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_the_six_formats_are_read_by_their_bytes(kind: str, tmp_path: Path) -> None:
    (tmp_path / "picture.dat").write_bytes(saved(scene(0), kind))
    read = read_picture(tmp_path / "picture.dat")
    np.testing.assert_allclose(read.mean((0, 1)), np.asarray(scene(0)).mean((0, 1)), atol=6)


def test_the_limit_is_one_of_memory_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_module, "MAX_BYTES", 8_000_000)
    big = scene(0, (1600, 1200))  # 1.92 million pixels
    assert read_picture(saved(big, "PNG")).shape == (256, 341, 3)
    assert read_picture(saved(big, "JPEG")).shape == (256, 341, 3)
    for kind, options in (("WEBP", {}), ("GIF", {}), ("TIFF", {}), ("JPEG", {"progressive": True})):
        with pytest.raises(InputError, match=rf"1600 x 1200 pixels; up to \d million are read as {kind}"):
            read_picture(saved(big, kind, **options))


@pytest.mark.parametrize("mode", ["I;16", "RGBA"])
def test_a_large_picture_takes_the_memory_of_its_pixels_and_little_more(mode: str, tmp_path: Path) -> None:
    """20 million pixels: 81 MB decoded at most. Converted as a whole they take four times as much."""
    side = 4500
    path = tmp_path / "large.png"
    if mode == "I;16":
        Image.fromarray(np.full((side, side), 40_000, np.uint16)).save(path, compress_level=1)
    else:
        Image.new("RGBA", (side, side), (200, 10, 10, 100)).save(path, compress_level=1)
    code = (
        "import resource, sys; from muse.prompts.image.picture import read_picture; from PIL import Image; "
        "import numpy; Image.init(); peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; "
        "before = peak(); print(read_picture(sys.argv[1])[0, 0].tolist(), (peak() - before) // 1024)"
    )
    out = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True).stdout
    color, _, megabytes = out.rpartition(" ")
    assert color == ("[156, 156, 156]" if mode == "I;16" else "[233, 159, 159]")
    assert int(megabytes) < 200


def test_the_middle_of_a_long_animation_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [Image.new("RGB", (100, 100), (10 * k, 0, 0)) for k in range(20)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert abs(int(read_picture(data)[50, 50, 0]) - 100) < 6
    monkeypatch.setattr(picture_module, "MAX_FRAME_PIXELS", 30_000)
    assert abs(int(read_picture(data)[50, 50, 0]) - 30) < 6


def test_of_a_picture_in_several_versions_the_main_one_is_read() -> None:
    data = saved(
        Image.new("RGB", (64, 64), "red"), "MPO", save_all=True, append_images=[Image.new("RGB", (64, 64), "blue")]
    )
    red, _, blue = read_picture(data).mean((0, 1))
    assert red > 200 > 50 > blue


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(InputError, match=r"pipe\.png is no ordinary file"):
        read_picture(tmp_path / "pipe.png")


# --------------------------------------------------------------------------------------------------------------- videos


def test_a_video_without_length_is_refused_in_one_line(tmp_path: Path) -> None:
    path = video(tmp_path / "still.mkv", 1)
    with pytest.raises(InputError, match=r"still\.mkv lasts 0\.\d+ s.*cut it to 1 s") as caught:
        parse_video(path)
    assert "\n" not in str(caught.value)


def test_frames_that_are_too_large_are_refused_before_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = video(tmp_path / "large.avi", 24)
    monkeypatch.setattr(frames_module, "MAX_FRAME_PIXELS", 10_000)
    with pytest.raises(InputError, match=r"large\.avi has frames of 160 x 120 pixels"):
        parse_video(path)


# ------------------------------------------------------------------------------------------------------------ mutations


def refusal(parse: Callable[[Path], Any], path: Path) -> str:
    """What was said, nothing where the file was read."""
    try:
        parse(path)
    except InputError as error:
        return str(error)
    return ""


def is_one_line(said: str, path: Path) -> bool:
    return not said or (path.name in said and "\n" not in said and len(said) < 400)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_mutated_pictures_are_read_or_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    data = saved(scene(0), kind)
    for seed in range(8):
        path = tmp_path / f"{seed}.{kind.lower()}"
        path.write_bytes(broken(data, np.random.default_rng(seed)))
        assert is_one_line(refusal(parse_image, path), path)


@pytest.mark.parametrize("name", ["a.mp4", "b.avi", "c.ts"])
def test_mutated_videos_are_read_or_refused_in_one_line(name: str, tmp_path: Path) -> None:
    data = video(tmp_path / name, 24, "mpeg2video" if name.endswith("ts") else "mpeg4").read_bytes()
    for seed in range(5):
        path = tmp_path / f"{seed}-{name}"
        path.write_bytes(broken(data, np.random.default_rng(seed)))
        assert is_one_line(refusal(parse_video, path), path)
