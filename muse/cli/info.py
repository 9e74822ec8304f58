"""``muse info`` and ``muse list``: what there is on this machine, and what may be asked for."""

from __future__ import annotations

import csv
import ctypes
import io
import os
import platform
from collections.abc import Iterable, Mapping
from importlib import metadata, resources
from typing import Any

import typer

from muse import __version__
from muse.cli.output import JsonOption, group, print_document, print_json

__all__ = ["info", "list_app"]

list_app = group("Name what may be asked for: emotions, genres, instruments, attributes.")


def _graphics_card() -> str | None:
    """Name of the first card that PyTorch may use, asked of the driver: importing PyTorch takes seconds."""
    if "+cpu" in metadata.version("torch"):
        return None
    try:
        cuda = ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
    except OSError:
        return None
    device, name = ctypes.c_int(), ctypes.create_string_buffer(256)
    found = not (cuda.cuInit(0) or cuda.cuDeviceGet(ctypes.byref(device), 0) or cuda.cuDeviceGetName(name, 256, device))
    return name.value.decode() if found else None


def _n_attributes() -> int:
    """Rows of the catalogue, counted in its table: importing what measures them takes half a second."""
    table = resources.files("muse").joinpath("attributes", "catalogue.csv").read_text(encoding="utf-8")
    return sum(1 for _ in csv.DictReader(io.StringIO(table)))


def info(as_json: JsonOption = False) -> None:
    """Show versions, device, checkpoints and where tables lie; for bug reports."""
    from muse.checkpoint import data_path
    from muse.emotion import emotion_words

    checkpoints = data_path("checkpoints")
    document = {
        "muse": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: metadata.version(name) for name in ("torch", "onnxruntime", "numpy", "symusic", "miditok")},
        "device": _graphics_card() or "cpu",
        "threads": os.cpu_count(),
        "checkpoints": sorted(path.parent.name for path in checkpoints.glob("*/config.json")),
        "data": str(checkpoints.parent),
        "attributes": _n_attributes(),
        "emotion_words": len(emotion_words()),
    }
    print_document(document, as_json)


@list_app.command("emotions")
def emotions(as_json: JsonOption = False) -> None:
    """Emotion words with their valence and arousal."""
    from muse.emotion import emotion_words

    _print_rows(
        (
            {
                "word": word,
                "valence": row.emotion.valence,
                "arousal": row.emotion.arousal,
                "quadrant": row.emotion.quadrant,
            }
            for word, row in sorted(emotion_words().items())
        ),
        as_json,
    )


@list_app.command("genres")
def genres(as_json: JsonOption = False) -> None:
    """Genres that the composer knows."""
    from muse.tokens import GENRES

    _print_rows(({"genre": name} for name in GENRES), as_json)


@list_app.command("instruments")
def instruments(as_json: JsonOption = False) -> None:
    """Instruments of General MIDI with their programs."""
    from muse.score import DRUMS
    from muse.theory import instrument_name

    programs = [*range(128), DRUMS]
    _print_rows(
        ({"program": "drums" if p == DRUMS else p, "instrument": instrument_name(p)} for p in programs), as_json
    )


@list_app.command("attributes")
def attributes(as_json: JsonOption = False) -> None:
    """Attributes that are measured; those marked can be asked for."""
    from muse.attributes import ATTRIBUTES, SONG_CONTROLS

    _print_rows(
        (
            {"attribute": one.name, "group": one.group, "unit": one.unit, "can_be_asked_for": one.name in SONG_CONTROLS}
            for one in ATTRIBUTES
        ),
        as_json,
    )


def _print_rows(rows: Iterable[Mapping[str, Any]], as_json: bool) -> None:
    """A table: JSON objects, or columns for people."""
    found = list(rows)
    if as_json:
        print_json(found)
        return
    shown = [[_shown(value) for value in row.values()] for row in found]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "can be asked for" if value else ""
    return f"{value:+.2f}" if isinstance(value, float) else str(value)
