"""XMIDI (Tian et al. 2025): ``XMIDI_<emotion>_<genre>_<id>.midi``, an emotion word and a genre in the name.

Contents: :func:`matches`, :func:`songs_by_name`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from muse.corpora.song import Song, genre_of, song_of
from muse.emotion import Emotion
from muse.errors import MuseError

__all__ = ["matches", "songs_by_name"]

_NAME = re.compile(r"^XMIDI_([A-Za-z]+)_([A-Za-z]+)_([A-Za-z0-9]+)$")


def matches(path: Path) -> bool:
    """Whether a file is named as XMIDI names its files."""
    return _NAME.match(path.stem) is not None


def songs_by_name(files: Sequence[Path], folder: Path, corpus: str) -> Iterator[Song]:
    """Songs of the corpus as it is unpacked: place of the emotion word and genre from the names."""
    for path in files:
        match = _NAME.match(path.stem)
        if match is None:
            yield song_of(path, folder, corpus, "xmidi")
            continue
        yield song_of(path, folder, corpus, "xmidi", title=match[3], genre=genre_of(match[2]), **_labels(match[1]))


def _labels(word: str) -> dict[str, Any]:
    try:
        emotion = Emotion.parse(word)
    except MuseError:
        return {}
    return {
        "valence": emotion.valence, "arousal": emotion.arousal, "quadrant": emotion.quadrant, "label_kind": "word",
    }  # fmt: skip
