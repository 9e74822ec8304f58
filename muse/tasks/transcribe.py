"""Transcription of many sound files: a MIDI file and a JSON document for each.

Conventions
-----------
output
    Of one file a MIDI file (``.mid``), of several a folder, in which each gets the name of its sound file.
document
    ``file``, ``output``, ``n_notes``, ``duration_s`` (from 0 to the end of the last note), ``lowest`` and ``highest``
    (MIDI pitches), ``key``; of a file that cannot be used ``file`` and ``error``, one line. Whatever is wrong with a
    file, the others go on.

Contents: :class:`TranscribeRequest`, :func:`transcribe`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from muse.audio import sound_files
from muse.errors import InputError, MuseError
from muse.score import note_array, write_score
from muse.theory import estimate_key
from muse.transcription import Transcriber

__all__ = ["TranscribeRequest", "transcribe"]

log = logging.getLogger(__name__)

MIDI_SUFFIXES: Final = (".mid", ".midi")


@dataclass(frozen=True, kw_only=True)
class TranscribeRequest:
    """Sound files, and where their notes go.

    Raises
    ------
    InputError
        There is no file, or files and output do not fit; says all of it at once.
    """

    files: tuple[str, ...]
    """Sound files, or folders of them."""
    output: str
    """A MIDI file for a single sound file, or a folder."""

    def __post_init__(self) -> None:
        paths = self.sounds
        faults = [] if paths else ["there is no file: give a sound file"]
        if self._is_folder:
            if Path(self.output).is_file():
                faults.append(f"{self.output} is a file: give a folder for {len(paths)} files")
            names = [path.stem for path in paths]
            if twice := sorted({name for name in names if names.count(name) > 1}):
                faults.append(f"several files are called {', '.join(twice)}: transcribe them into different folders")
        elif len(paths) > 1:
            faults.append(f"{self.output} is one file, and there are {len(paths)} sound files: give a folder")
        if faults:
            raise InputError("; ".join(faults))

    @property
    def _is_folder(self) -> bool:
        return Path(self.output).suffix.lower() not in MIDI_SUFFIXES or Path(self.output).is_dir()

    @property
    def sounds(self) -> list[Path]:
        """The sound files, those of folders in order."""
        return [path for file in self.files for path in (sound_files(file) if Path(file).is_dir() else [Path(file)])]

    def output_of(self, sound: Path) -> Path:
        """Where the notes of a sound file go."""
        return Path(self.output) / f"{sound.stem}.mid" if self._is_folder else Path(self.output)


def transcribe(
    request: TranscribeRequest,
    *,
    transcriber: Transcriber | None = None,
    progress: Callable[[float, float], None] | None = None,
) -> Iterator[dict[str, Any]]:
    """The document of each sound file, in order, as soon as its MIDI file is written.

    Parameters
    ----------
    transcriber
        The one that comes with Muse when None.
    progress
        Called with files done and all files.
    """
    transcriber = transcriber or Transcriber.from_pretrained()
    sounds = request.sounds
    for i, sound in enumerate(sounds):
        yield {"file": str(sound), **_document(transcriber, sound, request.output_of(sound))}
        if progress is not None:
            progress(i + 1, len(sounds))


def _document(transcriber: Transcriber, sound: Path, output: Path) -> dict[str, Any]:
    try:
        score = transcriber.transcribe(sound)
        notes = note_array(score)
        if not len(notes):
            raise InputError(f"no notes are heard in {sound}: give a recording with pitch")
        output.parent.mkdir(parents=True, exist_ok=True)
        write_score(score, output)
    except MuseError as error:
        return {"error": " ".join(str(error).split())}
    except OSError as error:
        return {"error": f"{output} cannot be written ({error.strerror or error}): give another place"}
    except Exception as error:  # a fault of ours must not lose the rest of a long run
        log.debug("%s", sound, exc_info=True)
        return {"error": f"{sound} cannot be transcribed ({type(error).__name__}: {' '.join(str(error).split())})"}
    key = estimate_key(notes)
    return {
        "output": str(output),
        "n_notes": len(notes),
        "duration_s": round(float((notes["onset_sec"] + notes["duration_sec"]).max()), 3),
        "lowest": int(notes["pitch"].min()),
        "highest": int(notes["pitch"].max()),
        "key": None if key is None else str(key),
    }
