"""Planted copies are found with exact length and place, whatever hides them; nothing is found that is not there.

Datasets are written as shards directly, so every note of the "corpus" is known.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from muse.dataset.read import COLUMNS, SCHEMA_VERSION, Corpus, write_shard
from muse.errors import InputError
from muse.evaluate.metrics.originality import LINES, Copy, CopyIndex, copies
from muse.evaluate.metrics.suffix_array import sort_suffixes
from muse.files import read_json, write_json
from muse.score import DRUMS, NOTE_DTYPE, Score, from_notes, note_array
from muse.selector.events import passage
from muse.tokens import Codec

WALK = [0, 2, 4, 7, 5, 9, 4, 2, 11, 7, 12, 5, 4, 2, 0, 4, 7, 9, 12, 11, 7, 5, 9, 2]
"""A tune of 24 notes; no two of its runs of four notes are alike."""


def notes(
    pitches: Sequence[int],
    *,
    base: int = 60,
    start: float = 0.0,
    step: float = 1.0,
    length: float = 1.0,
    program: int = 0,
    velocity: int = 80,
) -> np.ndarray:
    """Notes one after another, `step` quarter notes apart."""
    rows = np.zeros(len(pitches), NOTE_DTYPE)
    rows["onset_beat"] = start + step * np.arange(len(pitches))
    rows["duration_beat"], rows["pitch"] = length, base + np.array(pitches, int)
    rows["program"], rows["velocity"], rows["track"] = program, velocity, program
    return rows  # fmt: skip


def score(*parts: np.ndarray, **options: Any) -> Score:
    return from_notes(np.concatenate([np.zeros(0, NOTE_DTYPE), *parts]), **options)


def dataset(folder: Path, windows: Sequence[dict[str, Any]]) -> Corpus:
    """A dataset of these windows: each has ``score`` and, where they matter, other columns."""
    filler = {"string": "", "bool": True, "float32": 0.0}
    rows = []
    for number, window in enumerate(windows):
        row: dict[str, Any] = {
            name: filler.get(kind, [] if kind.startswith("list") else 0) for name, (kind, _) in COLUMNS.items()
        }
        row |= {"corpus": "alpha", "song": f"song{number}", "split": "train"}
        row |= {name: value for name, value in window.items() if name != "score"}
        row["tokens"] = Codec.default().encode_score(window["score"])
        rows.append(row)
    folder.mkdir(parents=True, exist_ok=True)
    write_shard(rows, folder / "0.parquet")
    digest = hashlib.sha256((folder / "0.parquet").read_bytes()).hexdigest()
    about = {"format": "muse corpus", "schema": SCHEMA_VERSION, "digest": digest, "shards": ["0.parquet"]}
    (folder / "dataset.json").write_text(json.dumps({**about, "n_windows": len(rows)}))
    return Corpus(folder)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The tune with an accompaniment in bars 8 to 13 of its song, beside other music."""
    rng = np.random.default_rng(0)
    chords = notes([-12, -5, -8] * 8, length=0.9)
    random = [notes(rng.integers(-9, 9, 40), step=0.75) for _ in range(3)]
    windows: list[dict[str, Any]] = [
        {"score": score(random[0])},
        {"score": score(random[1], notes(rng.integers(-9, 9, 40), step=0.75, program=40))},
        {"score": score(notes(WALK), notes(chords["pitch"] - 60, program=32)), "song": "tune", "first_bar": 8},
        {"score": score(random[2]), "corpus": "beta"},
    ]
    return dataset(tmp_path_factory.mktemp("corpus"), windows)


@pytest.fixture(scope="module")
def index(corpus: Corpus) -> CopyIndex:
    return CopyIndex.build(corpus)


# ------------------------------------------------------------------------------------------------------ planted copies


