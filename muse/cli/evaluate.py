"""``muse evaluate`` and ``muse bench``: how good, and how fast."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from muse.cli.output import ArrangerOption, JsonOption, PlannerOption, given, print_document, progress_bar
from muse.errors import InputError

__all__ = ["bench", "evaluate"]


def evaluate(
    output: Annotated[str, typer.Option("--output", "-o", metavar="DIR", help="Folder of the report.")],
    corpora: Annotated[
        str,
        typer.Option(
            metavar="DIR", help="Folder with emopia-nc and vgmidi-unclear, which teach the judges, and pop909."
        ),
    ],
    dataset: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Dataset that the generator learnt from: copies, baseline, reference."),
    ] = None,
    folder: Annotated[
        str | None, typer.Argument(metavar="[DIR]", help="MIDI files to evaluate; Q1..Q4 in a name is what was asked.")
    ] = None,
    composer: Annotated[
        bool, typer.Option("--composer", help="Evaluate pieces that are composed now; the default without DIR.")
    ] = False,
    music: Annotated[
        bool, typer.Option("--music", help="Only how far its music is from people's: pop909 is all that this needs.")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="A little of everything, in minutes.")] = False,
    planner: PlannerOption = None,
    arranger: ArrangerOption = None,
    pieces: Annotated[int | None, typer.Option(metavar="N", help="Pieces per quadrant.")] = None,
    grid: Annotated[int | None, typer.Option(metavar="N", help="Points on each axis of the plane; 0 for none.")] = None,
    checked: Annotated[int | None, typer.Option(metavar="N", help="Further pieces that are checked for form.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluate the composer, or a folder of MIDI files, beside people and beside simpler systems."""
    if folder is not None and (composer or music):
        raise InputError("give a folder, or --composer or --music, not both")
    from muse.composer import Composer
    from muse.composer.arrange import DEFAULT_ARRANGER
    from muse.composer.plan import DEFAULT_PLANNER
    from muse.evaluate import EvaluationSettings, evaluate_composer, evaluate_folder, evaluate_music
    from muse.selector.model import DEFAULT_SELECTOR

    sizes = given(n_pieces=pieces, n_grid=grid, n_checked=checked)
    settings = EvaluationSettings.quick() if quick else EvaluationSettings()
    settings = replace(settings, **sizes, music=settings.music and replace(settings.music, **given(n_pieces=pieces)))
    with progress_bar("evaluating") as progress:
        weights = (planner or DEFAULT_PLANNER, arranger or DEFAULT_ARRANGER, DEFAULT_SELECTOR)
        if music:
            subject = Composer.from_pretrained(*weights[:2])
            report = evaluate_music(subject, corpora, output, settings.music, weights=weights, progress=progress)
        elif dataset is None:
            raise InputError("--dataset is missing; give the folder that `muse corpus build` wrote, or --music")
        elif folder is not None:
            from muse.selector import Selector

            report = evaluate_folder(
                folder, corpora, dataset, output,
                selector=Selector.from_pretrained(), weights=weights[2:], progress=progress,
            )  # fmt: skip
        else:
            subject = Composer.from_pretrained(*weights[:2])
            report = evaluate_composer(subject, corpora, dataset, output, settings, weights=weights, progress=progress)
    print_document(report, as_json)


def bench(
    checkpoint: Annotated[
        str | None, typer.Option(metavar="NAME|DIR", help="Model whose sampler is measured; the arranger by default.")
    ] = None,
    threads: Annotated[int | None, typer.Option(metavar="N", min=1, help="CPU threads of both sides.")] = None,
    repetitions: Annotated[int | None, typer.Option(metavar="N", help="Of every measurement; medians count.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure speed: our sampler beside transformers' generate, attributes, the recogniser, the whole command."""
    from muse.evaluate.speed import run_bench

    with progress_bar("measuring") as progress:
        result = run_bench(progress=progress, **given(checkpoint=checkpoint, threads=threads, repetitions=repetitions))
    print_document(result, as_json)
