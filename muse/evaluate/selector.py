"""How far the selector can be trusted: emotion, quality and genre on music that it has never seen.

Conventions
-----------
emotion
    EMOPIA's labelled clips, each judged by experts that were fitted, and all their settings chosen, without its
    recording (nested 5-fold cross-validation), and clips that were held out of everything (:data:`HELD_OUT`); the
    network alone on the official validation clips, which it never learnt from; and VGMIDI's rated pieces, each rated by
    experts that were fitted without it (5-fold over pieces).
quality
    Share of pairs in which the real window is rated above itself spoilt, by kind and grade of damage, and above a
    generator's samples of the same meter, tempo, genre and instruments, by temperature; beside it that of the network
    alone.
genre
    Of windows of held-out songs; rare genres say how rare they are.
intervals
    95 %, bootstrap over recordings or windows.

Contents: :func:`emotion_across_songs`, :func:`emotion_of_clips`, :func:`emotion_of_pieces`,
:func:`quality_of_windows`, :func:`genre_of_windows`, :func:`quadrant_figures`, :func:`expected_calibration_error`.
``benchmarks/selector_report.py`` writes it all down.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from muse.corpora import Song, emopia_clips, vgmidi_pieces
from muse.errors import InputError
from muse.hearing.answer import answer, deviates, quadrant_masses
from muse.hearing.features import harmony_count, hearings
from muse.score import read_score
from muse.selector.events import Passage, passage
from muse.selector.model import Selector
from muse.statistics import bootstrap, spearman
from muse.tokens import GENRES
from muse.training.quadrants import fit_stack, folds_of, nested
from muse.training.selector.calibrate import fit_answer, unseen_by_network
from muse.training.selector.damage import GRADES, KINDS, corrupt
from muse.training.selector.data import N_FOLDS, Library, fold_of
from muse.training.selector.experts import rated_across_folds
from muse.training.selector.samples import TEMPERATURES, Sample

__all__ = [
    "emotion_across_songs",
    "emotion_of_clips",
    "emotion_of_pieces",
    "expected_calibration_error",
    "genre_of_windows",
    "quadrant_figures",
    "quality_of_windows",
]

Floats = NDArray[np.float64]

N_WINDOWS = 1500
"""Windows that genre is measured on."""
HELD_OUT = Path(__file__).with_name("held_out.txt")
"""Ids of EMOPIA's clips, of 15 % of the recordings, that no choice was made by."""


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


def emotion_of_clips(selector: Selector, corpora: Path | str, split: str = "val") -> dict[str, Any]:
    """Accuracy of the network alone on EMOPIA's clips; the experts learn from all of them.

    Raises
    ------
    InputError
        The corpus is not there.
    """
    clips = emopia_clips(corpora, split)
    ratings = selector.without_experts().rate([read_score(clip.path) for clip in clips])
    return quadrant_figures(
        np.array([rating.quadrants for rating in ratings]), _labels(clips), [clip.group for clip in clips]
    )


def emotion_across_songs(
    corpora: Path | str, selector: Selector | None = None, *, progress: Callable[[float, float], None] | None = None
) -> dict[str, Any]:
    """Accuracy of the experts on EMOPIA's labelled clips by nested cross-validation, and once on the clips held out.

    Parameters
    ----------
    corpora
        Folder with ``emopia-nc``.
    selector
        Measured with its experts replaced by those of the cross-validation, on clips whose labels its network never
        saw; None leaves that out.
    progress
        Called with what is done and what is to do.

    Returns
    -------
    dict
        Figures: ``stack``, and its kernel machines (``kernel``) and ``trees`` alone; ``held_out``; ``with_network`` and
        ``network``.

    Raises
    ------
    InputError
        The corpus is not there.
    """
    clips = [*emopia_clips(corpora, "train"), *emopia_clips(corpora, "val")]
    x = np.stack([hearings(read_score(clip.path)) for clip in clips])
    y, song = _labels(clips), np.array([clip.group for clip in clips])
    ids = set(HELD_OUT.read_text(encoding="utf-8").split())
    held = np.array([clip.song_id in ids for clip in clips])
    judged = nested(x[~held], y[~held], song[~held], harmony=harmony_count(), progress=progress)
    found: dict[str, Any] = {
        name: quadrant_figures(np.exp(log_p), y[~held], song[~held]) for name, log_p in judged.items()
    }
    if held.any():
        stack, _ = fit_stack(x[~held], y[~held], song[~held], harmony=harmony_count())
        found["held_out"] = quadrant_figures(np.exp(stack.log_probabilities(x[held])), y[held], song[held])
    if selector is not None:
        log_p = np.full((len(clips), 4), np.nan)
        log_p[~held] = judged["stack"]
        at = np.flatnonzero(~held & [unseen_by_network(clip) for clip in clips])
        logits = selector.network_logits([read_score(clips[i].path) for i in at])
        for name, experts in (("with_network", log_p[at]), ("network", np.zeros((len(at), 4)))):
            found[name] = quadrant_figures(_answers(logits, experts, y[at], song[at]), y[at], song[at])
    return found


def _answers(network: Floats, experts: Floats, labels: NDArray[np.int64], song: Any) -> Floats:
    """Quadrants of clips [n, 4], what network and experts have to say fitted without their songs."""
    fold = folds_of(song)
    found = np.zeros((len(labels), 4))
    for k in np.unique(fold):
        out = fold == k
        temperature, weight = fit_answer(network[~out], experts[~out], labels[~out])
        quadrants = softmax(network[out] / temperature + weight * experts[out], axis=1)
        found[out] = quadrant_masses(deviates(quadrants))
    return found


