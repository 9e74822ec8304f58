"""The attribute catalogue and extraction: claims checked on known music, on seeded music and by slow oracles."""

from __future__ import annotations

import itertools
import math
import tracemalloc
from pathlib import Path

import numpy as np
import pretty_midi
import pytest
import symusic
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from muse.attributes import (
    ATTRIBUTES,
    COLUMNS,
    SECTION_CONTROLS,
    SONG_CONTROLS,
    Attributes,
    attribute,
    extract,
    sounding,
)
from muse.attributes.window import Piece
from muse.errors import InputError
from muse.score import (
    DRUMS,
    NOTE_DTYPE,
    Score,
    bar_grid,
    from_notes,
    note_array,
    read_score,
    slice_bars,
    tempo_map,
    write_score,
)


def notes_of(*rows: tuple[float, float, int], velocity: int = 80, program: int = 0, track: int = 0) -> NDArray[np.void]:
    """Note array from (onset, duration, pitch) in beats."""
    array = np.zeros(len(rows), dtype=NOTE_DTYPE)
    for row, (onset, duration, pitch) in zip(array, rows, strict=True):
        row["onset_beat"], row["duration_beat"], row["pitch"] = onset, duration, pitch
    array["velocity"], array["program"], array["track"] = velocity, program, track
    return array


def score_of(*rows: tuple[float, float, int], tempo_bpm: float = 120.0, signature: tuple[int, int] = (4, 4)) -> Score:
    return from_notes(notes_of(*rows), tempo_bpm=tempo_bpm, time_signature=signature)


def random_score(rng: np.random.Generator, n_notes: int = 120, n_beats: int = 32, **options: object) -> Score:
    """Notes on a sixteenth grid over four programs, among them drums."""
    array = np.zeros(n_notes, dtype=NOTE_DTYPE)
    array["onset_beat"] = rng.integers(0, 4 * n_beats, n_notes) / 4
    array["duration_beat"] = rng.choice([0.25, 0.5, 1.0, 1.5, 2.0, 4.0], n_notes)
    array["pitch"] = rng.integers(30, 100, n_notes)
    array["velocity"] = rng.integers(20, 120, n_notes)
    array["track"] = rng.integers(0, 4, n_notes)
    array["program"] = np.array([0, 40, 33, DRUMS])[array["track"]]
    return from_notes(array, **options)


def value(score: Score, name: str, bars: int | None = None) -> float:
    return float(extract(score, names=[name], bars=bars).values[0, 0])


def in_range(measured: Attributes) -> list[str]:
    """Columns with values out of their stated range."""
    low = np.array([attribute(name).low for name in measured.names])
    high = np.array([attribute(name).high for name in measured.names])
    slack = 1e-5 * (1.0 + np.abs(np.where(np.isfinite(high), high, 0.0)))
    wrong = (measured.values < low - slack) | (measured.values > high + slack)
    return [measured.names[column] for column in np.flatnonzero(wrong.any(axis=0))]


# --------------------------------------------------------------------------------------------------------- controls


def test_controls_are_in_the_catalogue_and_tell_neither_key_nor_length() -> None:
    assert len(SONG_CONTROLS) == 28
    assert len(SECTION_CONTROLS) == 10
    assert set(SECTION_CONTROLS) <= set(SONG_CONTROLS) <= set(COLUMNS)
    rng = np.random.default_rng(3)
    once = random_score(rng)
    array = note_array(once)
    later = array.copy()
    later["onset_beat"] += 32.0
    twice = from_notes(np.concatenate([array, later]))
    up = array.copy()
    up["pitch"][up["program"] < DRUMS] += 1
    transposed = from_notes(up)
    registers = {"Mean Pitch", "Importance of Bass Register", "Importance of High Register"}
    for name in SONG_CONTROLS:
        assert value(twice, name) == pytest.approx(value(once, name), rel=0.12, abs=0.12), name
        if name not in registers:
            assert value(transposed, name) == pytest.approx(value(once, name), rel=1e-4, abs=1e-4), name


def test_unknown_attribute_names_its_neighbors() -> None:
    with pytest.raises(InputError, match="Mean Pitch"):
        attribute("mean pich")
    with pytest.raises(InputError, match="unknown attribute 'zzz'"):
        extract(symusic.Score(480), names=["zzz"])
    assert attribute("Pitch Class Histogram_3") is attribute("Pitch Class Histogram")


