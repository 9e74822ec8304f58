"""The whole evaluation: a composer beside people and beside simpler systems, or a folder of MIDI files beside people.

Every system answers the same requests (so many pieces for each quadrant, the same seeds), and everything is measured on
all of them in the same way, so a figure never stands alone:

==============  =======================================================================================
``human``       windows of songs that neither generator nor selector learnt from
``muse``        the composer at default settings
``one``         one candidate instead of four: nothing is chosen
``best``        many candidates, see :data:`BEST_OF`
``free``        the generator without any control
``emogen``      the generator, controlled by EmoGen's binarised mapping
``ngram``       a 5-gram model on the same tokens
``folder``      the files of a folder, in its evaluation
==============  =======================================================================================

Conventions
-----------
reference
    Held-out windows of piano music, of other songs than ``human``. The 5-95 % ranges, overlapping areas and Fréchet
    distances are against it; what ``human`` gets there is the yardstick.
embedding
    Fréchet distances are taken twice: in the selector's space, and in the space of the feature judge's features
    (standardised, first principal components), which took no part in choosing any piece.
no number
    None in the document, as JSON has no NaN.

Contents: :func:`evaluate_composer`, :func:`evaluate_folder`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from muse.dataset.read import Corpus
from muse.errors import InputError, MuseError
from muse.evaluate.control import Steps, measure_control, scorecard
from muse.evaluate.judges import Clips, Hearing, describe, fit_judges, hits, read_emopia, share
from muse.evaluate.metrics.music import METRICS, compare_sets, frechet, measure, set_features, share_inside
from muse.evaluate.metrics.originality import CopyIndex, copies
from muse.evaluate.metrics.pieces import check_piece, distinct_phrases, phrases, shared_phrases
from muse.evaluate.reports.report import write_report
from muse.evaluate.systems.baselines import NGram, emogen_intent
from muse.intent import Intent
from muse.score import DRUMS, Score, note_array, read_score
from muse.selector import Selector
from muse.statistics import bootstrap
from muse.tokens import Codec

if TYPE_CHECKING:
    from muse.composer import Composer

__all__ = ["BEST_OF", "evaluate_composer", "evaluate_folder"]

Floats: TypeAlias = NDArray[np.float64]
Progress: TypeAlias = Callable[[float, float], None]

BEST_OF = 16
"""Candidates of the system ``best``."""
N_REFERENCE = 256
"""Windows of the reference; half as many where there are not enough."""
N_COMPONENTS = 32
"""Principal components of the feature judge's features that make an embedding."""
N_ATTACKS = 100
"""Attacks of each piece that count for diversity."""
RUN_NOTES = 7
"""Length of the runs whose share in the training corpus is told."""
_MIDI = (".mid", ".midi")
_QUADRANT = re.compile(r"(?<![A-Za-z0-9])[Qq]([1-4])(?![A-Za-z0-9])")


@dataclass
class _System:
    """Pieces of one maker."""

    scores: list[Score]
    asked: list[int] = field(default_factory=list)
    """Quadrant 1..4 of each piece; empty where nobody asked for one."""
    seconds: list[float] = field(default_factory=list)
    """Time that each piece took."""
    intents: list[Intent] = field(default_factory=list)


