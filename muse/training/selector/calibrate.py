"""The last step of the selector's training: its experts, and temperatures that make its probabilities true.

Guo et al., *On Calibration of Modern Neural Networks*, ICML 2017; Platt 1999 for quality.

Contents: :func:`calibrate`, :func:`fit_emotion`, :func:`fit_quality`; :func:`unseen_by_network`, :func:`fit_answer`,
:func:`fit_mix`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from muse.checkpoint import load_tensors, save_tensors
from muse.corpora import Song, emopia_clips, vgmidi_pieces
from muse.dataset.read import Corpus
from muse.files import read_json, write_json
from muse.hearing.answer import deviates, quadrant_masses
from muse.score import read_score
from muse.selector.config import Config
from muse.selector.events import Passage, passage
from muse.selector.form import FormExpert
from muse.selector.model import EXPERTS, FORM, Selector
from muse.tokens import GENRES
from muse.training.selector.damage import GRADES, KINDS
from muse.training.selector.data import N_FOLDS, Library, fold_of, is_kept
from muse.training.selector.experts import fit_experts
from muse.training.selector.form import drawn_windows, fit_form, spoilt
from muse.training.selector.samples import Sample

__all__ = ["calibrate", "fit_answer", "fit_emotion", "fit_mix", "fit_quality", "unseen_by_network"]

Floats = NDArray[np.float64]

N_WINDOWS = 1500
"""Windows that the temperature of genres is fitted on."""
N_PAIRS = 120
"""Windows that what network and expert on form have to say of quality is fitted on."""


def calibrate(
    folder: Path | str, corpus: Path | str, samples: Sequence[Sample], corpora: Path | str | None = None
) -> Config:
    """Find the temperatures that make a selector's probabilities true, and write them into its ``config.json``.

    Quadrants as :func:`fit_emotion` does, quality as :func:`fit_quality`, spread on rated windows, genre on the
    validation songs.

    Parameters
    ----------
    folder
        Checkpoint.
    corpus
        The dataset that it learnt from.
    samples
        Of the generator; those beside every tenth real window have not been learnt from.
    corpora
        Folder with ``emopia-nc`` and ``vgmidi-unclear``, on which the experts are fitted; None leaves emotion to the
        network.
    """
    folder = Path(folder)
    plain = Config.load(folder) if corpora is None else fit_emotion(folder, corpora)
    selector, held_out = Selector.from_pretrained(folder), Library(Corpus(corpus), "val")
    config = replace(
        plain,
        genre_temperature=_genre_temperature(selector, held_out),
        spread_scale=_spread(selector, held_out, plain.spread_scale),
    )
    write_json(config.to_json(), folder / "config.json")
    return fit_quality(folder, corpus, samples)


def fit_quality(folder: Path | str, corpus: Path | str, samples: Sequence[Sample]) -> Config:
    """Fit a selector's expert on form, put it to its weights, and find how far to trust it and the network.

    The expert learns from windows of training songs and from samples that are learnt from; what it and the network have
    to say, and the probability of being real, is fitted on windows of validation songs, each beside itself spoilt, and
    the other samples.

    Parameters
    ----------
    folder
        Checkpoint, which is changed.
    corpus
        Dataset of the windows.
    samples
        Of the generator; those beside every tenth real window are kept from learning.
    """
    folder, dataset = Path(folder), Corpus(corpus)
    learnt, kept = ([passage(one.ids) for one in samples if one.is_kept == kept] for kept in (False, True))
    expert = fit_form(Library(dataset, "train"), learnt)
    network = Selector.from_pretrained(folder).without_form()
    held_out = Library(dataset, "val")
    pairs = [
        spoilt(held_out, row, donor, dict.fromkeys(KINDS, (i % len(GRADES),)))
        for i, (row, donor) in enumerate(drawn_windows(held_out, N_PAIRS, 1))
    ]
    real, worse = [pair.real for pair in pairs], [one for pair in pairs for one in pair.worse]
    beside = [i for i, pair in enumerate(pairs) for _ in pair.worse]
    beside += np.random.default_rng(0).integers(len(real), size=len(kept)).tolist()
    good, bad = (_opinions(network, expert, windows) for windows in (real, [*worse, *kept]))
    mix, scale, shift = fit_mix(good, bad, np.array(beside))
    weights = {name: tensor for name, tensor in load_tensors(folder).items() if not name.startswith(FORM)}
    fitted = replace(expert, mix=mix.astype(np.float32)).tensors()
    save_tensors(weights | {FORM + name: torch.from_numpy(values) for name, values in fitted.items()}, folder)
    config = replace(Config.load(folder), quality_scale=scale, quality_shift=shift)
    write_json(config.to_json(), folder / "config.json")
    return config


def _opinions(network: Selector, expert: FormExpert, windows: Sequence[Passage]) -> Floats:
    """What network and expert on form say of windows, [n, 2]."""
    form = expert.judge(np.stack([expert.figures(one) for one in windows]))
    return np.stack([network.outputs(windows)["quality"], form], axis=1)


def fit_mix(good: Floats, bad: Floats, beside: NDArray[np.int64]) -> tuple[Floats, float, float]:
    """What network and expert on form have to say.

    The weights are those that set most of what is bad below the good window `beside` it; then scale and shift make the
    logistic curve of the network alone true, which holds off the grid, and the mix on the same scale.

    Parameters
    ----------
    good, bad
        Opinions of network and expert, [n, 2] and [m, 2].
    beside
        Which good window each bad one is set beside, [m].

    Returns
    -------
    mix, scale, shift
        Weights of network and expert and a constant [3]; scale and shift of the logistic curve.
    """
    from scipy.optimize import minimize

    gap = good[beside] - bad

    def loss(weight: Floats) -> float:
        return float(np.logaddexp(0, -gap @ weight).mean())

    weight = minimize(loss, np.array([0.4, 0.4]), bounds=[(0, 10), (0, 10)]).x
    scale, shift = _logistic(good[:, 0], bad[:, 0])
    together, constant = _logistic(good @ weight, bad @ weight)
    return np.array([*(weight * together / scale), (constant - shift) / scale]), scale, shift


def fit_emotion(folder: Path | str, corpora: Path | str) -> Config:
    """Fit a selector's experts on emotion, put them to its weights, and find how far to trust network and experts.

    The experts learn from all of EMOPIA's labelled clips, and from VGMIDI's rated pieces but for the fold that the
    network left out. What network and experts have to say is fitted on clips whose labels the network never saw, with
    the opinions of experts that did not learn from them either.

    Parameters
    ----------
    folder
        Checkpoint, which is changed.
    corpora
        Folder with ``emopia-nc`` and ``vgmidi-unclear``.
    """
    folder = Path(folder)
    clips = [*emopia_clips(corpora, "train"), *emopia_clips(corpora, "val")]
    left_out = int(read_json(folder / "training.json")["exclude_fold"])
    rated = [piece for piece in vgmidi_pieces(corpora) if fold_of(piece.song_id, N_FOLDS) != left_out]
    labels = np.array([int(clip.quadrant[1]) - 1 for clip in clips])
    experts, log_quadrants = fit_experts(
        [read_score(clip.path) for clip in clips],
        labels,
        [clip.group for clip in clips],
        [read_score(piece.path) for piece in rated],
        np.array([(piece.valence, piece.arousal) for piece in rated]),
    )
    weights = {name: tensor for name, tensor in load_tensors(folder).items() if not name.startswith(EXPERTS)}
    fitted = {EXPERTS + name: torch.from_numpy(values) for name, values in experts.tensors().items()}
    experts.save_columns(folder)
    save_tensors(weights | fitted, folder)
    unseen = np.flatnonzero([unseen_by_network(clip) for clip in clips])
    logits = Selector.from_pretrained(folder).network_logits([read_score(clips[i].path) for i in unseen])
    temperature, weight = fit_answer(logits, log_quadrants[unseen], labels[unseen])
    config = replace(Config.load(folder), quadrant_temperature=temperature, attribute_weight=weight)
    write_json(config.to_json(), folder / "config.json")
    return config


def unseen_by_network(clip: Song) -> bool:
    """Whether a labelled clip of EMOPIA's lists is none that the network learns the quadrant of."""
    return clip.split == "val" or is_kept(clip.song_id)


