"""Baselines: the n-gram model against counts by hand, and EmoGen's commands against the published ones."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import symusic

from muse.dataset.build import build_corpus
from muse.dataset.read import Corpus
from muse.errors import InputError
from muse.evaluate.metrics.check import check_piece
from muse.evaluate.systems import ngram
from muse.evaluate.systems.emogen import EmoGenMapping, emogen_intent
from muse.evaluate.systems.ngram import NGram
from muse.intent import Intent
from muse.score import DRUMS, note_array, write_score
from muse.tokens import SONG_CONTROLS, Codec, Controls

CODEC = Codec.default()
V = CODEC.vocabulary
FIRST = V.pitch[0]  # any ids above the controls do for sequences without musical meaning


def fitted(windows: Sequence[Sequence[int]], n: int) -> NGram:
    return NGram._of([np.array(window) for window in windows], n, CODEC)


def random_windows(rng: np.random.Generator, n_windows: int, length: int, n_tokens: int) -> list[list[int]]:
    """Sequences with some structure: the next token is near the last one more often than not."""
    windows = []
    for _ in range(n_windows):
        steps = rng.choice([0, 1, 2, 3, 5], size=length, p=[0.3, 0.3, 0.2, 0.1, 0.1])
        windows.append((FIRST + np.cumsum(steps) % n_tokens).tolist())
    return windows


class Oracle:
    """Interpolated modified Kneser-Ney as the paper writes it: dictionaries of tuples, one probability at a time."""

    def __init__(self, windows: Sequence[Sequence[int]], n: int) -> None:
        self.n = n
        raw: dict[int, Counter[tuple[int, ...]]] = {k: Counter() for k in range(1, n + 1)}
        left: dict[int, defaultdict[tuple[int, ...], set[int]]] = {k: defaultdict(set) for k in range(1, n + 1)}
        for window in windows:
            padded = [V.bos] * n + list(window)
            for end in range(n, len(padded)):
                for k in range(1, n + 1):
                    gram = tuple(padded[end - k + 1 : end + 1])
                    raw[k][gram] += 1
                    left[k][gram].add(padded[end - k])
        self.counts = {
            k: {g: c if k == n or g[0] == V.bos else len(left[k][g]) for g, c in raw[k].items()} for k in raw
        }
        self.discounts = {k: self._discounts(list(counts.values())) for k, counts in self.counts.items()}

    @staticmethod
    def _discounts(counts: list[int]) -> list[float]:
        n1, n2, n3, n4 = (counts.count(i) for i in (1, 2, 3, 4))
        if min(n1, n2, n3) > 0:
            y = n1 / (n1 + 2 * n2)
            found = [1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]
            if all(0 < d < i for i, d in enumerate(found, start=1)):
                return [0, *found]
        return [0, 0.5, 1.0, 1.5]

    def probability(self, token: int, context: Sequence[int], k: int | None = None) -> float:
        k = self.n if k is None else k
        if k == 0:
            return 1 / len(V)
        before = tuple(context[len(context) - k + 1 :])
        follows = {g[-1]: c for g, c in self.counts[k].items() if g[:-1] == before}
        if not follows:
            return self.probability(token, context, k - 1)
        total, count = sum(follows.values()), follows.get(token, 0)
        left = sum(self.discounts[k][min(c, 3)] for c in follows.values()) / total
        own = (count - self.discounts[k][min(count, 3)]) / total
        return own + left * self.probability(token, context, k - 1)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_probabilities_are_those_of_the_paper(n: int, rng: np.random.Generator) -> None:
    windows = random_windows(rng, 20, 60, 12)
    model, oracle = fitted(windows, n), Oracle(windows, n)
    seen = windows[3][10:20]
    contexts = [seen, windows[0][:2], [V.bos] * 5, [FIRST + 8, FIRST + 1, *seen[:1]], [FIRST + 500, FIRST, FIRST + 1]]
    for context in contexts:
        padded = [V.bos] * n + list(context)
        expected = [oracle.probability(token, padded) for token in range(FIRST - 1, FIRST + 13)]
        np.testing.assert_allclose(model.probabilities(padded)[FIRST - 1 : FIRST + 13], expected, rtol=1e-5)


def test_both_kinds_of_discounts_were_compared(rng: np.random.Generator) -> None:
    """The comparison above would say little if every order fell back, or none."""
    used = Oracle(random_windows(rng, 20, 60, 12), 5).discounts
    assert used[1] == [0, 0.5, 1.0, 1.5]
    assert all(used[k] != [0, 0.5, 1.0, 1.5] for k in (2, 3, 4, 5))


def test_probabilities_sum_to_one(rng: np.random.Generator) -> None:
    windows = random_windows(rng, 12, 40, 9)
    model = fitted(windows, 5)
    contexts = [windows[0][:k] for k in range(1, 10)] + [[FIRST + 700 - i for i in range(4)], [V.bos] * 4, []]
    for context in contexts:
        probabilities = model.probabilities(context)
        assert probabilities.shape == (len(V),)
        assert probabilities.min() > 0  # a token that the grammar forces must have a finite logit
        assert probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_scores_are_the_probabilities_along_the_windows(rng: np.random.Generator) -> None:
    model = fitted(random_windows(rng, 12, 40, 9), 4)
    held_out = random_windows(rng, 2, 15, 11)  # with tokens that were never seen
    expected = []
    for window in held_out:
        padded = [V.bos] * 4 + window
        expected += [np.log(model.probabilities(padded[:i])[padded[i]]) for i in range(5, len(padded))]
    np.testing.assert_allclose(model._log_probabilities([np.array(window) for window in held_out]), expected, rtol=1e-5)


def test_a_periodic_sequence_is_continued() -> None:
    period = [FIRST + i for i in (0, 3, 0, 5, 1, 0, 3, 2)]  # tells itself apart by three tokens, not by one
    model = fitted([period * 50], 4)
    text = period[:4]
    while len(text) < 40:
        probabilities = model.probabilities(text)
        text.append(int(probabilities.argmax()))
        assert probabilities.max() > 0.9
    assert text == (period * 5)[:40]


def test_more_context_tells_more() -> None:
    period = [FIRST + i for i in (0, 3, 0, 5, 1, 0, 3, 2)]
    losses = [-fitted([period * 50], n)._log_probabilities([np.array(period * 5)]).mean() for n in (1, 2, 3, 4)]
    assert all(short > long + 0.1 for short, long in itertools.pairwise(losses[:3]))
    assert losses[3] < 0.2


@pytest.mark.parametrize("n", [0, 7])
def test_n_grams_must_fit_into_64_bits(n: int) -> None:
    with pytest.raises(InputError, match=r"n is \d; legal are 1\.\.6"):
        fitted([[FIRST]], n)


# ---------------------------------------------------------------------- on music


def a_song(rng: np.random.Generator, n_bars: int = 16) -> symusic.Score:
    """A tune of piano and cello on sixteenths, with drums."""
    score = symusic.Score(480)
    score.time_signatures.append(symusic.TimeSignature(0, 4, 4))
    score.tempos.append(symusic.Tempo(0, qpm=float(rng.integers(60, 160))))
    piano, cello, drums = symusic.Track(program=0), symusic.Track(program=42), symusic.Track(is_drum=True)
    scale, key = [0, 2, 4, 5, 7, 9, 11], int(rng.integers(12))
    for bar in range(n_bars):
        for step in range(0, 16, 2):
            time = bar * 1920 + step * 120
            pitch = 60 + key + scale[int(rng.integers(7))]
            piano.notes.append(symusic.Note(time, 240, pitch, int(rng.integers(40, 100))))
            drums.notes.append(symusic.Note(time, 60, 36 + 2 * (step % 4 == 0), 90))
        cello.notes.append(symusic.Note(bar * 1920, 1920, 48 + key + scale[int(rng.integers(7))], 70))
    score.tracks.extend([piano, cello, drums])
    return score


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder, out = tmp_path_factory.mktemp("songs"), tmp_path_factory.mktemp("dataset")
    rng = np.random.default_rng(0)
    table = ["id,file,split,licence_class"]
    for i in range(16):
        write_score(a_song(rng), folder / f"song{i:02d}.mid")
        table.append(f"song{i:02d},song{i:02d}.mid,{'train' if i < 13 else 'val'},permissive")
    (folder / "metadata.csv").write_text("\n".join(table), encoding="utf-8")
    build_corpus([folder], out, n_processes=1, attributes="controls")
    return Corpus(out)


@pytest.fixture(scope="module")
def model(corpus: Corpus) -> NGram:
    return NGram.fit(corpus)


def test_held_out_music_is_told_from_shuffled_music(corpus: Corpus, model: NGram) -> None:
    nats = model.nats_per_token(corpus)
    assert 0 < nats < 2  # half of the tokens of this music are certain
    assert nats < NGram.fit(corpus, n=1).nats_per_token(corpus) - 1
    windows = ngram._windows(corpus, "val", CODEC)
    assert nats == pytest.approx(-model._log_probabilities(windows).mean())
    shuffled = [np.random.default_rng(0).permutation(window) for window in windows]
    assert -model._log_probabilities(shuffled).mean() > nats + 2


@pytest.mark.parametrize(
    "intent",
    [
        Intent(bars=4),
        Intent(bars=9, instruments="piano, cello", tempo_bpm=90, key="F#m"),
        Intent(bars=6, instruments="cello, drums", time_signature="3/4"),  # a meter that it never saw
        Intent(bars=4, instruments="flute", time_signature="6/8"),  # nor this instrument
    ],
    ids=["piano", "duo", "drums", "flute"],
)
def test_a_piece_has_what_was_asked_for(model: NGram, intent: Intent) -> None:
    for seed in range(3):
        score = model.compose(intent, seed)
        check = check_piece(score, intent)
        assert set(check.faults) <= {"missing instruments"}
        # Cello and drums together it has never seen: one of them may stay silent, which is a fault, but not both.
        assert len(check.missing_programs) <= ("drums" in intent.instruments)
        assert check.n_notes > intent.bars
        if intent.tempo_bpm:
            assert [tempo.qpm for tempo in score.tempos] == pytest.approx([intent.tempo_bpm], abs=0.01)


def test_the_same_seed_gives_the_same_piece(model: NGram) -> None:
    intent = Intent(bars=4, instruments="piano, cello")
    a, again, b = (note_array(model.compose(intent, seed)) for seed in (7, 7, 8))
    np.testing.assert_array_equal(a, again)
    assert len(a) != len(b) or (a != b).any()


def test_emotion_and_attributes_change_nothing(model: NGram) -> None:
    plain = note_array(model.compose(Intent(bars=4), 3))
    asked = Intent(bars=4, emotion="sad", attributes={"Mean Pitch": 80})
    np.testing.assert_array_equal(note_array(model.compose(asked, 3)), plain)


def test_what_it_writes_is_what_it_learnt(model: NGram) -> None:
    """Onsets on eighths and pitches of C major, as in the songs of the corpus; the grammar would allow others."""
    notes = note_array(model.compose(Intent(bars=16, key="C", instruments="piano, cello, drums"), 0))
    assert np.isclose(notes["onset_beat"] * 2 % 1, 0).mean() > 0.9
    assert np.isin(notes["pitch"][notes["program"] < DRUMS] % 12, [0, 2, 4, 5, 7, 9, 11]).mean() > 0.8


def test_a_split_without_windows_is_an_error(corpus: Corpus, model: NGram) -> None:
    with pytest.raises(InputError, match="no nowhere window"):
        model.nats_per_token(corpus, split="nowhere")


def test_the_engine_is_the_model_whatever_the_steps(model: NGram, corpus: Corpus) -> None:
    """Controls and header are not heard, rows are shared, dropped and fed as the sampler does it."""
    window = ngram._windows(corpus, "val", CODEC)[0].astype(np.int64)
    header = np.array([V.bos, V.null, V["TimeSig_4/4"], V["Program_0"], V["Program_42"]])
    controls = np.full(10, V.null)
    engine = ngram._NGramEngine(model).start(3)
    logits = engine.load(0, np.concatenate([header, window[:1], controls, window[1:20]]))
    padded = [V.bos] * 4 + window.tolist()

    def expected(n_heard: int) -> np.ndarray:
        return np.log(model.probabilities(padded[: 4 + n_heard]))

    assert len(logits) == 5 + 1 + 10 + 19
    np.testing.assert_allclose(logits[-1], expected(20), rtol=1e-6)
    np.testing.assert_allclose(logits[10], expected(1), rtol=1e-6)
    np.testing.assert_allclose(logits[4], expected(0), rtol=1e-6)
    engine.share(0, [1, 2])
    np.testing.assert_allclose(engine.extend(np.full((3, 1), V.null)), [expected(20)] * 3, rtol=1e-6)
    other = np.concatenate([window[20:22], [V.null]])
    logits = engine.extend(np.stack([window[20:23], other, window[20:23]]))
    np.testing.assert_allclose(logits[[0, 2]], [expected(23)] * 2, rtol=1e-6)
    np.testing.assert_allclose(logits[1], expected(22), rtol=1e-6)
    engine.keep(np.array([1]))
    np.testing.assert_allclose(engine.extend(window[None, 22:24])[0], expected(24), rtol=1e-6)
    assert engine.lengths.tolist() == [35 + 1 + 3 + 2]


# ---------------------------------------------------------------------- EmoGen


def test_commands_are_the_published_ones() -> None:
    mapping = EmoGenMapping.published()
    assert mapping.bits.shape == (4, 100)
    assert mapping.bits.sum(axis=1).tolist() == [58, 54, 53, 49]
    rows = {
        "Pitch Class Histogram_2": [1, 1, 0, 1],
        "Mean Pitch": [1, 1, 0, 0],
        "Minor Major Triad Ratio": [0, 1, 0, 0],
        "Note Density per Quarter Note": [1, 1, 0, 0],
        "Contrary Motion": [1, 0, 1, 1],
        "Average Note to Note Change in Dynamics": [0, 0, 1, 1],
    }
    for name, bits in rows.items():
        assert mapping.bits[:, mapping.names.index(name)].tolist() == bits


def test_distances_between_commands_are_the_published_ones() -> None:
    bits = EmoGenMapping.published().bits
    distances = {(a + 1, b + 1): int((bits[a] != bits[b]).sum()) for a, b in itertools.combinations(range(4), 2)}
    assert distances == {(1, 2): 36, (1, 3): 51, (1, 4): 55, (2, 3): 51, (2, 4): 67, (3, 4): 32}


def test_only_legal_controls_are_asked_for_in_the_right_half() -> None:
    controls, mapping = Controls.load(), EmoGenMapping.published()
    assert len(mapping.reachable) == 14
    assert set(mapping.reachable) < set(SONG_CONTROLS)
    for quadrant in (1, 2, 3, 4):
        intent = emogen_intent(quadrant, 8, controls)
        assert intent.emotion is None
        assert intent.tempo_bpm is None
        assert intent.key is None
        assert intent.bars == 8
        assert set(intent.attributes) == set(mapping.reachable)
        buckets = dict(zip(SONG_CONTROLS, controls.encode(intent.attributes, "song").tolist(), strict=True))
        for name in mapping.reachable:
            assert buckets[name] == (6 if mapping.bits[quadrant - 1, mapping.names.index(name)] else 1)


@pytest.mark.parametrize("quadrant", [0, 5])
def test_there_are_four_quadrants(quadrant: int) -> None:
    with pytest.raises(InputError, match=r"legal are 1\.\.4"):
        emogen_intent(quadrant, 8, Controls.load())


def test_a_command_is_learnt_from_the_most_typical_clip(rng: np.random.Generator) -> None:
    typical = np.array([[0, 0, 0, 1], [1, 1, 0, 0], [1, 0, 1, 0], [0, 1, 1, 1]], bool)
    flips = rng.random((4, 31, 4)) < 0.15
    flips[:, 0] = False  # one clip of each quadrant is typical throughout
    above = (typical[:, None] ^ flips).reshape(-1, 4)
    values = np.where(above, 5, 2) * rng.uniform(0.8, 1.2, above.shape)
    values[above & (rng.random(above.shape) < 0.1)] *= 1000  # the mean would be no cut
    values = np.concatenate([values, [[np.nan] * 4]])  # as good as 0, so below
    quadrants = np.append(np.repeat([1, 2, 3, 4], 31), 1)
    cut = np.median(np.nan_to_num(values), axis=0)
    mapping = EmoGenMapping.fit(values, quadrants, list("abcd"))
    rows = (np.nan_to_num(values) > cut)[:, None] == mapping.bits
    for quadrant in (1, 2, 3, 4):
        own = rows[quadrants == quadrant, quadrant - 1]
        assert own.all(axis=1).any()  # it is a real clip's
    assert (mapping.bits == typical).mean() >= 15 / 16
    with pytest.raises(InputError, match="no clip is in Q4"):
        EmoGenMapping.fit(values, np.minimum(quadrants, 3), list("abcd"))


def test_the_table_names_source_and_licence() -> None:
    head = (Path(ngram.__file__).parent / "emogen.csv").read_text(encoding="utf-8").splitlines()[:4]
    assert "2307.01229" in " ".join(head)
    assert "MIT" in " ".join(head)
