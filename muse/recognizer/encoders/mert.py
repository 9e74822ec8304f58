"""MERT, a HuBERT network for music at 24 kHz, in the HuBERT classes of ``transformers``; no code of a hub is run.

Li et al. 2024, "MERT: Acoustic music understanding model with large-scale self-supervised training", ICLR.

Its published weights (``m-a-p/MERT-v1-95M``, ``m-a-p/MERT-v1-330M``) are CC BY-NC 4.0 and do not come with Muse.

Conventions
-----------
layer
    0: what goes into the first transformer layer, ``n``: what comes out of the n-th.
frame
    320 samples: 75 a second. A step of half a second has 37 or 38 of them.

Contents: :class:`MertEncoder`, :func:`hubert_tensors`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from muse.checkpoint import Settings, load_tensors
from muse.errors import InputError

if TYPE_CHECKING:
    from transformers import HubertModel

__all__ = ["MertEncoder", "hubert_tensors"]

Floats = NDArray[np.float32]

LAYERS: Final = (5, 6)
"""Kang & Herremans 2025, section 3.1."""
CHUNK_STEPS: Final = 60
"""Half a minute at once, as there."""
HUBS_FILES: Final = ("config.json", "preprocessor_config.json", "*.safetensors", "*.safetensors.index.json")
OTHER_HEADS: Final = ("label_embs_concat", "final_proj", "encoder_cqt_model", "cqt", "quantizer", "lm_head")
"""Beginnings of names that only pre-training needs."""


class MertEncoder:
    """Mean hidden states of every half second, from some of MERT's layers.

    Parameters
    ----------
    model
        A HuBERT network, such as MERT.
    layers
        Whose hidden states are joined.
    sample_rate
        Of the sound that it was trained on, hertz.
    normalize
        Every half minute is brought to zero mean and unit variance first.
    name
        Where it came from.
    """

    def __init__(
        self,
        model: HubertModel,
        layers: Sequence[int] = LAYERS,
        sample_rate: int = 24_000,
        normalize: bool = False,
        name: str = "mert",
    ) -> None:
        n = model.config.num_hidden_layers
        if not layers or min(layers) < 0 or max(layers) > n:
            raise InputError(f"layers {tuple(layers)}: this MERT has layers 0 to {n}")
        self.model = model.eval().requires_grad_(False)
        self.layers, self.sample_rate, self.normalize = tuple(layers), sample_rate, normalize
        self.width = model.config.hidden_size * len(self.layers)
        self.name = name

    @classmethod
    def from_pretrained(
        cls, name_or_path: str | Path, layers: Sequence[int] = LAYERS, *, revision: str | None = None
    ) -> MertEncoder:
        """Load a checkpoint from a folder, or from the Hugging Face hub (``m-a-p/MERT-v1-95M``).

        Parameters
        ----------
        name_or_path
            Folder with ``config.json`` and safetensors, or the name of a repository on the hub.
        layers
            Whose hidden states are joined.
        revision
            Of the repository, for instance a pull request that adds safetensors (``refs/pr/7``).

        Raises
        ------
        InputError
            There are no safetensors, or it is another architecture.
        """
        folder = Path(name_or_path)
        if not folder.is_dir():
            folder = _fetched(str(name_or_path), revision)
        settings = Settings.read(folder / "config.json")
        if not any(folder.glob("*.safetensors")):
            raise InputError(
                f"{folder} has no safetensors, and Muse does not unpickle weights: convert pytorch_model.bin to "
                "model.safetensors (huggingface.co/spaces/safetensors/convert does), or name a revision that has them"
            )
        shape, tensors = _shape(settings, folder), _checked(load_tensors(folder), folder)
        with torch.device("meta"):
            _check_fit(_empty(shape, folder), tensors, folder)  # before memory is taken
        model = _empty(shape, folder)
        own = model.state_dict()
        model.load_state_dict({name: value for name, value in tensors.items() if name in own}, strict=False)
        facts = folder / "preprocessor_config.json"
        normalize = facts.is_file() and bool(Settings.read(facts).values.get("do_normalize"))
        rate = settings.whole("sample_rate", 8_000, 192_000, 24_000)
        return cls(model, layers, rate, normalize, str(name_or_path))

    @torch.inference_mode()
    def encode(self, samples: Floats) -> Floats:
        """Float32 [steps, layers times hidden size] of samples [n] at ``sample_rate``."""
        step = self.sample_rate // 2
        n_steps = max(-(-len(samples) // step), 1)
        whole = np.pad(samples, (0, n_steps * step - len(samples)))
        rows = []
        for first in range(0, n_steps, CHUNK_STEPS):
            chunk = whole[first * step : (first + CHUNK_STEPS) * step]
            if self.normalize:
                chunk = (chunk - chunk.mean()) / np.sqrt(chunk.var() + 1e-7)
            output = self.model(torch.from_numpy(chunk.astype(np.float32))[None], output_hidden_states=True)
            hidden = torch.cat([output.hidden_states[layer][0] for layer in self.layers], dim=1)
            rows.append(_per_step(hidden, len(chunk) // step))
        return torch.cat(rows).numpy()


def _per_step(hidden: torch.Tensor, n_steps: int) -> torch.Tensor:
    """Means of frames [T, D] over equal stretches, [n_steps, D]."""
    edges = torch.linspace(0, len(hidden), n_steps + 1).round().long()
    total = torch.cat([torch.zeros(1, hidden.shape[1]), hidden.cumsum(dim=0)])
    first, last = edges[:-1], torch.maximum(edges[1:], edges[:-1] + 1).clamp(max=len(hidden))
    first = torch.minimum(first, last - 1)
    return (total[last] - total[first]) / (last - first)[:, None]


def _fetched(name: str, revision: str | None) -> Path:
    """Folder of a repository of the hub, its weights and settings only."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(HUBS_FILES)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise InputError(
            f"{name!r} is no folder, and the hub does not give it ({str(error).splitlines()[0]}): give the folder of a "
            "checkpoint"
        ) from None


