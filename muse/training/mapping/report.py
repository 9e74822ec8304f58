"""The report of the emotion mapping: ``README.md`` and plots beside the tables. Only :func:`write` is called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from muse.attributes.catalogue import attribute
from muse.emotion import QUADRANTS, Emotion
from muse.mapping.mapper import LEVERS, EmotionMapper

if TYPE_CHECKING:
    from muse.training.mapping.fit import Labelled

__all__ = ["write"]

Floats = NDArray[np.float64]

COLORS = {"Q1": "#d98c00", "Q2": "#c02929", "Q3": "#2b5fb3", "Q4": "#2c8f4e"}
WORDS = {"Q1": "happy", "Q2": "angry", "Q3": "sad", "Q4": "calm"}


def write(mapper: EmotionMapper, data: Labelled, music: Floats, report: Mapping[str, Any], folder: Path) -> None:
    """Write ``README.md``, ``distributions.png``, ``plane.png`` and ``importance.png`` into `folder`."""
    (folder / "README.md").write_text(_text(mapper, report), encoding="utf-8")
    import matplotlib as mpl

    with mpl.rc_context({"backend": "agg", "font.size": 8, "axes.spines.top": False, "axes.spines.right": False}):
        _plot_distributions(mapper, data, music, folder / "distributions.png")
        _plot_plane(mapper, folder / "plane.png")
        _plot_importance(mapper, folder / "importance.png")


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
                targets[quadrant][name], color=COLORS[quadrant], linewidth=1.4, label=f"{quadrant} {WORDS[quadrant]}"
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


# ---------------------------------------------------------------------------------------------------------- text


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [f"| {' | '.join(heads)} |", f"|{'|'.join(' --- ' for _ in heads)}|"]
    return "\n".join([*lines, *(f"| {' | '.join(str(cell) for cell in row)} |" for row in rows)])


def _text(mapper: EmotionMapper, report: Mapping[str, Any]) -> str:
    names = _names(mapper)
    by_importance = sorted(np.flatnonzero(mapper.chosen_), key=lambda j: -mapper.importances_[j])
    targets = {quadrant: mapper.target(quadrant) for quadrant in QUADRANTS}
    plain = {quadrant: mapper.target(quadrant, intensity=(1.0, 1.0)) for quadrant in QUADRANTS}
    prototypes = {
        str(k): [float(np.interp(z, _grid(), q)) for z, q in zip(mapper.prototypes_[i], mapper.quantiles_, strict=True)]
        for i, k in enumerate(mapper.classes_)
    }

    def attribute_row(j: int) -> list[object]:
        name = names[j]
        match = "rank" if name in set(mapper.rank_matched) else "value"
        return [
            f"**{name}**" if name in LEVERS else name,
            attribute(name).unit,
            match,
            f"{mapper.importances_[j]:.3f}",
            *(f"{targets[q][name]:.3g}" for q in QUADRANTS),
            *(f"{plain[q][name]:.3g}" for q in QUADRANTS),
            *(f"{prototypes[q][j]:.3g}" for q in QUADRANTS),
        ]

    heads = ["attribute", "unit", "matched by", "importance"]
    heads += [f"asked {q}" for q in QUADRANTS] + [f"center {q}" for q in QUADRANTS] + [f"real {q}" for q in QUADRANTS]
    recognition = _table(
        ["classifier", "4 quadrants", "arousal half", "valence half", "sad or calm"],
        (
            [name, *(f"{row[axis]:.3f}" for axis in ("quadrant", "arousal", "valence", "sad_or_calm"))]
            for name, row in report["recognition"].items()
        ),
    )
    forms = _table(
        ["domain", "linear", "bilinear", "kernel"],
        ([name, *(f"{row[f]:.3f}" for f in ("linear", "bilinear", "kernel"))] for name, row in report["forms"].items()),
    )
    intensity = _table(
        ["valence, arousal", "asked", "real", *(f"real {q} {WORDS[q]}" for q in QUADRANTS), "variety"],
        (
            [f"{row['valence']:g}, {row['arousal']:g}"]
            + [f"{row[c]:.2f}" for c in ("asked", "real", *(f"real {q}" for q in QUADRANTS), "variety")]
            for row in report["intensity"]
        ),
    )
    windows = report["windows"]
    vgmidi = report["vgmidi"]
    transfer = "VGMIDI was not given."
    if vgmidi:
        transfer = (
            f"Judged against rated on the {vgmidi['pieces']:.0f} pieces of VGMIDI, by a mapper that has seen EMOPIA "
            f"alone: valence r = {vgmidi['valence pearson']:.2f} (Spearman {vgmidi['valence spearman']:.2f}), "
            f"arousal r = {vgmidi['arousal pearson']:.2f} (Spearman {vgmidi['arousal spearman']:.2f})."
        )
    tempo = ", ".join(f"{quadrant} {value:g}" for quadrant, value in report["tracked_tempo_bpm"].items())
    important = ", ".join(f"{name} ({value:.4f})" for name, value in report["important"].items())
    licences = _table(
        ["data", "licence", "used for"],
        [
            ["EMOPIA 1.0, training clips", "CC BY-NC-SA 4.0", "centers, slopes, importances"],
            ["VGMIDI, labelled pieces", "none stated", "slopes, tempo"],
            ["MemoMusic", "none stated", "slopes, at half weight"],
            ["POP909", "MIT", "quantiles and correlation of the corpus"],
            ["Mutopia, files classed permissive", "public domain, CC BY", "quantiles and correlation of the corpus"],
        ],
    )
    files = _table(
        ["file", "content"],
        [
            ["`mapping.json`", "parameters, classes, reach"],
            [
                "`mapping.csv`",
                "a row per attribute: whether chosen, importance, continuous form (neutral level and slopes), class "
                "centers, the real vectors nearest to them (all in levels), quantiles of the corpus and of EMOPIA",
            ],
            ["`mapping_within.csv`", "covariance of levels within classes"],
            ["`mapping_corpus_correlation.csv`", "correlation of levels in the corpus"],
            ["`mapping_report.json`", "the figures of this page"],
        ],
    )
    return f"""# The fitted emotion mapping

