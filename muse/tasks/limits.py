"""What one request over a network may ask of the machine: the page and the service hold to the same.

Contents: :data:`MAX_BARS`, :data:`MAX_CANDIDATES`, :data:`MAX_WORK`, :data:`MAX_CHARACTERS`, :data:`MAX_UPLOAD_BYTES`,
:data:`MAX_SOUND_SEC`, :data:`MAX_SECONDS`, :data:`MAX_WAITING`, :data:`N_BATCH`, :data:`MAX_BATCH`;
:func:`check_request`, :func:`check_work`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from muse.errors import InputError

if TYPE_CHECKING:
    from muse.intent import Intent
    from muse.tasks.request import ComposeRequest

__all__ = [
    "MAX_BARS",
    "MAX_BATCH",
    "MAX_CANDIDATES",
    "MAX_CHARACTERS",
    "MAX_SECONDS",
    "MAX_SOUND_SEC",
    "MAX_UPLOAD_BYTES",
    "MAX_WAITING",
    "N_BATCH",
    "check_request",
    "check_work",
]

MAX_BARS: Final = 64
MAX_CANDIDATES: Final = 8
MAX_CHARACTERS: Final = 2000
"""Of any one text."""
MAX_UPLOAD_BYTES: Final = 20_000_000
MAX_SOUND_SEC: Final = 600.0
"""Of an uploaded recording or video, seconds."""
MAX_SECONDS: Final = 180.0
"""Work that takes longer is stopped."""
N_BATCH: Final = 1
"""Requests that a process works on at once; pieces among several are written in one batch, which costs more than it
gains on a CPU (docs/serving.md)."""
MAX_BATCH: Final = 32
"""The most that may be set: a process has memory for the pieces of so many."""
MAX_WAITING: Final = 32
"""Requests in the queue; further ones are refused."""


def check_request(request: ComposeRequest) -> None:
    """Refuse what is too much before anything is read.

    Raises
    ------
    InputError
        Too many candidates or bars, or too long a text.
    """
    for name, value in request.to_fields().items():
        if isinstance(value, str) and len(value) > MAX_CHARACTERS:
            raise InputError(f"{name} is longer than {MAX_CHARACTERS} characters: make it shorter")
    if not 1 <= request.candidates <= MAX_CANDIDATES:
        raise InputError(f"candidates is {request.candidates}; legal here are 1..{MAX_CANDIDATES}")
    if request.bars is not None:
        _check_bars(request.bars)


def check_work(request: ComposeRequest, intent: Intent) -> None:
    """Refuse too long a piece, whatever asked for its length: a field, a prompt, or a lead sheet.

    Raises
    ------
    InputError
        The piece has too many bars, or the lead sheet cannot be read.
    """
    plan = request.lead_sheet()
    _check_bars(intent.bars if plan is None else len(plan.bars))


def _check_bars(bars: int) -> None:
    if not 1 <= bars <= MAX_BARS:
        raise InputError(f"bars is {bars}; legal here are 1..{MAX_BARS}")
