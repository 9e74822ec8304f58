"""Pictures: a piano roll, asked against measured, the plane of emotions, emotion over time, signed numbers as bars.

Conventions
-----------
bar
    Counted from 1 in pictures, as musicians do.
pitch
    MIDI number, 60 = C4 (middle C); lines are drawn at every C.
velocity
    1..127, shown as strength of color: the louder, the darker.
instrument
    One color each, in the order of first use; drums are gray. One that was asked for and does not play is marked.
picture
    PNG or SVG, the same bytes for the same score or the same numbers.

matplotlib is loaded by the functions that need it, and its global state is left alone.

Contents: :func:`piano_roll`, :func:`asked_against_measured`, :func:`emotion_plane`, :func:`emotion_curves`,
:func:`signed_bars`.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from muse.errors import InputError
from muse.files import write_bytes
from muse.mapping import AttributeTarget
from muse.score import DRUMS, BarGrid, Notes, Score, bar_grid, mean_tempo_bpm, note_array
from muse.theory import TONIC_NAMES, estimate_key, instrument_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "PICTURE_SUFFIXES",
    "asked_against_measured",
    "emotion_curves",
    "emotion_plane",
    "piano_roll",
    "signed_bars",
]

PICTURE_SUFFIXES = (".png", ".svg")

# Strong, distinct hues that also differ in lightness, so that they survive color blindness (after Okabe & Ito 2008).
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7b3294", "#8c510a")
_DRUM_COLOR = "#777777"
_WIDTH_PER_BAR_INCH, _MIN_WIDTH_INCH, _MAX_WIDTH_INCH = 0.75, 7.0, 40.0
_DPI = 120
_EDGE = 1.5
"""Widths of a range: where measured values are cut off."""
_MARKERS = ("o", "*", "x", ".")
_MOST_BARS_WITH_BEATS = 32
"""Beyond it lines at beats only blur."""


def piano_roll(
    score: Score,
    path: str | Path | None = None,
    *,
    title: str | None = None,
    format: str = "png",
    asked: Sequence[int] = (),
    key: str | None = None,
    chords: Sequence[tuple[float, str]] = (),
) -> bytes:
    """Draw a score as a piano roll: bars to the right, pitch upwards, loudness as strength of color.

    Parameters
    ----------
    score
        Any score; one without notes gives an empty grid.
    path
        Where to write the picture, PNG or SVG by its ending; nothing is written when None.
    title
        First part of the heading; tempo, meter and key as found in the score follow it.
    format
        ``"png"`` or ``"svg"``, where there is no path to tell it.
    asked
        Programs that were asked for; the legend says of those without a note that they do not play.
    key
        Name of the key for the heading; the one found in the notes when None.
    chords
        (beat, name) of chords, written above the roll.

    Returns
    -------
    bytes
        The picture; the same score gives the same bytes.

    Raises
    ------
    InputError
        Another format is asked for, or the file cannot be written.
    """
    return _picture(lambda: _draw(score, title, asked, key, chords), path, format)


def signed_bars(
    labels: Sequence[str],
    columns: Mapping[str, Sequence[float]],
    path: str | Path | None = None,
    *,
    title: str | None = None,
    format: str = "png",
) -> bytes:
    """Draw signed numbers as bars to the left and right of zero, one row a label, one column of bars a heading.

    Parameters
    ----------
    labels
        Of the rows, the first on top.
    columns
        Heading -> number of each row. All columns share one scale.
    path, format
        As :func:`piano_roll` takes them.
    title
        Heading of the whole.

    Returns
    -------
    bytes
        The picture; the same numbers give the same bytes.

    Raises
    ------
    InputError
        Another format is asked for, or the file cannot be written.
    """
    return _picture(lambda: _draw_bars(labels, columns, title), path, format)


def asked_against_measured(
    target: AttributeTarget,
    measured: Mapping[str, float],
    path: str | Path | None = None,
    *,
    title: str | None = None,
    format: str = "png",
    n_most: int = 16,
) -> bytes:
    """Draw, for each attribute of a target, the range that was asked for and what was measured.

    Each row has its own scale, on which the range asked for is the shaded middle, so that attributes of different units
    stand side by side; values further off than that width are drawn at the edge, as an arrow. The numbers are
    in the attribute's unit.

    Parameters
    ----------
    target
        What was asked.
    measured
        Value by attribute name; NaN or absent where undefined.
    path, title, format
        As for :func:`piano_roll`.
    n_most
        Rows, the attributes of the greatest weight.

    Returns
    -------
    bytes
        The picture; the same numbers give the same bytes.

    Raises
    ------
    InputError
        Another format is asked for, or the file cannot be written.
    """
    return _picture(lambda: _draw_asked(target, measured, title, n_most), path, format)


def emotion_plane(
    points: Mapping[str, Sequence[tuple[float, float]]],
    path: str | Path | None = None,
    *,
    title: str | None = None,
    format: str = "png",
) -> bytes:
    """Draw emotions on the plane of valence (to the right) and arousal (upwards), Russell 1980.

    Parameters
    ----------
    points
        What the points are, for example ``asked``, ``heard``, ``candidates`` -> (valence, arousal), -1..1. The first
        kind is joined by a line where it has several points, as a path of emotions is.
    path, title, format
        As for :func:`piano_roll`.

    Returns
    -------
    bytes
        The picture; the same points give the same bytes.

    Raises
    ------
    InputError
        Another format is asked for, or the file cannot be written.
    """
    return _picture(lambda: _draw_plane(points, title), path, format)


def emotion_curves(
    time_sec: NDArray[np.floating],
    curve: NDArray[np.floating],
    spread: NDArray[np.floating],
    path: str | Path | None = None,
    *,
    title: str | None = None,
    format: str = "png",
) -> bytes:
    """Draw valence and arousal over time, with a band of one standard deviation.

    Parameters
    ----------
    time_sec
        Seconds, [T].
    curve, spread
        Valence and arousal, and their standard deviations, [T, 2].
    path, title, format
        As for :func:`piano_roll`.

    Returns
    -------
    bytes
        The picture; the same numbers give the same bytes.

    Raises
    ------
    InputError
        Another format is asked for, or the file cannot be written.
    """

    def draw() -> Figure:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9, 3.5), layout="constrained")
        axes = figure.add_subplot()
        for i, name in enumerate(("valence", "arousal")):
            axes.plot(time_sec, curve[:, i], color=_COLORS[i], label=name)
            low, high = curve[:, i] - spread[:, i], curve[:, i] + spread[:, i]
            axes.fill_between(time_sec, low, high, color=_COLORS[i], alpha=0.15, linewidth=0)
        axes.axhline(0, color="0.6", linewidth=0.8)
        axes.set(xlabel="seconds", ylim=(-1, 1))
        axes.set_title(title or "emotion over time", parse_math=False)
        axes.legend(loc="upper right", frameon=False)
        return figure

    return _picture(draw, path, format)


def _picture(draw: Callable[[], Figure], path: str | Path | None, format: str) -> bytes:
    """A figure as PNG or SVG, by the ending of the path where there is one; written if there is."""
    suffix = Path(path).suffix.lower() if path is not None else f".{format}"
    if suffix not in PICTURE_SUFFIXES:
        raise InputError(f"{path or format}: a picture is {' or '.join(PICTURE_SUFFIXES)}, not {suffix!r}")
    from matplotlib import rc_context

    buffer = io.BytesIO()
    # A fixed salt and no date make the bytes a function of what is drawn alone; text stays text in SVG.
    with rc_context({"svg.hashsalt": "muse", "svg.fonttype": "none"}):
        metadata = {"Date": None} if suffix == ".svg" else {"Software": None}
        draw().savefig(buffer, format=suffix[1:], dpi=_DPI, metadata=metadata)
    data = buffer.getvalue()
    if path is not None:
        write_bytes(Path(path), data)
    return data


def _draw_asked(target: AttributeTarget, measured: Mapping[str, float], title: str | None, n_most: int) -> Figure:
    from matplotlib.figure import Figure

    rows = sorted(range(len(target)), key=lambda i: -target.weight[i])[:n_most]
    figure = Figure(figsize=(8.0, 1.2 + 0.3 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    axes.axvspan(-0.5, 0.5, color="#d9e8f5", linewidth=0, label="asked for")
    for place, i in enumerate(rows):
        got = measured.get(target.names[i], math.nan)
        width = target.high[i] - target.low[i]
        text = f"{target.low[i]:.3g} – {target.high[i]:.3g}; measured "
        if math.isfinite(got):
            middle = (target.low[i] + target.high[i]) / 2
            off = (got - middle) / width if width > 0 else (0.0 if got == middle else math.copysign(2.0, got - middle))
            inside = target.low[i] <= got <= target.high[i]
            marker = "o" if abs(off) <= _EDGE else (">" if off > 0 else "<")
            at = float(np.clip(off, -_EDGE, _EDGE))
            axes.plot([at], [place], marker, color=_COLORS[2] if inside else _COLORS[1], markersize=7)
            text += f"{got:.3g}"
        else:
            text += "undefined"
        axes.annotate(text, (_EDGE + 0.1, place), va="center", fontsize="x-small", parse_math=False)
    axes.set_xlim(-_EDGE - 0.05, _EDGE + 1.2)
    axes.set_ylim(max(len(rows), 1) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [target.names[i] for i in rows], fontsize="small", parse_math=False)
    axes.set_xticks([-1.0, 0.0, 1.0], ["less", "as asked for", "more"], fontsize="small")
    axes.tick_params(length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_title(title or "asked against measured", fontsize="medium", loc="left", parse_math=False)
    return figure


def _draw_plane(points: Mapping[str, Sequence[tuple[float, float]]], title: str | None) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 5.2), layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(0, color="#bbbbbb", linewidth=0.8)
    axes.axvline(0, color="#bbbbbb", linewidth=0.8)
    for word, side, height in (("Q1 happy", 1, 1), ("Q2 angry", -1, 1), ("Q3 sad", -1, -1), ("Q4 calm", 1, -1)):
        axes.annotate(
            word, (0.97 * side, 0.95 * height), color="#999999", fontsize="small", va="center",
            ha="right" if side > 0 else "left",
        )  # fmt: skip
    for i, (kind, places) in enumerate(points.items()):
        joined = i == 0 and len(places) > 1
        axes.plot(
            [valence for valence, _ in places], [arousal for _, arousal in places], _MARKERS[i % len(_MARKERS)],
            color=_COLORS[i % len(_COLORS)], linestyle="-" if joined else "none", markersize=9 if i < 2 else 6,
            markerfacecolor="none" if i == 0 else None, markeredgewidth=2 if i == 0 else 1, label=kind,
        )  # fmt: skip
    axes.set(xlim=(-1, 1), ylim=(-1, 1), xlabel="valence", ylabel="arousal", aspect="equal")
    axes.set_title(title or "emotion", fontsize="medium", loc="left", parse_math=False)
    if points:
        figure.legend(loc="outside lower right", fontsize="small", frameon=False, ncols=min(4, len(points)))
    return figure


def _draw_bars(labels: Sequence[str], columns: Mapping[str, Sequence[float]], title: str | None) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.0 + 3.0 * len(columns), 1.4 + 0.28 * len(labels)), layout="constrained")
    places = np.arange(len(labels))
    reach = 1.3 * max((abs(value) for values in columns.values() for value in values), default=1.0) or 1.0
    for i, (heading, values) in enumerate(columns.items()):
        axes = figure.add_subplot(1, len(columns), i + 1)
        colors = [_COLORS[0] if value >= 0 else _COLORS[1] for value in values]
        axes.barh(places, values, color=colors, height=0.7)
        for place, value in zip(places, values, strict=True):
            axes.annotate(
                f"{value:+.2f}", (value, place), (3 if value >= 0 else -3, 0), textcoords="offset points",
                ha="left" if value >= 0 else "right", va="center", fontsize="x-small", parse_math=False,
            )  # fmt: skip
        axes.axvline(0, color="#444444", linewidth=0.8)
        axes.set_xlim(-reach, reach)
        axes.set_ylim(max(len(labels), 1) - 0.5, -0.5)
        axes.set_yticks(places, labels if i == 0 else [""] * len(labels), fontsize="small", parse_math=False)
        axes.set_title(heading, fontsize="small", parse_math=False)
        axes.tick_params(axis="y", length=0)
        axes.tick_params(axis="x", labelsize="small")
        axes.grid(axis="x", color="#e0e0e0", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
    if title:
        figure.suptitle(title, fontsize="medium", parse_math=False)
    return figure


def _draw(
    score: Score, title: str | None, asked: Sequence[int], key: str | None, chords: Sequence[tuple[float, str]]
) -> Figure:
    from matplotlib.figure import Figure  # a bare Figure draws with Agg and touches no global state
    from matplotlib.patches import Patch

    notes, grid = note_array(score), bar_grid(score)
    n_bars = max(grid.n_bars, 1)
    width = float(np.clip(_WIDTH_PER_BAR_INCH * n_bars, _MIN_WIDTH_INCH, _MAX_WIDTH_INCH))
    figure = Figure(figsize=(width, 4.2), layout="constrained")
    axes = figure.add_subplot()

    programs = list(dict.fromkeys(int(program) for program in notes["program"]))
    tuned = [program for program in programs if program != DRUMS]
    color_of = {program: _COLORS[i % len(_COLORS)] for i, program in enumerate(tuned)} | {DRUMS: _DRUM_COLOR}
    if len(notes):
        _draw_notes(axes, notes, color_of)
    _label_axes(axes, notes, grid)
    handles = [Patch(color=color_of[program], label=instrument_name(program).title()) for program in programs]
    handles += [
        Patch(
            facecolor="none", edgecolor="#999999", hatch="////", label=f"{instrument_name(p).title()} (does not play)"
        )
        for p in dict.fromkeys(asked)
        if p not in programs
    ]
    if handles:
        figure.legend(
            handles=handles, loc="outside lower right", fontsize="small", frameon=False, ncols=min(6, len(handles))
        )
    for beat, name in chords:
        if grid.n_bars and grid.start_beat[0] <= beat < grid.start_beat[-1]:
            axes.annotate(
                name, (beat, 1), (1, 2), xycoords=("data", "axes fraction"), textcoords="offset points",
                fontsize="small", parse_math=False,
            )  # fmt: skip
    facts = _facts(score, key)
    axes.set_title(
        f"{title}   ·   {facts}" if title else facts, fontsize="medium", loc="left", parse_math=False,
        pad=18 if chords else None,
    )  # fmt: skip
    return figure


def _draw_notes(axes: Axes, notes: Notes, color_of: Mapping[int, str]) -> None:
    """A box for each note."""
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgb

    left, right = notes["onset_beat"], notes["onset_beat"] + notes["duration_beat"]
    low, high = notes["pitch"] - 0.45, notes["pitch"] + 0.45
    boxes = np.stack(
        [np.stack(corner, -1) for corner in ((left, low), (right, low), (right, high), (left, high))], axis=1
    )  # [n_notes, 4 corners, 2]
    hue = np.array([to_rgb(color_of[int(program)]) for program in notes["program"]])
    # Soft notes fade toward white but stay visible: 30 % of the hue at velocity 1, all of it at 127.
    strength = (0.3 + 0.7 * np.clip(notes["velocity"] / 127, 0, 1))[:, None]
    axes.add_collection(
        PolyCollection(list(boxes), facecolors=1 - strength * (1 - hue), edgecolors=hue * 0.7, linewidths=0.4)
    )


def _label_axes(axes: Axes, notes: Notes, grid: BarGrid) -> None:
    """Octaves upwards, bars to the right."""
    n_bars = max(grid.n_bars, 1)
    starts = grid.start_beat if grid.n_bars else np.array([0.0, 4.0])
    lowest, highest = (int(notes["pitch"].min()), int(notes["pitch"].max())) if len(notes) else (60, 72)
    bottom, top = min(lowest - 2, 12 * (lowest // 12)), max(highest + 3, lowest + 12)
    octaves = np.arange(12 * (bottom // 12), top + 1, 12)
    octaves = octaves[(octaves >= bottom) & (octaves <= top)]
    axes.set_yticks(octaves, [f"C{pitch // 12 - 1}" for pitch in octaves])
    axes.set_ylim(bottom, top)
    axes.set_ylabel("pitch")

    # At most some 32 bar numbers, at every bar, every second, every fourth ...
    step = 1 << max(0, int(np.ceil(np.log2(n_bars / 32))))
    labeled = np.arange(0, n_bars, step)
    axes.set_xticks(starts[labeled], [str(bar + 1) for bar in labeled], ha="left")
    axes.set_xticks(starts, minor=True)
    if n_bars <= _MOST_BARS_WITH_BEATS:
        beats = np.setdiff1d(np.concatenate([_beats(grid, bar) for bar in range(grid.n_bars)] or [starts]), starts)
        axes.vlines(beats, bottom, top, colors="#eeeeee", linewidth=0.6, zorder=0)
    axes.set_xlim(starts[0], starts[-1])
    axes.set_xlabel("bar")
    axes.grid(axis="y", color="#cccccc", linewidth=0.8)
    axes.grid(axis="x", which="both", color="#e0e0e0", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _beats(grid: BarGrid, bar: int) -> NDArray[np.float64]:
    """Where the beats of a bar lie: quarters, or what its signature counts in."""
    return np.arange(grid.start_beat[bar], grid.start_beat[bar + 1] - 1e-6, 4 / int(grid.denominator[bar]))


def _facts(score: Score, key: str | None) -> str:
    """Tempo, meter and key in words: ``"96 BPM, 4/4, A minor"``."""
    facts = [f"{mean_tempo_bpm(score):.0f} BPM"]
    grid, notes = bar_grid(score), note_array(score)
    if grid.n_bars:
        facts.append(f"{grid.numerator[0]}/{grid.denominator[0]}")
    if key is not None:
        facts.append(key)
    elif found := estimate_key(notes):
        facts.append(f"{TONIC_NAMES[found.mode][found.tonic]} {found.mode}")
    return ", ".join(facts)
