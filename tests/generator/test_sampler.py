"""The sampler: parity with transformers, and what drawing, masks, guidance and cut histories promise."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from muse.errors import InputError
from muse.generator.engines import Engine, OnnxEngine, Shape, TorchEngine, onnx
from muse.generator.sampler import Generated, Sampler, Sampling, draw

VOCAB = 97


class Free:
    """A grammar that allows everything until rows have their lengths."""

    def __init__(self, *lengths: int) -> None:
        self.wanted = np.array(lengths)

    def begin(self, n_rows: int) -> None:
        self.lengths = np.broadcast_to(self.wanted, (n_rows,))
        self.step = 0

    def mask(self) -> np.ndarray | None:
        return None

    def advance(self, ids: np.ndarray) -> None:
        self.step += 1

    def finished(self) -> np.ndarray:
        return self.step >= self.lengths

    def unconditional(self, ids: np.ndarray) -> np.ndarray:
        return ids


class Masked(Free):
    """The same with a mask: a function of step and row that gives the allowed ids."""

    def __init__(self, allowed: Callable[[int, int], Iterable[int]], *lengths: int) -> None:
        super().__init__(*lengths)
        self.allowed = allowed
        self.seen: list[np.ndarray] = []

    def mask(self) -> np.ndarray | None:
        mask = np.zeros((len(self.lengths), VOCAB), bool)
        for row, is_done in enumerate(self.finished()):
            mask[row, [0] if is_done else list(self.allowed(self.step, row))] = True
        return mask

    def advance(self, ids: np.ndarray) -> None:
        self.seen.append(ids.copy())
        super().advance(ids)


class Uniform:
    """An engine whose logits are given, and which writes down what it is asked for."""

    def __init__(self, logits: np.ndarray | None = None, context: int = 10_000) -> None:
        self.dtype = "float32"
        self.shape = Shape(1, 2, 2, 8, 16, VOCAB, context, 1e-5, 1e4)
        self.row_logits = np.zeros(VOCAB, np.float32) if logits is None else logits.astype(np.float32)
        self.lengths = np.zeros(1, np.int64)
        self.n_steps = 0
        self.histories: list[list[int]] = []
        self.loaded: list[list[int]] = []

    def start(self, n_rows: int) -> Uniform:
        self.lengths = np.zeros(n_rows, np.int64)
        self.histories = [[] for _ in range(n_rows)]
        return self

    def load(self, row: int, ids: np.ndarray) -> np.ndarray:
        assert len(ids) <= self.shape.context
        self.lengths[row] = len(ids)
        self.histories[row] = ids.tolist()
        self.loaded.append(ids.tolist())
        return np.tile(self.row_logits, (len(ids), 1))

    def share(self, source: int, rows: Iterable[int]) -> None:
        for row in rows:
            self.lengths[row] = self.lengths[source]
            self.histories[row] = list(self.histories[source])

    def extend(self, ids: np.ndarray) -> np.ndarray:
        self.n_steps += 1
        self.lengths += ids.shape[1]
        assert self.lengths.max() <= self.shape.context
        for history, new in zip(self.histories, ids.tolist(), strict=True):
            history += new
        return np.tile(self.row_logits, (len(ids), 1))

    def keep(self, rows: np.ndarray) -> None:
        self.lengths = self.lengths[rows]
        self.histories = [self.histories[row] for row in rows]

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """The models are tiny: several threads of PyTorch only wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model with four query heads to two key/value heads, norms that matter, and confident logits."""
    path = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    made = LlamaConfig(
        vocab_size=VOCAB, hidden_size=64, intermediate_size=128, num_hidden_layers=3, max_position_embeddings=512,
        num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True, rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 5e3},
        bos_token_id=None, eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    model = LlamaForCausalLM(made)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(0, 0.12)
            else:
                parameter.uniform_(0.5, 1.5)
    model.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def reference(folder: Path) -> LlamaForCausalLM:
    return AutoModelForCausalLM.from_pretrained(folder).eval()


def make_engine(folder: Path, kind: str) -> Engine:
    return TorchEngine(folder) if kind == "torch" else OnnxEngine(folder, quantized=kind == "int8")


def ids_of(rows: Sequence[Generated]) -> list[list[int]]:
    return [row.ids.tolist() for row in rows]


def generate(sampler: Sampler, n_rows: int, grammar: Free, seed: int = 0, **options: object) -> list[Generated]:
    sampling = options.pop("sampling", Sampling())
    prefix = options.pop("prefix", [5, 6, 7])
    rng = np.random.default_rng(seed)
    return sampler.generate(prefix, n_rows, grammar, sampling, rng, **options)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------------- engines


@pytest.mark.parametrize("kind", ["float32", "torch"])
def test_logits_equal_those_of_transformers(folder: Path, reference: LlamaForCausalLM, kind: str) -> None:
    """Rows of different age, prefilled, extended by one and by several, shared, dropped and grown past a chunk."""
    ids = np.random.default_rng(0).integers(0, VOCAB, (3, 400))
    with torch.inference_mode():
        expected = reference(torch.from_numpy(ids)).logits.numpy()
    engine = make_engine(folder, kind).start(3)
    lengths = np.array([10, 250, 40])
    for row, length in enumerate(lengths):
        np.testing.assert_allclose(engine.load(row, ids[row, :length]), expected[row, :length], atol=1e-4)
    for n_new in (1, 1, 7, 1):
        new = np.stack([ids[row, length : length + n_new] for row, length in enumerate(lengths)])
        lengths += n_new
        logits = engine.extend(new)
        np.testing.assert_allclose(logits, expected[[0, 1, 2], lengths - 1], atol=1e-4)
    np.testing.assert_array_equal(engine.lengths, lengths)
    engine.keep(np.array([2, 0]))
    kept = lengths[[2, 0]]
    np.testing.assert_allclose(engine.extend(ids[[2, 0], kept][:, None]), expected[[2, 0], kept], atol=1e-4)
    engine.share(1, [0])
    again = engine.extend(ids[[0, 0], kept[1] + 1][:, None])
    np.testing.assert_allclose(again, expected[[0, 0], kept[1] + 1], atol=1e-4)


def test_a_long_history_is_loaded_in_parts(
    folder: Path, reference: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = np.random.default_rng(2).integers(0, VOCAB, 61)
    with torch.inference_mode():
        expected = reference(torch.from_numpy(ids)[None]).logits[0].numpy()
    engine = make_engine(folder, "float32").start(2)
    for at_once in (60, 20, 1):
        monkeypatch.setattr(onnx, "LOADED_AT_ONCE", at_once)
        np.testing.assert_allclose(engine.load(1, ids[:60]), expected[:60], atol=1e-4)
        assert engine.lengths.tolist() == [0, 60]
    engine.share(1, [0])
    np.testing.assert_allclose(engine.extend(np.tile(ids[60:], (2, 1)))[0], expected[60], atol=1e-4)


def test_int8_is_close_to_float32(folder: Path, reference: LlamaForCausalLM) -> None:
    """Mean divergence under a hundredth of a nat even for random weights, which forgive less than trained ones."""
    ids = np.random.default_rng(1).integers(0, VOCAB, (1, 300))
    with torch.inference_mode():
        expected = reference(torch.from_numpy(ids)).logits[0].double().log_softmax(-1)
    logits = torch.from_numpy(Sampler(make_engine(folder, "int8")).logits(ids[0])).double().log_softmax(-1)
    divergence = (expected.exp() * (expected - logits)).sum(-1).mean()
    assert 0 < divergence < 0.01


def steps(engine: Engine, n_rows: int) -> np.ndarray:
    """Logits [steps, n_rows, V] of rows with ids and lengths of their own."""
    ids = np.random.default_rng(3).integers(0, VOCAB, (6, 60))
    rows = engine.start(n_rows)
    for row in range(n_rows):
        rows.load(row, ids[row, : 8 + 5 * row])
    return np.stack([rows.extend(ids[:n_rows, step : step + 1]).copy() for step in range(40, 60)])


@pytest.mark.parametrize("kind", ["int8", "float32"])
def test_threads_change_nothing(folder: Path, kind: str) -> None:
    one, two = (OnnxEngine(folder, quantized=kind == "int8", threads=threads) for threads in (1, 2))
    for n_rows in (1, 5):
        np.testing.assert_array_equal(steps(one, n_rows), steps(two, n_rows))
    rows, others = (generate(Sampler(engine), 5, Free(40)) for engine in (one, two))
    assert ids_of(rows) == ids_of(others)


def test_ids_at_once_give_what_they_give_one_by_one(folder: Path) -> None:
    """Bit for bit: loaded, and appended to rows of different age."""
    ids = np.random.default_rng(4).integers(0, VOCAB, (3, 90))
    engine = make_engine(folder, "int8")
    at_once, one_by_one = engine.start(3), engine.start(3)
    for row, length in enumerate((10, 70, 40)):
        alone = engine.start(1)
        expected = [alone.extend(ids[row : row + 1, at : at + 1])[0].copy() for at in range(length)]
        for cache in (at_once, one_by_one):
            np.testing.assert_array_equal(cache.load(row, ids[row, :length]), expected)
    for n_new in (1, 5, 2):
        new, ids = ids[:, -n_new:], ids[:, :-n_new]
        for column in new.T:
            logits = one_by_one.extend(column[:, None])
        np.testing.assert_array_equal(at_once.extend(new), logits)


@pytest.mark.parametrize("kind", ["int8", "float32"])
def test_neighbours_change_nothing(folder: Path, kind: str) -> None:
    """Bit for bit, down to a row alone."""
    engine = make_engine(folder, kind)
    many = steps(engine, 6)
    for n_rows in range(1, 6):
        np.testing.assert_array_equal(steps(engine, n_rows), many[:, :n_rows])
    rows = ids_of(generate(Sampler(engine), 6, Free(60)))
    assert ids_of(generate(Sampler(engine), 1, Free(60))) == rows[:1]
    assert len({tuple(ids) for ids in rows}) == 6


def test_rows_that_leave_change_nothing(folder: Path) -> None:
    """Bit for bit, down to the last one."""
    ids = np.random.default_rng(3).integers(0, VOCAB, (6, 60))
    engine = make_engine(folder, "int8")
    all_rows, fewer = engine.start(6), engine.start(6)
    for row in range(6):
        for cache in (all_rows, fewer):
            cache.load(row, ids[row, : 8 + 5 * row])
    left = np.arange(6)
    for step, leaving in enumerate((0, 3, 1, 0, 1), 50):
        fewer.keep(np.delete(np.arange(len(left)), leaving))
        left = np.delete(left, leaving)
        expected = all_rows.extend(ids[:, step : step + 1])[left]
        np.testing.assert_array_equal(fewer.extend(ids[left, step : step + 1]), expected)
    np.testing.assert_array_equal(fewer.lengths, all_rows.lengths[left])


def test_shards_and_bfloat16_load(folder: Path, tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    model.save_pretrained(tmp_path, max_shard_size="100KB")
    assert not (tmp_path / "model.safetensors").exists()
    rounded = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    ids = np.arange(1, 60)
    with torch.inference_mode():
        expected = rounded(torch.from_numpy(ids)[None]).logits[0].numpy()
    logits = Sampler.from_pretrained(tmp_path, dtype="float32").logits(ids)
    np.testing.assert_allclose(logits, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "gpt2"}, "model_type is 'gpt2', not 'llama'"),
        ({"attention_bias": True}, "attention_bias is True"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "rope_type is 'yarn', not 'default'"),
        ({"hidden_size": None}, "'hidden_size' is missing"),
        ({"hidden_size": "64"}, "hidden_size is '64', legal is a whole number in 2..65536"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers is 1000000000, legal"),
        ({"num_key_value_heads": 3}, "groups of equal size"),
        ({"rope_parameters": 7}, "rope_parameters is 7, legal is an object"),
    ],
)
def test_other_architectures_are_refused(folder: Path, tmp_path: Path, change: dict[str, object], message: str) -> None:
    config = json.loads((folder / "config.json").read_text()) | change
    (tmp_path / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not None}))
    with pytest.raises(InputError, match=message):
        Shape.read(tmp_path)


def test_a_missing_tensor_is_named(folder: Path, tmp_path: Path) -> None:
    from muse.checkpoint import load_tensors, save_tensors

    tensors = load_tensors(folder, "np")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_tensors(tensors, tmp_path)
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    with pytest.raises(InputError, match=r"model\.layers\.1\.mlp\.up_proj\.weight"):
        OnnxEngine(tmp_path)


def test_options_of_loading_are_checked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="'int4' does not run here on 'cpu': choose from int8, float32"):
        Sampler.from_pretrained(folder, dtype="int4")
    for device in ("warp", "meta:x"):
        with pytest.raises(InputError, match=f"device '{device}' cannot be used here"):
            Sampler.from_pretrained(folder, device=device)
    with pytest.raises(InputError, match="threads is 0"):
        Sampler.from_pretrained(folder, threads=0)
    with pytest.raises(InputError, match="context is 513, legal are 2 to 512"):
        Sampler(make_engine(folder, "torch"), context=513)
    monkeypatch.setattr("muse.generator.sampler.has_onnx_runtime", lambda: False)
    assert isinstance(Sampler.from_pretrained(folder).engine, TorchEngine)


def test_sampling_on_the_cpu_loads_no_torch(folder: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from muse.generator.sampler import Sampler\n"
        f"assert len(Sampler.from_pretrained({str(folder)!r}).logits([1, 2, 3])) == 3\n"
        "assert not {'torch', 'transformers', 'lightning'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ------------------------------------------------------------------------------------------------------------- drawing


def shares(logits: Sequence[float], sampling: Sampling, mask: Sequence[bool] | None = None) -> np.ndarray:
    """Share of each id over an even sweep of the uniform numbers: of the square that they span."""
    n = 20_000
    uniform = np.stack([np.arange(n) + 0.5, np.arange(n) * (n * (5**0.5 - 1) / 2) % n]) / n
    rows = np.tile(np.array(logits, np.float32), (n, 1))
    masks = None if mask is None else np.tile(np.array(mask), (n, 1))
    ids = draw(rows, masks, sampling, uniform)
    return np.bincount(ids, minlength=len(logits)) / n


def test_drawing_follows_the_softmax() -> None:
    logits = np.array([0.3, -1.0, 2.0, 0.0])
    for temperature in (0.5, 1.0, 2.0):
        expected = np.exp(logits / temperature) / np.exp(logits / temperature).sum()
        found = shares(logits, Sampling(temperature=temperature, top_p=1))
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_top_p_keeps_the_smallest_set_that_reaches_p() -> None:
    logits = np.log([0.5, 0.05, 0.3, 0.15])
    np.testing.assert_allclose(shares(logits, Sampling(top_p=0.75)), [0.625, 0, 0.375, 0], atol=1e-3)
    np.testing.assert_allclose(shares(logits, Sampling(top_p=0.9)), [0.5 / 0.95, 0, 0.3 / 0.95, 0.15 / 0.95], atol=1e-3)
    np.testing.assert_array_equal(shares(logits, Sampling(top_p=1e-6)), [1, 0, 0, 0])


def test_top_k_keeps_k() -> None:
    logits = np.log([0.5, 0.05, 0.3, 0.15])
    np.testing.assert_allclose(shares(logits, Sampling(top_k=2, top_p=1)), [0.625, 0, 0.375, 0], atol=1e-3)
    np.testing.assert_allclose(shares(logits, Sampling(top_k=9, top_p=1)), [0.5, 0.05, 0.3, 0.15], atol=1e-3)
    # top-p applies to what top-k leaves: 0.5 / 0.95 is over a half, so one id is enough
    np.testing.assert_array_equal(shares(logits, Sampling(top_k=3, top_p=0.5)), [1, 0, 0, 0])


def test_the_mask_comes_before_truncation() -> None:
    logits = np.log([0.5, 0.05, 0.3, 0.15])
    found = shares(logits, Sampling(top_p=0.85), mask=[False, True, True, True])
    np.testing.assert_allclose(found, [0, 0, 2 / 3, 1 / 3], atol=1e-3)


def test_zero_temperature_takes_the_likeliest_allowed() -> None:
    logits = [3.0, 1.0, 2.0]
    np.testing.assert_array_equal(shares(logits, Sampling(temperature=0)), [1, 0, 0])
    np.testing.assert_array_equal(shares(logits, Sampling(temperature=0), mask=[False, True, True]), [0, 0, 1])


def test_the_ends_of_the_uniform_range_are_safe() -> None:
    logits = np.full((2, 5), -np.inf, np.float32)
    logits[:, 1:4] = 0
    ids = draw(logits, None, Sampling(top_p=1), np.tile([0.0, np.nextafter(1, 0)], (2, 1)))
    assert ids[0] != ids[1]
    assert set(ids.tolist()) <= {1, 2, 3}


@pytest.mark.parametrize("seed", range(20))
def test_truncation_agrees_with_transformers(seed: int) -> None:
    """The set of ids that can be drawn is the one that Hugging Face's warpers leave."""
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (1, 60)).astype(np.float32)
    temperature, k, p = float(rng.uniform(0.5, 1.5)), int(rng.integers(1, 60)), float(rng.uniform(0.05, 0.99))
    scores = torch.from_numpy(logits)
    for warper in (TemperatureLogitsWarper(temperature), TopKLogitsWarper(k), TopPLogitsWarper(p)):
        scores = warper(None, scores)
    expected = scores.softmax(-1)[0].numpy()
    found = shares(logits[0], Sampling(temperature=temperature, top_k=k, top_p=p))
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_impossible_sampling_reports_all_faults() -> None:
    with pytest.raises(InputError, match=r"temperature is -1.*top_k is -2.*top_p is 0.*guidance is nan"):
        Sampling(temperature=-1, top_k=-2, top_p=0, guidance=float("nan"))


