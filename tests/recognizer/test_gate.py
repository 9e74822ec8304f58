"""The gate tells what is near to music from what is not or is near to nothing; it comes back whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from muse.checkpoint import load_tensors, save_tensors
from muse.errors import InputError
from muse.recognizer.features.steadiness import FIGURES
from muse.recognizer.heads.gate import FARTHEST, GATE_FOLDER, MusicGate

N = len(FIGURES)


@pytest.fixture
def gate() -> MusicGate:
    """Knows one take of music, where all inputs are 0, and one of other sound, where they are 1."""
    points = np.stack([np.zeros(N + 2), np.ones(N + 2)]).astype(np.float16)
    return MusicGate(
        np.eye(3, 2, dtype=np.float32), np.zeros(N + 2, np.float32), np.ones(N + 2, np.float32), points,
        np.array([1, -0.5], np.float32), np.array([5 / N], np.float32), np.array([-4, 8], np.float32),
    )  # fmt: skip


def heard(gate: MusicGate, value: float) -> float:
    return float(gate(np.full((1, 3), value, np.float32), np.full((1, N), value, np.float32))[0])


def test_what_is_far_from_music_is_none(gate: MusicGate) -> None:
    assert heard(gate, 0) > 0.9
    assert heard(gate, 1) < 0.1
    assert heard(gate, FARTHEST) == heard(gate, 100.0) == pytest.approx(1 / (1 + np.exp(4)), abs=1e-3)


def test_the_gate_comes_back(gate: MusicGate, tmp_path: Path) -> None:
    assert MusicGate.read(tmp_path, "musicnn") is None
    gate.write(tmp_path, "musicnn")
    again = MusicGate.read(tmp_path, "musicnn")
    assert again is not None
    assert [heard(again, x) for x in (0, 0.4, 1)] == [heard(gate, x) for x in (0, 0.4, 1)]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("weight", [1.0], "do not fit"),
        ("odds", [np.nan, 1.0], "do not fit"),
        ("spread", np.zeros(N + 2), "do not fit"),
        ("axes", np.ones((3, 4)), "do not fit"),
        ("surplus", [1.0], "the arrays are"),
    ],
)
def test_damaged_arrays_are_refused(
    gate: MusicGate, tmp_path: Path, name: str, value: list[float], message: str
) -> None:
    gate.write(tmp_path, "musicnn")
    tensors = load_tensors(tmp_path / GATE_FOLDER, "np")
    save_tensors(tensors | {name: np.asarray(value, np.float32)}, tmp_path / GATE_FOLDER)
    with pytest.raises(InputError, match=message):
        MusicGate.read(tmp_path, "musicnn")


@pytest.mark.parametrize("change", [{"encoder": "mert"}, {"figures": ["peaks"]}])
def test_a_gate_for_something_else_is_refused(gate: MusicGate, tmp_path: Path, change: dict[str, object]) -> None:
    gate.write(tmp_path, "musicnn")
    path = tmp_path / GATE_FOLDER / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match="fit it again with muse train gate"):
        MusicGate.read(tmp_path, "musicnn")
