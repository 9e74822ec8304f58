"""Progress of a long evaluation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Progress", "Steps"]

Progress: TypeAlias = Callable[[float, float], None]
"""Called with (done, total)."""


class Steps:
    """Counts what is done for a progress bar."""

    def __init__(self, progress: Progress | None = None, total: int = 0) -> None:
        self.progress, self.done, self.total = progress, 0, total

    def tick(self, n: int = 1) -> None:
        """So many steps more are done."""
        self.done += n
        if self.progress:
            self.progress(self.done, self.total)
