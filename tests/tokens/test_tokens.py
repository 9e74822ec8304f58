"""Vocabulary, codec and controls: round trips, and MidiTok as oracle."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import symusic
from miditok import REMI, TokenizerConfig

from muse.errors import InputError
from muse.score import note_array
from muse.tokens import SECTION_CONTROLS, SONG_CONTROLS, Codec, Controls
from muse.tokens.plan import fold_shift
from muse.tokens.vocabulary import PAD, REMI_RANGES

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


def test_every_type_is_one_block(codec: Codec) -> None:
    v = codec.vocabulary
    types = [token.rpartition("_")[0] for token in v.tokens]
    changes = 1 + sum(a != b for a, b in itertools.pairwise(types))
    assert changes == len(set(types))
    assert v.bar == 1  # id 0 pads


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


# -------------------------------------------------------------------------------------------------- MidiTok as oracle


@pytest.fixture(scope="module")
def miditok() -> REMI:
    """Its REMI, which writes and reads what the codec does."""
    return REMI(
        TokenizerConfig(
            special_tokens=[PAD],
            encode_ids_split="no",
            log_tempos=True,
            one_token_stream_for_programs=True,
            program_changes=True,
            use_note_duration_programs=[*range(128), -1],
            use_pitchdrum_tokens=True,
            use_programs=True,
            use_tempos=True,
            use_time_signatures=True,
            **REMI_RANGES,
        )
    )


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
    rest = {codec.vocabulary.tokens[i] for i in ids[len(theirs) :]}
    assert rest <= {"Bar_None", "TimeSig_{}/{}".format(*meter)}


@pytest.mark.parametrize("seed", range(8))
def test_any_ids_are_read_as_miditok_reads_them(codec: Codec, miditok: REMI, seed: int) -> None:
    """Encoded scores in every meter, then with ids struck out, put in and changed at random."""
    rng = np.random.default_rng(seed)
    v = codec.vocabulary
    score = random_score(rng, METERS[seed % len(METERS)], programs=(0, 40, 128))
    ids = codec.encode_score(score).astype(np.int64)
    for share in (0.0, 0.02, 0.3):
        kept = ids[rng.random(len(ids)) >= share]
        changed = np.where(rng.random(len(kept)) < share, rng.integers(v.bar, len(v), len(kept)), kept)
        ours, theirs = codec.decode(changed), miditok.decode(changed.tolist())
        assert ours.ticks_per_quarter == theirs.ticks_per_quarter
        assert list(ours.tempos) == list(theirs.tempos)
        assert list(ours.time_signatures) == list(theirs.time_signatures)
        found = [[(t.program, t.is_drum), list(t.notes)] for t in ours.tracks]
        assert found == [[(t.program, t.is_drum), list(t.notes)] for t in theirs.tracks]
