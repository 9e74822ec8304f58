"""Training and measuring the recogniser: datasets in their own layouts, teachers, folds, listeners, encoders."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from muse.audio import write_audio
from muse.cli import app
from muse.corpora import Clip, listener_curves, open_dataset
from muse.emotion import MOODS
from muse.errors import InputError
from muse.recognizer import Recognizer
from muse.recognizer.encoders.mert import MertEncoder, hubert_tensors
from muse.recognizer.features.windows import window_starts
from muse.recognizer.heads.calibration import Calibration
from muse.recognizer.heads.course import Course
from muse.recognizer.heads.network import TAGS, WINDOW_STEPS, Windows
from muse.recognizer.heads.personal import Listener, PersonalModel, RecognizedPiece, curve_on_steps
from muse.training.recognizer.affine import Affine, fit_affine
from muse.training.recognizer.calibration import calibrate
from muse.training.recognizer.course import apply_course, fit_course
from muse.training.recognizer.noise import NOISES
from muse.training.recognizer.parts import Part
from muse.training.recognizer.personal import Tasks, fit_personal
from muse.training.recognizer.personal_evaluation import evaluate_personal
from muse.training.recognizer.pretrain import PretrainConfig, make_takes, pretrain
from muse.training.recognizer.scores import concordance, ranked
from muse.training.recognizer.teachers import fit_teacher, group_folds

RATE = 8_000
random = np.random.default_rng(0)


def sound(path: Path, seconds: float = 2.0, level: float = 0.3) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_audio((level * random.normal(size=int(seconds * RATE))).astype(np.float32), RATE, path)
    return path


def table(path: Path, rows: list[dict[str, object]], delimiter: str = ",") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)


def wide(song: int, values: list[float]) -> dict[str, object]:
    return {"song_id": song, **{f"sample_{15_000 + 500 * i}ms": value for i, value in enumerate(values)}}


@pytest.fixture
def jamendo(tmp_path: Path) -> Path:
    """The repository mtg-jamendo-dataset with its audio beside it."""
    folder = tmp_path / "mtg-jamendo-dataset"
    for split, word in (("train", "train"), ("val", "validation"), ("test", "test")):
        lines = ["TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS"]
        for i in range(4 if split == "train" else 2):
            number = {"train": 100, "val": 200, "test": 300}[split] + i
            tags = [f"mood/theme---{MOODS[i % 3]}", f"mood/theme---{MOODS[5 + i % 2]}"]
            path = f"{number % 100:02d}/{number}.mp3"
            lines.append("\t".join([f"track_{number:07d}", f"artist_{number}", "album_1", path, "2.0", *tags]))
            sound(folder / "audio-low" / path.replace(".mp3", ".low.mp3"))
        table_path = folder / "data" / "splits" / "split-0" / f"autotagging_moodtheme-{word}.tsv"
        table_path.parent.mkdir(parents=True, exist_ok=True)
        table_path.write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def deam(tmp_path: Path) -> Path:
    folder = tmp_path / "DEAM"
    notes = folder / "DEAM_Annotations" / "annotations"
    songs = [2, 3, 4, 5, 7, 8, 10, 12]
    names = ("song_id", " valence_mean", " valence_std", " arousal_mean", " arousal_std")
    rows = [dict(zip(names, (s, 1 + s % 9, 1.0, 9 - s % 9, 1.0), strict=True)) for s in songs]
    mean = notes / "annotations averaged per song"
    table(mean / "song_level" / "static_annotations_averaged_songs_1_2000.csv", rows)
    for axis in ("valence", "arousal"):
        table(mean / "dynamic (per second annotations)" / f"{axis}.csv", [wide(s, [0.1, 0.2, 0.3]) for s in songs])
        for s in songs:
            each = notes / "annotations per each rater" / "dynamic (per second annotations)" / axis / f"{s}.csv"
            each_rows = [{"WorkerId": f"w{k}", **wide(s, [0.1 * k, 0.2, -0.3])} for k in range(2)]
            table(each, [{k: v for k, v in row.items() if k != "song_id"} for row in each_rows])
    for s in songs:
        sound(folder / "DEAM_audio" / "MEMD_audio" / f"{s}.mp3", 3.0)
    (folder / "split.csv").write_text(
        "song_id,split\n" + "".join(f"{s},{'test' if s in (10, 12) else 'val' if s == 8 else 'train'}\n" for s in songs)
    )
    return folder


@pytest.fixture
def pmemo(tmp_path: Path) -> Path:
    folder = tmp_path / "PMEmo2019"
    songs = [1, 4, 5, 6, 7, 11, 13]
    table(folder / "annotations" / "static_annotations.csv",
          [{"musicId": s, "Arousal(mean)": s / 20, "Valence(mean)": 1 - s / 20} for s in songs])  # fmt: skip
    dynamic = [{"musicId": s, "frameTime": 15 + 0.5 * i, "Arousal(mean)": 0.5, "Valence(mean)": 0.25}
               for s in songs for i in range(3)]  # fmt: skip
    table(folder / "annotations" / "dynamic_annotations.csv", dynamic)
    for s in songs:
        sound(folder / "chorus" / f"{s}.mp3")
        for kind, letter in (("Valence", "V"), ("Arousal", "A")):
            table(folder / "Annotations" / kind / f"{s}-{letter}.csv", [{"100177": 0.5, "200378": 0.75}] * 3)
    splits = ["train"] * 4 + ["val", "test", "test"]
    (folder / "split.csv").write_text(
        "song_id,split\n" + "".join(f"{s},{x}\n" for s, x in zip(songs, splits, strict=True))
    )
    return folder


@pytest.fixture
def emomusic(tmp_path: Path) -> Path:
    folder = tmp_path / "emoMusic"
    songs = list(range(3, 10))
    table(folder / "annotations" / "static_annotations.csv",
          [{"song_id": s, "mean_arousal": 1 + s % 8, "std_arousal": 1, "mean_valence": 9 - s % 8, "std_valence": 1}
           for s in songs])  # fmt: skip
    for axis in ("valence", "arousal"):
        table(folder / "annotations" / f"{axis}_cont_average.csv", [wide(s, [0.0, 0.5]) for s in songs])
    table(folder / "songs_info.csv", [{"song_id": s, "Artist": f"artist {s // 2}", "Song title": "t"} for s in songs])
    for s in songs:
        sound(folder / "clips_45seconds" / f"{s}.mp3")
    splits = ["train"] * 4 + ["val", "test", "test"]
    (folder / "split.csv").write_text(
        "song_id,split\n" + "".join(f"{s},{x}\n" for s, x in zip(songs, splits, strict=True))
    )
    return folder


def test_jamendo_is_read_with_its_split_and_tags(jamendo: Path) -> None:
    dataset = open_dataset(jamendo)
    assert (dataset.name, dataset.tag_set, len(dataset.clips)) == ("mtg-jamendo", "moods", 8)
    assert [clip.split for clip in dataset.clips].count("val") == 2
    first = dataset.clips[0]
    assert first.group == "artist_100"
    assert dict(first.tags) == {MOODS[0]: 1.0, MOODS[5]: 1.0}
    assert first.path.is_file()
    split = jamendo / "data" / "splits" / "split-0" / "autotagging_moodtheme-test.tsv"
    split.write_text(split.read_text().replace(f"---{MOODS[0]}", "---bogus"))
    with pytest.raises(InputError, match="bogus is no mood or theme"):
        open_dataset(jamendo)


def test_there_are_56_moods() -> None:
    assert len(MOODS) == len(set(MOODS)) == 56
    assert not set(MOODS) & set(TAGS["gems"])


def test_deam_is_read_with_curves_and_listeners(deam: Path) -> None:
    dataset = open_dataset(deam)
    clip = next(clip for clip in dataset.clips if clip.name == "2")
    assert clip.emotion == pytest.approx((-0.5, 0.5))  # 3 and 7 of 1..9
    np.testing.assert_allclose(clip.curve, [[15, 0.1, 0.1], [15.5, 0.2, 0.2], [16, 0.3, 0.3]], atol=1e-6)
    curves = listener_curves(deam)
    assert len(curves) == 16
    assert {one.listener for one in curves} == {"w0", "w1"}
    np.testing.assert_allclose(curves[1].curve[:, 1], [0.1, 0.2, -0.3], atol=1e-6)


def test_pmemo_is_read_with_curves_and_listeners(pmemo: Path) -> None:
    dataset = open_dataset(pmemo)
    clip = next(clip for clip in dataset.clips if clip.name == "4")
    assert clip.emotion == pytest.approx((0.6, -0.6))
    np.testing.assert_allclose(clip.curve[0], [15, -0.5, 0], atol=1e-6)
    curves = listener_curves(pmemo)
    assert {one.listener for one in curves} == {"100177", "200378"}
    np.testing.assert_allclose(curves[0].curve, [[15, 0, 0], [15.5, 0, 0], [16, 0, 0]], atol=1e-6)


def test_emomusic_keeps_artists_together(emomusic: Path) -> None:
    dataset = open_dataset(emomusic)
    assert {clip.name: clip.group for clip in dataset.clips}["5"] == "artist 2"
    (emomusic / "split.csv").unlink()
    sides = {clip.group: clip.split for clip in open_dataset(emomusic).clips}
    assert set(sides.values()) <= {"train", "val", "test"}
    assert all(clip.split == sides[clip.group] for clip in open_dataset(emomusic).clips)


def test_what_is_missing_is_named(tmp_path: Path, deam: Path, pmemo: Path) -> None:
    (tmp_path / "emomusic").mkdir()
    with pytest.raises(InputError, match=r"static_annotations\.csv: no such file"):
        open_dataset(tmp_path / "emomusic")
    with pytest.raises(InputError, match="no curves of single listeners"):
        listener_curves(tmp_path / "emomusic")
    (deam / "split.csv").write_text("song_id,split\n2,dev\n")
    with pytest.raises(InputError, match="'dev' is none of"):
        open_dataset(deam)
    for path in (pmemo / "chorus").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="no sound in chorus"):
        open_dataset(pmemo)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features of sound, kept from test to test as from run to run."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def pop909(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough songs that some are on both sides of the split by names."""
    from muse.training.recognizer.chords import ChordSong, split_songs

    folder = tmp_path_factory.mktemp("songs") / "pop909"
    names = [f"{i:03d}" for i in range(1, 200)]
    learnt, held = split_songs([ChordSong(name, Path(name), (), None) for name in names])
    chosen = [song.name for song in learnt[:10] + held[:2]]
    for name in chosen:
        place = folder / name
        place.mkdir(parents=True)
        _midi(place / f"{name}.mid", int(name) % 5)
        (place / "beat_midi.txt").write_text("".join(f"{i * 0.5} {float(i % 4 == 0)} 0.0\n" for i in range(17)))
        (place / "chord_midi.txt").write_text("0.0\t2.0\tC:maj\n2.0\t4.0\tA:min\n4.0\t6.0\tF:maj\n6.0\t8.0\tG:maj\n")
        (place / "key_audio.txt").write_text("0.0\t8.0\tC:maj\n")
    return folder


