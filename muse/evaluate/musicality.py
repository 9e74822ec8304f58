"""Would people take it for people's? Human-likeness, form, instruments, endings, loudness, harmony and tune.

People's own figure stands beside each: windows of POP909's held-out songs, which went through the same tokens and the
same performer (:mod:`muse.evaluate.systems.people`), EMOPIA's clips for loudness. Ablations pull one lever of the three
stages each.

In the documents None stands for what is undefined.

Contents: :class:`MusicSettings`, :func:`measure_music`, :func:`music_goals`.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from muse.composer.stages import Stages
from muse.dataset.lead_sheets import Sheet
from muse.evaluate.kept import Kept
from muse.evaluate.metrics.endings import Ending, find_ending
from muse.evaluate.metrics.ensemble import check_parts, check_tune
from muse.evaluate.metrics.form import bars_with_a_twin, section_return
from muse.evaluate.metrics.human_likeness import human_likeness
from muse.evaluate.metrics.lead_sheet import FIGURES, measure_lead_sheet
from muse.evaluate.metrics.loudness import FIGURES as LOUDNESS
from muse.evaluate.metrics.loudness import measure_loudness, people_loudness
from muse.evaluate.metrics.notes import groove_consistency, pitch_class_entropy, scale_consistency
from muse.evaluate.metrics.roll_test import network_test
from muse.evaluate.metrics.structure import SPANS_BARS, structureness
from muse.evaluate.progress import Steps
from muse.evaluate.samples import LONG_BARS, People, Sample
from muse.evaluate.systems.ablations import N_ABLATIONS, Ablation, ablations
from muse.evaluate.systems.maker import Maker
from muse.files import write_text
from muse.intent import Intent
from muse.score import bar_grid
from muse.statistics import mean_of_defined, mean_with_interval

__all__ = ["MusicSettings", "measure_music", "music_goals"]

_Compose: TypeAlias = Callable[[str, Intent, int, Maker], Sample]
"""System, request, seed and maker to a piece."""

RETURNS = 0.5
"""Share of a section's bars that return from which it counts as returning."""
PLAYS = 0.8
"""Share of the bars in which an instrument that was asked for shall play."""
N_TOLD_BY = 20
"""Figures that the report names, most telling first."""
N_DRAWS = 500
"""Of the bootstrap of means over pieces."""
STEPS_OF_PEOPLE = 20
"""Steps of progress that reading people's songs counts for."""


@dataclass(frozen=True)
class MusicSettings:
    """How much music is composed for it; seeds are 0, 1, ..."""

    n_pieces: int = 16
    """Pieces per quadrant, piano, default settings."""
    bars: int = 16
    """Of each of them."""
    n_long: int = 16
    """Pieces of 64 bars."""
    n_requests: int = 30
    """Of the rows of ``requests.csv``: instruments from duo to orchestra."""
    n_seeds: int = 3
    """Pieces for each of these."""
    n_ablation: int = 64
    """Pieces of each ablation; 0 leaves them out."""
    n_pictures: int = 10
    """Piano rolls with chords in the report."""

    @classmethod
    def quick(cls) -> MusicSettings:
        """A few minutes: enough to see what is far off."""
        return cls(n_pieces=4, n_long=4, n_requests=10, n_seeds=1, n_ablation=16, n_pictures=4)

    @property
    def n_steps(self) -> int:
        """Steps of progress."""
        pieces = 4 * self.n_pieces + self.n_long + self.n_requests * self.n_seeds
        return pieces + N_ABLATIONS * self.n_ablation + STEPS_OF_PEOPLE


