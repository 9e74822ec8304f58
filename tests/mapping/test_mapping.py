"""Claims about :mod:`muse.mapping.mapper` and how it is fitted."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from muse.attributes import LEVERS, SECTION_CONTROLS, SONG_CONTROLS, Attributes, attribute, extract
from muse.emotion import QUADRANTS, Emotion
from muse.errors import InputError
from muse.mapping import AttributeTarget, EmotionMapper, NotFittedError
from muse.mapping.explain import Explanation, shares
from muse.score import Score, from_notes, note_array
from muse.tokens.controls import Controls

WORDS = {name: attribute(name).wording for name in SONG_CONTROLS}
POINTS = {quadrant: Emotion.parse(quadrant) for quadrant in QUADRANTS}


@pytest.fixture(scope="module")
def shipped() -> EmotionMapper:
    """The mapper that comes with Muse."""
    return EmotionMapper.from_pretrained()


def _clusters(rng: np.random.Generator, n: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """Four attributes: one follows arousal, one valence, one both against each other, one nothing."""
    labels = np.repeat(QUADRANTS, n)
    v = np.array([POINTS[q].valence for q in labels])
    a = np.array([POINTS[q].arousal for q in labels])
    noise = rng.standard_normal((4, len(labels)))
    return np.column_stack([10 + 3 * a + noise[0], 5 * v + noise[1], v * a * 4 + noise[2], noise[3]]), labels


# ------------------------------------------------------------------------------------------------------------ estimator


def test_it_is_a_scikit_learn_estimator_to_the_letter() -> None:
    from sklearn.utils.estimator_checks import check_estimator

    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # it has the protocol without the base class, so that composing needs no sklearn
        results = check_estimator(EmotionMapper(n_trees=3), on_fail=None, on_skip=None)
    assert len(results) > 50
    assert [r["check_name"] for r in results if r["status"] == "failed"] == []
    skipped = [r["check_name"] for r in results if r["status"] == "skipped"]
    assert all("pandas" in name or "array" in name for name in skipped)  # optional packages


def test_it_clones_and_searches() -> None:
    from sklearn.base import clone, is_classifier
    from sklearn.model_selection import GridSearchCV

    X, y = _clusters(np.random.default_rng(0), 20)
    assert is_classifier(EmotionMapper())
    assert clone(EmotionMapper(spread=0.1)).spread == 0.1
    search = GridSearchCV(EmotionMapper(n_trees=3), {"shrinkage": [0.05, 0.5]}, cv=2).fit(X, y)
    assert search.best_score_ > 0.7
    with pytest.raises(ValueError, match="Invalid parameter 'spred'"):
        EmotionMapper().set_params(spred=1)


def test_planted_structure_is_found(rng: np.random.Generator) -> None:
    X, y = _clusters(rng)
    mapper = EmotionMapper(attribute_names=("dense", "major", "cross", "noise"), n_trees=50).fit(X, y)
    assert mapper.score(X, y) > 0.9
    assert mapper.importances_.argmin() == 3
    slopes = np.abs(mapper.slopes_)
    assert slopes[0].argmax() == 1  # arousal
    assert slopes[1].argmax() == 0  # valence
    assert slopes[2].argmax() == 2  # product
    assert slopes[3].max() < 0.3


def test_prototypes_are_real_windows_of_their_class(rng: np.random.Generator) -> None:
    X, y = _clusters(rng)
    mapper = EmotionMapper(n_trees=5).fit(X, y)
    levels = mapper.levels(X)
    for k, label in enumerate(mapper.classes_):
        own = levels[y == label]
        assert np.isclose(own, mapper.prototypes_[k]).all(axis=1).any()
        distance = ((own - mapper.centers_[k]) ** 2).sum(axis=1)
        assert np.isclose(((mapper.prototypes_[k] - mapper.centers_[k]) ** 2).sum(), distance.min())


def test_labels_and_points_of_the_plane_teach_the_same(rng: np.random.Generator) -> None:
    X, y = _clusters(rng)
    plane = np.array([(POINTS[q].valence, POINTS[q].arousal) for q in y])
    by_label, by_point = EmotionMapper(n_trees=5).fit(X, y), EmotionMapper(n_trees=5).fit(X, plane)
    assert np.allclose(by_label.slopes_, by_point.slopes_)
    assert (by_label.predict(X) == by_point.predict(X)).all()


def test_rank_matching_makes_the_scale_of_a_domain_irrelevant(rng: np.random.Generator) -> None:
    """A transcriber that halves all velocities teaches the same; without rank matching it does not."""
    X, y = _clusters(rng)
    corpus = np.column_stack([rng.normal(80, 10, 500), *rng.normal(0, 3, (3, 500))])
    names = ("loud", "b", "c", "d")
    squeezed = X.copy()
    squeezed[:, 0] = 2 + X[:, 0] / 9
    by_rank = [
        EmotionMapper(attribute_names=names, rank_matched=("loud",), n_trees=5).fit(data, y, corpus=corpus)
        for data in (X, squeezed)
    ]
    assert by_rank[0].target("Q1")["loud"] == pytest.approx(by_rank[1].target("Q1")["loud"])
    assert by_rank[0].target("Q1")["loud"] > 85 > 75 > by_rank[0].target("Q4")["loud"]
    by_value = EmotionMapper(attribute_names=names, n_trees=5).fit(X, y, corpus=corpus)
    assert by_value.target("Q1")["loud"] < 75  # all that music is softer than the corpus


def test_domains_have_their_own_middle(rng: np.random.Generator) -> None:
    X, y = _clusters(rng)
    shifted = X + 100
    both = EmotionMapper(n_trees=5).fit(
        np.concatenate([X, shifted]), np.concatenate([y, y]), domain=["a"] * len(X) + ["b"] * len(X)
    )
    assert np.sign(both.slopes_[0, 1]) == 1
    assert both.domain_offsets_[1, 0] > 0.5


def test_undefined_values_are_left_out_of_what_is_learnt(rng: np.random.Generator) -> None:
    X, y = _clusters(rng)
    holes = X.copy()
    holes[::2, 1] = np.nan
    full, some = EmotionMapper(n_trees=5).fit(X, y), EmotionMapper(n_trees=5).fit(holes, y)
    assert np.allclose(full.slopes_[1], some.slopes_[1], atol=0.15)
    assert np.isfinite(some.predict_proba(holes)).all()


@pytest.mark.parametrize("bad", [np.array([[2.0, 0.0]] * 4), np.array([[np.nan, 0.0]] * 4)])
def test_points_outside_the_plane_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"out of range|NaN"):
        EmotionMapper().fit(np.eye(4), bad)


def test_unfitted_and_foreign_classes() -> None:
    with pytest.raises(NotFittedError, match=r"EmotionMapper\.from_pretrained"):
        EmotionMapper().target("sad")
    mapper = EmotionMapper(n_trees=3).fit(np.eye(4), ["a", "a", "b", "b"])
    with pytest.raises(InputError, match="have no place in the plane"):
        mapper.target("sad")


# ------------------------------------------------------------------------------------------------------- shipped table


def test_levers_are_in_every_target(shipped: EmotionMapper) -> None:
    for emotion in (*QUADRANTS, "nostalgic", (0.0, 0.0), (1.0, -1.0)):
        assert set(LEVERS) <= set(shipped.target(emotion).names) <= set(SONG_CONTROLS)


def test_levers_separate_the_quadrants(shipped: EmotionMapper) -> None:
    edges = dict(zip(SONG_CONTROLS, Controls.load().song.tolist(), strict=True))
    q1, q2, q3, q4 = (shipped.target(quadrant, edges=edges).buckets() for quadrant in QUADRANTS)
    for name in ("Mean Dynamics", "Note Density", "Pitch Variability"):
        assert min(q1[name], q2[name]) >= max(q3[name], q4[name]) + 2, name
    for name in ("Mode Clarity", "Key Strength"):
        assert min(q1[name], q4[name]) >= max(q2[name], q3[name]) + 3, name
    assert max(q1["Articulation"], q2["Articulation"]) <= min(q3["Articulation"], q4["Articulation"])
    assert min(q1["Mean Tempo"], q2["Mean Tempo"]) >= max(q3["Mean Tempo"], q4["Mean Tempo"]) + 2
    # Sad against calm, the weakest contrast: mode, key, register, and more that go with them.
    assert sum(abs(q3[name] - q4[name]) >= 2 for name in q3) >= 6
    for q in (q1, q4):
        assert q["Mode Clarity"] >= 6
    assert shipped.target("sad")["Mode Clarity"] < 0 < shipped.target("calm")["Mode Clarity"]


def test_targets_lie_where_the_corpus_has_music(shipped: EmotionMapper) -> None:
    inverse = np.linalg.inv(shipped.corpus_correlation_)
    for valence in np.linspace(-1, 1, 5):
        for arousal in np.linspace(-1, 1, 5):
            levels = shipped.levels_at(Emotion(valence, arousal))
            assert np.abs(levels).max() <= 1.645 + 1e-9
            assert np.sqrt(levels @ inverse @ levels) <= shipped.reach_ + 1e-9


@pytest.mark.parametrize(
    ("name", "axis", "sign"),
    [
        ("Mode Clarity", 0, 1),
        ("Key Strength", 0, 1),
        ("Note Density", 1, 1),
        ("Mean Dynamics", 1, 1),
        ("Mean Tempo", 1, 1),
        ("Average Note Duration", 1, -1),
    ],
)
def test_levers_are_monotone_over_the_plane(shipped: EmotionMapper, name: str, axis: int, sign: int) -> None:
    steps = np.linspace(-1, 1, 9)
    for fixed in (-0.6, 0.0, 0.6):
        points = [(s, fixed) if axis == 0 else (fixed, s) for s in steps]
        values = sign * np.array([shipped.target(point)[name] for point in points])
        assert (np.diff(values) >= -1e-9).all()
        assert values[-1] > values[0]


def test_targets_are_smooth(shipped: EmotionMapper) -> None:
    path = [shipped.levels_at(Emotion(v, 0.4)) for v in np.linspace(-1, 1, 201)]
    assert np.abs(np.diff(path, axis=0)).max() < 0.25


def test_intensity_goes_from_the_centers_outwards(shipped: EmotionMapper) -> None:
    weak, strong = (shipped.levels_at("angry", (size, size)) for size in (1.0, 2.0))
    assert np.linalg.norm(strong - shipped.neutral_) > np.linalg.norm(weak - shipped.neutral_)
    told = shipped.in_domain_
    k = shipped.classes_.tolist().index("Q2")
    assert np.abs(weak - shipped.centers_[k])[told].mean() < 0.2  # the continuous form meets the categorical one


def test_variation_is_the_generators_and_keeps_the_emotion(shipped: EmotionMapper) -> None:
    draws = [shipped.target("sad", np.random.default_rng(seed)) for seed in (0, 0, *range(1, 30))]
    assert draws[0] == draws[1] != draws[2]
    assert len({target.bucket for target in draws}) > 20
    assert all(target["Mode Clarity"] < 0 for target in draws)
    assert shipped.target("sad") == shipped.target("Q3") == shipped.target("sad", np.random.default_rng(5), spread=0)


def test_buckets_follow_the_edges_that_are_given(shipped: EmotionMapper) -> None:
    edges = {"Mean Pitch": [50, 55, 60, 62, 64, 66, 70], "Note Density": [1, 2, 3, 4, 5, 6, 7]}
    target = shipped.target("sad", edges=edges)
    assert set(target.names) == set(edges)
    for name, value, low, high, bucket in zip(
        target.names, target.value, target.low, target.high, target.bucket, strict=True
    ):
        assert bucket == sum(value >= edge for edge in edges[name])
        assert low <= value <= high


def test_sections_follow_the_path(shipped: EmotionMapper) -> None:
    edges = dict(zip(SECTION_CONTROLS, Controls.load().section.tolist(), strict=True))
    sections = shipped.section_targets("calm>angry", 16, np.random.default_rng(3), edges=edges)
    assert len(sections) == 4
    assert all(set(section.names) <= set(SECTION_CONTROLS) for section in sections)
    density = [section["Note Density"] for section in sections]
    assert density == sorted(density)
    assert density[-1] > 2 * density[0]
    assert len(shipped.section_targets("calm>angry", 17)) == 5


def test_a_constant_path_asks_every_section_for_the_same_as_the_song(shipped: EmotionMapper) -> None:
    song = shipped.target("sad", np.random.default_rng(7))
    sections = shipped.section_targets("sad", 8, np.random.default_rng(7))
    assert sections == [song, song]


def test_reading_backwards_finds_what_was_written_forwards(shipped: EmotionMapper) -> None:
    for quadrant in QUADRANTS:
        told = shipped.describe(shipped.target(quadrant).values())
        assert told["quadrant"] == quadrant
        assert Emotion(told["valence"], told["arousal"]).quadrant == quadrant
        assert sum(told["probabilities"].values()) == pytest.approx(1, abs=1e-3)


def test_performances_are_read_on_their_own_scale(shipped: EmotionMapper) -> None:
    """A transcription of middling loudness and length is neutral; on the scale of scores it would be soft and long."""
    names = shipped.attribute_names or ()
    middle = shipped.domain_quantiles_.shape[1] // 2
    performance = dict(zip(names, shipped.domain_quantiles_[:, middle].tolist(), strict=True))
    score = dict(zip(names, shipped.quantiles_[:, middle].tolist(), strict=True))
    assert "performances" in {row.compared_with for row in shipped.explain(performance).contributions}
    assert {row.compared_with for row in shipped.explain(score).contributions} == {"corpus"}
    assert abs(shipped.describe(performance)["arousal"]) < 0.4


def test_target_selects_and_serializes(shipped: EmotionMapper) -> None:
    target = shipped.target("happy")
    part = target.select(["Mean Pitch", "Nothing"])
    assert part.names == ("Mean Pitch",)
    assert part["Mean Pitch"] == target["Mean Pitch"]
    with pytest.raises(KeyError):
        part["Mean Tempo"]
    document = json.loads(json.dumps(target.to_dict(), allow_nan=False))
    assert set(document["Mean Tempo"]) == {"value", "low", "high", "bucket", "weight"}
    assert max(target.weight) == 1
    assert isinstance(target, AttributeTarget)


def test_round_trip_through_files(shipped: EmotionMapper, tmp_path: Path) -> None:
    shipped.save(tmp_path)
    again = EmotionMapper.from_pretrained(tmp_path)
    assert again.target("sad", np.random.default_rng(1)) == shipped.target("sad", np.random.default_rng(1))
    again.save(tmp_path / "again")
    for name in ("mapping.json", "mapping.csv", "mapping_within.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / name).read_bytes()


def test_a_missing_or_broken_table_says_what_to_do(shipped: EmotionMapper, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="muse train mapping"):
        EmotionMapper.from_pretrained(tmp_path)
    shipped.save(tmp_path)
    (tmp_path / "mapping.csv").write_text("attribute,chosen\nx,maybe\n")
    with pytest.raises(InputError, match="holds no fitted emotion mapping"):
        EmotionMapper.from_pretrained(tmp_path)


def zeros(text: str) -> str:
    head, *rows = text.splitlines()
    return "\n".join([head, *(f"{row.partition(',')[0]}{',0' * row.count(',')}" for row in rows)])


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("mapping.json", lambda text: "[]"),
        ("mapping.json", lambda text: text.replace('"reach": ', '"reach": "far" , "was": ')),
        ("mapping.json", lambda text: text.replace('"classes": [', '"classes": 4, "was": [')),
        ("mapping.json", lambda text: text.replace('"intensity": [', '"intensity": 1, "was": [')),
        ("mapping.json", lambda text: text.replace('"spread"', '"sprad"')),
        ("mapping.json", lambda text: text.replace('"spread": 0.5', '"spread": "wide"')),
        ("mapping.csv", lambda text: text.replace("slope_product", "slope")),
        ("mapping.csv", lambda text: text.replace("Mean Tempo,1", "Mean Tempo,nan")),
        ("mapping.csv", lambda text: text.replace("Mean Tempo,1", f"Mean Tempo,1{chr(0) * 300}")),
        ("mapping.csv", lambda text: text.replace("Mean Tempo,1", f"Mean Tempo,{'1' * 150_000}")),
        ("mapping.csv", lambda text: text.replace("Mean Tempo,1", "Mean Tempo")),
        ("mapping.csv", lambda text: ""),
        ("mapping_within.csv", zeros),
        ("mapping_corpus_correlation.csv", lambda text: text.rpartition("Tonal Centroid Motion")[0]),
    ],
)
def test_tables_that_make_no_sense_are_refused_in_one_line(
    shipped: EmotionMapper, tmp_path: Path, name: str, broken: Callable[[str], str]
) -> None:
    shipped.save(tmp_path)
    path = tmp_path / name
    text = path.read_text(encoding="utf-8")
    assert broken(text) != text
    path.write_text(broken(text), encoding="utf-8")
    with pytest.raises(InputError, match="holds no fitted emotion mapping") as caught:
        EmotionMapper.from_pretrained(tmp_path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_target_needs_neither_scikit_learn_nor_torch() -> None:
    code = (
        "import sys; from muse.mapping import EmotionMapper; EmotionMapper.from_pretrained().target('sad'); "
        "print([m for m in ('sklearn', 'torch', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_controls_of_the_table_are_those_of_the_generator(shipped: EmotionMapper) -> None:
    from muse.tokens import SONG_CONTROLS as CONTROLS

    assert tuple(shipped.attribute_names or ()) == CONTROLS == SONG_CONTROLS


# -------------------------------------------------------------------------------------------------------- explanations


def _random_attributes(mapper: EmotionMapper, rng: np.random.Generator, n_windows: int, holes: float) -> Attributes:
    """Values anywhere in the corpus or the first domain and a little beyond; a share of them undefined."""
    quantiles = mapper.quantiles_ if rng.random() < 0.5 else mapper.domain_quantiles_
    low, high = quantiles[:, 0], quantiles[:, -1]
    values = low + (high - low) * rng.uniform(-0.1, 1.1, (n_windows, len(low)))
    values[rng.random(values.shape) < holes] = np.nan
    return Attributes(values.astype(np.float32), tuple(mapper.attribute_names or ()), np.arange(n_windows))


def _piece(mapper: EmotionMapper, **levels: float) -> dict[str, float]:
    """Values of a piece that is the corpus' median in everything but what is given as a level from -2 to 2."""
    at = dict.fromkeys(mapper.attribute_names or (), 0.0) | {n.replace("_", " "): z for n, z in levels.items()}
    grid = np.round(np.arange(-2.4, 2.401, 0.15), 2)
    return {n: float(np.interp(at[n], grid, q)) for n, q in zip(at, mapper.quantiles_, strict=True)}