def _genre_temperature(selector: Selector, held_out: Library) -> float:
    named = held_out.pitched[held_out.genre[held_out.pitched] >= 0]
    named = named if len(named) <= N_WINDOWS else np.random.default_rng(1).choice(named, N_WINDOWS, replace=False)
    genre = selector.outputs([held_out.passage(int(row)) for row in named])["genre"]
    # Every genre counts the same, or nearly: the corpus is mostly classical.
    counts = np.bincount(held_out.genre[named], minlength=len(GENRES))
    return _temperature(genre, held_out.genre[named], counts[held_out.genre[named]].astype(float) ** -0.5)


def _spread(selector: Selector, held_out: Library, default: float) -> float:
    """How much larger errors of valence and arousal are than the network expects."""
    rated = np.intersect1d(np.flatnonzero(np.isfinite(held_out.rating).all(axis=1)), held_out.usable)
    if not len(rated):
        return default
    out = selector.outputs([held_out.passage(int(row)) for row in rated])
    z = (held_out.rating[rated] - out["mean"]) / np.exp(out["log_variance"] / 2)
    return float(np.sqrt(np.mean(z**2)))


def fit_answer(network: Floats, experts: Floats, labels: NDArray[np.int64]) -> tuple[float, float]:
    """Temperature of the network and weight of the experts in the answer, likeliest.

    Parameters
    ----------
    network
        Logits of the quadrants [n, 4].
    experts
        Log probabilities of the quadrants [n, 4].
    labels
        Quadrants 0..3 [n].
    """
    from scipy.optimize import minimize
    from scipy.special import softmax

    def loss(x: Floats) -> float:
        masses = quadrant_masses(deviates(softmax(x[0] * network + x[1] * experts, axis=1)))
        return float(-np.log(masses[np.arange(len(labels)), labels]).mean())

    if not len(labels):
        return 1.0, 0.0
    found = minimize(loss, np.array([0.3, 0.5]), bounds=[(1e-3, 4), (0, 4)]).x
    return float(1 / found[0]), float(found[1])


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
