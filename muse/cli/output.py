"""What every command of the command line shares: options, JSON, progress and complaints.

Contents: :data:`JsonOption`, :data:`PlannerOption`, :data:`ArrangerOption`, :data:`ConfigOption`,
:data:`EngineOption`, :data:`AddressOption`, :func:`group`,
:func:`print_json`, :func:`print_document`, :func:`progress_bar`, :func:`complain`, :func:`fail_for`, :func:`given`,
:func:`read_config`.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Protocol

import typer

from muse.errors import InputError, unknown
from muse.files import plain, read_json, to_json

__all__ = [
    "AddressOption",
    "ArrangerOption",
    "ConfigOption",
    "EngineOption",
    "JsonOption",
    "PlannerOption",
    "Progress",
    "complain",
    "fail_for",
    "given",
    "group",
    "log",
    "print_document",
    "print_json",
    "progress_bar",
    "read_config",
]


class Progress(Protocol):
    """What the library calls to say how far it is: (done, total), or the share alone."""

    def __call__(self, done: float, total: float = 1.0, /) -> None: ...


def group(help_text: str) -> typer.Typer:
    """A command with commands of its own; alone it prints its help."""
    made = typer.Typer(help=help_text, add_completion=False, invoke_without_command=True, rich_markup_mode=None)

    @made.callback()
    def alone(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())

    return made


JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
PlannerOption = Annotated[
    str | None,
    typer.Option(metavar="NAME|DIR", help="Checkpoint that writes lead sheets: one that comes with Muse, or a folder."),
]
ArrangerOption = Annotated[
    str | None, typer.Option(metavar="NAME|DIR", help="Checkpoint that arranges them for the instruments.")
]
EngineOption = Annotated[
    str, typer.Option("--engine", metavar="local|ray", help="Where the work is done: this machine, or a Ray cluster.")
]
AddressOption = Annotated[
    str | None,
    typer.Option("--address", metavar="HOST:PORT", help="Ray cluster to join; one is started here when not given."),
]
ConfigOption = Annotated[
    str | None,
    typer.Option(
        "--config", metavar="F.json", help="JSON object of further arguments; options given here go before it."
    ),
]


def complain(message: str) -> int:
    """One line on stderr; gives the exit code."""
    print(f"muse: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201
    return 2


def print_json(document: object) -> None:
    """One JSON document on stdout."""
    typer.echo(to_json(document))


def log(message: str) -> None:
    """A line on stderr."""
    typer.echo(message, err=True)


@contextlib.contextmanager
def progress_bar(task: str) -> Iterator[Progress | None]:
    """A progress bar on stderr, or None where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Bar(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        row = bar.add_task(task, total=1.0)

        def show(done: float, total: float = 1.0, /) -> None:
            bar.update(row, completed=done / max(total, 1e-9))

        yield show


def given(**options: Any) -> dict[str, Any]:
    """Only the options that were given, so that defaults stay the library's."""
    return {name: value for name, value in options.items() if value is not None}


def print_document(document: Mapping[str, Any], as_json: bool) -> None:
    """A mapping as JSON, or as indented lines for people."""
    if as_json:
        print_json(document)
    else:
        typer.echo("\n".join(_lines(plain(document))))


def _lines(value: Any, indent: str = "") -> Iterator[str]:
    items = value.items() if isinstance(value, dict) else ((f"{i}.", item) for i, item in enumerate(value, start=1))
    for name, item in items:
        if isinstance(item, list) and not any(isinstance(part, (dict, list)) for part in item):
            yield f"{indent}{name}: {', '.join(_shown(part) for part in item) or '-'}"
        elif isinstance(item, (dict, list)) and item:
            yield f"{indent}{name}"
            yield from _lines(item, indent + "  ")
        else:
            yield f"{indent}{name}: {_shown(item)}"


def _shown(value: Any) -> str:
    return "-" if value in (None, {}) else f"{value:.4g}" if isinstance(value, float) else str(value)


def fail_for(rows: Sequence[Mapping[str, Any]]) -> None:
    """Say what went wrong in rows, and end the command if anything did."""
    errors = [row["error"] for row in rows if "error" in row]
    for error in errors:
        complain(error)
    if errors:
        raise typer.Exit(2)


def read_config(file: str | None, function: Callable[..., Any], taken: Sequence[str] = ()) -> dict[str, Any]:
    """Keyword arguments from a JSON file, checked against the signature that they are for.

    Raises
    ------
    InputError
        The file is no JSON object, or has a name that is not an argument.
    """
    if file is None:
        return {}
    config = read_json(file)
    if not isinstance(config, dict):
        raise InputError(f"{file}: holds a {type(config).__name__}, needs an object of argument names and values")
    legal = [name for name in inspect.signature(function).parameters if name not in taken]
    for name in config:
        if name not in legal:
            raise InputError(f"{file}: {unknown('argument', name, legal)}")
    return config
