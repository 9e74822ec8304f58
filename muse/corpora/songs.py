"""All songs of folders of music, whatever each folder's convention.

Nothing is opened here but labels; no MIDI file is read. A folder is recognised by its content, not by its name:

=================================  ====================================================  ==========================
convention                         recognised by                                         what it tells
=================================  ====================================================  ==========================
:mod:`~muse.corpora.metadata`      ``metadata.csv`` with columns ``id`` and ``file``     all of :class:`Song`
:mod:`~muse.corpora.emopia`        ``Q1_<recording>_<n>.mid``                            quadrant, recording
:mod:`~muse.corpora.xmidi`         ``XMIDI_<emotion>_<genre>_<id>.midi``                 emotion word, genre
:mod:`~muse.corpora.pop909`        ``NNN/NNN.mid`` beside ``beat_midi.txt``              beats, chords, key
:mod:`~muse.corpora.vgmidi`        its tables or its raw JSON                            valence, arousal, curve
genres                             most of the child folders have names of genres        genre
bare                               anything else with MIDI files in it                   nothing
=================================  ====================================================  ==========================

A folder that holds several corpora gives them one after another. Links to folders are followed, but no folder is read
twice. A new convention is a file of its own and a line in :func:`_by_content`.

Contents: :func:`find_songs`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from muse.corpora import emopia, pop909, vgmidi, xmidi
from muse.corpora.archives import is_packed, unpacked
from muse.corpora.metadata import has_metadata, read_metadata
from muse.corpora.song import MIDI_SUFFIXES, Song, files_below, genre_of, song_of
from muse.errors import InputError

__all__ = ["find_songs"]


def find_songs(sources: Iterable[Path | str], *, unpack_in: Path | None = None) -> list[Song]:
    """All songs under the given files and folders, sorted by corpus and id.

    Parameters
    ----------
    sources
        MIDI files, corpora, or folders of corpora. A file that is reached twice counts once.
    unpack_in
        Folder in which archives and URLs among the sources are unpacked, see :mod:`muse.corpora.archives`; errors name
        these, not the folder. None: there are none.

    Raises
    ------
    InputError
        A source does not exist or has no MIDI file in it, or a table or annotation in it cannot be used.
    """
    found: dict[Path, Song] = {}
    for source in sources:
        place = Path(source) if unpack_in is None else unpacked(source, unpack_in)
        try:
            songs = _songs_at(place)
        except InputError as error:
            if not is_packed(source):
                raise
            text = str(error).replace(f"{place}/", f"{source}:").replace(str(place), str(source))
            raise InputError(text) from None
        for song in songs:
            found.setdefault(song.path.resolve(), song)
    ordered = sorted(found.values(), key=lambda song: (song.corpus, song.song_id, song.source))
    seen: Counter[tuple[str, str]] = Counter()
    for i, song in enumerate(ordered):
        seen[song.corpus, song.song_id] += 1
        if (n := seen[song.corpus, song.song_id]) > 1:  # two folders of one name, or two files of one stem
            ordered[i] = replace(song, song_id=f"{song.song_id}#{n}")
    return ordered


def _songs_at(place: Path) -> list[Song]:
    if not place.exists():
        raise InputError(f"{place}: no such file or folder; give MIDI files, corpora or folders of corpora")
    songs = list(_songs_of(place, set()))
    if not songs:
        raise InputError(f"{place}: no MIDI file in it (looked for {', '.join(sorted(MIDI_SUFFIXES))})")
    return songs


def _songs_of(source: Path, seen: set[Path]) -> Iterator[Song]:
    """Songs of a source; `seen` are the folders that have been read, a link to one of which leads to nothing new."""
    if source.resolve() in seen:
        return
    seen.add(source.resolve())
    if source.is_file():
        yield song_of(source, source.parent, source.parent.name)
        return
    if has_metadata(source):
        yield from read_metadata(source)
        return
    children = sorted((child for child in source.iterdir() if child.is_dir()), key=lambda one: (one.is_symlink(), one))
    if any(has_metadata(child) for child in children):
        for child in children:
            yield from _songs_of(child, seen)
        return
    files = _midi_files(source)
    if files:
        yield from _by_content(source, files)


def _midi_files(folder: Path) -> list[Path]:
    return [path for path in files_below(folder) if path.suffix.lower() in MIDI_SUFFIXES]


def _by_content(folder: Path, files: Sequence[Path]) -> Iterator[Song]:
    """Recognise a folder without ``metadata.csv`` by what lies in it."""
    corpus = folder.resolve().name

    def most(matches: Callable[[Path], bool]) -> bool:
        return sum(map(matches, files)) > 0.5 * len(files)

    if most(emopia.matches):
        return emopia.songs_by_name(files, folder, corpus)
    if most(xmidi.matches):
        return xmidi.songs_by_name(files, folder, corpus)
    if any(map(pop909.matches, files)):
        return pop909.songs_by_name(files, folder, corpus)
    if vgmidi.is_vgmidi(folder):
        return vgmidi.songs_by_tables(files, folder, corpus)
    return _by_genre(files, folder, corpus)


def _by_genre(files: Sequence[Path], folder: Path, corpus: str) -> Iterator[Song]:
    """Songs with the genre of the folder that they lie in, where most of those folders are named after genres."""
    base = Path(os.path.commonpath([path.parent for path in files]))
    tops = {path: path.relative_to(base).parts[0].replace("_", " ") for path in files if path.parent != base}
    names = set(tops.values())
    named = len(names) > 1 and sum(bool(genre_of(name)) for name in names) * 2 > len(names)
    for path in files:
        yield song_of(path, folder, corpus, genre=genre_of(tops[path]) if named and path in tops else "")
