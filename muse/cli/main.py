"""The ``muse`` command: one Typer command per verb. It reads options, calls a task and prints; the library decides.

Conventions
-----------
exit code
    0; 2 with one clear line on stderr; 130 after Ctrl-C. Nothing is left half-written in any case.
``--json``
    Exactly one JSON document on stdout. Everything else (log, progress) goes to stderr, progress only to a terminal.
imports
    Every command imports what it needs when it runs, so that ``muse --help`` is instant.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from muse import __version__
from muse.cli import analyze, compose, corpus, demo, evaluate, gallery, info, plan, serve, train, transcribe
from muse.cli.output import complain
from muse.errors import MuseError

__all__ = ["app", "main"]

app = typer.Typer(
    help="Turn an emotion into symbolic music, and recognize the emotion that a piece carries.",
    add_completion=False, no_args_is_help=True, rich_markup_mode=None,
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit; see the module's conventions for codes."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = app(arguments or ["--help"], prog_name="muse", standalone_mode=False)
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except BrokenPipeError:  # the reader of our output has gone; it wants no message
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except MuseError as error:
        code = complain(str(error))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        code = complain(f"{where}{error.strerror or error}")
    except Exception as error:
        if hasattr(error, "format_message"):  # Typer's own usage errors
            code = complain(f"{error.format_message()} (muse --help lists commands and options)")
        elif os.environ.get("MUSE_DEBUG"):
            raise
        else:
            code = complain(
                f"internal error, please report it: {type(error).__name__}: {error} (MUSE_DEBUG=1 shows where)"
            )
    sys.exit(code if isinstance(code, int) else 0)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"muse {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


app.command()(compose.compose)
app.command()(compose.intent)
app.command()(plan.plan)
app.command()(analyze.analyze)
app.command()(analyze.recognize)
app.command()(transcribe.transcribe)
app.command()(demo.demo)
app.command()(gallery.gallery)
app.command()(serve.serve)
app.command()(evaluate.evaluate)
app.command()(evaluate.bench)
app.command()(info.info)
app.add_typer(info.list_app, name="list")
app.add_typer(corpus.app, name="corpus")
app.add_typer(train.app, name="train")
