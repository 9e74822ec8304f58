"""Loudness in absolute terms: mean and spread of a piece's velocities, beside those of people's clips by quadrant.

``people_loudness.csv`` beside this module has quartiles of both over EMOPIA's training clips (Hung et al., ISMIR 2021;
CC BY-NC-SA 4.0: statistics only, no music). :func:`tabulate_people` makes it.

Contents: :func:`measure_loudness`, :func:`people_loudness`, :func:`tabulate_people`, :data:`FIGURES`.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TypeAlias

import numpy as np

from muse.score import Notes

__all__ = ["FIGURES", "measure_loudness", "people_loudness", "tabulate_people"]

Quartiles: TypeAlias = tuple[float, float, float]
"""Below it lie a quarter, half and three quarters of the clips."""

FIGURES = ("mean", "spread")
"""Of the velocities of all notes of a piece: their mean and standard deviation, MIDI velocity 0..127."""
_TABLE = "people_loudness.csv"


def measure_loudness(notes: Notes) -> dict[str, float]:
    """:data:`FIGURES` of a piece; NaN without notes."""
    velocity = notes["velocity"].astype(float)
    return {"mean": float(velocity.mean()), "spread": float(velocity.std())} if len(notes) else dict.fromkeys(
        FIGURES, float("nan")
    )  # fmt: skip


@cache
def people_loudness() -> Mapping[tuple[int, str], Quartiles]:
    """Quartiles of people's clips, by quadrant 1..4 and figure."""
    text = (files("muse.evaluate.metrics") / _TABLE).read_text(encoding="utf-8")
    return {
        (int(row["quadrant"]), row["figure"]): (float(row["q25"]), float(row["q50"]), float(row["q75"]))
        for row in csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    }


def tabulate_people(music: Sequence[Notes], quadrants: Sequence[int]) -> str:
    """The table of :func:`people_loudness` as CSV, from labelled clips."""
    lines = [
        "# Quartiles of mean and spread of MIDI velocities, over the training clips of each quadrant of EMOPIA 1.0.",
        "# Source: Hung et al., EMOPIA, ISMIR 2021; the clips are CC BY-NC-SA 4.0, no music of them is here.",
        "quadrant,figure,n,q25,q50,q75",
    ]
    rows = [measure_loudness(notes) for notes in music]
    for quadrant in (1, 2, 3, 4):
        for name in FIGURES:
            values = [row[name] for row, q in zip(rows, quadrants, strict=True) if q == quadrant]
            quartiles = np.nanquantile(values, [0.25, 0.5, 0.75])
            lines.append(f"{quadrant},{name},{len(values)}," + ",".join(f"{value:.2f}" for value in quartiles))
    return "\n".join(lines) + "\n"