def measure_music(
    maker: Maker,
    stages: Stages | None,
    sheets: Mapping[str, list[Sheet]],
    out: str | Path,
    settings: MusicSettings | None = None,
    *,
    baseline: Stages | None = None,
    unchosen: Maker | None = None,
    pieces: Kept | None = None,
    kept: Kept | None = None,
    steps: Steps | None = None,
) -> dict[str, Any]:
    """Measure how far a maker's music is from people's.

    Parameters
    ----------
    maker
        Answers requests; see :mod:`muse.evaluate.systems.maker`.
    stages
        For the ablations; None leaves them out.
    sheets
        What :func:`muse.evaluate.systems.people.read_pop909` read.
    out
        Folder of the report; pictures go to ``evaluation/rolls``.
    settings
        Numbers of pieces.
    baseline
        Stages without networks, which stand among the ablations.
    unchosen
        Writes the long pieces and those for many instruments: one candidate, so that no choice among several hides a
        bad one; the maker itself when None.
    pieces
        Keeps what was made; see :func:`muse.evaluate.systems.maker.fingerprint` for what it is of.
    kept
        What an earlier run has measured.
    steps
        Counts what is done.

    Returns
    -------
    dict
        A part of the report's document.

    Raises
    ------
    InputError
        Too few songs are held out.
    """
    settings, steps, kept, pieces = settings or MusicSettings(), steps or Steps(), kept or Kept(), pieces or Kept()
    people = People.of(sheets, settings.bars)
    steps.tick(STEPS_OF_PEOPLE)

    def compose(system: str, intent: Intent, seed: int, make: Maker) -> Sample:
        request = hashlib.sha256(f"{seed} {intent.to_json()}".encode()).hexdigest()[:16]
        made = pieces.piece(f"{system}/{request}", partial(make, intent, seed))
        steps.tick()
        quadrant = int(intent.emotion.emotions[0].quadrant[1]) if intent.emotion is not None else 0
        return Sample(made.score, made.plan, f"{system}/{seed}", intent.bars, quadrant)

    order = itertools.product(range(settings.n_pieces), (1, 2, 3, 4))
    quadrants = [compose("quadrants", Intent(emotion=f"Q{q}", bars=settings.bars), seed, maker) for seed, q in order]
    plain, n_long = unchosen or maker, settings.n_long
    long = [compose("long", Intent(emotion=f"Q{1 + i % 4}", bars=LONG_BARS), i, plain) for i in range(n_long)]
    document: dict[str, Any] = {
        "settings": asdict(settings) | {"long_bars": LONG_BARS, "n_people": len(people.windows)},
        "human_likeness": kept.section("human-likeness", lambda: _human_likeness(people, quadrants)),
        "form": kept.section("form", lambda: _form(people, quadrants, long)),
        "figures": _figures(people, quadrants),
        "endings": _endings(people, quadrants),
        "loudness": _loudness(quadrants),
        "instruments": _instruments(settings, lambda intent, seed: compose("instruments", intent, seed, plain)),
        "pictures": _pictures(quadrants, settings.n_pictures, Path(out)),
    }
    if stages is not None and settings.n_ablation:
        windows = _evenly(people.windows, settings.n_ablation)
        levers = ablations(stages, [window.plan for window in windows], sheets["train"], baseline)
        document["human_likeness"]["systems"] += _ablations(people, windows, levers, settings.bars, compose, kept)
    return document


# ----------------------------------------------------------------------------------------------------- human-likeness


def _human_likeness(people: People, pieces: list[Sample]) -> dict[str, Any]:
    """People against themselves, the pieces, their plans; and what tells the pieces most."""
    songs = sorted({one.song for one in people.windows})
    halves = [[one for one in people.windows if songs.index(one.song) % 2 == k] for k in (0, 1)]
    rows = [_told("people, one half of the songs against the other", halves[0], halves[1])]
    row, table = _told_with_table("16 bars of piano, default settings", people.windows, pieces)
    rows.append(row)
    if plans := _plans(pieces):
        rows.append(_told("their plans alone, as tune and block chords", _plans(people.windows), plans))
    return {"systems": rows, "told_by": dict(list(table.items())[:N_TOLD_BY])}


def _plans(samples: list[Sample]) -> list[Sample]:
    return [plan for one in samples if (plan := one.as_plan())]


def _told(name: str, people: list[Sample], pieces: list[Sample]) -> dict[str, Any]:
    return _told_with_table(name, people, pieces)[0]


