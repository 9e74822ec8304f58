"""The report of :mod:`muse.training.recognizer.report` as a page of Markdown tables.

Contents: :func:`recognizer_page`; the layout is in ``page.md.j2``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from muse.pages import render

__all__ = ["recognizer_page"]

SHOWN: Final = (
    "r",
    "accuracy",
    "pr_auc",
    "roc_auc",
    "r2_valence",
    "r2_arousal",
    "ccc_valence",
    "ccc_arousal",
    "r_valence_within",
    "r_arousal_within",
)
"""Scores in the order of their columns."""
Rows = Iterator[tuple[str, list[str]]]
"""Name and cells of each row."""


def recognizer_page(report: Mapping[str, Any]) -> str:
    """Markdown of a report.

    Parameters
    ----------
    report
        What :func:`~muse.training.recognizer.report.evaluate_recognizer` returns.
    """
    shown = [
        (data, score)
        for data in report["clips"]
        for score in SHOWN
        if any(score in row.get(data, {}) for row in report["rows"].values())
    ]
    paired = [(data, score) for data, score in shown if "ccc" not in score]  # these have no intervals
    values = {
        "report": report,
        "heads": [f"{data}: {score}" for data, score in shown],
        "rows": list(_scores(report, shown)),
        "paired_heads": [f"{data}: {score}" for data, score in paired],
        "paired_rows": list(_ahead(report, paired)),
        "listeners": [(data, found["tasks"], list(_listeners(found))) for data, found in report["listeners"].items()],
    }
    return render(Path(__file__).with_name("page.md.j2"), values)


def _scores(report: Mapping[str, Any], shown: list[tuple[str, str]]) -> Rows:
    for name, row in report["rows"].items():
        yield name, [_cell(row.get(data, {}).get(score)) for data, score in shown]


def _cell(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    text = f"{found['mean']:.3f}"
    if "interval" in found:
        text += f" [{found['interval'][0]:.3f}, {found['interval'][1]:.3f}]"
    if len(found.get("seeds", ())) > 1:
        text += f" ({np.mean(found['seeds']):.3f})"
    return text


def _ahead(report: Mapping[str, Any], paired: list[tuple[str, str]]) -> Rows:
    """How far the full model is ahead of each row."""
    for name, row in report["against_all"].items():
        cells = []
        for data, score in paired:
            found = row.get(data, {}).get(score)
            low, high = found["interval"] if found else (0, 0)
            cells.append(f"{found['ahead']:+.3f} [{low:+.3f}, {high:+.3f}]" if found else "")
        yield name, cells


def _listeners(found: Mapping[str, Any]) -> Rows:
    for method, values in found["methods"].items():
        kinds = itertools.product(("rmse", "pearson", "ccc"), ("valence", "arousal"))
        cells = [f"{values[axis][kind]:.3f}" for kind, axis in kinds]
        gain = found["personal_against"].get(method)
        low, high = gain["interval"] if gain else (0.0, 0.0)
        cells.append(f"{gain['lower_by']:.3f} [{low:.3f}, {high:.3f}], p = {gain['p']:.1g}" if gain else "")
        yield method, cells
