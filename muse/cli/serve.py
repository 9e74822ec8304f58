"""``muse serve``: the tasks over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from muse.cli.network import HostOption, PortOption, check_free
from muse.errors import InputError, require
from muse.tasks.limits import MAX_BATCH, MAX_WAITING, N_BATCH

__all__ = ["serve"]


def serve(
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Processes that do the work; default: one for each core.")
    ] = None,
    batch: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Requests that each process works on at once, pieces among them in one batch; 1: one after another.",
        ),
    ] = N_BATCH,
    waiting: Annotated[
        int, typer.Option(metavar="N", help="Further requests that may wait; those after them are told to come again.")
    ] = MAX_WAITING,
    api_key_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", envvar="MUSE_API_KEY_FILE", help="Keys, one a line; without it, everybody may ask."
        ),
    ] = None,
) -> None:
    """Serve the tasks over HTTP: compose, intent, analyze and recognize, for programs."""
    for name, value, low, high in (
        ("workers", workers, 1, 10_000), ("batch", batch, 1, MAX_BATCH), ("waiting", waiting, 0, 10_000)
    ):  # fmt: skip
        if value is not None and not low <= value <= high:
            raise InputError(f"--{name} is {value}; legal are {low}..{high}")
    check_free(host, port)
    for module in ("fastapi", "uvicorn", "prometheus_client"):
        require(module, "serve", "muse serve")
    from muse.serve import serve as serve_http
    from muse.serve.keys import Keys

    keys = Keys.read(api_key_file) if api_key_file else None
    shown = "127.0.0.1" if host == "0.0.0.0" else host
    typer.echo(f"http://{shown}:{port}/  (what it does: /openapi.json; Ctrl-C ends it)", err=True)
    serve_http(host, port, n_workers=workers, n_batch=batch, max_waiting=waiting, keys=keys)
