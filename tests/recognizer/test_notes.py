"""Emotion from the notes that are heard: lines, experts, fusion, and one answer from the recogniser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from muse.corpora import Song
from muse.errors import InputError
from muse.hearing.features import feature_names, hearings
from muse.recognizer.heads.fusion import Fusion, sound_odds, trusted
from muse.recognizer.heads.notes import FEWEST, STRETCH_SEC, NoteExpert, stretches
from muse.score import Score, from_notes, note_array
from muse.training import quadrants
from muse.training.recognizer import fusion as fitting
from muse.training.recognizer.fusion import Take, fit, fit_fusion, fused_across_songs, odds_across_songs
from muse.training.recognizer.notes import fit_line, fit_rater
from muse.training.recognizer.sound_matrix import SAMPLE_RATE, TRAINED, UNSEEN, Condition, beginning, draw, rendered
from tests.kit import clip

N_FEATURES = len(feature_names())


@pytest.fixture(autouse=True, scope="module")
def few_trees() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(quadrants.TREES, "n_estimators", 10)
        yield


def a_score(quadrant: int, rng: np.random.Generator) -> Score:
    return from_notes(clip(quadrant, rng), tempo_bpm=120)


# ----------------------------------------------------------------------------------------------------------- conditions


def test_conditions_are_drawn_by_piece_kind_and_seed() -> None:
    pieces = [f"piece {i}" for i in range(200)]
    trained, unseen = ([draw(piece, kind) for piece in pieces] for kind in ("trained", "unseen"))
    assert trained == [draw(piece, "trained") for piece in pieces] and draw(pieces[0], "trained", 1) != trained[0]
    assert {(one.soundfont, one.player) for one in trained} == set(TRAINED)
    assert {(one.soundfont, one.player) for one in unseen} == set(UNSEEN)
    for what in ("soundfont", "player", "codec"):
        assert not {getattr(one, what) for one in trained} & {getattr(one, what) for one in unseen}
    for one in (*trained, *unseen):
        assert 0.94 <= one.tempo <= 1.06 and abs(one.cents) <= 30 and -18 <= one.gain_db <= 6


def test_a_condition_is_heard_in_the_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    from muse.render import find_soundfont
    from muse.training.recognizer import sound_matrix

    monkeypatch.setattr(sound_matrix, "FOLDERS", (find_soundfont_of_tests(),))
    plain = Condition("TimGM6mb", "midirenderer", None, 1.0, 0.0, 0.0, (0.0,) * 5, 0.0, 0.0, 90.0, "", 48_000)
    score = from_notes(note_array(from_notes(a_tone(), tempo_bpm=120)), tempo_bpm=120)

    def hertz(condition: Condition) -> float:
        sound = rendered(score, condition)[: 2 * SAMPLE_RATE]
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
        return float(np.argmax(spectrum) * SAMPLE_RATE / len(sound))

    assert find_soundfont().is_file()
    assert hertz(plain) == pytest.approx(440, abs=1)
    assert hertz(replace(plain, cents=30.0)) == pytest.approx(440 * 2 ** (30 / 1200), abs=1)
    long, short = (len(rendered(score, replace(plain, tempo=one))) for one in (0.94, 1.06))
    assert long > short
    level = [float(np.abs(rendered(score, replace(plain, gain_db=one))).max()) for one in (-18.0, -12.0)]
    assert level[1] == pytest.approx(2 * level[0], rel=0.02)
    worn = rendered(score, replace(plain, codec=".mp3", room_sec=1.0, wet=0.3, noise_db=30.0))
    assert np.isfinite(worn).all() and abs(len(worn) - len(rendered(score, plain))) < SAMPLE_RATE / 4


def a_tone() -> np.ndarray:
    rows = note_array(a_score(1, np.random.default_rng(0)))[:1]
    rows["onset_sec"], rows["onset_beat"], rows["duration_sec"], rows["duration_beat"] = 0, 0, 2, 4
    rows["pitch"], rows["velocity"] = 69, 90
    return rows


def find_soundfont_of_tests() -> Path:
    import pretty_midi

    return Path(pretty_midi.__file__).parent


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from muse.training.recognizer import sound_matrix

    monkeypatch.setattr(sound_matrix, "FOLDERS", (tmp_path,))
    with pytest.raises(InputError, match="soundfont TimGM6mb is not installed"):
        rendered(a_score(1, np.random.default_rng(0)), replace(draw("x", "trained"), soundfont="TimGM6mb"))


# ---------------------------------------------------------------------------------------------------------------- notes


def test_a_feature_that_is_not_heard_says_nothing() -> None:
    rng = np.random.default_rng(0)
    written = rng.normal(size=(200, 3, 4))
    heard = np.stack(
        [
            2 * written[..., 0] + 1,
            written[..., 1] + rng.normal(size=(200, 3)),
            rng.normal(size=(200, 3)),
            -written[..., 3],
        ],
        axis=-1,
    )
    offset, slope = fit_line(heard, written)
    np.testing.assert_allclose(offset + slope * heard[..., :1] * [1, 0, 0, 0], offset + slope * heard * [1, 0, 0, 0])
    np.testing.assert_allclose((offset + slope * heard)[..., 0], written[..., 0], atol=1e-5)
    assert slope[1] == pytest.approx(0.5, abs=0.1) and abs(slope[2]) < 0.1 and slope[3] == 0


def test_long_recordings_are_heard_in_stretches_and_empty_ones_say_nothing() -> None:
    rows = np.concatenate([clip(1, np.random.default_rng(i), 13) for i in range(3)])
    length = 26.0
    for i, part in enumerate(np.array_split(rows, 3)):
        part["onset_sec"] += i * length
    parts = stretches(rows)
    assert len(parts) == round(float(rows["onset_sec"].max()) / STRETCH_SEC) == 3
    assert sum(len(notes) for _, notes in parts) == len(rows)
    assert not stretches(rows[: FEWEST - 1]) and not stretches(rows[:0])


@pytest.fixture(scope="module")
def fitted() -> tuple[Fusion, list[Take], list[Song], dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    scores = {f"clip{i}": a_score(i % 4 + 1, rng) for i in range(48)}
    clips = [
        Song(Path(name), "emopia", name, name, f"song{i // 4 // 2}{i % 4}", quadrant=f"Q{i % 4 + 1}", split="val")
        for i, name in enumerate(scores)
    ]
    pieces = [replace(one, valence=(-1, 1)[i % 4 in (0, 3)] * 0.5, arousal=(-1, 1)[i % 4 < 2] * 0.5)
              for i, one in enumerate(clips)]  # fmt: skip
    written = {name: hearings(score) for name, score in scores.items()}
    takes = []
    for i, one in enumerate(clips):
        told = np.full(4, 0.1)
        told[i % 4 if i % 3 else (i + 1) % 4] = 0.7  # wrong about each third
        notes = note_array(scores[one.song_id])
        takes.append(Take(one, "trained", draw(one.song_id, "trained"), notes, told, np.zeros(2), rng.uniform(0, 1)))
    return fit(takes, clips, pieces, written), takes, clips, written


def test_notes_tell_the_emotion_and_sound_counts_as_far_as_it_is_right(
    fitted: tuple[Fusion, list[Take], list[Song], dict[str, np.ndarray]],
) -> None:
    fusion = fitted[0]
    rng = np.random.default_rng(9)
    for quadrant in (1, 2, 3, 4):
        mean, spread, p = fusion(a_score(quadrant, rng), np.full(4, 0.25), np.zeros(2), 0.5) or pytest.fail("no notes")
        assert p.argmax() == quadrant - 1 and p.sum() == pytest.approx(1)
        assert (mean[0] > 0) == (quadrant in (1, 4)) and (mean[1] > 0) == (quadrant < 3) and (spread > 0).all()
    assert fusion(from_notes(clip(1, rng)[:3]), np.full(4, 0.25), np.zeros(2), 0.5) is None
    again = Fusion.load(fusion.tensors())
    one = a_score(2, np.random.default_rng(1))
    for ours, theirs in zip(
        fusion(one, np.full(4, 0.25), np.zeros(2), 0.5) or (),
        again(one, np.full(4, 0.25), np.zeros(2), 0.5) or (),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(ValueError, match="damaged"):
        Fusion.load({**fusion.tensors(), "expert.slope": np.ones(N_FEATURES - 1)})
    with pytest.raises(KeyError):
        Fusion.load({name: x for name, x in fusion.tensors().items() if name != "expert.rater.mean"})


def test_takes_are_judged_by_what_was_fitted_without_their_song(
    fitted: tuple[Fusion, list[Take], list[Song], dict[str, np.ndarray]],
) -> None:
    _, takes, clips, written = fitted
    odds = odds_across_songs(takes, clips, written)
    assert odds.values.shape == (2, len(takes), 2) and np.isfinite(odds.values).all()
    judged = fused_across_songs(odds, takes)
    labels = np.array([int(one.quadrant[1]) - 1 for one in clips])
    right = {name: float((log_p.argmax(axis=1) == labels).mean()) for name, log_p in judged.items()}
    assert right["notes"] > 0.9 and right["sound"] == pytest.approx(2 / 3, abs=0.1) and right["fused"] > 0.9
    silent = [replace(takes[0], notes=takes[0].notes[:2]), *takes[1:]]
    assert np.isnan(odds_across_songs(silent, clips, written).values[:, 0]).all()
    with pytest.raises(InputError, match=f"{fitting.FEWEST_TAKES} are needed"):
        fit(takes[:5], clips, clips, written)


def test_new_sound_is_believed_less() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 600)
    novelty = rng.uniform(0, 1, 600)
    side = np.stack([np.where(np.isin(labels, (0, 3)), 1, -1), np.where(labels < 2, 1, -1)], axis=1)
    notes = side + rng.normal(0, 2.0, (2, 600, 2))
    sound = 2.0 * np.where(novelty[:, None] < 0.5, side, rng.choice((-1, 1), (600, 2)))  # right where it is familiar
    weight, familiar = fit_fusion(np.concatenate([notes, sound[None]]), novelty, labels, np.full((2, 2), 0.5))
    assert (weight[2] > 0.5).all() and 0.3 < familiar[0] < 0.7
    near, far = trusted(np.ones((2, 2)), np.array([0.05, 0.95]), familiar)
    assert near.min() > 0.8 > 0.3 > far.max()


def test_odds_of_the_sound_are_those_of_its_halves() -> None:
    np.testing.assert_allclose(sound_odds(np.array([0.4, 0.1, 0.2, 0.3])), [np.log(0.7 / 0.3), 0], atol=1e-12)


def test_ratings_are_learnt_from_scores() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3, 6))
    x[:, 1:] = x[:, :1] + rng.normal(0, 0.1, (60, 2, 6))
    ratings = np.stack([0.4 * np.tanh(x[:, 0, 0]), 0.4 * np.tanh(x[:, 0, 1])], axis=1)
    rater, spread = fit_rater(x[:40], ratings[:40], np.arange(40))
    left = ((rater(x[40:]) - ratings[40:]) ** 2).mean()
    assert left < 0.5 * ratings[40:].var() and (spread < 0.4).all()
    assert np.abs(rater(100 * x)).max() <= 1 and beginning(a_score(1, rng)).end() <= 25 * 2 * 480 * 4


def test_an_expert_needs_all_of_its_arrays() -> None:
    with pytest.raises(KeyError):
        NoteExpert.load({})