# ---------------------------------------------------------------------------------------------------------- generating


@pytest.mark.parametrize("kind", ["float32", "torch"])
def test_greedy_equals_transformers(folder: Path, reference: LlamaForCausalLM, kind: str) -> None:
    prefix = [3, 14, 15, 92, 65]
    with torch.inference_mode():
        expected = reference.generate(
            torch.tensor([prefix]), do_sample=False, min_new_tokens=80, max_new_tokens=80, pad_token_id=0
        )[0, len(prefix) :]
    rows = generate(Sampler(make_engine(folder, kind)), 2, Free(80), prefix=prefix, sampling=Sampling(temperature=0))
    assert ids_of(rows) == [expected.tolist()] * 2


def test_every_id_obeys_the_mask() -> None:
    def allowed(step: int, row: int) -> range:
        return range(1 + (7 * step + row) % 50, 6 + (7 * step + row) % 50)

    rows = generate(Sampler(Uniform()), 4, Masked(allowed, 60))
    for number, row in enumerate(rows):
        assert all(token in allowed(step, number) for step, token in enumerate(row.ids.tolist()))
    counts = np.concatenate([row.ids - [allowed(s, n).start for s in range(60)] for n, row in enumerate(rows)])
    assert set(counts.tolist()) == set(range(5))


