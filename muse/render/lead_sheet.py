"""Lead sheets: a plan on the page, one staff with the tune, chord symbols and section marks above it.

The page says all that the plan says, to the sixteenth: nothing is smoothed as it is for music that was played.

Contents: :func:`lead_sheet`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from muse.render.notation import OPEN, Page, write_page
from muse.render.written import DIVISIONS, written_voice
from muse.score import NOTE_DTYPE, BarGrid
from muse.theory import key_signature
from muse.tokens.plan import Plan
from muse.tokens.tune import tune_notes

__all__ = ["lead_sheet"]


def lead_sheet(plan: Plan, *, title: str = "", remarks: Mapping[str, str] | None = None) -> bytes:
    """A plan as MusicXML 4.0.

    A bar that leaves its chords open after one that has some is marked with ``?``.

    Parameters
    ----------
    plan
        With or without a tune, chords, sections and tempo.
    title
        Heading of the sheet.
    remarks
        Name -> text that the file holds and no page shows.

    Returns
    -------
    bytes
        The same plan and title give the same bytes.
    """
    n_bars, fifths = len(plan.bars), key_signature(plan.tonic, plan.mode)
    numerator, denominator = (np.full(n_bars, number, np.int16) for number in plan.time_signature)
    grid = BarGrid(np.arange(n_bars + 1) * plan.bar_length / 4, numerator, denominator)
    page = Page(
        grid, fifths, plan.mode, title,
        tempos={} if plan.tempo_bpm is None else {0: plan.tempo_bpm},
        harmonies=_harmonies(plan, fifths),
        rehearsals=plan.section_starts,
        remarks=remarks or {},
    )  # fmt: skip
    tune = tune_notes(plan)
    notes = np.zeros(len(tune), NOTE_DTYPE)
    notes["onset_beat"] = [note.position / 4 for note in tune]
    notes["duration_beat"] = [note.length / 4 for note in tune]
    notes["pitch"] = [note.pitch for note in tune]
    return write_page(page, [written_voice(notes, grid, name="")], [{}])


def _harmonies(plan: Plan, fifths: int) -> dict[int, list[tuple[int, str]]]:
    found = {}
    for number, bar in enumerate(plan.bars):
        if bar.chords:
            found[number] = [(chord.position * DIVISIONS // 4, chord.spelled(fifths)) for chord in bar.chords]
        elif found:
            found[number] = [(0, OPEN)]
    return found
