"""Fit the emotion mapping: labelled corpora and the music to compose -> tables and report in ``attributes/``.

What is read
------------
``emopia*``
    Clips with a quadrant; the training split alone (validation clips are for judges). Label: the quadrant's center.
``vgmidi*``, ``memomusic*``
    Pieces with mean valence and arousal. Scales are brought to -1..1 (:data:`SCALES`) and then stretched, zero
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

Contents: :func:`fit_mapping`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import symusic
from numpy.typing import NDArray

from muse.attributes.catalogue import COLUMNS, SONG_CONTROLS, attribute
from muse.attributes.extract import extract
from muse.emotion import QUADRANTS, Emotion
from muse.errors import InputError, MuseError
from muse.mapping.mapper import LEVERS, REACH_LEVEL, EmotionMapper
from muse.score import Score, align_to_beats, note_array, read_score, track_beats

__all__ = ["fit_mapping"]

Floats = NDArray[np.float64]

SCALES: Final = {
    "emopia": ((0.0, 1.0), (0.0, 1.0)),
    "vgmidi": ((0.0, 1.0), (0.0, 1.0)),
    "memomusic": ((0.0, 5.0), (5.0, 5.0)),
}
"""Middle and half range of valence and arousal of each labelled corpus."""

ROW_WEIGHT: Final = {"emopia": 1.0, "vgmidi": 1.0, "memomusic": 0.5}
"""MemoMusic does not say how many people rated."""

BY_RANK: Final = (
    "Mean Tempo",
    "Note Density per Quarter Note",
    "Key Strength",
    "Mean Dynamics",
    "Variation of Dynamics",
    "Articulation",
    "Average Note Duration",
    "Average Number of Simultaneous Pitches",
    "Amount of Arpeggiation",
    "Repeated Notes",
    "Stepwise Motion",
    "Mean Melodic Interval",
    "Syncopation",
    "Rhythmic Value Variability",
    "Prevalence of Long Rhythmic Values",
    "Variability of Time Between Attacks",
    "Vertical Dissonance Ratio",
    "Chord Change Rate",
    "Tonal Tension",
    "Tonal Centroid Motion",
)
"""Attributes whose scale depends on how a dataset was made, and why:

a transcriber's velocities (dynamics); pedal written into note lengths (articulation, durations, simultaneous pitches,
dissonance, tonal distances, key strength); spread chords and no voices (melodic intervals); tracked beats instead of
written ones (everything per beat).
"""

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


def fit_mapping(
    corpora: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    n_attributes: int = 20,
    intensity: tuple[float, float] = (5.0, 2.0),
    spread: float = 0.5,
    n_trees: int = 200,
    max_files: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Fit the mapping on labelled corpora and write its tables and report.

    Parameters
    ----------
    corpora
        Folder that holds the corpora, or folders of single corpora; see the module's text for which are read.
    output
        Folder of the tables (``mapping*.csv``, ``mapping.json``), ``mapping_report.json``, ``README.md`` and plots.
    n_attributes, intensity, spread
        As in :class:`~muse.mapping.mapper.EmotionMapper`.
    n_trees
        Trees of every random forest.
    max_files
        At most this many files per corpus, for a quick look.
    progress
        Called with (files done, files).

    Returns
    -------
    dict
        What ``mapping_report.json`` holds.

    Raises
    ------
    InputError
        A corpus that is needed is missing (EMOPIA, or one of POP909 and Mutopia).
    """
    folders = _find(corpora)
    files = _plan(folders, max_files)
    total = sum(len(rows) for rows in files.values())
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    labelled = _labelled({name: rows for name, rows in files.items() if name in SCALES}, folders, step)
    music = _corpus({name: rows for name, rows in files.items() if name not in SCALES}, folders, step)
    mapper = EmotionMapper(
        attribute_names=SONG_CONTROLS,
        rank_matched=BY_RANK,
        n_attributes=n_attributes,
        intensity=(float(intensity[0]), float(intensity[1])),
        spread=spread,
        n_trees=n_trees,
    )
    mapper.fit(labelled.X, labelled.plane, _weights(labelled), domain=labelled.domain.tolist(), corpus=music)
    report = {
        "windows": {name: int((labelled.domain == name).sum()) for name in dict.fromkeys(labelled.domain.tolist())}
        | {"corpus": len(music)},
        "recognition": _recognition(mapper, labelled, music),
        "important": _important(labelled, n_trees),
        "vgmidi": _transfer(mapper, labelled, music),
        "forms": _forms(mapper, labelled),
        "intensity": _intensities(mapper, labelled, music),
        "tracked_tempo_bpm": _tracked_tempo(labelled),
        "targets": {quadrant: mapper.target(quadrant).to_dict() for quadrant in QUADRANTS},
    }
    output = Path(output)
    mapper.save(output)
    text = json.dumps(report, indent=2, allow_nan=False)
    (output / "mapping_report.json").write_text(text + "\n", encoding="utf-8")
    from muse.training.mapping import report as mapping_report

    mapping_report.write(mapper, labelled, music, report, output)
    return report


