"""The grammar of tokens: what may follow what."""

from muse.grammar.state import Constraints, TuneNote
from muse.grammar.syntax import Grammar

__all__ = ["Constraints", "Grammar", "TuneNote"]
