"""Attributes against ``music21.features.jSymbolic``: do they agree, and how much faster are they?

Pieces come from the corpus that ships with music21. Each is freed of what the two sides read differently before any
attribute is looked at (ties joined, repeats, grace notes and chord symbols removed, sounding pitch, a piano where no
instrument is named) and then goes to music21 as a stream and to us as the MIDI bytes that music21 makes of that stream.

``python benchmarks/attribute_parity.py`` writes ``docs/attribute-parity.md``.
"""

from __future__ import annotations

import argparse
import functools
import importlib.metadata
import math
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from music21 import bar, corpus, harmony, instrument, midi, repeat, stream, tempo
from music21.features import base as features_base
from music21.features import jSymbolic
from numpy.typing import NDArray

from muse.attributes import extract
from muse.evaluate.reports import TEMPLATES
from muse.files import write_text
from muse.pages import render
from muse.score import Score, read_score

REPORT = Path(__file__).resolve().parents[1] / "docs" / "attribute-parity.md"

LINES = (
    "bach/bwv66.6",
    "bach/bwv7.7",
    "bach/bwv10.7",
    "bach/bwv269",
    "bach/bwv253",
    "bach/bwv279",
    "bach/bwv308",
    "bach/bwv333",
    "bach/bwv380",
    "bach/bwv432",
    "corelli/opus3no1/1grave",
    "palestrina/agnus_0",
    "palestrina/Agnus_01",
    "luca/gloria",
    "ciconia/quod_jactatur",
    "monteverdi/madrigal.3.10",
)
"""Pieces whose parts have one note at a time."""
CHORDS = (
    "joplin/maple_leaf_rag",
    "johnson_j_r/lift_every_voice",
    "haydn/opus74no1/movement3",
    "mozart/k80/movement1",
    "beethoven/opus18no1/movement3",
    "monteverdi/madrigal.3.1",
    "beach/prayer_of_a_tired_child",
    "cpebach/h186",
    "schubert/Lindenbaum",
)
"""Pieces with chords or several voices in a part."""


INSTRUMENTS = ("Piano", "Violin", "Acoustic Guitar", "Trumpet", "Flute")
"""Given to the parts in turn: what the pieces say is missing or wrong as often as right."""
TEMPO_BPM = 96
"""Written into every part; music21 looks for tempo marks in each part alone."""
_UNWANTED = (harmony.Harmony, repeat.RepeatMark, bar.Repeat, instrument.Instrument, tempo.TempoIndication)


@dataclass(frozen=True)
class Pair:
    """One attribute on both sides."""

    name: str
    """Our name."""
    theirs: str
    """music21's class, without ``Feature``."""
    tolerance: float = 1e-4
    """Largest difference that counts as agreement, absolute; relative to music21's value where ``relative``."""
    relative: bool = False
    lines_only: bool = False
    """Compared only where parts have one note at a time."""
    counts: str = ""
    """``"pitch"``: not compared where the three most frequent pitches are not of three different counts."""
    why: str = ""
    """Why the tolerance is above rounding, or why it is compared on lines only."""


_CHORDS = "music21 skips chords in a melody; jSymbolic and we keep one note of each"
_ELEMENTS = "music21 counts a chord as one note"
_SPREAD = "music21 divides by n, jSymbolic and we by n - 1"
_OCTAVE = "music21 counts double and higher octaves, except three of them"
_ATTACKS = "notes within 25 ms are one attack for us: five against six"
_TIES = "of equally frequent ones music21 takes the first in the piece, we the lowest; compared where there is no tie"

