"""The main path through the real door: the checkpoint that comes with Muse."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import muse
from muse.composer import DEFAULT_RANKING, Composer, Composition, Ranking, Sampling, brief, fitting_bars
from muse.composer.composer import N_CANDIDATES
from muse.composer.rank import quadrants_asked
from muse.emotion import EmotionPath
from muse.errors import InputError
from muse.intent import Intent
from muse.score import bar_grid, beat_to_sec, note_array, read_score, read_text, tempo_map
from muse.sheets import block_chords
from muse.tasks.request import ComposeRequest
from muse.tokens import SONG_CONTROLS, Controls
from muse.tokens.plan import Bar, Note, Plan
from muse.tokens.tune import tune_notes


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer.from_pretrained()


@pytest.fixture(scope="module")
def sad(composer: Composer) -> Composition:
    return composer.compose(Intent(emotion="sad", bars=8), n_candidates=3, seed=5)


def test_a_piece_has_what_was_asked_for(composer: Composer) -> None:
    intent = Intent(
        emotion="happy",
        key="F#m",
        tempo_bpm=91,
        time_signature="3/4",
        instruments="piano, cello",
        bars=6,
        genre="classical",
    )
    score = composer.compose(intent, n_candidates=1, seed=0).best.score
    notes = note_array(score)
    assert set(notes["program"].tolist()) <= {0, 42}
    assert 15 <= notes["onset_beat"].max() < 18 >= (notes["onset_beat"] + notes["duration_beat"]).max()
    assert score.tempos[0].qpm == pytest.approx(91, abs=0.01)
    assert beat_to_sec(tempo_map(score), 15.0) == pytest.approx(15 * 60 / 91, rel=1e-4)  # it gives way in the last bar
    assert set(zip(bar_grid(score).numerator.tolist(), bar_grid(score).denominator.tolist(), strict=True)) == {(3, 4)}
    assert (score.key_signatures[0].key, score.key_signatures[0].tonality) == (3, 1)
    assert {track.name for track in score.tracks} <= {"Acoustic Grand Piano", "Cello"}


def test_a_request_makes_as_many_candidates_as_a_call() -> None:
    assert ComposeRequest().candidates == N_CANDIDATES


def test_no_two_notes_of_one_key_overlap(sad: Composition) -> None:
    for candidate in sad.candidates:
        notes = note_array(candidate.score)
        for pitch in np.unique(notes["pitch"]):
            same = notes[notes["pitch"] == pitch]
            ends = same["onset_beat"] + same["duration_beat"]
            assert (ends[:-1] <= same["onset_beat"][1:] + 1e-9).all()


def test_the_same_seed_gives_the_same_file(composer: Composer, sad: Composition, tmp_path: Path) -> None:
    again = composer.compose(Intent(emotion="sad", bars=8), n_candidates=3, seed=5)
    other = composer.compose(Intent(emotion="sad", bars=8), n_candidates=3, seed=6)
    for name, piece in (("a", sad), ("b", again), ("c", other)):
        piece.save(tmp_path / f"{name}.mid")
    a, b, c = ((tmp_path / f"{name}.mid").read_bytes() for name in "abc")
    assert a == b != c


def test_candidates_are_ranked_by_merit(sad: Composition) -> None:
    values = [candidate.merit for candidate in sad.candidates]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 3 and 0 < values[-1] < values[0] <= 1
    assert sad.best is sad.candidates[0]


@pytest.mark.parametrize("term", ["adherence", "quality", "emotion", "genre"])
def test_each_term_can_decide_alone(composer: Composer, term: str) -> None:
    alone = Ranking(**{name: float(name == term) for name in vars(DEFAULT_RANKING)})
    piece = composer.compose(Intent(emotion="sad", genre="pop", bars=4), n_candidates=3, seed=5, ranking=alone)
    rated = [(candidate, candidate.ratings) for candidate in piece.candidates]
    values = {
        "adherence": [candidate.adherence for candidate, _ in rated],
        "quality": [rating.quality for _, rating in rated if rating],
        "emotion": [rating.quadrants[2] for _, rating in rated if rating],
        "genre": [rating.genres["pop"] for _, rating in rated if rating],
    }[term]
    assert values == sorted(values, reverse=True) and len(values) == 3
    assert [candidate.merit for candidate in piece.candidates] == pytest.approx(values)


def test_what_was_not_asked_for_does_not_count(composer: Composer) -> None:
    piece = composer.compose(Intent(bars=4), n_candidates=2, seed=5, ranking=Ranking(0, 0, 1, 1))
    assert all(np.isnan(candidate.adherence) and candidate.merit == 0 for candidate in piece.candidates)
    assert "no attribute was asked for" in piece.report() and piece.to_json()["adherence"] is None


def test_without_a_selector_adherence_decides() -> None:
    piece = Composer.from_pretrained(selector=None).compose(Intent(emotion="sad", bars=4), n_candidates=3, seed=5)
    assert piece.best.ratings is None
    assert [candidate.merit for candidate in piece.candidates] == [c.adherence for c in piece.candidates]


def test_an_emotion_near_an_axis_belongs_to_both_sides() -> None:
    asked = {v: quadrants_asked(EmotionPath.parse((v, 0.9)), 4) for v in (-0.65, -0.1, 0.0, 0.1)}
    assert asked[-0.65].tolist() == [0, 1, 0, 0]
    assert asked[0.0].tolist() == [0.5, 0.5, 0, 0]
    assert asked[-0.1] == pytest.approx(asked[0.1][[1, 0, 3, 2]])
    arc = quadrants_asked(EmotionPath.parse("Q3>Q1"), 16)
    assert arc.sum() == pytest.approx(1) and min(arc[0], arc[2]) > 0.2


@pytest.mark.parametrize("weights", [(-1.0, 1, 1, 1), (0, 0, 0, 0), (float("nan"), 1, 1, 1)])
def test_senseless_weights_are_refused(weights: tuple[float, float, float, float]) -> None:
    with pytest.raises(InputError, match="ranking weights are 0 or more and not all 0"):
        Ranking(*weights)


def test_the_file_tells_where_it_came_from(sad: Composition, composer: Composer, tmp_path: Path) -> None:
    sad.save(tmp_path / "sad.mid")
    origin = json.loads(read_text(tmp_path / "sad.mid")[0])
    again = composer.compose(
        Intent.from_dict(origin["intent"]),
        seed=origin["seed"],
        n_candidates=origin["candidates"],
        sampling=Sampling(**origin["sampling"]),
        ranking=Ranking(**origin["ranking"]),
    )
    again.save(tmp_path / "again.mid")
    assert (tmp_path / "again.mid").read_bytes() == (tmp_path / "sad.mid").read_bytes()
    assert len(note_array(read_score(tmp_path / "sad.mid"))) == sad.best.n_notes


def test_asking_for_an_attribute_moves_it(composer: Composer) -> None:
    pitch = {}
    for value in (54, 74):
        piece = composer.compose(Intent(bars=8, attributes={"Mean Pitch": value}, key="C"), n_candidates=4, seed=1)
        pitch[value] = np.mean([candidate.measured["Mean Pitch"] for candidate in piece.candidates])
    assert pitch[74] > pitch[54] + 3


def test_tempo_beats_the_emotion(composer: Composer) -> None:
    piece = composer.compose(Intent(emotion="angry", tempo_bpm=66, bars=4), n_candidates=1, seed=0)
    assert piece.best.score.tempos[0].qpm == pytest.approx(66, abs=0.01)


def test_at_another_tempo_the_notes_a_second_stay(composer: Composer) -> None:
    for target in (
        brief := composer.compose(Intent(emotion="Q1", tempo_bpm=70, bars=4), n_candidates=1, seed=0).brief
    ).sections:
        assert target["Note Density per Quarter Note"] == pytest.approx(target["Note Density"] * 60 / 70)
    assert brief.song["Mean Tempo"] == 70


def test_an_arc_gives_each_section_its_own_target(composer: Composer) -> None:
    brief = composer.compose(Intent(emotion="calm>angry", bars=16), n_candidates=1, seed=0).brief
    density = [section["Note Density"] for section in brief.sections]
    assert len(density) == 4 and density == sorted(density) and density[-1] > 1.5 * density[0]


def test_pieces_longer_than_the_context_are_written(composer: Composer) -> None:
    piece = composer.compose(Intent(emotion="happy", bars=40), n_candidates=1, seed=2)
    bars = np.unique(note_array(piece.best.score)["onset_beat"] // 4)
    assert bars.max() == 39 and len(bars) >= 36


def test_report_json_and_notebook_view(sad: Composition) -> None:
    document = sad.to_json()
    json.dumps(document, allow_nan=False)
    wanted = "seed intent target measured adherence ratings scores candidates n_notes bars duration_s timing versions"
    assert set(wanted.split()) <= set(document)
    assert {"load_s", "generate_s", "total_s"} <= set(document["timing"])
    assert document["n_notes"] == sad.best.n_notes and document["bars"] == 8
    assert set(document["measured"]) == set(SONG_CONTROLS)
    assert set(document["scores"]) == {"merit", "adherence", "quality"}
    assert "Mode Clarity" in sad.report() and "seed 5" in sad.report() and "quality 0." in sad.report()
    assert sad.explanation is not None and sad.explanation.sentence() in sad.report()
    for axis in ("valence", "arousal"):
        total = sum(row["contribution"][axis] for row in document["explanation"])
        assert document["score"]["baseline"][axis] + total == pytest.approx(document["score"][axis], abs=1e-5)
    page = sad._repr_html_()
    assert "<svg" in page and "Mode Clarity" in page


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"genre": "pup"}, "unknown genre 'pup'.*did you mean 'pop'"),
        ({"attributes": {"Mean Pich": 60}}, "unknown attribute to ask for 'Mean Pich': did you mean 'Mean Pitch'"),
        ({"attributes": {"Mean Pitch": 900}}, "Mean Pitch is asked to be 900; legal is 0 to 127"),
    ],
)
def test_what_does_not_exist_is_refused(composer: Composer, fields: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        composer.compose(Intent(**fields), n_candidates=1, seed=0)  # type: ignore[arg-type]


def test_too_many_candidates_are_refused(composer: Composer) -> None:
    with pytest.raises(InputError, match="n_candidates is 0"):
        composer.compose(Intent(), n_candidates=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -5}, "seed is -5"),
        ({"seed": "x"}, "seed is 'x'"),
        ({"seed": 1.5}, "seed is 1.5"),
        ({"n_candidates": "2"}, "n_candidates is '2'"),
    ],
)
def test_numbers_that_are_none_are_refused(composer: Composer, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        composer.compose(Intent(), **options)


def test_settings_of_sampling_and_ranking_are_numbers() -> None:
    with pytest.raises(InputError, match="temperature is 'hot', give a number; top_p is None"):
        Sampling(temperature="hot", top_p=None)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="top_k is inf"):
        Sampling(top_k=float("inf"))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="quality is 'much'"):
        Ranking(quality="much")  # type: ignore[arg-type]


def test_one_call_composes() -> None:
    piece = muse.compose("tender", bars=4, n_candidates=1, seed=0)
    assert piece.best.n_notes > 4


def test_progress_rises_to_the_end(composer: Composer) -> None:
    shares: list[float] = []
    composer.compose(Intent(bars=4), n_candidates=2, seed=0, progress=shares.append)
    assert shares == sorted(shares) and shares[-1] == 1.0


def test_composing_is_repeatable_across_processes(sad: Composition, tmp_path: Path) -> None:
    code = "import muse, sys; muse.compose('sad', bars=8, n_candidates=3, seed=5).save(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "b.mid")], check=True)
    sad.save(tmp_path / "a.mid")
    assert (tmp_path / "a.mid").read_bytes() == (tmp_path / "b.mid").read_bytes()


def test_what_is_beyond_the_generators_reach_is_said(composer: Composer) -> None:
    piece = composer.compose(Intent(bars=4, attributes={"Mean Pitch": 120}), n_candidates=1, seed=0)
    (remark,) = piece.to_json()["remarks"]
    assert "Mean Pitch 120 is far from the music that was learnt from" in remark and remark in piece.report()


def test_two_of_one_instrument_have_a_part_each() -> None:
    piece = muse.compose(instruments="violin,violin,cello", bars=4, n_candidates=1, seed=0)
    assert piece.intent.instruments == ("violin", "violin", "cello")
    assert [track.program for track in piece.best.score.tracks] == [40, 40, 42]
    first, second = ([(n.time, n.pitch) for n in track.notes] for track in piece.best.score.tracks[:2])
    assert first and second and first != second


def test_chords_form_and_tune_are_kept(composer: Composer) -> None:
    piece = composer.compose(chords="Am | F | C | G", form="AABA", key="Am", n_candidates=1, seed=0)
    assert str(piece.plan).splitlines() == [f"[{letter}] Am | F | C | G" for letter in "AABA"]
    assert (piece.brief.key_name, piece.to_json()["form"]) == ("A minor", "AABA")
    onsets = [[(note.position, note.pitch) for note in bar.melody] for bar in piece.plan.bars]
    assert onsets[:2] == onsets[4:6]
    tune = block_chords(replace(piece.plan, bars=tuple(replace(bar, chords=()) for bar in piece.plan.bars)))
    again = composer.compose(melody=tune, n_candidates=1, seed=3, instruments="flute, guitar")
    found, given = tune_notes(again.plan), tune_notes(piece.plan)
    first = given[0].position - given[0].position % 16  # a tune is given from its first bar
    assert found[: len(given)] == [replace(note, position=note.position - first) for note in given]


def test_a_given_tune_says_how_many_bars_it_needs_and_has_the_key_of_its_file() -> None:
    notes = tuple(Note(4 * i, 60 + pitch, 4) for i, pitch in enumerate((0, 4, 7, 12)))
    tune = block_chords(Plan((Bar(melody=notes),) * 20, tonic=9, mode="minor"))
    intent = muse.Intent(melody=tune)
    intent = replace(intent, bars=fitting_bars(intent))
    found = brief.decide(intent, Controls.load(), muse.EmotionMapper.from_pretrained(), np.random.default_rng(0))
    assert intent.bars == 20
    assert (found.key_name, found.melody and found.melody.key_name) == ("A minor", "Am")


def test_a_plan_is_arranged_for_others(composer: Composer, sad: Composition, tmp_path: Path) -> None:
    quartet = composer.arrange(sad.plan, instruments="violin, violin, viola, cello", emotion="calm", seed=1)
    assert quartet.plan.bars == sad.plan.bars and len(quartet.best.score.tracks) == 4
    quartet.save(tmp_path / "quartet.mid")
    origin = json.loads(read_text(tmp_path / "quartet.mid")[0])
    assert Plan.from_json(origin["plan"]) == sad.plan
    bars = list(sad.plan.bars)
    bars[0] = replace(bars[0], melody=())
    edited = composer.arrange(replace(sad.plan, bars=tuple(bars)), n_candidates=1, seed=1)
    assert edited.plan.bars[0].melody == ()


def test_keywords_of_compose_are_checked() -> None:
    with pytest.raises(muse.MuseError, match="unknown keyword of compose 'temppo': did you mean 'tempo'"):
        muse.compose(temppo=90)
    with pytest.raises(InputError, match="tempo is 90 and tempo_bpm 100"):
        muse.compose(tempo=90, tempo_bpm=100)
    with pytest.raises(InputError, match="valence and arousal belong together"):
        muse.compose(valence=0.5)
    with pytest.raises(InputError, match="contradict"):
        muse.compose("sad", valence=0.5, arousal=0.5)
    one = muse.compose(valence=-0.6, arousal=0.7, tempo=150, bars=2, n_candidates=1, seed=0)
    other = muse.compose((-0.6, 0.7), tempo_bpm=150, bars=2, n_candidates=1, seed=0)
    assert one.intent == other.intent
    np.testing.assert_array_equal(note_array(one.best.score), note_array(other.best.score))