def evaluate_composer(
    composer: Composer,
    corpora: str | Path,
    dataset: str | Path,
    out: str | Path,
    *,
    n_pieces: int = 16,
    bars: int = 16,
    n_grid: int = 7,
    n_checked: int = 200,
    n_folds: int = 5,
    alone: bool = True,
    best_of: int = BEST_OF,
    n_reference: int = N_REFERENCE,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Evaluate a composer and write ``evaluation.html``, ``evaluation.md``, ``evaluation.json`` and charts.

    Parameters
    ----------
    composer
        Asked with its default settings but where a system says otherwise.
    corpora
        Folder with ``emopia-nc`` and ``vgmidi-unclear``, which teach the judges.
    dataset
        What ``muse corpus build`` made of the music that the generator learnt from: its training windows are what a
        piece could have copied and what the 5-gram model learns, its held-out windows are the reference.
    out
        Folder of the report, made if absent.
    n_pieces, bars, n_grid, n_checked, n_folds, alone
        As :func:`muse.evaluate.control.measure_control` takes them; `n_pieces` and `bars` hold for every system.
    best_of
        Candidates of the system ``best``.
    n_reference
        Windows of the reference.
    progress
        Called with (done, total).

    Returns
    -------
    dict
        What stands in ``evaluation.json``.

    Raises
    ------
    InputError
        A corpus or the dataset is missing, has too little held-out music, or a number is out of range.
    """
    held_out = Corpus(dataset)
    reference, human = _held_out(held_out, n_reference, 4 * n_pieces)
    n_composed = 5 * 4 * n_pieces
    steps, judges = Steps(progress, 0), fit_judges(corpora, composer.selector)
    document, made = measure_control(
        composer, corpora, n_pieces=n_pieces, bars=bars, n_grid=n_grid, n_checked=n_checked, n_folds=n_folds,
        alone=alone, judges=judges, steps=steps, more_steps=n_composed + 7 * 40 + 80,
    )  # fmt: skip
    document = {"kind": "composer", **document}

    ngram = NGram.fit(held_out)
    index = CopyIndex.cached(held_out)
    steps.tick(80)
    requests = [(q, seed) for seed in range(n_pieces) for q in (1, 2, 3, 4)]

    def composed(intent_of: Callable[[int], Intent], n_candidates: int) -> _System:
        found = _System([])
        for q, seed in requests:
            intent, started = intent_of(q), time.perf_counter()
            # Where nothing is asked for, the quadrants would all get the same piece.
            own_seed = seed if intent.emotion or intent.attributes else 4 * seed + q
            piece = composer.compose(intent, n_candidates=n_candidates, seed=own_seed)
            _add(found, piece.best.score, q, intent, time.perf_counter() - started)
            steps.tick()
        return found

    def wanted(q: int) -> Intent:
        return Intent(emotion=f"Q{q}", bars=bars)

    muse = _System([])
    for piece in made:
        score = piece.composition.best.score
        _add(muse, score, int(piece.asked), piece.intent, piece.composition.timing["total_s"])
    systems = {
        "human": human,
        "muse": muse,
        "one": composed(wanted, 1),
        "best": composed(wanted, best_of),
        "free": composed(lambda q: Intent(bars=bars), 1),
        "emogen": composed(lambda q: emogen_intent(q, bars, composer.codec.controls), 1),
        "ngram": _System([]),
    }
    for q, seed in requests:
        started, intent = time.perf_counter(), Intent(bars=bars)
        score = ngram.compose(intent, seed=4 * seed + q)
        _add(systems["ngram"], score, q, intent, time.perf_counter() - started)
        steps.tick()

    document["settings"] |= {"best_of": best_of, "n_reference": len(reference.scores), "n_attacks": N_ATTACKS}
    document |= _systems(systems, reference, judges, composer.selector, index, steps)
    document["ngram_nats_per_token"] = ngram.nats_per_token(held_out)
    document["best_of"] = _best_of(systems["one"], systems["best"], reference, judges)
    document = _finite(document)
    write_report(document, out)
    return document


def evaluate_folder(
    folder: str | Path,
    corpora: str | Path,
    dataset: str | Path,
    out: str | Path,
    *,
    selector: Selector | None = None,
    n_reference: int = N_REFERENCE,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Evaluate MIDI files that anyone made, and write the report.

    A file whose path says ``Q1`` .. ``Q4`` (``Q3_0.mid``, ``out/Q3/0.mid``) was asked for that quadrant. Files that
    cannot be read count as failures.

    Parameters
    ----------
    folder
        Searched for ``.mid`` and ``.midi``.
    corpora, dataset, out, n_reference, progress
        As :func:`evaluate_composer` takes them.
    selector
        Rates the pieces; None leaves the selector's figures out.

    Raises
    ------
    InputError
        Fewer than three readable files, or a corpus or the dataset is missing.
    """
    files = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in _MIDI)
    found, broken = _System([]), []
    for path in files:
        try:
            score = read_score(path)
            if len(note_array(score)) < 4:
                raise InputError(f"{path}: has fewer than four notes")
        except MuseError as error:
            broken.append({"file": str(path.relative_to(folder)), "error": str(error)})
            continue
        named = _QUADRANT.findall(str(path.relative_to(folder)))
        found.scores.append(score)
        found.asked.append(int(named[-1]) if named else 0)
    if len(found.scores) < 3:
        raise InputError(f"{folder}: {len(found.scores)} of {len(files)} MIDI files can be read; give at least three")
    held_out = Corpus(dataset)
    reference, human = _held_out(held_out, n_reference, 64)
    steps = Steps(progress, 2 * 40 + 60)
    index = CopyIndex.cached(held_out)
    judges = fit_judges(corpora, selector)
    steps.tick(60)
    document: dict[str, Any] = {
        "kind": "folder",
        "settings": {"folder": Path(folder).name, "n_files": len(files), "n_reference": len(reference.scores)},
        "broken": broken,
        "judges": _held_out_accuracy(judges, corpora),
    }
    document |= _systems({"human": human, "folder": found}, reference, judges, selector, index, steps)
    document = _finite(document)
    write_report(document, out)
    return document


