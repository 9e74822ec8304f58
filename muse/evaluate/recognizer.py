"""How far the recogniser holds on sound of another kind: the sound matrix.

EMOPIA's labelled clips and VGMIDI's rated pieces are played under conditions that training may know, and under others:
of soundfonts, a player and a codec that nothing was fitted or chosen on (:mod:`muse.training.recognizer.sound_matrix`).

Conventions
-----------
outer
    Every clip is judged by experts on notes that were fitted, and whose settings were chosen, without its song, from a
    line between transcriptions and scores, and with weights, of other songs' known conditions.
sound
    Networks and teachers as they are shipped, on EMOPIA's validation clips alone, which they never learnt from;
    ``fused`` is of the same clips.
held out
    Clips of :data:`muse.evaluate.selector.HELD_OUT` are left out.

Contents: :func:`emotion_across_sounds`, :func:`table_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from muse.corpora import emopia_clips, vgmidi_pieces
from muse.evaluate.selector import HELD_OUT, quadrant_figures
from muse.hearing.features import hearings
from muse.recognizer import Recognizer
from muse.score import read_score
from muse.statistics import bootstrap
from muse.training.recognizer.fusion import (
    Take,
    by_hash,
    fused_across_songs,
    line_of,
    odds_across_songs,
    quadrant_labels,
    rated_across_pieces,
    read_takes,
)
from muse.training.recognizer.sound_matrix import KINDS, beginning

__all__ = ["emotion_across_sounds", "table_of"]

Floats = NDArray[np.float64]
AXES = ("valence", "arousal")


def emotion_across_sounds(
    corpora: Path | str,
    cache: Path | str,
    *,
    n_clips: int | None = None,
    n_unlearnt: int | None = None,
    n_rated: int | None = None,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Accuracy in four quadrants and R² of ratings, by kind of condition.

    Parameters
    ----------
    corpora
        Folder with ``emopia-nc`` and ``vgmidi-unclear``.
    cache
        Folder of what was heard.
    n_clips, n_unlearnt, n_rated
        So many clips that networks learnt from, that they did not, and rated pieces: the first by a hash, or all.
    seed
        Of conditions, folds and trees.

    Raises
    ------
    InputError
        A corpus, a soundfont or a player is missing.
    """
    held = set(HELD_OUT.read_text(encoding="utf-8").split())
    clips = [one for split in ("train", "val") for one in emopia_clips(corpora, split) if one.song_id not in held]
    rated = vgmidi_pieces(corpora)
    written = {one.song_id: hearings(beginning(read_score(one.path))) for one in (*clips, *rated)}
    recognizer = Recognizer.from_pretrained()
    parts = [
        (by_hash([one for one in clips if one.split == "val"], n_unlearnt), recognizer),
        (by_hash([one for one in clips if one.split != "val"], n_clips), None),
        (by_hash(rated, n_rated), None),
    ]
    total, done = len(KINDS) * sum(len(pieces) for pieces, _ in parts), 0

    def counted(n: int) -> Callable[[float], None] | None:
        return None if progress is None else lambda share: progress((done + share * n) / max(total, 1))

    takes: list[list[Take]] = []
    for pieces, asked in parts:
        takes.append([])
        for kind in KINDS:
            takes[-1] += read_takes(pieces, kind, cache, asked, seed=seed, progress=counted(len(pieces)))
            done += len(pieces)
    labelled = takes[0] + takes[1]
    odds = odds_across_songs(labelled, clips, written, seed=seed)
    judged = fused_across_songs(odds, labelled)
    return {
        "clips": {kind: _of_kind(judged, labelled, kind) for kind in KINDS},
        "by_condition": _by_condition(judged["notes"], labelled),
        "ratings": _ratings(rated_across_pieces(takes[2], line_of(labelled, written), rated, written, seed=seed)),
    }


def _of_kind(judged: Mapping[str, Floats], takes: Sequence[Take], kind: str) -> dict[str, Any]:
    found = {}
    for name, log_p in judged.items():
        rows = np.array([take.kind == kind for take in takes]) & np.isfinite(log_p).all(axis=1)
        if rows.any():
            found[name] = _figures(log_p, takes, rows)
    rows = np.array([take.kind == kind for take in takes]) & np.isfinite(judged["fused"]).all(axis=1)
    if rows.any():
        found["notes_of_the_same"] = _figures(judged["notes"], takes, rows)
    return found


def _by_condition(log_p: Floats, takes: Sequence[Take]) -> dict[str, Any]:
    """By soundfont and player, by codec, and with other instruments than the piano."""
    names = [
        {
            f"{take.condition.soundfont}, {take.condition.player}",
            f"codec {take.condition.codec.lstrip('.') or 'none'}",
            *(["other instruments"] if take.condition.program is not None else []),
        }
        for take in takes
    ]
    told = np.isfinite(log_p).all(axis=1)
    found = {}
    for name in sorted({name for own in names for name in own}):
        rows = told & np.array([name in own for own in names])
        if rows.any():
            found[name] = _figures(log_p, takes, rows)
    return found


def _figures(log_p: Floats, takes: Sequence[Take], rows: NDArray[np.bool_]) -> dict[str, Any]:
    pieces = [take.piece for take, chosen in zip(takes, rows, strict=True) if chosen]
    return quadrant_figures(np.exp(log_p[rows]), quadrant_labels(pieces), [piece.group for piece in pieces])


def _ratings(told: Mapping[str, tuple[Floats, Floats, NDArray[Any]]]) -> dict[str, Any]:
    """R² by notes alone, of renderings by kind and of the scores."""
    found: dict[str, Any] = {}
    for kind, (true, judged, groups) in told.items():
        if len(true) < 2:
            continue
        found[kind] = {"n": len(true)}
        for k, name in enumerate(AXES):
            both = np.stack([true[:, k], judged[:, k]], axis=1)
            interval = bootstrap(both, _r2, groups=groups)
            found[kind][name] = {"r2": _r2(both), "interval": list(interval)}
    return found


def _r2(both: Floats) -> float:
    """Coefficient of determination of columns true and judged."""
    true, judged = both.T
    return float(1 - np.square(true - judged).sum() / max(np.square(true - true.mean()).sum(), 1e-12))


def table_of(document: Mapping[str, Any]) -> str:
    """The figures as a table in Markdown."""
    clips = {
        f"{kind} conditions, {name.replace('_', ' ')}": figures
        for kind, parts in document["clips"].items()
        for name, figures in parts.items()
    }
    rows = ["| | clips | four quadrants | arousal | valence |", "|---|---|---|---|---|"]
    for name, figures in (clips | document["by_condition"]).items():
        shares = [(figures[a]["share"], figures[a]["interval"]) for a in ("accuracy", "arousal", "valence")]
        rows.append(_row(name, figures["n"], shares))
    rows += ["", "| VGMIDI, R² by notes alone | pieces | valence | arousal |", "|---|---|---|---|"]
    for name, figures in document["ratings"].items():
        rows.append(_row(name, figures["n"], [(figures[a]["r2"], figures[a]["interval"]) for a in AXES]))
    return "\n".join(rows) + "\n"


def _row(name: str, n: int, values: Sequence[tuple[float, Sequence[float]]]) -> str:
    cells = [f"{value:.3f} [{low:.2f}, {high:.2f}]" for value, (low, high) in values]
    return f"| {name} | {n} | {' | '.join(cells)} |"