def _midi(path: Path, voicing: int = 0) -> None:
    import pretty_midi

    midi = pretty_midi.PrettyMIDI(initial_tempo=120)
    piano = pretty_midi.Instrument(0)
    for i, chord in enumerate(((48, 60, 64, 67), (45, 60, 64, 69), (41, 60, 65, 69), (43, 59, 62, 67))):
        for pitch in chord:
            for beat in range(4):
                start = 2 * i + 0.5 * beat
                piano.notes.append(pretty_midi.Note(70 + 5 * voicing, pitch, start, start + 0.45))
    midi.instruments.append(piano)
    midi.write(str(path))


def test_the_papers_table_is_one_command(
    tmp_path: Path,
    jamendo: Path,
    deam: Path,
    pmemo: Path,
    emomusic: Path,
    pop909: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("muse.training.recognizer.report.N_DRAWS", 5)
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"n_steps": 2, "batch": 8}))
    out = tmp_path / "report"
    arguments = [
        "train", "recognizer-report", *map(str, (jamendo, deam, pmemo, emomusic)), "--chords", str(pop909),
        "-o", str(out), "--cache", str(cache), "--config", str(settings), "--seeds", "1", "--folds", "2",
        "--pairs", "--json",
    ]  # fmt: skip
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    report = json.loads(done.stdout)
    rows = report["rows"]
    assert {"all", "deam alone", "mtg-jamendo + pmemo", "all, no key and chords", "all, no teachers"} <= set(rows)
    assert set(rows["all"]["mtg-jamendo"]) >= {"pr_auc", "roc_auc"}
    for name in ("deam", "pmemo", "emomusic"):
        assert np.isfinite(rows["all"][name]["r2_valence"]["mean"])
    assert report["clips"]["deam"] == {"all": 8, "tested": 2}
    assert "| all |" in (out / "report.md").read_text()
    made = list((out / "predictions").glob("*.npz"))
    stamps = {path: path.stat().st_mtime_ns for path in made}
    CliRunner().invoke(app, arguments, catch_exceptions=False)  # resumes: nothing is trained again
    assert {path: path.stat().st_mtime_ns for path in made} == stamps


