"""muse.checkpoint: where artefacts lie, safetensors and JSON in and out, and what is refused."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from muse.checkpoint import data_path, find, load_tensors, save_tensors, sha256
from muse.errors import InputError
from muse.files import read_json, write_json


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package layout of its own, with two checkpoints: a checkout without ``muse/_data``."""
    (tmp_path / "muse").mkdir()
    for name in ("small", "tiny"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    (tmp_path / "attributes").mkdir()
    monkeypatch.setattr("muse.checkpoint.__file__", str(tmp_path / "muse" / "checkpoint.py"))
    return tmp_path


def some_tensors(n: int = 6) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    tensors = {f"layer.{i}.weight": torch.randn(64, 32, generator=generator) for i in range(n)}
    tensors["norm"] = torch.randn(32, generator=generator).to(torch.bfloat16)
    tensors["ids"] = torch.arange(5)
    return tensors


# ------------------------------------------------------------------------------------------------------------ places


def test_artefacts_lie_in_the_checkout_or_in_the_package(shipped: Path) -> None:
    assert data_path("attributes") == shipped / "attributes"
    (shipped / "muse" / "_data" / "attributes").mkdir(parents=True)
    assert data_path("attributes") == shipped / "muse" / "_data" / "attributes"
    assert data_path("checkpoints") == shipped / "checkpoints"
    with pytest.raises(InputError, match="'weights': choose from attributes, checkpoints, demos"):
        data_path("weights")


def test_find_takes_names_and_paths(shipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (shipped / "here" / "small").mkdir(parents=True)
    monkeypatch.chdir(shipped / "here")
    assert find("small") == shipped / "checkpoints" / "small"
    assert find("./small") == shipped / "here" / "small"
    assert find(shipped / "here") == shipped / "here"
    assert find(Path("small")) == shipped / "here" / "small"


def test_find_says_what_there_is(shipped: Path) -> None:
    with pytest.raises(InputError, match=r"'smal': did you mean 'small'\? Known are small, tiny; or give the path"):
        find("smal")
    with pytest.raises(InputError, match="unknown checkpoint '/no/where': Known are small, tiny"):
        find("/no/where")
    for nothing in ("", "..x"):
        with pytest.raises(InputError, match="Known are small, tiny"):
            find(nothing)
    (shipped / "config.json").write_text("{}")
    with pytest.raises(InputError, match="is a file: give the checkpoint's folder"):
        find(shipped / "config.json")


def test_names_are_those_of_the_kind_that_is_wanted(shipped: Path) -> None:
    (shipped / "checkpoints" / "small" / "config.json").write_text('{"model_type": "llama"}')
    (shipped / "checkpoints" / "tiny" / "config.json").write_text('{"model_type": "muse-selector"}')
    assert find("small", "llama") == shipped / "checkpoints" / "small"
    with pytest.raises(InputError, match="Known are small; or give"):
        find("nothing", "llama")
    with pytest.raises(InputError, match=r"holds no llama model: config\.json says 'muse-selector'"):
        find("tiny", "llama")
    # Other Llamas than planners have no examples.
    with pytest.raises(InputError, match=r"holds no examples\.json; those that come with Muse are none"):
        find("small", "llama", with_file="examples.json")
    (shipped / "checkpoints" / "small" / "examples.json").touch()
    assert find("small", "llama", with_file="examples.json") == shipped / "checkpoints" / "small"


# ----------------------------------------------------------------------------------------------------------- tensors


@pytest.mark.parametrize("max_shard_bytes", [10_000, 20_000, 10**9])
def test_tensors_come_back_from_any_number_of_shards(tmp_path: Path, max_shard_bytes: int) -> None:
    tensors = some_tensors()
    written = save_tensors(tensors, tmp_path / "a", max_shard_bytes=max_shard_bytes)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(path.name for path in written)
    loaded = load_tensors(tmp_path / "a")
    assert list(loaded) == sorted(tensors)
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)


def test_shards_have_hugging_faces_names_and_stay_under_the_limit(tmp_path: Path) -> None:
    tensors = {f"w{i}": torch.zeros(1_000_000) for i in range(9)}  # 4 MB each
    written = save_tensors(tensors, tmp_path)
    names = [f"model-{i:05d}-of-00003.safetensors" for i in (1, 2, 3)]
    assert [path.name for path in written] == [*names, "model.safetensors.index.json"]
    assert all(path.stat().st_size < 16_000_000 for path in written)
    index = json.loads(written[-1].read_text())
    assert index["metadata"]["total_size"] == 36_000_000
    assert set(index["weight_map"]) == set(tensors)
    assert set(index["weight_map"].values()) == set(names)


def test_transformers_opens_what_we_save(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, tie_word_embeddings=False,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(config)
    config.save_pretrained(tmp_path)
    save_tensors(model.state_dict(), tmp_path, max_shard_bytes=4_000)
    assert (tmp_path / "model.safetensors.index.json").is_file()
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    ids = torch.arange(8)[None]
    with torch.no_grad():
        assert torch.equal(again(ids).logits, model.eval()(ids).logits)


def test_numpy_and_torch_give_the_same_values(tmp_path: Path) -> None:
    tensors = some_tensors()
    save_tensors(tensors, tmp_path)
    for name, array in load_tensors(tmp_path, "np").items():
        np.testing.assert_array_equal(array, tensors[name].to(torch.float32).numpy())
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3).T, "b": np.array(True), "c": np.zeros((0, 3), np.int8)}
    save_tensors(arrays, tmp_path / "np")
    for name, array in load_tensors(tmp_path / "np", "np").items():
        np.testing.assert_array_equal(array, arrays[name])
        assert array.dtype == arrays[name].dtype


