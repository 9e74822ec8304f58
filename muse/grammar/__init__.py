"""The grammars of tokens: what may follow what, when a lead sheet, an arrangement or bare music is written."""

from muse.grammar.state import Constraints
from muse.grammar.syntax import Grammar

__all__ = ["Constraints", "Grammar"]
