"""Fine-tuned layers and heads as an ONNX graph, which :class:`muse.prompts.text.tuned.Tuned` runs.

Contents: :func:`sentence_graph`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from muse.errors import require
from muse.prompts.text.tuned import HEADS, STATES
from muse.training.prompts.finetune import N_HEADS, N_LAYERS, WIDTH

__all__ = ["sentence_graph"]

Array = np.ndarray[Any, np.dtype[Any]]

OPSET, IR_VERSION = 18, 9
"""What ONNX Runtime 1.22 and later read."""
_EPSILON: Final = 1e-12
"""Of the layer normalization, as in BERT."""


def sentence_graph(weights: Mapping[str, Array]) -> bytes:
    """The graph as a file.

    Parameters
    ----------
    weights
        As :func:`muse.training.prompts.finetune.finetune` gives them: ``<layer>.<part>.weight`` [out, in] and
        ``.bias``, ``pool.weight`` [1, 384], ``<head>.weight``, ``<head>.bias``, ``<head>.mean``, ``<head>.scale``.
        Matrices are stored in 16 bits and computed with in 32.

    Returns
    -------
    bytes
        Input ``states`` float32 [B, T, 384], outputs by the names of :data:`~muse.prompts.text.tuned.HEADS`
        float32 [B, n].

    Raises
    ------
    MissingExtraError
        The package ``onnx`` is not installed.
    """
    graph = _Graph(weights)
    x = STATES
    for layer in range(N_LAYERS):
        x = graph.layer(x, f"{layer}.")
    attention = graph.node("Softmax", [graph.product(x, "pool.weight")], axis=1)
    tokens = graph.constant("tokens", np.array([1], np.int64))
    mean = graph.node("ReduceMean", [x, tokens], keepdims=0)
    weighed = graph.node("ReduceSum", [graph.node("Mul", [x, attention]), tokens], keepdims=0)
    pooled = graph.node("Concat", [mean, weighed], axis=-1)
    for head in HEADS:
        out = graph.affine(pooled, head)
        if f"{head}.scale" in weights:  # back from standardised ratings
            scaled = graph.node("Mul", [out, graph.weight(f"{head}.scale")])
            out = graph.node("Add", [scaled, graph.weight(f"{head}.mean")])
        graph.node("Identity", [out], name=head)
    return graph.to_bytes()


class _Graph:
    """A graph that grows node by node; every method gives the name of the value that it made."""

    def __init__(self, weights: Mapping[str, Array]) -> None:
        self._onnx = require("onnx", "train", "Writing the sentence network")
        self._weights = weights
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def node(self, kind: str, inputs: Sequence[str], *, name: str = "", **options: Any) -> str:
        """An operator of ONNX."""
        name = name or f"{kind}_{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(kind, list(inputs), [name], **options))
        return name

    def constant(self, name: str, value: Array) -> str:
        """A constant, stored once."""
        if name not in self._constants:
            self._constants[name] = self._onnx.numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def scalar(self, name: str, value: float) -> str:
        """A number."""
        return self.constant(name, np.array(value, np.float32))

    def weight(self, name: str) -> str:
        """A vector of the network."""
        return self.constant(name, self._weights[name].astype(np.float32))

    def product(self, x: str, name: str) -> str:
        """`x` times the transpose of a matrix of the network."""
        stored = self.constant(name, self._weights[name].T.astype(np.float16))
        return self.node("MatMul", [x, self.node("Cast", [stored], to=self._onnx.TensorProto.FLOAT)])

    def affine(self, x: str, part: str) -> str:
        """A fully connected layer."""
        return self.node("Add", [self.product(x, f"{part}.weight"), self.weight(f"{part}.bias")])

    def norm(self, x: str, part: str) -> str:
        """Layer normalization."""
        inputs = [x, self.weight(f"{part}.weight"), self.weight(f"{part}.bias")]
        return self.node("LayerNormalization", inputs, epsilon=_EPSILON)

    def gelu(self, x: str) -> str:
        """Gaussian error linear unit (Hendrycks & Gimpel 2016), exact."""
        half, one = self.scalar("half", 0.5), self.scalar("one", 1.0)
        root = self.scalar("root_half", 0.5**0.5)
        error = self.node("Erf", [self.node("Mul", [x, root])])
        return self.node("Mul", [self.node("Mul", [x, half]), self.node("Add", [error, one])])

    def layer(self, x: str, at: str) -> str:
        """A layer of BERT: attention, then a network of two, each added to its input and normalized."""
        apart = self.constant("apart", np.array([0, 0, N_HEADS, WIDTH // N_HEADS], np.int64))
        together = self.constant("together", np.array([0, 0, WIDTH], np.int64))
        root = self.scalar("root_width", (WIDTH // N_HEADS) ** -0.5)

        def split(part: str, axes: list[int]) -> str:
            heads = self.node("Reshape", [self.affine(x, f"{at}{part}"), apart])
            return self.node("Transpose", [heads], perm=axes)

        queries, keys = split("query", [0, 2, 1, 3]), split("key", [0, 2, 3, 1])
        closeness = self.node("Mul", [self.node("MatMul", [queries, keys]), root])
        mixed = self.node("MatMul", [self.node("Softmax", [closeness], axis=-1), split("value", [0, 2, 1, 3])])
        joined = self.node("Reshape", [self.node("Transpose", [mixed], perm=[0, 2, 1, 3]), together])
        x = self.norm(self.node("Add", [x, self.affine(joined, f"{at}attention")]), f"{at}norm1")
        inner = self.gelu(self.affine(x, f"{at}up"))
        return self.norm(self.node("Add", [x, self.affine(inner, f"{at}down")]), f"{at}norm2")

    def to_bytes(self) -> bytes:
        """The graph as a checked file."""
        helper, kind = self._onnx.helper, self._onnx.TensorProto.FLOAT
        given = [helper.make_tensor_value_info(STATES, kind, ["texts", "tokens", WIDTH])]
        outputs = [helper.make_tensor_value_info(head, kind, ["texts", n]) for head, n in HEADS.items()]
        graph = helper.make_graph(self._nodes, "sentences", given, outputs, list(self._constants.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        self._onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString())
