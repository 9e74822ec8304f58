"""Model sizes: what they promise, and that what they save is an ordinary Hugging Face checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from muse.errors import InputError
from muse.generator.model import MAX_POSITIONS, N_KEY_VALUE_HEADS, PAD_ID, SIZES, build, config


@pytest.mark.parametrize("name", SIZES)
def test_a_size_is_what_it_says(name: str) -> None:
    model = build(name, 700)
    assert sum(parameter.numel() for parameter in model.parameters()) == SIZES[name].n_parameters(700)
    made = model.config
    assert made.num_key_value_heads == N_KEY_VALUE_HEADS
    assert made.num_attention_heads % N_KEY_VALUE_HEADS == 0
    assert made.max_position_embeddings == MAX_POSITIONS
    assert made.intermediate_size % 64 == 0
    assert made.pad_token_id == PAD_ID
    assert model.lm_head.weight is model.model.embed_tokens.weight


@pytest.mark.parametrize(("name", "low", "high"), [("tiny", 1e6, 2e6), ("small", 7.5e6, 8.5e6), ("base", 26e6, 30e6)])
def test_sizes_are_as_large_as_documented(name: str, low: float, high: float) -> None:
    assert low < SIZES[name].n_parameters(700) < high


def test_a_saved_model_loads_as_any_causal_model(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = build("tiny", 300).eval()
    model.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    ids = torch.randint(0, 300, (2, 30))
    with torch.inference_mode():
        assert torch.equal(model(ids).logits, loaded(ids).logits)


def test_the_present_does_not_see_the_future() -> None:
    torch.manual_seed(0)
    model = build("tiny", 300).eval()
    ids = torch.randint(0, 300, (1, 20))
    changed = ids.clone()
    changed[0, 12:] = (changed[0, 12:] + 1) % 300
    with torch.inference_mode():
        difference = (model(ids).logits - model(changed).logits).abs().amax(-1)[0]
    assert difference[:12].max() < 1e-5
    assert difference[12:].min() > 1e-3


def test_wrong_requests_are_named() -> None:
    with pytest.raises(InputError, match="unknown model size 'large'; the sizes are micro, tiny,"):
        config("large", 700)
    with pytest.raises(InputError, match="vocab_size is 1"):
        build("tiny", 1)