def _add(system: _System, score: Score, asked: int, intent: Intent, seconds: float) -> None:
    system.scores.append(score)
    system.asked.append(asked)
    system.intents.append(intent)
    system.seconds.append(seconds)


def _held_out_accuracy(judges: dict[str, Hearing], corpora: str | Path) -> dict[str, Any]:
    val = read_emopia(corpora, "val")
    return {
        name: {"name": judge.name, "validation": scorecard(judge.predict_proba(val.source), val)}
        for name, judge in judges.items()
    }


def _held_out(corpus: Corpus, n_reference: int, n_human: int) -> tuple[_System, _System]:
    """Reference and yardstick: windows of 16 bars of piano music from songs of the validation and test splits."""
    split: dict[str, Any] = {"split": ["val", "test"], "on_grid": True, "n_bars": 16}
    column: dict[str, Any] = {
        name: corpus.column(name, **split) for name in ("tokens", "programs", "corpus", "song", "note_count")
    }
    piano = [set(row.tolist()) == {0} for row in column["programs"]]
    rows = np.flatnonzero(np.array(piano, bool) & (column["note_count"] >= 32))
    song = np.array([f"{c}/{s}" for c, s in zip(column["corpus"], column["song"], strict=True)], object)
    rng = np.random.default_rng(0)
    songs = rng.permutation(np.unique(song[rows].astype(str)))
    # Whole songs go to one side, so that no song is compared with itself.
    share_human = min(n_human / (n_human + n_reference), 0.5)
    for_human = set(songs[: max(1, round(share_human * len(songs)))].tolist())
    inside = np.array([song[row] in for_human for row in rows], bool)
    parts = [rng.permutation(rows[side])[:n] for side, n in ((~inside, n_reference), (inside, n_human))]
    if min(map(len, parts)) < 3:
        raise InputError(
            f"{corpus.folder} has {len(rows)} held-out windows of 16 bars of piano music, too few to compare with; "
            "build it from more music"
        )
    codec = Codec.default()
    reference, human = ([codec.decode(column["tokens"][int(row)]) for row in part] for part in parts)
    return _System(reference), _System(human)


# ------------------------------------------------------------------------------------------------- measuring systems


def _systems(
    systems: dict[str, _System],
    reference: _System,
    judges: dict[str, Hearing],
    selector: Selector | None,
    index: CopyIndex,
    steps: Steps,
) -> dict[str, Any]:
    """Everything that is measured of every system."""
    their_metrics = _metrics(reference.scores)
    their_features = [set_features(score) for score in reference.scores]
    spaces = _spaces(reference, selector)
    document: dict[str, Any] = {"systems": {}, "ranges": {}}
    for name, system in systems.items():
        values = _metrics(system.scores)
        metrics = {}
        for k, metric in enumerate(METRICS):
            mean, interval = _mean(values[:, k])
            inside, bounds = share_inside(values[:, k], their_metrics[:, k])
            metrics[metric] = {"mean": mean, "interval": interval, "inside": inside}
            document["ranges"][metric] = list(bounds)
        steps.tick(10)
        copied = copies(index, system.scores, n=RUN_NOTES)
        steps.tick(10)
        row: dict[str, Any] = {
            "n": len(system.scores),
            "metrics": metrics,
            "sets": compare_sets([set_features(score) for score in system.scores], their_features),
            "frechet": {space: frechet(embed(system.scores), mine) for space, (embed, mine) in spaces.items()},
            "originality": copied,
            "diversity": _diversity(system),
            "emotion": _emotion(system, judges),
        }
        steps.tick(10)
        if selector:
            quality = np.array([rating.quality for rating in selector.rate(system.scores)])
            mean, interval = _mean(quality)
            row["quality"] = {"mean": mean, "interval": interval}
        if system.intents:
            faults = [
                check_piece(score, intent).faults for score, intent in zip(system.scores, system.intents, strict=True)
            ]
            row["failure_rate"] = float(np.mean([bool(fault) for fault in faults]))
        if system.seconds:
            row["seconds_per_piece"] = float(np.median(system.seconds))
        document["systems"][name] = row
        steps.tick(10)
    return document


