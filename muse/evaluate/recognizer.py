"""How far the recogniser holds on sound of another kind: the sound matrix.

EMOPIA's labelled clips and VGMIDI's rated pieces are played under conditions that training may know, and under others:
of soundfonts, a player and a codec that nothing was fitted or chosen on (:mod:`muse.training.recognizer.sound_matrix`).

Conventions
-----------
outer
    Every take is judged by experts on notes and on sound that were fitted, and whose settings were chosen, without its
    song, and with weights and sureness of other songs' takes, all of them under trained conditions.
loss
    Share of right answers under trained conditions, less that under unseen ones of the same clips.
held out
    Clips of :data:`muse.evaluate.selector.HELD_OUT` are left out of all this; on demand they are judged by what was
    fitted on the others.
reliability
    How often the likeliest quadrant is right, of takes by how probable it was said to be.

Contents: :func:`emotion_across_sounds`, :func:`table_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from muse.checkpoint import find
from muse.corpora import emopia_clips, vgmidi_pieces
from muse.evaluate.selector import HELD_OUT, quadrant_figures
from muse.hearing.features import hearings
from muse.recognizer.heads.sound import sound_odds
from muse.recognizer.model import DEFAULT_RECOGNIZER, MODEL_TYPE
from muse.score import read_score
from muse.statistics import bootstrap
from muse.training.recognizer.fusion import (
    Matrix,
    Rated,
    fit,
    fit_shares,
    fused_across_songs,
    hearing_of,
    matrix_of,
    odds_across_songs,
    rated_across_pieces,
)
from muse.training.recognizer.sound_matrix import KINDS, beginning
from muse.training.recognizer.takes import Hearer, quadrant_labels, read_takes

__all__ = ["emotion_across_sounds", "table_of"]

Floats = NDArray[np.float64]
AXES: Final = ("valence", "arousal")
BORDERS: Final = (0.25, 0.45, 0.6, 0.75, 0.9, 1.0)
"""Of the probability of the likeliest quadrant, between which reliability is told."""


def emotion_across_sounds(
    corpora: Path | str,
    cache: Path | str,
    *,
    soundfonts: Sequence[str | Path] = (),
    n_renderings: int = 1,
    minutes: float | None = None,
    held_out: bool = False,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Accuracy in four quadrants, reliability, and R² of ratings, by kind of condition.

    Parameters
    ----------
    corpora
        Folder with ``emopia-nc`` and ``vgmidi-unclear``.
    cache
        Folder of what was heard.
    soundfonts, n_renderings, minutes
        See :func:`muse.training.recognizer.takes.read_takes`.
    held_out
        Judge the clips that are held out, too.
    seed
        Of folds and trees.

    Raises
    ------
    InputError
        A corpus, a soundfont or a player is missing, or too few takes are there.
    """
    held = set(HELD_OUT.read_text(encoding="utf-8").split())
    every = [one for split in ("train", "val") for one in emopia_clips(corpora, split)]
    clips, kept = ([one for one in every if (one.song_id in held) == out] for out in (False, True))
    rated = vgmidi_pieces(corpora)
    encoder, harmony = hearing_of(find(DEFAULT_RECOGNIZER, MODEL_TYPE))
    takes = read_takes(
        [*clips, *rated, *(kept if held_out else [])], KINDS, Hearer(cache, encoder, soundfonts),
        n_renderings=n_renderings, minutes=minutes, progress=progress,
    )  # fmt: skip
    labelled, scale = (matrix_of(takes, pieces, harmony) for pieces in (clips, rated))
    written = {one.song_id: hearings(beginning(read_score(one.path))) for one in (*clips, *rated)}
    odds = odds_across_songs(labelled, clips, written, seed=seed)
    across = rated_across_pieces(scale, rated, written, seed=seed)
    judged = fused_across_songs(odds, labelled)
    found = {
        "takes": {kind: sum(take.kind == kind for take in takes) for kind in KINDS},
        "clips": {kind: _of_kind(judged, labelled, kind) for kind in KINDS},
        "loss": {name: _loss(log_p, labelled) for name, log_p in judged.items()},
        "by_condition": _by_condition(judged["fused"], labelled),
        "reliability": {kind: _reliability(judged["fused"], labelled, kind) for kind in KINDS},
        "ratings": _ratings(across, scale),
    }
    if held_out:
        mine = matrix_of(takes, kept, harmony)
        fusion = fit((labelled, odds), (scale, across), clips, rated, written, seed=seed)
        quadrants, _, novelty = fusion.sound(mine.rows)
        log_p = fusion.log_probabilities(fusion.expert.quadrants.opinions(mine.x), sound_odds(quadrants), novelty)
        found["held_out"] = {kind: _of_kind({"fused": log_p}, mine, kind) for kind in KINDS}
    return found


def _of_kind(judged: Mapping[str, Floats], matrix: Matrix, kind: str) -> dict[str, Any]:
    rows = np.array([take.kind == kind for take in matrix.takes])
    return {name: _figures(log_p, matrix, rows) for name, log_p in judged.items() if rows.any()}


def _figures(log_p: Floats, matrix: Matrix, rows: NDArray[np.bool_]) -> dict[str, Any]:
    pieces = [piece for piece, chosen in zip(matrix.pieces, rows, strict=True) if chosen]
    return quadrant_figures(np.exp(log_p[rows]), quadrant_labels(pieces), [piece.group for piece in pieces])