def _assert_sums(explanation: Explanation) -> None:
    document = json.loads(json.dumps(explanation.to_json(), allow_nan=False))
    for axis in ("valence", "arousal"):
        total = sum(row["contribution"][axis] for row in document["explanation"])
        score = document["score"]
        assert score["baseline"][axis] + total == pytest.approx(score[axis], abs=1e-9)


@pytest.mark.parametrize("n_windows", [1, 5])
@pytest.mark.parametrize("holes", [0.0, 0.3, 0.9, 1.0])
def test_contributions_add_up_to_the_score(
    shipped: EmotionMapper, rng: np.random.Generator, n_windows: int, holes: float
) -> None:
    for _ in range(10):
        attributes = _random_attributes(shipped, rng, n_windows, holes)
        explanation = shipped.explain(attributes)
        _assert_sums(explanation)
        assert {row.attribute for row in explanation.contributions} == set(shipped.attribute_names or ())
        undefined = {name for name in attributes if np.isnan(attributes[name]).all()}
        for row in explanation.contributions:
            if row.attribute in undefined:
                assert row.by_axis == (0, 0)
                assert row.to_json()["value"] is row.to_json()["percentile"] is None
        if n_windows > 1:
            parts = [shipped.explain(attributes, window) for window in range(n_windows)]
            if all(part.between == explanation.between for part in parts):
                assert np.allclose(np.mean([part.score for part in parts], axis=0), explanation.score)


