"""``muse compose`` and ``muse intent``: prompts and options in, files and reports out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from muse.cli.options import asks_for
from muse.cli.output import (
    AddressOption,
    ArrangerOption,
    EngineOption,
    JsonOption,
    PlannerOption,
    given,
    log,
    print_json,
    progress_bar,
)
from muse.errors import InputError
from muse.tasks.request import PROMPTS, ComposeRequest

if TYPE_CHECKING:
    from muse.composer import Composer
    from muse.intent import Intent
    from muse.prompts import Parsed

__all__ = ["compose", "intent"]

_FIELDS = [name for name in ComposeRequest.__dataclass_fields__ if name != "emotion"]
_IN_A_BATCH = ("candidates", "seed", "temperature", "top_p", "guidance", "rank")

_Sheet = Annotated[
    str | None, typer.Option(metavar="F.pdf", help="Write sheet music as well (MusicXML, PDF, SVG or PNG).")
]
_LeadSheet = Annotated[
    str | None,
    typer.Option(metavar="F.abc", help="Write tune and chords as well (ABC, MusicXML, JSON, SVG, PDF, PNG or MIDI)."),
]
_Plot = Annotated[str | None, typer.Option(metavar="F.png", help="Draw the piano roll as well (PNG or SVG).")]
_Audio = Annotated[
    str | None, typer.Option(metavar="F.wav", help="Write the sound as well (WAV, FLAC, OGG, MP3 or M4A).")
]
_Stems = Annotated[
    str | None, typer.Option(metavar="DIR", help="Write the sound of each instrument as well, a WAV file each.")
]
_Soundfont = Annotated[
    str | None, typer.Option(metavar="F.sf2", help="What plays the sound; else MUSE_SOUNDFONT, else what is found.")
]
_Mux = Annotated[
    str | None, typer.Option(metavar="F.mp4", help="Write the video of --video with the music as its sound.")
]


@asks_for(ComposeRequest, only=_FIELDS)
def compose(
    fields: Mapping[str, Any],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT.mid",
            help="MIDI file; {emotion} stands for the emotion asked for. With --batch, a folder.",
        ),
    ],
    emotion: Annotated[
        list[str] | None,
        typer.Option("--emotion", metavar="WORD|Q1..Q4", help="Emotion; several give a piece each (see --output)."),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print what was understood of the prompts, and the intent in words.")
    ] = False,
    batch: Annotated[
        str | None,
        typer.Option(
            metavar="F.jsonl", help="Many requests, one JSON object a line; what is finished is not done again."
        ),
    ] = None,
    engine: EngineOption = "local",
    address: AddressOption = None,
    planner: PlannerOption = None,
    arranger: ArrangerOption = None,
    sheet: _Sheet = None,
    lead_sheet: _LeadSheet = None,
    plot: _Plot = None,
    audio: _Audio = None,
    stems: _Stems = None,
    soundfont: _Soundfont = None,
    mux: _Mux = None,
    as_json: JsonOption = False,
) -> None:
    """Compose a piece from an emotion or from prompts, and write it as MIDI."""
    models = given(planner=planner, arranger=arranger)
    files = {
        "midi": output, "sheet": sheet, "lead_sheet": lead_sheet, "plot": plot, "audio": audio, "mux": mux,
        "stems": stems,
    }  # fmt: skip
    if batch is not None:
        beside = [name for name in fields if name not in _IN_A_BATCH]
        if beside or emotion or any(file for kind, file in files.items() if kind != "midi"):
            raise InputError(
                "--batch: what to compose stands in the file; beside it go --seed, --candidates and sampling"
            )
        _compose_batch(batch, output, ComposeRequest(**{"seed": 0, **fields}), models, (engine, address), as_json)
        return
    if engine != "local" or address is not None:
        raise InputError("--engine and --address are for many requests: give them in a file with --batch")
    from muse.render import find_soundfont
    from muse.tasks.compose import Outputs
    from muse.tasks.compose import compose as compose_request

    words: list[str | None] = list(emotion) if emotion else [None]
    requests = [ComposeRequest(**fields, emotion=word) for word in words]
    several = len(requests) > 1
    if mux is not None and (fields.get("video") is None or several):
        raise InputError("--mux needs --video, and one piece: the music becomes the sound of that video")
    understood = [request.understood() for request in requests]
    if explain:
        _print_understood(*understood[0], err=as_json)
    if soundfont is not None:
        find_soundfont(soundfont)
    outputs = [Outputs.named(request.name, files, several=several) for request in requests]
    composer = _composer(models)
    documents = []
    for request, (_, asked), written in zip(requests, understood, outputs, strict=True):
        with progress_bar(f"composing {request.name}") as progress:
            piece = compose_request(request, composer(), intent=asked, progress=progress)
        written.write(piece, title=request.name, video=request.video, soundfont=soundfont)
        documents.append({"output": written.midi, **piece.to_json()})
        if not as_json:
            typer.echo(f"{written.midi}\n{piece.report()}")
    if as_json:
        print_json(documents if several else documents[0])


@asks_for(ComposeRequest, only=PROMPTS)
def intent(fields: Mapping[str, Any], as_json: JsonOption = False) -> None:
    """Show what is understood of prompts, and by what evidence; composes nothing."""
    parsed, asked = ComposeRequest(**fields).understood()
    if parsed is None:
        raise InputError(f"there is no prompt; give {', '.join('--' + kind for kind in PROMPTS)}")
    if as_json:
        print_json(parsed.to_dict())
    else:
        _print_understood(parsed, asked)


def _composer(models: Mapping[str, str]) -> Callable[[], Composer]:
    """What loads the composer when it is first needed; a wrong name is reported before anything else is done."""
    from functools import cache

    from muse.composer import Composer, versions

    versions(**models)
    return cache(lambda: Composer.from_pretrained(**models))


def _compose_batch(
    path: str,
    folder: str,
    defaults: ComposeRequest,
    models: Mapping[str, str],
    engine: tuple[str, str | None],
    as_json: bool,
) -> None:
    from functools import partial

    from muse.composer import Composer, versions
    from muse.engines import InProcess, find_engine
    from muse.tasks.batch import compose_batch, read_requests

    if Path(folder).suffix.lower() in (".mid", ".midi") or Path(folder).is_file():
        raise InputError(f"--output {folder}: --batch writes many files; give a folder")
    where = find_engine(engine[0], local=InProcess(), address=engine[1])
    requests = read_requests(path, defaults)
    made_by = versions(**models)
    documents: list[dict[str, Any]] = []
    failed = kept = 0
    with progress_bar(f"composing {len(requests)} pieces") as progress:
        composer = partial(Composer.from_pretrained, **models)
        for outcome in compose_batch(requests, folder, composer, made_by, engine=where, progress=progress):
            if outcome.document is None:
                failed += 1
                log(f"muse: {path}, line {outcome.line.line}: {outcome.fault}")
                documents.append({"line": outcome.line.line, "id": outcome.line.id, "error": outcome.fault})
            else:
                kept += outcome.was_finished
                documents.append(dict(outcome.document))
    if as_json:
        print_json(documents)
    else:
        typer.echo(f"{folder}: {len(requests) - failed - kept} composed, {kept} finished before, {failed} failed")
    if failed:
        raise typer.Exit(2)


def _print_understood(parsed: Parsed | None, asked: Intent, *, err: bool = False) -> None:
    for row in parsed.evidence if parsed else ():
        typer.echo(str(row), err=err)
    typer.echo(f"intent: {asked.in_words()}", err=err)
