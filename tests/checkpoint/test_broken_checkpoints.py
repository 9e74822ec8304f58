"""Some hundred and thirty broken checkpoints: each is refused in one clear line before anything large is made of it."""

from __future__ import annotations

import json
import shutil
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from muse.checkpoint import find, load_tensors, save_tensors
from muse.composer import Composer
from muse.composer.arrange import Arranger
from muse.composer.plan import Planner
from muse.errors import InputError
from muse.prompts.image.reader import load_reader
from muse.prompts.text.encoder import Encoder, Reader
from muse.selector import Selector

Change = Callable[[Path], None]

HUGE, MANY_DIGITS = 10**9, "1" + "0" * 5000


def put(file: str, **values: Any) -> Change:
    """Change entries of a JSON file; None takes one out."""

    def change(folder: Path) -> None:
        document = json.loads((folder / file).read_text()) | values
        (folder / file).write_text(json.dumps({name: value for name, value in document.items() if value is not None}))

    return change


def text(file: str, content: str | bytes) -> Change:
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / file).write_bytes(data) and None  # type: ignore[func-returns-value]


def gone(file: str) -> Change:
    return lambda folder: (folder / file).unlink()


def weights(change: Callable[[dict[str, np.ndarray]], object]) -> Change:
    def apply(folder: Path) -> None:
        tensors = load_tensors(folder, "np")
        change(tensors)
        save_tensors(tensors, folder)

    return apply


def cut(tensors: dict[str, np.ndarray], name: str) -> None:
    tensors[name] = tensors[name][..., :-1]


def fill(tensors: dict[str, np.ndarray], name: str, value: float) -> None:
    tensors[name] = np.full_like(tensors[name], value)


def all_zero(tensors: dict[str, np.ndarray]) -> None:
    for name in tensors:
        if tensors[name].dtype.kind == "f":
            tensors[name][...] = 0


def control_edges(edges: Any) -> Change:
    def change(folder: Path) -> None:
        document = json.loads((folder / "controls.json").read_text())
        document[next(iter(document))] = edges
        (folder / "controls.json").write_text(json.dumps(document))

    return change


CONFIG, EMBEDDING, QUERY = "config.json", "model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight"
HEADER = b'{"w": {"dtype": "F32", "shape": [1000000000000], "data_offsets": [0, 4000000000000]}}'

ARRANGERS: dict[str, Change] = {
    **{f"{name} {value!r:.20}": put(CONFIG, **{name: value}) for name, value in [
        ("num_hidden_layers", HUGE), ("num_hidden_layers", "4"), ("num_hidden_layers", -1), ("num_hidden_layers", 0),
        ("num_hidden_layers", 3.5), ("num_hidden_layers", True), ("num_hidden_layers", [4]), ("num_hidden_layers", 5),
        ("num_hidden_layers", 3),
        ("hidden_size", HUGE), ("hidden_size", "128"), ("hidden_size", 128), ("hidden_size", {}),
        ("num_attention_heads", 0), ("num_attention_heads", 8), ("num_attention_heads", HUGE),
        ("num_key_value_heads", 3), ("num_key_value_heads", -2), ("num_key_value_heads", 4),
        ("head_dim", 31), ("head_dim", HUGE), ("vocab_size", HUGE), ("vocab_size", 809), ("vocab_size", -810),
        ("intermediate_size", 380), ("intermediate_size", "x"), ("intermediate_size", None),
        ("max_position_embeddings", HUGE), ("max_position_embeddings", 1), ("max_position_embeddings", "many"),
        ("rms_norm_eps", "small"), ("rms_norm_eps", -1), ("rope_parameters", [1]),
        ("rope_parameters", {"rope_theta": "1e4"}), ("rope_parameters", {"rope_theta": float("nan")}),
        ("model_type", "gpt2"), ("model_type", 7), ("hidden_act", "gelu"),
    ]},
    "config is a list": text(CONFIG, "[]"),
    "config is cut": text(CONFIG, '{"model_type": "llama", '),
    "config has a number of 5,000 digits": text(CONFIG, f'{{"model_type": "llama", "hidden_size": {MANY_DIGITS}}}'),
    "config is nested deep": text(CONFIG, "[" * 100_000),
    "config is not UTF-8": text(CONFIG, b"\xff\xfe"),
    "config is gone": gone(CONFIG),
    "controls are gone": gone("controls.json"),
    "controls are empty": text("controls.json", "{}"),
    "controls are words": control_edges(["a"] * 7),
    "controls are few": control_edges([1, 2]),
    "controls fall": control_edges([7, 6, 5, 4, 3, 2, 1]),
    "weights are gone": gone("model.safetensors"),
    "weights are cut": lambda folder: (folder / "model.safetensors").write_bytes(
        (folder / "model.safetensors").read_bytes()[:100_000]
    ) and None,  # type: ignore[func-returns-value]
    "weights are empty": text("model.safetensors", b""),
    "weights claim terabytes": text("model.safetensors", struct.pack("<Q", len(HEADER)) + HEADER),
    "weights have a header of exabytes": text("model.safetensors", struct.pack("<Q", 2**62) + b"{}"),
    "a tensor is missing": weights(lambda tensors: tensors.pop(QUERY)),
    "a tensor is cut": weights(lambda tensors: cut(tensors, QUERY)),
    "a tensor is turned": weights(lambda tensors: tensors.update({EMBEDDING: tensors[EMBEDDING].T})),
    "a tensor is of whole numbers": weights(lambda tensors: tensors.update({QUERY: tensors[QUERY].astype(np.int32)})),
    "a tensor is not finite": weights(lambda tensors: fill(tensors, QUERY, np.nan)),
    "all weights are zero": weights(all_zero),
}  # fmt: skip

