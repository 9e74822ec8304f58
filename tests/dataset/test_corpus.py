"""From folders to shards: grids, windows, rejects, duplicates, splits, and builds that are killed."""

from __future__ import annotations

import csv
import hashlib
import math
import signal
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import symusic

from muse.attributes import ATTRIBUTES, extract
from muse.corpora import Song, find_songs
from muse.dataset import Corpus, build_corpus, corpus_info, groups
from muse.dataset import build as building
from muse.dataset.read import COLUMNS, SCHEMA_VERSION, Ragged
from muse.dataset.windows import Settings, attribute_names, process_song
from muse.engines import InProcess
from muse.errors import InputError, MuseError
from muse.score import DRUMS, NOTE_DTYPE, from_notes, note_array, write_score
from muse.tokens import SECTION_CONTROLS, SONG_CONTROLS, Codec

# ------------------------------------------------------------------------------------------------------------ material


def tune(
    rng: np.random.Generator,
    n_bars: int,
    *,
    beats_in_bar: int = 4,
    step_beat: float = 0.5,
    n_voices: int = 2,
    drums: bool = False,
) -> np.ndarray:
    """A random walk in eighths above chords: notes of NOTE_DTYPE, no two alike for two states of *rng*."""
    beats = np.arange(0, n_bars * beats_in_bar, step_beat)
    rows = []
    pitch = 70
    for beat in beats:
        pitch = int(np.clip(pitch + rng.integers(-4, 5), 60, 84))
        rows.append((beat, step_beat, 0, 0, pitch, int(rng.integers(50, 100)), 0, 0))
        for voice in range(1, n_voices):
            low = int(rng.integers(40, 58)) + voice
            rows.append((beat, 2 * step_beat, 0, 0, low, 60, 0, 0))
        if drums:
            rows.append((beat, 0.1, 0, 0, 38, 90, DRUMS, 1))
    return np.array(rows, dtype=NOTE_DTYPE)


