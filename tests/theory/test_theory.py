"""Keys, chords and tonal space from pitch-class weights."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from muse.errors import InputError
from muse.score import DRUMS, NOTE_DTYPE
from muse.theory import (
    CHORD_NAMES,
    CHORD_QUALITIES,
    KEY_PROFILES,
    PITCH_CLASS_NAMES,
    TONIC_NAMES,
    Key,
    Mode,
    chord_scores,
    estimate_key,
    key_from_weights,
    key_in_words,
    key_strengths,
    label_chords,
    parse_key,
    pitch_class_set_type,
    tonal_centroid,
    viterbi,
)


def weights_of(*classes: int) -> np.ndarray:
    weights = np.zeros(12)
    weights[[pitch % 12 for pitch in classes]] = 1.0
    return weights


@pytest.mark.parametrize("profile", sorted(KEY_PROFILES))
def test_a_profile_is_its_own_key(profile: str) -> None:
    for mode, base in zip(("major", "minor"), KEY_PROFILES[profile], strict=True):
        for tonic in range(12):
            found, found_mode, strengths = key_from_weights(np.roll(base, tonic), profile=profile)
            assert (int(found), str(found_mode)) == (tonic, mode)
            assert strengths.max() == pytest.approx(1.0)


def test_strengths_are_correlations(rng: np.random.Generator) -> None:
    weights = rng.random((5, 12))
    strengths = key_strengths(weights)
    assert strengths.shape == (5, 24)
    for row, keys in zip(weights, strengths, strict=True):
        for index, (mode, tonic) in enumerate(itertools.product(range(2), range(12))):
            expected = np.corrcoef(row, np.roll(KEY_PROFILES["krumhansl"][mode], tonic))[0, 1]
            assert keys[index] == pytest.approx(expected)
    np.testing.assert_allclose(key_strengths(weights * 1e6), strengths)


@pytest.mark.parametrize("weights", [np.zeros(12), np.full(12, 3.7)])
def test_nothing_to_tell_a_key_by(weights: np.ndarray) -> None:
    tonic, mode, strengths = key_from_weights(np.stack([weights, weights_of(0, 4, 7)]))
    assert tonic.tolist() == [-1, 0]
    assert mode.tolist() == ["", "major"]
    assert np.isnan(strengths[0]).all()


def test_wrong_input_is_told() -> None:
    with pytest.raises(InputError, match="last axis must be 12"):
        key_strengths(np.ones(7))
    with pytest.raises(InputError, match="unknown key profile 'mozart'"):
        key_strengths(np.ones(12), profile="mozart")


def test_key_of_notes_goes_by_duration_and_ignores_drums() -> None:
    notes = np.zeros(9, dtype=NOTE_DTYPE)
    notes["pitch"] = [57, 59, 60, 62, 64, 65, 68, 69, 61]
    notes["duration_beat"] = [4, 1, 2, 1, 3, 1, 1, 4, 100]
    notes["program"][-1] = DRUMS
    key = estimate_key(notes)
    assert key is not None
    assert str(key) == "Am"
    assert 0.5 < key.clarity <= 1.0
    assert estimate_key(notes[-1:]) is None
    assert estimate_key(notes[:0]) is None


def test_every_chord_is_recognized_from_its_own_notes() -> None:
    for label, name in enumerate(CHORD_NAMES):
        root, quality = divmod(label, len(CHORD_QUALITIES))
        intervals = list(CHORD_QUALITIES.values())[quality]
        scores = chord_scores(weights_of(*[root + step for step in intervals]))
        assert scores[label] == pytest.approx(1.0), name
        assert scores.max() == pytest.approx(1.0), name
        assert name.startswith(PITCH_CLASS_NAMES[root])


def test_chords_bridge_melody_and_silence() -> None:
    c, f = weights_of(0, 4, 7), weights_of(5, 9, 0)
    passing, silence = weights_of(2), np.zeros(12)
    labels = label_chords(np.stack([silence, c, passing, c, silence, f, f]))
    names = [CHORD_NAMES[label] if label >= 0 else None for label in labels.tolist()]
    assert names == [None, "C", "C", "C", "C", "F", "F"]
    assert label_chords(np.zeros((3, 12))).tolist() == [-1, -1, -1]
    assert len(label_chords(np.zeros((0, 12)))) == 0


def test_chord_path_is_the_best_of_all_paths(rng: np.random.Generator) -> None:
    """Against an exhaustive search over the chords that any best path can use."""
    weights = rng.random((4, 12)) ** 3
    scores = chord_scores(weights)
    cost = 0.2
    able = sorted({int(label) for row in scores for label in np.argsort(row)[-5:]})

    def total(path: tuple[int, ...]) -> float:
        changes = sum(one != two for one, two in itertools.pairwise(path))
        return float(sum(scores[step, label] for step, label in enumerate(path))) - cost * changes

    best = max(total(path) for path in itertools.product(able, repeat=4))
    assert total(tuple(label_chords(weights, switch_cost=cost).tolist())) >= best - 1e-12


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ((), -1),
        ((3,), -1),
        ((3, 10), 0),
        ((9, 0, 4), 1),
        ((7, 11, 2), 2),
        ((11, 2, 5), 3),
        ((0, 4, 8), 4),
        ((0, 2, 4), 5),
        ((2, 5, 9, 0), 6),
        ((7, 11, 2, 5), 7),
        ((0, 4, 7, 11), 8),
        ((0, 3, 6, 9), 9),
        ((0, 2, 4, 6, 8), 10),
    ],
)
def test_chord_types_of_jsymbolic(classes: tuple[int, ...], expected: int) -> None:
    assert pitch_class_set_type()[sum(1 << pitch for pitch in classes)] == expected


def test_sixth_and_minor_seventh_are_one_set() -> None:
    assert pitch_class_set_type()[sum(1 << pitch for pitch in (0, 4, 7, 9))] == 6


def test_tonal_centroid_places_fifths_close() -> None:
    single = tonal_centroid(np.eye(12))
    # On the circles of fifths and minor thirds the radius is 1, on that of major thirds 0.5.
    np.testing.assert_allclose((single[:, :4] ** 2).sum(axis=1), 2.0)
    np.testing.assert_allclose((single[:, 4:] ** 2).sum(axis=1), 0.25)
    distance = np.linalg.norm(single - single[0], axis=1)
    assert distance[7] == pytest.approx(distance[5])
    assert distance[7] < distance[2] < distance[6]
    np.testing.assert_allclose(tonal_centroid(np.ones(12)), 0.0, atol=1e-12)
    assert np.isnan(tonal_centroid(np.zeros(12))).all()
    triad = weights_of(0, 4, 7)
    np.testing.assert_allclose(tonal_centroid(9.0 * triad), tonal_centroid(triad), atol=1e-12)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("C", (0, "major", "C")),
        ("Am", (9, "minor", "Am")),
        ("f#m", (6, "minor", "F#m")),
        ("Bb", (10, "major", "Bb")),
        ("b", (11, "major", "B")),
        ("Bb minor", (10, "minor", "Bbm")),
        ("E♭ major", (3, "major", "Eb")),
        ("CM", (0, "major", "C")),
        ("Cb", (11, "major", "Cb")),
        ("G sharp moll", (8, "minor", "G#m")),
    ],
)
def test_keys(text: str, expected: tuple[int, str, str]) -> None:
    assert parse_key(text) == expected
    assert parse_key(expected[2]) == expected
    assert parse_key(key_in_words(text)) == expected


@pytest.mark.parametrize("text", ["", "J", "Amb", "C minor major", "##", None, 3])
def test_what_is_no_key(text: object) -> None:
    with pytest.raises(InputError, match="is not a key"):
        parse_key(text)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["major", "minor"])
def test_a_key_is_spelled_with_the_fewest_accidentals_and_read_back(mode: Mode) -> None:
    """Oracle: the circle of fifths; a name's place on it is its key signature."""
    letters = "FCGDAEB"
    for tonic, name in enumerate(TONIC_NAMES[mode]):
        accidentals = letters.index(name[0]) - (1 if mode == "major" else 4) + 7 * (name.count("#") - name.count("b"))
        assert abs(accidentals) <= 6
        key = Key(tonic, mode, 1.0)
        assert parse_key(str(key)) == (tonic, mode, str(key))


def test_viterbi_finds_the_best_of_all_paths(rng: np.random.Generator) -> None:
    scores = rng.normal(size=(6, 4))
    transitions = rng.normal(size=(4, 4))
    one_cost = -0.7 * (1 - np.eye(4))
    for table, given in ((transitions, transitions), (one_cost, 0.7)):
        paths = np.array(list(itertools.product(range(4), repeat=6)))
        totals = scores[np.arange(6), paths].sum(axis=1) + table[paths[:, :-1], paths[:, 1:]].sum(axis=1)
        assert viterbi(scores, given).tolist() == paths[totals.argmax()].tolist()