def test_forced_ids_cost_no_step() -> None:
    engine = Uniform()
    grammar = Masked(lambda step, row: range(1, 50) if step % 6 == 5 else [10 + step], 24)
    rows = generate(Sampler(engine), 3, grammar)
    assert engine.loaded == [[5, 6, 7, 10, 11, 12, 13, 14]]  # what is forced at first joins the prefix
    assert engine.n_steps == 3
    assert all(row.ids[[0, 4, 6, 22]].tolist() == [10, 14, 16, 32] for row in rows)


def test_each_row_stops_by_itself() -> None:
    lengths = (5, 40, 1, 17)
    grammar = Masked(lambda step, row: range(1, VOCAB), *lengths)
    engine = Uniform()
    rows = generate(Sampler(engine), 4, grammar)
    assert tuple(row.n_tokens for row in rows) == lengths
    assert all((row.ids != 0).all() for row in rows)
    assert [ids.tolist() for ids in grammar.seen[20:22]] == [[0, row, 0, 0] for row in rows[1].ids[20:22].tolist()]
    assert len(engine.histories) == 1  # the finished rows have left the batch
    assert engine.histories[0] == [5, 6, 7, *rows[1].ids[:-1].tolist()]


def test_finished_rows_leave_the_others_alone(folder: Path) -> None:
    sampler = Sampler.from_pretrained(folder, dtype="float32")
    alike = generate(sampler, 3, Free(50))
    ragged = generate(sampler, 3, Free(20, 50, 3))
    assert ids_of(ragged) == [row[:n] for row, n in zip(ids_of(alike), (20, 50, 3), strict=True)]


