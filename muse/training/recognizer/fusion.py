"""Fitting of what joins notes and sound (:mod:`muse.recognizer.heads.fusion`) on the sound matrix.

Labelled pieces are rendered and heard (:mod:`muse.training.recognizer.takes`). The experts on notes learn from all
scores and from the transcriptions of takes, that on sound from the takes' embeddings. How far each is to be believed is
told by takes whose songs it did not learn from, by an expert on sound that knows their soundfont and by one that does
not.

Conventions
-----------
known
    Under trained conditions: only such takes are learnt from.
matrix
    Takes in which notes are heard, with all that learners need, :class:`Matrix`.

Contents: :func:`train_fusion`; :class:`Matrix`, :func:`matrix_of`, :func:`odds_across_songs`, :func:`fit_fusion`,
:func:`fused_across_songs`, :func:`rated_across_pieces`, :func:`fit`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar, nnls
from scipy.special import expit

from muse.checkpoint import Settings, find, load_tensors, save_tensors, under
from muse.corpora import Song, emopia_clips, vgmidi_pieces
from muse.errors import InputError
from muse.files import read_json, write_json
from muse.hearing.features import harmony_count, hearings
from muse.hearing.quadrants import EXPERTS, pooled
from muse.recognizer.encoders.encoder import Encoder
from muse.recognizer.encoders.load import open_encoder
from muse.recognizer.features.chords import HarmonyModel
from muse.recognizer.heads.fusion import Fusion, certain, trusted
from muse.recognizer.heads.notes import NoteExpert
from muse.recognizer.heads.sound import SoundExpert, sound_odds
from muse.recognizer.heads.teachers import clip_to_range
from muse.recognizer.model import MODEL_TYPE
from muse.score import read_score
from muse.training.quadrants import fit_stack, folds_of
from muse.training.recognizer.notes import fit_rater
from muse.training.recognizer.sound import Across, Rows, fit_head, fonts_of, head_across, rows_of
from muse.training.recognizer.sound_matrix import beginning
from muse.training.recognizer.takes import Hearer, Take, quadrant_labels, read_takes

__all__ = [
    "Matrix",
    "fit",
    "fit_fusion",
    "fused_across_songs",
    "hearing_of",
    "matrix_of",
    "odds_across_songs",
    "rated_across_pieces",
    "train_fusion",
]

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

N_FOLDS: Final = 5
PREFIX: Final = "fusion."
"""Of its arrays in a recogniser's checkpoint."""
FEWEST_TAKES: Final = 15
PRIOR_SPREAD: Final = 0.6
"""How far weights may well be from what is expected."""
FARTHEST: Final = 0.95
"""Share of takes by strange soundfonts up to whose novelty the odds were measured."""


