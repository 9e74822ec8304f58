"""How good a recogniser is on clips that it has not learnt from, against baselines and without each of its parts.

Conventions
-----------
fold
    A dataset with a split of its own is tested on ``test`` (``val`` where there is no ``test``) and learnt from
    ``train``; others are cut into folds that keep groups together. Fold ``i`` of all datasets is held out at once.
score
    See :mod:`muse.training.recognizer.scores`.
interval
    95 %, percentile bootstrap over groups.

Contents: :func:`evaluate_recognizer`.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from muse.corpora import listener_curves
from muse.errors import InputError
from muse.files import write_json, write_text
from muse.recognizer.encoders.encoder import DEFAULT_ENCODER
from muse.recognizer.encoders.load import open_encoder
from muse.recognizer.encoders.musicnn import Musicnn
from muse.recognizer.ensemble import Ensemble
from muse.recognizer.heads.course import Course
from muse.recognizer.heads.network import Network
from muse.recognizer.heads.teachers import statistics
from muse.training.recognizer.chords import learn_harmony
from muse.training.recognizer.config import RecognizerConfig
from muse.training.recognizer.course import apply_course, fit_course
from muse.training.recognizer.network import fit_network
from muse.training.recognizer.page import recognizer_page
from muse.training.recognizer.parts import Part, cached, clip_summaries, read_parts, share_of
from muse.training.recognizer.personal import tasks_of
from muse.training.recognizer.personal_evaluation import evaluate_personal
from muse.training.recognizer.scores import Predictions, curve_scores, scores
from muse.training.recognizer.teachers import SoftTargets, Teachers, distil, fit_teacher, group_folds

__all__ = ["evaluate_recognizer"]

Floats = NDArray[np.float32]

RIDGE: Final = np.logspace(0, 5, 11)
ONE_MUSICNN: Final = Musicnn.N_PENULTIMATE
BASELINES: Final = ("72 signal features, ridge", "one MusiCNN, ridge", "two MusiCNNs, ridge", "teachers")
N_DRAWS: Final = 500


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

    Predictions for each fold are cached in the folder; a run that was interrupted goes on from there.

    Parameters
    ----------
    folders, chords, cache, encoder
        As in :func:`~muse.training.recognizer.train.train_recognizer`.
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
    predictions: dict[str, list[Predictions]] = {name: [{} for _ in range(n_seeds)] for name in names}
    for k, (way, seed, i) in enumerate(itertools.product(ways, range(n_seeds), range(n_folds))):
        if any((test == i).any() for _, test in bench.used(way)):
            predicted = cached(
                out / "predictions" / f"{way.name.replace(' ', '_').replace(',', '')}-{i}-{seed}.npz",
                functools.partial(bench.run, way, seed, i),
            )
            _add(predictions[way.name][seed], predicted)
        if progress is not None:
            progress(0.3 + 0.7 * (k + 1) / (len(names) * n_folds * n_seeds))
    base = _baselines(parts, tests, n_folds, Path(cache))
    rows = {name: _row([found], parts, tests) for name, found in base.items()}
    rows |= {name: _row(predictions[name], parts, tests) for name in names}
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
            name: _compared(predictions["all"], predictions[name], parts, tests) for name in names if name != "all"
        },
    }
    report["listeners"] = _listeners(parts, folders, _mean(predictions["all"]), n_folds)
    write_json(report, out / "report.json")
    write_text(out / "report.md", recognizer_page(report))
    return report


def _listeners(
    parts: Sequence[Part], folders: Sequence[str | Path], predicted: Predictions, n_folds: int
) -> dict[str, dict[str, Any]]:
    """Adaptation to single listeners, by dataset that has their curves."""
    found = {}
    for part, folder in zip(parts, folders, strict=True):
        curve = predicted.get(f"{part.name}.curve")
        if curve is None:
            continue
        with contextlib.suppress(InputError):  # those annotations are not everybody's
            curves = listener_curves(folder)
            tested = np.isin(np.arange(len(part.clips)), part.owner[np.isfinite(curve[:, 0, 0])])
            tasks = tasks_of(part.only(tested), curve[tested[part.owner]], curves)
            if len(tasks.pieces) >= 2 * n_folds:
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
    """Trains each thing once: teachers and courses for all seeds, networks also where the teachers don't count."""

    def __init__(self, parts: Sequence[Part], tests: Sequence[NDArray[np.int64]]) -> None:
        self.all = list(zip(parts, tests, strict=True))
        self.distilled: dict[Any, tuple[Teachers, list[SoftTargets]]] = {}
        self.fitted: dict[Any, Network] = {}
        self.courses: dict[Any, Course | None] = {}

    def used(self, way: Variant) -> list[tuple[Part, NDArray[np.int64]]]:
        return [(part, test) for part, test in self.all if part.name in way.datasets]

    def run(self, way: Variant, seed: int, fold: int) -> Predictions:
        """Train without a fold, and predict its clips."""
        used, config = self.used(way), replace(way.config, seed=seed)
        learnt = [part.only(learnt_in(test, fold)) for part, test in used]
        teachers: Teachers = {}
        soft_targets: list[SoftTargets] = []
        if config.distilled:
            key = (fold, way.datasets, config.harmony)
            if key not in self.distilled:
                self.distilled[key] = distil(learnt, config)
            teachers, soft_targets = self.distilled[key]
        name = (fold, way.datasets, replace(config, taught=0.0, course=True))
        if name not in self.fitted:
            self.fitted[name] = fit_network(learnt, config, soft_targets)
        course = None
        if config.course:
            if (fold, way.datasets) not in self.courses:
                self.courses[fold, way.datasets] = fit_course(learnt)
            course = self.courses[fold, way.datasets]
        return _predictions(Ensemble([self.fitted[name]], teachers, config.taught, course=course), used, fold)