# ------------------------------------------------------------------------------------------------------------ shape


def test_subset_equals_the_same_columns_of_everything(song: Score) -> None:
    everything = extract(song, bars=4)
    assert everything.values.dtype == np.float32
    assert everything.values.shape == (2, len(COLUMNS))
    assert everything.start_bar.tolist() == [0, 4]
    names = ["Note Density", "Chord Type Histogram", "Pitch Class Histogram_7", "Syncopation"]
    some = extract(song, names=names, bars=4)
    assert some.values.shape == (2, 1 + 11 + 1 + 1)
    for name in some.names:
        np.testing.assert_array_equal(some[name], everything[name])
    np.testing.assert_array_equal(some["Chord Type Histogram"], everything["Chord Type Histogram"])
    assert some.to_dict(1)["Syncopation"] == pytest.approx(float(some["Syncopation"][1]))
    with pytest.raises(InputError, match="not extracted"):
        some["Mean Pitch"]
    with pytest.raises(InputError, match="at least one bar"):
        extract(song, bars=0)


@pytest.mark.parametrize("bars", [1, 3, 4])
def test_windows_equal_slices(rng: np.random.Generator, bars: int) -> None:
    """A window is measured like the same bars cut out of the piece."""
    score = random_score(rng, 300, time_signature=(3, 4))
    score.tempos.append(symusic.Tempo(480 * 12, 90.0))
    windows = extract(score, bars=bars)
    compared = 0
    for row, start in zip(windows.values, windows.start_bar.tolist(), strict=True):
        piece = slice_bars(score, start, start + bars)
        if bar_grid(piece).n_bars != bars:
            continue  # silence at the end of a window is not in the slice
        alone = extract(piece, bars=bars).values[0]
        differs = ~np.isclose(row, alone, rtol=2e-3, atol=2e-3, equal_nan=True)
        assert [windows.names[column] for column in np.flatnonzero(differs)] == [], start
        compared += 1
    assert compared >= 3


def test_time_signature_changes_and_pickup_bars_are_windows_too() -> None:
    score = score_of(*[(beat, 1.0, 60) for beat in range(13)])
    score.time_signatures = symusic.core.TimeSignatureTickList(
        [symusic.TimeSignature(0, 1, 4), symusic.TimeSignature(480, 3, 4)]
    )
    counts = extract(score, names=["Total Number of Notes"], bars=1).values[:, 0]
    assert counts.tolist() == [1.0, 3.0, 3.0, 3.0, 3.0]


