"""What several test modules make their music, corpora and composers with."""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass, field
from functools import partialmethod
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from muse.evaluate.judges.feature import FeatureJudge
from muse.intent import Intent
from muse.score import NOTE_DTYPE, Score, from_notes, write_score
from muse.statistics import bootstrap
from muse.theory.chord_symbols import QUALITIES, Chord
from muse.tokens import Controls
from muse.tokens.plan import Bar, Note, Plan
from muse.tokens.plan_form import follow

MAJOR, MINOR = ((0, 4, 7), (5, 9, 12), (7, 11, 14), (0, 4, 7)), ((0, 3, 7), (5, 8, 12), (7, 11, 14), (8, 12, 15))


def clip(quadrant: int, rng: np.random.Generator, n_bars: int = 12) -> np.ndarray:
    """Chords and a tune: fast and loud in Q1 and Q2, slow and soft in Q3 and Q4, minor in Q2 and Q3."""
    fast, glad = quadrant <= 2, quadrant in (1, 4)
    bar_sec, steps = (2.0, 16) if fast else (4.0, 4)
    scale = np.array([0, 2, 4, 5, 7, 9, 11] if glad else [0, 2, 3, 5, 7, 8, 10])
    tonic, velocity = int(rng.integers(-5, 6)), 90 if fast else 50
    rows = []
    for bar in range(n_bars):
        start = bar * bar_sec
        for pitch in (MAJOR if glad else MINOR)[bar % 4]:
            rows.append((start, bar_sec * 0.95, 48 + tonic + pitch, velocity - 8))
        degrees = rng.integers(0, 8, steps)
        for i, degree in enumerate(degrees):
            pitch = 72 + tonic + int(scale[degree % 7]) + 12 * int(degree // 7)
            rows.append(
                (start + i * bar_sec / steps, bar_sec / steps * 0.9, pitch, velocity + int(rng.integers(-6, 7)))
            )
    return array(rows)


def array(rows: list[tuple[float, float, int, int]], program: int = 0) -> np.ndarray:
    notes = np.zeros(len(rows), NOTE_DTYPE)
    if rows:
        for name, column in zip(
            ("onset_sec", "duration_sec", "pitch", "velocity"), zip(*rows, strict=True), strict=True
        ):
            notes[name] = column
    notes["onset_beat"], notes["duration_beat"] = notes["onset_sec"] * 2, notes["duration_sec"] * 2
    notes["program"] = program
    return notes[np.lexsort((notes["pitch"], notes["onset_sec"]))]


def corpus(folder: Path, split: str, rated: bool, rng: np.random.Generator) -> None:
    (folder / "midi").mkdir(parents=True)
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["id", "file", "split", "quadrant", "song_id", "series", "valence", "arousal"])
        for q in (1, 2, 3, 4):
            for i in range(5):
                write_score(from_notes(clip(q, rng)), folder / "midi" / f"{q}_{i}.mid")
                v, a = (1 if q in (1, 4) else -1), (1 if q <= 2 else -1)
                rating = (v * (0.5 + 0.1 * i), a * 0.5) if rated else ("", "")
                table.writerow([f"{split}_{q}_{i}", f"midi/{q}_{i}.mid", split, q, f"{q}{i}", "game", *rating])


def judged_corpora(folder: Path) -> Path:
    """Labelled clips in the layout of EMOPIA and VGMIDI."""
    rng = np.random.default_rng(3)
    corpus(folder / "emopia-nc", "train", False, rng)
    corpus(folder / "val", "val", False, rng)
    corpus(folder / "vgmidi-unclear", "labelled", True, rng)
    # Both splits of EMOPIA stand in one table.
    (folder / "val" / "midi").rename(folder / "emopia-nc" / "val")
    table = folder / "emopia-nc" / "metadata.csv"
    rows = (folder / "val" / "metadata.csv").read_text(encoding="utf-8").splitlines()[1:]
    rows = [row.replace("midi/", "val/", 1) for row in rows]
    table.write_text(table.read_text(encoding="utf-8") + "\n".join(rows) + "\n", encoding="utf-8")
    return folder


