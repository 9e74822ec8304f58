"""Judges hear what they were taught, and only what they claim to hear. All music is made here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from kit import array, clip, corpus

from muse.errors import InputError
from muse.evaluate.judges import (
    Clips,
    EmotionJudge,
    FeatureJudge,
    Judge,
    PhraseJudge,
    cross_validate,
    describe,
    feature_group,
    rate,
    read_emopia,
    read_vgmidi,
    tokenize,
    valence_arousal,
    vary,
)
from muse.score import DRUMS, from_notes, note_array, write_score


def clips(n_each: int, seed: int) -> Clips:
    rng = np.random.default_rng(seed)
    labels = [q for q in (1, 2, 3, 4) for _ in range(n_each)]
    return Clips.of([clip(q, rng) for q in labels], labels)


MAKERS: list[Callable[[], Judge]] = [lambda: FeatureJudge(n_variants=1, n_trees=40), lambda: PhraseJudge(n_variants=1)]


@pytest.fixture(scope="module", params=[0, 1], ids=["features", "phrases"])
def judge(request: pytest.FixtureRequest) -> Judge:
    train = clips(8, seed=1)
    return MAKERS[request.param]().fit(train.music, train.quadrant)


def test_unseen_music_of_the_same_kinds_is_told_apart(judge: Judge) -> None:
    test = clips(5, seed=2)
    p = judge.predict_proba(test.music)
    assert p.shape == (20, 4)
    np.testing.assert_allclose(p.sum(1), 1)
    card = rate(p, test)
    assert card.accuracy >= 0.9
    assert card.arousal == 1.0
    assert sum(map(sum, card.confusion)) == 20
    assert (judge.predict(test.music) == p.argmax(1) + 1).all()


def test_valence_and_arousal_follow_the_probabilities(judge: Judge) -> None:
    test = clips(3, seed=3)
    va = judge.predict_va(test.music)
    assert va[test.quadrant <= 2, 1].min() > va[test.quadrant > 2, 1].max()
    assert va[np.isin(test.quadrant, (1, 4)), 0].mean() > va[np.isin(test.quadrant, (2, 3)), 0].mean() + 0.3
    np.testing.assert_allclose(valence_arousal(np.eye(4)), [[1, 1], [-1, 1], [-1, -1], [1, -1]])


def test_labels_that_say_nothing_teach_nothing() -> None:
    train = clips(8, seed=1)
    shuffled = np.random.default_rng(0).permutation(train.quadrant)
    test = clips(5, seed=2)
    p = FeatureJudge(n_variants=0, n_trees=40).fit(train.music, shuffled).predict_proba(test.music)
    assert rate(p, test).accuracy < 0.6


def test_same_seed_same_judgement() -> None:
    train, test = clips(4, seed=1), clips(1, seed=2)
    first, second = (
        FeatureJudge(seed=7, n_variants=1, n_trees=10).fit(train.music, train.quadrant).predict_proba(test.music)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_no_notes_and_drums_alone_have_no_emotion(judge: Judge, rng: np.random.Generator) -> None:
    drums = array([(i * 0.5, 0.1, 36, 100) for i in range(20)], program=DRUMS)
    p = judge.predict_proba([array([]), drums, clip(1, rng)])
    np.testing.assert_array_equal(p[:2], 0.25)
    assert p[2].max() > 0.3
    assert judge.predict_proba([]).shape == (0, 4)


def test_drums_do_not_change_the_judgement(judge: Judge, rng: np.random.Generator) -> None:
    plain = clip(3, rng)
    both = np.concatenate([plain, array([(i * 0.25, 0.1, 38, 120) for i in range(100)], program=DRUMS)])
    np.testing.assert_allclose(judge.predict_proba([plain]), judge.predict_proba([both]))


def test_scores_files_and_note_arrays_are_judged_alike(judge: Judge, rng: np.random.Generator, tmp_path: Path) -> None:
    score = from_notes(clip(2, rng))
    write_score(score, tmp_path / "piece.mid")
    p = judge.predict_proba([score, note_array(score), str(tmp_path / "piece.mid"), tmp_path / "piece.mid"])
    np.testing.assert_allclose(p, p[:1].repeat(4, 0))


def test_a_single_note_is_enough_to_judge(judge: Judge) -> None:
    p = judge.predict_proba([array([(0.0, 1.0, 60, 64)]), array([(0.0, 1.0, 60, 64), (0.0, 1.0, 64, 64)])])
    assert np.isfinite(p).all()


@pytest.mark.parametrize("n", [1, 2, 3, 4, 60])
def test_features_are_finite_and_always_the_same_ones(n: int, rng: np.random.Generator) -> None:
    rows = [(i * 0.4, 0.3, int(rng.integers(30, 100)), int(rng.integers(1, 128))) for i in range(n)]
    features = describe(array(rows))
    assert np.isfinite(list(features.values())).all()
    assert list(features) == list(describe(clip(1, rng)))


def test_harmony_is_heard_relative_to_the_key(rng: np.random.Generator) -> None:
    music = clip(4, rng)
    higher = music.copy()
    higher["pitch"] += 5
    here, there = describe(music), describe(higher)
    for name in here:
        if feature_group(name) == "tonality":
            assert there[name] == pytest.approx(here[name], abs=1e-9), name
    assert there["pitch_mean"] == pytest.approx(here["pitch_mean"] + 5)
    degrees = [w for w in tokenize(music) if w[0] in "dcb"]
    assert degrees == [w for w in tokenize(higher) if w[0] in "dcb"]


def test_features_point_the_right_way(rng: np.random.Generator) -> None:
    q1, q2, q3, q4 = (describe(clip(q, rng)) for q in (1, 2, 3, 4))
    assert min(q1["mode"], q4["mode"]) > 0 > max(q2["mode"], q3["mode"])
    assert min(q1["notes_per_sec"], q2["notes_per_sec"]) > 2 * max(q3["notes_per_sec"], q4["notes_per_sec"])
    assert min(q1["velocity_mean"], q2["velocity_mean"]) > max(q3["velocity_mean"], q4["velocity_mean"])
    assert q1["attacks_per_sec"] == pytest.approx(8.0, rel=0.05)


def test_length_of_the_clip_is_not_heard(rng: np.random.Generator) -> None:
    music = clip(4, rng, n_bars=8)
    later = music.copy()
    later["onset_sec"] += 32.0
    once, twice = describe(music), describe(np.concatenate([music, later]))
    for name in ("notes_per_sec", "mode", "velocity_mean", "ioi_log_0", "attack_size_mean", "chord2_family_1"):
        assert twice[name] == pytest.approx(once[name], rel=0.05, abs=0.02), name


def test_loudness_is_not_heard_by_the_phrase_judge(rng: np.random.Generator) -> None:
    music = clip(1, rng)
    soft = music.copy()
    soft["velocity"] = 30
    assert tokenize(soft) == tokenize(music)


def test_variants_keep_the_tune_and_stay_in_range(rng: np.random.Generator) -> None:
    music = clip(1, rng, n_bars=40)  # 80 s
    for _ in range(20):
        other = vary(music, rng)
        assert 20 <= len(other) < len(music)
        assert np.ptp(other["onset_sec"]) <= 40.5
        assert (other["velocity"] >= 1).all()
        assert (other["velocity"] <= 127).all()
        assert (other["duration_sec"] > 0).all()
        assert (np.diff(other["onset_sec"]) >= 0).all()
    assert music["onset_sec"].max() > 70  # what came in is untouched


def test_wrong_labels_are_refused(rng: np.random.Generator) -> None:
    music = [clip(q, rng) for q in (1, 2, 3, 4) for _ in range(2)]
    with pytest.raises(InputError, match=r"8 clips came with 7 labels"):
        FeatureJudge().fit(music, [1, 1, 2, 2, 3, 3, 4])
    with pytest.raises(InputError, match=r"labels \[0, 5\] are no quadrants"):
        FeatureJudge().fit(music, [1, 1, 2, 2, 3, 3, 0, 5])
    with pytest.raises(InputError, match=r"quadrants \[4\] have fewer than two clips"):
        FeatureJudge().fit(music, [1, 1, 2, 2, 3, 3, 3, 4])


def test_cross_validation_never_hears_a_song_before_judging_it() -> None:
    # One song per quadrant and label-free content: a judge that had heard the song would know its label.
    rng = np.random.default_rng(5)
    music, labels, songs = [], [], []
    for song in range(12):
        one = clip(int(rng.integers(1, 5)), rng)
        for _ in range(2):
            music.append(one)
            labels.append(song % 4 + 1)
            songs.append(str(song))
    known = Clips(music, np.array(labels), np.array(songs), np.full((24, 2), np.nan), music)

    class Memory(Judge):
        name = "memory"

        def _fit(self, clips: list[np.ndarray], labels: np.ndarray) -> None:
            self.heard = {c.tobytes(): q for c, q in zip(clips, labels, strict=True)}

        def _predict(self, clips: list[np.ndarray]) -> np.ndarray:
            return np.array([np.eye(4)[self.heard.get(c.tobytes(), 1) - 1] for c in clips])

    p = cross_validate(Memory, known, n_folds=3)
    np.testing.assert_array_equal(p.argmax(1), 0)  # nothing was remembered


def test_corpora_are_read_and_judged(tmp_path: Path, rng: np.random.Generator) -> None:
    corpus(tmp_path / "emopia-nc", "train", False, rng)
    corpus(tmp_path / "vgmidi-unclear", "labelled", True, rng)
    train, games = read_emopia(tmp_path, "train"), read_vgmidi(tmp_path)
    assert len(train) == len(games) == 20
    assert np.isnan(train.rating).all()
    judge = EmotionJudge.from_corpora(tmp_path)
    for one in (judge.primary, judge.second):
        card = rate(one.predict_proba(games.music), games)
        assert card.accuracy >= 0.75
        assert card.rank_arousal is not None
        assert card.rank_arousal > 0.5
    np.testing.assert_array_equal(judge.predict_proba(games.music), judge.primary.predict_proba(games.music))


def test_missing_corpora_are_named(tmp_path: Path, rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match=r"emopia-nc.metadata\.csv: no such file; give the folder that holds"):
        read_emopia(tmp_path, "train")
    corpus(tmp_path / "emopia-nc", "train", False, rng)
    with pytest.raises(InputError, match="no row has split = val"):
        read_emopia(tmp_path, "val")
