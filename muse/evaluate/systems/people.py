"""People's own songs as the system that others are held against: windows of held-out lead sheets and arrangements.

They pass through the same tokens and the same performer as ours, as loud as it plays each quadrant in turn, so that
what is compared is what was written.

Contents: :func:`read_pop909`, :func:`people_windows`, :func:`as_loud`.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from muse.composer.arrange import Arrangement, cast
from muse.composer.perform import Touch, perform
from muse.composer.playing import Playing
from muse.corpora import find_songs
from muse.dataset.lead_sheets import Sheet, read_sheets
from muse.emotion import QUADRANTS, EmotionPath
from muse.errors import InputError, MuseError
from muse.tokens.arrangement import PartNote, decode_part, encode_part
from muse.tokens.plan import Plan, decode, encode_bar, fold_shift

if TYPE_CHECKING:
    from symusic.core import ScoreTick as Score

__all__ = ["as_loud", "people_windows", "read_pop909"]

_MIN_TUNE = 24  # notes of the tune in a window of 16 bars; emptier ones are introductions


def read_pop909(corpora: str | Path) -> dict[str, list[Sheet]]:
    """POP909's songs as lead sheets with accompaniment (Wang et al., ISMIR 2020): ``train`` and ``held_out``.

    What is held out is what planner and arranger never saw (splits ``val`` and ``test``).

    Raises
    ------
    InputError
        There is no folder ``pop909`` with songs, or none of them is held out.
    """
    out: dict[str, list[Sheet]] = {"train": [], "held_out": []}
    for song in find_songs([Path(corpora) / "pop909"]):
        with contextlib.suppress(MuseError):  # one unreadable file is no reason to stop
            for sheet in read_sheets(song):
                out["train" if sheet.split == "train" else "held_out"].append(sheet)
    if not out["held_out"]:
        raise InputError(f"{Path(corpora) / 'pop909'}: none of its songs is held out; give the whole corpus")
    return out


def as_loud(touch: Touch, n_bars: int, number: int, rng: np.random.Generator) -> Touch:
    """The touch, as loud as a quadrant is played: the quadrants take turns by *number*."""
    path = EmotionPath.parse(QUADRANTS[number % len(QUADRANTS)])
    course, spread = Playing.load().loudness(path, n_bars, rng)
    return replace(touch, loudness=tuple(course.tolist()), spread=spread)


def people_windows(
    sheets: Iterable[Sheet], n_bars: int = 16, *, at_end: bool = False, rng: np.random.Generator | None = None
) -> Iterator[tuple[str, Plan, Score]]:
    """Windows of piano songs: name of the song, plan and score of each, one after another and none overlapping.

    Parameters
    ----------
    sheets
        Those with one part, of keys; others are passed over.
    n_bars
        Bars a window.
    at_end
        The last bars of songs alone, one window a song: to compare how pieces end.
    rng
        Of the performer's hand.
    """
    rng = rng or np.random.default_rng(0)
    numbers = itertools.count()
    for sheet in sheets:
        if sheet.parts != ("keys",):
            continue
        room = len(sheet.plan.bars) - n_bars
        for first in [room] if at_end and sheet.at_end and room >= 0 else [] if at_end else range(0, room + 1, n_bars):
            plan = _through_tokens(replace(sheet.plan, bars=sheet.plan.bars[first : first + n_bars], sections=()))
            if not at_end and sum(len(bar.melody) for bar in plan.bars) < _MIN_TUNE * n_bars // 16:
                continue
            touch = as_loud(Touch(sheet.tempo_bpm, slows_down=False), n_bars, next(numbers), rng)
            yield sheet.song.split("#")[0], plan, perform(_arrangement(sheet, plan, first), touch, rng)


def _through_tokens(plan: Plan) -> Plan:
    """The plan as tokens spell it."""
    moved = plan.transposed(fold_shift(-plan.tonic))
    ids = [i for bar in moved.bars for i in encode_bar(bar, 9)]
    return decode(ids, plan.time_signature, plan.tonic, plan.mode)


def _arrangement(sheet: Sheet, plan: Plan, first: int) -> Arrangement:
    bars = []
    for bar in range(first, first + len(plan.bars)):
        notes = [
            PartNote(position, pitch, span, velocity)
            for _, _, position, span, pitch, velocity in sheet.notes[sheet.notes[:, 1] == bar].tolist()
        ]
        bars.append(tuple(decode_part(encode_part("keys", notes)[1:])))
    lead = tuple(int(v) // 8 * 8 + 4 if v else 0 for v in sheet.melody_velocity[first : first + len(plan.bars)])
    return Arrangement(plan, cast((0,)), (tuple(bars),), lead)