def test_the_pad_id_can_be_drawn_where_nothing_forbids_it() -> None:
    logits = np.full(VOCAB, -50.0)
    logits[0] = 0
    assert ids_of(generate(Sampler(Uniform(logits)), 2, Free(4))) == [[0] * 4] * 2


def test_a_seed_is_a_piece(folder: Path) -> None:
    sampler = Sampler.from_pretrained(folder)
    first, again, other = (generate(sampler, 3, Free(40), seed) for seed in (1, 1, 2))
    assert ids_of(first) == ids_of(again)
    assert ids_of(first) != ids_of(other)
    assert all(row.ids.dtype == np.uint16 for row in first)


def test_a_row_does_not_depend_on_how_many_follow() -> None:
    # Rows 0 and 1 are forced where row 2 is free: their draws must not shift.
    grammar = [Masked(lambda step, row: range(1, 90) if row == 2 or step % 3 else [5], 300) for _ in range(2)]
    assert (
        ids_of(generate(Sampler(Uniform()), 2, grammar[0])) == ids_of(generate(Sampler(Uniform()), 3, grammar[1]))[:2]
    )


def test_max_tokens_and_progress() -> None:
    told: list[int] = []
    rows = generate(Sampler(Uniform()), 2, Free(100), max_tokens=9, progress=told.append)
    assert [row.n_tokens for row in rows] == [9, 9]
    assert told == list(range(1, 10))


