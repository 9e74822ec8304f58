"""Objective metrics of music against hand-counted pieces, closed forms, identities and slow oracles."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import sqrtm
from scipy.stats import gaussian_kde

from muse.errors import InputError
from muse.evaluate.metrics.frechet import frechet, frechet_distance
from muse.evaluate.metrics.music import METRICS, measure, share_inside
from muse.evaluate.metrics.notes import POSITIONS, groove_consistency, onset_f1
from muse.evaluate.metrics.sets import _overlap, compare_sets, set_features
from muse.evaluate.metrics.structure import PENALTY, RELATIVE_THRESHOLD, _bar_similarity, fitness_scape_plot
from muse.score import DRUMS, NOTE_DTYPE, Score, bar_grid, from_notes, note_array

Row = tuple[float, float, int]
"""Onset, length (beats), pitch."""


def piece(
    rows: Sequence[Row], *, program: int = 0, drums: Sequence[Row] = (), meter: tuple[int, int] = (4, 4)
) -> Score:
    notes = np.zeros(len(rows) + len(drums), NOTE_DTYPE)
    for note, (onset, length, pitch) in zip(notes, [*rows, *drums], strict=True):
        note["onset_beat"], note["duration_beat"], note["pitch"] = onset, length, pitch
    notes["velocity"], notes["program"] = 64, [program] * len(rows) + [DRUMS] * len(drums)
    notes["track"] = notes["program"]
    return from_notes(notes, time_signature=meter, tempo_bpm=120)


def bars_of(*bars: Sequence[Row], beats: float = 4.0) -> list[Row]:
    return [(beats * i + onset, length, pitch) for i, bar in enumerate(bars) for onset, length, pitch in bar]


def together(first: Score, second: Score) -> Score:
    notes = np.concatenate([note_array(first), note_array(second)])
    notes["track"] = notes["program"]
    return from_notes(notes)


def random_bar(rng: np.random.Generator) -> list[Row]:
    onsets = sorted(rng.choice(16, 6, replace=False) / 4)
    return [(onset, 0.25, int(rng.integers(55, 80))) for onset in onsets]


def random_piece(rng: np.random.Generator, n_bars: int = 8) -> Score:
    return piece(bars_of(*(random_bar(rng) for _ in range(n_bars))))


QUARTERS = [(0.0, 1.0, 60), (1.0, 1.0, 64), (2.0, 1.0, 67), (3.0, 1.0, 72)]
WALTZ = [(0.0, 1.0, 60), (1.0, 1.0, 64), (2.0, 1.0, 67)]


# -------------------------------------------------------------------------------------------------------- hand-counted


def test_a_tiny_piece_counted_by_hand() -> None:
    """Two bars at 120 BPM: C, E, G, C and the same again with F# for the last; one silent bar; a whole chord."""
    second = [*QUARTERS[:3], (3.0, 1.0, 66)]
    chord = [(0.0, 4.0, 60), (0.0, 4.0, 64), (0.0, 2.0, 67)]
    found = measure(piece(bars_of(QUARTERS, second, [], chord)))
    # C 4, E 3, G 3, F# 1 of 11 notes
    p = np.array([4, 3, 3, 1]) / 11
    assert found["pitch_class_entropy"] == pytest.approx(-(p * np.log2(p)).sum())
    assert found["scale_consistency"] == pytest.approx(1.0)  # G major has F#
    assert found["empty_bar_rate"] == 0.25
    assert found["pitch_range"] == 12
    assert (found["n_pitches_used"], found["n_pitch_classes_used"]) == (5, 4)
    assert found["notes_per_bar"] == 11 / 4
    assert found["notes_per_sec"] == pytest.approx(11 / 8)
    # 8 beats of one pitch, 2 of three, 2 of two; 4 of silence
    assert found["polyphony"] == pytest.approx((8 * 1 + 2 * 3 + 2 * 2) / 12)
    assert found["polyphony_rate"] == pytest.approx(4 / 16)
    # Onset vectors: 4 on quarters, the same, none, 1: differences 0, 4, 1
    assert found["groove_consistency"] == pytest.approx(1 - (0 + 4 + 1) / 3 / 16)
    assert found["onset_f1"] == pytest.approx((1 + 0 + 0) / 3)
    # Of the bars with notes, from the second on (two), none is an earlier one.
    assert found["repeated_bars"] == 0
    # Bars by (position, pitch class): 3 of 4 and 4 notes in common; the chord has one note (C) in common with each.
    assert found["self_similarity"] == pytest.approx((3 / 4 + 2 / np.sqrt(12)) / 3)


