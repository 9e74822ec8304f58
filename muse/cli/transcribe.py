"""``muse transcribe``: the notes of recordings as MIDI."""

from __future__ import annotations

from typing import Annotated

import typer

from muse.cli.output import JsonOption, fail_for, print_json, progress_bar

__all__ = ["transcribe"]


def transcribe(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Sound files (WAV, FLAC, Ogg, MP3, M4A), or folders of them.")
    ],
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="F.mid|DIR", help="A MIDI file, or of several files a folder for them."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Write the notes of recordings as MIDI: pitches, times and relative loudness, without bars and drums."""
    from muse.tasks.transcribe import TranscribeRequest
    from muse.tasks.transcribe import transcribe as task

    request = TranscribeRequest(files=tuple(files), output=output)
    with progress_bar("transcribing") as progress:
        rows = list(task(request, progress=progress))
    if as_json:
        print_json(rows)
    else:
        for row in rows:
            if "error" not in row:
                key = row["key"] or "no key"
                typer.echo(f"{row['output']}: {row['n_notes']} notes, {row['duration_s']:.1f} s, {key}")
    fail_for(rows)
