"""The grammars of tokens: what may follow what, when a lead sheet or an arrangement is written."""
