"""A MIDI file and what its source says about it.

Conventions
-----------
quadrant
    ``"Q1"`` .. ``"Q4"`` as in :mod:`muse.emotion`, empty when unknown.
valence, arousal
    -1..1, NaN when unknown. Scales of the sources (:mod:`muse.corpora.sources`) are mapped linearly.
label_kind
    How much valence and arousal are worth: ``"rating"`` (means of people's ratings), ``"word"`` (the place of an
    emotion word), ``"quadrant"`` (only the signs are known; the numbers are +1 and -1), empty without labels.
group
    What must never be split between training and test: the song, not the clip; the piece, not the performance.
none
    Empty strings, NaN and ``None`` paths stand for what a source does not say.

Contents: :class:`Song`, :func:`song_of`, :func:`genre_of`, :func:`work_name`; :func:`files_below`.
"""

from __future__ import annotations

import math
import os
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from muse.corpora.sources import SOURCES, Source
from muse.tokens.vocabulary import GENRES

__all__ = ["MIDI_SUFFIXES", "QUADRANT_SIGNS", "SPLITS", "Song", "files_below", "genre_of", "song_of", "work_name"]

SPLITS: Final = ("train", "val", "test")

MIDI_SUFFIXES: Final = frozenset({".mid", ".midi", ".kar"})

QUADRANT_SIGNS: Final[Mapping[str, tuple[float, float]]] = {
    "Q1": (1.0, 1.0), "Q2": (-1.0, 1.0), "Q3": (-1.0, -1.0), "Q4": (1.0, -1.0),
}  # fmt: skip
"""Signs of valence and arousal."""

# Words of sources -> our genre names; the first that is found in the source's word holds.
_GENRE_WORDS: tuple[tuple[str, str], ...] = (
    ("game", "game"), ("hip hop", "hiphop"), ("hiphop", "hiphop"), ("hip-hop", "hiphop"), ("rap", "hiphop"),
    ("jazz", "jazz"), ("swing", "jazz"), ("bebop", "jazz"), ("ragtime", "jazz"), ("blues", "blues"),
    ("reggae", "reggae"), ("country", "country"), ("funk", "funk"), ("soul", "funk"), ("r&b", "funk"),
    ("disco", "dance"), ("dance", "dance"), ("techno", "electronic"), ("trance", "electronic"), ("house", "electronic"),
    ("electronic", "electronic"), ("edm", "electronic"), ("ambient", "newage"), ("new age", "newage"),
    ("newage", "newage"), ("latin", "latin"), ("salsa", "latin"), ("samba", "latin"), ("bossa", "latin"),
    ("tango", "latin"), ("hymn", "hymn"), ("chorale", "hymn"), ("gospel", "hymn"), ("march", "march"),
    ("military", "march"), ("stage", "stage"), ("musical", "stage"), ("soundtrack", "stage"), ("film", "stage"),
    ("folk", "folk"), ("world", "folk"), ("celtic", "folk"), ("traditional", "folk"), ("nottingham", "folk"),
    ("classic", "classical"), ("baroque", "classical"), ("romantic", "classical"), ("renaissance", "classical"),
    ("opera", "classical"), ("orchestra", "classical"), ("art song", "classical"), ("technique", "classical"),
    ("metal", "rock"), ("punk", "rock"), ("rock", "rock"), ("pop", "pop"), ("song", "pop"), ("other", "other"),
)  # fmt: skip


@dataclass(frozen=True)
class Song:
    """One MIDI file and what its source says about it. Conventions: see the module."""

    path: Path
    corpus: str
    song_id: str
    source: str
    """Path inside the corpus, with slashes."""
    group: str
    """Unique within the corpus; see the module."""
    title: str = ""
    composer: str = ""
    genre: str = ""
    """One of :data:`muse.tokens.vocabulary.GENRES`, or empty."""
    quadrant: str = ""
    valence: float = math.nan
    arousal: float = math.nan
    label_kind: Literal["", "rating", "word", "quadrant"] = ""
    licence: str = ""
    licence_class: str = "unclear"
    split: str = ""
    """The source's own split, when it has one."""
    beats_path: Path | None = None
    chords_path: Path | None = None
    key_path: Path | None = None
    curve_path: Path | None = None
    """Where the emotion over time is written; :func:`muse.corpora.vgmidi.read_curve` reads it."""
    to_click: bool = False
    """The source gives the tempo that the players heard (Groove's ``bpm``): the file's bars are real, however freely
    its notes lie about them."""
    beats_in_bar: int = 0
    """Beats a bar of the annotated beats where the source says so (POP909), else 0."""
    game: str = ""
    """Game that the music is from (VGMIDI); likewise ``series``, which has several games."""
    series: str = ""
    programs: str = ""
    """General MIDI programs as the source's table lists them: ``"0"``, ``"30 34 drums"``."""


def song_of(path: Path, folder: Path, corpus: str, source: str = "", **fields: Any) -> Song:
    """A song with the fields that follow from its place and its data set.

    Parameters
    ----------
    path
        The MIDI file.
    folder
        Of the corpus; the file lies in it.
    corpus
        Name of the corpus.
    source
        Name in :data:`muse.corpora.sources.SOURCES`, whose licence holds; empty for none.
    fields
        Fields of :class:`Song`, which override those.
    """
    place = path.relative_to(folder).as_posix()
    song_id = place.rpartition(".")[0]
    terms = SOURCES.get(source, Source())
    values: dict[str, Any] = {
        "path": path, "corpus": corpus, "song_id": song_id, "source": place, "group": song_id, "title": path.stem,
        "licence": terms.licence, "licence_class": terms.licence_class,
    }  # fmt: skip
    return Song(**{**values, **fields})


def genre_of(words: str) -> str:
    """Our genre for a source's words (``"Funk / Soul"`` -> ``"funk"``); empty when none is known.

    >>> genre_of("video game (rock/metal/ambient)"), genre_of("Hip-Hop"), genre_of("")
    ('game', 'hiphop', '')
    """
    text = words.lower()
    if text in GENRES:
        return text
    return next((genre for word, genre in _GENRE_WORDS if word in text), "")


def work_name(title: str, composer: str) -> str:
    """A name under which the same work meets itself across corpora; empty unless both parts are known.

    Spelling, accents, first names and order of names do not count: ``"Bach, Johann Sebastian"``, ``"J. S. Bach"`` and
    ``"BachJS"`` are one.
    """
    composer = composer.split(",")[0].strip()
    composer = re.sub(r"(?<=[a-z])[A-Z]{1,4}$", "", composer)  # Mutopia's initials behind the name
    family = _plain(composer.split()[-1]) if composer.split() else ""
    name = _plain(title)
    return f"{name}|{family}" if name and family else ""


def _plain(text: str) -> str:
    """Letters and digits of a text, lower case, without accents."""
    text = unicodedata.normalize("NFKD", text).casefold()
    return "".join(letter for letter in text if letter.isalnum())


def files_below(folder: Path) -> list[Path]:
    """All files below a folder, in order, hidden ones and hidden folders left out.

    Links to folders are followed. Each folder is read once, by a path without links where there is one, so links that
    lead back to where they stand come to an end.
    """
    found: list[Path] = []
    seen: set[Path] = set()
    folders: list[Path] = [folder]
    links: list[Path] = []
    while folders or links:
        place = folders.pop() if folders else links.pop(0)
        if (real := place.resolve()) in seen:
            continue
        seen.add(real)
        try:
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError:  # of somebody else, or gone meanwhile
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                (links if entry.is_symlink() else folders).append(place / entry.name)
            elif entry.is_file():
                found.append(place / entry.name)
    return sorted(found)
