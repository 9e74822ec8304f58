"""Engines: what computes the logits of the next token, with the cache of keys and values."""

from muse.generator.engines.engines import Engine, OnnxEngine, Shape, TorchEngine, has_onnx_runtime

__all__ = ["Engine", "OnnxEngine", "Shape", "TorchEngine", "has_onnx_runtime"]
