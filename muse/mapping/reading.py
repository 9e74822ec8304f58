"""Measured attributes on the scale of the music's kind: levels of scores, and of performances.

Music that looks like the first domain rather than like the corpus (a performance: pedal in its note lengths, a
transcriber's velocities) is measured on that domain's scale, without what needs beats.

Contents: :func:`columns_of`, :func:`read_levels`; :class:`Scales`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from muse.attributes import COLUMNS, Attributes, attribute
from muse.mapping.levels import LEVEL_GRID, Floats, to_levels

FLAT_DYNAMICS: Final = 0.5
"""Standard deviation of velocity below which a file was not played by anybody."""


class Scales(NamedTuple):
    """What measured attributes are compared with."""

    names: tuple[str, ...]
    rank_matched: frozenset[str]
    """Those that have a scale of their own in each domain."""
    quantiles: Floats
    """[n_attributes, 33] of the corpus."""
    domain_quantiles: Floats
    """[n_attributes, 33] of the first domain."""
    in_domain: NDArray[np.bool_]
    """[n_attributes] whether the first domain has the attribute at all."""


def columns_of(attributes: Attributes | Mapping[str, float], names: Sequence[str]) -> Floats:
    """X [n_windows, n_attributes] with NaN for what was not measured."""
    if isinstance(attributes, Mapping):
        return np.array([[attributes.get(name, np.nan) for name in names]], dtype=np.float64)
    where = {name: i for i, name in enumerate(attributes.names)}
    measured = np.asarray(attributes.values, dtype=np.float64)
    X = np.full((len(measured), len(names)), np.nan)
    for j, name in enumerate(names):
        if name in where:
            X[:, j] = measured[:, where[name]]
    return X


def read_levels(X: Floats, scales: Scales) -> tuple[Floats, NDArray[np.bool_]]:
    """Levels of measured windows, and on which scale they are.

    Returns
    -------
    levels
        float [n_windows, n_attributes], NaN where undefined or not to be trusted.
    own_scale
        bool [n_attributes], whether on the first domain's scale.
    """
    levels = to_levels(X, scales.quantiles)
    own_scale = np.zeros(len(scales.names), dtype=bool)
    if _is_of_first_domain(X, scales):
        own_scale = np.isin(scales.names, list(scales.rank_matched))
        levels[:, own_scale] = to_levels(X, scales.domain_quantiles)[:, own_scale]
        needs_beats = np.array([_needs_beats(name) for name in scales.names])
        levels[:, own_scale & needs_beats] = np.nan
    if "Variation of Dynamics" in scales.names:
        # One velocity throughout is a notation program's default and says nothing of how loud the music is.
        flat = X[:, scales.names.index("Variation of Dynamics")] < FLAT_DYNAMICS
        loudness = np.isin(scales.names, ("Mean Dynamics", "Variation of Dynamics"))
        levels[np.ix_(flat, loudness)] = np.nan
    return levels, own_scale


def _needs_beats(name: str) -> bool:
    return name in COLUMNS and attribute(name).needs != "notes"


def _is_of_first_domain(X: Floats, scales: Scales) -> bool:
    """Whether rank-matched attributes are likelier in the first domain than in the corpus (as normal variables)."""
    fits = np.zeros(2)
    for i, name in enumerate(scales.names):
        if name in scales.rank_matched and not _needs_beats(name) and scales.in_domain[i]:
            value = np.nanmean(X[:, i]) if np.isfinite(X[:, i]).any() else np.nan
            for k, quantiles in enumerate((scales.quantiles[i], scales.domain_quantiles[i])):
                low, middle, high = np.interp((-1.0, 0.0, 1.0), LEVEL_GRID, quantiles)
                width = max((high - low) / 2, 1e-9)
                # Bounded, so that one odd attribute does not decide.
                fits[k] += 0.0 if np.isnan(value) else -min(abs(value - middle) / width, 3.0) - np.log(width)
    return bool(fits[1] > fits[0])
