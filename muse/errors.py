"""The exception family of Muse, and the one way to ask for an optional package.

Every error that a caller can cause derives from :class:`MuseError`; each is also the standard exception that a
reader would expect, so ``except ValueError`` works as well as ``except muse.MuseError``.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["InputError", "MissingExtraError", "MuseError", "require"]


class MuseError(Exception):
    """Base of all errors that Muse raises on purpose. Its text is one line for people."""


class InputError(MuseError, ValueError):
    """Something that came in (file, option, value) cannot be used; says what came, what is legal and a remedy."""


class MissingExtraError(MuseError, ImportError):
    """An optional package is absent; names the caller and the extra that brings it."""


def require(module: str, extra: str, caller: str = "This") -> ModuleType:
    """Import an optional package or say how to get it.

    Parameters
    ----------
    module
        Dotted name to import, for example ``"gradio"``.
    extra
        The extra of ``pip install 'muse-music[extra]'`` that brings it.
    caller
        What needs it, for the message.

    Raises
    ------
    MissingExtraError
        The package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(f"{caller} needs the package {module!r}: pip install 'muse-music[{extra}]'") from error
