"""The whole report: every system measured in the same way, told in one page, and a folder of anyone's files."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from kit import Musician, clip, few_trees_and_draws, judged_corpora, songs_like_pop909

from muse.dataset.build import build_corpus
from muse.errors import InputError
from muse.evaluate import EvaluationSettings, evaluate_composer, evaluate_folder
from muse.evaluate.metrics.music import METRICS
from muse.evaluate.reports import evaluation_page
from muse.evaluate.systems.folder import quadrant_in
from muse.score import from_notes, write_score
from muse.selector import Selector
from muse.selector.config import Config
from muse.selector.network import Network


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return songs_like_pop909(judged_corpora(tmp_path_factory.mktemp("corpora")))


@pytest.fixture(scope="module")
def selector() -> Selector:
    torch.manual_seed(0)
    config = Config(width=32, layers=1, heads=2)
    return Selector(config, Network(config).reader())


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen songs to learn from, eight held out."""
    folder = tmp_path_factory.mktemp("songs") / "songs"
    folder.mkdir()
    rng = np.random.default_rng(1)
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["id", "file", "title", "split", "licence", "licence_class"])
        for i in range(24):
            write_score(from_notes(clip(1 + i % 4, rng, n_bars=16)), folder / f"{i}.mid")
            table.writerow([i, f"{i}.mid", f"song {i}", "train" if i < 16 else "val", "CC0", "permissive"])
    out = tmp_path_factory.mktemp("dataset")
    build_corpus([folder], out, n_processes=1)
    return out


@pytest.mark.slow
def test_the_report_sets_the_composer_beside_people_and_simpler_systems(
    corpora: Path,
    dataset: Path,
    selector: Selector,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few_trees_and_draws(monkeypatch)
    musician: Any = Musician(selector=selector)
    seen: list[tuple[float, float]] = []
    settings = EvaluationSettings(
        n_pieces=2, bars=8, n_grid=2, n_checked=2, n_folds=0, alone=False, n_reference=8, music=None
    )  # fmt: skip
    found = evaluate_composer(
        musician, corpora, dataset, tmp_path, settings, progress=lambda done, total: seen.append((done, total))
    )
    assert list(found["systems"]) == ["human", "muse", "one", "best", "free", "emogen", "ngram"]
    assert seen[-1][0] == seen[-1][1]
    for name, system in found["systems"].items():
        assert set(system["metrics"]) == set(METRICS)
        assert set(system["frechet"]) == {"features", "selector"}
        assert (system["emotion"] is None) == (name == "human")
        assert ("failure_rate" in system) == (name != "human")
    systems = found["systems"]
    accuracy = {name: systems[name]["emotion"]["primary"]["accuracy"] for name in systems if name != "human"}
    assert accuracy["muse"] == 1.0 > accuracy["free"]
    assert set(systems["muse"]["emotion"]) == {"primary", "second", "selector"}
    # The songs and the musician share a chord pattern, which no 5-gram model invents.
    runs = {name: system["originality"]["voices"]["share"]["value"] for name, system in systems.items()}
    assert min(runs["muse"], runs["human"]) > runs["ngram"]
    assert set(found["best_of"]["accuracy"]) == {"primary", "second"}

    text = (tmp_path / "evaluation.md").read_text(encoding="utf-8")
    page = (tmp_path / "evaluation.html").read_text(encoding="utf-8")
    for heading in ("All systems", "Metrics of music", "Best of 16", "Goals", "Emotion control: quadrants", "Variety"):
        assert f"## {heading}" in text
        assert f"<h2>{heading}" in page
    assert page.count("data:image/png;base64,") == text.count(".png)") > 4 and 'src="evaluation/' not in page
    assert json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8")) == found
    assert evaluation_page(found) == text


@pytest.mark.slow
def test_a_folder_is_measured_in_the_same_way(
    corpora: Path,
    dataset: Path,
    selector: Selector,
    tmp_path: Path,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few_trees_and_draws(monkeypatch)
    (tmp_path / "pieces").mkdir()
    for q in (1, 2, 3, 4):
        for i in range(2):
            write_score(from_notes(clip(q, rng, n_bars=8)), tmp_path / "pieces" / f"Q{q}_{i}.mid")
    (tmp_path / "pieces" / "Q1_broken.mid").write_bytes(b"MThd no music")
    found = evaluate_folder(tmp_path / "pieces", corpora, dataset, tmp_path / "out", selector=selector, n_reference=8)
    assert found["systems"]["folder"]["n"] == 8
    assert found["systems"]["folder"]["emotion"]["primary"]["accuracy"] >= 0.75
    assert [row["file"] for row in found["broken"]] == ["Q1_broken.mid"]
    text = (tmp_path / "out" / "evaluation.md").read_text(encoding="utf-8")
    assert "# Evaluation of pieces" in text and "8 of 9 files" in text and "Q1_broken.mid" in text


def test_a_folder_without_music_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mid").write_bytes(b"no music")
    with pytest.raises(InputError, match="0 of 1 MIDI files can be read; give at least three"):
        evaluate_folder(tmp_path, tmp_path, tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "quadrant"),
    [("Q3_0.mid", 3), ("out/q2/x.mid", 2), ("sad.mid", 0), ("EQ4U.mid", 0), ("Q5.mid", 0)],
)
def test_what_was_asked_for_stands_in_the_name(name: str, quadrant: int) -> None:
    assert quadrant_in(name) == quadrant
