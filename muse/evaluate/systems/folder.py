"""Anyone's MIDI files as a system.

Contents: :func:`read_folder`, :func:`quadrant_in`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from muse.errors import InputError, MuseError
from muse.evaluate.systems.system import System
from muse.score import note_array, read_score

__all__ = ["Folder", "quadrant_in", "read_folder"]

MIN_NOTES = 4
"""A file with fewer notes counts as a failure."""
_MIDI = (".mid", ".midi")
_QUADRANT = re.compile(r"(?<![A-Za-z0-9])[Qq]([1-4])(?![A-Za-z0-9])")


@dataclass(frozen=True)
class Folder:
    """What a folder holds."""

    system: System
    n_files: int
    broken: list[dict[str, str]]
    """``file`` and ``error`` of each file that cannot be read."""


def quadrant_in(path: str | Path) -> int:
    """Quadrant 1..4 that a path names last (``Q3_0.mid``, ``out/Q3/0.mid``); 0 where it names none."""
    named = _QUADRANT.findall(str(path))
    return int(named[-1]) if named else 0


def read_folder(folder: str | Path) -> Folder:
    """Read all MIDI files of a folder and those below it.

    Raises
    ------
    InputError
        Fewer than three of them can be read.
    """
    files = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in _MIDI)
    system, broken = System(), []
    for path in files:
        try:
            score = read_score(path)
            if len(note_array(score)) < MIN_NOTES:
                raise InputError(f"{path}: has fewer than four notes")
        except MuseError as error:
            broken.append({"file": str(path.relative_to(folder)), "error": str(error)})
            continue
        system.scores.append(score)
        system.quadrants.append(quadrant_in(path.relative_to(folder)))
    if len(system.scores) < 3:
        raise InputError(f"{folder}: {len(system.scores)} of {len(files)} MIDI files can be read; give at least three")
    return Folder(system, len(files), broken)