PAIRS = (
    Pair("Basic Pitch Histogram", "BasicPitchHistogram"),
    Pair("Pitch Class Histogram", "PitchClassDistribution"),
    Pair("Folded Fifths Pitch Class Histogram", "FifthsPitchHistogram"),
    Pair("Number of Pitches", "PitchVariety"),
    Pair("Number of Pitch Classes", "PitchClassVariety"),
    Pair("Number of Common Pitches", "NumberOfCommonPitches"),
    Pair("Range", "Range"),
    Pair("Importance of Bass Register", "ImportanceOfBassRegister"),
    Pair("Importance of Middle Register", "ImportanceOfMiddleRegister"),
    Pair("Importance of High Register", "ImportanceOfHighRegister"),
    Pair("Mean Pitch", "PrimaryRegister"),
    Pair("Most Common Pitch", "MostCommonPitch", counts="pitch", why=_TIES),
    Pair("Most Common Pitch Class", "MostCommonPitchClass"),
    Pair("Prevalence of Most Common Pitch", "MostCommonPitchPrevalence"),
    Pair("Prevalence of Most Common Pitch Class", "MostCommonPitchClassPrevalence"),
    Pair("Relative Prevalence of Top Pitches", "RelativeStrengthOfTopPitches"),
    Pair("Relative Prevalence of Top Pitch Classes", "RelativeStrengthOfTopPitchClasses"),
    Pair("Interval Between Most Prevalent Pitches", "IntervalBetweenStrongestPitches", counts="pitch", why=_TIES),
    Pair("Interval Between Most Prevalent Pitch Classes", "IntervalBetweenStrongestPitchClasses"),
    Pair("Melodic Interval Histogram", "MelodicIntervalHistogram", lines_only=True, why=_CHORDS),
    Pair("Mean Melodic Interval", "AverageMelodicInterval", lines_only=True, why=_CHORDS),
    Pair("Most Common Melodic Interval", "MostCommonMelodicInterval", lines_only=True, why=_CHORDS),
    Pair(
        "Distance Between Most Prevalent Melodic Intervals",
        "DistanceBetweenMostCommonMelodicIntervals",
        lines_only=True,
        why=_CHORDS,
    ),
    Pair(
        "Prevalence of Most Common Melodic Interval",
        "MostCommonMelodicIntervalPrevalence",
        lines_only=True,
        why=_CHORDS,
    ),
    Pair(
        "Relative Prevalence of Most Common Melodic Intervals",
        "RelativeStrengthOfMostCommonIntervals",
        lines_only=True,
        why=_CHORDS,
    ),
    Pair("Number of Common Melodic Intervals", "NumberOfCommonMelodicIntervals", lines_only=True, why=_CHORDS),
    Pair("Amount of Arpeggiation", "AmountOfArpeggiation", lines_only=True, why=_CHORDS),
    Pair("Repeated Notes", "RepeatedNotes", lines_only=True, why=_CHORDS),
    Pair("Chromatic Motion", "ChromaticMotion", lines_only=True, why=_CHORDS),
    Pair("Stepwise Motion", "StepwiseMotion", lines_only=True, why=_CHORDS),
    Pair("Melodic Thirds", "MelodicThirds", lines_only=True, why=_CHORDS),
    Pair("Melodic Perfect Fifths", "MelodicFifths", lines_only=True, why=_CHORDS),
    Pair("Melodic Tritones", "MelodicTritones", lines_only=True, why=_CHORDS),
    Pair("Melodic Octaves", "MelodicOctaves", 0.005, lines_only=True, why=_OCTAVE),
    Pair("Direction of Melodic Motion", "DirectionOfMotion", lines_only=True, why=_CHORDS),
    Pair("Average Length of Melodic Arcs", "DurationOfMelodicArcs", lines_only=True, why=_CHORDS),
    Pair("Average Interval Spanned by Melodic Arcs", "SizeOfMelodicArcs", lines_only=True, why=_CHORDS),
    Pair("Note Density", "NoteDensity", lines_only=True, why=_ELEMENTS),
    Pair("Average Note Duration", "AverageNoteDuration", lines_only=True, why=_ELEMENTS),
    Pair(
        "Variability of Note Durations",
        "VariabilityOfNoteDuration",
        0.01,
        relative=True,
        lines_only=True,
        why=f"{_ELEMENTS}; {_SPREAD}",
    ),
    Pair("Maximum Note Duration", "MaximumNoteDuration"),
    Pair("Minimum Note Duration", "MinimumNoteDuration"),
    Pair("Amount of Staccato", "StaccatoIncidence", lines_only=True, why=_ELEMENTS),
    Pair("Average Time Between Attacks", "AverageTimeBetweenAttacks", 0.001, why=_ATTACKS),
    Pair("Variability of Time Between Attacks", "VariabilityOfTimeBetweenAttacks", 0.02, relative=True, why=_SPREAD),
    Pair("Average Time Between Attacks for Each Voice", "AverageTimeBetweenAttacksForEachVoice"),
    Pair(
        "Average Variability of Time Between Attacks for Each Voice",
        "AverageVariabilityOfTimeBetweenAttacksForEachVoice",
        0.02,
        relative=True,
        why=_SPREAD,
    ),
    Pair("Duration in Seconds", "Duration"),
    Pair("Initial Tempo", "InitialTempo"),
    Pair("Initial Time Signature", "InitialTimeSignature"),
    Pair("Triple Initial Meter", "TripleMeter"),
    Pair("Maximum Number of Independent Voices", "MaximumNumberOfIndependentVoices"),
    Pair("Pitched Instruments Present", "PitchedInstrumentsPresent"),
    Pair(
        "Note Prevalence of Pitched Instruments", "NotePrevalenceOfPitchedInstruments", lines_only=True, why=_ELEMENTS
    ),
    Pair("Number of Pitched Instruments", "NumberOfPitchedInstruments"),
    Pair("String Keyboard Prevalence", "StringKeyboardFraction", lines_only=True, why=_ELEMENTS),
    Pair("Acoustic Guitar Prevalence", "AcousticGuitarFraction", lines_only=True, why=_ELEMENTS),
    Pair("Violin Prevalence", "ViolinFraction", lines_only=True, why=_ELEMENTS),
    Pair("Brass Prevalence", "BrassFraction", lines_only=True, why=_ELEMENTS),
    Pair("Woodwinds Prevalence", "WoodwindsFraction", lines_only=True, why=_ELEMENTS),
)
"""What is compared."""