Written by `muse train mapping`; how it works is told in `docs/mapping.md`. All figures are of this very fit.

{files}

Fitted on {", ".join(f"{count} windows of {name}" for name, count in windows.items())}.

## What is asked for

Values in each attribute's unit. *asked*: the target at the default intensity, {mapper.intensity[0]:g} times the class
center's way along valence and {mapper.intensity[1]:g} times along arousal; *center*: the class center itself; *real*:
the labelled window nearest to the center, on the corpus' scale. Levers in bold.

{_table(heads, (attribute_row(int(j)) for j in by_importance))}

![importance](importance.png)

Both domains, and the class centers on them (lines: what is asked of the corpus; triangles: medians of EMOPIA's classes
on EMOPIA's scale):

![distributions](distributions.png)

The levers over the plane of valence (right) and arousal (up):

![plane](plane.png)

## How well attributes tell emotion

EMOPIA's training clips, cross-validated by song (5 folds, 3 times; the whole catalogue once). *sad or calm*: share of
right answers where label and answer both are Q3 or Q4. For comparison, EmoGen reports .676 for a forest on all 1,495
values of jSymbolic and .624 with 39 of them, with clips of one song on both sides of the split.

{recognition}

The columns of the whole catalogue with the highest importance: {important}. The controls that carry the same
information stand for them.

{transfer}

## Continuous form

Share of the variance of levels explained on songs that were not seen. Music of one emotion varies far more than
emotions differ, so these are small by nature. EMOPIA has four points only, where bilinear and kernel are nearly one.

{forms}

The bilinear form is used: it is as good as the kernel everywhere, smooth, and monotone along both axes.

## Intensity

For each of 64 targets a quadrant, a forest fitted on EMOPIA judges the target itself (*asked*) and the window of the
corpus nearest to it (*real*). *variety*: mean distance of two such windows by that of two windows of the whole corpus.

{intensity}

Sad against calm is the weak contrast: at the class centers nearly all sad targets are taken for calm. What tells them
apart is mode and key clarity, then register, repeated notes, dissonance and variation of loudness; all of these move
with valence, hence its higher intensity.

## Tempo

Tempo is learnt from VGMIDI alone, where it is written. Medians of EMOPIA's *tracked* tempo hardly differ between the
quadrants ({tempo} BPM): a tracker cannot know which octave of the beat is meant.

## Licences

The tables hold statistics (means, slopes, quantiles, covariances) and four vectors of measurements; no music.

{licences}

Who needs a mapping without non-commercial labels can fit one on other data with the same command or with
`EmotionMapper.fit`; no network has to be trained again.
"""


def _grid() -> Floats:
    from muse.mapping.mapper import LEVEL_GRID

    return LEVEL_GRID