def test_a_recogniser_of_other_datasets_is_trained_and_used(
    tmp_path: Path, jamendo: Path, pmemo: Path, pop909: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muse.training.recognizer.personal.fit_personal", partial(fit_personal, n_steps=20))
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"n_steps": 2, "batch": 8, "n_networks": 1, "n_music": 20, "n_noises": 2}))
    kinds = {name: NOISES[name] for name in ("band", "tones")}
    monkeypatch.setattr("muse.training.recognizer.gate_takes.NOISES", kinds)
    out, speech = tmp_path / "model", tmp_path / "speech"
    speech.mkdir()
    for name in ("s.wav", "s.mp3"):
        write_audio((0.2 * random.normal(size=40_000)).astype(np.float32), 16_000, speech / name)
    arguments = [
        "train", "recognizer", str(jamendo), str(pmemo), "--chords", str(pop909), "-o", str(out),
        "--cache", str(cache), "--config", str(settings), "--other", str(speech),
    ]  # fmt: skip
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert set(json.loads(done.stdout)["gate"]["refused"]) == {*kinds, "speech"}
    assert len(list(cache.rglob("takes/speech-*.npz"))) == 2
    assert json.loads(done.stdout)["listener_curves"] == 8  # of clips that are learnt from
    recognizer = Recognizer.from_pretrained(out)
    found = recognizer.recognize((0.2 * random.normal(size=32_000)).astype(np.float32), 16_000)
    assert set(found.tags) == set(MOODS)
    assert sum(found.quadrants.values()) == pytest.approx(1, abs=1e-5)
    assert len(json.loads((out / "config.json").read_text())["calibration"]["thresholds"]["moods"]) == 56


