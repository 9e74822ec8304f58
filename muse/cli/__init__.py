"""The ``muse`` command."""

from muse.cli.main import app, main

__all__ = ["app", "main"]
