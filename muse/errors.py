"""The exception family of Muse, the one way to ask for an optional package, and what counts as a number at the door.

Every error that a caller can cause derives from :class:`MuseError`; each is also the standard exception that a
reader would expect, so ``except ValueError`` works as well as ``except muse.MuseError``.
"""

from __future__ import annotations

import difflib
import importlib
import numbers
from collections.abc import Iterable
from types import ModuleType
from typing import Any, TypeGuard

__all__ = [
    "InputError",
    "MissingExtraError",
    "MuseError",
    "is_number",
    "is_whole",
    "nearest",
    "require",
    "shown",
    "unknown",
]

_MAX_LISTED = 30
"""Names that a message lists before it only counts the rest."""


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


def unknown(what: str, given: str, known: Iterable[str], *, n_near: int = 3) -> InputError:
    """The error for a name that is none of the known ones: names the nearest, or what is legal.

    Parameters
    ----------
    what
        Kind of name with its adjective, for example ``"genre"``.
    given
        What came.
    known
        Legal names, in the order in which they are listed.
    n_near
        At most so many near names are offered.

    Returns
    -------
    InputError
        To be raised by the caller: ``unknown genre 'rok': did you mean 'rock'? Known are rock, pop, jazz``.
    """
    names = list(dict.fromkeys(known))
    near = nearest(given, names, n_near=n_near)
    meant = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    shown = ", ".join(names[:_MAX_LISTED]) + (
        f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    )
    return InputError(f"unknown {what} {given!r}: {meant}Known are {shown or 'none'}")


def nearest(given: str, known: Iterable[str], *, n_near: int = 3) -> list[str]:
    """The known names that look most like the given one, upper and lower case alike, the nearest first."""
    lower: dict[str, str] = {}
    for name in known:
        lower.setdefault(name.casefold(), name)
    return [lower[found] for found in difflib.get_close_matches(given.casefold(), lower, n=n_near, cutoff=0.6)]


def shown(value: object) -> str:
    """A value that came in, as messages quote it: at most 60 characters of it."""
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**18 else "beyond 1e18"
    return text if len(text) <= 60 else f"{text[:57]}..."


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value that came in is a real number, numpy's among them; truth values are none."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def is_whole(value: Any) -> TypeGuard[int]:
    """Whether a value that came in is an integer, numpy's among them; truth values are none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)
