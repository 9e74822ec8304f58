"""The table of attributes: name, unit, range, definition, source and function of each.

Everything that is said about an attribute stands here once; extraction, documentation, tests and help are made from
it. Names and definitions are jSymbolic 2.2's where it has the attribute (McKay, Cumming & Fujinaga 2018, "jSymbolic 2.2:
Extracting features from symbolic music for use in musicological and MIR research", ISMIR; the codes such as P-26 are
those of its manual). Where we differ from it, the definition says so.

Conventions
-----------
* Undefined is NaN (a mean pitch without notes), where jSymbolic writes 0.
* A *beat* is a quarter note. Standard deviations divide by n - 1 as in jSymbolic.
* Histograms are one attribute with several columns, ``Name_0`` ... ``Name_{n-1}``, as in EmoGen's tables.
* ``needs``: ``"notes"`` means valid for any performance; ``"beats"`` that beats of the score are taken as musical beats;
  ``"bars"`` that bar lines are. The last two mean little for performances without a grid.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from muse.attributes import _dynamics, _harmony, _melody, _pitch, _rhythm
from muse.attributes._window import Window
from muse.errors import InputError

__all__ = ["ATTRIBUTES", "COLUMNS", "SECTION_CONTROLS", "SONG_CONTROLS", "Attribute", "attribute"]

Group = Literal["pitch", "melody", "harmony", "rhythm", "texture", "dynamics", "instrumentation"]
Needs = Literal["notes", "beats", "bars"]
Value = float | NDArray[np.float64]

INF: Final = float("inf")


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
    needs: Needs = "notes"
    size: int = 1
    """Number of columns."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns: the name itself, or one per bin of a histogram."""
        return (self.name,) if self.size == 1 else tuple(f"{self.name}_{i}" for i in range(self.size))


_J: Final = "jSymbolic 2.2"

ATTRIBUTES: Final[tuple[Attribute, ...]] = (
    # ------------------------------------------------------------------------------------------------------- pitch
    Attribute("Range", "pitch", "semitones", 0, 127, "Highest minus lowest pitch.", f"{_J} P-8", _pitch.pitch_range),
    Attribute("Importance of Bass Register", "pitch", "fraction", 0, 1, "Notes at or below MIDI pitch 54.", f"{_J} P-9", _pitch.bass_register),
    Attribute("Importance of High Register", "pitch", "fraction", 0, 1, "Notes at or above MIDI pitch 73.", f"{_J} P-11", _pitch.high_register),
    Attribute("Mean Pitch", "pitch", "MIDI pitch", 0, 127, "Mean pitch of all notes.", f"{_J} P-14", _pitch.mean_pitch),
    Attribute("Pitch Variability", "pitch", "semitones", 0, 90, "Standard deviation of the pitches.", f"{_J} P-24", _pitch.pitch_variability),
    # ------------------------------------------------------------------------------------------------------ melody
    Attribute("Mean Melodic Interval", "melody", "semitones", 0, 127, "Mean absolute melodic interval.", f"{_J} M-3", _melody.mean_interval),
    Attribute("Amount of Arpeggiation", "melody", "fraction", 0, 1, "Melodic intervals.", f"{_J} M-8", _melody.amount_of_arpeggiation),
    Attribute("Repeated Notes", "melody", "fraction", 0, 1, "Melodic intervals that are unisons.", f"{_J} M-9", _melody.repeated_notes),
    Attribute("Stepwise Motion", "melody", "fraction", 0, 1, "Melodic intervals that are seconds.", f"{_J} M-11", _melody.stepwise_motion),
    # ----------------------------------------------------------------------------------------------------- harmony
    Attribute("Average Number of Simultaneous Pitches", "harmony", "pitches", 1, 128, "Mean.", f"{_J} C-5", _harmony.mean_simultaneous_pitches),
    Attribute("Vertical Dissonance Ratio", "harmony", "ratio", 0, 10, "Ratio.", f"{_J} C-24", _harmony.vertical_dissonance_ratio),
    Attribute("Minor Major Triad Ratio", "harmony", "ratio", 0, 10, "Ratio.", f"{_J} C-34", _harmony.minor_major_triad_ratio),
    Attribute("Mode Clarity", "harmony", "correlation", -1, 1, "Best major minus best minor.", "KS", _harmony.mode_clarity),
    Attribute("Key Strength", "harmony", "correlation", 0, 1, "Best key.", "KS", _harmony.key_strength),
    Attribute("Chord Change Rate", "harmony", "changes per beat", 0, 1, "Changes.", "x", _harmony.chord_change_rate, "beats"),
    Attribute("Tonal Tension", "harmony", "distance", 0, 3, "Distance.", "x", _harmony.tonal_tension, "beats"),
    Attribute("Tonal Centroid Motion", "harmony", "distance", 0, 3, "Distance.", "x", _harmony.tonal_centroid_motion, "beats"),
    # ------------------------------------------------------------------------------------------------------ rhythm
    Attribute("Note Density", "rhythm", "notes per second", 0, INF, "Notes per second.", f"{_J} RT-5", _rhythm.note_density),
    Attribute("Note Density per Quarter Note", "rhythm", "notes per beat", 0, INF, "Notes per beat.", f"{_J} R-10", _rhythm.note_density_per_beat, "beats"),
    Attribute("Mean Tempo", "rhythm", "bpm", 0, INF, "Tempo.", f"{_J} RT-2", _rhythm.mean_tempo, "beats"),
    Attribute("Articulation", "rhythm", "ratio", 0, 2, "Legato.", "x", _rhythm.articulation),
    Attribute("Average Note Duration", "rhythm", "seconds", 0, INF, "Duration.", f"{_J} RT-13", _rhythm.mean_note_duration),
    Attribute("Syncopation", "rhythm", "levels", 0, 4, "Syncopation.", "x", _rhythm.syncopation, "bars"),
    Attribute("Rhythmic Value Variability", "rhythm", "beats", 0, 9, "Std.", f"{_J} R-30", _rhythm.value_std, "beats"),
    Attribute("Prevalence of Long Rhythmic Values", "rhythm", "fraction", 0, 1, "Long.", f"{_J} R-20", _rhythm.long_values, "beats"),
    Attribute("Variability of Time Between Attacks", "rhythm", "seconds", 0, INF, "Std.", f"{_J} RT-9", _rhythm.attack_gap_std),
    # ---------------------------------------------------------------------------------------------------- dynamics
    Attribute("Mean Dynamics", "dynamics", "velocity", 0, 127, "Mean velocity.", "own", _dynamics.mean_dynamics),
    Attribute("Variation of Dynamics", "dynamics", "velocity", 0, 90, "Std of velocity.", f"{_J} D-2", _dynamics.variation_of_dynamics),
)  # fmt: skip
"""All attributes, in the order of the columns."""

