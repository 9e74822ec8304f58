"""Motifs: the piece opens with them note for note, and they come back developed."""

from __future__ import annotations

import numpy as np
import pytest

from muse.composer import Composer
from muse.composer.motif import Motif, Statement, develop, find_statement
from muse.errors import InputError
from muse.grammar import Constraints, Grammar, TuneNote
from muse.intent import Intent
from muse.score import NOTE_DTYPE, Score, from_notes, note_array
from muse.tokens import Codec


def score(pitch: list[int], beats: list[float], *, start: float = 0.0, tempo: float = 100, program: int = 73) -> Score:
    notes = np.zeros(len(pitch), NOTE_DTYPE)
    notes["onset_beat"] = start + np.cumsum([0, *beats[:-1]])
    notes["duration_beat"], notes["pitch"], notes["velocity"], notes["program"] = beats, pitch, 80, program
    return from_notes(notes, tempo_bpm=tempo)


JOHN = score([60, 62, 64, 60, 60, 62, 64, 60, 64, 65, 67], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2])
TUNES = {
    "plain": JOHN,
    "fast": score([67, 69, 71, 72, 74, 76, 77, 79, 79, 79], [0.25] * 8 + [0.5, 1.5]),
    "triplets": score([64, 62, 60, 62, 64, 64, 64], [1 / 3, 1 / 3, 1 / 3, 1, 1, 0.5, 0.5]),
    "repeated": score([72] * 6 + [65], [1 / 6] * 6 + [1]),
    "chromatic": score([61, 62, 63, 64, 66, 70, 61], [0.5] * 6 + [3]),
    "upbeat and gaps": score([57, 62, 65, 64, 57], [1, 2.5, 0.5, 4, 4], start=3),
    "wide": score([43, 88, 43, 88], [2, 2, 2, 2]),
}


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer.from_pretrained(selector=None)


def standing(piece_score: Score, statement: Statement, meter: tuple[int, int] = (4, 4)) -> bool:
    found = find_statement(piece_score, statement, bar_steps=12 * meter[0], denominator=meter[1])
    return found == len(statement.motif.step)


@pytest.mark.parametrize("name", TUNES)
def test_every_candidate_opens_with_the_motif_note_for_note(name: str, composer: Composer) -> None:
    motif = TUNES[name]
    piece = composer.compose(Intent(emotion="happy", motif=motif, bars=8), n_candidates=3, seed=1)
    opening = piece.brief.statements[0]
    own = note_array(motif)
    np.testing.assert_array_equal(opening.motif.pitch, own["pitch"])
    np.testing.assert_allclose(opening.motif.step / 12, own["onset_beat"] - own["onset_beat"][0], atol=0.05)
    for candidate in piece.candidates:
        for statement in piece.brief.statements:
            assert standing(candidate.score, statement), statement.how
        # While a note of it sounds, no other note of its instrument is as high.
        notes = note_array(candidate.score)
        for step, length, pitch in zip(opening.motif.step, opening.motif.length, opening.motif.pitch, strict=True):
            inside = (notes["onset_beat"] * 12 >= step - 0.01) & (notes["onset_beat"] * 12 < step + length - 0.01)
            assert notes["pitch"][inside].max() == pitch
        assert len(notes) > sum(len(one.motif.step) for one in piece.brief.statements)  # there is something around it


def test_lengths_are_kept_where_the_tokens_have_them(composer: Composer) -> None:
    piece = composer.compose(Intent(motif=JOHN, bars=8, instruments="flute"), n_candidates=1, seed=3)
    notes = note_array(piece.best.score)
    top = {round(n["onset_beat"] * 12): round(n["duration_beat"] * 12) for n in notes[np.argsort(notes["pitch"])]}
    opening = piece.brief.statements[0].motif
    assert [top[step] for step in opening.step.tolist()] == opening.length.tolist()


def test_the_motif_comes_back_and_the_report_says_where(composer: Composer) -> None:
    piece = composer.compose(Intent(emotion="calm", motif=JOHN, bars=24), n_candidates=1, seed=5)
    bars = [one.bar for one in piece.brief.statements]
    assert bars[0] == 0 and np.diff([*bars, 24]).max() <= 8 and all(bar % 4 == 0 for bar in bars)
    assert "motif: opening in bar 1" in piece.report()
    assert piece.to_json()["motif"][0] == {"bar": 1, "how": "opening"}
    again = composer.compose(Intent(emotion="calm", motif=JOHN, bars=24), n_candidates=1, seed=5)
    assert again.best.score.dumps_midi() == piece.best.score.dumps_midi()


