"""Fitting of the expert on form: orders that are known are learnt, and what it has to say is what it knows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.special import expit

pytest.importorskip("lightning")

from muse.score import NOTE_DTYPE
from muse.selector.bars import N_CHORDS, bars_of
from muse.selector.events import Passage
from muse.training.selector.calibrate import fit_mix
from muse.training.selector.damage import corrupt
from muse.training.selector.form import boosted, chord_transitions, fit_form

ROOTS = (0, 5, 7, 0)


def a_window(rng: np.random.Generator) -> Passage:
    """Twelve bars of I IV V I under a line that goes by steps, over every bar line too."""
    rows = []
    pitch = 72
    for beat in range(48):
        pitch = int(np.clip(pitch + rng.choice([-2, -1, 1, 2]), 62, 84))
        rows.append((float(beat), 1.0, pitch))
        if beat % 4 == 0:
            root = 48 + ROOTS[beat // 4 % 4]
            rows += [(float(beat), 4.0, root + step) for step in (0, 4, 7)]
    notes = np.zeros(len(rows), NOTE_DTYPE)
    notes["onset_beat"], notes["duration_beat"], notes["pitch"] = np.array(rows).T
    notes["velocity"] = 64
    return Passage(notes, 120.0, (4, 4), True).with_notes(notes)


@dataclass
class Windows:
    """What the fit asks of a library."""

    windows: list[Passage]

    def __post_init__(self) -> None:
        n = len(self.windows)
        self.pitched, self.on_grid = np.arange(n), np.ones(n, bool)
        self.corpus_name, self.song = np.full(n, "tunes"), np.array([f"song {i}" for i in range(n)])

    def passage(self, row: int) -> Passage:
        return self.windows[row]


def test_the_order_of_bars_is_learnt(rng: np.random.Generator) -> None:
    library = Windows([a_window(rng) for _ in range(40)])
    expert = fit_form(library, [], n_windows=40, n_spoilt=16, n_trees=30)  # type: ignore[arg-type]
    new = [a_window(rng) for _ in range(12)]
    shuffled = [corrupt(one, "shuffled_bars", 1.0, new[i - 1], i) for i, one in enumerate(new)]
    real, spoilt = (np.array([expert.quality(0.0, one) for one in windows]) for windows in (new, shuffled))
    assert (real > spoilt).mean() > 0.9
    bars = bars_of(new[0])
    follows = expert.follows(bars)
    others = follows[~np.eye(12, dtype=bool)].mean()
    assert np.diagonal(follows, 1).mean() > others + 0.5


def test_chords_that_follow_often_are_told() -> None:
    rng = np.random.default_rng(0)
    transitions = chord_transitions([bars_of(a_window(rng)) for _ in range(8)])
    tonic, fourth, fifth = (4 * root for root in ROOTS[:3])
    assert transitions.shape == (N_CHORDS, N_CHORDS)
    assert transitions[fourth, fifth] > 0.3 and transitions[tonic, fourth] > transitions[tonic, 4 * 6]
    assert transitions[fifth, fourth] < 0 < transitions[fifth, tonic]


def test_boosted_trees_put_pairs_in_order(rng: np.random.Generator) -> None:
    x = rng.normal(size=(800, 4))
    worth = x[:, 0] + x[:, 1] ** 2
    better, worse = rng.integers(400, size=(2, 1500))
    swap = worth[better] < worth[worse]
    better, worse = np.where(swap, worse, better), np.where(swap, better, worse)
    forest = boosted(x, better, worse, np.ones(1500), n_trees=60)
    told = forest.mean(x[400:])[:, 0]
    a, b = rng.integers(400, size=(2, 2000))
    right = (told[a] > told[b]) == (worth[400:][a] > worth[400:][b])
    assert right[a != b].mean() > 0.85
    again = boosted(x, better, worse, np.ones(1500), n_trees=60)
    np.testing.assert_array_equal(forest.value, again.value)


def test_network_and_expert_count_as_much_as_they_know(rng: np.random.Generator) -> None:
    good, bad = rng.normal(size=(600, 2)), rng.normal(size=(1800, 2))
    good[:, 1] += 3
    good[:, 0] += 0.5
    beside = np.arange(1800) % 600
    mix, scale, shift = fit_mix(good, bad, beside)
    assert mix[1] > 2 * mix[0] >= 0
    # On the grid and off it, half of what is judged to be real at 0.5 is.
    for told_good, told_bad in ((good @ mix[:2] + mix[2], bad @ mix[:2] + mix[2]), (good[:, 0], bad[:, 0])):
        share = 0.5 * (expit(scale * told_good + shift).mean() + expit(scale * told_bad + shift).mean())
        assert share == pytest.approx(0.5, abs=0.02)