def few_trees_and_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judges with fewer trees, intervals from fewer samples: enough where quadrants are as plain as in :func:`clip`."""
    monkeypatch.setattr(FeatureJudge, "__init__", partialmethod(FeatureJudge.__init__, n_trees=40))
    monkeypatch.setitem(bootstrap.__kwdefaults__, "n_draws", 100)
    monkeypatch.setattr("muse.evaluate.compare.N_DRAWS", 100)


@dataclass
class Piece:
    """What the report needs of a Composition."""

    score: Score
    asked: float

    @property
    def best(self) -> Any:
        return self.candidates[0]

    @property
    def candidates(self) -> list[Any]:
        return [SimpleNamespace(score=self.score, measured={"Note Density": self.asked * 2})]

    @property
    def plan(self) -> None:
        """Nothing was planned."""

    @property
    def timing(self) -> dict[str, float]:
        return {"total_s": 0.1}

    @property
    def target(self) -> Any:
        return SimpleNamespace(names=("Note Density",), values=lambda: {"Note Density": self.asked})

    def save(self, path: Path) -> None:
        write_score(self.score, path)


@dataclass
class Musician:
    """Plays the quadrant that it is asked for; out of order in a chosen share of pieces."""

    obeys: bool = True
    forgetful: bool = False
    calls: int = 0
    versions: dict[str, str] = field(default_factory=lambda: {"muse": "test"})
    selector: Any = None
    controls: Controls = field(default_factory=Controls.load)

    def compose(self, intent: Intent, *, n_candidates: int = 4, seed: int = 0) -> Piece:
        self.calls += 1
        emotion = intent.emotion.emotions[0] if intent.emotion else None
        quadrant = int(emotion.quadrant[1]) if emotion and self.obeys else 1 + seed % 4
        rng = np.random.default_rng(seed + (self.calls if self.forgetful else 0))
        return Piece(from_notes(clip(quadrant, rng, n_bars=intent.bars)), float(seed))


def beats(rows: list[tuple[float, float, int]], program: int = 0, track: int = 0, velocity: int = 64) -> np.ndarray:
    """Notes from (onset, length, pitch), in beats at 120 a minute."""
    notes = array([(onset / 2, length / 2, pitch, velocity) for onset, length, pitch in rows], program)
    notes["track"] = track
    return notes


def random_plan(seed: int) -> Plan:
    """A plan of any kind: with and without chords, tune, sections and tempo, in all meters and keys."""
    rng = random.Random(seed)
    meter = rng.choice([(4, 4), (3, 4), (6, 8), (2, 4), (5, 4), (6, 4), (3, 8), (9, 8), (12, 8), (2, 2), (7, 8)])
    size, n_bars = meter[0] * 16 // meter[1], rng.randint(1, 10)
    has_chords, has_tune = rng.random() < 0.85, rng.random() < 0.85

    def chord(place: int) -> Chord:
        root, bass = rng.randrange(12), rng.choice([None, None, rng.randrange(12)])
        if rng.random() < 0.08:
            return Chord(place, None)
        return Chord(place, root, rng.choice(list(QUALITIES)), None if bass == root else bass)

    chords: list[tuple[Chord, ...]] = []
    for _ in range(n_bars):
        places = sorted({0, *rng.sample(range(0, size, 2), rng.randint(0, 3))})
        chords.append(tuple(map(chord, places)) if has_chords and rng.random() < 0.85 else ())
    tune: list[list[Note]] = [[] for _ in range(n_bars)]
    at = 0
    while has_tune and (at := at + rng.choice([0, 0, 0, 1, 2, 4, 9])) < n_bars * size:
        length = min(rng.choice([1, 2, 3, 4, 5, 6, 7, 8, 11, 13, 16, 30]), n_bars * size - at)
        tune[at // size].append(Note(at % size, rng.randint(24, 100), length))
        at += length
    edges = [0, *sorted(rng.sample(range(1, n_bars), rng.randint(0, n_bars - 1))), n_bars]
    sections = tuple((rng.choice(["A", "B", "C'", "Verse 2"]), b - a) for a, b in pairwise(edges))
    plan = Plan(
        tuple(Bar(c, tuple(m)) for c, m in zip(chords, tune, strict=True)), meter, rng.randrange(12),
        rng.choice(["major", "minor"]), sections if rng.random() < 0.5 else (), rng.choice([None, 90, 123.456]),
    )  # fmt: skip
    return follow(plan) if rng.random() < 0.5 else plan


_CHORDS = ((48, 52, 55), (45, 48, 52), (53, 57, 60), (55, 59, 62))
_SCALE = (60, 62, 64, 65, 67, 69, 71, 72)


def _tune(rng: np.random.Generator, bar: int, n_bars: int) -> list[tuple[float, float, int]]:
    if bar == n_bars - 1:
        return [(4.0 * bar, 4.0, 72)]
    return [(4.0 * bar + beat, 1.0, _SCALE[int(rng.integers(8))] + 12) for beat in range(4)]


def _song(rng: np.random.Generator, n_bars: int) -> tuple[np.ndarray, np.ndarray]:
    """Tune and chords, one a bar."""
    chords = [(4.0 * b, 4.0, pitch) for b in range(n_bars) for pitch in _CHORDS[b % 4 if b < n_bars - 1 else 0]]
    line = [note for b in range(n_bars) for note in _tune(rng, b, n_bars)]
    return beats(line, velocity=80), beats(chords, track=1, velocity=60)


def songs_like_pop909(root: Path, n: int = 20, n_held_out: int = 8) -> Path:
    """Songs of 32 bars in the layout of POP909, in the folder ``pop909``; the folder that holds it."""
    folder = root / "pop909"
    (folder / "midi").mkdir(parents=True)
    rng = np.random.default_rng(5)
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["id", "file", "title", "split", "licence", "licence_class"])
        for i in range(n):
            score = from_notes(np.concatenate(_song(rng, 32)), names=("MELODY", "PIANO"))
            write_score(score, folder / "midi" / f"{i:03d}.mid")
            split = "val" if i < n_held_out else "train"
            table.writerow([f"{i:03d}", f"midi/{i:03d}.mid", f"song {i}", split, "MIT", "permissive"])
    return root
