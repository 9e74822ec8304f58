"""Training: prefixes tell the truth, batches depend on seed and step alone, a killed run resumes exactly."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import symusic

from muse.attributes import extract
from muse.checkpoint import load_tensors
from muse.dataset.build import build_corpus
from muse.dataset.read import Corpus
from muse.errors import InputError
from muse.score import write_score
from muse.tokens import SECTION_CONTROLS, SONG_CONTROLS
from muse.tokens.music import fold_shift

pytest.importorskip("lightning")

from muse.training.generator import Batches, Settings, Windows, train

SMALL = {"size": "tiny", "batch_sequences": 2, "validate_every": 2, "n_validation": 4, "warmup_steps": 2, "threads": 1}


def a_song(rng: np.random.Generator, n_bars: int = 16) -> symusic.Score:
    """A tune over broken chords, on sixteenths, with loudness that varies."""
    score = symusic.Score(480)
    score.time_signatures.append(symusic.TimeSignature(0, 4, 4))
    score.tempos.append(symusic.Tempo(0, qpm=float(rng.integers(60, 160))))
    track = symusic.Track(program=0)
    key = int(rng.integers(0, 12))
    scale = np.array([0, 2, 3, 5, 7, 8, 10] if rng.random() < 0.5 else [0, 2, 4, 5, 7, 9, 11])
    for bar in range(n_bars):
        root = int(rng.integers(0, 7))
        for step in range(0, 16, 2):
            degree = root + [0, 2, 4, 2][step // 2 % 4]
            pitch = 48 + key + 12 * (degree // 7) + int(scale[degree % 7])
            track.notes.append(symusic.Note(bar * 1920 + step * 120, 240, pitch, int(rng.integers(40, 100))))
            if rng.random() < 0.6:
                tune = 66 + key + int(scale[rng.integers(0, 7)])
                track.notes.append(symusic.Note(bar * 1920 + step * 120, int(rng.integers(1, 5)) * 120, tune, 90))
    score.tracks.append(track)
    return score


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    # The split is by a hash of the folder's name, so the name must not count the folders of other tests.
    folder = tmp_path_factory.mktemp("train") / "songs0"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(40):
        write_score(a_song(rng), folder / f"song{i:02d}.mid")
    out = tmp_path_factory.mktemp("dataset")
    build_corpus([folder], out, n_processes=1)
    return Corpus(out)


@pytest.fixture(scope="module")
def windows(corpus: Corpus) -> Windows:
    return Windows(corpus, "train", settings_for(corpus))


def settings_for(corpus: Corpus, **changes: object) -> Settings:
    return Settings(**{**SMALL, "licence_classes": tuple(corpus.info["by_licence_class"]), **changes})  # type: ignore[arg-type]


def test_without_augmentation_the_music_is_only_moved_to_its_tonic(windows: Windows) -> None:
    row = int(windows.rows[0])
    ids, labels = windows.sequence(row, np.random.default_rng(0), augment=False)
    v = windows.codec.vocabulary
    music = ids[ids >= v.n_control]
    header_programs = len(windows.programs[row]) + 1  # TimeSig and Program… of the prefix are REMI tokens too
    shift = fold_shift(-int(windows.tonic[row]))
    np.testing.assert_array_equal(windows.codec.transpose(windows.tokens[row], shift), music[header_programs:])
    assert (labels[ids < v.n_control][:-1] == -100).sum() > 30
    assert labels[-1] == v.eos


def test_the_prefix_tells_the_truth_after_augmentation(windows: Windows) -> None:
    """Measured on the decoded music, every control is in the bucket that the sequence names."""
    v = windows.codec.vocabulary
    wrong = total = 0
    for row in windows.rows[:12]:
        ids, _ = windows.sequence(int(row), np.random.default_rng(int(row)), augment=True)
        score = windows.codec.decode(ids[np.flatnonzero(ids == v.bar)[0] :])
        measured = extract(score, names=SONG_CONTROLS).values[0].astype(float)
        asked = ids[np.flatnonzero(ids == v.bar)[0] - 11 - 28 :][:28]
        for name, token, value in zip(SONG_CONTROLS, asked, measured, strict=True):
            if token == v.null:
                continue
            bucket = int(token) - v.bucket_id(name, 0)
            edges = windows.codec.controls.song[SONG_CONTROLS.index(name)]
            low, high = (edges[bucket - 1] if bucket else -np.inf), (edges[bucket] if bucket < 7 else np.inf)
            slack = 0.02 * max(abs(value), np.ptp(edges))  # loudness is rounded to its bins at the ends of the scale
            total += 1
            wrong += not low - slack <= value <= high + slack
    assert total > 100
    assert wrong / total < 0.03


def test_controls_are_dropped_and_sometimes_all_of_them(windows: Windows) -> None:
    v = windows.codec.vocabulary
    shares = []
    for seed in range(80):
        ids, _ = windows.sequence(int(windows.rows[0]), np.random.default_rng(seed), augment=True)
        first = np.flatnonzero((ids >= v.section[0]) & (ids < v.section[1]))[0]
        shares.append(float((ids[first - 28 : first] == v.null).mean()))
    assert sum(share == 1.0 for share in shares) >= 2
    assert 0.2 < np.mean(shares) < 0.6


def test_batches_depend_on_seed_and_step_alone(windows: Windows) -> None:
    from itertools import islice

    whole = list(islice(iter(Batches(windows, 0)), 12))
    later = list(islice(iter(Batches(windows, 7)), 5))
    for a, b in zip(whole[7:], later, strict=True):
        assert (a["ids"] == b["ids"]).all() and (a["labels"] == b["labels"]).all()


def test_corpus_weights_repeat_and_thin_out(corpus: Corpus) -> None:
    name = next(iter(corpus.info["by_corpus"]))
    twice = Windows(corpus, "train", settings_for(corpus, corpus_weights={name: 2.0}))
    assert sum(len(batch) for batch in twice.epoch(0)) == 2 * len(twice)
    half = Windows(corpus, "train", settings_for(corpus, corpus_weights={name: 0.5}))
    assert 0.2 * len(half) < sum(len(batch) for batch in half.epoch(0)) < 0.8 * len(half)


def test_a_run_that_was_stopped_goes_on_exactly(corpus: Corpus, tmp_path: Path) -> None:
    import lightning

    class Stop(lightning.Callback):
        def on_train_batch_end(self, trainer: lightning.Trainer, *_: object) -> None:
            trainer.should_stop = trainer.global_step >= 2

    options = {**SMALL, "licence_classes": tuple(corpus.info["by_licence_class"]), "max_steps": 4}
    whole = train(corpus.folder, tmp_path / "whole", progress=False, **options)
    stopped = train(corpus.folder, tmp_path / "parts", progress=False, callbacks=[Stop()], **options)
    assert len(stopped["history"]) == 1
    parts = train(corpus.folder, tmp_path / "parts", progress=False, **options)
    assert [row["val_loss"] for row in parts["history"]] == pytest.approx(
        [row["val_loss"] for row in whole["history"]], abs=1e-6
    )
    a, b = (load_tensors(tmp_path / name, "np") for name in ("whole", "parts"))
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])


def test_loss_falls_and_the_folder_is_complete(corpus: Corpus, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    options = {**SMALL, "licence_classes": tuple(corpus.info["by_licence_class"]), "validate_every": 7}
    metrics = train(corpus.folder, tmp_path / "run", progress=False, max_steps=14, **options)
    losses = [row["val_loss"] for row in metrics["history"]]
    assert losses[-1] < losses[0] < np.log(900)
    for name in ("config.json", "tokenizer.json", "controls.json", "training.json", "metrics.json", "README.md"):
        assert (tmp_path / "run" / name).stat().st_size > 0
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "run")
    assert model.config.num_key_value_heads == 2
    assert len(SECTION_CONTROLS) == 10


def test_unknown_settings_and_empty_datasets_are_refused(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown training setting 'leraning_rate': did you mean 'learning_rate'"):
        train(corpus.folder, tmp_path / "x", leraning_rate=1)
    with pytest.raises(InputError, match="licence class nc"):
        train(corpus.folder, tmp_path / "x", **{**SMALL, "licence_classes": ("nc",)})


def test_a_small_folder_of_ones_own_is_trained_by_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No licence stated, no song drawn for validation, fewer steps than between two reports."""
    from muse.cli import main

    (tmp_path / "mine").mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        write_score(a_song(rng, 8), tmp_path / "mine" / f"song{i}.mid")
    info = build_corpus([tmp_path / "mine"], tmp_path / "data", n_processes=1)
    assert set(info["by_split"]) == {"train"}
    command = ["train", "generator", str(tmp_path / "data"), "-o", str(tmp_path / "out"), "--size", "tiny", "--json"]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--steps", "1"])
    assert ended.value.code == 2
    assert "licence class permissive; its songs are unclear" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main([*command, "--steps", "1", "--licence", "unclear"])
    assert not ended.value.code
    metrics = json.loads(capsys.readouterr().out)
    assert [row["step"] for row in metrics["history"]] == [1]
    assert 0 < metrics["best"]["val_loss"] < np.log(2000)
    assert load_tensors(tmp_path / "out", "np")
    assert "license: other" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_songs_held_out_of_a_small_dataset_are_not_learnt_from(windows: Windows) -> None:
    known, held_out = windows.parted(0.1)
    songs = [set(part.song_name[part.rows].tolist()) for part in (known, held_out)]
    assert not songs[0] & songs[1]
    assert len(songs[1]) == round(0.1 * len(songs[0] | songs[1]))
    assert len(known) + len(held_out) == len(windows)
