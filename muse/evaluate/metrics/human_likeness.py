"""Human-likeness: can a forest of trees tell pieces from people's by plain figures of harmony, tune, rhythm and form?

A classifier two-sample test (Lopez-Paz & Oquab 2017, arXiv 1610.06545): random forests are fitted on figures of both
groups, with all windows of a song in one fold, and judge the pieces that they have not seen. None of the figures takes
part in choosing pieces. Groups are seldom of one size, and a forest that meets more of people's takes more for people's
whatever their weights (17 of people's own windows against 102: 88 % taken, where half should be); so each of several
forests is fitted on as many of the one as of the other (balanced random forests, Chen, Liaw & Breiman 2004).

Conventions
-----------
* A piece is a note array (:data:`muse.score.NOTE_DTYPE`) that begins at a bar line, its bars of one length in beats.
* AUC 0.5: nobody can tell; 1: everybody can. *Taken for people*: share of pieces that the trees give more than even
  odds of being people's.
* Figures that cannot be measured are NaN, and the mean of both groups for the trees.

Contents: :func:`figures`, :class:`HumanLikeness`, :func:`human_likeness`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from muse.errors import InputError
from muse.evaluate.metrics.form import bars_with_a_twin, likeness, pitched_by_onset, spell_bars, top_line
from muse.score import Notes
from muse.theory import CHORD_QUALITIES, key_from_weights, label_chords

__all__ = ["HumanLikeness", "figures", "human_likeness"]

Floats = NDArray[np.float64]
N_TREES = 400
N_FORESTS = 8
"""Draws of even groups; together they have all trees."""
MIN_GROUP = 10


def figures(notes: Notes, bar_beats: float, n_bars: int) -> dict[str, float]:
    """Plain figures of one piece, by name; NaN where there is nothing to measure.

    Parameters
    ----------
    notes
        NOTE_DTYPE [n_notes].
    bar_beats
        Quarter notes a bar.
    n_bars
        Bars, counted from beat 0.
    """
    pitched = pitched_by_onset(notes)
    if len(pitched) < 4:
        raise InputError(f"{len(pitched)} pitched notes are too few to be measured; give four or more")
    top = top_line(pitched)
    return (
        _harmony(pitched, bar_beats, n_bars)
        | _tune(top, bar_beats, n_bars)
        | _rhythm(pitched, bar_beats, n_bars)
        | _form(pitched, top, bar_beats, n_bars)
        | _texture(pitched, top, bar_beats, n_bars)
        | _loudness(pitched, top, bar_beats, n_bars)
    )


def _entropy(values: NDArray[np.int64]) -> float:
    """Shannon entropy in bits."""
    if not len(values):
        return float("nan")
    p = np.unique(values, return_counts=True)[1] / len(values)
    return float(-(p * np.log2(p)).sum())


def _share(flags: NDArray[np.bool_]) -> float:
    return float(flags.mean()) if len(flags) else float("nan")


def _harmony(notes: Notes, bar_beats: float, n_bars: int) -> dict[str, float]:
    n_beats = max(round(bar_beats * n_bars), 1)
    weights = np.zeros((n_beats, 12))
    start, end = notes["onset_beat"], notes["onset_beat"] + np.minimum(notes["duration_beat"], 8)
    for beat in range(n_beats):
        overlap = np.clip(np.minimum(end, beat + 1) - np.maximum(start, beat), 0, None)
        weights[beat] = np.bincount(notes["pitch"] % 12, weights=overlap, minlength=12)
    total = weights.sum(0)
    tonic, mode, strengths = key_from_weights(total)
    labels = label_chords(weights)
    root, quality = labels // len(CHORD_QUALITIES), labels % len(CHORD_QUALITIES)
    changed = np.flatnonzero(np.diff(labels) != 0)
    motion = np.diff(root)[changed] % 12
    scale = [0, 2, 4, 5, 7, 9, 11] if str(mode) == "major" else [0, 2, 3, 5, 7, 8, 10, 11]
    in_scale = np.isin((np.arange(12) - int(tonic)) % 12, scale)
    on_bar = (np.arange(1, n_beats) % max(round(bar_beats), 1)) == 0
    names = list(CHORD_QUALITIES)
    return {
        "chord changes a bar": len(changed) / n_bars,
        "different chords": float(len(np.unique(labels))),
        "chord entropy": _entropy(labels),
        "roots by fourths and fifths": _share(np.isin(motion, (5, 7))),
        "roots by thirds": _share(np.isin(motion, (3, 4, 8, 9))),
        "roots by steps": _share(np.isin(motion, (1, 2, 10, 11))),
        "chord changes on bar lines": _share(on_bar[changed]),
        "beats on the tonic chord": _share(root == int(tonic)),
        "beats on minor chords": _share(np.isin(quality, [names.index(q) for q in ("m", "m7")])),
        "beats on sevenths": _share(np.isin(quality, [names.index(q) for q in ("7", "maj7", "m7")])),
        "beats on diminished or augmented": _share(
            np.isin(quality, [names.index(q) for q in ("dim", "aug", "m7b5", "dim7")])
        ),
        "key clarity": float(np.nanmax(strengths)),
        "weight outside the scale": float(total[~in_scale].sum() / max(total.sum(), 1e-9)),
        "pitch-class entropy": float(-(total[total > 0] / total.sum() * np.log2(total[total > 0] / total.sum())).sum()),
        "last beat on the tonic": float(root[-1] == int(tonic)),
    }


def _tune(top: Notes, bar_beats: float, n_bars: int) -> dict[str, float]:
    pitch, onset = top["pitch"].astype(np.int64), top["onset_beat"]
    step = np.diff(pitch)
    gap = np.diff(onset) - top["duration_beat"][:-1]
    length = np.minimum(top["duration_beat"], 8)
    turns = np.sign(step[step != 0])
    return {
        "top range": float(pitch.max() - pitch.min()),
        "top mean pitch": float(pitch.mean()),
        "top mean interval": float(np.abs(step).mean()) if len(step) else float("nan"),
        "top interval entropy": _entropy(step),
        "top repeated notes": _share(step == 0),
        "top steps": _share((np.abs(step) > 0) & (np.abs(step) < 3)),
        "top leaps over a fifth": _share(np.abs(step) > 7),
        "top turns": _share(turns[1:] != turns[:-1]),
        "top notes a bar": len(top) / n_bars,
        "top mean length": float(length.mean()),
        "top spread of lengths": float(length.std()),
        "top notes of two beats or more": _share(length >= 2),
        "top rests over half a beat": float((gap > 0.5).sum() / n_bars),
        "top longest rest": float(np.max(gap, initial=0.0)),
        "top silence": float(1 - min(length.sum() / (bar_beats * n_bars), 1)),
    }


def _rhythm(notes: Notes, bar_beats: float, n_bars: int) -> dict[str, float]:
    onset = np.unique(np.round(notes["onset_beat"], 3))
    place = onset % 1
    interval = np.diff(onset)

    def near(grid: int) -> NDArray[np.bool_]:
        return np.abs(place * grid - np.rint(place * grid)) < 0.05 * grid / 2

    return {
        "onsets a bar": len(onset) / n_bars,
        "onsets on beats": _share(near(1)),
        "onsets off eighths": 1 - _share(near(2)),
        "onsets off sixteenths": 1 - _share(near(4)),
        "mean time between onsets": float(interval.mean()) if len(interval) else float("nan"),
        "spread of time between onsets": float(interval.std()) if len(interval) else float("nan"),
        "entropy of time between onsets": _entropy(np.rint(interval * 12).astype(np.int64)),
        "bars with an onset on one": _share(
            np.isin(np.arange(n_bars), np.rint(onset[onset % bar_beats < 0.05] // bar_beats))
        ),
        "spread of onsets a bar": float(np.bincount((onset // bar_beats).astype(int), minlength=n_bars)[:n_bars].std()),
    }


def _form(notes: Notes, top: Notes, bar_beats: float, n_bars: int) -> dict[str, float]:
    full, line = spell_bars(notes, bar_beats, n_bars), spell_bars(top, bar_beats, n_bars)
    rhythm = spell_bars(notes, bar_beats, n_bars, with_pitch=False)
    usable = [lag for lag in (1, 2, 4, 8) if lag < n_bars]
    return {
        "bars with a twin": bars_with_a_twin(notes, bar_beats, n_bars),
        **{f"bars alike {lag} apart": float(likeness(full, lag).mean()) for lag in usable},
        **{f"top line alike {lag} apart": float(likeness(line, lag).mean()) for lag in usable if lag in (1, 4, 8)},
        "rhythm alike 1 apart": float(likeness(rhythm, 1).mean()) if n_bars > 1 else float("nan"),
        "rhythm alike 4 apart": float(likeness(rhythm, 4).mean()) if n_bars > 4 else float("nan"),
    }


def _texture(notes: Notes, top: Notes, bar_beats: float, n_bars: int) -> dict[str, float]:
    _, n_struck = np.unique(np.round(notes["onset_beat"], 3), return_counts=True)
    low = np.minimum.reduceat(notes["pitch"], np.flatnonzero(np.diff(notes["onset_beat"], prepend=-1.0) > 1e-3))
    moments = np.arange(0, bar_beats * n_bars, 0.5) + 0.25
    start, end = notes["onset_beat"], notes["onset_beat"] + notes["duration_beat"]
    sounding = np.array([((start <= t) & (end > t)).sum() for t in moments])
    spans = np.array([np.ptp(notes["pitch"][(start <= t) & (end > t)]) for t in moments[sounding > 1]])
    return {
        "notes a bar": len(notes) / n_bars,
        "notes an onset": float(n_struck.mean()),
        "onsets of one note": _share(n_struck == 1),
        "sounding notes": float(sounding.mean()),
        "spread of sounding notes": float(sounding.std()),
        "silent moments": _share(sounding == 0),
        "width of what sounds": float(spans.mean()) if len(spans) else float("nan"),
        "mean pitch": float(notes["pitch"].mean()),
        "spread of pitch": float(notes["pitch"].std()),
        "lowest line mean pitch": float(low.mean()),
        "mean length": float(np.minimum(notes["duration_beat"], 8).mean()),
        "spread of notes a bar": float(np.bincount((start // bar_beats).astype(int), minlength=n_bars)[:n_bars].std()),
    }


def _loudness(notes: Notes, top: Notes, bar_beats: float, n_bars: int) -> dict[str, float]:
    velocity = notes["velocity"].astype(float)
    bar = (notes["onset_beat"] // bar_beats).astype(int)
    means = np.array([velocity[bar == b].mean() for b in np.unique(bar)])
    return {
        "mean velocity": float(velocity.mean()),
        "spread of velocity": float(velocity.std()),
        "spread of velocity between bars": float(means.std()),
        "top over all velocity": float(top["velocity"].mean() - velocity.mean()),
    }


@dataclass(frozen=True)
class HumanLikeness:
    """What the trees say about a group of pieces."""

    auc: float
    """Area under the curve of telling pieces from people's, 0.5..1."""
    taken_for_people: float
    """Share of pieces, 0..1."""
    inside: float
    """Share of all figures of pieces that lie within people's 5th to 95th percentile; people's own is 0.9."""
    table: dict[str, tuple[float, float, float]]
    """Figure -> people's mean, the pieces' mean, and the AUC of this figure alone, most telling first."""


