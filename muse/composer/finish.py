"""Finishing: what was sampled becomes the score that is written: tempo, meter, key, names and last notes."""

from __future__ import annotations

import numpy as np
import symusic

from muse.composer.brief import Brief
from muse.intent import Intent
from muse.score import DRUMS
from muse.theory import instrument_name

__all__ = ["finish"]

_TICKS_PER_BEAT = 480  # what sequencers expect
_SHARPS = {0: 0, 7: 1, 2: 2, 9: 3, 4: 4, 11: 5, 6: 6, 1: -5, 8: -4, 3: -3, 10: -2, 5: -1}


def finish(score: symusic.Score, brief: Brief, intent: Intent) -> symusic.Score:
    """Tempo, meter, key and names as asked; what sounds with the last onset rings to the end."""
    written = score.resample(_TICKS_PER_BEAT, min_dur=1)
    written.tempos = symusic.core.TempoTickList([symusic.Tempo(0, qpm=brief.tempo_bpm)])
    numerator, denominator = brief.time_signature
    written.time_signatures = symusic.core.TimeSignatureTickList([symusic.TimeSignature(0, numerator, denominator)])
    sharps = _SHARPS[brief.tonic if brief.mode == "major" else (brief.tonic + 3) % 12]
    written.key_signatures = symusic.core.KeySignatureTickList(
        [symusic.KeySignature(0, sharps, 0 if brief.mode == "major" else 1)]
    )
    end = intent.bars * numerator * 4 * _TICKS_PER_BEAT // denominator
    last = max((note.time for track in written.tracks for note in track.notes), default=0)
    for track in written.tracks:
        program = DRUMS if track.is_drum else int(track.program)
        track.name = instrument_name(program).title()
        note = track.notes.numpy()
        onset, length = note["time"], note["duration"]
        if program != DRUMS:
            length = np.where(onset + length > last, end - onset, length)
        # A key that is struck again ends the note before: two notes of one pitch cannot sound together in MIDI.
        order = np.lexsort((onset, note["pitch"]))
        again = note["pitch"][order][1:] == note["pitch"][order][:-1]
        until = np.full(len(onset), end)
        until[order[:-1][again]] = onset[order[1:][again]]
        length = np.minimum(length, until - onset)
        track.notes = symusic.Note.from_numpy(onset, length.astype(np.int32), note["pitch"], note["velocity"])
    return written
