"""How well the bars of a window follow one another: an expert on form and progression beside the network.

The network hears wrong notes and broken rhythm; whether bars stand in the order in which they were written it hardly
hears. Here a small perceptron says of every ordered pair of bars how surely the one follows the other
(:func:`~muse.selector.bars.pair_measures`), so that the order that stands there can be compared with other orders of
the same bars: would an exchange of two bars, or moving one, read better? Boosted trees judge what comes out of it,
together with likenesses between bars, how smoothly loudness, density and register go, and plain figures of the notes.
They were fitted on pairs, real against spoilt or sampled (RankNet: Burges et al., ICML 2005; boosting: Friedman 2001).

:mod:`muse.training.selector.form` fits it.

Contents: :class:`FormExpert`, :func:`window_figures`, :func:`figure_names`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from muse.checkpoint import check_tensors, under
from muse.errors import InputError
from muse.hearing.forest import Forest
from muse.score import NOTE_DTYPE
from muse.selector.bars import N_CHORDS, PAIR_NAMES, Bars, bars_of, jaccard, likeness_sets, pair_measures
from muse.selector.events import Passage
from muse.tokens.vocabulary import STEPS_PER_BEAT

__all__ = ["FormExpert", "figure_names", "window_figures"]

Floats = NDArray[np.float64]

SUREST: Final = 6.0
"""Log odds of a pair are cut here."""
LAGS: Final = (1, 2, 3, 4, 5, 6, 7, 8)
FEWEST_BARS: Final = 3
"""Shorter windows have no form to speak of."""
FARTHEST: Final = 5.0
"""Standard deviations at which a measure of a pair is cut."""


@dataclass(frozen=True)
class FormExpert:
    """Fitted; arrays as they are stored."""

    transitions: NDArray[Any]
    """See :func:`~muse.selector.bars.pair_measures`."""
    center: NDArray[Any]
    """Mean of each measure of a pair, [measures]."""
    scale: NDArray[Any]
    """Its standard deviation, [measures]."""
    weight1: NDArray[Any]
    """Of the perceptron, [measures, hidden]."""
    bias1: NDArray[Any]
    weight2: NDArray[Any]
    """[hidden, hidden]."""
    bias2: NDArray[Any]
    weight3: NDArray[Any]
    """[hidden, 1]."""
    bias3: NDArray[Any]
    trees: Forest
    """Of figures of a window, [1]."""
    mix: NDArray[Any]
    """What the network and the trees have to say in a window's quality, and a constant, [3]."""

    def quality(self, network: float, music: Passage) -> float:
        """The network's opinion of a window, in logits, together with that of its form.

        Off the grid, and of fewer than three bars, the network's alone.
        """
        if not music.on_grid:
            return network
        bars = bars_of(music)
        if bars.count < FEWEST_BARS:
            return network
        return float(self.mix @ (network, self.judge(self.figures(music, bars)[None])[0], 1.0))

    def figures(self, music: Passage, bars: Bars | None = None) -> Floats:
        """What the trees ask for, [figures], of a window and its bars."""
        bars = bars or bars_of(music)
        return window_figures(music, bars, self.follows(bars))

    def judge(self, figures: Floats) -> Floats:
        """How far windows are as people write, in log odds up to a factor, [n], by their figures [n, figures]."""
        return self.trees.mean(figures)[:, 0] * len(self.trees.root)

    def follows(self, bars: Bars) -> Floats:
        """Log odds that a bar follows another, [B, B]."""
        return self.follow_odds(pair_measures(bars, self.transitions))

    def follow_odds(self, measures: Floats) -> Floats:
        """The same of measures [..., measures]."""
        x = np.clip((measures - self.center) / self.scale, -FARTHEST, FARTHEST).astype(np.float32)
        for weight, bias in ((self.weight1, self.bias1), (self.weight2, self.bias2)):
            x = np.maximum(x @ weight + bias, 0)
        return np.clip((x @ self.weight3 + self.bias3)[..., 0].astype(np.float64), -SUREST, SUREST)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Arrays by name, to be stored."""
        found = {name: value for name, value in vars(self).items() if name != "trees"}
        return found | {f"trees.{name}": value for name, value in vars(self.trees).items()}

    @classmethod
    def load(cls, tensors: Mapping[str, NDArray[Any]], folder: Path) -> FormExpert:
        """The expert that was stored.

        Raises
        ------
        InputError
            Something is missing or does not fit.
        """
        measures, hidden = len(PAIR_NAMES), len(tensors.get("bias1", ()))
        shapes = {
            "transitions": (N_CHORDS, N_CHORDS), "center": (measures,), "scale": (measures,),
            "weight1": (measures, hidden), "bias1": (hidden,), "weight2": (hidden, hidden), "bias2": (hidden,),
            "weight3": (hidden, 1), "bias3": (1,), "mix": (3,),
        }  # fmt: skip
        check_tensors(folder, {name: tensors[name] for name in tensors if name in shapes}, shapes)
        parts = under(tensors, "trees.")
        if set(parts) != set(Forest.__dataclass_fields__):
            raise InputError(f"{folder}: the expert on form lacks its trees: get the checkpoint again")
        trees = Forest(**parts)
        if not trees.is_sound(len(figure_names()), 1) or not (np.asarray(tensors["scale"]) > 0).all():
            raise InputError(f"{folder}: the expert on form is damaged: get the checkpoint again")
        return cls(**{name: tensors[name] for name in shapes}, trees=trees)


def window_figures(music: Passage, bars: Bars, follows: Floats) -> Floats:
    """Figures of a window in the order of :func:`figure_names`; 0 where one is not defined."""
    found = dict(_figures(music, bars, follows))
    return np.nan_to_num(np.array([found.get(name, 0.0) for name in figure_names()], np.float64))


@lru_cache(maxsize=1)
def figure_names() -> tuple[str, ...]:
    """Names of the figures of a window."""
    notes = np.zeros(16, NOTE_DTYPE)
    notes["onset_beat"], notes["duration_beat"], notes["pitch"], notes["velocity"] = np.arange(16), 1, 60, 64
    music = Passage(notes, 120.0, (4, 4), True)
    return tuple(name for name, _ in _figures(music, bars_of(music), np.zeros((4, 4))))


def _figures(music: Passage, bars: Bars, follows: Floats) -> Iterator[tuple[str, float]]:
    yield "bars", float(bars.count)
    yield from _order(follows)
    yield from _returns(bars)
    yield from _smoothness(bars)
    yield from _phrases(bars)
    yield from _harmony(bars)
    yield from _notes(music, bars)


# ------------------------------------------------------------------------------------------------ the order of bars


def _order(follows: Floats) -> Iterator[tuple[str, float]]:
    """The order that stands there, against other orders of the same bars."""
    n = len(follows)
    if n < FEWEST_BARS:
        return
    path = np.diagonal(follows, 1)  # [n - 1]
    apart = ~np.eye(n, dtype=bool)
    ordered = np.sort(path)
    yield "follows", float(path.mean())
    yield "follows least", float(ordered[0])
    yield "follows least three", float(ordered[:3].mean())
    yield "follows least half", float(ordered[: max(n // 2, 1)].mean())
    yield "follows spread", float(path.std())
    yield "follows beyond others", float(path.mean() - follows[apart].mean())
    odds = np.where(apart, follows, -np.inf)
    after = path - _log_sum(odds, axis=1)[:-1]
    before = path - _log_sum(odds, axis=0)[1:]
    listed = np.sort(after + before)
    yield "listed", float(listed.mean() + 2 * np.log(n))
    yield "listed least", float(listed[0])
    yield "listed least three", float(listed[:3].mean())
    rank = (odds[:-1] > path[:, None]).sum(axis=1) / n
    yield "outranked", float(rank.mean())
    yield "outranked most", float(np.sort(rank)[-2:].mean())
    swaps, moves = _gain_of_swaps(follows), _gain_of_moves(follows)
    for name, gains in (("swap", swaps), ("move", moves)):
        top = np.sort(gains)[::-1]
        yield f"best {name}", float(top[0])
        yield f"best {name}s", float(top[:5].mean())
        yield f"{name}s that gain", float((gains > 0).mean())


def _log_sum(x: Floats, axis: int) -> Floats:
    top = x.max(axis=axis, keepdims=True)
    return np.asarray(np.log(np.exp(x - top).sum(axis=axis)) + top.squeeze(axis))


def _framed(follows: Floats) -> tuple[Floats, int]:
    """With a row and a column of zeros around, for what stands before the first bar and after the last."""
    n = len(follows)
    framed = np.zeros((n + 2, n + 2))
    framed[1:-1, 1:-1] = follows
    return framed, n


def _gain_of_swaps(follows: Floats) -> Floats:
    """What the log odds of the whole order gain if two bars change places, one number for each two bars."""
    w, n = _framed(follows)
    i, j = np.triu_indices(n, 1)
    i, j = i + 1, j + 1
    near = j == i + 1
    before = w[i - 1, i] + w[j, j + 1] + np.where(near, w[i, j], w[i, i + 1] + w[j - 1, j])
    after = w[i - 1, j] + w[i, j + 1] + np.where(near, w[j, i], w[j, i + 1] + w[j - 1, i])
    return np.asarray(after - before)


def _gain_of_moves(follows: Floats) -> Floats:
    """The same for one bar moved to another place."""
    w, n = _framed(follows)
    i, j = (x.ravel() for x in np.meshgrid(np.arange(1, n + 1), np.arange(n + 1), indexing="ij"))
    elsewhere = (j != i) & (j != i - 1)
    i, j = i[elsewhere], j[elsewhere]  # bar i goes between j and j + 1
    taken = w[i - 1, i + 1] - w[i - 1, i] - w[i, i + 1]
    put = w[j, i] + w[i, j + 1] - w[j, j + 1]
    return np.asarray(taken + put)


# ------------------------------------------------------------------------------------------------- returns and runs


def _returns(bars: Bars) -> Iterator[tuple[str, float]]:
    """Likeness of bars at each distance beside all, whether what follows two like bars is alike too, and runs."""
    rhythm, notes = likeness_sets(bars)
    whole = bars.chroma.sum(axis=1)
    unit = whole / np.maximum(np.linalg.norm(whole, axis=1, keepdims=True), 1e-9)
    n = bars.count
    above = np.triu_indices(n, 1)
    kinds = {"rhythm": jaccard(rhythm), "notes": jaccard(notes), "chroma": unit @ unit.T}
    for name, alike in kinds.items():
        mean = float(alike[above].mean()) if n > 1 else 0.0
        yield f"{name} alike", mean
        for lag in LAGS:
            yield f"{name} alike, {lag} apart", float(np.diagonal(alike, lag).mean()) - mean if lag < n else 0.0
        yield f"{name} alike in rows", _in_rows(alike)
    same = kinds["notes"] >= 1
    neighbours = np.diagonal(same, 1)
    yield "bars again at once", float(neighbours.mean()) if n > 1 else 0.0
    yield "longest run", float(_longest_run(neighbours)) / n
    at_end = int(np.argmin(neighbours[::-1])) if n > 1 and not neighbours.all() else n - 1
    yield "run at the end", float(at_end)
    yield "different bars", float((~np.tril(same, -1).any(axis=1)).sum()) / n
    twins = np.argwhere(same & (np.arange(n)[:, None] < np.arange(n)[None]))
    loud = [np.sort(bars.velocity[bars.bar == b]) for b in range(n)]
    exact = [np.array_equal(loud[i], loud[j]) for i, j in twins]
    yield "twins as loud", float(np.mean(exact)) if exact else 0.5


def _in_rows(alike: Floats) -> float:
    """Correlation of the likeness of two bars with that of the two after them, over bars two or more apart."""
    n = len(alike)
    i, j = np.triu_indices(n - 1, 2) if n > FEWEST_BARS else (np.zeros(0, int),) * 2
    here, there = alike[i, j], alike[i + 1, j + 1]
    if len(here) < FEWEST_BARS or here.std() < 1e-6 or there.std() < 1e-6:
        return 0.0
    return float(np.corrcoef(here, there)[0, 1])


def _longest_run(flags: NDArray[np.bool_]) -> int:
    edges = np.diff(np.concatenate([[0], flags.astype(np.int64), [0]]))
    lengths = np.flatnonzero(edges < 0) - np.flatnonzero(edges > 0)
    return int(lengths.max()) if len(lengths) else 0


# ------------------------------------------------------------------------------------------------ course and phrases


def _smoothness(bars: Bars) -> Iterator[tuple[str, float]]:
    """Steps between neighbouring bars against the spread over all (von Neumann 1941): about 2 in any random order."""
    pitch = bars.pitch.astype(np.float64)
    series = {
        "density": np.log1p(bars.total()),
        "register": bars.mean(pitch, bars.pitched),
        "velocity": bars.mean(bars.velocity),
        "length": bars.mean(np.log2(bars.length.astype(np.float64))),
        "polyphony": bars.chroma.sum(axis=(1, 2)),
    }
    for name, x in series.items():
        spread = x.var()
        calm = spread > 1e-9 and len(x) >= FEWEST_BARS
        yield f"{name} unsteady", float(np.square(np.diff(x)).mean() / spread) if calm else 1.0
        for lag in (2, 4):
            apart = len(x) > lag and calm
            yield (
                f"{name} unsteady, {lag} apart",
                float(np.square(x[lag:] - x[:-lag]).mean() / spread) if apart else 2.0,
            )
        yield f"{name} spread", float(np.sqrt(spread))
        steps = np.abs(np.diff(x)) / np.sqrt(spread) if calm else np.zeros(1)
        yield f"{name} jump", float(steps.max())


def _phrases(bars: Bars) -> Iterator[tuple[str, float]]:
    """Where bars end in rest: at the ends of phrases of two, four and eight bars, or anywhere."""
    last = np.zeros(bars.count)
    np.maximum.at(last, bars.bar, bars.place / bars.size)
    rest = 1 - last
    centred = rest - rest.mean()
    spread = rest.std()
    for period in (2, 4, 8):
        if bars.count >= 2 * period and spread > 1e-6:
            folded = [centred[k::period].mean() / spread for k in range(period)]
            yield f"rests every {period}", float(np.max(folded))
            yield f"rests before every {period}", float(folded[-1])
        else:
            yield f"rests every {period}", 0.0
            yield f"rests before every {period}", 0.0
    yield "rest", float(rest.mean())
    yield "rest at the end", float(rest[-1] - rest.mean())


# ----------------------------------------------------------------------------------------------- harmony and notes


def _harmony(bars: Bars) -> Iterator[tuple[str, float]]:
    """How far the bars keep to the window's key and chords."""
    whole = bars.chroma.sum(axis=1)
    total = whole.sum(axis=0)
    scale = np.array([1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1], np.float64)
    outside = 1 - (whole @ scale) / np.maximum(whole.sum(axis=1), 1e-9)
    outside = np.where(whole.sum(axis=1) > 0, outside, 0.0)
    yield "outside", float(total @ (1 - scale) / max(float(total.sum()), 1e-9))
    yield "outside most", float(np.sort(outside)[-2:].mean())
    yield "outside spread", float(outside.std())
    share = total / max(float(total.sum()), 1e-9)
    yield "pitch classes", float(-(share * np.log(share + 1e-9)).sum())
    beats = bars.chroma.reshape(-1, 12)
    heard = beats[beats.sum(axis=1) > 0]
    heard = heard / np.maximum(heard.sum(axis=1, keepdims=True), 1e-9)
    yield "pitch classes a beat", float(-(heard * np.log(heard + 1e-9)).sum(axis=1).mean()) if len(heard) else 0.0
    clash = np.minimum(heard, np.roll(heard, 1, axis=1)).sum(axis=1)
    yield "clash", float(clash.mean()) if len(heard) else 0.0
    chords = bars.chords.ravel()
    yield "chords that stay", float((np.diff(chords) == 0).mean()) if len(chords) > 1 else 0.0
    yield "different chords", len(np.unique(chords)) / len(chords)
    yield "chords of the fourth family", float((chords % 4 == 3).mean())


