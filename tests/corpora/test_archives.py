"""Packed corpora: what is in them is read as the same folder is, and nothing harmful comes out of them."""

from __future__ import annotations

import functools
import http.server
import io
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from muse.corpora import archives, find_songs, is_packed, unpacked
from muse.errors import InputError

MUSIC = b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x00\x60MTrk\x00\x00\x00\x04\x00\xff\x2f\x00"
FILES = {
    "metadata.csv": b"id,file,genre\na,midi/a.mid,jazz\nb,midi/b.mid,rock\n",
    "midi/a.mid": MUSIC,
    "midi/b.mid": MUSIC,
}
ELSE = {"README.md": b"not music", "midi/a.wav": b"RIFF"}


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def zip_bytes(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def tar_bytes(files: dict[str, bytes], mode: str = "w:gz") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and its address on loopback."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing."""


def test_what_is_packed() -> None:
    plain: list[str | Path] = ["a.mid", "folder", Path("a/b.kar")]
    packed = ["a.zip", "A.ZIP", "a.tar.gz", "b/c.tgz", "x.parquet", "s3://bucket/folder", "memory://a/b.mid"]
    assert all(map(is_packed, packed)) and not any(map(is_packed, plain))


@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz", "tar.xz"])
def test_archives_hold_what_the_folder_holds(tmp_path: Path, ending: str) -> None:
    pack: Callable[[], bytes] = {
        "zip": lambda: zip_bytes(FILES | ELSE),
        "tar": lambda: tar_bytes(FILES | ELSE, "w:"),
        "tar.gz": lambda: tar_bytes(FILES | ELSE),
        "tar.xz": lambda: tar_bytes(FILES | ELSE, "w:xz"),
    }[ending]
    archive = tmp_path / f"my-songs.{ending}"
    archive.write_bytes(pack())
    found = unpacked(archive, tmp_path / "out")
    assert found.name == "my-songs" and contents(found) == FILES
    assert [(song.corpus, song.source, song.genre) for song in find_songs([found])] == [
        ("my-songs", "midi/a.mid", "jazz"),
        ("my-songs", "midi/b.mid", "rock"),
    ]
    (found / "midi" / "b.mid").unlink()
    assert unpacked(archive, tmp_path / "out") == found and len(contents(found)) == 2  # not unpacked again


def test_urls_of_folders_and_archives(tmp_path: Path, served: tuple[Path, str]) -> None:
    for name, data in (FILES | ELSE).items():
        (tmp_path / "songs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "songs" / name).write_bytes(data)
        fsspec.filesystem("memory").pipe_file(f"/test-archives/songs/{name}", data)
    folder, address = served
    for place in (tmp_path, folder):
        (place / "songs.zip").write_bytes(zip_bytes(FILES))
    fsspec.filesystem("memory").pipe_file("/test-archives/songs.tar.gz", tar_bytes(FILES))
    sources = [
        f"file://{tmp_path}/songs", "memory://test-archives/songs", "memory://test-archives/songs.tar.gz",
        f"file://{tmp_path}/songs.zip", f"zip://::file://{tmp_path}/songs.zip", f"{address}/songs.zip",
    ]  # fmt: skip
    for source in sources:
        found = unpacked(source, tmp_path / "out")
        assert contents(found) == FILES and found.name == "songs", source
    one = unpacked("memory://test-archives/songs/midi/a.mid", tmp_path / "out")
    assert contents(one) == {"a.mid": MUSIC}
    with pytest.raises(InputError, match=r"no-such\.zip: cannot be read"):
        unpacked(f"{address}/no-such.zip", tmp_path / "out")
    with pytest.raises(InputError, match="gopher://x: cannot be read"):
        unpacked("gopher://x", tmp_path / "out")
    assert not [path for path in (tmp_path / "out").rglob(".*") if path.is_file()]


def test_rows_of_parquet_are_files(tmp_path: Path) -> None:
    archive = tmp_path / "hub.parquet"
    pq.write_table(
        pa.table({"genre": ["jazz", None], "midi": [{"bytes": MUSIC, "path": "x.mid"}, {"bytes": MUSIC, "path": ""}]}),
        archive,
    )
    songs = find_songs([unpacked(archive, tmp_path / "out")])
    assert [(song.song_id, song.genre, song.path.read_bytes()) for song in songs] == [
        ("00000000", "jazz", MUSIC),
        ("00000001", "", MUSIC),
    ]
    pq.write_table(pa.table({"text": ["x"]}), tmp_path / "words.parquet")
    with pytest.raises(InputError, match="no column holds bytes of files"):
        unpacked(tmp_path / "words.parquet", tmp_path / "out")


@pytest.mark.parametrize("name", ["../out.mid", "a/../../out.mid", "/out.mid", "..\\out.mid", "C:\\out.mid"])
def test_no_path_leads_out(tmp_path: Path, name: str) -> None:
    for archive, data in (("a.zip", zip_bytes({name: MUSIC})), ("a.tar", tar_bytes({name: MUSIC}, "w:"))):
        (tmp_path / archive).write_bytes(data)
        with pytest.raises(InputError, match=r"out\.mid: leads out of the archive"):
            unpacked(tmp_path / archive, tmp_path / "inside" / "out")
    assert not list(tmp_path.rglob("out.mid"))


def test_links_are_passed_over(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo(f"{kind!r}.mid")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    assert contents(unpacked(tmp_path / "a.tar", tmp_path / "out")) == {}


def test_bombs_are_refused_and_giants_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "ALWAYS_BYTES", 1000)
    (tmp_path / "bomb.zip").write_bytes(zip_bytes({f"{i}.mid": bytes(200_000) for i in range(5)}))
    with pytest.raises(InputError, match=r"bomb\.zip:\d\.mid: the archive unpacks to more than 100 times its size"):
        unpacked(tmp_path / "bomb.zip", tmp_path / "out")
    assert not [path for path in (tmp_path / "out").rglob("bomb") if path.is_dir()]
    monkeypatch.setattr(archives, "MOST_MIDI_BYTES", 30)
    (tmp_path / "giant.zip").write_bytes(zip_bytes({"giant.mid": MUSIC * 3}))
    assert contents(unpacked(tmp_path / "giant.zip", tmp_path / "out")) == {"giant.mid": (MUSIC * 3)[:31]}


@pytest.mark.parametrize("ending", ["zip", "tar.gz", "parquet"])
def test_damaged_archives_are_refused_by_name(tmp_path: Path, ending: str) -> None:
    archive = tmp_path / f"a.{ending}"
    archive.write_bytes(b"no archive at all")
    with pytest.raises(InputError, match=rf"a\.{ending}: cannot be read"):
        unpacked(archive, tmp_path / "out")
    with pytest.raises(InputError, match="no such file"):
        unpacked(tmp_path / f"b.{ending}", tmp_path / "out")
    if ending != "parquet":
        whole = zip_bytes(FILES) if ending == "zip" else tar_bytes(FILES)
        archive.write_bytes(whole[:60] + b"XXXXXXXX" + whole[68:])
        with pytest.raises(InputError, match=rf"a\.{ending}"):
            unpacked(archive, tmp_path / "out")