def test_the_score_is_of_the_emotion_that_is_reported(shipped: EmotionMapper, rng: np.random.Generator) -> None:
    """Log-odds of the recognized quadrant and its neighbors; the sign is the side of the axis."""
    seen = set()
    for _ in range(40):
        attributes = _random_attributes(shipped, rng, 1, 0.1)
        explanation, told = shipped.explain(attributes), shipped.describe(attributes)
        assert explanation.quadrant == told["quadrant"]
        assert explanation.emotion.valence == pytest.approx(told["valence"], abs=1e-4)
        for (high, low), score in zip(explanation.between, explanation.score, strict=True):
            odds = explanation.probabilities[high] / explanation.probabilities[low]
            assert score == pytest.approx(np.log(odds), abs=1e-6)
            assert told["quadrant"] == (high if score > 0 else low)
            assert POINTS[high].valence > POINTS[low].valence + 1 or POINTS[high].arousal > POINTS[low].arousal + 1
        seen.add(explanation.quadrant)
    assert len(seen) >= 3


def test_the_middle_of_the_corpus_is_the_baseline(shipped: EmotionMapper) -> None:
    explanation = shipped.explain(_piece(shipped))
    assert explanation.score == pytest.approx(explanation.baseline, abs=0.2)
    assert max(abs(part) for row in explanation.contributions for part in row.by_axis) < 0.1
    assert all(row.percentile == pytest.approx(0.5, abs=0.05) for row in explanation.contributions)
    assert "no attribute speaks clearly for it" in explanation.sentence()