def _told_with_table(
    name: str, people: list[Sample], pieces: list[Sample]
) -> tuple[dict[str, Any], dict[str, tuple[float, float, float]]]:
    """A row of both two-sample tests, and the trees' table."""
    songs, groups = [one.song for one in people], [one.song for one in pieces]
    # Pieces on people's own plans go with their songs into a fold, others stand alone.
    told_by = [[one.figures for one in side] for side in (people, pieces)]
    trees = human_likeness(told_by[0], songs, told_by[1], groups=groups)
    steps = people[0].roll.shape[1]
    rolls = [[one.roll for one in side if one.roll.shape[1] == steps] for side in (people, pieces)]
    network = None
    if len(rolls[0]) == len(people) and len(rolls[1]) == len(pieces):
        network = network_test(rolls[0], songs, rolls[1], groups=groups)
    row = {"name": name, "n": len(pieces), "auc": trees.auc, "taken_for_people": trees.taken_for_people}
    return row | {"inside": trees.inside, "network_auc": network}, trees.table


def _ablations(
    people: People,
    windows: list[Sample],
    levers: Sequence[Ablation],
    bars: int,
    compose: _Compose,
    kept: Kept,
) -> list[dict[str, Any]]:
    """The stages with one lever pulled in each row, as many pieces as windows."""
    rows = []
    for number, one in enumerate(levers):
        made = [compose(f"ablation-{number}", Intent(bars=bars), i, one.maker) for i in range(len(windows))]
        if one.on_their_plans:
            made = [replace(piece, song=window.song) for piece, window in zip(made, windows, strict=True)]
        rows.append(kept.section(f"ablation-{number}", partial(_told, one.name, people.windows, made)))
        if one.plans_too:
            plans = partial(_told, f"{one.name}: plans alone", _plans(people.windows), _plans(made))
            rows.append(kept.section(f"ablation-{number}-plans", plans))
    return rows


def _evenly(samples: list[Sample], n: int) -> list[Sample]:
    return [samples[i] for i in np.unique(np.linspace(0, len(samples) - 1, min(n, len(samples))).astype(int))]


# ---------------------------------------------------------------------------------------- beside people's middle half


def _beside(theirs: Sequence[float], ours: Sequence[float]) -> dict[str, Any]:
    """The mean of pieces beside people's mean and middle half, and the share of pieces inside that half."""
    people, pieces = (np.array(values, float) for values in (theirs, ours))
    people, pieces = people[np.isfinite(people)], pieces[np.isfinite(pieces)]
    low, high = np.quantile(people, [0.25, 0.75]) if len(people) else (np.nan, np.nan)
    mean, interval = mean_with_interval(pieces, n_draws=N_DRAWS)
    return {
        "people": float(people.mean()) if len(people) else None,
        "middle_half": [float(low), float(high)],
        "mean": mean,
        "interval": list(interval),
        "inside": float(((pieces >= low) & (pieces <= high)).mean()) if len(pieces) else None,
        "met": bool(low <= mean <= high),
    }


def _form(people: People, pieces: list[Sample], long: list[Sample]) -> dict[str, Any]:
    """Bars that return and structureness, for short and long pieces; sections that return in long ones."""
    found: dict[str, Any] = {}
    for name, theirs, ours in (("short", people.windows, pieces), ("long", people.long, long)):
        if not theirs or not ours:
            continue
        table = [[_form_figures(one) for one in side] for side in (theirs, ours)]
        found[name] = {figure: _beside(*([row[figure] for row in side] for side in table)) for figure in table[0][0]}
    if people.long and long:
        rates = [
            float(np.mean([section_return(one.notes, one.bar_beats, one.n_bars) >= RETURNS for one in side]))
            for side in (people.long, long)
        ]
        found["sections_return"] = {
            "people": rates[0],
            "pieces": rates[1],
            "n": len(long),
            "n_people": len(people.long),
        }
    return found


def _form_figures(one: Sample) -> dict[str, float]:
    bars = bar_grid(one.score)
    return {"bars with a twin": bars_with_a_twin(one.notes, one.bar_beats, one.n_bars)} | {
        f"structureness, {least} to {most} bars" if most else f"structureness, {least} bars or more": structureness(
            one.notes, bars, least, most
        )
        for least, most in SPANS_BARS.values()
    }


