"""An evaluation that was stopped goes on where it was, and ends with the report of one that was not."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kit import Musician, clip, few_trees_and_draws, judged_corpora, songs_like_pop909

import muse.evaluate.compare as comparing
import muse.evaluate.evaluation as evaluating
from muse.dataset.build import build_corpus
from muse.evaluate import EvaluationSettings, evaluate_composer, evaluate_folder
from muse.evaluate.kept import FOLDER, Kept, Piece, depends_on
from muse.evaluate.systems.maker import from_composer
from muse.intent import Intent
from muse.score import from_notes, note_array, write_score
from muse.tokens.plan import Plan


class Counting:
    """Says how often it was asked."""

    def __init__(self, value: Any) -> None:
        self.value, self.calls = value, 0

    def __call__(self) -> Any:
        self.calls += 1
        return self.value


def test_what_is_kept_is_what_was_measured(tmp_path: Path) -> None:
    section = Counting({"mean": np.float64(0.1), "nothing": math.nan, "rows": ({"a": np.arange(2)},), "none": None})
    for kept in (Kept(tmp_path, "one"), Kept(tmp_path, "one"), Kept()):
        found = kept.section("system-a", section)
        assert math.isnan(found.pop("nothing"))
        assert found == {"mean": 0.1, "rows": [{"a": [0, 1]}], "none": None}
    assert section.calls == 2  # the second of the same folder finds it, and without a folder nothing is kept


def test_pieces_are_composed_once(tmp_path: Path) -> None:
    musician: Any = Musician()
    make = partial(from_composer(musician), Intent(emotion="Q1", bars=4), 3)
    first, second = (Kept(tmp_path, "one").piece("a-1", make) for _ in range(2))
    assert musician.calls == 1 and first.seconds == second.seconds
    np.testing.assert_array_equal(note_array(first.score), note_array(second.score))
    assert first.measured == second.measured == ({"Note Density": 6.0},) and first.target == {"Note Density": 3.0}
    planned = Counting(Piece((first.score,), Plan.parse("C | G", tonic=0, mode="major"), 1.5))
    for _ in range(2):
        piece = Kept(tmp_path, "one").piece("b", planned)
        assert (piece.plan, piece.seconds, piece.measured, piece.target) == (planned.value.plan, 1.5, (), {})
    assert planned.calls == 1
    assert Kept(tmp_path, "two").piece("b", planned).seconds == 1.5 and planned.calls == 2


def test_what_another_run_kept_is_thrown_away(tmp_path: Path) -> None:
    Kept(tmp_path, "one").section("a", lambda: 1)
    kept = Kept(tmp_path, "two")
    assert not (tmp_path / "one").exists() and kept.section("a", lambda: 2) == 2
    kept.forget()
    assert not tmp_path.exists()


def test_a_report_depends_on_settings_weights_and_files(tmp_path: Path) -> None:
    (tmp_path / "clip.mid").write_bytes(b"1")
    before = depends_on((1, 2), weights=["planner"], folders=[tmp_path])
    assert before == depends_on((1, 2), weights=["planner"], folders=[tmp_path])
    assert before != depends_on((1, 3), weights=["planner"], folders=[tmp_path])
    assert before != depends_on((1, 2), weights=["arranger"], folders=[tmp_path])
    (tmp_path / "clip.mid").write_bytes(b"22")
    assert before != depends_on((1, 2), weights=["planner"], folders=[tmp_path])


# ------------------------------------------------------------------------------------------------ whole evaluations


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return songs_like_pop909(judged_corpora(tmp_path_factory.mktemp("corpora")))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Songs of which some are held out."""
    folder, out = tmp_path_factory.mktemp("songs"), tmp_path_factory.mktemp("dataset")
    rng = np.random.default_rng(1)
    lines = ["id,file,title,split,licence,licence_class"]
    for i in range(24):
        write_score(from_notes(clip(1 + i % 4, rng, n_bars=16)), folder / f"{i}.mid")
        lines.append(f"{i},{i}.mid,song {i},{'train' if i < 16 else 'val'},CC0,permissive")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    build_corpus([folder], out, n_processes=1)
    return out


class Killed(BaseException):
    """As little caught as a signal."""


def report(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_the_report_of_a_folder_is_the_same_wherever_it_was_stopped(
    corpora: Path, dataset: Path, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_trees_and_draws(monkeypatch)
    pieces = tmp_path / "pieces"
    pieces.mkdir()
    for i in range(8):
        write_score(from_notes(clip(1 + i % 4, rng, n_bars=8)), pieces / f"Q{1 + i % 4}_{i}.mid")

    def evaluate(name: str) -> dict[str, bytes]:
        evaluate_folder(pieces, corpora, dataset, tmp_path / name, n_reference=8)
        return report(tmp_path / name)

    whole = evaluate("whole")
    measured: list[int] = []
    real = comparing.copies

    def dies_the_second_time(*arguments: Any, **options: Any) -> Any:
        measured.append(1)
        if len(measured) == 2:
            raise Killed
        return real(*arguments, **options)

    monkeypatch.setattr(comparing, "copies", dies_the_second_time)
    with pytest.raises(Killed):
        evaluate("stopped")
    assert (tmp_path / "stopped" / FOLDER).is_dir() and not (tmp_path / "stopped" / "evaluation.json").exists()
    monkeypatch.setattr(evaluating, "_validation", None)  # is not needed again
    assert evaluate("stopped") == whole
    assert len(measured) == 3  # people's, the folder's, and after the kill the folder's alone


@pytest.mark.slow
def test_no_piece_is_composed_twice(
    corpora: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_trees_and_draws(monkeypatch)
    settings = EvaluationSettings(
        n_pieces=2, bars=8, n_grid=2, n_checked=2, n_folds=0, alone=False, n_reference=8, music=None
    )  # fmt: skip

    class Mortal(Musician):
        life: int = 10**9

        def compose(self, intent: Intent, **options: Any) -> Any:
            if self.calls == self.life:
                raise Killed
            return super().compose(intent, **options)

    def evaluate(musician: Any, name: str) -> Any:
        found = evaluate_composer(musician, corpora, dataset, tmp_path / name, settings)
        for system in found["systems"].values():
            system.pop("seconds_per_piece", None)
        return found

    undisturbed: Any = Mortal()
    whole = evaluate(undisturbed, "whole")
    first: Any = Mortal()
    first.life = undisturbed.calls - 5
    with pytest.raises(Killed):
        evaluate(first, "stopped")
    second: Any = Mortal()
    assert evaluate(second, "stopped") == whole
    assert first.calls + second.calls == undisturbed.calls