def test_equal_bars_are_equal() -> None:
    """muspy's surplus bar makes these 0.97."""
    found = measure(piece(bars_of(*[QUARTERS] * 8)))
    for name in ("groove_consistency", "onset_f1", "self_similarity", "repeated_bars", "repeated_phrases"):
        assert found[name] == pytest.approx(1), name
    assert found["empty_bar_rate"] == 0
    waltz = measure(piece(bars_of(*[WALTZ] * 8, beats=3.0), meter=(3, 4)))
    assert waltz["groove_consistency"] == waltz["repeated_phrases"] == 1


def test_repetition_counted_by_hand() -> None:
    a, b, c = QUARTERS, WALTZ, [(0.0, 2.0, 60), (2.0, 2.0, 62)]
    up = [(onset, length, pitch + 5) for onset, length, pitch in a]
    louder_and_shorter = [(onset, length / 2, pitch) for onset, length, pitch in a]
    # Of seven bars: a again, transposed; c new; silence is left out; a again, shorter; b again
    found = measure(piece(bars_of(a, b, up, c, [], louder_and_shorter, b)))
    assert found["repeated_bars"] == pytest.approx(3 / 5)
    # Phrases that begin in bars 4 to 8: a b c a | a b c a, both transposed as a whole; the others are new.
    phrase = [a, b, c, a]
    moved = [[(onset, length, pitch + 2) for onset, length, pitch in bar] for bar in phrase]
    assert measure(piece(bars_of(*phrase, *moved)))["repeated_phrases"] == 1
    one_apart = [moved[0], *phrase[1:]]  # its bars are not transposed alike
    assert measure(piece(bars_of(*phrase, *one_apart)))["repeated_phrases"] == 0
    assert measure(piece(bars_of(*phrase, *one_apart)))["repeated_bars"] == pytest.approx(5 / 7)
    assert measure(piece(bars_of(*phrase, b, *phrase)))["repeated_phrases"] == pytest.approx(1 / 2)
    # Four bars a begin in bar 4 and again in 5 and 6, but these are in part the very same bars.
    assert measure(piece(bars_of(b, c, b, a, a, a, a, a, a)))["repeated_phrases"] == 0
    assert measure(together(piece(bars_of(a, a)), piece([])))["repeated_bars"] == 1
    assert measure(together(piece(bars_of(a)), piece(bars_of([], a), program=40)))["repeated_bars"] == 0


def test_held_notes_are_no_silence_and_touch_no_later_bar() -> None:
    assert measure(piece([(0, 16, 60)]))["empty_bar_rate"] == 0
    assert measure(piece([(0, 4, 60), (12, 4, 60)]))["empty_bar_rate"] == 0.5
    assert measure(piece([(0, 8, 60), (12, 4, 60)]))["empty_bar_rate"] == 0.25


def test_a_pitch_that_two_players_hold_sounds_once() -> None:
    found = measure(together(piece([(0, 4, 60)]), piece([(0, 2, 60)], program=40)))
    assert (found["polyphony"], found["polyphony_rate"]) == (1, 0)


def test_drums_never_enter_pitch(rng: np.random.Generator) -> None:
    tune = bars_of(*(random_bar(rng) for _ in range(8)))
    beat = bars_of(*[[(i / 2, 0.25, 36 + 2 * (i % 2)) for i in range(8)]] * 8)
    plain, with_drums = measure(piece(tune)), measure(piece(tune, drums=beat))
    for name in (
        "pitch_class_entropy", "scale_consistency", "polyphony", "polyphony_rate", "pitch_range", "n_pitches_used",
        "n_pitch_classes_used", "self_similarity",
    ):  # fmt: skip
        assert plain[name] == with_drums[name], name
    assert with_drums["onset_f1"] > plain["onset_f1"]
    assert with_drums["notes_per_bar"] == plain["notes_per_bar"] + 8
    for name, value in set_features(piece(tune)).items():
        np.testing.assert_array_equal(value, set_features(piece(tune, drums=beat))[name], err_msg=name)


