"""Engines: what computes the logits of the next token, with the cache of keys and values."""

import importlib.util

from muse.generator.engines.engine import Cache, Engine, Shape
from muse.generator.engines.onnx import OnnxEngine
from muse.generator.engines.shared import SharedEngine
from muse.generator.engines.torch import TorchEngine

__all__ = ["Cache", "Engine", "OnnxEngine", "Shape", "SharedEngine", "TorchEngine", "has_onnx_runtime"]


def has_onnx_runtime() -> bool:
    """Whether :class:`OnnxEngine` can run here."""
    return importlib.util.find_spec("onnxruntime") is not None
