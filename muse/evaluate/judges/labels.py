"""Labelled music: clips with the quadrants and ratings that people gave them.

Contents: :class:`Clips`, :func:`read_emopia`, :func:`read_vgmidi`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from muse.corpora import Song, emopia_clips, vgmidi_pieces
from muse.evaluate.judges.judge import Floats, Music, Notes, pitched_notes

__all__ = ["Clips", "read_emopia", "read_vgmidi"]


@dataclass(frozen=True)
class Clips:
    """Labelled music."""

    music: list[Notes]
    """Note arrays [n]."""
    quadrant: NDArray[np.int64]
    """1..4 [n]."""
    song: NDArray[np.str_]
    """Which song (or game series) a clip is from [n]; never split a song between training and testing."""
    rating: Floats
    """Listeners' valence and arousal in -1..1, ``[n, 2]``; NaN where a corpus has only quadrants."""
    source: list[Music]
    """What the note arrays were read from [n], for judges that read bars too."""

    @classmethod
    def of(cls, music: Sequence[Music], quadrant: Sequence[int]) -> Clips:
        """Pieces that stand alone, without ratings."""
        n = len(music)
        song = np.array([str(i) for i in range(n)], dtype=np.str_)
        notes = [pitched_notes(m) for m in music]
        return cls(notes, np.asarray(quadrant, dtype=np.int64), song, np.full((n, 2), np.nan), list(music))

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.music)

    def __add__(self, other: Clips) -> Clips:
        """Both sets, one after the other."""
        return Clips(
            self.music + other.music,
            np.concatenate([self.quadrant, other.quadrant]),
            np.concatenate([self.song, other.song]),
            np.concatenate([self.rating, other.rating]),
            self.source + other.source,
        )

    def take(self, rows: NDArray[np.int64]) -> Clips:
        """The clips of these indices, repeats included."""
        source = [self.source[i] for i in rows]
        return Clips([self.music[i] for i in rows], self.quadrant[rows], self.song[rows], self.rating[rows], source)


def read_emopia(corpora: str | Path, split: str) -> Clips:
    """Clips of EMOPIA (Hung et al., ISMIR 2021): ``split`` is ``"train"`` or ``"val"`` of the official lists.

    Raises
    ------
    InputError
        The folder or its table is missing or has no such clips.
    """
    songs = emopia_clips(corpora, split)
    return _clips(songs, [song.group for song in songs])


def read_vgmidi(corpora: str | Path) -> Clips:
    """The labelled pieces of VGMIDI (Ferreira & Whitehead, ISMIR 2019), with the means of about 30 listeners each."""
    songs = vgmidi_pieces(corpora)
    return _clips(songs, [song.series or song.group for song in songs], rated=True)


def _clips(songs: Sequence[Song], groups: Sequence[str], *, rated: bool = False) -> Clips:
    nobody = (math.nan, math.nan)
    return Clips(
        [pitched_notes(song.path) for song in songs],
        np.array([int(song.quadrant[1]) for song in songs]),
        np.array(groups),
        np.array([(song.valence, song.arousal) if rated else nobody for song in songs]),
        [song.path for song in songs],
    )
