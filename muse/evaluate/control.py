"""Emotion control: are pieces heard as what was asked for, and is a piece what was ordered?

Two judges (``judge.py``) are fitted on human clips and asked about generated music: pieces per quadrant, and pieces
over a grid of valence and arousal. The selector, which took part in choosing the pieces, is heard as a third. Beside
every figure stands the same figure for human clips that the judges have never heard, because a judge is wrong about
those too, and because music that is recognised more often than people's own is more stereotyped than theirs: hence the
table on variety.

Contents
--------
``measure_control``    everything, as a document for the report
``check_generations``  bars, instruments, silence, end, and the same file for the same seed
``scorecard``          judgements against labels, with intervals
"""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from muse.emotion import QUADRANTS
from muse.errors import InputError
from muse.evaluate.judges import (
    Clips,
    FeatureJudge,
    Hearing,
    Judge,
    PhraseJudge,
    cross_validate,
    describe,
    fit_judges,
    hits,
    rate,
    read_emopia,
    read_vgmidi,
    share,
    valence_arousal,
)
from muse.evaluate.metrics.pieces import (
    check_piece,
    control_correlations,
    distinct_phrases,
    phrases,
    shared_phrases,
    spearman,
    spread_ratio,
)
from muse.intent import Intent
from muse.score import read_score
from muse.statistics import bootstrap
from muse.tokens import SONG_CONTROLS

if TYPE_CHECKING:
    from muse.composer import Composer, Composition

__all__ = ["Steps", "check_generations", "default_intents", "measure_control", "scorecard"]

Floats: TypeAlias = NDArray[np.float64]
Progress: TypeAlias = Callable[[float, float], None]

GOAL_SHARE, GOAL_RANK = 0.80, 0.70
N_ATTACKS = 100
"""Attacks of each piece that count for variety; human clips have at least about as many."""
ALONE_BARS = 8
"""Of the pieces in which one control is asked for by itself."""
GRID_EDGE = 0.9
"""Outermost valence and arousal of the grid; the very corners of the plane are nobody's emotion."""

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
"""Features of the judge that have a plain meaning: shown side by side for people and machine."""


@dataclass
class _Piece:
    asked: Any
    """Quadrant 1..4, or (valence, arousal)."""
    seed: int
    composition: Composition
    intent: Intent


