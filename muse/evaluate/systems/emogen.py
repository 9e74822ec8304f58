"""EmoGen's binary commands in the mapping's place: the same generator, other controls.

Contents: :class:`EmoGenMapping`, :func:`emogen_intent`.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from muse.errors import InputError
from muse.intent import Intent
from muse.tokens import SONG_CONTROLS, Controls

__all__ = ["EmoGenMapping", "emogen_intent"]


@dataclass(frozen=True, eq=False)
class EmoGenMapping:
    """A mapping in EmoGen's manner: for each quadrant, every attribute above or below its median.

    Kang et al. 2023, EmoGen: Eliminating Subjective Bias in Emotional Music Generation, arXiv 2307.01229. Of its 100
    attributes our generator can be asked for the 14 that are among ``SONG_CONTROLS`` (:attr:`reachable`); the others
    are left open. EmoGen asks neither for tempo nor for mode, so these are what the composer takes where none is asked.

    Parameters
    ----------
    names
        Attributes by the names of jSymbolic 2.2, which the catalogue shares.
    bits
        bool [4, n_attributes]: above the median, for Q1..Q4.
    """

    names: tuple[str, ...]
    bits: NDArray[np.bool_]

    @classmethod
    @cache
    def published(cls) -> EmoGenMapping:
        """The commands that EmoGen's authors published with their code, from ``emogen.csv`` beside this module."""
        with Path(__file__).with_name("emogen.csv").open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(line for line in stream if not line.startswith("#")))
        bits = [[row[f"Q{quadrant}"] == "1" for row in rows] for quadrant in (1, 2, 3, 4)]
        return cls(tuple(row["attribute"] for row in rows), np.array(bits))

    @classmethod
    def fit(cls, values: NDArray[Any], quadrants: NDArray[Any], names: Sequence[str]) -> EmoGenMapping:
        """Learn the commands from labelled clips as EmoGen does.

        Each attribute is cut at its median; in each quadrant the clip whose bits lie nearest to the mean of all
        gives the command, so that it is one that real music has.

        Parameters
        ----------
        values
            float [n_clips, n_attributes]; NaN counts as 0, as there.
        quadrants
            1..4 [n_clips].
        names
            Of the attributes.

        Raises
        ------
        InputError
            A quadrant has no clip.
        """
        filled = np.nan_to_num(np.asarray(values, np.float64))
        above = filled > np.median(filled, axis=0)
        commands = []
        for quadrant in (1, 2, 3, 4):
            clips = above[np.asarray(quadrants) == quadrant]
            if len(clips) == 0:
                raise InputError(f"no clip is in Q{quadrant}; each quadrant needs one or more")
            distance = ((clips - clips.mean(axis=0)) ** 2).sum(axis=1)
            commands.append(clips[distance.argmin()])
        return cls(tuple(names), np.array(commands))

    @property
    def reachable(self) -> tuple[str, ...]:
        """The attributes that the generator can be asked for."""
        return tuple(name for name in self.names if name in SONG_CONTROLS)

    def intent(self, quadrant: int, bars: int, controls: Controls) -> Intent:
        """The request that asks for a quadrant's command.

        An attribute above the median is asked for at the upper quartile of the music that the generator learnt from,
        in the octile above it; one below at the lower quartile, in the octile below it.

        Raises
        ------
        InputError
            There is no such quadrant.
        """
        if quadrant not in (1, 2, 3, 4):
            raise InputError(f"quadrant is {quadrant!r}; legal are 1..4")
        above = dict(zip(self.names, self.bits[quadrant - 1].tolist(), strict=True))
        edges = dict(zip(SONG_CONTROLS, controls.song, strict=True))
        asked = {
            # A value on an edge lies in the octile above it.
            name: float(edges[name][5] if above[name] else np.nextafter(edges[name][1], -np.inf))
            for name in self.reachable
        }
        return Intent(bars=bars, attributes=asked)


def emogen_intent(quadrant: int, bars: int, controls: Controls) -> Intent:
    """The request of :meth:`EmoGenMapping.intent` with the published commands."""
    return EmoGenMapping.published().intent(quadrant, bars, controls)
