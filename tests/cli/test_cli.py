"""The command line: what it prints, how it fails, and that it leaves nothing half-done."""

from __future__ import annotations

import json
import math
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from repository import ROOT, script

import muse
from muse import cli
from muse.cli import compose as composing
from muse.cli import info as informing
from muse.cli.output import Progress
from muse.score import NOTE_DTYPE, bar_grid, from_notes, note_array, read_score, write_score


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    def call(*arguments: object) -> Result:
        with pytest.raises(SystemExit) as end:
            cli.main([str(argument) for argument in arguments])
        return Result(int(end.value.code or 0), *capsys.readouterr())

    return call


def assert_refused(result: Result, *words: str) -> None:
    """Exit 2, nothing on stdout, one line on stderr that holds the words."""
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith("muse: ")
    assert result.err.count("\n") == 1
    assert "Traceback" not in result.err
    for word in words:
        assert word in result.err


# --------------------------------------------------------------------------------------------------------- the command


def test_help_names_every_command(run: Callable[..., Result]) -> None:
    bare, asked = run(), run("--help")
    assert bare.code == asked.code == 0
    assert bare.out == asked.out
    for command in ("compose", "intent", "analyze", "corpus", "train", "evaluate", "bench", "info"):
        assert f"\n  {command} " in asked.out


@pytest.mark.parametrize("group", ["train", "corpus", "list"])
def test_a_group_alone_prints_its_help(run: Callable[..., Result], group: str) -> None:
    alone, asked = run(group), run(group, "--help")
    assert (alone.code, alone.out, alone.err) == (0, asked.out, "")
    assert "Commands:" in alone.out


@pytest.mark.parametrize(
    ("what", "row"),
    [
        ("emotions", {"word": "sad", "quadrant": "Q3"}),
        ("genres", {"genre": "pop"}),
        ("instruments", {"program": 40, "instrument": "violin"}),
        ("attributes", {"attribute": "Mean Pitch", "can_be_asked_for": True}),
    ],
)
def test_list_names_what_may_be_asked_for(run: Callable[..., Result], what: str, row: dict[str, Any]) -> None:
    rows = run("list", what, "--json").json
    assert sum(row.items() <= found.items() for found in rows) == 1
    shown = run("list", what)
    assert shown.code == 0 and len(shown.out.splitlines()) == len(rows)


def test_version(run: Callable[..., Result]) -> None:
    assert run("--version").out == f"muse {muse.__version__}\n"


def test_python_m_muse_is_the_command() -> None:
    command = [sys.executable, "-m", "muse", "compos"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("muse: No such command 'compos'")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["compos"], ["compos", "--help"]),
        (["compose"], ["--output"]),
        (["compose", "--emotion", "sad"], ["--output"]),
        (["compose", "--no-such"], ["--no-such"]),
        (["compose", "--bars", "many", "-o", "x.mid"], ["--bars", "many"]),
        (["analyze"], ["FILE"]),
        (["corpus", "info"], ["DIR"]),
        (["train", "singer"], ["singer"]),
    ],
)
def test_usage_errors_are_one_line(run: Callable[..., Result], arguments: list[str], words: list[str]) -> None:
    result = run(*arguments)
    assert_refused(result, *[word for word in words if word != "many"])