def test_a_fast_loud_major_piece_is_explained_by_tempo_loudness_and_mode(shipped: EmotionMapper) -> None:
    piece = _piece(shipped, Mean_Tempo=1.6, Mean_Dynamics=1.6, Mode_Clarity=1.6)
    explanation = shipped.explain(piece)
    assert explanation.quadrant == "Q1"
    assert {row.attribute for row in explanation.contributions[:3]} == {"Mean Tempo", "Mean Dynamics", "Mode Clarity"}
    rows = {row.attribute: row for row in explanation.contributions}
    assert rows["Mode Clarity"].valence > 1
    assert rows["Mean Tempo"].arousal > 0.5
    assert rows["Mean Tempo"].value == piece["Mean Tempo"]
    assert rows["Mean Tempo"].unit == "bpm"
    assert rows["Mean Tempo"].percentile == pytest.approx(0.945, abs=0.02)
    assert rows["Mean Tempo"].corpus_median == pytest.approx(82, abs=1)
    sentence = explanation.sentence()
    assert sentence.startswith("Sounds happy (valence +0.")
    assert "happy rather than angry mostly because it is in major" in sentence
    assert f"velocity {piece['Mean Dynamics']:.0f}, more so than 9" in sentence


def test_a_sad_piece_is_explained_by_what_is_sad_and_not_by_what_is_not(shipped: EmotionMapper) -> None:
    piece = _piece(shipped, Note_Density=-1.5, Mean_Dynamics=-1.5, Mode_Clarity=-1.5, Range=1.5)
    sentence = shipped.explain(piece).sentence()
    for_it, against_it = sentence.split("Against it speaks that")
    assert "sad rather than calm mostly because it is in minor" in for_it
    assert "sad rather than angry mostly because it is quiet" in for_it
    assert "sparse" in for_it
    assert "wide range" in against_it


