"""Writing MIDI files.

Contents: :func:`write_score`.
"""

from __future__ import annotations

from pathlib import Path

from muse.errors import InputError
from muse.files import write_bytes
from muse.score.midi_bytes import insert_text
from muse.score.notes import Score

__all__ = ["write_score"]


def write_score(score: Score, path: str | Path, *, text: str | None = None) -> None:
    """Write a MIDI file; equal scores and texts give equal bytes, and no half-written file is ever seen.

    Parameters
    ----------
    score
        What to write. Pedals are written where the controls (number 64) have them, as symusic reads them.
    path
        Where; a file there is replaced. Its folder must exist.
    text
        Stored as a text meta event at the start; :func:`read_text` gives it back.

    Raises
    ------
    InputError
        The score has notes that MIDI cannot hold (see :func:`clean`), or the file cannot be written.
    """
    path = Path(path)
    for index, track in enumerate(score.tracks):
        column = track.notes.numpy()
        if any(len(values) and values.min() < 0 for values in column.values()):
            raise InputError(
                f"{path}: track {index} has notes with negative time, duration, pitch or velocity: clean the score"
            )
    data = score.dumps_midi()
    if text is not None:
        data = insert_text(data, text)
    write_bytes(path, data)