@dataclass(frozen=True)
class Matrix:
    """Takes in which notes are heard."""

    takes: tuple[Take, ...]
    x: Floats
    """Hearings of the transcriptions, [n, 3, features]."""
    rows: Rows
    """Statistics of the sound, [n, numbers] by block."""

    @property
    def pieces(self) -> list[Song]:
        """Of the takes."""
        return [take.piece for take in self.takes]

    @property
    def songs(self) -> NDArray[np.str_]:
        """Of the takes, [n]: what must not be on both sides of a split."""
        return np.array([take.piece.group for take in self.takes])

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which were taken under trained conditions, [n]."""
        return np.array([take.kind == "trained" for take in self.takes])

    def only(self, some: NDArray[np.bool_]) -> Matrix:
        """Some of the takes."""
        rows = {name: x[some] for name, x in self.rows.items()}
        return Matrix(tuple(take for take, one in zip(self.takes, some, strict=True) if one), self.x[some], rows)


def matrix_of(takes: Sequence[Take], pieces: Sequence[Song], harmony: HarmonyModel) -> Matrix:
    """Of those takes of some pieces in which notes are heard.

    Raises
    ------
    InputError
        There are hardly any.
    """
    names = {(piece.corpus, piece.song_id) for piece in pieces}
    heard = tuple(take for take in takes if take.is_heard and (take.piece.corpus, take.piece.song_id) in names)
    if len(heard) < FEWEST_TAKES:
        raise InputError(f"notes are heard in {len(heard)} takes, {FEWEST_TAKES} are needed: have more rendered")
    return Matrix(heard, np.stack([hearings(take.notes) for take in heard]), rows_of(heard, harmony))


# -------------------------------------------------------------------------------------------------------------- fitting


class Odds(NamedTuple):
    """What experts say of takes without having learnt from their songs."""

    notes: Floats
    """[experts, n, 2]."""
    sound: Floats
    """By an expert that knows the soundfont, and by one that does not, [2, n, 2]."""
    novelty: Floats
    """Of the sound to these, [2, n]."""
    fold: Whole
    """In which each take is left out, [n]."""
    weight: Floats
    """Of the experts on notes, fitted without each fold, [folds, experts, 2]."""


def learnt_from(
    written: Floats, heard: Floats, targets: NDArray[Any], heard_targets: NDArray[Any], *names: NDArray[Any]
) -> tuple[Any, ...]:
    """Scores and transcriptions together, as an expert on notes learns from them: hearings, targets, songs."""
    return np.concatenate([written, heard]), np.concatenate([targets, heard_targets]), np.concatenate(names)


def odds_across_songs(matrix: Matrix, pieces: Sequence[Song], written: Mapping[str, Floats], *, seed: int = 0) -> Odds:
    """Odds of takes of labelled pieces, each by experts that were fitted without its song, as were their settings.

    Parameters
    ----------
    pieces, written
        All labelled pieces, and the hearings of their scores by id; those without takes are learnt from too.
    """
    x, labels = np.stack([written[piece.song_id] for piece in pieces]), quadrant_labels(pieces)
    songs = np.array([piece.group for piece in pieces])
    fold = folds_of(songs, N_FOLDS, seed)
    of_song = dict(zip(songs.tolist(), fold.tolist(), strict=True))
    mine, known = np.array([of_song[song] for song in matrix.songs.tolist()]), matrix.known
    own = quadrant_labels(matrix.pieces)
    notes, weights = np.zeros((len(EXPERTS), len(own), 2)), []
    for k in range(N_FOLDS):
        a, b = fold != k, known & (mine != k)
        learnt = learnt_from(x[a], matrix.x[b], labels[a], own[b], songs[a], matrix.songs[b])
        stack, _ = fit_stack(*learnt, harmony=harmony_count(), seed=seed)
        weights.append(stack.weight)
        if (mine == k).any():
            notes[:, mine == k] = stack.opinions(matrix.x[mine == k])
    told = head_across(matrix.rows, np.eye(4)[own], matrix.songs, fonts_of(matrix.takes), known, mine, seed=seed)
    sound = [sound_odds(clip_to_range("quadrants", one.astype(np.float32))) for one in (told.told, told.strange)]
    return Odds(notes, np.stack(sound), np.stack([told.novelty, told.strange_novelty]), mine, np.stack(weights))


def fit_fusion(odds: Floats, novelty: Floats, labels: Whole, expected: NDArray[Any]) -> tuple[Floats, Floats]:
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
        Weights of the experts on notes that their own fit gives, [experts - 1, 2]. The weights are the most probable
        ones by these, and none of the sound, give or take :data:`PRIOR_SPREAD`.
    """
    low, high = np.quantile(novelty, (0.05, 0.95))
    prior = np.concatenate([expected, np.zeros((1, 2))])
    n = prior.size
    above = np.stack([np.isin(labels, (0, 3)), labels < 2], axis=1)  # the sides that are true, [n, 2]

    def loss(free: Floats) -> tuple[float, Floats]:
        """What is minimised, and its gradient."""
        weight, (at, width) = free[:n].reshape(-1, 2), free[n:]
        parts = np.concatenate([odds[:-1], trusted(odds[-1], novelty, free[n:])[None]])
        likelihood = pooled(parts, weight)[np.arange(len(labels)), labels].sum()
        away = (weight - prior) / PRIOR_SPREAD**2
        wrong = expit(np.einsum("kna,ka->na", parts, weight)) - above
        # How the likelihood goes with the share that the sound keeps, by the place on its slope.
        place = (at - novelty) / width
        by_share = (wrong * odds[-1] * weight[-1]).sum(axis=1) * expit(place) * expit(-place) / width
        gradient = [*(np.einsum("kna,na->ka", parts, wrong) + away).ravel(), by_share.sum(), -(by_share * place).sum()]
        return float((away * (weight - prior)).sum() / 2 - likelihood), np.array(gradient)

    start = np.array([*prior.ravel(), (low + high) / 2, (high - low) / 4])
    bounds = [(0, 50)] * n + [(low, high), ((high - low) / 20, high - low)]
    found = minimize(loss, start, jac=True, bounds=bounds).x
    return found[:n].reshape(-1, 2), found[n:]


