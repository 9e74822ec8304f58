"""POP909 (Wang et al., ISMIR 2020): ``NNN/NNN.mid`` beside annotated beats, chords and keys.

Contents: :func:`matches`, :func:`songs_by_name`, :func:`read_chords`, :func:`read_key`. Its beats are read by
:func:`muse.corpora.beats.read_beats`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from muse.corpora.song import Song, song_of
from muse.corpora.table import read_lines
from muse.errors import InputError, shown
from muse.theory import NATURALS

__all__ = ["matches", "read_chords", "read_key", "songs_by_name"]

_NUMBER = re.compile(r"^\d{3}$")


def matches(path: Path) -> bool:
    """Whether a file lies as POP909's songs do, beside its beats."""
    named = _NUMBER.match(path.stem) is not None and path.parent.name == path.stem
    return named and (path.parent / "beat_midi.txt").exists()


def songs_by_name(files: Sequence[Path], folder: Path, corpus: str) -> Iterator[Song]:
    """Songs of the corpus as it is unpacked, with the annotations beside them."""
    for path in files:
        number = next(
            (part for part in reversed(path.relative_to(folder).parts[:-1]) if _NUMBER.match(part)), path.stem
        )
        if path.stem != number:  # versions/: other arrangements, whose beats nobody annotated
            yield song_of(path, folder, corpus, "pop909", group=number, title=number, genre="pop")
            continue
        beside = [path.parent / f"{name}.txt" for name in ("beat_midi", "chord_midi", "key_audio")]
        beats, chords, key = (place if place.is_file() else None for place in beside)
        yield song_of(
            path, folder, corpus, "pop909", song_id=number, group=number, title=number, genre="pop",
            beats_path=beats, chords_path=chords, key_path=key,
        )  # fmt: skip


def read_chords(path: Path) -> list[tuple[float, float, str]]:
    """Chords of ``chord_midi.txt``: start and end in seconds and the symbol (``B:maj7``, ``N`` for none).

    Raises
    ------
    InputError
        A line cannot be read.
    """
    chords = []
    for number, line in read_lines(path):
        parts = line.split()
        if not parts:
            continue
        try:
            start, end = float(parts[0]), float(parts[1])
            if not math.isfinite(start + end):
                raise ValueError
            chords.append((start, end, parts[2]))
        except (ValueError, IndexError):
            raise InputError(f"{path}, line {number}: {shown(line)} is no chord (start, end, symbol)") from None
    return chords


def read_key(path: Path) -> tuple[int, str] | None:
    """Key of ``key_audio.txt`` as (tonic 0..11, mode); ``None`` when the song has several.

    Raises
    ------
    InputError
        The file is missing or no text.
    """
    symbols = {parts[2] for _, line in read_lines(path) if len(parts := line.split()) >= 3}
    if len(symbols) != 1:
        return None
    name, _, quality = symbols.pop().partition(":")
    if not name or name[0] not in NATURALS or quality[:3] not in ("maj", "min"):
        return None
    tonic = (NATURALS[name[0]] + name.count("#") - name[1:].count("b")) % 12
    return tonic, "major" if quality.startswith("maj") else "minor"
