"""The grammar of tokens: what may follow what."""

from muse.grammar.syntax import Grammar, TuneNote

__all__ = ["Grammar", "TuneNote"]
