"""Quadrants from plain features: keys do not matter, stacks are what they were stored as, answers never contradict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from muse.emotion import QUADRANTS
from muse.emotion.emotion import Emotion
from muse.errors import InputError
from muse.hearing.answer import answer
from muse.hearing.features import feature_names, harmony_count, hearings, note_features
from muse.hearing.forest import Forest
from muse.hearing.quadrants import QuadrantStack
from muse.score import DRUMS, Score, from_notes, note_array
from muse.selector.config import Config
from muse.selector.encoder import Encoder
from muse.selector.model import Ratings, Selector
from muse.training import quadrants
from muse.training.quadrants import fit_stack, folds_of, nested
from tests.kit import beats

Shares = tuple[float, float, float, float]
TRIADS = {
    "major": [(0, 4, 7), (5, 9, 12), (7, 11, 14), (0, 4, 7)],
    "minor": [(0, 3, 7), (5, 8, 12), (7, 10, 14), (0, 3, 7)],
}


def a_piece(mode: str, *, key: int = 0, faster: float = 1.0) -> Score:
    """Four triads of a beat each, twice, over their roots."""
    rows = []
    for i, chord in enumerate(TRIADS[mode] * 2):
        rows += [(2.0 * i, 2.0, 60 + key + pitch) for pitch in chord] + [(2.0 * i, 2.0, 36 + key + chord[0])]
        rows += [(2.0 * i + 1, 1.0, 72 + key + chord[i % 3])]
    return from_notes(beats(rows), tempo_bpm=100 * faster)


def of(name: str, score: Score) -> float:
    return float(note_features(score)[feature_names().index(name)])


# ------------------------------------------------------------------------------------------------------------- features


def test_harmony_is_told_alike_in_every_key() -> None:
    about_pitch = ("pitch", "register", "melody, mean", "bass, mean")
    fixed = np.array([not name.startswith(about_pitch) for name in feature_names()])
    names = feature_names()
    assert names[harmony_count() - 1].startswith("chords") and names[harmony_count()].startswith("pitch")
    for mode in TRIADS:
        low, high = (note_features(a_piece(mode, key=key)) for key in (0, 5))
        np.testing.assert_allclose(low[fixed], high[fixed], atol=1e-9)
        assert of("pitch, mean", a_piece(mode, key=5)) == pytest.approx(of("pitch, mean", a_piece(mode)) + 5)


def test_major_and_minor_fast_and_slow_are_told_apart() -> None:
    major, minor = a_piece("major"), a_piece("minor")
    assert of("mode", major) > 0 > of("mode", minor)
    assert of("chords of 1, minor third", minor) > 0.8 > 0.2 > of("chords of 1, minor third", major)
    assert of("notes a second", a_piece("major", faster=2)) == pytest.approx(2 * of("notes a second", major), rel=0.05)
    assert of("notes at once, mean", major) == pytest.approx(2.5)


def test_features_of_strange_music_are_numbers() -> None:
    assert len(set(feature_names())) == len(feature_names())
    for rows in ([(0.0, 1.0, 60)], [(0.0, 1.0, 60)] * 2, [(0.0, 0.001, 0), (500.0, 900.0, 127)]):
        found = hearings(from_notes(beats(rows)))
        assert found.shape == (3, len(feature_names())) and np.isfinite(found).all()
    with pytest.raises(InputError, match="no pitched note"):
        note_features(from_notes(beats([(0.0, 1.0, 38)], program=DRUMS)))


def test_beginning_and_end_are_heard_alone() -> None:
    low, high = [(float(b), 1.0, 50) for b in range(20)], [(float(b), 1.0, 80) for b in range(20, 40)]
    whole, start, end = hearings(from_notes(beats(low + high)))[:, feature_names().index("pitch, mean")]
    assert whole == pytest.approx(65) and start == pytest.approx(50 + 30 * 5 / 25) and end == 130 - start


# ---------------------------------------------------------------------------------------------------------------- stack


def clips(rng: np.random.Generator, n_songs: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hearings of three clips a song: two features tell the halves, one the song (and nothing of others), the rest
    nothing."""
    song = np.repeat(np.arange(n_songs), 3)
    labels = rng.integers(0, 4, n_songs)[song]
    x = rng.normal(size=(len(song), 8))
    x[:, 0] += 3.5 * (labels < 2)
    x[:, 1] += 3.5 * np.isin(labels, (0, 3))
    x[:, 2] = song % 40 + rng.normal(0, 0.01, len(song))
    return three(x, rng), labels, song


