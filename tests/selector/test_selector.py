"""The selector: events tell the music, damage grows with its grade, ratings are sound, stopped runs go on exactly."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from muse.checkpoint import load_tensors
from muse.dataset.build import build_corpus
from muse.dataset.read import Corpus
from muse.errors import InputError
from muse.hearing.forest import Forest
from muse.score import NOTE_DTYPE, Score, from_notes, note_array, write_score
from muse.selector.config import Config
from muse.selector.encoder import Encoder
from muse.selector.events import FIELDS, HEADER, METRIC, Passage, encode, passage, passages
from muse.selector.experts import AttributeExperts
from muse.selector.model import Selector
from muse.selector.network import Network, collate
from muse.tokens import Codec
from muse.training.selector.damage import GRADES, KINDS, corrupt
from muse.training.selector.experts import fit_experts

pytest.importorskip("lightning")

from muse.training.selector.data import Batches, Library, _varied
from muse.training.selector.fit import train
from muse.training.selector.losses import emotion_loss, misplaced_loss, quality_loss
from muse.training.selector.settings import Settings

FIELD = {name: i for i, name in enumerate(FIELDS)}
SMALL = {"width": 32, "layers": 1, "heads": 2, "emotion_rows": 4, "genre_rows": 2, "spoilt_groups": 1}


def a_tune(rng: np.random.Generator, n_bars: int, *, key: int = 0, grid: bool = True) -> Score:
    """Eighths over long bass notes; off the grid, every onset is moved at random."""
    rows = []
    for step in range(8 * n_bars):
        beat = step / 2 + (0.0 if grid else float(rng.uniform(0, 0.45)))
        rows.append((beat, 0.5, 0.0, 0.0, 60 + key + int(rng.choice([0, 2, 4, 5, 7, 9, 11])), 80, 0, 0))
        if step % 8 == 0:
            rows.append((beat, 4.0, 0.0, 0.0, 36 + key + int(rng.choice([0, 5, 7])), 70, 0, 0))
    return from_notes(np.array(rows, NOTE_DTYPE), tempo_bpm=100)


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    network = Network(Config(width=32, layers=2, heads=2)).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network


# --------------------------------------------------------------------------------------------------------------- events


def test_ids_are_read_as_miditok_reads_them(song: Score) -> None:
    codec = Codec.default()
    ids = codec.encode_score(song, 8)
    read, decoded = passage(ids).notes, note_array(codec.decode(ids))
    order = np.lexsort((decoded["program"], decoded["pitch"], np.rint(decoded["onset_beat"] * 48)))
    for name in ("onset_beat", "duration_beat", "pitch", "velocity", "program"):
        np.testing.assert_allclose(read[name], decoded[order][name], atol=1e-6, err_msg=name)
    np.testing.assert_allclose(read["onset_sec"], decoded[order]["onset_sec"], atol=1e-3)


def test_ids_without_music_are_refused() -> None:
    with pytest.raises(InputError, match="no note"):
        passage(np.array([Codec.default().vocabulary.bar], np.uint16))


def test_a_score_and_its_ids_give_the_same_events(song: Score) -> None:
    ids = Codec.default().encode_score(song, 8)
    events, header = encode(passage(ids))
    (window,) = passages(Codec.default().decode(ids))
    again, header_again = encode(window)
    np.testing.assert_array_equal(events, again)
    np.testing.assert_array_equal(header, header_again)


def test_degrees_do_not_know_the_key(rng: np.random.Generator) -> None:
    state = rng.bit_generator.state
    found = []
    for key in (0, 3):
        rng.bit_generator.state = state
        found.append(encode(passages(a_tune(rng, 16, key=key))[0])[0])
    low, high = found
    np.testing.assert_array_equal(low[:, FIELD["degree"]], high[:, FIELD["degree"]])
    np.testing.assert_array_equal(low[:, FIELD["pitch"]] + 3, high[:, FIELD["pitch"]])


def test_voice_leading_and_echoes_are_told() -> None:
    rows = [(0, 60), (0, 67), (1, 62), (1, 62), (4, 60), (5, 74), (12, 60), (12, 67), (13, 40)]
    notes = np.zeros(len(rows), NOTE_DTYPE)
    notes["onset_beat"], notes["pitch"] = np.array(rows).T
    notes["duration_beat"], notes["velocity"] = 0.5, 80
    events, _ = encode(Passage(notes, 120.0, (4, 4), True).with_notes(notes))
    # Nearest note of the onset before, in semitones plus one; 15 = there is none, 14 = farther than an octave.
    assert events[:, FIELD["lead"]].tolist() == [15, 15, 3, 3, 3, 14, 14, 8, 14]
    # Bars since the same note at the same place; 17 = never before; a doubled note echoes what the first does.
    assert events[:, FIELD["echo"]].tolist() == [17, 17, 17, 17, 1, 17, 2, 3, 17]


def test_a_performance_has_no_meter_and_keeps_its_seconds(rng: np.random.Generator) -> None:
    (window, *_) = passages(a_tune(rng, 16, grid=False))
    assert not window.on_grid
    events, header = encode(window)
    assert (events[:, [FIELD[name] for name in METRIC]] == 0).all()
    assert header[1] == header[2] == 0
    assert (events[:, FIELD["gap_sec"]] > 0).all()


def test_long_pieces_are_read_in_windows_to_their_end(rng: np.random.Generator) -> None:
    on_grid, played = passages(a_tune(rng, 50)), passages(a_tune(rng, 50, grid=False))
    assert [round(window.start_sec, 1) for window in on_grid] == [0.0, 40.8, 81.6] or len(on_grid) == 3
    assert len(played) == 4
    assert played[-1].start_sec + 32 == pytest.approx(50 * 2.4, abs=2.5)


def test_too_few_notes_are_refused() -> None:
    notes = np.zeros(3, NOTE_DTYPE)
    notes["pitch"], notes["duration_beat"], notes["velocity"], notes["onset_beat"] = 60, 1, 80, range(3)
    with pytest.raises(InputError, match="3 notes; the selector reads 4 or more"):
        passages(from_notes(notes))


# --------------------------------------------------------------------------------------------------------------- damage


@pytest.fixture
def window(rng: np.random.Generator) -> Passage:
    return passages(a_tune(rng, 16))[0]


@pytest.fixture
def donor(rng: np.random.Generator) -> Passage:
    rng.random()
    return passages(a_tune(rng, 16, key=2))[0]


def changed(a: Passage, b: Passage) -> float:
    """Share of notes (onset, pitch, length) of the first that the second lacks."""
    keep = [
        {(round(n["onset_beat"] * 12), int(n["pitch"]), round(n["duration_beat"] * 12)) for n in one.notes}
        for one in (a, b)
    ]
    return len(keep[0] - keep[1]) / len(keep[0])


@pytest.mark.parametrize("kind", KINDS)
def test_damage_grows_with_its_grade_and_leaves_music(kind: str, window: Passage, donor: Passage) -> None:
    spoilt = [corrupt(window, kind, share, donor, seed=3) for share in GRADES]
    shares = [changed(window, one) for one in spoilt]
    assert shares[0] > 0
    assert shares == sorted(shares)
    assert shares[-1] > 0.5
    for one in spoilt:
        assert (np.diff(np.rint(one.notes["onset_beat"] * 12)) >= 0).all()
        assert one.notes["pitch"].min() >= 21 and one.notes["pitch"].max() <= 108
        assert (one.notes["duration_sec"] > 0).all()
    again = corrupt(window, kind, GRADES[1], donor, seed=3)
    np.testing.assert_array_equal(again.notes, spoilt[1].notes)


@pytest.mark.parametrize("kind", KINDS)
def test_damage_tells_which_notes_it_put_there(kind: str, window: Passage, donor: Passage) -> None:
    def place(note: np.void) -> tuple[int, int, int]:
        return round(note["onset_beat"] * 12), int(note["pitch"]), round(note["duration_beat"] * 12)

    before = {place(note) for note in window.notes}
    spoilt = corrupt(window, kind, 0.5, donor, seed=4)
    assert spoilt.misplaced is not None and 0.1 < spoilt.misplaced.mean() < 0.9
    assert spoilt.misplaced.tolist() == [place(note) not in before for note in spoilt.notes]


def test_marks_stay_with_their_notes_when_windows_are_varied(window: Passage, donor: Passage) -> None:
    """A chord's notes change places where their onsets are shaken."""
    spoilt = corrupt(window, "shuffled_bars", 0.5, donor, seed=4)
    assert spoilt.misplaced is not None
    notes = spoilt.notes.copy()
    notes["velocity"] = 1 + np.arange(len(notes)) % 127
    spoilt = spoilt.with_notes(notes, spoilt.misplaced)
    assert spoilt.misplaced is not None
    names = list(zip(spoilt.notes["pitch"].tolist(), spoilt.misplaced.tolist(), strict=True))
    for seed in range(4):
        [varied] = _varied([spoilt], np.random.default_rng(seed), hide_bars=1.0)
        assert varied.misplaced is not None
        moved = round(float(varied.notes["pitch"].mean() - spoilt.notes["pitch"].mean()))
        told = list(zip((varied.notes["pitch"] - moved).tolist(), varied.misplaced.tolist(), strict=True))
        assert sorted(told) == sorted(names)


