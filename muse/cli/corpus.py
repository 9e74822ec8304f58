"""``muse corpus``: make a dataset from folders of MIDI files, or describe it."""

from __future__ import annotations

from typing import Annotated

import typer

from muse.cli.output import (
    AddressOption,
    ConfigOption,
    EngineOption,
    JsonOption,
    given,
    group,
    print_document,
    progress_bar,
    read_config,
)

__all__ = ["app"]

app = group("Make training data from folders of MIDI files, or describe it.")

SourcesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="SRC...",
        help="Folders of MIDI files, labels as they come; zip, tar or Parquet archives; URLs of either.",
    ),
]
ProcessesOption = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Worker processes, or actors; one per core when not given.")
]


@app.command("build")
def corpus_build(
    sources: SourcesArgument,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="DIR", help="Folder of the dataset; an old run is resumed.")
    ],
    licence: Annotated[
        list[str] | None,
        typer.Option(metavar="CLASS", help="Take only permissive, copyleft, nc or unclear; repeatable."),
    ] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", help="Take at most N songs of each corpus.")] = None,
    processes: ProcessesOption = None,
    engine: EngineOption = "local",
    address: AddressOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Clean, align, cut and label MIDI files into Parquet shards."""
    from muse.dataset import build_corpus
    from muse.dataset.build import Settings
    from muse.engines import ProcessPool, find_engine

    options = given(licence_classes=licence, limit=limit, n_processes=processes)
    where = find_engine(engine, local=ProcessPool(processes), address=address, n=processes)
    settings = Settings(**read_config(config, Settings))
    with progress_bar("building") as progress:
        document = build_corpus(sources, output, settings=settings, engine=where, progress=progress, **options)
    print_document(document, as_json)


@app.command("lead-sheets")
def corpus_lead_sheets(
    sources: SourcesArgument,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="DIR", help="Folder of the shards; an old run is resumed.")
    ],
    licence: Annotated[
        list[str] | None,
        typer.Option(metavar="CLASS", help="Take permissive (the default), copyleft, nc or unclear; repeatable."),
    ] = None,
    processes: ProcessesOption = None,
    engine: EngineOption = "local",
    address: AddressOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take lead sheets and their arrangements out of MIDI files: what planner and arranger learn from."""
    from muse.dataset.lead_sheets import build
    from muse.engines import ProcessPool, find_engine

    options = given(licence_classes=licence)
    where = find_engine(engine, local=ProcessPool(processes), address=address, n=processes)
    with progress_bar("reading") as progress:
        document = build(sources, output, engine=where, progress=progress, **options)
    print_document(document, as_json)


@app.command("info")
def corpus_info(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Folder that `muse corpus build` made.")],
    as_json: JsonOption = False,
) -> None:
    """Count what a dataset holds, by source, licence, split and label."""
    from muse import dataset

    print_document(dataset.corpus_info(folder), as_json)