def test_guidance_of_one_is_no_guidance(folder: Path) -> None:
    sampler = Sampler.from_pretrained(folder)
    plain = generate(sampler, 2, Free(30))
    assert ids_of(generate(sampler, 2, Free(30), unconditional_prefix=[9, 9, 9])) == ids_of(plain)
    # The same prefix twice: c = u, so any guidance leaves the logits as they are.
    twice = generate(sampler, 2, Free(30), sampling=Sampling(guidance=3.0), unconditional_prefix=[5, 6, 7])
    assert ids_of(twice) == ids_of(plain)


def test_guidance_moves_away_from_the_unconditional(folder: Path, reference: LlamaForCausalLM) -> None:
    """Greedy, against the formula on transformers' logits; control ids differ between the two histories."""

    class Controlled(Masked):
        def unconditional(self, ids: np.ndarray) -> np.ndarray:
            return np.where(ids == 30, 31, ids)

    grammar = Controlled(lambda step, row: [30] if step % 8 == 4 else range(1, VOCAB), 40)
    sampling = Sampling(temperature=0, guidance=2.5)
    sampler = Sampler(make_engine(folder, "float32"))
    (row,) = generate(sampler, 1, grammar, sampling=sampling, unconditional_prefix=[9, 9, 9])
    given, plain = [5, 6, 7], [9, 9, 9]
    for step, token in enumerate(row.ids.tolist()):
        if step % 8 != 4:
            with torch.inference_mode():
                c, u = (reference(torch.tensor([ids])).logits[0, -1].numpy() for ids in (given, plain))
            guided = u + 2.5 * (c - u)
            assert token == 1 + guided[1:].argmax()
        given.append(token)
        plain.append(31 if token == 30 else token)
    ungided = generate(sampler, 1, Masked(grammar.allowed, 40), sampling=Sampling(temperature=0))
    assert ids_of([row]) != ids_of(ungided)