def test_undefined_is_nan_and_nothing_crashes() -> None:
    empty = measure(piece([]))
    counts = {"n_pitches_used", "n_pitch_classes_used"}
    assert all(np.isnan(value) for name, value in empty.items() if name not in counts)
    assert empty["n_pitches_used"] == empty["n_pitch_classes_used"] == 0
    drums = measure(piece([], drums=bars_of(*[[(0.0, 1.0, 36)]] * 8)))
    pitched = {"pitch_class_entropy", "scale_consistency", "polyphony", "polyphony_rate", "pitch_range"}
    pitched |= {"self_similarity", "structure_short", "structure_mid", "structure_long"}
    assert {name for name, value in drums.items() if np.isnan(value)} == pitched
    one = measure(piece([(0, 4, 60)]))
    assert np.isnan([one[n] for n in ("groove_consistency", "onset_f1", "self_similarity", "repeated_bars")]).all()
    assert (one["pitch_class_entropy"], one["scale_consistency"], one["pitch_range"]) == (0, 1, 0)
    assert all((value == 0).all() for value in set_features(piece([])).values())


def test_every_metric_is_in_its_range(rng: np.random.Generator) -> None:
    shares = {"scale_consistency", "groove_consistency", "onset_f1", "empty_bar_rate", "polyphony_rate"}
    shares |= {"self_similarity", "repeated_bars", "repeated_phrases"}
    shares |= {f"structure_{name}" for name in ("short", "mid", "long")}
    for n_bars in (1, 2, 5, 16):
        found = measure(random_piece(rng, n_bars))
        assert list(found) == list(METRICS)
        assert all(np.isnan(found[name]) or 0 <= found[name] <= 1 for name in shares)
        assert 0 <= found["pitch_class_entropy"] <= np.log2(12)


# ------------------------------------------------------------------------------------------------------------- oracles


