"""The music that the mapping is fitted on: labelled windows, and windows of the music to compose.

What is read
------------
``emopia*``
    Clips with a quadrant; the training split alone (validation clips are for judges). Label: the quadrant's center.
``vgmidi*``, ``memomusic*``
    Pieces with mean valence and arousal. Scales are brought to -1..1 and then stretched, zero
    staying zero, until the mean distance from zero is that of EMOPIA's points: means of many raters crowd around
    the middle, and a piece in the happy half should on average be as happy as a clip that is labelled happy.
``pop909*``, ``mutopia*``
    The corpus: permissively licensed piano music in windows of 16 bars, as the generator gets it.

What is left out
----------------
* EMOPIA and MemoMusic hold performances without bars. EMOPIA's clips are aligned by tracked beats; attributes that need
  beats are dropped where the tracker is not sure (confidence below 0.3), MemoMusic's always.
* The tracked tempo of EMOPIA is dropped altogether: a tracker cannot know the octave, and with its preference for 120
  BPM all quadrants have the same median (the report shows it). Tempo is learnt from VGMIDI, where it is written.
* Loudness of files without any dynamics.

Contents: :func:`find_corpora`, :func:`choose_songs`, :func:`read_labelled`, :func:`read_corpus`; :class:`Labelled`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import symusic
from numpy.typing import NDArray

from muse.attributes import COLUMNS, SONG_CONTROLS, attribute, extract
from muse.corpora import Song, has_metadata, read_beats, read_metadata
from muse.emotion import Emotion
from muse.errors import InputError, MuseError
from muse.score import Score, align_to_beats, note_array, read_score, track_beats

__all__ = ["ROW_WEIGHT", "Labelled", "choose_songs", "find_corpora", "read_corpus", "read_labelled"]

Floats = NDArray[np.float64]

ROW_WEIGHT: Final = {"emopia": 1.0, "vgmidi": 1.0, "memomusic": 0.5}
"""Of the labelled corpora. MemoMusic does not say how many people rated."""

WINDOW_BARS: Final = 16
MIN_CONFIDENCE: Final = 0.3


@dataclass(frozen=True)
class Labelled:
    """Windows of music with an emotion. n rows."""

    X: Floats
    """float64 [n, n_attributes], NaN where undefined or not to be trusted."""
    raw: Floats
    """The same before anything was left out."""
    plane: Floats
    """float64 [n, 2] valence and arousal in -1..1."""
    domain: NDArray[np.str_]
    group: NDArray[np.str_]
    """Song; never split."""
    catalogue: NDArray[np.float32]
    """float32 [n, n_columns]: everything that can be measured, for EMOPIA; NaN elsewhere."""

    def __getitem__(self, rows: Any) -> Labelled:
        columns = (self.X, self.raw, self.plane, self.domain, self.group, self.catalogue)
        return Labelled(*(column[rows] for column in columns))

    @property
    def quadrant(self) -> NDArray[np.str_]:
        """``"Q1"``.. of each row."""
        return np.array([Emotion(*point).quadrant for point in self.plane])

    @property
    def weight(self) -> Floats:
        """float64 [n]: how much each row counts in fitting."""
        return np.array([ROW_WEIGHT[name] for name in self.domain])


def find_corpora(corpora: str | Path | Sequence[str | Path]) -> dict[str, Path]:
    """Kind of corpus -> its folder, of a folder of corpora or several.

    Raises
    ------
    InputError
        EMOPIA is missing, or both POP909 and Mutopia.
    """
    given = [corpora] if isinstance(corpora, (str, Path)) else list(corpora)
    folders: dict[str, Path] = {}
    for folder in map(Path, given):
        children = sorted(child for child in folder.glob("*/") if child.is_dir())
        for home in [folder] if has_metadata(folder) else filter(has_metadata, children):
            for kind in (*ROW_WEIGHT, "pop909", "mutopia"):
                if home.name.startswith(kind):
                    folders[kind] = home
    if "emopia" not in folders or not {"pop909", "mutopia"} & set(folders):
        raise InputError(
            f"{', '.join(map(str, given))}: holds {sorted(folders) or 'no known corpora'}; the mapping needs emopia "
            "(labels) and pop909 or mutopia (the music to compose), each a folder with metadata.csv"
        )
    return folders


def choose_songs(folders: dict[str, Path], max_files: int | None) -> dict[str, list[Song]]:
    """Songs that are used, by kind of corpus; a limit takes them evenly."""
    used: dict[str, Callable[[Song], bool]] = {
        "emopia": lambda song: song.split == "train" and bool(song.quadrant),
        "vgmidi": lambda song: song.label_kind == "rating",
        "memomusic": lambda song: song.label_kind == "rating",
        "pop909": lambda song: True,
        "mutopia": lambda song: song.licence_class == "permissive" and song.programs == "0",
    }
    plan = {}
    for kind in used:
        if kind in folders:
            songs = [song for song in read_metadata(folders[kind]) if used[kind](song)]
            if max_files is not None and len(songs) > max_files:
                songs = [songs[int(i)] for i in np.linspace(0, len(songs) - 1, max_files)]
            plan[kind] = songs
    return plan


def read_labelled(files: Mapping[str, list[Song]], step: Callable[[], None]) -> Labelled:
    """Labelled windows of the songs of each corpus; unreadable ones are left out. `step` is called for every song."""
    X, raw, plane, domain, group, catalogue = [], [], [], [], [], []
    for kind, songs in files.items():
        for song in songs:
            step()
            try:
                values, confidence, everything = _measure(kind, read_score(song.path))
            except MuseError:
                continue
            raw.append(values)
            catalogue.append(everything)
            X.append(_trusted(kind, values, confidence))
            domain.append(kind)
            group.append(song.game or song.group)  # games recur in VGMIDI
            point = Emotion.parse(song.quadrant) if kind == "emopia" else song
            plane.append((point.valence, point.arousal))
    points, domains = np.array(plane, dtype=np.float64), np.array(domain)
    size = np.abs(points[domains == "emopia"]).mean(axis=0)
    for kind in files:
        rows_of_kind = domains == kind
        if kind != "emopia" and rows_of_kind.any():
            stretch = size / np.abs(points[rows_of_kind]).mean(axis=0)
            points[rows_of_kind] = np.clip(points[rows_of_kind] * stretch, -1, 1)
    return Labelled(np.array(X), np.array(raw), points, domains, np.array(group), np.array(catalogue))


def _measure(kind: str, score: Score) -> tuple[Floats, float, NDArray[np.float32]]:
    """Controls [n_attributes] of a clip or piece, how far its beats are to be trusted (0..1), the whole catalogue."""
    if kind == "emopia":
        score, confidence = _align(score)
        everything = extract(score).values[0]
        values = everything[[COLUMNS.index(name) for name in SONG_CONTROLS]]
        return values.astype(np.float64), confidence, everything
    windows = _windows(score)
    if not len(windows):
        raise InputError("has no window with enough music")
    defined = np.isfinite(windows)
    mean = np.where(defined, windows, 0).sum(axis=0) / np.maximum(defined.sum(axis=0), 1)
    return np.where(defined.any(axis=0), mean, np.nan), 1.0, np.full(len(COLUMNS), np.nan, dtype=np.float32)


def _windows(score: Score) -> Floats:
    """Attributes of the windows of 16 bars in which something goes on, float64 [n_windows, n_attributes]."""
    windows = extract(_merged(score), names=SONG_CONTROLS, bars=WINDOW_BARS).values.astype(np.float64)
    return windows[np.isfinite(windows).mean(axis=1) > 0.7]


def _merged(score: Score) -> Score:
    """One track per program, as the generator reads and writes music: melodic attributes go track by track."""
    tracks: dict[tuple[int, bool], Any] = {}
    for track in score.tracks:
        key = (track.program, track.is_drum)
        if key in tracks:
            tracks[key].notes.extend(track.notes)
        else:
            tracks[key] = track.copy()
    for track in tracks.values():
        track.notes.sort()
    merged = score.copy()
    merged.tracks = symusic.core.TrackTickList(list(tracks.values()))
    return merged


def _align(score: Score) -> tuple[Score, float]:
    """A performance on tracked beats in bars of four opened by the bass, and the tracker's confidence."""
    notes = note_array(score)
    beats, confidence = track_beats(notes["onset_sec"], notes["velocity"].astype(np.float64))
    if len(beats) < 8:
        return score, 0.0
    bass = notes[notes["pitch"] <= 55]
    index = np.clip(np.searchsorted(beats, bass["onset_sec"] - 0.08), 0, len(beats) - 1)
    on_beat = np.abs(beats[index] - bass["onset_sec"]) < 0.1
    strength = np.bincount(index[on_beat], weights=bass["velocity"][on_beat], minlength=len(beats))
    phase = int(np.argmax([strength[first::4].sum() for first in range(4)]))
    return align_to_beats(score, beats, (np.arange(len(beats)) - phase) % 4 == 0), confidence


