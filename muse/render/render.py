"""Music made visible and audible: a piano roll and signed bars as pictures, MusicXML, and sound by a soundfont.

Conventions
-----------
bar
    Counted from 1 in pictures, as musicians do.
pitch
    MIDI number, 60 = C4 (middle C); lines are drawn at every C.
velocity
    1..127, shown as strength of color: the louder, the darker.
instrument
    One color each, in the order of first use; drums are gray.
picture
    PNG or SVG, the same bytes for the same score or the same numbers.

matplotlib and music21 are loaded by the functions that need them, and matplotlib's global state is left alone.

Contents: :func:`piano_roll`, :func:`signed_bars`, :func:`emotion_curves`, :func:`write_musicxml`, :func:`render_audio`.
"""

from __future__ import annotations

import importlib.util
import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from muse.errors import InputError
from muse.files import write_bytes
from muse.render.soundfont import SoundFont
from muse.score import DRUMS, Score, bar_grid, mean_tempo_bpm, note_array, write_score
from muse.theory import PITCH_CLASS_NAMES, estimate_key

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "PICTURE_SUFFIXES",
    "SHEET_SUFFIXES",
    "emotion_curves",
    "piano_roll",
    "render_audio",
    "signed_bars",
    "write_musicxml",
]

PICTURE_SUFFIXES = (".png", ".svg")
SHEET_SUFFIXES = (".musicxml", ".xml")

# Strong, distinct hues that also differ in lightness, so that they survive color blindness (after Okabe & Ito 2008).
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7b3294", "#8c510a")
_DRUM_COLOR = "#777777"
_WIDTH_PER_BAR_INCH, _MIN_WIDTH_INCH, _MAX_WIDTH_INCH = 0.75, 7.0, 40.0
_DPI = 120
SAMPLE_RATE = 44_100
"""Of rendered sound, samples a second."""


