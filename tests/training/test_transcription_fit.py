"""What tells onsets from echoes: learnt from examples, the same from the same, and written as a checkpoint."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from kit import clip

from muse.checkpoint import find
from muse.errors import InputError
from muse.render import render_audio
from muse.score import from_notes, note_array, write_score
from muse.training import transcription
from muse.training.transcription import Examples, examples, excerpt, fit_onsets, is_held_out, train_transcriber
from muse.transcription import Transcriber
from muse.transcription.onsets import MEAN_VELOCITY, N_FEATURES
from muse.transcription.posteriors import MODEL_FILE, SAMPLE_RATE


def made_up(rng: np.random.Generator, n: int = 12_000) -> Examples:
    """Onsets where a feature is far from its middle, which no plane separates; velocity as another."""
    features = np.zeros((n, N_FEATURES), np.float32)
    features[:, :3] = rng.normal(0, 1, (n, 3))
    return Examples(features, np.abs(features[:, 0]) > 0.7, features[:, 2].copy())


def test_what_no_threshold_tells_is_learnt() -> None:
    rng = np.random.default_rng(0)
    network, test = fit_onsets([made_up(rng)]), made_up(rng)
    probability, velocity = network(test.features)
    assert ((probability > 0.5) == test.is_onset).mean() > 0.9
    told = test.is_onset
    assert np.corrcoef(velocity[told], test.velocity[told])[0, 1] > 0.9
    assert velocity[told].mean() == pytest.approx(MEAN_VELOCITY, abs=4)


def test_the_same_examples_give_the_same_weights() -> None:
    learnt = [made_up(np.random.default_rng(1), 200)]
    first, again, other = fit_onsets(learnt), fit_onsets(learnt), fit_onsets(learnt, seed=1)
    np.testing.assert_array_equal(first.hidden_weight, again.hidden_weight)
    assert not np.array_equal(first.hidden_weight, other.hidden_weight)


def test_true_candidates_are_the_onsets_of_the_notes() -> None:
    score = excerpt(from_notes(clip(1, np.random.default_rng(0), n_bars=4)), 2.0, 4.0)
    notes = note_array(score)
    assert notes["onset_sec"].min() < 0.01 and (notes["onset_sec"] + notes["duration_sec"]).max() <= 4.01
    samples = render_audio(score, sample_rate=SAMPLE_RATE).mean(axis=0)
    found = examples(samples, notes, Transcriber.from_pretrained().model)
    assert 0.8 * len(notes) < found.is_onset.sum() <= len(notes)
    assert found.is_onset.sum() < len(found.is_onset)
    assert not found.velocity[~found.is_onset].any()


def test_a_checkpoint_is_written_and_hears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcription, "EPOCHS", 10)
    folder, rng = tmp_path / "songs", np.random.default_rng(0)
    (folder / "midi").mkdir(parents=True)
    names = [f"song{i}" for i in range(40) if not is_held_out(f"song{i}")][:3]
    (kept,) = [f"song{i}" for i in range(200) if is_held_out(f"song{i}")][:1]
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["id", "file", "licence_class"])
        for name, licence in zip([*names, kept], ["permissive"] * 2 + ["nc", "permissive"], strict=True):
            write_score(from_notes(clip(2, rng, n_bars=4)), folder / "midi" / f"{name}.mid")
            table.writerow([name, f"midi/{name}.mid", licence])
    out, model = tmp_path / "made", find("transcriber") / MODEL_FILE
    facts = train_transcriber([folder], model, out)
    assert (
        facts["pieces"] == 2 and 0 < facts["onsets"] < facts["candidates"]
    )  # neither the kept one nor that of a licence
    assert json.loads((out / "config.json").read_text())["fitted_on"] == facts
    assert "Apache" in (out / "README.md").read_text(encoding="utf-8")
    score = from_notes(clip(2, rng, n_bars=2))
    heard = note_array(
        Transcriber.from_pretrained(out).transcribe(render_audio(score, sample_rate=SAMPLE_RATE), SAMPLE_RATE)
    )
    assert 0.5 * len(note_array(score)) < len(heard) < 1.5 * len(note_array(score))


def test_without_music_to_learn_from(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nmp\.onnx"):
        train_transcriber([tmp_path], tmp_path / "no.onnx", tmp_path / "out")
