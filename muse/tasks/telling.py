"""Composing in one of :mod:`muse.tasks.processes`, with word of what was understood and of every bar that is written.

Conventions
-----------
word
    :class:`Understood` first; then the share done (float, 0..1) several times a second and a
    :class:`~muse.composer.WrittenBar` for each bar; None where there is nothing to say, so that work can be stopped.

Contents: :class:`Understood`, :func:`compose_telling`, :func:`load`, :func:`taken_steps`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from muse.tasks.compose import compose
from muse.tasks.limits import check_work

if TYPE_CHECKING:
    from muse.composer import Composer, Composition
    from muse.intent import Intent
    from muse.prompts import Parsed
    from muse.tasks.processes import Tell
    from muse.tasks.request import ComposeRequest

__all__ = ["Understood", "compose_telling", "load", "taken_steps"]

_WORD_SEC: Final = 0.05
"""Between two words on how far a piece is."""


@dataclass(frozen=True)
class Understood:
    """What :meth:`~muse.tasks.request.ComposeRequest.understood` gave."""

    parsed: Parsed | None
    intent: Intent


def compose_telling(request: ComposeRequest, tell: Tell) -> Composition:
    """Compose what a request asks for, as :func:`muse.tasks.compose.compose` does, within :mod:`muse.tasks.limits`.

    Raises
    ------
    InputError
        The request asks for something that does not exist, cannot be read, or is too much.
    """
    spoke, told = 0.0, -1.0

    def progress(share: float) -> None:
        nonlocal spoke, told
        if (now := time.monotonic()) - spoke >= _WORD_SEC:
            tell(share if share > told else None)
            spoke, told = now, share

    parsed, intent = request.understood()
    check_work(request, intent)
    tell(Understood(parsed, intent))
    return compose(request, _composer(), intent=intent, progress=progress, on_bar=tell)


def load() -> None:
    """Load what composing needs, ahead of the first request; the rest is loaded by whoever asks first."""
    _composer()


def taken_steps() -> dict[int, int]:
    """Of the composer of :func:`compose_telling`, see :meth:`muse.composer.Stages.taken_steps`."""
    return _composer().stages.taken_steps()


@cache
def _composer() -> Composer:
    from muse.composer import Composer

    return Composer.from_pretrained()