class _Both(NamedTuple):
    """Takes twice: as heard by an expert on sound that knows the soundfont, and by one that does not."""

    odds: Floats
    novelty: Floats
    labels: Whole

    @classmethod
    def of(cls, odds: Odds, labels: Whole, some: NDArray[np.bool_]) -> _Both:
        notes = odds.notes[:, some]
        twice = [np.concatenate([notes, odds.sound[i, some][None]]) for i in range(2)]
        return cls(np.concatenate(twice, axis=1), odds.novelty[:, some].ravel(), np.tile(labels[some], 2))

    def believed(self, familiar: NDArray[Any]) -> Floats:
        return np.concatenate([self.odds[:-1], trusted(self.odds[-1], self.novelty, familiar)[None]])


def fit_weights(odds: Odds, labels: Whole, some: NDArray[np.bool_], expected: NDArray[Any]) -> tuple[Floats, Floats]:
    """:func:`fit_fusion` on some takes, each heard by both experts on sound."""
    both = _Both.of(odds, labels, some)
    return fit_fusion(both.odds, both.novelty, both.labels, expected)


def fit_sureness(odds: Odds, labels: Whole, some: NDArray[np.bool_]) -> Floats:
    """Factor on the pool's odds, of the greatest likelihood on takes that the pool's weights were not fitted on, and
    the novelty up to which that was measured: [2]."""
    parts, wanted, strange = [], [], odds.novelty[1, some]
    for k in sorted(set(odds.fold[some].tolist())):
        learnt, out = some & (odds.fold != k), some & (odds.fold == k)
        if not learnt.any():
            continue
        weight, familiar = fit_weights(odds, labels, learnt, odds.weight[k])
        both = _Both.of(odds, labels, out)
        parts.append(np.einsum("kna,ka->na", both.believed(familiar), weight))
        wanted.append(both.labels)
    total, label = np.concatenate(parts), np.concatenate(wanted)

    def loss(sharpness: float) -> float:
        return -float(pooled(total[None] * sharpness, np.ones((1, 2)))[np.arange(len(label)), label].sum())

    sharpness = float(minimize_scalar(loss, bounds=(0.2, 2.0), method="bounded").x)
    return np.array([sharpness, max(float(np.quantile(strange, FARTHEST)), 1e-3)])


def fused_across_songs(odds: Odds, matrix: Matrix) -> dict[str, Floats]:
    """Log probabilities of takes of labelled pieces [n, 4]: by ``notes`` and ``sound`` alone, and ``fused``; weights
    and sureness fitted on known conditions of other songs."""
    labels, known = quadrant_labels(matrix.pieces), matrix.known
    found = {name: np.full((len(labels), 4), np.nan) for name in ("notes", "sound", "fused")}
    for k, expected in enumerate(odds.weight):
        learnt, out = known & (odds.fold != k), odds.fold == k
        if not out.any() or not learnt.any():
            continue
        weight, familiar = fit_weights(odds, labels, learnt, expected)
        sure = fit_sureness(odds, labels, learnt)
        parts = np.concatenate([odds.notes[:, out], trusted(odds.sound[0, out], odds.novelty[0, out], familiar)[None]])
        found["fused"][out] = pooled(certain(parts, odds.novelty[0, out], sure), weight)
        found["notes"][out] = pooled(odds.notes[:, out], expected)
        found["sound"][out] = pooled(odds.sound[:1, out], np.ones((1, 2)))
    return found


