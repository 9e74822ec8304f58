"""Reading: a door for music that no malformed file can break.

Contents: :class:`Limits`, :func:`read_score`, :func:`read_text`.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import symusic

from muse.errors import InputError, nearest
from muse.score.clean import clean
from muse.score.midi_bytes import check
from muse.score.notes import Score, beat_to_sec, end_tick, tempo_map

__all__ = ["Limits", "read_score", "read_text"]


@dataclass(frozen=True)
class Limits:
    """What :func:`read_score` accepts. Larger things are refused before they cost memory or time."""

    max_bytes: int = 16_000_000
    """File size."""
    max_notes: int = 500_000
    """Notes in all tracks."""
    max_sec: float = 4 * 3600.0
    """Length in seconds; the longest file of real music that we know lasts under two hours."""
    max_tracks: int = 512
    """Tracks, those without notes too."""


def read_score(source: Any, *, limits: Limits = Limits()) -> Score:
    """Read music, check it and clean it.

    Parameters
    ----------
    source
        Path of a MIDI file, bytes of one, or an object of symusic (``Score``), pretty_midi (``PrettyMIDI``),
        miditoolkit (``MidiFile``) or music21 (any ``Stream``).
    limits
        What is too large to be taken.

    Returns
    -------
    Score
        A new score, as :func:`clean` leaves it; without notes if the source has none.

    Raises
    ------
    InputError
        The source is missing, no MIDI file, damaged or beyond the limits; the message names file, reason and remedy.

    Examples
    --------
    >>> score = read_score(from_notes(np.zeros(0, NOTE_DTYPE)))
    >>> score.note_num()
    0
    """
    name = str(source) if isinstance(source, (str, os.PathLike)) else f"the {type(source).__name__} given"
    try:
        if isinstance(source, (str, os.PathLike)):
            score = _parse(_read_file(Path(source), limits), limits)
        elif isinstance(source, (bytes, bytearray, memoryview)):
            score = _parse(bytes(source), limits)
        elif isinstance(source, Score):
            score = source
        else:
            score = _from_object(source, limits)
        if len(score.tracks) > limits.max_tracks:
            raise InputError(f"it has {len(score.tracks)} tracks, more than {limits.max_tracks}: split it")
        if score.note_num() > limits.max_notes:
            raise InputError(f"it has {score.note_num():,} notes, more than {limits.max_notes:,}: cut it into pieces")
        score = clean(score)
        end_beat = end_tick(score) / score.ticks_per_quarter
        length_sec = float(beat_to_sec(tempo_map(score), end_beat))
        if length_sec > limits.max_sec:
            raise InputError(
                f"it lasts {length_sec / 3600:,.1f} hours, more than {limits.max_sec / 3600:g}: cut it, "
                "or remove stray notes far behind the end"
            )
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    return score


def read_text(path: str | Path, *, limits: Limits = Limits()) -> list[str]:
    """Text meta events (type 1) of a MIDI file, in the order of the file.

    Raises
    ------
    InputError
        As in :func:`read_score`.
    """
    try:
        return list(check(_read_file(Path(path), limits), max_tracks=limits.max_tracks).text)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _read_file(path: Path, limits: Limits) -> bytes:
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise InputError("this is a pipe or a device, which may never end: give an ordinary file")
        with path.open("rb") as stream:
            data = stream.read(limits.max_bytes + 1)  # no more, whatever the file system says of its size
    except FileNotFoundError:
        near = nearest(path.name, _names_in(path.parent), n_near=1)
        raise InputError(f"no such file{f'; did you mean {near[0]}?' if near else ': check the path'}") from None
    except IsADirectoryError:
        raise InputError("this is a folder: give one MIDI file") from None
    except InputError:
        raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"cannot be opened ({reason}): check path and permissions") from None
    return data


def _names_in(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(folder)]
    except OSError:
        return []


def _parse(data: bytes, limits: Limits) -> Score:
    """A raw score of MIDI bytes, whose structure is checked before native code sees them."""
    if len(data) > limits.max_bytes:
        raise InputError(f"it has more than {limits.max_bytes:,} bytes: split it")
    if not data:
        raise InputError("it is empty: give a MIDI file with music in it")
    checked = check(data, max_tracks=limits.max_tracks)
    try:
        return symusic.Score.from_midi(checked.data)
    except Exception as error:  # the parser raises bare RuntimeError and others
        raise InputError(f"the MIDI parser refuses it ({error}): the file is damaged") from None


def _from_object(source: Any, limits: Limits) -> Score:
    """A raw score of another library's object, by way of MIDI bytes. The library is there if its object is."""
    library = {module.__module__.partition(".")[0] for module in type(source).__mro__}
    try:
        if "pretty_midi" in library:
            buffer = io.BytesIO()
            source.write(buffer)
            data = buffer.getvalue()
        elif "miditoolkit" in library:
            buffer = io.BytesIO()
            source.dump(file=buffer)
            data = buffer.getvalue()
        elif "music21" in library:
            from music21.midi.translate import streamToMidiFile  # music21 is loaded only if its object comes

            data = streamToMidiFile(source).writestr()
        elif "symusic" in library and hasattr(source, "to"):
            score: Score = source.to("tick")
            return score
        else:
            raise InputError(
                "is nothing that holds a score: give a path, MIDI bytes, or an object of symusic, pretty_midi, "
                "miditoolkit or music21"
            )
    except InputError:
        raise
    except Exception as error:  # foreign writers fail in all ways on odd content
        raise InputError(f"cannot be turned into MIDI ({type(error).__name__}: {error}): check its content") from error
    return _parse(data, limits)
