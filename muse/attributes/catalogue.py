"""The table of attributes: name, unit, range, definition, source and function of each.

Everything that is said about an attribute stands here once; extraction, documentation, tests and help are made from
it. Names and definitions are jSymbolic 2.2's where it has the attribute (McKay, Cumming & Fujinaga 2018, "jSymbolic
2.2: Extracting features from symbolic music for use in musicological and MIR research", ISMIR; codes such as P-24
count the features of each section in the order of its output). Where we differ from it, the definition says so. Its
four features of pitch bends are left out, as notes carry none.

Conventions
-----------
* Undefined is NaN (a mean pitch without notes), where jSymbolic writes 0.
* A *beat* is a quarter note. Standard deviations divide by n - 1 as in jSymbolic.
* Histograms are one attribute with several columns, ``Name_0`` ... ``Name_{n-1}``, as in EmoGen's tables.
* ``needs``: ``"notes"`` means valid for any performance; ``"beats"`` that the score's beats are taken as musical beats,
  ``"bars"`` that its bar lines are. The last two mean little for performances without a grid.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from muse.attributes.measures import dynamics, harmony, instruments, melody, pitch, rhythm, texture
from muse.attributes.window import Window
from muse.errors import InputError

__all__ = ["ATTRIBUTES", "COLUMNS", "SECTION_CONTROLS", "SONG_CONTROLS", "Attribute", "as_markdown", "attribute"]

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


# fmt: off
ATTRIBUTES: Final[tuple[Attribute, ...]] = (
    # ----------------------------------------------------------------------------------------------------------- pitch
    Attribute(
        "Basic Pitch Histogram", "pitch", "fraction", 0, 1,
        "Fraction of the notes on each MIDI pitch; bin 60 is middle C.",
        "jSymbolic 2.2, P-1", pitch.basic_pitch_histogram, "notes", 128,
    ),
    Attribute(
        "Pitch Class Histogram", "pitch", "fraction", 0, 1,
        "Fraction of the notes of each pitch class, counted up in semitones from the most common one, which "
        "is bin 0 (of equally common ones the lowest).",
        "jSymbolic 2.2, P-2", pitch.pitch_class_histogram, "notes", 12,
    ),
    Attribute(
        "Folded Fifths Pitch Class Histogram", "pitch", "fraction", 0, 1,
        "Fraction of the notes of each pitch class, in ascending fifths from C.",
        "jSymbolic 2.2, P-3", pitch.folded_fifths_histogram, "notes", 12,
    ),
    Attribute(
        "Number of Pitches", "pitch", "count", 0, 128,
        "Number of different pitches.",
        "jSymbolic 2.2, P-4", pitch.n_pitches,
    ),
    Attribute(
        "Number of Pitch Classes", "pitch", "count", 0, 12,
        "Number of different pitch classes.",
        "jSymbolic 2.2, P-5", pitch.n_pitch_classes,
    ),
    Attribute(
        "Number of Common Pitches", "pitch", "count", 0, 11,
        "Number of pitches that each make up at least 9 % of the notes.",
        "jSymbolic 2.2, P-6", pitch.n_common_pitches,
    ),
    Attribute(
        "Number of Common Pitch Classes", "pitch", "count", 0, 5,
        "Number of pitch classes that each make up at least 20 % of the notes.",
        "jSymbolic 2.2, P-7", pitch.n_common_pitch_classes,
    ),
    Attribute(
        "Range", "pitch", "semitones", 0, 127,
        "Highest minus lowest pitch.",
        "jSymbolic 2.2, P-8", pitch.pitch_range,
    ),
    Attribute(
        "Importance of Bass Register", "pitch", "fraction", 0, 1,
        "Fraction of the notes at MIDI pitch 54 or lower.",
        "jSymbolic 2.2, P-9", pitch.bass_register,
    ),
    Attribute(
        "Importance of Middle Register", "pitch", "fraction", 0, 1,
        "Fraction of the notes from MIDI pitch 55 to 72.",
        "jSymbolic 2.2, P-10", pitch.middle_register,
    ),
    Attribute(
        "Importance of High Register", "pitch", "fraction", 0, 1,
        "Fraction of the notes at MIDI pitch 73 or higher.",
        "jSymbolic 2.2, P-11", pitch.high_register,
    ),
    Attribute(
        "Dominant Spread", "pitch", "count", 0, 12,
        "Largest number of successive pitch classes on the circle of fifths that each make up at least 9 % of "
        "the notes.",
        "jSymbolic 2.2, P-12", pitch.dominant_spread,
    ),
    Attribute(
        "Strong Tonal Centres", "pitch", "count", 0, 6,
        "Number of peaks on the circle of fifths (higher than both neighbors) that each make up at least 9 % "
        "of the notes.",
        "jSymbolic 2.2, P-13", pitch.strong_tonal_centers,
    ),
    Attribute(
        "Mean Pitch", "pitch", "MIDI pitch", 0, 127,
        "Mean pitch of the notes.",
        "jSymbolic 2.2, P-14", pitch.mean_pitch,
    ),
    Attribute(
        "Mean Pitch Class", "pitch", "pitch class", 0, 11,
        "Mean pitch class of the notes, C = 0.",
        "jSymbolic 2.2, P-15", pitch.mean_pitch_class,
    ),
    Attribute(
        "Most Common Pitch", "pitch", "MIDI pitch", 0, 127,
        "The most frequent pitch (of equally frequent ones the lowest).",
        "jSymbolic 2.2, P-16", pitch.most_common_pitch,
    ),
    Attribute(
        "Most Common Pitch Class", "pitch", "pitch class", 0, 11,
        "The most frequent pitch class, C = 0.",
        "jSymbolic 2.2, P-17", pitch.most_common_pitch_class,
    ),
    Attribute(
        "Prevalence of Most Common Pitch", "pitch", "fraction", 0, 1,
        "Fraction of the notes on the most common pitch.",
        "jSymbolic 2.2, P-18", pitch.most_common_pitch_prevalence,
    ),
    Attribute(
        "Prevalence of Most Common Pitch Class", "pitch", "fraction", 0, 1,
        "Fraction of the notes of the most common pitch class.",
        "jSymbolic 2.2, P-19", pitch.most_common_pitch_class_prevalence,
    ),
    Attribute(
        "Relative Prevalence of Top Pitches", "pitch", "ratio", 0, 1,
        "Notes on the second most common pitch over those on the most common one.",
        "jSymbolic 2.2, P-20", pitch.top_pitches_ratio,
    ),
    Attribute(
        "Relative Prevalence of Top Pitch Classes", "pitch", "ratio", 0, 1,
        "Notes of the second most common pitch class over those of the most common one.",
        "jSymbolic 2.2, P-21", pitch.top_pitch_classes_ratio,
    ),
    Attribute(
        "Interval Between Most Prevalent Pitches", "pitch", "semitones", 0, 127,
        "Distance of the two most common pitches; undefined for a single pitch.",
        "jSymbolic 2.2, P-22", pitch.top_pitches_interval,
    ),
    Attribute(
        "Interval Between Most Prevalent Pitch Classes", "pitch", "semitones", 0, 11,
        "Absolute difference of the numbers (C = 0) of the two most common pitch classes.",
        "jSymbolic 2.2, P-23", pitch.top_pitch_classes_interval,
    ),
    Attribute(
        "Pitch Variability", "pitch", "semitones", 0, 90,
        "Standard deviation of the pitches.",
        "jSymbolic 2.2, P-24", pitch.pitch_variability,
    ),
    Attribute(
        "Pitch Class Variability", "pitch", "semitones", 0, 8,
        "Standard deviation of the pitch classes, C = 0.",
        "jSymbolic 2.2, P-25", pitch.pitch_class_variability,
    ),
    Attribute(
        "Pitch Class Variability After Folding", "pitch", "fifths", 0, 8,
        "Standard deviation of the pitch classes' places on the circle of fifths, (7 pc) mod 12.",
        "jSymbolic 2.2, P-26", pitch.folded_variability,
    ),
    Attribute(
        "Pitch Skewness", "pitch", "none", -3, 3,
        "Pearson's second skewness, 3 (mean - median) / standard deviation, of the pitches.",
        "jSymbolic 2.2, P-27", pitch.pitch_skewness,
    ),
    Attribute(
        "Pitch Class Skewness", "pitch", "none", -3, 3,
        "The same of the pitch classes.",
        "jSymbolic 2.2, P-28", pitch.pitch_class_skewness,
    ),
    Attribute(
        "Pitch Class Skewness After Folding", "pitch", "none", -3, 3,
        "The same of the places on the circle of fifths.",
        "jSymbolic 2.2, P-29", pitch.folded_skewness,
    ),
    Attribute(
        "Pitch Kurtosis", "pitch", "none", -6, INF,
        "Sample excess kurtosis G2 of the pitches; 0 of fewer than four notes. jSymbolic adds the last term "
        "of the formula where it should be subtracted, so its values are higher by 6 (n - 1)^2 / ((n - 2)(n - "
        "3)).",
        "jSymbolic 2.2, P-30", pitch.pitch_kurtosis,
    ),
    Attribute(
        "Pitch Class Kurtosis", "pitch", "none", -6, INF,
        "The same of the pitch classes.",
        "jSymbolic 2.2, P-31", pitch.pitch_class_kurtosis,
    ),
    Attribute(
        "Pitch Class Kurtosis After Folding", "pitch", "none", -6, INF,
        "The same of the places on the circle of fifths.",
        "jSymbolic 2.2, P-32", pitch.folded_kurtosis,
    ),
    Attribute(
        "Major or Minor", "pitch", "0 or 1", 0, 1,
        "0 in a major, 1 in a minor key. jSymbolic reads the key signature, which files often lack or get "
        "wrong; this is the key that the notes tell: durations of pitch classes correlated with the profiles "
        "of Albrecht & Shanahan 2013.",
        "jSymbolic 2.2, P-33", harmony.major_or_minor,
    ),
    Attribute(
        "First Pitch", "pitch", "MIDI pitch", 0, 127,
        "Lowest pitch of the first onset.",
        "jSymbolic 2.2, P-34", pitch.first_pitch,
    ),
    Attribute(
        "First Pitch Class", "pitch", "pitch class", 0, 11,
        "Its pitch class.",
        "jSymbolic 2.2, P-35", pitch.first_pitch_class,
    ),
    Attribute(
        "Last Pitch", "pitch", "MIDI pitch", 0, 127,
        "Lowest pitch of the last onset.",
        "jSymbolic 2.2, P-36", pitch.last_pitch,
    ),
    Attribute(
        "Last Pitch Class", "pitch", "pitch class", 0, 11,
        "Its pitch class.",
        "jSymbolic 2.2, P-37", pitch.last_pitch_class,
    ),
    Attribute(
        "Lowest Pitch", "pitch", "MIDI pitch", 0, 127,
        "Lowest pitch.",
        "jSymbolic 2.3, P-9", pitch.lowest_pitch,
    ),
    Attribute(
        "Highest Pitch", "pitch", "MIDI pitch", 0, 127,
        "Highest pitch.",
        "jSymbolic 2.3, P-10", pitch.highest_pitch,
    ),
    Attribute(
        "Register Balance", "pitch", "fraction", -1, 1,
        "Importance of High Register minus Importance of Bass Register.",
        "after P-9 and P-11", pitch.register_balance,
    ),
    Attribute(
        "Pitch Entropy", "pitch", "bits", 0, 7,
        "Shannon entropy of the pitches.",
        "Shannon 1948", pitch.pitch_entropy,
    ),
    Attribute(
        "Pitch Class Entropy", "pitch", "bits", 0, 3.585,
        "Shannon entropy of the pitch classes; low in simple tonal music.",
        "Shannon 1948; Wu & Yang 2020, MusDr, H1", pitch.pitch_class_entropy,
    ),
    Attribute(
        "Scale Consistency", "pitch", "fraction", 0, 1,
        "Largest fraction of the sounding time that lies in any one major or harmonic minor scale.",
        "Mogren 2016, C-RNN-GAN, section 4; scales as here", pitch.scale_consistency,
    ),
    # ---------------------------------------------------------------------------------------------------------- melody
    Attribute(
        "Melodic Interval Histogram", "melody", "fraction", 0, 1,
        "Fraction of the melodic intervals of each size in semitones, up and down alike. Each track is a "
        "melody; of notes that start together it has the highest (jSymbolic: the first in the file).",
        "jSymbolic 2.2, M-1", melody.interval_histogram, "notes", 128,
    ),
    Attribute(
        "Most Common Melodic Interval", "melody", "semitones", 0, 127,
        "The most frequent melodic interval.",
        "jSymbolic 2.2, M-2", melody.most_common_interval,
    ),
    Attribute(
        "Mean Melodic Interval", "melody", "semitones", 0, 127,
        "Mean size of the melodic intervals.",
        "jSymbolic 2.2, M-3", melody.mean_interval,
    ),
    Attribute(
        "Number of Common Melodic Intervals", "melody", "count", 0, 11,
        "Number of interval sizes that each make up at least 9 % of the melodic intervals.",
        "jSymbolic 2.2, M-4", melody.n_common_intervals,
    ),
    Attribute(
        "Distance Between Most Prevalent Melodic Intervals", "melody", "semitones", 0, 127,
        "Difference of the two most common sizes.",
        "jSymbolic 2.2, M-5", melody.top_intervals_distance,
    ),
    Attribute(
        "Prevalence of Most Common Melodic Interval", "melody", "fraction", 0, 1,
        "Fraction of the melodic intervals that have the most common size.",
        "jSymbolic 2.2, M-6", melody.most_common_interval_prevalence,
    ),
    Attribute(
        "Relative Prevalence of Most Common Melodic Intervals", "melody", "ratio", 0, 1,
        "Frequency of the second most common size over that of the most common.",
        "jSymbolic 2.2, M-7", melody.top_intervals_ratio,
    ),
    Attribute(
        "Amount of Arpeggiation", "melody", "fraction", 0, 1,
        "Fraction of the melodic intervals that are repetitions, thirds, fifths, sevenths, octaves or tenths "
        "(0, 3, 4, 7, 10, 11, 12, 15, 16 semitones).",
        "jSymbolic 2.2, M-8", melody.amount_of_arpeggiation,
    ),
    Attribute(
        "Repeated Notes", "melody", "fraction", 0, 1,
        "Fraction of the melodic intervals that are repetitions.",
        "jSymbolic 2.2, M-9", melody.repeated_notes,
    ),
    Attribute(
        "Chromatic Motion", "melody", "fraction", 0, 1,
        "Fraction of the melodic intervals that are semitones.",
        "jSymbolic 2.2, M-10", melody.chromatic_motion,
    ),
    Attribute(
        "Stepwise Motion", "melody", "fraction", 0, 1,
        "Fraction of the melodic intervals that are seconds.",
        "jSymbolic 2.2, M-11", melody.stepwise_motion,
    ),
    Attribute(
        "Melodic Thirds", "melody", "fraction", 0, 1,
        "Fraction of the melodic intervals that are thirds.",
        "jSymbolic 2.2, M-12", melody.thirds,
    ),
    Attribute(
        "Melodic Perfect Fourths", "melody", "fraction", 0, 1,
        "Fraction of the melodic intervals that are perfect fourths.",
        "jSymbolic 2.2, M-13", melody.fourths,
    ),
    Attribute(
        "Melodic Tritones", "melody", "fraction", 0, 1,
        "Fraction of the melodic intervals that are tritones.",
        "jSymbolic 2.2, M-14", melody.tritones,
    ),
    Attribute(
        "Melodic Perfect Fifths", "melody", "fraction", 0, 1,
        "Fraction of the melodic intervals that are perfect fifths.",
        "jSymbolic 2.2, M-15", melody.fifths,
    ),
    Attribute(
        "Melodic Sixths", "melody", "fraction", 0, 1,
        "Fraction of the melodic intervals that are sixths.",
        "jSymbolic 2.2, M-16", melody.sixths,
    ),
    Attribute(
        "Melodic Sevenths", "melody", "fraction", 0, 1,
        "Fraction of the melodic intervals that are sevenths.",
        "jSymbolic 2.2, M-17", melody.sevenths,
    ),
    Attribute(
        "Melodic Octaves", "melody", "fraction", 0, 1,
        "Fraction of the melodic intervals that are octaves.",
        "jSymbolic 2.2, M-18", melody.octaves,
    ),
    Attribute(
        "Melodic Large Intervals", "melody", "fraction", 0, 1,
        "Fraction of the melodic intervals that are larger than an octave.",
        "jSymbolic 2.2, M-19", melody.large_intervals,
    ),
    Attribute(
        "Minor Major Melodic Third Ratio", "melody", "ratio", 0, 10,
        "Minor over major melodic thirds, at most 10; undefined without thirds. (jSymbolic: no limit, and 0 "
        "when either is absent.)",
        "jSymbolic 2.2, M-20", melody.minor_major_third_ratio,
    ),
    Attribute(
        "Melodic Embellishments", "melody", "fraction", 0, 1,
        "Fraction of the notes whose neighbors before and after in the track both last at least three times "
        "as long.",
        "jSymbolic 2.2, M-21", melody.embellishments,
    ),
    Attribute(
        "Direction of Melodic Motion", "melody", "fraction", 0, 1,
        "Fraction of the moving melodic intervals that rise.",
        "jSymbolic 2.2, M-22", melody.direction,
    ),
    Attribute(
        "Average Length of Melodic Arcs", "melody", "intervals", 1, INF,
        "Moving melodic intervals per change of direction, repetitions left out.",
        "jSymbolic 2.2, M-23", melody.arc_length,
    ),
    Attribute(
        "Average Interval Spanned by Melodic Arcs", "melody", "semitones", 1, INF,
        "Mean distance from a peak to the next trough and back, over all arcs that a change of direction "
        "ends.",
        "jSymbolic 2.2, M-24", melody.arc_span,
    ),
    Attribute(
        "Melodic Pitch Variety", "melody", "attacks", 1, 16,
        "Mean number of attacks until a pitch comes back in its track, over the notes that do within 16.",
        "jSymbolic 2.2, M-25", melody.pitch_variety,
    ),
    Attribute(
        "Melodic Interval Variability", "melody", "semitones", 0, 90,
        "Standard deviation of the sizes of the melodic intervals.",
        "jSymbolic 2.3, M-35", melody.interval_variability,
    ),
    Attribute(
        "Melodic Interval Entropy", "melody", "bits", 0, 7,
        "Shannon entropy of the sizes of the melodic intervals.",
        "Shannon 1948", melody.interval_entropy,
    ),
    Attribute(
        "Skyline Mean Pitch", "melody", "MIDI pitch", 0, 127,
        "The skyline is the highest note of each attack, unless a higher one before it still sounds beyond "
        "its middle (Uitdenbogerd & Zobel 1998). Mean pitch of the line.",
        "line: Uitdenbogerd & Zobel 1998", melody.skyline_mean_pitch,
    ),
    Attribute(
        "Skyline Range", "melody", "semitones", 0, 127,
        "Highest minus lowest pitch of the line.",
        "line: Uitdenbogerd & Zobel 1998", melody.skyline_range,
    ),
    Attribute(
        "Skyline Mean Interval", "melody", "semitones", 0, 127,
        "Mean size of the line's intervals.",
        "line: Uitdenbogerd & Zobel 1998", melody.skyline_mean_interval,
    ),
    Attribute(
        "Skyline Stepwise Motion", "melody", "fraction", 0, 1,
        "Fraction of the line's intervals that are seconds.",
        "line: Uitdenbogerd & Zobel 1998", melody.skyline_stepwise,
    ),
    Attribute(
        "Skyline Repeated Notes", "melody", "fraction", 0, 1,
        "Fraction of the line's intervals that are repetitions.",
        "line: Uitdenbogerd & Zobel 1998", melody.skyline_repetition,
    ),
    Attribute(
        "Skyline Leaps", "melody", "fraction", 0, 1,
        "Fraction of the line's intervals that are larger than a major third.",
        "line: Uitdenbogerd & Zobel 1998", melody.skyline_leaps,
    ),
    Attribute(
        "Skyline Direction", "melody", "fraction", 0, 1,
        "Fraction of the line's moving intervals that rise.",
        "line: Uitdenbogerd & Zobel 1998", melody.skyline_direction,
    ),
    Attribute(
        "Skyline Slope", "melody", "semitones per beat", -INF, INF,
        "Least-squares slope of the line's pitch over time.",
        "contour after Eerola & Toiviainen 2004, MIDI Toolbox", melody.skyline_slope, "beats",
    ),
    Attribute(
        "Skyline Arch", "melody", "correlation", -1, 1,
        "Correlation of the line's pitch with the arch 4 t (1 - t), t running from 0 to 1 over the line: 1 "
        "rises and falls, -1 falls and rises.",
        "Huron 1996, The melodic arch", melody.skyline_arch,
    ),
    Attribute(
        "Skyline Note Density", "melody", "notes per beat", 0, INF,
        "Notes of the line per quarter note.",
        "line: Uitdenbogerd & Zobel 1998", melody.skyline_density, "beats",
    ),
    Attribute(
        "Skyline Pitch Class Entropy", "melody", "bits", 0, 3.585,
        "Shannon entropy of the line's pitch classes.",
        "line: Uitdenbogerd & Zobel 1998", melody.skyline_class_entropy,
    ),
    Attribute(
        "Skyline Interval Entropy", "melody", "bits", 0, 8,
        "Shannon entropy of the line's signed intervals.",
        "line: Uitdenbogerd & Zobel 1998", melody.skyline_interval_entropy,
    ),
    Attribute(
        "Skyline Chromaticism", "melody", "fraction", 0, 1,
        "Fraction of the line's notes outside the scale of the window's key (minor: natural and harmonic).",
        "line: Uitdenbogerd & Zobel 1998", melody.skyline_chromaticism,
    ),
    # --------------------------------------------------------------------------------------------------------- harmony
    Attribute(
        "Vertical Interval Histogram", "harmony", "fraction", 0, 1,
        "Fraction of the vertical intervals of each size in semitones; every pair of notes that sound "
        "together counts with the beats they do and the mean of their velocities. Bins under 0.001 are set to "
        "0 and the rest normalized again.",
        "jSymbolic 2.2, C-1", harmony.vertical_histogram, "notes", 128,
    ),
    Attribute(
        "Wrapped Vertical Interval Histogram", "harmony", "fraction", 0, 1,
        "The same folded into an octave (bin 0: unisons and octaves).",
        "jSymbolic 2.2, C-2", harmony.wrapped_histogram, "notes", 12,
    ),
    Attribute(
        "Chord Type Histogram", "harmony", "fraction", 0, 1,
        "Fraction of the time with two or more pitch classes: 0 two classes, 1 minor, 2 major, 3 diminished, "
        "4 augmented, 5 other triads, 6 minor, 7 dominant, 8 major sevenths, 9 other four classes, 10 more. "
        "Noise filter as above.",
        "jSymbolic 2.2, C-3", harmony.chord_type_histogram, "notes", 11,
    ),
    Attribute(
        "Average Number of Simultaneous Pitch Classes", "harmony", "pitch classes", 1, 12,
        "Mean number of pitch classes that sound together, over the time in which anything does.",
        "jSymbolic 2.2, C-4", harmony.mean_simultaneous_classes,
    ),
    Attribute(
        "Variability of Number of Simultaneous Pitch Classes", "harmony", "pitch classes", 0, 5.5,
        "Its standard deviation over time.",
        "jSymbolic 2.2, C-5", harmony.std_simultaneous_classes,
    ),
    Attribute(
        "Average Number of Simultaneous Pitches", "harmony", "pitches", 1, 128,
        "Mean number of different pitches that sound together, over the time in which anything does.",
        "jSymbolic 2.2, C-6", harmony.mean_simultaneous_pitches,
    ),
    Attribute(
        "Variability of Number of Simultaneous Pitches", "harmony", "pitches", 0, 64,
        "Its standard deviation over time.",
        "jSymbolic 2.2, C-7", harmony.std_simultaneous_pitches,
    ),
    Attribute(
        "Most Common Vertical Interval", "harmony", "semitones", 0, 11,
        "Highest bin of the Wrapped Vertical Interval Histogram.",
        "jSymbolic 2.2, C-8", harmony.most_common_vertical,
    ),
    Attribute(
        "Second Most Common Vertical Interval", "harmony", "semitones", 0, 11,
        "Its second highest bin.",
        "jSymbolic 2.2, C-9", harmony.second_most_common_vertical,
    ),
    Attribute(
        "Distance Between Two Most Common Vertical Intervals", "harmony", "semitones", 0, 11,
        "Difference of the two.",
        "jSymbolic 2.2, C-10", harmony.top_verticals_distance,
    ),
    Attribute(
        "Prevalence of Most Common Vertical Interval", "harmony", "fraction", 0, 1,
        "Fraction of the wrapped vertical intervals that are the most common one.",
        "jSymbolic 2.2, C-11", harmony.most_common_vertical_prevalence,
    ),
    Attribute(
        "Prevalence of Second Most Common Vertical Interval", "harmony", "fraction", 0, 0.5,
        "The same of the second most common one.",
        "jSymbolic 2.2, C-12", harmony.second_most_common_vertical_prevalence,
    ),
    Attribute(
        "Prevalence Ratio of Two Most Common Vertical Intervals", "harmony", "ratio", 0, 1,
        "Second over first.",
        "jSymbolic 2.2, C-13", harmony.top_verticals_ratio,
    ),
    Attribute(
        "Vertical Unisons", "harmony", "fraction", 0, 1,
        "Fraction of the vertical intervals that are two notes on one pitch (weights as in C-1, here and "
        "below).",
        "jSymbolic 2.2, C-14", harmony.vertical_unisons,
    ),
    Attribute(
        "Vertical Minor Seconds", "harmony", "fraction", 0, 1,
        "Fraction of the wrapped vertical intervals that are minor seconds.",
        "jSymbolic 2.2, C-15", harmony.minor_seconds,
    ),
    Attribute(
        "Vertical Thirds", "harmony", "fraction", 0, 1,
        "Fraction of the wrapped vertical intervals that are thirds.",
        "jSymbolic 2.2, C-16", harmony.vertical_thirds,
    ),
    Attribute(
        "Vertical Tritones", "harmony", "fraction", 0, 1,
        "Fraction of the wrapped vertical intervals that are tritones.",
        "jSymbolic 2.2, C-17", harmony.vertical_tritones,
    ),
    Attribute(
        "Vertical Perfect Fourths", "harmony", "fraction", 0, 1,
        "Fraction of the wrapped vertical intervals that are perfect fourths.",
        "jSymbolic 2.2, C-18", harmony.vertical_fourths,
    ),
    Attribute(
        "Vertical Perfect Fifths", "harmony", "fraction", 0, 1,
        "Fraction of the wrapped vertical intervals that are perfect fifths.",
        "jSymbolic 2.2, C-19", harmony.vertical_fifths,
    ),
    Attribute(
        "Vertical Sixths", "harmony", "fraction", 0, 1,
        "Fraction of the wrapped vertical intervals that are sixths.",
        "jSymbolic 2.2, C-20", harmony.vertical_sixths,
    ),
    Attribute(
        "Vertical Sevenths", "harmony", "fraction", 0, 1,
        "Fraction of the wrapped vertical intervals that are sevenths.",
        "jSymbolic 2.2, C-21", harmony.vertical_sevenths,
    ),
    Attribute(
        "Vertical Octaves", "harmony", "fraction", 0, 1,
        "Fraction of the vertical intervals that are octaves or multiples.",
        "jSymbolic 2.2, C-22", harmony.vertical_octaves,
    ),
    Attribute(
        "Perfect Vertical Intervals", "harmony", "fraction", 0, 1,
        "Fraction of the wrapped vertical intervals that are unisons, fourths, fifths or octaves.",
        "jSymbolic 2.2, C-23", harmony.perfect_intervals,
    ),
    Attribute(
        "Vertical Dissonance Ratio", "harmony", "ratio", 0, 10,
        "Seconds, tritones and sevenths over all other wrapped vertical intervals, at most 10; undefined "
        "without vertical intervals.",
        "jSymbolic 2.2, C-24", harmony.vertical_dissonance_ratio,
    ),
    Attribute(
        "Vertical Minor Third Prevalence", "harmony", "fraction", 0, 1,
        "Fraction of the sounding time in which a minor third (up to octaves and inversion of register, not "
        "of the interval) sounds.",
        "jSymbolic 2.2, C-25", harmony.minor_third_prevalence,
    ),
    Attribute(
        "Vertical Major Third Prevalence", "harmony", "fraction", 0, 1,
        "The same of major thirds.",
        "jSymbolic 2.2, C-26", harmony.major_third_prevalence,
    ),
    Attribute(
        "Chord Duration", "harmony", "beats", 0, INF,
        "Mean length of stretches with the same pitch classes; rests neither end nor lengthen them.",
        "jSymbolic 2.2, C-27", harmony.chord_duration, "beats",
    ),
    Attribute(
        "Partial Chords", "harmony", "fraction", 0, 1,
        "Fraction of the time with two or more pitch classes in which they are two pitch classes.",
        "jSymbolic 2.2, C-28", harmony.partial_chords,
    ),
    Attribute(
        "Standard Triads", "harmony", "fraction", 0, 1,
        "Fraction of the time with two or more pitch classes in which they are a major or minor triad.",
        "jSymbolic 2.2, C-29", harmony.standard_triads,
    ),
    Attribute(
        "Diminished and Augmented Triads", "harmony", "fraction", 0, 1,
        "Fraction of the time with two or more pitch classes in which they are a diminished or augmented "
        "triad.",
        "jSymbolic 2.2, C-30", harmony.diminished_augmented,
    ),
    Attribute(
        "Dominant Seventh Chords", "harmony", "fraction", 0, 1,
        "Fraction of the time with two or more pitch classes in which they are a dominant seventh.",
        "jSymbolic 2.2, C-31", harmony.dominant_sevenths,
    ),
    Attribute(
        "Seventh Chords", "harmony", "fraction", 0, 1,
        "Fraction of the time with two or more pitch classes in which they are a dominant, major or minor "
        "seventh.",
        "jSymbolic 2.2, C-32", harmony.seventh_chords,
    ),
    Attribute(
        "Non-Standard Chords", "harmony", "fraction", 0, 1,
        "Fraction of the time with two or more pitch classes in which they are three or more pitch classes "
        "that are no major or minor triad and no seventh chord of the histogram.",
        "jSymbolic 2.2, C-33", harmony.non_standard_chords,
    ),
    Attribute(
        "Complex Chords", "harmony", "fraction", 0, 1,
        "Fraction of the time with two or more pitch classes in which they are more than four pitch classes.",
        "jSymbolic 2.2, C-34", harmony.complex_chords,
    ),
    Attribute(
        "Minor Major Triad Ratio", "harmony", "ratio", 0, 10,
        "Time of minor over time of major triads, at most 10; undefined without either. (jSymbolic: no limit, "
        "and 0 when either is absent.)",
        "jSymbolic 2.2, C-35", harmony.minor_major_triad_ratio,
    ),
    Attribute(
        "Minor Triad Share", "harmony", "fraction", 0, 1,
        "Time of minor triads over the time of minor and major triads.",
        "the same, bounded", harmony.minor_triad_share,
    ),
    Attribute(
        "Average Instantaneous Vertical Range", "harmony", "semitones", 0, 127,
        "Mean distance from the lowest to the highest sounding pitch.",
        "jSymbolic 2.3, C-58", harmony.mean_vertical_range,
    ),
    Attribute(
        "Roughness", "harmony", "none", 0, INF,
        "Mean sensory dissonance of the pairs of notes that sound together (weights as in C-1), each note "
        "with six harmonics that fall by 0.88.",
        "Sethares 1993, equations 2 and 3", harmony.roughness,
    ),
    Attribute(
        "Beat Dissonance", "harmony", "fraction", 0, 1,
        "Of all pairs of different pitch classes within a beat, weighed by the product of their lengths, the "
        "fraction that form seconds, sevenths or tritones; sees broken chords too.",
        "interval classes after Huron 1994", harmony.beat_dissonance, "beats",
    ),
    Attribute(
        "Key Strength", "harmony", "correlation", 0, 1,
        "Pitch classes are weighed by duration and correlated with the 24 key profiles of Krumhansl & Kessler "
        "1982. The highest correlation.",
        "Krumhansl 1990, chapter 4", harmony.key_strength,
    ),
    Attribute(
        "Mode Clarity", "harmony", "correlation", -1, 1,
        "Highest correlation with a major key minus highest with a minor key: 1 clearly major, -1 clearly "
        "minor.",
        "Saari, Eerola & Lartillot 2011, key mode", harmony.mode_clarity,
    ),
    Attribute(
        "Parallel Mode Clarity", "harmony", "correlation", -1, 1,
        "Major minus minor correlation on the tonic of the key (see Major or Minor, here and below).",
        "after Saari, Eerola & Lartillot 2011", harmony.parallel_mode_clarity,
    ),
    Attribute(
        "Key Ambiguity", "harmony", "correlation", 0, 1,
        "1 minus the lead of the highest correlation over the second highest.",
        "Temperley 2007, chapter 4 (idea)", harmony.key_ambiguity,
    ),
    Attribute(
        "Chromaticism", "harmony", "fraction", 0, 1,
        "Fraction of the sounding time outside the scale of the key (minor: natural and harmonic).",
        "after Krumhansl 1990", harmony.chromaticism,
    ),
    Attribute(
        "Tonic Share", "harmony", "fraction", 0, 1,
        "Fraction of the sounding time on the tonic of the key.",
        "after Krumhansl 1990", harmony.tonic_share,
    ),
    Attribute(
        "Dominant Share", "harmony", "fraction", 0, 1,
        "Fraction of the sounding time on the fifth degree of the key.",
        "after Krumhansl 1990", harmony.dominant_share,
    ),
    Attribute(
        "Leading Tone Share", "harmony", "fraction", 0, 1,
        "Fraction of the sounding time on the major seventh degree of the key.",
        "after Krumhansl 1990", harmony.leading_tone_share,
    ),
    Attribute(
        "Chord Change Rate", "harmony", "changes per beat", 0, 1,
        "Each beat gets one of 108 chords (triads and sevenths) by its pitch classes, see "
        "muse.theory.label_chords. Changes of chord from beat to beat, per beat.",
        "templates: Fujishima 1999", harmony.chord_change_rate, "beats",
    ),
    Attribute(
        "Chord Variety", "harmony", "chords per beat", 0, 1,
        "Number of different chords over the number of beats.",
        "templates: Fujishima 1999", harmony.chord_variety, "beats",
    ),
    Attribute(
        "Chord Entropy", "harmony", "bits", 0, 7,
        "Shannon entropy of the beats' chords.",
        "Shannon 1948", harmony.chord_entropy, "beats",
    ),
    Attribute(
        "Major Chord Beats", "harmony", "fraction", 0, 1,
        "Fraction of the beats whose chord is a major triad, dominant or major seventh.",
        "templates: Fujishima 1999", harmony.major_chord_beats, "beats",
    ),
    Attribute(
        "Minor Chord Beats", "harmony", "fraction", 0, 1,
        "Fraction of the beats whose chord is a minor triad or seventh.",
        "templates: Fujishima 1999", harmony.minor_chord_beats, "beats",
    ),
    Attribute(
        "Tense Chord Beats", "harmony", "fraction", 0, 1,
        "Fraction of the beats whose chord is diminished, augmented, or half-diminished.",
        "templates: Fujishima 1999", harmony.tense_chord_beats, "beats",
    ),
    Attribute(
        "Tonal Tension", "harmony", "distance", 0, 3,
        "Tonal centroids place the pitch classes of a beat on the circles of fifths, minor and major thirds. "
        "Mean distance of the beats' centroids from their mean.",
        "centroids: Harte, Sandler & Gasser 2006, eq. 1; tension as distance: Herremans & Chew 2016",
        harmony.tonal_tension, "beats",
    ),
    Attribute(
        "Tonal Tension Variability", "harmony", "distance", 0, 2,
        "Standard deviation of these distances.",
        "as above", harmony.tonal_tension_variability, "beats",
    ),
    Attribute(
        "Peak Tonal Tension", "harmony", "distance", 0, 3,
        "The largest of these distances.",
        "as above", harmony.peak_tonal_tension, "beats",
    ),
    Attribute(
        "Tonal Centroid Motion", "harmony", "distance", 0, 3,
        "Mean distance of successive beats' centroids.",
        "Harte, Sandler & Gasser 2006, eq. 3", harmony.tonal_centroid_motion, "beats",
    ),
    Attribute(
        "Peak Tonal Centroid Motion", "harmony", "distance", 0, 3,
        "The largest of these steps.",
        "as above", harmony.peak_tonal_centroid_motion, "beats",
    ),
    # ---------------------------------------------------------------------------------------------------------- rhythm
    Attribute(
        "Initial Time Signature", "rhythm", "count", 1, 255,
        "Numerator and denominator of the time signature at the window's start; 4/4 where there is none.",
        "jSymbolic 2.2, R-1", rhythm.initial_time_signature, "bars", 2,
    ),
    Attribute(
        "Simple Initial Meter", "rhythm", "0 or 1", 0, 1,
        "1 where its numerator is 2, 3 or 4.",
        "jSymbolic 2.2, R-2", rhythm.simple_meter, "bars",
    ),
    Attribute(
        "Compound Initial Meter", "rhythm", "0 or 1", 0, 1,
        "1 where its numerator is 6, 9, 12, 15, 18 or 24.",
        "jSymbolic 2.2, R-3", rhythm.compound_meter, "bars",
    ),
    Attribute(
        "Complex Initial Meter", "rhythm", "0 or 1", 0, 1,
        "1 where its numerator is 5, 7, 9, 11, 13, 15, 22 or 25.",
        "jSymbolic 2.2, R-4", rhythm.complex_meter, "bars",
    ),
    Attribute(
        "Duple Initial Meter", "rhythm", "0 or 1", 0, 1,
        "1 where its numerator is 2 or 6.",
        "jSymbolic 2.2, R-5", rhythm.duple_meter, "bars",
    ),
    Attribute(
        "Triple Initial Meter", "rhythm", "0 or 1", 0, 1,
        "1 where its numerator is 3 or 9.",
        "jSymbolic 2.2, R-6", rhythm.triple_meter, "bars",
    ),
    Attribute(
        "Quadruple Initial Meter", "rhythm", "0 or 1", 0, 1,
        "1 where its numerator is 4 or 12.",
        "jSymbolic 2.2, R-7", rhythm.quadruple_meter, "bars",
    ),
    Attribute(
        "Metrical Diversity", "rhythm", "count", 1, INF,
        "Number of different time signatures.",
        "jSymbolic 2.2, R-8", rhythm.metrical_diversity, "bars",
    ),
    Attribute(
        "Total Number of Notes", "rhythm", "count", 0, INF,
        "Number of notes, drums included.",
        "jSymbolic 2.2, R-9", rhythm.n_notes,
    ),
    Attribute(
        "Note Density per Quarter Note", "rhythm", "notes per beat", 0, INF,
        "Notes per quarter note, drums included. The length of a whole piece is counted from its first onset "
        "to the end of its last note, that of other windows from bar line to bar line.",
        "jSymbolic 2.2, R-10", rhythm.note_density_per_beat, "beats",
    ),
    Attribute(
        "Note Density per Quarter Note per Voice", "rhythm", "notes per beat", 0, INF,
        "The same divided by the number of tracks with notes.",
        "jSymbolic 2.2, R-11", rhythm.note_density_per_voice, "beats",
    ),
    Attribute(
        "Note Density per Quarter Note Variability", "rhythm", "notes per beat", 0, INF,
        "Standard deviation of the density over whole blocks of 8 quarter notes; undefined for fewer than two "
        "blocks.",
        "jSymbolic 2.2, R-12", rhythm.note_density_per_beat_variability, "beats",
    ),
    Attribute(
        "Rhythmic Value Histogram", "rhythm", "fraction", 0, 1,
        "Fraction of the notes whose duration is nearest to each value: 0 thirty-second (or less), 1 "
        "sixteenth, 2 eighth, 3 dotted eighth, 4 quarter, 5 dotted quarter, 6 half, 7 dotted half, 8 whole, 9 "
        "dotted whole, 10 double whole, 11 dotted double whole (or more). Without drums, here and below.",
        "jSymbolic 2.2, R-13", rhythm.value_histogram, "beats", 12,
    ),
    Attribute(
        "Range of Rhythmic Values", "rhythm", "bins", 0, 11,
        "Bins from the shortest to the longest value present.",
        "jSymbolic 2.2, R-14", rhythm.value_range, "beats",
    ),
    Attribute(
        "Number of Different Rhythmic Values Present", "rhythm", "count", 0, 12,
        "Number of values present.",
        "jSymbolic 2.2, R-15", rhythm.n_values, "beats",
    ),
    Attribute(
        "Number of Common Rhythmic Values Present", "rhythm", "count", 0, 6,
        "Number of values that each make up at least 15 % of the notes.",
        "jSymbolic 2.2, R-16", rhythm.n_common_values, "beats",
    ),
    Attribute(
        "Prevalence of Very Short Rhythmic Values", "rhythm", "fraction", 0, 1,
        "Fraction of the notes whose value is shorter than an eighth.",
        "jSymbolic 2.2, R-17", rhythm.very_short_values, "beats",
    ),
    Attribute(
        "Prevalence of Short Rhythmic Values", "rhythm", "fraction", 0, 1,
        "Fraction of the notes whose value is shorter than a dotted eighth.",
        "jSymbolic 2.2, R-18", rhythm.short_values, "beats",
    ),
    Attribute(
        "Prevalence of Medium Rhythmic Values", "rhythm", "fraction", 0, 1,
        "Fraction of the notes whose value is from an eighth to a half note.",
        "jSymbolic 2.2, R-19", rhythm.medium_values, "beats",
    ),
    Attribute(
        "Prevalence of Long Rhythmic Values", "rhythm", "fraction", 0, 1,
        "Fraction of the notes whose value is longer than a dotted quarter.",
        "jSymbolic 2.2, R-20", rhythm.long_values, "beats",
    ),
    Attribute(
        "Prevalence of Very Long Rhythmic Values", "rhythm", "fraction", 0, 1,
        "Fraction of the notes whose value is longer than a whole note.",
        "jSymbolic 2.2, R-21", rhythm.very_long_values, "beats",
    ),
    Attribute(
        "Prevalence of Dotted Notes", "rhythm", "fraction", 0, 1,
        "Fraction of the notes whose value is dotted.",
        "jSymbolic 2.2, R-22", rhythm.dotted_values, "beats",
    ),
    Attribute(
        "Shortest Rhythmic Value", "rhythm", "beats", 0.125, 12,
        "Shortest value present.",
        "jSymbolic 2.2, R-23", rhythm.shortest_value, "beats",
    ),
    Attribute(
        "Longest Rhythmic Value", "rhythm", "beats", 0.125, 12,
        "Longest value present.",
        "jSymbolic 2.2, R-24", rhythm.longest_value, "beats",
    ),
    Attribute(
        "Mean Rhythmic Value", "rhythm", "beats", 0.125, 12,
        "Mean value.",
        "jSymbolic 2.2, R-25", rhythm.mean_value, "beats",
    ),
    Attribute(
        "Most Common Rhythmic Value", "rhythm", "beats", 0.125, 12,
        "Most frequent value.",
        "jSymbolic 2.2, R-26", rhythm.most_common_value, "beats",
    ),
    Attribute(
        "Prevalence of Most Common Rhythmic Value", "rhythm", "fraction", 0, 1,
        "Fraction of the notes that have it.",
        "jSymbolic 2.2, R-27", rhythm.most_common_value_prevalence, "beats",
    ),
    Attribute(
        "Relative Prevalence of Most Common Rhythmic Values", "rhythm", "ratio", 0, 1,
        "Frequency of the second most common value over that of the most common.",
        "jSymbolic 2.2, R-28", rhythm.top_values_ratio, "beats",
    ),
    Attribute(
        "Difference Between Most Common Rhythmic Values", "rhythm", "bins", 0, 11,
        "Bins between the two.",
        "jSymbolic 2.2, R-29", rhythm.top_values_difference, "beats",
    ),
    Attribute(
        "Rhythmic Value Variability", "rhythm", "beats", 0, 9,
        "Standard deviation of the values.",
        "jSymbolic 2.2, R-30", rhythm.value_std, "beats",
    ),
    Attribute(
        "Rhythmic Value Skewness", "rhythm", "none", -3, 3,
        "Pearson's second skewness of the values.",
        "jSymbolic 2.2, R-31", rhythm.value_skewness, "beats",
    ),
    Attribute(
        "Rhythmic Value Kurtosis", "rhythm", "none", -6, INF,
        "Sample excess kurtosis G2 of the values (see Pitch Kurtosis).",
        "jSymbolic 2.2, R-32", rhythm.value_kurtosis, "beats",
    ),
    Attribute(
        "Rhythmic Value Median Run Lengths Histogram", "rhythm", "fraction", 0, 1,
        "Median number of successive notes of a track that have the value, for each value, normalized.",
        "jSymbolic 2.2, R-33", rhythm.median_runs_histogram, "beats", 12,
    ),
    Attribute(
        "Mean Rhythmic Value Run Length", "rhythm", "notes", 1, INF,
        "Mean number of successive notes of a track that have the same value.",
        "jSymbolic 2.2, R-34", rhythm.mean_run, "beats",
    ),
    Attribute(
        "Median Rhythmic Value Run Length", "rhythm", "notes", 1, INF,
        "Its median (of an even number the upper one).",
        "jSymbolic 2.2, R-35", rhythm.median_run, "beats",
    ),
    Attribute(
        "Variability in Rhythmic Value Run Lengths", "rhythm", "notes", 0, INF,
        "Its standard deviation.",
        "jSymbolic 2.2, R-36", rhythm.run_variability, "beats",
    ),
    Attribute(
        "Rhythmic Value Variability in Run Lengths Histogram", "rhythm", "fraction", 0, 1,
        "Standard deviation of the run lengths of each value, normalized.",
        "jSymbolic 2.2, R-37", rhythm.run_variability_histogram, "beats", 12,
    ),
    Attribute(
        "Mean Rhythmic Value Offset", "rhythm", "beats", 0, INF,
        "Mean distance of the durations from their values.",
        "jSymbolic 2.2, R-38", rhythm.mean_offset, "beats",
    ),
    Attribute(
        "Median Rhythmic Value Offset", "rhythm", "beats", 0, INF,
        "Its median.",
        "jSymbolic 2.2, R-39", rhythm.median_offset, "beats",
    ),
    Attribute(
        "Variability of Rhythmic Value Offsets", "rhythm", "beats", 0, INF,
        "Its standard deviation.",
        "jSymbolic 2.2, R-40", rhythm.offset_variability, "beats",
    ),
    Attribute(
        "Complete Rests Fraction", "rhythm", "fraction", 0, 1,
        "Fraction of the time in which nothing pitched sounds.",
        "jSymbolic 2.2, R-41", rhythm.complete_rests_fraction, "beats",
    ),
    Attribute(
        "Partial Rests Fraction", "rhythm", "fraction", 0, 1,
        "Fraction of the time in which at least one track is silent (drum tracks included, here and below).",
        "jSymbolic 2.2, R-42", rhythm.partial_rests_fraction, "beats",
    ),
    Attribute(
        "Average Rest Fraction Across Voices", "rhythm", "fraction", 0, 1,
        "Fraction of the time in which a track is silent, averaged over tracks.",
        "jSymbolic 2.2, R-43", rhythm.mean_rest_fraction_by_voice, "beats",
    ),
    Attribute(
        "Longest Complete Rest", "rhythm", "beats", 0, INF,
        "Longest silence of everything pitched, shorter than 0.1 beats left out; 0 without any.",
        "jSymbolic 2.2, R-44", rhythm.longest_complete_rest, "beats",
    ),
    Attribute(
        "Longest Partial Rest", "rhythm", "beats", 0, INF,
        "Longest silence of a track, shorter than 0.1 beats left out; 0 without any.",
        "jSymbolic 2.2, R-45", rhythm.longest_partial_rest, "beats",
    ),
    Attribute(
        "Mean Complete Rest Duration", "rhythm", "beats", 0, INF,
        "Mean length of silence of everything pitched, shorter than 0.1 beats left out; 0 without any.",
        "jSymbolic 2.2, R-46", rhythm.mean_complete_rest, "beats",
    ),
    Attribute(
        "Mean Partial Rest Duration", "rhythm", "beats", 0, INF,
        "Mean length of silence of a track, shorter than 0.1 beats left out; 0 without any.",
        "jSymbolic 2.2, R-47", rhythm.mean_partial_rest, "beats",
    ),
    Attribute(
        "Median Complete Rest Duration", "rhythm", "beats", 0, INF,
        "Median length of silence of everything pitched, shorter than 0.1 beats left out; 0 without any.",
        "jSymbolic 2.2, R-48", rhythm.median_complete_rest, "beats",
    ),
    Attribute(
        "Median Partial Rest Duration", "rhythm", "beats", 0, INF,
        "Median length of silence of a track, shorter than 0.1 beats left out; 0 without any.",
        "jSymbolic 2.2, R-49", rhythm.median_partial_rest, "beats",
    ),
    Attribute(
        "Variability of Complete Rest Durations", "rhythm", "beats", 0, INF,
        "Standard deviation of the complete rests.",
        "jSymbolic 2.2, R-50", rhythm.complete_rest_variability, "beats",
    ),
    Attribute(
        "Variability of Partial Rest Durations", "rhythm", "beats", 0, INF,
        "Standard deviation of the partial rests.",
        "jSymbolic 2.2, R-51", rhythm.partial_rest_variability, "beats",
    ),
    Attribute(
        "Variability Across Voices of Combined Rests", "rhythm", "beats", 0, INF,
        "Standard deviation, over tracks, of the total silence of each.",
        "jSymbolic 2.2, R-52", rhythm.combined_rest_variability, "beats",
    ),
    Attribute(
        "Beat Histogram Tempo Standardized", "rhythm", "fraction", 0, 1,
        "Strength of the pulses of 40 to 200 beats per minute (bin 0 is 40), a quarter note always lasting "
        "half a second: products of the loudness of all pairs of attacks that lie one pulse apart, "
        "normalized.",
        "jSymbolic 2.2, R-53", rhythm.standard_pulses.histogram, "beats", 161,
    ),
    Attribute(
        "Number of Strong Rhythmic Pulses - Tempo Standardized", "rhythm", "count", 0, 10,
        "Number of its peaks above 0.1.",
        "jSymbolic 2.2, R-54", rhythm.standard_pulses.n_strong, "beats",
    ),
    Attribute(
        "Number of Moderate Rhythmic Pulses - Tempo Standardized", "rhythm", "count", 0, 81,
        "Number of its peaks above 0.01.",
        "jSymbolic 2.2, R-55", rhythm.standard_pulses.n_moderate, "beats",
    ),
    Attribute(
        "Number of Relatively Strong Rhythmic Pulses - Tempo Standardized", "rhythm", "count", 0, 81,
        "Number of its peaks at least 30 % as high as the highest.",
        "jSymbolic 2.2, R-56", rhythm.standard_pulses.n_relatively_strong, "beats",
    ),
    Attribute(
        "Strongest Rhythmic Pulse - Tempo Standardized", "rhythm", "bpm", 40, 200,
        "Pulse of its highest bin.",
        "jSymbolic 2.2, R-57", rhythm.standard_pulses.strongest, "beats",
    ),
    Attribute(
        "Second Strongest Rhythmic Pulse - Tempo Standardized", "rhythm", "bpm", 40, 200,
        "Pulse of its second highest peak.",
        "jSymbolic 2.2, R-58", rhythm.standard_pulses.second_strongest, "beats",
    ),
    Attribute(
        "Harmonicity of Two Strongest Rhythmic Pulses - Tempo Standardized", "rhythm", "ratio", 1, 5,
        "Faster over slower of the two.",
        "jSymbolic 2.2, R-59", rhythm.standard_pulses.harmonicity, "beats",
    ),
    Attribute(
        "Strength of Strongest Rhythmic Pulse - Tempo Standardized", "rhythm", "fraction", 0, 1,
        "Height of the highest bin.",
        "jSymbolic 2.2, R-60", rhythm.standard_pulses.strength, "beats",
    ),
    Attribute(
        "Strength of Second Strongest Rhythmic Pulse - Tempo Standardized", "rhythm", "fraction", 0, 1,
        "Height of the second highest peak; 0 without one.",
        "jSymbolic 2.2, R-61", rhythm.standard_pulses.second_strength, "beats",
    ),
    Attribute(
        "Strength Ratio of Two Strongest Rhythmic Pulses - Tempo Standardized", "rhythm", "ratio", 1, 100,
        "First over second.",
        "jSymbolic 2.2, R-62", rhythm.standard_pulses.strength_ratio, "beats",
    ),
    Attribute(
        "Combined Strength of Two Strongest Rhythmic Pulses - Tempo Standardized", "rhythm", "fraction", 0, 1,
        "Their sum.",
        "jSymbolic 2.2, R-63", rhythm.standard_pulses.combined_strength, "beats",
    ),
    Attribute(
        "Rhythmic Variability - Tempo Standardized", "rhythm", "fraction", 0, 0.08,
        "Standard deviation of the bins.",
        "jSymbolic 2.2, R-64", rhythm.standard_pulses.variability, "beats",
    ),
    Attribute(
        "Rhythmic Looseness - Tempo Standardized", "rhythm", "bpm", 0, 160,
        "Mean width of the peaks at least 30 % as high as the highest, each measured where it falls below 30 "
        "% of its own height.",
        "jSymbolic 2.2, R-65", rhythm.standard_pulses.looseness, "beats",
    ),
    Attribute(
        "Polyrhythms - Tempo Standardized", "rhythm", "fraction", 0, 1,
        "Peaks at least 30 % as high as the highest that are no 1, 2, 3, 4, 6 or 8 fold or part of it (within "
        "3 bpm), over the bins that high.",
        "jSymbolic 2.2, R-66", rhythm.standard_pulses.polyrhythms, "beats",
    ),
    Attribute(
        "Initial Tempo", "rhythm", "bpm", 0, INF,
        "Quarter notes per minute at the window's start.",
        "jSymbolic 2.2, RT-1", rhythm.initial_tempo, "beats",
    ),
    Attribute(
        "Mean Tempo", "rhythm", "bpm", 0, INF,
        "Quarter notes per minute over the window, weighed by time (all beats over all minutes).",
        "jSymbolic 2.2, RT-2", rhythm.mean_tempo, "beats",
    ),
    Attribute(
        "Tempo Variability", "rhythm", "bpm", 0, INF,
        "Standard deviation of the tempo, weighed by beats.",
        "jSymbolic 2.2, RT-3", rhythm.tempo_variability, "beats",
    ),
    Attribute(
        "Duration in Seconds", "rhythm", "seconds", 0, INF,
        "Length of the window; of a whole piece from the first onset to the end of the last note (jSymbolic: "
        "from the file's start).",
        "jSymbolic 2.2, RT-4", rhythm.duration_sec,
    ),
    Attribute(
        "Note Density", "rhythm", "notes per second", 0, INF,
        "Notes per second, drums included, over the length above.",
        "jSymbolic 2.2, RT-5", rhythm.note_density,
    ),
    Attribute(
        "Note Density Variability", "rhythm", "notes per second", 0, INF,
        "Standard deviation of the density over whole blocks of 5 seconds; undefined for fewer than two "
        "blocks.",
        "jSymbolic 2.2, RT-6", rhythm.note_density_variability,
    ),
    Attribute(
        "Average Time Between Attacks", "rhythm", "seconds", 0, INF,
        "Mean time from attack to attack; notes within 25 ms are one attack, as hands on a keyboard are never "
        "quite together.",
        "jSymbolic 2.2, RT-7", rhythm.attack_gap_mean,
    ),
    Attribute(
        "Average Time Between Attacks for Each Voice", "rhythm", "seconds", 0, INF,
        "The same within each track, averaged over tracks.",
        "jSymbolic 2.2, RT-8", rhythm.attack_gap_mean_by_voice,
    ),
    Attribute(
        "Variability of Time Between Attacks", "rhythm", "seconds", 0, INF,
        "Standard deviation of the times from attack to attack.",
        "jSymbolic 2.2, RT-9", rhythm.attack_gap_std,
    ),
    Attribute(
        "Average Variability of Time Between Attacks for Each Voice", "rhythm", "seconds", 0, INF,
        "The same within each track, averaged over tracks.",
        "jSymbolic 2.2, RT-10", rhythm.attack_gap_std_by_voice,
    ),
    Attribute(
        "Minimum Note Duration", "rhythm", "seconds", 0, INF,
        "Shortest duration. Without drums, here and below.",
        "jSymbolic 2.2, RT-11", rhythm.min_note_duration,
    ),
    Attribute(
        "Maximum Note Duration", "rhythm", "seconds", 0, INF,
        "Longest duration.",
        "jSymbolic 2.2, RT-12", rhythm.max_note_duration,
    ),
    Attribute(
        "Average Note Duration", "rhythm", "seconds", 0, INF,
        "Mean duration.",
        "jSymbolic 2.2, RT-13", rhythm.mean_note_duration,
    ),
    Attribute(
        "Variability of Note Durations", "rhythm", "seconds", 0, INF,
        "Standard deviation of the durations.",
        "jSymbolic 2.2, RT-14", rhythm.std_note_duration,
    ),
    Attribute(
        "Amount of Staccato", "rhythm", "fraction", 0, 1,
        "Fraction of the notes shorter than 0.1 seconds.",
        "jSymbolic 2.2, RT-15", rhythm.staccato,
    ),
    Attribute(
        "Beat Histogram", "rhythm", "fraction", 0, 1,
        "Strength of the pulses of 40 to 200 beats per minute (bin 0 is 40), in real time: products of the "
        "loudness of all pairs of attacks that lie one pulse apart, normalized.",
        "jSymbolic 2.2, RT-16", rhythm.pulses.histogram, "notes", 161,
    ),
    Attribute(
        "Number of Strong Rhythmic Pulses", "rhythm", "count", 0, 10,
        "Number of its peaks above 0.1.",
        "jSymbolic 2.2, RT-17", rhythm.pulses.n_strong,
    ),
    Attribute(
        "Number of Moderate Rhythmic Pulses", "rhythm", "count", 0, 81,
        "Number of its peaks above 0.01.",
        "jSymbolic 2.2, RT-18", rhythm.pulses.n_moderate,
    ),
    Attribute(
        "Number of Relatively Strong Rhythmic Pulses", "rhythm", "count", 0, 81,
        "Number of its peaks at least 30 % as high as the highest.",
        "jSymbolic 2.2, RT-19", rhythm.pulses.n_relatively_strong,
    ),
    Attribute(
        "Strongest Rhythmic Pulse", "rhythm", "bpm", 40, 200,
        "Pulse of its highest bin.",
        "jSymbolic 2.2, RT-20", rhythm.pulses.strongest,
    ),
    Attribute(
        "Second Strongest Rhythmic Pulse", "rhythm", "bpm", 40, 200,
        "Pulse of its second highest peak.",
        "jSymbolic 2.2, RT-21", rhythm.pulses.second_strongest,
    ),
    Attribute(
        "Harmonicity of Two Strongest Rhythmic Pulses", "rhythm", "ratio", 1, 5,
        "Faster over slower of the two.",
        "jSymbolic 2.2, RT-22", rhythm.pulses.harmonicity,
    ),
    Attribute(
        "Strength of Strongest Rhythmic Pulse", "rhythm", "fraction", 0, 1,
        "Height of the highest bin.",
        "jSymbolic 2.2, RT-23", rhythm.pulses.strength,
    ),
    Attribute(
        "Strength of Second Strongest Rhythmic Pulse", "rhythm", "fraction", 0, 1,
        "Height of the second highest peak; 0 without one.",
        "jSymbolic 2.2, RT-24", rhythm.pulses.second_strength,
    ),
    Attribute(
        "Strength Ratio of Two Strongest Rhythmic Pulses", "rhythm", "ratio", 1, 100,
        "First over second.",
        "jSymbolic 2.2, RT-25", rhythm.pulses.strength_ratio,
    ),
    Attribute(
        "Combined Strength of Two Strongest Rhythmic Pulses", "rhythm", "fraction", 0, 1,
        "Their sum.",
        "jSymbolic 2.2, RT-26", rhythm.pulses.combined_strength,
    ),
    Attribute(
        "Rhythmic Variability", "rhythm", "fraction", 0, 0.08,
        "Standard deviation of the bins.",
        "jSymbolic 2.2, RT-27", rhythm.pulses.variability,
    ),
    Attribute(
        "Rhythmic Looseness", "rhythm", "bpm", 0, 160,
        "Mean width of the peaks at least 30 % as high as the highest, each measured where it falls below 30 "
        "% of its own height.",
        "jSymbolic 2.2, RT-28", rhythm.pulses.looseness,
    ),
    Attribute(
        "Polyrhythms", "rhythm", "fraction", 0, 1,
        "Peaks at least 30 % as high as the highest that are no 1, 2, 3, 4, 6 or 8 fold or part of it (within "
        "3 bpm), over the bins that high.",
        "jSymbolic 2.2, RT-29", rhythm.pulses.polyrhythms,
    ),
    Attribute(
        "Attack Density", "rhythm", "attacks per second", 0, INF,
        "Attacks per second; unlike Note Density a chord counts once.",
        "Gomez & Danuser 2007 (event density)", rhythm.attack_density,
    ),
    Attribute(
        "Attack Density per Quarter Note", "rhythm", "attacks per beat", 0, INF,
        "Attacks per quarter note.",
        "as above", rhythm.attack_density_per_beat, "beats",
    ),
    Attribute(
        "Drum Density", "rhythm", "notes per second", 0, INF,
        "Drum notes per second.",
        "as Note Density", rhythm.drum_density,
    ),
    Attribute(
        "Note Density Slope", "rhythm", "correlation", -1, 1,
        "Correlation of the number of notes in a beat with its position: 1 builds up, -1 thins out.",
        "Pearson", rhythm.density_slope, "beats",
    ),
    Attribute(
        "Tempo Trend", "rhythm", "ratio", 0, INF,
        "Mean tempo of the second half (in beats) over that of the first: above 1 gets faster.",
        "ratio of mean tempi", rhythm.tempo_trend, "beats",
    ),
    Attribute(
        "Articulation", "rhythm", "ratio", 0, 2,
        "Mean of duration over time to the next attack of the same program, each at most 2: legato about 1 "
        "and more, staccato below 0.5.",
        "Bresin & Battel 2000, key overlap and detached ratio", rhythm.articulation,
    ),
    Attribute(
        "Articulation Variability", "rhythm", "ratio", 0, 1.5,
        "Its standard deviation.",
        "as above", rhythm.articulation_variability,
    ),
    Attribute(
        "Legato Share", "rhythm", "fraction", 0, 1,
        "Fraction of the notes that last at least 95 % of the way to the next attack.",
        "as above", rhythm.legato_share,
    ),
    Attribute(
        "Detached Share", "rhythm", "fraction", 0, 1,
        "Fraction of the notes that last less than half of the way.",
        "as above", rhythm.detached_share,
    ),
    Attribute(
        "Syncopation", "rhythm", "levels", 0, 4,
        "Mean over notes of how many metrical levels stronger the strongest beat is that a note is held over, "
        "or that its instrument leaves silent after it; 0 for a note on the strongest position it covers.",
        "Longuet-Higgins & Lee 1984, per note; levels as in Fitch & Rosenfeld 2007",
        rhythm.syncopation, "bars",
    ),
    Attribute(
        "Syncopated Notes", "rhythm", "fraction", 0, 1,
        "Fraction of the notes for which it is not 0.",
        "as above", rhythm.syncopated_share, "bars",
    ),
    Attribute(
        "Note to Beat Distance", "rhythm", "1 / beats", 0, 24,
        "Mean over notes of 1 / distance to the nearest beat, twice that for notes held past one beat but not "
        "two, 0 on the beat; distances count as at least 1/12 beat.",
        "Gomez, Melvin, Rappaport & Toussaint 2005, weighted note-to-beat distance",
        rhythm.note_to_beat_distance, "beats",
    ),
    Attribute(
        "On Beat Share", "rhythm", "fraction", 0, 1,
        "Fraction of the notes within 0.07 beats of a beat.",
        "tolerance: a third of a sixteenth", rhythm.on_beat_share, "beats",
    ),
    Attribute(
        "Off Beat Share", "rhythm", "fraction", 0, 1,
        "Fraction of the notes within 0.07 beats of the middle between two beats.",
        "as above", rhythm.off_beat_share, "beats",
    ),
    Attribute(
        "Triplet Share", "rhythm", "fraction", 0, 1,
        "Fraction of the notes within 0.03 beats of a third of a beat.",
        "as above", rhythm.triplet_share, "beats",
    ),
    Attribute(
        "Downbeat Share", "rhythm", "fraction", 0, 1,
        "Fraction of the notes within 0.07 beats of a bar line.",
        "as above", rhythm.downbeat_share, "bars",
    ),
    Attribute(
        "Bar Rhythm Similarity", "rhythm", "fraction", 0, 1,
        "Mean Jaccard index of the sixteenths on which successive bars have attacks.",
        "grooving similarity after Wu & Yang 2020, GS", rhythm.bar_similarity, "bars",
    ),
    Attribute(
        "Attack Interval Entropy", "rhythm", "bits", 0, 5.615,
        "Shannon entropy of the times from attack to attack, rounded to a twelfth of a beat, at most four "
        "beats.",
        "Shannon 1948", rhythm.attack_gap_entropy, "beats",
    ),
    Attribute(
        "Attack Interval nPVI", "rhythm", "percent", 0, 200,
        "Mean contrast of successive times between attacks, 100 |a - b| / ((a + b) / 2).",
        "Grabe & Low 2002", rhythm.attack_gap_npvi,
    ),
    # --------------------------------------------------------------------------------------------------------- texture
    Attribute(
        "Maximum Number of Independent Voices", "texture", "tracks", 0, INF,
        "Largest number of tracks that sound together. Voices are tracks (jSymbolic: channels); drums are "
        "none.",
        "jSymbolic 2.2, T-1", texture.max_voices,
    ),
    Attribute(
        "Average Number of Independent Voices", "texture", "tracks", 1, INF,
        "Mean number of tracks that sound together, over the time in which any does.",
        "jSymbolic 2.2, T-2", texture.mean_voices,
    ),
    Attribute(
        "Variability of Number of Independent Voices", "texture", "tracks", 0, INF,
        "Its standard deviation over time.",
        "jSymbolic 2.2, T-3", texture.std_voices,
    ),
    Attribute(
        "Voice Equality - Number of Notes", "texture", "notes", 0, INF,
        "Standard deviation, over tracks, of the number of notes.",
        "jSymbolic 2.2, T-4", texture.equality_notes,
    ),
    Attribute(
        "Voice Equality - Note Duration", "texture", "seconds", 0, INF,
        "The same of the time in which the track sounds.",
        "jSymbolic 2.2, T-5", texture.equality_duration,
    ),
    Attribute(
        "Voice Equality - Dynamics", "texture", "velocity", 0, 90,
        "The same of the mean velocity.",
        "jSymbolic 2.2, T-6", texture.equality_dynamics,
    ),
    Attribute(
        "Voice Equality - Melodic Leaps", "texture", "semitones", 0, 90,
        "The same of the mean melodic interval.",
        "jSymbolic 2.2, T-7", texture.equality_leaps,
    ),
    Attribute(
        "Voice Equality - Range", "texture", "semitones", 0, 90,
        "The same of the range.",
        "jSymbolic 2.2, T-8", texture.equality_range,
    ),
    Attribute(
        "Importance of Loudest Voice", "texture", "velocity", 0, 126,
        "Mean velocity of the loudest track minus the mean of the other tracks'; undefined for a single "
        "track.",
        "jSymbolic 2.2, T-9", texture.loudest_importance,
    ),
    Attribute(
        "Relative Range of Loudest Voice", "texture", "fraction", 0, 1,
        "Its range over that of the piece.",
        "jSymbolic 2.2, T-10", texture.loudest_range,
    ),
    Attribute(
        "Relative Range Isolation of Loudest Voice", "texture", "fraction", 0, 1,
        "Fraction of its notes outside the range of every other track; undefined for a single track.",
        "jSymbolic 2.2, T-11", texture.loudest_isolation,
    ),
    Attribute(
        "Relative Range of Highest Line", "texture", "fraction", 0, 1,
        "Range of the track with the highest mean pitch over that of the piece.",
        "jSymbolic 2.2, T-12", texture.highest_line_range,
    ),
    Attribute(
        "Relative Note Density of Highest Line", "texture", "ratio", 0, INF,
        "Its number of notes over the mean of all tracks.",
        "jSymbolic 2.2, T-13", texture.highest_line_density,
    ),
    Attribute(
        "Relative Note Durations of Lowest Line", "texture", "ratio", 0, INF,
        "Mean duration in the track with the lowest mean pitch over the mean of all tracks'.",
        "jSymbolic 2.2, T-14", texture.lowest_line_durations,
    ),
    Attribute(
        "Relative Size of Melodic Intervals in Lowest Line", "texture", "ratio", 0, INF,
        "Its mean melodic interval over the mean of all tracks'.",
        "jSymbolic 2.2, T-15", texture.lowest_line_intervals,
    ),
    Attribute(
        "Voice Overlap", "texture", "fraction", 0, 1,
        "Fraction of the notes within the range of another track.",
        "jSymbolic 2.2, T-16", texture.voice_overlap,
    ),
    Attribute(
        "Voice Separation", "texture", "semitones", 0, 127,
        "Mean distance of the mean pitches of neighboring tracks.",
        "jSymbolic 2.2, T-17", texture.voice_separation,
    ),
    Attribute(
        "Variability of Voice Separation", "texture", "semitones", 0, 90,
        "Its standard deviation.",
        "jSymbolic 2.2, T-18", texture.voice_separation_variability,
    ),
    Attribute(
        "Parallel Motion", "texture", "fraction", 0, 1,
        "Fraction of the movements of pairs of voices, from one attack to the next with as many pitches, the "
        "lowest going to the lowest and so on, in which both move by the same interval.",
        "jSymbolic 2.2, T-19", texture.parallel_motion,
    ),
    Attribute(
        "Similar Motion", "texture", "fraction", 0, 1,
        "Fraction of the movements of pairs of voices, from one attack to the next with as many pitches, the "
        "lowest going to the lowest and so on, in which both move the same way by different intervals.",
        "jSymbolic 2.2, T-20", texture.similar_motion,
    ),
    Attribute(
        "Contrary Motion", "texture", "fraction", 0, 1,
        "Fraction of the movements of pairs of voices, from one attack to the next with as many pitches, the "
        "lowest going to the lowest and so on, in which they move opposite ways.",
        "jSymbolic 2.2, T-21", texture.contrary_motion,
    ),
    Attribute(
        "Oblique Motion", "texture", "fraction", 0, 1,
        "Fraction of the movements of pairs of voices, from one attack to the next with as many pitches, the "
        "lowest going to the lowest and so on, in which only one moves.",
        "jSymbolic 2.2, T-22", texture.oblique_motion,
    ),
    Attribute(
        "Parallel Fifths", "texture", "fraction", 0, 1,
        "Fraction of the movements of pairs of voices, from one attack to the next with as many pitches, the "
        "lowest going to the lowest and so on, in which they move in parallel fifths.",
        "jSymbolic 2.2, T-23", texture.parallel_fifths,
    ),
    Attribute(
        "Parallel Octaves", "texture", "fraction", 0, 1,
        "Fraction of the movements of pairs of voices, from one attack to the next with as many pitches, the "
        "lowest going to the lowest and so on, in which they move in parallel octaves.",
        "jSymbolic 2.2, T-24", texture.parallel_octaves,
    ),
    Attribute(
        "Average Attack Size", "texture", "notes", 1, INF,
        "Notes per attack.",
        "Note Density over Attack Density", texture.mean_attack_size,
    ),
    Attribute(
        "Chordal Attacks", "texture", "fraction", 0, 1,
        "Fraction of the attacks of an instrument that have three notes or more.",
        "homophony after Huron 1989", texture.chord_attacks,
    ),
    Attribute(
        "Polyphony Share", "texture", "fraction", 0, 1,
        "Fraction of the sounding time in which two pitches or more sound.",
        "Dong et al. 2020, MusPy, polyphony rate", texture.polyphony_share,
    ),
    Attribute(
        "Skyline Elevation", "texture", "semitones", -127, 127,
        "Mean pitch of the skyline minus mean pitch of everything.",
        "line: Uitdenbogerd & Zobel 1998", texture.skyline_gap,
    ),
    # -------------------------------------------------------------------------------------------------------- dynamics
    Attribute(
        "Dynamic Range", "dynamics", "velocity", 0, 126,
        "Highest minus lowest velocity. jSymbolic multiplies velocity by channel volume, we do not, here and "
        "below.",
        "jSymbolic 2.2, D-1", dynamics.dynamic_range,
    ),
    Attribute(
        "Variation of Dynamics", "dynamics", "velocity", 0, 90,
        "Standard deviation of the velocities.",
        "jSymbolic 2.2, D-2", dynamics.variation_of_dynamics,
    ),
    Attribute(
        "Variation of Dynamics In Each Voice", "dynamics", "velocity", 0, 90,
        "The same within each track, averaged over tracks.",
        "jSymbolic 2.2, D-3", dynamics.variation_in_each_voice,
    ),
    Attribute(
        "Average Note to Note Change in Dynamics", "dynamics", "velocity", 0, 126,
        "Mean absolute difference of successive velocities in a track.",
        "jSymbolic 2.2, D-4", dynamics.note_to_note_change,
    ),
    Attribute(
        "Mean Dynamics", "dynamics", "velocity", 0, 127,
        "Mean velocity.",
        "MIDI 1.0 velocity", dynamics.mean_dynamics,
    ),
    Attribute(
        "Loudness Slope", "dynamics", "correlation", -1, 1,
        "Correlation of velocity with onset: 1 swells, -1 dies away.",
        "Schubert 2004 (loudness change), as correlation", dynamics.loudness_slope,
    ),
    Attribute(
        "Dynamics Entropy", "dynamics", "bits", 0, 4,
        "Shannon entropy of the velocities in 16 bins of 8.",
        "Shannon 1948", dynamics.dynamics_entropy,
    ),
    Attribute(
        "Soft Notes", "dynamics", "fraction", 0, 1,
        "Fraction of the notes with velocity below 50 (piano and softer).",
        "velocity steps of common notation programs", dynamics.soft_share,
    ),
    Attribute(
        "Loud Notes", "dynamics", "fraction", 0, 1,
        "Fraction of the notes with velocity 96 and above (forte and louder).",
        "as above", dynamics.loud_share,
    ),
    Attribute(
        "Melody Prominence", "dynamics", "velocity", -127, 127,
        "Mean velocity of the skyline minus that of everything pitched.",
        "melody lead: Goebl 2001", dynamics.melody_prominence,
    ),
    Attribute(
        "Beat Accent", "dynamics", "velocity", -127, 127,
        "Mean velocity within 0.07 beats of a beat minus mean velocity elsewhere.",
        "metrical accent: Drake & Palmer 1993", dynamics.beat_accent, "beats",
    ),
    Attribute(
        "Pitch Loudness Correlation", "dynamics", "correlation", -1, 1,
        "Correlation of pitch with velocity: the higher the louder.",
        "Friberg, Bresin & Sundberg 2006, high loud rule", dynamics.pitch_loudness_correlation,
    ),
    # ------------------------------------------------------------------------------------------------- instrumentation
    Attribute(
        "Pitched Instruments Present", "instrumentation", "0 or 1", 0, 1,
        "1 where a note is played by the General MIDI program (0 = acoustic grand piano).",
        "jSymbolic 2.2, I-1", instruments.pitched_present, "notes", 128,
    ),
    Attribute(
        "Unpitched Instruments Present", "instrumentation", "0 or 1", 0, 1,
        "1 where a drum note is on the key (bin 0 = key 35, acoustic bass drum, to bin 46 = key 81).",
        "jSymbolic 2.2, I-2", instruments.unpitched_present, "notes", 47,
    ),
    Attribute(
        "Note Prevalence of Pitched Instruments", "instrumentation", "fraction", 0, 1,
        "Fraction of all notes played by each program.",
        "jSymbolic 2.2, I-3", instruments.pitched_notes, "notes", 128,
    ),
    Attribute(
        "Note Prevalence of Unpitched Instruments", "instrumentation", "fraction", 0, 1,
        "Fraction of all notes on each drum key.",
        "jSymbolic 2.2, I-4", instruments.unpitched_notes, "notes", 47,
    ),
    Attribute(
        "Time Prevalence of Pitched Instruments", "instrumentation", "fraction", 0, 1,
        "Fraction of the time in which each program sounds.",
        "jSymbolic 2.2, I-5", instruments.pitched_time, "notes", 128,
    ),
    Attribute(
        "Variability of Note Prevalence of Pitched Instruments", "instrumentation", "fraction", 0, 0.71,
        "Standard deviation of the fractions of all notes over the programs that play.",
        "jSymbolic 2.2, I-6", instruments.pitched_variability,
    ),
    Attribute(
        "Variability of Note Prevalence of Unpitched Instruments", "instrumentation", "fraction", 0, 0.71,
        "The same over the drum keys that are played.",
        "jSymbolic 2.2, I-7", instruments.unpitched_variability,
    ),
    Attribute(
        "Number of Pitched Instruments", "instrumentation", "count", 0, 128,
        "Number of programs that play.",
        "jSymbolic 2.2, I-8", instruments.n_pitched,
    ),
    Attribute(
        "Number of Unpitched Instruments", "instrumentation", "count", 0, 47,
        "Number of drum keys that are played.",
        "jSymbolic 2.2, I-9", instruments.n_unpitched,
    ),
    Attribute(
        "Unpitched Percussion Instrument Prevalence", "instrumentation", "fraction", 0, 1,
        "Fraction of the notes that are drums.",
        "jSymbolic 2.2, I-10", instruments.unpitched_prevalence,
    ),
    Attribute(
        "String Keyboard Prevalence", "instrumentation", "fraction", 0, 1,
        "Fraction of the notes played by programs 0 to 7.",
        "jSymbolic 2.2, I-11", instruments.string_keyboard,
    ),
    Attribute(
        "Acoustic Guitar Prevalence", "instrumentation", "fraction", 0, 1,
        "Fraction of the notes played by programs 24 and 25.",
        "jSymbolic 2.2, I-12", instruments.acoustic_guitar,
    ),
    Attribute(
        "Electric Guitar Prevalence", "instrumentation", "fraction", 0, 1,
        "Fraction of the notes played by programs 26 to 31.",
        "jSymbolic 2.2, I-13", instruments.electric_guitar,
    ),
    Attribute(
        "Violin Prevalence", "instrumentation", "fraction", 0, 1,
        "Fraction of the notes played by programs 40 and 110.",
        "jSymbolic 2.2, I-14", instruments.violin,
    ),
    Attribute(
        "Saxophone Prevalence", "instrumentation", "fraction", 0, 1,
        "Fraction of the notes played by programs 64 to 67.",
        "jSymbolic 2.2, I-15", instruments.saxophone,
    ),
    Attribute(
        "Brass Prevalence", "instrumentation", "fraction", 0, 1,
        "Fraction of the notes played by programs 56 to 67, saxophones included.",
        "jSymbolic 2.2, I-16", instruments.brass,
    ),
    Attribute(
        "Woodwinds Prevalence", "instrumentation", "fraction", 0, 1,
        "Fraction of the notes played by programs 68 to 75.",
        "jSymbolic 2.2, I-17", instruments.woodwinds,
    ),
    Attribute(
        "Orchestral Strings Prevalence", "instrumentation", "fraction", 0, 1,
        "Fraction of the notes played by programs 40 to 46.",
        "jSymbolic 2.2, I-18", instruments.orchestral_strings,
    ),
    Attribute(
        "String Ensemble Prevalence", "instrumentation", "fraction", 0, 1,
        "Fraction of the notes played by programs 48 to 51.",
        "jSymbolic 2.2, I-19", instruments.string_ensemble,
    ),
    Attribute(
        "Electric Instrument Prevalence", "instrumentation", "fraction", 0, 1,
        "Fraction of the notes played by programs 4, 5, 16, 18, 26 to 31 and 33 to 39.",
        "jSymbolic 2.2, I-20", instruments.electric,
    ),
    Attribute(
        "Instrument Balance", "instrumentation", "fraction", 0, 1,
        "Entropy of the programs' shares of the notes over that of equal shares; 0 for a single one.",
        "Pielou 1966, evenness", instruments.instrument_balance,
    ),
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


def as_markdown() -> str:
    """The catalogue as a page: ``docs/attributes.md`` is this text."""
    n_jsymbolic = sum(row.source.startswith("jSymbolic 2.2") for row in ATTRIBUTES)
    lines = [
        "# Attribute catalogue",
        "",
        "<!-- Written by `python docs/attribute_catalogue.py`. -->",
        "",
        f"{len(ATTRIBUTES)} attributes with {len(COLUMNS)} columns, {n_jsymbolic} of them under the names and "
        "definitions of jSymbolic 2.2. `muse.attributes.extract(score, names=[...], bars=16)` measures them; columns "
        "of a histogram are called `Name_0`, `Name_1` and so on. A beat is a quarter note. Undefined values are NaN.",
        "",
        "*Needs* says what must be right in a file for the value to mean something: *notes* nothing else, *beats* "
        "that the file's quarter notes are beats, *bars* that its bar lines are bars. Song and section controls, which "
        "steer the generator, are marked **S** and **s**.",
        "",
    ]
    for group in dict.fromkeys(row.group for row in ATTRIBUTES):
        rows = [row for row in ATTRIBUTES if row.group == group]
        lines += [
            f"## {group.capitalize()} ({len(rows)})",
            "",
            "| attribute | unit | range | needs | definition | source |",
            "|---|---|---|---|---|---|",
        ]
        for row in rows:
            marks = " **S**" * (row.name in SONG_CONTROLS) + " **s**" * (row.name in SECTION_CONTROLS)
            size = f" [{row.size}]" if row.size > 1 else ""
            span = f"{row.low:g} … {row.high:g}".replace("inf", "∞")
            definition = row.definition.replace("|", "\\|")
            cells = (f"{row.name}{size}{marks}", row.unit, span, row.needs, definition, row.source)
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)