# -------------------------------------------------------------------------------------------------------------- ratings


class Rated(NamedTuple):
    """What is told of the ratings of takes, without having learnt from their pieces."""

    true: Floats
    """[n, 2]."""
    notes: Floats
    """[n, 2]."""
    sound: Across
    fold: Whole
    scores: tuple[Floats, Floats, NDArray[np.str_]]
    """Of the scores: ratings [pieces, 2], what is told by an expert that learnt from other scores, and the groups."""


def rated_across_pieces(
    matrix: Matrix, pieces: Sequence[Song], written: Mapping[str, Floats], *, seed: int = 0
) -> Rated:
    """Ratings of takes of rated pieces by experts that were fitted without the piece.

    Parameters
    ----------
    pieces, written
        All rated pieces, and the hearings of their scores by id.
    """
    x, ratings = np.stack([written[piece.song_id] for piece in pieces]), ratings_of(pieces)
    groups = np.array([piece.group for piece in pieces])
    fold = folds_of(groups, N_FOLDS, seed)
    of_group = dict(zip(groups.tolist(), fold.tolist(), strict=True))
    mine, known = np.array([of_group[group] for group in matrix.songs.tolist()]), matrix.known
    own, notes, scores = ratings_of(matrix.pieces), np.zeros((len(matrix.takes), 2)), np.zeros_like(ratings)
    for k in range(N_FOLDS):
        a, b = fold != k, known & (mine != k)
        rater, _ = fit_rater(*learnt_from(x[a], matrix.x[b], ratings[a], own[b], groups[a], matrix.songs[b]), seed=seed)
        scores[fold == k] = rater(x[fold == k])
        if (mine == k).any():
            notes[mine == k] = rater(matrix.x[mine == k])
    sound = head_across(matrix.rows, own, matrix.songs, fonts_of(matrix.takes), known, mine, seed=seed)
    return Rated(own, notes, sound, mine, (ratings, scores, groups))