def test_an_internal_error_is_one_line_too(run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(informing.platform, "python_version", broken)
    assert_refused(run("info"), "internal error", "RuntimeError: two lines", "MUSE_DEBUG")
    monkeypatch.setenv("MUSE_DEBUG", "1")
    with pytest.raises(RuntimeError, match="two"):
        cli.main(["info"])


def test_the_reference_page_is_current() -> None:
    module = script("docs/cli_reference.py")
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == module.reference(), "python docs/cli_reference.py"


# ------------------------------------------------------------------------------------------------------------- compose

QUICK = ("--bars", 4, "--candidates", 2, "--seed", 3)


def test_compose_writes_what_was_asked(run: Callable[..., Result], tmp_path: Path) -> None:
    midi, plot, sheet = (tmp_path / "new" / f"sad.{suffix}" for suffix in ("mid", "png", "musicxml"))
    result = run(
        "compose", "--emotion", "sad", *QUICK, "--tempo", 80, "--key", "Am", "--time-signature", "3/4",
        "--instruments", "piano,cello", "-o", midi, "--plot", plot, "--sheet", sheet, "--json",
    )  # fmt: skip
    assert result.code == 0, result.err
    score, document = read_score(midi), result.json
    grid = bar_grid(score)
    assert grid.n_bars == 4
    assert set(grid.numerator) == {3}
    assert set(note_array(score)["program"]) <= {0, 42}
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert "<score-partwise" in sheet.read_text(encoding="utf-8")
    assert sorted(p.name for p in midi.parent.iterdir()) == ["sad.mid", "sad.musicxml", "sad.png"]

    contract = {
        "output", "seed", "intent", "target", "measured", "adherence", "scores", "candidates", "n_notes", "bars",
        "duration_s", "timing", "versions",
    }  # fmt: skip
    assert contract <= set(document)
    assert {"load_s", "generate_s", "total_s"} <= set(document["timing"])
    assert document["output"] == str(midi)
    assert document["seed"] == 3
    assert document["bars"] == 4
    assert document["n_notes"] == len(note_array(score))
    assert document["intent"]["key"] == "Am"
    assert 0 <= document["adherence"] <= 1


def test_compose_for_people(run: Callable[..., Result], tmp_path: Path) -> None:
    result = run("compose", "--emotion", "happy", *QUICK, "-o", tmp_path / "happy.mid")
    assert result.code == 0, result.err
    assert result.out.startswith(str(tmp_path / "happy.mid"))
    assert "Note Density" in result.out


def test_same_seed_same_file_and_several_emotions(run: Callable[..., Result], tmp_path: Path) -> None:
    several = run("compose", "--emotion", "Q1", "--emotion", "Q3", *QUICK, "-o", tmp_path / "{emotion}.mid", "--json")
    assert several.code == 0, several.err
    assert [document["output"] for document in several.json] == [str(tmp_path / "Q1.mid"), str(tmp_path / "Q3.mid")]
    assert run("compose", "--emotion", "Q3", *QUICK, "-o", tmp_path / "again.mid").code == 0
    assert (tmp_path / "again.mid").read_bytes() == (tmp_path / "Q3.mid").read_bytes()
    assert (tmp_path / "Q1.mid").read_bytes() != (tmp_path / "Q3.mid").read_bytes()


@pytest.mark.parametrize(
    "emotion", [["--valence", "-0.6", "--arousal", "0.7"], ["--arc", "calm>tense"], []], ids=["point", "arc", "none"]
)
def test_every_way_to_ask(run: Callable[..., Result], tmp_path: Path, emotion: list[str]) -> None:
    result = run("compose", *emotion, *QUICK, "--set", "Mean Pitch=72", "-o", tmp_path / "x.mid", "--json")
    assert result.code == 0, result.err
    assert result.json["intent"]["attributes"] == {"Mean Pitch": 72}
    assert (result.json["intent"]["emotion"] is None) == (not emotion)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--emotion", "sadd"], ["'sadd'", "did you mean sad"]),
        (["--valence", "0.5"], ["valence and arousal belong together"]),
        (["--valence", "7", "--arousal", "0"], ["7", "-1..1"]),
        (["--emotion", "sad", "--arc", "calm>sad"], ["emotion, arc contradict", "one way"]),
        (["--key", "H"], ["'H'", "is not a key"]),
        (["--tempo", "1e9", "--bars", "0"], ["BPM", "bars"]),
        (["--time-signature", "4"], ["time signature"]),
        (["--instruments", "vuvuzela"], ["vuvuzela"]),
        (["--genre", "polka punk"], ["polka punk"]),
        (["--set", "Mean Pitch"], ["'Mean Pitch'", "ATTRIBUTE=VALUE"]),
        (["--set", "Mean Pich=60"], ["Mean Pich", "Mean Pitch"]),
        (["--candidates", "0"], ["candidates"]),
        (["--temperature", "-1"], ["temperature"]),
        (["--top-p", "2"], ["top_p"]),
        (["--seed", "-5"], ["seed"]),
        (["--planner", "enormous"], ["unknown checkpoint 'enormous': Known are planner; or"]),
        (["--emotion", "sad", "--emotion", "calm"], ["{emotion}"]),
        (["--plot", "roll.gif"], ["roll.gif", ".png"]),
        (["--sheet", "song.doc"], ["song.doc", ".musicxml"]),
    ],
    ids=lambda value: " ".join(value)[:30] if value and value[0].startswith("--") else "",
)
def test_compose_refuses_in_one_line(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert_refused(run("compose", *options, "--json", "-o", "x.mid"), *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["x.wav", "x", "folder.mid"])
def test_compose_refuses_a_wrong_output(run: Callable[..., Result], tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.mid").mkdir()
    assert_refused(run("compose", "--emotion", "sad", "-o", tmp_path / name), name)


def test_compose_says_where_it_cannot_write(run: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert_refused(run("compose", "--emotion", "sad", "-o", tmp_path / "file" / "x.mid"), "file")


def test_interrupted_while_composing(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    @contextmanager
    def interrupting(_task: str) -> Iterator[Progress]:
        def progress(done: float, total: float = 1.0, /) -> None:
            calls.append((done, total))
            signal.raise_signal(signal.SIGINT)

        yield progress

    monkeypatch.setattr(composing, "progress_bar", interrupting)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job starts with it ignored
    result = run("compose", "--emotion", "sad", *QUICK, "-o", tmp_path / "x.mid", "--json")
    signal.signal(signal.SIGINT, before)
    assert len(calls) == 1
    assert result == Result(130, "", "")
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------------------- analyze


def test_analyze_goes_on_past_a_broken_file(run: Callable[..., Result], song_path: Path, tmp_path: Path) -> None:
    broken, absent = tmp_path / "broken.mid", tmp_path / "absent.mid"
    broken.write_bytes(b"MThd\0\0\0\6no midi at all")
    result = run("analyze", broken, song_path, absent, "--json")
    assert result.code == 2
    assert result.err.count("\n") == 2
    first, song, last = result.json
    assert set(first) == set(last) == {"file", "error"}
    assert str(absent) in last["error"]

    assert song["file"] == str(song_path)
    assert {"emotion", "attributes", "key", "tempo"} <= set(song)
    emotion = song["emotion"]
    assert set(emotion["probabilities"]) == {"Q1", "Q2", "Q3", "Q4"}
    assert sum(emotion["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert -1 <= emotion["valence"] <= 1
    assert -1 <= emotion["arousal"] <= 1
    assert song["key"] == "Am"
    assert song["tempo"] == 96
    assert song["bars"] == 8
    assert song["duration_s"] == pytest.approx(8 * 4 * 60 / 96, abs=0.01)
    assert song["attributes"]["Mean Tempo"] == pytest.approx(96)
    assert len(song["attributes"]) >= 150


def test_analyze_says_why(run: Callable[..., Result], song_path: Path) -> None:
    (song,) = run("analyze", song_path, "--json").json
    score = song["score"]
    for axis in ("valence", "arousal"):
        total = sum(row["contribution"][axis] for row in song["explanation"])
        assert score["baseline"][axis] + total == pytest.approx(score[axis], abs=1e-5)
        high, low = score["between"][axis]
        odds = song["emotion"]["probabilities"][high] / song["emotion"]["probabilities"][low]
        assert math.log(odds) == pytest.approx(score[axis], abs=0.05)  # probabilities have four digits
    tempo = next(row for row in song["explanation"] if row["attribute"] == "Mean Tempo")
    assert tempo["value"] == pytest.approx(96)
    assert tempo["unit"] == "bpm"
    assert 0.5 < tempo["percentile"] < 0.9
    assert song["summary"].startswith("Sounds ")
    assert f"(valence {song['emotion']['valence']:+.2f}, " in song["summary"]


def test_analyze_gives_genre_and_quality_where_there_is_music_enough(
    run: Callable[..., Result], song_path: Path, tmp_path: Path
) -> None:
    short = tmp_path / "short.mid"
    notes = np.array([(beat, 1, beat / 2, 0.5, 60 + beat, 70, 0, 0) for beat in range(3)], dtype=NOTE_DTYPE)
    write_score(from_notes(notes), short)
    result = run("analyze", song_path, short, "--json")
    assert result.code == 0, result.err
    song, three_notes = result.json
    assert sum(song["genre"].values()) == pytest.approx(1)
    assert 0 <= song["quality"] <= 1
    assert set(song["heard"]) == {"valence", "arousal", "quadrant"}
    assert three_notes["genre"] is three_notes["quality"] is three_notes["heard"] is None
    assert three_notes["explanation"]
    assert run("analyze", short).code == 0


def test_analyze_draws_each_file(run: Callable[..., Result], song_path: Path, tmp_path: Path) -> None:
    broken, other = tmp_path / "broken.mid", tmp_path / "other.mid"
    broken.write_bytes(b"MThd")
    other.write_bytes(song_path.read_bytes())
    result = run("analyze", song_path, broken, other, "--plot", tmp_path / "new" / "{file}.svg", "--json")
    assert result.code == 2
    assert [set(row) >= {"explanation"} for row in result.json] == [True, False, True]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["other.svg", "song.svg"]
    drawn = (tmp_path / "new" / "song.svg").read_text(encoding="utf-8")
    assert "song.mid" in drawn
    assert result.json[0]["explanation"][0]["attribute"] in drawn
    assert run("analyze", song_path, "--plot", tmp_path / "one.png").code == 0
    assert (tmp_path / "one.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("files", "plot", "words"),
    [
        (["a.mid", "b.mid"], "x.png", ["{file}", "--plot"]),
        (["a.mid"], "x.pdf", [".png", "x.pdf"]),
        (["a.mid", "b/a.mid"], "{file}.png", ["a.png", "one name"]),
        (["a.mid"], "folder.png", ["folder.png", "is a folder"]),
    ],
)
def test_analyze_refuses_a_wrong_plot(
    run: Callable[..., Result],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: list[str],
    plot: str,
    words: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
    assert_refused(run("analyze", *files, "--plot", plot), *words)


def test_analyze_for_people(run: Callable[..., Result], song_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    result = run("analyze", song_path)
    assert result.code == 0, result.err
    assert str(song_path) in result.out
    assert "A minor, 96 bpm, 8 bars, 0:20" in result.out
    assert "mostly because it" in result.out
    assert "quality 0." in result.out
    document = run("analyze", song_path, "--json").json[0]
    assert f"verdict: {document['verdict']['text']}" in result.out
    rows = [line for line in result.out.splitlines() if re.search(r"[+-]\d+\.\d\d +[+-]\d+\.\d\d$", line)]
    assert [line.partition(" (")[0] for line in rows[:6]] == [row["attribute"] for row in document["explanation"][:6]]
    numbers = [[float(number) for number in line.split()[-2:]] for line in rows]
    *parts, total = numbers
    assert np.sum(parts, axis=0) == pytest.approx(total, abs=0.06)  # each is rounded to 0.01
    assert total == pytest.approx([document["score"]["valence"], document["score"]["arousal"]], abs=0.006)


# ------------------------------------------------------------------------------------------------------ corpus and rest


def test_corpus_build_and_info(run: Callable[..., Result], song_path: Path, tmp_path: Path) -> None:
    source = tmp_path / "source" / "pop"
    source.mkdir(parents=True)
    (source / "song.mid").write_bytes(song_path.read_bytes())
    (source / "broken.mid").write_bytes(b"RIFF")
    built = run("corpus", "build", source.parent, "-o", tmp_path / "data", "--processes", 1, "--json")
    assert built.code == 0, built.err
    told = run("corpus", "info", tmp_path / "data", "--json")
    assert told.code == 0, told.err
    assert told.json == built.json
    assert_refused(run("corpus", "info", tmp_path / "source"), "source")
    assert_refused(run("corpus", "build", tmp_path / "nowhere", "-o", tmp_path / "data2"), "nowhere")


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", ["config.json:1:2", "no JSON"]), ("[1]", ["list"]), ('{"stepps": 3}', ["stepps", "Known are"])],
)
def test_a_wrong_config_is_explained(run: Callable[..., Result], tmp_path: Path, text: str, words: list[str]) -> None:
    config = tmp_path / "config.json"
    config.write_text(text)
    result = run("train", "planner", tmp_path, "-o", tmp_path / "out", "--config", config)
    assert_refused(result, *words)


def test_info(run: Callable[..., Result]) -> None:
    document = run("info", "--json").json
    assert document["muse"] == muse.__version__
    assert {"planner", "arranger", "selector", "recognizer"} <= set(document["checkpoints"])
    assert document["attributes"] >= 150


# ------------------------------------------------------------------------------------------------------------- prompts


def test_intent_tells_what_was_understood(run: Callable[..., Result]) -> None:
    result = run("intent", "--text", "slow strings in D minor, 3/4", "--tags", "sad:0.7, epic", "--json")
    assert result.code == 0
    asked = result.json["intent"]
    assert (asked["key"], asked["time_signature"], asked["instruments"]) == ("Dm", "3/4", ["strings"])
    assert {row["field"] for row in result.json["evidence"]} >= {"emotion", "key", "emotion_word"}
    told = run("intent", "--tags", "happy")
    assert told.code == 0 and "emotion_word: happy ('happy', tag" in told.out and "intent: 16 bars of" in told.out


def test_options_go_before_prompts(run: Callable[..., Result], tmp_path: Path) -> None:
    result = run(
        "compose", "--text", "a sad waltz for violin in D minor", "--key", "C", "--bars", 4, "--candidates", 1,
        "--seed", 0, "-o", tmp_path / "waltz.mid", "--json",
    )  # fmt: skip
    assert result.code == 0
    asked = result.json["intent"]
    assert (asked["key"], asked["time_signature"], asked["bars"]) == ("C", "3/4", 4)
    assert set(note_array(read_score(tmp_path / "waltz.mid"))["program"].tolist()) == {40}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("no prompt", "--text")),
        (("--text", ""), ("text",)),
        (("--text", "x" * 5000), ("text", "4,000")),
        (("--tags", ",,"), ("tags",)),
        (("--tags", "sad:7"), ("sad",)),
    ],
)
def test_prompts_that_say_nothing_are_refused(
    run: Callable[..., Result], arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    assert_refused(run("intent", *arguments), *words)
