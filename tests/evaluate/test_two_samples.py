"""Both two-sample tests: nobody tells a group from itself, everybody tells music from its opposite."""

from __future__ import annotations

import numpy as np
import pytest
from kit import beats, clip

from muse.errors import InputError
from muse.evaluate.metrics.human_likeness import figures, human_likeness
from muse.evaluate.metrics.roll_test import HIGH, LOW, network_test, roll


def people(n: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [clip(1 + i % 2, rng, n_bars=8) for i in range(n)]


def noise(n: int) -> list[np.ndarray]:
    rng = np.random.default_rng(9)
    return [
        beats([(float(t), 0.25, int(rng.integers(40, 90))) for t in np.sort(rng.choice(np.arange(0, 32, 0.25), 90))])
        for _ in range(n)
    ]


def test_trees_tell_noise_and_do_not_tell_more_of_the_same() -> None:
    songs = [f"song {i // 2}" for i in range(24)]
    theirs, same, other = (
        [figures(notes, 4.0, 8) for notes in group] for group in (people(24, 0), people(24, 1), noise(24))
    )
    told, not_told = (human_likeness(theirs, songs, group, n_trees=40) for group in (other, same))
    assert told.auc > 0.98 and told.taken_for_people < 0.05
    assert 0.2 < not_told.auc < 0.8 and not_told.taken_for_people > 0.2
    assert not_told.inside > told.inside
    assert max(abs(auc - 0.5) for *_, auc in told.table.values()) == pytest.approx(
        abs(next(iter(told.table.values()))[2] - 0.5)  # most telling first
    )
    with pytest.raises(InputError, match="too few"):
        human_likeness(theirs[:5], songs[:5], other)


def test_the_network_tells_noise_and_does_not_tell_more_of_the_same() -> None:
    songs = [f"song {i // 2}" for i in range(24)]
    theirs, same, other = (
        [roll(notes, 4.0, 8) for notes in group] for group in (people(24, 0), people(24, 1), noise(24))
    )
    assert network_test(theirs, songs, other, n_epochs=8) > 0.95
    not_told = network_test(theirs, songs, same, n_epochs=3)
    assert 0.15 < not_told < 0.85
    assert not_told == network_test(theirs, songs, same, n_epochs=3)
    with pytest.raises(InputError, match="too few"):
        network_test(theirs, songs, other[:3])


def test_a_roll_says_where_notes_begin_and_where_they_sound() -> None:
    found = roll(beats([(0.5, 1.0, 60), (2.0, 0.1, LOW - 5), (2.0, 0.1, HIGH + 3)]), 4.0, 1)
    size = HIGH - LOW
    assert found.shape == (2 * size, 16)
    assert np.flatnonzero(found[60 - LOW]).tolist() == [2]
    assert np.flatnonzero(found[size + 60 - LOW]).tolist() == [2, 3, 4, 5]
    assert found[LOW + 7 - LOW, 8] == found[HIGH - 9 - LOW, 8] == 1  # by octaves into the roll
