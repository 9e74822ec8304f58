"""Vocabulary, codec and grammar: round trips, and what holds by construction."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import symusic
from miditok import REMI

from muse.errors import InputError
from muse.grammar import Constraints, Grammar
from muse.score import bar_grid, note_array
from muse.tokens import SECTION_CONTROLS, SONG_CONTROLS, Codec, Controls, Header
from muse.tokens.plan import fold_shift
from muse.tokens.vocabulary import build_tokenizer

METERS = [(4, 4), (3, 4), (2, 4), (6, 8), (12, 8), (5, 4)]


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec.default()


def random_score(
    rng: np.random.Generator, meter: tuple[int, int] = (4, 4), n_bars: int = 4, programs: tuple[int, ...] = (0, 40)
) -> symusic.Score:
    """Notes on sixteenths and triplets, several tracks of one program among them."""
    tpq = 480
    bar = tpq * 4 * meter[0] // meter[1]
    score = symusic.Score(tpq)
    score.time_signatures.append(symusic.TimeSignature(0, *meter))
    score.tempos.append(symusic.Tempo(0, qpm=float(rng.uniform(50, 200))))
    for program in (*programs, programs[0]):
        track = symusic.Track(program=program % 128, is_drum=program == 128)
        grid = np.unique(np.concatenate([np.arange(0, n_bars * bar, 120), np.arange(0, n_bars * bar, 160)]))
        for onset in np.sort(rng.choice(grid, size=min(40, len(grid)), replace=False)):
            track.notes.append(
                symusic.Note(
                    int(onset), int(rng.integers(40, 2000)), int(rng.integers(30, 85)), int(rng.integers(1, 128))
                )
            )
        score.tracks.append(track)
    return score


def a_grammar(
    codec: Codec,
    n_bars: int = 8,
    meter: tuple[int, int] = (4, 4),
    programs: tuple[int, ...] = (0,),
    tempo_bpm: float = 97,
) -> Grammar:
    open_ = np.full(len(SECTION_CONTROLS), -1)
    sections = [codec.section_ids(kind, open_) for kind in codec.sections(n_bars)]
    return Grammar(codec.vocabulary, Constraints(n_bars, meter, tempo_bpm, programs, sections))


def babble(
    grammar: Grammar, rng: np.random.Generator, n_rows: int, weights: np.ndarray | None = None
) -> list[np.ndarray]:
    """Rows drawn from the masks alone."""
    grammar.begin(n_rows)
    rows: list[list[int]] = [[] for _ in range(n_rows)]
    while not grammar.finished().all():
        mask = grammar.mask()
        assert mask.any(axis=1).all()
        chance = mask * (weights if weights is not None else 1.0)
        ids = np.array([rng.choice(mask.shape[1], p=row / row.sum()) for row in chance])
        for row, token, done in zip(rows, ids, grammar.finished(), strict=True):
            if not done:
                row.append(int(token))
        grammar.advance(ids)
        assert max(len(row) for row in rows) <= grammar.max_tokens
    return [np.array(row, dtype=np.uint16) for row in rows]


def test_vocabulary_is_small_and_every_type_is_one_block(codec: Codec) -> None:
    v = codec.vocabulary
    assert len(v) < 1000
    types = [token.rpartition("_")[0] for token in v.tokens]
    changes = 1 + sum(a != b for a, b in itertools.pairwise(types))
    assert changes == len(set(types))
    assert v.pad == 0


def test_duration_and_tempo_values_match_the_tokens(codec: Codec) -> None:
    v = codec.vocabulary
    assert v.duration_steps[v["Duration_1.6.12"] - v.duration[0]] == 18
    assert v.duration_steps[v["Duration_2.1.6"] - v.duration[0]] == 26
    assert (np.diff(v.duration_steps) > 0).all()
    assert v.tempo_values[0] == 40 and v.tempo_values[-1] == 240


@pytest.mark.parametrize("meter", METERS)
@pytest.mark.parametrize("programs", [(0,), (0, 40, 128)])
def test_what_is_decoded_and_encoded_again_is_identical(
    codec: Codec, meter: tuple[int, int], programs: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(1)
    for _ in range(5):
        ids = codec.encode_score(random_score(rng, meter, programs=programs))
        again = codec.encode_score(codec.decode(ids))
        np.testing.assert_array_equal(again, ids)


def test_notes_on_the_grid_survive_the_round_trip_exactly(codec: Codec) -> None:
    rng = np.random.default_rng(2)
    score = random_score(rng, programs=(0,))
    decoded = codec.decode(codec.encode_score(score))
    wanted = {(round(n["onset_beat"] * 12), int(n["pitch"])) for n in note_array(score)}
    got = {(round(n["onset_beat"] * 12), int(n["pitch"])) for n in note_array(decoded)}
    assert got == wanted


def test_alla_breve_is_written_as_common_time(codec: Codec) -> None:
    ids = codec.encode_score(random_score(np.random.default_rng(3), (2, 2)))
    assert codec.vocabulary["TimeSig_4/4"] in ids


def test_meters_that_cannot_be_spelled_are_refused(codec: Codec) -> None:
    with pytest.raises(InputError, match="7/16 is not in the vocabulary"):
        codec.encode_score(random_score(np.random.default_rng(0), (7, 16)))
    score = random_score(np.random.default_rng(0))
    score.time_signatures.append(symusic.TimeSignature(1920, 3, 4))
    with pytest.raises(InputError, match="changes within"):
        codec.encode_score(score)
    with pytest.raises(InputError, match="no note"):
        codec.encode_score(symusic.Score(480))


def test_transposition_moves_pitches_and_leaves_drums(codec: Codec) -> None:
    rng = np.random.default_rng(4)
    ids = codec.encode_score(random_score(rng, programs=(0, 128)))
    back = codec.transpose(codec.transpose(ids, 5), -5)
    np.testing.assert_array_equal(back, ids)
    drums = codec.vocabulary.drum_pitch
    moved = codec.transpose(ids, 3)
    same = moved == ids
    assert same[(ids >= drums[0]) & (ids < drums[1])].all()
    pitched = codec.vocabulary.pitch_values[ids] >= 0
    assert (codec.vocabulary.pitch_values[moved][pitched] - codec.vocabulary.pitch_values[ids][pitched] == 3).all()


def test_fold_shift_keeps_the_pitch_class_and_the_distance_small() -> None:
    for tonic in range(12):
        shift = fold_shift(-tonic)
        assert (tonic + shift) % 12 == 0
        assert -5 <= shift <= 6


def test_controls_bucket_by_rank_and_leave_nan_open() -> None:
    rng = np.random.default_rng(0)
    song = rng.normal(size=(4000, len(SONG_CONTROLS)))
    controls = Controls.fit(song, rng.normal(size=(4000, len(SECTION_CONTROLS))))
    counts = np.bincount(controls.buckets(song, "song")[:, 3], minlength=8)
    assert counts.min() > 450
    open_ = controls.encode({"Mean Pitch": 9.0}, "song")
    assert open_[SONG_CONTROLS.index("Mean Pitch")] == 7
    assert (np.delete(open_, SONG_CONTROLS.index("Mean Pitch")) == -1).all()


def test_controls_come_back_from_json(tmp_path) -> None:
    rng = np.random.default_rng(0)
    controls = Controls.fit(rng.normal(size=(100, len(SONG_CONTROLS))), rng.normal(size=(100, len(SECTION_CONTROLS))))
    controls.save(tmp_path / "controls.json")
    np.testing.assert_allclose(Controls.load(tmp_path / "controls.json").song, controls.song, atol=1e-6)


def test_header_names_what_is_given_and_leaves_the_rest_open(codec: Codec) -> None:
    header = Header(genre=None, mode="minor", tonic=3, time_signature=(3, 4), programs=(0, 128))
    assert codec.vocabulary.spell(codec.header_ids(header)) == [
        "BOS_None", "NULL_None", "Mode_minor", "NULL_None", "TimeSig_3/4", "Program_0", "Program_-1",
    ]  # fmt: skip


@pytest.mark.parametrize("meter", METERS)
def test_anything_the_grammar_allows_is_music_as_asked(codec: Codec, meter: tuple[int, int]) -> None:
    rng = np.random.default_rng(5)
    v = codec.vocabulary
    # Leave bars often enough that outputs stay short.
    weights = np.ones(len(v))
    weights[[v.bar, v.eos, *range(*v.section)]] = 30
    programs = (0, 48, 128)
    grammar = a_grammar(codec, n_bars=10, meter=meter, programs=programs)
    for ids in babble(grammar, rng, 4, weights):
        music = ids[(ids >= v.n_control)]
        score = codec.decode(ids)
        np.testing.assert_array_equal(codec.encode_score(score, 10), music)
        assert int((ids == v.bar).sum()) == 10 and ids[-1] == v.eos
        notes = note_array(score)
        bar = 4 * meter[0] / meter[1]
        assert (notes["onset_beat"] + notes["duration_beat"]).max() <= 10 * bar + 1e-9
        assert set(notes["program"].tolist()) <= set(programs)
        sounding = np.unique((notes["onset_beat"] / bar).astype(int))
        assert len(sounding) >= 9 and {0, 9} <= set(sounding.tolist())
        assert bar_grid(score).numerator[0] == meter[0]


def test_no_key_is_struck_again_at_once(codec: Codec) -> None:
    rng = np.random.default_rng(6)
    v = codec.vocabulary
    weights = np.ones(len(v))
    weights[v["Pitch_60"]] = 500
    weights[[v.bar, v.eos, *range(*v.section)]] = 10
    (ids,) = babble(a_grammar(codec), rng, 1, weights)
    notes = note_array(codec.decode(ids))
    onsets = notes["onset_beat"][notes["pitch"] == 60]
    assert len(onsets) > 10
    assert np.diff(onsets).min() >= 1 / 6 - 1e-9


def test_real_sequences_pass_the_grammar(codec: Codec) -> None:
    """What the codec writes is what the grammar allows, token by token."""
    rng = np.random.default_rng(7)
    for _ in range(5):
        score = random_score(rng, n_bars=8)
        ids = codec.encode_score(score)
        n_bars = int((ids == codec.vocabulary.bar).sum())
        ids = codec.encode_score(codec.decode(ids))
        tempo_bpm = float(codec.vocabulary.tempo_values[int(ids[3]) - codec.vocabulary.tempo[0]])
        grammar = a_grammar(codec, n_bars=n_bars, programs=(0, 40), tempo_bpm=tempo_bpm)
        grammar.begin(1)
        struck: dict[int, int] = {}
        for token in [*ids.tolist()]:
            while True:
                (allowed,) = grammar.mask()
                if allowed[token]:
                    break
                forced = np.flatnonzero(allowed)
                name = codec.vocabulary.tokens[token]
                if name.startswith("Pitch_"):
                    struck[token] = struck.get(token, 0) + 1
                    break  # struck again at once: the one thing real music does and the grammar forbids
                section = [i for i in forced if codec.vocabulary.tokens[i].startswith("Section")]
                step = section[0] if section else forced[0]
                assert section or len(forced) == 1, (name, codec.vocabulary.spell(forced[:10]))
                grammar.advance(np.array([step]))
            grammar.advance(np.array([token]))


def test_grammar_refuses_what_it_cannot_plan(codec: Codec) -> None:
    with pytest.raises(InputError, match="8 bars need 2 sections"):
        Grammar(codec.vocabulary, Constraints(8, (4, 4), 100, (0,), [[1]]))
    with pytest.raises(InputError, match="7/16"):
        a_grammar(codec, meter=(7, 16))


def test_unconditional_rows_see_null_instead_of_attributes(codec: Codec) -> None:
    grammar = a_grammar(codec)
    v = codec.vocabulary
    ids = np.array([v.bucket_id("Mean Pitch", 5), v["Section_start"], v["Mode_major"], v.bar])
    np.testing.assert_array_equal(grammar.unconditional(ids), [v.null, *ids[1:]])


# -------------------------------------------------------------------------------------------------- MidiTok as oracle


@pytest.fixture(scope="module")
def miditok() -> REMI:
    return build_tokenizer()


def test_the_vocabulary_is_miditoks(codec: Codec, miditok: REMI) -> None:
    by_id = sorted(miditok.vocab.items(), key=lambda item: item[1])
    assert [token for token, _ in by_id] == list(codec.vocabulary.tokens)


@pytest.mark.parametrize("seed", range(8))
def test_scores_are_spelt_as_miditok_spells_them(codec: Codec, miditok: REMI, seed: int) -> None:
    """Notes of any length and velocity on twelfths of a beat, with empty bars between."""
    rng = np.random.default_rng(seed)
    meter = METERS[seed % len(METERS)]
    score = symusic.Score(3 * meter[1])
    score.time_signatures.append(symusic.TimeSignature(0, *meter))
    score.tempos.append(symusic.Tempo(0, qpm=float(rng.uniform(30, 260))))
    for program in (0, 40, 128):
        track = symusic.Track(program=program % 128, is_drum=program == 128)
        for onset in np.sort(rng.choice(12 * meter[0] * 9, 60, replace=False)):
            for pitch in np.sort(rng.choice(np.arange(30, 85), int(rng.integers(1, 4)), replace=False)):
                track.notes.append(
                    symusic.Note(int(onset), int(rng.integers(1, 260)), int(pitch), int(rng.integers(1, 128)))
                )
        score.tracks.append(track)
    ids = codec.encode_score(score)
    theirs = miditok.encode(score).ids
    assert ids[: len(theirs)].tolist() == theirs
    assert set(codec.vocabulary.spell(ids[len(theirs) :])) <= {"Bar_None", "TimeSig_{}/{}".format(*meter)}


@pytest.mark.parametrize("seed", range(8))
def test_any_ids_are_read_as_miditok_reads_them(codec: Codec, miditok: REMI, seed: int) -> None:
    """Encoded scores in every meter, then with ids struck out, put in and changed at random."""
    rng = np.random.default_rng(seed)
    v = codec.vocabulary
    score = random_score(rng, METERS[seed % len(METERS)], programs=(0, 40, 128))
    ids = codec.encode_score(score).astype(np.int64)
    for share in (0.0, 0.02, 0.3):
        kept = ids[rng.random(len(ids)) >= share]
        changed = np.where(rng.random(len(kept)) < share, rng.integers(v.n_control, len(v), len(kept)), kept)
        ours, theirs = codec.decode(changed), miditok.decode(changed.tolist())
        assert ours.ticks_per_quarter == theirs.ticks_per_quarter
        assert list(ours.tempos) == list(theirs.tempos)
        assert list(ours.time_signatures) == list(theirs.time_signatures)
        found = [[(t.program, t.is_drum), list(t.notes)] for t in ours.tracks]
        assert found == [[(t.program, t.is_drum), list(t.notes)] for t in theirs.tracks]
