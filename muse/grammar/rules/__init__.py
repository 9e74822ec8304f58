"""Rules: pure functions of what is asked for and what a row has written, each a mask over one kind of token.

A rule takes a :class:`~muse.grammar.state.Frame` and a :class:`~muse.grammar.state.Row` and gives True for what it
lets pass: of pitches bool [pitches], of positions bool [positions], of programs bool [programs asked for], of
durations bool [durations]; None where it has nothing to say; of the end of the bar one bool. What every rule of a kind
lets pass may come next; :mod:`muse.grammar.syntax` lists them. A new constraint is a new file here and its name in that
list.
"""