def _figures(people: People, pieces: list[Sample]) -> dict[str, Any]:
    """Harmony, tune and groove; those of plans only where there are plans."""
    table = [[_plain_figures(one) for one in side] for side in (people.windows, pieces)]
    names = [name for name in table[0][0] if any(name in row for row in table[1])]
    return {name: _beside(*([row.get(name, np.nan) for row in side] for side in table)) for name in names}


def _plain_figures(one: Sample) -> dict[str, float]:
    bars = bar_grid(one.score)
    found = {
        "entropy of pitch classes (bits)": pitch_class_entropy(one.notes, bars),
        "share of notes in the best scale": scale_consistency(one.notes, bars),
        "grooving similarity of neighbouring bars": groove_consistency(one.notes, bars),
    }
    if one.plan is not None:
        measured = measure_lead_sheet(one.plan)
        found |= {meaning: measured[name] for name, meaning in FIGURES.items()}
    return found


def _endings(people: People, pieces: list[Sample]) -> dict[str, Any]:
    """Last chords beside those of people's songs, at their true ends."""
    theirs, ours = (
        [end for one in side if (end := find_ending(one.notes, one.bar_beats, one.tonic))]
        for side in (people.ends, pieces)
    )
    notes = _upper([float(end.n_notes) for end in theirs], [float(end.n_notes) for end in ours])
    height = _upper([end.height for end in theirs], [end.height for end in ours])

    def is_near(end: Ending) -> bool:
        return end.n_notes <= notes["people"] + 1 and end.height <= height["people"] + 3

    return {
        "n_people": len(theirs),
        "notes": notes,
        "height": height,
        "near": float(np.mean([is_near(end) for end in ours])),
        "people_near": float(np.mean([is_near(end) for end in theirs])),
        "on_tonic": float(np.mean([end.on_tonic for end in ours])),
        "people_on_tonic": float(np.mean([end.on_tonic for end in theirs])),
    }


def _upper(theirs: Sequence[float], ours: Sequence[float]) -> dict[str, float]:
    """Upper quartiles, and the highest of the pieces."""
    return {
        "people": float(np.nanquantile(theirs, 0.75)),
        "pieces": float(np.nanquantile(ours, 0.75)),
        "most": float(np.nanmax(ours)),
    }


def _loudness(pieces: list[Sample]) -> list[dict[str, Any]]:
    """Mean and spread of velocity by quadrant, beside the middle half of people's clips."""
    rows = []
    for quadrant in (1, 2, 3, 4):
        measured = [measure_loudness(one.notes) for one in pieces if one.quadrant == quadrant]
        for figure in LOUDNESS:
            low, middle, high = people_loudness(quadrant, figure)
            mean = float(np.mean([row[figure] for row in measured])) if measured else float("nan")
            rows.append(
                {
                    "quadrant": f"Q{quadrant}", "figure": figure, "people": middle, "middle_half": [low, high],
                    "mean": mean, "met": bool(low <= mean <= high),
                }
            )  # fmt: skip
    return rows


# -------------------------------------------------------------------------------------------------------- instruments


