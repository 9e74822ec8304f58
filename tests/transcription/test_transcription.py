"""Sound to notes: exact on posteriors made by hand, near on rendered music, the same in whatever portions it comes."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mir_eval
import numpy as np
import pytest

from muse.checkpoint import find, load_tensors, save_tensors
from muse.errors import InputError
from muse.render import render_audio
from muse.score import NOTE_DTYPE, Notes, Score, from_notes, note_array
from muse.transcription import Transcriber
from muse.transcription.onsets import CONTEXT, N_FEATURES, OnsetNetwork, candidates
from muse.transcription.posteriors import HOP, LOWEST_PITCH, MODEL_FILE, SAMPLE_RATE, PosteriorModel, Posteriors
from muse.transcription.tracking import GAP, NoteTracker


@pytest.fixture(scope="module")
def transcriber() -> Transcriber:
    return Transcriber.from_pretrained()


@pytest.fixture(scope="module")
def piece() -> Score:
    """Eight bars of chords in the left hand and a tune in the right."""
    rows = []
    for bar, root in enumerate((48, 45, 41, 43) * 2):
        third = 3 if root == 45 else 4
        rows += [(2.0 * bar, 1.8, pitch, 70) for pitch in (root, root + third, root + 7)]
        rows += [(2.0 * bar + 0.5 * i, 0.45, root + 24 + step, 90) for i, step in enumerate((0, 7, third, 12))]
    notes: Notes = np.zeros(len(rows), NOTE_DTYPE)
    for name, column in zip(("onset_beat", "duration_beat", "pitch", "velocity"), zip(*rows, strict=True), strict=True):
        notes[name] = column
    return from_notes(notes, tempo_bpm=120)


@pytest.fixture(scope="module")
def sound(piece: Score) -> np.ndarray:
    return np.ascontiguousarray(render_audio(piece, sample_rate=SAMPLE_RATE).mean(axis=0))


def figures(truth: Score, found: Score) -> tuple[float, float, float]:
    def of(score: Score) -> tuple[np.ndarray, np.ndarray]:
        notes = note_array(score)
        stop = notes["onset_sec"] + notes["duration_sec"]
        return np.stack([notes["onset_sec"], stop], axis=1), mir_eval.util.midi_to_hz(notes["pitch"])

    return mir_eval.transcription.precision_recall_f1_overlap(*of(truth), *of(found), offset_ratio=None)[:3]


def test_rendered_music_is_heard_note_for_note(transcriber: Transcriber, piece: Score, sound: np.ndarray) -> None:
    found = transcriber.transcribe(sound, SAMPLE_RATE)
    precision, recall, f1 = figures(piece, found)
    assert f1 > 0.9 and min(precision, recall) > 0.85
    notes = note_array(found)
    assert ((notes["velocity"] >= 1) & (notes["velocity"] <= 127)).all()
    # Moved by a second, everything is heard a second later; so it is at another rate and in two channels.
    moved = note_array(piece)
    moved["onset_beat"] += 2
    later = transcriber.transcribe(np.concatenate([np.zeros(SAMPLE_RATE, np.float32), sound]), SAMPLE_RATE)
    assert figures(from_notes(moved, tempo_bpm=120), later)[2] > 0.9
    stereo = transcriber.transcribe(np.stack([np.repeat(sound, 2)] * 2), 2 * SAMPLE_RATE)
    assert figures(piece, stereo)[2] > 0.85


def test_silence_and_noise_below_hearing_have_no_notes(transcriber: Transcriber) -> None:
    noise = np.random.default_rng(0).normal(0, 1e-5, 3 * SAMPLE_RATE).astype(np.float32)
    assert not len(note_array(transcriber.transcribe(noise, SAMPLE_RATE)))
    assert not len(note_array(transcriber.transcribe(np.zeros(100, np.float32), SAMPLE_RATE)))


@pytest.mark.parametrize("bad", [np.zeros((0,), np.float32), np.array([np.nan, 0.0] * 100), np.zeros((2, 2, 2))])
def test_what_is_no_sound_is_refused(transcriber: Transcriber, bad: np.ndarray) -> None:
    with pytest.raises(InputError):
        transcriber.transcribe(bad, SAMPLE_RATE)


def test_portions_do_not_matter(transcriber: Transcriber, sound: np.ndarray) -> None:
    short = sound[: 5 * SAMPLE_RATE + 77]
    whole = list(transcriber.model.stream([short]))
    pieces = list(transcriber.model.stream([short[i : i + 1000] for i in range(0, len(short), 1000)]))
    onset, note = (np.concatenate(parts) for parts in zip(*whole, strict=True))
    assert len(onset) == len(note) == -(-len(short) // HOP)
    np.testing.assert_array_equal(onset, np.concatenate([part.onset for part in pieces]))
    found = []
    for size in (len(onset), 141, 7, 1):
        tracker = NoteTracker(transcriber.network)
        for first in range(0, len(onset), size):
            tracker.push(Posteriors(onset[first : first + size], note[first : first + size]))
        found.append(tracker.finish())
    assert len(found[0]) > 10
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


# ------------------------------------------------------------------------------------------------------------ by hand


def by_posterior(threshold: float = 0.6) -> OnsetNetwork:
    """Takes a candidate for an onset where the onset posterior itself is above a threshold."""
    hidden, weight = np.zeros((N_FEATURES, 1), np.float32), np.array([[10.0, 0.0]], np.float32)
    hidden[0] = 1.0
    shift = 10 - np.log(threshold / (1 - threshold))  # the hidden unit is a rectifier
    bias = np.array([-100.0, 1.0], np.float32)
    nothing = np.zeros(N_FEATURES, np.float32)
    return OnsetNetwork(nothing, nothing + 1, hidden, np.array([shift], np.float32), weight, bias)


def tracked(onset: np.ndarray, note: np.ndarray) -> list[tuple[int, int, int]]:
    tracker = NoteTracker(by_posterior())
    tracker.push(Posteriors(onset, note))
    rows = tracker.finish()
    frames = np.rint(np.stack([rows["onset_sec"], rows["duration_sec"]], axis=1) * SAMPLE_RATE / HOP).astype(int)
    assert (rows["velocity"] == 80).all()
    return [(first, n, int(pitch)) for (first, n), pitch in zip(frames.tolist(), rows["pitch"], strict=True)]


def test_notes_last_as_long_as_they_sound() -> None:
    onset, note = np.zeros((2, 300, 88), np.float32)
    onset[[0, 50, 90], 40] = 0.9  # 90 strikes again
    note[50:120, 40] = 0.8
    note[70 : 70 + GAP - 1, 40] = 0.0  # passed over
    onset[100, 10], note[100:130, 10], note[130 + GAP : 200, 10] = 0.7, 0.5, 0.5  # too long a gap
    onset[200, 60] = 0.5  # sure of nothing
    onset[280, 5], note[280:, 5] = 0.8, 0.8  # sounds to the end
    onset[150, 87] = 0.9  # struck and not heard
    pitch = LOWEST_PITCH
    assert tracked(onset, note) == [
        (0, 1, 40 + pitch), (50, 40, 40 + pitch), (90, 30, 40 + pitch), (100, 30, 10 + pitch),
        (150, 1, 87 + pitch), (280, 20, 5 + pitch),
    ]  # fmt: skip


def test_candidates_know_what_sounds_around_them() -> None:
    onset, note = np.zeros((2, 2 * CONTEXT + 10, 88), np.float32)
    onset[CONTEXT + 4, 30], onset[CONTEXT + 3, 18], onset[CONTEXT - 1, 50] = 0.8, 0.9, 0.9
    found = candidates(Posteriors(onset, note))
    assert [*zip(found.frame.tolist(), found.pitch.tolist(), strict=True)] == [(3, 18), (4, 30)]
    lower, upper = found.features
    assert lower[0] == pytest.approx(np.log(0.9 / 0.1), abs=1e-4)
    octave_below, octave_above = 7 + 3, 7 + 6  # in the order of the distances: -28, -24, -19, -12, -1, 1, 12, 19
    assert upper[octave_below] == pytest.approx(np.log(0.9 / 0.1), abs=1e-4)
    assert lower[octave_above] == pytest.approx(np.log(0.8 / 0.2), abs=1e-4)
    assert upper[octave_above] == pytest.approx(np.log(0.01 / 0.99), abs=1e-4)


# --------------------------------------------------------------------------------------------------- broken checkpoints

Change = Callable[[Path], Any]


def retold(folder: Path, data: bytes) -> None:
    """Another model, and its digest in the configuration."""
    (folder / MODEL_FILE).write_bytes(data)
    config = json.loads((folder / "config.json").read_text()) | {"sha256": hashlib.sha256(data).hexdigest()}
    (folder / "config.json").write_text(json.dumps(config))


def weights(change: Callable[[dict[str, np.ndarray]], Any]) -> Change:
    def apply(folder: Path) -> None:
        tensors = load_tensors(folder, "np")
        change(tensors)
        save_tensors(tensors, folder)

    return apply


BROKEN: dict[str, tuple[Change, str]] = {
    "no model": (lambda folder: (folder / MODEL_FILE).unlink(), "no such file: get the checkpoint again"),
    "another model": (lambda folder: (folder / MODEL_FILE).write_bytes(b"x"), "SHA-256"),
    "no digest": (lambda folder: (folder / "config.json").write_text('{"model_type": "muse-transcriber"}'), "SHA-256"),
    "a cut model": (lambda f: retold(f, (f / MODEL_FILE).read_bytes()[:5000]), "no intact ONNX model"),
    "no ONNX": (lambda folder: retold(folder, b"\x80\x04pickle"), "no intact ONNX model"),
    "another network": (
        lambda f: retold(f, (find("prompts-image") / "mobilenet_v2.onnx").read_bytes()), "no model of Basic Pitch",
    ),
    "another kind": (lambda folder: (folder / "config.json").write_text('{"model_type": "llama"}'), "holds no muse-tr"),
    "no config": (lambda folder: (folder / "config.json").unlink(), "config.json"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "neither model.safetensors"),
    "a weight less": (weights(lambda t: t.pop("bias")), "bias is missing"),
    "a shape": (weights(lambda t: t.update(mean=t["mean"][:-1])), "mean has the shape"),
    "not finite": (weights(lambda t: t["weight"].fill(np.inf)), "no finite numbers"),
    "empty": (weights(lambda t: [value.fill(0) for value in t.values()]), "all weights are zero"),
    "huge": (weights(lambda t: t.update(hidden_bias=np.zeros(10**6, np.float32))), "has the shape"),
}  # fmt: skip


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_checkpoints_are_refused_in_one_line(fault: str, tmp_path: Path) -> None:
    folder = tmp_path / "transcriber"
    shutil.copytree(find("transcriber"), folder)
    change, words = BROKEN[fault]
    change(folder)
    with pytest.raises(InputError) as error:
        Transcriber.from_pretrained(folder)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_the_model_is_that_of_the_card() -> None:
    folder = find("transcriber")
    digest = hashlib.sha256((folder / MODEL_FILE).read_bytes()).hexdigest()
    assert digest in (folder / "README.md").read_text()
    assert isinstance(PosteriorModel.open(folder), PosteriorModel)
