"""How far the selector can be trusted: emotion, quality and genre on music that it has never seen.

Conventions
-----------
emotion
    EMOPIA's official validation clips, never trained on, whole clips through :meth:`muse.selector.Selector.rate`; and
    VGMIDI's rated pieces, each rated by a selector that was trained without it (5-fold over pieces).
quality
    Share of pairs in which the real window is rated above itself spoilt, by kind and grade of damage, and above a
    generator's samples of the same meter, tempo, genre and instruments, by temperature.
genre
    Of windows of held-out songs; rare genres say how rare they are.
intervals
    95 %, bootstrap over recordings or windows.

Contents: :func:`emotion_of_clips`, :func:`emotion_across_folds`, :func:`quality_of_windows`, :func:`genre_of_windows`,
:func:`expected_calibration_error`, :func:`calibrate`. ``benchmarks/selector_report.py`` writes it all down.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from muse.checkpoint import load_tensors, save_tensors
from muse.dataset.read import Corpus
from muse.errors import InputError
from muse.evaluate.metrics.pieces import spearman
from muse.files import read_json, write_json
from muse.score import read_score
from muse.selector.events import Passage, passage
from muse.selector.experts import AttributeExperts
from muse.selector.model import EXPERTS, Config, Selector
from muse.statistics import bootstrap
from muse.tokens import GENRES
from muse.training.selector.damage import GRADES, KINDS, corrupt
from muse.training.selector.fit import N_FOLDS, Library, fold_of, is_kept
from muse.training.selector.samples import TEMPERATURES, Sample

__all__ = [
    "calibrate",
    "emotion_across_folds",
    "emotion_of_clips",
    "expected_calibration_error",
    "genre_of_windows",
    "quality_of_windows",
]

Floats = NDArray[np.float64]

N_WINDOWS = 1500
"""Windows that genre is measured on."""


def expected_calibration_error(probabilities: Floats, labels: NDArray[np.int64], n_bins: int = 10) -> float:
    """Mean gap between confidence and accuracy over bins of confidence (Naeini et al. 2015; Guo et al., ICML 2017).

    Parameters
    ----------
    probabilities
        float64 [n, classes].
    labels
        int64 [n], indices of the right classes.
    """
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gaps = [(bins == b).mean() * abs(confidence[bins == b].mean() - right[bins == b].mean()) for b in np.unique(bins)]
    return float(sum(gaps))


def _rows(corpora: Path | str, corpus: str, **equals: str) -> list[tuple[Path, dict[str, str]]]:
    """File and table row of the clips of a corpus."""
    table = Path(corpora) / corpus / "metadata.csv"
    if not table.is_file():
        raise InputError(f"{table}: no such file; give the folder that holds {corpus}")
    with table.open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if all(row[name] == value for name, value in equals.items())]
    if not rows:
        raise InputError(f"{table}: no row has {equals}")
    return [(table.parent / row["file"], row) for row in rows]


def emotion_of_clips(selector: Selector, corpora: Path | str, split: str = "val") -> dict[str, Any]:
    """Accuracy on EMOPIA's clips: four quadrants, arousal half, valence half, confusion, calibration.

    Raises
    ------
    InputError
        The corpus is not there.
    """
    rows = _rows(corpora, "emopia-nc", split=split)
    ratings = selector.rate([read_score(path) for path, _ in rows])
    p = np.array([rating.quadrants for rating in ratings])
    y = np.array([int(row["quadrant"]) - 1 for _, row in rows])
    glad, excited = np.isin(y, (0, 3)), y < 2
    right = np.stack(
        [
            p.argmax(1) == y,
            (p[:, 0] + p[:, 1] > 0.5) == excited,
            (p[:, 0] + p[:, 3] > 0.5) == glad,
        ],
        axis=1,
    ).astype(float)
    song = [row["song_id"] for _, row in rows]
    found: dict[str, Any] = {"n": len(y)}
    for k, name in enumerate(("accuracy", "arousal", "valence")):
        interval = bootstrap(right[:, k], np.mean, groups=song)
        found[name] = {"share": float(right[:, k].mean()), "interval": list(interval)}
    confusion = np.zeros((4, 4), int)
    np.add.at(confusion, (y, p.argmax(1)), 1)
    found["confusion"] = confusion.tolist()
    found["expected_calibration_error"] = expected_calibration_error(p, y)
    return found


def emotion_across_folds(selectors: Sequence[Selector], corpora: Path | str) -> dict[str, Any]:
    """Spearman correlation with listeners on VGMIDI's rated pieces, each rated by the selector of its fold.

    Parameters
    ----------
    selectors
        Trained with ``exclude_fold`` 0, 1 ...
    """
    if len(selectors) != N_FOLDS:
        raise InputError(f"{len(selectors)} selectors came, one for each of {N_FOLDS} folds is needed")
    rows = _rows(corpora, "vgmidi-unclear", split="labelled")
    fold = np.array([fold_of(path.stem, N_FOLDS) for path, _ in rows])
    rated = np.array([[float(row["valence"]), float(row["arousal"])] for _, row in rows])
    judged = np.zeros_like(rated)
    for k, selector in enumerate(selectors):
        at = np.flatnonzero(fold == k)
        ratings = selector.rate([read_score(rows[i][0]) for i in at])
        judged[at] = [(r.emotion.valence, r.emotion.arousal) for r in ratings]
    both = np.concatenate([rated, judged], axis=1)
    found: dict[str, Any] = {"n": len(rows)}
    for k, name in enumerate(("valence", "arousal")):
        interval = bootstrap(both, lambda x, k=k: spearman(x[:, k], x[:, 2 + k]))  # type: ignore[misc]
        within = [spearman(rated[fold == f, k], judged[fold == f, k]) for f in range(N_FOLDS)]
        found[name] = {
            "spearman": spearman(rated[:, k], judged[:, k]),
            "interval": list(interval),
            "mean_within_folds": float(np.mean(within)),
            "rmse": float(np.sqrt(np.mean((rated[:, k] - judged[:, k]) ** 2))),
        }
    return found


def quality_of_windows(
    selector: Selector, library: Library, samples: Sequence[Sample], *, n_windows: int = 150, seed: int = 0
) -> dict[str, Any]:
    """How often real windows are rated above spoilt ones and above samples; mean score by grade.

    Parameters
    ----------
    library
        Windows of a split that was not trained on.
    samples
        Samples beside windows of the same split, see :func:`muse.training.selector.samples.write_samples`.
    n_windows
        Real windows, the same number of each corpus as far as there are.
    """
    rng = np.random.default_rng(seed)
    pool = library.pitched[library.on_grid[library.pitched]]
    _, place, sizes = np.unique(library.corpus_name[pool], return_inverse=True, return_counts=True)
    weight = sizes[place].astype(float) ** -0.5
    rows = rng.choice(pool, min(n_windows, len(pool)), replace=False, p=weight / weight.sum())
    donors = rng.choice(pool, len(rows))
    music = [library.passage(int(row)) for row in rows]
    real = _quality(selector, music)
    found: dict[str, Any] = {"n": len(rows), "real_mean": float(real.mean()), "damage": {}}
    for kind in KINDS:
        by_grade = []
        for share in GRADES:
            spoilt = [
                corrupt(one, kind, share, library.passage(int(donor)), int(row))
                for one, donor, row in zip(music, donors, rows, strict=True)
            ]
            score = _quality(selector, spoilt)
            by_grade.append({"share": share, "real_above": float((real > score).mean()), "mean": float(score.mean())})
        means = [found["real_mean"], *(entry["mean"] for entry in by_grade)]
        found["damage"][kind] = {
            "grades": by_grade,
            "real_above": float(np.mean([entry["real_above"] for entry in by_grade])),
            "falls": bool(np.all(np.diff(means) < 0)),
        }
    found["samples"] = {}
    kin = pool[library.permissive[pool]] if library.permissive[pool].any() else pool
    beside = _quality(selector, [library.passage(int(row)) for row in rng.choice(kin, min(200, len(kin)), False)])
    for rank, temperature in enumerate(TEMPERATURES):
        score = _quality(selector, [passage(sample.ids) for sample in samples if sample.rank == rank])
        if len(score):
            above = (beside[:, None] > score[None]).mean()
            found["samples"][str(temperature)] = {
                "n": len(score), "real_above": float(above), "mean": float(score.mean()),
            }  # fmt: skip
    pairs = [entry["real_above"] for part in ("damage", "samples") for entry in found[part].values()]
    found["accuracy"] = float(np.mean(pairs))
    return found


def _quality(selector: Selector, music: Sequence[Passage]) -> Floats:
    return selector.outputs(music)["quality"]


def genre_of_windows(
    selector: Selector, library: Library, *, n_windows: int = N_WINDOWS, seed: int = 0
) -> dict[str, Any]:
    """Precision, recall, F1 and number of windows of every genre, macro-F1 over those that occur."""
    rng = np.random.default_rng(seed)
    pool = library.pitched[library.genre[library.pitched] >= 0]
    rows = pool if len(pool) <= n_windows else rng.choice(pool, n_windows, replace=False)
    out = selector.outputs([library.passage(int(row)) for row in rows])["genre"]
    wanted, got = library.genre[rows], out.argmax(1)
    found: dict[str, Any] = {"n": len(rows), "accuracy": float((wanted == got).mean()), "genres": {}}
    for k in np.unique(wanted):
        hit = float(((wanted == k) & (got == k)).sum())
        precision, recall = hit / max((got == k).sum(), 1), hit / (wanted == k).sum()
        f1 = 2 * precision * recall / max(precision + recall, 1e-9)
        songs = len(set(library.song[rows[wanted == k]]))
        found["genres"][GENRES[k]] = {
            "windows": int((wanted == k).sum()), "songs": songs, "precision": float(precision),
            "recall": float(recall), "f1": float(f1),
        }  # fmt: skip
    found["macro_f1"] = float(np.mean([entry["f1"] for entry in found["genres"].values()]))
    return found


def calibrate(
    folder: Path | str, corpus: Path | str, samples: Sequence[Sample], corpora: Path | str | None = None
) -> Config:
    """Find the temperatures that make a selector's probabilities true, and write them into its ``config.json``.

    Guo et al., *On Calibration of Modern Neural Networks*, ICML 2017. Quadrants (with the weight of the experts
    on attributes) on EMOPIA's clips whose recordings are kept for it, spread on rated windows, genre and quality on the
    validation songs; quality is the probability of being real beside as many spoilt windows and samples.

    Parameters
    ----------
    folder
        Checkpoint.
    corpus
        The dataset that it learnt from.
    samples
        Of the generator, not learnt from.
    corpora
        Folder with ``emopia-nc`` and ``vgmidi-unclear``, on which the experts on attributes are fitted; None leaves
        emotion to the network.
    """
    plain = Config.load(Path(folder))
    if corpora is not None:
        _fit_experts(Path(folder), corpora)
    selector, dataset = Selector.from_pretrained(folder), Corpus(corpus)
    held_out = Library(dataset, "val")
    temperature, attribute_weight = plain.quadrant_temperature, plain.attribute_weight
    if corpora is not None:
        kept = [row for row in _rows(corpora, "emopia-nc", split="train") if is_kept(row[1]["id"])]
        scores = [read_score(path) for path, _ in kept]
        labels = np.array([int(row["quadrant"]) - 1 for _, row in kept])
        temperature, attribute_weight = _experts(*selector.opinions(scores), labels)
    named = held_out.pitched[held_out.genre[held_out.pitched] >= 0]
    named = named if len(named) <= N_WINDOWS else np.random.default_rng(1).choice(named, N_WINDOWS, replace=False)
    genre = selector.outputs([held_out.passage(int(row)) for row in named])["genre"]
    # Every genre counts the same, or nearly: the corpus is mostly classical.
    counts = np.bincount(held_out.genre[named], minlength=len(GENRES))
    weight = counts[held_out.genre[named]].astype(float) ** -0.5
    rated = np.intersect1d(np.flatnonzero(np.isfinite(held_out.rating).all(axis=1)), held_out.usable)
    spread = plain.spread_scale
    if len(rated):
        out = selector.outputs([held_out.passage(int(row)) for row in rated])
        z = (held_out.rating[rated] - out["mean"]) / np.exp(out["log_variance"] / 2)
        spread = float(np.sqrt(np.mean(z**2)))

    rng = np.random.default_rng(0)
    pool = held_out.pitched[held_out.on_grid[held_out.pitched]]
    music = [held_out.passage(int(row)) for row in rng.choice(pool, min(200, len(pool)), replace=False)]
    kinds = list(KINDS)
    spoilt = [
        corrupt(one, kinds[i % len(kinds)], GRADES[i // len(kinds) % len(GRADES)], music[i - 1], i)
        for i, one in enumerate(music)
    ]
    sampled = [passage(sample.ids) for sample in samples][: len(spoilt)]
    scale, shift = _logistic(_quality(selector, music), _quality(selector, [*spoilt, *sampled]))
    config = replace(
        plain,
        quadrant_temperature=temperature,
        attribute_weight=attribute_weight,
        genre_temperature=_temperature(genre, held_out.genre[named], weight),
        quality_scale=scale,
        quality_shift=shift,
        spread_scale=spread,
    )
    write_json(config.to_json(), Path(folder) / "config.json")
    return config


def _fit_experts(folder: Path, corpora: Path | str) -> None:
    """Fit the experts on attributes and put them to the weights: EMOPIA's training clips but for those kept for
    calibration, VGMIDI's rated pieces but for the fold that the network left out."""
    import torch

    clips = [entry for entry in _rows(corpora, "emopia-nc", split="train") if not is_kept(entry[1]["id"])]
    left_out = int(read_json(folder / "training.json")["exclude_fold"])
    rated = _rows(corpora, "vgmidi-unclear", split="labelled")
    rated = [entry for entry in rated if fold_of(entry[0].stem, N_FOLDS) != left_out]
    experts = AttributeExperts.fit(
        [read_score(path) for path, _ in clips],
        np.array([int(row["quadrant"]) - 1 for _, row in clips]),
        [read_score(path) for path, _ in rated],
        np.array([[float(row["valence"]), float(row["arousal"])] for _, row in rated]),
    )
    weights = {name: tensor for name, tensor in load_tensors(folder).items() if not name.startswith(EXPERTS)}
    fitted = {EXPERTS + name: torch.from_numpy(values) for name, values in experts.tensors().items()}
    experts.save_columns(folder)
    save_tensors(weights | fitted, folder)


