"""``muse plan``: what it prints, what it writes, and how it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from muse import cli
from muse.sheets import read_plan
from muse.tokens.plan import Plan


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            cli.main(["plan", *map(str, arguments)])
        return int(end.value.code or 0), *capsys.readouterr()

    return call


def test_the_lead_sheet_of_a_midi_file(run: Callable[..., tuple[int, str, str]], song_path: Path) -> None:
    written = song_path.with_suffix(".abc")
    code, out, _ = run(song_path, "-o", written)
    assert code == 0
    assert "Am, 4/4, 96 bpm, 8 bars" in out
    assert "Am | F | G | E" in out
    assert out.splitlines()[-1] == str(written)
    code, out, _ = run(written, "--json")
    document = json.loads(out)
    assert Plan.from_json(document["plan"]) == read_plan(written)
    assert (document["key"], document["bars"], document["tempo_bpm"]) == ("Am", 8, 96)


def test_chords_in_the_place_of_a_file(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    path = tmp_path / "chords.musicxml"
    assert run("--chords", "Am F | G", "--time-signature", "3/4", "-o", path)[0] == 0
    assert read_plan(path) == Plan.parse("Am F | G", time_signature=(3, 4))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give a file, or --chords"),
        (["a.abc", "--chords", "C"], "give a file, or --chords"),
        (["--chords", "Cmaj8"], "did you mean Cmaj7"),
        (["none.abc"], "none.abc: no such file"),
        (["a.abc", "--time-signature", "3/4"], "a file says its own"),
    ],
)
def test_one_line_where_it_cannot_be(
    run: Callable[..., tuple[int, str, str]], arguments: list[str], words: str
) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert words in err
