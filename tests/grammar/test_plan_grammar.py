"""Grammars of plans and arrangements hold for any logits: random ones are drawn here."""

from __future__ import annotations

import numpy as np
import pytest

from muse.grammar.arrangement import ArrangementRow, ArrangementRules, PartRules
from muse.grammar.plan import PlanRow, PlanRules
from muse.grammar.rows import Row
from muse.theory.chord_symbols import Chord
from muse.tokens.arrangement import PART_END, PARTS
from muse.tokens.plan import Bar, Note, Plan, decode


def write(row: Row, seed: int) -> list[int]:
    """Draw from uniform logits until the row is done."""
    rng = np.random.default_rng(seed)
    ids = []
    for _ in range(20_000):
        if row.done:
            return ids
        legal = np.flatnonzero(row.mask())
        assert len(legal)
        ids.append(int(rng.choice(legal)))
        row.advance(ids[-1])
    raise AssertionError("the row does not end")


@pytest.mark.parametrize("seed", range(6))
def test_plans_have_their_bars_and_their_end(seed: int) -> None:
    row = PlanRow(PlanRules(12, 16, "minor", lowest=55, highest=79, max_empty=2))
    ids = write(row, seed)
    assert decode(ids, (4, 4), 0, "minor").bars == tuple(row.bars)
    assert len(row.bars) == 12
    assert all(bar.chords and bar.chords[0].position == 0 for bar in row.bars)
    assert all(55 <= note.pitch <= 79 for bar in row.bars for note in bar.melody)
    assert sum(not bar.melody for bar in row.bars) <= 3
    assert row.bars[-1].chords == (Chord(0, 0, "m"),)
    assert all(note.pitch % 12 in (0, 3, 7) for note in row.bars[-1].melody)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("melody_first", [False, True])
def test_what_is_given_is_kept(seed: int, melody_first: bool) -> None:
    chords = {i: (Chord(0, i % 12), Chord(8, 5, "m7")) for i in range(8)}
    melody = {1: (Note(0, 60, 4), Note(6, 64, 8)), 2: ()}
    row = PlanRow(PlanRules(8, 16, chords=chords, melody=melody, melody_first=melody_first))
    write(row, seed)
    assert {i: bar.chords for i, bar in enumerate(row.bars)} == chords
    assert {i: row.bars[i].melody for i in melody} == melody


@pytest.mark.parametrize("lag", [8, 5])  # one that has a token and one that has none
def test_returns_are_copied(lag: int) -> None:
    lags = {i: Bar(melody_lag=lag, melody_exact=True, chords_lag=lag) for i in range(lag, 2 * lag - 1)}
    row = PlanRow(PlanRules(2 * lag, 16, lags=lags, max_empty=0))
    write(row, 3)
    for i in lags:
        assert row.bars[i].melody == row.bars[i - lag].melody
        assert row.bars[i].chords == row.bars[i - lag].chords


def test_sections_may_be_thinner_than_the_instrument_could_play() -> None:
    plan = Plan(tuple(Bar((Chord(0, 0, ""),), (Note(0, 74, 8),)) for _ in range(12)))
    row = ArrangementRow(ArrangementRules(plan.bars, 16, (PartRules("keys", 36, 84, 8),), notes_at_once=(2, 6, 6)))
    write(row, 1)
    struck = [[note.position for note in part] for (part,) in row.notes]
    most = [max(map(onsets.count, onsets)) for onsets in struck]
    assert max(most[:4]) == 2
    assert max(most[4:]) > 2


@pytest.mark.parametrize("n_parts", [1, 2])
def test_somebody_plays_in_every_bar_however_often_parts_rest(n_parts: int) -> None:
    bars = tuple(Bar((Chord(0, 0, ""),), () if i % 2 else (Note(0, 74, 8),)) for i in range(12))
    row = ArrangementRow(ArrangementRules(bars, 16, (PartRules("keys", 36, 84, 8, max_rests=12),) * n_parts))
    rng = np.random.default_rng(n_parts)
    while not row.done:
        legal = np.flatnonzero(row.mask())
        row.advance(PART_END if PART_END in legal else int(rng.choice(legal)))
    assert all(bar.melody or any(parts) for bar, parts in zip(bars, row.notes, strict=True))
    assert any(not all(parts) for parts in row.notes)


@pytest.mark.parametrize("seed", range(4))
def test_arrangements_can_be_played(seed: int) -> None:
    plan = Plan(
        tuple(
            Bar((Chord(0, root, quality),), (Note(0, 74, 8), Note(8, 72, 8)) if i % 4 != 3 else ())
            for i, (root, quality) in enumerate([(0, ""), (9, "m"), (5, ""), (7, "7")] * 2 + [(0, "")])
        )
    )
    parts = (
        PartRules("drums", 36, 60, 3, 1),
        PartRules("bass", 28, 55, 1, 1),
        PartRules("high", 60, 90, 1, 0),
        PartRules("keys", 36, 84, 5, 1),
    )
    row = ArrangementRow(ArrangementRules(plan.bars, 16, parts, copied={4: 4}))
    write(row, seed)
    assert len(row.notes) == len(plan.bars) == len(row.lead)
    assert [bool(v) for v in row.lead] == [bool(bar.melody) for bar in plan.bars]
    scale = {0, 2, 4, 5, 7, 9, 11}
    for b, bar in enumerate(row.notes):
        for rules, notes in zip(parts, bar, strict=True):
            onsets = [note.position for note in notes]
            assert onsets == sorted(onsets)
            assert max(map(onsets.count, onsets), default=0) <= rules.notes_at_once
            if rules.part == "drums":
                continue
            assert all(rules.lowest <= n.pitch <= rules.highest and n.pitch % 12 in scale for n in notes)
            if plan.bars[b].melody:
                assert all(n.pitch < (74 if n.position < 24 else 72) for n in notes)
    for number, rules in enumerate(parts):
        silent = [not bar[number] for bar in row.notes]
        assert sum(silent) <= rules.max_rests
        assert not silent[0]
        assert not silent[-1]
    assert row.notes[4] == row.notes[0]  # it returns, with the same chords and the same tune
    assert all(n.position == 0 and n.pitch % 12 in (0, 4, 7) for part in row.notes[-1][1:] for n in part)
    assert {rules.part for rules in parts} <= set(PARTS)
