"""Lead sheets from files whose lead sheet is known, through shards and back, and what is learnt from them."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from one_model import BothTasks, compare_losses, cut, held_out, train
from transformers import AutoModelForCausalLM

from muse.checkpoint import find
from muse.cli import main
from muse.composer.perform import PLACES
from muse.composer.plan import PlanRequest
from muse.composer.stages import Stages
from muse.dataset.lead_sheets import build, load
from muse.engines import InProcess
from muse.errors import InputError
from muse.files import read_json, write_json
from muse.generator.model import size_of
from muse.score import NOTE_DTYPE, from_notes, write_score
from muse.tokens.arrangement import VOCABULARY as ARRANGEMENT
from muse.tokens.plan import VOCABULARY, decode
from muse.training.language_model import IGNORED, RunSettings
from muse.training.lead_sheets import ArrangerTask, PlannerTask, SheetSettings
from muse.training.touch import fit_touch

CHORDS = ((60, 64, 67), (57, 60, 64), (53, 57, 60), (55, 59, 62))  # C Am F G
TUNE = ((0, 76, 4), (4, 74, 2), (6, 72, 2), (8, 79, 8))
N_BARS = 16


def song(shift: int, rng: np.random.Generator) -> np.ndarray:
    """A tune (track 0) over chords in half notes (track 1), 16 bars of 4/4."""
    rows = []
    for bar in range(N_BARS):
        rows += [(4 * bar + p / 4, n / 4, pitch + shift, 90, 0) for p, pitch, n in TUNE]
        for half in (0, 2):
            for pitch in (CHORDS[bar % 4][0] - 12, *CHORDS[bar % 4]):
                rows.append((4 * bar + half, 2, pitch + shift, 60 + 10 * (half == 0) + int(rng.integers(-6, 7)), 1))
    notes = np.zeros(len(rows), NOTE_DTYPE)
    for name, column in zip(
        ("onset_beat", "duration_beat", "pitch", "velocity", "track"), zip(*rows, strict=True), strict=True
    ):
        notes[name] = column
    return notes


def write_corpus(folder: Path, n_songs: int) -> Path:
    """A corpus of such songs, the third of every six for validation."""
    (folder / "midi").mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = []
    for i in range(n_songs):
        score = from_notes(song(i % 12 - 5, rng), tempo_bpm=100, names=["MELODY", "PIANO"])
        write_score(score, folder / "midi" / f"s{i}.mid")
        row = {"id": f"s{i}", "file": f"midi/s{i}.mid", "genre_group": "pop", "licence_class": "permissive"}
        rows.append(row | {"split": "val" if i % 6 == 2 else "train"})
    with (folder / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpora")
    write_corpus(folder / "pop909", 24)
    write_corpus(folder / "mutopia", 3)
    (folder / "mutopia" / "midi" / "s1.mid").write_bytes(b"no MIDI file")
    return folder


@pytest.fixture(scope="module")
def shards(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("shards")
    found = build([corpora / "pop909"], out, n_processes=1)
    assert (found["songs"], found["sheets"], found["bars"], found["without"]) == (24, 24, 24 * N_BARS, 0)
    return out


def test_a_build_that_was_stopped_goes_on_and_ends_the_same(corpora: Path, shards: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        assert total == 27
        if done > 12:  # mutopia is whole, pop909 is not
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build([corpora], tmp_path, n_processes=1, progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["mutopia.parquet"]
    first = (tmp_path / "mutopia.parquet").stat().st_mtime_ns
    (tmp_path / ".pop909.1-1.part.parquet").write_bytes(b"what a kill leaves")
    found = build([corpora], tmp_path, n_processes=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mutopia.parquet", "pop909.parquet"]
    assert (tmp_path / "mutopia.parquet").stat().st_mtime_ns == first
    assert (tmp_path / "pop909.parquet").read_bytes() == (shards / "pop909.parquet").read_bytes()
    assert (found["without"], found["sheets"]) == (1, 26)
    assert list(found["rejects"]) == ["mutopia/s1"]
    broken = corpora / "mutopia" / "midi" / "s1.mid"
    with pytest.raises(InputError, match="no lead sheet in 1 songs, 1 of which"):
        build([broken], tmp_path / "none", licence_classes=["unclear"], n_processes=1)
    with pytest.raises(InputError, match="unknown licence class 'free'"):
        build([corpora], tmp_path, licence_classes=["free"])


def test_an_archive_has_the_lead_sheets_of_its_folder(corpora: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "mutopia.zip", "w") as archive:
        for path in sorted((corpora / "mutopia").rglob("*.*")):
            archive.write(path, path.relative_to(corpora / "mutopia"))
    made = []
    for name, source in (("folder", corpora / "mutopia"), ("archive", tmp_path / "mutopia.zip")):
        build([source], tmp_path / name, engine=InProcess())
        (shard,) = (tmp_path / name).iterdir()  # nothing else is left
        made.append((shard.name, shard.read_bytes()))
    assert made[0] == made[1]
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("metadata.csv", "id,file\nx,x.mid\n")
    with pytest.raises(InputError, match=r"bad\.zip:metadata\.csv, line 2: there is no file 'x\.mid'"):
        build([tmp_path / "bad.zip"], tmp_path / "bad", engine=InProcess())


def test_what_was_written_is_read(shards: Path) -> None:
    sheets = load(shards)
    assert len(sheets) == 24
    for number, sheet in enumerate(sorted(sheets, key=lambda s: int(s.song.split("/s")[1].split("#")[0]))):
        plan = sheet.plan.transposed(-(number % 12 - 5))
        assert (plan.tonic, plan.mode, plan.time_signature) == (0, "major", (4, 4))
        assert str(plan) == " | ".join(["C", "Am", "F", "G"] * 4)
        assert [(n.position, n.pitch, n.length) for n in plan.bars[3].melody] == list(TUNE)
        assert plan.bars[4].melody_exact
        assert plan.bars[4].chords_lag == 4
        assert (sheet.parts, sheet.at_start, sheet.at_end, sheet.played) == (("keys",), True, True, True)
        assert round(sheet.tempo_bpm) == 100
        assert (sheet.melody_velocity == 90).all()
        assert len(sheet.notes) == N_BARS * 8
    assert len(load(shards, splits=["val"])) == 4
    assert len(load(shards, limits={"pop909": 5})) == 5
    with pytest.raises(InputError, match="no lead sheets"):
        load(shards / "none")


SETTINGS = SheetSettings(corpora={"pop909": 1.0}, bars={8: 1.0}, batch_tokens=400, n_validation=2)


def test_windows_say_what_they_hold(shards: Path) -> None:
    task = PlannerTask(shards, SETTINGS)
    ids, labels = task.batch(5)
    assert (ids[labels != IGNORED] == labels[labels != IGNORED]).all()
    plan = decode(ids[0].tolist(), (4, 4), 0, "major")
    assert len(plan.bars) == 8
    assert {str(c.symbol) for bar in plan.bars for c in bar.chords} == {"C", "Am", "F", "G"}
    again = PlannerTask(shards, SETTINGS).batch(5)
    assert torch.equal(ids, again[0])
    arranged, _ = ArrangerTask(shards, SETTINGS).batch(0)
    spelled = ARRANGEMENT.spell(arranged[0].tolist())
    assert "Part_keys" in spelled
    assert spelled.count("PartEnd_bar") == 8


def test_a_planner_and_an_arranger_are_trained_from_the_command_line(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    windows = {"corpora": {"pop909": 1.0}, "bars": {"8": 1.0}, "batch_tokens": 200, "n_validation": 2}
    write_json({"windows": windows, "run": {"warmup_steps": 2, "minutes": 1}}, tmp_path / "config.json")
    for kind, vocabulary in (("planner", VOCABULARY), ("arranger", ARRANGEMENT)):
        command = ["train", kind, str(shards), "-o", str(tmp_path / kind), "--config", str(tmp_path / "config.json")]
        with pytest.raises(SystemExit) as ended:
            main([*command, "--steps", "3", "--seed", "3", "--json"])
        assert not ended.value.code
        metrics = json.loads(capsys.readouterr().out)
        assert metrics["steps"] == 3
        assert metrics["val_loss"] < np.log(len(vocabulary))
        spelt = read_json(tmp_path / kind / "vocabulary.json")
        assert spelt == {name: list(values) for name, values in vocabulary.blocks}
        told = read_json(tmp_path / kind / "training.json")
        assert (told["windows"]["bars"], told["run"]["seed"], told["run"]["max_steps"]) == ({"8": 1.0}, 3, 3)
    written = {path.name for path in (tmp_path / "planner").iterdir()}
    assert written == {path.name for path in find("planner").iterdir()} | {"forms.json"}
    with pytest.raises(SystemExit) as ended:
        main([*command, "--steps", "3", "--size", "tiny"])
    assert ended.value.code == 2
    assert "of size micro, not tiny: restart it" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*command, "--init", "planner", "--restart"])
    assert "its weights are of other tokens than these" in capsys.readouterr().err


def test_a_run_from_weights_has_their_size(shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    windows = {"corpora": {"pop909": 1.0}, "bars": {"8": 1.0}, "batch_tokens": 200, "n_validation": 2}
    write_json({"windows": windows}, tmp_path / "config.json")
    command = ["train", "planner", str(shards), "-o", str(tmp_path / "more"), "--config", str(tmp_path / "config.json")]
    command += ["--init", "planner", "--steps", "1"]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--size", "micro"])
    assert ended.value.code == 2
    assert "planner is of size mini, not micro" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main([*command, "--json"])
    assert not ended.value.code
    assert json.loads(capsys.readouterr().out)["val_loss"] < 3  # random weights: 5.8 nats
    assert read_json(tmp_path / "more" / "training.json")["run"]["size"] == "mini"
    assert size_of(tmp_path / "more") == "mini"


def test_one_network_learns_both_stages_and_is_cut_into_two(shards: Path, tmp_path: Path) -> None:
    windows = {"corpora": {"pop909": 1.0}, "bars": {"8": 1.0}, "batch_tokens": 200, "n_validation": 2}
    planner, arranger = (kind.configured(shards, windows) for kind in (PlannerTask, ArrangerTask))
    both = BothTasks(planner, arranger, (3, 5))
    turns = [arranger, arranger, planner, arranger, arranger, planner, arranger, planner]
    for number, task in enumerate(turns):  # the very batches that each task gives alone, as often and in their order
        for one, alone in zip(both.batch(number), task.batch(turns[:number].count(task)), strict=True):
            assert torch.equal(one, alone)
    metrics = train(both, tmp_path / "both", RunSettings(max_steps=4, warmup_steps=1))
    whole = AutoModelForCausalLM.from_pretrained(tmp_path / "both").float()
    for task in (planner, arranger):
        cut(tmp_path / "both", task, tmp_path / task.kind)
        part = AutoModelForCausalLM.from_pretrained(tmp_path / task.kind).float()
        ids, _ = task.batch(0)
        assert part(ids).logits.shape[-1] == len(task.vocabulary)
        torch.testing.assert_close(part(ids).logits, whole(ids).logits[..., : len(task.vocabulary)])
    losses = {task.kind: held_out(tmp_path / task.kind, task) for task in (planner, arranger)}
    pooled = sum(rows[:, 0].sum() for rows in losses.values()) / sum(rows[:, 1].sum() for rows in losses.values())
    assert metrics["val_loss"] - 0.5 < pooled < metrics["val_loss"] + 0.01  # ids that no plan has cost nothing any more
    worse = losses["planner"] * [1.5, 1]
    found = compare_losses(losses["planner"], worse)
    assert found["one_minus_two"] == pytest.approx(0.5 * found["two"])
    assert found["interval"][0] <= found["one_minus_two"] <= found["interval"][1]
    stages = Stages.from_pretrained(tmp_path / "planner", tmp_path / "arranger")
    assert len(stages.planner.plan(PlanRequest(4), rng=np.random.default_rng(0))[0].bars) == 4


def test_a_few_songs_of_ones_own_are_learnt_from_and_some_kept_to_test_on(corpora: Path, tmp_path: Path) -> None:
    sources = [corpora / "mutopia" / "midi" / f"s{i}.mid" for i in (0, 2)]
    build(sources, tmp_path, licence_classes=["unclear"], n_processes=1)
    task = PlannerTask(tmp_path, SheetSettings(bars={8: 1.0}, batch_tokens=200, n_validation=2))
    assert task.settings.corpora == {"midi": 1.0}
    assert len(task._windows.sheets) == len(task._windows.held_out) == 1
    assert task._windows.sheets[0].song != task._windows.held_out[0].song
    assert "| held-out loss (midi; songs never trained on) | 1.0000" in task.card(
        "mine", {"n_parameters": 1, "steps": 1, "tokens": 1, "minutes": 1.0, "val_loss": 1.0}
    )
    build(sources[:1], tmp_path / "one", licence_classes=["unclear"], n_processes=1)
    with pytest.raises(InputError, match="0 lead sheets to learn from and 1 to test on"):
        PlannerTask(tmp_path / "one", SheetSettings())


def test_accents_that_were_played_are_measured(shards: Path) -> None:
    touch = fit_touch(load(shards))
    accent = touch["accent"]
    assert isinstance(accent, dict)
    assert set(accent) == set(PLACES)
    assert accent["one"] - accent["middle"] == pytest.approx(10, abs=1.5)
    assert touch["chord_spread"] == pytest.approx(np.sqrt((13**2 - 1) / 12 * 3 / 4), rel=0.1)
