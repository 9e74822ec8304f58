"""Makers, and the folder that keeps their pieces."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from kit import Musician, beats

from muse.composer.arrange import Arrangement
from muse.composer.arrange import cast as casting
from muse.composer.plan import Planner, PlanRequest
from muse.errors import InputError
from muse.evaluate.systems.maker import Made, Pieces, fingerprint, from_composer, from_stages, without_form
from muse.intent import Intent
from muse.score import from_notes, note_array
from muse.tokens.plan import Bar, Note, Plan
from muse.tokens.plan_form import Buckets

PLAN = Plan.parse("C | G", tonic=0, mode="major")


class Counted:
    """A maker that says how often it was asked."""

    calls = 0

    def __call__(self, intent: Intent, seed: int) -> Made:
        self.calls += 1
        return Made(from_notes(beats([(0, 1, 60 + seed), (1, 1, 64), (2, 1, 67)])), PLAN, 1.5)


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    maker = Counted()
    first = Pieces(tmp_path, "one").get("mine", Intent(bars=4), 3, maker)
    again = Pieces(tmp_path, "one").get("mine", Intent(bars=4), 3, maker)
    assert maker.calls == 1
    assert note_array(again.score)["pitch"].tolist() == note_array(first.score)["pitch"].tolist() == [63, 64, 67]
    assert again.plan == PLAN and again.seconds == 1.5


def test_another_request_seed_or_maker_is_another_piece(tmp_path: Path) -> None:
    maker = Counted()
    for bars, seed, by in ((4, 0, "one"), (4, 1, "one"), (8, 0, "one"), (4, 0, "two")):
        Pieces(tmp_path, by).get("mine", Intent(bars=bars), seed, maker)
    assert maker.calls == 4


def test_a_piece_that_was_cut_short_is_made_again(tmp_path: Path) -> None:
    maker, pieces = Counted(), Pieces(tmp_path, "one")
    pieces.get("mine", Intent(), 0, maker)
    next(tmp_path.rglob("*.mid")).write_bytes(b"MThd")
    pieces.get("mine", Intent(), 0, maker)
    next(tmp_path.rglob("*.json")).write_text("{", encoding="utf-8")
    pieces.get("mine", Intent(), 0, maker)
    assert maker.calls == 3


def test_the_composer_is_a_maker() -> None:
    made = from_composer(cast(Any, Musician()))(Intent(emotion="Q1", bars=4), 0)
    assert made.plan is None and len(note_array(made.score)) > 8


def test_stages_take_mode_and_key_from_the_request_and_arrange_as_told() -> None:
    asked: list[PlanRequest] = []

    def plan(request: PlanRequest, **_: object) -> list[Plan]:
        asked.append(request)
        return [Plan((Bar(melody=(Note(0, 72, 16),)),) * 2)]

    stages: Any = SimpleNamespace(planner=SimpleNamespace(plan=plan), arranger=None)
    make = from_stages(stages, arrange=lambda one: Arrangement(one, casting((0,)), (((), ()),), (80, 80)))
    made = make(Intent(emotion="sad", bars=2), 0)
    make(Intent(key="A", bars=2), 1)
    assert [(one.mode, one.n_bars) for one in asked] == [("minor", 2), ("major", 2)] and asked[1].tonic == 9
    assert note_array(made.score)["pitch"].tolist() == [72, 72]
    same = make(Intent(emotion="sad", bars=2), 0)
    assert same.score.dumps_midi() == made.score.dumps_midi()


def test_without_form_no_bar_may_follow_another() -> None:
    planner = without_form(Planner(cast(Any, None), Buckets({})))
    rules, _ = planner._rules(PlanRequest(n_bars=8), "AA", 0, np.random.default_rng(0))
    assert rules.lags == dict.fromkeys(range(8), Bar())


def test_a_fingerprint_needs_checkpoints_that_exist() -> None:
    assert fingerprint(["planner"]) == fingerprint(["planner"]) != fingerprint(["arranger"])
    with pytest.raises(InputError, match="no-such"):
        fingerprint(["no-such"])
