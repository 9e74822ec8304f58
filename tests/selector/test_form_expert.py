"""The expert on form: pairs of bars are measured right, better orders are found, its say is on the grid alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest

from muse.errors import InputError
from muse.hearing.forest import Forest
from muse.score import DRUMS, NOTE_DTYPE
from muse.selector.bars import N_CHORDS, PAIR_NAMES, bars_of, pair_measures
from muse.selector.events import Passage
from muse.selector.form import FormExpert, _gain_of_moves, _gain_of_swaps, figure_names, window_figures

NO_TRANSITIONS = np.zeros((N_CHORDS, N_CHORDS))


def a_passage(notes: Sequence[tuple[float, float, int]], *, on_grid: bool = True, program: int = 0) -> Passage:
    """Notes of (onset, length, pitch) in quarters, in 4/4."""
    rows = np.zeros(len(notes), NOTE_DTYPE)
    rows["onset_beat"], rows["duration_beat"], rows["pitch"] = np.array(notes).T
    rows["velocity"], rows["program"] = 64, program
    return Passage(rows, 120.0, (4, 4), on_grid).with_notes(rows)


def measured(music: Passage, name: str) -> np.ndarray:
    return pair_measures(bars_of(music), NO_TRANSITIONS)[..., PAIR_NAMES.index(name)]


def test_a_note_held_over_the_bar_line_meets_what_is_struck_there() -> None:
    music = a_passage([(0, 5, 60), (5, 3, 62), (8, 4, 60), (12, 4, 61)])
    collisions = measured(music, "collisions")
    assert collisions[0].tolist() == [1, 0, 1, 0]  # C is held a beat on; the third bar strikes it at once
    assert not collisions[1:].any()
    assert measured(music, "clash")[0].tolist() == [0, 0, 0, 1]  # C against C sharp
    assert measured(music, "silence")[0, 1] == 0 and measured(music, "silence")[2, 1] == 0.25


def test_voices_step_to_the_nearest_note() -> None:
    music = a_passage([(0, 4, 60), (0, 4, 64), (4, 4, 62), (4, 4, 65), (8, 4, 72), (8, 4, 64)])
    onward = measured(music, "voices onward") * 12
    assert onward[0].tolist() == [0, 1.5, 4]
    assert (measured(music, "voices back") * 12)[0].tolist() == [0, 1.5, 2]
    assert (measured(music, "top step") * 12)[0].tolist() == [0, 1, 8]
    assert measured(music, "common tones")[0].tolist() == [1, 0, 0.5]


def test_measures_do_not_depend_on_the_order_of_bars(rng: np.random.Generator) -> None:
    notes = [(b * 4 + k, 1.0, int(rng.integers(48, 72))) for b in range(6) for k in range(4)]
    order = rng.permutation(6)
    moved = [(int(np.flatnonzero(order == onset // 4)[0]) * 4 + onset % 4, d, p) for onset, d, p in notes]
    here, there = (pair_measures(bars_of(a_passage(x)), NO_TRANSITIONS) for x in (notes, moved))
    np.testing.assert_allclose(there, here[np.ix_(order, order)], atol=1e-9)


def test_gains_are_those_of_the_order_that_is_made(rng: np.random.Generator) -> None:
    follows = rng.normal(size=(6, 6))

    def total(order: Sequence[int]) -> float:
        return float(sum(follows[a, b] for a, b in pairwise(order)))

    swaps, moves = [], []
    for i, j in combinations(range(6), 2):
        order = list(range(6))
        order[i], order[j] = order[j], order[i]
        swaps.append(total(order) - total(range(6)))
    for i in range(6):
        for place in range(6):
            order = [k for k in range(6) if k != i]
            order.insert(place, i)
            moves += [] if place == i else [total(order) - total(range(6))]
    np.testing.assert_allclose(_gain_of_swaps(follows), swaps)
    np.testing.assert_allclose(sorted(_gain_of_moves(follows)), sorted(moves))


def test_a_loop_is_told() -> None:
    bar = [(0, 1, 60), (1, 1, 64), (2, 2, 67)]
    music = a_passage([(4 * b + t, d, p + (b if b < 3 else 3)) for b in range(8) for t, d, p in bar])
    figures = dict(zip(figure_names(), window_figures(music, bars_of(music), np.zeros((8, 8))), strict=True))
    assert figures["run at the end"] == 4 and figures["longest run"] == 0.5 and figures["different bars"] == 0.5
    assert figures["bars again at once"] == pytest.approx(4 / 7) and figures["twins as loud"] == 1


def test_drums_alone_and_single_bars_are_measured() -> None:
    drums = a_passage([(k, 0.5, 36) for k in range(16)], program=DRUMS)
    one = a_passage([(0, 1, 60), (1, 1, 62), (2, 1, 64), (3, 1, 65)])
    for music in (drums, one):
        bars = bars_of(music)
        found = window_figures(music, bars, np.zeros((bars.count, bars.count)))
        assert len(found) == len(figure_names()) and np.isfinite(found).all()
        assert np.isfinite(pair_measures(bars, NO_TRANSITIONS)).all()


def an_expert() -> FormExpert:
    """One tree with one leaf of 2.0; network and expert have half a say each."""
    n, hidden = len(PAIR_NAMES), 2
    shapes = [(N_CHORDS, N_CHORDS), (n,), (n,), (n, hidden), (hidden,), (hidden, hidden), (hidden,), (hidden, 1), (1,)]
    arrays = [np.zeros(shape, np.float32) for shape in shapes]
    arrays[0] += 0.1
    arrays[2] += 1
    leaf = Forest(
        np.zeros(1, np.int32), np.full(1, -1, np.int16), np.zeros(1, np.float32), np.zeros((1, 2), np.int32),
        np.full((1, 1), 2.0, np.float32),
    )  # fmt: skip
    return FormExpert(*arrays, trees=leaf, mix=np.array([0.5, 0.5, 1], np.float32))  # type: ignore[misc]


def test_off_the_grid_and_in_few_bars_the_network_is_alone() -> None:
    notes = [(float(k), 1.0, 60 + k % 5) for k in range(16)]
    expert = an_expert()
    assert expert.quality(3.0, a_passage(notes)) == pytest.approx(0.5 * 3 + 0.5 * 2 + 1)
    assert expert.quality(3.0, a_passage(notes, on_grid=False)) == 3.0
    assert expert.quality(3.0, a_passage(notes[:8])) == 3.0


def test_it_comes_back_from_its_arrays_and_damage_is_refused(tmp_path: Path) -> None:
    tensors = an_expert().tensors()
    notes = [(float(k), 1.0, 60 + k % 5) for k in range(16)]
    assert FormExpert.load(tensors, tmp_path).quality(1.0, a_passage(notes)) == pytest.approx(2.5)
    with pytest.raises(InputError, match="mix"):
        FormExpert.load({name: v for name, v in tensors.items() if name != "mix"}, tmp_path)
    with pytest.raises(InputError, match="lacks its trees"):
        FormExpert.load({name: v for name, v in tensors.items() if name != "trees.root"}, tmp_path)
    with pytest.raises(InputError, match="damaged"):
        FormExpert.load(tensors | {"trees.value": np.full((1, 1), np.nan, np.float32)}, tmp_path)
