"""A lead sheet's parts as an arranger writes them: bar by bar, in order, with the earlier bars that they take up.

Conventions as in :mod:`muse.tokens.arrangement`.

Contents: :class:`Accompaniment`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from muse.dataset.lead_sheets import Sheet
from muse.tokens.arrangement import (
    PART_ORDER,
    VELOCITY_NULL,
    PartNote,
    encode_follow,
    encode_lead,
    encode_part,
    follow_bars,
    measure_bars,
)
from muse.tokens.plan import NULL

__all__ = ["Accompaniment"]


class Accompaniment:
    """The parts of a sheet whose plan is on the tonic C (:meth:`Sheet.in_c`), moved there with it.

    Parameters
    ----------
    sheet
        The sheet.

    Attributes
    ----------
    notes
        For each bar, for each part of the sheet, its notes.
    order
        Indices of the parts as they are written.
    follows
        For each bar the lag of the earlier one whose accompaniment it takes up, and whether its pitches too.
    """

    def __init__(self, sheet: Sheet) -> None:
        self._sheet, self._size = sheet, sheet.plan.bar_length
        n_bars, parts = len(sheet.plan.bars), sheet.parts
        is_drum = np.array([part == "drums" for part in parts], bool)
        notes = sheet.notes.astype(np.int64)
        drum = is_drum[notes[:, 0]] if len(notes) else np.zeros(0, bool)
        pitch = notes[:, 4] + np.where(drum, 0, sheet.shift)
        self.notes: list[list[list[PartNote]]] = [[[] for _ in parts] for _ in range(n_bars)]
        for (part, bar, position, span, _, velocity), p in zip(notes.tolist(), pitch.tolist(), strict=True):
            self.notes[bar][part].append(PartNote(position, p, span, velocity))
        mean = [float(pitch[notes[:, 0] == i].mean()) if (notes[:, 0] == i).any() else 0.0 for i in range(len(parts))]
        self.order = sorted(range(len(parts)), key=lambda i: (PART_ORDER.index(parts[i]), mean[i]))
        self.follows = follow_bars(
            [[(i, n.position, n.pitch) for i, part in enumerate(bar) for n in part] for bar in self.notes]
        )
        onset = notes[:, 1] * self._size * 3 + notes[:, 2]
        self._table = np.stack([onset, notes[:, 3], pitch, notes[:, 5], drum.astype(np.int64)], axis=1)
        self._bar = notes[:, 1]

    def spell(self, bar: int, first: int, parts: Sequence[int]) -> tuple[list[int], list[bool]]:
        """What the arranger says to a bar of a window that begins with bar `first`, for these parts.

        Returns
        -------
        tuple
            Ids (the tune's loudness, which earlier bar is taken up, each part), and which of them are its own choice:
            whose turn it is is given, and loudness that the source does not have cannot be learnt.
        """
        sheet, (lag, exact) = self._sheet, self.follows[bar]
        ids = [encode_lead(int(sheet.melody_velocity[bar]), sheet.played)]
        ids.append(encode_follow(lag if lag <= bar - first else 0, exact))
        is_chosen = [ids[0] != NULL, True]
        for p in parts:
            row = encode_part(sheet.parts[p], self.notes[bar][p], played=sheet.played)
            ids += row
            is_chosen += [False, *(token != VELOCITY_NULL for token in row[1:])]
        return ids, is_chosen

    def measure(self, first: int, stop: int, played: bool = True) -> dict[str, float]:
        """What bars first..stop-1 are like; see :func:`muse.tokens.arrangement.measure_bars`."""
        inside = (self._bar >= first) & (self._bar < stop)
        values = measure_bars(self._table[inside], (stop - first) * self._size / 4)
        return values if played else values | {"loudness": float("nan")}
