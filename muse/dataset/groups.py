"""Songs that are one: copies of the same notes, and versions of one work, which no split may tear apart.

Conventions
-----------
split
    By song, never by window. The source's own split holds; otherwise a hash of the group decides. Songs of one title
    and composer, and songs that share much of their melody, form one group across corpora.
duplicate
    Same notes on a grid of twelfths of a beat, in any key. The copy with the freest licence stays, then the first.
record
    What is known of a song's notes, by name: ``hash`` of them, ``sketch`` of the melody (:mod:`muse.dataset.windows`).

Contents: :func:`duplicates`, :func:`splits`, :func:`hash_split`.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from muse.corpora import LICENCE_CLASSES, SPLITS, Song, work_name

__all__ = ["duplicates", "hash_split", "splits"]

MIN_SHARED = 0.08
"""Share of the hashes in two sketches from which songs are versions of one work. In ASAP this finds 78 % of the pairs
of performances and scores of one piece (0.3 finds 31 %), and joins one pair of different works: chromatic studies."""

MAX_HOLDERS = 50
"""A phrase that more songs than these share (a scale, a trill) tells nothing."""

PAIRED_SONGS = 2048
"""Songs whose pairs are counted at once; each can have 2,400: :data:`MAX_HOLDERS` times the hashes of a sketch."""

FRACTIONS = {"train": 0.94, "val": 0.03, "test": 0.03}


def duplicates(songs: Sequence[Song], records: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    """Index of each song that repeats another's notes -> index of the one that stays."""
    first: dict[str, int] = {}
    found: dict[int, int] = {}
    rank = {name: i for i, name in enumerate(LICENCE_CLASSES)}
    for i in sorted(range(len(songs)), key=lambda i: (rank[songs[i].licence_class], i)):
        note_hash = records[i]["hash"]
        if note_hash and first.setdefault(note_hash, i) != i:
            found[i] = first[note_hash]
    return found


def splits(songs: Sequence[Song], records: Sequence[Mapping[str, Any]], original: Mapping[int, int]) -> list[str]:
    """Split of every song; groups that are one work fall together."""
    parent = list(range(len(songs)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    def join(i: int, j: int) -> None:
        a, b = sorted((root(i), root(j)))
        parent[b] = a

    seen: dict[str, int] = {}
    for i, song in enumerate(songs):
        names = [f"group {song.corpus}/{song.group}"]
        if work := work_name(song.title, song.composer):
            names.append(f"work {work}")
        for name in names:
            join(i, seen.setdefault(name, i))
    for i, j in original.items():
        join(i, j)
    for i, j in _same_melody([record["sketch"] for record in records]):
        join(i, j)

    members: dict[int, list[int]] = defaultdict(list)
    for i in range(len(songs)):
        members[root(i)].append(i)
    found = [""] * len(songs)
    for group in members.values():
        given = {songs[i].split for i in group} - {""}
        # What one source holds out, no other may bring back into training.
        held_out = "test" if "test" in given else "val" if "val" in given else ""
        choice = held_out or (
            "train" if given else hash_split(min(f"{songs[i].corpus}/{songs[i].group}" for i in group))
        )
        for i in group:
            found[i] = songs[i].split or choice
    return found


def hash_split(group: str) -> str:
    """Split of a group of its own: a function of its name."""
    share = int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") / 2**64
    for name in SPLITS[1:]:
        if share < FRACTIONS[name]:
            return name
        share -= FRACTIONS[name]
    return "train"


def _same_melody(sketches: Sequence[Sequence[int] | NDArray[np.uint64]]) -> Iterator[tuple[int, int]]:
    """Pairs of songs whose sketches agree in at least :data:`MIN_SHARED` of the smaller one (and in 4 hashes)."""
    sizes = np.array([len(sketch) for sketch in sketches], np.int64)
    value = np.concatenate([np.asarray(sketch, np.uint64) for sketch in sketches] or [np.zeros(0, np.uint64)])
    owner = np.repeat(np.arange(len(sizes)), sizes)
    order = np.lexsort((owner, value))
    value, owner = value[order], owner[order]
    _, run, n_holders = np.unique(value, return_inverse=True, return_counts=True)
    telling = n_holders[run] <= MAX_HOLDERS
    run, owner = run[telling], owner[telling]
    place = np.argsort(owner, kind="stable")  # of each song's hashes among all
    begin = np.searchsorted(owner[place], np.arange(0, len(sizes) + PAIRED_SONGS, PAIRED_SONGS))
    for at, stop in itertools.pairwise(begin.tolist()):
        pairs = []
        here = place[at:stop]
        for lag in range(1, MAX_HOLDERS):
            here = here[here + lag < len(run)]
            here = here[run[here + lag] == run[here]]
            if not len(here):
                break
            pairs.append(owner[here] * len(sizes) + owner[here + lag])
        code, n_shared = np.unique(np.concatenate(pairs or [np.zeros(0, np.int64)]), return_counts=True)
        first, second = code // len(sizes), code % len(sizes)
        alike = n_shared >= np.maximum(4, MIN_SHARED * np.minimum(sizes[first], sizes[second]))
        yield from zip(first[alike].tolist(), second[alike].tolist(), strict=True)
