"""How well the fitted mapping does: the figures of ``mapping_report.json``.

Contents: :func:`figures`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from muse.attributes import COLUMNS, LEVERS, SONG_CONTROLS
from muse.emotion import QUADRANTS
from muse.mapping import EmotionMapper
from muse.mapping.levels import REACH_LEVEL
from muse.training.mapping.data import Labelled

__all__ = ["figures"]

Floats = NDArray[np.float64]


def figures(mapper: EmotionMapper, data: Labelled, music: Floats) -> dict[str, Any]:
    """Figures of a fitted mapper, in JSON's types.

    Parameters
    ----------
    mapper
        Fitted on the data below.
    data
        Labelled windows.
    music
        float64 [m, n_attributes], windows of the music to compose.
    """
    return {
        "windows": {name: int((data.domain == name).sum()) for name in dict.fromkeys(data.domain.tolist())}
        | {"corpus": len(music)},
        "recognition": _recognition(mapper, data, music),
        "important": _important(data, mapper.n_trees),
        "vgmidi": _transfer(mapper, data, music),
        "forms": _forms(mapper, data),
        "intensity": _intensities(mapper, data, music),
        "tracked_tempo_bpm": _tracked_tempo(data),
        "targets": {quadrant: mapper.target(quadrant).to_dict() for quadrant in QUADRANTS},
    }


def _levels(mapper: EmotionMapper, data: Labelled) -> Floats:
    """Levels of labelled rows of one or more domains as the mapper sees them in fitting, undefined ones neutral."""
    names = list(dict.fromkeys(data.domain.tolist()))
    domains = np.array([names.index(d) for d in data.domain])
    levels = mapper.labelled_levels(data.X, domains, np.ones(len(data.X)))
    return np.where(np.isnan(levels), mapper.neutral_, levels)


def _folds(data: Labelled, seed: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    from sklearn.model_selection import StratifiedGroupKFold

    yield from StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(data.X, data.quadrant, data.group)


def _accuracies(truth: NDArray[np.str_], guess: NDArray[np.str_]) -> dict[str, float]:
    high = partial(np.isin, test_elements=("Q1", "Q2"))
    pleasant = partial(np.isin, test_elements=("Q1", "Q4"))
    calm = np.isin(truth, ("Q3", "Q4")) & np.isin(guess, ("Q3", "Q4"))
    return {
        "quadrant": float((truth == guess).mean()),
        "arousal": float((high(truth) == high(guess)).mean()),
        "valence": float((pleasant(truth) == pleasant(guess)).mean()),
        "sad_or_calm": float((truth == guess)[calm].mean()) if calm.any() else 0.0,
    }


def _filled(values: Floats) -> Floats:
    """The median where a value is undefined; columns without any defined value are left out."""
    values = values[:, np.isfinite(values).any(axis=0)]
    return np.where(np.isfinite(values), values, np.nanmedian(np.where(np.isfinite(values), values, np.nan), axis=0))


def _important(data: Labelled, n_trees: int, n: int = 15) -> dict[str, float]:
    """The columns of the whole catalogue that tell EMOPIA's quadrants best, by a forest's importance."""
    from sklearn.ensemble import RandomForestClassifier

    clips = data[data.domain == "emopia"]
    defined = np.atleast_1d(np.isfinite(clips.catalogue).any(axis=0))
    forest = RandomForestClassifier(n_trees, min_samples_leaf=2, random_state=0)
    forest.fit(_filled(clips.catalogue.astype(np.float64)), clips.quadrant)
    names = [name for name, some in zip(COLUMNS, defined.tolist(), strict=True) if some]
    order = np.argsort(-forest.feature_importances_, kind="stable")[:n]
    return {names[i]: round(float(forest.feature_importances_[i]), 5) for i in order}


def _recognition(mapper: EmotionMapper, data: Labelled, music: Floats) -> dict[str, dict[str, float]]:
    """Accuracy on EMOPIA's training clips, cross-validated by song (5 folds, 3 times; the whole catalogue once)."""
    from sklearn.base import clone
    from sklearn.ensemble import RandomForestClassifier

    clips = data[data.domain == "emopia"]
    others = data[data.domain != "emopia"]
    truth = clips.quadrant
    forest = partial(RandomForestClassifier, mapper.n_trees, min_samples_leaf=2)
    controls, catalogue = _filled(clips.raw), _filled(clips.catalogue.astype(np.float64))
    levers = [SONG_CONTROLS.index(name) for name in LEVERS]
    tables = {
        f"forest, all {len(COLUMNS):,} columns of the catalogue": catalogue,
        f"forest, all {len(SONG_CONTROLS)} controls": controls,
        f"forest, the {mapper.chosen_.sum()} chosen": controls[:, mapper.chosen_],
        f"forest, the {len(levers)} levers": controls[:, levers],
    }
    ours = "mapper (linear discriminant of levels)"
    results: dict[str, list[dict[str, float]]] = {name: [] for name in (*tables, ours)}
    for seed in range(3):
        # The whole catalogue is slow, once is enough.
        run = {name: table for name, table in tables.items() if seed == 0 or table is not catalogue}
        guesses = {name: np.empty(len(truth), dtype=truth.dtype) for name in (*run, ours)}
        for train, test in _folds(clips, seed):
            for name, table in run.items():
                guesses[name][test] = forest(random_state=seed).fit(table[train], truth[train]).predict(table[test])
            part = clips[train]
            model = clone(mapper).set_params(n_trees=5)
            model.fit(
                np.concatenate([part.X, others.X]),
                np.concatenate([part.plane, others.plane]),
                np.concatenate([part.weight, others.weight]),
                domain=[*part.domain, *others.domain],
                corpus=music,
            )
            # Ranks of the held-out clips are taken among all clips: they need no labels.
            levels = _levels(model, clips)[test]
            guesses[ours][test] = model.classes_[model.discriminants(levels).argmax(axis=1)]
        for name, guess in guesses.items():
            results[name].append(_accuracies(truth, guess))
    return {
        name: {axis: round(float(np.mean([one[axis] for one in runs])), 4) for axis in runs[0]}
        for name, runs in results.items()
    }


