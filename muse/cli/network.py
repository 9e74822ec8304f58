"""What commands that listen at a port share.

Contents: :data:`HostOption`, :data:`PortOption`, :func:`check_free`.
"""

from __future__ import annotations

from typing import Annotated

import typer

from muse.errors import InputError

__all__ = ["HostOption", "PortOption", "check_free"]

HostOption = Annotated[
    str, typer.Option(metavar="ADDRESS", help="Where to listen; 0.0.0.0 is every network of this machine.")
]
PortOption = Annotated[int, typer.Option(metavar="N", help="Port to listen at.")]


def check_free(host: str, port: int) -> None:
    """Say at once that nothing can be served there; loading what is served takes seconds.

    Raises
    ------
    InputError
        There is no such port, or it is taken.
    """
    import socket

    if not 1 <= port <= 65535:
        raise InputError(f"--port is {port}; legal are 1..65535")
    try:
        with socket.create_server((host, port)):
            pass
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{host}:{port} cannot be listened at ({reason}): give another --host or --port") from None
