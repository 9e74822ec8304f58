"""How typical are the pieces of a quadrant? Plain features and variety, beside people's music.

Music that is recognised more often than people's own may be more stereotyped than theirs: hence these tables.

Contents: :data:`CUES`, :func:`compare_cues`, :func:`compare_variety`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from muse.emotion import QUADRANTS
from muse.evaluate.compare import N_ATTACKS
from muse.evaluate.judges import Clips, describe
from muse.evaluate.metrics.variety import Phrase, distinct_phrases, phrases, shared_phrases, spread_ratio

__all__ = ["CUES", "compare_cues", "compare_variety"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

CUES = {
    "mode": "major fit minus minor fit",
    "local_major_share": "share of 4 s windows nearer to major",
    "chord2_family_1": "share of minor chords",
    "pitch_class_entropy": "entropy of pitch classes (bits)",
    "chord2_change": "chord changes per second",
    "notes_per_sec": "notes per second",
    "attacks_per_sec": "attacks per second",
    "attack_size_mean": "notes per attack",
    "duration_log_0": "note length (log2 s)",
    "pulse_best": "clarity of the pulse",
    "pitch_mean": "mean pitch",
    "hands_gap": "melody above bass (semitones)",
    "velocity_mean": "mean velocity",
    "velocity_sd": "spread of velocity",
}
"""Features of the judge that have a plain meaning: shown side by side for people and composer."""
N_DRAWS = 100
"""Draws of human clips; the human figure of variety is their mean."""


def compare_cues(people: Clips, music: Clips) -> list[dict[str, Any]]:
    """Mean of each plain feature per quadrant, for people and for the composer."""
    sounding = music.take(_sounding(music))
    sides = [
        (who, _features(clips.music), clips.quadrant) for who, clips in (("human", people), ("generated", sounding))
    ]
    rows = []
    for k, (name, meaning) in enumerate(CUES.items()):
        row: dict[str, Any] = {"feature": name, "meaning": meaning}
        for who, X, y in sides:
            row[who] = [round(float(X[y == q, k].mean()), 3) if (y == q).any() else None for q in (1, 2, 3, 4)]
        rows.append(row)
    return rows


def compare_variety(people: Clips, music: Clips) -> dict[str, Any]:
    """Distinct and shared 4-grams and spread of features within each quadrant, beside as many human clips.

    The human figure is the mean over draws of as many clips, each of another song, with its 95 % range.
    """
    rng = np.random.default_rng(0)
    music = music.take(_sounding(music))
    their_phrases = [phrases(notes, limit=N_ATTACKS) for notes in people.music]
    our_phrases = [phrases(notes, limit=N_ATTACKS) for notes in music.music]
    theirs, ours = _features(people.music), _features(music.music)
    found: dict[str, Any] = {}
    for q, name in enumerate(QUADRANTS, 1):
        mine, pool = np.flatnonzero(music.quadrant == q), np.flatnonzero(people.quadrant == q)
        draws = [_of_other_songs(pool, people.song, len(mine), rng) for _ in range(N_DRAWS)]
        ratio = spread_ratio(ours[mine], theirs[pool])
        found[name] = _shares_of_phrases(
            [our_phrases[i] for i in mine], [[their_phrases[i] for i in draw] for draw in draws]
        ) | {
            "spread_ratio": round(float(np.nanmean(ratio)), 4),
            "spread_ratios": {
                cue: None if np.isnan(x) else round(float(x), 3) for cue, x in zip(CUES, ratio, strict=True)
            },
        }
    return found


def _shares_of_phrases(ours: Sequence[list[Phrase]], draws: Sequence[Sequence[list[Phrase]]]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, measure in (("distinct_4grams", distinct_phrases), ("shared_4grams", shared_phrases)):
        values = [measure(draw) for draw in draws]
        row[name] = {
            "generated": round(measure(ours), 4),
            "human": round(float(np.mean(values)), 4),
            "human_range": [round(float(np.quantile(values, x)), 4) for x in (0.025, 0.975)],
        }
    return row


def _of_other_songs(pool: Ints, song: NDArray[np.str_], n: int, rng: np.random.Generator) -> list[int]:
    """Up to `n` clips in random order, each of another song."""
    seen: set[str] = set()
    chosen: list[int] = []
    for i in rng.permutation(pool).tolist():
        if song[i] not in seen and len(chosen) < n:
            seen.add(str(song[i]))
            chosen.append(i)
    return chosen


def _sounding(clips: Clips) -> Ints:
    return np.flatnonzero([len(notes) > 0 for notes in clips.music])


def _features(music: Sequence[Any]) -> Floats:
    rows = [describe(notes) for notes in music]
    return np.array([[row[name] for name in CUES] for row in rows]).reshape(len(rows), len(CUES))