def _requests(n: int) -> Iterator[tuple[str, Intent]]:
    """Name and request of rows of ``requests.csv``, spread over the table."""
    text = (files("muse.evaluate") / "requests.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    for i in np.unique(np.linspace(0, len(rows) - 1, min(n, len(rows))).astype(int)):
        row = rows[i]
        yield row["name"], Intent(emotion=f"Q{row['quadrant']}", instruments=row["instruments"])


def _instruments(settings: MusicSettings, compose: Callable[[Intent, int], Sample]) -> dict[str, Any]:
    """Whether everyone plays, in range, what can be played, and the tune is heard."""
    rows, parts_seen, tunes = [], [], []
    for name, intent in _requests(settings.n_requests):
        pieces = [compose(intent, seed) for seed in range(settings.n_seeds)]
        parts = [part for one in pieces for part in check_parts(one.notes, intent.players, one.bar_beats, intent.bars)]
        heard = [check_tune(one.notes, one.plan).heard for one in pieces if one.plan is not None]
        parts_seen += parts
        tunes += heard
        rows.append(
            {
                "name": name, "instruments": list(intent.instruments),
                "least_bar_rate": min(part.bar_rate for part in parts),
                "n_out_of_range": sum(part.n_out_of_range for part in parts),
                "n_too_many": sum(part.n_too_many for part in parts),
                "tune_heard": float(np.mean(heard)) if heard else None,
            }
        )  # fmt: skip
    return {
        "requests": rows,
        "n_instruments": len(parts_seen),
        "play": float(np.mean([part.bar_rate >= PLAYS for part in parts_seen])),
        "mean_bar_rate": float(np.mean([part.bar_rate for part in parts_seen])),
        "n_notes": sum(part.n_notes for part in parts_seen),
        "n_out_of_range": sum(part.n_out_of_range for part in parts_seen),
        "n_too_many": sum(part.n_too_many for part in parts_seen),
        "unison": mean_of_defined(np.array([part.unison for part in parts_seen])),
        "tune_heard": float(np.mean(tunes)) if tunes else None,
    }


# ----------------------------------------------------------------------------------------------------------- pictures


def _pictures(pieces: list[Sample], n: int, out: Path) -> list[dict[str, str]]:
    """Piano rolls with the plan's chords, round the quadrants; lead sheets as text beside them."""
    from muse.render import piano_roll

    folder = out / "evaluation" / "rolls"
    rows = []
    for number, one in enumerate(pieces[:n], 1):
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{number:02d}-Q{one.quadrant}"
        chords = []
        if one.plan is not None:
            chords = [
                (b * one.bar_beats + chord.position / 4, chord.symbol)
                for b, bar in enumerate(one.plan.bars)
                for chord in bar.chords
            ]
            write_text(folder / f"{name}.txt", f"{one.plan}\n")
        piano_roll(one.score, folder / f"{name}.png", title=f"Q{one.quadrant}", chords=chords)
        rows.append({"name": name, "chords": str(one.plan) if one.plan is not None else ""})
    return rows


# -------------------------------------------------------------------------------------------------------------- goals


def music_goals(music: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What was to be reached, beside what is: rows of ``goal``, ``needed``, ``value``, ``met``."""
    rows: list[dict[str, Any]] = []

    def row(goal: str, needed: str, value: float | None, met: bool) -> None:
        rows.append({"goal": goal, "needed": needed, "value": value, "met": met})

    def at_most(goal: str, value: float, most: float) -> None:
        row(goal, f"at most {most:.2f}", value, value <= most)

    def at_least(goal: str, value: float, least: float) -> None:
        row(goal, f"at least {least:.2f}", value, value >= least)

    _, piano, *others = music["human_likeness"]["systems"]
    at_most("pieces told from people's by trees (AUC)", piano["auc"], 0.85)
    at_least("pieces taken for people's by trees", piano["taken_for_people"], 0.20)
    for plans in (one for one in others[:1] if one["name"].startswith("their plans")):
        at_most("plans alone told from people's by trees (AUC)", plans["auc"], 0.80)
    for length, table in (("short", music["form"].get("short", {})), ("long", music["form"].get("long", {}))):
        for name, one in table.items():
            low, high = one["middle_half"]
            row(f"{name} ({length} pieces)", f"{low:.2f} to {high:.2f}", one["mean"], one["met"])
    if "sections_return" in music["form"]:
        at_least("long pieces with a section that returns", music["form"]["sections_return"]["pieces"], 1.0)
    band = music["instruments"]
    at_least(f"instruments that play in {PLAYS:.0%} of the bars", band["play"], 1.0)
    at_most("notes out of range", band["n_out_of_range"], 0)
    at_most("notes more than can be played at once", band["n_too_many"], 0)
    if band["tune_heard"] is not None:
        at_least("pieces whose tune is on top or an instrument's own", band["tune_heard"], 1.0)
    end = music["endings"]
    at_most("notes of the last chord, upper quartile", end["notes"]["pieces"], end["notes"]["people"] + 1)
    at_most(
        "height of the last chord (semitones), upper quartile", end["height"]["pieces"], end["height"]["people"] + 3
    )
    at_least("pieces whose last bar is the tonic", end["on_tonic"], 0.90)
    for one in music["loudness"]:
        low, high = one["middle_half"]
        row(f"loudness of {one['quadrant']}, {one['figure']}", f"{low:.0f} to {high:.0f}", one["mean"], one["met"])
    return rows
