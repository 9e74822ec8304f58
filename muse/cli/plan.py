"""``muse plan``: lead sheets found, read, and written in another form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from muse.cli.output import JsonOption, print_json
from muse.errors import InputError

if TYPE_CHECKING:
    from muse.tokens.plan import Plan

__all__ = ["plan"]

_BARS_A_LINE = 8


def plan(
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="MIDI, ABC, MusicXML or JSON file.", show_default=False)
    ] = None,
    chords: Annotated[
        str | None, typer.Option(metavar="'C | C ...'", help="Chords in the place of a file: 'Am | F G | C'.")
    ] = None,
    time_signature: Annotated[
        str | None, typer.Option(metavar="N/D", help="Meter of --chords; 4/4 when not given.")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="F.abc", help="Write it as ABC, MusicXML, JSON, SVG, PDF, PNG or MIDI as well."
        ),
    ] = None,
    title: Annotated[str | None, typer.Option(metavar="TEXT", help="Heading; the name of the file when not given.")] = (
        None
    ),
    as_json: JsonOption = False,
) -> None:
    """Show the lead sheet of a file: key, meter, form and chords; of MIDI the one that is found in its notes."""
    from muse.sheets import read_plan, write_plan
    from muse.tokens.plan import Plan

    if (file is None) == (chords is None):
        raise InputError("give a file, or --chords")
    if chords is None:
        if time_signature is not None:
            raise InputError("--time-signature is of --chords; a file says its own")
        found = read_plan(str(file))
    else:
        from muse.intent import parse_time_signature

        meter = (4, 4) if time_signature is None else parse_time_signature(time_signature)
        found = Plan.parse(chords, time_signature=meter)
    if output is not None:
        write_plan(found, output, title=title)
    if as_json:
        print_json({"file": file, "output": output, **_summary(found), "plan": found.to_json()})
    else:
        typer.echo("\n".join(_lines(file or "chords", found)))
        if output is not None:
            typer.echo(output)


def _summary(plan: Plan) -> dict[str, object]:
    return {
        "key": plan.key_name,
        "time_signature": "/".join(map(str, plan.time_signature)),
        "tempo_bpm": plan.tempo_bpm,
        "bars": len(plan.bars),
        "form": plan.form,
        "n_notes": sum(len(bar.melody) for bar in plan.bars),
        "chords": str(plan),
    }


def _lines(name: str, plan: Plan) -> Iterator[str]:
    about = _summary(plan)
    facts = [about["key"], about["time_signature"]]
    facts += [f"{plan.tempo_bpm:g} bpm"] if plan.tempo_bpm is not None else []
    facts += [f"{len(plan.bars)} bars", *([f"form {plan.form}"] if plan.form else [])]
    yield f"{name}: {', '.join(map(str, facts))}; a tune of {about['n_notes']} notes"
    for section in str(plan).splitlines():
        bars = section.split(" | ")
        for first in range(0, len(bars), _BARS_A_LINE):
            yield ("    " if first else "") + " | ".join(bars[first : first + _BARS_A_LINE])