def test_a_save_replaces_all_earlier_weights_with_equal_bytes_for_equal_tensors(tmp_path: Path) -> None:
    save_tensors(some_tensors(), tmp_path, max_shard_bytes=9_000)
    save_tensors(some_tensors(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
    first = sha256(tmp_path)
    save_tensors(dict(reversed(some_tensors().items())), tmp_path)
    assert sha256(tmp_path) == first


def test_loading_to_numpy_needs_no_torch(tmp_path: Path) -> None:
    save_tensors(some_tensors(), tmp_path)
    code = (
        "import sys; from muse.checkpoint import load_tensors; "
        f"load_tensors({str(tmp_path)!r}, 'np'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).resolve().parents[2])


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pkl", "last.ckpt"])
def test_pickles_are_refused_with_the_reason_and_not_opened(tmp_path: Path, name: str) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    (tmp_path / name).write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputError, match=f"{name} is a pickle, and opening one can run any code"):
        load_tensors(tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_damaged_checkpoints_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        load_tensors(tmp_path / "none")
    with pytest.raises(InputError, match="only nothing"):
        load_tensors(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{not a header..}")
    for framework in ("pt", "np"):
        with pytest.raises(InputError, match="no intact safetensors file"):
            load_tensors(tmp_path, framework)  # type: ignore[call-overload]
    with pytest.raises(InputError, match="'pt' or 'np'"):
        load_tensors(tmp_path, "tf")  # type: ignore[call-overload]
    (tmp_path / "model.safetensors").unlink()

    save_tensors(some_tensors(), tmp_path, max_shard_bytes=9_000)
    index_path = tmp_path / "model.safetensors.index.json"
    index = read_json(index_path)
    write_json(index | {"weight_map": index["weight_map"] | {"more": "model-00001-of-00006.safetensors"}}, index_path)
    with pytest.raises(InputError, match="lack 1 tensors, 'more' first"):
        load_tensors(tmp_path)
    for name in ("../evil.safetensors", "/etc/passwd", "model.pt"):
        write_json({"weight_map": {"w": name}}, index_path)
        with pytest.raises(InputError, match="is no safetensors file of this folder"):
            load_tensors(tmp_path)
    for wrong in ([], {}, {"weight_map": {"a": 3}}):
        write_json(wrong, index_path)
        with pytest.raises(InputError, match="no 'weight_map'"):
            load_tensors(tmp_path)
    write_json({"weight_map": {"w": "model-00009-of-00009.safetensors"}}, index_path)
    with pytest.raises(InputError, match="shard is missing"):
        load_tensors(tmp_path)


def test_what_cannot_be_saved_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no tensors"):
        save_tensors({}, tmp_path)
    with pytest.raises(InputError, match="mixed"):
        save_tensors({"a": torch.zeros(2), "b": np.zeros(2)}, tmp_path)
    tied = torch.zeros(4)
    with pytest.raises(InputError, match="leave tied weights out"):
        save_tensors({"a": tied, "b": tied}, tmp_path)
    assert list(tmp_path.iterdir()) == []


# -------------------------------------------------------------------------------------------------------------- JSON


def test_json_comes_back_and_numpy_becomes_plain(tmp_path: Path) -> None:
    value = {"é": [1, 2.5, None, True], "array": np.arange(3), "number": np.float32(0.5), "path": Path("a/b")}
    path = write_json(value, tmp_path / "a.json")
    assert read_json(path) == {"é": [1, 2.5, None, True], "array": [0, 1, 2], "number": 0.5, "path": "a/b"}
    assert path.read_text(encoding="utf-8").endswith("}\n")
    assert "é" in path.read_text(encoding="utf-8")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("value", [object(), {"a": [b"bytes"]}])
def test_json_refuses_what_it_has_no_form_for_and_keeps_the_old_file(tmp_path: Path, value: object) -> None:
    path = write_json({"old": 1}, tmp_path / "a.json")
    with pytest.raises(InputError, match="no JSON form"):
        write_json(value, path)
    assert read_json(path) == {"old": 1}


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), np.float32("nan"), np.array([np.nan])])
def test_what_is_no_number_is_null_in_json(tmp_path: Path, value: object) -> None:
    assert read_json(write_json({"a": value}, tmp_path / "a.json")) in ({"a": None}, {"a": [None]})


def test_json_errors_name_file_line_and_column(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{\n  "a": }')
    with pytest.raises(InputError, match=r"a\.json:2:8: this is no JSON"):
        read_json(tmp_path / "a.json")
    with pytest.raises(InputError, match=r"b\.json: no such file"):
        read_json(tmp_path / "b.json")
    (tmp_path / "c.json").write_bytes(b'"\xff"')
    with pytest.raises(InputError, match="cannot be read as JSON"):
        read_json(tmp_path / "c.json")


def test_a_pipe_in_place_of_json_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.json")
    for path in (tmp_path / "config.json", tmp_path):
        with pytest.raises(InputError, match="is no ordinary file"):
            read_json(path)


def test_sha256_lists_every_file(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b").write_bytes(b"b")
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / ".hidden").write_bytes(b"c")
    assert sha256(tmp_path) == {name: hashlib.sha256(name[-1:].encode()).hexdigest() for name in ("a", "sub/b")}
