"""The table of attributes: name, unit, range, definition, source and function of each.

Everything that is said about an attribute stands once, in ``catalogue.csv`` beside this file; extraction, controls,
explanations, documentation, tests and help are made from it. A new attribute is a function in ``measures/`` and a row.
Names and definitions are jSymbolic 2.2's where it has the attribute (McKay, Cumming & Fujinaga 2018, "jSymbolic 2.2:
Extracting features from symbolic music for use in musicological and MIR research", ISMIR; codes such as P-24 count the
features of each section in the order of its output). Where we differ from it, the definition says so. Its four features
of pitch bends are left out, as notes carry none.

Conventions
-----------
* Undefined is NaN (a mean pitch without notes), where jSymbolic writes 0.
* A *beat* is a quarter note. Standard deviations divide by n - 1 as in jSymbolic.
* Histograms are one attribute with several columns, ``Name_0`` ... ``Name_{n-1}``, as in EmoGen's tables.
* ``needs``: ``"notes"`` means valid for any performance; ``"beats"`` that the score's beats are taken as musical beats,
  ``"bars"`` that its bar lines are. The last two mean little for performances without a grid.

Columns of ``catalogue.csv``
----------------------------
``name, group, unit, low, high, size, needs, tempo_power, source, definition``
    Fields of :class:`Attribute`; an empty ``tempo_power`` is None.
``function``
    Module of ``measures/`` and name in it, ``pitch.mean_pitch``.
``song_control, section_control, lever``
    Place in :data:`SONG_CONTROLS`, :data:`SECTION_CONTROLS` and :data:`LEVERS`, counted from 1; empty: not in it.
``rank_matched``
    ``yes`` or empty.
``theme, when_low, when_high, value_format, high_from``
    Fields of :class:`Wording`; without a theme there is none.

Contents: :data:`ATTRIBUTES`, :data:`COLUMNS`, :data:`SONG_CONTROLS`, :data:`SECTION_CONTROLS`, :data:`SECTION_BARS`,
:data:`N_BUCKETS`, :data:`LEVERS`, :data:`RANK_MATCHED`, :class:`Attribute`, :class:`Wording`, :func:`attribute`.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.resources import files
from operator import attrgetter
from typing import Final, Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from muse.attributes.window import Window
from muse.errors import unknown

__all__ = [
    "ATTRIBUTES",
    "COLUMNS",
    "LEVERS",
    "N_BUCKETS",
    "RANK_MATCHED",
    "SECTION_BARS",
    "SECTION_CONTROLS",
    "SONG_CONTROLS",
    "Attribute",
    "Wording",
    "attribute",
]

Group = Literal["pitch", "melody", "harmony", "rhythm", "texture", "dynamics", "instrumentation"]
Needs = Literal["notes", "beats", "bars"]
Value = float | NDArray[np.float64]


class Wording(NamedTuple):
    """How an attribute is spoken of in explanations."""

    theme: str
    """Attributes of one theme say much the same: a sentence names one of them."""
    low: str
    """Continues a sentence that begins with "it": ``"is slow"``."""
    high: str
    value: str = ""
    """Format of a value that means something to a musician, ``"{:.0f} bpm"``; empty otherwise."""
    middle: float | None = None
    """Value from which on it is high; None: the corpus' median."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One row of the catalogue."""

    name: str
    """English name; jSymbolic 2.2's where it has the attribute."""
    group: Group
    unit: str
    low: float
    """Lowest possible value."""
    high: float
    """Highest possible value; ``inf`` where there is none."""
    definition: str
    source: str
    """jSymbolic code, or author, year and equation."""
    function: Callable[[Window], Value]
    needs: Needs
    size: int
    """Number of columns."""
    tempo_power: int | None
    """Music played f times as fast has value * f ** power; None where it changes in another way."""
    rank_matched: bool
    """Whether its scale depends on how a dataset was made, so that datasets are compared by rank, not by value:

    a transcriber's velocities (dynamics); pedal written into note lengths (articulation, durations, simultaneous
    pitches, dissonance, tonal distances, key strength); spread chords and no voices (melodic intervals); tracked beats
    instead of written ones (everything per beat). Answered for song controls alone."""
    wording: Wording | None
    """For song controls; None otherwise."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns: the name itself, or one per bin of a histogram."""
        return (self.name,) if self.size == 1 else tuple(f"{self.name}_{i}" for i in range(self.size))


def _function(dotted: str) -> Callable[[Window], Value]:
    module, _, name = dotted.partition(".")
    return cast("Callable[[Window], Value]", attrgetter(name)(import_module(f"muse.attributes.measures.{module}")))


def _wording(row: Mapping[str, str]) -> Wording | None:
    if not row["theme"]:
        return None
    middle = float(row["high_from"]) if row["high_from"] else None
    return Wording(row["theme"], row["when_low"], row["when_high"], row["value_format"], middle)


def _attribute(row: Mapping[str, str]) -> Attribute:
    return Attribute(
        name=row["name"],
        group=cast("Group", row["group"]),
        unit=row["unit"],
        low=float(row["low"]),
        high=float(row["high"]),
        definition=row["definition"],
        source=row["source"],
        function=_function(row["function"]),
        needs=cast("Needs", row["needs"]),
        size=int(row["size"]),
        tempo_power=int(row["tempo_power"]) if row["tempo_power"] else None,
        rank_matched=row["rank_matched"] == "yes",
        wording=_wording(row),
    )


def _in_order(column: str) -> tuple[str, ...]:
    """Names of the attributes that have a place in a column of the table, by that place."""
    return tuple(row["name"] for row in sorted(_ROWS, key=lambda row: int(row[column] or 0)) if row[column])


_ROWS: Final = tuple(
    csv.DictReader((files("muse.attributes") / "catalogue.csv").read_text(encoding="utf-8").splitlines())
)

ATTRIBUTES: Final[tuple[Attribute, ...]] = tuple(map(_attribute, _ROWS))
"""All attributes, in the order of the columns."""

COLUMNS: Final[tuple[str, ...]] = tuple(column for row in ATTRIBUTES for column in row.columns)
"""Names of all columns."""

SONG_CONTROLS: Final[tuple[str, ...]] = _in_order("song_control")
"""Attributes of the whole piece that the generator is conditioned on: audible ones, none that only depend on key or
length."""

SECTION_CONTROLS: Final[tuple[str, ...]] = _in_order("section_control")
"""Attributes of every section that the generator is conditioned on."""

SECTION_BARS: Final = 4
"""Bars of a section."""

N_BUCKETS: Final = 8
"""Buckets of a control, cut at quantiles of the training music."""

LEVERS: Final[tuple[str, ...]] = _in_order("lever")
"""Song controls that every target of an emotion holds: those shown to be audible (EMelodyGen's ablation), with
note density and articulation."""

_BY_NAME: Final[dict[str, Attribute]] = {row.name: row for row in ATTRIBUTES} | {
    column: row for row in ATTRIBUTES for column in row.columns
}

RANK_MATCHED: Final[tuple[str, ...]] = tuple(name for name in SONG_CONTROLS if _BY_NAME[name].rank_matched)
"""Song controls that datasets are compared in by rank, see :attr:`Attribute.rank_matched`."""


def attribute(name: str) -> Attribute:
    """Look an attribute up by its name or the name of one of its columns.

    Raises
    ------
    InputError
        No such attribute; the message names the nearest ones.
    """
    try:
        return _BY_NAME[name]
    except KeyError:
        raise unknown("attribute", str(name), (row.name for row in ATTRIBUTES)) from None
