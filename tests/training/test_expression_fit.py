"""What is measured of performances is what made them."""

from __future__ import annotations

import numpy as np
import pytest

from muse.score import NOTE_DTYPE
from muse.training.expression import (
    PedalledSong,
    beats_at_onsets,
    fit_pedal,
    fit_release,
    pedal_figures,
    tempo_figures,
)


def song(held: float, again: float, *, press: float = 0.1, lift: float = -0.05) -> PedalledSong:
    """32 bars of 2 s, a pedal each and a chord for two: a tune that moves every half second above a key that is struck
    again each second."""
    rows = [(k / 2, held / 2, 72 + k % 5, True) for k in range(128)]
    rows += [(float(k), again, 48, False) for k in range(64)]
    rows.sort(key=lambda row: row[0])
    notes = np.zeros(len(rows), NOTE_DTYPE)
    notes["onset_sec"], notes["duration_sec"], notes["pitch"], tune = map(np.array, zip(*rows, strict=True))
    bars = np.arange(0, 64, 2.0)
    moments = np.concatenate([bars, [64.0]])
    pedal = np.stack([moments[:-1] + press, moments[1:] + lift], axis=1)
    return PedalledSong(notes, tune.astype(bool), pedal, np.arange(0, 64, 0.5), bars, bars[2::2])


def test_pedal_and_keys_are_measured() -> None:
    songs = [song(held, 0.6) for held in (0.5, 0.7, 0.9)]
    pedal = fit_pedal(songs)
    assert pedal["lift_sec"] == pytest.approx([-0.05] * 5)
    assert pedal["press_sec"] == pytest.approx([0.1] * 5)
    assert pedal["at_bar"] == 1 and pedal["at_beat"] == 0 and sum(pedal["dry"]) == 0
    share, lifts = pedal_figures(songs[0].pedal, 0.0, 64.0, 32)
    assert share == pytest.approx(1.85 / 2) and lifts == pytest.approx(1, abs=0.05)
    keys = fit_release(songs)
    assert keys["struck_again"] == pytest.approx([0.6] * 5)
    assert keys["tune"][2] == pytest.approx(0.7)
    assert keys["of_player"] == pytest.approx(1)
    same = fit_release([song(0.8, 0.6)] * 2)
    assert same["tune"] == pytest.approx([0.8] * 5)


def test_bars_without_pedal_are_dry() -> None:
    one = song(0.5, 0.1)
    without = PedalledSong(one.notes, one.tune, one.pedal[:8], one.beats, one.downbeats, one.changes)
    assert max(fit_pedal([without])["dry"]) == pytest.approx(0.75, abs=0.05)


def test_tempo_drift_is_measured() -> None:
    rng = np.random.default_rng(1)
    stretches = []
    for _ in range(200):
        x = rng.normal(0, 0.05, 64)
        for k in range(1, 64):
            x[k] = 0.6 * x[k - 1] + 0.8 * x[k]
        stretches.append(x)
    spread, lags = tempo_figures(stretches, n_lags=3)
    assert spread == pytest.approx(0.05, rel=0.05)
    np.testing.assert_allclose(lags, [0.6, 0.36, 0.216], atol=0.05)


def test_tracked_beats_are_moved_to_the_onsets() -> None:
    rng = np.random.default_rng(2)
    beats = np.cumsum(0.5 * np.exp(rng.normal(0, 0.02, 80)))
    eighths = np.interp(np.arange(159) / 2, np.arange(80), beats)
    notes = np.zeros(len(eighths), NOTE_DTYPE)
    notes["onset_sec"] = eighths
    found = beats_at_onsets(notes)
    assert found is not None
    assert np.abs(found[:, None] - eighths).min(axis=1).max() < 1e-6
    notes["onset_sec"] = np.sort(rng.uniform(0, 40, len(notes)))
    assert beats_at_onsets(notes) is None