def fit_shares(rated: Rated, some: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """Shares of notes and sound [2, 2], the middle [2], and the standard deviation of the error [2], by least squares
    on some takes, each heard by both experts on sound."""
    true, notes = (np.tile(one[some], (2, 1)) for one in (rated.true, rated.notes))
    sound = np.concatenate([rated.sound.told[some], rated.sound.strange[some]])
    middle = true.mean(axis=0)
    share = np.stack(
        [nnls(np.stack([notes[:, i], sound[:, i]], axis=1) - middle[i], true[:, i] - middle[i])[0] for i in range(2)],
        axis=1,
    )
    wrong = middle + share[0] * (notes - middle) + share[1] * (sound - middle) - true
    return share, middle, np.sqrt(np.square(wrong).mean(axis=0))


# ------------------------------------------------------------------------------------------------------------- training


def train_fusion(
    corpora: str | Path,
    folder: str | Path,
    cache: str | Path,
    *,
    soundfonts: Sequence[str | Path] = (),
    n_renderings: int = 1,
    minutes: float | None = None,
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
    soundfonts
        Folders to look for soundfonts in, see :func:`muse.training.recognizer.sound_matrix.find_sounds`.
    n_renderings
        Of each piece.
    minutes
        Time for rendering; see :func:`~muse.training.recognizer.takes.read_takes`.
    seed
        Of folds and trees.

    Returns
    -------
    dict
        Numbers of scores and takes, and the weights.

    Raises
    ------
    InputError
        A corpus, a soundfont, a player or the checkpoint is missing, or too few takes are there.
    """
    folder = find(folder, MODEL_TYPE)
    encoder, harmony = hearing_of(folder)
    clips = [*emopia_clips(corpora, "train"), *emopia_clips(corpora, "val")]
    pieces = vgmidi_pieces(corpora)
    takes = read_takes(
        [*clips, *pieces], ("trained",), Hearer(cache, encoder, soundfonts),
        n_renderings=n_renderings, minutes=minutes, progress=progress,
    )  # fmt: skip
    labelled, rated = (matrix_of(takes, some, harmony) for some in (clips, pieces))
    written = {one.song_id: hearings(beginning(read_score(one.path))) for one in (*clips, *pieces)}
    odds = odds_across_songs(labelled, clips, written, seed=seed)
    across = rated_across_pieces(rated, pieces, written, seed=seed)
    fusion = fit((labelled, odds), (rated, across), clips, pieces, written, seed=seed)
    names = ("weight", "familiar", "sure", "share", "middle", "spread")
    counts = {"clips": len(clips), "rated": len(pieces), "takes": len(labelled.takes), "rated_takes": len(rated.takes)}
    document = counts | {name: getattr(fusion, name).tolist() for name in names}
    store(fusion, document, folder)
    return document


def hearing_of(folder: Path) -> tuple[Encoder, HarmonyModel]:
    """What takes are heard by, of a recogniser's checkpoint, whatever joins notes and sound in it.

    Raises
    ------
    InputError
        It is damaged.
    """
    settings = Settings.read(folder / "config.json")
    return open_encoder(str(settings.values.get("encoder"))), HarmonyModel.load(under(load_tensors(folder), "harmony."))


def store(fusion: Fusion, document: Mapping[str, Any], folder: Path) -> None:
    """Write into a recogniser's checkpoint, in place of what was there, with what it was fitted on."""
    kept = {name: value for name, value in load_tensors(folder).items() if not name.startswith(PREFIX)}
    arrays = {name: np.ascontiguousarray(value) for name, value in fusion.tensors().items()}
    save_tensors(kept | {f"{PREFIX}{name}": torch.from_numpy(value) for name, value in arrays.items()}, folder)
    write_json({**read_json(folder / "config.json"), "fusion": True}, folder / "config.json")
    training = folder / "training.json"
    write_json({**(read_json(training) if training.is_file() else {}), "fusion": document}, training)


def fit(
    labelled_takes: tuple[Matrix, Odds],
    rated_takes: tuple[Matrix, Rated],
    clips: Sequence[Song],
    pieces: Sequence[Song],
    written: Mapping[str, Floats],
    *,
    seed: int = 0,
) -> Fusion:
    """Fit on takes under known conditions and on scores.

    Parameters
    ----------
    labelled_takes
        Takes of clips, and what :func:`odds_across_songs` tells of them.
    rated_takes
        Takes of rated pieces, and what :func:`rated_across_pieces` tells of them.
    clips, pieces, written
        All labelled clips and rated pieces, and the hearings of their scores by id.
    seed
        Of folds and trees.

    Raises
    ------
    InputError
        There are too few songs.
    """
    (whole, odds), (whole_rated, across) = labelled_takes, rated_takes
    labelled, rated = whole.only(whole.known), whole_rated.only(whole_rated.known)
    own, own_ratings = quadrant_labels(labelled.pieces), ratings_of(rated.pieces)
    x, z = (np.stack([written[piece.song_id] for piece in some]) for some in (clips, pieces))
    songs, groups = (np.array([piece.group for piece in some]) for some in (clips, pieces))
    learnt = learnt_from(x, labelled.x, quadrant_labels(clips), own, songs, labelled.songs)
    stack, _ = fit_stack(*learnt, harmony=harmony_count(), seed=seed)
    rater, _ = fit_rater(*learnt_from(z, rated.x, ratings_of(pieces), own_ratings, groups, rated.songs), seed=seed)
    sound = SoundExpert(
        fit_head(labelled.rows, np.eye(4)[own], labelled.songs, fonts_of(labelled.takes), seed=seed),
        fit_head(rated.rows, own_ratings, rated.songs, fonts_of(rated.takes), seed=seed),
    )
    weight, familiar = fit_weights(odds, quadrant_labels(whole.pieces), whole.known, stack.weight)
    sure = fit_sureness(odds, quadrant_labels(whole.pieces), whole.known)
    shares = fit_shares(across, whole_rated.known)
    settled = [np.asarray(one, np.float32) for one in (weight, familiar, sure, *shares)]
    return Fusion(NoteExpert(stack, rater), sound, *settled)


def ratings_of(pieces: Sequence[Song]) -> Floats:
    """Valence and arousal, [n, 2]."""
    return np.array([(piece.valence, piece.arousal) for piece in pieces])
