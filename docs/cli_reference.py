"""Writes ``cli.md`` from the commands themselves: ``python docs/cli_reference.py``. A test keeps it current."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from muse.cli import app

HEAD = """# Command line

<!-- Written by docs/cli_reference.py from the code; do not edit. -->

Every command exits with 0, or with 2 and one clear line on stderr, or with 130 after Ctrl-C, and leaves nothing
half-written. With `--json` it prints exactly one JSON document on stdout; log and progress go to stderr.
"""


def reference() -> str:
    """The page as Markdown."""
    parts = [HEAD]
    for path, command in _commands(["muse"], typer.main.get_command(app)):
        parts += [f"## {' '.join(path)}", command.help or "", *_tables(command)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _commands(path: list[str], command: Any) -> Iterator[tuple[list[str], Any]]:
    """Every command that does something, depth first."""
    children = getattr(command, "commands", None)
    if children is None:
        yield path, command
        return
    for name, child in children.items():
        yield from _commands([*path, name], child)


def _tables(command: Any) -> Iterator[str]:
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    options = [param for param in command.params if param.param_type_name == "option" and param.name != "help"]
    if arguments:
        rows = [
            f"| `{_cell(param.metavar or param.name.upper())}` | {_cell(param.help or '')} |" for param in arguments
        ]
        yield "\n".join(["| argument | |", "|---|---|", *rows])
    rows = []
    for param in options:
        names = ", ".join(f"`{name}`" for name in param.opts)
        metavar = f" `{_cell(param.metavar)}`" if param.metavar else ""
        about = " ".join((param.help or "").split())
        if param.required:
            about += " Required."
        elif param.default not in (None, False, ()):
            about += f" Default: `{param.default}`."
        rows.append(f"| {names}{metavar} | {_cell(about)} |")
    if rows:
        yield "\n".join(["| option | |", "|---|---|", *rows])


def _cell(text: str) -> str:
    """Text that keeps a table cell whole."""
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    Path(__file__).with_name("cli.md").write_text(reference(), encoding="utf-8")