def test_nothing_typical_is_named(shipped: EmotionMapper, rng: np.random.Generator) -> None:
    """Decorrelated, an attribute near the middle may weigh; but to call it low or high would be wrong."""
    names = [name for name in shipped.attribute_names or () if name != "Range"]
    for _ in range(30):
        typical = dict(zip(names, rng.uniform(-0.2, 0.2, len(names)), strict=True))
        wide = shipped.explain(_piece(shipped, **typical, Range=1.6))
        named = [phrase for words in WORDS.values() for phrase in words[1:3] if phrase[3:] in wide.sentence()]
        assert set(named) <= {"has a wide range"}
        assert max(abs(part) for row in wide.contributions if row.attribute != "Range" for part in row.by_axis) > 0.1


def test_every_attribute_of_the_mapping_has_its_words(shipped: EmotionMapper) -> None:
    assert tuple(WORDS) == shipped.attribute_names
    assert all(WORDS.values())
    phrases = [phrase for wording in WORDS.values() for phrase in (wording.low, wording.high)]
    assert len(set(phrases)) == len(phrases)
    for wording in WORDS.values():
        assert wording.value.format(12.5) != "12.5"  # a number without its unit says nothing


def test_performances_are_compared_with_performances(shipped: EmotionMapper) -> None:
    names, middle = shipped.attribute_names or (), shipped.domain_quantiles_.shape[1] // 2
    performance = dict(zip(names, shipped.domain_quantiles_[:, middle].tolist(), strict=True)) | {"Mean Tempo": 120.0}
    rows = {row.attribute: row for row in shipped.explain(performance).contributions}
    assert rows["Mean Dynamics"].compared_with == "performances"
    assert rows["Mean Dynamics"].percentile == pytest.approx(0.5, abs=0.01)
    assert rows["Mode Clarity"].compared_with == "corpus"
    tempo = rows["Mean Tempo"].to_json()
    assert tempo["value"] == 120  # measured, but a performance without beats is not judged by it
    assert tempo["percentile"] is tempo["corpus_median"] is None
    assert tempo["contribution"] == {"valence": 0, "arousal": 0}


