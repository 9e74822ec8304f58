"""Emotion predicted from what is measured in a piece, beside what the network predicts from its notes.

Some nine hundred labelled clips and pieces are few for a network and enough for plainer learners: both err,
differently, and together they are right more often than either. Quadrants come from kernel machines and trees on plain
features (:mod:`muse.hearing.quadrants`); valence and arousal from the mean of extremely randomised trees (Geurts et
al., Machine Learning 2006) over all attributes of the catalogue and of a ridge regression (Hoerl & Kennard,
Technometrics 1970) on the levels of those attributes that the emotion mapping uses.

:mod:`muse.training.selector.experts` fits them.

Contents: :class:`AttributeExperts`, :func:`predict_plane`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from muse.attributes import SONG_CONTROLS, extract
from muse.attributes.extract import column_names
from muse.checkpoint import check_tensors, under
from muse.errors import InputError
from muse.files import read_json, write_json
from muse.hearing.features import feature_names, hearings
from muse.hearing.forest import Forest
from muse.hearing.quadrants import QuadrantStack
from muse.mapping import EmotionMapper
from muse.score import Score

__all__ = ["AttributeExperts", "predict_plane"]

Floats = NDArray[np.float64]

COLUMNS_FILE = "attributes.json"
FLAT = ("median", "weight", "bias", "spread", "middle")
"""Fields that are one array each."""


@dataclass(frozen=True)
class AttributeExperts:
    """Fitted experts."""

    columns: tuple[str, ...]
    """Attributes that the trees ask for."""
    median: NDArray[Any]
    """What stands in for an undefined attribute, [columns]."""
    quadrants: QuadrantStack
    """Asks for the features of :func:`muse.hearing.features.hearings`."""
    plane: Forest
    """Valence and arousal."""
    weight: NDArray[Any]
    """Of the ridge on levels, [levels, 2]."""
    bias: NDArray[Any]
    """[2]."""
    spread: NDArray[Any]
    """Standard deviation of the error of valence and arousal on pieces that were not learnt from, [2]."""
    middle: NDArray[Any]
    """Mean valence and arousal of the rated pieces, [2]."""
    mapper: EmotionMapper
    """Has the levels."""

    def predict(self, score: Score) -> tuple[Floats, Floats]:
        """Log probabilities of the quadrants [4]; valence and arousal [2] in -1..1."""
        measured = extract(score, names=list(dict.fromkeys([*self.columns, *SONG_CONTROLS])))
        found = measured.to_dict()
        x = np.array([[found[name] for name in self.columns]])
        x = np.where(np.isfinite(x), x, self.median)
        levels = self.mapper.measured_levels(measured)[None]
        return self._log_quadrants(score), predict_plane(self.plane, self.weight, self.bias, x, levels)[0]

    def _log_quadrants(self, score: Score) -> Floats:
        """All alike where no note is pitched."""
        if not any(len(track.notes) for track in score.tracks if not track.is_drum):
            return np.full(4, -math.log(4))
        return self.quadrants.log_probabilities(hearings(score)[None])[0]

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Arrays by name, to be stored; :meth:`save_columns` has the rest."""
        found = {name: getattr(self, name) for name in FLAT}
        parts = {"quadrants": self.quadrants.tensors(), "plane": vars(self.plane)}
        return found | {f"{name}.{key}": values for name, part in parts.items() for key, values in part.items()}

    def save_columns(self, folder: Path) -> None:
        """Write the names of the attributes and of the features."""
        write_json({"columns": list(self.columns), "features": list(feature_names())}, folder / COLUMNS_FILE)

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
        if document.get("features") != list(feature_names()):
            raise InputError(f"{folder / COLUMNS_FILE}: 'features' are of another version: fit the experts again")
        columns = tuple(names)
        try:
            quadrants = QuadrantStack.of(under(tensors, "quadrants."))
            plane = Forest(*(tensors[f"plane.{part}"] for part in Forest.__dataclass_fields__))
            median, weight, bias, spread, middle = (tensors[name] for name in FLAT)
        except KeyError as error:
            raise InputError(f"{folder}: the experts on attributes lack {error}: get the checkpoint again") from None
        mapper = EmotionMapper.from_pretrained()
        flat = {
            "median": (len(columns),),
            "weight": (len(mapper.neutral_), 2),
            "bias": (2,),
            "spread": (2,),
            "middle": (2,),
        }
        check_tensors(folder, {name: tensors[name] for name in flat}, flat)
        if not (quadrants.is_sound(len(feature_names())) and plane.is_sound(len(columns), 2)):
            raise InputError(f"{folder}: the experts on attributes are damaged: get the checkpoint again")
        return cls(columns, median, quadrants, plane, weight, bias, spread, middle, mapper)


def predict_plane(forest: Forest, weight: NDArray[Any], bias: NDArray[Any], x: Floats, levels: Floats) -> Floats:
    """Valence and arousal in -1..1 [n, 2]: the mean of trees on attributes `x` [n, columns] and of a linear function,
    `weight` and `bias`, of `levels` [n, attributes of the mapping]."""
    return np.clip((forest.mean(x) + levels @ weight + bias) / 2, -1, 1)
