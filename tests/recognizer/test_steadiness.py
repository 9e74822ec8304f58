"""How sounds move: held notes last and lie in a scale, glides and noise do not, beeps come back."""

from __future__ import annotations

import numpy as np
import pytest

from muse.recognizer.features.signal import SAMPLE_RATE, semitones
from muse.recognizer.features.steadiness import FIGURES, steadiness

RATE = SAMPLE_RATE


def figures(samples: np.ndarray) -> dict[str, float]:
    return dict(zip(FIGURES, steadiness(semitones(samples.astype(np.float32))).tolist(), strict=True))


def tone(hertz: np.ndarray) -> np.ndarray:
    turns = np.cumsum(hertz) / RATE
    return sum(np.sin(2 * np.pi * k * turns) / k for k in range(1, 5))


@pytest.fixture(scope="module")
def tune() -> np.ndarray:
    """C major, a note in half a second."""
    return tone(np.repeat(440 * 2 ** ((np.array([60, 62, 64, 65, 67, 69, 71, 72]) - 69) / 12), RATE // 2))


@pytest.fixture(scope="module")
def glide() -> np.ndarray:
    time = np.arange(4 * RATE) / RATE
    return tone(440 * 2 ** np.sin(2 * np.pi * 0.5 * time))


def test_notes_last_and_glides_move(tune: np.ndarray, glide: np.ndarray) -> None:
    held, moved = figures(tune), figures(glide)
    assert held["peaks lasting 0.3 s"] > moved["peaks lasting 0.3 s"] + 0.2
    assert held["like 0.1 s before"] > moved["like 0.1 s before"] + 0.2
    assert held["glide most"] < moved["glide most"]
    assert held["scale of lasting"] > 0.85


def test_noise_has_few_peaks_that_last(tune: np.ndarray, rng: np.random.Generator) -> None:
    noise = figures(rng.normal(size=3 * RATE))
    assert noise["peaks"] < 0.5 * figures(tune)["peaks"]
    assert noise["peaks lasting 0.6 s"] < 0.1 < figures(tune)["peaks lasting 0.3 s"]


def test_loudness_does_not_matter_and_silence_is_nothing(tune: np.ndarray) -> None:
    loud, soft = (steadiness(semitones((gain * tune).astype(np.float32))) for gain in (0.3, 0.003))
    np.testing.assert_allclose(loud, soft, atol=1e-3)
    assert not steadiness(np.zeros((30, 76))).any()
    assert not steadiness(np.zeros((0, 76))).any()
    assert np.isfinite(steadiness(np.ones((1, 76)))).all()


def test_beeps_come_back_and_sirens_slide(tune: np.ndarray) -> None:
    time = np.arange(8 * RATE) / RATE
    tones, wail = np.where(time / 0.6 % 2 < 1, 660.0, 880.0), 600 * 2 ** (0.6 * np.sin(2 * np.pi * 0.3 * time))
    music, alarm, siren = figures(tune), figures(tone(tones)), figures(tone(wail))
    assert alarm["kinds of frames"] < music["kinds of frames"] - 0.4
    assert alarm["voice pitches"] < music["voice pitches"]
    assert alarm["comes back"] > music["comes back"] + 0.2
    assert siren["slides on"] > 0.3 > 0.15 > music["slides on"]
    assert music["held"] > siren["held"] + 0.4
    assert figures(tone(np.full(3 * RATE, 440.0)))["still"] > 0.8


def test_frames_are_counted_by_their_kinds() -> None:
    pitches = np.zeros((40, 76))
    pitches[np.arange(40), 20 + 5 * (np.arange(40) // 10)] = 1  # four notes of a second
    found = dict(zip(FIGURES, steadiness(pitches).tolist(), strict=True))
    assert found["kinds of frames"] == pytest.approx(np.log(4), abs=1e-4)
    assert found["commonest frames"] == pytest.approx(0.25, abs=1e-4)
    assert found["voice pitches"] == pytest.approx(np.log(5), abs=1e-4)
    assert found["voice leaps"] == pytest.approx(3 / 39, abs=1e-4)
    assert found["one voice"] == pytest.approx(1)