def test_pasted_over_as_a_whole_a_window_is_no_piece_of_its_own(window: Passage, donor: Passage) -> None:
    """Every two bars are in a key of their own."""
    spoilt = corrupt(window, "pasted_sections", 1.0, donor, seed=1)
    bar = np.floor(spoilt.notes["onset_beat"] / 4).astype(int)
    keys = {tuple(sorted(set((spoilt.notes["pitch"][bar // 2 == k] % 12).tolist()))) for k in range(8)}
    assert len(keys) > 3


# -------------------------------------------------------------------------------------------------------------- experts


@pytest.fixture(scope="module")
def experts() -> AttributeExperts:
    rng = np.random.default_rng(0)
    clips = [a_tune(rng, 4 if i % 2 else 8, key=int(rng.integers(12))) for i in range(24)]
    quick = np.array([i % 2 for i in range(24)])
    scores = [from_notes(note_array(one), tempo_bpm=180 if q else 60) for one, q in zip(clips, quick, strict=True)]
    ratings = np.stack([np.zeros(24), np.where(quick, 0.7, -0.7)], axis=1)
    labels = np.where(quick, np.arange(24) // 2 % 2, 2 + np.arange(24) // 2 % 2)
    return fit_experts(scores, labels, [str(i // 2) for i in range(24)], scores, ratings)[0]


def test_experts_tell_quick_from_slow(experts: AttributeExperts) -> None:
    tune = a_tune(np.random.default_rng(9), 8)
    for tempo, arousal in ((180, 0.7), (60, -0.7)):
        log_shares, point = experts.predict(from_notes(note_array(tune), tempo_bpm=tempo))
        shares = np.exp(log_shares)
        assert shares.sum() == pytest.approx(1, abs=1e-6)
        assert (shares[:2].sum() > 0.52) == (arousal > 0) and (shares[2:].sum() > 0.52) == (arousal < 0)
        assert point[1] == pytest.approx(arousal, abs=0.45) and abs(point[0]) < 0.1


def test_a_forest_tells_what_scikit_learn_tells() -> None:
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    rng = np.random.default_rng(0)
    x, new = rng.normal(size=(60, 5)), rng.normal(size=(40, 5)).astype(np.float32).astype(float)
    plane = ExtraTreesRegressor(20, random_state=0).fit(x, np.stack([x[:, 0], x[:, 1] ** 2], axis=1))
    classes = ExtraTreesClassifier(20, random_state=0).fit(x, (x[:, 2] > 0) + (x[:, 3] > 0))
    for ensemble, wanted in ((plane, plane.predict(new)), (classes, classes.predict_proba(new))):
        forest = Forest.of([tree.tree_ for tree in ensemble.estimators_])
        np.testing.assert_allclose(forest.mean(new), wanted, atol=1e-5)


def test_experts_come_back_from_a_folder(experts: AttributeExperts, tmp_path: Path) -> None:
    tune = a_tune(np.random.default_rng(9), 8)
    experts.save_columns(tmp_path)
    again = AttributeExperts.load(experts.tensors(), tmp_path)
    for a, b in zip(again.predict(tune), experts.predict(tune), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(InputError, match="lack 'spread'"):
        AttributeExperts.load({name: v for name, v in experts.tensors().items() if name != "spread"}, tmp_path)
    with pytest.raises(InputError, match="damaged"):
        AttributeExperts.load(experts.tensors() | {"plane.child": experts.tensors()["plane.child"][:3]}, tmp_path)


def test_experts_need_clips_of_every_quadrant() -> None:
    tune = a_tune(np.random.default_rng(9), 8)
    with pytest.raises(InputError, match="no clip is of Q4"):
        fit_experts([tune] * 3, np.arange(3), list("abc"), [tune] * 5, np.zeros((5, 2)))


def test_experts_have_a_say_in_ratings(network: Network, experts: AttributeExperts) -> None:
    tune = from_notes(note_array(a_tune(np.random.default_rng(9), 8)), tempo_bpm=180)
    read = network.reader()
    config = replace(network.config, attribute_weight=1.0)
    [alone], [both] = (Selector(config, read, by).rate([tune]) for by in (None, experts))
    assert sum(both.quadrants[:2]) > sum(alone.quadrants[:2])
    assert abs(both.emotion.arousal - 0.7) < abs(alone.emotion.arousal - 0.7)
    assert both.quality == alone.quality and both.genres == alone.genres


# ---------------------------------------------------------------------------------------------------------------- model


def encoder_of(network: Network) -> Encoder:
    return Encoder(network.config, {name: values.numpy() for name, values in network.state_dict().items()})


def test_the_numpy_network_is_the_trained_one(network: Network, rng: np.random.Generator) -> None:
    """Of windows on and off the grid, and of one with a single event."""
    encoder, read = encoder_of(network), network.reader()
    assert set(network.config.tensors()) == {
        name for name in network.state_dict() if not name.startswith("masked.")
    }  # fmt: skip
    for name, shape in network.config.tensors().items():
        assert tuple(network.state_dict()[name].shape) == shape, name
    windows = [encode(passages(a_tune(rng, n, grid=grid))[0]) for n, grid in ((4, True), (16, False))]
    for events, header in (*windows, (windows[0][0][:1], windows[0][1])):
        ours, theirs = encoder(events, header), read(events, header)
        assert list(ours) == list(theirs)
        for name in ours:
            np.testing.assert_allclose(ours[name], theirs[name], atol=2e-4, rtol=1e-4, err_msg=name)


def test_padding_changes_nothing(network: Network, rng: np.random.Generator) -> None:
    rows = [encode(passages(a_tune(rng, n))[0]) for n in (4, 16)]
    with torch.inference_mode():
        together = network(*collate(rows))
        alone = network(*collate(rows[:1]))
    for name in together:
        torch.testing.assert_close(together[name][:1], alone[name], atol=1e-4, rtol=1e-4)


def test_ratings_are_probabilities_and_do_not_depend_on_company(network: Network, rng: np.random.Generator) -> None:
    selector = Selector(network.config, encoder_of(network))
    scores = [a_tune(rng, 16), a_tune(rng, 40), a_tune(rng, 8, grid=False)]
    ratings = selector.rate(scores)
    for rating in ratings:
        assert 0 <= rating.quality <= 1
        assert sum(rating.quadrants) == pytest.approx(1)
        assert sum(rating.genres.values()) == pytest.approx(1)
        assert min(rating.spread) > 0
        assert rating.genre in rating.to_json()["genres"]
    alone = selector.rate(scores[1:2])[0]
    assert alone == ratings[1]
    curve = selector.curve(scores[1])
    assert [start for start, _ in curve] == sorted(start for start, _ in curve)
    assert len(curve) == len(passages(scores[1]))
    embedding = selector.embed(scores)
    assert embedding.shape == (3, 32) and embedding.dtype == np.float32
    np.testing.assert_allclose(selector.embed(scores[2:])[0], embedding[2], atol=1e-5)
    assert selector.rate([]) == []


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    with pytest.raises(InputError, match=r"holds no muse-selector model: config\.json says 'llama'"):
        Selector.from_pretrained(tmp_path)


# --------------------------------------------------------------------------------------------------------------- losses


def test_quality_loss_is_about_order_within_groups_alone() -> None:
    group, rank = torch.tensor([0, 0, 1, -1]), torch.tensor([[0, 0], [1, 0], [0, 0], [0, 0]])
    right = quality_loss(torch.tensor([3.0, -3.0, -9.0, 9.0]), group, rank)
    wrong = quality_loss(torch.tensor([-3.0, 3.0, -9.0, 9.0]), group, rank)
    assert right is not None and wrong is not None
    assert float(right) == pytest.approx(np.log1p(np.exp(-6)))
    assert float(wrong) == pytest.approx(np.log1p(np.exp(6)))
    assert quality_loss(torch.zeros(2), torch.tensor([-1, -1]), torch.tensor([0, 1])) is None


def test_misplaced_loss_passes_over_what_is_not_known() -> None:
    known = torch.tensor([[1.0, 0.0, float("nan")]])
    loss = misplaced_loss(torch.tensor([[2.0, -2.0, 50.0]]), known)
    assert loss is not None and loss.item() == pytest.approx(np.log1p(np.exp(-2)), abs=1e-6)
    assert misplaced_loss(torch.zeros(1, 3), torch.full((1, 3), float("nan"))) is None


def test_emotion_loss_passes_over_what_is_not_known() -> None:
    out = {
        "quadrant": torch.zeros(3, 4),
        "mean": torch.tensor([[0.5, -0.5], [0.0, 0.0], [0.9, 0.9]], requires_grad=True),
        "log_variance": torch.zeros(3, 2),
    }
    batch = {
        "quadrant": torch.tensor([-1, -1, -1]),
        "rating": torch.tensor([[0.5, 0.5], [float("nan")] * 2, [float("nan")] * 2]),
        "signs_only": torch.tensor([False, False, False]),
    }
    loss = emotion_loss(out, batch)
    assert loss is not None
    assert loss.item() == pytest.approx(0.5)  # half the squared error of arousal, 1, at unit variance
    loss.backward()
    assert out["mean"].grad is not None
    assert out["mean"].grad[1:].abs().sum() == 0
    batch["rating"][0] = float("nan")
    assert emotion_loss(out, batch) is None


# ------------------------------------------------------------------------------------------------------------- training


def test_only_what_is_known_to_be_better_is_learnt() -> None:
    """Hotter samples of the trained generator and cooler ones of an early stage are in no order."""
    group = torch.zeros(2, dtype=torch.long)
    apart = torch.tensor([[1, 2], [2, 0]])
    assert quality_loss(torch.tensor([1.0, -1.0]), group, apart) is None
    loss = quality_loss(torch.tensor([1.0, -1.0]), group, torch.tensor([[1, 0], [2, 0]]))
    assert loss is not None and float(loss) == pytest.approx(np.log1p(np.exp(-2)))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Clips named as EMOPIA names them: quick and high ones of Q1, slow and low ones of Q3."""
    folder = tmp_path_factory.mktemp("songs") / "emopia"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(48):
        tune = a_tune(rng, 16, key=int(rng.integers(12)))
        write_score(tune, folder / f"Q{1 + i % 4}_song{i:07d}_0.mid")
    out = tmp_path_factory.mktemp("dataset")
    build_corpus([folder], out, n_processes=1)
    return Corpus(out)


@pytest.fixture(scope="module")
def samples(corpus: Corpus) -> list[tuple[tuple[int, int], np.ndarray]]:
    ids = corpus.column("tokens", split="train")
    return [((0, i % 2), ids[i]) for i in range(4)]  # type: ignore[call-overload]


def test_labels_reach_the_batch(corpus: Corpus, samples: list[tuple[tuple[int, int], np.ndarray]]) -> None:
    library = Library(corpus, "train")
    assert set(library.quadrant.tolist()) == {0, 1, 2, 3}
    batch = next(iter(Batches(library, samples, Settings(**SMALL, sample_groups=1))))  # type: ignore[arg-type]
    assert len(batch["quadrant"]) == 4 + 2 * (len(library.genre[library.genre >= 0]) > 0) + 3 + 3
    assert sorted(batch["rank"][batch["group"] == 0].tolist()) == [[0, 0], [1, 0], [1, 1]]
    assert (batch["quadrant"][batch["rank"].sum(-1) > 0] == -1).all()  # what is spoilt carries no label
    assert (batch["quadrant"] >= 0).sum() >= 4
    marks = torch.cat([part.flatten() for part in batch["misplaced"]])
    known = marks[torch.isfinite(marks)]
    assert 0 < known.mean() < 0.8  # of one real window and two grades of damage


def test_batches_depend_on_seed_and_step_alone(
    corpus: Corpus, samples: list[tuple[tuple[int, int], np.ndarray]]
) -> None:
    from itertools import islice

    library = Library(corpus, "train")
    for tasks in (("masked",), ("quality", "emotion", "genre")):
        settings = Settings(tasks=tasks, batch_events=600, **SMALL)  # type: ignore[arg-type]
        whole = list(islice(iter(Batches(library, samples, settings)), 5))
        later = list(islice(iter(Batches(library, samples, settings, 3)), 2))
        for a, b in zip(whole[3:], later, strict=True):
            for first, second in zip(a["chunks"], b["chunks"], strict=True):
                assert all(torch.equal(x, y) for x, y in zip(first, second, strict=True))


def test_both_stages_learn_and_a_stopped_run_goes_on_exactly(
    corpus: Corpus, samples: list[tuple[tuple[int, int], np.ndarray]], tmp_path: Path
) -> None:
    import lightning

    class Stop(lightning.Callback):
        def on_train_batch_end(self, trainer: lightning.Trainer, *_: object) -> None:
            trainer.should_stop = trainer.global_step >= 4

    size = {name: SMALL[name] for name in ("width", "layers", "heads")}
    masked = {**size, "tasks": ("masked",), "batch_events": 600, "validate_every": 10, "warmup_steps": 5, "threads": 1}
    train(corpus.folder, tmp_path / "pre", progress=False, max_steps=30, learning_rate=3e-3, **masked)
    history = json.loads((tmp_path / "pre" / "metrics.json").read_text())["history"]
    assert history[-1]["masked"] < history[0]["masked"]

    tasks = {**SMALL, "init": str(tmp_path / "pre"), "validate_every": 2, "threads": 1, "max_steps": 6}
    train(corpus.folder, tmp_path / "whole", progress=False, samples=samples, **tasks)
    train(corpus.folder, tmp_path / "parts", progress=False, samples=samples, callbacks=[Stop()], **tasks)
    train(corpus.folder, tmp_path / "parts", progress=False, samples=samples, **tasks)
    a, b = (load_tensors(tmp_path / name, "np") for name in ("whole", "parts"))
    assert not any(name.startswith("masked") for name in a)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])
    rating = Selector.from_pretrained(tmp_path / "whole").rate([a_tune(np.random.default_rng(0), 16)])[0]
    assert 0 < rating.quality < 1


@pytest.mark.parametrize("name", ["selector-first", "selector"])
def test_stored_settings_are_legal(name: str) -> None:
    stored = json.loads((Path(__file__).parents[2] / "checkpoints" / f"{name}.json").read_text(encoding="utf-8"))
    settings = Settings(**{**stored, "tasks": tuple(stored["tasks"])})
    assert set(settings.damage_weights) <= set(KINDS)


def test_unknown_settings_are_refused(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown training setting 'leraning_rate': did you mean"):
        train(corpus.folder, tmp_path / "x", leraning_rate=1)
    with pytest.raises(InputError, match="unknown task loudness"):
        Settings(tasks=("loudness",))


def test_field_sizes_hold_every_value(rng: np.random.Generator, song: Score) -> None:
    for score in (song, a_tune(rng, 16), a_tune(rng, 16, grid=False)):
        for window in passages(score):
            events, header = encode(window)
            assert (events >= 0).all() and (events < np.array(list(FIELDS.values()))).all()
            assert (header >= 0).all() and (header < np.array(list(HEADER.values()))).all()