# ---------------------------------------------------------------------------------------------------------------- files


def _find(corpora: str | Path | Sequence[str | Path]) -> dict[str, Path]:
    """Kind of corpus -> its folder."""
    given = [corpora] if isinstance(corpora, (str, Path)) else list(corpora)
    folders: dict[str, Path] = {}
    for folder in map(Path, given):
        inside = [folder] if (folder / "metadata.csv").is_file() else sorted(folder.glob("*/metadata.csv"))
        for place in inside:
            home = place if place == folder else place.parent
            for kind in (*SCALES, "pop909", "mutopia"):
                if home.name.startswith(kind):
                    folders[kind] = home
    if "emopia" not in folders or not {"pop909", "mutopia"} & set(folders):
        raise InputError(
            f"{', '.join(map(str, given))}: holds {sorted(folders) or 'no known corpora'}; the mapping needs emopia "
            "(labels) and pop909 or mutopia (the music to compose), each a folder with metadata.csv"
        )
    return folders


def _plan(folders: dict[str, Path], max_files: int | None) -> dict[str, list[dict[str, str]]]:
    """Rows of the metadata that are used, by kind of corpus; a limit takes them evenly."""
    used: dict[str, Callable[[dict[str, str]], bool]] = {
        "emopia": lambda row: row["split"] == "train",
        "vgmidi": lambda row: row["split"] == "labelled" and row["arousal"] != "",
        "memomusic": lambda row: row["arousal"] != "",
        "pop909": lambda row: True,
        "mutopia": lambda row: row["licence_class"] == "permissive" and row["programs"] == "0",
    }
    plan = {}
    for kind in used:
        if kind in folders:
            with (folders[kind] / "metadata.csv").open(newline="", encoding="utf-8") as file:
                rows = [row for row in csv.DictReader(file) if used[kind](row)]
            if max_files is not None and len(rows) > max_files:
                rows = [rows[int(i)] for i in np.linspace(0, len(rows) - 1, max_files)]
            plan[kind] = rows
    return plan


def _labelled(files: dict[str, list[dict[str, str]]], folders: dict[str, Path], step: Callable[[], None]) -> Labelled:
    X, raw, plane, domain, group, catalogue = [], [], [], [], [], []
    for kind, rows in files.items():
        for row in rows:
            step()
            try:
                values, confidence, everything = _measure(kind, read_score(folders[kind] / row["file"]))
            except MuseError:
                continue
            raw.append(values)
            catalogue.append(everything)
            X.append(_trusted(kind, values, confidence))
            domain.append(kind)
            # EMOPIA names the song; a piece of the others is in one file only, but games recur in VGMIDI.
            group.append(row.get("song_id") or row.get("game") or row["id"])
            if kind == "emopia":
                point = Emotion.parse(f"Q{row['quadrant']}")
                plane.append((point.valence, point.arousal))
            else:
                (middle_v, half_v), (middle_a, half_a) = SCALES[kind]
                plane.append(((float(row["valence"]) - middle_v) / half_v, (float(row["arousal"]) - middle_a) / half_a))
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


