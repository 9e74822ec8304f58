"""People's music: held-out windows, as a system beside the others and as the reference of all.

Contents: :func:`held_out_music`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from muse.dataset.read import Corpus
from muse.errors import InputError
from muse.evaluate.systems.system import System
from muse.tokens import Codec

__all__ = ["held_out_music"]

BARS = 16
"""Of each window."""
MIN_NOTES = 32
"""Windows with fewer notes are left out."""


def held_out_music(corpus: Corpus, n_reference: int, n_human: int) -> tuple[System, System]:
    """Windows of 16 bars of piano music from songs of the validation and test splits.

    Parameters
    ----------
    corpus
        A dataset made by ``muse corpus build``.
    n_reference, n_human
        Windows of each set, at most; where there are too few, both get fewer.

    Returns
    -------
    tuple
        The reference, and music of other songs to stand beside the systems.

    Raises
    ------
    InputError
        There are fewer than three windows for one of the two.
    """
    split: dict[str, Any] = {"split": ["val", "test"], "on_grid": True, "n_bars": BARS}
    column: dict[str, Any] = {
        name: corpus.column(name, **split) for name in ("tokens", "programs", "corpus", "song", "note_count")
    }
    piano = [set(row.tolist()) == {0} for row in column["programs"]]
    rows = np.flatnonzero(np.array(piano, bool) & (column["note_count"] >= MIN_NOTES))
    song = np.array([f"{c}/{s}" for c, s in zip(column["corpus"], column["song"], strict=True)], object)
    rng = np.random.default_rng(0)
    songs = rng.permutation(np.unique(song[rows].astype(str)))
    # Whole songs go to one side, so that no song is compared with itself.
    share_human = min(n_human / (n_human + n_reference), 0.5)
    for_human = set(songs[: max(1, round(share_human * len(songs)))].tolist())
    inside = np.array([song[row] in for_human for row in rows], bool)
    parts = [rng.permutation(rows[side])[:n] for side, n in ((~inside, n_reference), (inside, n_human))]
    if min(map(len, parts)) < 3:
        raise InputError(
            f"{corpus.folder} has {len(rows)} held-out windows of 16 bars of piano music, too few to compare with; "
            "build it from more music"
        )
    codec = Codec.default()
    reference, human = ([codec.decode(column["tokens"][int(row)]) for row in part] for part in parts)
    return System(reference), System(human)
