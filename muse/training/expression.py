"""How freely people time, how they use the sustain pedal and when they let keys go, measured on performances.

The tempo's spread and how it falls with loudness come from EMOPIA's clips, whose beats are tracked and moved to the
onsets nearest to them; how it wanders from beat to beat and over a phrase from ASAP, whose beats are annotated exactly.
Pedal and key-down times come from POP909's pianists and tunes, against annotated beats and chords.

A beat that is read off a transcription has an error of its own, which makes neighbouring intervals unequal in opposite
ways. With *e* its variance and *r* the true correlation of neighbours, variance and covariance of what is read are
``s² + 2e`` and ``r s² - e`` (Wing & Kristofferson 1973, "Response delays and the timing of discrete motor responses"),
so ``s² = (variance + 2 covariance) / (1 + 2 r)``.

Contents: :func:`fit_expression`, :func:`fit_pedal`, :func:`fit_release`; :func:`beats_at_onsets`,
:func:`tempo_figures`; :class:`PedalledSong`, :func:`pedalled_songs`, :func:`pedal_sec`, :func:`pedal_figures`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from muse.composer.expression import QUANTILES
from muse.corpora import emopia_clips, find_songs, read_beats, read_chords
from muse.corpora.song import Song
from muse.dataset.groups import hash_split
from muse.errors import MuseError
from muse.score import Notes, Score, beat_to_sec, note_array, read_score, tempo_map, track_beats
from muse.theory.lead_sheet import find_melody

__all__ = [
    "PedalledSong",
    "beats_at_onsets",
    "fit_expression",
    "fit_pedal",
    "fit_release",
    "pedal_figures",
    "pedal_sec",
    "pedalled_songs",
    "tempo_figures",
]

Floats = NDArray[np.float64]

_SURE, _HIT = 0.7, 0.8  # confidence of tracked beats, and share of them that have an onset
_WILDEST = 0.5  # log tempo against the mean from which a beat is a pause or a mistake
_STRETCH = 64  # beats over which a slow change of tempo is taken out
_PHRASE_PARTS = 8
_KEY_DOWN_SEC: Final = (0.0, 0.15, 0.2, 0.3, 0.35, 0.4, 0.5, 0.8)  # lower edges of bins
_LONGEST_SEC = 1.5  # between two onsets that belong together
_DRY = 0.1  # of a bar, under which the pedal counts as not used


def fit_expression(corpora: Path | str, n_songs: int = 150) -> dict[str, Any]:
    """What :class:`muse.composer.expression.Expression` reads as ``attributes/expression.json``.

    Parameters
    ----------
    corpora
        Folder that holds ``emopia-nc``, ``asap-nc`` and ``pop909``.
    n_songs
        Training songs of POP909 and performances of ASAP, evenly spaced.

    Raises
    ------
    InputError
        A corpus is not there.
    """
    songs = list(pedalled_songs(corpora, held_out=False, n_songs=n_songs))
    return {"tempo": _tempo(Path(corpora), n_songs), "pedal": fit_pedal(songs), "release": fit_release(songs)}


# -------------------------------------------------------------------------------------------------------------- tempo


def beats_at_onsets(notes: Notes) -> Floats | None:
    """Tracked beats, each moved to the chord within 60 ms of it; None where they are not to be trusted."""
    onset = np.sort(notes["onset_sec"])
    beats, sure = track_beats(onset)
    if sure < _SURE or len(beats) < 24:
        return None
    nearest = onset[np.abs(beats[:, None] - onset).argmin(axis=1)]
    hit = np.abs(nearest - beats) < 0.06
    chord = np.abs(onset[None, :] - nearest[:, None]) < 0.03
    moved = (chord * onset).sum(axis=1) / chord.sum(axis=1)
    index = np.arange(len(beats))
    beats = np.interp(index, index[hit], moved[hit]) if hit.any() else beats
    return beats if hit.mean() >= _HIT and np.diff(beats).min() > 0.15 else None


def _log_tempo(beats: Floats, quarters: Floats | float = 1.0) -> Iterator[Floats]:
    """Log tempo of stretches of beats, without their slow change; those with a pause are left out."""
    whole = -np.log(np.diff(beats) / quarters)
    for first in range(0, max(len(whole) - _STRETCH // 2, 1), _STRETCH):
        part = whole[first : first + _STRETCH]
        place = np.arange(len(part))
        part = part - np.polyval(np.polyfit(place, part, 1), place)
        if len(part) >= 16 and np.abs(part).max() < _WILDEST:
            yield part


def tempo_figures(stretches: Iterable[Floats], n_lags: int = 4) -> tuple[float, Floats]:
    """Standard deviation of log tempo, and correlations of beats 1..n_lags apart, over stretches of beats."""
    pairs = np.mean([[np.mean(x[: len(x) - k] * x[k:]) for k in range(n_lags + 1)] for x in stretches], axis=0)
    return float(np.sqrt(pairs[0])), pairs[1:] / pairs[0]


def _tempo(corpora: Path, n_songs: int) -> dict[str, Any]:
    clips = []
    for song in emopia_clips(corpora, "train"):
        notes = note_array(read_score(song.path))
        if (beats := beats_at_onsets(notes)) is not None:
            clips += [(float(notes["velocity"].mean()), x) for x in _log_tempo(beats)]
    exact, phrases = [], []
    for song in _spaced(find_songs([corpora / "asap-nc"]), n_songs):
        if song.beats_path is None:
            continue
        with contextlib.suppress(MuseError):
            told = read_beats(song.beats_path)
            found = list(_log_tempo(told.time_sec, told.quarters[:-1]))
            found = [x for x in found if x.std() > 0.01]  # scores keep one tempo
            exact += found
            if found and np.mean(told.quarters == np.median(told.quarters)) > 0.97:
                phrases += list(_phrases(told.time_sec, note_array(read_score(song.path))))
    _, lags = tempo_figures(exact)
    velocity = np.array([level for level, _ in clips])
    edges = np.quantile(velocity, (0, 0.25, 0.5, 0.75, 1))
    levels, spreads = [], []
    for low, high in pairwise(edges.tolist()):
        inside = (velocity >= low) & (velocity <= high)
        spread, (neighbours, *_) = tempo_figures(x for (_, x), here in zip(clips, inside, strict=True) if here)
        levels.append(round(float(velocity[inside].mean()), 1))
        spreads.append(round(spread * float(np.sqrt((1 + 2 * neighbours) / (1 + 2 * lags[0]))), 4))
    place, value = np.concatenate(phrases, axis=1)
    part = (place * _PHRASE_PARTS).astype(np.int64)
    course = np.bincount(part, weights=value) / np.bincount(part)
    return {
        "source": "spread: EMOPIA (Hung et al., ISMIR 2021), training clips; course: ASAP (Foscarin et al., ISMIR "
        "2020); statistics of music under CC BY-NC-SA 4.0",
        "velocity": levels,
        "spread": spreads,
        "correlation": round(float(lags[1] / lags[0]), 3),
        "drift": round(float(lags[0] ** 2 / lags[1]), 3),
        "phrase": (course - course.mean()).round(3).tolist(),
    }


def _phrases(beats: Floats, notes: Notes) -> Iterator[Floats]:
    """Place in its phrase (0..1) and log tempo in standard deviations of each beat [2, n]: phrases end where the tune
    waits for two beats or more."""
    whole = -np.log(np.diff(beats))
    around = np.convolve(np.pad(whole, 16, mode="reflect"), np.ones(33) / 33, "valid")
    tempo = (whole - around) / max(float((whole - around).std()), 1e-3)
    beat = np.interp(notes["onset_sec"], beats, np.arange(len(beats)))
    lead, _ = find_melody(beat, notes["duration_sec"] / np.median(np.diff(beats)), notes["pitch"].astype(np.int64))
    tune = np.unique(np.round(beat[lead & (beat > 0) & (beat < len(beats) - 1)] * 4) / 4)
    waits = np.diff(tune)
    if len(waits) < 12:
        return
    starts = np.rint(tune[1:][waits >= max(2.0, 2 * float(np.median(waits)))]).astype(np.int64)
    for first, stop in pairwise(starts.tolist()):
        if 6 <= stop - first <= 40 and np.abs(whole[first:stop] - around[first:stop]).max() < _WILDEST:
            yield np.stack([(np.arange(first, stop) - first + 0.5) / (stop - first), tempo[first:stop]])


# ----------------------------------------------------------------------------------------------------- pedal and keys


@dataclass(frozen=True)
class PedalledSong:
    """A song of POP909 as its pianist plays it; all times in seconds."""

    notes: Notes
    """Of all tracks."""
    tune: NDArray[np.bool_]
    """Which of them are the tune."""
    pedal: Floats
    """[n, 2]: pressed, lifted."""
    beats: Floats
    downbeats: Floats
    changes: Floats
    """Onsets of chords that differ from the last."""


def pedalled_songs(corpora: Path | str, *, held_out: bool, n_songs: int = 150) -> Iterator[PedalledSong]:
    """Songs of POP909 whose pianist uses the pedal, evenly spaced among those that are held out or that are not."""
    songs = [
        song for song in find_songs([Path(corpora) / "pop909"])
        if ((song.split or hash_split(f"{song.corpus}/{song.group}")) != "train") == held_out
    ]  # fmt: skip
    for song in _spaced(songs, n_songs):
        with contextlib.suppress(MuseError):
            read = _pedalled(song)
            if read is not None:
                yield read


def _pedalled(song: Song) -> PedalledSong | None:
    score = read_score(song.path)
    pedal = pedal_sec(score)
    if song.beats_path is None or song.chords_path is None or len(pedal) < 20:
        return None
    notes, beats = note_array(score), read_beats(song.beats_path, song.beats_in_bar)
    tune = np.isin(notes["track"], [i for i, track in enumerate(score.tracks) if track.name == "MELODY"])
    chords = read_chords(song.chords_path)
    changes = [start for (_, _, last), (start, _, name) in pairwise(chords) if name != last]
    return PedalledSong(notes, tune, pedal, beats.time_sec, beats.time_sec[beats.downbeat], np.array(changes))


def pedal_sec(score: Score) -> Floats:
    """When the pedal is pressed and lifted in the track that uses it most [n, 2]."""
    track = max(score.tracks, key=lambda one: len(one.pedals))
    moments = [(pedal.time, pedal.time + pedal.duration) for pedal in track.pedals]
    return beat_to_sec(tempo_map(score), np.array(moments, np.float64).reshape(-1, 2) / score.ticks_per_quarter)


def _spaced(songs: Iterable[Song], n: int) -> list[Song]:
    every = list(songs)
    return [every[int(i)] for i in np.linspace(0, len(every) - 1, min(n, len(every)))]


def pedal_figures(pedal: Floats, first: float, last: float, n_bars: float) -> tuple[float, float]:
    """Share of the time from first to last onset (seconds) that the pedal is down, and how often a bar it is lifted."""
    inside = np.clip(pedal, first, last)
    lifted = ((pedal[:, 1] > first) & (pedal[:, 1] < last)).sum()
    return float(np.diff(inside, axis=1).sum() / (last - first)), float(lifted / n_bars)


def fit_pedal(songs: Iterable[PedalledSong]) -> dict[str, Any]:
    """When the pedal is lifted and caught about new chords, how often it is changed without one, which bars lack it;
    the entries are those of :class:`muse.composer.expression.Expression`."""
    lift: list[float] = []
    press: list[float] = []
    at_bar: list[bool] = []
    at_beat: list[bool] = []
    key_down: list[float] = []
    dry: list[bool] = []
    for song in songs:
        pressed, lifted = song.pedal.T
        onset = song.notes["onset_sec"][~song.tune]
        length = song.notes["duration_sec"][~song.tune]
        for change in song.changes[(song.changes > pressed[0]) & (song.changes < lifted[-1])]:
            k = int(np.abs(lifted[:-1] - change).argmin())
            if abs(lifted[k] - change) < 0.25 and abs(pressed[k + 1] - change) < 0.5:
                lift.append(lifted[k] - change)
                press.append(pressed[k + 1] - change)
        for moments, out in ((song.downbeats, at_bar), (np.setdiff1d(song.beats, song.downbeats), at_beat)):
            for moment in moments[(moments > pressed[0]) & (moments < lifted[-1])]:
                if np.abs(song.changes - moment).min() > 0.3:
                    out.append(bool(np.abs(lifted - moment).min() < 0.25))
        for start, stop in pairwise(song.downbeats.tolist()):
            inside = (onset >= start - 0.03) & (onset < stop - 0.03)
            if inside.sum() >= 2:
                down = np.clip(np.minimum(lifted, stop) - np.maximum(pressed, start), 0, None).sum()
                key_down.append(float(length[inside].mean()))
                dry.append(down < _DRY * (stop - start))
    which = np.searchsorted(_KEY_DOWN_SEC, key_down, side="right") - 1
    share = np.bincount(which, weights=dry) / np.maximum(np.bincount(which), 1)
    return {
        "source": "POP909 (Wang et al., ISMIR 2020), training songs; MIT",
        "lift_sec": _quantiles(lift),
        "press_sec": _quantiles(press),
        "at_bar": round(float(np.mean(at_bar)), 3),
        "at_beat": round(float(np.mean(at_beat)), 3),
        "key_down_sec": list(_KEY_DOWN_SEC),
        "dry": share.round(3).tolist(),
    }


def fit_release(songs: Iterable[PedalledSong]) -> dict[str, Any]:
    """For how much of the time to the next note keys are held, in the tune and where the same key is struck again."""
    tunes: list[Floats] = []
    again: list[Floats] = []
    for song in songs:
        for is_tune in (True, False):
            notes = song.notes[song.tune == is_tune]
            if is_tune:
                order = np.argsort(notes["onset_sec"], kind="stable")
            else:
                order = np.lexsort((notes["onset_sec"], notes["pitch"]))
            notes = notes[order]
            wait = np.diff(notes["onset_sec"])
            usable = (wait > 0.1) & (wait < _LONGEST_SEC)
            if not is_tune:
                usable &= notes["pitch"][1:] == notes["pitch"][:-1]
            held = np.minimum(notes["duration_sec"][:-1][usable] / wait[usable], 1.0)
            if len(held) > 8:
                (tunes if is_tune else again).append(held)
    every = np.concatenate(tunes)
    of_player = np.var([held.mean() for held in tunes]) / np.var(every)
    return {
        "source": "POP909 (Wang et al., ISMIR 2020), training songs; MIT",
        "tune": _quantiles(every),
        "struck_again": _quantiles(np.concatenate(again)),
        "of_player": round(float(of_player), 3),
    }


def _quantiles(values: Iterable[float]) -> list[float]:
    return [round(float(v), 3) for v in np.quantile(np.array(list(values)), QUANTILES)]