def piano_roll(score: Score, path: str | Path | None = None, *, title: str | None = None, format: str = "png") -> bytes:
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

    Returns
    -------
    bytes
        The picture; the same score gives the same bytes.

    Raises
    ------
    InputError
        Another format is asked for, or the file cannot be written.
    """
    return _picture(lambda: _draw(score, title), path, format)


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
        axes.set(xlabel="seconds", ylim=(-1, 1), title=title or "emotion over time")
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


def _draw(score: Score, title: str | None) -> Figure:
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgb
    from matplotlib.figure import Figure  # a bare Figure draws with Agg and touches no global state
    from matplotlib.patches import Patch

    notes, grid = note_array(score), bar_grid(score)
    n_bars = max(grid.n_bars, 1)
    starts = grid.start_beat if grid.n_bars else np.array([0.0, 4.0])
    width = float(np.clip(_WIDTH_PER_BAR_INCH * n_bars, _MIN_WIDTH_INCH, _MAX_WIDTH_INCH))
    figure = Figure(figsize=(width, 4.2), layout="constrained")
    axes = figure.add_subplot()

    programs = list(dict.fromkeys(int(program) for program in notes["program"]))
    tuned = [program for program in programs if program != DRUMS]
    color_of = {program: _COLORS[i % len(_COLORS)] for i, program in enumerate(tuned)} | {DRUMS: _DRUM_COLOR}
    if len(notes):
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
    axes.set_xlim(starts[0], starts[-1])
    axes.set_xlabel("bar")
    axes.grid(axis="y", color="#cccccc", linewidth=0.8)
    axes.grid(axis="x", which="both", color="#e0e0e0", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)

    if programs:
        handles = [Patch(color=color_of[program], label=_instrument(program)) for program in programs]
        figure.legend(
            handles=handles, loc="outside lower right", fontsize="small", frameon=False, ncols=min(6, len(programs))
        )
    facts = _facts(score)
    axes.set_title(f"{title}   ·   {facts}" if title else facts, fontsize="medium", loc="left")
    return figure


def _facts(score: Score) -> str:
    """Tempo, meter and key in words: ``"96 BPM, 4/4, A minor"``."""
    facts = [f"{mean_tempo_bpm(score):.0f} BPM"]
    grid, notes = bar_grid(score), note_array(score)
    if grid.n_bars:
        facts.append(f"{grid.numerator[0]}/{grid.denominator[0]}")
    if key := estimate_key(notes):
        facts.append(f"{PITCH_CLASS_NAMES[key.tonic]} {key.mode}")
    return ", ".join(facts)


def _instrument(program: int) -> str:
    """General MIDI name of a program."""
    from pretty_midi import program_to_instrument_name

    return "Drums" if program == DRUMS else str(program_to_instrument_name(program))


def write_musicxml(score: Score, path: str | Path, *, title: str | None = None) -> None:
    """Write a score as MusicXML, which notation programs open.

    Notes are put on sixteenths and triplets, the finest that notation keeps readable; tempo, meter and instruments are
    kept, and the estimated key becomes the key signature.

    Parameters
    ----------
    score
        Any score with notes.
    path
        Ends in .musicxml or .xml.
    title
        Heading of the sheet; the file name without ending when None.

    Raises
    ------
    InputError
        The ending is another one, the score has no notes, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in SHEET_SUFFIXES:
        raise InputError(f"{path}: a sheet is {' or '.join(SHEET_SUFFIXES)}, not {path.suffix!r}")
    notes = note_array(score)
    if not len(notes):
        raise InputError(f"{path}: a score without notes gives no sheet")
    from music21 import converter, key, metadata

    with tempfile.TemporaryDirectory() as folder:
        midi = Path(folder) / "score.mid"
        write_score(score, midi)
        sheet = converter.parse(midi, format="midi", quarterLengthDivisors=(4, 3), forceSource=True)
        sheet.metadata = metadata.Metadata(title=title or path.stem, composer="Muse")
        found = estimate_key(notes)
        for part in sheet.parts:
            for old in list(part.recurse().getElementsByClass(key.KeySignature)):
                part.remove(old, recurse=True)
            if found is not None:
                first = part.getElementsByClass("Measure").first() or part
                first.insert(0, key.Key(_TONICS[found.mode][found.tonic], found.mode))
        written = Path(sheet.write("musicxml", fp=Path(folder) / "sheet.musicxml"))
        write_bytes(path, written.read_bytes())


# The spelling with the fewer accidentals, as music21 writes it ("-" is flat).
_TONICS = {
    "major": ("C", "D-", "D", "E-", "E", "F", "F#", "G", "A-", "A", "B-", "B"),
    "minor": ("c", "c#", "d", "e-", "e", "f", "f#", "g", "g#", "a", "b-", "b"),
}


def render_audio(
    score: Score,
    path: str | Path | None = None,
    *,
    sample_rate: int = SAMPLE_RATE,
    soundfont: str | Path | None = None,
) -> NDArray[np.float32]:
    """Play a score by a soundfont.

    Parameters
    ----------
    score
        Any score.
    path
        Where to write the sound, see :data:`muse.audio.CODECS`; nothing is written when None.
    sample_rate
        Samples a second, hertz.
    soundfont
        An SF2 file; the small General MIDI one that comes with ``pretty_midi`` when None.

    Returns
    -------
    numpy.ndarray
        float32 [2, n], left and right, the loudest sample at 0.9 or below.

    Raises
    ------
    InputError
        There is no such soundfont, or the ending cannot be written.
    """
    if soundfont is None:
        package = importlib.util.find_spec("pretty_midi")
        assert package is not None and package.origin is not None  # a core dependency
        soundfont = Path(package.origin).parent / "TimGM6mb.sf2"
    samples = _soundfont(str(soundfont)).play(note_array(score), sample_rate)
    samples *= np.float32(min(1.0, 0.9 / max(float(np.abs(samples).max(initial=0.0)), 1e-9)))
    if path is not None:
        from muse.audio import write_audio

        write_audio(samples, sample_rate, path)
    return samples


@lru_cache(maxsize=4)
def _soundfont(path: str) -> SoundFont:
    return SoundFont(path)