def human_likeness(
    people: Sequence[dict[str, float]],
    songs: Sequence[str],
    pieces: Sequence[dict[str, float]],
    *,
    groups: Sequence[str] | None = None,
    n_trees: int = N_TREES,
    seed: int = 0,
) -> HumanLikeness:
    """Compare two groups of pieces by their figures.

    Parameters
    ----------
    people
        :func:`figures` of people's windows.
    songs
        The song of each, so that no song is in two folds.
    pieces
        :func:`figures` of what is to be judged.
    groups
        Of each piece, those that belong in one fold; by default each stands alone.
    n_trees
        Of all forests of a fold together.
    seed
        Of folds and trees.

    Raises
    ------
    InputError
        Fewer than ten of either.
    """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import StratifiedGroupKFold

    if min(len(people), len(pieces)) < MIN_GROUP:
        raise InputError(f"{len(people)} of people's and {len(pieces)} pieces are too few; give {MIN_GROUP} of each")
    names = list(people[0])
    x = np.array([[row[name] for name in names] for row in (*people, *pieces)])
    x = np.where(np.isnan(x), np.nanmean(x, axis=0), x)
    y = np.repeat([1, 0], [len(people), len(pieces)])
    fold_groups = np.array([*songs, *(groups or [f"piece {i}" for i in range(len(pieces))])])
    chance, rng = np.zeros(len(y)), np.random.default_rng(seed)
    for train, test in StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(x, y, fold_groups):
        n_even = min((y[train] == group).sum() for group in (0, 1))
        for number in range(N_FORESTS):
            rows = np.concatenate([rng.choice(train[y[train] == group], n_even, replace=False) for group in (0, 1)])
            forest = RandomForestClassifier(n_trees // N_FORESTS, min_samples_leaf=2, random_state=number, n_jobs=1)
            chance[test] += forest.fit(x[rows], y[rows]).predict_proba(x[test])[:, 1] / N_FORESTS
    low, high = np.quantile(x[y == 1], [0.05, 0.95], axis=0)
    own = x[y == 0]
    alone = {name: _auc(x[:, i], y) for i, name in enumerate(names)}
    order = sorted(names, key=lambda name: -abs(alone[name] - 0.5))
    return HumanLikeness(
        auc=_auc(chance, y),
        taken_for_people=float((chance[y == 0] > 0.5).mean()),
        inside=float(((own >= low) & (own <= high)).mean()),
        table={
            name: (float(x[y == 1, i].mean()), float(own[:, i].mean()), alone[name])
            for name in order
            for i in [names.index(name)]
        },
    )


def _auc(values: Floats, y: NDArray[np.int64]) -> float:
    """Chance that a value of group 1 is over one of group 0, equal ones half (Mann & Whitney 1947)."""
    from scipy.stats import rankdata

    n_one = int(y.sum())
    return float((rankdata(values)[y == 1].sum() / n_one - (n_one + 1) / 2) / (len(y) - n_one))