@pytest.mark.parametrize(
    ("change", "options"),
    [
        ({}, {}),
        ({"base": 53}, {}),
        ({"velocity": 30}, {}),
        ({"length": 0.3}, {}),
        ({"program": 73}, {}),
        ({}, {"tempo_bpm": 71}),
        ({}, {"ticks_per_beat": 96}),
        ({"start": 5.0}, {}),
        ({}, {"time_signature": (3, 4)}),
    ],
)
def test_a_copied_tune_is_found_whole(index: CopyIndex, change: dict[str, Any], options: dict[str, Any]) -> None:
    for line in LINES:
        copy = index.longest(score(notes(WALK, **change), **options), line)
        assert copy == Copy(
            n_notes=24,
            start_beat=change.get("start", 0.0),
            beats=23.0,
            bars=23 / options.get("time_signature", (4, 4))[0],
            program=change.get("program", 0),
            corpus="alpha",
            song="tune",
            bar=8,
            n_songs=1,
        )


def test_a_passage_is_found_where_it_stands(index: CopyIndex) -> None:
    """Notes 6..16 of the tune begin in the second bar of a window that begins in bar 8; around them is other music."""
    around = {"step": 1.25, "length": 0.5}
    piece = score(
        notes([3, 8, 1], **around), notes(WALK[6:17], start=4, base=57), notes([1, 0, 6, 3], start=15.25, **around)
    )
    copy = index.longest(piece)
    assert (copy.n_notes, copy.start_beat, copy.beats, copy.bars) == (11, 4.0, 10.0, 2.5)
    assert (copy.corpus, copy.song, copy.bar, copy.n_songs) == ("alpha", "tune", 9, 1)


def test_another_accompaniment_hides_nothing(index: CopyIndex, rng: np.random.Generator) -> None:
    under = rng.integers(-24, -13, 95)
    elsewhere = score(notes(WALK), notes(under, step=0.25, length=0.25, program=32))
    assert index.longest(elsewhere).n_notes == index.longest(elsewhere, "top").n_notes == 24
    one_player = score(notes(WALK), notes(under, step=0.25, length=0.25))
    assert index.longest(one_player).n_notes < 12
    top = index.longest(one_player, "top")
    assert (top.n_notes, top.song) == (24, "tune")
    legato = score(notes(WALK, length=1.4), notes(under, step=0.25, length=0.25))
    assert index.longest(legato, "top").n_notes == 24
    chords = score(notes(WALK), *(notes(rng.integers(-24, -13, 24), base=60) for _ in range(3)))
    assert index.longest(chords, "top").n_notes == 24


def test_drums_neither_are_copies_nor_hide_them(tmp_path: Path) -> None:
    beat = notes([-24, -18] * 12, program=DRUMS)
    index = CopyIndex.build(dataset(tmp_path, [{"score": score(notes(WALK), beat)}]))
    assert index.longest(score(beat)) == Copy()
    assert np.isnan(index.share(score(beat)))
    # The beat's notes as a piano's are the tune's neighbors nowhere.
    assert index.longest(score(notes([-24, -18] * 12))).n_notes == 0
    assert index.longest(score(notes(WALK), notes([-12] * 50, step=0.5, program=DRUMS))).n_notes == 24


@pytest.mark.parametrize("at", [1, 9, 22])
def test_another_note_or_rhythm_breaks_the_run(index: CopyIndex, at: int) -> None:
    other_pitch, later, missing = notes(WALK), notes(WALK), np.delete(notes(WALK), at)
    other_pitch["pitch"][at] += 1
    later["onset_beat"][at] += 0.25
    for piece in (other_pitch, later, missing):
        assert index.longest(score(piece)).n_notes == max(at, 23 - at)
    held = notes(WALK)
    held["onset_beat"][at:] += 0.5  # both parts are whole, with a rest between them
    assert index.longest(score(held)).n_notes == max(at, 24 - at)


def test_notes_near_the_grid_are_on_it(index: CopyIndex, rng: np.random.Generator) -> None:
    """A twelfth of a beat is the grid; 0.04 is less than half of one."""
    rough = notes(WALK, start=1.0)
    rough["onset_beat"] += rng.uniform(-0.04, 0.04, len(rough))
    assert index.longest(score(rough)).n_notes == 24


