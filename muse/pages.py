"""Pages from templates, and how they write figures and tables.

Templates are Jinja files beside the code that has the figures. Beside Jinja's own, they have the filters ``figure``
(few digits), ``interval`` (two bounds in brackets), ``share`` (a share of a scorecard with its interval), ``cells`` (a
row of a Markdown table) and ``text`` (names of files and other words that are not ours, without effect as Markdown or
HTML), and the function ``rule`` (the line below a table's head). A name that the values lack is an error, never blank.

Contents: :func:`render`, :func:`figure`, :func:`interval`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

__all__ = ["figure", "interval", "render"]


def render(template: Path, values: Mapping[str, Any]) -> str:
    """Text of a template.

    Parameters
    ----------
    template
        Its file; it may include and import others of the same folder.
    values
        What it writes about, by the names that it uses.

    Raises
    ------
    jinja2.UndefinedError
        It uses a name that `values` lacks.
    """
    return _environment(template.parent).get_template(template.name).render(values)


@cache
def _environment(folder: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # pages are Markdown; what is not ours goes through `text`
    )
    environment.filters |= {"figure": figure, "interval": interval, "share": _share, "cells": _cells, "text": _text}
    environment.globals["rule"] = lambda n: _cells(["---"] * n)
    return environment


def figure(value: float | None, digits: int = 2) -> str:
    """A number with so many decimals, none from 10 on; a question mark for what is not defined."""
    return "?" if value is None else f"{value:.{digits if abs(value) < 10 else 0}f}"


def interval(bounds: Sequence[float | None], digits: int = 2) -> str:
    """``[0.12, 0.34]``."""
    return f"[{', '.join(figure(bound, digits) for bound in bounds)}]"


def _text(value: str) -> str:
    """Text of one line in which nothing is markup."""
    escaped = html.escape(" ".join(value.split()), quote=False)
    return re.sub(r"([\\`*\[|])", r"\\\1", escaped)


def _share(card: Mapping[str, Any], name: str) -> str:
    """A share of a scorecard with its interval."""
    return f"{figure(card[name], 3)} {interval(card['interval'][name])}"


def _cells(row: Iterable[Any]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(map(str, row))} |"