def _predictions(ensemble: Ensemble, used: Sequence[tuple[Part, NDArray[np.int64]]], fold: int) -> Predictions:
    predicted: Predictions = {}
    for part, test in used:
        chosen = test == fold
        if chosen.any():
            for name, values in predict(ensemble, part.only(chosen)).items():
                where = chosen[part.owner] if name == "curve" else chosen
                whole = np.full((len(where), *values.shape[1:]), np.nan, np.float32)
                whole[where] = values
                predicted[f"{part.name}.{name}"] = whole
    return predicted


def learnt_in(test: NDArray[np.int64], fold: int) -> NDArray[np.bool_]:
    """Which clips are learnt from when a fold is tested."""
    return (test >= 0) & (test != fold) if (test > 0).any() else test == -1


def predict(ensemble: Ensemble, part: Part) -> Predictions:
    """Predictions for a part's clips: sets of tags and ``plane``, [clips, ...]; ``curve`` of windows."""
    predicted = ensemble.predict(part.windows)
    whole = {name: part.of_clips(values) for name, values in {**predicted.tags, "plane": predicted.plane}.items()}
    return {**whole, "curve": apply_course(ensemble.course, part, predicted.curve)}


def _add(prediction: Predictions, predicted: Predictions) -> None:
    """Fill in the predictions for a fold."""
    for name, values in predicted.items():
        if name in prediction:
            values = np.where(np.isfinite(values), values, prediction[name])
        prediction[name] = values


def _baselines(
    parts: Sequence[Part], tests: Sequence[NDArray[np.int64]], n_folds: int, cache: Path
) -> dict[str, Predictions]:
    """Ridge regression on 72 signal features and on MusiCNN, and the teachers, in the same folds."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows: dict[str, Predictions] = {name: {} for name in BASELINES}
    for part, test in zip(parts, tests, strict=True):
        own = statistics(part.windows)
        embedding = part.of_clips(own["embedding"])
        plain = clip_summaries(part.clips, cache / part.name)
        inputs = dict(zip(BASELINES, (plain, embedding[:, :ONE_MUSICNN], embedding), strict=False))
        for name, labels in part.targets().items():
            key = f"{part.name}.{name}"
            for row in BASELINES:
                rows[row][key] = np.full(labels.shape, np.nan, np.float32)
            for i in range(n_folds):
                chosen = test == i
                if not chosen.any():
                    continue
                learnt = learnt_in(test, i)
                for row, x in inputs.items():
                    ridge = make_pipeline(StandardScaler(), RidgeCV(RIDGE)).fit(x[learnt], labels[learnt])
                    rows[row][key][chosen] = ridge.predict(x[chosen])
                some = part.only(learnt)
                teacher, _ = fit_teacher(statistics(some.windows), some.owner, labels[learnt], some.groups)
                rows[BASELINES[-1]][key][chosen] = part.of_clips(teacher(own))[chosen]
    return rows


# --------------------------------------------------------------------------------------------------------------- report


def _row(
    predictions: Sequence[Predictions], parts: Sequence[Part], tests: Sequence[NDArray[np.int64]]
) -> dict[str, Any]:
    """By dataset and score: the seeds' own, and of their mean the score with its interval."""
    mean = _mean(predictions)
    row: dict[str, Any] = {}
    for part, test in zip(parts, tests, strict=True):
        predicted = _of(part, mean)
        if not predicted:
            continue
        tested = (test >= 0).astype(np.float64)
        each = [scores(part, _of(part, prediction), tested) for prediction in predictions]
        whole = scores(part, predicted, tested)
        drawn = [scores(part, predicted, weights) for weights in _draws(part, tested)]
        row[part.name] = {
            name: {
                "seeds": [one[name] for one in each],
                "mean": value,
                "interval": np.nanpercentile([one[name] for one in drawn], [2.5, 97.5]).tolist(),
            }
            for name, value in whole.items()
        }
        if "curve" in predicted:
            row[part.name] |= {name: {"mean": value} for name, value in curve_scores(part, predicted["curve"]).items()}
    return row


def _compared(
    full: Sequence[Predictions], less: Sequence[Predictions], parts: Sequence[Part], tests: Sequence[NDArray[np.int64]]
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


def _mean(predictions: Sequence[Predictions]) -> Predictions:
    return {name: np.mean([prediction[name] for prediction in predictions], axis=0) for name in predictions[0]}


def _of(part: Part, prediction: Predictions) -> Predictions:
    """A part's own, without its name."""
    start = f"{part.name}."
    return {name.removeprefix(start): values for name, values in prediction.items() if name.startswith(start)}


def _draws(part: Part, tested: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """How often each clip is drawn where groups are drawn with replacement, [clips]."""
    _, group = np.unique(part.groups, return_inverse=True)
    tested_groups = np.unique(group[tested > 0])
    random = np.random.default_rng(0)
    for _ in range(N_DRAWS):
        counts = np.bincount(random.choice(tested_groups, len(tested_groups)), minlength=group.max() + 1)
        yield counts[group] * tested
