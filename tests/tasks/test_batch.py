"""Batches: a piece for every line, nothing done twice, and bad lines stop nobody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

import muse.cli as cli
from muse.composer import Composer, versions
from muse.errors import InputError
from muse.score import read_score
from muse.tasks.batch import BatchLine, Outcome, compose_batch, read_requests


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer.from_pretrained(selector=None)


def run(requests: list[BatchLine], folder: Path, composer: Composer) -> list[Outcome]:
    return list(compose_batch(requests, folder, lambda: composer, composer.versions))


def lines(path: Path, *rows: Any) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


GOOD = (
    {"id": "waltz", "text": "a sad waltz for piano", "bars": 4, "candidates": 1},
    {"emotion": "happy", "bars": 4, "candidates": 1, "seed": 7, "key": "D", "tempo": 120},
    {"valence": -0.5, "arousal": 0.5, "bars": 4, "candidates": 1, "instruments": ["violin", "piano"]},
    {"arc": "calm>tense", "bars": 8, "candidates": 1, "attributes": {"Mean Pitch": 70}},
)


def test_every_line_becomes_a_piece_and_is_not_done_again(composer: Composer, tmp_path: Path) -> None:
    requests = read_requests(lines(tmp_path / "all.jsonl", *GOOD[:2], "", *GOOD[2:]))
    assert [one.id for one in requests] == ["waltz", "line-2", "line-4", "line-5"]
    first = run(requests, tmp_path / "out", composer)
    assert [one.fault for one in first] == [""] * 4 and not any(one.was_finished for one in first)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == sorted(f"{one.id}.{kind}" for one in requests for kind in ("mid", "json"))
    assert read_score(tmp_path / "out" / "line-2.mid").tempos[0].qpm == pytest.approx(120, abs=0.01)
    report = json.loads((tmp_path / "out" / "waltz.json").read_text())
    assert report["intent"]["time_signature"] == "3/4" and report["evidence"]
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    again = run(requests, tmp_path / "out", composer)
    assert all(one.was_finished for one in again)
    # What is missing, broken or asked for anew is done, the rest is not.
    (tmp_path / "out" / "line-2.mid").unlink()
    (tmp_path / "out" / "line-4.json").write_text("{")
    changed = read_requests(lines(tmp_path / "all.jsonl", GOOD[0] | {"bars": 5}, GOOD[1], "", *GOOD[2:]))
    third = run(changed, tmp_path / "out", composer)
    assert [one.was_finished for one in third] == [False, False, False, True]
    after = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert after["line-2.mid"] == before["line-2.mid"] and after["waltz.mid"] != before["waltz.mid"]


BAD = {
    "{no json": "no JSON",
    "[1]": "not an object",
    '{"emotoin": "sad"}': "unknown field 'emotoin'",
    '{"id": "../x", "emotion": "sad"}': "no file name",
    '{"text": 3}': "give a string",
    '{"seed": -1}': "whole number",
    '{"candidates": "two"}': "whole number",
    '{"emotion": "sad", "arc": "sad>calm"}': "one way",
    '{"valence": 0.5}': "belong together",
    '{"emotion": "quxly"}': "quxly",
    '{"image": "nothing.png"}': "nothing.png",
    '{"bars": 0}': "bars",
    '{"key": "H#"}': "key",
    '{"text": ""}': "",
    "[" * 100_000: "nested too deeply",
    '{"seed": ' + "9" * 5000 + "}": "thousands of digits",
    '{"emotion": "sad", "temperature": "hot"}': "temperature is 'hot'",
    '{"emotion": "sad", "guidance": [1]}': "guidance is [1]",
    '{"emotion": "sad", "rank": {"quality": "much"}}': "quality is 'much'",
}


def test_bad_lines_are_told_and_stop_nobody(composer: Composer, tmp_path: Path) -> None:
    requests = read_requests(lines(tmp_path / "all.jsonl", *BAD, GOOD[1]))
    outcomes = run(requests, tmp_path / "out", composer)
    for outcome, words in zip(outcomes, BAD.values(), strict=False):
        assert outcome.document is None and words in outcome.fault and "\n" not in outcome.fault, outcome
    assert outcomes[-1].document is not None
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["line-20.json", "line-20.mid"]


def test_a_fault_of_ours_costs_one_line(composer: Composer, tmp_path: Path) -> None:
    class Faulty:
        versions = composer.versions

        def compose(self, *args: Any, **options: Any) -> Any:
            if options["seed"] == 1:
                raise KeyError("two\nlines")
            return composer.compose(*args, **options)

    rows = [{"emotion": "sad", "bars": 1, "candidates": 1, "seed": seed} for seed in (1, 2)]
    requests = read_requests(lines(tmp_path / "all.jsonl", *rows))
    first, second = run(requests, tmp_path / "out", cast(Composer, Faulty()))
    assert first.document is None and "KeyError" in first.fault and "\n" not in first.fault
    assert second.document is not None


def test_other_separators_of_unicode_tear_no_line(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "x.jsonl", json.dumps({"text": "sad\u2028and\u0085slow\x0b", "bars": 4}, ensure_ascii=False)
    )
    (line,) = read_requests(path)
    assert not line.fault and line.request is not None and line.request.text == "sad\u2028and\u0085slow\x0b"


def test_nothing_is_loaded_when_all_is_finished(composer: Composer, tmp_path: Path) -> None:
    requests = read_requests(lines(tmp_path / "all.jsonl", GOOD[1]))
    assert versions(selector=None) == composer.versions
    run(requests, tmp_path / "out", composer)

    def never() -> Composer:
        raise AssertionError("the composer was loaded")

    (again,) = compose_batch(requests, tmp_path / "out", never, versions(selector=None))
    assert again.was_finished


def test_ids_are_used_once(tmp_path: Path) -> None:
    requests = read_requests(
        lines(tmp_path / "x.jsonl", {"id": "a", "emotion": "sad"}, {"id": "a", "emotion": "happy"})
    )
    assert [bool(one.fault) for one in requests] == [False, True] and "line 1 too" in requests[1].fault


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xff\xfe\x00", None])
def test_files_without_requests_are_refused(data: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match=r"x\.jsonl"):
        read_requests(path)


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            cli.main([str(one) for one in arguments])
        return int(end.value.code or 0), *capsys.readouterr()

    path = lines(tmp_path / "all.jsonl", GOOD[1], "{")
    code, out, err = run("compose", "--batch", path, "-o", tmp_path / "out")
    assert code == 2 and "1 composed, 0 finished before, 1 failed" in out and "line 2: no JSON" in err
    code, out, _ = run("compose", "--batch", path, "-o", tmp_path / "out", "--json")
    documents = json.loads(out)
    assert code == 2 and documents[0]["output"] == "line-1.mid" and "no JSON" in documents[1]["error"]
    for wrong in (["--emotion", "sad"], ["--text", "sad"], ["--plot", "x.png"], ["--bars", "4"]):
        code, out, err = run("compose", "--batch", path, "-o", tmp_path / "out", *wrong)
        assert code == 2 and out == "" and err.count("\n") == 1 and "--batch" in err
    code, _, err = run("compose", "--batch", path, "-o", tmp_path / "x.mid")
    assert code == 2 and "give a folder" in err
    code, _, err = run("compose", "--emotion", "sad", "--mux", tmp_path / "x.mp4", "-o", tmp_path / "x.mid")
    assert code == 2 and "--video" in err
