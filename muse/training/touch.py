"""What a hand adds to a bar's loudness, measured on performances: accents of the meter, and how even a hand is.

Contents: :func:`fit_touch`, :func:`fit_playing`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

import numpy as np

from muse.composer.perform import PLACES, place_of
from muse.composer.playing import Playing
from muse.corpora.emopia import emopia_clips
from muse.dataset.lead_sheets import Sheet
from muse.score import note_array, read_score

__all__ = ["fit_playing", "fit_touch"]

_ONE_ATTACK_SEC = 0.035


def fit_touch(sheets: Iterable[Sheet]) -> dict[str, object]:
    """Accents and evenness of the performances among some sheets.

    Returns
    -------
    dict
        ``accent``: place in the bar -> velocity against the bar's mean; ``spread``: standard deviation of what accents
        leave over, ``drift``: its correlation from one onset to the next; ``chord_spread``: standard deviation within
        a chord; ``top``: velocity of a chord's highest note against its mean.
    """
    sums, counts = np.zeros(len(PLACES)), np.zeros(len(PLACES))
    series: list[np.ndarray] = []
    within: list[np.ndarray] = []
    top: list[float] = []
    for sheet in sheets:
        if not sheet.played or not len(sheet.notes):
            continue
        size = sheet.plan.bar_length * 3
        notes = sheet.notes[np.lexsort((sheet.notes[:, 4], sheet.notes[:, 2], sheet.notes[:, 1]))].astype(np.int64)
        onset = notes[:, 1] * size + notes[:, 2]
        first = np.flatnonzero(np.diff(onset, prepend=-1))
        n = np.diff(np.append(first, len(onset)))
        loud = np.add.reduceat(notes[:, 5], first) / n
        rest = notes[:, 5] - np.repeat(loud, n)
        chord = np.repeat(n > 1, n)
        within.append(rest[chord])
        ends = first + n - 1
        top += rest[ends[n > 1]].tolist()
        bar = notes[first, 1]
        mean = np.bincount(bar, weights=loud) / np.maximum(np.bincount(bar), 1)
        residual = loud - mean[bar]
        place = place_of(notes[first, 2], size)
        sums += np.bincount(place, weights=residual, minlength=len(PLACES))
        counts += np.bincount(place, minlength=len(PLACES))
        series.append(np.stack([residual, place]))
    accent = sums / np.maximum(counts, 1)
    left = [residual - accent[place.astype(np.int64)] for residual, place in series]
    a, b = np.concatenate([x[:-1] for x in left]), np.concatenate([x[1:] for x in left])
    return {
        "accent": {name: round(float(v), 2) for name, v in zip(PLACES, accent, strict=True)},
        "spread": round(float(np.concatenate(left).std()), 2),
        "drift": round(float(np.corrcoef(a, b)[0, 1]), 3),
        "chord_spread": round(float(np.concatenate(within).std()), 2),
        "top": round(float(np.mean(top)), 2),
    }


def fit_playing(corpora: Path | str) -> dict[str, object]:
    """How people play in each quadrant, in absolute terms, from EMOPIA's training clips.

    Parameters
    ----------
    corpora
        Folder that holds ``emopia-nc``.

    Returns
    -------
    dict
        Quadrant -> figure -> its quartiles over clips; what :class:`muse.composer.playing.Playing` reads as
        ``attributes/playing.json``. Notes that begin within :data:`_ONE_ATTACK_SEC` of each other are one attack.

    Raises
    ------
    InputError
        The corpus is not there.
    """
    found: dict[str, list[tuple[float, ...]]] = {}
    for song in emopia_clips(corpora, "train"):
        notes = note_array(read_score(song.path))
        velocity, onset = notes["velocity"].astype(float), np.sort(notes["onset_sec"])
        starts = np.flatnonzero(np.diff(onset, prepend=-1.0) > _ONE_ATTACK_SEC)
        size = np.diff(np.append(starts, len(onset)))
        row = (
            velocity.mean(), velocity.std(), len(starts) / np.ptp(onset), size.mean(), np.quantile(size, 0.95),
            np.median(notes["duration_sec"]),
        )  # fmt: skip
        found.setdefault(str(song.quadrant), []).append(tuple(map(float, row)))
    names = [one.name for one in fields(Playing)]
    quartiles = {
        quadrant: np.quantile(np.array(rows), (0.25, 0.5, 0.75), axis=0).round(2).T.tolist()
        for quadrant, rows in sorted(found.items())
    }
    return {
        "source": "EMOPIA (Hung et al., ISMIR 2021), training clips; statistics of music under CC BY-NC-SA 4.0",
        **{quadrant: dict(zip(names, rows, strict=True)) for quadrant, rows in quartiles.items()},
    }