@functools.lru_cache(maxsize=8)
def prepare(name: str) -> tuple[stream.Score, Score]:
    """A piece of music21's corpus as both sides read it."""
    piece = corpus.parse(name)
    if isinstance(piece, stream.Opus):
        piece = piece.scores[0]
    piece = piece.toSoundingPitch().stripTies()
    for index, part in enumerate(piece.parts):
        for element in list(part.recurse()):
            if isinstance(element, _UNWANTED) or element.duration.isGrace:
                element.activeSite.remove(element)
        _drop_doubled_notes(part)
        for measure in part.recurse().getElementsByClass(stream.Measure):
            for side in ("leftBarline", "rightBarline"):
                if isinstance(getattr(measure, side), bar.Repeat):
                    setattr(measure, side, None)
        part.insert(0, instrument.fromString(INSTRUMENTS[index % len(INSTRUMENTS)]))
        part.insert(0, tempo.MetronomeMark(number=TEMPO_BPM))
    for spanner in list(piece.recurse().getElementsByClass("RepeatBracket")):
        piece.remove(spanner, recurse=True)
    data = midi.translate.streamToMidiFile(piece).writestr()
    return piece, read_score(data)


def _drop_doubled_notes(part: stream.Part) -> None:
    """Remove notes that another voice of the part strikes at the same time: a MIDI track cannot hold both."""
    seen: set[tuple[float, int]] = set()
    for element in list(part.recurse().notes):
        offset = float(element.getOffsetInHierarchy(part))
        doubled = [pitch for pitch in element.pitches if (offset, pitch.midi) in seen]
        seen.update((offset, pitch.midi) for pitch in element.pitches)
        if len(doubled) == len(element.pitches):
            element.activeSite.remove(element)
        else:
            for pitch in doubled:
                element.remove(pitch)


def theirs(piece: stream.Score, pairs: Sequence[Pair]) -> dict[str, NDArray[np.float64]]:
    """music21's values."""
    data = features_base.DataInstance(piece)
    values = {}
    for pair in pairs:
        extractor = getattr(jSymbolic, f"{pair.theirs}Feature")(data)
        values[pair.name] = np.array(extractor.extract().vector, dtype=np.float64)
    return values


def ours(score: Score, pairs: Sequence[Pair]) -> dict[str, NDArray[np.float64]]:
    """Our values of the same attributes."""
    measured = extract(score, names=[pair.name for pair in pairs])
    return {pair.name: np.ravel(measured[pair.name]).astype(np.float64) for pair in pairs}