def save(path: Path, notes: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_score(from_notes(notes, **options), path)  # type: ignore[arg-type]
    return path


def performed(notes: np.ndarray, moment_sec: np.ndarray) -> np.ndarray:
    """The same notes at other times; the file's own grid (120 BPM) knows nothing of them."""
    result = notes.copy()
    beat = np.interp(notes["onset_beat"], np.arange(len(moment_sec)), moment_sec)
    end = np.interp(notes["onset_beat"] + notes["duration_beat"], np.arange(len(moment_sec)), moment_sec)
    result["onset_beat"], result["duration_beat"] = beat * 2, (end - beat) * 2
    return result


def song_of(path: Path, **fields: object) -> Song:
    return Song(path, path.parent.name, path.stem, path.name, path.stem, **fields)  # type: ignore[arg-type]


def digest(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two corpora: one with metadata and a duplicate, one bare with a broken file."""
    root = tmp_path_factory.mktemp("corpora")
    rng = np.random.default_rng(3)
    first = tune(rng, 40)
    save(root / "alpha/midi/a1.mid", first)
    save(root / "alpha/midi/a2.mid", tune(rng, 16, drums=True))
    save(root / "alpha/midi/a3.mid", tune(rng, 6))
    moved = first.copy()
    moved["pitch"] += 3
    save(root / "alpha/midi/a4.mid", moved, tempo_bpm=90, ticks_per_beat=96)
    rows = [
        {"id": f"a{i}", "file": f"midi/a{i}.mid", "title": f"Song {i}", "composer": "Doe, Jane", "split": split,
         "genre_group": "pop", "quadrant": 1, "licence": "CC0", "licence_class": licence}
        for i, split, licence in ((1, "", "nc"), (2, "val", "permissive"), (3, "", "permissive"), (4, "", "permissive"))
    ]  # fmt: skip
    with (root / "alpha/metadata.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    other = root / "beta"
    save(other / "b1.mid", tune(rng, 24, beats_in_bar=3), time_signature=(3, 4))
    save(other / "b2.mid", tune(rng, 3))
    (other / "b3.mid").write_bytes(b"MThd\x00\x00\x00\x06garbage that is no music")
    (other / "metadata.csv").write_text("id,file\nb1,b1.mid\nb2,b2.mid\nb3,b3.mid\n")
    return root


@pytest.fixture(scope="module")
def dataset(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dataset") / "out"
    seen: list[tuple[int, int]] = []
    build_corpus([tree], out, n_processes=2, progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, 7)
    assert seen[-1] == (7, 7)
    return out


# ---------------------------------------------------------------------------------------------------------------- grids


def test_a_score_is_cut_on_its_own_bars(tmp_path: Path, rng: np.random.Generator) -> None:
    notes = tune(rng, 44)
    result = process_song(song_of(save(tmp_path / "x/a.mid", notes, tempo_bpm=90)), Settings())
    # 0-16, 16-32, and the last 16 bars, since 12 would be lost
    assert [(row["first_bar"], row["n_bars"]) for row in result.rows] == [(0, 16), (16, 16), (28, 16)]
    assert [row["at_start"] for row in result.rows] == [True, False, False]
    assert [row["at_end"] for row in result.rows] == [False, False, True]
    assert {row["grid"] for row in result.rows} == {"own"}
    assert result.rejects == []
    row = result.rows[1]
    assert row["start_sec"] == pytest.approx(16 * 4 * 60 / 90, abs=0.01)
    assert row["duration_sec"] == pytest.approx(16 * 4 * 60 / 90, abs=0.01)
    assert row["time_signature"] == "4/4"
    assert row["tempo_bpm"] == pytest.approx(90, rel=0.06)  # the vocabulary's tempos are 5.8 % apart


def test_what_a_row_says_is_true_of_its_tokens(tmp_path: Path, rng: np.random.Generator) -> None:
    result = process_song(song_of(save(tmp_path / "x/a.mid", tune(rng, 16))), Settings())
    (row,) = result.rows
    music = Codec.default().decode(row["tokens"])
    np.testing.assert_array_equal(row["attributes"], extract(music, names=list(SONG_CONTROLS)).values[0])
    sections = row["section_attributes"].reshape(4, len(SECTION_CONTROLS))
    np.testing.assert_array_equal(sections, extract(music, names=list(SECTION_CONTROLS), bars=4).values)
    assert row["note_count"] == sum(len(track.notes) for track in music.tracks)
    np.testing.assert_array_equal(Codec.default().encode_score(music, 16), row["tokens"])


def test_a_short_tail_is_not_lost(tmp_path: Path, rng: np.random.Generator) -> None:
    result = process_song(song_of(save(tmp_path / "x/a.mid", tune(rng, 37))), Settings())
    assert [row["first_bar"] for row in result.rows] == [0, 21]
    assert result.rows[-1]["at_end"]


def test_a_performance_without_a_grid_keeps_what_needs_no_bars(tmp_path: Path, rng: np.random.Generator) -> None:
    notes = tune(rng, 20)
    notes["onset_beat"] = np.sort(rng.uniform(0, 80, len(notes)))
    result = process_song(song_of(save(tmp_path / "x/a.mid", notes)), Settings())
    row = result.rows[0]
    assert (row["on_grid"], row["grid"], row["time_signature"]) == (False, "none", "")
    # The tokens tell when notes sound: stand-in bars of 2 s, 42 ms a step, at the tempo token nearest to 120 BPM.
    heard = note_array(Codec.default().decode(row["tokens"]))["onset_sec"]
    played = note_array(from_notes(notes))["onset_sec"][: len(heard)]
    np.testing.assert_allclose(heard - heard[0], played - played[0], atol=0.05, rtol=0.025)
    assert math.isnan(row["tempo_bpm"])
    assert result.rejects[0][0] == "grid"
    values = dict(zip(SONG_CONTROLS, row["attributes"], strict=True))
    assert math.isnan(values["Note Density per Quarter Note"])
    assert values["Note Density"] > 0
    assert not math.isnan(values["Mean Pitch"])
    needy = {entry.name for entry in ATTRIBUTES if entry.needs != "notes"}
    assert {name for name, value in values.items() if math.isnan(value)} >= needy & set(SONG_CONTROLS)


def test_a_steady_performance_is_tracked(tmp_path: Path, rng: np.random.Generator) -> None:
    beats_sec = 0.37 + np.arange(100) * 60 / 97
    result = process_song(song_of(save(tmp_path / "x/a.mid", performed(tune(rng, 20), beats_sec))), Settings())
    assert {row["grid"] for row in result.rows} == {"tracked"}
    assert all(len(row["tokens"]) for row in result.rows)


def test_annotated_beats_beat_the_files_own_grid(tmp_path: Path, rng: np.random.Generator) -> None:
    beats_sec = 0.2 + np.cumsum(np.concatenate([[0], 0.5 + 0.15 * np.sin(np.arange(90) / 3)]))
    path = save(tmp_path / "POP909/001/001.mid", performed(tune(rng, 20), beats_sec))
    flags = "".join(f"{t} {float(i % 2 == 0)} {float(i % 4 == 0)}\n" for i, t in enumerate(beats_sec))
    (path.parent / "beat_midi.txt").write_text(flags)
    (path.parent / "key_audio.txt").write_text("0.1 9.0 A:min\n")
    changes = [(beats_sec[i], beats_sec[i + 2], f"{i}:maj") for i in range(0, 80, 2) if i != 8]
    (path.parent / "chord_midi.txt").write_text("".join(f"{a} {b} {name}\n" for a, b, name in changes))
    (song,) = find_songs([tmp_path / "POP909"])
    result = process_song(song, Settings())
    assert [(row["first_bar"], row["n_bars"], row["grid"]) for row in result.rows] == [
        (0, 16, "annotated"), (4, 16, "annotated"),
    ]  # fmt: skip
    assert result.rows[0]["grid_fit"] > 0.95
    assert result.rows[0]["start_sec"] == pytest.approx(0.2, abs=0.01)
    assert result.rows[1]["start_sec"] == pytest.approx(beats_sec[16], abs=0.02)
    assert building._song_columns(song)["labelled_tonic"] == 9
    chords = result.rows[1]["labelled_chords"]
    assert len(chords) == 64
    assert chords[:4] == ["16:maj", "16:maj", "18:maj", "18:maj"]
    assert result.rows[0]["labelled_chords"][8:10] == ["N", "N"]


def test_bars_of_players_who_heard_a_click_are_real(tmp_path: Path, rng: np.random.Generator) -> None:
    notes = tune(rng, 16, drums=True)
    notes["onset_beat"] = np.maximum(notes["onset_beat"] + rng.normal(0, 0.09, len(notes)), 0)
    path = save(tmp_path / "x/a.mid", notes)
    assert process_song(song_of(path), Settings()).rows[0]["grid"] != "own"
    assert process_song(song_of(path, to_click=True), Settings()).rows[0]["grid"] == "own"


def test_broken_annotations_are_reported_and_the_song_goes_on(tmp_path: Path, rng: np.random.Generator) -> None:
    path = save(tmp_path / "x/a.mid", tune(rng, 16))
    (tmp_path / "beats.txt").write_text("one two three\n")
    result = process_song(song_of(path, beats_path=tmp_path / "beats.txt"), Settings())
    assert [row["grid"] for row in result.rows] == ["own"]
    assert result.rejects[0][0] == "annotation"
    assert "line 1" in result.rejects[0][1]


def test_bars_of_one_beat_are_no_meter(tmp_path: Path, rng: np.random.Generator) -> None:
    notes = tune(rng, 24)
    notes["velocity"] = np.where(notes["onset_beat"] % 4 == 1, 120, 40)  # the bar starts on the second beat
    result = process_song(song_of(save(tmp_path / "x/a.mid", notes, time_signature=(1, 4))), Settings())
    assert {row["time_signature"] for row in result.rows} == {"4/4"}
    assert {row["grid"] for row in result.rows} == {"tracked"}


# -------------------------------------------------------------------------------------------------------------- windows


def test_windows_never_hold_a_change_of_meter(tmp_path: Path, rng: np.random.Generator) -> None:
    notes = np.concatenate([tune(rng, 10), tune(rng, 8, beats_in_bar=3), tune(rng, 2)])
    notes["onset_beat"][-16 * 2 - 48 * 2 :] += 40
    notes["onset_beat"][-16 * 2 :] += 24
    score = from_notes(notes)
    for tick, numerator in ((40, 3), (64, 4)):
        score.time_signatures.append(symusic.TimeSignature(tick * score.ticks_per_quarter, numerator, 4))
    path = tmp_path / "x/a.mid"
    path.parent.mkdir()
    write_score(score, path)
    result = process_song(song_of(path), Settings())
    assert [(row["first_bar"], row["n_bars"], row["time_signature"]) for row in result.rows] == [
        (0, 8, "4/4"), (10, 8, "3/4"),
    ]  # fmt: skip
    assert result.rejects == [("window", "fewer than 4 bars in one meter", 1)]


def test_windows_with_too_many_tokens_are_halved(tmp_path: Path, rng: np.random.Generator) -> None:
    path = save(tmp_path / "x/a.mid", tune(rng, 16, step_beat=0.25, n_voices=3))
    whole = process_song(song_of(path), Settings(max_tokens=100_000)).rows
    assert [row["n_bars"] for row in whole] == [16]
    n_tokens = len(whole[0]["tokens"])
    halves = process_song(song_of(path), Settings(max_tokens=n_tokens - 1)).rows
    assert [(row["first_bar"], row["n_bars"], row["window"]) for row in halves] == [(0, 8, 0), (8, 8, 1)]
    none = process_song(song_of(path), Settings(max_tokens=n_tokens // 4))
    assert none.rows == []
    assert none.rejects[0][0] == "window"
    assert "tokens in 8 bars" in none.rejects[0][1]
    assert none.rejects[0][2] == 2


@pytest.mark.parametrize(
    ("notes", "options", "stage", "reason"),
    [
        (lambda rng: tune(rng, 16)[:7], {}, "read", "fewer than 8 notes"),
        (lambda rng: tune(rng, 16, beats_in_bar=7), {"time_signature": (7, 4)}, "window", "7/4 is not in the vocab"),
        (lambda rng: tune(rng, 16)[::16][np.r_[0:3, 3:8]], {}, "window", "more than half of the bars are empty"),
        (lambda rng: tune(rng, 3), {}, "window", "fewer than 4 bars"),
    ],
)
def test_what_is_left_out_has_a_reason(
    tmp_path: Path, rng: np.random.Generator, notes: object, options: dict[str, object], stage: str, reason: str
) -> None:
    music = notes(rng)  # type: ignore[operator]
    if "empty" in reason:
        music["onset_beat"][-1] = 63.0
        music["onset_beat"][:-1] = np.arange(len(music) - 1) * 0.5
    result = process_song(song_of(save(tmp_path / "x/a.mid", music, **options)), Settings())
    assert result.rows == []
    assert any(found == stage and reason in why for found, why, _ in result.rejects), result.rejects


def test_ratings_over_time_reach_their_windows(tmp_path: Path, rng: np.random.Generator) -> None:
    path = save(tmp_path / "x/a.mid", tune(rng, 32))
    curve = tmp_path / "valence_arousal.csv"
    lines = [f"a,r1,{i},{i}.0,{-1 if i < 8 else 1},0.5" for i in range(16)]
    curve.write_text("piece_id,annotation_id,measure,time_s,valence,arousal\n" + "\n".join(lines) + "\n")
    rows = process_song(song_of(path, curve_path=curve), Settings()).rows
    assert [row["window_valence"] for row in rows] == [-1, 1]
    assert [row["window_arousal"] for row in rows] == [0.5, 0.5]
    assert math.isnan(process_song(song_of(path), Settings()).rows[0]["window_valence"])


def test_all_attributes_start_with_the_controls(tmp_path: Path, rng: np.random.Generator) -> None:
    names, _ = attribute_names("all")
    assert names[: len(SONG_CONTROLS)] == tuple(SONG_CONTROLS)
    assert len(names) == len(set(names)) >= 150
    path = save(tmp_path / "x/a.mid", tune(rng, 16))
    (row,) = process_song(song_of(path), Settings(attributes="all")).rows
    assert row["attributes"].shape == (len(names),)


def test_settings_are_checked_all_at_once() -> None:
    with pytest.raises(InputError, match=r"window_bars is 10.*min_bars is 3.*attributes is 'some'"):
        Settings(window_bars=10, min_bars=3, attributes="some")


# ---------------------------------------------------------------------------------------------------- the whole dataset


def test_rows_of_the_dataset(dataset: Path) -> None:
    corpus = Corpus(dataset)
    (rows,) = corpus.batches(corpus="beta")
    assert set(rows) == set(COLUMNS)
    assert rows["song"].tolist() == ["b1", "b1"]  # type: ignore[union-attr]
    assert rows["time_signature"].tolist() == ["3/4", "3/4"]  # type: ignore[union-attr]
    assert rows["attributes"].shape == (2, len(SONG_CONTROLS))  # type: ignore[union-attr]
    assert rows["attributes"].dtype == np.float32  # type: ignore[union-attr]
    tokens = rows["tokens"]
    assert isinstance(tokens, Ragged)
    assert tokens.values.dtype == np.uint16
    bar = Codec.default().vocabulary.bar
    assert [(row == bar).sum() for row in tokens] == [16, 16]
    assert rows["section_attributes"].lengths.tolist() == [40, 40]  # type: ignore[union-attr]
    programs = corpus.column("programs", song="a2")
    assert isinstance(programs, Ragged)
    assert programs[0].tolist() == [0, DRUMS]


def test_duplicates_keep_the_freest_copy(dataset: Path) -> None:
    corpus = Corpus(dataset)
    assert set(corpus.column("song", corpus="alpha")) == {"a2", "a3", "a4"}  # a1 has the same notes, but is nc
    (reject,) = (row for row in corpus.rejects() if row["stage"] == "duplicate")
    assert (reject["source"], reject["reason"]) == ("midi/a1.mid", "same notes as alpha/midi/a4.mid")


def test_rejects_and_counts(dataset: Path) -> None:
    info = corpus_info(dataset)
    rejects = {(row["source"], row["stage"]): row["reason"] for row in Corpus(dataset).rejects()}
    assert ("b3.mid", "read") in rejects
    assert str(dataset.parent) not in rejects["b3.mid", "read"]
    assert rejects["b2.mid", "window"] == "fewer than 4 bars in one meter"
    assert info["n_songs_read"] == 7
    assert info["n_songs"] == 4
    assert info["n_windows"] == len(Corpus(dataset)) == sum(n["windows"] for n in info["by_split"].values())
    assert info["by_licence_class"]["permissive"]["songs"] == 3
    assert info["n_tokens"] == Corpus(dataset).column("tokens").offsets[-1]  # type: ignore[union-attr]
    assert not (dataset / "parts").exists()


def test_given_splits_hold_and_songs_stay_whole(dataset: Path) -> None:
    by_song: dict[str, set[str]] = {}
    for batch in Corpus(dataset).batches(["song", "split"]):
        for song, split in zip(batch["song"], batch["split"], strict=True):
            by_song.setdefault(song, set()).add(split)
    assert by_song["a2"] == {"val"}
    assert all(len(splits) == 1 for splits in by_song.values())


def record(**fields: object) -> dict[str, object]:
    return {"hash": "", "sketch": (), "rejects": [], "windows": 1, **fields}


def test_groups_and_works_and_melodies_fall_into_one_split() -> None:
    songs = []
    for i in range(300):
        songs += [
            Song(Path("x"), "one", f"clip{i}a", "s", f"song{i}", title=f"T{i}", composer="Jane Doe"),
            Song(Path("x"), "one", f"clip{i}b", "s", f"song{i}"),
            Song(Path("x"), "two", f"other{i}", "s", f"o{i}", title=f"t {i}!", composer="Doe, Jane"),
            Song(Path("x"), "three", f"cover{i}", "s", f"c{i}"),
        ]
    records = [
        record(sketch=list(range(1000 * (i // 4), 1000 * (i // 4) + 40)) if i % 4 in (0, 3) else [])
        for i in range(1200)
    ]
    splits = groups.splits(songs, records, {})
    assert all(len(set(splits[i : i + 4])) == 1 for i in range(0, 1200, 4))
    shares = Counter(splits)
    assert shares["train"] > 1000
    assert set(shares) == {"train", "val", "test"}
    # What one source holds out comes back through no other.
    held_out = [
        *songs[:2],
        Song(Path("x"), "two", "o", "s", "o", title="t 0", composer="Doe", split="test"),
        *songs[3:],
    ]
    assert set(groups.splits(held_out, records, {})[:4]) == {"test"}


def test_split_shares() -> None:
    shares = Counter(groups.hash_split(f"corpus/{i}") for i in range(20_000))
    for name, share in groups.FRACTIONS.items():
        assert shares[name] / 20_000 == pytest.approx(share, abs=0.005)


def test_melodies_are_recognised_in_another_key_and_tempo(tmp_path: Path, rng: np.random.Generator) -> None:
    notes = tune(rng, 40)
    other = notes.copy()
    other["pitch"] += 5
    other["velocity"] = 70
    keep = rng.random(len(notes)) > 0.02  # and some slips
    songs = [
        save(tmp_path / "x/a.mid", notes),
        save(tmp_path / "x/b.mid", other[keep], tempo_bpm=100),
        save(tmp_path / "x/c.mid", tune(rng, 40)),
    ]
    results = [process_song(song_of(path), Settings()) for path in songs]
    assert len({result.note_hash for result in results}) == 3
    assert list(groups._same_melody([result.sketch for result in results])) == [(0, 1)]


# --------------------------------------------------------------------------------------------------- killed and resumed

KILLER = """
import os, signal, sys
from pathlib import Path
import muse.dataset.build as build

if __name__ == "__main__":
    left = int(sys.argv[3])
    move = Path.replace

    def replace(self, target):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return move(self, target)

    Path.replace = replace
    build.CHUNK_SONGS = 2
    build.build_corpus([sys.argv[1]], sys.argv[2], n_processes=1)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_anywhere_the_result_is_the_same(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "killer.py"
    script.write_text(KILLER)
    out = tmp_path / "killed"

    def run(moves: int) -> int:
        return subprocess.run([sys.executable, script, tree, out, str(moves)], check=False).returncode

    # Before the second part has its JSON; before the first shard; between shards; before the description.
    assert [run(moves) for moves in (4, 7, 3, 5)] == [-signal.SIGKILL] * 4
    assert not (out / "dataset.json").exists()
    with pytest.raises(InputError, match="not finished"):
        corpus_info(out)
    assert run(1_000) == 0

    monkeypatch.setattr(building, "CHUNK_SONGS", 2)
    build_corpus([tree], tmp_path / "whole", n_processes=2)
    assert digest(out) == digest(tmp_path / "whole")


def test_a_full_disk_names_the_file_and_the_next_build_goes_on(tree: Path, dataset: Path, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, before[1]))  # the system refuses all beyond, as a full disk does
    try:
        with pytest.raises(InputError, match=r"parts/00000-\w+\.parquet: cannot be written \(.*free space"):
            build_corpus([tree], tmp_path / "out", engine=InProcess())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".parquet", ".json")]
    build_corpus([tree], tmp_path / "out", engine=InProcess())
    assert digest(tmp_path / "out") == digest(dataset)


