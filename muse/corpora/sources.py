"""What is known of each data set beside its files: licence, and the scales on which people rated.

A data set is known by how the name of its folder begins (``emopia-nc``, ``DEAM``).

Contents: :class:`Source`, :data:`SOURCES`, :func:`source_of`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["LICENCE_CLASSES", "SOURCES", "Source", "source_of"]

LICENCE_CLASSES: Final = ("permissive", "copyleft", "nc", "unclear")
"""From the most permissive on; unknown terms last."""


@dataclass(frozen=True)
class Source:
    """A data set as its makers describe it."""

    licence: str = ""
    licence_class: str = "unclear"
    """One of :data:`LICENCE_CLASSES`."""
    valence: tuple[float, float] = (-1.0, 1.0)
    """Lowest and highest value of the scale; likewise ``arousal``."""
    arousal: tuple[float, float] = (-1.0, 1.0)

    def scaled(self, valence: float, arousal: float) -> tuple[float, float]:
        """Valence and arousal mapped linearly from the source's scales to -1..1."""
        return _scaled(valence, *self.valence), _scaled(arousal, *self.arousal)


def _scaled(value: float, low: float, high: float) -> float:
    return (value - (low + high) / 2) / ((high - low) / 2)


SOURCES: Final[Mapping[str, Source]] = {
    "deam": Source(valence=(1, 9), arousal=(1, 9)),
    "emomusic": Source(valence=(1, 9), arousal=(1, 9)),
    "emopia": Source("CC BY-NC-SA 4.0", "nc"),
    "memomusic": Source(valence=(-5, 5), arousal=(0, 10)),
    "pmemo": Source(valence=(0, 1), arousal=(0, 1)),
    "pop909": Source("MIT", "permissive"),
    "vgmidi": Source("not stated", "unclear"),
    "xmidi": Source("not stated", "unclear"),
}
"""By the beginning of the folder's name; what is not here has ratings in -1..1 and a licence of its own in each row."""


def source_of(folder_name: str) -> Source:
    """The data set whose name a folder's name begins with; one without a name when there is none."""
    name = folder_name.casefold()
    return next((source for start, source in SOURCES.items() if name.startswith(start)), Source())