def _notes(music: Passage, bars: Bars) -> Iterator[tuple[str, float]]:
    """Plain figures of the notes."""
    n = len(bars.bar)
    yield "notes a bar", float(np.log(n / bars.count))
    yield "drums", 1 - float(bars.pitched.mean())
    yield "instruments", float(len(np.unique(bars.program)))
    yield "polyphony", float(bars.chroma.sum() / (bars.size * bars.count))
    yield "tempo", float(np.log2(music.tempo_bpm))
    yield "beats a bar", float(bars.size / STEPS_PER_BEAT)
    length = np.log2(bars.length / STEPS_PER_BEAT)
    yield "length", float(length.mean())
    yield "lengths", float(length.std())
    yield "long notes", float((bars.length >= 2 * STEPS_PER_BEAT).mean())
    yield "velocities", float(bars.velocity.std())
    share = np.bincount(np.minimum(bars.length, 96)) / n
    share = share[share > 0]
    yield "kinds of length", float(-(share * np.log(share)).sum())
    yield "places off eighths", float((bars.place % 6 != 0).mean())
    yield "places off sixteenths", float((bars.place % 3 != 0).mean())
    yield "places off both", float(((bars.place % 3 != 0) & (bars.place % 4 != 0)).mean())
    yield "on the beat", float((bars.place % STEPS_PER_BEAT == 0).mean())
    yield "on the bar line", float((bars.place == 0).mean())
    yield from _lines(bars)


