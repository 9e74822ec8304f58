"""Attribute extraction as a scikit-learn transformer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from muse.attributes.extract import column_names, extract
from muse.errors import InputError
from muse.score import Score

__all__ = ["AttributeExtractor"]


class AttributeExtractor(TransformerMixin, BaseEstimator):
    """Measure attributes of scores: the first step of a scikit-learn pipeline.

    Parameters
    ----------
    names
        Attributes or columns of the catalogue; all of them when None.
    bars
        None: each score is measured as a whole. Otherwise in windows of this many bars, and a row is the mean of the
        windows in which the attribute is defined.

    Attributes
    ----------
    n_features_out_ : int
        Number of columns.

    Examples
    --------
    >>> import symusic
    >>> AttributeExtractor(names=["Total Number of Notes"]).fit_transform([symusic.Score(480)])
    array([[0.]])
    """

    def __init__(self, names: Sequence[str] | None = None, bars: int | None = None) -> None:
        self.names = names
        self.bars = bars

    def fit(self, X: Iterable[Any], y: Any = None) -> AttributeExtractor:
        """Check the parameters; nothing is learnt from the scores.

        Raises
        ------
        InputError
            Unknown attribute, window shorter than a bar, or a single score where a list is expected.
        """
        _check_collection(X)
        if self.bars is not None and self.bars < 1:
            raise InputError(f"bars={self.bars}: windows have at least one bar")
        self.n_features_out_ = len(column_names(self.names))
        return self

    def transform(self, X: Iterable[Any]) -> NDArray[np.float64]:
        """Measure scores.

        Parameters
        ----------
        X
            Scores, or what :func:`muse.read_score` reads: paths, MIDI bytes, objects of other libraries.

        Returns
        -------
        float64 ``[n_scores, n_columns]``, NaN where undefined.

        Raises
        ------
        InputError
            A file that cannot be read.
        """
        columns = column_names(self.names)
        rows = [self._row(item) for item in _check_collection(X)]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(columns))

    def _row(self, item: Any) -> NDArray[np.float64]:
        values = extract(item, names=self.names, bars=self.bars).values.astype(np.float64)
        defined = ~np.isnan(values)
        count = defined.sum(axis=0)
        total = np.where(defined, values, 0.0).sum(axis=0)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Names of the columns, as an array of str. ``input_features`` is ignored: scores have none."""
        return np.array(column_names(self.names), dtype=object)

    def __sklearn_tags__(self) -> Any:
        """Scores are no matrix, and nothing is fitted."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        tags.requires_fit = False
        return tags


def _check_collection(X: Iterable[Any]) -> Iterable[Any]:
    if isinstance(X, (str, bytes, bytearray, Path, Score)):
        raise InputError(f"X is a single {type(X).__name__}: give a list of scores, [X]")
    return X
