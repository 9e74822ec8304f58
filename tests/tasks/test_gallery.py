"""The gallery: a page that needs nothing but its own folder, says what was asked, and takes names for names."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from kit import clip

import muse.cli as cli
from muse.audio import read_audio
from muse.errors import InputError
from muse.intent import Intent
from muse.score import from_notes, read_score, read_text, write_score
from muse.tasks.gallery import make_gallery
from muse.tasks.request import ComposeRequest

EVIL = "<img src=x onerror=alert(1)>"
SITE = Path(__file__).parents[2] / "demos" / "gallery"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("pieces")
    rng = np.random.default_rng(1)
    asked = Intent(emotion="sad", bars=4, instruments=["piano", "cello"])
    origin = {"intent": asked.to_dict(), "seed": 7, "muse": {}}
    write_score(from_notes(clip(3, rng, 4)), made / "a-sad_tune.mid", text=json.dumps(origin))
    write_score(from_notes(clip(1, rng, 4)), made / f"{EVIL}.mid", text=EVIL)
    (made / "broken.mid").write_bytes(b"MThd")
    return made


def test_the_page_shows_every_piece_and_asks_nobody(folder: Path, tmp_path: Path) -> None:
    rows = {row.get("stem", row["file"]): row for row in make_gallery(folder, tmp_path, title=EVIL)}
    assert "error" in rows.pop(str(folder / "broken.mid"))
    assert set(rows) == {"a-sad_tune", EVIL}
    assert rows["a-sad_tune"]["asked"].startswith("4 bars of 4/4 for piano, cello; sad")
    assert (rows["a-sad_tune"]["seed"], rows[EVIL]["asked"], rows[EVIL]["seed"]) == (7, None, None)

    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<img src=x" not in page and "<script" not in page and "//" not in page.replace("<!doctype", "")
    addresses = [unquote(found) for found in re.findall(r'(?:src|href)="([^"]+)"', page)]
    assert len(addresses) == 2 * 5
    for address in addresses:
        assert (tmp_path / address).is_file(), address
    assert page.count("<audio controls") == 2

    written = tmp_path / "pieces" / "a-sad_tune"
    assert written.with_suffix(".mid").read_bytes() == (folder / "a-sad_tune.mid").read_bytes()
    sound = read_audio(written.with_suffix(".mp3"), 8000)
    assert len(sound) / 8000 > rows["a-sad_tune"]["duration_s"] - 0.1
    assert np.sqrt(np.mean(np.square(sound))) > 0.01
    assert written.with_suffix(".mp3").stat().st_size < 9_000 * (len(sound) / 8000 + 1)
    n_notes = sum(len(track.notes) for track in read_score(folder / "a-sad_tune.mid").tracks)
    assert n_notes == rows["a-sad_tune"]["n_notes"]


def test_the_command_says_what_it_left_out(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muse.tasks.gallery._piece", lambda file, *_: {"stem": file.stem} | _read(file))
    monkeypatch.setattr("muse.tasks.gallery._page", lambda title, pieces: f"{title}: {len(pieces)}")
    with pytest.raises(SystemExit) as ended:
        cli.main(["gallery", str(folder), "-o", str(tmp_path / "site"), "--title", "Mine", "--json"])
    assert ended.value.code == 2
    told = capsys.readouterr()
    assert len(json.loads(told.out)) == 3
    assert told.err.startswith("muse: ") and "broken.mid" in told.err and told.err.count("\n") == 1
    assert (tmp_path / "site" / "index.html").read_text() == "Mine: 2"


def _read(file: Path) -> dict[str, int]:
    return {"n_tracks": len(read_score(file).tracks)}


def test_folders_without_pieces_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        make_gallery(tmp_path / "nowhere", tmp_path)
    with pytest.raises(InputError, match="no MIDI file in it"):
        make_gallery(tmp_path, tmp_path)
    for name in ("one.mid", "one.midi"):
        (tmp_path / name).write_bytes(b"MThd")
    with pytest.raises(InputError, match="one name"):
        make_gallery(tmp_path, tmp_path / "site")


def test_the_committed_gallery_is_that_of_its_recipe() -> None:
    """What was asked stands in every file; remade by ``make gallery``."""
    recipe = [json.loads(line) for line in (SITE / "requests.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {path.stem for path in (SITE / "pieces").iterdir()} == {one["id"] for one in recipe}
    page = (SITE / "index.html").read_text(encoding="utf-8")
    for one in recipe:
        name = one.pop("id")
        origin = json.loads(read_text(SITE / "pieces" / f"{name}.mid")[0])
        request = ComposeRequest.from_fields(one)
        assert origin["seed"] == request.seed
        assert Intent.from_dict(origin["intent"]) == request.understood()[1], name
        assert f'id="{name}"' in page
