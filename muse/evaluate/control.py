"""Emotion control: are pieces judged to be what was asked for?

Judges are fitted on human clips and asked about generated music: pieces per quadrant, and pieces over a grid of valence
and arousal. The selector, which took part in choosing the pieces, is asked as a third. Beside every figure stands the
same figure for human clips that the judges have never met, because a judge is wrong about those too.

Contents: :func:`measure_control`, :class:`ControlSettings`, :class:`AskedPiece`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from muse.errors import InputError
from muse.evaluate.compare import N_ATTACKS
from muse.evaluate.generations import check_generations
from muse.evaluate.judges import (
    Clips,
    FeatureJudge,
    Judge,
    JudgeLike,
    PhraseJudge,
    cross_validate,
    fit_judges,
    rate,
    read_emopia,
    read_vgmidi,
    scorecard,
    valence_arousal,
)
from muse.evaluate.kept import Kept, Piece
from muse.evaluate.metrics.check import check_piece
from muse.evaluate.metrics.control import control_correlations
from muse.evaluate.progress import Steps
from muse.evaluate.systems.maker import from_composer
from muse.evaluate.typicality import compare_cues, compare_variety
from muse.intent import Intent
from muse.statistics import bootstrap, spearman
from muse.tokens import SONG_CONTROLS

if TYPE_CHECKING:
    from muse.composer import Composer

__all__ = ["AskedPiece", "ControlSettings", "measure_control"]

Floats: TypeAlias = NDArray[np.float64]

GOAL_SHARE, GOAL_RANK = 0.80, 0.70
ALONE_BARS = 8
"""Of the pieces in which one control is asked for by itself."""
GRID_EDGE = 0.9
"""Outermost valence and arousal of the grid; no emotion word lies in the very corners of the plane."""
STEPS_OF_JUDGES = 10
"""Steps of progress that fitting and checking the judges counts for."""
_FITTED: Mapping[str, Callable[[], Judge]] = {"primary": FeatureJudge, "second": PhraseJudge}
"""The judges that are fitted on EMOPIA alone, for cross-validation and for other corpora."""


@dataclass(frozen=True)
class ControlSettings:
    """How much music emotion control is measured on.

    Raises
    ------
    InputError
        A number is out of range; all faults at once.
    """

    n_pieces: int = 16
    """Pieces per quadrant, 2 or more; seeds are 0, 1, ..."""
    bars: int = 16
    """Of each piece."""
    n_grid: int = 7
    """Points on each side of the valence-arousal grid, one piece each; 0 leaves the grid out."""
    n_checked: int = 200
    """Further pieces for :func:`muse.evaluate.check_generations`; 0 leaves that part out."""
    n_folds: int = 5
    """Of the judges' cross-validation on their training clips; 0 leaves it out."""
    alone: bool = True
    """Also ask for each control by itself, five values each."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        faults = [f"n_pieces={self.n_pieces}: at least 2"] if self.n_pieces < 2 else []
        faults += [f"n_grid={self.n_grid}: 0, or at least 2"] if self.n_grid == 1 or self.n_grid < 0 else []
        faults += [f"n_folds={self.n_folds}: 0, or at least 2"] if self.n_folds == 1 or self.n_folds < 0 else []
        if faults:
            raise InputError("; ".join(faults))

    @property
    def n_steps(self) -> int:
        """Steps of progress."""
        alone = 5 * len(SONG_CONTROLS) * self.alone
        return 4 * self.n_pieces + self.n_grid**2 + self.n_checked + STEPS_OF_JUDGES + alone


@dataclass(frozen=True)
class AskedPiece:
    """A piece and what was asked for."""

    asked: Any
    """Quadrant 1..4, or (valence, arousal)."""
    seed: int
    piece: Piece
    intent: Intent


@dataclass(frozen=True)
class _People:
    """Labelled music by people."""

    train: Clips
    val: Clips
    games: Clips

    @classmethod
    def read(cls, corpora: str | Path) -> _People:
        return cls(read_emopia(corpora, "train"), read_emopia(corpora, "val"), read_vgmidi(corpora))


def measure_control(
    composer: Composer,
    corpora: str | Path,
    settings: ControlSettings | None = None,
    *,
    judges: Mapping[str, JudgeLike] | None = None,
    steps: Steps | None = None,
    more_steps: int = 0,
    kept: Kept | None = None,
) -> tuple[dict[str, Any], list[AskedPiece]]:
    """Measure how well a composer follows the emotion asked for.

    Parameters
    ----------
    composer
        Asked with its default settings.
    corpora
        Folder that holds ``emopia-nc`` and ``vgmidi-unclear``, each with its ``metadata.csv``.
    settings
        Numbers of pieces and so on.
    judges
        As :func:`muse.evaluate.judges.fit_judges` gives them; fitted here when None.
    steps
        Counts what is done.
    more_steps
        Of others that follow, for the total.
    kept
        What an earlier run has finished.

    Returns
    -------
    dict, list
        A part of the report's document, and the pieces that were composed for the quadrants.

    Raises
    ------
    InputError
        A corpus is missing.
    """
    settings = settings or ControlSettings()
    people = _People.read(corpora)
    steps, kept = steps or Steps(), kept or Kept()
    steps.total = settings.n_steps + more_steps
    # The judges first: nothing about them can depend on the music that they are to judge.
    judges = judges or fit_judges(corpora, composer.selector)
    document: dict[str, Any] = {"settings": _settings(composer, settings)}
    document |= kept.section("judges", lambda: _judges_on_people(judges, people, settings.n_folds))
    steps.tick(STEPS_OF_JUDGES)

    def compose(name: str, asked: Any, emotion: Any, seed: int) -> AskedPiece:
        intent = Intent(emotion=emotion, bars=settings.bars)
        piece = kept.piece(name, partial(from_composer(composer), intent, seed))
        steps.tick()
        return AskedPiece(asked, seed, piece, intent)

    pieces = [
        compose(f"quadrants-{q}-{seed}", q, f"Q{q}", seed) for seed in range(settings.n_pieces) for q in (1, 2, 3, 4)
    ]
    document |= kept.section("quadrants", lambda: _quadrants(judges, pieces, people))
    steered = pieces
    if settings.n_grid:
        points = np.linspace(-GRID_EDGE, GRID_EDGE, settings.n_grid).round(4).tolist()
        on_grid = [
            compose(f"grid-{seed}", point, point, seed) for seed, point in enumerate(itertools.product(points, points))
        ]
        document["grid"] = kept.section("grid", lambda: _grid(judges, on_grid))
        steered = pieces + on_grid
    document["controls"] = _controls(steered)
    if settings.alone:
        after = steps.done + 5 * len(SONG_CONTROLS)
        document["controls_alone"] = kept.section("controls-alone", lambda: _controls_alone(composer, steps))
        steps.tick(after - steps.done)
    if n_checked := settings.n_checked:
        after = steps.done + n_checked
        document["generations"] = kept.section(
            "generations", lambda: check_generations(composer, n_checked, progress=lambda *_: steps.tick())
        )
        steps.tick(after - steps.done)
    document["goals"] = _goals(document)
    return document, pieces


def _settings(composer: Composer, settings: ControlSettings) -> dict[str, Any]:
    """What was asked for, for the document."""
    return {
        "n_pieces": settings.n_pieces,
        "bars": settings.bars,
        "n_grid": settings.n_grid,
        "grid_edge": GRID_EDGE,
        "n_checked": settings.n_checked,
        "n_attacks": N_ATTACKS,
        "versions": dict(composer.versions),
    }


def _judges_on_people(judges: Mapping[str, JudgeLike], people: _People, n_folds: int) -> dict[str, Any]:
    """How often the judges are right about human clips that are new to them."""
    train, val, games = people.train, people.val, people.games
    judged = {name: judge.predict_proba(val.source) for name, judge in judges.items()}
    cards: dict[str, Any] = {}
    for name, judge in judges.items():
        # The selector learnt from both corpora: of human clips, only EMOPIA's validation clips are new to it.
        fitted = name in _FITTED
        cards[name] = {
            "name": judge.name,
            "validation": scorecard(judged[name], val),
            "other_corpus": scorecard(judge.predict_proba(games.source), games) if fitted else None,
            "cross_validation": scorecard(cross_validate(_FITTED[name], train, n_folds=n_folds), train)
            if n_folds and fitted
            else None,
        }
    clips = {"quadrant": val.quadrant.tolist(), "judged": valence_arousal(judged["primary"]).round(4).tolist()}
    return {"judges": cards, "human_clips": clips}


def _quadrants(judges: Mapping[str, JudgeLike], pieces: Sequence[AskedPiece], people: _People) -> dict[str, Any]:
    """The sections on the pieces that were asked for a quadrant."""
    music = Clips.of([p.piece.score for p in pieces], [p.asked for p in pieces])
    judged = {name: judge.predict_proba(music.source) for name, judge in judges.items()}
    known = people.train + people.val
    return {
        "quadrants": {name: scorecard(p, music) for name, p in judged.items()},
        "unranked": _unranked(judges, pieces),
        "cues": compare_cues(known, music),
        "variety": compare_variety(known, music),
        "pieces": [
            {
                "asked": f"Q{p.asked}",
                "seed": p.seed,
                "probabilities": {name: judged[name][i].round(4).tolist() for name in judges},
                "judged": valence_arousal(judged["primary"][i : i + 1])[0].round(4).tolist(),
                "check": check_piece(p.piece.score, p.intent).to_dict(),
            }
            for i, p in enumerate(pieces)
        ],
    }


def _unranked(judges: Mapping[str, JudgeLike], pieces: Sequence[AskedPiece]) -> dict[str, Any]:
    """The same shares over all candidates, so that what ranking adds can be seen."""
    every = [(score, p.asked) for p in pieces for score in p.piece.candidates]
    clips = Clips.of([score for score, _ in every], [asked for _, asked in every])
    cards = {name: asdict(rate(judge.predict_proba(clips.source), clips)) for name, judge in judges.items()}
    return {name: {"n": len(clips), "accuracy": round(card["accuracy"], 4)} for name, card in cards.items()}


def _grid(judges: Mapping[str, JudgeLike], pieces: Sequence[AskedPiece]) -> dict[str, Any]:
    asked = np.array([p.asked for p in pieces])
    music = [p.piece.score for p in pieces]
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


def _controls(pieces: Sequence[AskedPiece]) -> list[dict[str, Any]]:
    """Rank correlation of asked with measured over all candidates, so that no ranking flatters it."""
    names = list(dict.fromkeys(name for p in pieces for name in p.piece.target))
    every = [(p.piece.target, measured) for p in pieces for measured in p.piece.measured]
    asked = np.array([[target.get(name, np.nan) for name in names] for target, _ in every])
    measured = np.array([[got.get(name, np.nan) for name in names] for _, got in every])
    return control_correlations(asked.reshape(len(every), -1), measured.reshape(len(every), -1), names)


def _controls_alone(composer: Composer, steps: Steps) -> list[dict[str, Any]]:
    """The same with one control asked for at a time and everything else open: what each lever does by itself.

    Asked are the values below which 1, 3, 4, 5 and 7 eighths of the generator's corpus lie.
    """
    rows = []
    for name, edges in zip(SONG_CONTROLS, composer.controls.song, strict=True):
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
        text = "pieces that are what was asked for in bars, meter, instruments, silence and end"
        goals.append((text, round(g["n_faultless"] / g["n"], 4), 1.0))
        if g["n_repeated"]:
            goals.append(("same seed, same file", round(g["n_same_file"] / g["n_repeated"], 4), 1.0))
    return [{"goal": text, "value": value, "needed": need, "met": bool(value >= need)} for text, value, need in goals]
