"""Plans to be heard: tune and block chords, as one plays a lead sheet to try it.

Contents: :func:`block_chords`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
import symusic

from muse.score import NOTE_DTYPE, Score, from_notes
from muse.theory import key_signature
from muse.tokens.plan import Plan
from muse.tokens.tune import tune_notes

__all__ = ["block_chords"]

_CHORDS_FROM, _BASS_FROM = 48, 36
_TUNE_VELOCITY, _CHORD_VELOCITY = 80, 60
DEFAULT_BPM: Final = 90.0


def block_chords(plan: Plan, tempo_bpm: float | None = None) -> Score:
    """A plan on the piano: its tune (track ``Melody``), and each chord with its bass for as long as it holds.

    Parameters
    ----------
    tempo_bpm
        Quarter notes a minute; None: the plan's, or 90. Sections stand as markers, the key as a
        signature.
    """
    size = plan.bar_length
    rows = [(n.position / 4, n.length / 4, n.pitch, _TUNE_VELOCITY, 0) for n in tune_notes(plan)]
    changes = [(b * size + c.position, c) for b, bar in enumerate(plan.bars) for c in bar.chords]
    silent = [(b * size, None) for b, bar in enumerate(plan.bars) if not bar.chords]
    spans = sorted([*changes, *silent, (size * len(plan.bars), None)], key=lambda one: one[0])
    for (start, chord), (end, _) in pairwise(spans):
        if chord is None or chord.root is None:
            continue
        bass = chord.root if chord.bass is None else chord.bass
        pitches = {*(_CHORDS_FROM + tone for tone in chord.pitch_classes), _BASS_FROM + bass}
        rows += [(start / 4, (end - start) / 4, pitch, _CHORD_VELOCITY, 1) for pitch in sorted(pitches)]
    notes = np.zeros(len(rows), NOTE_DTYPE)
    if rows:
        for name, column in zip(
            ("onset_beat", "duration_beat", "pitch", "velocity", "track"), zip(*rows, strict=True), strict=True
        ):
            notes[name] = column
    score = from_notes(
        notes,
        tempo_bpm=tempo_bpm or plan.tempo_bpm or DEFAULT_BPM,
        time_signature=plan.time_signature,
        names=("Melody", "Chords"),
    )
    score.key_signatures.append(
        symusic.KeySignature(0, key_signature(plan.tonic, plan.mode), int(plan.mode == "minor"))
    )
    for bar, label in plan.section_starts.items():
        score.markers.append(symusic.TextMeta(bar * size * score.ticks_per_quarter // 4, label))
    return score