def three(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows heard three times, the beginning and the end a little differently."""
    return np.stack([x, *(x + rng.normal(0, 0.2, x.shape) for _ in range(2))], axis=1)


@pytest.fixture(autouse=True, scope="module")
def few_trees() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(quadrants.TREES, "n_estimators", 10)  # type: ignore[attr-defined]
        yield


@pytest.fixture(scope="module")
def stack() -> QuadrantStack:
    return fit_stack(*clips(np.random.default_rng(0)))[0]


def test_a_stack_tells_new_songs_and_knows_how_sure_it_is(stack: QuadrantStack) -> None:
    x, labels, _ = clips(np.random.default_rng(1), 200)
    log_p = stack.log_probabilities(x)
    np.testing.assert_allclose(np.exp(log_p).sum(axis=1), 1)
    assert (log_p.argmax(axis=1) == labels).mean() > 0.65
    sure = np.exp(log_p.max(axis=1))
    assert sure.mean() == pytest.approx((log_p.argmax(axis=1) == labels).mean(), abs=0.1)


def test_a_stack_comes_back_from_its_arrays_and_a_damaged_one_is_known(stack: QuadrantStack) -> None:
    x = clips(np.random.default_rng(1))[0]
    again = QuadrantStack.of(stack.tensors())
    np.testing.assert_array_equal(again.log_probabilities(x), stack.log_probabilities(x))
    assert again.is_sound(8) and not again.is_sound(9)
    assert not replace(stack, scale=np.zeros_like(stack.scale)).is_sound(8)
    assert not replace(stack, center=stack.center * np.nan).is_sound(8)
    assert not replace(stack, kernel=replace(stack.kernel, weight=stack.kernel.weight[1:])).is_sound(8)
    trees = replace(stack.trees, child=np.zeros_like(stack.trees.child))
    assert isinstance(trees, Forest) and not replace(stack, trees=trees).is_sound(8)


def test_a_kernel_machine_for_arousal_is_deaf_to_harmony() -> None:
    """Of the features in this order the first two, what tells valence and the song, are the harmony."""
    order = [1, 2, 0, 3, 4, 5, 6, 7]
    x, labels, song = clips(np.random.default_rng(0))
    stack, _ = fit_stack(x[..., order], labels, song, harmony=2)
    new, truth, _ = clips(np.random.default_rng(1), 200)
    new = new[..., order]
    assert ((stack.opinions(new)[0, :, 1] > 0) == (truth < 2)).mean() > 0.9
    other = new.copy()
    other[..., :2] = other[::-1, :, :2]
    same, moved = stack.opinions(new)[0], stack.opinions(other)[0]
    np.testing.assert_array_equal(same[:, 1], moved[:, 1])
    assert ((same[:, 0] > 0) != (moved[:, 0] > 0)).mean() > 0.3
    again = QuadrantStack.of(stack.tensors())
    np.testing.assert_array_equal(again.opinions(new), stack.opinions(new))
    assert again.is_sound(8)
    assert not replace(stack, arousal=replace(stack.arousal, weight=stack.arousal.weight * np.nan)).is_sound(8)
    assert not replace(stack, arousal=replace(stack.arousal, points=stack.arousal.points[:, :0])).is_sound(8)
    for name in ("kernel", "arousal"):
        machine = replace(getattr(stack, name), points=np.array(1.0))
        assert not replace(stack, **{name: machine}).is_sound(8)


def test_the_outer_score_is_chance_where_labels_are(stack: QuadrantStack) -> None:
    """Songs that are known by heart must not help: their clips are all on one side."""
    rng = np.random.default_rng(3)
    x, labels, song = clips(rng)
    fold = folds_of(song)
    assert all(len(set(fold[song == one])) == 1 for one in song)
    noise = three(np.stack([song, song % 7, *rng.normal(size=(6, len(song)))], axis=1).astype(float), rng)
    found = nested(noise, labels, song)["stack"]
    assert (found.argmax(axis=1) == labels).mean() < 0.45
    real = nested(x, labels, song)
    assert (real["stack"].argmax(axis=1) == labels).mean() > 0.6
    assert set(real) == {"stack", "kernel", "trees"}


def test_a_stack_needs_every_quadrant_and_some_songs() -> None:
    x = np.random.default_rng(0).normal(size=(12, 3, 4))
    with pytest.raises(InputError, match="no clip is of Q4"):
        fit_stack(x, np.arange(12) % 3, np.arange(12))
    with pytest.raises(InputError, match="3 songs are too few for 5 folds"):
        fit_stack(x, np.arange(12) % 4, np.arange(12) % 3)


# --------------------------------------------------------------------------------------------------------------- answer


def test_quadrant_valence_and_arousal_never_contradict() -> None:
    rng = np.random.default_rng(0)
    quadrants = rng.dirichlet(np.full(4, 0.3), 1000)
    quadrants[:4], quadrants[4] = np.eye(4), 0.25
    mean, spread = rng.normal(0, 0.6, (1000, 2)), rng.uniform(0.05, 1.5, (1000, 2))
    for middle in (None, np.array([0.2, -0.1])):
        point, sigma, masses = answer(quadrants, mean, spread, middle)
        np.testing.assert_allclose(masses.sum(axis=1), 1, atol=1e-12)
        for (valence, arousal), row in zip(point, masses, strict=True):
            assert Emotion(float(valence), float(arousal)).quadrant == QUADRANTS[int(row.argmax())]
            assert (row[0] + row[3] > 0.5) == (valence >= 0) and (row[0] + row[1] > 0.5) == (arousal >= 0)
        assert (sigma > 0).all()


def test_ratings_far_from_their_middle_have_a_say_in_the_side() -> None:
    even, spread, middle = np.full(4, 0.25), np.array([0.2, 0.2]), np.array([0.3, 0.0])
    point, _, masses = answer(even, np.array([0.1, 0.4]), spread, middle)
    np.testing.assert_allclose(ndtri([masses[0] + masses[3], masses[0] + masses[1]]), [-0.2, 0.4], atol=1e-5)
    assert point[0] < 0 < point[1]


def test_one_distribution_holds_what_clips_and_ratings_say() -> None:
    independent = np.array([0.72, 0.08, 0.02, 0.18])  # 0.9 glad, 0.8 excited
    point, sigma, masses = answer(independent, np.array([0.3, 0.2]), np.array([0.2, 0.4]))
    np.testing.assert_allclose(masses, independent, atol=1e-12)
    np.testing.assert_allclose(point, [0.3, 0.2])
    np.testing.assert_allclose(ndtr(point / sigma), [0.9, 0.8])
    against, _, same = answer(independent, np.array([-0.3, 0.2]), np.array([0.2, 0.4]))
    np.testing.assert_allclose(same, masses)
    assert 0 < against[0] < 0.1 and against[1] == pytest.approx(0.2)


def test_ratings_of_random_music_do_not_contradict() -> None:
    rng = np.random.default_rng(5)
    config = Config(width=16, layers=1, heads=2)
    weights = {name: rng.normal(0, 0.6, shape).astype(np.float32) for name, shape in config.tensors().items()}
    selector = Selector(config, Encoder(config, weights))
    found: list[Ratings] = []
    for _ in range(40):
        rows = [
            (float(b), 0.5, int(p))
            for b, p in zip(np.sort(rng.uniform(0, 30, 40)), rng.integers(30, 96, 40), strict=True)
        ]
        found += [rating for _, rating in selector.curve(from_notes(beats(rows)))]
        found += selector.rate([from_notes(note_array(from_notes(beats(rows))))])
    assert len({rating.emotion.quadrant for rating in found}) > 1
    for rating in found:
        [reading] = rating.readings()
        assert reading.quadrant == rating.emotion.quadrant
