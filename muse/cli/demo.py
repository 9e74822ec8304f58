"""``muse demo``: the page in a browser."""

from __future__ import annotations

import importlib.util
import sys
from typing import Annotated

import typer

from muse.cli.network import HostOption, PortOption, check_free
from muse.errors import InputError, require

__all__ = ["demo"]


def demo(
    host: HostOption = "127.0.0.1",
    port: PortOption = 7860,
    auth: Annotated[
        str | None,
        typer.Option(metavar="NAME:PASSWORD", envvar="MUSE_AUTH", help="What visitors have to give."),
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no browser.")] = False,
) -> None:
    """Open the page: compose, recognize and explore in a browser."""
    name, _, password = (auth or "").partition(":")
    if auth is not None and not (name and password):
        raise InputError("--auth needs a name and a password with a colon between them, for example anna:secret")
    check_free(host, port)
    require("gradio", "demo", "muse demo")
    _load_page()
    from demos.app import serve

    typer.echo(f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}/  (Ctrl-C ends it)")
    serve(host, port, auth=(name, password) if auth is not None else None, browser=not no_browser)


def _load_page() -> None:
    """Make the folder of the page importable as the package ``demos``, wherever Muse is installed."""
    from muse.checkpoint import data_path

    if "demos" in sys.modules:
        return
    folder = data_path("demos")
    spec = importlib.util.spec_from_file_location(
        "demos", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None or not (folder / "__init__.py").is_file():
        raise InputError(f"{folder}: the page is not there: install Muse anew")
    package = importlib.util.module_from_spec(spec)
    sys.modules["demos"] = package
    spec.loader.exec_module(package)