SELECTORS: dict[str, Change] = {
    **{f"{name} {value!r:.20}": put(CONFIG, **{name: value}) for name, value in [
        ("layers", HUGE), ("layers", "6"), ("layers", 7), ("width", -256), ("width", HUGE), ("heads", 0), ("heads", 3),
        ("quality_scale", "1"), ("genre_temperature", 0), ("network_share", 2.0), ("model_type", "llama"),
    ]},
    "columns are gone": gone("attributes.json"),
    "columns are no list": text("attributes.json", '{"columns": 5}'),
    "columns are unknown": text("attributes.json", '{"columns": ["Note Density", "Loveliness"]}'),
    "trees go round": weights(lambda tensors: fill(tensors, "experts.plane.child", 0)),
    "trees ask for no column": weights(lambda tensors: fill(tensors, "experts.plane.feature", 32_000)),
    "trees begin nowhere": weights(lambda tensors: fill(tensors, "experts.quadrants.trees.root", -5)),
    "the kernel is cut": weights(lambda tensors: cut(tensors, "experts.quadrants.kernel.weight")),
    "a tensor is missing": weights(lambda tensors: tensors.pop("queries")),
    "experts are cut": weights(lambda tensors: cut(tensors, "experts.weight")),
    "a tensor is cut": weights(lambda tensors: cut(tensors, "blocks.3.up.weight")),
    "all weights are zero": weights(all_zero),
}  # fmt: skip


PLANNERS: dict[str, Change] = {
    "vocabulary is cut": text("vocabulary.json", '{"Special": ["pad", '),
    "vocabulary is a list": text("vocabulary.json", "[]"),
    "vocabulary has a number": put("vocabulary.json", Mode=5),
    "vocabulary lacks a block": put("vocabulary.json", Mode=None),
    "controls have no number": control_edges([1, 2, 3, 4, float("nan")]),
    "controls are yes": control_edges([True] * 5),
    "examples are cut": text("examples.json", '[{"mode": "major"'),
    "examples are an object": text("examples.json", "{}"),
    "examples are numbers": text("examples.json", "[1, 2]"),
    "examples have no mode": text("examples.json", '[{"genre": "pop", "leaps": 1}]'),
    "examples have a bucket too high": text("examples.json", '[{"mode": "major", "leaps": 6}]'),
    "examples have words": text("examples.json", '[{"mode": "major", "leaps": "many"}]'),
    "forms are a list": text("forms.json", "[]"),
    "forms are cut": text("forms.json", '{"8": {"AB": 4'),
    "forms have no counts": text("forms.json", '{"16": ["AABA"]}'),
    "forms count nothing": text("forms.json", '{"16": {"AABA": 0}}'),
    "forms have no name": text("forms.json", '{"16": {"": 3}}'),
    "forms have words": text("forms.json", '{"16": {"AABA": "often"}}'),
}  # fmt: skip

