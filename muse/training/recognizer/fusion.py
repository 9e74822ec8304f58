"""Fitting of what joins notes and sound (:mod:`muse.recognizer.heads.fusion`) on the sound matrix.

Labelled pieces are rendered under conditions of :mod:`muse.training.recognizer.sound_matrix` and heard: transcribed,
and by the recogniser's networks and teachers. What was heard is written to a cache; a run that was interrupted goes on
from there. The experts on notes learn from all scores. How far networks and teachers are to be believed cannot be told
from clips that they learnt from, so it is learnt on others: EMOPIA's validation clips.

Contents: :func:`train_fusion`; :class:`Take`, :func:`read_takes`, :func:`odds_across_songs`, :func:`fit_fusion`,
:func:`fused_across_songs`, :func:`rated_across_pieces`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

from muse.audio import as_audio
from muse.checkpoint import find, load_tensors, save_tensors
from muse.corpora import Song, emopia_clips, vgmidi_pieces
from muse.errors import InputError
from muse.files import read_json, write_json
from muse.hearing.features import hearings
from muse.hearing.quadrants import EXPERTS, pooled
from muse.recognizer.features.windows import batch, extract
from muse.recognizer.heads.fusion import Fusion, sound_odds, trusted
from muse.recognizer.heads.notes import FEWEST, ONSET
from muse.recognizer.model import MODEL_TYPE, Recognizer
from muse.score import Notes, note_array, read_score
from muse.training.quadrants import fit_stack, folds_of
from muse.training.recognizer.notes import fit_line, fit_note_expert, fit_rater
from muse.training.recognizer.sound_matrix import KINDS, SAMPLE_RATE, Condition, Kind, beginning, draw, rendered
from muse.transcription import Transcriber

__all__ = ["Take", "fit_fusion", "fused_across_songs", "odds_across_songs", "read_takes", "train_fusion"]

Floats = NDArray[np.float64]

N_FOLDS: Final = 5
SHARE: Final = 0.5
"""Of the notes in ratings. Not fitted: the networks have learnt from all rated pieces, so nothing tells how much better
or worse they are on others."""
PREFIX: Final = "fusion."
"""Of its arrays in a recogniser's checkpoint."""
FEWEST_TAKES: Final = 15
PRIOR_SPREAD: Final = 0.6
"""How far weights may well be from what is expected."""


@dataclass(frozen=True)
class Take:
    """What was heard of a piece under a condition."""

    piece: Song
    kind: Kind
    condition: Condition
    notes: Notes
    """The transcription."""
    quadrants: Floats
    """What the sound tells, probabilities of Q1..Q4 [4]; NaN where the networks were not asked."""
    plane: Floats
    """Valence and arousal, [2]."""
    novelty: float
    """Of the sound."""

    @property
    def is_heard(self) -> bool:
        """Whether there are notes to learn from."""
        return len(self.notes) >= FEWEST