def test_histories_are_cut_at_a_bar() -> None:
    bar = 3
    engine = Uniform(context=40)
    grammar = Masked(lambda step, row: [bar] if step % (7 + row) == 0 else range(10, 90), 200)
    rows = generate(Sampler(engine), 2, grammar, cut_ids=[bar])
    assert [row.n_tokens for row in rows] == [200, 200]
    cuts = engine.loaded[1:]
    assert len(cuts) >= 2 * 6
    for history in cuts:
        assert history[:4] == [5, 6, 7, bar]
        assert 3 + 7 <= len(history) <= 3 + 18  # about half of the 37 that the prefix leaves
    # A cut history is the row's own past.
    texts = ["," + ",".join(map(str, row.ids.tolist())) + "," for row in rows]
    assert all(any("," + ",".join(map(str, h[3:])) + "," in text for text in texts) for h in cuts)


def test_histories_without_bars_are_cut_anywhere() -> None:
    engine = Uniform(context=20)
    rows = generate(Sampler(engine), 1, Free(100))
    assert rows[0].n_tokens == 100
    assert engine.loaded[1][:3] == [5, 6, 7]
    assert engine.loaded[1][3:] == rows[0].ids.tolist()[9:17]


def test_a_forced_stretch_longer_than_the_context_is_survived() -> None:
    engine = Uniform(context=20)
    grammar = Masked(lambda step, row: range(1, 90) if step in (0, 70) else [1 + step], 75)
    rows = generate(Sampler(engine), 2, grammar)
    assert [row.n_tokens for row in rows] == [75, 75]
    assert engine.loaded[-1][-1] == 70