def test_shares_are_plain_summands_where_nothing_is_correlated(rng: np.random.Generator) -> None:
    levels, contrast, variance = rng.normal(size=(3, 5)), rng.normal(size=5), rng.uniform(0.5, 2, 5)
    assert np.allclose(shares(levels, contrast, np.diag(variance)), levels * contrast / variance)


def test_shares_keep_the_side_of_correlated_attributes() -> None:
    """Two attributes that say nearly the same: the plain summand of the weaker one turns against its own nature."""
    within = np.array([[1.0, 0.9], [0.9, 1.0]])
    contrast, levels = np.array([1.0, 0.7]), np.array([[1.0, 1.0], [1.0, np.nan]])
    plain = levels[0] * np.linalg.solve(within, contrast)
    shared = shares(levels, contrast, within)
    assert plain[1] < 0 < shared[0, 1] < shared[0, 0]
    assert shared[0].sum() == pytest.approx(plain.sum())
    assert shared[1] == pytest.approx([plain[0], 0.0])  # alone, there is nothing to share with


def test_contributions_of_real_correlations_keep_the_side_of_their_attributes(
    shipped: EmotionMapper, rng: np.random.Generator
) -> None:
    """Of levels as they come together in the corpus, the five weightiest agree with the class difference."""
    root = np.linalg.cholesky(shipped.corpus_correlation_)
    grid = np.round(np.arange(-2.4, 2.401, 0.15), 2)
    agree = []
    for _ in range(40):
        levels = root @ rng.standard_normal(shipped.n_features_in_)
        values = [np.interp(z, grid, q) for z, q in zip(levels, shipped.quantiles_, strict=True)]
        rows = shipped.explain(dict(zip(shipped.attribute_names or (), values, strict=True))).contributions
        for axis in (0, 1):
            top = sorted(rows, key=lambda row: -abs(row.by_axis[axis]))[:5]
            agree += [row.by_axis[axis] * row.alone[axis] > 0 for row in top]
    assert np.mean(agree) > 0.95


