"""How far music is from people's, from request to report: a maker that writes as people do, and one that does not."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kit import beats, songs_like_pop909

from muse.errors import InputError
from muse.evaluate import musicality
from muse.evaluate.kept import PIECES_FOLDER, Kept, Piece
from muse.evaluate.metrics.human_likeness import human_likeness
from muse.evaluate.metrics.roll_test import network_test
from muse.evaluate.musicality import MusicSettings, measure_music, music_goals
from muse.evaluate.reports import write_report
from muse.evaluate.systems.maker import Maker
from muse.evaluate.systems.people import people_windows, read_pop909
from muse.files import plain
from muse.intent import Intent
from muse.score import from_notes, note_array
from muse.theory import instruments, parse_instrument

SETTINGS = MusicSettings(n_pieces=3, bars=8, n_long=0, n_requests=2, n_seeds=1, n_ablation=0, n_pictures=1)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight songs held out, twelve to learn from."""
    return songs_like_pop909(tmp_path_factory.mktemp("corpora"))


@pytest.fixture(scope="module")
def like_people(corpora: Path) -> Maker:
    """Endings of songs for piano; for others the tune to the first instrument and chords to the rest, in range."""
    sheets = read_pop909(corpora)["train"]
    windows = {n_bars: list(people_windows(sheets, n_bars, at_end=True)) for n_bars in (SETTINGS.bars, Intent().bars)}

    def make(intent: Intent, seed: int) -> Piece:
        programs = intent.players
        quadrant = int(intent.emotion.emotions[0].quadrant[1]) if intent.emotion else 0
        _, plan, score = windows[intent.bars][(4 * seed + quadrant) % 12]
        if len(programs) == 1:
            return Piece((score,), plan, 0.1)
        notes = note_array(score)
        tune = {(4 * b + n.position / 4, n.pitch) for b, bar in enumerate(plan.bars) for n in bar.melody}
        is_tune = np.array([(o, p) in tune for o, p in zip(notes["onset_beat"], notes["pitch"], strict=True)])
        parts = []
        for i, program in enumerate(programs):
            chords = notes[~is_tune]
            part = notes[is_tune] if i == 0 else chords[np.diff(chords["onset_beat"], prepend=-1.0) > 0]
            part["program"], part["track"] = program, i
            while (part["pitch"] < instruments()[program].low).any():
                part["pitch"] += 12
            parts.append(part)
        return Piece((from_notes(np.concatenate(parts)),), plan, 0.1)

    return make


def clusters(intent: Intent, seed: int) -> Piece:
    """One instrument plays clusters, ever higher and louder, whoever was asked for; nothing is planned."""
    rng = np.random.default_rng(seed)
    rows = [(t / 2, 0.4, int(40 + t + rng.integers(4) + k)) for t in range(intent.bars * 8) for k in range(3) if t < 60]
    program = parse_instrument(intent.instruments[0])
    return Piece((from_notes(beats(rows, program, velocity=120)),), None, 0.1)


class Measured:
    """Measures with few trees and little learning."""

    def __init__(self, corpora: Path, folder: Path) -> None:
        self.corpora, self.folder = corpora, folder

    def __call__(self, maker: Maker, name: str) -> dict[str, Any]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(musicality, "human_likeness", partial(human_likeness, n_trees=12))
            patch.setattr(musicality, "network_test", partial(network_test, n_epochs=2))
            pieces = Kept(self.folder / name / PIECES_FOLDER, name)
            return measure_music(maker, None, read_pop909(self.corpora), self.folder / name, SETTINGS, pieces=pieces)


@pytest.fixture(scope="module")
def measured(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    return Measured(corpora, tmp_path_factory.mktemp("reports"))


@pytest.fixture(scope="module")
def near(measured: Measured, like_people: Maker) -> dict[str, Any]:
    return measured(like_people, "near")


def test_music_like_peoples_is_near_them_and_clusters_are_not(measured: Measured, near: dict[str, Any]) -> None:
    far = measured(clusters, "far")
    halves, own, plans = near["human_likeness"]["systems"]
    assert own["auc"] < far["human_likeness"]["systems"][1]["auc"] > 0.95
    assert halves["taken_for_people"] > 0.2 > far["human_likeness"]["systems"][1]["taken_for_people"]
    assert halves["n"] > 10 and plans["n"] == own["n"] == 12 and len(far["human_likeness"]["systems"]) == 2
    assert near["endings"]["on_tonic"] == 1.0 > far["endings"]["on_tonic"]
    assert near["endings"]["near"] == 1.0 and far["endings"]["near"] == 0.0
    band, wrong = near["instruments"], far["instruments"]
    assert (band["play"], band["n_out_of_range"], band["tune_heard"]) == (1.0, 0, 1.0)
    assert wrong["play"] < 0.6 and wrong["n_out_of_range"] > 0 and wrong["tune_heard"] is None
    assert not any(row["met"] for row in far["loudness"] if row["figure"] == "mean")
    assert "long" not in near["form"]
    (picture,) = near["pictures"]
    rolls = measured.folder / "near" / "evaluation" / "rolls"
    assert (rolls / f"{picture['name']}.png").read_bytes()[:4] == b"\x89PNG"
    assert (rolls / f"{picture['name']}.txt").read_text(encoding="utf-8").count("|") == 7

    goals = {row["goal"]: row["met"] for row in music_goals(near)}
    missed = {row["goal"]: row["met"] for row in music_goals(far)}
    assert goals["notes out of range"] and not missed["notes out of range"]
    assert not missed["pieces told from people's by trees (AUC)"]


def test_a_run_goes_on_where_it_was_and_is_told_on_a_page(
    measured: Measured, near: dict[str, Any], like_people: Maker
) -> None:
    asked = []

    def counted(intent: Intent, seed: int) -> Piece:
        asked.append((intent, seed))
        return like_people(intent, seed)

    kept = sorted((measured.folder / "near" / PIECES_FOLDER).rglob("*.json"))
    assert len(kept) == 4 * 3 + 2
    kept[-1].unlink()  # as if it had been stopped there
    assert plain(measured(counted, "near")) == plain(near)
    assert len(asked) == 1
    out = measured.folder / "near"
    document = {"kind": "music", "settings": {"versions": {"muse": "test"}}, "music": plain(near)}
    write_report(document | {"music_goals": music_goals(near), "history": []}, out)
    text = (out / "evaluation.md").read_text(encoding="utf-8")
    for heading in (
        "Would people take it for people's?",
        "Form, harmony and tune",
        "Instruments",
        "Endings",
        "Loudness",
    ):
        assert f"{heading}\n" in text
    assert "| orchestra | flute, oboe" in text and "| notes out of range | at most 0.00 | 0.000 | yes |" in text
    assert "data:image/png;base64," in (out / "evaluation.html").read_text(encoding="utf-8")


def test_windows_at_the_end_are_the_ends_of_songs(corpora: Path) -> None:
    sheets = read_pop909(corpora)
    assert [len(sheets[name]) for name in ("train", "held_out")] == [12, 8]
    windows = list(people_windows(sheets["held_out"], 8, at_end=True))
    assert len(windows) == 8 and len(list(people_windows(sheets["held_out"], 8))) == 32
    for _, plan, score in windows:
        last = note_array(score)
        assert len(plan.bars) == 8 and last["pitch"][last["onset_beat"] == 28].tolist() == [48, 52, 55, 72]


def test_without_songs_it_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pop909"):
        read_pop909(tmp_path)
