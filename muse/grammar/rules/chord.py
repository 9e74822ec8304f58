"""Chords: pitches rise within a position and instrument, so that each set of notes has one spelling."""

from __future__ import annotations

import numpy as np

from muse.grammar.state import Frame, Mask, Row

__all__ = ["drum_pitches", "pitches"]


def pitches(frame: Frame, row: Row) -> Mask | None:
    """Pitches above the last of this chord."""
    return frame.pitch_ids > row.pitch if row.chord_rank == row.program else None


def drum_pitches(frame: Frame, row: Row) -> Mask:
    """Drums above the last of this chord, bool [drums]."""
    ids = np.arange(*frame.vocabulary.drum_pitch)
    return ids > (row.pitch if row.chord_rank == row.program else -1)
