"""The stages hold what was asked for whatever the weights: models with random weights write here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from muse.composer.arrange import Arranger, cast
from muse.composer.perform import Touch, perform
from muse.composer.plan import Planner
from muse.composer.stages import (
    PLAN_FROM,
    SECTION_FROM,
    PieceRequest,
    Stages,
    WrittenBar,
    buckets_from_attributes,
)
from muse.errors import InputError
from muse.files import write_json
from muse.generator.model import build
from muse.score import DRUMS, note_array, tempo_map
from muse.theory import instruments, parse_instrument
from muse.tokens.arrangement import SECTION_CONTROLS
from muse.tokens.arrangement import VOCABULARY as ARRANGEMENT
from muse.tokens.plan import PLAN_CONTROLS, Plan
from muse.tokens.plan import VOCABULARY as PLAN


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Stages:
    torch.manual_seed(0)
    folders: list[Path] = []
    for vocabulary, controls in ((PLAN, PLAN_CONTROLS), (ARRANGEMENT, SECTION_CONTROLS)):
        folder = tmp_path_factory.mktemp("random")
        build("micro", len(vocabulary)).save_pretrained(folder)
        write_json({name: list(values) for name, values in vocabulary.blocks}, folder / "vocabulary.json")
        write_json([{"mode": "minor", "rests": 2}], folder / "examples.json")
        write_json({name: [0.0, 1.0, 2.0, 3.0, 4.0] for name in controls}, folder / "controls.json")
        folders.append(folder)
    return Stages(Planner.from_pretrained(folders[0]), Arranger.from_pretrained(folders[1]))


def programs(*names: str) -> tuple[int, ...]:
    return tuple(parse_instrument(name) for name in names)


ENSEMBLES = [
    programs("piano"),
    programs("flute"),
    programs("violin", "violin", "viola", "cello"),
    programs("flute", "cello", "piano", "harp"),
    programs("electric guitar", "electric bass", "drums"),
    programs("flute", "oboe", "clarinet", "bassoon", "trumpet", "horn", "trombone", "tuba", "violin", "cello", "drums"),
]


@pytest.mark.parametrize("asked", ENSEMBLES, ids=lambda asked: "-".join(map(str, asked)))
def test_everyone_plays_what_they_can(stages: Stages, asked: tuple[int, ...]) -> None:
    request = PieceRequest(n_bars=8, tonic=2, mode="minor", programs=asked)
    (piece,) = stages.write(request, rng=np.random.default_rng(1))
    notes = note_array(piece.score)
    assert [DRUMS if t.is_drum else t.program for t in piece.score.tracks] == list(asked)
    for track, program in enumerate(asked):
        one = instruments()[program]
        mine = notes[notes["track"] == track]
        bars = np.unique(mine["onset_beat"] // 4)
        assert len(bars) >= 0.8 * 8
        if program == DRUMS:
            continue
        assert mine["pitch"].min() >= one.low
        assert mine["pitch"].max() <= one.high
        ends = mine["onset_beat"] + mine["duration_beat"]
        for onset in np.unique(mine["onset_beat"]):
            assert ((mine["onset_beat"] <= onset) & (ends > onset + 1e-6)).sum() <= one.polyphony


def test_chords_tune_and_form_are_as_given(stages: Stages) -> None:
    chords = Plan.parse("Am | F | C G | E7")
    (piece,) = stages.write(PieceRequest(8, tonic=9, mode="minor", chords=chords), rng=np.random.default_rng(0))
    assert str(piece.plan) == "Am | F | C G | E7 | Am | F | C G | E7"
    (tune,) = stages.write(PieceRequest(8, form="AB"), rng=np.random.default_rng(0))
    given = Plan(tune.plan.bars[:4])
    (again,) = stages.write(PieceRequest(8, melody=given), rng=np.random.default_rng(5))
    assert [bar.melody for bar in again.plan.bars[:4]] == [bar.melody for bar in given.bars]
    (form,) = stages.write(PieceRequest(16, form="ABAB"), rng=np.random.default_rng(2))
    assert form.plan.form == "ABAB"
    # What comes after may cut the last note short.
    tune_of = [[(note.position, note.pitch) for note in bar.melody] for bar in form.plan.bars]
    same = [tune_of[i] == tune_of[i + 8] for i in range(8)]
    assert all(same[:2])
    assert all(same[4:6])


def test_a_plan_is_kept_by_arranging(stages: Stages) -> None:
    (first,) = stages.write(PieceRequest(4), rng=np.random.default_rng(0))
    asked = programs("violin", "cello")
    (again,) = stages.write(PieceRequest(4, plan=first.plan, programs=asked), rng=np.random.default_rng(9))
    assert again.plan == first.plan
    tune = sorted((16 * b + n.position, n.pitch) for b, bar in enumerate(first.plan.bars) for n in bar.melody)
    violin = note_array(again.score)
    violin = violin[violin["track"] == 0]
    got = sorted(zip((violin["onset_beat"] * 4).astype(int).tolist(), violin["pitch"].tolist(), strict=True))
    one = instruments()[40]
    assert got == [note for note in tune if one.low <= note[1] <= one.high]


def test_pieces_end_on_their_tonic(stages: Stages) -> None:
    for piece in stages.write(PieceRequest(4, tonic=7, mode="major"), n=3, rng=np.random.default_rng(3)):
        notes = note_array(piece.score)
        last = notes[notes["onset_beat"] >= 12]
        assert len(last)
        assert set((last["pitch"] % 12).tolist()) <= {7, 11, 2}
        assert max(np.unique(last["onset_beat"], return_counts=True)[1]) <= 5


def test_same_seed_same_piece(stages: Stages) -> None:
    one, two, other = (stages.write(PieceRequest(4), rng=np.random.default_rng(seed))[0].score for seed in (4, 4, 5))
    assert one.dumps_midi() == two.dumps_midi()
    assert one.dumps_midi() != other.dumps_midi()


def test_deadpan_has_one_tempo_and_the_arrangers_velocities(stages: Stages) -> None:
    (piece,) = stages.write(PieceRequest(4), rng=np.random.default_rng(0))
    flat = perform(piece.arrangement, Touch(tempo_bpm=90, deadpan=True))
    played = perform(piece.arrangement, Touch(tempo_bpm=90))
    assert len(tempo_map(flat)) == 1
    assert tempo_map(played)[-1, 1] < 90
    assert len(np.unique(note_array(flat)["velocity"])) < len(np.unique(note_array(played)["velocity"]))
    assert (note_array(flat)["onset_beat"] == note_array(played)["onset_beat"]).all()


def test_casting_follows_the_instruments() -> None:
    quartet = cast(programs("cello", "violin", "viola", "violin"))
    assert quartet.lead == 1
    assert quartet.written == (0, 2, 3)
    assert cast(programs("piano")).written == (0,)
    assert cast(programs("piano", "flute")).lead == 1
    assert cast(programs("piano", "flute"), lead=0).lead == 0
    assert cast((DRUMS,)).lead == -1
    low, high = cast(programs("glockenspiel")).melody_range
    assert low <= 67
    assert high >= 76
    with pytest.raises(InputError, match="no instrument"):
        cast(())
    with pytest.raises(InputError, match="cannot have the tune"):
        cast((0, DRUMS), lead=1)


def test_stage_controls_follow_quantiles() -> None:
    high = {attribute: 0.99 for attribute, _ in (*PLAN_FROM.values(), *SECTION_FROM.values())}
    for table in (PLAN_FROM, SECTION_FROM):
        got = buckets_from_attributes(high, table)
        assert {name: got[name] for name in table} == {n: 5 if sign > 0 else 0 for n, (_, sign) in table.items()}
    assert not buckets_from_attributes(high, PLAN_FROM, share=0.0)  # open


def test_a_checkpoint_of_another_vocabulary_is_refused(stages: Stages, tmp_path: Path) -> None:
    build("micro", len(PLAN)).save_pretrained(tmp_path)
    write_json({"Special": ["pad", "bos"]}, tmp_path / "vocabulary.json")
    write_json({}, tmp_path / "controls.json")
    write_json([], tmp_path / "examples.json")
    with pytest.raises(InputError, match="another vocabulary"):
        Planner.from_pretrained(tmp_path)


def test_loudness_is_absolute(stages: Stages) -> None:
    (piece,) = stages.write(PieceRequest(8), rng=np.random.default_rng(0))
    for asked in (53.0, 79.0):
        velocity = note_array(perform(piece.arrangement, Touch(loudness=(asked,) * 8, spread=12.0)))["velocity"]
        assert abs(velocity.mean() - asked) < 2
        assert abs(velocity.std() - 12) < 2


def test_open_controls_are_those_of_a_song_like_it(stages: Stages) -> None:
    rows = [{"mode": "major", "rests": 0, "leaps": 5}] * 40 + [{"mode": "major", "rests": 5, "leaps": 0}] * 40
    planner = Planner(stages.planner.sampler, stages.planner.buckets, rows)
    rng = np.random.default_rng(0)
    assert planner.completed({"rests": 4}, "major", rng) == {"rests": 4, "leaps": 0}
    assert planner.completed({"rests": 1}, "major", rng) == {"rests": 1, "leaps": 5}
    assert planner.completed({"rests": 1}, "minor", rng) == {"rests": 1}


@pytest.mark.parametrize("asked", [ENSEMBLES[i] for i in (0, 1, 3, 5)], ids=lambda asked: "-".join(map(str, asked)))
def test_bars_are_told_in_order_and_are_those_of_the_piece(stages: Stages, asked: tuple[int, ...]) -> None:
    request = PieceRequest(n_bars=6, time_signature=(3, 4), tonic=9, mode="minor", tempo_bpm=120.0, programs=asked)
    bars: list[WrittenBar] = []
    told_at: list[float] = []
    share = [0.0]

    def note(bar: WrittenBar) -> None:
        bars.append(bar)
        told_at.append(share[0])

    pieces = stages.write(
        request, n=2, rng=np.random.default_rng(4), on_bar=note, progress=lambda done: share.__setitem__(0, done)
    )
    silent = stages.write(request, n=2, rng=np.random.default_rng(4))
    assert [a.score.dumps_midi() for a in pieces] == [b.score.dumps_midi() for b in silent]
    assert told_at[0] < 0.75 or len(asked) == 1  # a flute alone waits for nobody
    for number, piece in enumerate(pieces):
        mine = [bar for bar in bars if bar.candidate == number]
        assert [bar.bar for bar in mine] == list(range(6)) and {bar.n_bars for bar in mine} == {6}
        for told_bar, planned in zip(mine, piece.plan.bars, strict=True):
            if planned.chords:
                assert Plan.parse(f"| {told_bar.chords} |", time_signature=(3, 4)).bars[0].chords == planned.chords
        assert {bar.seconds for bar in mine} == {1.5}
        told, made = np.concatenate([bar.notes for bar in mine]), note_array(piece.score)
        for name in ("onset_beat", "pitch", "program", "track"):
            np.testing.assert_array_equal(told[name], made[name], err_msg=name)
        early = made["onset_beat"] < 15
        np.testing.assert_allclose(told["onset_sec"][early], made["onset_sec"][early], atol=0.5)  # of 7.5 seconds
        within = told["onset_beat"] % 3 + told["duration_beat"] <= 3
        assert within.mean() > 0.3
        np.testing.assert_allclose(told["duration_beat"][within], made["duration_beat"][within], atol=0.125)
        assert (told["duration_beat"] > made["duration_beat"] - 0.125).all()