def test_long_pieces_are_measured_in_blocks(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    score = random_score(rng, 400)
    whole = extract(score).values
    monkeypatch.setattr(sounding, "BLOCK_ROWS", 7)
    np.testing.assert_allclose(extract(score).values, whole, rtol=1e-5, atol=1e-5)


def test_everything_that_is_read_as_a_score_is_measured(song: Score, tmp_path: Path) -> None:
    path = tmp_path / "song.mid"
    write_score(song, path)
    wanted = extract(read_score(path), names=["Mean Pitch", "Note Density"], bars=2)
    for source in (path, str(path), path.read_bytes(), pretty_midi.PrettyMIDI(str(path))):
        found = extract(source, names=["Mean Pitch", "Note Density"], bars=2)
        np.testing.assert_allclose(found.values, wanted.values, rtol=1e-4)
    with pytest.raises(InputError, match=r"none\.mid"):
        extract(tmp_path / "none.mid")


def test_a_million_tiny_bars_are_measured_in_few_windows_or_refused() -> None:
    """A time signature of 1/64 makes 1.3 million bars of a long file; windows of four took more than 5 GB."""
    tiny = score_of((0.0, 1.0, 60), (81_249.0, 1.0, 62), signature=(1, 64))
    assert bar_grid(tiny).n_bars == 1_300_000
    tracemalloc.start()
    with pytest.raises(InputError, match="325,000 windows of this music, more than 20,000: ask for longer windows"):
        extract(tiny, bars=4)
    long = extract(tiny, names=["Total Number of Notes"], bars=100_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert long.values[:, 0].tolist() == [1.0] + [0.0] * 11 + [1.0]
    assert peak < 200e6


# ------------------------------------------------------------------------------------------------------- odd input


@pytest.mark.parametrize("bars", [None, 1, 16])
@pytest.mark.parametrize(
    "rows",
    [
        (),
        ((0.0, 1.0, 60),),
        ((0.0, 1.0, 60), (0.0, 1.0, 60)),
        ((5.0, 0.01, 127), (5.0, 400.0, 0)),
        tuple((0.0, 4.0, pitch) for pitch in range(128)),
        tuple((beat * 0.002, 0.001, 64) for beat in range(200)),
    ],
)
def test_odd_scores_are_measured(rows: tuple[tuple[float, float, int], ...], bars: int | None) -> None:
    for program in (0, DRUMS):
        array = notes_of(*rows, program=program)
        measured = extract(from_notes(array), bars=bars)
        assert len(measured) >= 1 or (bars is not None and not rows)
        assert in_range(measured) == []


def test_nothing_is_nan_where_undefined_and_zero_where_counted() -> None:
    measured = extract(symusic.Score(480)).to_dict()
    assert measured["Total Number of Notes"] == 0.0
    assert measured["Number of Pitches"] == 0.0
    for name in ("Mean Pitch", "Mode Clarity", "Articulation", "Note Density", "Pitch Class Histogram_0"):
        assert math.isnan(measured[name]), name


def test_drums_have_no_pitch_but_count_as_rhythm() -> None:
    drums = from_notes(notes_of(*[(beat / 2, 0.1, 38) for beat in range(16)], program=DRUMS))
    measured = extract(drums).to_dict()
    assert measured["Note Density per Quarter Note"] == pytest.approx(16 / 7.6, rel=1e-3)
    assert measured["Drum Density"] > 0.0
    assert measured["Unpitched Instruments Present_3"] == 1.0
    assert measured["Unpitched Percussion Instrument Prevalence"] == 1.0
    for name in ("Mean Pitch", "Range", "Key Strength", "Average Note Duration", "Syncopation", "Mean Rhythmic Value"):
        assert math.isnan(measured[name]), name
    tune = notes_of(*[(beat, 1.0, 60 + beat) for beat in range(8)])
    both = np.concatenate([tune, notes_of(*[(beat / 2, 0.1, 38) for beat in range(16)], program=DRUMS, track=1)])
    for name in ("Mean Pitch", "Key Strength", "Articulation", "Average Number of Simultaneous Pitches", "Syncopation"):
        assert value(from_notes(both), name) == pytest.approx(value(from_notes(tune), name), nan_ok=True), name


note_rows = st.lists(
    st.tuples(
        st.integers(0, 4000),
        st.integers(1, 6000),
        st.integers(0, 127),
        st.integers(1, 127),
        st.sampled_from([0, 24, 40, DRUMS]),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(note_rows, st.sampled_from([(4, 4), (3, 4), (6, 8), (5, 8), (1, 1), (7, 16)]), st.sampled_from([None, 1, 2]))
def test_any_notes_give_values_in_their_range(
    rows: list[tuple[int, int, int, int, int]], signature: tuple[int, int], bars: int | None
) -> None:
    array = np.zeros(len(rows), dtype=NOTE_DTYPE)
    programs = sorted({row[4] for row in rows})
    for note, (onset, duration, pitch, velocity, program) in zip(array, rows, strict=True):
        note["onset_beat"], note["duration_beat"], note["pitch"] = onset / 480, duration / 480, pitch
        note["velocity"], note["program"], note["track"] = velocity, program, programs.index(program)
    measured = extract(from_notes(array, time_signature=signature), bars=bars)
    assert in_range(measured) == []
    for row in ATTRIBUTES:
        if row.size > 4 and row.unit == "fraction" and "Instruments" not in row.name:
            totals = measured[row.name].sum(axis=1)
            totals = totals[~np.isnan(totals)]
            assert np.all(np.isclose(totals, 1.0, atol=1e-4) | (totals == 0.0)), row.name


# ------------------------------------------------------------------------------------------------- known small music


def test_scale() -> None:
    scale = score_of(*[(beat, 1.0, pitch) for beat, pitch in enumerate([60, 62, 64, 65, 67, 69, 71, 72])])
    measured = extract(scale).to_dict()
    assert measured["Stepwise Motion"] == 1.0
    assert measured["Chromatic Motion"] == pytest.approx(2 / 7)
    assert measured["Mean Melodic Interval"] == pytest.approx(12 / 7)
    assert measured["Direction of Melodic Motion"] == 1.0
    assert measured["Range"] == 12.0
    assert measured["Scale Consistency"] == 1.0
    assert measured["Mode Clarity"] > 0.0
    assert measured["Major or Minor"] == 0.0
    assert measured["Average Number of Simultaneous Pitches"] == 1.0
    assert measured["Articulation"] == pytest.approx(1.0)
    assert measured["Mean Tempo"] == pytest.approx(120.0)
    assert measured["Note Density"] == pytest.approx(2.0)
    assert measured["Average Note Duration"] == pytest.approx(0.5)
    assert measured["Rhythmic Value Histogram_4"] == 1.0
    assert measured["Pitch Class Histogram_0"] == pytest.approx(2 / 8)
    assert measured["Syncopation"] == 0.0
    assert measured["Skyline Slope"] == pytest.approx(np.polyfit(range(8), [0, 2, 4, 5, 7, 9, 11, 12], 1)[0], rel=1e-4)


def test_chords() -> None:
    minor = [(4.0 * bar, 4.0, pitch) for bar in range(4) for pitch in (57, 60, 64)]
    measured = extract(score_of(*minor)).to_dict()
    assert measured["Chord Type Histogram_1"] == 1.0
    assert measured["Minor Triad Share"] == 1.0
    assert measured["Minor Major Triad Ratio"] == 10.0
    assert measured["Mode Clarity"] < 0.0
    assert measured["Vertical Dissonance Ratio"] == 0.0
    assert measured["Chord Change Rate"] == 0.0
    assert measured["Tonal Tension"] == pytest.approx(0.0, abs=1e-6)
    assert measured["Average Number of Simultaneous Pitches"] == 3.0
    for size in (3, 4, 7):
        assert measured[f"Vertical Interval Histogram_{size}"] == pytest.approx(1 / 3)
    triads = ((57, 60, 64), (60, 64, 67), (55, 59, 62))
    mixed = [(4.0 * bar, 4.0, pitch) for bar in range(4) for pitch in triads[bar % 3]]
    assert value(score_of(*mixed), "Minor Major Triad Ratio") == pytest.approx(1.0)
    assert value(score_of(*mixed), "Chord Change Rate") == pytest.approx(3 / 15)


def test_articulation_follows_note_lengths() -> None:
    for length in (0.2, 0.5, 0.9, 1.0):
        played = score_of(*[(beat, length, 60) for beat in range(9)])
        assert value(played, "Articulation") == pytest.approx(length, rel=0.01)
    pedal = score_of(*[(beat, 4.0, 60 + beat) for beat in range(9)])
    assert value(pedal, "Articulation") == 2.0


def test_syncopation_by_hand() -> None:
    straight = score_of(*[(beat / 2, 0.5, 60) for beat in range(16)])
    assert value(straight, "Syncopation") == 0.0
    # Beat 4 held over the bar line: level -2 against 0.
    over_the_bar = score_of((0.0, 3.0, 60), (3.0, 2.0, 62), (5.0, 3.0, 64))
    assert value(over_the_bar, "Syncopation") == pytest.approx((0 + 2 + 1) / 3)
    # Off-beat eighths of quarter length: each covers the next beat. Levels -3 against -2, -1, -2, 0.
    off_beat = score_of(*[(beat + 0.5, 1.0, 60) for beat in range(8)])
    assert value(off_beat, "Syncopation") == pytest.approx((1 + 2 + 1 + 3) / 4)
    # The same played short: the silence after them counts.
    staccato = score_of(*[(beat + 0.5, 0.25, 60) for beat in range(8)])
    assert value(staccato, "Syncopation") == pytest.approx((4 * 1 + 2 * 2 + 3) / 8, rel=0.15)
    waltz = score_of(*[(float(beat), 1.0, 60) for beat in range(12)], signature=(3, 4))
    assert value(waltz, "Syncopation") == 0.0


def test_tempo_and_density_follow_the_tempo_map() -> None:
    score = score_of(*[(beat, 1.0, 60) for beat in range(16)])
    score.tempos.append(symusic.Tempo(8 * 480, 60.0))
    measured = extract(score).to_dict()
    assert measured["Mean Tempo"] == pytest.approx(16 / (4 + 8) * 60)
    assert measured["Note Density"] == pytest.approx(16 / 12)
    assert measured["Tempo Trend"] == pytest.approx(0.5)
    assert measured["Tempo Variability"] == pytest.approx(30.0)
    assert extract(score, names=["Initial Tempo"], bars=2).values[:, 0].tolist() == [120.0, 60.0]


def test_loudness_attributes() -> None:
    array = notes_of(*[(beat, 1.0, 60) for beat in range(10)])
    array["velocity"] = 40 + 5 * np.arange(10)
    measured = extract(from_notes(array)).to_dict()
    assert measured["Mean Dynamics"] == pytest.approx(62.5)
    assert measured["Dynamic Range"] == 45.0
    assert measured["Loudness Slope"] == pytest.approx(1.0)
    assert measured["Average Note to Note Change in Dynamics"] == pytest.approx(5.0)
    assert measured["Variation of Dynamics"] == pytest.approx(np.std(array["velocity"], ddof=1), rel=1e-5)


def test_pulses_of_a_steady_beat() -> None:
    steady = score_of(*[(beat, 0.5, 60) for beat in range(32)], tempo_bpm=100.0)
    measured = extract(steady).to_dict()
    assert measured["Strongest Rhythmic Pulse"] == 100.0
    assert measured["Strongest Rhythmic Pulse - Tempo Standardized"] == 120.0
    assert measured["Harmonicity of Two Strongest Rhythmic Pulses"] == 2.0
    assert measured["Beat Histogram_60"] > 0.4


def test_voice_motion_by_hand() -> None:
    def two(low: tuple[int, ...], high: tuple[int, ...]) -> Score:
        return score_of(*[(beat, 1.0, pitch) for line in (low, high) for beat, pitch in enumerate(line)])

    assert value(two((60, 62, 64), (67, 69, 71)), "Parallel Fifths") == 1.0
    assert value(two((60, 62, 64), (72, 71, 69)), "Contrary Motion") == 1.0
    assert value(two((60, 60, 60), (67, 69, 71)), "Oblique Motion") == 1.0
    assert value(two((60, 61, 62), (67, 69, 71)), "Similar Motion") == 1.0


def test_performances_are_grouped_into_attacks(rng: np.random.Generator) -> None:
    """Chords whose notes miss each other by some milliseconds are the chords they were meant to be."""
    chords = [(float(beat), 0.9, pitch) for beat in range(16) for pitch in (48, 64, 67, 72 + beat % 5)]
    exact = score_of(*chords)
    loose = score_of(*[(onset + rng.uniform(0.0, 0.015), length, pitch) for onset, length, pitch in chords])
    for name in ("Mean Melodic Interval", "Repeated Notes", "Average Time Between Attacks", "Articulation"):
        assert value(loose, name) == pytest.approx(value(exact, name), rel=0.03, abs=0.01), name


# ---------------------------------------------------------------------------------------------------------- oracles


def walk(score: Score, ticks_per_beat: int = 4) -> list[list[tuple[int, int]]]:
    """(pitch, velocity) of the pitched notes that sound in each tick, the way jSymbolic goes through a file."""
    array = note_array(score)
    array = array[array["program"] < DRUMS]
    start = np.rint(array["onset_beat"] * ticks_per_beat).astype(int)
    stop = np.rint((array["onset_beat"] + array["duration_beat"]) * ticks_per_beat).astype(int)
    return [
        [(int(note["pitch"]), int(note["velocity"])) for note in array[(start <= tick) & (tick < stop)]]
        for tick in range(int(stop.max()))
    ]


def test_vertical_attributes_equal_a_walk_through_the_ticks(rng: np.random.Generator) -> None:
    score = random_score(rng, 90)
    measured = extract(score)
    ticks = [tick for tick in walk(score) if tick]
    weight = np.zeros(128)
    for tick in ticks:
        for (low, soft), (high, loud) in itertools.combinations(tick, 2):
            weight[abs(high - low)] += (soft + loud) / 2
    fractions = weight / weight.sum()
    fractions[fractions < 0.001] = 0.0
    np.testing.assert_allclose(measured["Vertical Interval Histogram"][0], fractions / fractions.sum(), atol=1e-5)
    n_pitches = [len({pitch for pitch, _ in tick}) for tick in ticks]
    assert measured["Average Number of Simultaneous Pitches"][0] == pytest.approx(np.mean(n_pitches), rel=1e-5)
    assert measured["Variability of Number of Simultaneous Pitches"][0] == pytest.approx(np.std(n_pitches), rel=1e-4)
    classes = [frozenset(pitch % 12 for pitch, _ in tick) for tick in ticks]
    assert measured["Average Number of Simultaneous Pitch Classes"][0] == pytest.approx(np.mean([*map(len, classes)]))
    thirds = np.mean([any((pitch + 3) % 12 in group for pitch in group) for group in classes])
    assert measured["Vertical Minor Third Prevalence"][0] == pytest.approx(thirds, rel=1e-5)
    complex_ = np.mean([len(group) > 4 for group in classes if len(group) > 1])
    assert measured["Complex Chords"][0] == pytest.approx(complex_, rel=1e-5)
    n_changes = sum(one != two for one, two in itertools.pairwise(classes))
    assert measured["Chord Duration"][0] == pytest.approx(len(ticks) / 4 / (n_changes + 1), rel=1e-5)
    vertical_range = np.mean([max(tick)[0] - min(tick)[0] for tick in ticks])
    assert measured["Average Instantaneous Vertical Range"][0] == pytest.approx(vertical_range, rel=1e-5)


def test_rests_equal_a_walk_through_the_ticks(rng: np.random.Generator) -> None:
    score = random_score(rng, 24)
    measured = extract(score).to_dict()
    array = note_array(score)
    first = round(array["onset_beat"].min() * 4)
    ticks = walk(score)
    last = round((array["onset_beat"] + array["duration_beat"]).max() * 4)
    ticks += [[]] * (last - len(ticks))
    complete = np.mean([not tick for tick in ticks[first:last]])
    assert measured["Complete Rests Fraction"] == pytest.approx(complete, abs=1e-5)
    silent = []
    for track in np.unique(array["track"]):
        notes = array[array["track"] == track]
        sounds = np.zeros(last, dtype=bool)
        for note in notes:
            sounds[round(note["onset_beat"] * 4) : round((note["onset_beat"] + note["duration_beat"]) * 4)] = True
        silent.append(~sounds[first:])
    assert measured["Average Rest Fraction Across Voices"] == pytest.approx(np.mean(silent), abs=1e-5)
    assert measured["Partial Rests Fraction"] == pytest.approx(np.mean(np.any(silent, axis=0)), abs=1e-5)


def test_beat_histogram_equals_the_autocorrelation_of_the_ticks(rng: np.random.Generator) -> None:
    score = random_score(rng, 150)
    array = note_array(score)
    resolution = 12
    strength = np.bincount(np.rint(array["onset_beat"] * resolution).astype(int), array["velocity"])
    histogram = np.zeros(161)
    for lag in range(1, 4 * resolution):
        product = float(strength[lag:] @ strength[:-lag]) if lag < len(strength) else 0.0
        index = math.ceil(120.0 * resolution / lag - 1e-9) - 40
        if 0 <= index <= 160:
            histogram[index] += product
    measured = extract(score, names=["Beat Histogram Tempo Standardized"]).values[0]
    np.testing.assert_allclose(measured, histogram / histogram.sum(), atol=1e-5)


def test_pitch_variety_and_embellishments_equal_a_slow_count(rng: np.random.Generator) -> None:
    score = random_score(rng, 200)
    array = note_array(score)
    gaps, short, total = [], 0, 0
    for track in np.unique(array["track"][array["program"] < DRUMS]):
        notes = array[array["track"] == track]
        total += len(notes)
        onsets = np.unique(notes["onset_beat"])
        attacks = [set(notes["pitch"][notes["onset_beat"] == onset].tolist()) for onset in onsets]
        for index, pitches in enumerate(attacks):
            for pitch in pitches:
                later = attacks[index + 1 : index + 17]
                gaps += [step for step, others in enumerate(later, 1) if pitch in others][:1]
        for before, note, after in zip(notes, notes[1:], notes[2:], strict=False):
            limit = 3 * note["duration_beat"] - 1e-9
            short += before["duration_beat"] >= limit and after["duration_beat"] >= limit
    assert value(score, "Melodic Pitch Variety") == pytest.approx(np.mean(gaps), rel=1e-5)
    assert value(score, "Melodic Embellishments") == pytest.approx(short / total, rel=1e-5)


def test_beat_pitch_classes_hold_all_sounding_time(rng: np.random.Generator) -> None:
    score = random_score(rng, 80)
    window = next(iter(Piece.of(score).windows(None)))
    np.testing.assert_allclose(window.beat_classes.sum(axis=0), window.class_weight, rtol=1e-6)
    assert tempo_map(score).shape == (1, 2)
