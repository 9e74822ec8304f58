"""Charts of an evaluation, as PNG files of 100 dots an inch.

Contents: :func:`draw_charts`, :func:`system_titles`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from muse.emotion import QUADRANTS
from muse.evaluate.metrics.music import METRICS
from muse.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["MOODS", "draw_charts", "system_titles"]

MOODS = ("Q1 happy", "Q2 angry", "Q3 sad", "Q4 calm")
_SYSTEMS = {
    "human": "people (held out)",
    "muse": "Muse",
    "one": "Muse, 1 candidate",
    "best": "Muse, best of {best_of}",
    "free": "no control",
    "emogen": "EmoGen's mapping",
    "ngram": "5-gram",
    "folder": "the folder",
}
_Draw: TypeAlias = "Callable[[dict[str, Any]], Figure]"


def system_titles(document: dict[str, Any]) -> list[str]:
    """What the systems of a document are called, in its order."""
    return [_SYSTEMS[name].format(**document["settings"]) for name in document["systems"]]


def draw_charts(document: dict[str, Any], folder: Path) -> None:
    """Write the charts of a document into a folder, made if absent."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    charts: dict[str, _Draw] = {"ranges": _ranges, "systems": _systems}
    if document["kind"] == "composer":
        charts |= {"confusion": _confusion, "plane": _plane, "variety": _variety}
    if "grid" in document:
        charts["grid"] = _grid
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in charts.items():
        figure = draw(document)
        FigureCanvasAgg(figure)
        with replacing(folder / f"{name}.png") as temporary:
            figure.savefig(temporary, dpi=100, metadata={"Software": None})


def _figure(width: float, height: float) -> Figure:
    """An empty figure, in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _ranges(document: dict[str, Any]) -> Figure:
    """How many pieces of each system are inside people's range, metric by metric."""
    titles, systems = system_titles(document), document["systems"].values()
    figure = _figure(8.6, 0.34 * len(METRICS) + 1.6)
    axes = figure.subplots()
    inside = np.array([[system["metrics"][m]["inside"] for system in systems] for m in METRICS], dtype=float)
    image = axes.imshow(inside, vmin=0, vmax=1, cmap="RdYlGn", aspect="auto")
    for (i, j), value in np.ndenumerate(inside):
        axes.text(j, i, "" if np.isnan(value) else f"{value:.2f}", ha="center", va="center", fontsize=7)
    axes.set_xticks(range(len(titles)), titles, rotation=30, ha="right", fontsize=8)
    axes.set_yticks(range(len(METRICS)), [metric.meaning for metric in METRICS.values()], fontsize=8)
    axes.set_title("share of pieces inside people's 5-95 % range", fontsize=10)
    figure.colorbar(image, ax=axes, shrink=0.6)
    return figure


def _systems(document: dict[str, Any]) -> Figure:
    """The longest copied runs and the Fréchet distances of all systems."""
    titles, systems = system_titles(document), document["systems"].values()
    figure = _figure(8.6, 3.2)
    left, right = figure.subplots(1, 2)
    place = np.arange(len(titles))
    runs = [system["originality"]["voices"]["notes"] for system in systems]
    median = np.array([run["median"] for run in runs], dtype=float)
    error = np.nan_to_num(np.abs(np.array([run["interval"] for run in runs], dtype=float).T - median))
    left.barh(place, median, xerr=error, capsize=3)
    left.set_yticks(place, titles, fontsize=8)
    left.invert_yaxis()
    left.set_title("longest run that stands in the corpus (notes)", fontsize=10)
    found = [system["frechet"]["features"] for system in systems]
    distance = np.array([one["distance"] for one in found], dtype=float)
    low, high = np.array([one["interval"] for one in found], dtype=float).T
    reach = np.nan_to_num(np.clip([distance - low, high - distance], 0, None))
    right.barh(place, distance, xerr=reach, capsize=3)
    right.set_yticks(place, [])
    right.invert_yaxis()
    right.set_title("Fréchet distance to people (judge's features)", fontsize=10)
    return figure


