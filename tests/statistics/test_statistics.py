"""Statistics against SciPy, closed cases and what widens or narrows an interval."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from muse.errors import InputError
from muse.statistics import bootstrap, mean_of_defined, mean_with_interval, spearman


def test_rank_correlation_agrees_with_scipy(rng: np.random.Generator) -> None:
    from scipy.stats import spearmanr

    x = rng.integers(0, 6, 50).astype(float)
    y = x + rng.normal(0, 2, 50)
    assert spearman(x, y) == pytest.approx(float(spearmanr(x, y).statistic))
    y[:10] = np.nan
    assert spearman(x, y) == pytest.approx(float(spearmanr(x[10:], y[10:]).statistic))
    assert np.isnan(spearman([1, 1, 1], [1, 2, 3]))
    assert np.isnan(spearman([1, 2], [1, 2]))


def test_bootstrap_widens_for_groups_and_narrows_for_strata(rng: np.random.Generator) -> None:
    groups = np.repeat(np.arange(10), 20)
    values = rng.normal(size=10)[groups] + rng.normal(0, 0.01, 200)

    def width(**how: Any) -> float:
        low, high = bootstrap(values, lambda v: float(v.mean()), **how)
        assert low < values.mean() < high
        return high - low

    assert width(groups=groups) > 2 * width() > 4 * width(strata=groups)
    with pytest.raises(InputError, match="groups or strata"):
        bootstrap(values, np.mean, groups=groups, strata=groups)


def test_means_leave_out_what_is_undefined() -> None:
    mean, (low, high) = mean_with_interval(np.array([1.0, 2.0, 3.0, np.nan]))
    assert mean == 2 and 1 <= low < 2 < high <= 3
    assert np.isnan(mean_with_interval(np.array([np.nan]))[0])
    assert mean_of_defined(np.array([1.0, np.inf, 3.0])) == 2.0
    assert np.isnan(mean_of_defined(np.array([])))
