"""Is a piece what was asked for: small pieces worked out by hand, and composers of known behavior."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kit import Musician, Piece

from muse.errors import InputError
from muse.evaluate import check_generations, check_piece
from muse.evaluate.generations import default_intents
from muse.intent import Intent
from muse.score import DRUMS, NOTE_DTYPE, Score, from_notes, note_array


def score(rows: list[tuple[float, float]], *, program: int = 0, meter: tuple[int, int] = (4, 4)) -> Score:
    """Notes of pitch 60 at (onset, duration) in beats."""
    notes = np.zeros(len(rows), NOTE_DTYPE)
    notes["onset_beat"], notes["duration_beat"] = np.array(rows).T
    notes["pitch"], notes["velocity"], notes["program"] = 60, 64, program
    return from_notes(notes, time_signature=meter)


def whole(n_bars: int, beats: float = 4.0) -> list[tuple[float, float]]:
    return [(beats * bar, beats) for bar in range(n_bars)]


def together(*parts: Score) -> Score:
    """Parts as the tracks of one piece."""
    notes = [note_array(part) for part in parts]
    for track, part in enumerate(notes):
        part["track"] = track
    return from_notes(np.concatenate(notes))


def test_a_piece_as_asked_for_has_no_fault() -> None:
    check = check_piece(score(whole(4)), Intent(bars=4))
    assert check.faults == ()
    assert (check.bars, check.n_notes, check.n_silent_bars, check.n_beyond_end) == (4, 4, 0, 0)
    assert check_piece(score(whole(4, 3.0), meter=(3, 4)), Intent(bars=4, time_signature="3/4")).faults == ()


@pytest.mark.parametrize(
    ("rows", "options", "fault"),
    [
        (whole(3), {}, "bars"),
        (whole(5), {}, "end"),
        ([*whole(3), (12, 4.5)], {}, "end"),
        (whole(4), {"program": 40}, "foreign instruments"),
        (whole(4), {"program": 40}, "missing instruments"),
        (whole(4), {"program": DRUMS}, "foreign instruments"),
        ([(0, 4), (4, 4), (12, 4)], {}, "silence"),
        (whole(4), {"meter": (3, 4)}, "meter"),
    ],
)
def test_each_broken_promise_is_found(rows: list[tuple[float, float]], options: dict[str, Any], fault: str) -> None:
    assert fault in check_piece(score(rows, **options), Intent(bars=4)).faults


def test_an_instrument_that_never_plays_is_missing_and_one_that_hardly_plays_is_told() -> None:
    duo = together(score(whole(4)), score([(4, 4)], program=40))
    check = check_piece(duo, Intent(bars=4, instruments="piano,violin"))
    assert (check.faults, check.missing_programs, check.least_bar_rate) == ((), (), 0.25)
    trio = check_piece(duo, Intent(bars=4, instruments="piano,violin,cello"))
    assert (trio.faults, trio.missing_programs, trio.least_bar_rate) == (("missing instruments",), (42,), 0.0)
    assert trio.foreign_programs == ()
    assert check_piece(score(whole(4)), Intent(bars=4)).least_bar_rate == 1.0


def test_one_silent_bar_in_ten_is_allowed_and_a_held_note_is_not_silence() -> None:
    order = Intent(bars=10)
    assert check_piece(score([r for r in whole(10) if r[0] != 8]), order).faults == ()
    two = check_piece(score([r for r in whole(10) if r[0] not in (8, 20)]), order)
    assert two.n_silent_bars == 2
    assert two.faults == ("silence",)
    assert check_piece(score([(0, 40)]), order).n_silent_bars == 0


def test_a_piece_without_notes_is_all_faults_but_no_error() -> None:
    check = check_piece(score([(0, 1)][:0] or [(0, 1)]), Intent(bars=4))
    assert check.faults == ("bars", "silence")
    empty = from_notes(np.zeros(0, NOTE_DTYPE))
    assert {"bars", "silence"} <= set(check_piece(empty, Intent(bars=4)).faults)


def test_generations_are_counted_by_fault() -> None:
    class Clock:
        """Exactly what is asked for, but every fifth piece is a bar short."""

        def compose(self, intent: Intent, *, n_candidates: int, seed: int) -> Piece:
            assert n_candidates == 1
            return Piece(score(whole(intent.bars - (seed % 5 == 4))), 0.0)

    clock: Any = Clock()
    result = check_generations(clock, 20, intents=[Intent(bars=4), Intent(bars=12)], n_repeated=3)
    assert (result["n"], result["n_faultless"], result["n_repeated"], result["n_same_file"]) == (20, 16, 3, 3)
    assert result["faults"] == {"bars": 4, "silence": 2}
    assert [f["seed"] for f in result["failures"]] == [4, 9, 14, 19]
    assert result["instruments"] == {
        "n_without_foreign": 20,
        "n_all_play": 20,
        "n_ensembles": 0,
        "n_ensembles_all_play": 0,
        "least_bar_rate": None,
    }
    with pytest.raises(InputError, match="at least one"):
        check_generations(clock, 0)


def test_what_only_the_piano_plays_is_no_duo() -> None:
    class Soloist:
        """A piano alone for the first two of four pieces, a duo in which the violin plays half of the bars after."""

        def compose(self, intent: Intent, *, n_candidates: int, seed: int) -> Piece:
            parts = [score(whole(intent.bars)), score(whole(intent.bars // 2), program=40)]
            return Piece(together(*parts[: 1 + seed // 2]), 0.0)

    soloist: Any = Soloist()
    result = check_generations(soloist, 4, intents=[Intent(bars=4, instruments="piano,violin")], n_repeated=0)
    assert result["faults"] == {"missing instruments": 2}
    assert result["instruments"] == {
        "n_without_foreign": 4,
        "n_all_play": 2,
        "n_ensembles": 4,
        "n_ensembles_all_play": 2,
        "least_bar_rate": 0.25,
    }


def test_a_seed_that_does_not_repeat_is_noticed() -> None:
    musician: Any = Musician(forgetful=True)
    assert check_generations(musician, 3, intents=[Intent(emotion="Q1", bars=2)], n_repeated=3)["n_same_file"] == 0
    steady: Any = Musician()
    assert check_generations(steady, 3, intents=[Intent(emotion="Q1", bars=2)], n_repeated=3)["n_same_file"] == 3


def test_default_requests_cover_emotions_lengths_meters_and_instruments() -> None:
    requests = [intent for _, intent in zip(range(200), default_intents(), strict=False)]
    assert {r.time_signature for r in requests} == {"4/4", "3/4", "2/4"}
    assert {r.bars for r in requests} >= {1, 4, 8, 16, 32}
    assert len({r.instruments for r in requests}) >= 5
    assert len({str(r.emotion) for r in requests}) >= 8
