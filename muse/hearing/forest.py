"""Grown trees as flat arrays, so that a checkpoint holds numbers alone.

Contents: :class:`Forest`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Forest"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Forest:
    """Grown trees in flat arrays, a row per node."""

    root: NDArray[Any]
    """Node that a tree begins with, int [trees]."""
    feature: NDArray[Any]
    """Column that a node asks for, int [nodes]; -1 in leaves."""
    threshold: NDArray[Any]
    """Values up to here go to the left, float [nodes]."""
    child: NDArray[Any]
    """Left and right child, int [nodes, 2]."""
    value: NDArray[Any]
    """Prediction of a node, float [nodes, outputs]."""

    @classmethod
    def of(cls, trees: Sequence[Any]) -> Forest:
        """The trees of a fitted ensemble of scikit-learn (its ``tree_`` objects)."""
        root = np.cumsum([0, *(tree.node_count for tree in trees[:-1])])
        child = [
            np.stack([tree.children_left, tree.children_right], axis=1) + first
            for tree, first in zip(trees, root, strict=True)
        ]
        # Regression has values [nodes, outputs, 1], classification shares [nodes, 1, classes].
        value = [tree.value.reshape(tree.node_count, -1) for tree in trees]
        return cls(
            root.astype(np.int32),
            np.concatenate([np.maximum(tree.feature, -1) for tree in trees]).astype(np.int16),
            np.concatenate([tree.threshold for tree in trees]).astype(np.float32),
            np.concatenate(child).astype(np.int32),
            np.concatenate(value).astype(np.float32),
        )

    def is_sound(self, n_columns: int, n_outputs: int) -> bool:
        """Whether :meth:`mean` works and ends: shapes fit, and every way leads on to later nodes."""
        n = len(self.feature)
        shapes = {"feature": (n,), "threshold": (n,), "child": (n, 2), "value": (n, n_outputs)}
        arrays = {name: getattr(self, name) for name in shapes}
        if n == 0 or self.root.ndim != 1 or len(self.root) == 0:
            return False
        if any(arrays[name].shape != shape for name, shape in shapes.items()):
            return False
        if any(one.dtype.kind != "i" for one in (self.root, self.feature, self.child)):
            return False
        inner = np.flatnonzero(self.feature >= 0)
        ways = self.child[inner]
        return bool(
            np.isfinite(self.value).all()
            and (self.feature < n_columns).all()
            and ((self.root >= 0) & (self.root < n)).all()
            and ((ways > inner[:, None]) & (ways < n)).all()
        )

    def mean(self, x: Floats) -> Floats:
        """Mean over the trees, float64 [n, outputs], for rows [n, columns]."""
        x = np.asarray(x, np.float32)  # as the trees were grown
        node = np.tile(self.root, (len(x), 1))  # [n, trees]
        rows = np.arange(len(x))[:, None]
        while (inner := self.feature[node] >= 0).any():
            right = x[rows, self.feature[node]] > self.threshold[node]
            node = np.where(inner, self.child[node, right.astype(int)], node)
        return np.asarray(self.value[node].mean(axis=1, dtype=np.float64))
