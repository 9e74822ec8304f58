"""The report of the emotion mapping: ``README.md`` and plots beside the tables.

The text is ``report.md.j2`` beside this file, with the figures of ``mapping_report.json`` and rows of the mapper.

Contents: :func:`write_report`, :func:`page`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from muse.attributes import LEVERS, attribute
from muse.emotion import QUADRANTS, Emotion
from muse.files import write_text
from muse.mapping import EmotionMapper
from muse.mapping.explain import QUADRANT_WORDS
from muse.mapping.levels import LEVEL_GRID
from muse.pages import render
from muse.training.mapping.data import Labelled

__all__ = ["page", "write_report"]

Floats = NDArray[np.float64]

COLORS = {"Q1": "#d98c00", "Q2": "#c02929", "Q3": "#2b5fb3", "Q4": "#2c8f4e"}


def write_report(mapper: EmotionMapper, data: Labelled, music: Floats, report: Mapping[str, Any], folder: Path) -> None:
    """Write ``README.md``, ``distributions.png``, ``plane.png`` and ``importance.png`` into `folder`."""
    write_text(folder / "README.md", page(mapper, report))
    import matplotlib as mpl

    with mpl.rc_context({"backend": "agg", "font.size": 8, "axes.spines.top": False, "axes.spines.right": False}):
        _plot_distributions(mapper, data, music, folder / "distributions.png")
        _plot_plane(mapper, folder / "plane.png")
        _plot_importance(mapper, folder / "importance.png")


def page(mapper: EmotionMapper, report: Mapping[str, Any]) -> str:
    """Markdown of the report.

    Parameters
    ----------
    mapper
        A fitted mapper.
    report
        What :func:`muse.training.mapping.figures.figures` gave of it.
    """
    of_mapper = {
        "words": QUADRANT_WORDS,
        "intensity_chosen": mapper.intensity,
        "attributes": _attribute_rows(mapper),
    }
    return render(Path(__file__).with_name("report.md.j2"), {**report, **of_mapper})


def _attribute_rows(mapper: EmotionMapper) -> list[dict[str, Any]]:
    """Per chosen attribute, the most important first: what is asked, the centers and the real windows by quadrant."""
    targets = [mapper.target(quadrant) for quadrant in QUADRANTS]
    centers = [mapper.target(quadrant, intensity=(1.0, 1.0)) for quadrant in QUADRANTS]
    prototypes = [mapper.prototypes_[mapper.classes_.tolist().index(quadrant)] for quadrant in QUADRANTS]
    rows = []
    for j in sorted(np.flatnonzero(mapper.chosen_), key=lambda j: -mapper.importances_[j]):
        name = _names(mapper)[j]
        real = [float(np.interp(levels[j], LEVEL_GRID, mapper.quantiles_[j])) for levels in prototypes]
        rows.append(
            {
                "name": name,
                "lever": name in LEVERS,
                "unit": attribute(name).unit,
                "matched_by": "rank" if name in set(mapper.rank_matched) else "value",
                "importance": mapper.importances_[j],
                "numbers": [*(target[name] for target in targets), *(center[name] for center in centers), *real],
            }
        )
    return rows


def _figure(rows: int, columns: int, width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


def _save(figure: Any, path: Path) -> None:
    # Without the writer's version in it, the same data gives the same bytes.
    figure.savefig(path, dpi=90, metadata={"Software": None})


def _names(mapper: EmotionMapper) -> list[str]:
    return list(mapper.attribute_names or ())


def _plot_distributions(mapper: EmotionMapper, data: Labelled, music: Floats, path: Path) -> None:
    """Per chosen attribute: labelled music, corpus, and the class centers on both."""
    chosen = np.flatnonzero(mapper.chosen_)
    figure, axes = _figure(-(-len(chosen) // 4), 4, 3.2, 2.1)
    clips = data[data.domain == "emopia"]
    pieces = data[data.domain == "vgmidi"]
    targets = {quadrant: mapper.target(quadrant) for quadrant in QUADRANTS}
    for ax, j in zip(axes.flat, chosen, strict=False):
        name = _names(mapper)[j]
        row = attribute(name)
        shown = [values[np.isfinite(values)] for values in (music[:, j], clips.raw[:, j], pieces.raw[:, j])]
        low = min(np.quantile(v, 0.01) for v in shown if len(v))
        high = max(np.quantile(v, 0.99) for v in shown if len(v))
        bins = np.linspace(low, high if high > low else low + 1, 36)
        ax.hist(shown[0], bins, density=True, color="0.8", label="corpus")
        ax.hist(shown[1], bins, density=True, histtype="step", color="0.2", label="EMOPIA")
        if len(shown[2]):
            ax.hist(shown[2], bins, density=True, histtype="step", color="0.2", linestyle=":", label="VGMIDI")
        top = ax.get_ylim()[1]
        for quadrant in QUADRANTS:
            own = clips.raw[clips.quadrant == quadrant, j]
            if name != "Mean Tempo":  # tracked, so it says nothing
                ax.plot(np.nanmedian(own), -0.05 * top, "^", color=COLORS[quadrant], markersize=5, clip_on=False)
            ax.axvline(
                targets[quadrant][name],
                color=COLORS[quadrant],
                linewidth=1.4,
                label=f"{quadrant} {QUADRANT_WORDS[quadrant]}",
            )
        rank = name in set(mapper.rank_matched)
        ax.set_title(f"{name}  ({'rank' if rank else 'value'})", fontsize=8)
        ax.set_xlabel(row.unit, labelpad=1)
        ax.set_yticks([])
        ax.set_xlim(bins[0], bins[-1])
    for ax in axes.flat[len(chosen) :]:
        ax.set_axis_off()
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=7, frameon=False)
    _save(figure, path)


def _plot_plane(mapper: EmotionMapper, path: Path) -> None:
    """Levers over the plane, in units of the attribute."""
    levers = [name for name in LEVERS if name in _names(mapper)]
    figure, axes = _figure(-(-len(levers) // 4), 4, 2.9, 2.6)
    ticks = np.linspace(-1, 1, 21)
    planes = [[mapper.target(Emotion(v, a)) for v in ticks] for a in ticks]
    for ax, name in zip(axes.flat, levers, strict=False):
        grid = np.array([[target[name] for target in row] for row in planes])
        image = ax.imshow(grid, origin="lower", extent=(-1.05, 1.05, -1.05, 1.05), cmap="viridis", aspect="equal")
        figure.colorbar(image, ax=ax, shrink=0.8)
        ax.axhline(0, color="w", linewidth=0.5)
        ax.axvline(0, color="w", linewidth=0.5)
        ax.set_title(f"{name} [{attribute(name).unit}]", fontsize=8)
        ax.set_xlabel("valence", labelpad=1)
        ax.set_ylabel("arousal", labelpad=1)
    for ax in axes.flat[len(levers) :]:
        ax.set_axis_off()
    _save(figure, path)


def _plot_importance(mapper: EmotionMapper, path: Path) -> None:
    names = _names(mapper)
    order = np.argsort(mapper.importances_)
    figure, axes = _figure(1, 1, 6.5, 0.19 * len(names) + 0.6)
    ax = axes[0, 0]
    colors = ["#2b5fb3" if names[j] in LEVERS else "#8fb3e0" if mapper.chosen_[j] else "0.8" for j in order]
    ax.barh([names[j] for j in order], mapper.importances_[order], color=colors)
    ax.set_xlabel("random-forest importance (dark: lever, light: chosen, gray: left out)")
    ax.margins(y=0.01)
    _save(figure, path)
