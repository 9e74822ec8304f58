"""Datasets: from folders of MIDI files to shards that training and evaluation read.

:mod:`~muse.dataset.build` turns folders into shards, :mod:`~muse.dataset.read` reads them back. Parquet is loaded only
by the functions that need it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from muse.dataset.build import build_corpus
    from muse.dataset.read import Corpus, corpus_info

__all__ = ["Corpus", "build_corpus", "corpus_info"]

_HOMES = {"Corpus": "read", "corpus_info": "read", "build_corpus": "build"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"muse.dataset.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