def _transfer(mapper: EmotionMapper, data: Labelled, music: Floats) -> dict[str, float]:
    """Correlation of judged with rated valence and arousal on VGMIDI, by a mapper that has seen no piece of it."""
    from scipy.special import softmax
    from scipy.stats import pearsonr, spearmanr
    from sklearn.base import clone

    pieces = data[data.domain == "vgmidi"]
    if len(pieces.X) < 10:
        return {}
    rest = data[data.domain == "emopia"]
    model = clone(mapper).set_params(n_trees=5).fit(rest.X, rest.plane, corpus=music)
    judged = model.mean_points(softmax(model.discriminants(_levels(model, pieces)), axis=1))
    result = {"pieces": float(len(pieces.X))}
    for i, axis in enumerate(("valence", "arousal")):
        result[f"{axis} pearson"] = round(float(pearsonr(judged[:, i], pieces.plane[:, i])[0]), 3)
        result[f"{axis} spearman"] = round(float(spearmanr(judged[:, i], pieces.plane[:, i])[0]), 3)
    return result


def _forms(mapper: EmotionMapper, data: Labelled) -> dict[str, dict[str, float]]:
    """Share of the variance of levels that each continuous form explains on songs that it has not seen.

    ``constant`` is the mean, ``linear`` valence and arousal, ``bilinear`` with their product (what the mapper uses),
    ``kernel`` a Nadaraya-Watson mean over the plane (bandwidth 0.3).
    """
    result: dict[str, dict[str, float]] = {}
    for domain in dict.fromkeys(data.domain.tolist()):
        part = data[data.domain == domain]
        if len(set(part.quadrant.tolist())) < 4 or min(np.unique(part.quadrant, return_counts=True)[1]) < 5:
            continue
        levels = _levels(mapper, part)
        errors = dict.fromkeys(("constant", "linear", "bilinear", "kernel"), 0.0)
        for train, test in _folds(part, 0):
            mean = levels[train].mean(axis=0)
            for form in errors:
                errors[form] += float(((_form(form, part.plane, levels, train, test, mean) - levels[test]) ** 2).sum())
        result[domain] = {form: round(1 - error / errors["constant"], 4) for form, error in errors.items()}
    return result