def _trusted(kind: str, values: Floats, confidence: float) -> Floats:
    """The values without those that this kind of data cannot tell; see the module's text."""
    values = values.copy()
    needs_beats = np.array([attribute(name).needs != "notes" for name in SONG_CONTROLS])
    if kind == "memomusic" or confidence < MIN_CONFIDENCE:
        values[needs_beats] = np.nan
    if kind == "emopia":
        values[SONG_CONTROLS.index("Mean Tempo")] = np.nan
    if not values[SONG_CONTROLS.index("Variation of Dynamics")] > 0.5:
        values[[SONG_CONTROLS.index("Mean Dynamics"), SONG_CONTROLS.index("Variation of Dynamics")]] = np.nan
    return values


def read_corpus(files: Mapping[str, list[Song]], step: Callable[[], None]) -> Floats:
    """Windows of the music to compose, float64 [m, n_attributes]; as :func:`read_labelled`."""
    windows = []
    for kind, songs in files.items():
        for song in songs:
            step()
            if kind == "pop909" and song.beats_path is None:
                continue  # a performance whose bars are not known
            try:
                score = read_score(song.path)
                if song.beats_path is not None:
                    beats = read_beats(song.beats_path, song.beats_in_bar)
                    score = align_to_beats(score, beats.time_sec, beats.downbeat)
                windows += [_trusted(kind, window, 1.0) for window in _windows(score)]
            except (MuseError, OSError):
                continue
    return np.array(windows)
