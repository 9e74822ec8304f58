"""``muse demo``: the page in a browser."""

from __future__ import annotations

import importlib.util
import sys
from typing import Annotated

import typer

from muse.errors import InputError, require

__all__ = ["demo"]


def demo(
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; 0.0.0.0 is every network of this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", help="Port to listen at.")] = 7860,
    auth: Annotated[
        str | None,
        typer.Option(metavar="NAME:PASSWORD", envvar="MUSE_AUTH", help="What visitors have to give."),
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no browser.")] = False,
) -> None:
    """Open the page: compose, recognize and explore in a browser."""
    if not 1 <= port <= 65535:
        raise InputError(f"--port is {port}; legal are 1..65535")
    name, _, password = (auth or "").partition(":")
    if auth is not None and not (name and password):
        raise InputError("--auth needs a name and a password with a colon between them, for example anna:secret")
    _check_free(host, port)
    require("gradio", "demo", "muse demo")
    _load_page()
    from demos.app import serve

    typer.echo(f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}/  (Ctrl-C ends it)")
    serve(host, port, auth=(name, password) if auth is not None else None, browser=not no_browser)


def _check_free(host: str, port: int) -> None:
    """Say at once that the page cannot be served there; loading it takes seconds."""
    import socket

    try:
        with socket.create_server((host, port)):
            pass
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{host}:{port} cannot be listened at ({reason}): give another --host or --port") from None


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