@pytest.mark.parametrize("kind", ["float32", "torch"])
def test_a_cut_history_gives_the_logits_of_what_is_left(folder: Path, reference: LlamaForCausalLM, kind: str) -> None:
    """Greedy past a short context equals transformers on the cut history, written out."""
    sampler = Sampler(make_engine(folder, kind), context=32)
    (row,) = generate(sampler, 1, Free(120), sampling=Sampling(temperature=0))
    prefix, history = [5, 6, 7], []
    for token in row.ids.tolist():
        if len(prefix) + len(history) > 32:
            history = [*history[:-1][-14:], history[-1]]
        with torch.inference_mode():
            logits = reference(torch.tensor([prefix + history])).logits[0, -1]
        assert token == int(logits.argmax())
        history.append(token)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prefix": []}, "at least one integer id"),
        ({"prefix": [1.5]}, "float64 of shape"),
        ({"prefix": [1, VOCAB]}, f"has the id {VOCAB}, legal are 0 to {VOCAB - 1}"),
        ({"prefix": [-3]}, "has the id -3"),
        ({"prefix": [1] * 10_000}, "has 10000 ids, and the model's context leaves room for 9998"),
        ({"sampling": Sampling(guidance=2)}, "needs an unconditional prefix"),
        ({"sampling": Sampling(guidance=2), "unconditional_prefix": [1]}, "equally long, not 3 and 1 ids"),
    ],
)
def test_wrong_requests_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        generate(Sampler(Uniform()), 1, Free(5), **options)


def test_no_rows_are_refused() -> None:
    with pytest.raises(InputError, match="n_rows is 0"):
        generate(Sampler(Uniform()), 0, Free(5))