def _confusion(document: dict[str, Any]) -> Figure:
    """Counts of judged quadrants, generated and human."""
    figure = _figure(8.6, 3.8)
    tables = (
        ("generated: asked for", document["quadrants"]["primary"]["confusion"]),
        ("human validation clips: labelled", document["judges"]["primary"]["validation"]["confusion"]),
    )
    for axes, (title, table) in zip(figure.subplots(1, 2), tables, strict=True):
        share = np.array(table) / np.maximum(np.sum(table, axis=1, keepdims=True), 1)
        axes.imshow(share, vmin=0, vmax=1, cmap="Blues")
        for (i, j), value in np.ndenumerate(np.array(table)):
            axes.text(j, i, str(value), ha="center", va="center", color="white" if share[i, j] > 0.5 else "black")
        axes.set_xticks(range(4), MOODS, fontsize=8)
        axes.set_yticks(range(4), MOODS, fontsize=8)
        axes.set_xlabel("judged")
        axes.set_title(title, fontsize=10)
    return figure


def _plane(document: dict[str, Any]) -> Figure:
    """Judged valence and arousal of each piece and of each human clip."""
    figure = _figure(8.6, 4.2)
    clips, pieces = document["human_clips"], document["pieces"]
    sets = (
        ("generated", [p["judged"] for p in pieces], [1 + QUADRANTS.index(p["asked"]) for p in pieces]),
        ("human validation clips", clips["judged"], clips["quadrant"]),
    )
    for axes, (title, points, labels) in zip(figure.subplots(1, 2, sharex=True, sharey=True), sets, strict=True):
        va, quadrant = np.array(points), np.array(labels)
        for q, mood in enumerate(MOODS, 1):
            axes.scatter(va[quadrant == q, 0], va[quadrant == q, 1], s=18, alpha=0.75, label=mood)
        axes.axhline(0, color="gray", lw=0.6)
        axes.axvline(0, color="gray", lw=0.6)
        axes.set(xlim=(-1, 1), ylim=(-1, 1), xlabel="judged valence", ylabel="judged arousal")
        axes.set_title(title, fontsize=10)
        axes.legend(fontsize=7, loc="lower left")
    return figure


def _grid(document: dict[str, Any]) -> Figure:
    """Judged valence and arousal over the grid asked for."""
    asked = np.array(document["grid"]["asked"])
    va = np.array(document["grid"]["primary"]["judged"])
    side = len(np.unique(asked[:, 0]))
    edge = asked.max() * side / (side - 1)  # of the outer cells
    figure = _figure(8.6, 3.9)
    for k, axes in enumerate(figure.subplots(1, 2)):
        image = axes.imshow(
            va[:, k].reshape(side, side).T, origin="lower", cmap="RdBu_r", vmin=-1, vmax=1,
            extent=(-edge, edge, -edge, edge),
        )  # fmt: skip
        axes.set(xlabel="asked valence", ylabel="asked arousal")
        axes.set_title(f"judged {('valence', 'arousal')[k]}", fontsize=10)
        figure.colorbar(image, ax=axes, shrink=0.8)
    return figure


def _variety(document: dict[str, Any]) -> Figure:
    """Distinct 4-grams of each quadrant, generated and human."""
    figure = _figure(6.4, 3.4)
    axes = figure.subplots()
    rows = [document["variety"][q]["distinct_4grams"] for q in QUADRANTS]
    place = np.arange(4)
    axes.bar(place - 0.2, [row["generated"] for row in rows], 0.4, label="generated")
    human = np.array([row["human"] for row in rows])
    error = np.abs(np.array([row["human_range"] for row in rows]).T - human)
    axes.bar(place + 0.2, human, 0.4, yerr=error, capsize=3, label="human clips")
    axes.set_xticks(place, MOODS)
    axes.set_ylabel("distinct 4-grams / all")
    axes.legend(fontsize=8)
    return figure