def _corpus(files: dict[str, list[dict[str, str]]], folders: dict[str, Path], step: Callable[[], None]) -> Floats:
    """Windows of the music to compose, float64 [m, n_attributes]."""
    windows = []
    for kind, rows in files.items():
        for row in rows:
            step()
            try:
                score = read_score(folders[kind] / row["file"])
                if kind == "pop909":
                    triple = row["num_beats_per_measure"] == "3"
                    table = np.loadtxt(folders[kind] / "annotations" / f"{row['id'].split('_')[1]}_beat_midi.txt")
                    score = align_to_beats(score, table[:, 0], table[:, 1 if triple else 2] > 0.5)
                windows += [_trusted(kind, window, 1.0) for window in _windows(score)]
            except (MuseError, OSError):
                continue
    return np.array(windows)


# ------------------------------------------------------------------------------------------------------------- evidence


def _weights(data: Labelled) -> Floats:
    return np.array([ROW_WEIGHT[name] for name in data.domain])


def _levels(mapper: EmotionMapper, data: Labelled) -> Floats:
    """Levels of labelled rows of one or more domains as the mapper sees them in fitting, undefined ones neutral."""
    names = list(dict.fromkeys(data.domain.tolist()))
    domains = np.array([names.index(d) for d in data.domain])
    levels = mapper._levels(data.X, domains, np.ones(len(data.X)))
    return np.where(np.isnan(levels), mapper.neutral_, levels)