def test_a_finished_dataset_is_left_alone(tree: Path, dataset: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in dataset.rglob("*") if path.name != ".lock"}
    assert build_corpus([tree], dataset)["n_windows"] == len(Corpus(dataset))
    assert {path: path.stat().st_mtime_ns for path in dataset.rglob("*") if path.name != ".lock"} == before


def test_an_archive_is_built_as_its_folder(tree: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "beta.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((tree / "beta").rglob("*")):
            archive.write(path, path.relative_to(tree / "beta"))
    build_corpus([tree / "beta"], tmp_path / "folder", engine=InProcess())
    for source in (f"file://{tmp_path}/beta.zip", tmp_path / "beta.zip"):
        info = build_corpus([source], tmp_path / "archive", engine=InProcess())
        assert info == corpus_info(tmp_path / "folder")
        assert digest(tmp_path / "archive") == digest(tmp_path / "folder")
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("metadata.csv", "id,file\nx,x.mid\n")
    with pytest.raises(InputError, match=r"bad\.zip:metadata\.csv, line 2: there is no file 'x\.mid'"):
        build_corpus([tmp_path / "bad.zip"], tmp_path / "bad", engine=InProcess())


def test_another_selection_replaces_the_dataset(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build_corpus([tree / "beta"], out, n_processes=1)
    (old,) = (out / "shards").iterdir()
    summary = build_corpus([tree], out, n_processes=1, licence_classes=["permissive"], limit=3)
    assert not old.exists()
    assert [path.name for path in (out / "shards").iterdir()] == [Path(name).name for name in summary["shards"]]
    assert set(Corpus(out).column("song")) == {"a2", "a3", "a4"}
    assert summary["n_songs_read"] == 3


def test_requests_that_cannot_be_met(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown licence class 'free': .*permissive, copyleft, nc, unclear"):
        build_corpus([tree], tmp_path / "out", licence_classes=["free"])
    with pytest.raises(InputError, match="no song is left"):
        build_corpus([tree], tmp_path / "out", licence_classes=["copyleft"])
    with pytest.raises(InputError, match=r"unknown setting 'window': did you mean .*window_bars"):
        build_corpus([tree], tmp_path / "out", window=3)
    with pytest.raises(InputError, match="0 processes"):
        build_corpus([tree], tmp_path / "out", n_processes=0)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("do not touch")
    with pytest.raises(InputError, match=r"holds other things \(thesis\.txt\)"):
        build_corpus([tree], tmp_path / "mine")
    with pytest.raises(InputError, match=r"no dataset.json in it"):
        Corpus(tmp_path / "mine")


def test_two_builds_do_not_meet_in_one_folder(tree: Path, tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    out = tmp_path / "out"
    out.mkdir()
    with (out / ".lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(MuseError, match="another build"):
            build_corpus([tree], out)


# -------------------------------------------------------------------------------------------------------------- reading


def test_columns_and_filters(dataset: Path) -> None:
    corpus = Corpus(dataset)
    assert corpus.attribute_names == tuple(SONG_CONTROLS)
    assert corpus.section_attribute_names == tuple(SECTION_CONTROLS)
    assert len(corpus.column("tokens", song=["a2", "b1"])) == 3
    empty = corpus.column("tokens", split="nowhere")
    assert isinstance(empty, Ragged)
    assert len(empty) == 0
    with pytest.raises(InputError, match="no such column: token; legal are corpus"):
        corpus.column("token")
    ragged = Ragged(np.arange(5), np.array([0, 2, 2, 5]))
    assert [row.tolist() for row in ragged] == [[0, 1], [], [2, 3, 4]]
    assert ragged[-1].tolist() == [2, 3, 4]
    with pytest.raises(IndexError):
        ragged[3]


def test_an_older_schema_is_refused(dataset: Path, tmp_path: Path) -> None:
    text = (dataset / "dataset.json").read_text()
    (tmp_path / "dataset.json").write_text(text.replace(f'"schema": {SCHEMA_VERSION}', '"schema": 0'))
    with pytest.raises(InputError, match=r"schema 0.*build it again"):
        corpus_info(tmp_path)


@pytest.mark.parametrize(("text", "problem"), [("[1]", "describes no dataset"), ("{", "no JSON"), ("{}", "describes")])
def test_a_damaged_description_is_one_line(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(InputError, match=rf"dataset\.json.*{problem}"):
        corpus_info(tmp_path)


# ---------------------------------------------------------------------------------------------------------------- guide


def test_the_guide_describes_every_column() -> None:
    guide = (Path(__file__).parents[2] / "docs/corpus.md").read_text(encoding="utf-8")
    for name, (kind, meaning) in COLUMNS.items():
        assert f"| `{name}` | `{kind}` | {meaning} |" in guide
