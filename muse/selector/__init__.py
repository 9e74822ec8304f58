"""The selector rates pieces: quality, emotion, genre. See :mod:`muse.selector.model`."""

from muse.selector.model import Ratings, Selector

__all__ = ["Ratings", "Selector"]
