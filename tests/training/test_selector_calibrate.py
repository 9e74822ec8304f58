"""Calibration of the selector: known temperatures, weights and curves are found again."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, softmax

pytest.importorskip("lightning")

from muse.hearing.answer import deviates, quadrant_masses
from muse.training.selector.calibrate import _logistic, _temperature, fit_answer


def drawn(p: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A label of each row of probabilities [n, classes]."""
    return (p.cumsum(axis=1) < rng.random((len(p), 1))).sum(axis=1)


def test_the_temperature_that_made_the_labels_is_found(rng: np.random.Generator) -> None:
    logits = rng.normal(size=(4000, 5)) * 4
    labels = drawn(softmax(logits / 2.5, axis=1), rng)
    assert _temperature(logits, labels, np.ones(4000)) == pytest.approx(2.5, rel=0.1)
    assert _temperature(logits[:0], labels[:0], np.ones(0)) == 1.0


def test_network_and_experts_count_as_much_as_they_know(rng: np.random.Generator) -> None:
    network, experts = rng.normal(size=(4000, 4)) * 2, rng.normal(size=(4000, 4))

    def labels(logits: np.ndarray) -> np.ndarray:
        return drawn(quadrant_masses(deviates(softmax(logits, axis=1))), rng)

    temperature, weight = fit_answer(network, experts, labels(network / 1.5 + 0.7 * experts))
    assert temperature == pytest.approx(1.5, rel=0.15)
    assert weight == pytest.approx(0.7, abs=0.1)
    assert fit_answer(network, experts, labels(network))[1] < 0.1
    assert fit_answer(network[:0], experts[:0], np.zeros(0, np.int64)) == (1.0, 0.0)


def test_quality_is_even_where_good_and_bad_meet(rng: np.random.Generator) -> None:
    # Two normal curves a distance d apart have a logistic curve of slope d between them.
    good, bad = rng.normal(3, 1, 4000), rng.normal(1, 1, 1000)
    scale, shift = _logistic(good, bad)
    assert scale == pytest.approx(2.0, rel=0.15)
    assert expit(scale * 2 + shift) == pytest.approx(0.5, abs=0.05)