@dataclass
class Comparison:
    """What came of one attribute."""

    pair: Pair
    n_pieces: int = 0
    largest: float = 0.0
    """Largest difference of any value on any piece, in the terms of the tolerance."""

    @property
    def agrees(self) -> bool:
        """Whether the two sides agree on every piece."""
        return self.n_pieces > 0 and self.largest <= self.pair.tolerance


@dataclass
class Parity:
    """Both sides on some pieces."""

    comparisons: dict[str, Comparison]
    pieces: list[tuple[str, int, float, float]]
    """Name, notes, CPU seconds of music21, CPU seconds of ours."""

    @property
    def speedup(self) -> float:
        """music21's time over ours, all pieces together."""
        return sum(row[2] for row in self.pieces) / sum(row[3] for row in self.pieces)


def _has_tie(score: Score) -> bool:
    counts = np.sort(extract(score, names=["Basic Pitch Histogram"]).values[0])[::-1]
    return bool(counts[0] == counts[1] or counts[1] == counts[2])


def compare(names: Sequence[str], pairs: Sequence[Pair] = PAIRS, *, repeats: int = 5) -> Parity:
    """Measure pieces on both sides.

    Times are CPU times of the process, with the piece parsed beforehand on both sides: for music21 one pass from the
    stream over all extractors that share their intermediate results, for us the median of some calls of ``extract``.
    """
    comparisons = {pair.name: Comparison(pair) for pair in pairs}
    pieces = []
    for name in names:
        piece, score = prepare(name)
        start = time.process_time()
        left = theirs(piece, pairs)
        middle = time.process_time()
        right = ours(score, pairs)
        times = []
        for _ in range(repeats):
            begin = time.process_time()
            extract(score, names=[pair.name for pair in pairs])
            times.append(time.process_time() - begin)
        pieces.append((name, score.note_num(), middle - start, statistics.median(times)))
        tie = _has_tie(score)
        for pair in pairs:
            if (pair.lines_only and name not in LINES) or (pair.counts and tie):
                continue
            difference = float(np.abs(left[pair.name] - right[pair.name]).max())
            if pair.relative:
                difference /= max(abs(float(left[pair.name][0])), 1e-9)
            found = comparisons[pair.name]
            found.n_pieces += 1
            found.largest = max(found.largest, difference if math.isfinite(difference) else math.inf)
    return Parity(comparisons, pieces)


NOT_COMPARED = (
    ("Orchestral Strings Prevalence", "music21 leaves out the violin: patches 41 to 47 count from 1"),
    ("Dominant Spread, Strong Tonal Centres, pulses, dynamics", "music21 has not implemented them"),
    ("Major or Minor", "music21 reads the key signature or analyzes the key its own way; our definition is another"),
    ("Average and Variability of Number of Independent Voices", "music21 weighs all chords alike, we by length"),
    ("Compound Initial Meter", "music21 looks at the beat's division, jSymbolic and we at the numerator"),
    ("Metrical Diversity", "music21's is 0 or 1, jSymbolic and we count signatures"),
    ("Variability of Note Prevalence of Pitched Instruments", f"{_SPREAD}, and n is the number of instruments"),
    ("Vertical intervals, chords, rhythmic values, rests, motion", "not in music21, which follows jSymbolic 1"),
)
"""What is not compared, and why."""


def report(parity: Parity) -> str:
    """The comparison as a page of Markdown."""
    values = {
        "comparisons": list(parity.comparisons.values()),
        "n_agreeing": sum(comparison.agrees for comparison in parity.comparisons.values()),
        "n_lines": sum(name in LINES for name, *_ in parity.pieces),
        "not_compared": NOT_COMPARED,
        "pieces": parity.pieces,
        "speedup": parity.speedup,
        "versions": {
            "Python": platform.python_version(),
            "music21": importlib.metadata.version("music21"),
            "NumPy": np.__version__,
        },
    }
    return render(TEMPLATES / "attribute-parity.md.j2", values)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Compare attributes and speed with music21; write the report.")
    parser.add_argument("pieces", nargs="*", help="names in music21's corpus; default: all of the list")
    parser.add_argument("-o", "--output", type=Path, default=REPORT)
    arguments = parser.parse_args()
    text = report(compare(arguments.pieces or LINES + CHORDS))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    write_text(arguments.output, text)


if __name__ == "__main__":
    main()
