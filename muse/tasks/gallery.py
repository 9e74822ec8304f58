"""A folder of compositions as a page that needs nothing but a browser: players, piano rolls, sheet music.

Conventions
-----------
page
    ``index.html`` and a folder ``pieces/`` beside it with each piece as MIDI, MP3, PNG (roll) and SVG (sheet music).
    No script, no other host, relative addresses alone: it opens from a disk as well as from a server.
asked
    Stands in the MIDI files that Muse writes; other MIDI files are shown without it.

Contents: :func:`make_gallery`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from muse.errors import InputError, require
from muse.files import write_bytes, write_text
from muse.tasks.analyze import Analyzer, each_file

if TYPE_CHECKING:
    from muse.intent import Intent

__all__ = ["make_gallery"]

log = logging.getLogger(__name__)

MIDI_SUFFIXES: Final = (".mid", ".midi")
BIT_RATE: Final = 64_000
"""Of the sound, which has one channel: a piece of half a minute takes a quarter of a megabyte."""


def make_gallery(
    folder: str | Path,
    output: str | Path,
    *,
    title: str = "Gallery",
    soundfont: str | Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> list[dict[str, Any]]:
    """Make the page of a folder of MIDI files.

    Parameters
    ----------
    folder
        Where the pieces lie; folders within it are not looked into.
    output
        Folder of the page; made if need be. What it holds under the same names is replaced.
    title
        Heading of the page.
    soundfont
        See :func:`muse.render.find_soundfont`.
    progress
        Called with the share done, 0..1.

    Returns
    -------
    list
        What the page says of each piece, in the order of names; one that cannot be shown has its ``error`` and is left
        out of the page.

    Raises
    ------
    InputError
        There is no MIDI file in the folder, or two have one name.
    MissingExtraError
        The extra ``audio`` or ``score`` is not installed.
    """
    files, output = _midi_files(Path(folder)), Path(output)
    require("av", "audio", "A gallery")
    require("verovio", "score", "A gallery")
    (output / "pieces").mkdir(parents=True, exist_ok=True)
    analyzer = Analyzer()
    names = [str(file) for file in files]
    rows = list(
        each_file(names, lambda file: _piece(Path(file), output / "pieces", analyzer, soundfont), progress=progress)
    )
    shown = [row for row in rows if "error" not in row]
    write_text(output / "index.html", _page(title, shown))
    return rows


def _midi_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder: give one that holds MIDI files")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in MIDI_SUFFIXES and path.is_file())
    if not files:
        raise InputError(f"{folder}: there is no MIDI file in it: compose some, for example with muse compose --batch")
    seen: dict[str, Path] = {}
    for file in files:
        if file.stem in seen:
            raise InputError(f"{file} and {seen[file.stem].name} have one name: rename one of them")
        seen[file.stem] = file
    return files


def _piece(file: Path, folder: Path, analyzer: Analyzer, soundfont: str | Path | None) -> dict[str, Any]:
    """Write a piece in all forms; gives what the page says of it."""
    from muse.audio import write_audio
    from muse.render import SAMPLE_RATE, engrave, piano_roll, render_audio
    from muse.score import read_score

    found = analyzer.analyze(file)
    score, name = read_score(file), file.stem.replace("-", " ").replace("_", " ")
    intent, seed = _origin(file)
    sound = render_audio(score, soundfont=soundfont).mean(axis=0)
    write_audio(sound, SAMPLE_RATE, folder / f"{file.stem}.mp3", bit_rate=BIT_RATE)
    asked = intent.programs if intent else ()
    piano_roll(score, folder / f"{file.stem}.png", title=name, key=found["key"], asked=asked)
    sheet = engrave(score, title=name, key=found["key"])
    # Black on nothing cannot be read where the surroundings are dark.
    write_bytes(folder / f"{file.stem}.svg", sheet.replace(b"<svg ", b'<svg style="background:#fff" ', 1))
    write_bytes(folder / f"{file.stem}.mid", file.read_bytes())
    return {
        "name": name,
        "stem": file.stem,
        "asked": intent.in_words() if intent else None,
        "seed": seed,
        "heard": found["verdict"]["text"],
        "why": found["summary"],
        **{field: found[field] for field in ("key", "tempo", "bars", "n_notes", "duration_s")},
    }


def _origin(file: Path) -> tuple[Intent | None, int | None]:
    """Intent and seed as they stand in the file; None where they do not."""
    from muse.intent import Intent
    from muse.score import read_text

    for text in read_text(file):
        try:
            origin = json.loads(text)
            return Intent.from_dict(origin["intent"]), int(origin["seed"])
        except (ValueError, KeyError, TypeError, RecursionError):  # a text of somebody else's
            log.debug("%s: no origin in %r", file, text[:100])
    return None, None


def _page(title: str, pieces: list[dict[str, Any]]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("muse.tasks", ""), undefined=StrictUndefined, autoescape=True, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    return environment.get_template("gallery.html.j2").render(title=title, pieces=pieces)