def test_areas_under_curves_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score

    predicted = np.round(random.random(200), 1).astype(np.float32)  # with ties
    true, weights = random.random(200) < 0.2, random.integers(1, 5, 200).astype(float)
    expected = [measure(true, predicted, sample_weight=weights) for measure in (average_precision_score, roc_auc_score)]
    assert ranked(predicted, true, weights) == pytest.approx(expected)
    assert np.isnan(ranked(predicted, np.ones(200, bool), weights)).all()


# ------------------------------------------------------------------------------------------------------------ teachers


def test_groups_are_never_in_two_folds() -> None:
    groups = [f"g{i // 3}" for i in range(30)]
    folds = group_folds(groups, 5)
    assert all(len({fold for fold, name in zip(folds, groups, strict=True) if name == group}) == 1 for group in groups)
    assert set(folds.tolist()) == set(range(5))


def test_a_teacher_finds_the_block_that_matters_and_stays_out_of_its_own_fold() -> None:
    rng = np.random.default_rng(1)
    n = 120
    owner = np.repeat(np.arange(n // 2), 2)
    windows = {
        "embedding": rng.normal(size=(n, 20)).astype(np.float32),
        "timbre": rng.normal(size=(n, 5)).astype(np.float32),
        "profile": np.repeat(rng.normal(size=(n // 2, 8)), 2, axis=0).astype(np.float32),
    }
    labels = windows["profile"][::2, :1]
    teacher, apart = fit_teacher(windows, owner, labels, [str(i) for i in range(n // 2)])
    assert "profile" in teacher.shape.blocks
    assert np.corrcoef(teacher(windows)[:, 0], labels[owner, 0])[0, 1] > 0.95
    assert 0.5 < np.corrcoef(apart[:, 0], labels[owner, 0])[0, 1] < 0.99
    without, _ = fit_teacher(windows, owner, labels, [str(i) for i in range(n // 2)], harmony=False)
    assert "profile" not in without.shape.blocks


# --------------------------------------------------------------------------------------------------------- calibration


def clips_predicted(tag_set: str, tags: np.ndarray) -> Part:
    """A window a clip, of which nothing but the tags is looked at."""
    n = len(tags)
    windows = Windows(torch.zeros(n, 4, 1), torch.ones(n, 4, dtype=torch.bool), torch.zeros(n, 1, 3), torch.zeros(n, 1))
    clips = tuple(Clip(str(i), Path(), str(i)) for i in range(n))
    return Part(tag_set, windows, np.arange(n), np.zeros(n, np.int64), clips, tag_set, tags, None, None)


def test_modest_quadrants_are_sharpened_and_thresholds_lie_where_tags_begin() -> None:
    rng = np.random.default_rng(0)
    true = rng.dirichlet(np.ones(4), 3000)
    drawn = np.array([rng.choice(4, p=row) for row in true])
    modest = np.sqrt(true) / np.sqrt(true).sum(axis=1, keepdims=True)
    gems = np.linspace(0, 1, 100, dtype=np.float32)[:, None].repeat(9, axis=1)
    parts = [clips_predicted("quadrants", np.eye(4, dtype=np.float32)[drawn]), clips_predicted("gems", gems)]
    soft_targets = [{"quadrants": torch.from_numpy(modest)}, {"gems": torch.from_numpy(gems / 2)}]
    found = calibrate(parts, soft_targets)
    assert found.sharpness == pytest.approx(2, abs=0.15)
    assert np.allclose(found.sharpened(modest.astype(np.float32)).sum(axis=1), 1, atol=1e-5)
    assert found.thresholds["gems"] == pytest.approx([1 / 6] * 9, abs=0.01)
    assert found.named({"sadness": 0.2, "power": 0.1}) == ("sadness",)
    assert calibrate(parts, []) == Calibration()


# ------------------------------------------------------------------------------------------------------------- course


def test_the_course_follows_the_features_and_keeps_the_mean() -> None:
    rng = np.random.default_rng(0)
    n_clips, n_steps, n_features = 12, 90, 5
    steps = rng.normal(size=(n_clips, n_steps, n_features)).cumsum(axis=1).astype(np.float32)
    late = np.concatenate([np.repeat(steps[:, :1], 6, axis=1), steps[:, :-6]], axis=1)  # heard three seconds ago
    curves = np.stack([0.05 * late[..., 0], -0.05 * late[..., 1]], axis=2) + rng.normal(size=(n_clips, 1, 2))
    starts = window_starts(n_steps)
    owner, first = np.repeat(np.arange(n_clips), len(starts)), np.tile(starts, n_clips)
    rows = [slice(a, a + WINDOW_STEPS) for a in first]
    windows = Windows(
        torch.from_numpy(np.stack([steps[i, row] for i, row in zip(owner, rows, strict=True)])),
        torch.ones(len(owner), WINDOW_STEPS, dtype=torch.bool),
        torch.zeros(len(owner), 1, 3, dtype=torch.long),
        torch.zeros(len(owner), 1),
    )
    curve = torch.from_numpy(np.stack([curves[i, row] for i, row in zip(owner, rows, strict=True)]).astype(np.float32))
    clips = tuple(Clip(str(i), Path(), str(i)) for i in range(n_clips))
    part = Part("vgmidi", windows, owner, first, clips, "", None, None, curve)
    learnt, held = part.only(np.arange(n_clips) < 10), part.only(np.arange(n_clips) >= 10)
    course = fit_course([learnt])
    assert course is not None and fit_course([replace(learnt, curve=None)]) is None
    flat = np.broadcast_to(np.float32([0.3, -0.2]), (len(held.owner), WINDOW_STEPS, 2))
    for predicted, true in zip(held.over_time(apply_course(course, held, flat)), curves[10:], strict=True):
        assert predicted.mean(axis=0) == pytest.approx([0.3, -0.2], abs=1e-3)
        assert all(np.corrcoef(predicted[:, k], true[:, k])[0, 1] > 0.7 for k in (0, 1))
    again = Course.load(course.tensors())
    assert np.array_equal(apply_course(again, held, flat), apply_course(course, held, flat))
    assert apply_course(None, held, flat) is flat


# ----------------------------------------------------------------------------------------------------------- listeners


def test_concordance_is_one_only_on_the_diagonal() -> None:
    x = np.linspace(-1, 1, 50)
    assert concordance(x, x) == pytest.approx(1)
    assert concordance(x + 0.5, x) < 0.8
    assert concordance(-x, x) == pytest.approx(-1)


def test_bias_scale_and_lag_are_recovered() -> None:
    curve = np.cumsum(random.normal(0, 0.05, (200, 2)), axis=0).astype(np.float32)
    true = Affine((0.2, -0.3), (0.6, 1.4), 3)
    found = fit_affine([curve], [true(curve)], bias_spread=1, scale_spread=1, noise=0.02, correlated=1)
    assert found.lag == 3
    np.testing.assert_allclose([found.bias, found.scale], [true.bias, true.scale], atol=0.02)


def _listeners(n_pieces: int = 12, n_listeners: int = 5, seed: int = 0) -> Tasks:
    """Listeners with a bias of their own on curves that the recogniser knows."""
    rng = np.random.default_rng(seed)
    found, ratings = {}, {}
    for i in range(n_pieces):
        curve = np.cumsum(rng.normal(0, 0.05, (80, 2)), axis=0).clip(-1, 1).astype(np.float32)
        found[f"p{i}"] = RecognizedPiece(rng.normal(size=(80, 20)).astype(np.float32), curve)
        bias = rng.normal(0, 0.3, (1, 2, n_listeners))
        noise = np.cumsum(rng.normal(0, 0.02, (80, 2, n_listeners)), axis=0)
        ratings[f"p{i}"] = (curve[..., None] + bias + noise).astype(np.float32)
    return Tasks(found, ratings, {name: name for name in found})


def test_a_quarter_of_a_curve_helps_with_the_rest() -> None:
    found = evaluate_personal(_listeners(), n_folds=3, n_steps=100)
    errors = {name: row["valence"]["rmse"] for name, row in found["methods"].items()}
    assert errors["personal"] < errors["constant offset"] * 1.05
    assert errors["personal"] < 0.6 * errors["unpersonalised"]
    assert found["personal_against"]["unpersonalised"]["interval"][0] > 0
    assert found["simulated"]["scale"]["r"] > 0.9
    errors = found["simulated"]["rmse_on_another_piece"]
    assert errors["personal"] < errors["unpersonalised"]


def test_a_listeners_bias_carries_over_to_other_pieces() -> None:
    tasks = _listeners()
    model = fit_personal(tasks, n_steps=60)
    found = tasks.pieces["p0"]
    rated = found.curve + np.array([0.4, -0.4], np.float32)
    other = tasks.pieces["p1"]
    curve, variance = model.adapt(other, Listener(((found, rated),)))
    assert (curve - other.curve).mean(axis=0) == pytest.approx([0.4, -0.4], abs=0.2)
    plain, more = model.adapt(other, Listener(()))
    assert variance.mean() < more.mean()
    assert np.abs(plain - other.curve).mean() < 0.2
    again = PersonalModel.load(model.state_dict())
    np.testing.assert_allclose(again.adapt(other, Listener(((found, rated),)))[0], curve, atol=1e-5)


def test_ratings_lie_on_half_seconds() -> None:
    at = curve_on_steps(np.array([[1, 0, 0], [2, 1, -1]], np.float32), 8)
    assert np.isnan(at[0]).all()
    np.testing.assert_allclose(at[2], [0.25, -0.25])
    assert np.isnan(at[6:]).all()
    assert np.isnan(curve_on_steps(None, 3)).all()


# ----------------------------------------------------------------------------------------------------------- MERT


def _mert(folder: Path, **changes: object) -> dict[str, torch.Tensor]:
    """A checkpoint as MERT-v1-95M is laid out, with fewer numbers."""
    from safetensors.torch import save_file
    from transformers import HubertConfig, HubertModel

    torch.manual_seed(0)
    facts = {"hidden_size": 32, "num_hidden_layers": 7, "num_attention_heads": 4, "intermediate_size": 64,
             "conv_dim": [16] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}  # fmt: skip
    model = HubertModel(HubertConfig(**facts))
    tensors = {}
    for name, value in model.state_dict().items():
        name = name.replace("parametrizations.weight.original0", "weight_g")
        tensors[name.replace("parametrizations.weight.original1", "weight_v")] = value.contiguous()
    assert "encoder.pos_conv_embed.conv.weight_g" in tensors
    config = {**model.config.to_dict(), "model_type": "mert_model", "sample_rate": 24_000, "deepnorm": False,
              "feature_extractor_cqt": False, "attention_relax": -1.0,
              "auto_map": {"AutoModel": "modeling_MERT.MERTModel"}, **changes}  # fmt: skip
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "modeling_MERT.py").write_text("raise SystemExit('run from the hub')\n")
    return tensors


def test_mert_is_loaded_without_its_code(tmp_path: Path) -> None:
    tensors = _mert(tmp_path / "mert")
    encoder = MertEncoder.from_pretrained(tmp_path / "mert")
    assert (encoder.width, encoder.sample_rate, encoder.layers) == (64, 24_000, (5, 6))
    own = encoder.model.state_dict()
    for name, value in hubert_tensors(tensors).items():
        assert torch.equal(own[name], value), name
    samples = random.normal(0, 0.1, 24_000 * 3 + 100).astype(np.float32)
    found = encoder.encode(samples)
    assert found.shape == (7, 64)
    with torch.no_grad():
        padded = np.pad(samples, (0, 7 * 12_000 - len(samples)))
        hidden = encoder.model(torch.from_numpy(padded)[None], output_hidden_states=True).hidden_states
    whole = torch.cat([hidden[5][0], hidden[6][0]], dim=1)
    np.testing.assert_allclose(found.mean(axis=0), whole.mean(dim=0), atol=0.05)
    assert MertEncoder.from_pretrained(tmp_path / "mert", layers=(0, 7)).encode(samples).shape == (7, 64)


def test_a_mert_that_is_none_is_refused(tmp_path: Path) -> None:
    _mert(tmp_path / "deep", deepnorm=True)
    with pytest.raises(InputError, match="deepnorm"):
        MertEncoder.from_pretrained(tmp_path / "deep")
    _mert(tmp_path / "other", model_type="bert")
    with pytest.raises(InputError, match="'bert'"):
        MertEncoder.from_pretrained(tmp_path / "other")
    _mert(tmp_path / "endless", num_hidden_layers=10**9)
    with pytest.raises(InputError, match="num_hidden_layers is 1000000000, legal"):
        MertEncoder.from_pretrained(tmp_path / "endless")
    _mert(tmp_path / "narrow", hidden_size=64)
    with pytest.raises(InputError, match="wrong shape"):
        MertEncoder.from_pretrained(tmp_path / "narrow")
    _mert(tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").rename(tmp_path / "pickled" / "pytorch_model.bin")
    with pytest.raises(InputError, match="does not unpickle"):
        MertEncoder.from_pretrained(tmp_path / "pickled")
    _mert(tmp_path / "short")
    with pytest.raises(InputError, match="layers 0 to 7"):
        MertEncoder.from_pretrained(tmp_path / "short", layers=(8,))


def test_mert_small_is_trained_resumed_and_loaded(tmp_path: Path) -> None:
    (tmp_path / "songs").mkdir()
    for i in range(5):
        _midi(tmp_path / "songs" / f"{i}.mid", i)
    sound(tmp_path / "songs" / "noise.wav", 7.0)
    (tmp_path / "songs" / "broken.mid").write_bytes(b"MThd")
    takes = make_takes([tmp_path / "songs"], tmp_path / "cache", n_takes=2, workers=1, embed=False)
    assert len(takes) == 12
    config = PretrainConfig(
        n_steps=4, batch=2, crop_sec=2.0, save_every=2, n_held_out=1, hidden=32, n_layers=2, conv=16
    )
    whole = pretrain(takes, tmp_path / "whole", config=config)
    assert whole["steps"] == 4
    stopped = pretrain(takes, tmp_path / "parts", config=config, minutes=1e-6)
    assert stopped["steps"] == 1
    resumed = pretrain(takes, tmp_path / "parts", config=config)
    assert resumed["total"] == pytest.approx(whole["total"], abs=1e-4)
    encoder = MertEncoder.from_pretrained(tmp_path / "whole", layers=(1, 2))
    assert encoder.encode(np.zeros(24_000, np.float32)).shape == (2, 64)
    with pytest.raises(InputError, match="other settings"):
        pretrain(takes, tmp_path / "parts", config=PretrainConfig(n_steps=5))
    with pytest.raises(InputError, match="too few"):
        pretrain(takes[:2], tmp_path / "few", config=config)
