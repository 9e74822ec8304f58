"""What plain learners hear in a piece's notes, and one answer about its emotion.

Contents: :mod:`~muse.hearing.features`, a piece as numbers that need no bars; :mod:`~muse.hearing.quadrants`, a kernel
machine and trees on them; :mod:`~muse.hearing.forest`, grown trees as arrays; :mod:`~muse.hearing.answer`, quadrant,
valence and arousal out of one distribution.
"""
