"""How sounds move: held notes last and lie in a scale, glides and noise do not; the gate comes back whole or not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from muse.errors import InputError
from muse.recognizer.features.signal import SAMPLE_RATE, semitones
from muse.recognizer.features.steadiness import FIGURES, steadiness
from muse.recognizer.heads.gate import FARTHEST, STEADY_FILE, SteadyGate

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


def a_gate() -> SteadyGate:
    n = len(FIGURES)
    return SteadyGate(*(np.asarray(x, np.float32) for x in (np.zeros(n), np.ones(n), np.full(n, 0.01), [0.5])))


def test_far_figures_count_no_more_than_a_limit() -> None:
    gate = a_gate()
    far, farther = (gate(np.full((1, len(FIGURES)), x, np.float32)) for x in (FARTHEST, 100.0))
    assert far == farther > gate(np.zeros((1, len(FIGURES)), np.float32))


def test_the_gate_comes_back_and_damage_is_refused(tmp_path: Path) -> None:
    assert SteadyGate.read(tmp_path) is None
    a_gate().write(tmp_path)
    again = SteadyGate.read(tmp_path)
    assert again is not None
    x = np.linspace(-2, 2, len(FIGURES), dtype=np.float32)[None]
    assert again(x) == pytest.approx(a_gate()(x))
    path = tmp_path / STEADY_FILE
    document = json.loads(path.read_text())
    for change, message in (
        ({"figures": ["peaks"]}, "other figures"), ({"weight": None}, "damaged"),
        ({"bias": [float("nan")]}, "damaged|finite|JSON"),
        ({"spread": [0.0] * len(FIGURES)}, "damaged"), ({"mean": [0.0]}, "damaged"),
    ):  # fmt: skip
        path.write_text(json.dumps(document | change))
        with pytest.raises(InputError, match=message):
            SteadyGate.read(tmp_path)
