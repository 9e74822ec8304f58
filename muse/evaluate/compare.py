"""Systems side by side: everything is measured of every system in the same way.

Conventions
-----------
reference
    Held-out music by people, of other songs than the system ``human``. The 5-95 % ranges, overlapping areas and Fréchet
    distances are against it; what ``human`` gets there is the yardstick.
embedding
    Fréchet distances are taken twice: in the selector's space, and in the space of the feature judge's features
    (standardised, first principal components), which took no part in choosing any piece.

Contents: :class:`Reference`, :func:`compare_systems`, :func:`compare_choice`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from muse.evaluate.judges import Clips, JudgeLike, describe, hits, scorecard
from muse.evaluate.kept import Kept
from muse.evaluate.metrics.check import check_piece
from muse.evaluate.metrics.frechet import frechet
from muse.evaluate.metrics.music import METRICS, measure, share_inside
from muse.evaluate.metrics.originality import CopyIndex, copies
from muse.evaluate.metrics.sets import compare_sets, set_features
from muse.evaluate.metrics.variety import distinct_phrases, phrases, shared_phrases
from muse.evaluate.progress import Steps
from muse.evaluate.systems.system import System
from muse.score import DRUMS, Score, note_array
from muse.selector import Selector
from muse.statistics import bootstrap, mean_of_defined, mean_with_interval

__all__ = ["N_ATTACKS", "STEPS_PER_SYSTEM", "Reference", "compare_choice", "compare_systems"]

Floats: TypeAlias = NDArray[np.float64]
Embedding: TypeAlias = Callable[[Sequence[Score]], Floats]
"""Pieces to vectors, float64 [n, width]."""

N_COMPONENTS = 32
"""Principal components of the feature judge's features that make an embedding."""
N_ATTACKS = 100
"""Attacks of each piece that count for diversity; human clips have at least about as many."""
RUN_NOTES = 7
"""Length of the runs whose share in the training corpus is counted."""
N_DRAWS = 500
"""Of the bootstrap of means over pieces."""
STEPS_PER_SYSTEM = 40
"""Steps of progress that measuring a system counts for."""


@dataclass(frozen=True)
class Reference:
    """What systems are measured against."""

    people: System
    """The reference."""
    index: CopyIndex
    """Of the music that the generator learnt from."""
    judges: Mapping[str, JudgeLike]
    selector: Selector | None
    """Rates the pieces; None leaves its figures out."""

    def embeddings(self) -> dict[str, Embedding]:
        """Embeddings by name: ``features``, and ``selector`` if there is one."""
        found: dict[str, Embedding] = {"features": _feature_embedding(self.people.scores)}
        if selector := self.selector:
            found["selector"] = lambda scores: selector.embed(scores).astype(np.float64)
        return found


def compare_systems(systems: Mapping[str, System], reference: Reference, kept: Kept, steps: Steps) -> dict[str, Any]:
    """Everything that is measured of every system; what an earlier run has finished is not measured again.

    Returns
    -------
    dict
        ``systems``: per system ``n``, ``metrics``, ``sets``, ``frechet``, ``originality``, ``diversity``, ``emotion``
        and, where there is something to tell, ``quality``, ``failure_rate``, ``seconds_per_piece``; ``ranges``: the
        reference's 5-95 % range of each metric.
    """
    people = reference.people.scores
    their_metrics = _metrics(people)
    their_features = [set_features(score) for score in people]
    spaces = {name: (embed, embed(people)) for name, embed in reference.embeddings().items()}
    found: dict[str, Any] = {}

    def measured(system: System) -> dict[str, Any]:
        found = {
            "n": len(system.scores),
            "metrics": _against_range(_metrics(system.scores), their_metrics),
            "sets": compare_sets([set_features(score) for score in system.scores], their_features),
            "frechet": {space: frechet(embed(system.scores), theirs) for space, (embed, theirs) in spaces.items()},
            "originality": copies(reference.index, system.scores, n=RUN_NOTES),
            "diversity": _diversity(system),
            "emotion": _emotion(system, reference.judges),
        }
        return found | _of_pieces(system, reference.selector)

    for name, system in systems.items():
        found[name] = kept.section(f"system-{name}", partial(measured, system))
        steps.tick(STEPS_PER_SYSTEM)
    ranges = {
        metric: list(share_inside(column, column)[1]) for metric, column in zip(METRICS, their_metrics.T, strict=True)
    }
    return {"systems": found, "ranges": ranges}


