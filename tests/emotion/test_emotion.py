"""Claims about :mod:`muse.emotion`."""

from __future__ import annotations

import dataclasses
import json
import math
import pickle

import pytest

from muse.emotion import QUADRANTS, Emotion, EmotionPath, emotion_words
from muse.errors import InputError

XMIDI = ["exciting", "warm", "happy", "romantic", "funny", "sad", "angry", "lazy", "quiet", "fear", "magnificent"]
GEMS = (
    *("wonder", "transcendence", "tenderness", "nostalgia", "peacefulness", "power", "joyful activation"),
    *("tension", "sadness"),
)
RUSSELL = [
    "happy",
    "delighted",
    "excited",
    "astonished",
    "aroused",
    "tense",
    "alarmed",
    "angry",
    "afraid",
    "annoyed",
    "distressed",
    "frustrated",
    "miserable",
    "sad",
    "gloomy",
    "depressed",
    "bored",
    "droopy",
    "tired",
    "sleepy",
    "calm",
    "relaxed",
    "satisfied",
    "content",
    "serene",
    "glad",
    "pleased",
]


def test_table_is_large_enough_and_every_row_says_where_it_is_from() -> None:
    words = emotion_words()
    assert len(words) >= 200
    assert {row.source for row in words.values()} <= {"quadrant", "russell", "own", "glasgow"}
    assert all(row.note and row.sets for row in words.values())


@pytest.mark.parametrize(("name", "members"), [("xmidi", XMIDI), ("gems", GEMS), ("russell", [*RUSSELL, "at ease"])])
def test_vocabularies_are_whole(name: str, members: list[str]) -> None:
    assert {row.word for row in emotion_words().values() if name in row.sets} == set(members)


def test_parrott_has_its_three_levels() -> None:
    parrott = {row.word for row in emotion_words().values() if "parrott" in row.sets}
    assert len(parrott) > 120
    assert parrott >= {"love", "joy", "surprise", "anger", "sadness", "fear"}
    assert parrott >= {"affection", "zest", "exasperation", "suffering", "nervousness", "enthrallment"}
    assert parrott >= {"infatuation", "exhilaration", "vengefulness", "homesickness", "mortification", "grumpiness"}


@pytest.mark.parametrize(
    ("quadrant", "words"),
    [
        ("Q1", "happy joyful triumphant epic exciting playful energetic magnificent funny uplifting"),
        ("Q2", "angry tense furious aggressive menacing anxious fear terror stormy hatred"),
        ("Q3", "sad melancholic gloomy mournful lonely depressed grief sorrow bleak bittersweet"),
        ("Q4", "calm peaceful relaxed serene tender dreamy quiet gentle romantic warm"),
    ],
)
def test_words_lie_in_the_quadrant_that_listeners_mean(quadrant: str, words: str) -> None:
    assert {word: Emotion.parse(word).quadrant for word in words.split()} == dict.fromkeys(words.split(), quadrant)


def test_quadrants_follow_the_signs_and_axes_count_as_positive() -> None:
    points = {"Q1": (0.5, 0.5), "Q2": (-0.5, 0.5), "Q3": (-0.5, -0.5), "Q4": (0.5, -0.5)}
    for quadrant in QUADRANTS:
        assert Emotion(*points[quadrant]).quadrant == quadrant == Emotion.parse(quadrant.lower()).quadrant
    assert Emotion(0, 0).quadrant == "Q1"
    assert Emotion(0, -1).quadrant == "Q4"


@pytest.mark.parametrize(
    "form",
    [
        "(-.6,-.4)",
        "-0.6,-0.4",
        " [ -0.6 ; -0.4 ] ",
        (-0.6, -0.4),
        [-0.6, -0.4],
        {"valence": -0.6, "arousal": -0.4},
        Emotion(-0.6, -0.4),
    ],
)
def test_all_forms_of_a_point_are_one(form: object) -> None:
    assert Emotion.parse(form) == Emotion(-0.6, -0.4)  # type: ignore[arg-type]


@pytest.mark.parametrize("word", ["HAPPY", " happy ", "Joyful_Activation", "laid back", "LAID-BACK", "q2"])
def test_case_and_separators_do_not_matter(word: str) -> None:
    assert isinstance(Emotion.parse(word), Emotion)


