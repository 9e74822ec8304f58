"""Emotion predicted from a piece's measured attributes, beside what the network predicts from its notes.

Some nine hundred labelled clips and pieces are few for a network and enough for trees: both err, differently, and
together they are right more often than either. Quadrants come from extremely randomised trees (Geurts et al., Machine
Learning 2006) over all attributes of the catalogue, valence and arousal from the mean of such trees and of a ridge
regression (Hoerl & Kennard, Technometrics 1970) on the levels of those attributes that the emotion mapping uses.

:mod:`muse.training.selector.experts` fits them.

Contents: :class:`AttributeExperts`, :class:`Forest`, :func:`predict_plane`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from muse.attributes import SONG_CONTROLS, extract
from muse.attributes.extract import column_names
from muse.checkpoint import check_tensors
from muse.errors import InputError
from muse.files import read_json, write_json
from muse.mapping import EmotionMapper
from muse.score import Score

__all__ = ["AttributeExperts", "Forest", "predict_plane"]

Floats = NDArray[np.float64]

COLUMNS_FILE = "attributes.json"


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


@dataclass(frozen=True)
class AttributeExperts:
    """Fitted experts; see :meth:`fit`."""

    columns: tuple[str, ...]
    """Attributes that the trees ask for."""
    median: NDArray[Any]
    """What stands in for an undefined attribute, [columns]."""
    quadrants: Forest
    """Shares of Q1..Q4."""
    plane: Forest
    """Valence and arousal."""
    weight: NDArray[Any]
    """Of the ridge on levels, [levels, 2]."""
    bias: NDArray[Any]
    """[2]."""
    spread: NDArray[Any]
    """Standard deviation of the error of valence and arousal on pieces that were not learnt from, [2]."""
    mapper: EmotionMapper
    """Has the levels."""

    def predict(self, score: Score) -> tuple[Floats, Floats]:
        """Probabilities of the quadrants [4]; valence and arousal [2] in -1..1."""
        measured = extract(score, names=list(dict.fromkeys([*self.columns, *SONG_CONTROLS])))
        found = measured.to_dict()
        x = np.array([[found[name] for name in self.columns]])
        x = np.where(np.isfinite(x), x, self.median)
        levels = self.mapper.measured_levels(measured)[None]
        return self.quadrants.mean(x)[0], predict_plane(self.plane, self.weight, self.bias, x, levels)[0]

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Arrays by name, to be stored; :meth:`save_columns` has the rest."""
        found = {name: getattr(self, name) for name in ("median", "weight", "bias", "spread")}
        for name in ("quadrants", "plane"):
            found |= {f"{name}.{part}": values for part, values in asdict(getattr(self, name)).items()}
        return found

    def save_columns(self, folder: Path) -> None:
        """Write the names of the attributes."""
        write_json({"columns": list(self.columns)}, folder / COLUMNS_FILE)

    @classmethod
    def load(cls, tensors: Mapping[str, NDArray[Any]], folder: Path) -> AttributeExperts:
        """The experts that were stored.

        Raises
        ------
        InputError
            Something is missing or does not fit.
        """
        document = read_json(folder / COLUMNS_FILE)
        names = document.get("columns") if isinstance(document, dict) else None
        known = set(column_names())
        if not isinstance(names, list) or not all(isinstance(name, str) and name in known for name in names):
            raise InputError(f"{folder / COLUMNS_FILE}: 'columns' is no list of attributes of the catalogue")
        columns = tuple(names)
        try:
            quadrants, plane = (
                Forest(*(tensors[f"{name}.{part}"] for part in Forest.__dataclass_fields__))
                for name in ("quadrants", "plane")
            )
            median, weight, bias, spread = (tensors[name] for name in ("median", "weight", "bias", "spread"))
        except KeyError as error:
            raise InputError(f"{folder}: the experts on attributes lack {error}: get the checkpoint again") from None
        mapper = EmotionMapper.from_pretrained()
        flat = {"median": (len(columns),), "weight": (len(mapper.neutral_), 2), "bias": (2,), "spread": (2,)}
        check_tensors(folder, {name: tensors[name] for name in flat}, flat)
        if not (quadrants.is_sound(len(columns), 4) and plane.is_sound(len(columns), 2)):
            raise InputError(f"{folder}: the experts on attributes are damaged: get the checkpoint again")
        return cls(columns, median, quadrants, plane, weight, bias, spread, mapper)


def predict_plane(forest: Forest, weight: NDArray[Any], bias: NDArray[Any], x: Floats, levels: Floats) -> Floats:
    """Valence and arousal in -1..1 [n, 2]: the mean of trees on attributes `x` [n, columns] and of a linear function,
    `weight` and `bias`, of `levels` [n, attributes of the mapping]."""
    return np.clip((forest.mean(x) + levels @ weight + bias) / 2, -1, 1)