def _labels(clips: Sequence[Song]) -> NDArray[np.int64]:
    return np.array([int(clip.quadrant[1]) - 1 for clip in clips])


def quadrant_figures(p: Floats, y: NDArray[np.int64], song: Sequence[str] | NDArray[Any]) -> dict[str, Any]:
    """Accuracy in four quadrants, arousal half and valence half with intervals by song, confusion, calibration."""
    glad, excited = np.isin(y, (0, 3)), y < 2
    right = np.stack(
        [
            p.argmax(1) == y,
            (p[:, 0] + p[:, 1] > 0.5) == excited,
            (p[:, 0] + p[:, 3] > 0.5) == glad,
        ],
        axis=1,
    ).astype(float)
    found: dict[str, Any] = {"n": len(y), "songs": len(set(song))}
    for k, name in enumerate(("accuracy", "arousal", "valence")):
        interval = bootstrap(right[:, k], np.mean, groups=song)
        found[name] = {"share": float(right[:, k].mean()), "interval": list(interval)}
    confusion = np.zeros((4, 4), int)
    np.add.at(confusion, (y, p.argmax(1)), 1)
    found["confusion"] = confusion.tolist()
    found["expected_calibration_error"] = expected_calibration_error(p, y)
    return found


def emotion_of_pieces(selector: Selector, corpora: Path | str) -> dict[str, Any]:
    """Spearman correlation with listeners and error on VGMIDI's rated pieces (5-fold over pieces).

    What is said of a piece is joined of the selector's experts on quadrants and of experts on ratings that were fitted
    without the piece's fold. The network, which has learnt from the pieces, is left out.

    Raises
    ------
    InputError
        The corpus is not there, or the selector has no experts.
    """
    experts = selector.experts
    if experts is None:
        raise InputError("this selector has no experts on emotion: fit them with muse train selector-experts")
    pieces = vgmidi_pieces(corpora)
    scores = [read_score(piece.path) for piece in pieces]
    fold = np.array([fold_of(piece.song_id, N_FOLDS) for piece in pieces])
    rated = np.array([(piece.valence, piece.arousal) for piece in pieces])
    alone = rated_across_folds(scores, rated, fold)
    quadrants = np.exp(experts.quadrants.log_probabilities(np.stack([hearings(score) for score in scores])))
    middle = np.stack([rated[fold != k].mean(axis=0) for k in fold])
    judged = answer(quadrants, alone, experts.spread.astype(np.float64), middle)[0]
    return {
        "n": len(pieces),
        "joined": _beside_ratings(judged, rated, fold),
        "ratings_alone": _beside_ratings(alone, rated, fold),
    }


def _beside_ratings(judged: Floats, rated: Floats, fold: NDArray[np.int64]) -> dict[str, Any]:
    """Figures of valence and arousal [n, 2] beside those of listeners."""
    both = np.concatenate([rated, judged], axis=1)
    found: dict[str, Any] = {}
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
    real = _qualities(selector, music)
    found: dict[str, Any] = {"n": len(rows), "real_mean": float(real[0].mean()), "damage": {}}
    for kind in KINDS:
        by_grade = []
        for share in GRADES:
            spoilt = [
                corrupt(one, kind, share, library.passage(int(donor)), int(row))
                for one, donor, row in zip(music, donors, rows, strict=True)
            ]
            score = _qualities(selector, spoilt)
            above, network = (real > score).mean(axis=1).tolist()
            by_grade.append(
                {"share": share, "real_above": above, "network_above": network, "mean": float(score[0].mean())}
            )
        means = [found["real_mean"], *(entry["mean"] for entry in by_grade)]
        found["damage"][kind] = {
            "grades": by_grade,
            "real_above": float(np.mean([entry["real_above"] for entry in by_grade])),
            "network_above": float(np.mean([entry["network_above"] for entry in by_grade])),
            "falls": bool(np.all(np.diff(means) < 0)),
        }
    found["samples"] = {}
    kin = pool[library.permissive[pool]] if library.permissive[pool].any() else pool
    human = [library.passage(int(row)) for row in rng.choice(kin, min(200, len(kin)), False)]
    beside = _qualities(selector, human)
    for rank, temperature in enumerate(TEMPERATURES):
        sampled = [passage(sample.ids) for sample in samples if sample.rank == rank]
        if sampled:
            score = _qualities(selector, sampled)
            above, network = (beside[:, :, None] > score[:, None]).mean(axis=(1, 2)).tolist()
            found["samples"][str(temperature)] = {
                "n": len(sampled), "real_above": above, "network_above": network, "mean": float(score[0].mean()),
            }  # fmt: skip
    pairs = [entry["real_above"] for part in ("damage", "samples") for entry in found[part].values()]
    found["accuracy"] = float(np.mean(pairs))
    return found


def _qualities(selector: Selector, windows: Sequence[Passage]) -> Floats:
    """What the selector, and its network alone, say of the quality of windows, in logits, [2, n]."""
    network = selector.without_form().outputs(windows)["quality"]
    if selector.form is None:
        return np.stack([network, network])
    together = [selector.form.quality(float(one), window) for one, window in zip(network, windows, strict=True)]
    return np.stack([together, network])


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