def read_takes(
    pieces: Sequence[Song],
    kind: Kind,
    cache: str | Path,
    recognizer: Recognizer | None,
    *,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> list[Take]:
    """Render pieces and hear them, unless the cache has it.

    Parameters
    ----------
    recognizer
        Whose networks are asked; None asks none.

    Raises
    ------
    InputError
        A soundfont, a player or a corpus is missing.
    """
    transcriber = Transcriber.from_pretrained()
    takes = []
    for i, piece in enumerate(pieces):
        path = Path(cache) / f"{piece.corpus}-{piece.song_id}-{kind}-{seed}.npz".replace("/", "_")
        if not path.is_file():
            _write_take(path, piece, kind, seed, transcriber)
        takes.append(_read_take(path, piece, kind, recognizer))
        if progress is not None:
            progress((i + 1) / len(pieces))
    return takes


def _write_take(path: Path, piece: Song, kind: Kind, seed: int, transcriber: Transcriber) -> None:
    condition = draw(piece.song_id, kind, seed)
    samples = rendered(read_score(piece.path), condition, seed=seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp.npz")
    np.savez(
        temporary,
        notes=note_array(transcriber.transcribe(samples, SAMPLE_RATE, onset=ONSET)),
        sound=np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16),
        condition=json.dumps(asdict(condition)),
    )
    temporary.replace(path)


def _read_take(path: Path, piece: Song, kind: Kind, recognizer: Recognizer | None) -> Take:
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    values = json.loads(str(arrays["condition"]))
    condition = Condition(**{**values, "bands_db": tuple(values["bands_db"])})
    told = (np.full(4, np.nan), np.full(2, np.nan), float("nan"))
    if recognizer is not None:
        beside = path.with_suffix(".sound.npz")
        if not beside.is_file():
            asked = heard_by_networks(recognizer, arrays["sound"].astype(np.float32) / 32767)
            temporary = beside.with_suffix(".tmp.npz")
            np.savez(temporary, quadrants=asked[0], plane=asked[1], novelty=asked[2])
            temporary.replace(beside)
        with np.load(beside, allow_pickle=False) as stored:
            told = (stored["quadrants"], stored["plane"], float(stored["novelty"]))
    return Take(piece, kind, condition, arrays["notes"], *told)


def heard_by_networks(recognizer: Recognizer, samples: NDArray[np.float32]) -> tuple[Floats, Floats, float]:
    """Quadrants [4], valence and arousal [2] and novelty by networks and teachers on sound at :data:`SAMPLE_RATE`."""
    at_rate = as_audio(samples, SAMPLE_RATE, recognizer.encoder.sample_rate)
    windows = batch(extract(at_rate, recognizer.encoder).windows(recognizer.harmony))
    found = recognizer.ensemble.predict(windows)
    length = windows.mask.sum(dim=1).numpy()
    quadrants, plane, novelty = (
        np.average(x, axis=0, weights=length) for x in (found.tags["quadrants"], found.plane, found.novelty)
    )
    return recognizer.calibration.sharpened(quadrants).astype(float), plane.astype(float), float(novelty)


# -------------------------------------------------------------------------------------------------------------- fitting


class Odds(NamedTuple):
    """What the experts on notes say of takes without having learnt from their songs."""

    values: Floats
    """[experts, n, 2]; NaN where hardly a note is heard."""
    fold: NDArray[np.int64]
    """In which each take is left out, [n]."""
    weight: Floats
    """Of the experts on scores, fitted without each fold, [folds, experts, 2]."""


def odds_across_songs(
    takes: Sequence[Take], pieces: Sequence[Song], written: Mapping[str, Floats], *, seed: int = 0
) -> Odds:
    """Odds by the experts on notes of takes of labelled pieces, each by experts that were fitted without its song, as
    were their settings and line.

    Parameters
    ----------
    pieces, written
        All labelled pieces, and the hearings of their scores by id; those without takes are learnt from too.
    """
    x, labels = np.stack([written[piece.song_id] for piece in pieces]), quadrant_labels(pieces)
    groups = np.array([piece.group for piece in pieces])
    fold = folds_of(groups, N_FOLDS, seed)
    of_group = dict(zip(groups.tolist(), fold.tolist(), strict=True))
    heard = np.array([take.is_heard for take in takes])
    mine = np.array([of_group[take.piece.group] for take in takes])
    known = heard & np.array([take.kind == "trained" for take in takes])
    features = np.full((len(takes), *x.shape[1:]), np.nan)
    features[heard] = [hearings(take.notes) for take in takes if take.is_heard]
    scores = np.stack([written[take.piece.song_id] for take in takes])
    found, weights = np.full((len(EXPERTS), len(takes), 2), np.nan), []
    for k in range(N_FOLDS):
        learnt, told = known & (mine != k), heard & (mine == k)
        offset, slope = fit_line(features[learnt], scores[learnt])
        stack, _ = fit_stack(x[fold != k], labels[fold != k], groups[fold != k], seed=seed)
        weights.append(stack.weight)
        if told.any():
            found[:, told] = stack.opinions(offset + slope * features[told])
    return Odds(found, mine, np.stack(weights))


def fit_fusion(
    odds: Floats, novelty: Floats, labels: NDArray[np.int64], expected: NDArray[Any]
) -> tuple[Floats, Floats]:
    """Weights [experts, 2] and how familiar sound must be [2]: the novelty at which it keeps half of its weight, and
    how gradually it loses it.

    Parameters
    ----------
    odds
        Of the experts on notes and, last, of the sound, [experts, n, 2].
    novelty
        Of the sound, [n].
    labels
        Quadrants 0..3, [n].
    expected
        Weights of the experts on notes that scores give, [experts - 1, 2]. Takes are few, so the weights are the most
        probable ones by these, and none of the sound, give or take :data:`PRIOR_SPREAD`.
    """
    low, high = np.quantile(novelty, (0.05, 0.95))
    prior = np.concatenate([expected, np.zeros((1, 2))])
    n = prior.size

    def loss(free: Floats) -> float:
        weight = free[:n].reshape(-1, 2)
        parts = np.concatenate([odds[:-1], trusted(odds[-1], novelty, free[n:])[None]])
        likelihood = pooled(parts, weight)[np.arange(len(labels)), labels].sum()
        return float(((weight - prior) ** 2).sum() / (2 * PRIOR_SPREAD**2) - likelihood)

    start = np.array([*prior.ravel(), (low + high) / 2, (high - low) / 4])
    bounds = [(0, 50)] * n + [(low, high), ((high - low) / 20, high - low)]
    found = minimize(loss, start, bounds=bounds).x
    return found[:n].reshape(-1, 2), found[n:]


def fused_across_songs(odds: Odds, takes: Sequence[Take]) -> dict[str, Floats]:
    """Log probabilities of takes of labelled pieces [n, 4]: ``notes`` with weights that other songs' scores give,
    ``sound`` as networks and teachers tell it, ``fused`` with weights fitted on known conditions of other songs. NaN
    where an expert was not asked."""
    labels = quadrant_labels([take.piece for take in takes])
    sound = np.stack([sound_odds(take.quadrants) for take in takes])
    novelty = np.array([take.novelty for take in takes])
    known = np.array([take.kind == "trained" for take in takes])
    there = np.isfinite(odds.values).all(axis=(0, 2)) & np.isfinite(sound).all(axis=1)
    found = {name: np.full((len(takes), 4), np.nan) for name in ("notes", "fused")}
    for k, expected in enumerate(odds.weight):
        told = odds.fold == k
        found["notes"][told] = pooled(odds.values[:, told], expected)
        learnt, told = there & known & ~told, there & told
        if learnt.any() and told.any():
            parts = np.concatenate([odds.values, sound[None]])
            weight, familiar = fit_fusion(parts[:, learnt], novelty[learnt], labels[learnt], expected)
            believed = np.concatenate([odds.values[:, told], trusted(sound[told], novelty[told], familiar)[None]])
            found["fused"][told] = pooled(believed, weight)
    with np.errstate(divide="ignore"):
        return {**found, "sound": np.log(np.stack([take.quadrants for take in takes]))}


def rated_across_pieces(
    takes: Sequence[Take],
    line: tuple[Floats, Floats],
    pieces: Sequence[Song],
    written: Mapping[str, Floats],
    *,
    seed: int = 0,
) -> dict[str, tuple[Floats, Floats, NDArray[Any]]]:
    """Ratings [n, 2], what notes alone tell of them [n, 2], and the pieces that go together [n]: of the takes of rated
    pieces by their kind, and of ``scores``; each told by what was fitted without the piece.

    Parameters
    ----------
    line
        Offset and slope from transcriptions to scores, of other music.
    pieces, written
        All rated pieces, and the hearings of their scores by id.
    """
    x = np.stack([written[piece.song_id] for piece in pieces])
    ratings, groups = ratings_of(pieces), np.array([piece.group for piece in pieces])
    fold = folds_of(groups, N_FOLDS, seed)
    place = {piece.song_id: i for i, piece in enumerate(pieces)}
    raters = [fit_rater(x[fold != k], ratings[fold != k], groups[fold != k], seed=seed)[0] for k in range(N_FOLDS)]

    def told(at: NDArray[np.int64], features: Floats) -> tuple[Floats, Floats, NDArray[Any]]:
        rated = [raters[fold[i]](one[None])[0] for i, one in zip(at, features, strict=True)]
        return ratings[at], np.reshape(rated, (-1, 2)), groups[at]

    found = {"scores": told(np.arange(len(x)), x)}
    for kind in KINDS:
        mine = [take for take in takes if take.kind == kind and take.is_heard]
        heard = [line[0] + line[1] * hearings(take.notes) for take in mine]
        found[kind] = told(np.array([place[take.piece.song_id] for take in mine], int), np.array(heard))
    return found


def line_of(takes: Sequence[Take], written: Mapping[str, Floats]) -> tuple[Floats, Floats]:
    """Offset and slope [features] from transcriptions of known conditions to their scores."""
    known = [take for take in takes if take.kind == "trained" and take.is_heard]
    return fit_line(
        np.stack([hearings(take.notes) for take in known]), np.stack([written[take.piece.song_id] for take in known])
    )


def train_fusion(
    corpora: str | Path,
    folder: str | Path,
    cache: str | Path,
    *,
    n_clips: int | None = None,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Fit on EMOPIA and VGMIDI, and write the result into a recogniser's checkpoint.

    Parameters
    ----------
    corpora
        Folder with ``emopia-nc`` and ``vgmidi-unclear``.
    folder
        The recogniser's checkpoint.
    cache
        Folder of what was heard.
    n_clips
        So many of the clips that the networks did not learn from are rendered, the first by a hash; all when None.
    seed
        Of conditions, folds and trees.

    Returns
    -------
    dict
        Number of scores, of takes, and the weights.

    Raises
    ------
    InputError
        A corpus, a soundfont, a player or the checkpoint is missing.
    """
    folder = find(folder, MODEL_TYPE)
    recognizer = Recognizer.from_pretrained(folder)
    clips = [*emopia_clips(corpora, "train"), *emopia_clips(corpora, "val")]
    pieces = vgmidi_pieces(corpora)
    written = {one.song_id: hearings(beginning(read_score(one.path))) for one in (*clips, *pieces)}
    unlearnt = by_hash([clip for clip in clips if clip.split == "val"], n_clips)
    takes = read_takes(unlearnt, "trained", cache, recognizer, seed=seed, progress=progress)
    fusion = fit(takes, clips, pieces, written, seed=seed)
    store(fusion, folder)
    figures = {name: getattr(fusion, name).tolist() for name in ("weight", "familiar", "spread")}
    return {"clips": len(clips), "rated": len(pieces), "takes": len(takes), **figures}


def store(fusion: Fusion, folder: Path) -> None:
    """Write into a recogniser's checkpoint, in place of what was there."""
    kept = {name: value for name, value in load_tensors(folder).items() if not name.startswith(PREFIX)}
    arrays = {name: np.ascontiguousarray(value) for name, value in fusion.tensors().items()}
    save_tensors(kept | {f"{PREFIX}{name}": torch.from_numpy(value) for name, value in arrays.items()}, folder)
    write_json({**read_json(folder / "config.json"), "fusion": True}, folder / "config.json")


def fit(
    takes: Sequence[Take],
    clips: Sequence[Song],
    pieces: Sequence[Song],
    written: Mapping[str, Floats],
    *,
    seed: int = 0,
) -> Fusion:
    """Fit on takes of known conditions, of clips that the networks did not learn from, and on all labelled and rated
    scores, whose hearings are `written` by id.

    Raises
    ------
    InputError
        There are too few takes.
    """
    takes = [take for take in takes if take.is_heard and take.kind == "trained"]
    if len(takes) < FEWEST_TAKES:
        raise InputError(
            f"{len(takes)} clips of a split 'val' were heard, {FEWEST_TAKES} are needed: give EMOPIA with its splits"
        )
    labelled = np.stack([written[clip.song_id] for clip in clips])
    rated = np.stack([written[piece.song_id] for piece in pieces])
    expert, errors = fit_note_expert(
        (labelled, quadrant_labels(clips), np.array([clip.group for clip in clips])),
        line_of(takes, written),
        (rated, ratings_of(pieces), np.array([piece.group for piece in pieces])),
        seed=seed,
    )
    odds = odds_across_songs(takes, clips, written, seed=seed)
    sound = np.stack([sound_odds(take.quadrants) for take in takes])
    novelty, labels = np.array([take.novelty for take in takes]), quadrant_labels([take.piece for take in takes])
    parts = np.concatenate([odds.values, sound[None]])
    weight, familiar = fit_fusion(parts, novelty, labels, expert.quadrants.weight)
    settled = [np.asarray(x, np.float32) for x in (weight, familiar, np.full(2, SHARE), errors)]
    return Fusion(expert, *settled)


def by_hash(pieces: Sequence[Song], n: int | None) -> list[Song]:
    """So many pieces, or all, in an order that has nothing to do with the music."""
    return sorted(pieces, key=lambda one: hashlib.sha256(one.song_id.encode()).hexdigest())[:n]


def ratings_of(pieces: Sequence[Song]) -> Floats:
    """Valence and arousal, [n, 2]."""
    return np.array([(piece.valence, piece.arousal) for piece in pieces])


def quadrant_labels(pieces: Sequence[Song]) -> NDArray[np.int64]:
    """0..3."""
    return np.array([int(piece.quadrant[1]) - 1 for piece in pieces])
