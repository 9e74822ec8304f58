"""Emotion from notes and sound under many conditions: takes, experts, and how far each is believed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from muse.corpora import Song
from muse.errors import InputError
from muse.hearing.features import feature_names, harmony_count, hearings
from muse.recognizer.features.windows import Features
from muse.recognizer.heads.fusion import Fusion, Told, trusted
from muse.recognizer.heads.notes import FEWEST, STRETCH_SEC, stretches
from muse.recognizer.heads.sound import sound_odds
from muse.score import Score, from_notes, note_array, write_score
from muse.training import quadrants
from muse.training.recognizer import notes, sound, sound_matrix, takes
from muse.training.recognizer.fusion import (
    Matrix,
    fit,
    fit_fusion,
    fused_across_songs,
    matrix_of,
    odds_across_songs,
    rated_across_pieces,
)
from muse.training.recognizer.notes import fit_rater
from muse.training.recognizer.sound import head_across
from muse.training.recognizer.sound_matrix import (
    SAMPLE_RATE,
    TRAINED,
    UNSEEN,
    Condition,
    Kind,
    beginning,
    draw,
    find_sounds,
    rendered,
)
from muse.training.recognizer.takes import Hearer, Take, read_takes
from tests.kit import clip


@pytest.fixture(autouse=True, scope="module")
def few_choices() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(quadrants.TREES, "n_estimators", 4)
        choices = {quadrants: ("PRECISIONS", "RIDGES"), notes: ("PRECISIONS", "RIDGES"), sound: ("WIDTHS", "DECAYS")}
        for module, names in choices.items():
            for name in names:
                patch.setattr(module, name, getattr(module, name)[1:2])
        yield


FONTS = [Path(find_spec("pretty_midi").origin or "").parent]  # type: ignore[union-attr]
"""TimGM6mb comes with pretty_midi."""


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


def test_a_condition_is_heard_in_the_sound() -> None:
    plain = Condition("TimGM6mb", "midirenderer", None, 1.0, 0.0, 0.0, (0.0,) * 5, 0.0, 0.0, 90.0, "", 48_000)
    score = from_notes(note_array(from_notes(a_tone(), tempo_bpm=120)), tempo_bpm=120)

    def hertz(condition: Condition) -> float:
        sound = rendered(score, condition, soundfonts=FONTS)[: 2 * SAMPLE_RATE]
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
        return float(np.argmax(spectrum) * SAMPLE_RATE / len(sound))

    assert hertz(plain) == pytest.approx(440, abs=1)
    assert hertz(replace(plain, cents=30.0)) == pytest.approx(440 * 2 ** (30 / 1200), abs=1)
    long, short = (len(rendered(score, replace(plain, tempo=one), soundfonts=FONTS)) for one in (0.94, 1.06))
    assert long > short
    level = [
        float(np.abs(rendered(score, replace(plain, gain_db=one), soundfonts=FONTS)).max()) for one in (-18.0, -12.0)
    ]
    assert level[1] == pytest.approx(2 * level[0], rel=0.02)
    worn = rendered(score, replace(plain, codec=".mp3", room_sec=1.0, wet=0.3, noise_db=30.0), soundfonts=FONTS)
    assert np.isfinite(worn).all() and abs(len(worn) - len(rendered(score, plain, soundfonts=FONTS))) < SAMPLE_RATE / 4


def a_tone() -> np.ndarray:
    rows = note_array(a_score(1, np.random.default_rng(0)))[:1]
    rows["onset_sec"], rows["onset_beat"], rows["duration_sec"], rows["duration_beat"] = 0, 0, 2, 4
    rows["pitch"], rows["velocity"] = 69, 90
    return rows


def test_soundfonts_are_found_below_folders_that_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound_matrix, "FOLDERS", ())
    with pytest.raises(InputError, match="soundfont FluidR3_GM is not installed"):
        rendered(a_score(1, np.random.default_rng(0)), draw("x", "unseen", 2), soundfonts=[tmp_path])
    with pytest.raises(InputError, match="nowhere: no such folder"):
        find_sounds("FluidR3_GM", [tmp_path / "nowhere"])
    for name in ("usr/share/sounds/sf2/FluidR3_GM.sf2", "etc/timidity/freepats.cfg", "usr/share/doc/freepats.cfg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "fonts").mkdir()
    folders = [tmp_path / "fonts", tmp_path]
    assert find_sounds("FluidR3_GM", folders) == (tmp_path / "usr/share/sounds/sf2/FluidR3_GM.sf2").resolve()
    assert find_sounds("freepats", folders) == (tmp_path / "etc/timidity/freepats.cfg").resolve()


# ---------------------------------------------------------------------------------------------------------------- takes


class _Loudness:
    """An encoder of one number: how loud each half second is."""

    name, sample_rate, width = "loud/ness", 16_000, 1

    def encode(self, samples: np.ndarray) -> np.ndarray:
        padded = np.pad(samples, (0, -len(samples) % 8_000)).reshape(-1, 8_000)
        return np.asarray(np.abs(padded).mean(axis=1, keepdims=True), np.float32)


def test_takes_are_rendered_once_and_a_run_that_is_stopped_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def tone(score: Score, condition: Condition, **_: object) -> np.ndarray:
        asked.append(condition.player)
        return (0.3 * np.sin(np.arange(SAMPLE_RATE // 2) * 2 * np.pi * 440 / SAMPLE_RATE)).astype(np.float32)

    monkeypatch.setattr(takes, "rendered", tone)
    write_score(a_score(1, np.random.default_rng(0)), tmp_path / "a.mid")
    pieces = [Song(tmp_path / "a.mid", "emopia", name, name, name, quadrant="Q1") for name in ("one", "two", "three")]
    hear = Hearer(tmp_path / "cache", _Loudness())
    kinds: tuple[Kind, ...] = ("trained", "unseen")
    assert read_takes(pieces, kinds, hear, minutes=0) == []
    some = read_takes(pieces[:1], kinds, hear)
    assert [take.kind for take in some] == list(kinds) and len(asked) == 2
    assert len(read_takes(pieces, kinds, hear, minutes=0)) == 2 and len(asked) == 2
    shares: list[float] = []
    again = read_takes(pieces, kinds, hear, n_renderings=2, progress=shares.append)
    assert len(again) == 12 and len(asked) == 12 and shares[-1] == 1
    assert again[0].features.steps.shape[0] == 1 and len({json.dumps(vars(take.condition)) for take in again}) == 12
    damaged = next(path for path in (tmp_path / "cache").iterdir() if path.name.endswith("-0.npz"))
    damaged.write_bytes(b"no archive")
    with pytest.raises(InputError, match="delete it"):
        read_takes(pieces, kinds, hear)


# ---------------------------------------------------------------------------------------------------------------- notes


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
def matrix() -> tuple[Matrix, list[Song], list[Song], dict[str, np.ndarray]]:
    """48 clips in 24 songs under trained and unseen conditions, whose sound tells the quadrant of two thirds."""
    rng = np.random.default_rng(0)
    scores = {f"clip{i}": a_score(i % 4 + 1, rng) for i in range(48)}
    clips = [
        Song(Path(name), "emopia", name, name, f"song{i // 4 // 2}{i % 4}", quadrant=f"Q{i % 4 + 1}")
        for i, name in enumerate(scores)
    ]
    pieces = [replace(one, quadrant="", valence=(-1, 1)[i % 4 in (0, 3)] * 0.5, arousal=(-1, 1)[i % 4 < 2] * 0.5)
              for i, one in enumerate(clips)]  # fmt: skip
    written = {name: hearings(score) for name, score in scores.items()}
    silent = Features(np.zeros((1, 1), np.float32), np.zeros((5, 76), np.float32))
    kinds: tuple[Kind, ...] = ("trained", "unseen")
    takes = [
        Take(one, kind, draw(one.song_id, kind), note_array(scores[one.song_id]), silent)
        for one in clips
        for kind in kinds
    ]
    told = np.array([np.eye(4)[i % 4 if i % 3 else (i + 1) % 4] for i in range(len(clips))]).repeat(2, axis=0)
    rows = {"embedding": (told @ rng.normal(size=(4, 6)) + rng.normal(0, 0.05, (len(takes), 6))).astype(np.float32)}
    rows |= {name: rng.normal(size=(len(takes), 3)).astype(np.float32) for name in ("timbre", "profile")}
    heard = np.stack([written[take.piece.song_id] for take in takes])
    return Matrix(tuple(takes), heard, rows), clips, pieces, written


@pytest.fixture(scope="module")
def fusion(matrix: tuple[Matrix, list[Song], list[Song], dict[str, np.ndarray]]) -> Fusion:
    labelled, clips, pieces, written = matrix
    rated = rated_of(labelled, pieces)
    told = odds_across_songs(labelled, clips, written), rated_across_pieces(rated, pieces, written)
    return fit((labelled, told[0]), (rated, told[1]), clips, pieces, written)


def rated_of(labelled: Matrix, pieces: list[Song]) -> Matrix:
    """The same takes, of pieces that listeners rated."""
    of = {piece.song_id: piece for piece in pieces}
    return replace(labelled, takes=tuple(replace(take, piece=of[take.piece.song_id]) for take in labelled.takes))


def test_notes_tell_the_emotion_and_sound_counts_as_far_as_it_is_right(fusion: Fusion) -> None:
    rng = np.random.default_rng(9)
    told = Told(np.full(4, 0.25), np.zeros(2), 0.5)
    for quadrant in (1, 2, 3, 4):
        mean, spread, p = fusion(a_score(quadrant, rng), told) or pytest.fail("no notes")
        assert p.argmax() == quadrant - 1 and p.sum() == pytest.approx(1)
        assert (mean[0] > 0) == (quadrant in (1, 4)) and (mean[1] > 0) == (quadrant < 3) and (spread > 0).all()
    assert fusion(from_notes(clip(1, rng)[:3]), told) is None
    assert fusion.expert.quadrants.arousal.points.shape[1] == len(feature_names()) - harmony_count()
    again, one = Fusion.load(fusion.tensors()), a_score(2, np.random.default_rng(1))
    for ours, theirs in zip(fusion(one, told) or (), again(one, told) or (), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_an_answer_is_less_sure_the_farther_the_sound_is_off(fusion: Fusion) -> None:
    one = a_score(2, np.random.default_rng(1))
    at = float(fusion.sure[1])
    near, far, farther = (
        (fusion(one, Told(np.full(4, 0.25), np.zeros(2), novelty)) or pytest.fail("no notes"))[2].max()
        for novelty in (at, 4 * at, 64 * at)
    )
    assert near > far > farther and 0.25 < farther < 0.5


def test_a_fusion_needs_all_of_its_arrays(fusion: Fusion) -> None:
    arrays = fusion.tensors()
    for name in ("expert.rater.mean", "sound.plane.bias", "share"):
        with pytest.raises(KeyError):
            Fusion.load({key: x for key, x in arrays.items() if key != name})
    damaged = {"sound.quadrants.weights": np.zeros((3, 4), np.float32), "familiar": np.zeros(2), "sure": np.zeros(2)}
    for name, value in damaged.items():
        with pytest.raises(ValueError, match=r"damaged|do not fit"):
            Fusion.load({**arrays, name: value})


def test_takes_are_judged_by_what_was_fitted_without_their_song(
    matrix: tuple[Matrix, list[Song], list[Song], dict[str, np.ndarray]],
) -> None:
    labelled, clips, pieces, written = matrix
    odds = odds_across_songs(labelled, clips, written)
    assert odds.notes.shape == (2, 96, 2) and odds.sound.shape == (2, 96, 2) and np.isfinite(odds.notes).all()
    labels = np.array([int(take.piece.quadrant[1]) - 1 for take in labelled.takes])
    judged = fused_across_songs(odds, labelled)
    right = {name: float((log_p.argmax(axis=1) == labels).mean()) for name, log_p in judged.items()}
    assert right["notes"] > 0.9 and right["sound"] == pytest.approx(2 / 3, abs=0.1) and right["fused"] > 0.9
    # A take whose label is changed is told the same by experts that did not learn from its song.
    first = labelled.takes[0].piece.group
    other = [replace(one, quadrant="Q3") if one.group == first else one for one in clips]
    moved_takes = tuple(replace(one, piece=other[clips.index(one.piece)]) for one in labelled.takes)
    moved = odds_across_songs(replace(labelled, takes=moved_takes), other, written)
    own = labelled.songs == first
    np.testing.assert_allclose(moved.notes[:, own], odds.notes[:, own])
    np.testing.assert_allclose(moved.sound[:, own], odds.sound[:, own])
    rated = rated_across_pieces(rated_of(labelled, pieces), pieces, written)
    assert np.abs(rated.notes - rated.true).mean() < 0.25 and rated.sound.told.shape == (96, 2)
    with pytest.raises(InputError, match="are needed"):
        matrix_of(labelled.takes[:5], clips, None)  # type: ignore[arg-type]


def test_a_head_tells_takes_of_songs_and_soundfonts_that_it_did_not_learn_from() -> None:
    rng = np.random.default_rng(0)
    songs, fonts = np.array([f"song{i // 4}" for i in range(80)]), np.arange(80) % 4
    wanted = rng.normal(size=(80, 2))
    embedding = np.concatenate([wanted, 4 * np.eye(4)[fonts]], axis=1) + rng.normal(0, 0.05, (80, 6))
    rows = {"embedding": embedding.astype(np.float32)}
    rows |= {name: rng.normal(size=(80, 3)).astype(np.float32) for name in ("timbre", "profile")}
    known, fold = np.arange(80) % 8 != 7, np.arange(80) // 4 % 5
    found = head_across(rows, wanted, songs, fonts, known, fold)
    assert np.corrcoef(found.told[:, 0], wanted[:, 0])[0, 1] > 0.9
    np.testing.assert_array_equal(found.told[~known], found.strange[~known])
    assert (found.strange_novelty[known] > found.novelty[known]).mean() > 0.9
    # What a take is told does not hang on its own target, nor on those under other than known conditions.
    moved = wanted.copy()
    moved[fold == 0], moved[~known] = 9.0, 9.0
    same = head_across(rows, moved, songs, fonts, known, fold)
    np.testing.assert_allclose(same.told[fold == 0], found.told[fold == 0])


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
