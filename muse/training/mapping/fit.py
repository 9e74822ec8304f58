"""Fit the emotion mapping: labelled corpora and the music to compose -> tables and report in ``attributes/``.

Contents: :func:`fit_mapping`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from muse.attributes import RANK_MATCHED, SONG_CONTROLS
from muse.files import write_json
from muse.mapping import EmotionMapper
from muse.training.mapping.data import ROW_WEIGHT, choose_songs, find_corpora, read_corpus, read_labelled
from muse.training.mapping.figures import figures
from muse.training.mapping.report import write_report

__all__ = ["fit_mapping"]


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
        Folder that holds the corpora, or folders of single corpora; those that :mod:`muse.training.mapping.data`
        names are read.
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
    files = choose_songs(find_corpora(corpora), max_files)
    total = sum(len(songs) for songs in files.values())
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    labelled = read_labelled({kind: songs for kind, songs in files.items() if kind in ROW_WEIGHT}, step)
    music = read_corpus({kind: songs for kind, songs in files.items() if kind not in ROW_WEIGHT}, step)
    mapper = EmotionMapper(
        attribute_names=SONG_CONTROLS,
        rank_matched=RANK_MATCHED,
        n_attributes=n_attributes,
        intensity=(float(intensity[0]), float(intensity[1])),
        spread=spread,
        n_trees=n_trees,
    )
    mapper.fit(labelled.X, labelled.plane, labelled.weight, domain=labelled.domain.tolist(), corpus=music)
    report = figures(mapper, labelled, music)
    output = Path(output)
    mapper.save(output)
    write_json(report, output / "mapping_report.json")
    write_report(mapper, labelled, music, report, output)
    return report
