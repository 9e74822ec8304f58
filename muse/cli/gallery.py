"""``muse gallery``: a page of a folder of compositions."""

from __future__ import annotations

from typing import Annotated

import typer

from muse.cli.output import JsonOption, fail_for, print_json, progress_bar

__all__ = ["gallery"]


def gallery(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="MIDI files, for example of `muse compose --batch`.")],
    output: Annotated[str, typer.Option("--output", "-o", metavar="SITE", help="Folder of the page.")],
    title: Annotated[str, typer.Option(metavar="T", help="Heading of the page.")] = "Gallery",
    soundfont: Annotated[str | None, typer.Option(metavar="F.sf2", help="Soundfont to play with.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a page of a folder of pieces, with players, piano rolls and sheet music; it needs nothing but a browser."""
    from muse.tasks.gallery import make_gallery

    with progress_bar("playing and engraving") as progress:
        rows = make_gallery(folder, output, title=title, soundfont=soundfont, progress=progress)
    if as_json:
        print_json(rows)
    else:
        typer.echo(f"{output}/index.html: {sum('error' not in row for row in rows)} pieces")
    fail_for(rows)