SENTENCES: dict[str, Change] = {
    **{f"{name} {value!r:.20}": put(CONFIG, **{name: value}) for name, value in [
        ("gain", None), ("gain", 2.6), ("gain", [2.6]), ("gain", ["a", "b"]), ("spread", [0.4, float("nan")]),
        ("emobank_mean", [0.0] * 5), ("thresholds", [0.5] * 3), ("thresholds", {}), ("categories", None),
        ("categories", "joy"), ("categories", [1] * 28), ("categories", ["gladness"] * 28),
    ]},
    "config is a list": text(CONFIG, "[]"),
    "tokenizer is gone": gone("tokenizer.json"),
    "tokenizer is cut": text("tokenizer.json", '{"model": {"vocab": {"a": 1, '),
    "tokenizer is empty": text("tokenizer.json", "{}"),
    "tokenizer is a list": text("tokenizer.json", "[]"),
    "tokenizer has no vocabulary": put("tokenizer.json", model={"type": "WordPiece"}),
    "tokenizer has a list of words": put("tokenizer.json", model={"vocab": ["a", "b"]}),
    "tokenizer has words without place": put("tokenizer.json", model={"vocab": {"a": "first"}}),
    "tokenizer has more words than the lexicon": put("tokenizer.json", model={"vocab": {"a": HUGE}}),
}  # fmt: skip

PICTURES: dict[str, Change] = {
    f"{name} {value!r:.20}": put(CONFIG, **{name: value}) for name, value in [
        ("gain", None), ("gain", [1.0]), ("middle", "0"), ("themes", None), ("themes", ["Acorns"]), ("themes", 243),
        ("spread", {}), ("spread", 5), ("spread", {"vision": [0.1, 0.1], "colours": 0.1}), ("valence_gamma", "small"),
        ("arousal_gamma", None),
    ]
}  # fmt: skip


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[str], Path]:
    def copy(name: str) -> Path:
        return Path(shutil.copytree(find(name), tmp_path / name))

    return copy


def refused(load: Callable[[], object], folder: Path) -> None:
    started = time.process_time()
    with pytest.raises(InputError) as caught:
        load()
    message = str(caught.value)
    assert "\n" not in message and len(message) < 600
    assert folder.name in message or "context is" in message
    assert time.process_time() - started < 10


LOADED: list[tuple[str, Callable[[Path], object], dict[str, Change]]] = [
    ("arranger", Arranger.from_pretrained, ARRANGERS),
    ("selector", Selector.from_pretrained, SELECTORS),
    ("planner", Planner.from_pretrained, PLANNERS),
    ("prompts-text", Reader, SENTENCES),
    ("prompts-image", load_reader, PICTURES),
]


@pytest.mark.parametrize(
    ("name", "load", "change"),
    [
        pytest.param(name, load, change, id=f"{name}-{what}")
        for name, load, changes in LOADED
        for what, change in changes.items()
    ],
)
def test_broken_checkpoints_are_refused(
    copied: Callable[[str], Path], name: str, load: Callable[[Path], object], change: Change
) -> None:
    folder = copied(name)
    change(folder)
    refused(lambda: load(folder), folder)


def test_a_tokenizer_that_cannot_split_is_refused(copied: Callable[[str], Path]) -> None:
    pytest.importorskip("tokenizers")
    folder = copied("prompts-text")
    put("tokenizer.json", model={"type": "Unheard", "vocab": {"a": 1}})(folder)
    refused(lambda: Encoder(folder), folder)


def test_another_kind_of_model_is_refused_and_only_those_of_the_kind_are_named() -> None:
    with pytest.raises(InputError, match=r"holds no llama model: config\.json says 'muse-selector'; .* are planner$"):
        Composer.from_pretrained("selector")
    with pytest.raises(InputError, match="unknown checkpoint 'planer': did you mean 'planner'"):
        Composer.from_pretrained("planer")
    with pytest.raises(InputError, match=r"holds no examples\.json; those that come with Muse are planner"):
        Composer.from_pretrained("arranger")