def muspy_like(score: Score, steps_per_beat: int = 4) -> dict[str, float]:
    """muspy's definitions on a grid, of pieces that lie on it, in 4/4, with as many bars as there are."""
    notes = note_array(score)
    notes = notes[notes["program"] != DRUMS]
    start = np.rint(notes["onset_beat"] * steps_per_beat).astype(int)
    end = np.rint((notes["onset_beat"] + notes["duration_beat"]) * steps_per_beat).astype(int)
    bar = 4 * steps_per_beat
    n_bars = -(-end.max() // bar)
    roll = np.zeros((n_bars * bar, 128), bool)
    for s, e, p in zip(start, end, notes["pitch"], strict=True):
        roll[s:e, p] = True
    groove = np.isin(np.arange(n_bars * bar), start).reshape(n_bars, bar)
    together, pitch = roll[: end.max()].sum(1), notes["pitch"]
    share = np.bincount(pitch % 12, minlength=12) / len(pitch)
    scales = [[0, 2, 4, 5, 7, 9, 11], [0, 2, 3, 5, 7, 8, 10]]
    return {
        "pitch_range": pitch.max() - pitch.min(),
        "n_pitches_used": len(set(pitch)),
        "n_pitch_classes_used": len(set(pitch % 12)),
        "pitch_class_entropy": -sum(x * np.log2(x) for x in share if x),
        "scale_consistency": max(share[(np.array(s) + root) % 12].sum() for s in scales for root in range(12)),
        "polyphony": together[together > 0].mean(),
        "polyphony_rate": (together >= 2).mean(),
        "empty_bar_rate": 1 - roll.reshape(n_bars, -1).any(1).mean(),
        "groove_consistency": 1 - (groove[1:] != groove[:-1]).mean(),
    }


def test_muspys_definitions(rng: np.random.Generator) -> None:
    for _ in range(10):
        bars = [random_bar(rng) if rng.random() < 0.7 else [] for _ in range(6)]
        rows = [(onset, float(rng.choice([0.25, 1.0, 3.0])), pitch) for onset, _, pitch in bars_of(*bars, QUARTERS)]
        score = piece(rows, drums=[(0, 0.25, 36)] if rng.random() < 0.5 and rows[0][0] == 0 else [])
        found = measure(score)
        for name, expected in muspy_like(score).items():
            assert found[name] == pytest.approx(expected), name


def test_groove_is_a_matter_of_resolution_and_f1_is_not(rng: np.random.Generator) -> None:
    """Eighths that sound or not, independently: two bars differ in 2 p (1 - p) of 8 of the 16 positions."""
    p, n_bars = 0.63, 400
    sounding = np.flatnonzero(rng.random(8 * n_bars) < p)
    score = piece([(i / 2, 0.25, 60) for i in sounding.tolist()])
    notes, bars = note_array(score), bar_grid(score)
    assert POSITIONS == 16
    assert groove_consistency(notes, bars) == pytest.approx(1 - 2 * p * (1 - p) / 2, abs=0.01)
    assert groove_consistency(notes, bars) == pytest.approx(0.77, abs=0.01)
    # Of A and B, with p of 8 each, p is in both: chance is far from 1 here.
    assert onset_f1(notes, bars) == pytest.approx(p, abs=0.03)
    assert muspy_like(score, 24)["groove_consistency"] > 0.95


def test_onset_f1_of_known_bars() -> None:
    half = [(0.0, 1.0, 60), (1.0, 1.0, 60)]
    score = piece(bars_of(QUARTERS, half))
    assert onset_f1(note_array(score), bar_grid(score)) == pytest.approx(2 * 2 / 6)


def all_families(path: np.ndarray, length: int, n: int) -> tuple[float, int]:
    """Greatest score of any family of passages that don't overlap, and how many it has; over all families."""
    best = (0.0, 0)
    for size in range(1, n // length + 1):
        for starts in itertools.combinations(range(n - length + 1), size):
            if all(b - a >= length for a, b in itertools.pairwise(starts)):
                best = max(best, (sum(path[s] for s in starts), size), key=lambda x: x[0])
    return best


def test_fitness_is_the_best_family_of_all(rng: np.random.Generator) -> None:
    n = 9
    patterns = [random_bar(rng) for _ in range(3)]
    score = piece(bars_of(*(patterns[k] for k in rng.integers(0, 3, n))))
    notes, bars = note_array(score), bar_grid(score)
    similarity = _bar_similarity(notes, bars)
    np.testing.assert_allclose(similarity, similarity.T)
    np.testing.assert_allclose(np.diag(similarity), 1)
    limit = np.quantile(similarity, 1 - RELATIVE_THRESHOLD)
    scaled = 1.0 if limit > 1 - 1e-9 else (similarity - limit) / (1 - limit)
    scores = np.where(similarity >= limit - 1e-9, scaled, PENALTY)
    np.fill_diagonal(scores, 1)
    plot = fitness_scape_plot(notes, bars)
    assert plot.shape == (n + 1, n)
    assert plot.max() > 0.2
    for length in range(1, n // 2 + 1):
        for first in range(n - length + 1):
            path = np.array([sum(scores[s + k, first + k] for k in range(length)) for s in range(n - length + 1)])
            total, size = all_families(path, length, n)
            gain, coverage = max(total - length, 0) / (size * length), (size - 1) * length / n
            expected = 2 * gain * coverage / (gain + coverage) if gain + coverage else 0
            assert plot[length, first] == pytest.approx(expected, abs=1e-9)


def test_form_has_more_structure_than_chance(rng: np.random.Generator) -> None:
    def shuffled(form: str, n_bars: int) -> dict[str, float]:
        parts = {name: [random_bar(rng) for _ in range(n_bars)] for name in set(form)}
        return measure(piece(bars_of(*(bar for name in form for bar in parts[name]))))

    aaba, chance = shuffled("AABA", 4), shuffled("ABCD", 4)
    for span in ("short", "mid"):
        assert aaba[f"structure_{span}"] > chance[f"structure_{span}"] + 0.2, span
    assert aaba["repeated_phrases"] > chance["repeated_phrases"] == 0
    assert aaba["self_similarity"] > chance["self_similarity"]
    assert shuffled("AA", 8)["structure_long"] == pytest.approx(0.5)  # half of score and half of the piece
    # Moved up a third, it is the same form.
    bars = [random_bar(rng) for _ in range(4)]
    up = [[(onset, length, pitch + 4) for onset, length, pitch in bar] for bar in bars]
    again, moved = measure(piece(bars_of(*bars, *bars))), measure(piece(bars_of(*bars, *up)))
    assert moved["structure_mid"] == pytest.approx(again["structure_mid"])


# ---------------------------------------------------------------------------------------------------------------- sets


def test_features_counted_by_hand() -> None:
    """C4 quarter, E4 eighth, C5 dotted half at 120 BPM; a drum that does not count."""
    found = set_features(piece([(0, 1, 60), (1, 0.5, 64), (1.5, 3, 72)], drums=[(0, 1, 36)]))
    assert {name: len(value) for name, value in found.items()} == {
        "pitch_count": 1, "pitch_class_histogram": 12, "pitch_class_transitions": 144, "pitch_range": 1,
        "mean_interval": 1, "note_count": 1, "mean_onset_interval": 1, "note_length_histogram": 12,
        "note_length_transitions": 144,
    }  # fmt: skip
    assert (found["pitch_count"], found["pitch_range"], found["mean_interval"], found["note_count"]) == (3, 12, 6, 3)
    assert found["mean_onset_interval"] == pytest.approx(0.375)
    np.testing.assert_allclose(found["pitch_class_histogram"][[0, 4]], [2 / 3, 1 / 3])
    np.testing.assert_allclose(found["pitch_class_transitions"].reshape(12, 12)[[0, 4], [4, 0]], 0.5)
    quarter, eighth, dotted_half = 2, 3, 5
    np.testing.assert_allclose(found["note_length_histogram"][[quarter, eighth, dotted_half]], 1 / 3)
    table = found["note_length_transitions"].reshape(12, 12)
    assert table[quarter, eighth] == table[eighth, dotted_half] == 0.5


def test_overlap_and_divergence_of_kernel_densities(rng: np.random.Generator) -> None:
    a, b = rng.gamma(4, 1, 300), rng.gamma(6, 1, 500)
    width = max(gaussian_kde(x).covariance[0, 0] ** 0.5 for x in (a, b))
    p, q = (gaussian_kde(x, bw_method=width / x.std(ddof=1)) for x in (a, b))
    area, kl = _overlap(a, b)
    assert area == pytest.approx(quad(lambda x: min(p(x)[0], q(x)[0]), -5, 25, limit=200)[0], abs=2e-3)
    expected = quad(lambda x: p(x)[0] * np.log(p(x)[0] / q(x)[0]), -2, 13, limit=200)[0]
    assert kl == pytest.approx(expected, rel=0.01)
    assert _overlap(a, a) == (pytest.approx(1), 0)
    far = _overlap(a, a + 100)
    assert far[0] == pytest.approx(0, abs=1e-3)
    assert far[1] > 5
    assert _overlap(np.zeros(9), np.zeros(9)) == (pytest.approx(1), 0)  # no spread at all


def test_a_set_is_like_itself_and_unlike_another(rng: np.random.Generator) -> None:
    def some(n: int, low: int) -> list[dict[str, np.ndarray]]:
        return [
            set_features(piece([(i / 2, 0.5, int(p)) for i, p in enumerate(rng.integers(low, low + 12, 20))]))
            for _ in range(n)
        ]

    ours, theirs = some(40, 60), some(40, 60)
    scale = [set_features(piece([(i * 2, 2, 60 + 5 * i) for i in range(9)]))] * 10
    for figures in compare_sets(ours, ours).values():
        assert figures["overlapping_area"] == figures["reference_overlapping_area"] == pytest.approx(1)
        assert figures["kl"] == figures["reference_kl"] == pytest.approx(0, abs=1e-9)
        assert figures["within"] == figures["within_reference"] == pytest.approx(figures["across"])
    for name, figures in compare_sets(ours, theirs).items():
        assert figures["overlapping_area"] > 0.8 and figures["reference_overlapping_area"] > 0.8, name
    for name in ("pitch_range", "note_count", "pitch_class_transitions"):
        figures = compare_sets(scale, theirs)[name]
        assert figures["overlapping_area"] < 0.1 and figures["kl"] > 3, name
        assert figures["within"] == pytest.approx(0, abs=1e-9)
    # A narrow set in the midst of the reference: as near as the reference's own, but not as wide.
    narrow = compare_sets([ours[0]] * 10, ours)["pitch_class_transitions"]
    assert narrow["overlapping_area"] < 0.1 < 0.7 < narrow["reference_overlapping_area"]
    with pytest.raises(InputError, match="at least three"):
        compare_sets(ours[:2], theirs)


def test_frechet_distance_of_known_gaussians(rng: np.random.Generator) -> None:
    n = 200_000
    x = rng.normal(0, 1, (n, 2)) * [1, 2]
    y = rng.normal(0, 1, (n, 2)) * [3, 2] + [1, -1]
    # Independent axes: squared shift, and squared difference of standard deviations.
    assert frechet_distance(x, y) == pytest.approx(1 + 1 + 4, rel=0.02)
    # For sets of any size and width it is the textbook's formula.
    for n, m, width in ((30, 50, 4), (6, 50, 10), (5, 7, 10)):
        a, b = rng.normal(size=(n, width)), rng.normal(size=(m, width)) @ rng.normal(size=(width, width))
        s1, s2 = np.cov(a.T), np.cov(b.T)
        # Through the symmetric root, as that of S1 S2 is unsound where S1 has no full rank.
        root = np.real(sqrtm(s1 + 1e-12 * np.eye(width)))
        shared = np.sqrt(np.clip(np.linalg.eigvalsh(root @ s2 @ root), 0, None)).sum()
        expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s1) + np.trace(s2) - 2 * shared
        assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-4)
        assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-4)
        assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
        assert frechet_distance(a, a + 2) == pytest.approx(4 * width)
    for bad in (np.zeros((5, 3)), np.zeros((1, 2)), np.zeros(5)):
        with pytest.raises(InputError, match="do not fit"):
            frechet_distance(bad, x)


