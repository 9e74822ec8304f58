"""Attribute extraction under scikit-learn's conventions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

from muse.attributes import COLUMNS, AttributeExtractor, extract
from muse.errors import InputError
from muse.score import Score, note_array, write_score

NAMES = ["Mean Pitch", "Chord Type Histogram", "Note Density"]


def test_rows_equal_extract(song: Score, tmp_path: Path) -> None:
    path = tmp_path / "song.mid"
    write_score(song, path)
    extractor = AttributeExtractor(names=NAMES)
    rows = extractor.fit_transform([song, path, str(path), path.read_bytes()])
    assert rows.shape == (4, 13) == (4, extractor.n_features_out_)
    np.testing.assert_allclose(rows[0], extract(song, names=NAMES).values[0])
    np.testing.assert_allclose(rows[1:], np.broadcast_to(rows[0], (3, 13)), rtol=1e-5)
    names = extractor.get_feature_names_out()
    assert names.dtype == object
    assert names.tolist() == ["Mean Pitch", *[f"Chord Type Histogram_{i}" for i in range(11)], "Note Density"]
    assert AttributeExtractor().fit([]).get_feature_names_out().tolist() == list(COLUMNS)
    assert AttributeExtractor().fit_transform([]).shape == (0, len(COLUMNS))


def test_windows_are_averaged_where_defined(song: Score) -> None:
    names = ["Mean Dynamics", "Importance of Loudest Voice", "Note Density"]
    rows = AttributeExtractor(names=names, bars=2).fit_transform([song])
    np.testing.assert_allclose(rows[0], np.nanmean(extract(song, names=names, bars=2).values, axis=0), rtol=1e-6)


def test_parameters_follow_the_conventions(song: Score) -> None:
    extractor = AttributeExtractor(names=NAMES, bars=4)
    assert extractor.get_params() == {"names": NAMES, "bars": 4}
    copy = clone(extractor).set_params(bars=None)
    assert (copy.names, copy.bars) == (NAMES, None)
    assert not hasattr(copy, "n_features_out_")
    assert extractor.fit([song]) is extractor
    assert extractor.set_output(transform="default").transform([song]).shape == (1, 13)


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_set_params,
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_estimator_tags_renamed,
        estimator_checks.check_valid_tag_types,
    ],
    ids=lambda check: check.__name__,
)
def test_scikit_learns_own_checks(check: Callable[[str, AttributeExtractor], None]) -> None:
    """Those of ``check_estimator`` that do not feed a matrix of numbers."""
    check("AttributeExtractor", AttributeExtractor())


def test_in_a_pipeline(song: Score) -> None:
    higher = song.copy()
    higher.shift_pitch(5, inplace=True)
    steps = make_pipeline(AttributeExtractor(names=["Mean Pitch", "Mode Clarity"]), SimpleImputer(), StandardScaler())
    assert len(note_array(song)) > 0
    scaled = steps.fit_transform([song, higher])
    np.testing.assert_allclose(scaled[:, 0], [-1.0, 1.0], atol=1e-6)
    assert steps.get_feature_names_out().tolist() == ["Mean Pitch", "Mode Clarity"]


def test_slips_are_told(song: Score, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"give a list of scores, \[X\]"):
        AttributeExtractor().fit(song)
    with pytest.raises(InputError, match="give a list"):
        AttributeExtractor().transform("song.mid")
    with pytest.raises(InputError, match="did you mean 'Mean Pitch'"):
        AttributeExtractor(names=["mean pitch"]).fit([song])
    with pytest.raises(InputError, match="at least one bar"):
        AttributeExtractor(bars=0).fit([song])
    with pytest.raises(InputError, match=r"none\.mid"):
        AttributeExtractor().transform([tmp_path / "none.mid"])