def _loss(log_p: Floats, matrix: Matrix) -> dict[str, Any]:
    """Of the clips that were taken under both kinds of conditions; quadrants."""
    right = log_p.argmax(axis=1) == quadrant_labels(matrix.pieces)
    by_kind: dict[str, dict[str, list[bool]]] = {kind: {} for kind in KINDS}
    songs: dict[str, str] = {}
    for take, one in zip(matrix.takes, right.tolist(), strict=True):
        by_kind[take.kind].setdefault(take.piece.song_id, []).append(one)
        songs[take.piece.song_id] = take.piece.group
    both = [name for name in by_kind[KINDS[0]] if name in by_kind[KINDS[1]]]
    if not both:
        return {"n": 0}
    lost = np.array([np.mean(by_kind[KINDS[0]][name]) - np.mean(by_kind[KINDS[1]][name]) for name in both])
    interval = bootstrap(lost, np.mean, groups=[songs[name] for name in both])
    return {"n": len(both), "loss": float(lost.mean()), "interval": list(interval)}


def _by_condition(log_p: Floats, matrix: Matrix) -> dict[str, Any]:
    """By soundfont and player, by codec, and with other instruments than the piano."""
    names = [
        {
            f"{take.condition.soundfont}, {take.condition.player}",
            f"codec {take.condition.codec.lstrip('.') or 'none'}",
            *(["other instruments"] if take.condition.program is not None else []),
        }
        for take in matrix.takes
    ]
    every = sorted({name for own in names for name in own})
    return {name: _figures(log_p, matrix, np.array([name in own for own in names])) for name in every}


def _reliability(log_p: Floats, matrix: Matrix, kind: str) -> list[dict[str, float]]:
    rows = np.array([take.kind == kind for take in matrix.takes])
    p, right = np.exp(log_p[rows]).max(axis=1), log_p.argmax(axis=1)[rows] == quadrant_labels(matrix.pieces)[rows]
    found = []
    for low, high in pairwise(BORDERS):
        inside = (p > low) & (p <= high)
        if inside.any():
            said, held = float(p[inside].mean()), float(right[inside].mean())
            found.append({"above": low, "to": high, "n": int(inside.sum()), "said": said, "right": held})
    return found


def _ratings(rated: Rated, matrix: Matrix) -> dict[str, Any]:
    """R² of renderings by kind, shares of notes and sound fitted on known conditions of other pieces; and of scores."""
    known, fused = matrix.known, np.zeros_like(rated.true)
    for k in sorted(set(rated.fold.tolist())):
        learnt, out = known & (rated.fold != k), rated.fold == k
        share, middle, _ = fit_shares(rated, learnt)
        away = share[0] * (rated.notes - middle) + share[1] * (rated.sound.told - middle)
        fused[out] = np.clip(middle + away[out], -1, 1)
    told = {"fused": fused, "notes": rated.notes, "sound": rated.sound.told}
    found = {"scores": _r2_figures(*rated.scores)}
    for kind in KINDS:
        rows = np.array([take.kind == kind for take in matrix.takes])
        if rows.sum() > 1:
            for name, one in told.items():
                found[f"{kind}, {name}"] = _r2_figures(rated.true[rows], one[rows], matrix.songs[rows])
    return found


def _r2_figures(true: Floats, judged: Floats, groups: NDArray[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"n": len(true)}
    for k, name in enumerate(AXES):
        both = np.stack([true[:, k], judged[:, k]], axis=1)
        found[name] = {"r2": _r2(both), "interval": list(bootstrap(both, _r2, groups=groups))}
    return found


def _r2(both: Floats) -> float:
    """Coefficient of determination of columns true and judged."""
    true, judged = both.T
    return float(1 - np.square(true - judged).sum() / max(np.square(true - true.mean()).sum(), 1e-12))


def table_of(document: Mapping[str, Any]) -> str:
    """The figures as tables in Markdown."""
    clips = {
        f"{part}{kind} conditions, {name}": figures
        for key, part in (("clips", ""), ("held_out", "held out, "))
        for kind, parts in document.get(key, {}).items()
        for name, figures in parts.items()
    }
    rows = ["| | takes | four quadrants | arousal | valence | calibration error |", "|---|---|---|---|---|---|"]
    for name, figures in (clips | document["by_condition"]).items():
        shares = [(figures[a]["share"], figures[a]["interval"]) for a in ("accuracy", "arousal", "valence")]
        rows.append(f"{_row(name, figures['n'], shares)} {figures['expected_calibration_error']:.3f} |")
    rows += ["", "| loss on the same clips | clips | four quadrants |", "|---|---|---|"]
    rows += [
        _row(name, one["n"], [(one["loss"], one["interval"])]) for name, one in document["loss"].items() if one["n"]
    ]
    rows += ["", "| conditions, probability of the quadrant | takes | mean | right |", "|---|---|---|---|"]
    for kind, bins in document["reliability"].items():
        for one in bins:
            name = f"{kind}, {one['above']:.2f} to {one['to']:.2f}"
            rows.append(f"| {name} | {one['n']} | {one['said']:.2f} | {one['right']:.2f} |")
    rows += ["", "| VGMIDI, R² | takes | valence | arousal |", "|---|---|---|---|"]
    for name, figures in document["ratings"].items():
        rows.append(_row(name, figures["n"], [(figures[a]["r2"], figures[a]["interval"]) for a in AXES]))
    return "\n".join(rows) + "\n"


def _row(name: str, n: int, values: Sequence[tuple[float, Sequence[float]]]) -> str:
    cells = [f"{value:.3f} [{low:.2f}, {high:.2f}]" for value, (low, high) in values]
    return f"| {name} | {n} | {' | '.join(cells)} |"