class Steps:
    """Counts what is done for a progress bar."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.done, self.total = progress, 0, total

    def tick(self, n: int = 1) -> None:
        self.done += n
        if self.progress:
            self.progress(self.done, self.total)


def measure_control(
    composer: Composer,
    corpora: str | Path,
    *,
    n_pieces: int = 16,
    bars: int = 16,
    n_grid: int = 7,
    n_checked: int = 200,
    n_folds: int = 5,
    alone: bool = True,
    judges: dict[str, Hearing] | None = None,
    steps: Steps | None = None,
    more_steps: int = 0,
) -> tuple[dict[str, Any], list[_Piece]]:
    """Measure how well a composer follows the emotion asked for.

    Parameters
    ----------
    composer
        Asked with its default settings.
    corpora
        Folder that holds ``emopia-nc`` and ``vgmidi-unclear``, each with its ``metadata.csv``.
    n_pieces
        Pieces per quadrant; seeds are 0, 1, ...
    bars
        Of each piece.
    n_grid
        Points on each side of the valence-arousal grid, one piece each; 0 leaves the grid out.
    n_checked
        Further pieces for :func:`check_generations`; 0 leaves that part out.
    n_folds
        Of the judges' cross-validation on their training clips; 0 leaves it out.
    alone
        Also ask for each control by itself, five values each.
    judges
        As :func:`muse.evaluate.judges.fit_judges` gives them; fitted here when None.
    steps
        Told what is done.
    more_steps
        Of others that follow, for the total.

    Returns
    -------
    dict, list
        A part of the report's document, and the pieces that were composed for the quadrants.

    Raises
    ------
    InputError
        A corpus is missing, or a number is out of range.
    """
    faults = [f"n_pieces={n_pieces}: at least 2"] if n_pieces < 2 else []
    faults += [f"n_grid={n_grid}: 0, or at least 2"] if n_grid == 1 or n_grid < 0 else []
    faults += [f"n_folds={n_folds}: 0, or at least 2"] if n_folds == 1 or n_folds < 0 else []
    if faults:
        raise InputError("; ".join(faults))
    train, val, games = read_emopia(corpora, "train"), read_emopia(corpora, "val"), read_vgmidi(corpora)
    steps = steps or Steps(None, 0)
    steps.total = 4 * n_pieces + n_grid**2 + n_checked + 10 + 5 * len(SONG_CONTROLS) * alone + more_steps

    # The judges first: nothing about them can depend on the music that they are to judge.
    judges = judges or fit_judges(corpora, composer.selector)
    makers: dict[str, Callable[[], Judge]] = {"primary": FeatureJudge, "second": PhraseJudge}
    heard = {name: j.predict_proba(val.source) for name, j in judges.items()}
    # The selector learnt from both corpora: of human clips, only EMOPIA's validation clips are new to it.
    human = {
        name: {
            "name": j.name,
            "validation": scorecard(heard[name], val),
            "other_corpus": scorecard(j.predict_proba(games.source), games) if name in makers else None,
            "cross_validation": scorecard(cross_validate(makers[name], train, n_folds=n_folds), train)
            if n_folds and name in makers
            else None,
        }
        for name, j in judges.items()
    }
    steps.tick(10)

    pieces = [
        _compose(composer, q, Intent(emotion=f"Q{q}", bars=bars), seed, steps)
        for seed in range(n_pieces)
        for q in (1, 2, 3, 4)
    ]
    music = Clips.of([p.composition.best.score for p in pieces], [p.asked for p in pieces])
    judged = {name: j.predict_proba(music.source) for name, j in judges.items()}
    document: dict[str, Any] = {
        "settings": {
            "n_pieces": n_pieces, "bars": bars, "n_grid": n_grid, "grid_edge": GRID_EDGE, "n_checked": n_checked,
            "n_attacks": N_ATTACKS,
            "versions": dict(composer.versions),
        },
        "judges": human,
        "human_clips": {
            "quadrant": val.quadrant.tolist(),
            "judged": valence_arousal(heard["primary"]).round(4).tolist(),
        },
        "quadrants": {name: scorecard(p, music) for name, p in judged.items()},
        "unranked": _unranked(judges, pieces),
        "cues": _cues(train + val, music),
        "variety": _variety(train + val, music),
        "pieces": [
            {
                "asked": f"Q{p.asked}",
                "seed": p.seed,
                "probabilities": {name: judged[name][i].round(4).tolist() for name in judges},
                "judged": valence_arousal(judged["primary"][i : i + 1])[0].round(4).tolist(),
                "check": check_piece(p.composition.best.score, p.intent).to_dict(),
            }
            for i, p in enumerate(pieces)
        ],
    }  # fmt: skip
    steered = pieces
    if n_grid:
        points = np.linspace(-GRID_EDGE, GRID_EDGE, n_grid).round(4)
        on_grid = [
            _compose(composer, (v, a), Intent(emotion=(v, a), bars=bars), seed, steps)
            for seed, (v, a) in enumerate(itertools.product(points.tolist(), points.tolist()))
        ]
        document["grid"] = _grid(judges, on_grid)
        steered = pieces + on_grid
    document["controls"] = _controls(steered)
    if alone:
        document["controls_alone"] = _controls_alone(composer, steps)
    if n_checked:
        document["generations"] = check_generations(composer, n_checked, progress=lambda *_: steps.tick())
    document["goals"] = _goals(document)
    return document, pieces


def _compose(composer: Composer, asked: Any, intent: Intent, seed: int, steps: Steps) -> _Piece:
    piece = _Piece(asked, seed, composer.compose(intent, seed=seed), intent)
    steps.tick()
    return piece


def scorecard(p: Floats, clips: Clips) -> dict[str, Any]:
    """A scorecard as JSON, with 95 % intervals of the shares.

    Human clips are drawn song by song, because clips of one song are not independent; pieces within their quadrant.
    """
    card = asdict(rate(p, clips))
    lone = len(set(clips.song)) == len(clips.song)
    how: dict[str, Any] = {"strata": clips.quadrant} if lone else {"groups": clips.song}
    card["interval"] = {
        name: [round(x, 4) for x in bootstrap(right, share, **how)] for name, right in hits(p, clips).items()
    }
    confusion = np.array(card["confusion"])
    card["per_quadrant"] = {
        q: round(float(confusion[i, i] / max(confusion[i].sum(), 1)), 4) for i, q in enumerate(QUADRANTS)
    }
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in card.items()}


def _unranked(judges: dict[str, Hearing], pieces: Sequence[_Piece]) -> dict[str, Any]:
    """The same shares over all candidates, so that what ranking adds can be seen."""
    every = [(c.score, p.asked) for p in pieces for c in p.composition.candidates]
    clips = Clips.of([score for score, _ in every], [asked for _, asked in every])
    cards = {name: asdict(rate(j.predict_proba(clips.source), clips)) for name, j in judges.items()}
    return {name: {"n": len(clips), "accuracy": round(card["accuracy"], 4)} for name, card in cards.items()}


def _cues(people: Clips, music: Clips) -> list[dict[str, Any]]:
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


def _sounding(clips: Clips) -> NDArray[np.int64]:
    return np.flatnonzero([len(notes) > 0 for notes in clips.music])


def _features(music: Sequence[Any]) -> Floats:
    rows = [describe(notes) for notes in music]
    return np.array([[row[name] for name in CUES] for row in rows]).reshape(len(rows), len(CUES))


def _variety(people: Clips, music: Clips, n_draws: int = 100) -> dict[str, Any]:
    """Distinct and shared 4-grams and spread of features within each quadrant, beside as many human clips.

    The human figure is the mean over draws of as many clips, each of another song, with its 95 % range.
    """
    rng = np.random.default_rng(0)
    music = music.take(_sounding(music))
    their_phrases = [phrases(n, limit=N_ATTACKS) for n in people.music]
    our_phrases = [phrases(n, limit=N_ATTACKS) for n in music.music]
    theirs, ours = _features(people.music), _features(music.music)
    result: dict[str, Any] = {}
    for q in (1, 2, 3, 4):
        mine = np.flatnonzero(music.quadrant == q)
        pool = np.flatnonzero(people.quadrant == q)
        draws = [_other_songs(pool, people.song, len(mine), rng) for _ in range(n_draws)]
        row: dict[str, Any] = {}
        for name, measure in (("distinct_4grams", distinct_phrases), ("shared_4grams", shared_phrases)):
            values = [measure([their_phrases[i] for i in draw]) for draw in draws]
            row[name] = {
                "generated": round(measure([our_phrases[i] for i in mine]), 4),
                "human": round(float(np.mean(values)), 4),
                "human_range": [round(float(np.quantile(values, x)), 4) for x in (0.025, 0.975)],
            }
        ratio = spread_ratio(ours[mine], theirs[pool])
        row["spread_ratio"] = round(float(np.nanmean(ratio)), 4)
        row["spread_ratios"] = {
            name: None if np.isnan(x) else round(float(x), 3) for name, x in zip(CUES, ratio, strict=True)
        }
        result[f"Q{q}"] = row
    return result


def _other_songs(pool: NDArray[np.int64], song: NDArray[np.str_], n: int, rng: np.random.Generator) -> list[int]:
    seen: set[str] = set()
    chosen: list[int] = []
    for i in rng.permutation(pool).tolist():
        if song[i] not in seen and len(chosen) < n:
            seen.add(str(song[i]))
            chosen.append(i)
    return chosen


def _grid(judges: dict[str, Hearing], pieces: Sequence[_Piece]) -> dict[str, Any]:
    asked = np.array([p.asked for p in pieces])
    music = [p.composition.best.score for p in pieces]
    result: dict[str, Any] = {}
    for name, judge in judges.items():
        va = judge.predict_va(music)
        result[name] = {"judged": va.round(4).tolist()}
        for k, axis in enumerate(("valence", "arousal")):
            pair = np.stack([asked[:, k], va[:, k]], axis=1)
            low, high = bootstrap(pair, lambda rows: spearman(rows[:, 0], rows[:, 1]))
            rho = spearman(pair[:, 0], pair[:, 1])
            result[name][axis] = {"rho": round(rho, 4), "interval": [round(low, 4), round(high, 4)]}
            result[name][axis]["mean_error"] = round(float(np.abs(pair[:, 0] - pair[:, 1]).mean()), 4)
            other = spearman(asked[:, 1 - k], va[:, k])
            result[name][axis]["leak"] = round(other, 4)
    return {"asked": asked.tolist(), **result}


def _controls(pieces: Sequence[_Piece]) -> list[dict[str, Any]]:
    """Rank correlation of asked with measured over all candidates, so that no ranking flatters it."""
    names = list(dict.fromkeys(name for p in pieces for name in p.composition.target.names))
    every = [(p.composition.target.values(), c.measured) for p in pieces for c in p.composition.candidates]
    asked = np.array([[target.get(name, np.nan) for name in names] for target, _ in every])
    measured = np.array([[got.get(name, np.nan) for name in names] for _, got in every])
    return control_correlations(asked.reshape(len(every), -1), measured.reshape(len(every), -1), names)


def _controls_alone(composer: Composer, steps: Steps) -> list[dict[str, Any]]:
    """The same with one control asked for at a time and everything else open: what each lever does by itself.

    Asked are the values below which 1, 3, 4, 5 and 7 eighths of the generator's corpus lie.
    """
    rows = []
    for name, edges in zip(SONG_CONTROLS, composer.codec.controls.song, strict=True):
        asked, measured = [], []
        for value in edges[[0, 2, 3, 4, 6]].tolist():
            piece = composer.compose(Intent(attributes={name: value}, bars=ALONE_BARS), seed=0)
            asked += [[value]] * len(piece.candidates)
            measured += [[candidate.measured[name]] for candidate in piece.candidates]
            steps.tick()
        rows += control_correlations(asked, measured, [name])
    return sorted(rows, key=lambda row: (row["rho"] is None, -(row["rho"] or 0.0)))


def _goals(document: dict[str, Any]) -> list[dict[str, Any]]:
    quadrants = document["quadrants"]["primary"]
    goals = [("pieces judged to be in the quadrant asked for", quadrants["accuracy"], GOAL_SHARE)]
    for axis in ("valence", "arousal"):
        if "grid" in document:
            rho = document["grid"]["primary"][axis]["rho"]
            goals.append((f"Spearman of asked and judged {axis} over the grid", rho, GOAL_RANK))
    if "generations" in document:
        g = document["generations"]
        goals.append(("pieces that are exactly what was ordered", round(g["n_faultless"] / g["n"], 4), 1.0))
        if g["n_repeated"]:
            goals.append(("same seed, same file", round(g["n_same_file"] / g["n_repeated"], 4), 1.0))
    return [{"goal": text, "value": value, "needed": need, "met": bool(value >= need)} for text, value, need in goals]


# ---------------------------------------------------------------------------------------------------- generations


def default_intents() -> Iterator[Intent]:
    """Requests without end that go round emotions, lengths, meters, instruments and keys, each in its own rhythm."""
    emotions = itertools.cycle(["Q1", "Q2", "Q3", "Q4", "sad", "joyful", "calm>tense", (0.3, -0.2), None])
    bars = itertools.cycle([16, 8, 4, 12, 17, 32, 1])
    meters = itertools.cycle(["4/4", "4/4", "3/4", "4/4", "2/4"])
    ensembles = itertools.cycle(
        [("piano",), ("violin", "cello"), ("piano",), ("piano", "voice"), ("guitar",), ("flute", "piano")]
    )
    keys = itertools.cycle([None, "Am", "C", None, "F#m", "Eb", None, None])
    for emotion, n, meter, instruments, key in zip(emotions, bars, meters, ensembles, keys, strict=False):
        yield Intent(emotion=emotion, bars=n, time_signature=meter, instruments=instruments, key=key)


def check_generations(
    composer: Composer,
    n: int = 200,
    *,
    intents: Sequence[Intent] | None = None,
    n_candidates: int = 1,
    n_repeated: int = 10,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Compose many pieces, write each, read it back, and see whether it is what was ordered.

    Parameters
    ----------
    composer
        Asked with seeds 0, 1, ...
    n
        Pieces.
    intents
        Requests, gone round as often as needed; :func:`default_intents` when None.
    n_candidates
        Per piece. One, so that no choice among several hides a bad one.
    n_repeated
        So many of the pieces, from the first on, are composed twice and their files compared byte for byte.
    progress
        Called with (done, n).

    Returns
    -------
    dict
        ``n``, ``n_faultless``, ``faults`` (name -> pieces that have it), ``n_repeated``, ``n_same_file``, and
        ``failures``: seed, request and findings of each piece with a fault.
    """
    if n < 1 or (intents is not None and not intents):
        raise InputError(f"n={n} pieces of {intents if intents is None else len(intents)} requests: need at least one")
    requests = default_intents() if intents is None else itertools.cycle(intents)
    faults: Counter[str] = Counter()
    failures: list[dict[str, Any]] = []
    same = 0
    n_repeated = min(n_repeated, n)
    with tempfile.TemporaryDirectory() as folder:
        file, again = Path(folder) / "piece.mid", Path(folder) / "again.mid"
        for seed, intent in zip(range(n), requests, strict=False):
            composer.compose(intent, n_candidates=n_candidates, seed=seed).save(file)
            try:
                check = check_piece(read_score(file), intent)
                found, finding = check.faults, check.to_dict()
            except InputError as error:
                found, finding = ("unreadable",), {"error": str(error)}
            if seed < n_repeated:
                composer.compose(intent, n_candidates=n_candidates, seed=seed).save(again)
                same += file.read_bytes() == again.read_bytes()
            faults.update(found)
            if found:
                failures.append({"seed": seed, "intent": intent.to_dict(), "finding": finding})
            if progress:
                progress(seed + 1, n)
    return {
        "n": n,
        "n_faultless": n - len(failures),
        "faults": dict(sorted(faults.items())),
        "n_repeated": n_repeated,
        "n_same_file": same,
        "failures": failures,
    }