def _form(
    form: str, plane: Floats, levels: Floats, train: NDArray[np.int64], test: NDArray[np.int64], mean: Floats
) -> Floats:
    """Levels that a form gives the rows `test` when it has seen `train`."""
    if form == "constant":
        return np.broadcast_to(mean, levels[test].shape)
    if form == "kernel":
        distance = ((plane[test][:, None] - plane[train][None]) ** 2).sum(axis=2)
        kernel = np.exp(-distance / (2 * 0.3**2)) + 1e-9
        return kernel @ levels[train] / kernel.sum(axis=1, keepdims=True)
    terms = np.column_stack([plane, plane.prod(axis=1)])[:, : 2 if form == "linear" else 3]
    center = terms[train].mean(axis=0)
    inputs = terms[train] - center
    slopes = np.linalg.solve(inputs.T @ inputs + np.eye(terms.shape[1]), inputs.T @ (levels[train] - mean))
    return mean + (terms[test] - center) @ slopes


def _intensities(mapper: EmotionMapper, data: Labelled, music: Floats) -> list[dict[str, float]]:
    """What targets of growing intensity lead to: the evidence for the default.

    For every quadrant, 64 targets are drawn. A forest fitted on EMOPIA's clips says which quadrant the target itself
    lies in (``asked``), and which the window of the corpus nearest to it, by the target's weights (``real``).
    ``variety`` is the mean distance of two such windows of one quadrant, by that of two windows of the whole corpus.
    """
    from sklearn.ensemble import RandomForestClassifier

    clips = data[data.domain == "emopia"]
    usable = np.array([name != "Mean Tempo" for name in SONG_CONTROLS])
    forest = RandomForestClassifier(mapper.n_trees, min_samples_leaf=2, random_state=0)
    forest.fit(_levels(mapper, clips)[:, usable], clips.quadrant)
    windows = mapper.levels(music)
    judged = forest.predict(windows[:, usable])
    weight = np.zeros(len(SONG_CONTROLS))
    some = mapper.target("Q1")
    weight[[SONG_CONTROLS.index(name) for name in some.names]] = some.weight
    scaled = windows * np.sqrt(weight)
    everywhere = _mean_distance(scaled[:: max(1, len(scaled) // 200)])
    rows: list[dict[str, float]] = []
    for intensity in ((1.0, 1.0), (2.0, 2.0), (3.0, 1.5), (4.0, 1.5), (4.0, 2.0), (5.0, 1.5), (5.0, 2.0), (6.0, 2.0)):
        rng = np.random.default_rng(0)
        row = {"valence": intensity[0], "arousal": intensity[1]}
        variety = []
        for quadrant in QUADRANTS:
            center = mapper.levels_at(quadrant, intensity)
            drawn = center + np.array([mapper.variation(None, rng) for _ in range(64)])
            drawn = np.clip(drawn, -REACH_LEVEL, REACH_LEVEL)
            distance = ((scaled[None] - (drawn * np.sqrt(weight))[:, None]) ** 2).sum(axis=2)
            nearest = distance.argmin(axis=1)
            row[f"asked {quadrant}"] = round(float((forest.predict(drawn[:, usable]) == quadrant).mean()), 3)
            row[f"real {quadrant}"] = round(float((judged[nearest] == quadrant).mean()), 3)
            variety.append(_mean_distance(scaled[nearest]) / everywhere)
        for kind in ("asked", "real"):
            row[kind] = round(float(np.mean([row[f"{kind} {quadrant}"] for quadrant in QUADRANTS])), 3)
        row["variety"] = round(float(np.mean(variety)), 3)
        rows.append(row)
    return rows


def _mean_distance(levels: Floats) -> float:
    distance = np.sqrt(((levels[:, None] - levels[None]) ** 2).sum(axis=2))
    return float(distance.sum() / max(len(levels) * (len(levels) - 1), 1))


def _tracked_tempo(data: Labelled) -> dict[str, float]:
    """Median tracked tempo of EMOPIA's clips by quadrant: why it is left out."""
    clips = data[data.domain == "emopia"]
    tempo = clips.raw[:, SONG_CONTROLS.index("Mean Tempo")]
    return {quadrant: round(float(np.nanmedian(tempo[clips.quadrant == quadrant])), 1) for quadrant in QUADRANTS}
