"""Corpora: from folders of MIDI files to shards that training and evaluation read.

:mod:`~muse.corpus.importers` knows the labels of each data set, :mod:`~muse.corpus.build` turns folders into shards,
:mod:`~muse.corpus.read` reads them back. Parquet is loaded only by the functions that need it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from muse.corpus.build import build_corpus
    from muse.corpus.importers import Song, find_songs
    from muse.corpus.read import Corpus, corpus_info

__all__ = ["Corpus", "Song", "build_corpus", "corpus_info", "find_songs"]

_HOMES = {
    "Corpus": "read", "corpus_info": "read", "build_corpus": "build", "Song": "importers", "find_songs": "importers",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(f"muse.corpus.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
