"""What the selector can and cannot do, measured on music that it has never seen.

``python benchmarks/selector_report.py --dataset ALL --corpora CORPORA --samples SAMPLES`` writes ``docs/selector.md``
and ``docs/selector.json``. `SAMPLES` is a folder that ``muse train samples --split test`` made. With ``--ablation`` it
also measures what the tasks do for each other. ``checkpoints/TRAINING.md`` has the commands that train them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from muse.dataset.read import Corpus
from muse.errors import MuseError
from muse.evaluate.reports import TEMPLATES
from muse.evaluate.selector import (
    emotion_across_songs,
    emotion_of_clips,
    emotion_of_pieces,
    genre_of_windows,
    quality_of_windows,
)
from muse.files import read_json, write_json, write_text
from muse.pages import render
from muse.selector import Selector
from muse.selector.model import DEFAULT_SELECTOR
from muse.training.selector.data import Library
from muse.training.selector.samples import Sample, read_samples

DOCS = Path(__file__).resolve().parents[1] / "docs"
PUBLISHED = (
    ("LSTM with attention (EMOPIA paper; test split)", "0.684", "0.882", "0.833"),
    ("MidiBERT-Piano (test split)", "0.679", "", ""),
    ("MoFi, mode injected (test split)", "0.752", "", ""),
    ("random forest on 1,495 jSymbolic features (5-fold by clip)", "0.676", "", ""),
)
"""Published four-quadrant accuracy, arousal half, valence half on EMOPIA."""


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    selector = Selector.from_pretrained(arguments.checkpoint)
    library = Library(Corpus(arguments.dataset), "test")
    samples = read_samples(arguments.samples)
    document: dict[str, Any] = {
        "config": selector.config.to_json(),
        "emopia": emotion_across_songs(arguments.corpora, selector),
        "vgmidi": emotion_of_pieces(selector, arguments.corpora),
        "quality": quality_of_windows(selector, library, samples),
        "genre": genre_of_windows(selector, library),
    }
    if arguments.ablation:
        document["ablation"] = dict(
            _with_tasks(folder, arguments.corpora, library, samples) for folder in arguments.ablation
        )
    return document


def _with_tasks(folder: str, corpora: str, library: Library, samples: Sequence[Sample]) -> tuple[str, dict[str, float]]:
    """The tasks of a selector, and its figures in each."""
    tasks = read_json(Path(folder) / "training.json")["tasks"]
    selector = Selector.from_pretrained(folder)
    found = {"quality": quality_of_windows(selector, library, samples)["accuracy"]}
    if "emotion" in tasks:
        found["emopia"] = emotion_of_clips(selector, corpora)["accuracy"]["share"]
    if "genre" in tasks:
        found["genre"] = genre_of_windows(selector, library)["macro_f1"]
    return " + ".join(tasks), found


def page(document: dict[str, Any]) -> str:
    """The figures as a page of Markdown."""
    return render(TEMPLATES / "selector.md.j2", {**document, "published": PUBLISHED}).rstrip() + "\n"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Measure the selector and write the report.")
    parser.add_argument("--checkpoint", default=DEFAULT_SELECTOR)
    parser.add_argument("--dataset", required=True, help="dataset of all corpora")
    parser.add_argument("--corpora", required=True, help="folder with emopia-nc and vgmidi-unclear")
    parser.add_argument("--samples", required=True, help="samples beside windows of the test split")
    parser.add_argument("--ablation", nargs="+", metavar="DIR", help="selectors trained on fewer tasks")
    parser.add_argument("-o", "--output", type=Path, default=DOCS)
    arguments = parser.parse_args()
    try:
        document = measure(arguments)
    except MuseError as error:
        parser.error(str(error))
    write_json(document, arguments.output / "selector.json")
    write_text(arguments.output / "selector.md", page(document))


if __name__ == "__main__":
    main()
