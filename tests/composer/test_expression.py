"""Timing, key-down times and pedal stay within what people do and leave the page as it was."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import symusic

from muse.checkpoint import data_path
from muse.composer.arrange import Arrangement, cast
from muse.composer.expression import QUANTILES, Expression
from muse.composer.perform import Touch, perform
from muse.errors import InputError
from muse.render.notation import musicxml
from muse.render.written import written_parts
from muse.score import Score, mean_tempo_bpm, note_array, read_score, tempo_map
from muse.theory import instruments
from muse.tokens.arrangement import PartNote
from muse.tokens.plan import Note, Plan

EXPRESSION = Expression.load()
TEMPO_BPM = 90.0
QUIET, LIVELY = 48.0, 85.0


def arrangement(program: int = 0, n_bars: int = 16, span: int = 6) -> Arrangement:
    """Two chords a bar, a tune of quarters that strikes each key twice, and broken chords below it."""
    plan = Plan.parse(" | ".join(["C Am", "F G"] * (n_bars // 2)))
    tune = tuple(Note(k * 4, 72 + k // 2, 4) for k in range(4))
    plan = replace(plan, bars=tuple(replace(bar, melody=tune) for bar in plan.bars))
    below = tuple(PartNote(k * 6, 48 + 4 * (k % 2), span, 60) for k in range(8))
    return Arrangement(plan, cast((program,)), ((below,) * n_bars,), (80,) * n_bars)


def played(one: Arrangement, velocity: float = QUIET, seed: int = 0, tempo_bpm: float = TEMPO_BPM) -> Score:
    touch = Touch(tempo_bpm, loudness=(velocity,) * len(one.plan.bars))
    return perform(one, touch, np.random.default_rng(seed))


def log_tempo(velocity: float, n_pieces: int = 30) -> np.ndarray:
    """Log tempo of the beats of pieces [n_pieces, n_beats], the slowing bar left out."""
    return np.log([tempo_map(played(arrangement(), velocity, seed))[:60, 1] for seed in range(n_pieces)])


def test_the_tempo_lives_more_in_quiet_music_and_is_the_one_asked_for_on_the_whole() -> None:
    quiet, lively = log_tempo(QUIET), log_tempo(LIVELY)
    for curves, velocity in ((quiet, QUIET), (lively, LIVELY)):
        wanted = np.interp(velocity, EXPRESSION.velocity, EXPRESSION.spread)
        assert curves.std() == pytest.approx(wanted, rel=0.2)
        np.testing.assert_allclose(np.exp(-curves).mean(axis=1), 1 / TEMPO_BPM, rtol=1e-5)
        assert np.abs(curves - np.log(TEMPO_BPM)).max() < 3 * wanted
    assert quiet.std() > 1.4 * lively.std()
    x = quiet - quiet.mean(axis=1, keepdims=True)
    neighbours = (x[:, 1:] * x[:, :-1]).mean() / x.var()
    assert neighbours == pytest.approx(EXPRESSION.correlation * EXPRESSION.drift, abs=0.12)
    place = np.arange(60) % 16
    assert quiet[:, place >= 14].mean() < quiet[:, (place >= 2) & (place < 6)].mean() - 0.004


def test_deadpan_leaves_all_of_it_out_and_a_seed_brings_all_of_it_back() -> None:
    one = arrangement()
    assert tempo_map(played(one))[0, 1] == pytest.approx(TEMPO_BPM, abs=1e-3)  # begins as asked
    flat = perform(one, Touch(TEMPO_BPM, deadpan=True), np.random.default_rng(0))
    assert len(flat.tempos) == 1
    assert not flat.tracks[0].controls and not flat.tracks[0].pedals
    assert set((note_array(flat)["duration_beat"] * 12).round(6)) == {6.0, 12.0}
    assert played(one, seed=3).dumps_midi() == played(one, seed=3).dumps_midi()
    assert played(one, seed=3).dumps_midi() != played(one, seed=4).dumps_midi()


def test_the_page_is_that_of_the_deadpan_piece() -> None:
    one = arrangement()
    for seed in range(4):
        free, flat = played(one, seed=seed), perform(one, Touch(TEMPO_BPM, deadpan=True))
        np.testing.assert_array_equal(note_array(free)["onset_beat"], note_array(flat)["onset_beat"])
        (mine,), _ = written_parts(free)
        (theirs,), _ = written_parts(flat)
        assert mine.bars == theirs.bars
        sheet = musicxml(free)
        assert sheet.count(b"<metronome>") == 1
        assert f"<per-minute>{TEMPO_BPM:.0f}</per-minute>".encode() in sheet


def test_a_new_tempo_that_lasts_is_written() -> None:
    score = perform(arrangement(), Touch(96.0, deadpan=True))
    score.tempos.append(symusic.Tempo(8 * 4 * 480, 120.0))
    sheet = musicxml(score)
    assert [sheet.count(f"<per-minute>{bpm}</per-minute>".encode()) for bpm in (96, 120)] == [1, 1]


def test_keys_are_let_go_before_they_are_struck_again() -> None:
    notes = note_array(played(arrangement(span=12)))
    notes = notes[np.lexsort((notes["onset_beat"], notes["pitch"]))]
    same = notes["pitch"][1:] == notes["pitch"][:-1]
    wait = np.diff(notes["onset_beat"])
    again = same & (wait <= 1)
    gap = wait[again] - notes["duration_beat"][:-1][again]
    assert len(gap) > 60
    assert (gap >= 0).all() and gap.max() < 0.125
    assert (gap > 0.01).mean() > 0.9  # people: 0.99 of keys that are struck again within a second


def test_long_notes_are_held_as_written() -> None:
    one = replace(arrangement(), notes=(((PartNote(0, 40, 48, 60),),) * 16,))
    notes = note_array(played(one, tempo_bpm=40.0))
    assert set(notes["duration_beat"][notes["pitch"] == 40]) == {4.0}  # six seconds lie between two strokes


@pytest.mark.parametrize("program", [0, 4, 11, 6, 46, 40])
def test_those_that_have_a_pedal_use_it(program: int) -> None:
    (track,) = played(arrangement(program)).tracks
    assert bool(track.pedals) == instruments()[program].has_pedal == (program in (0, 4, 11))


def test_the_pedal_is_changed_with_the_chords() -> None:
    share, changes, n_checked = [], [], 0
    for seed in range(20):
        score = played(arrangement(), seed=seed)
        pedal = np.array([(p.time, p.time + p.duration) for p in score.tracks[0].pedals]) / 480
        assert (pedal[1:, 0] > pedal[:-1, 1]).all() and (pedal[:, 1] > pedal[:, 0]).all()
        share.append(np.diff(pedal).sum() / 64)
        changes.append(len(pedal) / 16)
        if len(pedal) > 20:
            n_checked += 1
            chords = np.arange(2, 64, 2)
            nearest = pedal[np.abs(pedal[:, :1] - chords).argmin(axis=0)]
            assert np.median(nearest[:, 0] - chords) == pytest.approx(np.median(EXPRESSION.press_sec) * 1.5, abs=0.15)
            # No chord is caught in the pedal of the one before.
            for begin, stop in pedal:
                inside = chords[(chords > begin + 0.6) & (chords < stop - 0.4)]
                assert not len(inside), (begin, stop)
    assert n_checked > 10
    assert 0.55 < np.mean(share) < 0.95
    assert 1.0 < np.mean(changes) < 3.0


def test_short_notes_are_played_drier() -> None:
    def down(span: int, tempo_bpm: float) -> float:
        scores = [played(arrangement(span=span), LIVELY, seed, tempo_bpm) for seed in range(20)]
        return float(np.mean([sum(p.duration for p in s.tracks[0].pedals) / (64 * 480) for s in scores]))

    assert down(1, 150.0) < down(6, 80.0) - 0.05


def test_midi_files_keep_pedal_and_tempo() -> None:
    score = played(arrangement())
    again = read_score(io.BytesIO(score.dumps_midi()).getvalue())
    assert again.tracks[0].pedals == score.tracks[0].pedals
    assert again.tracks[0].controls == score.tracks[0].controls
    assert again.dumps_midi() == score.dumps_midi()
    assert mean_tempo_bpm(again) == pytest.approx(TEMPO_BPM, rel=0.03)  # the last bar gives way


def test_every_meter_and_a_single_bar() -> None:
    for meter in ((3, 4), (6, 8), (5, 4), (3, 8)):
        plan = Plan.parse("C | F | G", time_signature=meter)
        part = tuple((PartNote(0, 50, 6, 60),) for _ in plan.bars)
        score = perform(Arrangement(plan, cast((0,)), (part,), (0,) * 3), Touch(loudness=(60.0,) * 3))
        at = tempo_map(score)[:, 0]
        assert at[0] == 0 and (np.diff(at) > 0).all() and at[-1] < 3 * plan.bar_length / 4
    one = perform(Arrangement(Plan.parse("C"), cast((0,)), (((PartNote(0, 50, 6, 60),),),), (0,)), Touch())
    assert len(one.tempos) == 4
    silent = perform(Arrangement(Plan.parse("C"), cast((0,)), (((),),), (0,)), Touch())
    assert not len(note_array(silent))


def test_the_key_signature_is_that_of_the_keys_usual_name() -> None:
    for tonic, mode, signature in (
        (3, "minor", (-6, 1)),
        (6, "major", (6, 0)),
        (8, "minor", (5, 1)),
        (1, "major", (-5, 0)),
    ):
        plan = replace(arrangement().plan, tonic=tonic, mode=mode)
        (key,) = played(replace(arrangement(), plan=plan)).key_signatures
        assert (key.time, key.key, key.tonality) == (0, *signature)


def test_a_table_that_lacks_something_is_refused(tmp_path: Path) -> None:
    table = json.loads((data_path("attributes") / "expression.json").read_text(encoding="utf-8"))
    del table["pedal"]["lift_sec"]
    path = tmp_path / "expression.json"
    path.write_text(json.dumps(table), encoding="utf-8")
    with pytest.raises(InputError, match=f"lift_sec needs {len(QUANTILES)} numbers"):
        Expression.load(path)