def test_extrapolation_takes_the_bias_off(rng: np.random.Generator) -> None:
    """Equal Gaussians and shifted ones: small sets look too far apart, extrapolated ones don't."""
    width, shift = 8, 0.5
    for true, offset in ((0.0, 0.0), (width * shift**2, shift)):
        draws = [
            frechet(rng.normal(size=(80, width)) + offset, rng.normal(size=(200, width)), n_halvings=4)
            for _ in range(12)
        ]
        distance, extrapolated = (np.mean([d[name] for d in draws]) for name in ("distance", "extrapolated"))
        assert distance - true > 0.3
        assert abs(extrapolated - true) < 0.25
        assert all(d["interval"][0] <= d["distance"] <= d["interval"][1] for d in draws)
        inside = [d["extrapolated_interval"][0] <= true <= d["extrapolated_interval"][1] for d in draws]
        assert np.mean(inside) >= 0.75


def test_frechet_of_few_pieces_is_a_number_without_interval(rng: np.random.Generator) -> None:
    few = frechet(rng.normal(size=(3, 4)), rng.normal(size=(50, 4)))
    assert few["distance"] > 0 and np.isnan([few["extrapolated"], *few["interval"]]).all()
    some = frechet(rng.normal(size=(6, 4)), rng.normal(size=(50, 4)))
    assert np.isfinite(some["extrapolated"]) and np.isnan(some["extrapolated_interval"]).all()
    x, y = rng.normal(size=(40, 4)), rng.normal(size=(50, 4))
    assert frechet(x, y) == frechet(x, y)


def test_share_inside_leaves_nan_out() -> None:
    reference = np.append(np.arange(101.0), np.nan)
    assert share_inside(np.array([4, 5, 50, 95, 96, np.nan]), reference) == (0.6, (5.0, 95.0))
    assert share_inside(reference, reference)[0] == pytest.approx(0.9, abs=0.01)
    assert np.isnan(share_inside(np.array([np.nan]), reference)[0])