def compare_choice(one: System, best: System, reference: Reference) -> dict[str, Any]:
    """What choosing among many candidates adds, by judges and features that took no part in choosing."""
    found: dict[str, Any] = {"accuracy": {}}
    for name in ("primary", "second"):
        judge = reference.judges[name]
        right = [
            hits(judge.predict_proba(clips.source), clips)["accuracy"]
            for clips in (Clips.of(system.scores, system.quadrants) for system in (one, best))
        ]
        gain = bootstrap(np.stack(right, axis=1), _gain, strata=one.quadrants)
        found["accuracy"][name] = {
            "one": mean_of_defined(right[0]),
            "best": mean_of_defined(right[1]),
            "gain_interval": list(gain),
        }
    embed = reference.embeddings()["features"]
    theirs = embed(reference.people.scores)
    found["frechet"] = {name: frechet(embed(s.scores), theirs) for name, s in (("one", one), ("best", best))}
    return found


def _gain(rows: Floats) -> float:
    """Of the second column over the first."""
    return mean_of_defined(rows[:, 1]) - mean_of_defined(rows[:, 0])


def _metrics(scores: Sequence[Score]) -> Floats:
    return np.array([list(measure(score).values()) for score in scores])


def _against_range(values: Floats, theirs: Floats) -> dict[str, Any]:
    """Mean of each metric, and the share of pieces inside the reference's range."""
    found = {}
    for k, metric in enumerate(METRICS):
        mean, interval = mean_with_interval(values[:, k], n_draws=N_DRAWS)
        inside, _ = share_inside(values[:, k], theirs[:, k])
        found[metric] = {"mean": mean, "interval": list(interval), "inside": inside}
    return found


def _of_pieces(system: System, selector: Selector | None) -> dict[str, Any]:
    """The selector's quality, faults and time, where there are any."""
    found: dict[str, Any] = {}
    if selector:
        quality = np.array([rating.quality for rating in selector.rate(system.scores)])
        mean, interval = mean_with_interval(quality, n_draws=N_DRAWS)
        found["quality"] = {"mean": mean, "interval": list(interval)}
    if system.intents:
        pairs = zip(system.scores, system.intents, strict=True)
        found["failure_rate"] = float(np.mean([bool(check_piece(score, intent).faults) for score, intent in pairs]))
    if system.seconds:
        found["seconds_per_piece"] = float(np.median(system.seconds))
    return found


def _diversity(system: System) -> dict[str, float]:
    """Distinct and shared 4-grams among the pieces of one prompt, mean over prompts."""
    asked = np.array(system.quadrants) if system.quadrants else np.arange(len(system.scores)) % 4
    spelt = [phrases(note_array(score), limit=N_ATTACKS) for score in system.scores]
    groups = [[spelt[i] for i in np.flatnonzero(asked == q)] for q in np.unique(asked)]
    return {
        "distinct_4grams": float(np.nanmean([distinct_phrases(group) for group in groups])),
        "shared_4grams": float(np.nanmean([shared_phrases(group) for group in groups])),
    }


def _emotion(system: System, judges: Mapping[str, JudgeLike]) -> dict[str, Any] | None:
    """Scorecards of the judges over the pieces that were asked for a quadrant."""
    rows = [i for i, quadrant in enumerate(system.quadrants) if quadrant]
    if not rows:
        return None
    clips = Clips.of([system.scores[i] for i in rows], [system.quadrants[i] for i in rows])
    return {name: scorecard(judge.predict_proba(clips.source), clips) for name, judge in judges.items()}


def _feature_embedding(people: Sequence[Score]) -> Embedding:
    """The first principal components of the feature judge's features, standardised on the reference."""
    raw = _features(people)
    centre, width = raw.mean(0), np.maximum(raw.std(0), 1e-9)
    _, _, axes = np.linalg.svd((raw - centre) / width, full_matrices=False)
    axes = axes[:N_COMPONENTS].T

    def embed(scores: Sequence[Score]) -> Floats:
        # A feature that hardly varies among people must not outweigh all others.
        return np.asarray(np.clip((_features(scores) - centre) / width, -5, 5) @ axes)

    return embed


def _features(scores: Sequence[Score]) -> Floats:
    notes = [note_array(score) for score in scores]
    return np.array([list(describe(row[row["program"] < DRUMS]).values()) for row in notes])
