"""Baselines: n-grams against counts by hand and in place of networks, EmoGen's commands against the published ones."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from kit import songs_like_pop909

from muse.dataset.lead_sheets import Sheet
from muse.errors import InputError
from muse.evaluate.metrics.check import check_piece
from muse.evaluate.systems import ngram
from muse.evaluate.systems.emogen import EmoGenMapping, emogen_intent
from muse.evaluate.systems.maker import from_stages
from muse.evaluate.systems.ngram import NGram, NGramStages
from muse.evaluate.systems.people import read_pop909
from muse.intent import Intent
from muse.score import note_array
from muse.tokens import SONG_CONTROLS, Controls
from muse.tokens.arrangement import VOCABULARY as ARRANGEMENT
from muse.tokens.plan import BOS
from muse.tokens.plan import VOCABULARY as PLAN

FIRST, SIZE = 20, 800  # any ids but BOS do for sequences without musical meaning


def fitted(windows: Sequence[Sequence[int]], n: int) -> NGram:
    return NGram.fit(windows, SIZE, n)


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
            padded = [BOS] * n + list(window)
            for end in range(n, len(padded)):
                for k in range(1, n + 1):
                    gram = tuple(padded[end - k + 1 : end + 1])
                    raw[k][gram] += 1
                    left[k][gram].add(padded[end - k])
        self.counts = {k: {g: c if k == n or g[0] == BOS else len(left[k][g]) for g, c in raw[k].items()} for k in raw}
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
            return 1 / SIZE
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
    contexts = [seen, windows[0][:2], [BOS] * 5, [FIRST + 8, FIRST + 1, *seen[:1]], [FIRST + 500, FIRST, FIRST + 1]]
    for context in contexts:
        padded = [BOS] * n + list(context)
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
    contexts = [windows[0][:k] for k in range(1, 10)] + [[FIRST + 700 - i for i in range(4)], [BOS] * 4, []]
    for context in contexts:
        probabilities = model.probabilities(context)
        assert probabilities.shape == (SIZE,)
        assert probabilities.min() > 0  # what the grammar allows must have a finite logit
        assert probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_scores_are_the_probabilities_along_the_windows(rng: np.random.Generator) -> None:
    model = fitted(random_windows(rng, 12, 40, 9), 4)
    held_out = random_windows(rng, 2, 15, 11)  # with tokens that were never seen
    expected = []
    for window in held_out:
        padded = [BOS] * 4 + window
        expected += [np.log(model.probabilities(padded[:i])[padded[i]]) for i in range(4, len(padded))]
    np.testing.assert_allclose(model.log_probabilities(held_out), expected, rtol=1e-5)


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
    losses = [-fitted([period * 50], n).log_probabilities([period * 5]).mean() for n in (1, 2, 3, 4)]
    assert all(short > long + 0.1 for short, long in itertools.pairwise(losses[:3]))
    assert losses[3] < 0.2


@pytest.mark.parametrize("n", [0, 7])
def test_n_grams_must_fit_into_64_bits(n: int) -> None:
    with pytest.raises(InputError, match=r"n is \d; legal are 1\.\.6"):
        fitted([[FIRST]], n)


# ---------------------------------------------------------------------- on music


@pytest.fixture(scope="module")
def sheets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Sheet]]:
    return read_pop909(songs_like_pop909(tmp_path_factory.mktemp("corpora"), n=14, n_held_out=2))


@pytest.fixture(scope="module")
def fitted_stages(sheets: dict[str, list[Sheet]]) -> NGramStages:
    return NGramStages.fit(sheets["train"])


def test_held_out_lead_sheets_are_told_better_by_longer_n_grams(
    sheets: dict[str, list[Sheet]], fitted_stages: NGramStages
) -> None:
    long = fitted_stages.nats_per_token(sheets["held_out"])
    short = NGramStages.fit(sheets["train"], n=1).nats_per_token(sheets["held_out"])
    assert set(long) == {"planner", "arranger"}
    assert all(0 < long[name] < 2 and long[name] < short[name] - 1 for name in long)


def test_what_counts_is_what_counts_in_training(sheets: dict[str, list[Sheet]]) -> None:
    """The planner's bars and end; of the arranger's what it may choose."""
    ids, own = ngram._plan(sheets["held_out"][0])
    chosen = PLAN.spell(i for i, one in zip(ids, own, strict=True) if one)
    assert chosen[0].startswith("Bar_") and chosen[-1] == "Special_eos" and len(chosen) == len(ids) - 18
    ids, own = ngram._arrangement(sheets["held_out"][0])
    chosen = ARRANGEMENT.spell(i for i, one in zip(ids, own, strict=True) if one)
    kinds = {token.partition("_")[0] for token in chosen}
    assert {"Pos", "Tone", "Span", "PartEnd"} <= kinds <= {
        "Lead", "AccNew", "AccRhythm", "AccSame", "Velocity", "Pos", "Tone", "Span", "PartEnd",
    }  # fmt: skip


@pytest.mark.parametrize(
    "intent",
    [
        Intent(bars=4),
        Intent(bars=8, instruments="piano, cello", tempo_bpm=90, key="F#m"),
        Intent(bars=8, instruments="flute, drums", time_signature="3/4"),  # a meter and instruments never seen
    ],
    ids=["piano", "duo", "waltz"],
)
def test_the_grammars_of_the_composer_hold(fitted_stages: NGramStages, intent: Intent) -> None:
    made = from_stages(fitted_stages.stages())(intent, 3)
    assert check_piece(made.score, intent).faults == ()
    assert made.plan is not None and len(made.plan.bars) == intent.bars
    if intent.tonic_and_mode:
        assert (made.plan.tonic, made.plan.mode) == intent.tonic_and_mode


def test_the_same_seed_gives_the_same_piece(fitted_stages: NGramStages) -> None:
    make = from_stages(fitted_stages.stages())
    a, again, b = (note_array(make(Intent(bars=4), seed).score) for seed in (7, 7, 8))
    np.testing.assert_array_equal(a, again)
    assert len(a) != len(b) or (a != b).any()


def test_what_it_writes_is_what_it_learnt(fitted_stages: NGramStages) -> None:
    """A tune on quarters, as in the songs; the grammar would allow sixteenths."""
    plan = from_stages(fitted_stages.stages())(Intent(bars=16, key="C"), 0).plan
    assert plan is not None
    positions = [note.position for bar in plan.bars for note in bar.melody]
    assert len(positions) > 30 and np.mean([position % 4 == 0 for position in positions]) > 0.9


def test_nothing_to_learn_from_is_an_error() -> None:
    with pytest.raises(InputError, match="no token to learn from"):
        NGramStages.fit([])


def test_the_engine_is_the_model_whatever_the_steps(sheets: dict[str, list[Sheet]], fitted_stages: NGramStages) -> None:
    """Rows are loaded, shared, dropped and fed as the sampler does it."""
    model, ids = fitted_stages.planner, np.array(ngram._plan(sheets["held_out"][0])[0])
    engine = ngram._Engine(model).start(3)

    def expected(n: int) -> np.ndarray:
        return np.log(model.probabilities([BOS] * 5 + ids[:n].tolist()))

    np.testing.assert_allclose(engine.load(0, ids[:30]), [expected(n) for n in range(1, 31)], rtol=1e-6)
    engine.share(0, [1, 2])
    other = np.array([ids[30], ids[32]])
    logits = engine.extend(np.stack([ids[30:32], other, ids[30:32]]))
    np.testing.assert_allclose(logits[[0, 2]], [expected(32)] * 2, rtol=1e-6)
    assert (logits[1] != logits[0]).any()
    engine.keep(np.array([2]))
    np.testing.assert_allclose(engine.extend(ids[None, 32:35])[0], expected(35), rtol=1e-6)
    assert engine.lengths.tolist() == [35]


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
