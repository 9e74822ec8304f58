"""Metrics against small cases worked out by hand, and emotion control of a composer of known behavior."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from kit import Musician, Piece, judged_corpora

from muse.errors import InputError
from muse.evaluate import (
    check_generations,
    check_piece,
    control_correlations,
)
from muse.evaluate.control import Steps, _controls_alone, default_intents, measure_control
from muse.evaluate.metrics.pieces import distinct_phrases, phrases, shared_phrases, spearman, spread_ratio
from muse.intent import Intent
from muse.score import DRUMS, NOTE_DTYPE, Score, from_notes
from muse.statistics import bootstrap
from muse.tokens import SONG_CONTROLS


def score(rows: list[tuple[float, float]], *, program: int = 0, meter: tuple[int, int] = (4, 4)) -> Score:
    """Notes of pitch 60 at (onset, duration) in beats."""
    notes = np.zeros(len(rows), NOTE_DTYPE)
    notes["onset_beat"], notes["duration_beat"] = np.array(rows).T
    notes["pitch"], notes["velocity"], notes["program"] = 60, 64, program
    return from_notes(notes, time_signature=meter)


def whole(n_bars: int, beats: float = 4.0) -> list[tuple[float, float]]:
    return [(beats * bar, beats) for bar in range(n_bars)]


def test_a_piece_as_ordered_has_no_fault() -> None:
    check = check_piece(score(whole(4)), Intent(bars=4))
    assert check.faults == ()
    assert (check.bars, check.n_notes, check.n_silent_bars, check.n_beyond_end) == (4, 4, 0, 0)
    assert check_piece(score(whole(4, 3.0), meter=(3, 4)), Intent(bars=4, time_signature="3/4")).faults == ()


@pytest.mark.parametrize(
    ("rows", "options", "fault"),
    [
        (whole(3), {}, "bars"),
        (whole(5), {}, "end"),
        ([*whole(3), (12, 4.5)], {}, "end"),
        (whole(4), {"program": 40}, "instruments"),
        (whole(4), {"program": DRUMS}, "instruments"),
        ([(0, 4), (4, 4), (12, 4)], {}, "silence"),
        (whole(4), {"meter": (3, 4)}, "meter"),
    ],
)
def test_each_broken_promise_is_found(rows: list[tuple[float, float]], options: dict[str, Any], fault: str) -> None:
    assert fault in check_piece(score(rows, **options), Intent(bars=4)).faults


def test_one_silent_bar_in_ten_is_allowed_and_a_held_note_is_not_silence() -> None:
    order = Intent(bars=10)
    assert check_piece(score([r for r in whole(10) if r[0] != 8]), order).faults == ()
    two = check_piece(score([r for r in whole(10) if r[0] not in (8, 20)]), order)
    assert two.n_silent_bars == 2
    assert two.faults == ("silence",)
    assert check_piece(score([(0, 40)]), order).n_silent_bars == 0


def test_a_piece_without_notes_is_all_faults_but_no_error() -> None:
    check = check_piece(score([(0, 1)][:0] or [(0, 1)]), Intent(bars=4))
    assert check.faults == ("bars", "silence")
    empty = from_notes(np.zeros(0, NOTE_DTYPE))
    assert {"bars", "silence"} <= set(check_piece(empty, Intent(bars=4)).faults)


def line(pitches: list[int], step_sec: float = 0.5) -> np.ndarray:
    notes = np.zeros(len(pitches), NOTE_DTYPE)
    notes["pitch"], notes["onset_sec"], notes["duration_sec"] = pitches, np.arange(len(pitches)) * step_sec, step_sec
    return notes


def test_phrases_are_intervals_with_time_classes() -> None:
    assert phrases(line([60, 62, 64, 65, 67])) == [((2, -2), (2, -2), (1, -2), (2, -2))]
    assert phrases(line([60, 62, 64, 65, 67], 1.0)) == [((2, 0), (2, 0), (1, 0), (2, 0))]
    assert phrases(line([60])) == phrases(line([])) == []
    chord = line([60, 62, 64, 65, 67])
    under = chord.copy()
    under["pitch"] -= 12
    both = np.concatenate([chord, under])
    assert phrases(both) == phrases(chord)  # chords count by their highest note
    assert len(phrases(line(list(range(40, 80))), limit=10)) == 6


def test_variety_within_a_group() -> None:
    trill = phrases(line([60, 62] * 10))
    scale = phrases(line([60, 62, 64, 65, 67, 69, 71, 72]))
    assert distinct_phrases([trill]) == pytest.approx(2 / 16)
    assert distinct_phrases([scale, scale]) == pytest.approx(0.5)
    assert shared_phrases([scale, scale]) == 1.0
    assert shared_phrases([scale, trill]) == 0.0
    assert np.isnan(distinct_phrases([]))
    assert np.isnan(shared_phrases([scale]))


def test_spread_is_relative_to_the_reference() -> None:
    reference = np.array([[0.0, 5.0], [2.0, 5.0]])
    np.testing.assert_allclose(spread_ratio(np.array([[0.0, 1.0], [1.0, 2.0]]), reference), [0.5, np.nan])


def test_rank_correlation_agrees_with_scipy(rng: np.random.Generator) -> None:
    from scipy.stats import spearmanr

    x = rng.integers(0, 6, 50).astype(float)
    y = x + rng.normal(0, 2, 50)
    assert spearman(x, y) == pytest.approx(float(spearmanr(x, y).statistic))
    y[:10] = np.nan
    assert spearman(x, y) == pytest.approx(float(spearmanr(x[10:], y[10:]).statistic))
    assert np.isnan(spearman([1, 1, 1], [1, 2, 3]))
    assert np.isnan(spearman([1, 2], [1, 2]))


def test_controls_are_correlated_one_by_one(rng: np.random.Generator) -> None:
    asked = rng.normal(size=(60, 4))
    measured = np.stack(
        [np.exp(asked[:, 0]), -asked[:, 1], asked[:, 2] + rng.normal(0, 1, 60), np.full(60, 3.0)], axis=1
    )
    asked[:5, 0] = np.nan
    rows = control_correlations(asked, measured, ["up", "down", "noisy", "stuck"])
    by_name = {row["name"]: row for row in rows}
    assert [row["name"] for row in rows] == ["up", "noisy", "down", "stuck"]
    assert (by_name["up"]["rho"], by_name["up"]["n"], by_name["down"]["rho"]) == (1.0, 55, -1.0)
    assert by_name["stuck"]["rho"] is None
    noisy = by_name["noisy"]
    assert noisy["low"] < noisy["rho"] < noisy["high"]
    with pytest.raises(InputError, match="do not fit"):
        control_correlations(asked, measured[:, :2], ["up", "down"])


def test_bootstrap_widens_for_groups_and_narrows_for_strata(rng: np.random.Generator) -> None:
    groups = np.repeat(np.arange(10), 20)
    values = rng.normal(size=10)[groups] + rng.normal(0, 0.01, 200)

    def width(**how: Any) -> float:
        low, high = bootstrap(values, lambda v: float(v.mean()), **how)
        assert low < values.mean() < high
        return high - low

    assert width(groups=groups) > 2 * width() > 4 * width(strata=groups)
    with pytest.raises(InputError, match="groups or strata"):
        bootstrap(values, np.mean, groups=groups, strata=groups)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return judged_corpora(tmp_path_factory.mktemp("corpora"))


@pytest.mark.slow
def test_obedience_is_told_from_chance(corpora: Path) -> None:
    seen: list[tuple[float, float]] = []
    musician: Any = Musician()
    good, pieces = measure_control(
        musician, corpora, n_pieces=4, bars=8, n_grid=4, n_checked=0, n_folds=2, alone=False, more_steps=5,
        steps=Steps(lambda done, total: seen.append((done, total)), 0),
    )  # fmt: skip
    stubborn: Any = Musician(obeys=False)
    bad, _ = measure_control(stubborn, corpora, n_pieces=4, bars=8, n_grid=0, n_checked=0, n_folds=0, alone=False)
    assert good["quadrants"]["primary"]["accuracy"] >= 0.8
    assert bad["quadrants"]["primary"]["accuracy"] <= 0.5
    assert good["grid"]["primary"]["arousal"]["rho"] > 0.6
    assert 0 < good["grid"]["primary"]["arousal"]["mean_error"] < 0.9
    assert [g["met"] for g in bad["goals"]] == [False]
    assert seen[-1] == (4 * 4 + 16 + 10, 4 * 4 + 16 + 10 + 5)
    low, high = good["quadrants"]["primary"]["interval"]["accuracy"]
    assert low <= good["quadrants"]["primary"]["accuracy"] <= high
    assert good["controls"][0]["rho"] == 1.0
    assert good["unranked"]["primary"]["n"] == len(pieces) == 16


def test_controls_are_also_asked_for_one_by_one() -> None:
    """A composer that obeys one control and ignores the others is found out."""

    class OneTrick:
        codec = SimpleNamespace(
            controls=SimpleNamespace(song=np.tile(np.arange(1.0, 8.0), (len(SONG_CONTROLS), 1)) * 10)
        )

        def compose(self, intent: Intent, *, seed: int) -> Any:
            rng = np.random.default_rng(seed)
            measured = [
                {name: value if name == "Mean Pitch" else rng.normal() for name, value in intent.attributes.items()}
                for _ in range(4)
            ]
            return SimpleNamespace(candidates=[SimpleNamespace(measured=row) for row in measured])

    steps = Steps(None, 0)
    rows = _controls_alone(OneTrick(), steps)  # type: ignore[arg-type]
    assert rows[0]["name"] == "Mean Pitch" and rows[0]["rho"] == 1.0 and rows[0]["n"] == 20
    assert len(rows) == len(SONG_CONTROLS) and steps.done == 5 * len(SONG_CONTROLS)
    assert abs(rows[1]["rho"]) < 0.9


def test_impossible_requests_are_refused_before_any_work(tmp_path: Path) -> None:
    musician: Any = Musician()
    with pytest.raises(InputError, match=r"n_pieces=1: at least 2; n_grid=1: 0, or at least 2"):
        measure_control(musician, tmp_path, n_pieces=1, n_grid=1)
    with pytest.raises(InputError, match="emopia-nc"):
        measure_control(musician, tmp_path)
    assert musician.calls == 0


def test_generations_are_counted_by_fault() -> None:
    class Clock:
        """Exactly what is asked for, but every fifth piece is a bar short."""

        def compose(self, intent: Intent, *, n_candidates: int, seed: int) -> Piece:
            assert n_candidates == 1
            return Piece(score(whole(intent.bars - (seed % 5 == 4))), 0.0)

    clock: Any = Clock()
    result = check_generations(clock, 20, intents=[Intent(bars=4), Intent(bars=12)], n_repeated=3)
    assert (result["n"], result["n_faultless"], result["n_repeated"], result["n_same_file"]) == (20, 16, 3, 3)
    assert result["faults"] == {"bars": 4, "silence": 2}
    assert [f["seed"] for f in result["failures"]] == [4, 9, 14, 19]
    with pytest.raises(InputError, match="at least one"):
        check_generations(clock, 0)


def test_a_seed_that_does_not_repeat_is_noticed() -> None:
    musician: Any = Musician(forgetful=True)
    assert check_generations(musician, 3, intents=[Intent(emotion="Q1", bars=2)], n_repeated=3)["n_same_file"] == 0
    steady: Any = Musician()
    assert check_generations(steady, 3, intents=[Intent(emotion="Q1", bars=2)], n_repeated=3)["n_same_file"] == 3


def test_default_requests_cover_emotions_lengths_meters_and_instruments() -> None:
    requests = [intent for _, intent in zip(range(200), default_intents(), strict=False)]
    assert {r.time_signature for r in requests} == {"4/4", "3/4", "2/4"}
    assert {r.bars for r in requests} >= {1, 4, 8, 16, 32}
    assert len({r.instruments for r in requests}) >= 5
    assert len({str(r.emotion) for r in requests}) >= 8