def test_unknown_word_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"did you mean .*melancholic"):
        Emotion.parse("melancolic")
    with pytest.raises(InputError, match="for example happy, angry, sad, calm"):
        Emotion.parse("xyzzy")


@pytest.mark.parametrize("bad", ["nan,0", "0,inf", (math.nan, 0), (0, 1.01), "-2,0", ("a", 0), (True, 0)])
def test_bad_coordinates_are_refused(bad: object) -> None:
    with pytest.raises(InputError, match=r"finite|out of range|not a number"):
        Emotion.parse(bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [None, 3, (1, 2, 3), {"valence": 0}, object()])
def test_other_things_are_refused(bad: object) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        Emotion.parse(bad)  # type: ignore[arg-type]


def test_value_on_another_scale_gets_a_hint() -> None:
    with pytest.raises(InputError, match=r"if its scale is 1\.\.9"):
        Emotion(7, 3)


def test_every_word_survives_a_round_trip() -> None:
    for word, row in emotion_words().items():
        assert Emotion.parse(word) == row.emotion == Emotion.parse(json.loads(json.dumps(row.emotion.to_dict())))


def test_arc_holds_its_ends_and_meets_its_middle() -> None:
    path = EmotionPath.parse("calm>tense>triumphant")
    assert path.at(0) == path.at(1 / 6) == Emotion.parse("calm")
    assert path.at(0.5) == Emotion.parse("tense")
    assert path.at(1) == path.at(7) == Emotion.parse("triumphant")
    assert not path.is_constant


def test_path_is_linear_between_its_points() -> None:
    path = EmotionPath.parse("-1,-1@0 > 1,0@1")
    assert path.at(0.25) == Emotion(-0.5, -0.75)
    assert path.at_bar(0, 2) == Emotion(-0.5, -0.75)
    assert path.mean == Emotion(0, -0.5)


def test_mean_weighs_by_time() -> None:
    # 0 up to a half, then a straight way to 1: the integral is 1/4.
    assert EmotionPath.parse("0,0@0.5 > 1,1@1").mean == Emotion(0.25, 0.25)


def test_constant_path() -> None:
    path = EmotionPath.parse("sad")
    assert path.is_constant
    assert path.mean == path.at(0) == path.at_bar(3, 4) == Emotion.parse("sad")
    assert EmotionPath.parse((0.1, 0.2)).emotions == (Emotion(0.1, 0.2),)


def test_path_round_trip_through_json() -> None:
    path = EmotionPath.parse(["calm", (0.2, 0.9), "Q3"])
    assert EmotionPath.parse(json.loads(json.dumps(path.to_dict()))) == path
    assert EmotionPath.parse(path) is path


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("calm>>sad", "empty place"),
        ("calm>sadd", "did you mean"),
        ("calm@0>sad", "places 1 of 2"),
        ("calm@0.5>sad@0.5", "must rise"),
        ("calm@0>sad@16", "not bars"),
        ([], "cannot be read"),
        ({"positions": 3, "emotions": ["sad"]}, "must be lists"),
        ({"positions": [0, 1], "emotions": ["sad"]}, "one position per emotion"),
        ((10**400, 0), "not a number"),
        (None, "cannot be read"),
    ],
)
def test_bad_paths_say_why(bad: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        EmotionPath.parse(bad)  # type: ignore[arg-type]


def test_bar_outside_the_piece_is_refused() -> None:
    with pytest.raises(InputError, match="bars count from 0"):
        EmotionPath.parse("sad").at_bar(4, 4)


def test_one_argument_is_read_as_parse_reads_it() -> None:
    assert Emotion("sad") == Emotion.parse("sad")
    assert Emotion("-.6,-.4") == Emotion((-0.6, -0.4)) == Emotion(Emotion(-0.6, -0.4)) == Emotion(-0.6, -0.4)
    with pytest.raises(InputError, match=r"did you mean melancholic"):
        Emotion("melancolic")
    with pytest.raises(InputError, match="cannot be read"):
        Emotion(0.5)
    assert pickle.loads(pickle.dumps(Emotion("sad"))) == Emotion("sad")
    assert dataclasses.replace(Emotion(0, 0), valence=1) == Emotion(1, 0)