def test_eighth_meters_have_a_grid_twice_as_fine(tmp_path: Path) -> None:
    """Sixteenth triplets lie on twelfths of an eighth, not on twelfths of a quarter."""
    rhythm = np.cumsum([0, *[1 / 24, 5 / 24, 1 / 4] * 7])
    rows = notes(WALK[:22], length=0.25)
    rows["onset_beat"] = rhythm
    index = CopyIndex.build(dataset(tmp_path, [{"score": score(rows, time_signature=(6, 8)), "first_bar": 3}]))
    copy = index.longest(score(rows, time_signature=(6, 8)))
    assert (copy.n_notes, copy.bar) == (22, 3)
    assert copy.bars == pytest.approx(rhythm[-1] / 3)
    assert index.longest(score(rows, time_signature=(3, 4))).n_notes < 22
    late = index.longest(score(rows[14:], time_signature=(6, 8)))
    assert (late.n_notes, late.bar) == (8, 3 + int(rhythm[14] // 3))


def test_runs_end_with_windows_songs_and_voices(tmp_path: Path) -> None:
    parts = WALK[:10], WALK[10:]
    whole = score(notes(WALK))

    def longest(windows: list[dict[str, Any]], name: str) -> int:
        return CopyIndex.build(dataset(tmp_path / name, windows)).longest(whole).n_notes

    in_parts = [{"score": score(notes(part)), "song": "one", "first_bar": 4 * i} for i, part in enumerate(parts)]
    assert longest([{"score": whole}], "whole") == 24
    assert longest(in_parts, "windows") == 14
    assert longest([{**window, "song": f"{i}"} for i, window in enumerate(in_parts)], "songs") == 14
    two_players = score(notes(parts[0]), notes(parts[1], start=10, program=40))
    assert longest([{"score": two_players}], "voices") == 14


def test_only_the_split_and_real_bars_are_read(tmp_path: Path, rng: np.random.Generator) -> None:
    other = notes([3, 8, 1, 6] * 4, step=0.75)
    windows = [
        {"score": score(notes(WALK)), "split": "val"},
        {"score": score(notes(WALK)), "on_grid": False},
        {"score": score(other)},
    ]
    corpus = dataset(tmp_path, windows)
    assert CopyIndex.build(corpus).longest(score(notes(WALK))).n_notes == 0
    assert CopyIndex.build(corpus, "val").longest(score(notes(WALK))).n_notes == 24
    with pytest.raises(InputError, match="no test window"):
        CopyIndex.build(corpus, "test")


def test_a_figure_that_everybody_has_is_told_from_a_copy(tmp_path: Path) -> None:
    windows = [{"score": score(notes([0] * n, step=0.5, length=0.5)), "song": f"{n % 3}"} for n in (8, 20, 30, 12)]
    index = CopyIndex.build(dataset(tmp_path, windows))
    repeated = index.longest(score(notes([7] * 12, step=0.5)))
    assert (repeated.n_notes, repeated.n_songs, repeated.song) == (12, 2, "2")  # of 20 notes; of 30 and 12: "0"
    assert index.longest(score(notes([7] * 64, step=0.5))).n_notes == 30


def test_nothing_to_copy_is_no_error(index: CopyIndex) -> None:
    for piece in (score(), score(notes([0])), score(notes([0, 40, 1, 39], step=1.75))):
        for line in LINES:
            assert index.longest(piece, line) == Copy()
    assert np.isnan(index.share(score()))
    assert index.share(score(notes([0, 40, 1, 39], step=1.75)), n=2) == 0
    with pytest.raises(InputError, match="at least 2"):
        index.share(score(), n=1)


def test_a_corpus_of_drums_alone_has_no_runs(tmp_path: Path) -> None:
    index = CopyIndex.build(dataset(tmp_path, [{"score": score(notes([-24] * 16, program=DRUMS))}]))
    assert index.longest(score(notes(WALK))) == Copy()
    index.save(tmp_path / "index")
    assert CopyIndex.load(tmp_path / "index").longest(score(notes(WALK))) == Copy()


def test_share_counts_runs(index: CopyIndex) -> None:
    """Of 24 notes, 10 and then 14 are the tune's: of 18 runs of seven notes the 5 around the break are not."""
    broken = notes(WALK)
    broken["onset_beat"][10:] += 0.5
    assert index.share(score(broken), n=7) == pytest.approx((4 + 8) / 18)
    assert index.share(score(broken), n=24) == 0
    assert index.share(score(notes(WALK)), n=24) == 1
    assert np.isnan(index.share(score(notes(WALK)), n=25))


def test_windows_and_their_scores_give_the_same(corpus: Corpus, index: CopyIndex) -> None:
    for ids in corpus.column("tokens"):
        window, decoded = passage(ids), Codec.default().decode(ids)
        for line in LINES:
            copy = index.longest(window, line)
            assert copy == index.longest(decoded, line)
            # No run is longer than a voice, and each voice stands in the corpus whole.
            assert index.share(window, 2, line) == 1
    assert copy.n_notes == 40


# ------------------------------------------------------------------------------------------------------------- oracles


def lines_of(piece: Score, line: str) -> list[list[tuple[int, int]]]:
    """(time in 24ths, pitch) of each voice, by the definitions, note by note."""
    voices: dict[int, dict[tuple[int, int], int]] = {}
    for note in note_array(piece):
        if note["program"] != DRUMS:
            times = round(note["onset_beat"] * 24), round((note["onset_beat"] + note["duration_beat"]) * 24)
            voice = voices.setdefault(int(note["program"]), {})
            name = (times[0], int(note["pitch"]))
            voice[name] = max(voice.get(name, 0), times[1])
    found = []
    for voice in voices.values():
        kept = sorted(voice)
        if line == "top":

            def hides(t: int, p: int, other: tuple[int, int], voice: dict[tuple[int, int], int] = voice) -> bool:
                s, q = other
                return q > p and (s == t or (s < t and 2 * (voice[other] - t) >= voice[t, p] - t))

            kept = [(t, p) for t, p in kept if not any(hides(t, p, other) for other in voice)]
        found.append(kept)
    return found


def steps_of(voice: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(voice)]


def grams(pieces: Sequence[Score], line: str, n_steps: int) -> list[tuple[tuple[int, int], ...]]:
    rows = [steps_of(voice) for piece in pieces for voice in lines_of(piece, line)]
    return [tuple(row[i : i + n_steps]) for row in rows for i in range(len(row) - n_steps + 1)]


def random_piece(rng: np.random.Generator) -> Score:
    """Few steps and a few voices, so that many runs occur by chance; some stretches repeat."""
    parts = []
    for program in rng.choice([0, 0, 32, 40, DRUMS], rng.integers(1, 4)):
        n = int(rng.integers(1, 40))
        pitches = rng.choice([0, 2, 3], n)
        pitches[n // 2 :] = pitches[: n - n // 2]
        part = notes(pitches, program=int(program), base=int(rng.integers(50, 60)))
        part["onset_beat"] = np.cumsum(rng.choice([0, 0.25, 0.25, 1 / 3, 0.5], n, p=[0.1, 0.4, 0.2, 0.1, 0.2])).round(6)
        part["onset_beat"] = np.rint(part["onset_beat"] * 12) / 12
        part["duration_beat"] = rng.choice([0.25, 0.5, 1.0], n)
        parts.append(part)
    return score(*parts, ticks_per_beat=480)


@pytest.mark.parametrize("seed", range(10))
def test_the_index_agrees_with_brute_force(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    # What the corpus holds is what its tokens say.
    codec = Codec.default()
    known = [codec.decode(codec.encode_score(random_piece(rng))) for _ in range(rng.integers(1, 12))]
    songs = [f"{rng.integers(5)}" for _ in known]
    index = CopyIndex.build(dataset(tmp_path, [{"score": s, "song": n} for s, n in zip(known, songs, strict=True)]))
    for _ in range(4):
        piece = random_piece(rng)
        for line in LINES:
            mine = {n: grams([piece], line, n - 1) for n in (2, 3, 7)}
            for n, runs in mine.items():
                theirs = set(grams(known, line, n - 1))
                expected = np.mean([run in theirs for run in runs]) if runs else np.nan
                np.testing.assert_equal(index.share(piece, n, line), expected)
            n = 1
            while shared := set(grams([piece], line, n)) & set(grams(known, line, n)):
                n, longest = n + 1, shared
            copy = index.longest(piece, line)
            assert copy.n_notes == (n if n > 1 else 0)
            if copy.n_notes:
                has = [set(grams([each], line, n - 1)) for each in known]
                holders = [{song for song, runs in zip(songs, has, strict=True) if run in runs} for run in longest]
                assert any(copy.song in found and copy.n_songs == len(found) for found in holders)


def test_suffixes_are_sorted(rng: np.random.Generator) -> None:
    for n, n_symbols in [(1, 1), (50, 2), (400, 3), (400, 60)]:
        symbols = rng.integers(0, n_symbols, n).astype(np.int32)
        symbols[n // 3 : 2 * n // 3] = 1
        symbols[-1] = 0
        # No two ends are alike: give each a symbol of its own, below all others.
        ends = np.flatnonzero(symbols == 0)
        told = symbols.astype(int)
        told[ends] = np.arange(-len(ends), 0)
        expected = sorted(range(n), key=lambda i: told[i:].tolist())
        assert sort_suffixes(symbols).tolist() == expected


# --------------------------------------------------------------------------------------------------------------- cache


def test_an_index_is_the_same_after_a_round_trip(index: CopyIndex, corpus: Corpus, tmp_path: Path) -> None:
    index.save(tmp_path)
    again = CopyIndex.load(tmp_path, corpus)
    assert (again.dataset, again.split, again.songs) == (index.dataset, index.split, index.songs)
    piece = score(notes(WALK[3:], base=50))
    for line in LINES:
        assert again.longest(piece, line) == index.longest(piece, line)
        for name, array in vars(index.lines[line]).items():
            np.testing.assert_array_equal(getattr(again.lines[line], name), array)


def test_a_stale_index_is_never_used(tmp_path: Path) -> None:
    corpus = dataset(tmp_path / "data", [{"score": score(notes(WALK))}])
    index = CopyIndex.cached(corpus)
    assert index.longest(score(notes(WALK))).n_notes == 24
    folder = corpus.folder / "copies-train"
    written = (folder / "model.safetensors").stat().st_mtime_ns
    CopyIndex.cached(corpus)
    assert (folder / "model.safetensors").stat().st_mtime_ns == written

    corpus = dataset(tmp_path / "data", [{"score": score(notes(WALK[:9]))}])
    with pytest.raises(InputError, match="stale"):
        CopyIndex.load(folder, corpus)
    with pytest.raises(InputError, match="stale: it is not of the val split"):
        CopyIndex.load(folder, corpus, "val")
    assert CopyIndex.cached(corpus).longest(score(notes(WALK))).n_notes == 9
    assert CopyIndex.load(folder, corpus).longest(score(notes(WALK))).n_notes == 9


def test_damage_is_told(index: CopyIndex, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        CopyIndex.load(tmp_path)
    index.save(tmp_path)
    about = read_json(tmp_path / "index.json")
    write_json({**about, "version": 0}, tmp_path / "index.json")
    with pytest.raises(InputError, match="no copy index of this version"):
        CopyIndex.load(tmp_path)
    write_json(about, tmp_path / "index.json")
    (tmp_path / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(InputError, match="safetensors"):
        CopyIndex.load(tmp_path)


# ------------------------------------------------------------------------------------------------------------- summary


def test_the_summary_of_pieces(index: CopyIndex) -> None:
    pieces = [score(notes(WALK[:n])) for n in (5, 8, 20)]
    report = copies(index, [*pieces, score()], n=7)
    assert report["n_pieces"] == 4
    assert report["voices"]["notes"]["median"] == 6.5
    assert report["voices"]["notes"]["max"] == 20
    assert report["voices"]["beats"]["median"] == 5.5
    low, high = report["voices"]["notes"]["interval"]
    assert 0 <= low <= 6.5 <= high <= 20
    assert report["voices"]["share"] == {"n": 7, "value": 1.0, "interval": [1.0, 1.0]}
    assert (report["voices"]["longest"]["piece"], report["voices"]["longest"]["song"]) == (2, "tune")
    assert report["top"]["notes"] == report["voices"]["notes"]
    # One group is all there is to draw.
    together = copies(index, pieces, groups=["one"] * 3)
    assert together["voices"]["notes"]["interval"] == [8, 8]
    with pytest.raises(InputError, match="no pieces"):
        copies(index, [])