def test_key_and_tempo_are_the_motifs_unless_asked_for(composer: Composer) -> None:
    own = composer.compose(Intent(motif=JOHN, bars=8), n_candidates=1, seed=0)
    assert own.brief.key_name == "C major" and own.brief.tempo_bpm == pytest.approx(100)
    moved = composer.compose(Intent(motif=JOHN, bars=8, key="Eb", tempo_bpm=70), n_candidates=1, seed=0)
    assert moved.brief.key_name == "Eb major" and moved.brief.tempo_bpm == 70
    np.testing.assert_array_equal(moved.brief.statements[0].motif.pitch, note_array(JOHN)["pitch"] + 3)
    assert standing(moved.best.score, moved.brief.statements[0])


def test_other_meters_and_instruments(composer: Composer) -> None:
    waltz = score([67, 64, 65, 67, 72], [1, 1, 1, 2, 1])
    piece = composer.compose(
        Intent(motif=waltz, bars=8, time_signature="3/4", instruments="drums, violin, piano"), n_candidates=2, seed=0
    )
    for candidate in piece.candidates:
        violin = note_array(candidate.score)
        violin = violin[violin["program"] == 40]
        there = set(zip(np.rint(violin["onset_beat"] * 12).astype(int).tolist(), violin["pitch"].tolist(), strict=True))
        opening = piece.brief.statements[0].motif
        assert set(zip(opening.step.tolist(), opening.pitch.tolist(), strict=True)) <= there
    jig = score([67, 64, 65, 67, 72, 71], [0.5, 0.5, 0.5, 1, 0.5, 1.5])
    piece = composer.compose(Intent(motif=jig, bars=8, time_signature="6/8"), n_candidates=1, seed=0)
    assert standing(piece.best.score, piece.brief.statements[0], (6, 8))


def test_what_cannot_be_done_is_said(composer: Composer) -> None:
    long = score([60, 62] * 20, [1.0] * 40)
    with pytest.raises(InputError, match="the motif needs 11 bars and the piece has 8"):
        composer.compose(Intent(motif=long, bars=8), n_candidates=1, seed=0)
    with pytest.raises(InputError, match="beside the drums"):
        composer.compose(Intent(motif=JOHN, bars=8, instruments="drums"), n_candidates=1, seed=0)
    with pytest.raises(InputError, match="no pitched note"):
        Motif.of(score([38, 40], [1, 1], program=128))


# ---------------------------------------------------------------------------------------------------------- development


def test_of_chords_the_highest_is_the_tune() -> None:
    notes = np.zeros(4, NOTE_DTYPE)
    notes["onset_beat"], notes["duration_beat"], notes["pitch"] = [0, 0, 1, 2], [4, 1, 2, 1], [48, 64, 65, 67]
    motif = Motif.of(from_notes(notes))
    assert motif.pitch.tolist() == [64, 65, 67] and motif.step.tolist() == [0, 12, 24]
    assert motif.length.tolist() == [12, 12, 12]  # a note ends where the next begins


def test_ways_of_development() -> None:
    motif = Motif(np.array([0, 12, 24, 36]), np.array([12, 12, 12, 12]), np.array([60, 64, 67, 65]))
    ways: dict[str, Motif] = {}
    for seed in range(60):
        for one in develop(motif, n_bars=17, bar_steps=48, tonic=0, mode="major", rng=np.random.default_rng(seed)):
            ways.setdefault(one.how, one.motif)
    assert set(ways) == {"opening", "restatement", "sequence", "inversion", "augmentation", "diminution"}
    assert ways["inversion"].pitch.tolist() == [60, 57, 53, 55]
    assert ways["augmentation"].step.tolist() == [0, 24, 48, 72]
    assert ways["diminution"].length.tolist() == [6, 6, 6, 6]
    moved = ways["sequence"].pitch
    assert set((moved % 12).tolist()) <= {0, 2, 4, 5, 7, 9, 11} and len(set((moved - motif.pitch).tolist())) > 1


@pytest.mark.parametrize("seed", range(20))
def test_statements_never_overlap_and_end_before_the_ending(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 20))
    step = np.cumsum(rng.choice([3, 6, 12, 24], n)) - 3
    motif = Motif(step - step[0], np.full(n, 3), rng.integers(55, 80, n))
    n_bars = int(rng.integers(motif.n_steps // 48 + 2, 40))
    found = develop(motif, n_bars=n_bars, bar_steps=48, tonic=int(rng.integers(12)), mode="minor", rng=rng)
    end = 0
    for one in found:
        assert one.bar * 48 >= end
        end = one.bar * 48 + one.motif.n_steps
    assert end <= n_bars * 48 - 24


def test_the_grammar_refuses_tunes_out_of_reach() -> None:
    with pytest.raises(InputError, match="range"):
        Grammar(
            Codec.default().vocabulary,
            Constraints(4, (4, 4), 100, (0,), [[1]], tune=[TuneNote(0, 0, 2, 12)], tune_program=0),
        )
