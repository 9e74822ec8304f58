"""How good a recogniser is on clips that it has not learnt from, against baselines and without each of its parts.

Conventions
-----------
fold
    A dataset with a split of its own is tested on ``test`` (``val`` where there is no ``test``) and learnt from
    ``train``; others are cut into folds that keep groups together. Fold ``i`` of all datasets is held out at once.
score
    Depends on the labels: ``r`` (mean Pearson correlation over the nine of GEMS), ``accuracy`` (four quadrants, and the
    halves of the plane), ``pr_auc`` and ``roc_auc`` (mean over tags), ``r2_valence`` and ``r2_arousal`` (coefficient of
    determination), ``ccc_valence`` and ``ccc_arousal`` (Lin 1989, over all half seconds of all clips), and the same
    within clips (mean over clips).
interval
    95 %, percentile bootstrap over groups.

Contents: :func:`evaluate_recognizer`, :func:`scores`.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from muse.corpora.recordings import listener_curves
from muse.errors import InputError
from muse.files import write_bytes, write_json
from muse.recognizer.encoders.encoder import DEFAULT_ENCODER, Musicnn, open_encoder
from muse.recognizer.ensemble import Ensemble
from muse.recognizer.heads.course import Course, fit_course, followed
from muse.recognizer.heads.network import Network
from muse.recognizer.heads.teachers import fit_teacher, group_folds, statistics
from muse.training.recognizer.fit import (
    Lesson,
    RecognizerConfig,
    Teachers,
    fit,
    learn_harmony,
    share_of,
    teach,
)
from muse.training.recognizer.parts import Part, clip_summaries, kept, read_parts
from muse.training.recognizer.personal import concordance, correlation, evaluate_personal, tasks_of

__all__ = ["evaluate_recognizer", "scores"]

Floats = NDArray[np.float32]
Answers = dict[str, Floats]
"""What is told of clips by what it is of: a set of tags, ``plane``, or ``curve`` (of windows' steps)."""

RIDGE: Final = np.logspace(0, 5, 11)
ONE_MUSICNN: Final = Musicnn.N_PENULTIMATE
BASELINES: Final = ("72 signal features, ridge", "one MusiCNN, ridge", "two MusiCNNs, ridge", "teachers")
N_DRAWS: Final = 500


# ------------------------------------------------------------------------------------------------------------- scores


def scores(part: Part, told: Answers, weights: NDArray[np.float64] | None = None) -> dict[str, float]:
    """Scores of what is told of a part's clips, which count as often as their `weights` say [clips]."""
    weights = np.ones(len(part.clips)) if weights is None else weights
    some = weights > 0
    weights = weights[some] / weights.sum()
    found: dict[str, float] = {}
    if part.tags is not None and part.tag_set in told:
        found |= _tag_scores(part.tag_set, told[part.tag_set][some], part.tags[some], weights)
    if part.plane is not None and "plane" in told:
        asked, got = part.plane[some].astype(np.float64), told["plane"][some]
        left, all_ = (weights @ np.square(asked - x) for x in (got, weights @ asked))
        found |= dict(zip(("r2_valence", "r2_arousal"), (1 - left / np.maximum(all_, 1e-12)).tolist(), strict=True))
    return found


def _tag_scores(tag_set: str, told: Floats, true: Floats, weights: NDArray[np.float64]) -> dict[str, float]:
    if tag_set == "quadrants":
        asked = true.argmax(axis=1)
        found = {"accuracy": float(weights @ (told.argmax(axis=1) == asked))}
        for name, rows in (("arousal", (0, 1)), ("valence", (0, 3))):
            high = np.isin(np.arange(4), rows)
            found[f"{name}_accuracy"] = float(weights @ ((told @ high > 0.5) == high[asked]))
        return found
    if tag_set == "gems":
        one, two = (x - weights @ x for x in (told.astype(np.float64), true.astype(np.float64)))
        size = np.sqrt((weights @ one**2) * (weights @ two**2))
        return {"r": float(((weights @ (one * two)) / np.maximum(size, 1e-12)).mean())}
    pairs = [ranked(told[:, k], true[:, k] > 0, weights) for k in range(true.shape[1])]
    known = [pair for pair in pairs if np.isfinite(pair).all()]
    precision, area = np.mean(known, axis=0).tolist() if known else (float("nan"), float("nan"))
    return {"pr_auc": precision, "roc_auc": area}


def ranked(told: Floats, true: NDArray[np.bool_], weights: NDArray[np.float64]) -> tuple[float, float]:
    """Average precision and area under the ROC curve; NaN where all or none are true.

    As scikit-learn's ``average_precision_score`` and ``roc_auc_score`` with weights, fast enough for a bootstrap.
    """
    order = np.argsort(-told, kind="stable")
    hits, misses = np.cumsum(weights[order] * true[order]), np.cumsum(weights[order] * ~true[order])
    last = np.append(np.flatnonzero(np.diff(told[order])), len(order) - 1)  # of each group of equal values
    hits, misses = hits[last], misses[last]
    if hits[-1] <= 0 or misses[-1] <= 0:
        return float("nan"), float("nan")
    recall, wrong = hits / hits[-1], misses / misses[-1]
    precision = float((np.diff(recall, prepend=0) * hits / (hits + misses)).sum())
    between = (recall + np.append(0, recall[:-1])) / 2
    return precision, float((np.diff(wrong, prepend=0) * between).sum())


def curve_scores(part: Part, told: Floats) -> dict[str, float]:
    """Of curves told of windows [W, T, 2]; steps that several windows tell count as often."""
    if part.curve is None:
        return {}
    rated = part.curve.numpy()
    known = np.isfinite(rated).all(axis=2) & part.windows.there.numpy()
    found = {}
    for i, axis in enumerate(("valence", "arousal")):
        one, two = told[..., i][known], rated[..., i][known]
        found[f"ccc_{axis}"] = concordance(one, two)
        found[f"rmse_{axis}"] = float(np.sqrt(np.square(one - two).mean()))
        clips = np.broadcast_to(part.owner[:, None], known.shape)[known]
        moving = [clips == k for k in sorted(set(clips.tolist())) if np.ptp(two[clips == k]) > 0]
        for measure, score in (("ccc", concordance), ("r", correlation)):
            within = [score(one[k], two[k]) for k in moving]
            found[f"{measure}_{axis}_within"] = float(np.mean(within)) if within else float("nan")
    return found


# ----------------------------------------------------------------------------------------------------------- experiment


@dataclass(frozen=True)
class Variant:
    """One way to train."""

    name: str
    datasets: tuple[str, ...]
    config: RecognizerConfig


def variants(names: Sequence[str], config: RecognizerConfig, *, pairs: bool = False) -> list[Variant]:
    """The full model on all datasets, without each of its parts, on single datasets; the first with each other."""
    every = tuple(names)
    found = [
        Variant("all", every, config),
        Variant("all, no key and chords", every, replace(config, harmony=False)),
        Variant("all, teachers only teach", every, replace(config, taught=0.0)),
        Variant("all, no teachers", every, replace(config, distilled=0.0)),
        Variant("all, no course", every, replace(config, course=False)),
    ]
    if len(every) > 1:
        found += [Variant(f"{name} alone", (name,), config) for name in every]
    if len(every) > 2 and pairs:
        found += [Variant(f"{every[0]} + {name}", (every[0], name), config) for name in every[1:]]
    return found


def evaluate_recognizer(
    folders: Sequence[str | Path],
    chords: str | Path,
    out: str | Path,
    *,
    cache: str | Path,
    encoder: str | Path = DEFAULT_ENCODER,
    n_folds: int = 5,
    n_seeds: int = 3,
    pairs: bool = False,
    config: RecognizerConfig | None = None,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Train on folds, with and without each part of the model, and write ``report.json`` and ``report.md``.

    What was told of each fold is kept in the folder; a run that was interrupted goes on from there.

    Parameters
    ----------
    folders, chords, cache, encoder
        As in :func:`~muse.training.recognizer.fit.train_recognizer`.
    out
        Folder of the report.
    n_folds
        For datasets without a split of their own.
    n_seeds
        Networks of each variant and fold; each of them is scored, and their mean.
    pairs
        The first dataset with each other too, as in the table of Kang & Herremans 2025.
    config
        Settings.
    progress
        Called with the share that is done.

    Raises
    ------
    InputError
        A dataset cannot be read, or has too few groups for the folds.
    """
    config = config or RecognizerConfig()
    out = Path(out)
    harmony, measured = learn_harmony(chords, cache, config.seed)
    parts = read_parts(folders, harmony, cache, open_encoder(encoder), progress=share_of(progress, 0, 0.3))
    tests = [_tests(part, n_folds) for part in parts]
    ways = variants([part.name for part in parts], config, pairs=pairs)
    bench = _Bench(parts, tests)
    names = [way.name for way in ways]
    answers: dict[str, list[Answers]] = {name: [{} for _ in range(n_seeds)] for name in names}
    for k, (way, seed, i) in enumerate(itertools.product(ways, range(n_seeds), range(n_folds))):
        if any((test == i).any() for _, test in bench.used(way)):
            told = kept(
                out / "told" / f"{way.name.replace(' ', '_').replace(',', '')}-{i}-{seed}.npz",
                functools.partial(bench.run, way, seed, i),
            )
            _add(answers[way.name][seed], told)
        if progress is not None:
            progress(0.3 + 0.7 * (k + 1) / (len(names) * n_folds * n_seeds))
    base = _baselines(parts, tests, n_folds, Path(cache))
    rows = {name: _row([found], parts, tests) for name, found in base.items()}
    rows |= {name: _row(answers[name], parts, tests) for name in names}
    report = {
        "folds": n_folds,
        "seeds": n_seeds,
        "settings": asdict(config),
        "harmony": measured,
        "clips": {
            part.name: {"all": len(part.clips), "tested": int((test >= 0).sum())}
            for part, test in zip(parts, tests, strict=True)
        },
        "rows": rows,
        "against_all": {
            name: _compared(answers["all"], answers[name], parts, tests) for name in names if name != "all"
        },
    }
    report["listeners"] = _listeners(parts, folders, _mean(answers["all"]), n_folds)
    write_json(report, out / "report.json")
    write_bytes(out / "report.md", _written(report).encode())
    return report


def _listeners(
    parts: Sequence[Part], folders: Sequence[str | Path], told: Answers, n_folds: int
) -> dict[str, dict[str, Any]]:
    """Adaptation to single listeners, by dataset that has their curves."""
    found = {}
    for part, folder in zip(parts, folders, strict=True):
        curve = told.get(f"{part.name}.curve")
        if curve is None:
            continue
        with contextlib.suppress(InputError):  # those annotations are not everybody's
            curves = listener_curves(folder)
            tested = np.isin(np.arange(len(part.clips)), part.owner[np.isfinite(curve[:, 0, 0])])
            tasks = tasks_of(part.only(tested), curve[tested[part.owner]], curves)
            if len(tasks.heard) >= 2 * n_folds:
                found[part.name] = evaluate_personal(tasks, n_folds=n_folds)
    return found


def _tests(part: Part, n_folds: int) -> NDArray[np.int64]:
    """In which fold each clip is tested; -1: learnt from in all of them, -2: in none."""
    splits = np.array([clip.split for clip in part.clips])
    name = "test" if "test" in splits else "val"
    if name in splits:
        held = {clip.group for clip in part.clips if clip.split in ("val", "test")}
        away = np.array([clip.group in held for clip in part.clips])
        return np.where(splits == name, 0, np.where(away, -2, -1))
    if len(set(part.groups)) < n_folds:
        raise InputError(f"{part.name} has fewer than {n_folds} groups: ask for fewer folds")
    return group_folds(part.groups, n_folds)


class _Bench:
    """Trains each thing once: teachers and courses for all seeds, networks whether those are heard or not."""

    def __init__(self, parts: Sequence[Part], tests: Sequence[NDArray[np.int64]]) -> None:
        self.all = list(zip(parts, tests, strict=True))
        self.taught: dict[Any, tuple[Teachers, list[Lesson]]] = {}
        self.fitted: dict[Any, Network] = {}
        self.courses: dict[Any, Course | None] = {}

    def used(self, way: Variant) -> list[tuple[Part, NDArray[np.int64]]]:
        return [(part, test) for part, test in self.all if part.name in way.datasets]

    def run(self, way: Variant, seed: int, fold: int) -> Answers:
        """Train without a fold, and tell its clips."""
        used, config = self.used(way), replace(way.config, seed=seed)
        learnt = [part.only(learnt_in(test, fold)) for part, test in used]
        teachers: Teachers = {}
        lessons: list[Lesson] = []
        if config.distilled:
            key = (fold, way.datasets, config.harmony)
            if key not in self.taught:
                self.taught[key] = teach(learnt, config)
            teachers, lessons = self.taught[key]
        name = (fold, way.datasets, replace(config, taught=0.0, course=True))
        if name not in self.fitted:
            self.fitted[name] = fit(learnt, config, lessons)
        course = None
        if config.course:
            if (fold, way.datasets) not in self.courses:
                self.courses[fold, way.datasets] = fit_course(learnt)
            course = self.courses[fold, way.datasets]
        return _told(Ensemble([self.fitted[name]], teachers, config.taught, course=course), used, fold)


def _told(ensemble: Ensemble, used: Sequence[tuple[Part, NDArray[np.int64]]], fold: int) -> Answers:
    told: Answers = {}
    for part, test in used:
        chosen = test == fold
        if chosen.any():
            for name, values in tell(ensemble, part.only(chosen)).items():
                where = chosen[part.owner] if name == "curve" else chosen
                whole = np.full((len(where), *values.shape[1:]), np.nan, np.float32)
                whole[where] = values
                told[f"{part.name}.{name}"] = whole
    return told


def learnt_in(test: NDArray[np.int64], fold: int) -> NDArray[np.bool_]:
    """Which clips are learnt from when a fold is tested."""
    return (test >= 0) & (test != fold) if (test > 0).any() else test == -1


def tell(ensemble: Ensemble, part: Part) -> Answers:
    """What is told of a part's clips: sets of tags and ``plane``, [clips, ...]; ``curve`` of windows."""
    told = ensemble.tell(part.windows)
    whole = {name: part.of_clips(values) for name, values in {**told.tags, "plane": told.plane}.items()}
    return {**whole, "curve": followed(ensemble.course, part, told.curve)}


def _add(answer: Answers, told: Answers) -> None:
    """Fill in what a fold told."""
    for name, values in told.items():
        if name in answer:
            values = np.where(np.isfinite(values), values, answer[name])
        answer[name] = values


def _baselines(
    parts: Sequence[Part], tests: Sequence[NDArray[np.int64]], n_folds: int, cache: Path
) -> dict[str, Answers]:
    """Ridge regression on 72 signal features and on MusiCNN, and the teachers, in the same folds."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows: dict[str, Answers] = {name: {} for name in BASELINES}
    for part, test in zip(parts, tests, strict=True):
        own = statistics(part.windows)
        embedding = part.of_clips(own["embedding"])
        plain = clip_summaries(part.clips, cache / part.name)
        seen = dict(zip(BASELINES, (plain, embedding[:, :ONE_MUSICNN], embedding), strict=False))
        for name, labels in part.targets().items():
            key = f"{part.name}.{name}"
            for row in BASELINES:
                rows[row][key] = np.full(labels.shape, np.nan, np.float32)
            for i in range(n_folds):
                chosen = test == i
                if not chosen.any():
                    continue
                learnt = learnt_in(test, i)
                for row, x in seen.items():
                    ridge = make_pipeline(StandardScaler(), RidgeCV(RIDGE)).fit(x[learnt], labels[learnt])
                    rows[row][key][chosen] = ridge.predict(x[chosen])
                some = part.only(learnt)
                teacher, _ = fit_teacher(statistics(some.windows), some.owner, labels[learnt], some.groups)
                rows[BASELINES[-1]][key][chosen] = part.of_clips(teacher(own))[chosen]
    return rows


# --------------------------------------------------------------------------------------------------------------- report


def _row(answers: Sequence[Answers], parts: Sequence[Part], tests: Sequence[NDArray[np.int64]]) -> dict[str, Any]:
    """By dataset and score: the seeds' own, and of their mean the score with its interval."""
    mean = _mean(answers)
    row: dict[str, Any] = {}
    for part, test in zip(parts, tests, strict=True):
        told = _of(part, mean)
        if not told:
            continue
        tested = (test >= 0).astype(np.float64)
        each = [scores(part, _of(part, answer), tested) for answer in answers]
        whole = scores(part, told, tested)
        drawn = [scores(part, told, weights) for weights in _draws(part, tested)]
        row[part.name] = {
            name: {
                "seeds": [one[name] for one in each],
                "mean": value,
                "interval": np.nanpercentile([one[name] for one in drawn], [2.5, 97.5]).tolist(),
            }
            for name, value in whole.items()
        }
        if "curve" in told:
            row[part.name] |= {name: {"mean": value} for name, value in curve_scores(part, told["curve"]).items()}
    return row


def _compared(
    full: Sequence[Answers], less: Sequence[Answers], parts: Sequence[Part], tests: Sequence[NDArray[np.int64]]
) -> dict[str, Any]:
    """By dataset and score: how far the full model is ahead, with its interval over the same groups drawn for both."""
    one, two = _mean(full), _mean(less)
    found: dict[str, Any] = {}
    for part, test in zip(parts, tests, strict=True):
        if not _of(part, two):
            continue
        tested = (test >= 0).astype(np.float64)
        pairs = [
            (scores(part, _of(part, one), weights), scores(part, _of(part, two), weights))
            for weights in [tested, *_draws(part, tested)]
        ]
        found[part.name] = {
            name: {
                "ahead": pairs[0][0][name] - pairs[0][1][name],
                "interval": np.nanpercentile([a[name] - b[name] for a, b in pairs[1:]], [2.5, 97.5]).tolist(),
            }
            for name in pairs[0][0]
        }
    return found


def _mean(answers: Sequence[Answers]) -> Answers:
    return {name: np.mean([answer[name] for answer in answers], axis=0) for name in answers[0]}


def _of(part: Part, answer: Answers) -> Answers:
    """A part's own, without its name."""
    start = f"{part.name}."
    return {name.removeprefix(start): values for name, values in answer.items() if name.startswith(start)}


def _draws(part: Part, tested: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """How often each clip is drawn where groups are drawn with replacement, [clips]."""
    _, group = np.unique(part.groups, return_inverse=True)
    there = np.unique(group[tested > 0])
    random = np.random.default_rng(0)
    for _ in range(N_DRAWS):
        counts = np.bincount(random.choice(there, len(there)), minlength=group.max() + 1)
        yield counts[group] * tested


def _written(report: Mapping[str, Any]) -> str:
    """The report as tables in Markdown."""
    lines = [
        f"# The recogniser, {report['folds']} folds, {report['seeds']} networks each",
        "",
        "Score of the networks' mean [95 % interval]; in brackets the mean of the single networks.",
        "",
    ]
    names = {
        data: [name for name in SHOWN if any(name in row.get(data, {}) for row in report["rows"].values())]
        for data in report["clips"]
    }
    heads = [f"{data}: {name}" for data, shown in names.items() for name in shown]
    lines += ["| | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for name, row in report["rows"].items():
        cells = [_cell(row.get(data, {}).get(score)) for data, shown in names.items() for score in shown]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", "How far the full model is ahead of each (the mean of its networks) [95 % interval, paired]:", ""]
    heads = [head for head in heads if "ccc" not in head]
    lines += ["| | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for name, row in report["against_all"].items():
        cells = []
        for data, score in (head.split(": ") for head in heads):
            found = row.get(data, {}).get(score)
            low, high = found["interval"] if found else (0, 0)
            cells.append(f"{found['ahead']:+.3f} [{low:+.3f}, {high:+.3f}]" if found else "")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    for data, found in report["listeners"].items():
        lines += ["", f"Listeners of {data}: a quarter of {found['tasks']} curves is known, errors on the rest.", ""]
        lines += ["| | RMSE valence | arousal | r valence | arousal | CCC valence | arousal | personal lower by |"]
        lines += ["|---" * 8 + "|"]
        for method, values in found["methods"].items():
            kinds = itertools.product(("rmse", "pearson", "ccc"), ("valence", "arousal"))
            cells = [f"{values[axis][kind]:.3f}" for kind, axis in kinds]
            gain = found["personal_against"].get(method)
            low, high = gain["interval"] if gain else (0.0, 0.0)
            cells.append(f"{gain['lower_by']:.3f} [{low:.3f}, {high:.3f}], p = {gain['p']:.1g}" if gain else "")
            lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


SHOWN: Final = (
    "r",
    "accuracy",
    "pr_auc",
    "roc_auc",
    "r2_valence",
    "r2_arousal",
    "ccc_valence",
    "ccc_arousal",
    "r_valence_within",
    "r_arousal_within",
)


def _cell(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    text = f"{found['mean']:.3f}"
    if "interval" in found:
        text += f" [{found['interval'][0]:.3f}, {found['interval'][1]:.3f}]"
    if len(found.get("seeds", ())) > 1:
        text += f" ({np.mean(found['seeds']):.3f})"
    return text