COLUMNS: Final[tuple[str, ...]] = tuple(column for row in ATTRIBUTES for column in row.columns)
"""Names of all columns."""

SONG_CONTROLS: Final[tuple[str, ...]] = (
    "Note Density",
    "Note Density per Quarter Note",
    "Mean Tempo",
    "Mode Clarity",
    "Key Strength",
    "Mean Pitch",
    "Pitch Variability",
    "Range",
    "Importance of Bass Register",
    "Importance of High Register",
    "Mean Dynamics",
    "Variation of Dynamics",
    "Articulation",
    "Average Note Duration",
    "Average Number of Simultaneous Pitches",
    "Amount of Arpeggiation",
    "Repeated Notes",
    "Stepwise Motion",
    "Mean Melodic Interval",
    "Syncopation",
    "Rhythmic Value Variability",
    "Prevalence of Long Rhythmic Values",
    "Variability of Time Between Attacks",
    "Vertical Dissonance Ratio",
    "Minor Major Triad Ratio",
    "Chord Change Rate",
    "Tonal Tension",
    "Tonal Centroid Motion",
)
"""What the generator is told about a piece: the levers that listeners hear, none that only tells key or length."""

SECTION_CONTROLS: Final[tuple[str, ...]] = (
    "Note Density",
    "Note Density per Quarter Note",
    "Mean Pitch",
    "Pitch Variability",
    "Mean Dynamics",
    "Mode Clarity",
    "Articulation",
    "Average Number of Simultaneous Pitches",
    "Importance of High Register",
    "Syncopation",
)
"""What the generator is told again about every section."""

_BY_NAME: Final[dict[str, Attribute]] = {row.name: row for row in ATTRIBUTES} | {
    column: row for row in ATTRIBUTES for column in row.columns
}


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
        lower = {known.lower(): known for known in reversed(_BY_NAME)}
        near = [lower[match] for match in difflib.get_close_matches(str(name).lower(), lower, n=3, cutoff=0.5)]
        hint = f"did you mean {', '.join(map(repr, near))}?" if near else "see muse.attributes.ATTRIBUTES"
        raise InputError(f"there is no attribute {name!r}: {hint}") from None