def _lines(bars: Bars) -> Iterator[tuple[str, float]]:
    """Of the outer voices, of doubled notes and of notes far from any other."""
    rows = np.flatnonzero(bars.pitched)
    if not len(rows):
        return
    onset = bars.bar[rows] * bars.size + bars.place[rows]
    pitch, end = bars.pitch[rows], onset + bars.length[rows]
    order = np.lexsort((pitch, onset))
    onset, pitch, end, program = onset[order], pitch[order], end[order], bars.program[rows][order]
    starts = np.flatnonzero(np.diff(onset, prepend=-1) != 0)
    stops = np.append(starts[1:], len(onset))
    for name, line in (("top", pitch[stops - 1]), ("bass", pitch[starts])):
        step = np.diff(line)
        if not len(step):
            step = np.zeros(1, np.int64)
        size = np.abs(step)
        yield f"{name} steps", float(((size > 0) & (size <= 2)).mean())
        yield f"{name} repeats", float((size == 0).mean())
        yield f"{name} leaps", float((size > 7).mean())
        yield f"{name} far leaps", float((size > 12).mean())
        yield f"{name} height", float(line.mean() / 12)
        yield f"{name} range", float(line.std())
        turns = (np.sign(step[1:]) * np.sign(step[:-1]) < 0).mean() if len(step) > 1 else 0.0
        yield f"{name} turns", float(turns)
    yield "struck together", float(np.log(len(onset) / len(starts)))
    by_voice = np.lexsort((onset, pitch, program))
    same = (np.diff(pitch[by_voice]) == 0) & (np.diff(program[by_voice]) == 0)
    overlap = same & (onset[by_voice][1:] < end[by_voice][:-1])
    yield "struck again while held", float(overlap.sum() / len(onset))
    twelve = np.abs(pitch - np.convolve(pitch.astype(np.float64), np.ones(9) / 9, "same")) if len(pitch) > 8 else None
    yield "far from neighbours", float((twelve[4:-4] > 24).mean()) if twelve is not None else 0.0
    gaps = [np.abs(np.diff(pitch[a:b])).max() if b - a > 1 else 0 for a, b in zip(starts, stops, strict=True)]
    yield "gaps", float(np.mean(gaps)) / 12
    semitones = [(np.diff(pitch[a:b]) == 1).any() if b - a > 1 else False for a, b in zip(starts, stops, strict=True)]
    yield "semitones struck", float(np.mean(semitones))
    yield (
        "silence at bar lines",
        float(np.mean([not _sounds(onset, end, b * bars.size) for b in range(1, bars.count)]))
        if bars.count > 1
        else 0.0,
    )
    yield "held over bar lines", float((onset // bars.size != (end - 1) // bars.size).mean())


def _sounds(onset: NDArray[np.int64], end: NDArray[np.int64], at: int) -> bool:
    return bool(((onset <= at) & (end > at)).any())