def _folds(data: Labelled, seed: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    from sklearn.model_selection import StratifiedGroupKFold

    yield from StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(data.X, data.quadrant, data.group)


def _accuracies(truth: NDArray[np.str_], guess: NDArray[np.str_]) -> dict[str, float]:
    high = partial(np.isin, test_elements=("Q1", "Q2"))
    pleasant = partial(np.isin, test_elements=("Q1", "Q4"))
    calm = np.isin(truth, ("Q3", "Q4")) & np.isin(guess, ("Q3", "Q4"))
    return {
        "quadrant": float((truth == guess).mean()),
        "arousal": float((high(truth) == high(guess)).mean()),
        "valence": float((pleasant(truth) == pleasant(guess)).mean()),
        "sad_or_calm": float((truth == guess)[calm].mean()) if calm.any() else 0.0,
    }


def _filled(values: Floats) -> Floats:
    """The median where a value is undefined; columns without any defined value are left out."""
    values = values[:, np.isfinite(values).any(axis=0)]
    return np.where(np.isfinite(values), values, np.nanmedian(np.where(np.isfinite(values), values, np.nan), axis=0))


def _important(data: Labelled, n_trees: int, n: int = 15) -> dict[str, float]:
    """The columns of the whole catalogue that tell EMOPIA's quadrants best, by a forest's importance."""
    from sklearn.ensemble import RandomForestClassifier

    clips = data[data.domain == "emopia"]
    defined = np.atleast_1d(np.isfinite(clips.catalogue).any(axis=0))
    forest = RandomForestClassifier(n_trees, min_samples_leaf=2, random_state=0)
    forest.fit(_filled(clips.catalogue.astype(np.float64)), clips.quadrant)
    names = [name for name, some in zip(COLUMNS, defined.tolist(), strict=True) if some]
    order = np.argsort(-forest.feature_importances_, kind="stable")[:n]
    return {names[i]: round(float(forest.feature_importances_[i]), 5) for i in order}


def _recognition(mapper: EmotionMapper, data: Labelled, music: Floats) -> dict[str, dict[str, float]]:
    """Accuracy on EMOPIA's training clips, cross-validated by song (5 folds, 3 times; the whole catalogue once)."""
    from sklearn.base import clone
    from sklearn.ensemble import RandomForestClassifier

    clips = data[data.domain == "emopia"]
    others = data[data.domain != "emopia"]
    truth = clips.quadrant
    forest = partial(RandomForestClassifier, mapper.n_trees, min_samples_leaf=2)
    controls, catalogue = _filled(clips.raw), _filled(clips.catalogue.astype(np.float64))
    levers = [SONG_CONTROLS.index(name) for name in LEVERS]
    tables = {
        f"forest, all {len(COLUMNS):,} columns of the catalogue": catalogue,
        f"forest, all {len(SONG_CONTROLS)} controls": controls,
        f"forest, the {mapper.chosen_.sum()} chosen": controls[:, mapper.chosen_],
        f"forest, the {len(levers)} levers": controls[:, levers],
    }
    ours = "mapper (linear discriminant of levels)"
    results: dict[str, list[dict[str, float]]] = {name: [] for name in (*tables, ours)}
    for seed in range(3):
        # The whole catalogue is slow, once is enough.
        run = {name: table for name, table in tables.items() if seed == 0 or table is not catalogue}
        guesses = {name: np.empty(len(truth), dtype=truth.dtype) for name in (*run, ours)}
        for train, test in _folds(clips, seed):
            for name, table in run.items():
                guesses[name][test] = forest(random_state=seed).fit(table[train], truth[train]).predict(table[test])
            part = clips[train]
            model = clone(mapper).set_params(n_trees=5)
            model.fit(
                np.concatenate([part.X, others.X]),
                np.concatenate([part.plane, others.plane]),
                np.concatenate([_weights(part), _weights(others)]),
                domain=[*part.domain, *others.domain],
                corpus=music,
            )
            # Ranks of the held-out clips are taken among all clips: they need no labels.
            levels = _levels(model, clips)[test]
            guesses[ours][test] = model.classes_[model._scores(levels).argmax(axis=1)]
        for name, guess in guesses.items():
            results[name].append(_accuracies(truth, guess))
    return {
        name: {axis: round(float(np.mean([one[axis] for one in runs])), 4) for axis in runs[0]}
        for name, runs in results.items()
    }


def _transfer(mapper: EmotionMapper, data: Labelled, music: Floats) -> dict[str, float]:
    """Correlation of judged with rated valence and arousal on VGMIDI, by a mapper that has seen no piece of it."""
    from scipy.stats import pearsonr, spearmanr
    from sklearn.base import clone

    pieces = data[data.domain == "vgmidi"]
    if len(pieces.X) < 10:
        return {}
    rest = data[data.domain == "emopia"]
    model = clone(mapper).set_params(n_trees=5).fit(rest.X, rest.plane, corpus=music)
    judged = model._place(model._scores(_levels(model, pieces)))
    result = {"pieces": float(len(pieces.X))}
    for i, axis in enumerate(("valence", "arousal")):
        result[f"{axis} pearson"] = round(float(pearsonr(judged[:, i], pieces.plane[:, i])[0]), 3)
        result[f"{axis} spearman"] = round(float(spearmanr(judged[:, i], pieces.plane[:, i])[0]), 3)
    return result


def _forms(mapper: EmotionMapper, data: Labelled) -> dict[str, dict[str, float]]:
    """Share of the variance of levels that each continuous form explains on songs that it has not seen.

    ``constant`` is the mean, ``linear`` valence and arousal, ``bilinear`` with their product (what the mapper uses),
    ``kernel`` a Nadaraya-Watson mean over the plane (bandwidth 0.3).
    """
    result: dict[str, dict[str, float]] = {}
    for domain in dict.fromkeys(data.domain.tolist()):
        part = data[data.domain == domain]
        if len(set(part.quadrant.tolist())) < 4 or min(np.unique(part.quadrant, return_counts=True)[1]) < 5:
            continue
        levels = _levels(mapper, part)
        errors = dict.fromkeys(("constant", "linear", "bilinear", "kernel"), 0.0)
        for train, test in _folds(part, 0):
            mean = levels[train].mean(axis=0)
            for form in errors:
                errors[form] += float(((_form(form, part.plane, levels, train, test, mean) - levels[test]) ** 2).sum())
        result[domain] = {form: round(1 - error / errors["constant"], 4) for form, error in errors.items()}
    return result


def _form(
    form: str, plane: Floats, levels: Floats, train: NDArray[np.int64], test: NDArray[np.int64], mean: Floats
) -> Floats:
    """Levels that a form gives the rows `test` when it has seen `train`."""
    if form == "constant":
        return np.broadcast_to(mean, levels[test].shape)
    if form == "kernel":
        distance = ((plane[test][:, None] - plane[train][None]) ** 2).sum(axis=2)
        kernel = np.exp(-distance / (2 * 0.3**2)) + 1e-9
        return kernel @ levels[train] / kernel.sum(axis=1, keepdims=True)
    terms = np.column_stack([plane, plane.prod(axis=1)])[:, : 2 if form == "linear" else 3]
    center = terms[train].mean(axis=0)
    inputs = terms[train] - center
    slopes = np.linalg.solve(inputs.T @ inputs + np.eye(terms.shape[1]), inputs.T @ (levels[train] - mean))
    return mean + (terms[test] - center) @ slopes


def _intensities(mapper: EmotionMapper, data: Labelled, music: Floats) -> list[dict[str, float]]:
    """What targets of growing intensity lead to: the evidence for the default.

    For every quadrant, 64 targets are drawn. A forest fitted on EMOPIA's clips says which quadrant the target itself
    lies in (``asked``), and which the window of the corpus nearest to it, by the target's weights (``real``).
    ``variety`` is the mean distance of two such windows of one quadrant, by that of two windows of the whole corpus.
    """
    from sklearn.ensemble import RandomForestClassifier

    clips = data[data.domain == "emopia"]
    usable = np.array([name != "Mean Tempo" for name in SONG_CONTROLS])
    forest = RandomForestClassifier(mapper.n_trees, min_samples_leaf=2, random_state=0)
    forest.fit(_levels(mapper, clips)[:, usable], clips.quadrant)
    windows = mapper.levels(music)
    judged = forest.predict(windows[:, usable])
    weight = np.zeros(len(SONG_CONTROLS))
    some = mapper.target("Q1")
    weight[[SONG_CONTROLS.index(name) for name in some.names]] = some.weight
    scaled = windows * np.sqrt(weight)
    everywhere = _mean_distance(scaled[:: max(1, len(scaled) // 200)])
    rows: list[dict[str, float]] = []
    for intensity in ((1.0, 1.0), (2.0, 2.0), (3.0, 1.5), (4.0, 1.5), (4.0, 2.0), (5.0, 1.5), (5.0, 2.0), (6.0, 2.0)):
        rng = np.random.default_rng(0)
        row = {"valence": intensity[0], "arousal": intensity[1]}
        variety = []
        for quadrant in QUADRANTS:
            center = mapper.levels_at(quadrant, intensity)
            drawn = center + np.array([mapper._draw(None, rng) for _ in range(64)])
            drawn = np.clip(drawn, -REACH_LEVEL, REACH_LEVEL)
            distance = ((scaled[None] - (drawn * np.sqrt(weight))[:, None]) ** 2).sum(axis=2)
            nearest = distance.argmin(axis=1)
            row[f"asked {quadrant}"] = round(float((forest.predict(drawn[:, usable]) == quadrant).mean()), 3)
            row[f"real {quadrant}"] = round(float((judged[nearest] == quadrant).mean()), 3)
            variety.append(_mean_distance(scaled[nearest]) / everywhere)
        for kind in ("asked", "real"):
            row[kind] = round(float(np.mean([row[f"{kind} {quadrant}"] for quadrant in QUADRANTS])), 3)
        row["variety"] = round(float(np.mean(variety)), 3)
        rows.append(row)
    return rows


def _mean_distance(levels: Floats) -> float:
    distance = np.sqrt(((levels[:, None] - levels[None]) ** 2).sum(axis=2))
    return float(distance.sum() / max(len(levels) * (len(levels) - 1), 1))


def _tracked_tempo(data: Labelled) -> dict[str, float]:
    """Median tracked tempo of EMOPIA's clips by quadrant: why it is left out."""
    clips = data[data.domain == "emopia"]
    tempo = clips.raw[:, SONG_CONTROLS.index("Mean Tempo")]
    return {quadrant: round(float(np.nanmedian(tempo[clips.quadrant == quadrant])), 1) for quadrant in QUADRANTS}