def _experts(network: Floats, attributes: Floats, labels: NDArray[np.int64]) -> tuple[float, float]:
    """Temperature of the network's logits [n, 4] and weight of the experts' log probabilities [n, 4], likeliest."""
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    def loss(x: Floats) -> float:
        log_p = log_softmax(network / np.exp(x[0]) + x[1] * attributes, axis=1)
        return float(-log_p[np.arange(len(labels)), labels].mean())

    if not len(labels):
        return 1.0, 0.0
    found = minimize(loss, np.array([0.0, 0.3]), bounds=[(-2, 2), (0, 2)]).x
    return float(np.exp(found[0])), float(found[1])


def _temperature(logits: Floats, labels: NDArray[np.int64], weight: Floats) -> float:
    """The temperature of the greatest likelihood."""
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    def loss(log_temperature: float) -> float:
        log_p = log_softmax(logits / np.exp(log_temperature), axis=1)[np.arange(len(labels)), labels]
        return float(-(weight * log_p).sum() / weight.sum())

    return float(np.exp(minimize_scalar(loss, bounds=(-2, 2), method="bounded").x)) if len(labels) else 1.0


def _logistic(good: Floats, bad: Floats) -> tuple[float, float]:
    """Scale and shift of the logistic curve between two sets of scores, the sets of equal weight (Platt 1999)."""
    from sklearn.linear_model import LogisticRegression

    x, y = np.concatenate([good, bad])[:, None], np.repeat([1, 0], [len(good), len(bad)])
    model = LogisticRegression(class_weight="balanced", C=1e4).fit(x, y)
    return float(model.coef_[0, 0]), float(model.intercept_[0])