def test_a_chart_shows_all_of_the_score(shipped: EmotionMapper, rng: np.random.Generator) -> None:
    explanation = shipped.explain(_random_attributes(shipped, rng, 1, 0.5))
    for n in (3, 12, 99):
        labels, columns = explanation.bars(n)
        assert len(columns) == 2
        for column, score in zip(columns.values(), explanation.score, strict=True):
            assert len(column) == len(labels)
            assert sum(column[:-1]) == pytest.approx(column[-1])
            assert column[-1] == score


def test_explaining_needs_all_quadrants_and_any_names_will_do(rng: np.random.Generator) -> None:
    X, y = _clusters(rng)
    names = ("dense", "major", "cross", "noise")
    with pytest.raises(NotFittedError):
        EmotionMapper().explain({})
    half = EmotionMapper(attribute_names=names, n_trees=3).fit(X[:200], y[:200])
    with pytest.raises(InputError, match="only Q1, Q2"):
        half.explain({"dense": 1.0})
    whole = EmotionMapper(attribute_names=names, n_trees=3).fit(X, y)
    explanation = whole.explain({"dense": 14.0, "major": 5.0})
    _assert_sums(explanation)
    assert explanation.quadrant == "Q1"
    assert "because it is high in major (5, more so than 9" in explanation.sentence()


def test_one_velocity_throughout_says_nothing_of_loudness(song: Score) -> None:
    """A notation program writes 64 or 100 everywhere; the emotion may not hang on which."""
    mapper = EmotionMapper.from_pretrained()
    found = []
    for velocity in (40, 110):
        notes = note_array(song)
        notes["velocity"] = velocity
        found.append(mapper.describe(extract(from_notes(notes, tempo_bpm=96))))
    assert found[0] == found[1]
    notes = note_array(song)
    louder = notes.copy()
    louder["velocity"] = np.minimum(notes["velocity"] + 25, 127)
    quiet, loud = (mapper.describe(extract(from_notes(n, tempo_bpm=96))) for n in (notes, louder))
    assert loud["arousal"] > quiet["arousal"]
