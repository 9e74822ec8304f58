"""Makers: what answers a request with a piece."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from kit import Musician

from muse.composer.arrange import Arrangement
from muse.composer.arrange import cast as casting
from muse.composer.plan import Planner, PlanRequest
from muse.errors import InputError
from muse.evaluate.kept import depends_on
from muse.evaluate.systems.maker import fingerprint, from_composer, from_stages, without_form
from muse.intent import Intent
from muse.score import note_array
from muse.tokens.plan import Bar, Note, Plan
from muse.tokens.plan_form import Buckets


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


def test_a_new_mapping_is_another_composer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "mapping.csv"
    for room in ("kept", "systems.maker"):
        monkeypatch.setattr(f"muse.evaluate.{room}.data_path", lambda _: tmp_path)
    found = []
    for text in ("one", "one", "another"):
        table.write_text(text, encoding="utf-8")
        found.append((fingerprint(["planner"]), depends_on((), weights=["planner"])))
    assert found[0] == found[1]
    assert found[0][0] != found[2][0] and found[0][1] != found[2][1]


def test_a_fingerprint_needs_checkpoints_that_exist() -> None:
    assert fingerprint(["planner"]) == fingerprint(["planner"]) != fingerprint(["arranger"])
    with pytest.raises(InputError, match="no-such"):
        fingerprint(["no-such"])