def _mean(values: Floats) -> tuple[float, list[float]]:
    """Mean of what is defined and its 95 % bootstrap interval over pieces."""
    values = values[np.isfinite(values)]
    return share(values), list(bootstrap(values, share, n_draws=500))


def _metrics(scores: Sequence[Score]) -> Floats:
    return np.array([list(measure(score).values()) for score in scores])


def _diversity(system: _System) -> dict[str, float]:
    """Distinct and shared 4-grams among the pieces of one prompt, mean over prompts."""
    asked = np.array(system.asked) if system.asked else np.arange(len(system.scores)) % 4
    spelt = [phrases(note_array(score), limit=N_ATTACKS) for score in system.scores]
    groups = [[spelt[i] for i in np.flatnonzero(asked == q)] for q in np.unique(asked)]
    return {
        "distinct_4grams": float(np.nanmean([distinct_phrases(group) for group in groups])),
        "shared_4grams": float(np.nanmean([shared_phrases(group) for group in groups])),
    }


def _emotion(system: _System, judges: dict[str, Hearing]) -> dict[str, Any] | None:
    """Scorecards of the judges over the pieces that were asked for a quadrant."""
    rows = [i for i, q in enumerate(system.asked) if q]
    if not rows:
        return None
    clips = Clips.of([system.scores[i] for i in rows], [system.asked[i] for i in rows])
    return {name: scorecard(judge.predict_proba(clips.source), clips) for name, judge in judges.items()}


_Embed: TypeAlias = Callable[[Sequence[Score]], Floats]


def _spaces(reference: _System, selector: Selector | None) -> dict[str, tuple[_Embed, Floats]]:
    """Embeddings, each with that of the reference."""
    raw = _features(reference.scores)
    centre, width = raw.mean(0), np.maximum(raw.std(0), 1e-9)
    _, _, axes = np.linalg.svd((raw - centre) / width, full_matrices=False)
    axes = axes[:N_COMPONENTS].T

    def features(scores: Sequence[Score]) -> Floats:
        # A feature that hardly varies among people must not outweigh all others.
        return np.asarray(np.clip((_features(scores) - centre) / width, -5, 5) @ axes)

    spaces: dict[str, tuple[_Embed, Floats]] = {"features": (features, features(reference.scores))}
    if selector:

        def embed(scores: Sequence[Score]) -> Floats:
            return selector.embed(scores).astype(np.float64)

        spaces["selector"] = (embed, embed(reference.scores))
    return spaces


def _features(scores: Sequence[Score]) -> Floats:
    notes = [note_array(score) for score in scores]
    return np.array([list(describe(row[row["program"] < DRUMS]).values()) for row in notes])


def _best_of(one: _System, best: _System, reference: _System, judges: dict[str, Hearing]) -> dict[str, Any]:
    """What choosing among many adds, told by those that took no part in choosing."""
    found: dict[str, Any] = {"accuracy": {}}
    for name in ("primary", "second"):
        right = [
            hits(judges[name].predict_proba(clips.source), clips)["accuracy"]
            for clips in (Clips.of(s.scores, s.asked) for s in (one, best))
        ]
        pair = np.stack(right, axis=1)
        gain = bootstrap(pair, lambda rows: share(rows[:, 1]) - share(rows[:, 0]), strata=one.asked)
        found["accuracy"][name] = {"one": share(right[0]), "best": share(right[1]), "gain_interval": list(gain)}
    embed, theirs = _spaces(reference, None)["features"]
    found["frechet"] = {name: frechet(embed(s.scores), theirs) for name, s in (("one", one), ("best", best))}
    return found


def _finite(value: Any) -> Any:
    """The same document in JSON's types, with None for NaN, rounded to what matters."""
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    if isinstance(value, (float, np.floating)):
        return round(float(value), 5) if np.isfinite(value) else None
    return value
