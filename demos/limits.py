"""What one visitor may ask of the machine: the limits of :mod:`muse.tasks.limits`, and how long pieces are kept.

Contents: :data:`KEEP_SEC`, :data:`MAX_KEPT`, :data:`MAX_VISITORS`, :data:`N_WORKERS`, and what is imported here.
"""

from __future__ import annotations

import os
from typing import Final

from muse.tasks.limits import (
    MAX_BARS,
    MAX_CANDIDATES,
    MAX_CHARACTERS,
    MAX_SECONDS,
    MAX_SOUND_SEC,
    MAX_UPLOAD_BYTES,
    MAX_WAITING,
    check_request,
)

__all__ = [
    "KEEP_SEC",
    "MAX_BARS",
    "MAX_CANDIDATES",
    "MAX_CHARACTERS",
    "MAX_KEPT",
    "MAX_SECONDS",
    "MAX_SOUND_SEC",
    "MAX_UPLOAD_BYTES",
    "MAX_VISITORS",
    "MAX_WAITING",
    "N_WORKERS",
    "check_request",
]

N_WORKERS: Final = min(4, os.cpu_count() or 1)
"""Requests that are worked on at once, and files of pieces that are written at once."""
KEEP_SEC: Final = 3600.0
"""Pieces and uploads are deleted after so many seconds, or when their visitor leaves."""
MAX_KEPT: Final = 200
"""Pieces kept for all visitors together; the oldest go first."""
MAX_VISITORS: Final = 100
"""Of whom the page remembers the last piece; who was quiet the longest is forgotten first, and composes anew."""