LIMITS: Final = {
    "hidden_size": 8192,
    "num_hidden_layers": 128,
    "num_attention_heads": 256,
    "intermediate_size": 65_536,
    "num_conv_pos_embeddings": 4096,
    "num_conv_pos_embedding_groups": 4096,
}
"""Of a network's shape: far beyond any MERT, and small enough to refuse the rest at once."""


def _shape(settings: Settings, folder: Path) -> dict[str, Any]:
    """Arguments of HuBERT's configuration from a MERT's."""
    from transformers import HubertConfig

    config = settings.values
    if config.get("model_type") not in ("mert_model", "hubert"):
        raise InputError(f"{folder} holds {config.get('model_type')!r}: give a checkpoint of MERT or HuBERT")
    if config.get("deepnorm") or config.get("feature_extractor_cqt"):
        raise InputError(f"{folder}: a MERT with deepnorm or CQT input is none that HuBERT computes: give a MERT-v1")
    known = HubertConfig().to_dict()
    for name, most in LIMITS.items():
        settings.whole(name, 1, most, known[name])
    conv = config.get("conv_dim", known["conv_dim"])
    if not isinstance(conv, list | tuple) or not all(isinstance(n, int) and 0 < n <= 4096 for n in conv):
        raise InputError(f"{settings.path}: conv_dim must be a list of whole numbers in 1..4096")
    # attention_relax shifts the logits of a softmax by their maximum, which changes nothing but overflow in fp16.
    found = {name: value for name, value in config.items() if name in known and name != "model_type"}
    return {**found, "apply_spec_augment": False, "layerdrop": 0.0}


def _empty(shape: Mapping[str, Any], folder: Path) -> HubertModel:
    from transformers import HubertConfig, HubertModel

    try:
        return HubertModel(HubertConfig(**shape))
    except (TypeError, ValueError, KeyError, RuntimeError, AttributeError) as error:
        raise InputError(f"{folder}: config.json is none of a HuBERT ({' '.join(str(error).split())[:200]})") from None


def hubert_tensors(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """MERT's tensors by the names of HuBERT in ``transformers``: prefixes and the weight norm's old names."""
    found = {}
    for name, tensor in tensors.items():
        for prefix in ("mert_model.", "hubert.", "model."):
            name = name.removeprefix(prefix)
        name = name.replace("pos_conv_embed.conv.weight_g", "pos_conv_embed.conv.parametrizations.weight.original0")
        name = name.replace("pos_conv_embed.conv.weight_v", "pos_conv_embed.conv.parametrizations.weight.original1")
        if not name.startswith(OTHER_HEADS):
            found[name] = tensor
    return found


def _checked(tensors: Mapping[str, torch.Tensor], folder: Path) -> dict[str, torch.Tensor]:
    """By HuBERT's names, float32; refused where they are no finite numbers."""
    found = {name: value.float() for name, value in hubert_tensors(tensors).items()}
    for name, value in found.items():
        if not bool(value.isfinite().all()):
            raise InputError(f"{folder}: {name} has values that are no finite numbers: get the checkpoint again")
    return found


def _check_fit(model: HubertModel, tensors: Mapping[str, torch.Tensor], folder: Path) -> None:
    own = model.state_dict()
    missing = sorted(own.keys() - tensors.keys() - {"masked_spec_embed"})
    unknown = sorted(tensors.keys() - own.keys() - {"masked_spec_embed"})
    wrong = sorted(name for name in own.keys() & tensors.keys() if own[name].shape != tensors[name].shape)
    for problem, names in (("lack", missing), ("have unknown", unknown), ("have a wrong shape of", wrong)):
        if names:
            raise InputError(
                f"{folder}: the weights {problem} {names[0]} ({len(names)} in all): get the checkpoint again"
            )
