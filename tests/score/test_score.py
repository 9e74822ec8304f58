"""muse.score on sound music: note arrays, bars, tempo, grid, alignment, writing, bridges."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import miditoolkit
import mido
import numpy as np
import pretty_midi
import pytest
import symusic
from symusic import Note, Score, Tempo, TextMeta, TimeSignature, Track

from muse.errors import InputError
from muse.score import (
    DRUMS,
    NOTE_DTYPE,
    Limits,
    align_to_beats,
    bar_grid,
    beat_to_sec,
    clean,
    from_notes,
    grid_fit,
    grid_quality,
    mean_tempo_bpm,
    note_array,
    quantize,
    read_score,
    read_text,
    slice_bars,
    tempo_map,
    track_beats,
    write_score,
)


def make_score(
    notes: list[tuple[int, int, int, int]],
    *,
    tempos: list[tuple[int, float]] = [(0, 120.0)],  # noqa: B006  # never changed
    signatures: list[tuple[int, int, int]] = [],  # noqa: B006
    program: int = 0,
    is_drum: bool = False,
) -> symusic.core.ScoreTick:
    """A score of one track; notes are (tick, duration, pitch, velocity), 480 ticks a beat."""
    score = Score(480)
    track = Track("piano", program, is_drum)
    for note in notes:
        track.notes.append(Note(*note))
    score.tracks.append(track)
    for tick, bpm in tempos:
        score.tempos.append(Tempo(tick, bpm))
    for tick, numerator, denominator in signatures:
        score.time_signatures.append(TimeSignature(tick, numerator, denominator))
    return score


def random_score(rng: np.random.Generator, n_notes: int = 200, n_bars: int = 16) -> symusic.core.ScoreTick:
    """Two tracks and drums with tempo and meter changes."""
    score = Score(480)
    for program, is_drum in ((0, False), (40, False), (0, True)):
        track = Track(f"track {program}", program, is_drum)
        for tick in np.sort(rng.integers(0, n_bars * 1920 - 480, n_notes)).tolist():
            duration, pitch, velocity = (int(rng.integers(*span)) for span in ((1, 480), (30, 90), (1, 128)))
            track.notes.append(Note(tick, duration, pitch, velocity))
        score.tracks.append(track)
    score.tempos.append(Tempo(0, 96))
    score.tempos.append(Tempo(3840, 133))
    score.tempos.append(Tempo(9000, 61.5))
    score.time_signatures.append(TimeSignature(0, 4, 4))
    score.time_signatures.append(TimeSignature(4 * 1920, 6, 8))
    return score


def notes_of(score: symusic.core.ScoreTick) -> list[tuple[int, int, int, int]]:
    return sorted((n.time, n.duration, n.pitch, n.velocity) for track in score.tracks for n in track.notes)


# ---------------------------------------------------------------------------------------------- notes, seconds, tempo


def test_note_array_has_beats_seconds_and_programs() -> None:
    score = make_score([(480, 480, 60, 90), (0, 240, 64, 80)], tempos=[(0, 120.0), (480, 60.0)], program=24)
    notes = note_array(score)
    assert notes.dtype == NOTE_DTYPE
    assert notes["onset_beat"].tolist() == [0, 1]
    assert notes["duration_beat"].tolist() == [0.5, 1]
    assert notes["onset_sec"].tolist() == [0, 0.5]
    assert notes["duration_sec"].tolist() == [0.25, 1.0]
    assert notes["pitch"].tolist() == [64, 60]
    assert notes["velocity"].tolist() == [80, 90]
    assert notes["program"].tolist() == [24, 24]


def test_note_array_is_sorted_by_onset_and_pitch_and_marks_drums() -> None:
    notes = note_array(random_score(np.random.default_rng(1)))
    order = np.lexsort((notes["pitch"], notes["onset_beat"]))
    assert np.array_equal(notes["onset_beat"], notes["onset_beat"][order])
    assert np.array_equal(notes["pitch"], notes["pitch"][order])
    assert set(notes["program"][notes["track"] == 2].tolist()) == {DRUMS}


def test_seconds_agree_with_pretty_midi(tmp_path: Path) -> None:
    score = clean(random_score(np.random.default_rng(2)))
    write_score(score, tmp_path / "a.mid")
    oracle = pretty_midi.PrettyMIDI(str(tmp_path / "a.mid"))
    expected = sorted((n.start, n.end, n.pitch) for instrument in oracle.instruments for n in instrument.notes)
    notes = note_array(score)
    ours = sorted(
        zip(notes["onset_sec"], notes["onset_sec"] + notes["duration_sec"], notes["pitch"].astype(int), strict=True)
    )
    np.testing.assert_allclose(np.array(ours), np.array(expected), atol=1e-4)


def test_note_array_of_nothing_is_empty() -> None:
    assert len(note_array(Score(480))) == 0
    assert bar_grid(Score(480)).n_bars == 0
    assert mean_tempo_bpm(Score(480)) == 120


def test_tempo_map_starts_at_beat_zero_and_last_event_of_a_tick_holds() -> None:
    score = make_score([(0, 480, 60, 90)], tempos=[(480, 90.0), (480, 100.0)])
    np.testing.assert_allclose(tempo_map(score), [[0, 120], [1, 100]], rtol=1e-5)


def test_beat_to_sec_is_monotone_and_extrapolates_backwards() -> None:
    tempos = np.array([[0.0, 120.0], [4.0, 60.0]])
    np.testing.assert_allclose(beat_to_sec(tempos, np.array([-1.0, 0.0, 4.0, 6.0])), [-0.5, 0.0, 2.0, 4.0])


def test_mean_tempo_is_weighted_by_time_over_the_sounding_span() -> None:
    # Two beats at 120 (1 s) and two at 60 (2 s) are four beats in three seconds; the silence before does not count.
    score = make_score([(1920, 1920, 60, 90)], tempos=[(0, 300.0), (1920, 120.0), (1920 + 960, 60.0)])
    assert mean_tempo_bpm(score) == pytest.approx(80, rel=1e-5)


def test_from_notes_is_the_inverse_of_note_array() -> None:
    score = quantize(clean(random_score(np.random.default_rng(3))))
    notes = note_array(score)
    again = note_array(from_notes(notes, tempo_bpm=100, names=["a", "b", "c"]))
    for field in ("onset_beat", "duration_beat", "pitch", "velocity", "program", "track"):
        np.testing.assert_array_equal(again[field], notes[field])


# ------------------------------------------------------------------------------------------------------------ bars


def test_bars_without_signature_are_four_quarters() -> None:
    grid = bar_grid(make_score([(0, 480 * 9, 60, 90)]))
    assert grid.start_beat.tolist() == [0, 4, 8, 12]
    assert grid.numerator.tolist() == [4, 4, 4]
    assert grid.denominator.tolist() == [4, 4, 4]


def test_bars_follow_signatures_and_a_pickup_is_a_short_bar() -> None:
    score = make_score([(0, 480 * 13, 60, 90)], signatures=[(0, 4, 4), (480, 3, 4), (480 * 7, 6, 8)])
    grid = bar_grid(score)
    assert grid.start_beat.tolist() == [0, 1, 4, 7, 10, 13]
    assert grid.numerator.tolist() == [4, 3, 3, 6, 6]
    assert grid.denominator.tolist() == [4, 4, 4, 8, 8]
    assert grid.bar_of(np.array([0.0, 0.99, 1.0, 6.9, 12.9, 99.0])).tolist() == [0, 0, 1, 2, 4, 4]


@pytest.mark.parametrize("seed", range(5))
def test_bar_grid_covers_all_notes(seed: int) -> None:
    score = random_score(np.random.default_rng(seed))
    notes, grid = note_array(score), bar_grid(score)
    end = (notes["onset_beat"] + notes["duration_beat"]).max()
    assert grid.start_beat[0] == 0
    assert grid.start_beat[-2] < end <= grid.start_beat[-1]
    assert len(grid.start_beat) == grid.n_bars + 1
    assert np.all(np.diff(grid.start_beat) > 0)


def test_slice_keeps_tempo_meter_and_key_in_force_and_clips_at_the_end() -> None:
    score = make_score(
        [(0, 4000, 50, 90), (1920, 480, 60, 90), (3600, 960, 62, 90), (3840, 480, 64, 90)],
        tempos=[(0, 100.0), (1000, 80.0), (2400, 90.0)],
        signatures=[(0, 4, 4)],
    )
    score.key_signatures.append(symusic.KeySignature(0, 2, 0))
    part = slice_bars(score, 1, 2)
    assert notes_of(part) == [(0, 480, 60, 90), (1680, 240, 62, 90)]
    np.testing.assert_allclose([(t.time, t.qpm) for t in part.tempos], [(0, 80), (480, 90)], rtol=1e-5)
    assert [(s.time, s.numerator, s.denominator) for s in part.time_signatures] == [(0, 4, 4)]
    assert [(k.time, k.key) for k in part.key_signatures] == [(0, 2)]
    assert len(note_array(score)) == 4  # the source is as it was


@pytest.mark.parametrize("seed", range(4))
def test_slices_partition_the_notes(seed: int) -> None:
    score = clean(random_score(np.random.default_rng(seed)))
    grid = bar_grid(score)
    whole, found = note_array(score), []
    for first in range(0, grid.n_bars, 3):
        part = slice_bars(score, first, first + 3, grid=grid)
        assert notes_of(part) == notes_of(slice_bars(score, first, first + 3))
        notes = note_array(part)
        length = grid.start_beat[min(first + 3, grid.n_bars)] - grid.start_beat[first]
        if first + 3 <= grid.n_bars and len(notes):
            assert (notes["onset_beat"] + notes["duration_beat"]).max() <= length + 1e-9
        found += [(beat + grid.start_beat[first], pitch) for beat, pitch in notes[["onset_beat", "pitch"]].tolist()]
    np.testing.assert_allclose(sorted(found), sorted(whole[["onset_beat", "pitch"]].tolist()), atol=1e-9)


def test_slice_past_the_end_is_silent_and_an_empty_range_is_refused() -> None:
    score = make_score([(0, 480, 60, 90)], signatures=[(0, 3, 4)])
    part = slice_bars(score, 5, 7)
    assert part.note_num() == 0
    assert (part.time_signatures[0].numerator, part.time_signatures[0].denominator) == (3, 4)
    for first, stop in ((2, 2), (3, 1), (-1, 2)):
        with pytest.raises(InputError, match="0 <= first < stop"):
            slice_bars(score, first, stop)


# ------------------------------------------------------------------------------------------------------------ grid


def test_grid_fit_of_grid_and_of_chance() -> None:
    rng = np.random.default_rng(0)
    assert grid_fit(rng.integers(0, 400, 500) / 4) == 1
    assert grid_fit(rng.integers(0, 400, 500) / 4 + 0.1) == 0
    assert grid_fit(rng.random(20_000) * 100) == pytest.approx(2 * 0.04 * 4, abs=0.02)
    assert grid_fit(rng.integers(0, 300, 500) / 3, steps_per_beat=3) == 1
    assert grid_fit(np.zeros(0)) == 0


def test_grid_quality_tells_scores_from_performances(rng: np.random.Generator) -> None:
    assert grid_quality(np.arange(200) * 0.25) == pytest.approx(1)
    assert grid_quality(np.arange(200) / 6) == pytest.approx(1)
    mixed = np.concatenate([np.arange(100) * 0.25, np.arange(100) / 3])
    assert grid_quality(mixed) > 0.9
    assert grid_quality(np.cumsum(rng.uniform(0.1, 0.9, 2000), dtype=np.float64)) < 0.15


def test_quantize_moves_to_the_grid_and_is_idempotent() -> None:
    score = random_score(np.random.default_rng(5))
    before = score.dumps_midi()
    once = quantize(score, 12)
    assert score.dumps_midi() == before
    notes = note_array(once)
    steps = notes["onset_beat"] * 12
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-9)
    assert np.all(notes["duration_beat"] >= 1 / 12 - 1e-9)
    original = np.sort(note_array(score)["onset_beat"])
    assert np.abs(np.sort(notes["onset_beat"]) - original).max() <= 1 / 24 + 1e-9
    assert notes_of(quantize(once, 12)) == notes_of(once)


def performance(
    rng: np.random.Generator, beats_in_bar: int, first_sec: float, pickup: int, drift: float = 0.1
) -> tuple[symusic.core.ScoreTick, np.ndarray, np.ndarray, np.ndarray]:
    """Notes on the sixteenths of drifting beats, in a file whose own tempo says nothing about them."""
    n_beats = 16 * beats_in_bar + pickup
    period = 0.5 * np.exp(drift * np.sin(np.arange(n_beats) / 7))
    beat_sec = first_sec + np.concatenate([[0.0], np.cumsum(period)])[:n_beats]
    position = np.sort(rng.integers(0, 4 * (n_beats - 1), 300)) / 4
    onset = np.interp(position, np.arange(n_beats), beat_sec)
    score = Score(1000)  # at 60 BPM a tick is a millisecond
    score.tempos.append(Tempo(0, 60))
    track = Track("p", 0, False)
    for sec, pitch in zip(onset.tolist(), rng.integers(40, 80, 300).tolist(), strict=True):
        track.notes.append(Note(round(sec * 1000), 100, pitch, 80))
    score.tracks.append(track)
    return score, beat_sec, np.arange(n_beats) % beats_in_bar == pickup % beats_in_bar, onset


@pytest.mark.parametrize(("beats_in_bar", "pickup"), [(4, 0), (4, 1), (3, 0), (3, 2), (5, 3)])
def test_alignment_puts_notes_on_the_grid_and_downbeats_on_bar_lines(beats_in_bar: int, pickup: int) -> None:
    score, beat_sec, downbeat, onset = performance(np.random.default_rng(beats_in_bar), beats_in_bar, 1.3, pickup)
    assert grid_fit(note_array(score)["onset_beat"]) < 0.6
    aligned = align_to_beats(score, beat_sec, downbeat)
    notes, grid = note_array(aligned), bar_grid(aligned)
    assert grid_fit(notes["onset_beat"], 4, 0.01) > 0.99
    assert set(zip(grid.numerator.tolist(), grid.denominator.tolist(), strict=True)) == {(beats_in_bar, 4)}
    # Seconds are kept, up to a common shift that makes room for a whole pick-up bar.
    shift = notes["onset_sec"][0] - onset[0]
    np.testing.assert_allclose(notes["onset_sec"], onset + shift, atol=5e-3)
    # The moment of every downbeat is the moment of a bar line.
    lines_sec = beat_to_sec(tempo_map(aligned), grid.start_beat)
    distance = np.abs(lines_sec[:, None] - (beat_sec[downbeat] + shift)[None]).min(axis=0)
    assert distance.max() < 5e-3


def test_alignment_of_dotted_quarter_beats_gives_compound_meter() -> None:
    score, beat_sec, downbeat, _ = performance(np.random.default_rng(9), 2, 0.0, 0)
    aligned = align_to_beats(score, beat_sec, downbeat, quarters_per_beat=1.5)
    assert {(s.numerator, s.denominator) for s in aligned.time_signatures} == {(6, 8)}
    assert bar_grid(aligned).start_beat[1] == 3


def test_alignment_bridges_missing_downbeats() -> None:
    score, beat_sec, downbeat, _ = performance(np.random.default_rng(3), 4, 0.0, 0)
    downbeat = downbeat.copy()
    downbeat[8:42] = False
    downbeat[42:] = np.arange(42, 64) % 4 == 2
    grid = bar_grid(align_to_beats(score, beat_sec, downbeat))
    assert set(grid.numerator.tolist()) == {4}
    assert {0.0, 4.0, 8.0, 36.0, 40.0, 42.0, 46.0} <= set(grid.start_beat.tolist())
    assert 44.0 not in grid.start_beat


def test_alignment_keeps_notes_outside_of_the_beats() -> None:
    score, beat_sec, downbeat, _ = performance(np.random.default_rng(4), 4, 2.0, 0)
    aligned = align_to_beats(score, beat_sec[12:40], downbeat[12:40])
    assert aligned.note_num() == score.note_num()
    assert note_array(aligned)["onset_beat"].min() >= 0


@pytest.mark.parametrize(
    ("times", "flags", "reason"),
    [
        ([1.0], [True], "two or more"),
        ([1.0, 1.0], [True, False], "increasing"),
        ([1.0, np.nan], [True, False], "finite"),
        ([1.0, 2.0], [True], "differ in shape"),
        ([1.0, 1.0 + 1e-9], [True, False], "of this very piece"),
    ],
)
def test_alignment_refuses_beats_that_are_none(times: list[float], flags: list[bool], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        align_to_beats(make_score([(480 * 20, 480, 60, 90)]), np.array(times), np.array(flags))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("period", [0.4, 0.55, 0.7])
def test_beats_are_tracked_in_steady_music(seed: int, period: float) -> None:
    rng = np.random.default_rng(seed)
    beat_sec = 0.7 + np.cumsum(period * np.exp(0.03 * np.sin(np.arange(80) / 7)))
    # A chord on every beat, and one note on a third of the other sixteenths.
    position = np.concatenate([np.repeat(np.arange(79), 3), rng.choice(np.arange(79 * 4), 80, replace=False) / 4])
    onset = np.interp(position, np.arange(80), beat_sec) + rng.normal(0, 0.008, len(position))
    found, confidence = track_beats(onset)
    assert (np.abs(found[:, None] - beat_sec[None]).min(axis=1) < 0.07).mean() > 0.9
    assert (np.abs(found[:, None] - beat_sec[None]).min(axis=0) < 0.07).mean() > 0.9
    assert confidence > 0.7


def test_beats_of_noise_have_low_confidence_and_of_nothing_none() -> None:
    rng = np.random.default_rng(7)
    _, confidence = track_beats(np.sort(rng.random(400) * 60))
    assert confidence < 0.4
    assert track_beats(np.array([1.0, 2.0])) == (pytest.approx(np.zeros(0)), 0.0)


# ----------------------------------------------------------------------------------------------------------- files


def test_write_and_read_give_the_same_notes_and_the_same_bytes(tmp_path: Path) -> None:
    score = clean(random_score(np.random.default_rng(8)))
    write_score(score, tmp_path / "a.mid", text="hällo\nworld")
    write_score(score.copy(), tmp_path / "b.mid", text="hällo\nworld")
    assert (tmp_path / "a.mid").read_bytes() == (tmp_path / "b.mid").read_bytes()
    again = read_score(tmp_path / "a.mid")
    assert notes_of(again) == notes_of(score)
    assert [(t.program, t.is_drum, t.name) for t in again.tracks] == [
        (t.program, t.is_drum, t.name) for t in score.tracks
    ]
    np.testing.assert_allclose(tempo_map(again), tempo_map(score))
    assert bar_grid(again).start_beat.tolist() == bar_grid(score).start_beat.tolist()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mid", "b.mid"]  # no temporary file is left


@pytest.mark.parametrize("text", ["", "plain", '{"seed": 1, "emotion": "mélancolique"}', "x" * 40_000, "♪ 音楽"])
def test_text_comes_back(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.mid"
    write_score(make_score([(0, 480, 60, 90)]), path, text=text)
    assert read_text(path) == ([text] if text else [])
    # Another library sees it in the place where the standard wants it.
    assert [m.text.encode("latin-1").decode() for m in mido.MidiFile(path).tracks[0] if m.type == "text"] == [text]
    assert read_score(path).note_num() == 1


def test_text_of_an_empty_score_comes_back(tmp_path: Path) -> None:
    write_score(Score(480), tmp_path / "a.mid", text="nothing")
    assert read_text(tmp_path / "a.mid") == ["nothing"]
    assert read_score(tmp_path / "a.mid").note_num() == 0


def test_writing_refuses_what_midi_cannot_hold_and_where_it_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="clean the score"):
        write_score(make_score([(-10, 480, 60, 90)]), tmp_path / "a.mid")
    with pytest.raises(InputError, match="cannot be written"):
        write_score(make_score([(0, 480, 60, 90)]), tmp_path / "none" / "a.mid")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.mid"
    write_score(make_score([(0, 480, 60, 90)]), path)
    before = path.read_bytes()
    with pytest.raises(InputError):
        write_score(make_score([(-10, 480, 60, 90)]), path)
    assert path.read_bytes() == before


# --------------------------------------------------------------------------------------------------------- bridges


def test_all_sources_give_the_same_notes(tmp_path: Path) -> None:
    score = clean(random_score(np.random.default_rng(11)))
    path = tmp_path / "a.mid"
    write_score(score, path)
    sources = [
        path,
        str(path),
        path.read_bytes(),
        score,
        symusic.Score(path).to("quarter"),
        miditoolkit.MidiFile(str(path)),
        miditoolkit.MidiFile(file=io.BytesIO(path.read_bytes())),
    ]
    for source in sources:
        assert notes_of(read_score(source)) == notes_of(score), type(source)
    # pretty_midi keeps seconds and rounds them to ticks again.
    notes, expected = note_array(read_score(pretty_midi.PrettyMIDI(str(path)))), note_array(score)
    assert np.array_equal(np.sort(notes["pitch"]), np.sort(expected["pitch"]))
    np.testing.assert_allclose(np.sort(notes["onset_sec"]), np.sort(expected["onset_sec"]), atol=3e-3)


def test_music21_streams_are_read() -> None:
    from music21 import chord, meter, note, stream, tempo

    part = stream.Part()
    part.append(meter.TimeSignature("3/4"))
    part.append(tempo.MetronomeMark(number=90))
    part.append(note.Note("C4", quarterLength=1))
    part.append(chord.Chord(["E4", "G4"], quarterLength=2))
    part.append(note.Note("B3", quarterLength=0.5))
    notes = note_array(score := read_score(part))
    assert notes["pitch"].tolist() == [60, 64, 67, 59]
    np.testing.assert_allclose(notes["onset_beat"], [0, 1, 1, 3], atol=1e-3)
    np.testing.assert_allclose(notes["duration_beat"], [1, 2, 2, 0.5], atol=1e-2)
    assert mean_tempo_bpm(score) == pytest.approx(90, rel=1e-4)
    assert bar_grid(score).numerator.tolist() == [3, 3]


def test_reading_a_file_loads_no_other_library(tmp_path: Path) -> None:
    write_score(make_score([(0, 480, 60, 90)]), tmp_path / "a.mid")
    code = (
        f"import sys; from muse.score import read_score; read_score({str(tmp_path / 'a.mid')!r}); "
        "loaded = {'music21', 'pretty_midi', 'miditoolkit', 'torch', 'scipy', 'sklearn'} & set(sys.modules); "
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).resolve().parents[2])


def test_other_objects_are_refused_with_the_legal_ones() -> None:
    with pytest.raises(InputError, match=r"the dict given: .*symusic, pretty_midi, miditoolkit or music21"):
        read_score({"notes": []})


# ----------------------------------------------------------------------------------------------------------- clean


def test_clean_changes_nothing_in_sound_music_and_never_its_argument() -> None:
    score = clean(random_score(np.random.default_rng(12)))
    score.markers.append(TextMeta(0, "A"))
    before = score.dumps_midi()
    assert clean(score).dumps_midi() == before
    assert score.dumps_midi() == before
    dirty = make_score([(0, 0, 60, 90), (0, 99, 60, 90), (-5, 9, 1, 1)], tempos=[(0, 9999.0)])
    before = [(n.time, n.duration) for n in dirty.tracks[0].notes]
    clean(dirty)
    assert [(n.time, n.duration) for n in dirty.tracks[0].notes] == before
    assert len(dirty.tempos) == 1


def test_clean_notes() -> None:
    score = make_score(
        [
            (0, 0, 60, 90),  # no length
            (0, 100, 61, 0),  # no velocity
            (-10, 100, 62, 90),  # before the start
            (0, -5, 63, 90),
            (0, 100, -3, 90),
            (0, 100, 64, 80),  # twice, the longer stays
            (0, 300, 64, 70),
            (100, 500, 65, 90),  # overlaps the next of its pitch
            (400, 500, 65, 90),
            (0, 480 * 65, 66, 90),  # stuck
            (0, 480 * 64, 67, 90),  # a long one, still
        ]
    )
    assert notes_of(clean(score)) == [
        (0, 300, 64, 70),
        (0, 480 * 16, 66, 90),
        (0, 480 * 64, 67, 90),
        (100, 300, 65, 90),
        (400, 500, 65, 90),
    ]


def test_clean_keeps_drum_hits_without_length() -> None:
    assert notes_of(clean(make_score([(0, 0, 36, 90)], is_drum=True))) == [(0, 60, 36, 90)]


def test_clean_tempos_signatures_and_tracks() -> None:
    score = make_score(
        [(0, 480 * 40, 60, 90)],
        tempos=[(480, 4000.0), (960, 3.0), (1440, 100.0), (1920, 100.0), (480 * 50, 77.0)],
        signatures=[(0, 4, 4), (1920, 4, 4), (3840, 0, 4), (5760, 3, 5), (7680, 3, 4), (480 * 60, 2, 4)],
    )
    score.tempos.append(Tempo(2400, mspq=0))
    score.tracks.append(Track("silent", 3, False))
    score.key_signatures.append(symusic.KeySignature(0, 99, 7))
    result = clean(score)
    np.testing.assert_allclose(tempo_map(result), [[0, 120], [1, 400], [2, 10], [3, 100]], rtol=1e-4)
    assert np.all(np.isfinite(tempo_map(result)))
    assert [(s.time, s.numerator, s.denominator) for s in result.time_signatures] == [(0, 4, 4), (7680, 3, 4)]
    assert [track.name for track in result.tracks] == ["piano"]
    assert len(result.key_signatures) == 0


def test_clean_says_no_tempo_where_none_is_said() -> None:
    result = read_score(clean(make_score([(0, 480, 60, 90)], tempos=[])).dumps_midi())
    assert not len(result.tempos)
    np.testing.assert_allclose(tempo_map(result), [[0, 120]])


def test_clean_drops_what_lies_behind_the_last_note() -> None:
    score = make_score([(0, 480, 60, 90)])
    track = score.tracks[0]
    for tick in (0, 100, 99_999):
        track.controls.append(symusic.ControlChange(tick, 7, 100))
        track.pitch_bends.append(symusic.PitchBend(tick, 5))
        track.pedals.append(symusic.Pedal(tick, 10))
        score.markers.append(TextMeta(tick, "x"))
    result = clean(score)
    for events in (result.tracks[0].controls, result.tracks[0].pitch_bends, result.tracks[0].pedals, result.markers):
        assert [event.time for event in events] == [0, 100]


@pytest.mark.parametrize("tpq", [0, -480, 40_000])
def test_clean_refuses_impossible_resolutions(tpq: int) -> None:
    with pytest.raises(InputError, match=f"{tpq} ticks"):
        clean(Score(tpq))


# ---------------------------------------------------------------------------------------------------------- limits


def test_limits_name_file_reason_and_remedy(tmp_path: Path) -> None:
    path = tmp_path / "long.mid"
    write_score(make_score([(i * 4_800, 480, 60, 90) for i in range(50)]), path)
    for limits, reason in (
        (Limits(max_bytes=100), r"long.mid: it has more than 100 bytes: split"),
        (Limits(max_notes=49), r"long.mid: it has 50 notes, more than 49: cut"),
        (Limits(max_sec=60), r"long.mid: it lasts 0.1 hours.*: cut it"),
        (Limits(max_tracks=0), r"long.mid: .*more than 0.*split"),
    ):
        with pytest.raises(InputError, match=reason):
            read_score(path, limits=limits)
    with pytest.raises(InputError, match="more than 49"):
        read_score(read_score(path), limits=Limits(max_notes=49))


def test_ten_hours_are_refused(tmp_path: Path) -> None:
    write_score(make_score([(0, 480, 60, 90), (120 * 480 * 60 * 10, 480, 60, 90)]), tmp_path / "a.mid")
    with pytest.raises(InputError, match=r"10\.0 hours, more than 4"):
        read_score(tmp_path / "a.mid")
